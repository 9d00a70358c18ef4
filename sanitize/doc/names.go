package doc

import (
	"strings"
	"unicode/utf16"
)

// wide reads UTF-16.
func wide(b []byte) string {
	u := make([]uint16, 0, len(b)/2)
	for ; len(b) > 1; b = b[2:] {
		u = append(u, le.Uint16(b))
	}
	return strings.ToValidUTF8(string(utf16.Decode(u)), "")
}

// isTemplate reports whether a text of the associated strings names a template
// of its own: every document names the one it came with.
func isTemplate(s string) bool {
	l := strings.ToLower(strings.TrimSpace(s))
	return strings.ContainsAny(l, `\/:`) || (strings.HasSuffix(l, ".dot") || strings.HasSuffix(l, ".dotm") || strings.HasSuffix(l, ".dotx")) && !strings.HasPrefix(l, "normal.dot")
}

// remote reports whether a path leads to another machine.
func remote(s string) bool {
	s = strings.TrimSpace(s)
	return strings.HasPrefix(s, `\\`) || strings.HasPrefix(s, "//") || strings.Contains(s, "://")
}
