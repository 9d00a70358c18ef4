package message

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"unicode/utf8"

	"sekisho/internal/encoded"
)

// The union scanner. It reads raw octets and nothing else: no header, no
// boundary that anybody declared, no encoding. It ends a line at LF, at CR and
// at CRLF, and notes everything that some program could take for a piece of a
// mail: a delimiter with a header behind it, a Content- field, a file encoded
// as text, the signature of a file. What the strict tree did not account for
// among it makes the message ambiguous. It shares no code with the tree, so
// that one mistake does not blind both.

// sight is what the scanner takes something for.
type sight uint8

const (
	sawBoundary sight = iota + 1 // a line of "--" and a header line behind it
	sawHeader                    // a Content-Type, -Disposition or -Transfer-Encoding field
	sawBase64                    // base64 that opens like a file
	sawUU                        // a uuencoded file
	sawYEnc                      // a yEnc file
	sawBinHex                    // a BinHex file
	sawFile                      // a file's signature, raw
	sawPGP                       // the armour of PGP, which only a text is searched for
)

func (s sight) String() string {
	switch s {
	case sawBoundary:
		return "delimiter"
	case sawHeader:
		return "header field"
	case sawBase64:
		return "base64 of a file"
	case sawUU:
		return "uuencoded file"
	case sawYEnc:
		return "yEnc file"
	case sawBinHex:
		return "BinHex file"
	case sawFile:
		return "file signature"
	case sawPGP:
		return "PGP armour"
	default:
		return "something"
	}
}

type sighting struct {
	what sight
	off  int64
}

// maxSightings bounds what is noted; the first are enough to hold a message,
// and a message of honest parts has four for each.
const maxSightings = 20_000

// scanner takes octets in pieces and sees lines.
type scanner struct {
	found []sighting
	line  [scanLine]byte // the beginning of the line
	n     int            // how much of it is there
	long  bool           // the line is longer
	start int64
	// What the line before was: a delimiter needs a header behind it.
	dashes int64 // where a line of "--" began, -1
	inRun  bool  // the line before was base64 too
	cr     bool
}

// scanLine is how much of a line is judged.
const scanLine = 256

func newScanner() *scanner { return &scanner{dashes: -1} }

// scan reads all of r, which is about size octets long.
func scan(r io.Reader, size int64) ([]sighting, error) {
	sc := newScanner()
	off := int64(0)
	buf := make([]byte, min(max(size, 512), 32<<10))
	for {
		n, err := r.Read(buf)
		sc.write(buf[:n], off)
		off += int64(n)
		if errors.Is(err, io.EOF) {
			sc.endLine()
			return sc.found, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func (sc *scanner) write(p []byte, off int64) {
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		if j := bytes.IndexByte(p[:max(i, 0)], '\r'); j >= 0 {
			i = j
		} else if i < 0 {
			i = bytes.IndexByte(p, '\r')
		}
		if i < 0 {
			sc.take(p)
			return
		}
		sc.take(p[:i])
		// The LF of a CRLF ends an empty line, which is as good as none.
		sc.endLine()
		p, off = p[i+1:], off+int64(i)+1
		sc.start = off
	}
}

func (sc *scanner) take(p []byte) {
	n := copy(sc.line[sc.n:], p)
	sc.n += n
	sc.long = sc.long || n < len(p)
}

func (sc *scanner) saw(w sight, off int64) {
	if len(sc.found) < maxSightings {
		sc.found = append(sc.found, sighting{w, off})
	}
}

func (sc *scanner) endLine() {
	b := sc.line[:sc.n]
	long := sc.long
	sc.n, sc.long = 0, false
	if len(b) == 0 {
		return
	}
	run := false
	switch c := b[0]; {
	case c == '-' && len(b) > 2 && b[1] == '-':
		sc.dashes = sc.start
		return
	case (c == 'C' || c == 'c') && contentField(b):
		if sc.dashes >= 0 {
			sc.saw(sawBoundary, sc.dashes)
		}
		sc.saw(sawHeader, sc.start)
	case c == 'b' && encoded.UUBegin(b):
		sc.saw(sawUU, sc.start)
	case c == '=' && yencBegin(b):
		sc.saw(sawYEnc, sc.start)
	case c == '(' && bytes.Contains(b, []byte("BinHex")):
		sc.saw(sawBinHex, sc.start)
	default:
		if len(b) >= 16 && base64Line(b, long) {
			run = true
			if !sc.inRun && encodesFile(b) {
				sc.saw(sawBase64, sc.start)
			}
		} else if fileSignature(b) && binary(b) {
			sc.saw(sawFile, sc.start)
		}
	}
	sc.dashes = -1
	sc.inRun = run
}

// contentField recognises the fields that make a part, however they are
// spaced.
func contentField(b []byte) bool {
	name, _, ok := bytes.Cut(b, []byte(":"))
	if !ok {
		return false
	}
	name = bytes.ToLower(bytes.TrimSpace(name))
	switch string(name) {
	case "content-type", "content-transfer-encoding", "content-disposition":
		return true
	}
	return false
}

func base64Line(b []byte, long bool) bool {
	if !long {
		b = bytes.TrimRight(b, "= \t")
	}
	for _, c := range b {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '+', c == '/':
		default:
			return false
		}
	}
	return true
}

// encodesFile reports whether a line of base64 opens like a file.
func encodesFile(b []byte) bool {
	var out [48]byte
	n := min(len(b), 64) &^ 3
	m, err := base64.StdEncoding.Decode(out[:], b[:n])
	if err != nil && m == 0 {
		return false
	}
	return fileSignature(out[:m])
}

// signatures are the first octets of files that do something.
var signatures = [][]byte{
	[]byte("MZ"), []byte("PK\x03\x04"), []byte("PK\x05\x06"), []byte("%PDF-"), []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), []byte("{\\rt"), []byte("Rar!\x1a"),
	[]byte("7z\xbc\xaf\x27\x1c"), []byte("\x7fELF"), []byte("\xca\xfe\xba\xbe"), []byte("\x1f\x8b\x08"), []byte("BZh"), []byte("\xfd7zXZ"), []byte("MSCF"), []byte("ITSF"),
	[]byte("L\x00\x00\x00\x01\x14\x02\x00"), []byte("\xe4\x52\x5c\x7b"), []byte("GIF8"), []byte("\x89PNG"), []byte("\xff\xd8\xff"), []byte("x\x9f\x3e\x22"), []byte("<?xml"), []byte("FWS"), []byte("CWS"),
	[]byte("#!"),
}

// fileSignature reports whether b opens like a file. Two letters alone say
// nothing: what follows must not be prose.
func fileSignature(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, s := range signatures {
		if s[0] == b[0] && bytes.HasPrefix(b, s) && (len(s) > 3 || binary(b)) {
			return true
		}
	}
	if b[0] > '<' && b[0] < utf8.RuneSelf {
		return false // as most lines begin
	}
	b = bytes.TrimLeft(b, " \t\r\n\xef\xbb\xbf")
	return len(b) > 5 && b[0] == '<' && (hasFold(b, "<html") || hasFold(b, "<script") || hasFold(b, "<!doctype html") || hasFold(b, "<job"))
}

func hasFold(b []byte, s string) bool {
	return len(b) >= len(s) && bytes.EqualFold(b[:len(s)], []byte(s))
}

// binary reports whether b holds octets that no text has.
func binary(b []byte) bool {
	for _, c := range b {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != 0x1b && c != '\f' {
			return true
		}
	}
	return false
}
