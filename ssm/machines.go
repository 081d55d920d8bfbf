package ssm

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
)

// agentVersion is what instances' inits say they are: the agent's side of Session Manager and Run Command.
const agentVersion = "3.3.0.0"

// Machine is an instance as Systems Manager sees it.
type Machine struct {
	// ID is i-..., Name its host name, Platform such as "Debian GNU/Linux".
	ID, Name, Address, Platform string
	// Type is an instance type, State EC2's word, Profile the ARN of the instance profile, "" for none.
	Type, State, Architecture, KeyName, Profile string
	Tags                                        map[string]string
	Launched                                    time.Time
	// Running tells that the engine confirmed it.
	Running bool
}

// machines answers the instances of the caller in the order of their ids.
func (s *Service) machines(ctx context.Context, c call) ([]Machine, error) {
	if s.config.Machines == nil {
		return nil, nil
	}
	return s.config.Machines(ctx, c.scope.Account, c.scope.Region)
}

// connected tells whether the instance's init has its link.
func (s *Service) connected(m Machine) bool {
	if s.config.Links == nil || !m.Running {
		return false
	}
	_, ok := s.config.Links.Linked(m.ID)
	return ok
}

// machine answers an instance by its id; ok is false for one that is not the caller's.
func (s *Service) machine(ctx context.Context, c call, id string) (m Machine, ok bool, err error) {
	if s.config.Machine == nil {
		return Machine{}, false, nil
	}
	return s.config.Machine(ctx, c.scope.Account, c.scope.Region, id)
}

// targets answers the instances that ids or targets name.
// AWS: "SendCommand", Targets: tag:KEY and InstanceIds.
func (s *Service) targets(ctx context.Context, c call, ids []string, wanted []types.Target) ([]Machine, error) {
	all, err := s.machines(ctx, c)
	if err != nil {
		return nil, err
	}
	if len(ids) == 0 && len(wanted) == 0 {
		return nil, errValidation("The request does not name any instances: specify InstanceIds or Targets.")
	}
	if len(ids) > 0 && len(wanted) > 0 {
		return nil, errValidation("Specify either InstanceIds or Targets, not both.")
	}
	for _, t := range wanted {
		if aws.ToString(t.Key) == "InstanceIds" || aws.ToString(t.Key) == "instanceids" {
			ids = append(ids, t.Values...)
		}
	}
	var found []Machine
	for _, id := range ids {
		i := slices.IndexFunc(all, func(m Machine) bool { return m.ID == id })
		if i < 0 || !s.connected(all[i]) {
			return nil, errInvalidInstance(id, c.scope.Account)
		}
		found = append(found, all[i])
	}
	if len(ids) > 0 {
		return found, nil
	}
	for _, m := range all {
		matches := true
		for _, t := range wanted {
			key, isTag := strings.CutPrefix(aws.ToString(t.Key), "tag:")
			if !isTag {
				return nil, errInvalidTarget(aws.ToString(t.Key))
			}
			value, has := m.Tags[key]
			matches = matches && has && slices.Contains(t.Values, value)
		}
		if matches && s.connected(m) {
			found = append(found, m)
		}
	}
	return found, nil
}

// DescribeInstanceInformation lists managed instances: those whose init is connected, and those that were.
func (s *Service) DescribeInstanceInformation(ctx context.Context, in *api.DescribeInstanceInformationInput) (*api.DescribeInstanceInformationOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	wanted := map[string][]string{}
	for _, f := range in.InstanceInformationFilterList {
		wanted[string(f.Key)] = append(wanted[string(f.Key)], f.ValueSet...)
	}
	for _, f := range in.Filters {
		wanted[aws.ToString(f.Key)] = append(wanted[aws.ToString(f.Key)], f.Values...)
	}
	all, err := s.machines(ctx, c)
	if err != nil {
		return nil, err
	}
	out := &api.DescribeInstanceInformationOutput{InstanceInformationList: []types.InstanceInformation{}}
	for _, m := range all {
		shown := s.machineToAPI(m)
		ok, err := matchesMachine(wanted, m, shown)
		if err != nil {
			return nil, err
		}
		if !ok || m.ID <= after {
			continue
		}
		if len(out.InstanceInformationList) == limit {
			out.NextToken = token(aws.ToString(out.InstanceInformationList[limit-1].InstanceId))
			break
		}
		out.InstanceInformationList = append(out.InstanceInformationList, shown)
	}
	return out, nil
}

func matchesMachine(wanted map[string][]string, m Machine, shown types.InstanceInformation) (bool, error) {
	for key, values := range wanted {
		var have []string
		switch key {
		case "InstanceIds":
			have = []string{m.ID}
		case "PingStatus":
			have = []string{string(shown.PingStatus)}
		case "PlatformTypes":
			have = []string{string(shown.PlatformType)}
		case "AgentVersion":
			have = []string{agentVersion}
		case "ResourceType":
			have = []string{string(shown.ResourceType)}
		case "IamRole", "ActivationIds", "AssociationStatus", "SourceTypes", "SourceIds":
		default:
			tag, ok := strings.CutPrefix(key, "tag:")
			if key == "tag-key" {
				for name := range m.Tags {
					have = append(have, name)
				}
			} else if !ok {
				return false, errInvalidInstanceFilter(key)
			} else if value, has := m.Tags[tag]; has {
				have = []string{value}
			}
		}
		if !slices.ContainsFunc(values, func(v string) bool { return slices.Contains(have, v) }) {
			return false, nil
		}
	}
	return true, nil
}

func (s *Service) machineToAPI(m Machine) types.InstanceInformation {
	out := types.InstanceInformation{
		InstanceId: aws.String(m.ID), PingStatus: types.PingStatusConnectionLost, AgentVersion: aws.String(agentVersion), IsLatestVersion: aws.Bool(true),
		PlatformType: types.PlatformTypeLinux, PlatformName: aws.String(m.Platform), ResourceType: types.ResourceTypeEc2Instance,
		ComputerName: aws.String(m.Name), IPAddress: aws.String(m.Address), SourceId: aws.String(m.ID), SourceType: types.SourceTypeAwsEc2Instance,
		LastPingDateTime: aws.Time(m.Launched),
	}
	if s.connected(m) {
		out.PingStatus, out.LastPingDateTime = types.PingStatusOnline, aws.Time(time.Now().UTC().Truncate(time.Second))
	}
	return out
}

// GetConnectionStatus tells whether sessions can be started.
func (s *Service) GetConnectionStatus(ctx context.Context, in *api.GetConnectionStatusInput) (*api.GetConnectionStatusOutput, error) {
	m, ok, err := s.machine(ctx, callOf(ctx), *in.Target)
	status := types.ConnectionStatusNotConnected
	if ok && s.connected(m) {
		status = types.ConnectionStatusConnected
	}
	return &api.GetConnectionStatusOutput{Target: in.Target, Status: status}, err
}
