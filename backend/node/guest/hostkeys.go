package guest

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/crypto/ssh"
)

// hostKeyMakers are the kinds of host keys, preferred first. RSA is left out: making one is slow, and
// every client of the last ten years knows the other two.
var hostKeyMakers = []struct {
	kind, label string
	bits        int
	make        func() (crypto.PrivateKey, error)
}{
	{"ed25519", "ED25519", 256, func() (crypto.PrivateKey, error) {
		_, private, err := ed25519.GenerateKey(rand.Reader)
		return private, err
	}},
	{"ecdsa", "ECDSA", 256, func() (crypto.PrivateKey, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }},
}

// removeHostKeys takes away the keys of another instance, which came with the image.
func (r rootFolder) removeHostKeys() error {
	found, err := filepath.Glob(r.path("etc/ssh/ssh_host_*_key*"))
	if err != nil {
		return err
	}
	var all []error
	for _, name := range found {
		all = append(all, os.Remove(name))
	}
	return errors.Join(all...)
}

// ensureHostKeys answers the instance's host keys, and makes those that are missing or cannot be read.
func (r rootFolder) ensureHostKeys(comment string) ([]ssh.Signer, error) {
	if err := os.MkdirAll(r.path("etc/ssh"), 0o755); err != nil {
		return nil, err
	}
	signers := make([]ssh.Signer, 0, len(hostKeyMakers))
	for _, maker := range hostKeyMakers {
		name := "etc/ssh/ssh_host_" + maker.kind + "_key"
		signer, err := r.readHostKey(name)
		if err != nil {
			private, err := maker.make()
			if err != nil {
				return nil, err
			}
			if signer, err = r.writeHostKey(name, private, comment); err != nil {
				return nil, err
			}
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

func (r rootFolder) readHostKey(name string) (ssh.Signer, error) {
	info, err := os.Lstat(r.path(name))
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("%s: not a file of root alone", name)
	}
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		return nil, err
	}
	return ssh.ParsePrivateKey(text)
}

// writeHostKey writes the public half first: where the private one is, both are.
func (r rootFolder) writeHostKey(name string, private crypto.PrivateKey, comment string) (ssh.Signer, error) {
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return nil, err
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		return nil, err
	}
	public := authorizedLine(signer.PublicKey()) + " " + comment + "\n"
	if err := r.replace(name+".pub", []byte(public), fileMode{mode: 0o644}); err != nil {
		return nil, err
	}
	return signer, r.replace(name, pem.EncodeToMemory(block), fileMode{mode: 0o600})
}

func authorizedLine(key ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key)))
}

// hostKeyAnnouncement is the text, in cloud-init's form, that scripts look for in GetConsoleOutput before they trust a
// new instance's key.
func hostKeyAnnouncement(keys []ssh.Signer, comment string) string {
	const rule = "ec2: #############################################################\n"
	var text strings.Builder
	text.WriteString("ec2: \n" + rule + "ec2: -----BEGIN SSH HOST KEY FINGERPRINTS-----\n")
	for i, key := range keys {
		fmt.Fprintf(&text, "ec2: %d %s %s (%s)\n", hostKeyMakers[i].bits, ssh.FingerprintSHA256(key.PublicKey()), comment, hostKeyMakers[i].label)
	}
	text.WriteString("ec2: -----END SSH HOST KEY FINGERPRINTS-----\n" + rule + "-----BEGIN SSH HOST KEY KEYS-----\n")
	for _, key := range keys {
		text.WriteString(authorizedLine(key.PublicKey()) + " " + comment + "\n")
	}
	text.WriteString("-----END SSH HOST KEY KEYS-----\n")
	return text.String()
}

// adoptInstance notes whose root file system this is from now on. It answers true on an instance's first boot: then
// whatever an image brought of an earlier instance's identity must go.
func (r rootFolder) adoptInstance(id string) (first bool, err error) {
	const name = stateFolder + "/instance-id"
	known, err := os.ReadFile(r.path(name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if strings.TrimSpace(string(known)) == id {
		return false, nil
	}
	if err := r.removeHostKeys(); err != nil {
		return true, err
	}
	if err := os.MkdirAll(r.path(stateFolder), 0o755); err != nil {
		return true, err
	}
	return true, r.replace(name, []byte(id+"\n"), fileMode{mode: 0o644})
}
