package image

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/draw"
	"io"

	"golang.org/x/image/webp"

	"sekisho/sanitize"
)

// readWebP decodes a WebP picture under the budget; of an animation its first
// picture, and then more is true. WebP Container Specification.
func readWebP(s *sanitize.Session, in sanitize.Object) (m image.Image, more bool, err error) {
	c, err := webp.DecodeConfig(in.Reader())
	still := io.Reader(in.Reader())
	var first *webpFrame
	if first, more = animatedWebP(in); first != nil {
		still = bytes.NewReader(first.file)
		c.Width, c.Height = first.canvas.X, first.canvas.Y
		if f, e := webp.DecodeConfig(bytes.NewReader(first.file)); e != nil || f.Width > c.Width || f.Height > c.Height {
			return nil, false, malformed("read webp", fmt.Errorf("picture of %d x %d in %d x %d: %w", f.Width, f.Height, c.Width, c.Height, e))
		}
		err = nil
	}
	if err != nil {
		return nil, false, malformed("read the size of the webp", err)
	}
	if err := s.SpendPixels(c.Width, c.Height); err != nil {
		return nil, false, err
	}
	if err := affordable(int64(c.Width)*int64(c.Height), 8); err != nil {
		return nil, false, err
	}
	if m, err = webp.Decode(still); err != nil {
		return nil, false, malformed("decode webp", err)
	}
	switch y := m.(type) {
	case *image.YCbCr:
		stretch(y)
	case *image.NYCbCrA:
		stretch(&y.YCbCr)
	}
	if first != nil && m.Bounds().Size() != first.canvas {
		canvas := image.NewNRGBA(image.Rectangle{Max: first.canvas})
		draw.Draw(canvas, m.Bounds().Add(first.at), m, m.Bounds().Min, draw.Src)
		m = canvas
	}
	return m, more, nil
}

// stretch spreads the numbers of video, 16 to 235 and 16 to 240 (RFC 6386, 9.2;
// ITU-R BT.601), over those of JPEG, which the library takes them for.
func stretch(m *image.YCbCr) {
	var luma, chroma [256]byte
	for i := range 256 {
		luma[i] = byte(min(max(((i-16)*255*2+219)/(2*219), 0), 255))
		v := (i-128)*255*2 + 224
		if i < 128 {
			v -= 2 * 224
		}
		chroma[i] = byte(min(max(v/(2*224)+128, 0), 255))
	}
	for i, v := range m.Y {
		m.Y[i] = luma[v]
	}
	for i := range m.Cb {
		m.Cb[i], m.Cr[i] = chroma[m.Cb[i]], chroma[m.Cr[i]]
	}
}

// webpOrientation is how the camera was held, as a chunk of Exif says it, or 0.
func webpOrientation(in sanitize.Object) int {
	var h [21]byte
	if _, err := in.ReadAt(h[:], 0); err != nil || string(h[8:16]) != "WEBPVP8X" || h[20]&8 == 0 {
		return 0
	}
	for at, n := int64(12), 0; n < maxBoxes; n++ {
		var c [8]byte
		if m, _ := in.ReadAt(c[:], at); m < 8 {
			break
		}
		size := int64(binary.LittleEndian.Uint32(c[4:]))
		if string(c[:4]) == "EXIF" {
			b := make([]byte, min(size, exifBytes))
			m, _ := in.ReadAt(b, at+8)
			// Some programs write the name that stands before it in a JPEG.
			return turnIn(bytes.TrimPrefix(b[:m], []byte("Exif\x00\x00"))).value
		}
		at += 8 + size + size%2
	}
	return 0
}

// webpFrame is the first picture of an animation, as a file of its own.
type webpFrame struct {
	file       []byte
	at, canvas image.Point
}

// animatedWebP finds the first picture of an animation, and whether there are
// more. It is nil for a file that is none.
func animatedWebP(in sanitize.Object) (first *webpFrame, more bool) {
	le := binary.LittleEndian
	var h [30]byte
	if _, err := in.ReadAt(h[:], 0); err != nil || string(h[8:16]) != "WEBPVP8X" || h[20]&2 == 0 {
		return nil, false
	}
	three := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	canvas := image.Pt(three(h[24:])+1, three(h[27:])+1)
	for at, n := int64(30), 0; n < maxBoxes; n++ {
		var c [24]byte
		if m, _ := in.ReadAt(c[:], at); m < 8 {
			break
		}
		size := int64(le.Uint32(c[4:]))
		if string(c[:4]) == "ANMF" && size > 16 && at+8+size <= in.Size {
			if first != nil {
				return first, true
			}
			body := make([]byte, size-16)
			if _, err := in.ReadAt(body, at+24); err != nil && err != io.EOF {
				break
			}
			file := append([]byte("RIFF\x00\x00\x00\x00WEBP"), body...)
			if bytes.HasPrefix(body, []byte("ALPH")) {
				// Only with this head does a reader look for how it covers; it
				// says that again, and the size of this picture.
				head := append([]byte("VP8X\x0a\x00\x00\x00\x10\x00\x00\x00"), c[14:20]...)
				file = append(append([]byte("RIFF\x00\x00\x00\x00WEBP"), head...), body...)
			}
			le.PutUint32(file[4:], uint32(len(file)-8))
			first = &webpFrame{file, image.Pt(2*three(c[8:]), 2*three(c[11:])), canvas}
		}
		at += 8 + size + size%2
	}
	return first, false
}
