package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/admin"
	"sekisho/admin/client"
	"sekisho/delivery"
	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/blob/dir"
	"sekisho/internal/dane"
	"sekisho/internal/sandbox"
	"sekisho/internal/seal"
	"sekisho/internal/store/sqlite"
	"sekisho/internal/version"
	"sekisho/pipeline"
	"sekisho/policy"
	"sekisho/quarantine"
	"sekisho/routing"
	"sekisho/sanitize/worker"
	"sekisho/scan"
	"sekisho/senderauth"
	"sekisho/smtpd"
	"sekisho/spool"
	"sekisho/tenant"
)

// converterDelay is how long after the start the first LibreOffice is started
// to wait. One that converted a document is replaced in any case.
const converterDelay = 30 * time.Second

// converterSpares is how many of them wait: one a core, and one where memory is
// short, since each occupies some 80 MiB.
func converterSpares() int {
	const small = 4 << 30
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil || uint64(info.Totalram)*uint64(info.Unit) < small {
		return 1
	}
	return runtime.NumCPU()
}

// laneTenants is how many workers of the text lane live at a time: as many
// tenants have one without a start (limits.md).
const laneTenants = 16

// gateway is the running daemon: the rooms, wired top to bottom.
type gateway struct {
	current  atomic.Pointer[settings]
	scanners atomic.Pointer[scan.Set]

	adopting sync.Mutex // one change of current at a time
	imported map[envelope.TenantID]*tenant.Recipients

	log     *slog.Logger
	logs    *logs
	dns     *senderauth.DNS
	store   *sqlite.Store
	notes   *spool.Notes
	spool   *spool.Spool
	server  *smtpd.Server
	metrics *metrics
	memory  *memory
	broken  chan error
	shown   *metricsFace
	keyFile string
	runner  *worker.Runner // nil when no worker can be confined
	// confined is why no worker can be confined here, nil when one can.
	confined error
	findings sandbox.Findings
	cgroups  *sandbox.Cgroups // nil where none is delegated

	cancelWork context.CancelFunc
	work       sync.WaitGroup
	cancelFace context.CancelFunc
	face       sync.WaitGroup
}

// grace is how long an SMTP session may go on after SIGTERM.
const grace = 20 * time.Second

