package metafile

import (
	"bytes"
	"math"
	"testing"
)

// TestADrawingSaysHowLargeItIs: what Size reads is what was said, as near as the
// units go, and a drawing that says so already is left alone.
func TestADrawingSaysHowLargeItIs(t *testing.T) {
	plain, err := RewriteWMF(wmf(wmfRecord(0x020C, 0x10, 0x27, 0x10, 0x27), wmfRecord(0)))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ width, height float64 }{{160, 90}, {1, 3}, {5000, 20}, {0.1, 0.1}} {
		b := Placeable(plain, c.width, c.height)
		if len(b) != 22+len(plain) || !bytes.HasSuffix(b, plain) || !IsWMF(b) {
			t.Fatalf("%v: %x", c, b[:min(len(b), 40)])
		}
		if b, err = RewriteWMF(b); err != nil {
			t.Fatalf("%v: %v", c, err)
		}
		if w, h := Size(b); math.Abs(w-c.width) > 0.5 || math.Abs(h-c.height) > 0.5 {
			t.Errorf("%v: %g x %g", c, w, h)
		}
		if again := Placeable(b, 1, 1); !bytes.Equal(again, b) {
			t.Errorf("%v: it said so already", c)
		}
	}
	for _, c := range []struct{ width, height float64 }{{0, 5}, {-1, 5}, {1e9, 1}, {math.NaN(), 1}} {
		if b := Placeable(plain, c.width, c.height); !bytes.Equal(b, plain) {
			t.Errorf("%v: a header for no size", c)
		}
	}
}
