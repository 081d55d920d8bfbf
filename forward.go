package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"github.com/spf13/pflag"
	"golang.org/x/crypto/ssh"

	"miniaws/backend/relay"
)

// forwarding is a port of this machine behind which something that an instance reaches answers.
type forwarding struct{ listen, target string }

// parseForwarding reads OpenSSH's form of it, [BIND:]PORT:HOST:PORT. IPv6 addresses are in brackets.
func parseForwarding(text string) (forwarding, error) {
	wrong := fmt.Errorf("%q is not [BIND:]PORT:HOST:PORT", text)
	fields := splitColons(text)
	if len(fields) == 3 {
		fields = append([]string{"127.0.0.1"}, fields...)
	}
	if len(fields) != 4 || fields[2] == "" {
		return forwarding{}, wrong
	}
	for at, lowest := range map[int]uint64{1: 0, 3: 1} {
		if port, err := strconv.ParseUint(fields[at], 10, 16); err != nil || port < lowest {
			return forwarding{}, wrong
		}
	}
	return forwarding{net.JoinHostPort(fields[0], fields[1]), net.JoinHostPort(fields[2], fields[3])}, nil
}

// splitColons cuts at the colons outside of brackets, and takes the brackets away.
func splitColons(text string) []string {
	fields, depth := []string{""}, 0
	for _, c := range text {
		switch {
		case c == '[':
			depth++
		case c == ']':
			depth--
		case c == ':' && depth == 0:
			fields = append(fields, "")
			continue
		}
		if c != '[' && c != ']' {
			fields[len(fields)-1] += string(c)
		}
	}
	return fields
}

// forwardedPorts are those that listen.
type forwardedPorts struct{ listeners []net.Listener }

// forward listens for all of them, or for none. What is connected goes the session's way: past the instance's init, which
// dials the target from inside.
func forward(ctx context.Context, client *ssh.Client, all []forwarding) (*forwardedPorts, error) {
	f := &forwardedPorts{}
	for _, one := range all {
		listener, err := net.Listen("tcp", one.listen)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.listeners = append(f.listeners, listener)
		slog.Info("forwarding", "from", listener.Addr().String(), "to", one.target)
		go accept(ctx, client, listener, one.target)
	}
	return f, nil
}

func accept(ctx context.Context, client *ssh.Client, listener net.Listener, target string) {
	for {
		near, err := listener.Accept()
		if err != nil {
			return // closed
		}
		go func() {
			far, err := client.DialContext(ctx, "tcp", target)
			if err != nil {
				slog.Error("the instance does not reach it", "target", target, "err", err)
				_ = near.Close()
				return
			}
			relay.Both(near, far)
		}()
	}
}

// Close ends the listening; connections end with the session.
func (f *forwardedPorts) Close() error {
	var errs []error
	for _, l := range f.listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}

// untilOver waits for an interruption, which is the wanted end, or for the end of the session, which is none.
func untilOver(ctx context.Context, client *ssh.Client) error {
	over := make(chan error, 1)
	go func() { over <- client.Wait() }()
	select {
	case <-ctx.Done():
		return nil
	case err := <-over:
		return fmt.Errorf("the session has ended: %w", err)
	}
}

// localForwards is for the flags of a command that forwards.
type localForwards struct {
	Local     []string
	NoCommand bool
}

func (l *localForwards) addForwardFlags(flags *pflag.FlagSet) {
	flags.StringArrayVarP(&l.Local, "local", "L", nil, "Forward a port of this machine to what the instance reaches at HOST:PORT, as `[BIND:]PORT:HOST:PORT` (BIND is 127.0.0.1). Can be repeated.")
	flags.BoolVarP(&l.NoCommand, "no-command", "N", false, "Run no command: only forward, until interrupted.")
}

// forwardings are those that are asked for.
func (l localForwards) forwardings() ([]forwarding, error) {
	if l.NoCommand && len(l.Local) == 0 {
		return nil, errors.New("-N without -L would do nothing")
	}
	var all []forwarding
	for _, text := range l.Local {
		one, err := parseForwarding(text)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, nil
}
