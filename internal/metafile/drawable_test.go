package metafile

import (
	"bytes"
	"testing"
)

// numbers are four octets each.
func numbers(vs ...uint32) (b []byte) {
	for _, v := range vs {
		b = le.AppendUint32(b, v)
	}
	return b
}

func TestWhatIsNotDrawnIsSaidInOtherCalls(t *testing.T) {
	vertices := bytes.Join([][]byte{numbers(10, 20), {0, 0xff, 0, 0, 0, 0, 0, 0}, numbers(110, 60), {0, 0, 0, 0, 0, 0xff, 0, 0}}, nil)
	fill := func(mode uint32, pairs ...uint32) []byte {
		return emfRecord(118, bytes.Join([][]byte{make([]byte, 16), numbers(2, uint32(len(pairs)/2), mode), vertices, numbers(pairs...)}, nil)...)
	}
	pen := func(style uint32, entries ...uint32) []byte {
		return emfRecord(95, numbers(append([]uint32{1, 0, 0, 0, 0, style, 4, 0, 0, 0, uint32(len(entries))}, entries...)...)...)
	}
	for _, c := range []struct {
		name     string
		in       []byte
		kinds    []uint32
		at, want uint32 // a number in the first record
	}{
		{"a gradient across", fill(0, 0, 1), []uint32{81}, 40, 128},
		{"a gradient down", fill(1, 0, 1), []uint32{81}, 44, 128},
		{"two gradients", fill(0, 0, 1, 1, 0), []uint32{81, 81}, 24, 10},
		{"a gradient of a corner that is not there", fill(0, 0, 2), []uint32{118}, 0, 118},
		{"a gradient of a triangle", fill(2, 0, 1), []uint32{118}, 0, 118},
		{"more gradients than are drawn", fill(0, make([]uint32, 2*maxGradients+2)...), []uint32{118}, 0, 118},
		{"round corners", emfRecord(44, numbers(0, 0, 50, 50, 30, 20)...), []uint32{44}, 24, 15},
		{"dashes", pen(0x10007, 30, 10), []uint32{95}, 28, 0x10001},
		{"dots", pen(0x10007, 4, 4), []uint32{95}, 28, 0x10002},
		{"dashes and dots", pen(0x10007, 30, 10, 4, 10), []uint32{95}, 28, 0x10003},
		{"a plain line", pen(0x10000), []uint32{95}, 28, 0x10000},
	} {
		b, err := RewriteEMF(emf(c.in))
		if err != nil {
			t.Fatal(err)
		}
		out := Drawable(b)
		var kinds []uint32
		for rest := out[le.Uint32(out[4:]):]; len(rest) > 0; rest = rest[le.Uint32(rest[4:]):] {
			kinds = append(kinds, le.Uint32(rest))
		}
		if len(kinds) != len(c.kinds)+1 || kinds[0] != c.kinds[0] {
			t.Errorf("%s: calls %v", c.name, kinds)
		}
		if got := le.Uint32(out[le.Uint32(out[4:])+c.at:]); got != c.want {
			t.Errorf("%s: %#x at %d, want %#x", c.name, got, c.at, c.want)
		}
		if int(le.Uint32(out[48:])) != len(out) || int(le.Uint32(out[52:])) != len(kinds)+1 {
			t.Errorf("%s: the header says %d octets and %d records", c.name, le.Uint32(out[48:]), le.Uint32(out[52:]))
		}
		// What it makes is as sound as any.
		if again, err := RewriteEMF(out); err != nil || !bytes.Equal(again, out) {
			t.Errorf("%s: it changes when it is written anew: %v", c.name, err)
		}
	}
	// The colours go from the corner that is further left to the other.
	b, _ := RewriteEMF(emf(fill(0, 1, 0)))
	out := Drawable(b)
	first := out[le.Uint32(out[4:])+120:]
	if first[0] != 0 || first[2] != 0xff || first[3*127] != 0xff || first[3*127+2] != 0 {
		t.Errorf("from %v to %v", first[:3], first[3*127:][:3])
	}
}
