package cloudtrail

import (
	"context"
	"crypto"
	"crypto/md5" //nolint:gosec // the fingerprint of a key, as CloudTrail makes it
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail"
	"github.com/aws/aws-sdk-go-v2/service/cloudtrail/types"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// digest lists the log files of an hour, and leads to the digest before it.
// AWS: "CloudTrail digest file structure".
type digest struct {
	AWSAccountID               string       `json:"awsAccountId"`
	DigestStartTime            string       `json:"digestStartTime"`
	DigestEndTime              string       `json:"digestEndTime"`
	DigestS3Bucket             string       `json:"digestS3Bucket"`
	DigestS3Object             string       `json:"digestS3Object"`
	NewestEventTime            *string      `json:"newestEventTime"`
	OldestEventTime            *string      `json:"oldestEventTime"`
	PreviousDigestS3Bucket     *string      `json:"previousDigestS3Bucket"`
	PreviousDigestS3Object     *string      `json:"previousDigestS3Object"`
	PreviousDigestHashValue    *string      `json:"previousDigestHashValue"`
	PreviousDigestHashAlg      *string      `json:"previousDigestHashAlgorithm"`
	PreviousDigestSignature    *string      `json:"previousDigestSignature"`
	DigestPublicKeyFingerprint string       `json:"digestPublicKeyFingerprint"`
	DigestSignatureAlgorithm   string       `json:"digestSignatureAlgorithm"`
	LogFiles                   []digestFile `json:"logFiles"`
}

type digestFile struct {
	S3Bucket        string `json:"s3Bucket"`
	S3Object        string `json:"s3Object"`
	HashValue       string `json:"hashValue"`
	HashAlgorithm   string `json:"hashAlgorithm"`
	NewestEventTime string `json:"newestEventTime"`
	OldestEventTime string `json:"oldestEventTime"`
}

const signatureAlgorithm = "SHA256withRSA"

// maxDigestFiles bounds a digest; the rest comes with the next one.
const maxDigestFiles = 1000

// deliverDigest signs the list of the files since the last digest, and answers them.
func (s *Service) deliverDigest(ctx context.Context, p place, t *trail, done *progress, now time.Time) ([]*file, error) {
	key, err := s.signingKey(ctx, p.Region)
	if err != nil {
		return nil, err
	}
	var listed []*file
	err = s.config.DB.View(ctx, func(tx store.Tx) error {
		listed, _, err = files.In(tx, store.Scope{Account: p.Account}).List(store.Query{Parts: store.ID{t.HomeRegion, t.Name, p.Region}, Limit: maxDigestFiles})
		return err
	})
	if err != nil {
		return nil, err
	}
	end := now.Truncate(time.Second)
	d := digest{
		AWSAccountID: p.Account, DigestStartTime: done.Digested.Format(stampFormat), DigestEndTime: end.Format(stampFormat),
		DigestS3Bucket: t.Bucket,
		DigestS3Object: fmt.Sprintf("%s%s/%s/%s_CloudTrail-Digest_%s_%s_%s_%s.json.gz", t.folder(p.Account, "CloudTrail-Digest"), p.Region,
			end.Format("2006/01/02"), p.Account, p.Region, t.Name, t.HomeRegion, end.Format("20060102T150405Z")),
		DigestPublicKeyFingerprint: key.Fingerprint, DigestSignatureAlgorithm: signatureAlgorithm, LogFiles: []digestFile{},
	}
	if done.Digest != "" {
		d.PreviousDigestS3Bucket, d.PreviousDigestS3Object = aws.String(done.DigestIn), aws.String(done.Digest)
		d.PreviousDigestHashValue, d.PreviousDigestHashAlg = aws.String(done.DigestHash), aws.String("SHA-256")
		d.PreviousDigestSignature = aws.String(done.Signature)
	}
	var newest, oldest time.Time
	for _, f := range listed {
		d.LogFiles = append(d.LogFiles, digestFile{
			S3Bucket: f.Bucket, S3Object: f.Key, HashValue: f.Hash, HashAlgorithm: "SHA-256",
			NewestEventTime: f.Newest.Format(stampFormat), OldestEventTime: f.Oldest.Format(stampFormat),
		})
		newest, oldest = later(newest, f.Newest), earlier(f.Oldest, oldest)
		if oldest.IsZero() {
			oldest = f.Oldest
		}
	}
	if len(listed) > 0 {
		d.NewestEventTime, d.OldestEventTime = aws.String(newest.Format(stampFormat)), aws.String(oldest.Format(stampFormat))
	}
	content := encoded(d)
	signature, err := s.sign(key, d, content)
	if err != nil {
		return nil, err
	}
	body, err := gzipped(content)
	if err != nil {
		return nil, err
	}
	err = s.config.Buckets.PutLog(ctx, Log{
		Account: p.Account, Region: p.Region, Source: t.arn(p.Account), Bucket: d.DigestS3Bucket, Key: d.DigestS3Object, ContentType: "application/json", Body: body,
		Metadata: map[string]string{"signature": signature, "signature-algorithm": signatureAlgorithm},
	})
	if err != nil {
		return nil, err
	}
	done.Digested, done.Digest, done.DigestIn, done.DigestHash = end, d.DigestS3Object, d.DigestS3Bucket, hexDigest(content)
	done.Signature, done.DigestFailure = signature, ""
	return listed, nil
}

// sign answers the signature in hexadecimal digits.
// AWS: "Custom implementations of CloudTrail log file integrity validation": the string to sign.
func (s *Service) sign(key *signingKey, d digest, content []byte) (string, error) {
	der, err := s.config.Key.Sealer("cloudtrail/signing-keys").Open(key.Sealed, key.Fingerprint)
	if err != nil {
		return "", err
	}
	private, err := x509.ParsePKCS1PrivateKey(der)
	if err != nil {
		return "", err
	}
	previous := "null"
	if d.PreviousDigestSignature != nil {
		previous = *d.PreviousDigestSignature
	}
	sum := sha256.Sum256([]byte(d.DigestEndTime + "\n" + d.DigestS3Bucket + "/" + d.DigestS3Object + "\n" + hexDigest(content) + "\n" + previous))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	return hex.EncodeToString(signature), err
}

// signingKey signs the digests of one region.
type signingKey struct {
	Region, Fingerprint string
	Created             time.Time
	// Public is in PKCS #1 form; Sealed is the private key likewise.
	Public, Sealed []byte
}

// signingKeys are global. A region has one key: it is made when it is first needed, and not replaced.
var signingKeys = store.NewTable(store.Spec[signingKey]{
	Service: "cloudtrail", Name: "keys",
	ID: func(k *signingKey) store.ID { return store.ID{k.Region} },
})

const signingBits = 2048

// keyValidity is what the period of a key is said to be.
const keyValidity = 10 * 365 * 24 * time.Hour

func (s *Service) signingKey(ctx context.Context, region string) (*signingKey, error) {
	var key *signingKey
	find := func(tx store.Tx) (err error) {
		key, err = signingKeys.In(tx, store.Scope{}).Find(region)
		return err
	}
	if err := s.config.DB.View(ctx, find); err != nil || key != nil {
		return key, err
	}
	private, err := rsa.GenerateKey(rand.Reader, signingBits)
	if err != nil {
		return nil, err
	}
	public := x509.MarshalPKCS1PublicKey(&private.PublicKey)
	fingerprint := md5.Sum(public) //nolint:gosec // see above
	made := &signingKey{Region: region, Fingerprint: hex.EncodeToString(fingerprint[:]), Public: public}
	made.Sealed = s.config.Key.Sealer("cloudtrail/signing-keys").Seal(x509.MarshalPKCS1PrivateKey(private), made.Fingerprint)
	err = s.config.DB.Update(ctx, func(tx store.Tx) error {
		if err := find(tx); err != nil || key != nil {
			return err
		}
		made.Created = tx.Now().UTC().Truncate(time.Second)
		key = made
		return signingKeys.In(tx, store.Scope{}).Put(made)
	})
	return key, err
}

// ListPublicKeys answers the keys that verify the region's digests of a time.
func (s *Service) ListPublicKeys(ctx context.Context, in *cloudtrail.ListPublicKeysInput) (*cloudtrail.ListPublicKeysOutput, error) {
	out := &cloudtrail.ListPublicKeysOutput{PublicKeyList: []types.PublicKey{}}
	if in.NextToken != nil {
		return nil, awsapi.Errorf("InvalidTokenException", "Invalid token.")
	}
	if in.StartTime != nil && in.EndTime != nil && in.EndTime.Before(*in.StartTime) {
		return nil, errInvalidTimeRange()
	}
	err := s.config.DB.View(ctx, func(tx store.Tx) error {
		out.PublicKeyList = out.PublicKeyList[:0]
		key, err := signingKeys.In(tx, store.Scope{}).Find(awsapi.FromContext(ctx).Region)
		if err != nil || key == nil || in.EndTime != nil && in.EndTime.Before(key.Created) {
			return err
		}
		out.PublicKeyList = append(out.PublicKeyList, types.PublicKey{
			Fingerprint: aws.String(key.Fingerprint), Value: key.Public,
			ValidityStartTime: aws.Time(key.Created), ValidityEndTime: aws.Time(key.Created.Add(keyValidity)),
		})
		return nil
	})
	return out, err
}
