//go:build linux

package guest

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// cloudConfig is what init itself applies of a #cloud-config where the image has no cloud-init, as container images have none.
// What is not here is named on the console.
type cloudConfig struct {
	boot, run       []string // lines of a shell
	files           []cloudFile
	users           []User
	keys            []string // of the login user
	update, upgrade bool
	packages        []cloudPackage
	// others are the keys that are not applied.
	others []string
}

// cloudFile is an entry of write_files.
type cloudFile struct {
	Path, Content, Encoding, Owner string
	Permissions                    string
	Append, Defer                  bool
}

type cloudPackage struct{ name, version string }

// parseCloudConfig reads a #cloud-config.
// The keys and their forms are those of cloud-init's documentation, "Module reference".
func parseCloudConfig(text []byte) (c cloudConfig, err error) {
	var tree map[string]yaml.Node
	if err := yaml.Unmarshal(text, &tree); err != nil {
		return c, err
	}
	for _, key := range slices.Sorted(maps.Keys(tree)) {
		node := tree[key]
		switch key {
		case "bootcmd":
			c.boot, err = shellLines(&node)
		case "runcmd":
			c.run, err = shellLines(&node)
		case "write_files":
			err = node.Decode(&c.files)
		case "ssh_authorized_keys":
			err = node.Decode(&c.keys)
		case "users":
			err = c.readUsers(&node)
		case "package_update", "apt_update":
			err = node.Decode(&c.update)
		case "package_upgrade", "apt_upgrade":
			err = node.Decode(&c.upgrade)
		case "packages":
			err = c.readPackages(&node)
		default:
			c.others = append(c.others, key)
		}
		if err != nil {
			return cloudConfig{}, fmt.Errorf("%s: %w", key, err)
		}
	}
	return c, nil
}

