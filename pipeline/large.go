package pipeline

import (
	"errors"
	"slices"
	"sync"
	"time"

	"sekisho/envelope"
)

// Messages in hand wait for one another in memory: many small ones, so that
// text is not kept waiting by files, and few of those that fill it.
const (
	largeMessage = 1 << 20
	largeInHand  = 4
)

// turnPause is how long a large message waits that nobody calls: whoever
// finishes one calls the next, so that it counts after a restart and no more.
const turnPause = 10 * time.Second

// errTurn says that it is not this message's turn.
var errTurn = errors.New("too many large messages in hand")

// largeTurns gives large messages their turns. One that finds no place goes back
// into the journal: it would keep its place among the messages in hand
// otherwise, and a few large ones would stand in everybody's way.
type largeTurns struct {
	places chan struct{}

	mu      sync.Mutex
	waiting []envelope.ID // in the order in which they were turned away
}

func newLargeTurns() *largeTurns { return &largeTurns{places: make(chan struct{}, largeInHand)} }

// enter takes a place, if there is one.
func (l *largeTurns) enter(id envelope.ID) bool {
	select {
	case l.places <- struct{}{}:
	default:
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting = slices.DeleteFunc(l.waiting, func(w envelope.ID) bool { return w == id })
	return true
}

func (l *largeTurns) leave() { <-l.places }

// turnedAway notes one that is back in the journal.
func (l *largeTurns) turnedAway(id envelope.ID) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Contains(l.waiting, id) {
		l.waiting = append(l.waiting, id)
	}
}

// next returns those that have a place now, the first first. Who is called and
// comes too late is turned away once more.
func (l *largeTurns) next() []envelope.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := min(cap(l.places)-len(l.places), len(l.waiting))
	called := slices.Clone(l.waiting[:n])
	l.waiting = slices.Delete(l.waiting, 0, n)
	return called
}
