package ec2

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/store"
)

// transitRoute is a static route of a transit gateway's table. Those that attachments propagate are not stored: they
// follow from the VPCs.
type transitRoute struct {
	Table, Destination string
	// Attachment is "" for a blackhole.
	Attachment string `json:",omitempty"`
}

var transitRoutes = store.NewTable(store.Spec[transitRoute]{
	Service: "ec2",
	Name:    "transit-gateway-routes",
	ID:      func(r *transitRoute) store.ID { return store.ID{r.Table, r.Destination} },
})

// transitRoutesOf answers the static routes of a table.
func transitRoutesOf(t tx, table string) ([]*transitRoute, error) {
	list, _, err := transitRoutes.In(t, t.scope).List(store.Query{Parts: store.ID{table}})
	return list, err
}

// maxTransitRoutes bounds the routes of one gateway.
// AWS: "Quotas for your transit gateways".
const maxTransitRoutes = 10000

// transitDestination is the canonical form of a route's range.
func transitDestination(text *string) (string, error) {
	if aws.ToString(text) == "" {
		return "", errMissingParameter("DestinationCidrBlock")
	}
	prefix, ok := parseCIDR(*text)
	if !ok {
		return "", errInvalidCIDR(*text, "destinationCidrBlock")
	}
	return prefix.String(), nil
}

// transitTarget checks what a static route leads to: an attachment of the table's gateway, or nothing.
func transitTarget(t tx, r *transitTable, attachment *string, blackhole *bool) (string, error) {
	id := aws.ToString(attachment)
	switch {
	case aws.ToBool(blackhole) && id != "":
		return "", errInvalidParameterCombination("A blackhole route cannot have a Transit Gateway Attachment.")
	case aws.ToBool(blackhole):
		return "", nil
	case id == "":
		return "", errMissingParameter("TransitGatewayAttachmentId")
	}
	_, a, err := pairOf(t, &r.ID, &id)
	if err != nil {
		return "", err
	}
	if !a.works() {
		return "", errIncorrectState("%s is in invalid state", a.ID)
	}
	return id, nil
}

// CreateTransitGatewayRoute adds a static route.
func (s *Service) CreateTransitGatewayRoute(ctx context.Context, in *ec2.CreateTransitGatewayRouteInput) (*ec2.CreateTransitGatewayRouteOutput, error) {
	out := &ec2.CreateTransitGatewayRouteOutput{}
	return out, s.putTransitRoute(ctx, &out.Route, in.TransitGatewayRouteTableId, in.DestinationCidrBlock, in.TransitGatewayAttachmentId, in.Blackhole, func(t tx, table, destination string) error {
		routes, err := transitRoutesOf(t, table)
		switch {
		case err != nil:
			return err
		case slices.ContainsFunc(routes, func(x *transitRoute) bool { return x.Destination == destination }):
			return errTransitRouteExists(destination, table)
		case len(routes) >= maxTransitRoutes:
			return errRouteLimitExceeded()
		}
		return nil
	})
}

// ReplaceTransitGatewayRoute gives a static route another target.
func (s *Service) ReplaceTransitGatewayRoute(ctx context.Context, in *ec2.ReplaceTransitGatewayRouteInput) (*ec2.ReplaceTransitGatewayRouteOutput, error) {
	out := &ec2.ReplaceTransitGatewayRouteOutput{}
	return out, s.putTransitRoute(ctx, &out.Route, in.TransitGatewayRouteTableId, in.DestinationCidrBlock, in.TransitGatewayAttachmentId, in.Blackhole, func(t tx, table, destination string) error {
		had, err := transitRoutes.In(t, t.scope).Find(table, destination)
		if err == nil && had == nil {
			return errTransitRouteNotFound(destination, table)
		}
		return err
	})
}

// putTransitRoute writes a static route, if the table may have it.
func (s *Service) putTransitRoute(ctx context.Context, shown **types.TransitGatewayRoute, table, destination, attachment *string, blackhole *bool, may func(t tx, table, destination string) error) error {
	to, err := transitDestination(destination)
	if err != nil {
		return err
	}
	return s.update(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(table))
		if err != nil {
			return err
		}
		target, err := transitTarget(t, r, attachment, blackhole)
		if err != nil {
			return err
		}
		if err := may(t, r.ID, to); err != nil {
			return err
		}
		*shown, err = changeTransitRoute(t, r, &transitRoute{r.ID, to, target})
		return err
	})
}

func changeTransitRoute(t tx, r *transitTable, x *transitRoute) (*types.TransitGatewayRoute, error) {
	if err := transitRoutes.In(t, t.scope).Put(x); err != nil {
		return nil, err
	}
	attachments, err := transitAttachments.by(t, "gateway", r.Gateway)
	if err != nil {
		return nil, err
	}
	shown := madeRoute{destination: netip.MustParsePrefix(x.Destination), static: true, attachment: attachmentIn(attachments, x.Attachment)}.toAPI()
	return &shown, wantTransit(t, r.Gateway)
}

