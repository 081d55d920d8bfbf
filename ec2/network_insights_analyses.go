package ec2

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend"
	"miniaws/backend/node/plan"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// insightsAnalysis is an answer of the Reachability Analyzer, as things were when it was made.
//
//	running ──▶ succeeded, failed
type insightsAnalysis struct {
	resource
	Path    string
	Started time.Time
	Status  types.AnalysisStatus
	Message string `json:",omitempty"`
	Found   bool   `json:",omitempty"`
	// Forward, Return and Explanations are as AWS shows them.
	Forward      []types.PathComponent `json:",omitempty"`
	Return       []types.PathComponent `json:",omitempty"`
	Explanations []types.Explanation   `json:",omitempty"`
}

func insightsAnalysisBase(a *insightsAnalysis) *resource { return &a.resource }

var insightsAnalyses = &kind[insightsAnalysis]{
	prefix: "nia-", typ: types.ResourceTypeNetworkInsightsAnalysis, base: insightsAnalysisBase, notFound: errInsightsAnalysisNotFound,
	table: tableOf("network-insights-analyses", insightsAnalysisBase, map[string]func(*insightsAnalysis) []string{
		"path": func(a *insightsAnalysis) []string { return one(a.Path) },
	}),
	pages: pageBounds{1, 100},
	filters: filters[insightsAnalysis]{
		"path-found": func(_ tx, a *insightsAnalysis) []string { return yesNo(a.Found) },
		"status":     func(_ tx, a *insightsAnalysis) []string { return one(string(a.Status)) },
	},
}

// insightsKind is an analysis to be made, by its id.
const insightsKind = "ec2.network-insights"

// StartNetworkInsightsAnalysis asks a path's question once.
func (s *Service) StartNetworkInsightsAnalysis(ctx context.Context, in *ec2.StartNetworkInsightsAnalysisInput) (*ec2.StartNetworkInsightsAnalysisOutput, error) {
	if err := unsupported("StartNetworkInsightsAnalysis", "AdditionalAccounts", in.AdditionalAccounts, "FilterInArns", in.FilterInArns, "FilterOutArns", in.FilterOutArns); err != nil {
		return nil, err
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeNetworkInsightsAnalysis)
	if err != nil {
		return nil, err
	}
	out := &ec2.StartNetworkInsightsAnalysisOutput{}
	return out, s.update(ctx, func(t tx) error {
		a, err := insightsAnalyses.makeOnce(t, "StartNetworkInsightsAnalysis", in.ClientToken, in, func() (string, error) {
			p, err := insightsPaths.get(t, aws.ToString(in.NetworkInsightsPathId))
			if err != nil {
				return "", err
			}
			a := &insightsAnalysis{resource: resource{ID: t.NewID("nia-"), Tags: tags}, Path: p.ID, Started: t.Now().UTC().Truncate(time.Millisecond), Status: types.AnalysisStatusRunning}
			if err := insightsAnalyses.insert(t, a); err != nil {
				return "", err
			}
			return a.ID, reconcile.Want(t, reconcile.Item{Kind: insightsKind, Account: t.scope.Account, Region: t.scope.Region, ID: a.ID})
		})
		if err != nil {
			return err
		}
		shown := insightsAnalysisToAPI(t, a)
		out.NetworkInsightsAnalysis = &shown
		return nil
	})
}

