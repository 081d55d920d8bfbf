package ssm

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	api "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/aws/aws-sdk-go-v2/service/ssm/types"

	"miniaws/awsapi"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

// document is an SSM document: what Run Command does in instances, and what its other types describe. Its content is in its
// versions.
type document struct {
	Name            string
	Type            types.DocumentType
	Target          string `json:",omitempty"`
	Default, Latest int64
	// Next is the number of the next version; 0, of records before it was kept, is the one after Latest.
	Next     int64 `json:",omitempty"`
	Created  time.Time
	Requires []types.DocumentRequires `json:",omitempty"`
	Tags     map[string]string        `json:",omitempty"`
	// Shared are the accounts that may use it, or "all", with the version that they get: $DEFAULT, $LATEST or $ALL.
	Shared map[string]string `json:",omitempty"`
	// owner is the account, "Amazon" for AWS's own; it is not stored.
	owner string
	// granted are the versions that the caller may use of another account's document, as in Shared; nil is every one.
	granted []string
}

// documentVersion is one version of a document; numbers are never used again.
type documentVersion struct {
	Document        string
	Number          int64
	Name, Display   string `json:",omitempty"`
	Format          types.DocumentFormat
	Content         string
	Created         time.Time
	Schema, Said    string `json:",omitempty"` // schemaVersion and description of the content
	Author          string `json:",omitempty"`
	platforms       []types.PlatformType
	shownParameters []types.DocumentParameter
	parsed          *documentContent
}

var documents = store.NewTable(store.Spec[document]{
	Service: "ssm", Name: "documents", ID: func(d *document) store.ID { return store.ID{d.Name} },
})

var documentVersions = store.NewTable(store.Spec[documentVersion]{
	Service: "ssm", Name: "document-versions", ID: func(v *documentVersion) store.ID { return store.ID{v.Document, versionKey(v.Number)} },
})

// versionKey is a number whose text sorts as the number does.
func versionKey(n int64) string {
	text := strconv.FormatInt(n, 10)
	return strings.Repeat("0", max(0, 8-len(text))) + text
}

// AWS: "AWS Systems Manager endpoints and quotas": documents, versions and size.
const (
	maxDocuments        = 500
	maxDocumentVersions = 1000
	maxContent          = 64 << 10 // and a record's: see maxStoredContent
	// maxStoredContent is what a record has room for, as JSON: that is more bytes than the content, up to six for one.
	maxStoredContent = 60 << 10
)

// AWS: "CreateDocument", Name: these are not to be the beginning of a name.
var reservedDocumentNames = lazyregexp.New(`(?i)^(aws|amazon|amzn|AWSEC2|AWSConfigRemediation|AWSSupport)`)

// contentOf checks a document's content and answers a version with what it says of itself.
func contentOf(typ types.DocumentType, format types.DocumentFormat, content string) (*documentVersion, error) {
	v := &documentVersion{Format: cmp.Or(format, types.DocumentFormatJson), Content: content}
	if len(content) > maxContent {
		return nil, errMaxDocumentSize()
	}
	if err := v.read(typ); err != nil {
		return nil, err
	}
	if record, err := json.Marshal(v); err != nil || len(record) > maxStoredContent {
		return nil, cmp.Or(err, errMaxDocumentSize())
	}
	return v, nil
}

