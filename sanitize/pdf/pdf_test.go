package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"os"

	"sekisho/sanitize"
)

// active is one thing that must not come out, with the words that would show
// it and the finding that must say so.
type active struct {
	name, rule string
	file       []byte
	never      string
}

func actives() []active {
	js := `<< /S /JavaScript /JS (app.alert\(1\) MARK) >>`
	return []active{
		{"script when opened", "pdf.javascript", page("/OpenAction "+js, ""), "MARK"},
		{"names in disguise", "pdf.javascript", page("/#4fpen#41ction << /S /J#61vaScr#69pt /#4aS <4d41524b> >>", ""), "MARK"},
		{"script by name", "pdf.javascript", page("/Names << /JavaScript << /Names [(a) "+js+"] >> >>", ""), "MARK"},
		{"script of the page", "pdf.javascript", page("", "/AA << /O "+js+" >>"), "MARK"},
		{"script of the document", "pdf.javascript", page("/AA << /WC "+js+" >>", ""), "MARK"},
		{"script of a field", "pdf.javascript", page("/AcroForm << /Fields [6 0 R] >>", "/Annots [6 0 R]",
			"<< /Type /Annot /Subtype /Widget /FT /Tx /T (f) /V (value) /Rect [0 0 9 9] /AA << /K "+js+" >> >>"), "MARK"},
		{"script behind a link", "pdf.javascript", page("", "/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://a.example/) /Next "+js+" >> >>]"), "MARK"},
		{"script of an outline", "pdf.javascript", page("/Outlines 6 0 R", "", "<< /First 7 0 R /Last 7 0 R >>", "<< /Title (t) /Parent 6 0 R /A "+js+" >>"), "MARK"},
		{"script nothing leads to", "pdf.javascript", page("", "", js), "MARK"},
		{"program", "pdf.action", page("/OpenAction << /S /Launch /Win << /F (cmd.exe) /P (MARK) >> >>", ""), "MARK"},
		{"form sent away", "pdf.action", page("", "/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /SubmitForm /F (http://MARK/) >> >>]"), "MARK"},
		{"file on a server", "pdf.action", page("", `/AA << /O << /S /GoToR /F (\\\\MARK\\x) /D [0 /Fit] >> >>`), "MARK"},
		{"link to a script", "pdf.link", page("", "/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (javascript:MARK) >> >>]"), "MARK"},
		{"link to a file server", "pdf.link", page("", "/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (file://MARK/) >> >>]"), "MARK"},
		{"embedded file", "pdf.attachment", page("/Names << /EmbeddedFiles << /Names [(x.js) 6 0 R] >> >>", "",
			"<< /Type /Filespec /F (x.js) /EF << /F 7 0 R >> >>", packed("/Type /EmbeddedFile", "MARK")), "MARK"},
		{"attached to the page", "pdf.attachment", page("", "/Annots [<< /Subtype /FileAttachment /Rect [0 0 9 9] /FS << /F (x.js) /EF << /F 6 0 R >> >> >>]",
			packed("/Type /EmbeddedFile", "MARK")), "MARK"},
		{"associated file", "pdf.attachment", page("/AF [6 0 R]", "", "<< /F (x.js) /EF << /F 7 0 R >> >>", stream("/Type /EmbeddedFile", "MARK")), "MARK"},
		{"portfolio", "pdf.attachment", page("/Collection << /View /D >>", ""), "Collection"},
		{"form in XML", "pdf.xfa", page("/AcroForm << /XFA 6 0 R /Fields [] >>", "", stream("", "<script>MARK</script>")), "MARK"},
		{"film", "pdf.media", page("", "/Annots [<< /Subtype /Movie /Rect [0 0 9 9] /Movie << /F (MARK) >> >>]"), "MARK"},
		{"rich media", "pdf.media", page("", "/Annots [<< /Subtype /RichMedia /Rect [0 0 9 9] /RichMediaContent << /Assets (MARK) >> >>]"), "MARK"},
		{"screen with a script", "pdf.javascript", page("", "/Annots [<< /Subtype /Screen /Rect [0 0 9 9] /A << /S /Rendition /JS (MARK) /Next "+js+" >> >>]"), "MARK"},
		{"stream from elsewhere", "pdf.external", page("", "/Contents 6 0 R", "<< /Length 0 /F << /FS /URL /F (http://MARK/) >> >>\nstream\n\nendstream"), "MARK"},
		{"page of another file", "pdf.external", page("", "/Resources << /XObject << /X 6 0 R >> >>",
			stream("/Subtype /Form /BBox [0 0 9 9] /Ref << /F (MARK) /Page 0 >>", "0 0 9 9 re f")), "MARK"},
		{"PostScript", "pdf.postscript", page("", "/Resources << /XObject << /X 6 0 R >> >>", stream("/Type /XObject /Subtype /PS", "MARK")), "MARK"},
		{"printing instructions", "pdf.external", page("", "/Resources << /XObject << /X 6 0 R >> >>",
			stream("/Subtype /Form /BBox [0 0 9 9] /OPI << /2.0 << /F (MARK) >> >>", "0 0 9 9 re f")), "MARK"},
		{"signature", "pdf.signature", page("/AcroForm << /SigFlags 3 /Fields [6 0 R] >>", "/Annots [6 0 R]",
			"<< /Subtype /Widget /FT /Sig /T (MARK) /Rect [0 0 9 9] /V << /Type /Sig /Contents <00> >> /AP << /N 7 0 R >> >>",
			stream("/Subtype /Form /BBox [0 0 9 9]", "0 0 9 9 re f")), "MARK"},
		{"unknown annotation", "pdf.annotation", page("", "/Annots [<< /Subtype /Projection /Rect [0 0 9 9] /Contents (MARK) >>]"), "MARK"},
		{"data before", "pdf.lead", append([]byte("<script>MARK</script>\n"), page("", "")...), "MARK"},
	}
}

