package guest

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// console is where the instance speaks to the world outside: what it gets is what GetConsoleOutput shows. Lines of
// different speakers do not mix.
type console struct {
	mu    sync.Mutex
	out   io.Writer
	start time.Time
}

func newConsole(out io.Writer) *console { return &console{out: out, start: time.Now()} }

// logf prints one line in the manner of a boot log, with the seconds since init began. Without a console there is
// nobody to tell that it is gone, so its errors end here.
func (c *console) logf(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = fmt.Fprintf(c.out, "[%12.6f] init: %s\n", time.Since(c.start).Seconds(), fmt.Sprintf(format, args...))
}

// print writes text as it is.
func (c *console) print(text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, _ = io.WriteString(c.out, text)
}

// maxConsoleLine is how much of a line is held back until it is complete.
const maxConsoleLine = 4096

// lineWriter passes whole lines on to the console. Close passes on the rest.
type lineWriter struct {
	console *console
	prefix  string
	pending []byte
}

// Write never fails: a console that is gone must not stop the program whose output it shows.
func (w *lineWriter) Write(text []byte) (int, error) {
	w.pending = append(w.pending, text...)
	for {
		end := bytes.IndexByte(w.pending, '\n')
		switch {
		case end >= 0:
			w.console.print(w.prefix + string(w.pending[:end+1]))
			w.pending = w.pending[end+1:]
		case len(w.pending) > maxConsoleLine:
			w.console.print(w.prefix + string(w.pending) + "\n")
			w.pending = nil
		default:
			return len(text), nil
		}
	}
}

func (w *lineWriter) Close() error {
	if len(w.pending) > 0 {
		w.console.print(w.prefix + string(w.pending) + "\n")
		w.pending = nil
	}
	return nil
}
