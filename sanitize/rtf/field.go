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
		return false
	}
	if i := strings.IndexAny(code, "\"“”„\\"); i > 0 && code[i-1] != ' ' && !strings.Contains(strings.TrimLeft(code[:i], " "), " ") {
		code = code[:i] + " " + code[i:] // one way of writing it, which every reader reads alike
	}
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

// object is an object on its way out.
type object struct {
	class strings.Builder
	head  []byte // the first bytes of its data
	half  byte
	odd   bool
	shown bool
}

// headBytes is how much of an object's data is kept to name it.
const headBytes = 128

func (o *object) bytes(b []byte) {
	o.head = append(o.head, b[:min(len(b), headBytes-min(len(o.head), headBytes))]...)
}

func (o *object) hex(b []byte) {
	for _, c := range b {
		if len(o.head) >= headBytes {
			return
		}
		n := nibble[c]
		switch {
		case n > 15:
		case o.odd:
			o.head, o.odd = append(o.head, o.half<<4|n), false
		default:
			o.half, o.odd = n, true
		}
	}
}

// name is the class of the object: what its data say, or what stands beside
// them. [MS-OLEDS] 2.2.4: version, format, length and name of the class.
func (o *object) name() string {
	if h := o.head; len(h) > 12 {
		if n := int64(h[8]) | int64(h[9])<<8 | int64(h[10])<<16 | int64(h[11])<<24; n > 1 && n <= 64 && 12+n <= int64(len(h)) {
			return strings.TrimRight(string(h[12:12+n]), "\x00")
		}
	}
	return o.class.String()
}

func (d *document) endObject(o *object) {
	act := sanitize.Removed
	if o.shown {
		act = sanitize.Replaced
	}
	d.report.found("rtf.object", act, o.name())
}
