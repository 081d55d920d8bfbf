package s3

import (
	"strings"
	"testing"
)

func TestBucketNames(t *testing.T) {
	for name, want := range map[string]bool{
		"abc": true, "a-b.c1": true, "1abc": true, strings.Repeat("a", 63): true,
		"ab": false, strings.Repeat("a", 64): false, "Abc": false, "a_b": false, "-abc": false, "abc-": false,
		".abc": false, "abc.": false, "a..b": false, "a.-b": false, "a-.b": false, "192.168.5.4": false,
		"xn--abc": false, "sthree-abc": false, "amzn-s3-demo-abc": false, "abc-s3alias": false, "abc--ol-s3": false,
		"abc.mrap": false, "abc--x-s3": false, "abc/def": false, "abc\x00": false, "äbc": false,
	} {
		if got := validBucketName(name); got != want {
			t.Errorf("validBucketName(%q) = %v", name, got)
		}
	}
}

func TestCanonicalIDs(t *testing.T) {
	for _, account := range []string{"000000000000", "123456789012", "999999999999"} {
		id := canonicalID(account)
		if len(id) != 64 {
			t.Errorf("%s: %q", account, id)
		}
		if back, ok := accountOf(id); !ok || back != account {
			t.Errorf("accountOf(canonicalID(%s)) = %s, %v", account, back, ok)
		}
	}
	for _, wrong := range []string{"", "zz", strings.Repeat("0", 64), canonicalID("123456789012")[:63] + "g"} {
		if _, ok := accountOf(wrong); ok {
			t.Errorf("accountOf(%q) is an account", wrong)
		}
	}
}
