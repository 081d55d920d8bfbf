//go:build linux

package guest

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func TestParseSudo(t *testing.T) {
	words := func(line string) []string { return strings.Fields(line) }
	for _, c := range []struct {
		line string
		want sudoCall
		err  string
	}{
		{"id -un", sudoCall{user: "root", command: words("id -un")}, ""},
		{"-n -H -- -x", sudoCall{user: "root", command: words("-x")}, ""},
		{"-nu ann A=1 B= env C=2", sudoCall{user: "ann", env: words("A=1 B="), command: words("env C=2")}, ""},
		{"-uann id", sudoCall{user: "ann", command: words("id")}, ""},
		{"--user=ann --login", sudoCall{user: "ann", login: true, command: []string{}}, ""},
		{"--user ann -s", sudoCall{user: "ann", shell: true, command: []string{}}, ""},
		{"-E --preserve-env=A,B id", sudoCall{user: "root", keep: true, kept: words("A B"), command: words("id")}, ""},
		{"--prompt= --user= id", sudoCall{command: words("id")}, ""},
		{"-p prompt -S id", sudoCall{user: "root", command: words("id")}, ""},
		{"-v", sudoCall{user: "root", nothing: true, command: []string{}}, ""},
		{"-k id", sudoCall{user: "root", command: words("id")}, ""},
		{"-k", sudoCall{user: "root", nothing: true, command: []string{}}, ""},
		{"-l", sudoCall{user: "root", nothing: true, list: true, command: []string{}}, ""},
		{"-l rm -rf /x", sudoCall{user: "root", nothing: true, list: true, command: words("rm -rf /x")}, ""},
		{"--list -k rm", sudoCall{user: "root", nothing: true, list: true, command: words("rm")}, ""},
		{"-v rm", sudoCall{}, "usage"},
		{"-K rm", sudoCall{}, "usage"},
		{"-kK rm", sudoCall{}, "usage"},
		{"-lv", sudoCall{}, "usage"},
		{"-v -s", sudoCall{}, "usage"},
		{"--login=x", sudoCall{}, "unrecognized option"},
		{"", sudoCall{}, "usage"},
		{"A=1", sudoCall{}, "usage"},
		{"-u", sudoCall{}, "requires an argument"},
		{"-Z id", sudoCall{}, "invalid option"},
		{"--nonsense id", sudoCall{}, "unrecognized option"},
	} {
		got, err := parseSudo(words(c.line))
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%q: error %v, want %q", c.line, err, c.err)
			}
			continue
		}
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v, want %+v", c.line, got, err, c.want)
		}
	}
}

// TestAllowedBySudo: whom init gave the right may become others, root anybody, and the rest nobody.
func TestAllowedBySudo(t *testing.T) {
	root := rootFolder(t.TempDir())
	for _, user := range []User{{Name: "ann", Sudo: true}, {Name: "bob"}} {
		if err := root.ensureUser(user); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		uid          int
		wanted       string
		target, fail string
	}{
		{1000, "root", "root", ""},
		{1000, "bob", "bob", ""},
		{1000, "#1001", "bob", ""},
		{0, "ann", "ann", ""},
		{1000, "eve", "", "unknown user"},
		{1001, "root", "", "bob is not in the sudoers file"},
		{1001, "bob", "", "bob is not in the sudoers file"},
		{4242, "root", "", "do not exist"},
	} {
		_, target, err := root.allowedBySudo(c.uid, c.wanted)
		if c.fail != "" && (err == nil || !strings.Contains(err.Error(), c.fail)) || c.fail == "" && (err != nil || target.name != c.target) {
			t.Errorf("%d as %s: %q, %v", c.uid, c.wanted, target.name, err)
		}
	}
	// A rule that is no file of init's, but a link to one, is none.
	if err := os.Symlink("90-mini-aws-ann", root.path(sudoRule("bob"))); err != nil {
		t.Fatal(err)
	}
	if _, _, err := root.allowedBySudo(1001, "root"); err == nil {
		t.Error("a link lets bob be root")
	}
}

