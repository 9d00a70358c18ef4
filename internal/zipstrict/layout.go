package zipstrict

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"slices"
)

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
		// QUIRK: OpenOffice 2 wrote a descriptor behind members of signed documents
		// whose header needs none. It says once more what both headers say.
		if f.Packed > 0 && next-end == 16 {
			return f.checkDescriptor(r, end, next)
		}
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
