//go:build linux

package node_test

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netns"

	"miniaws/backend"
)

// crowd is a VPC with that many interfaces, of four groups with five rules each.
func (c *cloud) crowd(id string, size int) *backend.WantedVPC {
	v := c.vpc(id)
	v.Subnets[1].CIDR = prefix("10.0.16.0/20")
	for g := range 4 {
		group := backend.WantedSecurityGroup{ID: fmt.Sprintf("sg-%d", g), Egress: []backend.WantedSecurityRule{{Protocol: -1, CIDRs: anywhere}}}
		for r := range 5 {
			group.Ingress = append(group.Ingress, backend.WantedSecurityRule{
				Protocol: 6, FromPort: 1000 + r, ToPort: 1000 + r, CIDRs: []netip.Prefix{prefix(fmt.Sprintf("10.%d.0.0/16", r))}, Groups: []string{fmt.Sprintf("sg-%d", r%4)},
			})
		}
		v.SecurityGroups = append(v.SecurityGroups, group)
	}
	for i := range size {
		c.eni(v, "private", fmt.Sprintf("10.0.%d.%d", 16+i/200, 10+i%200), "sg-open", fmt.Sprintf("sg-%d", i%4))
	}
	return v
}

func BenchmarkEngineNetwork(b *testing.B) {
	for _, size := range []int{10, 50, 200} {
		b.Run(fmt.Sprintf("attach/%d", size), func(b *testing.B) {
			c := openCloud(b)
			v := c.crowd("vpc-1", size)
			c.apply(v)
			name := c.launch(v, v.ENIs[0].ID)
			attachment := backend.Attachment{VPC: v.ID, ENI: v.ENIs[1].ID, Container: name, PID: c.pids[name], Index: 1}
			var wiring time.Duration
			for b.Loop() {
				started := time.Now()
				if _, err := c.network.AttachENI(b.Context(), attachment); err != nil {
					b.Fatal(err)
				}
				wiring += time.Since(started)
				must(b, c.network.DetachENI(b.Context(), v.ID, attachment.ENI))
			}
			b.ReportMetric(float64(wiring.Microseconds())/1000/float64(b.N), "ms/wired")
		})
		b.Run(fmt.Sprintf("change of a rule/%d", size), func(b *testing.B) {
			c := openCloud(b)
			v := c.crowd("vpc-1", size)
			c.apply(v)
			port := 2000
			var changing time.Duration
			for b.Loop() {
				port++
				v.SecurityGroups[1].Ingress[0].FromPort, v.SecurityGroups[1].Ingress[0].ToPort = port, port
				started := time.Now()
				c.apply(v)
				changing += time.Since(started)
			}
			b.ReportMetric(float64(changing.Microseconds())/1000/float64(b.N), "ms/change")
			status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", c.agentPID()))
			must(b, err)
			for line := range strings.Lines(string(status)) {
				var kilobytes float64
				if _, err := fmt.Sscanf(line, "VmRSS: %f kB", &kilobytes); err == nil {
					b.ReportMetric(kilobytes/1024, "agent-MB")
				}
			}
		})
	}
}

// inside runs f on a thread in the network of the process.
func inside(pid int, f func() error) error {
	result := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		namespace, err := netns.GetFromPid(pid)
		if err == nil {
			err = netns.Set(namespace)
			_ = namespace.Close()
		}
		if err == nil {
			err = f()
		}
		result <- err
	}()
	return <-result
}

// throughput answers gigabits a second from one process's network to another's address.
func throughput(b *testing.B, from, to int, address string) float64 {
	var listener net.Listener
	must(b, inside(to, func() (err error) { listener, err = net.Listen("tcp4", ":0"); return err }))
	defer listener.Close()
	received := make(chan int64, 1)
	go func() {
		connection, err := listener.Accept()
		if err != nil {
			received <- 0
			return
		}
		// Blocks as large as the sender's: io.Discard would read 8 KiB a call, and measure calls.
		all, _ := io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{connection}, make([]byte, 256<<10))
		_ = connection.Close()
		received <- all
	}()
	var connection net.Conn
	must(b, inside(from, func() (err error) {
		connection, err = net.Dial("tcp4", net.JoinHostPort(address, fmt.Sprint(listener.Addr().(*net.TCPAddr).Port)))
		return err
	}))
	chunk := make([]byte, 256<<10)
	started := time.Now()
	for time.Since(started) < 300*time.Millisecond {
		if _, err := connection.Write(chunk); err != nil {
			b.Fatal(err)
		}
	}
	_ = connection.Close()
	return float64(<-received) * 8 / time.Since(started).Seconds() / 1e9
}

func BenchmarkEngineThroughput(b *testing.B) {
	c := openCloud(b)
	v := c.vpc("vpc-1")
	first, second := c.eni(v, "public", "10.0.1.4", "sg-open").ID, c.eni(v, "public", "10.0.1.5", "sg-open").ID
	c.apply(v)
	i, j := c.launch(v, first), c.launch(v, second)
	network, err := c.engine.EnsureNetwork(b.Context(), backend.NetworkSpec{ID: "net-bench"})
	must(b, err)
	defer func() {
		for _, name := range []string{"b-1", "b-2"} {
			_ = c.engine.Remove(b.Context(), name)
		}
		_ = c.engine.RemoveNetwork(b.Context(), network.ID)
	}()
	var plain []backend.Observed
	for _, name := range []string{"b-1", "b-2"} {
		_, err := c.engine.Ensure(b.Context(), backend.Spec{ID: name, Image: instanceImage, Entrypoint: []string{"/bin/sleep", "infinity"}, Network: network.ID})
		must(b, err)
		observed, err := c.engine.Start(b.Context(), name)
		must(b, err)
		plain = append(plain, observed)
	}
	var ratios, ours, theirs []float64
	for b.Loop() {
		for round := range 24 {
			// Each goes first in turn: what else the machine does hits both alike.
			var inVPC, onBridge float64
			for turn := range 2 {
				if (round+turn)%2 == 0 {
					inVPC = throughput(b, c.pids[i], c.pids[j], "10.0.1.5")
				} else {
					onBridge = throughput(b, plain[0].PID, plain[1].PID, plain[1].Address.String())
				}
			}
			ratios, ours, theirs = append(ratios, inVPC/onBridge), append(ours, inVPC), append(theirs, onBridge)
		}
	}
	median := func(all []float64) float64 { slices.Sort(all); return all[len(all)/2] }
	b.ReportMetric(median(ratios), "of-bridge")
	b.ReportMetric(median(ours), "Gbit/s")
	b.ReportMetric(median(theirs), "bridge-Gbit/s")
}
