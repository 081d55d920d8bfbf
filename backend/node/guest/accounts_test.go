package guest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestEnsureAccount(t *testing.T) {
	base := accountFiles{
		passwd:  "root:x:0:0:root:/root:/bin/bash\nother:x:1000:1000::/home/other:/bin/sh",
		group:   "root:x:0:\nsudo:x:27:other\nadm:x:4:\nother:x:1000:\n",
		shadow:  "root:*:1:0:99999:7:::\n",
		gshadow: "root:*::\nsudo:*::other\n",
	}
	for _, test := range []struct {
		name                   string
		files                  accountFiles
		user                   User
		passwd, group, gshadow string // what must be a line afterwards
		uid                    int
	}{
		{"new user", base, User{Name: "admin", Groups: []string{"sudo", "adm", "docker"}},
			"admin:x:1001:1001:admin:/home/admin:/bin/sh", "sudo:x:27:other,admin", "sudo:*::other,admin", 1001},
		{"known user keeps its line", base, User{Name: "other", Groups: []string{"adm"}},
			"other:x:1000:1000::/home/other:/bin/sh", "adm:x:4:other", "sudo:*::other", 1000},
		{"empty image", accountFiles{}, User{Name: "ec2-user"},
			"ec2-user:x:1000:1000:ec2-user:/home/ec2-user:/bin/sh", "ec2-user:x:1000:", "", 1000},
		{"root of an empty image", accountFiles{}, User{Name: "root"}, "root:x:0:0:root:/root:/bin/sh", "root:x:0:", "", 0},
		{"group of that name exists", base, User{Name: "adm"}, "adm:x:1001:4:adm:/home/adm:/bin/sh", "adm:x:4:", "", 1001},
	} {
		t.Run(test.name, func(t *testing.T) {
			after, err := test.files.ensure(test.user, "/bin/sh")
			if err != nil {
				t.Fatal(err)
			}
			for text, line := range map[string]string{after.passwd: test.passwd, after.group: test.group, after.gshadow: test.gshadow} {
				if line != "" && !strings.Contains("\n"+text+"\n", "\n"+line+"\n") {
					t.Errorf("no line %q in:\n%s", line, text)
				}
			}
			if !strings.Contains(after.shadow, test.user.Name+":*:") {
				t.Errorf("shadow: %q", after.shadow)
			}
			found, ok := after.find(test.user.Name)
			if !ok || found.uid != test.uid {
				t.Errorf("account %+v, %v", found, ok)
			}
			again, err := after.ensure(test.user, "/bin/sh")
			if err != nil || again != after {
				t.Errorf("a second time changes: %v\n%+v", err, again)
			}
		})
	}
}

func TestEnsureAccountRefusesDamage(t *testing.T) {
	if _, err := (accountFiles{passwd: "admin:x:abc\n", group: "root:x:0:\n"}).ensure(User{Name: "admin"}, "/bin/sh"); err == nil {
		t.Error("a damaged line was written over")
	}
}

