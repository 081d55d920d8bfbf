package ssm

import (
	"context"
	"encoding/base64"
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"
	"github.com/aws/smithy-go"

	"miniaws/backend/store"
)

// codeOf is the code of an error as clients see it, or "".
func codeOf(err error) string {
	var known smithy.APIError
	if errors.As(err, &known) {
		return known.ErrorCode()
	}
	return ""
}

// token hides where a listing continues: behind a name.
func token(name string) *string {
	return aws.String(base64.RawURLEncoding.EncodeToString([]byte("1 " + name)))
}

func readToken(token *string) (after string, err error) {
	if aws.ToString(token) == "" {
		return "", nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(*token)
	after, ok := strings.CutPrefix(string(raw), "1 ")
	if err != nil || !ok {
		return "", errInvalidNextToken()
	}
	return after, nil
}

// page reads where a listing goes on, and how much it answers at once: MaxResults, up to AWS's most.
func page(next *string, asked *int32, most int) (after string, limit int, err error) {
	if after, err = readToken(next); err != nil || asked == nil {
		return after, most, err
	}
	if n := int(*asked); n >= 1 && n <= most {
		return after, n, nil
	}
	return "", 0, errValidation("MaxResults is out of range.")
}

// GetParametersByPath answers what is below a path, a page at a time.
// AWS: "GetParametersByPath": at most 10 a page.
func (s *Service) GetParametersByPath(ctx context.Context, in *api.GetParametersByPathInput) (*api.GetParametersByPathOutput, error) {
	c := callOf(ctx)
	path := strings.TrimSuffix(*in.Path, "/") + "/"
	if !strings.HasPrefix(path, "/") || path != "/" && !namePattern.MatchString(strings.TrimSuffix(path, "/")) {
		return nil, errValidation(`The parameter doesn't meet the parameter name requirements. The parameter name must begin with a forward slash "/". It can't be prefixed with "aws" or "ssm" (case-insensitive). It must use only letters, numbers, or the following symbols: . (period), - (hyphen), _ (underscore). Special characters are not allowed. All sub-paths, if specified, must use the forward slash symbol "/". Valid example: /get/parameters2-/by1./path0_.`)
	}
	after, limit, err := page(in.NextToken, in.MaxResults, 10)
	if err != nil {
		return nil, err
	}
	match, err := compileFilters(in.ParameterFilters, []string{"Type", "KeyId", "Label", "DataType"})
	if err != nil {
		return nil, err
	}
	below := func(name string) bool {
		rest, ok := strings.CutPrefix(name, path)
		return ok && name > after && (aws.ToBool(in.Recursive) || !strings.Contains(rest, "/"))
	}
	if strings.HasPrefix(path, publicPrefix) {
		return s.publicByPath(c, below, match, limit), nil
	}
	var out *api.GetParametersByPathOutput
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		out = &api.GetParametersByPathOutput{Parameters: []types.Parameter{}}
		last := ""
		query := store.Query{Prefix: path}
		if after != "" {
			query.After = store.After(after)
		}
		for p, err := range parameters.In(tx, c.scope).Scan(query) {
			if err != nil {
				return err
			}
			if !below(p.Name) {
				continue
			}
			v, err := versions.In(tx, c.scope).Get(p.Name, ordinal(p.Latest))
			if err != nil {
				return err
			}
			if !match(p, v) {
				continue
			}
			if len(out.Parameters) == limit {
				out.NextToken = token(last)
				return nil
			}
			found, err := s.toAPI(c.scope, v, aws.ToBool(in.WithDecryption))
			if err != nil {
				return err
			}
			out.Parameters, last = append(out.Parameters, found), p.Name
		}
		return nil
	})
	return out, err
}

func (s *Service) publicByPath(c call, below func(string) bool, match func(*parameter, *version) bool, limit int) *api.GetParametersByPathOutput {
	out := &api.GetParametersByPathOutput{Parameters: []types.Parameter{}}
	for _, p := range s.config.Public(c.scope.Region) {
		if !below(p.Name) || !match(&parameter{Name: p.Name}, &version{Name: p.Name, Type: types.ParameterTypeString, DataType: p.DataType}) {
			continue
		}
		if len(out.Parameters) == limit {
			out.NextToken = token(*out.Parameters[limit-1].Name)
			break
		}
		out.Parameters = append(out.Parameters, publicToAPI(c.scope.Region, p))
	}
	return out
}