// CreateDocument makes a document with its first version.
func (s *Service) CreateDocument(ctx context.Context, in *api.CreateDocumentInput) (*api.CreateDocumentOutput, error) {
	c := callOf(ctx)
	if len(in.Attachments) > 0 {
		return nil, errNotImplemented("attachments of documents")
	}
	typ := cmp.Or(in.DocumentType, types.DocumentTypeCommand)
	if reservedDocumentNames.MatchString(*in.Name) || *in.Name == OwnSSHDocument {
		return nil, errValidation("The document name " + *in.Name + " begins with a prefix that is reserved for AWS.")
	}
	v, err := contentOf(typ, in.DocumentFormat, *in.Content)
	if err != nil {
		return nil, err
	}
	tags, err := mergeTags(nil, in.Tags)
	if err != nil {
		return nil, err
	}
	d := &document{Name: *in.Name, Type: typ, Target: aws.ToString(in.TargetType), Default: 1, Latest: 1, Created: c.now, Requires: in.Requires, Tags: tags, owner: c.scope.Account}
	v.Document, v.Number, v.Name, v.Display, v.Created, v.Author = d.Name, 1, aws.ToString(in.VersionName), aws.ToString(in.DisplayName), c.now, c.caller
	err = s.config.DB.Update(ctx, func(t store.Tx) error {
		rows := documents.In(t, c.scope)
		had, err := rows.Find(d.Name)
		if err != nil {
			return err
		}
		if had != nil {
			return errDocumentExists()
		}
		if all, _, err := rows.List(store.Query{Limit: maxDocuments}); err != nil || len(all) >= maxDocuments {
			return cmp.Or(err, errTooManyDocuments())
		}
		if err := rows.Insert(d); err != nil {
			return err
		}
		return documentVersions.In(t, c.scope).Insert(v)
	})
	if err != nil {
		return nil, err
	}
	shown := d.describe(v)
	shown.Status = types.DocumentStatusCreating // as AWS answers this call
	return &api.CreateDocumentOutput{DocumentDescription: shown}, nil
}

// UpdateDocument adds a version; the default one stays the default.
func (s *Service) UpdateDocument(ctx context.Context, in *api.UpdateDocumentInput) (*api.UpdateDocumentOutput, error) {
	c := callOf(ctx)
	if len(in.Attachments) > 0 {
		return nil, errNotImplemented("attachments of documents")
	}
	var shown *types.DocumentDescription
	err := s.config.DB.Update(ctx, func(t store.Tx) error {
		d, err := ownDocument(t, c.scope, *in.Name)
		if err != nil {
			return err
		}
		v, err := contentOf(d.Type, in.DocumentFormat, *in.Content)
		if err != nil {
			return err
		}
		if which := aws.ToString(in.DocumentVersion); which != "" && which != "$LATEST" && which != strconv.FormatInt(d.Latest, 10) {
			return errInvalidDocumentVersion()
		}
		all, _, err := documentVersions.In(t, c.scope).List(store.Query{Parts: store.ID{d.Name}})
		if err != nil {
			return err
		}
		name := aws.ToString(in.VersionName)
		for _, have := range all {
			switch {
			case name != "" && have.Name == name:
				return errDuplicateVersionName()
			case have.Number == d.Latest && have.Content == v.Content && have.Format == v.Format && aws.ToString(cmp.Or(in.TargetType, &d.Target)) == d.Target:
				return errDuplicateContent()
			}
		}
		if len(all) >= maxDocumentVersions {
			return errTooManyDocumentVersions()
		}
		d.Latest = d.next()
		d.Next = d.Latest + 1
		if in.TargetType != nil {
			d.Target = *in.TargetType
		}
		v.Document, v.Number, v.Name, v.Display, v.Created, v.Author = d.Name, d.Latest, name, aws.ToString(in.DisplayName), c.now, c.caller
		if err := documents.In(t, c.scope).Put(d); err != nil {
			return err
		}
		shown = d.describe(v)
		shown.Status = types.DocumentStatusUpdating // as AWS answers this call
		return documentVersions.In(t, c.scope).Insert(v)
	})
	if err != nil {
		return nil, err
	}
	return &api.UpdateDocumentOutput{DocumentDescription: shown}, nil
}

// UpdateDocumentDefaultVersion chooses the version for those who name none.
func (s *Service) UpdateDocumentDefaultVersion(ctx context.Context, in *api.UpdateDocumentDefaultVersionInput) (*api.UpdateDocumentDefaultVersionOutput, error) {
	c := callOf(ctx)
	out := &api.UpdateDocumentDefaultVersionOutput{}
	return out, s.config.DB.Update(ctx, func(t store.Tx) error {
		d, err := ownDocument(t, c.scope, *in.Name)
		if err != nil {
			return err
		}
		v, err := d.version(t, c.scope, *in.DocumentVersion, "")
		if err != nil {
			return err
		}
		d.Default = v.Number
		out.Description = &types.DocumentDefaultVersionDescription{Name: in.Name, DefaultVersion: aws.String(strconv.FormatInt(v.Number, 10)), DefaultVersionName: optional(v.Name)}
		return documents.In(t, c.scope).Put(d)
	})
}

