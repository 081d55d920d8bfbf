package blob

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"fmt"
)

const (
	chunkSize = 64 << 10
	tagSize   = 16
	restSize  = chunkSize + tagSize
)

func newAEAD(key []byte) cipher.AEAD {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // a key of a wrong size: ours are sums of SHA-256
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		panic(err) // not with AES
	}
	return aead
}

// nonce of a chunk: its number. A key belongs to one blob, which is written once.
func nonce(number int64) []byte {
	var n [12]byte
	binary.BigEndian.PutUint64(n[4:], uint64(number))
	return n[:]
}

func sealed(key, plain []byte) []byte {
	return newAEAD(key).Seal(make([]byte, 0, len(plain)+tagSize), nonce(0), plain, nil)
}

// open decrypts the only chunk of a small blob, in place.
func open(key, rest []byte) ([]byte, error) {
	plain, err := newAEAD(key).Open(rest[:0], nonce(0), rest, nil)
	if err != nil {
		return nil, fmt.Errorf("%w: its bytes do not fit their key", ErrDamaged)
	}
	return plain, nil
}

// atRest is how long a blob of that size is in its file.
func atRest(ref Ref) int64 {
	if ref.Plain {
		return ref.Size
	}
	return ref.Size + (ref.Size+chunkSize-1)/chunkSize*tagSize
}
