package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"miniaws/awsapi/sigv4"
	"miniaws/backend"
	"miniaws/backend/docker"
	"miniaws/backend/nameserver"
	"miniaws/backend/seal"
	"miniaws/backend/sim"
	"miniaws/backend/store"
	"miniaws/ec2"
	"miniaws/iam"
)

// worker is the process that serves: what lives as long as it does. What a reset replaces is its world.
type worker struct {
	command *serveCommand
	folder  *dataFolder
	engine  backend.Engine
	root    iam.RootKey
	// keys are those that verified requests to the administration.
	keys    sigv4.KeyCache
	metrics *metrics
	idler   idler
	// answering is closed when the endpoint answers, stopping when the server is to end.
	answering, stopping chan struct{}
	worlds
}

func (w *worker) now() time.Time { return time.Now() }

// work opens what the cloud stands on, serves on the listener until the context ends, and closes everything in the
// opposite order. names may be nil. ready is called once, when the endpoint answers.
func (c *serveCommand) work(ctx context.Context, folder *dataFolder, listener net.Listener, names *nameserver.Server, ready func()) (err error) {
	w := &worker{command: c, folder: folder, answering: make(chan struct{}), stopping: make(chan struct{})}
	w.failed = make(chan error, 1)
	w.metrics = newMetrics(w.storeStats)
	if w.root, err = c.rootKey(folder.path, makeRootKey); err != nil {
		return err
	}
	if w.engine, err = c.openEngine(ctx, folder); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.engine.Close()) }()
	if err := w.openWorld(ctx); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.closeWorld()) }()

	server := &http.Server{
		Handler: w.endpoint(),
		// A client that is slow with its headers or that leaves a connection idle must not hold it forever.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ConnContext:       withConnection,
		ConnState:         connectionState,
		ErrorLog:          slog.NewLogLogger(slog.Default().Handler(), slog.LevelWarn),
	}
	listener = patientListener{listener}
	served := make(chan error, 1)
	go func() {
		if c.TLSCert != "" {
			served <- server.ServeTLS(listener, c.TLSCert, c.TLSKey)
		} else {
			served <- server.Serve(listener)
		}
	}()
	ready()
	close(w.answering)
	if names != nil {
		names.Serve(w.zone(listener.Addr(), names))
		defer func() { err = errors.Join(err, names.Close()) }()
	}
	resting, stopResting := context.WithCancel(ctx)
	var rest sync.WaitGroup
	rest.Go(func() { w.idler.run(resting, func() store.DB { return w.world.Load().db }) })
	defer rest.Wait()
	defer stopResting()

	select {
	case err = <-served:
	case err = <-w.failed:
	case <-ctx.Done():
		slog.Info("stopping", "runs on", !c.Ephemeral)
	}
	close(w.stopping)
	return errors.Join(err, shutDown(server))
}

// shutDown gives requests under way a while to end; whoever started this process may be waiting for it.
func shutDown(server *http.Server) error {
	grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		slog.Warn("requests that did not end in 10 s were cut off")
		err = server.Close()
	}
	return err
}

// openStore opens the store, brings its rows to the schemas, and says in one sentence what stands in its way.
func openStore(ctx context.Context, path string, schemas []store.Schema) (store.DB, error) {
	db, err := store.Open(ctx, path, store.DiskOptions{Schemas: schemas})
	switch {
	case errors.Is(err, store.ErrNewer):
		return nil, fmt.Errorf("%s was written by a newer mini-aws, so this one cannot read it: use that one, or another --data (%w)", path, err)
	case errors.Is(err, store.ErrLocked):
		return nil, fmt.Errorf("%s is in use by another process; stop that one, or serve with another --data", path)
	}
	if err != nil {
		return nil, err
	}
	if why := db.Stats().Rebuilt; why != "" {
		slog.Warn("the store's index was made again from its log", "reason", why)
	}
	return db, nil
}

// loadKey answers the key of secrets at rest; an installation that keeps nothing has a new one each time.
func (w *worker) loadKey() (seal.Key, error) {
	if w.command.Ephemeral {
		return seal.NewKey(), nil
	}
	return seal.Load(filepath.Join(w.folder.path, "secrets.key"))
}

// openEngine answers the engine that the settings name. A Docker engine need not be there: what needs it says so until it
// is. Left to itself it simulates where no Docker engine answers, but never for an installation whose instances already
// are containers somewhere.
func (c *serveCommand) openEngine(ctx context.Context, folder *dataFolder) (backend.Engine, error) {
	if c.Engine == "sim" {
		return openSimulated(), nil
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	engine, err := docker.Open(ctx, folder.installation)
	if err == nil {
		slog.Info("instances are containers of the Docker engine")
		return engine, folder.noteDocker()
	}
	if c.Engine == "docker" || folder.usedDocker() {
		slog.Warn("THE DOCKER ENGINE DOES NOT ANSWER: what needs it fails until it does, all else works", "reason", err)
		return docker.Connect(folder.installation)
	}
	slog.Warn("NO DOCKER ENGINE: instances are simulated, nothing real runs behind them", "reason", err)
	return openSimulated(), nil
}

func openSimulated() backend.Engine { return sim.Open(time.Now, ec2.IsImageReference) }
