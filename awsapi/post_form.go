package awsapi

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/aws/smithy-go"

	"miniaws/awsapi/sigv4"
)

// postForm is an upload by a browser: PutObject in the shape of an HTML form.
//
// AWS: "POST Object" and "Browser-Based Uploads Using POST" of the S3 API reference.
type postForm struct {
	fields sigv4.Form
	file   *multipart.Part
	policy *sigv4.PostPolicy // nil for anonymous uploads
}

func badForm(code, message string) error {
	return &Error{Code: code, Message: message, Status: http.StatusBadRequest}
}

// readForm reads the fields before the file; nothing behind it counts.
func (c *call) readForm() error {
	if mediaType(c.http) != "multipart/form-data" {
		return &Error{Code: "PreconditionFailed", Message: "At least one of the pre-conditions you specified did not hold", Status: http.StatusPreconditionFailed,
			Fault: smithy.FaultClient, Fields: map[string]string{"Condition": "Bucket POST must be of the enclosure-type multipart/form-data"}}
	}
	body := &patientBody{ReadCloser: c.http.Body, call: c}
	_, parameters, err := mime.ParseMediaType(c.http.Header.Get("Content-Type"))
	if err != nil || parameters["boundary"] == "" {
		return badForm("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
	}
	c.form = &postForm{fields: sigv4.Form{}}
	parts := multipart.NewReader(body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return invalidArgument("POST requires exactly one file upload per request.", "file", "0")
		}
		if err != nil {
			return badForm("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
		}
		name := part.FormName()
		if strings.EqualFold(name, "file") {
			c.form.file = part
			if base := part.FileName(); base != "" {
				c.form.fields["key"] = strings.ReplaceAll(c.form.fields["key"], "${filename}", path.Base(base))
			}
			if c.form.fields["key"] == "" {
				return invalidArgument("Bucket POST must contain a field named 'key'.  If it is specified, please check the order of the fields.", "key", "")
			}
			return nil
		}
		value, err := io.ReadAll(io.LimitReader(part, maxFormField))
		if err != nil {
			return badForm("MalformedPOSTRequest", "The body of your POST request is not well-formed multipart/form-data.")
		}
		if err := c.form.fields.Add(name, string(value)); err != nil {
			return c.refusal(err)
		}
	}
}

// maxFormField is above what sigv4.Form takes of all fields together.
const maxFormField = 32 << 10

// authenticateForm verifies the signature over the form's policy, and that the form keeps to it.
func (c *call) authenticateForm(ctx context.Context) error {
	if c.operation == nil {
		return c.refusal(c.unsigned)
	}
	if err := c.readForm(); err != nil {
		return err
	}
	signature, err := sigv4.ParseForm(c.form.fields)
	if err != nil {
		if sigv4.KindOf(err) == sigv4.MissingAuth && c.operation.unsigned {
			return nil
		}
		return c.refusal(err)
	}
	if signature.Region != "" {
		c.request.Region = signature.Region
	}
	secret, owner, err := c.owner(ctx, signature)
	if err != nil {
		return err
	}
	policy, err := signature.VerifyForm(c.form.fields, secret, sigv4.Options{Now: c.request.Time, Service: "s3", Keys: &c.server.keys})
	if err == nil {
		err = policy.Check(c.form.fields, c.route.labels["Bucket"])
	}
	if err != nil {
		return c.refusal(err)
	}
	c.form.policy, c.request.Principal = policy, owner
	return nil
}

// formHeaders are the fields that mean what headers of PutObject mean, beside all that begin with x-amz-.
var formHeaders = map[string]string{
	"acl": "X-Amz-Acl", "cache-control": "Cache-Control", "content-type": "Content-Type", "content-disposition": "Content-Disposition",
	"content-encoding": "Content-Encoding", "expires": "Expires",
}

// receiveFile makes the form a PutObject: its fields are the headers, its file is the body.
func (c *call) receiveFile() error {
	c.request.Header = http.Header{}
	for name, value := range c.form.fields {
		switch {
		case formHeaders[name] != "":
			c.request.Header.Set(formHeaders[name], value)
		case name == "tagging":
			tags, err := formTags(value)
			if err != nil {
				return err
			}
			c.request.Header.Set("X-Amz-Tagging", tags)
		case name == "x-amz-signature", name == "x-amz-credential", name == "x-amz-algorithm", name == "x-amz-date", name == "x-amz-security-token":
		case strings.HasPrefix(name, "x-amz-"):
			c.request.Header.Set(name, value)
		}
	}
	c.route.labels["Key"] = c.form.fields["key"]
	c.upload = &upload{call: c, from: &formFile{form: c.form, body: c.http.Body}}
	return nil
}

// formTags turns the document of the field tagging into the form that the header has.
func formTags(document string) (string, error) {
	var tagging struct {
		Tags []struct{ Key, Value string } `xml:"TagSet>Tag"`
	}
	if err := xml.Unmarshal([]byte(document), &tagging); err != nil {
		return "", malformedXML(err)
	}
	values := url.Values{}
	for _, tag := range tagging.Tags {
		values.Add(tag.Key, tag.Value)
	}
	return values.Encode(), nil
}

// formFile is the file of a form, within the sizes of its policy.
type formFile struct {
	form *postForm
	body io.Closer
	size int64
}

func (f *formFile) Read(p []byte) (int, error) {
	n, err := f.form.file.Read(p)
	f.size += int64(n)
	if f.form.policy == nil {
		return n, err
	}
	if f.size > f.form.policy.MaxSize || errors.Is(err, io.EOF) {
		if wrong := f.form.policy.CheckSize(f.size); wrong != nil {
			return 0, wrong
		}
	}
	return n, err
}

func (f *formFile) Close() error { return f.body.Close() }

// formReply turns PutObject's answer into what the form asked for.
func (c *call) formReply(reply *Reply) *Reply {
	fields := c.form.fields
	bucket, key, etag := c.route.labels["Bucket"], c.route.labels["Key"], reply.Header.Get("ETag")
	location := *c.http.URL
	location.Scheme, location.Host = "http", c.http.Host
	if c.request.Secure {
		location.Scheme = "https"
	}
	location.RawQuery, location.Path, location.RawPath = "", strings.TrimSuffix(location.Path, "/")+"/"+key, ""
	reply.Header.Set("Location", location.String())
	redirect := fields["success_action_redirect"]
	if redirect == "" {
		redirect = fields["redirect"]
	}
	if to, err := url.Parse(redirect); err == nil && redirect != "" && to.Host != "" {
		// AWS: "POST Object": the three are appended in this order.
		added := "bucket=" + url.QueryEscape(bucket) + "&key=" + url.QueryEscape(key) + "&etag=" + url.QueryEscape(etag)
		to.RawQuery = strings.TrimPrefix(to.RawQuery+"&"+added, "&")
		reply.Header.Set("Location", to.String())
		reply.Status, reply.Body = http.StatusSeeOther, nil
		return reply
	}
	reply.Status, reply.Body = http.StatusNoContent, nil
	switch status, _ := strconv.Atoi(fields["success_action_status"]); status {
	case http.StatusOK:
		reply.Status = http.StatusOK
	case http.StatusCreated:
		reply.Status = http.StatusCreated
		reply.Header.Set("Content-Type", "application/xml")
		b := append([]byte(xmlDeclaration), "<PostResponse>"...)
		b = xmlText(xmlText(b, "Location", location.String()), "Bucket", bucket)
		reply.Body = append(xmlText(xmlText(b, "Key", key), "ETag", etag), "</PostResponse>"...)
	}
	return reply
}
