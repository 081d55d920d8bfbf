package iam

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"miniaws/iam/policy"
)

// document is the text of a policy as it was given, to the last space. At rest long ones are compressed: in the allowed
// 131,072 characters there may be any amount of white space, and a record has 64 KiB.
type document string

// packedFrom is the length from which a document is compressed.
const packedFrom = 1 << 10

// MarshalJSON writes a string; "~" before it marks a compressed one, which no JSON document begins with.
func (d document) MarshalJSON() ([]byte, error) {
	if len(d) < packedFrom && !strings.HasPrefix(string(d), "~") {
		return json.Marshal(string(d))
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, string(d)); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return json.Marshal("~" + base64.StdEncoding.EncodeToString(packed.Bytes()))
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (d *document) UnmarshalJSON(raw []byte) error {
	var text string
	if err := json.Unmarshal(raw, &text); err != nil {
		return err
	}
	encoded, packed := strings.CutPrefix(text, "~")
	if !packed {
		*d = document(text)
		return nil
	}
	deflated, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("a packed policy document: %w", err)
	}
	plain, err := io.ReadAll(flate.NewReader(bytes.NewReader(deflated)))
	*d = document(plain)
	return err
}

// escaped is the form in which answers carry documents.
// AWS: "PolicyDocument" in the IAM API reference: URL-encoded, RFC 3986.
func (d document) escaped() *string {
	text := strings.ReplaceAll(url.QueryEscape(string(d)), "+", "%20")
	return &text
}

// size is the number of characters that quotas count.
// AWS: "IAM and STS quotas": white space does not count.
func (d document) size() int {
	n := 0
	for _, r := range string(d) {
		switch r {
		case ' ', '\t', '\n', '\r':
		default:
			n++
		}
	}
	return n
}

// checkPolicy refuses documents that are no policies of that kind, in AWS's words.
func checkPolicy(d document, kind policy.Kind) error {
	_, err := policy.Parse(kind, string(d))
	return malformedPolicy(err)
}

// malformedPolicy words what a parser refused.
func malformedPolicy(err error) error {
	var malformed *policy.Malformed
	if errors.As(err, &malformed) {
		return errMalformedPolicyDocument(malformed.Message)
	}
	return err
}
