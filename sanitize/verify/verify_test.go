package verify

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/internal/officeart"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

func session() *sanitize.Session {
	o := &sanitize.Options{Limits: sanitize.DefaultLimits()}
	return sanitize.NewSession(o, 1<<20, nil, nil)
}

// good is a treated mail as the gateway writes it.
const good = "X-Sekisho-Id: 0\r\nX-Sekisho-Result: clean\r\nDate: Tue, 24 Nov 2026 09:00:00 +0900\r\nFrom: a@partner.example\r\nTo: b@town.example\r\nSubject: x\r\nMessage-ID: <1@x>\r\nMIME-Version: 1.0\r\n" +
	"Content-Type: multipart/mixed; boundary=\"b1\"\r\n\r\n--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nhello\r\n" +
	"--b1\r\nContent-Type: text/plain; charset=utf-8; name=\"a.txt\"\r\nContent-Disposition: attachment; filename=\"a.txt\"\r\nContent-Transfer-Encoding: base64\r\n\r\naGVsbG8NCg==\r\n--b1--\r\n"

func checkMail(text string) error {
	return Mail(context.Background(), session(), strings.NewReader(text), int64(len(text)))
}

func TestATreatedMailIsAllowed(t *testing.T) {
	if err := checkMail(good); err != nil {
		t.Fatal(err)
	}
	// A draft in a file, which is not on its way.
	draft := strings.Replace(strings.Replace(good, "From: a@partner.example\r\n", "", 1), "X-Sekisho-Id: 0\r\n", "", 1)
	if err := checkMail(draft); err != nil {
		t.Error(err)
	}
	for _, text := range []string{
		"begin 644 a.exe\r\nand go on\r\n", "begin\r\n#0V%T\r\n", "begin 644 a.exe\r\n\r\n`\r\nend\r\n", "begin 644 apples\r\n100 PEARS\r\n",
		"#0V%T\r\n#0V%T\r\n", "=3Dybegin is where yEnc begins\r\n", "begin 2026 with a walk\r\n" + "#" + strings.Repeat("A", 400) + "\r\n",
	} {
		if err := checkMail(strings.Replace(good, "hello\r\n", text, 1)); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// TestMailsThatAreNotAllowed changes one thing each in a mail that is.
func TestMailsThatAreNotAllowed(t *testing.T) {
	for _, c := range []struct{ name, old, new string }{
		{"a field nobody listed", "Subject: x\r\n", "Subject: x\r\nX-Mailer: y\r\n"},
		{"two From", "Subject: x\r\n", "Subject: x\r\nFrom: c@d.example\r\n"},
		{"no From", "From: a@partner.example\r\n", ""},
		{"uuencode in the text", "hello\r\n", "hello\r\nbegin 644 a.exe\r\n#0V%T\r\n`\r\nend\r\n"},
		{"uuencode that ends the text", "hello\r\n", "begin 0755 a b.exe\r\n\r\n#0V%T\r\n"},
		{"yEnc in the text", "hello\r\n", "=3Dybegin line=3D128 size=3D3 name=3Da.exe\r\nabc\r\n"},
		{"no MIME-Version", "MIME-Version: 1.0\r\n", ""},
		{"a bare LF", "hello\r\n", "hello\n"},
		{"a bare CR", "hello\r\n", "hel\rlo\r\n"},
		{"an octet beyond ASCII", "hello\r\n", "h\xe9llo\r\n"},
		{"a NUL", "hello\r\n", "he\x00llo\r\n"},
		{"a line of 999 octets", "hello\r\n", strings.Repeat("a", 999) + "\r\n"},
		{"another multipart", "multipart/mixed", "multipart/alternative"},
		{"a multipart in base64", "boundary=\"b1\"\r\n\r\n", "boundary=\"b1\"\r\nContent-Transfer-Encoding: base64\r\n\r\n"},
		{"a preamble", "\r\n\r\n--b1\r\n", "\r\n\r\npreamble\r\n--b1\r\n"},
		{"an epilogue", "--b1--\r\n", "--b1--\r\nepilogue\r\n"},
		{"no closing boundary", "--b1--\r\n", "\r\n"},
		{"another charset", "charset=utf-8\r\n", "charset=utf-7\r\n"},
		{"another media type", "text/plain; charset=utf-8; name=\"a.txt\"", "application/pdf; name=\"a.txt\""},
		{"another transfer encoding", "quoted-printable", "x-uuencode"},
		{"a name with another extension", `filename="a.txt"`, `filename="a.exe"`},
		{"a path in a name", `filename="a.txt"`, `filename="../a.txt"`},
		{"a second name", `name="a.txt"`, `name="a.js"`},
		{"a field of a part nobody listed", "Content-Disposition: attachment", "Content-Location: http://x/\r\nContent-Disposition: attachment"},
		{"an escape sequence", "hello\r\n", "=1B[31m\r\n"},
		{"a change of reading direction", "hello\r\n", "=E2=80=AE\r\n"},
		{"what is no UTF-8", "hello\r\n", "=FF\r\n"},
		{"a PDF as text", "aGVsbG8NCg==", "JVBERi0xLjQK"},
		{"a message in base64", "text/plain; charset=utf-8; name=\"a.txt\"", "message/rfc822; name=\"a.eml\""},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s: %q is not in the mail", c.name, c.old)
		}
		if err := checkMail(text); err == nil {
			t.Errorf("%s is allowed", c.name)
		}
	}
}

// edit writes a package anew with some members changed; nil takes one out.
func edit(t *testing.T, b []byte, change map[string]func(string) string, add map[string]string) []byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	w := zipstrict.NewWriter(&out)
	put := func(name, text string) {
		// The writer of the gateway would not write these names.
		m, err := w.Create(strings.NewReplacer("../", "zz/", "DOCUMENT", "zzCUMENT").Replace(name))
		if err == nil {
			_, err = io.WriteString(m, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		s := string(text)
		if c := change[f.Name]; c != nil {
			s = c(s)
		}
		// What the gateway writes declares no type for macros.
		if f.Name == "[Content_Types].xml" {
			s = strings.ReplaceAll(s, `<Default Extension="bin" ContentType="application/vnd.ms-office.vbaProject"/>`, "")
			s = strings.ReplaceAll(s, `<Default Extension="png" ContentType="image/png"/>`, "")
		}
		put(f.Name, s)
	}
	for name, text := range add {
		put(name, text)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(bytes.ReplaceAll(out.Bytes(), []byte("zz/"), []byte("../")), []byte("zzCUMENT"), []byte("DOCUMENT"))
}

func replace(old, new string) func(string) string {
	return func(s string) string { return strings.Replace(s, old, new, 1) }
}

func checkFile(k sanitize.Kind, b []byte) error {
	return File(context.Background(), session(), k, bytes.NewReader(b), int64(len(b)))
}

// TestDocumentsThatAreNotAllowed changes one thing each in documents that are.
func TestDocumentsThatAreNotAllowed(t *testing.T) {
	word, excel := corpus.Word("text", false), corpus.Excel("text", false)
	for k, b := range map[sanitize.Kind][]byte{sanitize.KindDOCX: word, sanitize.KindXLSX: excel} {
		if err := checkFile(k, edit(t, b, nil, nil)); err != nil {
			t.Fatalf("the %s itself: %v", k, err)
		}
	}
	const (
		doc, rels = "word/document.xml", "word/_rels/document.xml.rels"
		sheet     = "xl/worksheets/sheet1.xml"
	)
	nested := `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>STYLEREF </w:instrText></w:r><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>REF a</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`
	if err := checkFile(sanitize.KindDOCX, edit(t, word, map[string]func(string) string{doc: replace("<w:p>", nested)}, nil)); !errors.Is(err, ErrNotAllowed) {
		t.Errorf("code of a field made by another: %v", err)
	}
	for _, c := range []struct {
		name, member, old, new string
		add                    map[string]string
	}{
		{"an id that leads nowhere", doc, `r:id="rId1"`, `r:id="rId9"`, nil},
		{"a DOCTYPE", doc, "?>\n", "?>\n<!DOCTYPE x>", nil},
		{"a processing instruction", doc, "?>\n", "?>\n<?mso-application progid=\"x\"?>", nil},
		{"an OLE object", doc, "<w:p>", `<w:p><o:OLEObject xmlns:o="urn:schemas-microsoft-com:office:office"/>`, nil},
		{"an imported chunk", doc, "<w:p>", `<w:altChunk/><w:p>`, nil},
		{"a field that loads", doc, "<w:p>", `<w:p><w:fldSimple w:instr=" INCLUDETEXT &quot;http://x/&quot;"/>`, nil},
		{"a DDE field split over runs", doc, "<w:p>", `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DD</w:instrText></w:r><w:r><w:instrText>EAUTO c:\\x</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`, nil},
		{"a DDE field whose code stands in plain text", doc, "<w:p>", `<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:t>DDEAUTO c:\\x</w:t></w:r><w:r><w:instrText>PAGE</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`, nil},
		{"a function handed on by name", sheet, "SUM(1,2)", `_xlfn.MAP(A1,_xleta.WEBSERVICE)`, nil},
		{"a part nobody refers to", doc, "", "", map[string]string{"word/extra.xml": "<x/>"}},
		{"a relationship of another type", rels, "relationships/hyperlink", "relationships/attachedTemplate", nil},
		{"a link of another scheme", rels, "https://www.example.jp/", "file://server/share", nil},
		{"a relationship to nothing", rels, `</Relationships>`, `<Relationship Id="rId7" Type="` + nsRelTransitional + `/styles" Target="styles.xml"/></Relationships>`, nil},
		{"another main part", "[Content_Types].xml", "document.main+xml", "template.main+xml", nil},
		{"a macro-enabled main part", "[Content_Types].xml", "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml", "application/vnd.ms-word.document.macroEnabled.main+xml", nil},
		{"a path in the archive", doc, "", "", map[string]string{"../x.xml": "<x/>"}},
		{"a name twice but for case", doc, "", "", map[string]string{"word/DOCUMENT.xml": "<x/>"}},
		{"a formula that fetches", sheet, "SUM(1,2)", `WEBSERVICE("http://x/")`, nil},
		{"a formula of DDE", sheet, "SUM(1,2)", `cmd|'/c calc'!A1`, nil},
		{"a formula of another workbook", sheet, "SUM(1,2)", `[1]Sheet1!A1`, nil},
		{"a picture that is none", "[Content_Types].xml", "", "", nil},
	} {
		base, k := word, sanitize.KindDOCX
		if c.member == sheet {
			base, k = excel, sanitize.KindXLSX
		}
		change := map[string]func(string) string{}
		if c.old != "" {
			change[c.member] = replace(c.old, c.new)
		}
		if c.name == "a picture that is none" {
			change["[Content_Types].xml"] = replace("<Override", `<Override PartName="/word/media/a.png" ContentType="image/png"/><Override`)
			change[rels] = replace(`</Relationships>`, `<Relationship Id="rId7" Type="`+nsRelTransitional+`/image" Target="media/a.png"/></Relationships>`)
			c.add = map[string]string{"word/media/a.png": "MZ"}
		}
		err := checkFile(k, edit(t, base, change, c.add))
		if !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%s: %v, want it not allowed", c.name, err)
		}
	}
}

// TestPackagesThatTwoReadersCouldSeeDifferentlyAreNotAllowed: a captured worker
// would hide a file from whoever reads by the directory, or from whoever reads
// from the front.
func TestPackagesThatTwoReadersCouldSeeDifferentlyAreNotAllowed(t *testing.T) {
	word := edit(t, corpus.Word("text", false), nil, nil)
	var b bytes.Buffer
	w := zipstrict.NewWriter(&b)
	for _, name := range []string{"a.txt", "b.txt"} {
		if err := w.Store(name, []byte("text of "+name+"\n")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	archive := b.Bytes()
	le := binary.LittleEndian
	end := func(b []byte) []byte { return b[len(b)-22:] }
	listed := func(b []byte, n int) []byte { // the directory from its member n on
		d := b[le.Uint32(end(b)[16:]):]
		for range n {
			d = d[46+int(le.Uint16(d[28:])):]
		}
		return d
	}
	insert := func(b []byte, at int, s string) []byte {
		b = slices.Insert(b, at, []byte(s)...)
		le.PutUint32(end(b)[16:], le.Uint32(end(b)[16:])+uint32(len(s)))
		return b
	}
	for _, base := range []struct {
		kind sanitize.Kind
		b    []byte
	}{{sanitize.KindDOCX, word}, {sanitize.KindZIP, archive}} {
		if err := checkFile(base.kind, base.b); err != nil {
			t.Fatalf("%s: %v", base.kind, err)
		}
		for what, change := range map[string]func(b []byte) []byte{
			"octets in front":             func(b []byte) []byte { return slices.Insert(b, 0, []byte("MZ")...) },
			"octets in front, counted":    func(b []byte) []byte { return insert(b, 0, "MZ") },
			"octets before the directory": func(b []byte) []byte { return insert(b, int(le.Uint32(end(b)[16:])), "PK\x03\x04") },
			"octets behind":               func(b []byte) []byte { return append(b, 0) },
			"a comment":                   func(b []byte) []byte { le.PutUint16(end(b)[20:], 1); return append(b, 'x') },
			"a member that is another":    func(b []byte) []byte { copy(listed(b, 0)[42:46], listed(b, 1)[42:46]); return b },
			"a size only in front":        func(b []byte) []byte { b[18]++; return b },
			"a method only in front":      func(b []byte) []byte { b[8] ^= 8; return b },
			"a name only in front":        func(b []byte) []byte { b[30]++; return b },
			"a link":                      func(b []byte) []byte { le.PutUint32(listed(b, 0)[38:], 0xA1FF<<16); return b },
			"a member that is not listed": func(b []byte) []byte {
				n := 46 + int(le.Uint16(listed(b, 0)[28:]))
				at := int(le.Uint32(end(b)[16:]))
				b = slices.Delete(b, at, at+n)
				le.PutUint16(end(b)[8:], le.Uint16(end(b)[8:])-1)
				le.PutUint16(end(b)[10:], le.Uint16(end(b)[10:])-1)
				le.PutUint32(end(b)[12:], le.Uint32(end(b)[12:])-uint32(n))
				return b
			},
		} {
			if err := checkFile(base.kind, change(bytes.Clone(base.b))); !errors.Is(err, ErrNotAllowed) {
				t.Errorf("%s with %s: %v, want it not allowed", base.kind, what, err)
			}
		}
	}
}

func TestNothingIsCarriedBehindAMember(t *testing.T) {
	var packed bytes.Buffer
	d, err := flate.NewWriter(&packed, flate.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write([]byte("text\n")); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		behind string
		sum    uint32
		size   int64
		good   bool
	}{
		"nothing":          {"", crc32.ChecksumIEEE([]byte("text\n")), 5, true},
		"octets behind":    {"MZ", crc32.ChecksumIEEE([]byte("text\n")), 5, false},
		"another checksum": {"", 1, 5, false},
		"another size":     {"", crc32.ChecksumIEEE([]byte("text\n")), 6, false},
	} {
		var b bytes.Buffer
		w := zipstrict.NewWriter(&b)
		if err := w.Packed("a.txt", c.sum, c.size, append(bytes.Clone(packed.Bytes()), c.behind...)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := checkFile(sanitize.KindZIP, b.Bytes()); (err == nil) != c.good || err != nil && !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestColumnsOfTablesAreNoOtherWorkbooks(t *testing.T) {
	for f, bad := range map[string]bool{
		"Table1[2024]": false, "SUM(Table1[[2024],[2025]])": false, `"[1]x!"`: false,
		"[1]Sheet!A1": true, "'[12]My Sheet'!A1": true, "SUM(A1,[2]S!B2)": true, "[3]!Name": true,
	} {
		if err := formula(f); (err != nil) != bad {
			t.Errorf("formula %s: %v", f, err)
		}
	}
}

func TestPicturesHaveNothingBehindTheirEnd(t *testing.T) {
	var p bytes.Buffer
	if err := png.Encode(&p, corpus.Picture()); err != nil {
		t.Fatal(err)
	}
	var g bytes.Buffer
	frame := image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.White})
	if err := gif.EncodeAll(&g, &gif.GIF{Image: []*image.Paletted{frame, frame}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	for k, b := range map[sanitize.Kind][]byte{sanitize.KindPNG: p.Bytes(), sanitize.KindJPEG: photographs(t)["colours"], sanitize.KindGIF: g.Bytes(), sanitize.KindTIFF: tiffOfOnePixel()} {
		if err := checkFile(k, b); err != nil {
			t.Errorf("%s: %v", k, err)
		}
		for _, tail := range []string{"x", "PK\x05\x06", corpus.Macro} {
			if err := checkFile(k, append(bytes.Clone(b), tail...)); err == nil {
				t.Errorf("%s with %q behind its end is allowed", k, tail)
			}
		}
	}
	withText := append(bytes.Clone(p.Bytes()[:33]), append([]byte("\x00\x00\x00\x05tEXta\x00bcd\x00\x00\x00\x00"), p.Bytes()[33:]...)...)
	if err := checkFile(sanitize.KindPNG, withText); err == nil {
		t.Error("a PNG with a text chunk is allowed")
	}
}

// tiffOfOnePixel is laid out as the gateway lays its own out: header,
// directory, packed pixel.
func tiffOfOnePixel() []byte {
	var pixel bytes.Buffer
	z := zlib.NewWriter(&pixel)
	z.Write([]byte{0x80})
	z.Close()
	le := binary.LittleEndian
	b := append([]byte("II*\x00\x08\x00\x00\x00"), 7, 0)
	for _, e := range [][3]uint32{{256, 4, 1}, {257, 4, 1}, {258, 3, 1}, {259, 3, 8}, {262, 3, 1}, {273, 4, 98}, {279, 4, uint32(pixel.Len())}} {
		b = le.AppendUint16(le.AppendUint16(b, uint16(e[0])), uint16(e[1]))
		b = le.AppendUint32(le.AppendUint32(b, 1), e[2])
	}
	b = append(append(b, 0, 0, 0, 0), pixel.Bytes()...)
	if pixel.Len()%2 == 1 {
		b = append(b, 0)
	}
	return b
}

func TestPicturesHoldNothingBesideTheirPixels(t *testing.T) {
	b := tiffOfOnePixel()
	for what, change := range map[string]func(b []byte) []byte{
		"a maker's note":          func(b []byte) []byte { b[10], b[11] = 0x7c, 0x92; return b },
		"a second page elsewhere": func(b []byte) []byte { b[94] = 10; return b },
		"a strip beyond the file": func(b []byte) []byte { b[90] = 200; return b },
		"another packing":         func(b []byte) []byte { b[54] = 5; return b },
		"a big-endian header":     func(b []byte) []byte { return append([]byte("MM\x00*"), b[4:]...) },
	} {
		if err := checkFile(sanitize.KindTIFF, change(bytes.Clone(b))); err == nil {
			t.Errorf("a TIFF with %s is allowed", what)
		}
	}
	var g bytes.Buffer
	if err := gif.Encode(&g, image.NewPaletted(image.Rect(0, 0, 4, 4), color.Palette{color.Black, color.White}), nil); err != nil {
		t.Fatal(err)
	}
	at := bytes.IndexByte(g.Bytes()[13:], 0x2c) + 13
	for what, block := range map[string]string{"a comment": "\x21\xfe\x04EVIL\x00", "a foreign extension": "\x21\xff\x0bXMP DataXMP\x01a\x00", "shown text": "\x21\x01\x0caaaaaaaaaaaa\x00"} {
		if err := checkFile(sanitize.KindGIF, slices.Concat(g.Bytes()[:at], []byte(block), g.Bytes()[at:])); err == nil {
			t.Errorf("a GIF with %s is allowed", what)
		}
	}
}

func TestKindsThatAreNeverWritten(t *testing.T) {
	for _, k := range []sanitize.Kind{sanitize.KindXDW, sanitize.KindDOCM, sanitize.KindZIP, sanitize.KindUnknown, ""} {
		if err := checkFile(k, []byte("hello")); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("kind %q: %v, want it not allowed", k, err)
		}
	}
}

// packed packs members the way our writer does.
func packed(t *testing.T, members ...[2]string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zipstrict.NewWriter(&b)
	for i, m := range members {
		if i == 0 {
			if err := z.Store(m[0], []byte(m[1])); err != nil {
				t.Fatal(err)
			}
			continue
		}
		w, err := z.Create(m[0])
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(m[1])); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestOpenDocumentsOffTheListAreRefused(t *testing.T) {
	const (
		media = "application/vnd.oasis.opendocument.text"
		o     = `urn:oasis:names:tc:opendocument:xmlns:`
		root  = `<office:document-content xmlns:office="` + o + `office:1.0" xmlns:text="` + o + `text:1.0" xmlns:table="` + o + `table:1.0" xmlns:draw="` + o + `drawing:1.0" xmlns:script="` + o + `script:1.0" xmlns:form="` + o + `form:1.0" xmlns:presentation="` + o + `presentation:1.0" xmlns:chart="` + o + `chart:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:math="http://www.w3.org/1998/Math/MathML"`
	)
	manifest := func(more string) [2]string {
		return [2]string{"META-INF/manifest.xml", `<manifest:manifest xmlns:manifest="` + o + `manifest:1.0"><manifest:file-entry manifest:full-path="/" manifest:media-type="` + media + `"/><manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/>` + more + `</manifest:manifest>`}
	}
	doc := func(body string) []byte {
		return packed(t, [2]string{"mimetype", media}, [2]string{"content.xml", root + `>` + body + `</office:document-content>`}, manifest(""))
	}
	look := func(k sanitize.Kind, b []byte) error {
		opts := sanitize.Options{Limits: sanitize.DefaultLimits()}
		s := sanitize.NewSession(&opts, int64(len(b)), nil, nil)
		return File(t.Context(), s, k, bytes.NewReader(b), int64(len(b)))
	}
	for name, body := range map[string]string{
		"words": `<office:body><office:text><text:p>本文 <text:a xlink:href="https://example.jp/">x</text:a></text:p></office:text></office:body>`,
		"sum":   `<table:table-cell table:formula="of:=SUM([.A1:.B2])"/>`,
		"slide": `<presentation:event-listener script:event-name="dom:click" presentation:action="show" xlink:href="#p"/>`,
	} {
		if err := look(sanitize.KindODT, doc(body)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, body := range map[string]string{
		"script": `<office:scripts/>`, "listener": `<script:event-listener/>`, "field that runs": `<text:execute-macro/>`, "section": `<text:section-source xlink:href="x"/>`,
		"object": `<draw:object-ole/>`, "plugin": `<draw:plugin/>`, "frame": `<draw:floating-frame/>`, "DDE": `<text:dde-connection/>`, "database": `<table:database-source-sql/>`,
		"link to a file": `<text:a xlink:href="file:///x"/>`, "linked picture": `<draw:image xlink:href="http://evil.example/x.png"/>`, "picture that is not there": `<draw:image xlink:href="Pictures/1.png"/>`,
		"object that is not there": `<draw:object xlink:href="./Object 1"/>`, "link of nothing": `<text:p xlink:href="#x"/>`, "click that runs": `<presentation:event-listener presentation:action="execute"/>`,
		"formula": `<table:table-cell table:formula="of:=COM.MICROSOFT.WEBSERVICE(1)"/>`, "other document": `<table:table-cell table:formula="of:=['file:///x'#$S.A1]"/>`, "range": `<table:named-range table:cell-range-address="'file:///x'#$S.A1"/>`,
		"control": `<form:button form:control-implementation="ooo:com.example"/>`, "submission": `<form:button form:button-type="submit"/>`, "chart": `<chart:chart chart:class="ooo:com.example"/>`,
		"namespace": `<x:y xmlns:x="http://evil.example/"/>`, "attribute": `<text:p xmlns:x="http://evil.example/" x:y="1"/>`, "data": `<text:p><office:binary-data>AAAA</office:binary-data></text:p>`, "instruction": `<?x y?>`, "macro name": `<text:p script:macro-name="x"/>`,
	} {
		if err := look(sanitize.KindODT, doc(body)); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%s: %v", name, err)
		}
		flat := []byte(strings.Replace(root, "document-content", "document", 1) + ` office:mimetype="` + media + `">` + body + `</office:document>`)
		if err := look(sanitize.KindFODT, flat); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("flat, %s: %v", name, err)
		}
	}
	content := [2]string{"content.xml", root + `/>`}
	for name, b := range map[string][]byte{
		"another type":      packed(t, [2]string{"mimetype", "application/vnd.oasis.opendocument.spreadsheet"}, content, manifest("")),
		"type not first":    packed(t, content, [2]string{"mimetype", media}, manifest("")),
		"no manifest":       packed(t, [2]string{"mimetype", media}, content),
		"manifest lies":     packed(t, [2]string{"mimetype", media}, content, manifest(`<manifest:file-entry manifest:full-path="styles.xml"/>`)),
		"encrypted":         packed(t, [2]string{"mimetype", media}, content, manifest(`<manifest:encryption-data/>`)),
		"macro":             packed(t, [2]string{"mimetype", media}, content, [2]string{"Basic/Standard/Module1.xml", "x"}, manifest("")),
		"picture of nobody": packed(t, [2]string{"mimetype", media}, content, [2]string{"Pictures/1.png", "x"}, manifest(`<manifest:file-entry manifest:full-path="Pictures/1.png"/>`)),
		"part of nobody":    packed(t, [2]string{"mimetype", media}, content, [2]string{"Object 1/content.xml", root + `/>`}, manifest(`<manifest:file-entry manifest:full-path="Object 1/content.xml"/>`)),
		"not in it":         packed(t, [2]string{"mimetype", media}, content, [2]string{"styles.xml", `<office:document-styles xmlns:office="` + o + `office:1.0"/>`}, manifest("")),
		"other root":        packed(t, [2]string{"mimetype", media}, [2]string{"content.xml", `<text:p xmlns:text="` + o + `text:1.0"/>`}, manifest("")),
		"DOCTYPE":           packed(t, [2]string{"mimetype", media}, [2]string{"content.xml", `<!DOCTYPE x>` + root + `/>`}, manifest("")),
	} {
		if err := look(sanitize.KindODT, b); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestALinkIntoAnotherDocumentIsNotAllowed: Excel takes a place with another
// workbook in brackets for one in that workbook.
func TestALinkIntoAnotherDocumentIsNotAllowed(t *testing.T) {
	for l, ok := range map[officeart.Link]bool{
		{Place: "Sheet1!A1"}:                        true,
		{Place: `'[\\evil\x.xls]S'!A1`}:             false,
		{Target: "https://example.jp/", Place: "a"}: true,
	} {
		if err := checkLink("x", l.AppendTo(nil)); (err == nil) != ok {
			t.Errorf("%+v: %v", l, err)
		}
	}
}
