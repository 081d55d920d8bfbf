package iam

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// linkedService is a service of AWS that has a role of its own in accounts.
type linkedService struct {
	// role follows "AWSServiceRoleFor"; policy is a path and name in AWS's catalogue.
	role, policy string
	// suffixes tells that an account may have several.
	suffixes bool
}

// AWS: "AWS services that work with IAM", and each service's page on its service-linked role.
var linkedServices = map[string]linkedService{
	"autoscaling.amazonaws.com":                         {"AutoScaling", "aws-service-role/AutoScalingServiceRolePolicy", true},
	"ec2.application-autoscaling.amazonaws.com":         {"ApplicationAutoScaling_EC2SpotFleetRequest", "aws-service-role/AWSApplicationAutoscalingEC2SpotFleetRequestPolicy", false},
	"rds.application-autoscaling.amazonaws.com":         {"ApplicationAutoScaling_RDSCluster", "aws-service-role/AWSApplicationAutoscalingRDSClusterPolicy", false},
	"elasticache.application-autoscaling.amazonaws.com": {"ApplicationAutoScaling_ElastiCacheRG", "aws-service-role/AWSApplicationAutoscalingElastiCacheRGPolicy", false},
	"cloudtrail.amazonaws.com":                          {"CloudTrail", "aws-service-role/CloudTrailServiceRolePolicy", false},
	"ecs.amazonaws.com":                                 {"ECS", "aws-service-role/AmazonECSServiceRolePolicy", false},
	"eks.amazonaws.com":                                 {"AmazonEKS", "aws-service-role/AmazonEKSServiceRolePolicy", false},
	"elasticache.amazonaws.com":                         {"ElastiCache", "aws-service-role/ElastiCacheServiceRolePolicy", false},
	"elasticloadbalancing.amazonaws.com":                {"ElasticLoadBalancing", "aws-service-role/AWSElasticLoadBalancingServiceRolePolicy", false},
	"organizations.amazonaws.com":                       {"Organizations", "aws-service-role/AWSOrganizationsServiceTrustPolicy", false},
	"rds.amazonaws.com":                                 {"RDS", "aws-service-role/AmazonRDSServiceRolePolicy", false},
	"spot.amazonaws.com":                                {"EC2Spot", "aws-service-role/AWSEC2SpotServiceRolePolicy", false},
	"spotfleet.amazonaws.com":                           {"EC2SpotFleet", "aws-service-role/AWSEC2SpotFleetServiceRolePolicy", false},
	"ssm.amazonaws.com":                                 {"AmazonSSM", "aws-service-role/AmazonSSMServiceRolePolicy", false},
	"transitgateway.amazonaws.com":                      {"VPCTransitGateway", "aws-service-role/AWSVPCTransitGatewayServiceRolePolicy", false},
	"kafka.amazonaws.com":                               {"Kafka", "aws-service-role/KafkaServiceRolePolicy", false},
}

// deletionTask remembers that a service-linked role was removed.
type deletionTask struct {
	ID   string
	Role string
	Done time.Time
}

var deletionTable = store.NewTable(store.Spec[deletionTask]{
	Service: "iam",
	Name:    "deletion-tasks",
	ID:      func(t *deletionTask) store.ID { return store.ID{t.ID} },
})

// CreateServiceLinkedRole makes a role that only its service may assume and only AWS may change.
func (s *Service) CreateServiceLinkedRole(ctx context.Context, in *iam.CreateServiceLinkedRoleInput) (*iam.CreateServiceLinkedRoleOutput, error) {
	out := &iam.CreateServiceLinkedRoleOutput{}
	service := aws.ToString(in.AWSServiceName)
	linked, ok := linkedServices[service]
	if !ok {
		return nil, errInvalidInput("Invalid service name %s: it has no service-linked role, or not one that is known here.", service)
	}
	name := "AWSServiceRoleFor" + linked.role
	if suffix := aws.ToString(in.CustomSuffix); suffix != "" {
		if !linked.suffixes {
			return nil, errInvalidInput("Custom suffix is not allowed for %s", service)
		}
		name += "_" + suffix
	}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixRole, "customSuffix", &name, nil, nil, nil)
		if err != nil {
			return err
		}
		base.Path = serviceRolePath + service + "/"
		base.Attached = []string{arn(ownerAWS, "policy/"+linked.policy)}
		r := &role{identity: base, Description: aws.ToString(in.Description), MaxSession: defaultSession}
		r.Trust = document(fmt.Sprintf(`{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":%q},"Action":"sts:AssumeRole"}]}`, service))
		if old, err := roleRows(tx, account).Find(folded(name)); err != nil {
			return err
		} else if old != nil {
			return errInvalidInput("Service role name %s has been taken in this account, please try a different suffix.", name)
		}
		out.Role = r.toAPI(account)
		return roleRows(tx, account).Put(r)
	})
}

// DeleteServiceLinkedRole removes the role; the task that it answers is done at once.
func (s *Service) DeleteServiceLinkedRole(ctx context.Context, in *iam.DeleteServiceLinkedRoleInput) (*iam.DeleteServiceLinkedRoleOutput, error) {
	out := &iam.DeleteServiceLinkedRoleOutput{}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		r, err := roles.get(tx, account, aws.ToString(in.RoleName))
		if err != nil {
			return err
		}
		if !r.linked() {
			return errNotFound("service linked role", r.Name)
		}
		service := strings.Trim(strings.TrimPrefix(r.Path, serviceRolePath), "/")
		task := &deletionTask{ID: "task" + serviceRolePath + service + "/" + r.Name + "/" + newTaskID(), Role: r.Name, Done: tx.Now()}
		out.DeletionTaskId = aws.String(task.ID)
		if err := deletionTable.In(tx, store.Scope{Account: account}).Put(task); err != nil {
			return err
		}
		return roleRows(tx, account).Delete(folded(r.Name))
	})
}

// GetServiceLinkedRoleDeletionStatus answers what became of a task.
func (s *Service) GetServiceLinkedRoleDeletionStatus(ctx context.Context, in *iam.GetServiceLinkedRoleDeletionStatusInput) (*iam.GetServiceLinkedRoleDeletionStatusOutput, error) {
	out := &iam.GetServiceLinkedRoleDeletionStatusOutput{Status: types.DeletionTaskStatusTypeSucceeded}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		task, err := deletionTable.In(tx, store.Scope{Account: account}).Find(aws.ToString(in.DeletionTaskId))
		if err == nil && task == nil {
			err = errNoSuchEntity("Deletion Task %s cannot be found.", aws.ToString(in.DeletionTaskId))
		}
		return err
	})
}
