//go:build linux

package guest

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packageManager is how a distribution installs.
type packageManager struct {
	path                     string
	always, env              []string
	update, upgrade, install []string
	between                  string // name and version
}

// aptOptions keep a configuration file that write_files brought before its package, and ask nothing.
// The words are those that cloud-init gives to apt-get.
var aptOptions = []string{"--option=Dpkg::Options::=--force-confold", "--option=Dpkg::options::=--force-unsafe-io", "--assume-yes", "--quiet"}

var packageManagers = []packageManager{
	{"/usr/bin/apt-get", aptOptions, []string{"DEBIAN_FRONTEND=noninteractive"}, []string{"update"}, []string{"dist-upgrade"}, []string{"install"}, "="},
	{"/usr/bin/dnf", nil, nil, []string{"makecache"}, []string{"upgrade", "-y"}, []string{"install", "-y"}, "-"},
	{"/usr/bin/microdnf", nil, nil, []string{"makecache"}, []string{"upgrade", "-y"}, []string{"install", "-y"}, "-"},
	{"/usr/bin/yum", nil, nil, []string{"makecache"}, []string{"upgrade", "-y"}, []string{"install", "-y"}, "-"},
	{"/sbin/apk", nil, nil, []string{"update"}, []string{"upgrade"}, []string{"add"}, "="},
	{"/usr/bin/zypper", []string{"--non-interactive"}, nil, []string{"refresh"}, []string{"update"}, []string{"install"}, "="},
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
	for i, call := range all {
		all[i] = slices.Concat(m.always, call)
	}
	return all
}

// applyEarly applies what is to be there before anybody logs in: at every boot the boot commands, the rest once.
func (u userDataRun) applyEarly(first bool) {
	for _, c := range u.configs {
		u.shell("bootcmd", c.boot)
	}
	if !first {
		return
	}
	for _, c := range u.configs {
		for _, key := range c.others {
			u.console.logf("user data: cloud-config: %s is NOT applied, as this image has no cloud-init", key)
		}
		for _, what := range c.wrong {
			u.console.logf("user data: cloud-config: %s: it is NOT applied", what)
		}
		u.writeFiles(c, false)
	}
	for _, c := range u.configs {
		for _, user := range c.users {
			u.check("user "+user.Name, errors.Join(u.root.ensureGroups(user.Groups), u.root.ensureUser(user)))
		}
		if len(c.keys) > 0 && len(u.config.Users) > 0 {
			u.check("ssh_authorized_keys", u.root.ensureUser(User{Name: u.config.Users[0].Name, AuthorizedKeys: c.keys}))
		}
	}
}

// applyPackages brings the packages, and after them the files that wait for them.
func (u userDataRun) applyPackages() {
	at := slices.IndexFunc(packageManagers, func(m packageManager) bool { _, ok := u.root.find(m.path); return ok })
	for _, c := range u.configs {
		if at < 0 && (c.update || c.upgrade || len(c.packages) > 0) {
			u.console.logf("user data: cloud-config: packages are NOT installed, as this image has no package manager that is known")
		} else if at >= 0 {
			m := packageManagers[at]
			for _, call := range c.commands(m) {
				u.check(m.path, u.runCommand(m.env, u.root.path(m.path), call...))
			}
		}
	}
	for _, c := range u.configs {
		u.writeFiles(c, true)
	}
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
	file := u.folder() + "/" + name
	text := "#!/bin/sh\n" + strings.Join(lines, "\n") + "\n"
	if err := errors.Join(os.MkdirAll(filepath.Dir(u.root.path(file)), 0o700), u.root.replace(file, []byte(text), fileMode{mode: 0o700})); err != nil {
		u.check(name, err)
		return
	}
	u.command(u.root.path(file))
}
