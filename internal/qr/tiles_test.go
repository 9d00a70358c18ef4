package qr

import (
	"testing"

	"sekisho/internal/qr/qrtest"
)

// tiles is the dearest picture known: all of it small corners of codes that
// look whole but are not.
func tiles(tb testing.TB, module, w, h int) Plane {
	code := modules(tb, address, 0)
	n := len(code)
	for y := 9; y < n-9; y++ { // the lines of alternating modules stay
		for x := 9; x < n; x++ {
			code[y][x] = (x*7+y*13)%3 == 0
		}
	}
	p := Plane{Pix: make([]byte, w*h), Width: w, Height: h, Stride: w}
	for y := range h {
		for x := range w {
			cx, cy := x/module%(n+2), y/module%(n+2)
			p.Pix[y*w+x] = 250
			if cx < n && cy < n && code[cy][cx] {
				p.Pix[y*w+x] = 10
			}
		}
	}
	return p
}

func TestTilesThatLookLikeCodesAreNone(t *testing.T) {
	if got := Decode(tiles(t, 3, 1200, 1200)); len(got) != 0 {
		t.Errorf("read %q", got)
	}
	if _, err := qrtest.Modules(string(make([]byte, 200)), 0); err == nil {
		t.Error("a text that is too long for the writer was drawn")
	}
}

func BenchmarkTilesThatLookLikeCodes(b *testing.B) {
	p := tiles(b, 3, 1480, 1480)
	for b.Loop() {
		Decode(p)
	}
}

// TestEightOctetsAreComparedAtOnce holds the words against the octets.
func TestEightOctetsAreComparedAtOnce(t *testing.T) {
	for x := range 256 {
		for y := range 256 {
			// Others beside it must not matter.
			a, b := uint64(x)<<24|0xff00ff<<32|0x80, uint64(y)<<24|0x00ff80<<32|0x7f
			notLower, lower := compare(a, b)
			if want := uint64(0); x < y {
				want = 1
				if notLower>>24&0xff != 0 || lower>>24&0xff != want {
					t.Fatalf("%d, %d: %x, %x", x, y, notLower, lower)
				}
			} else if notLower>>24&0xff != 0xff || lower>>24&0xff != want {
				t.Fatalf("%d, %d: %x, %x", x, y, notLower, lower)
			}
		}
	}
}
