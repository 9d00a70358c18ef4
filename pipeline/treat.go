package pipeline

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/internal/seal"
	"sekisho/policy"
	"sekisho/sanitize"
	"sekisho/sanitize/worker"
	"sekisho/scan"
	"sekisho/senderauth"
	"sekisho/spool"
)

// treated is a message as it may go on, and what was found on the way. The
// zero value is nothing.
type treated struct {
	report    *sanitize.Report
	kind      seal.Kind
	message   *worker.Message // header block and body, sealed; nil when the original's bytes go on
	size      int64
	headerLen int64
	header    [32]byte
	body      [32]byte
	partID    string
	expires   time.Time
	released  []string // the paths a release asked for
	scans     []envelope.ScanResult
}

func (t *treated) close() {
	if t.message != nil {
		t.message.Close()
	}
}

// keptBack lists the paths of the parts that wait in an entry of their own.
func (t *treated) keptBack() []string {
	if t.report == nil || t.kind != seal.Treated {
		return nil
	}
	var paths []string
	for i := range t.report.Parts {
		// What lies inside a part that is kept back waits with it.
		p := &t.report.Parts[i]
		if p.Fate == sanitize.KeptBack && !slices.ContainsFunc(paths, func(q string) bool { return sanitize.Inside(p.Path, q) }) {
			paths = append(paths, p.Path)
		}
	}
	return paths
}

// nothingTreated reports whether a release of parts has nothing to deliver.
func (t *treated) nothingTreated() bool {
	if t.report == nil {
		return true
	}
	for i := range t.report.Parts {
		p := &t.report.Parts[i]
		if p.Fate == sanitize.Delivered && slices.Contains(t.released, p.Path) {
			return false
		}
	}
	return true
}

// why says why the parts are kept back.
func (t *treated) why() string {
	_, reasons := t.partReasons()
	return strings.Join(reasons, "; ")
}

// partReasons gives the class of an entry of parts kept back (of the first
// that has one of its own) and a reason for each.
func (t *treated) partReasons() (sanitize.Class, []string) {
	var class sanitize.Class
	var reasons []string
	if t.report == nil {
		return sanitize.ClassFailed, nil
	}
	for i := range t.report.Parts {
		p := &t.report.Parts[i]
		if p.Fate != sanitize.KeptBack {
			continue
		}
		// Of several classes the most telling one names the entry.
		if class == "" || p.Class == sanitize.ClassExecutable || p.Class == sanitize.ClassEncrypted && class != sanitize.ClassExecutable {
			class = p.Class
		}
		reasons = append(reasons, fmt.Sprintf("%s: %s: %s", p.Path, p.Kind, p.Err))
	}
	return class, reasons
}

// summary is a line for the audit: what was taken, no content.
func (t *treated) summary() string {
	if t.report == nil {
		return "as received"
	}
	n := map[string]int{}
	for i := range t.report.Parts {
		p := &t.report.Parts[i]
		if p.Fate == sanitize.Delivered {
			n[p.Outcome.String()]++
		} else {
			n[p.Fate.String()]++
		}
	}
	var words []string
	for _, w := range []string{"clean", "disarmed", "removed", "kept back"} {
		if n[w] > 0 {
			words = append(words, fmt.Sprintf("%d %s", n[w], w))
		}
	}
	return strings.Join(words, ", ")
}

// scanned is what the scanners said, for the audit.
func (t *treated) scanned() string {
	var b strings.Builder
	for _, s := range t.scans {
		b.WriteString("; " + s.String())
	}
	return b.String()
}

