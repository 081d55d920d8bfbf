package s3

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// maxPolicy is how long a bucket policy may be, in bytes.
// AWS: "Bucket policies for Amazon S3".
const maxPolicy = 20 << 10

// texts is a JSON string or a list of them.
type texts []string

func (t *texts) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*t = texts{one}
		return nil
	}
	// Condition values may be numbers and booleans too.
	var many []any
	if json.Unmarshal(raw, &many) != nil {
		var scalar any
		if err := json.Unmarshal(raw, &scalar); err != nil {
			return err
		}
		many = []any{scalar}
	}
	*t = texts{}
	for _, value := range many {
		switch v := value.(type) {
		case string:
			*t = append(*t, v)
		case bool, float64:
			text, err := json.Marshal(v)
			if err != nil {
				return err
			}
			*t = append(*t, string(text))
		default:
			return errors.New("neither a string nor a list of strings")
		}
	}
	return nil
}

// policyPrincipal is "*" or an object of lists.
type policyPrincipal struct {
	Everybody bool
	Named     map[string]texts
}

func (p *policyPrincipal) UnmarshalJSON(raw []byte) error {
	if string(raw) == `"*"` {
		p.Everybody = true
		return nil
	}
	return json.Unmarshal(raw, &p.Named)
}

// policyStatement is as much of a statement as S3 itself looks at; the rest is the policy engine's.
type policyStatement struct {
	Effect       string
	Principal    *policyPrincipal
	NotPrincipal *policyPrincipal
	Action       texts
	NotAction    texts
	Resource     texts
	NotResource  texts
	Condition    map[string]map[string]texts
}

type policyDocument struct {
	Version   string
	Statement statementList
}

// statementList is a statement or a list of them.
type statementList []policyStatement

func (l *statementList) UnmarshalJSON(raw []byte) error {
	if raw[0] != '{' {
		return json.Unmarshal(raw, (*[]policyStatement)(l))
	}
	*l = make(statementList, 1)
	return json.Unmarshal(raw, &(*l)[0])
}

func errMalformedPolicy(message string) error {
	return refusal(http.StatusBadRequest, "MalformedPolicy", message)
}

// checkPolicy refuses what is no policy for these resources: ARNs of a bucket or an access point and what is below it.
// AWS: "Error responses", MalformedPolicy; the words are what the service answers.
func (s *Service) checkPolicy(ctx context.Context, document string, resources ...string) (*policyDocument, error) {
	var p policyDocument
	switch {
	case !strings.HasPrefix(document, "{"):
		return nil, errMalformedPolicy("Policies must be valid JSON and the first byte must be '{'")
	case len(document) > maxPolicy:
		return nil, errMalformedPolicy("Normalized policy document exceeds the maximum allowed size of 20480 bytes.")
	case !json.Valid([]byte(document)):
		return nil, errMalformedPolicy("This policy contains invalid Json")
	}
	var top map[string]json.RawMessage
	if json.Unmarshal([]byte(document), &top) == nil && top["Statement"] == nil {
		return nil, errMalformedPolicy("Missing required field Statement")
	}
	if s.checkDocument != nil {
		if err := s.checkDocument(ctx, document); err != nil {
			return nil, errMalformedPolicy(err.Error())
		}
	}
	if err := json.Unmarshal([]byte(document), &p); err != nil {
		return nil, errMalformedPolicy("Invalid policy syntax.")
	}
	if len(p.Statement) == 0 {
		return nil, errMalformedPolicy("Could not parse the policy: Statement is empty!")
	}
	for _, st := range p.Statement {
		if err := checkStatement(st, resources); err != nil {
			return nil, err
		}
	}
	return &p, nil
}

