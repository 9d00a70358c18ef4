package message

import (
	"bytes"
	"strings"
)

// field is one header field as it stands in the message.
type field struct {
	key   string // name in lower case
	value string // as it came, unfolded: only the line ends are taken out
	off   int64
}

// splitFields cuts a header block into fields. What some program would take
// for the end of the header, for another field or for none is a doubt.
func splitFields(raw []byte, base int64, most int) (fs []field, ds []doubt) {
	var cur *field
	var value []byte
	flush := func() {
		if cur != nil {
			cur.value = string(value)
			fs = append(fs, *cur)
			cur, value = nil, value[:0]
		}
	}
	for at := 0; at < len(raw); {
		end, next := len(raw), len(raw)
		if i := bytes.IndexByte(raw[at:], '\n'); i >= 0 {
			end, next = at+i, at+i+1
		}
		ln := raw[at:end]
		off := base + int64(at)
		first := at == 0
		at = next
		if len(ln) > 0 && ln[len(ln)-1] == '\r' {
			ln = ln[:len(ln)-1]
		}
		if len(ln) == 0 {
			continue
		}
		if ln[0] == ' ' || ln[0] == '\t' {
			if cur == nil {
				ds = append(ds, doubt{NoColon, off, "a continuation of nothing"})
				continue
			}
			value = append(value, ln...)
			continue
		}
		flush()
		if len(fs) >= most {
			ds = append(ds, doubt{HeaderFields, off, ""})
			return fs, ds
		}
		i := bytes.IndexByte(ln, ':')
		if first && mboxLine(ln) {
			// The line an mbox file separates mails by is no field, and every
			// program that shows mail files knows it.
			continue
		}
		if i <= 0 {
			ds = append(ds, doubt{NoColon, off, ""})
			continue
		}
		name := ln[:i]
		trimmed := bytes.TrimRight(name, " \t")
		key := strings.ToLower(string(trimmed))
		if bytes.ContainsAny(trimmed, " \t") {
			ds = append(ds, doubt{NoColon, off, "white space in a field name"})
			continue
		}
		if len(trimmed) != len(name) && structural(key) {
			// RFC 5322, 4.5: obsolete; RFC 7103, 7: some see a field, some do not.
			ds = append(ds, doubt{SpaceBeforeColon, off, key})
		}
		for _, c := range trimmed {
			if c <= ' ' || c >= 0x7f {
				ds = append(ds, doubt{ControlInHeader, off, "in a field name"})
				break
			}
		}
		cur = &field{key: key, off: off}
		value = append(value[:0], ln[i+1:]...)
	}
	flush()
	return fs, ds
}

// structural reports whether a field decides what the message is.
func structural(key string) bool {
	return strings.HasPrefix(key, "content-") || key == "from" || key == "mime-version"
}

func mboxLine(ln []byte) bool {
	return bytes.HasPrefix(ln, []byte("From ")) || bytes.HasPrefix(ln, []byte(">From "))
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
