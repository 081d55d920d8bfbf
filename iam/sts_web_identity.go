package iam

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"
	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"miniaws/awsapi"
	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// webClaims are what we read of a token beside the registered claims.
type webClaims struct {
	jwt.Claims
	AuthorizedParty string   `json:"azp"`
	Methods         []string `json:"amr"`
	// Tags are AWS's own claim for session tags and the source identity.
	Tags struct {
		Principal  map[string][]string `json:"principal_tags"`
		Transitive []string            `json:"transitive_tag_keys"`
	} `json:"https://aws.amazon.com/tags"`
	SourceIdentity string `json:"https://aws.amazon.com/source_identity"`
}

// webAlgorithms are those that OpenID Connect providers sign with. None of them is symmetric: a provider's public key
// must never be taken for a shared secret.
var webAlgorithms = []jose.SignatureAlgorithm{jose.RS256, jose.RS384, jose.RS512, jose.ES256, jose.ES384, jose.ES512, jose.PS256, jose.PS384, jose.PS512}

// AWS: the errors of AssumeRoleWithWebIdentity in the STS API reference.
func errInvalidIdentityToken(format string, args ...any) error {
	return awsapi.Errorf("InvalidIdentityToken", format, args...)
}

func errExpiredIdentity(now, until time.Time) error {
	return awsapi.Errorf("ExpiredTokenException", "Token expired: current date/time %d must be before the expiration date/time %d", now.Unix(), until.Unix())
}

// unasked is the access function of operations that are decided on once the token is verified.
func unasked[In any](context.Context, *In) ([]awsapi.Access, error) { return nil, nil }

// AssumeRoleWithWebIdentity begins a session of a role for whom an OpenID Connect provider of the role's account vouches.
func (s *Service) AssumeRoleWithWebIdentity(ctx context.Context, in *sts.AssumeRoleWithWebIdentityInput) (*sts.AssumeRoleWithWebIdentityOutput, error) {
	if in.ProviderId != nil {
		return nil, awsapi.NotImplemented(awsapi.FromContext(ctx).Service, "AssumeRoleWithWebIdentity with the OAuth 2.0 tokens of ProviderId")
	}
	r, account, err := s.roleByARN(ctx, aws.ToString(in.RoleArn))
	if err != nil {
		return nil, err
	}
	claims, provider, err := s.verifyWebToken(ctx, account, aws.ToString(in.WebIdentityToken))
	if err != nil {
		return nil, err
	}
	audience, err := provider.audience(claims)
	if err != nil {
		return nil, err
	}
	conditions := map[string][]string{
		provider.Host + ":aud": {audience},
		provider.Host + ":sub": {claims.Subject},
		"sts:RoleSessionName":  {aws.ToString(in.RoleSessionName)},
	}
	if len(claims.Methods) > 0 {
		conditions[provider.Host+":amr"] = claims.Methods
	}
	begun := beginning{roleARN: aws.ToString(in.RoleArn), name: aws.ToString(in.RoleSessionName), seconds: in.DurationSeconds, policy: in.Policy, policyARNs: in.PolicyArns}
	begun.Session = awsapi.Session{Provider: provider.arn(account), Claims: claimsOf(conditions, provider.Host), SourceIdentity: claims.SourceIdentity}
	actions := []string{"sts:AssumeRoleWithWebIdentity"}
	if claims.SourceIdentity != "" {
		conditions["sts:SourceIdentity"] = []string{claims.SourceIdentity}
		actions = append(actions, "sts:SetSourceIdentity")
	}
	tags, err := federatedTags(claims.Tags.Principal)
	if err != nil {
		return nil, err
	}
	if len(tags) > 0 {
		tagConditions(conditions, tags, claims.Tags.Transitive)
		actions = append(actions, "sts:TagSession")
		if err := begun.tag(tags, claims.Tags.Transitive, nil); err != nil {
			return nil, err
		}
	}
	who := policy.Principal{Kind: policy.WebIdentity, Name: provider.arn(account), ARN: provider.arn(account)}
	if err := s.trustsFederated(ctx, r, account, who, actions, conditions); err != nil {
		return nil, err
	}
	credentials, assumed, packed, err := s.beginRoleSession(ctx, begun)
	if err != nil {
		return nil, err
	}
	out := &sts.AssumeRoleWithWebIdentityOutput{
		Credentials: credentials, AssumedRoleUser: assumed,
		PackedPolicySize: packed, //nolint:staticcheck // SDKs and boto3 of today read it
		Audience:         aws.String(audience), Provider: aws.String(provider.arn(account)), SubjectFromWebIdentityToken: aws.String(claims.Subject),
	}
	if claims.SourceIdentity != "" {
		out.SourceIdentity = aws.String(claims.SourceIdentity)
	}
	return out, nil
}

