package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"miniaws/backend/durably"
	"miniaws/backend/lazyregexp"
	"miniaws/iam"
)

// rootKeyFlags is the root user's key as settings; both or none.
type rootKeyFlags struct {
	RootAccessKeyID, RootSecretAccessKey string
}

func (f *rootKeyFlags) addRootKeyFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.RootAccessKeyID, "root-access-key-id", "", "Access key id of the root user, instead of the one made at first start.")
	flags.StringVar(&f.RootSecretAccessKey, "root-secret-access-key", "", "Secret access key of the root user. Other users see a flag: use the variable.")
}

// rootKeyFile is where the key that was made is kept, readable by its owner alone.
const rootKeyFile = "root-key.json"

// rootKey answers the key from the settings, else the one in the data folder; made is called where there is none.
func (f rootKeyFlags) rootKey(data string, made func(path string) (iam.RootKey, error)) (iam.RootKey, error) {
	switch {
	case f.RootAccessKeyID != "" && f.RootSecretAccessKey == "":
		return iam.RootKey{}, errors.New("MINI_AWS_ROOT_ACCESS_KEY_ID is set and MINI_AWS_ROOT_SECRET_ACCESS_KEY is not; set both or none")
	case f.RootAccessKeyID == "" && f.RootSecretAccessKey != "":
		return iam.RootKey{}, errors.New("MINI_AWS_ROOT_SECRET_ACCESS_KEY is set and MINI_AWS_ROOT_ACCESS_KEY_ID is not; set both or none")
	case f.RootAccessKeyID != "":
		key := iam.RootKey{AccessKeyID: f.RootAccessKeyID, SecretAccessKey: f.RootSecretAccessKey}
		return key, key.Check()
	}
	path := filepath.Join(data, rootKeyFile)
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return made(path)
	}
	if err != nil {
		return iam.RootKey{}, err
	}
	var key iam.RootKey
	err = json.Unmarshal(content, &key)
	if err == nil {
		err = key.Check()
	}
	if err != nil {
		return key, fmt.Errorf("%s is damaged (%w); remove it for a new key", path, err)
	}
	return key, nil
}

// makeRootKey makes a key and keeps it.
func makeRootKey(path string) (iam.RootKey, error) {
	key := iam.NewRootKey()
	content, err := json.MarshalIndent(key, "", "  ")
	if err != nil {
		return key, err
	}
	return key, durably.WriteFile(path, append(content, '\n'))
}

type envCommand struct {
	Region, Profile, Account string
	Create                   bool
	administratorFlags
}

func (c *envCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "env", Short: "Print what a shell or an AWS profile needs in order to use the endpoint.", Args: showing(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error { return c.Run(command.Context()) },
	}
	flags := command.Flags()
	flags.StringVar(&c.Region, "region", defaultRegion, "Region to use.")
	flags.StringVar(&c.Profile, "profile", "", "Print a profile of this name for ~/.aws/config instead.")
	flags.StringVar(&c.Account, "account", "", "Account whose root user to be, instead of the installation's; the server has to run.")
	flags.BoolVar(&c.Create, "create", false, "Make the account if it is not there.")
	c.addAdministratorFlags(flags)
	return command
}

// Run prints what a shell, or the AWS configuration file, needs in order to use the endpoint. Where it cannot, it prints
// a profile that does not exist: a shell that evaluates the output must not go on to call the real AWS.
func (c *envCommand) Run(ctx context.Context) error {
	err := c.print(ctx)
	if err != nil && c.Profile == "" {
		fmt.Println("export AWS_PROFILE=mini-aws-env-failed")
	}
	return err
}

var (
	regionPattern  = lazyregexp.New(`^[a-z0-9-]+$`)
	profilePattern = lazyregexp.New(`^[\w.@+-]+$`)
)

func (c *envCommand) print(ctx context.Context) error {
	host, port, err := net.SplitHostPort(c.Listen)
	switch {
	case err != nil || host == "" || port == "":
		return fmt.Errorf("--listen %s: it takes ADDRESS:PORT, such as 127.0.0.1:4566", c.Listen)
	case !regionPattern.MatchString(c.Region):
		return fmt.Errorf("--region %s is not a region's name, such as us-east-1", c.Region)
	case c.Profile != "" && !profilePattern.MatchString(c.Profile):
		return fmt.Errorf("--profile %q: a name of letters, digits and . _ @ + -", c.Profile)
	}
	key, err := c.key(ctx)
	if err != nil {
		return err
	}
	endpoint, bundle := c.endpoint(), ""
	if c.TLSCert != "" {
		if bundle, err = filepath.Abs(c.TLSCert); err != nil {
			return err
		}
	}
	if c.Profile != "" {
		fmt.Printf("[profile %s]\naws_access_key_id = %s\naws_secret_access_key = %s\nregion = %s\nendpoint_url = %s\n",
			c.Profile, key.AccessKeyID, key.SecretAccessKey, c.Region, endpoint)
		if bundle != "" {
			fmt.Printf("ca_bundle = %s\n", bundle)
		}
		return nil
	}
	if bundle != "" {
		fmt.Printf("export AWS_CA_BUNDLE=%s\n", quoted(bundle))
	}
	_, err = fmt.Printf("export AWS_ENDPOINT_URL=%s\nexport AWS_ACCESS_KEY_ID=%s\nexport AWS_SECRET_ACCESS_KEY=%s\nexport AWS_REGION=%s\nexport AWS_DEFAULT_REGION=%[4]s\nunset AWS_SESSION_TOKEN AWS_SECURITY_TOKEN AWS_PROFILE AWS_DEFAULT_PROFILE\n",
		quoted(endpoint), quoted(key.AccessKeyID), quoted(key.SecretAccessKey), quoted(c.Region))
	return err
}

// key answers the key of the root user that is wanted.
func (c *envCommand) key(ctx context.Context) (iam.RootKey, error) {
	if c.Account == "" {
		key, err := c.knownRootKey()
		if err == nil && c.foreign(ctx) {
			fmt.Fprintf(os.Stderr, "mini-aws: warning: the server at %s does not know the key in %s: it serves another data folder; name that one with --data, or the other server with --listen\n", c.Listen, c.Data)
		}
		return key, err
	}
	if !accountPattern.MatchString(c.Account) {
		return iam.RootKey{}, fmt.Errorf("--account %s is not an account number: it takes twelve digits", c.Account)
	}
	var answer accountKey
	err := c.ask(ctx, http.MethodGet, "/_mini/accounts/"+c.Account, nil, &answer)
	if err != nil && c.Create {
		err = c.ask(ctx, http.MethodPost, "/_mini/accounts", newAccount{Account: c.Account}, &answer)
	}
	return iam.RootKey{AccessKeyID: answer.AccessKeyID, SecretAccessKey: answer.SecretAccessKey}, err
}

var plainWord = lazyregexp.New(`^[\w@%+=:,./-]+$`)

// quoted is the text as one word of a POSIX shell: what a secret of somebody's own choice holds must not be run by eval.
func quoted(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
