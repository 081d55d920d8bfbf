package sigv4

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"miniaws/backend/sha"
)

const (
	docKey    = "AKIAIOSFODNN7EXAMPLE"
	docSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

var docTime = time.Date(2013, 5, 24, 0, 0, 0, 0, time.UTC)

// docRequest is the PUT of AWS's published examples: 66,560 letters "a" to examplebucket/chunkObject.txt.
// AWS: "Signature calculations for the authorization header: transferring payload in multiple chunks".
func docRequest(mode, trailer, signature string, body io.Reader) *http.Request {
	r := httptest.NewRequest("PUT", "/examplebucket/chunkObject.txt", body)
	r.Host = "s3.amazonaws.com"
	r.ContentLength = 66824
	signed := "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class"
	r.Header.Set("Content-Encoding", "aws-chunked")
	r.Header.Set("X-Amz-Content-Sha256", mode)
	r.Header.Set("X-Amz-Date", "20130524T000000Z")
	r.Header.Set("X-Amz-Decoded-Content-Length", "66560")
	r.Header.Set("X-Amz-Storage-Class", "REDUCED_REDUNDANCY")
	if trailer != "" {
		r.Header.Set("X-Amz-Trailer", trailer)
		signed = strings.Replace(signed, "content-length;", "", 1) + ";x-amz-trailer"
	}
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+docKey+"/20130524/us-east-1/s3/aws4_request,SignedHeaders="+signed+",Signature="+signature)
	return r
}

func docBody(signatures [3]string, trailer string) string {
	return "10000;chunk-signature=" + signatures[0] + "\r\n" + strings.Repeat("a", 65536) + "\r\n" +
		"400;chunk-signature=" + signatures[1] + "\r\n" + strings.Repeat("a", 1024) + "\r\n" +
		"0;chunk-signature=" + signatures[2] + "\r\n" + trailer + "\r\n"
}

func TestPublishedExamples(t *testing.T) {
	for name, c := range map[string]struct {
		mode, declared, seed, trailer string
		chunks                        [3]string
	}{
		"chunks": {
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9", "",
			[3]string{
				"ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
				"0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
				"b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
			},
		},
		"trailer": {
			"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-checksum-crc32c", "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
			"x-amz-checksum-crc32c:sOO8/Q==\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n",
			[3]string{
				"b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
				"1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
				"2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := docRequest(c.mode, c.declared, c.seed, strings.NewReader(docBody(c.chunks, c.trailer)))
			s, err := verify(r, docSecret, Options{Now: docTime, Service: "s3", Streamed: true})
			if err != nil {
				t.Fatalf("seed signature: %v\n%s", err, err.(*Error).CanonicalRequest)
			}
			body, err := s.Body(r)
			if err != nil {
				t.Fatal(err)
			}
			if body.Trailer() != nil {
				t.Error("trailer before the end")
			}
			got, err := io.ReadAll(body)
			if err != nil || string(got) != strings.Repeat("a", 66560) || body.Length() != 66560 {
				t.Fatalf("%d bytes, %v", len(got), err)
			}
			if c.declared != "" && body.Trailer().Get(c.declared) != "sOO8/Q==" {
				t.Errorf("trailer %v", body.Trailer())
			}
		})
	}
}

// upload makes chunked bodies with our own signer, to vary what the examples do not.
type upload struct {
	mode     string
	s        *Signature
	declared string
}

func newUpload(mode, declared string) *upload {
	s := &Signature{
		Version: V4, Date: "20130524", Region: "us-east-1", Service: "s3", amzDate: "20130524T000000Z",
		signature: strings.Repeat("0f", 32), verified: true, key: derive(docSecret, "20130524", "us-east-1", "s3"),
	}
	if err := s.setPayload(mode); err != nil {
		panic(err)
	}
	return &upload{mode, s, declared}
}

func (u *upload) sign(kind, prev, rest string) string {
	b := append(make([]byte, sha.BlockSize), u.s.appendPrefix(nil, kind)...)
	sum := u.s.key.sum(append(b, prev+"\n"+rest...))
	return hex.EncodeToString(sum[:])
}

// chunks returns every piece of the body: one a chunk, then the empty one with the trailer.
func (u *upload) chunks(trailer string, parts ...string) []string {
	var out []string
	prev := u.s.signature
	for _, part := range append(parts, "") {
		head := fmt.Sprintf("%x", len(part))
		if u.s.Payload != PayloadUnsignedTrailer {
			sum := sha.Sum256([]byte(part))
			prev = u.sign("AWS4-HMAC-SHA256-PAYLOAD", prev, emptyHash+"\n"+hex.EncodeToString(sum[:]))
			head += ";chunk-signature=" + prev
		}
		if part != "" {
			out = append(out, head+"\r\n"+part+"\r\n")
			continue
		}
		if u.s.Payload == PayloadChunkedTrailer {
			sum := sha.Sum256([]byte(strings.ReplaceAll(trailer, "\r", "")))
			trailer += "x-amz-trailer-signature:" + u.sign("AWS4-HMAC-SHA256-TRAILER", prev, hex.EncodeToString(sum[:])) + "\r\n"
		}
		out = append(out, head+"\r\n"+trailer+"\r\n")
	}
	return out
}

