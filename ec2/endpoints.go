package ec2

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// endpoint is a VPC endpoint: a way from a VPC to AWS's API that needs no way to the internet.
//
//	pending ──confirmed──▶ available ──delete──▶ deleting ──removed──▶ gone
type endpoint struct {
	resource
	VPC, Service string
	Type         types.VpcEndpointType
	State        types.State
	Policy       string
	Created      time.Time
	// Tables are a gateway endpoint's.
	Tables []string `json:",omitempty"`
	// Subnets, Interfaces (in the same order) and Groups are an interface endpoint's.
	Subnets    []string `json:",omitempty"`
	Interfaces []string `json:",omitempty"`
	Groups     []string `json:",omitempty"`
	PrivateDNS bool     `json:",omitempty"`
}

func (e *endpoint) vpc() string { return e.VPC }

// state is as AWS answers it: in lower case, unlike the SDK's list.
func (e *endpoint) state() types.State { return types.State(strings.ToLower(string(e.State))) }

// short is the service's own part of its name, such as s3.
func (e *endpoint) short() string { return e.Service[strings.LastIndex(e.Service, ".")+1:] }

func endpointBase(e *endpoint) *resource { return &e.resource }

var endpoints = &kind[endpoint]{
	prefix: "vpce-", typ: types.ResourceTypeVpcEndpoint, base: endpointBase, notFound: errEndpointNotFound, malformed: errEndpointMalformed,
	table: tableOf("endpoints", endpointBase, map[string]func(*endpoint) []string{
		"vpc": func(e *endpoint) []string { return one(e.VPC) },
	}),
	narrow: map[string]string{"vpc-id": "vpc"},
	filters: filters[endpoint]{
		"ip-address-type":    func(tx, *endpoint) []string { return one("ipv4") },
		"service-region":     func(t tx, _ *endpoint) []string { return one(t.scope.Region) },
		"service-name":       func(_ tx, e *endpoint) []string { return one(e.Service) },
		"vpc-endpoint-id":    func(_ tx, e *endpoint) []string { return one(e.ID) },
		"vpc-endpoint-state": func(_ tx, e *endpoint) []string { return one(string(e.state())) },
		"vpc-endpoint-type":  func(_ tx, e *endpoint) []string { return one(string(e.Type)) },
		"vpc-id":             func(_ tx, e *endpoint) []string { return one(e.VPC) },
	},
}

// gatewayServices have gateway endpoints, and AWS's prefix lists.
var gatewayServices = []string{"dynamodb", "s3"}

// interfaceServices have interface endpoints. AWS: "AWS services that integrate with AWS PrivateLink"; here are those of
// which something is served.
var interfaceServices = []string{
	"autoscaling", "cloudformation", "cloudtrail", "ec2", "ec2messages", "elasticache", "elasticloadbalancing", "events", "kms", "logs", "monitoring",
	"rds", "s3", "secretsmanager", "sns", "sqs", "ssm", "ssmmessages", "sts",
}

// openPolicy is the policy of endpoints that were given none.
const openPolicy = `{"Version":"2008-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*"}]}`

