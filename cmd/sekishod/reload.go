package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"

	"sekisho/envelope"
	"sekisho/smtpd"
)

// certificate is one listener's, swapped while the gateway runs.
type certificate struct {
	certFile, keyFile string
	loaded            atomic.Pointer[tls.Certificate]
	changed           atomic.Int64 // modification times of the files, added up
	tried             atomic.Int64 // those of the last try that failed
	warned            atomic.Int64 // which alarm of its end was raised
}

func newCertificate(certFile, keyFile string) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	return c, c.load()
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.loaded.Load(), nil
}

func (c *certificate) stamp() int64 {
	var n int64
	for _, f := range []string{c.certFile, c.keyFile} {
		if st, err := os.Stat(f); err == nil {
			n += st.ModTime().UnixNano()
		}
	}
	return n
}

// load reads the files; on an error what was loaded before stays in use.
func (c *certificate) load() error {
	stamp := c.stamp()
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("certificate %s: %w", c.certFile, err)
	}
	if pair.Leaf == nil {
		if pair.Leaf, err = x509.ParseCertificate(pair.Certificate[0]); err != nil {
			return fmt.Errorf("certificate %s: %w", c.certFile, err)
		}
	}
	c.loaded.Store(&pair)
	c.changed.Store(stamp)
	return nil
}

// path makes a file name of the configuration absolute: relative ones are
// meant beside the configuration.
func (f *configFile) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(filepath.Dir(f.name), name)
}

// listeners checks what only the disk can say and makes the listeners in the
// terms of smtpd, with their certificates.
func (c *config) listeners(f *configFile) ([]smtpd.ListenerConfig, []*certificate, error) {
	var ls []smtpd.ListenerConfig
	var certs []*certificate
	for i, l := range c.Listeners {
		zone, err := envelope.ParseZone(l.Zone)
		if err != nil {
			return nil, nil, f.errorf(fmt.Sprintf("listeners[%d].zone", i), "%v", err)
		}
		lc := smtpd.ListenerConfig{Name: l.Name, Zone: zone, Listen: l.Listen, Networks: parsePrefixes(l.Networks),
			Peers: parsePrefixes(l.Peers), Proxy: parsePrefixes(l.Proxy), TenantsOnly: l.Accepts == "tenants"}
		if l.TLS.Cert != "" {
			cert, err := newCertificate(f.path(l.TLS.Cert), f.path(l.TLS.Key))
			if err != nil {
				return nil, nil, f.errorf(fmt.Sprintf("listeners[%d].tls", i), "%v", err)
			}
			certs = append(certs, cert)
			lc.TLS = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: cert.get}
		}
		ls = append(ls, lc)
	}
	return ls, certs, nil
}

// renewCertificates takes up files that changed, and raises an alarm 21, 7 and
// 1 days before the end of one.
func (g *gateway) renewCertificates(now time.Time) {
	for _, c := range g.current.Load().certs {
		if stamp := c.stamp(); stamp != c.changed.Load() && stamp != c.tried.Load() {
			// Certificate and key are two files, and one is written first: that
			// is an error for a moment, and once per change.
			c.tried.Store(stamp)
			if err := c.load(); err != nil {
				g.log.Error("certificate", "err", err)
				g.metrics.alarms.WithLabelValues("certificate").Inc()
				continue
			}
			g.log.Info("certificate", "kind", "renewed", "err", c.certFile+" is valid until "+c.loaded.Load().Leaf.NotAfter.Format(time.RFC3339))
		}
		end := c.loaded.Load().Leaf.NotAfter
		mark, due := expiry(end.Sub(now))
		if due && c.warned.Swap(int64(mark)) != int64(mark) {
			g.log.Error("certificate", "kind", "expires", "err", fmt.Sprintf("%s is valid until %s", c.certFile, end.Format(time.RFC3339)))
			g.metrics.alarms.WithLabelValues("certificate").Inc()
		}
		if !due {
			c.warned.Store(0)
		}
	}
}

// expiry says which alarm a certificate is due for that ends in left: 21, 7 or
// 1 days before, or 0 for one that has ended.
func expiry(left time.Duration) (mark int, due bool) {
	const day = 24 * time.Hour
	switch {
	case left > 21*day:
		return 0, false
	case left > 7*day:
		return 21, true
	case left > day:
		return 7, true
	case left > 0:
		return 1, true
	default:
		return -1, true
	}
}

// reload reads the file again and puts all of it in force. All of it is
// checked, and every socket opened, before any of it is used: when anything is
// wrong, or cannot change while the gateway runs, everything stays as it was.
func (g *gateway) reload(name string) {
	c, f, err := loadConfig(name)
	var s *settings
	if err == nil {
		s, err = c.settings(f)
	}
	if err == nil {
		err = fixed(f, g.current.Load().config, c)
	}
	var doors *smtpd.Reload
	if err == nil {
		doors, err = g.server.Prepare(s.listeners, g.openFiles(g.within(c.limits())))
	}
	var face *metricsFace
	if err == nil {
		if face, err = g.openMetrics(c.Metrics.Listen); err != nil {
			doors.Drop()
		}
	}
	if err == nil {
		if err = g.recordConfiguration(context.Background(), g.current.Load().config, s); err != nil {
			doors.Drop()
			g.dropMetrics(face)
		}
	}
	if err != nil {
		g.log.Error("reload", "err", err)
		return
	}
	// From here on nothing can fail.
	before := g.current.Load().config
	g.logs.set(c)
	g.dns.Ask(c.Resolver)
	g.spool.Resize(int64(c.MaxMessageSize))
	g.swapScanners(before, c, s)
	g.adopt(s)
	doors.Apply()
	g.showMetrics(face)
	if !reflect.DeepEqual(before.Listeners, c.Listeners) {
		g.listening(c)
	}
	for _, w := range s.warnings {
		g.log.Warn("configuration", "err", w)
	}
	g.log.Info("reload", "kind", "done")
}

// fixed says what cannot change while the gateway runs: where its mail and its
// keys are, and the name that mail under way bears, by which loops are known.
func fixed(f *configFile, was, is *config) error {
	for _, k := range []struct{ key, was, is string }{
		{"hostname", was.Hostname, is.Hostname},
		{"data_dir", was.DataDir, is.DataDir},
		{"store.key_file", was.Store.KeyFile, is.Store.KeyFile},
		{"store.database", was.Store.Database, is.Store.Database},
		{"store.blobs", was.Store.Blobs, is.Store.Blobs},
	} {
		if k.was != k.is {
			return f.errorf(k.key, "cannot change from %q to %q while the gateway runs: restart it, or put the old value back; nothing was changed", k.was, k.is)
		}
	}
	return nil
}
