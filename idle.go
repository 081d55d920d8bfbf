package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"miniaws/backend/store"
)

// idlePause is how long no request comes until the process gives memory back.
const idlePause = 10 * time.Second

// idler gives memory back whenever requests came and then none for a while.
type idler struct {
	// requests counts those that came.
	requests atomic.Uint64
}

// run gives memory back until the context ends; the first time after the start.
func (i *idler) run(ctx context.Context, db func() store.DB) {
	ticker := time.NewTicker(idlePause)
	defer ticker.Stop()
	before, rested := i.requests.Load(), false
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		switch now := i.requests.Load(); {
		case now != before:
			before, rested = now, false
		case !rested:
			rested = true
			if err := errors.Join(store.Trim(db()), releaseProgram()); err != nil {
				slog.Warn("memory cannot be given back", "error", err)
			}
		}
	}
}

// restParent gives back what the parent's own initialization took, once the start is over.
func restParent() {
	debug.FreeOSMemory()
	if err := releaseProgram(); err != nil {
		slog.Warn("memory cannot be given back", "error", err)
	}
}
