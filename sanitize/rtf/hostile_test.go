package rtf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// hostile are ways past the rules that the cases do not show: another spelling,
// another nesting, another reader.
func hostile() []acting {
	data := hex.EncodeToString(ole1("Package"))
	return []acting{
		{"object in the result of a field", `{\field{\*\fldinst PAGE}{\fldrslt {\object\objemb{\*\objdata ` + data + `}{\result shown}}}}`, "rtf.object", sanitize.Replaced, []string{"obj", data[:20]}, []string{"shown"}},
		{"field in the result of a field", `{\field{\*\fldinst PAGE}{\fldrslt {\field{\*\fldinst DDEAUTO MARKER}{\fldrslt shown}}}}`, "rtf.dde", sanitize.Replaced, []string{"MARKER", "DDE"}, []string{"shown", "PAGE"}},
		{"field that has its code twice", `{\field{\*\fldinst PAGE}{\*\fldinst DDEAUTO MARKER}{\fldrslt shown}}`, "rtf.field", sanitize.Replaced, []string{"MARKER", "DDE"}, []string{"shown"}},
		{"field in a field's code behind a bookmark", `{\field{\*\fldinst {\*\bkmkstart a}DDE{\*\bkmkend a}AUTO MARKER}{\fldrslt shown}}`, "rtf.dde", sanitize.Replaced, []string{"MARKER"}, []string{"shown"}},
		{"keyword by \\u with what stands for it", `{\field{\*\fldinst \uc3\u68 PAG\u68 E  \u69 zzzAUTO MARKER}{\fldrslt shown}}`, "rtf.dde", sanitize.Replaced, []string{"MARKER", "PAG"}, []string{"shown"}},
		{"keyword by \\u with groups between", `{\field{\*\fldinst {\uc0\u68}{\uc0\u68}{\uc0\u69} MARKER}{\fldrslt shown}}`, "rtf.dde", sanitize.Replaced, []string{"MARKER"}, []string{"shown"}},
		{"keyword with control characters", "{\\field{\\*\\fldinst D\x01D\x07\\'05E MARKER}{\\fldrslt shown}}", "rtf.dde", sanitize.Replaced, []string{"MARKER"}, []string{"shown"}},
		{"keyword behind deleted text", `{\field{\*\fldinst {\deleted PAGE }DDEAUTO MARKER}{\fldrslt shown}}`, "rtf.dde", sanitize.Replaced, []string{"MARKER", "DDE"}, []string{"shown"}},
		{"hex cut by a line", "{\\field{\\*\\fldinst \\'4\r\n4DE MARKER}{\\fldrslt shown}}", "rtf.field", sanitize.Replaced, []string{"MARKER"}, []string{"shown"}},
		{"template as an unstarred word", `{\template http://127.0.0.1/MARKER.dotm}shown`, "rtf.template", sanitize.Removed, []string{"MARKER", "template"}, []string{"shown"}},
		{"template in the header", `{\header{\*\template \\\\evil\\MARKER.dotm}shown}`, "rtf.template", sanitize.Removed, []string{"MARKER", "template"}, []string{"shown"}},
		{"template in both forms", `{\upr{\template MARKER}{\*\ud{\*\template MARKER}}}shown`, "rtf.template", sanitize.Removed, []string{"MARKER", "template"}, []string{"shown"}},
		{"object in the second form", `{\upr{a}{\*\ud{\object\objocx{\*\objdata ` + data + `}{\result shown}}}}`, "rtf.object", sanitize.Replaced, []string{"obj"}, []string{"shown"}},
		{"\\bin that swallows the end of its group", "{\\object{\\*\\objdata\\bin3 }}}{\\*\\objdata 00}}}shown", "rtf.object", sanitize.Removed, []string{"obj", "bin"}, nil},
		{"\\bin in the code of a field", "{\\field{\\*\\fldinst PA\\bin3 DDEGE}{\\fldrslt shown}}", "", "", []string{"DDE", "bin"}, []string{"PAGE", "shown"}},
		{"\\bin without a number", `a\bin {\object{\*\objdata 00}}shown`, "rtf.object", sanitize.Removed, []string{"obj", "bin"}, []string{"shown"}},
		{"\\bin below nothing", `a\bin-5 {\object{\*\objdata 00}}shown`, "rtf.object", sanitize.Removed, []string{"obj", "bin"}, []string{"shown"}},
		{"picture of a list that is an object", `{\*\listtable{\*\listpicture{\object\objemb{\*\objdata ` + data + `}}}{\list\listid1}}shown`, "rtf.object", sanitize.Removed, []string{"objdata", "objemb"}, []string{"shown"}},
		{"picture that is a program", `{\pict\emfblip 4d5a90000300}shown`, "rtf.picture", sanitize.Replaced, []string{"4d5a90", "emfblip"}, []string{`\pngblip`, "shown"}},
		{"WMF that runs", `{\pict\wmetafile8 010009000003110000000000060000000000080000002606090000004d41524b030000000000}shown`, "rtf.picture", sanitize.Replaced, []string{"26060900"}, []string{"shown"}},
		{"macros of a form in another order", `{\field{\*\fldinst{\*\formfield{\*\ffexitmcr MARKER}{\fftype0}} FORMTEXT }{\fldrslt shown}}`, "rtf.form-macro", sanitize.Removed, []string{"MARKER", "ffexitmcr"}, []string{"shown"}},
		{"link of a shape by a picture", `{\shp{\*\shpinst{\sp{\sn pibName}{\sv http://127.0.0.1/MARKER.png}}{\sp{\sn pibFlags}{\sv 14}}{\sp{\sn fillBlipName}{\sv \\\\evil\\MARKER}}}}shown`, "rtf.shape-property", sanitize.Removed, []string{"MARKER", "pibName", "pibFlags"}, []string{"shown"}},
		{"fragments in letters of their own", `{\shp{\*\shpinst{\sp{\sn {\b p}Fra\'67ments}{\sv 5;5;1111}}}}shown`, "rtf.shape-property", sanitize.Removed, []string{"pFra", "1111"}, []string{"shown"}},
		{"property cut in the middle", `{\shp{\*\shpinst{\sp{\sn lineWidth}{\sv 95{\*\evil MARKER}25}}}}shown`, "", "", []string{"MARKER"}, []string{`{\sv 9525}`, "shown"}},
		{"mail merge by its parts", `{\*\mmodso{\*\mmodsoudl MARKER}{\mmconnectstr MARKER}}{\*\mmquery MARKER}shown`, "rtf.mail-merge", sanitize.Removed, []string{"MARKER"}, []string{"shown"}},
		{"words in other letters", `{\OBJECT{\*\OBJDATA MARKER}}{\*\OBJDATA MARKER2}shown`, "rtf.unknown", sanitize.Rewritten, []string{"OBJ", "MARKER2"}, []string{"shown"}},
		{"link with a list of switches", `{\field{\*\fldinst HYPERLINK \\o "a\u8221?" \\t "file:////evil/MARKER" http://example.jp/}{\fldrslt shown}}`, "rtf.link", sanitize.Neutralised, []string{"MARKER"}, []string{"shown"}},
		{"picture loaded by a field in a header", `{\header\pard{\field{\*\fldinst { INCLUDE}{PICTURE "http://127.0.0.1/MARKER" \\d}}{\fldrslt shown}}}`, "rtf.field", sanitize.Replaced, []string{"MARKER"}, []string{"shown"}},
		{"HTML in the text", `\fromhtml1{\*\htmltag <script>MARKER</script>}{\*\mhtmltag <img src=MARKER>}\htmlrtf shown\htmlrtf0`, "", "", []string{"MARKER", "htmltag", "fromhtml"}, []string{"shown"}},
		{"more cells than a row has", strings.Repeat(`\cellx1`, 1000) + "shown", "", "", []string{strings.Repeat(`\cellx1`, 257)}, []string{"shown"}},
		{"fonts beyond what readers count", `{\fonttbl{\f65536 a;}{\f-1 b;}{\f99999999999 c;}{\f3 d;}}\f65536 shown`, "", "", []string{"65536", "f-1", "99999"}, []string{`{\f3 d;}`, "shown"}},
	}
}