// compileFilters makes a test of filters; allowed are the keys that the operation takes.
// AWS: "ParameterStringFilter".
func compileFilters(filters []types.ParameterStringFilter, allowed []string) (func(*parameter, *version) bool, error) {
	var tests []func(*parameter, *version) bool
	seen := map[string]bool{}
	for _, f := range filters {
		key, option := aws.ToString(f.Key), aws.ToString(f.Option)
		tag, isTag := strings.CutPrefix(key, "tag:")
		if known := slices.Contains(allowed, key) || isTag && slices.Contains(allowed, "tag:"); !known {
			return nil, errInvalidFilterKey(key, allowed)
		}
		if seen[key] {
			return nil, errRepeatedFilter(key)
		}
		seen[key] = true
		if len(f.Values) == 0 && !isTag {
			return nil, errInvalidFilterValue("The following filter values are missing for filter key " + key)
		}
		if key == "Path" {
			test, err := pathFilter(option, f.Values)
			if err != nil {
				return nil, err
			}
			tests = append(tests, test)
			continue
		}
		for _, value := range f.Values {
			if known := filterVocabulary[key]; known != nil && !slices.Contains(known, value) {
				return nil, errUnknownFilterValue(value, known)
			}
		}
		var same func(have, want string) bool
		switch option {
		case "", "Equals":
			same = func(have, want string) bool { return have == want }
		case "BeginsWith":
			same = strings.HasPrefix
		case "Contains":
			if key != "Name" {
				return nil, errInvalidFilterOption(option, "BeginsWith", "Equals")
			}
			same = strings.Contains
		default:
			return nil, errInvalidFilterOption(option, "BeginsWith", "Equals")
		}
		tests = append(tests, func(p *parameter, v *version) bool {
			for _, have := range filterValues(p, v, key, tag) {
				if len(f.Values) == 0 || slices.ContainsFunc(f.Values, func(want string) bool { return same(have, want) }) {
					return true
				}
			}
			return false
		})
	}
	return func(p *parameter, v *version) bool {
		return !slices.ContainsFunc(tests, func(test func(*parameter, *version) bool) bool { return !test(p, v) })
	}, nil
}

// filterVocabulary are the values that there are for a filter's key.
var filterVocabulary = map[string][]string{
	"Type": {"String", "StringList", "SecureString"},
	"Tier": {"Standard", "Advanced", "Intelligent-Tiering"},
}

// filterValues are the values of a parameter that a filter's key is about.
func filterValues(p *parameter, v *version, key, tag string) []string {
	switch key {
	case "Name":
		return []string{p.Name, strings.TrimPrefix(p.Name, "/")}
	case "Type":
		return []string{string(v.Type)}
	case "KeyId":
		return []string{v.KeyID}
	case "Tier":
		return []string{string(v.Tier)}
	case "DataType":
		return []string{v.DataType}
	case "Label":
		var labels []string
		for label, number := range p.Labels {
			if number == v.Number {
				labels = append(labels, label)
			}
		}
		return labels
	}
	if value, ok := p.Tags[tag]; ok && tag != "" {
		return []string{value}
	}
	return nil
}

func pathFilter(option string, paths []string) (func(*parameter, *version) bool, error) {
	if !slices.Contains([]string{"", "OneLevel", "Recursive"}, option) {
		return nil, errInvalidFilterOption(option, "Recursive", "OneLevel")
	}
	for _, path := range paths {
		if !strings.HasPrefix(path, "/") {
			return nil, errInvalidFilterValue("The parameter path must begin with a forward slash.")
		}
	}
	return func(p *parameter, _ *version) bool {
		return slices.ContainsFunc(paths, func(path string) bool {
			rest, ok := strings.CutPrefix(p.Name, strings.TrimSuffix(path, "/")+"/")
			return ok && (option == "Recursive" || !strings.Contains(rest, "/"))
		})
	}, nil
}

// DescribeParameters lists what is known of parameters, without values. Public ones are not among them.
// AWS: "DescribeParameters": at most 50 a page.
func (s *Service) DescribeParameters(ctx context.Context, in *api.DescribeParametersInput) (*api.DescribeParametersOutput, error) {
	c := callOf(ctx)
	filters := slices.Clone(in.ParameterFilters)
	if len(in.Filters) > 0 && len(filters) > 0 {
		return nil, errValidation("You can use either Filters or ParameterFilters in a single request.")
	}
	for _, f := range in.Filters { // the older way of saying it
		option := "Equals"
		if f.Key == types.ParametersFilterKeyName {
			option = "BeginsWith"
		}
		filters = append(filters, types.ParameterStringFilter{Key: aws.String(string(f.Key)), Option: &option, Values: f.Values})
	}
	match, err := compileFilters(filters, []string{"Path", "Name", "Type", "KeyId", "Tier", "DataType", "tag:"})
	if err != nil {
		return nil, err
	}
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	var out *api.DescribeParametersOutput
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		out = &api.DescribeParametersOutput{Parameters: []types.ParameterMetadata{}}
		if aws.ToBool(in.Shared) {
			return nil // nothing is shared across accounts
		}
		query := store.Query{}
		if after != "" {
			query.After = store.After(after)
		}
		for p, err := range parameters.In(tx, c.scope).Scan(query) {
			if err != nil {
				return err
			}
			v, err := versions.In(tx, c.scope).Get(p.Name, ordinal(p.Latest))
			if err != nil {
				return err
			}
			if !match(p, v) {
				continue
			}
			if len(out.Parameters) == limit {
				out.NextToken = token(*out.Parameters[limit-1].Name)
				return nil
			}
			out.Parameters = append(out.Parameters, types.ParameterMetadata{
				ARN: aws.String(parameterARN(c.scope.Region, c.scope.Account, v.Name)), Name: aws.String(v.Name), Type: v.Type,
				Version: v.Number, Tier: v.Tier, DataType: aws.String(v.DataType), LastModifiedDate: aws.Time(v.Modified),
				LastModifiedUser: aws.String(v.ModifiedBy), Description: optional(v.Description), KeyId: optional(v.KeyID),
				AllowedPattern: optional(v.AllowedPattern), Policies: v.policiesToAPI(),
			})
		}
		return nil
	})
	return out, err
}

// optional is nil for "".
func optional(text string) *string {
	if text == "" {
		return nil
	}
	return &text
}
