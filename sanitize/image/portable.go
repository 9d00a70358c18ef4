package image

import (
	"bufio"
	"errors"
	"fmt"
	"image"
	"image/color"
	"io"
	"strconv"
	"strings"

	"sekisho/sanitize"
)

// portable reads the formats of Netpbm, P1 to P7: bits, greys, colours and any of
// them with a cover, in digits or in octets, up to sixteen bits. pbm(5), pgm(5),
// ppm(5) and pam(5). What our own tools write is read by internal/pnm.
type portable struct {
	r                      *bufio.Reader
	plain, bits            bool // in digits; one bit a sample, of which 1 is black
	width, height, samples int
	most                   int
}

// readPNM decodes the first picture of a file under the budget, and says whether
// there are more.
func readPNM(s *sanitize.Session, in sanitize.Object) (m image.Image, more bool, err error) {
	d := &portable{r: bufio.NewReaderSize(in.Reader(), 64<<10)}
	if err := d.header(); err != nil {
		if !errors.Is(err, sanitize.ErrUnsupported) {
			err = malformed("read pnm", err)
		}
		return nil, false, err
	}
	if err := s.SpendPixels(d.width, d.height); err != nil {
		return nil, false, err
	}
	each := 4.0
	if d.samples > 2 && d.most > 255 || d.samples == 2 {
		each = 8
	}
	if err := affordable(int64(d.width)*int64(d.height), each); err != nil {
		return nil, false, err
	}
	if m, err = d.pixels(); err != nil {
		return nil, false, malformed("read pnm", err)
	}
	if !d.plain {
		b, _ := d.r.Peek(2)
		more = len(b) == 2 && b[0] == 'P' && b[1] >= '1' && b[1] <= '7'
	}
	return m, more, nil
}

// word reads what stands between blanks; comments run to the end of their line.
func (d *portable) word() (string, error) {
	var w []byte
	for {
		c, err := d.r.ReadByte()
		if err != nil {
			if len(w) > 0 && err == io.EOF {
				return string(w), nil
			}
			return "", io.ErrUnexpectedEOF
		}
		switch {
		case c == '#':
			for c != '\n' && c != '\r' {
				if c, err = d.r.ReadByte(); err != nil {
					return "", io.ErrUnexpectedEOF
				}
			}
			if len(w) > 0 {
				return string(w), nil
			}
		case c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\v' || c == '\f':
			if len(w) > 0 {
				return string(w), nil
			}
		case len(w) >= 16:
			return "", errors.New("a long word")
		default:
			w = append(w, c)
		}
	}
}

// number reads one from 1 on.
func (d *portable) number(most int) (int, error) {
	w, err := d.word()
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseUint(w, 10, 31)
	if err != nil || n < 1 || int(n) > most {
		return 0, fmt.Errorf("number %.16q", w)
	}
	return int(n), nil
}

const pnmSide = 1 << 20 // beyond what the budget of pixels allows

func (d *portable) header() (err error) {
	var magic [2]byte
	if _, err := io.ReadFull(d.r, magic[:]); err != nil || magic[0] != 'P' || magic[1] < '1' || magic[1] > '7' {
		return errors.New("no header")
	}
	if magic[1] == '7' {
		return d.arbitrary()
	}
	kind := magic[1] - '0'
	d.plain, d.bits, d.samples, d.most = kind <= 3, kind == 1 || kind == 4, 1, 1
	if kind == 3 || kind == 6 {
		d.samples = 3
	}
	if d.width, err = d.number(pnmSide); err != nil {
		return err
	}
	if d.height, err = d.number(pnmSide); err != nil {
		return err
	}
	if !d.bits {
		d.most, err = d.number(65535)
	}
	return err
}

// arbitrary reads the header of P7: lines of a key and its value.
func (d *portable) arbitrary() (err error) {
	kind := ""
	for range 64 {
		line, err := d.r.ReadSlice('\n')
		if err != nil {
			return errors.New("header cut short")
		}
		key, value, _ := strings.Cut(strings.TrimSpace(string(line)), " ")
		value = strings.TrimSpace(value)
		n, wrong := strconv.ParseUint(value, 10, 31)
		switch {
		case key == "" || key[0] == '#':
			continue
		case key == "ENDHDR":
			switch {
			case d.width < 1 || d.height < 1 || d.most < 1 || d.width > pnmSide || d.height > pnmSide || d.most > 65535:
				return errors.New("header")
			case d.samples < 1 || d.samples > 4 || kind != "" && !strings.HasPrefix(kind, "GRAYSCALE") && !strings.HasPrefix(kind, "RGB") && !strings.HasPrefix(kind, "BLACKANDWHITE"):
				return fmt.Errorf("PAM of %d samples: %w", d.samples, sanitize.ErrUnsupported)
			}
			return nil
		case key == "TUPLTYPE":
			kind = value
			continue
		case wrong != nil:
			return errors.New("header")
		}
		switch key {
		case "WIDTH":
			d.width = int(n)
		case "HEIGHT":
			d.height = int(n)
		case "DEPTH":
			d.samples = int(n)
		case "MAXVAL":
			d.most = int(n)
		default:
			return errors.New("header")
		}
	}
	return errors.New("header without an end")
}

