package s3

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"html"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// Websites serves buckets as websites: BUCKET.s3-website.DOMAIN, with the region behind a dot or a dash too, and the same
// below localhost. Every other host goes on to next. Objects are read by unsigned requests to api, so a website shows
// what its bucket lets everybody read.
//
// AWS: "Website endpoints".
func (s *Service) Websites(api, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name := s.websiteHost(r.Host)
		if name == "" {
			next.ServeHTTP(w, r)
			return
		}
		site := &website{service: s, api: api, bucket: name, w: w, r: r}
		site.serve()
	})
}

// websiteHost answers the bucket of a website's host name, or "".
func (s *Service) websiteHost(host string) string {
	if !strings.Contains(host, ".s3-website") {
		return ""
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	name, rest, _ := strings.Cut(host, ".s3-website")
	for _, root := range []string{s.domain, "localhost", "amazonaws.com"} {
		if region, ok := strings.CutSuffix(rest, "."+root); ok && (region == "" || region[0] == '-' || region[0] == '.') && strings.Count(region, ".") <= 1 {
			return name
		}
	}
	return ""
}

// website is one request to a website.
type website struct {
	service *Service
	api     http.Handler
	bucket  string
	w       http.ResponseWriter
	r       *http.Request
	// request and host are the ids of the answer, where it is not an object.
	request, host string
}

func (site *website) serve() {
	site.request, site.host = awsapi.StampS3(site.w.Header())
	if site.r.Method != http.MethodGet && site.r.Method != http.MethodHead {
		site.page(http.StatusMethodNotAllowed, siteError{Code: "MethodNotAllowed", Message: "The specified method is not allowed against this resource.", Method: site.r.Method, ResourceType: "OBJECT"})
		return
	}
	config, failure := site.config()
	if failure != nil {
		site.page(http.StatusNotFound, *failure)
		return
	}
	key := strings.TrimPrefix(site.r.URL.Path, "/")
	if all := config.RedirectAllRequestsTo; all != nil {
		site.redirect(&types.Redirect{HostName: all.HostName, Protocol: all.Protocol}, "", key)
		return
	}
	if rule := ruleOf(config.RoutingRules, key, 0); rule != nil {
		site.redirect(rule.Redirect, prefixOf(rule), key)
		return
	}
	suffix := aws.ToString(config.IndexDocument.Suffix)
	wanted := key
	if key == "" || strings.HasSuffix(key, "/") {
		wanted += suffix
	}
	failed := site.send(wanted, http.StatusOK)
	if failed == nil {
		return
	}
	// AWS: "Configuring an index document": what looks like a folder gets its slash.
	if failed.status != http.StatusMethodNotAllowed && wanted == key && site.exists(key+"/"+suffix) {
		site.w.Header().Set("Location", "/"+escapeKey(key)+"/")
		site.w.WriteHeader(http.StatusFound)
		return
	}
	if rule := ruleOf(config.RoutingRules, key, failed.status); rule != nil {
		site.redirect(rule.Redirect, prefixOf(rule), key)
		return
	}
	if config.ErrorDocument != nil && failed.status >= 400 && failed.status < 500 {
		failed.error.headers(site.w.Header())
		if second := site.send(aws.ToString(config.ErrorDocument.Key), failed.status); second == nil {
			return
		} else {
			failed.errorDocument = second
		}
	}
	site.errorPage(failed.status, failed.error, failed.errorDocument)
}

// config reads the website's configuration; the error is the page that says why there is none.
func (site *website) config() (*types.WebsiteConfiguration, *siteError) {
	var config *types.WebsiteConfiguration
	failure := &siteError{Code: "NoSuchBucket", Message: "The specified bucket does not exist", BucketName: site.bucket}
	err := site.service.db.View(site.r.Context(), func(tx store.Tx) error {
		b, err := sharedBucket(tx, site.bucket)
		if err != nil || b == nil {
			return err
		}
		failure = &siteError{Code: "NoSuchWebsiteConfiguration", Message: "The specified bucket does not have a website configuration", BucketName: site.bucket}
		config, err = findSetting[types.WebsiteConfiguration](tx, b.Name, kindWebsite, "")
		return err
	})
	if err != nil {
		failure = &siteError{Code: "InternalError", Message: "We encountered an internal error. Please try again."}
	}
	if config == nil {
		return nil, failure
	}
	return config, nil
}

// ruleOf finds the first rule for the key; status is that of the failed read, or 0 before there was one.
func ruleOf(rules []types.RoutingRule, key string, status int) *types.RoutingRule {
	for i, rule := range rules {
		condition := rule.Condition
		if condition == nil {
			if status == 0 {
				return &rules[i]
			}
			continue
		}
		code := aws.ToString(condition.HttpErrorCodeReturnedEquals)
		if strings.HasPrefix(key, aws.ToString(condition.KeyPrefixEquals)) && (code == "" && status == 0 || code != "" && code == strconv.Itoa(status)) {
			return &rules[i]
		}
	}
	return nil
}

func prefixOf(rule *types.RoutingRule) string {
	if rule.Condition == nil {
		return ""
	}
	return aws.ToString(rule.Condition.KeyPrefixEquals)
}

// redirect sends the browser elsewhere, by a rule.
func (site *website) redirect(to *types.Redirect, prefix, key string) {
	switch {
	case to.ReplaceKeyWith != nil:
		key = *to.ReplaceKeyWith
	case to.ReplaceKeyPrefixWith != nil:
		key = *to.ReplaceKeyPrefixWith + strings.TrimPrefix(key, prefix)
	}
	protocol := string(to.Protocol)
	if protocol == "" {
		protocol = "http"
		if site.r.TLS != nil {
			protocol = "https"
		}
	}
	host := site.r.Host
	if to.HostName != nil {
		host = *to.HostName
	}
	status, err := strconv.Atoi(aws.ToString(to.HttpRedirectCode))
	if err != nil {
		status = http.StatusMovedPermanently
	}
	location := protocol + "://" + host + "/" + escapeKey(key)
	if site.r.URL.RawQuery != "" {
		location += "?" + site.r.URL.RawQuery
	}
	site.w.Header().Set("Location", location)
	site.w.WriteHeader(status)
}

// escapeKey is a key as a path; its slashes stay.
func escapeKey(key string) string {
	return strings.TrimPrefix((&url.URL{Path: "/" + key}).EscapedPath(), "/")
}

// siteFailure is an answer of the API that is not the object.
type siteFailure struct {
	status        int
	error         siteError
	errorDocument *siteFailure // why the error document could not be shown either
}

// siteError is an error of S3, as a page shows it.
type siteError struct {
	Code, Message, BucketName, Key, Method, ResourceType string
}

// headers say what is wrong to those who do not read pages.
func (e siteError) headers(header http.Header) {
	header.Set("X-Amz-Error-Code", e.Code)
	header.Set("X-Amz-Error-Message", e.Message)
	if e.Key != "" {
		header.Set("X-Amz-Error-Detail-Key", e.Key)
	}
	if e.BucketName != "" {
		header.Set("X-Amz-Error-Detail-Bucketname", e.BucketName)
	}
}

// send sends an object with the status, and answers why it could not; then nothing was sent.
func (site *website) send(key string, status int) *siteFailure {
	// What is conditional or a part is that only for the page that was asked for.
	header := http.Header{}
	if status == http.StatusOK {
		for _, name := range []string{"Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "Origin"} {
			if value := site.r.Header.Get(name); value != "" {
				header.Set(name, value)
			}
		}
	}
	inner := site.inner(site.r.Method, key, header)
	through := &siteWriter{to: site.w, status: status, header: http.Header{}}
	site.api.ServeHTTP(through, inner)
	if through.passes {
		return nil
	}
	failure := &siteFailure{status: through.got}
	if xml.Unmarshal(through.kept.Bytes(), &struct {
		XMLName    xml.Name `xml:"Error"`
		Code       *string
		Message    *string
		BucketName *string
		Key        *string
	}{Code: &failure.error.Code, Message: &failure.error.Message, BucketName: &failure.error.BucketName, Key: &failure.error.Key}) != nil || failure.error.Code == "" {
		// A HEAD has no words.
		failure.error.Code, failure.error.Message = http.StatusText(failure.status), http.StatusText(failure.status)
	}
	if failure.error.Code == "NoSuchKey" {
		failure.error.Key = key
	}
	return failure
}

// exists tells whether everybody may read an object.
func (site *website) exists(key string) bool {
	answer := &siteWriter{to: discard{http.Header{}}, status: http.StatusOK, header: http.Header{}}
	site.api.ServeHTTP(answer, site.inner(http.MethodHead, key, http.Header{}))
	return answer.passes
}

// inner makes an unsigned request for an object.
func (site *website) inner(method, key string, header http.Header) *http.Request {
	target := &url.URL{Path: "/" + site.bucket + "/" + key}
	target.RawPath = "/" + site.bucket + "/" + escapeKey(key)
	inner := site.r.Clone(context.WithoutCancel(site.r.Context()))
	inner.Method, inner.URL, inner.Header, inner.Body, inner.ContentLength = method, target, header, http.NoBody, 0
	inner.Host, inner.RequestURI = "s3."+site.service.domain, target.RequestURI()
	return inner.WithContext(site.r.Context())
}

// siteWriter lets an object through, with another status, and keeps anything else.
type siteWriter struct {
	to     http.ResponseWriter
	header http.Header
	status int // in the place of 200
	got    int
	passes bool
	kept   bytes.Buffer
}

// Header is http.ResponseWriter's.
func (w *siteWriter) Header() http.Header { return w.header }

// WriteHeader is http.ResponseWriter's.
func (w *siteWriter) WriteHeader(status int) {
	w.got = status
	if status >= http.StatusBadRequest && status != http.StatusRequestedRangeNotSatisfiable {
		return
	}
	w.passes = true
	if redirect := w.header.Get("X-Amz-Website-Redirect-Location"); redirect != "" {
		// AWS: "Configuring a webpage redirect", for an object.
		w.to.Header().Set("Location", redirect)
		w.to.WriteHeader(http.StatusMovedPermanently)
		w.to = discard{http.Header{}}
		return
	}
	for name, values := range w.header {
		w.to.Header()[name] = values
	}
	if status == http.StatusOK {
		status = w.status
	}
	w.to.WriteHeader(status)
}

// Write is http.ResponseWriter's.
func (w *siteWriter) Write(b []byte) (int, error) {
	if w.got == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.passes {
		return w.to.Write(b)
	}
	if w.kept.Len() > 64<<10 {
		return len(b), nil
	}
	return w.kept.Write(b)
}

// Unwrap lets http.ResponseController through.
func (w *siteWriter) Unwrap() http.ResponseWriter { return w.to }

type discard struct{ header http.Header }

// Header is http.ResponseWriter's.
func (d discard) Header() http.Header { return d.header }

// WriteHeader is http.ResponseWriter's.
func (d discard) WriteHeader(int) {}

// Write is http.ResponseWriter's.
func (d discard) Write(b []byte) (int, error) { return len(b), nil }

func (site *website) page(status int, e siteError) { site.errorPage(status, e, nil) }

// errorPage is the page that S3 makes itself.
func (site *website) errorPage(status int, e siteError, document *siteFailure) {
	title := fmt.Sprintf("%d %s", status, http.StatusText(status))
	var b strings.Builder
	fmt.Fprintf(&b, "<html>\n<head><title>%s</title></head>\n<body>\n<h1>%s</h1>\n<ul>\n", title, title)
	item := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "<li>%s: %s</li>\n", name, html.EscapeString(value))
		}
	}
	list := func(e siteError) {
		item("Code", e.Code)
		item("Message", e.Message)
		item("BucketName", e.BucketName)
		item("Key", e.Key)
		item("Method", e.Method)
		item("ResourceType", e.ResourceType)
	}
	list(e)
	item("RequestId", site.request)
	item("HostId", site.host)
	b.WriteString("</ul>\n")
	if document != nil {
		b.WriteString("<h3>An Error Occurred While Attempting to Retrieve a Custom Error Document</h3>\n<ul>\n")
		list(document.error)
		b.WriteString("</ul>\n")
	}
	b.WriteString("<hr/>\n</body>\n</html>\n")
	header := site.w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Length", strconv.Itoa(b.Len()))
	e.headers(header)
	site.w.WriteHeader(status)
	if site.r.Method != http.MethodHead {
		_, _ = site.w.Write([]byte(b.String())) // the browser may be gone
	}
}
