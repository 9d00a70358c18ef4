package blob

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"time"
)

// The form of a blob at rest, wherever that is: a header of eight bytes and
// then chunks of 64 KiB, each sealed with AES-256-GCM under the blob's own key.
// The nonce is the number of the chunk and a flag that only the last one
// carries (the STREAM construction of Hoang, Reyhanitabar, Rogaway and Vizár),
// the associated data is the blob's id: a chunk that was changed, moved, taken
// from another blob, added or cut off does not open. The plain size is not
// written anywhere: it follows from the length, which the last chunk proves.
const (
	// header opens every blob. It is part of the associated data, so a later
	// form cannot be passed off as this one.
	header = "sekiblb1"
	chunk  = 64 << 10 // plain bytes of every chunk but the last
	tag    = 16
	sealed = chunk + tag
)

// buffers holds one chunk and its tag each. Blobs are streamed through them,
// so a mail of 20 MiB costs no more memory than one of 2 KiB.
var buffers = sync.Pool{New: func() any { return new([sealed]byte) }}

// giveBack clears a buffer first: the content of one message must not lie in
// the memory of the next.
func giveBack(b *[sealed]byte) {
	clear(b[:])
	buffers.Put(b)
}

// NewID makes the id of a blob made at t. Its first byte goes with the time: a
// store of files takes it as the directory, so that blobs written at the same
// moment share a directory and the sync of it, while all directories fill
// evenly. The next seven are the microseconds since 1970, until the year 4253: an
// index of ids grows at one place, however many it holds, where random ones
// would have each commit change a page for each of them. The last eight are
// random.
func NewID(t time.Time) ID {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], uint64(t.UnixMicro()))
	b[0] = byte(t.Unix() / 4)
	if _, err := rand.Read(b[8:]); err != nil {
		panic(err) // crypto/rand.Read does not fail on Linux
	}
	return ID(hex.EncodeToString(b[:]))
}

func newCipher(key Key) (cipher.AEAD, error) {
	c, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(c)
}

// nonce is the number of the chunk, big-endian, and the flag of the last one.
// It never repeats under a key, since every blob has a key of its own.
func nonce(n int64, last bool) [12]byte {
	var b [12]byte
	binary.BigEndian.PutUint64(b[3:11], uint64(n))
	if last {
		b[11] = 1
	}
	return b
}

func associated(id ID) []byte { return []byte(header + string(id)) }

// An Encoder writes the form of one blob. It is for one goroutine.
type Encoder struct {
	w    io.Writer
	aead cipher.AEAD
	ad   []byte
	buf  *[sealed]byte // nil once ended
	used int           // plain bytes in buf
	n    int64         // chunks written
	size int64
	err  error // of an earlier write: nothing after it counts
}

// NewEncoder begins a blob on w. The key must never have been used: nonces
// count from zero. Every Encoder needs its End, also after an error.
func NewEncoder(w io.Writer, id ID, key Key) (*Encoder, error) {
	aead, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, header); err != nil {
		return nil, err
	}
	return &Encoder{w: w, aead: aead, ad: associated(id), buf: buffers.Get().(*[sealed]byte)}, nil
}

// Size returns how many plain bytes were written.
func (e *Encoder) Size() int64 { return e.size }

