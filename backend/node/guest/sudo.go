//go:build linux

package guest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A machine of AWS lets its login user become root, and setup scripts call sudo. Most container images have none: there
// this program is it. It is set-user-ID in its volume, which nobody can write, and does nothing with that but what is in
// this file: under any other name it gives the rights up before all else (GiveUpRights).

// sudoName is what the program is called as.
const sudoName = "sudo"

// sudoPaths is where images have their own.
var sudoPaths = []string{"/usr/bin/sudo", "/usr/local/bin/sudo", "/bin/sudo"}

// installSudo links this program as sudo where the image has none. A package that brings the real one replaces the link,
// and finds the users' rules in its folder.
func (r rootFolder) installSudo(binary string) error {
	info, err := os.Stat(r.path(binary))
	if err != nil || info.Mode()&os.ModeSetuid == 0 { // mini-aws as its own init
		return err
	}
	if _, ok := r.find(sudoPaths...); ok {
		return nil
	}
	link := r.path(sudoPaths[0])
	if target, err := os.Readlink(link); err == nil { // it leads nowhere, or to where the program was before
		if target != binary && filepath.Base(target) != filepath.Base(binary) {
			return nil
		}
		if err := os.Remove(link); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(link), 0o755); err != nil {
		return err
	}
	return os.Symlink(binary, link)
}

// IsSudo tells whether the program was called as sudo.
func IsSudo(name string) bool { return filepath.Base(name) == sudoName }

// GiveUpRights makes the program again what its caller is.
func GiveUpRights() error {
	uid, gid := os.Getuid(), os.Getgid()
	if uid == os.Geteuid() && gid == os.Getegid() {
		return nil
	}
	return errors.Join(syscall.Setresgid(gid, gid, gid), syscall.Setresuid(uid, uid, uid))
}

// Sudo is the command. It answers only if it fails, or has nothing to run.
func Sudo(args []string) int {
	r := rootFolder("/")
	asked, err := parseSudo(args)
	if err == nil {
		var caller, target account
		if caller, target, err = r.allowedBySudo(os.Getuid(), asked.user); err == nil {
			err = r.become(asked, caller, target)
		}
	}
	if err != nil {
		_, _ = fmt.Fprintf(os.Stderr, "sudo: %v\n", err)
		return 1
	}
	return 0
}

// sudoCall is what a command line asks for.
type sudoCall struct {
	user string
	// login and shell are -i and -s, keep is -E.
	login, shell, keep bool
	// kept are the names of --preserve-env=LIST.
	kept []string
	// nothing: no command runs, list: it is asked what may run, or whether the command may.
	nothing, list bool
	env           []string
	command       []string
}

const sudoUsage = "usage: sudo [-EHikns] [-u user] [VAR=value] [command [arg ...]]\n" +
	"       sudo -l [-u user] [command [arg ...]]\n       sudo -K | -k | -v"

// sudoLong are the long options and their short twins; those that end in "=" have a value.
var sudoLong = map[string]string{
	"login": "i", "shell": "s", "preserve-env": "E", "set-home": "H", "non-interactive": "n", "stdin": "S", "validate": "v",
	"list": "l", "reset-timestamp": "k", "remove-timestamp": "K", "user=": "u", "prompt=": "p",
}

