package doc

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"sekisho/internal/fieldcode"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// The characters around a field: its beginning, what separates the code from the
// result, and its end.
const (
	fieldBegin = 0x13
	fieldSep   = 0x14
	fieldEnd   = 0x15
)

// kinds of fields by their number in the field table. [MS-DOC] 2.9.90. Keywords
// in the text are in the language of the program that wrote them; the number is
// the same everywhere.
var fieldNames = lazy.Value[map[byte]string]{Make: func() map[byte]string {
	return map[byte]string{
		0x03: "REF", 0x04: "XE", 0x05: "FTNREF", 0x06: "SET", 0x07: "IF", 0x08: "INDEX", 0x09: "TC", 0x0A: "STYLEREF", 0x0B: "RD", 0x0C: "SEQ", 0x0D: "TOC",
		0x0E: "INFO", 0x0F: "TITLE", 0x10: "SUBJECT", 0x11: "AUTHOR", 0x12: "KEYWORDS", 0x13: "COMMENTS", 0x14: "LASTSAVEDBY", 0x15: "CREATEDATE", 0x16: "SAVEDATE",
		0x17: "PRINTDATE", 0x18: "REVNUM", 0x19: "EDITTIME", 0x1A: "NUMPAGES", 0x1B: "NUMWORDS", 0x1C: "NUMCHARS", 0x1D: "FILENAME", 0x1E: "TEMPLATE", 0x1F: "DATE", 0x20: "TIME",
		0x21: "PAGE", fltFormula: "=", 0x23: "QUOTE", 0x24: "INCLUDE", 0x25: "PAGEREF", 0x26: "ASK", 0x27: "FILLIN", 0x28: "DATA", 0x29: "NEXT", 0x2A: "NEXTIF", 0x2B: "SKIPIF", 0x2C: "MERGEREC",
		0x2D: "DDE", 0x2E: "DDEAUTO", 0x2F: "GLOSSARY", 0x30: "PRINT", 0x31: "EQ", 0x32: "GOTOBUTTON", 0x33: "MACROBUTTON", 0x34: "AUTONUMOUT", 0x35: "AUTONUMLGL", 0x36: "AUTONUM",
		0x37: "IMPORT", 0x38: "LINK", 0x39: "SYMBOL", 0x3A: "EMBED", 0x3B: "MERGEFIELD", 0x3C: "USERNAME", 0x3D: "USERINITIALS", 0x3E: "USERADDRESS", 0x3F: "BARCODE", 0x40: "DOCVARIABLE",
		0x41: "SECTION", 0x42: "SECTIONPAGES", 0x43: "INCLUDEPICTURE", 0x44: "INCLUDETEXT", 0x45: "FILESIZE", 0x46: "FORMTEXT", 0x47: "FORMCHECKBOX", 0x48: "NOTEREF", 0x49: "TOA", 0x4A: "TA",
		0x4B: "MERGESEQ", 0x4D: "PRIVATE", 0x4E: "DATABASE", 0x4F: "AUTOTEXT", 0x50: "COMPARE", 0x51: "ADDIN", 0x53: "FORMDROPDOWN", 0x54: "ADVANCE", 0x55: "DOCPROPERTY", 0x57: "CONTROL",
		0x58: "HYPERLINK", 0x59: "AUTOTEXTLIST", 0x5A: "LISTNUM", 0x5B: "HTMLCONTROL", 0x5C: "BIDIOUTLINE", 0x5D: "ADDRESSBLOCK", 0x5E: "GREETINGLINE", fltShape: "SHAPE",
	}
}}

const (
	fltFormula = 0x22
	fltQuote   = 0x23
	fltShape   = 0x5F
)

// english are the keywords of all fields, so that a word that is none of them is
// known to be of another language, or a bookmark.
var english = lazy.Value[map[string]bool]{Make: func() map[string]bool {
	m := map[string]bool{"MACRO": true, "HTMLACTIVEX": true, "BIBLIOGRAPHY": true, "CITATION": true, "DISPLAYBARCODE": true, "MERGEBARCODE": true, "PAGEN": true, "FTN": true, "AUTOTEXT": true}
	for _, n := range fieldNames.Get() {
		m[n] = true
	}
	return m
}}

