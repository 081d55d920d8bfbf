package ec2

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"sync"
	"time"

	"github.com/smallstep/pkcs7"

	"miniaws/backend/store"
)

// identitySigner is the key with which the installation signs identity documents of its instances.
type identitySigner struct {
	ID string
	// Key is PKCS #8, sealed; Certificate is DER.
	Key, Certificate []byte
}

var identitySigners = store.NewTable(store.Spec[identitySigner]{
	Service: "ec2", Name: "identity-signers", ID: func(r *identitySigner) store.ID { return store.ID{r.ID} },
})

// onlySigner is the row: one key for the whole installation.
const onlySigner = "rsa2048"

// openSigner is the key, ready for use.
type openSigner struct {
	sync.Mutex
	key         *rsa.PrivateKey
	certificate *x509.Certificate
}

// identityKey answers the key and its certificate, made when they are first needed.
func (s *Service) identityKey(ctx context.Context) (*rsa.PrivateKey, *x509.Certificate, error) {
	s.signer.Lock()
	defer s.signer.Unlock()
	if s.signer.key != nil {
		return s.signer.key, s.signer.certificate, nil
	}
	find := func(t store.Tx) (*identitySigner, error) {
		return identitySigners.In(t, store.Scope{}).Find(onlySigner)
	}
	var row *identitySigner
	err := s.config.DB.View(ctx, func(t store.Tx) (err error) {
		row, err = find(t)
		return err
	})
	if err == nil && row == nil {
		var fresh *identitySigner
		if fresh, err = s.makeSigner(); err != nil {
			return nil, nil, err
		}
		err = s.config.DB.Update(ctx, func(t store.Tx) error {
			if row, err = find(t); row != nil || err != nil {
				return err
			}
			row = fresh
			return identitySigners.In(t, store.Scope{}).Insert(fresh)
		})
	}
	if err != nil {
		return nil, nil, err
	}
	plain, err := s.secrets.Open(row.Key, onlySigner)
	if err != nil {
		return nil, nil, err
	}
	parsed, err := x509.ParsePKCS8PrivateKey(plain)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the key of identity documents is no RSA key")
	}
	certificate, err := x509.ParseCertificate(row.Certificate)
	if err != nil {
		return nil, nil, err
	}
	s.signer.key, s.signer.certificate = key, certificate
	return key, certificate, nil
}

func (s *Service) makeSigner() (*identitySigner, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	plain, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "Mini AWS instance identity", Organization: []string{"Mini AWS"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.AddDate(100, 0, 0), KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, err
	}
	return &identitySigner{ID: onlySigner, Key: s.secrets.Seal(plain, onlySigner), Certificate: certificate}, nil
}

// IdentityCertificate is the certificate with which the signatures of identity documents are verified, in PEM. AWS
// prints its own on a page: "Verify the instance identity document".
func (s *Service) IdentityCertificate(ctx context.Context) ([]byte, error) {
	_, certificate, err := s.identityKey(ctx)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw}), nil
}

// identityDocument is dynamic/instance-identity/document. AWS: "Instance identity documents".
type identityDocument struct {
	AccountID               string   `json:"accountId"`
	Architecture            string   `json:"architecture"`
	AvailabilityZone        string   `json:"availabilityZone"`
	BillingProducts         []string `json:"billingProducts"`
	DevpayProductCodes      []string `json:"devpayProductCodes"`
	MarketplaceProductCodes []string `json:"marketplaceProductCodes"`
	ImageID                 string   `json:"imageId"`
	InstanceID              string   `json:"instanceId"`
	InstanceType            string   `json:"instanceType"`
	KernelID                *string  `json:"kernelId"`
	PendingTime             string   `json:"pendingTime"`
	PrivateIP               string   `json:"privateIp"`
	RAMDiskID               *string  `json:"ramdiskId"`
	Region                  string   `json:"region"`
	Version                 string   `json:"version"`
}

// aboutIdentity is the signed document about what the instance is. All three signatures are made with one RSA key of
// 2048 bits and SHA-256; AWS makes pkcs7 with DSA.
func (s *Service) aboutIdentity(ctx context.Context, g *asker) metadataFolder {
	text := document(identityDocument{
		AccountID: g.scope.Account, Architecture: g.inst.Architecture, AvailabilityZone: g.inst.Zone, ImageID: g.inst.ImageID, InstanceID: g.inst.ID,
		InstanceType: string(g.inst.Type), PendingTime: g.inst.Launched.UTC().Format(metadataTime), PrivateIP: g.inst.PrivateIP,
		Region: g.scope.Region, Version: "2017-09-30",
	})
	folder := metadataFolder{"document": text}
	for _, name := range []string{"signature", "pkcs7", "rsa2048"} {
		folder[name] = madeLater(func() (string, error) { return s.signIdentity(ctx, g.inst.ID, text, name) })
	}
	return folder
}

func (s *Service) signIdentity(ctx context.Context, instance, text, how string) (string, error) {
	key, certificate, err := s.identityKey(ctx)
	if err != nil {
		return "", err
	}
	known := s.remembered.of(instance)
	known.mu.Lock()
	defer known.mu.Unlock()
	if known.signed != text {
		known.signed, known.signatures = text, map[string]string{}
	}
	if signature, ok := known.signatures[how]; ok {
		return signature, nil
	}
	var signature []byte
	if how == "signature" {
		sum := sha256.Sum256([]byte(text))
		signature, err = rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	} else {
		signature, err = signedData(text, key, certificate)
	}
	if err != nil {
		return "", err
	}
	known.signatures[how] = inLines(base64.StdEncoding.EncodeToString(signature))
	return known.signatures[how], nil
}

func signedData(text string, key *rsa.PrivateKey, certificate *x509.Certificate) ([]byte, error) {
	signed, err := pkcs7.NewSignedData([]byte(text))
	if err != nil {
		return nil, err
	}
	signed.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
	if err := signed.AddSigner(certificate, key, pkcs7.SignerInfoConfig{}); err != nil {
		return nil, err
	}
	return signed.Finish()
}

// inLines breaks base64 into lines of 64 characters, as PEM has them.
func inLines(text string) string {
	var lines strings.Builder
	for len(text) > 64 {
		lines.WriteString(text[:64] + "\n")
		text = text[64:]
	}
	lines.WriteString(text)
	return lines.String()
}
