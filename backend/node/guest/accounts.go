package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// account is a line of passwd, with the groups that the user is in.
type account struct {
	name        string
	uid, gid    int
	home, shell string
	// groups are the supplementary ones.
	groups []uint32
}

// accountFiles are the texts of the four account files; shadow and gshadow are empty in images without them.
type accountFiles struct{ passwd, group, shadow, gshadow string }

// firstUserID is where ordinary users begin, in every distribution that AMIs are made of.
const firstUserID, lastUserID = 1000, 59999

// find answers the user's line; a damaged line is no user.
func (f accountFiles) find(name string) (account, bool) {
	for line := range strings.Lines(f.passwd) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) != 7 || fields[0] != name || name == "" {
			continue
		}
		uid, errUID := strconv.ParseUint(fields[2], 10, 32)
		gid, errGID := strconv.ParseUint(fields[3], 10, 32)
		if errUID != nil || errGID != nil {
			return account{}, false
		}
		found := account{name: name, uid: int(uid), gid: int(gid), home: fields[5], shell: fields[6]}
		if found.home == "" {
			found.home = "/"
		}
		if found.shell == "" {
			found.shell = "/bin/sh"
		}
		found.groups = f.groupsOf(name)
		return found, true
	}
	return account{}, false
}

func (f accountFiles) groupsOf(name string) []uint32 {
	var all []uint32
	for line := range strings.Lines(f.group) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) != 4 || !slices.Contains(strings.Split(fields[3], ","), name) {
			continue
		}
		if gid, err := strconv.ParseUint(fields[2], 10, 32); err == nil {
			all = append(all, uint32(gid))
		}
	}
	return all
}

// ids answers the values of a column that holds numbers.
func ids(text string, column int) map[int]bool {
	all := map[int]bool{}
	for line := range strings.Lines(text) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), ":")
		if len(fields) > column {
			if id, err := strconv.Atoi(fields[column]); err == nil {
				all[id] = true
			}
		}
	}
	return all
}

func hasEntry(text, name string) bool {
	return strings.HasPrefix(text, name+":") || strings.Contains(text, "\n"+name+":")
}

func withLine(text, line string) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + line + "\n"
}

// ensure adds what is missing of the user: the user, a group of the same name, the membership in the groups that
// exist. What is there stays as it is, the other lines to the byte.
func (f accountFiles) ensure(user User, shell string) (accountFiles, error) {
	if f.passwd == "" {
		f.passwd = withLine("", "root:x:0:0:root:/root:"+shell)
	}
	if _, ok := f.find(user.Name); !ok {
		if hasEntry(f.passwd, user.Name) {
			return f, fmt.Errorf("the line of %s in passwd is damaged", user.Name)
		}
		id, err := f.freeID()
		if err != nil {
			return f, err
		}
		gid := id
		if existing, ok := f.groupID(user.Name); ok {
			gid = existing
		} else {
			f = f.withGroup(user.Name, gid)
		}
		home := "/home/" + user.Name
		if user.Name == "root" {
			id, gid, home = 0, 0, "/root"
		}
		f.passwd = withLine(f.passwd, fmt.Sprintf("%s:x:%d:%d:%s:%s:%s", user.Name, id, gid, user.Name, home, shell))
	}
	// "*" is a password that nothing matches. "!" would too, but an sshd without PAM takes it for a locked account.
	if !hasEntry(f.shadow, user.Name) {
		f.shadow = withLine(f.shadow, user.Name+":*:19000:0:99999:7:::")
	}
	for _, group := range user.Groups {
		f.group = joinGroup(f.group, group, user.Name)
		f.gshadow = joinGroup(f.gshadow, group, user.Name)
	}
	return f, nil
}

// freeID answers a number that is no user's and no group's.
func (f accountFiles) freeID() (int, error) {
	uids, gids := ids(f.passwd, 2), ids(f.group, 2)
	for id := firstUserID; id <= lastUserID; id++ {
		if !uids[id] && !gids[id] {
			return id, nil
		}
	}
	return 0, errors.New("no user id is free")
}

func (f accountFiles) withGroup(name string, id int) accountFiles {
	if f.group == "" {
		f.group = withLine("", "root:x:0:")
	}
	f.group = withLine(f.group, fmt.Sprintf("%s:x:%d:", name, id))
	if f.gshadow != "" && !hasEntry(f.gshadow, name) {
		f.gshadow = withLine(f.gshadow, name+":!::")
	}
	return f
}

func (f accountFiles) groupID(name string) (int, bool) {
	for line := range strings.Lines(f.group) {
		if fields := strings.Split(strings.TrimSuffix(line, "\n"), ":"); len(fields) == 4 && fields[0] == name {
			gid, err := strconv.Atoi(fields[2])
			return gid, err == nil
		}
	}
	return 0, false
}

