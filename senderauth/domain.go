package senderauth

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"sekisho/internal/header"
)

// fromDomains returns the domains that readers could take for the author's, in
// ASCII and lower case, each once, and the first address. A value that
// is not as RFC 5322 has it gives more domains, never fewer: everything behind
// an @ counts then. whole is false for such a value and for an empty one.
func fromDomains(values []string) (domains []string, first string, whole bool) {
	whole = len(values) == 1
	add := func(d string) {
		if !slices.Contains(domains, d) && len(domains) < 16 {
			domains = append(domains, d)
		}
	}
	for _, v := range values {
		list, flags := header.ParseAddressList(v)
		const odd = header.NUL | header.Control | header.NoAddress | header.NoAngle | header.DoubleAngle | header.UnterminatedAngle |
			header.SourceRoute | header.BadSeparator | header.JunkAfterAddress | header.UnterminatedGroup | header.UnterminatedQuote
		ok := len(list) > 0 && !flags.Has(odd)
		for _, m := range list {
			d, good := domainOf(m.Addr)
			if !good {
				ok = false
				continue
			}
			if first == "" {
				first = m.Addr
			}
			add(d)
			if strings.Count(m.Addr, "@") > 1 {
				// Which of them ends the local part is a matter of the reader.
				ok = false
			}
		}
		if !ok {
			whole = false
			for _, d := range behindAt(header.Decode(v).String) {
				add(d)
			}
		}
	}
	return domains, first, whole
}

// Author returns the domain of a header From of one author, and whether it is
// one.
func Author(value string) (string, bool) {
	ds, _, whole := fromDomains([]string{value})
	if !whole || len(ds) != 1 {
		return "", false
	}
	return ds[0], true
}

// behindAt returns what stands behind each @ of a text and could be a domain, in
// every way that a reader might take it: with blanks taken out, up to the first
// character that no domain has, and up to the first beyond ASCII.
func behindAt(s string) []string {
	const most = 1000 // a display name full of @ is none; each costs little
	var ds []string
	add := func(d string) {
		if d, ok := ascii(strings.TrimRight(d, ".-")); ok && !slices.Contains(ds, d) {
			ds = append(ds, d)
		}
	}
	for range most {
		_, rest, ok := strings.Cut(s, "@")
		if !ok {
			break
		}
		s = rest
		if next := strings.IndexByte(rest, '@'); next >= 0 {
			rest = rest[:next]
		}
		rest = rest[:min(len(rest), maxShown)]
		squeezed := strings.Map(func(r rune) rune {
			if r <= ' ' || r == 0x7f {
				return -1
			}
			return r
		}, rest)
		if end := strings.IndexAny(squeezed, "<>()[],;:\\\"@"); end >= 0 {
			squeezed = squeezed[:end]
		}
		add(squeezed)
		rest = strings.TrimLeft(rest, " \t\r\n")
		for _, part := range []func(r rune) bool{
			func(r rune) bool { return unicode.IsLetter(r) || unicode.IsMark(r) || unicode.IsDigit(r) },
			func(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' },
		} {
			end := strings.IndexFunc(rest, func(r rune) bool { return !part(r) && !strings.ContainsRune(".-_", r) })
			if end < 0 {
				end = len(rest)
			}
			add(rest[:end])
		}
	}
	return ds
}

// maxShown is how much behind an @ is looked at: a domain has 253 octets, and a
// blank may stand between any two.
const maxShown = 1024

// domainOf returns the domain of an address.
func domainOf(addr string) (string, bool) {
	i := strings.LastIndexByte(addr, '@')
	if i < 0 {
		return "", false
	}
	return ascii(addr[i+1:])
}

// ascii returns a domain in lower case and with A-labels, or false when it is
// none that mail could have.
func ascii(d string) (string, bool) {
	d = strings.TrimSuffix(d, ".")
	if len(d) > 1000 {
		return "", false
	}
	plain := true
	for i := range len(d) {
		plain = plain && d[i] < 0x80
	}
	if !plain {
		a, err := idna.Lookup.ToASCII(d)
		if err != nil {
			return "", false
		}
		d = a
	}
	d = strings.ToLower(d)
	if len(d) > 253 || d == "" {
		return "", false
	}
	for _, l := range strings.Split(d, ".") {
		if l == "" || len(l) > 63 {
			return "", false
		}
		for i := range len(l) {
			c := l[i]
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", false
			}
		}
	}
	return d, true
}

// lgjp returns the organisational domain of a name of lg.jp, "" for any other
// name. JPRS gives out <type>.<name>.lg.jp, and the public suffix list has only
// lg.jp: by it pref.kanagawa.lg.jp and union.kanagawa.lg.jp, two bodies, would
// be one.
func lgjp(d string) string {
	labels := strings.Split(d, ".")
	n := len(labels)
	if n < 2 || labels[n-1] != "jp" || labels[n-2] != "lg" {
		return ""
	}
	return strings.Join(labels[max(n-4, 0):], ".")
}

// fallback is the organisational domain as far as it can be told without DNS.
func fallback(d string) string {
	if o := lgjp(d); o != "" {
		return o
	}
	o, err := publicsuffix.EffectiveTLDPlusOne(d)
	if err != nil {
		return d
	}
	return o
}

// isUnder reports whether d is name or below it.
func isUnder(d, name string) bool {
	return name != "" && (d == name || strings.HasSuffix(d, "."+name))
}

// related reports whether two names have their last label in common: others
// are never of one organisation.
func related(a, b string) bool {
	return a[strings.LastIndexByte(a, '.')+1:] == b[strings.LastIndexByte(b, '.')+1:]
}
