package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"sekisho/delivery"
	"sekisho/internal/store/sqlite"
	"sekisho/pipeline"
	"sekisho/scan"
	"sekisho/spool"
)

// metrics are the gateway's figures. Labels come from closed sets: rules of
// ours, classes, and names of hops, which the configuration gives.
type metrics struct {
	outages    outages
	registry   *prometheus.Registry
	received   prometheus.Counter
	refused    *prometheus.CounterVec
	examined   *prometheus.CounterVec
	took       prometheus.Histogram
	failures   prometheus.Counter
	recipients *prometheus.CounterVec
	attempt    *prometheus.HistogramVec
	outgoing   *prometheus.GaugeVec
	down       *prometheus.GaugeVec
	last       *prometheus.GaugeVec
	alarms     *prometheus.CounterVec
	scans      *prometheus.CounterVec
	scanTook   *prometheus.HistogramVec
}

func newMetrics() *metrics {
	buckets := []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30, 60, 120}
	m := &metrics{
		registry:   prometheus.NewRegistry(),
		received:   prometheus.NewCounter(prometheus.CounterOpts{Name: "sekisho_received_total", Help: "Entries made durable."}),
		refused:    prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sekisho_refused_total", Help: "Answers 4xx and 5xx, by rule."}, []string{"rule"}),
		examined:   prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sekisho_examined_total", Help: "Messages examined, by decision and class."}, []string{"action", "class"}),
		took:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "sekisho_examine_seconds", Help: "From claim to decision.", Buckets: buckets}),
		failures:   prometheus.NewCounter(prometheus.CounterOpts{Name: "sekisho_worker_failures_total", Help: "Messages for which both runs of a worker failed."}),
		recipients: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sekisho_recipients_total", Help: "Recipients, by hop and outcome."}, []string{"hop", "outcome"}),
		attempt:    prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sekisho_delivery_seconds", Help: "One message's stay at one hop.", Buckets: buckets}, []string{"hop"}),
		outgoing:   prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sekisho_outgoing_connections", Help: "Connections to next hops."}, []string{"hop"}),
		down:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sekisho_hop_down", Help: "1 while a hop of named hosts does not answer."}, []string{"hop"}),
		last:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "sekisho_last_delivery_seconds", Help: "Time of the last delivery, by hop."}, []string{"hop"}),
		scans:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sekisho_scans_total", Help: "Messages shown to a scanner, by verdict."}, []string{"scanner", "verdict"}),
		scanTook:   prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "sekisho_scan_seconds", Help: "A scanner's time for one message.", Buckets: buckets}, []string{"scanner"}),
		alarms:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "sekisho_alarms_total", Help: "What somebody must look at."}, []string{"kind"}),
	}
	// A counter that does not exist until its first event cannot be watched for
	// a change.
	for _, kind := range []string{"isolation", "store", "certificate", "originals", "tampered", "poison", "failed", "sender-rate", "scanner", "signatures", "hop", "queue"} {
		m.alarms.WithLabelValues(kind)
	}
	m.registry.MustRegister(m.received, m.refused, m.examined, m.took, m.failures, m.recipients, m.attempt, m.outgoing, m.down, m.last, m.alarms, m.scans, m.scanTook,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *metrics) examinedRun(r pipeline.Run) {
	m.examined.WithLabelValues(r.Action.String(), string(r.Class)).Inc()
	m.took.Observe(r.Took.Seconds())
	if r.Failed {
		m.failures.Inc()
	}
}

func (m *metrics) delivery() delivery.Metrics {
	return delivery.Metrics{
		Recipient: func(hop, outcome string) {
			m.recipients.WithLabelValues(hop, outcome).Inc()
			if outcome == "sent" {
				m.last.WithLabelValues(hop).Set(float64(time.Now().Unix()))
			}
		},
		Held:        func(class string) { m.alarms.WithLabelValues(class).Inc() },
		Attempt:     func(hop string, took time.Duration) { m.attempt.WithLabelValues(hop).Observe(took.Seconds()) },
		Connections: func(hop string, delta int) { m.outgoing.WithLabelValues(hop).Add(float64(delta)) },
		Down: func(hop string, down bool) {
			v := 0.0
			if down {
				v = 1
			}
			m.down.WithLabelValues(hop).Set(v)
			m.outages.down(hop, down, time.Now())
		},
	}
}

// entries counts the journal when it is asked, not when it changes.
type entries struct{ store *sqlite.Store }

var (
	entriesDesc = prometheus.NewDesc("sekisho_entries", "Entries of the journal, by state.", []string{"state"}, nil)
	oldestDesc  = prometheus.NewDesc("sekisho_oldest_queued_seconds", "Age of the oldest queued entry.", nil, nil)
	damagedDesc = prometheus.NewDesc("sekisho_damaged_rows", "Rows moved aside because they could not be read.", nil, nil)
)

func (e *entries) Describe(c chan<- *prometheus.Desc) {
	c <- entriesDesc
	c <- oldestDesc
	c <- damagedDesc
}

func (e *entries) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	n, oldest, err := e.store.Count(ctx)
	if err != nil {
		c <- prometheus.NewInvalidMetric(entriesDesc, err)
		return
	}
	for _, s := range []spool.State{spool.Received, spool.Queued, spool.Held, spool.Done} {
		c <- prometheus.MustNewConstMetric(entriesDesc, prometheus.GaugeValue, float64(n[s]), s.String())
	}
	age := 0.0
	if !oldest.IsZero() {
		age = time.Since(oldest).Seconds()
	}
	c <- prometheus.MustNewConstMetric(oldestDesc, prometheus.GaugeValue, age)
	if d, err := e.store.Damaged(ctx); err == nil {
		c <- prometheus.MustNewConstMetric(damagedDesc, prometheus.GaugeValue, float64(d))
	}
}

// scannerHealth tells of the scanners of the moment: a reload changes them.
type scannerHealth struct{ set func() *scan.Set }

var (
	scannerUpDesc  = prometheus.NewDesc("sekisho_scanner_up", "1 while a scanner answers.", []string{"scanner"}, nil)
	signaturesDesc = prometheus.NewDesc("sekisho_scanner_signatures_seconds", "When a scanner's signatures were made.", []string{"scanner"}, nil)
)

func (s *scannerHealth) Describe(c chan<- *prometheus.Desc) {
	c <- scannerUpDesc
	c <- signaturesDesc
}

func (s *scannerHealth) Collect(c chan<- prometheus.Metric) {
	for _, h := range s.set().Health() {
		up := 0.0
		if h.Down == "" && !h.Probed.IsZero() {
			up = 1
		}
		c <- prometheus.MustNewConstMetric(scannerUpDesc, prometheus.GaugeValue, up, h.Name)
		if !h.Signatures.IsZero() {
			c <- prometheus.MustNewConstMetric(signaturesDesc, prometheus.GaugeValue, float64(h.Signatures.Unix()), h.Name)
		}
	}
}
