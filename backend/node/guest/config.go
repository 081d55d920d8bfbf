package guest

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"miniaws/backend/lazyregexp"
)

// ConfigVariable is the environment variable of the container that holds the [Config] as one JSON document. Init takes
// it out of the environment before it reads anything of the image, so no process of the guest inherits it.
const ConfigVariable = "MINI_AWS_INIT_CONFIG"

// maxConfig is what Linux takes as one environment string, less the name.
const maxConfig = 128<<10 - len(ConfigVariable) - 2

// The link by which sessions come into an instance.
const (
	// LinkPath is where the gateway takes links, LinkProtocol the value of the Upgrade header.
	LinkPath     = "/mini-aws/link"
	LinkProtocol = "mini-aws-link"
	// LinkUser is who sessions are without a name of their own: made at the first one, and may become root by sudo.
	// AWS: "Turn off or turn on ssm-user account administrative permissions".
	LinkUser = "ssm-user"
)

// Config is all that an instance is told from outside.
type Config struct {
	InstanceID string `json:"instanceId"`
	// Hostname without a domain; empty leaves what the engine set.
	Hostname string `json:"hostname,omitempty"`
	// Users are made where the image lacks them. The first is the AMI's login user.
	Users []User `json:"users,omitempty"`
	// UserData is as the API got it, after its base64 is undone.
	UserData []byte `json:"userData,omitempty"`
	// Environment is what every login and every service finds, by way of /etc/environment: public settings only.
	Environment map[string]string `json:"environment,omitempty"`
	SSH         SSHMode           `json:"ssh,omitempty"`
	// StopGraceSeconds is how long processes have after TERM; 0 means 8, below the engines' usual 10.
	StopGraceSeconds int `json:"stopGraceSeconds,omitempty"`
	// AwaitNetwork holds user data back until a network interface is there, half a minute at most: it is plugged in from
	// outside once init runs.
	AwaitNetwork bool `json:"awaitNetwork,omitempty"`
	// LinkToken is what init shows the gateway to offer it sessions in this instance; empty for none.
	LinkToken string `json:"linkToken,omitempty"`
}

// User is a login.
type User struct {
	Name string `json:"name"`
	// AuthorizedKeys are lines as in an authorized_keys file.
	AuthorizedKeys []string `json:"authorizedKeys,omitempty"`
	// Sudo without a password: the image's, or init's own.
	Sudo bool `json:"sudo,omitempty"`
	// Groups that the user joins, those that the image knows.
	Groups []string `json:"groups,omitempty"`
	// Shell for a user that is made; empty takes bash, else sh.
	Shell string `json:"shell,omitempty"`
}

// SSHMode says who answers on port 22.
type SSHMode string

// The modes; the zero value is SSHAuto.
const (
	// SSHAuto takes the image's sshd where there is one, else the built-in server.
	SSHAuto    SSHMode = "auto"
	SSHBuiltin SSHMode = "builtin"
	SSHNone    SSHMode = "none"
)

var (
	instanceIDs = lazyregexp.New(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	hostnames   = lazyregexp.New(`^[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)
	userNames   = lazyregexp.New(`^[a-z_][a-z0-9_-]{0,31}$`)
	variables   = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
)

// Variable answers the NAME=value for the container's environment.
func (c Config) Variable() (string, error) {
	if err := c.validate(); err != nil {
		return "", err
	}
	document, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	if len(document) > maxConfig {
		return "", fmt.Errorf("the instance's configuration has %d bytes, at most %d fit", len(document), maxConfig)
	}
	return ConfigVariable + "=" + string(document), nil
}

func parseConfig(document []byte) (Config, error) {
	var c Config
	if err := json.Unmarshal(document, &c); err != nil {
		return Config{}, fmt.Errorf("%s: %w", ConfigVariable, err)
	}
	return c, c.validate()
}

// validate refuses what would break a line of a system file.
func (c Config) validate() error {
	var all []error
	refuse := func(format string, args ...any) { all = append(all, fmt.Errorf(format, args...)) }
	if len(c.InstanceID) > 64 || !instanceIDs.MatchString(c.InstanceID) {
		refuse("instance id %q", c.InstanceID)
	}
	if c.Hostname != "" && !hostnames.MatchString(c.Hostname) {
		refuse("hostname %q", c.Hostname)
	}
	switch c.SSH {
	case "", SSHAuto, SSHBuiltin, SSHNone:
	default:
		refuse("ssh mode %q", c.SSH)
	}
	if strings.ContainsAny(c.LinkToken, "\r\n") {
		refuse("link token")
	}
	if c.StopGraceSeconds < 0 {
		refuse("negative stop grace")
	}
	for name, value := range c.Environment {
		if !variables.MatchString(name) || strings.ContainsAny(value, "\n\r\x00\"\\") {
			refuse("environment variable %q", name)
		}
	}
	for _, user := range c.Users {
		all = append(all, user.validate())
	}
	return errors.Join(all...)
}

func (u User) validate() error {
	if !userNames.MatchString(u.Name) {
		return fmt.Errorf("user name %q", u.Name)
	}
	if u.Shell != "" && (!strings.HasPrefix(u.Shell, "/") || strings.ContainsAny(u.Shell, ":\n")) {
		return fmt.Errorf("shell %q of user %s", u.Shell, u.Name)
	}
	for _, group := range u.Groups {
		if !userNames.MatchString(group) {
			return fmt.Errorf("group %q of user %s", group, u.Name)
		}
	}
	for _, line := range u.AuthorizedKeys {
		if strings.ContainsAny(line, "\n\r\x00") {
			return fmt.Errorf("an authorized key of user %s has a line break", u.Name)
		}
		if _, err := parseAuthorizedKey(line); err != nil {
			return fmt.Errorf("authorized key of user %s: %w", u.Name, err)
		}
	}
	return nil
}
