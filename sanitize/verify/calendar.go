package verify

import (
	"strings"
	"sync"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// The shape of every line that a calendar file or card may have, by the name
// of its property. What may stand behind the colon is said as narrowly as the
// standard allows, so that no address or file can hide in a line of text kind.
var (
	calendarText  = `[^\r\n]*`
	calendarTime  = `[0-9]{8}(?:T[0-9]{6}Z?)?`
	calendarParam = `(?:;[A-Z-]+=(?:"[^"\r\n]*"|[^":;,\r\n]*)(?:,(?:"[^"\r\n]*"|[^":;,\r\n]*))*)*`

	icsLine = lazy.Compile(`^(?:` + strings.Join([]string{
		`VERSION:2\.0`, `PRODID:-//Sekisho//Sekisho//EN`,
		`METHOD:(?:PUBLISH|REQUEST|REPLY|ADD|CANCEL|REFRESH|COUNTER|DECLINECOUNTER)`,
		`(?:CALSCALE|STATUS|CLASS|TRANSP|X-MICROSOFT-CDO-[A-Z]+):[A-Z-]+`,
		`(?:NAME|X-WR-CALNAME|X-WR-CALDESC|X-WR-TIMEZONE|TZID|TZNAME|UID|SUMMARY|DESCRIPTION|LOCATION|COMMENT|CONTACT|CATEGORIES|RESOURCES|RELATED-TO|REQUEST-STATUS)` + calendarParam + `:` + calendarText,
		`(?:DTSTAMP|DTSTART|DTEND|DUE|COMPLETED|CREATED|LAST-MODIFIED|RECURRENCE-ID)` + calendarParam + `:` + calendarTime,
		`(?:EXDATE|RDATE|FREEBUSY)` + calendarParam + `:[0-9TZPWDHMS/,+-]+`,
		`DURATION:[+-]?P[0-9WDTHMS]+`, `(?:RRULE|EXRULE):[A-Z0-9=;,+-]+`, `(?:PRIORITY|SEQUENCE|PERCENT-COMPLETE):[0-9]{1,9}`,
		`(?:TZOFFSETFROM|TZOFFSETTO):[+-][0-9]{4,6}`, `GEO:[0-9.;+-]+`,
		`(?:ORGANIZER|ATTENDEE)` + calendarParam + `:mailto:[^\s:;,"<>/\\]+`, `URL:https?://[\x21-\x7e]+`,
	}, "|") + `)$`)

	vcfLine = lazy.Compile(`^(?:` + strings.Join([]string{
		`VERSION:3\.0`, `URL(?:;TYPE=[A-Z0-9,]+)?:https?://[\x21-\x7e]+`,
		`(?:FN|N|NICKNAME|ORG|TITLE|ROLE|TEL|EMAIL|ADR|LABEL|BDAY|ANNIVERSARY|NOTE|UID|REV|CATEGORIES|GEO|TZ|CLASS|SORT-STRING|KIND|GENDER|LANG|X-PHONETIC-[A-Z-]+|X-GENDER)(?:;TYPE=[A-Z0-9,]+)?:` + calendarText,
	}, "|") + `)$`)

	// Every address that a parameter may carry is one of mail.
	badParam = lazy.Compile(`(?i);(?:ALTREP|DIR|FMTTYPE|ENCODING|VALUE=(?:URI|BINARY))`)
)

// icsComponents says what may stand in what; "" is the file.
var icsComponents = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"VCALENDAR": "", "VEVENT": "VCALENDAR", "VTODO": "VCALENDAR", "VJOURNAL": "VCALENDAR", "VFREEBUSY": "VCALENDAR",
		"VTIMEZONE": "VCALENDAR", "STANDARD": "VTIMEZONE", "DAYLIGHT": "VTIMEZONE",
	}
})

func checkICS(s *sanitize.Session, where string, b []byte) error {
	return contentLines(s, where, b, icsComponents(), icsLine)
}

func checkVCF(s *sanitize.Session, where string, b []byte) error {
	return contentLines(s, where, b, map[string]string{"VCARD": ""}, vcfLine)
}

// contentLines looks at a file of content lines (RFC 5545, 3.1): CRLF, 75
// octets, components that close, and no line but those of allowed.
func contentLines(s *sanitize.Session, where string, b []byte, components map[string]string, allowed *lazy.Regexp) error {
	if err := plain(s, where, b); err != nil {
		return err
	}
	text := string(b)
	if strings.Count(text, "\r") != strings.Count(text, "\r\n") || strings.Count(text, "\n") != strings.Count(text, "\r\n") || !strings.HasSuffix(text, "\r\n") {
		return notAllowed(where, "line ends")
	}
	for ln := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		if len(ln) > 75 {
			return notAllowed(where, "line of %d octets", len(ln))
		}
	}
	text = strings.ReplaceAll(text, "\r\n ", "")
	var open []string
	n := 0
	for ln := range strings.SplitSeq(strings.TrimSuffix(text, "\r\n"), "\r\n") {
		n++
		top := ""
		if len(open) > 0 {
			top = open[len(open)-1]
		}
		if name, ok := strings.CutPrefix(ln, "BEGIN:"); ok {
			if in, known := components[name]; !known || in != top {
				return notAllowed(where, "component %.40q in %q", name, top)
			}
			open = append(open, name)
			continue
		}
		if name, ok := strings.CutPrefix(ln, "END:"); ok {
			if name != top || top == "" {
				return notAllowed(where, "END:%.40q", name)
			}
			open = open[:len(open)-1]
			continue
		}
		if top == "" || !allowed.MatchString(ln) {
			return notAllowed(where, "line %d: %.60q", n, ln)
		}
		if head, _, ok := strings.Cut(ln, ":"); ok && badParam.MatchString(head) {
			return notAllowed(where, "parameter in line %d", n)
		}
	}
	if len(open) > 0 || n == 0 {
		return notAllowed(where, "a component that does not close")
	}
	return nil
}