// shellLines reads commands: a text is a line of a shell, a list the words of one.
func shellLines(node *yaml.Node) (lines []string, err error) {
	var all []yaml.Node
	if err := node.Decode(&all); err != nil {
		return nil, err
	}
	for _, one := range all {
		if one.Kind != yaml.SequenceNode {
			var line string
			if err := one.Decode(&line); err != nil {
				return nil, err
			}
			lines = append(lines, line)
			continue
		}
		var words []string
		if err := one.Decode(&words); err != nil {
			return nil, err
		}
		for i, word := range words {
			words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return lines, nil
}

// textOrList reads a list that may be one text, with commas between the members.
func textOrList(node *yaml.Node) (all []string, err error) {
	if node.Kind == yaml.SequenceNode {
		err = node.Decode(&all)
		return all, err
	}
	var text string
	if err := node.Decode(&text); err != nil || text == "" {
		return nil, err
	}
	for one := range strings.SplitSeq(text, ",") {
		all = append(all, strings.TrimSpace(one))
	}
	return all, nil
}

func (c *cloudConfig) readUsers(node *yaml.Node) error {
	var all []yaml.Node
	if err := node.Decode(&all); err != nil {
		return err
	}
	for _, one := range all {
		if one.Kind == yaml.ScalarNode {
			if one.Value != "default" { // the login user, which is there anyway
				c.users = append(c.users, User{Name: one.Value})
			}
			continue
		}
		var fields map[string]yaml.Node
		if err := one.Decode(&fields); err != nil {
			return err
		}
		var user User
		for _, key := range slices.Sorted(maps.Keys(fields)) {
			value, err := fields[key], error(nil)
			switch key {
			case "name":
				err = value.Decode(&user.Name)
			case "shell":
				err = value.Decode(&user.Shell)
			case "groups":
				user.Groups, err = textOrList(&value)
			case "ssh_authorized_keys":
				err = value.Decode(&user.AuthorizedKeys)
			case "sudo":
				var known bool
				if user.Sudo, known, err = readSudo(&value); !known {
					c.others = append(c.others, "users.sudo")
				}
			case "gecos", "lock_passwd", "lock-passwd": // a password matches nothing either way
			default:
				c.others = append(c.others, "users."+key)
			}
			if err != nil {
				return fmt.Errorf("%s: %w", key, err)
			}
		}
		c.users = append(c.users, user)
	}
	for _, user := range c.users {
		if err := user.validate(); err != nil {
			return err
		}
	}
	return nil
}

// everything are the rules of sudo that init knows, without their spaces: all commands, as root at least, and no password.
var everything = []string{"ALL=(ALL)NOPASSWD:ALL", "ALL=(ALL:ALL)NOPASSWD:ALL", "ALL=(root)NOPASSWD:ALL"}

// readSudo tells whether a user's rules let it do everything. Of rules the last that fits counts, so with one among them that
// says anything else none is known, and the user gets nothing. A text is one rule, commas and all.
func readSudo(node *yaml.Node) (all, known bool, err error) {
	var rules []string
	switch {
	case node.Kind == yaml.SequenceNode:
		if err := node.Decode(&rules); err != nil {
			return false, true, err
		}
	case node.Kind != yaml.ScalarNode:
		return false, false, nil
	case node.Tag == "!!null" || node.Tag == "!!bool" && node.Value == "false" || node.Value == "":
	default:
		rules = []string{node.Value}
	}
	for _, rule := range rules {
		if !slices.Contains(everything, strings.Join(strings.Fields(rule), "")) {
			return false, false, nil
		}
	}
	return len(rules) > 0, true, nil
}

func (c *cloudConfig) readPackages(node *yaml.Node) error {
	var all []yaml.Node
	if err := node.Decode(&all); err != nil {
		return err
	}
	for _, one := range all {
		words := []string{one.Value}
		if one.Kind == yaml.SequenceNode {
			if err := one.Decode(&words); err != nil {
				return err
			}
		}
		if len(words) == 0 || len(words) > 2 || words[0] == "" || strings.HasPrefix(words[0], "-") {
			return errors.New("a package is a name, or a name and a version")
		}
		p := cloudPackage{name: words[0]}
		if len(words) == 2 {
			p.version = words[1]
		}
		c.packages = append(c.packages, p)
	}
	return nil
}

// packageManager is how a distribution installs.
type packageManager struct {
	path                     string
	update, upgrade, install []string
	between                  string // name and version
}

var packageManagers = []packageManager{
	{"/usr/bin/apt-get", []string{"update"}, []string{"dist-upgrade", "--yes"}, []string{"install", "--yes"}, "="},
	{"/usr/bin/dnf", []string{"makecache"}, []string{"upgrade", "-y"}, []string{"install", "-y"}, "-"},
	{"/usr/bin/microdnf", []string{"makecache"}, []string{"upgrade", "-y"}, []string{"install", "-y"}, "-"},
	{"/usr/bin/yum", []string{"makecache"}, []string{"upgrade", "-y"}, []string{"install", "-y"}, "-"},
	{"/sbin/apk", []string{"update"}, []string{"upgrade"}, []string{"add"}, "="},
	{"/usr/bin/zypper", []string{"--non-interactive", "refresh"}, []string{"--non-interactive", "update"}, []string{"--non-interactive", "install"}, "="},
}

// commands are the calls that bring the packages.
func (c cloudConfig) commands(m packageManager) (all [][]string) {
	if c.update || c.upgrade || len(c.packages) > 0 {
		all = append(all, m.update)
	}
	if c.upgrade {
		all = append(all, m.upgrade)
	}
	if len(c.packages) > 0 {
		call := slices.Clone(m.install)
		for _, p := range c.packages {
			name := p.name
			if p.version != "" {
				name += m.between + p.version
			}
			call = append(call, name)
		}
		all = append(all, call)
	}
	return all
}

// bytes are the file's, unpacked as its encoding says.
func (f cloudFile) bytes() (content []byte, err error) {
	content = []byte(f.Content)
	encoding := strings.ToLower(strings.TrimSpace(f.Encoding))
	if slices.Contains([]string{"b64", "base64", "gz+b64", "gz+base64", "gzip+b64", "gzip+base64"}, encoding) {
		if content, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(f.Content), "")); err != nil {
			return nil, err
		}
	}
	switch {
	case strings.HasPrefix(encoding, "gz"):
		zipped, err := gzip.NewReader(bytes.NewReader(content))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(io.LimitReader(zipped, maxUserData))
	case encoding != "" && encoding != "text/plain" && encoding != "b64" && encoding != "base64":
		return nil, fmt.Errorf("the encoding %q is not known", f.Encoding)
	}
	return content, nil
}

