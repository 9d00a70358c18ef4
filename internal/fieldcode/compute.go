package fieldcode

import (
	"slices"
	"strings"
	"unicode"

	"sekisho/internal/lazy"
)

// computing are the functions of a field that begins with "=". ECMA-376 part 1,
// 17.16.3.4.
var computing = lazy.Value[map[string]bool]{Make: func() map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq(`ABS AND AVERAGE COUNT DEFINED FALSE IF INT MAX MIN MOD NOT OR PRODUCT ROUND SIGN SUM TRUE`) {
		m[n] = true
	}
	return m
}}

// picture is how the number is to look, and that it is to look as it did: the
// only switches of such a field. 17.16.4.
var picture = lazy.Compile(`^(\\#\s*("[^"\\{}]*"|[^\s"\\{}]+)\s*|\\\*\s*[A-Za-z]+\s*)*$`)

// computes reports whether the code behind "=" is one of numbers, cells of the
// table and bookmarks, and calls nothing but what only computes: the sum under a
// column.
func computes(code string) bool {
	expression, switches := code, ""
	if i := strings.IndexByte(code, '\\'); i >= 0 {
		expression, switches = code[:i], code[i:]
	}
	if !picture.MatchString(switches) {
		return false
	}
	word, last := "", ""
	for _, r := range expression + " " {
		if unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' {
			if word == "" && last != "" {
				return false // two words, and nothing between them
			}
			word += string(r)
			continue
		}
		if word != "" {
			word, last = "", strings.ToUpper(word)
			if slices.Contains(acting.Get(), last) {
				return false
			}
		}
		switch {
		case r == '(':
			if last != "" && !computing.Get()[last] {
				return false
			}
			last = ""
		case r == ' ':
			continue
		case strings.ContainsRune(`.,;:)+-*/^%<>=$¥€£`, r):
			last = ""
		default:
			return false
		}
	}
	return true
}
