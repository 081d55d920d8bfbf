package sigv4

import (
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestRecodeIsStable(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "aA0%+2fF=/ é~"
	for range 10_000 {
		b := make([]byte, random.IntN(12))
		for i := range b {
			b[i] = letters[random.IntN(len(letters))]
		}
		once := recode(string(b))
		if recode(once) != once || decode(once) != decode(string(b)) {
			t.Fatalf("%q -> %q -> %q", b, once, recode(once))
		}
	}
}

// Whatever the SDK signs verifies: random paths, parameters (several values a name) and headers.
func TestRandomRequests(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	const letters = "abzAZ019-_.~ !\"#$%&'()*+,/:;<=>?@[]^`{|}é日"
	text := func(n int) string {
		var b strings.Builder
		runes := []rune(letters)
		for range random.IntN(n) {
			b.WriteRune(runes[random.IntN(len(runes))])
		}
		return b.String()
	}
	for i := range 1000 {
		service := []string{"s3", "lambda"}[i%2]
		path := "/" + pathEscape(text(12))
		if service == "lambda" {
			path = "/x" + strings.ReplaceAll(pathEscape(text(12)), "/", "y") // the SDK does not clean paths
		}
		q := url.Values{}
		for range random.IntN(6) {
			name := text(4)
			for range 1 + random.IntN(3) {
				q.Add("p"+name, text(6))
			}
		}
		target := "http://host.example.com:4566" + path + "?" + q.Encode()
		r := signed(t, session, "PUT", target, "body", service, func(r *http.Request) {
			r.Header["X-Amz-Meta-Words"] = []string{" a  b\tc ", "d   e"}
		})
		if _, err := verify(r, session.SecretAccessKey, Options{Body: []byte("body")}); err != nil {
			t.Fatalf("%s: %v\n%s", target, err, err.(*Error).CanonicalRequest)
		}
	}
}

func pathEscape(key string) string {
	return string(appendPath(nil, key, pathEscaped))
}

func TestCleanPath(t *testing.T) {
	for in, want := range map[string]string{
		"/": "/", "//": "/", "/./": "/", "/..": "/", "/../../x": "/x", "/a/../b": "/b", "/a/b/..": "/a/", "/a/./b/": "/a/b/",
		"//a//b//": "/a/b/", "/.a/..b": "/.a/..b", "/a/..": "/", "/%2e%2e/a": "/%2e%2e/a", "*": "*", "/a.b/c": "/a.b/c",
	} {
		if got := cleanPath(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// What S3 signs is what stood in the request line, not what the URL became.
func TestRawPath(t *testing.T) {
	for target, want := range map[string]string{
		"/a%2Fb//c/../d?x=/y": "/a%2Fb//c/../d", "http://host/abs%20x?q": "/abs%20x", "http://host": "/", "//double": "//double", "/%zz": "",
	} {
		r := wire([]byte("GET " + target + " HTTP/1.1\r\nHost: a\r\n\r\n"))
		if r == nil {
			if want != "" {
				t.Errorf("%q is not read", target)
			}
			continue
		}
		if got := rawPath(r); got != want {
			t.Errorf("%q: %q, want %q", target, got, want)
		}
	}
}