func checkStatement(st policyStatement, resources []string) error {
	switch {
	case st.Principal == nil && st.NotPrincipal == nil:
		return errMalformedPolicy("Missing required field Principal")
	case st.Effect != "Allow" && st.Effect != "Deny":
		return errMalformedPolicy("Invalid effect: " + st.Effect)
	case len(st.Action)+len(st.NotAction) == 0:
		return errMalformedPolicy("Missing required field Action")
	case len(st.Resource)+len(st.NotResource) == 0:
		return errMalformedPolicy("Missing required field Resource")
	}
	for _, action := range slices.Concat(st.Action, st.NotAction) {
		service, name, ok := strings.Cut(strings.ToLower(action), ":")
		known := strings.ContainsAny(name, "*?") || objectActions[name] || otherActions[name]
		if action != "*" && (!ok || service != "s3" || !known) {
			return errMalformedPolicy("Policy has invalid action")
		}
	}
	ofBucket, ofObjects := false, false
	for _, resource := range slices.Concat(st.Resource, st.NotResource) {
		bucket, below := reaches(resource, resources)
		if !bucket && !below {
			return errMalformedPolicy("Policy has invalid resource")
		}
		ofBucket, ofObjects = ofBucket || bucket, ofObjects || below
	}
	if len(st.NotResource) > 0 {
		return nil
	}
	for _, action := range st.Action {
		forObjects, forBuckets := actionTargets(action)
		if (!forObjects || !ofObjects) && (!forBuckets || !ofBucket) {
			return errMalformedPolicy("Action does not apply to any resource(s) in statement")
		}
	}
	return nil
}

// reaches tells whether a pattern can mean one of the resources itself, and whether something below one.
func reaches(pattern string, resources []string) (itself, below bool) {
	for _, resource := range resources {
		if strings.HasPrefix(pattern, resource+"/") {
			below = true
			continue
		}
		// Up to its first wildcard the pattern must agree with the resource.
		fixed := pattern
		wild := strings.IndexAny(pattern, "*?$")
		if wild >= 0 {
			fixed = pattern[:wild]
		}
		switch {
		case wild < 0:
			itself = itself || pattern == resource
		case strings.HasPrefix(resource, fixed):
			itself, below = true, true
		}
	}
	return itself, below
}

// actionTargets tells whether an action, or one that its wildcards mean, is on objects or on buckets.
// AWS: "Actions, resources, and condition keys for Amazon S3".
func actionTargets(action string) (objects, bucketsToo bool) {
	name := strings.ToLower(strings.TrimPrefix(strings.ToLower(action), "s3:"))
	if strings.ContainsAny(name, "*?") {
		return true, true
	}
	return objectActions[name], !objectActions[name]
}

// objectActions are the actions on objects, in lower case.
var objectActions = func() map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(`AbortMultipartUpload BypassGovernanceRetention DeleteObject DeleteObjectAnnotation DeleteObjectTagging
		DeleteObjectVersion DeleteObjectVersionAnnotation DeleteObjectVersionTagging GetObject GetObjectAcl
		GetObjectAnnotation GetObjectAttributes GetObjectLegalHold GetObjectRetention GetObjectTagging GetObjectTorrent
		GetObjectVersion GetObjectVersionAcl GetObjectVersionAnnotation GetObjectVersionAnnotationForReplication
		GetObjectVersionAttributes GetObjectVersionForReplication GetObjectVersionTagging GetObjectVersionTorrent
		InitiateReplication ListMultipartUploadParts ListObjectAnnotations ListObjectVersionAnnotations
		ObjectOwnerOverrideToBucketOwner PutObject PutObjectAcl PutObjectAnnotation PutObjectLegalHold PutObjectRetention
		PutObjectTagging PutObjectVersionAcl PutObjectVersionAnnotation PutObjectVersionTagging ReplicateDelete
		ReplicateObject ReplicateObjectAnnotation ReplicateTags RestoreObject UpdateObjectEncryption`) {
		all[strings.ToLower(name)] = true
	}
	return all
}()

