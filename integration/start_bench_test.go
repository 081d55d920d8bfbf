package integration

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"
)

const whoAmI = "Action=GetCallerIdentity&Version=2011-06-15"

// firstAnswer starts a program and answers how long it takes until a call to it succeeds.
func firstAnswer(b *testing.B, signed bool, command *exec.Cmd, address string) (time.Duration, *measured) {
	b.Helper()
	m := &measured{b: b, address: address, command: command, signed: signed, client: &http.Client{}}
	began := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { command.Process.Kill(); command.Wait() })
	for {
		if _, err := m.call(http.MethodPost, "/", "sts", []byte(whoAmI), hashOf([]byte(whoAmI))); err == nil {
			return time.Since(began), m
		} else if time.Since(began) > 30*time.Second {
			b.Fatal(err)
		}
		time.Sleep(500 * time.Microsecond)
	}
}

// BenchmarkStart reports the time from a start to the first signed answer, beside that of a bare handler, which alternates
// with it: an empty folder, 10,000 and 1,000,000 records, and after a kill while clients wrote.
func BenchmarkStart(b *testing.B) {
	records := func(n int) func(b *testing.B) func() string {
		return func(b *testing.B) func() string {
			data := filledFolder(b, n)
			return func() string { return data }
		}
	}
	for _, c := range []struct {
		name   string
		folder func(b *testing.B) func() string
		killed bool
	}{
		{"bare", func(b *testing.B) func() string { return b.TempDir }, false},
		{"records=10000", records(10_000), false},
		{"records=1000000", records(1_000_000), false},
		{"killed/records=10000", records(10_000), true},
	} {
		b.Run(c.name, func(b *testing.B) {
			program, err := baselineBinary()
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				b.StopTimer()
				folder := c.folder(b)
				var ours, bare []time.Duration
				for range rounds {
					address, err := quietPort()
					if err != nil {
						b.Fatal(err)
					}
					took, m := firstAnswer(b, false, exec.CommandContext(b.Context(), program, address, os.TempDir()), address)
					bare = append(bare, took)
					m.stop()
					data := folder()
					if c.killed {
						killWriting(b, data)
					}
					if address, err = quietPort(); err != nil {
						b.Fatal(err)
					}
					took, m = firstAnswer(b, true, exec.CommandContext(b.Context(), binary, "serve", "--listen", address, "--data", data, "--engine", "sim",
						"--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret), address)
					ours = append(ours, took)
					m.stop()
				}
				b.ReportMetric(float64(middle(ours).Microseconds())/1000, "ms")
				b.ReportMetric(float64(middle(bare).Microseconds())/1000, "ms-bare")
				b.ReportMetric(0, "ns/op")
				b.StartTimer()
			}
		})
	}
}

// killWriting serves on the folder and ends it by kill -9 while 16 clients write.
func killWriting(b *testing.B, data string) {
	b.Helper()
	m := measureOurs(b, data)
	body := make([]byte, 4<<10)
	hash := hashOf(body)
	if _, err := m.call(http.MethodPut, "/killed", "s3", nil, hashOf(nil)); err != nil {
		b.Fatal(err)
	}
	var all sync.WaitGroup
	for c := range 16 {
		all.Go(func() {
			for n := 0; ; n++ {
				if _, err := m.call(http.MethodPut, fmt.Sprintf("/killed/%d/%d", c, n%500), "s3", body, hash); err != nil {
					return
				}
			}
		})
	}
	time.Sleep(time.Second)
	processes := m.processes()
	m.command.Process.Kill()
	m.command.Wait()
	all.Wait()
	for _, pid := range processes {
		for syscall.Kill(pid, 0) == nil {
			time.Sleep(time.Millisecond)
		}
	}
}

// BenchmarkIdleMemory reports the memory of a server that does nothing, a minute after its start, in MiB: of the process
// that serves and of its parent.
func BenchmarkIdleMemory(b *testing.B) {
	for _, n := range []int{10_000, 1_000_000} {
		b.Run(fmt.Sprintf("records=%d", n), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				m := measureOurs(b, filledFolder(b, n))
				time.Sleep(time.Minute)
				each := m.resident()
				b.ReportMetric(each[0], "MiB-parent")
				b.ReportMetric(each[len(each)-1], "MiB-worker")
				bare := measureBare(b, b.TempDir())
				b.ReportMetric(bare.resident()[0], "MiB-bare")
				b.ReportMetric(0, "ns/op")
				m.stop()
				b.StartTimer()
			}
		})
	}
}
