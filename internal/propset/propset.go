// Package propset reads and writes the two property sets of an Office document
// of 1997 to 2003: the streams \5SummaryInformation and
// \5DocumentSummaryInformation of its compound file.
//
// In come the octets of both streams, from strangers; out goes a Document, the
// few properties that tell a person what the file is, and from it two fresh
// small streams. Everything else a set can hold stays behind: the template it
// was made from (which may lie on another machine), the thumbnail (a picture
// nobody decoded), the base of links, lists of links, digital signatures, and
// the section of properties that users or programs defined.
//
// Reading never fails. A set that is damaged anywhere, or a value that is not of
// its form, is no reason to refuse a document: what cannot be read is left out.
//
// Sources: [MS-OLEPS], [MS-OSHARED] 2.3.3.
package propset

import (
	"encoding/binary"
	"strings"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"sekisho/internal/charset"
)

// The names of the two streams.
const (
	SummaryName         = "\x05SummaryInformation"
	DocumentSummaryName = "\x05DocumentSummaryInformation"
)

// Document is what stays of both property sets. The zero value is a document
// that says nothing about itself.
type Document struct {
	Title, Subject, Author, Keywords, Comments, LastAuthor string
	Application                                            string // one of a closed list, with its version
	Revision                                               string // digits

	Category, Manager, Company string

	// Times as the sets have them: 100 ns since 1601, zero for none.
	Created, Saved uint64

	Pages, Words, Characters int32
}

// The property identifiers. [MS-OSHARED] 2.3.3.2.1, 2.3.3.2.2.
const (
	pidCodepage   = 1
	pidTitle      = 2
	pidSubject    = 3
	pidAuthor     = 4
	pidKeywords   = 5
	pidComments   = 6
	pidLastAuthor = 8
	pidRevision   = 9
	pidCreated    = 12
	pidSaved      = 13
	pidPages      = 14
	pidWords      = 15
	pidCharacters = 16
	pidAppName    = 18

	pidCategory = 2
	pidManager  = 14
	pidCompany  = 15
)

// The types of values. [MS-OLEPS] 2.11.
const (
	typeInt16   = 2
	typeInt32   = 3
	typeString8 = 30
	typeString  = 31
	typeTime    = 64
)

var (
	// F29F85E0-4FF9-1068-AB91-08002B27B3D9 and D5CDD502-2E9C-101B-9397-08002B2CF9AE
	// as they stand in a stream.
	fmtidSummary  = [16]byte{0xE0, 0x85, 0x9F, 0xF2, 0xF9, 0x4F, 0x68, 0x10, 0xAB, 0x91, 0x08, 0x00, 0x2B, 0x27, 0xB3, 0xD9}
	fmtidDocument = [16]byte{0x02, 0xD5, 0xCD, 0xD5, 0x9C, 0x2E, 0x1B, 0x10, 0x93, 0x97, 0x08, 0x00, 0x2B, 0x2C, 0xF9, 0xAE}
)

const (
	// maxStream is how much of a stream is looked at: sets without thumbnails
	// have some kilobytes.
	maxStream = 1 << 20
	// maxText is how long a kept text may be, in octets: Office's own dialogue
	// takes 255 characters.
	maxText = 255 * 3
	// maxProperties is how many entries of a set are looked at; Office knows
	// some thirty.
	maxProperties = 256
)

// utf8Page is the code page of what is written: Unicode, of which ASCII is
// itself, so that the oldest reader shows it.
const utf8Page = 65001

// Read reads what is kept of the two streams; either may be nil.
func Read(summary, documentSummary []byte) Document {
	var d Document
	if s, ok := open(summary, fmtidSummary); ok {
		d.Title = s.text(pidTitle)
		d.Subject = s.text(pidSubject)
		d.Author = s.text(pidAuthor)
		d.Keywords = s.text(pidKeywords)
		d.Comments = s.text(pidComments)
		d.LastAuthor = s.text(pidLastAuthor)
		d.Revision = digits(s.text(pidRevision))
		d.Application = application(s.text(pidAppName))
		d.Created, d.Saved = s.time(pidCreated), s.time(pidSaved)
		d.Pages, d.Words, d.Characters = s.count(pidPages), s.count(pidWords), s.count(pidCharacters)
	}
	if s, ok := open(documentSummary, fmtidDocument); ok {
		d.Category = s.text(pidCategory)
		d.Manager = s.text(pidManager)
		d.Company = s.text(pidCompany)
	}
	return d
}

