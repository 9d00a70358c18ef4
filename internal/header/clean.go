package header

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"sekisho/internal/lazy"
)

// maxName is what file systems take: 255 bytes. In UTF-8 that are 85 kanji.
const maxName = 255

// documents are extensions that give way to the true one. A name may have other
// dots, in a number or a date; what looks like a second type goes, because it
// is not true.
var documents = lazy.Value[map[string]bool]{Make: func() map[string]bool {
	return table2(`
	doc docx docm dot dotx dotm rtf odt ott jtd jtdc jtt xls xlsx xlsm xlsb xlt xltx xltm ods ots csv tsv
	ppt pptx pptm pps ppsx ppsm pot potx potm odp otp pdf xps oxps txt text log md htm html xhtml mht mhtml xml json
	jpg jpeg jpe jfif png gif bmp tif tiff webp heic heif svg svgz ico wmf emf psd ai eps
	zip lzh lha 7z rar tar gz tgz bz2 xz zst cab iso img vhd vhdx
	eml msg ics vcf vcs tnef dat mp3 mp4 wav wma wmv avi mov m4a mpg mpeg
	dwg dxf jww sfc p21 xdw xbd jhd jsd vsd vsdx vsdm vstx vstm vssx vssm pub one epub hwp hwpx pages numbers key`)
}}

func table2(s string) map[string]bool {
	t := map[string]bool{}
	for _, ext := range strings.Fields(s) {
		t[ext] = true
	}
	return t
}

// CleanName makes a name that a sender chose into one that may be written out,
// for a file whose true extension is ext ("docx", or "" for none). The result
// is valid UTF-8 of at most 255 bytes, has no control, bidi or invisible
// character, no path, no stream, no device name, no blank or dot at its ends,
// and ext as its only extension. What people see in the name stays: CP932's
// compatibility ideographs (神 福 﨑), wide letters and numbers, dots in dates.
func CleanName(name, ext string) string {
	ext = cleanExt(ext)
	// Taking one thing out can bring another to the end. Each round shortens
	// the name or is the last; the bound only makes that plain.
	for range 8 {
		next := cleanOnce(name, ext)
		if next == name {
			break
		}
		name = next
	}
	return name
}

func cleanExt(ext string) string {
	ext = lower(strings.TrimLeft(ext, "."))
	for i := 0; i < len(ext); i++ {
		if c := ext[i]; !('a' <= c && c <= 'z' || '0' <= c && c <= '9') {
			return ""
		}
	}
	if len(ext) > 16 {
		return ""
	}
	return ext
}

func cleanOnce(s, ext string) string {
	s = compose(visible(strings.ToValidUTF8(s, "_")))
	s = noStream(s)
	s = strings.Map(func(r rune) rune {
		switch r {
		// U+00A5 is what 0x5C looks like in Japan, and Windows maps it back.
		case '<', '>', ':', '"', '/', '\\', '|', '?', '*', '\u00a5', '\u2044', '\u2215', '\u2216', '\u29f8', '\u29f9':
			return '_'
		}
		return r
	}, s)
	base := trimEnds(narrowBlanks(s))
	base = stripExt(base, ext)
	base = trimEnds(defuse(base))
	if base == "" {
		base = "attachment"
	}
	if device(base) {
		base = "_" + base
	}
	room := maxName
	if ext != "" {
		room -= len(ext) + 1
	}
	if len(base) > room {
		base = trimEnds(cutName(base, room))
	}
	if ext == "" {
		return base
	}
	return base + "." + ext
}

// visible drops what shows nothing and makes every odd blank a plain one.
// Variation selectors stay where they select: 葛󠄀 is a name.
func visible(s string) string {
	var b strings.Builder
	var prev rune
	for _, r := range s {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == 0xa0 || 0x2000 <= r && r <= 0x200a || r == 0x202f || r == 0x205f || r == 0x2800 || r == 0x1680:
			r = ' '
		case 0xfe00 <= r && r <= 0xfe0f || 0xe0100 <= r && r <= 0xe01ef:
			if prev == 0 || prev == ' ' || prev == '.' || selector(prev) {
				continue
			}
		case invisible(r):
			continue
		}
		b.WriteRune(r)
		prev = r
	}
	return b.String()
}

func selector(r rune) bool { return 0xfe00 <= r && r <= 0xfe0f || 0xe0100 <= r && r <= 0xe01ef }

// nfc is NFC without U+034F, which the library puts into long runs of marks to
// keep its memory bounded (UAX #15, 20.1) and which nobody sees.
func nfc(s string) string { return strings.ReplaceAll(norm.NFC.String(s), "\u034f", "") }

