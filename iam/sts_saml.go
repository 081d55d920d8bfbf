package iam

import (
	"context"
	"crypto/sha1" // #nosec: NameQualifier is SHA-1 by AWS's definition
	"encoding/base64"
	"encoding/xml"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/beevik/etree"
	dsig "github.com/russellhaering/goxmldsig"
	"github.com/russellhaering/goxmldsig/etreeutils"

	"miniaws/awsapi"
	"miniaws/backend/store"
	"miniaws/iam/policy"
)

// AWS: "Configure SAML assertions for the authentication response" in the IAM user guide.
const (
	samlNamespace   = "urn:oasis:names:tc:SAML:2.0:assertion"
	samlRecipient   = "https://signin.aws.amazon.com/saml"
	samlAttributes  = "https://aws.amazon.com/SAML/Attributes/"
	samlPrincipal   = samlAttributes + "PrincipalTag:"
	samlBearer      = "urn:oasis:names:tc:SAML:2.0:cm:bearer"
	samlFormats     = "urn:oasis:names:tc:SAML:2.0:nameid-format:"
	maxSAMLSkew     = 5 * time.Minute
	minSAMLDuration = 900
	maxSAMLDuration = 43200
)

// assertion is what we read of a SAML assertion, once its signature is verified.
type assertion struct {
	XMLName xml.Name `xml:"urn:oasis:names:tc:SAML:2.0:assertion Assertion"`
	Issuer  string   `xml:"Issuer"`
	Subject struct {
		Name struct {
			Format string `xml:"Format,attr"`
			Text   string `xml:",chardata"`
		} `xml:"NameID"`
		Confirmations []struct {
			Method string `xml:"Method,attr"`
			Data   struct {
				Recipient  string `xml:"Recipient,attr"`
				NotBefore  string `xml:"NotBefore,attr"`
				NotOnAfter string `xml:"NotOnOrAfter,attr"`
			} `xml:"SubjectConfirmationData"`
		} `xml:"SubjectConfirmation"`
	} `xml:"Subject"`
	Conditions struct {
		NotBefore  string   `xml:"NotBefore,attr"`
		NotOnAfter string   `xml:"NotOnOrAfter,attr"`
		Audiences  []string `xml:"AudienceRestriction>Audience"`
	} `xml:"Conditions"`
	Attributes []struct {
		Name   string   `xml:"Name,attr"`
		Values []string `xml:"AttributeValue"`
	} `xml:"AttributeStatement>Attribute"`
}

// values answers an attribute of AWS's.
func (a *assertion) values(name string) []string {
	var values []string
	for _, attribute := range a.Attributes {
		if attribute.Name == samlAttributes+name {
			for _, v := range attribute.Values {
				values = append(values, strings.TrimSpace(v))
			}
		}
	}
	return values
}

func (a *assertion) value(name string) string {
	if values := a.values(name); len(values) > 0 {
		return values[0]
	}
	return ""
}

