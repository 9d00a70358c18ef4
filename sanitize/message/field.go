package message

import (
	"bufio"
	"bytes"
	"errors"
	"strings"

	"sekisho/internal/header"
	"sekisho/sanitize"
)

// field is one header field as it stands in the message.
type field struct {
	key   string // name in lower case
	value string // as it came, unfolded: only the line ends are taken out
	off   int64
}

// readFields reads the fields of a header block that begins at base. What some
// program would take for the end of the header, for another field or for none
// is a doubt when the structure of the message hangs on it. cut is where the
// header ends before its empty line: at a line that is no field, when nothing
// structural follows it, so that every program sees the same message; -1 when
// it does not.
func readFields(raw []byte, base int64, limits *sanitize.Limits) (fs []field, ds []doubt, cut int64) {
	block, err := header.ReadBlock(bufio.NewReaderSize(bytes.NewReader(raw), min(max(len(raw), 16), 64<<10)), header.Limits{Bytes: limits.HeaderBytes, Fields: limits.HeaderFields})
	switch {
	case errors.Is(err, header.ErrTooManyFields):
		return nil, []doubt{{HeaderFields, base, ""}}, -1
	case err != nil:
		return nil, []doubt{{HeaderBytes, base, ""}}, -1
	}
	cut = -1
	var broken *doubt // the first place where the header could be said to end
	note := func(off int64, detail string) {
		if broken == nil {
			broken = &doubt{NoColon, off, detail}
		}
	}
	for _, h := range block.Fields {
		off := base + h.Offset
		key := strings.ToLower(h.Name)
		if h.Flags.Has(header.NUL | header.BareCR) {
			ds = append(ds, doubt{ControlInHeader, off, key})
		}
		switch {
		case h.Flags.Has(header.MboxFrom):
			// The line an mbox file separates mails by is no field, and every
			// program that shows mail files knows it.
			continue
		case h.Flags.Has(header.FoldedFirst):
			if len(bytes.TrimSpace(h.Raw)) > 0 {
				note(off, "a continuation of nothing")
			}
			continue
		case h.Flags.Has(header.NoColon), h.Flags.Has(header.EmptyName), h.Flags.Has(header.BadName) && strings.ContainsAny(h.Name, " \t"):
			note(off, "")
			if cut < 0 {
				cut = off
			}
			continue
		}
		if cut >= 0 && !structural(key) {
			continue // text, to whoever ends the header there
		}
		if structural(key) {
			if broken != nil {
				// Whoever ends the header there does not see this field.
				ds = append(ds, *broken)
				broken = nil
			}
			if h.Flags.Has(header.SpaceBeforeColon) {
				// RFC 5322, 4.5: obsolete; RFC 7103, 7: some see a field, some do not.
				ds = append(ds, doubt{SpaceBeforeColon, off, key})
			}
			if h.Flags.Has(header.BadName) {
				ds = append(ds, doubt{ControlInHeader, off, "in a field name"})
			}
		}
		if h.Flags.Has(header.BlankFold) {
			note(off, "a line of white space")
		}
		fs = append(fs, field{key: key, value: header.Unfold(h.Value()), off: off})
	}
	if len(ds) > 0 {
		cut = -1
	}
	return fs, ds, cut
}

// structural reports whether a field decides what the message is.
func structural(key string) bool {
	return strings.HasPrefix(key, "content-") || key == "from" || key == "mime-version"
}

// param is one parameter of a structured field, section by section.
type param struct {
	name     string // lower case, without section and "*"
	section  int    // of RFC 2231, -1 without
	extended bool   // RFC 2231 with charset and percent signs
	value    string
	junk     bool // something stands behind the value that is no parameter
	escaped  bool // a quoted value with backslashes
}

// structured is a field of the form `word; name=value; ...`.
type structured struct {
	word   string // lower case
	params []param
	bad    string // what is wrong with it, "" for nothing
}

