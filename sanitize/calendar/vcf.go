package calendar

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"

	"sekisho/internal/charset"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// cardProperties are those that are kept, with how many fields their value
// has: 0 for one text, else structured at semicolons, -1 for a list at commas.
var cardProperties = lazy.Value[map[string]int]{Make: func() map[string]int {
	return map[string]int{
		"FN": 0, "N": 5, "NICKNAME": -1, "ORG": 8, "TITLE": 0, "ROLE": 0, "TEL": 0, "EMAIL": 0, "ADR": 7, "LABEL": 0, "BDAY": 0, "ANNIVERSARY": 0,
		"NOTE": 0, "UID": 0, "REV": 0, "CATEGORIES": -1, "GEO": 0, "TZ": 0, "CLASS": 0, "SORT-STRING": 0, "KIND": 0, "GENDER": 0, "LANG": 0,
		"X-PHONETIC-FIRST-NAME": 0, "X-PHONETIC-LAST-NAME": 0, "X-PHONETIC-ORG": 0, "X-GENDER": 0,
	}
}}

// cardTypes are the words a TYPE may have. RFC 2426, 3.2 and 3.3.
const cardTypes = "HOME WORK PREF VOICE FAX MSG CELL PAGER BBS MODEM CAR ISDN VIDEO PCS INTERNET X400 DOM INTL POSTAL PARCEL TEXT MAIN OTHER"

// Sanitize implements sanitize.Sanitizer. Cards of every version are written as
// version 3.0, which all programs in use read.
func (VCF) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	w := newWork(ctx, s, in)
	ps, err := w.read()
	if err != nil {
		return sanitize.Result{}, err
	}
	cards, err := w.tree(ps, "VCARD")
	if err != nil {
		return sanitize.Result{}, err
	}
	for _, c := range cards {
		w.card(c)
	}
	return w.finish(sanitize.KindVCF, out)
}

func (w *work) card(c *component) {
	w.line("BEGIN:VCARD")
	w.line("VERSION:3.0")
	named := false
	var name string
	seen := map[string]bool{}
	old := false
	for _, p := range c.props {
		old = old || p.name == "VERSION" && strings.TrimSpace(p.value) == "2.1"
	}
	for _, p := range c.props {
		p.value = w.decoded(p)
		switch p.name {
		case "VERSION", "PRODID":
			continue
		case "PHOTO", "LOGO":
			w.found("vcard.media")
			continue
		case "SOUND":
			// What Japanese telephones write for the reading of a name.
			if !typed(p, "X-IRMC-N") {
				w.found("vcard.media")
				continue
			}
			f := split(p.value, ';')
			for i, key := range []string{"X-PHONETIC-LAST-NAME", "X-PHONETIC-FIRST-NAME"} {
				if i < len(f) && strings.TrimSpace(f[i]) != "" && !seen[key] {
					seen[key] = true
					w.write(key, nil, w.text(cardText(f[i], old)))
				}
			}
			continue
		case "KEY":
			w.found("vcard.key")
			continue
		case "AGENT":
			w.found("vcard.agent")
			continue
		case "URL", "SOURCE":
			v, ok := link(unescape(p.value))
			switch {
			case !ok:
				w.found("calendar.link")
			case w.s.Options.URLs != sanitize.KeepURLs:
				w.found("calendar.url")
			case p.name == "URL":
				w.write("URL", cardParams(p), v)
			default:
				w.found("calendar.property")
			}
			continue
		}
		fields, ok := cardProperties.Get()[p.name]
		if !ok {
			w.found("calendar.property")
			continue
		}
		if p.name == "FN" || p.name == "N" || strings.HasPrefix(p.name, "X-PHONETIC") {
			if seen[p.name] {
				continue // one name is shown
			}
			seen[p.name] = true
		}
		var v string
		switch {
		case fields == 0:
			t := cardText(p.value, old)
			if p.name == "TEL" || p.name == "EMAIL" {
				t = scheme(t)
			}
			v = w.text(t)
		default:
			sep := byte(';')
			if fields < 0 {
				sep, fields = ',', 100
			}
			var out []string
			for _, t := range split(p.value, sep) {
				if len(out) == fields {
					break
				}
				out = append(out, w.text(cardText(t, old)))
			}
			v = strings.Join(out, string(sep))
			if p.name == "N" {
				name = strings.TrimSpace(strings.Join(split(v, ';')[:min(2, len(out))], " "))
			}
		}
		named = named || p.name == "FN" && strings.TrimSpace(v) != ""
		w.write(p.name, cardParams(p), v)
	}
	if !named && name != "" {
		w.write("FN", nil, name)
	}
	for _, sub := range c.subs {
		if sub.name == "VCARD" {
			w.found("vcard.agent")
		} else {
			w.found("calendar.component")
		}
	}
	w.line("END:VCARD")
}

// cardText reads a text. vCard 2.1 escapes the semicolon only; the backslash
// stands for itself elsewhere, and in Shift_JIS it is shown as the yen sign.
func cardText(s string, old bool) string {
	if !old {
		return unescape(s)
	}
	return strings.ReplaceAll(s, `\;`, ";")
}

// scheme takes the scheme off what is written as an address in vCard 4.0.
func scheme(s string) string {
	for _, p := range []string{"tel:", "mailto:"} {
		if len(s) >= len(p) && strings.EqualFold(s[:len(p)], p) {
			return s[len(p):]
		}
	}
	return s
}

// decoded gives the value of a property that is encoded line by line, as vCard
// 2.1 does.
func (w *work) decoded(p property) string {
	enc := strings.ToUpper(p.param("ENCODING"))
	for _, q := range p.params {
		if q.name == "" && len(q.values) > 0 && (q.values[0] == "QUOTED-PRINTABLE" || q.values[0] == "BASE64") {
			enc = q.values[0]
		}
	}
	var b []byte
	var err error
	switch enc {
	case "QUOTED-PRINTABLE":
		b, err = io.ReadAll(quotedprintable.NewReader(strings.NewReader(p.value)))
	case "BASE64", "B":
		b, err = base64.StdEncoding.DecodeString(strings.Join(strings.Fields(p.value), ""))
		if bytes.ContainsRune(b, 0) {
			return "" // no text
		}
	default:
		return p.value
	}
	if err != nil {
		w.s.Found(sanitize.Finding{Rule: "text.illegal-bytes", Action: sanitize.Reported, Detail: "1"})
	}
	r := charset.Decode(p.param("CHARSET"), b)
	if r.Replaced > 0 {
		w.s.Found(sanitize.Finding{Rule: "text.illegal-bytes", Action: sanitize.Reported, Detail: fmt.Sprint(r.Replaced)})
	}
	// A decoded line end is one in the text.
	return strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(r.Text)
}

// typed reports whether a property has the type t.
func typed(p property, t string) bool {
	for _, q := range p.params {
		if q.name != "" && q.name != "TYPE" {
			continue
		}
		for _, v := range q.values {
			if strings.EqualFold(v, t) {
				return true
			}
		}
	}
	return false
}

// cardParams gives the types of a property.
func cardParams(p property) []param {
	var k param
	for _, q := range p.params {
		if q.name != "" && q.name != "TYPE" {
			continue
		}
		for _, v := range q.values {
			for _, t := range strings.Split(strings.ToUpper(v), ",") {
				if oneOf(t, cardTypes) && len(k.values) < 8 {
					k.values = append(k.values, t)
				}
			}
		}
	}
	if len(k.values) == 0 {
		return nil
	}
	k.name = "TYPE"
	return []param{k}
}
