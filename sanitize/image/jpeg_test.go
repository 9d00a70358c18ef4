package image

import (
	"bytes"
	"errors"
	"image"
	"image/draw"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestJPEGLooksAndWeighsTheSame(t *testing.T) {
	src := scene(203, 149)
	for _, q := range []int{30, 60, 75, 90, 98, 100} {
		in := encodeJPEG(src, q)
		out, found, err := run(t, sanitize.KindJPEG, "2", in)
		if err != nil {
			t.Fatalf("quality %d: %v", q, err)
		}
		if len(found) != 0 {
			t.Errorf("quality %d: found %v", q, found)
		}
		before, after := decodeAs(t, in), decodeAs(t, out)
		if d := psnr(t, before, after); d < 99 {
			t.Errorf("quality %d: %.1f dB from the source, want every sample", q, d)
		}
		if ratio := float64(len(out)) / float64(len(in)); ratio > 1.1 {
			t.Errorf("quality %d: %.2f times as large", q, ratio)
		}
		again, _, err := run(t, sanitize.KindJPEG, "2", out)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(out, again) {
			t.Errorf("quality %d: a second pass changes it", q)
		}
	}
}

// TestJPEGKeepsEverySample is run on the pictures of Go's own tests: one and
// three components, every sampling, progressive with and without refinement,
// restarts.
func TestJPEGKeepsEverySample(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(runtime.GOROOT(), "src/image/testdata/*.jpeg"))
	if err != nil || len(files) == 0 {
		t.Skipf("no pictures of Go beside its sources: %v", err)
	}
	kept := 0
	for _, f := range files {
		in, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		before, err := jpeg.Decode(bytes.NewReader(in))
		if err != nil {
			continue // one is cut short on purpose
		}
		out, _, err := run(t, sanitize.KindJPEG, "2", in)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(f), err)
			continue
		}
		after := decodeAs(t, out)
		switch d := psnr(t, before, after); {
		case strings.Contains(f, ".rgb.") || strings.Contains(f, ".cmyk.") || strings.Contains(f, ".221212."):
			// Their colours are converted, or a sampling that is not written.
			if d < 35 {
				t.Errorf("%s: %.1f dB", filepath.Base(f), d)
			}
		case d < 99:
			t.Errorf("%s: %.1f dB, want every sample", filepath.Base(f), d)
		default:
			kept++
		}
		again, _, err := run(t, sanitize.KindJPEG, "2", out)
		if err != nil || !bytes.Equal(out, again) {
			t.Errorf("%s: a second pass changes it (%v)", filepath.Base(f), err)
		}
	}
	if kept < 10 {
		t.Errorf("only %d pictures compared", kept)
	}
}

// TestAPictureForTheLookIsThePicture compares the light that is looked at for
// codes with what the standard library draws.
func TestAPictureForTheLookIsThePicture(t *testing.T) {
	in := encodeJPEG(scene(203, 149), 85)
	j, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in))})
	if err != nil {
		t.Fatal(err)
	}
	c, err := j.coefficients()
	if err != nil {
		t.Fatal(err)
	}
	got, want := c.Light(j.table(0), nil), decodeAs(t, in).(*image.YCbCr)
	for y := range 149 {
		for x := range 203 {
			if g, w := int(got.GrayAt(x, y).Y), int(want.Y[want.YOffset(x, y)]); g < w-2 || g > w+2 {
				t.Fatalf("at %d,%d got %d, want %d", x, y, g, w)
			}
		}
	}
}

// TestScansWithoutEndAreRefused: a scan of a few octets passes over every block.
func TestScansWithoutEndAreRefused(t *testing.T) {
	head := []byte{0xff, 0xd8, 0xff, 0xc2, 0, 11, 8, 0x9c, 0x40, 0x9c, 0x40, 1, 1, 0x11, 0} // 40,000 by 40,000
	scan := []byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0}
	b := append(append(head, bytes.Repeat(scan, 5000)...), 0xff, 0xd9)
	if _, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("5,000 scans over 1.6 gigapixels: %v", err)
	}
	if _, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(append(append(head, bytes.Repeat(scan, 5)...), 0xff, 0xd9)), Size: int64(len(head) + 5*len(scan) + 2)}); err != nil {
		t.Errorf("five scans: %v", err)
	}
}