// AssumeRoleWithSAML begins a session of a role for whom a SAML provider of the role's account vouches.
func (s *Service) AssumeRoleWithSAML(ctx context.Context, in *sts.AssumeRoleWithSAMLInput) (*sts.AssumeRoleWithSAMLOutput, error) {
	r, account, err := s.roleByARN(ctx, aws.ToString(in.RoleArn))
	if err != nil {
		return nil, err
	}
	var provider *samlProvider
	err = s.config.DB.View(ctx, func(tx store.Tx) (err error) {
		provider, err = getSAML(tx, account, aws.ToString(in.PrincipalArn))
		return err
	})
	if isCode(err, "NoSuchEntity") || isCode(err, "InvalidInput") {
		return nil, errInvalidIdentityToken("Metadata for provider %s could not be found.", aws.ToString(in.PrincipalArn))
	}
	if err != nil {
		return nil, err
	}
	now := s.config.Now()
	a, err := provider.verify(aws.ToString(in.SAMLAssertion), now)
	if err != nil {
		return nil, err
	}
	recipient, err := a.check(now)
	if err != nil {
		return nil, err
	}
	if !a.names(aws.ToString(in.RoleArn), aws.ToString(in.PrincipalArn)) {
		return nil, errInvalidIdentityToken("The requested role and provider are not in the assertion's Role attribute")
	}
	begun := beginning{roleARN: *in.RoleArn, name: a.value("RoleSessionName"), policy: in.Policy, policyARNs: in.PolicyArns}
	if begun.name == "" {
		return nil, errInvalidIdentityToken("RoleSessionName is required in AuthnResponse")
	}
	if begun.seconds, err = a.seconds(in.DurationSeconds); err != nil {
		return nil, err
	}
	// AWS: "AssumeRoleWithSAML" in the STS API reference: NameQualifier.
	hash := sha1.Sum([]byte(a.Issuer + account + "/" + provider.Name)) // #nosec: see above
	qualifier := base64.StdEncoding.EncodeToString(hash[:])
	subjectType := strings.TrimPrefix(a.Subject.Name.Format, samlFormats)
	subject := strings.TrimSpace(a.Subject.Name.Text)
	claims := map[string][]string{
		"saml:aud": {recipient}, "saml:iss": {a.Issuer}, "saml:sub": {subject}, "saml:sub_type": {subjectType},
		"saml:namequalifier": {qualifier}, "saml:doc": {account + "/" + provider.Name},
	}
	conditions := map[string][]string{"sts:RoleSessionName": {begun.name}}
	for key, values := range claims {
		conditions[key] = values
	}
	begun.Session = awsapi.Session{Provider: provider.arn(account), Claims: claims, SourceIdentity: a.value("SourceIdentity")}
	actions, err := begun.vouched(a, conditions)
	if err != nil {
		return nil, err
	}
	who := policy.Principal{Kind: policy.SAML, Name: provider.arn(account), ARN: provider.arn(account)}
	if err := s.trustsFederated(ctx, r, account, who, actions, conditions); err != nil {
		return nil, err
	}
	credentials, assumed, packed, err := s.beginRoleSession(ctx, begun)
	if err != nil {
		return nil, err
	}
	out := &sts.AssumeRoleWithSAMLOutput{
		Credentials: credentials, AssumedRoleUser: assumed,
		PackedPolicySize: packed, //nolint:staticcheck // SDKs and boto3 of today read it
		Audience:         aws.String(recipient), Issuer: aws.String(a.Issuer), NameQualifier: aws.String(qualifier),
		Subject: aws.String(subject), SubjectType: aws.String(subjectType),
	}
	if begun.SourceIdentity != "" {
		out.SourceIdentity = aws.String(begun.SourceIdentity)
	}
	return out, nil
}

// vouched takes the session tags and the source identity out of an assertion, and answers what that needs to be allowed.
func (b *beginning) vouched(a *assertion, conditions map[string][]string) ([]string, error) {
	actions := []string{"sts:AssumeRoleWithSAML"}
	if b.SourceIdentity != "" {
		if err := checkSessionName("sourceIdentity", b.SourceIdentity); err != nil {
			return nil, err
		}
		conditions["sts:SourceIdentity"] = []string{b.SourceIdentity}
		actions = append(actions, "sts:SetSourceIdentity")
	}
	given := map[string][]string{}
	for _, attribute := range a.Attributes {
		if key, ok := strings.CutPrefix(attribute.Name, samlPrincipal); ok {
			given[key] = append(given[key], attribute.Values...)
		}
	}
	tags, err := federatedTags(given)
	if err != nil || len(tags) == 0 {
		return actions, err
	}
	transitive := a.values("TransitiveTagKeys")
	tagConditions(conditions, tags, transitive)
	return append(actions, "sts:TagSession"), b.tag(tags, transitive, nil)
}

