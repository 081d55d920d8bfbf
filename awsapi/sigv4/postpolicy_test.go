package sigv4

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"miniaws/backend/sha"
)

func signV2(text string) string {
	mac := hmac.New(sha1.New, []byte(creds.SecretAccessKey))
	mac.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// botocoreForms are forms of botocore's generate_presigned_post for bucket "bucket" at
// 2026-03-14T12:00:00Z, good for a minute: SigV2 and SigV4, each without and with a session token.
var botocoreForms = []map[string]string{
	{
		"acl":            "private",
		"Content-Type":   "image/png",
		"key":            "user/${filename}",
		"AWSAccessKeyId": "AKIDEXAMPLE",
		"policy":         "eyJleHBpcmF0aW9uIjogIjIwMjYtMDMtMTRUMTI6MDE6MDBaIiwgImNvbmRpdGlvbnMiOiBbeyJhY2wiOiAicHJpdmF0ZSJ9LCBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sIFsiY29udGVudC1sZW5ndGgtcmFuZ2UiLCAxLCAxMDAwXSwgeyJidWNrZXQiOiAiYnVja2V0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJ1c2VyLyJdXX0=",
		"signature":      "O0ku7SScz1qx1LLAKW89DpXcNhY=",
	},
	{
		"acl":                  "private",
		"Content-Type":         "image/png",
		"key":                  "user/${filename}",
		"AWSAccessKeyId":       "AKIDEXAMPLE",
		"x-amz-security-token": "tok/en+with=signs",
		"policy":               "eyJleHBpcmF0aW9uIjogIjIwMjYtMDMtMTRUMTI6MDE6MDBaIiwgImNvbmRpdGlvbnMiOiBbeyJhY2wiOiAicHJpdmF0ZSJ9LCBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sIFsiY29udGVudC1sZW5ndGgtcmFuZ2UiLCAxLCAxMDAwXSwgeyJidWNrZXQiOiAiYnVja2V0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJ1c2VyLyJdLCB7IngtYW16LXNlY3VyaXR5LXRva2VuIjogInRvay9lbit3aXRoPXNpZ25zIn1dfQ==",
		"signature":            "HPRTWe9UhhSj9snpjdOAbHHehB4=",
	},
	{
		"acl":              "private",
		"Content-Type":     "image/png",
		"key":              "user/${filename}",
		"x-amz-algorithm":  "AWS4-HMAC-SHA256",
		"x-amz-credential": "AKIDEXAMPLE/20260314/us-east-1/s3/aws4_request",
		"x-amz-date":       "20260314T120000Z",
		"policy":           "eyJleHBpcmF0aW9uIjogIjIwMjYtMDMtMTRUMTI6MDE6MDBaIiwgImNvbmRpdGlvbnMiOiBbeyJhY2wiOiAicHJpdmF0ZSJ9LCBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sIFsiY29udGVudC1sZW5ndGgtcmFuZ2UiLCAxLCAxMDAwXSwgeyJidWNrZXQiOiAiYnVja2V0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJ1c2VyLyJdLCB7IngtYW16LWFsZ29yaXRobSI6ICJBV1M0LUhNQUMtU0hBMjU2In0sIHsieC1hbXotY3JlZGVudGlhbCI6ICJBS0lERVhBTVBMRS8yMDI2MDMxNC91cy1lYXN0LTEvczMvYXdzNF9yZXF1ZXN0In0sIHsieC1hbXotZGF0ZSI6ICIyMDI2MDMxNFQxMjAwMDBaIn1dfQ==",
		"x-amz-signature":  "d84166f311b5afc3328a3a5a8ecabe46c50c2da45699033b4c45a499f4d8ed23",
	},
	{
		"acl":                  "private",
		"Content-Type":         "image/png",
		"key":                  "user/${filename}",
		"x-amz-algorithm":      "AWS4-HMAC-SHA256",
		"x-amz-credential":     "AKIDEXAMPLE/20260314/us-east-1/s3/aws4_request",
		"x-amz-date":           "20260314T120000Z",
		"x-amz-security-token": "tok/en+with=signs",
		"policy":               "eyJleHBpcmF0aW9uIjogIjIwMjYtMDMtMTRUMTI6MDE6MDBaIiwgImNvbmRpdGlvbnMiOiBbeyJhY2wiOiAicHJpdmF0ZSJ9LCBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sIFsiY29udGVudC1sZW5ndGgtcmFuZ2UiLCAxLCAxMDAwXSwgeyJidWNrZXQiOiAiYnVja2V0In0sIFsic3RhcnRzLXdpdGgiLCAiJGtleSIsICJ1c2VyLyJdLCB7IngtYW16LWFsZ29yaXRobSI6ICJBV1M0LUhNQUMtU0hBMjU2In0sIHsieC1hbXotY3JlZGVudGlhbCI6ICJBS0lERVhBTVBMRS8yMDI2MDMxNC91cy1lYXN0LTEvczMvYXdzNF9yZXF1ZXN0In0sIHsieC1hbXotZGF0ZSI6ICIyMDI2MDMxNFQxMjAwMDBaIn0sIHsieC1hbXotc2VjdXJpdHktdG9rZW4iOiAidG9rL2VuK3dpdGg9c2lnbnMifV19",
		"x-amz-signature":      "e00fe0fe9261e2a515fce3f6ceada43a8fdfda4598c7d35ce443d7dc78b0f3f1",
	},
}

func form(t *testing.T, fields map[string]string) Form {
	t.Helper()
	f := Form{}
	for name, value := range fields {
		if err := f.Add(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func TestBotocoreForms(t *testing.T) {
	for i, fields := range botocoreForms {
		f := form(t, fields)
		s, err := ParseForm(f)
		if err != nil {
			t.Fatal(i, err)
		}
		policy, err := s.VerifyForm(f, creds.SecretAccessKey, Options{Now: noon, Service: "s3"})
		if err != nil {
			t.Fatal(i, err)
		}
		f["key"] = strings.ReplaceAll(f["key"], "${filename}", "photo.png")
		if err := policy.Check(f, "bucket"); err != nil {
			t.Error(i, err)
		}
		if policy.MinSize != 1 || policy.MaxSize != 1000 || (s.SessionToken != "") != (i%2 == 1) || !policy.Expires.Equal(noon.Add(time.Minute)) {
			t.Errorf("%d: %+v %+v", i, policy, s)
		}
		wantKind(t, policy.CheckSize(0), EntityTooSmall)
		wantKind(t, policy.CheckSize(1), 0)
		wantKind(t, policy.CheckSize(1000), 0)
		wantKind(t, policy.CheckSize(1001), EntityTooLarge)
		wantKind(t, policy.Check(f, "other"), PolicyConditionFailed)

		for name, value := range map[string]string{"key": "other/x", "acl": "public-read", "content-type": "image/png, text/html"} {
			was := f[name]
			f[name] = value
			wantKind(t, policy.Check(f, "bucket"), PolicyConditionFailed)
			f[name] = was
		}
		f["x-ignore-me"] = "x"
		wantKind(t, policy.Check(f, "bucket"), 0)
		f["x-amz-meta-more"] = "x"
		if e := wantKind(t, policy.Check(f, "bucket"), ExtraFormField); e.Answer(S3).Message != "Invalid according to Policy: Extra input fields: x-amz-meta-more" {
			t.Errorf("answer %+v", e.Answer(S3))
		}

		_, err = s.VerifyForm(f, creds.SecretAccessKey, Options{Now: noon.Add(time.Minute), Service: "s3"})
		wantKind(t, err, PolicyExpired)
		_, err = s.VerifyForm(f, "other", Options{Now: noon, Service: "s3"})
		wantKind(t, err, SignatureMismatch)
		_, err = s.VerifyForm(f, creds.SecretAccessKey, Options{Now: noon, Service: "iam"})
		if err == nil {
			t.Error("form for another service")
		}
		f["policy"] = base64.StdEncoding.EncodeToString([]byte("{}"))
		_, err = s.VerifyForm(f, creds.SecretAccessKey, Options{Now: noon, Service: "s3"})
		wantKind(t, err, SignatureMismatch)
	}
}

// TestNamelessCondition: a condition whose field has no dollar sign names no field.
func TestNamelessCondition(t *testing.T) {
	p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(`{"expiration": "2026-03-14T12:01:00Z", "conditions": [{"bucket": "b"}, ["eq", "key", "x"]]}`)))
	if err != nil {
		t.Fatal(err)
	}
	if got := wantKind(t, p.Check(Form{"key": "x"}, "b"), PolicyConditionFailed).Answer(S3).Message; got != `Invalid according to Policy: Policy Condition failed: ["eq", "key", "x"]` {
		t.Error(got)
	}
}

// TestFormAnswers: S3 names the field of the form that is wrong.
func TestFormAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		field, value, want string
	}{
		"missing":    {"x-amz-date", "", "Bucket POST must contain a field named 'x-amz-date'.  If it is specified, please check the order of the fields."},
		"algorithm":  {"x-amz-algorithm", "x", "Only AWS4-HMAC-SHA256 is supported"},
		"date":       {"x-amz-date", "x", "X-Amz-Date must be formated via ISO8601 Long format"},
		"credential": {"x-amz-credential", "x", s3Five},
	} {
		t.Run(name, func(t *testing.T) {
			f := form(t, botocoreForms[2])
			f[c.field] = c.value
			_, err := ParseForm(f)
			var refused *Error
			if !errors.As(err, &refused) {
				t.Fatal(err)
			}
			got := refused.Answer(S3)
			if got.Code != "InvalidArgument" || got.Status != 400 || got.Message != c.want || len(got.Fields) == 0 || !strings.EqualFold(got.Fields[0].Value, c.field) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestParseForm(t *testing.T) {
	v4 := botocoreForms[2]
	for name, c := range map[string]struct {
		edit func(Form)
		kind Kind
	}{
		"complete":      {func(Form) {}, 0},
		"anonymous":     {func(f Form) { delete(f, "x-amz-signature"); delete(f, "policy") }, MissingAuth},
		"policy alone":  {func(f Form) { delete(f, "x-amz-signature") }, MissingComponents},
		"no policy":     {func(f Form) { delete(f, "policy") }, MissingComponents},
		"no date":       {func(f Form) { delete(f, "x-amz-date") }, MissingComponents},
		"bad date":      {func(f Form) { f["x-amz-date"] = "x" }, MalformedDate},
		"sigv4a":        {func(f Form) { f["x-amz-algorithm"] = algorithm4A }, UnsupportedAlgorithm},
		"other day":     {func(f Form) { f["x-amz-date"] = "20260315T120000Z" }, WrongScopeDate},
		"both versions": {func(f Form) { f["signature"] = "x" }, MultipleAuth},
		"v2 alone":      {func(f Form) { delete(f, "x-amz-signature"); f["signature"] = "x" }, MissingComponents},
	} {
		t.Run(name, func(t *testing.T) {
			f := form(t, v4)
			c.edit(f)
			_, err := ParseForm(f)
			wantKind(t, err, c.kind)
		})
	}
	f := form(t, v4)
	wantKind(t, f.Add("KEY", "again"), MalformedComponent)
	wantKind(t, f.Add("big", strings.Repeat("x", maxForm)), FormTooLarge)
}

func TestPolicyDocuments(t *testing.T) {
	const until = `"expiration": "2026-03-14T12:01:00Z"`
	for text, want := range map[string]string{
		`{"expiration": "2026-03-14T12:01:00.000Z", "conditions": []}`:        "",
		`{` + until + `, "conditions": [["CONTENT-LENGTH-RANGE", "1", 5]]}`:   "",
		`{` + until + `, "conditions": [["eq", "key", "x"]]}`:                 "", // never holds: TestNamelessCondition
		`{` + until + `, "conditions": [["content-length-range", -1, 5]]}`:    "Invalid JSON.",
		`{` + until + `, "conditions": [["content-length-range", 1e300, 5]]}`: "Invalid JSON.",
		`{` + until + `, "conditions": [["eq", false, "x"]]}`:                 "Invalid JSON.",
		`{` + until + `, "conditions": [["Ends-With", "$key", "x"]]}`:         "Invalid Condition: unknown operation 'Ends-With'.",
		`{` + until + `, "conditions": [["eq", "$key"]]}`:                     "Invalid eq: wrong number of arguments.",
		`{` + until + `, "conditions": [["starts-with", "$key", "a", "b"]]}`:  "Invalid starts-with: wrong number of arguments.",
		`{` + until + `, "conditions": [[]]}`:                                 "Invalid Condition: missing operation identifier.",
		`{` + until + `, "conditions": [{"a": "b", "c": "d"}]}`:               "Invalid Simple-Condition: Simple-Conditions must have exactly one property specified.",
		`{` + until + `, "conditions": [{"a": 1}]}`:                           "Invalid Simple-Condition: value must be a string.",
		`{` + until + `, "conditions": [null]}`:                               "Invalid Condition: missing operation identifier.",
		`{` + until + `, "conditions": [7]}`:                                  "Invalid condition test: must be a List or Object.",
		`{` + until + `, "conditions": true}`:                                 "Invalid 'conditions' value: must be a List.",
		`{` + until + `, "conditions": [], "more": 1}`:                        `Unexpected: "more"`,
		`{` + until + `}`:                              "Policy missing conditions.",
		`{"conditions": []}`:                           "Policy missing expiration.",
		`{"expiration": true, "conditions": []}`:       "Invalid JSON.",
		`{"expiration": "tomorrow", "conditions": []}`: "Invalid 'expiration' value: 'tomorrow'",
		`{` + until + `, "conditions": []} x`:          "Invalid JSON.",
		`[]`:                                           "Invalid JSON.",
		``:                                             "Expecting '{' but found End-of-Input",
	} {
		p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(text)))
		if want == "" {
			if err != nil || p.MaxSize != math.MaxInt64 && p.MaxSize != 5 {
				t.Errorf("%s: %+v, %v", text, p, err)
			}
			continue
		}
		if got := wantKind(t, err, InvalidPolicy).Answer(S3).Message; got != "Invalid Policy: "+want {
			t.Errorf("%s: %s", text, got)
		}
	}
	_, err := parsePolicy("not base64")
	wantKind(t, err, InvalidPolicy)

	p, err := parsePolicy(base64.StdEncoding.EncodeToString([]byte(`{"expiration": "2026-03-14T12:01:00Z", "conditions": [{"bucket": "b"}, ["starts-with", "$Content-Length", ""]]}`)))
	if err != nil {
		t.Fatal(err)
	}
	e := wantKind(t, p.Check(Form{}, "b"), PolicyConditionFailed)
	if got := e.Answer(S3).Message; got != `Invalid according to Policy: Policy Condition failed: ["starts-with", "$Content-Length", ""]` {
		t.Errorf("message %s", got)
	}
	p.conditions = nil
	if e := wantKind(t, p.Check(Form{}, "b"), ExtraFormField); e.Detail != "bucket" {
		t.Errorf("detail %q", e.Detail)
	}
}

// AWS: "Examples: Browser-Based Upload using HTTP POST (Using AWS Signature Version 4)".
func TestPublishedForm(t *testing.T) {
	const policy = "eyAiZXhwaXJhdGlvbiI6ICIyMDE1LTEyLTMwVDEyOjAwOjAwLjAwMFoiLA0KICAiY29uZGl0aW9ucyI6IFsNCiAgICB7ImJ1Y2tldCI6ICJzaWd2NGV4YW1wbGVidWNrZXQifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRrZXkiLCAidXNlci91c2VyMS8iXSwNCiAgICB7ImFjbCI6ICJwdWJsaWMtcmVhZCJ9LA0KICAgIHsic3VjY2Vzc19hY3Rpb25fcmVkaXJlY3QiOiAiaHR0cDovL3NpZ3Y0ZXhhbXBsZWJ1Y2tldC5zMy5hbWF6b25hd3MuY29tL3N1Y2Nlc3NmdWxfdXBsb2FkLmh0bWwifSwNCiAgICBbInN0YXJ0cy13aXRoIiwgIiRDb250ZW50LVR5cGUiLCAiaW1hZ2UvIl0sDQogICAgeyJ4LWFtei1tZXRhLXV1aWQiOiAiMTQzNjUxMjM2NTEyNzQifSwNCiAgICB7IngtYW16LXNlcnZlci1zaWRlLWVuY3J5cHRpb24iOiAiQUVTMjU2In0sDQogICAgWyJzdGFydHMtd2l0aCIsICIkeC1hbXotbWV0YS10YWciLCAiIl0sDQoNCiAgICB7IngtYW16LWNyZWRlbnRpYWwiOiAiQUtJQUlPU0ZPRE5ON0VYQU1QTEUvMjAxNTEyMjkvdXMtZWFzdC0xL3MzL2F3czRfcmVxdWVzdCJ9LA0KICAgIHsieC1hbXotYWxnb3JpdGhtIjogIkFXUzQtSE1BQy1TSEEyNTYifSwNCiAgICB7IngtYW16LWRhdGUiOiAiMjAxNTEyMjlUMDAwMDAwWiIgfQ0KICBdDQp9"
	key := derive(docSecret, "20151229", "us-east-1", "s3")
	sum := key.sum(append(make([]byte, sha.BlockSize), policy...))
	if got := hex.EncodeToString(sum[:]); got != "8afdbf4008c03f22c2cd3cdb72e4afbb1f6a588f3255ac628749a66d7f09699e" {
		t.Errorf("signature %s", got)
	}
}
