package header

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"sekisho/internal/charset"
)

// Name is a file name some reader could show. It is as the sender made it and
// may hold anything: CleanName before it is used, Dangerous to judge it.
type Name struct {
	Value  string
	Field  string // content-type, content-disposition, content-description
	Source string // how it was got, for the report
}

// Names returns every file name that some mail client could show for a part
// with these fields ("" for a field that is missing), the one most would show
// first. Clients differ in which field and which form they prefer, in whether
// they decode encoded words in parameters, in what ends an unquoted value, in
// continuations, and in what they make of raw bytes; so all of these are tried.
// The list has no end but the length of the fields: a bound would be where the
// dangerous name hides.
//
// Content-Description names a part only when nothing else does.
func Names(contentType, contentDisposition, contentDescription string) []Name {
	c := collector{seen: map[string]bool{}}
	c.prefer(contentType, contentDisposition)
	c.field("content-disposition", contentDisposition)
	c.field("content-type", contentType)
	if len(c.names) == 0 && trim(contentDescription) != "" {
		c.variants("content-description", "description", Unfold(contentDescription))
	}
	return c.names
}

type collector struct {
	names []Name
	seen  map[string]bool
}

func (c *collector) add(field, source, value string) {
	if trim(value) == "" || c.seen[value] {
		return
	}
	c.seen[value] = true
	c.names = append(c.names, Name{value, field, source})
}

// prefer puts first the name to show. Where two of the four places agree theirs
// is taken; else the first in which nothing had to be replaced.
func (c *collector) prefer(contentType, contentDisposition string) {
	type candidate struct {
		Name
		exact bool
	}
	var all []candidate
	for _, f := range []struct{ field, raw string }{{"content-disposition", contentDisposition}, {"content-type", contentType}} {
		_, params, _ := ParseParams(f.raw)
		for _, attr := range []string{"filename", "name"} {
			for _, form := range []Form{Extended, Pieces, Plain} {
				// Of duplicates the first will do: they all come later.
				i := slices.IndexFunc(params, func(p Param) bool {
					return p.Name == attr && p.Form == form && trim(p.Value) != ""
				})
				if i >= 0 {
					n := Name{shown(params[i]), f.field, attr}
					all = append(all, candidate{n, !strings.ContainsRune(n.Value, '\uFFFD')})
				}
			}
		}
	}
	if len(all) == 0 {
		return
	}
	best := all[0]
	for _, a := range all {
		if a.exact {
			best = a
			break
		}
	}
	count := map[string]int{}
	for _, a := range all {
		if a.exact {
			count[norm.NFC.String(a.Value)]++
		}
	}
	for _, a := range all {
		// Two that agree outweigh one that stands alone.
		if k := norm.NFC.String(a.Value); count[k] > 1 && count[k] > count[norm.NFC.String(best.Value)] {
			best = a
		}
	}
	c.add(best.Field, best.Source, best.Value)
}

