package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsFace is the socket that /metrics, /healthz and /readyz are asked on.
type metricsFace struct {
	addr   string // as the configuration has it, "": off
	socket net.Listener
	server *http.Server
}

// registerMetrics adds the figures that are counted when they are asked for.
func (g *gateway) registerMetrics() {
	g.metrics.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "sekisho_connections", Help: "SMTP connections open now."},
		func() float64 { return float64(g.server.Connections()) }), &entries{store: g.store}, &scannerHealth{g.scanners.Load})
}

// openMetrics opens the socket for an address. For the one that is in use it
// returns what there is.
func (g *gateway) openMetrics(addr string) (*metricsFace, error) {
	if g.shown != nil && g.shown.addr == addr {
		return g.shown, nil
	}
	f := &metricsFace{addr: addr}
	if addr == "" {
		return f, nil
	}
	var err error
	if f.socket, err = net.Listen("tcp", addr); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return f, nil
}

// dropMetrics closes what openMetrics opened and nobody is to be answered on.
func (g *gateway) dropMetrics(f *metricsFace) {
	if f != g.shown && f.socket != nil {
		_ = f.socket.Close()
	}
}

// showMetrics answers on f from now on, and nowhere else. nil ends it.
func (g *gateway) showMetrics(f *metricsFace) {
	old := g.shown
	if f == old {
		return
	}
	g.shown = f
	if f != nil && f.socket != nil {
		f.server = &http.Server{Handler: g.health(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute}
		g.log.Info("listening", "rule", "metrics", "hop", f.socket.Addr().String())
		g.run(&g.face, func() {
			if err := f.server.Serve(f.socket); err != nil && !errors.Is(err, http.ErrServerClosed) {
				g.broken <- fmt.Errorf("metrics: %w", err)
			}
		})
	}
	if old != nil && old.server != nil {
		_ = old.server.Close() // whoever was reading asks again
	}
}

func (g *gateway) health() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if g.confined != nil {
			http.Error(w, "isolation self-test failed", http.StatusServiceUnavailable)
			return
		}
		if err := g.spool.Nearly(r.Context()); err != nil {
			http.Error(w, "disk nearly full", http.StatusServiceUnavailable)
			return
		}
		if _, _, err := g.store.Count(r.Context()); err != nil {
			http.Error(w, "store does not answer", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	return mux
}
