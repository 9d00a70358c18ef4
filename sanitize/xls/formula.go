package xls

import (
	"fmt"
	"strings"

	"sekisho/internal/formula"
	"sekisho/internal/lazy"
	"sekisho/internal/link"
)

// verdict says why a formula may not stay. The zero value says that it may.
type verdict struct{ rule, why string }

func (v verdict) bad() bool { return v.rule != "" }

// parsed is what is known of a formula.
type parsed struct {
	verdict
	extra int    // how many octets behind the tokens belong to it
	names []int  // defined names it uses, counted from one
	exp   bool   // it stands for the formula of another cell
	row   uint16 // of that cell
	col   uint16
}

// parse reads the tokens of a formula and judges them. [MS-XLS] 2.5.198: every
// token must be one that is known, of its length; every function one that only
// computes; every reference one into this workbook.
func (w *workbook) parse(tokens, extra []byte) parsed {
	var p parsed
	fail := func(rule, format string, args ...any) parsed {
		p.verdict = verdict{rule, fmt.Sprintf(format, args...)}
		return p
	}
	take := func(n int) bool {
		if n > len(extra)-p.extra {
			return false
		}
		p.extra += n
		return true
	}
	// Where tokens begin, and where jumps and groups of tokens end: a jump into the
	// middle of a token would find others there, that nobody has judged.
	// They only lead on, so what begins before the first of them does not matter.
	var begins []bool
	var ends []int
	end := func(at int) {
		if begins == nil {
			begins = make([]bool, len(tokens)+1)
			begins[len(tokens)] = true
		}
		ends = append(ends, at)
	}
	indirect, odd := false, false
	named, called := 0, 0
	// The last operands, as far as they matter to HYPERLINK, which has two.
	var last [2]token
	count := 0
	for i := 0; i < len(tokens); {
		t := tokens[i]
		if begins != nil {
			begins[i] = true
		}
		i++
		rest := tokens[i:]
		base := t
		if t >= 0x20 {
			if t > 0x7f {
				return fail("xls.formula", "token %02X", t)
			}
			base = t&0x1f | 0x20
		}
		n := -1
		tok := token{}
		switch {
		case base >= 0x03 && base <= 0x16: // operators, parentheses, a missing argument
			n = 0
		case base == 0x01: // PtgExp
			if n = 4; len(rest) >= n {
				if len(tokens) != 5 {
					return fail("xls.formula", "shared with more")
				}
				p.exp, p.row, p.col = true, le.Uint16(rest), le.Uint16(rest[2:])
			}
		case base == 0x02: // PtgTbl
			if n = 4; len(rest) >= n {
				if len(tokens) != 5 {
					return fail("xls.formula", "table with more")
				}
				p.exp, p.row, p.col = true, le.Uint16(rest), le.Uint16(rest[2:])
			}
		case base == 0x17: // PtgStr
			if len(rest) < 2 {
				return fail("xls.formula", "cut short")
			}
			u, after, ok := shortText(rest[1:], int(rest[0]))
			if !ok {
				return fail("xls.formula", "string cut short")
			}
			n = len(rest) - len(after)
			tok = token{str: true, text: text(u)}
			odd = odd || strings.ContainsAny(tok.text, "[|")
		case base == 0x18: // PtgElf and others: labels as references
			n = 5
			if len(rest) >= 1 {
				switch k := rest[0]; {
				case k == 0x1d:
					return fail("xls.pivot", "field of a pivot table")
				case k < 0x01 || k > 0x10 || k == 0x04 || k == 0x05 || k == 0x08 || k == 0x09:
					// Of others nobody knows how long they are.
					return fail("xls.formula", "token 18 %02X", k)
				}
			}
		case base == 0x19: // PtgAttr
			if len(rest) < 3 {
				return fail("xls.formula", "cut short")
			}
			n = 3
			switch at, kind := int(le.Uint16(rest[1:])), rest[0]; {
			case kind&0x20 != 0: // PtgAttrBaxcel: was written by a macro
				return fail("xls.formula", "assignment")
			case kind&^0x01 == 0x02: // to what follows if a condition does not hold
				end(i + n + at)
			case kind&^0x01 == 0x04: // [MS-XLS] 2.5.198.34: counted from the table of jumps on
				table := i + n
				if n += 2 * (at + 1); n > len(rest) {
					return fail("xls.formula", "jumps cut short")
				}
				for k := range at + 1 {
					end(table + int(le.Uint16(rest[3+2*k:])))
				}
			case kind&^0x01 == 0x08: // behind the function; one is not counted
				end(i + n + at + 1)
			case kind&^0x01 == 0, kind&^0x01 == 0x10, kind&^0x01 == 0x40:
			default:
				return fail("xls.formula", "attribute %02X", kind)
			}
		case base == 0x1c, base == 0x1d:
			n = 1
		case base == 0x1e:
			n = 2
		case base == 0x1f:
			n = 8
		case base == 0x20: // PtgArray
			n = 7
			if size, ok := arraySize(extra[p.extra:]); !ok || !take(size) {
				return fail("xls.formula", "array cut short")
			}
		case base == 0x21, base == 0x22: // PtgFunc, PtgFuncVar
			n = 2
			if base == 0x22 {
				n = 3
			}
			if len(rest) < n {
				break
			}
			f := le.Uint16(rest[n-2:])
			if base == 0x22 && f&0x8000 != 0 {
				return fail("xls.macro-function", "command %d", f&0x7fff)
			}
			switch name := functionName(f); name {
			case "":
				rule := "xls.macro-function"
				if f >= 379 {
					rule = "xls.external-function"
				}
				return fail(rule, "function %s", badFunction(f))
			case "USER":
				called++
			case "INDIRECT":
				indirect = true
			case "GETPIVOTDATA":
				// Pivot tables become values, and this with them.
				return fail("xls.pivot", "GETPIVOTDATA")
			case "HYPERLINK":
				args := int(rest[0] & 0x7f)
				if base != 0x22 || args < 1 || args > min(count, 2) {
					return fail("xls.hyperlink-formula", "HYPERLINK to elsewhere")
				}
				if a := last[2-args]; !a.str || !harmlessTarget(a.text) {
					return fail("xls.hyperlink-formula", "HYPERLINK to elsewhere")
				}
			}
		case base == 0x23: // PtgName
			if n = 4; len(rest) >= n {
				k := int(le.Uint32(rest))
				if k < 1 || k > len(w.names) {
					return fail("xls.formula", "name %d of %d", k, len(w.names))
				}
				p.names = append(p.names, k)
				if w.names[k-1].function {
					named++
				}
			}
		case base == 0x24, base == 0x2a, base == 0x2c:
			n = 4
		case base == 0x25, base == 0x2b, base == 0x2d:
			n = 8
		case base == 0x26: // PtgMemArea
			n = 6
			if len(rest) >= n {
				end(i + n + int(le.Uint16(rest[4:])))
			}
			if len(extra)-p.extra < 2 || !take(2+8*int(le.Uint16(extra[p.extra:]))) {
				return fail("xls.formula", "areas cut short")
			}
		case base == 0x27, base == 0x28: // PtgMemErr, PtgMemNoMem
			if n = 6; len(rest) >= n {
				end(i + n + int(le.Uint16(rest[4:])))
			}
		case base == 0x29, base == 0x2e, base == 0x2f: // PtgMemFunc and its kin
			if n = 2; len(rest) >= n {
				end(i + n + int(le.Uint16(rest)))
			}
		case base == 0x39: // PtgNameX
			if n = 6; len(rest) < n {
				break
			}
			b, v := w.book(le.Uint16(rest))
			if v.bad() {
				p.verdict = v
				return p
			}
			k := int(le.Uint32(rest[2:]))
			switch b.kind {
			case bookSelf:
				if k < 1 || k > len(w.names) {
					return fail("xls.formula", "name %d of %d", k, len(w.names))
				}
				p.names = append(p.names, k)
				if w.names[k-1].function {
					named++
				}
			case bookAddIn:
				if k < 1 || k > len(b.names) {
					return fail("xls.formula", "name %d of %d", k, len(b.names))
				}
				if !b.names[k-1].computes {
					return fail("xls.user-function", "function %s", b.names[k-1].name)
				}
				named++
			default:
				return fail("xls.external-link", "name elsewhere")
			}
		case base == 0x3a, base == 0x3b, base == 0x3c, base == 0x3d: // references with a sheet
			n = 6
			if base == 0x3b || base == 0x3d {
				n = 10
			}
			if len(rest) < n {
				break
			}
			b, v := w.book(le.Uint16(rest))
			if v.bad() {
				p.verdict = v
				return p
			}
			if b.kind != bookSelf && !(b.kind == bookAddIn && (base == 0x3c || base == 0x3d)) {
				return fail("xls.external-link", "reference elsewhere")
			}
		}
		if n < 0 {
			return fail("xls.formula", "token %02X", t)
		}
		if n > len(rest) {
			return fail("xls.formula", "cut short")
		}
		i += n
		switch {
		case operands[base]:
			last[0], last[1] = last[1], tok
			count++
		case base == 0x19 && rest[0]&0x1e == 0:
			// Space and how often it is to be computed.
		default:
			// What is computed is no literal, and a jump leads past one. How many
			// operands went into it is not counted: this may only be too strict.
			count = 0
		}
	}
	for _, at := range ends {
		if at > len(tokens) || !begins[at] {
			return fail("xls.formula", "jump into a token")
		}
	}
	// A call of no built-in function names its function as the first argument.
	if called > named {
		return fail("xls.user-function", "function of a macro")
	}
	if indirect && odd {
		return fail("xls.external-link", "INDIRECT to elsewhere")
	}
	return p
}

