package image

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"sekisho/sanitize"
)

// run sanitizes b as a kind and returns the output and what was found.
func run(t testing.TB, k sanitize.Kind, path string, b []byte) ([]byte, []sanitize.Finding, error) {
	t.Helper()
	table := map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindPNG: PNG{}, sanitize.KindJPEG: JPEG{}}
	for _, f := range []sanitize.Kind{sanitize.KindGIF, sanitize.KindBMP, sanitize.KindTIFF, sanitize.KindWebP} {
		table[f] = Foreign{}
	}
	o := sanitize.Options{Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassImage: {Steps: []sanitize.Mode{sanitize.Rebuild}}}, Limits: sanitize.DefaultLimits()}
	detect := func(sanitize.Object) (sanitize.Detection, error) { return sanitize.Detection{Kind: k}, nil }
	s := sanitize.NewSession(&o, int64(len(b)), detect, table)
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: path}, &out)
	if err != nil {
		return nil, nil, err
	}
	want := k
	switch {
	case k == sanitize.KindJPEG:
	case k != sanitize.KindGIF && k != sanitize.KindTIFF || inside(path):
		want = sanitize.KindPNG
	}
	if res.Kind != want || res.Mode != sanitize.Rebuild {
		t.Errorf("result %+v, want a %s rebuilt", res, want)
	}
	return out.Bytes(), s.Parts()[0].Findings, nil
}

// scene is a picture with edges, colour and some noise, as photos have.
func scene(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	r := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			n := r.IntN(8)
			c := color.NRGBA{uint8(x*200/w + n), uint8(y*200/h + n), uint8((x+y)*100/(w+h) + n), 255}
			if x > w/3 && x < w/2 && y > h/3 && y < h/2 {
				c = color.NRGBA{250, 20, 30, 255}
			}
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

func encodePNG(m image.Image) []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func encodeJPEG(m image.Image, quality int) []byte {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// withChunk puts a chunk behind the header of a PNG.
func withChunk(b []byte, name string, content []byte) []byte {
	return bytes.Join([][]byte{b[:33], chunk(name, content), b[33:]}, nil)
}

// withSegment puts a segment behind the start of a JPEG.
func withSegment(b []byte, marker byte, content []byte) []byte {
	l := binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(content)+2))
	return bytes.Join([][]byte{b[:2], l, content, b[2:]}, nil)
}

func exif(orientation byte) []byte {
	return []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x02" +
		"\x01\x0f\x00\x02\x00\x00\x00\x04CDR\x00" +
		"\x01\x12\x00\x03\x00\x00\x00\x01\x00" + string(rune(orientation)) + "\x00\x00" + "\x00\x00\x00\x00")
}

// psnr is how alike two pictures are, in decibels.
func psnr(t *testing.T, a, b image.Image) float64 {
	t.Helper()
	if a.Bounds().Size() != b.Bounds().Size() {
		t.Fatalf("sizes %v and %v", a.Bounds().Size(), b.Bounds().Size())
	}
	sum, n := 0.0, 0.0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			r, g, bl, _ := a.At(a.Bounds().Min.X+x, a.Bounds().Min.Y+y).RGBA()
			r2, g2, bl2, _ := b.At(b.Bounds().Min.X+x, b.Bounds().Min.Y+y).RGBA()
			for _, d := range [...]float64{float64(r>>8) - float64(r2>>8), float64(g>>8) - float64(g2>>8), float64(bl>>8) - float64(bl2>>8)} {
				sum += d * d
				n++
			}
		}
	}
	if sum == 0 {
		return 99
	}
	return 10 * math.Log10(255*255*n/sum)
}

