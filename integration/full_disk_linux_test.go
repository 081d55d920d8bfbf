package integration

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sys/unix"
)

// ballastFile is set in the child that takes every block of a disk: the file that takes them.
const ballastFile = "MINI_AWS_BALLAST"

func init() { childWork[ballastFile] = takeEveryBlock }

// takeEveryBlock takes all that is free, down to the last block, and leaves it taken.
func takeEveryBlock(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	for piece := int64(64 << 20); piece >= 4<<10; piece /= 2 {
		for {
			info, err := f.Stat()
			if err != nil {
				return err
			}
			if unix.Fallocate(int(f.Fd()), 0, info.Size(), piece) != nil {
				break // the next piece is smaller
			}
		}
	}
	return nil
}

// smallDisk mounts a file system of its own, or skips.
func smallDisk(t *testing.T, size int64) string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("a small file system can only be mounted by root")
	}
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	f, err := os.Create(image)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(size), f.Close()); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "mkfs.ext4", "-q", "-F", "-m", "0", image).CombinedOutput(); err != nil {
		t.Skipf("mkfs.ext4: %v %s", err, out)
	}
	if out, err := exec.CommandContext(t.Context(), "mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", size)); err != nil {
			t.Skipf("neither a loop mount (%s) nor tmpfs (%v) is possible here", strings.TrimSpace(string(out)), err)
		}
	}
	t.Cleanup(func() {
		err := unix.Unmount(dir, 0)
		for deadline := time.Now().Add(5 * time.Second); err != nil && time.Now().Before(deadline); err = unix.Unmount(dir, 0) {
			time.Sleep(50 * time.Millisecond) // a process that was just killed still has it
		}
		if err != nil {
			t.Error(err)
			unix.Unmount(dir, unix.MNT_DETACH)
		}
	})
	return dir
}

// TestFullDisk lets another process take every block of the disk while clients of S3 and EC2 write, three times. They are
// told so in AWS's words within seconds, whoever reads goes on, an upload that was under way leaves nothing, and writes
// come back with the room. Once the serving process is killed on the full disk.
func TestFullDisk(t *testing.T) {
	disk := smallDisk(t, 1536<<20)
	data, ballast := filepath.Join(disk, "data"), filepath.Join(disk, "ballast")
	s := startServing(t, data, "--root-access-key-id", benchKeyID, "--root-secret-access-key", benchSecret)
	m := newTorment(t, s.address)
	clients, _ := tortureClients(t, m)
	objects, machines := clients[0].(*tortureObjects), clients[len(clients)-1].(*tortureMachines)

	for round := range 3 {
		running, stop := context.WithCancel(t.Context())
		var acting sync.WaitGroup
		for _, c := range clients {
			acting.Go(func() {
				for running.Err() == nil {
					if c.act(t.Context()) {
						continue
					}
					if err := settled(t.Context(), c); err != nil {
						t.Error(err)
						return
					}
				}
			})
		}
		half, finish := halfAnUpload(t, objects.s3)
		<-half
		before := m.acked.Load()
		eventually(t, "the clients write", func() bool { return m.acked.Load() > before+50 })
		m.full.Store(true)
		fill := exec.CommandContext(t.Context(), os.Args[0])
		fill.Env = append(os.Environ(), ballastFile+"="+ballast)
		if out, err := fill.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		filled := time.Now()

		eventually(t, "S3 says 503", func() bool {
			_, err := objects.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(tortureBucket), Key: aws.String("other"), Body: bytes.NewReader(make([]byte, 100))})
			return unavailable(t, err, "Service is unable to handle request.")
		})
		s3Took := time.Since(filled)
		eventually(t, "EC2 says 503", func() bool {
			_, err := machines.ec2.CreateKeyPair(t.Context(), &ec2.CreateKeyPairInput{KeyName: aws.String(fmt.Sprintf("other-%d-%d", round, time.Now().UnixNano()))})
			return unavailable(t, err, "The request has failed due to a temporary failure of the server.")
		})
		eventually(t, "the log says why", func() bool {
			return strings.Contains(s.said.String(), "operation=PutObject") && strings.Contains(s.said.String(), "disk is full: ")
		})
		t.Logf("round %d: 503 from S3 after %s, from EC2 after %s", round, s3Took.Round(time.Millisecond), time.Since(filled).Round(time.Millisecond))
		if err := finish(); err == nil {
			t.Error("an upload that was under way is acknowledged")
		} else if unavailable(t, err, "") {
			t.Logf("round %d: an upload that was under way is refused", round)
		} else {
			t.Logf("round %d: an upload that was under way ends with its worker: %v", round, err)
		}
		stop()
		acting.Wait()
		if round == 1 {
			worker := s.worker()
			if err := syscall.Kill(worker, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			eventually(t, "the worker ends", func() bool { return ended(worker) })
		}
		reads := time.Now()
		for i, c := range clients {
			if err := c.check(t.Context()); err != nil {
				t.Errorf("client %d reads on the full disk: %v", i, err)
			}
		}
		t.Logf("round %d: everything acknowledged read on the full disk in %s", round, time.Since(reads).Round(time.Millisecond))
		if report := health(t, s); !strings.Contains(report, `"status":"degraded"`) || !strings.Contains(report, "disk is full") {
			t.Errorf("health says %s", report)
		}

		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		freed := time.Now()
		eventually(t, "S3 writes again", func() bool {
			_, err := objects.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(tortureBucket), Key: aws.String("other"), Body: bytes.NewReader(make([]byte, 100<<10))})
			return err == nil
		})
		t.Logf("round %d: writes again after %s", round, time.Since(freed).Round(time.Millisecond))
		m.full.Store(false)
		eventually(t, "nothing is left of the upload", func() bool { return !hasFileOf(t, filepath.Join(data, "blobs"), halfSize) })
		if found, err := read(t.Context(), objects.s3, tortureBucket, "half", nil); found != nil || err != nil {
			t.Errorf("half an upload is there: %v, %v", found, err)
		}
		if t.Failed() {
			t.Fatal(lastLines(s.said.String(), 40))
		}
	}
	for i, c := range clients {
		for range 5 {
			if !c.act(t.Context()) {
				t.Errorf("client %d cannot write any more", i)
			}
		}
		if err := c.check(t.Context()); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
	s.endsWhole(t, data)
	t.Logf("%d writes acknowledged, none lost; %d answered with 503, %d without an answer, %d deaths of the serving process",
		m.acked.Load(), m.unavailable.Load(), m.open.Load(), strings.Count(s.said.String(), "the serving process died"))
}

