package awsapi

import (
	"encoding/xml"
	"strings"
	"testing"
	"time"

	"miniaws/awsapi/meta"
)

// Times are written as the standard library writes them, only sooner.
func TestDateTimesAreThoseOfTheStandardLibrary(t *testing.T) {
	zone := time.FixedZone("", -5*3600)
	for _, at := range []time.Time{
		{}, time.Unix(0, 0), time.Date(2026, 2, 28, 23, 59, 59, 0, time.UTC), time.Date(2026, 12, 31, 23, 0, 1, 0, zone), time.Date(9999, 12, 31, 23, 59, 59, 999_999_999, time.UTC),
		time.Date(2024, 2, 29, 1, 2, 3, 400_000_000, time.UTC), time.Date(2024, 2, 29, 1, 2, 3, 45_000_000, time.UTC), time.Date(2024, 2, 29, 1, 2, 3, 6_789_000, time.UTC), time.Date(2024, 2, 29, 1, 2, 3, 999_999, time.UTC),
	} {
		if got, want := string(appendDateTime(nil, at, false)), at.UTC().Format(dateTimeFormat); got != want {
			t.Errorf("%v: %s, not %s", at, got, want)
		}
		if got, want := string(appendDateTime(nil, at, true)), at.UTC().Format("2006-01-02T15:04:05.000Z"); got != want {
			t.Errorf("%v: %s, not %s", at, got, want)
		}
	}
}

// Texts are looked at eight bytes at a time: what has to be escaped is found wherever it stands, and nothing else is.
func TestEveryByteOfATextIsSeen(t *testing.T) {
	for _, length := range []int{1, 7, 8, 9, 15, 16, 17, 31} {
		for at := range length {
			for c := range 128 {
				text := []byte(strings.Repeat("z", length))
				text[at] = byte(c)
				want := string(text)
				if c < ' ' && c != '\n' && c != '\t' && c != '\r' {
					want = strings.ReplaceAll(want, string(rune(c)), "\uFFFD")
				}
				b := append(appendXMLText([]byte("<a>"), string(text)), "</a>"...)
				var got struct {
					Text string `xml:",chardata"`
				}
				if err := xml.Unmarshal(b, &got); err != nil || got.Text != want {
					t.Fatalf("%q: %s, %v", text, b, err)
				}
				if plain := !strings.ContainsRune(`&<>"`, rune(c)) && (c >= ' ' || c == '\n' || c == '\t'); plain != (len(b) == length+7) {
					t.Fatalf("%q: %s", text, b)
				}
			}
		}
		text := strings.Repeat("z", length-1) + "é"
		if got := string(appendXMLText(nil, text)); got != text {
			t.Errorf("%q: %q", text, got)
		}
	}
}

// A writer goes by the offsets of the type that the plan was made of: it is not let near another one.
func TestAnAnswerOfAnotherTypeIsRefused(t *testing.T) {
	c := demoCodec(meta.AWSQuery)
	if _, err := c.Encode(meta.AWSQuery, "Do", "rid", &demoOutput{}, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Encode(meta.AWSQuery, "Do", "rid", &struct{ Name int }{7}, nil); err == nil {
		t.Error("it was written")
	}
}
