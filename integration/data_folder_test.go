package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// stop interrupts the server and waits for its end.
func (s *serving) stop() {
	s.t.Helper()
	s.command.Process.Signal(syscall.SIGTERM)
	if err := s.command.Wait(); err != nil {
		s.t.Errorf("it ends with %v: %s", err, lastLines(s.said.String(), 20))
	}
}

// each does something to every file of the folder that ends so, and fails if there is none.
func each(t *testing.T, folder, end string, do func(path string) error) {
	t.Helper()
	found := 0
	err := filepath.WalkDir(folder, func(path string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, end) {
			return err
		}
		found++
		return do(path)
	})
	if err != nil || found == 0 {
		t.Fatalf("%d files %q in %s: %v", found, end, folder, err)
	}
}

// overwrite puts other bytes into the middle of a file.
func overwrite(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	_, err = f.WriteAt(bytes.Repeat([]byte{0xa5}, int(min(info.Size()/2+1, 64))), info.Size()/4)
	return err
}

// TestIndexIsMadeAgain: whatever somebody does to the index of a server that is stopped, the next start makes it again from
// the log, and everything that was acknowledged is there.
func TestIndexIsMadeAgain(t *testing.T) {
	data := t.TempDir()
	index := filepath.Join(data, "store", "index")
	serve := func() (*serving, *torment) {
		s := startServing(t, data, "--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret)
		return s, newTorment(t, s.address)
	}
	s, m := serve()
	clients, _ := tortureClients(t, m)
	for _, damage := range []struct {
		what string
		do   func()
	}{
		{"the folder is gone", func() {
			if err := os.RemoveAll(index); err != nil {
				t.Fatal(err)
			}
		}},
		{"its tables are gone", func() { each(t, index, ".sst", os.Remove) }},
		{"its tables are cut off", func() {
			each(t, index, ".sst", func(path string) error {
				info, err := os.Stat(path)
				if err != nil {
					return err
				}
				return os.Truncate(path, info.Size()/2)
			})
		}},
		{"its list of tables is overwritten", func() { each(t, index, "MANIFEST", overwrite) }},
		{"it is not known to be good", func() {
			if err := os.Remove(filepath.Join(data, "store", "index.trust")); err != nil {
				t.Fatal(err)
			}
		}},
	} {
		for _, c := range clients {
			for range 15 {
				if !c.act(t.Context()) {
					t.Fatal("no answer")
				}
			}
		}
		s.stop()
		damage.do()
		s, m = serve()
		for i, c := range clients {
			aim(c, m)
			if err := c.check(t.Context()); err != nil {
				t.Errorf("%s, client %d: %v", damage.what, i, err)
			}
		}
		if !strings.Contains(s.said.String(), "index was made again") {
			t.Errorf("%s, and it says nothing: %s", damage.what, s.said)
		}
	}
	s.stop()
}

// TestFolderThatCannotBeUsed: what stands in the way is said in one sentence, and nothing is changed.
func TestFolderThatCannotBeUsed(t *testing.T) {
	data := t.TempDir()
	s := startServing(t, data, "--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret)
	clients, _ := tortureClients(t, newTorment(t, s.address))
	for _, c := range clients {
		for range 10 {
			c.act(t.Context())
		}
	}
	refused := func(what string, words ...string) {
		t.Helper()
		address, err := freePort()
		if err != nil {
			t.Fatal(err)
		}
		command := exec.CommandContext(t.Context(), binary, "serve", "--listen", address, "--data", data, "--engine", "sim")
		var said bytes.Buffer
		command.Stderr = &said
		began := time.Now()
		err = command.Run()
		var sentences []string
		for line := range strings.Lines(said.String()) {
			if !strings.HasPrefix(line, "time=") { // the log
				sentences = append(sentences, strings.TrimSpace(line))
			}
		}
		if command.ProcessState.ExitCode() != 1 || len(sentences) != 1 {
			t.Errorf("%s: %v, %d sentences: %s", what, err, len(sentences), said.String())
		}
		for _, word := range words {
			if !strings.Contains(said.String(), word) {
				t.Errorf("%s: it does not say %q: %s", what, word, said.String())
			}
		}
		t.Logf("%s, after %s: %s", what, time.Since(began).Round(time.Millisecond), strings.Join(sentences, " "))
	}
	refused("in use", "is in use by another mini-aws", data)
	s.stop()

	format := filepath.Join(data, "store", "FORMAT")
	known, err := os.ReadFile(format)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(format, []byte("mini-aws store 99\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a version of later", "was written by a newer mini-aws", "mini-aws store 99")
	if err := os.WriteFile(format, known, 0o600); err != nil {
		t.Fatal(err)
	}

	installation := filepath.Join(data, "installation")
	id, err := os.ReadFile(installation)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(installation, []byte("?\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	refused("a damaged id", "is damaged", installation)
	if err := os.WriteFile(installation, id, 0o600); err != nil {
		t.Fatal(err)
	}

	var log string
	each(t, filepath.Join(data, "store", "log"), ".log", func(path string) error { log = path; return nil })
	if err := damageFirstRecord(log); err != nil {
		t.Fatal(err)
	}
	refused("a damaged log", "damaged", filepath.Base(log))
}

// damageFirstRecord changes bytes of a record that others follow.
func damageFirstRecord(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteAt([]byte("damage"), 4<<10+200)
	return err
}
