package convert

import (
	"encoding/binary"
	"errors"
	"html"
	"io"
	"path"
	"slices"
	"strings"
	stdutf16 "unicode/utf16"

	"golang.org/x/text/encoding/japanese"

	"sekisho/internal/cfb"
	"sekisho/internal/lazy"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// maxFontPart is how much of each part is searched for the names of fonts.
const maxFontPart = 8 << 20

// fontsOf are the names of the fonts that a document asks for. What cannot be
// read here names none. A converted document keeps the names, and whoever opens
// it has the fonts or not; of pages it must be said.
func fontsOf(s *sanitize.Session, src sanitize.Source, in io.ReaderAt, size int64) []string {
	var names []string
	switch src {
	case sanitize.FromDOCX, sanitize.FromXLSX, sanitize.FromPPTX, sanitize.FromODT, sanitize.FromODS, sanitize.FromODP:
		names = fontsOfParts(s, src, in, size)
	case sanitize.FromFODT, sanitize.FromFODP:
		names = fontsOfOpenDocument(head(in, size))
	case sanitize.FromWord2003:
		names, _ = fontsOfRuns(head(in, size))
	case sanitize.FromRTF:
		names = fontsOfRichText(head(in, size))
	case sanitize.FromDOC:
		names = fontsOfDOC(in, size)
	case sanitize.FromPPT:
		names = fontsOfPPT(in, size)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func head(in io.ReaderAt, size int64) []byte {
	b := make([]byte, min(size, maxFontPart))
	n, err := in.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	return b[:n]
}

var (
	wordRun   = lazy.Compile(`<w:rFonts\s[^>]*>`)
	wordFont  = lazy.Compile(`\sw:(?:ascii|hAnsi|eastAsia|fareast|h-ansi)="([^"<]{1,200})"`)
	wordTheme = lazy.Compile(`\sw:(?:ascii|hAnsi|eastAsia)Theme="`)
	cellFont  = lazy.Compile(`<(?:[a-z0-9]+:)?(?:name|rFont)\s+val="([^"<]{1,200})"`)
	typeface  = lazy.Compile(`\stypeface="([^"<]{1,200})"`)
	themeFont = lazy.Compile(`<a:(?:latin|ea|font\s+script="Jpan")\s+typeface="([^"<]{1,200})"`)
	usedFont  = lazy.Compile(`\sstyle:font-name(?:-asian)?="([^"<]{1,200})"`)
	richFont  = lazy.Compile(`\\(?:a?f|deff)([0-9]{1,5})`)
	saidFont  = lazy.Compile(`<style:font-face\s[^>]*>`)
	faceName  = lazy.Compile(`\sstyle:name="([^"<]{1,200})"`)
	family    = lazy.Compile(`\ssvg:font-family="([^"<]{1,200})"`)
)

// values are what the first group of a pattern matches.
func values(p *lazy.Regexp, b []byte) []string {
	const most = 20_000
	var out []string
	for _, m := range p.FindAllSubmatch(b, most) {
		if v := html.UnescapeString(string(m[1])); !slices.Contains(out, v) && len(out) < 200 {
			out = append(out, v)
		}
	}
	return out
}

// fontsOfParts reads the names in the parts of an archive, which was proven by
// whoever asks.
func fontsOfParts(s *sanitize.Session, src sanitize.Source, in io.ReaderAt, size int64) []string {
	z, err := zipstrict.Open(in, size, zipstrict.Limits{Entries: s.Options.Limits.Entries})
	if err != nil {
		return nil
	}
	var names, themes []string
	byTheme := false
	const most = 200 // slides are many
	parts := 0
	for i := range z.Files {
		f := &z.Files[i]
		if !strings.HasSuffix(f.Name, ".xml") || parts == most {
			continue
		}
		of := func(patterns ...string) bool {
			return slices.ContainsFunc(patterns, func(p string) bool { ok, err := path.Match(p, f.Name); return ok && err == nil })
		}
		var pattern *lazy.Regexp
		theme := false
		switch src {
		case sanitize.FromDOCX:
			if theme = of("word/theme/*"); theme {
				pattern = themeFont
			} else if of("word/document.xml", "word/styles.xml", "word/header*", "word/footer*", "word/footnotes.xml") {
				pattern = wordFont
			}
		case sanitize.FromXLSX:
			if of("xl/styles.xml", "xl/sharedStrings.xml") {
				pattern = cellFont
			}
		case sanitize.FromPPTX:
			if theme = of("ppt/theme/*"); theme {
				pattern = themeFont
			} else if of("ppt/slides/*", "ppt/slideMasters/*") {
				pattern = typeface
			}
		default:
			if of("content.xml", "styles.xml") {
				pattern = usedFont
			}
		}
		if pattern == nil {
			continue
		}
		parts++
		r, err := f.Open(nil)
		if err != nil {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(r, maxFontPart))
		if err != nil {
			continue
		}
		switch {
		case theme:
			themes = append(themes, values(pattern, b)...)
		case pattern == usedFont:
			names = append(names, fontsOfOpenDocument(b)...)
		default:
			if pattern == wordFont {
				named, themed := fontsOfRuns(b)
				names, byTheme = append(names, named...), byTheme || themed
				continue
			}
			for _, name := range values(pattern, b) {
				if strings.HasPrefix(name, "+") { // +mn-ea: that of the theme
					byTheme = true
				} else {
					names = append(names, name)
				}
			}
		}
	}
	if byTheme {
		names = append(names, themes...)
	}
	return names
}

// fontsOfRuns are those that runs and styles of a Word document have, and
// whether some have that of the theme. ECMA-376 part 1, 17.3.2.26.
func fontsOfRuns(b []byte) (names []string, themed bool) {
	const most = 100_000
	for _, tag := range wordRun.FindAll(b, most) {
		for _, name := range values(wordFont, tag) {
			if !slices.Contains(names, name) && len(names) < 200 {
				names = append(names, name)
			}
		}
		themed = themed || wordTheme.Match(tag)
	}
	return names, themed
}

// fontsOfOpenDocument are those that styles use, by the name of their family.
// OpenDocument 1.3 part 3, 16.23.
func fontsOfOpenDocument(b []byte) []string {
	families := map[string]string{}
	const most = 1000
	for _, tag := range saidFont.FindAll(b, most) {
		if n, f := values(faceName, tag), values(family, tag); len(n) == 1 && len(f) == 1 {
			families[n[0]] = strings.Trim(f[0], "'")
		}
	}
	names := values(usedFont, b)
	for i, name := range names {
		if f, ok := families[name]; ok {
			names[i] = f
		}
	}
	return names
}

// fontsOfRichText reads the table of fonts, of which most are for alphabets that
// the text has not, and tells those that are used. RTF 1.9.1, "Font Table".
func fontsOfRichText(b []byte) []string {
	before, rest, ok := strings.Cut(string(b), `{\fonttbl`)
	if !ok {
		return nil
	}
	whole := rest
	rest = rest[:min(len(rest), 256<<10)]
	var names, numbers []string
	number := ""
	inUse := func(end int) (out []string) {
		used := map[string]bool{}
		for _, m := range append(richFont.FindAllSubmatch([]byte(before), 1000), richFont.FindAllSubmatch([]byte(whole[end:]), 100_000)...) {
			used[string(m[1])] = true
		}
		for i, n := range numbers {
			if used[n] {
				out = append(out, names[i])
			}
		}
		return out
	}
	var raw []byte // of the code page
	var text strings.Builder
	depth, skip := 0, 0
	flush := func() {
		if len(raw) > 0 {
			if s, err := japanese.ShiftJIS.NewDecoder().Bytes(raw); err == nil {
				text.Write(s)
			}
			raw = raw[:0]
		}
	}
	done := func() {
		flush()
		if name := strings.TrimSpace(text.String()); name != "" && len(names) < 200 {
			names, numbers = append(names, name), append(numbers, number)
		}
		text.Reset()
	}
	for i := 0; i < len(rest); i++ {
		switch c := rest[i]; {
		case c == '{':
			depth++
			if strings.HasPrefix(rest[i:], `{\*`) && skip == 0 {
				skip = depth
			}
		case c == '}':
			if depth == skip {
				skip = 0
			}
			if depth--; depth < 0 {
				done()
				return inUse(i)
			}
		case c == '\\' && i+3 < len(rest) && rest[i+1] == '\'':
			if v, ok := hexByte(rest[i+2 : i+4]); ok && skip == 0 {
				raw = append(raw, v)
			}
			i += 3
		case c == '\\':
			from := i + 1
			for i+1 < len(rest) && (rest[i+1] == '*' || rest[i+1] == '-' || rest[i+1] >= '0' && rest[i+1] <= '9' || rest[i+1] >= 'a' && rest[i+1] <= 'z') {
				i++
			}
			if w := rest[from : i+1]; len(w) > 1 && w[0] == 'f' && strings.Trim(w[1:], "0123456789") == "" {
				number = w[1:]
			}
			if i+1 < len(rest) && rest[i+1] == ' ' {
				i++
			}
		case skip > 0 || c == '\r' || c == '\n':
		case c == ';':
			done()
		default:
			raw = append(raw, c)
		}
	}
	return inUse(len(rest))
}

func hexByte(s string) (byte, bool) {
	v := byte(0)
	for i := range 2 {
		switch c := s[i] | 0x20; {
		case c >= '0' && c <= '9':
			v = v<<4 | (c - '0')
		case c >= 'a' && c <= 'f':
			v = v<<4 | (c - 'a' + 10)
		default:
			return 0, false
		}
	}
	return v, true
}

// fontsOfDOC reads the table of fonts of a document of Word 97 or later.
// [MS-DOC] 2.5.6 fcSttbfFfn, 2.9.286 SttbfFfn, 2.9.80 FFN.
func fontsOfDOC(in io.ReaderAt, size int64) []string {
	f, err := cfb.Open(in, size)
	if err != nil {
		return nil
	}
	main := f.Root.Stream("WordDocument")
	if main == nil {
		return nil
	}
	var fib [0x11a]byte
	if _, err := main.ReadAt(fib[:], 0); err != nil {
		return nil
	}
	le := binary.LittleEndian
	name := "0Table"
	if le.Uint16(fib[0x0a:])&0x0200 != 0 {
		name = "1Table"
	}
	table := f.Root.Stream(name)
	at, n := int64(le.Uint32(fib[0x112:])), int64(le.Uint32(fib[0x116:]))
	if table == nil || n < 4 || n > 1<<20 || at+n > table.Size {
		return nil
	}
	b := make([]byte, n)
	if _, err := table.ReadAt(b, at); err != nil && !errors.Is(err, io.EOF) {
		return nil
	}
	var names []string
	const fixed = 40 // octets before the name
	for b = b[4:]; len(b) > fixed && len(names) < 200; {
		end := int(b[0]) + 1
		if end <= fixed || end > len(b) {
			break
		}
		if name := units(b[fixed:end]); name != "" {
			names = append(names, name)
		}
		b = b[end:]
	}
	return names
}

// fontsOfPPT reads the fonts of a presentation. [MS-PPT] 2.9.9.
func fontsOfPPT(in io.ReaderAt, size int64) []string {
	f, err := cfb.Open(in, size)
	if err != nil {
		return nil
	}
	stream := f.Root.Stream("PowerPoint Document")
	if stream == nil {
		return nil
	}
	const kind, long, name = "\xb7\x0f", "\x44\x00\x00\x00", 64
	rest := string(head(stream, stream.Size))
	var names []string
	for len(names) < 200 {
		i := strings.Index(rest, kind+long)
		if i < 0 || len(rest) < i+6+name {
			break
		}
		if s := units([]byte(rest[i+6 : i+6+name])); s != "" {
			names = append(names, s)
		}
		rest = rest[i+6:]
	}
	return names
}

// units is the text of UTF-16 units up to the first zero.
func units(b []byte) string {
	var u []uint16
	for ; len(b) >= 2; b = b[2:] {
		v := binary.LittleEndian.Uint16(b)
		if v == 0 {
			break
		}
		u = append(u, v)
	}
	return string(stdutf16.Decode(u))
}
