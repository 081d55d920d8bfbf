package cloudtrail

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// AWS: "Actions, resources, and condition keys for AWS CloudTrail" in the service authorization reference.

// onTrail is the access to one trail, named or by ARN. A name that covers all regions is a trail of its home region.
func (s *Service) onTrail(ctx context.Context, action string, given *string) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	arn := aws.ToString(given)
	if !strings.HasPrefix(arn, "arn:") {
		shown := &trail{HomeRegion: r.Region, Name: arn}
		err := s.config.DB.View(ctx, func(tx store.Tx) error {
			if t, err := getTrail(ctx, tx, given); err == nil {
				shown = t
			}
			return nil // one that does not exist is said by the operation
		})
		if err != nil {
			return nil, err
		}
		arn = shown.arn(r.Principal.Account)
	}
	return []awsapi.Access{{Action: "cloudtrail:" + action, Resources: []string{arn}}}, nil
}

// withTags adds the condition keys of tags in a request.
func withTags(list []awsapi.Access, tags []types.Tag) []awsapi.Access {
	conditions := map[string][]string{}
	for _, t := range tags {
		conditions["aws:RequestTag/"+aws.ToString(t.Key)] = []string{aws.ToString(t.Value)}
		conditions["aws:TagKeys"] = append(conditions["aws:TagKeys"], aws.ToString(t.Key))
	}
	for i := range list {
		list[i].Conditions = conditions
	}
	return list
}

func (s *Service) createTrailAccess(ctx context.Context, in *cloudtrail.CreateTrailInput) ([]awsapi.Access, error) {
	r := awsapi.FromContext(ctx)
	arn := fmt.Sprintf("arn:aws:cloudtrail:%s:%s:trail/%s", r.Region, r.Principal.Account, aws.ToString(in.Name))
	list := []awsapi.Access{{Action: "cloudtrail:CreateTrail", Resources: []string{arn}}}
	if len(in.TagsList) > 0 {
		list = append(list, awsapi.Access{Action: "cloudtrail:AddTags", Resources: []string{arn}})
	}
	return withTags(list, in.TagsList), nil
}

func (s *Service) getTrailAccess(ctx context.Context, in *cloudtrail.GetTrailInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "GetTrail", in.Name)
}

func describeTrailsAccess(context.Context, *cloudtrail.DescribeTrailsInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "cloudtrail:DescribeTrails"}}, nil
}

func listTrailsAccess(context.Context, *cloudtrail.ListTrailsInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "cloudtrail:ListTrails"}}, nil
}

func listPublicKeysAccess(context.Context, *cloudtrail.ListPublicKeysInput) ([]awsapi.Access, error) {
	return []awsapi.Access{{Action: "cloudtrail:ListPublicKeys"}}, nil
}

func (s *Service) updateTrailAccess(ctx context.Context, in *cloudtrail.UpdateTrailInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "UpdateTrail", in.Name)
}

func (s *Service) deleteTrailAccess(ctx context.Context, in *cloudtrail.DeleteTrailInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "DeleteTrail", in.Name)
}

func (s *Service) startLoggingAccess(ctx context.Context, in *cloudtrail.StartLoggingInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "StartLogging", in.Name)
}

func (s *Service) stopLoggingAccess(ctx context.Context, in *cloudtrail.StopLoggingInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "StopLogging", in.Name)
}

func (s *Service) getTrailStatusAccess(ctx context.Context, in *cloudtrail.GetTrailStatusInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "GetTrailStatus", in.Name)
}

func (s *Service) putEventSelectorsAccess(ctx context.Context, in *cloudtrail.PutEventSelectorsInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "PutEventSelectors", in.TrailName)
}

func (s *Service) getEventSelectorsAccess(ctx context.Context, in *cloudtrail.GetEventSelectorsInput) ([]awsapi.Access, error) {
	return s.onTrail(ctx, "GetEventSelectors", in.TrailName)
}

func (s *Service) addTagsAccess(ctx context.Context, in *cloudtrail.AddTagsInput) ([]awsapi.Access, error) {
	list, err := s.onTrail(ctx, "AddTags", in.ResourceId)
	return withTags(list, in.TagsList), err
}

func (s *Service) removeTagsAccess(ctx context.Context, in *cloudtrail.RemoveTagsInput) ([]awsapi.Access, error) {
	list, err := s.onTrail(ctx, "RemoveTags", in.ResourceId)
	for i := range list {
		list[i].Conditions = map[string][]string{}
		for _, t := range in.TagsList {
			list[i].Conditions["aws:TagKeys"] = append(list[i].Conditions["aws:TagKeys"], aws.ToString(t.Key))
		}
	}
	return list, err
}

func (s *Service) listTagsAccess(_ context.Context, in *cloudtrail.ListTagsInput) ([]awsapi.Access, error) {
	access := awsapi.Access{Action: "cloudtrail:ListTags"}
	for _, arn := range in.ResourceIdList {
		if trailARN.MatchString(arn) { // what is no trail's is refused by the operation
			access.Resources = append(access.Resources, arn)
		}
	}
	return []awsapi.Access{access}, nil
}

// ResourceTags answers the tags of a trail, for conditions.
func (s *Service) ResourceTags(ctx context.Context, arn string) (map[string]string, error) {
	m := trailARN.FindStringSubmatch(arn)
	if m == nil {
		return nil, nil
	}
	var tags map[string]string
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		t, err := trails.In(tx, store.Scope{Account: m[2]}).Find(m[1], m[3])
		if t != nil {
			tags = t.Tags
		}
		return err
	})
	return tags, err
}

// ResourcePolicy answers none: trails have no policies of their own.
func (s *Service) ResourcePolicy(context.Context, string) (document, owner string, err error) {
	return "", "", nil
}