func parseSudo(args []string) (sudoCall, error) {
	asked := sudoCall{user: "root"}
	var alone, forget bool // -v or -K, which go with no command, and -k, which does
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "-" {
		option := args[0]
		args = args[1:]
		if option == "--" {
			break
		}
		letters, value := strings.TrimPrefix(option, "-"), (*string)(nil)
		if long, ok := strings.CutPrefix(option, "--"); ok {
			name, given, valued := strings.Cut(long, "=")
			if name == "preserve-env" && valued {
				asked.kept = append(asked.kept, strings.Split(given, ",")...)
				continue
			}
			letters = sudoLong[name]
			if letter := sudoLong[name+"="]; letter != "" {
				letters = letter
				if valued {
					value = &given
				}
			} else if valued {
				letters = ""
			}
			if letters == "" {
				return asked, fmt.Errorf("unrecognized option '%s'\n%s", option, sudoUsage)
			}
		}
		for rest := letters; rest != ""; {
			letter := rest[0]
			rest = rest[1:]
			switch letter {
			case 'i':
				asked.login = true
			case 's':
				asked.shell = true
			case 'E':
				asked.keep = true
			case 'l':
				asked.list = true
			case 'k':
				forget = true
			case 'v', 'K':
				alone = true
			case 'H', 'n', 'S': // the home is always the target's, and no password is ever asked for
			case 'u', 'p':
				text := rest
				rest = ""
				if value != nil {
					text = *value
				} else if text == "" {
					if len(args) == 0 {
						return asked, fmt.Errorf("option requires an argument -- '%c'\n%s", letter, sudoUsage)
					}
					text, args = args[0], args[1:]
				}
				if letter == 'u' {
					asked.user = text
				}
			default:
				return asked, fmt.Errorf("invalid option -- '%c'\n%s", letter, sudoUsage)
			}
		}
	}
	for len(args) > 0 {
		name, _, ok := strings.Cut(args[0], "=")
		if !ok || !variables.MatchString(name) {
			break
		}
		asked.env, args = append(asked.env, args[0]), args[1:]
	}
	asked.command = args
	runs := len(args) > 0 || asked.login || asked.shell
	if alone && (runs || asked.list) || !alone && !asked.list && !forget && !runs {
		return asked, errors.New(sudoUsage)
	}
	// "sudo -k command" forgets what nobody remembers, and runs it.
	asked.nothing = alone || asked.list || !runs
	return asked, nil
}

// allowedBySudo answers who asks and who that is to become.
func (r rootFolder) allowedBySudo(uid int, wanted string) (caller, target account, err error) {
	accounts, err := r.readAccounts()
	if err != nil {
		return caller, target, err
	}
	find := func(uid int) (account, bool) {
		for line := range strings.Lines(accounts.passwd) {
			name, _, _ := strings.Cut(line, ":")
			if found, ok := accounts.find(name); ok && found.uid == uid {
				return found, true
			}
		}
		return account{}, false
	}
	caller, ok := find(uid)
	if !ok && uid != 0 {
		return caller, target, fmt.Errorf("you do not exist in the passwd database")
	}
	if uid != 0 {
		info, err := os.Lstat(r.path(sudoRule(filepath.Base(caller.name))))
		if err != nil || !info.Mode().IsRegular() {
			return caller, target, fmt.Errorf("%s is not in the sudoers file", caller.name)
		}
	}
	target, ok = accounts.find(wanted)
	if number, isNumber := strings.CutPrefix(wanted, "#"); isNumber {
		if id, err := strconv.Atoi(number); err == nil {
			target, ok = find(id)
		}
	}
	if !ok && wanted == "root" { // an image without accounts has root all the same
		target, ok = account{name: "root", home: "/root", shell: "/bin/sh"}, true
	}
	if !ok {
		return caller, target, fmt.Errorf("unknown user %s", wanted)
	}
	return caller, target, nil
}

// sudoEnvironment is what the command finds: nothing of the caller's but its terminal, its language and what the machine
// sets for all, unless it asks. The loader's variables and the PATH are never the caller's.
func (r rootFolder) sudoEnvironment(asked sudoCall, caller, target account, before []string) []string {
	all := append([]string{"PATH=" + defaultPath}, r.readEnvironment()...)
	for _, variable := range before {
		name, _, _ := strings.Cut(variable, "=")
		if name == "PATH" || strings.HasPrefix(name, "LD_") {
			continue
		}
		configured := slices.ContainsFunc(all[1:], func(known string) bool { return strings.HasPrefix(known, name+"=") })
		if asked.keep || slices.Contains(asked.kept, name) || name == "TERM" || name == "LANG" || strings.HasPrefix(name, "LC_") || configured {
			all = append(all, variable)
		}
	}
	all = append(all, "HOME="+target.home, "SHELL="+target.shell, "LOGNAME="+target.name, "USER="+target.name,
		"SUDO_USER="+caller.name, "SUDO_UID="+strconv.Itoa(caller.uid), "SUDO_GID="+strconv.Itoa(caller.gid),
		"SUDO_COMMAND="+strings.Join(asked.command, " "))
	return lastOfEach(append(all, asked.env...))
}

