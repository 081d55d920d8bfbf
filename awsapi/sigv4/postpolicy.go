package sigv4

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"miniaws/backend/sha"
)

// maxForm bounds the fields before the file.
// AWS: "Error responses": MaxPostPreDataLengthExceeded; "POST Object": 20 KB.
const (
	maxForm   = 20 << 10
	maxFields = 200
)

// Form is the fields of an S3 POST form that stand before the file, by lower-case name.
type Form map[string]string

// Add puts a field into the form. Names are compared without case; a field that
// comes twice would be checked once and used once more, so it is refused.
func (f Form) Add(name, value string) error {
	name = strings.ToLower(name)
	if _, twice := f[name]; twice {
		return &Error{Kind: MalformedComponent, Carrier: InForm, Detail: "The form field " + clip(name) + " was sent more than once."}
	}
	size := len(name) + len(value)
	for n, v := range f {
		size += len(n) + len(v)
	}
	if size > maxForm || len(f) >= maxFields {
		return &Error{Kind: FormTooLarge, Carrier: InForm}
	}
	f[name] = value
	return nil
}

// ParseForm reads the signature of a POST form, SigV4 or SigV2. A form without
// one gives MissingAuth: it is an anonymous upload.
//
// AWS: "Browser-Based Uploads Using POST"; "Creating an HTML form (using AWS signature version 4)".
func ParseForm(f Form) (*Signature, error) {
	s := &Signature{Version: V4, Carrier: InForm, Payload: PayloadUnsigned, PayloadHash: unsignedPayload, SessionToken: f["x-amz-security-token"]}
	_, v4 := f["x-amz-signature"]
	_, v2 := f["signature"]
	switch {
	case v4 && v2:
		return nil, s.fail(MultipleAuth, "", "")
	case v2:
		s.Version, s.Service = V2, "s3"
		s.AccessKeyID, s.signature = f["awsaccesskeyid"], f["signature"]
		if s.AccessKeyID == "" || len(s.AccessKeyID) > maxName || f["policy"] == "" {
			return nil, s.lacks("AWSAccessKeyId")
		}
		return s, nil
	case !v4:
		if f["policy"] != "" {
			return nil, s.lacks("x-amz-signature")
		}
		return nil, s.fail(MissingAuth, "", "")
	}
	for _, name := range [...]string{"policy", "x-amz-algorithm", "x-amz-credential", "x-amz-date", "x-amz-signature"} {
		if f[name] == "" {
			return nil, s.lacks(name)
		}
	}
	if f["x-amz-algorithm"] != algorithm {
		return nil, s.argument(s.fail(UnsupportedAlgorithm, f["x-amz-algorithm"], ""), "X-Amz-Algorithm", f["x-amz-algorithm"])
	}
	if !s.setTime(f["x-amz-date"]) {
		return nil, s.argument(s.fail(MalformedDate, f["x-amz-date"], ""), "X-Amz-Date", f["x-amz-date"])
	}
	if err := s.setCredential(f["x-amz-credential"]); err != nil {
		return nil, s.argument(err, "x-amz-credential", f["x-amz-credential"])
	}
	s.signature = f["x-amz-signature"]
	return s, nil
}

// VerifyForm checks the signature over the form's policy and returns the
// policy, whose conditions the caller must still Check. Only Now, Service,
// Region and Keys of opts matter.
func (s *Signature) VerifyForm(f Form, secret string, opts Options) (*PostPolicy, error) {
	if s.Carrier != InForm {
		return nil, s.fail(MultipleAuth, "", "")
	}
	if err := s.checkScope(opts); err != nil {
		return nil, s.argument(err, "x-amz-credential", f["x-amz-credential"])
	}
	if err := s.checkTime(opts.Now); err != nil {
		return nil, err
	}
	policy := f["policy"]
	if s.Version == V2 {
		if !s.matchV2(secret, policy) {
			err := s.fail(SignatureMismatch, "", "")
			err.StringToSign, err.SignatureProvided = policy, s.signature
			return nil, err
		}
		s.verified = true
	} else {
		b := make([]byte, sha.BlockSize, sha.BlockSize+len(policy))
		if err := s.match(secret, opts.Keys, append(b, policy...)); err != nil {
			return nil, err
		}
	}
	parsed, err := parsePolicy(policy)
	if err != nil {
		return nil, err
	}
	if !opts.Now.Before(parsed.Expires) {
		return nil, s.fail(PolicyExpired, "", "")
	}
	return parsed, nil
}

