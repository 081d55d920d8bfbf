package sigv4

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // SigV2 is HMAC-SHA1; HMAC does not need SHA-1 to resist collisions
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// parseV2 reads AWSAccessKeyId, Signature and Expires.
//
// AWS: "Signing and authenticating REST requests (AWS signature version 2)", section "Query string
// request authentication alternative". boto3's generate_presigned_url still makes these.
func parseV2(r *http.Request) (*Signature, error) {
	s := &Signature{Version: V2, Carrier: InQuery, Service: "s3", Payload: PayloadUnsigned, PayloadHash: unsignedPayload}
	var given int
	twice := false
	queryPairs(r.URL.RawQuery, func(name, value string) bool {
		var field *string
		switch name = decode(name); {
		case name == "AWSAccessKeyId":
			field = &s.AccessKeyID
		case name == "Signature":
			field = &s.signature
		case name == "Expires":
			field, given = &s.expires, given+1
		case strings.EqualFold(name, "x-amz-security-token"):
			field = &s.SessionToken
		default:
			return true
		}
		twice = twice || *field != ""
		*field = decode(value)
		return true
	})
	if twice || s.AccessKeyID == "" || s.signature == "" || given != 1 || len(s.AccessKeyID) > maxName {
		return nil, s.detail(MalformedV2, "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters")
	}
	seconds, err := strconv.ParseInt(s.expires, 10, 64)
	if err != nil || seconds < 0 || seconds > 1<<31-1 { // S3 takes no more than 32 bits
		return nil, s.detail(MalformedV2, "Invalid date (should be seconds since epoch): "+s.expires)
	}
	s.Expires = time.Unix(seconds, 0).UTC()
	if s.SessionToken == "" {
		s.SessionToken = r.Header.Get("X-Amz-Security-Token")
	}
	return s, nil
}

func (s *Signature) verifyV2(r *http.Request, secret string, opts Options) error {
	if opts.Body != nil || !opts.Streamed && r.ContentLength > 0 {
		// Nothing binds the body; refusing here keeps V2 to S3's streamed object bodies.
		return s.fail(UnsupportedAlgorithm, "AWS", "")
	}
	path := rawPath(r)
	if opts.VirtualBucket != "" {
		path = "/" + opts.VirtualBucket + path
	}
	text := s.stringToSignV2(r, path)
	match := s.matchV2(secret, text)
	if !match && strings.LastIndexByte(path, '/') == 0 && path != "/" {
		// AWS: for "/bucket" in the path, botocore signs "/bucket/" as it does for a bucket in the host name.
		match = s.matchV2(secret, s.stringToSignV2(r, path+"/"))
	}
	if !match {
		err := s.fail(SignatureMismatch, "", "")
		err.StringToSign, err.SignatureProvided = text, s.signature
		return err
	}
	s.verified = true
	return nil
}

// matchV2 compares HMAC-SHA1(secret, text) with the base64 signature that was sent.
func (s *Signature) matchV2(secret, text string) bool {
	mac := hmac.New(sha1.New, []byte(secret))
	mac.Write([]byte(text))
	claimed, err := base64.StdEncoding.DecodeString(s.signature)
	return err == nil && secret != "" && hmac.Equal(mac.Sum(nil), claimed)
}

// stringToSignV2 is method, Content-MD5, Content-Type, Expires, x-amz-* headers and resource.
// Headers that botocore moved into the query count as headers.
func (s *Signature) stringToSignV2(r *http.Request, path string) string {
	headers := map[string]string{}
	// What comes twice is signed with all its values, so that none is left out.
	add := func(name, value string) {
		if was, twice := headers[name]; twice {
			value = was + "," + value
		}
		headers[name] = value
	}
	var resource []pair
	queryPairs(r.URL.RawQuery, func(name, value string) bool {
		name, value = decode(name), decode(value)
		lowered := strings.ToLower(name)
		switch {
		case name == "AWSAccessKeyId", name == "Signature", name == "Expires", listingParameters[name]:
		case strings.HasPrefix(lowered, "x-amz-"), lowered == "content-md5", lowered == "content-type":
			add(lowered, value)
		default:
			resource = append(resource, pair{name, value})
		}
		return true
	})
	for key, values := range r.Header {
		if strings.HasPrefix(key, "X-Amz-") || key == "Content-Md5" || key == "Content-Type" {
			trimmed := make([]string, len(values))
			for i, value := range values {
				trimmed[i] = strings.TrimSpace(value)
			}
			// Who was given a URL with a content type in its query sends the header, too: the same counts once.
			name, value := strings.ToLower(key), strings.Join(trimmed, ",")
			if was, twice := headers[name]; !twice || was != value {
				add(name, value)
			}
		}
	}
	var b strings.Builder
	b.WriteString(r.Method + "\n" + headers["content-md5"] + "\n" + headers["content-type"] + "\n" + s.expires + "\n")

	names := make([]string, 0, len(headers))
	for name := range headers {
		if strings.HasPrefix(name, "x-amz-") {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		b.WriteString(name + ":" + headers[name] + "\n")
	}

	b.WriteString(path)
	slices.SortStableFunc(resource, func(x, y pair) int { return strings.Compare(x.name, y.name) })
	separator := "?"
	for _, p := range resource {
		b.WriteString(separator + p.name)
		if p.value != "" {
			b.WriteString("=" + p.value)
		}
		separator = "&"
	}
	return b.String()
}

// listingParameters are what SigV2 leaves unsigned: they choose a page of a
// list, never an operation. AWS signs a fixed list of sub-resources and leaves
// everything else unsigned, which would let the holder of a presigned URL turn
// it into another operation with a sub-resource younger than that list; here
// everything else is signed.
var listingParameters = map[string]bool{
	"continuation-token": true, "delimiter": true, "encoding-type": true, "fetch-owner": true,
	"key-marker": true, "list-type": true, "marker": true, "max-keys": true, "max-parts": true,
	"max-uploads": true, "part-number-marker": true, "prefix": true, "start-after": true,
	"upload-id-marker": true, "version-id-marker": true, "x-id": true,
}
