package sigv4

import (
	"net/http"
	"strings"
	"time"
)

// parseHeader reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…".
func parseHeader(r *http.Request, auth string) (*Signature, error) {
	s := &Signature{Version: V4, Carrier: InHeader}
	if len(auth) > maxAuthorization {
		return nil, s.detail(TooLarge, "The Authorization header is too long.")
	}
	scheme, rest, spaced := strings.Cut(auth, " ")
	switch scheme {
	case algorithm:
	case algorithm4A, "AWS":
		return nil, s.fail(UnsupportedAlgorithm, scheme, "")
	default:
		err := s.fail(UnsupportedScheme, scheme, "")
		err.Detail = "Unsupported Authorization Type"
		if !spaced {
			err.Detail = "Authorization header is invalid -- one and only one ' ' (space) required."
		}
		err.Fields = []Field{{"ArgumentName", "Authorization"}, {"ArgumentValue", clip(scheme)}}
		return nil, err
	}
	credential, signed, err := s.components(rest)
	if err != nil {
		return nil, err
	}
	if err := s.setHeaderTime(r); err != nil {
		return nil, err
	}
	if err := s.setCredential(credential); err != nil {
		return nil, err
	}
	if !s.setSignedHeaders(signed) {
		return nil, s.detail(MalformedComponent, "SignedHeaders must be lower-case header names separated by semicolons.")
	}
	if s.SessionToken, err = s.single(r, "X-Amz-Security-Token"); err != nil {
		return nil, err
	}
	hash, err := s.single(r, "X-Amz-Content-Sha256")
	if err != nil {
		return nil, err
	}
	if err := s.setPayload(hash); err != nil {
		return nil, err
	}
	return s, nil
}

// components splits the part of the header after the algorithm.
func (s *Signature) components(rest string) (credential, signed string, err error) {
	var found [3]bool
	count := 0
	for rest != "" {
		var one string
		one, rest, _ = strings.Cut(rest, ",")
		one = strings.TrimSpace(one)
		if one == "" {
			continue
		}
		count++
		name, value, ok := strings.Cut(one, "=")
		if !ok {
			err := s.detail(MalformedComponent, "'"+clip(one)+"' not a valid key=value pair (missing equal-sign) in Authorization header.")
			err.S3Detail = "the authorization component \"" + clip(one) + "\" is malformed."
			return "", "", err
		}
		which := 0
		switch name {
		case "Credential":
			credential = value
		case "SignedHeaders":
			which, signed = 1, value
		case "Signature":
			which, s.signature = 2, value
		default:
			continue
		}
		if found[which] {
			return "", "", s.detail(MalformedComponent, "Authorization header contains '"+name+"' more than once.")
		}
		found[which] = true
	}
	var missing strings.Builder
	var absent []string
	for i, name := range [...]string{"Credential", "SignedHeaders", "Signature"} {
		if !found[i] {
			absent = append(absent, name)
			missing.WriteString("Authorization header requires '" + name + "' parameter. ")
		}
	}
	if missing.Len() > 0 {
		err := s.detail(MissingComponents, strings.TrimSpace(missing.String()))
		err.S3Detail = "the authorization header requires three components: Credential, SignedHeaders, and Signature."
		if count == len(found) { // there are three, but one has another name
			err.S3Detail = "missing " + absent[0] + "."
		}
		return "", "", err
	}
	return credential, signed, nil
}

// setHeaderTime takes X-Amz-Date, or else Date, whose RFC 1123 form is signed as ISO 8601.
func (s *Signature) setHeaderTime(r *http.Request) error {
	stamp, err := s.single(r, "X-Amz-Date")
	if err != nil {
		return err
	}
	if stamp != "" {
		if !s.setTime(stamp) {
			return s.fail(MalformedDate, stamp, "")
		}
		return nil
	}
	stamp, err = s.single(r, "Date")
	if err != nil {
		return err
	}
	if stamp == "" {
		return s.fail(MissingDate, "", "")
	}
	if s.setTime(stamp) {
		return nil
	}
	t, err := http.ParseTime(stamp)
	if err != nil { // botocore writes -0000 for GMT
		t, err = time.Parse(time.RFC1123Z, stamp)
	}
	if err != nil {
		return s.fail(MalformedDate, stamp, "")
	}
	s.Time = t.UTC().Truncate(time.Second)
	s.amzDate = s.Time.Format(timeFormat)
	return nil
}

// single refuses a header that decides about the signature and came twice.
func (s *Signature) single(r *http.Request, key string) (string, error) {
	switch values := r.Header[key]; len(values) {
	case 0:
		return "", nil
	case 1:
		return strings.TrimSpace(values[0]), nil
	}
	return "", s.detail(MalformedComponent, "The header "+key+" was sent more than once.")
}

func (s *Signature) detail(kind Kind, sentence string) *Error {
	err := s.fail(kind, "", "")
	err.Detail = sentence
	return err
}