// verdict says why a field may not stay, "" when it may. literal is the code
// written at the field's own level, flt its number in the field table, zero when
// it has none.
//
// Both must be harmless: programs differ in which one they go by when the field
// is worked out anew.
func verdict(literal string, nested bool, flt byte, links bool) string {
	s := trimmed(literal)
	if s == "" && !nested {
		return "" // a field without code does nothing
	}
	name := fieldNames.Get()[flt]
	end := strings.IndexAny(s, " \\\"“”")
	if end < 0 {
		end = len(s)
	}
	word := strings.ToUpper(s[:end])
	if narrow := strings.Map(halfWidth, word); narrow != word && english.Get()[narrow] {
		// Nobody types a keyword in full-width letters; who folds them reads it.
		return narrow
	}
	switch {
	case flt == fltFormula || flt != 0 && strings.HasPrefix(s, "="):
		// A sum of cells and bookmarks begins like this in every language.
		if flt == fltFormula && strings.HasPrefix(s, "=") && fieldcode.Verdict(s, nested) == "" {
			return ""
		}
		return "="
	case flt == fltShape && (word == "SHAPE" || plainWord(word) && !english.Get()[word]) && !nested && fieldcode.Switches(s[end:]):
		// A drawing in the line; the field only says so.
		return ""
	case name != "" && (name == "SHAPE" || fieldcode.Verdict(harmlessCall(name), false) != ""):
		if fieldcode.Property(name) && (word == name || !english.Get()[word] || fieldcode.Property(word)) {
			return name
		}
		if english.Get()[word] && !fieldcode.Property(word) && fieldcode.Verdict(harmlessCall(word), false) != "" {
			return word // the text says it better than the number
		}
		return name
	case activeElsewhere.Get()[word]:
		return word
	}
	if name != "" && !english.Get()[word] {
		// A keyword of another language, or a bookmark: the number says what it
		// is. What leads out of the document has a place to lead to.
		if !plainWord(word) || name != "HYPERLINK" && (outside(s[end:]) || namesFile(name, s[end:])) {
			return name
		}
		s, end, word = name+s[end:], len(name), name
		if flt == 0x03 {
			s, end = "REF x"+s[end:], 3
		}
	}
	if name == "HYPERLINK" && word != "HYPERLINK" {
		return "HYPERLINK"
	}
	if v := fieldcode.Verdict(s, nested); v != "" {
		return v
	}
	if word == "HYPERLINK" && !links && !localLink(s[end:]) {
		return "HYPERLINK"
	}
	return ""
}

// activeElsewhere are keywords of fields that load, run or embed as Word has them
// in other languages: German, French, Spanish, Portuguese, Italian, Dutch, Danish,
// Norwegian, Swedish, Finnish. The number says what a field is, but a program of
// that language that works it out anew goes by the word.
var activeElsewhere = lazy.Value[map[string]bool]{Make: func() map[string]bool {
	m := map[string]bool{}
	for _, w := range strings.Fields(`EINFÜGENTEXT EINFÜGENGRAFIK EINFÜGEN EINBETTEN VERKNÜPFUNG DATENBANK IMPORTIEREN MAKROSCHALTFLÄCHE GEHEZU
		INCLURETEXTE INCLUREIMAGE INCLURE INCORPORER LIAISON BASEDEDONNEES BASEDEDONNÉES IMPORTER BOUTONMACRO ALLERBOUTON INSERTIONAUTO
		INCLUIRTEXTO INCLUIRIMAGEN INCLUIR INCRUSTAR VINCULO VÍNCULO VINCULAR BASEDATOS BASEDEDATOS IMPORTAR BOTONMACRO BOTÓNMACRO
		INCLUIRIMAGEM INCLUIRFIGURA INCORPORAR BANCODEDADOS BOTÃOMACRO BOTÃODEMACRO
		INCLUDITESTO INCLUDIIMMAGINE INCLUDI INCORPORA COLLEGAMENTO IMPORTA PULSANTEMACRO
		TEKSTINVOEGEN FIGUURINVOEGEN INVOEGEN INSLUITEN KOPPELING IMPORTEREN MACROKNOP
		INKLUDERTEKST INKLUDERBILLEDE INKLUDERBILDE INKLUDER INTEGRER KÆDE KOBLING MAKROKNAP MAKROKNAPP
		INKLUDERATEXT INKLUDERABILD INKLUDERA INFOGATEXT INFOGABILD BÄDDAIN LÄNK DATABAS
		LISÄÄTEKSTI LISÄÄKUVA UPOTA LINKITÄ TIETOKANTA MAKROPAINIKE`) {
		m[w] = true
	}
	return m
}}

// halfWidth is the letter of ASCII that a full-width one looks like.
func halfWidth(r rune) rune {
	if r >= 'Ａ' && r <= 'ｚ' {
		return r - 'Ａ' + 'A'
	}
	return r
}

