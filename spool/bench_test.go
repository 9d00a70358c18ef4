package spool_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/internal/blob/blobtest"
	"sekisho/spool"
)

var places = []struct {
	where  string
	inline int64
	n      int
}{
	{"files", 0, 1}, {"files", 0, 10}, {"files", 0, 50},
	{"journal", spool.MaxInline, 1}, {"journal", spool.MaxInline, 10}, {"journal", spool.MaxInline, 50},
}

func BenchmarkAccept(b *testing.B) {
	content := blobtest.Bytes(1, 4096)
	for _, c := range places {
		b.Run(fmt.Sprintf("4KiB/%s/connections=%d", c.where, c.n), func(b *testing.B) {
			n := c.n
			s := newSite(b)
			s.Inline = c.inline
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			for range n {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := accept(b.Context(), s.Spool, content, "town"); err != nil {
							b.Error(err)
							return
						}
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// BenchmarkLife is a message's three commits: accepted, examined, delivered.
func BenchmarkLife(b *testing.B) {
	content := blobtest.Bytes(1, 4096)
	for _, c := range places {
		b.Run(fmt.Sprintf("4KiB/%s/connections=%d", c.where, c.n), func(b *testing.B) {
			n := c.n
			s := newSite(b)
			s.Inline = c.inline
			var left atomic.Int64
			left.Store(int64(b.N))
			b.ResetTimer()
			var wg sync.WaitGroup
			step := func(from, to spool.State) {
				es, err := s.Claim(b.Context(), from, time.Now(), 1)
				if err != nil {
					b.Error(err)
				}
				for _, e := range es {
					if err := s.Settle(b.Context(), e, spool.Change{To: to, Update: func(e *spool.Entry) { e.Expires = time.Now().Add(time.Hour) }}); err != nil {
						b.Error(err)
					}
				}
			}
			for range n {
				wg.Go(func() {
					for left.Add(-1) >= 0 {
						if _, err := accept(b.Context(), s.Spool, content, "town"); err != nil {
							b.Error(err)
							return
						}
						step(spool.Received, spool.Queued)
						step(spool.Queued, spool.Done)
					}
				})
			}
			wg.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}
