package delivery

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"sekisho/envelope"
	"sekisho/internal/seal"
	"sekisho/routing"
)

// errTooBig says that the message is larger than the next server takes. What was
// written anew can be written smaller: it goes back once, to lose its biggest
// files to the quarantine. A text alone, and mail that is passed on as it came,
// fails.
var errTooBig = errors.New("the message is larger than the next server takes")

// sizes remembers what servers take, as they said last. It is a memory of this
// process: after a start the first message that is too big shows it again.
type sizes struct {
	mu    sync.Mutex
	takes map[string]int64         // octets by the key of a destination
	back  map[envelope.ID]struct{} // messages that went back for it
}

// maxBack bounds how many ids are remembered. Beyond, one that comes a second
// time may go back a second time.
const maxBack = 10_000

func (s *sizes) learn(key string, most int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.takes == nil {
		s.takes = map[string]int64{}
	}
	if most <= 0 {
		delete(s.takes, key) // RFC 1870, 4: no number, or zero, is no bound that can be known
		return
	}
	s.takes[key] = most
}

// first reports whether a message has not gone back yet, and notes that it does.
func (s *sizes) first(id envelope.ID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.back[id]; ok {
		return false
	}
	if s.back == nil || len(s.back) >= maxBack {
		s.back = map[envelope.ID]struct{}{}
	}
	s.back[id] = struct{}{}
	return true
}

// Takes is how many octets the server of a hop of named hosts takes in one
// message, 0 when that is not known.
func (d *Delivery) Takes(hop routing.Hop) int64 {
	if hop.MX {
		return 0
	}
	d.sizes.mu.Lock()
	defer d.sizes.mu.Unlock()
	return d.sizes.takes[destination{hop: hop}.key()]
}

// takes is what the server offers, 0 when it names no bound.
func (s *session) takes() int64 {
	most, err := strconv.ParseInt(s.offers["SIZE"], 10, 64)
	if err != nil || most < 0 {
		return 0
	}
	return most
}

// shrinks sends a treated message back that a server of ours is too small for.
// What others have got of it is settled first.
func (j *job) shrinks() bool {
	i := slices.IndexFunc(j.results, func(r result) bool { return r.tooBig && r.outcome == failed && !r.hop.MX })
	if i < 0 || j.e.Kind != string(seal.Treated) || !j.d.sizes.first(j.e.Envelope.ID) {
		return false
	}
	why := j.results[i].answer
	j.commit()
	if len(j.e.Pending) == 0 || j.work.Err() != nil {
		return false
	}
	j.reexamine("shrunk", fmt.Errorf("%w: %s", errTooBig, why))
	return true
}
