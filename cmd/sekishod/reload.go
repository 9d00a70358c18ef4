package main

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"time"
)

// certificate is one listener's, swapped while the gateway runs.
type certificate struct {
	certFile, keyFile string
	loaded            atomic.Pointer[tls.Certificate]
	changed           atomic.Int64 // modification times of the files, added up
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

func checkCertificates(c *config, f *configFile) error {
	for i, l := range c.Listeners {
		if l.TLS.Cert == "" {
			continue
		}
		if _, err := newCertificate(f.path(l.TLS.Cert), f.path(l.TLS.Key)); err != nil {
			return f.errorf(fmt.Sprintf("listeners[%d].tls", i), "%v", err)
		}
	}
	return nil
}

// renewCertificates takes up files that changed.
func (g *gateway) renewCertificates() {
	for _, c := range g.certs {
		if c.stamp() == c.changed.Load() {
			continue
		}
		if err := c.load(); err != nil {
			g.log.Error("certificate", "err", err)
			g.metrics.alarms.WithLabelValues("certificate").Inc()
			continue
		}
		g.log.Info("certificate", "kind", "renewed", "err", "valid until "+c.loaded.Load().Leaf.NotAfter.Format(time.RFC3339))
	}
}

// reload reads the file again. All of it is checked before any of it is used:
// when anything is wrong, everything stays as it was.
func (g *gateway) reload(name string) {
	c, f, err := loadConfig(name)
	var s *settings
	if err == nil {
		s, err = c.settings(f)
	}
	if err == nil {
		err = checkCertificates(c, f)
	}
	if err != nil {
		g.log.Error("reload", "err", err)
		return
	}
	for _, c := range g.certs {
		if err := c.load(); err != nil {
			g.log.Error("reload", "err", err)
			return
		}
	}
	g.swapScanners(g.read, c, s)
	g.read = c
	g.adopt(s)
	if !reflect.DeepEqual(fixed(g.config), fixed(c)) {
		g.log.Warn("reload", "err", "listeners, limits, data_dir, store, resolver, metrics, retention and log are read at start only; restart for those changes")
	}
	g.log.Info("reload", "kind", "done")
}

// fixed is the part of the configuration that a restart is needed for.
func fixed(c *config) config {
	f := *c
	f.Tenants, f.Profiles, f.Hops, f.Routes = nil, nil, nil, nil
	f.LGWAN.Domains, f.LGWAN.Except = nil, nil
	f.Senders, f.DKIM, f.Scanners = sendersConfig{}, nil, nil
	return f
}
