package iam

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/iam"
	"github.com/aws/aws-sdk-go-v2/service/iam/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// signingCertificate is a user's X.509 certificate. Nothing here takes what is signed with it: SOAP is gone from AWS too.
type signingCertificate struct {
	User, ID string
	Body     document
	Uploaded time.Time
	Inactive bool `json:",omitempty"`
}

var signingTable = store.NewTable(store.Spec[signingCertificate]{
	Service: "iam",
	Name:    "signing-certificates",
	ID:      func(c *signingCertificate) store.ID { return store.ID{c.User, c.ID} },
})

// AWS: "IAM and STS quotas".
const maxSigningCertificates = 2

func signingRows(tx store.Tx, account string) store.Rows[signingCertificate] {
	return signingTable.In(tx, store.Scope{Account: account})
}

func errMalformedCertificate() error {
	return awsapi.Errorf("MalformedCertificate", "Unable to parse certificate. Please ensure the certificate is in PEM format.")
}

// parseCertificate reads one certificate in PEM.
func parseCertificate(text string) (*x509.Certificate, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, errMalformedCertificate()
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, errMalformedCertificate()
	}
	return certificate, nil
}

// UploadSigningCertificate gives a user a certificate.
func (s *Service) UploadSigningCertificate(ctx context.Context, in *iam.UploadSigningCertificateInput) (*iam.UploadSigningCertificateOutput, error) {
	out := &iam.UploadSigningCertificateOutput{}
	return out, s.update(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil {
			return err
		}
		certificate, err := parseCertificate(aws.ToString(in.CertificateBody))
		if err != nil {
			return err
		}
		if now := tx.Now(); now.Before(certificate.NotBefore) || now.After(certificate.NotAfter) {
			return awsapi.Errorf("InvalidCertificate", "The certificate is not valid at this time.")
		}
		if owner == "" {
			return awsapi.NotImplemented(awsapi.FromContext(ctx).Service, "UploadSigningCertificate for the root user")
		}
		held, err := userRecords(signingRows(tx, account), owner)
		if err != nil {
			return err
		}
		for _, c := range held {
			if string(c.Body) == *in.CertificateBody {
				return awsapi.Errorf("DuplicateCertificate", "The certificate is already associated with the user.")
			}
		}
		if len(held) >= maxSigningCertificates {
			return errQuota("SigningCertificatesPerUser", maxSigningCertificates)
		}
		c := &signingCertificate{User: owner, ID: randomBase32(32), Body: document(*in.CertificateBody), Uploaded: tx.Now().UTC().Truncate(time.Second)}
		out.Certificate = c.toAPI(name)
		return signingRows(tx, account).Put(c)
	})
}

// ListSigningCertificates answers a user's certificates.
func (s *Service) ListSigningCertificates(ctx context.Context, in *iam.ListSigningCertificatesInput) (*iam.ListSigningCertificatesOutput, error) {
	out := &iam.ListSigningCertificatesOutput{Certificates: []types.SigningCertificate{}}
	return out, s.view(ctx, func(tx store.Tx, account string) error {
		owner, name, err := keyOwner(ctx, tx, account, in.UserName)
		if err != nil || owner == "" {
			return err
		}
		list, err := userRecords(signingRows(tx, account), owner)
		if err != nil {
			return err
		}
		p, err := pageOfList(list, func(c *signingCertificate) string { return c.ID }, in.Marker, in.MaxItems)
		for _, c := range p.list {
			out.Certificates = append(out.Certificates, *c.toAPI(name))
		}
		out.IsTruncated, out.Marker = p.truncated(), p.marker
		return err
	})
}

func errNoCertificate(id string) error {
	return errNoSuchEntity("The Certificate with id %s cannot be found.", id)
}

// UpdateSigningCertificate makes a certificate active or inactive.
func (s *Service) UpdateSigningCertificate(ctx context.Context, in *iam.UpdateSigningCertificateInput) (*iam.UpdateSigningCertificateOutput, error) {
	return &iam.UpdateSigningCertificateOutput{}, alterOwned(ctx, s, signingTable, in.UserName, in.CertificateId, errNoCertificate, func(rows store.Rows[signingCertificate], _ string, c *signingCertificate) error {
		c.Inactive = in.Status != types.StatusTypeActive
		return rows.Put(c)
	})
}

// DeleteSigningCertificate removes a certificate.
func (s *Service) DeleteSigningCertificate(ctx context.Context, in *iam.DeleteSigningCertificateInput) (*iam.DeleteSigningCertificateOutput, error) {
	return &iam.DeleteSigningCertificateOutput{}, alterOwned(ctx, s, signingTable, in.UserName, in.CertificateId, errNoCertificate, func(rows store.Rows[signingCertificate], _ string, c *signingCertificate) error {
		return rows.Delete(c.User, c.ID)
	})
}

func (c *signingCertificate) toAPI(userName string) *types.SigningCertificate {
	return &types.SigningCertificate{
		CertificateId: aws.String(c.ID), CertificateBody: aws.String(string(c.Body)), Status: statusOf(c.Inactive),
		UploadDate: aws.Time(c.Uploaded), UserName: aws.String(userName),
	}
}
