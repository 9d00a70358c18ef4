package calendar

import (
	"context"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// inside says which components may stand in which. RFC 5545, 3.6.
var inside = lazy.Value[map[string][]string]{Make: func() map[string][]string {
	return map[string][]string{
		"VCALENDAR": {"VEVENT", "VTODO", "VJOURNAL", "VFREEBUSY", "VTIMEZONE"},
		"VTIMEZONE": {"STANDARD", "DAYLIGHT"},
	}
}}

// form says what a property's value may look like and how it is written.
type form uint8

const (
	formText    form = iota + 1
	formTexts        // several, at commas
	formTimes        // dates, times or periods, at commas
	formTime         // one
	formLength       // a duration
	formRule         // a recurrence
	formNumber       // a small number
	formWord         // one of a list of words
	formOffset       // from UTC
	formPerson       // mailto:
	formLink         // http or https
	formGeo          //
	formPeriods      // of free and busy time
)

type rule struct {
	form
	many  bool   // it may stand more than once
	words string // of formWord
}

// properties are those that are kept, by component. RFC 5545, 3.8, and what
// Outlook and Google need to show an entry as they mean it.
var properties = lazy.Value[map[string]map[string]rule]{Make: func() map[string]map[string]rule {
	return map[string]map[string]rule{
		"VCALENDAR": {
			"CALSCALE": {form: formWord, words: "GREGORIAN"}, "NAME": {form: formText}, "DESCRIPTION": {form: formText},
			"METHOD":       {form: formWord, words: "PUBLISH REQUEST REPLY ADD CANCEL REFRESH COUNTER DECLINECOUNTER"},
			"X-WR-CALNAME": {form: formText}, "X-WR-CALDESC": {form: formText}, "X-WR-TIMEZONE": {form: formText},
		},
		"VEVENT":    entry.Get(),
		"VTODO":     entry.Get(),
		"VJOURNAL":  entry.Get(),
		"VFREEBUSY": entry.Get(),
		"VTIMEZONE": {"TZID": {form: formText}, "LAST-MODIFIED": {form: formTime}},
		"STANDARD":  zone.Get(),
		"DAYLIGHT":  zone.Get(),
	}
}}

var zone = lazy.Value[map[string]rule]{Make: func() map[string]rule {
	return map[string]rule{
		"DTSTART": {form: formTime}, "TZOFFSETFROM": {form: formOffset}, "TZOFFSETTO": {form: formOffset}, "TZNAME": {form: formText, many: true},
		"RRULE": {form: formRule, many: true}, "RDATE": {form: formTimes, many: true}, "COMMENT": {form: formText, many: true},
	}
}}

var entry = lazy.Value[map[string]rule]{Make: func() map[string]rule {
	return map[string]rule{
		"UID": {form: formText}, "SUMMARY": {form: formText}, "DESCRIPTION": {form: formText}, "LOCATION": {form: formText},
		"COMMENT": {form: formText, many: true}, "CONTACT": {form: formText, many: true}, "CATEGORIES": {form: formTexts, many: true},
		"RESOURCES": {form: formTexts, many: true}, "RELATED-TO": {form: formText, many: true}, "REQUEST-STATUS": {form: formTexts, many: true},
		"DTSTAMP": {form: formTime}, "DTSTART": {form: formTime}, "DTEND": {form: formTime}, "DUE": {form: formTime}, "COMPLETED": {form: formTime},
		"CREATED": {form: formTime}, "LAST-MODIFIED": {form: formTime}, "RECURRENCE-ID": {form: formTime}, "DURATION": {form: formLength},
		"EXDATE": {form: formTimes, many: true}, "RDATE": {form: formTimes, many: true}, "RRULE": {form: formRule, many: true}, "EXRULE": {form: formRule, many: true},
		"STATUS": {form: formWord, words: "TENTATIVE CONFIRMED CANCELLED NEEDS-ACTION COMPLETED IN-PROCESS DRAFT FINAL"},
		"CLASS":  {form: formWord, words: "PUBLIC PRIVATE CONFIDENTIAL"}, "TRANSP": {form: formWord, words: "OPAQUE TRANSPARENT"},
		"PRIORITY": {form: formNumber}, "SEQUENCE": {form: formNumber}, "PERCENT-COMPLETE": {form: formNumber}, "GEO": {form: formGeo},
		"ORGANIZER": {form: formPerson}, "ATTENDEE": {form: formPerson, many: true}, "URL": {form: formLink}, "FREEBUSY": {form: formPeriods, many: true},
		"X-MICROSOFT-CDO-BUSYSTATUS":     {form: formWord, words: "FREE TENTATIVE BUSY OOF WORKINGELSEWHERE"},
		"X-MICROSOFT-CDO-INTENDEDSTATUS": {form: formWord, words: "FREE TENTATIVE BUSY OOF WORKINGELSEWHERE"},
		"X-MICROSOFT-CDO-ALLDAYEVENT":    {form: formWord, words: "TRUE FALSE"},
	}
}}

// parameters are those that are kept, with the words they may have; "" for
// text, "@" for mail addresses. VALUE is written by us.
var parameters = lazy.Value[map[string]string]{Make: func() map[string]string {
	return map[string]string{
		"CN": "", "TZID": "", "LANGUAGE": "", "SENT-BY": "@", "DELEGATED-FROM": "@", "DELEGATED-TO": "@", "MEMBER": "@",
		"ROLE":     "CHAIR REQ-PARTICIPANT OPT-PARTICIPANT NON-PARTICIPANT",
		"PARTSTAT": "NEEDS-ACTION ACCEPTED DECLINED TENTATIVE DELEGATED COMPLETED IN-PROCESS",
		"CUTYPE":   "INDIVIDUAL GROUP RESOURCE ROOM UNKNOWN", "RSVP": "TRUE FALSE", "RANGE": "THISANDFUTURE",
		"RELTYPE": "PARENT CHILD SIBLING", "FBTYPE": "FREE BUSY BUSY-UNAVAILABLE BUSY-TENTATIVE", "RELATED": "START END",
	}
}}

// component is one component with what is in it.
type component struct {
	name  string
	props []property
	subs  []*component
}

const maxDepth = 4 // VCALENDAR, VEVENT, VALARM, and one to spare

// Sanitize implements sanitize.Sanitizer.
func (ICS) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	w := newWork(ctx, s, in)
	ps, err := w.read()
	if err != nil {
		return sanitize.Result{}, err
	}
	roots, err := w.tree(ps, "VCALENDAR")
	if err != nil {
		return sanitize.Result{}, err
	}
	methods := 0
	for _, c := range roots {
		for _, p := range c.props {
			if p.name == "METHOD" {
				methods++
			}
		}
		if methods > 0 && len(roots) > 1 {
			// Programs act on the first, or on the last.
			return sanitize.Result{}, fmt.Errorf("an invitation beside another calendar: %w", sanitize.ErrAmbiguous)
		}
	}
	for _, c := range roots {
		if err := w.component(c); err != nil {
			return sanitize.Result{}, err
		}
	}
	return w.finish(sanitize.KindICS, out)
}

