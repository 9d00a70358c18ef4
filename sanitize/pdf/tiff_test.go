package pdf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// tiffPage is a page as the program writes it, behind its length.
func tiffPage(width, height, rows, dpi int, pixels []byte) []byte {
	at := tiffHeader + (len(pixels)+1)&^1
	b := make([]byte, tiffLength)
	b = append(b, "II*\x00"...)
	b = binary.LittleEndian.AppendUint32(b, uint32(at))
	b = append(b, pixels...)
	if len(pixels)%2 != 0 {
		b = append(b, 0)
	}
	b = directory(b, width, height, rows, dpi)
	binary.BigEndian.PutUint64(b, uint64(len(b)-tiffLength))
	return b
}

// taken are the pages that are taken out of b, whose sheets have these sides at
// 72 dpi.
func taken(b []byte, sheets []drawn, piece int) (pages [][]byte, sides [][2]int, err error) {
	d := &tiffStream{s: session(100, nil), dpi: 72, sheets: sheets, room: func(n int) []byte { return make([]byte, 0, n) }}
	d.page = func(width, height, samples int, pixels []byte) error {
		if samples != 1 || len(pixels) != width*height {
			return errors.New("a page of other pixels than its sides say")
		}
		pages, sides = append(pages, pixels), append(sides, [2]int{width, height})
		return nil
	}
	for len(b) > 0 && err == nil {
		k := min(piece, len(b))
		_, err = d.Write(b[:k])
		b = b[k:]
	}
	return pages, sides, firstOf(err, d.end())
}

// sized is a document of empty pages of these sides.
func sized(sheets []drawn) []byte {
	var kids, pages strings.Builder
	for i, s := range sheets {
		fmt.Fprintf(&kids, "%d 0 R ", 3+i)
		fmt.Fprintf(&pages, "%d 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 %g %g]>>\nendobj\n", 3+i, s.width, s.height)
	}
	return fmt.Appendf(nil, "%%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[%s]/Count %d>>\nendobj\n%strailer\n<</Root 1 0 R>>\n%%%%EOF\n", kids.String(), len(sheets), pages.String())
}

// TestPagesOfTheProgramAreTaken: with strips of one row and many, one, two, three
// of them, and pixels that need an octet more.
func TestPagesOfTheProgramAreTaken(t *testing.T) {
	var sheets []drawn
	for _, s := range [][2]float64{{1, 1}, {3, 5}, {64, 128}, {64, 129}, {200, 50}, {100, 100}, {101, 163}, {101, 170}, {595.3, 841.9}, {9000, 3}} {
		sheets = append(sheets, drawn{width: s[0], height: s[1]})
	}
	b := sized(sheets)
	var out bytes.Buffer
	if err := programs(t)(t.Context(), sanitize.ToolCall{Tool: sanitize.PDFGreys, First: 1, Last: len(sheets), DPI: 72}, bytes.NewReader(b), &out); err != nil {
		t.Fatal(err)
	}
	pages, sides, err := taken(out.Bytes(), sheets, 1000)
	if err != nil || len(pages) != len(sheets) {
		t.Fatalf("%d of %d pages, %v", len(pages), len(sheets), err)
	}
	for i, p := range pages {
		if bytes.Count(p, []byte{255}) != len(p) {
			t.Errorf("page %d of %d x %d is not empty", i+1, sides[i][0], sides[i][1])
		}
	}
}