func TestNothingActiveComesOut(t *testing.T) {
	for _, c := range actives() {
		t.Run(c.name, func(t *testing.T) {
			if !strings.Contains(c.name, "disguise") && !bytes.Contains(c.file, []byte(c.never)) && !strings.Contains(unpackAny(c.file), c.never) {
				t.Fatalf("%q is not in the case", c.never)
			}
			r := must(t, c.file)
			text := unpack(t, r.out)
			if strings.Contains(text, c.never) {
				t.Errorf("%q came out:\n%s", c.never, text)
			}
			for _, k := range []string{"/JavaScript", "/JS", "/AA", "/Launch", "/EmbeddedFile", "/XFA", "/RichMedia", "/Sig", "/EF", "/AF", "/GoToR", "/SubmitForm", "/OPI", "/PS"} {
				if i := strings.Index(text, k); i >= 0 && !isLetter(text[i+len(k)]) {
					t.Errorf("%s came out", k)
				}
			}
			if r.res.Outcome != sanitize.Disarmed || !r.has(c.rule) {
				t.Errorf("%s, found %v, want %s", r.res.Outcome, r.findings, c.rule)
			}
		})
	}
}

func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// unpackAny shows what packed streams of any file say.
func unpackAny(b []byte) string {
	f, err := openForTest(b)
	if err != nil {
		return ""
	}
	return f
}

func TestScriptInAnObjectStreamIsFoundAndGone(t *testing.T) {
	members := "6 0 << /S /JavaScript /JS (MARK) >>"
	b := page("/OpenAction 6 0 R", "", "null", packed("/Type /ObjStm /N 1 /First 4", members))
	r := must(t, b)
	if strings.Contains(unpack(t, r.out), "MARK") {
		t.Error("it came out")
	}
}