// tree puts content lines into components.
func (w *work) tree(ps []property, root string) ([]*component, error) {
	var roots []*component
	var stack []*component
	total := 0
	for _, p := range ps {
		switch name := strings.ToUpper(strings.TrimSpace(p.value)); p.name {
		case "BEGIN":
			if total++; total > w.s.Options.Limits.Entries {
				return nil, fmt.Errorf("more than %d components: %w", w.s.Options.Limits.Entries, sanitize.ErrLimit)
			}
			if len(stack) >= maxDepth {
				return nil, fmt.Errorf("components nested too deep: %w", sanitize.ErrLimit)
			}
			c := &component{name: name}
			switch {
			case len(stack) > 0:
				top := stack[len(stack)-1]
				top.subs = append(top.subs, c)
			case name != root:
				return nil, fmt.Errorf("%.40q outside of %s: %w", name, root, sanitize.ErrMalformed)
			default:
				roots = append(roots, c)
			}
			stack = append(stack, c)
		case "END":
			if len(stack) == 0 || stack[len(stack)-1].name != name {
				return nil, fmt.Errorf("END:%.40q closes nothing: %w", name, sanitize.ErrMalformed)
			}
			stack = stack[:len(stack)-1]
		default:
			if len(stack) == 0 {
				w.found("calendar.line")
				continue
			}
			top := stack[len(stack)-1]
			top.props = append(top.props, p)
		}
	}
	if len(stack) > 0 || len(roots) == 0 {
		return nil, fmt.Errorf("no whole %s: %w", root, sanitize.ErrMalformed)
	}
	return roots, nil
}

