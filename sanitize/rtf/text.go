package rtf

import (
	"bytes"

	"sekisho/internal/charset"
	"sekisho/internal/lazy"
)

// fontCharsets are the code pages of fonts, by \fcharset. RTF 1.9.1, "Font
// Table". The font of symbols has none: its characters are pictures by number.
var fontCharsets = lazy.Value[map[int32]string]{Make: func() map[int32]string {
	return map[int32]string{
		0: "windows-1252", 1: "", 2: symbols, 77: "macintosh", 78: "cp932", 79: "euc-kr", 80: "gb18030", 81: "big5", 128: "cp932", 129: "euc-kr", 134: "gb18030", 136: "big5",
		161: "windows-1253", 162: "windows-1254", 163: "windows-1258", 177: "windows-1255", 178: "windows-1256", 186: "windows-1257", 204: "windows-1251", 222: "windows-874",
		238: "windows-1250", 254: "cp437", 255: "cp850",
	}
}}

const symbols = "symbols"

// codePage names the charset of a Windows code page, "" for one that is not
// known.
func codePage(n int32) string {
	switch n {
	case 437:
		return "cp437"
	case 850:
		return "cp850"
	case 852:
		return "cp852"
	case 866:
		return "ibm866"
	case 874:
		return "windows-874"
	case 932:
		return "cp932"
	case 936, 54936:
		return "gb18030"
	case 949:
		return "euc-kr"
	case 950:
		return "big5"
	case 1250:
		return "windows-1250"
	case 1251:
		return "windows-1251"
	case 1252:
		return "windows-1252"
	case 1253:
		return "windows-1253"
	case 1254:
		return "windows-1254"
	case 1255:
		return "windows-1255"
	case 1256:
		return "windows-1256"
	case 1257:
		return "windows-1257"
	case 1258:
		return "windows-1258"
	case 10000:
		return "macintosh"
	case 10001:
		return "cp932"
	case 65001:
		return "utf-8"
	default:
		return ""
	}
}

// charsetOf is the charset of a font, that of the file for one that says
// nothing.
func (d *document) charsetOf(font int32) string {
	if cs := d.fonts[font]; cs != "" {
		return cs
	}
	return d.codePage
}

// charset is that of text at this place.
func (d *document) charset(g *group) string {
	switch {
	case g.part == partFonts:
		if cs := d.charsetOf(d.defining); cs != symbols {
			return cs
		}
		return d.codePage
	case g.run != runPlain && g.fontOf[g.run-1] >= 0:
		return d.charsetOf(g.fontOf[g.run-1])
	case g.unsaid && d.charsetOf(g.font) == "windows-1252":
		// What no word names is in the code page of the file, levels of lists
		// above all. A font of another alphabet says more.
		return d.codePage
	default:
		return d.charsetOf(g.font)
	}
}

// octets takes characters in the code page of their font.
func (d *document) octets(b []byte) {
	g := d.top()
	switch g.part {
	case partSkip, partUpr, partField, partInner, partObject, partPicProp, partProperty:
		g.used = true
		return
	case partPicture:
		g.used = true
		g.picture.hex(b)
		return
	case partData:
		g.used = true
		g.object.hex(b)
		return
	case partColors:
		g.used = true
		for _, c := range b {
			if c == ';' {
				d.w.text([]byte{c})
			}
		}
		return
	}
	if d.eat > 0 {
		n := min(int(d.eat), len(b))
		b, d.eat = b[n:], d.eat-int32(n)
	}
	for len(b) > 0 {
		if len(d.pending) == 0 {
			// ASCII is ASCII in every code page.
			i := 0
			for i < len(b) && b[i] >= 0x20 && b[i] < 0x7F {
				i++
			}
			if i > 0 {
				d.high = 0
				d.ascii(g, b[:i])
				b = b[i:]
				continue
			}
		}
		if b[0] < 0x20 || b[0] == 0x7F {
			d.decode()
			d.steer(g, b[0])
			b = b[1:]
			continue
		}
		// Whatever follows may be the second half of a character.
		i := 0
		for i < len(b) && b[i] >= 0x20 && b[i] != 0x7F {
			i++
		}
		const most = 4096 // a run is decoded as a whole
		if d.pending = append(d.pending, b[:i]...); len(d.pending) > most {
			d.decodeAlmost()
		}
		b = b[i:]
	}
}

// secondHalf takes a byte that ends a run, but is the second half of a Japanese
// character: programs that wrote the bytes of CP932 as they are wrote braces and
// backslashes that way, and Windows reads them back.
func (d *document) secondHalf() {
	n := len(d.pending)
	if n == 0 || d.pending[n-1] < 0x81 || !d.scan.fill(1) {
		return
	}
	// What follows is looked at first: what came before is long.
	if c := d.scan.buf[d.scan.at]; c != '{' && c != '}' && c != '\\' || d.charset(d.top()) != "cp932" {
		return
	}
	open := false
	for i := 0; i < n; i++ {
		c := d.pending[i]
		open = c >= 0x81 && c <= 0x9F || c >= 0xE0 && c <= 0xFC
		if open {
			i++
			open = i == n
		}
	}
	if open {
		d.pending = append(d.pending, d.scan.buf[d.scan.at])
		d.scan.at++
	}
}

// nameSays takes the charset of a font from the end of its name, whatever else
// is said of it: one typeface in several alphabets. LibreOffice reads it so.
func (d *document) nameSays() {
	for _, s := range []struct{ end, charset string }{
		{" CE", "windows-1250"}, {" Cyr", "windows-1251"}, {" Greek", "windows-1253"}, {" Tur", "windows-1254"}, {" (Hebrew)", "windows-1255"}, {" (Arabic)", "windows-1256"},
		{" Baltic", "windows-1257"}, {" (Vietnamese)", "windows-1258"}, {" (Thai)", "windows-874"},
	} {
		if bytes.HasSuffix(d.fontName, []byte(s.end)) {
			d.fonts[d.defining], d.named = s.charset, true
		}
	}
}

