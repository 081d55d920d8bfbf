package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	awsssm "github.com/aws/aws-sdk-go-v2/service/ssm"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"

	"miniaws/backend/node/guest"
	"miniaws/backend/session"
	"miniaws/ssm"
)

// guestFlags say as whom the API is called: with the credentials in AWS's own variables where they are set, else as the
// root user of this installation.
type guestFlags struct {
	Region string
	administratorFlags
}

func (f *guestFlags) addGuestFlags(flags *pflag.FlagSet) {
	flags.StringVar(&f.Region, "region", defaultRegion, "Region of the instance (AWS_REGION, AWS_DEFAULT_REGION).")
	setTwins(flags, "region", "AWS_REGION", "AWS_DEFAULT_REGION")
	f.addAdministratorFlags(flags)
}

// systems is a client of Systems Manager, whose policies decide who may have a session.
func (f guestFlags) systems() (*awsssm.Client, error) {
	options := awsssm.Options{Region: f.Region, BaseEndpoint: aws.String(f.endpoint())}
	id, secret, token := os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), os.Getenv("AWS_SESSION_TOKEN")
	if id == "" {
		key, err := f.knownRootKey()
		if err != nil {
			return nil, err
		}
		id, secret, token = key.AccessKeyID, key.SecretAccessKey, ""
	} else if endpoint := os.Getenv("AWS_ENDPOINT_URL"); endpoint != "" {
		options.BaseEndpoint = aws.String(endpoint)
	}
	client, err := f.client()
	options.Credentials, options.HTTPClient = credentials.NewStaticCredentialsProvider(id, secret, token), client
	return awsssm.New(options), err
}

// login begins a session and logs in by it: the other side is the SSH server of the instance's own init.
func (f guestFlags) login(ctx context.Context, user, instance string) (*ssh.Client, error) {
	systems, err := f.systems()
	if err != nil {
		return nil, err
	}
	began, err := systems.StartSession(ctx, &awsssm.StartSessionInput{Target: aws.String(instance), DocumentName: aws.String(ssm.OwnSSHDocument)})
	if err != nil {
		return nil, err
	}
	connection, err := session.Dial(ctx, *began.StreamUrl, *began.TokenValue, func(ctx context.Context) (string, string, error) {
		again, err := systems.ResumeSession(ctx, &awsssm.ResumeSessionInput{SessionId: began.SessionId})
		if err != nil {
			return "", "", err
		}
		return aws.ToString(again.StreamUrl), aws.ToString(again.TokenValue), nil
	})
	if err != nil {
		return nil, err
	}
	// The channel leads to this instance and no other: who is at its end is known.
	config := &ssh.ClientConfig{User: user, HostKeyCallback: ssh.InsecureIgnoreHostKey()} //nolint:gosec // see above
	made, channels, requests, err := ssh.NewClientConn(connection, instance, config)
	if err != nil {
		if words := connection.Words(); words != "" {
			err = errors.New(words)
		}
		return nil, errors.Join(fmt.Errorf("logging in as %s: %w", user, err), connection.Close())
	}
	return ssh.NewClient(made, channels, requests), nil
}

// splitUser reads [USER@]INSTANCE.
func splitUser(text string) (user, instance string) {
	if user, instance, ok := strings.Cut(text, "@"); ok {
		return user, instance
	}
	return guest.LinkUser, text
}

type sshCommand struct {
	Instance string
	Command  []string
	localForwards
	guestFlags
}

func (c *sshCommand) command() *cobra.Command {
	command := &cobra.Command{
		Use: "ssh [FLAGS] [USER@]INSTANCE [COMMAND ...]", Short: "Open a shell in an instance, or run a command there.",
		Long: "Open a shell in an instance such as i-0123456789abcdef0, or run a command there. What follows the instance is the command.",
		Args: showing(cobra.MinimumNArgs(1)), DisableFlagsInUseLine: true,
		RunE: func(command *cobra.Command, arguments []string) error {
			c.Instance, c.Command = arguments[0], arguments[1:]
			return c.Run(command.Context())
		},
	}
	flags := command.Flags()
	flags.SetInterspersed(false) // flags after the instance are its program's
	c.addForwardFlags(flags)
	c.addGuestFlags(flags)
	return command
}

// Run is a shell in the instance, or one command, whose exit status it has.
func (c *sshCommand) Run(ctx context.Context) error {
	status, err := c.run(ctx)
	if err == nil && status != 0 {
		os.Exit(status)
	}
	return err
}

func (c *sshCommand) run(ctx context.Context) (status int, err error) {
	wanted, err := c.forwardings()
	if err != nil {
		return 0, err
	}
	user, instance := splitUser(c.Instance)
	client, err := c.login(ctx, user, instance)
	if err != nil {
		return 0, err
	}
	defer func() { _ = client.Close() }()
	ports, err := forward(ctx, client, wanted)
	if err != nil {
		return 0, err
	}
	defer func() { _ = ports.Close() }()
	if c.NoCommand {
		return 0, untilOver(ctx, client)
	}
	program, err := client.NewSession()
	if err != nil {
		return 0, err
	}
	program.Stdin, program.Stdout, program.Stderr = os.Stdin, os.Stdout, os.Stderr
	command := c.Command
	if len(command) > 0 && command[0] == "--" { // as OpenSSH's client takes it
		command = command[1:]
	}
	if len(command) > 0 {
		err = program.Run(strings.Join(command, " "))
	} else {
		err = shell(program)
	}
	var exit *ssh.ExitError
	if errors.As(err, &exit) {
		return exit.ExitStatus(), nil
	}
	return 0, err
}

// shell runs the login shell, in a terminal where this process has one.
func shell(program *ssh.Session) error {
	input, output := int(os.Stdin.Fd()), int(os.Stdout.Fd())
	if !term.IsTerminal(input) || !term.IsTerminal(output) {
		if err := program.Shell(); err != nil {
			return err
		}
		return program.Wait()
	}
	columns, rows, err := term.GetSize(output)
	if err != nil {
		return err
	}
	name := os.Getenv("TERM")
	if name == "" {
		name = "xterm-256color"
	}
	if err := program.RequestPty(name, rows, columns, ssh.TerminalModes{}); err != nil {
		return err
	}
	before, err := term.MakeRaw(input)
	if err != nil {
		return err
	}
	defer func() { _ = term.Restore(input, before) }()
	if err := program.Shell(); err != nil {
		return err
	}
	done := make(chan struct{})
	defer close(done)
	go followSize(output, program, columns, rows, done)
	return program.Wait()
}

// sizeInterval is how often the terminal's size is looked at: there is no signal for it that all systems have.
const sizeInterval = 250 * time.Millisecond

func followSize(terminal int, program *ssh.Session, columns, rows int, done <-chan struct{}) {
	ticker := time.NewTicker(sizeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-done:
			return
		case <-ticker.C:
		}
		if c, r, err := term.GetSize(terminal); err == nil && (c != columns || r != rows) {
			columns, rows = c, r
			_ = program.WindowChange(rows, columns)
		}
	}
}
