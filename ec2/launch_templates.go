package ec2

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// launchTemplate names versions of parameters of RunInstances.
type launchTemplate struct {
	resource
	Name            string
	Default, Latest int64
	Created         time.Time
	Creator         string
}

// templateVersion is one version; numbers are never used again.
type templateVersion struct {
	Template    string
	Number      int64
	Description string `json:",omitempty"`
	Created     time.Time
	Creator     string
	Data        types.RequestLaunchTemplateData
}

var templateVersions = store.NewTable(store.Spec[templateVersion]{
	Service: "ec2", Name: "launch-template-versions",
	ID: func(v *templateVersion) store.ID { return store.ID{v.Template, versionKey(v.Number)} },
})

// versionKey is a number whose text sorts as the number does.
func versionKey(n int64) string {
	text := strconv.FormatInt(n, 10)
	return strings.Repeat("0", max(0, 12-len(text))) + text
}

func templateBase(l *launchTemplate) *resource { return &l.resource }

var launchTemplates = &kind[launchTemplate]{
	prefix: "lt-", typ: types.ResourceTypeLaunchTemplate, base: templateBase,
	notFound: errTemplateNotFound, malformed: errTemplateMalformed,
	table: tableOf("launch-templates", templateBase, map[string]func(*launchTemplate) []string{
		"name": func(l *launchTemplate) []string { return one(l.Name) },
	}),
	narrow: map[string]string{"launch-template-name": "name"},
	pages:  pageBounds{1, 200},
	filters: filters[launchTemplate]{
		"create-time":          func(_ tx, l *launchTemplate) []string { return one(filterTime(l.Created)) },
		"launch-template-name": func(_ tx, l *launchTemplate) []string { return one(l.Name) },
	},
}

// AWS: "CreateLaunchTemplate", LaunchTemplateName: 3 to 128 of these characters.
var templateName = lazyregexp.New(`^[a-zA-Z0-9().\-/_]{3,128}$`)

// CreateLaunchTemplate makes a template with its first version.
func (s *Service) CreateLaunchTemplate(ctx context.Context, in *ec2.CreateLaunchTemplateInput) (*ec2.CreateLaunchTemplateOutput, error) {
	name := *in.LaunchTemplateName
	if !templateName.MatchString(name) {
		return nil, errTemplateNameMalformed()
	}
	if err := checkTemplateData(in.LaunchTemplateData); err != nil {
		return nil, err
	}
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeLaunchTemplate)
	if err != nil {
		return nil, err
	}
	if _, err := s.resolveImage(ctx, scopeOf(ctx), in.LaunchTemplateData.ImageId); err != nil {
		return nil, err
	}
	creator := awsapi.FromContext(ctx).Principal.ARN
	out := &ec2.CreateLaunchTemplateOutput{}
	return out, s.update(ctx, func(t tx) error {
		l, err := launchTemplates.makeOnce(t, "CreateLaunchTemplate", in.ClientToken, in, func() (string, error) {
			if taken, err := launchTemplates.any(t, "name", name); taken || err != nil {
				return "", orElse(err, errTemplateNameTaken())
			}
			l := &launchTemplate{
				resource: resource{ID: t.NewID("lt-"), Tags: tags}, Name: name, Default: 1, Latest: 1,
				Created: t.Now().UTC().Truncate(time.Second), Creator: creator,
			}
			v := &templateVersion{Template: l.ID, Number: 1, Description: aws.ToString(in.VersionDescription), Created: l.Created, Creator: creator, Data: *in.LaunchTemplateData}
			if err := templateVersions.In(t, t.scope).Insert(v); err != nil {
				return "", err
			}
			return l.ID, launchTemplates.insert(t, l)
		})
		if err == nil {
			out.LaunchTemplate = templateToAPI(l)
		}
		return err
	})
}

