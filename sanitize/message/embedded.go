package message

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"sekisho/internal/encoded"
)

// A cut is a stretch of a text that is not text: a file that programs take out
// of it, or could. Offsets are those of the decoded text.
type cut struct {
	span
	what sight
	name string // as it stands in the text
	mute bool   // nothing that a reader misses
	data []byte // the file, when it could be decoded; of BinHex the lines themselves
}

// embedded finds the files inside a text: uuencoded and yEnc ones, which
// Outlook and others show as attachments, and runs of base64 that open like a
// file, which a text that quotes a whole mail has. size is about how long it is.
func embedded(r io.Reader, size int64) ([]cut, error) {
	e := &embedder{br: bufio.NewReaderSize(r, int(min(max(size, 512), 64<<10)))}
	for {
		b, start, err := e.line()
		if err != nil {
			if errors.Is(err, io.EOF) {
				return e.cuts, nil
			}
			return nil, err
		}
		if start == 0 {
			// Marks of byte order are not written on.
			for bytes.HasPrefix(b, []byte("\ufeff")) {
				b = b[len("\ufeff"):]
			}
		}
		if len(b) < 2 {
			continue
		}
		if bytes.HasPrefix(b, []byte("-----BEGIN PGP ")) {
			e.pgp(b, start)
			continue
		}
		if e.signed && b[0] == '-' && b[1] == ' ' && !bytes.HasPrefix(b, []byte("- -----BEGIN PGP ")) {
			// RFC 9580, 7.2: lines that begin with a dash have one put before.
			e.cuts = append(e.cuts, cut{span: span{start, start + 2}, what: sawPGP, mute: true})
			continue
		}
		switch {
		case b[0] == 'b' && encoded.UUBegin(b):
			e.uu(b, start)
		case b[0] == 'b' && oddBegin(b), b[0] == 'M' && fullLine(b):
			e.oddUU(b, start)
		case b[0] == '=' && yencBegin(b):
			e.yenc(b, start)
		case b[0] == '(' && bytes.HasPrefix(b, []byte(binHexMark)):
			e.binHex(b, start)
		default:
			if q := unquoted(b); len(q) >= 16 && base64Line(q, false) && encodesFile(q) {
				e.run(start)
			} else if i := program(b); i > 0 {
				e.run(start + int64(i))
			}
		}
	}
}

// unquoted is a line without the marks of an answer and without indentation,
// which whoever copies a file out of a text leaves behind.
func unquoted(b []byte) []byte { return bytes.TrimLeft(b, " \t>|") }

// program returns where in a line base64 of a program begins, -1 when nowhere.
// In the middle of a line nothing else counts: addresses carry tokens that
// begin like an archive.
func program(b []byte) int {
	const (
		least       = 40 // octets of base64: the header of a program
		headerZeros = 4  // of which is mostly zeros; MZ begins tokens, too
	)
	for i := 0; i+least <= len(b); {
		n := 0
		for i+n < len(b) && base64Line(b[i+n:i+n+1], true) {
			n++
		}
		if n >= least {
			var out [least]byte
			m, _ := base64.StdEncoding.Decode(out[:], b[i:i+least])
			if bytes.HasPrefix(out[:m], []byte("MZ")) && bytes.Count(out[:m], []byte{0}) >= headerZeros || bytes.HasPrefix(out[:m], []byte("\x7fELF")) {
				return i
			}
		}
		i += n + 1
	}
	return -1
}

type embedder struct {
	br     *bufio.Reader
	off    int64 // behind what was read
	unread []byte
	size   int64 // of the line last read, with its end
	back   bool
	signed bool // inside of a text signed by PGP
	cuts   []cut
}

// longHead is what is looked at of a line that no buffer holds.
const longHead = 4 << 10

