package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// decodeID is the way back, which the store itself never goes: that there is one shows that no two ids share a key.
func decodeID(s string) (ID, error) {
	if strings.IndexByte(s, 0) < 0 {
		return ID{s}, nil
	}
	id := ID{}
	var part []byte
	for i := 0; i < len(s); i++ {
		if s[i] != 0 {
			part = append(part, s[i])
			continue
		}
		i++
		switch {
		case i < len(s) && s[i] == 0x01:
			id, part = append(id, string(part)), nil
		case i < len(s) && s[i] == 0xff:
			part = append(part, 0)
		default:
			return nil, fmt.Errorf("%w: broken escape in id %q", ErrInvalidKey, s)
		}
	}
	return append(id, string(part)), nil
}

func FuzzID(f *testing.F) {
	f.Add("a", "b", "a", "b\x00")
	f.Add("\x00\x01", "", "", "\x00\xff")
	f.Add("a\x00", "\x02", "a", "\x00\x02")
	f.Fuzz(func(t *testing.T, a1, a2, b1, b2 string) {
		a, b := ID{a1, a2}, ID{b1, b2}
		back, err := decodeID(a.encode())
		if err != nil || !slices.Equal(back, a) {
			t.Fatalf("%q came back as %q, %v", a, back, err)
		}
		if got, want := strings.Compare(a.encode(), b.encode()), slices.Compare(a, b); got != want {
			t.Fatalf("%q against %q: order %d of the keys, %d of the ids", a, b, got, want)
		}
		one := ID{a1}.encode()
		if one >= a.encode() && one != a.encode() {
			t.Fatalf("%q is not before its extension %q", one, a.encode())
		}
		in := func(q Query, id ID) bool {
			r := q.bounds("/t/")
			k := "/t/" + Key(id.encode())
			return k >= r.Start && k < r.End
		}
		if got, want := in(Query{Parts: ID{a1}}, b), a1 == b1; got != want && a1 != "" {
			t.Fatalf("parts %q hold %q: %v, want %v", a1, b, got, want)
		}
		if got, want := in(Query{Parts: ID{a1}, Prefix: a2}, b), a1 == b1 && strings.HasPrefix(b2, a2); got != want && a2 != "" {
			t.Fatalf("parts %q prefix %q hold %q: %v, want %v", a1, a2, b, got, want)
		}
	})
}

func FuzzDecodeID(f *testing.F) {
	f.Add("a\x00\x01b\x00\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if id, err := decodeID(s); err == nil && id.encode() != s {
			t.Fatalf("%q decodes to %q, which is %q", s, id, id.encode())
		}
	})
}

func TestNames(t *testing.T) {
	for _, bad := range []string{"", "a/b", "a b", "é", "a\x00", strings.Repeat("x", 129)} {
		if validName(bad) {
			t.Errorf("%q is valid", bad)
		}
	}
	if got, _ := (Scope{Account: "1"}).base("ec2", "instances"); got != "/0/1/_/ec2/instances/" {
		t.Errorf("base %q", got)
	}
}

func FuzzRecord(f *testing.F) {
	g := group{first: 7, transactions: [][]write{{{key: "/a", value: []byte("1")}, {key: "/b", deleted: true}}, {{key: "/c"}}}}
	f.Add(appendRecord(nil, 1, 2, g), uint64(1), uint64(2))
	f.Fuzz(func(t *testing.T, b []byte, salt, offset uint64) {
		if g, n, err := decodeRecord(b, salt, offset); err == nil {
			if again := appendRecord(nil, salt, offset, g); n > len(b) || len(again) > n {
				t.Fatalf("length %d of %d, encoded again %d", n, len(b), len(again))
			}
		}
		// The body behind a right checksum must not hurt either.
		r := reader{b: b}
		for {
			if _, err := r.transaction(); err != nil || len(r.b) == 0 {
				break
			}
		}
	})
}

func TestRecordBelongsToItsPlace(t *testing.T) {
	g := group{first: 7, transactions: [][]write{{{key: "/a", value: []byte("1")}}}}
	b := appendRecord(nil, 1, 2, g)
	if got, n, err := decodeRecord(b, 1, 2); err != nil || n != len(b) || got.last() != 7 {
		t.Fatal(got, n, err)
	}
	if _, _, err := decodeRecord(b, 3, 2); err == nil {
		t.Error("valid under another salt")
	}
	if _, _, err := decodeRecord(b, 1, 4); err == nil {
		t.Error("valid at another offset")
	}
	for i := range b {
		b[i] ^= 1
		if _, _, err := decodeRecord(b, 1, 2); err == nil {
			t.Errorf("valid with byte %d changed", i)
		}
		b[i] ^= 1
	}
}
