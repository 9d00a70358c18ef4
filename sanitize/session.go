package sanitize

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"image"
	"io"
	"slices"
)

// Detection is what detect says of an object.
type Detection struct {
	Kind     Kind
	Inside   []Kind    // dangerous kinds seen inside a container that is not opened itself
	Findings []Finding // for instance name and content that disagree
}

// A Session is what one message may still spend, and what was found in it. One
// goroutine uses it. All expansion goes through Meter, all recursion through
// Nested: there is no other way to open an inner file.
type Session struct {
	Options *Options
	Detect  func(Object) (Detection, error)
	Table   map[Kind]Sanitizer // filled by sanitize/all, a literal table

	// Ladder has the steps after Rebuild, which is Table's: what makes another,
	// harmless form of a kind.
	Ladder map[Mode]map[Kind]Sanitizer

	// Tools runs an external program for Convert; nil: there are none.
	Tools func(ctx context.Context, c ToolCall, in io.Reader, out io.Writer) error

	// Codes reads the QR codes of a picture; nil: nobody does.
	Codes func(m image.Image) []string

	parts    []Part
	holds    []Hold
	header   []Field
	preview  []byte
	found    [][]Finding // a stack: the findings of each object being treated
	hosts    []Kind      // kinds of the objects being treated, outermost first
	part     int         // number of the attachment being treated, for the tools
	depth    int
	expanded int64
	stored   int64
	pixels   int64
	entries  int
	beside   []beside
	looks    int // pictures looked at for codes
}

// beside is a file that waits to be treated next to its host.
type beside struct {
	in    Object
	depth int
	alone bool // it goes on also when its host does not
}

// NewSession starts the session of one message or file of size bytes.
func NewSession(o *Options, size int64, detect func(Object) (Detection, error), table map[Kind]Sanitizer) *Session {
	return &Session{Options: o, Detect: detect, Table: table, stored: size, found: [][]Finding{nil}}
}

// Found records what was found in the object being treated.
func (s *Session) Found(f Finding) {
	// A file with a million links must not make a report of a million lines.
	const most = 200
	top := &s.found[len(s.found)-1]
	if len(*top) < most {
		// A module of macros has its hash and twelve words to tell.
		f.Where, f.Detail = bounded(f.Where, 200), bounded(f.Detail, 400)
		*top = append(*top, f)
	}
}

// Hold records a reason for which the whole message must wait.
func (s *Session) Hold(h Hold) {
	const most = 50
	if len(s.holds) < most {
		h.Detail = bounded(h.Detail, 200)
		s.holds = append(s.holds, h)
	}
}

// SetHeader records the decoded header of the outermost message.
func (s *Session) SetHeader(f []Field) { s.header = f }

// AddPart records a part that the caller treated or withheld without Nested.
func (s *Session) AddPart(p Part) { s.parts = append(s.parts, p) }

// Parts returns what was recorded so far; the message sanitizer writes its
// notice from it.
func (s *Session) Parts() []Part { return s.parts }

// AddPreview adds treated text for an administrator who asked to see it.
func (s *Session) AddPreview(text string) {
	// What a terminal shows of a mail; the rest is in the treated form itself.
	const most = 16 << 10
	if s.Options.Preview && len(s.preview) < most {
		s.preview = append(s.preview, bounded(text, most-len(s.preview))...)
	}
}

// Spend charges n expanded bytes. It fails with ErrLimit when the message has
// spent what it may, in all or in proportion to what was sent.
func (s *Session) Spend(n int64) error {
	s.expanded += n
	l := &s.Options.Limits
	if s.expanded > l.Expanded {
		return fmt.Errorf("more than %d bytes expanded: %w", l.Expanded, ErrLimit)
	}
	if beyond := s.expanded - s.drawn(); beyond > l.RatioFloor && beyond/max(s.stored, 1) > l.Ratio {
		return fmt.Errorf("expands more than %d:1: %w", l.Ratio, ErrLimit)
	}
	return nil
}

// drawn is how many expanded bytes the pictures charged so far may come to. An
// empty page packs a thousand to one and is no bomb: pictures have a bound of
// their own, by their pixels, of which none has more than four bytes.
func (s *Session) drawn() int64 { return 4 * s.pixels }

