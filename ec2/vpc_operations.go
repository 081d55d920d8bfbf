package ec2

import (
	"github.com/aws/aws-sdk-go-v2/service/ec2"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// registerVPC adds the operations on tags, regions and the virtual private cloud.
func (s *Service) registerVPC(server *awsapi.Server) {
	server.Register(meta.EC2,
		awsapi.Op(s.DescribeRegions, awsapi.Action[ec2.DescribeRegionsInput]("ec2:DescribeRegions")),
		awsapi.Op(s.DescribeAvailabilityZones, awsapi.Action[ec2.DescribeAvailabilityZonesInput]("ec2:DescribeAvailabilityZones")),
		awsapi.Op(s.CreateTags, on(s, "CreateTags", func(in *ec2.CreateTagsInput) []string { return in.Resources })),
		awsapi.Op(s.DeleteTags, on(s, "DeleteTags", func(in *ec2.DeleteTagsInput) []string { return in.Resources })),
		awsapi.Op(s.DescribeTags, awsapi.Action[ec2.DescribeTagsInput]("ec2:DescribeTags")),
	)
}

func vpcTables() []store.Schema { return []store.Schema{networks, clientTokens} }

func vpcKinds() []taggable { return nil }

func (s *Service) reconcileVPC(*reconcile.Loop) {}
