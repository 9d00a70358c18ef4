// Package scan asks other people's scanners about a message: clamd for
// viruses, rspamd for spam, and a command of the administrator's. What comes in
// is the bytes as they were received and the envelope; what comes out is one
// result per scanner. A scanner can make the verdict on a message worse and
// never better: its clean is the least that is needed, its silence is no
// answer, and no answer never passes (package policy says so).
//
// The package reads nothing in a message. It sends the bytes to the scanner
// and reads a short answer, which is bounded in time and size and believed
// only when it is exactly of a known form; anything else is no answer. A
// message that one scanner does not answer waits or is held, as that scanner's
// setting says; the rest is the pipeline's.
//
// Each scanner is watched beside the mail: it is asked every few seconds
// whether it lives and how old its signatures are, and when it does not answer
// the messages do not queue up for its time limit one by one.
package scan

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"sekisho/envelope"
)

// Limits of limits.md, "Senders and scanners" and "alarms".
const (
	// DefaultTimeout is how long an answer may take: a 20 MiB mail on a slow
	// machine takes clamd some seconds.
	DefaultTimeout = 30 * time.Second
	// maxAnswer is how much of an answer is read. clamd says one line, rspamd a
	// few KiB; more is not what was asked for.
	maxAnswer = 64 << 10
	// maxSignatureAge: signatures come several times a day; two days without
	// are two days in which new malware is not known.
	maxSignatureAge = 48 * time.Hour
	// probeEvery and probeTime leave room within the minute in which a scanner
	// that is down must raise its alarm.
	probeEvery = 10 * time.Second
	probeTime  = 5 * time.Second
	// tripAfter is how many messages in a row may go unanswered before the rest
	// is spared the wait.
	tripAfter = 3
	// againEvery is how often an alarm that was not heeded is repeated.
	againEvery = 24 * time.Hour
	// maxDetail is how much of what a scanner calls a find is kept.
	maxDetail = 200
)

// Retry is how long a message that was not answered waits for its next turn.
// When the scanner comes back the whole queue has had its turn within this.
const Retry = 20 * time.Second

// maxTries is how often one message may go unanswered while the scanner
// answers others: then it is the message, and waiting would never end.
const maxTries = 5

// Message is what a scanner gets to see.
type Message struct {
	Envelope *envelope.Envelope
	Bytes    io.ReaderAt // as received; Envelope.Size of them
}

// Scanner is one configured scanner. Its fields are set once.
type Scanner struct {
	Name string
	// Zones whose mail it is asked about.
	Zones []envelope.Zone
	// Hold says that a message it does not answer is held at once; otherwise
	// it waits.
	Hold bool
	// MarkSpam lets what it calls spam go on with a mark.
	MarkSpam bool
	Timeout  time.Duration // zero: DefaultTimeout
	engine   engine

	mu    sync.Mutex
	state state
}

// engine is how one kind of scanner is spoken to.
type engine interface {
	// scan asks about a message. An error is no answer.
	scan(ctx context.Context, m Message) (answer, error)
	// probe asks whether it lives, and when its signatures were made; zero if
	// it has none that age.
	probe(ctx context.Context) (signatures time.Time, version string, err error)
	// antivirus: it looks for malware.
	antivirus() bool
	// dated: it has signatures that age, and must say how old they are.
	dated() bool
}

// answer is what an engine understood.
type answer struct {
	verdict envelope.ScanVerdict
	detail  string
}

// errNever says that the scanner will not answer about this message however
// often it is asked, as when it is too large for it.
var errNever = errors.New("it does not take this message")

// state is what is known of a scanner's health.
type state struct {
	down       string // why it is believed not to answer; "" when it does
	since      time.Time
	probeFails bool
	unanswered int       // messages in a row
	lastGood   time.Time // last answer about a message
	alarmed    time.Time
	signatures time.Time
	aged       bool // signatures are too old, or their age is not known
	agedAlarm  time.Time
	version    string
	probed     time.Time
}

// Event is something that somebody must look at, or that ended.
type Event struct {
	Scanner string
	Kind    string // "scanner", "signatures"
	Good    bool   // it is well again
	Err     string
}

// Set is the scanners of a gateway.
type Set struct {
	Scanners []*Scanner
	Log      *slog.Logger
	Now      func() time.Time
	// Alarm is told of a scanner that stopped answering or has old signatures,
	// and of its return; may be nil.
	Alarm func(Event)
	// Scanned is told of every answer, for the metrics; may be nil.
	Scanned func(scanner string, v envelope.ScanVerdict, took time.Duration)

	cancel context.CancelFunc
	wg     sync.WaitGroup
}

// Start begins to watch the scanners. Close ends it.
func (s *Set) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	for _, sc := range s.Scanners {
		s.wg.Add(1)
		go func() {
			defer s.wg.Done()
			s.watch(ctx, sc)
		}()
	}
}

