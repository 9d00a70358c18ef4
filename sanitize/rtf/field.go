package rtf

import (
	"strings"

	"sekisho/internal/fieldcode"
	"sekisho/sanitize"
)

// field is a field of Word: its code is collected, whatever stood between its
// letters, and judged as a whole before its result is written.
type field struct {
	code    strings.Builder
	over    bool   // longer than any code may be
	nested  bool   // another field would write part of it
	form    string // \formfield, written already
	flags   []string
	decided bool
	stays   bool
	said    []rune // the code with what the fields in it show
	button  bool   // it stands for words in its code
	shown   bool   // something stands in its result
}

// shows tells the field whose result the group is, if it is one, that it has
// something.
func (g *group) shows() {
	if g.field != nil {
		g.field.shown = true
	}
}

// says takes a character of the code, or of what a field in it shows.
func (f *field) says(r rune) {
	if !f.decided && len(f.said) < maxText {
		f.said = append(f.said, r)
	}
}

// prompt writes the words that a button shows: they stand in its code, behind the
// name of the macro or of the place, and it has no result.
func (d *document) prompt(f *field) {
	if !f.button || f.shown || f.over {
		return
	}
	rest := strings.TrimLeft(string(f.said), " ")
	for range 2 { // the keyword, the name
		_, rest, _ = strings.Cut(rest, " ")
		rest = strings.TrimLeft(rest, " ")
	}
	g := group{part: partBody, deleted: d.top().deleted}
	for _, r := range strings.TrimRight(rest, " ") {
		d.rune(&g, r)
	}
}

func (f *field) gather(r rune) {
	if f.decided {
		return
	}
	if f.code.Len() >= maxText {
		f.over = true
		return
	}
	f.code.WriteRune(r)
}

func (f *field) flag(name string) {
	for _, have := range f.flags {
		if have == name {
			return
		}
	}
	if !f.decided {
		f.flags = append(f.flags, name)
	}
}

// decide judges a field whose code is complete, and writes it when it may stay:
// result tells that its result follows, in a group that waits to be opened. It
// reports whether the field stays.
func (d *document) decide(f *field, result bool) bool {
	if f.decided {
		return false
	}
	f.decided = true
	code := f.code.String()
	why := fieldcode.Verdict(code, f.nested)
	switch {
	case f.over:
		why = "too long"
	case why == "" && strings.TrimSpace(code) == "":
		return false // a field without code is its result
	case why == "" && d.s.Options.URLs != sanitize.KeepURLs && fieldcode.Leads(code):
		why = "HYPERLINK"
	}
	if why != "" {
		d.report.field(why, code)
		f.button = why == "MACROBUTTON" || why == "GOTOBUTTON"
		return false
	}
	if i := strings.IndexAny(code, "\"“”„\\"); i > 0 && code[i-1] != ' ' && !strings.Contains(strings.TrimLeft(code[:i], " "), " ") {
		code = code[:i] + " " + code[i:] // one way of writing it, which every reader reads alike
	}
	f.stays = true
	if result {
		d.w.pending--
	}
	d.w.control("field")
	for _, name := range f.flags {
		d.w.control(name)
	}
	d.w.open()
	d.w.star()
	d.w.control("fldinst")
	for _, r := range code {
		switch {
		case r < 0x20:
			d.w.text([]byte{' '})
		case r < 0x7F:
			d.w.text([]byte{byte(r)})
		default:
			d.w.char(r)
		}
	}
	if f.form != "" {
		d.w.open()
		d.w.raw(f.form)
		d.w.close()
	}
	d.w.close()
	if result {
		d.w.open()
	}
	return true
}