// become runs the command as the target.
func (r rootFolder) become(asked sudoCall, caller, target account) error {
	env := r.sudoEnvironment(asked, caller, target, os.Environ())
	if asked.nothing {
		text, err := r.sudoList(asked, caller, env)
		if err == nil {
			_, err = os.Stdout.WriteString(text)
		}
		return err
	}
	argv := asked.command
	path := target.shell
	switch {
	case asked.login || asked.shell:
		name := filepath.Base(target.shell)
		if asked.login {
			name = "-" + name
		} else if own := os.Getenv("SHELL"); own != "" {
			path, name = own, filepath.Base(own)
		}
		argv = []string{name}
		if len(asked.command) > 0 {
			argv = append(argv, "-c", shellLine(asked.command))
		}
	default:
		var err error
		if path, err = r.program(env, argv[0]); err != nil {
			return err
		}
	}
	groups := []int{target.gid}
	for _, id := range target.groups {
		groups = append(groups, int(id))
	}
	if err := errors.Join(syscall.Setgroups(groups), syscall.Setresgid(target.gid, target.gid, target.gid),
		syscall.Setresuid(target.uid, target.uid, target.uid)); err != nil {
		return err
	}
	unix.Umask(unix.Umask(0o022) | 0o022)
	if asked.login {
		if err := os.Chdir(target.home); err != nil {
			_, _ = fmt.Fprintf(os.Stderr, "sudo: unable to change directory to %s: %v\n", target.home, err)
		}
	}
	err := syscall.Exec(path, argv, env)
	if errors.Is(err, syscall.ENOEXEC) { // a script that names no interpreter
		err = syscall.Exec("/bin/sh", append([]string{"sh", path}, argv[1:]...), env)
	}
	return fmt.Errorf("unable to execute %s: %w", path, err)
}

// sudoList is what a call prints that runs nothing: with -l what may run, or where the command is that it names.
func (r rootFolder) sudoList(asked sudoCall, caller account, env []string) (string, error) {
	if !asked.list {
		return "", nil
	}
	if len(asked.command) == 0 {
		return fmt.Sprintf("User %s may run the following commands:\n    (ALL) NOPASSWD: ALL\n", caller.name), nil
	}
	path, err := r.program(env, asked.command[0])
	if err != nil {
		return "", err
	}
	return strings.Join(append([]string{path}, asked.command[1:]...), " ") + "\n", nil
}

// program answers the path of what a command's first word names.
func (r rootFolder) program(env []string, name string) (string, error) {
	if strings.Contains(name, "/") {
		return name, nil
	}
	path, ok := r.inPath(env, name)
	if !ok {
		return "", fmt.Errorf("%s: command not found", name)
	}
	return path, nil
}

// inPath answers the program of that name in the PATH of an environment.
func (r rootFolder) inPath(env []string, name string) (string, bool) {
	for _, variable := range env {
		folders, ok := strings.CutPrefix(variable, "PATH=")
		if !ok {
			continue
		}
		for _, folder := range filepath.SplitList(folders) {
			path := filepath.Join("/", folder, name)
			if info, err := os.Stat(r.path(path)); err == nil && !info.IsDir() && info.Mode()&0o111 != 0 {
				return path, true
			}
		}
	}
	return "", false
}

// shellLine is the command as one line of a shell, each word as it was. As with sudo, what is no letter, digit, "_", "-"
// or "$" has a backslash before it.
func shellLine(words []string) string {
	var line strings.Builder
	for i, word := range words {
		if i > 0 {
			line.WriteByte(' ')
		}
		for _, letter := range word {
			ordinary := letter >= 'a' && letter <= 'z' || letter >= 'A' && letter <= 'Z' || letter >= '0' && letter <= '9' || strings.ContainsRune("_-$", letter)
			if !ordinary {
				line.WriteByte('\\')
			}
			line.WriteRune(letter)
		}
	}
	return line.String()
}
