package convert_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
	"sekisho/sanitize/verify"
)

// steps are rules for documents; text stands for what conversions end in.
func steps(ms ...sanitize.Mode) *sanitize.Options {
	o := &sanitize.Options{Task: sanitize.TaskFile, FileName: "a", Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{}}
	for _, c := range []sanitize.Class{sanitize.ClassOffice, sanitize.ClassLegacyOffice, sanitize.ClassPDF} {
		o.Rules[c] = sanitize.Rule{Steps: ms}
	}
	o.Rules[sanitize.ClassImage] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	return o
}

var whole = []sanitize.Mode{sanitize.Rebuild, sanitize.Convert, sanitize.Flatten, sanitize.Text}

// converter is a tool that answers each call by a function.
type converter struct {
	calls  []sanitize.ToolCall
	answer func(c sanitize.ToolCall, in []byte) ([]byte, error)
}

func (c *converter) run(_ context.Context, k sanitize.ToolCall, in io.Reader, out io.Writer) error {
	b, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	c.calls = append(c.calls, k)
	made, err := c.answer(k, b)
	if _, werr := out.Write(made); werr != nil {
		return werr
	}
	return err
}

// output can be begun anew, as the file of a worker can.
type output struct{ bytes.Buffer }

func treat(t testing.TB, o *sanitize.Options, c *converter, b []byte) ([]byte, sanitize.Part, error) {
	t.Helper()
	var out output
	var tools all.Tools
	if c != nil {
		tools = c.run
	}
	rep, err := all.RunWith(t.Context(), o, tools, bytes.NewReader(b), int64(len(b)), &out)
	return out.Bytes(), rep.Parts[0], err
}