// Room is how many bytes may still be expanded. A file that says it is larger
// need not be opened.
func (s *Session) Room() int64 {
	l := &s.Options.Limits
	total := l.Expanded - s.expanded
	if ratio := max(l.RatioFloor, (l.Ratio+1)*max(s.stored, 1)-1) + s.drawn() - s.expanded; ratio < total {
		return max(ratio, 0)
	}
	return max(total, 0)
}

// SpendEntries charges the members of an archive, before they are looked at.
func (s *Session) SpendEntries(n int) error {
	if s.entries += n; s.entries > s.Options.Limits.Entries {
		return fmt.Errorf("archives of more than %d members: %w", s.Options.Limits.Entries, ErrLimit)
	}
	return nil
}

// SpendPixels charges the pixels of one picture, before it is decoded.
func (s *Session) SpendPixels(width, height int) error {
	if width <= 0 || height <= 0 {
		return fmt.Errorf("picture of %d x %d: %w", width, height, ErrMalformed)
	}
	n := int64(width) * int64(height) // both are bounded by the decoders' 32 bits
	l := &s.Options.Limits
	if n > l.PicturePixels {
		return fmt.Errorf("picture of %d pixels: %w", n, ErrLimit)
	}
	if s.pixels += n; s.pixels > l.Pixels {
		return fmt.Errorf("pictures of more than %d pixels: %w", l.Pixels, ErrLimit)
	}
	return nil
}

// PixelsLeft is how many pixels may still be charged.
func (s *Session) PixelsLeft() int64 { return max(s.Options.Limits.Pixels-s.pixels, 0) }

// Meter charges every byte that is read from r, which is what a decoder gives.
func (s *Session) Meter(r io.Reader) io.Reader { return &meter{s: s, r: r} }

type meter struct {
	s *Session
	r io.Reader
}

func (m *meter) Read(p []byte) (int, error) {
	n, err := m.r.Read(p)
	if e := m.s.Spend(int64(n)); e != nil {
		return 0, e
	}
	return n, err
}

// Nested treats an object found inside another: detected, judged by the
// profile, sanitized under the same budget one level deeper, and recorded as a
// part. On error nothing that reached out may be used. The error says why:
// ErrWithheld when the profile keeps this class back, another when it could
// not be made harmless; the part recorded last carries the fate.
func (s *Session) Nested(ctx context.Context, in Object, out io.Writer) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	p := Part{Path: in.Path, Name: in.Name, Declared: in.Declared, Size: in.Size, InText: in.InText, Kind: KindUnknown, Class: ClassUnknown, Outcome: Refused}
	s.found = append(s.found, nil)
	if !s.inDocument() {
		s.part++
	}
	before, waiting := len(s.parts), len(s.beside)
	res, err := s.nested(ctx, &p, in, out)
	p.Findings = append(p.Findings, s.found[len(s.found)-1]...)
	s.found = s.found[:len(s.found)-1]
	if err != nil {
		// They are in the host, which stays behind.
		s.beside = append(s.beside[:waiting], slices.DeleteFunc(slices.Clone(s.beside[waiting:]), func(b beside) bool { return !b.alone })...)
		p.Outcome, p.Mode, p.OutKind = Refused, 0, ""
		p.Err = bounded(err.Error(), 300)
		p.Fate = KeptBack
		if s.inDocument() || s.Options.RuleOf(p.Kind).Drop {
			p.Fate = Dropped
		}
	}
	// Children were recorded while their host was treated; the host stands
	// before them, as a reader expects.
	s.parts = append(s.parts, Part{})
	copy(s.parts[before+1:], s.parts[before:])
	s.parts[before] = p
	return res, err
}

// Beside puts a file that was found inside another next to its host: it is
// treated once the host is, and attached to the mail if it may be. Its Path
// lies inside the host's.
func (s *Session) Beside(in Object) {
	s.beside = append(s.beside, beside{in: in, depth: s.depth})
}

// InPlaceOf is Beside for what readers get of a host that stays behind itself:
// the sanitizer of the host ends with ErrWithheld.
func (s *Session) InPlaceOf(in Object) {
	s.beside = append(s.beside, beside{in: in, depth: s.depth, alone: true})
}

// InMail reports whether what is being treated came in a mail, so that what is
// put beside it has a place.
func (s *Session) InMail() bool {
	if s.Options.Task == TaskMail {
		return true
	}
	for _, k := range s.hosts[:max(len(s.hosts)-1, 0)] {
		if k == KindMessage || k == KindMSG {
			return true
		}
	}
	return false
}

