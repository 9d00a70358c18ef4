package cfb

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sort"
	"unicode/utf16"
)

// File is an opened compound file.
type File struct {
	Root    *Storage
	Version int // 3 or 4
	Entries int // how many storages and streams it has, the root apart
	Slots   int // how many its directory has room for, used or not
	Cut     int // how many streams are shorter than the directory says
}

// Open reads the structure of the compound file in r: the directory and where
// each stream lies, none of what is in them. It fails with ErrFormat,
// ErrAmbiguous or ErrLimit, or with what r failed with.
func Open(r io.ReaderAt, size int64) (*File, error) {
	d := &reader{r: r, size: size}
	if err := d.header(); err != nil {
		return nil, err
	}
	if err := d.allocation(); err != nil {
		return nil, err
	}
	if err := d.directory(); err != nil {
		return nil, err
	}
	if err := d.mini(); err != nil {
		return nil, err
	}
	f := &File{Version: d.version, Slots: len(d.entries) / entrySize}
	if err := d.tree(f); err != nil {
		return nil, err
	}
	return f, nil
}

// Names lists the names in the directory without asking how they hang together,
// and the class of the root: what a file wanted to be that Open refuses.
func Names(r io.ReaderAt, size int64) (names []string, class [16]byte, err error) {
	d := &reader{r: r, size: size}
	for _, step := range []func() error{d.header, d.allocation, d.directory} {
		if err := step(); err != nil && !errors.Is(err, ErrAmbiguous) { // of small streams, not of names
			return nil, class, err
		}
	}
	for i := range uint32(len(d.entries) / entrySize) {
		if e := d.entry(i); e[66] == typeStorage || e[66] == typeStream {
			names = append(names, nameOf(e))
		}
	}
	return names, [16]byte(d.entries[80:96]), nil
}

// reader holds what is known of a file while it is opened.
type reader struct {
	r       io.ReaderAt
	size    int64
	version int
	sector  int64    // size of a sector
	count   uint32   // of sectors that lie in the file, the last perhaps in part
	fat     []uint32 // at most one entry for each sector of the file
	visited []uint32 // for each sector, the chain that met it last
	chains  uint32

	firstFAT  [headerDIFAT]uint32
	firstDIF  uint32
	firstDir  uint32
	firstMini uint32

	entries []byte // the directory
	minifat []uint32
	small   *extents // the mini stream

	miniVisited []uint32
	total       int64 // of the streams so far
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrFormat)
}

// at reads len(b) octets; what lies behind the end of the file is zero.
func (d *reader) at(b []byte, off int64) error {
	clear(b)
	n := min(int64(len(b)), d.size-off)
	if n <= 0 {
		return nil
	}
	if m, err := d.r.ReadAt(b[:n], off); int64(m) < n {
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("read compound file: %w", err)
	}
	return nil
}

// header reads what is said at the beginning. [MS-CFB] 2.2. The counts there
// are not asked: the chains end where they end.
func (d *reader) header() error {
	var b [headerSize]byte
	if d.size < headerSize {
		return malformed("%d octets", d.size)
	}
	if err := d.at(b[:], 0); err != nil {
		return err
	}
	if string(b[:8]) != magic {
		return malformed("no signature")
	}
	le := binary.LittleEndian
	if le.Uint16(b[28:]) != 0xfffe {
		return malformed("byte order %#04x", le.Uint16(b[28:]))
	}
	switch shift := le.Uint16(b[30:]); shift {
	case 9, 12:
		d.sector = 1 << shift
	default:
		return malformed("sectors of 1<<%d octets", shift)
	}
	// The size of sectors decides how the file is cut, the version how long a
	// size in the directory is: 32 bits, and rubbish above, up to version 3.
	if d.version = 3; le.Uint16(b[26:]) >= 4 {
		d.version = 4
	}
	n := (d.size - d.sector + d.sector - 1) / d.sector
	if d.size <= d.sector {
		n = 0
	}
	if n > maxRegular {
		return fmt.Errorf("%d octets: %w", d.size, ErrLimit)
	}
	d.count = uint32(n)
	d.firstDir, d.firstMini, d.firstDIF = le.Uint32(b[48:]), le.Uint32(b[60:]), le.Uint32(b[68:])
	for i := range d.firstFAT {
		d.firstFAT[i] = le.Uint32(b[76+4*i:])
	}
	if le.Uint16(b[32:]) != 6 || le.Uint32(b[56:]) != miniCutoff {
		// Programs take these for granted or believe them; the two would see
		// different streams.
		return fmt.Errorf("mini sectors of 1<<%d octets below %d: %w", le.Uint16(b[32:]), le.Uint32(b[56:]), ErrAmbiguous)
	}
	return nil
}

