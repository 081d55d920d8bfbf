package hostports

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"reflect"
	"syscall"
	"testing"

	"miniaws/backend"
)

// echo is a dialer whose far end says which address was meant.
type echo struct{}

func (echo) DialPublic(_ context.Context, address netip.AddrPort) (net.Conn, error) {
	if address.Port() == 23 {
		return nil, &backend.Error{Kind: backend.KindUnavailable, Op: "dial public", Object: address.String()}
	}
	near, far := net.Pipe()
	go func() {
		_, _ = far.Write([]byte(address.String() + "\n"))
		_ = far.Close()
	}()
	return near, nil
}

func reached(t *testing.T, listen netip.AddrPort) string {
	t.Helper()
	connection, err := net.Dial("tcp", listen.String())
	if errors.Is(err, syscall.ECONNREFUSED) {
		return "nobody listens"
	}
	if err != nil { // it may be cut off before it is known to be there
		return "cut off"
	}
	defer func() { _ = connection.Close() }()
	line, err := bufio.NewReader(connection).ReadString('\n')
	if err != nil {
		return "cut off"
	}
	return line
}

func TestPortsLeadToTheirTargets(t *testing.T) {
	p := newPorts(echo{})
	defer p.close()
	address := netip.MustParseAddr("198.18.8.1")
	ssh, telnet := netip.AddrPortFrom(address, 22), netip.AddrPortFrom(address, 23)
	p.set("vpc-1", []netip.AddrPort{ssh, telnet})
	open := p.of(address)
	if len(open) != 2 || open[0].target != 22 || open[1].target != 23 {
		t.Fatalf("open: %v", open)
	}
	if got := reached(t, open[0].listen); got != "198.18.8.1:22\n" {
		t.Errorf("%q", got)
	}
	if got := reached(t, open[1].listen); got != "cut off" {
		t.Errorf("what does not answer: %q", got)
	}

	// The same again is the same; what another VPC has does not matter; what is not wanted is closed.
	p.set("vpc-1", []netip.AddrPort{ssh})
	p.set("vpc-2", []netip.AddrPort{netip.MustParseAddrPort("198.18.8.2:22")})
	if again := p.of(address); len(again) != 1 || again[0] != open[0] {
		t.Errorf("%v became %v", open, again)
	}
	if got := reached(t, open[1].listen); got != "nobody listens" {
		t.Errorf("closed: %q", got)
	}
	p.set("vpc-1", nil)
	if left := p.of(address); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestPortIsKept: the number is the same after a start, and another one where somebody has it.
func TestPortIsKept(t *testing.T) {
	target := netip.MustParseAddrPort("198.18.8.1:22")
	first, err := listen(target)
	if err != nil {
		t.Fatal(err)
	}
	second, err := listen(target)
	if err != nil {
		t.Fatal(err)
	}
	number := first.Addr().String()
	if second.Addr().String() == number {
		t.Error("one port twice")
	}
	_, _ = first.Close(), second.Close()
	again, err := listen(target)
	if err != nil {
		t.Fatal(err)
	}
	if again.Addr().String() != number {
		t.Errorf("%s, then %s", number, again.Addr())
	}
	_ = again.Close()
}

func TestTargets(t *testing.T) {
	prefixes := func(texts ...string) (all []netip.Prefix) {
		for _, text := range texts {
			all = append(all, netip.MustParsePrefix(text))
		}
		return all
	}
	rule := func(protocol, from, to int, cidrs ...string) backend.WantedSecurityRule {
		return backend.WantedSecurityRule{Protocol: protocol, FromPort: from, ToPort: to, CIDRs: prefixes(cidrs...)}
	}
	const world = "0.0.0.0/0"
	for name, c := range map[string]struct {
		rules []backend.WantedSecurityRule
		want  []uint16
	}{
		"none":           {nil, nil},
		"named":          {[]backend.WantedSecurityRule{rule(6, 8080, 8081, world), rule(6, 22, 22, world), rule(6, 22, 22, world)}, []uint16{22, 8080, 8081}},
		"elsewhere":      {[]backend.WantedSecurityRule{rule(6, 22, 22, "10.0.0.0/8"), rule(6, 80, 80, "10.0.0.0/8", "198.18.0.0/20")}, []uint16{80}},
		"other protocol": {[]backend.WantedSecurityRule{rule(17, 53, 53, world), rule(1, -1, -1, world)}, nil},
		"a range":        {[]backend.WantedSecurityRule{rule(6, 1, 100, world)}, []uint16{22, 80}},
		"everything":     {[]backend.WantedSecurityRule{rule(-1, -1, -1, world)}, []uint16{22, 80, 443}},
		"a group":        {[]backend.WantedSecurityRule{{Protocol: -1, Groups: []string{"sg-1"}}}, nil},
		"too many":       {[]backend.WantedSecurityRule{rule(6, 100, 115, world)}, []uint16{100, 101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111}},
	} {
		t.Run(name, func(t *testing.T) {
			wanted := backend.WantedVPC{
				SecurityGroups: []backend.WantedSecurityGroup{{ID: "sg-1", Ingress: c.rules}},
				ENIs: []backend.WantedENI{
					{ID: "eni-1", Groups: []string{"sg-1"}, Public: []backend.WantedPublicAddress{{Public: netip.MustParseAddr("198.18.8.1")}}},
					{ID: "eni-2", Groups: []string{"sg-1"}},
				},
			}
			var got []uint16
			for _, target := range targets(wanted, netip.MustParseAddr("198.18.0.1")) {
				got = append(got, target.Port())
			}
			if !reflect.DeepEqual(got, c.want) {
				t.Errorf("%v, want %v", got, c.want)
			}
		})
	}
}
