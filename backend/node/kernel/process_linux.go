package kernel

import (
	"fmt"
	"os"
)

func readProc(pid int, name string) (string, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
	return string(content), err
}
