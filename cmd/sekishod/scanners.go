package main

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/scan"
)

// scannerConfig is one scanner that is asked about mail.
type scannerConfig struct {
	Name      string   `mapstructure:"name"`
	Kind      string   `mapstructure:"kind"`       // clamd, rspamd, command
	Address   string   `mapstructure:"address"`    // of clamd and rspamd
	Command   []string `mapstructure:"command"`    // of a command
	Paths     []string `mapstructure:"paths"`      // what the command sees beside the system
	Zones     []string `mapstructure:"zones"`      // whose mail it is asked about
	OnFailure string   `mapstructure:"on_failure"` // wait, hold
	Spam      string   `mapstructure:"spam"`       // hold, mark
	Timeout   duration `mapstructure:"timeout"`
}

var scannerName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)

// scanners checks the section and makes the scanners, not yet watched.
func (c *config) scanners(f *configFile) ([]*scan.Scanner, error) {
	var out []*scan.Scanner
	names := map[string]bool{}
	for i, sc := range c.Scanners {
		at := fmt.Sprintf("scanners[%d]", i)
		if !scannerName.MatchString(sc.Name) {
			return nil, f.errorf(at+".name", "want lower-case letters, digits and hyphens, got %q", sc.Name)
		}
		if names[sc.Name] {
			return nil, f.errorf(at+".name", "scanner %q stands twice", sc.Name)
		}
		names[sc.Name] = true
		if sc.Kind != "command" {
			if err := scannerAddress(sc.Address); err != nil && (sc.Kind == "clamd" || sc.Kind == "rspamd") {
				return nil, f.errorf(at+".address", "%v", err)
			}
			if len(sc.Command) > 0 || len(sc.Paths) > 0 {
				return nil, f.errorf(at, "command and paths belong to a scanner of kind command")
			}
		}
		var s *scan.Scanner
		zones := []string{"internet", "internet-segment", "lgwan"}
		switch sc.Kind {
		case "clamd":
			s = scan.Clamd(sc.Name, sc.Address)
		case "rspamd":
			// What is spam is asked about strangers.
			zones = []string{"internet"}
			s = scan.Rspamd(sc.Name, sc.Address)
		case "command":
			if sc.Address != "" {
				return nil, f.errorf(at+".address", "a command has none")
			}
			var err error
			if s, err = scan.Command(sc.Name, sc.Command, sc.Paths); err != nil {
				return nil, f.errorf(at+".command", "%v", err)
			}
			for j, p := range sc.Paths {
				if secret := c.secretIn(f, p); secret != "" {
					return nil, f.errorf(fmt.Sprintf("%s.paths[%d]", at, j), "%s holds %s, which no scanner may read", p, secret)
				}
			}
		default:
			return nil, f.errorf(at+".kind", "want clamd, rspamd or command, got %q%s", sc.Kind, suggest(sc.Kind, []string{"clamd", "rspamd", "command"}))
		}
		if sc.Zones != nil {
			zones = sc.Zones
		}
		if len(zones) == 0 {
			return nil, f.errorf(at+".zones", "it would be asked about nothing; take the scanner out")
		}
		for j, z := range zones {
			zone, err := envelope.ParseZone(z)
			if err != nil {
				return nil, f.errorf(fmt.Sprintf("%s.zones[%d]", at, j), "%v%s", err, suggest(z, []string{"internet", "internet-segment", "lgwan"}))
			}
			s.Zones = append(s.Zones, zone)
		}
		switch sc.OnFailure {
		case "", "wait":
		case "hold":
			s.Hold = true
		default:
			return nil, f.errorf(at+".on_failure", "nothing passes without an answer: want wait or hold, got %q%s", sc.OnFailure, suggest(sc.OnFailure, []string{"wait", "hold"}))
		}
		switch sc.Spam {
		case "", "hold":
		case "mark":
			s.MarkSpam = true
		default:
			return nil, f.errorf(at+".spam", "want hold or mark, got %q%s", sc.Spam, suggest(sc.Spam, []string{"hold", "mark"}))
		}
		s.Timeout = time.Duration(sc.Timeout)
		if s.Timeout != 0 && (s.Timeout < time.Second || s.Timeout > 2*time.Minute) {
			return nil, f.errorf(at+".timeout", "want between 1s and 2m")
		}
		out = append(out, s)
	}
	return out, nil
}

