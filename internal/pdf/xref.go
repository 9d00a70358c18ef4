package pdf

import (
	"bytes"
)

// table reads the chain of cross-reference sections from the end of the file
// (ISO 32000-1, 7.5.4, 7.5.8). It reports whether there is one that can be
// read; whether it is right shows when objects are looked up.
func (f *File) table() bool {
	at, ok := f.startxref()
	if !ok {
		return false
	}
	f.entries = map[int]entry{}
	seen := map[int]bool{}
	for at >= 0 && !seen[at] {
		seen[at] = true
		trailer := f.section(at)
		if trailer == nil && f.Lead > 0 && !seen[at+f.Lead] {
			// 7.5.2: offsets count from the header where there is data before it.
			seen[at+f.Lead] = true
			trailer = f.section(at + f.Lead)
		}
		if trailer == nil {
			return false
		}
		if f.Trailer == nil {
			f.Trailer = trailer
		} else {
			f.Updates++
			for _, k := range []Name{"Root", "Encrypt", "ID", "Info"} {
				if f.Trailer[k] == nil && trailer[k] != nil {
					f.Trailer[k] = trailer[k]
				}
			}
		}
		prev, ok := trailer["Prev"].(int64)
		if !ok || prev < 0 || prev >= int64(len(f.b)) {
			break
		}
		at = int(prev)
	}
	if f.Lead > 0 {
		f.shift()
	}
	return f.Trailer != nil
}

// shift moves all offsets behind leading data when the objects stand there.
func (f *File) shift() {
	for n, e := range f.entries {
		if e.kind != 1 {
			continue
		}
		p := parser{f: f, lex: Lexer{b: f.b, pos: e.at}}
		if m, _, ok := p.header(); ok && m == n {
			return // they count from the start of the file
		}
		break
	}
	for n, e := range f.entries {
		if e.kind == 1 {
			e.at += f.Lead
			f.entries[n] = e
		}
	}
}

// startxref finds the last offset of a cross-reference section. Readers look
// for it in the last 1,024 octets (annex H, 3.4.4); files with data behind the
// end mark have it earlier.
func (f *File) startxref() (int, bool) {
	i := bytes.LastIndex(f.b, []byte("startxref"))
	if i < 0 {
		return 0, false
	}
	l := Lexer{b: f.b, pos: i + len("startxref")}
	t := l.Next()
	if t.Kind != Int || t.Int < 0 || t.Int >= int64(len(f.b)) {
		return 0, false
	}
	return int(t.Int), true
}

// set takes an entry unless a newer section has one for the object.
func (f *File) set(n int, e entry) {
	if _, ok := f.entries[n]; !ok && n >= 0 && n <= maxNumber {
		f.entries[n] = e
	}
}

// section reads the section at an offset, of either kind, and returns its
// trailer.
func (f *File) section(at int) Dict {
	if at < 0 || at >= len(f.b) {
		return nil
	}
	l := Lexer{b: f.b, pos: at}
	t := l.Next()
	if t.Kind == Int {
		return f.compressed(at)
	}
	if t.Kind != Word || !bytes.HasPrefix(t.Text, []byte("xref")) {
		return nil
	}
	l.pos = t.Start + 4
	type line struct {
		n int
		e entry
	}
	var lines []line
	for {
		t := l.Next()
		if t.Kind == Word && bytes.Equal(t.Text, []byte("trailer")) {
			break
		}
		count := l.Next()
		if t.Kind != Int || count.Kind != Int || t.Int < 0 || count.Int < 0 {
			return nil
		}
		first := t.Int
		for i := range count.Int {
			save := l.pos
			a, b, c := l.Next(), l.Next(), l.Next()
			if a.Kind == Word && bytes.Equal(a.Text, []byte("trailer")) {
				l.pos = save // QUIRK: fewer entries than said
				break
			}
			if a.Kind != Int || b.Kind != Int || c.Kind != Word || first+i > maxNumber {
				return nil
			}
			if i == 0 && first == 1 && a.Int == 0 && b.Int == 65535 && c.Text[0] == 'f' {
				first = 0 // QUIRK: a table that begins with object 0 and says 1
			}
			e := entry{gen: int(min(max(b.Int, 0), 65535))}
			if c.Text[0] == 'n' {
				e.kind, e.at = 1, int(min(max(a.Int, 0), int64(len(f.b))))
			}
			lines = append(lines, line{int(first + i), e})
		}
	}
	p := parser{f: f, lex: l}
	o, err := p.object(0)
	d, ok := o.(Dict)
	if err != nil || !ok {
		return nil
	}
	// 7.5.8.4: a hybrid's table calls free what only its stream shows.
	if x, ok := d["XRefStm"].(int64); ok && x >= 0 && x < int64(len(f.b)) {
		if f.compressed(int(x)) == nil && f.Lead > 0 {
			f.compressed(int(x) + f.Lead)
		}
	}
	for _, l := range lines {
		f.set(l.n, l.e)
	}
	return d
}