func start(ctx context.Context, s *settings, logs *logs, mem *memory) (*gateway, error) {
	c, log := s.config, slog.New(logs)
	g := &gateway{log: log, logs: logs, broken: make(chan error, 8), metrics: newMetrics(), memory: mem}
	g.adopt(s)
	if err := os.MkdirAll(c.DataDir, 0o710); err != nil {
		return nil, fmt.Errorf("data_dir: %w", err)
	}

	// Isolation first: a gateway that cannot confine a worker still takes mail
	// in and keeps it, but treats none.
	bin, err := sanitizer()
	if err == nil {
		err = g.selfTest(ctx, bin)
	}
	if err != nil {
		g.confined = err
		log.Error("isolation", "err", err)
		g.metrics.alarms.WithLabelValues("isolation").Inc()
	}

	// Custody: keys, journal, bytes.
	seed, _, err := blob.LoadOrCreateKeyFile(filepath.Join(c.DataDir, "seal.key"))
	if err != nil {
		return nil, err
	}
	signer, err := seal.NewSigner(seed[:])
	if err != nil {
		return nil, err
	}
	alarm := func(kind string, id envelope.ID) { g.metrics.alarms.WithLabelValues(kind).Inc() }
	g.store, err = sqlite.Open(ctx, sqlite.Options{
		Path: filepath.Join(c.DataDir, "sekisho.db"), Seal: signer,
		Alarm: func(msg, id string) {
			log.Error("alarm", "id", id, "err", msg)
			alarm("store", "")
		},
	})
	if err != nil {
		return nil, err
	}
	ok := false
	defer func() {
		if !ok {
			_ = g.store.Close()
		}
	}()
	g.keyFile = c.Store.KeyFile
	if g.keyFile == "" {
		g.keyFile = filepath.Join(c.DataDir, "site.key")
	}
	keys, err := blob.OpenKeyring(ctx, g.keyFile, g.store)
	if err != nil {
		return nil, err
	}
	blobs, err := dir.Open(c.DataDir)
	if err != nil {
		return nil, err
	}
	if n, err := g.store.Recover(ctx); err != nil {
		return nil, fmt.Errorf("recover: %w", err)
	} else if n > 0 {
		log.Warn("recovered", "err", fmt.Sprintf("%d entries were in hand when the gateway stopped", n))
	}
	g.notes, err = spool.OpenNotes(filepath.Join(c.DataDir, "notes"), signer)
	if err != nil {
		return nil, err
	}
	defer func() {
		if !ok {
			_ = g.notes.Close()
		}
	}()
	err = g.notes.Keep(func(id envelope.ID) (bool, error) {
		e, err := g.store.Get(ctx, "", id)
		if errors.Is(err, spool.ErrNotFound) {
			return false, nil
		}
		return e.State == spool.Queued || e.State == spool.Received, err
	})
	if err != nil {
		return nil, err
	}
	g.spool = &spool.Spool{Journal: g.store, Blobs: blobs, Keys: keys, Seal: signer, Log: log, Notes: g.notes,
		MaxMessage: int64(c.MaxMessageSize), Inline: spool.DefaultInline}
	if err := g.recordConfiguration(ctx, nil, s); err != nil {
		return nil, err
	}
	if err := g.firstAccount(ctx); err != nil {
		return nil, err
	}
	if err := g.relist(ctx); err != nil {
		return nil, err
	}
	for _, w := range anybody(g.current.Load().directory, time.Now()) {
		log.Warn("configuration", "err", w)
	}

	table := func() *routing.Table { return g.current.Load().table }
	tenants := func() *tenant.Directory { return g.current.Load().directory }
	rules := func() *policy.Rules { return g.current.Load().rules }
	retention := func() time.Duration { return time.Duration(g.current.Load().config.Quarantine.Retention) }
	originals := func() time.Duration { return time.Duration(g.current.Load().config.Originals.Retention) }

	// The way in.
	g.dns = senderauth.NewDNS(c.Resolver)
	g.server = &smtpd.Server{
		Hostname: c.Hostname, Listeners: s.listeners, Limits: g.openFiles(g.within(c.limits())), Spool: g.spool, Tenants: tenants, Table: table, Log: log,
		Disk:     g.disk,
		Accepted: func(*envelope.Envelope) { g.metrics.received.Inc() },
		Refused:  func(rule string) { g.metrics.refused.WithLabelValues(rule).Inc() },
		Senders:  &senderauth.Judge{Resolver: senderauth.NewResolver(g.dns, time.Now)}, SenderRules: func() *smtpd.SenderRules { return g.current.Load().senders },
	}
	if err := g.server.Listen(); err != nil {
		return nil, err
	}

	// The way through.
	g.scanners.Store(g.newScanners(s))
	defer func() {
		if !ok {
			g.scanners.Load().Close()
		}
	}()
	var examiner pipeline.Examiner = refuser{g.confined}
	if g.confined == nil {
		// Once, and before the first worker: the daemon moves into a group below
		// its own.
		if g.cgroups, err = sandbox.OpenCgroups(ctx, bin, sandbox.Worker()); err != nil {
			g.cgroups = nil // an extra; the limits of the profile hold without it
			log.Info("isolation", "kind", "cgroup", "err", err)
		}
		starter, err := sandbox.OpenStarter(ctx, bin, sandbox.Worker())
		if err != nil {
			log.Info("isolation", "kind", "start", "err", err) // costs time and no more
		}
		g.runner = &worker.Runner{Cgroups: g.cgroups, Binary: bin, Profile: sandbox.Worker(), Starter: starter,
			Tools:  &worker.Tools{Starter: starter, Launcher: bin, Spares: converterSpares()},
			Spares: runtime.NumCPU(), Lanes: laneTenants, Processes: max(2, runtime.NumCPU()),
			LaneFailed: func(tenant string, err error) { log.Warn("examined", "tenant", tenant, "rule", "lane", "err", err) }}
		examiner = g.runner
		// Who has just been started has other things to do first.
		warm := time.AfterFunc(converterDelay, g.runner.Tools.Warm)
		defer func() {
			if !ok {
				warm.Stop()
				g.runner.Tools.Close()
			}
		}()
	}
	pipe := &pipeline.Pipeline{
		Spool: g.spool, Examiner: examiner, Rules: rules, Table: table, Hostname: c.Hostname,
		Domains: func(id envelope.TenantID) []string {
			if t, ok := tenants().Get(id); ok {
				return t.Domains
			}
			return nil
		},
		Retention: retention, Originals: originals,
		Log: log, Now: time.Now, Workers: 32, Tenants: laneTenants, Held: g.server.Held, Alarm: alarm,
		Examined: g.metrics.examinedRun, Scanners: g.scanners.Load,
	}

	// The way out.
	out := &delivery.Delivery{
		Spool: g.spool, Table: table, Tenants: tenants, Verify: signer.Verifier(), Hostname: c.Hostname, Log: log, Policies: g.store,
		Resolver: g.dns, DANE: g.dane, Keys: func() []delivery.Key { return g.current.Load().keys },
		Reports: func() *delivery.Reporter { return g.current.Load().reporter }, TLSDays: g.store,
		Retention: retention, Originals: originals, Metrics: g.metrics.delivery(),
	}

	pipe.Takes, pipe.Carrier = out.Takes, out
	g.spool.Hand = pipe.Hand

	// The people.
	began := time.Now()
	quar := &quarantine.Quarantine{Spool: g.spool, Now: time.Now, Steady: func() time.Duration { return time.Since(began) }, Log: log, Originals: originals}
	people := &admin.Admin{
		Quarantine: quar, Journal: g.spool, Accounts: g.store, Lists: g.store, Finder: g.store, GiveUp: out.GiveUp, Relist: g.relist, Table: table, Tenants: tenants,
		Preview: pipe.Preview, Retry: g.retry, Doctor: g.doctor, Now: time.Now, Log: log,
		About: client.Version{Version: version.Version, Commit: version.Commit, Engine: version.Engine, Go: runtime.Version()},
	}
	socket, err := admin.Listen(filepath.Join(c.DataDir, "admin.sock"), groupID("sekisho"))
	if err != nil {
		return nil, err
	}

	workCtx, cancel := context.WithCancel(context.Background())
	g.cancelWork = cancel
	faceCtx, cancelFace := context.WithCancel(context.Background())
	g.cancelFace = cancelFace
	g.run(&g.work, func() { pipe.Run(workCtx) })
	g.run(&g.work, func() { out.Run(workCtx) })
	g.run(&g.work, func() { g.maintain(workCtx, quar) })
	g.run(&g.work, func() { g.patrol(workCtx) })
	g.run(&g.work, func() {
		if err := g.spool.CountHeld(workCtx, g.server.WasHeld); err != nil && workCtx.Err() == nil {
			log.Error("count held", "err", err)
		}
	})
	g.run(&g.work, func() {
		select {
		case <-g.store.Failed():
			g.broken <- errors.New("the store failed; see the log")
		case <-workCtx.Done():
		}
	})
	g.run(&g.face, func() {
		if err := people.Serve(faceCtx, socket); err != nil {
			g.broken <- err
		}
	})
	g.registerMetrics()
	face, err := g.openMetrics(c.Metrics.Listen)
	if err != nil {
		g.stop()
		return nil, err
	}
	g.showMetrics(face)
	g.run(&g.face, func() {
		if err := g.server.Serve(); err != nil {
			g.broken <- err
		}
	})
	g.listening(c)
	log.Info("started", "kind", version.Version)
	status := "STATUS=mail is taken in and treated"
	if g.confined != nil {
		status = "STATUS=mail is taken in and held: no worker can be confined, see sekisho doctor"
	}
	if err := notify("READY=1", status); err != nil {
		log.Warn("notify", "err", err)
	}
	ok = true
	return g, nil
}

