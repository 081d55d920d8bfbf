package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// hostEndpointTag shows of an instance, and of an Elastic IP, which ports of the gateway's machine lead to it: "22=127.0.0.1:20022",
// and more behind spaces. It is shown and not stored.
const hostEndpointTag = "aws:mini-aws:host-endpoint"

// HostEndpoints are ports of the gateway's machine that lead to public addresses, where that machine does not reach those itself.
type HostEndpoints interface {
	// Active tells whether there are any, ever.
	Active(ctx context.Context) (bool, error)
	// Endpoints answers the ports of a public address that are open now, as PORT=ADDRESS:PORT, in the order of the first.
	Endpoints(public netip.Addr) []string
}

// withHostEndpoints adds the tag to those of something with public addresses. Of several addresses the first one with ports is
// shown, as the primary one of an interface is what others show.
func withHostEndpoints(t tx, tags []types.Tag, public ...string) []types.Tag {
	if t.hosts == nil {
		return tags
	}
	for _, text := range public {
		address, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		open := t.hosts.Endpoints(address)
		for len(strings.Join(open, " ")) > maxTagValue {
			open = open[:len(open)-1]
		}
		if len(open) == 0 {
			continue
		}
		key, value := hostEndpointTag, strings.Join(open, " ")
		tags = append(tags, types.Tag{Key: &key, Value: &value})
		slices.SortFunc(tags, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
		break
	}
	return tags
}

// publicOf are an instance's public addresses, by its interfaces in their order.
func publicOf(wired []*networkInterface) []string {
	var all []string
	for _, e := range wired {
		for _, a := range e.Addresses {
			if a.Public != "" {
				all = append(all, a.Public)
			}
		}
	}
	return all
}

// openHostPorts wants every VPC applied once after a start, for the ports that are only there while the gateway is.
func (s *Service) openHostPorts(ctx context.Context) error {
	if s.config.HostEndpoints == nil || s.portsOpened.Load() {
		return nil
	}
	active, err := s.config.HostEndpoints.Active(ctx)
	if err != nil {
		return err
	}
	if active {
		err = s.config.DB.Update(ctx, func(t store.Tx) error {
			for row, err := range knownNetworks.In(t, store.Scope{}).Scan(store.Query{}) {
				if err != nil {
					return err
				}
				if kindOfNetwork(row.VPC) != networkKind {
					continue
				}
				if err := reconcile.Want(t, reconcile.Item{Kind: networkKind, Account: row.Account, Region: row.Region, ID: row.VPC}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err == nil {
		s.portsOpened.Store(true)
	}
	return err
}
