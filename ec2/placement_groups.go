package ec2

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// placementGroup says how instances are to be spread over hardware. Here all of it is one machine: the group's limits are
// kept, its promise is empty.
type placementGroup struct {
	resource
	Name       string
	Strategy   types.PlacementStrategy
	Partitions int32             `json:",omitempty"`
	Level      types.SpreadLevel `json:",omitempty"`
}

func placementBase(g *placementGroup) *resource { return &g.resource }

var placementGroups = &kind[placementGroup]{
	prefix: "pg-", typ: types.ResourceTypePlacementGroup, base: placementBase, notFound: errPlacementGroupUnknown, malformed: errPlacementGroupMalformed,
	table: tableOf("placement-groups", placementBase, map[string]func(*placementGroup) []string{
		"name": func(g *placementGroup) []string { return one(g.Name) },
	}),
	filters: filters[placementGroup]{
		"group-name": func(_ tx, g *placementGroup) []string { return one(g.Name) },
		"group-arn": func(t tx, g *placementGroup) []string {
			return one(arn(t.scope, types.ResourceTypePlacementGroup, g.Name))
		},
		"spread-level": func(_ tx, g *placementGroup) []string { return one(string(g.Level)) },
		"state":        func(tx, *placementGroup) []string { return one("available") },
		"strategy":     func(_ tx, g *placementGroup) []string { return one(string(g.Strategy)) },
	},
}

// CreatePlacementGroup makes a group.
func (s *Service) CreatePlacementGroup(ctx context.Context, in *ec2.CreatePlacementGroupInput) (*ec2.CreatePlacementGroupOutput, error) {
	if err := unsupported("CreatePlacementGroup", "LinkedGroupId", in.LinkedGroupId, "ParentGroupId", in.ParentGroupId, "Operator", in.Operator); err != nil {
		return nil, err
	}
	name := aws.ToString(in.GroupName)
	if name == "" || len(name) > 255 {
		return nil, errInvalidParameterValue("Value (%s) for parameter groupName is invalid.", name)
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypePlacementGroup)
	if err != nil {
		return nil, err
	}
	g := &placementGroup{Name: name, Strategy: in.Strategy}
	switch in.Strategy {
	case "":
		g.Strategy = types.PlacementStrategyCluster
	case types.PlacementStrategyCluster:
	case types.PlacementStrategySpread:
		if g.Level = in.SpreadLevel; g.Level == "" {
			g.Level = types.SpreadLevelRack
		}
		if g.Level != types.SpreadLevelRack {
			return nil, errNotImplemented("A spread level other than rack")
		}
	case types.PlacementStrategyPartition:
		g.Partitions = 2
		if in.PartitionCount != nil {
			g.Partitions = *in.PartitionCount
		}
		if g.Partitions < 1 || g.Partitions > 7 {
			return nil, errInvalidParameterValue("Value (%d) for parameter partitionCount is invalid. It must be between 1 and 7.", g.Partitions)
		}
	default:
		return nil, errInvalidParameterValue("Value (%s) for parameter strategy is invalid.", in.Strategy)
	}
	if in.PartitionCount != nil && g.Partitions == 0 {
		return nil, errInvalidParameterCombination("The parameter PartitionCount is valid only for the strategy partition.")
	}
	out := &ec2.CreatePlacementGroupOutput{}
	return out, s.update(ctx, func(t tx) error {
		if taken, err := placementGroups.any(t, "name", name); taken || err != nil {
			return orElse(err, errPlacementGroupDuplicate(name))
		}
		made := *g
		made.resource = resource{ID: t.NewID("pg-"), Tags: tags}
		out.PlacementGroup = placementToAPI(t, &made)
		return placementGroups.insert(t, &made)
	})
}

