package rtf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"image"
	"image/png"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

func pngOf(t testing.TB) []byte {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 4, 3))
	for i := range m.Pix {
		m.Pix[i] = byte(i * 20)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// ole1 is the head of an embedded object. [MS-OLEDS] 2.2.4.
func ole1(class string) []byte {
	b := []byte{1, 5, 0, 0, 2, 0, 0, 0, byte(len(class) + 1), 0, 0, 0}
	return append(append(b, class...), "\x00\x00\x00\x00\x00\x00\x00\x00\x00MARKER"...)
}

// acting is rich text that has something in it, without the group around it.
type acting struct {
	name, in    string
	rule        string
	action      sanitize.Action
	gone, stays []string
}

func cases(t testing.TB) []acting {
	t.Helper()
	data := hex.EncodeToString(ole1("Equation.3"))
	picture := `{\pict\pngblip\picw4\pich3 ` + hex.EncodeToString(pngOf(t)) + `}`
	return []acting{
		{"object", `{\object\objemb{\*\objclass Word.Document.8}{\*\objdata ` + data + `}{\result shown}}`, "rtf.object", sanitize.Replaced, []string{"obj", "Equation"}, []string{"shown"}},
		{"object without a result", `{\object\objocx{\*\objdata ` + data + `}}`, "rtf.object", sanitize.Removed, []string{"obj", "4d41524b4552"}, nil},
		{"object shown as a picture", `{\object\objlink{\*\objdata ` + data + `}{\result {\*\shppict` + picture + `}{\nonshppict` + picture + `}}}`, "rtf.object", sanitize.Replaced, []string{"obj", "nonshppict"}, []string{`\pngblip`}},
		{"data without an object", `{\*\objdata ` + data + `}`, "rtf.object", sanitize.Removed, []string{"obj"}, nil},
		{"data in the middle of a group", `{text \objdata ` + data + `}`, "rtf.object", sanitize.Removed, []string{"obj", data[:20]}, []string{"text"}},
		{"data cut by groups and lines", `{\object{\*{\*\x}\objdata ` + data[:20] + "\r\n{\\*\\y z}\t" + data[20:] + `}}`, "rtf.object", sanitize.Removed, []string{"obj", data[20:40]}, nil},
		{"data as \\bin", "{\\object{\\*\\objdata\\bin6 {}\\MARK}}", "rtf.object", sanitize.Removed, []string{"MARK", "bin"}, nil},
		{"\\bin in text", "a{\\bin6 MARKER}b", "", "", []string{"MARKER", "bin"}, []string{"a", "b"}},
		{"DDE", `{\field{\*\fldinst DDEAUTO c:\\\\windows\\\\cmd.exe "MARKER"}{\fldrslt shown}}`, "rtf.dde", sanitize.Replaced, []string{"DDE", "MARKER", "field"}, []string{"shown"}},
		{"DDE in pieces", `{\field{\*\fldinst {\b D}{\i\'44E}{\f1 {AU}\u84?O} MARKER}{\fldrslt shown}}`, "rtf.dde", sanitize.Replaced, []string{"MARKER", "field"}, []string{"shown"}},
		{"a field that writes another's code", `{\field{\*\fldinst HYPERLINK {\field{\*\fldinst QUOTE 1}{\fldrslt x}}}{\fldrslt shown}}`, "rtf.link", sanitize.Neutralised, []string{"field", "QUOTE"}, []string{"shown"}},
		{"code after the result", `{\field{\*\fldinst PAGE}{\fldrslt shown}{\*\fldinst DDEAUTO MARKER}}`, "", "", []string{"MARKER"}, []string{"shown", "PAGE"}},
		{"INCLUDEPICTURE", `{\field{\*\fldinst INCLUDEPICTURE "http://127.0.0.1/MARKER"}{\fldrslt ` + picture + `}}`, "rtf.field", sanitize.Replaced, []string{"MARKER"}, []string{`\pngblip`}},
		{"link to a file", `{\field{\*\fldinst HYPERLINK "file:////server/MARKER"}{\fldrslt shown}}`, "rtf.link", sanitize.Neutralised, []string{"MARKER"}, []string{"shown"}},
		{"link to the web", `{\field{\*\fldinst HYPERLINK "https://example.jp/" }{\fldrslt shown}}`, "", "", nil, []string{`{\field{\*\fldinst HYPERLINK "https://example.jp/" }{\fldrslt shown}}`}},
		{"binary target of a link", `{\field{\*\fldinst HYPERLINK "https://example.jp/" {\*\datafield d0c9ea79MARKER}}{\fldrslt shown}}`, "", "", []string{"MARKER", "datafield"}, []string{"shown", "HYPERLINK"}},
		{"property", `{\field{\*\fldinst AUTHOR}{\fldrslt shown}}`, "rtf.property-field", sanitize.Rewritten, []string{"AUTHOR"}, []string{"shown"}},
		{"template", `{\*\template http://127.0.0.1/MARKER.dotm}`, "rtf.template", sanitize.Removed, []string{"MARKER", "template"}, nil},
		{"template in characters", `{\*\template {\b http:}//127\'2e0.0.1/MARKER.dotm}`, "rtf.template", sanitize.Removed, []string{"MARKER", "template"}, nil},
		{"files", `{\*\filetbl{\file\fid1 c:\\MARKER.doc}}`, "rtf.linked-file", sanitize.Removed, []string{"MARKER", "file"}, nil},
		{"subdocument", `a\subdocument1 b`, "rtf.linked-file", sanitize.Removed, []string{"subdocument"}, []string{"b"}},
		{"mail merge", `{\*\mailmerge\mmmaintypecatalog{\*\mmconnectstrdata MARKER}}`, "rtf.mail-merge", sanitize.Removed, []string{"MARKER", "mm"}, nil},
		{"form macro", `{\field{\*\fldinst FORMTEXT {\*\formfield{\fftype0\ffmaxlen5{\*\ffname a}{\*\ffentrymcr MARKER}}}}{\fldrslt shown}}`, "rtf.form-macro", sanitize.Removed, []string{"MARKER", "mcr"}, []string{"shown", "FORMTEXT", `{\*\ffname a}`, `\ffmaxlen5`}},
		{"font", `{\fonttbl{\f0\fnil{\*\fontemb\fttruetype MARKER}Arial;}}`, "rtf.font", sanitize.Removed, []string{"MARKER", "fontemb"}, []string{"Arial;"}},
		{"data store", `{\*\datastore 4d41524b4552}{\*\themedata 504b}`, "rtf.data", sanitize.Rewritten, []string{"4d41", "504b"}, nil},
		{"fragments", `{\shp{\*\shpinst{\sp{\sn pFragments}{\sv 5;5;111111111111}}{\sp{\sn lineWidth}{\sv 9525}}}}`, "rtf.shape-property", sanitize.Removed, []string{"pFragments"}, []string{`{\sp{\sn lineWidth}{\sv 9525}}`}},
		{"list of another length", `{\shp{\*\shpinst{\sp{\sn pVerticies}{\sv 8;4;(1,2);(3,4)}}}}`, "rtf.shape-property", sanitize.Rewritten, []string{"pVerticies"}, nil},
		{"picture with a tag", `{\pict\picw4\pich3\pngblip\bliptag-5{\*\blipuid 00}` + "\n" + hex.EncodeToString(pngOf(t)) + `}`, "", "", []string{"bliptag"}, []string{`\pngblip`, "89504e47"}},
		{"object in this document", `{\object\objlink\linkself{\result shown}}`, "rtf.object", sanitize.Replaced, []string{"linkself"}, []string{"shown"}},
		{"property of no shape", `\sp shown{\sn a}`, "", "", []string{`\sp`, `\sn`}, []string{"shown"}},
		{"button", `{\field{\*\fldinst MACROBUTTON MARKER [shown]}}`, "rtf.field", sanitize.Replaced, []string{"MARKER", "field"}, []string{"[shown]"}},
		{"button with a field in it", `{\field{\*\fldinst GOTOBUTTON MARKER{\field{\*\fldinst PAGEREF MARKER}{\fldrslt shown}}}{\fldrslt}}`, "rtf.field", sanitize.Replaced, []string{"MARKER", "field"}, []string{"shown"}},
		{"button with a result", `{\field{\*\fldinst MACROBUTTON MARKER [MARKER]}{\fldrslt shown}}`, "rtf.field", sanitize.Replaced, []string{"MARKER", "field"}, []string{"shown"}},
		{"lines as octets", `a\'0db\'0ac`, "", "", []string{`\'0`}, []string{"a\\par\r\nb\\par\r\nc"}},
		{"number longer than any", `a\f18446744073709551615\b1234567890123456789 b`, "", "", []string{"789", "615"}, []string{"a", " b"}},
		{"text of no font in the code page of the file", `{\fonttbl{\f0\fcharset0 A;}}\deff0\ansicpg950 a\'abeb\f0\'e9`, "", "", nil, []string{`a\u21069?b`, `\u233?`}},
		{"list", `{\shp{\*\shpinst{\sp{\sn pVerticies}{\sv 8;2;(1,2);(3,4)}}}}`, "", "", nil, []string{`{\sn pVerticies}{\sv 8;2;(1,2);(3,4)}`}},
		{"link of a shape", `{\shp{\*\shpinst{\sp{\sn pihlShape}{\sv {\*\hl{\hlsrc file://MARKER}}}}}}`, "rtf.link", sanitize.Removed, []string{"MARKER", "pihlShape"}, nil},
		{"levels that were not announced", `{\*\listoverridetable{\listoverride\listid1\listoverridecount9{\lfolevel\listoverridestartat}\ls1}}`, "", "", nil, []string{`\listoverridecount9{\lfolevel\listoverridestartat}\ls1{\lfolevel}{\lfolevel}{\lfolevel}{\lfolevel}{\lfolevel}{\lfolevel}{\lfolevel}{\lfolevel}}`}},
		{"too many levels", `{\*\listoverridetable{\listoverride\listoverridecount25{\lfolevel}{\lfolevel}\ls1}}`, "", "", []string{"count25", "lfolevel"}, []string{`\ls1`}},
		{"unknown destination", `{\*\evil MARKER {\objdata 00}}shown`, "rtf.unknown", sanitize.Rewritten, []string{"MARKER", "objdata"}, []string{"shown"}},
		{"two forms", `{\upr{\*\bkmkstart MARKER}{\*\ud{\*\bkmkstart \u26085?}}}`, "", "", []string{"MARKER", "upr"}, []string{`{\*\bkmkstart\u26085?}`}},
		{"field marks as characters", `a\'13DDEAUTO x\'14b\u19?c\'15`, "", "", []string{`\'13`, `\u19`}, []string{"b"}},
		{"destroyed picture", `{\pict\pngblip\picwgoal500 89504e470d0a1a0a4d41524b4552}`, "rtf.picture", sanitize.Replaced, []string{"4d41524b4552"}, []string{`\pngblip`, `\picwgoal500`}},
		{"bitmap of a Macintosh", `{\pict\macpict\picwgoal500 000000000000000100021101` + "\n" + `90000200000000000100020000000000010002000000000001000200004000ff}`, "", "", []string{"macpict"}, []string{`\pngblip`, `\picwgoal500`}},
		{"picture of nothing known", `{\pict\macpict 4d5a90}`, "rtf.picture", sanitize.Replaced, []string{"4d5a90", "macpict"}, []string{`\pngblip`}},
	}
}

// whole is a document with in in it.
func whole(in string) []byte { return []byte(`{\rtf1\ansi\ansicpg1252 ` + in + ` end}`) }

// TestWhatActsIsTaken: what is dangerous goes whatever way it is written, what
// a reader sees stays, and the finding says what it was.
func TestWhatActsIsTaken(t *testing.T) {
	for _, c := range append(cases(t), hostile()...) {
		in := whole(c.in)
		out, res, found, err := treat(t, in)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		for _, s := range c.gone {
			if bytes.Contains(out, []byte(s)) {
				t.Errorf("%s: %q is still there:\n%s", c.name, s, out)
			}
		}
		for _, s := range append(c.stays, "end}") {
			if !bytes.Contains(out, []byte(s)) {
				t.Errorf("%s: %q is gone:\n%s", c.name, s, out)
			}
		}
		if c.rule != "" && !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action }) {
			t.Errorf("%s: found %v", c.name, found)
		}
		if changed := (sanitize.Finding{Action: c.action}).Changed(); (res.Outcome == sanitize.Disarmed) != changed {
			t.Errorf("%s: %s, %v", c.name, res.Outcome, found)
		}
		stable(t, c.name, out)
	}
}

