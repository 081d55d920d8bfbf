package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"miniaws/backend"
	"miniaws/backend/lazyregexp"
	"miniaws/backend/store"
)

type serveCommand struct {
	Listen, Data, Engine string
	Insecure             bool
	TLSCert, TLSKey      string

	Ephemeral bool
	AtRest    string

	TrailEvery, DigestEvery, FlowLogsEvery time.Duration

	AccountID, Region, Domain string

	// DNS is nil where the default address is tried.
	DNS *string

	HostEndpoints string

	S3EventsWebhook  string
	S3ClassicBuckets bool
	// S3LogsEvery is long enough for who makes buckets and removes them again: a log would be in the way.
	S3LogsEvery time.Duration
	rootKeyFlags
}

// What serve takes where it is told nothing else, and the other commands with it.
const (
	defaultListen = "127.0.0.1:4566"
	defaultData   = "~/.mini-aws"
	defaultDomain = "mini-aws.internal"
	defaultRegion = "us-east-1"
)

// command is serve, which run does with what the command line says.
func (c *serveCommand) command(run func(context.Context) error) *cobra.Command {
	command := &cobra.Command{
		Use: "serve", Short: "Serve the cloud until interrupted. What runs in it goes on running.", Args: showing(cobra.NoArgs),
		RunE: func(command *cobra.Command, _ []string) error { return run(command.Context()) },
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&c.Listen, "listen", defaultListen, "Address and port of the endpoint.")
	flags.StringVar(&c.Data, "data", defaultData, "Folder that holds everything durable.")
	addChoice(flags, &c.Engine, "engine", "What runs instances. auto is docker where one answers, else sim (records only).", "auto", "docker", "sim")
	flags.BoolVar(&c.Insecure, "insecure", false, "Allow an address other than loopback without TLS.")
	flags.StringVar(&c.TLSCert, "tls-cert", "", "File with the certificate chain (PEM) for TLS.")
	flags.StringVar(&c.TLSKey, "tls-key", "", "File with the certificate's private key (PEM).")
	flags.BoolVar(&c.Ephemeral, "ephemeral", false, "Keep nothing: all is removed at the end, and POST /_mini/reset removes it at any time.")
	addChoice(flags, &c.AtRest, "at-rest", "How bytes of objects lie on the disk.", "sealed", "plain")
	flags.DurationVar(&c.TrailEvery, "trail-every", 5*time.Minute, "Time between two log files of a CloudTrail trail.")
	flags.DurationVar(&c.DigestEvery, "digest-every", time.Hour, "Time between two digests of a CloudTrail trail.")
	flags.DurationVar(&c.FlowLogsEvery, "flow-logs-every", 0, "Time between two deliveries of a VPC flow log; 0 is what each flow log says.")
	flags.StringVar(&c.AccountID, "account-id", "000000000000", "Account number of this installation: twelve digits.")
	flags.StringVar(&c.Region, "region", defaultRegion, "Region of requests that name none.")
	flags.StringVar(&c.Domain, "domain", defaultDomain, "Domain of the names that resources get.")
	flags.Var(optional{&c.DNS, "ADDRESS:PORT"}, "dns", "Where the names under the domain, and public names of instances, are answered by DNS (UDP and TCP); off for none. Without it "+defaultDNS+" is tried.")
	addChoice(flags, &c.HostEndpoints, "host-endpoints", "Ports on 127.0.0.1 that lead to public addresses of instances. auto is on where this machine does not reach those addresses itself.", "auto", "on", "off")
	flags.StringVar(&c.S3EventsWebhook, "s3-events-webhook", "", "URL that gets, as JSON, what S3 sends to EventBridge.")
	flags.BoolVar(&c.S3ClassicBuckets, "s3-classic-buckets", false, "Make buckets as AWS did before April 2023: ACLs count, and public access is not blocked.")
	flags.DurationVar(&c.S3LogsEvery, "s3-logs-every", 5*time.Minute, "Time for which lines of an S3 server access log are gathered for one log object.")
	c.addRootKeyFlags(flags)
	return command
}

// Run is never reached: main is the supervisor where the command line begins with serve, and its worker reads the flags.
func (c *serveCommand) Run(context.Context) error {
	return errors.New("serve is the first word of a command line")
}

// check refuses settings that cannot be.
func (c *serveCommand) check() error {
	return errors.Join(c.checkTLS(), c.checkListen(), c.checkAccount(), c.checkDomain(), c.checkDNS())
}

