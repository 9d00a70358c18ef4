package pdf

import (
	"bytes"
	"errors"
	"fmt"

	"sekisho/internal/lazy"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// operators that paint (ISO 32000-1, annex A). What is none of them goes, with
// its operands; readers pass over it anyway.
func isOperator(w []byte) bool {
	switch string(w) {
	case "b", "B", "b*", "B*", "BDC", "BMC", "BT", "BX", "c", "cm", "CS", "cs", "d", "d0", "d1", "Do", "DP", "EMC", "ET", "EX",
		"f", "F", "f*", "G", "g", "gs", "h", "i", "j", "J", "K", "k", "l", "m", "M", "MP", "n", "q", "Q", "re", "RG", "rg", "ri",
		"s", "S", "SC", "sc", "SCN", "scn", "sh", "T*", "Tc", "Td", "TD", "Tf", "Tj", "TJ", "TL", "Tm", "Tr", "Ts", "Tw", "Tz",
		"v", "w", "W", "W*", "y", "'", "\"":
		return true
	}
	return false
}

// program writes a stream that paints: a form, a pattern, a glyph.
func (c *cleaner) program(out pdf.Ref, d pdf.Dict, st *pdf.Stream, keys map[pdf.Name]*shape) {
	b, ok := c.bytes(st)
	if !ok {
		b = nil
	}
	n := pdf.Dict{}
	if keys != nil {
		n = c.dict(c.withoutCoding(d), keys)
	}
	c.w.deflated(out, n, c.paint(b))
}

// pageContents writes what a page paints as one stream. Streams of an array
// are one program, cut between any two tokens (7.8.2).
func (c *cleaner) pageContents(o pdf.Object) pdf.Object {
	if r, ok := o.(pdf.Ref); ok {
		k := memoKey{r.Num, c.g.contents}
		if out, ok := c.memo[k]; ok {
			return out
		}
		c.seen[r.Num] = true
		out := c.w.number()
		c.memo[k] = out
		c.writeContents(out, c.f.Get(r))
		return out
	}
	if a, ok := o.(pdf.Array); ok && len(a) > 0 {
		if len(a) == 1 {
			return c.pageContents(a[0])
		}
		out := c.w.number()
		c.writeContents(out, a)
		return out
	}
	return nil
}

func (c *cleaner) writeContents(out pdf.Ref, o pdf.Object) {
	var all []byte
	add := func(o pdf.Object) {
		if r, ok := o.(pdf.Ref); ok {
			c.seen[r.Num] = true
		}
		st, ok := c.f.Resolve(o).(*pdf.Stream)
		if !c.step(1) || !ok {
			return
		}
		b, ok := c.bytes(st)
		if !ok {
			return
		}
		if len(all)+len(b) > maxStream {
			c.fail(fmt.Errorf("page of more than %d octets: %w", maxStream, sanitize.ErrLimit))
			return
		}
		if all == nil {
			all = b
			return
		}
		all = append(append(all, '\n'), b...)
	}
	if a, ok := o.(pdf.Array); ok {
		for _, v := range a {
			add(v)
		}
	} else {
		add(o)
	}
	c.w.deflated(out, pdf.Dict{}, c.paint(all))
}

// paint writes a program of painting operators anew, token by token.
func (c *cleaner) paint(in []byte) []byte {
	var out bytes.Buffer
	out.Grow(len(in) + len(in)/16)
	lex := pdf.NewLexer(in)
	mark := 0 // where the operands of the next operator begin
	depth := 0
	space := func() {
		if n := out.Len(); n > mark {
			switch out.Bytes()[n-1] {
			case ' ', '[':
			default:
				out.WriteByte(' ')
			}
		}
	}
	for {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			out.Truncate(mark)
			return out.Bytes()
		case pdf.Int, pdf.Num:
			space()
			writeNumber(&out, in, t)
		case pdf.Str:
			writeText(&out, in, t)
		case pdf.Nam:
			if n := out.Len(); n > mark && out.Bytes()[n-1] != '[' {
				out.WriteByte(' ')
			}
			formatName(&out, pdf.Name(t.Text))
		case pdf.ArrayOpen:
			depth++
			out.WriteByte('[')
		case pdf.ArrayClose:
			if depth > 0 {
				depth--
				out.WriteByte(']')
			}
		case pdf.DictOpen:
			space()
			format(&out, c.marks(lex))
		case pdf.Word:
			if depth > 0 {
				// QUIRK: an array that is not closed ends at an operator.
				if !isOperator(t.Text) {
					continue
				}
				for ; depth > 0; depth-- {
					out.WriteByte(']')
				}
			}
			switch {
			case isOperator(t.Text):
				space()
				out.Write(t.Text)
				out.WriteByte('\n')
			case len(t.Text) == 2 && t.Text[0] == 'B' && t.Text[1] == 'I':
				out.Truncate(mark)
				c.inline(lex, in, &out)
			default:
				switch string(t.Text) {
				case "true", "false", "null":
					space()
					out.Write(t.Text)
					continue
				}
				out.Truncate(mark)
			}
			mark = out.Len()
		default:
			// A brace, or the end of what was not opened.
		}
	}
}

