package ec2

import (
	"encoding/hex"
	"encoding/json"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"miniaws/backend/sha"
	"miniaws/backend/store"
)

// clientToken remembers what a call with a ClientToken made.
type clientToken struct {
	Operation, Token string
	// Digest is of the parameters, Result the id (or whatever the operation needs to answer again).
	Digest, Result string
	At             time.Time
}

var clientTokens = store.NewTable(store.Spec[clientToken]{
	Service: "ec2",
	Name:    "client-tokens",
	ID:      func(c *clientToken) store.ID { return store.ID{c.Operation, c.Token} },
})

// tokenLifetime is how long a token is remembered.
// AWS: "Ensuring idempotency in Amazon EC2 API requests": at least 24 hours.
const tokenLifetime = 24 * time.Hour

// once makes something at most once for a client token: make answers what to remember, usually an id, and a repeated
// call gets it back. in is the operation's input. Without a token it just makes.
// AWS: "Ensuring idempotency in Amazon EC2 API requests".
func once(t tx, operation string, token *string, in any, makeIt func() (string, error)) (result string, err error) {
	if aws.ToString(token) == "" {
		return makeIt()
	}
	if len(*token) > 64 {
		return "", errInvalidClientToken()
	}
	digest, err := digestOf(in)
	if err != nil {
		return "", err
	}
	rows := clientTokens.In(t, t.scope)
	known, err := rows.Find(operation, *token)
	if err != nil {
		return "", err
	}
	if known != nil && t.Now().Sub(known.At) < tokenLifetime {
		if known.Digest != digest {
			return "", errIdempotentParameterMismatch()
		}
		return known.Result, nil
	}
	if result, err = makeIt(); err != nil {
		return "", err
	}
	return result, rows.Put(&clientToken{Operation: operation, Token: *token, Digest: digest, Result: result, At: t.Now()})
}

// makeOnce is once for what makes a record of this kind: it answers the record as it is now.
func (k *kind[T]) makeOnce(t tx, operation string, token *string, in any, makeIt func() (string, error)) (*T, error) {
	id, err := once(t, operation, token, in, makeIt)
	if err != nil {
		return nil, err
	}
	return k.get(t, id)
}

func digestOf(in any) (string, error) {
	text, err := json.Marshal(in)
	if err != nil {
		return "", err
	}
	sum := sha.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
