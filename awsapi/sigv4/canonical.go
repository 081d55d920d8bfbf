package sigv4

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// pathStyle says how a service turns the request path into the canonical URI.
type pathStyle uint8

const (
	pathNormalised pathStyle = iota // clean it, then escape what was sent once more
	pathAsSent                      // S3: bytes as they came
	pathEscaped                     // escape once more without cleaning; only the test suite does that
)

// AWS: "Create a signed AWS API request": S3 neither normalises the path nor encodes it twice.
func styleOf(service string) pathStyle {
	if isS3(service) {
		return pathAsSent
	}
	return pathNormalised
}

// isS3 names the signing names that follow S3's rules for paths and payloads.
func isS3(service string) bool {
	switch service {
	case "s3", "s3express", "s3-outposts", "s3-object-lambda":
		return true
	}
	return false
}

// rawPath is the path as it stood in the request line. The parsed URL is only
// the second choice: parsing may have re-encoded it.
func rawPath(r *http.Request) string {
	path := r.RequestURI
	if path == "" || path[0] != '/' { // a client's request, or absolute form
		path = r.URL.EscapedPath()
	}
	if i := strings.IndexByte(path, '?'); i >= 0 {
		path = path[:i]
	}
	if path == "" {
		return "/"
	}
	return path
}

func appendPath(b []byte, path string, style pathStyle) []byte {
	if style == pathAsSent {
		return append(b, path...)
	}
	if style == pathNormalised {
		path = cleanPath(path)
	}
	for i := range len(path) {
		if c := path[i]; c == '/' || unreserved(c) {
			b = append(b, c)
		} else {
			b = appendEscaped(b, c)
		}
	}
	return b
}

// cleanPath removes empty, "." and ".." segments (RFC 3986, 5.2.4) and keeps a trailing slash.
func cleanPath(path string) string {
	if !strings.Contains(path, "//") && !strings.Contains(path, "/.") {
		return path
	}
	kept := make([]string, 0, 8)
	last := ""
	for segment := range strings.SplitSeq(path, "/") {
		last = segment
		switch segment {
		case "", ".":
		case "..":
			if len(kept) > 0 {
				kept = kept[:len(kept)-1]
			}
		default:
			kept = append(kept, segment)
		}
	}
	clean := "/" + strings.Join(kept, "/")
	if len(kept) > 0 && (last == "" || last == "." || last == "..") {
		clean += "/"
	}
	return clean
}

// pair is a raw query parameter.
type pair struct{ name, value string }

// queryPairs calls f for every parameter of a raw query, as sent, until f returns false.
func queryPairs(query string, f func(name, value string) bool) {
	for query != "" {
		var one string
		one, query, _ = strings.Cut(query, "&")
		if one == "" {
			continue
		}
		name, value, _ := strings.Cut(one, "=")
		if !f(name, value) {
			return
		}
	}
}

// appendQuery writes the canonical query: every name and value decoded and
// encoded again, sorted by name, then value. without is left out ("" for none).
//
// AWS: the encoded forms are compared, not the decoded ones (aws-sdk-go issue 3987: tag keys
// "foo/name" and "foo-x/name" in one request).
func appendQuery(b []byte, query, without string) []byte {
	if query == "" {
		return b
	}
	var few [16]pair
	pairs := few[:0]
	queryPairs(query, func(name, value string) bool {
		p := pair{recode(name), recode(value)}
		if p.name != without || without == "" {
			pairs = append(pairs, p)
		}
		return true
	})
	slices.SortFunc(pairs, func(x, y pair) int {
		return cmp.Or(strings.Compare(x.name, y.name), strings.Compare(x.value, y.value))
	})
	for i, p := range pairs {
		if i > 0 {
			b = append(b, '&')
		}
		b = append(b, p.name...)
		b = append(b, '=')
		b = append(b, p.value...)
	}
	return b
}

// recode brings one query component into the canonical encoding: unreserved
// characters bare, everything else as %XX, "+" read as a space. What is
// already canonical, nearly always, is returned as it is.
func recode(s string) string {
	for i := 0; ; i++ {
		if i == len(s) {
			return s
		}
		if unreserved(s[i]) {
			continue
		}
		if c, ok := escapeAt(s, i); ok && !unreserved(c) && !lower(s[i+1]) && !lower(s[i+2]) {
			i += 2
			continue
		}
		break
	}
	b := make([]byte, 0, len(s)+16)
	for i := 0; i < len(s); {
		c, width := decodeAt(s, i)
		i += width
		if unreserved(c) {
			b = append(b, c)
		} else {
			b = appendEscaped(b, c)
		}
	}
	return string(b)
}

// decode undoes percent-encoding and "+"; a broken escape stands for itself.
func decode(s string) string {
	if strings.IndexByte(s, '%') < 0 && strings.IndexByte(s, '+') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		c, width := decodeAt(s, i)
		i += width
		b = append(b, c)
	}
	return string(b)
}