// compressed reads a cross-reference stream and returns its dictionary.
func (f *File) compressed(at int) Dict {
	if at < 0 || at >= len(f.b) {
		return nil
	}
	p := parser{f: f, lex: Lexer{b: f.b, pos: at}}
	n, gen, ok := p.header()
	if !ok {
		return nil
	}
	o, err := p.indirect(n, gen)
	if err != nil {
		return nil
	}
	st, ok := o.(*Stream)
	if !ok || st.Dict["Type"] != Name("XRef") {
		return nil
	}
	if !f.xrefStream(st) {
		return nil
	}
	return st.Dict
}

func (f *File) xrefStream(st *Stream) bool {
	data, rest, err := f.Decode(st, maxObjStm)
	if err != nil || len(rest) > 0 {
		return false
	}
	w, _ := st.Dict["W"].(Array)
	if len(w) < 3 {
		return false
	}
	var width [3]int
	row := 0
	for i := range width {
		n, ok := w[i].(int64)
		if !ok || n < 0 || n > 8 {
			return false
		}
		width[i] = int(n)
		row += int(n)
	}
	if row == 0 {
		return false
	}
	index, _ := st.Dict["Index"].(Array)
	if len(index) < 2 {
		index = Array{int64(0), int64(maxNumber + 1)}
	}
	for i := 0; i+1 < len(index); i += 2 {
		first, ok1 := index[i].(int64)
		count, ok2 := index[i+1].(int64)
		if !ok1 || !ok2 || first < 0 || first > maxNumber || count < 0 {
			return false
		}
		for j := int64(0); j < count && len(data) >= row && first+j <= maxNumber; j++ {
			var v [3]uint64
			at := 0
			for k, n := range width {
				for range n {
					v[k] = v[k]<<8 | uint64(data[at])
					at++
				}
			}
			if width[0] == 0 {
				v[0] = 1
			}
			data = data[row:]
			e := entry{at: int(min(v[1], 1<<40)), gen: int(min(v[2], 1<<30))}
			switch v[0] {
			case 1, 2:
				e.kind = uint8(v[0])
			case 0:
			default:
				continue // 7.5.8.3: of a later version; null
			}
			f.set(int(first+j), e)
		}
	}
	return true
}

