package pdf

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"sekisho/internal/coefficients"
	"sekisho/internal/fax"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// cleaner copies what may stay of a document into a new one. It starts at the
// pages and goes only where a shape leads: every value it meets is expected to
// be something, and what is not that something is left out.
type cleaner struct {
	ctx    context.Context
	s      *sanitize.Session
	in     sanitize.Object
	f      *pdf.File
	w      *writer
	g      *grammar
	report *report

	memo            map[memoKey]pdf.Ref // what was copied as what; the zero Ref: left out
	queue           []job
	pages           map[int]pdf.Ref // number of a page in the input to its new one
	order           []pdf.Ref       // the new pages
	seen            map[int]bool    // objects that were looked at
	named           map[string]bool // destinations the document has
	dests, oldDests []entry         // those of the name tree and of the dictionary before it
	files           map[int]bool    // embedded files that were taken out
	signed          bool            // a signature was reported
	copied          int
	steps           int                   // entries looked at, whether they stay or not
	fax             *fax.Tables           // made when the first picture needs them
	coefficients    *coefficients.Picture // room for those of a photograph
	light           []byte                // room for what is looked at of it
	maps            int                   // character maps on each other
	longest         float64               // side of a page, in points
	err             error
}

// memoKey is an object in a role. One object in two roles becomes two.
type memoKey struct {
	num int
	s   *shape
}

// job is an object that has its new number and is not written yet. Waiting in
// a queue, objects that lead to objects need no stack.
type job struct {
	out pdf.Ref
	in  pdf.Object
	s   *shape
}

// shape is what a value must be to stay.
type shape struct {
	name string
	// of says which shape a value has of several; the other fields are not set.
	of func(c *cleaner, o pdf.Object) *shape
	// reduce gives what a value comes down to when that is a name or a number.
	reduce func(c *cleaner, o pdf.Object) pdf.Object
	// accept looks whether a value, which is no reference, is of this shape.
	accept func(c *cleaner, o pdf.Object) bool
	// copy makes the new value of an accepted one that is no stream.
	copy func(c *cleaner, o pdf.Object) pdf.Object
	// stream writes the new form of an accepted stream.
	stream func(c *cleaner, out pdf.Ref, st *pdf.Stream)
	// leaf writes the new form of a stream at once, or says that there is none.
	leaf func(c *cleaner, st *pdf.Stream) (pdf.Ref, bool)
}

const (
	// maxCopied bounds the values written, since arrays that many objects share
	// are written for each: as many as a file may hold.
	maxCopied = 8e6
	// maxSteps bounds the entries looked at: an array of nothing that twenty
	// thousand pages share is looked at twenty thousand times and writes nothing.
	// Real documents share resources of some dozen entries; this is a few seconds.
	maxSteps = 25e6
	// maxStream bounds what one stream holds: a picture of the largest size in
	// 16-bit grey.
	maxStream = 192 << 20
)

func (c *cleaner) fail(err error) {
	if c.err == nil {
		c.err = err
	}
}

// step counts n entries that are looked at. It reports whether the work may go
// on.
func (c *cleaner) step(n int) bool {
	if c.steps += n; c.steps > maxSteps {
		c.fail(fmt.Errorf("more than %d entries looked at: %w", int(maxSteps), sanitize.ErrLimit))
	}
	return c.err == nil
}