const (
	commented = `{\*\atrfstart 1}shown{\*\atrfend 1}{\*\atnid MARKER}{\*\atnauthor MARKER}\chatn{\*\annotation{\*\atnref 1}{\*\atndate 1}MARKER\par}`
	changed   = `{\*\revtbl{Unknown;}{MARKER;}}shown{\revised\revauth1 came}{\deleted\revauthdel1 MARKER\tab MARKER\u26085?{\b MARKER}{\pict\pngblip 4d41524b4552}}{\deleted{\field{\*\fldinst PAGE}{\fldrslt MARKER}}\deleted0 shown}{\mvf MARKER}{\mvt came}`
	undone    = `{\*\revtbl{Unknown;}{MARKER;}}{shown}{\deleted\revauthdel1 before}{\revised\revauth1 MARKER\tab MARKER\u26085?{\b MARKER}{\pict\pngblip 4d41524b4552}}{\revised\deleted MARKER}{\mvf before}{\mvt MARKER}` +
		`{\deleted{\field{\*\fldinst PAGE}{\fldrslt 1}}}\par one{\revised  \par }two\par\trowd\cellx1000\pard\intbl{\revised MARKER}\cell\row`
)

// TestCommentsAndChangesFollowTheProfile: both stay when nobody says anything,
// and go with all that belongs to them when the profile says so.
func TestCommentsAndChangesFollowTheProfile(t *testing.T) {
	for _, c := range []struct {
		name, in, profile string
		rule              string
		gone              []string
		stays             []string
	}{
		{"comments", commented, "comments", "rtf.comment", []string{"MARKER", "annotation", "atn", "atrf"}, []string{"shown"}},
		{"changes", changed, "accept", "rtf.tracked-change", []string{"MARKER", "4d41", "revised", "deleted", "revtbl", "revauth", "field", "mvf", "26085"}, []string{"{shown}", "came"}},
		{"changes taken out", undone, "reject", "rtf.tracked-change", []string{"MARKER", "4d41", "revised", "deleted", "revtbl", "revauth", "mvt", "26085"}, []string{"{shown}", "{before}", "onetwo", "fldinst", `\cell`}},
	} {
		out, _, found, err := treat(t, whole(c.in))
		if err != nil || !bytes.Contains(out, []byte("MARKER")) || len(found) > 1 {
			t.Errorf("%s: without a word of the profile: %v, %v\n%s", c.name, found, err, out)
		}
		stable(t, c.name, out)
		out, res, found, err := treat(t, whole(c.in), corpustest.Profile(t, c.profile)...)
		if err != nil || res.Outcome != sanitize.Disarmed || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule }) {
			t.Errorf("%s: %s, %v, %v", c.name, res.Outcome, found, err)
		}
		for _, g := range c.gone {
			if bytes.Contains(out, []byte(g)) {
				t.Errorf("%s: %q is still there:\n%s", c.name, g, out)
			}
		}
		for _, s := range c.stays {
			if !bytes.Contains(out, []byte(s)) {
				t.Errorf("%s: %q is gone:\n%s", c.name, s, out)
			}
		}
		stable(t, c.name, out)
	}
}

