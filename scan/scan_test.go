package scan

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"sekisho/envelope"
	"sekisho/internal/scantest"
)

// world is a set of one scanner, what it alarmed about, and a clock.
type world struct {
	*Set
	mu     sync.Mutex
	events []Event
	now    time.Time
}

func newWorld(t *testing.T, sc *Scanner) *world {
	t.Helper()
	sc.Zones = []envelope.Zone{envelope.Internet}
	w := &world{now: time.Now()}
	w.Set = &Set{Scanners: []*Scanner{sc}, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now },
		Alarm: func(e Event) { w.mu.Lock(); defer w.mu.Unlock(); w.events = append(w.events, e) }}
	return w
}

func (w *world) later(d time.Duration) { w.mu.Lock(); defer w.mu.Unlock(); w.now = w.now.Add(d) }

// alarms is what was said, such as "scanner signatures !scanner": ! is good.
func (w *world) alarms() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var s []string
	for _, e := range w.events {
		k := e.Kind
		if e.Good {
			k = "!" + k
		}
		s = append(s, k)
	}
	return strings.Join(s, " ")
}

func message(b []byte) Message {
	return Message{Envelope: &envelope.Envelope{ID: envelope.NewID(time.Now()), Zone: envelope.Internet, Size: int64(len(b))}, Bytes: bytes.NewReader(b)}
}

func (w *world) scan(t *testing.T, m Message, tries int) (envelope.ScanResult, *Wait) {
	t.Helper()
	rs, err := w.Scan(t.Context(), m, tries, w.Now().Add(-Retry))
	if len(rs) != 1 {
		t.Fatalf("%d results", len(rs))
	}
	var wait *Wait
	if err != nil && !errors.As(err, &wait) {
		t.Fatalf("an error that is no wait: %v", err)
	}
	return rs[0], wait
}

func clamdAt(t *testing.T) (*scantest.Clamd, *Scanner) {
	t.Helper()
	c := &scantest.Clamd{}
	if err := c.Listen("unix:" + filepath.Join(t.TempDir(), "c")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, Clamd("clamav", c.Addr())
}

var hello = []byte("Subject: hello\r\n\r\nhello\r\n")

func TestClamdSaysWhatItFinds(t *testing.T) {
	_, sc := clamdAt(t)
	w := newWorld(t, sc)
	if r, wait := w.scan(t, message(hello), 0); r.Verdict != envelope.ScanClean || wait != nil {
		t.Errorf("a text: %s, %v", r, wait)
	}
	big := append(bytes.Repeat([]byte("x\r\n"), 1<<20), scantest.EICAR()...)
	if r, wait := w.scan(t, message(big), 0); r.Verdict != envelope.ScanMalware || r.Detail != "Eicar-Test-Signature" || wait != nil {
		t.Errorf("EICAR behind 3 MiB: %s, %v", r, wait)
	}
	if r, _ := w.scan(t, message(nil), 0); r.Verdict != envelope.ScanClean {
		t.Errorf("nothing at all: %s", r)
	}
	if got := w.alarms(); got != "" {
		t.Errorf("alarms: %s", got)
	}
}

// TestNoAnswerNeverPasses is FT-08 at the scanner: whatever is wrong with it,
// a message waits or is held, by the setting, and there is an alarm at once.
func TestNoAnswerNeverPasses(t *testing.T) {
	for _, mood := range []scantest.Mood{scantest.Slow, scantest.Stuck, scantest.Garbage, scantest.Huge, scantest.Cut, scantest.Hangup, scantest.Busy, scantest.Hasty, "down"} {
		for _, hold := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, hold %v", mood, hold), func(t *testing.T) {
				t.Parallel()
				c, sc := clamdAt(t)
				sc.Hold, sc.Timeout = hold, 300*time.Millisecond
				w := newWorld(t, sc)
				c.Be(mood)
				// More than the socket takes before it is read: hasty lies about it.
				m := message(bytes.Repeat([]byte("x"), 4<<20))
				if mood == "down" {
					c.Close()
				}
				r, wait := w.scan(t, m, 0)
				if r.Verdict != envelope.ScanUnanswered || r.Detail == "" || len(r.Detail) > maxDetail {
					t.Errorf("%s", r)
				}
				if (wait == nil) != hold {
					t.Errorf("waits: %v, want %v", wait != nil, !hold)
				}
				if got := w.alarms(); got != "scanner" {
					t.Errorf("alarms %q, want one", got)
				}
				// A second one is the same trouble and no second alarm; then the
				// rest is spared the wait.
				w.scan(t, m, 0)
				w.scan(t, m, 0)
				if got := w.alarms(); got != "scanner" {
					t.Errorf("alarms %q after three messages", got)
				}
				if down := w.Health()[0].Down; down == "" {
					t.Error("three messages without an answer, and it is not down")
				}
				if ready := w.Ready(m.Envelope); (ready == nil) != hold {
					t.Errorf("ready: %v, hold %v", ready, hold)
				}
			})
		}
	}
}

