package ec2

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"golang.org/x/crypto/ssh"
)

// ppk is the private key as PuTTY keeps it: version 2 of its format, which every PuTTY reads, without a passphrase.
// The format is described in PuTTY's manual, appendix C, "PPK file format".
func (k *privateKey) ppk() string {
	var private []byte
	if k.rsa != nil {
		k.rsa.Precompute()
		private = ssh.Marshal(struct{ D, P, Q, Inverse *big.Int }{k.rsa.D, k.rsa.Primes[0], k.rsa.Primes[1], k.rsa.Precomputed.Qinv})
	} else {
		private = ssh.Marshal(struct{ Seed []byte }{k.ed25519.Seed()})
	}
	public, algorithm := k.public.Marshal(), k.public.Type()
	key := sha1.Sum([]byte("putty-private-key-file-mac-key"))
	mac := hmac.New(sha1.New, key[:])
	mac.Write(ssh.Marshal(struct {
		Algorithm, Encryption, Comment string
		Public, Private                []byte
	}{algorithm, "none", k.Name, public, private}))
	var out strings.Builder
	_, _ = fmt.Fprintf(&out, "PuTTY-User-Key-File-2: %s\r\nEncryption: none\r\nComment: %s\r\n", algorithm, k.Name)
	writeLines(&out, "Public-Lines", public)
	writeLines(&out, "Private-Lines", private)
	_, _ = fmt.Fprintf(&out, "Private-MAC: %s\r\n", hex.EncodeToString(mac.Sum(nil)))
	return out.String()
}

// writeLines writes base64 in lines of 64 characters, with their number before them.
func writeLines(out *strings.Builder, name string, content []byte) {
	const width = 64
	text := base64.StdEncoding.EncodeToString(content)
	_, _ = fmt.Fprintf(out, "%s: %d\r\n", name, (len(text)+width-1)/width)
	for len(text) > 0 {
		n := min(width, len(text))
		_, _ = fmt.Fprintf(out, "%s\r\n", text[:n])
		text = text[n:]
	}
}