// TestChangesOfFormatsAreLeftToTheConverter: what a format was before stands in
// words that no list knows.
func TestChangesOfFormatsAreLeftToTheConverter(t *testing.T) {
	for _, in := range []string{`{\crauth1\b shown}`, `\trowd\clins\cellx1\pard\intbl shown\cell\row`, `\trowd\cldel\cellx1\pard\intbl shown\cell\row`} {
		if _, _, _, err := treat(t, whole(in), corpustest.Profile(t, "reject")...); !errors.Is(err, sanitize.ErrUnsupported) {
			t.Errorf("%s: %v", in, err)
		}
	}
}

// TestURLsOfTheProfile: where the profile takes links out, those to places of
// the document stay, however they are written.
func TestURLsOfTheProfile(t *testing.T) {
	for in, stays := range map[string]bool{
		`HYPERLINK "https://example.jp/"`:              false,
		`HYPERLINK \\l "a"`:                            true,
		`HYPERLINK "#a"`:                               true,
		`HYPERLINK \\o "b" \\l "a"`:                    true,
		`HYPERLINK \\l "a" "https://example.jp/"`:      false,
		`hyperlink"https://example.jp/"`:               false,
		"\\u12288?HYPERLINK\\u160?https://example.jp/": false,
		`PAGE`: true,
	} {
		out, _, found, err := treat(t, whole(`{\field{\*\fldinst `+in+`}{\fldrslt shown}}`), corpustest.Profile(t, "remove")...)
		if err != nil || bytes.Contains(out, []byte("fldinst")) != stays {
			t.Errorf("%s: %v, %v\n%s", in, found, err, out)
		}
	}
}

