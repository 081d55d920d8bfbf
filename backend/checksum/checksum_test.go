package checksum

import (
	"bytes"
	"testing"
)

// AWS: the check values of the CRC catalogue for "123456789", in base64.
func TestKnownSums(t *testing.T) {
	for a, want := range map[Algorithm]string{
		CRC32: "y/Q5Jg==", CRC32C: "4waSgw==", CRC64NVME: "rosUhgp5mIg=",
		XXHASH64: "jLhB20DmroM=",
		SHA1:     "98O8HYCOBHMq32eZZczDTKeuNEE=", SHA256: "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=", MD5: "JfnnlDI7RTiF9RgfG2JNCw==",
	} {
		h := a.New()
		h.Write([]byte("123456789"))
		if got := Encode(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}

// The XXH3 specification: the hashes of nothing, most significant byte first.
func TestKnownSumsOfNothing(t *testing.T) {
	for a, want := range map[Algorithm]string{XXHASH3: "LQaABTjTlMI=", XXHASH128: "maoG0wFHmNhgAcMkRo1Jfw==", XXHASH64: "70bbN1HY6Zk="} {
		h := a.New()
		h.Write(nil)
		if got := Encode(h.Sum(nil)); got != want {
			t.Errorf("%s: %s, want %s", a, got, want)
		}
	}
}

func TestEveryAlgorithm(t *testing.T) {
	for _, a := range All {
		h := a.New()
		if h.Size() != a.Size() || a.Header() == "" {
			t.Errorf("%s: size %d and %d, header %q", a, h.Size(), a.Size(), a.Header())
		}
		text := Encode(h.Sum(nil))
		if sum, ok := a.Decode(text); !ok || !bytes.Equal(sum, h.Sum(nil)) {
			t.Errorf("%s: %q does not come back", a, text)
		}
		for _, bad := range []string{"", "!", text + "AAAA", "AAAA"} {
			if _, ok := a.Decode(bad); ok {
				t.Errorf("%s: %q was taken", a, bad)
			}
		}
	}
	if Algorithm("NONE").New() != nil {
		t.Error("an unknown algorithm was made")
	}
}

func TestCombine(t *testing.T) {
	data := bytes.Repeat([]byte("mini aws keeps its bytes "), 400)
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		sum := func(b []byte) []byte {
			h := a.New()
			h.Write(b)
			return h.Sum(nil)
		}
		for _, cut := range []int{0, 1, 7, 4096, len(data) - 1, len(data)} {
			got := a.Combine(sum(data[:cut]), sum(data[cut:]), int64(len(data)-cut))
			if !bytes.Equal(got, sum(data)) {
				t.Errorf("%s, cut at %d: %x, want %x", a, cut, got, sum(data))
			}
		}
	}
}
