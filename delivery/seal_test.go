package delivery_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/seal"
	"sekisho/internal/smtptest"
	"sekisho/routing"
	"sekisho/sanitize"
	"sekisho/spool"
)

// blobOf writes other bytes that the tenant's keys open.
func (w *world) blobOf(t envelope.TenantID, text string) blob.Ref {
	w.t.Helper()
	ref, _, err := w.spool.WriteBlob(w.t.Context(), t, func(out io.Writer) error {
		_, err := io.WriteString(out, text)
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return ref
}

// Whatever does not match, nothing of the message reaches a server: there is
// not even a connection.
func TestNothingIsDialledForWhatIsNotSealed(t *testing.T) {
	for _, c := range []struct {
		name      string
		treatment envelope.Treatment
		change    func(w *world, e *spool.Entry)
	}{
		{"tenant", 0, func(w *world, e *spool.Entry) { e.Envelope.Tenant = "village" }},
		{"id", 0, func(w *world, e *spool.Entry) { e.Envelope.ID = envelope.NewID(time.Now()) }},
		{"profile", 0, func(w *world, e *spool.Entry) { e.Envelope.Profile = "lax" }},
		{"zone", 0, func(w *world, e *spool.Entry) { e.Envelope.Zone = envelope.LGWAN }},
		{"treatment", 0, func(w *world, e *spool.Entry) { e.Envelope.Treatment = envelope.Pass }},
		{"sender", 0, func(w *world, e *spool.Entry) { e.Envelope.From = addr("boss@town.example") }},
		{"recipient added", 0, func(w *world, e *spool.Entry) {
			e.Envelope.To = append(e.Envelope.To, addr("spy@town.example"))
			e.Pending = append(e.Pending, addr("spy@town.example"))
		}},
		{"recipient pending only", 0, func(w *world, e *spool.Entry) { e.Pending = append(e.Pending, addr("spy@town.example")) }},
		{"recipient taken out of the envelope", 0, func(w *world, e *spool.Entry) { e.Envelope.To, e.Pending = e.Envelope.To[:1], e.Pending[:1] }},
		{"network added", 0, func(w *world, e *spool.Entry) { e.Networks = append(e.Networks, envelope.NetworkInternet) }},
		{"kind and treatment", 0, func(w *world, e *spool.Entry) { e.Kind, e.Envelope.Treatment = string(seal.Passed), envelope.Pass }},
		{"kind alone", 0, func(w *world, e *spool.Entry) { e.Kind = string(seal.Passed) }},
		{"kind unknown", 0, func(w *world, e *spool.Entry) { e.Kind = "original" }},
		{"kind empty", 0, func(w *world, e *spool.Entry) { e.Kind = "" }},
		{"header length", 0, func(w *world, e *spool.Entry) { e.HeaderLen-- }},
		{"header length zero", 0, func(w *world, e *spool.Entry) { e.HeaderLen = 0 }},
		{"header length negative", 0, func(w *world, e *spool.Entry) { e.HeaderLen = -1 }},
		{"header length huge", 0, func(w *world, e *spool.Entry) { e.HeaderLen = 1 << 62 }},
		{"header bytes", 0, func(w *world, e *spool.Entry) {
			e.Sanitized = w.blobOf(town, strings.Replace(simple, "Subject: x", "Subject: y", 1))
		}},
		{"body bytes", 0, func(w *world, e *spool.Entry) {
			e.Sanitized = w.blobOf(town, strings.Replace(simple, "body", "evil", 1))
		}},
		{"body longer", 0, func(w *world, e *spool.Entry) { e.Sanitized = w.blobOf(town, simple+"x\r\n") }},
		{"big body", 0, func(w *world, e *spool.Entry) {
			e.Sanitized = w.blobOf(town, simple+strings.Repeat("x\r\n", 100_000))
		}},
		{"blob of another tenant", 0, func(w *world, e *spool.Entry) { e.Sanitized = w.blobOf("village", simple) }},
		{"blob's name", 0, func(w *world, e *spool.Entry) { e.Sanitized.ID = w.blobOf(town, simple).ID }},
		{"blob's key", 0, func(w *world, e *spool.Entry) { e.Sanitized.Wrapped = w.blobOf(town, simple).Wrapped }},
		{"blob gone", 0, func(w *world, e *spool.Entry) {
			if err := w.spool.Blobs.Delete(t.Context(), e.Sanitized.ID); err != nil {
				t.Fatal(err)
			}
		}},
		{"no blob", 0, func(w *world, e *spool.Entry) { e.Sanitized = blob.Ref{} }},
		{"no seal", 0, func(w *world, e *spool.Entry) { e.Seal = nil }},
		{"no intake seal", 0, func(w *world, e *spool.Entry) { e.Intake = nil }},
		{"seal of another gateway", 0, func(w *world, e *spool.Entry) {
			other, err := seal.NewSigner(seal.NewSeed())
			if err != nil {
				t.Fatal(err)
			}
			mine := w.signer
			w.signer = other
			w.reseal(e)
			w.signer = mine
		}},
		// The seal itself is good, and still received bytes do not go inside.
		{"received bytes, sealed by a mistake", envelope.Pass, func(w *world, e *spool.Entry) { w.reseal(e) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSink(t, &smtptest.Sink{})
			w := local(t, s.Addr())
			var id envelope.ID
			var owner envelope.TenantID
			w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example", "b@town.example"}, treatment: c.treatment, change: func(e *spool.Entry) {
				c.change(w, e)
				id, owner = e.Envelope.ID, e.Envelope.Tenant
			}})
			stop := w.start()
			var e spool.Entry
			w.until("it is held", func() bool {
				var err error
				if e, err = w.spool.Get(t.Context(), owner, id); err != nil {
					t.Fatal(err)
				}
				return e.State == spool.Held
			})
			stop() // and with it the last log line
			if e.Verdict.Class != sanitize.ClassTampered || len(e.Verdict.Reasons) == 0 {
				t.Errorf("verdict %+v, want class tampered with a reason", e.Verdict)
			}
			if got := w.dialled(); len(got) != 0 || s.Sessions() != 0 {
				t.Errorf("dialled %v, the sink saw %d connections; want none", got, s.Sessions())
			}
			if log := w.log.String(); !strings.Contains(log, `"level":"ERROR","msg":"held","id":"`+string(id)) {
				t.Errorf("no alarm in the log:\n%s", log)
			}
			es, err := w.spool.Audit(t.Context(), owner, 0, 10)
			if err != nil || len(es) != 1 || es[0].Act != "held" || !strings.Contains(es[0].Detail, "tampered") {
				t.Errorf("audit %v, %v", es, err)
			}
		})
	}
}

