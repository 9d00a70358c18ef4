// Package formula judges the formulas of spreadsheets: those of Excel and those
// of OpenDocument. What it lets stay computes, and leads nowhere.
package formula

import (
	"strings"
	"sync"

	"sekisho/internal/link"
)

// Excel says why a formula may not stay; "" when it may.
//
// The formula is read as Excel reads it: strings, quoted names, brackets and
// calls. Every call must be of a function that is known only to compute, and
// nothing may lead out of the workbook. ECMA-376 part 1, 18.17.
func Excel(f string) string {
	const longest = 16384 // twice the 8,192 characters of Excel
	if len(f) > longest {
		return "formula too long"
	}
	indirect := false
	odd := false // a string that could be read as a reference to elsewhere
	for i := 0; i < len(f); {
		c := f[i]
		switch {
		case c == '"':
			s, n := quoted(f[i:], '"')
			if n == 0 {
				return "string without an end"
			}
			odd = odd || strings.ContainsAny(s, "[|")
			i += n
		case c == '\'':
			s, n := quoted(f[i:], '\'')
			if n == 0 {
				return "name without an end"
			}
			// 'C:\[book.xls]Sheet'!A1: no sheet may have a bracket in its name.
			if strings.ContainsAny(s, `[]|\/`) {
				return "reference to another workbook"
			}
			i += n
		case c == '[':
			// [Column] inside its own table; before a sheet or name it is a workbook:
			// [1]Sheet!A1, [1]!Name.
			// [0]!Name is a name of this workbook, as Excel writes it in charts.
			if strings.HasPrefix(f[i:], "[0]!") {
				i += len("[0]!")
				continue
			}
			n := bracket(f[i:])
			if n == 0 {
				return "bracket without an end"
			}
			i += n
			if i < len(f) && (isNameByte(f[i]) || f[i] == '!' || f[i] == '\'') {
				return "reference to another workbook"
			}
		case c == '|':
			return "DDE"
		case isNameStart(c):
			n := 1
			for i+n < len(f) && isNameByte(f[i+n]) {
				n++
			}
			word := f[i : i+n]
			i += n
			j := i
			for j < len(f) && (f[j] == ' ' || f[j] == '\n' || f[j] == '\r' || f[j] == '\t') {
				j++
			}
			if u := strings.ToUpper(word); strings.HasPrefix(u, "_XLETA.") && (!functions()[u[len("_XLETA."):]] || u == "_XLETA.HYPERLINK" || u == "_XLETA.INDIRECT") || strings.HasPrefix(u, "_XLL.") {
				return "function " + u // passed by name: MAP(A1,_xleta.WEBSERVICE)
			}
			switch {
			case i < len(f) && f[i] == '[':
				n := bracket(f[i:])
				if n == 0 {
					return "bracket without an end"
				}
				i += n
				// book[x]!name would be no table.
				if i < len(f) && (f[i] == '!' || isNameByte(f[i]) || f[i] == '\'') {
					return "reference to another workbook"
				}
			case j < len(f) && f[j] == '(':
				name := functionName(word)
				if !functions()[name] {
					return "function " + name
				}
				switch name {
				case "HYPERLINK":
					if !HarmlessHyperlink(f[j+1:]) {
						return "HYPERLINK to elsewhere"
					}
				case "INDIRECT":
					indirect = true
				}
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

// Mentions returns a name in a formula, other than of a function, a sheet or a
// table, that gone says is there no more; "" when there is none.
func Mentions(f string, gone func(string) bool) string {
	for i := 0; i < len(f); {
		c := f[i]
		switch {
		case c == '"' || c == '\'':
			_, n := quoted(f[i:], c)
			if n == 0 {
				return ""
			}
			i += n
		case c == '[':
			n := bracket(f[i:])
			if n == 0 {
				return ""
			}
			i += n
		case isNameByte(c):
			n := 1
			for i+n < len(f) && isNameByte(f[i+n]) {
				n++
			}
			word := f[i : i+n]
			i += n
			if i < len(f) && strings.IndexByte("(![", f[i]) >= 0 {
				continue
			}
			if gone(word) {
				return word
			}
		default:
			i++
		}
	}
	return ""
}

// quoted returns the text in quotes at the start of f, and how long it is
// written; doubled quotes stand for one.
func quoted(f string, q byte) (string, int) {
	for i := 1; i < len(f); i++ {
		if f[i] != q {
			continue
		}
		if i+1 < len(f) && f[i+1] == q {
			i++
			continue
		}
		return f[1:i], i + 1
	}
	return "", 0
}

// bracket returns the length of the structured reference at the start of f.
func bracket(f string) int {
	depth := 0
	for i := 0; i < len(f); i++ {
		switch f[i] {
		case '\'': // escapes the next character inside brackets
			i++
		case '[':
			depth++
		case ']':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return 0
}

func isNameStart(c byte) bool {
	return c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || c == '_' || c == '\\' || c >= 0x80
}

func isNameByte(c byte) bool {
	return isNameStart(c) || c >= '0' && c <= '9' || c == '.' || c == '?'
}

// functionName strips the prefixes that newer functions have in files.
// [MS-XLSX] 2.2.2.
func functionName(w string) string {
	w = strings.ToUpper(w)
	w = strings.TrimPrefix(w, "_XLFN.")
	w = strings.TrimPrefix(w, "_XLWS.")
	return w
}

// Computes reports whether a function, with or without the prefix that newer
// ones have in files, only computes. Of HYPERLINK and INDIRECT the arguments
// are to be judged as well.
func Computes(name string) bool { return functions()[functionName(name)] }

// HarmlessHyperlink judges the first argument: a literal whose beginning shows
// where it leads.
func HarmlessHyperlink(args string) bool {
	args = strings.TrimLeft(args, " \t\r\n")
	if args == "" || args[0] != '"' {
		return false
	}
	s, n := quoted(args, '"')
	if n == 0 {
		return false
	}
	if strings.HasPrefix(s, "#") && !strings.ContainsAny(s, `[]\|`) {
		return true
	}
	return link.Harmless(s)
}

// Leads reports whether a formula that may stay has a HYPERLINK out of the
// workbook, for who takes links out.
func Leads(f string) bool {
	const word = "HYPERLINK"
	for u := strings.ToUpper(f); ; {
		i := strings.Index(u, word)
		if i < 0 {
			return false
		}
		u = strings.TrimLeft(u[i+len(word):], " \t\r\n")
		if args, ok := strings.CutPrefix(u, "("); ok && !strings.HasPrefix(strings.TrimLeft(args, " \t\r\n"), `"#`) {
			return true
		}
	}
}

// functions are those that compute from their arguments and the workbook alone.
// ECMA-376 part 1, 18.17.7 and [MS-XLSX] 2.2.2, without those that fetch, call
// or run: CALL, CUBE*, DDE, ENCODEURL with its siblings FILTERXML and
// WEBSERVICE, EVALUATE, IMAGE, PY, REGISTER.ID, RTD, SQL.REQUEST, STOCKHISTORY,
// and the macro functions of Excel 4.
var functions = sync.OnceValue(func() map[string]bool {
	return set(`
ABS ACCRINT ACCRINTM ACOS ACOSH ACOT ACOTH ADDRESS AGGREGATE AMORDEGRC AMORLINC AND ANCHORARRAY ARABIC AREAS ARRAYTOTEXT ASC ASIN ASINH ATAN ATAN2
ATANH AVEDEV AVERAGE AVERAGEA AVERAGEIF AVERAGEIFS BAHTTEXT BASE BESSELI BESSELJ BESSELK BESSELY BETA.DIST BETA.INV BETADIST BETAINV BIN2DEC
BIN2HEX BIN2OCT BINOM.DIST BINOM.DIST.RANGE BINOM.INV BINOMDIST BITAND BITLSHIFT BITOR BITRSHIFT BITXOR BYCOL BYROW CEILING CEILING.MATH
CEILING.PRECISE CELL CHAR CHIDIST CHIINV CHISQ.DIST CHISQ.DIST.RT CHISQ.INV CHISQ.INV.RT CHISQ.TEST CHITEST CHOOSE CHOOSECOLS CHOOSEROWS CLEAN
CODE COLUMN COLUMNS COMBIN COMBINA COMPLEX CONCAT CONCATENATE CONFIDENCE CONFIDENCE.NORM CONFIDENCE.T CONVERT CORREL COS COSH COT COTH COUNT
COUNTA COUNTBLANK COUNTIF COUNTIFS COUPDAYBS COUPDAYS COUPDAYSNC COUPNCD COUPNUM COUPPCD COVAR COVARIANCE.P COVARIANCE.S CRITBINOM CSC CSCH
CUMIPMT CUMPRINC DATE DATEDIF DATESTRING DATEVALUE DAVERAGE DAY DAYS DAYS360 DB DBCS DCOUNT DCOUNTA DDB DEC2BIN DEC2HEX DEC2OCT DECIMAL DEGREES
DELTA DETECTLANGUAGE DEVSQ DGET DISC DMAX DMIN DOLLAR DOLLARDE DOLLARFR DPRODUCT DROP DSTDEV DSTDEVP DSUM DURATION DVAR DVARP ECMA.CEILING EDATE
EFFECT EOMONTH ERF ERF.PRECISE ERFC ERFC.PRECISE ERROR.TYPE EUROCONVERT EVEN EXACT EXP EXPAND EXPON.DIST EXPONDIST F.DIST F.DIST.RT F.INV F.INV.RT
F.TEST FACT FACTDOUBLE FALSE FDIST FILTER FIND FINDB FINV FISHER FISHERINV FIXED FLOOR FLOOR.MATH FLOOR.PRECISE FORECAST FORECAST.ETS
FORECAST.ETS.CONFINT FORECAST.ETS.SEASONALITY FORECAST.ETS.STAT FORECAST.LINEAR FORMULATEXT FREQUENCY FTEST FV FVSCHEDULE GAMMA GAMMA.DIST GAMMA.INV
GAMMADIST GAMMAINV GAMMALN GAMMALN.PRECISE GAUSS GCD GEOMEAN GESTEP GETPIVOTDATA GROUPBY GROWTH HARMEAN HEX2BIN HEX2DEC HEX2OCT HLOOKUP HOUR HSTACK
HYPERLINK HYPGEOM.DIST HYPGEOMDIST IF IFERROR IFNA IFS IMABS IMAGINARY IMARGUMENT IMCONJUGATE IMCOS IMCOSH IMCOT IMCSC IMCSCH IMDIV IMEXP IMLN
IMLOG10 IMLOG2 IMPOWER IMPRODUCT IMREAL IMSEC IMSECH IMSIN IMSINH IMSQRT IMSUB IMSUM IMTAN INDEX INDIRECT INFO INT INTERCEPT INTRATE IPMT IRR
ISBLANK ISERR ISERROR ISEVEN ISFORMULA ISLOGICAL ISNA ISNONTEXT ISNUMBER ISO.CEILING ISODD ISOMITTED ISOWEEKNUM ISPMT ISREF ISTEXT JIS KURT LAMBDA
LARGE LCM LEFT LEFTB LEN LENB LET LINEST LN LOG LOG10 LOGEST LOGINV LOGNORM.DIST LOGNORM.INV LOGNORMDIST LOOKUP LOWER MAKEARRAY MAP MATCH MAX MAXA
MAXIFS MDETERM MDURATION MEDIAN MID MIDB MIN MINA MINIFS MINUTE MINVERSE MIRR MMULT MOD MODE MODE.MULT MODE.SNGL MONTH MROUND MULTINOMIAL MUNIT N
NA NEGBINOM.DIST NEGBINOMDIST NETWORKDAYS NETWORKDAYS.INTL NOMINAL NORM.DIST NORM.INV NORM.S.DIST NORM.S.INV NORMDIST NORMINV NORMSDIST NORMSINV NOT
NOW NPER NPV NUMBERSTRING NUMBERVALUE OCT2BIN OCT2DEC OCT2HEX ODD ODDFPRICE ODDFYIELD ODDLPRICE ODDLYIELD OFFSET OR PDURATION PEARSON PERCENTILE
PERCENTILE.EXC PERCENTILE.INC PERCENTOF PERCENTRANK PERCENTRANK.EXC PERCENTRANK.INC PERMUT PERMUTATIONA PHI PHONETIC PI PIVOTBY PMT POISSON
POISSON.DIST POWER PPMT PRICE PRICEDISC PRICEMAT PROB PRODUCT PROPER PV QUARTILE QUARTILE.EXC QUARTILE.INC QUOTIENT RADIANS RAND RANDARRAY
RANDBETWEEN RANK RANK.AVG RANK.EQ RATE RECEIVED REDUCE REGEXEXTRACT REGEXREPLACE REGEXTEST REPLACE REPLACEB REPT RIGHT RIGHTB ROMAN ROUND ROUNDDOWN
ROUNDUP ROW ROWS RRI RSQ SCAN SEARCH SEARCHB SEC SECH SECOND SEQUENCE SERIESSUM SHEET SHEETS SIGN SIN SINGLE SINH SKEW SKEW.P SLN SLOPE SMALL SORT
SORTBY SQRT SQRTPI STANDARDIZE STDEV STDEV.P STDEV.S STDEVA STDEVP STDEVPA STEYX SUBSTITUTE SUBTOTAL SUM SUMIF SUMIFS SUMPRODUCT SUMSQ SUMX2MY2
SUMX2PY2 SUMXMY2 SWITCH SYD T T.DIST T.DIST.2T T.DIST.RT T.INV T.INV.2T T.TEST TAKE TAN TANH TBILLEQ TBILLPRICE TBILLYIELD TDIST TEXT TEXTAFTER
TEXTBEFORE TEXTJOIN TEXTSPLIT THAIDAYOFWEEK THAIDIGIT THAIMONTHOFYEAR THAINUMSOUND THAINUMSTRING THAISTRINGLENGTH THAIYEAR TIME TIMEVALUE TINV TOCOL
TODAY TOROW TRANSPOSE TREND TRIM TRIMMEAN TRIMRANGE TRUE TRUNC TTEST TYPE UNICHAR UNICODE UNIQUE UPPER USDOLLAR VALUE VALUETOTEXT VAR VAR.P VAR.S
VARA VARP VARPA VDB VLOOKUP VSTACK WEEKDAY WEEKNUM WEIBULL WEIBULL.DIST WORKDAY WORKDAY.INTL WRAPCOLS WRAPROWS XIRR XLOOKUP XMATCH XNPV XOR YEAR
YEARFRAC YEN YIELD YIELDDISC YIELDMAT Z.TEST ZTEST`)
})

func set(names string) map[string]bool {
	m := map[string]bool{}
	for _, n := range strings.Fields(names) {
		m[n] = true
	}
	return m
}
