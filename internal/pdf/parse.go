package pdf

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

var errSyntax = errors.New("no object")

// parser reads objects. Its strings are those of the object being read, for
// which crypt is the key.
type parser struct {
	f     *File
	lex   Lexer
	crypt *cipherKey
}

// header reads "12 0 obj".
func (p *parser) header() (num, gen int, ok bool) {
	a, b, c := p.lex.Next(), p.lex.Next(), p.lex.Next()
	if a.Kind != Int || b.Kind != Int || c.Kind != Word || a.Int < 0 || a.Int > maxNumber || b.Int < 0 || b.Int > 65535 {
		return 0, 0, false
	}
	if !bytes.Equal(c.Text, []byte("obj")) {
		// QUIRK: "1 0 obj123", "1 0 objendobj".
		if !bytes.HasPrefix(c.Text, []byte("obj")) {
			return 0, 0, false
		}
		p.lex.pos = c.Start + 3
	}
	return int(a.Int), int(b.Int), true
}

// indirect reads what stands behind a header.
func (p *parser) indirect(num, gen int) (Object, error) {
	p.crypt = p.f.crypt.keyFor(num, gen)
	o, err := p.object(0)
	if err != nil {
		return nil, err
	}
	d, ok := o.(Dict)
	if !ok {
		return o, nil
	}
	save := p.lex.pos
	t := p.lex.Next()
	if t.Kind != Word || !bytes.HasPrefix(t.Text, []byte("stream")) {
		p.lex.pos = save
		return d, nil
	}
	b := p.lex.b
	// 7.3.8.1: a CRLF or LF ends the word. QUIRK: a CR alone and blanks too.
	at := t.Start + 6
	for at < len(b) && (b[at] == ' ' || b[at] == '\t') {
		at++
	}
	if at < len(b) && b[at] == '\r' {
		at++
	}
	if at < len(b) && b[at] == '\n' {
		at++
	}
	end := -1
	if n, ok := p.f.length(d["Length"]); ok && n >= 0 && n <= int64(len(b)-at) {
		if after(b, at+int(n)) {
			end = at + int(n)
		}
	}
	if end < 0 {
		end = p.f.streamEnd(b, at)
	}
	p.lex.pos = end
	// Without the room behind it: who appends to what a stream holds must not
	// write over the next object of the file.
	raw := b[at:end:end]
	if k, ok := p.f.Resolve(d["Type"]).(Name); ok && k == "XRef" {
		return &Stream{Dict: d, raw: raw}, nil // 7.5.8.2: never encrypted
	}
	return &Stream{Dict: d, raw: raw, crypt: p.crypt}, nil
}

// length reads a length, which may be a reference to an object that stands in
// no object stream being read.
func (f *File) length(o Object) (int64, bool) {
	n, ok := f.Resolve(o).(int64)
	return n, ok
}

// after reports whether "endstream" stands at the place, behind white space.
func after(b []byte, at int) bool {
	for i := 0; at < len(b) && IsSpace(b[at]) && i < 8; i++ {
		at++
	}
	return bytes.HasPrefix(b[min(at, len(b)):], []byte("endstream")) || bytes.HasPrefix(b[min(at, len(b)):], []byte("endobj"))
}

// streamEnd finds the end of a stream whose length is wrong. Where streams can
// end is looked for once: a file may have many streams that never do.
func (f *File) streamEnd(b []byte, at int) int {
	if f.ends == nil {
		f.ends = []int{}
		for i := 0; ; {
			j := bytes.Index(b[i:], []byte("endstream"))
			if j < 0 {
				break
			}
			f.ends = append(f.ends, i+j)
			i += j + len("endstream")
		}
	}
	n, _ := slices.BinarySearch(f.ends, at)
	end := len(b)
	if n < len(f.ends) {
		end = f.ends[n]
	} else if i := bytes.Index(b[at:], []byte("endobj")); i >= 0 && len(f.ends) == 0 {
		end = at + i
	}
	if end > at && b[end-1] == '\n' {
		end--
	}
	if end > at && b[end-1] == '\r' {
		end--
	}
	return end
}

