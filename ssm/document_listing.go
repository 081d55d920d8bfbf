package ssm

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/backend/store"
)

// tagList is a record's tags in the order of their keys.
func tagList(tags map[string]string) []types.Tag {
	list := []types.Tag{}
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		list = append(list, types.Tag{Key: aws.String(key), Value: aws.String(tags[key])})
	}
	return list
}

// look reads a version of a document that the caller may use.
func (s *Service) look(ctx context.Context, name, which, versionName *string) (d *document, v *documentVersion, err error) {
	c := callOf(ctx)
	err = s.config.DB.View(ctx, func(t store.Tx) error {
		var at store.Scope
		if d, at, err = usable(t, c.scope, aws.ToString(name)); err != nil {
			return err
		}
		v, err = d.version(t, at, aws.ToString(which), aws.ToString(versionName))
		return err
	})
	return d, v, err
}

// DescribeDocument answers what a document says of itself.
func (s *Service) DescribeDocument(ctx context.Context, in *api.DescribeDocumentInput) (*api.DescribeDocumentOutput, error) {
	d, v, err := s.look(ctx, in.Name, in.DocumentVersion, in.VersionName)
	if err != nil {
		return nil, err
	}
	return &api.DescribeDocumentOutput{Document: d.describe(v)}, nil
}

// GetDocument answers the content of a document.
func (s *Service) GetDocument(ctx context.Context, in *api.GetDocumentInput) (*api.GetDocumentOutput, error) {
	d, v, err := s.look(ctx, in.Name, in.DocumentVersion, in.VersionName)
	if err != nil {
		return nil, err
	}
	out := &api.GetDocumentOutput{
		Name: aws.String(d.Name), Content: aws.String(v.Content), CreatedDate: aws.Time(v.Created), DisplayName: optional(v.Display), DocumentFormat: v.Format, DocumentType: d.Type,
		DocumentVersion: aws.String(strconv.FormatInt(v.Number, 10)), VersionName: optional(v.Name), Requires: d.Requires, Status: types.DocumentStatusActive,
	}
	if in.DocumentFormat != "" && in.DocumentFormat != v.Format {
		text, err := reformatted(v, in.DocumentFormat)
		if err != nil {
			return nil, err
		}
		out.Content, out.DocumentFormat = aws.String(text), in.DocumentFormat
	}
	return out, nil
}

// ListDocumentVersions lists versions, the newest first.
func (s *Service) ListDocumentVersions(ctx context.Context, in *api.ListDocumentVersionsInput) (*api.ListDocumentVersionsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	out := &api.ListDocumentVersionsOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		d, at, err := usable(t, c.scope, *in.Name)
		if err != nil {
			return err
		}
		all := []*documentVersion{}
		if d.owner == amazon {
			all = append(all, amazonVersion(d))
		} else if all, _, err = documentVersions.In(t, at).List(store.Query{Parts: store.ID{d.Name}}); err != nil {
			return err
		}
		out.DocumentVersions, out.NextToken = []types.DocumentVersionInfo{}, nil
		last := ""
		for _, v := range slices.Backward(all) {
			if !d.grants(v.Number) || after != "" && versionKey(v.Number) >= after {
				continue
			}
			if len(out.DocumentVersions) == limit {
				out.NextToken = token(last)
				break
			}
			last = versionKey(v.Number)
			out.DocumentVersions = append(out.DocumentVersions, types.DocumentVersionInfo{
				Name: aws.String(d.Name), DisplayName: optional(v.Display), DocumentVersion: aws.String(strconv.FormatInt(v.Number, 10)), VersionName: optional(v.Name),
				CreatedDate: aws.Time(v.Created), IsDefaultVersion: v.Number == d.Default, DocumentFormat: v.Format, Status: types.DocumentStatusActive,
			})
		}
		return nil
	})
}

// ListDocuments lists the account's own documents and AWS's, by their names.
func (s *Service) ListDocuments(ctx context.Context, in *api.ListDocumentsInput) (*api.ListDocumentsOutput, error) {
	c := callOf(ctx)
	after, limit, err := page(in.NextToken, in.MaxResults, 50)
	if err != nil {
		return nil, err
	}
	wanted := in.Filters
	for _, f := range in.DocumentFilterList {
		wanted = append(wanted, types.DocumentKeyValuesFilter{Key: aws.String(string(f.Key)), Values: []string{aws.ToString(f.Value)}})
	}
	for _, f := range wanted {
		if key := aws.ToString(f.Key); !slices.Contains([]string{"Name", "Owner", "PlatformTypes", "DocumentType", "SearchKeyword", "TargetType"}, key) && !strings.HasPrefix(key, "tag:") {
			return nil, errListFilterKey(key)
		}
	}
	out := &api.ListDocumentsOutput{}
	return out, s.config.DB.View(ctx, func(t store.Tx) error {
		out.DocumentIdentifiers, out.NextToken = []types.DocumentIdentifier{}, nil
		all, _, err := documents.In(t, c.scope).List(store.Query{})
		if err != nil {
			return err
		}
		all = slices.Clone(all)
		for _, d := range all {
			d.owner = c.scope.Account
		}
		for name := range amazonText {
			all = append(all, amazonDocument(name))
		}
		slices.SortFunc(all, func(a, b *document) int { return strings.Compare(a.Name, b.Name) })
		for _, d := range all {
			if d.Name <= after {
				continue
			}
			v, err := d.version(t, c.scope, "", "")
			if err != nil {
				return err
			}
			if !d.matches(v, wanted) {
				continue
			}
			if n := len(out.DocumentIdentifiers); n == limit {
				out.NextToken = token(aws.ToString(out.DocumentIdentifiers[n-1].Name))
				break
			}
			out.DocumentIdentifiers = append(out.DocumentIdentifiers, types.DocumentIdentifier{
				Name: aws.String(d.Name), Owner: aws.String(d.owner), CreatedDate: aws.Time(d.Created), DisplayName: optional(v.Display), DocumentFormat: v.Format, DocumentType: d.Type,
				DocumentVersion: aws.String(strconv.FormatInt(d.Default, 10)), VersionName: optional(v.Name), PlatformTypes: v.platforms, SchemaVersion: optional(v.Schema),
				TargetType: optional(d.Target), Requires: d.Requires, Tags: tagList(d.Tags), Author: optional(v.Author),
			})
		}
		return nil
	})
}

// matches tells whether a document passes all filters. AWS: "DocumentKeyValuesFilter".
func (d *document) matches(v *documentVersion, wanted []types.DocumentKeyValuesFilter) bool {
	for _, f := range wanted {
		key := aws.ToString(f.Key)
		passes := slices.ContainsFunc(f.Values, func(value string) bool {
			switch key {
			case "Name":
				return strings.HasPrefix(d.Name, value)
			case "Owner":
				own := d.owner != amazon
				return value == "All" || value == d.owner || own && (value == "Self" || value == "Private" && len(d.Shared) == 0 || value == "Public" && d.Shared["all"] != "") || !own && value == "Public"
			case "PlatformTypes":
				return slices.Contains(v.platforms, types.PlatformType(value))
			case "DocumentType":
				return string(d.Type) == value
			case "SearchKeyword":
				return strings.Contains(strings.ToLower(d.Name), strings.ToLower(value))
			case "TargetType":
				return d.Target == value
			}
			has, ok := d.Tags[strings.TrimPrefix(key, "tag:")]
			return ok && has == value
		})
		if !passes {
			return false
		}
	}
	return true
}