// DescribeNetworkInsightsAnalyses lists answers.
func (s *Service) DescribeNetworkInsightsAnalyses(ctx context.Context, in *ec2.DescribeNetworkInsightsAnalysesInput) (*ec2.DescribeNetworkInsightsAnalysesOutput, error) {
	out := &ec2.DescribeNetworkInsightsAnalysesOutput{}
	return out, s.view(ctx, func(t tx) error {
		if in.NetworkInsightsPathId != nil {
			if _, err := insightsPaths.get(t, *in.NetworkInsightsPathId); err != nil {
				return err
			}
		}
		list, _, err := insightsAnalyses.list(t, query{ids: in.NetworkInsightsAnalysisIds, filters: in.Filters})
		if err != nil {
			return err
		}
		list = slices.DeleteFunc(list, func(a *insightsAnalysis) bool {
			return in.NetworkInsightsPathId != nil && a.Path != *in.NetworkInsightsPathId || in.AnalysisStartTime != nil && a.Started.Before(*in.AnalysisStartTime) ||
				in.AnalysisEndTime != nil && a.Started.After(*in.AnalysisEndTime)
		})
		list, next, err := cut(list, func(a *insightsAnalysis) string { return a.ID }, string(insightsAnalyses.typ), insightsAnalyses.pages, query{max: in.MaxResults, token: in.NextToken})
		if err != nil {
			return err
		}
		out.NextToken, out.NetworkInsightsAnalyses = next, []types.NetworkInsightsAnalysis{}
		for _, a := range list {
			out.NetworkInsightsAnalyses = append(out.NetworkInsightsAnalyses, insightsAnalysisToAPI(t, a))
		}
		return nil
	})
}

// DeleteNetworkInsightsAnalysis forgets an answer.
func (s *Service) DeleteNetworkInsightsAnalysis(ctx context.Context, in *ec2.DeleteNetworkInsightsAnalysisInput) (*ec2.DeleteNetworkInsightsAnalysisOutput, error) {
	return &ec2.DeleteNetworkInsightsAnalysisOutput{NetworkInsightsAnalysisId: in.NetworkInsightsAnalysisId}, s.update(ctx, func(t tx) error {
		a, err := insightsAnalyses.get(t, aws.ToString(in.NetworkInsightsAnalysisId))
		if err != nil {
			return err
		}
		return insightsAnalyses.delete(t, a.ID)
	})
}

func insightsAnalysisToAPI(t tx, a *insightsAnalysis) types.NetworkInsightsAnalysis {
	shown := types.NetworkInsightsAnalysis{
		NetworkInsightsAnalysisId: aws.String(a.ID), NetworkInsightsAnalysisArn: aws.String(arn(t.scope, types.ResourceTypeNetworkInsightsAnalysis, a.ID)),
		NetworkInsightsPathId: aws.String(a.Path), StartDate: aws.Time(a.Started), Status: a.Status, Tags: tagsToAPI(t, a.Tags),
		ForwardPathComponents: a.Forward, ReturnPathComponents: a.Return, Explanations: a.Explanations,
	}
	if a.Message != "" {
		shown.StatusMessage = aws.String(a.Message)
	}
	if a.Status == types.AnalysisStatusSucceeded {
		shown.NetworkPathFound = aws.Bool(a.Found)
	}
	return shown
}

// analyze answers the question of an analysis, from the records of now.
func (s *Service) analyze(ctx context.Context, item reconcile.Item) (time.Duration, error) {
	scope := scopeOfItem(item)
	var answer *insightsAnalysis
	err := s.viewIn(ctx, scope, func(t tx) error {
		answer = nil
		a, err := insightsAnalyses.find(t, item.ID)
		if err != nil || a == nil || a.Status != types.AnalysisStatusRunning {
			return err
		}
		answer = a
		p, err := insightsPaths.find(t, a.Path)
		if err != nil {
			return err
		}
		if p == nil {
			a.Status, a.Message = types.AnalysisStatusFailed, "The request failed due to missing component "+a.Path
			return nil
		}
		return s.answer(t, p, a)
	})
	if err != nil || answer == nil {
		return 0, err
	}
	return 0, s.updateIn(ctx, scope, func(t tx) error {
		now, err := insightsAnalyses.find(t, answer.ID)
		if err != nil || now == nil || now.Status != types.AnalysisStatusRunning {
			return err
		}
		tags := now.Tags
		*now = *answer
		now.Tags = tags
		return insightsAnalyses.put(t, now)
	})
}

// end is one end of a path: an interface, or the internet by a VPC's gateway.
type end struct {
	vpc, eni, instance string
	// missing is what is not there, "" when all is.
	missing string
}