// Waiting is how many files wait beside their hosts. Who is about to have a host
// treated asks, and hands it to EachBeside.
func (s *Session) Waiting() int { return len(s.beside) }

// EachBeside hands out what was put beside a host since from files were
// waiting, in that order; each is as deep as where it was found. What waited
// before belongs to somebody further out, who may go on when this host does not.
func (s *Session) EachBeside(from int, f func(Object) error) error {
	for len(s.beside) > from {
		b := s.beside[from]
		s.beside = slices.Delete(s.beside, from, from+1)
		at := s.depth
		s.depth = b.depth
		err := f(b.in)
		s.depth = at
		if err != nil {
			return err
		}
	}
	return nil
}

// inDocument reports whether the host of what is being treated is a document.
// What a document could not keep was left out of it, with a placeholder or a
// finding; it is no attachment that anybody could ask for, as a file in a mail
// or in an archive is.
func (s *Session) inDocument() bool {
	if len(s.hosts) == 0 {
		return false
	}
	c := s.hosts[len(s.hosts)-1].Class()
	return c != ClassMessage && c != ClassArchive
}

func (s *Session) nested(ctx context.Context, p *Part, in Object, out io.Writer) (Result, error) {
	if s.depth >= s.Options.Limits.Depth {
		return Result{}, fmt.Errorf("nested more than %d deep: %w", s.Options.Limits.Depth, ErrLimit)
	}
	s.depth++
	defer func() { s.depth-- }()
	sum := sha256.New()
	if _, err := io.Copy(sum, in.Reader()); err != nil {
		return Result{}, fmt.Errorf("read %s: %w", in.Path, err)
	}
	sum.Sum(p.In[:0])
	d, err := s.Detect(in)
	if err != nil {
		return Result{}, fmt.Errorf("detect: %w", err)
	}
	p.Kind, p.Class, p.Inside = d.Kind, d.Kind.Class(), d.Inside
	p.Findings = append(p.Findings, d.Findings...)
	in.Kind = d.Kind
	if s.Options.KeepAll {
		return Result{}, fmt.Errorf("second run: %w", ErrWithheld)
	}
	switch {
	case p.Class == ClassExecutable:
		return Result{}, ErrWithheld
	case p.Class == ClassEncrypted:
		return Result{}, ErrEncrypted
	case !s.treats(d.Kind):
		return Result{}, ErrUnsupported
	}
	return s.descend(ctx, s.steps(in.Kind), p, in, out)
}

// treats reports whether any step of the ladder is there for a kind.
func (s *Session) treats(k Kind) bool {
	for m := Rebuild; m <= Text; m++ {
		if s.step(m, k) != nil {
			return true
		}
	}
	return false
}

// step is what does a step for a kind, nil if nothing does.
func (s *Session) step(m Mode, k Kind) Sanitizer {
	if m == Rebuild {
		return s.Table[k]
	}
	return s.Ladder[m][k]
}

// steps are the steps that the profile allows a kind, in their order. Who names
// a converter for a kind wants it used: it is a step of that kind, whatever its
// class may otherwise do.
func (s *Session) steps(k Kind) []Mode {
	all := s.Options.RuleOf(k).Steps
	if _, ok := s.Options.Hooks[k]; !ok || slices.Contains(all, Convert) {
		return all
	}
	all = append(slices.Clone(all), Convert)
	slices.Sort(all)
	return all
}

