package guest

import (
	"crypto/ed25519"
	"crypto/sha256"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// testSigner is the same key for the same name.
func testSigner(t testing.TB, name string) ssh.Signer {
	t.Helper()
	seed := sha256.Sum256([]byte(name))
	signer, err := ssh.NewSignerFromKey(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

func testKeyLine(t testing.TB, name string) string {
	t.Helper()
	return authorizedLine(testSigner(t, name).PublicKey())
}

func TestAuthorizedKeyOptions(t *testing.T) {
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		options, remote string
		admitted        bool
	}{
		{"", "10.0.0.1", true},
		{`from="10.0.0.0/8" `, "10.0.0.1", true},
		{`from="10.0.0.0/8" `, "11.0.0.1", false},
		{`from="10.0.0.0/8,!10.0.0.1" `, "10.0.0.1", false},
		{`from="10.0.0.*" `, "::ffff:10.0.0.9", true},
		{`from="fd00::/8" `, "fd00::1%eth0", true},
		{`from="*.example.com" `, "10.0.0.1", false},
		{`from="*,!10.0.0.0/x" `, "10.0.0.1", false},
		{`from="10.0.0.1",from="10.0.0.0/8" `, "10.0.0.1", false},
		{`from="" `, "10.0.0.1", false},
		{`from `, "10.0.0.1", false},
		{`expiry-time="20260601" `, "10.0.0.1", false},
		{`expiry-time="20260701Z" `, "10.0.0.1", true},
		{`expiry-time="soon" `, "10.0.0.1", false},
		{`command="a",command="b" `, "10.0.0.1", false},
		{`restrict,pty,no-x11-forwarding `, "10.0.0.1", true},
		{`cert-authority `, "10.0.0.1", false},
		{`verify-required `, "10.0.0.1", false},
		{`something-new="x" `, "10.0.0.1", false},
	} {
		text := "# comment\n\n" + test.options + testKeyLine(t, "k") + " name\n"
		_, ok := findAuthorizedKey(text, testSigner(t, "k").PublicKey(), netip.MustParseAddr(test.remote), now)
		if ok != test.admitted {
			t.Errorf("%q from %s: admitted %v", test.options, test.remote, ok)
		}
		if _, ok := findAuthorizedKey(text, testSigner(t, "other").PublicKey(), netip.MustParseAddr(test.remote), now); ok {
			t.Errorf("%q: another key was admitted", test.options)
		}
	}
	key, err := parseAuthorizedKey(`command="echo \"hi\"",no-pty,permitopen="db:5432",permitopen="[::1]:*" ` + testKeyLine(t, "k"))
	if err != nil {
		t.Fatal(err)
	}
	if key.command != `echo "hi"` || !key.noPTY || !key.maySend("db", 5432) || key.maySend("db", 22) || !key.maySend("::1", 9) {
		t.Errorf("%+v", key)
	}
	restricted, err := parseAuthorizedKey("restrict " + testKeyLine(t, "k"))
	if err != nil || !restricted.noPTY || restricted.maySend("db", 1) {
		t.Errorf("%+v %v", restricted, err)
	}
}

func TestMergeAuthorizedKeys(t *testing.T) {
	one, two := testKeyLine(t, "one"), testKeyLine(t, "two")
	have := "from=\"10.0.0.1\" " + one + " limited"
	if got, want := mergeAuthorizedKeys(have, []string{one + " again", two, two}), have+"\n"+two+"\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func FuzzAuthorizedKeys(f *testing.F) {
	wanted := testSigner(f, "wanted").PublicKey()
	f.Add(`from="1.2.3.4",command="x" ` + testKeyLine(f, "a") + " c\n# x\n")
	f.Add(`expiry-time="2026",permitopen="a:b" ` + testKeyLine(f, "b"))
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := findAuthorizedKey(text, wanted, netip.MustParseAddr("10.0.0.1"), time.Unix(0, 0)); ok && len(text) < 60 {
			t.Errorf("admitted by %q", text)
		}
		if merged := mergeAuthorizedKeys(text, []string{testKeyLine(t, "wanted")}); len(merged) < len(text) {
			t.Errorf("lost text: %q", merged)
		}
	})
}
