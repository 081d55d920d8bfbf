package ssm

import (
	"context"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/lazyregexp"
	"miniaws/backend/reconcile"
	"miniaws/backend/store"
)

// parameter is what all versions of one have in common.
type parameter struct {
	Name   string
	Latest int64
	Tags   map[string]string `json:",omitempty"`
	// Labels maps a label to the version that has it.
	Labels map[string]int64 `json:",omitempty"`
}

// version is one value of a parameter.
type version struct {
	Name   string
	Number int64
	Type   types.ParameterType
	// Value is plain text, or the sealed box of a SecureString.
	Value          []byte
	KeyID          string `json:",omitempty"`
	Description    string `json:",omitempty"`
	AllowedPattern string `json:",omitempty"`
	DataType       string
	Tier           types.ParameterTier
	Modified       time.Time
	ModifiedBy     string
	Policies       []parameterPolicy `json:",omitempty"`
}

var parameters = store.NewTable(store.Spec[parameter]{
	Service: "ssm", Name: "parameters", ID: func(p *parameter) store.ID { return store.ID{p.Name} },
})

var versions = store.NewTable(store.Spec[version]{
	Service: "ssm", Name: "parameter-versions", ID: func(v *version) store.ID { return store.ID{v.Name, ordinal(v.Number)} },
})

// ordinal is a number whose text sorts as the number does.
func ordinal(n int64) string { return fmt.Sprintf("%012d", n) }

const (
	publicPrefix = "/aws/service/"
	defaultKey   = "alias/aws/ssm"
	// AWS: "Quotas" of Systems Manager: sizes of values, versions, depth of names.
	maxStandard = 4 << 10
	maxAdvanced = 8 << 10
	maxVersions = 100
	maxLevels   = 15
	// maxARN is the longest ARN of a parameter. AWS: "PutParameter", Name: 1011 characters.
	maxARN = 1011
)

const nameRules = `can't be prefixed with "aws" or "ssm" (case-insensitive). If formed as a path, it can consist of sub-paths divided by slash symbol; each sub-path can be formed as a mix of letters, numbers and the following 3 symbols .-_`

