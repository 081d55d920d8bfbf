package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/sync/errgroup"
)

// benchMachines starts a server on an engine, with SSH open and everything there that the first instance of a life brings
// along. What it made is gone after the benchmark.
func benchMachines(b *testing.B) *tortureMachines {
	b.Helper()
	if os.Getenv("MINI_AWS_TEST_ENGINE") != "docker" {
		b.Skip("needs a Docker engine: MINI_AWS_TEST_ENGINE=docker")
	}
	if _, err := exec.LookPath("docker"); err != nil {
		b.Skip("needs the docker CLI")
	}
	data := b.TempDir()
	b.Cleanup(func() {
		if out, err := exec.CommandContext(context.Background(), binary, "destroy", "--yes", "--data", data).CombinedOutput(); err != nil {
			b.Errorf("destroy: %v: %s", err, out)
		}
	})
	m := measureOurs(b, data, "--engine", "docker")
	b.Cleanup(m.stop)
	machines, err := newTortureMachines(b.Context(), newTorment(nil, m.address), "bench")
	if err != nil {
		b.Fatal(err)
	}
	openSSH(b, machines.ec2)
	began := time.Now()
	first := launch(b, machines)
	b.ReportMetric(float64(time.Since(began).Milliseconds()), "ms-first")
	end(b, machines, first)
	return machines
}

// BenchmarkRunInstances reports the time from RunInstances to the SSH banner at the public address, beside plain "docker
// run" of the same image with the same init, environment, limits and mounts to its banner on the engine's bridge; the two
// alternate, and the median of five rounds counts. It needs an engine, and the docker CLI.
func BenchmarkRunInstances(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		machines := benchMachines(b)
		var ours, plain []time.Duration
		for range rounds {
			began := time.Now()
			id := launch(b, machines)
			ours = append(ours, time.Since(began))
			plain = append(plain, runPlain(b, plainOf(b, id)))
			end(b, machines, id)
		}
		b.ReportMetric(float64(middle(ours).Milliseconds()), "ms-to-ssh")
		b.ReportMetric(float64(middle(plain).Milliseconds()), "ms-to-ssh-docker")
		b.ReportMetric(float64(middle(ours))/float64(middle(plain)), "times-docker")
		b.ReportMetric(0, "ns/op")
		b.StartTimer()
	}
}

// many is how many instances one call launches; atOnce is how many of them the reconcile loop works on at a time, and so
// how many "docker run" there are.
const (
	many   = 20
	atOnce = 8
)

// BenchmarkRunManyInstances reports the time until 20 instances of one call run, beside 20 times "docker run --detach" of
// the same, eight at a time; the two alternate, and the median of three rounds counts.
func BenchmarkRunManyInstances(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		machines := benchMachines(b)
		var ours, plain []time.Duration
		for range 3 {
			began := time.Now()
			ids := launchMany(b, machines, many)
			ours = append(ours, time.Since(began))
			arguments := plainOf(b, ids[0])
			end(b, machines, ids...)
			began = time.Now()
			containers := make([]string, many)
			var group errgroup.Group
			group.SetLimit(atOnce)
			for i := range containers {
				group.Go(func() (err error) {
					containers[i], err = docker(b, arguments...)
					return err
				})
			}
			err := group.Wait()
			plain = append(plain, time.Since(began))
			for _, c := range containers {
				if c != "" {
					removePlain(b, c)
				}
			}
			if err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(middle(ours).Milliseconds()), "ms-to-running")
		b.ReportMetric(float64(middle(plain).Milliseconds()), "ms-docker")
		b.ReportMetric(float64(middle(ours))/float64(middle(plain)), "times-docker")
		b.ReportMetric(0, "ns/op")
		b.StartTimer()
	}
}

// askMetadata runs inside: the median and the 99th percentile of 500 answers, in microseconds, over one connection, and
// the median of 50 over a connection each.
const askMetadata = `
import http.client, time
def ask(c, method, path, headers):
    c.request(method, path, headers=headers)
    a = c.getresponse()
    body = a.read()
    assert a.status == 200, (a.status, body)
    return body.decode()
c = http.client.HTTPConnection("169.254.169.254")
token = {"X-aws-ec2-metadata-token": ask(c, "PUT", "/latest/api/token", {"X-aws-ec2-metadata-token-ttl-seconds": "60"})}
def timed(n, fresh):
    global c
    took = []
    for i in range(n):
        began = time.perf_counter()
        if fresh:
            c = http.client.HTTPConnection("169.254.169.254")
        ask(c, "GET", "/latest/meta-data/instance-id", token)
        took.append((time.perf_counter() - began) * 1e6)
    return sorted(took)
kept, fresh = timed(500, False), timed(50, True)
print(kept[250], kept[495], fresh[25])
`