func TestWhatAReaderNeedsStays(t *testing.T) {
	b := fileWith("/Info << /Title (A title) /Producer (P) >>",
		`<< /Type /Catalog /Pages 2 0 R /Outlines 6 0 R /PageLabels << /Nums [0 << /S /r /P (A-) >>] >> /Dests << /here [8 0 R /XYZ 1 2 null] >>
			/Names << /Dests << /Names [(there) << /D [3 0 R /Fit] >>] >> >> /OpenAction [8 0 R /Fit] /AcroForm 9 0 R /Lang (ja) /PageMode /UseOutlines
			/OCProperties << /OCGs [12 0 R] /D << /OFF [12 0 R] /Order [(x) 12 0 R] >> >> /MarkInfo << /Marked true >> /StructTreeRoot 13 0 R >>`,
		"<< /Type /Pages /Kids [3 0 R 8 0 R] /Count 2 /Rotate 90 /MediaBox [0 0 595 842] /Resources << /Font << /F1 5 0 R >> /Properties << /L 12 0 R >> >> >>",
		"<< /Type /Page /Parent 2 0 R /CropBox [10 10 500 800] /Contents [4 0 R 4 0 R] /StructParents 0 /Annots [10 0 R 11 0 R] >>",
		stream("", pageText+"/OC /L BDC 1 0 0 rg EMC /P << /MCID 0 /ActualText (read me) >> BDC EMC\n"),
		"<< /Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding /90ms-RKSJ-H /DescendantFonts [<< /Type /Font /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /CIDSystemInfo << /Registry (Adobe) /Ordering (Japan1) /Supplement 2 >> /DW 1000 >>] >>",
		"<< /Type /Outlines /First 7 0 R /Last 7 0 R /Count 1 >>",
		"<< /Title <feff65e57a0b> /Parent 6 0 R /Dest (there) >>",
		"<< /Type /Page /Parent 2 0 R /Rotate 180 /UserUnit 2 >>",
		"<< /Fields [11 0 R] /DA (/F1 0 Tf) /DR << /Font << /F1 5 0 R >> >> >>",
		"<< /Subtype /Link /Rect [1 2 3 4] /A << /S /URI /URI (https://www.town.example.lg.jp/a?b=c) >> >>",
		"<< /Subtype /Widget /FT /Tx /T (name) /V <feff5c715cf6> /Rect [1 2 3 4] /P 3 0 R >>",
		"<< /Type /OCG /Name (layer) >>",
		"<< /Type /StructTreeRoot /K [14 0 R] /ParentTree << /Nums [0 [14 0 R]] >> >>",
		"<< /Type /StructElem /S /P /P 13 0 R /Pg 3 0 R /K [0] /Alt (alternative) >>",
	)
	r := must(t, b)
	if r.res.Outcome != sanitize.Clean {
		t.Errorf("%s: %v", r.res.Outcome, r.findings)
	}
	text := unpack(t, r.out)
	for _, want := range []string{
		"(The words stay) Tj", "/Ryumin-Light", "/90ms-RKSJ-H", "(Japan1)", "/Title (A title)", "<feff65e57a0b>", "<feff5c715cf6>", "/Rotate 90", "/Rotate 180",
		"/CropBox [10 10 500 800]", "/UserUnit 2", "/S /r", "(A-)", "(there)", "/here [", "https://www.town.example.lg.jp/a?b=c", "/OFF [", "(layer)", "/Order [(x)",
		"/MCID 0", "(read me)", "(alternative)", "/StructParents 0", "/PageMode /UseOutlines", "/OpenAction [", "/Lang (ja)", "/Count 2",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is lost", want)
		}
	}
	if strings.Contains(text, "Producer") {
		t.Error("what the file says of its program came out")
	}
	if n := strings.Count(text, "(The words stay) Tj"); n != 2 {
		t.Errorf("a page of two streams paints %d times", n)
	}
}

func TestLinksFollowTheProfile(t *testing.T) {
	b := page("", "/Annots [<< /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://a.example/) >> >>]")
	for _, u := range []sanitize.URLs{sanitize.DefangURLs, sanitize.RemoveURLs} {
		r, err := treat(b, func(o *sanitize.Options) { o.URLs = u })
		if err != nil || strings.Contains(unpack(t, r.out), "a.example") || !r.has("pdf.link") {
			t.Errorf("urls %d: %v, %v", u, r.findings, err)
		}
	}
}