// decodeAt is the character that s[i:] begins with, and how many bytes stand for it.
func decodeAt(s string, i int) (c byte, width int) {
	if c, ok := escapeAt(s, i); ok {
		return c, 3
	}
	if s[i] == '+' {
		return ' ', 1
	}
	return s[i], 1
}

// escapeAt reads the %XX at s[i:].
func escapeAt(s string, i int) (byte, bool) {
	if s[i] != '%' || i+2 >= len(s) {
		return 0, false
	}
	hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
	return hi<<4 | lo, hi <= 15 && lo <= 15
}

func lower(c byte) bool { return 'a' <= c && c <= 'f' }

func appendEscaped(b []byte, c byte) []byte {
	const digits = "0123456789ABCDEF"
	return append(b, '%', digits[c>>4], digits[c&15])
}

// unreserved is RFC 3986's set, the only characters a canonical request leaves bare.
func unreserved(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		return true
	}
	return c == '-' || c == '_' || c == '.' || c == '~'
}

// appendHeaders writes the canonical headers for a list such as "host;x-amz-date".
func appendHeaders(b []byte, r *http.Request, list string) []byte {
	for list != "" {
		var name string
		name, list, _ = strings.Cut(list, ";")
		b = append(b, name...)
		b = append(b, ':')
		switch name {
		case "host": // net/http moves these three out of the header map
			b = append(b, r.Host...)
		case "content-length":
			b = strconv.AppendInt(b, max(r.ContentLength, 0), 10)
		case "transfer-encoding":
			b = append(b, strings.Join(r.TransferEncoding, ",")...)
		default:
			for i, value := range r.Header[headerKey(name)] {
				if i > 0 {
					b = append(b, ',')
				}
				b = appendSqueezed(b, value)
			}
		}
		b = append(b, '\n')
	}
	return b
}

// appendSqueezed trims value and makes one space of several.
func appendSqueezed(b []byte, value string) []byte {
	value = strings.TrimSpace(value)
	for i := range len(value) {
		if value[i] != ' ' || value[i-1] != ' ' {
			b = append(b, value[i])
		}
	}
	return b
}

// headerKey is http.CanonicalHeaderKey, without its allocation for the names that SDKs sign.
func headerKey(name string) string {
	if key, ok := knownHeaders[name]; ok {
		return key
	}
	return http.CanonicalHeaderKey(name)
}

var knownHeaders = map[string]string{
	"accept":                "Accept",
	"accept-encoding":       "Accept-Encoding",
	"amz-sdk-invocation-id": "Amz-Sdk-Invocation-Id",
	"amz-sdk-request":       "Amz-Sdk-Request",
	"content-encoding":      "Content-Encoding",
	"content-md5":           "Content-Md5",
	"content-type":          "Content-Type",
	"range":                 "Range",
	"user-agent":            "User-Agent",

	"x-amz-checksum-mode":          "X-Amz-Checksum-Mode",
	"x-amz-content-sha256":         "X-Amz-Content-Sha256",
	"x-amz-date":                   "X-Amz-Date",
	"x-amz-decoded-content-length": "X-Amz-Decoded-Content-Length",
	"x-amz-sdk-checksum-algorithm": "X-Amz-Sdk-Checksum-Algorithm",
	"x-amz-security-token":         "X-Amz-Security-Token",
	"x-amz-target":                 "X-Amz-Target",
	"x-amz-trailer":                "X-Amz-Trailer",
	"x-amz-user-agent":             "X-Amz-User-Agent",
	"x-amzn-query-mode":            "X-Amzn-Query-Mode",
}

// unsigned lists the headers that arrived but should have been signed; nil is the rule.
//
// AWS: S3 refuses Host, Content-MD5 and every x-amz-* header that is not signed, except
// x-amz-content-sha256, which is part of the canonical request by itself. Elsewhere a session token
// may follow the signature (the SigV4 test suite has such requests), and x-amz-date is signed in the
// string to sign. Without this rule, whoever holds a presigned URL could add x-amz-target or
// x-amz-copy-source to it and have the signer do something else.
func (s *Signature) unsigned(r *http.Request) []string {
	var names []string
	if !s.signs("host") {
		names = append(names, "host")
	}
	s3 := isS3(s.Service)
	for key := range r.Header {
		if !strings.HasPrefix(key, "X-Amz-") && (key != "Content-Md5" || !s3) {
			continue
		}
		switch key {
		case "X-Amz-Content-Sha256":
			continue
		case "X-Amz-Security-Token", "X-Amz-Date", "X-Amz-User-Agent":
			if !s3 {
				continue
			}
		}
		if !s.signs(key) {
			names = append(names, strings.ToLower(key))
		}
	}
	slices.Sort(names)
	return names
}

// signs reports whether a header, in any case, is in the list of signed headers.
func (s *Signature) signs(header string) bool {
	for list := s.SignedHeaders; list != ""; {
		var name string
		name, list, _ = strings.Cut(list, ";")
		if strings.EqualFold(name, header) {
			return true
		}
	}
	return false
}
