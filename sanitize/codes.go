package sanitize

import (
	"image"
	"net/url"
	"strings"
	"unicode"
)

// CodeRule is the rule of the finding that a picture or page shows a QR code
// with an address; its detail is the address as a notice may show it.
const CodeRule = "image.qr-code"

const (
	// maxLooks is how many pictures and pages of a message are looked at: a look
	// takes some 20 ms, and fifty of them the second that a mail may cost for it.
	maxLooks = 50
	// maxCodes is how many addresses of one file are told: a list that nobody
	// reads to its end helps nobody.
	maxCodes = 5
)

// Looks reports whether another picture is to be looked at for QR codes, so that
// a sanitizer makes no pixels ready in vain. When the output is verified nobody
// looks: a code was told, it was not taken.
func (s *Session) Looks() bool {
	return s.Options.Codes && s.Codes != nil && s.looks < maxLooks &&
		(s.Options.Task == TaskMail || s.Options.Task == TaskFile)
}

// Look looks for QR codes in a picture and records the addresses they lead to.
// The picture stays as it is.
func (s *Session) Look(m image.Image) {
	// Nothing smaller holds a code: 21 modules, and light around them.
	if b := m.Bounds(); !s.Looks() || b.Dx() < 24 || b.Dy() < 24 {
		return
	}
	s.looks++
	for _, text := range s.Codes(m) {
		a := codeAddress(text, s.Options.URLs)
		told, again := 0, false
		for _, f := range s.found[len(s.found)-1] {
			if f.Rule == CodeRule {
				told++
				again = again || f.Detail == a
			}
		}
		if a == "" || again || told >= maxCodes {
			continue
		}
		s.Found(Finding{Rule: CodeRule, Action: Reported, Detail: a})
	}
}

// codeAddress is the address in the text of a code, as it is shown: one line
// without anything invisible, "" when there is none. Where a profile defangs or
// removes addresses, it is defanged.
func codeAddress(text string, mode URLs) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Co, r), r == unicode.ReplacementChar:
			return -1
		}
		return r
	}, strings.TrimSpace(text))
	lower := strings.ToLower(text)
	if len(lower) != len(text) {
		lower = text // letters whose small form is longer are none of an address
	}
	at := -1
	for _, scheme := range [...]string{"https://", "http://"} {
		// Cards and bookmarks have the address somewhere inside.
		if i := strings.Index(lower, scheme); i >= 0 && (at < 0 || i < at) {
			at = i
		}
	}
	switch {
	case at > 0 && (strings.HasPrefix(lower, "mebkm:") || strings.HasPrefix(lower, "mecard:")):
		text, _, _ = strings.Cut(text[at:], ";")
	case at >= 0:
		text = text[at:]
	case strings.HasPrefix(lower, "www."):
	default:
		// Telephones follow more than the web: market:, intent:, tel:, smsto:.
		scheme, rest, ok := strings.Cut(lower, ":")
		if !ok || rest == "" || scheme == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789+.-") != "" ||
			strings.HasPrefix(lower, "begin:") || scheme == "wifi" || scheme == "mecard" || scheme == "mebkm" {
			return "" // a visiting card or the password of a network is no address
		}
	}
	text, _, _ = strings.Cut(text, " ")
	// What stands before an @ is there to be taken for the host.
	if u, err := url.Parse(text); err == nil && u.User != nil && u.Host != "" {
		if i := strings.Index(text, "://"); i >= 0 {
			end := len(text)
			if j := strings.IndexAny(text[i+3:], "/?#\\"); j >= 0 {
				end = i + 3 + j
			}
			if k := strings.LastIndexByte(text[i+3:end], '@'); k >= 0 {
				text = text[:i+3] + text[i+3+k+1:]
			}
		}
	}
	if mode != KeepURLs {
		text = defanged(text)
	}
	return bounded(text, 200)
}

// defanged writes an address so that no program takes it for one.
func defanged(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return strings.Replace(strings.ReplaceAll(s, ".", "[.]"), ":", "[:]", 1)
	}
	host, path := rest, ""
	if i := strings.IndexAny(rest, "/?#\\"); i >= 0 {
		host, path = rest[:i], rest[i:]
	}
	return strings.NewReplacer("http", "hxxp").Replace(strings.ToLower(scheme)) + "://" + strings.ReplaceAll(host, ".", "[.]") + path
}
