package hostports

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"miniaws/backend"
	"miniaws/backend/relay"
)

// endpoint is a port of this machine, and the port of the public address to which it leads.
type endpoint struct {
	target uint16
	listen netip.AddrPort
}

const (
	// firstPort and portCount are where ports are opened: below those that kernels give to connections.
	firstPort = 20000
	portCount = 10000
	// attempts is how many ports are tried where others have the first ones.
	attempts = 50
	// maxConnections bounds what is open at once, on all ports.
	maxConnections = 1024
	// acceptAgain is how long a port waits after it could not take a connection.
	acceptAgain = 100 * time.Millisecond
	// dialPatience is how long an address may take to answer.
	dialPatience = 10 * time.Second
)

type ports struct {
	dialer backend.PublicDialer
	// running ends when no goroutine is left; ctx when they are to end.
	running sync.WaitGroup
	ctx     context.Context
	stop    context.CancelFunc
	slots   chan struct{}

	mu sync.Mutex
	// wanted are the targets by their VPC, open the listeners by their target.
	wanted map[string][]netip.AddrPort
	open   map[netip.AddrPort]net.Listener
}

func newPorts(dialer backend.PublicDialer) *ports {
	p := &ports{dialer: dialer, slots: make(chan struct{}, maxConnections), wanted: map[string][]netip.AddrPort{}, open: map[netip.AddrPort]net.Listener{}}
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

// set says what a VPC is to have; nil is nothing.
func (p *ports) set(vpc string, targets []netip.AddrPort) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return
	}
	p.wanted[vpc] = targets
	if len(targets) == 0 {
		delete(p.wanted, vpc)
	}
	all := map[netip.AddrPort]bool{}
	for _, list := range p.wanted {
		for _, target := range list {
			all[target] = true
		}
	}
	for target, listener := range p.open {
		if !all[target] {
			_ = listener.Close() // those that are connected stay, as with a group
			delete(p.open, target)
		}
	}
	for _, target := range slices.SortedFunc(maps.Keys(all), netip.AddrPort.Compare) { // who has a number first keeps it
		if p.open[target] != nil {
			continue
		}
		listener, err := listen(target)
		if err != nil {
			slog.Error("no port of this machine for a public address", "address", target.String(), "error", err)
			continue
		}
		p.open[target] = listener
		p.running.Go(func() { p.take(listener, target) })
	}
}

// listen takes the port that is the target's, or one of the next ones.
func listen(target netip.AddrPort) (net.Listener, error) {
	sum := fnv.New32a()
	address := target.Addr().As16()
	_, _ = sum.Write(binary.BigEndian.AppendUint16(address[:], target.Port())) // never fails
	var err error
	for attempt := range uint32(attempts) {
		var listener net.Listener
		listener, err = net.Listen("tcp4", fmt.Sprintf("127.0.0.1:%d", firstPort+(sum.Sum32()+attempt)%portCount))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return listener, err
		}
	}
	return nil, err
}

func (p *ports) of(public netip.Addr) []endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	var all []endpoint
	for target, listener := range p.open {
		if target.Addr() == public {
			all = append(all, endpoint{target.Port(), listener.Addr().(*net.TCPAddr).AddrPort()})
		}
	}
	slices.SortFunc(all, func(a, b endpoint) int { return int(a.target) - int(b.target) })
	return all
}

func (p *ports) take(listener net.Listener, target netip.AddrPort) {
	for {
		near, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil { // too many open files, for example, which passes
			slog.Error("a port of this machine takes no connection", "address", target.String(), "error", err)
			select {
			case <-p.ctx.Done():
			case <-time.After(acceptAgain):
			}
			continue
		}
		select {
		case p.slots <- struct{}{}:
		default:
			_ = near.Close()
			continue
		}
		p.running.Go(func() {
			defer func() { <-p.slots }()
			p.carry(near, target)
		})
	}
}

// carry connects what came to the target. What does not answer is cut off, as loudly as TCP can.
func (p *ports) carry(near net.Conn, target netip.AddrPort) {
	ctx, enough := context.WithTimeout(p.ctx, dialPatience)
	far, err := p.dialer.DialPublic(ctx, target)
	enough()
	if err != nil {
		_ = near.(*net.TCPConn).SetLinger(0)
		_ = near.Close()
		return
	}
	cut := context.AfterFunc(p.ctx, func() { _, _ = near.Close(), far.Close() })
	relay.Both(near, far)
	cut()
}

func (p *ports) close() {
	p.mu.Lock()
	p.stop()
	for _, listener := range p.open {
		_ = listener.Close()
	}
	clear(p.open)
	p.mu.Unlock()
	p.running.Wait()
}
