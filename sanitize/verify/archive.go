package verify

import (
	"archive/zip"
	"bufio"
	"bytes"
	"compress/flate"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path"
	"strings"

	"sekisho/sanitize"
)

// checkZIP looks at an archive member by member: each is a file that might be
// attached to a mail by itself, and the archive is laid out in the one way the
// gateway writes.
func checkZIP(ctx context.Context, s *sanitize.Session, where string, b octets) error {
	undo, err := s.Deeper()
	if err != nil {
		return err
	}
	defer undo()
	names, err := layout(where, b)
	if err != nil {
		return err
	}
	if len(names) > s.Options.Limits.Entries {
		return notAllowed(where, "ZIP: %d members", len(names))
	}
	z, err := zip.NewReader(b, b.size)
	if err != nil {
		return notAllowed(where, "ZIP: %v", err)
	}
	if len(z.File) != len(names) {
		return notAllowed(where, "ZIP: %d members, %d of them listed", len(names), len(z.File))
	}
	seen := map[string]bool{}
	for i, f := range z.File {
		at := fmt.Sprintf("%s/%d", where, i+1)
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.Name != names[i] || f.Comment != "" || f.ExternalAttrs != 0 || f.CreatorVersion>>8 != 0 || len(f.Extra) > 0 {
			return notAllowed(at, "ZIP: name or attributes")
		}
		k, err := memberKind(at, f.Name)
		if err != nil {
			return err
		}
		folded := strings.ToLower(f.Name)
		if seen[folded] {
			return notAllowed(at, "ZIP: a name twice")
		}
		seen[folded] = true
		for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return notAllowed(at, "ZIP: a file in a file")
			}
		}
		if err := checkMember(ctx, s, at, k, b, f); err != nil {
			return err
		}
	}
	return nil
}

func checkMember(ctx context.Context, s *sanitize.Session, at string, k sanitize.Kind, archive octets, f *zip.File) error {
	r, err := unpack(at, archive, f)
	if err != nil {
		return err
	}
	switch k {
	case sanitize.KindText, sanitize.KindCSV, sanitize.KindTSV:
		// However long it is, it need not be kept.
		return plainText(at, bounded(s, r))
	}
	b, err := read(s, r)
	if err != nil {
		return notAllowed(at, "%v", err)
	}
	return content(ctx, s, at, k, b)
}

// octets are those of a file, which need not be in memory.
type octets struct {
	io.ReaderAt
	size int64
}

func inMemory(b []byte) octets { return octets{bytes.NewReader(b), int64(len(b))} }

// piece reads n octets, or none if there are less.
func (o octets) piece(at, n int64) []byte {
	if at < 0 || n < 0 || n > o.size || at > o.size-n {
		return nil
	}
	b := make([]byte, n)
	if k, err := o.ReadAt(b, at); int64(k) < n || err != nil && err != io.EOF {
		return nil
	}
	return b
}

// unpacked reads a member. At its end it compares the checksum and the size, and
// wants every octet that is packed to have been read: behind the end of what
// inflates, something could be carried that no reader shows.
type unpacked struct {
	at   string
	f    *zip.File
	raw  *bufio.Reader
	rest *io.SectionReader // of the octets that are packed, behind those in raw
	r    io.Reader
	sum  uint32
	n    uint64
}

func unpack(at string, archive octets, f *zip.File) (*unpacked, error) {
	from, err := f.DataOffset()
	if packed := int64(f.CompressedSize64); err != nil || packed < 0 || packed > archive.size || from > archive.size-packed {
		return nil, notAllowed(at, "ZIP: place of a member: %v", err)
	}
	rest := io.NewSectionReader(archive, from, int64(f.CompressedSize64))
	u := &unpacked{at: at, f: f, rest: rest, raw: bufio.NewReaderSize(rest, int(min(rest.Size()+16, 16<<10)))}
	u.r = u.raw
	if f.Method == zip.Deflate {
		// It takes octet by octet from a reader that gives single ones.
		u.r = flate.NewReader(u.raw)
	}
	return u, nil
}

// left is how many of the octets that are packed nobody took.
func (u *unpacked) left() int64 {
	at, err := u.rest.Seek(0, io.SeekCurrent)
	if err != nil {
		return 1
	}
	return u.rest.Size() - at + int64(u.raw.Buffered())
}

func (u *unpacked) Read(p []byte) (int, error) {
	n, err := u.r.Read(p)
	u.sum = crc32.Update(u.sum, crc32.IEEETable, p[:n])
	u.n += uint64(n)
	switch {
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		return 0, notAllowed(u.at, "ZIP: %v", err)
	case u.left() != 0 || u.sum != u.f.CRC32 || u.n != u.f.UncompressedSize64:
		return 0, notAllowed(u.at, "ZIP: a member of another checksum or size")
	default:
		return n, io.EOF
	}
}

