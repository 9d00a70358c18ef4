package pdf

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"

	"sekisho/internal/pdf"
	"sekisho/internal/pnm"
	"sekisho/sanitize"
)

// JPEG 2000 in a document (ISO 32000-1, 7.4.9): its decoders are large programs
// in which holes were found again and again, so no reader gets its data. Another
// program, in a sandbox of its own, is given the bare code stream and gives back
// pixels; these are written in an encoding that every reader has. What cannot be
// had that way is left to the next step, where all pages are drawn.

var (
	errJPX     = errors.New("no JPEG 2000 picture")
	errJPXPart = errors.New("JPEG 2000 with a palette, channels in another order or more of them")
)

// jpxHead is what the boxes and the size of a code stream say of a picture
// (ITU-T T.800, I.5.3 and A.5.1).
type jpxHead struct {
	stream            []byte // the code stream
	width, height     int
	components, depth int
	colours           uint32 // enumerated; 0: by a profile or not said
	profiled          bool
}

// Colour spaces of T.800, I.5.3.3, and of T.801, M.11.7.3.1.
const (
	jpxCMYK = 12
	jpxRGB  = 16
	jpxGrey = 17
	jpxYCC  = 18
)

func readJPX(b []byte) (h jpxHead, err error) {
	if bytes.HasPrefix(b, []byte{0xff, 0x4f, 0xff, 0x51}) {
		h.stream = b // QUIRK: no boxes around it
		return h, h.size()
	}
	err = jpxBoxes(b, func(name string, in []byte) error {
		switch name {
		case "jp2h":
			return jpxBoxes(in, h.box)
		case "jp2c":
			if h.stream == nil {
				h.stream = in
			}
		}
		return nil
	})
	if err != nil {
		return h, err
	}
	return h, h.size()
}

// jpxBoxes goes through boxes that stand one behind the other (T.800, I.4).
func jpxBoxes(b []byte, each func(name string, in []byte) error) error {
	const most = 1000 // encoders write ten
	for range most {
		if len(b) < 8 {
			return nil
		}
		size, head := uint64(binary.BigEndian.Uint32(b)), 8
		name := string(b[4:8])
		switch {
		case size == 0: // to the end
			size = uint64(len(b))
		case size == 1 && len(b) >= 16:
			size, head = binary.BigEndian.Uint64(b[8:]), 16
		}
		if size < uint64(head) || size > uint64(len(b)) {
			return errJPX
		}
		if err := each(name, b[head:size]); err != nil {
			return err
		}
		b = b[size:]
	}
	return errJPX
}

// box reads one of those that say what the samples mean.
func (h *jpxHead) box(name string, in []byte) error {
	switch name {
	case "pclr":
		return errJPXPart
	case "colr":
		switch {
		case len(in) < 3 || h.colours != 0 || h.profiled:
		case in[0] == 1 && len(in) >= 7:
			h.colours = binary.BigEndian.Uint32(in[3:])
		case in[0] == 2 || in[0] == 3:
			h.profiled = true
		}
	case "cdef":
		// Each channel, whether it is colour or cover, and which colour. Only the
		// order that everybody has is let by: colours from the first on.
		for i := 2; i+6 <= len(in); i += 6 {
			channel, kind, of := binary.BigEndian.Uint16(in[i:]), binary.BigEndian.Uint16(in[i+2:]), binary.BigEndian.Uint16(in[i+4:])
			if kind == 0 && of != channel+1 {
				return errJPXPart
			}
		}
	}
	return nil
}

