package spool

import (
	"sync"
	"time"

	"sekisho/internal/blob"
)

const (
	// maxRecent bounds the octets that are kept of small blobs just accepted: some
	// hundred texts. What comes while so many wait is read from the journal.
	maxRecent = 2 << 20
	// recentFor is how long one waits for its reader: an entry that waits longer is
	// behind a queue, or nobody's.
	recentFor = 30 * time.Second
)

// recent keeps small blobs, as they are at rest, from their commit to the first
// time they are read: most are treated within milliseconds, and a reader's view
// of the journal is a new one after every commit, so that it reads anew, from
// the root, what was in memory a moment before.
type recent struct {
	mu    sync.Mutex
	small map[blob.ID]kept
	order []blob.ID // of coming; those that were read are in it until they are its first
	size  int
}

type kept struct {
	b     []byte
	since time.Time
}

func (r *recent) put(id blob.ID, b []byte, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.order) > 0 {
		if k, there := r.small[r.order[0]]; there && now.Sub(k.since) < recentFor {
			break
		}
		r.drop(r.order[0])
		r.order = r.order[1:]
	}
	if _, there := r.small[id]; there || r.size+len(b) > maxRecent || len(b) == 0 {
		return
	}
	if r.small == nil {
		r.small = make(map[blob.ID]kept)
	}
	r.small[id] = kept{b, now}
	r.order = append(r.order, id)
	r.size += len(b)
}

// take returns one and forgets it; nil when it is not there.
func (r *recent) take(id blob.ID) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.drop(id)
}

func (r *recent) drop(id blob.ID) []byte {
	k, there := r.small[id]
	if !there {
		return nil
	}
	delete(r.small, id)
	r.size -= len(k.b)
	return k.b
}
