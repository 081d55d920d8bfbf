package boot

import (
	"os"
	"strconv"
	"time"
)

// complain writes a sentence for the user, as the commands do.
func complain(err error) { say("mini-aws: error: " + err.Error()) }

// report writes a line of the log in the form of log/slog's TextHandler, which this package cannot afford: with each package
// that it imports more of the large ones are initialized first.
func report(message string, attributes ...string) {
	line := "time=" + time.Now().Format("2006-01-02T15:04:05.000Z07:00") + " level=ERROR msg=" + strconv.Quote(message)
	for i := 0; i+1 < len(attributes); i += 2 {
		line += " " + attributes[i] + "=" + strconv.Quote(attributes[i+1])
	}
	say(line)
}

// say writes a line to standard error. Where that is gone, there is nobody to tell.
func say(line string) { _, _ = os.Stderr.WriteString(line + "\n") }
