package agent

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"miniaws/backend"
	"miniaws/backend/node/plan"
	"miniaws/backend/node/protocol"
	"miniaws/backend/relay"
)

// listen answers the gateway until the context ends.
func (a *Agent) listen(ctx context.Context) error {
	path := filepath.Join(a.options.Folder, protocol.Socket)
	// Made beside its place and moved there: whoever finds it can use it.
	fresh := path + ".new"
	if err := os.Remove(fresh); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", fresh)
	if err != nil {
		return err
	}
	listener.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := errors.Join(os.Chmod(fresh, 0o600), os.Chown(fresh, a.options.UID, a.options.GID), os.Rename(fresh, path)); err != nil {
		return err
	}
	server := &http.Server{Handler: a.routes(), ReadHeaderTimeout: 10 * time.Second}
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	slog.Info("the node agent answers", "vpcs", len(a.vpcs), "pid", os.Getpid())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

func (a *Agent) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /info", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.info()) })
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) {
		digest, err := protocol.Digest("/proc/self/exe")
		if err != nil {
			fail(w, "version", "agent", err)
			return
		}
		answer(w, protocol.Version{Digest: digest, PID: os.Getpid()})
	})
	mux.HandleFunc("GET /vpcs", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.listVPCs()) })
	mux.HandleFunc("PUT /vpcs/{vpc}", func(w http.ResponseWriter, r *http.Request) {
		var wanted backend.WantedVPC
		if !read(w, r, &wanted) {
			return
		}
		observed, err := a.applyVPC(wanted)
		if err != nil {
			fail(w, "apply vpc", wanted.ID, err)
			return
		}
		answer(w, observed)
	})
	mux.HandleFunc("DELETE /vpcs/{vpc}", func(w http.ResponseWriter, r *http.Request) {
		if err := a.removeVPC(r.PathValue("vpc")); err != nil {
			fail(w, "remove vpc", r.PathValue("vpc"), err)
			return
		}
		answer(w, nil)
	})
	mux.HandleFunc("GET /transit-gateways", func(w http.ResponseWriter, _ *http.Request) { answer(w, a.listTransits()) })
	mux.HandleFunc("PUT /transit-gateways/{gateway}", func(w http.ResponseWriter, r *http.Request) {
		var wanted backend.WantedTransitGateway
		if !read(w, r, &wanted) {
			return
		}
		observed, err := a.applyTransit(wanted)
		if err != nil {
			fail(w, "apply transit gateway", wanted.ID, err)
			return
		}
		answer(w, observed)
	})
	mux.HandleFunc("DELETE /transit-gateways/{gateway}", func(w http.ResponseWriter, r *http.Request) {
		if err := a.removeTransit(r.PathValue("gateway")); err != nil {
			fail(w, "remove transit gateway", r.PathValue("gateway"), err)
			return
		}
		answer(w, nil)
	})
	mux.HandleFunc("PUT /enis", func(w http.ResponseWriter, r *http.Request) {
		var wanted backend.Attachment
		if !read(w, r, &wanted) {
			return
		}
		observed, err := a.attachENI(r.Context(), wanted)
		if err != nil {
			fail(w, "attach eni", wanted.ENI, err)
			return
		}
		answer(w, observed)
	})
	mux.HandleFunc("DELETE /vpcs/{vpc}/enis/{eni}", func(w http.ResponseWriter, r *http.Request) {
		if err := a.detachENI(r.PathValue("vpc"), r.PathValue("eni")); err != nil {
			fail(w, "detach eni", r.PathValue("eni"), err)
			return
		}
		answer(w, nil)
	})
	mux.HandleFunc("GET /vpcs/{vpc}/look", a.look)
	mux.HandleFunc("GET /flows", a.sendFlows)
	mux.HandleFunc("POST /dial", a.dial)
	mux.HandleFunc("POST /dial-public", a.dialPublic)
	mux.HandleFunc("POST /back", a.back.accept)
	mux.HandleFunc("POST /upgrade", upgrade)
	return mux
}

func answer(w http.ResponseWriter, value any) {
	w.Header().Set("Content-Type", "application/json")
	// Whoever asked may be gone: nothing is left to do about it.
	_ = json.NewEncoder(w).Encode(value)
}

func fail(w http.ResponseWriter, op, object string, err error) {
	slog.Warn("a call failed", "op", op, "object", object, "error", err)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusUnprocessableEntity)
	_ = json.NewEncoder(w).Encode(protocol.FailureOf(op, object, err))
}

func read(w http.ResponseWriter, r *http.Request, value any) bool {
	if err := json.NewDecoder(r.Body).Decode(value); err != nil {
		fail(w, r.Method, r.URL.Path, &backend.Error{Kind: backend.KindPermanent, Op: r.Method, Object: r.URL.Path, Err: err})
		return false
	}
	return true
}

