package iam

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"io"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"miniaws/awsapi"
)

// session is everything about temporary credentials. It is sealed in the session token that the client keeps, and
// nowhere else: making one writes nothing, and it outlives a restart.
type session struct {
	AccessKeyID, Secret string
	Account             string
	Type                awsapi.PrincipalType
	// Owner is the id of the role, or of the user who made the session; "" for the root user.
	Owner string `json:",omitempty"`
	// Key is the long-lived key with which a user made the session: it ends with the key.
	Key string `json:",omitempty"`
	// Begun is Issued, which is in whole seconds, as exactly as the clock knows it: a revocation ends what began before.
	Begun time.Time
	awsapi.Session
}

// sealSession answers the credentials of a session whose keys it makes.
func (s *Service) sealSession(made session) (*types.Credentials, error) {
	made.AccessKeyID, made.Secret = newAccessKeyID("ASIA"), newSecret()
	plain, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return &types.Credentials{
		AccessKeyId:     aws.String(made.AccessKeyID),
		SecretAccessKey: aws.String(made.Secret),
		SessionToken:    aws.String(base64.StdEncoding.EncodeToString(s.tokens.Seal(packed.Bytes(), made.AccessKeyID))),
		Expiration:      aws.Time(made.Expires),
	}, nil
}

// maxSession bounds what a token may hold, unpacked.
const maxSession = 64 << 10

// openSession answers the session in a token, or ErrInvalidToken.
func (s *Service) openSession(accessKeyID, token string) (*session, error) {
	box, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, awsapi.ErrInvalidToken
	}
	packed, err := s.tokens.Open(box, accessKeyID)
	if err != nil {
		return nil, awsapi.ErrInvalidToken
	}
	plain, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), maxSession))
	if err != nil {
		return nil, awsapi.ErrInvalidToken
	}
	opened := &session{}
	if err := json.Unmarshal(plain, opened); err != nil || opened.AccessKeyID != accessKeyID {
		return nil, awsapi.ErrInvalidToken
	}
	return opened, nil
}

// lasting sets when a session begins and ends.
func (made *session) lasting(now time.Time, seconds int32) {
	made.Begun = now.UTC()
	made.Issued = made.Begun.Truncate(time.Second)
	made.Expires = made.Issued.Add(time.Duration(seconds) * time.Second)
}
