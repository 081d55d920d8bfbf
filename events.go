package main

import (
	"fmt"
	"net/http"
	"time"
)

// heartbeat is how often a feed without events says that it is alive.
const heartbeat = 15 * time.Second

// events answers GET /_mini/events: the records of all calls as they are made, as server-sent events. One who reads too
// slowly misses some, and is told how many.
func (a *administration) events(w http.ResponseWriter, r *http.Request) {
	watch := a.worker.world.Load().cloud.audit.Watch()
	defer watch.Close()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	send := func(format string, values ...any) bool {
		_, err := fmt.Fprintf(w, format, values...)
		return err == nil && control.Flush() == nil
	}
	if !send(": the calls of this cloud, as they are made\n\n") {
		return
	}
	for {
		sent := true
		select {
		case <-r.Context().Done():
			return
		case <-a.worker.stopping:
			return // a feed must not hold up the end
		case <-beat.C:
			sent = send(": alive\n\n")
		case record := <-watch.Events:
			if missed := watch.Missed(); missed > 0 {
				sent = send("event: missed\ndata: %d\n\n", missed)
			}
			sent = sent && send("event: call\ndata: %s\n\n", record)
		}
		if !sent {
			return
		}
	}
}
