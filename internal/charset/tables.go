package charset

import (
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const (
	rows     = 120 // CP932 has 26 rows beyond the 94 of JIS X 0208
	cells    = 94
	lastRow  = 94
	firstIBM = 115 // rows 115 to 119 are the IBM extensions; 95 to 114 user-defined
)

// index0208 holds JIS X 0208 with NEC row 13, the NEC-selected IBM extensions
// (rows 89 to 92) and the IBM extensions (115 to 119), by row and cell from
// zero. x/text keeps this table to itself, so it is read out through its
// decoder, once, on first use.
var index0208 = sync.OnceValue(func() *[rows * cells]uint16 {
	var src []byte
	for lead := 0x81; lead <= 0xfc; lead++ {
		if 0xa0 <= lead && lead < 0xe0 {
			continue
		}
		for trail := 0x40; trail <= 0xfc; trail++ {
			if trail != 0x7f {
				src = append(src, byte(lead), byte(trail))
			}
		}
	}
	t := new([rows * cells]uint16)
	fill(t[:], japanese.ShiftJIS.NewDecoder().Bytes, src, 2)
	return t
})

// index0212 is JIS X 0212 with the IBM extensions that eucJP-ms adds to it.
var index0212 = sync.OnceValue(func() *[cells * cells]uint16 {
	t := new([cells * cells]uint16)
	fill(t[:], japanese.EUCJP.NewDecoder().Bytes, grid([]byte{0x8f}), 3)
	for _, r := range eucJPms {
		i := 0
		for _, c := range r.cells {
			if p := &t[(r.number-1)*cells+i]; *p == 0 && c != ' ' {
				*p = uint16(c)
			}
			i++
		}
	}
	return t
})

// indexGB is GB 2312 and indexKS KS X 1001, for ISO-2022-JP-2 and -KR.
var (
	indexGB = sync.OnceValue(func() *[cells * cells]uint16 {
		t := new([cells * cells]uint16)
		fill(t[:], simplifiedchinese.GBK.NewDecoder().Bytes, grid(nil), 2)
		return t
	})
	indexKS = sync.OnceValue(func() *[cells * cells]uint16 {
		t := new([cells * cells]uint16)
		fill(t[:], korean.EUCKR.NewDecoder().Bytes, grid(nil), 2)
		return t
	})
)

// index0213 are the two planes of JIS X 0213, without what is in JIS X 0208.
var index0213 = sync.OnceValue(func() *[2][cells * cells]rune {
	t := new([2][cells * cells]rune)
	for plane, rows := range [][]row{jisx0213Plane1[:], jisx0213Plane2[:]} {
		for _, r := range rows {
			i := 0
			for _, c := range r.cells {
				if c != ' ' {
					t[plane][(r.number-1)*cells+i] = c
				}
				i++
			}
		}
	}
	return t
})

// grid lists all pairs of 0xA1 to 0xFE, each after prefix.
func grid(prefix []byte) []byte {
	src := make([]byte, 0, cells*cells*(2+len(prefix)))
	for a := 0xa1; a <= 0xfe; a++ {
		for b := 0xa1; b <= 0xfe; b++ {
			src = append(src, prefix...)
			src = append(src, byte(a), byte(b))
		}
	}
	return src
}

// fill decodes src, size bytes a code, into t. Each code is decoded by itself,
// because an unassigned one may make a decoder resume inside it.
func fill(t []uint16, decode func([]byte) ([]byte, error), src []byte, size int) {
	for i := range t {
		if len(src) < size {
			return
		}
		out, err := decode(src[:size])
		src = src[size:]
		if err != nil {
			continue
		}
		r, n := utf8.DecodeRune(out)
		if r == utf8.RuneError || n != len(out) || r > 0xffff || 0xe000 <= r && r < 0xf900 {
			continue
		}
		t[i] = uint16(r)
	}
}
