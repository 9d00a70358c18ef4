package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image/jpeg"

	"sekisho/internal/coefficients"
	"sekisho/internal/fax"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// coded is a picture in an encoding of pictures, written anew.
type coded struct {
	data   []byte
	filter pdf.Name
	parms  pdf.Dict
	bits   int // of a component; 0: as said
}

// picture writes an image XObject (ISO 32000-1, 8.9.5).
func (c *cleaner) picture(out pdf.Ref, st *pdf.Stream, keys map[pdf.Name]*shape) {
	w, _ := c.integer(st.Dict["Width"])
	h, _ := c.integer(st.Dict["Height"])
	if err := c.s.SpendPixels(int(w), int(h)); err != nil {
		c.fail(err)
		return
	}
	c.external(st)
	d := c.dict(c.withoutCoding(st.Dict), keys)
	d["Subtype"], d["Width"], d["Height"] = pdf.Name("Image"), w, h
	bits, ok := c.integer(st.Dict["BitsPerComponent"])
	switch bits {
	case 1, 2, 4, 8, 16:
	default:
		bits, ok = 8, false
	}
	if m, _ := d["ImageMask"].(bool); m {
		bits, ok = 1, false
		delete(d, "ColorSpace")
	}
	data, predictor, rest, err := c.f.DecodeSamples(st, maxStream)
	if err != nil {
		if errors.Is(err, pdf.ErrTooMuch) {
			c.fail(fmt.Errorf("%w: %w", err, sanitize.ErrLimit))
			return
		}
		c.fail(c.f.Err())
		c.blank(out, d, "samples that cannot be read")
		return
	}
	if len(rest) == 1 && rest[0].Name == "JPXDecode" {
		c.jpx(out, d, st, data)
		return
	}
	if len(rest) > 0 {
		im, good := c.coded(data, rest, int(w), int(h))
		if c.err != nil {
			return
		}
		if !good {
			c.blank(out, d, string(rest[0].Name))
			return
		}
		if im.bits != 0 {
			bits, ok = int64(im.bits), true
		}
		if ok {
			d["BitsPerComponent"] = bits
		}
		d["Filter"] = im.filter
		if im.parms != nil {
			d["DecodeParms"] = im.parms
		}
		c.w.stream(out, d, im.data)
		return
	}
	if ok || d["ColorSpace"] != nil {
		d["BitsPerComponent"] = bits
	}
	levels := c.components(st.Dict["ColorSpace"])
	if d["ImageMask"] == true {
		levels = 1
	}
	c.look(data, predictor, st.Dict["ColorSpace"], levels, int(bits), int(w), int(h))
	if p := c.predictor(predictor); p != nil {
		d["DecodeParms"] = p
	} else if levels > 0 {
		// What stands behind the last sample is none.
		size := (w*int64(levels)*bits + 7) / 8 * h
		data = data[:min(int64(len(data)), size)]
	}
	c.w.deflated(out, d, data)
}

// blank writes a grey square in the place of a picture.
func (c *cleaner) blank(out pdf.Ref, d pdf.Dict, why string) {
	c.report.found("pdf.picture", "", sanitize.Replaced, why)
	n := pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Image"), "Width": int64(1), "Height": int64(1)}
	if d["ImageMask"] == true {
		n["ImageMask"] = true
		c.w.deflated(out, n, []byte{0xff})
		return
	}
	n["ColorSpace"], n["BitsPerComponent"] = pdf.Name("DeviceGray"), int64(8)
	c.w.deflated(out, n, []byte{0xd9})
}

// predictor is the parameters of a predictor that is one.
func (c *cleaner) predictor(in pdf.Dict) pdf.Dict {
	if in == nil {
		return nil
	}
	out := pdf.Dict{}
	for _, k := range []pdf.Name{"Predictor", "Colors", "BitsPerComponent", "Columns"} {
		if n, ok := in[k].(int64); ok && n > 0 && n < 1<<20 {
			out[k] = n
		}
	}
	return out
}

// components counts those of a colour space; 0 when that is not plain.
func (c *cleaner) components(o pdf.Object) int {
	switch cs := c.f.Resolve(o).(type) {
	case pdf.Name:
		switch cs {
		case "DeviceGray", "CalGray", "G":
			return 1
		case "DeviceRGB", "CalRGB", "RGB":
			return 3
		case "DeviceCMYK", "CMYK":
			return 4
		}
	case pdf.Array:
		if len(cs) == 0 {
			return 0
		}
		switch c.name(cs[0]) {
		case "Indexed", "Separation", "CalGray":
			return 1
		case "CalRGB", "Lab":
			return 3
		case "ICCBased":
			if len(cs) > 1 {
				if st, ok := c.f.Resolve(cs[1]).(*pdf.Stream); ok {
					if n, ok := c.integer(st.Dict["N"]); ok && n >= 1 && n <= 4 {
						return int(n)
					}
				}
			}
		}
	}
	return 0
}

