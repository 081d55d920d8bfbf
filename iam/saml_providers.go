package iam

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/xml"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// samlProvider is a SAML 2.0 identity provider whose assertions roles of the account may trust.
type samlProvider struct {
	Name string
	// UUID is a part of what AWS calls the provider where its name may change.
	UUID     string
	Metadata document
	// Entity is the issuer of its assertions.
	Entity     string
	Created    time.Time
	ValidUntil time.Time
	Tags       tagList `json:",omitempty"`
}

var samlTable = store.NewTable(store.Spec[samlProvider]{
	Service: "iam",
	Name:    "saml-providers",
	ID:      func(p *samlProvider) store.ID { return store.ID{folded(p.Name)} },
})

// AWS: "IAM and STS quotas".
const (
	maxSAMLProviders = 100
	// samlLifetime is how long metadata is good for that does not say it.
	samlLifetime = 100 * 365 * 24 * time.Hour
)

// samlMetadata is what we read of SAML metadata.
type samlMetadata struct {
	XMLName    xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:metadata EntityDescriptor"`
	Entity     string   `xml:"entityID,attr"`
	ValidUntil string   `xml:"validUntil,attr"`
	Provider   *struct {
		Keys []struct {
			Use          string   `xml:"use,attr"`
			Certificates []string `xml:"http://www.w3.org/2000/09/xmldsig# KeyInfo>X509Data>X509Certificate"`
		} `xml:"urn:oasis:names:tc:SAML:2.0:metadata KeyDescriptor"`
	} `xml:"urn:oasis:names:tc:SAML:2.0:metadata IDPSSODescriptor"`
}

// parseMetadata answers the metadata and the certificates that assertions are signed with.
func parseMetadata(text string) (*samlMetadata, []*x509.Certificate, error) {
	m := &samlMetadata{}
	if err := xml.Unmarshal([]byte(text), m); err != nil || m.Entity == "" || m.Provider == nil {
		return nil, nil, errInvalidInput("Could not parse metadata")
	}
	var list []*x509.Certificate
	for _, key := range m.Provider.Keys {
		if key.Use == "encryption" {
			continue
		}
		for _, encoded := range key.Certificates {
			raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
			if err != nil {
				return nil, nil, errInvalidInput("Could not parse metadata: a certificate is not base64")
			}
			certificate, err := x509.ParseCertificate(raw)
			if err != nil {
				return nil, nil, errInvalidInput("Could not parse metadata: a certificate is not X.509")
			}
			list = append(list, certificate)
		}
	}
	if len(list) == 0 {
		return nil, nil, errInvalidInput("Could not parse metadata: it has no certificate to verify signatures with")
	}
	return m, list, nil
}

// describe takes what the metadata says.
func (p *samlProvider) describe(text string, now time.Time) error {
	m, _, err := parseMetadata(text)
	if err != nil {
		return err
	}
	p.Metadata, p.Entity, p.ValidUntil = document(text), m.Entity, now.Add(samlLifetime)
	if m.ValidUntil != "" {
		if p.ValidUntil, err = time.Parse(time.RFC3339, m.ValidUntil); err != nil {
			return errInvalidInput("Could not parse metadata: validUntil is not a time")
		}
	}
	p.ValidUntil = p.ValidUntil.UTC().Truncate(time.Second)
	return nil
}

func samlRows(tx store.Tx, account string) store.Rows[samlProvider] {
	return samlTable.In(tx, store.Scope{Account: account})
}

func (p *samlProvider) arn(account string) string { return arn(account, "saml-provider/"+p.Name) }

func getSAML(tx store.Tx, account, providerARN string) (*samlProvider, error) {
	owner, word, rest, ok := arnParts(providerARN)
	if !ok || word != "saml-provider" {
		return nil, errInvalidInput("Invalid ARN: %s", providerARN)
	}
	if owner == account {
		p, err := samlRows(tx, account).Find(folded(rest[1:]))
		if err != nil || p != nil && p.arn(account) == providerARN {
			return p, err
		}
	}
	return nil, errNoSuchEntity("Manifest not found for arn %s", providerARN)
}

// encryption refuses what would need the private key of an encrypted assertion.
func encryption(ctx context.Context, wanted bool) error {
	if !wanted {
		return nil
	}
	return awsapi.NotImplemented(awsapi.FromContext(ctx).Service, "SAML providers with encrypted assertions")
}

