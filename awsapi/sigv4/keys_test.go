package sigv4

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"strconv"
	"testing"

	"miniaws/backend/sha"
)

func TestKeysAgreeWithCryptoHMAC(t *testing.T) {
	key := [32]byte(bytes.Repeat([]byte{7}, 32))
	for n := range 300 {
		message := bytes.Repeat([]byte{byte(n)}, n)
		mac := hmac.New(sha256.New, key[:])
		mac.Write(message)
		got := newSigningKey(key).sum(append(make([]byte, sha.BlockSize), message...))
		if !hmac.Equal(mac.Sum(nil), got[:]) {
			t.Fatalf("%d bytes: %x", n, got)
		}
	}
}

func TestKeyCacheIsBounded(t *testing.T) {
	var c KeyCache
	for i := range 5 * keyGeneration {
		c.keep(keyID{secret: strconv.Itoa(i)}, new(signingKey))
		if c.lookup(keyID{secret: "0"}) == nil {
			t.Fatal("a key in use was dropped")
		}
	}
	if n := len(c.now) + len(c.old); n > 2*keyGeneration+1 {
		t.Errorf("%d keys", n)
	}
	c.Forget()
	if c.lookup(keyID{secret: "0"}) != nil {
		t.Error("not forgotten")
	}
	var none *KeyCache
	none.keep(keyID{}, nil)
	if none.lookup(keyID{}) != nil {
		t.Error("nil cache")
	}
}

// Only a verified signature may put a key into the cache.
func TestWrongSecretsAreNotCached(t *testing.T) {
	var c KeyCache
	r := signed(t, creds, "POST", "http://localhost/", listBody, "iam", nil)
	if _, err := verify(r, "wrong", Options{Body: []byte(listBody), Keys: &c}); err == nil || len(c.now) != 0 {
		t.Errorf("%v, %d keys", err, len(c.now))
	}
	for range 2 {
		if _, err := verify(r, creds.SecretAccessKey, Options{Body: []byte(listBody), Keys: &c}); err != nil || len(c.now) != 1 {
			t.Errorf("%v, %d keys", err, len(c.now))
		}
	}
}
