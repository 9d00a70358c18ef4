package faults

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/blob/blobtest"
	"sekisho/internal/faults/lossyfs"
	"sekisho/internal/store/sqlite"
	"sekisho/policy"
	"sekisho/spool"
)

// steps counts the calls that change something, before and after each, and
// acts at one of them.
type steps struct {
	names []string // of those passed
	at    int      // which; -1: none
	act   func()
}

func (s *steps) pass(name string) {
	if len(s.names) == s.at {
		s.act()
	}
	s.names = append(s.names, name)
}

func (s *steps) around(name string, f func() error) error {
	s.pass("before " + name)
	err := f()
	s.pass("after " + name)
	return err
}

// stepJournal is the journal of a gateway that dies at a step.
type stepJournal struct {
	*sqlite.Store
	s *steps
}

func (j *stepJournal) Insert(ctx context.Context, es []spool.Entry, events []audit.Event) error {
	return j.s.around("Journal.Insert", func() error { return j.Store.Insert(ctx, es, events) })
}

func (j *stepJournal) Claim(ctx context.Context, st spool.State, now time.Time, n int) (es []spool.Entry, err error) {
	err = j.s.around("Journal.Claim", func() error { es, err = j.Store.Claim(ctx, st, now, n); return err })
	return es, err
}

func (j *stepJournal) Take(ctx context.Context, t envelope.TenantID, id envelope.ID, st spool.State) (e spool.Entry, err error) {
	err = j.s.around("Journal.Take", func() error { e, err = j.Store.Take(ctx, t, id, st); return err })
	return e, err
}

func (j *stepJournal) Renew(ctx context.Context, e spool.Entry) error {
	return j.s.around("Journal.Renew", func() error { return j.Store.Renew(ctx, e) })
}

func (j *stepJournal) Hasten(ctx context.Context, st spool.State, ids []envelope.ID, now time.Time) (n int, err error) {
	err = j.s.around("Journal.Hasten", func() error { n, err = j.Store.Hasten(ctx, st, ids, now); return err })
	return n, err
}

func (j *stepJournal) Settle(ctx context.Context, e spool.Entry, c spool.Change) error {
	return j.s.around("Journal.Settle", func() error { return j.Store.Settle(ctx, e, c) })
}

func (j *stepJournal) Purge(ctx context.Context, now time.Time, n int) (ids []blob.ID, err error) {
	err = j.s.around("Journal.Purge", func() error { ids, err = j.Store.Purge(ctx, now, n); return err })
	return ids, err
}

func (j *stepJournal) Record(ctx context.Context, events []audit.Event) error {
	return j.s.around("Journal.Record", func() error { return j.Store.Record(ctx, events) })
}

func (j *stepJournal) AddTenantKey(ctx context.Context, tenant string, wrapped []byte) (w []byte, err error) {
	err = j.s.around("KeyTable.AddTenantKey", func() error { w, err = j.Store.AddTenantKey(ctx, tenant, wrapped); return err })
	return w, err
}

func (j *stepJournal) DeleteTenantKey(ctx context.Context, tenant string) error {
	return j.s.around("KeyTable.DeleteTenantKey", func() error { return j.Store.DeleteTenantKey(ctx, tenant) })
}

// stepBlobs is its blob store.
type stepBlobs struct {
	blob.Store
	s *steps
}

func (b *stepBlobs) Create(ctx context.Context) (w blob.Writer, err error) {
	err = b.s.around("Store.Create", func() error { w, err = b.Store.Create(ctx); return err })
	if err != nil {
		return w, err
	}
	return &stepWriter{w, b.s}, nil
}

func (b *stepBlobs) Delete(ctx context.Context, id blob.ID) error {
	return b.s.around("Store.Delete", func() error { return b.Store.Delete(ctx, id) })
}

func (b *stepBlobs) Aside(ctx context.Context, id blob.ID) error {
	return b.s.around("Store.Aside", func() error { return b.Store.Aside(ctx, id) })
}

type stepWriter struct {
	blob.Writer
	s *steps
}

func (w *stepWriter) Write(p []byte) (n int, err error) {
	err = w.s.around("Writer.Write", func() error { n, err = w.Writer.Write(p); return err })
	return n, err
}

func (w *stepWriter) Commit() error { return w.s.around("Writer.Commit", w.Writer.Commit) }

