// Package initbinary holds the program that is PID 1 of instances, as files for an engine's volume.
//
// "make init" builds it from package guest/init, packed with gzip, into the folder "built", which is embedded when mini-aws is built after
// that. A mini-aws without it uses itself, which does the same and takes more memory in each instance.
//
// It does not run anything.
package initbinary

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"sync"
	"testing/fstest"
	"time"
)

//go:embed all:built
var built embed.FS

// name is the program's in the volume; the guest finds itself by it.
const name = "mini-aws"

// Binary is the program with what it is called with.
type Binary struct {
	// ID is "init-" and the beginning of the files' digest: the id of the volume that holds Files.
	ID    string
	Files fs.FS
	Name  string
	Args  []string
	// Small tells that it is the program made for this, not mini-aws itself.
	Small bool
}

// Load answers the program for engines of this machine's architecture.
var Load = sync.OnceValues(load)

func load() (Binary, error) {
	packed, err := built.ReadFile("built/init-linux-" + runtime.GOARCH + ".gz")
	small := err == nil
	unpack := func() ([]byte, error) { return unzip(packed) }
	if errors.Is(err, fs.ErrNotExist) {
		packed, err = self()
		unpack = func() ([]byte, error) { return packed, nil }
	}
	if err != nil {
		return Binary{}, err
	}
	sum := sha256.Sum256(packed)
	files := volume{unpack, 0o555}
	if small {
		files.mode |= fs.ModeSetuid // it is the sudo of images that have none
	}
	return Binary{ID: "init-" + hex.EncodeToString(sum[:8]), Files: files, Name: name, Args: []string{"init"}, Small: small}, nil
}

func unzip(packed []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

// volume is a folder with the program. It is unpacked whenever it is opened, which is once for each engine: to keep it
// would cost more memory than all else of a server that waits.
type volume struct {
	unpack func() ([]byte, error)
	mode   fs.FileMode
}

// Open opens the program, or "." for the folder.
func (v volume) Open(path string) (fs.File, error) {
	content, err := v.unpack()
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return fstest.MapFS{name: &fstest.MapFile{Data: content, Mode: v.mode, ModTime: time.Unix(0, 0)}}.Open(path)
}

// self is this very program, where it can run in any Linux container.
func self() ([]byte, error) {
	const advice = "build mini-aws with \"make build\", which puts the instances' init into it"
	if runtime.GOOS != "linux" {
		return nil, fmt.Errorf("this mini-aws has no init for instances; %s", advice)
	}
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	program, err := elf.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = program.Close() }()
	for _, part := range program.Progs {
		if part.Type == elf.PT_INTERP {
			return nil, fmt.Errorf("this mini-aws needs libraries of its machine and cannot be the init of instances; %s", advice)
		}
	}
	return os.ReadFile(path)
}
