// Package link says which links of a document may stay.
package link

import (
	"strings"
)

// Harmless reports whether a link may stay: what a browser or mail program
// opens in its own sandbox, and nothing that reaches a file server or another
// program.
func Harmless(s string) bool {
	const longest = 8192 // Excel stops at 2,083, browsers do not
	if len(s) > longest {
		return false
	}
	for _, r := range s {
		if r < 0x20 || r == 0x7F || r >= 0x80 && r < 0xA0 {
			return false // programs that skip them see another scheme
		}
	}
	scheme, rest, ok := strings.Cut(s, ":")
	if !ok {
		return false
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		return len(rest) > 2 && strings.HasPrefix(rest, "//") && rest[2] != '/' && rest[2] != '\\'
	case "mailto":
		return harmlessMailto(rest)
	default:
		return false
	}
}

// harmlessMailto reports whether a mail link only fills in what the reader sees
// before it is sent. RFC 6068, 4: programs choose which fields they obey, and
// some obey attach, with a file of the reader's own disk.
func harmlessMailto(rest string) bool {
	_, query, _ := strings.Cut(rest, "?")
	query = strings.ReplaceAll(query, "&amp;", "&")
	for field := range strings.FieldsFuncSeq(query, func(r rune) bool { return r == '&' || r == '?' || r == ';' }) {
		name, _, _ := strings.Cut(field, "=")
		switch strings.ToLower(name) {
		case "to", "cc", "bcc", "subject", "body", "in-reply-to":
		default:
			return false
		}
	}
	return true
}
