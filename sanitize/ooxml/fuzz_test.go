package ooxml

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// fuzzOne holds a document against the four properties: no panic, within the
// budget, an output of a kind that is detected, and a second run that finds
// nothing and changes nothing.
func fuzzOne(t *testing.T, b []byte) {
	tight := func(o *sanitize.Options) {
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
	}
	s := newSession(len(b), tight)
	var out bytes.Buffer
	res, err := (Sanitizer{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	if err != nil {
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	}
	if out.Len() > 4<<20 {
		t.Fatalf("%d bytes written", out.Len())
	}
	checkPackage(t, "output", out.Bytes())
	again, second, found, err := treat(out.Bytes())
	if err != nil || second.Kind != res.Kind || second.Outcome != sanitize.Clean {
		t.Fatalf("second run: %s %s, %v, %v", second.Kind, second.Outcome, found, err)
	}
	if !bytes.Equal(again, out.Bytes()) {
		t.Fatalf("second run changes the output:\n%q\n%q", unpack(t, out.Bytes()), unpack(t, again))
	}
}

func FuzzPackage(f *testing.F) {
	for _, c := range cases {
		f.Add(c.pkg().bytes(f))
	}
	f.Add(vsdx(`<Cell N="EventDblClick" V="0" F="RUNADDON(1)"/><Section N="Hyperlink"><Row N="a"><Cell N="Address" V="file:x"/></Row></Section><ForeignData ForeignType="Object"><Rel r:id="rId3"/></ForeignData>`, "<EventList/>").bytes(f))
	f.Fuzz(fuzzOne)
}

// FuzzFlat mutates a single file.
func FuzzFlat(f *testing.F) {
	for _, c := range cases {
		f.Add(c.pkg().flat())
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tight := func(o *sanitize.Options) {
			o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
		}
		out, res, err := treatFlat(t, b, tight)
		if err != nil {
			for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported} {
				if errors.Is(err, known) {
					return
				}
			}
			t.Fatalf("an error of no kind: %v", err)
		}
		checkPackage(t, "output", out)
		again, second, found, err := treat(out)
		if err != nil || second.Kind != res.Kind || second.Outcome != sanitize.Clean || !bytes.Equal(again, out) {
			t.Fatalf("second run: %s %s, %v, %v", second.Kind, second.Outcome, found, err)
		}
	})
}

// FuzzPart mutates the main part alone, inside an archive that is sound.
func FuzzPart(f *testing.F) {
	for i, c := range cases {
		p := c.pkg()
		if len(p.order) > 20 {
			continue // many parts of one kind teach nothing new
		}
		f.Add(uint8(i), p.members[p.main])
		for _, n := range p.order {
			f.Add(uint8(i), p.members[n])
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, content string) {
		p := cases[int(which)%len(cases)].pkg()
		// Which member is replaced follows from the content's root.
		name := p.main
		for _, n := range p.order {
			if m := p.members[n]; len(m) > 12 && len(content) > 12 && m[:12] == content[:12] {
				name = n
			}
		}
		p.members[name] = content
		fuzzOne(t, p.bytes(t))
	})
}

// FuzzChanges mutates a text whose tracked changes are settled.
func FuzzChanges(f *testing.F) {
	for _, s := range []string{
		`<w:p><w:pPr><w:rPr><w:del w:id="1"/></w:rPr></w:pPr><w:r><w:t>a</w:t></w:r></w:p><w:p><w:pPr><w:jc w:val="right"/></w:pPr><w:ins w:id="1"><w:r><w:t>b</w:t></w:r></w:ins></w:p><w:p/>`,
		`<w:p><w:pPr><w:keepNext/><w:rPr><w:ins w:id="1"/></w:rPr><w:sectPr><w:headerReference w:type="default"/><w:sectPrChange w:id="1"><w:sectPr><w:cols w:num="1"/></w:sectPr></w:sectPrChange></w:sectPr><w:pPrChange w:id="1"><w:pPr><w:jc w:val="left"/></w:pPr></w:pPrChange></w:pPr></w:p>`,
		`<w:tbl><w:tblGrid><w:gridCol/><w:tblGridChange w:id="1"><w:tblGrid/></w:tblGridChange></w:tblGrid><w:tr><w:trPr><w:del w:id="1"/></w:trPr><w:tc><w:tcPr><w:cellIns w:id="1"/></w:tcPr><w:p/></w:tc></w:tr></w:tbl>`,
		`<w:p><w:del w:id="1"><w:r><w:fldChar w:fldCharType="begin"/><w:delInstrText>PAGE</w:delInstrText></w:r></w:del><w:moveFrom w:id="2"><w:r><w:delText>c</w:delText><w:fldChar w:fldCharType="end"/></w:r></w:moveFrom></w:p>`,
	} {
		f.Add(s, true)
		f.Add(s, false)
	}
	f.Fuzz(func(t *testing.T, body string, accept bool) {
		settle := func(o *sanitize.Options) {
			o.Accept, o.Reject = accept, !accept
			o.Limits.Expanded, o.Limits.OutputBytes = 4<<20, 4<<20
		}
		out, res, _, err := treat(docx(body).bytes(t), settle)
		if err != nil {
			return
		}
		checkPackage(t, "output", out)
		if err := verify.File(context.Background(), newSession(len(out)), res.Kind, bytes.NewReader(out), int64(len(out))); err != nil {
			t.Fatalf("the second look refuses it: %v", err)
		}
		again, second, found, err := treat(out, settle)
		if err != nil || second.Outcome != sanitize.Clean || !bytes.Equal(again, out) {
			t.Fatalf("second run: %s, %v, %v\n%s\n%s", second.Outcome, found, err, unpack(t, out)["word/document.xml"], unpack(t, again)["word/document.xml"])
		}
	})
}

func TestLargeSheetNeedsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a sheet of 35 MB; left out of short runs")
	}
	row := `<row r="1"><c r="A1"><f>SUM(B1:C1)</f><v>3</v></c><c r="B1" t="s"><v>1</v></c></row>`
	p := xlsx("", "", "")
	p.members["xl/worksheets/sheet1.xml"] = `<worksheet ` + nsS + `><sheetData>` + strings.Repeat(row, 400000) + `</sheetData></worksheet>`
	b := p.bytes(t)
	p = nil
	s := newSession(len(b), func(o *sanitize.Options) { o.Limits.Ratio = 1000 })
	in := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}
	out, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	peak := peakHeap(t, func() {
		if _, err := (Sanitizer{}).Sanitize(t.Context(), s, in, out); err != nil {
			t.Fatal(err)
		}
	})
	if peak > 16<<20 {
		t.Errorf("took %d MiB", peak>>20)
	}
	size, err := out.Seek(0, io.SeekEnd)
	if err != nil {
		t.Fatal(err)
	}
	s = newSession(int(size), func(o *sanitize.Options) { o.Limits.Ratio = 1000 })
	peak = peakHeap(t, func() {
		if err := verify.File(t.Context(), s, sanitize.KindXLSX, out, size); err != nil {
			t.Fatal(err)
		}
	})
	if peak > 4<<20 {
		t.Errorf("the second look took %d MiB", peak>>20)
	}
}
