package spool

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"sekisho/internal/blob"
)

// TestRecentKeepsWhatWillBeReadNext: within its bound, the oldest, since these
// are claimed first; and for a time, since some are never read.
func TestRecentKeepsWhatWillBeReadNext(t *testing.T) {
	var r recent
	now := time.Now()
	id := func(i int) blob.ID { return blob.ID(fmt.Sprint(i)) }
	b := bytes.Repeat([]byte{1}, maxRecent/8)
	for i := range 20 {
		r.put(id(i), b, now)
	}
	if r.size > maxRecent {
		t.Errorf("%d octets are kept", r.size)
	}
	if got := r.take(id(0)); !bytes.Equal(got, b) {
		t.Errorf("the first is %d octets", len(got))
	}
	if r.take(id(0)) != nil || r.take(id(19)) != nil {
		t.Error("one that was read, or that had no room, is there")
	}
	// Room that a reader made is used at once.
	r.put(id(20), b, now)
	if r.take(id(20)) == nil {
		t.Error("there was no room in the place of one that was read")
	}
	// What nobody has read in its time is dropped.
	for i := range 8 {
		r.put(id(100+i), b, now.Add(recentFor))
	}
	if r.size > maxRecent || r.take(id(107)) == nil || r.take(id(1)) != nil {
		t.Errorf("%d octets, the old ones stayed", r.size)
	}
	for i := range 200 {
		r.put(id(200+i), b[:1], now.Add(time.Duration(i)*time.Second))
		r.take(id(200 + i))
	}
	if len(r.order) > 10 || len(r.small) > 8 {
		t.Errorf("%d in order, %d kept", len(r.order), len(r.small))
	}
}
