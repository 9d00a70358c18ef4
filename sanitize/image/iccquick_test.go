package image

import (
	"math/rand/v2"
	"os"
	"testing"
)

// profilesOfInks are the test's own, of both versions, and Ghostscript's where it
// is there.
func profilesOfInks(tb testing.TB) map[string]*profile {
	found := map[string]*profile{
		"eight bits": readProfile(press(false)), "sixteen bits": readProfile(press(true)),
		"version 4": readProfile(stages(true, "CMYK", pressLab)), "a scanner's": readProfile(stages(true, "RGB", func(i []float64) [3]float64 {
			return [3]float64{100 * (i[0] + i[1] + i[2]) / 3, 60*i[0] - 60*i[1], 60*i[1] - 60*i[2]}
		})),
	}
	if b, err := os.ReadFile("/usr/share/color/icc/ghostscript/default_cmyk.icc"); err == nil {
		found["Ghostscript's"] = readProfile(b)
	}
	for name, p := range found {
		if p == nil {
			tb.Fatalf("%s: not read", name)
		}
	}
	return found
}

// What is quick is what the table says: of each number at most one step of 255
// off, where it lies between two, and hardly ever.
func TestQuickInksAreTheSameInks(t *testing.T) {
	for name, p := range profilesOfInks(t) {
		r, off, all := rand.New(rand.NewPCG(1, 2)), 0, 0
		for range 200_000 {
			var ink [4]byte
			for c := range ink {
				// The ends of the scale as often as all between them.
				switch r.IntN(4) {
				case 0:
				case 1:
					ink[c] = 255
				default:
					ink[c] = byte(r.Uint32())
				}
			}
			n := p.inks.quick().light(ink)
			want := [3]uint8{}
			want[0], want[1], want[2] = p.mixed(ink)
			for c, v := range n {
				d := distance(p.level(v), want[c])
				if d > 1 {
					t.Fatalf("%s: %v became %v, want %v", name, ink, n, want)
				}
				off, all = off+d, all+1
			}
		}
		t.Logf("%s: %d numbers of %d are one off", name, off, all)
		if off*1000 > all {
			t.Errorf("%s: %d numbers of %d are one off", name, off, all)
		}
	}
}

func BenchmarkInks(b *testing.B) {
	const pixels = 12 << 20
	photo, r := make([]byte, 4*pixels), rand.New(rand.NewPCG(1, 2))
	for i := range photo { // a slope with the noise of a camera
		photo[i] = byte(i>>12+i%4*40) + byte(r.IntN(12))
	}
	pix := make([]byte, len(photo))
	for name, p := range profilesOfInks(b) {
		if len(p.inks.grid) < 4 {
			continue
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(photo)))
			for range b.N {
				copy(pix, photo)
				p.inked(pix)
			}
			b.ReportMetric(float64(pixels)*float64(b.N)/b.Elapsed().Seconds()/1e6, "megapixels/s")
		})
	}
}