// Close ends the watch. Scans under way are not touched.
func (s *Set) Close() {
	if s.cancel != nil {
		s.cancel()
		s.wg.Wait()
	}
}

// asked are the scanners that mail of this zone is shown to. What the gateway
// wrote itself is shown to none.
func (s *Set) asked(e *envelope.Envelope) []*Scanner {
	if s == nil || e.Treatment == envelope.Ours {
		return nil
	}
	zone := e.Zone
	switch zone {
	case envelope.LGWAN, envelope.InternetSegment:
	default: // unknown is the internet
		zone = envelope.Internet
	}
	var as []*Scanner
	for _, sc := range s.Scanners {
		if slices.Contains(sc.Zones, zone) {
			as = append(as, sc)
		}
	}
	return as
}

// Asks reports whether any scanner is asked about a message.
func (s *Set) Asks(e *envelope.Envelope) bool { return len(s.asked(e)) > 0 }

// Wait is why a message has to wait: a scanner does not answer.
type Wait struct {
	Scanner string
	Detail  string
	// Counts says that the scanner answers about others.
	Counts bool
}

func (w *Wait) Error() string {
	return fmt.Sprintf("scanner %s does not answer: %s", w.Scanner, w.Detail)
}

// Ready returns why a message need not be looked at now, because a scanner for
// which it waits is known to be down; nil when it can be scanned.
func (s *Set) Ready(e *envelope.Envelope) *Wait {
	for _, sc := range s.asked(e) {
		if sc.Hold {
			continue
		}
		sc.mu.Lock()
		down := sc.state.down
		sc.mu.Unlock()
		if down != "" {
			return &Wait{Scanner: sc.Name, Detail: down}
		}
	}
	return nil
}

// Scan shows the message to every scanner of its zone at once. tries is how
// often it went unanswered while others did not, and since when it was last
// tried. The error, a *Wait, says that it has to be tried again; it is nil when
// a result decides without the missing answer.
func (s *Set) Scan(ctx context.Context, m Message, tries int, since time.Time) ([]envelope.ScanResult, error) {
	as := s.asked(m.Envelope)
	rs := make([]envelope.ScanResult, len(as))
	waits := make([]*Wait, len(as))
	var wg sync.WaitGroup
	for i, sc := range as {
		wg.Add(1)
		go func() {
			defer wg.Done()
			rs[i], waits[i] = s.one(ctx, sc, m, tries, since)
		}()
	}
	wg.Wait()
	var wait *Wait
	for i := range rs {
		// Malware is malware, whatever else is silent.
		if rs[i].Verdict == envelope.ScanMalware {
			return rs, nil
		}
		if w := waits[i]; w != nil && (wait == nil || w.Counts) {
			wait = w
		}
	}
	if wait != nil {
		return rs, wait
	}
	return rs, nil
}

// one asks one scanner.
func (s *Set) one(ctx context.Context, sc *Scanner, m Message, tries int, since time.Time) (envelope.ScanResult, *Wait) {
	r := envelope.ScanResult{Scanner: sc.Name, Antivirus: sc.engine.antivirus()}
	begin := s.Now()
	limit := sc.Timeout
	if limit <= 0 {
		limit = DefaultTimeout
	}
	sctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	a, err := sc.engine.scan(sctx, m)
	if err == nil && (a.verdict < envelope.ScanClean || a.verdict > envelope.ScanMalware) {
		err = errors.New("an answer that is none")
	}
	if err == nil {
		r.Verdict, r.Detail = a.verdict, printable(a.detail)
		if r.Verdict == envelope.ScanSpam && sc.MarkSpam {
			r.Verdict = envelope.ScanMarked
		}
	} else {
		if sctx.Err() != nil && ctx.Err() == nil {
			err = fmt.Errorf("no answer within %s: %w", limit, err)
		}
		r.Detail = printable(err.Error())
	}
	if s.Scanned != nil {
		s.Scanned(sc.Name, r.Verdict, s.Now().Sub(begin))
	}
	switch {
	case err == nil:
		s.answered(sc)
		return r, nil
	case ctx.Err() != nil:
		// The entry is somebody else's now; that says nothing of the scanner.
		return r, &Wait{Scanner: sc.Name, Detail: r.Detail}
	case errors.Is(err, errNever):
		s.answered(sc)
		return r, nil // it is held
	}
	others := s.silent(sc, r.Detail, since, begin)
	if sc.Hold || others && tries+1 >= maxTries {
		return r, nil
	}
	return r, &Wait{Scanner: sc.Name, Detail: r.Detail, Counts: others}
}

// printable keeps of untrusted text what a log and a terminal can show.
func printable(untrusted string) string {
	var b strings.Builder
	for i := 0; i < len(untrusted) && b.Len() < maxDetail; i++ {
		if c := untrusted[i]; c >= 0x20 && c < 0x7f {
			b.WriteByte(c)
		} else {
			b.WriteByte('?')
		}
	}
	return strings.TrimSpace(b.String())
}