// namesFile reports whether one of the arguments of a field may be the name of a
// file, which the field of that number has none of. It is asked where the keyword
// is of a language that is not known here.
func namesFile(name, args string) bool {
	switch name {
	case "XE", "TC", "TA", "EQ", "STYLEREF", "SYMBOL":
		return false // a text of the reader's
	}
	format := false // the next argument is how a number, a date or a text is written
	for args = strings.TrimLeft(args, " "); args != ""; args = strings.TrimLeft(args, " ") {
		if args[0] == '\\' {
			n := min(2, len(args))
			format = n == 2 && strings.IndexByte("*@#", args[1]) >= 0
			args = args[n:]
			continue
		}
		var arg string
		if strings.IndexAny(args, "\"“”") == 0 {
			_, size := utf8.DecodeRuneInString(args)
			args = args[size:]
			end := strings.IndexAny(args, "\"“”")
			if end < 0 {
				end = len(args)
			}
			arg, args = args[:end], strings.TrimLeft(args[end:], "\"“”")
		} else {
			arg, args, _ = strings.Cut(args, " ")
		}
		if !format && strings.ContainsAny(arg, `./\:|`) {
			return true
		}
		format = false
	}
	return false
}

// trimmed is a code without what programs take for blanks around it.
func trimmed(literal string) string {
	return strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0xA0 || r == 0x3000 {
			return ' '
		}
		return r
	}, literal))
}

// harmlessCall is the simplest code of a field: what the list of fieldcode says
// of its name.
func harmlessCall(name string) string {
	if name == "HYPERLINK" {
		return `HYPERLINK \l "x"`
	}
	return name
}

// plainWord reports whether a keyword is letters, digits and underscores, as
// keywords of every language and bookmarks are.
func plainWord(s string) bool {
	for _, r := range s {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && !unicode.Is(unicode.M, r) {
			return false
		}
	}
	return s != ""
}

