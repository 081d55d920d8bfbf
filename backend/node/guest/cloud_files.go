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
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// cloudFile is an entry of write_files.
type cloudFile struct {
	Path, Content, Encoding, Owner string
	Permissions                    string
	Append, Defer                  bool
}

// cloudFileFields are the names of its fields.
var cloudFileFields = []string{"path", "content", "encoding", "owner", "permissions", "append", "defer"}

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
		content, err = io.ReadAll(io.LimitReader(zipped, maxUserData+1))
		if len(content) > maxUserData {
			err = errUserDataTooLarge
		}
		return content, err
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
		mode, err := strconv.ParseUint(strings.TrimPrefix(strings.ToLower(f.Permissions), "0o"), 8, 12)
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
	path, err := r.follow(f.Path)
	if err != nil {
		return err
	}
	info, err := os.Lstat(r.path(path))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := os.MkdirAll(filepath.Dir(r.path(path)), 0o755); err != nil {
			return err
		}
		return r.replace(path, content, want)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is there, and no ordinary file")
	}
	return r.overwrite(path, content, want, f.Append)
}

// overwrite writes into a file that is there, as cloud-init does: it may be one that the engine put over the image's
// (/etc/hosts, /etc/hostname, /etc/resolv.conf), which cannot be replaced.
func (r rootFolder) overwrite(name string, content []byte, want fileMode, after bool) error {
	flags := os.O_WRONLY | syscall.O_NOFOLLOW
	if after {
		flags |= os.O_APPEND
	}
	file, err := os.OpenFile(r.path(name), flags, 0)
	if err != nil {
		return err
	}
	if os.Geteuid() == 0 {
		err = file.Chown(want.uid, want.gid)
	}
	err = errors.Join(err, file.Chmod(want.mode))
	if !after {
		err = errors.Join(err, file.Truncate(0))
	}
	if err == nil { // the content may be for those alone whom the mode lets read
		_, err = file.Write(content)
	}
	return errors.Join(err, file.Sync(), file.Close())
}

// maxLinks is as many links as Linux follows.
const maxLinks = 40

// follow answers where a path leads once all its links are followed. They stay below the root, and the path's end need not be there.
func (r rootFolder) follow(name string) (string, error) {
	done, todo := "/", strings.Split(name, "/")
	for links := 0; len(todo) > 0; {
		next := filepath.Join(done, todo[0])
		todo = todo[1:]
		target, err := os.Readlink(r.path(next))
		if err != nil { // no link, or nothing
			done = next
			continue
		}
		if links++; links > maxLinks {
			return "", &fs.PathError{Op: "open", Path: name, Err: syscall.ELOOP}
		}
		if filepath.IsAbs(target) {
			done = "/"
		}
		todo = append(strings.Split(target, "/"), todo...)
	}
	return done, nil
}
