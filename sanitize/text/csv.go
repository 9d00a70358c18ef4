package text

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho/sanitize"
)

// table finds the cells of a table in which a spreadsheet would see a formula.
//
// Where cells begin depends on who reads: Excel takes commas, or what a first
// line "sep=" names; LibreOffice takes commas, semicolons and tabs at once. A
// quotation mark that opens a cell for one is in the middle of a cell for the
// other. So the text is read in every one of these ways at the same time, and a
// cell is neutralised when it is a formula in any of them.
//
// The text itself passes through as it is, but for the apostrophes.
type table struct {
	s           *sanitize.Session
	ways        []way
	neutralised int
	out         []byte // text that waits until the cells it begins are judged
	given       []byte // what feed returned last, to be used again
	first       []byte // the beginning, until it is known whether it says "sep="
	started     bool
	extra       byte // the separator a first line names, or 0
}

// way is one way to read the table.
type way struct {
	comma, semicolon, tab bool
	extra                 byte
	state                 state
	row, col              int
	cell                  cell
}

type state uint8

const (
	atStart state = iota // a cell may begin
	inPlain              // in a cell without quotes, or behind its closing quote
	inQuotes
	afterQuote // behind a quote in quotes: the end, or half of a doubled one
)

// cell is a cell of which it is not known yet whether it is a formula.
type cell struct {
	open    bool // nothing but blanks was seen
	pos     int  // where a character in out looks like a formula's first; -1 when none does
	quoted  bool
	closing bool // a quote was seen
	danger  rune // that character
	text    [maxNumber + utf8.UTFMax]byte
	n       int
}

// begin starts a cell; the text of the last one need not be cleared.
func (c *cell) begin(quoted bool) {
	c.open, c.pos, c.quoted, c.closing, c.danger, c.n = true, -1, quoted, false, 0, 0
}

func (c *cell) active() bool { return c.open || c.pos >= 0 }

const (
	// maxNumber is the longest text, in bytes, that can still be a number or
	// a telephone number; what is longer is neither.
	maxNumber = 96
	// maxReported is how many cells are named one by one.
	maxReported = 50
)

func newTable(k sanitize.Kind, s *sanitize.Session) *table {
	t := &table{s: s}
	one := way{comma: true}
	if k == sanitize.KindTSV {
		one = way{tab: true}
	}
	t.ways = []way{one, {comma: true, semicolon: true, tab: true}}
	for i := range t.ways {
		t.ways[i].cell.pos = -1
	}
	return t
}

func (w *way) separates(c byte) bool {
	switch c {
	case ',':
		return w.comma || w.extra == c
	case ';':
		return w.semicolon || w.extra == c
	case '\t':
		return w.tab || w.extra == c
	default:
		return w.extra != 0 && w.extra == c
	}
}

// feed takes a piece of whole characters and returns what can be written. The
// result is valid until the next call.
func (t *table) feed(b []byte, done bool) []byte {
	if !t.started {
		// Enough for  "sep=;"  and a line end.
		t.first = append(t.first, b...)
		if len(t.first) < 16 && !done {
			return nil
		}
		t.started = true
		b = t.begin(t.first)
	}
	t.given = t.given[:0]
	for i := 0; i < len(b); {
		if t.idle() {
			// Nothing is under suspicion and no cell begins: pass on as far as
			// the next character that means anything.
			j := i
			for j < len(b) && !t.special(b[j]) {
				j++
			}
			if j > i {
				t.out = append(t.out, b[i:j]...)
				for k := range t.ways {
					if t.ways[k].state == afterQuote {
						t.ways[k].state = inPlain
					}
				}
				i = j
				continue
			}
		}
		r, n := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, n = utf8.DecodeRune(b[i:])
		}
		for k := range t.ways {
			t.step(&t.ways[k], r)
		}
		t.out = append(t.out, b[i:i+n]...)
		i += n
		t.release()
	}
	if done {
		for k := range t.ways {
			t.judge(&t.ways[k])
		}
	}
	t.release()
	return t.given
}

