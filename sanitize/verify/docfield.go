package verify

import (
	"slices"
	"strings"
	"unicode/utf16"

	"sekisho/internal/lazy"
)

// wordFields are the numbers of the fields that compute from the document alone,
// and of the one that an emptied field gets. [MS-DOC] 2.9.90.
var wordFields = []int64{0, 1, 2, 3, 4, 5, 8, 9, 0x0A, 0x0C, 0x0D, 0x1A, 0x1D, 0x1F, 0x20, 0x21, 0x22, 0x23, 0x25, 0x31, 0x34, 0x35, 0x36, 0x39, 0x41, 0x42, 0x46, 0x47, 0x48, 0x49, 0x4A, 0x53, 0x54, 0x58, 0x5A, 0x5C, 0x5F}

// activeWords are the names of fields that load, run or ask, in English. Where a
// name is in another language the number says what it is.
var activeWords = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`DDE DDEAUTO INCLUDE INCLUDETEXT INCLUDEPICTURE IMPORT LINK EMBED CONTROL HTMLCONTROL MACROBUTTON MACRO GOTOBUTTON AUTOTEXT AUTOTEXTLIST GLOSSARY
	DATABASE DATA RD PRINT PRIVATE ADDIN ASK FILLIN SET IF QUOTE COMPARE MERGEFIELD MERGEREC MERGESEQ NEXT NEXTIF SKIPIF DOCVARIABLE BARCODE ADDRESSBLOCK GREETINGLINE
	AUTHOR TITLE SUBJECT KEYWORDS COMMENTS LASTSAVEDBY CREATEDATE SAVEDATE PRINTDATE REVNUM EDITTIME NUMWORDS NUMCHARS FILESIZE TEMPLATE USERNAME USERINITIALS USERADDRESS DOCPROPERTY INFO`)
}}

// foreignWords are such names in other languages, those that load and embed.
var foreignWords = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`EINFÜGENTEXT EINFÜGENGRAFIK EINBETTEN VERKNÜPFUNG INCLURETEXTE INCLUREIMAGE INCORPORER LIAISON INCLUIRTEXTO INCLUIRIMAGEN INCLUIRIMAGEM
	INCRUSTAR VÍNCULO INCLUDITESTO INCLUDIIMMAGINE COLLEGAMENTO TEKSTINVOEGEN INSLUITEN KOPPELING INKLUDERATEXT LÄNK`)
}}

// fields looks at every field of the text, and at every table of fields.
func (d *wordDocument) fields() error {
	type open struct {
		code   []uint16
		result bool
		begin  int
	}
	numbers := map[int]int64{}
	at := 0
	for i, p := range []int{16, 18, 17, 20, 19, 48, 57, 59} {
		if b := d.get(p); len(b) >= 4 {
			n := int64(len(b)-4) / 6
			if int64(len(b)) != 4+6*n {
				return d.bad("a table of fields of %d octets", len(b))
			}
			for k := range n {
				cp, kind, flags := int(u32(b, 4*k)), b[4*(n+1)+2*k], int64(b[4*(n+1)+2*k+1])
				if at+cp >= len(d.text) || d.text[at+cp] != uint16(kind) || kind < 0x13 || kind > 0x15 {
					return d.bad("a table of fields that speaks of something else")
				}
				if kind == 0x13 {
					if !slices.Contains(wordFields, flags) {
						return d.bad("field of the kind %02X", flags)
					}
					numbers[at+cp] = flags
				}
			}
		}
		at += int(u32(d.main, 64+4*(3+int64(i))))
	}
	var stack []open
	for i, c := range d.text {
		switch c {
		case 0x13:
			if n := len(stack); n > 0 && !stack[n-1].result {
				// The code of a field that computes its code; only fields that
				// may not stay have any.
				return d.bad("a field in the code of a field")
			}
			if len(stack) > 300 {
				return d.bad("fields nested too deep")
			}
			stack = append(stack, open{begin: i})
		case 0x14:
			if len(stack) == 0 || stack[len(stack)-1].result {
				return d.bad("the middle of a field without its beginning")
			}
			stack[len(stack)-1].result = true
		case 0x15:
			if len(stack) == 0 {
				return d.bad("the end of a field without its beginning")
			}
			f := stack[len(stack)-1]
			stack = stack[:len(stack)-1]
			if err := d.field(string(utf16.Decode(f.code)), numbers[f.begin]); err != nil {
				return err
			}
		default:
			if n := len(stack); n > 0 && !stack[n-1].result {
				stack[n-1].code = append(stack[n-1].code, c)
			}
		}
	}
	if len(stack) > 0 {
		return d.bad("a field without an end")
	}
	return nil
}

// field looks at the code of one field.
func (d *wordDocument) field(code string, number int64) error {
	code = strings.Map(func(r rune) rune {
		switch {
		case r < 0x20, r == 0xA0, r == 0x3000:
			return ' '
		case r >= 0x91 && r <= 0x94: // of the old code page
			return '"'
		}
		return r
	}, code)
	code = strings.TrimSpace(code)
	if code == "" {
		return nil
	}
	if sums := strings.HasPrefix(code, "="); sums || number == 0x22 {
		if err := sum(strings.TrimPrefix(code, "=")); !sums || number != 0 && number != 0x22 || err != nil {
			return d.bad("field %q of the kind %02X", code, number)
		}
		return nil
	}
	word, args := code, ""
	if i := strings.IndexAny(code, " \\\"“”"); i >= 0 {
		word, args = code[:i], code[i:]
	}
	// Full-width letters read like others.
	word = strings.ToUpper(strings.Map(func(r rune) rune {
		if r > 0xFF20 && r < 0xFF5B {
			return r - 0xFEE0
		}
		return r
	}, word))
	switch {
	case word == "", slices.Contains(activeWords.Get(), word), slices.Contains(foreignWords.Get(), word):
		return d.bad("field %q", word)
	case number == 0x23:
		return d.bad("an emptied field that is not empty")
	case word == "HYPERLINK", number == 0x58:
		target := firstArgument(args)
		if target != "" && !strings.HasPrefix(target, "#") && !harmlessURL(strings.ReplaceAll(target, `\\`, `\`)) {
			return d.bad("field HYPERLINK to %q", target)
		}
		return nil
	case slices.Contains(harmlessFields.Get(), word), word == "SHAPE", number != 0:
		return nil
	default:
		return d.bad("field %q", word)
	}
}

// firstArgument is the first of the arguments of HYPERLINK that belongs to no
// switch.
func firstArgument(s string) string {
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(s) {
		skip := false
		if s[0] == '\\' && len(s) > 1 {
			skip = strings.ContainsAny(s[1:2], "lLoOtT")
			if s = strings.TrimSpace(s[2:]); !skip {
				continue
			}
		}
		arg := s
		if q := strings.IndexAny(s, "\"“”"); q == 0 {
			_, n, _ := strings.Cut(s, s[:len(firstRune(s))])
			end := strings.IndexAny(n, "\"“”")
			if end < 0 {
				end = len(n)
			}
			arg, s = n[:end], strings.TrimLeft(n[end:], "\"“”")
		} else if i := strings.IndexByte(s, ' '); i > 0 {
			arg, s = s[:i], s[i:]
		} else {
			s = ""
		}
		if !skip {
			return arg
		}
	}
	return ""
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
