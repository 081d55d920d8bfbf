package awsapi

import (
	"cmp"
	"context"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"miniaws/awsapi/meta"
	"miniaws/awsapi/wire"
)

// Browsers is what browsers are told about a bucket, beside every answer and instead of one: CORS.
type Browsers interface {
	// CORS answers the headers for a request with an Origin. For a preflight (method OPTIONS) it decides alone: no headers
	// and no error is not an answer. For others nil headers mean that nothing is said.
	CORS(ctx context.Context, bucket string, r *http.Request) (http.Header, error)
}

// SetBrowsers says who answers for CORS; before the first request.
func (s *Server) SetBrowsers(b Browsers) { s.browsers = b }

// hostBucket answers the bucket that a host names, or "": BUCKET.s3.DOMAIN, BUCKET.s3.REGION.DOMAIN, BUCKET.api.DOMAIN,
// and the same below amazonaws.com, for who points AWS's names here, dual-stack and FIPS names too; BUCKET.localhost and
// BUCKET.s3.localhost, which resolvers answer with loopback; BUCKET.127.0.0.1, which no resolver answers, but SDKs with an HTTP
// proxy send. For NAME-ACCOUNT.s3-accesspoint.REGION.DOMAIN it is the ARN of the access point.
//
// AWS: "Virtual hosting of general purpose buckets"; "Accessing buckets through access points". A bucket's name may have dots.
func hostBucket(host, domain string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	dots := strings.Count(host, ".")
	digits := host != "" && host[len(host)-1] >= '0' && host[len(host)-1] <= '9'
	if dots == 0 || digits && dots < 4 {
		return "" // an address, or one word: the usual case
	}
	if digits {
		return belowAddress(host)
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, root := range [...]string{domain, "amazonaws.com", "localhost"} {
		below, ok := strings.CutSuffix(host, "."+root)
		if !ok || root == "" {
			continue
		}
		labels := plainNames(strings.Split(below, "."))
		last := len(labels) - 1
		switch {
		case last > 1 && labels[last-1] == "s3-accesspoint":
			return accessPointARN(strings.Join(labels[:last-1], "."), labels[last])
		case labels[last] == "s3", root == domain && labels[last] == "api":
			return strings.Join(labels[:last], ".")
		case last > 0 && labels[last-1] == "s3": // a region
			return strings.Join(labels[:last-1], ".")
		case root == "localhost":
			return below
		}
	}
	return ""
}

// plainNames takes the words of dual-stack and FIPS endpoints out of names of a region: s3-fips.dualstack.REGION is
// s3.REGION.
// AWS: "Amazon S3 endpoints and quotas".
func plainNames(labels []string) []string {
	at := len(labels) - 2
	if region := labels[at+1]; strings.Count(region, "-") < 2 {
		return labels // no region: these words are a bucket's
	}
	services := []string{"s3", "s3-fips", "s3-accesspoint", "s3-accesspoint-fips"}
	if at > 0 && labels[at] == "dualstack" && slices.Contains(services, labels[at-1]) {
		labels = slices.Delete(labels, at, at+1)
		at--
	}
	if at >= 0 && (labels[at] == "s3-fips" || labels[at] == "s3-accesspoint-fips") {
		labels[at] = strings.TrimSuffix(labels[at], "-fips")
	}
	return labels
}

// belowAddress answers what stands before an IPv4 address, or "" if the host does not end in one.
func belowAddress(host string) string {
	cut := len(host)
	for range net.IPv4len {
		cut = strings.LastIndexByte(host[:cut], '.')
	}
	if net.ParseIP(host[cut+1:]) == nil {
		return ""
	}
	return strings.ToLower(host[:cut])
}

// accessPointARN answers the ARN for NAME-ACCOUNT, or "" if that is none.
func accessPointARN(label, region string) string {
	dash := strings.LastIndexByte(label, '-')
	if dash < 1 || len(label)-dash != 13 || strings.Trim(label[dash+1:], "0123456789") != "" {
		return ""
	}
	return "arn:aws:s3:" + region + ":" + label[dash+1:] + ":accesspoint/" + label[:dash]
}

// s3Router finds S3's operations: there are only three shapes of path, and the query chooses.
type s3Router struct {
	// operations by level and method; those that ask for more come first.
	operations [3]map[string][]restOperation
	// resources are the names in the query that choose an operation.
	resources map[string]bool
}

const (
	levelService = iota
	levelBucket
	levelObject
)

func newS3Router(w *wire.Service) *s3Router {
	router := &s3Router{resources: map[string]bool{}}
	for i := range router.operations {
		router.operations[i] = map[string][]restOperation{}
	}
	for method, operations := range newRESTRouter(w).byMethod {
		for _, o := range operations {
			level := levelService
			switch path, _, _ := strings.Cut(o.op.URI, "?"); path {
			case "/{Bucket}/":
				level = levelBucket
			case "/{Bucket}/{Key+}":
				level = levelObject
			case "/":
			default:
				continue // Object Lambda's own
			}
			router.operations[level][method] = append(router.operations[level][method], o)
			for _, constant := range o.constants {
				if name, _, _ := strings.Cut(constant, "="); name != "list-type" && name != "select-type" {
					router.resources[name] = true
				}
			}
		}
	}
	return router
}

// s3Path splits a request's path into bucket and key, unescaped.
func s3Path(r *http.Request, virtual string) (bucket, key string, ok bool) {
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	bucket = virtual
	if virtual == "" {
		bucket, path, _ = strings.Cut(path, "/")
	}
	var err error
	if strings.IndexByte(bucket, '%') >= 0 {
		if bucket, err = url.PathUnescape(bucket); err != nil {
			return "", "", false
		}
	}
	if key = path; strings.IndexByte(path, '%') >= 0 {
		if key, err = url.PathUnescape(path); err != nil {
			return "", "", false
		}
	}
	return bucket, key, bucket != "" || key == ""
}

func (s *Server) routeS3(r *http.Request) route {
	target := s.services[meta.S3]
	target.restOnce.Do(func() { target.s3 = newS3Router(meta.S3.Wire()) })
	found := route{service: target, protocol: meta.RESTXML, query: r.URL.Query(), virtual: hostBucket(r.Host, s.options.Domain)}
	bucket, key, ok := s3Path(r, found.virtual)
	if !ok {
		return found
	}
	level := levelObject
	switch {
	case bucket == "":
		level = levelService
	case key == "":
		level = levelBucket
		found.labels = map[string]string{"Bucket": bucket}
	default:
		found.labels = map[string]string{"Bucket": bucket, "Key": key}
	}
	// A form carries its signature inside; who posts something else without one is told that it should be a form.
	if level == levelBucket && r.Method == http.MethodPost && !found.query.Has("delete") && (mediaType(r) == "multipart/form-data" || len(found.query) == 0 && r.Header.Get("Authorization") == "") {
		found.operation, found.isForm = "PutObject", true
		return found
	}
	var chosen string // the sub-resource
	for name := range found.query {
		if target.s3.resources[name] && name != "x-id" {
			chosen = cmp.Or(chosen, name)
		}
	}
	id := found.query.Get("x-id")
	for _, o := range target.s3.operations[level][r.Method] {
		if id != "" && o.id != "" && id != o.id || !o.asks(found.query, r.Header) {
			continue
		}
		// A name that this method does not have on this level must not turn into another operation: DELETE /bucket?uploads.
		if chosen != "" && !slices.ContainsFunc(o.constants, func(c string) bool {
			name, _, _ := strings.Cut(c, "=")
			return found.query.Has(name) && target.s3.resources[name]
		}) {
			continue
		}
		found.operation = o.op.Name
		break
	}
	return found
}