func decodeAs(t *testing.T, b []byte) image.Image {
	t.Helper()
	m, _, err := image.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPNGKeepsEveryPixel(t *testing.T) {
	src := scene(61, 47)
	gray16 := image.NewGray16(src.Rect)
	deep := image.NewNRGBA64(src.Rect)
	gray := image.NewGray(src.Rect)
	two := image.NewPaletted(src.Rect, color.Palette{color.Black, color.White})
	clear := image.NewPaletted(src.Rect, color.Palette{color.NRGBA{}, color.NRGBA{1, 2, 3, 128}, color.NRGBA{9, 9, 9, 255}})
	glass := image.NewNRGBA(src.Rect)
	for y := range 47 {
		for x := range 61 {
			gray16.SetGray16(x, y, color.Gray16{Y: uint16(x*1000 + y)})
			deep.SetNRGBA64(x, y, color.NRGBA64{uint16(x * 999), uint16(y * 777), 12345, uint16(65535 - x)})
			gray.SetGray(x, y, color.Gray{Y: uint8(x * y)})
			two.SetColorIndex(x, y, uint8((x^y)&1))
			clear.SetColorIndex(x, y, uint8((x+y)%3))
			glass.SetNRGBA(x, y, color.NRGBA{uint8(x), uint8(y), 3, uint8(x * 4)})
		}
	}
	for name, m := range map[string]image.Image{"RGB": src, "16-bit grey": gray16, "16-bit": deep, "grey": gray, "two colours": two, "palette with alpha": clear, "alpha": glass} {
		in := encodePNG(m)
		out, found, err := run(t, sanitize.KindPNG, "2", in)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, want := decodeAs(t, out), decodeAs(t, in)
		for y := range 47 {
			for x := range 61 {
				if got.At(x, y) != want.At(x, y) {
					t.Fatalf("%s: pixel %d,%d is %v, want %v", name, x, y, got.At(x, y), want.At(x, y))
				}
			}
		}
		if len(found) != 0 {
			t.Errorf("%s: found %v", name, found)
		}
		if len(out) > len(in)+len(in)/50+100 {
			t.Errorf("%s: %d octets became %d", name, len(in), len(out))
		}
		if again, _, err := run(t, sanitize.KindPNG, "2", out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s: a second pass changes it: %v", name, err)
		}
	}
}

// onebit writes a PNG of one bit grey by hand; the encoder of the standard
// library writes palettes only.
func onebit(w, h int) []byte {
	m := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{color.Black, color.White})
	r := rand.New(rand.NewPCG(3, 4))
	for i := range m.Pix {
		m.Pix[i] = uint8(r.IntN(2))
	}
	b := encodePNG(m)
	b[25] = 0 // colour type
	binary.BigEndian.PutUint32(b[29:], crc(b[12:29]))
	i := bytes.Index(b, []byte("PLTE")) - 4
	return append(b[:i:i], b[i+12+6:]...)
}

func crc(b []byte) uint32 { return binary.BigEndian.Uint32(chunk(string(b[:4]), b[4:])[len(b)+4:]) }

func TestOneBitGreyStaysSmall(t *testing.T) {
	in := onebit(200, 200)
	before := decodeAs(t, in)
	out, _, err := run(t, sanitize.KindPNG, "2", in)
	if err != nil {
		t.Fatal(err)
	}
	if psnr(t, before, decodeAs(t, out)) != 99 {
		t.Error("pixels changed")
	}
	if len(out) > len(in)*11/10 {
		t.Errorf("%d octets became %d", len(in), len(out))
	}
	again, _, err := run(t, sanitize.KindPNG, "2", out)
	if err != nil || !bytes.Equal(out, again) {
		t.Errorf("second pass: %v, equal %v", err, bytes.Equal(out, again))
	}
}

func TestPNGLosesWhatIsNoPixel(t *testing.T) {
	in := encodePNG(scene(20, 20))
	density := []byte{0, 0, 0x0b, 0x13, 0, 0, 0x0b, 0x13, 1}
	dirty := in
	for _, c := range []string{"tEXt", "iTXt", "zTXt", "eXIf", "iCCP", "acTL", "fcTL", "xxXx", "gAMA"} {
		dirty = withChunk(dirty, c, []byte("CDR-MARKER\x00\x00"))
	}
	dirty = append(withChunk(dirty, "pHYs", density), "PK\x03\x04CDR-MARKER"...)
	out, found, err := run(t, sanitize.KindPNG, "2", dirty)
	if err != nil {
		t.Fatal(err)
	}
	plain, _, err := run(t, sanitize.KindPNG, "2", in)
	if err != nil {
		t.Fatal(err)
	}
	if want := withChunk(plain, "pHYs", density); !bytes.Equal(out, want) {
		t.Errorf("got %d octets, want exactly the %d of a picture with its density", len(out), len(want))
	}
	rules := map[string]sanitize.Action{}
	for _, f := range found {
		rules[f.Rule] = f.Action
	}
	want := map[string]sanitize.Action{"image.metadata": sanitize.Rewritten, "image.animation": sanitize.Removed, "image.trailing": sanitize.Removed}
	for r, a := range want {
		if rules[r] != a {
			t.Errorf("%s: got %q, want %q", r, rules[r], a)
		}
	}
}

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
	got, want := c.grey(j.table(0)), decodeAs(t, in).(*image.YCbCr)
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

