package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/spf13/pflag"

	"miniaws/iam"
)

// administratorFlags say which server a command talks to, as the root user whose key is in the data folder.
type administratorFlags struct {
	Listen, Data, TLSCert string
	rootKeyFlags
}

func (f *administratorFlags) addAdministratorFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.Listen, "listen", defaultListen, "Address and port of the endpoint.")
	flags.StringVar(&f.Data, "data", defaultData, "Data folder of the installation.")
	flags.StringVar(&f.TLSCert, "tls-cert", "", "Certificate that the server has, where it serves TLS.")
	f.addRootKeyFlags(flags)
}

// knownRootKey answers the key that serve made or was given.
func (f administratorFlags) knownRootKey() (iam.RootKey, error) {
	data, err := dataPath(f.Data)
	if err != nil {
		return iam.RootKey{}, err
	}
	return f.rootKey(data, func(path string) (iam.RootKey, error) {
		return iam.RootKey{}, fmt.Errorf("%s does not exist: start the server first (mini-aws serve) or name its --data; if it was started with a root key of your choice, set the same variables here", path)
	})
}

// endpoint is the server's address for clients.
func (f administratorFlags) endpoint() string {
	if f.TLSCert != "" {
		return "https://" + f.Listen
	}
	return "http://" + f.Listen
}

// send sends a signed request and answers the response, whose status is 200. The caller closes its body.
func (f administratorFlags) send(ctx context.Context, method, path string, body any) (*http.Response, error) {
	key, err := f.knownRootKey()
	if err != nil {
		return nil, err
	}
	var content []byte
	if body != nil {
		if content, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	request, err := http.NewRequestWithContext(ctx, method, f.endpoint()+path, bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	who := aws.Credentials{AccessKeyID: key.AccessKeyID, SecretAccessKey: key.SecretAccessKey}
	if err := v4.NewSigner().SignHTTP(ctx, who, request, hex.EncodeToString(sum[:]), administrationService, "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	client, err := f.client()
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("the server does not answer at %s (mini-aws serve, or name it with --listen): %w", f.endpoint(), err)
	}
	if response.StatusCode == http.StatusOK {
		return response, nil
	}
	var refusal struct {
		Error string `json:"error"`
	}
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err = errors.Join(err, response.Body.Close()); err != nil {
		return nil, err
	}
	if json.Unmarshal(answer, &refusal) != nil || refusal.Error == "" {
		refusal.Error = string(answer)
	}
	return nil, &refusedError{status: response.StatusCode, message: fmt.Sprintf("the server refuses (%s): %s", response.Status, refusal.Error)}
}

// refusedError is what a server that answers has against a request.
type refusedError struct {
	status  int
	message string
}

func (e *refusedError) Error() string { return e.message }

// foreign tells whether a server answers that does not know the key: that of another data folder.
func (f administratorFlags) foreign(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var refused *refusedError
	err := f.ask(ctx, http.MethodGet, "/_mini/accounts/000000000000", nil, &accountKey{})
	return errors.As(err, &refused) && refused.status == http.StatusForbidden
}

// ask sends a signed request and reads the answer into what into points to.
func (f administratorFlags) ask(ctx context.Context, method, path string, body, into any) error {
	response, err := f.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	return errors.Join(json.NewDecoder(response.Body).Decode(into), response.Body.Close())
}

// client trusts the server's own certificate, where it is given. Proxies are for the network, not for this machine.
func (f administratorFlags) client() (*http.Client, error) {
	transport := &http.Transport{}
	if f.TLSCert != "" {
		content, err := os.ReadFile(f.TLSCert)
		if err != nil {
			return nil, err
		}
		trusted := x509.NewCertPool()
		if !trusted.AppendCertsFromPEM(content) {
			return nil, fmt.Errorf("%s holds no certificate", f.TLSCert)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: trusted}
	}
	return &http.Client{Transport: transport}, nil
}