func endOf(t tx, id, address string) (end, error) {
	switch {
	case strings.HasPrefix(id, "igw-"):
		g, err := internetGateways.find(t, id)
		if err != nil || g == nil {
			return end{missing: id}, err
		}
		return end{vpc: g.VPC}, nil
	case strings.HasPrefix(id, "eni-"):
		e, err := interfaces.find(t, id)
		if err != nil || e == nil {
			return end{missing: id}, err
		}
		return endOfInterface(e), nil
	}
	list, err := interfaces.by(t, "instance", id)
	if err != nil || len(list) == 0 {
		return end{missing: id}, err
	}
	slices.SortFunc(list, func(a, b *networkInterface) int { return int(a.Attachment.DeviceIndex - b.Attachment.DeviceIndex) })
	for _, e := range list {
		if slices.Contains(e.addresses(), addressIn(address)) {
			return end{vpc: e.VPC, eni: e.ID, instance: id}, nil
		}
	}
	return end{vpc: list[0].VPC, eni: list[0].ID, instance: id}, nil
}

// answer fills the analysis.
func (s *Service) answer(t tx, p *insightsPath, a *insightsAnalysis) error {
	q := plan.Question{Protocol: backend.ProtocolTCP, Source: addressIn(p.SourceIP), Destination: addressIn(p.DestinationIP), DestPort: int(p.Port)}
	if p.Protocol == types.ProtocolUdp {
		q.Protocol = backend.ProtocolUDP
	}
	for _, f := range []*types.PathFilter{p.AtDestination, p.AtSource} {
		if f == nil {
			continue
		}
		if f.SourceAddress != nil {
			q.Source = addressIn(*f.SourceAddress)
		}
		if f.DestinationAddress != nil {
			q.Destination = addressIn(*f.DestinationAddress)
		}
		q.SourcePort, q.DestPort = max(q.SourcePort, portOf(f.SourcePortRange)), max(q.DestPort, portOf(f.DestinationPortRange))
	}
	from, err := endOf(t, p.Source, p.SourceIP)
	if err != nil {
		return err
	}
	ends, err := endsOfPath(t, p, from, q.Destination)
	if err != nil {
		return err
	}
	for _, end := range append([]end{from}, ends...) {
		if end.missing != "" {
			a.Status, a.Message = types.AnalysisStatusFailed, "The request failed due to missing component "+end.missing
			return nil
		}
	}
	a.Status = types.AnalysisStatusSucceeded
	for _, gateway := range []struct{ id, vpc string }{{p.Source, from.vpc}, {p.Destination, ends[0].vpc}} {
		if gateway.id != "" && gateway.vpc == "" { // attached to nothing
			a.Explanations = append(a.Explanations, types.Explanation{
				ExplanationCode: aws.String(plan.CodeUnattached), Component: insightsShown{t}.component(gateway.id),
			})
		}
	}
	if len(a.Explanations) > 0 {
		return nil
	}
	q.FromVPC, q.FromENI = from.vpc, from.eni
	for i, to := range ends {
		q.ToVPC, q.ToENI = to.vpc, to.eni
		world, err := s.worldAround(t, from.vpc, to.vpc)
		if err != nil {
			return err
		}
		if trace := world.Answer(q); i == 0 || trace.Reaches() {
			a.fill(insightsShown{t}, trace, from.instance, to.instance)
		}
		if a.Found {
			break
		}
	}
	return nil
}

// fill shows what became of a question between two instances, or ends that are none.
func (a *insightsAnalysis) fill(shown insightsShown, trace plan.Trace, from, to string) {
	a.Found, a.Explanations = trace.Reaches(), nil
	a.Forward, a.Return = shown.way(trace.Forward, from, to), shown.way(trace.Return, to, from)
	for _, b := range trace.Blocks {
		a.Explanations = append(a.Explanations, shown.explanation(b))
	}
}