// writeNumber copies a number that is written plainly and writes others anew.
func writeNumber(out *bytes.Buffer, in []byte, t pdf.Token) {
	raw := in[t.Start:t.End]
	plain, point := len(raw) <= 16, false
	for i, c := range raw {
		switch {
		case c >= '0' && c <= '9':
		case c == '-' && i == 0 && len(raw) > 1:
		case c == '.' && !point && len(raw) > 1:
			point = true
		default:
			plain = false
		}
	}
	if plain {
		out.Write(raw)
		return
	}
	if t.Kind == pdf.Int {
		format(out, t.Int)
	} else {
		format(out, pdf.Real(t.Real))
	}
}

// writeText copies a string that is written plainly and writes others anew.
func writeText(out *bytes.Buffer, in []byte, t pdf.Token) {
	raw := in[t.Start:t.End]
	if len(raw) >= 2 && raw[0] == '<' && raw[len(raw)-1] == '>' && len(raw)%2 == 0 && hexadecimal(raw[1:len(raw)-1]) {
		out.Write(raw)
		return
	}
	out.WriteByte('(')
	for _, c := range t.Text {
		switch c {
		case '(', ')', '\\':
			out.WriteByte('\\')
			out.WriteByte(c)
		case '\r':
			out.WriteString("\\r")
		case '\n':
			out.WriteString("\\n")
		default:
			out.WriteByte(c)
		}
	}
	out.WriteByte(')')
}

func hexadecimal(b []byte) bool {
	for _, c := range b {
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') && (c < 'A' || c > 'F') {
			return false
		}
	}
	return true
}

// value reads one value of a program, where there are no references. What it
// cannot read is null.
func programValue(lex *pdf.Lexer, t pdf.Token, depth int) pdf.Object {
	switch t.Kind {
	case pdf.Int:
		return t.Int
	case pdf.Num:
		return pdf.Real(t.Real)
	case pdf.Str:
		return pdf.String(t.Text)
	case pdf.Nam:
		return pdf.Name(t.Text)
	case pdf.Word:
		switch string(t.Text) {
		case "true":
			return true
		case "false":
			return false
		}
	case pdf.ArrayOpen:
		a := pdf.Array{}
		for {
			t := lex.Next()
			if t.Kind == pdf.ArrayClose || t.Kind == pdf.EOF {
				return a
			}
			if depth > 8 {
				continue
			}
			a = append(a, programValue(lex, t, depth+1))
		}
	case pdf.DictOpen:
		d := pdf.Dict{}
		for {
			k := lex.Next()
			if k.Kind == pdf.DictClose || k.Kind == pdf.EOF {
				return d
			}
			if k.Kind != pdf.Nam {
				continue
			}
			key := pdf.Name(k.Text)
			v := lex.Next()
			if v.Kind == pdf.DictClose || v.Kind == pdf.EOF {
				return d
			}
			if depth <= 8 {
				d[key] = programValue(lex, v, depth+1)
			}
		}
	}
	return nil
}

