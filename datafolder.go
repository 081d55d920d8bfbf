package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"

	"miniaws/backend"
)

// dataFolder is the folder that one serving process holds for as long as it lives.
type dataFolder struct {
	path string
	// installation is the random id that every object of ours on an engine carries: 32 hexadecimal digits.
	installation string
	lock         *os.File
}

var installationPattern = regexp.MustCompile(`^[0-9a-f]{32}$`)

// dataPath answers the folder that the setting names. A setting that is there and empty, as an unset variable leaves it,
// must not become the current folder.
func dataPath(setting string) (string, error) {
	if setting == "" {
		return "", errors.New("--data (or MINI_AWS_DATA) is empty: it takes the folder that holds everything durable")
	}
	if rest, ok := strings.CutPrefix(setting, "~"); ok && (rest == "" || rest[0] == '/') {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("--data %s: %w", setting, err)
		}
		setting = home + rest
	}
	return filepath.Abs(setting)
}

// openDataFolder makes the folder if it is new (0700), takes it for this process alone, and reads or makes its
// installation id. The lock ends with the process, however that ends.
func openDataFolder(path string) (*dataFolder, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w", err)
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be used: %w", err)
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			err = fmt.Errorf("the data folder %s is in use by another mini-aws; stop that one, or give this one another --data", path)
		}
		return nil, errors.Join(err, lock.Close())
	}
	installation, err := readInstallation(filepath.Join(path, "installation"))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &dataFolder{path: path, installation: installation, lock: lock}, nil
}

func (d *dataFolder) close() error { return d.lock.Close() }

// readInstallation answers the id in the file. A missing file gets a new id, durably: what is made on an engine under
// an id that is lost afterwards would never be found again. A damaged one is an error for the same reason.
func readInstallation(path string) (string, error) {
	content, err := os.ReadFile(path)
	if err == nil {
		id := strings.TrimSpace(string(content))
		if !installationPattern.MatchString(id) {
			return "", fmt.Errorf("%s is damaged: it does not hold 32 hexadecimal digits; the label %s of this installation's containers has the right ones", path, backend.LabelOwner)
		}
		return id, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var raw [16]byte
	_, _ = rand.Read(raw[:]) // never fails
	id := hex.EncodeToString(raw[:])
	return id, writeDurably(path, []byte(id+"\n"))
}

// writeDurably puts the whole content at path or nothing, and returns once both are on the disk.
func writeDurably(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".new-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	err = errors.Join(err, file.Sync(), file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}
