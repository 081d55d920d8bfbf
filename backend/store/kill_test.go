package store_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"miniaws/backend/store"
)

// child writes until it is killed. Each transaction writes three rows and counts up one of sixteen counters; its
// name goes to stdout once it is acknowledged.
func child(dir string) {
	db, err := store.Open(context.Background(), dir, options(store.DiskOptions{DumpEvery: 4 << 20}))
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	run := os.Getenv("STORE_TEST_RUN")
	var out sync.Mutex
	for w := range 8 {
		go func() {
			for n := 0; ; n++ {
				name := fmt.Sprintf("%s-%d-%d", run, w, n)
				value := []byte(name + strings.Repeat(" ", rand.IntN(3000)))
				counter := store.Key(fmt.Sprintf("/counter/%d", rand.IntN(16)))
				err := db.Update(context.Background(), func(tx store.Tx) error {
					var c [8]byte
					if b, err := tx.Get(counter); err == nil {
						copy(c[:], b)
					}
					binary.LittleEndian.PutUint64(c[:], binary.LittleEndian.Uint64(c[:])+1)
					for _, t := range []string{"/a/", "/b/", "/c/"} {
						if err := tx.Put(store.Key(t+name), value); err != nil {
							return err
						}
					}
					return tx.Put(counter, c[:])
				})
				if errors.Is(err, store.ErrFull) {
					time.Sleep(5 * time.Millisecond)
					continue
				}
				if err != nil {
					fmt.Println("error", err)
					os.Exit(1)
				}
				out.Lock()
				os.Stdout.WriteString(name + "\n")
				out.Unlock()
			}
		}()
	}
	select {}
}

// TestKill kills a writing process 10 times, or STORE_TEST_KILLS times.
func TestKill(t *testing.T) {
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("STORE_TEST_KILLS"), "10"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	acked := map[string]bool{}
	var replayed, rebuilt int
	for run := range kills {
		if !killed(t, dir, run, acked) {
			t.Fatal("the child died by itself")
		}
		db := open(t, dir, store.DiskOptions{})
		s := db.Stats()
		replayed += int(s.Replayed)
		if s.Rebuilt != "" {
			rebuilt++
			t.Logf("run %d: index rebuilt: %s", run, s.Rebuilt)
		}
		checkKilled(t, db, acked)
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d kills, %d acknowledged, none lost; %d groups replayed, %d rebuilds", kills, len(acked), replayed, rebuilt)
}

// killed runs a child and kills it in the middle; it answers false if the child died before.
func killed(t *testing.T, dir string, run int, acked map[string]bool) bool {
	return killedAfter(t, dir, run, acked, time.Duration(50+rand.IntN(350))*time.Millisecond)
}

func killedAfter(t *testing.T, dir string, run int, acked map[string]bool, patience time.Duration) bool {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_TEST_CHILD="+dir, "STORE_TEST_RUN="+strconv.Itoa(run))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // a line that was cut off was not acknowledged
		}
		if strings.HasPrefix(line, "error") {
			t.Error(line)
			continue
		}
		acked[strings.TrimSpace(line)] = true
	}
	died := timer.Stop()
	cmd.Wait()
	if died {
		t.Logf("child died: %.200s", stderr.String())
	}
	return !died
}

func checkKilled(t *testing.T, db store.DB, acked map[string]bool) {
	t.Helper()
	err := db.View(t.Context(), func(tx store.Tx) error {
		seen := map[string]int{}
		for _, table := range []store.Key{"/a/", "/b/", "/c/"} {
			for row, err := range tx.Scan(store.PrefixRange(table)) {
				if err != nil {
					return err
				}
				name := string(row.Key[3:])
				if strings.TrimSpace(string(row.Value)) != name {
					t.Errorf("%s has the value of another row", row.Key)
				}
				seen[name]++
			}
		}
		var sum uint64
		for row, err := range tx.Scan(store.PrefixRange("/counter/")) {
			if err != nil {
				return err
			}
			sum += binary.LittleEndian.Uint64(row.Value)
		}
		for name := range acked {
			if seen[name] != 3 {
				t.Errorf("%s was acknowledged and has %d rows", name, seen[name])
			}
		}
		for name, n := range seen {
			if n != 3 {
				t.Errorf("%s is half a transaction", name)
			}
		}
		if sum != uint64(len(seen)) {
			t.Errorf("counters say %d, transactions %d", sum, len(seen))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