// take opens the data folder and the listener, which outlive the process that serves.
func (c *serveCommand) take() (*dataFolder, *net.TCPListener, error) {
	data, err := dataPath(c.Data)
	if err != nil {
		return nil, nil, err
	}
	folder, err := openDataFolder(data)
	if err != nil {
		return nil, nil, err
	}
	if err := errors.Join(folder.checkEphemeral(c.Ephemeral), folder.checkAccount(c.AccountID)); err != nil {
		return nil, nil, err
	}
	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return nil, nil, fmt.Errorf("the endpoint cannot listen: %w%s", err, listenAdvice(err))
	}
	return folder, listener.(*net.TCPListener), nil
}

// logToStandardError sets the process's log up.
func logToStandardError() { slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil))) }

// listenAdvice says what to do about an address that cannot be had.
func listenAdvice(err error) string {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return "; stop what holds the port, or choose another with --listen"
	case errors.Is(err, syscall.EACCES):
		return "; ports below 1024 are root's, choose another with --listen"
	default:
		return ""
	}
}

// checkListen refuses to put the cloud on a network by accident.
func (c *serveCommand) checkListen() error {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("--listen %s: %w; it takes ADDRESS:PORT, such as 127.0.0.1:4566", c.Listen, err)
	}
	if address := net.ParseIP(host); c.Insecure || c.TLSCert != "" || host == "localhost" || address != nil && address.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s is not a loopback address, and without TLS everybody on that network could read the traffic; give it --tls-cert and --tls-key, or --insecure if that is what you want", c.Listen)
}

func (c *serveCommand) scheme() string {
	if c.TLSCert != "" {
		return "https"
	}
	return "http"
}

// checkTLS reads the certificate now, so that a wrong file is said at once.
func (c *serveCommand) checkTLS() error {
	if (c.TLSCert == "") != (c.TLSKey == "") {
		return errors.New("--tls-cert and --tls-key belong together; set both or none")
	}
	if c.TLSCert == "" {
		return nil
	}
	if _, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey); err != nil {
		return fmt.Errorf("--tls-cert %s and --tls-key %s cannot be used: %w", c.TLSCert, c.TLSKey, err)
	}
	return nil
}

var domainPattern = lazyregexp.New(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z][a-z0-9-]{0,61}[a-z0-9]$`)

func (c *serveCommand) checkDomain() error {
	if domainPattern.MatchString(c.Domain) {
		return nil
	}
	return fmt.Errorf("--domain %s is not a domain's name, such as mini-aws.internal", c.Domain)
}

var accountPattern = lazyregexp.New(`^[0-9]{12}$`)

func (c *serveCommand) checkAccount() error {
	if accountPattern.MatchString(c.AccountID) {
		return nil
	}
	return fmt.Errorf("--account-id %s is not an account number: it takes twelve digits", c.AccountID)
}

func writeJSON(w http.ResponseWriter, answer any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	// The answer is on its way: a client that is gone is all that can fail now.
	_ = json.NewEncoder(w).Encode(answer)
}

// healthLifetime is how long one look at the engine is good for: health is open to everybody on the machine, and must
// not become a way to load the engine.
const healthLifetime = 2 * time.Second

// health answers GET /_mini/health: 200 with status "ok", or "degraded" where the engine does not answer or
// the store takes no writes.
type health struct {
	engine backend.Engine
	stats  func() store.Stats

	mu     sync.Mutex
	looked time.Time
	report healthReport
}

type healthReport struct {
	Status  string        `json:"status"`
	Version string        `json:"version"`
	Engine  *backend.Info `json:"engine,omitempty"`
	// EngineError is set instead of Engine.
	EngineError string `json:"engineError,omitempty"`
	// StoreError says why writes are refused at this moment.
	StoreError string `json:"storeError,omitempty"`
}

func (h *health) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	writeJSON(w, h.look(r.Context()))
}

func (h *health) look(ctx context.Context) healthReport {
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Since(h.looked) < healthLifetime {
		return h.report
	}
	// Not the caller's context: one that leaves early must not spoil the answer for the others.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthLifetime)
	defer cancel()
	h.report = healthReport{Status: "ok", Version: version()}
	if info, err := h.engine.Info(ctx); err != nil {
		h.report.Status, h.report.EngineError = "degraded", err.Error()
	} else {
		h.report.Engine = &info
	}
	if h.report.StoreError = h.stats().Refusing; h.report.StoreError != "" {
		h.report.Status = "degraded"
	}
	h.looked = time.Now()
	return h.report
}