// value copies o as what s says; nil when it is nothing of the kind.
func (c *cleaner) value(o pdf.Object, s *shape) pdf.Object {
	if s == nil || !c.step(1) {
		return nil
	}
	r, indirect := o.(pdf.Ref)
	if indirect {
		o = c.f.Get(r)
		c.seen[r.Num] = true
	}
	for s.of != nil && o != nil {
		if s = s.of(c, o); s == nil {
			return nil
		}
	}
	if indirect {
		if out, ok := c.memo[memoKey{r.Num, s}]; ok {
			if out.Num == 0 {
				return nil
			}
			return out
		}
	}
	if s.reduce != nil {
		if v := s.reduce(c, o); v != nil {
			return v
		}
	}
	switch t := o.(type) {
	case nil:
		return nil
	case *pdf.Stream:
		if !indirect {
			return nil
		}
		return c.indirect(r, t, s)
	case pdf.Dict, pdf.Array:
		if indirect {
			return c.indirect(r, t, s)
		}
	}
	if s.accept == nil || s.copy == nil || !s.accept(c, o) {
		return nil
	}
	if c.copied++; c.copied > maxCopied {
		c.fail(fmt.Errorf("more than %d values: %w", int(maxCopied), sanitize.ErrLimit))
		return nil
	}
	return s.copy(c, o)
}

func (c *cleaner) indirect(r pdf.Ref, o pdf.Object, s *shape) pdf.Object {
	k := memoKey{r.Num, s}
	st, isStream := o.(*pdf.Stream)
	if isStream && s.leaf != nil {
		c.memo[k] = pdf.Ref{} // while it is written: a leaf that leads to itself
		out, ok := s.leaf(c, st)
		if !ok || c.err != nil {
			return nil
		}
		c.memo[k] = out
		return out
	}
	if s.accept == nil || isStream && s.stream == nil || !isStream && s.copy == nil || !s.accept(c, o) {
		c.memo[k] = pdf.Ref{}
		return nil
	}
	out := c.w.number()
	c.memo[k] = out
	c.queue = append(c.queue, job{out, o, s})
	return out
}

// run works the queue off.
func (c *cleaner) run() {
	for len(c.queue) > 0 && c.err == nil {
		if c.err = c.ctx.Err(); c.err != nil {
			return
		}
		jobs := c.queue
		c.queue = nil
		for _, j := range jobs {
			if st, ok := j.in.(*pdf.Stream); ok {
				j.s.stream(c, j.out, st)
			} else {
				c.w.object(j.out, j.s.copy(c, j.in))
			}
			c.fail(c.f.Err())
			c.fail(c.w.err)
			if c.err != nil {
				return
			}
		}
	}
}

// dict copies the entries of in that keys knows, and says of the others what a
// reader would want to know.
func (c *cleaner) dict(in pdf.Dict, keys map[pdf.Name]*shape) pdf.Dict {
	if !c.step(len(in)) {
		return pdf.Dict{}
	}
	names := make([]pdf.Name, 0, len(in))
	for k := range in {
		names = append(names, k)
	}
	slices.Sort(names)
	out := pdf.Dict{}
	for _, k := range names {
		s, ok := keys[k]
		if !ok {
			c.left(k, in)
			continue
		}
		if v := c.value(in[k], s); v != nil {
			out[k] = v
		}
	}
	return out
}

// left reports an entry that no list knows, if it is one that acts.
func (c *cleaner) left(k pdf.Name, in pdf.Dict) {
	v := c.f.Resolve(in[k])
	switch k {
	case "AA":
		if d, ok := v.(pdf.Dict); ok && len(d) > 0 {
			if !c.step(len(d)) {
				return
			}
			for _, k := range keys(d) {
				c.action(d[k], "AA")
			}
		}
	case "A", "PA":
		c.action(v, string(k))
	case "JS", "JavaScript":
		c.report.found("pdf.javascript", "", sanitize.Removed, "")
	case "XFA":
		c.report.found("pdf.xfa", "", sanitize.Removed, "")
	case "AF":
		if a, ok := v.(pdf.Array); ok {
			if !c.step(len(a)) {
				return
			}
			for _, f := range a {
				c.attachment(f)
			}
			return
		}
		c.attachment(in[k])
	case "EF", "EmbeddedFiles":
		c.report.found("pdf.attachment", "", sanitize.Removed, string(k))
	case "Collection":
		c.report.found("pdf.attachment", "", sanitize.Removed, "portfolio")
	case "Renditions", "RichMediaContent", "RichMediaSettings", "3DD", "3DV", "Movie", "Sound":
		c.report.found("pdf.media", "", sanitize.Removed, string(k))
	case "OPI", "Ref", "Alternates":
		c.report.found("pdf.external", "", sanitize.Removed, string(k))
	case "F", "FFilter":
		// Of a stream: its octets would be fetched from elsewhere.
		switch v.(type) {
		case pdf.String, pdf.Dict:
			c.report.found("pdf.external", "", sanitize.Removed, "stream from another file")
		}
	case "PS":
		c.report.found("pdf.postscript", "", sanitize.Removed, "")
	case "Perms", "DSS", "Legal":
		c.report.found("pdf.signature", "", sanitize.Removed, string(k))
	case "Metadata", "PieceInfo", "SpiderInfo", "URLS", "IDS", "Thumb", "LastModified":
		c.report.found("pdf.metadata", "", sanitize.Rewritten, string(k))
	}
}

