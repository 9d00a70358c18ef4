package tenant

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"sekisho/envelope"
	"sekisho/internal/charset"
)

// Bounds of a list. A prefecture with all its bodies has some 100,000 people;
// ten times that is a wrong file.
const (
	maxListBytes = 32 << 20
	maxLines     = 1_000_000
	maxFaults    = 50 // the same mistake stands in every line, or in few
)

// A FaultCode says what is wrong with a line, from a closed set, so that it can
// be worded in any language.
type FaultCode string

// What may be wrong with a list.
const (
	FaultEmpty    FaultCode = "empty"      // no line with an address
	FaultSize     FaultCode = "size"       // too large to be a list of people
	FaultHeading  FaultCode = "heading"    // no column address
	FaultTwice    FaultCode = "twice"      // two columns of one meaning
	FaultCSV      FaultCode = "csv"        // quotes that do not match
	FaultLetters  FaultCode = "letters"    // characters that the charset does not have
	FaultAddress  FaultCode = "address"    // no address
	FaultWide     FaultCode = "full-width" // written with full-width characters
	FaultDomain   FaultCode = "domain"     // none of the tenant's domains
	FaultDate     FaultCode = "date"       // no date
	FaultOrder    FaultCode = "order"      // ends before it begins
	FaultTooMany  FaultCode = "too-many"   // more faults than are listed
	FaultWildcard FaultCode = "wildcard"   // a pattern; the list is exact
)

// A Fault is one thing wrong with a list, and where.
type Fault struct {
	Line  int // 1 is the heading; 0: the file as a whole
	Code  FaultCode
	Value string // what stands there
}

// hints say what to do, one for each code.
var hints = map[FaultCode]string{
	FaultEmpty:    "no line has an address: is it the right file?",
	FaultSize:     "the file is too large for a list of people: is it the right file?",
	FaultHeading:  "the first line must name the columns, one of them address",
	FaultTwice:    "two columns mean the same: take one out",
	FaultCSV:      "a quotation mark is missing or too many: save the file again as CSV",
	FaultLetters:  "some characters cannot be read: save the file as UTF-8 or Shift_JIS",
	FaultAddress:  "is no address such as soumu@town.example.lg.jp",
	FaultWide:     "has full-width characters: write it with half-width ones",
	FaultDomain:   "is in none of this tenant's domains",
	FaultDate:     "is no day such as 2027-04-01",
	FaultOrder:    "ends before it begins",
	FaultTooMany:  "further lines are wrong, too",
	FaultWildcard: "is a pattern: a list has whole addresses only",
}

func (f Fault) Error() string {
	s := hints[f.Code]
	if f.Value != "" {
		s = strconv.Quote(f.Value) + " " + s
	}
	if f.Line > 0 {
		return fmt.Sprintf("line %d: %s", f.Line, s)
	}
	return s
}

// Faults are all that is wrong with a list.
type Faults []Fault

func (fs Faults) Error() string {
	var s []string
	for _, f := range fs {
		s = append(s, f.Error())
	}
	return strings.Join(s, "; ")
}

// headings are the names of the columns that are read; others are passed over:
// the file is an export of the personnel system, with names and departments.
var headings = map[string]string{
	"address": "address", "mail": "address", "email": "address", "e-mail": "address",
	"アドレス": "address", "メールアドレス": "address", "メール": "address",
	"from": "from", "開始日": "from", "適用開始日": "from", "着任日": "from", "異動日": "from",
	"until": "until", "終了日": "until", "適用終了日": "until", "離任日": "until", "退職日": "until",
}

// ReadList reads a list from CSV: a heading that names the columns, one of them
// address, and where wanted from and until, the first and the last day on which
// a line counts. It takes what Excel writes: a byte order mark or none, UTF-8,
// UTF-16 or CP932, commas or tabs, any line end. Every address must be in one
// of domains.
//
// When anything is wrong the error is Faults, with every line that is, and
// there is no list: half a list would refuse the mail of the other half.
func ReadList(r io.Reader, domains []string) (*List, error) {
	return readList(r, maxListBytes, func(domain string) bool {
		return slices.ContainsFunc(domains, func(d string) bool { return strings.EqualFold(d, domain) })
	})
}