// writeCloudFile writes one entry of write_files.
func (r rootFolder) writeCloudFile(f cloudFile) error {
	if !filepath.IsAbs(f.Path) {
		return errors.New("the path is not absolute")
	}
	content, err := f.bytes()
	if err != nil {
		return err
	}
	want := fileMode{mode: 0o644}
	if f.Permissions != "" {
		mode, err := strconv.ParseUint(f.Permissions, 8, 12)
		if err != nil {
			return err
		}
		want.mode = fs.FileMode(mode & 0o777)
		for bit, flag := range map[uint64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
			if mode&bit != 0 {
				want.mode |= flag
			}
		}
	}
	if user, group, _ := strings.Cut(f.Owner, ":"); user != "" {
		accounts, err := r.readAccounts()
		if err != nil {
			return err
		}
		owner, ok := accounts.find(user)
		if want.uid, want.gid = owner.uid, owner.gid; group != "" && ok {
			want.gid, ok = accounts.groupID(group)
		}
		if !ok && f.Owner != "root" && f.Owner != "root:root" {
			return fmt.Errorf("there is no %s", f.Owner)
		}
	}
	if err := os.MkdirAll(filepath.Dir(r.path(f.Path)), 0o755); err != nil {
		return err
	}
	if f.Append {
		before, err := r.read(f.Path)
		if err != nil {
			return err
		}
		content = append([]byte(before), content...)
	}
	return r.replace(f.Path, content, want)
}

// applyEarly applies what is to be there before anybody logs in: at every boot the boot commands, the rest once.
func (u userDataRun) applyEarly(c cloudConfig, first bool) {
	u.shell("bootcmd", c.boot)
	if !first {
		return
	}
	for _, key := range c.others {
		u.console.logf("user data: cloud-config: %s is NOT applied, as this image has no cloud-init", key)
	}
	u.writeFiles(c, false)
	for _, user := range c.users {
		u.check("user "+user.Name, u.root.ensureUser(user))
	}
	if len(c.keys) > 0 && len(u.config.Users) > 0 {
		u.check("ssh_authorized_keys", u.root.ensureUser(User{Name: u.config.Users[0].Name, AuthorizedKeys: c.keys}))
	}
}

// applyLate applies the rest, once.
func (u userDataRun) applyLate(c cloudConfig) {
	at := slices.IndexFunc(packageManagers, func(m packageManager) bool { _, ok := u.root.find(m.path); return ok })
	if at < 0 && (c.update || c.upgrade || len(c.packages) > 0) {
		u.console.logf("user data: cloud-config: packages are NOT installed, as this image has no package manager that is known")
	} else if at >= 0 {
		for _, call := range c.commands(packageManagers[at]) {
			u.command(packageManagers[at].path, call...)
		}
	}
	u.writeFiles(c, true)
	u.shell("runcmd", c.run)
}

func (u userDataRun) writeFiles(c cloudConfig, deferred bool) {
	for _, f := range c.files {
		if f.Defer == deferred {
			u.check("write_files "+f.Path, u.root.writeCloudFile(f))
		}
	}
}

func (u userDataRun) check(what string, err error) {
	if err != nil {
		u.console.logf("user data: cloud-config: %s: %v", what, err)
	}
}

// shell runs lines as one script, as cloud-init does.
func (u userDataRun) shell(name string, lines []string) {
	if len(lines) == 0 {
		return
	}
	file := stateFolder + "/instances/" + u.config.InstanceID + "/" + name
	text := "#!/bin/sh\n" + strings.Join(lines, "\n") + "\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(u.root.path(file)), 0o700), u.root.replace(file, []byte(text), fileMode{mode: 0o700})); err != nil {
		u.check(name, err)
		return
	}
	u.command(u.root.path(file))
}
