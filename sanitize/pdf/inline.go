package pdf

import (
	"bytes"
	"errors"
	"fmt"

	"sekisho/internal/lazy"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

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