// line returns the next line without its end; of a very long one the
// beginning. It is valid until the next call.
func (e *embedder) line() ([]byte, int64, error) {
	if e.back {
		e.back = false
		start := e.off
		e.off += e.size
		return trimEnd(e.unread), start, nil
	}
	start := e.off
	b, err := e.br.ReadSlice('\n')
	e.off += int64(len(b))
	if errors.Is(err, bufio.ErrBufferFull) {
		b = bytes.Clone(b[:min(len(b), longHead)])
	}
	for errors.Is(err, bufio.ErrBufferFull) {
		var more []byte
		more, err = e.br.ReadSlice('\n')
		e.off += int64(len(more))
	}
	e.size = e.off - start
	if err != nil && (len(b) == 0 || !errors.Is(err, io.EOF)) {
		return nil, start, err
	}
	e.unread = b
	return trimEnd(b), start, nil
}

// putBack returns the line just read.
func (e *embedder) putBack() {
	e.unread = bytes.Clone(e.unread)
	e.off -= e.size
	e.back = true
}

func trimEnd(b []byte) []byte { return bytes.TrimRight(b, "\r\n") }

// uu takes a uuencoded file, whose first line has been read.
func (e *embedder) uu(first []byte, start int64) {
	f := bytes.SplitN(first, []byte(" "), 3)
	c := cut{what: sawUU}
	if len(f) == 3 {
		c.name = string(bytes.TrimSpace(f[2]))
	}
	b64 := bytes.HasPrefix(first, []byte("begin-base64"))
	end := e.off
	for {
		b, _, err := e.line()
		if err != nil {
			break
		}
		if string(bytes.TrimSpace(b)) == "end" && !b64 || b64 && bytes.HasPrefix(b, []byte("====")) {
			end = e.off
			break
		}
		var ok bool
		if b64 {
			var out []byte
			if ok = len(b) > 0 && base64Line(b, false); ok {
				out, _ = base64.RawStdEncoding.AppendDecode(nil, bytes.TrimRight(b, "= \t"))
			}
			c.data = append(c.data, out...)
		} else {
			c.data, ok = uuLine(c.data, b)
		}
		if !ok {
			e.putBack()
			break
		}
		end = e.off
	}
	if len(c.data) == 0 {
		return // words that happen to begin like this
	}
	c.span = span{start, end}
	e.cuts = append(e.cuts, c)
}

// yencBegin reports the first line of a yEnc file.
func yencBegin(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("=ybegin"))
	return ok && len(rest) > 0 && (rest[0] == ' ' || rest[0] == '\t')
}

// oddBegin reports a first line that no standard knows and some program takes:
// two spaces and a name, a mode that is none, no name.
func oddBegin(b []byte) bool {
	rest, ok := bytes.CutPrefix(b, []byte("begin"))
	if !ok || len(rest) == 0 || rest[0] != ' ' && rest[0] != '\t' {
		return false
	}
	mode := bytes.TrimLeft(rest, " \t")
	return len(rest)-len(mode) > 1 || len(mode) > 0 && mode[0] >= '0' && mode[0] <= '9'
}

// fullLine reports a line of 45 octets in uuencode, of which every file but a
// tiny one has many. Prose has small letters.
func fullLine(b []byte) bool {
	if len(b) < 61 || len(b) > 62 {
		return false
	}
	_, ok := uuLine(nil, b)
	return ok
}

// oddUU takes lines of uuencode that have an odd first line, or none: some
// program passes over what stands before them. Words may look like one such
// line, so it asks for several, the first of the length that it says and all but
// the last of that one.
func (e *embedder) oddUU(first []byte, start int64) {
	c := cut{span: span{start, 0}, what: sawUU}
	var length byte
	lines := 0
	take := func(b []byte) bool {
		n := int(b[0]-' ') & 63
		over := len(b) - 1 - (n+2)/3*4
		switch {
		case n == 0, over > 1, lines == 0 && over < 0, lines > 0 && b[0] > length:
			return false
		}
		data, ok := uuLine(c.data, b)
		if ok {
			c.data, length, c.end = data, b[0], e.off
			lines++
		}
		return ok
	}
	if first[0] == 'M' {
		take(first)
	}
	for {
		b, _, err := e.line()
		if err != nil {
			break
		}
		if lines > 0 && (len(b) == 0 || string(b) == "`" || string(b) == " ") {
			continue
		}
		if lines > 0 && string(b) == "end" {
			c.end = e.off
			break
		}
		if len(b) < 2 || !take(b) {
			e.putBack()
			break
		}
	}
	const least = 40 // octets
	if lines > 1 && len(c.data) >= least {
		e.cuts = append(e.cuts, c)
	}
}