func TestTooLargeForTheScannerIsHeldNotWaitedFor(t *testing.T) {
	c, sc := clamdAt(t)
	w := newWorld(t, sc)
	c.Be(scantest.TooLarge)
	r, wait := w.scan(t, message(bytes.Repeat([]byte("x"), 8<<20)), 0)
	if r.Verdict != envelope.ScanUnanswered || wait != nil || !strings.Contains(r.Detail, "StreamMaxLength") {
		t.Errorf("%s, %v", r, wait)
	}
}

// TestOneMessageThatIsNeverAnsweredIsHeld while others are: it is the message.
func TestOneMessageThatIsNeverAnsweredIsHeld(t *testing.T) {
	c, sc := clamdAt(t)
	w := newWorld(t, sc)
	tries := 0
	for range 50 {
		c.Be(scantest.Well)
		if r, wait := w.scan(t, message(hello), 0); r.Verdict != envelope.ScanClean || wait != nil {
			t.Fatalf("another one: %s, %v", r, wait)
		}
		w.later(time.Second)
		c.Be(scantest.Hangup)
		_, wait := w.scan(t, message(hello), tries)
		if wait == nil {
			if tries != maxTries-1 {
				t.Errorf("held after %d tries, want %d", tries+1, maxTries)
			}
			return
		}
		if wait.Counts {
			tries++
		}
	}
	t.Error("it waits for ever")
}

// TestScannerThatAnswersNobodyHoldsNobody who may wait.
func TestScannerThatAnswersNobodyHoldsNobody(t *testing.T) {
	c, sc := clamdAt(t)
	w := newWorld(t, sc)
	c.Be(scantest.Hangup)
	for range 3 * maxTries {
		_, wait := w.scan(t, message(hello), 0)
		if wait == nil || wait.Counts {
			t.Fatalf("%v", wait)
		}
		w.later(Retry + time.Second)
	}
}

func TestProbeSeesWhatIsWrongAndWhatIsWellAgain(t *testing.T) {
	c, sc := clamdAt(t)
	addr := c.Addr()
	w := newWorld(t, sc)
	probe := func(want string, up bool) {
		t.Helper()
		w.probe(t.Context(), sc)
		if got := w.alarms(); got != want {
			t.Errorf("alarms %q, want %q", got, want)
		}
		if h := w.Health()[0]; (h.Down == "") != up {
			t.Errorf("down: %q, want up %v", h.Down, up)
		}
		w.later(time.Minute)
	}
	probe("", true)
	c.Be(scantest.Garbage)
	probe("scanner", false)
	probe("scanner", false) // said once
	w.later(againEvery)
	probe("scanner scanner", false) // and once a day
	c.Be(scantest.Well)
	probe("scanner scanner !scanner", true)
	c.Close()
	probe("scanner scanner !scanner scanner", false)
	if w.Ready(message(hello).Envelope) == nil {
		t.Error("it is down, and a message is shown to it")
	}
	if err := c.Listen(addr); err != nil {
		t.Fatal(err)
	}
	probe("scanner scanner !scanner scanner !scanner", true)
	if w.Ready(message(hello).Envelope) != nil {
		t.Error("it is well, and messages wait")
	}
	if h := w.Health()[0]; time.Since(h.Signatures) > time.Hour || h.Version == "" {
		t.Errorf("%+v", h)
	}
}