// begin looks at the first bytes: a line that names the separator, and a
// beginning that makes Excel take the table for a SYLK file.
func (t *table) begin(b []byte) []byte {
	line, _, _ := bytes.Cut(b, []byte("\n"))
	line = bytes.Trim(line, "\r\" ")
	if len(line) == 5 && bytes.EqualFold(line[:4], []byte("sep=")) && line[4] < utf8.RuneSelf {
		t.extra = line[4]
		t.ways[1].extra = t.extra
		only := way{extra: t.extra}
		only.cell.pos = -1
		t.ways = append(t.ways, only)
	} else if first, _, _ := bytes.Cut(b, []byte("\r")); !bytes.ContainsRune(first, ',') && bytes.ContainsRune(first, ';') {
		only := way{semicolon: true}
		only.cell.pos = -1
		t.ways = append(t.ways, only)
	}
	if bytes.HasPrefix(b, []byte("ID;P")) {
		b = append([]byte(`"ID"`), b[2:]...)
	}
	return b
}

// idle reports that no cell is under suspicion and none can begin.
func (t *table) idle() bool {
	for i := range t.ways {
		if t.ways[i].cell.active() || t.ways[i].state == atStart {
			return false
		}
	}
	return true
}

func (t *table) special(c byte) bool {
	switch c {
	case ',', ';', '\t', '\r', '\n', '"':
		return true
	default:
		return t.extra != 0 && c == t.extra
	}
}

// step moves one way of reading by one character, which is not yet in out.
func (t *table) step(w *way, r rune) {
	sep := r < utf8.RuneSelf && w.separates(byte(r))
	end := sep || r == '\r' || r == '\n'
	if w.cell.active() {
		t.suspect(w, r)
	}
	switch w.state {
	case atStart:
		switch {
		case end:
		case r == '"':
			w.state = inQuotes
			w.cell.begin(true)
		default:
			w.state = inPlain
			w.cell.begin(false)
			t.suspect(w, r)
		}
	case inPlain:
		if end {
			w.state = atStart
		}
	case inQuotes:
		if r == '"' {
			w.state = afterQuote
		}
		return // line ends are part of the cell
	case afterQuote:
		switch {
		case r == '"':
			w.state = inQuotes
		case end:
			w.state = atStart
		default:
			w.state = inPlain
		}
	}
	switch {
	case sep:
		w.col++
	case r == '\n':
		w.row++
		w.col = 0
	}
}

// suspect adds a character to the cell under suspicion and judges it when it
// ends or is known to be harmless.
func (t *table) suspect(w *way, r rune) {
	c := &w.cell
	if c.quoted && c.closing && r != '"' {
		// Excel joins what follows the closing quote to the cell: ""=1+1 is
		// computed.
		c.quoted = false
	}
	switch {
	case c.quoted && r == '"' && !c.closing:
		c.closing = true
		return
	case c.quoted:
		c.closing = false
	case r == '\r' || r == '\n' || r < utf8.RuneSelf && (w.separates(byte(r)) || c.danger != 0 && t.special(byte(r)) && r != '"'):
		t.judge(w)
		return
	}
	if c.open {
		switch {
		case blank(r):
			return
		case !dangerous(r):
			c.open = false
			return
		}
		c.open, c.danger, c.pos = false, r, len(t.out)
	}
	if c.n < maxNumber {
		c.n += utf8.EncodeRune(c.text[c.n:], r)
	}
	if c.n >= maxNumber {
		t.judge(w)
	}
}

