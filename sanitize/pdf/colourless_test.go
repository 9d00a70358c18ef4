package pdf

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// sheetsOf is a document with a page for each program, and resources for all.
func sheetsOf(resources string, objects string, programs ...string) []byte {
	var b, kids bytes.Buffer
	for i, p := range programs {
		fmt.Fprintf(&kids, "%d 0 R ", 100+2*i)
		extra := ""
		p, annots, ok := strings.Cut(p, "@")
		if ok {
			extra = "/Annots[" + annots + "]"
		}
		fmt.Fprintf(&b, "%d 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 200 100]/Contents %d 0 R%s>>\nendobj\n%d 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n",
			100+2*i, 101+2*i, extra, 101+2*i, len(p), p)
	}
	return fmt.Appendf(nil, "%%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[%s]/Count %d/Resources<<%s>>>>\nendobj\n%s\n%strailer\n<</Root 1 0 R>>\n%%%%EOF\n",
		kids.String(), len(programs), resources, objects, b.String())
}

func TestOnlyWhatHasNoColoursIsDrawnWithout(t *testing.T) {
	stream := func(num int, dict, data string) string {
		return fmt.Sprintf("%d 0 obj\n<<%s/Length %d>>\nstream\n%s\nendstream\nendobj\n", num, dict, len(data), data)
	}
	objects := stream(10, "/Subtype/Form/BBox[0 0 9 9]", "0.5 g 0 0 5 5 re f") +
		stream(11, "/Subtype/Form/BBox[0 0 9 9]", "1 0 0 rg 0 0 5 5 re f") +
		stream(12, "/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceGray", "a") +
		stream(13, "/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace/DeviceRGB", "abc") +
		stream(14, "/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace[/Indexed/DeviceRGB 1<000000ffffff>]", "a") +
		stream(15, "/Subtype/Image/Width 1/Height 1/BitsPerComponent 8/ColorSpace[/Indexed/DeviceRGB 1<000000ff0000>]", "a") +
		stream(16, "/Subtype/Image/Width 1/Height 1/ImageMask true", "a") +
		stream(17, "", "9 0 d0 0 1 0 rg 0 0 5 5 re f") + stream(18, "/N 3", "no profile") +
		stream(19, "/Subtype/Form/BBox[0 0 9 9]/Resources<</XObject<</Me 19 0 R>>>>", "/Me Do 0 g") +
		"20 0 obj\n<</Type/Font/Subtype/Type3/CharProcs<</a 17 0 R>>>>\nendobj\n"
	resources := "/XObject<</Grey 10 0 R/Red 11 0 R/GreyI 12 0 R/RedI 13 0 R/Few 14 0 R/FewRed 15 0 R/Mask 16 0 R/Round 19 0 R>>/Font<</T 20 0 R/F<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>" +
		"/ColorSpace<</Icc[/ICCBased 18 0 R]/Sep[/Separation/Red/DeviceRGB<</FunctionType 2/N 1/C0[1 1 1]/C1[1 0 0]/Domain[0 1]>>]>>/ExtGState<</Plain<</CA .5>>/Turned<</TR 17 0 R>>>>"
	cases := []struct {
		program string
		grey    bool
	}{
		{"BT /F 12 Tf (letters) Tj ET", true},
		{"0.2 0.2 0.2 rg 1 1 1 RG 0 0 0 .5 k 0 G 0 0 5 5 re f", true},
		{"0 0 1 rg 0 0 5 5 re f", false},
		{"0.1 0 0 .5 k", false},
		{"/Grey Do", true},
		{"/Red Do", false},
		{"/GreyI Do /Few Do /Mask Do", true},
		{"/RedI Do", false},
		{"/FewRed Do", false},
		{"/Absent Do", false},
		{"/Round Do", true},
		{"/Icc cs 0 0 0 scn", true},
		{"/Icc cs 1 0 0 scn", false},
		{"/Sep cs 1 scn", false},
		{"/Pattern cs /P scn", false},
		{"/S sh", false},
		{"BT /T 12 Tf (a) Tj ET", false},
		{"/Plain gs 0 g", true},
		{"/Turned gs 0 g", false},
		{"BI /W 1 /H 1 /BPC 8 /CS /G ID a\nEI 0 g", true},
		{"BI /W 1 /H 1 /BPC 8 /CS /RGB ID abc\nEI 0 g", false},
		{"BI /W 1 /H 1 /BPC 8 /CS /G ID a\nEI 1 0 0 rg", false},
		{"0 g@<</Subtype/Link/Rect[0 0 9 9]>>", true},
		{"0 g@<</Subtype/Link/Rect[0 0 9 9]/C[1 0 0]>>", false},
		{"0 g@<</Subtype/Highlight/Rect[0 0 9 9]>>", false},
		{"", true},
	}
	var programs []string
	var want []bool
	for _, c := range cases {
		programs, want = append(programs, c.program), append(want, c.grey)
	}
	b := sheetsOf(resources, objects, programs...)
	got := foreseenOf(t, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}).tones
	if len(got) != len(want) {
		t.Fatalf("%d pages, want %d", len(got), len(want))
	}
	for i, c := range cases {
		if (got[i] != toneColour) != c.grey {
			t.Errorf("%q is without colours: %v, want %v", c.program, got[i], c.grey)
		}
	}
	if got := foreseenOf(t, sanitize.Object{ReaderAt: strings.NewReader("no document"), Size: 11}); got.tones != nil {
		t.Errorf("what is no document has pages: %v", got)
	}
}