// DeleteDocument removes a document that is not shared, or one version of it.
func (s *Service) DeleteDocument(ctx context.Context, in *api.DeleteDocumentInput) (*api.DeleteDocumentOutput, error) {
	c := callOf(ctx)
	return &api.DeleteDocumentOutput{}, s.config.DB.Update(ctx, func(t store.Tx) error {
		d, err := ownDocument(t, c.scope, *in.Name)
		if err != nil {
			return err
		}
		rows := documentVersions.In(t, c.scope)
		if in.DocumentVersion != nil || in.VersionName != nil {
			v, err := d.version(t, c.scope, aws.ToString(in.DocumentVersion), aws.ToString(in.VersionName))
			if err != nil {
				return err
			}
			if v.Number == d.Default {
				return errDeleteDefaultVersion()
			}
			return d.drop(t, c.scope, v.Number)
		}
		if len(d.Shared) > 0 {
			return errDocumentShared()
		}
		all, _, err := rows.List(store.Query{Parts: store.ID{d.Name}})
		if err != nil {
			return err
		}
		for _, v := range all {
			if err := rows.Delete(d.Name, versionKey(v.Number)); err != nil {
				return err
			}
		}
		return documents.In(t, c.scope).Delete(d.Name)
	})
}

func (d *document) next() int64 { return max(d.Next, d.Latest+1) }

// drop removes a version; what was before it is the latest one then.
func (d *document) drop(t store.Tx, scope store.Scope, number int64) error {
	rows := documentVersions.In(t, scope)
	all, _, err := rows.List(store.Query{Parts: store.ID{d.Name}})
	if err != nil {
		return err
	}
	d.Next, d.Latest = d.next(), 0
	for _, v := range all {
		if v.Number != number {
			d.Latest = max(d.Latest, v.Number)
		}
	}
	if err := rows.Delete(d.Name, versionKey(number)); err != nil {
		return err
	}
	return documents.In(t, scope).Put(d)
}

// ownDocument answers a document of the account's own.
func ownDocument(t store.Tx, scope store.Scope, name string) (*document, error) {
	d, err := documents.In(t, scope).Find(name)
	switch {
	case err != nil:
		return nil, err
	case d == nil && amazonDocument(name) != nil:
		return nil, errDocumentOfAmazon()
	case d == nil:
		return nil, errInvalidDocument(name)
	}
	d.owner = scope.Account
	return d, nil
}

// usable answers a document that the account may use: its own, AWS's, or another account's that is shared, by its ARN. The
// scope is where its versions are.
func usable(t store.Tx, scope store.Scope, name string) (*document, store.Scope, error) {
	n, err := parseDocumentName(scope, name)
	if err != nil {
		return nil, scope, err
	}
	if n.account == "" {
		if own := amazonDocument(n.name); own != nil {
			return own, scope, nil
		}
		return nil, scope, errInvalidDocument(name)
	}
	at := scope
	at.Account = n.account
	d, err := documents.In(t, at).Find(n.name)
	if err != nil {
		return nil, at, err
	}
	if d == nil {
		return nil, at, errInvalidDocument(name)
	}
	if at.Account != scope.Account {
		for _, account := range []string{scope.Account, "all"} {
			if which := d.Shared[account]; which != "" {
				d.granted = append(d.granted, which)
			}
		}
		if d.granted == nil {
			return nil, at, errInvalidDocument(name)
		}
	}
	d.owner = at.Account
	return d, at, nil
}

// version answers one by its number, $LATEST or $DEFAULT, or by its name; both empty is the default one.
func (d *document) version(t store.Tx, scope store.Scope, which, name string) (*documentVersion, error) {
	if d.owner == amazon {
		v := amazonVersion(d)
		if name != "" || which != "" && which != "1" && which != "$LATEST" && which != "$DEFAULT" {
			return nil, errInvalidDocumentVersion()
		}
		return v, nil
	}
	rows := documentVersions.In(t, scope)
	var v *documentVersion
	var err error
	if name != "" {
		all, _, failure := rows.List(store.Query{Parts: store.ID{d.Name}})
		if i := slices.IndexFunc(all, func(v *documentVersion) bool { return v.Name == name }); i >= 0 {
			v = all[i]
		}
		err = failure
	} else {
		number := d.Default
		switch which {
		case "", "$DEFAULT":
		case "$LATEST":
			number = d.Latest
		default:
			if number, err = strconv.ParseInt(which, 10, 64); err != nil {
				return nil, errInvalidDocumentVersion()
			}
		}
		v, err = rows.Find(d.Name, versionKey(number))
	}
	if err == nil && (v == nil || !d.grants(v.Number)) {
		err = errInvalidDocumentVersion()
	}
	if err != nil {
		return nil, err
	}
	return v, v.read(d.Type)
}