// compose is NFC, so that the か and ゙ of a Macintosh become が, for everything
// but the characters that NFC would make into others: the compatibility
// ideographs, 22 of which are in CP932, and the signs for Ångström, Ohm and
// Kelvin, the first of which is too.
func compose(s string) string {
	var b strings.Builder
	from := 0
	for i, r := range s {
		if 0xf900 <= r && r <= 0xfaff || 0x2f800 <= r && r <= 0x2fa1f || r == 0x212b || r == 0x2126 || r == 0x212a {
			b.WriteString(nfc(s[from:i]))
			b.WriteRune(r)
			from = i + utf8.RuneLen(r)
		}
	}
	if from == 0 {
		return nfc(s)
	}
	b.WriteString(nfc(s[from:]))
	return b.String()
}

// noStream cuts an NTFS stream off a name whose file part has an extension. A
// colon elsewhere, as in a time of day, is only a character to replace.
func noStream(s string) string {
	file, _, ok := strings.Cut(s, ":")
	if i := strings.LastIndexByte(file, '.'); ok && i > 0 && extLike(file[i+1:]) {
		return file
	}
	return s
}

// narrowBlanks makes one of four and more blanks: they push an extension out
// of sight.
func narrowBlanks(s string) string {
	var b strings.Builder
	var run []rune
	flush := func() {
		if len(run) >= 4 {
			run = run[:1]
		}
		for _, r := range run {
			b.WriteRune(r)
		}
		run = run[:0]
	}
	for _, r := range s {
		if r == ' ' || r == '\u3000' {
			run = append(run, r)
			continue
		}
		flush()
		b.WriteRune(r)
	}
	flush()
	return b.String()
}

func trimEnds(s string) string {
	s = strings.TrimRightFunc(s, func(r rune) bool { return r == '.' || r == '．' || r == '․' || r == '﹒' || unicode.IsSpace(r) })
	return strings.TrimLeftFunc(s, func(r rune) bool { return r == '.' || unicode.IsSpace(r) })
}

// extLike reports what looks like an extension: short, ASCII, with a letter.
func extLike(s string) bool {
	letter := false
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z':
			letter = true
		case '0' <= c && c <= '9' || c == '-' || c == '~' || c == '$':
		default:
			return dangerousExt(s)
		}
	}
	return letter && len(s) <= 12 || dangerousExt(s)
}

func dangerousExt(s string) bool {
	// Some programs leave out what they cannot show.
	s = strings.ReplaceAll(s, "\uFFFD", "")
	s = strings.TrimSpace(strings.ToLower(norm.NFKC.String(s)))
	_, ok := extensions()[s]
	return ok || strings.HasPrefix(s, "{") && strings.HasSuffix(s, "}")
}

// stripExt takes the sender's extension off, and before it any that claims to
// be a document.
func stripExt(s, ext string) string {
	for first := true; ; first = false {
		i := strings.LastIndexByte(s, '.')
		if i <= 0 {
			return s
		}
		e := lower(trim(s[i+1:]))
		known := documents.Get()[e] || e == ext
		if !known && !((first || ext == "") && extLike(e)) {
			return s
		}
		s = trimEnds(s[:i])
	}
}

// defuse replaces the dot before a dangerous extension inside the name.
func defuse(s string) string {
	var b strings.Builder
	from := 0
	for i, r := range s {
		if !dot(r) {
			continue
		}
		b.WriteString(s[from:i])
		from = i + utf8.RuneLen(r)
		end := strings.IndexFunc(s[from:], dot)
		if end < 0 {
			end = len(s) - from
		}
		if i > 0 && dangerousExt(s[from:from+end]) {
			b.WriteByte('_')
		} else {
			b.WriteString(s[i:from])
		}
	}
	b.WriteString(s[from:])
	return b.String()
}

func dot(r rune) bool { return r == '.' || r == '．' || r == '․' || r == '﹒' }

// device reports a name that Windows takes for a device, whatever follows the
// first dot.
func device(s string) bool {
	s, _, _ = strings.Cut(s, ".")
	s = strings.ToLower(strings.TrimRight(norm.NFKC.String(s), " "))
	switch s {
	case "con", "prn", "aux", "nul", "conin$", "conout$", "clock$", "$mft", "$extend":
		return true
	}
	if n := []rune(s); len(n) == 4 && (strings.HasPrefix(s, "com") || strings.HasPrefix(s, "lpt")) {
		return unicode.IsDigit(n[3])
	}
	return false
}

// cutName cuts between characters, not before a mark that belongs to the one
// before.
func cutName(s string, n int) string {
	i := cutAt(s, n)
	for i > 0 && i < len(s) {
		r, _ := utf8.DecodeRuneInString(s[i:])
		if !unicode.Is(unicode.M, r) && r != 'ﾞ' && r != 'ﾟ' {
			break
		}
		_, size := utf8.DecodeLastRuneInString(s[:i])
		i -= size
	}
	if i == 0 {
		return s[:cutAt(s, n)]
	}
	return s[:i]
}