// Summary writes the stream \5SummaryInformation.
func (d Document) Summary() []byte {
	w := writer{}
	w.int16(pidCodepage, utf8Page)
	w.text(pidTitle, d.Title)
	w.text(pidSubject, d.Subject)
	w.text(pidAuthor, d.Author)
	w.text(pidKeywords, d.Keywords)
	w.text(pidComments, d.Comments)
	w.text(pidLastAuthor, d.LastAuthor)
	w.text(pidRevision, d.Revision)
	w.time(pidCreated, d.Created)
	w.time(pidSaved, d.Saved)
	w.int32(pidPages, d.Pages)
	w.int32(pidWords, d.Words)
	w.int32(pidCharacters, d.Characters)
	w.text(pidAppName, d.Application)
	return w.stream(fmtidSummary)
}

// DocumentSummary writes the stream \5DocumentSummaryInformation.
func (d Document) DocumentSummary() []byte {
	w := writer{}
	w.int16(pidCodepage, utf8Page)
	w.text(pidCategory, d.Category)
	w.text(pidManager, d.Manager)
	w.text(pidCompany, d.Company)
	return w.stream(fmtidDocument)
}

// Custom reports whether the stream \5DocumentSummaryInformation has a section of
// properties that a user or a program defined.
func Custom(documentSummary []byte) bool {
	return len(documentSummary) >= 28 && binary.LittleEndian.Uint32(documentSummary[24:]) > 1
}

// set is one property set: where its values lie, and in which code page its
// 8-bit texts are.
type set struct {
	b     []byte
	at    map[uint32]uint32
	label string
	wide  bool
}

// open finds the first property set of a stream. [MS-OLEPS] 2.21, 2.20.
func open(b []byte, fmtid [16]byte) (set, bool) {
	if len(b) > maxStream {
		b = b[:maxStream]
	}
	if len(b) < 48 || b[0] != 0xFE || b[1] != 0xFF || [16]byte(b[28:44]) != fmtid {
		return set{}, false
	}
	offset := binary.LittleEndian.Uint32(b[44:])
	if offset < 48 || uint64(offset)+8 > uint64(len(b)) {
		return set{}, false
	}
	b = b[offset:]
	// QUIRK: programs write a size that is larger than what is there, or count
	// without the padding; what is there bounds it.
	n := binary.LittleEndian.Uint32(b[4:])
	s := set{b: b, at: map[uint32]uint32{}}
	for i := range min(n, maxProperties) {
		p := 8 + 8*int(i)
		if p+8 > len(b) {
			break
		}
		id, at := binary.LittleEndian.Uint32(b[p:]), binary.LittleEndian.Uint32(b[p+4:])
		if _, twice := s.at[id]; !twice && uint64(at)+8 <= uint64(len(b)) {
			s.at[id] = at
		}
	}
	page := uint16(1252)
	if v, ok := s.value(pidCodepage, typeInt16); ok {
		page = binary.LittleEndian.Uint16(v)
	}
	s.wide = page == 1200
	s.label = label(page)
	return s, true
}

// label is the name of a code page of Windows.
func label(page uint16) string {
	switch page {
	case utf8Page:
		return "utf-8"
	case 10001:
		return "cp932" // Macintosh Japanese
	case 10000:
		return "macintosh"
	}
	var b [5]byte
	i := len(b)
	for n := page; n > 0; n /= 10 {
		i--
		b[i] = byte('0' + n%10)
	}
	if name, ok := charset.Known("windows-" + string(b[i:])); ok {
		return name
	}
	if name, ok := charset.Known("cp" + string(b[i:])); ok {
		return name
	}
	return "windows-1252"
}

// value is what follows the type of a property, if it has that type.
func (s set) value(id uint32, typ uint16) ([]byte, bool) {
	at, ok := s.at[id]
	if !ok || binary.LittleEndian.Uint16(s.b[at:]) != typ {
		return nil, false
	}
	return s.b[at+4:], true
}

func (s set) text(id uint32) string {
	if v, ok := s.value(id, typeString8); ok {
		n := binary.LittleEndian.Uint32(v)
		if uint64(n) > uint64(len(v)-4) {
			return ""
		}
		v = v[4 : 4+n]
		if s.wide {
			return clean(wide(v))
		}
		v = v[:min(len(v), 4*maxText)]
		for i, c := range v {
			if c == 0 {
				v = v[:i]
				break
			}
		}
		return clean(charset.DecodeAs(s.label, v).Text)
	}
	if v, ok := s.value(id, typeString); ok {
		n := uint64(binary.LittleEndian.Uint32(v)) * 2
		if n > uint64(len(v)-4) {
			return ""
		}
		return clean(wide(v[4 : 4+n]))
	}
	return ""
}

