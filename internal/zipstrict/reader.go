// Package zipstrict reads ZIP archives in which every reader sees the same
// files, and writes new ones that are always laid out the same way.
//
// A ZIP says most things twice: in the header before each member and in the
// directory at the end. Which of the two a program believes, whether it looks
// for the directory from the front or from the back, and what it makes of two
// members of one name differs from program to program, and mail filters were
// passed by exactly that. This reader therefore accepts an archive only if
// nothing in it can be read in two ways: one end of directory, every byte
// accounted for once, both headers equal, no two names that any file system
// would take for one. What it refuses, and by which error, is the first
// paragraph of Open.
//
// It opens nothing inside a member and decides nothing about kinds; that is
// for the callers, who charge what they read to the budget of the message.
package zipstrict

import (
	"bufio"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"slices"
)

// The errors of this package. Callers branch on them with errors.Is.
var (
	ErrAmbiguous   = errors.New("two readers could see two archives")
	ErrMalformed   = errors.New("malformed archive")
	ErrLimit       = errors.New("archive over a limit")
	ErrEncrypted   = errors.New("encrypted archive")
	ErrUnsupported = errors.New("compression method not supported")
)

// Limits bounds what Open accepts.
type Limits struct {
	Entries int // members, directories included; zero allows none
}

// Trick says why the name or type of a member must never become a file. The
// zero value means there is nothing to say against it.
type Trick string

// The tricks.
const (
	Traversal Trick = "path leads out of the archive"
	Absolute  Trick = "absolute path"
	Drive     Trick = "drive letter or stream in the name" // a colon: C:, or an NTFS stream
	Control   Trick = "control character in the name"
	Backslash Trick = "backslash in the name"
	EmptyPart Trick = "empty or dot segment in the name"
	Link      Trick = "symbolic link"
	Device    Trick = "device, pipe or socket"
)

// File is one member.
type File struct {
	Name    string // decoded, slashes only, no leading slash; ends in "/" for a directory
	RawName []byte // as it stands in the archive
	Flags   uint16
	Method  uint16
	CRC     uint32
	Size    int64 // as both headers say; reading checks it
	Packed  int64
	Mode    fs.FileMode
	IsDir   bool
	Trick   Trick

	header int64 // where its local header stands
	data   int64 // where its packed bytes stand
	r      io.ReaderAt
}

// Encrypted reports whether the member is.
func (f *File) Encrypted() bool { return f.Flags&(flagEncrypted|flagStrong|flagMasked) != 0 }

// Reader is an archive whose structure was found to be unambiguous.
type Reader struct {
	Files   []File // in the order of the directory
	Comment bool   // it had a comment, which nothing keeps
}

const (
	sigLocal      = 0x04034b50
	sigDirectory  = 0x02014b50
	sigDescriptor = 0x08074b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator    = 0x07064b50

	lenLocal     = 30
	lenDirectory = 46
	lenEnd       = 22
	lenEnd64     = 56
	lenLocator   = 20

	flagEncrypted  = 1 << 0
	flagEffort     = 3 << 1
	flagDescriptor = 1 << 3
	flagPatch      = 1 << 5
	flagStrong     = 1 << 6
	flagUTF8       = 1 << 11
	flagMasked     = 1 << 13

	methodStore   = 0
	methodDeflate = 8

	// A name is at most what Linux calls a path; longer ones are an attack.
	maxName = 4096
	// DEFLATE cannot expand further (one bit for 258 bytes, less overhead).
	maxRatio = 1032
)

var le = binary.LittleEndian