// lacks is the answer to a form without a field that its signature needs.
func (s *Signature) lacks(name string) error {
	return s.argument(s.detail(MissingComponents, "Bucket POST must contain a field named '"+name+"'.  If it is specified, please check the order of the fields."), name, "")
}

// argument names the field of a form that an error is about.
func (s *Signature) argument(err error, name, value string) error {
	var refused *Error
	if errors.As(err, &refused) && refused.Fields == nil {
		refused.Fields = []Field{{"ArgumentName", name}}
		if value != "" {
			refused.Fields = append(refused.Fields, Field{"ArgumentValue", clip(value)})
		}
	}
	return err
}

// PostPolicy is a signed promise of what a form may upload.
type PostPolicy struct {
	// Expires is when the form ends.
	Expires time.Time
	// MinSize and MaxSize bound the file; 0 and math.MaxInt64 without a content-length-range.
	MinSize, MaxSize int64

	conditions []condition
}

// condition is one rule: operator "eq" or "starts-with", a field in lower case, a value.
type condition struct{ operator, field, value, text string }

// parsePolicy reads the base64 JSON document.
//
// AWS: "POST Policy" (Amazon S3 API reference).
func parsePolicy(encoded string) (*PostPolicy, error) {
	text, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, badPolicy("invalid Base64 encoding.")
	}
	if len(text) == 0 {
		return nil, badPolicy("Expecting '{' but found End-of-Input")
	}
	var doc struct {
		Expiration *string
		Conditions []json.RawMessage
	}
	var members map[string]json.RawMessage // a structure would take names in any case
	decoder := json.NewDecoder(bytes.NewReader(text))
	if err := decoder.Decode(&members); err != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	for name := range members {
		if name != "expiration" && name != "conditions" {
			return nil, badPolicy(fmt.Sprintf("Unexpected: %q", clip(name)))
		}
	}
	if raw, ok := members["expiration"]; ok && json.Unmarshal(raw, &doc.Expiration) != nil {
		return nil, badPolicy("Invalid JSON.")
	}
	if raw, ok := members["conditions"]; ok && json.Unmarshal(raw, &doc.Conditions) != nil {
		return nil, badPolicy("Invalid 'conditions' value: must be a List.")
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, badPolicy("Invalid JSON.")
	}
	if doc.Expiration == nil {
		return nil, badPolicy("Policy missing expiration.")
	}
	if doc.Conditions == nil {
		return nil, badPolicy("Policy missing conditions.")
	}
	p := &PostPolicy{MaxSize: math.MaxInt64}
	if p.Expires, err = time.Parse(time.RFC3339, *doc.Expiration); err != nil {
		return nil, badPolicy("Invalid 'expiration' value: '" + clip(*doc.Expiration) + "'")
	}
	for _, raw := range doc.Conditions {
		if err := p.add(raw); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add reads {"field": "value"}, ["eq"|"starts-with", "$field", "value"] or ["content-length-range", min, max].
func (p *PostPolicy) add(raw json.RawMessage) error {
	var simple map[string]any
	if json.Unmarshal(raw, &simple) == nil && simple != nil {
		if len(simple) != 1 {
			return badPolicy("Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.")
		}
		for name, value := range simple {
			text, ok := value.(string)
			if !ok {
				return badPolicy("Invalid Simple-Condition: value must be a string.")
			}
			p.conditions = append(p.conditions, newCondition("eq", name, text))
		}
		return nil
	}
	var list []any
	if json.Unmarshal(raw, &list) != nil {
		return badPolicy("Invalid condition test: must be a List or Object.")
	}
	if len(list) == 0 {
		return badPolicy("Invalid Condition: missing operation identifier.")
	}
	written, _ := list[0].(string)
	operator := strings.ToLower(written)
	switch {
	case operator != "eq" && operator != "starts-with" && operator != "content-length-range":
		return badPolicy("Invalid Condition: unknown operation '" + clip(written) + "'.")
	case len(list) != 3:
		return badPolicy("Invalid " + operator + ": wrong number of arguments.")
	}
	if operator == "content-length-range" {
		low, okLow := bound(list[1])
		high, okHigh := bound(list[2])
		if !okLow || !okHigh {
			return badPolicy("Invalid JSON.")
		}
		p.MinSize, p.MaxSize = max(p.MinSize, low), min(p.MaxSize, high)
		return nil
	}
	field, okField := list[1].(string)
	value, okValue := list[2].(string)
	if !okField || !okValue {
		return badPolicy("Invalid JSON.")
	}
	name, dollar := strings.CutPrefix(field, "$")
	c := newCondition(operator, name, value)
	if !dollar { // no field at all, so it never holds
		c.field, c.text = "", fmt.Sprintf("[%q, %q, %q]", operator, field, value)
	}
	p.conditions = append(p.conditions, c)
	return nil
}

func newCondition(operator, field, value string) condition {
	return condition{operator, strings.ToLower(field), value, fmt.Sprintf("[%q, %q, %q]", operator, "$"+field, value)}
}

// bound reads a size that may be a number or a string of digits.
func bound(v any) (int64, bool) {
	switch v := v.(type) {
	case float64:
		return int64(v), v >= 0 && v <= 1<<53 && v == math.Trunc(v)
	case string:
		n, err := strconv.ParseInt(v, 10, 64)
		return n, err == nil && n >= 0
	}
	return 0, false
}

// Check compares the form with the policy: every condition must hold and every
// field must be named by one. The bucket is the one of the request's URL; a
// "${filename}" in the key must be replaced before.
func (p *PostPolicy) Check(f Form, bucket string) error {
	named := map[string]bool{}
	for _, c := range p.conditions {
		value, sent := f[c.field]
		if c.field == "bucket" {
			value, sent = bucket, true
		}
		named[c.field] = true
		// AWS: also ["starts-with", "$filename", ""] fails where there is no such field.
		if c.field == "" || !sent || !c.holds(value) {
			return &Error{Kind: PolicyConditionFailed, Carrier: InForm, Detail: c.text}
		}
	}
	if !named["bucket"] {
		return &Error{Kind: ExtraFormField, Carrier: InForm, Detail: "bucket"}
	}
	for name := range f {
		switch name {
		case "policy", "signature", "x-amz-signature", "awsaccesskeyid", "file", "bucket":
			continue
		}
		if !named[name] && !strings.HasPrefix(name, "x-ignore-") {
			return &Error{Kind: ExtraFormField, Carrier: InForm, Detail: name}
		}
	}
	return nil
}

// holds compares one value. AWS: a Content-Type is a list, of which every member must match.
func (c condition) holds(value string) bool {
	if c.operator == "eq" {
		return value == c.value
	}
	if c.field != "content-type" {
		return strings.HasPrefix(value, c.value)
	}
	for one := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimSpace(one), c.value) {
			return false
		}
	}
	return true
}

// CheckSize compares the size of the file with content-length-range. Reading
// should stop at MaxSize: a file that is too long is refused either way.
func (p *PostPolicy) CheckSize(size int64) error {
	switch {
	case size > p.MaxSize:
		return &Error{Kind: EntityTooLarge, Carrier: InForm, Fields: []Field{
			{"ProposedSize", strconv.FormatInt(size, 10)}, {"MaxSizeAllowed", strconv.FormatInt(p.MaxSize, 10)},
		}}
	case size < p.MinSize:
		return &Error{Kind: EntityTooSmall, Carrier: InForm, Fields: []Field{
			{"ProposedSize", strconv.FormatInt(size, 10)}, {"MinSizeAllowed", strconv.FormatInt(p.MinSize, 10)},
		}}
	}
	return nil
}

func badPolicy(sentence string) *Error {
	return &Error{Kind: InvalidPolicy, Carrier: InForm, Detail: sentence}
}
