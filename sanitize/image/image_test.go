package image

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
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
	for _, f := range []sanitize.Kind{sanitize.KindGIF, sanitize.KindBMP, sanitize.KindTIFF, sanitize.KindWebP, sanitize.KindPCX, sanitize.KindTGA, sanitize.KindPNM} {
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
	allowed(t, want, out.Bytes())
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

func TestDensityIsKept(t *testing.T) {
	b := withSegment(encodeJPEG(scene(30, 30), 80), 0xe0, []byte("JFIF\x00\x01\x01\x01\x00\x96\x00\x96\x00\x00"))
	out, _, err := run(t, sanitize.KindJPEG, "2", b)
	if err != nil || !bytes.Contains(out[:20], []byte("JFIF\x00\x01\x01\x01\x00\x96\x00\x96")) {
		t.Errorf("%v: % x", err, out[:min(len(out), 20)])
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

func TestAGIFLargerThanItsScreenIsRead(t *testing.T) {
	m := image.NewPaletted(image.Rect(0, 0, 9, 7), color.Palette{color.Black, color.White})
	m.Pix[9*6+8] = 1
	var b bytes.Buffer
	if err := gif.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	for _, screen := range [][2]uint16{{0, 0}, {3, 2}, {9, 1}} {
		in := bytes.Clone(b.Bytes())
		binary.LittleEndian.PutUint16(in[6:], screen[0])
		binary.LittleEndian.PutUint16(in[8:], screen[1])
		out, _, err := run(t, sanitize.KindGIF, "2", in)
		if err != nil {
			t.Errorf("screen %v: %v", screen, err)
			continue
		}
		g, err := gif.DecodeAll(bytes.NewReader(out))
		if err != nil || g.Config.Width != 9 || g.Config.Height != 7 || g.Image[0].ColorIndexAt(8, 6) == g.Image[0].ColorIndexAt(0, 0) {
			t.Errorf("screen %v: %v, %+v", screen, err, g)
		}
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

// JasPer wrote profiles without colours; by them everything would be green.
func TestAProfileWithoutWhiteIsNone(t *testing.T) {
	b := wide()
	if readProfile(b) == nil {
		t.Fatal("the profile of the test is not read")
	}
	at := bytes.Index(b[128:], []byte("rXYZ")) + 128
	at = int(binary.BigEndian.Uint32(b[at+4:]))
	clear(b[at+8 : at+20])
	if readProfile(b) != nil {
		t.Error("a profile whose red has no light is applied")
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