// operands are the tokens that are a value or a reference.
var operands = [0x40]bool{0x16: true, 0x17: true, 0x1c: true, 0x1d: true, 0x1e: true, 0x1f: true, 0x20: true, 0x23: true, 0x24: true, 0x25: true,
	0x2a: true, 0x2b: true, 0x2c: true, 0x2d: true, 0x39: true, 0x3a: true, 0x3b: true, 0x3c: true, 0x3d: true}

// token is an operand.
type token struct {
	str  bool
	text string
}

func harmlessTarget(s string) bool {
	if strings.HasPrefix(s, "#") {
		return !strings.ContainsAny(s, `[]\|`)
	}
	return link.Harmless(s)
}

// arraySize is how long an array behind the tokens is. [MS-XLS] 2.5.198.8.
func arraySize(b []byte) (int, bool) {
	if len(b) < 3 {
		return 0, false
	}
	n := (int(b[0]) + 1) * (int(le.Uint16(b[1:])) + 1)
	at := 3
	for range n {
		if at >= len(b) {
			return 0, false
		}
		switch b[at] {
		case 0, 1, 4, 0x10:
			at += 9
		case 2:
			if at+4 > len(b) {
				return 0, false
			}
			k := int(le.Uint16(b[at+1:]))
			if b[at+3]&1 != 0 {
				k *= 2
			}
			at += 4 + k
		default:
			return 0, false
		}
	}
	return at, at <= len(b)
}

