//go:build linux

package guest

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// terminalTrap puts a link to a terminal of the user's own in the place of authorized_keys. A session leader that opens
// it without O_NOCTTY gets it as its controlling terminal, and what the user types then signals PID 1. It prints the
// terminal of PID 1 (0 is none) when told to go on, after typing the characters for interrupt and quit.
const terminalTrap = `perl -MFcntl -e '
	open($master, "+<", "/dev/ptmx") or die "ptmx: $!";
	$zero = pack("i", 0); ioctl($master, 0x40045431, $zero) or die "unlock: $!";
	$number = pack("i", 0); ioctl($master, 0x80045430, $number) or die "number: $!";
	$name = "/dev/pts/" . unpack("i", $number);
	sysopen($terminal, $name, O_RDWR | O_NOCTTY) or die "$name: $!";
	unlink(".ssh/authorized_keys"); symlink($name, ".ssh/authorized_keys") or die "link: $!";
	$| = 1; print "ready\n"; <STDIN>;
	open($stat, "<", "/proc/1/stat") or die "stat: $!"; $_ = <$stat>; /\) \S+ \S+ \S+ \S+ (\S+)/;
	print "terminal of PID 1: $1\n";
	syswrite($master, "\x03\x1c");'`

// TestEngineUserCannotReachInit: the keys' file is the user's own, and PID 1 opens it as root.
func TestEngineUserCannotReachInit(t *testing.T) {
	m := startMachine(t, "debian:12", Config{})
	trap := m.ssh(t, terminalTrap)
	in, err := trap.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := trap.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := trap.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	if !lines.Scan() || lines.Text() != "ready" {
		t.Fatalf("the trap says %q", lines.Text())
	}
	// A key that the configuration does not name makes init look into the user's file.
	stranger := m
	stranger.keyFile = filepath.Join(t.TempDir(), "stranger")
	if out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", stranger.keyFile).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if stranger.ssh(t, "true").Run() == nil {
		t.Error("a stranger's key was accepted")
	}
	if _, err := in.Write([]byte("\n")); err != nil {
		t.Fatal(err)
	}
	if !lines.Scan() || lines.Text() != "terminal of PID 1: 0" {
		t.Errorf("the trap says %q", lines.Text())
	}
	if err := trap.Wait(); err != nil {
		t.Error(err)
	}
	m.output(t, "true")
	if strings.Contains(m.console(t), "shutting down") {
		t.Errorf("a user ended the instance:\n%s", m.console(t))
	}
}
