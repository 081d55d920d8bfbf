package awsapi

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"time"

	"miniaws/awsapi/meta"
)

// Principal is who calls.
type Principal struct {
	// Account is the twelve digits of the caller's account; empty for the anonymous principal.
	Account string
	// ARN and ID are what GetCallerIdentity answers.
	ARN, ID string
	// AccessKeyID is the key that signed; empty for the anonymous principal.
	AccessKeyID string
	// Root is the account's root user, whom no identity policy limits.
	Root bool
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
	// SourceIP is the zero Addr where it is not known.
	SourceIP netip.Addr
	// Secure tells that the connection is TLS.
	Secure    bool
	UserAgent string
	// HTTP is nil for calls that did not come over the wire.
	HTTP *http.Request
	// Header are the headers that the input was made of: HTTP's, or the fields of an S3 POST form. Nil without a wire.
	Header http.Header

	trailer func() http.Header
}

// Trailer has the verified trailer of a streamed body, once it was read to its end; nil if there is none.
func (r *Request) Trailer() http.Header {
	if r.trailer == nil {
		return nil
	}
	return r.trailer()
}

type requestKey struct{}

// FromContext answers the request that a handler works for. It panics outside of one: that is a mistake of the program.
func FromContext(ctx context.Context) *Request { return ctx.Value(requestKey{}).(*Request) }

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
