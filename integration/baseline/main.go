// Command baseline is the floor that benchmarks compare with: net/http, one file an object (written aside, synced, renamed,
// its folder synced), MD5 as the ETag; no signatures, metadata, versions, policies or audit. Below /sealed/ it sums with
// SHA-256 and CRC-64/NVME too and keeps AES-256-GCM, 64 KiB at a time. It serves nobody else.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/minio/crc64nvme"
)

func main() {
	if len(os.Args) != 3 {
		log.Fatal("usage: baseline ADDRESS FOLDER")
	}
	listener, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	server := http.Server{Handler: &objects{folder: os.Args[2]}, ReadHeaderTimeout: time.Minute}
	log.Fatal(server.Serve(listener))
}

// objects keeps one file an object.
type objects struct {
	folder string
	made   sync.Map
	pieces sync.Pool
}

func (o *objects) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := filepath.Join(o.folder, filepath.Clean("/"+r.URL.Path))
	var err error
	switch r.Method {
	case http.MethodPost: // a call: the body is read, and as much is answered as was asked for
		size, _ := strconv.Atoi(r.URL.Query().Get("answer"))
		if _, err = io.Copy(io.Discard, r.Body); err == nil {
			_, err = w.Write(make([]byte, size))
		}
	case http.MethodPut:
		var sum string
		if sum, err = o.put(path, r.Body, isSealed(r)); err == nil {
			w.Header().Set("ETag", `"`+sum+`"`)
		}
	case http.MethodGet:
		if isSealed(r) {
			err = o.unseal(w, path)
		} else {
			err = o.get(w, r, path)
		}
	default:
		err = o.get(w, r, path)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func isSealed(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, "/sealed/") }

const (
	chunk = 64 << 10
	rest  = chunk + 16
)

func newSeal() cipher.AEAD {
	block, err := aes.NewCipher(make([]byte, 32))
	if err != nil {
		panic(err) // never with 32 bytes
	}
	seal, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // never with AES
	}
	return seal
}

func nonceOf(number uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 4, 12), number) }

// sealing is a writer of sealed chunks; it gets whole ones but the last.
type sealing struct {
	file   io.Writer
	seal   cipher.AEAD
	number uint64
	out    []byte
}

func (s *sealing) Write(p []byte) (int, error) {
	s.out = s.out[:0]
	for b := p; len(b) > 0; s.number++ {
		n := min(len(b), chunk)
		s.out = s.seal.Seal(s.out, nonceOf(s.number), b[:n], nil)
		b = b[n:]
	}
	_, err := s.file.Write(s.out)
	return len(p), err
}

func (o *objects) unseal(w http.ResponseWriter, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	chunks := (info.Size() + rest - 1) / rest
	w.Header().Set("Content-Length", strconv.FormatInt(info.Size()-chunks*(rest-chunk), 10))
	seal, buffer := newSeal(), make([]byte, rest)
	for number := range chunks {
		n, err := io.ReadFull(f, buffer)
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		plain, err := seal.Open(buffer[:0], nonceOf(uint64(number)), buffer[:n], nil)
		if err != nil {
			return err
		}
		if _, err := w.Write(plain); err != nil {
			return err
		}
	}
	return nil
}

// whole reads whole pieces but the last.
type whole struct{ io.Reader }

func (r whole) Read(p []byte) (int, error) {
	n, err := io.ReadFull(r.Reader, p)
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = io.EOF
	}
	return n, err
}

func (o *objects) put(path string, body io.Reader, sealed bool) (string, error) {
	folder := filepath.Dir(path)
	if _, ok := o.made.Load(folder); !ok {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return "", err
		}
		o.made.Store(folder, true)
	}
	f, err := os.CreateTemp(folder, ".new-")
	if err != nil {
		return "", err
	}
	defer f.Close()
	piece, _ := o.pieces.Get().(*[]byte)
	if piece == nil {
		made := make([]byte, 256<<10)
		piece = &made
	}
	sum := md5.New()
	to := io.MultiWriter(f, sum)
	if sealed {
		to = io.MultiWriter(&sealing{file: f, seal: newSeal()}, sum, sha256.New(), crc64nvme.New())
	}
	_, err = io.CopyBuffer(struct{ io.Writer }{to}, whole{body}, *piece)
	o.pieces.Put(piece)
	if err = errors.Join(err, f.Sync(), os.Rename(f.Name(), path)); err != nil {
		return "", err
	}
	d, err := os.Open(folder)
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(sum.Sum(nil)), errors.Join(d.Sync(), d.Close())
}

func (o *objects) get(w http.ResponseWriter, r *http.Request, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "binary/octet-stream")
	http.ServeContent(w, r, "", info.ModTime(), f)
	return nil
}