// DeleteTransitGatewayRoute removes a static route.
func (s *Service) DeleteTransitGatewayRoute(ctx context.Context, in *ec2.DeleteTransitGatewayRouteInput) (*ec2.DeleteTransitGatewayRouteOutput, error) {
	destination, err := transitDestination(in.DestinationCidrBlock)
	if err != nil {
		return nil, err
	}
	out := &ec2.DeleteTransitGatewayRouteOutput{}
	return out, s.update(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(in.TransitGatewayRouteTableId))
		if err != nil {
			return err
		}
		had, err := transitRoutes.In(t, t.scope).Find(r.ID, destination)
		if err != nil {
			return err
		}
		if had == nil {
			return errTransitRouteNotFound(destination, r.ID)
		}
		if out.Route, err = changeTransitRoute(t, r, had); err != nil {
			return err
		}
		out.Route.State = types.TransitGatewayRouteStateDeleted
		return transitRoutes.In(t, t.scope).Delete(r.ID, destination)
	})
}

// madeRoute is a route as it counts, static or propagated. A nil attachment is a blackhole.
type madeRoute struct {
	resource
	destination netip.Prefix
	static      bool
	attachment  *transitAttachment
	// list is the prefix list by which it is there; "" for a route of its own.
	list string
}

func (m madeRoute) active() bool { return m.attachment != nil && !m.attachment.gone() }

func (m madeRoute) toAPI() types.TransitGatewayRoute {
	shown := types.TransitGatewayRoute{
		DestinationCidrBlock: aws.String(m.destination.String()), Type: types.TransitGatewayRouteTypePropagated, State: types.TransitGatewayRouteStateActive,
	}
	if m.static {
		shown.Type = types.TransitGatewayRouteTypeStatic
	}
	shown.PrefixListId = optional(m.list)
	if !m.active() {
		shown.State = types.TransitGatewayRouteStateBlackhole
	}
	if m.attachment != nil {
		shown.TransitGatewayAttachments = []types.TransitGatewayRouteAttachment{{
			TransitGatewayAttachmentId: aws.String(m.attachment.ID), ResourceId: aws.String(m.attachment.targetID()), ResourceType: m.attachment.targetType(),
		}}
	}
	return shown
}

func attachmentIn(list []*transitAttachment, id string) *transitAttachment {
	i := slices.IndexFunc(list, func(a *transitAttachment) bool { return a.ID == id })
	if i < 0 {
		return nil
	}
	return list[i]
}

// madeRoutes answers what routes a table has, by their ranges: static ones, and those that attachments propagate where no
// static one has the same range. Of two VPCs with the same range the one that was attached first has it.
// AWS: "How transit gateways work", route evaluation order.
func madeRoutes(t tx, table string, attachments []*transitAttachment) ([]madeRoute, error) {
	made := map[netip.Prefix]madeRoute{}
	static, err := transitRoutesOf(t, table)
	if err != nil {
		return nil, err
	}
	add := func(m madeRoute) {
		if _, had := made[m.destination]; !had {
			m.ID = m.destination.String()
			made[m.destination] = m
		}
	}
	for _, x := range static {
		add(madeRoute{destination: netip.MustParsePrefix(x.Destination), static: true, attachment: attachmentIn(attachments, x.Attachment)})
	}
	referred, err := referredRoutes(t, table, attachments)
	if err != nil {
		return nil, err
	}
	for _, m := range referred {
		add(m)
	}
	first := slices.SortedFunc(slices.Values(attachments), func(a, b *transitAttachment) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID))
	})
	for _, a := range first {
		i := a.propagation(table)
		if i < 0 || a.gone() || a.Propagations[i].State == types.TransitGatewayPropagationStateDisabling {
			continue
		}
		v, err := vpcs.find(t, a.VPC)
		if err != nil || v == nil {
			return nil, err
		}
		ranges := v.ranges()
		if a.IPv6 {
			ranges = append(ranges, v.ipv6Ranges()...)
		}
		for _, own := range ranges {
			add(madeRoute{destination: own, attachment: a})
		}
	}
	all := make([]madeRoute, 0, len(made))
	for _, m := range made {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b madeRoute) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// wantedRoutes are a table's routes for the network.
func wantedRoutes(all []madeRoute) []backend.WantedTransitRoute {
	var wanted []backend.WantedTransitRoute
	for _, m := range all {
		route := backend.WantedTransitRoute{Destination: m.destination}
		if m.active() {
			route.Attachment = m.attachment.ID
		}
		wanted = append(wanted, route)
	}
	return wanted
}