// upgrade takes a new binary and ends: the supervisor starts it.
func upgrade(w http.ResponseWriter, r *http.Request) {
	if err := takeBinary(r.Body, r.URL.Query().Get("digest")); err != nil {
		fail(w, "upgrade", "agent", err)
		return
	}
	answer(w, nil)
	slog.Info("upgraded: the next agent takes over")
	if flusher, ok := w.(http.Flusher); ok {
		flusher.Flush()
	}
	time.AfterFunc(100*time.Millisecond, func() { os.Exit(0) })
}

func takeBinary(content io.Reader, digest string) error {
	if err := os.MkdirAll(filepath.Dir(currentBinary), 0o700); err != nil {
		return err
	}
	fresh, err := os.OpenFile(currentBinary+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o700)
	if err != nil {
		return err
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(fresh, sum), content)
	if err := errors.Join(err, fresh.Close()); err != nil {
		return err
	}
	if got := hex.EncodeToString(sum.Sum(nil)); got != digest {
		return fmt.Errorf("the binary that came is %s, and %s was announced", got, digest)
	}
	return os.Rename(currentBinary+".new", currentBinary)
}

// hijack turns the request into a bare connection.
func hijack(w http.ResponseWriter) (net.Conn, error) {
	hijacker, ok := w.(http.Hijacker)
	if !ok {
		return nil, errors.New("the connection cannot be taken over")
	}
	connection, buffered, err := hijacker.Hijack()
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: %s\r\n\r\n", protocol.UpgradeProtocol)
	if err := errors.Join(err, buffered.Flush()); err != nil {
		return nil, errors.Join(err, connection.Close())
	}
	return connection, nil
}

// dialPatience bounds one connection attempt.
const dialPatience = 5 * time.Second

// dial connects the gateway with an address inside a VPC, as the VPC's router.
func (a *Agent) dial(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	id, network := query.Get("vpc"), query.Get("network")
	address, err := netip.ParseAddrPort(query.Get("address"))
	if err != nil || network != "tcp" && network != "udp" {
		fail(w, "dial vpc", id, &backend.Error{Kind: backend.KindPermanent, Op: "dial vpc", Object: id, Err: fmt.Errorf("no address to connect to: %s %q", network, query.Get("address"))})
		return
	}
	inside, err := a.dialInside(r.Context(), id, network, address)
	if err != nil {
		fail(w, "dial vpc", id, err)
		return
	}
	outside, err := hijack(w)
	if err != nil {
		slog.Warn("dial", "vpc", id, "error", errors.Join(err, inside.Close()))
		return
	}
	relay.Both(inside, outside)
}

func (a *Agent) dialInside(ctx context.Context, id, network string, address netip.AddrPort) (net.Conn, error) {
	a.mu.Lock()
	v := a.vpcs[id]
	if v == nil || v.router == nil {
		a.mu.Unlock()
		return nil, &backend.Error{Kind: backend.KindNotFound, Op: "dial vpc", Object: id}
	}
	router, source := v.router, plan.Resolver(v.Wanted)
	a.mu.Unlock()
	// The resolver's address is in the VPC's range: instances have a way back to it.
	dialer := &net.Dialer{Timeout: dialPatience, LocalAddr: &net.TCPAddr{IP: source.AsSlice()}}
	if network == "udp" {
		dialer.LocalAddr = &net.UDPAddr{IP: source.AsSlice()}
	}
	var connection net.Conn
	err := router.Run(func() (err error) {
		connection, err = dialer.DialContext(ctx, network, address.String())
		return err
	})
	if err != nil {
		return nil, &backend.Error{Kind: backend.KindUnavailable, Op: "dial vpc", Object: id, Err: err}
	}
	return connection, nil
}

// dialPublic connects the gateway with a public address, from the engine's host: by the public bridge, as everybody outside.
func (a *Agent) dialPublic(w http.ResponseWriter, r *http.Request) {
	const op = "dial public"
	text := r.URL.Query().Get("address")
	address, err := netip.ParseAddrPort(text)
	if err == nil && !givenOut(a.options.Range).Contains(address.Addr()) {
		err = fmt.Errorf("%s is no public address of a VPC", text)
	}
	if err != nil {
		fail(w, op, text, &backend.Error{Kind: backend.KindPermanent, Op: op, Object: text, Err: err})
		return
	}
	inside, err := (&net.Dialer{Timeout: dialPatience}).DialContext(r.Context(), "tcp", address.String())
	if err != nil {
		fail(w, op, text, &backend.Error{Kind: backend.KindUnavailable, Op: op, Object: text, Err: err})
		return
	}
	outside, err := hijack(w)
	if err != nil {
		slog.Warn(op, "address", text, "error", errors.Join(err, inside.Close()))
		return
	}
	relay.Both(inside, outside)
}
