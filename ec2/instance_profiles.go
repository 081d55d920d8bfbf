package ec2

import (
	"context"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// profileAssociation ties an instance profile to an instance.
type profileAssociation struct {
	Association string // iip-assoc-...
	ARN, ID     string
	At          time.Time
}

// copyFor is the association of a new instance with the profile; nil stays nil.
func (p *profileAssociation) copyFor(t tx) *profileAssociation {
	if p == nil {
		return nil
	}
	return &profileAssociation{t.NewID("iip-assoc-"), p.ARN, p.ID, t.Now()}
}

// findProfile answers the profile that a call names; nil for none.
func (s *Service) findProfile(ctx context.Context, in *types.IamInstanceProfileSpecification) (*profileAssociation, error) {
	return s.profileIn(ctx, scopeOf(ctx).Account, in)
}

// profileIn is findProfile for those who work for no request.
func (s *Service) profileIn(ctx context.Context, account string, in *types.IamInstanceProfileSpecification) (*profileAssociation, error) {
	arn, name := "", ""
	if in != nil {
		arn, name = aws.ToString(in.Arn), aws.ToString(in.Name)
	}
	switch {
	case arn == "" && name == "":
		return nil, nil
	case arn != "" && name != "":
		return nil, errInvalidParameterCombination("The parameter 'iamInstanceProfile.name' may not be used in combination with 'iamInstanceProfile.arn'")
	case arn != "":
		name = profileName(arn)
	}
	if s.config.FindProfile == nil {
		return nil, errNotImplemented("An instance profile")
	}
	found, err := s.config.FindProfile(ctx, account, name)
	if err != nil {
		return nil, err
	}
	if found.ARN == "" || arn != "" && found.ARN != arn {
		return nil, errProfileUnknown(in)
	}
	return &profileAssociation{ARN: found.ARN, ID: found.ID}, nil
}

// instanceByAssociation finds the instance with an association.
func instanceByAssociation(t tx, id string) (*instance, error) {
	list, err := instances.by(t, "association", id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, errAssociationNotFound(id)
	}
	return list[0], nil
}

func (i *instance) associationToAPI(state types.IamInstanceProfileAssociationState) *types.IamInstanceProfileAssociation {
	p := i.Profile
	return &types.IamInstanceProfileAssociation{
		AssociationId: aws.String(p.Association), InstanceId: aws.String(i.ID), State: state, Timestamp: aws.Time(p.At),
		IamInstanceProfile: &types.IamInstanceProfile{Arn: aws.String(p.ARN), Id: aws.String(p.ID)},
	}
}

// AssociateIamInstanceProfile gives an instance without a profile one; its credentials are there at once.
func (s *Service) AssociateIamInstanceProfile(ctx context.Context, in *ec2.AssociateIamInstanceProfileInput) (*ec2.AssociateIamInstanceProfileOutput, error) {
	profile, err := s.findProfile(ctx, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	if profile == nil {
		return nil, errMissingParameter("IamInstanceProfile")
	}
	out := &ec2.AssociateIamInstanceProfileOutput{}
	return out, s.update(ctx, func(t tx) error {
		i, err := instances.get(t, *in.InstanceId)
		if err != nil {
			return err
		}
		if i.State != stateRunning && i.State != stateStopped && i.State != statePending {
			return errIncorrectInstanceState(i)
		}
		if i.Profile != nil {
			return errIncorrectState("There is an existing association for instance %s", i.ID)
		}
		i.Profile = profile.copyFor(t)
		out.IamInstanceProfileAssociation = i.associationToAPI(types.IamInstanceProfileAssociationStateAssociating)
		return instances.put(t, i)
	})
}

// DisassociateIamInstanceProfile takes the profile away; its credentials stop working at once.
func (s *Service) DisassociateIamInstanceProfile(ctx context.Context, in *ec2.DisassociateIamInstanceProfileInput) (*ec2.DisassociateIamInstanceProfileOutput, error) {
	out := &ec2.DisassociateIamInstanceProfileOutput{}
	return out, s.update(ctx, func(t tx) error {
		i, err := instanceByAssociation(t, *in.AssociationId)
		if err != nil {
			return err
		}
		out.IamInstanceProfileAssociation = i.associationToAPI(types.IamInstanceProfileAssociationStateDisassociating)
		i.Profile = nil
		return instances.put(t, i)
	})
}

// ReplaceIamInstanceProfileAssociation puts another profile in the place of an instance's.
func (s *Service) ReplaceIamInstanceProfileAssociation(ctx context.Context, in *ec2.ReplaceIamInstanceProfileAssociationInput) (*ec2.ReplaceIamInstanceProfileAssociationOutput, error) {
	profile, err := s.findProfile(ctx, in.IamInstanceProfile)
	if err != nil {
		return nil, err
	}
	if profile == nil {
		return nil, errMissingParameter("IamInstanceProfile")
	}
	out := &ec2.ReplaceIamInstanceProfileAssociationOutput{}
	return out, s.update(ctx, func(t tx) error {
		i, err := instanceByAssociation(t, *in.AssociationId)
		if err != nil {
			return err
		}
		i.Profile = profile.copyFor(t)
		out.IamInstanceProfileAssociation = i.associationToAPI(types.IamInstanceProfileAssociationStateAssociating)
		return instances.put(t, i)
	})
}

// DescribeIamInstanceProfileAssociations lists the associations.
func (s *Service) DescribeIamInstanceProfileAssociations(ctx context.Context, in *ec2.DescribeIamInstanceProfileAssociationsInput) (*ec2.DescribeIamInstanceProfileAssociationsOutput, error) {
	match, err := filters[instance]{
		"instance-id": instanceFilters["instance-id"],
		"state":       func(tx, *instance) []string { return one("associated") },
	}.compile(func(*instance) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeIamInstanceProfileAssociationsOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.IamInstanceProfileAssociations = []types.IamInstanceProfileAssociation{}
		var found []*instance
		for _, id := range in.AssociationIds {
			i, err := instanceByAssociation(t, id)
			if err != nil {
				return err
			}
			found = append(found, i)
		}
		if len(in.AssociationIds) == 0 {
			if found, err = instances.all(t); err != nil {
				return err
			}
		}
		var with []*instance
		for _, i := range found {
			if i.Profile != nil && match.matches(t, i) {
				with = append(with, i)
			}
		}
		q := query{ids: in.AssociationIds, idsName: "associationIds", max: in.MaxResults, token: in.NextToken}
		page, next, err := cut(with, func(i *instance) string { return i.ID }, "profile-associations", pageBounds{5, 1000}, q)
		for _, i := range page {
			out.IamInstanceProfileAssociations = append(out.IamInstanceProfileAssociations, *i.associationToAPI(types.IamInstanceProfileAssociationStateAssociated))
		}
		out.NextToken = next
		return err
	})
}
