package sigv4

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// presignedBy looks for the parameters that make a query a presigned one. It is
// on the path of every request, so it only reads the query when it has to.
// AWS: S3 takes a URL with Signature and Expires and no key, as CloudFront signs them, for one of version 2 that lacks it
// (aws-sdk-php's issue 97).
func presignedBy(query string) (v4, v2 bool) {
	if !strings.Contains(query, "X-Amz-") && !strings.Contains(query, "Signature") && !strings.Contains(query, "%") {
		return false, false
	}
	var key, signature, expires bool
	queryPairs(query, func(name, _ string) bool {
		switch decode(name) {
		case "X-Amz-Algorithm", "X-Amz-Signature", "X-Amz-Credential":
			v4 = true
		case "AWSAccessKeyId":
			key = true
		case "Signature":
			signature = true
		case "Expires":
			expires = true
		}
		return true
	})
	return v4, signature && (key || expires)
}

// presignNames are the parameters of a presigned URL that are read here.
var presignNames = [...]string{
	"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-Date", "X-Amz-SignedHeaders", // required
	"X-Amz-Expires", "X-Amz-Security-Token", "X-Amz-Content-Sha256",
}

// parsePresigned reads the X-Amz-* parameters of a presigned URL.
func parsePresigned(r *http.Request) (*Signature, error) {
	s := &Signature{Version: V4, Carrier: InQuery}
	var values [len(presignNames)]string
	var found [len(presignNames)]bool
	twice := ""
	queryPairs(r.URL.RawQuery, func(name, value string) bool {
		name = decode(name)
		for i, known := range presignNames {
			if name == known {
				if found[i] {
					twice = name
				}
				found[i], values[i] = true, decode(value)
			}
		}
		return true
	})
	if twice != "" {
		return nil, s.detail(MalformedComponent, "AWS query-string parameters contain '"+twice+"' more than once.")
	}
	var missing strings.Builder
	for i, name := range presignNames[:5] {
		if values[i] == "" {
			missing.WriteString("AWS query-string parameters must include '" + name + "'. ")
		}
	}
	if missing.Len() > 0 {
		return nil, s.detail(MissingComponents, missing.String()+"Re-examine the query-string parameters.")
	}
	switch values[0] {
	case algorithm:
	case algorithm4A:
		return nil, s.fail(UnsupportedAlgorithm, algorithm4A, "")
	default:
		return nil, s.detail(MalformedComponent, `X-Amz-Algorithm only supports "AWS4-HMAC-SHA256 and AWS4-ECDSA-P256-SHA256"`)
	}
	if !s.setTime(values[3]) {
		return nil, s.fail(MalformedDate, values[3], "")
	}
	if err := s.setCredential(values[1]); err != nil {
		return nil, err
	}
	if !s.setSignedHeaders(values[4]) {
		return nil, s.detail(MalformedComponent, "X-Amz-SignedHeaders must be lower-case header names separated by semicolons.")
	}
	if err := s.setExpires(values[5], found[5]); err != nil {
		return nil, err
	}
	s.signature, s.SessionToken = values[2], values[6]

	hash, err := s.single(r, "X-Amz-Content-Sha256")
	if err != nil {
		return nil, err
	}
	if found[7] {
		hash = values[7]
	}
	if hash == "" && isS3(s.Service) {
		hash = unsignedPayload
	}
	if err := s.setPayload(hash); err != nil {
		return nil, err
	}
	return s, nil
}

// setExpires reads X-Amz-Expires. S3 insists on it; elsewhere its absence means 15 minutes.
func (s *Signature) setExpires(value string, given bool) error {
	seconds := int64(defaultExpires)
	if !given && isS3(s.Service) {
		return s.detail(MissingComponents, "AWS query-string parameters must include 'X-Amz-Expires'. Re-examine the query-string parameters.")
	}
	if given {
		n, err := strconv.ParseInt(value, 10, 64)
		switch {
		case err != nil:
			return s.detail(MalformedExpires, "X-Amz-Expires should be a number")
		case n < 0:
			return s.detail(NegativeExpires, "X-Amz-Expires must be non-negative")
		case n > maxExpires:
			return s.detail(ExpiresTooLong, "X-Amz-Expires must be less than a week (in seconds); that is, the given X-Amz-Expires must be less than 604800 seconds")
		}
		seconds = n
	}
	s.expires = strconv.FormatInt(seconds, 10)
	s.Expires = s.Time.Add(time.Duration(seconds) * time.Second)
	return nil
}
