package sha

import (
	"bytes"
	"crypto/sha256"
	"testing"
)

// The library must agree with the standard one at every length around the block borders.
func TestSameAsStandardLibrary(t *testing.T) {
	data := bytes.Repeat([]byte("mini aws "), 40)
	for n := range data {
		want := sha256.Sum256(data[:n])
		if got := Sum256(data[:n]); got != want {
			t.Fatalf("Sum256 of %d bytes: got %x, want %x", n, got, want)
		}
		h := New()
		h.Write(data[:n/2])
		h.Write(data[n/2 : n])
		if got := h.Sum(nil); !bytes.Equal(got, want[:]) {
			t.Fatalf("New over %d bytes: got %x, want %x", n, got, want)
		}
	}
}