// marks reads the properties of marked content (14.6.2), which stand in the
// program: what it reads as, in which language, where it belongs.
func (c *cleaner) marks(lex *pdf.Lexer) pdf.Dict {
	d, _ := programValue(lex, pdf.Token{Kind: pdf.DictOpen}, 0).(pdf.Dict)
	out := pdf.Dict{}
	for k, v := range d {
		switch k {
		case "MCID":
			if n, ok := v.(int64); ok {
				out[k] = n
			}
		case "ActualText", "Alt", "E", "Lang":
			if s, ok := v.(pdf.String); ok {
				out[k] = s
			}
		case "Type", "Subtype":
			if n, ok := v.(pdf.Name); ok {
				switch n {
				case "Pagination", "Layout", "Page", "Background", "Header", "Footer", "Watermark":
					out[k] = n
				}
			}
		}
	}
	return out
}

// inline writes an inline image (8.9.7) anew: its dictionary, its samples
// packed, and no octets in which a reader could see the end too early.
func (c *cleaner) inline(lex *pdf.Lexer, in []byte, out *bytes.Buffer) {
	d := inlineDict(lex)
	if d == nil {
		return
	}
	start := min(lex.Pos()+1, len(in))
	if start == lex.Pos()+1 && !pdf.IsSpace(in[start-1]) {
		start--
	}
	end, next := inlineEnd(in, start, c.inlineLength(d))
	lex.Seek(next)
	c.inlineImage(d, in[start:end:end], out)
}

// inlineDict reads the dictionary of an inline image as far as its samples, by
// the short names of its keys; nil when there are no samples.
func inlineDict(lex *pdf.Lexer) pdf.Dict {
	d := pdf.Dict{}
	for {
		t := lex.Next()
		switch {
		case t.Kind == pdf.EOF, t.Kind == pdf.Word && bytes.Equal(t.Text, []byte("EI")):
			return nil
		case t.Kind == pdf.Word && bytes.Equal(t.Text, []byte("ID")):
			return d
		case t.Kind != pdf.Nam:
			continue
		}
		key := pdf.Name(t.Text)
		if short, ok := inlineKeys.Get()[key]; ok {
			key = short
		}
		d[key] = programValue(lex, lex.Next(), 0)
	}
}

var inlineKeys = lazy.Value[map[pdf.Name]pdf.Name]{Make: func() map[pdf.Name]pdf.Name {
	return map[pdf.Name]pdf.Name{
		"BitsPerComponent": "BPC", "ColorSpace": "CS", "Decode": "D", "DecodeParms": "DP", "Filter": "F", "Height": "H", "ImageMask": "IM",
		"Interpolate": "I", "Width": "W",
	}
}}

// inlineLength is how many octets an image without filter has; -1 when it
// does not say.
func (c *cleaner) inlineLength(d pdf.Dict) int {
	if d["F"] != nil {
		return -1
	}
	w, h, bits, comps := c.inlineShape(d)
	if w == 0 || comps == 0 {
		return -1
	}
	return (w*bits*comps + 7) / 8 * h
}