// seconds answers how long the session is to last: the shorter of what is asked and what the assertion says.
func (a *assertion) seconds(asked *int32) (*int32, error) {
	text := a.value("SessionDuration")
	if text == "" {
		return asked, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < minSAMLDuration || n > maxSAMLDuration {
		return nil, errInvalidIdentityToken("SessionDuration must be a number between %d and %d", minSAMLDuration, maxSAMLDuration)
	}
	if asked == nil || int32(n) < *asked {
		return aws.Int32(int32(n)), nil
	}
	return asked, nil
}

// names tells whether the assertion offers that role by that provider. The two ARNs of a value come in either order.
func (a *assertion) names(roleARN, providerARN string) bool {
	for _, offered := range a.values("Role") {
		first, second, _ := strings.Cut(offered, ",")
		first, second = strings.TrimSpace(first), strings.TrimSpace(second)
		if first == roleARN && second == providerARN || first == providerARN && second == roleARN {
			return true
		}
	}
	return false
}

// check answers to whom the assertion is addressed; it must be us, and now.
func (a *assertion) check(now time.Time) (recipient string, err error) {
	if !within(now, a.Conditions.NotBefore, a.Conditions.NotOnAfter) {
		return "", errExpiredSAML()
	}
	if len(a.Conditions.Audiences) > 0 && !slices.ContainsFunc(a.Conditions.Audiences, ourAudience) {
		return "", errInvalidIdentityToken("Audience is invalid")
	}
	for _, c := range a.Subject.Confirmations {
		if c.Method != samlBearer || !strings.HasPrefix(c.Data.Recipient, samlRecipient) && !regionalRecipient(c.Data.Recipient) {
			continue
		}
		// AWS: NotOnOrAfter is required of a bearer's confirmation.
		if c.Data.NotOnAfter == "" || !within(now, c.Data.NotBefore, c.Data.NotOnAfter) {
			return "", errExpiredSAML()
		}
		return c.Data.Recipient, nil
	}
	return "", errInvalidIdentityToken("Recipient in SubjectConfirmationData is invalid")
}

// AWS: ExpiredTokenException of AssumeRoleWithSAML, as clients report it.
func errExpiredSAML() error {
	return awsapi.Errorf("ExpiredTokenException", "Token must be redeemed within 5 minutes of issuance")
}

func ourAudience(audience string) bool {
	audience = strings.TrimSpace(audience)
	return audience == "urn:amazon:webservices" || audience == samlRecipient || regionalRecipient(audience)
}

func regionalRecipient(address string) bool {
	host, ok := strings.CutPrefix(address, "https://")
	region, rest, cut := strings.Cut(host, ".")
	return ok && cut && region != "" && rest == "signin.aws.amazon.com/saml"
}

// within compares with a little patience for clocks; an absent bound is none.
func within(now time.Time, from, until string) bool {
	if from != "" {
		t, err := time.Parse(time.RFC3339Nano, from)
		if err != nil || now.Add(maxSAMLSkew).Before(t) {
			return false
		}
	}
	if until != "" {
		t, err := time.Parse(time.RFC3339Nano, until)
		if err != nil || !now.Before(t) {
			return false
		}
	}
	return true
}

// verify answers the one assertion in a response that the provider signed: the whole response, or the assertion in it.
// Only what the signature covers is read.
func (p *samlProvider) verify(encoded string, now time.Time) (*assertion, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(encoded), ""))
	if err != nil {
		return nil, errInvalidIdentityToken("Invalid base64 SAMLResponse")
	}
	document := etree.NewDocument()
	if err := document.ReadFromBytes(raw); err != nil || document.Root() == nil || document.Root().Tag != "Response" {
		return nil, errInvalidIdentityToken("Couldn't parse SAMLResponse")
	}
	_, certificates, err := parseMetadata(string(p.Metadata))
	if err != nil {
		return nil, err
	}
	validation := dsig.NewDefaultValidationContext(&dsig.MemoryX509CertificateStore{Roots: certificates})
	validation.IdAttribute = "ID"
	validation.Clock = dsig.NewFakeClockAt(now)
	signed, err := signedAssertion(validation, document.Root())
	if err != nil {
		// AWS: the words of InvalidIdentityToken, as clients report them.
		return nil, errInvalidIdentityToken("Response Signature Invalid")
	}
	covered := etree.NewDocument()
	covered.SetRoot(signed)
	text, err := covered.WriteToBytes()
	if err != nil {
		return nil, err
	}
	a := &assertion{}
	if err := xml.Unmarshal(text, a); err != nil {
		return nil, errInvalidIdentityToken("Couldn't parse SAMLResponse")
	}
	if a.Issuer = strings.TrimSpace(a.Issuer); a.Issuer != p.Entity {
		return nil, errInvalidIdentityToken("Issuer not present in specified provider")
	}
	return a, nil
}

var errNoAssertion = errors.New("not exactly one signed assertion")

// signedAssertion answers the assertion as the signature covers it.
func signedAssertion(validation *dsig.ValidationContext, response *etree.Element) (*etree.Element, error) {
	whole, err := validation.Validate(response)
	if err == nil {
		return onlyAssertion(whole)
	}
	if !errors.Is(err, dsig.ErrMissingSignature) {
		return nil, err
	}
	unverified, err := onlyAssertion(response)
	if err != nil {
		return nil, err
	}
	namespaces, err := etreeutils.NSBuildParentContext(unverified)
	if err != nil {
		return nil, err
	}
	detached, err := etreeutils.NSDetatch(namespaces, unverified)
	if err != nil {
		return nil, err
	}
	return validation.Validate(detached)
}

// onlyAssertion answers the one assertion that is a child of the response.
func onlyAssertion(response *etree.Element) (*etree.Element, error) {
	var found []*etree.Element
	for _, child := range response.ChildElements() {
		if child.Tag == "Assertion" && child.NamespaceURI() == samlNamespace {
			found = append(found, child)
		}
	}
	if len(found) != 1 {
		return nil, errNoAssertion
	}
	return found[0], nil
}