// functionName is the name of a function that only computes, USER for a call of
// one that is none of Excel's own, else empty. [MS-XLS] 2.5.198.17.
func functionName(f uint16) string {
	if f == 255 {
		return "USER"
	}
	if int(f) < len(functions) && formula.Computes(functions[f]) {
		return functions[f]
	}
	return ""
}

// badFunction names a function for the report.
func badFunction(f uint16) string {
	if n, ok := macroFunctions.Get()[f]; ok {
		return n
	}
	return fmt.Sprint(f)
}

// macroFunctions are those that people who look at reports know.
var macroFunctions = lazy.Value[map[uint16]string]{Make: func() map[uint16]string {
	return map[uint16]string{
		53: "GOTO", 54: "HALT", 96: "RESULT", 110: "EXEC", 132: "FOPEN", 135: "FREADLN", 136: "FREAD", 137: "FWRITELN", 138: "FWRITE",
		149: "REGISTER", 150: "CALL", 166: "FILES", 175: "INITIATE", 176: "REQUEST", 177: "POKE", 178: "EXECUTE", 179: "TERMINATE",
		185: "GET.CELL", 186: "GET.WORKSPACE", 188: "GET.DOCUMENT", 257: "EVALUATE", 267: "REGISTER.ID", 268: "GET.WORKBOOK", 379: "RTD",
		380: "CUBEVALUE", 381: "CUBEMEMBER", 382: "CUBEMEMBERPROPERTY", 383: "CUBERANKEDMEMBER", 477: "CUBEKPIMEMBER", 478: "CUBESET", 479: "CUBESETCOUNT",
	}
}}