// descend goes down the ladder: of the steps that are allowed, the first
// that succeeds. What one says of the file when it fails (that two readers
// could see two files, that its container is broken, that it costs too much) is
// no reason to show it to a lesser parser; then there are no further steps.
func (s *Session) descend(ctx context.Context, steps []Mode, p *Part, in Object, out io.Writer) (Result, error) {
	parts, waiting, top := len(s.parts), len(s.beside), len(s.found)-1
	told := len(s.found[top])
	var first error
	dirty := false
	for _, m := range steps {
		sanitizer := s.step(m, in.Kind)
		if sanitizer == nil {
			if s.Ladder[Convert][in.Kind] != nil || s.Ladder[Text][in.Kind] != nil {
				p.Tried = append(p.Tried, Tried{m, "not built for this kind"})
			}
			continue
		}
		if dirty {
			r, ok := out.(interface{ Reset() })
			if !ok {
				break // what is there cannot be taken back
			}
			r.Reset()
		}
		w := &digestWriter{w: out, h: sha256.New()}
		s.hosts = append(s.hosts, in.Kind)
		res, err := sanitizer.Sanitize(ctx, s, in, w)
		s.hosts = s.hosts[:len(s.hosts)-1]
		if err == nil && res.Outcome != Clean && res.Outcome != Disarmed {
			err = fmt.Errorf("sanitizer of %s gave no answer: %w", in.Kind, ErrUnsupported)
		}
		if err != nil {
			dirty = dirty || w.n > 0
			p.Tried = append(p.Tried, Tried{m, bounded(err.Error(), 200)})
			if first == nil {
				first = err
			}
			if final(err) || ctx.Err() != nil {
				break
			}
			s.parts, s.beside, s.found[top] = s.parts[:parts], s.beside[:waiting], s.found[top][:told]
			continue
		}
		for _, f := range s.found[top] {
			if f.Changed() {
				res.Outcome = Disarmed
			}
		}
		if m != Rebuild {
			// Another form is not the same file, whatever was in it.
			res.Outcome, res.Mode = Disarmed, m
		}
		w.h.Sum(p.Out[:0])
		p.OutKind, p.Mode, p.Outcome, p.Fate = res.Kind, res.Mode, res.Outcome, Delivered
		return res, nil
	}
	if len(p.Tried) == 1 {
		p.Tried = nil // it is the error of the part
	}
	if first == nil {
		first = ErrWithheld
	}
	return Result{}, first
}

// final reports whether an error ends the ladder.
func final(err error) bool {
	for _, e := range []error{ErrAmbiguous, ErrLimit, ErrContainer, ErrEncrypted, ErrWithheld, ErrSlow} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// Instead has what a tool made of the object being treated treated in its
// place, as kind k: no part of its own, no level deeper, but detected like
// anything that strangers sent. KindText is not detected: text is written anew
// whatever it looks like.
func (s *Session) Instead(ctx context.Context, in Object, k Kind, out io.Writer) (Result, error) {
	if k != KindText {
		d, err := s.Detect(in)
		if err != nil {
			return Result{}, fmt.Errorf("detect: %w", err)
		}
		if d.Kind != k {
			return Result{}, fmt.Errorf("it wrote %s, not %s: %w", d.Kind, k, ErrTool)
		}
	}
	sanitizer, ok := s.Table[k]
	if !ok {
		return Result{}, ErrUnsupported
	}
	in.Kind = k
	s.hosts = append(s.hosts, k)
	defer func() { s.hosts = s.hosts[:len(s.hosts)-1] }()
	return sanitizer.Sanitize(ctx, s, in, out)
}

// Deeper counts one level of containers for an object that is not treated by
// Nested, such as a forwarded message walked in place; undo it with the
// returned function.
func (s *Session) Deeper() (func(), error) {
	if s.depth >= s.Options.Limits.Depth {
		return nil, fmt.Errorf("nested more than %d deep: %w", s.Options.Limits.Depth, ErrLimit)
	}
	s.depth++
	return func() { s.depth-- }, nil
}

// Report sums the session up.
func (s *Session) Report(engine string) *Report {
	for _, b := range s.beside {
		// Treated alone, a file has no mail for what is in it to go into.
		s.parts = append(s.parts, Part{
			Path: b.in.Path, Name: b.in.Name, Declared: b.in.Declared, Size: b.in.Size, Kind: KindUnknown, Class: ClassUnknown,
			Outcome: Refused, Fate: Dropped, Err: "stands in another file: " + ErrWithheld.Error(),
		})
	}
	s.beside = nil
	r := &Report{Engine: engine, Outcome: Clean, Header: s.header, Parts: s.parts, Holds: s.holds, Preview: string(s.preview)}
	for i := range r.Parts {
		p := &r.Parts[i]
		if p.Fate != Delivered || p.Outcome != Clean {
			r.Changed, r.Outcome = true, Disarmed
		}
	}
	if len(r.Holds) > 0 {
		r.Outcome = Refused
	}
	return r
}

type digestWriter struct {
	w io.Writer
	h hash.Hash
	n int64
}

func (d *digestWriter) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	d.n += int64(n)
	d.h.Write(p[:n])
	return n, err
}

// bounded cuts s to n bytes between characters, so that no report grows with
// what a sender writes.
func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
