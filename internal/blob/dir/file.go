package dir

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
	"os"
	"path/filepath"
	"sync"
	"time"

	"sekisho/internal/blob"
)

const (
	// header opens every file. It is part of the associated data, so a later
	// format cannot be passed off as this one.
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

// newID makes the id of a blob made at t. Its first byte, which names the
// directory, goes with the time: blobs written at the same moment share a
// directory and so the sync of it, and all directories still fill evenly. The
// other fifteen bytes are random.
func newID(t time.Time) blob.ID {
	var b [16]byte
	if _, err := rand.Read(b[:]); err != nil {
		panic(err) // crypto/rand.Read does not fail on Linux
	}
	b[0] = byte(t.Unix() / 4)
	return blob.ID(hex.EncodeToString(b[:]))
}

func newCipher(key blob.Key) (cipher.AEAD, error) {
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

func associated(id blob.ID) []byte { return []byte(header + string(id)) }

type writer struct {
	store *Store
	id    blob.ID
	key   blob.Key
	aead  cipher.AEAD
	ad    []byte
	file  *os.File
	tmp   string
	buf   *[sealed]byte
	used  int   // plain bytes in buf
	n     int64 // chunks written
	size  int64
	done  bool
	err   error // of an earlier write: nothing after it may be committed
}

func newWriter(s *Store, id blob.ID) (*writer, error) {
	w := &writer{store: s, id: id, ad: associated(id), tmp: filepath.Join(s.tmp, string(id))}
	if _, err := rand.Read(w.key[:]); err != nil {
		panic(err) // crypto/rand.Read does not fail on Linux
	}
	var err error
	if w.aead, err = newCipher(w.key); err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	w.file, err = os.OpenFile(w.tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, fileMode)
	if err != nil {
		return nil, fmt.Errorf("create blob: %w", err)
	}
	w.buf = buffers.Get().(*[sealed]byte)
	if _, err := w.file.WriteString(header); err != nil {
		w.Abort()
		return nil, fmt.Errorf("create blob: %w", err)
	}
	return w, nil
}

func (w *writer) ID() blob.ID   { return w.id }
func (w *writer) Key() blob.Key { return w.key }
func (w *writer) Size() int64   { return w.size }

func (w *writer) Write(p []byte) (int, error) {
	if w.done {
		return 0, fmt.Errorf("write blob %s: %w", w.id, os.ErrClosed)
	}
	if w.err != nil {
		return 0, w.err
	}
	written := 0
	for len(p) > 0 {
		// Only when more is to come is a full chunk known not to be the last.
		if w.used == chunk {
			if err := w.flush(false); err != nil {
				return written, err
			}
		}
		n := copy(w.buf[w.used:chunk], p)
		w.used += n
		w.size += int64(n)
		written += n
		p = p[n:]
	}
	return written, nil
}

func (w *writer) flush(last bool) error {
	nc := nonce(w.n, last)
	out := w.aead.Seal(w.buf[:0], nc[:], w.buf[:w.used], w.ad)
	if _, err := w.file.Write(out); err != nil {
		w.err = fmt.Errorf("write blob %s: %w", w.id, err)
		return w.err
	}
	w.n++
	w.used = 0
	return nil
}

// Commit makes the blob durable under its name. After an error the blob is
// gone; it is never tried again with the same file, since a second fsync may
// report success for pages the first one lost.
func (w *writer) Commit() error {
	if w.done {
		return fmt.Errorf("commit blob %s: %w", w.id, os.ErrClosed)
	}
	if w.err != nil {
		err := w.err
		w.Abort()
		return err
	}
	if err := w.flush(true); err != nil {
		w.Abort()
		return err
	}
	if err := w.file.Sync(); err != nil {
		w.Abort()
		return fmt.Errorf("sync blob %s: %w", w.id, err)
	}
	w.done = true
	giveBack(w.buf)
	w.buf = nil
	if err := w.file.Close(); err != nil {
		return errors.Join(fmt.Errorf("commit blob %s: %w", w.id, err), os.Remove(w.tmp))
	}
	path, _ := w.store.path(w.id)
	d, err := w.store.ensure(filepath.Dir(path))
	if err != nil {
		return errors.Join(err, os.Remove(w.tmp))
	}
	if err := os.Rename(w.tmp, path); err != nil {
		return errors.Join(fmt.Errorf("commit blob: %w", err), os.Remove(w.tmp))
	}
	if err := d.sync(); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}

// Abort throws the blob away.
func (w *writer) Abort() {
	if w.done {
		return
	}
	w.done = true
	giveBack(w.buf)
	w.buf = nil
	// What cannot be removed now is removed by the next Open.
	_ = w.file.Close()
	_ = os.Remove(w.tmp)
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

// newReader reads a blob of size bytes (header and tags included).
func newReader(f io.ReaderAt, c io.Closer, size int64, id blob.ID, key blob.Key) (*reader, error) {
	body := size - int64(len(header))
	if body < tag {
		return nil, fmt.Errorf("%w: cut short", blob.ErrDamaged)
	}
	n := (body + sealed - 1) / sealed
	lastLen := body - (n-1)*sealed - tag
	// A last chunk without bytes belongs to an empty blob alone.
	if lastLen < 0 || (lastLen == 0 && n > 1) {
		return nil, fmt.Errorf("%w: impossible length", blob.ErrDamaged)
	}
	var h [len(header)]byte
	if _, err := f.ReadAt(h[:], 0); err != nil {
		return nil, readError(err)
	}
	if string(h[:]) != header {
		return nil, fmt.Errorf("%w: not a blob", blob.ErrDamaged)
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
		return fmt.Errorf("%w: cut short", blob.ErrDamaged)
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
		return fmt.Errorf("%w: chunk %d", blob.ErrDamaged, n)
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
	return r.closer.Close()
}