// joinGroup adds the user to the last column of the group's line, in group and in gshadow alike.
func joinGroup(text, group, user string) string {
	var joined strings.Builder
	for line := range strings.Lines(text) {
		bare, end := strings.CutSuffix(line, "\n")
		fields := strings.Split(bare, ":")
		if len(fields) == 4 && fields[0] == group && !slices.Contains(strings.Split(fields[3], ","), user) {
			fields[3] = strings.TrimPrefix(fields[3]+","+user, ",")
			line = strings.Join(fields, ":")
			if end {
				line += "\n"
			}
		}
		joined.WriteString(line)
	}
	return joined.String()
}

func (r rootFolder) readAccounts() (f accountFiles, err error) {
	var errs [4]error
	f.passwd, errs[0] = r.read("etc/passwd")
	f.group, errs[1] = r.read("etc/group")
	f.shadow, errs[2] = r.read("etc/shadow")
	f.gshadow, errs[3] = r.read("etc/gshadow")
	return f, errors.Join(errs[:]...)
}

// writeAccounts writes what changed; passwd last, so that no user is ever without its group and its locked password.
func (r rootFolder) writeAccounts(before, after accountFiles) error {
	if err := os.MkdirAll(r.path("etc"), 0o755); err != nil {
		return err
	}
	for _, file := range []struct {
		name, before, after string
		mode                fs.FileMode
	}{
		{"etc/group", before.group, after.group, 0o644},
		{"etc/gshadow", before.gshadow, after.gshadow, 0o600},
		{"etc/shadow", before.shadow, after.shadow, 0o600},
		{"etc/passwd", before.passwd, after.passwd, 0o644},
	} {
		if file.before == file.after {
			continue
		}
		if err := r.replace(file.name, []byte(file.after), fileMode{mode: file.mode, keep: true}); err != nil {
			return err
		}
	}
	return nil
}

// ensureGroups makes the groups that the image lacks.
func (r rootFolder) ensureGroups(names []string) error {
	before, err := r.readAccounts()
	if err != nil {
		return err
	}
	after := before
	for _, name := range names {
		if hasEntry(after.group, name) {
			continue
		}
		id, err := after.freeID()
		if err != nil {
			return err
		}
		after = after.withGroup(name, id)
	}
	return r.writeAccounts(before, after)
}

// ensureUser makes the user as the configuration wants it.
func (r rootFolder) ensureUser(user User) error {
	before, err := r.readAccounts()
	if err != nil {
		return err
	}
	shell := user.Shell
	if shell == "" {
		shell, _ = r.find("/bin/bash", "/bin/sh")
	}
	if shell == "" {
		shell = "/bin/sh"
	}
	_, existed := before.find(user.Name)
	after, err := before.ensure(user, shell)
	if err != nil {
		return err
	}
	if err := r.writeAccounts(before, after); err != nil {
		return err
	}
	found, ok := after.find(user.Name)
	if !ok {
		return fmt.Errorf("user %s is not there after it was made", user.Name)
	}
	all := []error{r.ensureHome(found, existed), r.addAuthorizedKeys(found, user.AuthorizedKeys)}
	if user.Sudo && found.uid != 0 {
		all = append(all, r.allowSudo(user.Name))
	}
	return errors.Join(all...)
}