// Open checks the whole structure of the archive in the size bytes of r. The
// error says what kind of fault it is:
//
//   - ErrAmbiguous: a reader from the front, one from the back, or one that
//     believes other headers could see other files. Bytes before, after (but
//     for one line break) or between members; a second end of directory or any ZIP signature in the
//     comment; headers that disagree; overlaps; equal or colliding names.
//   - ErrMalformed: not an archive, or one that breaks the format.
//   - ErrUnsupported: a member packed by another method than store or deflate.
//   - ErrLimit: more members than allowed.
//   - ErrEncrypted: sound, but at least one member is encrypted. Only in this
//     case the Reader is returned too, so that a notice can name the members.
//
// Bad names and links do not refuse the archive; File.Trick tells them.
func Open(r io.ReaderAt, size int64, l Limits) (*Reader, error) {
	end, err := readEnd(r, size)
	if err != nil {
		return nil, err
	}
	z := &Reader{Comment: end.comment}
	if end.entries > int64(l.Entries) {
		return nil, fmt.Errorf("%d members: %w", end.entries, ErrLimit)
	}
	if err := z.readDirectory(r, end); err != nil {
		return nil, err
	}
	if err := z.checkNames(); err != nil {
		return nil, err
	}
	if err := z.checkLayout(r, end.directory); err != nil {
		return nil, err
	}
	encrypted := false
	for i := range z.Files {
		f := &z.Files[i]
		if f.Encrypted() {
			encrypted = true
			continue
		}
		if f.Method != methodStore && f.Method != methodDeflate {
			return nil, fmt.Errorf("%q packed by method %d: %w", f.Name, f.Method, ErrUnsupported)
		}
		if f.Method == methodStore && f.Size != f.Packed {
			return nil, fmt.Errorf("%q stored, of two sizes: %w", f.Name, ErrAmbiguous)
		}
		if f.Method == methodDeflate && f.Size/maxRatio > f.Packed {
			return nil, fmt.Errorf("%q of impossible size: %w", f.Name, ErrMalformed)
		}
	}
	if encrypted {
		return z, ErrEncrypted
	}
	return z, nil
}

// end is what the end of the archive says.
type end struct {
	entries   int64
	directory int64 // offset
	length    int64 // of the directory
	comment   bool
}

// readEnd finds the one end-of-directory record. APPNOTE 4.3.14 to 4.3.16.
func readEnd(r io.ReaderAt, size int64) (end, error) {
	if size < lenEnd {
		return end{}, fmt.Errorf("%d bytes: %w", size, ErrMalformed)
	}
	tail := make([]byte, min(size, lenEnd+0xFFFF))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return end{}, fmt.Errorf("read end of archive: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < lenEnd {
		return end{}, fmt.Errorf("no end of directory: %w", ErrMalformed)
	}
	e := tail[at:]
	// QUIRK: programs that move files about add a line break. Whoever finds an
	// archive in front of it finds this one.
	behind := 0
	if bare := e[lenEnd:]; le.Uint16(e[20:]) == 0 && (string(bare) == "\n" || string(bare) == "\r\n") {
		behind = len(bare)
		e, tail, size = e[:lenEnd], tail[:at+lenEnd], size-int64(behind)
	}
	if n := int(le.Uint16(e[20:])); n != len(e)-lenEnd {
		// The last record of that look does not end the file: bytes after it, or a
		// record inside the comment of another. CVE-2024-24789.
		return end{}, fmt.Errorf("end of directory does not end the archive: %w", ErrAmbiguous)
	}
	for _, sig := range []string{"PK\x01\x02", "PK\x03\x04", "PK\x06\x06", "PK\x06\x07", "PK\x07\x08"} {
		if bytes.Contains(e[lenEnd:], []byte(sig)) {
			return end{}, fmt.Errorf("a ZIP record in the comment: %w", ErrAmbiguous)
		}
	}
	// A comment of a record further in front could reach over this one.
	for p := at; ; {
		p = bytes.LastIndex(tail[:p], []byte("PK\x05\x06"))
		if p < 0 {
			break
		}
		if p+lenEnd > len(tail) {
			continue
		}
		if reach := p + lenEnd + int(le.Uint16(tail[p+20:])); reach >= len(tail) && reach <= len(tail)+behind {
			return end{}, fmt.Errorf("two ends of directory: %w", ErrAmbiguous)
		}
	}
	if le.Uint16(e[4:]) != 0 || le.Uint16(e[6:]) != 0 {
		if le.Uint16(e[4:]) != 0xFFFF || le.Uint16(e[6:]) != 0xFFFF {
			return end{}, fmt.Errorf("archive of several disks: %w", ErrMalformed)
		}
	}
	if le.Uint16(e[8:]) != le.Uint16(e[10:]) {
		return end{}, fmt.Errorf("two counts of members: %w", ErrAmbiguous)
	}
	out := end{
		entries:   int64(le.Uint16(e[10:])),
		length:    int64(le.Uint32(e[12:])),
		directory: int64(le.Uint32(e[16:])),
		comment:   len(e) > lenEnd,
	}
	start := size - int64(len(e)) // of the record
	saturated := out.entries == 0xFFFF || out.length == 0xFFFFFFFF || out.directory == 0xFFFFFFFF || le.Uint16(e[4:]) == 0xFFFF

	loc := make([]byte, lenLocator)
	if start >= lenLocator {
		if _, err := r.ReadAt(loc, start-lenLocator); err != nil {
			return end{}, fmt.Errorf("read end of archive: %w", err)
		}
	}
	if le.Uint32(loc) == sigLocator {
		var err error
		if start, err = readEnd64(r, start-lenLocator, loc, &out); err != nil {
			return end{}, err
		}
	} else if saturated {
		return end{}, fmt.Errorf("ZIP64 end of directory missing: %w", ErrMalformed)
	}
	if out.directory+out.length != start { // both below 2^63/2: readEnd64 bounds them
		return end{}, fmt.Errorf("directory does not end where its end begins: %w", ErrAmbiguous)
	}
	// The smallest header is 46 bytes; the count is the attacker's.
	if out.entries*lenDirectory > out.length {
		return end{}, fmt.Errorf("directory shorter than its members: %w", ErrMalformed)
	}
	return out, nil
}