// CreateVpcEndpoint makes an endpoint of a service.
func (s *Service) CreateVpcEndpoint(ctx context.Context, in *ec2.CreateVpcEndpointInput) (*ec2.CreateVpcEndpointOutput, error) {
	if err := unsupported("CreateVpcEndpoint", "ResourceConfigurationArn", in.ResourceConfigurationArn, "ServiceNetworkArn", in.ServiceNetworkArn,
		"SubnetConfigurations", in.SubnetConfigurations, "DnsOptions", in.DnsOptions, "ServiceRegion", in.ServiceRegion); err != nil {
		return nil, err
	}
	if in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4 {
		return nil, errNotImplemented("The address type " + string(in.IpAddressType))
	}
	if in.ServiceName == nil {
		return nil, errMissingParameter("ServiceName")
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeVpcEndpoint)
	if err != nil {
		return nil, err
	}
	e := &endpoint{resource: resource{Tags: tags}, Service: *in.ServiceName, Type: in.VpcEndpointType, State: types.StatePending, Policy: openPolicy}
	if e.Type == "" {
		e.Type = types.VpcEndpointTypeGateway
	}
	if aws.ToString(in.PolicyDocument) != "" {
		if e.Policy, err = s.checkPolicy(*in.PolicyDocument); err != nil {
			return nil, err
		}
	}
	if err := checkEndpointService(e.Service, e.Type, scopeOf(ctx).Region); err != nil {
		return nil, err
	}
	switch {
	case e.Type == types.VpcEndpointTypeGateway && (len(in.SubnetIds) > 0 || len(in.SecurityGroupIds) > 0 || aws.ToBool(in.PrivateDnsEnabled)):
		return nil, errInvalidParameterCombination("Subnets, security groups and private DNS are not for endpoints of the type Gateway.")
	case e.Type == types.VpcEndpointTypeInterface && len(in.RouteTableIds) > 0:
		return nil, errInvalidParameterCombination("Route tables are not for endpoints of the type Interface.")
	}
	out := &ec2.CreateVpcEndpointOutput{ClientToken: in.ClientToken}
	return out, s.update(ctx, func(t tx) error {
		made, err := endpoints.makeOnce(t, "CreateVpcEndpoint", in.ClientToken, in, func() (string, error) {
			v, err := vpcs.get(t, aws.ToString(in.VpcId))
			if err != nil {
				return "", err
			}
			made := *e
			made.ID, made.VPC, made.Created = t.NewID("vpce-"), v.ID, t.Now().UTC().Truncate(time.Second)
			if made.Type == types.VpcEndpointTypeInterface {
				made.PrivateDNS = in.PrivateDnsEnabled == nil && made.short() != "s3" || aws.ToBool(in.PrivateDnsEnabled)
				if made.PrivateDNS && (!v.DNSSupport || !v.DNSNames) {
					return "", errInvalidParameterValue("Enabling private DNS requires both enableDnsSupport and enableDnsHostnames VPC attributes set to true for %s", v.ID)
				}
				if made.Groups = in.SecurityGroupIds; len(made.Groups) == 0 {
					g, err := defaultSecurityGroup(t, v.ID)
					if err != nil {
						return "", err
					}
					made.Groups = []string{g.ID}
				}
				if err := checkGroups(t, v.ID, made.Groups); err != nil {
					return "", err
				}
			}
			if err := made.changeTables(t, in.RouteTableIds, nil); err != nil {
				return "", err
			}
			if err := made.changeSubnets(t, in.SubnetIds, nil); err != nil {
				return "", err
			}
			if err := endpoints.insert(t, &made); err != nil {
				return "", err
			}
			return made.ID, wantNetwork(t, v.ID)
		})
		if err != nil {
			return err
		}
		shown, err := endpointToAPI(t, made)
		out.VpcEndpoint = &shown
		return err
	})
}

func (s *Service) checkPolicy(document string) (string, error) {
	if !json.Valid([]byte(document)) {
		return "", errInvalidPolicyDocument("The Policy is not a valid JSON document.")
	}
	if s.config.CheckPolicy != nil {
		if err := s.config.CheckPolicy(document); err != nil {
			return "", errInvalidPolicyDocument(err.Error())
		}
	}
	return document, nil
}

func checkEndpointService(name string, typ types.VpcEndpointType, region string) error {
	short, ok := strings.CutPrefix(name, "com.amazonaws."+region+".")
	known := interfaceServices
	switch typ {
	case types.VpcEndpointTypeGateway:
		known = gatewayServices
	case types.VpcEndpointTypeInterface:
	default:
		return errNotImplemented("An endpoint of the type " + string(typ))
	}
	if !ok || !slices.Contains(known, short) {
		return errInvalidServiceName(name)
	}
	return nil
}

// changeTables puts a gateway endpoint's route into tables, and takes it from others.
func (e *endpoint) changeTables(t tx, add, remove []string) error {
	if e.Type != types.VpcEndpointTypeGateway {
		if len(add)+len(remove) > 0 {
			return errInvalidParameterCombination("Route tables are not for endpoints of the type %s.", e.Type)
		}
		return nil
	}
	list, err := prefixLists.in(t).Index("name").Get(e.Service)
	if err != nil {
		return err
	}
	for _, id := range add {
		if slices.Contains(e.Tables, id) {
			continue
		}
		err := routeTables.edit(t, id, func(r *routeTable) error {
			if r.VPC != e.VPC {
				return errInvalidParameterValue("Route table %s and VPC endpoint %s belong to different networks", r.ID, e.ID)
			}
			if r.find(list.ID) >= 0 {
				return errRouteAlreadyExistsPrefixList(r.ID, list.ID)
			}
			r.Routes = append(r.Routes, route{list.ID, e.ID, types.RouteOriginCreateRoute})
			return nil
		})
		if err != nil {
			return err
		}
		e.Tables = append(e.Tables, id)
	}
	for _, id := range remove {
		i := slices.Index(e.Tables, id)
		if i < 0 {
			return errRouteTableNotFound(id)
		}
		err := routeTables.edit(t, id, func(r *routeTable) error {
			r.Routes = slices.DeleteFunc(r.Routes, func(x route) bool { return x.Target == e.ID })
			return nil
		})
		if err != nil {
			return err
		}
		e.Tables = slices.Delete(e.Tables, i, i+1)
	}
	return nil
}