// value counts one more value of the file.
func (p *parser) value() error {
	if p.f.values++; p.f.values > maxValues {
		err := fmt.Errorf("more than %d values: %w", int(maxValues), ErrTooMuch)
		p.f.fail(err)
		return err
	}
	return nil
}

// object reads one object, and "1 0 R" as a reference.
func (p *parser) object(depth int) (Object, error) {
	return p.finish(p.lex.Next(), depth)
}

func (p *parser) finish(t Token, depth int) (Object, error) {
	if depth > maxNesting {
		return nil, fmt.Errorf("nested more than %d deep: %w", maxNesting, ErrTooMuch)
	}
	if err := p.value(); err != nil {
		return nil, err
	}
	switch t.Kind {
	case Int:
		save := p.lex.pos
		if t.Int >= 0 && t.Int <= maxNumber {
			if g := p.lex.Next(); g.Kind == Int && g.Int >= 0 && g.Int <= 65535 {
				if r := p.lex.Next(); r.Kind == Word && len(r.Text) == 1 && r.Text[0] == 'R' {
					return Ref{int(t.Int), int(g.Int)}, nil
				}
			}
		}
		p.lex.pos = save
		return t.Int, nil
	case Num:
		return Real(t.Real), nil
	case Str:
		// A string without end reaches to the end of the file, from any place.
		if err := p.f.charge(len(t.Text)); err != nil {
			return nil, err
		}
		return String(p.crypt.text(t.Text)), nil
	case Nam:
		return Name(t.Text), nil
	case ArrayOpen:
		return p.array(depth)
	case DictOpen:
		return p.dict(depth)
	case Word:
		switch string(t.Text) {
		case "true":
			return true, nil
		case "false":
			return false, nil
		case "null":
			return nil, nil
		case "endobj", "endstream", "obj", "stream", "xref", "trailer", "startxref":
			p.lex.pos = t.Start
		}
		return nil, errSyntax
	default:
		return nil, errSyntax
	}
}

func (p *parser) array(depth int) (Object, error) {
	a := Array{}
	for {
		t := p.lex.Next()
		switch t.Kind {
		case ArrayClose:
			return a, nil
		case EOF:
			return a, nil
		case DictClose:
			// QUIRK: an array that is not closed ends with what is around it.
			p.lex.pos = t.Start
			return a, nil
		}
		o, err := p.finish(t, depth+1)
		switch {
		case errors.Is(err, errSyntax):
			if p.lex.pos == t.Start {
				return a, nil // a keyword of the file: the object ends here
			}
			continue // a stray word
		case err != nil:
			return nil, err
		}
		a = append(a, o)
	}
}

func (p *parser) dict(depth int) (Object, error) {
	d := Dict{}
	for {
		t := p.lex.Next()
		switch t.Kind {
		case DictClose, EOF:
			return d, nil
		case Nam:
		case Word:
			switch string(t.Text) {
			case "endobj", "endstream", "stream", "xref", "trailer", "startxref":
				p.lex.pos = t.Start
				return d, nil
			}
			continue
		default:
			continue // QUIRK: a value without a key is passed over
		}
		key := Name(t.Text)
		v := p.lex.Next()
		if v.Kind == DictClose || v.Kind == EOF {
			return d, nil
		}
		o, err := p.finish(v, depth+1)
		switch {
		case errors.Is(err, errSyntax):
			if p.lex.pos == v.Start {
				return d, nil
			}
			continue
		case err != nil:
			return nil, err
		}
		if was, ok := d[key]; ok {
			p.f.twice(key, was)
		}
		if o != nil {
			d[key] = o // 7.3.7: null is the same as no entry
		} else {
			delete(d, key)
		}
	}
}
