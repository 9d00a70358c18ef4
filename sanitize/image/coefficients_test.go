package image

import (
	"bytes"
	"context"
	"math/rand/v2"
	"testing"

	"sekisho/internal/coefficients"
	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// allowed asks the second look.
func allowed(tb testing.TB, k sanitize.Kind, b []byte) {
	tb.Helper()
	o := sanitize.Options{Limits: sanitize.DefaultLimits()}
	s := sanitize.NewSession(&o, int64(len(b)), nil, nil)
	if err := verify.File(context.Background(), s, k, bytes.NewReader(b), int64(len(b))); err != nil {
		tb.Errorf("the second look: %v", err)
	}
}

// Whatever the coefficients are, within what baseline codes have a place for: what
// is written of them is allowed by the second look, and read again as they are.
func TestEveryCoefficientIsWritten(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	kinds := map[string]func(k int) int16{
		"nothing":   func(int) int16 { return 0 },
		"the least": func(k int) int16 { return int16(-1024 + min(k, 1)) },
		"the most":  func(int) int16 { return 1023 },
		"from end to end": func(k int) int16 {
			if k == 0 {
				return int16(-1024 + 2047*r.IntN(2))
			}
			return int16(1023 - 2046*r.IntN(2))
		},
		"few": func(k int) int16 {
			if r.IntN(30) > 0 {
				return 0
			}
			return int16(r.IntN(9) - 4)
		},
		"the last alone": func(k int) int16 { return int16(k / 63) },
		"any":            func(k int) int16 { return int16(r.IntN(2047) - 1023) },
	}
	for _, f := range []coefficients.Frame{
		{Width: 1, Height: 1, Components: 1},
		{Width: 130, Height: 47, Components: 1},
		{Width: 33, Height: 70, Components: 3, Sampling: [4]byte{0x11, 0x11, 0x11}},
		{Width: 33, Height: 70, Components: 3, Sampling: [4]byte{0x21, 0x11, 0x11}},
		{Width: 33, Height: 70, Components: 3, Sampling: [4]byte{0x22, 0x11, 0x11}},
		{Width: 33, Height: 70, Components: 3, Sampling: [4]byte{0x12, 0x11, 0x11}},
		{Width: 33, Height: 70, Components: 3, Sampling: [4]byte{0x42, 0x11, 0x11}},
		{Width: 65_535, Height: 9, Components: 3, Sampling: [4]byte{0x41, 0x11, 0x11}},
		{Width: 4_100, Height: 4_000, Components: 1}, // with the codes of the standard
	} {
		f.IDs = [4]byte{1, 2, 3}
		for name, value := range kinds {
			large := f.Width*f.Height > codesBelow
			if large && name != "few" {
				continue
			}
			c := coefficients.New(f)
			for i := range c.Planes {
				for k := range c.Planes[i].Data {
					if !large || k < 64*1000 {
						c.Planes[i].Data[k] = value(k & 63)
					}
				}
			}
			fillUp(c)
			var b bytes.Buffer
			e := encoder{out: &writer{w: &b}, luma: &standardLuma, chroma: &standardChroma}
			if err := e.rewrite(c); err != nil {
				t.Fatal(err)
			}
			allowed(t, sanitize.KindJPEG, b.Bytes())
			again := coefficients.New(f)
			if err := again.Read(b.Bytes()); err != nil {
				t.Fatalf("%v, %s: %v", f, name, err)
			}
			for i := range c.Planes {
				for k, v := range c.Planes[i].Data {
					if got := again.Planes[i].Data[k]; got != v {
						t.Fatalf("%v, %s: coefficient %d of plane %d is %d, was %d", f, name, k, i, got, v)
					}
				}
			}
		}
	}
}