// coded reads a picture in an encoding of pictures and writes it anew.
func (c *cleaner) coded(data []byte, chain []pdf.Filter, w, h int) (coded, bool) {
	if len(chain) != 1 {
		return coded{}, false // nothing comes behind such an encoding
	}
	f := chain[0]
	switch f.Name {
	case "DCTDecode":
		return c.dct(data, f.Parms)
	case "CCITTFaxDecode":
		return c.ccitt(data, f.Parms, w, h)
	case "JBIG2Decode":
		return c.jbig2(data, f.Parms, w, h)
	default:
		// JPEG 2000 in a program, where it may not stand, or what nobody knows: a
		// page without its picture is no page.
		c.fail(fmt.Errorf("a picture in %s: %w", f.Name, sanitize.ErrUnsupported))
		return coded{}, false
	}
}

func (c *cleaner) ccitt(data []byte, parms pdf.Dict, w, h int) (coded, bool) {
	get := func(k pdf.Name, otherwise int) int {
		if n, ok := c.integer(parms[k]); ok && n > -1<<20 && n < 1<<20 {
			return int(n)
		}
		return otherwise
	}
	f := fax.Coding{K: get("K", 0), Columns: get("Columns", 1728), Rows: get("Rows", 0)}
	f.Align, _ = parms["EncodedByteAlign"].(bool)
	black, _ := parms["BlackIs1"].(bool)
	if f.Columns <= 0 || f.Columns > 1<<16 {
		return coded{}, false
	}
	f.Rows = max(f.Rows, h)
	if err := c.s.SpendPixels(f.Columns, f.Rows); err != nil {
		c.fail(err)
		return coded{}, false
	}
	if c.fax == nil {
		c.fax = fax.NewTables()
	}
	pixels, rows := f.Decode(c.fax, data)
	if rows == 0 {
		return coded{}, false
	}
	c.look(pixels, nil, nil, 1, 1, f.Columns, rows)
	p := pdf.Dict{"K": int64(-1), "Columns": int64(f.Columns), "Rows": int64(rows)}
	if black {
		p["BlackIs1"] = true
	}
	return coded{data: fax.Group4(c.fax, pixels, f.Columns, rows), filter: "CCITTFaxDecode", parms: p, bits: 1}, true
}

// dct writes a JPEG picture anew: of its segments those that make the picture,
// in their order, and nothing behind its end. The samples stay coded as they
// are, so nothing is lost by coding twice; that they can be decoded is tried.
func (c *cleaner) dct(data []byte, parms pdf.Dict) (coded, bool) {
	out, j, err := rewriteJPEG(data)
	if err != nil {
		return coded{}, false
	}
	if err := c.s.SpendPixels(j.width, j.height); err != nil {
		c.fail(err)
		return coded{}, false
	}
	// The decoder holds three octets a pixel, for progressive coding a number
	// for each besides: as much as the memory of a worker allows.
	bytesPerPixel := int64(j.components)
	if j.progressive {
		bytesPerPixel *= 5
	}
	const most = 640 << 20
	if int64(j.width)*int64(j.height)*bytesPerPixel > most {
		c.fail(fmt.Errorf("picture of %d x %d: %w", j.width, j.height, sanitize.ErrLimit))
		return coded{}, false
	}
	if float64(j.scans)*float64(j.width)*float64(j.height) > maxScanned {
		c.fail(fmt.Errorf("picture of %d scans over %d x %d: %w", j.scans, j.width, j.height, sanitize.ErrLimit))
		return coded{}, false
	}
	if !c.decodes(out, j) {
		return coded{}, false
	}
	im := coded{data: out, filter: "DCTDecode", bits: 8}
	if n, ok := parms["ColorTransform"].(int64); ok && (n == 0 || n == 1) {
		im.parms = pdf.Dict{"ColorTransform": n}
	}
	return im, true
}

// maxScanned bounds the pixels of all scans of a picture together: a scan may say
// in a few octets that nothing changes in millions of blocks. Progressive
// pictures have some ten scans.
const maxScanned = 100 * 100e6

// decodes tries whether a picture can be decoded, and has it looked at. Most can
// be read as far as their coefficients, of which the light alone is drawn, and
// that only where somebody looks; the others are decoded as pictures.
func (c *cleaner) decodes(b []byte, j jpegFrame) bool {
	if j.plain() {
		f := coefficients.Frame{Width: j.width, Height: j.height, Progressive: j.progressive, Components: j.components, IDs: j.ids, Sampling: j.sampling}
		if c.coefficients == nil {
			c.coefficients = &coefficients.Picture{}
		}
		c.coefficients.Renew(f)
		if c.coefficients.Read(b) == nil {
			if c.s.Looks() {
				m := c.coefficients.Light(j.quant[j.tables[0]], c.light)
				c.s.Look(m)
				c.light = m.Pix[:0]
			}
			if j.width*j.height > largePage {
				c.coefficients, c.light = nil, nil
			}
			return true
		}
		c.coefficients, c.light = nil, nil
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return false
	}
	c.s.Look(m)
	return true
}