func TestEnsureUserOnDisk(t *testing.T) {
	root := rootFolder(t.TempDir())
	for _, folder := range []string{"etc/sudoers.d", "bin"} {
		if err := os.MkdirAll(root.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	user := User{Name: "debian", Sudo: true, AuthorizedKeys: []string{testKeyLine(t, "one")}}
	for range 2 {
		if err := root.ensureUser(user); err != nil {
			t.Fatal(err)
		}
	}
	for name, mode := range map[string]os.FileMode{
		"home/debian": 0o755 | os.ModeDir, "home/debian/.ssh": 0o700 | os.ModeDir, "home/debian/.ssh/authorized_keys": 0o600,
		"etc/sudoers.d/90-mini-aws-debian": 0o440, "etc/shadow": 0o600, "etc/passwd": 0o644,
	} {
		info, err := os.Stat(root.path(name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != mode {
			t.Errorf("%s: mode %v, want %v", name, info.Mode(), mode)
		}
	}
	keys, err := root.read("home/debian/.ssh/authorized_keys")
	if err != nil || strings.Count(keys, "\n") != 1 {
		t.Errorf("keys %q: %v", keys, err)
	}
}

// TestKeysStayInTheHome: init is root, and the folder is the user's.
func TestKeysStayInTheHome(t *testing.T) {
	outside := t.TempDir()
	root := rootFolder(t.TempDir())
	if err := os.MkdirAll(root.path("home/eve"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, root.path("home/eve/.ssh")); err != nil {
		t.Fatal(err)
	}
	user := account{name: "eve", uid: os.Getuid(), gid: os.Getgid(), home: "/home/eve"}
	if err := root.addAuthorizedKeys(user, []string{testKeyLine(t, "one")}); err == nil {
		t.Error("a link out of the home folder was followed")
	}
	if left, err := filepath.Glob(outside + "/*"); err != nil || len(left) > 0 {
		t.Errorf("written outside: %v %v", left, err)
	}
}

func TestEnvironmentBlock(t *testing.T) {
	root := rootFolder(t.TempDir())
	if err := os.MkdirAll(root.path("etc"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root.path("etc/environment"), []byte("LANG='C'"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, region := range []string{"us-east-1", "eu-west-1"} {
		if err := root.writeEnvironment(map[string]string{"AWS_REGION": region, "A": "b c"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(root.readEnvironment(), "|"); got != "LANG=C|A=b c|AWS_REGION=eu-west-1" {
		t.Errorf("environment %q", got)
	}
	if err := root.writeEnvironment(nil); err != nil {
		t.Fatal(err)
	}
	if text, err := root.read("etc/environment"); err != nil || text != "LANG='C'\n" {
		t.Errorf("left %q: %v", text, err)
	}
}

func TestHostKeysBelongToTheInstance(t *testing.T) {
	root := rootFolder(t.TempDir())
	fingerprint := func(id string) string {
		t.Helper()
		if _, err := root.adoptInstance(id); err != nil {
			t.Fatal(err)
		}
		keys, err := root.ensureHostKeys("root@test")
		if err != nil {
			t.Fatal(err)
		}
		return hostKeyAnnouncement(keys, "root@test")
	}
	one := fingerprint("i-1")
	if fingerprint("i-1") != one {
		t.Error("the keys did not survive a boot")
	}
	if fingerprint("i-2") == one {
		t.Error("a copy of the instance kept its keys")
	}
	if !strings.Contains(one, "-----BEGIN SSH HOST KEY FINGERPRINTS-----\nec2: 256 SHA256:") {
		t.Errorf("announcement:\n%s", one)
	}
}

func TestConfig(t *testing.T) {
	good := Config{InstanceID: "i-0123", Users: []User{{Name: "admin", AuthorizedKeys: []string{testKeyLine(t, "a")}}}, UserData: []byte{0, 255}}
	text, err := good.Variable()
	if err != nil {
		t.Fatal(err)
	}
	back, err := parseConfig([]byte(strings.TrimPrefix(text, ConfigVariable+"=")))
	if err != nil || back.InstanceID != good.InstanceID || string(back.UserData) != "\x00\xff" {
		t.Errorf("%+v, %v", back, err)
	}
	for name, bad := range map[string]Config{
		"no id":          {},
		"path as id":     {InstanceID: "../etc"},
		"user":           {InstanceID: "i-1", Users: []User{{Name: "a:b"}}},
		"shell":          {InstanceID: "i-1", Users: []User{{Name: "a", Shell: "/bin/sh\nroot2:x:0:0"}}},
		"key":            {InstanceID: "i-1", Users: []User{{Name: "a", AuthorizedKeys: []string{"nonsense"}}}},
		"variable":       {InstanceID: "i-1", Environment: map[string]string{"A": "x\nLD_PRELOAD=y"}},
		"variable name":  {InstanceID: "i-1", Environment: map[string]string{"A B": "x"}},
		"mode":           {InstanceID: "i-1", SSH: "telnet"},
		"negative grace": {InstanceID: "i-1", StopGraceSeconds: -1},
		"too large":      {InstanceID: "i-1", UserData: make([]byte, 100<<10)},
	} {
		if _, err := bad.Variable(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