// stable holds what is true of every output.
func stable(t *testing.T, name string, out []byte) {
	t.Helper()
	again, res, found, err := treat(t, out)
	if err != nil || res.Outcome != sanitize.Clean || !bytes.Equal(out, again) {
		t.Errorf("%s: treated again: %s, %v, %v\n%s\n%s", name, res.Outcome, found, err, out, again)
	}
	s := newSession(len(out))
	if err := verify.File(t.Context(), s, sanitize.KindRTF, bytes.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("%s: verify: %v\n%s", name, err, out)
	}
}

// TestObjectsAreNamed: the class comes from the data, which a reader believes.
func TestObjectsAreNamed(t *testing.T) {
	in := `{\rtf1{\object{\*\objclass Word.Document}{\*\objdata ` + hex.EncodeToString(ole1("OLE2Link")) + `}}}`
	_, _, found, err := treat(t, []byte(in))
	if err != nil || len(found) != 1 || found[0].Detail != "OLE2Link" {
		t.Fatal(found, err)
	}
}

// TestCharactersAreThoseOfTheirFont: text is decoded by the code page of its
// font, and what stands for a \u for old readers is not text.
func TestCharactersAreThoseOfTheirFont(t *testing.T) {
	const fonts = `{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset128 \'82\'6c\'82\'72 \'96\'be\'92\'a9;}{\f2\fcharset204 C;}{\f4\cpg1253\fcharset161 Arial Baltic;}{\f5 Arial Baltic;\fcharset161}{\f3\fcharset2 Symbol;}}`
	for in, want := range map[string]string{
		`\f1 \'93\'fa\'96\'7b`:                                 "日本",
		`\f1 \'95\'5c\'8e\'a6 \'95\\`:                          "表示 表",
		`\loch\af0\hich\af0\dbch\f1 \'93\'fa\loch\f0 caf\'e9`:  "日café",
		`\loch\af0\hich\af0\dbch\af1 \'93\'fa{\hich\af0 \'e9}`: "日é",
		`\f2 \'cf\'f0`:                           "Пр",
		`\f4 \'c0\f5 \'c2`:                       "ĄĀ", // the name counts
		`\f0 \'93x\'94`:                          "“x”",
		`\uc2\u26085\'93\'fa\u26412\'96\'7b.`:    "日本.",
		`\u26085?\u26412 ?!`:                     "日本!",
		"\\f1 \x93\xfa\x96\x7b \x83\x5c\x95\x5c": "日本 ソ表",
		`\uc0\u26085\u26412 x`:                   "日本x",
		`{\uc0\u26085}\u26412?x`:                 "日本x",
		`\u-10179?\u-8704?`:                      "😀",
		`\u8220\ldblquote a\u8221\rdblquote`:     "“a”",
		`\uc1\u9312\b ?x`:                        "①?x",
		`\f0 \'93\'fa\'96\'7b\'8c\'ea`:           "日本語", // no text of Windows' Latin code page
	} {
		out, _, _, err := treat(t, []byte(`{\rtf1\ansi\ansicpg932`+fonts+`{`+in+`}}`))
		if err != nil {
			t.Errorf("%s: %v", in, err)
			continue
		}
		_, body, _ := strings.Cut(string(out), `;}}`)
		var got strings.Builder
		rest := body
		var units []uint16
		for len(rest) > 0 {
			switch {
			case strings.HasPrefix(rest, `\u`) && len(rest) > 2 && (digit(rest[2]) || rest[2] == '-'):
				var n int
				if _, err := fmt.Sscanf(rest, `\u%d?`, &n); err != nil {
					t.Fatal(err, rest)
				}
				units = append(units, uint16(n))
				rest = rest[strings.IndexByte(rest, '?')+1:]
				continue
			case rest[0] == '\\' && len(rest) > 1 && letter(rest[1]):
				i := 1
				for i < len(rest) && (letter(rest[i]) || digit(rest[i])) {
					i++
				}
				if i < len(rest) && rest[i] == ' ' {
					i++
				}
				rest = rest[i:]
				continue
			}
			got.WriteString(decoded(units))
			units = nil
			if !strings.ContainsRune("{}\r\n", rune(rest[0])) {
				got.WriteByte(rest[0])
			}
			rest = rest[1:]
		}
		if got.String() != want {
			t.Errorf("%s: %q, want %q\n%s", in, got.String(), want, out)
		}
		stable(t, in, out)
	}
	out, _, _, err := treat(t, []byte(`{\rtf1`+fonts+`\f3 \'b7 a}`))
	if err != nil || !bytes.Contains(out, []byte(`\f3\'b7 a`)) {
		t.Errorf("symbols: %v\n%s", err, out)
	}
}

