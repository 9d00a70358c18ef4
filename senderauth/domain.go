package senderauth

import (
	"slices"
	"strings"

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

// behindAt returns what stands behind each @ of a text, blanks taken out, that
// could be a domain.
func behindAt(s string) []string {
	s = strings.Map(func(r rune) rune {
		if r <= ' ' || r == 0x7f {
			return -1
		}
		return r
	}, s)
	var ds []string
	for range 16 {
		_, rest, ok := strings.Cut(s, "@")
		if !ok {
			break
		}
		s = rest
		end := strings.IndexAny(rest, "<>()[],;:\\\"@")
		if end < 0 {
			end = len(rest)
		}
		if d, ok := ascii(rest[:end]); ok {
			ds = append(ds, d)
		}
	}
	return ds
}

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
