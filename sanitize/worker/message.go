package worker

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/sys/unix"
)

// maxShort is up to where a message lies in the daemon's own memory. For a text
// of some KiB making, sealing and giving up files of its own costs more than all
// else that is copied of it; a longer one would only make garbage of its size.
const maxShort = 64 << 10

// A Message is a message or a file on its way: nothing of one is ever in clear on
// the disk. It is written, sealed, and from then on read, by several at the same
// time if need be. A short one lies in the daemon's own memory, which no worker
// sees; a longer one in an anonymous file that the seal makes unchangeable for
// everybody.
type Message struct {
	name   string
	size   int64
	sealed bool
	short  []byte   // while file is nil
	file   *os.File // where it lies when it is not short

	mu    sync.Mutex
	given *os.File // the copy of a short one for a worker of its own
}

// NewMessage makes an empty one. size is how long it is expected to become.
func NewMessage(name string, size int64) (*Message, error) {
	m := &Message{name: name}
	if size > maxShort {
		return m, m.spill()
	}
	m.short = make([]byte, 0, max(size, 0))
	return m, nil
}

// shortMessage makes one of octets that are nobody else's.
func shortMessage(name string, b []byte) *Message {
	return &Message{name: name, size: int64(len(b)), short: b, sealed: true}
}

// fileMessage makes one of a sealed file.
func fileMessage(f *os.File, size int64) *Message {
	return &Message{name: f.Name(), size: size, file: f, sealed: true}
}

// spill moves it into a file.
func (m *Message) spill() error {
	f, err := m.copied()
	if err != nil {
		return err
	}
	m.file, m.short = f, nil
	return nil
}

// copied is a file with the octets of a short one.
func (m *Message) copied() (*os.File, error) {
	f, err := memoryFile(m.name)
	if err != nil {
		return nil, err
	}
	if _, err := f.Write(m.short); err != nil {
		f.Close()
		return nil, fmt.Errorf("memory file: %w", err)
	}
	return f, nil
}

var errSealed = errors.New("the message is sealed")

func (m *Message) Write(b []byte) (int, error) {
	if m.sealed {
		return 0, errSealed
	}
	if m.file == nil && m.size+int64(len(b)) > maxShort {
		if err := m.spill(); err != nil {
			return 0, err
		}
	}
	if m.file == nil {
		m.short = append(m.short, b...)
		m.size += int64(len(b))
		return len(b), nil
	}
	n, err := m.file.Write(b)
	m.size += int64(n)
	return n, err
}

// Seal makes it unchangeable, for good.
func (m *Message) Seal() error {
	if m.file != nil && !m.sealed {
		if err := sealFile(m.file); err != nil {
			return err
		}
	}
	m.sealed = true
	return nil
}

// Size is how many octets were written.
func (m *Message) Size() int64 { return m.size }

func (m *Message) ReadAt(b []byte, off int64) (int, error) {
	if m.file != nil {
		return m.file.ReadAt(b, off)
	}
	if off < 0 {
		return 0, fmt.Errorf("read at %d: %w", off, os.ErrInvalid)
	}
	if off >= int64(len(m.short)) {
		return 0, io.EOF
	}
	n := copy(b, m.short[off:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

// shared is a sealed file of it, for a worker to read. It is the message's own
// and ends with it.
func (m *Message) shared() (*os.File, error) {
	if !m.sealed {
		return nil, errors.New("a message that is not sealed is for no worker")
	}
	if m.file != nil {
		return m.file, nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.given != nil {
		return m.given, nil
	}
	f, err := m.copied()
	if err != nil {
		return nil, err
	}
	if err := sealFile(f); err != nil {
		f.Close()
		return nil, err
	}
	m.given = f
	return f, nil
}

// Close gives its memory back. Nobody may read it any more.
func (m *Message) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	var err error
	for _, f := range []*os.File{m.file, m.given} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	m.short, m.given = nil, nil
	return err
}

// memoryFile makes an anonymous file in memory.
func memoryFile(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, fmt.Errorf("memory file: %w", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// sealFile makes a memory file unchangeable for everybody, for good.
func sealFile(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_WRITE|unix.F_SEAL_GROW|unix.F_SEAL_SHRINK|unix.F_SEAL_SEAL)
	if err != nil {
		return fmt.Errorf("seal memory file: %w", err)
	}
	return nil
}
