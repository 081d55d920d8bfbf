package ec2

import (
	"context"
	"maps"
	"slices"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// AWS: "Tag your Amazon EC2 resources", restrictions.
const (
	maxTags      = 50
	maxTagKey    = 128
	maxTagValue  = 256
	maxTagged    = 1000
	systemPrefix = "aws:"
)

// simulatedTag says of a resource that nothing real runs behind it. It is shown and not stored.
const simulatedTag = "aws:mini-aws:simulated"

// CreateTags adds tags to resources of any kind, or overwrites them: all or nothing.
func (s *Service) CreateTags(ctx context.Context, in *ec2.CreateTagsInput) (*ec2.CreateTagsOutput, error) {
	if len(in.Resources) > maxTagged {
		return nil, errInvalidParameterValue("The maximum number of resources that can be tagged in a single request is %d", maxTagged)
	}
	add, err := tagMap(in.Tags)
	if err != nil {
		return nil, err
	}
	if len(add) == 0 {
		return nil, errMissingParameter("Tag")
	}
	return &ec2.CreateTagsOutput{}, s.retag(ctx, in.Resources, func(rec *resource) error {
		if rec.Tags == nil {
			rec.Tags = map[string]string{}
		}
		maps.Copy(rec.Tags, add)
		return checkTagCount(rec.Tags)
	})
}

// DeleteTags removes tags. A tag without a value goes whatever its value is, one with a value only if it has that
// value; without any tags all of them go, save those of AWS. What is not there is no error.
func (s *Service) DeleteTags(ctx context.Context, in *ec2.DeleteTagsInput) (*ec2.DeleteTagsOutput, error) {
	for _, tag := range in.Tags {
		if strings.HasPrefix(strings.ToLower(aws.ToString(tag.Key)), systemPrefix) {
			return nil, errReservedTagKey()
		}
	}
	return &ec2.DeleteTagsOutput{}, s.retag(ctx, in.Resources, func(rec *resource) error {
		if len(in.Tags) == 0 {
			maps.DeleteFunc(rec.Tags, func(key, _ string) bool { return !strings.HasPrefix(key, systemPrefix) })
		}
		for _, tag := range in.Tags {
			value, has := rec.Tags[aws.ToString(tag.Key)]
			if has && (tag.Value == nil || *tag.Value == value) {
				delete(rec.Tags, *tag.Key)
			}
		}
		return nil
	})
}

func (s *Service) retag(ctx context.Context, ids []string, change func(*resource) error) error {
	return s.update(ctx, func(t tx) error {
		for _, id := range ids {
			k := s.kindOf(id)
			if k == nil {
				return errInvalidTaggedID(id)
			}
			rec, save, err := k.load(t, id)
			if err != nil {
				return err
			}
			if err := change(rec); err != nil {
				return err
			}
			if err := save(); err != nil {
				return err
			}
		}
		return nil
	})
}

// kindOf answers the kind whose ids have the longest prefix of this id, or nil.
func (s *Service) kindOf(id string) (best taggable) {
	for _, k := range s.kinds {
		if strings.HasPrefix(id, k.idPrefix()) && (best == nil || len(k.idPrefix()) > len(best.idPrefix())) {
			best = k
		}
	}
	return best
}

// tagRow is one tag of one resource, as DescribeTags lists them.
type tagRow struct {
	resource
	typ        types.ResourceType
	key, value string
}

var tagFilters = filters[tagRow]{
	"key":           func(_ tx, r *tagRow) []string { return []string{r.key} },
	"value":         func(_ tx, r *tagRow) []string { return []string{r.value} },
	"resource-id":   func(_ tx, r *tagRow) []string { return []string{r.ID} },
	"resource-type": func(_ tx, r *tagRow) []string { return []string{string(r.typ)} },
}

// DescribeTags lists the tags of all resources, in the order of their ids and keys.
func (s *Service) DescribeTags(ctx context.Context, in *ec2.DescribeTagsInput) (*ec2.DescribeTagsOutput, error) {
	match, err := tagFilters.compile(func(r *tagRow) *resource { return &resource{Tags: map[string]string{r.key: r.value}} }, in.Filters)
	if err != nil {
		return nil, err
	}
	var rows []tagRow
	err = s.view(ctx, func(t tx) error {
		rows = rows[:0]
		for _, k := range s.kinds {
			err := k.each(t, func(rec *resource) error {
				for key, value := range shownTags(t, rec.Tags) {
					row := tagRow{resource: resource{ID: rec.ID}, typ: k.resourceType(), key: key, value: value}
					if match.matches(t, &row) {
						rows = append(rows, row)
					}
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	place := func(r tagRow) string { return r.ID + " " + r.key }
	sort.Slice(rows, func(i, j int) bool { return place(rows[i]) < place(rows[j]) })
	rows, next, err := cut(rows, place, "tags", pageBounds{5, 1000}, query{max: in.MaxResults, token: in.NextToken})
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeTagsOutput{NextToken: next, Tags: []types.TagDescription{}}
	for _, r := range rows {
		out.Tags = append(out.Tags, types.TagDescription{
			Key: aws.String(r.key), Value: aws.String(r.value), ResourceId: aws.String(r.ID), ResourceType: r.typ,
		})
	}
	return out, nil
}

// tagMap checks tags that a user writes.
func tagMap(tags []types.Tag) (map[string]string, error) {
	if len(tags) == 0 {
		return nil, nil
	}
	made := make(map[string]string, len(tags))
	for _, tag := range tags {
		key, value := aws.ToString(tag.Key), aws.ToString(tag.Value)
		switch _, twice := made[key]; {
		case key == "":
			return nil, errInvalidParameterValue("Tag key cannot be empty")
		case twice:
			return nil, errInvalidParameterValue("Duplicate tag key '%s' specified.", key)
		case strings.HasPrefix(strings.ToLower(key), systemPrefix):
			return nil, errReservedTagKey()
		case utf8.RuneCountInString(key) > maxTagKey:
			return nil, errInvalidParameterValue("Tag key exceeds the maximum length of %d characters", maxTagKey)
		case utf8.RuneCountInString(value) > maxTagValue:
			return nil, errInvalidParameterValue("Tag value exceeds the maximum length of %d characters", maxTagValue)
		}
		made[key] = value
	}
	return made, checkTagCount(made)
}

func checkTagCount(tags map[string]string) error {
	count := 0
	for key := range tags {
		if !strings.HasPrefix(key, systemPrefix) {
			count++
		}
	}
	if count > maxTags {
		return errTagLimitExceeded()
	}
	return nil
}

// tagsOnCreate answers the tags that a create operation's TagSpecifications ask for, for one of the types that it makes.
// typ is what the tags are wanted for, others are further types that the operation takes.
func tagsOnCreate(specs []types.TagSpecification, typ types.ResourceType, others ...types.ResourceType) (map[string]string, error) {
	var tags []types.Tag
	for _, spec := range specs {
		switch {
		case spec.ResourceType == typ:
			tags = append(tags, spec.Tags...)
		case spec.ResourceType == "":
			return nil, errInvalidParameterValue("Tag specification resource type must have a value")
		case !slices.Contains(others, spec.ResourceType):
			return nil, errInvalidParameterValue("'%s' is not a valid taggable resource type for this operation.", spec.ResourceType)
		}
	}
	return tagMap(tags)
}

// shownTags are a record's tags as users see them.
func shownTags(t tx, tags map[string]string) map[string]string {
	if !t.simulated {
		return tags
	}
	shown := maps.Clone(tags)
	if shown == nil {
		shown = map[string]string{}
	}
	shown[simulatedTag] = "true"
	return shown
}

// tagSet is tagsToAPI for kinds that show an empty list where there are none.
func tagSet(t tx, tags map[string]string) []types.Tag {
	if list := tagsToAPI(t, tags); list != nil {
		return list
	}
	return []types.Tag{}
}

// tagsToAPI answers them in the order of their keys; nil if there are none.
func tagsToAPI(t tx, tags map[string]string) []types.Tag {
	if len(tags) == 0 && !t.simulated {
		return nil
	}
	list := make([]types.Tag, 0, len(tags)+1)
	for key, value := range tags {
		list = append(list, types.Tag{Key: t.text(key), Value: t.text(value)})
	}
	if t.simulated {
		list = append(list, types.Tag{Key: t.text(simulatedTag), Value: t.text("true")})
	}
	slices.SortFunc(list, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return list
}