// judge ends the suspicion: a number goes free, anything else gets an
// apostrophe before the character that makes it a formula. Blanks before it are
// left, whether a program skips them or not.
func (t *table) judge(w *way) {
	c := &w.cell
	pos := c.pos
	c.open, c.pos = false, -1
	if pos < 0 || c.n < maxNumber && number(string(c.text[:c.n])) {
		return
	}
	t.out = append(t.out, 0)
	copy(t.out[pos+1:], t.out[pos:])
	t.out[pos] = '\''
	for i := range t.ways {
		switch o := &t.ways[i].cell; {
		case o.pos == pos:
			o.pos = -1 // it has its apostrophe
		case o.pos > pos:
			o.pos++
		}
	}
	if t.neutralised++; t.neutralised <= maxReported {
		t.s.Found(sanitize.Finding{
			Rule: "csv.formula", Where: address(w.row, w.col), Action: sanitize.Neutralised,
			Detail: fmt.Sprintf("a cell that begins with %q", c.danger),
		})
	}
}

// report counts the cells that were not named one by one.
func (t *table) report() {
	if n := t.neutralised - maxReported; n > 0 {
		t.s.Found(sanitize.Finding{Rule: "csv.formula", Action: sanitize.Neutralised, Detail: fmt.Sprintf("%d more cells", n)})
	}
}

// release moves what no suspicion holds back to what feed returns.
func (t *table) release() {
	n := len(t.out)
	for i := range t.ways {
		if p := t.ways[i].cell.pos; p >= 0 {
			n = min(n, p)
		}
	}
	if n == 0 {
		return
	}
	t.given = append(t.given, t.out[:n]...)
	t.out = t.out[:copy(t.out, t.out[n:])]
	for i := range t.ways {
		if t.ways[i].cell.pos >= 0 {
			t.ways[i].cell.pos -= n
		}
	}
}

// address names a cell as spreadsheets do, B7.
func address(row, col int) string {
	letters := ""
	for c := col; c >= 0; c = c/26 - 1 {
		letters = string(rune('A'+c%26)) + letters
	}
	return fmt.Sprint(letters, row+1)
}

// blank reports characters that a spreadsheet may skip before a formula.
func blank(r rune) bool {
	return unicode.IsSpace(r) || r == 0x200b || r == 0x2060 || r == 0x180e || unicode.Is(unicode.Cf, r)
}

// dangerous reports the characters that open a formula, in Japanese Excel in
// their wide forms too; the small forms are made equal by some programs.
func dangerous(r rune) bool {
	switch r {
	case '=', '+', '-', '@', '＝', '＋', '－', '＠', '﹦', '﹢', '﹣', '﹫':
		return true
	}
	return false
}

// number reports whether a cell that begins like a formula is a number, a
// telephone number, a span or a date, perhaps with a currency before or a short
// unit behind, or nothing but dashes, as empty cells of tables have.
func number(s string) bool {
	s = strings.TrimFunc(s, blank)
	if strings.Trim(s, "-+－＋ 　") == "" {
		return true
	}
	rest := strings.TrimLeft(s, "+-＋－")
	if len(s)-len(rest) == 0 || utf8.RuneCountInString(s[:len(s)-len(rest)]) > 1 {
		return false
	}
	rest = strings.TrimLeft(rest, " 　(（¥￥\\$€£")
	digits := 0
	end := strings.IndexFunc(rest, func(r rune) bool {
		if r >= '0' && r <= '9' || r >= '０' && r <= '９' {
			digits++
			return false
		}
		return !strings.ContainsRune(" 　,.，．()（）/:-－‐・", r)
	})
	if digits == 0 {
		return false
	}
	if end < 0 {
		return true
	}
	rest = rest[end:]
	if rest[0] == 'e' || rest[0] == 'E' { // 1.5E+10
		exp := strings.TrimLeft(rest[1:], "+-")
		return len(rest)-1-len(exp) <= 1 && exp != "" && strings.Trim(exp, "0123456789") == ""
	}
	rest = strings.TrimRight(rest, " 　)）")
	if utf8.RuneCountInString(rest) > 4 {
		return false
	}
	for _, r := range rest {
		if !unit(r) {
			return false
		}
	}
	return true
}

// unit reports characters of units. No formula has them behind a number.
func unit(r rune) bool {
	return r == '%' || strings.ContainsRune("％‰℃°㎡㎥㎝㎜㎞㎏", r) || unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) && !(r >= 0xff00 && r < 0xff66)
}
