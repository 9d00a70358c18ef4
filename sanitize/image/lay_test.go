package image

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"image/png"
	"testing"

	"sekisho/sanitize"
)

func TestExifOfPNGIsApplied(t *testing.T) {
	few := image.NewPaletted(image.Rect(0, 0, 7, 5), color.Palette{color.RGBA{255, 0, 0, 255}, color.RGBA{0, 0, 255, 255}})
	few.Pix[3] = 1
	deep := image.NewNRGBA64(image.Rect(0, 0, 7, 5))
	for i := range deep.Pix {
		deep.Pix[i] = byte(37 * i)
	}
	grey := image.NewGray(image.Rect(0, 0, 7, 5))
	copy(grey.Pix, deep.Pix)
	grey16 := image.NewGray16(image.Rect(0, 0, 7, 5))
	copy(grey16.Pix, deep.Pix)
	for name, m := range map[string]image.Image{"colour": scene(7, 5), "palette": few, "sixteen bits": deep, "grey": grey, "grey of sixteen bits": grey16} {
		for o := byte(1); o <= 8; o++ {
			out, _, err := run(t, sanitize.KindPNG, "2", withChunk(encodePNG(m), "eXIf", exif(o)[6:]))
			if err != nil {
				t.Fatal(err)
			}
			want := m
			if o > 1 {
				want = turned64(m, int(o))
			}
			got := decodeAs(t, out)
			if got.Bounds() != want.Bounds() {
				t.Errorf("%s turned %d: %v", name, o, got.Bounds())
				continue
			}
			for y := range want.Bounds().Dy() {
				for x := range want.Bounds().Dx() {
					if color.NRGBA64Model.Convert(got.At(x, y)) != color.NRGBA64Model.Convert(want.At(x, y)) {
						t.Fatalf("%s turned %d: pixel %d,%d is %v, want %v", name, o, x, y, got.At(x, y), want.At(x, y))
					}
				}
			}
			if bytes.Contains(out, []byte("eXIf")) {
				t.Errorf("%s: Exif is still there", name)
			}
		}
	}
}

// turned64 is turned for a picture of any depth.
func turned64(m image.Image, o int) image.Image {
	// The places of turned are found by the picture that numbers them.
	w, h := m.Bounds().Dx(), m.Bounds().Dy()
	places := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			places.SetNRGBA(x, y, color.NRGBA{uint8(x), uint8(y), 0, 255})
		}
	}
	at := turned(places, o)
	to := image.NewNRGBA64(at.Bounds())
	for y := range at.Bounds().Dy() {
		for x := range at.Bounds().Dx() {
			r, g, _, _ := at.At(x, y).RGBA()
			to.Set(x, y, m.At(int(r>>8), int(g>>8)))
		}
	}
	return to
}

func TestExifOfWebPIsFound(t *testing.T) {
	chunk := func(name, body string) string {
		return name + string(binary.LittleEndian.AppendUint32(nil, uint32(len(body)))) + body
	}
	file := func(flags byte, rest string) sanitize.Object {
		b := "RIFF\x00\x00\x00\x00WEBP" + chunk("VP8X", string([]byte{flags, 0, 0, 0, 9, 0, 0, 9, 0, 0})) + rest
		return sanitize.Object{ReaderAt: bytes.NewReader([]byte(b)), Size: int64(len(b))}
	}
	for name, c := range map[string]struct {
		in   sanitize.Object
		want int
	}{
		"plain":        {file(8, chunk("VP8L", "1234")+chunk("EXIF", string(exif(6)[6:]))), 6},
		"with a name":  {file(8, chunk("EXIF", string(exif(8)))), 8},
		"not promised": {file(0, chunk("EXIF", string(exif(6)))), 0},
		"cut":          {file(8, "EXIF\xff\xff\xff\xffMM"), 0},
	} {
		if o := webpOrientation(c.in); o != c.want {
			t.Errorf("%s: %d, want %d", name, o, c.want)
		}
	}
}

func TestWideColoursOfSixteenBitsAreConverted(t *testing.T) {
	p := readProfile(wide())
	if p == nil {
		t.Fatal("the profile of the test is not read")
	}
	m8, m16 := image.NewNRGBA(image.Rect(0, 0, 16, 16)), image.NewNRGBA64(image.Rect(0, 0, 16, 16))
	for i := range 256 {
		c := color.NRGBA{uint8(i), uint8(255 - i), uint8(i * 7), 255}
		m8.SetNRGBA(i%16, i/16, c)
		m16.Set(i%16, i/16, c)
	}
	if !p.apply(m8) || !p.apply(m16) {
		t.Fatal("not applied")
	}
	for i := range 256 {
		a, b := m8.NRGBAAt(i%16, i/16), m16.NRGBA64At(i%16, i/16)
		if distance(a.R, uint8(b.R>>8)) > 1 || distance(a.G, uint8(b.G>>8)) > 1 || distance(a.B, uint8(b.B>>8)) > 1 {
			t.Errorf("colour %d: %v in eight bits, %v in sixteen", i, a, b)
		}
	}
	if _, err := png.Decode(bytes.NewReader(encodePNG(m16))); err != nil {
		t.Fatal(err)
	}
}

func TestMergedPicturesOfPhotoshopKeepTheirCover(t *testing.T) {
	be := binary.BigEndian
	b := []byte("8BPS\x00\x01\x00\x00\x00\x00\x00\x00")
	b = be.AppendUint16(b, 4)
	b = be.AppendUint32(be.AppendUint32(b, 1), 2)
	b = be.AppendUint16(be.AppendUint16(b, 8), psdRGB)
	b = be.AppendUint32(be.AppendUint32(b, 0), 0)
	layers := func(count int16) []byte {
		l := be.AppendUint32(be.AppendUint32(nil, 6), 2)
		return be.AppendUint16(l, uint16(count))
	}
	pixels := []byte{0, 0, 255, 255, 255, 0, 255, 0, 0, 128} // plain; planes of two pixels
	for count, want := range map[int16][2]color.NRGBA{
		1:  {{255, 255, 255, 255}, {255, 0, 0, 255}},
		-1: {{255, 255, 255, 0}, {255, 0, 0, 128}},
	} {
		// The second pixel is red that half covers white.
		px := bytes.Clone(pixels)
		if count < 0 {
			px[5], px[7] = 127, 127
		}
		file := append(append(bytes.Clone(b), layers(count)...), px...)
		got, _, _, err := treated(t, sanitize.KindPSD, PSD{}, file, noTools)
		if err != nil {
			t.Fatal(err)
		}
		for x, c := range want {
			g := color.NRGBAModel.Convert(got.At(x, 0)).(color.NRGBA)
			if c.A == 0 && g.A == 0 {
				continue
			}
			if distance(g.R, c.R) > 2 || distance(g.G, c.G) > 2 || distance(g.B, c.B) > 2 || g.A != c.A {
				t.Errorf("%d layers: pixel %d is %v, want %v", count, x, g, c)
			}
		}
	}
}
