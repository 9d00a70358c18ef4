package sqlite

import (
	"bytes"
	"fmt"
	"os"
	"sekisho/internal/blob"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
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

// BenchmarkAmongHeld shows that what waits costs nothing to what moves.
func BenchmarkAmongHeld(b *testing.B) {
	for _, n := range []int{0, 1_000_000} {
		b.Run(fmt.Sprintf("held=%d", n), func(b *testing.B) { amongHeld(b, n) })
	}
}

func amongHeld(b *testing.B, held int) {
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
			if es, err := f.List(b.Context(), spool.Filter{Tenant: "tenant7", State: spool.Held, Limit: 100}); err != nil || held > 0 && len(es) != 100 {
				b.Fatal(len(es), err)
			}
		}
	})
	b.Run("count", func(b *testing.B) {
		for b.Loop() {
			if n, _, err := f.count(b.Context()); err != nil || n[spool.Held] < int64(held) {
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

// BenchmarkLife is what the journal does for a mail of 4 KiB from its
// acceptance to its end: three commits of its own and two claims shared with
// others where it is queued, two and one where it is carried. CPU time and bytes
// written are of the whole process.
func BenchmarkLife(b *testing.B) {
	b.Run("queued", func(b *testing.B) { lives(b, false) })
	b.Run("carried", func(b *testing.B) { lives(b, true) })
}

func lives(b *testing.B, carried bool) {
	for _, c := range []int{1, 10, 50} {
		b.Run(fmt.Sprintf("connections=%d", c), func(b *testing.B) {
			f := fresh(b)
			body := bytes.Repeat([]byte{0xa5}, 4400)
			ref := func() blob.Ref {
				r := spooltest.Ref()
				r.Inline = body
				return r
			}
			ctx := b.Context()
			var done atomic.Int64
			ended := make(chan struct{})
			var rooms sync.WaitGroup
			room := func(st spool.State, workers int, change func() spool.Change) {
				rooms.Go(func() {
					slots := make(chan struct{}, workers)
					for {
						es, err := f.Claim(ctx, st, time.Now(), min(16, workers-len(slots)))
						if err != nil {
							return
						}
						for _, e := range es {
							slots <- struct{}{}
							rooms.Go(func() {
								defer func() { <-slots }()
								ch := change()
								ch.Events = []audit.Event{{Time: start, Tenant: "town", Actor: "gateway", Act: "queued", ID: string(e.Envelope.ID), Detail: "treated, 1 clean"}}
								if carried {
									ch.Events = append(ch.Events, ch.Events[0])
								}
								if err := f.Settle(ctx, e, ch); err != nil {
									b.Error(err)
								}
								if ch.To == spool.Done && done.Add(1) == int64(b.N) {
									close(ended)
								}
							})
						}
						if len(es) > 0 {
							select {
							case slots <- struct{}{}:
								<-slots
							case <-ended:
								return
							}
							continue
						}
						select {
						case <-f.Changed(st):
						case <-ended:
							return
						case <-time.After(time.Second):
						}
					}
				})
			}
			full := spooltest.Full("town", start)
			before, wrote := usage(b)
			b.ResetTimer()
			room(spool.Received, 32, func() spool.Change {
				if carried {
					return spool.Change{To: spool.Done, Update: func(e *spool.Entry) {
						e.Report, e.Seal, e.Verdict = full.Report, make([]byte, 64), full.Verdict
						e.Expires = time.Now().Add(time.Hour)
					}}
				}
				return spool.Change{To: spool.Queued, Update: func(e *spool.Entry) {
					e.Sanitized, e.Report, e.Seal, e.Verdict = ref(), full.Report, make([]byte, 64), full.Verdict
					e.Due = start
				}}
			})
			room(spool.Queued, 20, func() spool.Change {
				return spool.Change{To: spool.Done, Update: func(e *spool.Entry) { e.Expires = time.Now().Add(time.Hour) }}
			})
			var left atomic.Int64
			left.Store(int64(b.N))
			for range c {
				rooms.Go(func() {
					for left.Add(-1) >= 0 {
						e := spooltest.Entry("town", start)
						e.Original = ref()
						if err := f.Insert(ctx, []spool.Entry{e}, []audit.Event{{Time: start, Tenant: "town", Actor: "gateway", Act: "received", ID: string(e.Envelope.ID), Detail: "4096 octets for 1"}}); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			<-ended
			rooms.Wait()
			b.StopTimer()
			after, written := usage(b)
			b.ReportMetric(float64((after-before).Microseconds())/float64(b.N), "cpu-µs/mail")
			b.ReportMetric(float64(written-wrote)/float64(b.N)/1024, "KiB-written/mail")
		})
	}
}

// usage is the process's CPU time and what it has written.
func usage(b *testing.B) (cpu time.Duration, wrote int64) {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		b.Fatal(err)
	}
	data, err := os.ReadFile("/proc/self/io")
	if err != nil {
		b.Skip(err)
	}
	for l := range strings.Lines(string(data)) {
		if v, ok := strings.CutPrefix(l, "wchar: "); ok {
			if wrote, err = strconv.ParseInt(strings.TrimSpace(v), 10, 64); err != nil {
				b.Fatal(err)
			}
		}
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano()), wrote
}

// BenchmarkPaced is what one change waits for while 200 messages come in a
// second, whatever the changes before are at: the longest of a hundred is what a
// peer sees of checkpoints.
func BenchmarkPaced(b *testing.B) {
	f := fresh(b)
	body := bytes.Repeat([]byte{0xa5}, 4400)
	took := make([]time.Duration, b.N)
	var wg sync.WaitGroup
	b.ResetTimer()
	began := time.Now()
	for i := range b.N {
		at := began.Add(time.Duration(i) * 5 * time.Millisecond)
		time.Sleep(time.Until(at))
		wg.Go(func() {
			e := spooltest.Entry("town", start)
			e.Original.Inline = body
			if err := f.Insert(b.Context(), []spool.Entry{e}, []audit.Event{{Time: start, Act: "received", ID: string(e.Envelope.ID)}}); err != nil {
				b.Error(err)
			}
			took[i] = time.Since(at)
		})
	}
	wg.Wait()
	slices.Sort(took)
	for _, p := range []int{50, 95, 99} {
		b.ReportMetric(float64(took[min(b.N-1, b.N*p/100)].Microseconds())/1000, fmt.Sprintf("p%d-ms", p))
	}
	b.ReportMetric(float64(took[b.N-1].Microseconds())/1000, "longest-ms")
}