func TestSudoEnvironment(t *testing.T) {
	root := rootFolder(t.TempDir())
	if err := os.MkdirAll(root.path("etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := root.writeEnvironment(map[string]string{"AWS_REGION": "eu-west-1"}); err != nil {
		t.Fatal(err)
	}
	caller, target := account{name: "ann", uid: 1000, gid: 1000}, account{name: "root", home: "/root", shell: "/bin/sh"}
	before := []string{"PATH=/evil", "LD_PRELOAD=/evil.so", "TERM=xterm", "HOME=/home/ann", "AWS_REGION=us-west-2"}
	asked := sudoCall{command: []string{"id"}, env: []string{"A=1"}}
	got := root.sudoEnvironment(asked, caller, target, before)
	for _, want := range []string{"PATH=" + defaultPath, "TERM=xterm", "HOME=/root", "AWS_REGION=us-west-2", "USER=root", "SUDO_USER=ann", "SUDO_UID=1000", "A=1"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q lacks %s", got, want)
		}
	}
	if slices.Contains(got, "LD_PRELOAD=/evil.so") {
		t.Errorf("%q", got)
	}

	// What the machine sets for all is the caller's to change, but for the PATH and the loader's variables.
	if err := os.WriteFile(root.path("etc/environment"), []byte("PATH=/opt/bin:/bin\nLD_PRELOAD=\nA=b\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		asked      sudoCall
		has, lacks string
	}{
		{sudoCall{}, "PATH=/opt/bin:/bin A=c", "X=1 Y=2"},
		{sudoCall{keep: true}, "PATH=/opt/bin:/bin A=c X=1 Y=2", ""},
		{sudoCall{kept: []string{"X", "PATH", "LD_PRELOAD"}}, "PATH=/opt/bin:/bin X=1", "Y=2"},
	} {
		got := root.sudoEnvironment(c.asked, caller, target, []string{"PATH=/evil", "LD_PRELOAD=/evil.so", "A=c", "X=1", "Y=2"})
		for _, want := range strings.Fields(c.has) {
			if !slices.Contains(got, want) {
				t.Errorf("%+v: %q lacks %s", c.asked, got, want)
			}
		}
		for _, gone := range strings.Fields("PATH=/evil LD_PRELOAD=/evil.so " + c.lacks) {
			if slices.Contains(got, gone) {
				t.Errorf("%+v: %q has %s", c.asked, got, gone)
			}
		}
	}
}

// TestSudoList: the words after -l are looked up, and do not run.
func TestSudoList(t *testing.T) {
	root := rootFolder(t.TempDir())
	if err := os.MkdirAll(root.path("bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root.path("bin/tool"), nil, 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	for words, want := range map[string]string{
		"-v": "", "-k": "", "-l": "User ann may run the following commands:\n    (ALL) NOPASSWD: ALL\n",
		"-l tool -x": "/bin/tool -x\n", "-l /sbin/other": "/sbin/other\n", "-l nothing": "nothing: command not found",
	} {
		asked, err := parseSudo(strings.Fields(words))
		if err != nil {
			t.Fatal(err)
		}
		got, err := root.sudoList(asked, account{name: "ann"}, []string{"PATH=/usr/bin:/bin"})
		if err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%s: %q, want %q", words, got, want)
		}
	}
}

func TestShellLine(t *testing.T) {
	if got, want := shellLine([]string{"echo", "a b", "$HOME;x", "-n"}), `echo a\ b $HOME\;x -n`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// TestInstallSudo: it is linked where there is none, and leaves the image's own alone.
func TestInstallSudo(t *testing.T) {
	root := rootFolder(t.TempDir())
	for _, folder := range []string{"mini-aws", "usr/local/bin"} {
		if err := os.MkdirAll(root.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	install := func(mode os.FileMode, want string) {
		t.Helper()
		if err := os.WriteFile(root.path("mini-aws/mini-aws"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(root.path("mini-aws/mini-aws"), mode); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := root.installSudo("/mini-aws/mini-aws"); err != nil {
				t.Fatal(err)
			}
		}
		if got, _ := os.Readlink(root.path("usr/bin/sudo")); got != want {
			t.Errorf("sudo leads to %q, want %q", got, want)
		}
	}
	install(0o755, "")
	install(0o755|os.ModeSetuid, "/mini-aws/mini-aws")
	if err := os.Remove(root.path("usr/bin/sudo")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root.path("usr/local/bin/sudo"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	install(0o755|os.ModeSetuid, "")
}