// dane is the name server whose word on DNSSEC counts; nil where DANE is off.
func (g *gateway) dane() *dane.Resolver {
	c := g.current.Load().config
	if c.DANE != "on" {
		return nil
	}
	return &dane.Resolver{Addr: c.Resolver}
}

// listening says where every listener listens.
func (g *gateway) listening(c *config) {
	for _, l := range c.Listeners {
		for _, a := range g.server.Addrs(l.Name) {
			g.log.Info("listening", "rule", l.Name, "kind", l.Zone, "hop", a.String())
		}
	}
}

func (g *gateway) run(wg *sync.WaitGroup, f func()) {
	wg.Add(1)
	go func() {
		defer wg.Done()
		f()
	}()
}

// selfTest runs the isolation self-test. A machine that is still booting can
// fail it by being slow, and then every mail would be held until somebody
// looks; so it has three tries. A hole shows in all of them.
func (g *gateway) selfTest(ctx context.Context, bin string) (err error) {
	for try := range 3 {
		if try > 0 {
			g.log.Warn("isolation", "kind", "again", "err", err)
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(2 * time.Second):
			}
		}
		if g.findings, err = sandbox.SelfTest(ctx, bin, sandbox.Worker()); err == nil {
			if err = g.findings.Err(); err == nil {
				return nil
			}
		}
	}
	return err
}

