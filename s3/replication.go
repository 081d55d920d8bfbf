package s3

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// maxReplicationRules is how many rules a bucket replicates by at most.
// AWS: "Replication configuration file elements".
const maxReplicationRules = 1000

// PutBucketReplication replaces the configuration. Objects that are written from now on are replicated.
func (s *Service) PutBucketReplication(ctx context.Context, in *s3.PutBucketReplicationInput) (*s3.PutBucketReplicationOutput, error) {
	c := in.ReplicationConfiguration
	if c == nil || len(c.Rules) == 0 || len(c.Rules) > maxReplicationRules {
		return nil, errMalformedXML()
	}
	ids, priorities := map[string]bool{}, map[int32]bool{}
	for _, rule := range c.Rules {
		if err := checkReplicationRule(rule); err != nil {
			return nil, err
		}
		if id := aws.ToString(rule.ID); id != "" {
			switch {
			case len(id) > maxRuleID:
				return nil, errInvalidArgument("ID length should not exceed allowed limit of 255", "ID", id)
			case ids[id]:
				return nil, errInvalidArgument("Rule Id must be unique", "ID", id)
			}
			ids[id] = true
		}
		if rule.Filter != nil && rule.Status == types.ReplicationRuleStatusEnabled {
			if priorities[aws.ToInt32(rule.Priority)] {
				return nil, errInvalidRequest("Found duplicate priority. The priority must be unique for each enabled rule.")
			}
			priorities[aws.ToInt32(rule.Priority)] = true
		}
	}
	if role := aws.ToString(c.Role); !strings.HasPrefix(role, "arn:aws:iam::") || !strings.Contains(role, ":role/") {
		return nil, errInvalidArgument("Invalid Role ARN", "Role", aws.ToString(c.Role))
	}
	return &s3.PutBucketReplicationOutput{}, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		if b.Versioning != types.BucketVersioningStatusEnabled {
			return errInvalidRequest("Versioning must be 'Enabled' on the bucket to apply a replication configuration")
		}
		rules := slices.Clone(c.Rules)
		for i := range rules {
			if aws.ToString(rules[i].ID) == "" {
				rules[i].ID = aws.String(tx.NewID("rule-"))
			}
			if err := checkDestination(tx, rules[i].Destination); err != nil {
				return err
			}
		}
		b.mark(kindReplication, true)
		return putSetting(tx, b.Name, kindReplication, "", types.ReplicationConfiguration{Role: c.Role, Rules: rules})
	})
}

// replicationAccess asks for the role, too, with which S3 will copy.
// AWS: "PutBucketReplication" in the S3 API reference: it takes iam:PassRole.
func (s *Service) replicationAccess(ctx context.Context, in *s3.PutBucketReplicationInput) ([]awsapi.Access, error) {
	wanted, err := onBucket[s3.PutBucketReplicationInput](s, "s3:PutReplicationConfiguration")(ctx, in)
	if c := in.ReplicationConfiguration; err == nil && c != nil && strings.HasPrefix(aws.ToString(c.Role), "arn:aws:iam::") {
		wanted = append(wanted, awsapi.PassRole(*c.Role, "s3.amazonaws.com"))
	}
	return wanted, err
}

func checkReplicationRule(r types.ReplicationRule) error {
	if !slices.Contains(r.Status.Values(), r.Status) || r.Destination == nil || aws.ToString(r.Destination.Bucket) == "" {
		return errMalformedXML()
	}
	if r.Filter != nil {
		switch {
		case r.Prefix != nil: //nolint:staticcheck // Prefix is how rules were filtered first
			return errMalformedXML()
		case r.Priority == nil:
			return errInvalidRequest("Priority must be specified for this version of Cross Region Replication configuration schema.")
		case r.DeleteMarkerReplication == nil:
			return errInvalidRequest("DeleteMarkerReplication must be specified for this version of Cross Region Replication configuration schema. Please refer to S3 Developer Guide for more information.")
		}
		if err := checkReplicationFilter(r.Filter); err != nil {
			return err
		}
		tagged := r.Filter.Tag != nil || r.Filter.And != nil && len(r.Filter.And.Tags) > 0
		if tagged && r.DeleteMarkerReplication.Status == types.DeleteMarkerReplicationStatusEnabled {
			return errInvalidRequest("Delete marker replication is not supported if any Tag filter is specified. Please refer to S3 Developer Guide for more information.")
		}
	}
	if class := r.Destination.StorageClass; class != "" && !slices.Contains(class.Values(), class) {
		return errMalformedXML()
	}
	encrypted := r.SourceSelectionCriteria != nil && r.SourceSelectionCriteria.SseKmsEncryptedObjects != nil
	switch key := r.Destination.EncryptionConfiguration; {
	case encrypted && r.SourceSelectionCriteria.SseKmsEncryptedObjects.Status == types.SseKmsEncryptedObjectsStatusEnabled && (key == nil || aws.ToString(key.ReplicaKmsKeyID) == ""):
		return errInvalidRequest("ReplicaKmsKeyID must be specified if SseKmsEncryptedObjects tag is present.")
	case key != nil && !encrypted:
		return errInvalidRequest("SseKmsEncryptedObjects must be specified if EncryptionConfiguration is present.")
	}
	if err := checkReplicationTime(r.Destination.ReplicationTime, r.Destination.Metrics); err != nil {
		return err
	}
	if t := r.Destination.AccessControlTranslation; t != nil && aws.ToString(r.Destination.Account) == "" {
		return errInvalidRequest("Account must be specified when AccessControlTranslation is specified.")
	}
	return nil
}

