package outlook

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"sekisho/internal/charset"
	"sekisho/sanitize"
)

// dictionary is what the compression begins with. [MS-OXRTFCP] 2.1.2.1.
const dictionary = `{\rtf1\ansi\mac\deff0\deftab720{\fonttbl;}{\f0\fnil \froman \fswiss \fmodern \fscript \fdecor MS Sans SerifSymbolArialTimes New RomanCourier{\colortbl\red0\green0\blue0` +
	"\r\n" + `\par \pard\plain\f0\fs20\b\i\u\tab\tx`

// decompress unpacks the compressed rich text of a message. [MS-OXRTFCP] 2.2.
func decompress(s *sanitize.Session, b []byte) ([]byte, error) {
	if len(b) < 16 {
		return nil, errShort
	}
	raw := int64(binary.LittleEndian.Uint32(b[4:]))
	switch kind := binary.LittleEndian.Uint32(b[8:]); kind {
	case 0x414C454D: // not compressed
		return b[16:][:min(raw, int64(len(b)-16))], nil
	case 0x75465A4C:
	default:
		return nil, fmt.Errorf("rich text packed by %#08x: %w", kind, sanitize.ErrMalformed)
	}
	// Nine bytes make 136 at most; what claims more claims too much.
	if raw > int64(len(b))*17 {
		return nil, fmt.Errorf("rich text of %d bytes from %d: %w", raw, len(b), sanitize.ErrMalformed)
	}
	if err := s.Spend(raw); err != nil {
		return nil, err
	}
	var ring [4096]byte
	w := copy(ring[:], dictionary)
	out := make([]byte, 0, raw)
	put := func(c byte) {
		out = append(out, c)
		ring[w] = c
		w = (w + 1) % len(ring)
	}
	in := b[16:]
	for len(in) > 0 && int64(len(out)) < raw {
		control := in[0]
		in = in[1:]
		for bit := range 8 {
			if int64(len(out)) >= raw {
				break
			}
			if control&(1<<bit) == 0 {
				if len(in) < 1 {
					return nil, errShort
				}
				put(in[0])
				in = in[1:]
				continue
			}
			if len(in) < 2 {
				return nil, errShort
			}
			ref := int(in[0])<<8 | int(in[1])
			in = in[2:]
			from, n := ref>>4, ref&0xF+2
			if from == w {
				return out, nil // the mark of the end
			}
			for range n {
				put(ring[from])
				from = (from + 1) % len(ring)
			}
		}
	}
	return out[:min(int64(len(out)), raw)], nil
}

// group is the state of one RTF group.
type group struct {
	skip    bool   // a destination that is no text
	tag     bool   // \*\htmltag: HTML of the original
	hidden  bool   // \htmlrtf: for readers of RTF only
	uc      int    // characters that stand for a Unicode one, for old readers
	charset string // of its font, "" for the font that is used where none is named
}

// readRTF reads the text of rich text, or the HTML that Outlook packed into it
// ([MS-OXRTFEX] 2.2); html says which it is.
func readRTF(b []byte, page string) (text string, html bool, err error) {
	const (
		maxGroups = 1000
		maxFonts  = 4096
	)
	r := rtf{fonts: map[int]string{}, base: page}
	r.stack = []group{{uc: 1}}
	for i := 0; i < len(b); {
		switch c := b[i]; c {
		case '{':
			if len(r.stack) >= maxGroups {
				return "", false, fmt.Errorf("groups more than %d deep: %w", maxGroups, sanitize.ErrLimit)
			}
			r.flush()
			r.stack = append(r.stack, r.top())
			r.first, r.starred = true, false
			i++
		case '}':
			r.flush()
			if len(r.stack) > 1 {
				r.stack = r.stack[:len(r.stack)-1]
			}
			r.first, r.starred, r.eat = false, false, 0
			i++
		case '\\':
			i += r.control(b[i:], maxFonts)
		case '\r', '\n':
			i++
		default:
			j := i
			for j < len(b) && b[j] != '{' && b[j] != '}' && b[j] != '\\' && b[j] != '\r' && b[j] != '\n' {
				j++
			}
			r.first = false
			r.octets(b[i:j])
			if j < len(b) && r.half && b[j] != '\r' && b[j] != '\n' && r.encoding() == "cp932" {
				// The brace or backslash is the second half of a Japanese character:
				// programs that wrote octets as they are wrote these so.
				r.octets(b[j : j+1])
				j++
			}
			i = j
		}
	}
	r.flush()
	return r.out.String(), r.fromHTML, nil
}

