package ec2

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// region is one of AWS's. Zones are its letters, as an account sees them; ids count them.
type region struct {
	name, zoneID, zones string
	// long is the name that people read.
	long string
	// optIn is true for regions that accounts must switch on. Here they are on.
	optIn bool
}

// AWS: "AWS Regions and Availability Zones" and "Availability Zone IDs for your AWS resources".
var regions = []region{
	{name: "af-south-1", long: "Africa (Cape Town)", zoneID: "afs1", zones: "abc", optIn: true},
	{name: "ap-east-1", long: "Asia Pacific (Hong Kong)", zoneID: "ape1", zones: "abc", optIn: true},
	{name: "ap-northeast-1", long: "Asia Pacific (Tokyo)", zoneID: "apne1", zones: "acd"},
	{name: "ap-northeast-2", long: "Asia Pacific (Seoul)", zoneID: "apne2", zones: "abcd"},
	{name: "ap-northeast-3", long: "Asia Pacific (Osaka)", zoneID: "apne3", zones: "abc"},
	{name: "ap-south-1", long: "Asia Pacific (Mumbai)", zoneID: "aps1", zones: "abc"},
	{name: "ap-south-2", long: "Asia Pacific (Hyderabad)", zoneID: "aps2", zones: "abc", optIn: true},
	{name: "ap-southeast-1", long: "Asia Pacific (Singapore)", zoneID: "apse1", zones: "abc"},
	{name: "ap-southeast-2", long: "Asia Pacific (Sydney)", zoneID: "apse2", zones: "abc"},
	{name: "ap-southeast-3", long: "Asia Pacific (Jakarta)", zoneID: "apse3", zones: "abc", optIn: true},
	{name: "ap-southeast-4", long: "Asia Pacific (Melbourne)", zoneID: "apse4", zones: "abc", optIn: true},
	{name: "ca-central-1", long: "Canada (Central)", zoneID: "cac1", zones: "abd"},
	{name: "ca-west-1", long: "Canada West (Calgary)", zoneID: "caw1", zones: "abc", optIn: true},
	{name: "eu-central-1", long: "Europe (Frankfurt)", zoneID: "euc1", zones: "abc"},
	{name: "eu-central-2", long: "Europe (Zurich)", zoneID: "euc2", zones: "abc", optIn: true},
	{name: "eu-north-1", long: "Europe (Stockholm)", zoneID: "eun1", zones: "abc"},
	{name: "eu-south-1", long: "Europe (Milan)", zoneID: "eus1", zones: "abc", optIn: true},
	{name: "eu-south-2", long: "Europe (Spain)", zoneID: "eus2", zones: "abc", optIn: true},
	{name: "eu-west-1", long: "Europe (Ireland)", zoneID: "euw1", zones: "abc"},
	{name: "eu-west-2", long: "Europe (London)", zoneID: "euw2", zones: "abc"},
	{name: "eu-west-3", long: "Europe (Paris)", zoneID: "euw3", zones: "abc"},
	{name: "il-central-1", long: "Israel (Tel Aviv)", zoneID: "ilc1", zones: "abc", optIn: true},
	{name: "me-central-1", long: "Middle East (UAE)", zoneID: "mec1", zones: "abc", optIn: true},
	{name: "me-south-1", long: "Middle East (Bahrain)", zoneID: "mes1", zones: "abc", optIn: true},
	{name: "sa-east-1", long: "South America (Sao Paulo)", zoneID: "sae1", zones: "abc"},
	{name: "us-east-1", long: "US East (N. Virginia)", zoneID: "use1", zones: "abcdef"},
	{name: "us-east-2", long: "US East (Ohio)", zoneID: "use2", zones: "abc"},
	{name: "us-west-1", long: "US West (N. California)", zoneID: "usw1", zones: "ac"},
	{name: "us-west-2", long: "US West (Oregon)", zoneID: "usw2", zones: "abcd"},
}

// zone is an Availability Zone.
type zone struct {
	name, id string
	region   *region
}

func findRegion(name string) *region {
	if i := slices.IndexFunc(regions, func(r region) bool { return r.name == name }); i >= 0 {
		return &regions[i]
	}
	return nil
}

// zonesOf answers the zones of a region, in the order of their names.
func zonesOf(name string) ([]zone, error) {
	r := findRegion(name)
	if r == nil {
		return nil, errAuthFailureRegion(name)
	}
	list := make([]zone, 0, len(r.zones))
	for i, letter := range r.zones {
		list = append(list, zone{name: r.name + string(letter), id: r.zoneID + "-az" + string(rune('1'+i)), region: r})
	}
	return list, nil
}

// findZone answers the zone with this name or id in a region; the error is AWS's.
func findZone(regionName, nameOrID string) (zone, error) {
	list, err := zonesOf(regionName)
	if err != nil {
		return zone{}, err
	}
	for _, z := range list {
		if z.name == nameOrID || z.id == nameOrID {
			return z, nil
		}
	}
	return zone{}, errInvalidZone(nameOrID, list)
}