// treat examines the bytes of e and has them scanned. Its error says why
// nothing is known of the message; the report may still be there when the
// message itself was refused.
func (p *Pipeline) treat(ctx context.Context, e *spool.Entry, rules *policy.Rules, set *scan.Set) (treated, error) {
	asks := set.Asks(&e.Envelope)
	// When it was last asked about; the first time, not before it came.
	since := e.Due.Add(-scan.Retry)
	if came := e.Envelope.Received.Add(-scan.Retry); since.Before(came) {
		since = came
	}
	if asks {
		if w := set.Ready(&e.Envelope); w != nil {
			return treated{}, w
		}
	}
	var kind seal.Kind
	switch e.Envelope.Treatment {
	case envelope.Pass:
		kind = seal.Passed
	case envelope.Ours:
		kind = seal.Ours
	}
	if kind != "" && !asks {
		return p.asReceived(ctx, e, kind, nil)
	}
	if e.Envelope.Size > largeMessage && p.large != nil {
		if !p.large.enter(e.Envelope.ID) {
			return treated{}, errTurn
		}
		defer p.large.leave()
	}
	in, err := worker.NewMessage("message", e.Envelope.Size)
	if err != nil {
		return treated{}, err
	}
	defer in.Close()
	var t treated
	if kind != "" {
		t, err = p.asReceived(ctx, e, kind, in)
	} else {
		err = p.Spool.CopyChecked(ctx, *e, in)
	}
	if err != nil {
		return treated{}, err
	}
	if err := in.Seal(); err != nil {
		return treated{}, err
	}
	// The scanners look at the same bytes at the same time.
	var scans []envelope.ScanResult
	var serr error
	done := make(chan struct{})
	if asks {
		go func() {
			defer close(done)
			scans, serr = set.Scan(ctx, scan.Message{Envelope: &e.Envelope, Bytes: in}, e.Attempts, since)
		}()
	} else {
		close(done)
	}
	scanned := func() ([]envelope.ScanResult, error) {
		<-done
		return scans, serr
	}
	if kind == "" {
		t, err = p.rebuild(ctx, e, rules, in, scanned)
	}
	// Nothing of it is left behind when the message is given back.
	t.scans, serr = scanned()
	if serr != nil {
		err = serr
	}
	return t, err
}

// rebuild has the message in memory treated, by two runs if need be. scanned
// waits for the scanners.
func (p *Pipeline) rebuild(ctx context.Context, e *spool.Entry, rules *policy.Rules, in *worker.Message, scanned func() ([]envelope.ScanResult, error)) (treated, error) {
	now := p.Now()
	o := rules.Options(e.Envelope.Profile)
	o.Task = sanitize.TaskMail
	o.ID = string(e.Envelope.ID)
	o.PartID = string(envelope.NewID(now))
	o.Now, o.Expires = now, now.Add(p.Retention())
	o.Hostname = p.Hostname
	o.Only, o.Tenant = e.Part, string(e.Envelope.Tenant)
	if e.Envelope.Size <= sanitize.MaxLaneMessage && mayBePlain(in, e.Envelope.Size) {
		o.Lane = string(e.Envelope.Tenant)
	} else {
		o.Most = p.most(e)
	}
	if a := e.Envelope.Auth; a != nil {
		o.AuthLine = senderauth.Line(a)
	}
	switch e.Envelope.Zone {
	case envelope.LGWAN, envelope.InternetSegment:
	default: // a stranger; an unknown zone is the internet
		if p.Domains != nil {
			o.Own = p.Domains(e.Envelope.Tenant)
		}
	}
	t, err := p.run(ctx, e, o, in, scanned)
	var wait *scan.Wait
	if err == nil || len(e.Part) > 0 || errors.As(err, &wait) || stopping(ctx) {
		return t, err
	}
	// The second run keeps every attachment back, so that a file nobody can
	// treat costs the attachment and not the mail.
	t.close()
	first := err
	p.Log.Warn("examined", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "rule", "second-run", "err", first)
	o.KeepAll = true
	t, err = p.run(ctx, e, o, in, scanned)
	if err != nil {
		return t, fmt.Errorf("first run: %w; second run: %w", first, err)
	}
	return t, nil
}

// most is how many octets the smallest of the servers takes that the message
// goes to, 0 when none is known to have a bound.
func (p *Pipeline) most(e *spool.Entry) (most int64) {
	if p.Takes == nil {
		return 0
	}
	to := e.Pending
	if len(to) == 0 {
		to = e.Envelope.To
	}
	for _, a := range to {
		hop, _, err := p.Table().Find(e.Envelope.Zone, a)
		if err != nil {
			continue // queue says so
		}
		if n := p.Takes(hop); n > 0 && (most == 0 || n < most) {
			most = n
		}
	}
	return most
}

