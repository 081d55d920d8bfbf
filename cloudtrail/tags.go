package cloudtrail

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// AWS: "AddTags": 50 tags for a trail.
const maxTags = 50

// tagsOf checks tags and answers them as a map.
func tagsOf(list []types.Tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range list {
		key, value := aws.ToString(t.Key), aws.ToString(t.Value)
		_, twice := tags[key]
		switch {
		case key == "" || len(key) > 128 || len(value) > 256:
			return nil, errInvalidTagParameter("The specified tag key or value is not valid.")
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return nil, errInvalidTagParameter("Tag keys must not begin with aws:.")
		case twice:
			return nil, errInvalidTagParameter("The tag key " + key + " is given twice.")
		}
		tags[key] = value
	}
	if len(tags) > maxTags {
		return nil, errTagsLimitExceeded("the trail")
	}
	return tags, nil
}

// checkResource refuses what is not the ARN of a trail.
func checkResource(arn *string) error {
	if !trailARN.MatchString(aws.ToString(arn)) {
		return awsapi.Errorf("CloudTrailARNInvalidException", "Invalid trail ARN: %s", aws.ToString(arn))
	}
	return nil
}

// AddTags adds tags, or gives those that are there another value.
func (s *Service) AddTags(ctx context.Context, in *cloudtrail.AddTagsInput) (*cloudtrail.AddTagsOutput, error) {
	if err := checkResource(in.ResourceId); err != nil {
		return nil, err
	}
	tags, err := tagsOf(in.TagsList)
	if err != nil {
		return nil, err
	}
	_, err = s.changeTrail(ctx, in.ResourceId, func(_ store.Tx, t *trail) error {
		all := maps.Clone(t.Tags)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, tags)
		if len(all) > maxTags {
			return errTagsLimitExceeded(*in.ResourceId)
		}
		t.Tags = all
		return nil
	})
	return &cloudtrail.AddTagsOutput{}, err
}

// RemoveTags removes tags by their keys; those that are not there are no error.
func (s *Service) RemoveTags(ctx context.Context, in *cloudtrail.RemoveTagsInput) (*cloudtrail.RemoveTagsOutput, error) {
	if err := checkResource(in.ResourceId); err != nil {
		return nil, err
	}
	_, err := s.changeTrail(ctx, in.ResourceId, func(_ store.Tx, t *trail) error {
		for _, tag := range in.TagsList {
			delete(t.Tags, aws.ToString(tag.Key))
		}
		return nil
	})
	return &cloudtrail.RemoveTagsOutput{}, err
}

// ListTags answers the tags of up to 20 trails of this region.
func (s *Service) ListTags(ctx context.Context, in *cloudtrail.ListTagsInput) (*cloudtrail.ListTagsOutput, error) {
	out := &cloudtrail.ListTagsOutput{ResourceTagList: []types.ResourceTag{}}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		out.ResourceTagList = out.ResourceTagList[:0]
		for _, arn := range in.ResourceIdList {
			if err := checkResource(&arn); err != nil {
				return err
			}
			t, err := getTrail(ctx, tx, &arn)
			if err != nil {
				if code := (*awsapi.Error)(nil); asError(err, &code) {
					return errResourceNotFound(arn)
				}
				return err
			}
			shown := types.ResourceTag{ResourceId: aws.String(arn), TagsList: []types.Tag{}}
			for _, key := range slices.Sorted(maps.Keys(t.Tags)) {
				shown.TagsList = append(shown.TagsList, types.Tag{Key: aws.String(key), Value: aws.String(t.Tags[key])})
			}
			out.ResourceTagList = append(out.ResourceTagList, shown)
		}
		return nil
	})
	return out, err
}