// The same entries, unspoilt, do arrive: otherwise the test above shows nothing.
func TestEachKindArrivesWhereItMay(t *testing.T) {
	for _, c := range []struct {
		name      string
		treatment envelope.Treatment
		zone      envelope.Zone
		network   envelope.Network
	}{
		{"treated from the internet to local", envelope.Rebuild, envelope.Internet, envelope.NetworkLocal},
		{"treated from the internet to lgwan", envelope.Rebuild, envelope.Internet, envelope.NetworkLGWAN},
		{"passed from lgwan to local", envelope.Pass, envelope.LGWAN, envelope.NetworkLocal},
		{"passed from lgwan to lgwan", envelope.Pass, envelope.LGWAN, envelope.NetworkLGWAN},
		{"passed from lgwan to the internet", envelope.Pass, envelope.LGWAN, envelope.NetworkInternet},
		{"passed from the internet segment to the internet", envelope.Pass, envelope.InternetSegment, envelope.NetworkInternet},
		{"ours to local", envelope.Ours, envelope.Internet, envelope.NetworkLocal},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := startSink(t, &smtptest.Sink{})
			w := newWorld(t, []routing.Hop{{Name: "h", Network: c.network, Hosts: []string{s.Addr()}}, {Name: "own", Network: envelope.NetworkLocal, Hosts: []string{s.Addr()}}},
				[]routing.Route{{Domain: "town.example", Hop: "own"}, {Domain: "x.example", Hop: "h"}})
			id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@x.example"}, treatment: c.treatment, zone: c.zone, networks: []envelope.Network{c.network}})
			w.run(id)
			if len(s.Delivered()) != 1 || w.entry(id).State != spool.Done {
				t.Fatalf("%d arrived, %s; log:\n%s", len(s.Delivered()), w.entry(id).State, w.log)
			}
			// What leaves for the internet names nobody inside.
			if inner := strings.Contains(string(s.Delivered()[0].Data), "192.0.2.7"); inner != (c.network != envelope.NetworkInternet && c.treatment != envelope.Ours) {
				t.Errorf("the peer's address in Received: %v", inner)
			}
		})
	}
}

// marked is a journal that finds every row changed, as the store does when a
// row's own seal does not match.
type marked struct{ spool.Journal }

func (m marked) Claim(ctx context.Context, s spool.State, now time.Time, n int) ([]spool.Entry, error) {
	es, err := m.Journal.Claim(ctx, s, now, n)
	for i := range es {
		es[i].Tampered = "row seal"
	}
	return es, err
}

func TestARowThatTheStoreFoundChangedIsHeld(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	w.spool.Journal = marked{w.spool.Journal}
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	w.run(id)
	if e := w.entry(id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassTampered || s.Sessions() != 0 {
		t.Errorf("%s %s, %d connections", e.State, e.Verdict.Class, s.Sessions())
	}
}

func TestPoisonIsHeld(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	w.spool.Journal = deadly{w.spool.Journal}
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}})
	w.run(id)
	if e := w.entry(id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassPoison || s.Sessions() != 0 {
		t.Errorf("%s %s, %d connections", e.State, e.Verdict.Class, s.Sessions())
	}
}

// deadly is a journal that has seen the daemon die three times with each entry.
type deadly struct{ spool.Journal }

