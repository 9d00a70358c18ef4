package pdf

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/fax"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// programs runs the tools themselves; their sandbox is tested where it is
// built.
func programs(t testing.TB) func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error {
	t.Helper()
	for _, p := range []string{"pdftoppm", "pdftocairo", "pdftotext"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: `make deps` installs it", p)
		}
	}
	return func(ctx context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
		if c.Tool == sanitize.FontNames {
			_, err := io.WriteString(out, "IPAMincho,IPA明朝\n")
			return err
		}
		if c.Tool == sanitize.PDFGreys {
			return greys(ctx, t, c, in, out)
		}
		args := []string{"-q", "-cropbox", "-f", fmt.Sprint(c.First), "-l", fmt.Sprint(c.Last)}
		name := "pdftoppm"
		if c.Tool == sanitize.PDFWords {
			name, args = "pdftotext", append(args, "-enc", "UTF-8", "-bbox", "-", "-")
		} else {
			if c.Grey == 1 {
				args = append(args, "-gray")
			}
			args = append(args, "-r", fmt.Sprint(c.DPI), "-")
		}
		cmd := exec.CommandContext(ctx, name, args...)
		cmd.Stdin, cmd.Stdout = in, out
		return cmd.Run()
	}
}

// greys runs the program that writes files, and gives them as the sandbox does.
func greys(ctx context.Context, t testing.TB, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
	dir := t.TempDir()
	cmd := exec.CommandContext(ctx, "pdftocairo", "-q", "-cropbox", "-tiff", "-tiffcompression", "none", "-gray", "-r", fmt.Sprint(c.DPI), "-f", fmt.Sprint(c.First), "-l", fmt.Sprint(c.Last), "-", dir+"/p")
	cmd.Stdin = in
	if err := cmd.Run(); err != nil {
		return err
	}
	names, err := os.ReadDir(dir)
	for _, n := range names {
		var b []byte
		if b, err = os.ReadFile(filepath.Join(dir, n.Name())); err == nil {
			_, err = out.Write(append(binary.BigEndian.AppendUint64(nil, uint64(len(b))), b...))
		}
		if err != nil {
			break
		}
	}
	return err
}

func look(b []byte) error {
	return verify.File(context.Background(), session(len(b), nil), sanitize.KindPDF, bytes.NewReader(b), int64(len(b)))
}

// draw turns b into pages and has the second look judge them.
func draw(t *testing.T, b []byte) ([]byte, *sanitize.Session, error) {
	t.Helper()
	s := session(len(b), nil)
	s.Tools = programs(t)
	var out bytes.Buffer
	res, err := Pages{}.Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	if err != nil {
		return nil, s, err
	}
	if res.Kind != sanitize.KindPDF || res.Mode != sanitize.Flatten || res.Outcome != sanitize.Disarmed {
		t.Errorf("%+v", res)
	}
	if err := look(out.Bytes()); err != nil {
		t.Fatalf("the second look: %v", err)
	}
	return out.Bytes(), s, nil
}

func TestPagesAreNothingButPicturesAndWords(t *testing.T) {
	b := page("/OpenAction << /S /JavaScript /JS (app.alert\\(1\\)) >>", "/Annots [<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /A << /S /URI /URI (https://example.jp/) >> >>]")
	out, _, err := draw(t, b)
	if err != nil {
		t.Fatal(err)
	}
	all := unpack(t, out)
	for _, gone := range []string{"JavaScript", "Annot", "example.jp", "Helvetica", "The words stay"} {
		if strings.Contains(all, gone) {
			t.Errorf("%q is still there", gone)
		}
	}
	cmd := exec.Command("pdftotext", "-", "-")
	cmd.Stdin = bytes.NewReader(out)
	if words, err := cmd.Output(); err != nil || strings.Join(strings.Fields(string(words)), " ") != "The words stay" {
		t.Errorf("words %q, %v", words, err)
	}
}

func TestAPageLooksAsItDid(t *testing.T) {
	b := page("", "", "<< >>")
	out, _, err := draw(t, b)
	if err != nil {
		t.Fatal(err)
	}
	pixels := func(b []byte) []byte {
		cmd := exec.Command("pdftoppm", "-q", "-r", "50", "-gray")
		cmd.Stdin = bytes.NewReader(b)
		p, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	before, after := pixels(b), pixels(out)
	if len(before) != len(after) {
		t.Fatalf("%d and %d octets of pixels", len(before), len(after))
	}
	sum := 0
	for i := range before {
		d := int(before[i]) - int(after[i])
		sum += max(d, -d)
	}
	if mean := float64(sum) / float64(255*len(before)); mean > 0.005 {
		t.Errorf("the page differs by %.2f %%", 100*mean)
	}
	again, _, err := draw(t, b)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("the same page drawn twice makes two files: %v", err)
	}
}

