package sigv4

import (
	"errors"
	"strings"
	"testing"
)

func TestEveryKindHasAnAnswer(t *testing.T) {
	for kind := Kind(1); kind < kinds; kind++ {
		for _, carrier := range []Carrier{InHeader, InQuery, InForm} {
			for f := Family(0); f < families; f++ {
				e := &Error{Kind: kind, Carrier: carrier, Detail: "d", Got: "g", Want: "w"}
				a := e.Answer(f)
				if a.Code == "" || a.Status < 400 || a.Message == "" || strings.ContainsAny(a.Message, "{}") {
					t.Errorf("kind %d, family %d: %+v", kind, f, a)
				}
				_, own := queryAnswers[kind]
				if _, other := queryAnswers[alike[kind]]; own == other {
					t.Errorf("kind %d has no row for query services, or two", kind)
				}
				if _, ok := s3Answers[kind]; !ok {
					t.Errorf("kind %d has no row for S3", kind)
				}
			}
		}
	}
	if a := (&Error{Kind: 255}).Answer(255); a.Code == "" {
		t.Error("unknown kind")
	}
	unknown := (&Signature{AccessKeyID: "AK"}).NewError(UnknownAccessKey)
	for f, want := range map[Family]string{Query: "InvalidClientTokenId", EC2: "AuthFailure", JSON: "UnrecognizedClientException", S3: "InvalidAccessKeyId"} {
		if got := unknown.Answer(f).Code; got != want {
			t.Errorf("family %d: %s, want %s", f, got, want)
		}
	}
	if !errors.Is(unknown, &Error{Kind: UnknownAccessKey}) || errors.Is(unknown, &Error{Kind: Skewed}) {
		t.Error("errors.Is")
	}
}