// madeRouteFilters are those of SearchTransitGatewayRoutes that look at a route by itself.
var madeRouteFilters = filters[madeRoute]{
	"attachment.transit-gateway-attachment-id": func(_ tx, m *madeRoute) []string {
		if m.attachment == nil {
			return nil
		}
		return one(m.attachment.ID)
	},
	"attachment.resource-id": func(_ tx, m *madeRoute) []string {
		if m.attachment == nil {
			return nil
		}
		return one(m.attachment.targetID())
	},
	"attachment.resource-type": func(_ tx, m *madeRoute) []string {
		if m.attachment == nil {
			return nil
		}
		return one(string(m.attachment.targetType()))
	},
	"prefix-list-id": func(_ tx, m *madeRoute) []string { return one(m.list) },
	"state":          func(_ tx, m *madeRoute) []string { return one(string(m.toAPI().State)) },
	"type":           func(_ tx, m *madeRoute) []string { return one(string(m.toAPI().Type)) },
}

// routeSearches are those that compare ranges, or choose the best of all.
var routeSearches = map[string]func(m madeRoute, asked netip.Prefix) bool{
	"route-search.exact-match":          func(m madeRoute, asked netip.Prefix) bool { return m.destination == asked },
	"route-search.longest-prefix-match": func(m madeRoute, asked netip.Prefix) bool { return covers(m.destination, asked) },
	"route-search.subnet-of-match":      func(m madeRoute, asked netip.Prefix) bool { return covers(asked, m.destination) },
	"route-search.supernet-of-match":    func(m madeRoute, asked netip.Prefix) bool { return covers(m.destination, asked) },
}

// SearchTransitGatewayRoutes answers the routes of a table that filters select, of which there must be one.
func (s *Service) SearchTransitGatewayRoutes(ctx context.Context, in *ec2.SearchTransitGatewayRoutesInput) (*ec2.SearchTransitGatewayRoutesOutput, error) {
	if len(in.Filters) == 0 {
		return nil, errMissingParameter("Filters")
	}
	var plain []types.Filter
	type search struct {
		name  string
		asked []netip.Prefix
	}
	var searches []search
	for _, f := range in.Filters {
		name := aws.ToString(f.Name)
		if routeSearches[name] == nil {
			plain = append(plain, f)
			continue
		}
		x := search{name: name}
		for _, value := range f.Values {
			prefix, ok := parseCIDR(value)
			if address, err := netip.ParseAddr(value); err == nil {
				prefix, ok = netip.PrefixFrom(address, address.BitLen()), true
			}
			if !ok {
				return nil, errInvalidCIDR(value, name)
			}
			x.asked = append(x.asked, prefix)
		}
		searches = append(searches, x)
	}
	match, err := madeRouteFilters.compile(func(m *madeRoute) *resource { return &m.resource }, plain)
	if err != nil {
		return nil, err
	}
	most := int32(1000)
	if in.MaxResults != nil {
		most = *in.MaxResults
	}
	switch {
	case most < 5:
		return nil, errMaxResultsTooSmall(most, 5)
	case most > 1000:
		return nil, errMaxResultsTooLarge(most, 1000)
	}
	out := &ec2.SearchTransitGatewayRoutesOutput{}
	return out, s.view(ctx, func(t tx) error {
		r, err := transitTables.live(t, aws.ToString(in.TransitGatewayRouteTableId))
		if err != nil {
			return err
		}
		attachments, err := transitAttachments.by(t, "gateway", r.Gateway)
		if err != nil {
			return err
		}
		all, err := madeRoutes(t, r.ID, attachments)
		if err != nil {
			return err
		}
		all = slices.DeleteFunc(all, func(m madeRoute) bool { return !match.matches(t, &m) })
		for _, x := range searches {
			all = slices.DeleteFunc(all, func(m madeRoute) bool {
				return !slices.ContainsFunc(x.asked, func(asked netip.Prefix) bool { return routeSearches[x.name](m, asked) })
			})
			if x.name == "route-search.longest-prefix-match" && len(all) > 0 {
				best := slices.MaxFunc(all, func(a, b madeRoute) int { return cmp.Compare(a.destination.Bits(), b.destination.Bits()) })
				all = []madeRoute{best}
			}
		}
		page, next, err := cut(all, func(m madeRoute) string { return m.ID }, "transit-gateway-route", pageBounds{}, query{max: aws.Int32(most), token: in.NextToken})
		if err != nil {
			return err
		}
		out.Routes, out.NextToken, out.AdditionalRoutesAvailable = []types.TransitGatewayRoute{}, next, aws.Bool(next != nil)
		for _, m := range page {
			out.Routes = append(out.Routes, m.toAPI())
		}
		return nil
	})
}