func (d *portable) pixels() (image.Image, error) {
	rect := image.Rect(0, 0, d.width, d.height)
	if d.bits {
		return d.blackAndWhite(image.NewPaletted(rect, color.Palette{color.RGBA{255, 255, 255, 255}, color.RGBA{0, 0, 0, 255}}))
	}
	row := make([]uint16, d.width*d.samples)
	raw := make([]byte, 2*len(row))
	// Full is what the samples of the picture that is made go up to.
	full := 255
	if d.most > 255 {
		full = 65535
	}
	var grey *image.Gray
	var grey16 *image.Gray16
	var colours *image.NRGBA
	var colours16 *image.NRGBA64
	var m image.Image
	switch {
	case d.samples == 1 && full == 255:
		grey = image.NewGray(rect)
		m = grey
	case d.samples == 1:
		grey16 = image.NewGray16(rect)
		m = grey16
	case full == 255:
		colours = image.NewNRGBA(rect)
		m = colours
	default:
		colours16 = image.NewNRGBA64(rect)
		m = colours16
	}
	for y := range d.height {
		if err := d.row(row, raw); err != nil {
			return nil, err
		}
		for i, v := range row {
			if int(v) > d.most {
				return nil, fmt.Errorf("sample of %d, the most is %d", v, d.most)
			}
			if d.most != full {
				row[i] = uint16((int(v)*full + d.most/2) / d.most)
			}
		}
		for x := range d.width {
			p := row[x*d.samples:][:d.samples]
			switch {
			case grey != nil:
				grey.Pix[y*grey.Stride+x] = byte(p[0])
				continue
			case grey16 != nil:
				grey16.SetGray16(x, y, color.Gray16{Y: p[0]})
				continue
			}
			c := color.NRGBA64{p[0], p[0], p[0], uint16(full)}
			if d.samples > 2 {
				c.G, c.B = p[1], p[2]
			}
			if d.samples%2 == 0 {
				c.A = p[d.samples-1]
			}
			if colours16 != nil {
				colours16.SetNRGBA64(x, y, c)
				continue
			}
			to := colours.Pix[y*colours.Stride+4*x:][:4]
			to[0], to[1], to[2], to[3] = byte(c.R), byte(c.G), byte(c.B), byte(c.A)
		}
	}
	return m, nil
}

// row reads the samples of one.
func (d *portable) row(row []uint16, raw []byte) error {
	if d.plain {
		for i := range row {
			w, err := d.word()
			if err != nil {
				return err
			}
			n, err := strconv.ParseUint(w, 10, 16)
			if err != nil {
				return fmt.Errorf("sample %.16q", w)
			}
			row[i] = uint16(n)
		}
		return nil
	}
	if d.most < 256 {
		if _, err := io.ReadFull(d.r, raw[:len(row)]); err != nil {
			return io.ErrUnexpectedEOF
		}
		for i := range row {
			row[i] = uint16(raw[i])
		}
		return nil
	}
	if _, err := io.ReadFull(d.r, raw); err != nil {
		return io.ErrUnexpectedEOF
	}
	for i := range row {
		row[i] = uint16(raw[2*i])<<8 | uint16(raw[2*i+1])
	}
	return nil
}

// blackAndWhite reads bits: eight in an octet, or a digit each, with or without
// blanks between.
func (d *portable) blackAndWhite(m *image.Paletted) (image.Image, error) {
	line := make([]byte, (d.width+7)/8)
	for y := range d.height {
		to := m.Pix[y*m.Stride:][:d.width]
		if !d.plain {
			if _, err := io.ReadFull(d.r, line); err != nil {
				return nil, io.ErrUnexpectedEOF
			}
			for x := range to {
				to[x] = line[x/8] >> (7 - x%8) & 1
			}
			continue
		}
		for x := 0; x < d.width; {
			c, err := d.r.ReadByte()
			switch {
			case err != nil:
				return nil, io.ErrUnexpectedEOF
			case c == '#':
				for c != '\n' && c != '\r' {
					if c, err = d.r.ReadByte(); err != nil {
						return nil, io.ErrUnexpectedEOF
					}
				}
			case c == '0' || c == '1':
				to[x] = c - '0'
				x++
			case c > ' ':
				return nil, fmt.Errorf("bit %q", c)
			}
		}
	}
	return m, nil
}
