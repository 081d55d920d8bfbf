package ec2

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// dhcpOptions tell instances of a VPC which resolver and domain to use.
type dhcpOptions struct {
	resource
	// Values by name, such as "domain-name-servers". Order of values counts.
	Values map[string][]string
	// Default options came with the account.
	Default bool `json:",omitempty"`
}

func dhcpOptionsBase(d *dhcpOptions) *resource { return &d.resource }

var dhcpOptionSets = &kind[dhcpOptions]{
	prefix: "dopt-", typ: types.ResourceTypeDhcpOptions, base: dhcpOptionsBase,
	notFound: errDHCPOptionsNotFound, malformed: errDHCPOptionsMalformed,
	table: tableOf("dhcp-options", dhcpOptionsBase, nil),
	filters: filters[dhcpOptions]{
		"dhcp-options-id": func(_ tx, d *dhcpOptions) []string { return one(d.ID) },
		"key":             func(_ tx, d *dhcpOptions) []string { return slices.Collect(maps.Keys(d.Values)) },
		"owner-id":        func(t tx, _ *dhcpOptions) []string { return one(t.scope.Account) },
		"value": func(_ tx, d *dhcpOptions) []string {
			return slices.Concat(slices.Collect(maps.Values(d.Values))...)
		},
	},
}

// amazonProvidedDNS is the value that stands for the VPC's own resolver.
const amazonProvidedDNS = "AmazonProvidedDNS"

// internalDomain is that of instances' private names in a region.
// AWS: "DHCP option sets in Amazon VPC".
func internalDomain(region string) string {
	if region == "us-east-1" {
		return "ec2.internal"
	}
	return region + ".compute.internal"
}

// defaultDHCPOptions answers the id of the account's own options, made when first needed.
func defaultDHCPOptions(t tx) (string, error) {
	list, err := dhcpOptionSets.all(t)
	if err != nil {
		return "", err
	}
	for _, d := range list {
		if d.Default {
			return d.ID, nil
		}
	}
	made := &dhcpOptions{resource: resource{ID: t.NewID("dopt-")}, Default: true, Values: map[string][]string{
		"domain-name": {internalDomain(t.scope.Region)}, "domain-name-servers": {amazonProvidedDNS},
	}}
	return made.ID, dhcpOptionSets.insert(t, made)
}

// AWS: "DHCP option sets in Amazon VPC": supported options, and four servers of each sort at most.
var dhcpOptionNames = []string{"domain-name", "domain-name-servers", "ipv6-address-preferred-lease-time", "netbios-name-servers", "netbios-node-type", "ntp-servers"}

const maxDHCPServers = 4

// CreateDhcpOptions makes a set of options.
func (s *Service) CreateDhcpOptions(ctx context.Context, in *ec2.CreateDhcpOptionsInput) (*ec2.CreateDhcpOptionsOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeDhcpOptions)
	if err != nil {
		return nil, err
	}
	values := map[string][]string{}
	for _, c := range in.DhcpConfigurations {
		name := aws.ToString(c.Key)
		if !slices.Contains(dhcpOptionNames, name) {
			return nil, errInvalidParameterValue("Value (%s) for parameter name is invalid. Unknown DHCP option", name)
		}
		if len(c.Values) == 0 {
			return nil, errInvalidParameterValue("Value for DHCP option %s is missing", name)
		}
		list := c.Values
		if strings.HasSuffix(name, "-servers") && len(list) == 1 {
			list = strings.Split(strings.ReplaceAll(list[0], " ", ""), ",")
		}
		if strings.HasSuffix(name, "-servers") {
			if len(list) > maxDHCPServers {
				return nil, errInvalidParameterValue("Value (%s) for parameter %s is invalid. At most %d servers are allowed.", strings.Join(list, ","), name, maxDHCPServers)
			}
			for _, server := range list {
				if _, err := netip.ParseAddr(server); err != nil && server != amazonProvidedDNS {
					return nil, errInvalidParameterValue("Value (%s) for parameter value is invalid. Invalid IPv4 or IPv6 address", server)
				}
			}
		}
		if name == "netbios-node-type" && !slices.Contains([]string{"1", "2", "4", "8"}, list[0]) {
			return nil, errInvalidParameterValue("Value (%s) for parameter value is invalid. Invalid netbios-node-type", list[0])
		}
		values[name] = list
	}
	if len(values) == 0 {
		return nil, errMissingParameter("dhcpConfiguration")
	}
	out := &ec2.CreateDhcpOptionsOutput{}
	return out, s.update(ctx, func(t tx) error {
		d := &dhcpOptions{resource: resource{ID: t.NewID("dopt-"), Tags: tags}, Values: values}
		shown := dhcpOptionsToAPI(t, d)
		out.DhcpOptions = &shown
		return dhcpOptionSets.insert(t, d)
	})
}

