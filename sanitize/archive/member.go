package archive

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

const (
	// keepWhole is up to which size a member is kept in memory. Documents in
	// archives are smaller; what is larger is mostly text, which is read from
	// the front.
	keepWhole = 16 << 20
	// Detection looks at 64 KiB of both ends, an archive's directory stands at
	// the back.
	keepHead, keepTail = 64 << 10, 256 << 10
	// maxPasses is how often a large member is unpacked. Hashing, detecting and
	// treating a text take four; a file that wants to be read all over costs
	// more time than a message has.
	maxPasses = 12
)

// member gives random access to a packed file. A large one is unpacked again
// whenever somebody reads behind where he was, so that memory does not depend
// on its size.
type member struct {
	f     *zipstrict.File
	meter func(io.Reader) io.Reader

	whole      []byte // of a small one
	head, tail []byte
	r          io.Reader
	at         int64 // position of r
	passes     int
	err        error // of the archive, met while it was unpacked
}

// load unpacks the member once, which proves its checksum and its size and is
// what the message is charged.
func (m *member) load() error {
	r, err := m.f.Open(m.meter)
	if err != nil {
		return err
	}
	if m.f.Size <= keepWhole {
		// The size is proven while it is read, and bounded.
		var b bytes.Buffer
		if _, err := b.ReadFrom(r); err != nil {
			return err
		}
		m.whole = b.Bytes()
		return nil
	}
	m.head = make([]byte, keepHead)
	if _, err := io.ReadFull(r, m.head); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if _, err := io.CopyN(io.Discard, r, m.f.Size-keepHead-keepTail); err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	var tail bytes.Buffer
	if _, err := tail.ReadFrom(r); err != nil {
		return err
	}
	m.tail = tail.Bytes()
	return nil
}

// ReadAt reads from memory what is there, and unpacks the rest.
func (m *member) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, errors.New("read before the beginning")
	}
	if off >= m.f.Size {
		return 0, io.EOF
	}
	if m.f.Size <= keepWhole {
		n := copy(p, m.whole[off:])
		return n, short(n, p)
	}
	end := min(off+int64(len(p)), m.f.Size)
	switch from := m.f.Size - int64(len(m.tail)); {
	case end <= int64(len(m.head)):
		copy(p, m.head[off:end])
	case off >= from:
		copy(p, m.tail[off-from:])
	default:
		if err := m.unpack(p[:end-off], off); err != nil {
			return 0, err
		}
	}
	return int(end - off), short(int(end-off), p)
}

func short(n int, p []byte) error {
	if n < len(p) {
		return io.EOF
	}
	return nil
}

// unpack reads exactly p at off. It is no charge to the message: it was
// charged when it was unpacked for the first time.
func (m *member) unpack(p []byte, off int64) error {
	if m.r == nil || off < m.at {
		if m.passes++; m.passes > maxPasses {
			return fmt.Errorf("a packed file of %d bytes read more than %d times: %w", m.f.Size, maxPasses, sanitize.ErrLimit)
		}
		r, err := m.f.Open(nil)
		if err != nil {
			return m.fail(err)
		}
		m.r, m.at = r, 0
	}
	n, err := io.CopyN(io.Discard, m.r, off-m.at)
	if m.at += n; err != nil {
		return m.fail(err)
	}
	k, err := io.ReadFull(m.r, p)
	if m.at += int64(k); err != nil {
		return m.fail(err)
	}
	return nil
}

// fail keeps an error of the archive: it was proven once, so it has changed
// under our hands.
func (m *member) fail(err error) error {
	m.err, m.r = err, nil
	return err
}

// appleDouble reports whether the member is what a Macintosh keeps beside a
// file (RFC 1740, appendix A), and nothing else.
func (m *member) appleDouble() bool {
	b := m.whole
	if m.f.Size > keepWhole {
		b = m.head
	}
	return bytes.HasPrefix(b, []byte{0, 5, 0x16, 7})
}
