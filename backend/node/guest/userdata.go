package guest

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/textproto"
	"strings"
)

// Bounds of what user data may unfold to. 16 KiB of gzip can hold 16 MiB of zeros, and gzip nests in MIME.
const (
	maxUserData  = 4 << 20
	maxUserParts = 64
	maxUserDepth = 4
)

var errUserDataTooLarge = errors.New("user data unfolds to more than 4 MiB, 64 parts or 4 levels")

// userDataKind says what one part of user data is.
type userDataKind string

const (
	kindScript userDataKind = "script"
	// kindCloud is anything that only cloud-init understands.
	kindCloud userDataKind = "cloud-init"
	// kindUnknown is text or bytes that nobody runs. AWS: such user data is there for the metadata service alone.
	kindUnknown userDataKind = "unknown"
)

// userDataPart is one piece, in the order in which the pieces run.
type userDataPart struct {
	kind userDataKind
	// title is a first line or a content type, for the console.
	title string
	text  []byte
}

// userDataReader unfolds; the bounds count over all the levels.
type userDataReader struct {
	parts []userDataPart
	room  int
}

// parseUserData unfolds gzip and MIME into parts.
func parseUserData(text []byte) ([]userDataPart, error) {
	reader := userDataReader{room: maxUserData}
	err := reader.read(text, "", 0)
	return reader.parts, err
}

func (r *userDataReader) read(text []byte, contentType string, depth int) error {
	if depth > maxUserDepth || len(r.parts) >= maxUserParts {
		return errUserDataTooLarge
	}
	if bytes.HasPrefix(text, []byte{0x1f, 0x8b}) {
		unzipped, err := r.unzip(text)
		if err != nil {
			return fmt.Errorf("user data: gzip: %w", err)
		}
		return r.read(unzipped, contentType, depth+1)
	}
	if isMIME(text) {
		return r.readMIME(text, depth)
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	r.parts = append(r.parts, userDataPart{kind: kindOf(text, contentType), title: titleOf(text, contentType), text: text})
	return nil
}

func (r *userDataReader) unzip(text []byte) ([]byte, error) {
	zipped, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return r.take(zipped)
}

// take reads all of a stream, at most what is left of the bounds.
func (r *userDataReader) take(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, int64(r.room)+1))
	if len(text) > r.room {
		return nil, errUserDataTooLarge
	}
	r.room -= len(text)
	return text, err
}

// isMIME: a document that begins with one of the headers that cloud-init's documentation shows.
func isMIME(text []byte) bool {
	start := strings.ToLower(string(text[:min(len(text), 32)]))
	return strings.HasPrefix(start, "content-type:") || strings.HasPrefix(start, "mime-version:")
}

func (r *userDataReader) readMIME(text []byte, depth int) error {
	in := bufio.NewReader(bytes.NewReader(text))
	header, err := textproto.NewReader(in).ReadMIMEHeader()
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("user data: MIME header: %w", err)
	}
	return r.readPart(header, in, depth)
}

// readPart reads a document, or a part of one, whose header is read already.
func (r *userDataReader) readPart(header textproto.MIMEHeader, body io.Reader, depth int) error {
	contentType, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		contentType = "text/plain"
	}
	switch strings.ToLower(header.Get("Content-Transfer-Encoding")) {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	}
	if !strings.HasPrefix(contentType, "multipart/") {
		text, err := r.take(body)
		if err != nil {
			return fmt.Errorf("user data: part %s: %w", contentType, err)
		}
		return r.read(text, contentType, depth+1)
	}
	if depth >= maxUserDepth {
		return errUserDataTooLarge
	}
	if parameters["boundary"] == "" {
		return errors.New("user data: multipart without a boundary")
	}
	parts := multipart.NewReader(body, parameters["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("user data: multipart: %w", err)
		}
		if err := r.readPart(part.Header, part, depth+1); err != nil {
			return err
		}
	}
}

// cloudStarts are the first words of what cloud-init alone understands.
var cloudStarts = []string{"#cloud-config", "#cloud-boothook", "#include", "#part-handler", "#cloud-config-archive", "## template:"}

// kindOf: what the text itself begins with decides; a MIME type decides where the text does not.
func kindOf(text []byte, contentType string) userDataKind {
	if bytes.HasPrefix(text, []byte("#!")) {
		return kindScript
	}
	for _, start := range cloudStarts {
		if bytes.HasPrefix(text, []byte(start)) {
			return kindCloud
		}
	}
	switch contentType {
	case "text/cloud-config", "text/cloud-config-archive", "text/cloud-boothook", "text/x-include-url",
		"text/x-include-once-url", "text/part-handler", "text/jinja2", "text/cloud-config-jsonp", "text/x-shellscript-per-boot",
		"text/x-shellscript-per-once", "text/x-shellscript-per-instance":
		return kindCloud
	}
	return kindUnknown
}

// isCloudConfig tells a #cloud-config from other things that cloud-init understands.
func (p userDataPart) isCloudConfig() bool {
	first, _, _ := bytes.Cut(p.text, []byte("\n"))
	return strings.TrimSpace(string(first)) == "#cloud-config" || p.title == "text/cloud-config" && !bytes.HasPrefix(p.text, []byte("## template:"))
}

func titleOf(text []byte, contentType string) string {
	if contentType != "" {
		return contentType
	}
	line, _, _ := bytes.Cut(text[:min(len(text), 60)], []byte("\n"))
	return fmt.Sprintf("%q", line)
}