// action reports an action that is taken out.
func (c *cleaner) action(o pdf.Object, where string) {
	o = c.f.Resolve(o)
	for range 50 { // of a chain
		if !c.step(1) {
			return
		}
		if a, ok := o.(pdf.Array); ok && len(a) > 0 {
			o = c.f.Resolve(a[0])
		}
		d, ok := o.(pdf.Dict)
		if !ok {
			return
		}
		kind, _ := c.f.Resolve(d["S"]).(pdf.Name)
		switch kind {
		case "JavaScript":
			c.report.found("pdf.javascript", where, sanitize.Removed, "")
		case "GoTo":
			// A place in the document: nothing is lost that acts.
			c.report.found("pdf.action", where, sanitize.Rewritten, string(kind))
		case "URI":
			c.report.found("pdf.link", where, sanitize.Removed, "")
		case "Rendition", "Movie", "Sound", "GoTo3DView", "RichMediaExecute":
			c.report.found("pdf.media", where, sanitize.Removed, string(kind))
		default:
			if d["JS"] != nil {
				c.report.found("pdf.javascript", where, sanitize.Removed, "")
			} else {
				c.report.found("pdf.action", where, sanitize.Removed, string(kind))
			}
		}
		o = c.f.Resolve(d["Next"])
	}
}

// bytes decodes a stream whole. Pictures in it are none of the octets wanted.
func (c *cleaner) bytes(st *pdf.Stream) ([]byte, bool) {
	c.external(st)
	b, rest, err := c.f.Decode(st, maxStream)
	if err != nil {
		if errors.Is(err, pdf.ErrTooMuch) {
			c.fail(fmt.Errorf("%w: %w", err, sanitize.ErrLimit))
		}
		c.fail(c.f.Err())
		return nil, false
	}
	return b, len(rest) == 0
}

// external reports a stream that names a file to take its octets from; those
// in the document are taken (ISO 32000-1, 7.3.8.2).
func (c *cleaner) external(st *pdf.Stream) {
	if st.Dict["F"] != nil {
		c.left("F", st.Dict)
	}
	if st.Dict["FFilter"] != nil {
		c.left("FFilter", st.Dict)
	}
}

// sub returns the dictionary of a dictionary or stream.
func sub(o pdf.Object) pdf.Dict {
	switch o := o.(type) {
	case pdf.Dict:
		return o
	case *pdf.Stream:
		return o.Dict
	}
	return nil
}

func (c *cleaner) name(o pdf.Object) pdf.Name {
	n, _ := c.f.Resolve(o).(pdf.Name)
	return n
}

func (c *cleaner) integer(o pdf.Object) (int64, bool) {
	switch n := c.f.Resolve(o).(type) {
	case int64:
		return n, true
	case pdf.Real:
		if n > -1e9 && n < 1e9 {
			return int64(n), true
		}
	}
	return 0, false
}

func (c *cleaner) number(o pdf.Object) (float64, bool) {
	switch n := c.f.Resolve(o).(type) {
	case int64:
		return float64(n), true
	case pdf.Real:
		return float64(n), true
	}
	return 0, false
}