func (c *cleaner) inlineShape(d pdf.Dict) (w, h, bits, comps int) {
	nw, ok1 := d["W"].(int64)
	nh, ok2 := d["H"].(int64)
	if !ok1 || !ok2 || nw <= 0 || nh <= 0 || nw > 1<<16 || nh > 1<<16 {
		return 0, 0, 0, 0
	}
	if m, _ := d["IM"].(bool); m {
		return int(nw), int(nh), 1, 1
	}
	b, ok := d["BPC"].(int64)
	if !ok {
		b = 8
	}
	switch b {
	case 1, 2, 4, 8, 16:
	default:
		return 0, 0, 0, 0
	}
	switch cs := d["CS"].(type) {
	case pdf.Name:
		switch cs {
		case "G", "DeviceGray", "CalGray":
			comps = 1
		case "RGB", "DeviceRGB", "CalRGB":
			comps = 3
		case "CMYK", "DeviceCMYK":
			comps = 4
		}
	case pdf.Array:
		if len(cs) == 4 && (cs[0] == pdf.Name("I") || cs[0] == pdf.Name("Indexed")) {
			comps = 1
		}
	case nil:
		comps = 1
	}
	return int(nw), int(nh), int(b), comps
}

// inlineEnd finds the EI that ends an inline image and where the program goes
// on: not in the first octets when the length is known, and where what follows
// looks like a program.
func inlineEnd(in []byte, start, length int) (end, next int) {
	from := start
	if length >= 0 && start+length <= len(in) {
		from = start + length
		// Right behind the samples, white space between or not.
		at := from
		for at < len(in) && at < from+4 && pdf.IsSpace(in[at]) {
			at++
		}
		if bytes.HasPrefix(in[at:], []byte("EI")) && (at+2 == len(in) || !pdf.IsRegular(in[at+2])) {
			return from, at + 2
		}
		from = start // it lies
	}
	for at := from; ; {
		i := bytes.Index(in[at:], []byte("EI"))
		if i < 0 {
			return len(in), len(in)
		}
		at += i
		if (at == start || pdf.IsSpace(in[at-1]) || at-1 > start && in[at-1] == '>') && (at+2 == len(in) || pdf.IsSpace(in[at+2])) && looksLikeProgram(in[at+2:]) {
			end = at
			if end > start && pdf.IsSpace(in[end-1]) {
				end--
			}
			return end, at + 2
		}
		at += 2
	}
}

func looksLikeProgram(in []byte) bool {
	head := in[:min(len(in), 32)]
	for _, c := range head {
		if c >= 0x7f || c < ' ' && !pdf.IsSpace(c) {
			return false
		}
	}
	lex := pdf.NewLexer(in)
	for range 8 {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			return true
		case pdf.Word:
			return isOperator(t.Text) || bytes.Equal(t.Text, []byte("BI")) || t.End == len(in)
		}
	}
	return true
}

// inlineImage writes an inline image of which the samples could be read.
func (c *cleaner) inlineImage(d pdf.Dict, raw []byte, out *bytes.Buffer) {
	w, h, bits, comps := c.inlineShape(d)
	if w == 0 || c.err != nil {
		return
	}
	if err := c.s.SpendPixels(w, h); err != nil {
		c.fail(err)
		return
	}
	data, predictor, rest, err := c.f.Inline(d, raw, maxStream)
	if err != nil {
		if errors.Is(err, pdf.ErrTooMuch) {
			c.fail(fmt.Errorf("%w: %w", err, sanitize.ErrLimit))
		}
		c.fail(c.f.Err())
		return
	}
	n := pdf.Dict{"W": int64(w), "H": int64(h)}
	if m, _ := d["IM"].(bool); m {
		n["IM"] = true
	} else {
		n["BPC"] = int64(bits)
		if cs := inlineSpace(d["CS"]); cs != nil {
			n["CS"] = cs
		}
	}
	if a, ok := d["D"].(pdf.Array); ok {
		dec := pdf.Array{}
		for _, v := range a {
			if isNumber(v) {
				dec = append(dec, v)
			}
		}
		n["D"] = dec
	}
	if b, ok := d["I"].(bool); ok {
		n["I"] = b
	}
	filters, parms := pdf.Array{}, pdf.Array{}
	if len(rest) > 0 {
		im, ok := c.coded(data, rest, w, h)
		if !ok {
			return
		}
		data = im.data
		filters, parms = append(filters, im.filter), append(parms, nil)
		if im.parms != nil {
			parms[0] = im.parms
		}
		if im.bits != 0 && n["IM"] == nil {
			n["BPC"] = int64(im.bits)
		}
	} else {
		if predictor == nil && comps > 0 {
			data = data[:min(len(data), (w*bits*comps+7)/8*h)]
		}
		var p pdf.Object
		if q := c.predictor(predictor); q != nil {
			p = q
		}
		data = c.w.deflate(data)
		filters, parms = append(filters, pdf.Name("Fl")), append(parms, p)
	}
	if bytes.Contains(data, []byte("EI")) {
		// As digits there is no I, so no reader can stop too early.
		data = hexed(data)
		filters, parms = append(pdf.Array{pdf.Name("AHx")}, filters...), append(pdf.Array{nil}, parms...)
	}
	n["F"] = filters
	for _, p := range parms {
		if p != nil {
			n["DP"] = parms
		}
	}
	out.WriteString("BI\n")
	var b bytes.Buffer
	format(&b, n)
	out.Write(bytes.TrimSuffix(bytes.TrimPrefix(b.Bytes(), []byte("<<")), []byte(">>")))
	out.WriteString("\nID ")
	out.Write(data)
	out.WriteString("\nEI\n")
}