func zoneNames(list []zone) string {
	names := make([]string, len(list))
	for i, z := range list {
		names[i] = z.name
	}
	return strings.Join(names, ", ")
}

func (r *region) optInStatus() string {
	if r.optIn {
		return "opted-in"
	}
	return "opt-in-not-required"
}

func (r *region) endpoint() string { return "ec2." + r.name + ".amazonaws.com" }

var regionFilters = filters[region]{
	"endpoint":      func(_ tx, r *region) []string { return []string{r.endpoint()} },
	"opt-in-status": func(_ tx, r *region) []string { return []string{r.optInStatus()} },
	"region-name":   func(_ tx, r *region) []string { return []string{r.name} },
}

// DescribeRegions lists AWS's regions. All of them work here, those that AWS has accounts opt in to as well.
func (s *Service) DescribeRegions(_ context.Context, in *ec2.DescribeRegionsInput) (*ec2.DescribeRegionsOutput, error) {
	match, err := regionFilters.compile(func(*region) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	for _, name := range in.RegionNames {
		if findRegion(name) == nil {
			return nil, errInvalidParameterValue("Invalid region provided: [%s]", name)
		}
	}
	out := &ec2.DescribeRegionsOutput{Regions: []types.Region{}}
	for i := range regions {
		r := &regions[i]
		if len(in.RegionNames) > 0 && !slices.Contains(in.RegionNames, r.name) || !match.matches(tx{}, r) {
			continue
		}
		out.Regions = append(out.Regions, types.Region{
			RegionName: aws.String(r.name), Endpoint: aws.String(r.endpoint()), OptInStatus: aws.String(r.optInStatus()),
		})
	}
	return out, nil
}

var zoneFilters = filters[zone]{
	"group-name":       func(_ tx, z *zone) []string { return []string{z.region.name + "-zg-1"} },
	"group-long-name":  func(_ tx, z *zone) []string { return []string{z.region.long + " 1"} },
	"message":          func(tx, *zone) []string { return nil },
	"opt-in-status":    func(tx, *zone) []string { return []string{"opt-in-not-required"} },
	"parent-zone-id":   func(tx, *zone) []string { return nil },
	"parent-zone-name": func(tx, *zone) []string { return nil },
	"region-name":      func(_ tx, z *zone) []string { return []string{z.region.name} },
	"state":            func(tx, *zone) []string { return []string{"available"} },
	"zone-id":          func(_ tx, z *zone) []string { return []string{z.id} },
	"zone-name":        func(_ tx, z *zone) []string { return []string{z.name} },
	"zone-type":        func(tx, *zone) []string { return []string{"availability-zone"} },
}

// DescribeAvailabilityZones lists the zones of the request's region.
func (s *Service) DescribeAvailabilityZones(ctx context.Context, in *ec2.DescribeAvailabilityZonesInput) (*ec2.DescribeAvailabilityZonesOutput, error) {
	match, err := zoneFilters.compile(func(*zone) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	name := scopeOf(ctx).Region
	list, err := zonesOf(name)
	if err != nil {
		return nil, err
	}
	for _, wanted := range append(slices.Clone(in.ZoneNames), in.ZoneIds...) {
		if _, err := findZone(name, wanted); err != nil {
			return nil, errInvalidParameterValue("Invalid availability zone: [%s]", wanted)
		}
	}
	out := &ec2.DescribeAvailabilityZonesOutput{AvailabilityZones: []types.AvailabilityZone{}}
	for i := range list {
		z := &list[i]
		if len(in.ZoneNames) > 0 && !slices.Contains(in.ZoneNames, z.name) ||
			len(in.ZoneIds) > 0 && !slices.Contains(in.ZoneIds, z.id) || !match.matches(tx{}, z) {
			continue
		}
		out.AvailabilityZones = append(out.AvailabilityZones, types.AvailabilityZone{
			ZoneName: aws.String(z.name), ZoneId: aws.String(z.id), RegionName: aws.String(name),
			State: types.AvailabilityZoneStateAvailable, ZoneType: aws.String("availability-zone"),
			OptInStatus: types.AvailabilityZoneOptInStatusOptInNotRequired,
			GroupName:   aws.String(name + "-zg-1"), GroupLongName: aws.String(z.region.long + " 1"), NetworkBorderGroup: aws.String(name), Messages: []types.AvailabilityZoneMessage{},
		})
	}
	return out, nil
}

// zoneID is the id of a zone of the transaction's region, "" for none.
func zoneID(t tx, name string) string {
	letter, ok := strings.CutPrefix(name, t.scope.Region)
	r := findRegion(t.scope.Region)
	if !ok || r == nil || len(letter) != 1 {
		return ""
	}
	if i := strings.Index(r.zones, letter); i >= 0 {
		return r.zoneID + "-az" + string(rune('1'+i))
	}
	return ""
}
