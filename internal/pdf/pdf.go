// Package pdf reads PDF files (ISO 32000) that may be damaged or hostile. It
// takes the bytes of a file and gives out its objects, one by one and when they
// are asked for, with the streams decoded on the way. It reads classic and
// compressed cross-reference tables, hybrids of both, object streams and
// incremental updates; where the table is wrong it looks for the objects
// themselves; what an empty user password opens it decrypts.
//
// It judges nothing. Whoever asks decides which objects may stay, and bounds
// the work by Spend: every octet that a decoder gives is charged there. Nothing
// is allocated from a number in the file; how many values a file may hold, how
// deep they nest and how often a reference may lead to another is fixed.
//
// What comes out is one reading of the file. Two readers may differ about a
// broken one; that is why nothing of the file itself is ever passed on.
package pdf

import (
	"bytes"
	"errors"
	"fmt"
)

// Errors a reader ends with.
var (
	// ErrMalformed says that no document could be found in the file.
	ErrMalformed = errors.New("no document can be read from it")
	// ErrEncrypted says that an empty password does not open the file.
	ErrEncrypted = errors.New("encrypted with a password or for certificates")
	// ErrTooMuch says that the file holds more values, or values nested deeper,
	// than a reader takes.
	ErrTooMuch = errors.New("more values than a document has")
)

// Object is a value of a PDF file: nil (null), bool, int64, Real, Name, String,
// Array, Dict, Ref or *Stream (ISO 32000-1, 7.3).
type Object any

// Name is a name without its solidus, escapes decoded.
type Name string

// String is the octets of a string, decrypted.
type String string

// Real is a number with a fraction.
type Real float64

// Array is an array. Its elements may be references.
type Array []Object

// Dict is a dictionary. Of a key that stands twice the last counts.
type Dict map[Name]Object

// Ref is a reference to an indirect object.
type Ref struct{ Num, Gen int }

// Stream is a dictionary with octets that Open decodes.
type Stream struct {
	Dict Dict

	raw   []byte
	crypt *cipherKey // nil: not encrypted
}

const (
	// maxValues bounds the values of a file, all objects together: a value
	// takes some forty octets of memory, a document of five hundred pages has
	// less than a million.
	maxValues = 8e6
	// maxNesting bounds arrays and dictionaries in each other; real files stay
	// under ten, and readers are recursive.
	maxNesting = 100
	// maxNumber is the largest object number. Acrobat stops at 8,388,607 (ISO
	// 32000-1, annex C).
	maxNumber = 8388607
	// maxHops bounds references that lead to references, and objects that are
	// read because another needs them: a length, an object stream.
	maxHops = 16
	// maxObjStm bounds what all object streams decode to.
	maxObjStm = 128 << 20
)

// File is an open PDF file. It is used by one goroutine.
type File struct {
	// Trailer is the dictionary that names the catalogue. Root is set.
	Trailer Dict
	// Repaired says that the cross-reference table was wrong and objects were
	// looked for.
	Repaired bool
	// Decrypted says that the file was encrypted with an empty password.
	Decrypted bool
	// Lead is the number of octets before the header, Trail of those after the
	// last end of file marker.
	Lead, Trail int
	// Updates is the number of sections that were appended to the first.
	Updates int
	// Twice are values that another one of the same key in the same dictionary
	// takes the place of: some readers see them. Only of objects that were read,
	// and not all where there are many.
	Twice []Entry

	b       []byte
	spend   func(int64) error
	entries map[int]entry
	cache   map[int]Object
	loading map[int]bool
	stms    map[int]*objStm
	stmSize int
	values  int
	crypt   *security
	err     error // the first that is not about one object: a limit
	flate   flater
	ends    []int // where "endstream" stands; found when a length is wrong
}

// entry says where an object is.
type entry struct {
	kind uint8 // 0 free, 1 at an offset, 2 in an object stream
	at   int   // offset, or number of the object stream
	gen  int   // generation, or index in the object stream
}

