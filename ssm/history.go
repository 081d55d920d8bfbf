package ssm

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// GetParameterHistory answers a parameter's versions, oldest first.
// AWS: "GetParameterHistory": at most 50 a page.
func (s *Service) GetParameterHistory(ctx context.Context, in *api.GetParameterHistoryInput) (*api.GetParameterHistoryOutput, error) {
	c := callOf(ctx)
	name := plainName(*in.Name)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	var out *api.GetParameterHistoryOutput
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		out = &api.GetParameterHistoryOutput{Parameters: []types.ParameterHistory{}}
		p, err := s.existing(tx, c.scope, name)
		if err != nil {
			return err
		}
		query := store.Query{Parts: store.ID{name}, Limit: limit}
		if after != "" {
			query.After = store.After(name, after)
		}
		list, next, err := versions.In(tx, c.scope).List(query)
		if err != nil {
			return err
		}
		for _, v := range list {
			value, err := s.plain(c.scope, v, aws.ToBool(in.WithDecryption))
			if err != nil {
				return err
			}
			labels := filterValues(p, v, "Label", "")
			slices.Sort(labels)
			out.Parameters = append(out.Parameters, types.ParameterHistory{
				Name: aws.String(v.Name), Type: v.Type, Value: aws.String(value), Version: v.Number, Tier: v.Tier,
				DataType: aws.String(v.DataType), LastModifiedDate: aws.Time(v.Modified), LastModifiedUser: aws.String(v.ModifiedBy),
				Description: optional(v.Description), KeyId: optional(v.KeyID), AllowedPattern: optional(v.AllowedPattern),
				Labels: append([]string{}, labels...), Policies: v.policiesToAPI(),
			})
		}
		if next != "" {
			out.NextToken = token(ordinal(list[len(list)-1].Number))
		}
		return nil
	})
	return out, err
}

// existing answers the parameter or ParameterNotFound.
func (s *Service) existing(tx store.Tx, scope store.Scope, name string) (*parameter, error) {
	if !namePattern.MatchString(name) {
		return nil, errParameterNotFound("")
	}
	p, err := parameters.In(tx, scope).Find(name)
	if p == nil && err == nil {
		err = errParameterNotFound("")
	}
	return p, err
}

// labelPattern is what a label is made of. AWS: "Working with parameter labels".
var labelPattern = lazyregexp.New(`^[a-zA-Z_.-][a-zA-Z0-9_.-]{0,99}$`)

func validLabel(label string) bool {
	lower := strings.ToLower(label)
	return labelPattern.MatchString(label) && !strings.HasPrefix(lower, "aws") && !strings.HasPrefix(lower, "ssm")
}

const maxLabels = 10

// LabelParameterVersion gives labels to a version; a label that another version has moves.
func (s *Service) LabelParameterVersion(ctx context.Context, in *api.LabelParameterVersionInput) (*api.LabelParameterVersionOutput, error) {
	c := callOf(ctx)
	var out *api.LabelParameterVersionOutput
	err := s.config.DB.Update(ctx, func(tx store.Tx) error {
		out = &api.LabelParameterVersionOutput{InvalidLabels: []string{}}
		p, number, err := s.versionOf(tx, c.scope, *in.Name, in.ParameterVersion)
		if err != nil {
			return err
		}
		out.ParameterVersion = number
		if p.Labels == nil {
			p.Labels = map[string]int64{}
		}
		for _, label := range in.Labels {
			if !validLabel(label) {
				out.InvalidLabels = append(out.InvalidLabels, label)
				continue
			}
			p.Labels[label] = number
		}
		count := 0
		for _, holder := range p.Labels {
			if holder == number {
				count++
			}
		}
		if count > maxLabels {
			return errTooManyLabels()
		}
		return parameters.In(tx, c.scope).Put(p)
	})
	return out, err
}

// versionOf answers a parameter and which of its versions is meant: the newest where none is named.
func (s *Service) versionOf(tx store.Tx, scope store.Scope, name string, number *int64) (*parameter, int64, error) {
	p, err := s.existing(tx, scope, plainName(name))
	if err != nil {
		return nil, 0, err
	}
	if number == nil {
		return p, p.Latest, nil
	}
	v, err := versions.In(tx, scope).Find(p.Name, ordinal(max(0, *number)))
	if v == nil && err == nil {
		err = errVersionNotFound(p.Name, strconv.FormatInt(*number, 10))
	}
	return p, *number, err
}

// UnlabelParameterVersion takes labels from a version; those that it does not have are answered as invalid.
func (s *Service) UnlabelParameterVersion(ctx context.Context, in *api.UnlabelParameterVersionInput) (*api.UnlabelParameterVersionOutput, error) {
	c := callOf(ctx)
	var out *api.UnlabelParameterVersionOutput
	err := s.config.DB.Update(ctx, func(tx store.Tx) error {
		out = &api.UnlabelParameterVersionOutput{InvalidLabels: []string{}, RemovedLabels: []string{}}
		p, number, err := s.versionOf(tx, c.scope, *in.Name, in.ParameterVersion)
		if err != nil {
			return err
		}
		for _, label := range in.Labels {
			if holder, ok := p.Labels[label]; ok && holder == number {
				delete(p.Labels, label)
				out.RemovedLabels = append(out.RemovedLabels, label)
			} else {
				out.InvalidLabels = append(out.InvalidLabels, label)
			}
		}
		return parameters.In(tx, c.scope).Put(p)
	})
	return out, err
}
