package verify

import (
	"bytes"
	"fmt"
	"image/jpeg"

	"sekisho/internal/lazy"
)

// packedFax is the one chain of two encodings that is written: a page in black
// and white, deflated once more.
func packedFax(filter any) bool {
	a, ok := filter.([]any)
	return ok && len(a) == 2 && a[0] == pdfName("FlateDecode") && a[1] == pdfName("CCITTFaxDecode")
}

// stream looks at what a stream holds.
func (p *pdfFile) stream(n int, o *pdfObject) error {
	d, _ := o.value.(pdfDict)
	if d["Subtype"] == pdfName("Image") && d["Filter"] != pdfName("DCTDecode") {
		w, _ := d["Width"].(float64)
		h, _ := d["Height"].(float64)
		if !(w >= 1 && h >= 1 && w < 1<<31 && h < 1<<31) {
			return p.bad("object %d is a picture of no size", n)
		}
		if err := p.s.SpendPixels(int(w), int(h)); err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
	}
	switch d["Filter"] {
	case pdfName("FlateDecode"):
	case pdfName("DCTDecode"):
		if d["Subtype"] != pdfName("Image") {
			return p.bad("object %d is no picture", n)
		}
		c, err := jpeg.DecodeConfig(bytes.NewReader(o.stream))
		if err != nil {
			return p.bad("object %d: %v", n, err)
		}
		return p.s.SpendPixels(c.Width, c.Height)
	case pdfName("CCITTFaxDecode"):
		if d["Subtype"] != pdfName("Image") {
			return p.bad("object %d is no picture", n)
		}
		return nil
	default:
		if packedFax(d["Filter"]) && d["Subtype"] == pdfName("Image") {
			p.pictures = append(p.pictures, n)
			return nil
		}
		return p.bad("object %d is not packed", n)
	}
	if d["Type"] == pdfName("XRef") || d["Type"] == pdfName("ObjStm") {
		return nil // unpacked before
	}
	if d["Subtype"] == pdfName("Image") && !o.paints && d["FunctionType"] != 4.0 {
		p.pictures = append(p.pictures, n)
		return nil
	}
	b, err := p.inflate(o.stream)
	if err != nil {
		return fmt.Errorf("object %d: %w", n, err)
	}
	switch {
	case o.paints:
		return p.operators(n, b)
	case d["FunctionType"] == 4.0:
		if !pdfCalculation.Match(b) {
			return p.bad("object %d calculates with more than numbers", n)
		}
	case bytes.HasPrefix(b, []byte("MZ")), bytes.HasPrefix(b, []byte("PK\x03\x04")), bytes.HasPrefix(b, []byte("\x7fELF")):
		return p.bad("object %d is a program or an archive", n)
	}
	return nil
}

var pdfCalculation = lazy.Compile(`^(?:[{} 0-9.-]|(?:abs|add|atan|ceiling|cos|cvi|cvr|div|exp|floor|idiv|ln|log|mod|mul|neg|round|sin|sqrt|sub|truncate|and|bitshift|eq|false|ge|gt|le|lt|ne|not|or|true|xor|ifelse|if|copy|dup|exch|index|pop|roll) )*$`)

// operators looks whether a program only paints, and is written as ours are:
// every string, array and dictionary is closed before the operator it is for,
// and there are no comments.
func (p *pdfFile) operators(n int, b []byte) error {
	const nesting = 200 // more than the rebuild writes
	var open []byte
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '(':
			end := pdfStringEnd(b, i)
			if end < 0 {
				return p.bad("object %d: a string without end", n)
			}
			i = end
		case c == '[', c == '<' && i+1 < len(b) && b[i+1] == '<':
			if open = append(open, c); len(open) > nesting {
				return p.bad("object %d: nested too deep", n)
			}
			if i++; c == '<' {
				i++
			}
		case c == ']', c == '>' && i+1 < len(b) && b[i+1] == '>':
			if len(open) == 0 || open[len(open)-1] != c-2 { // [ and ], < and > stand two apart
				return p.bad("object %d: %q closes nothing", n, c)
			}
			open = open[:len(open)-1]
			if i++; c == '>' {
				i++
			}
		case c == '<':
			k := bytes.IndexByte(b[i:], '>')
			if k < 0 {
				return p.bad("object %d: a string without end", n)
			}
			if !pdfDigits(b[i+1:i+k]) || k%2 == 0 {
				return p.bad("object %d: a string of other digits", n)
			}
			i += k + 1
		case c == '/':
			from := i
			for i++; i < len(b) && pdfRegular(b[i]); i++ {
			}
			if !pdfEscaped(b[from:i]) {
				return p.bad("object %d: a name that is not escaped as it must be", n)
			}
		case pdfRegular(c):
			from := i
			for i < len(b) && pdfRegular(b[i]) {
				i++
			}
			w := b[from:i]
			switch {
			case pdfPaints(w):
				if len(open) > 0 {
					return p.bad("object %d: %q within an array or a dictionary", n, w)
				}
			case string(w) == "ID" && len(open) == 0:
				// Samples are packed or digits, and EI stands only behind them.
				k := bytes.Index(b[i:], []byte("\nEI\n"))
				if k < 0 {
					return p.bad("object %d: a picture without end", n)
				}
				i += k + 4
			case string(w) == "true", string(w) == "false", string(w) == "null":
			default:
				if len(bytes.Trim(w, "0123456789.-+")) > 0 {
					return p.bad("object %d paints with %.20q", n, w)
				}
			}
		case c == ' ', c == '\n':
			i++
		default:
			return p.bad("object %d: %q in a program", n, c)
		}
	}
	if len(open) > 0 {
		return p.bad("object %d: an array or a dictionary without end", n)
	}
	return nil
}

// pdfEscaped reports whether a name has two digits behind each #.
func pdfEscaped(b []byte) bool {
	for {
		_, rest, more := bytes.Cut(b, []byte("#"))
		if !more {
			return true
		}
		if len(rest) < 2 || !pdfDigits(rest[:2]) || string(rest[:2]) == "00" {
			return false
		}
		b = rest[2:]
	}
}

func pdfDigits(b []byte) bool {
	for _, c := range b {
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return true
}

// pdfStringEnd is where the string that begins at i ends; -1: it does not.
func pdfStringEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// pdfPaints reports whether w is an operator that paints (ISO 32000-1, annex A).
func pdfPaints(w []byte) bool {
	switch string(w) {
	case "b", "B", "b*", "B*", "BDC", "BMC", "BT", "BX", "c", "cm", "CS", "cs", "d", "d0", "d1", "Do", "DP", "EMC", "ET", "EX", "f", "F",
		"f*", "G", "g", "gs", "h", "i", "j", "J", "K", "k", "l", "m", "M", "MP", "n", "q", "Q", "re", "RG", "rg", "ri", "s", "S", "SC", "sc",
		"SCN", "scn", "sh", "T*", "Tc", "Td", "TD", "Tf", "Tj", "TJ", "TL", "Tm", "Tr", "Ts", "Tw", "Tz", "v", "w", "W", "W*", "y", "'", "\"",
		"BI":
		return true
	}
	return false
}
