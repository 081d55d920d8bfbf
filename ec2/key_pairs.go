package ec2

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"golang.org/x/crypto/ssh"
)

// keyPair is the public half; the private one is shown once, when it is made here, and kept nowhere.
type keyPair struct {
	resource
	Name string
	Type types.KeyType
	// PublicKey is a line of an authorized_keys file without a comment.
	PublicKey   string
	Fingerprint string
	Created     time.Time
}

var keyPairs = &kind[keyPair]{
	prefix: "key-", typ: types.ResourceTypeKeyPair,
	table: tableOf("key-pairs", func(k *keyPair) *resource { return &k.resource }, map[string]func(*keyPair) []string{
		"name": func(k *keyPair) []string { return []string{k.Name} },
	}),
	base:     func(k *keyPair) *resource { return &k.resource },
	notFound: errKeyPairIDNotFound,
	filters: filters[keyPair]{
		"key-pair-id": func(_ tx, k *keyPair) []string { return []string{k.ID} },
		"key-name":    func(_ tx, k *keyPair) []string { return []string{k.Name} },
		"fingerprint": func(_ tx, k *keyPair) []string { return []string{k.Fingerprint} },
	},
	narrow: map[string]string{"key-name": "name"},
}

// CreateKeyPair makes a key pair and answers its private key, this once.
func (s *Service) CreateKeyPair(ctx context.Context, in *ec2.CreateKeyPairInput) (*ec2.CreateKeyPairOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeKeyPair)
	if err != nil {
		return nil, err
	}
	made, err := generateKey(*in.KeyName, in.KeyType)
	if err != nil {
		return nil, err
	}
	made.Tags = tags
	material := made.pem
	if in.KeyFormat == types.KeyFormatPpk {
		material = made.ppk()
	}
	rec, err := s.insertKeyPair(ctx, made.keyPair)
	if err != nil {
		return nil, err
	}
	return &ec2.CreateKeyPairOutput{
		KeyName: aws.String(rec.Name), KeyPairId: aws.String(rec.ID), KeyFingerprint: aws.String(rec.Fingerprint),
		KeyMaterial: aws.String(material), Tags: tagsToAPI(tx{}, rec.Tags),
	}, nil
}

func (s *Service) insertKeyPair(ctx context.Context, wanted keyPair) (*keyPair, error) {
	// AWS: "CreateKeyPair", KeyName: up to 255 ASCII characters.
	if wanted.Name == "" || len(wanted.Name) > 255 || strings.ContainsFunc(wanted.Name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return nil, errInvalidParameterValue("Value (%s) for parameter KeyName is invalid. The key name must be 1 to 255 ASCII characters.", wanted.Name)
	}
	rec := new(keyPair)
	err := s.update(ctx, func(t tx) error {
		*rec = wanted
		if taken, err := keyPairs.any(t, "name", wanted.Name); taken || err != nil {
			return orElse(err, errKeyPairDuplicate(wanted.Name))
		}
		rec.ID, rec.Created = t.NewID("key-"), t.Now()
		return keyPairs.insert(t, rec)
	})
	return rec, err
}

// orElse is the error that happened, or else the one that follows from what was found.
func orElse(err, otherwise error) error {
	if err != nil {
		return err
	}
	return otherwise
}

// ImportKeyPair takes the public half of a key pair that was made elsewhere.
func (s *Service) ImportKeyPair(ctx context.Context, in *ec2.ImportKeyPairInput) (*ec2.ImportKeyPairOutput, error) {
	tags, err := tagsOnCreate(in.TagSpecifications, types.ResourceTypeKeyPair)
	if err != nil {
		return nil, err
	}
	imported, err := parsePublicKey(in.PublicKeyMaterial)
	if err != nil {
		return nil, err
	}
	imported.Name, imported.Tags = *in.KeyName, tags
	rec, err := s.insertKeyPair(ctx, *imported)
	if err != nil {
		return nil, err
	}
	return &ec2.ImportKeyPairOutput{
		KeyName: aws.String(rec.Name), KeyPairId: aws.String(rec.ID), KeyFingerprint: aws.String(rec.Fingerprint), Tags: tagsToAPI(tx{}, rec.Tags),
	}, nil
}

// keyPairNamed answers nil where there is none.
func keyPairNamed(t tx, name string) (*keyPair, error) {
	return keyPairs.in(t).Index("name").Find(name)
}

// DescribeKeyPairs lists key pairs. A name or id that does not exist is an error.
func (s *Service) DescribeKeyPairs(ctx context.Context, in *ec2.DescribeKeyPairsInput) (*ec2.DescribeKeyPairsOutput, error) {
	out := &ec2.DescribeKeyPairsOutput{}
	err := s.view(ctx, func(t tx) error {
		out.KeyPairs = []types.KeyPairInfo{}
		q := query{ids: in.KeyPairIds, filters: in.Filters}
		for _, name := range in.KeyNames {
			rec, err := keyPairNamed(t, name)
			if err != nil {
				return err
			}
			if rec == nil {
				return errKeyPairNotFound(name)
			}
			q.ids = append(q.ids, rec.ID)
		}
		list, _, err := keyPairs.list(t, q)
		for _, k := range list {
			info := types.KeyPairInfo{
				KeyName: aws.String(k.Name), KeyPairId: aws.String(k.ID), KeyFingerprint: aws.String(k.Fingerprint),
				KeyType: k.Type, CreateTime: aws.Time(k.Created), Tags: tagsToAPI(tx{}, k.Tags),
			}
			if aws.ToBool(in.IncludePublicKey) {
				info.PublicKey = aws.String(k.PublicKey + " " + k.Name)
			}
			out.KeyPairs = append(out.KeyPairs, info)
		}
		return err
	})
	return out, err
}

