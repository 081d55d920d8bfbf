//go:build linux

package guest

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"
)

// engineThings is what the engine tests share: the binary and a network, both removed at the end.
var engineThings struct {
	once          sync.Once
	folder, owner string
	err           error
}

func setUpEngine() error {
	id := make([]byte, 8)
	if _, err := rand.Read(id); err != nil {
		return err
	}
	engineThings.owner = hex.EncodeToString(id)
	folder, err := os.MkdirTemp("", "mini-aws-init-")
	if err != nil {
		return err
	}
	engineThings.folder = folder
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", folder+"/volume/mini-aws", "miniaws")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return errors.New(string(out))
	}
	if err := errors.Join(os.Chmod(folder, 0o755), os.Chmod(folder+"/volume", 0o755)); err != nil {
		return err
	}
	_, err = runDocker("network", "create", "--label", "mini-aws.owner="+engineThings.owner, "mini-aws-test-"+engineThings.owner)
	return err
}

// removeEngineThings is called when all tests are done; what cannot be removed is shown by the engine's labels.
func removeEngineThings() {
	if engineThings.owner == "" {
		return
	}
	_, _ = runDocker("network", "rm", "mini-aws-test-"+engineThings.owner)
	_ = os.RemoveAll(engineThings.folder)
}

func runDocker(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "docker", args...).CombinedOutput()
	if err != nil {
		return "", errors.New("docker " + args[0] + ": " + err.Error() + ": " + string(out))
	}
	return strings.TrimSpace(string(out)), nil
}

