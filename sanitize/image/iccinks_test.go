package image

import (
	"bytes"

	"encoding/binary"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"reflect"
	"testing"

	"sekisho/sanitize"
)

// press is a profile of inks on a grid of two: paper is white, each ink takes a
// third of the lightness and has a hue, and with black nothing is left but 10.
func press(wide bool) []byte {
	kind, at := "mft1", 48
	if wide {
		kind, at = "mft2", 52
	}
	t := make([]byte, at)
	copy(t, kind)
	t[8], t[9], t[10] = 4, 3, 2
	put := func(l, a, b float64) {
		if wide {
			for _, v := range []float64{l / 100 * 65280, (a + 128) * 256, (b + 128) * 256} {
				t = binary.BigEndian.AppendUint16(t, uint16(v))
			}
			return
		}
		t = append(t, byte(l/100*255), byte(a+128), byte(b+128))
	}
	line := func() {
		if wide {
			t = append(t, 0, 0, 0xff, 0xff)
			return
		}
		for i := range 256 {
			t = append(t, byte(i))
		}
	}
	if wide {
		t[49], t[51] = 2, 2
	}
	for range 4 {
		line()
	}
	for i := range 16 {
		c, m, y, k := float64(i>>3&1), float64(i>>2&1), float64(i>>1&1), float64(i&1)
		if k == 1 {
			put(10, 0, 0)
			continue
		}
		put(100-30*(c+m+y), 60*m-40*c, 80*y-40*c)
	}
	for range 3 {
		line()
	}
	b := icc([]tag{{"A2B0", t}})
	copy(b[16:], "CMYKLab ")
	return b
}

func TestInksAreWhatThePrinterSaysTheyAre(t *testing.T) {
	for _, wide := range []bool{false, true} {
		p := readProfile(press(wide))
		if p == nil {
			t.Fatalf("the profile is not read (sixteen bits: %v)", wide)
		}
		for _, c := range []struct {
			ink  [4]byte
			want [3]uint8
		}{
			// By the formulas of CIE 15 and IEC 61966-2-1, and those of ISO 18619
			// for black.
			{[4]byte{}, [3]uint8{255, 255, 255}},
			{[4]byte{0, 0, 0, 255}, [3]uint8{0, 0, 0}},
			{[4]byte{255, 255, 255, 255}, [3]uint8{0, 0, 0}},
			{[4]byte{0, 0, 0, 128}, [3]uint8{129, 129, 129}},
		} {
			r, g, b := p.mixed(c.ink)
			if distance(r, c.want[0]) > 2 || distance(g, c.want[1]) > 2 || distance(b, c.want[2]) > 2 {
				t.Errorf("%v became %v, want %v", c.ink, [3]uint8{r, g, b}, c.want)
			}
		}
		r, g, b := p.mixed([4]byte{0, 255, 0, 0})
		if r < 200 || g > r-60 || b > r-20 {
			t.Errorf("magenta became %d %d %d", r, g, b)
		}
	}
	for n := range len(press(true)) {
		if readProfile(press(true)[:n]) != nil {
			t.Fatalf("a profile of %d octets of %d is read", n, len(press(true)))
		}
	}
}

// stages is the table of version 4 of a profile from so many inks: curves that
// change nothing, the grid with half of what it should be, a matrix that doubles
// it, and curves that change nothing.
func stages(wide bool, space string, lab func(corner []float64) [3]float64) []byte {
	channels := len(space)
	line := []byte("curv\x00\x00\x00\x00\x00\x00\x00\x00")
	bent := append([]byte("para\x00\x00\x00\x00\x00\x00\x00\x00"), 0, 1, 0, 0) // a power of 1
	t := make([]byte, 32)
	copy(t, "mAB ")
	t[8], t[9] = byte(channels), 3
	place := func(i int) { binary.BigEndian.PutUint32(t[i:], uint32(len(t))) }
	place(12)
	t = append(t, bytes.Repeat(line, 3)...)
	place(16)
	for _, v := range []uint32{2, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0} {
		t = binary.BigEndian.AppendUint32(t, v<<16)
	}
	place(20)
	t = append(append(append(t, bent...), line...), bent...)
	place(24)
	grid := make([]byte, 20)
	grid[16] = 1
	if wide {
		grid[16] = 2
	}
	for c := range channels {
		grid[c] = 2
	}
	t = append(t, grid...)
	for i := range 1 << channels {
		corner := make([]float64, channels)
		for c := range corner {
			corner[c] = float64(i >> (channels - 1 - c) & 1)
		}
		v := lab(corner)
		for _, x := range []float64{v[0] / 200, (v[1] + 128) / 510, (v[2] + 128) / 510} {
			if wide {
				t = binary.BigEndian.AppendUint16(t, uint16(x*65535+0.5))
			} else {
				t = append(t, byte(x*255+0.5))
			}
		}
	}
	for len(t)%4 != 0 {
		t = append(t, 0)
	}
	place(28)
	t = append(t, bytes.Repeat(line, channels)...)
	b := icc([]tag{{"A2B0", t}})
	copy(b[16:], (space + " ")[:4]+"Lab ")
	return b
}

