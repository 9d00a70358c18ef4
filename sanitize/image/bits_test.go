package image

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// Bits go out four octets at a time; they are those that would have gone out one by
// one, with a zero octet after eight ones and ones at the end.
func TestBitsGoOutAsOneByOne(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 3_000 {
		var want bytes.Buffer
		var s stream
		var octet, n byte
		one := func(bit byte) {
			octet, n = octet<<1|bit, n+1
			if n < 8 {
				return
			}
			want.WriteByte(octet)
			if octet == 0xff {
				want.WriteByte(0)
			}
			octet, n = 0, 0
		}
		for range r.IntN(60) {
			size := uint(1 + r.IntN(31))
			b := r.Uint64() & (1<<size - 1)
			if r.IntN(3) == 0 {
				b = 1<<size - 1
			}
			s.emit(b, size)
			for i := int(size) - 1; i >= 0; i-- {
				one(byte(b>>i) & 1)
			}
		}
		octets := s.end()
		for n > 0 {
			one(1)
		}
		if !bytes.Equal(octets, want.Bytes()) {
			t.Fatalf("%x\nis not\n%x", octets, want.Bytes())
		}
	}
}
