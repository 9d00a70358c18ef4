package image

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"io"
	"math"

	"sekisho/sanitize"
)

// PSD writes what a picture of Photoshop shows as PNG or JPEG: the merged
// picture, which Photoshop writes behind the layers for programs that know none.
// Adobe Photoshop File Formats Specification, 2019. Layers are not read.
type PSD struct{}

// Colour modes of the specification that are read.
const (
	psdBitmap  = 0
	psdGrey    = 1
	psdIndexed = 2
	psdRGB     = 3
	psdCMYK    = 4
	psdDuotone = 8 // its grey picture; the inks are not documented
	psdLab     = 9
)

// psd is what stands before the pixels.
type psd struct {
	large                          bool // PSB: some lengths have eight octets
	channels, height, width, depth int
	mode                           int
	palette                        []byte // 256 reds, greens, blues
	profile                        *profile
	merged                         bool
	cover                          bool // the channel behind the colours is how the merged picture covers
	r                              *bufio.Reader
	s                              *sanitize.Session
}

// Sanitize implements sanitize.Sanitizer.
func (PSD) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	p := &psd{r: bufio.NewReaderSize(in.Reader(), 64<<10), s: s, merged: true}
	if err := p.header(); err != nil {
		return sanitize.Result{}, err
	}
	if err := s.SpendPixels(p.width, p.height); err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(int64(p.width)*int64(p.height), 4); err != nil {
		return sanitize.Result{}, err
	}
	m, err := p.pixels()
	if err != nil {
		return sanitize.Result{}, err
	}
	converted(s, p.profile, m)
	dropped(s, []string{"layers and settings of Photoshop"})
	return finish(ctx, s, m, out)
}

func (p *psd) bad(what string, err error) error {
	return malformed("read PSD: "+what, err)
}

func (p *psd) take(n int) ([]byte, error) {
	b := make([]byte, n)
	if _, err := io.ReadFull(p.r, b); err != nil {
		return nil, err
	}
	return b, nil
}