func TestALayerIsShownAsItIsPrinted(t *testing.T) {
	b := page("/OCProperties << /OCGs [6 0 R 7 0 R] /D << /OFF [7 0 R] /AS [<< /Event /Print /Category [/Print] /OCGs [6 0 R 7 0 R] >>] >> >>", "",
		"<< /Type /OCG /Name (hidden on paper) /Usage << /Print << /PrintState /OFF >> >> >>",
		"<< /Type /OCG /Name (only on paper) /Usage << /Print << /PrintState /ON >> >> >>")
	text := unpack(t, must(t, b).out)
	hidden, paper := number1(text, "(hidden on paper)"), number1(text, "(only on paper)")
	if !strings.Contains(text, "/OFF ["+hidden+" 0 R]") || !strings.Contains(text, "/ON ["+paper+" 0 R]") {
		t.Errorf("layers %s and %s:\n%s", hidden, paper, text)
	}
}

// number1 finds the number of the object that holds words, in an output: its
// object stream lists numbers and places.
func number1(text, words string) string {
	at := strings.Index(text, words)
	start := strings.LastIndex(text[:at], "\n<<") + 1
	body := strings.LastIndex(text[:start], "/ObjStm")
	list, rest, _ := strings.Cut(text[body:], "<<")
	_ = rest
	fields := strings.Fields(list[strings.Index(list, "\n")+1:])
	first := body + len(list)
	for i := 0; i+1 < len(fields); i += 2 {
		var off int
		fmt.Sscan(fields[i+1], &off)
		if first+off == start {
			return fields[i]
		}
	}
	return "?"
}

func TestBrokenFilesAreRepaired(t *testing.T) {
	good := page("", "")
	xref := bytes.LastIndex(good, []byte("\nxref\n"))
	cases := map[string][]byte{
		"without a table":  good[:xref],
		"table elsewhere":  bytes.Replace(good, []byte("startxref\n"), []byte("startxref\n1"), 1),
		"wrong length":     bytes.Replace(good, []byte(fmt.Sprintf("/Length %d", len(pageText))), []byte("/Length 3"), 1),
		"cut at the end":   good[:len(good)-20],
		"old Mac ends":     bytes.ReplaceAll(good, []byte("\n"), []byte("\r")),
		"wrong offsets":    bytes.Replace(good, []byte("%PDF-1.4\n"), []byte("%PDF-1.4\n%more\n"), 1),
		"no page tree":     bytes.Replace(good, []byte("/Kids [3 0 R]"), []byte("/Kids [9 0 R]"), 1),
		"circle of pages":  bytes.Replace(good, []byte("/Kids [3 0 R] /Count 1"), []byte("/Kids [3 0 R 2 0 R]"), 1),
		"object unclosed":  bytes.Replace(good, []byte(">>\nendobj\n5 0 obj"), []byte("\n5 0 obj"), 1),
		"data before":      append([]byte("\r\n\r\n"), good...),
		"data behind":      append(bytes.Clone(good), "\x00\x00some junk"...),
		"page without box": bytes.Replace(good, []byte("/MediaBox [0 0 595 842]"), nil, 1),
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			r := must(t, b)
			if text := unpack(t, r.out); !strings.Contains(text, "(The words stay) Tj") {
				t.Errorf("words are lost:\n%s", text)
			}
		})
	}
}

func TestTheNewestVersionCounts(t *testing.T) {
	b := page("", "")
	at := len(b)
	b = append(b, "4 0 obj\n"+stream("", "BT /F1 12 Tf (Newer words) Tj ET")+"\nendobj\n"...)
	table := len(b)
	b = append(b, fmt.Sprintf("xref\n4 1\n%010d 00000 n \ntrailer\n<< /Size 6 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n", at, bytes.LastIndex(b[:at], []byte("xref\n0 ")), table)...)
	r := must(t, b)
	text := unpack(t, r.out)
	if !strings.Contains(text, "Newer words") || strings.Contains(text, "The words stay") {
		t.Errorf("it says:\n%s", text)
	}
	if !r.has("pdf.history") || r.res.Outcome != sanitize.Clean {
		t.Errorf("%s: %v", r.res.Outcome, r.findings)
	}
}