type jpegFrame struct {
	width, height, components int
	progressive               bool
	ids, sampling, tables     [4]byte // of each component
	quant                     [4]*[64]byte
	scans                     int
	jfif, inks                bool // inks: its colours are not brightness and two others
	odd                       bool // a quantisation that changes or is larger than usual
}

// plain reports whether the first component is the light of the picture, and all
// of it can be read as coefficients.
func (j *jpegFrame) plain() bool {
	f := coefficients.Frame{Width: j.width, Height: j.height, Components: j.components, Sampling: j.sampling}
	rgb := !j.jfif && (j.inks || j.ids == [4]byte{'R', 'G', 'B'})
	return f.Readable() && !j.odd && j.quant[j.tables[0]] != nil && (j.components == 1 || !rgb)
}

// quantisation reads the tables of a DQT segment. T.81 B.2.4.1.
func (j *jpegFrame) quantisation(b []byte) {
	for len(b) > 0 {
		if len(b) < 65 || b[0] > 3 || j.scans > 0 {
			j.odd = true
			return
		}
		j.quant[b[0]] = (*[64]byte)(b[1:65])
		b = b[65:]
	}
}

var errJPEG = errors.New("no JPEG picture")

// rewriteJPEG reads the segments of a JPEG picture (ITU-T T.81, annex B).
func rewriteJPEG(b []byte) ([]byte, jpegFrame, error) {
	var j jpegFrame
	i := bytes.Index(b[:min(len(b), 64)], []byte{0xff, 0xd8})
	if i < 0 {
		return nil, j, errJPEG
	}
	out := append(make([]byte, 0, len(b)-i), 0xff, 0xd8)
	at := i + 2
	const most = 10000 // segments; progressive pictures have some dozens
	for range most {
		// Octets between segments are passed over, as decoders do.
		for at < len(b) && b[at] != 0xff {
			at++
		}
		for at < len(b) && b[at] == 0xff {
			at++
		}
		if at >= len(b) {
			return nil, j, errJPEG
		}
		m := b[at]
		at++
		switch {
		case m == 0xd9:
			if j.width == 0 {
				return nil, j, errJPEG
			}
			return append(out, 0xff, 0xd9), j, nil
		case m == 0 || m == 1 || m >= 0xd0 && m <= 0xd8:
			continue
		}
		if at+2 > len(b) {
			return nil, j, errJPEG
		}
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n < 2 || at+n > len(b) {
			return nil, j, errJPEG
		}
		seg := b[at+2 : at+n]
		keep := false
		switch {
		case m == 0xc0 || m == 0xc1 || m == 0xc2:
			if j.width != 0 || len(seg) < 6 || len(seg) < 6+3*int(seg[5]) {
				return nil, j, errJPEG
			}
			j.height, j.width = int(binary.BigEndian.Uint16(seg[1:])), int(binary.BigEndian.Uint16(seg[3:]))
			j.components, j.progressive = int(seg[5]), m == 0xc2
			for i := range min(j.components, len(j.ids)) {
				j.ids[i], j.sampling[i], j.tables[i] = seg[6+3*i], seg[7+3*i], seg[8+3*i]&3
			}
			if j.width == 0 || j.height == 0 {
				return nil, j, errJPEG
			}
			keep = true
		case m == 0xc4 || m == 0xdb || m == 0xdd || m == 0xda:
			keep = true
		case m >= 0xc3 && m <= 0xcf:
			return nil, j, errJPEG // lossless, hierarchical, arithmetic
		case m == 0xee && len(seg) >= 12 && bytes.HasPrefix(seg, []byte("Adobe")):
			// Says how the colours are coded; the rest of it are flags.
			j.inks = seg[11] == 0
			out = append(out, 0xff, 0xee, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, seg[11])
		case m == 0xe0 && len(seg) >= 14 && bytes.HasPrefix(seg, []byte("JFIF\x00")):
			j.jfif = true
			out = append(out, 0xff, 0xe0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
		}
		switch m {
		case 0xdb:
			j.quantisation(seg)
		case 0xda:
			j.scans++
		}
		if keep {
			out = append(out, 0xff, m)
			out = append(out, b[at:at+n]...)
		}
		at += n
		if m != 0xda {
			continue
		}
		// Entropy-coded data up to the next marker that is none of its own.
		from := at
		for {
			k := bytes.IndexByte(b[at:], 0xff)
			if k < 0 || at+k+1 >= len(b) {
				// QUIRK: the end is missing. What there is may be whole.
				if j.width == 0 {
					return nil, j, errJPEG
				}
				out = append(out, bytes.TrimSuffix(b[from:], []byte{0xff})...)
				return append(out, 0xff, 0xd9), j, nil
			}
			at += k
			if n := b[at+1]; n == 0 || n >= 0xd0 && n <= 0xd7 {
				at += 2
				continue
			}
			break
		}
		out = append(out, b[from:at]...)
	}
	return nil, j, errJPEG
}