// DescribeDhcpOptions lists sets of options.
func (s *Service) DescribeDhcpOptions(ctx context.Context, in *ec2.DescribeDhcpOptionsInput) (*ec2.DescribeDhcpOptionsOutput, error) {
	list, next, err := describe(ctx, s, dhcpOptionSets, query{in.DhcpOptionsIds, "dhcpOptionsIds", in.Filters, in.MaxResults, in.NextToken},
		func(t tx, d *dhcpOptions) (types.DhcpOptions, error) { return dhcpOptionsToAPI(t, d), nil })
	return &ec2.DescribeDhcpOptionsOutput{DhcpOptions: list, NextToken: next}, err
}

// AssociateDhcpOptions gives a VPC another set; "default" is none. Instances that are launched from then on see it.
func (s *Service) AssociateDhcpOptions(ctx context.Context, in *ec2.AssociateDhcpOptionsInput) (*ec2.AssociateDhcpOptionsOutput, error) {
	id := aws.ToString(in.DhcpOptionsId)
	return &ec2.AssociateDhcpOptionsOutput{}, s.update(ctx, func(t tx) error {
		if id != "default" {
			if _, err := dhcpOptionSets.get(t, id); err != nil {
				return err
			}
		}
		return vpcs.changeNetwork(t, aws.ToString(in.VpcId), func(v *vpc) error {
			v.DHCPOptions = id
			return nil
		})
	})
}

// DeleteDhcpOptions removes a set that no VPC uses.
func (s *Service) DeleteDhcpOptions(ctx context.Context, in *ec2.DeleteDhcpOptionsInput) (*ec2.DeleteDhcpOptionsOutput, error) {
	id := aws.ToString(in.DhcpOptionsId)
	return &ec2.DeleteDhcpOptionsOutput{}, s.update(ctx, func(t tx) error {
		if _, err := dhcpOptionSets.get(t, id); err != nil {
			return err
		}
		used, err := vpcs.any(t, "dhcp-options", id)
		if err != nil {
			return err
		}
		if used {
			return errDependencyViolation("The dhcpOptions '%s' has dependencies and cannot be deleted.", id)
		}
		return dhcpOptionSets.delete(t, id)
	})
}

func dhcpOptionsToAPI(t tx, d *dhcpOptions) types.DhcpOptions {
	shown := types.DhcpOptions{DhcpOptionsId: aws.String(d.ID), OwnerId: aws.String(t.scope.Account), Tags: tagSet(t, d.Tags)}
	for _, name := range slices.Sorted(maps.Keys(d.Values)) {
		c := types.DhcpConfiguration{Key: aws.String(name)}
		for _, value := range d.Values[name] {
			c.Values = append(c.Values, types.AttributeValue{Value: aws.String(value)})
		}
		shown.DhcpConfigurations = append(shown.DhcpConfigurations, c)
	}
	return shown
}

// resolvers are the servers that instances of the VPC ask for names, and the domains in which they look for short ones. They are
// read when an instance is launched.
// AWS: "Understanding Amazon DNS": Amazon's is at the base of the VPC's range plus two; "DHCP option sets in Amazon VPC": several
// domains are written with spaces between.
func (v *vpc) resolvers(t tx) (servers []netip.Addr, search []string, err error) {
	amazon := v.ranges()[0].Masked().Addr().Next().Next()
	options, err := dhcpOptionSets.find(t, v.DHCPOptions)
	if err != nil {
		return nil, nil, err
	}
	if options == nil { // none are associated
		return []netip.Addr{amazon}, []string{internalDomain(t.scope.Region)}, nil
	}
	for _, text := range options.Values["domain-name-servers"] {
		if text == amazonProvidedDNS {
			servers = append(servers, amazon)
		} else if address, err := netip.ParseAddr(text); err == nil {
			servers = append(servers, address)
		}
	}
	if len(servers) == 0 {
		servers = []netip.Addr{amazon}
	}
	for _, text := range options.Values["domain-name"] {
		search = append(search, strings.Fields(text)...)
	}
	if len(search) == 0 {
		search = []string{"."} // none, where the engine would take the host's
	}
	return servers, search, nil
}