// checkTemplateData checks what AWS checks before anything is launched. Combinations that no launch would take are for the launch to
// refuse: Terraform's tests against AWS make templates with network interfaces and security groups beside them.
func checkTemplateData(data *types.RequestLaunchTemplateData) error {
	if user, err := decodeUserData(aws.ToString(data.UserData)); err != nil || len(user) > maxUserData {
		return err
	}
	if data.InstanceType != "" {
		if _, ok := instanceTypes().findCached(string(data.InstanceType)); !ok {
			return errInvalidParameterValue("Invalid value '%s' for InstanceType.", data.InstanceType)
		}
	}
	return nil
}

func templateToAPI(l *launchTemplate) *types.LaunchTemplate {
	return &types.LaunchTemplate{
		LaunchTemplateId: aws.String(l.ID), LaunchTemplateName: aws.String(l.Name), CreateTime: aws.Time(l.Created), CreatedBy: aws.String(l.Creator),
		DefaultVersionNumber: aws.Int64(l.Default), LatestVersionNumber: aws.Int64(l.Latest), Tags: tagsToAPI(tx{}, l.Tags),
		Operator: &types.OperatorResponse{Managed: aws.Bool(false)},
	}
}

func (l *launchTemplate) versionToAPI(v *templateVersion) (*types.LaunchTemplateVersion, error) {
	out := &types.LaunchTemplateVersion{
		LaunchTemplateId: aws.String(l.ID), LaunchTemplateName: aws.String(l.Name), VersionNumber: aws.Int64(v.Number), CreateTime: aws.Time(v.Created),
		CreatedBy: aws.String(v.Creator), DefaultVersion: aws.Bool(v.Number == l.Default), VersionDescription: optional(v.Description),
		LaunchTemplateData: new(types.ResponseLaunchTemplateData), Operator: &types.OperatorResponse{Managed: aws.Bool(false)},
	}
	return out, reshape(&v.Data, out.LaunchTemplateData)
}

// reshape copies what two of the API's types have in common: their fields have the same names.
func reshape(from, to any) error {
	document, err := json.Marshal(from)
	if err != nil {
		return err
	}
	return json.Unmarshal(document, to)
}

// findTemplate answers the template that is named by id or by name.
func findTemplate(t tx, id, name *string) (*launchTemplate, error) {
	switch {
	case aws.ToString(id) != "" && aws.ToString(name) != "":
		return nil, errInvalidParameterCombination("Only one of the launch template ID and the launch template name may be specified.")
	case aws.ToString(id) != "":
		return launchTemplates.get(t, *id)
	case aws.ToString(name) == "":
		return nil, errMissingParameter("LaunchTemplateId or LaunchTemplateName")
	}
	l, err := launchTemplates.in(t).Index("name").Find(*name)
	if l == nil && err == nil {
		err = errTemplateNameNotFound()
	}
	return l, err
}

// version answers one by its number, $Latest or $Default; "" is the default one.
func (l *launchTemplate) version(t tx, which string) (*templateVersion, error) {
	number := l.Default
	switch which {
	case "", "$Default":
	case "$Latest":
		number = l.Latest
	default:
		parsed, err := strconv.ParseInt(which, 10, 64)
		if err != nil || parsed < 1 {
			return nil, errInvalidParameterValue("Invalid value '%s' for version. The valid values are version numbers, $Latest and $Default.", which)
		}
		number = parsed
	}
	v, err := templateVersions.In(t, t.scope).Find(l.ID, versionKey(number))
	if v == nil && err == nil {
		err = errTemplateVersionNotFound(number, l.ID)
	}
	return v, err
}

