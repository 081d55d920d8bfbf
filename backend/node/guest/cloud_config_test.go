//go:build linux

package guest

import (
	"os"
	"reflect"
	"slices"
	"strings"
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
	for path, want := range map[string]string{"/usr/bin/apt-get": "update;install --yes nginx jq=1.6-2", "/usr/bin/dnf": "makecache;install -y nginx jq-1.6-2"} {
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

func TestWrongCloudConfigs(t *testing.T) {
	for _, text := range []string{
		"#cloud-config\n- a\n", "#cloud-config\na: [\n", "#cloud-config\nruncmd: 7\n", "#cloud-config\nusers: [{name: '../x'}]\n", "#cloud-config\nusers: [{shell: /bin/sh}]\n",
		"#cloud-config\npackages: [[a, b, c]]\n", "#cloud-config\npackages: [--force]\n", "#cloud-config\nusers: [{name: ann, ssh_authorized_keys: [nonsense]}]\n",
	} {
		if c, err := parseCloudConfig([]byte(text)); err == nil {
			t.Errorf("%q: %+v", text, c)
		}
	}
	root := rootFolder(t.TempDir())
	for _, f := range []cloudFile{{Path: "relative"}, {Path: "/a", Encoding: "b64", Content: "!"}, {Path: "/a", Encoding: "rot13"}, {Path: "/a", Permissions: "rw"}, {Path: "/a", Owner: "nobody-knows"}} {
		if err := root.writeCloudFile(f); err == nil {
			t.Errorf("%+v was written", f)
		}
	}
}