// DeleteKeyPair removes the public half; instances keep it. A name that does not exist is no error, an id is.
func (s *Service) DeleteKeyPair(ctx context.Context, in *ec2.DeleteKeyPairInput) (*ec2.DeleteKeyPairOutput, error) {
	out := &ec2.DeleteKeyPairOutput{Return: aws.Bool(true)}
	if aws.ToString(in.KeyName) == "" && aws.ToString(in.KeyPairId) == "" {
		return nil, errMissingParameter("KeyName or KeyPairId")
	}
	return out, s.update(ctx, func(t tx) error {
		var rec *keyPair
		var err error
		if id := aws.ToString(in.KeyPairId); id != "" {
			rec, err = keyPairs.get(t, id)
		} else {
			rec, err = keyPairNamed(t, *in.KeyName)
		}
		if rec == nil || err != nil {
			return err
		}
		out.KeyPairId = aws.String(rec.ID)
		return keyPairs.delete(t, rec.ID)
	})
}

// privateKey is a key pair that was just made.
type privateKey struct {
	keyPair
	pem     string
	public  ssh.PublicKey
	rsa     *rsa.PrivateKey
	ed25519 ed25519.PrivateKey
}

// generateKey makes a key of 2048 bits, or an ED25519 one.
// AWS: "Verify the fingerprint of your key pair": SHA-1 of the private key's PKCS#8 form for RSA keys made by AWS, the
// SHA-256 that OpenSSH shows for ED25519.
func generateKey(name string, typ types.KeyType) (*privateKey, error) {
	made := &privateKey{keyPair: keyPair{Name: name, Type: types.KeyTypeRsa}}
	switch typ {
	case "", types.KeyTypeRsa:
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, err
		}
		pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			return nil, err
		}
		sum := sha1.Sum(pkcs8)
		made.rsa, made.Fingerprint = key, colons(sum[:])
		made.pem = string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
		if made.public, err = ssh.NewPublicKey(&key.PublicKey); err != nil {
			return nil, err
		}
	case types.KeyTypeEd25519:
		public, private, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			return nil, err
		}
		block, err := ssh.MarshalPrivateKey(private, name)
		if err != nil {
			return nil, err
		}
		made.Type, made.ed25519, made.pem = typ, private, string(pem.EncodeToMemory(block))
		if made.public, err = ssh.NewPublicKey(public); err != nil {
			return nil, err
		}
		made.Fingerprint = sha256Fingerprint(made.public)
	default:
		return nil, errInvalidParameterValue("Value (%s) for parameter KeyType is invalid.", typ)
	}
	made.PublicKey = authorizedKey(made.public)
	return made, nil
}

// colons is the hexadecimal form in which fingerprints of RSA keys are shown.
func colons(sum []byte) string {
	parts := make([]string, len(sum))
	for i, b := range sum {
		parts[i] = hex.EncodeToString([]byte{b})
	}
	return strings.Join(parts, ":")
}

func sha256Fingerprint(key ssh.PublicKey) string {
	sum := sha256.Sum256(key.Marshal())
	return base64.StdEncoding.EncodeToString(sum[:])
}

func authorizedKey(key ssh.PublicKey) string {
	return strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
}

// parsePublicKey reads what ImportKeyPair takes: OpenSSH's one-line form, RFC 4716's, or the base64 of DER. RSA keys of
// 1024, 2048 and 4096 bits and ED25519 keys; the fingerprint of an RSA key is the MD5 of its DER form.
// AWS: "ImportKeyPair", "Create a key pair using a third-party tool".
func parsePublicKey(material []byte) (*keyPair, error) {
	key := readPublicKey(bytes.TrimSpace(material))
	if key == nil {
		return nil, errKeyFormat("Key is not in valid OpenSSH public key format")
	}
	imported := &keyPair{PublicKey: authorizedKey(key)}
	crypto, ok := key.(ssh.CryptoPublicKey)
	if !ok {
		return nil, errKeyFormat("Key is not in valid OpenSSH public key format")
	}
	switch public := crypto.CryptoPublicKey().(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits != 1024 && bits != 2048 && bits != 4096 {
			return nil, errKeyFormat("Invalid Key Size. Supported sizes are 1024, 2048, and 4096.")
		}
		der, err := x509.MarshalPKIXPublicKey(public)
		if err != nil {
			return nil, errKeyFormat("Key is not in valid OpenSSH public key format")
		}
		sum := md5.Sum(der)
		imported.Type, imported.Fingerprint = types.KeyTypeRsa, colons(sum[:])
	case ed25519.PublicKey:
		imported.Type, imported.Fingerprint = types.KeyTypeEd25519, sha256Fingerprint(key)
	default:
		return nil, errKeyFormat("Unsupported key type")
	}
	return imported, nil
}

func readPublicKey(material []byte) ssh.PublicKey {
	if key, _, _, rest, err := ssh.ParseAuthorizedKey(material); err == nil && len(bytes.TrimSpace(rest)) == 0 {
		return key
	}
	text := string(material)
	if body, ok := strings.CutPrefix(text, "---- BEGIN SSH2 PUBLIC KEY ----"); ok {
		body, _, _ = strings.Cut(body, "---- END")
		var encoded strings.Builder
		continued := false
		for _, line := range strings.Split(strings.TrimSpace(body), "\n") {
			line = strings.TrimSpace(line)
			header := continued || strings.Contains(line, ":")
			continued = header && strings.HasSuffix(line, `\`)
			if !header {
				encoded.WriteString(line)
			}
		}
		text = encoded.String()
	}
	der, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil
	}
	if key, err := ssh.ParsePublicKey(der); err == nil {
		return key
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil
	}
	key, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil
	}
	return key
}