func decoded(u []uint16) string {
	var b strings.Builder
	for i := 0; i < len(u); i++ {
		if u[i] >= 0xD800 && u[i] < 0xDC00 && i+1 < len(u) {
			b.WriteRune(0x10000 + (rune(u[i])-0xD800)<<10 + rune(u[i+1]) - 0xDC00)
			i++
			continue
		}
		b.WriteRune(rune(u[i]))
	}
	return b.String()
}

// TestLayoutStays: what lays out is written word for word.
func TestLayoutStays(t *testing.T) {
	for _, in := range []string{
		`{\colortbl;\red255\green0\blue0;}`,
		`{\stylesheet{\s1\sbasedon0\snext0\b\fs28 heading 1;}{\*\cs10\additive Default;}}`,
		`{\*\listtable{\list\listtemplateid1\listhybrid{\listlevel\levelnfc0\leveljc0\levelstartat1\levelfollow0{\leveltext\leveltemplateid1\'02\'00.;}{\levelnumbers\'01;}\fi-360\li720}{\listname;}\listid1}}`,
		`\trowd\trgaph108\clbrdrt\brdrs\brdrw10\cellx4000\cellx8000\pard\intbl a\cell b\cell\row` + "\r\n" + `\pard after`,
		`{\header\pard\qr right\par` + "\r\n" + `}{\footnote\pard\plain\chftn note}`,
		`{\*\bkmkstart a}x{\*\bkmkend a}{\field{\*\fldinst PAGEREF a \\h}{\fldrslt 1}}`,
		`{\shp{\*\shpinst\shpleft1\shptop2\shpright3\shpbottom4{\sp{\sn shapeType}{\sv 202}}{\sp{\sn wzDescription}{\sv\u22259?}}{\shptxt\pard box\par` + "\r\n" + `}}}`,
		`{\*\moMath{\mf{\mnum{\mr a}}{\mden{\mr b}}}}`,
		`{\*\pnseclvl1\pnucrm\pnstart1{\pntxta.}}{\*\pnseclvl9\pnlcrm{\pntxtb(}{\pntxta)}}x`,
		`{\field{\*\fldinst SHAPE \\* MERGEFORMAT }{\fldrslt{\shp{\*\shpinst\shpleft1\shptop2\shpright3\shpbottom4}}}}`,
		`{\field{\*\fldinst REF a}{\fldrslt one}{\fldrslt two}}`,
		`\~\-\_\emdash\tab x`,
	} {
		out, res, found, err := treat(t, []byte(`{\rtf1\ansi\uc1`+in+`}`))
		if err != nil || res.Outcome != sanitize.Clean {
			t.Errorf("%s: %s %v %v", in, res.Outcome, found, err)
		}
		if want := `{\rtf1\ansi\uc1` + in + "}\r\n"; string(out) != want {
			t.Errorf("\n%q, want\n%q", out, want)
		}
		stable(t, in, out)
	}
}