// memberKind is the kind that the name of a member promises. Every segment of
// the name must be one that a file may have.
func memberKind(at, name string) (sanitize.Kind, error) {
	for _, segment := range strings.Split(name, "/") {
		if segment == "" || strings.Trim(segment, ". ") != segment || len(segment) > 255 || strings.ContainsAny(segment, "\\:*?\"<>|\r\n\t") {
			return "", notAllowed(at, "ZIP: characters of a name")
		}
		if err := plainText(at, strings.NewReader(segment)); err != nil {
			return "", err
		}
	}
	ext := extension(path.Base(name))
	for _, k := range append(written(), sanitize.KindMessage) {
		for _, e := range k.Extensions() {
			if e == ext {
				return k, nil
			}
		}
	}
	return "", notAllowed(at, "ZIP: extension %q is never written", ext)
}

// layout looks at the octets of an archive: members one behind the other, then
// the directory, which says of each what stands before it and where, then its
// end, and nothing anywhere else. So whoever reads from the front sees what is
// read here by the directory. It returns the names.
func layout(where string, b octets) ([]string, error) {
	le := binary.LittleEndian
	const lenLocal, lenDirectory, lenEnd, lenDescriptor = 30, 46, 22, 16
	const largest = 16 << 20 // a directory of 5,000 members with the longest names has less
	from := b.size - lenEnd
	e := b.piece(from, lenEnd)
	if e == nil {
		return nil, notAllowed(where, "ZIP: %d octets", b.size)
	}
	count, length, start := int(le.Uint16(e[10:])), int64(le.Uint32(e[12:])), int64(le.Uint32(e[16:]))
	if string(e[:4]) != "PK\x05\x06" || le.Uint32(e[4:]) != 0 || int(le.Uint16(e[8:])) != count || le.Uint16(e[20:]) != 0 || start > from || length != from-start {
		return nil, notAllowed(where, "ZIP: end of directory")
	}
	if length > largest {
		return nil, notAllowed(where, "ZIP: a directory of %d octets", length)
	}
	directory := b.piece(start, length)
	if directory == nil && length > 0 {
		return nil, notAllowed(where, "ZIP: its directory is not there")
	}
	var names []string
	at := int64(0) // before start
	for n := range count {
		h := directory
		if len(h) < lenDirectory || string(h[:4]) != "PK\x01\x02" || len(h) < lenDirectory+int(le.Uint16(h[28:])) {
			return nil, notAllowed(where, "ZIP: member %d is not listed", n+1)
		}
		flags, method, date := le.Uint16(h[8:]), le.Uint16(h[10:]), le.Uint32(h[12:])
		packed, size, name := int64(le.Uint32(h[20:])), int64(le.Uint32(h[24:])), int(le.Uint16(h[28:]))
		// 0x800: UTF-8; 8: checksum and sizes stand behind.
		if flags != 0x800 && flags != 0x808 || method != 0 && method != 8 || method == 0 && (packed != size || flags != 0x800) || date != 1<<21|1<<16 || name == 0 {
			return nil, notAllowed(where, "ZIP: member %d", n+1)
		}
		// By whom it was made, a second name, a comment, a disk, attributes.
		if h[5] != 0 || le.Uint32(h[30:]) != 0 || le.Uint64(h[34:]) != 0 || int64(le.Uint32(h[42:])) != at {
			return nil, notAllowed(where, "ZIP: place or attributes of member %d", n+1)
		}
		l := b.piece(at, int64(lenLocal+name))
		if l == nil || packed > start-at-int64(lenLocal+name) || string(l[:4]) != "PK\x03\x04" || string(l[lenLocal:lenLocal+name]) != string(h[lenDirectory:lenDirectory+name]) {
			return nil, notAllowed(where, "ZIP: member %d is listed as another", n+1)
		}
		// From the version that is needed to the lengths of the names, both say
		// the same, but what stands behind the content.
		sums := h[16:28]
		if flags == 0x808 {
			sums = make([]byte, 12)
		}
		if !bytes.Equal(l[4:14], h[6:16]) || !bytes.Equal(l[14:26], sums) || !bytes.Equal(l[26:30], h[28:32]) {
			return nil, notAllowed(where, "ZIP: header of member %d says something else", n+1)
		}
		at += int64(lenLocal+name) + packed
		if flags == 0x808 {
			d := b.piece(at, lenDescriptor)
			if d == nil || at > start-lenDescriptor || string(d[:4]) != "PK\x07\x08" || !bytes.Equal(d[4:lenDescriptor], h[16:28]) {
				return nil, notAllowed(where, "ZIP: sizes behind member %d", n+1)
			}
			at += lenDescriptor
		}
		names = append(names, string(h[lenDirectory:lenDirectory+name]))
		directory = h[lenDirectory+name:]
	}
	if at != start || len(directory) != 0 {
		return nil, notAllowed(where, "ZIP: octets that belong to no member")
	}
	return names, nil
}

// checkForwarded looks at a message that is inside of something.
func checkForwarded(ctx context.Context, s *sanitize.Session, where string, b []byte, depth int) error {
	undo, err := s.Deeper()
	if err != nil {
		return err
	}
	defer undo()
	return forwarded(ctx, s, where, b, depth)
}
