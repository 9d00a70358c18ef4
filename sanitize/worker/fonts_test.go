package worker

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestFontsAreNamedByWhatStandsInForThem(t *testing.T) {
	for said, want := range map[string]Fonts{
		"": {},
		"Noto Sans CJK JP\nNoto Serif CJK JP\nNoto Sans CJK JP\n": {[]string{"Noto Sans CJK JP", "Noto Serif CJK JP"}, "Noto Serif CJK JP", "Noto Sans CJK JP"},
		"IPAMincho,IPA明朝\nNoto Serif CJK JP\n":                    {[]string{"IPAMincho", "IPA明朝", "Noto Serif CJK JP"}, "IPAMincho", ""},
		"ＭＳ ゴシック,MS Gothic\nevil\x1b[2J\n":                        {[]string{"MS Gothic", "ＭＳ ゴシック"}, "", "MS Gothic"},
	} {
		got := fontsOf(said)
		if !slices.Equal(got.Families, want.Families) || got.Mincho != want.Mincho || got.Gothic != want.Gothic {
			t.Errorf("%q: %+v, want %+v", said, got, want)
		}
	}
}

// TestTheFontPageIsDrawnNeedsTools has LibreOffice make a page and looks at its
// characters: none is blank, and but for those of private use, which nobody has
// a shape for, none looks like another, as they would if they were all the box
// of a missing one.
func TestTheFontPageIsDrawnNeedsTools(t *testing.T) {
	tools := realTools(t, soffice, "/usr/bin/pdftoppm", "/usr/bin/fc-list")
	fonts, err := tools.Fonts(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(fonts.Families) == 0 {
		t.Skip("skipped: no font has Japanese; `make deps` installs one")
	}
	const characters = "明朝漢字㈱髙﨑①あアｱ\ue000"
	style := func(font string) string {
		return `<style:style style:name="` + strings.ReplaceAll(font, " ", "_") + `" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/><style:text-properties style:font-name="` + font + `" style:font-name-asian="` + font + `" fo:font-size="48pt" style:font-size-asian="48pt"/></style:style>`
	}
	faces := []string{"MS Mincho", "MS Gothic"}
	var doc strings.Builder
	doc.WriteString(`<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:mimetype="application/vnd.oasis.opendocument.text" office:version="1.2"><office:font-face-decls>`)
	for _, f := range faces {
		fmt.Fprintf(&doc, `<style:font-face style:name="%s" svg:font-family="'%s'"/>`, f, f)
	}
	doc.WriteString(`</office:font-face-decls><office:automatic-styles>`)
	for _, f := range faces {
		doc.WriteString(style(f))
	}
	doc.WriteString(`</office:automatic-styles><office:body><office:text>`)
	for _, f := range faces {
		for _, r := range characters { // a page each
			fmt.Fprintf(&doc, `<text:p text:style-name="%s">%c</text:p>`, strings.ReplaceAll(f, " ", "_"), r)
		}
	}
	doc.WriteString(`</office:text></office:body></office:document>`)
	c, _ := ask(t, tools)
	pdf, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromFODT}, []byte(doc.String()))
	if err != nil {
		t.Fatal(err)
	}
	all := []rune(characters)
	out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: len(faces) * len(all), DPI: 36, Grey: 1}, pdf)
	if err != nil {
		t.Fatal(err)
	}
	size := len(out) / (len(faces) * len(all))
	if size == 0 || len(out)%size != 0 {
		t.Fatalf("%d octets of pages", len(out))
	}
	for i, f := range faces {
		seen := map[string]rune{}
		for j, r := range all {
			page := out[(i*len(all)+j)*size:][:size]
			if !bytes.HasPrefix(page, []byte("P5\n")) {
				t.Fatalf("%s: page %d begins with %.10q", f, j, page)
			}
			dark := 0
			for _, v := range page[20:] {
				if v < 160 {
					dark++
				}
			}
			if dark == 0 {
				t.Errorf("%s: %c is not shown", f, r)
			}
			if twin, ok := seen[string(page)]; ok {
				t.Errorf("%s: %c looks like %c", f, r, twin)
			}
			seen[string(page)] = r
		}
	}
}
