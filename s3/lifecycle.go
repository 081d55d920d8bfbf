package s3

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// lifecycle is a bucket's lifecycle configuration.
type lifecycle struct {
	Rules []types.LifecycleRule
	// Minimum says which small objects are not moved to another class.
	Minimum types.TransitionDefaultMinimumObjectSize
}

// AWS: "Lifecycle configuration elements".
const (
	maxLifecycleRules = 1000
	maxRuleID         = 255
)

// PutBucketLifecycleConfiguration replaces all rules. The sweeper looks at the bucket soon after.
func (s *Service) PutBucketLifecycleConfiguration(ctx context.Context, in *s3.PutBucketLifecycleConfigurationInput) (*s3.PutBucketLifecycleConfigurationOutput, error) {
	c := in.LifecycleConfiguration
	if c == nil || len(c.Rules) == 0 || len(c.Rules) > maxLifecycleRules {
		return nil, errMalformedXML()
	}
	minimum := in.TransitionDefaultMinimumObjectSize
	if minimum == "" {
		minimum = types.TransitionDefaultMinimumObjectSizeAllStorageClasses128k
	}
	if !slices.Contains(minimum.Values(), minimum) {
		return nil, errInvalidRequest("Invalid TransitionDefaultMinimumObjectSize found: " + string(minimum))
	}
	seen := map[string]bool{}
	filtered := slices.ContainsFunc(c.Rules, func(r types.LifecycleRule) bool { return r.Filter != nil })
	for _, rule := range c.Rules {
		if filtered && rule.Prefix != nil { //nolint:staticcheck // how rules were filtered first
			return nil, errInvalidRequest("Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.")
		}
		if id := aws.ToString(rule.ID); id != "" && seen[id] {
			return nil, errInvalidArgument("Rule ID must be unique. Found same ID for more than one rule", "ID", id)
		} else if len(id) > maxRuleID {
			return nil, errInvalidArgument("ID length should not exceed allowed limit of 255", "ID", id)
		} else {
			seen[id] = true
		}
		if err := checkLifecycleRule(rule); err != nil {
			return nil, err
		}
	}
	out := &s3.PutBucketLifecycleConfigurationOutput{TransitionDefaultMinimumObjectSize: minimum}
	return out, s.updateBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		if b.MFADelete == types.MFADeleteStatusEnabled {
			return errInvalidBucketState("A lifecycle configuration cannot be put on a bucket with MFA delete.")
		}
		rules := slices.Clone(c.Rules)
		for i := range rules {
			if aws.ToString(rules[i].ID) == "" {
				rules[i].ID = aws.String(tx.NewID("rule-"))
			}
		}
		b.mark(kindLifecycle, true)
		if err := wantSweep(tx, b); err != nil {
			return err
		}
		return putSetting(tx, b.Name, kindLifecycle, "", lifecycle{Rules: rules, Minimum: minimum})
	})
}

func checkLifecycleRule(r types.LifecycleRule) error {
	if !slices.Contains(r.Status.Values(), r.Status) {
		return errMalformedXML()
	}
	if (r.Filter == nil) == (r.Prefix == nil) { //nolint:staticcheck // Prefix is how rules were filtered first
		return errMalformedXML()
	}
	if r.Filter != nil {
		if err := checkLifecycleFilter(r.Filter); err != nil {
			return err
		}
	}
	if r.Expiration == nil && r.NoncurrentVersionExpiration == nil && r.AbortIncompleteMultipartUpload == nil &&
		len(r.Transitions) == 0 && len(r.NoncurrentVersionTransitions) == 0 {
		return errInvalidRequest("At least one action needs to be specified in a rule")
	}
	tagged := r.Filter != nil && (r.Filter.Tag != nil || r.Filter.And != nil && len(r.Filter.And.Tags) > 0)
	if e := r.Expiration; e != nil {
		given := 0
		for _, is := range []bool{e.Date != nil, e.Days != nil, e.ExpiredObjectDeleteMarker != nil} {
			if is {
				given++
			}
		}
		switch {
		case given != 1:
			return errMalformedXML()
		case e.Days != nil && *e.Days <= 0:
			return errInvalidArgument("'Days' for Expiration action must be a positive integer", "Days", fmt.Sprint(*e.Days))
		case e.Date != nil && !midnight(*e.Date):
			return errInvalidArgument("'Date' must be at midnight GMT", "Date", e.Date.UTC().Format(time.RFC3339))
		case e.ExpiredObjectDeleteMarker != nil && tagged:
			return errInvalidRequest("ExpiredObjectDeleteMarker cannot be specified with Tags.")
		}
	}
	if a := r.AbortIncompleteMultipartUpload; a != nil {
		switch {
		case a.DaysAfterInitiation == nil:
			return errMalformedXML()
		case *a.DaysAfterInitiation <= 0:
			return errInvalidArgument("'DaysAfterInitiation' for AbortIncompleteMultipartUpload action must be a positive integer", "DaysAfterInitiation", fmt.Sprint(*a.DaysAfterInitiation))
		case tagged:
			return errInvalidRequest("AbortIncompleteMultipartUpload cannot be specified with Tags.")
		}
	}
	if e := r.NoncurrentVersionExpiration; e != nil {
		switch {
		case e.NoncurrentDays == nil:
			return errMalformedXML()
		case *e.NoncurrentDays <= 0:
			return errInvalidArgument("'NoncurrentDays' for NoncurrentVersionExpiration action must be a positive integer", "NoncurrentDays", fmt.Sprint(*e.NoncurrentDays))
		case e.NewerNoncurrentVersions != nil && (*e.NewerNoncurrentVersions <= 0 || *e.NewerNoncurrentVersions > 100):
			return errInvalidArgument("'NewerNoncurrentVersions' for NoncurrentVersionExpiration action must be a positive integer between 1 and 100", "NewerNoncurrentVersions", fmt.Sprint(*e.NewerNoncurrentVersions))
		}
	}
	return checkTransitions(r)
}

