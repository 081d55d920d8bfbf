package ssm

import (
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// DescribeInstanceProperties lists managed instances with what EC2 says of them.
func (s *Service) DescribeInstanceProperties(ctx context.Context, in *api.DescribeInstancePropertiesInput) (*api.DescribeInstancePropertiesOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 1000)
	if err != nil {
		return nil, err
	}
	wanted := in.FiltersWithOperator
	for _, f := range in.InstancePropertyFilterList {
		wanted = append(wanted, types.InstancePropertyStringFilter{Key: aws.String(string(f.Key)), Values: f.ValueSet})
	}
	all, err := s.machines(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstancePropertiesOutput{InstanceProperties: []types.InstanceProperty{}}
	for _, m := range all {
		shown := s.propertyOf(m)
		passes := true
		for _, f := range wanted {
			one, err := matchesProperty(f, m, shown)
			if err != nil {
				return nil, err
			}
			passes = passes && one
		}
		if !passes || m.ID <= after {
			continue
		}
		if n := len(out.InstanceProperties); n == limit {
			out.NextToken = token(aws.ToString(out.InstanceProperties[n-1].InstanceId))
			break
		}
		out.InstanceProperties = append(out.InstanceProperties, shown)
	}
	return out, nil
}

func (s *Service) propertyOf(m Machine) types.InstanceProperty {
	known := s.machineToAPI(m)
	return types.InstanceProperty{
		Name: optional(m.Tags["Name"]), InstanceId: known.InstanceId, InstanceType: optional(m.Type), InstanceRole: optional(m.Profile), KeyName: optional(m.KeyName),
		InstanceState: optional(m.State), Architecture: optional(m.Architecture), IPAddress: known.IPAddress, LaunchTime: aws.Time(m.Launched), PingStatus: known.PingStatus,
		LastPingDateTime: known.LastPingDateTime, AgentVersion: known.AgentVersion, PlatformType: known.PlatformType, PlatformName: known.PlatformName,
		ResourceType: aws.String(string(known.ResourceType)), ComputerName: known.ComputerName, SourceId: known.SourceId, SourceType: known.SourceType,
	}
}

// matchesProperty tells whether an instance passes. AWS: "InstancePropertyStringFilter".
func matchesProperty(f types.InstancePropertyStringFilter, m Machine, shown types.InstanceProperty) (bool, error) {
	var have string
	switch key := aws.ToString(f.Key); key {
	case "InstanceIds":
		have = m.ID
	case "PingStatus":
		have = string(shown.PingStatus)
	case "PlatformTypes":
		have = string(shown.PlatformType)
	case "AgentVersion":
		have = agentVersion
	case "ResourceType":
		have = aws.ToString(shown.ResourceType)
	case "InstanceState":
		have = m.State
	case "InstanceType":
		have = m.Type
	case "PlatformName":
		have = m.Platform
	case "DocumentName", "ActivationIds", "IamRole", "AssociationStatus":
	default:
		name, ok := strings.CutPrefix(key, "tag:")
		if !ok {
			return false, errListFilterKey(key)
		}
		have = m.Tags[name]
	}
	matches := func(test func(wanted string) bool) bool { return slices.ContainsFunc(f.Values, test) }
	switch f.Operator {
	case "", types.InstancePropertyFilterOperatorEqual:
		return matches(func(wanted string) bool { return have == wanted }), nil
	case types.InstancePropertyFilterOperatorNotEqual:
		return !matches(func(wanted string) bool { return have == wanted }), nil
	case types.InstancePropertyFilterOperatorBeginWith:
		return matches(func(wanted string) bool { return strings.HasPrefix(have, wanted) }), nil
	case types.InstancePropertyFilterOperatorLessThan:
		return matches(func(wanted string) bool { return have < wanted }), nil
	case types.InstancePropertyFilterOperatorGreaterThan:
		return matches(func(wanted string) bool { return have > wanted }), nil
	}
	return false, errInvalidPropertyFilter()
}