// TestCoefficientsStayInTheirRange: numbers that no baseline picture can hold
// are cut to what it can.
func TestCoefficientsStayInTheirRange(t *testing.T) {
	c := &coefficients{width: 8, height: 8, h: 1, v: 1, wide: 1, high: 1, progressive: true, ids: [4]byte{1}}
	c.comps = []component{{h: 1, v: 1, cols: 1, rows: 1, across: 1, down: 1, data: make([]int16, 64)}}
	one := &lookup{}
	for i := range one.short {
		one.short[i] = 1<<8 | 0x01 // every code: one bit, value 1
	}
	c.dc[0], c.ac[0] = one, one
	for _, head := range [][]byte{{1, 1, 0, 0, 0, 0x0d}, {1, 1, 0, 1, 63, 0x0d}} {
		c.in = bitReader{b: bytes.Repeat([]byte{0x7f}, 200)}
		if err := c.scan(head); err != nil {
			t.Fatal(err)
		}
	}
	if v := c.comps[0].data; v[0] > maxDC || v[0] < -maxDC-1 || v[1] != maxAC && v[1] != -maxAC {
		t.Errorf("coefficients %v", v[:4])
	}
	e := encoder{out: &writer{w: io.Discard}, luma: &standardLuma, chroma: &standardChroma}
	if err := e.rewrite(c); err != nil {
		t.Error(err)
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

func TestDensityIsKept(t *testing.T) {
	b := withSegment(encodeJPEG(scene(30, 30), 80), 0xe0, []byte("JFIF\x00\x01\x01\x01\x00\x96\x00\x96\x00\x00"))
	out, _, err := run(t, sanitize.KindJPEG, "2", b)
	if err != nil || !bytes.Contains(out[:20], []byte("JFIF\x00\x01\x01\x01\x00\x96\x00\x96")) {
		t.Errorf("%v: % x", err, out[:min(len(out), 20)])
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

func TestOtherFormatsKeepTheirPixels(t *testing.T) {
	src := scene(33, 21)
	var g, b, ti bytes.Buffer
	gif.Encode(&g, src, nil)
	bmp.Encode(&b, src)
	tiff.Encode(&ti, src, nil)
	for k, in := range map[sanitize.Kind][]byte{sanitize.KindGIF: g.Bytes(), sanitize.KindBMP: b.Bytes(), sanitize.KindTIFF: ti.Bytes()} {
		for _, path := range []string{"2.1/word/media/image1.x", "2", "2.1", "2/1.2", ""} {
			out, found, err := run(t, k, path, in)
			if err != nil {
				t.Fatalf("%s at %q: %v", k, path, err)
			}
			if d := psnr(t, decodeAs(t, in), decodeAs(t, out)); d != 99 || len(found) != 0 {
				t.Errorf("%s at %q: %.1f dB, found %v", k, path, d, found)
			}
		}
	}
}

func TestAnimationPlaysOnWithoutItsComments(t *testing.T) {
	var frames []*image.Paletted
	for i := range 3 {
		m := image.NewPaletted(image.Rect(i, i, 10, 10), color.Palette{color.Transparent, color.White, color.Black})
		m.Pix[i] = 2
		frames = append(frames, m)
	}
	var g bytes.Buffer
	if err := gif.EncodeAll(&g, &gif.GIF{Image: append([]*image.Paletted{image.NewPaletted(image.Rect(0, 0, 10, 10), frames[0].Palette)}, frames...), Delay: []int{1, 2, 3, 4}, Disposal: []byte{1, 2, 1, 3}, LoopCount: 7}); err != nil {
		t.Fatal(err)
	}
	b := bytes.Replace(g.Bytes(), []byte("\x21\xff\x0bNETSCAPE2.0"), []byte("\x21\xfe\x04EVIL\x00\x21\xff\x0bNETSCAPE2.0"), 1)
	b = append(b, "PK\x03\x04 and more"...)
	out, found, err := run(t, sanitize.KindGIF, "2", b)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(out, []byte("EVIL")) || bytes.Contains(out, []byte("PK")) {
		t.Error("the comment or what follows the end is still there")
	}
	if len(found) != 2 {
		t.Errorf("found %v", found)
	}
	want, err := gif.DecodeAll(bytes.NewReader(g.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	got, err := gif.DecodeAll(bytes.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	if got.LoopCount != 7 || !slices.Equal(got.Delay, want.Delay) || !slices.Equal(got.Disposal, want.Disposal) || len(got.Image) != 4 {
		t.Fatalf("times %v, disposal %v, repeats %d", got.Delay, got.Disposal, got.LoopCount)
	}
	for i := range got.Image {
		if got.Image[i].Rect != want.Image[i].Rect || psnr(t, want.Image[i], got.Image[i]) != 99 {
			t.Errorf("picture %d differs", i)
		}
	}
	again, _, err := run(t, sanitize.KindGIF, "2", out)
	if err != nil || !bytes.Equal(again, out) {
		t.Errorf("a second pass changes it: %v", err)
	}
}

// fax writes pages of black and white as a fax machine does: fewer lines an
// inch than columns, and a field that no reader needs.
func faxOf(pages int) []byte {
	m := image.NewGray(image.Rect(0, 0, 50, 20))
	for i := range m.Pix {
		if i%3 == 0 {
			m.Pix[i] = 255
		}
	}
	var b bytes.Buffer
	w := &tiffWriter{w: &b}
	w.put([]byte("II*\x00\x08\x00\x00\x00"))
	for i := range pages {
		m.Pix[i*50] ^= 255
		if err := w.page(m, nil, sheet{orientation: 6, xRes: [2]uint32{204, 1}, yRes: [2]uint32{98, 1}, unit: [2]uint32{2, 0}}, i == pages-1); err != nil {
			panic(err)
		}
	}
	return b.Bytes()
}

func TestAllPagesOfAFaxArrive(t *testing.T) {
	b := faxOf(3)
	out, _, err := run(t, sanitize.KindTIFF, "2", append(slices.Clone(b), "trailing"...))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(out, b) {
		t.Error("pages written by the same writer change")
	}
	_, sheets, err := walkTIFF(sanitize.Object{ReaderAt: bytes.NewReader(out), Size: int64(len(out))})
	if err != nil || len(sheets) != 3 {
		t.Fatalf("%d pages, %v", len(sheets), err)
	}
	if s := sheets[2]; s.orientation != 6 || s.xRes[0] != 204 || s.yRes[0] != 98 {
		t.Errorf("%+v", s)
	}
	// The directory of the last page leads back to the first.
	le := binary.LittleEndian
	n := int(le.Uint16(b[sheets[2].at:]))
	le.PutUint32(b[int(sheets[2].at)+2+12*n:], 8)
	out, _, err = run(t, sanitize.KindTIFF, "2", b)
	if err != nil {
		t.Fatalf("pages in a circle: %v", err)
	}
	if _, sheets, err := walkTIFF(sanitize.Object{ReaderAt: bytes.NewReader(out), Size: int64(len(out))}); err != nil || len(sheets) != 3 {
		t.Errorf("pages in a circle: %d arrive, %v", len(sheets), err)
	}
}

func TestFurtherPicturesAreSaid(t *testing.T) {
	frame := image.NewPaletted(image.Rect(0, 0, 10, 10), color.Palette{color.Black, color.White})
	var g bytes.Buffer
	if err := gif.EncodeAll(&g, &gif.GIF{Image: []*image.Paletted{frame, frame}, Delay: []int{1, 1}}); err != nil {
		t.Fatal(err)
	}
	_, found, err := run(t, sanitize.KindGIF, "2/a/b.gif", g.Bytes())
	if err != nil || len(found) != 1 || found[0].Rule != "image.animation" || found[0].Action != sanitize.Removed {
		t.Errorf("%v %v", found, err)
	}
}

func TestBombsAreRefusedBeforeDecoding(t *testing.T) {
	big := encodePNG(image.NewGray(image.Rect(0, 0, 1, 1)))
	binary.BigEndian.PutUint32(big[16:], 60000)
	binary.BigEndian.PutUint32(big[20:], 60000)
	binary.BigEndian.PutUint32(big[29:], crc(big[12:29]))
	wide := encodeJPEG(image.NewGray(image.Rect(0, 0, 8, 8)), 50)
	i := bytes.Index(wide, []byte{0xff, 0xc0})
	copy(wide[i+5:], "\xff\xff\xff\xff")
	deep := encodePNG(image.NewNRGBA64(image.Rect(0, 0, 1, 1)))
	binary.BigEndian.PutUint32(deep[16:], 10000)
	binary.BigEndian.PutUint32(deep[20:], 9900)
	for what, c := range map[string]struct {
		k sanitize.Kind
		b []byte
	}{"PNG": {sanitize.KindPNG, big}, "JPEG": {sanitize.KindJPEG, wide}, "99 million pixels of 16 bits": {sanitize.KindPNG, deep}} {
		if _, _, err := run(t, c.k, "2", c.b); !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func TestDamageIsRefused(t *testing.T) {
	p, j := encodePNG(scene(40, 40)), encodeJPEG(scene(40, 40), 80)
	for what, c := range map[string]struct {
		k sanitize.Kind
		b []byte
	}{
		"empty": {sanitize.KindPNG, nil}, "half a PNG": {sanitize.KindPNG, p[:len(p)/2]}, "half a JPEG": {sanitize.KindJPEG, j[:len(j)/2]},
		"JPEG header only": {sanitize.KindJPEG, j[:2]}, "end at once": {sanitize.KindJPEG, []byte("\xff\xd8\xff\xd9")},
		"no size": {sanitize.KindPNG, bytes.Replace(p, p[16:24], make([]byte, 8), 1)},
		"text":    {sanitize.KindJPEG, []byte(strings.Repeat("text", 100))},
	} {
		if _, _, err := run(t, c.k, "2", c.b); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// wide is the colour profile of phones: the primaries of Display P3 and the
// curve of sRGB as a formula, in the form of ICC.1.
func wide() []byte {
	s15 := func(v ...float64) (b []byte) {
		for _, f := range v {
			b = binary.BigEndian.AppendUint32(b, uint32(int32(math.Round(f*65536))))
		}
		return b
	}
	xyz := func(v ...float64) []byte { return append([]byte("XYZ \x00\x00\x00\x00"), s15(v...)...) }
	para := append([]byte("para\x00\x00\x00\x00\x00\x03\x00\x00"), s15(2.4, 1/1.055, 0.055/1.055, 1/12.92, 0.04045)...)
	return icc([]tag{
		{"rXYZ", xyz(0.51512, 0.24120, -0.00105)}, {"gXYZ", xyz(0.29198, 0.69225, 0.04189)}, {"bXYZ", xyz(0.15710, 0.06657, 0.78407)},
		{"rTRC", para}, {"gTRC", para}, {"bTRC", para},
	})
}

type tag struct {
	name string
	b    []byte
}

func icc(tags []tag) []byte {
	h := make([]byte, 128)
	copy(h[16:], "RGB XYZ ")
	copy(h[36:], "acsp")
	h = binary.BigEndian.AppendUint32(h, uint32(len(tags)))
	at := len(h) + 12*len(tags)
	var body []byte
	for _, t := range tags {
		h = append(h, t.name...)
		h = binary.BigEndian.AppendUint32(h, uint32(at+len(body)))
		h = binary.BigEndian.AppendUint32(h, uint32(len(t.b)))
		body = append(body, t.b...)
	}
	return append(h, body...)
}

func TestWideColoursAreConverted(t *testing.T) {
	p := readProfile(wide())
	if p == nil {
		t.Fatal("the profile was not read")
	}
	for _, c := range []struct{ in, want [3]uint8 }{
		// By the matrix between the two that CSS Color 4 gives.
		{[3]uint8{0, 0, 0}, [3]uint8{0, 0, 0}},
		{[3]uint8{255, 255, 255}, [3]uint8{255, 255, 255}},
		{[3]uint8{128, 128, 128}, [3]uint8{128, 128, 128}},
		{[3]uint8{200, 100, 50}, [3]uint8{215, 92, 31}},
		{[3]uint8{255, 0, 0}, [3]uint8{255, 0, 0}},
	} {
		r, g, b := p.convert(c.in[0], c.in[1], c.in[2])
		if distance(r, c.want[0]) > 2 || distance(g, c.want[1]) > 2 || distance(b, c.want[2]) > 2 {
			t.Errorf("%v became %v, want %v", c.in, [3]uint8{r, g, b}, c.want)
		}
	}
	src := image.NewNRGBA(image.Rect(0, 0, 33, 17))
	for i := 0; i < len(src.Pix); i += 4 {
		copy(src.Pix[i:], []byte{200, 100, 50, 255})
	}
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	w.Write(wide())
	w.Close()
	jpg := withSegment(encodeJPEG(src, 95), 0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), wide()...))
	for k, in := range map[sanitize.Kind][]byte{
		sanitize.KindPNG:  withChunk(encodePNG(src), "iCCP", append([]byte("P3\x00\x00"), z.Bytes()...)),
		sanitize.KindJPEG: jpg,
	} {
		out, found, err := run(t, k, "2", in)
		if err != nil {
			t.Fatal(err)
		}
		r, g, b, _ := decodeAs(t, out).At(20, 10).RGBA()
		if distance(uint8(r>>8), 215) > 4 || distance(uint8(g>>8), 92) > 4 || distance(uint8(b>>8), 31) > 4 {
			t.Errorf("%s: %d %d %d", k, r>>8, g>>8, b>>8)
		}
		if found[0].Rule != "image.colour" || found[0].Changed() {
			t.Errorf("%s: found %v", k, found)
		}
	}
}

func FuzzProfile(f *testing.F) {
	f.Add(wide())
	f.Fuzz(func(t *testing.T, b []byte) {
		if p := readProfile(b); p != nil {
			for v := range 256 {
				p.convert(uint8(v), uint8(255-v), uint8(v/2))
			}
		}
	})
}

func fuzz(f *testing.F, k sanitize.Kind) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 30 && k == sanitize.KindPNG && (binary.BigEndian.Uint32(b[16:]) > 4000 || binary.BigEndian.Uint32(b[20:]) > 4000) {
			t.Skip() // large pictures only make the fuzzer slow
		}
		for _, frame := range []byte{0xc0, 0xc1, 0xc2} {
			if i := bytes.Index(b, []byte{0xff, frame}); i > 0 && i+9 < len(b) && (b[i+5] > 1 || b[i+7] > 1) {
				t.Skip()
			}
		}
		out, _, err := run(t, k, "2", b)
		if err != nil {
			return
		}
		again, found, err := run(t, k, "2", out)
		if err != nil {
			t.Fatalf("second pass: %v", err)
		}
		if len(found) != 0 {
			t.Fatalf("second pass found %v", found)
		}
		one, _, err1 := image.DecodeConfig(bytes.NewReader(out))
		two, _, err2 := image.DecodeConfig(bytes.NewReader(again))
		if err1 != nil || err2 != nil || one.Width != two.Width || one.Height != two.Height {
			t.Fatalf("%v %v: %dx%d became %dx%d", err1, err2, one.Width, one.Height, two.Width, two.Height)
		}
		if !bytes.Equal(out, again) {
			t.Fatal("second pass differs")
		}
	})
}

func FuzzPNG(f *testing.F) {
	f.Add(encodePNG(scene(9, 9)))
	f.Add(withChunk(encodePNG(image.NewPaletted(image.Rect(0, 0, 3, 3), color.Palette{color.NRGBA{1, 2, 3, 4}})), "tEXt", []byte("x")))
	f.Add(onebit(9, 9))
	f.Add(encodePNG(image.NewNRGBA64(image.Rect(0, 0, 2, 2))))
	fuzz(f, sanitize.KindPNG)
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

func BenchmarkPNG(b *testing.B) {
	in := encodePNG(scene(1000, 750))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		if _, _, err := run(b, sanitize.KindPNG, "2", in); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*0.75/b.Elapsed().Seconds(), "Mpixel/s")
}
