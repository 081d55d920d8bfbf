package iam

import (
	"context"
	"crypto/tls"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// serverCertificate is what a load balancer may serve TLS with.
type serverCertificate struct {
	identity
	Body  document
	Chain document `json:",omitempty"`
	// Key is the private key in PEM, sealed for this record's id. Nobody is ever answered it.
	Key     []byte
	Expires time.Time
}

var certificateTable = store.NewTable(store.Spec[serverCertificate]{
	Service: "iam",
	Name:    "server-certificates",
	ID:      func(c *serverCertificate) store.ID { return c.rowID() },
})

var certificates = &kind[serverCertificate]{table: certificateTable, word: "server-certificate", of: func(c *serverCertificate) *identity { return &c.identity }}

// AWS: "IAM and STS quotas".
const maxServerCertificates = 20

func certificateRows(tx store.Tx, account string) store.Rows[serverCertificate] {
	return certificateTable.In(tx, store.Scope{Account: account})
}

func getCertificate(tx store.Tx, account, name string) (*serverCertificate, error) {
	c, err := certificateRows(tx, account).Find(folded(name))
	if err == nil && c == nil {
		err = errNotFound("Server Certificate", name)
	}
	return c, err
}

// UploadServerCertificate keeps a certificate with its private key.
func (s *Service) UploadServerCertificate(ctx context.Context, in *iam.UploadServerCertificateInput) (*iam.UploadServerCertificateOutput, error) {
	out := &iam.UploadServerCertificateOutput{}
	parsed, err := parseCertificate(aws.ToString(in.CertificateBody))
	if err != nil {
		return nil, err
	}
	if in.CertificateChain != nil {
		if _, err := parseCertificate(*in.CertificateChain); err != nil {
			return nil, awsapi.Errorf("MalformedCertificate", "Unable to validate certificate chain. The certificate chain must start with the immediate signing certificate, followed by any intermediaries in order.")
		}
	}
	if _, err := tls.X509KeyPair([]byte(*in.CertificateBody), []byte(aws.ToString(in.PrivateKey))); err != nil {
		if strings.Contains(err.Error(), "does not match") {
			return nil, awsapi.Errorf("KeyPairMismatch", "The public key certificate and the private key do not match.")
		}
		return nil, awsapi.Errorf("MalformedCertificate", "Unable to parse private key. Please ensure the private key is in PEM format.")
	}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		base, err := newIdentity(tx, account, prefixServerCert, "serverCertificateName", in.ServerCertificateName, in.Path, nil, in.Tags)
		if err != nil {
			return err
		}
		rows := certificateRows(tx, account)
		all, _, err := rows.List(store.Query{})
		if err != nil {
			return err
		}
		for _, c := range all {
			if folded(c.Name) == folded(base.Name) {
				return errEntityAlreadyExists("The Server Certificate with name %s already exists.", base.Name)
			}
		}
		if len(all) >= maxServerCertificates {
			return errQuota("ServerCertificatesPerAccount", maxServerCertificates)
		}
		c := &serverCertificate{identity: base, Body: trimmed(*in.CertificateBody), Chain: trimmed(aws.ToString(in.CertificateChain)), Expires: parsed.NotAfter.UTC()}
		c.Key = s.secrets.Seal([]byte(*in.PrivateKey), c.ID)
		out.ServerCertificateMetadata, out.Tags = c.toAPI(account), c.Tags.toAPI()
		return rows.Put(c)
	})
}

// trimmed is PEM as it is answered: without white space around it.
// AWS: the acceptance tests of Terraform's provider compare it with the text that they uploaded, trimmed.
func trimmed(pem string) document { return document(strings.TrimSpace(pem)) }

// GetServerCertificate answers a certificate without its private key.
func (s *Service) GetServerCertificate(ctx context.Context, in *iam.GetServerCertificateInput) (*iam.GetServerCertificateOutput, error) {
	out := &iam.GetServerCertificateOutput{}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		c, err := getCertificate(tx, account, aws.ToString(in.ServerCertificateName))
		if err != nil {
			return err
		}
		out.ServerCertificate = &types.ServerCertificate{ServerCertificateMetadata: c.toAPI(account), CertificateBody: aws.String(string(c.Body)), Tags: c.Tags.toAPI()}
		if c.Chain != "" {
			out.ServerCertificate.CertificateChain = aws.String(string(c.Chain))
		}
		return nil
	})
}

