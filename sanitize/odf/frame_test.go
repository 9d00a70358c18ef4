package odf_test

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

// judged treats a document and returns its text and its findings that took
// something.
func judged(t *testing.T, in []byte, change ...func(*sanitize.Options)) (string, []sanitize.Finding) {
	t.Helper()
	out, p, err := treat(t.Context(), in, change...)
	if err != nil {
		t.Fatal(err)
	}
	check(t, t.Name(), out, p.OutKind)
	return text(t, out), slices.DeleteFunc(slices.Clone(p.Findings), func(f sanitize.Finding) bool { return !f.Changed() })
}

func TestAPictureWithAnotherFormGoesWithoutALoss(t *testing.T) {
	for name, in := range map[string][]byte{
		"drawing of LibreOffice before a PNG": odt(frame(`<draw:image xlink:href="Pictures/a.svm"/><draw:image xlink:href="Pictures/b.png"/>`)).
			add("Pictures/a.svm", "VCLMTF").add("Pictures/b.png", pngBytes()).bytes(t),
		"drawing of LibreOffice behind a PNG": odt(frame(`<draw:image xlink:href="Pictures/b.png"/><draw:image xlink:href="Pictures/a.svm"/>`)).
			add("Pictures/a.svm", "VCLMTF").add("Pictures/b.png", pngBytes()).bytes(t),
		"picture of a table": odp(`<draw:frame><table:table><table:table-row><table:table-cell><text:p>表</text:p></table:table-cell></table:table-row></table:table><draw:image xlink:href="Pictures/t.svm"/></draw:frame>`).
			add("Pictures/t.svm", "VCLMTF").bytes(t),
	} {
		s, taken := judged(t, in)
		if len(taken) > 0 {
			t.Errorf("%s: %v", name, taken)
		}
		var out bytes.Buffer
		r, err := all.Run(t.Context(), options(), bytes.NewReader(in), int64(len(in)), &out)
		if err != nil || slices.ContainsFunc(r.Parts, func(p sanitize.Part) bool { return p.Outcome == sanitize.Refused }) {
			t.Errorf("%s: a part is refused: %v, %v", name, r.Parts, err)
		}
		if n := strings.Count(s, "<draw:image"); n > 1 || n == 0 && !strings.Contains(s, "<table:table>") {
			t.Errorf("%s: %d pictures:\n%s", name, n, s)
		}
	}
}

func TestTextOnAPictureThatGoesStandsOnTheOther(t *testing.T) {
	s, taken := judged(t, odt(frame(`<draw:image xlink:href="Pictures/a.svm"><text:p>題</text:p></draw:image><draw:image xlink:href="Pictures/b.png"/>`)).
		add("Pictures/a.svm", "VCLMTF").add("Pictures/b.png", pngBytes()).bytes(t))
	if !strings.Contains(s, `<draw:image xlink:href="Pictures/1.png"><text:p>題</text:p></draw:image>`) || len(taken) > 0 {
		t.Errorf("%v:\n%s", taken, s)
	}
}

func TestAFrameWhosePicturesAllGoHasOneSquare(t *testing.T) {
	s, taken := judged(t, odt(frame(`<draw:image xlink:href="Pictures/a.svm"><text:p>題</text:p></draw:image><draw:image xlink:href="Pictures/b.png"/><svg:desc>説明</svg:desc>`)).
		add("Pictures/a.svm", "VCLMTF").add("Pictures/b.png", "MZ").bytes(t))
	if strings.Count(s, "<draw:image") != 1 || !strings.Contains(s, `xlink:actuate="onLoad"><text:p>題</text:p></draw:image><svg:desc>`) {
		t.Errorf("not one square with its text before the description:\n%s", s)
	}
	if len(taken) != 1 || taken[0].Rule != "odf.picture" {
		t.Errorf("findings %v", taken)
	}
	b64 := base64.StdEncoding.EncodeToString
	s, taken = judged(t, flatText(frame(`<draw:image><office:binary-data>`+b64([]byte("VCLMTF"))+`</office:binary-data></draw:image><draw:image><office:binary-data>`+b64([]byte(pngBytes()))+`</office:binary-data></draw:image>`)))
	if strings.Count(s, "<office:binary-data>") != 1 || len(taken) != 0 {
		t.Errorf("flat: %v:\n%s", taken, s)
	}
}