// size reads the first segment of the code stream.
func (h *jpxHead) size() error {
	b := h.stream
	if len(b) < 43 || !bytes.HasPrefix(b, []byte{0xff, 0x4f, 0xff, 0x51}) {
		return errJPX
	}
	at := func(i int) int64 { return int64(binary.BigEndian.Uint32(b[i:])) }
	w, ht := at(8)-at(16), at(12)-at(20)
	if w <= 0 || ht <= 0 || w >= 1<<20 || ht >= 1<<20 {
		return errJPX
	}
	h.width, h.height = int(w), int(ht)
	h.components, h.depth = int(binary.BigEndian.Uint16(b[40:])), int(b[42]&0x7f)+1
	if h.components < 1 || h.components > 4 {
		return errJPXPart
	}
	return nil
}

// jpx writes a picture in JPEG 2000 anew. d is its dictionary, copied.
func (c *cleaner) jpx(out pdf.Ref, d pdf.Dict, st *pdf.Stream, data []byte) {
	h, err := readJPX(data)
	if errors.Is(err, errJPX) {
		c.blank(out, d, "JPXDecode")
		return
	}
	var samples []byte
	if err == nil {
		samples, err = c.jpxSamples(h)
	}
	var alpha []byte
	if err == nil {
		samples, alpha, err = c.jpxColours(d, st, h, samples)
	}
	switch {
	case c.err != nil:
		return
	case err != nil:
		// As pages it can be had, whatever it is: also where too many were asked
		// for, or nobody is there to ask.
		c.fail(fmt.Errorf("a picture in JPXDecode: %v: %w", err, sanitize.ErrUnsupported))
		return
	}
	d["Width"], d["Height"], d["BitsPerComponent"] = int64(h.width), int64(h.height), int64(8)
	delete(d, "Decode") // 7.4.9: it means nothing here
	delete(d, "SMaskInData")
	if alpha != nil {
		mask := c.w.number()
		d["SMask"] = mask
		// In its turn, as a mask that the document had.
		c.queue = append(c.queue, job{mask, &pdf.Stream{}, &shape{name: "cover", stream: func(c *cleaner, out pdf.Ref, _ *pdf.Stream) {
			c.w.deflated(out, pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Image"), "Width": int64(h.width), "Height": int64(h.height),
				"ColorSpace": pdf.Name("DeviceGray"), "BitsPerComponent": int64(8)}, alpha)
		}}})
	}
	c.writeSamples(out, d, h, samples, len(data))
}

// jpxSamples has the code stream decoded: octets, as many for each pixel as the
// picture has components.
func (c *cleaner) jpxSamples(h jpxHead) ([]byte, error) {
	if err := c.s.SpendPixels(h.width, h.height); err != nil {
		c.fail(err)
		return nil, err
	}
	// What comes back is gathered in memory that doubles, split and packed, or made
	// a photograph: as much as the memory of a worker allows.
	const memory = 640 << 20
	if int64(h.width)*int64(h.height)*int64(4*h.components+4) > memory {
		return nil, errors.New("JPEG 2000 of more pixels than are held here")
	}
	b, err := c.s.Converted(c.ctx, sanitize.ToolCall{Tool: sanitize.JP2Pixels, Size: int64(len(h.stream))}, bytes.NewReader(h.stream))
	if err != nil {
		if e := c.ctx.Err(); e != nil {
			c.fail(e)
		}
		return nil, err
	}
	p, err := pnm.Read(b, h.width, h.height, 0)
	if err != nil || p.Samples != h.components {
		return nil, errPNM
	}
	return p.Pix, nil
}

