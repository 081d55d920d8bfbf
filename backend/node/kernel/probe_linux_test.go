package kernel

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestProbeNamesWhatIsMissing: a process without the capabilities that VPCs need says which they are.
func TestProbeNamesWhatIsMissing(t *testing.T) {
	if os.Getenv("MINI_AWS_PROBE") != "" {
		t.Logf("missing: %q", Missing())
		return
	}
	command := []string{os.Args[0]}
	if os.Geteuid() == 0 {
		setpriv, err := exec.LookPath("setpriv")
		if err != nil {
			t.Skip("root cannot give its capabilities up without setpriv")
		}
		command = []string{setpriv, "--bounding-set", "-all", "--inh-caps", "-all", os.Args[0]}
	}
	probe := exec.CommandContext(t.Context(), command[0], append(command[1:], "-test.run", "^TestProbeNamesWhatIsMissing$", "-test.v")...)
	probe.Env = append(os.Environ(), "MINI_AWS_PROBE=1")
	out, err := probe.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "a VPC needs a network namespace") || !strings.Contains(string(out), "CAP_NET_ADMIN") {
		t.Errorf("%v: %s", err, out)
	}
}
