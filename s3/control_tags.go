package s3

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/s3control"
	controltypes "github.com/aws/aws-sdk-go-v2/service/s3control/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// taggable is what S3 Control gives tags to: a bucket or an access point. Of the two one is nil.
// AWS: "TagResource" in the S3 Control API reference.
type taggable struct {
	bucket *bucket
	point  *accessPoint
}

// findTaggable answers what has the ARN.
func findTaggable(ctx context.Context, tx store.Tx, resourceARN string) (t taggable, err error) {
	switch rest, isS3 := strings.CutPrefix(resourceARN, "arn:aws:s3:"); {
	case !isS3:
		return t, errInvalidRequest("The specified resource ARN is not valid.")
	case strings.HasPrefix(rest, "::"):
		// By its own name alone: what an alias leads to has another ARN, which is what has to be allowed.
		if t.bucket, err = buckets.In(tx, store.Scope{}).Find(rest[2:]); err == nil && t.bucket == nil {
			err = errNoSuchBucket(rest[2:])
		}
	case strings.Contains(rest, ":accesspoint/"):
		if t.point, err = findAccessPoint(tx, resourceARN); err == nil && (t.point == nil || t.point.arn() != resourceARN) {
			_, name, _ := strings.Cut(rest, "/")
			err = errNoSuchAccessPoint(name)
		}
	default: // Storage Lens groups and access grants
		r := awsapi.FromContext(ctx)
		err = awsapi.NotImplemented(r.Service, r.Operation+" of "+resourceARN)
	}
	return t, err
}

// account is the owner's.
func (t taggable) account() string {
	if t.bucket != nil {
		return t.bucket.Account
	}
	return t.point.Account
}

func (t taggable) tags(tx store.Tx) (map[string]string, error) {
	if t.point != nil {
		return maps.Clone(t.point.Tags), nil
	}
	return bucketTags(tx, t.bucket)
}

func bucketTags(tx store.Tx, b *bucket) (map[string]string, error) {
	list, err := findSetting[[]types.Tag](tx, b.Name, kindTags, "")
	if err != nil || list == nil {
		return nil, err
	}
	tags := map[string]string{}
	for _, tag := range *list {
		tags[*tag.Key] = *tag.Value
	}
	return tags, nil
}

// putTags replaces all tags.
func (t taggable) putTags(tx store.Tx, tags map[string]string) error {
	if t.point != nil {
		t.point.Tags = tags
		return accessPoints.In(tx, store.Scope{}).Put(t.point)
	}
	if err := setTags(tx, t.bucket, tagList(tags)); err != nil {
		return err
	}
	return buckets.In(tx, store.Scope{}).Put(t.bucket)
}

func tagList(tags map[string]string) (list []types.Tag) {
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

func controlTags(list []controltypes.Tag) map[string]string {
	tags := map[string]string{}
	for _, tag := range list {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return tags
}

// checkControlTags refuses what is no set of tags.
func checkControlTags(list []controltypes.Tag) error {
	var same []types.Tag
	for _, tag := range list {
		same = append(same, types.Tag{Key: tag.Key, Value: tag.Value})
	}
	return checkTags(same, maxBucketTags)
}

// onTagged makes the access function of an operation on the tags of a resource. The account is the caller's or the owner's.
func onTagged[In any](c *Control, action string, of func(*In) (account, resourceARN *string)) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) (wanted []awsapi.Access, err error) {
		r := awsapi.FromContext(ctx)
		account, resourceARN := of(in)
		err = c.service.db.View(ctx, func(tx store.Tx) error {
			t, err := findTaggable(ctx, tx, aws.ToString(resourceARN))
			if err != nil {
				return err
			}
			if given := aws.ToString(account); given != r.Principal.Account && given != t.account() {
				return errAccessDenied()
			}
			access := awsapi.Access{Action: action, Resources: []string{*resourceARN}, Conditions: keysOf(r, t.account())}
			switch in := any(in).(type) {
			case *s3control.TagResourceInput:
				access = access.WithTags(controlTags(in.Tags))
			case *s3control.UntagResourceInput:
				access = access.WithTagKeys(in.TagKeys...)
			}
			wanted = []awsapi.Access{access}
			return nil
		})
		return wanted, err
	}
}

// TagResource adds tags, or gives them other values.
func (c *Control) TagResource(ctx context.Context, in *s3control.TagResourceInput) (*s3control.TagResourceOutput, error) {
	if err := checkControlTags(in.Tags); err != nil {
		return nil, err
	}
	return &s3control.TagResourceOutput{}, c.changeTags(ctx, in.ResourceArn, func(tags map[string]string) {
		maps.Copy(tags, controlTags(in.Tags))
	})
}

// UntagResource takes tags away; those that are not there are no error.
func (c *Control) UntagResource(ctx context.Context, in *s3control.UntagResourceInput) (*s3control.UntagResourceOutput, error) {
	return &s3control.UntagResourceOutput{}, c.changeTags(ctx, in.ResourceArn, func(tags map[string]string) {
		for _, key := range in.TagKeys {
			delete(tags, key)
		}
	})
}

func (c *Control) changeTags(ctx context.Context, resourceARN *string, change func(map[string]string)) error {
	return c.service.db.Update(ctx, func(tx store.Tx) error {
		t, err := findTaggable(ctx, tx, aws.ToString(resourceARN))
		if err != nil {
			return err
		}
		tags, err := t.tags(tx)
		if err != nil {
			return err
		}
		if tags == nil {
			tags = map[string]string{}
		}
		if change(tags); len(tags) > maxBucketTags {
			return errTooManyTags("Bucket tag count cannot be greater than 50")
		}
		return t.putTags(tx, tags)
	})
}

// ListTagsForResource lists them in the order of their keys; none is no error.
func (c *Control) ListTagsForResource(ctx context.Context, in *s3control.ListTagsForResourceInput) (*s3control.ListTagsForResourceOutput, error) {
	out := &s3control.ListTagsForResourceOutput{Tags: []controltypes.Tag{}}
	return out, c.service.db.View(ctx, func(tx store.Tx) error {
		t, err := findTaggable(ctx, tx, aws.ToString(in.ResourceArn))
		if err != nil {
			return err
		}
		tags, err := t.tags(tx)
		for _, tag := range tagList(tags) {
			out.Tags = append(out.Tags, controltypes.Tag{Key: tag.Key, Value: tag.Value})
		}
		return err
	})
}

// newPointAccess asks for the access point that is to be made, and for its tags.
func (c *Control) newPointAccess(ctx context.Context, in *s3control.CreateAccessPointInput) ([]awsapi.Access, error) {
	wanted, err := point(c, "s3:CreateAccessPoint", func(in *s3control.CreateAccessPointInput) (*string, *string) { return in.AccountId, in.Name })(ctx, in)
	if err != nil || len(in.Tags) == 0 {
		return wanted, err
	}
	r := awsapi.FromContext(ctx)
	tagging := awsapi.Access{Action: "s3:TagResource", Resources: wanted[0].Resources, Conditions: keysOf(r, r.Principal.Account)}
	return []awsapi.Access{wanted[0].WithTags(controlTags(in.Tags)), tagging.WithTags(controlTags(in.Tags))}, nil
}
