package main

import (
	"context"
	"errors"
	"log/slog"
	"runtime/debug"
	"sync/atomic"
	"time"

	"boot.miniaws"

	"miniaws/backend/store"
)

// idlePause is how long no request comes until the process gives memory back.
const idlePause = 10 * time.Second

// programPauses is how many pauses pass until an idle process lets go of its program file again, pages of which the loops
// that look after things touch now and then.
const programPauses = 3

// idler gives memory back whenever requests came and then none for a while.
type idler struct {
	// requests counts those that came.
	requests atomic.Uint64
}

// run gives memory back until the context ends; the first time after the start.
func (i *idler) run(ctx context.Context, db func() store.DB) {
	ticker := time.NewTicker(idlePause)
	defer ticker.Stop()
	before, pauses := i.requests.Load(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if now := i.requests.Load(); now != before {
			before, pauses = now, 0
			continue
		}
		var err error
		if pauses == 0 {
			err = store.Trim(db())
		}
		if pauses%programPauses == 0 {
			err = errors.Join(err, boot.ReleaseProgram())
		}
		if err != nil {
			slog.Warn("memory cannot be given back", "error", err)
		}
		pauses++
	}
}

// startIsOver has the garbage collector work as usual from now on, if this process's parent has put it off for the start.
func startIsOver() {
	if boot.CollectorWaits() {
		debug.SetGCPercent(100)
	}
}