func TestWordsOfLibreOfficeStay(t *testing.T) {
	const loext, old = `xmlns:loext="urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0"`, `xmlns:fo="http://www.w3.org/1999/XSL/Format"`
	for in, want := range map[string]string{
		`<draw:custom-shape ` + loext + `><loext:table table:name="t"><loext:table-column/><loext:table-row><loext:table-cell office:value-type="string"><text:p>升</text:p></loext:table-cell></loext:table-row></loext:table></draw:custom-shape>`: "升",
		`<text:p><text:drop-down text:name="選"><text:label text:value="甲"/><text:label text:value="乙" text:current-selected="true"/>乙</text:drop-down></text:p>`:                                                                                    `text:current-selected="true"`,
		`<text:p ` + loext + `><text:bookmark-start text:name="b" loext:hidden="true" loext:condition="x EQ 1"/>隠<text:bookmark-end text:name="b"/></text:p>`:                                                                                       `loext:condition="x EQ 1"`,
		`<text:p><office:annotation ` + loext + `><dc:creator>山田</dc:creator><loext:sender-initials>山</loext:sender-initials><text:p>注</text:p></office:annotation></text:p>`:                                                                       `<loext:sender-initials>山<`,
	} {
		s, taken := judged(t, odt(in).bytes(t))
		if !strings.Contains(s, want) || len(taken) > 0 {
			t.Errorf("%s: %v:\n%s", want, taken, s)
		}
	}
	s, _ := judged(t, odtWith(`<office:automatic-styles><style:style style:name="P1" style:family="paragraph"><style:paragraph-properties `+old+` fo:margin-top="1cm"/></style:style></office:automatic-styles>`, `<text:p/>`).bytes(t))
	if !strings.Contains(s, `fo:margin-top="1cm"`) {
		t.Errorf("a margin under the old name is lost:\n%s", s)
	}
	// What the reader's own settings would be written into is text of then.
	if s, _ = judged(t, odt(`<text:p><text:sender-initials>山</text:sender-initials></text:p>`).bytes(t)); strings.Contains(s, "sender-initials") || !strings.Contains(s, "<text:p>山</text:p>") {
		t.Errorf("a field of the reader's initials stays:\n%s", s)
	}
}

func TestCommentsOfSlidesFollowTheProfile(t *testing.T) {
	in := odp(`<officeooo:annotation xmlns:officeooo="http://openoffice.org/2009/office" svg:x="1cm"><dc:creator>山田</dc:creator><text:p>注</text:p></officeooo:annotation>`).bytes(t)
	if s, taken := judged(t, in); !strings.Contains(s, "注") || len(taken) > 0 {
		t.Errorf("%v:\n%s", taken, s)
	}
	if s, _ := judged(t, in, func(o *sanitize.Options) { o.Comments = true }); strings.Contains(s, "注") {
		t.Errorf("a comment stays:\n%s", s)
	}
}

func TestSheetsMayHaveAnyName(t *testing.T) {
	s, taken := judged(t, odsWith("", `<table:table table:name="表 #1" table:print-ranges="&apos;表 #1&apos;.A1:&apos;表 #1&apos;.B2"><table:table-row><table:table-cell table:formula="of:=AND([&apos;表 #1&apos;.D2:.D26])" office:value-type="boolean" office:boolean-value="true"/></table:table-row></table:table>`).bytes(t))
	if len(taken) > 0 || !strings.Contains(s, "print-ranges") || !strings.Contains(s, "table:formula") {
		t.Errorf("%v:\n%s", taken, s)
	}
	for _, away := range []string{`&apos;file:///x.ods&apos;#$S.A1`, `&apos;\\server\x.ods&apos;.A1`, `x#S.A1`, `&apos;a&apos;!A1`, `&apos;S.A1`} {
		s, taken := judged(t, odsWith("", `<table:table table:name="表" table:print-ranges="`+away+`"/>`).bytes(t))
		if strings.Contains(s, "print-ranges") || len(taken) != 1 {
			t.Errorf("%s: %v:\n%s", away, taken, s)
		}
	}
}