func (d *reader) offset(sector uint32) int64 { return (int64(sector) + 1) * d.sector }

// allocation reads the FAT: which sector follows which. [MS-CFB] 2.3, 2.5. What
// it says of sectors behind the end of the file is of no interest.
func (d *reader) allocation() error {
	d.fat = make([]uint32, 0, d.count)
	d.visited = make([]uint32, d.count)
	b := make([]byte, d.sector)
	add := func(s uint32) error {
		if uint32(len(d.fat)) >= d.count || s > maxRegular {
			return nil
		}
		if s >= d.count {
			return malformed("FAT in sector %d of %d", s, d.count)
		}
		if err := d.at(b, d.offset(s)); err != nil {
			return err
		}
		for i := 0; i < len(b) && uint32(len(d.fat)) < d.count; i += 4 {
			d.fat = append(d.fat, binary.LittleEndian.Uint32(b[i:]))
		}
		return nil
	}
	for _, s := range d.firstFAT {
		if err := add(s); err != nil {
			return err
		}
	}
	d.chains++
	dif := make([]byte, d.sector)
	for s := d.firstDIF; s <= maxRegular && uint32(len(d.fat)) < d.count; {
		if s >= d.count {
			return malformed("DIFAT in sector %d of %d", s, d.count)
		}
		if d.visited[s] == d.chains {
			return malformed("DIFAT in a circle")
		}
		d.visited[s] = d.chains
		if err := d.at(dif, d.offset(s)); err != nil {
			return err
		}
		last := len(dif) - 4
		for i := 0; i < last; i += 4 {
			if err := add(binary.LittleEndian.Uint32(dif[i:])); err != nil {
				return err
			}
		}
		s = binary.LittleEndian.Uint32(dif[last:])
	}
	return nil
}

// extents are the pieces of a stream in the order in which they are read.
type extents struct {
	r      io.ReaderAt
	size   int64 // of the file
	length int64 // of all pieces
	pieces []piece
}

// piece is a run of octets: where it begins in the stream and in the file.
type piece struct{ at, off int64 }

// add puts n octets at off behind what there is.
func (e *extents) add(off, n int64) {
	if k := len(e.pieces); k == 0 || e.pieces[k-1].off+(e.length-e.pieces[k-1].at) != off {
		e.pieces = append(e.pieces, piece{e.length, off})
	}
	e.length += n
}

// place is where octet at of the stream lies, and how many follow it there.
func (e *extents) place(at int64) (off, n int64) {
	i := sort.Search(len(e.pieces), func(i int) bool { return e.pieces[i].at > at }) - 1
	end := e.length
	if i+1 < len(e.pieces) {
		end = e.pieces[i+1].at
	}
	return e.pieces[i].off + at - e.pieces[i].at, end - at
}

// ReadAt reads the stream; behind the end of a file that was cut are zeros.
func (e *extents) ReadAt(b []byte, at int64) (int, error) {
	if at < 0 {
		return 0, fmt.Errorf("read compound file: offset %d", at)
	}
	done := 0
	for done < len(b) && at < e.length {
		off, n := e.place(at)
		n = min(n, int64(len(b)-done))
		to := b[done : done+int(n)]
		if have := max(min(n, e.size-off), 0); have < n {
			clear(to[have:])
			to = to[:have]
		}
		if len(to) > 0 {
			if m, err := e.r.ReadAt(to, off); m < len(to) {
				if err == nil || errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return done + m, fmt.Errorf("read compound file: %w", err)
			}
		}
		done += int(n)
		at += n
	}
	if done < len(b) {
		return done, io.EOF
	}
	return done, nil
}