func (e *Encoder) Write(p []byte) (int, error) {
	if e.err != nil {
		return 0, e.err
	}
	written := 0
	for len(p) > 0 {
		// Only when more is to come is a full chunk known not to be the last.
		if e.used == chunk {
			if err := e.flush(false); err != nil {
				return written, err
			}
		}
		n := copy(e.buf[e.used:chunk], p)
		e.used += n
		e.size += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}

func (e *Encoder) flush(last bool) error {
	nc := nonce(e.n, last)
	out := e.aead.Seal(e.buf[:0], nc[:], e.buf[:e.used], e.ad)
	if _, err := e.w.Write(out); err != nil {
		e.err = err
		return err
	}
	e.n++
	e.used = 0
	return nil
}

// End writes the last chunk, unless whole is false: then what was written is of
// no use and was never meant to be. Nothing can be written after it.
func (e *Encoder) End(whole bool) error {
	err := e.err
	if err == nil && whole {
		err = e.flush(true)
	}
	if e.buf != nil {
		giveBack(e.buf)
		e.buf = nil
	}
	if e.err == nil {
		e.err = fs.ErrClosed
	}
	return err
}

// NewKey makes a random key.
func NewKey() Key {
	var k Key
	if _, err := rand.Read(k[:]); err != nil {
		panic(err) // crypto/rand.Read does not fail on Linux
	}
	return k
}

type reader struct {
	file   io.ReaderAt
	closer io.Closer
	aead   cipher.AEAD
	ad     []byte
	size   int64 // plain
	chunks int64

	mu   sync.Mutex
	buf  *[sealed]byte // nil once closed
	have int64         // number of the chunk that stands open in buf, -1 none
	len  int           // its plain bytes
}

// NewReader reads a blob that takes size bytes at rest, header and tags
// included. Its plain size is authenticated before NewReader returns. Close
// closes c, which may be nil; after an error it does not.
func NewReader(f io.ReaderAt, c io.Closer, size int64, id ID, key Key) (Reader, error) {
	body := size - int64(len(header))
	if body < tag {
		return nil, fmt.Errorf("%w: cut short", ErrDamaged)
	}
	n := (body + sealed - 1) / sealed
	lastLen := body - (n-1)*sealed - tag
	// A last chunk without bytes belongs to an empty blob alone.
	if lastLen < 0 || (lastLen == 0 && n > 1) {
		return nil, fmt.Errorf("%w: impossible length", ErrDamaged)
	}
	var h [len(header)]byte
	if _, err := f.ReadAt(h[:], 0); err != nil {
		return nil, readError(err)
	}
	if string(h[:]) != header {
		return nil, fmt.Errorf("%w: not a blob", ErrDamaged)
	}
	aead, err := newCipher(key)
	if err != nil {
		return nil, err
	}
	r := &reader{file: f, closer: c, aead: aead, ad: associated(id),
		size: (n-1)*chunk + lastLen, chunks: n, have: -1}
	r.buf = buffers.Get().(*[sealed]byte)
	// The last chunk proves the length: were the file cut or prolonged, this
	// would not be the chunk that was sealed as the last.
	if err := r.load(n - 1); err != nil {
		giveBack(r.buf)
		return nil, err
	}
	return r, nil
}

// readError tells a file that ends too soon from a disk that does not answer:
// the first is damage, the second may pass.
func readError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: cut short", ErrDamaged)
	}
	return fmt.Errorf("read blob: %w", err)
}

func (r *reader) plainLen(n int64) int {
	if n == r.chunks-1 {
		return int(r.size - n*chunk)
	}
	return chunk
}

// load opens chunk n into buf.
func (r *reader) load(n int64) error {
	if r.have == n {
		return nil
	}
	r.have = -1
	want := r.plainLen(n)
	b := r.buf[:want+tag]
	if _, err := r.file.ReadAt(b, int64(len(header))+n*sealed); err != nil {
		return readError(err)
	}
	nc := nonce(n, n == r.chunks-1)
	if _, err := r.aead.Open(b[:0], nc[:], b, r.ad); err != nil {
		return fmt.Errorf("%w: chunk %d", ErrDamaged, n)
	}
	r.have, r.len = n, want
	return nil
}

func (r *reader) Size() int64 { return r.size }

// ReadAt hands out only bytes of chunks that were authenticated.
func (r *reader) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, fmt.Errorf("read blob: negative offset")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		return 0, fmt.Errorf("read blob: %w", fs.ErrClosed)
	}
	read := 0
	for len(p) > 0 {
		if off >= r.size {
			return read, io.EOF
		}
		if err := r.load(off / chunk); err != nil {
			return read, err
		}
		n := copy(p, r.buf[off%chunk:r.len])
		p = p[n:]
		off += int64(n)
		read += n
	}
	return read, nil
}

func (r *reader) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.buf == nil {
		return nil
	}
	giveBack(r.buf)
	r.buf = nil
	if r.closer == nil {
		return nil
	}
	return r.closer.Close()
}