// ListServerCertificates answers certificates by path.
func (s *Service) ListServerCertificates(ctx context.Context, in *iam.ListServerCertificatesInput) (*iam.ListServerCertificatesOutput, error) {
	out := &iam.ListServerCertificatesOutput{ServerCertificateMetadataList: []types.ServerCertificateMetadata{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		p, err := listIdentities(tx, account, certificates, in.PathPrefix, in.Marker, in.MaxItems)
		for _, c := range p.list {
			out.ServerCertificateMetadataList = append(out.ServerCertificateMetadataList, *c.toAPI(account))
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
}

// UpdateServerCertificate changes name or path.
func (s *Service) UpdateServerCertificate(ctx context.Context, in *iam.UpdateServerCertificateInput) (*iam.UpdateServerCertificateOutput, error) {
	return &iam.UpdateServerCertificateOutput{}, namedCertificates.alter(ctx, s, in.ServerCertificateName, func(tx store.Tx, account string, c *serverCertificate) (err error) {
		rows := certificateRows(tx, account)
		if in.NewPath != nil {
			if c.Path, err = pathOr(in.NewPath); err != nil {
				return err
			}
		}
		if in.NewServerCertificateName == nil {
			return nil
		}
		if err := checkName("newServerCertificateName", *in.NewServerCertificateName); err != nil {
			return err
		}
		if folded(*in.NewServerCertificateName) != folded(c.Name) {
			if other, err := rows.Find(folded(*in.NewServerCertificateName)); err != nil {
				return err
			} else if other != nil {
				return errEntityAlreadyExists("The Server Certificate with name %s already exists.", *in.NewServerCertificateName)
			}
			if err := rows.Delete(folded(c.Name)); err != nil {
				return err
			}
		}
		c.Name = *in.NewServerCertificateName
		return nil
	})
}

// DeleteServerCertificate removes a certificate.
func (s *Service) DeleteServerCertificate(ctx context.Context, in *iam.DeleteServerCertificateInput) (*iam.DeleteServerCertificateOutput, error) {
	return &iam.DeleteServerCertificateOutput{}, s.update(ctx, func(tx store.Tx, account string) error {
		c, err := getCertificate(tx, account, aws.ToString(in.ServerCertificateName))
		if err != nil {
			return err
		}
		return certificateRows(tx, account).Delete(folded(c.Name))
	})
}

// TagServerCertificate adds or replaces tags.
func (s *Service) TagServerCertificate(ctx context.Context, in *iam.TagServerCertificateInput) (*iam.TagServerCertificateOutput, error) {
	return &iam.TagServerCertificateOutput{}, namedCertificates.tag(ctx, s, in.ServerCertificateName, in.Tags)
}

// UntagServerCertificate removes tags; absent ones are no error.
func (s *Service) UntagServerCertificate(ctx context.Context, in *iam.UntagServerCertificateInput) (*iam.UntagServerCertificateOutput, error) {
	return &iam.UntagServerCertificateOutput{}, namedCertificates.untag(ctx, s, in.ServerCertificateName, in.TagKeys)
}

// ListServerCertificateTags answers a certificate's tags.
func (s *Service) ListServerCertificateTags(ctx context.Context, in *iam.ListServerCertificateTagsInput) (*iam.ListServerCertificateTagsOutput, error) {
	p, err := namedCertificates.listTags(ctx, s, in.ServerCertificateName, in.Marker, in.MaxItems)
	return &iam.ListServerCertificateTagsOutput{Tags: p.list, IsTruncated: p.truncated(), Marker: p.marker}, err
}

// KeyPair is a certificate as a load balancer serves it, all in PEM.
type KeyPair struct{ Certificate, Chain, PrivateKey string }

// ServerCertificate answers a certificate with its private key, by its ARN; ok is false where there is none.
func (s *Service) ServerCertificate(ctx context.Context, certificateARN string) (pair KeyPair, ok bool, err error) {
	account, word, rest, isARN := arnParts(certificateARN)
	if !isARN || word != certificates.word || account == "" {
		return KeyPair{}, false, nil
	}
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		c, err := certificateRows(tx, account).Find(folded(lastName(rest)))
		if err != nil || c == nil || certificates.arn(account, c) != certificateARN {
			return err
		}
		key, err := s.secrets.Open(c.Key, c.ID)
		pair, ok = KeyPair{string(c.Body), string(c.Chain), string(key)}, err == nil
		return err
	})
	return pair, ok, err
}

func (c *serverCertificate) toAPI(account string) *types.ServerCertificateMetadata {
	return &types.ServerCertificateMetadata{
		Arn: aws.String(certificates.arn(account, c)), Path: aws.String(c.Path), ServerCertificateId: aws.String(c.ID),
		ServerCertificateName: aws.String(c.Name), Expiration: aws.Time(c.Expires), UploadDate: aws.Time(c.Created),
	}
}
