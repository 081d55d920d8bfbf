// Package initbinary holds the program that is PID 1 of instances, as files for an engine's volume.
//
// "make init" builds it from package guest/init into the folder "built", which is embedded when mini-aws is built after
// that. A mini-aws without it uses itself, which does the same and takes more memory in each instance.
//
// It does not run anything.
package initbinary

import (
	"crypto/sha256"
	"debug/elf"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
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
	content, err := built.ReadFile("built/init-linux-" + runtime.GOARCH)
	small := err == nil
	if errors.Is(err, fs.ErrNotExist) {
		content, err = self()
	}
	if err != nil {
		return Binary{}, err
	}
	sum := sha256.Sum256(content)
	return Binary{
		ID: "init-" + hex.EncodeToString(sum[:8]), Name: name, Args: []string{"init"}, Small: small,
		Files: fstest.MapFS{name: &fstest.MapFile{Data: content, Mode: 0o555, ModTime: time.Unix(0, 0)}},
	}, nil
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
