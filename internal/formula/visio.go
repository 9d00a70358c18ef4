package formula

import (
	"strings"
	"sync"
)

// Visio says why a formula of a Visio cell may not stay; "" when it may. acts
// tells that it would do something, and not only open a window of Visio itself.
//
// [MS-VSDX] 2.2.2.1: strings in double quotes, names in single ones, calls.
// Every call must be of a function that is known only to compute.
func Visio(f string) (why string, acts bool) {
	const longest = 16384
	if len(f) > longest {
		return "formula too long", true
	}
	word := ""
	for i := 0; i < len(f); {
		c := f[i]
		switch {
		case c == '"' || c == '\'':
			_, n := quoted(f[i:], c)
			if n == 0 {
				return "string without an end", true
			}
			i += n
			word = ""
		case isNameStart(c):
			n := 1
			for i+n < len(f) && isNameByte(f[i+n]) {
				n++
			}
			word = strings.ToUpper(f[i : i+n])
			i += n
		case c == '(':
			if word != "" && !visioFunctions()[word] {
				return "function " + word, !visioWindows[word]
			}
			word = ""
			i++
		case c == '[': // Pages[Page-1]!PageWidth stays in the drawing
			if word != "PAGES" && word != "MASTERS" {
				return "reference to another drawing", true
			}
			n := strings.IndexByte(f[i:], ']')
			if n < 0 {
				return "bracket without an end", true
			}
			i += n + 1
			word = ""
		case c == '|':
			return "DDE", true
		case c == ' ' || c == '\t' || c == '\r' || c == '\n':
			i++ // a name and its bracket may stand apart
		default:
			word = ""
			i++
		}
	}
	return "", false
}

// visioWindows only open what Visio has anyway; they go without a word.
var visioWindows = map[string]bool{"DOCMD": true, "OPENSHEETWIN": true, "HELP": true}

// visioFunctions compute from the drawing alone, open its text for editing or
// move its own points. Not here: CALLTHIS, EVALTEXT, FOLLOWHYPERLINK, GOTOPAGE,
// HYPERLINK, OPENFILE, PLAYSOUND, QUEUEMARKEREVENT, RUNADDON, RUNADDONWARGS,
// RUNMACRO, SETF.
var visioFunctions = sync.OnceValue(func() map[string]bool {
	return set(`
ABS ACOS AND ANG360 ANGLEALONGPATH ANGLETOLOC ANGLETOPAR ASIN ATAN ATAN2 BITAND BITNOT BITOR BITXOR BLEND BLUE BOUND BOUNDINGBOXDIST BOUNDINGBOXRECT
CALLOUTCOUNT CALLOUTTARGETREF CATEGORY CEILING CHAR COMPANY CONTAINERCOUNT CONTAINERMEMBERCOUNT CONTAINERSHEETREF COS COSH CREATOR CY DATE DATETIME
DATEVALUE DAY DAYOFYEAR DECIMALSEP DEG DEPENDSON DESCRIPTION DISTTOPATH DOCCREATION DOCLASTEDIT DOCLASTPRINT DOCLASTSAVE EVALCELL FIELDPICTURE
FILENAME FIND FLOOR FONT FONTTOID FORMAT FORMATEX FORMULAEXISTS GETREF GETVAL GRAVITY GREEN GUARD HASCATEGORY HOUR HSL HUE HUEDIFF ID IF INDEX INT
INTERSECTX INTERSECTY INTUP IS1D ISERR ISERRNA ISERROR ISERRVALUE ISTHEMED KEYWORDS LEFT LEN LISTMEMBERCOUNT LISTORDER LISTSHEETREF LN LOC
LOCALFORMULAEXISTS LOCTOLOC LOCTOPAR LOG10 LOOKUP LOTHEMEFONT LOWER LUM LUMDIFF MAGNITUDE MANAGER MASTERNAME MAX MID MIN MINUTE MODULUS MONTH
MSOSHADE MSOTINT NA NAME NEARESTPOINTONPATH NOT NOW NURBS OPENGROUPWIN OPENTEXTWIN OR PAGECOUNT PAGENAME PAGENUMBER PAR PATHLENGTH PATHSEGMENT PI PNT
PNTX PNTY POINTALONGPATH POLYLINE POW RAD RAND RECTSECT RED REF REPLACE REPT REWIDEN RGB RIGHT ROUND SAT SATDIFF SECOND SEGMENTCOUNT SETATREF
SETATREFEVAL SETATREFEXPR SHADE SHAPETEXT SHEETREF SIGN SIN SINH SQRT STRSAME STRSAMEEX SUBJECT SUBSTITUTE SUM TAN TANH TEXTHEIGHT TEXTWIDTH THEME
THEMECBV THEMEGUARD THEMEPROP THEMERESTORE THEMEVAL TIME TIMEVALUE TINT TITLE TONE TRIM TRUNC TYPE TYPEDESC UNICHAR UPPER USE USERUI WALKGLUE WEEKDAY
XYSEGMENT YEAR`)
})
