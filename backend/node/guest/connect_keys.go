//go:build linux

package guest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// stageKeys is the argument with which an image's sshd calls init, followed by the user: it prints the keys that EC2
// Instance Connect gave for a minute.
const stageKeys = "connect-keys"

// keysPatience bounds asking for them; a login waits for it.
const keysPatience = 2 * time.Second

// connectKeys are the lines of keys that may log in as the user for now. The metadata service has them, as AWS's does; an
// instance whose metadata service is switched off has none.
// AWS: "Connect to a Linux instance using EC2 Instance Connect".
func connectKeys(user string) ([]string, error) {
	if !userNames.MatchString(user) {
		return nil, nil
	}
	token, err := askMetadata("PUT", "/latest/api/token", "X-Aws-Ec2-Metadata-Token-Ttl-Seconds: 60")
	if err != nil {
		return nil, err
	}
	text, err := askMetadata("GET", "/latest/meta-data/managed-ssh-keys/active-keys/"+user, "X-Aws-Ec2-Metadata-Token: "+token)
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(text), "\n"), nil
}

// maxMetadata is how much of an answer is read.
const maxMetadata = 64 << 10

// askMetadata asks the metadata service. By hand, as the link is: see dialLink.
func askMetadata(method, path, header string) (string, error) {
	connection, err := net.DialTimeout("tcp", linkAddress, keysPatience)
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }()
	if err := connection.SetDeadline(time.Now().Add(keysPatience)); err != nil {
		return "", err
	}
	if _, err := fmt.Fprintf(connection, "%s %s HTTP/1.0\r\nHost: 169.254.169.254\r\n%s\r\n\r\n", method, path, header); err != nil {
		return "", err
	}
	reader := bufio.NewReader(io.LimitReader(connection, maxMetadata))
	status, length := "", -1
	for first := true; ; first = false {
		line, err := reader.ReadString('\n')
		if err != nil {
			return "", err
		}
		if line = strings.TrimSpace(line); line == "" {
			break
		}
		if first {
			status = line
		} else if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "Content-Length") {
			if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil || length < 0 || length > maxMetadata {
				return "", fmt.Errorf("content length %q", value)
			}
		}
	}
	if !strings.HasPrefix(status, "HTTP/1.0 200") && !strings.HasPrefix(status, "HTTP/1.1 200") {
		return "", fmt.Errorf("the metadata service answers %q", status)
	}
	if length < 0 {
		content, err := io.ReadAll(reader)
		return string(content), err
	}
	content := make([]byte, length)
	_, err = io.ReadFull(reader, content)
	return string(content), err
}

// printConnectKeys is what an image's sshd calls. Whatever fails means: no such key.
func printConnectKeys(user string) int {
	lines, err := connectKeys(user)
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
	}
	for _, line := range lines {
		fmt.Println(line)
	}
	return 0
}