func TestATIFFOfAnotherFormIsRefused(t *testing.T) {
	sheets := []drawn{{width: 5, height: 7}}
	good := tiffPage(5, 7, 3, 72, bytes.Repeat([]byte{7}, 35))
	if pages, _, err := taken(good, sheets, 1); err != nil || len(pages) != 1 {
		t.Fatalf("the file itself: %v", err)
	}
	const first, last = tiffLength + tiffHeader, tiffLength + tiffHeader + 35
	for i := range good {
		for _, bit := range []byte{1, 0x80} {
			b := bytes.Clone(good)
			b[i] ^= bit
			pages, _, err := taken(b, sheets, len(b))
			if pixel := i >= first && i < last; pixel != (err == nil) || !pixel && len(pages) > 0 {
				t.Errorf("octet %d of %d another one: %d pages, %v", i, len(good), len(pages), err)
			}
		}
	}
	for what, b := range map[string][]byte{
		"nothing":            nil,
		"cut short":          good[:len(good)-1],
		"an octet more":      append(bytes.Clone(good), 0),
		"a page too many":    append(bytes.Clone(good), good...),
		"larger":             tiffPage(7, 7, 3, 72, make([]byte, 49)),
		"smaller":            tiffPage(2, 2, 2, 72, make([]byte, 4)),
		"of another shape":   tiffPage(1, 35, 3, 72, make([]byte, 35)),
		"another resolution": tiffPage(5, 7, 3, 73, make([]byte, 35)),
		"a PNM":              []byte("P5\n5 7\n255\n" + strings.Repeat("x", 35)),
	} {
		if _, _, err := taken(b, sheets, max(len(b), 1)); !errors.Is(err, sanitize.ErrTool) {
			t.Errorf("%s: %v", what, err)
		}
	}
	// A page that is turned, and one that is rounded otherwise.
	for _, b := range [][]byte{tiffPage(7, 5, 3, 72, make([]byte, 35)), tiffPage(6, 7, 3, 72, make([]byte, 42))} {
		if _, _, err := taken(b, sheets, len(b)); err != nil {
			t.Error(err)
		}
	}
}

// TestWhatIsLeftUndoneIsDrawnByTheOtherProgram: whatever the first one gives, the
// document has all of its pages, once each and in their order.
func TestWhatIsLeftUndoneIsDrawnByTheOtherProgram(t *testing.T) {
	b := sheetsOf("", "", "0 0 10 50 re f", "0 0 30 50 re f", "0 0 50 50 re f")
	run := programs(t)
	drawnBy := func(first func(c sanitize.ToolCall, in io.Reader, out io.Writer) error) (string, []sanitize.ToolCall, error) {
		s := session(len(b), nil)
		var calls []sanitize.ToolCall
		s.Tools = func(ctx context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
			if c.Tool == sanitize.PDFGreys || c.Tool == sanitize.PDFPixels {
				calls = append(calls, c)
			}
			if c.Tool == sanitize.PDFGreys {
				return first(c, in, out)
			}
			return run(ctx, c, in, out)
		}
		var out bytes.Buffer
		_, err := Pages{}.Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
		if err != nil {
			return "", calls, err
		}
		return out.String(), calls, look(out.Bytes())
	}
	want, calls, err := drawnBy(func(c sanitize.ToolCall, in io.Reader, out io.Writer) error { return run(t.Context(), c, in, out) })
	if err != nil || len(calls) != 1 {
		t.Fatalf("%d calls, %v", len(calls), err)
	}
	wanted := bars(t, want)
	near := func(a, b int) bool { return a-b >= -1 && a-b <= 1 } // each rounds edges in its way
	if len(wanted) != 3 || wanted[0] < 15 || wanted[1] < 2*wanted[0] || wanted[2] < wanted[0]+wanted[1] {
		t.Fatalf("bars of %d", wanted)
	}
	for what, c := range map[string]struct {
		first  func(c sanitize.ToolCall, in io.Reader, out io.Writer) error
		second int // page from which on the other one draws
	}{
		"it is not there": {func(sanitize.ToolCall, io.Reader, io.Writer) error { return sanitize.ErrNoTool }, 1},
		"it fails":        {func(sanitize.ToolCall, io.Reader, io.Writer) error { return sanitize.ErrTool }, 1},
		"it says nothing": {func(sanitize.ToolCall, io.Reader, io.Writer) error { return nil }, 1},
		"it says other things": {func(_ sanitize.ToolCall, _ io.Reader, out io.Writer) error {
			_, err := io.WriteString(out, strings.Repeat("P5\n1 1\n255\nx", 9))
			return err
		}, 1},
		"it takes too long": {func(sanitize.ToolCall, io.Reader, io.Writer) error { return sanitize.ErrSlow }, 1},
		"it fails in the middle": {func(c sanitize.ToolCall, in io.Reader, out io.Writer) error {
			c.Last = 2
			return firstOf(run(t.Context(), c, in, out), sanitize.ErrTool)
		}, 3},
	} {
		got, calls, err := drawnBy(c.first)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if bars := bars(t, got); !slices.EqualFunc(bars, wanted, near) {
			t.Errorf("%s: bars of %d, want %d", what, bars, wanted)
		}
		if len(calls) != 2 || calls[1].Tool != sanitize.PDFPixels || calls[1].Grey != 1 || calls[1].First != c.second || calls[1].Last != 3 {
			t.Errorf("%s: %+v", what, calls)
		}
	}
	// The message may not ask for more.
	for _, c := range []error{sanitize.ErrLimit} {
		if _, calls, err := drawnBy(func(sanitize.ToolCall, io.Reader, io.Writer) error { return c }); !errors.Is(err, c) || len(calls) != 1 {
			t.Errorf("%v: %d calls, %v", c, len(calls), err)
		}
	}
}