// Open reads the structure of the file b. Spend is charged with every octet
// that is expanded; its error ends the reading.
func Open(b []byte, spend func(int64) error) (*File, error) {
	f := &File{b: b, spend: spend, cache: map[int]Object{}, loading: map[int]bool{}, stms: map[int]*objStm{}}
	// Readers accept the header anywhere in the first 1,024 octets (ISO
	// 32000-1, annex H, 3.4.1), and files without any.
	if i := bytes.Index(b[:min(len(b), 1024+5)], []byte("%PDF-")); i > 0 {
		f.Lead = i
	}
	if i := bytes.LastIndex(b, []byte("%%EOF")); i >= 0 {
		f.Trail = len(bytes.Trim(b[i+5:], "\x00\t\n\f\r "))
	}
	if !f.table() || !f.sound() {
		if f.err == nil {
			f.repair()
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	if !f.sound() {
		if f.err != nil {
			return nil, f.err
		}
		return nil, ErrMalformed
	}
	return f, nil
}

// sound reports whether the trailer leads to a catalogue with pages, and sets
// up decryption on the way.
func (f *File) sound() bool {
	if f.Trailer == nil {
		return false
	}
	if f.Trailer["Encrypt"] != nil && f.crypt == nil {
		s, err := f.security()
		if err != nil {
			f.err = err
			return false
		}
		// What was read so far was read without a key.
		clear(f.cache)
		clear(f.stms)
		f.stmSize = 0
		f.crypt, f.Decrypted = s, true
	}
	root, ok := f.Resolve(f.Trailer["Root"]).(Dict)
	if !ok || f.err != nil {
		return false
	}
	_, ok = f.Resolve(root["Pages"]).(Dict)
	return ok && f.err == nil
}

// Err returns the limit that was met since the file was opened. What was read
// after it is not whole.
func (f *File) Err() error { return f.err }

func (f *File) fail(err error) {
	if f.err == nil {
		f.err = err
	}
}

// Get returns the object that r refers to: null when there is none.
func (f *File) Get(r Ref) Object {
	if f.err != nil {
		return nil
	}
	if o, ok := f.cache[r.Num]; ok {
		return o
	}
	e, ok := f.entries[r.Num]
	if !ok || e.kind == 0 || f.loading[r.Num] || len(f.loading) > maxHops {
		return nil
	}
	f.loading[r.Num] = true
	defer delete(f.loading, r.Num)
	var o Object
	var err error
	switch e.kind {
	case 1:
		o, err = f.at(e.at, r.Num)
		if err != nil && !f.Repaired && f.err == nil {
			// The table is wrong about this one, so it may be about others.
			f.repair()
			if e, ok = f.entries[r.Num]; ok && e.kind == 1 {
				o, err = f.at(e.at, r.Num)
			} else if ok && e.kind == 2 {
				o = f.member(e.at, e.gen, r.Num)
				err = nil
			}
		}
	case 2:
		o = f.member(e.at, e.gen, r.Num)
	}
	if err != nil {
		o = nil
	}
	if _, again := o.(Ref); again {
		o = f.resolve(o, 1)
	}
	f.cache[r.Num] = o
	return o
}

// Resolve follows o until it is no reference.
func (f *File) Resolve(o Object) Object { return f.resolve(o, 0) }

func (f *File) resolve(o Object, hops int) Object {
	for ; hops < maxHops; hops++ {
		r, ok := o.(Ref)
		if !ok {
			return o
		}
		o = f.Get(r)
	}
	return nil
}

// Numbers calls yield with the number of every object the file knows, in no
// order.
func (f *File) Numbers(yield func(int) bool) {
	for n, e := range f.entries {
		if e.kind != 0 && !yield(n) {
			return
		}
	}
}

// at reads the indirect object number num at offset.
func (f *File) at(offset, num int) (Object, error) {
	if offset < 0 || offset >= len(f.b) {
		return nil, fmt.Errorf("object %d at %d: outside the file", num, offset)
	}
	p := parser{f: f, lex: Lexer{b: f.b, pos: offset}}
	n, gen, ok := p.header()
	if !ok || n != num {
		return nil, fmt.Errorf("object %d is not at %d", num, offset)
	}
	return p.indirect(n, gen)
}

// objStm is a decoded object stream (ISO 32000-1, 7.5.7).
type objStm struct {
	data    []byte
	numbers []int
	offsets []int
	index   map[int]int // made when the table's own is wrong
}

// member reads object num, which stands in object stream stm, at index by the
// table.
func (f *File) member(stm, index, num int) Object {
	s := f.objStm(stm)
	if s == nil {
		return nil
	}
	if index < 0 || index >= len(s.numbers) || s.numbers[index] != num {
		if s.index == nil {
			s.index = make(map[int]int, len(s.numbers))
			for i, n := range s.numbers {
				s.index[n] = i
			}
		}
		var ok bool
		if index, ok = s.index[num]; !ok {
			return nil
		}
	}
	if s.offsets[index] >= len(s.data) {
		return nil
	}
	p := parser{f: f, lex: Lexer{b: s.data, pos: s.offsets[index]}}
	o, err := p.object(0)
	if err != nil {
		return nil
	}
	if _, ok := o.(*Stream); ok {
		return nil // 7.5.7: no stream in a stream
	}
	return o
}

func (f *File) objStm(num int) *objStm {
	if s, ok := f.stms[num]; ok {
		return s
	}
	f.stms[num] = nil // also while it is being read: an object stream in itself
	e, ok := f.entries[num]
	if !ok || e.kind != 1 {
		return nil
	}
	st, ok := f.Get(Ref{Num: num}).(*Stream)
	if !ok {
		return nil
	}
	s := f.unpack(st)
	f.stms[num] = s
	return s
}

func (f *File) unpack(st *Stream) *objStm {
	data, rest, err := f.Decode(st, maxObjStm)
	if err != nil || len(rest) > 0 {
		return nil
	}
	if f.stmSize += len(data); f.stmSize > maxObjStm {
		f.fail(fmt.Errorf("object streams of more than %d octets: %w", maxObjStm, ErrTooMuch))
		return nil
	}
	first, _ := f.Resolve(st.Dict["First"]).(int64)
	n, _ := f.Resolve(st.Dict["N"]).(int64)
	if first < 0 || first > int64(len(data)) {
		return nil
	}
	s := &objStm{data: data}
	lex := Lexer{b: data[:first]}
	for range n {
		a, b := lex.Next(), lex.Next()
		if a.Kind != Int || b.Kind != Int {
			break
		}
		if a.Int < 0 || a.Int > maxNumber || b.Int < 0 || b.Int > int64(len(data)) {
			continue
		}
		s.numbers, s.offsets = append(s.numbers, int(a.Int)), append(s.offsets, int(first+b.Int))
	}
	return s
}

// Entry is one of a dictionary.
type Entry struct {
	Key   Name
	Value Object
}

// twice keeps what another value takes the place of.
func (f *File) twice(key Name, was Object) {
	const most = 1000
	if len(f.Twice) < most {
		f.Twice = append(f.Twice, Entry{key, was})
	}
}
