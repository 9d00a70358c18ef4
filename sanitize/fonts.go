package sanitize

import (
	"context"
	"errors"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// FontRule is the rule of the finding that a font is not there; its place is the
// font's name.
const FontRule = "convert.font"

// maxFonts is how many fonts of a document are told one by one; a document that
// is read has a handful.
const maxFonts = 20

// TellFonts says which of the fonts that a document names are not there, before
// its pages are drawn with others.
func (s *Session) TellFonts(ctx context.Context, names []string) error {
	if len(names) == 0 || s.Tools == nil {
		return nil
	}
	listed, err := s.Converted(ctx, ToolCall{Tool: FontNames}, strings.NewReader(""))
	switch {
	case errors.Is(err, ErrLimit):
		return err
	case err != nil:
		return nil // nobody knows, and doctor says so
	}
	for _, name := range missingFonts(names, string(listed)) {
		s.Found(Finding{Rule: FontRule, Where: name, Action: Reported})
	}
	return nil
}

// missingFonts are those of names that are not listed, in their order, each
// once and at most maxFonts. A name counts in any width, case and spacing.
func missingFonts(names []string, listed string) []string {
	there := map[string]bool{"": true}
	for line := range strings.Lines(listed) {
		for name := range strings.SplitSeq(line, ",") {
			there[plainFont(name)] = true
		}
	}
	var out []string
	for _, name := range names {
		key := plainFont(name)
		if there[key] || len(out) == maxFonts {
			continue
		}
		there[key] = true
		out = append(out, printableFont(name))
	}
	return out
}

// plainFont is what two spellings of a font's name have in common. Fonts for
// vertical lines have an @ before it.
func plainFont(name string) string {
	return strings.Map(func(r rune) rune {
		if r == ' ' || r == '-' || r == '_' || r == '@' || !unicode.IsPrint(r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKC.String(strings.ToValidUTF8(name, "")))
}

func printableFont(name string) string {
	const longest = 64
	name = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.TrimLeft(strings.ToValidUTF8(name, ""), "@"))
	if r := []rune(name); len(r) > longest {
		name = string(r[:longest])
	}
	return strings.TrimSpace(name)
}
