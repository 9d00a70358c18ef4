package pdf

import (
	"bytes"
	"encoding/binary"
	"slices"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// fontProgram writes an embedded font anew, as far as its structure goes: the
// tables of a TrueType or OpenType font are taken out and put together again,
// of the others the outer structure is looked at. Outlines and the small
// programs in them that fit them to pixels are kept unread: without them no
// Japanese document would show what it says.
func (c *cleaner) fontProgram(st *pdf.Stream) (pdf.Ref, bool) {
	b, ok := c.bytes(st)
	if !ok || c.err != nil {
		return pdf.Ref{}, false
	}
	d := pdf.Dict{}
	var out []byte
	switch {
	case len(b) >= 12 && (bytes.HasPrefix(b, []byte("\x00\x01\x00\x00")) || bytes.HasPrefix(b, []byte("true")) || bytes.HasPrefix(b, []byte("OTTO"))):
		if out, ok = sfnt(b); ok {
			d["Length1"] = int64(len(out))
		}
	case len(b) >= 4 && b[0] == 1 && b[2] >= 4:
		out, ok = compact(b)
	case bytes.HasPrefix(b, []byte("%!")) || bytes.HasPrefix(b, []byte{0x80, 1}):
		var lengths [3]int64
		if out, lengths, ok = type1(c, st, b); ok {
			d["Length1"], d["Length2"], d["Length3"] = lengths[0], lengths[1], lengths[2]
		}
	default:
		ok = false
	}
	if !ok {
		// A reader takes another font in its place.
		c.report.found("pdf.font", "", sanitize.Replaced, "a font program that is none")
		return pdf.Ref{}, false
	}
	if n := c.name(st.Dict["Subtype"]); n == "Type1C" || n == "CIDFontType0C" || n == "OpenType" {
		d["Subtype"] = n
	}
	r := c.w.number()
	c.w.deflated(r, d, out)
	return r, true
}

// tables are those of OpenType that draw and map characters. Scripts, drawings
// and signatures in a font are none of them.
var tables = []string{
	"BASE", "CFF ", "CFF2", "GDEF", "GPOS", "GSUB", "OS/2", "VORG", "cmap", "cvt ", "fpgm", "gasp", "glyf", "hdmx", "head", "hhea", "hmtx",
	"kern", "loca", "maxp", "name", "post", "prep", "vhea", "vmtx", "LTSH", "VDMX", "PCLT",
}

// sfnt puts the tables of a font together anew.
func sfnt(b []byte) ([]byte, bool) {
	n := int(binary.BigEndian.Uint16(b[4:]))
	type table struct {
		tag  string
		data []byte
	}
	var ts []table
	has := map[string]bool{}
	for i := range n {
		e := 12 + 16*i
		if e+16 > len(b) {
			break
		}
		tag := string(b[e : e+4])
		at, size := int64(binary.BigEndian.Uint32(b[e+8:])), int64(binary.BigEndian.Uint32(b[e+12:]))
		if !slices.Contains(tables, tag) || has[tag] || at > int64(len(b)) {
			continue
		}
		// QUIRK: subsets are cut short by a few octets.
		ts = append(ts, table{tag, b[at:min(at+size, int64(len(b)))]})
		has[tag] = true
	}
	if !has["CFF "] && !has["CFF2"] && (!has["glyf"] || !has["loca"]) {
		return nil, false
	}
	slices.SortFunc(ts, func(a, b table) int { return bytes.Compare([]byte(a.tag), []byte(b.tag)) })
	search := 1
	log := 0
	for search*2 <= len(ts) {
		search *= 2
		log++
	}
	out := append([]byte{}, b[:4]...)
	out = binary.BigEndian.AppendUint16(out, uint16(len(ts)))
	out = binary.BigEndian.AppendUint16(out, uint16(16*search))
	out = binary.BigEndian.AppendUint16(out, uint16(log))
	out = binary.BigEndian.AppendUint16(out, uint16(16*(len(ts)-search)))
	at := 12 + 16*len(ts)
	for _, t := range ts {
		out = append(out, t.tag...)
		sum := uint32(0)
		for i := 0; i < len(t.data); i += 4 {
			var w [4]byte
			copy(w[:], t.data[i:])
			if t.tag == "head" && i == 8 {
				continue // the sum of the whole font, which readers pass over
			}
			sum += binary.BigEndian.Uint32(w[:])
		}
		out = binary.BigEndian.AppendUint32(out, sum)
		out = binary.BigEndian.AppendUint32(out, uint32(at))
		out = binary.BigEndian.AppendUint32(out, uint32(len(t.data)))
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range ts {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	return out, true
}

// compact looks whether the outer structure of a CFF font is one (Adobe
// Technical Note 5176): header, four indexes in a row, all inside.
func compact(b []byte) ([]byte, bool) {
	at := int(b[2])
	for range 4 {
		if at+2 > len(b) {
			return nil, false
		}
		count := int(binary.BigEndian.Uint16(b[at:]))
		at += 2
		if count == 0 {
			continue
		}
		if at >= len(b) {
			return nil, false
		}
		size := int(b[at])
		at++
		if size < 1 || size > 4 || at+(count+1)*size > len(b) {
			return nil, false
		}
		last := 0
		for i := range count + 1 {
			v := 0
			for j := range size {
				v = v<<8 | int(b[at+i*size+j])
			}
			if v < last || v < 1 {
				return nil, false
			}
			last = v
		}
		at += (count+1)*size + last - 1
		if at > len(b) {
			return nil, false
		}
	}
	return b, true
}

// type1 looks whether a font opens as a Type 1 font does. A matrix in its clear
// part may hold numbers only: readers have taken what stood there for code
// (CVE-2024-4367).
func type1(c *cleaner, st *pdf.Stream, b []byte) ([]byte, [3]int64, bool) {
	if b[0] == 0x80 {
		// Segments of a PFB file, which belong outside of PDF (9.9).
		var out []byte
		var lengths [3]int64
		part := 0
		for len(b) >= 6 && b[0] == 0x80 && b[1] != 3 {
			n := int64(binary.LittleEndian.Uint32(b[2:]))
			if n > int64(len(b)-6) || b[1] > 2 {
				return nil, lengths, false
			}
			if b[1] == 2 && part == 0 || b[1] == 1 && part == 1 {
				part++
			}
			lengths[min(part, 2)] += n
			out = append(out, b[6:6+n]...)
			b = b[6+n:]
		}
		return out, lengths, bytes.HasPrefix(out, []byte("%!")) && matrixOfNumbers(out)
	}
	var lengths [3]int64
	left := int64(len(b))
	for i, k := range []pdf.Name{"Length1", "Length2", "Length3"} {
		n, _ := c.integer(st.Dict[k])
		lengths[i] = min(max(n, 0), left)
		left -= lengths[i]
	}
	return b, lengths, matrixOfNumbers(b)
}

func matrixOfNumbers(b []byte) bool {
	// A font has one matrix, or one for each of its parts; what is longer or
	// more is there to be looked at long.
	const longest, most = 1024, 100
	for range most {
		i := bytes.Index(b, []byte("/FontMatrix"))
		if i < 0 {
			return true
		}
		b = b[i+len("/FontMatrix"):]
		lex := pdf.NewLexer(b[:min(len(b), longest)])
		if t := lex.Next(); t.Kind == pdf.EOF && len(b) > longest {
			return false // behind more white space than anybody writes
		} else if t.Kind != pdf.ArrayOpen && t.Kind != pdf.BraceOpen {
			continue // a name in passing
		}
		for range 7 {
			switch t := lex.Next(); t.Kind {
			case pdf.Int, pdf.Num:
				continue
			case pdf.ArrayClose, pdf.BraceClose:
			case pdf.Word:
				// 1e-3 is a number in PostScript.
				for _, c := range t.Text {
					if (c < '0' || c > '9') && c != '.' && c != '-' && c != '+' && c != 'e' && c != 'E' {
						return false
					}
				}
				continue
			default:
				return false
			}
			break
		}
	}
	return false
}

// glyphMap writes a map of characters to glyphs (9.7.4.2), two octets each.
func (c *cleaner) glyphMap(st *pdf.Stream) (pdf.Ref, bool) {
	b, ok := c.bytes(st)
	if !ok || c.err != nil {
		return pdf.Ref{}, false
	}
	r := c.w.number()
	c.w.deflated(r, pdf.Dict{}, b[:min(len(b), 2<<16)])
	return r, true
}

// characterMap writes a CMap anew (9.7.5.4, 9.10.3): it is a PostScript
// program, of which only the words that make a table stay.
func (c *cleaner) characterMap(st *pdf.Stream) (pdf.Ref, bool) {
	in, ok := c.bytes(st)
	if !ok || c.err != nil {
		return pdf.Ref{}, false
	}
	d := pdf.Dict{}
	if n := c.name(st.Dict["CMapName"]); n != "" {
		d["Type"], d["CMapName"] = pdf.Name("CMap"), n
	}
	if n, ok := c.integer(st.Dict["WMode"]); ok {
		d["WMode"] = n
	}
	info, _ := c.f.Resolve(st.Dict["CIDSystemInfo"]).(pdf.Dict)
	if a, ok := c.f.Resolve(st.Dict["CIDSystemInfo"]).(pdf.Array); ok && len(a) > 0 {
		info, _ = c.f.Resolve(a[0]).(pdf.Dict)
	}
	if info != nil {
		s := pdf.Dict{}
		for _, k := range []pdf.Name{"Registry", "Ordering"} {
			if v, ok := c.f.Resolve(info[k]).(pdf.String); ok {
				s[k] = v
			}
		}
		if n, ok := c.integer(info["Supplement"]); ok {
			s["Supplement"] = n
		}
		d["CIDSystemInfo"] = s
	}
	switch base := c.f.Resolve(st.Dict["UseCMap"]).(type) {
	case pdf.Name:
		d["UseCMap"] = base
	case *pdf.Stream:
		if c.maps < 4 { // a map on a map is rare, four are none
			c.maps++
			if v := c.value(st.Dict["UseCMap"], c.g.cmap); v != nil {
				d["UseCMap"] = v
			}
			c.maps--
		}
	}
	var out bytes.Buffer
	out.Grow(len(in))
	lex := pdf.NewLexer(in)
	for {
		t := lex.Next()
		switch t.Kind {
		case pdf.EOF:
			r := c.w.number()
			c.w.deflated(r, d, out.Bytes())
			return r, true
		case pdf.Int, pdf.Num:
			writeNumber(&out, in, t)
			out.WriteByte(' ')
		case pdf.Str:
			if in[t.Start] == '<' {
				out.WriteByte('<')
				for _, b := range t.Text {
					out.Write([]byte{digits[b>>4], digits[b&15]})
				}
				out.WriteString("> ")
			} else {
				writeText(&out, in, t)
				out.WriteByte(' ')
			}
		case pdf.Nam:
			formatName(&out, pdf.Name(t.Text))
			out.WriteByte(' ')
		case pdf.ArrayOpen:
			out.WriteByte('[')
		case pdf.ArrayClose:
			out.WriteString("] ")
		case pdf.DictOpen:
			out.WriteString("<<")
		case pdf.DictClose:
			out.WriteString(">>")
		case pdf.Word:
			switch string(t.Text) {
			case "begincmap", "endcmap", "begincodespacerange", "endcodespacerange", "beginbfchar", "endbfchar", "beginbfrange", "endbfrange",
				"begincidchar", "endcidchar", "begincidrange", "endcidrange", "beginnotdefchar", "endnotdefchar", "beginnotdefrange",
				"endnotdefrange", "usecmap", "begin", "end", "def", "dict", "dup", "pop", "exch", "findresource", "defineresource", "currentdict":
				out.Write(t.Text)
				out.WriteByte('\n')
			}
		default:
		}
	}
}

// profile is a colour space by an ICC profile, or the device's with as many
// components where the profile is none (8.6.5.5).
func (c *cleaner) profile(o pdf.Object) pdf.Object {
	st, _ := c.f.Resolve(o).(*pdf.Stream)
	n := int64(0)
	if st != nil {
		n, _ = c.integer(st.Dict["N"])
	}
	if v := c.value(o, c.g.profile); v != nil {
		return pdf.Array{pdf.Name("ICCBased"), v}
	}
	switch n {
	case 1:
		return pdf.Name("DeviceGray")
	case 4:
		return pdf.Name("DeviceCMYK")
	default:
		return pdf.Name("DeviceRGB")
	}
}

// writeProfile writes an ICC profile of which the header and the table of
// contents are sound (ICC.1:2010, 7.2, 7.3), and that has as many components as
// is said of it.
func (c *cleaner) writeProfile(st *pdf.Stream) (pdf.Ref, bool) {
	n, _ := c.integer(st.Dict["N"])
	b, ok := c.bytes(st)
	const largest = 4 << 20 // those of printing presses have two
	if !ok || c.err != nil || len(b) < 132 || len(b) > largest || string(b[36:40]) != "acsp" {
		return pdf.Ref{}, false
	}
	want := map[string]int64{"GRAY": 1, "RGB ": 3, "CMYK": 4, "Lab ": 3}[string(b[16:20])]
	if want == 0 || want != n {
		return pdf.Ref{}, false
	}
	count := int64(binary.BigEndian.Uint32(b[128:]))
	if count > 100 || 132+12*count > int64(len(b)) {
		return pdf.Ref{}, false
	}
	for i := range count {
		e := 132 + 12*i
		at, size := int64(binary.BigEndian.Uint32(b[e+4:])), int64(binary.BigEndian.Uint32(b[e+8:]))
		if at < 128 || at+size > int64(len(b)) {
			return pdf.Ref{}, false
		}
	}
	d := pdf.Dict{"N": n}
	if n := c.name(st.Dict["Alternate"]); n == "DeviceGray" || n == "DeviceRGB" || n == "DeviceCMYK" {
		d["Alternate"] = n
	}
	if a, ok := c.f.Resolve(st.Dict["Range"]).(pdf.Array); ok {
		if nums := numbers(0); nums.accept(c, a) {
			d["Range"] = nums.copy(c, a)
		}
	}
	r := c.w.number()
	c.w.deflated(r, d, b)
	return r, true
}