// readEnd64 reads the ZIP64 end, which must stand right before its locator,
// and returns where it starts.
func readEnd64(r io.ReaderAt, locator int64, loc []byte, out *end) (int64, error) {
	start := locator - lenEnd64
	if start < 0 || le.Uint32(loc[4:]) != 0 || le.Uint64(loc[8:]) != uint64(start) || le.Uint32(loc[16:]) > 1 {
		return 0, fmt.Errorf("ZIP64 locator points elsewhere: %w", ErrAmbiguous)
	}
	b := make([]byte, lenEnd64)
	if _, err := r.ReadAt(b, start); err != nil {
		return 0, fmt.Errorf("read ZIP64 end: %w", err)
	}
	if le.Uint32(b) != sigEnd64 || le.Uint64(b[4:]) != lenEnd64-12 || le.Uint32(b[16:]) != 0 || le.Uint32(b[20:]) != 0 {
		return 0, fmt.Errorf("ZIP64 end of directory: %w", ErrMalformed)
	}
	if le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		return 0, fmt.Errorf("two counts of members: %w", ErrAmbiguous)
	}
	// Whoever does not know ZIP64 believes the old fields, so they must say the
	// same wherever they say anything.
	for _, v := range []struct {
		old  *int64
		none int64
		now  uint64
	}{{&out.entries, 0xFFFF, le.Uint64(b[32:])}, {&out.length, 0xFFFFFFFF, le.Uint64(b[40:])}, {&out.directory, 0xFFFFFFFF, le.Uint64(b[48:])}} {
		if v.now > uint64(start) { // also bounds all sums
			return 0, fmt.Errorf("ZIP64 end of directory: %w", ErrMalformed)
		}
		if *v.old != v.none && *v.old != int64(v.now) {
			return 0, fmt.Errorf("ZIP64 end contradicts the old one: %w", ErrAmbiguous)
		}
		*v.old = int64(v.now)
	}
	return start, nil
}

