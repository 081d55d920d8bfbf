package awsapi

import (
	"bytes"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"miniaws/awsapi/meta"
)

// AWS: "Error responses" of the S3 API reference names codes and statuses; words and further elements as S3 sends them,
// collected from the issue trackers of its clients and of other stores (versitygw issues 915, 1236, 1242, 1398, 1487, 1733,
// 1810, 2072, 2075).

func invalidArgument(message, name, value string) *Error {
	return &Error{Code: "InvalidArgument", Message: message, Status: http.StatusBadRequest, Fault: smithy.FaultClient,
		Fields: map[string]string{"ArgumentName": name, "ArgumentValue": shorten(value)}}
}

func invalidRequest(message string) *Error {
	return &Error{Code: "InvalidRequest", Message: message, Status: http.StatusBadRequest, Fault: smithy.FaultClient}
}

// methodNotAllowed says what the method was used on, and which ones would do.
func methodNotAllowed(method, resource string, allowed []string) *Error {
	e := UnknownOperation(meta.RESTXML, "")
	e.Fields = map[string]string{"Method": shorten(method), "ResourceType": resource}
	if len(allowed) > 0 {
		e.Header = http.Header{"Allow": {strings.Join(allowed, ", ")}}
	}
	return e
}

// resourceTypes are the words for the levels of a path.
var resourceTypes = [...]string{levelService: "SERVICE", levelBucket: "BUCKET", levelObject: "OBJECT"}

func (rt route) level() int {
	switch {
	case rt.labels["Bucket"] == "":
		return levelService
	case rt.labels["Key"] == "":
		return levelBucket
	}
	return levelObject
}

// stray words a request to S3 that no operation of its path takes.
func (c *call) stray() error {
	level, query := c.route.level(), c.route.query
	if level == levelObject && c.http.Method == http.MethodGet {
		switch {
		case query.Has("uploads"):
			return invalidRequest("Key is not expected for the GET method ?uploads subresource")
		case query.Has("versions"):
			return invalidRequest("There is no such thing as the ?versions sub-resource for a key")
		case query.Has("attributes"):
			return invalidRequest("The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
		}
	}
	return methodNotAllowed(c.http.Method, resourceTypes[level], c.route.service.s3.methods(level, query))
}

// methods are those that some operation takes with the sub-resource that the query names.
func (router *s3Router) methods(level int, query map[string][]string) []string {
	var all []string
	for method, operations := range router.operations[level] {
		if slices.ContainsFunc(operations, func(o restOperation) bool {
			named := o.asks(query, http.Header{})
			for name := range query {
				named = named && (!router.resources[name] || slices.ContainsFunc(o.constants, func(c string) bool { return strings.HasPrefix(c, name) }))
			}
			return named
		}) {
			all = append(all, method)
		}
	}
	slices.Sort(all)
	return all
}

// overridable are the parameters that change the headers of an object's answer.
// AWS: GetObject, "Overriding response header values through the request".
var overridable = map[string]bool{
	"response-cache-control": true, "response-content-disposition": true, "response-content-encoding": true,
	"response-content-language": true, "response-content-type": true, "response-expires": true,
}

// bodied are operations that say of an empty body that it is empty, and not that it is no XML.
var bodied = map[string]bool{
	"PutBucketTagging": true, "PutBucketOwnershipControls": true, "PutBucketVersioning": true, "PutObjectLockConfiguration": true,
	"PutBucketCors": true, "PutBucketWebsite": true, "DeleteObjects": true, "PutObjectTagging": true,
}

func denied(message string) *Error {
	return &Error{Code: "AccessDenied", Message: message, Status: http.StatusForbidden, Fault: smithy.FaultClient}
}

// misplaced refuses headers and parameters that S3 does not take with the operation.
func (c *call) misplaced() error {
	if c.route.service.meta != meta.S3 {
		return nil
	}
	query, method := c.route.query, c.http.Method
	switch source := c.request.Header.Get("X-Amz-Copy-Source"); {
	case source == "":
	case method != http.MethodPut && method != http.MethodPost, method == http.MethodPost && query.Has("uploadId"):
		return invalidArgument("You can only specify a copy source header for copy requests.", "x-amz-copy-source", source)
	case method == http.MethodPut && c.http.ContentLength > 0:
		return invalidRequest("The request included a body. Requests of this type must not include a non-empty body.")
	}
	anonymous := c.request.Principal.Account == ""
	switch op := c.route.operation; {
	case bodied[op] && len(bytes.TrimSpace(c.plain)) == 0:
		return &Error{Code: "MissingRequestBodyError", Message: "Request Body is empty", Status: http.StatusBadRequest, Fault: smithy.FaultClient}
	case !anonymous:
	case op == "CreateMultipartUpload":
		return denied("Anonymous users cannot initiate multipart uploads.  Please authenticate.")
	case op == "CopyObject":
		return denied("Anonymous users cannot copy objects.  Please authenticate.")
	case strings.HasSuffix(op, "BucketOwnershipControls"):
		return denied("s3:" + op + " does not support Anonymous requests!")
	}
	switch c.route.operation {
	case "PutObject", "CopyObject":
		switch {
		case query.Has("uploadId"):
			return methodNotAllowed(method, "UPLOAD", []string{"DELETE", "POST", "GET"})
		case query.Has("partNumber"):
			return invalidArgument("This operation does not accept partNumber without uploadId", "partNumber", query.Get("partNumber"))
		}
	case "GetObject", "HeadObject":
		for name := range query {
			switch {
			case !strings.HasPrefix(name, "response-"):
			case !overridable[name]:
				return invalidArgument(shorten(name)+" is not in the set of overridable response headers. Please refer to the S3 API documentation for a complete list of overridable response headers.", shorten(name), query.Get(name))
			case anonymous:
				return invalidRequest("Request specific response headers cannot be used for anonymous GET requests.")
			}
		}
	}
	return nil
}

// worded gives a value of S3's that cannot be read the words that S3 has for it.
func (c *call) worded(m *Message, err error) error {
	var e *Error
	if c.route.service.meta != meta.S3 || !errors.As(err, &e) || e.Code != "InvalidArgument" || e.member == "" {
		return err
	}
	value := m.Header.Get(e.member)
	if m.Query[e.member] != nil {
		value = m.Query.Get(e.member)
	}
	name := strings.ToLower(e.member)
	switch name {
	case "max-keys", "max-uploads", "max-parts", "max-buckets":
		return invalidArgument("Provided "+name+" not an integer or within integer range", name, value)
	case "partnumber":
		return invalidArgument("Part number must be an integer between 1 and 10000, inclusive", e.member, value)
	case "x-amz-object-lock-retain-until-date":
		return invalidArgument("The retain until date must be provided in ISO 8601 format", name, value)
	case "x-amz-mp-object-size":
		return invalidRequest("Value for x-amz-mp-object-size header is invalid: '" + shorten(value) + "'")
	}
	return err
}
