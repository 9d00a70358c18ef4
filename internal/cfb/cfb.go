// Package cfb reads and writes compound files ([MS-CFB]), the containers of doc,
// xls, ppt, msg and of Ichitaro.
//
// The reader is tolerant, as the programs of the readers are: it goes by what
// the chains and the directory say and not by the counts in the header, takes
// files whose end was cut and streams that are shorter than promised. It is not
// credulous: a chain that runs in a circle, a directory that meets itself, two
// entries that one name would find, and streams that together are many times
// the file are errors, and nothing is allocated by a number in the file.
//
// The writer makes new files of version 3 from what it is given and from
// nothing else: no free sectors, no slack, no times, every entry where a search
// by name finds it. The same storages make the same octets. A file is never
// changed in place: read, choose what may stay, write.
package cfb

import (
	"bytes"
	"errors"
	"io"
	"unicode"
	"unicode/utf16"
)

// Errors of the reader and the writer.
var (
	ErrFormat    = errors.New("not a readable compound file")
	ErrAmbiguous = errors.New("compound file that can be read in two ways")
	ErrLimit     = errors.New("compound file over a limit")
)

// Storage is a folder of a compound file.
type Storage struct {
	Name     string // of the root: ignored
	CLSID    [16]byte
	Storages []*Storage
	Streams  []*Stream
}

// Stream is a file in a compound file. It reads from the file it was found in,
// and only when asked.
type Stream struct {
	Name string
	Size int64
	io.ReaderAt
}

// NewStream returns a stream of the octets b.
func NewStream(name string, b []byte) *Stream {
	return &Stream{Name: name, Size: int64(len(b)), ReaderAt: bytes.NewReader(b)}
}

// Reader returns a reader over the whole stream.
func (s *Stream) Reader() *io.SectionReader { return io.NewSectionReader(s, 0, s.Size) }

// Stream returns the stream of a name, nil if there is none. Names are compared
// as the applications do, without regard to case.
func (s *Storage) Stream(name string) *Stream {
	for _, t := range s.Streams {
		if compare(t.Name, name) == 0 {
			return t
		}
	}
	return nil
}

// Storage returns the storage of a name, nil if there is none.
func (s *Storage) Storage(name string) *Storage {
	for _, t := range s.Storages {
		if compare(t.Name, name) == 0 {
			return t
		}
	}
	return nil
}

// Walk calls f for every storage below s with its path, s itself with none, in
// the order in which they are listed.
func (s *Storage) Walk(f func(path []string, s *Storage) error) error { return walk(nil, s, f) }

func walk(path []string, s *Storage, f func([]string, *Storage) error) error {
	if err := f(path, s); err != nil {
		return err
	}
	for _, c := range s.Storages {
		if err := walk(append(path[:len(path):len(path)], c.Name), c, f); err != nil {
			return err
		}
	}
	return nil
}

// compare orders names as the directory does. [MS-CFB] 2.6.4: first by length,
// then by the upper case of each UTF-16 unit.
func compare(a, b string) int {
	x, y := utf16.Encode([]rune(a)), utf16.Encode([]rune(b))
	if len(x) != len(y) {
		return len(x) - len(y)
	}
	for i := range x {
		if c := int(upper(x[i])) - int(upper(y[i])); c != 0 {
			return c
		}
	}
	return 0
}

// upper is the upper case of one unit: the simple mapping, halves of a pair
// have none.
func upper(u uint16) uint16 {
	if u < 0x80 {
		if u >= 'a' && u <= 'z' {
			return u - 'a' + 'A'
		}
		return u
	}
	if r := unicode.ToUpper(rune(u)); r <= 0xffff && !utf16.IsSurrogate(rune(u)) {
		return uint16(r)
	}
	return u
}

// key is equal for names that find each other.
func key(name string) string {
	u := utf16.Encode([]rune(name))
	for i := range u {
		u[i] = upper(u[i])
	}
	return string(utf16.Decode(u))
}

// The numbers of [MS-CFB] 2.1 and 2.2.
const (
	headerSize   = 512
	entrySize    = 128
	miniSize     = 64
	miniCutoff   = 4096 // smaller streams live in the mini stream
	headerDIFAT  = 109
	difSector    = 0xfffffffc
	fatSector    = 0xfffffffd
	endOfChain   = 0xfffffffe
	free         = 0xffffffff // of a sector
	none         = 0xffffffff // of an entry
	maxRegular   = 0xfffffffa
	typeStorage  = 1
	typeStream   = 2
	typeRoot     = 5
	maxNameUnits = 31
)

const magic = "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

const (
	// maxEntries bounds the directory that is kept in memory: 8 MiB. A workbook
	// with a hundred embedded documents has some thousand entries.
	maxEntries = 65536
	// maxDepth is of storages in storages. A mail in a mail takes two, and more
	// than a dozen were never seen.
	maxDepth = 64
	// maxOverlap is how many times the file its streams may be together.
	maxOverlap = 4
)
