package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"

	vm "github.com/VictoriaMetrics/metrics"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// metrics counts calls, and shows what the process and the store count themselves, in Prometheus's text format.
type metrics struct {
	set   *vm.Set
	stats func() store.Stats

	// calls and seconds find what is counted without making its name again: a calledAs to its counter, a service's name
	// to its histogram.
	calls, seconds sync.Map
}

// calledAs are the labels of a call.
type calledAs struct{ service, operation, code string }

var _ awsapi.Recorder = (*metrics)(nil)

// secondsBounds are the upper bounds of the buckets of a call's time.
var secondsBounds = []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60}

// newMetrics makes the registry; stats answers the counters of the store that serves at that moment.
func newMetrics(stats func() store.Stats) *metrics {
	vm.ExposeMetadata(true)
	m := &metrics{set: vm.NewSet(), stats: stats}
	m.set.RegisterMetricsWriter(m.writeStore)
	m.set.RegisterMetricsWriter(vm.WriteProcessMetrics)
	return m
}

// Record counts one call. What nobody could make a name of is counted under an empty operation: names are bounded by
// the metadata, never by what clients send.
func (m *metrics) Record(_ context.Context, o *awsapi.Outcome) error {
	as := calledAs{"", o.Operation, o.Code}
	if o.Service != nil {
		as.service = o.Service.Name
	}
	if o.Err == nil {
		as.code = "OK"
	}
	m.counter(as).Inc()
	m.histogram(as.service).Update(o.Took.Seconds())
	return nil
}

// counter counts AWS calls by service, operation and error code; the code is OK for those that succeeded.
func (m *metrics) counter(as calledAs) *vm.Counter {
	if known, ok := m.calls.Load(as); ok {
		return known.(*vm.Counter)
	}
	made := m.set.GetOrCreateCounter(fmt.Sprintf("mini_aws_calls_total{code=%q,operation=%q,service=%q}", as.code, as.operation, as.service))
	m.calls.Store(as, made)
	return made
}

// histogram has the time from a call's headers to its answer, without the body of an object that streams.
func (m *metrics) histogram(service string) *vm.PrometheusHistogram {
	if known, ok := m.seconds.Load(service); ok {
		return known.(*vm.PrometheusHistogram)
	}
	made := m.set.GetOrCreatePrometheusHistogramExt(fmt.Sprintf("mini_aws_call_duration_seconds{service=%q}", service), secondsBounds)
	m.seconds.Store(service, made)
	return made
}

func (m *metrics) handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		m.set.WritePrometheus(w)
	})
}

// writeStore shows the store's counters. Commits are transactions written since the start; groups are records of the
// log, each with the transactions of one or more callers; syncs are the calls of fdatasync for them; conflicts are
// attempts that had to run again; refused are transactions for which the disk had no room; the revision is the one that
// readers see; refusing is 1 while writes are refused.
func (m *metrics) writeStore(w io.Writer) {
	now := m.stats()
	vm.WriteCounterUint64(w, "mini_aws_store_commits_total", now.Commits)
	vm.WriteCounterUint64(w, "mini_aws_store_groups_total", now.Groups)
	vm.WriteCounterUint64(w, "mini_aws_store_syncs_total", now.Syncs)
	vm.WriteCounterUint64(w, "mini_aws_store_conflicts_total", now.Conflicts)
	vm.WriteCounterUint64(w, "mini_aws_store_refused_total", now.Refused)
	vm.WriteCounterUint64(w, "mini_aws_store_log_bytes_total", now.LogBytes)
	vm.WriteCounterUint64(w, "mini_aws_store_checkpoints_total", now.Checkpoints)
	vm.WriteGaugeUint64(w, "mini_aws_store_rows", uint64(now.Rows))
	vm.WriteGaugeUint64(w, "mini_aws_store_revision", now.Revision)
	vm.WriteGaugeUint64(w, "mini_aws_store_segments", uint64(now.Segments))
	refusing := uint64(0)
	if now.Refusing != "" {
		refusing = 1
	}
	vm.WriteGaugeUint64(w, "mini_aws_store_refusing", refusing)
}