func (z *Reader) readDirectory(r io.ReaderAt, e end) error {
	br := bufio.NewReaderSize(io.NewSectionReader(r, e.directory, e.length), 32<<10)
	var h [lenDirectory]byte
	var rest []byte
	left := e.length
	for range e.entries {
		if left < lenDirectory {
			return fmt.Errorf("directory ends early: %w", ErrMalformed)
		}
		if _, err := io.ReadFull(br, h[:]); err != nil {
			return fmt.Errorf("read directory: %w", err)
		}
		if le.Uint32(h[:]) != sigDirectory {
			return fmt.Errorf("directory holds something else: %w", ErrMalformed)
		}
		nameLen, extraLen, commentLen := int(le.Uint16(h[28:])), int(le.Uint16(h[30:])), int(le.Uint16(h[32:]))
		n := nameLen + extraLen + commentLen
		if left -= lenDirectory + int64(n); left < 0 {
			return fmt.Errorf("directory ends early: %w", ErrMalformed)
		}
		if nameLen > maxName {
			return fmt.Errorf("name of %d bytes: %w", nameLen, ErrLimit)
		}
		rest = slices.Grow(rest[:0], n)[:n]
		if _, err := io.ReadFull(br, rest); err != nil {
			return fmt.Errorf("read directory: %w", err)
		}
		if le.Uint16(h[34:]) != 0 {
			return fmt.Errorf("member on another disk: %w", ErrMalformed)
		}
		f := File{
			RawName: slices.Clone(rest[:nameLen]),
			Flags:   le.Uint16(h[8:]),
			Method:  le.Uint16(h[10:]),
			CRC:     le.Uint32(h[16:]),
			r:       r,
		}
		extra := rest[nameLen : nameLen+extraLen]
		v := []uint64{uint64(le.Uint32(h[24:])), uint64(le.Uint32(h[20:])), uint64(le.Uint32(h[42:]))}
		if err := apply64(extra, v, false, false); err != nil {
			return fmt.Errorf("%q: %w", f.RawName, err)
		}
		f.Size, f.Packed, f.header = int64(v[0]), int64(v[1]), int64(v[2])
		if v[0] >= 1<<62 || f.Packed > e.directory || f.header > e.directory || f.Packed < 0 || f.header < 0 {
			return fmt.Errorf("%q lies outside the archive: %w", f.RawName, ErrMalformed)
		}
		if f.Flags&flagPatch != 0 {
			return fmt.Errorf("%q is a patch: %w", f.RawName, ErrUnsupported)
		}
		f.Mode = mode(h[5], le.Uint32(h[38:]))
		if err := f.decodeName(extra); err != nil {
			return err
		}
		z.Files = append(z.Files, f)
	}
	if left != 0 {
		return fmt.Errorf("bytes after the directory's last member: %w", ErrAmbiguous)
	}
	return nil
}

// apply64 replaces the saturated values of v by those of the ZIP64 field.
// APPNOTE 4.5.3. A field beside values that are not saturated must repeat them:
// some programs read it always, others never.
func apply64(extra []byte, v []uint64, local, streamed bool) error {
	field, found := []byte(nil), false
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			break // padding; seen from alignment tools
		}
		if id == 1 {
			if found {
				return fmt.Errorf("two ZIP64 fields: %w", ErrAmbiguous)
			}
			field, found = extra[4:4+n], true
		}
		extra = extra[4+n:]
	}
	need := 0
	for _, x := range v {
		if x == 0xFFFFFFFF {
			need++
		}
	}
	if !found {
		if need > 0 {
			return fmt.Errorf("ZIP64 field missing: %w", ErrMalformed)
		}
		return nil
	}
	if local && need > 0 && len(field) < 16 {
		return fmt.Errorf("short ZIP64 field: %w", ErrMalformed) // APPNOTE: both sizes or none
	}
	// Readings differ in whether an unsaturated value takes its place in the
	// field; only a field that reads the same both ways is accepted.
	if len(field) >= 8*len(v) || local && len(field) >= 16 {
		for i := range v {
			if len(field) < 8*(i+1) {
				break
			}
			x := le.Uint64(field[8*i:])
			if v[i] != 0xFFFFFFFF && v[i] != x && !(streamed && v[i] == 0) && !(local && x == 0) {
				return fmt.Errorf("ZIP64 field contradicts the header: %w", ErrAmbiguous)
			}
			if x == 0 && v[i] != 0xFFFFFFFF {
				continue // QUIRK: room kept for a size that then did not need it
			}
			v[i] = x
		}
		return nil
	}
	for i := range v {
		if v[i] != 0xFFFFFFFF {
			continue
		}
		if len(field) < 8 {
			return fmt.Errorf("short ZIP64 field: %w", ErrMalformed)
		}
		v[i] = le.Uint64(field)
		field = field[8:]
	}
	if need == 0 && len(field) >= 8 {
		// One or two values beside a header that needs none.
		for i := 0; len(field) >= 8 && i < len(v); i++ {
			if le.Uint64(field) != v[i] {
				return fmt.Errorf("ZIP64 field contradicts the header: %w", ErrAmbiguous)
			}
			field = field[8:]
		}
	}
	if need > 0 && len(field) >= 8 {
		return fmt.Errorf("ZIP64 field with values to spare: %w", ErrAmbiguous)
	}
	return nil
}

