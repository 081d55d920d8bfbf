package iam

import (
	"strconv"
	"strings"
	"time"

	"miniaws/awsapi"
	"miniaws/iam/policy"
)

// callContext answers the context keys of one access: each is worked out when a policy asks for it, once.
type callContext struct {
	*asking
	wanted   *awsapi.Access
	resource string
	// owner is the account of the resource, ownerMember its place in an organization.
	owner       string
	ownerMember *membership
	looked      []lookedUp
	tags        map[string]string
	tagsKnown   bool
	// err is why a key could not be found out; the decision then does not count.
	err error
}

type lookedUp struct {
	key    string
	values []string
}

func (c *callContext) lookup(key string) []string {
	for i := range c.looked {
		if c.looked[i].key == key {
			return c.looked[i].values
		}
	}
	values := c.find(key)
	c.looked = append(c.looked, lookedUp{key, values})
	return values
}

func (c *callContext) find(key string) []string {
	for name, values := range c.wanted.Conditions {
		if len(name) == len(key) && strings.EqualFold(name, key) {
			return values
		}
	}
	service, name, _ := strings.Cut(key, ":")
	if tag, ok := strings.CutPrefix(name, "resourcetag/"); ok {
		// Services have names of their own for aws:ResourceTag: ec2:ResourceTag, iam:ResourceTag.
		return tagValue(c.resourceTags(), tag)
	}
	if session := c.request.Principal.Session; session != nil {
		for claim, values := range session.Claims {
			if strings.EqualFold(claim, key) {
				return values
			}
		}
	}
	if service == "aws" {
		return c.global(name)
	}
	return nil
}

// tagValue finds a tag whatever the case of its key, as condition keys go.
// AWS: "Controlling access to AWS resources using tags", "Can I use case-sensitive tag keys?".
func tagValue(tags map[string]string, key string) []string {
	for name, value := range tags {
		if strings.EqualFold(name, key) {
			return []string{value}
		}
	}
	return nil
}

func (c *callContext) resourceTags() map[string]string {
	if c.tagsKnown {
		return c.tags
	}
	c.tagsKnown = true
	parts := strings.SplitN(c.resource, ":", 6)
	if len(parts) < 6 {
		return nil
	}
	if source := c.service.tagged[parts[2]]; source != nil {
		var err error
		if c.tags, err = source.ResourceTags(c.ctx, c.resource); err != nil {
			c.err = err
		}
	}
	return c.tags
}

// single is a value, or none where it is empty.
func single(value string) []string {
	if value == "" {
		return nil
	}
	return []string{value}
}

// global answers AWS's global context keys; name is without "aws:", in lower case.
// AWS: "AWS global condition context keys".
func (c *callContext) global(name string) []string {
	r := c.request
	switch name {
	case "sourceip":
		// AWS: aws:SourceIp is not there for requests through a VPC endpoint.
		if r.SourceIP.IsValid() && r.Endpoint == nil {
			return []string{r.SourceIP.String()}
		}
		return nil
	case "sourcevpc", "sourcevpce", "vpcsourceip", "vpceaccount":
		return ofEndpoint(r.Endpoint, name)
	case "securetransport":
		return []string{strconv.FormatBool(r.Secure)}
	case "currenttime":
		return []string{r.Time.UTC().Format(time.RFC3339)}
	case "epochtime":
		return []string{strconv.FormatInt(r.Time.Unix(), 10)}
	case "useragent":
		return single(r.UserAgent)
	case "referer":
		return single(r.Header.Get("Referer"))
	case "requestedregion":
		return single(c.region())
	case "viaawsservice", "principalisawsservice":
		return []string{strconv.FormatBool(name == "principalisawsservice" && c.as.Kind == policy.AWSService)}
	case "principalservicename":
		if c.as.Kind == policy.AWSService {
			return single(c.as.Name)
		}
		return nil
	case "resourceaccount":
		return single(c.owner)
	case "resourceorgid", "resourceorgpaths":
		return orgValue(c.ownerMember, name == "resourceorgid")
	}
	return c.ofCaller(name)
}

// ofEndpoint answers the keys about the VPC endpoint that a call came through.
// AWS: "AWS global condition context keys", "Properties of the network".
func ofEndpoint(through *awsapi.Endpoint, name string) []string {
	if through == nil {
		return nil
	}
	switch name {
	case "sourcevpc":
		return []string{through.VPC}
	case "sourcevpce":
		return []string{through.ID}
	case "vpceaccount":
		return []string{through.Account}
	}
	return []string{through.Source.String()}
}

// region is where the request goes. AWS: aws:RequestedRegion: global services are in us-east-1.
func (c *callContext) region() string {
	switch c.request.Service.SigningName {
	case "iam", "organizations", "route53":
		return "us-east-1"
	}
	return c.request.Region
}

func orgValue(m *membership, id bool) []string {
	switch {
	case m == nil:
		return nil
	case id:
		return []string{m.Organization}
	}
	return []string{m.Path}
}

// ofCaller answers the keys about the principal and its session.
func (c *callContext) ofCaller(name string) []string {
	p := c.request.Principal
	if tag, ok := strings.CutPrefix(name, "principaltag/"); ok {
		return tagValue(c.grants.tags, tag)
	}
	switch name {
	case "principalarn":
		switch c.as.Kind {
		case policy.Anonymous:
			return nil
		case policy.RoleSession:
			return single(c.as.Issuer)
		}
		return single(c.as.ARN)
	case "principalaccount":
		return single(c.as.Account)
	case "principaltype":
		return single(principalTypes[c.as.Kind])
	case "principalorgid", "principalorgpaths":
		return orgValue(c.member, name == "principalorgid")
	case "userid":
		if c.as.Kind == policy.Anonymous {
			return []string{"anonymous"}
		}
		return single(c.as.ID)
	case "username":
		if c.as.Kind == policy.User {
			return single(p.UserName)
		}
		return nil
	}
	if p.Session == nil {
		return nil
	}
	return c.ofSession(p.Session, name)
}

// principalTypes are the values of aws:PrincipalType.
// AWS: "Where you can use policy variables", "Request information available for principals".
var principalTypes = map[policy.PrincipalKind]string{
	policy.Anonymous: "Anonymous", policy.Root: "Account", policy.User: "User", policy.RoleSession: "AssumedRole",
	policy.FederatedUser: "FederatedUser", policy.AWSService: "Service",
}

// ofSession answers the keys that only temporary credentials have.
func (c *callContext) ofSession(session *awsapi.Session, name string) []string {
	switch name {
	case "multifactorauthpresent":
		return []string{strconv.FormatBool(!session.MFA.IsZero())}
	case "multifactorauthage":
		if session.MFA.IsZero() {
			return nil
		}
		return []string{strconv.FormatInt(int64(c.request.Time.Sub(session.MFA).Seconds()), 10)}
	case "tokenissuetime":
		return []string{session.Issued.UTC().Format(time.RFC3339)}
	case "sourceidentity":
		return single(session.SourceIdentity)
	case "federatedprovider":
		return single(session.Provider)
	}
	return nil
}