// StoredList reads what List.Text wrote. Domains were checked when the list was
// imported; since then the tenant may have given one up. It may be larger than
// what was imported: Text writes every column, and CP932 is shorter than UTF-8.
func StoredList(r io.Reader) (*List, error) {
	return readList(r, 4*maxListBytes, func(string) bool { return true })
}

func readList(r io.Reader, most int64, ours func(domain string) bool) (*List, error) {
	raw, err := io.ReadAll(io.LimitReader(r, most+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > most {
		return nil, Faults{{Code: FaultSize}}
	}
	text, fs := decode(raw)
	if fs != nil {
		return nil, fs
	}
	c := csv.NewReader(strings.NewReader(text))
	c.FieldsPerRecord = -1 // a line may leave the last columns out
	first, _, _ := strings.Cut(text, "\n")
	if strings.Contains(first, "\t") && !strings.Contains(first, ",") {
		c.Comma = '\t'
	}
	c.TrimLeadingSpace = c.Comma == ',' // a tab is space, too
	head, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, Faults{{Code: FaultEmpty}}
	}
	if err != nil {
		return nil, Faults{csvFault(err)}
	}
	cols, fault := columns(head)
	if fault != nil {
		return nil, Faults{*fault}
	}
	var lines []Line
	for len(lines) <= maxLines {
		rec, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, append(fs, csvFault(err))
		}
		at, _ := c.FieldPos(0)
		line, ok, fault := cols.line(rec, ours)
		switch {
		case fault != nil && len(fs) >= maxFaults:
			return nil, append(fs, Fault{Line: at, Code: FaultTooMany})
		case fault != nil:
			fault.Line = at
			fs = append(fs, *fault)
		case ok:
			lines = append(lines, line)
		}
	}
	switch {
	case len(fs) > 0:
		return nil, fs
	case len(lines) == 0:
		return nil, Faults{{Code: FaultEmpty}}
	case len(lines) > maxLines:
		return nil, Faults{{Code: FaultSize}}
	}
	return NewList(lines), nil
}

// WriteList writes a list in the form that ReadList reads.
func WriteList(w io.Writer, l *List) error {
	c := csv.NewWriter(w)
	if err := c.Write([]string{"address", "from", "until"}); err != nil {
		return err
	}
	for _, n := range l.Lines() {
		if err := c.Write([]string{n.Address.String(), n.From.String(), n.Until.String()}); err != nil {
			return err
		}
	}
	c.Flush()
	return c.Error()
}

// decode makes text of what Excel and others write.
func decode(raw []byte) (string, Faults) {
	r := charset.Decode("", raw)
	if r.Replaced > 0 {
		at := strings.IndexRune(r.Text, '\ufffd')
		return "", Faults{{Line: 1 + strings.Count(r.Text[:max(at, 0)], "\n"), Code: FaultLetters}}
	}
	text := strings.TrimPrefix(r.Text, "\ufeff")
	// A CR alone ends lines in what old spreadsheets write.
	text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	return text, nil
}

func csvFault(err error) Fault {
	var p *csv.ParseError
	if errors.As(err, &p) {
		return Fault{Line: p.StartLine, Code: FaultCSV}
	}
	return Fault{Code: FaultCSV}
}

// cols says where the columns stand; -1 is nowhere.
type cols struct{ address, from, until int }

func columns(head []string) (cols, *Fault) {
	c := cols{-1, -1, -1}
	for i, h := range head {
		var at *int
		switch headings[strings.ToLower(clean(norm.NFKC.String(h)))] {
		case "address":
			at = &c.address
		case "from":
			at = &c.from
		case "until":
			at = &c.until
		default:
			continue
		}
		if *at >= 0 {
			return c, &Fault{Line: 1, Code: FaultTwice, Value: clean(h)}
		}
		*at = i
	}
	if c.address < 0 {
		return c, &Fault{Line: 1, Code: FaultHeading, Value: cut(strings.Join(head, ","))}
	}
	return c, nil
}

// clean takes off the space around a value, the ideographic one included, and
// the characters that cannot be seen.
func clean(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
}