func checkLifecycleFilter(f *types.LifecycleRuleFilter) error {
	given := 0
	for _, is := range []bool{f.And != nil, f.Prefix != nil, f.Tag != nil, f.ObjectSizeGreaterThan != nil, f.ObjectSizeLessThan != nil} {
		if is {
			given++
		}
	}
	if given > 1 {
		return errMalformedXML()
	}
	greater, less := f.ObjectSizeGreaterThan, f.ObjectSizeLessThan
	var tags []types.Tag
	if f.Tag != nil {
		tags = []types.Tag{*f.Tag}
	}
	if a := f.And; a != nil {
		greater, less, tags = a.ObjectSizeGreaterThan, a.ObjectSizeLessThan, a.Tags
		given = len(tags)
		for _, is := range []bool{a.Prefix != nil, greater != nil, less != nil} {
			if is {
				given++
			}
		}
		if given < 2 {
			return errMalformedXML()
		}
	}
	if greater != nil && *greater < 0 || less != nil && *less < 1 {
		return errInvalidRequest("'ObjectSizeLessThan' and 'ObjectSizeGreaterThan' must be positive integers")
	}
	if greater != nil && less != nil && *less <= *greater {
		return errInvalidRequest("'ObjectSizeLessThan' has to be a value greater than 'ObjectSizeGreaterThan'")
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		if seen[aws.ToString(tag.Key)] {
			return errInvalidRequest("Duplicate Tag Keys are not allowed.")
		}
		seen[aws.ToString(tag.Key)] = true
	}
	return checkTags(tags, maxBucketTags)
}

func shownFilter(r types.LifecycleRule) string { return "(prefix=" + lifecyclePrefix(r) + ")" }

// lifecyclePrefix is what keys must begin with.
func lifecyclePrefix(r types.LifecycleRule) string {
	switch {
	case r.Filter == nil:
		return aws.ToString(r.Prefix) //nolint:staticcheck // how rules were filtered first
	case r.Filter.And != nil:
		return aws.ToString(r.Filter.And.Prefix)
	}
	return aws.ToString(r.Filter.Prefix)
}

func midnight(t time.Time) bool { return t.UTC().Truncate(24 * time.Hour).Equal(t) }

// GetBucketLifecycleConfiguration answers the rules in their order.
func (s *Service) GetBucketLifecycleConfiguration(ctx context.Context, in *s3.GetBucketLifecycleConfigurationInput) (*s3.GetBucketLifecycleConfigurationOutput, error) {
	c, b, err := getConfig[lifecycle](ctx, s, in.Bucket, in.ExpectedBucketOwner, kindLifecycle)
	if err != nil {
		return nil, err
	}
	if c == nil {
		return nil, errNotSet("NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", b.Name)
	}
	return &s3.GetBucketLifecycleConfigurationOutput{Rules: c.Rules, TransitionDefaultMinimumObjectSize: c.Minimum}, nil
}

// DeleteBucketLifecycle succeeds when there are no rules.
func (s *Service) DeleteBucketLifecycle(ctx context.Context, in *s3.DeleteBucketLifecycleInput) (*s3.DeleteBucketLifecycleOutput, error) {
	return &s3.DeleteBucketLifecycleOutput{}, s.dropConfig(ctx, in.Bucket, in.ExpectedBucketOwner, kindLifecycle)
}
