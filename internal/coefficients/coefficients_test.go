package coefficients

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// frameOf reads the header of a picture, as far as the tests need it.
func frameOf(b []byte) (f Frame, light [64]byte, ok bool) {
	table := byte(0)
	var tables [4][64]byte
	for b = b[min(2, len(b)):]; len(b) >= 4 && b[0] == 0xff; {
		m, n := b[1], 2+int(b[2])<<8+int(b[3])
		if n < 4 || n > len(b) {
			break
		}
		body := b[4:n]
		b = b[n:]
		switch {
		case m >= 0xc0 && m <= 0xc2 && len(body) >= 6 && body[5] >= 1 && body[5] <= 4 && len(body) == 6+3*int(body[5]):
			f = Frame{Height: int(body[1])<<8 | int(body[2]), Width: int(body[3])<<8 | int(body[4]), Progressive: m == 0xc2, Components: int(body[5])}
			for i := range f.Components {
				f.IDs[i], f.Sampling[i] = body[6+3*i], body[7+3*i]
			}
			table = body[8] & 3
		case m == 0xdb && len(body) >= 65 && body[0] < 4:
			for ; len(body) >= 65; body = body[65:] {
				copy(tables[body[0]&3][:], body[1:])
			}
		case m == 0xda:
			const most = 1 << 22
			return f, tables[table], f.Readable() && f.Width*f.Height <= most
		}
	}
	return f, light, false
}

