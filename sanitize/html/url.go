package html

import (
	"net/url"
	"strings"
	"unicode"

	"sekisho/sanitize"
)

// clean takes out of an address what browsers take out before they follow it:
// controls and white space at the ends, and tabs and line ends anywhere.
// "java\nscript:" is a link to run a script.
func clean(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return r <= ' ' || unicode.IsSpace(r) })
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\r' || r == '\n' || r < 0x20 || r == 0x7f || 0x80 <= r && r < 0xa0 {
			return -1
		}
		return r
	}, s)
}

// scheme returns the scheme of a cleaned address in lower case, "" when it is
// relative.
func scheme(s string) string {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		switch {
		case 'a' <= c && c <= 'z':
		case i > 0 && ('0' <= s[i] && s[i] <= '9' || s[i] == '+' || s[i] == '-' || s[i] == '.'):
		case i > 0 && s[i] == ':':
			return strings.ToLower(s[:i])
		default:
			return ""
		}
	}
	return ""
}

// remote reports whether an attribute's address would be loaded from outside.
func remote(s string) bool {
	s = clean(s)
	switch scheme(s) {
	case "http", "https", "ftp", "file":
		return true
	}
	return strings.HasPrefix(s, "//") || strings.HasPrefix(s, `\\`)
}

// resolve returns the address a link really leads to, "" when it leads nowhere
// a reader could go, and notes those that would run or open something.
func (c *converter) resolve(href string) string {
	s := clean(href)
	if s == "" || s[0] == '#' {
		return ""
	}
	if strings.HasPrefix(s, "//") || strings.HasPrefix(s, `\\`) || strings.HasPrefix(s, `/\`) {
		s = "http://" + s[2:]
	}
	switch sc := scheme(s); sc {
	case "http", "https", "ftp", "mailto", "tel":
		if len(s) > maxURL {
			c.found("html.link", sc)
			return ""
		}
		switch sc {
		case "mailto":
			return shown(mailto(s))
		case "tel":
			return shown(s)
		}
		return c.site(s)
	case "":
		if c.base == nil || len(s) > maxURL {
			return ""
		}
		u, err := url.Parse(s)
		if err != nil {
			return ""
		}
		r := c.base.ResolveReference(u)
		if r.Scheme != "http" && r.Scheme != "https" {
			return ""
		}
		return c.site(r.String())
	case "cid", "mid":
		return ""
	default:
		c.found("html.link", bounded(sc, 40))
		return ""
	}
}

// site is the address of a link into the web as a reader is shown it.
func (c *converter) site(s string) string {
	addr, spoofs, ok := real(s)
	if !ok {
		c.found("html.link", "no host that could be looked up")
		return ""
	}
	if spoofs {
		c.found("html.link-mismatch", "a host before the host")
	}
	return shown(addr)
}

// shown writes an address so that it stays one word: what would end it, turn
// its direction or be invisible in it is percent-encoded.
func shown(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == ' ' || r == '<' || r == '>' || r == '"',
			r >= 0x80 && (unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar):
			b.WriteString(url.PathEscape(string(r)))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}

// readable is an address as a person says it: a mail address and a telephone
// number without their scheme.
func readable(target string) string {
	sc := scheme(target)
	if sc != "mailto" && sc != "tel" {
		return target
	}
	show, _, _ := strings.Cut(target[len(sc)+1:], "?")
	if un, err := url.PathUnescape(show); err == nil && !strings.ContainsFunc(un, func(r rune) bool { return r < 0x21 || r > 0x7e || r == '<' || r == '>' }) {
		show = un
	}
	return show
}

// mailto keeps of a link that writes a mail its recipients, subject and words.
// RFC 6068, 4: no other field is safe; some programs attach files by one.
func mailto(s string) string {
	to, query, ok := strings.Cut(s, "?")
	if !ok {
		return s
	}
	var kept []string
	for _, f := range strings.FieldsFunc(query, func(r rune) bool { return r == '&' || r == ';' }) {
		name, _, _ := strings.Cut(f, "=")
		if n, err := url.QueryUnescape(name); err == nil {
			name = n
		}
		switch strings.ToLower(name) {
		case "subject", "body", "cc", "to":
			kept = append(kept, f)
		}
	}
	if len(kept) == 0 {
		return to
	}
	return to + "?" + strings.Join(kept, "&")
}

// target writes a link's address behind its text.
func (c *converter) target(target, text string) {
	if target == "" {
		return
	}
	show := readable(target)
	text = strings.TrimSpace(text)
	if same(text, show) && text != "" {
		return
	}
	if c.urls == sanitize.RemoveURLs {
		c.found("html.url", "")
		return
	}
	if c.urls == sanitize.DefangURLs {
		c.found("html.url", "")
		if same(text, defang(show)) {
			return
		}
		show = defang(show)
	}
	if h := showsAnother(text, target); h != "" {
		c.found("html.link-mismatch", bounded(h, 80)+" -> "+bounded(hostOf(target), 80))
	} else if showsAnotherMailbox(text, target) {
		c.found("html.link-mismatch", bounded(text, 80)+" -> "+bounded(show, 80))
	}
	if r := c.row(); r != nil {
		c.cellText(r)
	}
	c.w.word("<" + show + ">")
}

// same reports whether the text of a link already is its address.
func same(text, target string) bool {
	norm := func(s string) string {
		return strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"), "/")
	}
	return text == target || norm(text) == norm(target)
}

// hostOf returns the host that a text shows when it looks like an address, and
// "" when it does not.
func hostOf(s string) string {
	s = strings.TrimSpace(s)
	if strings.ContainsAny(s, " \t\r\n\u3000") || len(s) > maxURL {
		return ""
	}
	switch scheme(s) {
	case "http", "https", "ftp":
	default:
		if !strings.HasPrefix(strings.ToLower(s), "www.") {
			return ""
		}
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(strings.ToLower(u.Hostname()), "www.")
}

// defang makes an address one that no program follows and a person still reads.
func defang(s string) string {
	switch sc := scheme(s); sc {
	case "http", "https":
		rest := s[len(sc):]
		end := len(rest)
		if i := strings.IndexByte(rest[min(len(rest), 3):], '/'); i >= 0 {
			end = i + 3
		}
		return "hxxp" + sc[4:] + strings.ReplaceAll(rest[:end], ".", "[.]") + rest[end:]
	case "ftp":
		return "fxp" + s[3:]
	}
	return s
}

// TextURLs applies a profile's way with URLs to running text and says how many
// addresses it changed.
func TextURLs(s string, mode sanitize.URLs) (string, int) {
	if mode == sanitize.KeepURLs {
		return s, 0
	}
	var b strings.Builder
	n := 0
	for {
		i := nextURL(s)
		if i < 0 {
			b.WriteString(s)
			return b.String(), n
		}
		b.WriteString(s[:i])
		s = s[i:]
		end := strings.IndexFunc(s, func(r rune) bool {
			return r <= ' ' || r == '<' || r == '>' || r == '"' || r >= 0x3000 && r <= 0x303f || r >= 0xff00 && r <= 0xffef || unicode.IsSpace(r)
		})
		if end < 0 {
			end = len(s)
		}
		n++
		if mode == sanitize.DefangURLs {
			b.WriteString(defang(s[:end]))
		} else {
			b.WriteString("[URL]")
		}
		s = s[end:]
	}
}

// nextURL finds the next address in running text.
func nextURL(s string) int {
	for at := 0; ; {
		i := strings.Index(s[at:], "://")
		if i < 0 {
			return -1
		}
		i += at
		for _, sc := range []string{"https", "http", "ftp"} {
			if j := i - len(sc); j >= 0 && strings.EqualFold(s[j:i], sc) {
				return j
			}
		}
		at = i + 3
	}
}
