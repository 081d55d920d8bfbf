package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"

	"boot.miniaws"
)

// workerCommand serves, as the child of a serve that waits for its end.
type workerCommand struct{ serveCommand }

// Run serves until the context ends. The one line on standard output says that the endpoint answers.
func (c *workerCommand) Run(ctx context.Context) (err error) {
	logToStandardError()
	parent, err := boot.Join()
	if err != nil {
		return err
	}
	word, held, err := parent.Receive()
	if err != nil || word != boot.ToFirst && (word != boot.ToNext && word != boot.ToRetry || len(held) != boot.HeldFiles) {
		return errors.Join(errors.New("only serve starts a worker"), err)
	}
	go func() {
		// The parent says nothing more: this is its end. Where the system ends children with their parent, it is never
		// reached.
		_, _, _ = parent.Receive()
		os.Exit(1)
	}()
	if err := c.check(); err != nil {
		return err
	}
	folder, listener, err := c.holdings(parent, held)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, folder.close()) }()
	names, err := c.listenForNames(word == boot.ToFirst)
	if err != nil {
		return err
	}
	return c.work(ctx, folder, listener, names, func() {
		if word != boot.ToNext {
			fmt.Printf("mini-aws ready %s://%s\n", c.scheme(), listener.Addr())
		}
		startIsOver()
		if err := parent.Send(boot.NowReady); err != nil {
			slog.Warn("the parent cannot be told that the endpoint answers", "error", err)
		}
	})
}

// holdings answers the data folder and the listener: those that an earlier worker opened and the parent kept, or new ones,
// which the parent will keep.
func (c *workerCommand) holdings(parent *boot.Link, held []*os.File) (*dataFolder, net.Listener, error) {
	if len(held) == boot.HeldFiles {
		listener, err := net.FileListener(held[0])
		if err != nil {
			return nil, nil, err
		}
		held[0].Close()
		folder, err := c.adoptDataFolder(held[1])
		return folder, listener, err
	}
	folder, listener, err := c.take()
	if err != nil {
		return nil, nil, err
	}
	file, err := listener.File()
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	word := byte(boot.HoldKept)
	if c.Ephemeral {
		word = boot.HoldEphemeral
	}
	return folder, listener, parent.Send(word, file, folder.lock)
}
