package integration

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// TestOrdinaryUser runs an instance as a user who has no rights but those of the Docker socket's group: everything that
// takes more is done by the engine.
func TestOrdinaryUser(t *testing.T) {
	if os.Getenv("MINI_AWS_TEST_ENGINE") != "docker" {
		t.Skip("needs a Docker engine: run by make test")
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else; an ordinary user's stories are this test already")
	}
	socket, err := os.Stat("/var/run/docker.sock")
	if err != nil {
		t.Skip("needs the engine's socket in its usual place: ", err)
	}
	const nobody = 54321
	who := &syscall.Credential{Uid: nobody, Gid: nobody, Groups: []uint32{socket.Sys().(*syscall.Stat_t).Gid}}
	home, err := os.MkdirTemp("", "mini-aws-user-*") // not below the test's own folder, into which nobody else may look
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(home) })
	if err := os.Chown(home, nobody, nobody); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(home, "mini-aws")
	if err := copyProgram(program, binary); err != nil {
		t.Fatal(err)
	}
	address, err := quietPort()
	if err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(home, "data")
	as := func(arguments ...string) *exec.Cmd {
		command := exec.Command(program, arguments...)
		command.Dir = home
		command.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "MINI_AWS_DATA=" + data, "MINI_AWS_LISTEN=" + address,
			"MINI_AWS_ROOT_ACCESS_KEY_ID=" + benchKeyID, "MINI_AWS_ROOT_SECRET_ACCESS_KEY=" + benchSecret}
		command.SysProcAttr = &syscall.SysProcAttr{Credential: who}
		return command
	}
	said := &transcript{}
	serve := as("serve", "--engine", "docker")
	serve.Stderr = said
	out, err := serve.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := serve.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		serve.Process.Signal(os.Interrupt)
		serve.Wait()
		if out, err := as("destroy", "--yes").CombinedOutput(); err != nil {
			t.Errorf("destroy: %v: %s", err, out)
		}
		if _, err := os.Stat(data); !os.IsNotExist(err) {
			t.Errorf("the data folder is still there: %v", err)
		}
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatalf("it does not serve: %v: %s", err, said)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	machines, err := newTortureMachines(ctx, newTorment(t, address), "user")
	if err != nil {
		t.Fatal(err)
	}
	client := machines.ec2
	launched, err := client.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &machines.image, InstanceType: types.InstanceTypeT3Nano, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		t.Fatal(err)
	}
	id := *launched.Instances[0].InstanceId
	var shown types.Instance
	for shown.State == nil || shown.State.Name != types.InstanceStateNameRunning {
		found, err := client.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{id}})
		if err != nil {
			t.Fatalf("%v: %s", err, lastLines(said.String(), 20))
		}
		if shown = found.Reservations[0].Instances[0]; shown.State.Name == types.InstanceStateNameTerminated {
			t.Fatalf("terminated: %s: %s", aws.ToString(shown.StateReason.Message), lastLines(said.String(), 20))
		}
		time.Sleep(50 * time.Millisecond)
	}
	if _, err := client.AuthorizeSecurityGroupIngress(ctx, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: shown.SecurityGroups[0].GroupId, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}}); err != nil {
		t.Fatal(err)
	}
	banner, err := sshBanner(ctx, net.JoinHostPort(*shown.PublicIpAddress, "22"))
	if err != nil || !strings.HasPrefix(banner, "SSH-2.0-") {
		t.Errorf("SSH says %q, %v: %s", banner, err, lastLines(said.String(), 20))
	}
	for _, pid := range []int{serve.Process.Pid} {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || !strings.Contains(string(status), fmt.Sprintf("Uid:\t%d\t%[1]d", nobody)) || !strings.Contains(string(status), "CapEff:\t0000000000000000") {
			t.Errorf("the server is not an ordinary user's: %v %s", err, status)
		}
	}
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}

// sshBanner waits for what an SSH server says first.
func sshBanner(ctx context.Context, address string) (string, error) {
	for {
		dialer := net.Dialer{Timeout: time.Second}
		connection, err := dialer.DialContext(ctx, "tcp", address)
		if err == nil {
			connection.SetReadDeadline(time.Now().Add(5 * time.Second))
			line, readErr := bufio.NewReader(connection).ReadString('\n')
			connection.Close()
			if readErr == nil {
				return line, nil
			}
			err = readErr
		}
		if ctx.Err() != nil {
			return "", err
		}
		time.Sleep(10 * time.Millisecond)
	}
}