// outside reports whether arguments name something outside of the document.
func outside(s string) bool {
	l := strings.ToLower(s)
	for _, mark := range []string{"://", `\\\\`, `:\`, "file:", "|"} {
		if strings.Contains(l, mark) {
			return true
		}
	}
	return strings.Contains(l, `"\\`) || strings.Contains(l, "dde")
}

// localLink reports whether the arguments of HYPERLINK lead into the document.
func localLink(s string) bool {
	s = strings.TrimSpace(s)
	return len(s) > 2 && s[0] == '\\' && (s[1] == 'l' || s[1] == 'L') || strings.HasPrefix(s, `"#`) || strings.HasPrefix(s, "#")
}

// mark is a character of a field in the text, and what the field table says of
// it.
type mark struct {
	cp   uint32
	ch   byte
	fld  [2]byte // [MS-DOC] 2.9.88; zero when the table has no entry
	has  bool
	gone bool
}

// field is one field while its end is not reached.
type field struct {
	begin, sep int // marks
	nested     bool
	child      bool // it stands in the code of another
}

// maxNested is how deep fields stand in fields; Word stops at twenty.
const maxNested = 200

// longestCode is how long a code may be at its own level; a sentence is long.
const longestCode = 16 << 10

// fields judges the fields of every story, empties those that may not stay, and
// returns the new field table of each story.
func (d *document) fields() ([8][]byte, error) {
	var tables [8][]byte
	for story := range d.fib.ccp {
		from, to := d.storyBounds(story)
		var marks []mark
		var blank []uint32
		d.span(from, to, func(cp uint32, c uint16) uint16 {
			if c < fieldBegin || c > fieldEnd {
				return c
			}
			marks = append(marks, mark{cp: cp, ch: byte(c)})
			return c
		})
		entries, last := d.fieldTable(story)
		if len(marks) == 0 {
			continue
		}
		// Both are in order.
		k := 0
		for i := range marks {
			m := &marks[i]
			for k < len(entries) && entries[k].cp < m.cp-from {
				k++
			}
			if k < len(entries) && entries[k].cp == m.cp-from && entries[k].fld[0]&0x1F == m.ch {
				m.fld, m.has = entries[k].fld, true
			}
		}
		var stack []field
		for i := range marks {
			m := &marks[i]
			switch m.ch {
			case fieldBegin:
				f := field{begin: i, sep: -1}
				if n := len(stack); n > 0 && stack[n-1].sep < 0 {
					f.child = true
					stack[n-1].nested = true
				}
				if len(stack) == maxNested {
					return tables, malformed("fields nested more than %d deep", maxNested)
				}
				stack = append(stack, f)
			case fieldSep:
				if n := len(stack); n > 0 && stack[n-1].sep < 0 {
					stack[n-1].sep = i
				} else {
					m.gone = true
					blank = append(blank, m.cp)
				}
			case fieldEnd:
				n := len(stack)
				if n == 0 {
					m.gone = true
					blank = append(blank, m.cp)
					break
				}
				if err := d.judge(story, marks, stack[n-1], i); err != nil {
					return tables, err
				}
				stack = stack[:n-1]
			}
		}
		// A field without an end is none; who takes it for one reads on.
		for _, f := range stack {
			marks[f.begin].gone = true
			blank = append(blank, marks[f.begin].cp)
			if f.sep >= 0 {
				marks[f.sep].gone = true
				blank = append(blank, marks[f.sep].cp)
			}
		}
		for _, cp := range blank {
			d.span(cp, cp+1, func(uint32, uint16) uint16 { return ' ' })
		}
		if len(entries) > 0 {
			tables[story] = fieldTable(marks, from, last)
		}
	}
	// What stands behind the last story nobody reads.
	_, end := d.storyBounds(len(d.fib.ccp) - 1)
	d.span(end, d.length, emptied)
	return tables, nil
}

var storyNames = [...]string{"text", "footnotes", "headers", "macros", "comments", "endnotes", "text boxes", "text boxes of headers"}

// judge looks at a field that is complete, its end being mark end.
func (d *document) judge(story int, marks []mark, f field, end int) error {
	begin, stop := &marks[f.begin], marks[end].cp
	if f.sep >= 0 {
		stop = marks[f.sep].cp
	}
	// Codes are short. Where fields stand in the code of fields, and a text in the
	// innermost, it would be read once for each.
	if d.coded += int64(stop - begin.cp); d.coded > 4*int64(d.length)+longestCode {
		return fmt.Errorf("codes of fields that lie in one another: %w", sanitize.ErrLimit)
	}
	var code []uint16
	depth, long := 0, false
	d.span(begin.cp+1, stop, func(_ uint32, c uint16) uint16 {
		switch {
		case c == fieldBegin:
			depth++
		case c == fieldEnd && depth > 0:
			depth--
		case depth > 0:
		case len(code) >= longestCode:
			long = true
		default:
			code = append(code, c)
		}
		return c
	})
	literal := string(utf16.Decode(code))
	// A number counts where the table knows the whole field: of others nothing
	// is written to it.
	flt, whole := byte(0), begin.has && marks[end].has && (f.sep < 0 || marks[f.sep].has)
	if whole {
		flt = begin.fld[1]
	} else if begin.has || marks[end].has || f.sep >= 0 && marks[f.sep].has {
		// The table knows a part of it. Who goes by the table takes the result for
		// code, or the code for text.
		d.fieldFound(story, "(in part)")
		d.span(begin.cp, stop, emptied)
		for _, i := range []int{f.begin, f.sep, end} {
			if i >= 0 {
				d.span(marks[i].cp, marks[i].cp+1, func(uint32, uint16) uint16 { return ' ' })
				marks[i].gone = true
			}
		}
		for i := f.begin + 1; i < end && (f.sep < 0 || i < f.sep); i++ {
			marks[i].gone = true
		}
		return nil
	}
	word := verdict(literal, f.nested, flt, d.s.Options.URLs == sanitize.KeepURLs)
	if long && word == "" {
		word = "(too long)"
	}
	if word == "" {
		if trimmed(literal) == "" && whole {
			begin.fld[1] = fltQuote
		} else if whole && flt > 2 && fieldNames.Get()[flt] == "" {
			// A number that means nothing; the keyword has one.
			begin.fld[1] = numberOf(literal)
		}
		return nil
	}
	d.fieldFound(story, word)
	prompt := 0
	if (word == "MACROBUTTON" || word == "GOTOBUTTON") && f.sep < 0 && !f.nested {
		prompt = promptOf(literal)
	}
	if prompt > 0 {
		d.dissolve(marks, f.begin, end, begin.cp+1+uint32(prompt))
		return nil
	}
	for i := f.begin + 1; i < end && (f.sep < 0 || i < f.sep); i++ {
		marks[i].gone = true
	}
	d.span(begin.cp+1, stop, emptied)
	// Nothing is worked out anew: Word leaves a locked field alone.
	if begin.has {
		begin.fld[1] = fltQuote
	}
	if marks[end].has {
		marks[end].fld[1] = marks[end].fld[1]&(fldNested|fldHasSep|fldPrivate) | fldLocked
	}
	return nil
}

// numberOf is the number of the field whose keyword a code begins with, zero if
// it is none.
func numberOf(literal string) byte {
	word, _, _ := strings.Cut(trimmed(literal), " ")
	for n, name := range fieldNames.Get() {
		if strings.EqualFold(name, word) {
			return n
		}
	}
	return 0
}

// The flags of the end of a field. [MS-DOC] 2.9.109.
const (
	fldLocked  = 0x10
	fldPrivate = 0x20
	fldNested  = 0x40
	fldHasSep  = 0x80
)

// emptied leaves of a field's code what holds paragraphs, cells and sections
// together.
func emptied(_ uint32, c uint16) uint16 {
	switch c {
	case '\r', 0x07, 0x0C, 0x0E:
		return c
	default:
		return ' '
	}
}

// promptOf is where the words begin that a button shows: behind the keyword and
// the name of the macro or place. Zero if there are none.
func promptOf(literal string) int {
	at := 0
	for range 2 {
		for at < len(literal) && literal[at] == ' ' {
			at++
		}
		for at < len(literal) && literal[at] != ' ' {
			at++
		}
	}
	for at < len(literal) && literal[at] == ' ' {
		at++
	}
	if strings.TrimSpace(literal[at:]) == "" {
		return 0
	}
	return len(utf16.Encode([]rune(literal[:at])))
}

// dissolve makes a field into text: what stands in it from a character on is
// what it showed, the rest becomes hyphens that show only where a line breaks
// in them.
func (d *document) dissolve(marks []mark, begin, end int, from uint32) {
	const hidden = 0x1F
	d.span(marks[begin].cp, from, func(_ uint32, c uint16) uint16 {
		if c == '\r' || c == 0x07 || c == 0x0C || c == 0x0E {
			return c
		}
		return hidden
	})
	d.span(marks[end].cp, marks[end].cp+1, func(uint32, uint16) uint16 { return hidden })
	for i := begin; i <= end; i++ {
		marks[i].gone = true
	}
}

func (d *document) fieldFound(story int, word string) {
	where := storyNames[story]
	switch {
	case fieldcode.Property(word):
		d.report.Found("doc.property-field", where, sanitize.Rewritten, word)
	case word == "DDE" || word == "DDEAUTO":
		d.report.Found("doc.dde", where, sanitize.Replaced, word)
	case word == "HYPERLINK":
		d.report.Found("doc.link", where, sanitize.Neutralised, word)
	case word == "EMBED" || word == "CONTROL":
		d.report.Found("doc.object-field", where, sanitize.Replaced, word)
	default:
		d.report.Found("doc.field", where, sanitize.Replaced, word)
	}
}

// fieldEntry is an entry of a field table.
type fieldEntry struct {
	cp  uint32
	fld [2]byte
}

// fieldTables are the pairs of the field tables by story.
var fieldTables = [8]int{16, 18, 17, 20, 19, 48, 57, 59}

// fieldTable reads the field table of a story, and the number behind its last
// entry. [MS-DOC] 2.8.25.
func (d *document) fieldTable(story int) ([]fieldEntry, uint32) {
	b := d.get(fieldTables[story])
	if len(b) < 4 {
		return nil, 0
	}
	n := (len(b) - 4) / 6
	e := make([]fieldEntry, 0, n)
	for i := range n {
		cp := le.Uint32(b[4*i:])
		if i > 0 && cp <= e[i-1].cp {
			return nil, 0 // in no order: nobody knows which is meant
		}
		e = append(e, fieldEntry{cp, [2]byte(b[4*(n+1)+2*i:])})
	}
	return e, le.Uint32(b[4*n:])
}

// fieldTable writes the field table of a story: the fields whose every mark had
// an entry.
func fieldTable(marks []mark, from, last uint32) []byte {
	whole := make([]bool, len(marks))
	type open struct {
		begin, sep int
		ok         bool
	}
	var stack []open
	for i, m := range marks {
		if m.gone {
			continue
		}
		switch m.ch {
		case fieldBegin:
			stack = append(stack, open{i, -1, m.has})
		case fieldSep:
			if n := len(stack); n > 0 {
				stack[n-1].sep = i
				stack[n-1].ok = stack[n-1].ok && m.has
			}
		case fieldEnd:
			n := len(stack)
			if n == 0 {
				break
			}
			f := stack[n-1]
			stack = stack[:n-1]
			if f.ok && m.has {
				whole[f.begin], whole[i] = true, true
				if f.sep >= 0 {
					whole[f.sep] = true
				}
			}
		}
	}
	var cps, flds []byte
	for i, m := range marks {
		if whole[i] {
			cps = le.AppendUint32(cps, m.cp-from)
			flds = append(flds, m.fld[0]&0x1F, m.fld[1])
			last = max(last, m.cp-from+1)
		}
	}
	if len(flds) == 0 {
		return nil
	}
	cps = le.AppendUint32(cps, last)
	return append(cps, flds...)
}