// TestScannerThatLivesAndAnswersNothingIsTriedByOne message, not by all.
func TestScannerThatLivesAndAnswersNothingIsTriedByOne(t *testing.T) {
	c, sc := clamdAt(t)
	w := newWorld(t, sc)
	c.Be(scantest.Hangup)
	for range tripAfter {
		w.scan(t, message(hello), 0)
	}
	w.probe(t.Context(), sc) // PING is answered
	if w.Ready(message(hello).Envelope) != nil {
		t.Fatal("it lives; one message has to try")
	}
	w.scan(t, message(hello), 0)
	if w.Ready(message(hello).Envelope) == nil {
		t.Error("the one was not answered, and the next is shown to it")
	}
	if got := w.alarms(); got != "scanner" {
		t.Errorf("alarms %q, want one", got)
	}
	c.Be(scantest.Well)
	w.probe(t.Context(), sc)
	if got := w.alarms(); got != "scanner" {
		t.Errorf("alarms %q: an answer to PING is no proof", got)
	}
	w.scan(t, message(hello), 0)
	if got := w.alarms(); got != "scanner !scanner" {
		t.Errorf("alarms %q after an answer", got)
	}
}

func TestOldSignaturesRaiseAnAlarmAndHoldNothing(t *testing.T) {
	c, sc := clamdAt(t)
	w := newWorld(t, sc)
	for _, mood := range []scantest.Mood{scantest.Old, scantest.Undated} {
		w.events = nil
		c.Be(mood)
		w.probe(t.Context(), sc)
		w.probe(t.Context(), sc)
		if got := w.alarms(); got != "signatures" {
			t.Errorf("%s: alarms %q", mood, got)
		}
		if r, wait := w.scan(t, message(hello), 0); r.Verdict != envelope.ScanClean || wait != nil {
			t.Errorf("%s: %s, %v", mood, r, wait)
		}
		c.Be(scantest.Well)
		w.probe(t.Context(), sc)
		if got := w.alarms(); got != "signatures !signatures" {
			t.Errorf("after fresh ones: alarms %q", got)
		}
	}
}

func TestSignatureTime(t *testing.T) {
	for v, want := range map[string]bool{
		"ClamAV 1.4.3/27500/Mon Nov 23 09:00:00 2026":  true,
		"ClamAV 1.4.3/27500/Mon Nov  2 09:00:00 2026 ": true,
		"ClamAV 1.4.3":                 false,
		"ClamAV 1.4.3/27500/yesterday": false,
		"":                             false,
	} {
		if got := signatureTime(v); got.IsZero() == want {
			t.Errorf("%q: %s", v, got)
		}
	}
}

func TestOnlyOneAnswerIsClean(t *testing.T) {
	for _, s := range []string{"", "OK", "stream: ok", "stream: OK ", " stream: OK", "stream: OK\n", "stream: OKAY", "stream: NOT OK", "stream:  FOUND", "1: stream: OK", "UNKNOWN COMMAND"} {
		if a, err := clamdAnswer(s, nil); err == nil {
			t.Errorf("%q is verdict %s", s, a.verdict)
		}
	}
	if a, err := clamdAnswer("stream: Heuristics.X FOUND", errors.New("broken pipe")); err != nil || a.verdict != envelope.ScanMalware {
		t.Errorf("found before the end: %v, %v", a, err)
	}
}

