package pdf

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

const (
	// mostRead is how much is unpacked to learn that a page has no colour; who
	// draws more than that has time to draw it in colour.
	mostRead = 16 << 20
	// mostStretches is how many runs of the drawing program a document is worth:
	// each is one of the eight that an attachment has.
	mostStretches = 3
)

var errEnough = errors.New("enough was read")

// foreseen is what is known of pages before they are drawn, nil of each when the
// document cannot be read here. It decides how a page is drawn and what is told
// of it, and nothing about what is let through.
type foreseen struct {
	tones []tone   // of each page; nothing is promised for what is not known
	fonts []string // that the document names and does not hold
}

// tone is what may paint a page.
type tone uint8

const (
	toneColour tone = iota // anything
	toneGrey               // black, white and grey, so that it may be drawn at a third of the pixels
	// tonePlain is grey, and nothing but letters of fonts that the document holds and
	// lines and areas that cover what is below them: what programs that draw
	// cannot differ about by more than a part of a pixel.
	tonePlain
)

// foresee reads a document before anything draws it. It fails where its pages
// would be drawn for hours.
func foresee(ctx context.Context, in sanitize.Object) (foreseen, error) {
	if in.Size > sanitize.MaxToolInput {
		return foreseen{}, nil // which is more than is drawn
	}
	b := make([]byte, in.Size)
	if n, err := in.ReadAt(b, 0); n < len(b) && err != nil {
		return foreseen{}, nil
	}
	if err := drawnTooOften(ctx, b); err != nil || in.Size > mostRead {
		return foreseen{}, err
	}
	return tonesOf(ctx, b), nil
}