// BenchmarkMetadata reports how long the metadata service takes to answer a client inside an instance.
func BenchmarkMetadata(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		machines := benchMachines(b)
		id := launch(b, machines)
		command := exec.CommandContext(b.Context(), binary, "ssh", "root@"+id, "python3 -c '"+askMetadata+"'")
		command.Env = append(os.Environ(), "MINI_AWS_LISTEN="+*machines.config.BaseEndpoint, "AWS_ENDPOINT_URL="+*machines.config.BaseEndpoint,
			"AWS_REGION=us-east-1", "AWS_ACCESS_KEY_ID="+benchKeyID, "AWS_SECRET_ACCESS_KEY="+benchSecret)
		out, err := command.CombinedOutput()
		fields := strings.Fields(string(out))
		if err != nil || len(fields) != 3 {
			b.Fatalf("inside: %v: %s", err, out)
		}
		for i, unit := range []string{"us-p50", "us-p99", "us-p50-connecting"} {
			took, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(took, unit)
		}
		b.ReportMetric(idleInit(b, id), "MB-init")
		b.ReportMetric(0, "ns/op")
		b.StartTimer()
	}
}

// idleInit answers how much memory the first process of an instance has that has nothing to do: its own, and that of files.
// A few seconds after the last login it gives back what it does not need.
func idleInit(b *testing.B, id string) float64 {
	b.Helper()
	time.Sleep(5 * time.Second)
	pid, err := docker(b, "ps", "--quiet", "--filter", "label=mini-aws.id="+id)
	if err == nil {
		pid, err = docker(b, "inspect", "--format", "{{.State.Pid}}", pid)
	}
	if err != nil {
		b.Fatal(err)
	}
	status, err := os.ReadFile("/proc/" + pid + "/status")
	if err != nil {
		b.Skip("the engine's processes are not this machine's: ", err)
	}
	kB := 0
	for line := range strings.Lines(string(status)) {
		if fields := strings.Fields(line); len(fields) == 3 && (fields[0] == "RssAnon:" || fields[0] == "RssFile:") {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				b.Fatal(err)
			}
			kB += n
		}
	}
	return float64(kB) / 1000
}

// openSSH lets the default group of the default VPC take connections.
func openSSH(b *testing.B, client *ec2.Client) {
	b.Helper()
	groups, err := client.DescribeSecurityGroups(b.Context(), &ec2.DescribeSecurityGroupsInput{GroupNames: []string{"default"}})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := client.AuthorizeSecurityGroupIngress(b.Context(), &ec2.AuthorizeSecurityGroupIngressInput{GroupId: groups.SecurityGroups[0].GroupId, IpPermissions: []types.IpPermission{{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}}}}); err != nil {
		b.Fatal(err)
	}
}

