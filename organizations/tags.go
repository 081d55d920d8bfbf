package organizations

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/organizations"
	"github.com/aws/aws-sdk-go-v2/service/organizations/types"

	"miniaws/backend/store"
)

// AWS: "Tagging AWS Organizations resources".
const maxTags = 50

func tagsOf(list []types.Tag) (map[string]string, error) {
	tags := map[string]string{}
	for _, t := range list {
		if _, twice := tags[aws.ToString(t.Key)]; twice {
			return nil, errInvalidInput(types.InvalidInputExceptionReasonDuplicateTagKey, "You provided duplicate tag keys.")
		}
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	return tags, nil
}

// tags answers where the tags of a resource are.
func (o *organization) tags(id *string) (*map[string]string, error) {
	if n := o.Nodes[aws.ToString(id)]; n != nil {
		return &n.Tags, nil
	}
	if p := o.Policies[aws.ToString(id)]; p != nil {
		return &p.Tags, nil
	}
	if d := o.Delegation; d != nil && d.ID == aws.ToString(id) {
		return &d.Tags, nil
	}
	return nil, errTargetNotFound()
}

// TagResource adds tags, or overwrites them.
func (s *Service) TagResource(ctx context.Context, in *organizations.TagResourceInput) (*organizations.TagResourceOutput, error) {
	add, err := tagsOf(in.Tags)
	if err != nil {
		return nil, err
	}
	return &organizations.TagResourceOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		tags, err := o.tags(in.ResourceId)
		if err != nil {
			return err
		}
		if *tags == nil {
			*tags = map[string]string{}
		}
		for key, value := range add {
			(*tags)[key] = value
		}
		if len(*tags) > maxTags {
			return errConstraint(types.ConstraintViolationExceptionReasonMaxTagLimitExceeded, "You have exceeded the maximum number of tags for this resource.")
		}
		return nil
	})
}

// UntagResource removes tags.
func (s *Service) UntagResource(ctx context.Context, in *organizations.UntagResourceInput) (*organizations.UntagResourceOutput, error) {
	return &organizations.UntagResourceOutput{}, s.alter(ctx, func(_ store.Tx, o *organization) error {
		tags, err := o.tags(in.ResourceId)
		if err != nil {
			return err
		}
		for _, key := range in.TagKeys {
			delete(*tags, key)
		}
		return nil
	})
}

// ListTagsForResource lists tags in the order of their keys.
func (s *Service) ListTagsForResource(ctx context.Context, in *organizations.ListTagsForResourceInput) (*organizations.ListTagsForResourceOutput, error) {
	out := &organizations.ListTagsForResourceOutput{Tags: []types.Tag{}}
	return out, s.look(ctx, func(_ store.Tx, o *organization) error {
		tags, err := o.tags(in.ResourceId)
		if err != nil {
			return err
		}
		for _, key := range sortedKeys(*tags) {
			out.Tags = append(out.Tags, types.Tag{Key: aws.String(key), Value: aws.String((*tags)[key])})
		}
		return nil
	})
}