func placementToAPI(t tx, g *placementGroup) *types.PlacementGroup {
	out := &types.PlacementGroup{
		GroupId: aws.String(g.ID), GroupName: aws.String(g.Name), GroupArn: aws.String(arn(t.scope, types.ResourceTypePlacementGroup, g.Name)),
		State: types.PlacementGroupStateAvailable, Strategy: g.Strategy, SpreadLevel: g.Level, Tags: tagsToAPI(tx{}, g.Tags),
	}
	if g.Partitions > 0 {
		out.PartitionCount = aws.Int32(g.Partitions)
	}
	return out
}

func placementGroupNamed(t tx, name string) (*placementGroup, error) {
	g, err := placementGroups.in(t).Index("name").Find(name)
	if g == nil && err == nil {
		err = errPlacementGroupUnknown(name)
	}
	return g, err
}

// DescribePlacementGroups lists groups.
func (s *Service) DescribePlacementGroups(ctx context.Context, in *ec2.DescribePlacementGroupsInput) (*ec2.DescribePlacementGroupsOutput, error) {
	out := &ec2.DescribePlacementGroupsOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.PlacementGroups = []types.PlacementGroup{}
		ids := slices.Clone(in.GroupIds)
		for _, name := range in.GroupNames {
			g, err := placementGroupNamed(t, name)
			if err != nil {
				return err
			}
			ids = append(ids, g.ID)
		}
		list, _, err := placementGroups.list(t, query{ids: ids, filters: in.Filters})
		for _, g := range list {
			out.PlacementGroups = append(out.PlacementGroups, *placementToAPI(t, g))
		}
		return err
	})
}

// DeletePlacementGroup removes a group in which no instance is.
func (s *Service) DeletePlacementGroup(ctx context.Context, in *ec2.DeletePlacementGroupInput) (*ec2.DeletePlacementGroupOutput, error) {
	return &ec2.DeletePlacementGroupOutput{}, s.update(ctx, func(t tx) error {
		g, err := placementGroupNamed(t, *in.GroupName)
		if err != nil {
			return err
		}
		members, err := members(t, g.ID)
		if err != nil {
			return err
		}
		if len(members) > 0 {
			return errPlacementGroupInUse(g.Name)
		}
		return placementGroups.delete(t, g.ID)
	})
}

// members are the instances of a group that did not end.
func members(t tx, id string) ([]*instance, error) {
	list, err := instances.by(t, "group", id)
	return slices.DeleteFunc(list, func(i *instance) bool { return i.State == stateTerminated }), err
}

// AWS: "Placement groups": at most seven running instances per Availability Zone in a spread group.
const maxSpread = 7

// placementOf answers the group in which count new instances are to be, and their partition.
func placementOf(t tx, in *types.Placement, count int32) (id string, partition int32, err error) {
	if in == nil || aws.ToString(in.GroupName) == "" && aws.ToString(in.GroupId) == "" {
		if in != nil && in.PartitionNumber != nil {
			return "", 0, errInvalidParameterCombination("The parameter PartitionNumber requires a placement group.")
		}
		return "", 0, nil
	}
	var g *placementGroup
	if name := aws.ToString(in.GroupName); name != "" {
		g, err = placementGroupNamed(t, name)
	} else {
		g, err = placementGroups.get(t, *in.GroupId)
	}
	if err != nil {
		return "", 0, err
	}
	there, err := members(t, g.ID)
	if err != nil {
		return "", 0, err
	}
	switch g.Strategy {
	case types.PlacementStrategySpread:
		if len(there)+int(count) > maxSpread {
			return "", 0, errInsufficientCapacity("A spread placement group holds at most seven running instances in an Availability Zone.")
		}
	case types.PlacementStrategyPartition:
		partition = int32(len(there))%g.Partitions + 1
		if in.PartitionNumber != nil {
			partition = *in.PartitionNumber
		}
		if partition < 1 || partition > g.Partitions {
			return "", 0, errInvalidParameterValue("The partition number %d is not valid for the placement group '%s'.", partition, g.Name)
		}
	}
	return g.ID, partition, nil
}
