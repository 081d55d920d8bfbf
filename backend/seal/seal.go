package seal

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"miniaws/backend/durably"
)

// keySize is that of AES-256, and of the master key.
const keySize = 32

// ErrOpen: the box was sealed for another purpose or context, under another key, or was changed.
var ErrOpen = errors.New("what is sealed cannot be opened")

// Key is the installation's master key.
type Key [keySize]byte

// NewKey makes a random key, for tests and for installations that keep nothing.
func NewKey() Key {
	var k Key
	_, _ = rand.Read(k[:]) // never fails
	return k
}

// Load answers the key in the file: 64 hexadecimal digits. A missing file gets a new key, durably and readable by its
// owner alone. A damaged one is an error: what was sealed under its key could never be opened again.
func Load(path string) (Key, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		k := NewKey()
		return k, durably.WriteFile(path, []byte(hex.EncodeToString(k[:])+"\n"))
	}
	var k Key
	if err != nil {
		return k, err
	}
	raw, err := hex.DecodeString(strings.TrimSpace(string(content)))
	if err != nil || len(raw) != keySize {
		return k, fmt.Errorf("%s is damaged: it does not hold 64 hexadecimal digits, and without them no secret of this installation can be read", path)
	}
	return Key(raw), nil
}

// Bytes answers the key of one purpose: 32 bytes that tell nothing of the master key or of other purposes.
func (k Key) Bytes(purpose string) []byte {
	derived, err := hkdf.Key(sha256.New, k[:], nil, "mini-aws "+purpose, keySize)
	if err != nil {
		panic(err) // a length that SHA-256 cannot give: not with keySize
	}
	return derived
}

// Sealer answers the box of one purpose. It is safe for concurrent use.
func (k Key) Sealer(purpose string) *Sealer {
	block, err := aes.NewCipher(k.Bytes(purpose))
	if err != nil {
		panic(err) // a key of a wrong size: not with keySize
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // not with AES
	}
	return &Sealer{aead}
}

// Sealer seals and opens for one purpose.
type Sealer struct{ aead cipher.AEAD }

// Seal encrypts plain. The context, for example the id of the record that holds the box, is not in the answer; the same
// one is needed to open it, so that a box cannot be moved to another record. The answer is 28 bytes longer than plain.
func (s *Sealer) Seal(plain []byte, context string) []byte {
	return s.aead.Seal(nil, nil, plain, []byte(context))
}

// Open answers what was sealed, or ErrOpen.
func (s *Sealer) Open(box []byte, context string) ([]byte, error) {
	plain, err := s.aead.Open(nil, nil, box, []byte(context))
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
