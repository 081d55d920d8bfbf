package main

// Protocols in the order in which a client of today would choose them. The names are those of package meta.
const (
	awsQuery  = "AWSQuery"
	ec2Query  = "EC2Query"
	awsJSON10 = "AWSJSON10"
	awsJSON11 = "AWSJSON11"
	rpcv2CBOR = "RPCv2CBOR"
	restXML   = "RESTXML"
	restJSON  = "RESTJSON"
)

// entry is what the SDK's source does not say about a service, or not in a form worth reading.
type entry struct {
	module    string   // SDK module, also the name of the metadata
	ident     string   // Go identifier in package meta
	signing   string   // name in the credential scope
	endpoint  string   // first label of the endpoint's host name
	namespace string   // of XML answers
	targets   []string // X-Amz-Target prefixes; the schema's service name comes first on its own
	protocols []string
	botocore  string // folder in botocore's data
}

var catalog = []entry{
	{"acm", "ACM", "acm", "acm", "", nil, []string{awsJSON11}, "acm"},
	{"applicationautoscaling", "ApplicationAutoScaling", "application-autoscaling", "application-autoscaling", "", []string{"AnyScaleFrontendService"}, []string{awsJSON11}, "application-autoscaling"},
	{"autoscaling", "AutoScaling", "autoscaling", "autoscaling", "http://autoscaling.amazonaws.com/doc/2011-01-01/", nil, []string{awsQuery}, "autoscaling"},
	{"cloudformation", "CloudFormation", "cloudformation", "cloudformation", "http://cloudformation.amazonaws.com/doc/2010-05-15/", nil, []string{awsQuery}, "cloudformation"},
	{"cloudtrail", "CloudTrail", "cloudtrail", "cloudtrail", "", []string{"CloudTrail_20131101", "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101"}, []string{awsJSON11}, "cloudtrail"},
	{"cloudwatch", "CloudWatch", "monitoring", "monitoring", "http://monitoring.amazonaws.com/doc/2010-08-01/", nil, []string{rpcv2CBOR, awsJSON10, awsQuery}, "cloudwatch"},
	{"cloudwatchlogs", "CloudWatchLogs", "logs", "logs", "", nil, []string{awsJSON11}, "logs"},
	{"dlm", "DLM", "dlm", "dlm", "", nil, []string{restJSON}, "dlm"},
	{"ebs", "EBS", "ebs", "ebs", "", nil, []string{restJSON}, "ebs"},
	{"ec2", "EC2", "ec2", "ec2", "http://ec2.amazonaws.com/doc/2016-11-15/", nil, []string{ec2Query}, "ec2"},
	{"ec2instanceconnect", "EC2InstanceConnect", "ec2-instance-connect", "ec2-instance-connect", "", nil, []string{awsJSON11}, "ec2-instance-connect"},
	{"elasticache", "ElastiCache", "elasticache", "elasticache", "http://elasticache.amazonaws.com/doc/2015-02-02/", nil, []string{awsQuery}, "elasticache"},
	{"elasticloadbalancing", "ELB", "elasticloadbalancing", "elasticloadbalancing", "http://elasticloadbalancing.amazonaws.com/doc/2012-06-01/", nil, []string{awsQuery}, "elb"},
	{"elasticloadbalancingv2", "ELBv2", "elasticloadbalancing", "elasticloadbalancing", "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/", nil, []string{awsQuery}, "elbv2"},
	{"eventbridge", "EventBridge", "events", "events", "", nil, []string{awsJSON11}, "events"},
	{"iam", "IAM", "iam", "iam", "https://iam.amazonaws.com/doc/2010-05-08/", nil, []string{awsQuery}, "iam"},
	{"kms", "KMS", "kms", "kms", "", nil, []string{awsJSON11}, "kms"},
	{"organizations", "Organizations", "organizations", "organizations", "", nil, []string{awsJSON11}, "organizations"},
	{"rbin", "RBin", "rbin", "rbin", "", nil, []string{restJSON}, "rbin"},
	{"rds", "RDS", "rds", "rds", "http://rds.amazonaws.com/doc/2014-10-31/", nil, []string{awsQuery}, "rds"},
	{"resourcegroupstaggingapi", "Tagging", "tagging", "tagging", "", nil, []string{awsJSON11}, "resourcegroupstaggingapi"},
	{"route53", "Route53", "route53", "route53", "https://route53.amazonaws.com/doc/2013-04-01/", nil, []string{restXML}, "route53"},
	{"s3", "S3", "s3", "s3", "http://s3.amazonaws.com/doc/2006-03-01/", nil, []string{restXML}, "s3"},
	{"s3control", "S3Control", "s3", "s3-control", "http://awss3control.amazonaws.com/doc/2018-08-20/", nil, []string{restXML}, "s3control"},
	{"secretsmanager", "SecretsManager", "secretsmanager", "secretsmanager", "", nil, []string{awsJSON11}, "secretsmanager"},
	{"sns", "SNS", "sns", "sns", "http://sns.amazonaws.com/doc/2010-03-31/", nil, []string{awsQuery}, "sns"},
	{"sqs", "SQS", "sqs", "sqs", "http://queue.amazonaws.com/doc/2012-11-05/", nil, []string{awsJSON10, awsQuery}, "sqs"},
	{"ssm", "SSM", "ssm", "ssm", "", nil, []string{awsJSON11}, "ssm"},
	{"sts", "STS", "sts", "sts", "https://sts.amazonaws.com/doc/2011-06-15/", nil, []string{awsQuery}, "sts"},
}

// s3Roots are the root elements of S3's answers that are not named after their shape. Every SDK ignores the
// root's name; people and older tools do not.
var s3Roots = map[string]string{
	"CompleteMultipartUpload":            "CompleteMultipartUploadResult",
	"CopyObject":                         "CopyObjectResult",
	"CreateMultipartUpload":              "InitiateMultipartUploadResult",
	"CreateSession":                      "CreateSessionResult",
	"DeleteObjects":                      "DeleteResult",
	"GetBucketAccelerateConfiguration":   "AccelerateConfiguration",
	"GetBucketAcl":                       "AccessControlPolicy",
	"GetBucketCors":                      "CORSConfiguration",
	"GetBucketLifecycleConfiguration":    "LifecycleConfiguration",
	"GetBucketLocation":                  "LocationConstraint",
	"GetBucketLogging":                   "BucketLoggingStatus",
	"GetBucketNotificationConfiguration": "NotificationConfiguration",
	"GetBucketRequestPayment":            "RequestPaymentConfiguration",
	"GetBucketTagging":                   "Tagging",
	"GetBucketVersioning":                "VersioningConfiguration",
	"GetBucketWebsite":                   "WebsiteConfiguration",
	"GetObjectAcl":                       "AccessControlPolicy",
	"GetObjectAttributes":                "GetObjectAttributesResponse",
	"GetObjectTagging":                   "Tagging",
	"ListBuckets":                        "ListAllMyBucketsResult",
	"ListDirectoryBuckets":               "ListAllMyDirectoryBucketsResult",
	"ListMultipartUploads":               "ListMultipartUploadsResult",
	"ListObjectVersions":                 "ListVersionsResult",
	"ListObjects":                        "ListBucketResult",
	"ListObjectsV2":                      "ListBucketResult",
	"ListParts":                          "ListPartsResult",
	"UploadPartCopy":                     "CopyPartResult",
}