func TestRefusals(t *testing.T) {
	bomb := strings.Repeat("q ", 6<<20)
	for _, c := range []struct {
		name string
		file []byte
		want error
	}{
		{"no document", []byte("%PDF-1.4\nhello"), sanitize.ErrMalformed},
		{"no page", file("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] /Count 0 >>"), sanitize.ErrMalformed},
		{"with a password", fileWith("/Encrypt << /Filter /Standard /V 2 /R 3 /Length 128 /P -44 /O <"+strings.Repeat("41", 32)+"> /U <"+strings.Repeat("42", 32)+"> >> /ID [<00> <00>]",
			"<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R] >>", "<< /Type /Page >>"), sanitize.ErrEncrypted},
		{"for certificates", fileWith("/Encrypt << /Filter /Adobe.PubSec /V 4 >>", "<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [] >>"), sanitize.ErrEncrypted},
		{"a bomb", page("", "/Contents 6 0 R", packed("", bomb)), sanitize.ErrLimit},
		{"nested without end", page("", "/Note "+strings.Repeat("[", 100000)), nil},
		{"JPEG 2000 where nobody decodes it", page("", "/Resources << /XObject << /X 6 0 R >> >>", stream("/Subtype /Image /Width 9 /Height 9 /Filter /JPXDecode", jpxShell(9, 9, 1, 8))), sanitize.ErrUnsupported},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := treat(c.file, func(o *sanitize.Options) { o.Limits.Expanded = 8 << 20 })
			if c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func TestProgramsOnlyPaint(t *testing.T) {
	in := "q 1 0 0 1 0 0 cm /X Do Q\n(a\\)b\\\r\nc\\101) Tj [(x)-250<41 42>]TJ 5 evil 1.50 -.5 +2 --3 4.5.6 w " +
		"/P <</MCID 3/JS(x)/A[1 2]>> BDC EMC BX foo EX 0 0 m\n] > 1 2 l"
	text := unpack(t, must(t, page("", "/Contents 6 0 R", stream("", in))).out)
	for _, want := range []string{"1 0 0 1 0 0 cm\n/X Do\n", "(a\\)bcA) Tj", "[(x) -250(AB)] TJ", "/P <</MCID 3>> BDC", "0 0 m\n1 2 l\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in:\n%s", want, text)
		}
	}
	for _, never := range []string{"evil", "foo", "JS"} {
		if strings.Contains(text, never) {
			t.Errorf("%q came out", never)
		}
	}
}

func sfntOf(tables map[string]string) string {
	var b, data bytes.Buffer
	b.WriteString("\x00\x01\x00\x00")
	binary.Write(&b, binary.BigEndian, [4]uint16{uint16(len(tables)), 0, 0, 0})
	at := 12 + 16*len(tables)
	for _, tag := range []string{"SVG ", "glyf", "head", "loca"} {
		d, ok := tables[tag]
		if !ok {
			continue
		}
		b.WriteString(tag)
		binary.Write(&b, binary.BigEndian, [3]uint32{0, uint32(at + data.Len()), uint32(len(d))})
		data.WriteString(d)
	}
	return b.String() + data.String()
}

