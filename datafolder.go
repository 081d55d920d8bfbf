package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"miniaws/backend"
	"miniaws/backend/durably"
	"miniaws/backend/lazyregexp"
)

// dataFolder is the folder that one serving process holds for as long as it lives.
type dataFolder struct {
	path string
	// installation is the random id that every object of ours on an engine carries: 32 hexadecimal digits.
	installation string
	lock         *os.File
}

var installationPattern = lazyregexp.New(`^[0-9a-f]{32}$`)

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
	if err := durably.MakeFolder(path); err != nil {
		return nil, fmt.Errorf("the data folder cannot be made: %w", err)
	}
	lock, err := lockPatiently(filepath.Join(path, "lock"))
	if errors.Is(err, durably.ErrLocked) {
		return nil, fmt.Errorf("the data folder %s is in use by another mini-aws; stop that one, or give this one another --data", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the data folder cannot be used: %w", err)
	}
	installation, err := readInstallation(filepath.Join(path, "installation"))
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return &dataFolder{path: path, installation: installation, lock: lock}, nil
}

// lockPatience is how long the lock of a process that was just killed may take to go with its children.
const lockPatience = time.Second

func lockPatiently(path string) (*os.File, error) {
	for deadline := time.Now().Add(lockPatience); ; time.Sleep(10 * time.Millisecond) {
		lock, err := durably.Lock(path)
		if !errors.Is(err, durably.ErrLocked) || time.Now().After(deadline) {
			return lock, err
		}
	}
}

// adoptDataFolder is the worker's view of the folder that its supervisor has opened.
func (c *serveCommand) adoptDataFolder(lock *os.File) (*dataFolder, error) {
	path, err := dataPath(c.Data)
	if err != nil {
		return nil, err
	}
	installation, err := readInstallation(filepath.Join(path, "installation"))
	return &dataFolder{path: path, installation: installation, lock: lock}, err
}

func (d *dataFolder) close() error { return d.lock.Close() }

// checkAccount refuses another account than the one that the folder was made for: its records and the resources on the
// engine belong to that one.
func (d *dataFolder) checkAccount(account string) error {
	path := filepath.Join(d.path, "account")
	content, err := os.ReadFile(path)
	switch had := strings.TrimSpace(string(content)); {
	case errors.Is(err, fs.ErrNotExist):
		return durably.WriteFile(path, []byte(account+"\n"))
	case err != nil:
		return err
	case had != account:
		return fmt.Errorf("the data folder %s belongs to account %s, not to %s: serve with --account-id %[2]s, or give this account another --data", d.path, had, account)
	}
	return nil
}

// checkEphemeral keeps the two kinds of installation apart: one that keeps nothing would remove the other's instances.
func (d *dataFolder) checkEphemeral(wanted bool) error {
	_, err := os.Stat(filepath.Join(d.path, "store"))
	if wanted && err == nil {
		return fmt.Errorf("the data folder %s holds an installation that is kept: give serve --ephemeral another --data", d.path)
	}
	return nil
}

// forget gives the installation id up, once nothing on an engine carries it any more.
func (d *dataFolder) forget() error {
	var err error
	for _, name := range []string{"docker", "account", "installation"} {
		if removal := os.Remove(filepath.Join(d.path, name)); !errors.Is(removal, fs.ErrNotExist) {
			err = errors.Join(err, removal)
		}
	}
	return errors.Join(err, durably.SyncFolder(d.path))
}

// usedDocker tells whether an earlier start of this installation ran instances on a Docker engine.
func (d *dataFolder) usedDocker() bool {
	_, err := os.Stat(filepath.Join(d.path, "docker"))
	return err == nil
}

// noteDocker remembers that what runs for this installation is on a Docker engine.
func (d *dataFolder) noteDocker() error {
	if d.usedDocker() {
		return nil
	}
	return durably.WriteFile(filepath.Join(d.path, "docker"), []byte("instances of this installation are containers of a Docker engine\n"))
}

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
	return id, durably.WriteFile(path, []byte(id+"\n"))
}