// openSheets opens a document to look at its pages, unpacking at most so much. The tree
// of pages is walked as it is for a document that is rebuilt.
func openSheets(ctx context.Context, b []byte, most int64) (f *pdf.File, root pdf.Dict, _ []sheet, err error) {
	f, err = pdf.Open(b, func(n int64) error {
		if most -= n; most < 0 {
			return errEnough
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, nil, nil, err
	}
	c := &cleaner{ctx: ctx, f: f, report: &report{}, seen: map[int]bool{}}
	root, _ = f.Resolve(f.Trailer["Root"]).(pdf.Dict)
	sheets := c.sheets(root["Pages"])
	return f, root, sheets, c.err
}

func tonesOf(ctx context.Context, b []byte) (of foreseen) {
	f, root, sheets, err := openSheets(ctx, b, mostRead)
	if err != nil || f.Err() != nil {
		return foreseen{}
	}
	h := &hues{f: f, known: map[int]bool{}, more: map[int]bool{}}
	of.tones = make([]tone, len(sheets))
	for i, s := range sheets {
		// Of layers some are seen on a screen, and others on paper.
		h.plain = root["OCProperties"] == nil
		switch {
		case !h.sheet(s):
		case h.plain:
			of.tones[i] = tonePlain
		default:
			of.tones[i] = toneGrey
		}
	}
	of.fonts = namedFonts(f)
	if f.Err() != nil {
		return foreseen{}
	}
	return of
}

// stretch is a run of pages that are drawn alike.
type stretch struct {
	first, last int
	tone        tone
}

// stretches are the runs of pages of one tone, at most mostStretches: where there
// are more, the shortest are drawn as if more painted them than does.
func stretches(tones []tone) []stretch {
	var all []stretch
	for i, t := range tones {
		if n := len(all); n > 0 && all[n-1].tone == t {
			all[n-1].last = i + 1
		} else {
			all = append(all, stretch{i + 1, i + 1, t})
		}
	}
	for len(all) > mostStretches {
		short := -1
		for i, s := range all {
			if s.tone != toneColour && (short < 0 || s.last-s.first < all[short].last-all[short].first) {
				short = i
			}
		}
		all[short].tone--
		var next []stretch
		for _, s := range all {
			if n := len(next); n > 0 && next[n-1].tone == s.tone {
				next[n-1].last = s.last
			} else {
				next = append(next, s)
			}
		}
		all = next
	}
	return all
}

// hues reads what paints a page.
type hues struct {
	f     *pdf.File
	known map[int]bool // by number of the object
	more  map[int]bool // those of them that are not plain, or not yet known to be
	plain bool         // what was read since it was set is
	depth int
	forms int // read, those read again for another host included
}

func (h *hues) dict(o pdf.Object) pdf.Dict {
	switch v := h.f.Resolve(o).(type) {
	case pdf.Dict:
		return v
	case *pdf.Stream:
		return v.Dict
	}
	return nil
}

func (h *hues) name(o pdf.Object) pdf.Name {
	n, _ := h.f.Resolve(o).(pdf.Name)
	return n
}

func (h *hues) sheet(s sheet) bool {
	get := func(k pdf.Name) pdf.Object {
		if v := h.f.Resolve(s.dict[k]); v != nil {
			return v
		}
		return h.f.Resolve(s.parent[k])
	}
	annots, ok := get("Annots").(pdf.Array)
	if !ok && get("Annots") != nil {
		return false
	}
	for _, o := range annots {
		// Others are drawn as they say, or as the program thinks.
		if a := h.dict(o); h.name(a["Subtype"]) != "Link" || a["AP"] != nil || a["C"] != nil {
			return false
		} else if b, _ := h.f.Resolve(a["Border"]).(pdf.Array); len(b) != 3 || b[2] != int64(0) || a["BS"] != nil {
			// One program draws the frame of a link, the other thinks of paper.
			h.plain = false
		}
	}
	resources, _ := get("Resources").(pdf.Dict)
	parts, ok := get("Contents").(pdf.Array)
	if !ok {
		parts = pdf.Array{get("Contents")}
	}
	var all []byte
	for _, o := range parts {
		switch st := h.f.Resolve(o).(type) {
		case *pdf.Stream:
			b, rest, err := h.f.Decode(st, mostRead)
			if err != nil || len(rest) > 0 {
				return false
			}
			all = append(append(all, b...), '\n')
		case nil:
		default:
			return false
		}
	}
	return h.paints(all, resources)
}

// form says of a stream that paints whether it has no colours.
func (h *hues) form(o pdf.Object, resources pdf.Dict) bool {
	st, ok := h.f.Resolve(o).(*pdf.Stream)
	if !ok {
		return false
	}
	r, ok := o.(pdf.Ref)
	if ok {
		if grey, known := h.known[r.Num]; known {
			h.plain = h.plain && !h.more[r.Num]
			return grey
		}
		h.known[r.Num], h.more[r.Num] = true, true // in a circle nothing new comes
	}
	around := h.plain
	h.plain = st.Dict["Group"] == nil // which may be seen through
	const deep, most = 12, 20_000
	if h.forms++; h.depth == deep || h.forms > most {
		return false
	}
	h.depth++
	defer func() { h.depth-- }()
	own, has := h.f.Resolve(st.Dict["Resources"]).(pdf.Dict)
	if !has {
		own = resources
	}
	b, rest, err := h.f.Decode(st, mostRead)
	grey := err == nil && len(rest) == 0 && h.paints(b, own)
	if ok {
		h.more[r.Num] = !h.plain
	}
	h.plain = h.plain && around
	// Without resources of its own it is what its host makes of it.
	if ok && (has || !grey) {
		h.known[r.Num] = grey
	} else if ok {
		delete(h.known, r.Num)
	}
	return grey
}

// paints reads a program. ISO 32000-1, annex A.
func (h *hues) paints(b []byte, resources pdf.Dict) bool {
	spaces, forms, states, fonts := h.dict(resources["ColorSpace"]), h.dict(resources["XObject"]), h.dict(resources["ExtGState"]), h.dict(resources["Font"])
	for _, k := range []pdf.Name{"DefaultGray", "DefaultRGB", "DefaultCMYK"} {
		if spaces[k] != nil {
			return false // a page is then printed in what this says
		}
	}
	const operands = 8
	var numbers []float64
	var name pdf.Name
	lex := pdf.NewLexer(b)
	for {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			return true
		case pdf.Int, pdf.Num:
			v := t.Real
			if t.Kind == pdf.Int {
				v = float64(t.Int)
			}
			if len(numbers) == operands {
				numbers = append(numbers[:0], numbers[1:]...)
			}
			numbers = append(numbers, v)
			continue
		case pdf.Nam:
			name = pdf.Name(t.Text)
			continue
		case pdf.Word:
		default:
			continue
		}
		ok := true
		switch string(t.Text) {
		case "rg", "RG", "k", "K", "sc", "SC", "scn", "SCN":
			ok = name == "" && greyNumbers(numbers)
			h.plain = h.plain && len(numbers) != 4 // how black an ink is, each program knows
		case "cs", "CS":
			ok = h.space(name, spaces)
			h.plain = h.plain && spaces[name] == nil
		case "Tr":
			// From 4 on letters are a hole to look through.
			h.plain = h.plain && len(numbers) == 1 && numbers[0] < 4
		case "sh":
			ok = false
		case "Do":
			switch x := h.dict(forms[name]); h.name(x["Subtype"]) {
			case "Form":
				ok = h.form(forms[name], resources)
			case "Image":
				ok, h.plain = h.image(x, spaces), false
			default:
				ok = false
			}
		case "gs":
			ok = h.state(h.dict(states[name]), resources)
			h.plain = h.plain && h.covers(h.dict(states[name]))
		case "Tf":
			ok = h.font(h.dict(fonts[name]), resources)
			h.plain = h.plain && h.holds(h.dict(fonts[name]))
		case "BI":
			ok, h.plain = h.inline(lex, b, spaces), false
		}
		if !ok || h.f.Err() != nil {
			return false
		}
		numbers, name = numbers[:0], ""
	}
}

// greyNumbers says of the operands of a colour that they make none: one alone
// is of a grey, since no other space of one is let by; three are alike; of four
// the inks are not there.
func greyNumbers(n []float64) bool {
	const alike = 0.004 // less than one in 255
	switch len(n) {
	case 1:
		return true
	case 3:
		return math.Abs(n[0]-n[1]) < alike && math.Abs(n[1]-n[2]) < alike
	case 4:
		return n[0] == 0 && n[1] == 0 && n[2] == 0
	}
	return false
}

// space says of a colour space that it has greys alone, or that its operands
// tell.
func (h *hues) space(o pdf.Object, named pdf.Dict) bool {
	o = h.f.Resolve(o)
	if n, ok := o.(pdf.Name); ok {
		switch n {
		case "DeviceGray", "G", "DeviceRGB", "RGB", "DeviceCMYK", "CMYK", "CalGray":
			return true
		}
		o = h.f.Resolve(named[n])
		if again, ok := o.(pdf.Name); ok {
			switch again {
			case "DeviceGray", "DeviceRGB", "DeviceCMYK":
				return true
			}
			return false
		}
	}
	a, ok := o.(pdf.Array)
	if !ok || len(a) < 2 {
		return false
	}
	switch h.name(a[0]) {
	case "CalGray", "CalRGB":
		return true
	case "ICCBased":
		switch h.dict(a[1])["N"] {
		case int64(1), int64(3), int64(4):
			return true
		}
	}
	return false
}

// image says of a picture that its samples are greys by their form alone.
func (h *hues) image(d, named pdf.Dict) bool {
	if m, _ := h.f.Resolve(d["ImageMask"]).(bool); m {
		return true
	}
	return h.greySpace(d["ColorSpace"], named)
}

func (h *hues) greySpace(o pdf.Object, named pdf.Dict) bool {
	o = h.f.Resolve(o)
	if n, ok := o.(pdf.Name); ok {
		switch n {
		case "DeviceGray", "G", "CalGray":
			return true
		}
		o = h.f.Resolve(named[n])
		if o == pdf.Name("DeviceGray") {
			return true
		}
	}
	a, ok := o.(pdf.Array)
	if !ok || len(a) < 2 {
		return false
	}
	switch h.name(a[0]) {
	case "CalGray":
		return true
	case "ICCBased":
		return h.dict(a[1])["N"] == int64(1)
	case "Indexed", "I":
		if len(a) < 4 {
			return false
		}
		if h.greySpace(a[1], nil) {
			return true
		}
		base, _ := h.f.Resolve(a[1]).(pdf.Array)
		if n := h.name(a[1]); n != "DeviceRGB" && n != "RGB" && !(len(base) == 2 && h.name(base[0]) == "ICCBased" && h.dict(base[1])["N"] == int64(3)) {
			return false
		}
		return h.greyTable(a[3])
	}
	return false
}

// greyTable says of a table of colours that all are greys.
func (h *hues) greyTable(o pdf.Object) bool {
	var b []byte
	switch v := h.f.Resolve(o).(type) {
	case pdf.String:
		b = []byte(v)
	case *pdf.Stream:
		var rest []pdf.Filter
		var err error
		if b, rest, err = h.f.Decode(v, mostRead); err != nil || len(rest) > 0 {
			return false
		}
	}
	for i := 0; i+2 < len(b); i += 3 {
		if b[i] != b[i+1] || b[i+1] != b[i+2] {
			return false
		}
	}
	return len(b) > 0
}

// state says of a state that it brings no colours.
func (h *hues) state(d, resources pdf.Dict) bool {
	for _, k := range []pdf.Name{"TR", "TR2"} {
		// Each colour may be turned into another.
		if d[k] != nil && h.name(d[k]) != "Identity" && h.name(d[k]) != "Default" {
			return false
		}
	}
	if a, ok := h.f.Resolve(d["Font"]).(pdf.Array); ok && len(a) > 0 {
		return h.font(h.dict(a[0]), resources)
	}
	return true
}

// covers says of a state that what is painted in it covers what is below.
func (h *hues) covers(d pdf.Dict) bool {
	for k, o := range d {
		ok := false
		switch o = h.f.Resolve(o); k {
		case "Type", "LW", "LC", "LJ", "ML", "D", "RI", "FL", "SM", "SA", "AIS", "OPM":
			ok = true
		case "BM":
			ok = o == pdf.Name("Normal")
		case "SMask":
			ok = o == pdf.Name("None")
		case "ca", "CA":
			ok = o == int64(1) || o == pdf.Real(1)
		case "OP", "op":
			ok = o == false
		}
		if !ok {
			return false
		}
	}
	return d != nil
}

// holds says of a font that the document holds it, as a program of outlines.
func (h *hues) holds(d pdf.Dict) bool {
	switch h.name(d["Subtype"]) {
	case "Type3":
		return false
	case "Type0":
		all, _ := h.f.Resolve(d["DescendantFonts"]).(pdf.Array)
		if len(all) != 1 {
			return false
		}
		d = h.dict(all[0])
	}
	of := h.dict(d["FontDescriptor"])
	return of["FontFile"] != nil || of["FontFile2"] != nil || of["FontFile3"] != nil
}

// font says of a font that its glyphs bring no colours.
func (h *hues) font(d, resources pdf.Dict) bool {
	if h.name(d["Subtype"]) != "Type3" {
		return true
	}
	if own := h.dict(d["Resources"]); own != nil {
		resources = own
	}
	for _, o := range h.dict(d["CharProcs"]) {
		if !h.form(o, resources) {
			return false
		}
	}
	return true
}

// inline passes over an inline image and says whether its samples are greys.
func (h *hues) inline(lex *pdf.Lexer, in []byte, named pdf.Dict) bool {
	d := inlineDict(lex)
	if d == nil {
		return false
	}
	c := &cleaner{f: h.f}
	start := min(lex.Pos()+1, len(in))
	_, next := inlineEnd(in, start, c.inlineLength(d))
	lex.Seek(next)
	if m, _ := d["IM"].(bool); m || d["CS"] == nil {
		return true
	}
	return h.greySpace(d["CS"], named)
}

// namedFonts are the fonts that a document does not hold, but for those that
// every reader has. ISO 32000-1, 9.6.2.2 and 9.8.
func namedFonts(f *pdf.File) []string {
	const most = 100
	var names []string
	for n := range f.Numbers {
		d, _ := f.Get(pdf.Ref{Num: n}).(pdf.Dict)
		var name pdf.Name
		switch h := (&hues{f: f}); {
		case h.name(d["Type"]) == "FontDescriptor" && d["FontFile"] == nil && d["FontFile2"] == nil && d["FontFile3"] == nil:
			name = h.name(d["FontName"])
		case h.name(d["Type"]) == "Font" && h.name(d["Subtype"]) != "Type0" && d["FontDescriptor"] == nil:
			name = h.name(d["BaseFont"])
		}
		if s := familyOf(string(name)); s != "" && !slices.Contains(names, s) && len(names) < most {
			names = append(names, s)
		}
	}
	slices.Sort(names)
	return names
}

// familyOf is the name of a font without what a document adds to it; "" of the
// standard ones. Programs of Japan write it in the code page of Windows.
func familyOf(name string) string {
	if !utf8.ValidString(name) {
		if s, err := japanese.ShiftJIS.NewDecoder().String(name); err == nil {
			name = s
		}
	}
	name, _, _ = strings.Cut(name, ",")
	family, _, _ := strings.Cut(name, "-")
	switch family {
	case "Helvetica", "Times", "Courier", "Symbol", "ZapfDingbats":
		return ""
	}
	return name
}
