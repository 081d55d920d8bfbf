package s3

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
)

func after(n int32, class types.TransitionStorageClass) types.Transition {
	return types.Transition{Days: aws.Int32(n), StorageClass: class}
}

func on(date time.Time, class types.TransitionStorageClass) types.Transition {
	return types.Transition{Date: &date, StorageClass: class}
}

func noncurrent(n int32, class types.TransitionStorageClass) []types.NoncurrentVersionTransition {
	return []types.NoncurrentVersionTransition{{NoncurrentDays: aws.Int32(n), StorageClass: class}}
}

// AWS: "Transitioning objects using Amazon S3 Lifecycle", "Constraints and considerations"; "Lifecycle configuration elements".
func TestRefusedLifecycleRules(t *testing.T) {
	s := newSite(t)
	const ia, glacier, deep = types.TransitionStorageClassStandardIa, types.TransitionStorageClassGlacier, types.TransitionStorageClassDeepArchive
	date := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	next, last := date.AddDate(0, 0, 1), date.AddDate(0, 0, 2)
	for name, c := range map[string]struct {
		rule types.LifecycleRule
		code string
	}{
		"colder later":            {types.LifecycleRule{Transitions: []types.Transition{after(30, ia), after(60, glacier), after(61, deep)}}, ""},
		"in any order":            {types.LifecycleRule{Transitions: []types.Transition{after(60, glacier), after(30, ia)}}, ""},
		"at once":                 {types.LifecycleRule{Transitions: []types.Transition{after(0, glacier)}}, ""},
		"neither days nor date":   {types.LifecycleRule{Transitions: []types.Transition{{StorageClass: glacier}}}, "MalformedXML"},
		"one class twice":         {types.LifecycleRule{Transitions: []types.Transition{after(1, glacier), after(2, glacier)}}, "InvalidRequest"},
		"up again":                {types.LifecycleRule{Transitions: []types.Transition{after(60, deep), after(61, glacier)}}, "InvalidArgument"},
		"30 days in IA":           {types.LifecycleRule{Transitions: []types.Transition{after(30, ia), after(59, glacier)}}, "InvalidArgument"},
		"29 days before IA":       {types.LifecycleRule{Transitions: []types.Transition{after(29, ia)}}, "InvalidArgument"},
		"days and a date":         {types.LifecycleRule{Transitions: []types.Transition{after(1, glacier), {Date: &date, StorageClass: deep}}}, "InvalidRequest"},
		"days until a date":       {types.LifecycleRule{Transitions: []types.Transition{after(1, glacier)}, Expiration: &types.LifecycleExpiration{Date: &date}}, "InvalidRequest"},
		"a date until days":       {types.LifecycleRule{Transitions: []types.Transition{{Date: &date, StorageClass: deep}}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)}}, "InvalidRequest"},
		"dates in their order":    {types.LifecycleRule{Transitions: []types.Transition{on(date, glacier), on(next, deep)}, Expiration: &types.LifecycleExpiration{Date: &last}}, ""},
		"one date for two":        {types.LifecycleRule{Transitions: []types.Transition{on(date, deep), on(date, glacier)}}, "InvalidArgument"},
		"up again at a date":      {types.LifecycleRule{Transitions: []types.Transition{on(next, glacier), on(date, deep)}}, "InvalidArgument"},
		"gone before it moves":    {types.LifecycleRule{Transitions: []types.Transition{on(next, glacier)}, Expiration: &types.LifecycleExpiration{Date: &date}}, "InvalidArgument"},
		"gone as it moves":        {types.LifecycleRule{Transitions: []types.Transition{on(date, glacier)}, Expiration: &types.LifecycleExpiration{Date: &date}}, "InvalidArgument"},
		"noncurrent":              {types.LifecycleRule{NoncurrentVersionTransitions: noncurrent(30, ia), NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(31)}}, ""},
		"noncurrent in IA":        {types.LifecycleRule{NoncurrentVersionTransitions: noncurrent(29, ia)}, "InvalidArgument"},
		"noncurrent, too late":    {types.LifecycleRule{NoncurrentVersionTransitions: noncurrent(9, glacier), NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(9)}}, "InvalidArgument"},
		"noncurrent, some kept":   {types.LifecycleRule{NoncurrentVersionTransitions: noncurrent(9, glacier), NoncurrentVersionExpiration: &types.NoncurrentVersionExpiration{NoncurrentDays: aws.Int32(9), NewerNoncurrentVersions: aws.Int32(2)}}, ""},
		"a prefix of the old way": {types.LifecycleRule{Prefix: aws.String("x"), Transitions: []types.Transition{after(1, glacier)}}, "InvalidRequest"}, //nolint:staticcheck // how rules were filtered first
	} {
		t.Run(name, func(t *testing.T) {
			c.rule.Status = types.ExpirationStatusEnabled
			if c.rule.Filter == nil && c.rule.Prefix == nil { //nolint:staticcheck // as above
				c.rule.Filter = &types.LifecycleRuleFilter{Prefix: aws.String("")}
			}
			rules := []types.LifecycleRule{c.rule, {
				Status: types.ExpirationStatusEnabled, Filter: &types.LifecycleRuleFilter{Prefix: aws.String("")}, Expiration: &types.LifecycleExpiration{Days: aws.Int32(1)},
			}}
			_, err := s.client.PutBucketLifecycleConfiguration(t.Context(), &s3.PutBucketLifecycleConfigurationInput{
				Bucket: aws.String("bucket"), LifecycleConfiguration: &types.BucketLifecycleConfiguration{Rules: rules},
			})
			wantCode(t, err, c.code)
		})
	}
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	var said smithy.APIError
	if code == "" && err != nil || code != "" && (!errors.As(err, &said) || said.ErrorCode() != code) {
		t.Errorf("want %q, got %v", code, err)
	}
}

