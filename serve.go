package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"time"

	"miniaws/awsapi"
	"miniaws/backend"
	"miniaws/backend/docker"
	"miniaws/backend/sim"
	"miniaws/iam"
)

type serveCommand struct {
	Listen   string `default:"127.0.0.1:4566" help:"Address and port of the endpoint."`
	Data     string `default:"~/.mini-aws" help:"Folder that holds everything durable."`
	Engine   string `default:"auto" enum:"auto,docker,sim" help:"What runs instances: ${enum}. auto is docker where one answers, else sim (records only)."`
	Insecure bool   `help:"Allow an address other than loopback without TLS."`

	AccountID string `name:"account-id" default:"000000000000" help:"Account number of this installation: twelve digits."`
	Region    string `default:"us-east-1" help:"Region of requests that name none."`
	rootKeyFlags
}

// Run serves until the context ends. The one line on standard output says that the endpoint answers.
func (c *serveCommand) Run(ctx context.Context) (err error) {
	slog.SetDefault(slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err := errors.Join(c.checkListen(), c.checkAccount()); err != nil {
		return err
	}
	data, err := dataPath(c.Data)
	if err != nil {
		return err
	}
	folder, err := openDataFolder(data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	key, err := c.rootKey(folder.path, makeRootKey)
	if err != nil {
		return err
	}
	api := c.newAPI(key)
	engine, err := c.openEngine(ctx, folder.installation)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()

	listener, err := net.Listen("tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("the endpoint cannot listen: %w%s", err, listenAdvice(err))
	}
	server := &http.Server{
		Handler: newEndpoint(api, engine),
		// A client that is slow with its headers or that leaves a connection idle must not hold it forever.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	fmt.Printf("mini-aws ready http://%s\n", listener.Addr())

	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	slog.Info("stopping; what runs goes on running")
	// Requests under way get a while to end; whoever started this process may be waiting for it.
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		slog.Warn("requests that did not end in 10 s were cut off")
		err = server.Close()
	}
	return err
}

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
	if address := net.ParseIP(host); c.Insecure || host == "localhost" || address != nil && address.IsLoopback() {
		return nil
	}
	return fmt.Errorf("--listen %s is not a loopback address, and without TLS everybody on that network could read the traffic; add --insecure if that is what you want", c.Listen)
}

var accountPattern = regexp.MustCompile(`^[0-9]{12}$`)

func (c *serveCommand) checkAccount() error {
	if accountPattern.MatchString(c.AccountID) {
		return nil
	}
	return fmt.Errorf("--account-id %s is not an account number: it takes twelve digits", c.AccountID)
}

func (c *serveCommand) openEngine(ctx context.Context, installation string) (backend.Engine, error) {
	if c.Engine == "sim" {
		return openSimulated(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	engine, err := docker.Open(ctx, installation)
	if err == nil {
		slog.Info("instances are containers of the Docker engine")
		return engine, nil
	}
	if c.Engine == "docker" {
		return nil, fmt.Errorf("no Docker engine to use: %w; start one, or serve with --engine sim", err)
	}
	slog.Warn("NO DOCKER ENGINE: instances are simulated, nothing real runs behind them", "reason", err)
	return openSimulated(), nil
}

func openSimulated() backend.Engine { return sim.Open(time.Now) }

// newAPI is the AWS side of the endpoint: every service, with what is implemented of it.
func (c *serveCommand) newAPI(root iam.RootKey) *awsapi.Server {
	identities := iam.New(iam.Config{Account: c.AccountID, Root: root})
	api := awsapi.NewServer(awsapi.Options{Identities: identities, Authorizer: identities, Region: c.Region})
	identities.Register(api)
	return api
}

// newEndpoint puts what is open on loopback beside the AWS side. The path is taken as it was sent: cleaning it, as
// http.ServeMux does, would break S3's keys and every signature over them.
func newEndpoint(api *awsapi.Server, engine backend.Engine) http.Handler {
	open := http.NewServeMux()
	open.Handle("GET /_mini/health", &health{engine: engine})
	open.HandleFunc("GET /_mini/coverage", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, api.Coverage()) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_mini/") {
			open.ServeHTTP(w, r)
			return
		}
		api.ServeHTTP(w, r)
	})
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

// health answers GET /_mini/health: 200 with status "ok", or "degraded" where the engine does not answer.
type health struct {
	engine backend.Engine

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
	h.looked = time.Now()
	return h.report
}
