package ec2

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// byParameter begins an ImageId that names a parameter of Systems Manager, with an optional version or label behind a colon.
// AWS: "Reference AMIs using Systems Manager parameters".
const byParameter = "resolve:ssm:"

// imageParameterType is the type of data that such a parameter has to have.
const imageParameterType = "aws:ec2:image"

// AWS: not among "Error codes for the Amazon EC2 API"; code and words are those that EC2 answers with.
func errImageParameter(format string, args ...any) error {
	return awsapi.Errorf("SsmInvalidParameter", format, args...)
}

// resolveImage answers the AMI that an ImageId means: the parameter's value at this moment, or what was given.
func (s *Service) resolveImage(ctx context.Context, scope store.Scope, given *string) (*string, error) {
	name, named := strings.CutPrefix(aws.ToString(given), byParameter)
	if !named {
		return given, nil
	}
	if s.config.Parameter == nil {
		return nil, errNotImplemented("An ImageId that names a parameter")
	}
	value, typ, err := s.config.Parameter(ctx, scope.Account, scope.Region, name)
	switch {
	case err != nil:
		return nil, err
	case value == "":
		return nil, errImageParameter("The following aliases are invalid: %s", *given)
	case typ != imageParameterType:
		return nil, errImageParameter("Unsupported data type. The following parameter data types are supported: %s", imageParameterType)
	}
	return aws.String(value), nil
}

// withImage is a launch whose ImageId is an AMI's id, whatever it was given as.
func (s *Service) withImage(ctx context.Context, scope store.Scope, in *ec2.RunInstancesInput) (*ec2.RunInstancesInput, error) {
	id, err := s.resolveImage(ctx, scope, in.ImageId)
	if err != nil || id == in.ImageId {
		return in, err
	}
	resolved := *in
	resolved.ImageId = id
	return &resolved, nil
}

// parameterAccess is what whoever launches by a parameter needs besides: to read it.
func parameterAccess(scope store.Scope, given *string) []awsapi.Access {
	name, named := strings.CutPrefix(aws.ToString(given), byParameter)
	if !named {
		return nil
	}
	const before = ":parameter/"
	if at := strings.Index(name, before); strings.HasPrefix(name, "arn:") && at >= 0 {
		at += len(before)
		plain, _, _ := strings.Cut(name[at:], ":")
		name = name[:at] + plain
	} else {
		name, _, _ = strings.Cut(name, ":")
		account := scope.Account
		if strings.HasPrefix(name, "/aws/") {
			account = "" // of public ones
		}
		name = "arn:aws:ssm:" + scope.Region + ":" + account + ":parameter/" + strings.TrimPrefix(name, "/")
	}
	return []awsapi.Access{{Action: "ssm:GetParameters", Resources: []string{name}}}
}

// readsImage adds that to what an operation needs whose input may name a parameter.
func readsImage[In any](access func(context.Context, *In) ([]awsapi.Access, error), data func(*In) *types.RequestLaunchTemplateData) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		all, err := access(ctx, in)
		if given := data(in); given != nil {
			all = append(all, parameterAccess(scopeOf(ctx), given.ImageId)...)
		}
		return all, err
	}
}

// versionsAccess is what DescribeLaunchTemplateVersions needs: with ResolveAlias also to read the parameters of those versions.
func (s *Service) versionsAccess(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput) ([]awsapi.Access, error) {
	all := []awsapi.Access{}
	listing, err := inRegion[ec2.DescribeLaunchTemplateVersionsInput]("DescribeLaunchTemplateVersions")(ctx, in)
	if err != nil || !aws.ToBool(in.ResolveAlias) {
		return listing, err
	}
	err = s.view(ctx, func(t tx) error {
		all = slices.Clone(listing)
		versions, err := s.versionsAsked(t, in)
		for _, v := range versions {
			all = append(all, parameterAccess(t.scope, v.Data.ImageId)...)
		}
		return err
	})
	return all, unlessRefused(err)
}

// unlessRefused takes away what is wrong with a call: permissions are asked for before that is answered.
func unlessRefused(err error) error {
	var refused *awsapi.Error
	if errors.As(err, &refused) {
		return nil
	}
	return err
}
