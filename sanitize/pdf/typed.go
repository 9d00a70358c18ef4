package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf16"

	"sekisho/internal/pdf"
)

// words types the words of a page, invisible, each as wide and high as it is
// shown. It reports whether there were any. ISO 32000-1, 9.3.6, mode 3.
func (p *pictures) words(c *bytes.Buffer, s drawn, high float64) bool {
	any := false
	for _, w := range s.words {
		width, height := w.x1-w.x0, w.y1-w.y0
		if !(width > 0 && height > 0 && w.x0 > -1e5 && w.x1 < 1e5 && w.y0 > -1e5 && w.y1 < 1e5) {
			continue
		}
		text := p.typed(w.text)
		if len(text) == 0 {
			continue
		}
		if !any {
			any = true
			c.WriteString("BT\n3 Tr\n/W 1 Tf\n")
		}
		// Every character of the font is half as wide as it is high.
		stretch := 100 * width / (float64(len(text)) * 0.5 * height)
		fmt.Fprintf(c, "%s 0 0 %s %s %s Tm\n%s Tz\n<", decimal(height), decimal(height), decimal(w.x0), decimal(high-w.y1), decimal(stretch))
		for _, u := range text {
			fmt.Fprintf(c, "%04X", u)
		}
		c.WriteString("> Tj\n")
	}
	if any {
		c.WriteString("ET\n")
		p.needFont()
	}
	return any
}

// typed keeps the characters of a word that are text: no controls, nothing
// that turns the direction, nothing of private use. Those are counted: they
// show on the page as whatever the sender's font has.
func (p *pictures) typed(s string) []uint16 {
	var out []uint16
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Co, r):
			p.boxes++
		case unicode.Is(unicode.C, r), r == unicode.ReplacementChar, unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		default:
			out = utf16.AppendRune(out, r)
		}
	}
	return out
}

// needFont writes the font of the invisible words once: any code is a
// character without a shape, and stands for the same code of UTF-16.
func (p *pictures) needFont() {
	if p.font.Num != 0 {
		return
	}
	program := p.w.number()
	ttf := shapeless()
	p.w.deflated(program, pdf.Dict{"Length1": int64(len(ttf))}, ttf)
	descriptor := p.w.number()
	p.w.object(descriptor, pdf.Dict{
		"Type": pdf.Name("FontDescriptor"), "FontName": pdf.Name("Shapeless"), "Flags": int64(4), "FontBBox": pdf.Array{int64(0), int64(0), int64(500), int64(1000)},
		"ItalicAngle": int64(0), "Ascent": int64(1000), "Descent": int64(0), "CapHeight": int64(1000), "StemV": int64(80), "FontFile2": program,
	})
	shapes := p.w.number()
	p.w.deflated(shapes, pdf.Dict{}, make([]byte, 2*65536)) // all have the one there is
	cid := p.w.number()
	p.w.object(cid, pdf.Dict{
		"Type": pdf.Name("Font"), "Subtype": pdf.Name("CIDFontType2"), "BaseFont": pdf.Name("Shapeless"), "FontDescriptor": descriptor, "DW": int64(500),
		"CIDSystemInfo": pdf.Dict{"Registry": pdf.String("Adobe"), "Ordering": pdf.String("Identity"), "Supplement": int64(0)}, "CIDToGIDMap": shapes,
	})
	unicodes := p.w.number()
	p.w.deflated(unicodes, pdf.Dict{}, sameCodes())
	p.font = p.w.number()
	p.w.object(p.font, pdf.Dict{
		"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type0"), "BaseFont": pdf.Name("Shapeless"), "Encoding": pdf.Name("Identity-H"),
		"DescendantFonts": pdf.Array{cid}, "ToUnicode": unicodes,
	})
}

// sameCodes is a character map by which every code means itself. Adobe
// Technical Note 5014; a range must not leave its first byte.
func sameCodes() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	for first := 0; first < 256; first += 100 {
		n := min(100, 256-first)
		fmt.Fprintf(&b, "%d beginbfrange\n", n)
		for i := first; i < first+n; i++ {
			fmt.Fprintf(&b, "<%02X00> <%02XFF> <%02X00>\n", i, i, i)
		}
		b.WriteString("endbfrange\n")
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return b.Bytes()
}

// shapeless makes a TrueType font of one empty glyph. OpenType 1.9, chapter
// "OpenType font tables"; ISO 32000-1, 9.9, lists the tables that a font in a
// PDF must have.
func shapeless() []byte {
	be := binary.BigEndian
	head := make([]byte, 54)
	be.PutUint32(head[0:], 0x00010000)
	be.PutUint32(head[12:], 0x5F0F3CF5)
	be.PutUint16(head[16:], 3)    // baseline and left side at zero
	be.PutUint16(head[18:], 1000) // units of the square
	be.PutUint16(head[40:], 500)
	be.PutUint16(head[42:], 1000)
	be.PutUint16(head[46:], 8) // smallest legible size
	be.PutUint16(head[48:], 2)
	hhea := make([]byte, 36)
	be.PutUint32(hhea[0:], 0x00010000)
	be.PutUint16(hhea[4:], 1000)
	be.PutUint16(hhea[10:], 500)
	be.PutUint16(hhea[18:], 1)
	be.PutUint16(hhea[34:], 1)
	maxp := make([]byte, 32)
	be.PutUint32(maxp[0:], 0x00010000)
	be.PutUint16(maxp[4:], 1)
	be.PutUint16(maxp[14:], 2)
	tables := []struct {
		tag  string
		data []byte
	}{
		{"glyf", make([]byte, 4)}, {"head", head}, {"hhea", hhea}, {"hmtx", []byte{0x01, 0xF4, 0, 0}}, {"loca", make([]byte, 4)}, {"maxp", maxp},
	}
	sum := func(b []byte) (n uint32) {
		for len(b)%4 != 0 {
			b = append(b[:len(b):len(b)], 0)
		}
		for ; len(b) > 0; b = b[4:] {
			n += be.Uint32(b)
		}
		return n
	}
	out := be.AppendUint32(nil, 0x00010000)
	out = be.AppendUint16(out, uint16(len(tables)))
	out = append(out, 0, 64, 0, 2, 0, 32) // for a search by halves: four tables, and two more
	at := 12 + 16*len(tables)
	headAt := 0
	for _, t := range tables {
		if t.tag == "head" {
			headAt = at
		}
		out = append(out, t.tag...)
		out = be.AppendUint32(out, sum(t.data))
		out = be.AppendUint32(out, uint32(at))
		out = be.AppendUint32(out, uint32(len(t.data)))
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	be.PutUint32(out[headAt+8:], 0xB1B0AFBA-sum(out))
	return out
}