func TestEverySamplingIsKept(t *testing.T) {
	for _, ratio := range []image.YCbCrSubsampleRatio{image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422,
		image.YCbCrSubsampleRatio420, image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410} {
		m := image.NewYCbCr(image.Rect(0, 0, 77, 51), ratio)
		for y := range 51 {
			for x := range 77 {
				m.Y[m.YOffset(x, y)] = uint8(3*x + y)
				m.Cb[m.COffset(x, y)] = uint8(2 * x)
				m.Cr[m.COffset(x, y)] = uint8(255 - 4*y)
			}
		}
		var b bytes.Buffer
		ones := [64]byte{}
		for i := range ones {
			ones[i] = 1
		}
		e := encoder{out: &writer{w: &b}, luma: &ones, chroma: &ones}
		if err := e.encode(planes(m)); err != nil {
			t.Fatal(err)
		}
		got, ok := decodeAs(t, b.Bytes()).(*image.YCbCr)
		if !ok || got.SubsampleRatio != ratio {
			t.Errorf("%v became %T", ratio, got)
			continue
		}
		if d := psnr(t, m, got); d < 48 {
			t.Errorf("%v: %.1f dB", ratio, d)
		}
		for o := 2; o <= 8; o++ {
			var b bytes.Buffer
			e := encoder{out: &writer{w: &b}, luma: &ones, chroma: &ones}
			if err := e.encode(turn(planes(m), o)); err != nil {
				t.Fatal(err)
			}
			// Chroma may sit half a sample aside after a turn.
			if d := psnr(t, turned(m, o), decodeAs(t, b.Bytes())); d < 30 {
				t.Errorf("%v turned %d: %.1f dB", ratio, o, d)
			}
		}
	}
}

// turned lays a picture as Exif's orientation says, by the words of the
// standard: which side of the scene rows and columns begin at.
func turned(m image.Image, o int) image.Image {
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	t := image.NewNRGBA(image.Rect(0, 0, w, h))
	if o >= 5 {
		t = image.NewNRGBA(image.Rect(0, 0, h, w))
	}
	for row := range h {
		for col := range w {
			var x, y int
			switch o { // row 0 is at the ..., column 0 at the ...
			case 2: // top, right
				x, y = w-1-col, row
			case 3: // bottom, right
				x, y = w-1-col, h-1-row
			case 4: // bottom, left
				x, y = col, h-1-row
			case 5: // left, top
				x, y = row, col
			case 6: // right, top
				x, y = h-1-row, col
			case 7: // right, bottom
				x, y = h-1-row, w-1-col
			case 8: // left, bottom
				x, y = row, w-1-col
			}
			t.Set(x, y, m.At(col, row))
		}
	}
	return t
}

func TestCameraTurnIsApplied(t *testing.T) {
	src := encodeJPEG(scene(90, 40), 95)
	for o := byte(1); o <= 8; o++ {
		out, found, err := run(t, sanitize.KindJPEG, "2", withSegment(src, 0xe1, exif(o)))
		if err != nil {
			t.Fatal(err)
		}
		want := decodeAs(t, src)
		if o > 1 {
			want = turned(want, int(o))
		}
		if d := psnr(t, want, decodeAs(t, out)); d < 32 {
			t.Errorf("orientation %d: %.1f dB", o, d)
		}
		if bytes.Contains(out, []byte("Exif")) || bytes.Contains(out, []byte("CDR")) {
			t.Errorf("orientation %d: Exif is still there", o)
		}
		for _, f := range found {
			if f.Changed() {
				t.Errorf("orientation %d: %v says something was taken", o, f)
			}
		}
	}
}

// What is turned block by block is turned back by a second turn to the very
// samples that it had.
func TestWholeBlocksAreTurnedWithoutLoss(t *testing.T) {
	back := [9]byte{0, 1, 2, 3, 4, 5, 8, 7, 6}
	grey := image.NewGray(image.Rect(0, 0, 40, 24))
	draw.Draw(grey, grey.Rect, scene(40, 24), image.Point{}, draw.Src)
	for name, m := range map[string]image.Image{"colour": scene(96, 64), "grey": grey} {
		src := encodeJPEG(m, 70)
		plain, _, err := run(t, sanitize.KindJPEG, "2", src)
		if err != nil {
			t.Fatal(err)
		}
		for o := byte(2); o <= 8; o++ {
			once, _, err := run(t, sanitize.KindJPEG, "2", withSegment(src, 0xe1, exif(o)))
			if err != nil {
				t.Fatal(err)
			}
			// The decoder spreads chroma otherwise along the other side, so only
			// light is compared here.
			if d := psnr(t, light(turned(decodeAs(t, src), int(o))), light(decodeAs(t, once))); d < 50 {
				t.Errorf("%s turned %d: %.1f dB", name, o, d)
			}
			twice, _, err := run(t, sanitize.KindJPEG, "2", withSegment(once, 0xe1, exif(back[o])))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(twice, plain) {
				t.Errorf("%s turned %d and back is another picture", name, o)
			}
		}
	}
}

func light(m image.Image) *image.Gray {
	g := image.NewGray(m.Bounds())
	draw.Draw(g, g.Rect, m, m.Bounds().Min, draw.Src)
	return g
}

