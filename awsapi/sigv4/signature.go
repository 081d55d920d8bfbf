package sigv4

import (
	"encoding/hex"
	"net/http"
	"strings"
	"sync"
	"time"

	"miniaws/backend/sha"
)

const (
	algorithm   = "AWS4-HMAC-SHA256"
	algorithm4A = "AWS4-ECDSA-P256-SHA256"
	terminator  = "aws4_request"
	timeFormat  = "20060102T150405Z"
	dateFormat  = "20060102"

	// AWS: "Elements of an AWS API request signature": a request must arrive within 15 minutes of its time stamp.
	maxSkew = 15 * time.Minute
	// AWS: "Authenticating Requests: Using Query Parameters": at most seven days.
	maxExpires = 604800
	// AWS: presigned STS URLs of the Go SDK carry no X-Amz-Expires; they are good for 15 minutes.
	defaultExpires = 900

	maxAuthorization = 16 << 10
	maxQuery         = 64 << 10
	maxName          = 128 // access key id, region, service
)

// Version tells the two signature schemes apart.
type Version uint8

// V2 is only taken in S3 query strings and POST forms.
const (
	V4 Version = 4
	V2 Version = 2
)

// Signature is what a request claims about its signer. Nothing in it is true
// until Verify (or VerifyForm) returned nil. It belongs to one request and one
// goroutine.
type Signature struct {
	Version     Version
	Carrier     Carrier
	AccessKeyID string
	// SessionToken must be compared, by the caller, with the token issued with
	// AccessKeyID; empty when none came.
	SessionToken string

	// Date (yyyyMMdd), Region and Service are the credential scope. SigV2 has none: Service is "s3".
	Date, Region, Service string
	// SignedHeaders is the list as sent, lower case, separated by semicolons.
	SignedHeaders string

	// Time is when the request was signed; zero for SigV2.
	Time time.Time
	// Expires is when a presigned URL ends; zero otherwise.
	Expires time.Time

	// Payload is how the body is bound to the signature.
	Payload Payload
	// PayloadHash is x-amz-content-sha256 as sent, or what stands for it.
	PayloadHash string

	signature  string
	amzDate    string // Time as it stands in the string to sign
	expires    string // X-Amz-Expires or SigV2's Expires, as sent
	path       pathStyle
	key        *signingKey
	bodyLength int64
	verified   bool
}

// Options is what the server knows that the request cannot say.
type Options struct {
	// Now is the server's clock; required.
	Now time.Time
	// Service is the signing name that the route belongs to; empty takes any.
	// SigV2 is refused unless it is "s3" or empty.
	Service string
	// Region refuses other scopes when not empty.
	Region string

	// Streamed says that the body is not read yet: the caller must read it
	// through Signature.Body. Otherwise Body is the whole body (nil when there
	// is none), and Verify compares its hash.
	Streamed bool
	Body     []byte
	// AllowUnsignedPayload takes UNSIGNED-PAYLOAD for services other than S3,
	// for operations whose model says so (EBS PutSnapshotBlock).
	AllowUnsignedPayload bool

	// VirtualBucket is the bucket when it stood in the host name and not in the
	// path; SigV2 signs it as part of the path.
	VirtualBucket string

	// Keys saves deriving the signing key again; may be nil.
	Keys *KeyCache
}

// Parse reads the signature of a request without verifying anything. The error
// is always an *Error; its kind is MissingAuth when the request has none.
func Parse(r *http.Request) (*Signature, error) {
	if len(r.URL.RawQuery) > maxQuery {
		return nil, &Error{Kind: TooLarge, Detail: "The query string is too long."}
	}
	auth := r.Header["Authorization"]
	presigned, v2 := presignedBy(r.URL.RawQuery)
	if len(auth) > 1 || presigned && v2 || (presigned || v2) && len(auth) > 0 {
		return nil, &Error{Kind: MultipleAuth, Detail: "The request carries more than one signature.", Fields: []Field{{"ArgumentName", "Authorization"}}}
	}
	switch {
	case presigned:
		return parsePresigned(r)
	case v2:
		return parseV2(r)
	case len(auth) == 0 || auth[0] == "":
		return nil, &Error{Kind: MissingAuth}
	}
	return parseHeader(r, auth[0])
}

