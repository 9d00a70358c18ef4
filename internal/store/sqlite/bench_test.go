package sqlite

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/internal/audit"
	"sekisho/spool"
	"sekisho/spool/spooltest"
)

// BenchmarkInsert is a row and its audit event, one commit each for one writer,
// shared ones for many.
func BenchmarkInsert(b *testing.B) {
	for _, n := range []int{1, 10, 64} {
		b.Run(fmt.Sprintf("writers=%d", n), func(b *testing.B) {
			f := fresh(b)
			var left atomic.Int64
			left.Store(int64(b.N))
			var wg sync.WaitGroup
			b.ResetTimer()
			for range n {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						e := spooltest.Entry("town", start)
						if err := f.Insert(b.Context(), []spool.Entry{e}, []audit.Event{{Time: start, Act: "received", ID: string(e.Envelope.ID)}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}

// BenchmarkAmongAMillionHeld shows that what waits costs nothing to what moves.
func BenchmarkAmongAMillionHeld(b *testing.B) {
	const held = 1_000_000
	f := fresh(b)
	e := spooltest.Full("town", start)
	e.State = spool.Held
	if err := f.Insert(b.Context(), []spool.Entry{e}, nil); err != nil {
		b.Fatal(err)
	}
	f.vandal(b, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO entries (id, tenant, parent, state, due, expires, original, sanitized, facts, seal)
SELECT substr(id, 1, 28) || printf('%08d', i), 'tenant' || (i % 35), parent, state, due, expires + i, printf('%032x', i), sanitized, facts, seal FROM entries, n`, held)
	var busy, frames, done int
	if err := f.readers.QueryRow("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &frames, &done); err != nil || busy != 0 {
		b.Fatal(busy, err)
	}
	now := time.Now()
	b.Run("claim of nothing", func(b *testing.B) {
		for b.Loop() {
			if es, err := f.Claim(b.Context(), spool.Received, now, 8); err != nil || len(es) != 0 {
				b.Fatal(len(es), err)
			}
		}
	})
	b.Run("insert, claim, settle", func(b *testing.B) {
		for b.Loop() {
			if err := f.Insert(b.Context(), []spool.Entry{spooltest.Entry("town", start)}, nil); err != nil {
				b.Fatal(err)
			}
			es, err := f.Claim(b.Context(), spool.Received, now, 8)
			if err != nil || len(es) != 1 {
				b.Fatal(len(es), err)
			}
			if err := f.Settle(b.Context(), es[0], spool.Change{To: spool.Done}); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("page of 100 held of a tenant", func(b *testing.B) {
		for b.Loop() {
			if es, err := f.List(b.Context(), spool.Filter{Tenant: "tenant7", State: spool.Held, Limit: 100}); err != nil || len(es) != 100 {
				b.Fatal(len(es), err)
			}
		}
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if n, _, err := f.count(b.Context()); err != nil || n[spool.Held] < held {
				b.Fatal(n, err)
			}
		}
	})
	b.Run("start", func(b *testing.B) {
		for b.Loop() {
			if err := f.Store.Close(); err != nil {
				b.Fatal(err)
			}
			f.Store = open(b, f.path, f.sealer).Store
		}
	})
}