func wide(b []byte) string {
	b = b[:min(len(b)&^1, 4*maxText)]
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) > 0; b = b[2:] {
		c := binary.LittleEndian.Uint16(b)
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}

// clean leaves what a person can read of a text: one line, nothing invisible,
// nothing that turns the reading direction, bounded.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\r' || r == '\n' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), r == utf8.RuneError, unicode.Is(unicode.Co, r):
			return -1
		}
		return r
	}, s)
	s = strings.TrimSpace(s)
	if len(s) > maxText {
		n := maxText
		for n > 0 && !utf8.RuneStart(s[n]) {
			n--
		}
		s = strings.TrimSpace(s[:n])
	}
	return s
}

func digits(s string) string {
	if len(s) > 9 || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}

// Program is what a summary calls the program that wrote its document, whichever
// that is.
func Program(summary []byte) string {
	s, _ := open(summary, fmtidSummary)
	return s.text(pidAppName)
}

// application is the name of the program that wrote the document, if it is one
// that is known: others decide by it how they lay text out. A version may follow.
func application(s string) string {
	for _, known := range []string{
		"Microsoft Office Word", "Microsoft Word", "Microsoft Macintosh Word", "Microsoft Office Excel", "Microsoft Excel", "Microsoft Macintosh Excel",
		"Microsoft Office PowerPoint", "Microsoft PowerPoint", "Microsoft Macintosh PowerPoint", "LibreOffice",
	} {
		rest, ok := strings.CutPrefix(s, known)
		if ok && len(rest) <= 12 && strings.Trim(rest, " .0123456789") == "" {
			return s
		}
	}
	return ""
}

func (s set) time(id uint32) uint64 {
	v, ok := s.value(id, typeTime)
	if !ok || len(v) < 8 {
		return 0
	}
	t := binary.LittleEndian.Uint64(v)
	// A value before 1980 is none: editing times and counters stand in its place.
	if t < fileTime(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) || t > fileTime(time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)) {
		return 0
	}
	return t
}

// fileTime is a time as the sets have it. [MS-DTYP] 2.3.3.
func fileTime(t time.Time) uint64 {
	const epoch = 11644473600 // seconds from 1601 to 1970
	return uint64(t.Unix()+epoch) * 1e7
}

func (s set) count(id uint32) int32 {
	v, ok := s.value(id, typeInt32)
	if !ok {
		return 0
	}
	return max(int32(binary.LittleEndian.Uint32(v)), 0)
}

// writer gathers the properties of one set. Properties without a value are left
// out.
type writer struct {
	ids  []uint32
	offs []uint32
	b    []byte
}

func (w *writer) add(id uint32, typ uint32) {
	w.ids, w.offs = append(w.ids, id), append(w.offs, uint32(len(w.b)))
	w.b = binary.LittleEndian.AppendUint32(w.b, typ)
}

func (w *writer) int16(id uint32, v uint16) {
	w.add(id, typeInt16)
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(v))
}

func (w *writer) int32(id uint32, v int32) {
	if v > 0 {
		w.add(id, typeInt32)
		w.b = binary.LittleEndian.AppendUint32(w.b, uint32(v))
	}
}

func (w *writer) time(id uint32, v uint64) {
	if v != 0 {
		w.add(id, typeTime)
		w.b = binary.LittleEndian.AppendUint64(w.b, v)
	}
}

func (w *writer) text(id uint32, s string) {
	if s == "" {
		return
	}
	w.add(id, typeString8)
	w.b = binary.LittleEndian.AppendUint32(w.b, uint32(len(s)+1))
	w.b = append(append(w.b, s...), 0)
	for len(w.b)%4 != 0 {
		w.b = append(w.b, 0)
	}
}

// stream is the whole stream: one set, written by nobody in particular.
func (w *writer) stream(fmtid [16]byte) []byte {
	head := 8 + 8*len(w.ids)
	b := make([]byte, 0, 48+head+len(w.b))
	b = append(b, 0xFE, 0xFF, 0, 0) // byte order, version 0
	b = binary.LittleEndian.AppendUint32(b, 0x00020006)
	b = append(b, make([]byte, 16)...) // class
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = append(b, fmtid[:]...)
	b = binary.LittleEndian.AppendUint32(b, 48)
	b = binary.LittleEndian.AppendUint32(b, uint32(head+len(w.b)))
	b = binary.LittleEndian.AppendUint32(b, uint32(len(w.ids)))
	for i, id := range w.ids {
		b = binary.LittleEndian.AppendUint32(b, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(head)+w.offs[i])
	}
	return append(b, w.b...)
}
