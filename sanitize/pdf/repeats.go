package pdf

import (
	"context"
	"fmt"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

const (
	// mostDrawn is how often forms and patterns may be drawn for one page, those
	// within each other multiplied. Thirty forms that each draw the next one twice
	// are a file of 4 kB, and a program that draws would be at it for hours.
	mostDrawn = 300_000
	// mostDrawnOfAll is that for a whole document.
	mostDrawnOfAll = 10_000_000
	// mostAgain and mostOctetsAgain bound the forms that are read more than once to
	// count them: those that take names from whoever draws them, or lead to
	// themselves.
	mostAgain       = 200_000
	mostOctetsAgain = 128 << 20
	// octetsDrawn is what is read of a program in the time in which another one is
	// begun.
	octetsDrawn = 1000
	// deepest is how many forms lie in each other; programs that draw stop at 100.
	deepest = 128
)

// drawnTooOften counts how often the forms and patterns of a document would be
// drawn, before anything draws it: sanitize.ErrLimit where that is too often. What
// cannot be read here is left to the limits of whoever draws it.
func drawnTooOften(ctx context.Context, b []byte) error {
	f, _, sheets, err := openSheets(ctx, b, mostCounted)
	if err != nil {
		return nil
	}
	return countDrawn(ctx, f, sheets)
}

// mostCounted is how much is unpacked to count.
const mostCounted = 256 << 20

func countDrawn(ctx context.Context, f *pdf.File, sheets []sheet) error {
	r := &repeats{f: f, known: map[int]draws{}, read: map[int]bool{}, within: map[int]bool{}}
	all := int64(0)
	for i, s := range sheets {
		if err := ctx.Err(); err != nil {
			return err
		}
		n := r.sheet(s)
		if r.again > mostAgain || r.octetsAgain > mostOctetsAgain {
			return fmt.Errorf("forms that lead to themselves, or have no resources, too often to count: %w", sanitize.ErrLimit)
		}
		if n > mostDrawn {
			return fmt.Errorf("page %d draws forms and patterns more than %d times: %w", i+1, mostDrawn, sanitize.ErrLimit)
		}
		if all += n; all > mostDrawnOfAll {
			return fmt.Errorf("forms and patterns are drawn more than %d times: %w", mostDrawnOfAll, sanitize.ErrLimit)
		}
	}
	return nil
}

// draws is what a program has drawn.
type draws struct {
	forms  int64 // and patterns, each as often as it is drawn
	paints int64 // operators that paint, for which a pattern may be laid by whoever draws the program
	own    bool  // all names are those of its own resources
}

// many is more than is ever let by. Nothing is counted beyond, so that nothing
// overflows.
const many = 1 << 30

func (d *draws) add(n, times int64) { d.forms = min(d.forms+min(n, many)*min(times, many), many) }

// repeats counts, each form once if it can.
type repeats struct {
	f           *pdf.File
	known       map[int]draws
	read        map[int]bool
	within      map[int]bool // being counted
	depth       int
	again       int
	octetsAgain int
}

func (r *repeats) dict(o pdf.Object) pdf.Dict { return sub(r.f.Resolve(o)) }

func (r *repeats) sheet(s sheet) int64 {
	get := func(k pdf.Name) pdf.Object {
		if v := r.f.Resolve(s.dict[k]); v != nil {
			return v
		}
		return r.f.Resolve(s.parent[k])
	}
	resources, _ := get("Resources").(pdf.Dict)
	hosts := []pdf.Dict{resources}
	var all draws
	if r.mayRepeat(resources) {
		parts, ok := get("Contents").(pdf.Array)
		if !ok {
			parts = pdf.Array{get("Contents")}
		}
		var b []byte
		for _, o := range parts {
			if st, ok := r.f.Resolve(o).(*pdf.Stream); ok && len(b) < maxStream {
				piece, _, _ := r.f.Decode(st, maxStream) // as much of it as can be read
				b = append(append(b, piece...), '\n')
			}
		}
		all = r.program(b, hosts, false)
	}
	annots, _ := get("Annots").(pdf.Array)
	for _, o := range annots {
		look := r.f.Resolve(r.dict(r.dict(o)["AP"])["N"])
		if _, ok := look.(*pdf.Stream); ok {
			look = r.dict(r.dict(o)["AP"])["N"]
			d := r.form(look, hosts)
			all.add(1+d.forms, 1)
			continue
		}
		states, _ := look.(pdf.Dict)
		for _, k := range keys(states) {
			d := r.form(states[k], hosts)
			all.add(1+d.forms, 1)
		}
	}
	return all.forms
}

// mayRepeat says of resources that a program with them can have others drawn.
func (r *repeats) mayRepeat(resources pdf.Dict) bool {
	if len(r.dict(resources["Pattern"])) > 0 {
		return true
	}
	for _, o := range r.dict(resources["XObject"]) {
		if r.f.Resolve(r.dict(o)["Subtype"]) == pdf.Name("Form") {
			return true
		}
	}
	for _, o := range r.dict(resources["ExtGState"]) {
		if r.dict(r.dict(o)["SMask"]) != nil {
			return true
		}
	}
	for _, o := range r.dict(resources["Font"]) {
		if r.f.Resolve(r.dict(o)["Subtype"]) == pdf.Name("Type3") {
			return true
		}
	}
	return false
}

// form counts what a stream that paints has drawn, with the resources of those
// that draw it behind its own: programs look for a name there, too.
func (r *repeats) form(o pdf.Object, hosts []pdf.Dict) draws { return r.stream(o, hosts, nil, false) }

func (r *repeats) stream(o pdf.Object, hosts []pdf.Dict, own pdf.Dict, glyph bool) draws {
	st, ok := r.f.Resolve(o).(*pdf.Stream)
	if !ok {
		return draws{own: true}
	}
	ref, numbered := o.(pdf.Ref)
	if numbered {
		if d, ok := r.known[ref.Num]; ok {
			return d
		}
		if r.within[ref.Num] {
			return draws{} // programs do not draw what they are drawing
		}
		r.within[ref.Num] = true
		defer delete(r.within, ref.Num)
	}
	if r.depth == deepest || r.again > mostAgain || r.octetsAgain > mostOctetsAgain {
		return draws{}
	}
	r.depth++
	defer func() { r.depth-- }()
	b, _, _ := r.f.Decode(st, maxStream)
	if numbered && r.read[ref.Num] {
		r.again++
		r.octetsAgain += len(b)
	} else if numbered {
		r.read[ref.Num] = true
	}
	if own == nil {
		own = r.dict(st.Dict["Resources"])
	}
	// The nearest stands last.
	d := r.program(b, append(hosts[:len(hosts):len(hosts)], own), glyph)
	d.add(int64(len(b)/octetsDrawn), 1)
	if numbered && d.own {
		r.known[ref.Num] = d
	}
	return d
}

// named finds what a program calls by a name.
func named(r *repeats, hosts []pdf.Dict, kind, name pdf.Name) (o pdf.Object, own bool) {
	for i := len(hosts) - 1; i >= 0; i-- {
		if o := r.dict(hosts[i][kind])[name]; o != nil {
			return o, i == len(hosts)-1
		}
	}
	return nil, false
}

func (r *repeats) program(b []byte, hosts []pdf.Dict, glyph bool) draws {
	all := draws{own: true}
	var (
		name    pdf.Name
		letters int64 // octets of text for the next operator
		pattern int64 // what the costliest pattern chosen so far takes, since states are taken back
		type3   int64 // and the costliest letter
	)
	find := func(kind pdf.Name) pdf.Object {
		o, own := named(r, hosts, kind, name)
		all.own = all.own && own
		return o
	}
	drawn := func(d draws) {
		all.add(1+d.forms, 1)
		all.add(d.paints, pattern)
		all.paints = min(all.paints+d.paints, many)
		all.own = all.own && d.own
	}
	lex := pdf.NewLexer(b)
	for all.forms < many {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			return all
		case pdf.Nam:
			name = pdf.Name(t.Text)
			continue
		case pdf.Str:
			letters += int64(len(t.Text))
			continue
		case pdf.Word:
		default:
			continue
		}
		switch string(t.Text) {
		case "Do":
			if o := find("XObject"); r.f.Resolve(r.dict(o)["Subtype"]) == pdf.Name("Form") {
				drawn(r.form(o, hosts))
			}
		case "gs":
			if g := r.dict(r.dict(find("ExtGState"))["SMask"])["G"]; g != nil {
				drawn(r.form(g, hosts))
			}
		case "scn", "SCN":
			if name == "" {
				break
			}
			d := r.form(find("Pattern"), hosts)
			all.own = all.own && d.own
			pattern = max(pattern, 1+d.forms)
		case "Tf":
			font := r.dict(find("Font"))
			if r.f.Resolve(font["Subtype"]) != pdf.Name("Type3") {
				break
			}
			if glyph {
				type3 = max(type3, 1)
			}
			own := r.dict(font["Resources"])
			for _, o := range r.dict(font["CharProcs"]) {
				d := r.stream(o, hosts, own, true)
				all.own = all.own && d.own
				type3 = max(type3, d.forms)
			}
		case "Tj", "TJ", "'", "\"":
			all.add(letters, type3)
			all.add(1, pattern)
			all.paints++
		case "f", "F", "f*", "B", "B*", "b", "b*", "S", "s":
			all.add(1, pattern)
			all.paints++
		case "BI":
			if d := inlineDict(lex); d != nil {
				c := &cleaner{f: r.f}
				_, next := inlineEnd(b, min(lex.Pos()+1, len(b)), c.inlineLength(d))
				lex.Seek(next)
			}
			all.add(1, pattern)
			all.paints++
		}
		name, letters = "", 0
	}
	return all
}
