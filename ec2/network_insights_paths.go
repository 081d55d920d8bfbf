package ec2

import (
	"context"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// insightsPath is a question of the Reachability Analyzer.
type insightsPath struct {
	resource
	Source, Destination     string // ids
	SourceIP, DestinationIP string `json:",omitempty"`
	Protocol                types.Protocol
	Port                    int32             `json:",omitempty"` // 0 is any
	AtSource, AtDestination *types.PathFilter `json:",omitempty"`
	Created                 time.Time
}

// namesAddress tells whether the path has an address at which it ends.
func (p *insightsPath) namesAddress() bool {
	for _, f := range []*types.PathFilter{p.AtSource, p.AtDestination} {
		if f != nil && f.DestinationAddress != nil {
			return true
		}
	}
	return p.DestinationIP != ""
}

func insightsPathBase(p *insightsPath) *resource { return &p.resource }

var insightsPaths = &kind[insightsPath]{
	prefix: "nip-", typ: types.ResourceTypeNetworkInsightsPath, base: insightsPathBase, notFound: errInsightsPathNotFound,
	table: tableOf("network-insights-paths", insightsPathBase, nil),
	pages: pageBounds{1, 100},
	filters: filters[insightsPath]{
		"destination": func(_ tx, p *insightsPath) []string { return one(p.Destination) },
		"filter-at-source.source-address": func(_ tx, p *insightsPath) []string {
			return filtered(p.AtSource, func(f *types.PathFilter) *string { return f.SourceAddress })
		},
		"filter-at-source.destination-address": func(_ tx, p *insightsPath) []string {
			return filtered(p.AtSource, func(f *types.PathFilter) *string { return f.DestinationAddress })
		},
		"filter-at-destination.source-address": func(_ tx, p *insightsPath) []string {
			return filtered(p.AtDestination, func(f *types.PathFilter) *string { return f.SourceAddress })
		},
		"filter-at-destination.destination-address": func(_ tx, p *insightsPath) []string {
			return filtered(p.AtDestination, func(f *types.PathFilter) *string { return f.DestinationAddress })
		},
		"protocol": func(_ tx, p *insightsPath) []string { return one(string(p.Protocol)) },
		"source":   func(_ tx, p *insightsPath) []string { return one(p.Source) },
	},
}

func filtered(f *types.PathFilter, field func(*types.PathFilter) *string) []string {
	if f == nil {
		return nil
	}
	return strs(field(f))
}

// errInsightsPathNotFound and the next ones are the Reachability Analyzer's.
// AWS: "Error codes for the Amazon EC2 API".
func errInsightsPathNotFound(id string) error {
	return awsapi.Errorf("InvalidNetworkInsightsPathId.NotFound", "The network insights path '%s' does not exist", id)
}

func errInsightsAnalysisNotFound(id string) error {
	return awsapi.Errorf("InvalidNetworkInsightsAnalysisId.NotFound", "The network insights analysis '%s' does not exist", id)
}

func errAnalysisExists(path string) error {
	return awsapi.Errorf("AnalysisExistsForNetworkInsightsPath", "Analysis exists for network insights path %s. Delete all analyses before deleting the path.", path)
}

// endOfPath is the id in an id or an ARN; the error is for what no analysis begins or ends at here.
func endOfPath(text string) (string, error) {
	id := text[strings.LastIndex(text, "/")+1:]
	for _, prefix := range []string{"i-", "eni-", "igw-"} {
		if strings.HasPrefix(id, prefix) {
			return id, nil
		}
	}
	return "", errNotImplemented("A path from or to " + text)
}

// existsEnd answers an error where an end of a path is not there.
func existsEnd(t tx, id string) (err error) {
	switch {
	case strings.HasPrefix(id, "i-"):
		_, err = instances.get(t, id)
	case strings.HasPrefix(id, "eni-"):
		_, err = interfaces.get(t, id)
	default:
		_, err = internetGateways.get(t, id)
	}
	return err
}

// CreateNetworkInsightsPath notes a question: who is to reach whom.
func (s *Service) CreateNetworkInsightsPath(ctx context.Context, in *ec2.CreateNetworkInsightsPathInput) (*ec2.CreateNetworkInsightsPathOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeNetworkInsightsPath)
	if err != nil {
		return nil, err
	}
	p := &insightsPath{resource: resource{Tags: tags}, SourceIP: aws.ToString(in.SourceIp), DestinationIP: aws.ToString(in.DestinationIp), Protocol: in.Protocol, Port: aws.ToInt32(in.DestinationPort)}
	if p.Source, err = endOfPath(aws.ToString(in.Source)); err != nil {
		return nil, err
	}
	if in.Destination != nil {
		if p.Destination, err = endOfPath(*in.Destination); err != nil {
			return nil, err
		}
	}
	if p.AtSource, err = pathFilterOf(in.FilterAtSource); err != nil {
		return nil, err
	}
	if p.AtDestination, err = pathFilterOf(in.FilterAtDestination); err != nil {
		return nil, err
	}
	switch filters := p.AtSource != nil || p.AtDestination != nil; {
	case p.Destination == "" && !p.namesAddress():
		return nil, errMissingParameter("destination")
	case p.Source == p.Destination:
		return nil, errInvalidParameterValue("The source and the destination of a path cannot be the same: %s", p.Source)
	case filters && (p.SourceIP != "" || p.DestinationIP != "" || p.Port != 0):
		return nil, errInvalidParameterCombination("Filters cannot be used together with SourceIp, DestinationIp or DestinationPort.")
	}
	for _, address := range []string{p.SourceIP, p.DestinationIP} {
		if address != "" {
			if _, err := netip.ParseAddr(address); err != nil {
				return nil, errInvalidParameterValue("%s is not an IP address", address)
			}
		}
	}
	out := &ec2.CreateNetworkInsightsPathOutput{}
	return out, s.update(ctx, func(t tx) error {
		made, err := insightsPaths.makeOnce(t, "CreateNetworkInsightsPath", in.ClientToken, in, func() (string, error) {
			for _, end := range append([]string{p.Source}, one(p.Destination)...) {
				if err := existsEnd(t, end); err != nil {
					return "", err
				}
			}
			made := *p
			made.ID, made.Created = t.NewID("nip-"), t.Now().UTC().Truncate(time.Millisecond)
			return made.ID, insightsPaths.insert(t, &made)
		})
		if err != nil {
			return err
		}
		shown, err := insightsPathToAPI(t, made)
		out.NetworkInsightsPath = &shown
		return err
	})
}

