package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func sample() *Service {
	return &Service{
		Name: "demo",
		Requests: []Shape{
			{Kind: Struct, Target: -1, Members: []Member{
				{Field: "Names", Name: "Name", Flags: Flat | Required, Target: 1},
				{Field: "Key", Name: "Key", Location: Path, Target: -1},
				{Field: "At", Name: "at", Alt: "When", Flags: Epoch, Target: -1},
			}},
			{Kind: List, Elem: "member", Target: -1},
		},
		Responses: []Shape{{Kind: Map, Elem: "entry", Key: "k", Value: "v", Target: 1}, {Kind: Union, Target: -1, Members: []Member{}}},
		Ops:       []Op{{Name: "Do", In: 0, Out: -1, Wrapper: "DoResult", Method: "PUT", URI: "/{Key+}?x", Errors: []int32{0}}, {Name: "Go", In: -1, Out: 1}},
		Errors:    []Error{{Type: "Gone", Code: "Gone.Away", QueryCode: "Q", Shape: 1, Status: 404}, {Type: "Oops", Code: "Oops", Shape: -1, Server: true}},
	}
}

func TestEncodeDecode(t *testing.T) {
	want := sample()
	got, err := Decode(string(Encode(want)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
	if _, ok := got.Op("Go"); !ok {
		t.Fatal("Op(Go) not found")
	}
	if _, ok := got.Op("Fo"); ok {
		t.Fatal("Op(Fo) found")
	}
}

func TestOneTableForBothWays(t *testing.T) {
	s := sample()
	s.Responses = s.Requests
	got, err := Decode(string(Encode(s)))
	if err != nil || &got.Requests[0] != &got.Responses[0] {
		t.Fatal("table not shared", err)
	}
}

func TestDecodeDamaged(t *testing.T) {
	blob := string(Encode(sample()))
	for i := range blob {
		if _, err := Decode(blob[:i]); !errors.Is(err, ErrDamaged) {
			t.Fatalf("cut at %d: %v", i, err)
		}
	}
	if _, err := Decode(blob + "x"); !errors.Is(err, ErrDamaged) {
		t.Fatal("trailing byte accepted")
	}
}

func sampleRules() *Rules {
	return &Rules{
		Wire:  4_000_000_000,
		Enums: []Enum{{Type: "Color", Values: []string{"red", "green"}}},
		Members: []MemberRule{{Shape: 0, Member: 1, Constraint: &Constraint{Min: -3, HasMin: true, Max: 64, HasMax: true, Pattern: `\w+`, Shown: `[\w]+`,
			Elem: &Constraint{Max: 1, HasMax: true}, Key: &Constraint{Pattern: "x"}}}},
	}
}

func TestRules(t *testing.T) {
	want := sampleRules()
	got, err := DecodeRules(string(EncodeRules(want)), sample())
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Fatal(d)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(Encode(sample()))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, blob []byte) {
		s, err := Decode(string(blob))
		if err != nil {
			return
		}
		for _, table := range [][]Shape{s.Requests, s.Responses} {
			for _, sh := range table {
				if int(sh.Target) >= len(table) {
					t.Fatal("target out of range")
				}
			}
		}
	})
}

func FuzzDecodeRules(f *testing.F) {
	f.Add(EncodeRules(sampleRules()))
	s := sample()
	f.Fuzz(func(t *testing.T, blob []byte) { _, _ = DecodeRules(string(blob), s) })
}
