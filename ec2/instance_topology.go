package ec2

import (
	"context"
	"encoding/hex"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/backend/sha"
)

// placedFamilies are the families of types whose place in the network AWS tells.
// AWS: "Prerequisites for Amazon EC2 instance topology".
var placedFamilies = []string{
	"hpc6a", "hpc6id", "hpc7a", "hpc7g", "hpc8a", "p3dn", "p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6e-gb200", "trn1", "trn1n", "trn2", "trn2u", "g4dn", "g5", "g6", "g6e", "gr6",
}

// placed tells whether the type is one of them; of the graphics families the largest sizes alone are.
func placed(typ types.InstanceType) bool {
	family, size, _ := strings.Cut(string(typ), ".")
	return slices.Contains(placedFamilies, family) && (family[0] != 'g' || strings.HasSuffix(size, "48xlarge") || size == "metal" || family == "g6e" || family == "gr6")
}

// networkNodes are the three layers above an instance, the widest first. All instances of a zone are on one machine, so the
// last node tells the truth: they are as near to each other as can be.
func networkNodes(zoneID string) []string {
	var nodes []string
	for _, layer := range []string{"1", "2", "3"} {
		sum := sha.Sum256([]byte("network node " + layer + " " + zoneID))
		nodes = append(nodes, "nn-"+hex.EncodeToString(sum[:])[:17])
	}
	return nodes
}

var topologyFilters = filters[instance]{
	"availability-zone": instanceFilters["availability-zone"],
	"instance-type":     instanceFilters["instance-type"],
	"zone-id":           instanceFilters["availability-zone-id"],
}

// DescribeInstanceTopology says where in the network running instances are, of the types for which AWS says it.
// AWS: "DescribeInstanceTopology": at most 100 instances or groups a call, 1 to 100 a page.
func (s *Service) DescribeInstanceTopology(ctx context.Context, in *ec2.DescribeInstanceTopologyInput) (*ec2.DescribeInstanceTopologyOutput, error) {
	match, err := topologyFilters.compile(instanceBase, in.Filters)
	if err != nil {
		return nil, err
	}
	if len(in.InstanceIds) > 100 || len(in.GroupNames) > 100 {
		return nil, errInvalidParameterValue("At most 100 instance IDs or placement group names can be specified.")
	}
	out := &ec2.DescribeInstanceTopologyOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.Instances = []types.InstanceTopology{}
		list, _, err := s.selectInstances(t, query{ids: in.InstanceIds})
		if err != nil {
			return err
		}
		groups := map[string]string{} // names by id
		for _, name := range in.GroupNames {
			g, err := placementGroupNamed(t, name)
			if err != nil {
				return err
			}
			groups[g.ID] = g.Name
		}
		list = slices.DeleteFunc(slices.Clone(list), func(i *instance) bool {
			return i.State != stateRunning || !placed(i.Type) || len(in.GroupNames) > 0 && groups[i.PlacementGroup] == "" || !match.matches(t, i)
		})
		q := query{ids: in.InstanceIds, max: in.MaxResults, token: in.NextToken}
		page, next, err := cut(list, func(i *instance) string { return i.ID }, "topology", pageBounds{1, 100}, q)
		for _, i := range page {
			group, err := placementGroups.see(t, i.PlacementGroup)
			if err != nil {
				return err
			}
			shown := types.InstanceTopology{
				InstanceId: aws.String(i.ID), InstanceType: aws.String(string(i.Type)), AvailabilityZone: aws.String(i.Zone), ZoneId: aws.String(i.ZoneID), NetworkNodes: networkNodes(i.ZoneID),
			}
			if group != nil {
				shown.GroupName = aws.String(group.Name)
			}
			out.Instances = append(out.Instances, shown)
		}
		out.NextToken = next
		return err
	})
}