// bars are the lengths of what is black in the last row of each page, in pixels at
// 150 dpi.
func bars(t *testing.T, b string) (all []int) {
	t.Helper()
	var out bytes.Buffer
	if err := programs(t)(t.Context(), sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 9, DPI: 150, Grey: 1}, strings.NewReader(b), &out); err != nil {
		t.Fatal(err)
	}
	d := &pageStream{s: session(100, nil), room: func(n int) []byte { return make([]byte, 0, n) }, page: func(width, height, _ int, pixels []byte) error {
		all = append(all, bytes.Count(pixels[(height-2)*width:(height-1)*width], []byte{0}))
		return nil
	}}
	if _, err := d.Write(out.Bytes()); err != nil {
		t.Fatal(err)
	}
	return all
}

// FuzzTIFF: what is taken is, written once more, what was given, however it came
// in pieces; nothing else is taken.
func FuzzTIFF(f *testing.F) {
	f.Add(tiffPage(5, 7, 3, 72, bytes.Repeat([]byte{7}, 35)), 5, 7, 3)
	f.Add(append(tiffPage(64, 4, 1, 72, make([]byte, 256)), tiffPage(64, 4, 2, 72, make([]byte, 256))...), 64, 4, 1000)
	f.Add([]byte("\x00\x00\x00\x00\x00\x00\x01\x00II*\x00\xff\xff\xff\xff"), 1, 1, 1)
	f.Fuzz(func(t *testing.T, b []byte, width, height, piece int) {
		side := func(n int) float64 { return float64(1 + uint(n)%200) }
		sheet := drawn{width: side(width), height: side(height)}
		sheets := []drawn{sheet, sheet}
		pages, sides, err := taken(b, sheets, 1+int(uint(piece)%4096))
		again, _, err2 := taken(b, sheets, max(len(b), 1))
		if len(pages) != len(again) || (err == nil) != (err2 == nil) {
			t.Fatalf("in pieces %d pages, %v; at once %d, %v", len(pages), err, len(again), err2)
		}
		for i, p := range pages {
			// The fourth number is read from the file as the program counts it.
			rows := int(binary.LittleEndian.Uint16(b[tiffLength+tiffHeader+(len(p)+1)&^1+2+12*8+8:]))
			one := tiffPage(sides[i][0], sides[i][1], rows, 72, p)
			if !bytes.HasPrefix(b, one) {
				t.Fatalf("page %d of %d x %d is not what was given", i+1, sides[i][0], sides[i][1])
			}
			b = b[len(one):]
		}
	})
}