// component writes a component of a kind that is known.
func (w *work) component(c *component) error {
	w.line("BEGIN:" + c.name)
	if c.name == "VCALENDAR" {
		w.line("VERSION:2.0")
		w.line("PRODID:-//Sekisho//Sekisho//EN")
	}
	allowed := properties.Get()[c.name]
	once := map[string]string{}
	var html string
	described := false
	for _, p := range c.props {
		switch {
		case p.name == "VERSION" || p.name == "PRODID":
			if c.name != "VCALENDAR" {
				w.found("calendar.property")
			}
			continue
		case p.name == "ATTACH" || p.name == "IMAGE" || p.name == "CONFERENCE":
			w.found("calendar.attach")
			continue
		case p.name == "X-ALT-DESC" || p.name == "STYLED-DESCRIPTION":
			html = p.value
			w.found("calendar.html")
			continue
		}
		r, ok := allowed[p.name]
		if !ok {
			w.found("calendar.property")
			continue
		}
		if !r.many {
			whole := fmt.Sprint(p.params, p.value)
			if before, seen := once[p.name]; seen {
				if before != whole {
					return fmt.Errorf("two properties %s: %w", p.name, sanitize.ErrAmbiguous)
				}
				continue
			}
			once[p.name] = whole
		}
		described = described || p.name == "DESCRIPTION" && strings.TrimSpace(p.value) != ""
		w.property(p, r)
	}
	if html != "" && !described {
		if text := w.plainOf(unescape(html)); text != "" {
			w.write("DESCRIPTION", nil, w.text(text))
		}
	}
	for _, sub := range c.subs {
		if sub.name == "VALARM" {
			w.alarm(sub)
			continue
		}
		known := false
		for _, name := range inside.Get()[c.name] {
			known = known || name == sub.name
		}
		if !known {
			w.found("calendar.component")
			continue
		}
		if err := w.component(sub); err != nil {
			return err
		}
	}
	w.line("END:" + c.name)
	return nil
}

// alarm leaves an alarm out. One that shows a line is a reminder that every
// program sets by itself; one that plays, mails or starts something is news.
func (w *work) alarm(c *component) {
	for _, p := range c.props {
		if p.name == "ACTION" && !strings.EqualFold(strings.TrimSpace(p.value), "DISPLAY") || p.name == "ATTACH" {
			w.found("calendar.alarm")
			return
		}
	}
	w.found("calendar.reminder")
}

var (
	timeForm   = lazy.Compile(`^[0-9]{8}(T[0-9]{6}Z?)?$`)
	lengthForm = lazy.Compile(`^[+-]?P([0-9]{1,6}W|([0-9]{1,6}D)?(T([0-9]{1,6}H)?([0-9]{1,6}M)?([0-9]{1,6}S)?)?)$`)
	numberForm = lazy.Compile(`^[0-9]{1,9}$`)
	offsetForm = lazy.Compile(`^[+-][0-9]{4}([0-9]{2})?$`)
	geoForm    = lazy.Compile(`^[+-]?[0-9]{1,3}(\.[0-9]{1,15})?;[+-]?[0-9]{1,3}(\.[0-9]{1,15})?$`)
	byForm     = lazy.Compile(`^[0-9A-Z,+-]{1,200}$`)
)

// property writes one property in the form it must have.
func (w *work) property(p property, r rule) {
	params := w.params(p)
	v := strings.TrimSpace(p.value)
	bad := func(rule string) { w.found(rule) }
	switch r.form {
	case formText:
		t := clean(unescape(p.value)) // what is not written hides no tag
		if markup.MatchString(t) {
			t = w.plainOf(t)
			w.found("calendar.html")
		}
		w.write(p.name, params, w.text(t))
	case formTexts:
		sep := byte(',')
		if p.name == "REQUEST-STATUS" {
			sep = ';'
		}
		var out []string
		for _, t := range split(p.value, sep) {
			out = append(out, w.text(unescape(t)))
		}
		w.write(p.name, params, strings.Join(out, string(sep)))
	case formTime, formTimes, formPeriods:
		w.times(p, r, params)
	case formLength:
		if !lengthForm.MatchString(v) || strings.HasSuffix(v, "P") || strings.HasSuffix(v, "T") {
			bad("calendar.value")
			return
		}
		w.write(p.name, nil, v)
	case formRule:
		if v, ok := recurrence(v); ok {
			w.write(p.name, nil, v)
		} else {
			bad("calendar.recurrence")
		}
	case formNumber:
		if !numberForm.MatchString(v) {
			bad("calendar.value")
			return
		}
		w.write(p.name, nil, v)
	case formWord:
		if v = strings.ToUpper(v); !oneOf(v, r.words) {
			bad("calendar.value")
			return
		}
		w.write(p.name, nil, v)
	case formOffset:
		if !offsetForm.MatchString(v) {
			bad("calendar.value")
			return
		}
		w.write(p.name, nil, v)
	case formGeo:
		if !geoForm.MatchString(v) {
			bad("calendar.value")
			return
		}
		w.write(p.name, nil, v)
	case formPerson:
		if v, ok := mailto(v); ok {
			w.write(p.name, params, v)
		} else {
			bad("calendar.address")
		}
	case formLink:
		v, ok := link(v)
		switch {
		case !ok:
			bad("calendar.link")
		case w.s.Options.URLs != sanitize.KeepURLs:
			bad("calendar.url")
		default:
			w.write(p.name, nil, v)
		}
	default:
		bad("calendar.property")
	}
}

