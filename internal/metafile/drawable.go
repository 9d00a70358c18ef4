package metafile

// What LibreOffice (7.4) leaves out of an EMF or draws as something else is said to
// it in calls that it knows. This is for drawing only: a drawing that stays one
// keeps the calls it has.

const (
	emfRoundRect     = 44
	emfStretchDIBits = 81
	emfExtCreatePen  = 95
	emfGradientFill  = 118

	// maxGradients bounds how many rectangles of gradients become bitmaps, each of
	// some 500 octets.
	maxGradients = 4000
	// gradientSteps is how many colours one has.
	gradientSteps = 128
)

// Drawable returns a drawing of the same look in other calls. b is what RewriteEMF
// returned; a WMF comes back as it is.
//
//   - A gradient between two corners, which is left out altogether, becomes a bitmap.
//   - The round corners of a rectangle have half the width that is said there
//     ([MS-EMF] 2.3.5.35: that of an ellipse); they are drawn with all of it.
//   - A line dashed by lengths of its own is drawn through; it gets the dashes that
//     come closest.
func Drawable(b []byte) []byte {
	if !IsEMF(b) {
		return b
	}
	head := int(le.Uint32(b[4:]))
	out := append(make([]byte, 0, len(b)), b[:head]...)
	records, gradients := uint32(1), 0
	for rest := b[head:]; len(rest) >= 8; {
		t, n := le.Uint32(rest), int(le.Uint32(rest[4:]))
		r := rest[:n]
		rest = rest[n:]
		at := len(out)
		out = append(out, r...)
		records++
		switch {
		case t == emfRoundRect && n >= 32:
			for _, side := range [...]int{24, 28} {
				le.PutUint32(out[at+side:], uint32(int32(le.Uint32(r[side:]))/2))
			}
		case t == emfExtCreatePen && n >= 52:
			const form, userStyle = 15, 7
			if le.Uint32(r[28:])&form == userStyle {
				le.PutUint32(out[at+28:], le.Uint32(r[28:])&^form|dashes(r))
			}
		case t == emfGradientFill && n >= 36:
			made, count := gradient(r, maxGradients-gradients)
			if count > 0 {
				out = append(out[:at], made...)
				records, gradients = records+uint32(count)-1, gradients+count
			}
		}
	}
	le.PutUint32(out[48:], uint32(len(out)))
	le.PutUint32(out[52:], records)
	return out
}

// dashes is the style of a pen that is nearest to the lengths it has: solid, dash,
// dot, dash and dot, dash and two dots.
func dashes(r []byte) uint32 {
	n, width := min(int(le.Uint32(r[48:])), (len(r)-52)/4), le.Uint32(r[32:])
	switch {
	case n < 2:
		return 0
	case n >= 6:
		return 4
	case n >= 4:
		return 3
	case le.Uint32(r[52:]) <= 2*max(width, 1):
		return 2
	default:
		return 1
	}
}

// gradient makes bitmaps of the rectangles of a gradient, at most so many. Of
// triangles it makes none.
func gradient(r []byte, most int) (out []byte, made int) {
	vertices, count, mode := int(le.Uint32(r[24:])), int(le.Uint32(r[28:])), le.Uint32(r[32:])
	const across, down = 0, 1
	if mode != across && mode != down || count > most || 36+16*vertices+8*count > len(r) {
		return nil, 0
	}
	for i := range count {
		pair := r[36+16*vertices+8*i:]
		a, b := int(le.Uint32(pair)), int(le.Uint32(pair[4:]))
		if a >= vertices || b >= vertices {
			return nil, 0
		}
		out = append(out, gradientBitmap(r[8:24], r[36+16*a:][:16], r[36+16*b:][:16], mode == down)...)
	}
	return out, count
}

// gradientBitmap is one rectangle as EMR_STRETCHDIBITS ([MS-EMF] 2.3.1.7).
func gradientBitmap(bounds, a, b []byte, down bool) []byte {
	x0, y0, x1, y1 := int32(le.Uint32(a)), int32(le.Uint32(a[4:])), int32(le.Uint32(b)), int32(le.Uint32(b[4:]))
	if !down && x0 > x1 || down && y0 > y1 {
		a, b = b, a // the colours go from the left and from above
	}
	w, h := uint32(gradientSteps), uint32(1)
	if down {
		w, h = h, w
	}
	stride := (3*w + 3) &^ 3
	const head, dib = 80, 40
	rec := make([]byte, head+dib+stride*h)
	for i, v := range [...]uint32{emfStretchDIBits, uint32(len(rec))} {
		le.PutUint32(rec[4*i:], v)
	}
	copy(rec[8:24], bounds)
	const copied = 0x00cc0020 // SRCCOPY
	for i, v := range [...]uint32{uint32(min(x0, x1)), uint32(min(y0, y1)), 0, 0, w, h, head, dib, head + dib, stride * h, 0, copied, uint32(max(x0, x1) - min(x0, x1)), uint32(max(y0, y1) - min(y0, y1))} {
		le.PutUint32(rec[24+4*i:], v)
	}
	d := rec[head:]
	le.PutUint32(d, dib)
	le.PutUint32(d[4:], w)
	le.PutUint32(d[8:], h)
	d[12], d[14] = 1, 24
	for i := range gradientSteps {
		at := 3 * uint32(i)
		if down {
			at = stride * uint32(gradientSteps-1-i) // rows come from below
		}
		p := d[dib+at:]
		for c := range 3 {
			from, to := int(le.Uint16(a[8+2*c:])), int(le.Uint16(b[8+2*c:]))
			p[2-c] = byte((from + (to-from)*i/(gradientSteps-1)) >> 8)
		}
	}
	return rec
}