func (u *upload) read(wire io.Reader, length int) ([]byte, *Body, error) {
	var got bytes.Buffer
	_, body, err := u.copy(&got, wire, length)
	return got.Bytes(), body, err
}

func (u *upload) copy(to io.Writer, wire io.Reader, length int) (int64, *Body, error) {
	r := &http.Request{Body: io.NopCloser(wire), ContentLength: -1, Header: http.Header{
		"X-Amz-Decoded-Content-Length": {strconv.Itoa(length)},
	}}
	if u.declared != "" {
		r.Header.Set("X-Amz-Trailer", u.declared)
	}
	body, err := u.s.Body(r)
	if err != nil {
		return 0, nil, err
	}
	defer body.Close()
	n, err := io.Copy(to, body)
	return n, body, err
}

const crc = "x-amz-checksum-crc32:AAAAAA==\r\n"

func modes() map[string]*upload {
	return map[string]*upload{
		"signed":           newUpload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", ""),
		"signed trailer":   newUpload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-checksum-crc32"),
		"unsigned trailer": newUpload("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-checksum-crc32"),
	}
}

func TestChunkedBodies(t *testing.T) {
	big := strings.Repeat("abcdefgh", 40_000) // larger than the pooled buffers
	for name, u := range modes() {
		trailer := ""
		if u.declared != "" {
			trailer = crc
		}
		for _, parts := range [][]string{{}, {"x"}, {big[:8192], "x"}, {big, big[:9000], big[:70_000]}} {
			wire := strings.Join(u.chunks(trailer, parts...), "")
			want := strings.Join(parts, "")
			readers := map[string]io.Reader{
				"whole": strings.NewReader(wire), "halves": iotest.HalfReader(strings.NewReader(wire)),
				"without the last line": strings.NewReader(strings.TrimSuffix(wire, "\r\n")),
				"as minio-go sends it":  strings.NewReader(strings.Replace(wire, crc, strings.TrimSuffix(crc, "\r\n")+"\n\r\n", 1)),
				"with a blank line":     strings.NewReader(wire + "\r\n"),
			}
			if len(want) < 10_000 {
				readers["bytes"] = iotest.OneByteReader(strings.NewReader(wire))
			}
			for how, r := range readers {
				got, body, err := u.read(r, len(want))
				if err != nil || string(got) != want {
					t.Errorf("%s, %d chunks, %s: %d bytes, %v", name, len(parts), how, len(got), err)
				}
				if u.declared != "" && body != nil && body.chunks.trailer.Get("X-Amz-Checksum-Crc32") != "AAAAAA==" {
					t.Errorf("%s: trailer %v", name, body.chunks.trailer)
				}
			}
		}
	}
}