// grants tells whether the caller may use that version: $DEFAULT and $LATEST are those that are it now.
// AWS: "ModifyDocumentPermission", SharedDocumentVersion.
func (d *document) grants(number int64) bool {
	return d.granted == nil || slices.ContainsFunc(d.granted, func(which string) bool {
		return which == "$ALL" || which == "$DEFAULT" && number == d.Default || which == "$LATEST" && number == d.Latest || which == strconv.FormatInt(number, 10)
	})
}

// describe answers a version in AWS's words.
func (d *document) describe(v *documentVersion) *types.DocumentDescription {
	sum := sha256.Sum256([]byte(v.Content))
	out := &types.DocumentDescription{
		Name: aws.String(d.Name), Owner: aws.String(d.owner), DocumentType: d.Type, TargetType: optional(d.Target), CreatedDate: aws.Time(v.Created), Status: types.DocumentStatusActive,
		DocumentVersion: aws.String(strconv.FormatInt(v.Number, 10)), LatestVersion: aws.String(strconv.FormatInt(d.Latest, 10)), DefaultVersion: aws.String(strconv.FormatInt(d.Default, 10)),
		VersionName: optional(v.Name), DisplayName: optional(v.Display), DocumentFormat: v.Format, Description: optional(v.Said), SchemaVersion: optional(v.Schema),
		Parameters: v.shownParameters, PlatformTypes: v.platforms, Hash: aws.String(hex.EncodeToString(sum[:])), HashType: types.DocumentHashTypeSha256, Requires: d.Requires,
		Tags: tagList(d.Tags), Author: optional(v.Author),
	}
	return out
}

// documentAccess asks for a document.
func (s *Service) documentAccess(ctx context.Context, action string, name *string) ([]awsapi.Access, error) {
	c := callOf(ctx)
	arn, err := documentARN(awsapi.FromContext(ctx), aws.ToString(name))
	if err != nil {
		return nil, err
	}
	access := awsapi.Access{Action: action, Resources: []string{arn}, Conditions: map[string][]string{}}
	return []awsapi.Access{access}, s.config.DB.View(ctx, func(t store.Tx) error {
		d, _, err := usable(t, c.scope, aws.ToString(name))
		if d != nil && err == nil {
			access.Conditions["ssm:DocumentType"] = []string{string(d.Type)}
		}
		if codeOf(err) != "" {
			err = nil // which is said to those who may
		}
		return err
	})
}

// onDocument is documentAccess for an operation.
func onDocument[In any](s *Service, action string, name func(*In) *string) func(context.Context, *In) ([]awsapi.Access, error) {
	return func(ctx context.Context, in *In) ([]awsapi.Access, error) {
		return s.documentAccess(ctx, action, name(in))
	}
}

// createDocumentAccess asks for the document that is to be, and for its tags.
func createDocumentAccess(ctx context.Context, in *api.CreateDocumentInput) ([]awsapi.Access, error) {
	arn, err := documentARN(awsapi.FromContext(ctx), aws.ToString(in.Name))
	if err != nil {
		return nil, err
	}
	conditions := map[string][]string{"ssm:DocumentType": {string(cmp.Or(in.DocumentType, types.DocumentTypeCommand))}}
	tagConditions(conditions, in.Tags)
	resources := []string{arn}
	wanted := []awsapi.Access{{Action: "ssm:CreateDocument", Resources: resources, Conditions: conditions}}
	if len(in.Tags) > 0 {
		tagging := map[string][]string{}
		tagConditions(tagging, in.Tags)
		wanted = append(wanted, awsapi.Access{Action: "ssm:AddTagsToResource", Resources: resources, Conditions: tagging})
	}
	return wanted, nil
}
