package main

import (
	"context"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"miniaws/awsapi"
	"miniaws/backend/store"
)

// metrics counts calls, and shows what the process and the store count themselves.
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

var _ awsapi.Recorder = (*metrics)(nil)

// newMetrics makes the registry; stats answers the counters of the store that serves at that moment.
func newMetrics(stats func() store.Stats) *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mini_aws_calls_total",
			Help: "AWS calls by service, operation and error code; the code is OK for those that succeeded.",
		}, []string{"service", "operation", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "mini_aws_call_duration_seconds",
			Help:    "Time from a call's headers to its answer, without the body of an object that streams.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10, 60},
		}, []string{"service"}),
	}
	m.registry.MustRegister(m.calls, m.seconds,
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&storeCollector{stats},
	)
	return m
}

// Record counts one call. What nobody could make a name of is counted under an empty operation: names are bounded by
// the metadata, never by what clients send.
func (m *metrics) Record(_ context.Context, o *awsapi.Outcome) error {
	service, code := "", o.Code
	if o.Service != nil {
		service = o.Service.Name
	}
	if o.Err == nil {
		code = "OK"
	}
	m.calls.WithLabelValues(service, o.Operation, code).Inc()
	m.seconds.WithLabelValues(service).Observe(o.Took.Seconds())
	return nil
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}

// storeCollector shows the store's counters.
type storeCollector struct{ stats func() store.Stats }

type storeMetric struct {
	description *prometheus.Desc
	kind        prometheus.ValueType
	value       func(store.Stats) float64
}

func storeMetricOf(name, help string, kind prometheus.ValueType, value func(store.Stats) float64) storeMetric {
	return storeMetric{prometheus.NewDesc("mini_aws_store_"+name, help, nil, nil), kind, value}
}

var storeMetrics = []storeMetric{
	storeMetricOf("commits_total", "Transactions written since the start.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.Commits) }),
	storeMetricOf("groups_total", "Log records written, each with the transactions of one or more callers.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.Groups) }),
	storeMetricOf("syncs_total", "Calls of fdatasync for them.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.Syncs) }),
	storeMetricOf("conflicts_total", "Attempts that had to run again.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.Conflicts) }),
	storeMetricOf("refused_total", "Transactions refused for want of room on the disk.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.Refused) }),
	storeMetricOf("log_bytes_total", "Bytes written to the log.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.LogBytes) }),
	storeMetricOf("checkpoints_total", "Dumps written.", prometheus.CounterValue, func(s store.Stats) float64 { return float64(s.Checkpoints) }),
	storeMetricOf("rows", "Rows in the index.", prometheus.GaugeValue, func(s store.Stats) float64 { return float64(s.Rows) }),
	storeMetricOf("revision", "Revision that readers see.", prometheus.GaugeValue, func(s store.Stats) float64 { return float64(s.Revision) }),
	storeMetricOf("segments", "Segments of the log that are kept.", prometheus.GaugeValue, func(s store.Stats) float64 { return float64(s.Segments) }),
	storeMetricOf("refusing", "1 while writes are refused.", prometheus.GaugeValue, func(s store.Stats) float64 {
		if s.Refusing != "" {
			return 1
		}
		return 0
	}),
}

// Describe is prometheus.Collector's.
func (storeCollector) Describe(out chan<- *prometheus.Desc) {
	for _, m := range storeMetrics {
		out <- m.description
	}
}

// Collect is prometheus.Collector's.
func (c storeCollector) Collect(out chan<- prometheus.Metric) {
	now := c.stats()
	for _, m := range storeMetrics {
		out <- prometheus.MustNewConstMetric(m.description, m.kind, m.value(now))
	}
}
