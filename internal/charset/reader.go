package charset

import "io"

// Reader decodes a text of any length in bounded memory: it holds at most the
// window a decision is made on, and one block of output.
type Reader struct {
	// DropControls takes out the characters Sanitize drops, and counts them.
	// It must be set before the first Read.
	DropControls bool

	src io.Reader
	s   *stream
	in  []byte
	out []byte
	pos int
	err error
}

// What is read from the source at once: little at first, since most texts are
// short and a block costs more than they do.
const (
	firstBlock = 4 << 10
	blockSize  = 16 << 10
)

// NewReader returns a Reader for text labelled as label. What it returns is
// the same as Decode's text, however the source cuts its bytes.
func NewReader(label string, r io.Reader) *Reader {
	return &Reader{src: r, s: newStream(label)}
}

// Read implements io.Reader. It never cuts a rune unless p is shorter than what
// is ready. It passes on the source's error after all that came before it.
func (r *Reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for r.pos == len(r.out) {
		if r.err != nil {
			return 0, r.err
		}
		r.fill()
	}
	n := copy(p, r.out[r.pos:])
	r.pos += n
	return n, nil
}

func (r *Reader) fill() {
	if r.in == nil {
		r.in = make([]byte, firstBlock)
		r.out = make([]byte, 0, firstBlock*3/2) // kanji grow by half
	}
	r.s.drop = r.DropControls
	n, err := io.ReadAtLeast(r.src, r.in, 1)
	if n == len(r.in) && n < blockSize {
		defer func() { r.in = make([]byte, blockSize) }()
	}
	r.err = err
	// A source that breaks off has ended too: what it gave is decoded to the
	// last byte, and its error follows.
	r.out = r.s.feed(r.out[:0], r.in[:n], err != nil)
	r.pos = 0
}

// Result reports how the text was decoded so far; it is final once Read has
// returned an error. Its Text is empty.
func (r *Reader) Result() Result {
	return r.s.result()
}
