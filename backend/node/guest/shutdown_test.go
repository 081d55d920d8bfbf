//go:build linux

package guest

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestShutdownOrder(t *testing.T) {
	for _, test := range []struct {
		name string
		// aloneAfter is the signal that the last process obeys.
		aloneAfter syscall.Signal
		want       string
	}{
		{"polite", syscall.SIGTERM, "refuse logins terminated continued"},
		{"stopped processes", syscall.SIGCONT, "refuse logins terminated continued"},
		{"deaf", syscall.SIGKILL, "refuse logins terminated continued killed"},
	} {
		var steps []string
		gone := false
		shutdown{
			grace:       20 * time.Millisecond,
			refuse:      func() { steps = append(steps, "refuse") },
			closeLogins: func() { steps = append(steps, "logins") },
			signalAll: func(number syscall.Signal) {
				steps = append(steps, number.String())
				gone = gone || number == test.aloneAfter
			},
			alone: func() bool { return gone },
			logf:  t.Logf,
		}.run()
		if got := strings.Join(steps, " "); got != test.want {
			t.Errorf("%s: %s, want %s", test.name, got, test.want)
		}
	}
}

func TestPowerSignal(t *testing.T) {
	for _, test := range []struct {
		line string
		want syscall.Signal // 0: refused
	}{
		{"poweroff", signalSystemdPowerOff},
		{"poweroff -f", signalSystemdPowerOff},
		{"reboot", signalSystemdReboot},
		{"halt", signalSystemdHalt},
		{"shutdown -h now", signalSystemdPowerOff},
		{"shutdown -r now bye everybody", signalSystemdReboot},
		{"shutdown -r +0", signalSystemdReboot},
		{"shutdown +5", 0},
		{"shutdown -c", 0},
		{"shutdown --what now", 0},
	} {
		words := strings.Fields(test.line)
		got, err := powerSignal(words[0], words[1:])
		if got != test.want || (err != nil) != (test.want == 0) {
			t.Errorf("%s: signal %d, %v", test.line, got, err)
		}
	}
}

func TestInstallPowerCommandsSparesTheImages(t *testing.T) {
	root := rootFolder(t.TempDir())
	if err := root.installPowerCommands("/old/mini-aws"); err != nil {
		t.Fatal(err)
	}
	if err := root.replace(powerFolder+"/halt", []byte("#!/bin/sh\n"), fileMode{mode: 0o755}); err != nil {
		t.Fatal(err)
	}
	if err := root.installPowerCommands("/new/mini-aws"); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"halt": "#!/bin/sh\n", "reboot": "#!/new/mini-aws init\n" + powerMark + "\n"} {
		if text, err := root.read(powerFolder + "/" + name); err != nil || text != want {
			t.Errorf("%s: %q %v", name, text, err)
		}
	}
}

func TestBackOff(t *testing.T) {
	var waits []string
	var wait time.Duration
	for _, ran := range []time.Duration{0, 0, time.Second, 2 * time.Minute, 0, 0, 0, 0, 0, 0, 0} {
		wait = backOff(wait, ran)
		waits = append(waits, fmt.Sprint(wait))
	}
	want := []string{"500ms", "1s", "2s", "500ms", "1s", "2s", "4s", "8s", "16s", "30s", "30s"}
	if !slices.Equal(waits, want) {
		t.Errorf("waits %v, want %v", waits, want)
	}
}