// pictures are those of Go's own tests: one and three components, every sampling,
// progressive with and without refinement, restarts. And one of noise.
func pictures(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(runtime.GOROOT(), "src/image/testdata/*.jpeg"))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(f), ".jpeg")] = b
	}
	r := rand.New(rand.NewPCG(1, 2))
	m := image.NewRGBA(image.Rect(0, 0, 203, 149))
	for y := range 149 {
		for x := range 203 {
			m.Set(x, y, color.RGBA{uint8(x + r.IntN(90)), uint8(y + r.IntN(90)), uint8(r.IntN(256)), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 97}); err != nil {
		t.Fatal(err)
	}
	all["noise"] = b.Bytes()
	return all
}

// TestLightIsThatOfThePicture compares with what the standard library draws.
func TestLightIsThatOfThePicture(t *testing.T) {
	var c *Picture
	var pix []byte
	read := 0
	for name, b := range pictures(t) {
		f, q, ok := frameOf(b)
		want, err := jpeg.Decode(bytes.NewReader(b))
		if !ok || err != nil || strings.Contains(name, ".rgb") {
			continue // the first component of red, green and blue is no light
		}
		if c == nil {
			c = New(f)
		} else {
			c.Renew(f) // in what another picture left
		}
		if err := c.Read(b); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := c.Light(&q, pix)
		pix = got.Pix[:0]
		at := func(x, y int) int { return int(color.GrayModel.Convert(want.At(x, y)).(color.Gray).Y) }
		if m, ok := want.(*image.YCbCr); ok {
			at = func(x, y int) int { return int(m.Y[m.YOffset(x, y)]) }
		}
		if got.Rect != want.Bounds() {
			t.Errorf("%s: %v, want %v", name, got.Rect, want.Bounds())
			continue
		}
		for y := range f.Height {
			for x := range f.Width {
				if g, w := int(got.GrayAt(x, y).Y), at(x, y); g < w-1 || g > w+1 {
					t.Fatalf("%s at %d,%d: %d, want %d", name, x, y, g, w)
				}
			}
		}
		read++
	}
	if read < 1 {
		t.Error("nothing was read")
	}
	t.Logf("%d pictures", read)
}

// What is read here another reader can read: nothing passes for a picture that
// is none. Octets of the scans are changed, which are in no table.
func TestWhatIsReadIsAPicture(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	read, refused := 0, 0
	for name, b := range pictures(t) {
		f, _, ok := frameOf(b)
		if !ok {
			continue
		}
		c := New(f)
		scan := bytes.Index(b, []byte{0xff, 0xda})
		for range 40 {
			d := bytes.Clone(b)
			for range 1 + r.IntN(3) {
				d[scan+r.IntN(len(d)-scan)] ^= 1 << r.IntN(8)
			}
			if r.IntN(4) == 0 {
				d = append(d[:scan+r.IntN(len(d)-scan)], 0xff, 0xd9)
			}
			c.Renew(f)
			if err := c.Read(d); err != nil {
				refused++
				continue
			}
			read++
			if _, err := jpeg.Decode(bytes.NewReader(d)); err != nil {
				t.Errorf("%s, changed: read here, elsewhere %v", name, err)
			}
		}
	}
	if refused == 0 {
		t.Error("no damage was seen")
	}
	t.Logf("%d read, %d refused", read, refused)
}

// TestCoefficientsStayInTheirRange: numbers that no baseline picture can hold
// are cut to what it can.
func TestCoefficientsStayInTheirRange(t *testing.T) {
	f := Frame{Width: 8, Height: 8, Progressive: true, Components: 1, IDs: [4]byte{1}, Sampling: [4]byte{0x11}}
	b := []byte{0xff, 0xd8}
	for _, class := range []byte{0x00, 0x10} {
		// 0 is a number of one bit with nothing left out, 10 the end of a block.
		b = append(append(b, 0xff, 0xc4, 0, 21, class, 1, 1), make([]byte, 14)...)
		b = append(b, 1, 0)
	}
	for _, scan := range []struct{ head, bits string }{
		{"\x01\x01\x00\x00\x00\x0d", "01"},
		{"\x01\x01\x00\x01\x3f\x0d", strings.Repeat("00", 30) + strings.Repeat("01", 33)},
		{"\x01\x01\x00\x01\x3f\xdc", "10" + strings.Repeat("1", 63)},
		{"\x01\x01\x00\x00\x00\xdc", "1"},
	} {
		b = append(append(b, 0xff, 0xda, 0, 8), scan.head...)
		for bits := scan.bits; bits != ""; {
			part := (bits + "1111111")[:8]
			bits = bits[min(8, len(bits)):]
			v, err := strconv.ParseUint(part, 2, 8)
			if err != nil {
				t.Fatal(err)
			}
			if b = append(b, byte(v)); v == 0xff {
				b = append(b, 0)
			}
		}
	}
	c := New(f)
	if err := c.Read(append(b, 0xff, 0xd9)); err != nil {
		t.Fatal(err)
	}
	set := 0
	for k, v := range c.Planes[0].Data {
		if v != 0 {
			set++
		}
		if v > MaxAC || v < -MaxAC-1 || k > 0 && v < -MaxAC {
			t.Errorf("coefficient %d is %d", k, v)
		}
	}
	if set != 64 {
		t.Errorf("%d coefficients, want 64", set)
	}
}

func TestOtherKindsAreToldSo(t *testing.T) {
	for name, f := range map[string]Frame{
		"four inks":     {Width: 8, Height: 8, Components: 4, Sampling: [4]byte{0x11, 0x11, 0x11, 0x11}},
		"fine colours":  {Width: 8, Height: 8, Components: 3, Sampling: [4]byte{0x11, 0x22, 0x22}},
		"no size":       {Components: 1, Sampling: [4]byte{0x11}},
		"three by four": {Width: 8, Height: 8, Components: 3, Sampling: [4]byte{0x34, 0x11, 0x11}},
	} {
		if f.Readable() {
			t.Errorf("%s: readable", name)
		}
	}
	f := Frame{Width: 8, Height: 8, Components: 1, IDs: [4]byte{1}, Sampling: [4]byte{0x11}}
	for name, b := range map[string][]byte{
		"nothing":     nil,
		"no scan":     {0xff, 0xd8, 0xff, 0xd9, 0, 0},
		"no table":    {0xff, 0xd8, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0, 0x55, 0xff, 0xd9},
		"twelve bits": {0xff, 0xd8, 0xff, 0xc1, 0, 11, 12, 0, 8, 0, 8, 1, 1, 0x11, 0, 0xff, 0xd9},
	} {
		if err := New(f).Read(b); !errors.Is(err, ErrOther) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, b := range pictures(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		frame, q, ok := frameOf(b)
		if !ok {
			return
		}
		c := New(frame)
		if c.Read(b) != nil {
			return
		}
		if m := c.Light(&q, nil); m.Rect.Dx() != frame.Width || m.Rect.Dy() != frame.Height {
			t.Errorf("%v of %d x %d", m.Rect, frame.Width, frame.Height)
		}
	})
}

func BenchmarkRead(b *testing.B) {
	for _, name := range []string{"video-001.q50.420", "video-001.q50.420.progressive", "noise"} {
		in := pictures(b)[name]
		f, q, ok := frameOf(in)
		if !ok {
			continue
		}
		c := New(f)
		var pix []byte
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				c.Renew(f)
				if err := c.Read(in); err != nil {
					b.Fatal(err)
				}
				pix = c.Light(&q, pix).Pix[:0]
			}
			b.ReportMetric(float64(b.N)*float64(f.Width*f.Height)/1e6/b.Elapsed().Seconds(), "Mpixel/s")
		})
		b.Run(name+"/library", func(b *testing.B) {
			for b.Loop() {
				if _, err := jpeg.Decode(bytes.NewReader(in)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
