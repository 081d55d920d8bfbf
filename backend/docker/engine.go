package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	cerrdefs "github.com/containerd/errdefs"
	"github.com/docker/docker/client"

	"miniaws/backend"
)

// minAPI is the oldest version of the engine's API that we speak: Docker 20.10 has it, and one-shot statistics came
// with it.
const minAPI = "1.41"

// Engine is a connection to a Docker engine for one installation.
type Engine struct {
	client *client.Client
	owner  string
	// making holds a token while a network or files are made, in which the engine lets callers get in each other's way.
	making chan struct{}
	// filled are the digests of the files of volumes that were seen whole; whoever holds the token may use it.
	filled map[string]map[string]string
}

var (
	_ backend.Engine    = (*Engine)(nil)
	_ backend.Inventory = (*Engine)(nil)
)

// Open connects to the engine that DOCKER_HOST and its companions name, or to the default socket, and asks it for
// its version. The owner is the installation id: at least 12 letters and digits.
// Kinds: KindUnavailable (nothing answers), KindPermanent (too old an engine, bad settings).
func Open(ctx context.Context, owner string) (*Engine, error) {
	e, err := Connect(owner)
	if err != nil {
		return nil, err
	}
	ping, err := e.client.Ping(ctx)
	if err != nil {
		return nil, errors.Join(e.failure("open", "docker", err), e.Close())
	}
	e.client.NegotiateAPIVersionPing(ping)
	if err := e.checkVersion(); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Connect is [Open] for an engine that may come later: nothing is asked yet. The versions are agreed upon with the first
// call that the engine answers, and Info says whether it is too old.
// Kinds: KindPermanent (bad settings).
func Connect(owner string) (*Engine, error) {
	if len(owner) < 12 {
		return nil, &backend.Error{Kind: backend.KindPermanent, Op: "open", Object: "docker", Err: fmt.Errorf("installation id %q is too short", owner)}
	}
	api, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindPermanent, Op: "open", Object: "docker", Err: err}
	}
	return &Engine{client: api, owner: owner, making: make(chan struct{}, 1), filled: map[string]map[string]string{}}, nil
}

// checkVersion looks at the version that was agreed upon.
func (e *Engine) checkVersion() error {
	if !olderThan(e.client.ClientVersion(), minAPI) {
		return nil
	}
	err := fmt.Errorf("the engine speaks API %s; Mini AWS needs %s (Docker 20.10) or newer", e.client.ClientVersion(), minAPI)
	return &backend.Error{Kind: backend.KindPermanent, Op: "open", Object: "docker", Err: err}
}

// olderThan compares API versions such as 1.41.
func olderThan(version, floor string) bool {
	var major, minor, floorMajor, floorMinor int
	if _, err := fmt.Sscanf(version, "%d.%d", &major, &minor); err != nil {
		return true
	}
	if _, err := fmt.Sscanf(floor, "%d.%d", &floorMajor, &floorMinor); err != nil {
		return true
	}
	return major < floorMajor || major == floorMajor && minor < floorMinor
}

// Info answers what the engine says of itself.
func (e *Engine) Info(ctx context.Context) (backend.Info, error) {
	info, err := e.client.Info(ctx)
	if err != nil {
		return backend.Info{}, e.failure("info", "docker", err)
	}
	if err := e.checkVersion(); err != nil {
		return backend.Info{}, err
	}
	return backend.Info{
		Name:          "docker",
		Version:       info.ServerVersion,
		API:           e.client.ClientVersion(),
		CgroupVersion: info.CgroupVersion,
		StorageDriver: info.Driver,
		CPUs:          info.NCPU,
		MemoryBytes:   info.MemTotal,
	}, nil
}

// Close closes the idle connections to the engine.
func (e *Engine) Close() error { return e.client.Close() }

// makeAlone waits until no other caller makes a network or files; the caller calls done.
func (e *Engine) makeAlone(ctx context.Context, op, object string) (done func(), err error) {
	select {
	case e.making <- struct{}{}:
		return func() { <-e.making }, nil
	case <-ctx.Done():
		return nil, e.failure(op, object, ctx.Err())
	}
}

// toItsEnd is a context for a call that makes an object: it does not end with ctx, because the engine makes what it was
// asked for also when nobody waits for it any more, and then who removes everything next may look too early.
func toItsEnd(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
}

// failure turns the client's error into the contract's.
func (e *Engine) failure(op, object string, err error) error {
	return &backend.Error{Kind: kindOf(err), Op: op, Object: object, Err: err}
}

func kindOf(err error) backend.Kind {
	var netError net.Error
	switch {
	case cerrdefs.IsNotFound(err):
		return backend.KindNotFound
	case cerrdefs.IsConflict(err):
		return backend.KindInUse
	case cerrdefs.IsNotImplemented(err):
		return backend.KindUnsupported
	case client.IsErrConnectionFailed(err), cerrdefs.IsUnavailable(err),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled),
		errors.Is(err, os.ErrPermission), errors.As(err, &netError):
		return backend.KindUnavailable
	case cerrdefs.IsInvalidArgument(err), cerrdefs.IsPermissionDenied(err), cerrdefs.IsUnauthorized(err):
		return backend.KindPermanent
	default:
		// A 500 of the engine: it may be a full disk or a lost race, so it is worth another try.
		return backend.KindUnavailable
	}
}
