package iam

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/backend/store"
)

// oidcProvider is an OpenID Connect provider whose tokens roles of the account may trust.
type oidcProvider struct {
	// Host is the issuer's URL without https://, which names the provider: host and path.
	Host string
	// Clients are the audiences whose tokens are taken.
	Clients []string
	// Thumbprints are SHA-1 hashes, in hexadecimal, of certificates that may vouch for the issuer's TLS.
	Thumbprints []string
	Created     time.Time
	Tags        tagList `json:",omitempty"`
}

var oidcTable = store.NewTable(store.Spec[oidcProvider]{
	Service: "iam",
	Name:    "oidc-providers",
	ID:      func(p *oidcProvider) store.ID { return store.ID{p.Host} },
})

// AWS: "IAM and STS quotas".
const (
	maxOIDCProviders = 100
	maxClients       = 100
	maxThumbprints   = 5
)

func oidcRows(tx store.Tx, account string) store.Rows[oidcProvider] {
	return oidcTable.In(tx, store.Scope{Account: account})
}

func (p *oidcProvider) arn(account string) string { return arn(account, "oidc-provider/"+p.Host) }

func issuerHost(issuer string) string {
	return strings.TrimSuffix(strings.TrimPrefix(issuer, "https://"), "/")
}

func getOIDC(tx store.Tx, account, providerARN string) (*oidcProvider, error) {
	owner, word, rest, ok := arnParts(providerARN)
	if !ok || word != "oidc-provider" {
		return nil, errInvalidInput("Invalid ARN: %s", providerARN)
	}
	if owner == account {
		p, err := oidcRows(tx, account).Find(rest[1:])
		if err != nil || p != nil {
			return p, err
		}
	}
	return nil, errNoSuchEntity("OpenIDConnect Provider not found for arn %s", providerARN)
}

// CreateOpenIDConnectProvider registers an issuer. Its keys are fetched when a token of it comes.
func (s *Service) CreateOpenIDConnectProvider(ctx context.Context, in *iam.CreateOpenIDConnectProviderInput) (*iam.CreateOpenIDConnectProviderOutput, error) {
	out := &iam.CreateOpenIDConnectProviderOutput{}
	address, err := url.Parse(aws.ToString(in.Url))
	if err != nil || address.Scheme != "https" || address.Host == "" || address.RawQuery != "" || address.User != nil || address.Fragment != "" {
		return nil, errValidation("Invalid Open ID Connect Provider URL")
	}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		p := &oidcProvider{Host: issuerHost(*in.Url), Clients: in.ClientIDList, Created: tx.Now().UTC().Truncate(time.Second)}
		var err error
		if p.Thumbprints, err = checkThumbprints(in.ThumbprintList); err != nil {
			return err
		}
		if len(p.Clients) > maxClients {
			return errQuota("ClientIdsPerOpenIdConnectProvider", maxClients)
		}
		if p.Tags, err = p.Tags.with(in.Tags); err != nil {
			return err
		}
		rows := oidcRows(tx, account)
		if old, err := rows.Find(p.Host); err != nil {
			return err
		} else if old != nil {
			return errEntityAlreadyExists("Provider with url https://%s already exists.", p.Host)
		}
		all, _, err := rows.List(store.Query{})
		if err != nil {
			return err
		}
		if len(all) >= maxOIDCProviders {
			return errQuota("OpenIdConnectProvidersPerAccount", maxOIDCProviders)
		}
		out.OpenIDConnectProviderArn, out.Tags = aws.String(p.arn(account)), p.Tags.toAPI()
		return rows.Put(p)
	})
}

func checkThumbprints(given []string) ([]string, error) {
	if len(given) > maxThumbprints {
		return nil, errInvalidInput("Thumbprint list must contain fewer than %d entries.", maxThumbprints+1)
	}
	var list []string
	for _, t := range given {
		list = append(list, strings.ToLower(t))
	}
	return list, nil
}

// GetOpenIDConnectProvider answers a provider.
func (s *Service) GetOpenIDConnectProvider(ctx context.Context, in *iam.GetOpenIDConnectProviderInput) (*iam.GetOpenIDConnectProviderOutput, error) {
	out := &iam.GetOpenIDConnectProviderOutput{}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		p, err := getOIDC(tx, account, aws.ToString(in.OpenIDConnectProviderArn))
		if err != nil {
			return err
		}
		out.Url, out.ClientIDList, out.ThumbprintList = aws.String(p.Host), p.Clients, p.Thumbprints
		out.CreateDate, out.Tags = aws.Time(p.Created), p.Tags.toAPI()
		return nil
	})
	return out, err
}