// changeSubnets makes an interface endpoint's interfaces in subnets, and removes them from others.
func (e *endpoint) changeSubnets(t tx, add, remove []string) error {
	for _, id := range add {
		n, err := subnets.get(t, id)
		if err != nil {
			return err
		}
		if n.VPC != e.VPC {
			return errInvalidParameterValue("Subnet %s and VPC endpoint %s belong to different networks", n.ID, e.ID)
		}
		for _, other := range e.Subnets {
			theirs, err := subnets.get(t, other)
			if err != nil {
				return err
			}
			if theirs.Zone == n.Zone {
				return errDuplicateSubnetsInSameZone()
			}
		}
		made, err := createInterface(t, interfaceSpec{
			subnet: id, description: "VPC Endpoint Interface " + e.ID, groups: e.Groups, typ: types.NetworkInterfaceTypeVpcEndpoint, requester: "amazon-vpce",
		})
		if err != nil {
			return err
		}
		made.Attachment = &attachment{
			ID: t.NewID("ela-attach-"), Owner: "amazon-aws", DeviceIndex: 1, Status: types.AttachmentStatusAttached, AttachTime: t.Now().UTC().Truncate(time.Second),
		}
		if err := interfaces.put(t, made); err != nil {
			return err
		}
		e.Subnets, e.Interfaces = append(e.Subnets, id), append(e.Interfaces, made.ID)
	}
	for _, id := range remove {
		i := slices.Index(e.Subnets, id)
		if i < 0 {
			return errSubnetNotFound(id)
		}
		if err := dropInterface(t, e.Interfaces[i]); err != nil {
			return err
		}
		e.Subnets, e.Interfaces = slices.Delete(e.Subnets, i, i+1), slices.Delete(e.Interfaces, i, i+1)
	}
	return nil
}

// dropInterface removes an interface of a service, if it is still there.
func dropInterface(t tx, id string) error {
	e, err := interfaces.find(t, id)
	if e == nil || err != nil {
		return err
	}
	return removeInterface(t, e)
}

// ModifyVpcEndpoint changes an endpoint.
func (s *Service) ModifyVpcEndpoint(ctx context.Context, in *ec2.ModifyVpcEndpointInput) (*ec2.ModifyVpcEndpointOutput, error) {
	if err := unsupported("ModifyVpcEndpoint", "SubnetConfigurations", in.SubnetConfigurations, "DnsOptions", in.DnsOptions); err != nil {
		return nil, err
	}
	if in.IpAddressType != "" && in.IpAddressType != types.IpAddressTypeIpv4 {
		return nil, errNotImplemented("The address type " + string(in.IpAddressType))
	}
	return &ec2.ModifyVpcEndpointOutput{Return: aws.Bool(true)}, s.update(ctx, func(t tx) error {
		return endpoints.changeNetwork(t, aws.ToString(in.VpcEndpointId), func(e *endpoint) (err error) {
			switch {
			case aws.ToBool(in.ResetPolicy) && in.PolicyDocument != nil:
				return errParametersExclude("resetPolicy", "policyDocument")
			case aws.ToBool(in.ResetPolicy):
				e.Policy = openPolicy
			case in.PolicyDocument != nil:
				if e.Policy, err = s.checkPolicy(*in.PolicyDocument); err != nil {
					return err
				}
			}
			if e.Type == types.VpcEndpointTypeGateway && (len(in.AddSubnetIds)+len(in.RemoveSubnetIds)+len(in.AddSecurityGroupIds)+len(in.RemoveSecurityGroupIds) > 0 || in.PrivateDnsEnabled != nil) {
				return errInvalidParameterCombination("Subnets, security groups and private DNS are not for endpoints of the type Gateway.")
			}
			if in.PrivateDnsEnabled != nil {
				e.PrivateDNS = *in.PrivateDnsEnabled
			}
			if err := e.changeGroups(t, in.AddSecurityGroupIds, in.RemoveSecurityGroupIds); err != nil {
				return err
			}
			if err := e.changeTables(t, in.AddRouteTableIds, in.RemoveRouteTableIds); err != nil {
				return err
			}
			return e.changeSubnets(t, in.AddSubnetIds, in.RemoveSubnetIds)
		})
	})
}

