package ssm

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/store"
)

// maxTags is how many tags a resource may have. AWS: "Tagging Systems Manager resources".
const maxTags = 50

// mergeTags adds tags to those that are there.
func mergeTags(have map[string]string, added []types.Tag) (map[string]string, error) {
	merged := map[string]string{}
	maps.Copy(merged, have)
	for _, tag := range added {
		key := aws.ToString(tag.Key)
		if strings.HasPrefix(strings.ToLower(key), "aws:") {
			return nil, errValidation("aws: prefixed tag key names are not allowed for external use.")
		}
		merged[key] = aws.ToString(tag.Value)
	}
	if len(merged) > maxTags {
		return nil, errTooManyTags()
	}
	return merged, nil
}

// tagged answers the parameter whose tags a call is about.
func (s *Service) tagged(tx store.Tx, scope store.Scope, kind types.ResourceTypeForTagging, id string) (*parameter, error) {
	if kind != types.ResourceTypeForTaggingParameter {
		return nil, errInvalidResourceID() // no other kind exists here
	}
	p, err := s.existing(tx, scope, plainName(id))
	if codeOf(err) == "ParameterNotFound" {
		err = errInvalidResourceID()
	}
	return p, err
}

// AddTagsToResource adds tags or replaces their values.
func (s *Service) AddTagsToResource(ctx context.Context, in *api.AddTagsToResourceInput) (*api.AddTagsToResourceOutput, error) {
	c := callOf(ctx)
	return &api.AddTagsToResourceOutput{}, s.config.DB.Update(ctx, func(tx store.Tx) error {
		p, err := s.tagged(tx, c.scope, in.ResourceType, *in.ResourceId)
		if err != nil {
			return err
		}
		if p.Tags, err = mergeTags(p.Tags, in.Tags); err != nil {
			return err
		}
		return parameters.In(tx, c.scope).Put(p)
	})
}

// RemoveTagsFromResource removes tags; those that are not there are no error.
func (s *Service) RemoveTagsFromResource(ctx context.Context, in *api.RemoveTagsFromResourceInput) (*api.RemoveTagsFromResourceOutput, error) {
	c := callOf(ctx)
	return &api.RemoveTagsFromResourceOutput{}, s.config.DB.Update(ctx, func(tx store.Tx) error {
		p, err := s.tagged(tx, c.scope, in.ResourceType, *in.ResourceId)
		if err != nil {
			return err
		}
		for _, key := range in.TagKeys {
			delete(p.Tags, key)
		}
		return parameters.In(tx, c.scope).Put(p)
	})
}

// ListTagsForResource answers the tags of a parameter.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	c := callOf(ctx)
	out := &api.ListTagsForResourceOutput{TagList: []types.Tag{}}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		p, err := s.tagged(tx, c.scope, in.ResourceType, *in.ResourceId)
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
			out.TagList = append(out.TagList, types.Tag{Key: aws.String(key), Value: aws.String(p.Tags[key])})
		}
		return nil
	})
	return out, err
}

// ResourceTags answers the tags of the resource with this ARN, for authorization; nil where there is none.
func (s *Service) ResourceTags(ctx context.Context, arn string) (map[string]string, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "ssm" || parts[4] == "" {
		return nil, nil
	}
	rest, ok := strings.CutPrefix(parts[5], "parameter/")
	if !ok {
		return nil, nil
	}
	scope := store.Scope{Account: parts[4], Region: parts[3]}
	var tags map[string]string
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		for _, name := range []string{"/" + rest, rest} { // both names have one ARN
			if !namePattern.MatchString(name) {
				continue
			}
			p, err := parameters.In(tx, scope).Find(name)
			if err != nil {
				return err
			}
			if p != nil {
				tags = p.Tags
				return nil
			}
		}
		return nil
	})
	return tags, err
}
