//go:build linux

package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// outputLog is where users look for what their user data printed. AWS: cloud-init's name for it.
const outputLog = "var/log/cloud-init-output.log"

// cloudInitPaths is where images have cloud-init.
var cloudInitPaths = []string{"/usr/bin/cloud-init", "/usr/local/bin/cloud-init", "/bin/cloud-init"}

// userDataRun is what is to be done about one instance's user data.
type userDataRun struct {
	root      rootFolder
	config    Config
	processes *processes
	console   *console
	parts     []userDataPart
	// cloudInit is the image's, empty if it has none or nothing needs it.
	cloudInit string
	// configs are what init applies itself where the image has none.
	configs []cloudConfig
}

// planUserData looks at the user data once, before anything of it runs.
func planUserData(root rootFolder, config Config, processes *processes, console *console) userDataRun {
	run := userDataRun{root: root, config: config, processes: processes, console: console}
	parts, err := parseUserData(config.UserData)
	if err != nil {
		console.logf("%v: nothing of it runs", err)
		return run
	}
	run.parts = parts
	for _, part := range parts {
		switch part.kind {
		case kindCloud:
			path, ok := root.find(cloudInitPaths...)
			switch {
			case ok:
				run.cloudInit = path
			case part.isCloudConfig():
				applied, err := parseCloudConfig(part.text)
				if err != nil {
					console.logf("user data: cloud-config: %v: nothing of it is applied", err)
					continue
				}
				run.configs = append(run.configs, applied)
			default:
				console.logf("user data: %s needs cloud-init, which this image does not have: it is NOT applied", part.title)
			}
		case kindUnknown:
			console.logf("user data: %s is nothing that runs: left to the metadata service", part.title)
		}
	}
	return run
}

// early runs the stages of cloud-init that come before logins. Cloud-init itself knows what is due once and what at
// every boot, and gets the user data whole.
func (u userDataRun) early() {
	if u.cloudInit == "" {
		if len(u.configs) == 0 {
			return
		}
		// An init that did not know cloud-config may have done the scripts of this instance: it gets no half of it now.
		_, late := u.root.find(u.folder() + "/" + scriptsMark)
		u.applyEarly(u.markRun("cloud-config.started") && !late)
		return
	}
	if err := u.root.writeSeed(u.config); err != nil {
		u.console.logf("cloud-init: %v", err)
		return
	}
	u.command(u.cloudInit, "init", "--local")
	u.command(u.cloudInit, "init")
}

// scriptsMark is there once the scripts were begun.
const scriptsMark = "user-data.started"

// folder is where init keeps what belongs to this instance, and to no copy of its disk.
func (u userDataRun) folder() string { return stateFolder + "/instances/" + u.config.InstanceID }

// late runs the rest once for an instance id, in the order of cloud-init's final stage: packages, files that wait for them,
// scripts, commands. Cloud-init itself runs where the image has it.
func (u userDataRun) late() {
	if u.cloudInit != "" {
		u.command(u.cloudInit, "modules", "--mode=config")
		u.command(u.cloudInit, "modules", "--mode=final")
		return
	}
	if !u.markRun(scriptsMark) {
		return
	}
	u.applyPackages()
	for i, part := range u.parts {
		if part.kind != kindScript {
			continue
		}
		name := fmt.Sprintf("%s/part-%03d", u.folder(), i+1)
		if err := u.root.replace(name, part.text, fileMode{mode: 0o700}); err != nil {
			u.console.logf("user data: %v", err)
			continue
		}
		u.command(u.root.path(name))
	}
	for _, c := range u.configs {
		u.shell("runcmd", c.run)
	}
}

// markRun answers true the first time. The mark stands before what it is for: a script that reboots the instance must not run again
// after that.
func (u userDataRun) markRun(name string) (first bool) {
	folder := u.folder()
	err := os.MkdirAll(u.root.path(folder), 0o700)
	if err == nil {
		var mark *os.File
		mark, err = os.OpenFile(u.root.path(folder+"/"+name), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			return false
		}
		if first = err == nil; first {
			err = errors.Join(mark.Sync(), mark.Close())
		}
	}
	if err != nil {
		u.console.logf("user data: %v", err)
	}
	return first
}