// stop drains: no new mail, then what is in hand, then the store.
func (g *gateway) stop() {
	if err := notify("STOPPING=1", "STATUS=what is in hand is being finished"); err != nil {
		g.log.Warn("notify", "err", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), grace)
	defer cancel()
	if err := g.server.Shutdown(ctx); err != nil {
		g.log.Warn("shutdown", "err", err)
	}
	g.cancelWork()
	g.work.Wait()
	g.scanners.Load().Close()
	g.cancelFace()
	g.showMetrics(nil)
	g.face.Wait()
	if g.runner != nil {
		g.runner.Close()
		g.runner.Tools.Close()
		if err := g.runner.Starter.Close(); err != nil {
			g.log.Warn("shutdown", "err", err)
		}
	}
	if err := errors.Join(g.store.Close(), g.notes.Close()); err != nil {
		g.log.Error("close store", "err", err)
	}
	g.log.Info("stopped")
}

// refuser is the examiner of a machine on which no worker can be confined: it
// treats nothing.
type refuser struct{ why error }

func (r refuser) Run(context.Context, sanitizeOptions, *worker.Message) (*worker.Result, error) {
	return nil, fmt.Errorf("no worker can be confined on this machine: %w", r.why)
}

// sanitizer finds the worker beside this binary or in libexec.
func sanitizer() (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("find the worker: %w", err)
	}
	if self, err = filepath.EvalSymlinks(self); err != nil {
		return "", fmt.Errorf("find the worker: %w", err)
	}
	d := filepath.Dir(self)
	for _, p := range []string{filepath.Join(d, "sekisho-sanitizer"), filepath.Join(d, "..", "libexec", "sekisho-sanitizer"), filepath.Join(d, "..", "libexec", "sekisho", "sekisho-sanitizer")} {
		if st, err := os.Stat(p); err == nil && st.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", fmt.Errorf("sekisho-sanitizer is neither beside %s nor in libexec", self)
}

func groupID(name string) int {
	gr, err := user.LookupGroup(name)
	if err != nil {
		return -1
	}
	id, err := strconv.Atoi(gr.Gid)
	if err != nil {
		return -1
	}
	return id
}

