package sigv4

import (
	"crypto/hmac"
	"crypto/subtle"
	"sync"

	"miniaws/backend/sha"
)

// signingKey is a derived key of 32 bytes, kept as the two padded blocks that
// HMAC starts its two hashes with, so that a signature costs two plain SHA-256
// sums and no allocation. (crypto/hmac allocates both hashes for every sum.)
type signingKey struct{ inner, outer [sha.BlockSize]byte }

func newSigningKey(key [sha.Size]byte) *signingKey {
	k := new(signingKey)
	for i := range k.inner {
		var b byte
		if i < len(key) {
			b = key[i]
		}
		k.inner[i], k.outer[i] = b^0x36, b^0x5c
	}
	return k
}

// sum is HMAC-SHA256 of the message that follows the first sha.BlockSize bytes
// of buf; those are overwritten with the inner pad.
func (k *signingKey) sum(buf []byte) [sha.Size]byte {
	copy(buf, k.inner[:])
	inner := sha.Sum256(buf)
	var block [sha.BlockSize + sha.Size]byte
	copy(block[:], k.outer[:])
	copy(block[sha.BlockSize:], inner[:])
	return sha.Sum256(block[:])
}

// derive follows "Create a signed AWS API request", step 3:
// HMAC(HMAC(HMAC(HMAC("AWS4"+secret, date), region), service), "aws4_request").
func derive(secret, date, region, service string) *signingKey {
	key := []byte("AWS4" + secret)
	for _, part := range [...]string{date, region, service, terminator} {
		h := hmac.New(sha.New, key)
		h.Write([]byte(part))
		key = h.Sum(nil)
	}
	return newSigningKey([sha.Size]byte(key))
}

// keyGeneration bounds the cache: two generations of so many keys, about 200 bytes each.
const keyGeneration = 1024

type keyID struct{ secret, date, region, service string }

// KeyCache remembers derived signing keys. Only keys that verified a signature
// enter it, so nobody without a secret can flush it. The zero value is ready,
// a nil cache derives every key anew, and all methods may run concurrently.
type KeyCache struct {
	mu       sync.RWMutex
	now, old map[keyID]*signingKey
}

func (c *KeyCache) lookup(id keyID) *signingKey {
	if c == nil {
		return nil
	}
	c.mu.RLock()
	key, ok := c.now[id]
	if !ok {
		key = c.old[id]
	}
	c.mu.RUnlock()
	if key != nil && !ok {
		c.keep(id, key)
	}
	return key
}

func (c *KeyCache) keep(id keyID, key *signingKey) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.now == nil || len(c.now) >= keyGeneration {
		c.old, c.now = c.now, make(map[keyID]*signingKey, 16)
	}
	c.now[id] = key
}

// Forget drops every key, for use after access keys were deleted or the state was reset.
func (c *KeyCache) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.old = nil, nil
}

// equalHex reports in constant time whether claimed is the hex form of sum, in either case.
func equalHex(sum [sha.Size]byte, claimed string) bool {
	got, ok := unhex(claimed)
	return ok && subtle.ConstantTimeCompare(sum[:], got[:]) == 1
}

// unhex reads a SHA-256 sum in hex of either case.
func unhex(s string) (sum [sha.Size]byte, ok bool) {
	if len(s) != 2*sha.Size {
		return sum, false
	}
	for i := range sum {
		hi, lo := hexDigit(s[2*i]), hexDigit(s[2*i+1])
		if hi > 15 || lo > 15 {
			return sum, false
		}
		sum[i] = hi<<4 | lo
	}
	return sum, true
}

// hexDigit is the value of a hex digit, or 255.
func hexDigit(c byte) byte {
	switch {
	case '0' <= c && c <= '9':
		return c - '0'
	case 'a' <= c && c <= 'f':
		return c - 'a' + 10
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}