// ListOpenIDConnectProviders answers the account's providers.
func (s *Service) ListOpenIDConnectProviders(ctx context.Context, _ *iam.ListOpenIDConnectProvidersInput) (*iam.ListOpenIDConnectProvidersOutput, error) {
	out := &iam.ListOpenIDConnectProvidersOutput{OpenIDConnectProviderList: []types.OpenIDConnectProviderListEntry{}}
	err := s.view(ctx, func(tx store.Tx, account string) error {
		for p, err := range oidcRows(tx, account).Scan(store.Query{}) {
			if err != nil {
				return err
			}
			out.OpenIDConnectProviderList = append(out.OpenIDConnectProviderList, types.OpenIDConnectProviderListEntry{Arn: aws.String(p.arn(account))})
		}
		return nil
	})
	return out, err
}

// AddClientIDToOpenIDConnectProvider takes tokens for one more client; one that is there already stays.
func (s *Service) AddClientIDToOpenIDConnectProvider(ctx context.Context, in *iam.AddClientIDToOpenIDConnectProviderInput) (*iam.AddClientIDToOpenIDConnectProviderOutput, error) {
	return &iam.AddClientIDToOpenIDConnectProviderOutput{}, namedOIDC.alter(ctx, s, in.OpenIDConnectProviderArn, func(_ store.Tx, _ string, p *oidcProvider) error {
		if slices.Contains(p.Clients, aws.ToString(in.ClientID)) {
			return nil
		}
		if len(p.Clients) >= maxClients {
			return errQuota("ClientIdsPerOpenIdConnectProvider", maxClients)
		}
		p.Clients = append(p.Clients, aws.ToString(in.ClientID))
		return nil
	})
}

// RemoveClientIDFromOpenIDConnectProvider takes a client away; an absent one is no error.
func (s *Service) RemoveClientIDFromOpenIDConnectProvider(ctx context.Context, in *iam.RemoveClientIDFromOpenIDConnectProviderInput) (*iam.RemoveClientIDFromOpenIDConnectProviderOutput, error) {
	return &iam.RemoveClientIDFromOpenIDConnectProviderOutput{}, namedOIDC.alter(ctx, s, in.OpenIDConnectProviderArn, func(_ store.Tx, _ string, p *oidcProvider) error {
		p.Clients = slices.DeleteFunc(p.Clients, func(id string) bool { return id == aws.ToString(in.ClientID) })
		return nil
	})
}

// UpdateOpenIDConnectProviderThumbprint replaces all thumbprints.
func (s *Service) UpdateOpenIDConnectProviderThumbprint(ctx context.Context, in *iam.UpdateOpenIDConnectProviderThumbprintInput) (*iam.UpdateOpenIDConnectProviderThumbprintOutput, error) {
	return &iam.UpdateOpenIDConnectProviderThumbprintOutput{}, namedOIDC.alter(ctx, s, in.OpenIDConnectProviderArn, func(_ store.Tx, _ string, p *oidcProvider) (err error) {
		p.Thumbprints, err = checkThumbprints(in.ThumbprintList)
		return err
	})
}

// DeleteOpenIDConnectProvider removes a provider; an absent one is no error. Sessions that were begun go on.
func (s *Service) DeleteOpenIDConnectProvider(ctx context.Context, in *iam.DeleteOpenIDConnectProviderInput) (*iam.DeleteOpenIDConnectProviderOutput, error) {
	return &iam.DeleteOpenIDConnectProviderOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		p, err := getOIDC(tx, account, aws.ToString(in.OpenIDConnectProviderArn))
		if isCode(err, "NoSuchEntity") {
			return nil
		}
		if err != nil {
			return err
		}
		return oidcRows(tx, account).Delete(p.Host)
	})
}

// TagOpenIDConnectProvider adds or replaces tags.
func (s *Service) TagOpenIDConnectProvider(ctx context.Context, in *iam.TagOpenIDConnectProviderInput) (*iam.TagOpenIDConnectProviderOutput, error) {
	return &iam.TagOpenIDConnectProviderOutput{}, namedOIDC.tag(ctx, s, in.OpenIDConnectProviderArn, in.Tags)
}

// UntagOpenIDConnectProvider removes tags; absent ones are no error.
func (s *Service) UntagOpenIDConnectProvider(ctx context.Context, in *iam.UntagOpenIDConnectProviderInput) (*iam.UntagOpenIDConnectProviderOutput, error) {
	return &iam.UntagOpenIDConnectProviderOutput{}, namedOIDC.untag(ctx, s, in.OpenIDConnectProviderArn, in.TagKeys)
}

// ListOpenIDConnectProviderTags answers a provider's tags.
func (s *Service) ListOpenIDConnectProviderTags(ctx context.Context, in *iam.ListOpenIDConnectProviderTagsInput) (*iam.ListOpenIDConnectProviderTagsOutput, error) {
	p, err := namedOIDC.listTags(ctx, s, in.OpenIDConnectProviderArn, in.Marker, in.MaxItems)
	return &iam.ListOpenIDConnectProviderTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}
