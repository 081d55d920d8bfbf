package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"miniaws/backend"
	"miniaws/backend/docker"
	"miniaws/backend/hostports"
	"miniaws/backend/nameserver"
	"miniaws/backend/node"
	"miniaws/backend/node/guest"
	"miniaws/backend/node/protocol"
	"miniaws/backend/sim"
	"miniaws/ec2"
)

// nodeFolder is where the node agent has its socket, in the data folder.
const nodeFolder = "node"

// newNetwork answers what makes VPCs real: the node agent of a Docker engine, which is brought up when the first VPC
// needs it, or records alone.
func (w *worker) newNetwork() backend.VPCNetwork {
	engine, ok := w.engine.(*docker.Engine)
	if !ok {
		return sim.OpenNetwork(time.Now)
	}
	err := node.Possible("")
	if err == nil && !engine.OnThisMachine() {
		err = errors.New("the engine is on another machine, or in a virtual one")
	}
	if err != nil {
		slog.Warn("VPC NETWORKS ARE SIMULATED: instances sit together on the engine's plain network, and no route, security group or network ACL is true of them", "reason", err)
		return sim.OpenNetwork(time.Now)
	}
	made := node.New(node.Options{Host: engine, Owner: w.folder.installation, Folder: filepath.Join(w.folder.path, nodeFolder)})
	if w.command.HostEndpoints == "off" {
		return made
	}
	return hostports.Wrap(made, w.command.HostEndpoints == "on")
}

// forgetAgent removes the socket of an agent that was removed, so that nobody takes it for one to bring back.
func (w *worker) forgetAgent() error {
	err := os.Remove(filepath.Join(w.folder.path, nodeFolder, protocol.Socket))
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// answers are what instances get from inside their VPCs: the API and websites, without what is open on loopback alone, the
// metadata of the service that has it, and the names under the domain.
func (c *cloud) answers(domain, region string) backend.Answers {
	all := backend.Answers{API: c.front, Resolve: namesInside(domain, region)}
	metadata := c.machines.Metadata()
	all.Metadata = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != guest.LinkPath {
			metadata.ServeHTTP(w, r)
			return
		}
		if _, _, id, ok := c.machines.GuestOf(r.Context()); ok {
			c.links.Take(w, r, id)
			return
		}
		http.NotFound(w, r)
	})
	return all
}

// namesInside answers the names under the domain as they are inside VPCs: those that the DNS server on the host knows, at the
// address at which the API answers there.
func namesInside(domain, region string) func(ctx context.Context, vpc, name, qtype string) ([]string, bool, error) {
	zone := &nameserver.Zone{
		Domain: domain, Region: region,
		Endpoint: func(netip.Addr) []netip.Addr { return []netip.Addr{backend.APIAddress} },
		Server:   func(netip.Addr) []netip.Addr { return nil }, // it is on the host alone
	}
	return func(_ context.Context, _, name, qtype string) ([]string, bool, error) {
		records, exists := zone.Records(name, qtype, netip.Addr{})
		return records, exists, nil
	}
}

// hostEndpoints are the network's ports of this machine; nil where it has none.
func hostEndpoints(network backend.VPCNetwork) ec2.HostEndpoints {
	if ports, ok := network.(*hostports.Network); ok {
		return ports
	}
	return nil
}
