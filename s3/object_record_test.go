package s3

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/blob"
	"miniaws/backend/checksum"
)

// plainObject is read by encoding/json alone.
type plainObject object

// same reads a record both ways.
func same(t *testing.T, o object) {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Skip(err) // a year beyond 9999
	}
	var want plainObject
	var got object
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	if err := got.UnmarshalJSON(text); err != nil || !reflect.DeepEqual(got, object(want)) {
		t.Errorf("%s\nis read as   %+v, %v\ninstead of  %+v", text, got, err, want)
	}
}

// records are objects with everything that they may have, and how they are read.
var records = map[string]struct {
	object
	quick bool
}{
	"empty":  {object{}, true},
	"marker": {object{Bucket: "b-1", Key: "k", Order: "0", Marker: true, Modified: time.Unix(1700000000, 0).UTC(), Owner: "123456789012"}, true},
	"usual": {object{
		Bucket: "b-1", Key: "dir/a b", Order: "0", Null: true, Modified: time.Unix(1700000000, 0).UTC(), Owner: "123456789012", Size: 1 << 40, ETag: "e",
		Blob: blob.Ref{ID: "i", Size: 7, File: true, Plain: true, Sealed: "s"}, Sum: sum{checksum.CRC64NVME, "v=", true}, NullOrder: "1",
		Attributes: Attributes{Type: "text/plain", Headers: map[string]string{"Expires": "x"}, Meta: map[string]string{"a": "ü", "b": ""}, Class: "STANDARD_IA"},
	}, true},
	"parts":         {object{Key: "😀/ä", Parts: &manifest{"i", 10_000}, Blob: blob.Ref{Size: -1}}, true},
	"escapes":       {object{Key: "a\"b\\c\x00<>&\u2028"}, false},
	"fractions":     {object{Modified: time.Unix(1700000000, 5).UTC()}, false},
	"another zone":  {object{Modified: time.Unix(1700000000, 0).In(time.FixedZone("", 3600))}, false},
	"a foreign key": {object{Blob: blob.Ref{Foreign: true}}, false},
	"the rest": {object{Attributes: Attributes{
		Tags: []tag{{"a", "b"}}, ACL: []grant{}, Sealing: &sealing{}, Retention: &retention{Mode: "GOVERNANCE"}, Hold: true, HoldOff: true,
		Redirect: "/", Restored: &time.Time{}, Replication: string(types.ReplicationStatusPending), Changed: changedTags,
	}}, false},
}

func TestObjectRecord(t *testing.T) {
	for name, c := range records {
		t.Run(name, func(t *testing.T) {
			same(t, c.object)
			text, err := json.Marshal(c.object)
			if err != nil {
				t.Fatal(err)
			}
			r := recordReader{string(text)}
			if quick := r.object(&object{}) && r.rest == ""; quick != c.quick {
				t.Errorf("quick: %v, want %v", quick, c.quick)
			}
			for cut := range len(text) {
				if err := new(object).UnmarshalJSON(text[:cut]); err == nil {
					t.Errorf("%s is taken", text[:cut])
				}
			}
		})
	}
	for _, text := range []string{`{"b":"x"}}`, `{"b":"x"} {}`, `{"s":1.5}`, `[]`, `"x"`, strings.Repeat("{", 100)} {
		if err := new(object).UnmarshalJSON([]byte(text)); err == nil {
			t.Errorf("%s is taken", text)
		}
	}
}

// Whatever encoding/json can make of a text and write again is read as encoding/json reads it.
func FuzzObjectRecord(f *testing.F) {
	for _, c := range records {
		text, err := json.Marshal(c.object)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Fuzz(func(t *testing.T, text string) {
		_ = new(object).UnmarshalJSON([]byte(text)) // must not panic
		var o plainObject
		if json.Unmarshal([]byte(text), &o) == nil {
			same(t, object(o))
		}
	})
}