func TestAColouredPageAmongOthersKeepsItsColours(t *testing.T) {
	b := sheetsOf("", "", "0 0 50 50 re f", "1 0 0 rg 0 0 50 50 re f", "0.5 g 0 0 50 50 re f")
	s := session(len(b), nil)
	run := programs(t)
	var calls []sanitize.ToolCall
	s.Tools = func(ctx context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
		calls = append(calls, c)
		return run(ctx, c, in, out)
	}
	var out bytes.Buffer
	if _, err := (Pages{}).Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out); err != nil {
		t.Fatal(err)
	}
	var grey []int
	for _, c := range calls[1:] {
		g := c.Grey
		if c.Tool == sanitize.PDFGreys {
			g = 1
		}
		grey = append(grey, c.First, c.Last, g)
		if c.Of != 3 {
			t.Errorf("pages of %d, want 3", c.Of)
		}
	}
	if want := []int{1, 1, 1, 2, 2, 0, 3, 3, 1}; !slices.Equal(grey, want) {
		t.Errorf("drawn %v, want %v", grey, want)
	}
	if n := strings.Count(out.String(), "/Indexed"); n != 1 {
		t.Errorf("%d pages have colours, want one", n)
	}
	if err := look(out.Bytes()); err != nil {
		t.Errorf("the second look: %v", err)
	}
}

func TestStretchesCoverEveryPageOnce(t *testing.T) {
	for range 200 {
		tones := make([]tone, 1+rand.IntN(30))
		for i := range tones {
			tones[i] = tone(rand.IntN(3))
		}
		all := stretches(tones)
		next := 1
		for _, s := range all {
			if s.first != next || s.last < s.first {
				t.Fatalf("%v: %v", tones, all)
			}
			for p := s.first; p <= s.last; p++ {
				if s.tone > tones[p-1] {
					t.Fatalf("page %d loses what is on it: %v", p, all)
				}
			}
			next = s.last + 1
		}
		if next != len(tones)+1 || len(all) > mostStretches {
			t.Fatalf("%v: %v", tones, all)
		}
	}
}

// TestFewGreysArePackedAsBefore: passing over paper changes nothing.
func TestFewGreysArePackedAsBefore(t *testing.T) {
	for _, width := range []int{1, 7, 8, 9, 33, 64} {
		const height = 13
		pixels := make([]byte, width*height)
		middle := 0
		for i := range pixels {
			if pixels[i] = 255; rand.IntN(9) == 0 {
				pixels[i] = byte(rand.IntN(256))
			}
			if pixels[i] >= 17 && pixels[i] <= 238 {
				middle++
			}
		}
		rows, n := packFew(pixels, width, height)
		if !bytes.Equal(rows, packGrey(pixels, width, height, 2)) || n != middle {
			t.Errorf("width %d: another packing, or %d in the middle of %d", width, n, middle)
		}
	}
}

func foreseenOf(t *testing.T, in sanitize.Object) foreseen {
	t.Helper()
	of, err := foresee(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	return of
}
