// Package calendar makes calendar files (iCalendar, RFC 5545) and contact cards
// (vCard, RFC 2426 and its predecessor 2.1) harmless. It reads them line by
// line, in whatever charset they are in, and writes new ones of properties it
// knows, each checked against the form its standard gives it: an invitation
// keeps its METHOD, times, rule of repetition, place, people and text.
//
// What could run, load or lead somewhere is not on the list: attachments,
// alarms, HTML descriptions, pictures, sounds, keys, and addresses of other
// schemes than http, https and mailto. A line that is no content line is left
// out and counted; components that do not close, and a property that may stand
// once and says two things, refuse the file, since programs differ there.
//
// The output is UTF-8 with lines of at most 75 octets, and treating it again
// changes nothing.
package calendar

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"sort"
	"strings"

	"sekisho/internal/charset"
	"sekisho/internal/encoded"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// ICS writes a calendar file anew. The zero value is ready.
type ICS struct{}

// VCF writes contact cards anew. The zero value is ready.
type VCF struct{}

// The findings of this package. What a program makes by itself (its own
// properties, a reminder that only shows a line) is not missed by a reader.
var actions = lazy.Value[map[string]sanitize.Action]{Make: func() map[string]sanitize.Action {
	return map[string]sanitize.Action{
		"calendar.attach":     sanitize.Removed,   // ATTACH, inline or by address
		"calendar.alarm":      sanitize.Removed,   // VALARM that starts, plays or mails something
		"calendar.reminder":   sanitize.Rewritten, // VALARM that shows a line
		"calendar.html":       sanitize.Rewritten, // HTML, whose text stays
		"calendar.link":       sanitize.Removed,   // an address of a scheme that opens something
		"calendar.address":    sanitize.Rewritten, // an attendee without a mail address
		"calendar.recurrence": sanitize.Removed,   // a rule that repeats by the hour or is none
		"calendar.value":      sanitize.Removed,   // a value that is not of the form it must have
		"calendar.line":       sanitize.Removed,   // a line that is no content line
		"calendar.component":  sanitize.Removed,   // a component of an unknown kind
		"calendar.property":   sanitize.Rewritten, // properties of a program's own
		"calendar.url":        sanitize.Rewritten, // addresses defanged or left out by the profile
		"text.encoded-run":    sanitize.Removed,   // a file written into a text
		"vcard.media":         sanitize.Removed,   // pictures, sounds
		"vcard.key":           sanitize.Removed,   // keys and certificates
		"vcard.agent":         sanitize.Removed,   // a card in a card
	}
}}

// work is the treatment of one file.
type work struct {
	ctx   context.Context
	s     *sanitize.Session
	in    sanitize.Object
	count map[string]int
	b     bytes.Buffer
}

func newWork(ctx context.Context, s *sanitize.Session, in sanitize.Object) *work {
	return &work{ctx: ctx, s: s, in: in, count: map[string]int{}}
}

func (w *work) found(rule string) { w.count[rule]++ }

// finish reports the findings and writes the output.
func (w *work) finish(kind sanitize.Kind, out io.Writer) (sanitize.Result, error) {
	rules := make([]string, 0, len(w.count))
	for r := range w.count {
		rules = append(rules, r)
	}
	sort.Strings(rules)
	res := sanitize.Result{Outcome: sanitize.Clean, Kind: kind, Mode: sanitize.Rebuild}
	for _, r := range rules {
		f := sanitize.Finding{Rule: r, Action: actions.Get()[r], Detail: fmt.Sprint(w.count[r])}
		if f.Action == "" {
			f.Action = sanitize.Reported
		}
		w.s.Found(f)
		if f.Changed() {
			res.Outcome = sanitize.Disarmed
		}
	}
	if err := w.s.Spend(int64(w.b.Len())); err != nil {
		return sanitize.Result{}, err
	}
	if _, err := out.Write(w.b.Bytes()); err != nil {
		return sanitize.Result{}, fmt.Errorf("write: %w", err)
	}
	return res, nil
}

// property is one content line, its value still escaped.
type property struct {
	name   string // upper case, without the group of a vCard
	params []param
	value  string
}

// param is one parameter of a property; of a bare word of vCard 2.1 the name
// is empty.
type param struct {
	name   string // upper case
	values []string
}

// param returns the first value of a parameter.
func (p property) param(name string) string {
	for _, q := range p.params {
		if q.name == name && len(q.values) > 0 {
			return q.values[0]
		}
	}
	return ""
}

// maxParams bounds the parameters of a line; attendees have some ten.
const maxParams = 50

