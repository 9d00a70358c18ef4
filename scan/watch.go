package scan

import (
	"context"
	"fmt"
	"time"
)

// watch probes a scanner until ctx is done.
func (s *Set) watch(ctx context.Context, sc *Scanner) {
	t := time.NewTicker(probeEvery)
	defer t.Stop()
	for {
		s.probe(ctx, sc)
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// probe asks a scanner whether it lives and looks at the age of its signatures.
func (s *Set) probe(ctx context.Context, sc *Scanner) {
	pctx, cancel := context.WithTimeout(ctx, probeTime)
	signatures, version, err := sc.engine.probe(pctx)
	cancel()
	if ctx.Err() != nil {
		return
	}
	now := s.Now()
	sc.mu.Lock()
	st := &sc.state
	st.probed = now
	if err != nil {
		st.probeFails = true
		if st.down == "" {
			st.since = now
		}
		st.down = printable(err.Error())
		events := s.alarm(sc, st.down, now)
		sc.mu.Unlock()
		s.tell(events)
		return
	}
	st.signatures, st.version = signatures, printable(version)
	var events []Event
	if st.down != "" {
		// It lives. If messages went unanswered while it did, the next one
		// says whether it is well: one more and it is down again, and the
		// alarm stands meanwhile.
		if st.probeFails && st.unanswered < tripAfter {
			events = s.well(sc)
		} else {
			st.down = ""
			st.unanswered = tripAfter - 1
		}
	}
	st.probeFails = false
	aged := sc.engine.dated() && now.Sub(signatures) > maxSignatureAge
	if aged && (!st.aged || now.Sub(st.agedAlarm) >= againEvery) {
		st.agedAlarm = now
		why := "it does not say how old its signatures are"
		if !signatures.IsZero() {
			why = fmt.Sprintf("its signatures are of %s, older than %s", signatures.Format(time.RFC3339), maxSignatureAge)
		}
		events = append(events, Event{Scanner: sc.Name, Kind: "signatures", Err: why})
	}
	if !aged && st.aged {
		events = append(events, Event{Scanner: sc.Name, Kind: "signatures", Good: true})
	}
	st.aged = aged
	sc.mu.Unlock()
	s.tell(events)
}

// answered notes an answer about a message.
func (s *Set) answered(sc *Scanner) {
	sc.mu.Lock()
	sc.state.lastGood = s.Now()
	sc.state.unanswered = 0
	events := s.well(sc)
	sc.mu.Unlock()
	s.tell(events)
}

// silent notes a message without an answer, which was shown at begin, and
// reports whether the scanner answered about another one after since.
func (s *Set) silent(sc *Scanner, why string, since, begin time.Time) bool {
	now := s.Now()
	sc.mu.Lock()
	st := &sc.state
	st.unanswered++
	others := st.lastGood.After(since)
	var events []Event
	switch {
	case st.unanswered >= tripAfter:
		if st.down == "" {
			st.since = now
		}
		st.down = why
		events = s.alarm(sc, why, now)
	case !st.lastGood.After(begin):
		// Nobody was answered meanwhile. With little mail it would take minutes
		// until a third one says the same.
		events = s.alarm(sc, why, now)
	}
	sc.mu.Unlock()
	s.tell(events)
	return others
}

// alarm says that a scanner does not answer, if that is news. The caller holds
// the lock.
func (s *Set) alarm(sc *Scanner, why string, now time.Time) []Event {
	st := &sc.state
	if !st.alarmed.IsZero() && now.Sub(st.alarmed) < againEvery {
		return nil
	}
	st.alarmed = now
	return []Event{{Scanner: sc.Name, Kind: "scanner", Err: why}}
}

// well notes that a scanner is well. The caller holds the lock.
func (s *Set) well(sc *Scanner) []Event {
	st := &sc.state
	st.down, st.unanswered = "", 0
	if st.alarmed.IsZero() {
		return nil
	}
	st.alarmed = time.Time{}
	return []Event{{Scanner: sc.Name, Kind: "scanner", Good: true}}
}

// tell logs and hands on what happened; without the lock.
func (s *Set) tell(events []Event) {
	for _, e := range events {
		if e.Good {
			s.Log.Info("scanner", "rule", e.Scanner, "kind", e.Kind, "err", "well again")
		} else {
			s.Log.Error("scanner", "rule", e.Scanner, "kind", e.Kind, "err", e.Err)
		}
		if s.Alarm != nil {
			s.Alarm(e)
		}
	}
}

// Health is what doctor and the metrics say of a scanner.
type Health struct {
	Name       string
	Down       string // why it does not answer; "" when it does
	Since      time.Time
	Version    string
	Probed     time.Time // zero: not asked yet
	Signatures time.Time // zero: it has none, or did not say
	Aged       bool      // the signatures are too old, or their age is not known
}

// Health returns the state of every scanner.
func (s *Set) Health() []Health {
	if s == nil {
		return nil
	}
	var hs []Health
	for _, sc := range s.Scanners {
		sc.mu.Lock()
		st := sc.state
		sc.mu.Unlock()
		h := Health{Name: sc.Name, Down: st.down, Version: st.version, Probed: st.probed, Signatures: st.signatures, Aged: st.aged}
		if h.Down != "" {
			h.Since = st.since
		}
		hs = append(hs, h)
	}
	return hs
}