// repair looks for objects in the whole file: of several with one number the
// last counts, as it does for a file that was appended to.
func (f *File) repair() {
	f.Repaired = true
	f.entries = map[int]entry{}
	f.Trailer = nil
	clear(f.cache)
	clear(f.stms)
	f.stmSize = 0
	var trailers []Dict
	var stms, catalogs []int
	b := f.b
	next := -1 // where the next "obj" stands: looked for once, there may be many trailers before it
	for at := 0; ; {
		if next < at && next < len(b) {
			if next = bytes.Index(b[at:], []byte("obj")); next >= 0 {
				next += at
			} else {
				next = len(b)
			}
		}
		i := next - at
		if next == len(b) {
			i = -1
		}
		t := bytes.Index(b[at:min(len(b), at+max(i, 0))], []byte("trailer"))
		if i < 0 {
			t = bytes.Index(b[at:], []byte("trailer"))
		}
		if t >= 0 {
			at += t + len("trailer")
			p := parser{f: f, lex: Lexer{b: b, pos: at}}
			if o, err := p.object(0); err == nil {
				if d, ok := o.(Dict); ok && len(d) > 0 {
					trailers = append(trailers, d)
					at = max(at, p.lex.pos)
				}
			}
			if f.err != nil {
				return
			}
			continue
		}
		if i < 0 {
			break
		}
		i += at
		at = i + 3
		start, ok := f.before(i)
		if !ok {
			continue
		}
		p := parser{f: f, lex: Lexer{b: b, pos: start}}
		n, gen, ok := p.header()
		if !ok {
			continue
		}
		// The key is not known yet; no string matters here.
		o, err := p.bare(n, gen)
		if f.err != nil {
			return
		}
		if err != nil {
			o = nil
		}
		f.entries[n] = entry{kind: 1, at: start, gen: gen}
		at = max(at, p.lex.pos)
		switch o := o.(type) {
		case Dict:
			if o["Type"] == Name("Catalog") {
				catalogs = append(catalogs, n)
			}
		case *Stream:
			switch o.Dict["Type"] {
			case Name("XRef"):
				trailers = append(trailers, o.Dict)
			case Name("ObjStm"):
				stms = append(stms, n)
			}
		}
	}
	for _, d := range trailers {
		if f.Trailer == nil {
			f.Trailer = Dict{}
		}
		for _, k := range []Name{"Root", "Encrypt", "ID", "Info"} {
			if d[k] != nil {
				f.Trailer[k] = d[k]
			}
		}
	}
	if f.Trailer == nil {
		f.Trailer = Dict{}
	}
	if f.Trailer["Encrypt"] != nil {
		s, err := f.security()
		if err != nil {
			f.fail(err)
			return
		}
		clear(f.cache)
		f.crypt, f.Decrypted = s, true
	}
	for _, n := range stms {
		s := f.objStm(n)
		if f.err != nil {
			return
		}
		if s == nil {
			continue
		}
		place := f.entries[n].at
		for i, m := range s.numbers {
			if e, ok := f.entries[m]; ok && (e.kind == 1 && e.at > place || m == n) {
				continue
			}
			f.entries[m] = entry{kind: 2, at: n, gen: i}
		}
	}
	if root, ok := f.Resolve(f.Trailer["Root"]).(Dict); ok {
		if _, ok := f.Resolve(root["Pages"]).(Dict); ok {
			return
		}
	}
	// No trailer leads to a catalogue: the last one there is.
	for n, e := range f.entries {
		if e.kind == 2 {
			if d, ok := f.Get(Ref{Num: n}).(Dict); ok && d["Type"] == Name("Catalog") {
				catalogs = append(catalogs, n)
			}
		}
	}
	best := -1
	for _, n := range catalogs {
		if d, ok := f.Get(Ref{Num: n}).(Dict); ok {
			if _, ok := f.Resolve(d["Pages"]).(Dict); ok && n > best {
				best = n
			}
		}
	}
	if best >= 0 {
		f.Trailer["Root"] = Ref{Num: best}
		return
	}
	// No catalogue: the root of the page tree is a node without a parent.
	for n := range f.entries {
		d, ok := f.Get(Ref{Num: n}).(Dict)
		if _, kids := f.Resolve(d["Kids"]).(Array); ok && kids && d["Type"] == Name("Pages") && d["Parent"] == nil && n > best {
			best = n
		}
	}
	if best >= 0 {
		f.Trailer["Root"] = Dict{"Type": Name("Catalog"), "Pages": Ref{Num: best}}
	}
}

// bare reads an object for the sake of its kind, without a key.
func (p *parser) bare(num, gen int) (Object, error) {
	s := p.f.crypt
	p.f.crypt = nil
	o, err := p.indirect(num, gen)
	p.f.crypt = s
	return o, err
}

// before finds where "12 0 " begins that ends at i, where "obj" stands.
func (f *File) before(i int) (int, bool) {
	b := f.b
	blanks := func() bool {
		from := i
		for i > 0 && IsSpace(b[i-1]) {
			i--
		}
		return i < from
	}
	digits := func() bool {
		from := i
		for i > 0 && b[i-1] >= '0' && b[i-1] <= '9' && from-i < 10 {
			i--
		}
		return i < from
	}
	if !blanks() && !(i > 0 && b[i-1] >= '0' && b[i-1] <= '9') {
		return 0, false
	}
	if !digits() || !blanks() || !digits() {
		return 0, false
	}
	return i, true
}