// AWS: API reference of PutBucketReplication; "Replication configuration file elements".
func TestRefusedReplicationRules(t *testing.T) {
	s := newSite(t)
	bucket := aws.String("bucket")
	if _, err := s.client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
		t.Fatal(err)
	}
	tag := types.Tag{Key: aws.String("a"), Value: aws.String("b")}
	const role = "arn:aws:iam::123456789012:role/r"
	kms := &types.SourceSelectionCriteria{SseKmsEncryptedObjects: &types.SseKmsEncryptedObjects{Status: types.SseKmsEncryptedObjectsStatusEnabled}}
	minutes := func(n int32) *types.ReplicationTime {
		return &types.ReplicationTime{Status: types.ReplicationTimeStatusEnabled, Time: &types.ReplicationTimeValue{Minutes: &n}}
	}
	for name, c := range map[string]struct {
		role   string
		filter types.ReplicationRuleFilter
		from   *types.SourceSelectionCriteria
		key    *types.EncryptionConfiguration
		within *types.ReplicationTime
		silent bool // no metrics with it
		id     int
		code   string
	}{
		"by prefix":                {role: role, filter: types.ReplicationRuleFilter{Prefix: aws.String("a")}},
		"by two":                   {role: role, filter: types.ReplicationRuleFilter{And: &types.ReplicationRuleAndOperator{Prefix: aws.String("a"), Tags: []types.Tag{tag}}}},
		"by two without And":       {role: role, filter: types.ReplicationRuleFilter{Prefix: aws.String("a"), Tag: &tag}, code: "MalformedXML"},
		"And of one":               {role: role, filter: types.ReplicationRuleFilter{And: &types.ReplicationRuleAndOperator{Prefix: aws.String("a")}}, code: "MalformedXML"},
		"a user":                   {role: "arn:aws:iam::123456789012:user/u", code: "InvalidArgument"},
		"a long id":                {role: role, id: 256, code: "InvalidArgument"},
		"metrics without a time":   {role: role, within: &types.ReplicationTime{Status: types.ReplicationTimeStatusDisabled, Time: &types.ReplicationTimeValue{Minutes: aws.Int32(15)}}, code: "InvalidArgument"},
		"metrics and a time":       {role: role, within: minutes(15)},
		"a time without metrics":   {role: role, within: minutes(15), silent: true, code: "InvalidArgument"},
		"another time":             {role: role, within: minutes(10), code: "InvalidArgument"},
		"KMS with a key":           {role: role, from: kms, key: &types.EncryptionConfiguration{ReplicaKmsKeyID: aws.String("k")}},
		"KMS without a key":        {role: role, from: kms, code: "InvalidRequest"},
		"a key for nothing of KMS": {role: role, key: &types.EncryptionConfiguration{ReplicaKmsKeyID: aws.String("k")}, code: "InvalidRequest"},
	} {
		t.Run(name, func(t *testing.T) {
			var metrics *types.Metrics
			if c.within != nil && !c.silent {
				metrics = &types.Metrics{Status: types.MetricsStatusEnabled, EventThreshold: c.within.Time}
			}
			_, err := s.client.PutBucketReplication(t.Context(), &s3.PutBucketReplicationInput{Bucket: bucket, ReplicationConfiguration: &types.ReplicationConfiguration{
				Role: &c.role, Rules: []types.ReplicationRule{{
					ID: aws.String(strings.Repeat("x", c.id)), Priority: aws.Int32(1), Status: types.ReplicationRuleStatusEnabled, Filter: &c.filter, SourceSelectionCriteria: c.from,
					DeleteMarkerReplication: &types.DeleteMarkerReplication{Status: types.DeleteMarkerReplicationStatusDisabled},
					Destination:             &types.Destination{Bucket: aws.String("arn:aws:s3:::bucket"), EncryptionConfiguration: c.key, ReplicationTime: c.within, Metrics: metrics},
				}},
			}})
			wantCode(t, err, c.code)
		})
	}
}