// pressLab is what press says.
func pressLab(i []float64) [3]float64 {
	if i[3] == 1 {
		return [3]float64{10, 0, 0}
	}
	return [3]float64{100 - 30*(i[0]+i[1]+i[2]), 60*i[1] - 40*i[0], 80*i[2] - 40*i[0]}
}

func TestTablesOfVersion4SayTheSame(t *testing.T) {
	old := readProfile(press(true))
	for _, wide := range []bool{false, true} {
		b := stages(wide, "CMYK", pressLab)
		p := readProfile(b)
		if p == nil {
			t.Fatalf("the profile is not read (sixteen bits: %v)", wide)
		}
		for i := range 625 {
			ink := [4]byte{byte(i % 5 * 63), byte(i / 5 % 5 * 63), byte(i / 25 % 5 * 63), byte(i / 125 * 63)}
			r, g, b := p.mixed(ink)
			r2, g2, b2 := old.mixed(ink)
			// In eight bits halves are coarse.
			if most := map[bool]int{false: 9, true: 2}[wide]; distance(r, r2) > most || distance(g, g2) > most || distance(b, b2) > most {
				t.Errorf("%v became %v, want %v (sixteen bits: %v)", ink, [3]uint8{r, g, b}, [3]uint8{r2, g2, b2}, wide)
			}
		}
		for n := range len(b) {
			if readProfile(b[:n]) != nil {
				t.Fatalf("a profile of %d octets of %d is read", n, len(b))
			}
		}
	}
}

// redForBlue is a scanner that calls red what is blue.
func redForBlue(i []float64) [3]float64 {
	switch {
	case i[0]+i[1]+i[2] == 0:
		return [3]float64{0, 0, 0}
	case i[0] == 1 && i[1]+i[2] == 0:
		return [3]float64{29.57, 68.30, -112.03}
	case i[1] == 1 && i[0]+i[2] == 0:
		return [3]float64{87.82, -79.27, 80.99}
	case i[2] == 1 && i[0]+i[1] == 0:
		return [3]float64{54.29, 80.81, 69.89}
	}
	return [3]float64{100, 0, 0}
}

func TestATableOfAScannerIsApplied(t *testing.T) {
	p := readProfile(stages(true, "RGB", redForBlue))
	if p == nil {
		t.Fatal("the profile is not read")
	}
	narrow := image.NewNRGBA(image.Rect(0, 0, 5, 1))
	wide := image.NewNRGBA64(narrow.Rect)
	in := []color.NRGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {0, 0, 0, 255}, {255, 255, 255, 255}}
	for x, c := range in {
		narrow.Set(x, 0, c)
		wide.Set(x, 0, c)
	}
	if !p.apply(narrow) || !p.apply(wide) {
		t.Fatal("not applied")
	}
	for x, want := range []color.NRGBA{in[2], in[1], in[0], in[3], in[4]} {
		for _, m := range []image.Image{narrow, wide} {
			if c := color.NRGBAModel.Convert(m.At(x, 0)).(color.NRGBA); distance(c.R, want.R) > 4 || distance(c.G, want.G) > 4 || distance(c.B, want.B) > 4 {
				t.Errorf("%v became %v, want %v", in[x], c, want)
			}
		}
	}
}

