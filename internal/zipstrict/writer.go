package zipstrict

import (
	"compress/flate"
	"fmt"
	"hash/crc32"
	"io"
)

// Writer writes a new archive that depends on nothing but the names and bytes
// it is given: no times, no attributes, no comments, members in the order of
// the calls. Names are UTF-8 and must be those that this package's own reader
// accepts.
type Writer struct {
	w         io.Writer
	n         int64
	directory []byte
	keys      map[string]bool
	deflate   *flate.Writer
	open      *member
	err       error
}

// NewWriter starts an archive on w.
func NewWriter(w io.Writer) *Writer {
	return &Writer{w: w, keys: map[string]bool{}}
}

// Time and date of every member: the first a ZIP can name, 1980-01-01.
const fixedDate = 1<<5 | 1

// member is a deflated member that is being written.
type member struct {
	z    *Writer
	name string
	at   int64
	crc  uint32
	size int64
}

// Create starts a deflated member; what is written before the next call of the
// Writer is its content. It is streamed, so its sizes follow it.
func (z *Writer) Create(name string) (io.Writer, error) {
	if err := z.begin(name); err != nil {
		return nil, err
	}
	m := &member{z: z, name: name, at: z.n}
	z.write(header(sigLocal, name, flagUTF8|flagDescriptor, methodDeflate, 0, 0, 0))
	z.write([]byte(name))
	if z.deflate == nil {
		// Level 1 writes four times as fast as the default for a tenth more bytes.
		d, err := flate.NewWriter((*sink)(z), flate.BestSpeed)
		if err != nil {
			return nil, fmt.Errorf("start deflate: %w", err)
		}
		z.deflate = d
	} else {
		z.deflate.Reset((*sink)(z))
	}
	z.open = m
	return m, z.err
}

// Store writes a whole member as it is, for content that is packed already.
func (z *Writer) Store(name string, content []byte) error {
	if err := z.begin(name); err != nil {
		return err
	}
	at, crc := z.n, crc32.ChecksumIEEE(content)
	z.write(header(sigLocal, name, flagUTF8, methodStore, crc, int64(len(content)), int64(len(content))))
	z.write([]byte(name))
	z.write(content)
	z.list(name, flagUTF8, methodStore, crc, int64(len(content)), int64(len(content)), at)
	return z.err
}

// Packed writes a whole member that the caller has deflated: crc and size are
// those of its content.
func (z *Writer) Packed(name string, crc uint32, size int64, deflated []byte) error {
	if err := z.begin(name); err != nil {
		return err
	}
	at := z.n
	z.write(header(sigLocal, name, flagUTF8, methodDeflate, crc, int64(len(deflated)), size))
	z.write([]byte(name))
	z.write(deflated)
	z.list(name, flagUTF8, methodDeflate, crc, int64(len(deflated)), size, at)
	return z.err
}

// Close ends the archive. It does not close what it was written to.
func (z *Writer) Close() error {
	if err := z.finish(); err != nil {
		return err
	}
	at, n := z.n, len(z.keys)
	if n > 0xFFFE {
		return fmt.Errorf("%d members: %w", n, ErrLimit)
	}
	z.write(z.directory)
	b := make([]byte, lenEnd)
	le.PutUint32(b, sigEnd)
	le.PutUint16(b[8:], uint16(n))
	le.PutUint16(b[10:], uint16(n))
	le.PutUint32(b[12:], uint32(len(z.directory)))
	le.PutUint32(b[16:], uint32(at))
	z.write(b)
	return z.err
}

func (z *Writer) begin(name string) error {
	if err := z.finish(); err != nil {
		return err
	}
	k := Key(name)
	switch {
	case trickOf(name) != "" || k == "" || len(name) > maxName:
		return fmt.Errorf("write member %q: %w", name, ErrMalformed)
	case z.keys[k]:
		return fmt.Errorf("write member %q twice: %w", name, ErrAmbiguous)
	}
	z.keys[k] = true
	return nil
}

func (z *Writer) finish() error {
	m := z.open
	if m == nil || z.err != nil {
		return z.err
	}
	z.open = nil
	if err := z.deflate.Close(); err != nil && z.err == nil {
		z.err = fmt.Errorf("end member %q: %w", m.name, err)
	}
	packed := z.n - m.at - lenLocal - int64(len(m.name))
	d := make([]byte, 16)
	le.PutUint32(d, sigDescriptor)
	le.PutUint32(d[4:], m.crc)
	le.PutUint32(d[8:], uint32(packed))
	le.PutUint32(d[12:], uint32(m.size))
	z.write(d)
	z.list(m.name, flagUTF8|flagDescriptor, methodDeflate, m.crc, packed, m.size, m.at)
	return z.err
}

func (z *Writer) write(b []byte) {
	if z.err != nil {
		return
	}
	n, err := z.w.Write(b)
	z.n += int64(n)
	if err != nil {
		z.err = fmt.Errorf("write archive: %w", err)
	}
	// What needs ZIP64 is far over every limit of a mail.
	if z.n >= 1<<32-1<<20 {
		z.err = fmt.Errorf("archive of %d bytes: %w", z.n, ErrLimit)
	}
}

func (z *Writer) list(name string, flags, method uint16, crc uint32, packed, size, at int64) {
	if size >= 1<<32-1 {
		z.err = fmt.Errorf("member %q of %d bytes: %w", name, size, ErrLimit)
		return
	}
	h := header(sigDirectory, name, flags, method, crc, packed, size)
	le.PutUint32(h[42:], uint32(at))
	z.directory = append(append(z.directory, h...), name...)
}

// header makes a local header, or one of the directory, which has the same
// fields with two bytes before and sixteen after them.
func header(sig uint32, name string, flags, method uint16, crc uint32, packed, size int64) []byte {
	n, at := lenLocal, 4
	if sig == sigDirectory {
		n, at = lenDirectory, 6
	}
	h := make([]byte, n)
	le.PutUint32(h, sig)
	h[4] = 20 // made by: DOS, so that no attribute means anything
	b := h[at:]
	le.PutUint16(b, 20)
	le.PutUint16(b[2:], flags)
	le.PutUint16(b[4:], method)
	le.PutUint16(b[8:], fixedDate)
	le.PutUint32(b[10:], crc)
	le.PutUint32(b[14:], uint32(packed))
	le.PutUint32(b[18:], uint32(size))
	le.PutUint16(b[22:], uint16(len(name)))
	return h
}

func (m *member) Write(b []byte) (int, error) {
	if m.z.open != m {
		return 0, fmt.Errorf("write %q: member is closed", m.name)
	}
	m.crc = crc32.Update(m.crc, crc32.IEEETable, b)
	m.size += int64(len(b))
	n, err := m.z.deflate.Write(b)
	if err != nil {
		m.z.err = fmt.Errorf("write %q: %w", m.name, err)
		return n, m.z.err
	}
	return n, nil
}

// sink is the Writer as its own deflater sees it.
type sink Writer

func (s *sink) Write(b []byte) (int, error) {
	z := (*Writer)(s)
	z.write(b)
	return len(b), z.err
}
