package header

import (
	"strings"
	"sync"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// alikes are letters of other alphabets that most fonts draw like one of
// ASCII's (Unicode Technical Standard 39, 4), in pairs: how it looks, and what
// it is. Capitals have become small before.
const alikes = "aа aα aɑ bЬ bь cс cϲ dԁ eе eҽ gɡ hһ hհ iі iι iı iɩ jј kк kκ lӏ lⅼ lǀ mм nո nп oо oο oօ oσ pр pρ qԛ sѕ tт tτ uս uυ vν vѵ wԝ wѡ xх xχ yу yγ zᴢ -‐ -‑ -‒ -– -— -― -− -ー .。 .․"

var alike = sync.OnceValue(func() *strings.Replacer {
	var pairs []string
	for _, p := range strings.Fields(alikes) {
		pairs = append(pairs, p[1:], p[:1])
	}
	return strings.NewReplacer(pairs...)
})

// Alike returns the ASCII that a text could be taken for by an eye: wide and
// narrow letters, capitals, invisible characters and the letters of Cyrillic,
// Greek and Armenian that look like Latin ones are told apart no more. Two
// domains of the same result look the same. What was ASCII stays as it is, so
// that "rn" is not taken for "m": honest names differ by that.
func Alike(s string) string {
	s = strings.ToLower(norm.NFKC.String(strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return r
	}, s)))
	return alike().Replace(s)
}

// AlikeDomain is Alike of a domain as programs show it: with its labels in
// Punycode decoded. RFC 5891, 4.4.
func AlikeDomain(d string) string {
	if u, err := idna.ToUnicode(d); err == nil {
		d = u
	}
	return Alike(d)
}