// mode reads the Unix or DOS attributes of a member.
func mode(madeBy byte, attr uint32) fs.FileMode {
	const (
		unix  = 3
		macOS = 19
	)
	dos := fs.FileMode(0)
	if attr&0x10 != 0 {
		dos = fs.ModeDir
	}
	// Programs that write Unix modes do not always say that they are Unix, and
	// programs that honour links do not always ask.
	if madeBy != unix && madeBy != macOS && attr>>16 == 0 {
		return dos
	}
	switch attr >> 28 { // S_IFMT
	case 0xA:
		return fs.ModeSymlink
	case 0x4:
		return fs.ModeDir
	case 0x2:
		return fs.ModeDevice | fs.ModeCharDevice
	case 0x6:
		return fs.ModeDevice
	case 0x1:
		return fs.ModeNamedPipe
	case 0xC:
		return fs.ModeSocket
	default:
		return dos
	}
}

// checkLayout walks the members in the order in which they stand and proves
// that they cover the archive without gap and overlap up to its directory.
func (z *Reader) checkLayout(r io.ReaderAt, directory int64) error {
	order := make([]*File, len(z.Files))
	for i := range z.Files {
		order[i] = &z.Files[i]
	}
	slices.SortFunc(order, func(a, b *File) int {
		switch {
		case a.header < b.header:
			return -1
		case a.header > b.header:
			return 1
		default:
			return 0
		}
	})
	at := int64(0)
	buf := make([]byte, lenLocal+512)
	for i, f := range order {
		if f.header != at {
			if f.header > at {
				return fmt.Errorf("bytes before %q that no member owns: %w", f.Name, ErrAmbiguous)
			}
			return fmt.Errorf("%q overlaps another member: %w", f.Name, ErrAmbiguous)
		}
		next := directory
		if i+1 < len(order) {
			next = order[i+1].header
		}
		var err error
		if at, err = f.checkLocal(r, next, buf); err != nil {
			return err
		}
	}
	if at != directory {
		return fmt.Errorf("bytes before the directory that no member owns: %w", ErrAmbiguous)
	}
	return nil
}