// read decodes the file and gives its content lines. keepBlank says that a
// folded line keeps the blank it was folded at (vCard 2.1, 2.1.3).
func (w *work) read() ([]property, error) {
	var raw bytes.Buffer
	if _, err := raw.ReadFrom(w.s.Meter(w.in.Reader())); err != nil {
		return nil, fmt.Errorf("read %s: %w", w.in.Path, err)
	}
	b := raw.Bytes()
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		b = []byte(charset.Decode(w.in.Charset, b).Text)
	}
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	// Lines are put together as octets first: RFC 5545, 3.1, lets a fold stand
	// inside a character.
	if v21.Match(b) {
		b = bytes.ReplaceAll(b, []byte("\n "), []byte(" "))
		b = bytes.ReplaceAll(b, []byte("\n\t"), []byte("\t"))
	} else {
		b = bytes.ReplaceAll(b, []byte("\n "), nil)
		b = bytes.ReplaceAll(b, []byte("\n\t"), nil)
	}
	r := charset.Decode(w.in.Charset, b)
	if r.Replaced > 0 {
		w.s.Found(sanitize.Finding{Rule: "text.illegal-bytes", Action: sanitize.Reported, Detail: fmt.Sprint(r.Replaced)})
	}
	if r.UserDefined > 0 {
		w.s.Found(sanitize.Finding{Rule: "text.user-defined", Action: sanitize.Reported, Detail: fmt.Sprint(r.UserDefined)})
	}
	var ps []property
	rest := strings.TrimPrefix(r.Text, "\ufeff")
	for n := 0; rest != ""; n++ {
		if n%1024 == 0 && w.ctx.Err() != nil {
			return nil, w.ctx.Err()
		}
		var line string
		line, rest, _ = strings.Cut(rest, "\n")
		if strings.TrimSpace(line) == "" {
			continue
		}
		// vCard 2.1 goes on behind "=" at the end of a quoted-printable line.
		if head, _, ok := strings.Cut(line, ":"); ok && strings.Contains(strings.ToUpper(head), "QUOTED-PRINTABLE") {
			var all strings.Builder
			for strings.HasSuffix(line, "=") && rest != "" {
				all.WriteString(line[:len(line)-1])
				line, rest, _ = strings.Cut(rest, "\n")
			}
			all.WriteString(line)
			line = all.String()
		}
		p, ok := parseLine(line)
		if !ok {
			w.found("calendar.line")
			continue
		}
		ps = append(ps, p)
	}
	return ps, nil
}

var v21 = lazy.Compile(`(?im)^VERSION:[ \t]*2\.1[ \t]*$`)

// parseLine takes a content line apart. RFC 5545, 3.1.
func parseLine(s string) (p property, ok bool) {
	i := strings.IndexAny(s, ":;")
	if i <= 0 {
		return p, false
	}
	name := strings.ToUpper(strings.TrimSpace(s[:i]))
	if j := strings.LastIndexByte(name, '.'); j >= 0 {
		name = name[j+1:] // vCard's group
	}
	if !word(name) {
		return p, false
	}
	p.name = name
	for s[i] == ';' {
		i++
		start := i
		for i < len(s) && s[i] != '=' && s[i] != ';' && s[i] != ':' {
			i++
		}
		if i == len(s) {
			return p, false
		}
		q := param{name: strings.ToUpper(strings.TrimSpace(s[start:i]))}
		if s[i] != '=' {
			q = param{values: []string{q.name}}
		} else {
			for more := true; more; {
				i++
				var v string
				if i < len(s) && s[i] == '"' {
					end := strings.IndexByte(s[i+1:], '"')
					if end < 0 {
						return p, false
					}
					v = s[i+1 : i+1+end]
					i += end + 2
					// What stands behind the quotation mark belongs to nothing.
					for i < len(s) && s[i] != ',' && s[i] != ';' && s[i] != ':' {
						i++
					}
				} else {
					start = i
					for i < len(s) && s[i] != ',' && s[i] != ';' && s[i] != ':' {
						i++
					}
					v = s[start:i]
				}
				if len(q.values) < maxParams {
					q.values = append(q.values, uncaret(v))
				}
				more = i < len(s) && s[i] == ','
			}
			if i == len(s) {
				return p, false
			}
		}
		if len(p.params) < maxParams {
			p.params = append(p.params, q)
		}
	}
	p.value = s[i+1:]
	return p, true
}

// word: the letters of a name. RFC 5545, 3.1.
func word(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; !('A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
			return false
		}
	}
	return s != "" && len(s) <= 60
}

// uncaret reads the escapes of parameter values. RFC 6868.
func uncaret(s string) string {
	if !strings.Contains(s, "^") {
		return s
	}
	return strings.NewReplacer("^n", "\n", "^N", "\n", "^'", `"`, "^^", "^").Replace(s)
}

// unescape reads a text value. RFC 5545, 3.3.11.
func unescape(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		switch c := s[i+1]; c {
		case 'n', 'N':
			b.WriteByte('\n')
		case '\\', ';', ',', ':', '"':
			b.WriteByte(c)
		default:
			b.WriteByte('\\') // a path, by a program that does not escape
			continue
		}
		i++
	}
	return b.String()
}

// split cuts a value at separators that are not escaped.
func split(s string, sep byte) []string {
	var out []string
	start := 0
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case sep:
			out = append(out, s[start:i])
			start = i + 1
		}
	}
	return append(out, s[start:])
}

