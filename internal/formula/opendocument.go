package formula

import (
	"strings"
	"sync"
)

// A Grammar is a language of formulas that OpenDocument files hold. The zero
// value is none.
type Grammar uint8

// The grammars. Which one a formula is in says its prefix, by the namespace
// that it is bound to. OpenDocument 1.3 part 4 describes OpenFormula;
// OpenOffice 2 wrote one that differs in names only.
const (
	OpenFormula Grammar = 1
	ExcelA1     Grammar = 2
	Writer      Grammar = 3 // of fields and tables of a text
)

// longest formula that is looked at; LibreOffice takes 8,192 tokens.
const longest = 64 << 10

// OpenDocument says why a formula without its prefix may not stay; "" when it
// may.
func OpenDocument(g Grammar, f string) string {
	switch g {
	case OpenFormula:
		return openFormula(f, false)
	case ExcelA1:
		return Excel(strings.TrimPrefix(f, "="))
	case Writer:
		// Variables, cells of tables and some twenty functions that compute; the
		// language has no way to anything else. A field of a database is a name.
		if len(f) > longest {
			return "formula too long"
		}
		return ""
	default:
		return "formula in no known language"
	}
}

// Condition is OpenDocument for the condition of a validity rule or a
// conditional format, which has predicates of its own.
func Condition(g Grammar, f string) string {
	if g == OpenFormula {
		return openFormula(f, true)
	}
	return OpenDocument(g, f)
}

// openFormula reads a formula as OpenDocument 1.3 part 4, 5 does: strings,
// references in brackets, quoted names, calls.
func openFormula(f string, condition bool) string {
	if len(f) > longest {
		return "formula too long"
	}
	indirect, odd := false, false
	braces := 0
	for i := 0; i < len(f); {
		c := f[i]
		switch {
		case c == '"':
			s, n := quoted(f[i:], '"')
			if n == 0 {
				return "string without an end"
			}
			odd = odd || strings.ContainsAny(s, "#[|/\\")
			i += n
		case c == '\'':
			n, why := quotedName(f[i:])
			if why != "" {
				return why
			}
			i += n
		case c == '[':
			n, why := reference(f[i:])
			if why != "" {
				return why
			}
			i += n
		case c == '{':
			braces++
			i++
		case c == '}':
			braces--
			i++
		case c == '|' && braces <= 0:
			return "DDE"
		case isNameStart(c):
			n := 1
			for i+n < len(f) && (isNameByte(f[i+n]) || condition && f[i+n] == '-' && predicate(f[i:], n)) {
				n++
			}
			word := f[i : i+n]
			i += n
			if i < len(f) && f[i] == '#' {
				return "reference to another document"
			}
			if i < len(f) && f[i] == '[' { // a table and its columns
				n := bracket(f[i:])
				if n == 0 {
					return "bracket without an end"
				}
				i += n
				if i < len(f) && (f[i] == '#' || f[i] == '!' || isNameByte(f[i]) || f[i] == '\'') {
					return "reference to another document"
				}
				continue
			}
			j := i
			for j < len(f) && (f[j] == ' ' || f[j] == '\n' || f[j] == '\r' || f[j] == '\t') {
				j++
			}
			if u := strings.ToUpper(word); strings.HasPrefix(u, "_XLETA.") || strings.HasPrefix(u, "_XLL.") {
				return "function " + u
			}
			if j >= len(f) || f[j] != '(' {
				continue
			}
			if condition && predicates()[word] {
				continue
			}
			name := openName(word)
			if name == "" {
				return "function " + strings.ToUpper(word)
			}
			switch name {
			case "HYPERLINK":
				if !HarmlessHyperlink(f[j+1:]) {
					return "HYPERLINK to elsewhere"
				}
			case "INDIRECT":
				indirect = true
			}
		default:
			i++
		}
	}
	if indirect && odd {
		return "INDIRECT to elsewhere"
	}
	return ""
}

// quotedName returns how long the name in quotes at the start of f is written,
// or why it may not stay. No name of a sheet has a character of a path in it,
// and what # follows is a document.
func quotedName(f string) (int, string) {
	s, n := quoted(f, '\'')
	if n == 0 {
		return 0, "name without an end"
	}
	if strings.ContainsAny(s, `[]|\/*?`) || strings.Contains(s, ":") || n < len(f) && f[n] == '#' {
		return 0, "reference to another document"
	}
	return n, ""
}