// trustsFederated refuses whom the trust policy does not let in, for each of the actions. A role that does not exist
// refuses in the same words.
func (s *Service) trustsFederated(ctx context.Context, r *role, account string, who policy.Principal, actions []string, conditions map[string][]string) error {
	for _, action := range actions {
		ok := false
		var err error
		if r != nil {
			if ok, err = s.trustsCaller(ctx, roles.arn(account, r), who, action, conditions); err != nil {
				return err
			}
		}
		if !ok {
			return errAccessDenied("Not authorized to perform " + action)
		}
	}
	return nil
}

// verifyWebToken answers the claims of a token that a provider of the account signed and that is valid now.
func (s *Service) verifyWebToken(ctx context.Context, account, text string) (*webClaims, *oidcProvider, error) {
	token, err := jwt.ParseSigned(text, webAlgorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, nil, errInvalidIdentityToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	var claimed webClaims
	if err := token.UnsafeClaimsWithoutVerification(&claimed); err != nil || claimed.Issuer == "" {
		return nil, nil, errInvalidIdentityToken("The ID Token provided is not a valid JWT. (You may see this error if you sent an Access Token)")
	}
	var provider *oidcProvider
	err = s.config.DB.View(ctx, func(tx store.Tx) (err error) {
		provider, err = oidcRows(tx, account).Find(issuerHost(claimed.Issuer))
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	if provider == nil {
		return nil, nil, errInvalidIdentityToken("No OpenIDConnect provider found in your account for %s", claimed.Issuer)
	}
	var claims webClaims
	verify := func(fresh bool) error {
		keys, err := s.issuers.keys(ctx, provider, s.config.Now(), fresh)
		if err != nil {
			return err
		}
		for _, key := range keys.Key(token.Headers[0].KeyID) {
			if err = token.Claims(key.Key, &claims); err == nil {
				return nil
			}
		}
		if token.Headers[0].KeyID == "" && len(keys.Keys) == 1 {
			if err = token.Claims(keys.Keys[0].Key, &claims); err == nil {
				return nil
			}
		}
		return errInvalidIdentityToken("Couldn't retrieve verification key from your identity provider,  please reference AssumeRoleWithWebIdentity documentation for requirements")
	}
	if err := verify(false); isCode(err, "InvalidIdentityToken") {
		// The provider may have a new key since.
		err = verify(true)
		if err != nil {
			return nil, nil, err
		}
	} else if err != nil {
		return nil, nil, err
	}
	now := s.config.Now()
	switch {
	case claims.Subject == "":
		return nil, nil, errInvalidIdentityToken("Missing a required claim: sub")
	case claims.Expiry == nil:
		return nil, nil, errInvalidIdentityToken("Missing a required claim: exp")
	case claims.IssuedAt == nil:
		return nil, nil, errInvalidIdentityToken("Missing a required claim: iat")
	case !now.Before(claims.Expiry.Time()):
		return nil, nil, errExpiredIdentity(now, claims.Expiry.Time())
	}
	if err := claims.ValidateWithLeeway(jwt.Expected{Time: now}, 5*time.Minute); err != nil {
		if errors.Is(err, jwt.ErrNotValidYet) || errors.Is(err, jwt.ErrIssuedInTheFuture) {
			return nil, nil, errInvalidIdentityToken("Token is not yet valid")
		}
		return nil, nil, errInvalidIdentityToken("%v", err)
	}
	return &claims, provider, nil
}

// audience answers the client that the token is for, which must be one that the provider was registered with.
// AWS: "Available keys for AWS OIDC federation": azp where there is one, else aud.
func (p *oidcProvider) audience(claims *webClaims) (string, error) {
	for _, client := range claims.Audience {
		if slices.Contains(p.Clients, client) && (claims.AuthorizedParty == "" || len(claims.Audience) == 1) {
			return client, nil
		}
	}
	if slices.Contains(p.Clients, claims.AuthorizedParty) {
		return claims.AuthorizedParty, nil
	}
	return "", errInvalidIdentityToken("Incorrect token audience")
}

// federatedTags are tags as providers give them: one value a key.
func federatedTags(given map[string][]string) ([]types.Tag, error) {
	var tags []types.Tag
	for key, values := range given {
		if len(values) != 1 {
			return nil, errInvalidIdentityToken("The principal tag %s must have one value", key)
		}
		tags = append(tags, types.Tag{Key: aws.String(key), Value: aws.String(values[0])})
	}
	slices.SortFunc(tags, func(a, b types.Tag) int { return strings.Compare(*a.Key, *b.Key) })
	return tags, nil
}

// claimsOf answers the context keys that the provider's own claims are.
func claimsOf(conditions map[string][]string, host string) map[string][]string {
	claims := map[string][]string{}
	for key, values := range conditions {
		if strings.HasPrefix(key, host+":") {
			claims[key] = values
		}
	}
	return claims
}