func TestAJPEGWithoutItsEndIsRead(t *testing.T) {
	src := encodeJPEG(scene(64, 48), 80)
	want, _, err := run(t, sanitize.KindJPEG, "2", src)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := run(t, sanitize.KindJPEG, "2", src[:len(src)-2])
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d octets of %d, %v", len(got), len(want), err)
	}
	if _, _, err := run(t, sanitize.KindJPEG, "2", src[:len(src)/2]); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("half a picture: %v", err)
	}
}

// What the reader of coefficients makes nothing of, another may be able to draw:
// here a second scan over the first.
func TestOtherReadersGetTheWholeFile(t *testing.T) {
	src := encodeJPEG(scene(64, 48), 80)
	at := bytes.Index(src, []byte{0xff, 0xda})
	scan := src[at : len(src)-2]
	twice := append(append(bytes.Clone(src[:len(src)-2]), scan...), 0xff, 0xd9)
	out, _, err := run(t, sanitize.KindJPEG, "2", twice)
	if err != nil {
		t.Fatal(err)
	}
	if d := psnr(t, decodeAs(t, src), decodeAs(t, out)); d < 32 {
		t.Errorf("%.1f dB", d)
	}
}

func TestJPEGLosesWhatIsNoPixel(t *testing.T) {
	b := encodeJPEG(scene(30, 30), 80)
	for _, m := range []byte{0xe1, 0xe2, 0xed, 0xef, 0xfe} {
		b = withSegment(b, m, []byte("CDR-MARKER <script>"))
	}
	b = append(b, "CDR-MARKER\xff\xd8\xff\xe1"...)
	out, found, err := run(t, sanitize.KindJPEG, "2", b)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("CDR")) {
		t.Error("marker came through")
	}
	if len(found) != 2 || found[0].Rule != "image.metadata" || found[1].Rule != "image.trailing" || found[1].Action != sanitize.Removed {
		t.Errorf("found %v", found)
	}
}

func TestGreyJPEGStaysGrey(t *testing.T) {
	g := image.NewGray(image.Rect(0, 0, 50, 33))
	for i := range g.Pix {
		g.Pix[i] = uint8(i)
	}
	out, _, err := run(t, sanitize.KindJPEG, "2", encodeJPEG(g, 90))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := decodeAs(t, out).(*image.Gray); !ok {
		t.Error("colour appeared")
	}
}

func TestCodesAreBuiltForAnyCounts(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for n := range 300 {
		var counts [256]int
		f := 1
		for i := range counts {
			switch {
			case n < 100 && r.IntN(100) < n:
				counts[i] = r.IntN(1 << 20)
			case n >= 100 && n < 200 && i < n-100 && f < 1<<50:
				counts[i] = f // Fibonacci's numbers make the longest codes
				f += f/2 + 1
			case n >= 200:
				counts[i] = 1
			}
		}
		h := optimal(&counts)
		sum, total := 0, 0
		for l, c := range h.counts {
			sum += int(c) << (15 - l)
			total += int(c)
		}
		used := 0
		for _, c := range counts {
			if c > 0 {
				used++
			}
		}
		if total != used || len(h.values) != used || sum >= 1<<16 {
			t.Fatalf("case %d: %d codes and %d values for %d symbols, %d of %d", n, total, len(h.values), used, sum, 1<<16)
		}
	}
}

func TestFourColoursBecomeThree(t *testing.T) {
	m := image.NewCMYK(image.Rect(0, 0, 40, 40))
	for i := range m.Pix {
		m.Pix[i] = uint8(i / 40)
	}
	var b bytes.Buffer
	e := encoder{out: &writer{w: &b}, luma: quality90(&standardLuma), chroma: quality90(&standardChroma)}
	if err := e.encode(planes(m)); err != nil {
		t.Fatal(err)
	}
	if d := psnr(t, m, decodeAs(t, b.Bytes())); d < 35 {
		t.Errorf("%.1f dB", d)
	}
}

func FuzzJPEG(f *testing.F) {
	f.Add(encodeJPEG(scene(20, 20), 50))
	for _, n := range []string{"video-001.progressive.jpeg", "video-001.q50.420.progressive.jpeg", "video-001.restart2.jpeg", "video-001.221212.jpeg"} {
		if b, err := os.ReadFile(filepath.Join(runtime.GOROOT(), "src/image/testdata", n)); err == nil {
			f.Add(b)
		}
	}
	f.Add(withSegment(encodeJPEG(image.NewGray(image.Rect(0, 0, 9, 9)), 90), 0xe1, exif(6)))
	f.Add(withSegment(encodeJPEG(scene(9, 9), 90), 0xee, []byte("Adobe\x00\x64\x00\x00\x00\x00\x00")))
	fuzz(f, sanitize.KindJPEG)
}

func BenchmarkJPEG(b *testing.B) {
	in := encodeJPEG(scene(2000, 1500), 85)
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, _, err := run(b, sanitize.KindJPEG, "2", in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*3/b.Elapsed().Seconds(), "Mpixel/s")
}
