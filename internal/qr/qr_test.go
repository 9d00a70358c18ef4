package qr

import (
	"bytes"
	"image"
	"image/color"
	"image/draw"
	"image/jpeg"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/qr/qrtest"
)

const address = "https://www.city.example.lg.jp/apply?id=7"

// seen draws modules as a camera sees them: turned, in perspective, with noise.
func seen(code [][]bool, degrees, module, perspective, noise float64) Plane {
	n := float64(len(code))
	w := int(n*module*1.6) + 40
	p := Plane{Pix: make([]byte, w*w), Width: w, Height: w, Stride: w}
	r := rand.New(rand.NewSource(1))
	s, c := math.Sincos(degrees * math.Pi / 180)
	for y := range w {
		for x := range w {
			sum := 0.0
			for k := range 4 {
				dx, dy := float64(x)+0.25+0.5*float64(k&1)-float64(w)/2, float64(y)+0.25+0.5*float64(k>>1)-float64(w)/2
				u, v := c*dx+s*dy, c*dy-s*dx
				f := (1 + perspective*u/float64(w)) * module
				u, v = u/f+n/2, v/f+n/2
				light := 57.0
				if u >= 0 && v >= 0 && u < n && v < n && code[int(v)][int(u)] {
					light = 8
				}
				sum += light
			}
			p.Pix[y*w+x] = byte(max(0, min(255, sum+noise*r.NormFloat64())))
		}
	}
	return p
}

