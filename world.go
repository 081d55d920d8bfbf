package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"miniaws/awsapi"
	"miniaws/backend"
	"miniaws/backend/store"
)

// world is what a reset replaces: the store, the services over it, and their loop.
type world struct {
	db    store.DB
	cloud *cloud
	// network is what the cloud's VPCs are made of.
	network backend.VPCNetwork
	// bytes is a folder that goes with the world; empty for a world that is kept.
	bytes string
	stop  context.CancelFunc
	// looping ends when the loop has.
	looping sync.WaitGroup
	// warmth is nil where nothing real runs.
	warmth *warmth
}

// worlds is the part of the worker that opens and replaces its world.
type worlds struct {
	world atomic.Pointer[world]
	// resetting is held while one world takes another's place.
	resetting sync.Mutex
	// failed receives the error of a loop that cannot go on.
	failed chan error
}

// openWorld opens the store and makes the services. In an installation that keeps nothing it first removes what an
// earlier one left on the engine: nobody knows it any more.
func (w *worker) openWorld(ctx context.Context) (err error) {
	made := &world{}
	data := w.folder.path
	key, err := w.loadKey()
	if err != nil {
		return err
	}
	if w.command.Ephemeral {
		if err := w.removeEverything(ctx); err != nil {
			return fmt.Errorf("what an earlier start left on the engine cannot be removed: %w", err)
		}
		if made.bytes, err = w.freshBytes(); err != nil {
			return err
		}
		data = made.bytes
		made.db = store.OpenMemory(store.Options{})
		err = store.Migrate(ctx, made.db, tables()...)
	} else {
		made.db, err = openStore(ctx, filepath.Join(w.folder.path, "store"), tables())
	}
	if err != nil {
		return err
	}
	made.network = w.newNetwork()
	made.cloud = newCloud(cloudConfig{
		DB: made.db, Key: key, Engine: w.engine, Network: made.network, Installation: w.folder.installation, Data: data,
		Account: w.command.AccountID, Region: w.command.Region, Domain: w.command.Domain, AtRest: w.command.AtRest,
		TrailEvery: w.command.TrailEvery, DigestEvery: w.command.DigestEvery, FlowLogsEvery: w.command.FlowLogsEvery,
		Root: w.root, Recorders: []awsapi.Recorder{w.metrics},
		S3EventsWebhook: w.command.S3EventsWebhook, ClassicBuckets: w.command.S3ClassicBuckets, S3LogsEvery: w.command.S3LogsEvery,
	})
	made.network.Answer(made.cloud.answers(w.command.Domain, w.command.Region))
	looping, stop := context.WithCancel(context.WithoutCancel(ctx))
	made.stop = stop
	made.looping.Go(func() {
		if err := made.cloud.loop.Run(looping); err != nil {
			select {
			case w.failed <- err:
			default: // one is enough
			}
		}
	})
	made.warmth = w.newWarmth(made)
	made.looping.Go(func() { made.warmth.make(looping, w.answering) })
	w.world.Store(made)
	return nil
}

// closeWorld ends the loop and closes the store. What an installation that keeps nothing has on the engine goes, and with
// it the installation's id.
func (w *worker) closeWorld() error {
	last := w.world.Load()
	err := last.close()
	if !w.command.Ephemeral {
		return err
	}
	removal := w.removeEverything(context.Background())
	if removal == nil {
		removal = w.folder.forget()
	}
	return errors.Join(err, removal)
}

func (w *world) close() error {
	w.stop()
	w.looping.Wait()
	err := w.cloud.machines.FlushFlowLogs(context.Background())
	err = errors.Join(err, w.cloud.audit.Flush(context.Background()))
	unused, failure := w.warmth.unused(context.Background())
	err = errors.Join(err, failure, w.network.Close(), w.db.Close())
	if unused {
		err = errors.Join(err, w.warmth.remove(context.Background()))
	}
	if w.bytes != "" {
		err = errors.Join(err, os.RemoveAll(w.bytes))
	}
	return err
}

// freshBytes makes an empty folder for the bytes of a world that is not kept; those of earlier ones go.
func (w *worker) freshBytes() (string, error) {
	const prefix = "ephemeral-"
	old, err := filepath.Glob(filepath.Join(w.folder.path, prefix+"*"))
	if err != nil {
		return "", err
	}
	for _, path := range old {
		if err := os.RemoveAll(path); err != nil {
			return "", err
		}
	}
	return os.MkdirTemp(w.folder.path, prefix)
}

// removeEverything removes all that the installation has on its engine.
func (w *worker) removeEverything(ctx context.Context) error {
	inventory, ok := w.engine.(backend.Inventory)
	if !ok {
		return errors.New("this engine cannot tell what is on it")
	}
	err := inventory.RemoveEverything(ctx, func(o backend.Object) {
		slog.Info("removed", "kind", o.Kind, "name", o.Name)
	})
	return errors.Join(err, w.forgetAgent())
}

// reset puts a new world in the place of the old one. Calls that are under way in the old one fail.
func (w *worker) reset(ctx context.Context) error {
	w.resetting.Lock()
	defer w.resetting.Unlock()
	// A client that leaves must not leave half a reset behind.
	ctx = context.WithoutCancel(ctx)
	if err := w.world.Load().close(); err != nil {
		return err
	}
	return w.openWorld(ctx)
}

// resetAccount removes what one account has. The account itself and its root user's key stay.
func (w *worker) resetAccount(ctx context.Context, account string) error {
	w.resetting.Lock()
	defer w.resetting.Unlock()
	now := w.world.Load()
	for _, s := range now.cloud.services {
		if f, ok := s.(forgetful); ok {
			if err := f.ForgetAccount(ctx, account); err != nil {
				return err
			}
		}
	}
	if err := store.RemoveScope(ctx, now.db, store.Scope{Account: account}); err != nil {
		return err
	}
	return now.cloud.loop.SweepNow(ctx)
}

// storeStats is for the metrics.
func (w *worker) storeStats() store.Stats {
	if now := w.world.Load(); now != nil {
		return now.db.Stats()
	}
	return store.Stats{}
}
