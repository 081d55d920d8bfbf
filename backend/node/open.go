package node

import (
	"bufio"
	"bytes"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/protocol"
)

// Host brings up what the agent needs on its engine.
type Host interface {
	// EnsurePublicBridge makes the network on the internet's side of VPCs.
	EnsurePublicBridge(ctx context.Context) (backend.PublicBridge, error)
	// EnsureAgent makes the agent's container run; created tells that it is a new one.
	EnsureAgent(ctx context.Context, spec backend.AgentSpec) (created bool, err error)
}

// Options are what [Open] needs.
type Options struct {
	Host Host
	// Owner is the installation id.
	Owner string
	// Folder is one of this installation's, for the socket; the engine must be on this machine to see it too.
	Folder string
	// Binary is this program's own file; empty finds it.
	Binary string

	// spec is how the agent's container is made.
	spec backend.AgentSpec
}

// target is where the agent has the folder.
const target = "/run/mini-aws"

// startPatience is how long a new agent may take until it answers.
const startPatience = 20 * time.Second

// New answers a network whose agent is brought up when it is needed first; where this installation has used one before,
// at once, in the background.
func New(options Options) *Network {
	n := &Network{options: options, wanted: map[string]backend.WantedVPC{}, transits: map[string]backend.WantedTransitGateway{}, attached: map[string]backend.Attachment{}, opening: make(chan struct{}, 1)}
	n.answers.init()
	n.client = &http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return n.dial(ctx) },
		MaxIdleConnsPerHost: 16, DisableCompression: true,
	}}
	n.background, n.stop = context.WithCancel(context.Background())
	if _, err := os.Lstat(filepath.Join(options.Folder, protocol.Socket)); err == nil {
		n.ended.Go(func() {
			if err := n.ready(n.background); err != nil && n.background.Err() == nil {
				slog.Error("the node agent, which this installation had, does not come back: no VPC changes until it does", "error", err)
			}
		})
	}
	return n
}

