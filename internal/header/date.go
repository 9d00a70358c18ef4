package header

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// ErrDate is returned for a date that cannot be made out.
var ErrDate = errors.New("no date")

// maxDate bounds what is looked at; a date with comment and day has some 50.
const maxDate = 200

var months = [...]string{"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}

// zones are the names RFC 5322, 4.3 gives a meaning, and the one of this
// country. A military letter or an unknown name is -0000: the time is right,
// the place unknown.
var zones = sync.OnceValue(func() map[string]int {
	return map[string]int{
		"ut": 0, "utc": 0, "gmt": 0, "z": 0, "est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7, "jst": 9, "kst": 9, "bst": 1, "cet": 1, "cest": 2, "hkt": 8, "sgt": 8,
	}
})

// ParseDate reads a Date field. It takes the forms of RFC 5322, old and new,
// whatever the day of the week says, and the others that mail is known to
// hold: numbers with dashes or slashes, ISO 8601, asctime, Japanese units,
// month before day, seconds left out.
func ParseDate(raw string) (time.Time, error) {
	s := Unfold(raw)
	if len(s) > maxDate {
		return time.Time{}, fmt.Errorf("%w: %d bytes", ErrDate, len(s))
	}
	s = withoutComments(s)
	// 2026年1月2日 3時4分
	s = strings.NewReplacer("年", "/", "月", "/", "日", " ", "時", ":", "分", ":", "秒", " ", ",", " ").Replace(s)
	var d dateParts
	for _, tok := range strings.Fields(s) {
		d.take(lower(tok))
	}
	return d.time()
}

func withoutComments(s string) string {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '(':
			depth++
		case s[i] == ')' && depth > 0:
			depth--
			b.WriteByte(' ')
		case depth == 0:
			b.WriteByte(s[i])
		}
	}
	return b.String()
}

type dateParts struct {
	year, month, day  int
	hour, min, sec    int
	zone              int // seconds
	hasClock, hasZone bool
	pm, am            bool
	bad               bool
}

func (d *dateParts) take(tok string) {
	switch {
	case tok == "am" || tok == "pm":
		d.am, d.pm = tok == "am", tok == "pm"
	case strings.Contains(tok, ":") && !strings.Contains(tok, "t"):
		d.clock(tok)
	case d.hasClock && (tok[0] == '+' || tok[0] == '-'):
		d.offset(tok)
	case strings.ContainsAny(tok, "-/.") && tok[0] >= '0' && tok[0] <= '9' || strings.Contains(tok, ":"):
		d.joined(tok)
	case tok[0] >= '0' && tok[0] <= '9':
		d.number(tok)
	case d.monthName(tok):
	case d.hasClock:
		d.zoneName(tok)
	}
}

func (d *dateParts) clock(tok string) {
	// The zone may be glued on: 10:20:30+0900.
	if i := strings.IndexAny(tok, "+-"); i > 0 {
		d.clock(tok[:i])
		d.offset(tok[i:])
		return
	}
	for _, suffix := range []string{"am", "pm", "z"} {
		if rest, ok := strings.CutSuffix(tok, suffix); ok {
			tok = rest
			d.am, d.pm = suffix == "am", suffix == "pm"
			d.hasZone = d.hasZone || suffix == "z"
		}
	}
	parts := strings.Split(tok, ":")
	var v [3]int
	for i, p := range parts {
		if i == 2 {
			p, _, _ = strings.Cut(p, ".")
		}
		if i == len(parts)-1 && p == "" && i > 0 {
			break // 3時 without minutes leaves an open colon
		}
		n, err := strconv.Atoi(p)
		if err != nil || i > 2 || n < 0 || len(p) > 2 {
			d.bad = true
			return
		}
		v[i] = n
	}
	d.hour, d.min, d.sec = v[0], v[1], v[2]
	d.hasClock = true
}

func (d *dateParts) offset(tok string) {
	digits := strings.ReplaceAll(tok[1:], ":", "")
	n, err := strconv.Atoi(digits)
	if err != nil || len(digits) > 4 || n < 0 {
		return
	}
	if len(digits) <= 2 {
		n *= 100
	}
	h, m := n/100, n%100
	if h > 14 || m > 59 {
		return
	}
	d.zone = h*3600 + m*60
	if tok[0] == '-' {
		d.zone = -d.zone
	}
	d.hasZone = true
}

// joined takes a date written as one word.
func (d *dateParts) joined(tok string) {
	day, clock, both := strings.Cut(tok, "t")
	if both && strings.Contains(clock, ":") {
		d.clock(clock)
		tok = day
	}
	for _, p := range strings.FieldsFunc(tok, func(r rune) bool { return r == '-' || r == '/' || r == '.' }) {
		if p[0] >= '0' && p[0] <= '9' {
			d.number(p)
		} else if !d.monthName(p) {
			d.bad = true
		}
	}
}

func (d *dateParts) number(tok string) {
	n, err := strconv.Atoi(tok)
	if err != nil || len(tok) > 4 {
		d.bad = true
		return
	}
	switch {
	case len(tok) == 4:
		d.setYear(n)
	case d.year != 0 && d.month == 0: // year first: then month, then day
		d.month = n
	case d.day == 0:
		d.day = n
	case d.month == 0:
		d.month = n
	default:
		// RFC 5322, 4.3: years of two and three digits.
		switch {
		case len(tok) == 3:
			n += 1900
		case n < 50:
			n += 2000
		default:
			n += 1900
		}
		d.setYear(n)
	}
}

func (d *dateParts) setYear(n int) {
	if d.year != 0 {
		d.bad = true
	}
	d.year = n
}

func (d *dateParts) monthName(tok string) bool {
	for i, m := range months {
		if d.month == 0 && strings.HasPrefix(tok, m) {
			d.month = i + 1
			return true
		}
	}
	return false
}

func (d *dateParts) zoneName(tok string) {
	for _, prefix := range []string{"gmt", "utc"} {
		if rest, ok := strings.CutPrefix(tok, prefix); ok && len(rest) > 1 && (rest[0] == '+' || rest[0] == '-') {
			d.offset(rest)
			return
		}
	}
	if h, ok := zones()[tok]; ok && !d.hasZone {
		d.zone, d.hasZone = h*3600, true
	}
}

func (d *dateParts) time() (time.Time, error) {
	if d.pm && d.hour < 12 {
		d.hour += 12
	} else if d.am && d.hour == 12 {
		d.hour = 0
	}
	switch {
	case d.bad || d.year < 1900 || d.month < 1 || d.month > 12 || d.day < 1:
		return time.Time{}, ErrDate
	case d.hour > 24 || d.min > 59 || d.sec > 60:
		return time.Time{}, fmt.Errorf("%w: the clock says %d:%d:%d", ErrDate, d.hour, d.min, d.sec)
	}
	zone := time.UTC
	if d.zone != 0 {
		zone = time.FixedZone("", d.zone)
	}
	t := time.Date(d.year, time.Month(d.month), d.day, d.hour, d.min, d.sec, 0, zone)
	if d.hour < 24 && d.sec < 60 && (t.Day() != d.day || int(t.Month()) != d.month) {
		return time.Time{}, fmt.Errorf("%w: no such day", ErrDate)
	}
	return t, nil
}