// lingering is how long the output of a command is waited for after its end, where something it started keeps it open.
const lingering = 300 * time.Millisecond

// command runs a program as root, its output on the console and in the log, and waits for its end.
func (u userDataRun) command(path string, args ...string) {
	if err := u.runCommand(nil, path, args...); err != nil && !errors.Is(err, errShuttingDown) {
		u.console.logf("%s: %v", path, err)
	}
}

func (u userDataRun) runCommand(env []string, path string, args ...string) error {
	if err := os.MkdirAll(u.root.path("var/log"), 0o755); err != nil {
		return err
	}
	// Not through a link: in some images the folder is the log service's, too.
	log, err := os.OpenFile(u.root.path(outputLog), os.O_CREATE|os.O_APPEND|os.O_WRONLY|syscall.O_NOFOLLOW, 0o640)
	if err != nil {
		return err
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return errors.Join(err, log.Close())
	}
	defer func() { _ = null.Close() }()
	reader, writer, err := os.Pipe()
	if err != nil {
		return errors.Join(err, log.Close())
	}
	u.console.logf("running %s", path)
	child, err := u.processes.start(launch{
		path: path, argv: append([]string{path}, args...), dir: "/", files: []*os.File{null, writer, writer},
		env: lastOfEach(slices.Concat([]string{"PATH=" + defaultPath, "HOME=/root"}, u.root.readEnvironment(), env)),
	})
	if err := errors.Join(err, writer.Close()); err != nil {
		return errors.Join(err, reader.Close(), log.Close())
	}
	copied := make(chan struct{})
	go func() {
		defer close(copied)
		lines := &lineWriter{console: u.console}
		_, _ = io.Copy(io.MultiWriter(lines, bestEffort{log}), reader)
		_ = lines.Close()
		_ = errors.Join(reader.Close(), log.Close())
	}()
	<-child.done
	select {
	case <-copied:
	case <-time.After(lingering):
	}
	u.console.logf("%s ended: %s", path, describe(child.status))
	return nil
}

// bestEffort goes on when its file is full: the console has the output, too.
type bestEffort struct{ file *os.File }

func (b bestEffort) Write(text []byte) (int, error) {
	_, _ = b.file.Write(text)
	return len(text), nil
}

// writeSeed gives cloud-init the configuration as its NoCloud data source. JSON is YAML.
func (r rootFolder) writeSeed(config Config) error {
	var keys []string
	system := map[string]any{}
	if len(config.Users) > 0 {
		keys = config.Users[0].AuthorizedKeys
		system["default_user"] = map[string]any{"name": config.Users[0].Name}
	}
	meta, err := json.Marshal(map[string]any{"instance-id": config.InstanceID, "local-hostname": config.Hostname, "public-keys": keys})
	if err != nil {
		return err
	}
	// Host keys and host name are init's business, and the network is set from outside.
	settings, err := json.Marshal(map[string]any{
		"datasource_list": []string{"NoCloud", "None"}, "ssh_deletekeys": false, "preserve_hostname": true,
		"network": map[string]any{"config": "disabled"}, "system_info": system,
	})
	if err != nil {
		return err
	}
	const seed, settingsFolder = "var/lib/cloud/seed/nocloud", "etc/cloud/cloud.cfg.d"
	err = errors.Join(os.MkdirAll(r.path(seed), 0o700), os.MkdirAll(r.path(settingsFolder), 0o755))
	if err != nil {
		return err
	}
	return errors.Join(
		r.replace(seed+"/meta-data", meta, fileMode{mode: 0o600}),
		r.replace(seed+"/user-data", config.UserData, fileMode{mode: 0o600}),
		r.replace(settingsFolder+"/99_mini-aws.cfg", append([]byte("# Written by Mini AWS's init.\n"), settings...), fileMode{mode: 0o644}),
	)
}