// launch runs an instance and waits until SSH answers.
func launch(b *testing.B, machines *tortureMachines) string {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), 2*time.Minute)
	defer cancel()
	out, err := machines.ec2.RunInstances(ctx, &ec2.RunInstancesInput{ImageId: &machines.image, InstanceType: types.InstanceTypeT3Nano, MinCount: aws.Int32(1), MaxCount: aws.Int32(1)})
	if err != nil {
		b.Fatal(err)
	}
	id := out.Instances[0].InstanceId
	for {
		shown, err := machines.ec2.DescribeInstances(ctx, &ec2.DescribeInstancesInput{InstanceIds: []string{*id}})
		if err != nil {
			b.Fatal(err)
		}
		if address := shown.Reservations[0].Instances[0].PublicIpAddress; address != nil {
			if _, err := sshBanner(ctx, net.JoinHostPort(*address, "22")); err != nil {
				b.Fatal(err)
			}
			return *id
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// launchMany runs instances in one call and waits until all of them run.
func launchMany(b *testing.B, machines *tortureMachines, count int32) []string {
	b.Helper()
	out, err := machines.ec2.RunInstances(b.Context(), &ec2.RunInstancesInput{ImageId: &machines.image, InstanceType: types.InstanceTypeT3Nano, MinCount: &count, MaxCount: &count})
	if err != nil {
		b.Fatal(err)
	}
	ids := make([]string, 0, count)
	for _, i := range out.Instances {
		ids = append(ids, *i.InstanceId)
	}
	awaitAll(b, machines, ids, types.InstanceStateNameRunning)
	return ids
}

// end terminates instances and waits until they have gone, so that what is measured next has the machine for itself.
func end(b *testing.B, machines *tortureMachines, ids ...string) {
	b.Helper()
	if _, err := machines.ec2.TerminateInstances(b.Context(), &ec2.TerminateInstancesInput{InstanceIds: ids}); err != nil {
		b.Fatal(err)
	}
	awaitAll(b, machines, ids, types.InstanceStateNameTerminated)
}

func awaitAll(b *testing.B, machines *tortureMachines, ids []string, state types.InstanceStateName) {
	b.Helper()
	for deadline := time.Now().Add(5 * time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		shown, err := machines.ec2.DescribeInstances(b.Context(), &ec2.DescribeInstancesInput{InstanceIds: ids,
			Filters: []types.Filter{{Name: aws.String("instance-state-name"), Values: []string{string(state)}}}})
		if err != nil {
			b.Fatal(err)
		}
		there := 0
		for _, r := range shown.Reservations {
			there += len(r.Instances)
		}
		if there == len(ids) {
			return
		}
	}
	b.Fatalf("not all of %v are %s", ids, state)
}

func docker(b *testing.B, arguments ...string) (string, error) {
	out, err := exec.CommandContext(b.Context(), "docker", arguments...).Output()
	if err != nil {
		err = fmt.Errorf("docker %s: %w", arguments[0], err)
	}
	return strings.TrimSpace(string(out)), err
}

// plainOf answers how to run by hand, on the engine's own bridge, what the instance's container is.
func plainOf(b *testing.B, id string) []string {
	b.Helper()
	container, err := docker(b, "ps", "--quiet", "--filter", "label=mini-aws.id="+id)
	if err != nil {
		b.Fatal(err)
	}
	shown, err := docker(b, "inspect", container)
	if err != nil {
		b.Fatal(err)
	}
	var found []struct {
		Config struct {
			Image, Hostname      string
			Env, Entrypoint, Cmd []string
		}
		HostConfig struct{ Memory, NanoCpus int64 }
		Mounts     []struct{ Type, Name, Destination string }
	}
	if err := json.Unmarshal([]byte(shown), &found); err != nil || len(found) != 1 {
		b.Fatal("docker inspect: ", err)
	}
	c := found[0]
	arguments := []string{"run", "--detach", "--network", "bridge", "--hostname", c.Config.Hostname, "--pids-limit", "8192",
		"--memory", strconv.FormatInt(c.HostConfig.Memory, 10), "--cpus", strconv.FormatFloat(float64(c.HostConfig.NanoCpus)/1e9, 'f', -1, 64)}
	for _, variable := range c.Config.Env {
		arguments = append(arguments, "--env", variable)
	}
	for _, mount := range c.Mounts {
		arguments = append(arguments, "--mount", "type="+mount.Type+",source="+mount.Name+",target="+mount.Destination+",readonly")
	}
	command := append(c.Config.Entrypoint, c.Config.Cmd...)
	return append(append(arguments, "--entrypoint", command[0], c.Config.Image), command[1:]...)
}

// runPlain answers how long a container takes to its banner.
func runPlain(b *testing.B, arguments []string) time.Duration {
	b.Helper()
	began := time.Now()
	plain, err := docker(b, arguments...)
	if err != nil {
		b.Fatal(err)
	}
	defer removePlain(b, plain)
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
	defer cancel()
	address, err := docker(b, "inspect", "--format", "{{.NetworkSettings.IPAddress}}", plain)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := sshBanner(ctx, net.JoinHostPort(address, "22")); err != nil {
		b.Errorf("the plain container does not answer: %v", err)
	}
	return time.Since(began)
}

func removePlain(b *testing.B, container string) {
	if out, err := exec.CommandContext(context.Background(), "docker", "rm", "--force", container).CombinedOutput(); err != nil {
		b.Errorf("docker rm: %v: %s", err, out)
	}
}
