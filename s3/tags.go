package s3

import (
	"context"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"miniaws/backend/store"
)

// AWS: "Using cost allocation S3 bucket tags", "Categorizing your storage using tags".
const (
	maxBucketTags = 50
	maxObjectTags = 10
	maxTagKey     = 128 // characters
	maxTagValue   = 256
)

// checkTags refuses what is no set of tags: too many, a key twice, too long, characters that tags must not have.
func checkTags(tags []types.Tag, most int) error {
	if len(tags) > most {
		if most == maxObjectTags {
			return errTooManyTags("Object tags cannot be greater than 10")
		}
		return errTooManyTags("Bucket tag count cannot be greater than 50")
	}
	seen := map[string]bool{}
	for _, tag := range tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch {
		case tag.Key == nil || tag.Value == nil:
			return errMalformedXML()
		case seen[key]:
			return errInvalidTag("Cannot provide multiple Tags with the same key", key)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			if most == maxObjectTags {
				return errInvalidTag("Your TagKey cannot be prefixed with aws:", key)
			}
			return errInvalidTag("System tags cannot be added/updated by requester", key)
		case key == "" || utf8.RuneCountInString(key) > maxTagKey || !tagText(key):
			return errInvalidTag("The TagKey you have provided is invalid", key)
		case utf8.RuneCountInString(value) > maxTagValue || !tagText(value):
			return refusal(400, "InvalidTag", "The TagValue you have provided is invalid", "TagKey", key, "TagValue", value)
		}
		seen[key] = true
	}
	return nil
}

// tagText tells whether the text has only letters, numbers, spaces and _ . : / = + - @.
func tagText(text string) bool {
	for _, c := range text {
		if !unicode.IsLetter(c) && !unicode.IsNumber(c) && !unicode.Is(unicode.Zs, c) && !strings.ContainsRune("_.:/=+-@", c) {
			return false
		}
	}
	return utf8.ValidString(text)
}

// PutBucketTagging replaces all tags.
func (s *Service) PutBucketTagging(ctx context.Context, in *s3.PutBucketTaggingInput) (*s3.PutBucketTaggingOutput, error) {
	if in.Tagging == nil {
		return nil, errMalformedXML()
	}
	if err := checkTags(in.Tagging.TagSet, maxBucketTags); err != nil {
		return nil, err
	}
	return &s3.PutBucketTaggingOutput{}, s.replaceTags(ctx, in.Bucket, in.ExpectedBucketOwner, in.Tagging.TagSet)
}

// replaceTags is for buckets without ABAC.
// AWS: "Enabling ABAC in general purpose buckets": with it these operations "no longer work", which classmethod's
// s3-bucket-abac-tagging-command measured. Neither says with which code; this is S3's general one.
func (s *Service) replaceTags(ctx context.Context, name, expectedOwner *string, tags []types.Tag) error {
	return s.updateBucket(ctx, name, expectedOwner, func(tx store.Tx, b *bucket) error {
		if b.ABAC == types.BucketAbacStatusEnabled {
			return errMethodNotAllowed()
		}
		return setTags(tx, b, tags)
	})
}

func setTags(tx store.Tx, b *bucket, tags []types.Tag) error {
	b.mark(kindTags, len(tags) > 0)
	if len(tags) == 0 {
		return deleteSetting(tx, b.Name, kindTags, "")
	}
	return putSetting(tx, b.Name, kindTags, "", tags)
}

// GetBucketTagging answers NoSuchTagSet when there are no tags.
func (s *Service) GetBucketTagging(ctx context.Context, in *s3.GetBucketTaggingInput) (out *s3.GetBucketTaggingOutput, err error) {
	err = s.viewBucket(ctx, in.Bucket, in.ExpectedBucketOwner, func(tx store.Tx, b *bucket) error {
		tags, err := findSetting[[]types.Tag](tx, b.Name, kindTags, "")
		if err != nil {
			return err
		}
		if tags == nil {
			return errNotSet("NoSuchTagSet", "The TagSet does not exist", b.Name)
		}
		out = &s3.GetBucketTaggingOutput{TagSet: *tags}
		return nil
	})
	return out, err
}

// DeleteBucketTagging succeeds when there are none.
func (s *Service) DeleteBucketTagging(ctx context.Context, in *s3.DeleteBucketTaggingInput) (*s3.DeleteBucketTaggingOutput, error) {
	return &s3.DeleteBucketTaggingOutput{}, s.replaceTags(ctx, in.Bucket, in.ExpectedBucketOwner, nil)
}
