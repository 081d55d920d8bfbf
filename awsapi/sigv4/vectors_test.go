package sigv4

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// vectorFolder finds AWS's SigV4 test suite, which is not part of the project.
func vectorFolder(t *testing.T) string {
	root := os.Getenv("MINI_AWS_VECTORS")
	if root == "" {
		root = filepath.Join("..", "shared", "data", "vectors")
	}
	if !filepath.IsAbs(root) { // seen from the project's root
		root = filepath.Join("..", "..", root)
	}
	folder := filepath.Join(root, "aws-signing-test-suite", "v4")
	if _, err := os.Stat(folder); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no SigV4 test suite: %v", err)
		}
		t.Skipf("no SigV4 test suite at %s; set MINI_AWS_VECTORS", folder)
	}
	return folder
}

// skippedVectors lists what we refuse on purpose.
var skippedVectors = map[string]string{
	"post-sts-header-after/query": "the token is added to the URL after signing, which only AWS IoT takes",
}

type vector struct {
	Credentials struct {
		AccessKeyID     string `json:"access_key_id"`
		SecretAccessKey string `json:"secret_access_key"`
		Token           string `json:"token"`
	} `json:"credentials"`
	Normalize bool      `json:"normalize"`
	Region    string    `json:"region"`
	Service   string    `json:"service"`
	Timestamp time.Time `json:"timestamp"`
}

func TestSigV4TestSuite(t *testing.T) {
	folder := vectorFolder(t)
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	passed := 0
	for _, entry := range entries {
		for _, form := range []string{"header", "query"} {
			name := entry.Name() + "/" + form
			t.Run(name, func(t *testing.T) {
				if reason := skippedVectors[name]; reason != "" {
					t.Skip(reason)
				}
				checkVector(t, filepath.Join(folder, entry.Name()), form)
				passed++
			})
		}
	}
	t.Logf("%d vectors verified", passed)
	if passed < 70 {
		t.Errorf("only %d vectors verified", passed)
	}
}

func checkVector(t *testing.T, folder, form string) {
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(folder, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var v vector
	if err := json.Unmarshal([]byte(read("context.json")), &v); err != nil {
		t.Fatal(err)
	}
	r, body := readVector(t, read(form+"-signed-request.txt"))
	s, err := Parse(r)
	if err != nil {
		t.Fatal(err)
	}
	if s.AccessKeyID != v.Credentials.AccessKeyID || s.SessionToken != v.Credentials.Token || s.Region != v.Region || s.Service != v.Service {
		t.Errorf("parsed %+v", s)
	}
	if !v.Normalize {
		s.path = pathEscaped
	}
	payload, err := s.payloadLine(Options{Body: body})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(s.appendCanonicalRequest(nil, r, payload)), read(form+"-canonical-request.txt"); got != want {
		t.Errorf("canonical request:\n%s\nwant:\n%s", got, want)
	}
	if got, want := s.signature, read(form+"-signature.txt"); got != want {
		t.Errorf("signature %s, want %s", got, want)
	}
	opts := Options{Now: v.Timestamp, Service: v.Service, Region: v.Region, Body: body}
	if err := s.Verify(r, v.Credentials.SecretAccessKey, opts); err != nil {
		t.Error(err)
	}
	opts.Body = append([]byte("x"), body...)
	if err := s.Verify(r, v.Credentials.SecretAccessKey, opts); err == nil {
		t.Error("another body is taken")
	}
}

// readVector parses the suite's request text, whose lines end in bare LF and
// whose target may hold a raw space that no HTTP client would send.
func readVector(t *testing.T, text string) (*http.Request, []byte) {
	head, body, _ := strings.Cut(text, "\n\n")
	line, headers, _ := strings.Cut(head, "\n")
	method, rest, _ := strings.Cut(line, " ")
	target := strings.TrimSuffix(rest, " HTTP/1.1")
	sent := strings.ReplaceAll(target, " ", "%20")
	wire := method + " " + sent + " HTTP/1.1\n" + headers + "\n\n" + body
	r, err := http.ReadRequest(bufio.NewReader(bytes.NewReader([]byte(wire))))
	if err != nil {
		t.Fatal(err)
	}
	if r.RequestURI != sent {
		t.Fatalf("target %q became %q", sent, r.RequestURI)
	}
	r.RequestURI = target
	got, _ := io.ReadAll(r.Body)
	if r.ContentLength == 0 {
		got = []byte(strings.TrimSuffix(body, "\n"))
		if strings.TrimSpace(body) == "" {
			got = nil
		}
	}
	return r, got
}
