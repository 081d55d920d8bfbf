package iam

import (
	"context"
	"crypto/sha1" // #nosec: thumbprints are SHA-1 by AWS's definition
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"

	"miniaws/awsapi"
)

// issuers keeps the public keys of OpenID Connect providers for a while.
type issuers struct {
	mu   sync.Mutex
	kept map[string]issuerKeys
}

type issuerKeys struct {
	keys    *jose.JSONWebKeySet
	fetched time.Time
}

const (
	// keysLifetime is how long keys are good for without asking; keysPatience is how soon an unknown key may make us
	// ask again.
	keysLifetime = 15 * time.Minute
	keysPatience = 10 * time.Second
	maxKeys      = 256 << 10
	maxIssuers   = 1000
)

// keys answers the provider's keys; fresh ones are asked for again.
func (i *issuers) keys(ctx context.Context, p *oidcProvider, now time.Time, fresh bool) (*jose.JSONWebKeySet, error) {
	name := p.Host + fmt.Sprint(p.Thumbprints)
	i.mu.Lock()
	known, ok := i.kept[name]
	i.mu.Unlock()
	age := now.Sub(known.fetched)
	if ok && age < keysLifetime && (!fresh || age < keysPatience) {
		return known.keys, nil
	}
	keys, err := p.fetchKeys(ctx)
	if err != nil {
		// AWS: IDPCommunicationError of AssumeRoleWithWebIdentity.
		return nil, awsapi.Errorf("IDPCommunicationError", "Couldn't retrieve verification key from your identity provider: %v", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.kept == nil || len(i.kept) >= maxIssuers {
		i.kept = map[string]issuerKeys{}
	}
	i.kept[name] = issuerKeys{keys, now}
	return keys, nil
}

// fetchKeys asks the issuer where its keys are, and for them.
// AWS: "Obtain the thumbprint for an OpenID Connect identity provider"; OpenID Connect Discovery 1.0.
func (p *oidcProvider) fetchKeys(ctx context.Context) (*jose.JSONWebKeySet, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	client := p.client()
	defer client.CloseIdleConnections()
	var discovered struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := fetchJSON(ctx, client, "https://"+p.Host+"/.well-known/openid-configuration", &discovered); err != nil {
		return nil, err
	}
	if issuerHost(discovered.Issuer) != p.Host {
		return nil, fmt.Errorf("its configuration is that of another issuer, %s", discovered.Issuer)
	}
	keys := &jose.JSONWebKeySet{}
	if err := fetchJSON(ctx, client, discovered.Keys, keys); err != nil {
		return nil, err
	}
	keys.Keys = slices.DeleteFunc(keys.Keys, func(k jose.JSONWebKey) bool { return !k.IsPublic() || !k.Valid() })
	return keys, nil
}

// client trusts what this machine trusts, and beside it certificates whose thumbprint the provider was registered with.
func (p *oidcProvider) client() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{
				MinVersion:         tls.VersionTLS12,
				InsecureSkipVerify: true, // #nosec: VerifyConnection verifies, with the thumbprints too
				VerifyConnection:   p.verify,
			},
		},
		// A configuration and its keys are where they say they are.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func (p *oidcProvider) verify(state tls.ConnectionState) error {
	between := x509.NewCertPool()
	for _, c := range state.PeerCertificates[1:] {
		between.AddCert(c)
	}
	_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: state.ServerName, Intermediates: between})
	if err == nil {
		return nil
	}
	trusted := x509.NewCertPool()
	found := false
	for _, c := range state.PeerCertificates {
		if hash := sha1.Sum(c.Raw); slices.Contains(p.Thumbprints, hex.EncodeToString(hash[:])) { // #nosec: see above
			trusted.AddCert(c)
			found = true
		}
	}
	if !found {
		return err
	}
	_, err = state.PeerCertificates[0].Verify(x509.VerifyOptions{DNSName: state.ServerName, Intermediates: between, Roots: trusted})
	return err
}

func fetchJSON(ctx context.Context, client *http.Client, address string, into any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	if request.URL.Scheme != "https" {
		return errors.New("the keys must be fetched with https")
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to its end or of no use
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", address, response.Status)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxKeys))
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