func (w *stepWriter) Abort() {
	_ = w.s.around("Writer.Abort", func() error { w.Writer.Abort(); return nil })
}

// readOnly are the methods that change nothing.
var readOnly = []string{"Journal.Get", "Journal.List", "Journal.Referenced", "Journal.Count", "Journal.Audit",
	"Store.Open", "Store.Walk", "Store.Free", "Writer.ID", "Writer.Key", "Writer.Size", "KeyTable.TenantKey"}

// stepped puts steps under a site.
func (s *site) stepped(st *steps) error {
	j := &stepJournal{s.db, st}
	keys, err := blob.OpenKeyring(context.Background(), s.data()+"/site.key", j)
	if err != nil {
		return err
	}
	s.Spool.Journal, s.Spool.Blobs, s.Spool.Keys = j, &stepBlobs{s.Spool.Blobs, st}, keys
	return nil
}

// progress is what a gateway knew when it died.
type progress struct {
	queued map[envelope.ID]envelope.Digest // settled to Queued, with these bytes to send
	done   map[envelope.ID]bool
	purged bool // Purge was begun
}

// life takes two messages through all that can happen to them.
func life(s *site, p *progress) error {
	ctx := context.Background()
	if err := s.accept(blobtest.Bytes(1, 100000)); err != nil {
		return err
	}
	if err := s.accept(blobtest.Bytes(2, 3000)); err != nil {
		return err
	}
	d, err := s.NewDraft(ctx)
	if err != nil {
		return err
	}
	if _, err := d.Write(blobtest.Bytes(3, 50000)); err != nil {
		d.Abort()
		return err
	}
	d.Abort()
	if err := s.Record(ctx, []audit.Event{{Act: "something"}}); err != nil {
		return err
	}
	es, err := s.Claim(ctx, spool.Received, time.Now().Add(time.Minute), 10)
	if err != nil {
		return err
	}
	var part spool.Entry
	for i, e := range es {
		if err := s.Renew(ctx, e); err != nil {
			return err
		}
		ref, digest, err := s.WriteBlob(ctx, "town", func(w io.Writer) error {
			_, err := w.Write(blobtest.Bytes(4, 40000-39000*i))
			return err
		})
		if err != nil {
			return err
		}
		c := spool.Change{To: spool.Queued, Update: func(e *spool.Entry) { e.Sanitized = ref; e.Verdict = policy.Verdict{Action: policy.Deliver} }}
		if i == 0 {
			if part, err = s.SpawnPart(e, envelope.NewID(time.Now()), []string{"2"}); err != nil {
				return err
			}
			c.Spawn = []spool.Entry{part}
		}
		if err := s.Settle(ctx, e, c); err != nil {
			return err
		}
		p.queued[e.Envelope.ID] = digest
	}
	for id := range p.queued {
		if _, err := s.Hasten(ctx, spool.Queued, []envelope.ID{id}, time.Now().Add(-time.Minute)); err != nil {
			return err
		}
	}
	if es, err = s.Claim(ctx, spool.Queued, time.Now().Add(time.Minute), 10); err != nil {
		return err
	}
	held, err := s.Take(ctx, "town", part.Envelope.ID, spool.Held)
	if err != nil {
		return err
	}
	for _, e := range append(es, held) {
		if err := s.Settle(ctx, e, spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = time.Now().Add(-time.Second) }}); err != nil {
			return err
		}
		p.done[e.Envelope.ID] = true
	}
	p.purged = true
	ids, err := s.Purge(ctx, time.Now(), 10)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := s.Blobs.Delete(ctx, id); err != nil {
			return err
		}
	}
	// And the rarer acts.
	ref, _, err := s.WriteBlob(ctx, "town", func(w io.Writer) error { _, err := w.Write(blobtest.Bytes(5, 40000)); return err })
	if err != nil {
		return err
	}
	if err := s.Blobs.Aside(ctx, ref.ID); err != nil {
		return err
	}
	if _, _, err := s.WriteBlob(ctx, "city", func(w io.Writer) error { _, err := w.Write([]byte("x")); return err }); err != nil {
		return err
	}
	return s.Keys.Erase(ctx, "city")
}

