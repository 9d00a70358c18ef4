package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"io"

	"sekisho/sanitize"
)

// JP2 writes JPEG 2000 pictures as PNG or JPEG. The codec is C of others: it
// runs in a sandbox, is given the bare code stream (no boxes, no colour profile)
// and gives back pixels, whose colours are worked out here. ITU-T T.800.
type JP2 struct{}

// Sanitize implements sanitize.Sanitizer.
func (JP2) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	j, err := walkJP2(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	if err := s.SpendPixels(j.width, j.height); err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(int64(j.width)*int64(j.height), 8); err != nil {
		return sanitize.Result{}, err
	}
	b, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.JP2Pixels, Size: j.size}, io.NewSectionReader(in, j.at, j.size))
	if err != nil {
		return sanitize.Result{}, err
	}
	r, err := handedOver(b, j.width, j.height, 0)
	if err != nil {
		return sanitize.Result{}, err
	}
	m := r.Image()
	if n, ok := m.(*image.NRGBA); ok {
		switch {
		case j.colours == jp2CMYK && r.Samples == 4:
			inked(n.Pix)
		case j.colours == jp2YCC && r.Samples >= 3:
			for i := 0; i+3 < len(n.Pix); i += 4 {
				n.Pix[i], n.Pix[i+1], n.Pix[i+2] = color.YCbCrToRGB(n.Pix[i], n.Pix[i+1], n.Pix[i+2])
			}
		default:
			converted(s, j.profile.fits(3), m)
		}
	}
	if j.other {
		dropped(s, []string{"data beside the picture"})
	}
	return finish(ctx, s, m, out)
}

// Colour spaces of T.800, I.5.3.3, and of T.801, M.11.7.3.1.
const (
	jp2CMYK = 12
	jp2YCC  = 18
)

// jp2 is what the walk over a file found.
type jp2 struct {
	at, size      int64 // of the code stream
	width, height int
	colours       uint32
	profile       *profile
	other         bool // boxes that hold no picture
}

// maxBoxes bounds the walk; encoders write ten.
const maxBoxes = 1000

// walkJP2 finds the code stream and what its colours mean.
func walkJP2(in sanitize.Object) (*jp2, error) {
	j := &jp2{}
	var soc [4]byte
	if _, err := in.ReadAt(soc[:], 0); err == nil && soc == [4]byte{0xff, 0x4f, 0xff, 0x51} {
		j.size = in.Size
		return j, j.stream(in)
	}
	at := int64(0)
	for range maxBoxes {
		name, from, end, err := box(in, at, in.Size)
		if err != nil {
			return nil, err
		}
		switch name {
		case "jP  ", "ftyp":
		case "jp2h":
			if err := j.header(in, from, end); err != nil {
				return nil, err
			}
		case "jp2c":
			j.at, j.size = from, end-from
			j.other = j.other || end < in.Size
			return j, j.stream(in)
		default:
			j.other = true
		}
		at = end
	}
	return nil, fmt.Errorf("JPEG 2000 of more than %d boxes: %w", maxBoxes, sanitize.ErrLimit)
}

// box reads the head of a box: its name, where its content begins and ends.
func box(in io.ReaderAt, at, limit int64) (name string, from, end int64, err error) {
	var h [16]byte
	n, _ := in.ReadAt(h[:], at)
	if n < 8 || at+8 > limit {
		return "", 0, 0, malformed("read JPEG 2000", fmt.Errorf("no picture"))
	}
	size, from := int64(binary.BigEndian.Uint32(h[:])), at+8
	switch size {
	case 0: // to the end
		size = limit - at
	case 1:
		if n < 16 {
			return "", 0, 0, malformed("read JPEG 2000", fmt.Errorf("box cut short"))
		}
		if size, from = int64(binary.BigEndian.Uint64(h[8:])), at+16; size < 0 {
			size = 0
		}
	}
	if end = at + size; end < from || end > limit {
		return "", 0, 0, malformed("read JPEG 2000", fmt.Errorf("box of %d octets", size))
	}
	return string(h[4:8]), from, end, nil
}

// header reads the boxes about colours. A palette would have to be applied by
// the tool, which is given no boxes.
func (j *jp2) header(in io.ReaderAt, at, end int64) error {
	for n := 0; at < end; n++ {
		name, from, to, err := box(in, at, end)
		if err != nil {
			return err
		}
		switch {
		case name == "pclr" || n > maxBoxes:
			return fmt.Errorf("JPEG 2000 with a palette: %w", sanitize.ErrUnsupported)
		case name == "colr" && j.colours == 0 && j.profile == nil && to-from >= 7:
			b := make([]byte, min(to-from, profileBytes))
			if _, err := in.ReadAt(b, from); err != nil {
				return malformed("read JPEG 2000", err)
			}
			switch b[0] {
			case 1:
				j.colours = binary.BigEndian.Uint32(b[3:])
			case 2, 3:
				j.profile = readProfile(b[3:])
				if len(b) > 3+20 && bytes.Equal(b[3+16:3+20], []byte("CMYK")) {
					j.colours = jp2CMYK
				}
			}
		}
		at = to
	}
	return nil
}

// stream reads the size of the picture (T.800, A.5.1).
func (j *jp2) stream(in io.ReaderAt) error {
	var h [42]byte
	if _, err := in.ReadAt(h[:], j.at); err != nil || j.size < int64(len(h)) || !bytes.HasPrefix(h[:], []byte{0xff, 0x4f, 0xff, 0x51}) {
		return malformed("read JPEG 2000", fmt.Errorf("no code stream"))
	}
	u := func(at int) int64 { return int64(binary.BigEndian.Uint32(h[at:])) }
	w, ht, n := u(8)-u(16), u(12)-u(20), int(binary.BigEndian.Uint16(h[40:]))
	switch {
	case w <= 0 || ht <= 0 || w > 1<<30 || ht > 1<<30:
		return malformed("read JPEG 2000", fmt.Errorf("%d x %d pixels", w, ht))
	case n < 1 || n > 4:
		return fmt.Errorf("JPEG 2000 of %d components: %w", n, sanitize.ErrUnsupported)
	}
	j.width, j.height = int(w), int(ht)
	return nil
}
