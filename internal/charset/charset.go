// Package charset turns the text of mail into UTF-8. In comes a label, which
// is what the sender claims, and bytes; out goes UTF-8, with the name of the
// charset that was really used and a count of everything that could not be
// kept as it was.
//
// Japanese mail needs more than a table of labels. What is called iso-2022-jp
// is mostly CP50221 (half-width kana, ①, ㈱, 髙); Shift_JIS means CP932; and
// the label is often missing or wrong. So the package has its own decoders for
// the three Japanese encodings and UTF-7, takes the others from x/text, and
// looks at the bytes before it believes a label. Characters are those of
// Windows (U+FF5E for the wave dash), since that is what nearly all senders
// typed and what readers' machines print.
//
// U+FFFD stands only where bytes were illegal. Legal code points that have no
// meaning outside the sender's machine (user-defined characters, 外字) become
// the geta mark 〓, which is what Japanese printers have always set for them.
//
// The package decides nothing about danger and knows no markup: text must be
// decoded first and examined afterwards, and what is examined must be what is
// sent on.
package charset

import (
	"strings"
	"unicode/utf8"
)

// Geta is what stands in the text for a user-defined character.
const Geta = '〓'

// window is how many bytes a decision about the charset may look at, from the
// first byte that is not plain ASCII. Detection has to be bounded because
// bodies are streamed; 64 KiB are some 20,000 kanji, far more than the
// statistics need.
const window = 64 << 10

// Result says how a piece of text was decoded.
type Result struct {
	Text         string // valid UTF-8; empty in what a Reader reports
	Charset      string // canonical name of the charset really used; us-ascii when nothing else occurred
	Label        string // canonical name of the label, "" when it was missing or unknown
	Replaced     int    // illegal sequences that became U+FFFD
	UserDefined  int    // user-defined characters that became Geta
	Stripped     int    // escape sequences without meaning that were taken out
	Dropped      int    // control characters dropped on request
	Contradicted bool   // the label was known, and the bytes said otherwise
}

// Exact reports whether every character of the source is in the text.
func (r Result) Exact() bool {
	return r.Replaced == 0 && r.UserDefined == 0
}

// Decode decodes b, which the sender labelled as label. It never fails: what
// is illegal becomes U+FFFD and is counted.
func Decode(label string, b []byte) Result {
	s := newStream(label)
	// The copy for the string is the only allocation that grows with b.
	out := s.feed(make([]byte, 0, len(b)+len(b)/2+16), b, true)
	r := s.result()
	r.Text = string(out)
	return r
}

// DecodeString is Decode for a string.
func DecodeString(label, b string) Result {
	return Decode(label, []byte(b))
}

// DecodeAs decodes b in the charset name, a canonical one, whatever its bytes
// look like. It is for callers that compare several readings of the same
// bytes; an unknown name falls back to Decode.
func DecodeAs(name string, b []byte) Result {
	e := lookup(name)
	if e == nil {
		return Decode("", b)
	}
	s := &stream{label: e, started: true}
	s.use(e)
	out := s.feed(make([]byte, 0, len(b)+len(b)/2+16), b, true)
	r := s.result()
	r.Text = string(out)
	return r
}

// Detect names the charset that b seems to be written in, judged by the bytes
// alone. Text of nothing but ASCII is us-ascii.
func Detect(b []byte) string {
	if e := unmarked(b); e != nil {
		return e.name
	}
	i := informative(b, nil)
	if i < 0 {
		return ascii.name
	}
	return choose(nil, cut(b[i:]), len(b)-i > window).name
}

// Known returns the canonical name of a charset label, and whether it is one
// that can be decoded.
func Known(label string) (string, bool) {
	e := lookup(label)
	if e == nil {
		return "", false
	}
	return e.name, true
}

// Sanitize drops what has no place in text: NUL and the other C0 controls but
// TAB, CR and LF, DEL, and the C1 controls. It returns how many it dropped.
func Sanitize(s string) (string, int) {
	i := strings.IndexFunc(s, control)
	if i < 0 {
		return s, 0
	}
	out, n := dropControls([]byte(s), i)
	return string(out), n
}

func control(r rune) bool {
	switch {
	case r == '\t' || r == '\r' || r == '\n':
		return false
	case r < 0x20 || 0x7f <= r && r < 0xa0:
		return true
	}
	return false
}

// dropControls takes the controls out of b in place, from offset from on. It
// keeps every other byte as it is, legal UTF-8 or not.
func dropControls(b []byte, from int) ([]byte, int) {
	// Most texts have none.
	for from < len(b) && b[from] != 0xc2 && (b[from] >= utf8.RuneSelf || !control(rune(b[from]))) {
		from++
	}
	w, dropped := from, 0
	for i := from; i < len(b); {
		c := b[i]
		size := 1
		r := rune(c)
		if c == 0xc2 && i+1 < len(b) {
			r, size = utf8.DecodeRune(b[i:])
			if r == utf8.RuneError {
				r = ' '
			}
		} else if c >= utf8.RuneSelf {
			r = ' '
		}
		if control(r) {
			dropped++
		} else {
			w += copy(b[w:], b[i:i+size])
		}
		i += size
	}
	return b[:w], dropped
}

func cut(b []byte) []byte {
	return b[:min(len(b), window)]
}