func mustDocker(t *testing.T, args ...string) string {
	t.Helper()
	out, err := runDocker(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// machine is an instance under test.
type machine struct {
	name, keyFile string
}

func startMachine(t *testing.T, image string, config Config) machine {
	t.Helper()
	if os.Getenv("MINI_AWS_TEST_ENGINE") != "docker" {
		t.Skip("needs a Docker engine: run by make test, which sets MINI_AWS_TEST_ENGINE=docker")
	}
	if _, err := exec.LookPath("ssh"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("ssh is not installed")
		}
		t.Skip("ssh is not installed")
	}
	engineThings.once.Do(func() { engineThings.err = setUpEngine() })
	if engineThings.err != nil {
		t.Fatal(engineThings.err)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	m := machine{name: "mini-aws-test-" + engineThings.owner + "-" + strings.ToLower(t.Name()), keyFile: filepath.Join(t.TempDir(), "key")}
	if err := os.WriteFile(m.keyFile, pem.EncodeToMemory(block), 0o600); err != nil {
		t.Fatal(err)
	}
	config.InstanceID = "i-0123456789abcdef0"
	config.Users = []User{{Name: "admin", Sudo: true, Groups: []string{"adm"}, AuthorizedKeys: []string{authorizedLine(signer.PublicKey())}}}
	variable, err := config.Variable()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { mustDocker(t, "rm", "-f", m.name) })
	mustDocker(t, "run", "-d", "--name", m.name, "--label", "mini-aws.owner="+engineThings.owner, "--network", "mini-aws-test-"+engineThings.owner,
		"--env", variable, "--volume", engineThings.folder+"/volume:/mini-aws:ro", "--entrypoint", "/mini-aws/mini-aws", image, "init")
	m.awaitSSH(t)
	return m
}

func (m machine) address(t *testing.T) string {
	t.Helper()
	return mustDocker(t, "inspect", "-f", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", m.name)
}

// awaitSSH waits for the banner and tells how long that took.
func (m machine) awaitSSH(t *testing.T) {
	t.Helper()
	started := time.Now()
	address := net.JoinHostPort(m.address(t), "22")
	for time.Since(started) < 30*time.Second {
		connection, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			banner := make([]byte, 4)
			_, err = connection.Read(banner)
			if errors.Join(err, connection.Close()) == nil && string(banner) == "SSH-" {
				return
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no SSH on %s; console:\n%s", address, m.console(t))
}

func (m machine) console(t *testing.T) string {
	t.Helper()
	return mustDocker(t, "logs", m.name)
}

func (m machine) awaitConsole(t *testing.T, text string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !strings.Contains(m.console(t), text); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the console never says %q:\n%s", text, m.console(t))
		}
	}
}

func (m machine) ssh(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	all := []string{"-i", m.keyFile, "-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return exec.CommandContext(ctx, "ssh", append(append(all, "admin@"+m.address(t)), args...)...)
}

func (m machine) output(t *testing.T, command string) string {
	t.Helper()
	out, err := m.ssh(t, command).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v: %s\n%s", command, err, out, m.console(t))
	}
	return strings.TrimSpace(string(out))
}

func (m machine) exitStatus(t *testing.T) string {
	t.Helper()
	return mustDocker(t, "wait", m.name)
}

func hostKeysOf(console string) string {
	_, rest, _ := strings.Cut(console, "-----BEGIN SSH HOST KEY KEYS-----\n")
	keys, _, _ := strings.Cut(rest, "-----END")
	return keys
}

const userDataScript = "#!/bin/sh\necho user data as $(id -un) in $AWS_REGION\n"

func TestEnginePlainImage(t *testing.T) {
	m := startMachine(t, "debian:12", Config{UserData: []byte(userDataScript), Environment: map[string]string{"AWS_REGION": "us-east-1"}})
	m.awaitConsole(t, "user data as root in us-east-1\n")
	m.awaitConsole(t, "boot finished")
	if got := m.output(t, "id -un; id -Gn; pwd; echo $AWS_REGION; env | grep -c MINI_AWS || true"); got != "admin\nadmin adm\n/home/admin\nus-east-1\n0" {
		t.Errorf("login:\n%s", got)
	}
	if got := m.output(t, "grep -E '^Sig(Ign|Blk)' /proc/self/status | tr -d '\t'"); got != "SigBlk:0000000000000000\nSigIgn:0000000000000000" {
		t.Errorf("signals of a login:\n%s", got)
	}
	// Orphans become PID 1's, and none is left over as a zombie.
	m.output(t, "for i in 1 2 3 4 5; do (sh -c 'sleep 0.05 & exec true' &) ; done; sleep 0.3")
	if zombies := m.output(t, "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true"); zombies != "" {
		t.Errorf("zombies: %s", zombies)
	}
	keys := hostKeysOf(m.console(t))
	if served, err := exec.CommandContext(t.Context(), "ssh-keyscan", "-t", "ed25519", m.address(t)).Output(); err == nil && !strings.Contains(keys, strings.Fields(string(served))[2]) {
		t.Errorf("served %s, announced %s", served, keys)
	}
	// An interactive shell, which ignores TERM, does not hold up a polite stop.
	shell := m.ssh(t, "-tt")
	in, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	m.awaitConsole(t, "logged in")
	started := time.Now()
	mustDocker(t, "stop", "--time", "30", m.name)
	if took := time.Since(started); took > 25*time.Second {
		t.Errorf("the stop took %v", took)
	}
	if status := m.exitStatus(t); status != "0" {
		t.Errorf("exit status %s after a stop", status)
	}
	_ = in.Close()
	_ = shell.Wait() // the connection was closed under it
	before := m.console(t)
	mustDocker(t, "start", m.name)
	m.awaitSSH(t)
	m.output(t, "true")
	after := strings.TrimPrefix(m.console(t), before)
	if strings.Contains(after, "user data as") || hostKeysOf(after) != "" {
		t.Errorf("the second boot repeats the first:\n%s", after)
	}
	if got := m.output(t, "cat /etc/ssh/ssh_host_ed25519_key.pub"); !strings.Contains(keys, got) {
		t.Errorf("host key changed to %s", got)
	}
	if got := m.output(t, "grep -c ^admin: /etc/passwd; wc -l < .ssh/authorized_keys; grep VmRSS /proc/1/status"); !strings.HasPrefix(got, "1\n1\n") {
		t.Errorf("after the second boot: %s", got)
	} else {
		t.Log(got)
	}
}

func TestEngineImageWithServer(t *testing.T) {
	m := startMachine(t, "mini-aws/instance:debian-12", Config{})
	if got := m.output(t, "sudo -n id -un; ps -o comm= -p 1,$PPID | sort -u"); !strings.HasPrefix(got, "root\n") || !strings.Contains(got, "sshd") {
		t.Errorf("login: %s", got)
	}
	if got := m.output(t, "sudo -n cat /proc/1/environ | wc -c"); got != "0" {
		t.Errorf("PID 1 shows %s bytes of environment", got)
	}
	// sshd is started again when it dies.
	m.output(t, "sudo -n pkill -o -x sshd")
	m.awaitConsole(t, "sshd ended")
	m.awaitSSH(t)
	for command, status := range map[string]string{"poweroff": "90", "shutdown -r now": "91", "halt": "90"} {
		_ = m.ssh(t, "sudo -n "+command).Run() // ends with the instance
		if got := m.exitStatus(t); got != status {
			t.Errorf("%s: exit status %s, want %s", command, got, status)
		}
		mustDocker(t, "start", m.name)
		m.awaitSSH(t)
	}
}

func TestEngineCloudInit(t *testing.T) {
	m := startMachine(t, "mini-aws/instance:debian-12", Config{UserData: []byte("#cloud-config\nruncmd:\n- echo cloud-config ran\n")})
	m.awaitConsole(t, "cloud-config ran")
	m.awaitConsole(t, "boot finished")
	m.output(t, "true")
}

func TestEngineCloudConfigWithoutCloudInit(t *testing.T) {
	m := startMachine(t, "debian:12", Config{UserData: []byte("#cloud-config\nlocale: C\nruncmd:\n- echo cloud-config ran\n")})
	m.awaitConsole(t, "cloud-config: locale is NOT applied, as this image has no cloud-init")
	m.awaitConsole(t, "cloud-config ran")
}

func TestEngineIncludeWithoutCloudInit(t *testing.T) {
	m := startMachine(t, "debian:12", Config{UserData: []byte("#include\nhttp://nowhere.invalid/\n")})
	m.awaitConsole(t, "needs cloud-init, which this image does not have: it is NOT applied")
}

// TestEngineEmptyImage: init needs nothing of the image, not even a shell.
func TestEngineEmptyImage(t *testing.T) {
	image := ""
	if os.Getenv("MINI_AWS_TEST_ENGINE") == "docker" {
		archive := filepath.Join(t.TempDir(), "empty.tar")
		if err := os.WriteFile(archive, make([]byte, 1024), 0o600); err != nil { // how a tar archive ends
			t.Fatal(err)
		}
		image = mustDocker(t, "import", archive)
		t.Cleanup(func() { mustDocker(t, "rmi", image) })
	}
	m := startMachine(t, image, Config{})
	batch := filepath.Join(t.TempDir(), "batch")
	if err := os.WriteFile(batch, []byte("put "+m.keyFile+" there\nget there "+batch+".back\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	args := append([]string{"-b", batch}, m.ssh(t).Args[1:]...)
	if out, err := exec.CommandContext(t.Context(), "sftp", args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	sent, err := os.ReadFile(m.keyFile)
	if err != nil {
		t.Fatal(err)
	}
	if back, err := os.ReadFile(batch + ".back"); err != nil || string(back) != string(sent) {
		t.Errorf("%d bytes came back: %v", len(back), err)
	}
	mustDocker(t, "stop", m.name)
	if status := m.exitStatus(t); status != "0" {
		t.Errorf("exit status %s", status)
	}
}
