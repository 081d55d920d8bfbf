package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"syscall"

	"miniaws/backend/nameserver"
)

// defaultDNS is where names are answered if nothing else is said.
const defaultDNS = "127.0.0.1:4553"

// noDNS is the setting under which nothing answers names; so is the empty one.
const noDNS = "off"

// checkDNS refuses what is no address.
func (c *serveCommand) checkDNS() error {
	if c.DNS == nil || *c.DNS == "" || *c.DNS == noDNS {
		return nil
	}
	if _, err := net.ResolveTCPAddr("tcp", *c.DNS); err != nil {
		return fmt.Errorf("--dns %s: %w; it takes ADDRESS:PORT, such as %s, or %s", *c.DNS, err, defaultDNS, noDNS)
	}
	return nil
}

// listenForNames takes the address at which names are answered; nil for none. An address that somebody chose must be there at
// the first start. The default one may be another installation's, and a worker that comes after one that died serves all else.
func (c *serveCommand) listenForNames(first bool) (*nameserver.Server, error) {
	address := defaultDNS
	if c.DNS != nil {
		address = *c.DNS
	}
	if address == "" || address == noDNS {
		return nil, nil
	}
	server, err := nameserver.Listen(address)
	if err == nil {
		return server, nil
	}
	if first && c.DNS != nil {
		advice := "choose another with --dns, or none with --dns " + noDNS
		if errors.Is(err, syscall.EADDRINUSE) {
			advice = "stop what holds the port, " + advice
		}
		return nil, fmt.Errorf("the DNS server cannot listen: %w; %s", err, advice)
	}
	slog.Warn("NO DNS SERVER: another process has its address (give this one another with --dns, or say --dns "+noDNS+"); all else works", "address", address, "reason", err)
	return nil, nil
}

// zone is what the DNS server knows: where the endpoint and itself listen, and instances' public names, as the store has them.
func (w *worker) zone(listens net.Addr, server *nameserver.Server) *nameserver.Zone {
	at := func(address netip.Addr) func(netip.Addr) []netip.Addr {
		return func(asker netip.Addr) []netip.Addr { return nameserver.Reached(address, asker) }
	}
	return &nameserver.Zone{
		Domain: w.command.Domain, Region: w.command.Region,
		Endpoint: at(listens.(*net.TCPAddr).AddrPort().Addr()), Server: at(server.Address().Addr()),
		Instance: func(ctx context.Context, name string) (netip.Addr, bool, error) {
			return w.world.Load().cloud.machines.PublicName(ctx, name)
		},
		Pointer: func(ctx context.Context, address netip.Addr) (string, bool, error) {
			return w.world.Load().cloud.machines.NameOfPublic(ctx, address)
		},
	}
}
