package awsapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"miniaws/awsapi/meta"
)

// PrincipalType is what kind of caller it is: the values of the context key aws:PrincipalType, and Service.
type PrincipalType string

// The types.
const (
	RootUser      PrincipalType = "Account"
	User          PrincipalType = "User"
	AssumedRole   PrincipalType = "AssumedRole"
	FederatedUser PrincipalType = "FederatedUser"
	// ServicePrincipal is a service of AWS that acts for itself; ARN is then its name, such as ec2.amazonaws.com.
	ServicePrincipal PrincipalType = "Service"
	AnonymousUser    PrincipalType = "Anonymous"
)

// Principal is who calls.
type Principal struct {
	Type PrincipalType
	// Account is the twelve digits of the caller's account; empty for the anonymous principal.
	Account string
	// ARN and ID are what GetCallerIdentity answers.
	ARN, ID string
	// AccessKeyID is the key that signed; empty for the anonymous principal.
	AccessKeyID string
	// Root is the account's root user, whom no identity policy limits.
	Root bool
	// UserName and UserID are the IAM user's, also of one who uses a session of GetSessionToken; of a federated user
	// they are the user's who made the session. Empty for the others.
	UserName, UserID string
	// RoleARN, with its path, and RoleID are the assumed role's.
	RoleARN, RoleID string
	// Session is nil for long-lived keys.
	Session *Session
}

// Session is what temporary credentials bring along. It must not be changed.
type Session struct {
	// Name is the role session's or the federated user's.
	Name            string
	Issued, Expires time.Time
	// Policy and PolicyARNs limit the session; with both empty a role's session is not limited.
	Policy     string
	PolicyARNs []string
	Tags       map[string]string
	// TransitiveTags are keys of Tags that go along when a role is assumed with this session.
	TransitiveTags []string
	SourceIdentity string
	// MFA is when a device was used; zero for none.
	MFA time.Time
	// Provider is the identity provider behind a federated session: the ARN of a SAML or OIDC provider, or a host name.
	Provider string
	// Claims are the provider's context keys, such as saml:aud or token.actions.githubusercontent.com:sub.
	Claims map[string][]string
	// Chained tells that the role was assumed with another role's session.
	Chained bool
	// Service is the one to which the role was handed, such as ec2.amazonaws.com.
	Service string
}

// Anonymous tells that nobody signed.
func (p Principal) Anonymous() bool { return p.Account == "" }

// Request is what the pipeline knows of a call. Access functions and handlers get it with [FromContext]; it must not be
// changed.
type Request struct {
	// ID is the request id that the client sees.
	ID        string
	Time      time.Time
	Service   *meta.Service
	Operation string
	Protocol  meta.Protocol
	// Region is that of the credential scope, or the server's for unsigned requests.
	Region    string
	Principal Principal
	// SourceIP is the zero Addr where it is not known. That of a call through an Endpoint is a private one.
	SourceIP netip.Addr
	// Endpoint is the VPC endpoint that the call came through; nil for none.
	Endpoint *Endpoint
	// Secure tells that the connection is TLS.
	Secure    bool
	UserAgent string
	// HTTP is nil for calls that did not come over the wire.
	HTTP *http.Request
	// Header are the headers that the input was made of: HTTP's, or the fields of an S3 POST form. Nil without a wire.
	Header http.Header

	// Refusal are headers, in canonical form, that an error of this call has besides. Access functions may set them.
	Refusal http.Header
	// Status is that of a success, where it depends on what was found; zero for the operation's own.
	Status int

	trailer   func() http.Header
	decisions []Explained
}

// Trailer has the verified trailer of a streamed body, once it was read to its end; nil if there is none.
func (r *Request) Trailer() http.Header {
	if r.trailer == nil {
		return nil
	}
	return r.trailer()
}

// Endpoint is a VPC endpoint through which a call came.
type Endpoint struct {
	// Account is that of the VPC.
	ID, VPC, Account string
	// Policy is the endpoint's document, which must allow the call.
	Policy string
	// Source is the private address that the call came from.
	Source netip.Addr
}

// Endpoints knows the ways from VPCs to the API.
type Endpoints interface {
	// Through answers the VPC endpoint that the request came through, nil for one that came another way. A *[Denied] tells
	// that there is no way to the service from where the request came. The request has a service and a region.
	Through(ctx context.Context, r *Request) (*Endpoint, error)
}

type requestKey struct{}

// FromContext answers the request that a handler works for. It panics outside of one: that is a mistake of the program.
func FromContext(ctx context.Context) *Request { return ctx.Value(requestKey{}).(*Request) }

// InContext answers a context in which [FromContext] answers the request.
func InContext(ctx context.Context, r *Request) context.Context {
	return context.WithValue(ctx, requestKey{}, r)
}

// What an [Identities] answers when a key is not to be used.
var (
	ErrUnknownAccessKey = errors.New("unknown or inactive access key")
	ErrInvalidToken     = errors.New("the session token does not belong to the access key")
	ErrExpiredToken     = errors.New("the session has ended")
)

// Identities finds who an access key belongs to.
type Identities interface {
	// Find answers the secret of the key and its owner. The session token is empty for long-lived keys.
	// Errors: ErrUnknownAccessKey, ErrInvalidToken, ErrExpiredToken; any other is an internal failure.
	Find(ctx context.Context, accessKeyID, sessionToken string) (secret string, owner Principal, err error)
}

// Authorizer decides whether a call is allowed.
type Authorizer interface {
	// Authorize answers nil, a *[Denied], or an internal failure.
	Authorize(ctx context.Context, r *Request, wanted []Access) error
}

// Denied is a refusal. The pipeline gives it the code of the service's family.
type Denied struct {
	// Message is AWS's text: who may not do what, and why.
	Message string
}

func (d *Denied) Error() string { return d.Message }
