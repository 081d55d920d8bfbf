package ssm

import (
	"context"
	"maps"
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

// tagged lets change look at the tags of a parameter, document or association, and writes them back if it changed them.
func (s *Service) tagged(t store.Tx, scope store.Scope, kind types.ResourceTypeForTagging, id string, change func(tags *map[string]string) (bool, error)) error {
	switch kind {
	case types.ResourceTypeForTaggingParameter:
		p, err := s.existing(t, scope, plainName(id))
		if codeOf(err) == "ParameterNotFound" {
			err = errInvalidResourceID()
		}
		if err != nil {
			return err
		}
		changed, err := change(&p.Tags)
		if !changed || err != nil {
			return err
		}
		return parameters.In(t, scope).Put(p)
	case types.ResourceTypeForTaggingDocument:
		d, err := documents.In(t, scope).Find(id)
		if d == nil && err == nil {
			err = errInvalidResourceID()
		}
		if err != nil {
			return err
		}
		changed, err := change(&d.Tags)
		if !changed || err != nil {
			return err
		}
		return documents.In(t, scope).Put(d)
	case types.ResourceTypeForTaggingAssociation:
		a, err := associations.In(t, scope).Find(id)
		if a == nil && err == nil {
			err = errInvalidResourceID()
		}
		if err != nil {
			return err
		}
		changed, err := change(&a.Tags)
		if !changed || err != nil {
			return err
		}
		return associations.In(t, scope).Put(a)
	}
	return errInvalidResourceID() // no other kind exists here
}

// AddTagsToResource adds tags or replaces their values.
func (s *Service) AddTagsToResource(ctx context.Context, in *api.AddTagsToResourceInput) (*api.AddTagsToResourceOutput, error) {
	c := callOf(ctx)
	return &api.AddTagsToResourceOutput{}, s.config.DB.Update(ctx, func(tx store.Tx) error {
		return s.tagged(tx, c.scope, in.ResourceType, *in.ResourceId, func(tags *map[string]string) (_ bool, err error) {
			*tags, err = mergeTags(*tags, in.Tags)
			return true, err
		})
	})
}

// RemoveTagsFromResource removes tags; those that are not there are no error.
func (s *Service) RemoveTagsFromResource(ctx context.Context, in *api.RemoveTagsFromResourceInput) (*api.RemoveTagsFromResourceOutput, error) {
	c := callOf(ctx)
	return &api.RemoveTagsFromResourceOutput{}, s.config.DB.Update(ctx, func(tx store.Tx) error {
		return s.tagged(tx, c.scope, in.ResourceType, *in.ResourceId, func(tags *map[string]string) (bool, error) {
			for _, key := range in.TagKeys {
				delete(*tags, key)
			}
			return true, nil
		})
	})
}

// ListTagsForResource answers the tags of a parameter, document or association.
func (s *Service) ListTagsForResource(ctx context.Context, in *api.ListTagsForResourceInput) (*api.ListTagsForResourceOutput, error) {
	c := callOf(ctx)
	out := &api.ListTagsForResourceOutput{}
	return out, s.config.DB.View(ctx, func(tx store.Tx) error {
		return s.tagged(tx, c.scope, in.ResourceType, *in.ResourceId, func(tags *map[string]string) (bool, error) {
			out.TagList = tagList(*tags)
			return false, nil
		})
	})
}

// ResourceTags answers the tags of the resource with this ARN, for authorization; nil where there is none.
func (s *Service) ResourceTags(ctx context.Context, arn string) (map[string]string, error) {
	parts := strings.SplitN(arn, ":", 6)
	if len(parts) != 6 || parts[2] != "ssm" || parts[4] == "" {
		return nil, nil
	}
	scope := store.Scope{Account: parts[4], Region: parts[3]}
	var tags map[string]string
	if name, ok := strings.CutPrefix(parts[5], "document/"); ok {
		err := s.config.DB.View(ctx, func(t store.Tx) error {
			d, err := documents.In(t, scope).Find(name)
			if d != nil {
				tags = d.Tags
			}
			return err
		})
		return tags, err
	}
	if id, ok := strings.CutPrefix(parts[5], "association/"); ok {
		err := s.config.DB.View(ctx, func(t store.Tx) error {
			a, err := associations.In(t, scope).Find(id)
			if a != nil {
				tags = a.Tags
			}
			return err
		})
		return tags, err
	}
	rest, ok := strings.CutPrefix(parts[5], "parameter/")
	if !ok {
		return nil, nil
	}
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