func hexed(b []byte) []byte {
	out := make([]byte, 0, 2*len(b)+1)
	for _, c := range b {
		out = append(out, digits[c>>4], digits[c&15])
	}
	return append(out, '>')
}

// inlineSpace is a colour space that may stand in a program: a name, or an
// indexed one over a device's (8.9.7).
func inlineSpace(o pdf.Object) pdf.Object {
	switch cs := o.(type) {
	case pdf.Name:
		return cs
	case pdf.Array:
		if len(cs) != 4 {
			return nil
		}
		kind, ok1 := cs[0].(pdf.Name)
		base, ok2 := cs[1].(pdf.Name)
		high, ok3 := cs[2].(int64)
		table, ok4 := cs[3].(pdf.String)
		if ok1 && ok2 && ok3 && ok4 && (kind == "I" || kind == "Indexed") && high >= 0 && high < 256 {
			return pdf.Array{kind, base, high, table}
		}
	}
	return nil
}

// calculator writes the program of a PostScript calculator function anew
// (7.10.5): numbers, braces and the operators of table 42, nothing else.
func (c *cleaner) calculator(st *pdf.Stream) ([]byte, bool) {
	in, ok := c.bytes(st)
	const longest = 1 << 20 // real ones have some hundred octets
	if !ok || len(in) > longest {
		return nil, false
	}
	var out bytes.Buffer
	lex := pdf.NewLexer(in)
	depth := 0
	const nesting = 32 // annex C has no number; readers are recursive
	for {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			return nil, false
		case pdf.BraceOpen:
			if depth++; depth > nesting {
				return nil, false
			}
			out.WriteByte('{')
		case pdf.BraceClose:
			out.WriteByte('}')
			if depth--; depth == 0 {
				return out.Bytes(), true
			}
			if depth < 0 {
				return nil, false
			}
		case pdf.Int, pdf.Num:
			if depth == 0 {
				return nil, false
			}
			writeNumber(&out, in, t)
			out.WriteByte(' ')
		case pdf.Word:
			switch string(t.Text) {
			case "abs", "add", "atan", "ceiling", "cos", "cvi", "cvr", "div", "exp", "floor", "idiv", "ln", "log", "mod", "mul", "neg",
				"round", "sin", "sqrt", "sub", "truncate", "and", "bitshift", "eq", "false", "ge", "gt", "le", "lt", "ne", "not", "or",
				"true", "xor", "if", "ifelse", "copy", "dup", "exch", "index", "pop", "roll":
				if depth == 0 {
					return nil, false
				}
				out.Write(t.Text)
				out.WriteByte(' ')
			default:
				return nil, false
			}
		default:
			return nil, false
		}
	}
}
