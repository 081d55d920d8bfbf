package backend

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// TransitGateways makes wanted transit gateways real. It is level-triggered, as [VPCs] is.
type TransitGateways interface {
	// ApplyTransitGateway makes the gateway as wanted. An attachment is joined as soon as its VPC, or the other gateway, wants it
	// too, whichever is applied last. Kinds: KindPermanent (the value contradicts itself), KindUnavailable.
	ApplyTransitGateway(ctx context.Context, wanted WantedTransitGateway) (ObservedTransitGateway, error)
	// RemoveTransitGateway removes the gateway with its ways between VPCs. Absent is no error. Kinds: KindUnavailable.
	RemoveTransitGateway(ctx context.Context, id string) error
	// ListTransitGateways answers all of them, in the order of their ids. Kinds: KindUnavailable.
	ListTransitGateways(ctx context.Context) ([]ObservedTransitGateway, error)
}

// WantedTransitGateway is a router between VPCs as it should be.
type WantedTransitGateway struct {
	ID      string `json:"id"`
	Account string `json:"account"`
	Region  string `json:"region"`
	// Attachments lead to VPCs, RouteTables say where packets go that came in by one.
	Attachments []WantedTransitLink       `json:"attachments,omitempty"`
	RouteTables []WantedTransitRouteTable `json:"routeTables,omitempty"`
}

// WantedTransitLink is the gateway's side of an attachment.
type WantedTransitLink struct {
	ID string `json:"id"`
	// VPC is the attached one; empty where Peer is another transit gateway. Pair names the way between two gateways, the same on
	// both sides.
	VPC  string `json:"vpc,omitempty"`
	Peer string `json:"peer,omitempty"`
	Pair string `json:"pair,omitempty"`
	// RouteTable is the associated one, which packets from the VPC ask; empty drops them.
	RouteTable string `json:"routeTable,omitempty"`
}

// WantedTransitRouteTable is one route table of a transit gateway. What no route matches is dropped.
type WantedTransitRouteTable struct {
	ID     string               `json:"id"`
	Routes []WantedTransitRoute `json:"routes,omitempty"`
}

// WantedTransitRoute sends a range to an attachment; an empty one is a blackhole. The longest range that matches wins.
type WantedTransitRoute struct {
	Destination netip.Prefix `json:"destination"`
	Attachment  string       `json:"attachment,omitempty"`
}

// WantedTransitAttachment is a VPC's side of an attachment to a transit gateway.
type WantedTransitAttachment struct {
	ID string `json:"id"`
	// Gateway is the transit gateway's id, which the VPC's routes name as their target.
	Gateway string `json:"gateway"`
	// Subnets are the attachment's own. Packets from the gateway enter by the first one: its route table sends them on where
	// they are not for the VPC itself, and its network ACL is asked as if they came from it.
	Subnets []string `json:"subnets"`
	// Ways holds the subnets from which the gateway is reached, those of zones in which the attachment has a subnet, with
	// that subnet, whose network ACL lets their packets in.
	Ways map[string]string `json:"ways,omitempty"`
}

// ObservedTransitGateway is what is there.
type ObservedTransitGateway struct {
	ID string `json:"id"`
	// Applied is the time of the last change that was made, on the engine host's clock.
	Applied time.Time `json:"applied"`
	// Joined are the ids of the attachments that carry packets, sorted.
	Joined   []string `json:"joined,omitempty"`
	Problems []string `json:"problems,omitempty"`
	// Namespace is the kernel's name of it; empty when simulated.
	Namespace string `json:"namespace,omitempty"`
	Simulated bool   `json:"simulated"`
}

// Check answers how the value contradicts itself, or nil. Engines call it before they change anything.
func (w WantedTransitGateway) Check() error {
	var errs []error
	seen, tables, links := map[string]bool{}, map[string]bool{}, map[string]bool{}
	once := func(id string) {
		if id == "" || seen[id] {
			errs = append(errs, fmt.Errorf("id %q is empty or there twice", id))
		}
		seen[id] = true
	}
	once(w.ID)
	for _, table := range w.RouteTables {
		once(table.ID)
		tables[table.ID] = true
	}
	vpcs := map[string]bool{}
	for _, link := range w.Attachments {
		once(link.ID)
		links[link.ID] = true
		switch {
		case link.Peer != "":
			if link.VPC != "" || link.Pair == "" || link.Peer == w.ID {
				errs = append(errs, fmt.Errorf("%s: not a way to gateway %q", link.ID, link.Peer))
			}
		case link.VPC == "" || vpcs[link.VPC]:
			errs = append(errs, fmt.Errorf("%s: VPC %q is none, or there twice", link.ID, link.VPC))
		}
		vpcs[link.VPC] = true
		if link.RouteTable != "" && !tables[link.RouteTable] {
			errs = append(errs, fmt.Errorf("%s: route table %q is not there", link.ID, link.RouteTable))
		}
	}
	for _, table := range w.RouteTables {
		had := map[netip.Prefix]bool{}
		for _, route := range table.Routes {
			if !route.Destination.IsValid() || route.Destination.Masked() != route.Destination || had[route.Destination] {
				errs = append(errs, fmt.Errorf("%s: %v is not a range, or there twice", table.ID, route.Destination))
			}
			had[route.Destination] = true
			if route.Attachment != "" && !links[route.Attachment] {
				errs = append(errs, fmt.Errorf("%s: attachment %q is not there", table.ID, route.Attachment))
			}
		}
	}
	return errors.Join(errs...)
}