// otherActions are the rest of S3's actions, in lower case.
// AWS: "Actions, resources, and condition keys for Amazon S3".
var otherActions = func() map[string]bool {
	all := map[string]bool{}
	for name := range strings.FieldsSeq(`AllowVendedLogDeliveryForResource AssociateAccessGrantsIdentityCenter CreateAccessGrant CreateAccessGrantsInstance
		CreateAccessGrantsLocation CreateAccessPoint CreateAccessPointForObjectLambda CreateBucket
		CreateBucketMetadataTableConfiguration CreateJob CreateMultiRegionAccessPoint CreateStorageLensGroup DeleteAccessGrant
		DeleteAccessGrantsInstance DeleteAccessGrantsInstanceResourcePolicy DeleteAccessGrantsLocation DeleteAccessPoint
		DeleteAccessPointForObjectLambda DeleteAccessPointPolicy DeleteAccessPointPolicyForObjectLambda DeleteBucket
		DeleteBucketMetadataTableConfiguration DeleteBucketPolicy DeleteBucketWebsite DeleteJobTagging
		DeleteMultiRegionAccessPoint DeleteStorageLensConfiguration DeleteStorageLensConfigurationTagging
		DeleteStorageLensGroup DescribeJob DescribeMultiRegionAccessPointOperation DissociateAccessGrantsIdentityCenter
		GetAccelerateConfiguration GetAccessGrant GetAccessGrantsInstance GetAccessGrantsInstanceForPrefix
		GetAccessGrantsInstanceResourcePolicy GetAccessGrantsLocation GetAccessPoint
		GetAccessPointConfigurationForObjectLambda GetAccessPointForObjectLambda GetAccessPointPolicy
		GetAccessPointPolicyForObjectLambda GetAccessPointPolicyStatus GetAccessPointPolicyStatusForObjectLambda
		GetAccountPublicAccessBlock GetAnalyticsConfiguration GetBucketAbac GetBucketAcl GetBucketCORS GetBucketLocation
		GetBucketLogging GetBucketMetadataTableConfiguration GetBucketNotification GetBucketObjectLockConfiguration
		GetBucketOwnershipControls GetBucketPolicy GetBucketPolicyStatus GetBucketPublicAccessBlock GetBucketRequestPayment
		GetBucketTagging GetBucketVersioning GetBucketWebsite GetDataAccess GetEncryptionConfiguration
		GetIntelligentTieringConfiguration GetInventoryConfiguration GetJobTagging GetLifecycleConfiguration
		GetMetricsConfiguration GetMultiRegionAccessPoint GetMultiRegionAccessPointPolicy
		GetMultiRegionAccessPointPolicyStatus GetMultiRegionAccessPointRoutes GetReplicationConfiguration
		GetStorageLensConfiguration GetStorageLensConfigurationTagging GetStorageLensDashboard GetStorageLensGroup
		ListAccessGrants ListAccessGrantsInstances ListAccessGrantsLocations ListAccessPoints ListAccessPointsForObjectLambda
		ListAllMyBuckets ListBucket ListBucketMultipartUploads ListBucketVersions ListCallerAccessGrants ListJobs
		ListMultiRegionAccessPoints ListStorageLensConfigurations ListStorageLensGroups ListTagsForResource PauseReplication
		PutAccelerateConfiguration PutAccessGrantsInstanceResourcePolicy PutAccessPointConfigurationForObjectLambda
		PutAccessPointPolicy PutAccessPointPolicyForObjectLambda PutAccessPointPublicAccessBlock PutAccountPublicAccessBlock
		PutAnalyticsConfiguration PutBucketAbac PutBucketAcl PutBucketCORS PutBucketLogging PutBucketNotification
		PutBucketObjectLockConfiguration PutBucketOwnershipControls PutBucketPolicy PutBucketPublicAccessBlock
		PutBucketRequestPayment PutBucketTagging PutBucketVersioning PutBucketWebsite PutEncryptionConfiguration
		PutIntelligentTieringConfiguration PutInventoryConfiguration PutJobTagging PutLifecycleConfiguration
		PutMetricsConfiguration PutMultiRegionAccessPointPolicy PutReplicationConfiguration PutStorageLensConfiguration
		PutStorageLensConfigurationTagging SubmitMultiRegionAccessPointRoutes TagResource UntagResource
		UpdateAccessGrantsLocation UpdateBucketMetadataAnnotationTableConfiguration
		UpdateBucketMetadataInventoryTableConfiguration UpdateBucketMetadataJournalTableConfiguration UpdateJobPriority
		UpdateJobStatus UpdateStorageLensGroup`) {
		all[strings.ToLower(name)] = true
	}
	return all
}()

// PutBucketPolicy replaces the bucket's policy.
//
// AWS: "Blocking public access": BlockPublicPolicy answers 403. The safety check that a caller must not lock itself out
// is left to the caller, who says ConfirmRemoveSelfBucketAccess; root always gets back in.
func (s *Service) PutBucketPolicy(ctx context.Context, in *s3.PutBucketPolicyInput) (*s3.PutBucketPolicyOutput, error) {
	document := aws.ToString(in.Policy)
	if document == "" {
		return nil, refusal(http.StatusBadRequest, "MissingRequestBodyError", "Request Body is empty")
	}
	return &s3.PutBucketPolicyOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		p, err := s.checkPolicy(ctx, document, b.arn())
		if err != nil {
			return err
		}
		block, err := blockOf(tx, b)
		if err != nil {
			return err
		}
		if block.BlockPolicy && p.public() {
			return errPublicPolicy(ctx, b.arn())
		}
		b.mark(kindPolicy, true)
		return putSetting(tx, b.Name, kindPolicy, "", document)
	})
}