// reference returns the length of the reference in brackets at the start of f:
// [.A1], [$Sheet1.A1:.B2], ['My sheet'.A1], ['file:///x.ods'#$Sheet1.A1].
func reference(f string) (int, string) {
	for i := 1; i < len(f); {
		switch f[i] {
		case ']':
			return i + 1, ""
		case '\'':
			n, why := quotedName(f[i:])
			if why != "" {
				return 0, why
			}
			i += n
		case '#':
			if !strings.HasPrefix(f[i:], "#REF!") {
				return 0, "reference to another document"
			}
			i += len("#REF!")
		case '/', '\\', '|', '"', '[':
			return 0, "reference to another document"
		default:
			i++
		}
	}
	return 0, "bracket without an end"
}

// openName strips the prefixes that functions have in OpenDocument files, and
// returns "" for one that is not known only to compute.
func openName(w string) string {
	w = strings.ToUpper(w)
	if openFunctions()[w] {
		return w
	}
	for _, prefix := range []string{"COM.MICROSOFT.", "LEGACY.", "ORG.LIBREOFFICE.", "ORG.OPENOFFICE.", "_XLFN.", "_XLWS."} {
		if rest, ok := strings.CutPrefix(w, prefix); ok {
			w = rest
			break
		}
	}
	// The add-ins that LibreOffice brings: their methods are named after the
	// functions of Excel.
	for _, prefix := range []string{"COM.SUN.STAR.SHEET.ADDIN.ANALYSIS.GET", "COM.SUN.STAR.SHEET.ADDIN.DATEFUNCTIONS.GET", "COM.SUN.STAR.SHEET.ADDINS.ANALYSIS.GET"} {
		if rest, ok := strings.CutPrefix(w, prefix); ok {
			w = rest
			break
		}
	}
	if functions()[w] || openFunctions()[w] {
		return w
	}
	return ""
}

// openFunctions are those that Excel does not have. OpenDocument 1.3 part 4, 6
// and LibreOffice's own, without DDE, and without those of add-ins and macros,
// which any name may be.
var openFunctions = sync.OnceValue(func() map[string]bool {
	return set(`ARABIC B BINOM CHISQDIST CHISQINV COLOR CONVERT_OOO CURRENT DAYSINMONTH DAYSINYEAR EASTERSUNDAY ERRORTYPE FORMULA FORECAST.ETS.ADD
FORECAST.ETS.MULT FORECAST.ETS.PI.ADD FORECAST.ETS.PI.MULT FORECAST.ETS.STAT.ADD FORECAST.ETS.STAT.MULT FOURIER GAMMALN.PRECISE ISLEAPYEAR
CEILING.XCL FLOOR.XCL MONTHS MULTIPLE.OPERATIONS NEGBINOM NUMBERFORMAT OPT_BARRIER OPT_PROB_HIT OPT_PROB_INMONEY OPT_TOUCH RAND.NV
RANDBETWEEN.NV RAWSUBTRACT REGEX ROT13 ROUNDSIG STYLE SUMPRODUCT TDIST TINV WEEKNUM_EXCEL2003 WEEKNUM_OOO WEEKS WEEKSINYEAR YEARS ZGZ EDATE
INFO CELL BAHTTEXT ERF ERFC GETPIVOTDATA MVALUE ISFORMULA`)
})

// predicates of conditions. OpenDocument 1.3 part 3, 19.599 and 19.474.
var predicates = sync.OnceValue(func() map[string]bool {
	return set(`cell-content cell-content-text cell-content-is-in-list cell-content-is-between cell-content-is-not-between cell-content-is-whole-number
cell-content-is-decimal-number cell-content-is-date cell-content-is-time cell-content-is-text cell-content-text-length
cell-content-text-length-is-between cell-content-text-length-is-not-between is-true-formula value formula-is between not-between
begins-with ends-with contains-text not-contains-text date is-error is-no-error duplicate unique top-elements bottom-elements top-percent
bottom-percent above-average below-average above-equal-average below-equal-average`)
})

// predicate reports whether the n bytes at the start of f and the hyphen behind
// them begin the name of a predicate.
func predicate(f string, n int) bool {
	if n > 40 {
		return false
	}
	for p := range predicates() {
		if strings.HasPrefix(p, f[:n+1]) {
			return true
		}
	}
	return false
}