func modules(t testing.TB, text string, mask int) [][]bool {
	t.Helper()
	code, err := qrtest.Modules(text, mask)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

func TestCodesOfEveryMaskAndSizeAreRead(t *testing.T) {
	for mask := range 8 {
		for n := 10; n <= 100; n += 15 {
			want := "http://a/" + strings.Repeat("x", n-9)
			if got := Decode(seen(modules(t, want, mask), 0, 3, 0, 0)); !slices.Equal(got, []string{want}) {
				t.Errorf("mask %d, %d octets: %q", mask, n, got)
			}
		}
	}
}

func TestCodesAreReadAsCamerasSeeThem(t *testing.T) {
	code := modules(t, address, 2)
	for _, module := range []float64{2, 4.7, 15} {
		for _, perspective := range []float64{0, 0.3} {
			for degrees := 0.0; degrees < 360; degrees += 60 {
				if got := Decode(seen(code, degrees, module, perspective, 6)); !slices.Equal(got, []string{address}) {
					t.Errorf("%g pixels a module, perspective %g, turned by %g: %q", module, perspective, degrees, got)
				}
			}
		}
	}
}

func TestDamagedMirroredAndLightCodesAreRead(t *testing.T) {
	code := modules(t, address, 5)
	n := len(code)
	for i := range 3 { // some octets of 100
		for j := range 4 {
			code[12+i][12+j] = !code[12+i][12+j]
		}
	}
	mirrored, light := make([][]bool, n), make([][]bool, n+8)
	for y := range mirrored {
		mirrored[y] = make([]bool, n)
		for x := range mirrored[y] {
			mirrored[y][x] = code[x][y]
		}
	}
	for y := range light {
		light[y] = make([]bool, n+8)
		for x := range light[y] {
			light[y][x] = y < 4 || x < 4 || y >= n+4 || x >= n+4 || !code[y-4][x-4]
		}
	}
	for name, c := range map[string][][]bool{"damaged": code, "mirrored": mirrored, "light on dark": light} {
		if got := Decode(seen(c, 10, 5, 0, 3)); !slices.Equal(got, []string{address}) {
			t.Errorf("%s: %q", name, got)
		}
	}
	for y := range n / 2 {
		clear(code[9+y/2])
	}
	if got := Decode(seen(code, 0, 5, 0, 0)); len(got) != 0 {
		t.Errorf("half a code is read as %q", got)
	}
}

func TestPicturesOfEveryModelAreRead(t *testing.T) {
	g, err := qrtest.Picture(address, 4)
	if err != nil {
		t.Fatal(err)
	}
	second, err := qrtest.Picture("https://b.example/", 3)
	if err != nil {
		t.Fatal(err)
	}
	b := image.Rect(0, 0, 4000, 1500)
	for name, m := range map[string]draw.Image{
		"RGBA": image.NewRGBA(b), "NRGBA": image.NewNRGBA(b), "NRGBA64": image.NewNRGBA64(b), "RGBA64": image.NewRGBA64(b), "Gray16": image.NewGray16(b),
		"CMYK": image.NewCMYK(b), "Paletted": image.NewPaletted(b, color.Palette{color.White, color.Black}), "Alpha": image.NewAlpha(image.Rect(0, 0, 400, 300)),
	} {
		if name != "Alpha" { // has no dark and light, only here and not here
			draw.Draw(m, b, image.NewUniform(color.White), image.Point{}, draw.Src)
			draw.Draw(m, g.Rect.Add(image.Pt(300, 200)), g, image.Point{}, draw.Src)
		}
		got := Read(m)
		if name != "Alpha" && !slices.Contains(got, address) {
			t.Errorf("%s: %q", name, got)
		}
	}
	two := image.NewGray(image.Rect(0, 0, 900, 600))
	draw.Draw(two, two.Rect, image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(two, g.Rect.Add(image.Pt(20, 30)), g, image.Point{}, draw.Src)
	draw.Draw(two, second.Rect.Add(image.Pt(500, 300)), second, image.Point{}, draw.Src)
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, two, &jpeg.Options{Quality: 60}); err != nil {
		t.Fatal(err)
	}
	photo, err := jpeg.Decode(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if got := Read(photo); len(got) != 2 || !slices.Contains(got, address) || !slices.Contains(got, "https://b.example/") {
		t.Errorf("two codes: %q", got)
	}
}

// FuzzDecode: any pixels end, and say no more than codes can hold.
func FuzzDecode(f *testing.F) {
	p := seen(modules(f, address, 1), 20, 2, 0, 0)
	f.Add(p.Pix, p.Width)
	f.Add(bytes.Repeat([]byte{0, 255, 0, 0, 0, 255, 0, 255}, 400), 57)
	f.Fuzz(func(t *testing.T, pix []byte, width int) {
		if width <= 0 || width > len(pix) {
			return
		}
		got := Decode(Plane{Pix: pix, Width: width, Height: len(pix) / width, Stride: width})
		if len(got) > maxCodes {
			t.Errorf("%d codes", len(got))
		}
		for _, s := range got {
			if len(s) > 3*7089 { // digits in version 40
				t.Errorf("a code of %d octets", len(s))
			}
		}
	})
}

// FuzzModules reads grids that no picture has to show.
func FuzzModules(f *testing.F) {
	f.Add([]byte{1, 2, 3}, 25)
	f.Fuzz(func(t *testing.T, b []byte, n int) {
		if n < 21 || n > maxModules || n%4 != 1 || len(b) == 0 {
			return
		}
		g := &grid{n: n}
		for i := range n * n {
			g.dark[i/n][i%n] = b[i/8%len(b)]>>(i%8)&1 == 1
		}
		if s, ok := g.decode(); !ok && s != "" {
			t.Errorf("no code, and it says %q", s)
		}
		if s, ok := text(b, (n-17)/4); !ok && s != "" {
			t.Errorf("no text, and it says %q", s)
		}
	})
}

func BenchmarkPhotographOf12Megapixels(b *testing.B) {
	r := rand.New(rand.NewSource(2))
	p := Plane{Pix: make([]byte, 4000*3000), Width: 4000, Height: 3000, Stride: 4000}
	for i := range p.Pix {
		v := 128 + 60*math.Sin(float64(i%4000)/90) + 40*math.Cos(float64(i/4000)/37) + 10*r.NormFloat64()
		p.Pix[i] = byte(max(0, min(255, v)))
	}
	for b.Loop() {
		Decode(p)
	}
}

// BenchmarkPageOfText looks at what most pages are: letters on paper.
func BenchmarkPageOfText(b *testing.B) {
	p := Plane{Pix: make([]byte, 1240*1754), Width: 1240, Height: 1754, Stride: 1240}
	for i := range p.Pix {
		p.Pix[i] = 255
		if x, y := i%1240, i/1240; x > 120 && x < 1120 && y > 120 && y < 1620 && y%36 < 22 && x*7%11 < 4 && (x/3+y/5)%3 == 0 {
			p.Pix[i] = byte(x * y % 200)
		}
	}
	for b.Loop() {
		Decode(p)
	}
}

// TestSpreadKnowsTheWholeNeighbourhood compares it with looking at every field.
func TestSpreadKnowsTheWholeNeighbourhood(t *testing.T) {
	const cols, rows = 31, 17
	in := make([]byte, cols*rows)
	for i := range in {
		in[i] = byte(i * i * 37 >> 3)
	}
	for _, lowest := range []bool{true, false} {
		near := spread(in, cols, rows, []int{-2, -1, 0, 1, 2}, lowest)
		for reach, got := range map[int][]byte{2: near, 9: spread(near, cols, rows, []int{-7, -2, 3, 7}, lowest)} {
			for r := range rows {
				for c := range cols {
					want := in[r*cols+c]
					for y := max(r-reach, 0); y <= min(r+reach, rows-1); y++ {
						for x := max(c-reach, 0); x <= min(c+reach, cols-1); x++ {
							if v := in[y*cols+x]; lowest == (v < want) && v != want {
								want = v
							}
						}
					}
					if got[r*cols+c] != want {
						t.Fatalf("reach %d, lowest %v at %d, %d: %d, want %d", reach, lowest, c, r, got[r*cols+c], want)
					}
				}
			}
		}
	}
}

// TestLargeCodesAreReadFromTheSide: the more modules, the further from its place
// the alignment pattern lies.
func TestLargeCodesAreReadFromTheSide(t *testing.T) {
	long := address + "?" + strings.Repeat("0123456789", 6)
	code := modules(t, long, 2)
	for _, perspective := range []float64{0.3, 0.4, 0.5} {
		for degrees := 0.0; degrees < 360; degrees += 45 {
			if got := Decode(seen(code, degrees, 6, perspective, 3)); !slices.Equal(got, []string{long}) {
				t.Errorf("perspective %g, turned by %g: %q", perspective, degrees, got)
			}
		}
	}
}
