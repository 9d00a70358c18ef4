package cfb

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"slices"
	"unicode/utf16"
)

const (
	sectorSize     = 512
	fatPerSector   = sectorSize / 4
	difPerSector   = fatPerSector - 1
	maxWrittenSize = 1<<31 - 1 // [MS-CFB] 2.6.1: of a stream in version 3
)

// Write writes a compound file of version 3 with root and all that is below it.
// The order of storages and streams in root does not matter; their names do,
// and two of one name in one storage are an error.
func Write(w io.Writer, root *Storage) error {
	p := &plan{}
	if err := p.directory(root); err != nil {
		return err
	}
	if err := p.layOut(); err != nil {
		return err
	}
	b := bufio.NewWriterSize(w, 64<<10)
	if err := p.write(b); err != nil {
		return fmt.Errorf("write compound file: %w", err)
	}
	if err := b.Flush(); err != nil {
		return fmt.Errorf("write compound file: %w", err)
	}
	return nil
}

// entry is one of the directory to be.
type entry struct {
	name               []uint16
	kind               byte
	red                bool
	left, right, child uint32
	clsid              [16]byte
	start              uint32
	stream             *Stream
	size               int64
}

// plan is where everything will stand, made before the first octet is written:
// header, DIFAT, FAT, directory, mini FAT, mini stream, large streams.
type plan struct {
	entries []entry
	small   []int // entries in the mini stream
	large   []int

	difat, fat, dir, minifat, mini, data uint32 // counts of sectors
	runs                                 []run
	minis                                []run
}

// run is a chain of sectors that follow one another.
type run struct{ first, count uint32 }

// directory makes the entries, breadth first, each storage's a search tree.
func (p *plan) directory(root *Storage) error {
	p.entries = []entry{{name: utf16.Encode([]rune("Root Entry")), kind: typeRoot, left: none, right: none, child: none, clsid: root.CLSID, start: endOfChain}}
	type level struct {
		of      int
		storage *Storage
		depth   int
	}
	for levels := []level{{0, root, 0}}; len(levels) > 0; levels = levels[1:] {
		at := levels[0]
		if at.depth > maxDepth {
			return fmt.Errorf("storages %d deep: %w", at.depth, ErrLimit)
		}
		type child struct {
			name    string
			storage *Storage
			stream  *Stream
		}
		children := make([]child, 0, len(at.storage.Storages)+len(at.storage.Streams))
		for _, s := range at.storage.Storages {
			children = append(children, child{s.Name, s, nil})
		}
		for _, s := range at.storage.Streams {
			children = append(children, child{s.Name, nil, s})
		}
		slices.SortFunc(children, func(a, b child) int { return compare(a.name, b.name) })
		first := len(p.entries)
		if first+len(children) > maxEntries {
			return fmt.Errorf("more than %d entries: %w", maxEntries, ErrLimit)
		}
		for i, c := range children {
			if i > 0 && compare(c.name, children[i-1].name) == 0 {
				return fmt.Errorf("two entries named %q: %w", c.name, ErrAmbiguous)
			}
			e := entry{name: utf16.Encode([]rune(c.name)), kind: typeStorage, left: none, right: none, child: none}
			if len(e.name) == 0 || len(e.name) > maxNameUnits || slices.Contains(e.name, 0) {
				return fmt.Errorf("entry named %q: %w", c.name, ErrFormat)
			}
			if c.storage != nil {
				e.clsid = c.storage.CLSID
				levels = append(levels, level{first + i, c.storage, at.depth + 1})
			} else {
				e.kind, e.stream, e.size, e.start = typeStream, c.stream, c.stream.Size, endOfChain
				switch {
				case e.size < 0 || e.size > maxWrittenSize:
					return fmt.Errorf("stream %q of %d octets: %w", c.name, e.size, ErrLimit)
				case e.size >= miniCutoff:
					p.large = append(p.large, first+i)
				case e.size > 0:
					p.small = append(p.small, first+i)
				}
			}
			p.entries = append(p.entries, e)
		}
		if n := len(children); n > 0 {
			p.entries[at.of].child = p.balance(first, n, 0, bits.Len(uint(n))-1)
		}
	}
	return nil
}