func TestFonts(t *testing.T) {
	with := func(key, dict, program string) []byte {
		return page("", "/Resources << /Font << /F1 6 0 R >> >>",
			"<< /Type /Font /Subtype /TrueType /BaseFont /X /FontDescriptor 7 0 R >>", "<< /Type /FontDescriptor /FontName /X /"+key+" 8 0 R >>", packed(dict, program))
	}
	t.Run("tables that draw stay", func(t *testing.T) {
		text := unpack(t, must(t, with("FontFile2", "/Length1 5", sfntOf(map[string]string{"glyf": "OUTL", "loca": "PLACES", "head": "HEAD", "SVG ": "<script>"}))).out)
		if !strings.Contains(text, "OUTL") || strings.Contains(text, "<script>") {
			t.Errorf("it says:\n%q", text)
		}
	})
	t.Run("no font", func(t *testing.T) {
		r := must(t, with("FontFile2", "", "MZ MARK"))
		if !r.has("pdf.font") || strings.Contains(unpack(t, r.out), "MARK") {
			t.Errorf("%v", r.findings)
		}
	})
	t.Run("Type 1 stays", func(t *testing.T) {
		r := must(t, with("FontFile", "/Length1 60 /Length2 0 /Length3 0", "%!PS-AdobeFont-1.0: X\n/FontMatrix [0.001 0 0 1e-3 0 0] readonly def\n"))
		if r.has("pdf.font") {
			t.Errorf("%v", r.findings)
		}
	})
	t.Run("code in a matrix", func(t *testing.T) {
		r := must(t, with("FontFile", "/Length1 60", "%!PS-AdobeFont-1.0: X\n/FontMatrix [1 0 0 1 0 (0\\); alert\\('MARK'\\))] def\n"))
		if !r.has("pdf.font") || strings.Contains(unpack(t, r.out), "MARK") {
			t.Errorf("%v", r.findings)
		}
	})
	t.Run("code in a matrix of the dictionary", func(t *testing.T) {
		r := must(t, page("", "/Resources << /Font << /F1 << /Type /Font /Subtype /Type3 /FontMatrix [1 2 3 4 5 (MARK)] /FontBBox [0 0 1 1] /CharProcs << >> >> >> >>"))
		if strings.Contains(unpack(t, r.out), "MARK") {
			t.Error("it came out")
		}
	})
	t.Run("character map", func(t *testing.T) {
		cmap := "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def (MARK) run 1 beginbfchar <0041> <65E5> endbfchar endcmap end end"
		r := must(t, page("", "/Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /X /ToUnicode 6 0 R >> >> >>", packed("", cmap)))
		text := unpack(t, r.out)
		if !strings.Contains(text, "<0041> <65e5>") || strings.Contains(text, "run") {
			t.Errorf("it says:\n%s", text)
		}
	})
}

func TestCalculatorsCalculate(t *testing.T) {
	space := func(program string) []byte {
		return page("", "/Resources << /ColorSpace << /C [/Separation /S /DeviceGray 6 0 R] >> >>", stream("/FunctionType 4 /Domain [0 1] /Range [0 1]", program))
	}
	if text := unpack(t, must(t, space("{ 1 exch sub dup 0.5 gt { pop 1 } { 2 mul } ifelse }")).out); !strings.Contains(text, "{1 exch sub dup 0.5 gt {pop 1 }{2 mul }ifelse }") {
		t.Errorf("it says:\n%s", text)
	}
	for _, bad := range []string{"{ (a) run }", "{ 1 exec }", "{ 1", "1 }", strings.Repeat("{", 100) + strings.Repeat("}", 100)} {
		if text := unpack(t, must(t, space(bad)).out); strings.Contains(text, "FunctionType 4") {
			t.Errorf("%q came out", bad)
		}
	}
}

func TestFilters(t *testing.T) {
	for name, s := range map[string]string{
		"hexadecimal": stream("/Filter /ASCIIHexDecode", fmt.Sprintf("%x>", pageText)),
		"both":        stream("/Filter [/ASCIIHexDecode /ASCIIHexDecode]", fmt.Sprintf("%x>", fmt.Sprintf("%x>", pageText))),
		"run length":  stream("/Filter /RunLengthDecode", string(rune(len(pageText)-1))+pageText+"\x80"),
		"packed":      packed("", pageText),
		"short names": strings.Replace(packed("", pageText), "/FlateDecode", "/Fl", 1),
	} {
		if text := unpack(t, must(t, page("", "/Contents 6 0 R", s)).out); !strings.Contains(text, "(The words stay) Tj") {
			t.Errorf("%s: it says:\n%s", name, text)
		}
	}
}

