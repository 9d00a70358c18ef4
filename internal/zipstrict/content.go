package zipstrict

import (
	"compress/flate"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
)

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