// balance makes a search tree of n sorted entries and returns its root. All
// levels but the last are full, so with that one red and all above it black
// the rules of red-black trees hold. [MS-CFB] 2.6.4.
func (p *plan) balance(first, n, depth, last int) uint32 {
	if n == 0 {
		return none
	}
	mid := n / 2
	e := &p.entries[first+mid]
	e.red = depth == last && depth > 0
	e.left = p.balance(first, mid, depth+1, last)
	e.right = p.balance(first+mid+1, n-mid-1, depth+1, last)
	return uint32(first + mid)
}

func sectors(octets int64, size int64) int64 { return (octets + size - 1) / size }

// layOut gives everything its place.
func (p *plan) layOut() error {
	var minis int64
	for _, i := range p.small {
		e := &p.entries[i]
		n := sectors(e.size, miniSize)
		e.start = uint32(minis)
		p.minis = append(p.minis, run{uint32(minis), uint32(n)})
		minis += n
	}
	dir := sectors(int64(len(p.entries))*entrySize, sectorSize)
	minifat := sectors(4*minis, sectorSize)
	mini := sectors(minis*miniSize, sectorSize)
	data := dir + minifat + mini
	for _, i := range p.large {
		data += sectors(p.entries[i].size, sectorSize)
	}
	// The FAT describes itself, and the DIFAT, too.
	var fat, difat int64
	for {
		f := sectors(data+fat+difat, fatPerSector)
		d := sectors(max(f-headerDIFAT, 0), difPerSector)
		if f == fat && d == difat {
			break
		}
		fat, difat = f, d
	}
	total := data + fat + difat
	if (total+1)*sectorSize > maxWrittenSize {
		return fmt.Errorf("compound file of %d sectors: %w", total, ErrLimit)
	}
	p.difat, p.fat, p.dir, p.minifat, p.mini, p.data = uint32(difat), uint32(fat), uint32(dir), uint32(minifat), uint32(mini), uint32(data)
	next := uint32(difat + fat)
	place := func(n int64) uint32 {
		if n == 0 {
			return endOfChain
		}
		p.runs = append(p.runs, run{next, uint32(n)})
		next += uint32(n)
		return p.runs[len(p.runs)-1].first
	}
	place(dir)
	place(minifat)
	p.entries[0].start, p.entries[0].size = place(mini), minis*miniSize
	for _, i := range p.large {
		p.entries[i].start = place(sectors(p.entries[i].size, sectorSize))
	}
	return nil
}

func (p *plan) write(w *bufio.Writer) error {
	if err := p.header(w); err != nil {
		return err
	}
	if err := p.allocation(w); err != nil {
		return err
	}
	if err := p.names(w); err != nil {
		return err
	}
	if err := chains(w, p.minis, 0, p.minifat); err != nil {
		return err
	}
	for _, set := range []struct {
		entries []int
		unit    int64
	}{{p.small, miniSize}, {p.large, sectorSize}} {
		var written int64
		for _, i := range set.entries {
			e := &p.entries[i]
			if n, err := io.Copy(w, e.stream.Reader()); err != nil {
				return fmt.Errorf("stream %q: %w", e.stream.Name, err)
			} else if n != e.size {
				return fmt.Errorf("stream %q: %w", e.stream.Name, io.ErrUnexpectedEOF)
			}
			written += e.size
			pad := sectors(e.size, set.unit)*set.unit - e.size
			if err := zeros(w, pad); err != nil {
				return err
			}
			written += pad
		}
		if err := zeros(w, sectors(written, sectorSize)*sectorSize-written); err != nil {
			return err
		}
	}
	return nil
}

