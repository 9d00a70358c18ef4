package pdf

import (
	"bytes"
	"fmt"

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