func cut(s string) string {
	const most = 80 // a fault is one line on a terminal
	if r := []rune(s); len(r) > most {
		return string(r[:most]) + "…"
	}
	return s
}

// line reads one record. It is not ok when it has no address and nothing else
// of ours: empty lines stand at the end of what Excel writes.
func (c cols) line(rec []string, ours func(domain string) bool) (Line, bool, *Fault) {
	field := func(i int) string {
		if i < 0 || i >= len(rec) {
			return ""
		}
		return clean(rec[i])
	}
	text := field(c.address)
	if text == "" {
		return Line{}, false, nil
	}
	fault := func(code FaultCode, value string) (Line, bool, *Fault) {
		return Line{}, false, &Fault{Code: code, Value: cut(value)}
	}
	if strings.Contains(text, "*") || strings.HasPrefix(text, "@") {
		return fault(FaultWildcard, text)
	}
	if norm.NFKC.String(text) != text {
		return fault(FaultWide, text)
	}
	a, err := envelope.ParseAddress(text)
	if err != nil || strings.ContainsAny(text, ",;:<>()[]\\\"'") && !strings.HasPrefix(text, `"`) || strings.Count(text, "@") != 1 ||
		strings.ContainsFunc(text, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) }) {
		return fault(FaultAddress, text)
	}
	if !ours(a.Domain) {
		return fault(FaultDomain, text)
	}
	l := Line{Address: a}
	for _, end := range []struct {
		col int
		to  *Day
	}{{c.from, &l.From}, {c.until, &l.Until}} {
		if v := field(end.col); v != "" {
			d, ok := ParseDay(v)
			if !ok {
				return fault(FaultDate, v)
			}
			*end.to = d
		}
	}
	if !l.From.IsZero() && !l.Until.IsZero() && l.Until.Before(l.From) {
		return fault(FaultOrder, l.From.String()+" - "+l.Until.String())
	}
	return l, true, nil
}

var (
	dayPattern   = regexp.MustCompile(`^(\d{4})(?:[-/.](\d{1,2})[-/.](\d{1,2})|年(\d{1,2})月(\d{1,2})日|(\d{2})(\d{2}))$`)
	reiwaPattern = regexp.MustCompile(`^(?:令和|R|r)(元|\d{1,2})(?:[-/.](\d{1,2})[-/.](\d{1,2})|年(\d{1,2})月(\d{1,2})日)$`)
)

// ParseDay reads a day as a municipality writes it: 2027-04-01, 2027/4/1,
// 20270401, 2027年4月1日, 令和9年4月1日, R9.4.1. Forms that two readers take for
// different days, such as 4/1/2027, are none.
func ParseDay(s string) (Day, bool) {
	s = clean(norm.NFKC.String(s))
	// A spreadsheet may show midnight with its day.
	s, _, _ = strings.Cut(s, " 0:00")
	s, _, _ = strings.Cut(s, "T00:00")
	s, _, _ = strings.Cut(s, " 00:00")
	year := 0
	m := dayPattern.FindStringSubmatch(s)
	if m != nil {
		year, _ = strconv.Atoi(m[1])
	} else if m = reiwaPattern.FindStringSubmatch(s); m != nil {
		n, err := strconv.Atoi(m[1])
		if err != nil {
			n = 1 // 元年
		}
		year = 2018 + n // Reiwa 1 is 2019
	} else {
		return Day{}, false
	}
	var parts []int
	for _, p := range m[2:] {
		if p != "" {
			n, _ := strconv.Atoi(p)
			parts = append(parts, n)
		}
	}
	if len(parts) != 2 {
		return Day{}, false
	}
	d := Day{year, time.Month(parts[0]), parts[1]}
	// time.Date turns 31 April into 1 May; such a day is a mistake.
	if y, mo, day := d.Begin().Date(); y != d.Year || mo != d.Month || day != d.Day || year < 2000 {
		return Day{}, false
	}
	return d, true
}

// Text is the list in the form of a file.
func (l *List) Text() string {
	var b bytes.Buffer
	// A buffer takes everything.
	_ = WriteList(&b, l)
	return b.String()
}
