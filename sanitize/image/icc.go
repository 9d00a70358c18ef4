package image

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"image"
	"image/color"
	"io"
	"math"
	"sync"
)

// A profile says what colours the numbers of a picture mean. Without it they
// mean sRGB, and the photos of today's phones, made for wider screens, would
// look dull. So the colours are converted and the profile is dropped. Understood
// are the plain profiles, three curves and a matrix (ICC.1:2010, 8.3.3) or one
// curve of greys (8.3.4), and the tables from four inks or from red, green and blue
// to L*a*b*, of versions 2 and 4; other tables are dropped unread.
type profile struct {
	linear [3][256]float32 // what a value of a channel is in light
	matrix [3][3]float32   // from the profile's light to sRGB's
	srgb   *[4097]uint8    // the curve of that name

	channels int   // of the pictures that it is for
	inks     *inks // the table, where it is one
}

const (
	// profileBytes bounds a profile. Those of three curves and a matrix have
	// 500 to 4,000 bytes.
	profileBytes = 64 << 10
	profileTags  = 100
)

// toSRGB is from XYZ under D50, in which profiles speak, to linear sRGB (IEC
// 61966-2-1, adapted by Bradford's method).
var toSRGB = [3][3]float64{
	{3.1338561, -1.6168667, -0.4906146},
	{-0.9787684, 1.9161415, 0.0334540},
	{0.0719453, -0.2289914, 1.4052427},
}

// fromLab is a colour of L*a*b*, L from 0 to 100, in the light of D50 (CIE
// 15:2004, 8.2.1, turned around).
func fromLab(l, a, b float64) (x, y, z float64) {
	cube := func(t float64) float64 {
		if t > 6.0/29 {
			return t * t * t
		}
		return 3 * (6.0 / 29) * (6.0 / 29) * (t - 4.0/29)
	}
	l = (l + 16) / 116
	return 0.9642 * cube(l+a/500), cube(l), 0.8249 * cube(l-b/200)
}

// readProfile returns nil for what is none of the profiles that are understood,
// and for sRGB, which needs no conversion.
func readProfile(b []byte) *profile {
	if len(b) < 132 || string(b[36:40]) != "acsp" {
		return nil
	}
	tags := map[string][]byte{}
	for i := range min(binary.BigEndian.Uint32(b[128:]), profileTags) {
		at := 132 + 12*int(i)
		if at+12 > len(b) {
			return nil
		}
		from, size := int64(binary.BigEndian.Uint32(b[at+4:])), int64(binary.BigEndian.Uint32(b[at+8:]))
		if from+size <= int64(len(b)) {
			tags[string(b[at:at+4])] = b[from : from+size]
		}
	}
	switch string(b[16:24]) {
	case "RGB XYZ ":
		return readMatrix(tags)
	case "GRAY" + "XYZ ", "GRAY" + "Lab ":
		return readGrey(tags["kTRC"], string(b[20:24]) == "Lab ").unlessPlain()
	case "CMYK" + "Lab ":
		if t := readInks(tags["A2B0"], 4); t != nil {
			return &profile{srgb: srgb(), channels: 4, inks: t}
		}
	case "RGB Lab ":
		if t := readInks(tags["A2B0"], 3); t != nil {
			return (&profile{srgb: srgb(), channels: 3, inks: t}).unlessPlain()
		}
	}
	return nil
}

// readMatrix reads three curves and a matrix.
func readMatrix(tags map[string][]byte) *profile {
	p := profile{srgb: srgb(), channels: 3}
	var m [3][3]float64
	for i, c := range [3]string{"r", "g", "b"} {
		xyz := tags[c+"XYZ"]
		if len(xyz) < 20 || string(xyz[:4]) != "XYZ " {
			return nil
		}
		for j := range 3 {
			m[j][i] = fixed(xyz[8+4*j:])
		}
		if !curve(tags[c+"TRC"], &p.linear[i]) {
			return nil
		}
	}
	// White is that of D50 in every profile (ICC.1:2010, 7.2.16). Where it is
	// not, the numbers are no profile's, and colours would be nobody's.
	for j, white := range [3]float64{0.9642, 1, 0.8249} {
		if math.Abs(m[j][0]+m[j][1]+m[j][2]-white) > 0.1 {
			return nil
		}
	}
	for i := range 3 {
		for j := range 3 {
			v := 0.0
			for k := range 3 {
				v += toSRGB[i][k] * m[k][j]
			}
			p.matrix[i][j] = float32(v)
		}
	}
	return p.unlessPlain()
}

