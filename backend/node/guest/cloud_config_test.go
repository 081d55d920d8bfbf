//go:build linux

package guest

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io/fs"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

const cloudConfigExample = `#cloud-config
package_update: true
packages:
  - nginx
  - [jq, "1.6-2"]
bootcmd:
  - echo boot
runcmd:
  - [sh, -c, "echo it's $HOME"]
  - echo line
write_files:
  - path: /etc/a/b
    content: |
      text
    permissions: '0600'
  - {path: /etc/a/zipped, encoding: gz+b64, content: H4sIAAAAAAACA0utKMlILUrlAgBSUY24CAAAAA==}
  - {path: /etc/a/b, content: more, append: true, permissions: "0640", defer: true}
users:
  - default
  - name: ann
    groups: adm, sudo
    sudo: ["ALL=(ALL) NOPASSWD:ALL"]
    shell: /bin/sh
    ssh_authorized_keys: [KEY]
  - name: bob
    sudo: false
    passwd: x
ssh_authorized_keys: [KEY]
timezone: Europe/Berlin
`

func TestCloudConfig(t *testing.T) {
	key := testKeyLine(t, "one")
	c, err := parseCloudConfig([]byte(strings.ReplaceAll(cloudConfigExample, "KEY", `"`+key+`"`)))
	if err != nil {
		t.Fatal(err)
	}
	if want := []User{{Name: "ann", Groups: []string{"adm", "sudo"}, Sudo: true, Shell: "/bin/sh", AuthorizedKeys: []string{key}}, {Name: "bob"}}; !reflect.DeepEqual(c.users, want) {
		t.Errorf("%+v", c.users)
	}
	if want := []string{`'sh' '-c' 'echo it'\''s $HOME'`, "echo line"}; !slices.Equal(c.run, want) || !slices.Equal(c.boot, []string{"echo boot"}) {
		t.Errorf("%q, %q", c.run, c.boot)
	}
	if want := []string{"timezone", "users.passwd"}; !slices.Equal(c.others, want) {
		t.Errorf("%q are not applied, want %q", c.others, want)
	}
	apt := "--option=Dpkg::Options::=--force-confold --option=Dpkg::options::=--force-unsafe-io --assume-yes --quiet "
	for path, want := range map[string]string{"/usr/bin/apt-get": apt + "update;" + apt + "install nginx jq=1.6-2", "/usr/bin/dnf": "makecache;install -y nginx jq-1.6-2"} {
		at := slices.IndexFunc(packageManagers, func(m packageManager) bool { return m.path == path })
		var got []string
		for _, call := range c.commands(packageManagers[at]) {
			got = append(got, strings.Join(call, " "))
		}
		if strings.Join(got, ";") != want {
			t.Errorf("%s: %q", path, got)
		}
	}
	root := rootFolder(t.TempDir())
	for _, f := range c.files {
		if err := root.writeCloudFile(f); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{"etc/a/b": "text\nmore", "etc/a/zipped": "exthere\n"} {
		if got, err := root.read(name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if info, err := os.Stat(root.path("etc/a/b")); err != nil || info.Mode() != 0o640 {
		t.Error(info.Mode(), err)
	}
}

// TestCloudConfigSudo: only who may do everything without a password may in an instance; every other rule is named.
func TestCloudConfigSudo(t *testing.T) {
	for rules, want := range map[string]string{
		`"ALL=(ALL) NOPASSWD:ALL"`:           "all",
		`"ALL=(ALL)  NOPASSWD: ALL"`:         "all",
		`["ALL=(ALL:ALL) NOPASSWD:ALL"]`:     "all",
		`"ALL = (root) NOPASSWD: ALL"`:       "all",
		`false`:                              "none",
		`null`:                               "none",
		`""`:                                 "none",
		`[]`:                                 "none",
		`"ALL=(postgres) NOPASSWD:ALL"`:      "named",
		`"ALL=(ALL) ALL"`:                    "named",
		`"ALL=(ALL) NOPASSWD: !ALL"`:         "named",
		`"ALL=(ALL) NOPASSWD: /bin/ls"`:      "named",
		`"ALL=(ALL) NOPASSWD:ALL, !/bin/sh"`: "named",
		`["ALL=(ALL) NOPASSWD:ALL", "ALL=(ALL) ALL"]`:  "named",
		`["ALL=(ALL) NOPASSWD:ALL", "ALL=(ALL) !ALL"]`: "named",
		`true`:   "named",
		`{a: b}`: "named",
	} {
		c, err := parseCloudConfig([]byte("#cloud-config\nusers: [{name: ann, sudo: " + rules + "}]\n"))
		if err != nil || len(c.users) != 1 {
			t.Errorf("%s: %+v, %v", rules, c, err)
			continue
		}
		if c.users[0].Sudo != (want == "all") || slices.Contains(c.others, "users.sudo") != (want == "named") {
			t.Errorf("%s: all %t, not applied %q, want %s", rules, c.users[0].Sudo, c.others, want)
		}
	}
}

// TestCloudConfigAliases: an alias stands for what it names, and one odd entry leaves the others alone.
func TestCloudConfigAliases(t *testing.T) {
	c, err := parseCloudConfig([]byte(`#cloud-config
x-command: &command [echo, a]
x-user: &user {name: ann, sudo: &sudo ["ALL=(ALL) NOPASSWD:ALL"]}
x-groups: &groups [adm]
runcmd: [*command, echo b]
users: [*user, {name: bob, sudo: *sudo, groups: *groups}, {name: ../x}, 7, {name: eve, ssh_authorized_keys: [nonsense]}, default, joe]
packages: [{snap: [lxd]}, jq, --force, [a, b, c], {apt: [x]}]
write_files:
  - {path: /a, source: {uri: "http://there"}}
  - {path: /b, source: {uri: "http://there"}, content: b, mode: 1}
  - /c
  - {path: /d, content: d}
bootcmd: 7
ssh_authorized_keys: {}
`))
	if err != nil {
		t.Fatal(err)
	}
	if want := []User{{Name: "ann", Sudo: true}, {Name: "bob", Sudo: true, Groups: []string{"adm"}}, {Name: "joe"}}; !reflect.DeepEqual(c.users, want) {
		t.Errorf("users %+v", c.users)
	}
	if want := []string{"'echo' 'a'", "echo b"}; !slices.Equal(c.run, want) || c.boot != nil || c.keys != nil {
		t.Errorf("runcmd %q, bootcmd %q, keys %q", c.run, c.boot, c.keys)
	}
	if want := []cloudPackage{{name: "jq"}}; !slices.Equal(c.packages, want) {
		t.Errorf("packages %+v", c.packages)
	}
	if want := []cloudFile{{Path: "/b", Content: "b"}, {Path: "/d", Content: "d"}}; !slices.Equal(c.files, want) {
		t.Errorf("files %+v", c.files)
	}
	want := []string{"packages.apt", "packages.snap", "write_files.mode", "write_files.source", "write_files.source", "x-command", "x-groups", "x-user"}
	if slices.Sort(c.others); !slices.Equal(c.others, want) {
		t.Errorf("not applied: %q", c.others)
	}
	all := strings.Join(c.wrong, "\n")
	for _, want := range []string{"bootcmd: ", "ssh_authorized_keys: ", "users: entry 3: ", "users: entry 4: ", "users: entry 5: ", "packages: entry 3: ", "packages: entry 4: ", "write_files: entry 3: "} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not wrong:\n%s", want, all)
		}
	}
	if len(c.wrong) != 8 {
		t.Errorf("%d are wrong:\n%s", len(c.wrong), all)
	}
	if c, err := parseCloudConfig([]byte("#cloud-config\nusers: default, ann\n")); err != nil || !reflect.DeepEqual(c.users, []User{{Name: "ann"}}) {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestWrongCloudConfigs(t *testing.T) {
	for _, text := range []string{"#cloud-config\n- a\n", "#cloud-config\na: [\n", "#cloud-config\nruncmd: *nothing\n"} {
		if c, err := parseCloudConfig([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
	for _, text := range []string{"runcmd: 7", "runcmd: [{echo a: b}]", "users: [{shell: /bin/sh}]", "packages: 7", "package_update: often", "users: {ann: {}}"} {
		if c, err := parseCloudConfig([]byte("#cloud-config\n" + text)); err != nil || len(c.wrong) != 1 || c.run != nil || c.users != nil || c.packages != nil {
			t.Errorf("%q: %+v, %v", text, c, err)
		}
	}
	root := rootFolder(t.TempDir())
	if err := os.Mkdir(root.path("folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, f := range []cloudFile{
		{Path: "relative"}, {Path: "/a", Encoding: "b64", Content: "!"}, {Path: "/a", Encoding: "rot13"}, {Path: "/a", Permissions: "rw"},
		{Path: "/a", Owner: "nobody-knows"}, {Path: "/folder"}, {Path: "/a", Encoding: "gz", Content: zipped(t, maxUserData+1)},
	} {
		if err := root.writeCloudFile(f); err == nil {
			t.Errorf("%+v was written", f)
		}
	}
	if err := root.writeCloudFile(cloudFile{Path: "/a", Encoding: "gz", Content: zipped(t, maxUserData)}); err != nil {
		t.Error(err)
	}
}

func zipped(t *testing.T, zeros int) string {
	t.Helper()
	var out bytes.Buffer
	writer := gzip.NewWriter(&out)
	_, err := writer.Write(make([]byte, zeros))
	if err := errors.Join(err, writer.Close()); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestWriteFilesInPlace: a file that is there keeps its place, so what the engine put over the image's can be written; a
// link is followed, below the root.
func TestWriteFilesInPlace(t *testing.T) {
	root := rootFolder(t.TempDir())
	for _, folder := range []string{"etc", "run/there"} {
		if err := os.MkdirAll(root.path(folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for name, target := range map[string]string{
		"etc/resolv.conf": "../run/./resolv.conf", "etc/far": "/run/there/new", "etc/folder": "/run/there", "etc/up": "/../../run/up", "etc/loop": "loop",
	} {
		if err := os.Symlink(target, root.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"etc/hosts", "run/resolv.conf"} {
		if err := os.WriteFile(root.path(name), []byte("a longer text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	before, err := os.Stat(root.path("etc/hosts"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []cloudFile{
		{Path: "/etc/hosts", Content: "hosts\n", Permissions: "0o640"}, {Path: "/etc/hosts", Content: "more\n", Append: true, Permissions: "0640"},
		{Path: "/etc/resolv.conf", Content: "resolv\n"}, {Path: "/etc/far", Content: "new"}, {Path: "/etc/folder/x/y", Content: "y"}, {Path: "/etc/up", Content: "up"},
	} {
		if err := root.writeCloudFile(f); err != nil {
			t.Errorf("%s: %v", f.Path, err)
		}
	}
	for name, want := range map[string]string{
		"etc/hosts": "hosts\nmore\n", "run/resolv.conf": "resolv\n", "run/there/new": "new", "run/there/x/y": "y", "run/up": "up",
	} {
		if got, err := root.read(name); err != nil || got != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if after, err := os.Stat(root.path("etc/hosts")); err != nil || !os.SameFile(before, after) || after.Mode() != 0o640 {
		t.Errorf("%v, %v", after, err)
	}
	if link, err := os.Readlink(root.path("etc/resolv.conf")); err != nil || link != "../run/./resolv.conf" {
		t.Errorf("%q, %v", link, err)
	}
	if err := root.writeCloudFile(cloudFile{Path: "/etc/loop"}); !errors.Is(err, syscall.ELOOP) {
		t.Errorf("a loop: %v", err)
	}
}

func TestEnsureGroups(t *testing.T) {
	root := rootFolder(t.TempDir())
	for range 2 {
		if err := errors.Join(root.ensureGroups([]string{"one", "two"}), root.ensureUser(User{Name: "ann", Groups: []string{"two"}})); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := root.read("etc/group"); err != nil || got != "root:x:0:\none:x:1000:\ntwo:x:1001:ann\nann:x:1002:\n" {
		t.Errorf("%q, %v", got, err)
	}
}

// ranUserData runs all stages of one boot in a root with a shell and an apt-get that only tell of themselves.
func ranUserData(t *testing.T, root rootFolder, userData string) (said string) {
	t.Helper()
	var console bytes.Buffer
	run := planUserData(root, Config{InstanceID: "i-1", UserData: []byte(userData)}, newProcesses(false), newConsole(&console))
	run.early()
	run.late()
	text, err := os.ReadFile(root.path("said"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if len(text) == 0 {
		t.Log(console.String())
	}
	return string(text)
}

// TestOrderOfUserData: packages of all parts, files that wait for them, scripts, commands; and all but the boot commands once.
func TestOrderOfUserData(t *testing.T) {
	root := rootFolder(t.TempDir())
	said := root.path("said")
	if err := os.MkdirAll(root.path("usr/bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	apt := "#!/bin/sh\nfor last; do :; done\n[ -e '" + root.path("early") + "' ] && [ ! -e '" + root.path("late") + "' ] && echo apt $DEBIAN_FRONTEND $last >>'" + said + "'\n"
	if err := os.WriteFile(root.path("usr/bin/apt-get"), []byte(apt), 0o700); err != nil { //nolint:gosec // it is a program
		t.Fatal(err)
	}
	part := func(kind, text string) string { return "--b\nContent-Type: text/" + kind + "\n\n" + text + "\n" }
	userData := "Content-Type: multipart/mixed; boundary=b\nMIME-Version: 1.0\n\n" +
		part("x-shellscript", "#!/bin/sh\n[ -e '"+root.path("late")+"' ] && echo script one >>'"+said+"'") +
		part("cloud-config", "#cloud-config\nruncmd: [echo run one >>'"+said+"']\nbootcmd: [echo boot >>'"+said+"']\npackages: [a]\nwrite_files: [{path: /late, defer: true}, {path: /early}]") +
		part("x-shellscript", "#!/bin/sh\necho script two >>'"+said+"'") +
		part("cloud-config", "#cloud-config\npackages: [b]\nruncmd: [echo run two >>'"+said+"']") + "--b--\n"
	want := "boot\napt noninteractive update\napt noninteractive a\napt noninteractive update\napt noninteractive b\nscript one\nscript two\nrun one\nrun two\n"
	if got := ranUserData(t, root, userData); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := ranUserData(t, root, userData); got != want+"boot\n" {
		t.Errorf("at the second boot: %q", got)
	}
}

// TestHalfOfUserData: an instance whose scripts were begun by an init that knew no cloud-config gets nothing of it later.
func TestHalfOfUserData(t *testing.T) {
	root := rootFolder(t.TempDir())
	if err := os.MkdirAll(root.path(stateFolder+"/instances/i-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(root.path(stateFolder+"/instances/i-1/"+scriptsMark), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		ranUserData(t, root, "#cloud-config\nwrite_files: [{path: /said, content: x}]\nusers: [ann]\n")
		for _, name := range []string{"/said", "/etc/passwd"} {
			if _, ok := root.find(name); ok {
				t.Errorf("%s was made", name)
			}
		}
	}
}