func TestEveryPageIsPackedByWhatItShows(t *testing.T) {
	s := session(1<<20, nil)
	for what, c := range map[string]struct {
		samples int
		at      func(x, y int) [3]byte
		want    string
	}{
		"letters":      {3, func(x, y int) [3]byte { v := byte(255 * (x / 5 % 2)); return [3]byte{v, v, v} }, "/BitsPerComponent 2"},
		"greys":        {1, func(x, y int) [3]byte { return [3]byte{byte(x / 8 * 16)} }, "/BitsPerComponent 4"},
		"few colours":  {3, func(x, y int) [3]byte { return [3]byte{byte(x / 50 * 100), 200, 10} }, "/Indexed"},
		"a photograph": {3, func(x, y int) [3]byte { return [3]byte{byte(x*7 ^ y), byte(y * 3), byte(x * y)} }, "/DCTDecode"},
	} {
		const side = 120
		var pixels []byte
		for y := range side {
			for x := range side {
				v := c.at(x, y)
				pixels = append(pixels, v[:c.samples]...)
			}
		}
		var out bytes.Buffer
		p := &pictures{s: s, w: newWriter(&out, 1<<30), dpi: 150, sheets: []drawn{{width: 100, height: 100}}}
		p.parent = p.w.number()
		if err := firstOf(p.take(side, side, c.samples, pixels), p.settle(0)); err != nil {
			t.Fatal(err)
		}
		if err := p.finish(); err != nil {
			t.Fatal(err)
		}
		if err := look(out.Bytes()); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if !strings.Contains(out.String(), c.want) {
			t.Errorf("%s: no %s", what, c.want)
		}
	}
}

