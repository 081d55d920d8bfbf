// Command baseline is the floor that benchmarks compare with: net/http, one file an object (written aside, synced, renamed,
// its folder synced), MD5 as the ETag; no signatures, metadata, versions, policies or audit. It serves nobody else.
package main

import (
	"crypto/md5"
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
	"sync"
	"time"
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
		if sum, err = o.put(path, r.Body); err == nil {
			w.Header().Set("ETag", `"`+sum+`"`)
		}
	default:
		err = o.get(w, r, path)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (o *objects) put(path string, body io.Reader) (string, error) {
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
	_, err = io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(f, sum)}, struct{ io.Reader }{body}, *piece)
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