// CreateSAMLProvider registers a provider by its metadata.
func (s *Service) CreateSAMLProvider(ctx context.Context, in *iam.CreateSAMLProviderInput) (*iam.CreateSAMLProviderOutput, error) {
	out := &iam.CreateSAMLProviderOutput{}
	if err := encryption(ctx, in.AddPrivateKey != nil || in.AssertionEncryptionMode != ""); err != nil {
		return nil, err
	}
	if err := checkName("name", aws.ToString(in.Name)); err != nil {
		return nil, err
	}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		p := &samlProvider{Name: *in.Name, UUID: randomBase32(21), Created: tx.Now().UTC().Truncate(time.Second)}
		if err := p.describe(aws.ToString(in.SAMLMetadataDocument), p.Created); err != nil {
			return err
		}
		var err error
		if p.Tags, err = p.Tags.with(in.Tags); err != nil {
			return err
		}
		rows := samlRows(tx, account)
		if old, err := rows.Find(folded(p.Name)); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("SAMLProvider with name %s already exists.", p.Name)
		}
		all, _, err := rows.List(store.Query{})
		if err != nil {
			return err
		}
		if len(all) >= maxSAMLProviders {
			return errQuota("SAMLProvidersPerAccount", maxSAMLProviders)
		}
		out.SAMLProviderArn, out.Tags = aws.String(p.arn(account)), p.Tags.toAPI()
		return rows.Put(p)
	})
}

// GetSAMLProvider answers a provider with its metadata.
func (s *Service) GetSAMLProvider(ctx context.Context, in *iam.GetSAMLProviderInput) (*iam.GetSAMLProviderOutput, error) {
	out := &iam.GetSAMLProviderOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := getSAML(tx, account, aws.ToString(in.SAMLProviderArn))
		if err != nil {
			return err
		}
		out.SAMLMetadataDocument, out.SAMLProviderUUID = aws.String(string(p.Metadata)), aws.String(p.UUID)
		out.CreateDate, out.ValidUntil, out.Tags = aws.Time(p.Created), aws.Time(p.ValidUntil), p.Tags.toAPI()
		return nil
	})
	return out, err
}

// ListSAMLProviders answers the account's providers.
func (s *Service) ListSAMLProviders(ctx context.Context, _ *iam.ListSAMLProvidersInput) (*iam.ListSAMLProvidersOutput, error) {
	out := &iam.ListSAMLProvidersOutput{SAMLProviderList: []types.SAMLProviderListEntry{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		for p, err := range samlRows(tx, account).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			out.SAMLProviderList = append(out.SAMLProviderList, types.SAMLProviderListEntry{
				Arn: aws.String(p.arn(account)), CreateDate: aws.Time(p.Created), ValidUntil: aws.Time(p.ValidUntil),
			})
		}
		return nil
	})
	return out, err
}

// UpdateSAMLProvider replaces the metadata.
func (s *Service) UpdateSAMLProvider(ctx context.Context, in *iam.UpdateSAMLProviderInput) (*iam.UpdateSAMLProviderOutput, error) {
	if err := encryption(ctx, in.AddPrivateKey != nil || in.RemovePrivateKey != nil || in.AssertionEncryptionMode != ""); err != nil {
		return nil, err
	}
	return &iam.UpdateSAMLProviderOutput{SAMLProviderArn: in.SAMLProviderArn}, namedSAML.alter(ctx, s, in.SAMLProviderArn, func(tx store.Tx, _ string, p *samlProvider) error {
		if in.SAMLMetadataDocument == nil {
			return nil
		}
		return p.describe(*in.SAMLMetadataDocument, tx.Now())
	})
}

// DeleteSAMLProvider removes a provider. Sessions that were begun go on.
func (s *Service) DeleteSAMLProvider(ctx context.Context, in *iam.DeleteSAMLProviderInput) (*iam.DeleteSAMLProviderOutput, error) {
	return &iam.DeleteSAMLProviderOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		p, err := getSAML(tx, account, aws.ToString(in.SAMLProviderArn))
		if err != nil {
			return err
		}
		return samlRows(tx, account).Delete(folded(p.Name))
	})
}

// TagSAMLProvider adds or replaces tags.
func (s *Service) TagSAMLProvider(ctx context.Context, in *iam.TagSAMLProviderInput) (*iam.TagSAMLProviderOutput, error) {
	return &iam.TagSAMLProviderOutput{}, namedSAML.tag(ctx, s, in.SAMLProviderArn, in.Tags)
}

// UntagSAMLProvider removes tags; absent ones are no error.
func (s *Service) UntagSAMLProvider(ctx context.Context, in *iam.UntagSAMLProviderInput) (*iam.UntagSAMLProviderOutput, error) {
	return &iam.UntagSAMLProviderOutput{}, namedSAML.untag(ctx, s, in.SAMLProviderArn, in.TagKeys)
}

// ListSAMLProviderTags answers a provider's tags.
func (s *Service) ListSAMLProviderTags(ctx context.Context, in *iam.ListSAMLProviderTagsInput) (*iam.ListSAMLProviderTagsOutput, error) {
	p, err := namedSAML.listTags(ctx, s, in.SAMLProviderArn, in.Marker, in.MaxItems)
	return &iam.ListSAMLProviderTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}