// checkReplicationFilter takes one thing to filter by, or several below And.
func checkReplicationFilter(f *types.ReplicationRuleFilter) error {
	given := 0
	for _, is := range []bool{f.And != nil, f.Prefix != nil, f.Tag != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		return errMalformedXML()
	}
	if a := f.And; a != nil && (len(a.Tags) == 0 || a.Prefix == nil && len(a.Tags) < 2) {
		return errMalformedXML()
	}
	return nil
}

// checkDestination refuses a destination that cannot take replicas.
func checkDestination(tx store.Tx, d *types.Destination) error {
	name, ok := strings.CutPrefix(aws.ToString(d.Bucket), "arn:aws:s3:::")
	if !ok || strings.Contains(name, "/") {
		return errInvalidArgument("Invalid bucket ARN", "Bucket", aws.ToString(d.Bucket))
	}
	target, err := findBucket(tx, name)
	switch {
	case err != nil:
		return err
	case target == nil:
		return errInvalidRequest("Destination bucket must exist.")
	case target.Versioning != types.BucketVersioningStatusEnabled:
		return errInvalidRequest("Destination bucket must have versioning enabled.")
	}
	return nil
}

// GetBucketReplication answers the rules in their order.
func (s *Service) GetBucketReplication(ctx context.Context, in *s3.GetBucketReplicationInput) (*s3.GetBucketReplicationOutput, error) {
	c, b, err := getConfig[types.ReplicationConfiguration](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindReplication)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, refusal(http.StatusNotFound, "ReplicationConfigurationNotFoundError", "The replication configuration was not found", "BucketName", b.Name)
	}
	return &s3.GetBucketReplicationOutput{ReplicationConfiguration: c}, nil
}

// DeleteBucketReplication succeeds when there is none.
func (s *Service) DeleteBucketReplication(ctx context.Context, in *s3.DeleteBucketReplicationInput) (*s3.DeleteBucketReplicationOutput, error) {
	return &s3.DeleteBucketReplicationOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindReplication)
}

// checkReplicationTime compares what a rule says of its time with what it says of its metrics.
//
// AWS: API reference of ReplicationTime ("Must be specified together with a Metrics block") and ReplicationTimeValue
// ("Valid value: 15"), which name no code. That of a threshold is as crossplane-contrib/provider-aws's issue 1117 and
// pulumi-aws's issue 5806 quote it; the others have the same.
func checkReplicationTime(within *types.ReplicationTime, metrics *types.Metrics) error {
	enabled := within != nil && within.Status == types.ReplicationTimeStatusEnabled
	var times []*types.ReplicationTimeValue
	if metrics != nil && metrics.EventThreshold != nil {
		if !enabled {
			return errInvalidArgument("Metrics cannot contain an event threshold when ReplicationTime is not specified or Disabled", "Metrics", "")
		}
		times = append(times, metrics.EventThreshold)
	}
	if within != nil {
		if within.Time == nil {
			return errMalformedXML()
		}
		times = append(times, within.Time)
	}
	if enabled && metrics == nil {
		return errInvalidArgument("ReplicationTime must be specified together with Metrics", "ReplicationTime", "")
	}
	for _, t := range times {
		if minutes := aws.ToInt32(t.Minutes); minutes != 15 {
			return errInvalidArgument("The time of ReplicationTime and Metrics must be 15 minutes", "Minutes", strconv.Itoa(int(minutes)))
		}
	}
	return nil
}