// ensureHome makes the home folder, with the files of /etc/skel for a user that is new.
func (r rootFolder) ensureHome(user account, existed bool) error {
	home := r.path(user.home)
	if _, err := os.Stat(home); err == nil || user.home == "/" {
		return nil
	}
	if err := os.MkdirAll(r.path(user.home+"/.."), 0o755); err != nil {
		return err
	}
	mode := fs.FileMode(0o755)
	if user.uid == 0 {
		mode = 0o700
	}
	if err := os.Mkdir(home, mode); err != nil {
		return err
	}
	if err := chown(os.Chown, home, user); err != nil || existed {
		return err
	}
	skeletons, err := os.ReadDir(r.path("etc/skel"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, skeleton := range skeletons {
		info, err := skeleton.Info()
		if err != nil || !info.Mode().IsRegular() {
			continue
		}
		text, err := os.ReadFile(r.path("etc/skel/" + skeleton.Name()))
		if err != nil {
			return err
		}
		want := fileMode{mode: info.Mode().Perm(), uid: user.uid, gid: user.gid}
		if err := r.replace(user.home+"/"+skeleton.Name(), text, want); err != nil {
			return err
		}
	}
	return nil
}

// chown gives a file to the user; only root can, and a test is not.
func chown(change func(string, int, int) error, name string, user account) error {
	if os.Geteuid() != 0 {
		return nil
	}
	return change(name, user.uid, user.gid)
}

// maxAuthorizedKeys is how large an authorized_keys file init reads.
const maxAuthorizedKeys = 1 << 20

// addAuthorizedKeys adds the keys that the file lacks. The folder belongs to the user, and init is root: so every step
// stays below the home folder, whatever links the user put there.
func (r rootFolder) addAuthorizedKeys(user account, lines []string) (err error) {
	if len(lines) == 0 {
		return nil
	}
	home, err := os.OpenRoot(r.path(user.home))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, home.Close()) }()
	const folder, name, fresh = ".ssh", ".ssh/authorized_keys", ".ssh/.authorized_keys.mini-aws"
	switch err := home.Mkdir(folder, 0o700); {
	case err == nil:
		if err := errors.Join(home.Chmod(folder, 0o700), chown(home.Lchown, folder, user)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	var known string
	if info, err := home.Lstat(name); err == nil {
		if !info.Mode().IsRegular() || info.Size() > maxAuthorizedKeys {
			return fmt.Errorf("%s/%s is not an ordinary file of at most 1 MiB", user.home, name)
		}
		text, err := home.ReadFile(name)
		if err != nil {
			return err
		}
		known = string(text)
	}
	merged := mergeAuthorizedKeys(known, lines)
	if merged == known {
		return nil
	}
	if err := home.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := home.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = file.WriteString(merged)
	if os.Geteuid() == 0 {
		err = errors.Join(err, file.Chown(user.uid, user.gid))
	}
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	return home.Rename(fresh, name)
}

// sudoRule is the file by which a user may become anybody, for the real sudo and for init's own.
func sudoRule(name string) string { return "etc/sudoers.d/90-mini-aws-" + name }

// allowSudo lets the user become root without a password, also where sudo comes later.
func (r rootFolder) allowSudo(name string) error {
	if err := os.MkdirAll(r.path("etc/sudoers.d"), 0o750); err != nil {
		return err
	}
	rule := "# Written by Mini AWS's init at every boot.\n" + name + " ALL=(ALL) NOPASSWD:ALL\n"
	return r.replace(sudoRule(name), []byte(rule), fileMode{mode: 0o440})
}

// The marks around init's lines in a file that it shares with the image.
const (
	blockBegin = "# mini-aws: written at every boot, do not edit"
	blockEnd   = "# mini-aws: end"
)

// withBlock answers the text with init's block replaced, or added at the end, or taken away when there are no lines.
func withBlock(text string, lines []string) string {
	if before, rest, ok := strings.Cut(text, blockBegin+"\n"); ok {
		_, after, _ := strings.Cut(rest, blockEnd+"\n")
		text = before + after
	}
	if len(lines) == 0 {
		return text
	}
	return withLine(withLine(withLine(text, blockBegin), strings.Join(lines, "\n")), blockEnd)
}

// writeEnvironment puts the configuration's variables where logins find them: PAM and the built-in server read
// /etc/environment.
func (r rootFolder) writeEnvironment(variables map[string]string) error {
	before, err := r.read("etc/environment")
	if err != nil {
		return err
	}
	var lines []string
	for name, value := range variables {
		lines = append(lines, name+"=\""+value+"\"")
	}
	slices.Sort(lines)
	if after := withBlock(before, lines); after != before {
		err = r.replace("etc/environment", []byte(after), fileMode{mode: 0o644, keep: true})
	}
	// A login shell of "sudo -i" or "su -" reads the profile where PAM does not read the file above, and sudo takes along
	// what it is told to.
	profile, keep := "# Written by Mini AWS's init at every boot.\n", ""
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		profile += "export " + line + "\n"
		keep += " " + name
	}
	for file, content := range map[string]string{
		"etc/profile.d/mini-aws.sh": profile,
		"etc/sudoers.d/89-mini-aws": "# Written by Mini AWS's init at every boot.\nDefaults env_keep += \"" + strings.TrimSpace(keep) + "\"\n",
	} {
		if _, ok := r.find("/" + filepath.Dir(file)); ok && len(lines) > 0 {
			mode := fileMode{mode: 0o644}
			if strings.HasPrefix(file, "etc/sudoers.d") {
				mode.mode = 0o440
			}
			err = errors.Join(err, r.replace(file, []byte(content), mode))
		}
	}
	return err
}

// readEnvironment answers the NAME=value of /etc/environment, without quotes.
func (r rootFolder) readEnvironment() []string {
	text, err := r.read("etc/environment")
	if err != nil {
		return nil // as PAM does: a login works without the file
	}
	var all []string
	for line := range strings.Lines(text) {
		name, value, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(line), "export "), "=")
		if !ok || !variables.MatchString(name) || strings.Contains(value, "\x00") {
			continue
		}
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		all = append(all, name+"="+value)
	}
	return all
}
