package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"sekisho/admin/client"
	"sekisho/internal/dane"
	"sekisho/sanitize"
	"sekisho/spool"
)

type sanitizeOptions = sanitize.Options

// doctor says what the running gateway knows of its own health. The isolation
// self-test is the one made at start, inside this service.
func (g *gateway) doctor(ctx context.Context) []client.Check {
	var cs []client.Check
	add := func(name string, ok bool, detail string) {
		c := client.Check{Name: name, Status: "pass", Detail: detail}
		if !ok {
			c.Status = "fail"
		}
		cs = append(cs, c)
	}
	warn := func(name, detail string) { cs = append(cs, client.Check{Name: name, Status: "warn", Detail: detail}) }

	detail := g.findings.Report.String()
	switch {
	case g.confined != nil:
		detail = g.confined.Error()
	case g.cgroups != nil:
		detail += ", a cgroup each with " + g.cgroups.String()
	}
	add("isolation in the service", g.confined == nil, detail)
	if os.Getuid() == 0 {
		warn("user", "sekishod runs as root")
	}
	err := g.spool.Nearly(ctx)
	free, inodes, freeErr := g.spool.Blobs.Free(ctx)
	switch {
	case err != nil:
		add("disk", false, err.Error())
	case freeErr == nil:
		add("disk", true, fmt.Sprintf("%d MiB and %d %% of the inodes are free", free>>20, inodes))
	}
	if g.current.Load().config.Store.KeyFile == "" {
		warn("site key", "it lies in data_dir with what it protects: keep a copy elsewhere and off the backup; a lost key file is lost mail")
	}
	for _, name := range []string{g.keyFile, filepath.Join(g.current.Load().config.DataDir, "seal.key")} {
		switch st, err := os.Stat(name); {
		case err != nil:
			add("key file", false, err.Error()+": what is stored cannot be read after the next start")
		case st.Mode().Perm()&0o077 != 0:
			add("key file", false, name+": others may read it: chmod 600")
		default:
			add("key file", true, name)
		}
	}
	for _, c := range g.current.Load().certs {
		left := time.Until(c.loaded.Load().Leaf.NotAfter)
		d := fmt.Sprintf("%s: valid for %d days", c.certFile, int(left.Hours()/24))
		switch {
		case left <= 24*time.Hour:
			add("certificate", false, d)
		case left <= 21*24*time.Hour:
			warn("certificate", d)
		default:
			add("certificate", true, d)
		}
	}
	n, oldest, err := g.store.Count(ctx)
	if err != nil {
		add("store", false, err.Error())
	} else {
		add("store", true, fmt.Sprintf("%d received, %d queued, %d held, %d done", n[spool.Received], n[spool.Queued], n[spool.Held], n[spool.Done]))
		if !oldest.IsZero() && time.Since(oldest) > 5*time.Minute {
			warn("queue", fmt.Sprintf("the oldest message waits since %s", oldest.Local().Format("2006-01-02 15:04")))
		}
	}
	for _, h := range g.scanners.Load().Health() {
		name := "scanner " + h.Name
		switch {
		case h.Down != "":
			add(name, false, fmt.Sprintf("does not answer since %s: %s; what it must see waits or is held", h.Since.Local().Format("2006-01-02 15:04"), h.Down))
		case h.Probed.IsZero():
			warn(name, "was not asked yet")
		case h.Aged && h.Signatures.IsZero():
			warn(name, h.Version+": does not say how old its signatures are")
		case h.Aged:
			add(name, false, h.Version+": the signatures are older than 48 hours")
		default:
			add(name, true, h.Version)
		}
	}
	if r := g.dane(); r != nil {
		// The root is signed: a server that does not say so does not validate.
		look, cancel := context.WithTimeout(ctx, 5*time.Second)
		a, err := r.Look(look, ".", dane.NS)
		cancel()
		switch {
		case err != nil:
			add("dane", false, err.Error()+"; mail to the internet waits")
		case !a.Secure:
			add("dane", false, "the resolver "+r.Addr+" does not validate DNSSEC: no TLSA record counts")
		default:
			add("dane", true, "the resolver validates")
		}
	}
	if d, err := g.store.Damaged(ctx); err == nil && d > 0 {
		add("damaged rows", false, fmt.Sprintf("%d rows could not be read and were moved aside", d))
	}
	cs = append(cs, g.tryConverters(ctx)...)
	if y := time.Now().Year(); y < 2026 {
		add("clock", false, fmt.Sprintf("the year is %d", y))
	}
	now := g.current.Load()
	for _, w := range append(slices.Clone(now.warnings), anybody(now.directory, time.Now())...) {
		warn("configuration", w)
	}
	return cs
}
