package guest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
)

func zip(t testing.TB, text string) []byte {
	t.Helper()
	var zipped bytes.Buffer
	writer := gzip.NewWriter(&zipped)
	if _, err := writer.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	return zipped.Bytes()
}

const multi = "Content-Type: multipart/mixed; boundary=\"B\"\nMIME-Version: 1.0\n\n" +
	"--B\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho 1\n" +
	"--B\nContent-Type: text/x-shellscript\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCmVjaG8gMgo=\n" +
	"--B\nContent-Type: text/cloud-config\n\npackages: [jq]\n--B--\n"

func TestParseUserData(t *testing.T) {
	for _, test := range []struct {
		name, text string
		want       string // kinds, and of scripts the last word
	}{
		{"nothing", "", ""},
		{"white space", " \n", ""},
		{"script", "#!/bin/sh\necho 1\n", "script:1"},
		{"zipped script", string(zip(t, "#!/bin/sh\necho 1\n")), "script:1"},
		{"zipped twice", string(zip(t, string(zip(t, "#!/bin/sh\necho 1\n")))), "script:1"},
		{"cloud-config", "#cloud-config\npackages: []\n", "cloud-init"},
		{"template", "## template: jinja\n#cloud-config\n", "cloud-init"},
		{"include", "#include\nhttp://x/\n", "cloud-init"},
		{"text", "just text", "unknown"},
		{"binary", "\x00\x01\x02", "unknown"},
		{"multi-part", multi, "script:1 script:2 cloud-init"},
		{"multi-part with CRLF", strings.ReplaceAll(multi, "\n", "\r\n"), "script:1 script:2 cloud-init"},
		{"zipped multi-part", string(zip(t, multi)), "script:1 script:2 cloud-init"},
		{"one MIME part", "MIME-Version: 1.0\nContent-Type: text/x-shellscript\n\n#!/bin/sh\necho 7\n", "script:7"},
	} {
		parts, err := parseUserData([]byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
		}
		var got []string
		for _, part := range parts {
			kind := string(part.kind)
			if words := strings.Fields(string(part.text)); part.kind == kindScript {
				kind += ":" + words[len(words)-1]
			}
			got = append(got, kind)
		}
		if strings.Join(got, " ") != test.want {
			t.Errorf("%s: %v, want %s", test.name, got, test.want)
		}
	}
}

func TestUserDataIsBounded(t *testing.T) {
	bomb := zip(t, strings.Repeat("a", maxUserData+1))
	deep := []byte("#!/bin/sh\n")
	for range maxUserDepth + 1 {
		deep = zip(t, string(deep))
	}
	for name, text := range map[string][]byte{"bomb": bomb, "deep": deep, "many": []byte("Content-Type: multipart/mixed; boundary=B\n\n" + strings.Repeat("--B\n\nx\n", maxUserParts+2) + "--B--\n")} {
		if _, err := parseUserData(text); !errors.Is(err, errUserDataTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, text := range map[string]string{"cut gzip": string(bomb[:40]), "no boundary": "Content-Type: multipart/mixed\n\nx"} {
		if _, err := parseUserData([]byte(text)); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzUserData(f *testing.F) {
	f.Add([]byte(multi))
	f.Add(zip(f, multi))
	f.Add([]byte("MIME-Version: 1.0\n\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		parts, _ := parseUserData(text)
		size := 0
		for _, part := range parts {
			size += len(part.text)
		}
		if len(parts) > maxUserParts || size > maxUserData+len(text) {
			t.Errorf("%d parts, %d bytes", len(parts), size)
		}
	})
}