// TestSmallPagesAreBlackAndWhite: a page of letters is, a picture is not.
func TestSmallPagesAreBlackAndWhite(t *testing.T) {
	text := "BT /F 12 Tf 20 50 Td (letters and nothing else) Tj ET"
	b := fmt.Appendf(nil, "%%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"+
		"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Resources<</Font<</F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>/Contents 4 0 R>>\nendobj\n"+
		"4 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\ntrailer\n<</Root 1 0 R>>\n%%%%EOF\n", len(text), text)
	s := session(len(b), nil)
	s.Tools, s.Options.SmallPages = programs(t), true
	var out bytes.Buffer
	if _, err := (Pages{}).Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out); err != nil {
		t.Fatal(err)
	}
	if err := look(out.Bytes()); err != nil {
		t.Errorf("the second look: %v", err)
	}
	usual, _, err := draw(t, b)
	if err != nil {
		t.Fatal(err)
	}
	all := unpack(t, out.Bytes())
	if !strings.Contains(all, "/CCITTFaxDecode") || !strings.Contains(all, "/BitsPerComponent 1") {
		t.Error("the page is not in group 4")
	}
	pixels := func(b []byte) []byte {
		cmd := exec.Command("pdftoppm", "-q", "-r", "50", "-gray")
		cmd.Stdin = bytes.NewReader(b)
		p, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	// A point of 200 dpi and one of 150 are not of one size, so pages differ by
	// half a pixel at their edges; the words do not.
	dark := func(b []byte) (n int) {
		for _, v := range pixels(b) {
			n += 255 - int(v)
		}
		return n
	}
	if small, grey := dark(out.Bytes()), dark(usual); small < grey*8/10 || small > grey*12/10 {
		t.Errorf("the small page has %d of black, the usual one %d", small, grey)
	}
	// Where the codes repeat they are deflated once more.
	strokes := bytes.Repeat([]byte{255}, 400*400)
	for i := range strokes {
		if x, y := i%400, i/400; (x*5+y*3)%7 == 0 {
			strokes[i] = 0
		}
	}
	tables := fax.NewTables()
	d, packed, err := (&packer{fax: tables}).page(400, 400, 1, strokes)
	if chain, ok := d["Filter"].(pdf.Array); err != nil || !ok || !slices.Equal(chain, pdf.Array{pdf.Name("FlateDecode"), pdf.Name("CCITTFaxDecode")}) {
		t.Fatalf("strokes became %v, %v", d, err)
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	coded, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if rows, n := (fax.Coding{K: -1, Columns: 400, Rows: 400}).Decode(tables, coded); n != 400 || !bytes.Equal(rows, blackened(strokes, 400, 400)) {
		t.Errorf("%d rows come back, or others", n)
	}
	var small bytes.Buffer
	p := &pictures{s: session(1<<20, nil), w: newWriter(&small, 1<<30), dpi: 200, sheets: []drawn{{width: 144, height: 144}}, packer: packer{fax: tables}}
	p.parent = p.w.number()
	if err := firstOf(p.take(400, 400, 1, strokes), p.settle(0), p.finish()); err != nil {
		t.Fatal(err)
	}
	if err := look(small.Bytes()); err != nil {
		t.Errorf("the second look at a page deflated once more: %v", err)
	}
	must(t, small.Bytes())
	box := bytes.Repeat([]byte{255}, 200*200)
	for i := range 1000 {
		box[i] = 180
	}
	if d, _, err := (&packer{fax: fax.NewTables()}).page(200, 200, 1, box); err != nil || d["BitsPerComponent"] == int64(1) {
		t.Errorf("a shaded box became %v, %v", d, err)
	}
	grey := make([]byte, 120*120)
	for i := range grey {
		grey[i] = byte(i % 120 / 8 * 16)
	}
	if d, _, err := (&packer{fax: fax.NewTables()}).page(120, 120, 1, grey); err != nil || d["BitsPerComponent"] == int64(1) {
		t.Errorf("a picture became %v, %v", d, err)
	}
}

// TestAFontThatIsNotThereIsTold: of a document that holds its fonts there is
// nothing to tell.
func TestAFontThatIsNotThereIsTold(t *testing.T) {
	font := func(name, file string) []byte {
		return sheetsOf("/Font<</F 10 0 R>>", "10 0 obj\n<</Type/Font/Subtype/TrueType/BaseFont/"+name+"/FontDescriptor 11 0 R>>\nendobj\n"+
			"11 0 obj\n<</Type/FontDescriptor/FontName/"+name+"/Flags 4"+file+">>\nendobj\n12 0 obj\n<</Length 0>>\nstream\n\nendstream\nendobj\n", "BT /F 12 Tf 20 50 Td (letters) Tj ET")
	}
	for _, c := range []struct{ name, file, want string }{
		{"MS-Mincho", "", "MS-Mincho"}, {"MS-Mincho,Bold", "", "MS-Mincho"}, {"#82l#82r#96#BE#92#A9", "", "ＭＳ明朝"},
		{"ABCDEF+MS-Mincho", "/FontFile2 12 0 R", ""}, {"Helvetica-Bold", "", ""}, {"IPAMincho", "", ""},
	} {
		b := font(c.name, c.file)
		s := session(len(b), nil)
		s.Tools, s.Table = programs(t), map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindPDF: Pages{}}
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, io.Discard); err != nil {
			t.Fatal(err)
		}
		var told []string
		for _, f := range s.Parts()[0].Findings {
			if f.Rule == sanitize.FontRule {
				told = append(told, f.Where)
			}
		}
		if strings.Join(told, " ") != c.want {
			t.Errorf("%s%s: told %q, want %q", c.name, c.file, told, c.want)
		}
	}
}

func TestOnlyTextIsTyped(t *testing.T) {
	p := &pictures{}
	got := p.typed("福\ue000a\u202eb\u200b\x01\U0001F600\ufffd")
	if want := []uint16{0x798F, 'a', 'b', 0xD83D, 0xDE00}; !slices.Equal(got, want) || p.boxes != 1 {
		t.Errorf("%04X, %d of private use", got, p.boxes)
	}
}