func pack(t testing.TB, members ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i+1 < len(members); i += 2 {
		w, err := z.Create(members[i])
		if err == nil {
			_, err = io.WriteString(w, members[i+1])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func odt(t testing.TB, more ...string) []byte {
	return pack(t, append([]string{"mimetype", "application/vnd.oasis.opendocument.text", "content.xml", "<a/>", "META-INF/manifest.xml", "<a/>"}, more...)...)
}

const rtf = `{\rtf1\ansi hello}`

const word2003 = `<?xml version="1.0"?><?mso-application progid="Word.Document"?><w:wordDocument xmlns:w="http://schemas.microsoft.com/office/word/2003/wordml" w:macrosPresent="yes"><w:binData w:name="editdata.mso"/></w:wordDocument>`

// honest converts everything to a document with a macro in it: what a tool
// writes is treated like what a stranger sent.
func honest() *converter {
	return &converter{answer: func(k sanitize.ToolCall, _ []byte) ([]byte, error) {
		switch k.Tool {
		case sanitize.OfficeToDOCX:
			return corpus.Word("converted", false), nil
		case sanitize.OfficeToXLSX:
			return corpus.Excel("converted", false), nil
		case sanitize.OfficeToPDF:
			return []byte("%PDF-"), nil
		case sanitize.PDFText:
			return []byte("the words\fof two pages\f"), nil
		default:
			return nil, sanitize.ErrTool
		}
	}}
}

// LibreOffice has two parsers for the XML of Excel 2003. The second is asked for what
// the first could not read, and for nothing else.
func TestASecondParserReadsWhatTheFirstCouldNot(t *testing.T) {
	book := []byte(`<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>`)
	for _, c := range []struct {
		name string
		err  error
		want []sanitize.Source
	}{
		{"could not read", sanitize.ErrTool, []sanitize.Source{sanitize.FromExcel2003, sanitize.FromExcel2003Again}},
		{"was too slow", sanitize.ErrSlow, []sanitize.Source{sanitize.FromExcel2003}},
		{"read", nil, []sanitize.Source{sanitize.FromExcel2003}},
	} {
		tool := &converter{answer: func(k sanitize.ToolCall, _ []byte) ([]byte, error) {
			if k.Source == sanitize.FromExcel2003 && c.err != nil {
				return nil, c.err
			}
			return corpus.Excel("converted", false), nil
		}}
		_, p, err := treat(t, steps(sanitize.Convert), tool, book)
		var asked []sanitize.Source
		for _, k := range tool.calls {
			asked = append(asked, k.Source)
		}
		if !slices.Equal(asked, c.want) || (err == nil && p.OutKind == sanitize.KindXLSX) != (len(c.want) == 2 || c.err == nil) {
			t.Errorf("%s: asked %v: %v, %+v", c.name, asked, err, p)
		}
	}
}

func TestWhatIsNotRebuiltIsConvertedAndRebuilt(t *testing.T) {
	for _, c := range []struct {
		name   string
		in     []byte
		source sanitize.Source
		out    sanitize.Kind
	}{
		{"RTF", []byte(rtf), sanitize.FromRTF, sanitize.KindDOCX},
		{"odt", odt(t), sanitize.FromODT, sanitize.KindDOCX},
		{"ods", pack(t, "mimetype", "application/vnd.oasis.opendocument.spreadsheet-template", "content.xml", "<a/>", "META-INF/manifest.xml", "<a/>"), sanitize.FromODS, sanitize.KindXLSX},
		{"ods without its first member", pack(t, "content.xml", "<a/>", "META-INF/manifest.xml", `<manifest:manifest><manifest:file-entry manifest:media-type="application/vnd.oasis.opendocument.spreadsheet" manifest:full-path="/"/>`), sanitize.FromODS, sanitize.KindXLSX},
		{"Word 2003", []byte(word2003), sanitize.FromWord2003, sanitize.KindDOCX},
		{"Excel 2003", []byte(`<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>`), sanitize.FromExcel2003, sanitize.KindXLSX},
		{"flat", []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.spreadsheet"><office:body/></office:document>`), sanitize.FromFODS, sanitize.KindXLSX},
	} {
		tool := honest()
		o := steps(whole...)
		if c.source == sanitize.FromRTF {
			o = steps(whole[1:]...) // it would be rebuilt
		}
		out, p, err := treat(t, o, tool, c.in)
		if err != nil || p.Mode != sanitize.Convert || p.OutKind != c.out || p.Outcome != sanitize.Disarmed {
			t.Errorf("%s: %v, %+v", c.name, err, p)
			continue
		}
		if len(tool.calls) != 1 || tool.calls[0].Source != c.source || tool.calls[0].Size != int64(len(c.in)) {
			t.Errorf("%s: calls %+v", c.name, tool.calls)
		}
		s := sanitize.NewSession(steps(whole...), int64(len(out)), nil, nil)
		if err := verify.File(t.Context(), s, p.OutKind, bytes.NewReader(out), int64(len(out))); err != nil {
			t.Errorf("%s: verify: %v", c.name, err)
		}
	}
}

// TestWhatAToolWritesIsTreatedLikeAnyAttachment: a captured converter gains
// nothing.
func TestWhatAToolWritesIsTreatedLikeAnyAttachment(t *testing.T) {
	for name, made := range map[string][]byte{
		"another kind":    corpus.Excel("x", false),
		"macros":          corpus.Word("x", true),
		"a program":       corpus.Program(),
		"what it was":     []byte(rtf),
		"nothing":         nil,
		"half a document": corpus.Word("x", false)[:500],
	} {
		out, p, err := treat(t, steps(sanitize.Convert), &converter{answer: func(sanitize.ToolCall, []byte) ([]byte, error) { return made, nil }}, []byte(rtf))
		if err == nil || p.Fate != sanitize.KeptBack {
			t.Errorf("%s: %d octets, %+v", name, len(out), p)
		}
	}
}

func TestTheLadderEndsAtTheFirstStepThatSucceeds(t *testing.T) {
	broken := &converter{answer: func(k sanitize.ToolCall, in []byte) ([]byte, error) {
		if k.Tool == sanitize.OfficeToDOCX {
			return []byte("half"), sanitize.ErrTool
		}
		return honest().answer(k, in)
	}}
	out, p, err := treat(t, steps(whole...), broken, odt(t))
	if err != nil || p.Mode != sanitize.Text || p.OutKind != sanitize.KindText || !strings.Contains(string(out), "of two pages") || strings.Contains(string(out), "\f") {
		t.Fatalf("%v, %+v, %q", err, p, out)
	}
	var tried []sanitize.Mode
	for _, x := range p.Tried {
		tried = append(tried, x.Mode)
	}
	if !slices.Equal(tried, []sanitize.Mode{sanitize.Rebuild, sanitize.Convert, sanitize.Flatten}) {
		t.Errorf("tried %v", p.Tried)
	}
	// No step allowed but one that is not there.
	if _, p, err := treat(t, steps(sanitize.Rebuild), broken, odt(t)); err == nil || p.Fate != sanitize.KeptBack {
		t.Errorf("%+v, %v", p, err)
	}
	// No tools at all: it stays behind as before.
	if _, p, err := treat(t, steps(whole[1:]...), nil, odt(t)); !errors.Is(err, sanitize.ErrNoTool) || p.Fate != sanitize.KeptBack {
		t.Errorf("%+v, %v", p, err)
	}
}

// TestDoubtNeverReachesATool: ambiguity, a broken container and limits are no
// reason to ask a lesser parser.
// TestWhatTakesTooLongIsNotTriedAgain: a program that did not end is not asked
// for the same file by another step, nor twice by one.
func TestWhatTakesTooLongIsNotTriedAgain(t *testing.T) {
	ods := pack(t, "mimetype", "application/vnd.oasis.opendocument.spreadsheet", "content.xml", "<a/>", "META-INF/manifest.xml", "<a/>")
	for name, c := range map[string]struct {
		fails error
		asked int
	}{"slow": {sanitize.ErrSlow, 1}, "failing": {sanitize.ErrTool, 3}} {
		tool := &converter{answer: func(sanitize.ToolCall, []byte) ([]byte, error) { return nil, c.fails }}
		_, p, err := treat(t, steps(sanitize.Flatten, sanitize.Text), tool, ods)
		if !errors.Is(err, c.fails) || p.Fate != sanitize.KeptBack || len(tool.calls) != c.asked {
			t.Errorf("%s: asked %d times, want %d; %v, %+v", name, len(tool.calls), c.asked, err, p)
		}
	}
}

func TestDoubtNeverReachesATool(t *testing.T) {
	twice := append(slices.Clone(corpus.Word("a", false)), corpus.Word("b", false)...)
	broken := slices.Clone(corpus.Word("a", false))
	copy(broken[30:], "XX") // another name in front than in the directory
	traversal := odt(t, "../x", "y")
	encrypted := odt(t)
	big := odt(t, "big.xml", strings.Repeat("x", 1<<20))
	for name, c := range map[string]struct {
		in   []byte
		want error
	}{
		"two archives":    {twice, nil},
		"a broken header": {broken, sanitize.ErrAmbiguous},
		"a traversal":     {traversal, sanitize.ErrContainer},
		"bytes behind":    {append(encrypted, 0), nil},
		"a bomb":          {big, sanitize.ErrLimit},
		"entities":        {[]byte(strings.Replace(word2003, "<w:wordDocument", "<!DOCTYPE w [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><w:wordDocument", 1)), nil},
		"a DOCTYPE":       {[]byte(`<?xml version="1.0"?><!DOCTYPE a><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.text"/>`), nil},
	} {
		for _, first := range []int{0, 1} { // with and without the rebuild before it
			tool := honest()
			o := steps(whole[first:]...)
			o.Limits.Expanded = 1 << 19
			_, p, err := treat(t, o, tool, c.in)
			if err == nil || first == 1 && c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("%s: %v, %+v", name, err, p)
			}
			if len(tool.calls) > 0 {
				t.Errorf("%s: a tool was asked: %+v", name, tool.calls)
			}
		}
	}
}

func TestWhatAConversionLeavesBehindIsTold(t *testing.T) {
	basic := odt(t, "Basic/Standard/Module1.xml", "<x/>", "Basic/Standard/script-lb.xml", "<x/>", "Object 1", "ole")
	object := []byte(`{\rtf1{\object{\*\objdata 01}}` + strings.Repeat("x", 100000) + `}`)
	for name, c := range map[string]struct {
		in   []byte
		want []string
	}{
		"Basic and OLE in an odt": {basic, []string{"convert.macro", "convert.object"}},
		"an object in RTF":        {object, []string{"convert.object"}},
		"macros in Word 2003":     {[]byte(word2003), []string{"convert.macro", "convert.object"}},
		"nothing":                 {[]byte(rtf), nil},
	} {
		_, p, err := treat(t, steps(whole[1:]...), honest(), c.in)
		var rules []string
		for _, f := range p.Findings {
			if strings.HasPrefix(f.Rule, "convert.") {
				rules = append(rules, f.Rule)
			}
		}
		if err != nil || !slices.Equal(rules, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, rules, err, c.want)
		}
	}
}

// TestFindingsOfAStepThatFailedAreForgotten: they speak of an output that is
// not there.
func TestFindingsOfAStepThatFailedAreForgotten(t *testing.T) {
	var p sanitize.Part
	broken := pack(t, "[Content_Types].xml", `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`,
		"_rels/.rels", `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="rId1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`,
		"word/document.xml", `<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body><w:p>`)
	out, p, err := treat(t, steps(whole...), honest(), broken)
	if err != nil || p.Mode != sanitize.Convert || len(p.Tried) != 1 || p.Tried[0].Mode != sanitize.Rebuild {
		t.Fatalf("%v, %+v", err, p)
	}
	s := sanitize.NewSession(steps(whole...), int64(len(out)), nil, nil)
	if err := verify.File(t.Context(), s, p.OutKind, bytes.NewReader(out), int64(len(out))); err != nil {
		t.Errorf("verify: %v", err)
	}
}

func FuzzConvert(f *testing.F) {
	f.Add([]byte(rtf), []byte("x"))
	f.Add(odt(f), corpus.Word("a", true))
	f.Add(corpus.Word("a", false)[:300], corpus.Word("a", false))
	f.Fuzz(func(t *testing.T, in, made []byte) {
		o := steps(whole...)
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
		out, p, err := treat(t, o, &converter{answer: func(sanitize.ToolCall, []byte) ([]byte, error) { return made, nil }}, in)
		if err != nil || p.OutKind == "" {
			return
		}
		s := sanitize.NewSession(o, int64(len(out)), nil, nil)
		if err := verify.File(t.Context(), s, p.OutKind, bytes.NewReader(out), int64(len(out))); err != nil && !errors.Is(err, sanitize.ErrLimit) {
			t.Fatalf("%s: %v", p.OutKind, err)
		}
	})
}