// run is one look and a second: treat, compose, verify. What the scanners say
// stands in the header that is composed.
func (p *Pipeline) run(ctx context.Context, e *spool.Entry, o sanitize.Options, in *worker.Message, scanned func() ([]envelope.ScanResult, error)) (treated, error) {
	res, err := p.Examiner.Run(ctx, o, in)
	if err != nil {
		return treated{}, err
	}
	t := treated{report: res.Report, kind: seal.Treated, partID: o.PartID, expires: o.Expires, released: o.Only}
	t.report.Preview = "" // content of mail never reaches the journal
	if res.Output == nil {
		if len(res.Report.Holds) > 0 {
			return t, nil // Decide holds it, with the reasons
		}
		return t, fmt.Errorf("no harmless form: %s", res.Refusal)
	}
	defer res.Output.Close()
	if err := checkAuthors(res.Report, in, e.Envelope.Size, o.Limits); err != nil {
		return t, fmt.Errorf("compose: %w", err)
	}
	if t.scans, err = scanned(); err != nil {
		return t, err
	}
	if slices.ContainsFunc(t.scans, func(r envelope.ScanResult) bool { return r.Verdict == envelope.ScanMalware }) {
		// Decide holds it; there is nothing to send and nothing to verify.
		return treated{report: t.report, scans: t.scans}, nil
	}
	if err := p.compose(e, &t, res); err != nil {
		return t, fmt.Errorf("compose: %w", err)
	}
	v := o
	v.Task = sanitize.TaskVerifyMail
	if !res.InLane {
		// The lane's verifier lives longer than one message; what it may look at
		// is what the lane may treat.
		v.Lane = ""
	}
	second, err := p.Examiner.Run(ctx, v, t.message)
	if err != nil {
		return t, fmt.Errorf("verify: %w", err)
	}
	if second.Output != nil {
		second.Output.Close()
	}
	if second.Report.Outcome != sanitize.Clean || second.Refusal != "" || len(second.Report.Holds) > 0 {
		return t, fmt.Errorf("verify: %w: %s", errVerify, verifyReason(second))
	}
	return t, nil
}

var errVerify = errors.New("the treated message is not on the allow-list")

func verifyReason(r *worker.Result) string {
	var words []string
	for _, h := range r.Report.Holds {
		words = append(words, h.Code+": "+h.Detail)
	}
	if r.Refusal != "" {
		words = append(words, r.Refusal)
	}
	return strings.Join(words, "; ")
}

// asReceived hashes the original's own bytes, header block and rest apart, and
// writes them to w, which may be nil.
func (p *Pipeline) asReceived(ctx context.Context, e *spool.Entry, kind seal.Kind, w io.Writer) (treated, error) {
	s := newSplitter(w)
	if err := p.Spool.CopyChecked(ctx, *e, s); err != nil {
		return treated{}, err
	}
	t := treated{kind: kind}
	s.sum(&t)
	return t, nil
}

// compose writes the message that will be delivered: the header block from the
// report's decoded fields, written by us, then what the worker wrote.
func (p *Pipeline) compose(e *spool.Entry, t *treated, res *worker.Result) error {
	r := io.NewSectionReader(res.Output, 0, res.Size)
	entity, err := readEntityHeader(r)
	if err != nil {
		return err
	}
	// A worker of the lane that was captured by an earlier mail of the tenant
	// can still write no attachment.
	if res.InLane && !bytes.Contains(entity, []byte("Content-Type: text/plain")) {
		return errors.New("the lane wrote more than plain text")
	}
	var head bytes.Buffer
	if err := p.writeHeader(&head, e, t, entity); err != nil {
		return err
	}
	m, err := worker.NewMessage("treated", int64(head.Len())+res.Size)
	if err != nil {
		return err
	}
	s := newSplitter(m)
	if _, err := s.Write(head.Bytes()); err != nil {
		m.Close()
		return err
	}
	if _, err := io.Copy(s, io.LimitReader(r, res.Size)); err != nil {
		m.Close()
		return fmt.Errorf("copy the body: %w", err)
	}
	if err := m.Seal(); err != nil {
		m.Close()
		return err
	}
	t.message = m
	s.sum(t)
	return nil
}

// A splitter hashes a message's header block, up to and with the empty line,
// and its body apart, as both are sealed.
type splitter struct {
	w         io.Writer
	head      hash.Hash
	body      hash.Hash
	n         int64
	headerLen int64
	inBody    bool
	tail      [4]byte // last octets seen of the header block
}

func newSplitter(w io.Writer) *splitter {
	return &splitter{w: w, head: sha256.New(), body: sha256.New(), tail: [4]byte{0, 0, '\r', '\n'}}
}

func (s *splitter) Write(b []byte) (int, error) {
	if s.w != nil {
		if n, err := s.w.Write(b); err != nil {
			return n, err
		}
	}
	s.n += int64(len(b))
	rest := b
	if !s.inBody {
		end := len(b)
		for i, c := range b {
			copy(s.tail[:], s.tail[1:])
			s.tail[3] = c
			if s.tail == [4]byte{'\r', '\n', '\r', '\n'} {
				s.inBody, end = true, i+1
				break
			}
		}
		s.head.Write(b[:end])
		s.headerLen += int64(end)
		rest = b[end:]
	}
	s.body.Write(rest)
	return len(b), nil
}

func (s *splitter) sum(t *treated) {
	s.head.Sum(t.header[:0])
	s.body.Sum(t.body[:0])
	t.headerLen, t.size = s.headerLen, s.n
}