// clean takes out of a text what no text may hold.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return r
		case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r == 0x2028, r == 0x2029, r == '\ufeff':
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\ufffd"))
	return s
}

var escaper = strings.NewReplacer(`\`, `\\`, "\n", `\n`, ";", `\;`, ",", `\,`)

// text is a value of text, written anew.
func (w *work) text(s string) string {
	s = w.withoutFiles(clean(s))
	if w.s.Options.URLs != sanitize.KeepURLs {
		s = address.ReplaceAllStringFunc(s, func(u string) string {
			w.found("calendar.url")
			if w.s.Options.URLs == sanitize.RemoveURLs {
				return "[URL]"
			}
			scheme, rest, _ := strings.Cut(u, "://")
			host, path, slash := strings.Cut(rest, "/")
			u = map[string]string{"http": "hxxp", "https": "hxxps"}[strings.ToLower(scheme)] + "://" + strings.ReplaceAll(host, ".", "[.]")
			if slash {
				u += "/" + path
			}
			return u
		})
	}
	return escaper.Replace(s)
}

// withoutFiles takes files out of a text that are written into it.
func (w *work) withoutFiles(s string) string {
	s, n := encoded.Cut(s)
	if n > 0 {
		w.count["text.encoded-run"] += n
	}
	return s
}

var address = lazy.Compile(`(?i)\bhttps?://[^\s<>"\x{3000}-\x{303f}\x{ff00}-\x{ffef}]+`)

// line writes one content line, folded at 75 octets between characters.
func (w *work) line(s string) {
	n := 0
	for i, r := range s {
		size := len(string(r))
		if n+size > 75 && i > 0 {
			w.b.WriteString("\r\n ")
			n = 1
		}
		w.b.WriteRune(r)
		n += size
	}
	w.b.WriteString("\r\n")
}

// write writes a property whose value has been checked.
func (w *work) write(name string, params []param, value string) {
	var b strings.Builder
	b.WriteString(name)
	for _, p := range params {
		b.WriteString(";" + p.name + "=")
		for i, v := range p.values {
			if i > 0 {
				b.WriteByte(',')
			}
			v = strings.NewReplacer("^", "^^", "\n", " ", "\t", " ", `"`, "'").Replace(clean(v))
			if strings.ContainsAny(v, ":;,") {
				v = `"` + v + `"`
			}
			b.WriteString(v)
		}
	}
	w.line(b.String() + ":" + value)
}

// link checks an address that a program offers to open.
func link(s string) (string, bool) {
	s = strings.TrimSpace(s)
	lower := strings.ToLower(s)
	_, host, _ := strings.Cut(s, "://")
	if !strings.HasPrefix(lower, "http://") && !strings.HasPrefix(lower, "https://") || len(s) > 2000 || host == "" {
		return "", false
	}
	s = lower[:len(s)-len(host)] + host
	for _, c := range []byte(s) {
		if c <= ' ' || c >= 0x7f || c == '"' || c == '<' || c == '>' || c == '\\' {
			return "", false
		}
	}
	return s, true
}

// mailto checks the address of a person.
func mailto(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 7 || !strings.EqualFold(s[:7], "mailto:") {
		return "", false
	}
	a := strings.TrimSpace(s[7:])
	if !addr.MatchString(a) {
		return "", false
	}
	return "mailto:" + a, true
}

var addr = lazy.Compile("^[A-Za-z0-9.!#$&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,255}$")

// markup is HTML where text is expected, as Google writes it.
var markup = lazy.Compile(`(?i)</?(html|body|p|div|br|span|a|table|b|i|u|ul|ol|li|font|script|img|style|iframe|object|h[1-6])[\s/>]`)

// plainOf gives the text of HTML by the sanitizer the table has for it.
func (w *work) plainOf(s string) string {
	h, ok := w.s.Table[sanitize.KindHTML]
	if !ok {
		return ""
	}
	o := *w.s.Options
	o.Rules = map[sanitize.Class]sanitize.Rule{sanitize.ClassHTML: {Steps: []sanitize.Mode{sanitize.Rebuild}}}
	if err := w.s.Spend(int64(len(s))); err != nil {
		return ""
	}
	own := sanitize.NewSession(&o, int64(len(s)), w.s.Detect, w.s.Table)
	var b bytes.Buffer
	if _, err := h.Sanitize(w.ctx, own, sanitize.Object{ReaderAt: strings.NewReader(s), Size: int64(len(s)), Path: w.in.Path, Charset: "utf-8"}, &b); err != nil {
		return ""
	}
	text := strings.ReplaceAll(b.String(), "\r\n", "\n")
	// A text that looks like markup once more would be read as such again.
	for markup.MatchString(text) {
		text = markup.ReplaceAllString(text, "")
	}
	return strings.TrimRight(strings.TrimPrefix(text, "\ufeff"), "\n")
}