// endsOfPath are where a path may end: its destination, or whoever has the private address, the source's VPC first, and the internet
// where nobody of the account has it in the region.
func endsOfPath(t tx, p *insightsPath, from end, address netip.Addr) ([]end, error) {
	if p.Destination != "" {
		to, err := endOf(t, p.Destination, p.DestinationIP)
		return []end{to}, err
	}
	list, err := interfaces.by(t, "private", address.String())
	if err != nil {
		return nil, err
	}
	var ends []end
	for _, e := range list {
		switch found := endOfInterface(e); {
		case e.ofGateway() || e.ID == from.eni:
		case e.VPC == from.vpc:
			ends = append([]end{found}, ends...)
		default:
			ends = append(ends, found)
		}
	}
	if len(ends) == 0 {
		ends = []end{{vpc: from.vpc}}
	}
	return ends, nil
}

func endOfInterface(e *networkInterface) end {
	found := end{vpc: e.VPC, eni: e.ID}
	if e.Attachment != nil {
		found.instance = e.Attachment.Instance
	}
	return found
}

// worldAround are the two VPCs, those that they are peered with and the transit gateways that they are attached to, as
// the network gets them.
func (s *Service) worldAround(t tx, ids ...string) (plan.World, error) {
	known := map[string]backend.WantedVPC{}
	plugs := map[string]plan.Plug{}
	var add func(id string, further bool) error
	add = func(id string, further bool) error {
		if _, had := known[id]; had || id == "" {
			return nil
		}
		place, err := knownNetworks.In(t, store.Scope{}).Find(id)
		if err != nil || place == nil {
			return err
		}
		there := t
		there.scope = store.Scope{Account: place.Account, Region: place.Region}
		v, err := vpcs.find(there, id)
		if err != nil || v == nil {
			return err
		}
		wanted, err := wantedNetwork(there, v, s.config.Domain)
		if err != nil {
			return err
		}
		known[id] = *wanted
		if err := notePlugs(there, id, plugs); err != nil {
			return err
		}
		for _, peering := range wanted.Peerings {
			if further {
				if err := add(peering.VPC, false); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, id := range ids {
		if err := add(id, true); err != nil {
			return plan.World{}, err
		}
	}
	var all []backend.WantedVPC
	transits := map[string]backend.WantedTransitGateway{}
	for _, v := range known {
		all = append(all, v)
		there := t
		there.scope = store.Scope{Account: v.Account, Region: v.Region}
		for _, attachment := range v.TransitAttachments {
			g, err := wantedTransit(there, attachment.Gateway)
			if err != nil {
				return plan.World{}, err
			}
			if g == nil {
				continue
			}
			transits[g.ID] = *g
			if err := addPeers(t, transits, *g); err != nil {
				return plan.World{}, err
			}
		}
	}
	slices.SortFunc(all, func(x, y backend.WantedVPC) int { return strings.Compare(x.ID, y.ID) })
	return plan.NewWorld(all, slices.Collect(maps.Values(transits)), plugs), nil
}

// addPeers adds the gateways to which ways lead from a gateway, and from those.
func addPeers(t tx, known map[string]backend.WantedTransitGateway, from backend.WantedTransitGateway) error {
	for _, link := range from.Attachments {
		if _, had := known[link.Peer]; had || link.Peer == "" {
			continue
		}
		place, err := knownNetworks.In(t, store.Scope{}).Find(link.Peer)
		if err != nil || place == nil {
			return err
		}
		there := t
		there.scope = store.Scope{Account: place.Account, Region: place.Region}
		g, err := wantedTransit(there, link.Peer)
		if err != nil || g == nil {
			return err
		}
		known[g.ID] = *g
		if err := addPeers(t, known, *g); err != nil {
			return err
		}
	}
	return nil
}

// notePlugs notes what interfaces are plugged into.
func notePlugs(t tx, vpcID string, plugs map[string]plan.Plug) error {
	list, err := interfaces.by(t, "vpc", vpcID)
	for _, e := range list {
		if e.Attachment == nil {
			continue
		}
		plugs[e.ID] = plan.Off
		runs := e.Attachment.Instance == ""
		if !runs {
			i, err := instances.find(t, e.Attachment.Instance)
			if err != nil {
				return err
			}
			runs = i != nil && i.State == stateRunning
		}
		if runs && e.Attachment.Status == types.AttachmentStatusAttached {
			plugs[e.ID] = plan.Running
		}
	}
	return err
}