func (m deadly) Claim(ctx context.Context, s spool.State, now time.Time, n int) ([]spool.Entry, error) {
	es, err := m.Journal.Claim(ctx, s, now, n)
	for i := range es {
		es[i].Deaths = spool.PoisonDeaths
	}
	return es, err
}

func TestARouteToAnotherNetworkIsExaminedAnew(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := newWorld(t, []routing.Hop{{Name: "lgwan", Network: envelope.NetworkLGWAN, Hosts: []string{s.Addr()}}},
		[]routing.Route{{Domain: "town.example", Hop: "lgwan"}})
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, networks: []envelope.Network{envelope.NetworkLocal}})
	w.run(id)
	e := w.entry(id)
	if e.State != spool.Received || len(e.Seal) != 0 || len(w.dialled()) != 0 {
		t.Errorf("%s, seal %x, dialled %v; want Received, none, none", e.State, e.Seal, w.dialled())
	}
}

// Even by a table that lost its head, a name of LGWAN does not leave.
func TestANameOfLGWANNeverLeavesByTheInternet(t *testing.T) {
	out := startSink(t, &smtptest.Sink{})
	in := startSink(t, &smtptest.Sink{})
	w := newWorld(t, []routing.Hop{
		{Name: "internet", Network: envelope.NetworkInternet, Hosts: []string{out.Addr()}},
		{Name: "own", Network: envelope.NetworkLocal, Hosts: []string{in.Addr()}},
	}, []routing.Route{{Domain: "*", Hop: "internet"}, {Domain: "town.example", Hop: "own"}})
	id := w.queue(mail{from: addr("tanaka@town.example"), to: []string{"b@city.lg.example", "c@lg.example", "o@other.example"}, zone: envelope.LGWAN, treatment: envelope.Pass,
		networks: []envelope.Network{envelope.NetworkInternet, envelope.NetworkLGWAN}})
	w.run(id)
	var to []string
	for _, l := range out.Commands() {
		if strings.HasPrefix(l, "RCPT") {
			to = append(to, l)
		}
	}
	if !slices.Equal(to, []string{"RCPT TO:<o@other.example>"}) {
		t.Errorf("the internet saw %q", to)
	}
	es, texts := w.spawned(id)
	if len(es) != 1 || es[0].Envelope.To[0] != addr("tanaka@town.example") || !strings.Contains(texts[0], "b@city.lg.example") {
		t.Errorf("the sender was not told: %v", es)
	}
}

func TestAStrayLineEndIsHeldNotChanged(t *testing.T) {
	for _, body := range []string{"a\nb\r\n", "a\rb\r\n", "a\r\r\n", "a\r"} {
		s := startSink(t, &smtptest.Sink{})
		w := local(t, s.Addr())
		id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: "Subject: x\r\n\r\n" + body})
		w.run(id)
		if e := w.entry(id); e.State != spool.Held || e.Verdict.Class != sanitize.ClassFailed || s.Sessions() != 0 {
			t.Errorf("%q: %s %s, %d connections", body, e.State, e.Verdict.Class, s.Sessions())
		}
	}
}

// flaky is a blob store whose blobs read well the first time only.
type flaky struct {
	blob.Store
	change func(off int64, p []byte)
}

type flakyReader struct {
	blob.Reader
	f    flaky
	high int64
}

func (f flaky) Open(ctx context.Context, id blob.ID, key blob.Key) (blob.Reader, error) {
	r, err := f.Store.Open(ctx, id, key)
	if err != nil {
		return nil, err
	}
	return &flakyReader{Reader: r, f: f}, nil
}

func (r *flakyReader) ReadAt(p []byte, off int64) (int, error) {
	n, err := r.Reader.ReadAt(p, off)
	if off < r.high {
		r.f.change(off, p[:n])
	}
	r.high = max(r.high, off+int64(n))
	return n, err
}

// A disk, or a store on the network, that gives other bytes after the check
// than before it: the final dot is not sent.
func TestBytesThatChangeAfterTheCheckAreNotFinished(t *testing.T) {
	s := startSink(t, &smtptest.Sink{})
	w := local(t, s.Addr())
	w.spool.Blobs = flaky{w.spool.Blobs, func(off int64, p []byte) {
		if i := strings.Index(string(p), "needle"); i >= 0 {
			copy(p[i:], "NEEDLE")
		}
	}}
	id := w.queue(mail{from: addr("x@b.example"), to: []string{"a@town.example"}, bytes: simple + strings.Repeat("hay\r\n", 50_000) + "needle\r\n" + strings.Repeat("hay\r\n", 50_000)})
	w.run(id)
	if n := len(s.Delivered()); n != 0 {
		t.Errorf("%d messages count as delivered", n)
	}
	w.until("the sink has seen the half of it", func() bool { return len(s.All()) == 1 })
	if s.All()[0].Complete {
		t.Error("it got its end")
	}
	if e := w.entry(id); e.State != spool.Queued || !strings.Contains(e.Err, "changed while they were sent") {
		t.Errorf("%s, %s", e.State, e.Err)
	}
}