// TestPicturesAreEncodedAnew: by what they are, not by what they are said to be.
func TestPicturesAreEncodedAnew(t *testing.T) {
	wmf := []byte{1, 0, 9, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 0x26, 6, 9, 0, 4, 0, 'M', 'A', 'R', 'K', 0, 0, 5, 0, 0, 0, 0x13, 2, 1, 0, 1, 0, 3, 0, 0, 0, 0, 0}
	wmf[18] = 8
	dib := append([]byte{40, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 24, 0}, make([]byte, 28)...)
	for name, c := range map[string]struct{ in, want string }{
		"png called jpeg": {`{\pict\jpegblip ` + hex.EncodeToString(pngOf(t)) + `}`, `\pngblip`},
		"binary":          {`{\pict\pngblip\bin` + fmt.Sprint(len(pngOf(t))) + ` ` + string(pngOf(t)) + `}`, `\pngblip`},
		"hex with junk":   {`{\pict\pngblip ` + strings.Join(strings.Split(hex.EncodeToString(pngOf(t)), ""), " \r\n") + `}`, `\pngblip`},
		"wmf":             {`{\pict\wmetafile8 ` + hex.EncodeToString(wmf) + `}`, `\wmetafile8`},
		"bitmap":          {`{\pict\dibitmap0 ` + hex.EncodeToString(dib) + `}`, `\pngblip`},
		"of a device":     {`{\pict\wbitmap0\wbmbitspixel1\wbmplanes1\wbmwidthbytes2\picw8\pich2 ff00aa00}`, `\pngblip`},
		"of a shape":      {`{\shp{\*\shpinst{\sp{\sn pib}{\sv {\pict\pngblip ` + hex.EncodeToString(pngOf(t)) + `}}}}}`, `{\sn pib}{\sv{\pict\pngblip`},
	} {
		out, res, found, err := treat(t, []byte(`{\rtf1 `+c.in+`}`))
		if err != nil || res.Outcome != sanitize.Clean {
			t.Errorf("%s: %s %v %v", name, res.Outcome, found, err)
		}
		if !bytes.Contains(out, []byte(c.want)) || bytes.Contains(out, []byte("4d41524b")) {
			t.Errorf("%s:\n%s", name, out)
		}
		stable(t, name, out)
	}
}

