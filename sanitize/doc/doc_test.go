package doc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho/internal/cfb"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	pictures "sekisho/sanitize/image"
	"sekisho/sanitize/verify"
)

func newSession(size int, change ...func(*sanitize.Options)) *sanitize.Session {
	o := &sanitize.Options{Task: sanitize.TaskFile, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassLegacyOffice: {Steps: []sanitize.Mode{sanitize.Rebuild}},
		sanitize.ClassImage:        {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range change {
		c(o)
	}
	return sanitize.NewSession(o, int64(size), detect.Detect, map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindDOC: Sanitizer{}, sanitize.KindPNG: pictures.PNG{}, sanitize.KindJPEG: pictures.JPEG{}, sanitize.KindBMP: pictures.Foreign{}, sanitize.KindTIFF: pictures.Foreign{},
	})
}

// treat runs the sanitizer and returns what it wrote and found.
func treat(b []byte, change ...func(*sanitize.Options)) ([]byte, sanitize.Result, []sanitize.Finding, error) {
	s := newSession(len(b), change...)
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	return out.Bytes(), res, s.Parts()[0].Findings, err
}

// streams are the streams of a file, by name.
func streams(t testing.TB, b []byte) map[string][]byte {
	t.Helper()
	f, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string][]byte{}
	err = f.Root.Walk(func(path []string, s *cfb.Storage) error {
		for _, x := range s.Streams {
			b := make([]byte, x.Size)
			if _, err := x.ReadAt(b, 0); err != nil && int64(len(b)) != x.Size {
				return err
			}
			m[strings.Join(append(path, x.Name), "/")] = b
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// words is the text of a document, all stories one behind the other.
func words(t testing.TB, b []byte) string {
	t.Helper()
	f, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	d := &document{s: newSession(len(b))}
	if err := d.open(f.Root); err != nil {
		t.Fatal(err)
	}
	if err := d.readPieces(); err != nil {
		t.Fatal(err)
	}
	d.out = d.main
	var u []uint16
	d.span(0, d.length, func(_ uint32, c uint16) uint16 {
		u = append(u, c)
		return c
	})
	return string(utf16.Decode(u))
}

// holds reports whether any stream holds a text, in octets or in UTF-16.
func holds(t testing.TB, b []byte, text string) bool {
	t.Helper()
	var wide []byte
	for _, u := range units(text) {
		wide = le.AppendUint16(wide, u)
	}
	for _, s := range streams(t, b) {
		if bytes.Contains(s, []byte(text)) || bytes.Contains(s, wide) {
			return true
		}
	}
	return false
}

// checkOutput holds an output against what every output must be: what it says,
// passed by the second look, and left alone by a second run.
func checkOutput(t testing.TB, name string, out []byte) {
	t.Helper()
	k, err := detect.Detect(sanitize.Object{ReaderAt: bytes.NewReader(out), Size: int64(len(out))})
	if err != nil || k.Kind != sanitize.KindDOC {
		t.Fatalf("%s: the output is %s, %v", name, k.Kind, err)
	}
	if err := verify.File(context.Background(), newSession(len(out)), sanitize.KindDOC, bytes.NewReader(out), int64(len(out))); err != nil {
		t.Fatalf("%s: verify: %v", name, err)
	}
	again, res, found, err := treat(out)
	if err != nil || res.Outcome != sanitize.Clean {
		t.Fatalf("%s: again: %v %v %v", name, res.Outcome, err, found)
	}
	if !bytes.Equal(again, out) {
		t.Fatalf("%s: a second run writes other octets", name)
	}
}

func pngFile(t testing.TB) []byte {
	m := image.NewNRGBA(image.Rect(0, 0, 8, 8))
	for i := range 8 {
		m.Set(i, i, color.NRGBA{uint8(30 * i), 100, 200, 255})
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// shape is a picture in the line: a shape and the entry of its picture.
func shape(t testing.TB, props []byte, file []byte) []byte {
	n := uint16(len(props) / 6)
	if i := bytes.Index(props, []byte("\x05\xC1")); i >= 0 {
		n = uint16(i/6 + 2) // it and its flags; its data is behind
	}
	sp := officeart.AppendRecord(nil, officeart.Header{Ver: 2, Instance: 75, Type: 0xF00A}, []byte{0, 4, 0, 0, 0, 10, 0, 0})
	sp = officeart.AppendRecord(sp, officeart.Header{Ver: 3, Instance: n, Type: 0xF00B}, props)
	out := officeart.AppendRecord(nil, officeart.Header{Ver: 15, Type: officeart.TypeSpContainer}, sp)
	if file != nil {
		blip := officeart.AppendRecord(nil, officeart.Header{Instance: 0x6E0, Type: 0xF01E}, append(append(make([]byte, 16), 0xFF), file...))
		entry := make([]byte, 36)
		entry[0], entry[1] = 6, 6
		le.PutUint32(entry[20:], uint32(len(blip)))
		le.PutUint32(entry[24:], 1)
		out = officeart.AppendRecord(out, officeart.Header{Ver: 2, Instance: 6, Type: officeart.TypeFBSE}, append(entry, blip...))
	}
	return out
}

func property(id uint16, v uint32) []byte { return le.AppendUint32(le.AppendUint16(nil, id), v) }

func xst(s string) []byte {
	b := le.AppendUint16(nil, uint16(len(units(s))))
	for _, u := range append(units(s), 0) {
		b = le.AppendUint16(b, u)
	}
	return b
}

// formField is the settings of a field of text in a form, with macros.
func formField(entry, exit string) []byte {
	b := append(le.AppendUint32(nil, 0xFFFFFFFF), 0, 0, 0, 0, 0, 0)
	for _, s := range []string{"Text1", "初期値", "", "help", "status", entry, exit} {
		b = append(b, xst(s)...)
	}
	return frame(0, b)
}

func sttbOf(texts ...string) []byte {
	b := []byte{0xFF, 0xFF, byte(len(texts)), 0, 0, 0}
	for _, s := range texts {
		b = le.AppendUint16(b, uint16(len(units(s))))
		for _, u := range units(s) {
			b = le.AppendUint16(b, u)
		}
	}
	return b
}

type paperCase struct {
	name   string
	change func(p *paper)
	rule   string // "" for nothing taken
	action sanitize.Action
	gone   []string
	kept   []string // in the text
	held   []string // in any stream
}

// in puts a field into a story, with its number in the field table.
func in(story int, kind byte, code, result string) func(*paper) {
	return func(p *paper) {
		p.stories[story] += "前" + fieldOf(code, result) + "後\r"
		p.kinds[story] = []byte{kind}
	}
}

var cases = []paperCase{
	{name: "a letter", change: func(p *paper) {}, kept: []string{"町長からのお知らせ"}},
	{name: "a page number", change: in(storyHeaders, 0x21, " PAGE ", "1"), kept: []string{" PAGE "}},
	{name: "a table of contents in French", change: in(storyMain, 0x0D, ` TM \o "1-3" `, "1"), kept: []string{` TM \o`}},
	{name: "a page reference in French", change: in(storyMain, 0x25, ` RENVOIPAGE _Toc1 \h `, "1"), kept: []string{"RENVOIPAGE"}},
	{name: "a link in French", change: in(storyMain, 0x58, ` LIENHYPERTEXTE "https://example.jp/" `, "見る"), kept: []string{"LIENHYPERTEXTE"}},
	{name: "a place in the document", change: in(storyMain, 0x58, ` HYPERLINK \l "_Toc1" `, "見る"), kept: []string{"HYPERLINK"}},
	{name: "a bookmark", change: in(storyMain, 0x03, ` 氏名 \* MERGEFORMAT`, "見る"), kept: []string{"氏名"}},
	{name: "a shape in the line", change: in(storyMain, 0x5F, ` SHAPE \* MERGEFORMAT `, "\x08"), kept: []string{"SHAPE"}},
	{name: "the name of the file", change: in(storyHeaders, 0x1D, ` FILENAME \* Upper `, "A.DOC"), kept: []string{"FILENAME"}},
	{name: "a sum", change: in(storyMain, 0x22, ` =SUM(ABOVE) \# "#,##0" `, "12"), kept: []string{"=SUM(ABOVE)"}},
	{name: "a sum of a bookmark", change: in(storyMain, 0x22, " = a*2 ", "12"), kept: []string{" = a*2 "}},
	{name: "a sum that is none", change: in(storyMain, 0x22, " 0 ", "12"), rule: "doc.field", action: sanitize.Replaced, kept: []string{"12"}},
	{name: "a sum that calls", change: in(storyMain, 0x22, ` =DDEAUTO(cmd) `, "12"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"DDEAUTO"}, kept: []string{"12"}},
	{name: "a sum called a page number", change: in(storyMain, 0x21, " =1+2 ", "12"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"=1+2"}, kept: []string{"12"}},
	{name: "the author", change: in(storyMain, 0x11, " AUTHOR ", "山田"), rule: "doc.property-field", action: sanitize.Rewritten, gone: []string{"AUTHOR"}, kept: []string{"山田"}},

	{name: "DDEAUTO", change: in(storyMain, 0x2E, ` DDEAUTO c:\\windows\\cmd.exe "/k calc" `, "結果"), rule: "doc.dde", action: sanitize.Replaced, gone: []string{"DDEAUTO", "cmd.exe"}, kept: []string{"前", "結果", "後"}},
	{name: "DDE in octets", change: func(p *paper) {
		p.stories[0] = "head " + fieldOf("DDE cmd x", "result") + " tail\r"
		p.split = []uint32{2}
		p.kinds[0] = []byte{0x2D}
	}, rule: "doc.dde", action: sanitize.Replaced, gone: []string{"DDE", "cmd"}, kept: []string{"head ", "result", " tail"}},
	{name: "DDE over pieces", change: func(p *paper) {
		p.stories[0] = "head " + fieldOf("DDEAUTO cmd x", "result") + " tail\r"
		p.split = []uint32{8, 11, 14, 20}
		p.kinds[0] = []byte{0x2E}
	}, rule: "doc.dde", action: sanitize.Replaced, gone: []string{"DDE", "cmd", "DD", "EAUTO"}, kept: []string{"head ", "result", " tail"}},
	{name: "DDE called a page number", change: in(storyMain, 0x21, " DDEAUTO cmd x ", "結果"), rule: "doc.dde", action: sanitize.Replaced, gone: []string{"DDEAUTO"}},
	{name: "a page number called DDE", change: in(storyMain, 0x2E, " PAGE ", "結果"), rule: "doc.dde", action: sanitize.Replaced, kept: []string{"結果"}},
	{name: "DDE in no table", change: func(p *paper) { p.stories[0] = fieldOf("DDEAUTO cmd x", "結果") + "\r" }, rule: "doc.dde", action: sanitize.Replaced, gone: []string{"DDEAUTO"}, kept: []string{"結果"}},
	{name: "DDE put together by another field", change: func(p *paper) {
		p.stories[0] = "\x13" + fieldOf("QUOTE 68 68 69", "DDE") + " cmd x\x14結果\x15\r"
		p.kinds[0] = []byte{0, 0x23}
	}, rule: "doc.field", action: sanitize.Replaced, gone: []string{"QUOTE", "cmd"}, kept: []string{"結果"}},
	{name: "DDE in a page number", change: in(storyMain, 0x21, " PAGE DDEAUTO cmd ", "結果"), rule: "doc.dde", action: sanitize.Replaced, gone: []string{"DDEAUTO"}},
	{name: "DDE in another language's word", change: in(storyMain, 0x21, ` SEITE "\\\\evil\\x" `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}},
	{name: "a link to a file in French", change: in(storyMain, 0x58, ` LIENHYPERTEXTE "file://evil/x" `, "見る"), rule: "doc.link", action: sanitize.Neutralised, gone: []string{"evil"}, kept: []string{"見る"}},
	{name: "a link to a program", change: in(storyMain, 0x58, ` HYPERLINK "ms-msdt:evil" `, "見る"), rule: "doc.link", action: sanitize.Neutralised, gone: []string{"evil"}, kept: []string{"見る"}},
	{name: "a link to the web", change: in(storyMain, 0x58, ` HYPERLINK "https://example.jp/a?b=c" `, "見る"), kept: []string{"https://example.jp/"}},
	{name: "a text loaded in French, called a bookmark", change: in(storyMain, 0x03, ` INCLURETEXTE geheim `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"INCLURETEXTE", "geheim"}, kept: []string{"結果"}},
	{name: "a text loaded in another language, called a bookmark", change: in(storyMain, 0x03, ` ULTAVTEKST geheim.txt `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"geheim"}, kept: []string{"結果"}},
	{name: "the same behind a switch", change: in(storyMain, 0x25, ` ULTAVTEKST \h "geheim.txt" `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"geheim"}, kept: []string{"結果"}},
	{name: "a text loaded in French, called a link", change: in(storyMain, 0x58, ` INCLURETEXTE "https://example.jp/" `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"example"}, kept: []string{"結果"}},
	{name: "DDE in full-width letters", change: in(storyMain, 0x03, " ＤＤＥａｕｔｏ cmd ", "結果"), rule: "doc.dde", action: sanitize.Replaced, gone: []string{"ＤＤＥ"}, kept: []string{"結果"}},
	{name: "a bookmark in full-width letters", change: in(storyMain, 0x03, ` ＡＢＣ \h `, "結果"), kept: []string{"ＡＢＣ"}},
	{name: "a date in German", change: in(storyMain, 0x1F, ` DATUM \@ "dd.MM.yyyy" \* MERGEFORMAT `, "1.1.2026"), kept: []string{"DATUM"}},
	{name: "an entry of an index in French", change: in(storyMain, 0x04, ` EX "p. ex. a/b" `, ""), kept: []string{"p. ex. a/b"}},
	{name: "text in footnotes", change: in(storyFootnotes, 0x44, ` INCLUDETEXT "http://evil.example/x" `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}, kept: []string{"結果"}},
	{name: "a picture in headers", change: in(storyHeaders, 0x43, ` INCLUDEPICTURE "http://evil.example/x.png" \d `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}},
	{name: "a link in comments", change: in(storyComments, 0x38, ` LINK Excel.Sheet.8 \\\\evil\\x `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}},
	{name: "an import in endnotes", change: in(storyEndnotes, 0x37, ` IMPORT evil.gif `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}},
	{name: "a database in a text box", change: in(storyTextboxes, 0x4E, ` DATABASE \d "evil.mdb" `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}},
	{name: "AutoText in a text box of a header", change: in(storyHeaderTextboxes, 0x4F, ` AUTOTEXT evil `, "結果"), rule: "doc.field", action: sanitize.Replaced, gone: []string{"evil"}},
	{name: "an object", change: func(p *paper) {
		p.stories[0] = "前" + fieldOf(" EMBED Package ", "\x01") + "後\r"
		p.kinds[0] = []byte{0x3A}
		p.runs["\x14"] = special(1234, append(change(sprmCFOle2, 1), change(sprmCFObj, 1)...)...)
		p.runs["\x01"] = special(1234, change(sprmCFOle2, 1)...)
		p.storages = []*cfb.Storage{{Name: "ObjectPool", Storages: []*cfb.Storage{{Name: "_1234", Streams: []*cfb.Stream{cfb.NewStream("\x01Ole10Native", []byte("EVILEXE"))}}}}}
	}, rule: "doc.object", action: sanitize.Removed, gone: []string{"EVILEXE", "EMBED", "ObjectPool"}, kept: []string{"前", "後"}},
	{name: "a button of a macro", change: func(p *paper) {
		p.stories[0] = "前\x13 MACROBUTTON EvilMacro ここをクリック\x15後\r"
		p.kinds[0] = []byte{0x33}
		p.runs["\x13"], p.runs["\x15"] = change(sprmCFSpec, 1), change(sprmCFSpec, 1)
	}, rule: "doc.field", action: sanitize.Replaced, gone: []string{"EvilMacro", "MACROBUTTON", "\x13", "\x15"}, kept: []string{"前", "ここをクリック", "後"}},
	{name: "a field of which the table knows a part", change: func(p *paper) {
		p.stories[0] = "前\x13\x14 DDEAUTO cmd \x15後\r"
		b := le.AppendUint32(le.AppendUint32(le.AppendUint32(nil, 1), 16), 18)
		p.pairs[fieldTables[0]] = append(b, fieldBegin, 0x2E, fieldEnd, 0)
	}, rule: "doc.field", action: sanitize.Replaced, gone: []string{"\x13", "\x14", "\x15"}, kept: []string{"前", " DDEAUTO cmd ", "後"}},
	{name: "a field without an end", change: func(p *paper) { p.stories[0] = "前\x13DDEAUTO cmd\r" }, gone: []string{"\x13"}},
	{name: "an end without a field", change: func(p *paper) { p.stories[0] = "前\x15後\x14\r" }, gone: []string{"\x15", "\x14"}},

	{name: "a template elsewhere", change: func(p *paper) { p.pairs[pairAssoc] = sttbOf("", "http://evil.example/t.dot", "題名") }, rule: "doc.template", action: sanitize.Removed, gone: []string{"evil"}},
	{name: "a template of a disk", change: func(p *paper) { p.pairs[pairAssoc] = sttbOf("", `C:\secret\t.dot`) }, rule: "doc.template", action: sanitize.Rewritten, gone: []string{"secret"}},
	{name: "a menu", change: func(p *paper) { p.pairs[pairCmds] = []byte("\xFF\x01\x01\x00\x00\x00EvilMacro000000000000000") }, rule: "doc.menu", action: sanitize.Removed, gone: []string{"EvilMacro"}},
	{name: "no menu", change: func(p *paper) { p.pairs[pairCmds] = []byte{0xFF, 0x40, 0x30} }},
	{name: "mail merge", change: func(p *paper) { p.pairs[pairODSO] = []byte("Provider=EVIL") }, rule: "doc.mail-merge", action: sanitize.Removed, gone: []string{"EVIL"}},
	{name: "macros at events, and what was answered", change: func(p *paper) {
		dop := append(make([]byte, 434), "EVENTVIRUSPARE with room for much more"...)
		p.pairs[pairDop] = append(append(dop, make([]byte, 222)...), "EVILTAIL"...)
	}, gone: []string{"EVENT", "VIRUS", "SPARE", "much more", "EVILTAIL"}},
	{name: "variables", change: func(p *paper) { p.pairs[pairStwUser] = []byte("powershell EVIL") }, rule: "doc.variables", action: sanitize.Rewritten, gone: []string{"EVIL"}},
	{name: "a routing slip", change: func(p *paper) { p.pairs[pairRouteSlip] = []byte("EVIL") }, rule: "doc.routing", action: sanitize.Removed, gone: []string{"EVIL"}},
	{name: "who saved it", change: func(p *paper) { p.pairs[pairSavedBy] = sttbOf("山田", `\\server\secret.doc`) }, rule: "doc.saved-by", action: sanitize.Rewritten, gone: []string{"secret"}},
	{name: "printers", change: func(p *paper) { p.pairs[27] = []byte("PRINTER-SECRET") }, gone: []string{"PRINTER-SECRET"}},
	{name: "a subdocument", change: func(p *paper) { p.pairs[pairFnm] = sttbOf(`\\evil\sub.doc`) }, rule: "doc.subdocument", action: sanitize.Rewritten, gone: []string{"evil"}},
	{name: "embedded fonts", change: func(p *paper) { p.pairs[pairEmbedded] = []byte{1, 0, 0, 0, 'E', 'V', 'I', 'L'} }, rule: "doc.font", action: sanitize.Removed, gone: []string{"EVIL"}},
	{name: "frames", change: func(p *paper) { p.pairs[pairRgDofr] = append([]byte{12, 0, 0, 0, 2, 0, 0, 0}, "EVIL"...) }, rule: "doc.frameset", action: sanitize.Removed, gone: []string{"EVIL"}},

	{name: "macros", change: func(p *paper) {
		p.storages = []*cfb.Storage{{Name: "Macros", Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{cfb.NewStream("ThisDocument", []byte("EVILCODE")), cfb.NewStream("dir", []byte("x"))}}}}}
	}, rule: "doc.vba", action: sanitize.Removed, gone: []string{"EVILCODE", "VBA"}},
	{name: "custom data", change: func(p *paper) {
		p.storages = []*cfb.Storage{{Name: "MsoDataStore", Streams: []*cfb.Stream{cfb.NewStream("Item", []byte("EVIL"))}}}
	}, rule: "doc.custom-xml", action: sanitize.Rewritten, gone: []string{"EVIL"}},
	{name: "a foreign stream", change: func(p *paper) { p.streams = []*cfb.Stream{cfb.NewStream("payload", []byte("EVIL"))} }, rule: "doc.stream", action: sanitize.Removed, gone: []string{"EVIL"}},
	{name: "a second table", change: func(p *paper) { p.streams = []*cfb.Stream{cfb.NewStream("0Table", []byte("EVIL"))} }, gone: []string{"EVIL"}},
	{name: "deleted text", change: func(p *paper) { p.dead = "消したはずの文" }, gone: []string{"消したはずの文", "slack"}},

	{name: "a picture", change: func(p *paper) {
		p.stories[0] = "前\x01後\r"
		p.runs["\x01"] = special(4)
		p.data = append([]byte("JUNK"), frame(mmShape, shape(nil, property(0x4104, 1), append(pngFile(nil), "EVILTAIL"...)))...)
	}, gone: []string{"EVILTAIL", "JUNK"}, kept: []string{"前\x01後"}, held: []string{"IHDR"}},
	{name: "a picture with the name of a file", change: func(p *paper) {
		p.stories[0] = "前\x01後\r"
		p.runs["\x01"] = special(0)
		p.data = frame(mmFile, append([]byte("\x0F\\\\evil\\x.png000"), shape(nil, property(0x4104, 1), pngFile(nil))...))
	}, gone: []string{"evil"}, kept: []string{"前\x01後"}, held: []string{"IHDR"}},
	{name: "a linked picture", change: func(p *paper) {
		p.stories[0] = "前\x01後\r"
		p.runs["\x01"] = special(0)
		name := []byte("h\x00t\x00t\x00p\x00:\x00/\x00/\x00e\x00v\x00i\x00l\x00\x00\x00")
		p.data = frame(mmShape, shape(nil, append(append(property(0xC105, uint32(len(name))), property(0x0106, 10)...), name...), nil))
	}, rule: "doc.linked-image", action: sanitize.Removed, gone: []string{"http://evil"}},
	{name: "no picture where one should be", change: func(p *paper) {
		p.stories[0] = "前\x01後\r"
		p.runs["\x01"] = special(0)
		p.data = []byte("EVIL EVIL EVIL")
	}, rule: "doc.picture", action: sanitize.Removed, gone: []string{"EVIL", "\x01"}, kept: []string{"前 後"}},
	{name: "a form with macros", change: func(p *paper) {
		p.stories[0] = "\x13 FORMTEXT \x01\x14入力\x15\r"
		p.kinds[0] = []byte{0x46}
		p.runs["\x01"] = special(0, change(sprmCFData, 1)...)
		p.data = formField("EvilEntry", "EvilExit")
	}, rule: "doc.macro-name", action: sanitize.Removed, gone: []string{"EvilEntry", "EvilExit"}, kept: []string{"FORMTEXT", "入力"}, held: []string{"Text1", "初期値"}},
	{name: "the second form of a link", change: func(p *paper) {
		p.stories[0] = "\x13 HYPERLINK \"https://example.jp/\" \x01\x14見る\x15\r"
		p.kinds[0] = []byte{0x58}
		p.runs["\x01"] = special(0, change(sprmCFData, 1)...)
		p.data = frame(0, []byte("\x08\xD0\xC9\xEA\x79 http://other.example"))
	}, gone: []string{"other.example", "\x01"}, kept: []string{"https://example.jp/", "見る"}},
	{name: "huge properties", change: func(p *paper) {
		p.para = change(sprmPHugePapx, 2, 0, 0, 0)
		p.data = append([]byte("JU"), append(le.AppendUint16(nil, 4+6), append(change(0x2403, 1), append([]byte{0, 0}, special(7)[:4]...)...)...)...)
	}, gone: []string{"JU"}},
	{name: "objects in styles and sections", change: func(p *paper) {
		p.style = special(1234, change(sprmCFOle2, 1)...)
		p.section = special(1234)
		p.clx = append([]byte{1, 9, 0}, special(1234)...)
	}},
	{name: "lists", change: func(p *paper) {
		list := make([]byte, 28)
		list[26] = 1
		p.pairs[pairLst] = append([]byte{1, 0}, list...)
		lvl := make([]byte, 28)
		lvl[24], lvl[25] = 9, 3
		lvl = append(append(lvl, change(0x2403, 1)...), special(77)...)
		lvl = lvl[:28+3+9]
		p.behind[pairLst] = append(lvl, 2, 0, '1', 0, '.', 0)
		p.pairs[pairLfo] = append(le.AppendUint32(nil, 1), append(make([]byte, 16), 0xFF, 0xFF, 0xFF, 0xFF)...)
	}, held: []string{"1."}},
}

func TestDocuments(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			p := newPaper()
			c.change(p)
			out, res, found, err := treat(p.bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			want := sanitize.Clean
			if (sanitize.Finding{Action: c.action}).Changed() {
				want = sanitize.Disarmed
			}
			told := c.rule == ""
			for _, f := range found {
				told = told || f.Rule == c.rule && f.Action == c.action
			}
			if !told || res.Outcome != want || res.Kind != sanitize.KindDOC {
				t.Errorf("outcome %s, kind %s, found %+v", res.Outcome, res.Kind, found)
			}
			text := words(t, out)
			for _, g := range c.gone {
				if strings.Contains(text, g) || len(g) > 1 && holds(t, out, g) {
					t.Errorf("%q is still there: %q", g, text)
				}
			}
			for _, k := range c.kept {
				if !strings.Contains(text, k) {
					t.Errorf("%q is gone: %q", k, text)
				}
			}
			for _, k := range c.held {
				if !holds(t, out, k) {
					t.Errorf("%q is in no stream", k)
				}
			}
			checkOutput(t, c.name, out)
		})
	}
}

func TestEveryCharacterKeepsItsPlace(t *testing.T) {
	for _, c := range cases {
		p := newPaper()
		c.change(p)
		in := p.bytes(t)
		out, _, _, err := treat(in)
		if err != nil {
			t.Fatal(err)
		}
		if a, b := len(units(words(t, in))), len(units(words(t, out))); a != b {
			t.Errorf("%s: %d characters became %d", c.name, a, b)
		}
	}
}

func TestWhatIsNotRebuiltSaysWhy(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(p *paper)
		want   error
	}{
		{"Word 95", func(p *paper) { p.ident, p.nFib = 0xA5DC, 101 }, sanitize.ErrUnsupported},
		{"a beta of Word 97", func(p *paper) { p.nFib = 190 }, sanitize.ErrUnsupported},
		{"obfuscated", func(p *paper) { p.flags |= flagObfuscate }, sanitize.ErrEncrypted},
		{"text that is a page of properties", func(p *paper) {
			p.change = func(main, table []byte) {
				fc := le.Uint32(main[154+8*pairClx:])
				le.PutUint32(table[fc+5+8+2:], 0x800)
			}
		}, sanitize.ErrMalformed},
		{"a piece behind the end", func(p *paper) {
			p.change = func(main, table []byte) { le.PutUint32(table[le.Uint32(main[154+8*pairClx:])+5+8+2:], 1<<29) }
		}, sanitize.ErrMalformed},
		{"stories longer than the text", func(p *paper) { p.change = func(main, _ []byte) { le.PutUint32(main[64+12:], 1<<30) } }, sanitize.ErrMalformed},
		{"no piece table", func(p *paper) { p.pairs[pairClx] = []byte{} }, sanitize.ErrMalformed},
		{"pages behind the end", func(p *paper) { p.pairs[pairBteChpx] = []byte{0, 6, 0, 0, 0, 8, 0, 0, 0xFF, 0xFF, 0, 0} }, sanitize.ErrMalformed},
		{"no table stream", func(p *paper) { p.change = func(main, _ []byte) { main[11] &^= 2 } }, sanitize.ErrMalformed},
	} {
		p := newPaper()
		c.change(p)
		b := p.bytes(t)
		var out bytes.Buffer
		_, err := (Sanitizer{}).Sanitize(t.Context(), newSession(len(b)), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
		if !errors.Is(err, c.want) || out.Len() > 0 {
			t.Errorf("%s: %v, %d octets", c.name, err, out.Len())
		}
	}
	p := newPaper()
	p.flags |= flagEncrypted
	if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, sanitize.ErrEncrypted) {
		t.Errorf("encrypted: %v", err)
	}
}

func TestLinksGoWhereTheProfileSaysSo(t *testing.T) {
	p := newPaper()
	in(storyMain, 0x58, ` HYPERLINK "https://example.jp/" `, "見る")(p)
	out, res, _, err := treat(p.bytes(t), func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || res.Outcome != sanitize.Disarmed || holds(t, out, "example.jp") || !holds(t, out, "見る") {
		t.Errorf("%v %v", res.Outcome, err)
	}
}

// TestCommentsAndChangesGoDownTheLadder: the modern form is where they are taken
// out.
func TestCommentsAndChangesGoDownTheLadder(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*sanitize.Options)
		paper  func(*paper)
		want   error
	}{
		{"comments", func(o *sanitize.Options) { o.Comments = true }, func(p *paper) { p.stories[storyComments] = "意見\r" }, sanitize.ErrUnsupported},
		{"no comments", func(o *sanitize.Options) { o.Comments = true }, func(*paper) {}, nil},
		{"changes", func(o *sanitize.Options) { o.Accept = true }, func(p *paper) { p.runs["町長"] = change(sprmCFRMarkDel, 1) }, sanitize.ErrUnsupported},
		{"changes of a piece", func(o *sanitize.Options) { o.Accept = true }, func(p *paper) {
			p.change = func(main, table []byte) { le.PutUint16(table[le.Uint32(main[154+8*pairClx:])+5+8+6:], 0x42<<1|1<<8) }
		}, sanitize.ErrUnsupported},
		{"changes of a paragraph", func(o *sanitize.Options) { o.Accept = true }, func(p *paper) { p.para = change(sprmPPropRMark, 7, 1, 0, 0, 0, 0, 0, 0) }, sanitize.ErrUnsupported},
		{"no changes", func(o *sanitize.Options) { o.Accept = true }, func(*paper) {}, nil},
		{"both stay", func(*sanitize.Options) {}, func(p *paper) { p.stories[storyComments], p.runs["町長"] = "意見\r", change(sprmCFRMarkDel, 1) }, nil},
	} {
		p := newPaper()
		c.paper(p)
		if _, _, _, err := treat(p.bytes(t), c.change); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

// TestAFullReportStillSaysWhatWasTaken: what has no line of its own decides all
// the same whether the document is clean.
func TestAFullReportStillSaysWhatWasTaken(t *testing.T) {
	p := newPaper()
	pool := &cfb.Storage{Name: "ObjectPool"}
	pool.Storages = append(pool.Storages, &cfb.Storage{Name: "_1", Streams: []*cfb.Stream{cfb.NewStream("x", []byte("x"))}})
	p.storages = []*cfb.Storage{pool}
	p.pairs[pairStwUser] = []byte("x")
	p.pairs[pairSavedBy] = sttbOf("x", "y")
	for i := range 250 {
		p.streams = append(p.streams, cfb.NewStream(fmt.Sprintf("more%d", i), []byte("x")))
	}
	_, res, found, err := treat(p.bytes(t))
	if err != nil || res.Outcome != sanitize.Disarmed || len(found) > 200 {
		t.Errorf("%s, %d findings, %v", res.Outcome, len(found), err)
	}
}

// TestAnEmptiedFieldIsLocked: Word works fields out anew when it prints.
func TestAnEmptiedFieldIsLocked(t *testing.T) {
	p := newPaper()
	in(storyMain, 0x2E, " DDEAUTO cmd x ", "結果")(p)
	out, _, _, err := treat(p.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	s := streams(t, out)
	at, n := le.Uint32(s["WordDocument"][154+8*16:]), le.Uint32(s["WordDocument"][158+8*16:])
	flds := s["1Table"][at : at+n][16:]
	if want := []byte{fieldBegin, fltQuote, fieldSep, 0xFF, fieldEnd, fldHasSep | fldLocked}; !bytes.Equal(flds, want) {
		t.Errorf("field table % X, want % X", flds, want)
	}
}

// TestAnObjectOfWord97KeepsItsPicture: it stands with the object, not with the
// text.
func TestAnObjectOfWord97KeepsItsPicture(t *testing.T) {
	wmf := []byte{1, 0, 9, 0, 0, 3, 17, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0x0B, 2, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0}
	p := newPaper()
	p.stories[0] = fieldOf(" EMBED Equation.3 ", "\x01") + "\r"
	p.kinds[0] = []byte{0x3A}
	p.runs["\x01"] = special(1234, change(sprmCFOle2, 1)...)
	p.storages = []*cfb.Storage{{Name: "ObjectPool", Storages: []*cfb.Storage{{Name: "_1234", Streams: []*cfb.Stream{cfb.NewStream("\x03META", append([]byte{8, 0, 100, 0, 50, 0, 0, 0}, wmf...))}}}}}
	out, _, _, err := treat(p.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(words(t, out), "\x14\x01\x15") || len(streams(t, out)["Data"]) < dataStart+pictureHeader {
		t.Errorf("%q, Data of %d octets", words(t, out), len(streams(t, out)["Data"]))
	}
	checkOutput(t, "object", out)
}

func sharedFiles(t *testing.T) []string {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(dir, "corpus", "doc", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("no documents in %s/corpus/doc", dir)
	}
	return files
}

func TestRealDocumentsKeepTheFourProperties(t *testing.T) {
	done := 0
	for _, f := range sharedFiles(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out, _, _, err := treat(b)
		if err != nil {
			continue
		}
		done++
		checkOutput(t, filepath.Base(f), out)
		// Of the text only what stands in fields may differ.
		a, z := units(words(t, b)), units(words(t, out))
		if len(a) != len(z) {
			t.Errorf("%s: %d characters became %d", f, len(a), len(z))
		}
	}
	if done < 50 {
		t.Errorf("%d were rebuilt", done)
	}
}