type rtf struct {
	stack    []group
	fonts    map[int]string // their charset
	font     int            // being defined, in \fonttbl
	inFonts  int            // depth of \fonttbl, 0 outside
	base     string
	fromHTML bool
	first    bool // at the beginning of a group
	starred  bool // \* was read
	eat      int  // characters that the last \u replaces
	pending  []byte
	half     bool // the last octet that waits is the first half of a Japanese character
	deff     int  // the font where none is named
	high     rune // the first half of a pair
	out      strings.Builder
}

func (r *rtf) top() group   { return r.stack[len(r.stack)-1] }
func (r *rtf) edit() *group { return &r.stack[len(r.stack)-1] }

// shows reports whether text here is the reader's.
func (r *rtf) shows() bool {
	g := r.top()
	switch {
	case g.skip, g.hidden:
		return false
	case r.fromHTML:
		return true // in \htmltag the HTML, between them its text
	default:
		return !g.tag
	}
}

// octets takes characters of the document's charset.
func (r *rtf) octets(b []byte) {
	for len(b) > 0 && r.eat > 0 {
		b, r.eat = b[1:], r.eat-1
	}
	if len(b) == 0 || !r.shows() {
		r.half = false
		return
	}
	for _, c := range b {
		r.half = !r.half && (c >= 0x81 && c <= 0x9F || c >= 0xE0 && c <= 0xFC)
	}
	r.pending = append(r.pending, b...)
}

// encoding is the charset of octets at this place.
func (r *rtf) encoding() string {
	g := r.top()
	switch cs, known := r.fonts[r.deff]; {
	case r.fromHTML && g.tag:
		return r.base // HTML has no font
	case g.charset != "":
		return g.charset
	case known && cs != "windows-1252":
		return cs // a font of another alphabet than that of the file says more
	default:
		return r.base
	}
}

func (r *rtf) flush() {
	if len(r.pending) > 0 {
		cs := r.encoding()
		if cs == "windows-1252" && charset.Pairs(r.pending) {
			// Programs name a Latin font for Japanese text and leave it to Windows
			// to find another.
			switch r.base {
			case "cp932", "gb18030", "euc-kr", "big5":
				cs = r.base
			}
		}
		r.out.WriteString(charset.Decode(cs, r.pending).Text)
		r.pending = r.pending[:0]
	}
	r.half = false
}

func (r *rtf) write(s string) {
	r.flush()
	if r.shows() {
		r.out.WriteString(s)
	}
}

// control reads one control word or symbol and returns its length.
func (r *rtf) control(b []byte, maxFonts int) int {
	if len(b) < 2 {
		return len(b)
	}
	first, starred := r.first, r.starred
	r.first, r.starred = false, false
	c := b[1]
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		i := 1
		for i < len(b) && i < 40 && (b[i] >= 'a' && b[i] <= 'z' || b[i] >= 'A' && b[i] <= 'Z') {
			i++
		}
		word := string(b[1:i])
		j := i
		if j < len(b) && b[j] == '-' {
			j++
		}
		for j < len(b) && j < i+11 && b[j] >= '0' && b[j] <= '9' {
			j++
		}
		n, err := strconv.Atoi(string(b[i:j]))
		has := err == nil
		if !has {
			j = i
		}
		if j < len(b) && b[j] == ' ' {
			j++
		}
		if word == "bin" && has && n > 0 {
			r.flush()
			return min(j+n, len(b))
		}
		if r.eat > 0 && word != "u" && word != "uc" {
			r.eat--
			return j
		}
		r.word(word, n, has, first, starred, maxFonts)
		return j
	}
	switch c {
	case '\'':
		if len(b) < 4 {
			return len(b)
		}
		v, err := strconv.ParseUint(string(b[2:4]), 16, 8)
		if err != nil {
			return 2
		}
		r.octets([]byte{byte(v)})
		return 4
	case '*':
		r.first, r.starred = first, true
	case '\\', '{', '}':
		r.octets([]byte{c})
	case '~':
		r.write("\u00A0")
	case '_':
		r.write("\u2011")
	case '\r', '\n':
		r.write("\n")
	}
	return 2
}