var namePattern = lazyregexp.New(`^/?[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)

// checkName refuses what a parameter of one's own cannot be called.
// AWS: "PutParameter", Name; "Requirements and constraints for parameter names".
func checkName(region, account, name string) error {
	lower := strings.ToLower(strings.TrimPrefix(name, "/"))
	switch {
	case strings.HasPrefix(lower, "aws/") || lower == "aws":
		return errReservedName(name)
	case strings.HasPrefix(lower, "aws") || strings.HasPrefix(lower, "ssm"), !namePattern.MatchString(name):
		return errValidation("Parameter name: " + nameRules)
	case strings.Contains(strings.TrimPrefix(name, "/"), "/") && !strings.HasPrefix(name, "/"):
		return errValidation("Parameter name must be a fully qualified name.")
	case strings.Count(name, "/") > maxLevels:
		return errHierarchyLevels()
	case len(parameterARN(region, account, name)) > maxARN:
		return errValidation(fmt.Sprintf("Parameter ARN must be at most %d characters.", maxARN))
	}
	return nil
}

// PutParameter writes a new version.
func (s *Service) PutParameter(ctx context.Context, in *api.PutParameterInput) (*api.PutParameterOutput, error) {
	c := callOf(ctx)
	name := *in.Name
	overwrite := aws.ToBool(in.Overwrite)
	switch {
	case overwrite && len(in.Tags) > 0:
		return nil, errValidation("Invalid request: tags and overwrite can't be used together. To create a parameter with tags, please remove overwrite flag. To update tags for an existing parameter, please use AddTagsToResource or RemoveTagsFromResource.")
	case *in.Value == "":
		return nil, errValidation("1 validation error detected: Value '' at 'value' failed to satisfy constraint: Member must have length greater than or equal to 1.")
	}
	if err := checkName(c.scope.Region, c.scope.Account, name); err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	if err := s.checkDataType(ctx, c, in); err != nil {
		return nil, err
	}
	policies, keep, err := policiesOf(in.Policies, c.now)
	if err != nil {
		return nil, err
	}
	out := &api.PutParameterOutput{}
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		rows, history := parameters.In(tx, c.scope), versions.In(tx, c.scope)
		p, err := rows.Find(name)
		if err != nil {
			return err
		}
		var previous *version
		switch {
		case p != nil && !overwrite:
			return errParameterAlreadyExists()
		case p != nil:
			if previous, err = history.Get(name, ordinal(p.Latest)); err != nil {
				return err
			}
		default:
			p = &parameter{Name: name, Tags: tags}
		}
		// AWS: "PutParameter", Policies: those that were are preserved until others, or an empty one, are sent.
		ruled := policies
		if keep && previous != nil {
			ruled = previous.Policies
		}
		v, err := s.nextVersion(c, in, previous, ruled)
		if err != nil {
			return err
		}
		v.Number = p.Latest + 1
		p.Latest = v.Number
		if v.Type == types.ParameterTypeSecureString {
			v.Value = s.config.Seal.Seal(v.Value, sealContext(c.scope, v))
		}
		if err := dropOldest(history, p); err != nil {
			return err
		}
		out.Version, out.Tier = v.Number, v.Tier
		if err := history.Put(v); err != nil {
			return err
		}
		if at := v.expires(); !at.IsZero() {
			if err := reconcile.WantAfter(tx, parameterItem(c.scope, name), at.Sub(tx.Now())); err != nil {
				return err
			}
		}
		return rows.Put(p)
	})
	return out, err
}

// sealContext binds a sealed value to its place.
func sealContext(scope store.Scope, v *version) string {
	return strings.Join([]string{scope.Account, scope.Region, v.Name, ordinal(v.Number)}, "|")
}

// checkDataType looks at values that name something. AWS validates AMIs after it has answered; here it is before, so
// that no value is ever stored and then thrown away.
func (s *Service) checkDataType(ctx context.Context, c call, in *api.PutParameterInput) error {
	switch aws.ToString(in.DataType) {
	case "", "text":
		return nil
	case "aws:ec2:image":
		if s.config.HasImage != nil && in.Type != types.ParameterTypeSecureString {
			has, err := s.config.HasImage(ctx, c.scope.Account, c.scope.Region, *in.Value)
			if has || err != nil {
				return err
			}
		}
		return errValidation("The following parameter value is not a valid AMI ID: " + *in.Value)
	case "aws:ssm:integration":
		if in.Type == types.ParameterTypeSecureString {
			return nil
		}
		return errValidation("The data type aws:ssm:integration takes a parameter of the type SecureString.")
	default:
		return errValidation("The following data type is not supported: " + *in.DataType + " (Data type names are all lowercase.)")
	}
}

// nextVersion is what PutParameter writes, not sealed yet; what the call leaves out stays as it was.
func (s *Service) nextVersion(c call, in *api.PutParameterInput, previous *version, policies []parameterPolicy) (*version, error) {
	v := &version{
		Name: *in.Name, Type: in.Type, Value: []byte(*in.Value), DataType: aws.ToString(in.DataType),
		KeyID: aws.ToString(in.KeyId), AllowedPattern: aws.ToString(in.AllowedPattern), Description: aws.ToString(in.Description),
		Tier: in.Tier, Modified: c.now, ModifiedBy: c.caller, Policies: policies,
	}
	if previous != nil {
		if v.Type == "" {
			v.Type = previous.Type
		}
		if in.Description == nil {
			v.Description = previous.Description
		}
		if v.KeyID == "" && v.Type == types.ParameterTypeSecureString {
			v.KeyID = previous.KeyID
		}
		if v.Tier == "" && previous.Tier == types.ParameterTierAdvanced {
			v.Tier = previous.Tier
		}
		// AWS: "PutParameter" documents HierarchyTypeMismatchException for a change from String to SecureString, and takes it all
		// the same, and back: the acceptance tests of Terraform's provider do both.
		if v.Type != previous.Type && (v.Type == types.ParameterTypeStringList || previous.Type == types.ParameterTypeStringList) {
			return nil, errTypeChange()
		}
	}
	switch v.Type {
	case "":
		return nil, errValidation("A parameter type is required when you create a parameter.")
	case types.ParameterTypeSecureString:
		if v.KeyID == "" {
			v.KeyID = defaultKey
		}
		if v.KeyID != defaultKey {
			return nil, errInvalidKeyID(v.KeyID)
		}
	default:
		if v.KeyID != "" {
			return nil, errValidation("KeyId is required for SecureString type parameter only.")
		}
	}
	if v.DataType == "" {
		v.DataType = "text"
	}
	if err := fitTier(v, previous); err != nil {
		return nil, err
	}
	if v.AllowedPattern != "" {
		pattern, err := regexp.Compile(`^(?:` + v.AllowedPattern + `)$`)
		if err != nil {
			return nil, errAllowedPattern(v.AllowedPattern)
		}
		if !pattern.Match(v.Value) {
			return nil, errPatternMismatch(v.AllowedPattern)
		}
	}
	return v, nil
}

// fitTier settles the tier, which bounds the value.
// AWS: "Managing parameter tiers".
func fitTier(v, previous *version) error {
	size := len(v.Value)
	switch v.Tier {
	case types.ParameterTierIntelligentTiering:
		v.Tier = types.ParameterTierStandard
		if size > maxStandard || len(v.Policies) > 0 || previous != nil && previous.Tier == types.ParameterTierAdvanced {
			v.Tier = types.ParameterTierAdvanced
		}
	case "":
		v.Tier = types.ParameterTierStandard
	}
	if previous != nil && previous.Tier == types.ParameterTierAdvanced && v.Tier == types.ParameterTierStandard {
		return errValidation("This parameter uses the advanced-parameter tier. You can't downgrade a parameter from the advanced-parameter tier to the standard-parameter tier. If necessary, you can delete the advanced parameter and recreate it as a standard parameter. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html")
	}
	switch {
	case v.Tier == types.ParameterTierStandard && len(v.Policies) > 0:
		return errValidation("Parameter policies are supported by the advanced-parameter tier only. To assign policies, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html")
	case v.Tier == types.ParameterTierStandard && size > maxStandard:
		return errValidation("Standard tier parameters support a maximum parameter value of 4096 characters. To create a larger parameter value, upgrade the parameter to use the advanced-parameter tier. For more information, see https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-advanced-parameters.html")
	case size > maxAdvanced:
		return errValidation("Advanced tier parameters support a maximum parameter value of 8192 characters.")
	}
	return nil
}

// dropOldest makes room for one more version.
func dropOldest(history store.Rows[version], p *parameter) error {
	oldest := p.Latest - maxVersions
	if oldest < 1 {
		return nil
	}
	for _, number := range p.Labels {
		if number == oldest {
			return errMaxVersions(p.Name, oldest)
		}
	}
	return history.Delete(p.Name, ordinal(oldest))
}

// plain is the value as a reader gets it: opened, or the box as AWS shows its ciphertext.
func (s *Service) plain(scope store.Scope, v *version, decrypt bool) (string, error) {
	switch {
	case v.Type != types.ParameterTypeSecureString:
		return string(v.Value), nil
	case !decrypt:
		return base64.StdEncoding.EncodeToString(v.Value), nil
	}
	value, err := s.config.Seal.Open(v.Value, sealContext(scope, v))
	if err != nil {
		return "", fmt.Errorf("parameter %s: %w", v.Name, err)
	}
	return string(value), nil
}

func (s *Service) toAPI(scope store.Scope, v *version, decrypt bool) (types.Parameter, error) {
	value, err := s.plain(scope, v, decrypt)
	return types.Parameter{
		ARN: aws.String(parameterARN(scope.Region, scope.Account, v.Name)), Name: aws.String(v.Name), Type: v.Type,
		Value: aws.String(value), Version: v.Number, LastModifiedDate: aws.Time(v.Modified), DataType: aws.String(v.DataType),
	}, err
}

func publicToAPI(region string, p PublicParameter) types.Parameter {
	return types.Parameter{
		ARN: aws.String(parameterARN(region, "", p.Name)), Name: aws.String(p.Name), Type: types.ParameterTypeString,
		Value: aws.String(p.Value), Version: p.Version, LastModifiedDate: aws.Time(p.Modified), DataType: aws.String(p.DataType),
	}
}

// lookUp answers the version that a name with an optional selector means; nil where there is no such parameter.
func (s *Service) lookUp(tx store.Tx, scope store.Scope, asked string, decrypt bool) (*types.Parameter, error) {
	name, selector := splitSelector(asked)
	if !namesOwn(scope, asked) {
		return nil, nil
	}
	var found types.Parameter
	if strings.HasPrefix(name, publicPrefix) {
		all := s.config.Public(scope.Region)
		i, ok := slices.BinarySearchFunc(all, name, func(p PublicParameter, name string) int { return strings.Compare(p.Name, name) })
		if !ok {
			return nil, nil
		}
		if selector != "" && selector != strconv.FormatInt(all[i].Version, 10) {
			return nil, errVersionNotFound(name, selector)
		}
		found = publicToAPI(scope.Region, all[i])
	} else {
		if !namePattern.MatchString(name) {
			return nil, nil
		}
		p, err := parameters.In(tx, scope).Find(name)
		if p == nil && err == nil && strings.HasPrefix(asked, "arn:") && !strings.HasPrefix(name, "/") {
			// The ARN of a name of one level is the same with and without a slash before it.
			name = "/" + name
			p, err = parameters.In(tx, scope).Find(name)
		}
		if p == nil || err != nil {
			return nil, err
		}
		number := p.Latest
		if selector != "" {
			var ok bool
			if number, ok = p.Labels[selector]; !ok {
				if number, err = strconv.ParseInt(selector, 10, 64); err != nil || number < 1 {
					return nil, errVersionNotFound(name, selector)
				}
			}
		}
		v, err := versions.In(tx, scope).Find(name, ordinal(number))
		if err != nil {
			return nil, err
		}
		if v == nil {
			return nil, errVersionNotFound(name, selector)
		}
		if found, err = s.toAPI(scope, v, decrypt); err != nil {
			return nil, err
		}
	}
	if selector != "" {
		found.Selector = aws.String(":" + selector)
	}
	return &found, nil
}

// GetParameter answers one parameter: the newest version, or that of a selector.
func (s *Service) GetParameter(ctx context.Context, in *api.GetParameterInput) (*api.GetParameterOutput, error) {
	c := callOf(ctx)
	out := &api.GetParameterOutput{}
	err := s.config.DB.View(ctx, func(tx store.Tx) (err error) {
		out.Parameter, err = s.lookUp(tx, c.scope, *in.Name, aws.ToBool(in.WithDecryption))
		if err == nil && out.Parameter == nil {
			err = errParameterNotFound("")
		}
		return err
	})
	return out, err
}

// ImageParameter answers the value and the data type of a parameter, with an optional selector, to what launches by it; "" where
// there is none, or a secret.
func (s *Service) ImageParameter(ctx context.Context, account, region, name string) (value, dataType string, err error) {
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		found, err := s.lookUp(tx, store.Scope{Account: account, Region: region}, name, false)
		switch {
		case codeOf(err) == "ParameterVersionNotFound", err == nil && (found == nil || found.Type == types.ParameterTypeSecureString):
			value, dataType = "", ""
			return nil
		case err != nil:
			return err
		}
		value, dataType = aws.ToString(found.Value), aws.ToString(found.DataType)
		return nil
	})
	return value, dataType, err
}

// GetParameters answers up to ten at once; those that are not there are listed as invalid.
func (s *Service) GetParameters(ctx context.Context, in *api.GetParametersInput) (*api.GetParametersOutput, error) {
	c := callOf(ctx)
	var out *api.GetParametersOutput
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		out = &api.GetParametersOutput{Parameters: []types.Parameter{}, InvalidParameters: []string{}}
		asked := slices.Compact(slices.Sorted(slices.Values(in.Names)))
		for _, name := range asked {
			found, err := s.lookUp(tx, c.scope, name, aws.ToBool(in.WithDecryption))
			switch {
			case codeOf(err) == "ParameterVersionNotFound", err == nil && found == nil:
				out.InvalidParameters = append(out.InvalidParameters, name)
			case err != nil:
				return err
			default:
				out.Parameters = append(out.Parameters, *found)
			}
		}
		return nil
	})
	return out, err
}

// DeleteParameter removes a parameter with all its versions.
func (s *Service) DeleteParameter(ctx context.Context, in *api.DeleteParameterInput) (*api.DeleteParameterOutput, error) {
	deleted, err := s.remove(ctx, []string{*in.Name})
	if err == nil && len(deleted) == 0 {
		err = errParameterNotFound("")
	}
	return &api.DeleteParameterOutput{}, err
}

// DeleteParameters removes up to ten.
func (s *Service) DeleteParameters(ctx context.Context, in *api.DeleteParametersInput) (*api.DeleteParametersOutput, error) {
	deleted, err := s.remove(ctx, in.Names)
	out := &api.DeleteParametersOutput{DeletedParameters: []string{}, InvalidParameters: []string{}}
	for _, name := range in.Names {
		if slices.Contains(deleted, name) {
			out.DeletedParameters = append(out.DeletedParameters, name)
		} else {
			out.InvalidParameters = append(out.InvalidParameters, name)
		}
	}
	return out, err
}

func (s *Service) remove(ctx context.Context, names []string) (deleted []string, err error) {
	c := callOf(ctx)
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		deleted = nil
		rows := parameters.In(tx, c.scope)
		for _, name := range names {
			if !namePattern.MatchString(name) {
				continue
			}
			p, err := rows.Find(name)
			if err != nil {
				return err
			}
			if p == nil {
				continue
			}
			if err := removeParameter(tx, c.scope, p); err != nil {
				return err
			}
			deleted = append(deleted, name)
		}
		return nil
	})
	return deleted, err
}

// removeParameter removes all versions.
func removeParameter(tx store.Tx, scope store.Scope, p *parameter) error {
	for number := max(1, p.Latest-maxVersions); number <= p.Latest; number++ {
		if err := versions.In(tx, scope).Delete(p.Name, ordinal(number)); err != nil {
			return err
		}
	}
	return parameters.In(tx, scope).Delete(p.Name)
}
