package xls

import (
	"bytes"
	"math"
	"testing"

	"sekisho/internal/cfb"
)

// rec is a record.
func rec(typ uint16, parts ...any) []byte {
	var d []byte
	for _, p := range parts {
		switch v := p.(type) {
		case int:
			d = append(d, byte(v))
		case uint16:
			d = le.AppendUint16(d, v)
		case uint32:
			d = le.AppendUint32(d, v)
		case float64:
			d = le.AppendUint64(d, math.Float64bits(v))
		case string:
			d = append(d, v...)
		case []byte:
			d = append(d, v...)
		}
	}
	return appendRecord(nil, typ, d)
}

// long is a text with a length of two octets.
func long(s string) []byte {
	u := units(s)
	return appendCharacters(le.AppendUint16(nil, uint16(len(u))), u)
}

// short is a text with a length of one octet.
func short(s string) []byte {
	u := units(s)
	return appendCharacters([]byte{byte(len(u))}, u)
}

// page is a sheet to be.
type page struct {
	name    string
	state   byte
	typ     byte
	kind    uint16
	records [][]byte
}

// book is a workbook to be.
type bookMaker struct {
	globals  [][]byte // between the sheets' list and the end
	strings  []string
	pages    []page
	streams  []*cfb.Stream
	storages []*cfb.Storage
	version  uint16
}

func bof(version, kind uint16) []byte {
	return rec(recBOF, version, kind, uint16(0x0DBB), uint16(0x07CC), uint32(0), uint32(6))
}

// cells are those that every sheet has: a text in A1, a number in B1.
func cells() [][]byte {
	return [][]byte{
		rec(recDimensions, uint32(0), uint32(9), uint16(0), uint16(9), uint16(0)),
		rec(recLabelSST, uint16(0), uint16(0), uint16(15), uint32(0)),
		rec(recNumber, uint16(0), uint16(1), uint16(15), 12.5),
	}
}

func window() []byte { return rec(recWindow2, uint16(0x06B6), make([]byte, 16)) }

// workbook is one with a sheet of a text and a number, and what is added.
func newBook(extra ...[]byte) *bookMaker {
	m := &bookMaker{strings: []string{"申請書 & form"}, version: 0x0600}
	m.pages = []page{{name: "表1", kind: 0x10, records: append(cells(), extra...)}}
	return m
}

func (m *bookMaker) global(r ...[]byte) *bookMaker {
	m.globals = append(m.globals, r...)
	return m
}

func (m *bookMaker) sheet(p page) *bookMaker {
	m.pages = append(m.pages, p)
	return m
}

// self adds this workbook as supporting book 0 and pair 0 for its first sheet.
func (m *bookMaker) self() *bookMaker {
	return m.global(rec(recSupBook, uint16(1), uint16(0x0401)), rec(recExternSheet, uint16(1), uint16(0), uint16(0), uint16(0)))
}

// stream is the workbook as records.
func (m *bookMaker) stream() []byte {
	out := bof(m.version, 5)
	out = append(out, rec(recWriteAccess, "\x05\x00\x00Taro ", bytes.Repeat([]byte{' '}, 104))...)
	out = append(out, rec(0x0042, uint16(0x04B0))...)
	out = append(out, rec(0x0031, uint16(220), uint16(0), uint16(0x7fff), uint16(400), uint16(0), 0, 0, 0x80, 0, short("ＭＳ Ｐゴシック"))...)
	for range 16 {
		out = append(out, rec(0x00E0, uint16(0), uint16(0), uint16(1), make([]byte, 14))...)
	}
	places := make([]int, len(m.pages))
	for i, p := range m.pages {
		places[i] = len(out) + 4
		out = append(out, rec(recBoundSheet, uint32(0), int(p.state), int(p.typ), short(p.name))...)
	}
	for _, g := range m.globals {
		out = append(out, g...)
	}
	var sst table
	for _, s := range m.strings {
		sst.add(units(s), nil, nil)
	}
	out = append(out, sst.records()...)
	out = append(out, rec(recEOF)...)
	for i, p := range m.pages {
		le.PutUint32(out[places[i]:], uint32(len(out)))
		out = append(out, bof(m.version, p.kind)...)
		for _, r := range p.records {
			out = append(out, r...)
		}
		out = append(out, window()...)
		out = append(out, rec(recEOF)...)
	}
	return out
}

func (m *bookMaker) bytes(t testing.TB) []byte {
	t.Helper()
	return wrapped(t, "Workbook", m.stream(), m.streams, m.storages)
}

func wrapped(t testing.TB, name string, stream []byte, streams []*cfb.Stream, storages []*cfb.Storage) []byte {
	t.Helper()
	root := &cfb.Storage{CLSID: class, Streams: append([]*cfb.Stream{cfb.NewStream(name, stream)}, streams...), Storages: storages}
	var b bytes.Buffer
	if err := cfb.Write(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// formula is a cell with a formula and a number as its result.
func formulaCell(row, col uint16, result float64, tokens ...byte) []byte {
	return rec(recFormula, row, col, uint16(15), result, uint16(0), uint32(0), uint16(len(tokens)), tokens)
}

// textCell is one with a text as its result.
func textCell(row, col uint16, result string, tokens ...byte) []byte {
	return append(rec(recFormula, row, col, uint16(15), 0, 0, 0, 0, 0, 0, 0xff, 0xff, uint16(0), uint32(0), uint16(len(tokens)), tokens),
		rec(recString, long(result))...)
}

// name is a defined name.
func nameRecord(flags uint16, name string, tokens ...byte) []byte {
	u := units(name)
	return rec(recName, flags, 0, len(u), uint16(len(tokens)), uint16(0), uint16(0), 0, 0, 0, 0, appendCharacters(nil, u), tokens)
}

// Tokens.
func tInt(n uint16) []byte  { return []byte{0x1E, byte(n), byte(n >> 8)} }
func tStr(s string) []byte  { return append([]byte{0x17}, short(s)...) }
func tName(n uint16) []byte { return []byte{0x23, byte(n), byte(n >> 8), 0, 0} }
func tNameX(x, n uint16) []byte {
	return []byte{0x39, byte(x), byte(x >> 8), byte(n), byte(n >> 8), 0, 0}
}
func tRef3(x uint16) []byte { return []byte{0x3A, byte(x), byte(x >> 8), 0, 0, 0, 0} }
func tExp(row, col uint16) []byte {
	return []byte{0x01, byte(row), byte(row >> 8), byte(col), byte(col >> 8)}
}
func tCall(f uint16, n int) []byte {
	return []byte{0x42, byte(n), byte(f), byte(f >> 8)}
}

func cat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// records are those of a stream, as "type data".
type flat struct {
	typ  uint16
	data []byte
}

// unpack returns the records of a file that was written.
func unpack(t testing.TB, b []byte) []flat {
	t.Helper()
	f, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Root.Stream("Workbook")
	in := make([]byte, s.Size)
	if n, err := s.ReadAt(in, 0); n < len(in) {
		t.Fatal(err)
	}
	var all []flat
	for off := 0; off < len(in); {
		typ, data, end, err := plain(in, off)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, flat{typ, data})
		off = end
	}
	return all
}

// with are the data of all records of a type.
func with(rs []flat, typ uint16) [][]byte {
	var all [][]byte
	for _, r := range rs {
		if r.typ == typ {
			all = append(all, r.data)
		}
	}
	return all
}