func TestRspamdsActions(t *testing.T) {
	for answer, want := range map[string]envelope.ScanVerdict{
		`{"action":"no action","score":0.1,"required_score":15,"symbols":{"A":{"score":1}}}`: envelope.ScanClean,
		`{"action":"greylist","score":4.1,"required_score":15}`:                              envelope.ScanClean,
		`{"action":"add header","score":7,"required_score":15}`:                              envelope.ScanMarked,
		`{"action":"rewrite subject","score":8,"required_score":15}`:                         envelope.ScanMarked,
		`{"action":"quarantine","score":9,"required_score":15}`:                              envelope.ScanSpam,
		`{"action":"reject","score":16,"required_score":15}`:                                 envelope.ScanSpam,
		`{"action":"discard","score":16,"required_score":15}`:                                envelope.ScanSpam,
		`{"action":"soft reject","score":1,"required_score":15}`:                             0,
		`{"action":"let it through","score":1,"required_score":15}`:                          0,
		`{"action":"","score":1,"required_score":15}`:                                        0,
		`{"score":1,"required_score":15}`:                                                    0,
		`{"action":"no action"}`:                                                             0,
		`{"action":"no action","score":1,"required_score":15,"error":"no memory"}`:           0,
		`{"action":["no action"],"score":1,"required_score":15}`:                             0,
		`null`: 0, ``: 0, `<html>`: 0, `{"action":"no action","score":1`: 0,
	} {
		a, err := rspamdAnswer([]byte(answer))
		if a.verdict != want || (err == nil) != (want != 0) {
			t.Errorf("%s: %s, %v, want %s", answer, a.verdict, err, want)
		}
	}
}

// TestRspamdIsToldTheEnvelope, and that what is no field does not become one.
func TestRspamdIsToldTheEnvelope(t *testing.T) {
	var got *http.Request
	body := `{"action":"no action","score":0,"required_score":15}`
	status := http.StatusOK
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}))
	defer s.Close()
	w := newWorld(t, Rspamd("rspamd", s.Listener.Addr().String()))
	m := message(hello)
	m.Envelope.From = envelope.Address{Local: "a", Domain: "partner.example"}
	m.Envelope.To = []envelope.Address{{Local: "b", Domain: "town.example"}, {Local: "c", Domain: "town.example"}}
	m.Envelope.Peer.Helo = "x\r\nPass: all"
	if r, wait := w.scan(t, m, 0); r.Verdict != envelope.ScanClean || wait != nil {
		t.Fatalf("%s, %v", r, wait)
	}
	if got.Header.Get("From") != "a@partner.example" || len(got.Header["Rcpt"]) != 2 || got.Header.Get("Pass") != "" || got.Header.Get("Queue-Id") != string(m.Envelope.ID) || got.ContentLength != int64(len(hello)) {
		t.Errorf("%v, %d octets", got.Header, got.ContentLength)
	}
	body = `{"action":"no action","score":0,"required_score":15}` + strings.Repeat(" ", maxAnswer)
	if r, _ := w.scan(t, m, 0); r.Verdict != 0 {
		t.Errorf("a long answer: %s", r)
	}
	body, status = `{"action":"no action","score":0,"required_score":15}`, http.StatusFound
	if r, _ := w.scan(t, m, 0); r.Verdict != 0 {
		t.Errorf("elsewhere: %s", r)
	}
}

func TestSpamIsMarkedWhereTheSettingSaysSo(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, `{"action":"reject","score":20,"required_score":15}`)
	}))
	defer s.Close()
	sc := Rspamd("rspamd", s.Listener.Addr().String())
	w := newWorld(t, sc)
	if r, _ := w.scan(t, message(hello), 0); r.Verdict != envelope.ScanSpam {
		t.Errorf("%s", r)
	}
	sc.MarkSpam = true
	if r, _ := w.scan(t, message(hello), 0); r.Verdict != envelope.ScanMarked {
		t.Errorf("with spam: mark: %s", r)
	}
}

