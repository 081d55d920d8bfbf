package sigv4

import (
	"errors"
	"io"
	"strings"
)

// Kind says what is wrong with a request, independent of how a service words it.
type Kind uint8

// The kinds, in the order in which a request meets the checks.
const (
	_ Kind = iota

	MissingAuth          // no signature at all; S3 callers treat it as an anonymous request
	MultipleAuth         // more than one signature, or one header sent twice
	UnsupportedScheme    // Authorization of another kind: Basic, Bearer
	UnsupportedAlgorithm // SigV4A, or SigV2 where it is not taken
	TooLarge             // header or query string beyond our bounds
	MissingComponents    // Credential, SignedHeaders, Signature or a query parameter is absent
	MalformedComponent   // a component that cannot be read, or is there twice
	MalformedCredential  // not five parts
	MalformedScopeDate   // the credential's date is not yyyyMMdd
	WrongScopeDate       // the credential's date is not the request's
	WrongRegion          // scope of another region than Options.Region
	WrongService         // scope of another service than Options.Service
	WrongTerminator      // scope does not end in aws4_request
	MissingDate
	MalformedDate
	MalformedExpires
	NegativeExpires
	ExpiresTooLong
	MalformedV2        // SigV2 parameters missing or unreadable
	MissingPayloadHash // S3 without x-amz-content-sha256
	InvalidPayloadHash // neither a hash nor a keyword that is allowed here
	UnknownAccessKey   // only made by callers, after their lookup
	InvalidToken       // only made by callers: the session token is not this key's
	ExpiredToken       // only made by callers: the session is over
	Skewed             // header signature too old or too far ahead
	NotYetValid        // presigned URL dated in the future
	Expired            // presigned URL after its end
	UnsignedHeaders    // a header that matters is not covered by the signature
	SignatureMismatch

	PayloadMismatch // the body is not the one that was signed
	MissingDecodedLength
	IncompleteBody // ends early, or is longer than announced
	MalformedChunk
	ChunkTooSmall
	MalformedTrailer

	FormTooLarge
	InvalidPolicy
	PolicyExpired
	PolicyConditionFailed
	ExtraFormField
	EntityTooSmall
	EntityTooLarge

	kinds // count
)

// Carrier is the part of the request that carries the signature.
type Carrier uint8

// Where a signature can be.
const (
	InHeader Carrier = iota
	InQuery
	InForm
)

// Field is a member that S3 adds to an error body, such as Region or ServerTime.
type Field struct{ Name, Value string }

// Error is every refusal of this package. It never holds a secret or a key
// derived from one, so all of it may be shown to the client; only Error's text
// belongs into logs, because the canonical request can hold a session token.
type Error struct {
	Kind    Kind
	Carrier Carrier

	Got, Want string // what was sent and what is expected, for kinds that compare two values
	Detail    string // one English sentence for kinds that have many causes
	S3Detail  string // the sentence of S3, where it has another one than Detail or than the kind

	AccessKeyID       string
	SignatureProvided string
	CanonicalRequest  string // set for SignatureMismatch, except SigV2 and forms
	StringToSign      string // set for SignatureMismatch
	Fields            []Field
}

// NewError makes the errors only a caller can know of: UnknownAccessKey,
// InvalidToken and ExpiredToken for the given signature.
func (s *Signature) NewError(kind Kind) *Error {
	return &Error{Kind: kind, Carrier: s.Carrier, AccessKeyID: s.AccessKeyID}
}

// Error words the refusal for logs, as query services would.
func (e *Error) Error() string {
	a := e.Answer(Query)
	return "sigv4: " + a.Code + ": " + a.Message
}

// Is makes errors.Is(err, &Error{Kind: k}) compare kinds only.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Kind == e.Kind
}

// KindOf returns the kind of err, or zero when err is not of this package.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return 0
}

// Answer is how a service family tells a client of an error.
type Answer struct {
	Code    string
	Status  int
	Message string
	Fields  []Field // S3 only, in S3's order
}

// Answer words e for a family. Every kind has an answer in every family.
func (e *Error) Answer(f Family) Answer {
	row := rowFor(f, e)
	detail := e.Detail
	if f == S3 && e.S3Detail != "" {
		if detail = e.S3Detail; !strings.Contains(row.message, "{detail}") {
			row.message = detail
		}
	}
	message := strings.NewReplacer("{got}", clip(e.Got), "{want}", e.Want, "{detail}", clip(detail)).Replace(row.message)
	answer := Answer{Code: row.code, Status: row.status, Message: message}
	if f == S3 {
		answer.Fields = e.s3Fields()
	}
	return answer
}

// rowFor picks the row of the table that words e for f.
func rowFor(f Family, e *Error) row {
	if f == S3 {
		if row, ok := s3Carried[e.Carrier][e.Kind]; ok {
			return row
		}
	}
	own := queryAnswers
	if f < families {
		own = answers[f]
	}
	for _, table := range [...]map[Kind]row{own, queryAnswers} {
		for _, kind := range [...]Kind{e.Kind, alike[e.Kind]} {
			if row, ok := table[kind]; ok {
				return row
			}
		}
	}
	return queryAnswers[SignatureMismatch]
}

// s3Fields are the extra members of S3's error body for this kind.
func (e *Error) s3Fields() []Field {
	switch e.Kind {
	case SignatureMismatch:
		fields := []Field{
			{"AWSAccessKeyId", e.AccessKeyID},
			{"StringToSign", e.StringToSign},
			{"SignatureProvided", e.SignatureProvided},
			{"StringToSignBytes", spacedHex(e.StringToSign)},
		}
		if e.CanonicalRequest != "" {
			fields = append(fields, Field{"CanonicalRequest", e.CanonicalRequest},
				Field{"CanonicalRequestBytes", spacedHex(e.CanonicalRequest)})
		}
		return fields
	case UnknownAccessKey:
		return []Field{{"AWSAccessKeyId", e.AccessKeyID}}
	case WrongRegion:
		if e.Carrier != InForm {
			return []Field{{"Region", e.Want}}
		}
	}
	return e.Fields
}

// spacedHex writes bytes the way S3 does in its error bodies: "41 57 53".
func spacedHex(s string) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 0, 3*len(s))
	for i := range len(s) {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, digits[s[i]>>4], digits[s[i]&15])
	}
	return string(b)
}

// clip bounds what a client can make us echo.
func clip(s string) string {
	if len(s) > 512 {
		return s[:512]
	}
	return s
}

// bodyError turns a broken stream into IncompleteBody and leaves the errors of
// other layers (limits, cancelled contexts) as they are.
func bodyError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &Error{Kind: IncompleteBody}
	}
	return err
}
