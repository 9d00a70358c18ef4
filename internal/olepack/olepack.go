// Package olepack finds the file that was packed into an OLE object: what a
// writer put into a document by "insert object, from a file", or another
// application's document. Sources: [MS-OLEDS] 2.3.6 for the stream; what is in it
// is the packager's own and is not published, so its layout here is what real
// files have.
//
// It finds octets and a name, and judges neither: both are the sender's.
package olepack

import (
	"bytes"
	"encoding/binary"
	"io"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"sekisho/internal/cfb"
	"sekisho/internal/charset"
)

// File is a file in an object.
type File struct {
	Name  string // as the sender named it, no path; empty when nothing names it
	Size  int64
	Bytes io.ReaderAt
}

const (
	// The label and the two paths; a path of Windows has 260 letters, a long one
	// 32,767.
	maxHead = 256 << 10
	maxName = 1000
	// maxWhole is how large a document may be that is put together in memory: more
	// than a mail brings.
	maxWhole = 32 << 20
)

// Find returns the file in the object whose storage is s, if it has one.
func Find(s *cfb.Storage) (File, bool) {
	if t := s.Stream("\x01Ole10Native"); t != nil {
		return stream(t)
	}
	// A document of Office as an object of an application that packs it whole, and
	// what Acrobat makes of a PDF.
	for _, name := range []string{"Package", "CONTENTS"} {
		if t := s.Stream(name); t != nil && t.Size > 0 {
			return File{Size: t.Size, Bytes: t}, true
		}
	}
	// A document of Office 97 to 2003 is the storage itself.
	for _, name := range []string{"Workbook", "Book", "WordDocument", "PowerPoint Document"} {
		if s.Stream(name) != nil {
			return whole(s)
		}
	}
	return File{}, false
}

// Object finds the file in the data of an object as rich text and the files of
// Windows 3 hold it. [MS-OLEDS] 2.2.5: version, what it is, three names, how long
// its own data are. Those are what the packager writes, or a compound file with
// the storage that other formats hold.
func Object(r io.ReaderAt, size int64) (File, bool) {
	head := make([]byte, min(size, maxHead))
	if n, err := r.ReadAt(head, 0); err != nil && err != io.EOF || n < len(head) || n < 12 {
		return File{}, false
	}
	const embedded = 2 // 1 is a link: the file is elsewhere
	if binary.LittleEndian.Uint32(head[4:]) != embedded {
		return File{}, false
	}
	var class string
	at := int64(8)
	for i := range 3 {
		if at+4 > int64(len(head)) {
			return File{}, false
		}
		n := int64(binary.LittleEndian.Uint32(head[at:]))
		if at += 4; n > int64(len(head))-at {
			return File{}, false
		}
		if i == 0 {
			class = strings.TrimRight(string(head[at:at+n]), "\x00")
		}
		at += n
	}
	if at+4 > int64(len(head)) {
		return File{}, false
	}
	n := int64(binary.LittleEndian.Uint32(head[at:]))
	if at += 4; n > size-at {
		return File{}, false
	}
	data := io.NewSectionReader(r, at, n)
	if strings.EqualFold(class, "Package") {
		return native(data, n, 0)
	}
	c, err := cfb.Open(data, n)
	if err != nil {
		return File{}, false
	}
	return Find(c.Root)
}

// whole makes a compound file of a storage.
func whole(s *cfb.Storage) (File, bool) {
	var total int64
	err := s.Walk(func(_ []string, in *cfb.Storage) error {
		for _, t := range in.Streams {
			total += t.Size
		}
		return nil
	})
	if err != nil || total > maxWhole {
		return File{}, false
	}
	var b bytes.Buffer
	if err := cfb.Write(&b, s); err != nil {
		return File{}, false
	}
	return File{Size: int64(b.Len()), Bytes: bytes.NewReader(b.Bytes())}, true
}

// stream reads the stream of the packager: a length, and what it packs.
func stream(t *cfb.Stream) (File, bool) {
	var n [4]byte
	if _, err := t.ReadAt(n[:], 0); err != nil && err != io.EOF {
		return File{}, false
	}
	if int64(binary.LittleEndian.Uint32(n[:]))+4 > t.Size {
		return File{}, false
	}
	return native(t, t.Size, 4)
}

// native reads what the packager packs, which begins at from in t: two octets,
// the label, the path from which the file came, what kind of object it is, the
// path to which it is unpacked, and the file; behind it the three texts in
// UTF-16.
func native(t io.ReaderAt, size, from int64) (File, bool) {
	head := make([]byte, min(size-from, maxHead))
	if n, err := t.ReadAt(head, from); err != nil && err != io.EOF || n < len(head) || n < 2 {
		return File{}, false
	}
	b, at := head[2:], from+2
	text := func() (string, bool) {
		n := bytes.IndexByte(b, 0)
		if n < 0 {
			return "", false
		}
		s := string(b[:n])
		b, at = b[n+1:], at+int64(n)+1
		return s, true
	}
	label, ok := text()
	if !ok {
		return File{}, false
	}
	source, ok := text()
	if !ok || len(b) < 8 {
		return File{}, false
	}
	kind := binary.LittleEndian.Uint32(b) >> 16
	n := int64(binary.LittleEndian.Uint32(b[4:]))
	const embedded = 3 // 1 is a link: the file is elsewhere
	if b, at = b[8:], at+8; kind != embedded || n > int64(len(b))-4 {
		return File{}, false
	}
	to := strings.TrimRight(string(b[:n]), "\x00")
	within := int64(binary.LittleEndian.Uint32(b[n:]))
	if at += n + 4; within > size-at || within == 0 {
		return File{}, false
	}
	f := File{Size: within, Bytes: io.NewSectionReader(t, at, within)}
	for _, s := range append(wide(t, size, at+within), label, source, to) {
		if s = base(s); s != "" {
			f.Name = s
			break
		}
	}
	return f, true
}

// wide reads the texts behind the file: where it is unpacked, the label, where it
// came from. The label comes first here.
func wide(t io.ReaderAt, size, at int64) []string {
	var texts []string
	for range 3 {
		var n [4]byte
		if _, err := t.ReadAt(n[:], at); err != nil && err != io.EOF || at+4 > size {
			break
		}
		octets := int64(binary.LittleEndian.Uint32(n[:])) * 2
		if at += 4; octets > maxHead || at+octets > size {
			break
		}
		raw := make([]byte, octets)
		if _, err := t.ReadAt(raw, at); err != nil && err != io.EOF {
			break
		}
		u := make([]uint16, 0, octets/2)
		for i := 0; i+1 < len(raw); i += 2 {
			u = append(u, binary.LittleEndian.Uint16(raw[i:]))
		}
		texts = append(texts, strings.TrimRight(string(utf16.Decode(u)), "\x00"))
		at += octets
	}
	if len(texts) > 1 {
		texts[0], texts[1] = texts[1], texts[0]
	}
	return texts
}

// base is the last name of a path. Texts without UTF-16 beside them are in the
// code page of the writer's machine, here a Japanese one.
func base(s string) string {
	if !utf8.ValidString(s) {
		s = charset.DecodeAs("shift_jis", []byte(s)).Text
	}
	if i := strings.LastIndexAny(s, `\/:`); i >= 0 {
		s = s[i+1:]
	}
	if len(s) > maxName {
		return ""
	}
	return strings.TrimSpace(s)
}