func pathFilterOf(in *types.PathRequestFilter) (*types.PathFilter, error) {
	if in == nil {
		return nil, nil
	}
	f := &types.PathFilter{SourceAddress: in.SourceAddress, DestinationAddress: in.DestinationAddress}
	for _, address := range strs(in.SourceAddress, in.DestinationAddress) {
		if _, err := netip.ParseAddr(address); err != nil {
			return nil, errInvalidParameterValue("%s is not an IP address", address)
		}
	}
	for to, from := range map[**types.FilterPortRange]*types.RequestFilterPortRange{&f.SourcePortRange: in.SourcePortRange, &f.DestinationPortRange: in.DestinationPortRange} {
		if from == nil {
			continue
		}
		if first, last := aws.ToInt32(from.FromPort), aws.ToInt32(from.ToPort); first < 0 || last > 65535 || first > last {
			return nil, errInvalidParameterValue("Invalid port range %d-%d", first, last)
		}
		*to = &types.FilterPortRange{FromPort: from.FromPort, ToPort: from.ToPort}
	}
	return f, nil
}

// DeleteNetworkInsightsPath forgets a question that has no answers.
func (s *Service) DeleteNetworkInsightsPath(ctx context.Context, in *ec2.DeleteNetworkInsightsPathInput) (*ec2.DeleteNetworkInsightsPathOutput, error) {
	return &ec2.DeleteNetworkInsightsPathOutput{NetworkInsightsPathId: in.NetworkInsightsPathId}, s.update(ctx, func(t tx) error {
		p, err := insightsPaths.get(t, aws.ToString(in.NetworkInsightsPathId))
		if err != nil {
			return err
		}
		if answered, err := insightsAnalyses.any(t, "path", p.ID); err != nil {
			return err
		} else if answered {
			return errAnalysisExists(p.ID)
		}
		return insightsPaths.delete(t, p.ID)
	})
}

// DescribeNetworkInsightsPaths lists questions.
func (s *Service) DescribeNetworkInsightsPaths(ctx context.Context, in *ec2.DescribeNetworkInsightsPathsInput) (*ec2.DescribeNetworkInsightsPathsOutput, error) {
	list, next, err := describe(ctx, s, insightsPaths, query{in.NetworkInsightsPathIds, "networkInsightsPathIds", in.Filters, in.MaxResults, in.NextToken}, insightsPathToAPI)
	return &ec2.DescribeNetworkInsightsPathsOutput{NetworkInsightsPaths: list, NextToken: next}, err
}