// unlessPlain is nil for a profile that moves no colour by more than two of 255
// steps: it is sRGB by another name.
func (p *profile) unlessPlain() *profile {
	if p == nil {
		return nil
	}
	most := 0
	for _, r := range [...]uint8{0, 40, 128, 200, 255} {
		for _, g := range [...]uint8{0, 128, 255} {
			for _, bl := range [...]uint8{0, 128, 255} {
				r2, g2, b2 := p.convert(r, g, bl)
				most = max(most, distance(r, r2), distance(g, g2), distance(bl, b2))
			}
		}
	}
	if most <= 2 {
		return nil
	}
	return p
}

func distance(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

// fixed is s15Fixed16Number.
func fixed(b []byte) float64 { return float64(int32(binary.BigEndian.Uint32(b))) / 65536 }

// curve reads a tone curve at 256 places (ICC.1:2010, 10.5 and 10.15).
func curve(b []byte, out *[256]float32) bool {
	var f func(float64) float64
	switch {
	case len(b) >= 12 && string(b[:4]) == "curv":
		n := int64(binary.BigEndian.Uint32(b[8:]))
		switch {
		case n == 0:
			f = func(x float64) float64 { return x }
		case n == 1 && len(b) >= 14:
			g := float64(binary.BigEndian.Uint16(b[12:])) / 256
			f = func(x float64) float64 { return math.Pow(x, g) }
		case n > 1 && 12+2*n <= int64(len(b)):
			f = func(x float64) float64 {
				at := x * float64(n-1)
				i := min(int64(at), n-2)
				lo, hi := float64(binary.BigEndian.Uint16(b[12+2*i:])), float64(binary.BigEndian.Uint16(b[14+2*i:]))
				return (lo + (hi-lo)*(at-float64(i))) / 65535
			}
		default:
			return false
		}
	case len(b) >= 12 && string(b[:4]) == "para":
		kind := binary.BigEndian.Uint16(b[8:])
		if kind > 4 {
			return false
		}
		n := [...]int{1, 3, 4, 5, 7}[kind]
		if len(b) < 12+4*n {
			return false
		}
		var v [7]float64
		for i := range n {
			v[i] = fixed(b[12+4*i:])
		}
		g, a, bb, c, d, e, ff := v[0], v[1], v[2], v[3], v[4], v[5], v[6]
		switch kind {
		case 0:
			a, d = 1, math.Inf(-1)
		case 1, 2:
			if a == 0 {
				return false
			}
			// Below -b/a it is constant.
			d, e, ff, c = -bb/a, c, c, 0
		}
		if kind == 1 {
			e, ff = 0, 0
		}
		f = func(x float64) float64 {
			if x >= d {
				return math.Pow(max(a*x+bb, 0), g) + e
			}
			return c*x + ff
		}
	default:
		return false
	}
	for i := range out {
		v := f(float64(i) / 255)
		if math.IsNaN(v) {
			return false
		}
		out[i] = float32(min(max(v, 0), 1))
	}
	return true
}

// srgb is the curve of sRGB at 4,096 places, fine enough for dark colours.
var srgb = sync.OnceValue(func() *[4097]uint8 {
	var t [4097]uint8
	for i := range t {
		x := float64(i) / 4096
		if x <= 0.0031308 {
			x *= 12.92
		} else {
			x = 1.055*math.Pow(x, 1/2.4) - 0.055
		}
		t[i] = uint8(x*255 + 0.5)
	}
	return &t
})

// convert gives the sRGB numbers of a colour; what sRGB does not have becomes
// the nearest it has.
func (p *profile) convert(r, g, b uint8) (uint8, uint8, uint8) {
	if p.inks != nil {
		return p.mixed([4]byte{r, g, b})
	}
	x, y, z := p.linear[0][r], p.linear[1][g], p.linear[2][b]
	m := &p.matrix
	return p.level(m[0][0]*x + m[0][1]*y + m[0][2]*z), p.level(m[1][0]*x + m[1][1]*y + m[1][2]*z), p.level(m[2][0]*x + m[2][1]*y + m[2][2]*z)
}

func (p *profile) level(v float32) uint8 {
	// Written so that NaN, which no comparison holds for, ends at zero.
	if !(v > 0) {
		return 0
	}
	if v >= 1 {
		return 255
	}
	return p.srgb[int(v*4096+0.5)]
}

// apply converts a picture in place and reports whether it could.
func (p *profile) apply(m image.Image) bool {
	pixels := func(pix []byte) {
		for i := 0; i+3 < len(pix); i += 4 {
			pix[i], pix[i+1], pix[i+2] = p.convert(pix[i], pix[i+1], pix[i+2])
		}
	}
	if p.channels == 4 {
		_, mixed := m.(*image.CMYK) // others were drawn by it before
		return !mixed
	}
	switch m := m.(type) {
	case *image.Gray:
		for i, v := range m.Pix {
			m.Pix[i] = p.level(p.linear[0][v])
		}
	case *image.Gray16:
		p.wideGrey(m.Pix)
	case *image.RGBA: // without transparency: decoders make it of opaque pictures
		if !m.Opaque() {
			return false
		}
		pixels(m.Pix)
	case *image.NRGBA:
		if p.channels == 1 && !grey(m.Pix) {
			return false
		}
		pixels(m.Pix)
	case *image.NRGBA64:
		p.wide(m.Pix)
	case *image.RGBA64:
		if !m.Opaque() {
			return false
		}
		p.wide(m.Pix)
	case *image.Paletted:
		for i, c := range m.Palette {
			n := color.NRGBAModel.Convert(c).(color.NRGBA)
			n.R, n.G, n.B = p.convert(n.R, n.G, n.B)
			if _, opaque := c.(color.RGBA); opaque {
				m.Palette[i] = color.RGBA{n.R, n.G, n.B, n.A}
			} else {
				m.Palette[i] = n
			}
		}
	case *image.YCbCr:
		p.applyYCbCr(m)
	default:
		return false
	}
	return true
}

// wide converts colours of sixteen bits. Between the places of the curves it goes
// straight.
func (p *profile) wide(pix []byte) {
	for ; len(pix) >= 8; pix = pix[8:] {
		if p.inks != nil {
			var v [4]uint16
			for c := range 3 {
				v[c] = uint16(pix[2*c])<<8 | uint16(pix[2*c+1])
			}
			for c, x := range p.inks.light(v) {
				n := sixteen(x)
				pix[2*c], pix[2*c+1] = byte(n>>8), byte(n)
			}
			continue
		}
		var v [3]float32
		for c := range v {
			v[c] = p.light(c, uint32(pix[2*c])<<8|uint32(pix[2*c+1]))
		}
		for c, m := range p.matrix {
			n := sixteen(m[0]*v[0] + m[1]*v[1] + m[2]*v[2])
			pix[2*c], pix[2*c+1] = byte(n>>8), byte(n)
		}
	}
}

// light is what a value of sixteen bits is in light.
func (p *profile) light(c int, v uint32) float32 {
	i, rest := v/257, float32(v%257)/257
	l := &p.linear[c]
	if i == 255 {
		return l[255]
	}
	return l[i] + (l[i+1]-l[i])*rest
}

// wideGrey converts greys of sixteen bits.
func (p *profile) wideGrey(pix []byte) {
	for ; len(pix) >= 2; pix = pix[2:] {
		n := sixteen(p.light(0, uint32(pix[0])<<8|uint32(pix[1])))
		pix[0], pix[1] = byte(n>>8), byte(n)
	}
}

// sixteen is a light in the numbers of sRGB.
func sixteen(v float32) uint16 {
	switch {
	case !(v > 0): // NaN too
		return 0
	case v >= 1:
		return 65535
	case v <= 0.0031308:
		return uint16(12.92*v*65535 + 0.5)
	default:
		return uint16((1.055*math.Pow(float64(v), 1/2.4)-0.055)*65535 + 0.5)
	}
}

// applyYCbCr converts a JPEG's planes where they lie: all pixels under one
// chroma sample, then their mean chroma.
func (p *profile) applyYCbCr(m *image.YCbCr) {
	r := planes(m)
	for cy := 0; cy*r.v < r.height; cy++ {
		for cx := 0; cx*r.h < r.width; cx++ {
			at := cy*m.CStride + cx
			cb, cr := m.Cb[at], m.Cr[at]
			sumB, sumR, n := 0, 0, 0
			for y := cy * r.v; y < min((cy+1)*r.v, r.height); y++ {
				for x := cx * r.h; x < min((cx+1)*r.h, r.width); x++ {
					red, green, blue := color.YCbCrToRGB(m.Y[y*m.YStride+x], cb, cr)
					yy, b2, r2 := color.RGBToYCbCr(p.convert(red, green, blue))
					m.Y[y*m.YStride+x] = yy
					sumB, sumR, n = sumB+int(b2), sumR+int(r2), n+1
				}
			}
			m.Cb[at], m.Cr[at] = uint8((sumB+n/2)/n), uint8((sumR+n/2)/n)
		}
	}
}

// inflateProfile reads the content of a PNG's iCCP chunk: a name, a method and
// the profile compressed (PNG 11.3.3.3).
func inflateProfile(b []byte) []byte {
	name, rest, ok := bytes.Cut(b, []byte{0})
	if !ok || len(name) > 79 || len(rest) < 2 || rest[0] != 0 {
		return nil
	}
	z, err := zlib.NewReader(bytes.NewReader(rest[1:]))
	if err != nil {
		return nil
	}
	p, err := io.ReadAll(io.LimitReader(z, profileBytes))
	if err != nil {
		return nil
	}
	return p
}