// times writes dates, times and periods, and says by VALUE which they are.
func (w *work) times(p property, r rule, params []param) {
	var out []string
	kind := ""
	local := false
	for _, v := range strings.Split(strings.TrimSpace(p.value), ",") {
		v = strings.TrimSpace(v)
		start, end, period := strings.Cut(v, "/")
		own := "DATE-TIME"
		switch {
		case period && r.form != formTime:
			own = "PERIOD"
			if !timeForm.MatchString(start) || len(start) < 15 || !timeForm.MatchString(end) && !lengthForm.MatchString(end) {
				own = ""
			}
		case period || !timeForm.MatchString(v):
			own = ""
		case len(v) == 8:
			own = "DATE"
		}
		if own == "" || kind != "" && own != kind || r.form == formPeriods && own != "PERIOD" || r.form == formTime && len(out) > 0 {
			w.found("calendar.value")
			continue
		}
		kind = own
		local = local || own != "DATE" && !strings.HasSuffix(start, "Z")
		out = append(out, v)
	}
	if len(out) == 0 {
		return
	}
	var keep []param
	if kind == "DATE" || kind == "PERIOD" && r.form != formPeriods {
		keep = append(keep, param{"VALUE", []string{kind}})
	}
	for _, q := range params {
		// RFC 5545, 3.2.19: of local times only.
		if q.name == "RANGE" || q.name == "FBTYPE" || q.name == "TZID" && local {
			keep = append(keep, q)
		}
	}
	w.write(p.name, keep, strings.Join(out, ","))
}

// recurrence checks a rule. One that repeats by the hour, minute or second has
// no use in an office and made programs hang.
func recurrence(s string) (string, bool) {
	var out []string
	seen := map[string]bool{}
	for _, part := range strings.Split(strings.ToUpper(s), ";") {
		if part == "" {
			continue
		}
		k, v, ok := strings.Cut(part, "=")
		if !ok || seen[k] {
			return "", false
		}
		seen[k] = true
		switch k {
		case "FREQ":
			ok = oneOf(v, "DAILY WEEKLY MONTHLY YEARLY")
		case "UNTIL":
			ok = timeForm.MatchString(v)
		case "COUNT", "INTERVAL":
			ok = numberForm.MatchString(v) && len(v) <= 5
		case "WKST":
			ok = oneOf(v, "SU MO TU WE TH FR SA")
		case "BYDAY", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYMONTH", "BYSETPOS", "BYHOUR", "BYMINUTE", "BYSECOND":
			ok = byForm.MatchString(v)
		default:
			ok = false
		}
		if !ok {
			return "", false
		}
		out = append(out, part)
	}
	return strings.Join(out, ";"), seen["FREQ"]
}

// params gives the parameters that are kept.
func (w *work) params(p property) []param {
	var out []param
	seen := map[string]bool{}
	for _, q := range p.params {
		words, ok := parameters.Get()[q.name]
		if !ok || seen[q.name] || len(q.values) == 0 {
			continue
		}
		seen[q.name] = true
		k := param{name: q.name}
		for _, v := range q.values {
			switch words {
			case "":
				if v = strings.TrimSpace(w.withoutFiles(clean(v))); v != "" && len(k.values) == 0 {
					k.values = append(k.values, strings.TrimSpace(bounded(v, 1000)))
				}
			case "@":
				if v, ok := mailto(v); ok {
					k.values = append(k.values, v)
				}
			default:
				if v = strings.ToUpper(strings.TrimSpace(v)); oneOf(v, words) && len(k.values) == 0 {
					k.values = append(k.values, v)
				}
			}
		}
		if len(k.values) > 0 {
			out = append(out, k)
		}
	}
	return out
}

func oneOf(s, words string) bool {
	for _, w := range strings.Fields(words) {
		if s == w {
			return true
		}
	}
	return false
}

func bounded(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}
