// Package fieldcode says which fields of word processors may stay. A field is a
// small program in the text ("HYPERLINK ...", "DDEAUTO ..."); what it came to
// when it was last run stands beside it, and takes its place where it goes.
//
// Who reads a document brings the code as the word processor would put it
// together, and judges it here: the same words in docx, doc and rtf.
package fieldcode

import (
	"slices"
	"strings"
	"unicode/utf8"

	"sekisho/internal/lazy"
	"sekisho/internal/link"
)

// harmlessFields compute from the document alone, its name included. ECMA-376
// part 1, 17.16.5, without those that load, run or ask.
var harmlessFields = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`PAGE NUMPAGES SECTION SECTIONPAGES TOC TOA TC TA XE INDEX REF PAGEREF NOTEREF FTNREF STYLEREF SEQ
	DATE TIME FILENAME HYPERLINK SYMBOL ADVANCE AUTONUM AUTONUMLGL AUTONUMOUT LISTNUM BIDIOUTLINE EQ FORMTEXT FORMCHECKBOX FORMDROPDOWN`)
}}

// propertyFields show properties of the file, which do not go along: their last
// result stands for them. They are no danger, so this is no news.
var propertyFields = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`AUTHOR CREATEDATE SAVEDATE PRINTDATE EDITTIME FILESIZE KEYWORDS LASTSAVEDBY NUMCHARS NUMWORDS REVNUM SUBJECT
	TEMPLATE TITLE COMMENTS USERADDRESS USERINITIALS USERNAME DOCPROPERTY INFO BIBLIOGRAPHY CITATION`)
}}

// acting are the words of which no harmless field speaks.
var acting = lazy.Value[[]string]{Make: func() []string {
	return []string{"DDE", "DDEAUTO", "INCLUDETEXT", "INCLUDEPICTURE", "MACROBUTTON", "IMPORT"}
}}

// Verdict says why a field may not stay; "" when it may. literal is the
// code written at the field's own level; nested tells that fields inside it
// would write more of it.
func Verdict(literal string, nested bool) string {
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0xA0 || r == 0x3000 {
			return ' '
		}
		return r
	}, literal))
	end := strings.IndexAny(s, " \\\"“”")
	if end < 0 {
		end = len(s)
	}
	word := strings.ToUpper(s[:end])
	if s == "" && !nested {
		return "" // a field without code does nothing
	}
	if word == "" {
		return "(no name)"
	}
	if word[0] == '=' && !nested && computes(s[1:]) {
		return ""
	}
	rest := s[end:]
	if word == "SHAPE" && !nested && Switches(rest) {
		return "" // its result is a drawing in the line; the field only says so
	}
	if nested || !slices.Contains(harmlessFields.Get(), word) {
		return word
	}
	// No harmless field speaks of these; a reader that takes other characters
	// for the beginning of the code would.
	upper := strings.ToUpper(rest)
	for _, bad := range acting.Get() {
		for _, w := range strings.FieldsFunc(upper, func(r rune) bool { return r < 'A' || r > 'Z' }) {
			if w == bad && word != "HYPERLINK" && word != "TC" && word != "XE" {
				return bad
			}
		}
	}
	if word != "HYPERLINK" {
		return ""
	}
	for _, alike := range quotings {
		target, local := hyperlinkTarget(rest, alike)
		if !(target == "" && local || strings.HasPrefix(target, "#") || link.Harmless(target)) {
			return word
		}
	}
	return ""
}

// Switches reports whether what stands behind the name of a field is nothing but
// how its result is to look: \* MERGEFORMAT, \* CHARFORMAT, or nothing.
func Switches(s string) bool {
	for f := range strings.FieldsSeq(s) {
		if f != `\*` && !strings.EqualFold(f, "MERGEFORMAT") && !strings.EqualFold(f, "CHARFORMAT") {
			return false
		}
	}
	return true
}

// quotings are the two ways to read quotation marks: any ends an argument, or
// one of the same sort, straight or curved, that began it. Word writes both
// sorts, no book says which of them it pairs, and what one reading takes for the
// text of a switch is the target in the other: a link stays when it may stay
// either way.
var quotings = [...]bool{false, true}

// Leads reports whether a field that may stay leads out of the document, for who
// takes links out.
func Leads(literal string) bool {
	s := strings.TrimSpace(strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0xA0 || r == 0x3000 {
			return ' '
		}
		return r
	}, literal))
	const word = "HYPERLINK"
	if len(s) < len(word) || !strings.EqualFold(s[:len(word)], word) {
		return false
	}
	for _, alike := range quotings {
		target, local := hyperlinkTarget(s[len(word):], alike)
		if !local && !strings.HasPrefix(target, "#") || local && target != "" {
			return true
		}
	}
	return false
}

// hyperlinkTarget reads the arguments of HYPERLINK: the first that is no switch
// is the target; \l names a place in the document. 17.16.5.25.
func hyperlinkTarget(args string, alike bool) (target string, local bool) {
	skip := false // the next argument belongs to a switch
	for args = strings.TrimLeft(args, " "); args != ""; args = strings.TrimLeft(args, " ") {
		if args[0] == '\\' && len(args) > 1 {
			switch args[1] {
			case 'l', 'L':
				skip, local = true, true
			case 'o', 'O', 't', 'T':
				skip = true
			}
			args = args[2:]
			continue
		}
		var arg string
		arg, args = argument(args, alike)
		if skip {
			skip = false
			continue
		}
		if target != "" {
			return "", false // two targets: readers differ
		}
		target = arg
		if target == "" {
			return "", false
		}
	}
	return target, local
}

// argument takes one argument off the front, quoted or not. A backslash makes
// the next character literal.
func argument(s string, alike bool) (arg, rest string) {
	var b strings.Builder
	first, i := utf8.DecodeRuneInString(s)
	quoted := isQuote(first)
	if !quoted {
		i = 0
	}
	for i < len(s) {
		r, n := utf8.DecodeRuneInString(s[i:])
		if quoted && isQuote(r) && (!alike || (r == '"') == (first == '"')) {
			return b.String(), s[i+n:]
		}
		if !quoted && (r == ' ' || isQuote(r)) {
			break
		}
		if r == '\\' && i+n < len(s) {
			i += n
			r, n = utf8.DecodeRuneInString(s[i:])
		}
		b.WriteRune(r)
		i += n
	}
	return b.String(), s[i:]
}

func isQuote(r rune) bool { return r == '"' || r == '“' || r == '”' || r == '„' }

// Property reports whether a field of this name, in capitals, only shows a
// property of the file: nothing is lost to the reader when its last result
// takes its place.
func Property(word string) bool { return slices.Contains(propertyFields.Get(), word) }