func TestBombsCostALimit(t *testing.T) {
	for name, in := range map[string]string{
		"groups":              `{\rtf1` + strings.Repeat("{", 100000),
		"groups of our own":   `{\rtf1` + strings.Repeat(`a{a\header `, 400),
		"pictures of nothing": `{\rtf1` + strings.Repeat(`{\pict\pngblip 00}`, maxPictures+1),
	} {
		if _, _, _, err := treat(t, []byte(in)); !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
	out, _, _, err := treat(t, []byte(`{\rtf1{\field{\*\fldinst PAGE `+strings.Repeat("x", maxText+1)+`}{\fldrslt shown}}{\b`+strings.Repeat("z", 100000)+`9 y}`))
	if err != nil || bytes.Contains(out, []byte("PAGE")) || !bytes.Contains(out, []byte("shown")) {
		t.Errorf("%v", err)
	}
}

func TestLinksGoWhereTheProfileSaysSo(t *testing.T) {
	in := []byte(`{\rtf1{\field{\*\fldinst HYPERLINK "https://example.jp/"}{\fldrslt a}}{\field{\*\fldinst HYPERLINK \\l "b"}{\fldrslt c}}}`)
	out, res, found, err := treat(t, in, func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || res.Outcome != sanitize.Disarmed || bytes.Contains(out, []byte("example.jp")) || !bytes.Contains(out, []byte(`\\l "b"`)) {
		t.Errorf("%v %v\n%s", found, err, out)
	}
}

func FuzzRTF(f *testing.F) {
	for _, s := range []string{
		`{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset128 \'82\'6c;}}{\colortbl;\red1\green2\blue3;}\f0 \'93\'fa\par}`,
		`{\rtf1{\object{\*\objdata 0105}{\result x}}{\field{\*\fldinst{ HYPERLINK "http://x" }}{\fldrslt y}}{\pict\wmetafile8 0100}}`,
		`{\rtf1{\*\listoverridetable{\listoverride\listoverridecount1{\lfolevel}\ls1}}{\shp{\*\shpinst{\sp{\sn pib}{\sv {\pict\pngblip 89}}}}}}`,
		`{\rtf{\upr{a}{\*\ud{b}}}{\*\template x}\u26085\'93\'fa{\header h}}trailing`,
		`{\rtf1\mac{\field\fldlock{\*\fldinst FORMTEXT{\*\formfield{\*\ffname x}}}}}`,
		`{\rtf1 a\footnote b{\leveltext\'01\'00;}\bin3 }}}\~\-\u-10179?\u-8704?}`,
	} {
		f.Add([]byte(s))
	}
	for _, c := range append(cases(f), hostile()...) {
		f.Add(whole(c.in))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(b, []byte("{")) {
			return
		}
		s := newSession(len(b))
		var out bytes.Buffer
		in := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1", Kind: sanitize.KindRTF}
		if _, err := (Sanitizer{}).Sanitize(t.Context(), s, in, &out); err != nil {
			return
		}
		first := out.Bytes()
		again, res, found, err := treat(t, first)
		if err != nil || res.Kind != sanitize.KindRTF || res.Outcome != sanitize.Clean || !bytes.Equal(first, again) {
			t.Fatalf("treated again: %s, %v, %v\n%q\n%q", res.Outcome, found, err, first, again)
		}
		if err := verify.File(t.Context(), newSession(len(first)), sanitize.KindRTF, bytes.NewReader(first), int64(len(first))); err != nil {
			t.Fatalf("verify: %v\n%q", err, first)
		}
	})
}

func BenchmarkRTF(b *testing.B) {
	para := `\pard\plain\ltrpar\ql\li0\ri0\widctlpar\rtlch\fcs1\af0\afs24\ltrch\fcs0\fs24\lang1041{\rtlch\fcs1\af0\ltrch\fcs0\loch\af0\hich\af0\dbch\f1\'89\'ba\'8b\'4c\'82\'cc\'82\'c6\'82\'a8\'82\'e8}{ Some text in the paragraph, as letters have it.}\par` + "\r\n"
	in := []byte(`{\rtf1\ansi\ansicpg932{\fonttbl{\f0 Times;}{\f1\fcharset128 Mincho;}}` + strings.Repeat(para, 20000) + `}`)
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, _, _, err := treat(b, in); err != nil {
			b.Fatal(err)
		}
	}
}