// firstAccount maps the uid that runs the gateway, when there is nobody yet.
func (g *gateway) firstAccount(ctx context.Context) error {
	as, err := g.store.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	if len(as) > 0 {
		return nil
	}
	name := "uid" + strconv.Itoa(os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	now := time.Now()
	return g.store.AddAccount(ctx, admin.Account{Name: name, UID: os.Getuid(), Created: now},
		audit.Event{Time: now, Actor: "gateway", Act: "account-added", Detail: fmt.Sprintf("%s, uid %d, at first start", name, os.Getuid())})
}

// scrubEvery is how often every row that waits for nobody is looked at, from
// one end to the next beginning, and scrubFirst how long after the start for
// the first time: who has just been started has other things to do.
const (
	scrubEvery = time.Hour
	scrubFirst = 2 * time.Second
)

// patrol looks for rows and records that somebody changed.
func (g *gateway) patrol(ctx context.Context) {
	var broken int64 // where the audit is, as far as it was said
	for next := time.After(scrubFirst); ; next = time.After(scrubEvery) {
		select {
		case <-next:
		case <-ctx.Done():
			return
		}
		if _, err := g.store.Scrub(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("scrub", "err", err)
		}
		broken = g.watchAudit(ctx, broken)
	}
}

// maintain expires what was held long enough and sweeps what nobody names.
func (g *gateway) maintain(ctx context.Context, q *quarantine.Quarantine) {
	t := time.NewTicker(time.Minute)
	defer t.Stop()
	certs := time.NewTicker(10 * time.Second) // a new file is in use within a minute
	defer certs.Stop()
	for {
		if _, err := q.Expire(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("expire", "err", err)
		}
		if n, err := g.trim(ctx, q); err != nil && ctx.Err() == nil {
			g.log.Error("trim", "err", err)
		} else if n > 0 {
			g.log.Error("trim", "err", fmt.Sprintf("originals.max_disk is reached: %d originals of delivered mail went before their time", n))
			g.metrics.alarms.WithLabelValues("originals").Inc()
		}
		if _, err := g.spool.Sweep(ctx); err != nil && ctx.Err() == nil {
			g.log.Error("sweep", "err", err)
		}
		for again := true; again; {
			select {
			case <-ctx.Done():
				return
			case <-certs.C:
				g.renewCertificates(time.Now())
				g.watchWaiting(ctx, time.Now())
			case <-t.C:
				again = false
			}
		}
	}
}

// fdReserve is what the daemon opens beside its sessions and the messages on
// their way in, which are a share of those: connections to next hops, the
// database, workers' pipes.
const fdReserve = 1024

// openFiles lowers the connections in all to what the limit of open files
// allows: a session that cannot be accepted helps nobody, and one that is
// accepted and finds no file left for its message would be told 451.
func (g *gateway) openFiles(l smtpd.Limits) smtpd.Limits {
	var r unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &r); err != nil || r.Cur >= uint64(l.Connections+l.Connections/smtpd.ShareReceiving+fdReserve) {
		return l
	}
	n := max((int(r.Cur)-fdReserve)/(smtpd.ShareReceiving+1)*smtpd.ShareReceiving, int(r.Cur)/2, 10)
	g.log.Warn("configuration", "err", fmt.Sprintf("limits.connections is %d, but only %d files may be open (LimitNOFILE, ulimit -n): %d connections are taken", l.Connections, r.Cur, n))
	return lowered(l, n)
}

// within lowers them to what fits into the memory of the control group: near
// the cap the idle and the slowest are cut, where the kernel would end us all.
func (g *gateway) within(l smtpd.Limits) smtpd.Limits {
	n := g.memory.connections()
	if l.Connections <= n {
		return l
	}
	g.log.Warn("configuration", "err", fmt.Sprintf("limits.connections is %d, but the daemon's half of the memory is %d MiB (MemoryMax, memory.max): %d connections are taken", l.Connections, g.memory.limit>>20, n))
	return lowered(l, n)
}

// lowered is l with n connections, and what is reckoned by their number.
func lowered(l smtpd.Limits, n int) smtpd.Limits {
	l.NearCap, l.StressAt, l.ConnectionsPerNetwork = max(l.NearCap*n/l.Connections, 1), max(l.StressAt*n/l.Connections, 1), max(l.ConnectionsPerNetwork*n/l.Connections, 1)
	l.Connections = n
	return l
}

// disk is the size of the disk that the data directory is on.
func (g *gateway) disk() (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(g.current.Load().config.DataDir, &fs); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	return int64(fs.Blocks) * fs.Bsize, nil
}

// trim keeps the originals of delivered mail within their share of the disk.
func (g *gateway) trim(ctx context.Context, q *quarantine.Quarantine) (int, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(g.current.Load().config.DataDir, &fs); err != nil {
		return 0, fmt.Errorf("statfs: %w", err)
	}
	disk := int64(fs.Blocks) * fs.Bsize
	share := disk / 100 * int64(g.current.Load().config.Originals.MaxDisk)
	// While less than that is in use on the whole disk, nothing can be over it,
	// and the journal need not be added up.
	if disk-int64(fs.Bfree)*fs.Bsize <= share {
		return 0, nil
	}
	return q.Trim(ctx, share)
}