// uuLine decodes one line behind dst.
func uuLine(dst, b []byte) ([]byte, bool) {
	if len(b) == 0 {
		return dst, true
	}
	n := int(b[0]-' ') & 63
	if b[0] < ' ' || b[0] > '`' {
		return dst, false
	}
	b = b[1:]
	// Trailing spaces, which are zeros, are often lost on the way; a checksum
	// character may follow.
	want := (n + 2) / 3 * 4
	if len(b) > want+4 || len(b) < want-3 && n > 0 && len(b) < n {
		return dst, false
	}
	for _, c := range b {
		if c < ' ' || c > '`' {
			return dst, false
		}
	}
	at := func(i int) byte {
		if i < len(b) {
			return (b[i] - ' ') & 63
		}
		return 0
	}
	for i := 0; n > 0; i += 4 {
		q := [3]byte{at(i)<<2 | at(i+1)>>4, at(i+1)<<4 | at(i+2)>>2, at(i+2)<<6 | at(i+3)}
		dst = append(dst, q[:min(n, 3)]...)
		n -= 3
	}
	return dst, true
}

// pgp takes the armour of PGP, whose first line has been read: around a signed
// text, whose signature is worth nothing once the text is written anew, or of
// an encrypted message, which is a file nobody can look into.
func (e *embedder) pgp(first []byte, start int64) {
	switch string(bytes.TrimRight(first, " \t")) {
	case "-----BEGIN PGP SIGNED MESSAGE-----":
		// Its own header ends at an empty line.
		end := e.off
		for range 10 {
			// One that ends here is one all the same: whoever writes the text on
			// ends its line.
			b, _, err := e.line()
			end = e.off
			if err != nil || len(bytes.TrimSpace(b)) == 0 {
				e.signed = true
				e.cuts = append(e.cuts, cut{span: span{start, end}, what: sawPGP, mute: true})
				return
			}
			if !bytes.Contains(b, []byte(": ")) {
				return
			}
		}
	case "-----BEGIN PGP SIGNATURE-----":
		if !e.signed {
			return
		}
		e.signed = false
		c := cut{what: sawPGP, mute: true}
		c.start = start
		c.end = e.armour(nil)
		e.cuts = append(e.cuts, c)
	case "-----BEGIN PGP MESSAGE-----":
		c := cut{what: sawPGP, name: "message.asc"}
		c.start = start
		c.data = append(bytes.Clone(first), '\n')
		c.end = e.armour(&c.data)
		e.cuts = append(e.cuts, c)
	}
}

// armour reads to the end of an armour and gives where that is.
func (e *embedder) armour(data *[]byte) int64 {
	end := e.off
	for {
		b, _, err := e.line()
		if err != nil {
			return end
		}
		end = e.off
		if data != nil {
			*data = append(append(*data, b...), '\n')
		}
		if bytes.HasPrefix(b, []byte("-----END PGP ")) {
			return end
		}
	}
}

// binHex takes the lines of a BinHex file, whose first has been read. They are
// decoded by who has the budget for it.
func (e *embedder) binHex(first []byte, start int64) {
	c := cut{what: sawBinHex, data: append(bytes.Clone(first), '\n')}
	for {
		b, _, err := e.line()
		if err != nil {
			break
		}
		t := bytes.TrimSpace(b)
		if c.end == 0 && len(t) == 0 {
			continue
		}
		if c.end == 0 && t[0] != ':' {
			e.putBack()
			return // words that speak of BinHex
		}
		if len(t) == 0 {
			break // the file has ended before its colon
		}
		closed := t[len(t)-1] == ':' && (c.end > 0 || len(t) > 1)
		c.data, c.end = append(append(c.data, t...), '\n'), e.off
		if closed {
			break
		}
	}
	if c.end == 0 {
		return
	}
	c.start = start
	e.cuts = append(e.cuts, c)
}