// jpxColours brings the samples to the colour space of the picture, which it
// sets where the document leaves it to the picture, and takes the cover off.
func (c *cleaner) jpxColours(d pdf.Dict, st *pdf.Stream, h jpxHead, samples []byte) (colours, alpha []byte, err error) {
	n := h.components
	if d["ImageMask"] == true {
		return nil, nil, errJPXPart // 7.4.9: it is none
	}
	if _, keyed := d["Mask"].(pdf.Array); keyed && h.depth != 8 {
		return nil, nil, errJPXPart // its numbers are in another measure
	}
	want := c.components(st.Dict["ColorSpace"])
	if d["ColorSpace"] == nil {
		switch {
		case h.colours == jpxCMYK && n == 4, h.profiled && n == 4:
			want, d["ColorSpace"] = 4, pdf.Name("DeviceCMYK")
		case h.colours == jpxRGB || h.colours == jpxYCC, h.colours == 0 && n == 3:
			want, d["ColorSpace"] = 3, pdf.Name("DeviceRGB")
		case h.colours == jpxGrey, h.colours == 0 && n <= 2:
			want, d["ColorSpace"] = 1, pdf.Name("DeviceGray")
		default:
			return nil, nil, errJPXPart
		}
	}
	if a, ok := c.f.Resolve(st.Dict["ColorSpace"]).(pdf.Array); ok && len(a) > 1 && want == 0 && c.name(a[0]) == "DeviceN" {
		names, _ := c.f.Resolve(a[1]).(pdf.Array)
		want = len(names)
	}
	in, _ := c.integer(st.Dict["SMaskInData"])
	switch {
	case want == n && in == 0:
		colours = samples
	case want > 0 && want == n-1 && (in == 0 || in == 1):
		colours = make([]byte, 0, len(samples)/n*want)
		for i := 0; i < len(samples); i += n {
			colours = append(colours, samples[i:i+want]...)
			if in == 1 {
				alpha = append(alpha, samples[i+want])
			}
		}
	default:
		return nil, nil, errJPXPart
	}
	switch {
	case h.colours == jpxYCC && want == 3:
		for i := 0; i+2 < len(colours); i += 3 {
			colours[i], colours[i+1], colours[i+2] = color.YCbCrToRGB(colours[i], colours[i+1], colours[i+2])
		}
	case indexedSpace(d["ColorSpace"]) && h.depth < 8:
		// Numbers of colours were stretched like the rest.
		top := 1<<h.depth - 1
		for i, v := range colours {
			colours[i] = byte((int(v)*top + 254) / 255)
		}
	case indexedSpace(d["ColorSpace"]) && h.depth > 8:
		return nil, nil, errJPXPart
	}
	return colours, alpha, nil
}

func indexedSpace(o pdf.Object) bool {
	a, ok := o.(pdf.Array)
	return ok && len(a) > 0 && (a[0] == pdf.Name("Indexed") || a[0] == pdf.Name("I"))
}

// writeSamples writes pixels as they are where that is not much larger than
// they came, and as a photograph otherwise. was is how many octets they had.
func (c *cleaner) writeSamples(out pdf.Ref, d pdf.Dict, h jpxHead, samples []byte, was int) {
	n := len(samples) / (h.width * h.height)
	var m image.Image
	switch n {
	case 1:
		m = &image.Gray{Pix: samples, Stride: h.width, Rect: image.Rect(0, 0, h.width, h.height)}
	case 3:
		m = opaque(samples, h.width, h.height)
	}
	if m != nil {
		c.s.Look(m)
	}
	packed := c.w.deflate(samples)
	const small = 4096
	if m != nil && len(packed) > 3*was && len(packed) > small && photographable(d["ColorSpace"]) {
		photo, err := photographOf(m, 92)
		if err != nil {
			c.fail(err)
			return
		}
		if len(photo) < len(packed) {
			d["Filter"] = pdf.Name("DCTDecode")
			c.w.stream(out, d, photo)
			return
		}
	}
	d["Filter"] = pdf.Name("FlateDecode")
	c.w.stream(out, d, packed)
}

// photographable says of a colour space that a JPEG picture's components are
// its: greys, or red, green and blue.
func photographable(o pdf.Object) bool {
	switch cs := o.(type) {
	case pdf.Name:
		return cs == "DeviceGray" || cs == "DeviceRGB"
	case pdf.Array:
		return len(cs) == 2 && (cs[0] == pdf.Name("ICCBased") || cs[0] == pdf.Name("CalRGB") || cs[0] == pdf.Name("CalGray"))
	}
	return false
}