// Nothing that was changed may come out as a whole body, and no byte of a
// changed signed chunk may come out at all.
func TestChunkTampering(t *testing.T) {
	a, b, c := strings.Repeat("a", 9000), strings.Repeat("b", 9000), strings.Repeat("c", 100)
	want := a + b + c
	join := func(parts ...string) string { return strings.Join(parts, "") }
	for name, u := range modes() {
		signed := u.s.Payload != PayloadUnsignedTrailer
		trailer := ""
		if u.declared != "" {
			trailer = crc
		}
		p := u.chunks(trailer, a, b, c)
		cases := map[string]string{
			"chunk replayed":         join(p[0], p[0], p[1], p[2], p[3]),
			"chunk dropped":          join(p[0], p[2], p[3]),
			"end missing":            join(p[0], p[1], p[2]),
			"second end":             join(p[0], p[1], p[2], p[3], p[3]),
			"bytes after the end":    join(p...) + "x",
			"early end":              join(p[0], p[3]),
			"truncated":              join(p...)[:9100],
			"truncated in a header":  join(p...)[:3],
			"negative size":          "-1\r\n",
			"huge size":              strings.Replace(join(p...), "2328", "fffffffffffffff", 1),
			"too many digits":        "0000000000000000000" + join(p...),
			"empty size":             strings.TrimPrefix(join(p...), "2328"),
			"long header line":       "2328;" + strings.Repeat("x", 70_000),
			"bare line feed":         strings.Replace(join(p...), "\r\n", "\n", 1),
			"no line after a chunk":  strings.Replace(join(p...), "a\r\n", "aa\n", 1),
			"blank lines":            join(p...) + strings.Repeat("\r\n", 4),
			"blank line, then bytes": join(p...) + "\r\nx",
			"trailer never ends":     join(p[0], p[1], p[2], strings.TrimSuffix(p[3], "\r\n"), strings.Repeat("x:y\r\n", 1000)),
		}
		if signed {
			cases["chunk reordered"] = join(p[1], p[0], p[2], p[3])
			cases["byte changed"] = strings.Replace(join(p...), "bbb", "bxb", 1)
			cases["first byte changed"] = strings.Replace(join(p...), "aaa", "xaa", 1)
			cases["last byte changed"] = strings.Replace(join(p...), "c\r\n", "x\r\n", 1)
			cases["signature removed"] = strings.Replace(join(p...), ";chunk-signature=", ";x=", 1)
			cases["end's signature changed"] = join(p[0], p[1], p[2], strings.Replace(p[3], "signature=", "signature=0", 1))
		} else {
			cases["signature added"] = strings.Replace(join(p...), "2328", "2328;chunk-signature="+strings.Repeat("0", 64), 1)
		}
		if trailer != "" {
			cases["trailer missing"] = join(p[0], p[1], p[2], strings.Replace(p[3], crc, "", 1))
			cases["trailer twice"] = join(p[0], p[1], p[2], strings.Replace(p[3], crc, crc+crc, 1))
			cases["trailer not declared"] = join(p[0], p[1], p[2], strings.Replace(p[3], "crc32", "sha1", 1))
			cases["trailer without colon"] = join(p[0], p[1], p[2], strings.Replace(p[3], "crc32:", "crc32", 1))
		}
		if u.s.Payload == PayloadChunkedTrailer {
			cases["trailer changed"] = join(p[0], p[1], p[2], strings.Replace(p[3], "AAAAAA", "AAAAAB", 1))
			cases["trailer unsigned"] = join(p[0], p[1], p[2], p[3][:strings.Index(p[3], "x-amz-trailer-sig")], "\r\n")
			cases["trailer after its signature"] = join(p[0], p[1], p[2], strings.TrimSuffix(p[3], "\r\n"), "x-amz-meta-a:b\r\n\r\n")
		}
		for what, wire := range cases {
			got, _, err := u.read(strings.NewReader(wire), len(want))
			if err == nil || len(got) >= len(want) {
				t.Errorf("%s, %s: %d bytes, error %v", name, what, len(got), err)
			}
			if KindOf(err) == 0 {
				t.Errorf("%s, %s: untyped error %v", name, what, err)
			}
		}
		broken := io.MultiReader(strings.NewReader(strings.TrimSuffix(join(p...), "\r\n")), iotest.ErrReader(io.ErrUnexpectedEOF))
		if _, _, err := u.read(broken, len(want)); KindOf(err) != IncompleteBody {
			t.Errorf("%s, broken before the last line: %v", name, err)
		}
		for _, length := range []int{0, len(want) - 1, len(want) + 1} {
			if _, _, err := u.read(strings.NewReader(join(p...)), length); KindOf(err) != IncompleteBody {
				t.Errorf("%s announced %d bytes: %v", name, length, err)
			}
		}
		_, _, err := u.read(strings.NewReader(join(u.chunks(trailer, a, c, b)...)), len(want))
		if e := wantKind(t, err, ChunkTooSmall); e.Answer(S3).Fields[1] != (Field{"BadChunkSize", "100"}) {
			t.Errorf("fields %v", e.Fields)
		}
	}
}

func TestChunkLimits(t *testing.T) {
	u := newUpload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "")
	// However long a chunk is, it costs no memory, also where it only claims to be long.
	const size = 32 << 20
	part := strings.Repeat("x", size)
	whole := strings.Join(u.chunks("", part), "")
	for name, c := range map[string]struct {
		wire string
		kind Kind
	}{
		"whole":   {whole, 0},
		"cut":     {whole[:100], IncompleteBody},
		"changed": {whole[:size/2] + "y" + whole[size/2+1:], SignatureMismatch},
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := u.copy(io.Discard, strings.NewReader(c.wire), size)
		runtime.ReadMemStats(&after)
		if KindOf(err) != c.kind || c.kind == 0 && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 256<<10 {
			t.Errorf("%s: %d bytes allocated", name, allocated)
		}
	}

	r := &http.Request{Body: http.NoBody, Header: http.Header{}}
	_, err := u.s.Body(r)
	wantKind(t, err, MissingDecodedLength)
	r.Header["X-Amz-Decoded-Content-Length"] = []string{"-5"}
	_, err = u.s.Body(r)
	wantKind(t, err, MissingDecodedLength)
}

func TestContentEncoding(t *testing.T) {
	for in, want := range map[string]string{"aws-chunked": "", "aws-chunked,gzip": "gzip", "gzip, AWS-Chunked , br": "gzip, br", "": ""} {
		if got := WithoutAWSChunked(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func BenchmarkSignedChunks(b *testing.B) {
	u := newUpload("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "")
	part := strings.Repeat("x", 64<<10)
	wire := []byte(strings.Join(u.chunks("", part, part, part, part, part, part, part, part), ""))
	b.SetBytes(8 * 64 << 10)
	b.ReportAllocs()
	for b.Loop() {
		r := &http.Request{Body: io.NopCloser(bytes.NewReader(wire)), ContentLength: -1, Header: http.Header{"X-Amz-Decoded-Content-Length": {strconv.Itoa(8 * 64 << 10)}}}
		body, err := u.s.Body(r)
		if err != nil {
			b.Fatal(err)
		}
		if n, err := io.Copy(io.Discard, body); err != nil || n != 8*64<<10 {
			b.Fatal(n, err)
		}
		body.Close()
	}
}