// checkLocal compares the local header and descriptor of f with the directory
// and returns where the member ends; next is where it must end.
func (f *File) checkLocal(r io.ReaderAt, next int64, buf []byte) (int64, error) {
	room := next - f.header
	if room < lenLocal {
		return 0, fmt.Errorf("%q has no room for its header: %w", f.Name, ErrAmbiguous)
	}
	b := buf[:min(int64(len(buf)), room)]
	if _, err := r.ReadAt(b, f.header); err != nil && err != io.EOF {
		return 0, fmt.Errorf("read header of %q: %w", f.Name, err)
	}
	if le.Uint32(b) != sigLocal {
		return 0, fmt.Errorf("%q has no local header: %w", f.Name, ErrMalformed)
	}
	nameLen, extraLen := int64(le.Uint16(b[26:])), int64(le.Uint16(b[28:]))
	head := lenLocal + nameLen + extraLen
	if head > room || f.Packed > room-head {
		return 0, fmt.Errorf("%q overlaps the next member: %w", f.Name, ErrAmbiguous)
	}
	if head > int64(len(b)) {
		b = make([]byte, head)
		if _, err := r.ReadAt(b, f.header); err != nil {
			return 0, fmt.Errorf("read header of %q: %w", f.Name, err)
		}
	}
	if !bytes.Equal(b[lenLocal:lenLocal+nameLen], f.RawName) {
		return 0, fmt.Errorf("%q has another name in its own header: %w", f.Name, ErrAmbiguous)
	}
	// Flags that change nothing may differ: how hard the packer tried, and the
	// encoding of a name that is the same in all.
	passive := uint16(flagEffort)
	if isASCII(f.RawName) {
		passive |= flagUTF8
	}
	if (le.Uint16(b[6:])^f.Flags)&^passive != 0 || le.Uint16(b[8:]) != f.Method {
		return 0, fmt.Errorf("%q has other flags or another method in its own header: %w", f.Name, ErrAmbiguous)
	}
	extra := b[lenLocal+nameLen : head]
	crc, v := le.Uint32(b[14:]), []uint64{uint64(le.Uint32(b[22:])), uint64(le.Uint32(b[18:]))}
	// QUIRK: with a descriptor to follow the three may be zero; some programs
	// go back and fill them in, some fill in only the CRC or the sizes.
	streamed := f.Flags&flagDescriptor != 0
	if err := apply64(extra, v, true, streamed); err != nil {
		return 0, fmt.Errorf("%q: %w", f.Name, err)
	}
	if err := f.checkLocalName(extra); err != nil {
		return 0, err
	}
	same := crc == f.CRC && v[0] == uint64(f.Size) && v[1] == uint64(f.Packed)
	if streamed {
		same = (crc == f.CRC || crc == 0) && (v[0] == uint64(f.Size) || v[0] == 0) && (v[1] == uint64(f.Packed) || v[1] == 0)
	}
	if !same {
		return 0, fmt.Errorf("%q has another size or checksum in its own header: %w", f.Name, ErrAmbiguous)
	}
	f.data = f.header + head
	end := f.data + f.Packed
	if !streamed {
		return end, nil
	}
	if f.Method == methodStore && v[1] != uint64(f.Packed) && f.Packed > 0 && !f.Encrypted() {
		// Whoever reads from the front looks for the signature that ends it.
		if found, err := f.holdsSignature(r); err != nil {
			return 0, err
		} else if found {
			return 0, fmt.Errorf("%q stored without a size before it: %w", f.Name, ErrAmbiguous)
		}
	}
	return f.checkDescriptor(r, end, next)
}

// holdsSignature reports whether a ZIP signature stands in the packed bytes.
func (f *File) holdsSignature(r io.ReaderAt) (bool, error) {
	br := bufio.NewReader(io.NewSectionReader(r, f.data, f.Packed))
	var last uint32
	for {
		b, err := br.ReadByte()
		if err == io.EOF {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("read %q: %w", f.Name, err)
		}
		last = last>>8 | uint32(b)<<24
		switch last {
		case sigLocal, sigDirectory, sigDescriptor, sigEnd, sigEnd64:
			return true, nil
		}
	}
}

// checkDescriptor compares the descriptor after the data, in its four forms.
// APPNOTE 4.3.9: with and without signature, of 32 and of 64 bits.
func (f *File) checkDescriptor(r io.ReaderAt, end, next int64) (int64, error) {
	n := next - end
	if n == 0 && f.Packed == 0 {
		return end, nil // QUIRK: directories flagged as streamed, without a descriptor
	}
	if n != 12 && n != 16 && n != 20 && n != 24 {
		return 0, fmt.Errorf("%q is not followed by its descriptor: %w", f.Name, ErrAmbiguous)
	}
	d := make([]byte, n)
	if _, err := r.ReadAt(d, end); err != nil {
		return 0, fmt.Errorf("read descriptor of %q: %w", f.Name, err)
	}
	if n == 16 || n == 24 {
		if le.Uint32(d) != sigDescriptor {
			return 0, fmt.Errorf("%q is not followed by its descriptor: %w", f.Name, ErrAmbiguous)
		}
		d = d[4:]
	}
	var size, packed uint64
	if len(d) == 12 {
		packed, size = uint64(le.Uint32(d[4:])), uint64(le.Uint32(d[8:]))
	} else {
		packed, size = le.Uint64(d[4:]), le.Uint64(d[12:])
	}
	if le.Uint32(d) != f.CRC || packed != uint64(f.Packed) || size != uint64(f.Size) {
		return 0, fmt.Errorf("%q contradicts its descriptor: %w", f.Name, ErrAmbiguous)
	}
	return next, nil
}