// parseStructured reads Content-Type and Content-Disposition strictly. It is
// used for what decides structure: type, boundary, charset. File names are
// read by internal/header, which reads as leniently as clients do.
func parseStructured(v string) (st structured) {
	fail := func(s string) {
		if st.bad == "" {
			st.bad = s
		}
	}
	i, ok := skipCFWS(v, 0)
	if !ok {
		fail("comment without end")
	}
	start := i
	for i < len(v) && v[i] != ';' && v[i] != '(' {
		i++
	}
	st.word = strings.ToLower(strings.Trim(v[start:i], " \t"))
	if i, ok = skipCFWS(v, i); !ok {
		fail("comment without end")
	}
	for i < len(v) {
		if v[i] != ';' {
			fail("characters that are no parameter")
			if j := strings.IndexByte(v[i:], ';'); j >= 0 {
				i += j
			} else {
				return st
			}
		}
		if i, ok = skipCFWS(v, i+1); !ok {
			fail("comment without end")
		}
		if i >= len(v) || v[i] == ';' {
			continue
		}
		start = i
		for i < len(v) && v[i] != '=' && v[i] != ';' {
			i++
		}
		name := strings.ToLower(strings.Trim(v[start:i], " \t"))
		if i >= len(v) || v[i] == ';' {
			if name != "" {
				fail("parameter without value")
			}
			continue
		}
		p := param{name: name, section: -1}
		p.name, p.section, p.extended = splitSection(name)
		if i, ok = skipCFWS(v, i+1); !ok {
			fail("comment without end")
		}
		if i < len(v) && v[i] == '"' {
			var b strings.Builder
			closed := false
			for i++; i < len(v); i++ {
				if v[i] == '"' {
					closed = true
					i++
					break
				}
				if v[i] == '\\' && i+1 < len(v) {
					p.escaped = true
					i++
				}
				b.WriteByte(v[i])
			}
			p.value = b.String()
			if !closed {
				p.junk = true
				fail("quoted string without end")
			}
		} else {
			start = i
			for i < len(v) && v[i] != ';' && v[i] != ' ' && v[i] != '\t' && v[i] != '"' {
				i++
			}
			p.value = v[start:i]
		}
		if i, ok = skipCFWS(v, i); !ok {
			fail("comment without end")
		}
		if i < len(v) && v[i] != ';' {
			p.junk = true
		}
		// The number of parameters is the sender's; nobody needs a hundred.
		if len(st.params) < 100 {
			st.params = append(st.params, p)
		}
	}
	return st
}

// splitSection takes "name*1*" apart. RFC 2231, 3 and 4.
func splitSection(s string) (name string, section int, extended bool) {
	name, rest, found := strings.Cut(s, "*")
	if !found {
		return name, -1, false
	}
	if rest == "" {
		return name, -1, true
	}
	if r, ok := strings.CutSuffix(rest, "*"); ok {
		extended, rest = true, r
	}
	for _, c := range []byte(rest) {
		if c < '0' || c > '9' || section > 9999 {
			return name, 0, extended
		}
		section = section*10 + int(c-'0')
	}
	return name, section, extended
}

// skipCFWS skips white space and comments. ok is false when a comment has no
// end.
func skipCFWS(s string, i int) (_ int, ok bool) {
	for i < len(s) {
		switch s[i] {
		case ' ', '\t', '\r', '\n':
			i++
		case '(':
			depth := 0
			for ; i < len(s); i++ {
				switch s[i] {
				case '\\':
					i++
				case '(':
					depth++
				case ')':
					depth--
				}
				if depth == 0 {
					break
				}
			}
			if depth != 0 || i >= len(s) {
				return len(s), false
			}
			i++
		default:
			return i, true
		}
	}
	return i, true
}

// plain returns the values of a parameter in its simple form, and whether it
// also occurs in a form of RFC 2231.
func (st structured) plain(name string) (values []param, extended bool) {
	for _, p := range st.params {
		if p.name != name {
			continue
		}
		if p.section >= 0 || p.extended {
			extended = true
		} else {
			values = append(values, p)
		}
	}
	return values, extended
}
