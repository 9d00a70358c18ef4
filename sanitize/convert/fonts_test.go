package convert

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"slices"
	"strings"
	"testing"
	stdutf16 "unicode/utf16"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

func archiveOf(t testing.TB, parts ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(parts); i += 2 {
		w, err := z.Create(parts[i])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(parts[i+1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func compound(t testing.TB, streams ...any) []byte {
	t.Helper()
	root := &cfb.Storage{}
	for i := 0; i < len(streams); i += 2 {
		root.Streams = append(root.Streams, cfb.NewStream(streams[i].(string), streams[i+1].([]byte)))
	}
	var b bytes.Buffer
	if err := cfb.Write(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func wide(s string) (b []byte) {
	for _, u := range append(stdutf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

// wordOld is the part of a Word document that names its fonts.
func wordOld(t testing.TB, names ...string) []byte {
	table := []byte{byte(len(names)), 0, 0, 0}
	for _, name := range names {
		ffn := append(make([]byte, 40), wide(name)...)
		ffn[0] = byte(len(ffn) - 1)
		table = append(table, ffn...)
	}
	fib := make([]byte, 0x400)
	binary.LittleEndian.PutUint16(fib[0x0a:], 0x0200)
	binary.LittleEndian.PutUint32(fib[0x112:], 16)
	binary.LittleEndian.PutUint32(fib[0x116:], uint32(len(table)))
	return compound(t, "WordDocument", fib, "1Table", append(make([]byte, 16), table...))
}

func slidesOld(t testing.TB, name string) []byte {
	entity := append([]byte{0, 0, 0xb7, 0x0f, 0x44, 0, 0, 0}, make([]byte, 68)...)
	copy(entity[8:], wide(name))
	return compound(t, "PowerPoint Document", append([]byte("something before"), entity...))
}

func TestEveryFormatNamesItsFonts(t *testing.T) {
	const theme = `<a:theme xmlns:a="x"><a:minorFont><a:latin typeface="Century"/><a:ea typeface=""/><a:font script="Jpan" typeface="游明朝"/><a:font script="Hang" typeface="맑은 고딕"/></a:minorFont></a:theme>`
	for what, c := range map[string]struct {
		src  sanitize.Source
		in   []byte
		want string
	}{
		"docx": {sanitize.FromDOCX, archiveOf(t, "word/document.xml", `<w:rPr><w:rFonts w:ascii="Arial" w:eastAsia="ＭＳ 明朝"/><w:lang w:eastAsia="ja-JP"/></w:rPr>`, "word/theme/theme1.xml", theme, "word/numbering.xml", `<w:rFonts w:ascii="Wingdings"/>`),
			"Arial,ＭＳ 明朝"},
		"docx by its theme": {sanitize.FromDOCX, archiveOf(t, "word/styles.xml", `<w:rFonts w:asciiTheme="minorHAnsi" w:eastAsiaTheme="minorEastAsia"/>`, "word/theme/theme1.xml", theme), "Century,游明朝"},
		"xlsx":              {sanitize.FromXLSX, archiveOf(t, "xl/styles.xml", `<fonts><font><sz val="11"/><name val="游ゴシック"/></font></fonts>`, "xl/sharedStrings.xml", `<r><rPr><rFont val="Meiryo &amp; UI"/></rPr></r>`), "Meiryo & UI,游ゴシック"},
		"pptx":              {sanitize.FromPPTX, archiveOf(t, "ppt/slides/slide1.xml", `<a:latin typeface="+mn-lt"/><a:ea typeface="メイリオ"/>`, "ppt/theme/theme1.xml", theme), "Century,メイリオ,游明朝"},
		"odt":               {sanitize.FromODT, archiveOf(t, "content.xml", `<style:font-face style:name="F1" svg:font-family="&apos;HG丸ｺﾞｼｯｸM-PRO&apos;"/><style:font-face style:name="F2" svg:font-family="unused"/><style:text-properties style:font-name-asian="F1"/>`), "HG丸ｺﾞｼｯｸM-PRO"},
		"rtf":               {sanitize.FromRTF, []byte(`{\rtf1\deff0{\fonttbl{\f0\fnil\fcharset128 \'82\'6c\'82\'72 \'96\'be\'92\'a9;}{\f1\fswiss{\*\falt Helvetica}Arial;}{\f2 Arial (Vietnamese);}}\pard\f1 text}`), "Arial,ＭＳ 明朝"},
		"doc":               {sanitize.FromDOC, wordOld(t, "Times New Roman", "ＭＳ 明朝"), "Times New Roman,ＭＳ 明朝"},
		"ppt":               {sanitize.FromPPT, slidesOld(t, "ＭＳ Ｐゴシック"), "ＭＳ Ｐゴシック"},
		"csv":               {sanitize.FromCSV, []byte("a,b"), ""},
		"no document":       {sanitize.FromDOC, []byte("nothing"), ""},
	} {
		s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(c.in)), nil, nil)
		var want []string
		if c.want != "" {
			want = strings.Split(c.want, ",")
		}
		if got := fontsOf(s, c.src, bytes.NewReader(c.in), int64(len(c.in))); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}

// FuzzFonts reads names of whatever is there; what is wrong names none or less.
func FuzzFonts(f *testing.F) {
	f.Add(uint8(sanitize.FromRTF), []byte(`{\rtf1{\fonttbl{\f0 a;}{\*\x {b}}`))
	f.Add(uint8(sanitize.FromDOC), wordOld(f, "a", "b"))
	f.Add(uint8(sanitize.FromPPT), slidesOld(f, "a"))
	f.Add(uint8(sanitize.FromODT), archiveOf(f, "content.xml", `<style:font-face style:name="F1" svg:font-family="a"/>`))
	f.Fuzz(func(t *testing.T, src uint8, b []byte) {
		s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(b)), nil, nil)
		if got := fontsOf(s, sanitize.Source(src), bytes.NewReader(b), int64(len(b))); len(got) > 2*200*200 {
			t.Errorf("%d names", len(got))
		}
	})
}
