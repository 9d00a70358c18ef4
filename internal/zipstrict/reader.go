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
	"encoding/binary"
	"errors"
	"fmt"
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