func TestWhatADrawingProgramLiesAboutIsRefused(t *testing.T) {
	pnms := map[string]struct {
		b    string
		want error
	}{
		"no picture":      {"%PDF-1.7\n1 2\n3\n", sanitize.ErrTool},
		"too wide":        {"P5\n99999 2\n255\n", sanitize.ErrLimit},
		"negative":        {"P5\n-4 2\n255\n", sanitize.ErrMalformed},
		"sixteen bits":    {"P5\n4 2\n65535\n", sanitize.ErrTool},
		"a long header":   {"P5\n" + strings.Repeat("#", 100), sanitize.ErrTool},
		"cut short":       {"P5\n4 2\n255\nabc", sanitize.ErrTool},
		"a page too many": {"P5\n2 1\n255\nabP5\n2 1\n255\nab", errMore},
	}
	for what, c := range pnms {
		p := &pictures{s: session(100, nil), w: newWriter(io.Discard, 1<<20), dpi: 150, sheets: []drawn{{width: 9, height: 9}}}
		p.parent = p.w.number()
		d := &pageStream{s: p.s, page: p.take, room: p.room}
		_, err := io.Copy(d, strings.NewReader(c.b))
		if err == nil {
			err = d.end()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestManyPagesAreDrawnSmallerOrNotAtAll(t *testing.T) {
	a4 := drawn{width: 595, height: 842}
	for n, c := range map[int]struct{ least, most int }{1: {150, 150}, 200: {140, 150}, 490: {90, 110}} {
		dpi, err := resolution(session(100, nil), slices.Repeat([]drawn{a4}, n), pageDPI)
		if err != nil || dpi < c.least || dpi > c.most {
			t.Errorf("%d pages at %d dpi, %v", n, dpi, err)
		}
	}
	if dpi, err := resolution(session(100, nil), []drawn{{width: 14400, height: 14400}}, pageDPI); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("a page of five metres at %d dpi: %v", dpi, err)
	}
	if dpi, err := resolution(session(100, nil), []drawn{{width: 3370, height: 2384}}, pageDPI); err != nil || dpi != 149 && dpi != 150 {
		t.Errorf("A0 at %d dpi, %v", dpi, err)
	}
}

func BenchmarkPages(b *testing.B) {
	doc := page("", "")
	tools := programs(b)
	for b.Loop() {
		s := session(len(doc), nil)
		s.Tools = tools
		if _, err := (Pages{}).Sanitize(b.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(doc), Size: int64(len(doc)), Path: "1"}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

// TestManyEmptyPagesAreNoBomb: a white page packs a thousand to one. What comes
// of sixty of them is let through by the second look, and is rebuilt when it is
// sent on.
func TestManyEmptyPagesAreNoBomb(t *testing.T) {
	const n = 60
	var kids, pages strings.Builder
	for i := range n {
		fmt.Fprintf(&kids, "%d 0 R ", 3+i)
		fmt.Fprintf(&pages, "%d 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]>>\nendobj\n", 3+i)
	}
	in := fmt.Appendf(nil, "%%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[%s]/Count %d>>\nendobj\n%strailer\n<</Root 1 0 R>>\n%%%%EOF\n", kids.String(), n, pages.String())
	out, _, err := draw(t, in)
	if err != nil {
		t.Fatal(err)
	}
	if len(out) > 200_000 {
		t.Errorf("%d octets for %d empty pages", len(out), n)
	}
	if err := look(out); err != nil {
		t.Errorf("the second look: %v", err)
	}
	must(t, out)
}

// Where another program sees fewer pages than are expected, or other ones, it is
// asked once more without saying how many.
func TestWordsAreReadOfAnyNumberOfPages(t *testing.T) {
	s := session(1<<20, nil)
	var asked []int
	s.Tools = func(_ context.Context, c sanitize.ToolCall, _ io.Reader, out io.Writer) error {
		if asked = append(asked, c.Of); c.Of > 0 {
			return sanitize.ErrTool
		}
		_, err := io.WriteString(out, "<page width=\"595\" height=\"842\">\n<word xMin=\"1\" yMin=\"1\" xMax=\"9\" yMax=\"9\">a</word>\n</page>\n")
		return err
	}
	got, err := readWords(t.Context(), s, sanitize.Object{ReaderAt: strings.NewReader(""), Size: 0}, 20)
	if err != nil || len(got) != 1 || !slices.Equal(asked, []int{20, 0}) {
		t.Errorf("%v, %v, asked %d", got, err, asked)
	}
	s.Tools = func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error {
		asked = append(asked, -1)
		return sanitize.ErrSlow
	}
	if _, err := readWords(t.Context(), s, sanitize.Object{ReaderAt: strings.NewReader(""), Size: 0}, 20); !errors.Is(err, sanitize.ErrSlow) || len(asked) != 3 {
		t.Errorf("%v, asked %d", err, asked)
	}
}
