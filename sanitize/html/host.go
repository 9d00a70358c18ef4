package html

import (
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"sekisho/internal/lazy"
)

// real writes an address of the web so that a reader sees where it leads: the
// host in the letters that are looked up, and nothing that only looks like one.
// What browsers do with it is done first (WHATWG URL, 4.4): backslashes are
// slashes, what stands before an @ is no host, wide letters are narrow ones. ok
// is false for a host that no browser looks up. spoofs reports that the address
// showed another host before its own.
func real(s string) (addr string, spoofs, ok bool) {
	i := strings.IndexByte(s, ':')
	if i < 0 {
		return "", false, false
	}
	sc, rest := s[:i], strings.TrimLeft(s[i+1:], `/\`)
	authority, tail := rest, ""
	if j := strings.IndexAny(rest, `/\?#`); j >= 0 {
		authority, tail = rest[:j], rest[j:]
	}
	if j := strings.LastIndexByte(authority, '@'); j >= 0 {
		spoofs = strings.Contains(authority[:j], ".") || strings.Contains(authority[:j], "%")
		authority = authority[j+1:]
	}
	host, port := authority, ""
	if j := strings.LastIndexByte(authority, ':'); j >= 0 && !strings.HasSuffix(authority, "]") {
		host, port = authority[:j], authority[j:]
	}
	if strings.Contains(host, "%") {
		var err error
		if host, err = url.PathUnescape(host); err != nil {
			return "", spoofs, false
		}
	}
	if host, ok = asciiHost(host); !ok || strings.Trim(strings.TrimPrefix(port, ":"), "0123456789") != "" {
		return "", spoofs, false
	}
	if strings.HasPrefix(tail, `\`) {
		tail = "/" + tail[1:]
	}
	return strings.ToLower(sc) + "://" + host + port + tail, spoofs, true
}

// hostForm is what a host of the web looks like. An underscore is illegal and
// in use.
var hostForm = lazy.Compile(`^(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_.])?|\[[0-9A-Fa-f:.]+\])$`)

// asciiHost gives the name that is looked up for a host. Letters of other
// scripts are written as the xn-- name they are: to a reader many of them are
// ASCII letters, dots and slashes, and some turn the whole address around.
func asciiHost(h string) (string, bool) {
	for i := 0; i < len(h); i++ {
		if h[i] >= 0x80 {
			// UTS 46, as browsers do it: what is mapped is mapped, what is
			// ignored goes, what is not allowed ends it.
			p := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(false), idna.BidiRule())
			a, err := p.ToASCII(h)
			if err != nil {
				return "", false
			}
			h = a
			break
		}
	}
	return h, hostForm.MatchString(h)
}

// bare writes a text as a reader sees it: without what is not seen, wide
// letters narrow, everything that looks like a dot, colon or slash as that.
func bare(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r), unicode.Is(unicode.Variation_Selector, r):
			return -1
		case r == '。' || r == '｡' || r == '․' || r == '・' || r == '．' || r == '·':
			return '.'
		case r == '∕' || r == '⁄' || r == '╱' || r == '⧸' || r == '／':
			return '/'
		case r == 'ː' || r == '∶' || r == '꞉' || r == '︓' || r == '：':
			return ':'
		}
		return r
	}, s)
	return norm.NFKC.String(s)
}

// shownHost finds what a reader takes for the address of a site: with a scheme,
// with www., or a bare name under one of the domains that people know. The
// names of files look like the last and are not meant.
var shownHost = lazy.Compile(`(?i)(?:(?:https?|ftp):[/\\]{1,3}(?:[^\s/\\?#@<>"']*@)?([^\s/\\?#:<>"'()（）「」、]+)|(?:^|[\s<("'（「【])((?:www\.[^\s/\\?#:<>"'()（）「」、]+)|(?:[a-z0-9-]+\.)+(?:jp|com|net|org|info|biz|gov|edu|eu|uk|cn|kr|tw|de|fr|us|io|co|app|dev|xyz|top|online|site|shop|cloud|link))(?:$|[\s/:?#>)"'）」】、。]))`)

// showsAnother returns the first host that the text of a link shows and that
// is not the one it leads to, "" when there is none.
func showsAnother(text, target string) string {
	if len(text) > maxURL {
		return ""
	}
	leads := siteOf(hostOf(target))
	for _, m := range shownHost.FindAllStringSubmatch(bare(text), 20) {
		h := m[1] + m[2]
		if a, ok := asciiHost(strings.TrimRight(h, ".")); ok {
			h = a
		}
		if h = siteOf(h); h != "" && h != leads {
			return h
		}
	}
	return ""
}

// siteOf is a host without what does not tell it from another.
func siteOf(h string) string {
	return strings.TrimPrefix(strings.TrimSuffix(strings.ToLower(h), "."), "www.")
}

// showsAnotherMailbox reports whether the text of a link that writes a mail
// shows an address, and not the one it writes to.
func showsAnotherMailbox(text, target string) bool {
	if scheme(target) != "mailto" || len(text) > maxURL {
		return false
	}
	text = strings.ToLower(bare(text))
	return strings.Contains(text, "@") && !strings.ContainsAny(strings.TrimSpace(text), " \t\r\n") && !strings.Contains(text, strings.ToLower(readable(target)))
}