// GetBucketPolicy answers the document as it was put.
func (s *Service) GetBucketPolicy(ctx context.Context, in *s3.GetBucketPolicyInput) (*s3.GetBucketPolicyOutput, error) {
	document, b, err := getConfig[string](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindPolicy)
	if err != nil {
		return nil, err
	}
	if document == nil {
		return nil, errNoPolicy(b.Name)
	}
	return &s3.GetBucketPolicyOutput{Policy: document}, nil
}

func errNoPolicy(bucket string) error {
	return errNotSet("NoSuchBucketPolicy", "The bucket policy does not exist", bucket)
}

// DeleteBucketPolicy succeeds when there is none.
func (s *Service) DeleteBucketPolicy(ctx context.Context, in *s3.DeleteBucketPolicyInput) (*s3.DeleteBucketPolicyOutput, error) {
	return &s3.DeleteBucketPolicyOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindPolicy)
}

// GetBucketPolicyStatus tells whether the policy makes the bucket public.
func (s *Service) GetBucketPolicyStatus(ctx context.Context, in *s3.GetBucketPolicyStatusInput) (*s3.GetBucketPolicyStatusOutput, error) {
	document, b, err := getConfig[string](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindPolicy)
	if err != nil {
		return nil, err
	}
	if document == nil {
		return nil, errNoPolicy(b.Name)
	}
	return &s3.GetBucketPolicyStatusOutput{PolicyStatus: &types.PolicyStatus{IsPublic: aws.Bool(isPublicPolicy(*document))}}, nil
}

// isPublicPolicy is for documents that were checked before; one that cannot be read is taken for public.
func isPublicPolicy(document string) bool {
	var p policyDocument
	return json.Unmarshal([]byte(document), &p) != nil || p.public()
}

// public tells whether the policy gives something to everybody.
// AWS: "Blocking public access to your Amazon S3 storage", the meaning of "public".
func (p *policyDocument) public() bool {
	return slices.ContainsFunc(p.Statement, func(st policyStatement) bool {
		if st.Effect != "Allow" {
			return false
		}
		everybody := st.NotPrincipal != nil || st.Principal.Everybody || slices.Contains(st.Principal.Named["AWS"], "*")
		return everybody && !st.narrowed()
	})
}

// narrowing are the condition keys that make a statement for everybody not public, when their values are fixed.
var narrowing = []string{
	"aws:sourceip", "aws:sourcearn", "aws:sourcevpc", "aws:sourcevpce", "aws:sourceowner", "aws:sourceaccount", "aws:userid",
	"aws:principalorgid", "aws:principalorgpaths", "aws:principalarn", "aws:principalaccount", "aws:principalservicename",
	"s3:x-amz-server-side-encryption-aws-kms-key-id", "s3:dataaccesspointarn", "s3:dataaccesspointaccount",
}

func (st policyStatement) narrowed() bool {
	for operator, keys := range st.Condition {
		operator = strings.TrimPrefix(strings.TrimPrefix(operator, "ForAnyValue:"), "ForAllValues:")
		switch operator {
		case "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress":
		default:
			continue
		}
		for key, values := range keys {
			key = strings.ToLower(key)
			if slices.Contains(narrowing, key) && len(values) > 0 && !slices.ContainsFunc(values, func(v string) bool { return !fixedValue(key, v) }) {
				return true
			}
		}
	}
	return false
}

// fixedValue tells whether a condition's value means few enough.
func fixedValue(key, value string) bool {
	switch key {
	case "aws:sourceip":
		prefix, err := netip.ParsePrefix(value)
		if err != nil {
			_, err = netip.ParseAddr(value)
			return err == nil
		}
		// AWS: ranges wider than /8 (IPv4) and /32 (IPv6) count as public.
		return prefix.Addr().Is4() && prefix.Bits() >= 8 || prefix.Addr().Is6() && prefix.Bits() >= 32
	case "s3:dataaccesspointarn":
		// The access point's name may be a wildcard when account and region are fixed.
		parts := strings.SplitN(value, ":", 6)
		return len(parts) == 6 && !strings.ContainsAny(strings.Join(parts[:5], ""), "*?$")
	}
	return !strings.ContainsAny(value, "*?") && !strings.Contains(value, "${")
}
