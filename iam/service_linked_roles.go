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
	"access-analyzer.amazonaws.com":                          {"AccessAnalyzer", "aws-service-role/AccessAnalyzerServiceRolePolicy", false},
	"accountdiscovery.ssm.amazonaws.com":                     {"AmazonSSM_AccountDiscovery", "aws-service-role/AWSSystemsManagerAccountDiscoveryServicePolicy", false},
	"acm.amazonaws.com":                                      {"CertificateManager", "aws-service-role/CertificateManagerServiceRolePolicy", false},
	"apidestinations.events.amazonaws.com":                   {"AmazonEventBridgeApiDestinations", "aws-service-role/AmazonEventBridgeApiDestinationsServiceRolePolicy", false},
	"appmesh.amazonaws.com":                                  {"AppMesh", "aws-service-role/AWSAppMeshServiceRolePolicy", false},
	"appstream.application-autoscaling.amazonaws.com":        {"ApplicationAutoScaling_AppStreamFleet", "aws-service-role/AWSApplicationAutoscalingAppStreamFleetPolicy", false},
	"autoscaling-plans.amazonaws.com":                        {"AutoScalingPlans_EC2AutoScaling", "aws-service-role/AWSAutoScalingPlansEC2AutoScalingPolicy", false},
	"autoscaling.amazonaws.com":                              {"AutoScaling", "aws-service-role/AutoScalingServiceRolePolicy", true},
	"backup.amazonaws.com":                                   {"Backup", "aws-service-role/AWSBackupServiceLinkedRolePolicyForBackup", false},
	"batch.amazonaws.com":                                    {"Batch", "aws-service-role/BatchServiceRolePolicy", false},
	"cassandra.application-autoscaling.amazonaws.com":        {"ApplicationAutoScaling_CassandraTable", "aws-service-role/AWSApplicationAutoscalingCassandraTablePolicy", false},
	"channels.lex.amazonaws.com":                             {"LexChannels", "aws-service-role/LexChannelPolicy", false},
	"cks.kms.amazonaws.com":                                  {"KeyManagementServiceCustomKeyStores", "aws-service-role/AWSKeyManagementServiceCustomKeyStoresServiceRolePolicy", false},
	"cloudtrail.amazonaws.com":                               {"CloudTrail", "aws-service-role/CloudTrailServiceRolePolicy", false},
	"cloudwatch-crossaccount.amazonaws.com":                  {"CloudWatchCrossAccount", "aws-service-role/CloudWatch-CrossAccountAccess", false},
	"codestar-notifications.amazonaws.com":                   {"CodeStarNotifications", "aws-service-role/AWSCodeStarNotificationsServiceRolePolicy", false},
	"cognito-idp.amazonaws.com":                              {"AmazonCognitoIdp", "aws-service-role/AmazonCognitoIdpServiceRolePolicy", false},
	"comprehend.application-autoscaling.amazonaws.com":       {"ApplicationAutoScaling_ComprehendEndpoint", "aws-service-role/AWSApplicationAutoscalingComprehendEndpointPolicy", false},
	"config.amazonaws.com":                                   {"Config", "aws-service-role/AWSConfigServiceRolePolicy", false},
	"connect.amazonaws.com":                                  {"AmazonConnect", "aws-service-role/AmazonConnectServiceLinkedRolePolicy", true},
	"custom-resource.application-autoscaling.amazonaws.com":  {"ApplicationAutoScaling_CustomResource", "aws-service-role/AWSApplicationAutoScalingCustomResourcePolicy", false},
	"dax.amazonaws.com":                                      {"DAX", "aws-service-role/DAXServiceRolePolicy", false},
	"delivery.logs.amazonaws.com":                            {"LogDelivery", "aws-service-role/AWSServiceRoleForLogDeliveryPolicy", false},
	"dynamodb.application-autoscaling.amazonaws.com":         {"ApplicationAutoScaling_DynamoDBTable", "aws-service-role/AWSApplicationAutoscalingDynamoDBTablePolicy", false},
	"ec2-instance-connect.amazonaws.com":                     {"EC2InstanceConnect", "aws-service-role/Ec2InstanceConnectEndpoint", false},
	"ec2.application-autoscaling.amazonaws.com":              {"ApplicationAutoScaling_EC2SpotFleetRequest", "aws-service-role/AWSApplicationAutoscalingEC2SpotFleetRequestPolicy", false},
	"ec2fleet.amazonaws.com":                                 {"EC2Fleet", "aws-service-role/AWSEC2FleetServiceRolePolicy", false},
	"ec2scheduled.amazonaws.com":                             {"EC2ScheduledInstances", "aws-service-role/AWSServiceRoleForEC2ScheduledInstances", false},
	"ecs.amazonaws.com":                                      {"ECS", "aws-service-role/AmazonECSServiceRolePolicy", false},
	"ecs.application-autoscaling.amazonaws.com":              {"ApplicationAutoScaling_ECSService", "aws-service-role/AWSApplicationAutoscalingECSServicePolicy", false},
	"eks-fargate.amazonaws.com":                              {"AmazonEKSForFargate", "aws-service-role/AmazonEKSForFargateServiceRolePolicy", false},
	"eks-nodegroup.amazonaws.com":                            {"AmazonEKSNodegroup", "aws-service-role/AWSServiceRoleForAmazonEKSNodegroup", false},
	"eks.amazonaws.com":                                      {"AmazonEKS", "aws-service-role/AmazonEKSServiceRolePolicy", false},
	"elasticache.amazonaws.com":                              {"ElastiCache", "aws-service-role/ElastiCacheServiceRolePolicy", false},
	"elasticache.application-autoscaling.amazonaws.com":      {"ApplicationAutoScaling_ElastiCacheRG", "aws-service-role/AWSApplicationAutoscalingElastiCacheRGPolicy", false},
	"elasticbeanstalk.amazonaws.com":                         {"ElasticBeanstalk", "aws-service-role/AWSElasticBeanstalkServiceRolePolicy", false},
	"elasticfilesystem.amazonaws.com":                        {"AmazonElasticFileSystem", "aws-service-role/AmazonElasticFileSystemServiceRolePolicy", false},
	"elasticloadbalancing.amazonaws.com":                     {"ElasticLoadBalancing", "aws-service-role/AWSElasticLoadBalancingServiceRolePolicy", false},
	"elasticmapreduce.amazonaws.com":                         {"EMRCleanup", "aws-service-role/AmazonEMRCleanupPolicy", false},
	"elasticmapreduce.application-autoscaling.amazonaws.com": {"ApplicationAutoScaling_EMRInstanceGroup", "aws-service-role/AWSApplicationAutoscalingEMRInstanceGroupPolicy", false},
	"email.cognito-idp.amazonaws.com":                        {"AmazonCognitoIdpEmail", "aws-service-role/AmazonCognitoIdpEmailServiceRolePolicy", false},
	"emr-containers.amazonaws.com":                           {"AmazonEMRContainers", "aws-service-role/AmazonEMRContainersServiceRolePolicy", false},
	"es.amazonaws.com":                                       {"AmazonElasticsearchService", "aws-service-role/AmazonElasticsearchServiceRolePolicy", false},
	"events.amazonaws.com":                                   {"CloudWatchEvents", "aws-service-role/CloudWatchEventsServiceRolePolicy", false},
	"fsx.amazonaws.com":                                      {"AmazonFSx", "aws-service-role/AmazonFSxServiceRolePolicy", false},
	"globalaccelerator.amazonaws.com":                        {"GlobalAccelerator", "aws-service-role/AWSGlobalAcceleratorSLRPolicy", false},
	"guardduty.amazonaws.com":                                {"AmazonGuardDuty", "aws-service-role/AmazonGuardDutyServiceRolePolicy", false},
	"imagebuilder.amazonaws.com":                             {"ImageBuilder", "aws-service-role/AWSServiceRoleForImageBuilder", false},
	"inspector.amazonaws.com":                                {"AmazonInspector", "aws-service-role/AmazonInspectorServiceRolePolicy", false},
	"inspector2.amazonaws.com":                               {"AmazonInspector2", "aws-service-role/AmazonInspector2ServiceRolePolicy", false},
	"ipam.amazonaws.com":                                     {"IPAM", "aws-service-role/AWSIPAMServiceRolePolicy", false},
	"kafka.amazonaws.com":                                    {"Kafka", "aws-service-role/KafkaServiceRolePolicy", false},
	"kafka.application-autoscaling.amazonaws.com":            {"ApplicationAutoScaling_KafkaCluster", "aws-service-role/AWSApplicationAutoscalingKafkaClusterPolicy", false},
	"kafkaconnect.amazonaws.com":                             {"KafkaConnect", "aws-service-role/KafkaConnectServiceRolePolicy", false},
	"lakeformation.amazonaws.com":                            {"LakeFormationDataAccess", "aws-service-role/LakeFormationDataAccessServiceRolePolicy", false},
	"lambda.application-autoscaling.amazonaws.com":           {"ApplicationAutoScaling_LambdaConcurrency", "aws-service-role/AWSApplicationAutoscalingLambdaConcurrencyPolicy", false},
	"lex.amazonaws.com":                                      {"LexBots", "aws-service-role/LexBotPolicy", false},
	"lexv2.amazonaws.com":                                    {"LexV2Bots", "aws-service-role/AmazonLexV2BotPolicy", true},
	"logger.cloudfront.amazonaws.com":                        {"CloudFrontLogger", "aws-service-role/AWSCloudFrontLogger", false},
	"macie.amazonaws.com":                                    {"AmazonMacie", "aws-service-role/AmazonMacieServiceRolePolicy", false},
	"maintenance.elasticbeanstalk.amazonaws.com":             {"ElasticBeanstalkMaintenance", "aws-service-role/AWSElasticBeanstalkMaintenance", false},
	"managedupdates.elasticbeanstalk.amazonaws.com":          {"ElasticBeanstalkManagedUpdates", "aws-service-role/AWSElasticBeanstalkManagedUpdatesServiceRolePolicy", false},
	"mediatailor.amazonaws.com":                              {"MediaTailor", "aws-service-role/AWSMediaTailorServiceRolePolicy", false},
	"memorydb.amazonaws.com":                                 {"MemoryDB", "aws-service-role/MemoryDBServiceRolePolicy", false},
	"neptune.application-autoscaling.amazonaws.com":          {"ApplicationAutoScaling_NeptuneCluster", "aws-service-role/AWSApplicationAutoscalingNeptuneClusterPolicy", false},
	"network-firewall.amazonaws.com":                         {"NetworkFirewall", "aws-service-role/AWSNetworkFirewallServiceRolePolicy", false},
	"networkmanager.amazonaws.com":                           {"NetworkManager", "aws-service-role/AWSNetworkManagerServiceRolePolicy", false},
	"opensearchservice.amazonaws.com":                        {"AmazonOpenSearchService", "aws-service-role/AmazonOpenSearchServiceRolePolicy", false},
	"ops.apigateway.amazonaws.com":                           {"APIGateway", "aws-service-role/APIGatewayServiceRolePolicy", false},
	"organizations.amazonaws.com":                            {"Organizations", "aws-service-role/AWSOrganizationsServiceTrustPolicy", false},
	"pullthroughcache.ecr.amazonaws.com":                     {"ECRPullThroughCache", "aws-service-role/AWSECRPullThroughCache_ServiceRolePolicy", false},
	"ram.amazonaws.com":                                      {"ResourceAccessManager", "aws-service-role/AWSResourceAccessManagerServiceRolePolicy", false},
	"rds.amazonaws.com":                                      {"RDS", "aws-service-role/AmazonRDSServiceRolePolicy", false},
	"rds.application-autoscaling.amazonaws.com":              {"ApplicationAutoScaling_RDSCluster", "aws-service-role/AWSApplicationAutoscalingRDSClusterPolicy", false},
	"redshift.amazonaws.com":                                 {"Redshift", "aws-service-role/AmazonRedshiftServiceLinkedRolePolicy", false},
	"replication.dynamodb.amazonaws.com":                     {"DynamoDBReplication", "aws-service-role/DynamoDBReplicationServiceRolePolicy", false},
	"replication.ecr.amazonaws.com":                          {"ECRReplication", "aws-service-role/ECRReplicationServiceRolePolicy", false},
	"replicator.lambda.amazonaws.com":                        {"LambdaReplicator", "aws-service-role/AWSLambdaReplicator", false},
	"rolesanywhere.amazonaws.com":                            {"RolesAnywhere", "aws-service-role/AWSRolesAnywhereServicePolicy", false},
	"route53resolver.amazonaws.com":                          {"Route53Resolver", "aws-service-role/Route53ResolverServiceRolePolicy", false},
	"sagemaker.application-autoscaling.amazonaws.com":        {"ApplicationAutoScaling_SageMakerEndpoint", "aws-service-role/AWSApplicationAutoscalingSageMakerEndpointPolicy", false},
	"securityhub.amazonaws.com":                              {"AWSSecurityHub", "aws-service-role/AWSSecurityHubServiceRolePolicy", false},
	"shield.amazonaws.com":                                   {"AWSShield", "aws-service-role/AWSShieldServiceRolePolicy", false},
	"spot.amazonaws.com":                                     {"EC2Spot", "aws-service-role/AWSEC2SpotServiceRolePolicy", false},
	"spotfleet.amazonaws.com":                                {"EC2SpotFleet", "aws-service-role/AWSEC2SpotFleetServiceRolePolicy", false},
	"ssm.amazonaws.com":                                      {"AmazonSSM", "aws-service-role/AmazonSSMServiceRolePolicy", false},
	"sso.amazonaws.com":                                      {"SSO", "aws-service-role/AWSSSOServiceRolePolicy", false},
	"support.amazonaws.com":                                  {"Support", "aws-service-role/AWSSupportServiceRolePolicy", false},
	"transitgateway.amazonaws.com":                           {"VPCTransitGateway", "aws-service-role/AWSVPCTransitGatewayServiceRolePolicy", false},
	"trustedadvisor.amazonaws.com":                           {"TrustedAdvisor", "aws-service-role/AWSTrustedAdvisorServiceRolePolicy", false},
	"vpc-lattice.amazonaws.com":                              {"VpcLattice", "aws-service-role/AWSVpcLatticeServiceRolePolicy", false},
	"waf-regional.amazonaws.com":                             {"WAFRegionalLogging", "aws-service-role/WAFRegionalLoggingServiceRolePolicy", false},
	"waf.amazonaws.com":                                      {"WAFLogging", "aws-service-role/WAFLoggingServiceRolePolicy", false},
	"wafv2.amazonaws.com":                                    {"WAFV2Logging", "aws-service-role/WAFV2LoggingServiceRolePolicy", false},
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
