package spool

import (
	"sync"
	"time"

	"sekisho/internal/blob"
)

// freshTime is how long a blob that this process made is left alone by the
// sweep, however old its file seems. From the bytes to the row that names them
// it is minutes at most: two runs of a worker, and a wait for the disk.
const freshTime = time.Hour

// fresh are the blobs that this process made a while ago, by a clock that does
// not jump: the age of a file is a difference of two times of day, and when the
// clock is put forward by a day, a blob whose row is about to be written looks
// like one that nobody wants. Blobs of a process before this one that no row
// names are wanted by nobody.
type fresh struct {
	mu    sync.Mutex
	made  map[blob.ID]bool
	order []made
}

type made struct {
	id blob.ID
	at time.Time // with the reading of the monotonic clock
}

func (f *fresh) add(id blob.ID, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(now)
	if f.made == nil {
		f.made = map[blob.ID]bool{}
	}
	f.made[id] = true
	f.order = append(f.order, made{id, now})
}

func (f *fresh) has(id blob.ID, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.forget(now)
	return f.made[id]
}

func (f *fresh) forget(now time.Time) {
	n := 0
	for n < len(f.order) && now.Sub(f.order[n].at) >= freshTime {
		delete(f.made, f.order[n].id)
		n++
	}
	f.order = f.order[n:]
}