// header writes the header. [MS-CFB] 2.2.
func (p *plan) header(w *bufio.Writer) error {
	var b [headerSize]byte
	le := binary.LittleEndian
	copy(b[:], magic)
	le.PutUint16(b[24:], 0x3e)
	le.PutUint16(b[26:], 3)
	le.PutUint16(b[28:], 0xfffe)
	le.PutUint16(b[30:], 9)
	le.PutUint16(b[32:], 6)
	le.PutUint32(b[44:], p.fat)
	le.PutUint32(b[48:], p.difat+p.fat)
	le.PutUint32(b[56:], miniCutoff)
	le.PutUint32(b[60:], endOfChain)
	if p.minifat > 0 {
		le.PutUint32(b[60:], p.difat+p.fat+p.dir)
	}
	le.PutUint32(b[64:], p.minifat)
	le.PutUint32(b[68:], endOfChain)
	if p.difat > 0 {
		le.PutUint32(b[68:], 0)
	}
	le.PutUint32(b[72:], p.difat)
	for i := range uint32(headerDIFAT) {
		le.PutUint32(b[76+4*i:], p.fatAt(i))
	}
	_, err := w.Write(b[:])
	return err
}

// fatAt is the sector of the i-th part of the FAT.
func (p *plan) fatAt(i uint32) uint32 {
	if i >= p.fat {
		return free
	}
	return p.difat + i
}

// allocation writes the DIFAT and the FAT. [MS-CFB] 2.3, 2.5.
func (p *plan) allocation(w *bufio.Writer) error {
	at := uint32(headerDIFAT)
	for i := range p.difat {
		for range difPerSector {
			if err := number(w, p.fatAt(at)); err != nil {
				return err
			}
			at++
		}
		next := uint32(endOfChain)
		if i+1 < p.difat {
			next = i + 1
		}
		if err := number(w, next); err != nil {
			return err
		}
	}
	for range p.difat {
		if err := number(w, difSector); err != nil {
			return err
		}
	}
	for range p.fat {
		if err := number(w, fatSector); err != nil {
			return err
		}
	}
	return chains(w, p.runs, p.difat+p.fat, p.fat)
}

// chains writes the rest of an allocation table of n sectors, of which the
// first entries are written.
func chains(w *bufio.Writer, runs []run, written, n uint32) error {
	for _, r := range runs {
		for i := uint32(1); i < r.count; i++ {
			if err := number(w, r.first+i); err != nil {
				return err
			}
		}
		if err := number(w, endOfChain); err != nil {
			return err
		}
		written += r.count
	}
	for ; written < n*fatPerSector; written++ {
		if err := number(w, free); err != nil {
			return err
		}
	}
	return nil
}

// names writes the directory. [MS-CFB] 2.6.1.
func (p *plan) names(w *bufio.Writer) error {
	le := binary.LittleEndian
	for i := range p.entries {
		e := &p.entries[i]
		var b [entrySize]byte
		for j, u := range e.name {
			le.PutUint16(b[2*j:], u)
		}
		le.PutUint16(b[64:], uint16(2*len(e.name)+2))
		b[66] = e.kind
		if !e.red {
			b[67] = 1
		}
		le.PutUint32(b[68:], e.left)
		le.PutUint32(b[72:], e.right)
		le.PutUint32(b[76:], e.child)
		copy(b[80:], e.clsid[:])
		le.PutUint32(b[116:], e.start)
		le.PutUint32(b[120:], uint32(e.size))
		if _, err := w.Write(b[:]); err != nil {
			return err
		}
	}
	var unused [entrySize]byte
	for i := 68; i < 80; i++ {
		unused[i] = 0xff
	}
	for i := uint32(len(p.entries)); i < p.dir*(sectorSize/entrySize); i++ {
		if _, err := w.Write(unused[:]); err != nil {
			return err
		}
	}
	return nil
}

func number(w *bufio.Writer, n uint32) error {
	_, err := w.Write(binary.LittleEndian.AppendUint32(w.AvailableBuffer(), n))
	return err
}

func zeros(w *bufio.Writer, n int64) error {
	var z [sectorSize]byte
	if n < 0 || n > int64(len(z)) {
		return errors.New("padding of more than a sector")
	}
	_, err := w.Write(z[:n])
	return err
}