// TestLettersAndLinesArePlain: what more there is on a page is drawn by the
// program whose pictures were looked at for it.
func TestLettersAndLinesArePlain(t *testing.T) {
	resources := "/Font<</E <</Type/Font/Subtype/TrueType/BaseFont/A/FontDescriptor 20 0 R>>/J <</Type/Font/Subtype/Type0/BaseFont/A/DescendantFonts[<</Type/Font/FontDescriptor 20 0 R>>]>>" +
		"/N <</Type/Font/Subtype/Type1/BaseFont/Helvetica>>/K <</Type/Font/Subtype/Type0/BaseFont/A/DescendantFonts[<</Type/Font>>]>>/T <</Type/Font/Subtype/Type3/CharProcs<<>>>>>>" +
		"/XObject<</I <</Subtype/Image/ColorSpace/DeviceGray/Width 1/Height 1>>/F 22 0 R/G 23 0 R/H 24 0 R/R 25 0 R>>" +
		"/ExtGState<</O <</Type/ExtGState/ca 1/CA 1.0/BM/Normal/SMask/None/LW 2>>/A <</ca 0.5>>/M <</BM/Multiply>>/S <</SMask<<>>>>/P <</OP true>>>>/ColorSpace<</C [/CalGray<<>>]>>"
	objects := "20 0 obj\n<</Type/FontDescriptor/FontName/A/FontFile2 21 0 R>>\nendobj\n21 0 obj\n<</Length 0>>\nstream\n\nendstream\nendobj\n"
	for i, f := range []struct{ entries, program string }{
		{"", "0 g 0 0 9 9 re f"}, {"/Group<</S/Transparency>>", "0 g 0 0 9 9 re f"}, {"", "/I Do"}, {"", "/R Do"},
	} {
		objects += fmt.Sprintf("%d 0 obj\n<</Subtype/Form/BBox[0 0 9 9]%s/Length %d>>\nstream\n%s\nendstream\nendobj\n", 22+i, f.entries, len(f.program), f.program)
	}
	cases := []struct {
		program string
		want    tone
	}{
		{"", tonePlain},
		{"BT /E 12 Tf 0 g (a) Tj ET 0.5 0.5 0.5 rg 0 0 9 9 re f", tonePlain},
		{"BT /J 12 Tf 2 Tr (a) Tj ET", tonePlain},
		{"/O gs 0 g /F Do", tonePlain},
		{"1 0 0 rg 0 0 9 9 re f", toneColour},
		{"BT /N 12 Tf (a) Tj ET", toneGrey}, // the font is another one on each machine
		{"BT /K 12 Tf (a) Tj ET", toneGrey},
		{"BT /T 12 Tf (a) Tj ET", toneGrey},
		{"BT /E 12 Tf 7 Tr (a) Tj ET", toneGrey},
		{"/I Do", toneGrey},
		{"BI /W 1 /H 1 /BPC 8 /CS /G ID a\nEI 0 g", toneGrey},
		{"/G Do", toneGrey},
		{"/H Do 0 g", toneGrey},
		{"/F Do /H Do /F Do", toneGrey}, // read before, and not forgotten
		{"/R Do", toneGrey},
		{"/A gs 0 g", toneGrey},
		{"/M gs 0 g", toneGrey},
		{"/S gs 0 g", toneGrey},
		{"/P gs 0 g", toneGrey},
		{"/Absent gs 0 g", toneGrey},
		{"0 0 0 1 k", toneGrey},
		{"/C cs 0 sc", toneGrey},
		{"/F Do", tonePlain},
		{"0 g@<</Subtype/Link/Rect[0 0 9 9]/Border[0 0 0]>>", tonePlain},
		{"0 g@<</Subtype/Link/Rect[0 0 9 9]/Border[0 0 1]>>", toneGrey},
		{"0 g@<</Subtype/Link/Rect[0 0 9 9]>>", toneGrey}, // its frame is one point
		{"0 g@<</Subtype/Link/Rect[0 0 9 9]/Border[0 0 0]/BS<</W 1>>>>", toneGrey},
	}
	var all []string
	for _, c := range cases {
		all = append(all, c.program)
	}
	b := sheetsOf(resources, objects, all...)
	got := foreseenOf(t, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}).tones
	if len(got) != len(cases) {
		t.Fatalf("%d pages, want %d", len(got), len(cases))
	}
	for i, c := range cases {
		if got[i] != c.want {
			t.Errorf("%q: %d, want %d", c.program, got[i], c.want)
		}
	}
	layers := bytes.Replace(b, []byte("/Type/Catalog"), []byte("/Type/Catalog/OCProperties<<>>"), 1)
	for _, got := range foreseenOf(t, sanitize.Object{ReaderAt: bytes.NewReader(layers), Size: int64(len(layers))}).tones {
		if got == tonePlain {
			t.Fatal("a page that may have layers is plain")
		}
	}
}