// TestOtherProgramsReadTheOutput has qpdf and poppler look at documents that
// LibreOffice and qpdf made.
func TestOtherProgramsReadTheOutput(t *testing.T) {
	for _, p := range []string{"soffice", "qpdf", "pdftotext", "pdfinfo"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) string {
		t.Helper()
		b, err := exec.Command(name, args...).CombinedOutput()
		if err != nil {
			t.Fatalf("%s %v: %v\n%s", name, args, err, b)
		}
		return string(b)
	}
	html := "<html><head><title>題名</title></head><body><h1>防災計画</h1><p>①避難所 ②備蓄 <a href='https://www.town.example.lg.jp/'>町</a></p><table border=1><tr><td>髙橋</td><td>１２３</td></tr></table></body></html>"
	in := filepath.Join(dir, "in.html")
	if err := os.WriteFile(in, []byte(html), 0o600); err != nil {
		t.Fatal(err)
	}
	run("soffice", "--headless", "-env:UserInstallation=file://"+dir+"/profile", "--writer", "--convert-to", "pdf", "--outdir", dir, in)
	made := filepath.Join(dir, "in.pdf")
	variants := map[string][]string{
		"as it is": nil, "object streams": {"--object-streams=generate"}, "linear": {"--linearize"}, "plain": {"--qdf", "--object-streams=disable"},
		"RC4 40": {"--allow-weak-crypto", "--encrypt", "", "owner", "40", "--"}, "RC4 128": {"--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=n", "--"},
		"AES 128": {"--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--"}, "AES 256": {"--encrypt", "", "owner", "256", "--"},
	}
	want := run("pdftotext", made, "-")
	for name, args := range variants {
		t.Run(name, func(t *testing.T) {
			file := made
			if args != nil {
				file = filepath.Join(t.TempDir(), "v.pdf")
				run("qpdf", append(args, made, file)...)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r := must(t, b)
			if r.res.Outcome != sanitize.Clean {
				t.Errorf("%s: %v", r.res.Outcome, r.findings)
			}
			out := filepath.Join(t.TempDir(), "out.pdf")
			if err := os.WriteFile(out, r.out, 0o600); err != nil {
				t.Fatal(err)
			}
			run("qpdf", "--check", out)
			if got := run("pdftotext", out, "-"); got != want {
				t.Errorf("it says %q, want %q", got, want)
			}
			if info := run("pdfinfo", out); !strings.Contains(info, "Pages:           1") || strings.Contains(info, "Encrypted:       yes") {
				t.Errorf("%s", info)
			}
		})
	}
	locked := filepath.Join(dir, "locked.pdf")
	run("qpdf", "--encrypt", "secret", "owner", "256", "--", made, locked)
	b, err := os.ReadFile(locked)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := treat(b, nil); !errors.Is(err, sanitize.ErrEncrypted) {
		t.Errorf("with a password: %v", err)
	}
}

// TestWhatTakesLongIsBounded holds files against the work they may make: as many
// steps as they have octets, not the square of it.
// shared is a document of one page that stands in its tree many times.
func shared(page, fourth string) []byte {
	return file("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids ["+strings.Repeat("3 0 R ", 19000)+"] >>", "<< /Type /Page "+page+" >>", fourth, "<< /X 1 >>")
}

func numbered(n int, entry string) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, entry, i)
	}
	return b.String()
}

func TestStatesOfAFieldMayStandInAnObjectOfTheirOwn(t *testing.T) {
	r := must(t, page("", "/Annots [6 0 R]", "<< /Type /Annot /Subtype /Widget /FT /Btn /T (a) /Rect [0 0 9 9] /AS /OpenAction /AP << /N 7 0 R >> >>",
		"<< /OpenAction 8 0 R /Off 8 0 R >>", stream("/Type /XObject /Subtype /Form /BBox [0 0 9 9]", "0 0 5 5 re f")))
	if out := unpack(t, r.out); !strings.Contains(out, "/Off ") || !strings.Contains(out, "re\nf") {
		t.Errorf("the states are gone: %q", out)
	}
}

func TestAMatrixOfAFontIsOfNumbers(t *testing.T) {
	for font, want := range map[string]bool{
		"%!\n/FontMatrix [0.001 0 0 0.001 0 0] def":                                    true,
		"%!\n/FontMatrix" + strings.Repeat(" ", 300) + "{1e-3 0 0 1e-3 0 0} def":       true,
		"%!\n/FontMatrix [0.001 0 0 0.001 0 (0\\); alert(1))] def":                     false,
		"%!\n/FontMatrix" + strings.Repeat(" ", 3000) + "[1 0 0 1 0 (0); alert(1)]":    false,
		"%!\n" + strings.Repeat("/FontMatrix x ", 200) + "/FontMatrix [1 0 0 1 0 (x)]": false,
	} {
		if got := matrixOfNumbers([]byte(font)); got != want {
			t.Errorf("%.60q: %v", font, got)
		}
	}
}