// Open returns a reader of the member's content, charged through meter when it
// is not nil. It gives exactly Size bytes or an error: ErrMalformed when the
// content is not what the headers promised, which is told at the end, so
// nothing may be used before the reader said io.EOF.
func (f *File) Open(meter func(io.Reader) io.Reader) (io.Reader, error) {
	if f.Encrypted() {
		return nil, fmt.Errorf("%q: %w", f.Name, ErrEncrypted)
	}
	packed := &section{r: io.NewSectionReader(f.r, f.data, f.Packed)}
	c := &content{f: f, packed: packed, hash: crc32.NewIEEE()}
	switch {
	case f.Method == methodStore, f.Packed == 0 && f.Size == 0: // QUIRK: empty and "deflated" to nothing
		c.r = packed
	case f.Method == methodDeflate:
		c.r = flate.NewReader(packed)
	default:
		return nil, fmt.Errorf("%q packed by method %d: %w", f.Name, f.Method, ErrUnsupported)
	}
	if meter != nil {
		return meter(c), nil
	}
	return c, nil
}

// section gives bytes one at a time as flate wants them, so that it takes no
// more than it needs and what is left over shows.
type section struct {
	r    *io.SectionReader
	buf  [4096]byte
	p, n int
}

func (s *section) fill() error {
	n, err := s.r.Read(s.buf[:])
	s.p, s.n = 0, n
	if n > 0 {
		return nil
	}
	return err
}

func (s *section) ReadByte() (byte, error) {
	if s.p == s.n {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	s.p++
	return s.buf[s.p-1], nil
}

func (s *section) Read(b []byte) (int, error) {
	if s.p == s.n {
		if err := s.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(b, s.buf[s.p:s.n])
	s.p += n
	return n, nil
}

func (s *section) exhausted() bool {
	if s.p < s.n {
		return false
	}
	return s.fill() == io.EOF
}

// content checks size and checksum while it is read.
type content struct {
	f      *File
	packed *section
	r      io.Reader
	hash   hash.Hash32
	n      int64
	err    error
}

func (c *content) Read(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.r.Read(b)
	c.n += int64(n)
	switch {
	case c.n > c.f.Size:
		c.err = fmt.Errorf("%q is larger than it says: %w", c.f.Name, ErrMalformed)
		return 0, c.err
	case err == io.EOF:
		c.hash.Write(b[:n])
		c.err = c.finish()
		if n > 0 && c.err == io.EOF {
			return n, nil
		}
		return n, c.err
	case err != nil:
		c.err = fmt.Errorf("unpack %q: %w (%w)", c.f.Name, ErrMalformed, err)
		return 0, c.err
	}
	c.hash.Write(b[:n])
	return n, nil
}

func (c *content) finish() error {
	switch {
	case c.n != c.f.Size:
		return fmt.Errorf("%q is smaller than it says: %w", c.f.Name, ErrMalformed)
	case c.hash.Sum32() != c.f.CRC:
		return fmt.Errorf("%q has another checksum: %w", c.f.Name, ErrMalformed)
	case !c.packed.exhausted():
		// A second reader might go on where DEFLATE ended.
		return fmt.Errorf("%q ends before its packed bytes do: %w", c.f.Name, ErrAmbiguous)
	default:
		return io.EOF
	}
}