func scannerAddress(a string) error {
	if path, ok := strings.CutPrefix(a, "unix:"); ok {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("want unix: and an absolute path, got %q", a)
		}
		return nil
	}
	if host, port, err := net.SplitHostPort(a); err != nil || host == "" || port == "" {
		return fmt.Errorf("want HOST:PORT or unix:PATH, got %q", a)
	}
	return nil
}

// secretIn names what of the gateway's own lies at or below path.
func (c *config) secretIn(f *configFile, path string) string {
	key := c.Store.KeyFile
	if key == "" {
		key = filepath.Join(c.DataDir, "site.key")
	}
	secrets := []string{c.DataDir, key}
	for _, k := range c.DKIM {
		secrets = append(secrets, f.path(k.KeyFile))
	}
	for _, l := range c.Listeners {
		if l.TLS.Key != "" {
			secrets = append(secrets, f.path(l.TLS.Key))
		}
	}
	resolved := func(p string) string {
		if r, err := filepath.EvalSymlinks(p); err == nil {
			return r
		}
		return filepath.Clean(p)
	}
	path = resolved(path)
	for _, s := range secrets {
		for _, s := range []string{filepath.Clean(s), resolved(s)} {
			if rel, err := filepath.Rel(path, s); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
				return s
			}
		}
	}
	// A path inside data_dir is as bad.
	if rel, err := filepath.Rel(resolved(c.DataDir), path); err == nil && rel != ".." && !strings.HasPrefix(rel, "../") {
		return c.DataDir
	}
	return ""
}

// newScanners makes the set that watches scanners of these settings.
func (g *gateway) newScanners(s *settings) *scan.Set {
	set := &scan.Set{Scanners: s.scanners, Log: g.log, Now: time.Now,
		Alarm: func(e scan.Event) {
			if !e.Good {
				g.metrics.alarms.WithLabelValues(e.Kind).Inc()
			}
		},
		Scanned: func(scanner string, v envelope.ScanVerdict, took time.Duration) {
			g.metrics.scans.WithLabelValues(scanner, v.String()).Inc()
			g.metrics.scanTook.WithLabelValues(scanner).Observe(took.Seconds())
		},
	}
	set.Start()
	return set
}

// swapScanners takes up other scanners. Those that did not change keep what is
// known of them.
func (g *gateway) swapScanners(before, after *config, s *settings) {
	if reflect.DeepEqual(before.Scanners, after.Scanners) {
		return
	}
	old := g.scanners.Load()
	s.scanners = keptScanners(before.Scanners, after.Scanners, old.Scanners, s.scanners)
	g.scanners.Store(g.newScanners(s))
	g.run(&g.work, old.Close)
}

// keptScanners are the next scanners, with those of before in the places of the
// ones whose section did not change: a scanner that is down stays down, and its
// alarm is not raised anew.
func keptScanners(before, after []scannerConfig, old, next []*scan.Scanner) []*scan.Scanner {
	next = slices.Clone(next)
	for i, sc := range after {
		if k := slices.IndexFunc(before, func(b scannerConfig) bool { return reflect.DeepEqual(b, sc) }); k >= 0 && k < len(old) {
			next[i] = old[k]
		}
	}
	return next
}

// unscanned names the zones whose mail is shown to no antivirus.
func (c *config) unscanned() []string {
	var bare []string
	for _, l := range c.Listeners {
		seen := false
		for _, sc := range c.Scanners {
			seen = seen || sc.Kind != "rspamd" && (sc.Zones == nil || slices.Contains(sc.Zones, l.Zone))
		}
		if !seen && !slices.Contains(bare, l.Zone) {
			bare = append(bare, l.Zone)
		}
	}
	return bare
}