// inPieces puts a profile into segments behind the start of a JPEG.
func inPieces(file, profile []byte, each int) []byte {
	out := append([]byte{}, file[:2]...)
	n := (len(profile) + each - 1) / each
	for i := range n {
		part := profile[i*each : min((i+1)*each, len(profile))]
		out = append(out, 0xff, 0xe2)
		out = binary.BigEndian.AppendUint16(out, uint16(2+14+len(part)))
		out = append(append(append(out, "ICC_PROFILE\x00"...), byte(i+1), byte(n)), part...)
	}
	return append(out, file[2:]...)
}

// lightness is a profile of greys in L*: 128 is half as light as white to the
// eye, not in numbers.
func lightness() []byte {
	b := icc([]tag{{"kTRC", append([]byte("curv\x00\x00\x00\x00\x00\x00\x00\x01"), 2, 0)}})
	copy(b[16:], "GRAYXYZ ")
	return b
}

func TestAGreyPictureIsAsLightAsItsProfileSays(t *testing.T) {
	m := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range m.Pix {
		m.Pix[i] = 128
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, nil); err != nil {
		t.Fatal(err)
	}
	for each, want := range map[int]uint8{1000: 137, 50: 137, 0: 128} { // (128/255)² is 0.252 of the light
		in := file.Bytes()
		if each > 0 {
			in = inPieces(in, lightness(), each)
		}
		got, _, _, err := treated(t, sanitize.KindJPEG, JPEG{}, in, nil)
		if err != nil {
			t.Fatal(err)
		}
		if v := color.GrayModel.Convert(got.At(8, 8)).(color.Gray).Y; distance(v, want) > 1 {
			t.Errorf("in pieces of %d: 128 became %d, want %d", each, v, want)
		}
	}
	// A scan in four greys has its levels moved, not halved.
	four := image.NewPaletted(image.Rect(0, 0, 4, 1), color.Palette{color.Gray{}, color.Gray{Y: 85}, color.Gray{Y: 170}, color.Gray{Y: 255}})
	copy(four.Pix, []byte{0, 1, 2, 3})
	p := readProfile(lightness())
	if !p.apply(four) {
		t.Fatal("not applied")
	}
	var drawn bytes.Buffer
	if err := png.Encode(&drawn, four); err != nil {
		t.Fatal(err)
	}
	for x, want := range []uint8{0, 94, 178, 255} {
		if v := color.GrayModel.Convert(four.At(x, 0)).(color.Gray).Y; distance(v, want) > 2 {
			t.Errorf("level %d became %d, want %d", x, v, want)
		}
	}
}

// A profile for other pictures says nothing about this one: it goes on by its
// coefficients.
func TestAProfileOfGreysIsNotForColours(t *testing.T) {
	m := image.NewRGBA(image.Rect(0, 0, 16, 16))
	for i := range m.Pix {
		m.Pix[i] = byte(i)
	}
	var file bytes.Buffer
	if err := jpeg.Encode(&file, m, nil); err != nil {
		t.Fatal(err)
	}
	with, _, _, err := treated(t, sanitize.KindJPEG, JPEG{}, inPieces(file.Bytes(), lightness(), 1000), nil)
	if err != nil {
		t.Fatal(err)
	}
	without, _, _, err := treated(t, sanitize.KindJPEG, JPEG{}, file.Bytes(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(with, without) {
		t.Error("the profile changed the picture")
	}
}

func FuzzInks(f *testing.F) {
	f.Add(press(true), uint32(0x80ff0040))
	f.Add(press(false), uint32(0))
	f.Add(lightness(), uint32(7))
	f.Add(stages(true, "CMYK", pressLab), uint32(9))
	f.Add(stages(false, "RGB", redForBlue), uint32(0xff00ff))
	f.Fuzz(func(t *testing.T, b []byte, ink uint32) {
		p := readProfile(b)
		if p == nil {
			return
		}
		if p.channels != 4 {
			p.convert(byte(ink), byte(ink>>8), byte(ink>>16))
			p.apply(image.NewNRGBA64(image.Rect(0, 0, 2, 2)))
			p.apply(image.NewGray(image.Rect(0, 0, 2, 2)))
			return
		}
		pix := binary.LittleEndian.AppendUint32(nil, ink)
		p.inked(pix)
		if pix[3] != 255 {
			t.Errorf("%08x became %v", ink, pix)
		}
	})
}
