package seal

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestSealer(t *testing.T) {
	key := NewKey()
	box := key.Sealer("a")
	sealed := box.Seal([]byte("secret"), "id")
	if again := box.Seal([]byte("secret"), "id"); bytes.Equal(again, sealed) {
		t.Error("sealing twice gives the same box")
	}
	if len(sealed) != len("secret")+28 {
		t.Errorf("the box has %d bytes", len(sealed))
	}
	plain, err := box.Open(sealed, "id")
	if err != nil || string(plain) != "secret" {
		t.Errorf("opened: %q, %v", plain, err)
	}
	changed := bytes.Clone(sealed)
	changed[len(changed)/2] ^= 1
	for name, open := range map[string]func() ([]byte, error){
		"another context": func() ([]byte, error) { return box.Open(sealed, "other") },
		"another purpose": func() ([]byte, error) { return key.Sealer("b").Open(sealed, "id") },
		"another key":     func() ([]byte, error) { return NewKey().Sealer("a").Open(sealed, "id") },
		"changed":         func() ([]byte, error) { return box.Open(changed, "id") },
		"short":           func() ([]byte, error) { return box.Open(sealed[:5], "id") },
	} {
		if plain, err := open(); !errors.Is(err, ErrOpen) {
			t.Errorf("%s: %q, %v", name, plain, err)
		}
	}
}

func TestLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets.key")
	made, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Load(path); err != nil || again != made {
		t.Errorf("loaded again: %v, the same key: %v", err, again == made)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file: %v, %v", info.Mode(), err)
	}
	if err := os.WriteFile(path, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err == nil {
		t.Error("a damaged key file was taken")
	}
}