// settled asks until there is an answer: the process that serves may die of the full disk, and the next one too.
func settled(ctx context.Context, c tortured) error {
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if err := c.settle(ctx); err == nil || time.Now().After(deadline) {
			return err
		}
	}
}

// unavailable tells whether an answer is AWS's for a service that will be back, with these words if there are any. Any
// other refusal fails the test; one that was given before the disk was full, or no answer at all, does not.
func unavailable(t *testing.T, err error, words string) bool {
	t.Helper()
	var said smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &response) || response.HTTPStatusCode() == 0 {
		return false
	}
	if !errors.As(err, &said) || said.ErrorCode() != "ServiceUnavailable" || response.HTTPStatusCode() != http.StatusServiceUnavailable ||
		words != "" && said.ErrorMessage() != words {
		t.Errorf("a full disk is answered with %v", err)
	}
	return true
}

func health(t *testing.T, s *serving) string {
	t.Helper()
	time.Sleep(2100 * time.Millisecond) // a look at it is good for two seconds
	response, err := http.Get("http://" + s.address + "/_mini/health")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// halfSize is how long the upload is that meets the full disk; no other object is that long.
const halfSize = 8<<20 + 12345

// heldBody is a body that waits in its middle.
type heldBody struct {
	*bytes.Reader
	half, goOn chan struct{}
	once       sync.Once
}

func (b *heldBody) Read(p []byte) (int, error) {
	before := b.Len() - halfSize/2 // until the middle
	if before > 0 {
		return b.Reader.Read(p[:min(len(p), before)])
	}
	b.once.Do(func() { close(b.half) })
	<-b.goOn
	return b.Reader.Read(p)
}

// halfAnUpload begins a PUT and sends half of it. The channel is closed when that is done; finish sends the rest and
// answers the outcome.
func halfAnUpload(t *testing.T, client *s3.Client) (half <-chan struct{}, finish func() error) {
	t.Helper()
	body := &heldBody{Reader: bytes.NewReader(make([]byte, halfSize)), half: make(chan struct{}), goOn: make(chan struct{})}
	outcome := make(chan error, 1)
	go func() {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(tortureBucket), Key: aws.String("half"), Body: body},
			s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware),
			func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired })
		outcome <- err
	}()
	return body.half, func() error {
		close(body.goOn)
		return <-outcome
	}
}

// hasFileOf tells whether a folder holds a file that is as long as an object of that size is at rest, or half of it.
func hasFileOf(t *testing.T, folder string, size int64) bool {
	t.Helper()
	found := false
	err := filepath.WalkDir(folder, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // removed meanwhile
		}
		if info, err := entry.Info(); err == nil && info.Size() >= size/2 {
			found = found || info.Size() != 5<<20+5<<20/(64<<10)*16 // a first part of another client's
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return found
}