func insightsPathToAPI(t tx, p *insightsPath) (types.NetworkInsightsPath, error) {
	shown := types.NetworkInsightsPath{
		NetworkInsightsPathId: aws.String(p.ID), NetworkInsightsPathArn: aws.String(arn(t.scope, types.ResourceTypeNetworkInsightsPath, p.ID)), CreatedDate: aws.Time(p.Created),
		Source: aws.String(p.Source), SourceArn: aws.String(endARN(t, p.Source)), Protocol: p.Protocol, FilterAtSource: p.AtSource, FilterAtDestination: p.AtDestination, Tags: tagsToAPI(t, p.Tags),
	}
	if p.Destination != "" {
		shown.Destination, shown.DestinationArn = aws.String(p.Destination), aws.String(endARN(t, p.Destination))
	}
	for to, from := range map[**string]string{&shown.SourceIp: p.SourceIP, &shown.DestinationIp: p.DestinationIP} {
		if from != "" {
			*to = aws.String(from)
		}
	}
	if p.Port != 0 {
		// AWS: the provider's TestAccVPCNetworkInsightsPathDataSource_basic has the port in both.
		shown.DestinationPort = aws.Int32(p.Port)
		shown.FilterAtSource = &types.PathFilter{DestinationPortRange: &types.FilterPortRange{FromPort: aws.Int32(p.Port), ToPort: aws.Int32(p.Port)}}
	}
	return shown, nil
}

// componentTypes are what ids of components are called in ARNs, by their prefix.
var componentTypes = map[string]types.ResourceType{
	"i": types.ResourceTypeInstance, "eni": types.ResourceTypeNetworkInterface, "igw": types.ResourceTypeInternetGateway, "sg": types.ResourceTypeSecurityGroup,
	"acl": types.ResourceTypeNetworkAcl, "rtb": types.ResourceTypeRouteTable, "nat": types.ResourceTypeNatgateway, "pcx": types.ResourceTypeVpcPeeringConnection,
	"subnet": types.ResourceTypeSubnet, "vpc": types.ResourceTypeVpc, "tgw": types.ResourceTypeTransitGateway,
	"tgw-attach": types.ResourceTypeTransitGatewayAttachment, "tgw-rtb": types.ResourceTypeTransitGatewayRouteTable,
}

// componentType is what an id's prefix says: all before the last dash.
func componentType(id string) (types.ResourceType, bool) {
	typ, known := componentTypes[id[:max(strings.LastIndex(id, "-"), 0)]]
	return typ, known
}

func endARN(t tx, id string) string {
	typ, _ := componentType(id)
	return arn(t.scope, typ, id)
}

func (s *Service) registerInsights(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.CreateNetworkInsightsPath, makes(s, "CreateNetworkInsightsPath", types.ResourceTypeNetworkInsightsPath, func(in *ec2.CreateNetworkInsightsPathInput) []string {
			return slices.DeleteFunc([]string{idOf(in.Source), idOf(in.Destination)}, func(id string) bool { return s.kindOf(id) == nil })
		})),
		awsapi.Op(s.DescribeNetworkInsightsPaths, inRegion[ec2.DescribeNetworkInsightsPathsInput]("DescribeNetworkInsightsPaths")),
		awsapi.Op(s.DeleteNetworkInsightsPath, on(s, "DeleteNetworkInsightsPath", func(in *ec2.DeleteNetworkInsightsPathInput) []string { return strs(in.NetworkInsightsPathId) })),
		awsapi.Op(s.StartNetworkInsightsAnalysis, makes(s, "StartNetworkInsightsAnalysis", types.ResourceTypeNetworkInsightsAnalysis, func(in *ec2.StartNetworkInsightsAnalysisInput) []string {
			return strs(in.NetworkInsightsPathId)
		})),
		awsapi.Op(s.DescribeNetworkInsightsAnalyses, inRegion[ec2.DescribeNetworkInsightsAnalysesInput]("DescribeNetworkInsightsAnalyses")),
		awsapi.Op(s.DeleteNetworkInsightsAnalysis, on(s, "DeleteNetworkInsightsAnalysis", func(in *ec2.DeleteNetworkInsightsAnalysisInput) []string { return strs(in.NetworkInsightsAnalysisId) })),
	)
}

// idOf is the id at the end of an ARN, or the text itself.
func idOf(text *string) string {
	return aws.ToString(text)[strings.LastIndex(aws.ToString(text), "/")+1:]
}

// portOf is a filter's port: the only one of its range, or its first; 0 for none.
func portOf(r *types.FilterPortRange) int {
	if r == nil {
		return 0
	}
	return int(aws.ToInt32(r.FromPort))
}

func addressIn(text string) netip.Addr {
	address, _ := netip.ParseAddr(text) // checked when the path was made; "" is any
	return address
}

func portText(from, to int) *types.PortRange {
	return &types.PortRange{From: aws.Int32(int32(from)), To: aws.Int32(int32(to))}
}

func protocolText(number int) string {
	switch number {
	case -1:
		return "all"
	case 6:
		return "tcp"
	case 17:
		return "udp"
	case 1:
		return "icmp"
	}
	return strconv.Itoa(number)
}
