package s3

import (
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"miniaws/awsapi"
	"miniaws/awsapi/meta"
)

// registerSettings registers the sub-resources of buckets.
func (s *Service) registerSettings(server *awsapi.Server) {
	server.Register(meta.S3,
		awsapi.Op(s.PutBucketVersioning, onBucket[s3.PutBucketVersioningInput](s, "s3:PutBucketVersioning"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketVersioning, onBucket[s3.GetBucketVersioningInput](s, "s3:GetBucketVersioning"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketAcl, onBucket[s3.PutBucketAclInput](s, "s3:PutBucketAcl", func(in *s3.PutBucketAclInput, keys conditions) {
			keys.acl(string(in.ACL), in.GrantFullControl, in.GrantRead, in.GrantReadACP, in.GrantWrite, in.GrantWriteACP)
		}), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketAcl, onBucket[s3.GetBucketAclInput](s, "s3:GetBucketAcl"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketOwnershipControls, onBucket[s3.PutBucketOwnershipControlsInput](s, "s3:PutBucketOwnershipControls"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketOwnershipControls, onBucket[s3.GetBucketOwnershipControlsInput](s, "s3:GetBucketOwnershipControls"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketOwnershipControls, onBucket[s3.DeleteBucketOwnershipControlsInput](s, "s3:PutBucketOwnershipControls"), awsapi.Unsigned()),
		awsapi.Op(s.PutPublicAccessBlock, onBucket[s3.PutPublicAccessBlockInput](s, "s3:PutBucketPublicAccessBlock"), awsapi.Unsigned()),
		awsapi.Op(s.GetPublicAccessBlock, onBucket[s3.GetPublicAccessBlockInput](s, "s3:GetBucketPublicAccessBlock"), awsapi.Unsigned()),
		awsapi.Op(s.DeletePublicAccessBlock, onBucket[s3.DeletePublicAccessBlockInput](s, "s3:PutBucketPublicAccessBlock"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketPolicy, onBucket[s3.PutBucketPolicyInput](s, "s3:PutBucketPolicy"), awsapi.Unsigned(), awsapi.Answers(204)), // AWS: PutBucketPolicy's sample answer
		awsapi.Op(s.GetBucketPolicy, onBucket[s3.GetBucketPolicyInput](s, "s3:GetBucketPolicy"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketPolicyStatus, onBucket[s3.GetBucketPolicyStatusInput](s, "s3:GetBucketPolicyStatus"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketPolicy, onBucket[s3.DeleteBucketPolicyInput](s, "s3:DeleteBucketPolicy"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketTagging, onBucket[s3.PutBucketTaggingInput](s, "s3:PutBucketTagging"), awsapi.Unsigned(), awsapi.Checksummed(), awsapi.Answers(204)),
		awsapi.Op(s.GetBucketTagging, onBucket[s3.GetBucketTaggingInput](s, "s3:GetBucketTagging"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketTagging, onBucket[s3.DeleteBucketTaggingInput](s, "s3:PutBucketTagging"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketCors, onBucket[s3.PutBucketCorsInput](s, "s3:PutBucketCORS"), awsapi.Unsigned(), awsapi.Checksummed()),
		awsapi.Op(s.GetBucketCors, onBucket[s3.GetBucketCorsInput](s, "s3:GetBucketCORS"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketCors, onBucket[s3.DeleteBucketCorsInput](s, "s3:PutBucketCORS"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketLifecycleConfiguration, onBucket[s3.PutBucketLifecycleConfigurationInput](s, "s3:PutLifecycleConfiguration"), awsapi.Unsigned(), awsapi.Checksummed()),
		awsapi.Op(s.GetBucketLifecycleConfiguration, onBucket[s3.GetBucketLifecycleConfigurationInput](s, "s3:GetLifecycleConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketLifecycle, onBucket[s3.DeleteBucketLifecycleInput](s, "s3:PutLifecycleConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketEncryption, onBucket[s3.PutBucketEncryptionInput](s, "s3:PutEncryptionConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketEncryption, onBucket[s3.GetBucketEncryptionInput](s, "s3:GetEncryptionConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketEncryption, onBucket[s3.DeleteBucketEncryptionInput](s, "s3:PutEncryptionConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketWebsite, onBucket[s3.PutBucketWebsiteInput](s, "s3:PutBucketWebsite"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketWebsite, onBucket[s3.GetBucketWebsiteInput](s, "s3:GetBucketWebsite"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketWebsite, onBucket[s3.DeleteBucketWebsiteInput](s, "s3:DeleteBucketWebsite"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketLogging, onBucket[s3.PutBucketLoggingInput](s, "s3:PutBucketLogging"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketLogging, onBucket[s3.GetBucketLoggingInput](s, "s3:GetBucketLogging"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketNotificationConfiguration, onBucket[s3.PutBucketNotificationConfigurationInput](s, "s3:PutBucketNotification"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketNotificationConfiguration, onBucket[s3.GetBucketNotificationConfigurationInput](s, "s3:GetBucketNotification"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketReplication, s.replicationAccess, awsapi.Unsigned()),
		awsapi.Op(s.GetBucketReplication, onBucket[s3.GetBucketReplicationInput](s, "s3:GetReplicationConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketReplication, onBucket[s3.DeleteBucketReplicationInput](s, "s3:PutReplicationConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketInventoryConfiguration, onBucket(s, "s3:PutInventoryConfiguration", inventoryFields), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketInventoryConfiguration, onBucket[s3.GetBucketInventoryConfigurationInput](s, "s3:GetInventoryConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketInventoryConfiguration, onBucket[s3.DeleteBucketInventoryConfigurationInput](s, "s3:PutInventoryConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.ListBucketInventoryConfigurations, onBucket[s3.ListBucketInventoryConfigurationsInput](s, "s3:GetInventoryConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketAnalyticsConfiguration, onBucket[s3.PutBucketAnalyticsConfigurationInput](s, "s3:PutAnalyticsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketAnalyticsConfiguration, onBucket[s3.GetBucketAnalyticsConfigurationInput](s, "s3:GetAnalyticsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketAnalyticsConfiguration, onBucket[s3.DeleteBucketAnalyticsConfigurationInput](s, "s3:PutAnalyticsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.ListBucketAnalyticsConfigurations, onBucket[s3.ListBucketAnalyticsConfigurationsInput](s, "s3:GetAnalyticsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketMetricsConfiguration, onBucket[s3.PutBucketMetricsConfigurationInput](s, "s3:PutMetricsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketMetricsConfiguration, onBucket[s3.GetBucketMetricsConfigurationInput](s, "s3:GetMetricsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketMetricsConfiguration, onBucket[s3.DeleteBucketMetricsConfigurationInput](s, "s3:PutMetricsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.ListBucketMetricsConfigurations, onBucket[s3.ListBucketMetricsConfigurationsInput](s, "s3:GetMetricsConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketIntelligentTieringConfiguration, onBucket[s3.PutBucketIntelligentTieringConfigurationInput](s, "s3:PutIntelligentTieringConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketIntelligentTieringConfiguration, onBucket[s3.GetBucketIntelligentTieringConfigurationInput](s, "s3:GetIntelligentTieringConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.DeleteBucketIntelligentTieringConfiguration, onBucket[s3.DeleteBucketIntelligentTieringConfigurationInput](s, "s3:PutIntelligentTieringConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.ListBucketIntelligentTieringConfigurations, onBucket[s3.ListBucketIntelligentTieringConfigurationsInput](s, "s3:GetIntelligentTieringConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutObjectLockConfiguration, onBucket[s3.PutObjectLockConfigurationInput](s, "s3:PutBucketObjectLockConfiguration"), awsapi.Unsigned(), awsapi.Checksummed()),
		awsapi.Op(s.GetObjectLockConfiguration, onBucket[s3.GetObjectLockConfigurationInput](s, "s3:GetBucketObjectLockConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketRequestPayment, onBucket[s3.PutBucketRequestPaymentInput](s, "s3:PutBucketRequestPayment"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketRequestPayment, onBucket[s3.GetBucketRequestPaymentInput](s, "s3:GetBucketRequestPayment"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketAccelerateConfiguration, onBucket[s3.PutBucketAccelerateConfigurationInput](s, "s3:PutAccelerateConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketAccelerateConfiguration, onBucket[s3.GetBucketAccelerateConfigurationInput](s, "s3:GetAccelerateConfiguration"), awsapi.Unsigned()),
		awsapi.Op(s.PutBucketAbac, onBucket[s3.PutBucketAbacInput](s, "s3:PutBucketAbac"), awsapi.Unsigned()),
		awsapi.Op(s.GetBucketAbac, onBucket[s3.GetBucketAbacInput](s, "s3:GetBucketAbac"), awsapi.Unsigned()),
	)
}