func (e *endpoint) changeGroups(t tx, add, remove []string) error {
	if len(add)+len(remove) == 0 {
		return nil
	}
	groups := slices.DeleteFunc(slices.Clone(e.Groups), func(id string) bool { return slices.Contains(remove, id) })
	for _, id := range add {
		if !slices.Contains(groups, id) {
			groups = append(groups, id)
		}
	}
	if len(groups) == 0 {
		return errInvalidParameterValue("An interface endpoint needs at least one security group.")
	}
	if err := checkGroups(t, e.VPC, groups); err != nil {
		return err
	}
	e.Groups = groups
	for _, id := range e.Interfaces {
		err := interfaces.edit(t, id, func(x *networkInterface) error {
			x.Groups = groups
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DeleteVpcEndpoints begins to delete endpoints; each that cannot be is answered with its error.
func (s *Service) DeleteVpcEndpoints(ctx context.Context, in *ec2.DeleteVpcEndpointsInput) (*ec2.DeleteVpcEndpointsOutput, error) {
	out := &ec2.DeleteVpcEndpointsOutput{}
	return out, s.update(ctx, func(t tx) error {
		out.Unsuccessful = []types.UnsuccessfulItem{}
		for _, id := range in.VpcEndpointIds {
			err := endpoints.changeNetwork(t, id, func(e *endpoint) error {
				if e.State == types.StateDeleting {
					return nil
				}
				e.State = types.StateDeleting
				if err := e.changeTables(t, nil, slices.Clone(e.Tables)); err != nil {
					return err
				}
				return e.changeSubnets(t, nil, slices.Clone(e.Subnets))
			})
			if item, ok := unsuccessful(id, err); ok {
				out.Unsuccessful = append(out.Unsuccessful, item)
			} else if err != nil {
				return err
			}
		}
		return nil
	})
}

// leaveEndpoints ends a route table's part in gateway endpoints, when the table is deleted.
func leaveEndpoints(t tx, r *routeTable) error {
	for _, x := range r.Routes {
		if !strings.HasPrefix(x.Target, "vpce-") {
			continue
		}
		err := endpoints.edit(t, x.Target, func(e *endpoint) error {
			e.Tables = slices.DeleteFunc(e.Tables, func(id string) bool { return id == r.ID })
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// DescribeVpcEndpoints lists endpoints.
func (s *Service) DescribeVpcEndpoints(ctx context.Context, in *ec2.DescribeVpcEndpointsInput) (*ec2.DescribeVpcEndpointsOutput, error) {
	list, next, err := describe(ctx, s, endpoints, query{in.VpcEndpointIds, "vpcEndpointIds", in.Filters, in.MaxResults, in.NextToken}, endpointToAPI)
	return &ec2.DescribeVpcEndpointsOutput{VpcEndpoints: list, NextToken: next}, err
}

// endpointService is a service to which endpoints can be made.
type endpointService struct {
	resource
	typ   types.ServiceType
	short string
}

var endpointServiceFilters = filters[endpointService]{
	"owner":                      func(tx, *endpointService) []string { return one("amazon") },
	"service-name":               func(_ tx, x *endpointService) []string { return one(x.ID) },
	"service-region":             func(t tx, _ *endpointService) []string { return one(t.scope.Region) },
	"service-type":               func(_ tx, x *endpointService) []string { return one(string(x.typ)) },
	"supported-ip-address-types": func(tx, *endpointService) []string { return one("ipv4") },
}

// DescribeVpcEndpointServices lists the services to which endpoints can be made here.
func (s *Service) DescribeVpcEndpointServices(ctx context.Context, in *ec2.DescribeVpcEndpointServicesInput) (*ec2.DescribeVpcEndpointServicesOutput, error) {
	match, err := endpointServiceFilters.compile(func(x *endpointService) *resource { return &x.resource }, in.Filters)
	if err != nil {
		return nil, err
	}
	scope := scopeOf(ctx)
	zones, err := zonesOf(scope.Region)
	if err != nil {
		return nil, err
	}
	var names, ids []string
	for _, z := range zones {
		names, ids = append(names, z.name), append(ids, z.id)
	}
	prefix := "com.amazonaws." + scope.Region + "."
	for _, name := range in.ServiceNames {
		short := strings.TrimPrefix(name, prefix)
		if !slices.Contains(gatewayServices, short) && !slices.Contains(interfaceServices, short) {
			return nil, errInvalidServiceName(name)
		}
	}
	var found []endpointService
	for typ, list := range map[types.ServiceType][]string{types.ServiceTypeGateway: gatewayServices, types.ServiceTypeInterface: interfaceServices} {
		for _, short := range list {
			x := endpointService{resource{ID: prefix + short}, typ, short}
			if (len(in.ServiceNames) == 0 || slices.Contains(in.ServiceNames, x.ID)) && match.matches(tx{scope: scope}, &x) {
				found = append(found, x)
			}
		}
	}
	place := func(x endpointService) string { return x.ID + " " + string(x.typ) }
	slices.SortFunc(found, func(a, b endpointService) int { return strings.Compare(place(a), place(b)) })
	found, next, err := cut(found, place, "endpoint-services", pageBounds{1, 1000}, query{max: in.MaxResults, token: in.NextToken})
	out := &ec2.DescribeVpcEndpointServicesOutput{NextToken: next, ServiceNames: []string{}, ServiceDetails: []types.ServiceDetail{}}
	for _, x := range found {
		if !slices.Contains(out.ServiceNames, x.ID) {
			out.ServiceNames = append(out.ServiceNames, x.ID)
		}
		detail := types.ServiceDetail{
			ServiceName: aws.String(x.ID), ServiceId: aws.String("vpce-svc-" + serviceID(x.ID)), ServiceType: []types.ServiceTypeDetail{{ServiceType: x.typ}},
			AvailabilityZones: names, AvailabilityZoneIds: ids, Owner: aws.String("amazon"), BaseEndpointDnsNames: []string{x.short + "." + scope.Region + ".vpce.amazonaws.com"},
			AcceptanceRequired: aws.Bool(false), ManagesVpcEndpoints: aws.Bool(false), VpcEndpointPolicySupported: aws.Bool(true),
			ServiceRegion: aws.String(scope.Region), SupportedIpAddressTypes: []types.ServiceConnectivityType{types.ServiceConnectivityTypeIpv4},
		}
		if x.typ == types.ServiceTypeInterface {
			name := x.short + "." + scope.Region + ".amazonaws.com"
			detail.PrivateDnsName, detail.PrivateDnsNames = aws.String(name), []types.PrivateDnsDetails{{PrivateDnsName: aws.String(name)}}
			detail.PrivateDnsNameVerificationState = types.DnsNameStateVerified
		} else {
			detail.BaseEndpointDnsNames = []string{x.short + "." + scope.Region + ".amazonaws.com"}
		}
		out.ServiceDetails = append(out.ServiceDetails, detail)
	}
	return out, err
}

// dnsNames are an interface endpoint's names: its own, and the service's where private DNS is on.
func (e *endpoint) dnsNames(region string) []string {
	if e.Type != types.VpcEndpointTypeInterface {
		return nil
	}
	names := []string{e.ID + "-" + serviceID(e.ID)[:8] + "." + e.short() + "." + region + ".vpce.amazonaws.com"}
	if e.PrivateDNS {
		names = append(names, e.short()+"."+region+".amazonaws.com")
	}
	return names
}

func endpointToAPI(t tx, e *endpoint) (types.VpcEndpoint, error) {
	shown := types.VpcEndpoint{
		VpcEndpointId: aws.String(e.ID), VpcId: aws.String(e.VPC), ServiceName: aws.String(e.Service), VpcEndpointType: e.Type, State: e.state(),
		PolicyDocument: aws.String(e.Policy), OwnerId: aws.String(t.scope.Account), RequesterManaged: aws.Bool(false), PrivateDnsEnabled: aws.Bool(e.PrivateDNS),
		CreationTimestamp: aws.Time(e.Created), RouteTableIds: append([]string{}, e.Tables...), SubnetIds: append([]string{}, e.Subnets...),
		NetworkInterfaceIds: append([]string{}, e.Interfaces...), Groups: []types.SecurityGroupIdentifier{}, DnsEntries: []types.DnsEntry{},
		IpAddressType: types.IpAddressTypeIpv4, Tags: tagsToAPI(t, e.Tags), ServiceRegion: aws.String(t.scope.Region),
	}
	groups, err := groupsToAPI(t, e.Groups)
	for _, g := range groups {
		shown.Groups = append(shown.Groups, types.SecurityGroupIdentifier{GroupId: g.GroupId, GroupName: g.GroupName})
	}
	for _, name := range e.dnsNames(t.scope.Region) {
		shown.DnsEntries = append(shown.DnsEntries, types.DnsEntry{DnsName: aws.String(name)})
	}
	if e.Type == types.VpcEndpointTypeInterface {
		shown.DnsOptions = &types.DnsOptions{DnsRecordIpType: types.DnsRecordIpTypeIpv4}
	}
	return shown, err
}
