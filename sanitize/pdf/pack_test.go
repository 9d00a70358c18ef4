package pdf

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"

	"sekisho/internal/pdf"
)

// fullPage is a grey page of A4 at 150 dpi, as what draws it says: letters of
// strokes with soft edges, as many as a page holds, or a picture with grain.
func fullPage(isLetter func(x, y int) bool, isPicture func(x, y int) bool) *image.Gray {
	const width, height, em = 1241, 1754, 21
	r := rand.New(rand.NewPCG(7, 7))
	m := image.NewGray(image.Rect(0, 0, width, height))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	for y := 60; y+em < height-60; y += em + 3 {
		for x := 60; x+em < width-60; x += em {
			if !isLetter(x, y) {
				continue
			}
			for range 9 {
				fx, fy, a, n := r.Float64()*em, r.Float64()*em, r.Float64()*math.Pi, 4+r.IntN(12)
				for range n {
					if fx >= 0 && fy >= 0 && fx < em-2 && fy < em-2 {
						i := (y+int(fy))*width + x + int(fx)
						m.Pix[i] = byte(r.IntN(40))
						m.Pix[i+1] = min(m.Pix[i+1], byte(60+r.IntN(160)))
						m.Pix[i+width] = min(m.Pix[i+width], byte(60+r.IntN(160)))
					}
					fx, fy = fx+math.Cos(a), fy+math.Sin(a)
				}
			}
		}
	}
	for y := range height {
		for x := range width {
			if isPicture(x, y) {
				m.Pix[y*width+x] = byte(128 + 90*math.Sin(float64(x)/97)*math.Cos(float64(y)/131) + float64(r.IntN(36)))
			}
		}
	}
	return m
}

// TestAPageIsAPhotographWhereThatIsSmaller: a part of its rows tells what all of
// them would have told.
func TestAPageIsAPhotographWhereThatIsSmaller(t *testing.T) {
	all := func(int, int) bool { return true }
	none := func(int, int) bool { return false }
	for _, k := range []struct {
		name              string
		isLetter, picture func(x, y int) bool
		filter            string // "": the smaller one
	}{
		{"small letters", all, none, "FlateDecode"},
		{"small letters in every third line", func(_, y int) bool { return y/24%3 == 0 }, none, "FlateDecode"},
		{"a picture", none, all, "DCTDecode"},
		{"a picture below small letters", all, func(_, y int) bool { return y > 900 }, ""},
		{"a picture in a column", all, func(x, _ int) bool { return x > 600 }, ""},
		{"a small picture", all, func(x, y int) bool { return x > 800 && y > 1400 }, ""},
	} {
		m := fullPage(k.isLetter, k.picture)
		whole, err := photograph(m)
		if err != nil {
			t.Fatal(err)
		}
		d, data, err := new(packer).page(m.Rect.Dx(), m.Rect.Dy(), 1, m.Pix)
		if err != nil {
			t.Fatal(err)
		}
		if k.filter != "" && d["Filter"] != pdf.Name(k.filter) {
			t.Errorf("%s: %v of %d octets, as a photograph %d", k.name, d["Filter"], len(data), len(whole))
		}
		if len(data) > len(whole) {
			t.Errorf("%s: %d octets, as a photograph %d", k.name, len(data), len(whole))
		}
		if k.filter == "FlateDecode" && len(data) > len(m.Pix)/10 && mayBeSmaller(m, len(data)) {
			t.Errorf("%s: %d octets, and a photograph of %d was made to see", k.name, len(data), len(whole))
		}
	}
}

// BenchmarkFullPage packs a page full of small letters.
func BenchmarkFullPage(b *testing.B) {
	m := fullPage(func(int, int) bool { return true }, func(int, int) bool { return false })
	var k packer
	for b.Loop() {
		if _, _, err := k.page(m.Rect.Dx(), m.Rect.Dy(), 1, m.Pix); err != nil {
			b.Fatal(err)
		}
	}
}
