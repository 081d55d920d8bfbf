package conformance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// TestBotocore is the second SDK: botocore sends every operation that it knows with all members filled in and
// reads a filled answer. Two SDKs make two truths (Go's XML reader ignores case, botocore's does not). The
// counts of values are compared: nothing sent may get lost, every member of the answer must arrive.
func TestBotocore(t *testing.T) {
	if os.Getenv("MINI_AWS_BOTOCORE") == "" {
		t.Skip("takes a minute and needs Python's botocore: set MINI_AWS_BOTOCORE=1 to run it, after an upgrade of the SDK above all")
	}
	if err := exec.Command("python3", "-c", "import botocore").Run(); err != nil {
		t.Skip("botocore is not installed")
	}
	for _, s := range suites {
		t.Run(s.Service.Name, func(t *testing.T) {
			Selected(t, s.Service)
			switch s.Service {
			case meta.S3:
				t.Skip("botocore adds checksums to requests and knows filters as structures: the counts cannot agree")
			case meta.S3Control:
				t.Skip("botocore puts the account before the host's name, which does not resolve")
			}
			s.runBotocore(t)
		})
	}
}

type botocoreServer struct {
	suite  *Suite
	codec  *awsapi.Codec
	client reflect.Value
	mu     sync.Mutex
	lost   map[string]string
}

func (b *botocoreServer) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	op := q.Header.Get("X-Test-Operation")
	method := b.client.MethodByName(op)
	if !method.IsValid() {
		http.Error(w, "unknown", http.StatusTeapot)
		return
	}
	q.Header.Set("Content-Length", strconv.FormatInt(q.ContentLength, 10))
	p, m, err := message(b.codec, op, q)
	switch {
	case err != nil:
	case strings.HasPrefix(q.Header.Get("Content-Type"), "application/x-www-form-urlencoded") && b.suite.Service.Speaks(meta.AWSQuery):
		p = meta.AWSQuery
	case strings.HasPrefix(q.Header.Get("Content-Type"), "application/x-amz-json-1.0"):
		p = meta.AWSJSON10
	}
	in := reflect.New(method.Type().In(1).Elem())
	if err == nil {
		_, err = b.codec.Decode(p, op, m, in.Interface())
	}
	want := q.Header.Get("X-Test-Leaves")
	if err != nil {
		b.note(op, err.Error())
	} else if got := strconv.Itoa(leaves(in)); got != want {
		b.note(op, "received "+got+" values of "+want)
	}
	out := reflect.New(method.Type().Out(0).Elem())
	newFiller(b.suite.Service, b.suite.Fixed).fill(out.Elem(), "")
	setStatus(out.Elem())
	r, err := b.codec.Encode(p, op, "request-1", out.Interface(), nil)
	if err != nil {
		b.note(op, err.Error())
		return
	}
	for k, v := range r.Header {
		w.Header()[k] = v
	}
	w.WriteHeader(r.Status)
	_, _ = w.Write(r.Body)
	if r.Stream != nil {
		_, _ = io.Copy(w, r.Stream)
	}
}

func (b *botocoreServer) note(op, what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lost[op] = what
}

// leaves counts the values that are set.
func leaves(v reflect.Value) int {
	if v.Type() == timeType {
		return 1
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return 0
		}
		if v.Type().Implements(readerType) {
			return 1
		}
		return leaves(v.Elem())
	case reflect.Struct:
		n := 0
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "ResultMetadata" {
				n += leaves(v.Field(i))
			}
		}
		return n
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return min(1, v.Len())
		}
		n := 0
		for i := range v.Len() {
			n += leaves(v.Index(i))
		}
		return n
	case reflect.Map:
		n := 0
		for _, k := range v.MapKeys() {
			n += leaves(v.MapIndex(k))
		}
		return n
	}
	if v.IsZero() {
		return 0
	}
	return 1
}

func (s *Suite) runBotocore(t *testing.T) {
	codec := awsapi.NewCodec(s.Service)
	b := &botocoreServer{suite: s, codec: codec, client: s.client(&wireClient{codec: codec}), lost: map[string]string{}}
	server := httptest.NewServer(b)
	defer server.Close()
	cmd := exec.Command("python3", filepath.Join("testdata", "botocore_client.py"), server.URL, s.Service.Name)
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var report struct {
		Operations int
		Problems   map[string]string
	}
	if err := json.Unmarshal(text, &report); err != nil {
		t.Fatal(err)
	}
	for op, what := range report.Problems {
		t.Errorf("%s: answer: %s", op, what)
	}
	for op, what := range b.lost {
		t.Errorf("%s: request: %s", op, what)
	}
	if report.Operations == 0 {
		t.Error("botocore knows no operation")
	}
	t.Logf("%s: %d operations by botocore", s.Service.Name, report.Operations)
}