// shown is the value without what writers put around a name: apostrophes for
// quotation marks, and the folders of the sender's own disk.
func shown(p Param) string {
	v := p.Value
	if p.Form == Plain && !p.Quoted && len(v) > 2 && v[0] == '\'' && v[len(v)-1] == '\'' {
		v = v[1 : len(v)-1]
	}
	// RFC 2183, 2.3: of a path the last component.
	if len(v) > 3 && v[1:3] == `:\` && ('a' <= v[0]|0x20 && v[0]|0x20 <= 'z') || strings.HasPrefix(v, `\\`) {
		if i := strings.LastIndexByte(v, '\\'); i < len(v)-1 {
			v = v[i+1:]
		}
	}
	return v
}

// field adds the names one field holds.
func (c *collector) field(field, raw string) {
	if raw == "" {
		return
	}
	s := Unfold(raw)
	modes := []bool{true}
	if letters(s) != nil {
		modes = append(modes, false)
	}
	for _, aware := range modes {
		_, list, _ := scan(s, aware)
		c.params(field, list)
	}
	c.search(field, s)
}

func fileParam(base string) bool { return base == "filename" || base == "name" || base == "file" }

func (c *collector) params(field string, list []rawParam) {
	pieces := map[string][]segment{}
	var order []string
	for _, r := range list {
		s := sectionOf(r.attr)
		if !fileParam(s.base) {
			continue
		}
		switch {
		case s.number >= 0:
			if pieces[s.base] == nil {
				order = append(order, s.base)
			}
			pieces[s.base] = append(pieces[s.base], segment{s.number, s.extended, r.text, r.quoted})
		case s.extended:
			c.extended(field, s.base+"*", r.text)
		}
		c.variants(field, r.attr, r.text)
		c.variants(field, r.attr+" raw", r.bytes)
		if r.token != r.text {
			c.variants(field, r.attr+" token", r.token)
		}
		if r.junk != "" {
			c.variants(field, r.attr+" with what follows", r.text+r.junk)
			c.variants(field, r.attr+" with what follows", r.text+" "+r.junk)
		}
	}
	for _, base := range order {
		segs := pieces[base]
		for _, last := range []bool{false, true} {
			label, data, raw, _ := join(segs, last)
			c.readings(field, base+"*0", label, data)
			c.variants(field, base+"*0", data)
			c.variants(field, base+"*0 raw", raw)
		}
		// In the order written, by a reader that does not sort.
		var written, decoded strings.Builder
		for i, s := range segs {
			written.WriteString(s.text)
			text := s.text
			if s.extended {
				if i == 0 {
					_, text, _ = extended(text)
				} else {
					text, _ = unpercent(text)
				}
			}
			decoded.WriteString(text)
		}
		c.variants(field, base+"*0 as written", written.String())
		c.variants(field, base+"*0 as written", decoded.String())
	}
}

func (c *collector) extended(field, source, text string) {
	label, data, _ := extended(text)
	c.readings(field, source, label, data)
	// A label may be left out, or an apostrophe belong to the name.
	if whole, _ := unpercent(text); whole != data {
		c.variants(field, source, whole)
	}
}

// readings adds what octets mean by their label and by themselves.
func (c *collector) readings(field, source, label, data string) {
	c.add(field, source, charset.DecodeString(label, data).Text)
	if name, ok := charset.Known(label); ok {
		c.add(field, source, charset.DecodeAs(name, []byte(data)).Text)
	}
	c.variants(field, source, data)
}

// variants adds what readers make of one string.
func (c *collector) variants(field, source, s string) {
	if s == "" {
		return
	}
	c.bytes(field, source, s)
	if strings.Contains(s, "=?") {
		for _, aware := range []bool{true, false} {
			t := decodeWords(s, aware)
			c.add(field, source+" decoded", t.String)
			if p, _ := unpercent(t.String); p != t.String {
				c.bytes(field, source+" decoded, percent", p)
			}
			// A name encoded twice: Outlook does it when it forwards.
			if strings.Contains(t.String, "=?") && t.String != s {
				c.add(field, source+" decoded twice", decodeWords(t.String, true).String)
			}
		}
	}
	if p, _ := unpercent(s); p != s {
		c.bytes(field, source+" percent", p)
	}
}

// bytes adds the readings of raw bytes, in every charset they could be in.
func (c *collector) bytes(field, source, s string) {
	if isASCII(s) && strings.IndexByte(s, 0x1b) < 0 {
		c.add(field, source, s)
		return
	}
	r := charset.DecodeString("", s)
	c.add(field, source+" "+r.Charset, r.Text)
	for _, name := range []string{"utf-8", "cp932", "euc-jp", "iso-2022-jp"} {
		if name == r.Charset {
			continue
		}
		if r := charset.DecodeAs(name, []byte(s)); r.Replaced == 0 || name == "utf-8" {
			c.add(field, source+" "+name, r.Text)
		}
	}
}

// What search looks at: each place costs up to the length of a value, so
// thousands of places would cost the square of the header. A field with more
// than a hundred names has duplicates, which ParseParams reports.
const (
	maxSearch = 100
	maxFound  = 4096
)

// search finds names the way the crudest readers do: whatever follows "name="
// anywhere, up to a quotation mark or a semicolon.
func (c *collector) search(field, s string) {
	low := lower(s)
	for i, n := 0, 0; n < maxSearch; n++ {
		j := strings.Index(low[i:], "name")
		if j < 0 {
			return
		}
		i += j + len("name")
		k := i
		for k < len(s) && (s[k] == '*' || s[k] >= '0' && s[k] <= '9') {
			k++
		}
		for k < len(s) && blank(s[k]) {
			k++
		}
		if k == len(s) || s[k] != '=' {
			continue
		}
		k++
		for k < len(s) && blank(s[k]) {
			k++
		}
		v := s[k:min(len(s), k+maxFound)]
		end := len(v)
		if len(v) > 0 && (v[0] == '"' || v[0] == '\'') {
			q := v[0]
			v = v[1:]
			if end = strings.IndexByte(v, q); end < 0 {
				end = len(v)
			}
		} else {
			if n := strings.IndexByte(v, ';'); n >= 0 {
				end = n
			}
			if n := strings.IndexAny(v[:end], "\"'()"); n >= 0 {
				c.variants(field, "search", trim(v[:n]))
			}
		}
		c.variants(field, "search", trim(v[:end]))
	}
}