// Verify checks the signature with the secret of AccessKeyID, and everything
// that depends on the server: clock, scope, unsigned headers, the body when it
// is in opts. The error is always an *Error. After nil the request is the
// signer's, except that a streamed body proves itself in Body.
func (s *Signature) Verify(r *http.Request, secret string, opts Options) error {
	if s.Carrier == InForm {
		return s.fail(MultipleAuth, "", "")
	}
	if err := s.checkScope(opts); err != nil {
		return err
	}
	if err := s.checkTime(opts.Now); err != nil {
		return err
	}
	s.bodyLength = r.ContentLength
	if s.Version == V2 {
		return s.verifyV2(r, secret, opts)
	}
	if names := s.unsigned(r); names != nil {
		err := s.fail(UnsignedHeaders, titled(names[0]), "")
		err.Fields = []Field{{"HeadersNotSigned", strings.Join(names, ", ")}}
		return err
	}
	payload, err := s.payloadLine(opts)
	if err != nil {
		return err
	}

	buffer := buffers.Get().(*[]byte)
	defer func() {
		if cap(*buffer) <= maxQuery {
			buffers.Put(buffer)
		}
	}()
	b := s.appendCanonicalRequest((*buffer)[:0], r, payload)
	canonical := len(b)
	sum := sha.Sum256(b)
	b = append(b, make([]byte, sha.BlockSize)...) // room for HMAC's pad
	b = s.appendPrefix(b, algorithm)
	b = hex.AppendEncode(b, sum[:])
	*buffer = b

	if err := s.match(secret, opts.Keys, b[canonical:]); err != nil {
		err.CanonicalRequest = string(b[:canonical])
		return err
	}
	if opts.Streamed {
		if s.Payload == PayloadHashed && s.bodyLength == 0 {
			return s.CheckBody(nil)
		}
		return nil
	}
	return s.CheckBody(opts.Body)
}

// match signs the string that follows room for HMAC's pad, and compares.
func (s *Signature) match(secret string, keys *KeyCache, b []byte) *Error {
	id := keyID{secret, s.Date, s.Region, s.Service}
	key := keys.lookup(id)
	fresh := key == nil
	if fresh {
		key = derive(secret, s.Date, s.Region, s.Service)
	}
	if !equalHex(key.sum(b), s.signature) || secret == "" {
		err := s.fail(SignatureMismatch, "", "")
		err.StringToSign = string(b[sha.BlockSize:])
		err.SignatureProvided = s.signature
		return err
	}
	if fresh {
		keys.keep(id, key)
	}
	s.key, s.verified = key, true
	return nil
}

// appendCanonicalRequest is step 1 of "Create a signed AWS API request".
func (s *Signature) appendCanonicalRequest(b []byte, r *http.Request, payload string) []byte {
	b = append(b, r.Method...)
	b = append(b, '\n')
	b = appendPath(b, rawPath(r), s.path)
	b = append(b, '\n')
	without := ""
	if s.Carrier == InQuery {
		without = "X-Amz-Signature"
	}
	b = appendQuery(b, r.URL.RawQuery, without)
	b = append(b, '\n')
	b = appendHeaders(b, r, s.SignedHeaders)
	b = append(b, '\n')
	b = append(b, s.SignedHeaders...)
	b = append(b, '\n')
	return append(b, payload...)
}

// appendPrefix writes the first three lines of a string to sign: kind, time, scope.
func (s *Signature) appendPrefix(b []byte, kind string) []byte {
	b = append(b, kind...)
	b = append(b, '\n')
	b = append(b, s.amzDate...)
	b = append(b, '\n')
	b = append(b, s.Date...)
	b = append(b, '/')
	b = append(b, s.Region...)
	b = append(b, '/')
	b = append(b, s.Service...)
	return append(b, "/"+terminator+"\n"...)
}

func (s *Signature) checkScope(opts Options) error {
	if opts.Region != "" && s.Version == V4 && s.Region != opts.Region {
		return s.fail(WrongRegion, s.Region, opts.Region)
	}
	if opts.Service != "" && s.Service != opts.Service {
		if s.Version == V2 {
			return s.fail(UnsupportedAlgorithm, "AWS", "")
		}
		return s.fail(WrongService, s.Service, opts.Service)
	}
	return nil
}