// charsets of fonts, by \fcharset. [MS-RTF] "Font table".
var fontCharset = sync.OnceValue(func() map[int]string {
	return map[int]string{
		0: "windows-1252", 77: "macintosh", 128: "cp932", 129: "euc-kr", 134: "gb18030", 136: "big5", 161: "windows-1253", 162: "windows-1254",
		163: "windows-1258", 177: "windows-1255", 178: "windows-1256", 186: "windows-1257", 204: "windows-1251", 222: "windows-874", 238: "windows-1250",
	}
})

func (r *rtf) word(word string, n int, has, first, starred bool, maxFonts int) {
	switch word {
	case "ansicpg":
		if n > 0 {
			r.flush()
			r.base = labelOf(uint32(n))
		}
	case "deff":
		r.deff = n
	case "fromhtml":
		r.fromHTML = true
	case "fonttbl":
		r.edit().skip, r.inFonts = true, len(r.stack)
	case "htmltag", "mhtmltag":
		if starred || first {
			r.edit().tag = word == "htmltag"
			r.edit().skip = word == "mhtmltag"
		}
	case "htmlrtf":
		r.flush()
		r.edit().hidden = !has || n != 0
	case "uc":
		if n >= 0 && n < 100 {
			r.edit().uc = n
		}
	case "u":
		r.unicode(n)
	case "f":
		if r.inFonts > 0 && len(r.stack) >= r.inFonts && r.top().skip {
			r.font = n
			return
		}
		r.flush()
		if cs, ok := r.fonts[n]; ok {
			r.edit().charset = cs
		} else {
			r.edit().charset = r.base
		}
	case "fcharset":
		if cs, ok := fontCharset()[n]; ok && len(r.fonts) < maxFonts {
			r.fonts[r.font] = cs
		}
	case "plain":
		r.flush()
		r.edit().charset = ""
	case "par", "line", "sect", "page", "row":
		r.write("\n")
	case "tab", "cell":
		r.write("\t")
	case "lquote":
		r.write("‘")
	case "rquote":
		r.write("’")
	case "ldblquote":
		r.write("“")
	case "rdblquote":
		r.write("”")
	case "bullet":
		r.write("•")
	case "endash":
		r.write("–")
	case "emdash":
		r.write("—")
	case "colortbl", "stylesheet", "info", "pict", "object", "objdata", "fldinst", "header", "footer", "headerl", "headerr", "headerf", "footerl", "footerr", "footerf", "listtable", "listoverridetable", "rsidtbl", "generator", "themedata", "datastore", "filetbl", "xe", "tc", "nonshppict":
		r.edit().skip = true
	default:
		if starred {
			r.edit().skip = true // a destination that readers may pass over
		}
	}
}

// unicode takes a \u, whose number is a signed UTF-16 unit.
func (r *rtf) unicode(n int) {
	c := rune(uint16(n))
	r.eat = r.top().uc
	switch {
	case c >= 0xD800 && c < 0xDC00:
		r.high = c
		return
	case c >= 0xDC00 && c < 0xE000:
		if r.high == 0 {
			c = utf8.RuneError
		} else {
			c = 0x10000 + (r.high-0xD800)<<10 + (c - 0xDC00)
		}
	}
	r.high = 0
	eat := r.eat
	r.write(string(c))
	r.eat = eat
}