func TestZonesSayWhoIsAsked(t *testing.T) {
	_, sc := clamdAt(t)
	w := newWorld(t, sc)
	sc.Zones = []envelope.Zone{envelope.Internet}
	for _, c := range []struct {
		zone      envelope.Zone
		treatment envelope.Treatment
		asked     bool
	}{
		{envelope.Internet, envelope.Rebuild, true}, {0, envelope.Rebuild, true}, {77, envelope.Rebuild, true}, {envelope.Internet, envelope.Pass, true},
		{envelope.LGWAN, envelope.Rebuild, false}, {envelope.InternetSegment, envelope.Pass, false}, {envelope.Internet, envelope.Ours, false},
	} {
		if got := w.Asks(&envelope.Envelope{Zone: c.zone, Treatment: c.treatment}); got != c.asked {
			t.Errorf("zone %s, %s: asked %v", c.zone, c.treatment, got)
		}
	}
	var none *Set
	if none.Asks(&envelope.Envelope{}) || none.Ready(&envelope.Envelope{}) != nil || none.Health() != nil {
		t.Error("no set asks somebody")
	}
}

// TestMalwareIsFoundThoughAnotherIsSilent: one find is enough.
func TestMalwareIsFoundThoughAnotherIsSilent(t *testing.T) {
	_, sc := clamdAt(t)
	c2, silent := clamdAt(t)
	c2.Close()
	w := newWorld(t, sc)
	silent.Zones = sc.Zones
	w.Scanners = append(w.Scanners, silent)
	rs, err := w.Scan(t.Context(), message(scantest.EICAR()), 0, w.Now())
	if err != nil || len(rs) != 2 || rs[0].Verdict != envelope.ScanMalware {
		t.Errorf("%v, %v", rs, err)
	}
	if _, err := w.Scan(t.Context(), message(hello), 0, w.Now()); err == nil {
		t.Error("the other is silent, and it does not wait")
	}
}

// TestWatchRaisesTheAlarmByItself within the minute of limits.md.
func TestWatchRaisesTheAlarmByItself(t *testing.T) {
	if probeEvery+probeTime > time.Minute {
		t.Errorf("a probe every %s that may take %s is no alarm within a minute", probeEvery, probeTime)
	}
	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "c"))
	if err != nil {
		t.Fatal(err)
	}
	addr := "unix:" + l.Addr().String()
	l.Close()
	w := newWorld(t, Clamd("clamav", addr))
	alarmed := make(chan Event, 1)
	w.Alarm = func(e Event) { alarmed <- e }
	w.Start()
	defer w.Close()
	select {
	case e := <-alarmed:
		if e.Kind != "scanner" || e.Good || e.Scanner != "clamav" {
			t.Errorf("%+v", e)
		}
	case <-time.After(time.Minute):
		t.Error("no alarm within a minute")
	}
}

func TestPrintableBoundsWhatScannersSay(t *testing.T) {
	if got := printable("a\x1b[31m\n日" + strings.Repeat("x", 1000)); len(got) != maxDetail || strings.ContainsAny(got, "\x1b\n") {
		t.Errorf("%q", got)
	}
}

// FuzzClamdAnswer: whatever comes, one form is clean and nothing panics.
func FuzzClamdAnswer(f *testing.F) {
	for _, s := range []string{"stream: OK\x00", "stream: X FOUND\x00", "stream: OK", "\x00", "stream: OK\x00stream: OK\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		line, err := readAnswer(bytes.NewReader(b))
		if err != nil {
			return
		}
		a, err := clamdAnswer(line, nil)
		if err == nil && a.verdict == envelope.ScanClean && string(b) != "stream: OK\x00" {
			t.Errorf("%q is clean", b)
		}
		if err == nil && a.verdict != envelope.ScanClean && a.verdict != envelope.ScanMalware {
			t.Errorf("%q is %s", b, a.verdict)
		}
	})
}

// FuzzRspamdAnswer: an answer without a known action is none.
func FuzzRspamdAnswer(f *testing.F) {
	f.Add([]byte(`{"action":"no action","score":0,"required_score":15}`))
	f.Add([]byte(`{"action":"soft reject","score":0,"required_score":15}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		a, err := rspamdAnswer(b)
		if (err == nil) != (a.verdict != envelope.ScanUnanswered) {
			t.Errorf("%q: %s and %v", b, a.verdict, err)
		}
	})
}