// yenc takes a yEnc file, whose first line has been read.
func (e *embedder) yenc(first []byte, start int64) {
	c := cut{what: sawYEnc}
	if _, name, ok := bytes.Cut(first, []byte(" name=")); ok {
		c.name = string(bytes.TrimSpace(name))
	}
	end := e.off
	for {
		b, _, err := e.line()
		if err != nil {
			break
		}
		end = e.off
		if bytes.HasPrefix(b, []byte("=yend")) {
			break
		}
		if bytes.HasPrefix(b, []byte("=ypart ")) {
			continue
		}
		c.data = yencLine(c.data, b)
	}
	c.span = span{start, end}
	e.cuts = append(e.cuts, c)
}

// yencLine decodes one line behind dst.
func yencLine(dst, b []byte) []byte {
	for i := 0; i < len(b); i++ {
		v := b[i]
		if v == '=' && i+1 < len(b) {
			i++
			v = b[i] - 64
		}
		dst = append(dst, v-42)
	}
	return dst
}

// run takes a run of base64 lines, the first of which has been read.
func (e *embedder) run(start int64) {
	end := e.off
	for {
		b, _, err := e.line()
		if err != nil {
			break
		}
		if q := unquoted(b); len(q) == 0 || !base64Line(q, false) {
			e.putBack()
			break
		}
		end = e.off
	}
	e.cuts = append(e.cuts, cut{span: span{start, end}, what: sawBase64})
}

// unencoded takes files out of a text as it will be written. Characters that go
// on the way, and lines that are joined or come from HTML, can make one where
// none was in the octets that came. found is how many there were.
func unencoded(text []byte) (clean []byte, found int, err error) {
	// What is taken out can bring more together; each round makes it shorter,
	// and no honest text needs two.
	for range 8 {
		cuts, err := embedded(bytes.NewReader(text), int64(len(text)))
		if err != nil || len(cuts) == 0 {
			return text, found, err
		}
		for _, c := range cuts {
			if !c.mute {
				found++
			}
		}
		var b bytes.Buffer
		if _, err := b.ReadFrom(without(bytes.NewReader(text), cuts)); err != nil {
			return nil, found, err
		}
		text = b.Bytes()
	}
	return nil, found, errEndless
}

// noneEncoded fails when a text too long to keep holds such a file.
func (w *work) noneEncoded(write func(io.Writer) error) error {
	sc := &sightWriter{sc: newScanner()}
	if err := write(sc); err != nil {
		return err
	}
	sc.sc.endLine()
	for _, s := range sc.sc.found {
		switch s.what {
		case sawUU, sawYEnc, sawBinHex, sawBase64:
			return errEndless
		}
	}
	return nil
}

var errEndless = errors.New("a file encoded in the text, once it is written anew")

// sightWriter has the union scanner look at what is written.
type sightWriter struct {
	sc  *scanner
	off int64
}

func (s *sightWriter) Write(p []byte) (int, error) {
	s.sc.write(p, s.off)
	s.off += int64(len(p))
	return len(p), nil
}

// gap stands in a text where something was cut out. It tells the reader, and it
// keeps what stood before from joining what stood behind: "begin" lines and
// data that were no file apart must not become one.
const gap = "[...]\r\n"

// without returns a reader over r that leaves the cuts out. They must be in
// order.
func without(r io.Reader, cuts []cut) io.Reader {
	if len(cuts) == 0 {
		return r
	}
	return &cutReader{r: r, cuts: cuts}
}

type cutReader struct {
	r    io.Reader
	off  int64
	cuts []cut
	gap  string // of the gap just reached, what is still to be read
}

func (c *cutReader) Read(p []byte) (int, error) {
	if len(c.gap) == 0 && len(c.cuts) > 0 && c.off >= c.cuts[0].start {
		n, err := io.CopyN(io.Discard, c.r, c.cuts[0].end-c.off)
		c.off += n
		if err != nil {
			return 0, err
		}
		if !c.cuts[0].mute {
			c.gap = gap
		}
		c.cuts = c.cuts[1:]
	}
	if len(c.gap) > 0 {
		n := copy(p, c.gap)
		c.gap = c.gap[n:]
		return n, nil
	}
	if len(c.cuts) > 0 {
		if room := c.cuts[0].start - c.off; int64(len(p)) > room {
			p = p[:room]
		}
	}
	n, err := c.r.Read(p)
	c.off += int64(n)
	return n, err
}