func TestWhatTakesLongIsBounded(t *testing.T) {
	const n = 20000
	chain := func(object func(i int) string) []byte {
		objects := []string{"<< /Type /Catalog /Pages 2 0 R /More 4 0 R >>", "<< /Type /Pages /Kids [3 0 R] /Count 1 >>", "<< /Type /Page /Contents 4 0 R >>"}
		for i := range n {
			objects = append(objects, object(i+4))
		}
		return file(objects...)
	}
	for name, b := range map[string][]byte{
		"lengths of lengths":                       chain(func(i int) string { return fmt.Sprintf("<< /Length %d 0 R >>\nstream\nq\nendstream", i+1) }),
		"references to the next":                   chain(func(i int) string { return fmt.Sprintf("%d 0 R", i+1) }),
		"streams that never end":                   chain(func(i int) string { return "<< >>\nstream\n" }),
		"strings that never end":                   chain(func(i int) string { return "(" }),
		"arrays that never close":                  chain(func(i int) string { return "[" }),
		"an array of nothing that all pages share": shared("/Annots 4 0 R", "["+strings.Repeat("5 0 R ", 50000)+"]"),
		"actions of nothing that all pages share":  shared("/AA 4 0 R", "<<"+numbered(50000, " /K%d 1")+" >>"),
		"one page with many keys":                  shared(numbered(2000, " /K%d 1"), "null"),
		"a tree of names without end": page("/Names << /Dests << /Kids 6 0 R >> >>", "", func() (all []string) {
			for i := range 50 {
				all = append(all, fmt.Sprintf("[ << /Kids %d 0 R >> << /Kids %[1]d 0 R >> ]", i+7))
			}
			return all
		}()...),
		"a font that is nothing but matrices": page("", "/Resources << /Font << /F1 << /Subtype /Type1 /FontDescriptor << /FontFile 6 0 R >> >> >> >>",
			packed("", "%!"+strings.Repeat("/FontMatrix(", 100000))),
		"trailers without objects": []byte(string(page("", "")) + strings.Repeat("trailer<</Root 9 0 R>>\n", 50000) + "startxref\n0\n%%EOF"),
		"maps on maps": page("", "/Resources << /Font << /F1 << /Subtype /Type0 /Encoding 6 0 R >> >> >>", func() (all []string) {
			for i := range 2000 {
				all = append(all, stream(fmt.Sprintf("/UseCMap %d 0 R", i+7), "begincmap"))
			}
			return all
		}()...),
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := treat(b, nil); err != nil && !errors.Is(err, sanitize.ErrLimit) && !errors.Is(err, sanitize.ErrMalformed) {
				t.Error(err)
			}
		})
	}
}

// TestUnpackedPiecesOfTwoPagesStayWhole: the pieces of a program stand in the
// file as they are read; to join those of one page must not write over the
// objects behind the first piece, which the next page needs.
func TestUnpackedPiecesOfTwoPagesStayWhole(t *testing.T) {
	shared := "BT /F1 9 Tf (what both pages show) Tj ET 1 0 0 rg 5 5 90 90 re f"
	r := must(t, file("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>",
		"<< /Type /Page /MediaBox [0 0 99 99] /Contents [5 0 R 6 0 R 7 0 R] /Resources 9 0 R >>",
		"<< /Type /Page /MediaBox [0 0 99 99] /Contents [8 0 R 6 0 R 7 0 R] /Resources 9 0 R >>",
		stream("", "q"), stream("", shared), stream("", "Q"), stream("", "q 2 w"),
		"<< /Font << /F1 10 0 R >> >>", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"))
	shown := unpack(t, r.out)
	if n := strings.Count(shown, "BT\n/F1 9 Tf\n(what both pages show) Tj\nET\n1 0 0 rg\n5 5 90 90 re\nf\nQ\n"); n != 2 {
		t.Errorf("%d of 2 pages show it: %q", n, shown)
	}
}