// errCircle says that a chain leads back into itself.
var errCircle = fmt.Errorf("chain in a circle: %w", ErrFormat)

// chain follows a chain through the FAT for most octets. It ends there, at its
// own end, or where the file ends.
func (d *reader) chain(s uint32, most int64) (*extents, error) {
	e := &extents{r: d.r, size: d.size}
	d.chains++
	for e.length < most && s < d.count {
		if d.visited[s] == d.chains {
			e.length = min(e.length, most)
			return e, fmt.Errorf("at sector %d: %w", s, errCircle)
		}
		d.visited[s] = d.chains
		e.add(d.offset(s), d.sector)
		if int64(s) >= int64(len(d.fat)) {
			break
		}
		s = d.fat[s]
	}
	e.length = min(e.length, most)
	return e, nil
}

// directory reads the entries. [MS-CFB] 2.6.
func (d *reader) directory() error {
	e, err := d.chain(d.firstDir, d.size)
	if err != nil {
		return fmt.Errorf("directory: %w", err)
	}
	if e.length > maxEntries*entrySize {
		return fmt.Errorf("more than %d entries: %w", maxEntries, ErrLimit)
	}
	d.entries = make([]byte, e.length)
	if _, err := e.ReadAt(d.entries, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(d.entries) < entrySize || d.entries[66] != typeRoot {
		return malformed("no root")
	}
	return nil
}

func (d *reader) entry(i uint32) []byte {
	if int64(i) >= int64(len(d.entries)/entrySize) {
		return nil
	}
	return d.entries[int64(i)*entrySize : (int64(i)+1)*entrySize]
}

func (d *reader) sizeOf(entry []byte) (int64, error) {
	n := int64(binary.LittleEndian.Uint32(entry[120:]))
	if d.version >= 4 {
		n |= int64(binary.LittleEndian.Uint32(entry[124:])) << 32
	}
	if n < 0 || n > d.size {
		return 0, malformed("stream of %d octets in a file of %d", n, d.size)
	}
	return n, nil
}

// mini reads the mini stream and its FAT. [MS-CFB] 2.4.
func (d *reader) mini() error {
	root := d.entry(0)
	n, err := d.sizeOf(root)
	if err != nil {
		return err
	}
	// Some programs write no size here and mean all of the chain.
	if n == 0 {
		n = d.size
	}
	if d.small, err = d.chain(binary.LittleEndian.Uint32(root[116:]), (n+d.sector-1)/d.sector*d.sector); err != nil {
		return fmt.Errorf("mini stream: %w", err)
	}
	count := d.small.length / miniSize
	e, err := d.chain(d.firstMini, 4*count)
	if err != nil {
		return fmt.Errorf("mini FAT: %w", err)
	}
	b := make([]byte, e.length)
	if _, err := e.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	d.minifat = make([]uint32, len(b)/4)
	for i := range d.minifat {
		d.minifat[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	d.miniVisited = make([]uint32, count)
	return nil
}

// smallChain is chain in the mini stream.
func (d *reader) smallChain(s uint32, most int64) (*extents, error) {
	e := &extents{r: d.r, size: d.size}
	d.chains++
	for e.length < most && int64(s) < int64(len(d.miniVisited)) {
		if d.miniVisited[s] == d.chains {
			e.length = min(e.length, most)
			return e, fmt.Errorf("at mini sector %d: %w", s, errCircle)
		}
		d.miniVisited[s] = d.chains
		off, _ := d.small.place(int64(s) * miniSize)
		e.add(off, miniSize)
		if int64(s) >= int64(len(d.minifat)) {
			break
		}
		s = d.minifat[s]
	}
	e.length = min(e.length, most)
	return e, nil
}

// tree reads the directory from the root down. [MS-CFB] 2.6.4 has the entries
// of a storage in a search tree; here every branch is walked, so that entries
// in the wrong place are found by all.
func (d *reader) tree(f *File) error {
	root := d.entry(0)
	f.Root = &Storage{CLSID: [16]byte(root[80:96])}
	seen := make([]bool, len(d.entries)/entrySize)
	seen[0] = true
	type level struct {
		storage *Storage
		child   uint32
		depth   int
	}
	levels := []level{{f.Root, binary.LittleEndian.Uint32(root[76:]), 0}}
	for len(levels) > 0 {
		at := levels[len(levels)-1]
		levels = levels[:len(levels)-1]
		if at.depth > maxDepth {
			return fmt.Errorf("storages %d deep: %w", at.depth, ErrLimit)
		}
		names := map[string]bool{}
		for todo := []uint32{at.child}; len(todo) > 0; {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			e := d.entry(i)
			if e == nil || i == 0 { // nothing, a number that leads nowhere, or to the root
				continue
			}
			if seen[i] {
				return malformed("entry %d is met twice", i)
			}
			seen[i] = true
			left, right, child := binary.LittleEndian.Uint32(e[68:]), binary.LittleEndian.Uint32(e[72:]), binary.LittleEndian.Uint32(e[76:])
			todo = append(todo, right, left)
			name := nameOf(e)
			if name == "" || e[66] != typeStorage && e[66] != typeStream {
				continue // nobody can ask for it
			}
			if k := key(name); names[k] {
				return fmt.Errorf("two entries named %q: %w", name, ErrAmbiguous)
			} else {
				names[k] = true
			}
			f.Entries++
			if e[66] == typeStorage {
				s := &Storage{Name: name, CLSID: [16]byte(e[80:96])}
				at.storage.Storages = append(at.storage.Storages, s)
				levels = append(levels, level{s, child, at.depth + 1})
				continue
			}
			s, cut, err := d.stream(name, e)
			if err != nil {
				return err
			}
			if cut {
				f.Cut++
			}
			at.storage.Streams = append(at.storage.Streams, s)
		}
	}
	return nil
}

// stream finds where the stream of an entry lies.
func (d *reader) stream(name string, entry []byte) (*Stream, bool, error) {
	n, err := d.sizeOf(entry)
	if err != nil {
		return nil, false, fmt.Errorf("%q: %w", name, err)
	}
	// Streams that share their sectors unpack to more than there is.
	if d.total += n; d.total > maxOverlap*d.size {
		return nil, false, fmt.Errorf("streams of more than %d times the file: %w", maxOverlap, ErrLimit)
	}
	s := binary.LittleEndian.Uint32(entry[116:])
	var e *extents
	// A chain that comes back to itself has no end. What it has is there until it
	// does, as in a file that was cut.
	if n < miniCutoff {
		e, err = d.smallChain(s, n)
	} else {
		e, err = d.chain(s, n)
	}
	if err != nil && !errors.Is(err, errCircle) {
		return nil, false, fmt.Errorf("%q: %w", name, err)
	}
	return &Stream{Name: name, Size: e.length, ReaderAt: e}, e.length < n, nil
}

// nameOf is the name of an entry. [MS-CFB] 2.6.1: its length counts octets with
// the NUL at its end; readers go by the length, whatever stands in the place of
// the NUL. A length that is none says nothing, and a NUL inside ends the name.
func nameOf(e []byte) string {
	n := int(binary.LittleEndian.Uint16(e[64:])) - 2
	if n < 0 || n > 2*maxNameUnits {
		n = 2 * maxNameUnits
	}
	var u []uint16
	for i := 0; i+1 < n; i += 2 {
		c := binary.LittleEndian.Uint16(e[i:])
		if c == 0 {
			break
		}
		u = append(u, c)
	}
	return string(utf16.Decode(u))
}