func (s *Signature) checkTime(now time.Time) error {
	const seen = "2006-01-02T15:04:05Z"
	now = now.UTC()
	switch {
	case s.Version == V4 && s.Time.Sub(now) > maxSkew:
		kind := Skewed
		if s.Carrier == InQuery {
			kind = NotYetValid
		}
		err := s.fail(kind, s.amzDate, "")
		latest := now.Add(maxSkew).Format(timeFormat)
		err.Detail = "not yet current: " + s.amzDate + " is still later than " + latest + " (" + now.Format(timeFormat) + " + 15 min.)"
		err.Fields = []Field{{"RequestTime", s.amzDate}, {"ServerTime", now.Format(seen)}, {"MaxAllowedSkewMilliseconds", "900000"}}
		if kind == NotYetValid {
			err.Fields = []Field{{"X-Amz-Date", s.amzDate}, {"Expires", s.Expires.Format(seen)}, {"ServerTime", now.Format(seen)}}
		}
		return err
	case s.Carrier == InHeader && now.Sub(s.Time) > maxSkew:
		err := s.fail(Skewed, s.amzDate, "")
		earliest := now.Add(-maxSkew).Format(timeFormat)
		err.Detail = "expired: " + s.amzDate + " is now earlier than " + earliest + " (" + now.Format(timeFormat) + " - 15 min.)"
		err.Fields = []Field{{"RequestTime", s.amzDate}, {"ServerTime", now.Format(seen)}, {"MaxAllowedSkewMilliseconds", "900000"}}
		return err
	case s.Carrier == InQuery && now.After(s.Expires):
		err := s.fail(Expired, s.amzDate, "")
		err.Detail = "expired: " + s.Expires.Format(timeFormat) + " is now earlier than " + now.Format(timeFormat)
		if s.Version == V4 {
			err.Fields = append(err.Fields, Field{"X-Amz-Expires", s.expires})
		}
		err.Fields = append(err.Fields, Field{"Expires", s.Expires.Format(seen)}, Field{"ServerTime", now.Format(seen)})
		return err
	}
	return nil
}

// setCredential reads "keyid/date/region/service/aws4_request" and compares its date with s.Time.
func (s *Signature) setCredential(credential string) error {
	parts := strings.Split(clip(credential), "/")
	if len(parts) != 5 || !plain(parts[0]) || !plain(parts[2]) || !plain(parts[3]) {
		return s.fail(MalformedCredential, credential, "")
	}
	s.AccessKeyID, s.Date, s.Region, s.Service = parts[0], parts[1], parts[2], parts[3]
	s.path = styleOf(s.Service)
	if _, err := time.Parse(dateFormat, s.Date); err != nil {
		return s.fail(MalformedScopeDate, s.Date, s.Time.Format(dateFormat))
	}
	if want := s.Time.Format(dateFormat); s.Date != want {
		return s.fail(WrongScopeDate, s.Date, want)
	}
	if parts[4] != terminator {
		return s.fail(WrongTerminator, parts[4], terminator)
	}
	return nil
}

// setTime reads an ISO 8601 basic time stamp; time.Parse alone would take fractions of a second.
func (s *Signature) setTime(stamp string) bool {
	t, err := time.Parse(timeFormat, stamp)
	if err != nil || len(stamp) != len(timeFormat) {
		return false
	}
	s.Time, s.amzDate = t, stamp
	return true
}

// setSignedHeaders takes only names that cannot forge lines of the canonical request.
func (s *Signature) setSignedHeaders(list string) bool {
	for i := range len(list) {
		switch c := list[i]; {
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == ';', c == '_', c == '.':
		default:
			return false
		}
	}
	s.SignedHeaders = list
	return list != ""
}

// plain is a part of a credential: no separators, no control characters, bounded.
func plain(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case unreserved(c), c == '*', c == '+', c == '=', c == ':', c == '@':
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

func (s *Signature) fail(kind Kind, got, want string) *Error {
	return &Error{Kind: kind, Carrier: s.Carrier, Got: got, Want: want, AccessKeyID: s.AccessKeyID}
}

// titled writes a header name as AWS does in messages: 'Host', 'X-Amz-Target'.
func titled(name string) string {
	if name == "host" {
		return "Host' or ':authority"
	}
	return http.CanonicalHeaderKey(name)
}

// buffers hold canonical requests and strings to sign while they are hashed.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 0, 4<<10)
	return &b
}}