// skip passes over n octets. The number is the file's: it is reached or the
// file ends.
func (p *psd) skip(n int64) error {
	m, err := io.CopyN(io.Discard, p.r, n)
	if err == nil && m != n {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// header reads up to the merged picture.
func (p *psd) header() error {
	h, err := p.take(30)
	if err != nil {
		return p.bad("header", err)
	}
	be := binary.BigEndian
	p.large = be.Uint16(h[4:]) == 2
	p.channels, p.height, p.width = int(be.Uint16(h[12:])), int(int32(be.Uint32(h[14:]))), int(int32(be.Uint32(h[18:])))
	p.depth, p.mode = int(be.Uint16(h[22:])), int(be.Uint16(h[24:]))
	if be.Uint16(h[4:]) > 2 || p.channels < 1 || p.channels > 56 || p.width < 1 || p.height < 1 || p.width > 300_000 || p.height > 300_000 {
		return p.bad("header", fmt.Errorf("%d channels of %d x %d", p.channels, p.width, p.height))
	}
	size := int64(be.Uint32(h[26:])) // of the colour mode data
	if p.mode == psdIndexed && size == 768 {
		if p.palette, err = p.take(768); err != nil {
			return p.bad("palette", err)
		}
	} else if err := p.skip(size); err != nil {
		return p.bad("colour mode data", err)
	}
	n, err := p.take(4)
	if err != nil {
		return p.bad("resources", err)
	}
	if err := p.resources(int64(be.Uint32(n))); err != nil {
		return err
	}
	length := int64(0) // of layers and masks
	if p.large {
		n, err = p.take(8)
		if err == nil {
			length = int64(be.Uint64(n) & math.MaxInt64)
		}
	} else if n, err = p.take(4); err == nil {
		length = int64(be.Uint32(n))
	}
	if err == nil {
		err = p.layers(length)
	}
	if err != nil {
		return p.bad("layers", err)
	}
	if !p.merged {
		return fmt.Errorf("PSD without a merged picture: %w", sanitize.ErrUnsupported)
	}
	return nil
}

// layers passes over the layers, of which there are so many octets. A number of
// layers below zero says that the first channel behind the colours of the merged
// picture is its transparency.
func (p *psd) layers(length int64) error {
	head := int64(4) // the length of what comes first
	if p.large {
		head = 8
	}
	if length < head+2 {
		return p.skip(length)
	}
	b, err := p.take(int(head) + 2)
	if err != nil {
		return err
	}
	p.cover = p.mode == psdRGB && p.channels > 3 && int16(binary.BigEndian.Uint16(b[head:])) < 0
	return p.skip(length - head - 2)
}

// resources reads the colour profile, and whether there is a merged picture.
func (p *psd) resources(left int64) error {
	be := binary.BigEndian
	for left >= 12 {
		h, err := p.take(7)
		if err != nil {
			return p.bad("resources", err)
		}
		id, name := be.Uint16(h[4:]), int64(h[6])
		rest := name + (name+1)%2 // the name and its length are even together
		if err := p.skip(rest); err != nil {
			return p.bad("resources", err)
		}
		n, err := p.take(4)
		if err != nil {
			return p.bad("resources", err)
		}
		size := int64(be.Uint32(n))
		left -= 11 + rest + size + size%2
		if left < 0 {
			return p.bad("resources", fmt.Errorf("resource %d of %d octets", id, size))
		}
		switch {
		case id == 1039 && size <= inkBytes || id == 1057 && size >= 5 && size <= profileBytes:
			b, err := p.take(int(size))
			if err != nil {
				return p.bad("resources", err)
			}
			if id == 1039 {
				channels := map[int]int{psdGrey: 1, psdRGB: 3, psdIndexed: 3, psdCMYK: 4}[p.mode]
				p.profile = readProfile(b).fits(channels)
			} else {
				p.merged = b[4] != 0
			}
			err = p.skip(size % 2)
			if err != nil {
				return p.bad("resources", err)
			}
		default:
			if err := p.skip(size + size%2); err != nil {
				return p.bad("resources", err)
			}
		}
	}
	if err := p.skip(left); err != nil {
		return p.bad("resources", err)
	}
	return nil
}

// pixels reads the merged picture: channel after channel, row after row. What
// covers how is read of red, green and blue alone; other pictures stand on white.
func (p *psd) pixels() (image.Image, error) {
	wanted := map[int]int{psdBitmap: 1, psdGrey: 1, psdDuotone: 1, psdIndexed: 1, psdRGB: 3, psdLab: 3, psdCMYK: 4}[p.mode]
	switch {
	case wanted == 0 || p.depth != 8 && p.depth != 16 && (p.mode != psdBitmap || p.depth != 1), p.mode == psdIndexed && (p.palette == nil || p.depth != 8):
		return nil, fmt.Errorf("PSD of mode %d with %d bits: %w", p.mode, p.depth, sanitize.ErrUnsupported)
	case p.channels < wanted:
		return nil, p.bad("pixels", fmt.Errorf("%d channels of %d", p.channels, wanted))
	}
	c, err := p.take(2)
	if err != nil {
		return nil, p.bad("pixels", err)
	}
	if p.cover {
		wanted = 4
	}
	packed := c[1] == 1
	if c[0] != 0 || c[1] > 1 {
		return nil, fmt.Errorf("PSD with packing %d: %w", binary.BigEndian.Uint16(c), sanitize.ErrUnsupported)
	}
	if packed {
		// How long each row is; the rows say it themselves.
		each := int64(2)
		if p.large {
			each = 4
		}
		if err := p.skip(each * int64(p.channels) * int64(p.height)); err != nil {
			return nil, p.bad("row lengths", err)
		}
	}
	row := make([]byte, (p.width*p.depth+7)/8)
	one := wanted == 1
	var grey *image.Gray
	var full *image.NRGBA
	if one && p.mode != psdIndexed {
		grey = image.NewGray(image.Rect(0, 0, p.width, p.height))
	} else {
		full = image.NewNRGBA(image.Rect(0, 0, p.width, p.height))
	}
	for channel := range wanted {
		for y := range p.height {
			if packed {
				err = p.unpack(row)
			} else {
				_, err = io.ReadFull(p.r, row)
			}
			if err != nil {
				return nil, p.bad("pixels", err)
			}
			switch {
			case grey != nil:
				p.greys(grey.Pix[y*grey.Stride:][:p.width], row)
			case p.mode == psdIndexed:
				to := full.Pix[y*full.Stride:]
				for x, i := range row {
					to[4*x], to[4*x+1], to[4*x+2], to[4*x+3] = p.palette[i], p.palette[256+int(i)], p.palette[512+int(i)], 255
				}
			default:
				to := full.Pix[y*full.Stride:]
				for x := range p.width {
					v := row[x*p.depth/8]
					if p.mode == psdCMYK {
						v = 255 - v // 0 is all of the ink
					}
					to[4*x+channel] = v
				}
			}
		}
	}
	switch {
	case grey != nil:
		return grey, nil
	case p.mode == psdCMYK:
		p.profile.inked(full.Pix)
	case p.mode == psdLab:
		labToSRGB(full.Pix)
	case p.cover:
		onWhite(full.Pix)
	case p.mode == psdRGB:
		for i := 3; i < len(full.Pix); i += 4 {
			full.Pix[i] = 255
		}
	}
	return full, nil
}

// onWhite takes the white out of colours that were laid on it by how they cover.
func onWhite(pix []byte) {
	for ; len(pix) >= 4; pix = pix[4:] {
		a := int(pix[3])
		if a == 0 || a == 255 {
			continue
		}
		for c := range 3 {
			pix[c] = byte(min(max(255-(255-int(pix[c]))*255/a, 0), 255))
		}
	}
}

// greys spreads a row over eight bits.
func (p *psd) greys(to, row []byte) {
	for x := range to {
		if p.depth == 1 {
			to[x] = 255 * (1 - row[x/8]>>(7-x%8)&1) // 1 is black
			continue
		}
		to[x] = row[x*p.depth/8]
	}
}

// unpack reads a row packed by PackBits (TIFF 6.0, section 9).
func (p *psd) unpack(row []byte) error {
	for len(row) > 0 {
		n, err := p.r.ReadByte()
		if err != nil {
			return err
		}
		switch {
		case n < 128:
			k := min(int(n)+1, len(row))
			if _, err := io.ReadFull(p.r, row[:k]); err != nil {
				return err
			}
			row = row[k:]
		case n > 128:
			v, err := p.r.ReadByte()
			if err != nil {
				return err
			}
			k := min(257-int(n), len(row))
			for i := range row[:k] {
				row[i] = v
			}
			row = row[k:]
		}
	}
	return nil
}

// labToSRGB turns CIE L*a*b* under D50, each in eight bits, into sRGB (ICC.1:2010,
// annex A).
func labToSRGB(pix []byte) {
	curve := srgb()
	for ; len(pix) >= 4; pix = pix[4:] {
		x, y, z := fromLab(float64(pix[0])*100/255, float64(pix[1])-128, float64(pix[2])-128)
		for i, m := range toSRGB {
			v := min(max(m[0]*x+m[1]*y+m[2]*z, 0), 1)
			pix[i] = curve[int(v*4096+0.5)]
		}
		pix[3] = 255
	}
}