// CreateLaunchTemplateVersion adds a version: the data of the call on top of the source version's.
func (s *Service) CreateLaunchTemplateVersion(ctx context.Context, in *ec2.CreateLaunchTemplateVersionInput) (*ec2.CreateLaunchTemplateVersionOutput, error) {
	if err := checkTemplateData(in.LaunchTemplateData); err != nil {
		return nil, err
	}
	if _, err := s.resolveImage(ctx, scopeOf(ctx), in.LaunchTemplateData.ImageId); err != nil {
		return nil, err
	}
	creator := awsapi.FromContext(ctx).Principal.ARN
	out := &ec2.CreateLaunchTemplateVersionOutput{}
	return out, s.update(ctx, func(t tx) error {
		l, err := findTemplate(t, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		made, err := once(t, "CreateLaunchTemplateVersion", in.ClientToken, in, func() (string, error) {
			var data types.RequestLaunchTemplateData
			if source := aws.ToString(in.SourceVersion); source != "" {
				v, err := l.version(t, source)
				if err != nil {
					return "", err
				}
				data = v.Data
			}
			overlay(&data, in.LaunchTemplateData)
			l.Latest++
			v := &templateVersion{
				Template: l.ID, Number: l.Latest, Description: aws.ToString(in.VersionDescription), Created: t.Now().UTC().Truncate(time.Second), Creator: creator, Data: data,
			}
			if err := templateVersions.In(t, t.scope).Insert(v); err != nil {
				return "", err
			}
			return strconv.FormatInt(v.Number, 10), launchTemplates.put(t, l)
		})
		if err != nil {
			return err
		}
		v, err := l.version(t, made)
		if err != nil {
			return err
		}
		out.LaunchTemplateVersion, err = l.versionToAPI(v)
		return err
	})
}

// DescribeLaunchTemplates lists templates.
func (s *Service) DescribeLaunchTemplates(ctx context.Context, in *ec2.DescribeLaunchTemplatesInput) (*ec2.DescribeLaunchTemplatesOutput, error) {
	out := &ec2.DescribeLaunchTemplatesOutput{}
	return out, s.view(ctx, func(t tx) error {
		out.LaunchTemplates = []types.LaunchTemplate{}
		q := query{slices.Clone(in.LaunchTemplateIds), "launchTemplateIds", in.Filters, in.MaxResults, in.NextToken}
		for _, name := range in.LaunchTemplateNames {
			l, err := findTemplate(t, nil, &name)
			if err != nil {
				return err
			}
			q.ids = append(q.ids, l.ID)
		}
		list, next, err := launchTemplates.list(t, q)
		for _, l := range list {
			out.LaunchTemplates = append(out.LaunchTemplates, *templateToAPI(l))
		}
		out.NextToken = next
		return err
	})
}

// listedVersion is a version with its template, as filters see it.
type listedVersion struct {
	resource
	*templateVersion
	template *launchTemplate
}

var versionFilters = filters[listedVersion]{
	"create-time":        func(_ tx, v *listedVersion) []string { return one(filterTime(v.Created)) },
	"ebs-optimized":      func(_ tx, v *listedVersion) []string { return yesNo(aws.ToBool(v.Data.EbsOptimized)) },
	"image-id":           func(_ tx, v *listedVersion) []string { return one(aws.ToString(v.Data.ImageId)) },
	"instance-type":      func(_ tx, v *listedVersion) []string { return one(string(v.Data.InstanceType)) },
	"is-default-version": func(_ tx, v *listedVersion) []string { return yesNo(v.Number == v.template.Default) },
	"kernel-id":          func(_ tx, v *listedVersion) []string { return one(aws.ToString(v.Data.KernelId)) },
	"ram-disk-id":        func(_ tx, v *listedVersion) []string { return one(aws.ToString(v.Data.RamDiskId)) },
	"host-resource-group-arn": func(_ tx, v *listedVersion) []string {
		if v.Data.Placement == nil {
			return nil
		}
		return one(aws.ToString(v.Data.Placement.HostResourceGroupArn))
	},
	"http-endpoint":      metadataWith(func(o *types.LaunchTemplateInstanceMetadataOptionsRequest) string { return string(o.HttpEndpoint) }),
	"http-protocol-ipv4": metadataWith(func(*types.LaunchTemplateInstanceMetadataOptionsRequest) string { return "enabled" }),
	"http-tokens":        metadataWith(func(o *types.LaunchTemplateInstanceMetadataOptionsRequest) string { return string(o.HttpTokens) }),
	"license-configuration-arn": func(_ tx, v *listedVersion) (all []string) {
		for _, l := range v.Data.LicenseSpecifications {
			all = append(all, aws.ToString(l.LicenseConfigurationArn))
		}
		return all
	},
	"network-card-index": func(_ tx, v *listedVersion) (all []string) {
		for _, e := range v.Data.NetworkInterfaces {
			all = append(all, count32(e.NetworkCardIndex)...)
		}
		return all
	},
	"iam-instance-profile": func(_ tx, v *listedVersion) []string {
		if p := v.Data.IamInstanceProfile; p != nil {
			return append(one(aws.ToString(p.Arn)), one(aws.ToString(p.Name))...)
		}
		return nil
	},
}

// metadataWith makes a filter of the metadata options, which a version need not have.
func metadataWith(value func(*types.LaunchTemplateInstanceMetadataOptionsRequest) string) func(tx, *listedVersion) []string {
	return func(_ tx, v *listedVersion) []string {
		if v.Data.MetadataOptions == nil {
			return nil
		}
		return one(value(v.Data.MetadataOptions))
	}
}

// DescribeLaunchTemplateVersions lists versions of one template, the newest first, or the default or newest ones of all.
func (s *Service) DescribeLaunchTemplateVersions(ctx context.Context, in *ec2.DescribeLaunchTemplateVersionsInput) (*ec2.DescribeLaunchTemplateVersionsOutput, error) {
	match, err := versionFilters.compile(func(*listedVersion) *resource { return &resource{} }, in.Filters)
	if err != nil {
		return nil, err
	}
	out := &ec2.DescribeLaunchTemplateVersionsOutput{}
	err = s.view(ctx, func(t tx) error {
		out.LaunchTemplateVersions = []types.LaunchTemplateVersion{}
		listed, err := s.versionsAsked(t, in)
		if err != nil {
			return err
		}
		listed = slices.DeleteFunc(listed, func(v *listedVersion) bool { return !match.matches(t, v) })
		q := query{max: in.MaxResults, token: in.NextToken}
		place := func(v *listedVersion) string { return v.template.ID + " " + versionKey(999999999999-v.Number) }
		slices.SortFunc(listed, func(a, b *listedVersion) int { return strings.Compare(place(a), place(b)) })
		page, next, err := cut(listed, place, "launch-template-versions", pageBounds{1, 200}, q)
		if err != nil {
			return err
		}
		for _, v := range page {
			shown, err := v.template.versionToAPI(v.templateVersion)
			if err != nil {
				return err
			}
			out.LaunchTemplateVersions = append(out.LaunchTemplateVersions, *shown)
		}
		out.NextToken = next
		return nil
	})
	for i := range out.LaunchTemplateVersions {
		// AWS: "DescribeLaunchTemplateVersions", ResolveAlias: the AMI's id, and not the parameter's name.
		data := out.LaunchTemplateVersions[i].LaunchTemplateData
		if err == nil && aws.ToBool(in.ResolveAlias) && data != nil {
			data.ImageId, err = s.resolveImage(ctx, scopeOf(ctx), data.ImageId)
		}
	}
	return out, err
}

func (s *Service) versionsAsked(t tx, in *ec2.DescribeLaunchTemplateVersionsInput) ([]*listedVersion, error) {
	var templates []*launchTemplate
	if in.LaunchTemplateId == nil && in.LaunchTemplateName == nil {
		if len(in.Versions) == 0 || slices.ContainsFunc(in.Versions, func(v string) bool { return !strings.HasPrefix(v, "$") }) {
			return nil, errMissingParameter("LaunchTemplateId or LaunchTemplateName")
		}
		all, err := launchTemplates.all(t)
		if err != nil {
			return nil, err
		}
		templates = all
	} else {
		l, err := findTemplate(t, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return nil, err
		}
		templates = []*launchTemplate{l}
	}
	var listed []*listedVersion
	for _, l := range templates {
		seen := map[int64]bool{}
		for _, which := range in.Versions {
			v, err := l.version(t, which)
			if err != nil {
				return nil, err
			}
			if !seen[v.Number] {
				seen[v.Number] = true
				listed = append(listed, &listedVersion{templateVersion: v, template: l})
			}
		}
		if len(in.Versions) > 0 {
			continue
		}
		bounds := [2]int64{1, l.Latest}
		for i, text := range []*string{in.MinVersion, in.MaxVersion} {
			if text != nil {
				n, err := strconv.ParseInt(*text, 10, 64)
				if err != nil {
					return nil, errInvalidParameterValue("Invalid value '%s' for version.", *text)
				}
				bounds[i] = n
			}
		}
		for v, err := range templateVersions.In(t, t.scope).Scan(store.Query{Parts: store.ID{l.ID}}) {
			if err != nil {
				return nil, err
			}
			if v.Number >= bounds[0] && v.Number <= bounds[1] {
				listed = append(listed, &listedVersion{templateVersion: v, template: l})
			}
		}
	}
	return listed, nil
}

// ModifyLaunchTemplate chooses the default version.
func (s *Service) ModifyLaunchTemplate(ctx context.Context, in *ec2.ModifyLaunchTemplateInput) (*ec2.ModifyLaunchTemplateOutput, error) {
	out := &ec2.ModifyLaunchTemplateOutput{}
	return out, s.update(ctx, func(t tx) error {
		l, err := findTemplate(t, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		if which := aws.ToString(in.DefaultVersion); which != "" {
			v, err := l.version(t, which)
			if err != nil {
				return err
			}
			l.Default = v.Number
		}
		out.LaunchTemplate = templateToAPI(l)
		return launchTemplates.put(t, l)
	})
}

// DeleteLaunchTemplate removes a template with all its versions.
func (s *Service) DeleteLaunchTemplate(ctx context.Context, in *ec2.DeleteLaunchTemplateInput) (*ec2.DeleteLaunchTemplateOutput, error) {
	out := &ec2.DeleteLaunchTemplateOutput{}
	return out, s.update(ctx, func(t tx) error {
		l, err := findTemplate(t, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		list, _, err := templateVersions.In(t, t.scope).List(store.Query{Parts: store.ID{l.ID}})
		if err != nil {
			return err
		}
		for _, v := range list {
			if err := templateVersions.In(t, t.scope).Delete(l.ID, versionKey(v.Number)); err != nil {
				return err
			}
		}
		out.LaunchTemplate = templateToAPI(l)
		return launchTemplates.delete(t, l.ID)
	})
}

// DeleteLaunchTemplateVersions removes versions; the default one stays. What cannot be removed is said, one by one.
func (s *Service) DeleteLaunchTemplateVersions(ctx context.Context, in *ec2.DeleteLaunchTemplateVersionsInput) (*ec2.DeleteLaunchTemplateVersionsOutput, error) {
	var out *ec2.DeleteLaunchTemplateVersionsOutput
	err := s.update(ctx, func(t tx) error {
		out = &ec2.DeleteLaunchTemplateVersionsOutput{}
		l, err := findTemplate(t, in.LaunchTemplateId, in.LaunchTemplateName)
		if err != nil {
			return err
		}
		fail := func(number int64, code types.LaunchTemplateErrorCode, message string) {
			out.UnsuccessfullyDeletedLaunchTemplateVersions = append(out.UnsuccessfullyDeletedLaunchTemplateVersions, types.DeleteLaunchTemplateVersionsResponseErrorItem{
				LaunchTemplateId: aws.String(l.ID), LaunchTemplateName: aws.String(l.Name), VersionNumber: aws.Int64(number),
				ResponseError: &types.ResponseError{Code: code, Message: aws.String(message)},
			})
		}
		for _, which := range in.Versions {
			number, err := strconv.ParseInt(which, 10, 64)
			if err != nil {
				return errInvalidParameterValue("Invalid value '%s' for version.", which)
			}
			v, err := templateVersions.In(t, t.scope).Find(l.ID, versionKey(number))
			switch {
			case err != nil:
				return err
			case v == nil:
				fail(number, types.LaunchTemplateErrorCodeLaunchTemplateVersionDoesNotExist, "The specified launch template version does not exist.")
				continue
			case number == l.Default:
				fail(number, types.LaunchTemplateErrorCodeUnexpectedError, "The default version of a launch template cannot be deleted.")
				continue
			}
			if err := templateVersions.In(t, t.scope).Delete(l.ID, versionKey(number)); err != nil {
				return err
			}
			out.SuccessfullyDeletedLaunchTemplateVersions = append(out.SuccessfullyDeletedLaunchTemplateVersions, types.DeleteLaunchTemplateVersionsResponseSuccessItem{
				LaunchTemplateId: aws.String(l.ID), LaunchTemplateName: aws.String(l.Name), VersionNumber: aws.Int64(number),
			})
		}
		return nil
	})
	return out, err
}

// fromTemplate answers a RunInstances input in which the template's parameters fill what the call leaves out, and which
// version that was.
func (s *Service) fromTemplate(ctx context.Context, in *ec2.RunInstancesInput) (*ec2.RunInstancesInput, string, int64, error) {
	if in.LaunchTemplate == nil {
		return in, "", 0, nil
	}
	var merged *ec2.RunInstancesInput
	var id string
	var number int64
	err := s.view(ctx, func(t tx) (err error) {
		merged, id, number, err = templated(t, in)
		return err
	})
	return merged, id, number, err
}

// templated is fromTemplate within a transaction.
func templated(t tx, in *ec2.RunInstancesInput) (*ec2.RunInstancesInput, string, int64, error) {
	l, err := findTemplate(t, in.LaunchTemplate.LaunchTemplateId, in.LaunchTemplate.LaunchTemplateName)
	if err != nil {
		return nil, "", 0, err
	}
	v, err := l.version(t, aws.ToString(in.LaunchTemplate.Version))
	if err != nil {
		return nil, "", 0, err
	}
	if v.Data.InstanceRequirements != nil && in.InstanceType == "" {
		return nil, "", 0, errNotImplemented("A launch by InstanceRequirements")
	}
	merged := new(ec2.RunInstancesInput)
	if err := reshape(&v.Data, merged); err != nil {
		return nil, "", 0, err
	}
	tags := merged.TagSpecifications
	overlay(merged, in)
	merged.TagSpecifications = mergeSpecifications(tags, in.TagSpecifications)
	if len(in.NetworkInterfaces) == 0 && in.SubnetId != nil && len(merged.NetworkInterfaces) > 0 {
		// The call's subnet is that of the template's primary interface.
		merged.NetworkInterfaces[0].SubnetId, merged.SubnetId = in.SubnetId, nil
	}
	return merged, l.ID, v.Number, nil
}

// mergeSpecifications adds the call's tags to the template's; the call's win.
func mergeSpecifications(template, call []types.TagSpecification) []types.TagSpecification {
	merged := slices.Clone(call)
	for _, spec := range template {
		at := slices.IndexFunc(merged, func(m types.TagSpecification) bool { return m.ResourceType == spec.ResourceType })
		if at < 0 {
			merged = append(merged, spec)
			continue
		}
		tags := slices.Clone(merged[at].Tags)
		for _, tag := range spec.Tags {
			if !slices.ContainsFunc(tags, func(have types.Tag) bool { return aws.ToString(have.Key) == aws.ToString(tag.Key) }) {
				tags = append(tags, tag)
			}
		}
		merged[at].Tags = tags
	}
	return merged
}
