package docker

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/pkg/stdcopy"

	"miniaws/backend"
)

// Logs reads the whole log and keeps its last limit bytes in memory: the engine can count lines from the end, not
// bytes, and a line may be of any length.
func (e *Engine) Logs(ctx context.Context, id string, out io.Writer, limit int64) error {
	if _, err := e.Inspect(ctx, id); err != nil {
		return err
	}
	stream, err := e.client.ContainerLogs(ctx, e.name(id), container.LogsOptions{ShowStdout: true, ShowStderr: true})
	if err != nil {
		return e.failure("logs", id, err)
	}
	tail := &tailWriter{limit: int(limit)}
	_, err = stdcopy.StdCopy(tail, tail, stream)
	if err := errors.Join(err, stream.Close()); err != nil {
		return e.failure("logs", id, err)
	}
	_, err = out.Write(tail.bytes())
	return err
}

// tailWriter keeps the last limit bytes of what is written to it, and never holds more than twice as much.
type tailWriter struct {
	limit int
	held  []byte
}

func (t *tailWriter) Write(p []byte) (int, error) {
	t.held = append(t.held, p...)
	if len(t.held) > 2*t.limit {
		t.held = append(t.held[:0], t.bytes()...)
	}
	return len(p), nil
}

func (t *tailWriter) bytes() []byte { return t.held[max(0, len(t.held)-t.limit):] }

// Stats takes one reading, without the second that the engine's other form waits for a difference.
func (e *Engine) Stats(ctx context.Context, id string) (backend.Stats, error) {
	observed, err := e.Inspect(ctx, id)
	if err != nil {
		return backend.Stats{}, err
	}
	if observed.State != backend.StateRunning {
		return backend.Stats{}, &backend.Error{Kind: backend.KindNotFound, Op: "stats", Object: id, Err: errors.New("it does not run")}
	}
	answer, err := e.client.ContainerStatsOneShot(ctx, e.name(id))
	if err != nil {
		return backend.Stats{}, e.failure("stats", id, err)
	}
	var reading container.StatsResponse
	err = json.NewDecoder(answer.Body).Decode(&reading)
	if err := errors.Join(err, answer.Body.Close()); err != nil {
		return backend.Stats{}, e.failure("stats", id, err)
	}
	stats := backend.Stats{
		Read:        reading.Read,
		CPU:         time.Duration(reading.CPUStats.CPUUsage.TotalUsage),
		MemoryBytes: int64(reading.MemoryStats.Usage),
	}
	for _, network := range reading.Networks {
		stats.NetworkRxBytes += int64(network.RxBytes)
		stats.NetworkTxBytes += int64(network.TxBytes)
	}
	for _, entry := range reading.BlkioStats.IoServiceBytesRecursive {
		switch strings.ToLower(entry.Op) {
		case "read":
			stats.DiskReadBytes += int64(entry.Value)
		case "write":
			stats.DiskWriteBytes += int64(entry.Value)
		}
	}
	return stats, nil
}