// after checks what a dead gateway left, and goes on with it to the end.
func (p *progress) after(s *site) {
	s.t.Helper()
	ctx := context.Background()
	if p.purged {
		maps.DeleteFunc(s.acked, func(id envelope.ID, _ envelope.Digest) bool { return p.done[id] })
	}
	s.whole("after the restart")
	for id, digest := range p.queued {
		e, err := s.Get(ctx, "town", id)
		if p.purged && errors.Is(err, spool.ErrNotFound) {
			continue
		}
		if err != nil || e.State != spool.Queued && e.State != spool.Done || p.done[id] && e.State != spool.Done {
			s.t.Errorf("%s was settled and is %s, %v", id, e.State, err)
			continue
		}
		r, err := s.Open(ctx, "town", e.Sanitized)
		if err != nil {
			s.t.Errorf("%s: what is to be sent: %v", id, err)
			continue
		}
		b, err := io.ReadAll(io.NewSectionReader(r, 0, r.Size()))
		if err != nil || envelopeDigest(b) != digest {
			s.t.Errorf("%s: what is to be sent: %d bytes, %v", id, len(b), err)
		}
		r.Close()
	}
	if _, err := s.db.Recover(ctx); err != nil {
		s.t.Fatal(err)
	}
	for _, st := range []spool.State{spool.Received, spool.Queued} {
		for {
			es, err := s.Claim(ctx, st, time.Now().Add(time.Minute), 1)
			if err != nil {
				s.t.Fatal(err)
			}
			if len(es) == 0 {
				break
			}
			if err := s.Settle(ctx, es[0], spool.Change{To: st + 1}); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	n, _, err := s.Count(ctx)
	if err != nil || n[spool.Received] != 0 {
		s.t.Errorf("%v, %v", n, err)
	}
	if err := s.accept([]byte("new")); err != nil {
		s.t.Errorf("new mail: %v", err)
	}
}

func envelopeDigest(b []byte) envelope.Digest { return sha256.Sum256(b) }

// TestDeathAtEveryDurableStep kills the gateway, or cuts its power, before and
// after each call that changes something. The table of calls is made from the
// interfaces: one without a step shows.
func TestDeathAtEveryDurableStep(t *testing.T) {
	// The steps that there are.
	if testing.Short() {
		t.Skip("dies some 80 times")
	}
	t.Parallel()
	dry := &steps{at: -1}
	s := newSite(t, spool.DefaultInline)
	if err := s.stepped(dry); err != nil {
		t.Fatal(err)
	}
	if err := life(s, &progress{queued: map[envelope.ID]envelope.Digest{}, done: map[envelope.ID]bool{}}); err != nil {
		t.Fatalf("without a death: %v", err)
	}
	s.close()
	for _, i := range []reflect.Type{reflect.TypeFor[spool.Journal](), reflect.TypeFor[blob.Store](), reflect.TypeFor[blob.Writer](), reflect.TypeFor[blob.KeyTable]()} {
		for n := range i.NumMethod() {
			name := i.Name() + "." + i.Method(n).Name
			if !slices.Contains(readOnly, name) && !slices.Contains(dry.names, "before "+name) {
				t.Errorf("%s has no step", name)
			}
		}
	}
	table := map[string]int{}
	long := setting(t, "SEKISHO_CUTS", 3) >= 10
	for i, mode := range []lossyfs.Mode{lossyfs.Keep, lossyfs.Drop, lossyfs.Some} {
		for at := range dry.names {
			if !long && at%3 != i {
				continue // each step dies one death, in the long form all three
			}
			s := newSite(t, spool.DefaultInline)
			st := &steps{at: at, act: func() { s.disk.Cut(mode, uint64(at)) }}
			p := &progress{queued: map[envelope.ID]envelope.Digest{}, done: map[envelope.ID]bool{}}
			err := s.stepped(st)
			if err == nil {
				err = life(s, p)
			}
			if err == nil && at < len(dry.names)-1 {
				// A call whose answer lay in memory already; the next one fails.
				table["went on to the end"]++
			}
			s.close()
			s.disk.Remount()
			s.open()
			p.after(s)
			s.close()
			table[strings.TrimPrefix(strings.TrimPrefix(dry.names[at], "before "), "after ")]++
			if t.Failed() {
				t.Fatalf("%s, %s", mode, dry.names[at])
			}
		}
	}
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(table)) {
		fmt.Fprintf(&b, "%s %d, ", name, table[name])
	}
	t.Logf(`{"test":"death at every step","steps":%d,"deaths":"%s"}`, len(dry.names), b.String())
}