// Open is New for those who want to know at once: it answers when the agent works, as this program's version.
// Kinds: KindUnsupported (the engine is elsewhere, the kernel lacks something: the message names it), KindUnavailable,
// KindPermanent (the engine refuses the container).
func Open(ctx context.Context, options Options) (*Network, error) {
	n := New(options)
	if err := n.ready(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

// remembered is how long a failure to bring the agent up is the answer to further calls.
const remembered = 10 * time.Second

// ready brings the agent up, once.
func (n *Network) ready(ctx context.Context) error {
	select {
	case n.opening <- struct{}{}:
		defer func() { <-n.opening }()
	case <-ctx.Done():
		return &backend.Error{Kind: backend.KindUnavailable, Op: "open", Object: "node", Err: ctx.Err()}
	}
	if n.opened {
		return nil
	}
	if n.failure != nil && time.Since(n.failed) < remembered {
		return n.failure
	}
	if n.folder == nil {
		n.failure = n.prepare(ctx)
	} else {
		n.failure = nil
	}
	if n.failure == nil {
		n.failure = n.start(ctx)
	}
	if n.failure == nil {
		n.failure = n.inspect(ctx)
	}
	n.failed = time.Now()
	if n.failure != nil {
		if backend.KindOf(n.failure) == 0 { // the folder's
			n.failure = &backend.Error{Kind: backend.KindUnavailable, Op: "open", Object: "node", Err: n.failure}
		}
		return n.failure
	}
	n.opened = true
	n.ended.Go(func() { n.offer(n.background) })
	return nil
}

// prepare makes the folder, the bridge and the agent's specification.
func (n *Network) prepare(ctx context.Context) error {
	if err := os.MkdirAll(n.options.Folder, 0o700); err != nil {
		return err
	}
	folder, err := filepath.Abs(n.options.Folder)
	if err != nil {
		return err
	}
	if n.options.Binary == "" {
		if n.options.Binary, err = os.Executable(); err != nil {
			return err
		}
	}
	digest, err := protocol.Digest(n.options.Binary)
	if err != nil {
		return err
	}
	if err := standsAlone(n.options.Binary); err != nil {
		return &backend.Error{Kind: backend.KindUnsupported, Op: "open", Object: "node", Err: err}
	}
	bridge, err := n.options.Host.EnsurePublicBridge(ctx)
	if err != nil {
		return err
	}
	options := AgentOptions{
		Owner: n.options.Owner, Folder: target, UID: os.Getuid(), GID: os.Getgid(),
		Bridge: bridge.Device, Range: bridge.Range, Gateway: bridge.Gateway, Supervise: true,
	}
	n.options.spec = backend.AgentSpec{Binary: n.options.Binary, Digest: digest, Arguments: options.arguments(), Folder: folder, Target: target}
	n.folder, err = os.Open(folder)
	return err
}

// Possible answers why this program could not be a node agent at all, or nil. Empty names the program that runs. Whether
// the engine's kernel has what VPCs need is seen when the agent is brought up.
func Possible(binary string) error {
	if runtime.GOOS != "linux" {
		return errors.New("the node agent runs on Linux")
	}
	if binary == "" {
		var err error
		if binary, err = os.Executable(); err != nil {
			return err
		}
	}
	return standsAlone(binary)
}

// standsAlone fails for a program that needs a loader or libraries: the container has none.
func standsAlone(path string) error {
	binary, err := elf.Open(path)
	if err != nil {
		return fmt.Errorf("the node agent is a Linux program, and %s is none: %w", path, err)
	}
	defer func() { _ = binary.Close() }()
	for _, section := range binary.Progs {
		if section.Type == elf.PT_INTERP {
			return fmt.Errorf("%s needs a dynamic loader, which the node agent's container does not have: build it with CGO_ENABLED=0", path)
		}
	}
	return nil
}

// start makes the container run and waits until the agent in it answers as this program's version.
func (n *Network) start(ctx context.Context) error {
	created, err := n.options.Host.EnsureAgent(ctx, n.options.spec)
	if err != nil {
		return err
	}
	version, err := n.await(ctx, func(protocol.Version) bool { return true })
	if err != nil {
		return err
	}
	if version.Digest != n.options.spec.Digest {
		if err := n.upgrade(ctx); err != nil {
			return err
		}
		if _, err := n.await(ctx, func(v protocol.Version) bool { return v.Digest == n.options.spec.Digest }); err != nil {
			return err
		}
	}
	if created {
		return n.repeat(ctx)
	}
	return nil
}

// await waits for an agent of the version.
func (n *Network) await(ctx context.Context, right func(protocol.Version) bool) (protocol.Version, error) {
	ctx, cancel := context.WithTimeout(ctx, startPatience)
	defer cancel()
	for {
		var version protocol.Version
		err := n.once(ctx, http.MethodGet, "/version", nil, &version)
		if err == nil && right(version) {
			return version, nil
		}
		select {
		case <-ctx.Done():
			return version, &backend.Error{Kind: backend.KindUnsupported, Op: "open", Object: "node", Err: fmt.Errorf(
				"the node agent's container runs and does not answer in %s (is the engine on another machine? its log says more): %w", n.options.Folder, errors.Join(err, ctx.Err()))}
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// upgrade sends this program to the agent, which ends for it. Packets between instances do not notice.
func (n *Network) upgrade(ctx context.Context) error {
	file, err := os.Open(n.options.spec.Binary)
	if err != nil {
		return err
	}
	defer file.Close()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://node/upgrade?digest="+n.options.spec.Digest, file)
	if err != nil {
		return err
	}
	answer, err := n.client.Do(request)
	if err != nil {
		return &backend.Error{Kind: backend.KindUnavailable, Op: "upgrade", Object: "node", Err: err}
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		content, _ := io.ReadAll(answer.Body)
		return &backend.Error{Kind: backend.KindUnavailable, Op: "upgrade", Object: "node", Err: fmt.Errorf("%s: %s", answer.Status, bytes.TrimSpace(content))}
	}
	return nil
}

// inspect fails where the kernel cannot hold VPCs.
func (n *Network) inspect(ctx context.Context) error {
	var info backend.NetworkInfo
	if err := n.ask(ctx, http.MethodGet, "/info", nil, &info); err != nil {
		return err
	}
	if !info.Usable {
		return &backend.Error{Kind: backend.KindUnsupported, Op: "open", Object: "node", Err: fmt.Errorf("kernel %s: %q", info.Kernel, info.Missing)}
	}
	return nil
}

// repeat tells a new agent everything that the last one was told.
func (n *Network) repeat(ctx context.Context) error {
	n.mu.Lock()
	var vpcs []backend.WantedVPC
	for _, wanted := range n.wanted {
		vpcs = append(vpcs, wanted)
	}
	var transits []backend.WantedTransitGateway
	for _, wanted := range n.transits {
		transits = append(transits, wanted)
	}
	var attachments []backend.Attachment
	for _, attachment := range n.attached {
		attachments = append(attachments, attachment)
	}
	n.mu.Unlock()
	var errs []error
	for _, wanted := range vpcs {
		errs = append(errs, n.ask(ctx, http.MethodPut, "/vpcs/"+url.PathEscape(wanted.ID), wanted, nil))
	}
	for _, wanted := range transits {
		errs = append(errs, n.ask(ctx, http.MethodPut, "/transit-gateways/"+url.PathEscape(wanted.ID), wanted, nil))
	}
	for _, attachment := range attachments {
		// A container that ended meanwhile is not the agent's concern.
		if err := n.ask(ctx, http.MethodPut, "/enis", attachment, nil); err != nil && backend.KindOf(err) != backend.KindNotFound {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// dial connects to the agent's socket, whose path may be longer than the kernel takes for one.
func (n *Network) dial(ctx context.Context) (net.Conn, error) {
	path := fmt.Sprintf("/proc/self/fd/%d/%s", n.folder.Fd(), protocol.Socket)
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// upgradeConnection sends the request for a bare connection and reads its answer.
func upgradeConnection(connection net.Conn, path string) (net.Conn, error) {
	_, err := fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: node\r\nConnection: Upgrade\r\nUpgrade: %s\r\nContent-Length: 0\r\n\r\n", path, protocol.UpgradeProtocol)
	if err != nil {
		return nil, err
	}
	reader := bufio.NewReader(connection)
	answer, err := http.ReadResponse(reader, nil)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusSwitchingProtocols {
		defer func() { _ = answer.Body.Close() }()
		return nil, failureIn(answer)
	}
	return &upgradedConnection{Conn: connection, reader: reader}, nil
}

// upgradedConnection is a connection whose first bytes may have been read with the answer's head.
type upgradedConnection struct {
	net.Conn
	reader *bufio.Reader
}

func (c *upgradedConnection) Read(p []byte) (int, error) { return c.reader.Read(p) }

// CloseWrite tells the other side that nothing more comes.
func (c *upgradedConnection) CloseWrite() error {
	if half, ok := c.Conn.(*net.UnixConn); ok {
		return half.CloseWrite()
	}
	return nil
}

// offer keeps a session open on which the agent can ask, and brings the agent back where it is gone.
func (n *Network) offer(ctx context.Context) {
	const pause = 100 * time.Millisecond
	failures := 0
	for ctx.Err() == nil {
		connection, err := n.become(ctx, "/back")
		if err == nil {
			failures = 0
			n.answers.serve(ctx, connection)
			continue
		}
		failures++
		if failures%20 == 0 && ctx.Err() == nil {
			slog.Warn("the node agent is gone: bringing it back", "error", err)
			if err := n.start(ctx); err != nil && ctx.Err() == nil {
				slog.Error("the node agent does not come back", "error", err)
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}
