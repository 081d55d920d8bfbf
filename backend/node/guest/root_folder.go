package guest

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// stateFolder holds what init remembers between boots.
const stateFolder = "var/lib/mini-aws"

// rootFolder is the instance's root file system: "/", or a folder of a test.
type rootFolder string

func (r rootFolder) path(name string) string { return filepath.Join(string(r), name) }

// find answers the first of the names that is there, as an absolute name inside the root.
func (r rootFolder) find(names ...string) (string, bool) {
	for _, name := range names {
		if _, err := os.Stat(r.path(name)); err == nil {
			return name, true
		}
	}
	return "", false
}

// read answers a file's text, empty where there is none.
func (r rootFolder) read(name string) (string, error) {
	text, err := os.ReadFile(r.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// fileMode is how a new file looks. keep takes mode and owner of the file that is replaced, where there is one.
type fileMode struct {
	mode     fs.FileMode
	uid, gid int
	keep     bool
}

// replace swaps a file's content in one step: a reader, and a crash, see the old or the new.
func (r rootFolder) replace(name string, content []byte, want fileMode) (err error) {
	target := r.path(name)
	if want.keep {
		if info, err := os.Stat(target); err == nil {
			want.mode = info.Mode().Perm()
			want.uid, want.gid = ownerOf(info)
		}
	}
	file, err := os.CreateTemp(filepath.Dir(target), ".mini-aws-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = file.Write(content)
	err = errors.Join(err, file.Chmod(want.mode))
	if os.Geteuid() == 0 {
		err = errors.Join(err, file.Chown(want.uid, want.gid))
	}
	err = errors.Join(err, file.Sync(), file.Close())
	if err != nil {
		return err
	}
	return os.Rename(file.Name(), target)
}

// ensureFolders makes what every program expects of a machine, and images without a distribution lack.
func (r rootFolder) ensureFolders() error {
	var all []error
	for _, folder := range []struct {
		name string
		mode fs.FileMode
	}{{"tmp", 0o777 | fs.ModeSticky}, {"var/tmp", 0o777 | fs.ModeSticky}, {"root", 0o700}, {"run", 0o755}} {
		target := r.path(folder.name)
		if _, err := os.Stat(target); !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		all = append(all, os.MkdirAll(target, 0o755), os.Chmod(target, folder.mode))
	}
	return errors.Join(all...)
}