// BenchmarkHalves is text of half characters, each of which could take the brace
// that follows it.
func BenchmarkHalves(b *testing.B) {
	in := []byte(`{\rtf1\ansi\ansicpg932 ` + strings.Repeat("\x81\n", 1<<20) + `}`)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, _, _, err := treat(b, in); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTheSecondLookKnowsThemToo: what the writer takes out is refused by the
// second look when it stands in a file that is otherwise one of ours.
func TestTheSecondLookKnowsThemToo(t *testing.T) {
	look := func(in string) error {
		b := []byte(`{\rtf1\ansi\uc1 ` + in + "}\r\n")
		return verify.File(t.Context(), newSession(len(b)), sanitize.KindRTF, bytes.NewReader(b), int64(len(b)))
	}
	if err := look(`a{\b b}{\field{\*\fldinst PAGE}{\fldrslt 1}}`); err != nil {
		t.Fatal(err)
	}
	for _, in := range []string{
		`{\object{\*\objdata 00}}`, `{\objattph}`, `{\*\objdata 00}`, `{\*\template x}`, `{\*\filetbl}`, `{\*\datastore 00}`, `{\*\themedata 00}`, `\bin3 abc`, `{\*\evil a}`, `{\*\OBJDATA 00}`, `\subdocument1`,
		`{\field{\*\fldinst DDEAUTO x}{\fldrslt a}}`, `{\field{\*\fldinst {D}{DE} x}{\fldrslt a}}`, `{\field{\*\fldinst \u68?DE x}{\fldrslt a}}`, `{\field{\*\fldinst D\'44E x}{\fldrslt a}}`, `{\field{\*\fldinst \u68 PDE x}{\fldrslt a}}`,
		`{\field{\*\fldinst HYPERLINK "file:///x"}{\fldrslt a}}`, `{\field{\*\fldinst HYPERLINK \\o "a\u8221?" \\t "file:///x" http://a/}{\fldrslt a}}`, `{\field{\*\fldinst PAGE {\field{\*\fldinst PAGE}}}}`, `{\*\fldinst PAGE}`,
		`{\field{\*\fldinst INCLUDETEXT x}}`, `{\field{\fldinst INCLUDETEXT x}}`, `{\field{\*\fldinst FORMTEXT{\*\formfield{\*\ffentrymcr x}}}}`, `{\shp{\*\shpinst{\sp{\sn pFragments}{\sv 5;5;11}}}}`, `{\shp{\*\shpinst{\sp{\sn p{\b F}ragments}{\sv 5}}}}`,
		`{\shp{\*\shpinst{\sp{\sn pibName}{\sv x}}}}`, `{\shp{\*\shpinst{\sp{\sn lineWidth}{\sv http://x/}}}}`, `{\pict\pngblip 4d5a}`, `{\pict\wmetafile8 4d5a}`, `{\pict\macpict 00}`, `{\pict 00}`, `{\*\mailmerge}`, `{\*\mmconnectstr x}`,
		`{\*\hl{\hlsrc x}}`, `{\*\fontemb x}`, `{\listoverride\listoverridecount25{\lfolevel}}`, `{\listoverride\listoverridecount2{\lfolevel}}`, `\f65536 x`, `\fromhtml1 x`, `{\*\htmltag x}`, `{\*\nonshppict}`, `\uc0 `, "\x80", "\t", `\'zz`, "\x00", `{`, `}`,
	} {
		if look(in) == nil {
			t.Errorf("the second look lets pass %s", in)
		}
	}
}