// ascii writes or collects printable ASCII.
func (d *document) ascii(g *group, b []byte) {
	if g.deleted {
		return
	}
	if g.writes() || g.part == partFonts {
		if g.part == partFonts && d.defining >= 0 && len(d.fontName) < maxDetail {
			name, _, end := bytes.Cut(b, []byte(";"))
			if d.fontName = append(d.fontName, name...); end {
				d.nameSays()
			}
		}
		g.used = true
		g.shows()
		d.w.text(b)
		return
	}
	for _, c := range b {
		d.gather(g, rune(c))
	}
}

// steer takes a control character: a place in the text of a list's level, a tab,
// or nothing.
func (d *document) steer(g *group, c byte) {
	switch {
	case g.part == partLevel && c < 0x20:
		g.used = true
		d.w.octet(c)
	case c == '\t':
		d.character("tab", '\t')
	case c == '\r', c == '\n':
		// As octets: line ends of the file itself are none. RTF 1.9.1, "Control
		// Symbols", says so of a backslash before them.
		d.character("par", ' ')
	}
}

// decodeAlmost decodes a run that grew long, but for a last byte that may be the
// first half of a character.
func (d *document) decodeAlmost() {
	last := d.pending[len(d.pending)-1]
	whole := len(d.pending)
	if last >= 0x80 {
		for whole > 0 && d.pending[whole-1] >= 0x80 {
			whole--
		}
		if whole == 0 {
			whole = len(d.pending) &^ 1 // pairs
		}
	}
	rest := append([]byte(nil), d.pending[whole:]...)
	d.pending = d.pending[:whole]
	d.decode()
	d.pending = append(d.pending, rest...)
}

// decode writes the text that waits.
func (d *document) decode() {
	if len(d.pending) == 0 {
		return
	}
	g, b := d.top(), d.pending
	d.pending = d.pending[:0]
	d.high = 0
	cs := d.charset(g)
	if cs == symbols {
		for _, c := range b {
			switch {
			case c < 0x7F:
				d.ascii(g, []byte{c})
			case g.deleted:
			case g.writes():
				g.used = true
				d.w.octet(c)
			default:
				d.gather(g, 0xF000+rune(c))
			}
		}
		return
	}
	for _, r := range d.text(g, cs, b) {
		d.rune(g, r)
	}
}

// text decodes b in cs, or in another charset that is at hand when b is nothing
// in it: programs name a Latin font for Japanese text and leave it to Windows to
// find another.
func (d *document) text(g *group, cs string, b []byte) string {
	r := charset.DecodeAs(cs, b)
	if r.Replaced == 0 && (cs != "windows-1252" || !double(d.codePage) || !charset.Pairs(b)) {
		return r.Text
	}
	for _, other := range []string{d.charsetOf(max(g.fontOf[runDouble-1], -1)), d.charsetOf(g.font), d.codePage} {
		if other == cs || other == symbols {
			continue
		}
		if o := charset.DecodeAs(other, b); o.Replaced == 0 {
			return o.Text
		}
	}
	return r.Text
}

// double reports whether a charset has characters of two bytes.
func double(cs string) bool {
	switch cs {
	case "cp932", "gb18030", "euc-kr", "big5":
		return true
	default:
		return false
	}
}

// unicode takes \u, whose number is a signed UTF-16 unit.
func (d *document) unicode(n int32) {
	d.decode()
	g := d.top()
	d.eat = 0
	high := d.high
	d.high = 0
	switch r := rune(uint16(n)); {
	case r >= 0xD800 && r < 0xDC00:
		if high != 0 {
			d.rune(g, 0xFFFD)
		}
		d.high = r
	case r >= 0xDC00 && r < 0xE000:
		if high == 0 {
			d.rune(g, 0xFFFD)
		} else {
			d.rune(g, 0x10000+(high-0xD800)<<10+(r-0xDC00))
		}
	default:
		if high != 0 {
			d.rune(g, 0xFFFD)
		}
		d.rune(g, r)
	}
	d.eat = g.uc
}

// rune writes or collects one character. Control characters are none: 0x13 to
// 0x15 are what fields are made of inside of Word.
func (d *document) rune(g *group, r rune) {
	switch {
	case r == '\t':
		d.character("tab", r)
	case r < 0x20 && g.part == partLevel:
		g.used = true
		d.w.octet(byte(r))
	case g.deleted, r < 0x20, r >= 0x7F && r < 0xA0, r == 0xFFFE, r == 0xFFFF:
	case r < 0x7F:
		d.ascii(g, []byte{byte(r)})
	case g.writes() || g.part == partFonts:
		g.used = true
		g.shows()
		d.w.char(r)
	default:
		d.gather(g, r)
	}
}

// gather collects a character of what is judged as a whole.
func (d *document) gather(g *group, r rune) {
	if r == 0 || g.deleted {
		return
	}
	switch g.part {
	case partCode:
		g.field.gather(r)
		g.field.says(r)
	case partInnerShown:
		g.field.says(r)
	case partClass:
		if g.object.class.Len() < maxDetail {
			g.object.class.WriteRune(r)
		}
	case partName:
		g.property.gather(&g.property.name, r)
	case partValue:
		g.property.gather(&g.property.value, r)
	case partTemplate:
		if len(d.template) < maxDetail {
			d.template = append(d.template, r)
		}
	}
}