// functions are the functions of worksheets by their number. The numbers
// between are of macro sheets.
var functions = [...]string{
	0: "COUNT", 1: "IF", 2: "ISNA", 3: "ISERROR", 4: "SUM", 5: "AVERAGE", 6: "MIN", 7: "MAX", 8: "ROW", 9: "COLUMN", 10: "NA", 11: "NPV", 12: "STDEV",
	13: "DOLLAR", 14: "FIXED", 15: "SIN", 16: "COS", 17: "TAN", 18: "ATAN", 19: "PI", 20: "SQRT", 21: "EXP", 22: "LN", 23: "LOG10", 24: "ABS", 25: "INT",
	26: "SIGN", 27: "ROUND", 28: "LOOKUP", 29: "INDEX", 30: "REPT", 31: "MID", 32: "LEN", 33: "VALUE", 34: "TRUE", 35: "FALSE", 36: "AND", 37: "OR",
	38: "NOT", 39: "MOD", 40: "DCOUNT", 41: "DSUM", 42: "DAVERAGE", 43: "DMIN", 44: "DMAX", 45: "DSTDEV", 46: "VAR", 47: "DVAR", 48: "TEXT", 49: "LINEST",
	50: "TREND", 51: "LOGEST", 52: "GROWTH", 56: "PV", 57: "FV", 58: "NPER", 59: "PMT", 60: "RATE", 61: "MIRR", 62: "IRR", 63: "RAND", 64: "MATCH",
	65: "DATE", 66: "TIME", 67: "DAY", 68: "MONTH", 69: "YEAR", 70: "WEEKDAY", 71: "HOUR", 72: "MINUTE", 73: "SECOND", 74: "NOW", 75: "AREAS", 76: "ROWS",
	77: "COLUMNS", 78: "OFFSET", 82: "SEARCH", 83: "TRANSPOSE", 86: "TYPE", 97: "ATAN2", 98: "ASIN", 99: "ACOS", 100: "CHOOSE", 101: "HLOOKUP",
	102: "VLOOKUP", 105: "ISREF", 109: "LOG", 111: "CHAR", 112: "LOWER", 113: "UPPER", 114: "PROPER", 115: "LEFT", 116: "RIGHT", 117: "EXACT", 118: "TRIM",
	119: "REPLACE", 120: "SUBSTITUTE", 121: "CODE", 124: "FIND", 125: "CELL", 126: "ISERR", 127: "ISTEXT", 128: "ISNUMBER", 129: "ISBLANK", 130: "T",
	131: "N", 140: "DATEVALUE", 141: "TIMEVALUE", 142: "SLN", 143: "SYD", 144: "DDB", 148: "INDIRECT", 162: "CLEAN", 163: "MDETERM", 164: "MINVERSE",
	165: "MMULT", 167: "IPMT", 168: "PPMT", 169: "COUNTA", 183: "PRODUCT", 184: "FACT", 189: "DPRODUCT", 190: "ISNONTEXT", 193: "STDEVP", 194: "VARP",
	195: "DSTDEVP", 196: "DVARP", 197: "TRUNC", 198: "ISLOGICAL", 199: "DCOUNTA", 204: "USDOLLAR", 205: "FINDB", 206: "SEARCHB", 207: "REPLACEB",
	208: "LEFTB", 209: "RIGHTB", 210: "MIDB", 211: "LENB", 212: "ROUNDUP", 213: "ROUNDDOWN", 214: "ASC", 215: "DBCS", 216: "RANK", 219: "ADDRESS",
	220: "DAYS360", 221: "TODAY", 222: "VDB", 227: "MEDIAN", 228: "SUMPRODUCT", 229: "SINH", 230: "COSH", 231: "TANH", 232: "ASINH", 233: "ACOSH",
	234: "ATANH", 235: "DGET", 244: "INFO", 247: "DB", 252: "FREQUENCY", 261: "ERROR.TYPE", 269: "AVEDEV", 270: "BETADIST", 271: "GAMMALN",
	272: "BETAINV", 273: "BINOMDIST", 274: "CHIDIST", 275: "CHIINV", 276: "COMBIN", 277: "CONFIDENCE", 278: "CRITBINOM", 279: "EVEN", 280: "EXPONDIST",
	281: "FDIST", 282: "FINV", 283: "FISHER", 284: "FISHERINV", 285: "FLOOR", 286: "GAMMADIST", 287: "GAMMAINV", 288: "CEILING", 289: "HYPGEOMDIST",
	290: "LOGNORMDIST", 291: "LOGINV", 292: "NEGBINOMDIST", 293: "NORMDIST", 294: "NORMSDIST", 295: "NORMINV", 296: "NORMSINV", 297: "STANDARDIZE",
	298: "ODD", 299: "PERMUT", 300: "POISSON", 301: "TDIST", 302: "WEIBULL", 303: "SUMXMY2", 304: "SUMX2MY2", 305: "SUMX2PY2", 306: "CHITEST",
	307: "CORREL", 308: "COVAR", 309: "FORECAST", 310: "FTEST", 311: "INTERCEPT", 312: "PEARSON", 313: "RSQ", 314: "STEYX", 315: "SLOPE", 316: "TTEST",
	317: "PROB", 318: "DEVSQ", 319: "GEOMEAN", 320: "HARMEAN", 321: "SUMSQ", 322: "KURT", 323: "SKEW", 324: "ZTEST", 325: "LARGE", 326: "SMALL",
	327: "QUARTILE", 328: "PERCENTILE", 329: "PERCENTRANK", 330: "MODE", 331: "TRIMMEAN", 332: "TINV", 336: "CONCATENATE", 337: "POWER", 342: "RADIANS",
	343: "DEGREES", 344: "SUBTOTAL", 345: "SUMIF", 346: "COUNTIF", 347: "COUNTBLANK", 350: "ISPMT", 351: "DATEDIF", 352: "DATESTRING", 353: "NUMBERSTRING",
	354: "ROMAN", 358: "GETPIVOTDATA", 359: "HYPERLINK", 360: "PHONETIC", 361: "AVERAGEA", 362: "MAXA", 363: "MINA", 364: "STDEVPA", 365: "VARPA",
	366: "STDEVA", 367: "VARA", 368: "BAHTTEXT", 369: "THAIDAYOFWEEK", 370: "THAIDIGIT", 371: "THAIMONTHOFYEAR", 372: "THAINUMSOUND",
	373: "THAINUMSTRING", 374: "THAISTRINGLENGTH", 378: "THAIYEAR",
	480: "IFERROR", 481: "COUNTIFS", 482: "SUMIFS", 483: "AVERAGEIF", 484: "AVERAGEIFS",
}
