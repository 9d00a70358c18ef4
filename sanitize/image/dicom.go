package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"strconv"
	"strings"

	"sekisho/sanitize"
)

// DICOM writes the first picture of a file of medical imaging as PNG or JPEG, in
// the brightness that the file asks for. Nothing about the patient comes out,
// and neither does what a diagnosis would need: the profile decides whether that
// helps anybody. DICOM PS3.3, PS3.5 and PS3.10; plain, run-length and baseline
// JPEG pixels.
type DICOM struct{}

// Tags of PS3.6 that are read.
const (
	tagTransferSyntax = 0x0002_0010
	tagSamples        = 0x0028_0002
	tagInterpretation = 0x0028_0004
	tagPlanes         = 0x0028_0006
	tagFrames         = 0x0028_0008
	tagRows           = 0x0028_0010
	tagColumns        = 0x0028_0011
	tagAllocated      = 0x0028_0100
	tagStored         = 0x0028_0101
	tagSigned         = 0x0028_0103
	tagCentre         = 0x0028_1050
	tagWindow         = 0x0028_1051
	tagIntercept      = 0x0028_1052
	tagSlope          = 0x0028_1053
	tagPixels         = 0x7fe0_0010
	tagItem           = 0xfffe_e000
	tagItemEnd        = 0xfffe_e00d
	tagSequenceEnd    = 0xfffe_e0dd
)

// Transfer syntaxes of PS3.5, annex A.
const (
	dicomImplicit = "1.2.840.10008.1.2"
	dicomExplicit = "1.2.840.10008.1.2.1"
	dicomJPEG     = "1.2.840.10008.1.2.4.50"
	dicomRLE      = "1.2.840.10008.1.2.5"
)

const (
	maxElements  = 100_000
	maxSequences = 32
	endless      = 0xffff_ffff // a length that is not known
)

// dicom reads elements one behind the other.
type dicom struct {
	in       io.ReaderAt
	at, size int64
	implicit bool
	elements int

	syntax, interpretation  string
	samples, planar, frames int
	rows, columns           int
	allocated, stored       int
	signed                  bool
	centre, window          float64
	slope, intercept        float64
}

// Sanitize implements sanitize.Sanitizer.
func (DICOM) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	d := &dicom{in: in, at: 132, size: in.Size, samples: 1, frames: 1, slope: 1}
	length, err := d.header()
	if err != nil {
		return sanitize.Result{}, err
	}
	if d.rows < 1 || d.columns < 1 || d.samples != 1 && d.samples != 3 || d.allocated != 8 && d.allocated != 16 || d.stored < 1 || d.stored > d.allocated || d.samples == 3 && d.allocated != 8 {
		return sanitize.Result{}, fmt.Errorf("DICOM of %d x %d pixels, %d samples of %d bits: %w", d.columns, d.rows, d.samples, d.allocated, sanitize.ErrUnsupported)
	}
	if err := s.SpendPixels(d.columns, d.rows); err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(int64(d.rows)*int64(d.columns), float64(d.samples*d.allocated/8)+4); err != nil {
		return sanitize.Result{}, err
	}
	m, err := d.picture(length)
	if err != nil {
		return sanitize.Result{}, err
	}
	if d.frames > 1 {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the first picture of several stays"})
	}
	dropped(s, []string{"data of the patient and the examination"})
	return finish(ctx, s, m, out)
}

func (d *dicom) bad(what string) error {
	return malformed("read DICOM", fmt.Errorf("%s at octet %d", what, d.at))
}

// element reads the head of an element (PS3.5, 7.1).
func (d *dicom) element() (tag uint32, length int64, err error) {
	if d.elements++; d.elements > maxElements {
		return 0, 0, fmt.Errorf("DICOM of more than %d elements: %w", maxElements, sanitize.ErrLimit)
	}
	var h [12]byte
	n, _ := d.in.ReadAt(h[:], d.at)
	if n < 8 {
		return 0, 0, d.bad("no pixels")
	}
	tag = uint32(binary.LittleEndian.Uint16(h[:]))<<16 | uint32(binary.LittleEndian.Uint16(h[2:]))
	switch vr := string(h[4:6]); {
	case tag>>16 == 0xfffe, d.implicit && tag>>16 != 2:
		length = int64(binary.LittleEndian.Uint32(h[4:]))
		d.at += 8
	case strings.Contains("OB OD OF OL OV OW SQ SV UC UN UR UT UV", vr):
		if n < 12 {
			return 0, 0, d.bad("element cut short")
		}
		length = int64(binary.LittleEndian.Uint32(h[8:]))
		d.at += 12
	default:
		length = int64(binary.LittleEndian.Uint16(h[6:]))
		d.at += 8
	}
	if length != endless && d.at+length > d.size {
		return 0, 0, d.bad("element of " + strconv.FormatInt(length, 10) + " octets")
	}
	return tag, length, nil
}

// header reads elements as far as the pixels, and returns their length.
func (d *dicom) header() (int64, error) {
	meta := true
	for {
		if meta {
			var g [2]byte
			if _, err := d.in.ReadAt(g[:], d.at); err != nil {
				return 0, d.bad("no pixels")
			}
			if g != [2]byte{2, 0} {
				// What follows is written as the meta information says.
				meta = false
				switch d.syntax {
				case dicomImplicit:
					d.implicit = true
				case dicomExplicit, dicomJPEG, dicomRLE:
				default:
					return 0, fmt.Errorf("DICOM in transfer syntax %.64q: %w", d.syntax, sanitize.ErrUnsupported)
				}
			}
		}
		tag, length, err := d.element()
		switch {
		case err != nil:
			return 0, err
		case tag == tagPixels:
			return length, nil
		case length == endless:
			if err := d.pass(0); err != nil {
				return 0, err
			}
			continue
		}
		if err := d.value(tag, length); err != nil {
			return 0, err
		}
		d.at += length
	}
}

// pass passes over a sequence whose end is marked (PS3.5, 7.5).
func (d *dicom) pass(deep int) error {
	if deep > maxSequences {
		return d.bad("sequences in sequences")
	}
	for {
		tag, length, err := d.element()
		switch {
		case err != nil:
			return err
		case tag == tagSequenceEnd || tag == tagItemEnd:
			return nil
		case length == endless:
			if err := d.pass(deep + 1); err != nil {
				return err
			}
		default:
			d.at += length
		}
	}
}

// value keeps the elements that say how the pixels are to be read.
func (d *dicom) value(tag uint32, length int64) error {
	switch tag {
	case tagTransferSyntax, tagSamples, tagInterpretation, tagPlanes, tagFrames, tagRows, tagColumns, tagAllocated, tagStored, tagSigned, tagCentre, tagWindow, tagIntercept, tagSlope:
	default:
		return nil
	}
	if length > 256 {
		return d.bad("long value")
	}
	b := make([]byte, length)
	if _, err := d.in.ReadAt(b, d.at); err != nil {
		return d.bad("value cut short")
	}
	text := strings.Trim(string(b), " \x00")
	number := 0
	if len(b) >= 2 {
		number = int(binary.LittleEndian.Uint16(b))
	}
	decimal := func() float64 {
		first, _, _ := strings.Cut(text, `\`) // of several windows the first
		v, err := strconv.ParseFloat(strings.TrimSpace(first), 64)
		if err != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			return 0
		}
		return v
	}
	switch tag {
	case tagTransferSyntax:
		d.syntax = text
	case tagSamples:
		d.samples = number
	case tagInterpretation:
		d.interpretation = text
	case tagPlanes:
		d.planar = number
	case tagFrames:
		d.frames = int(min(decimal(), 1e6))
	case tagRows:
		d.rows = number
	case tagColumns:
		d.columns = number
	case tagAllocated:
		d.allocated = number
	case tagStored:
		d.stored = number
	case tagSigned:
		d.signed = number == 1
	case tagCentre:
		d.centre = decimal()
	case tagWindow:
		d.window = decimal()
	case tagIntercept:
		d.intercept = decimal()
	case tagSlope:
		if v := decimal(); v != 0 {
			d.slope = v
		}
	}
	return nil
}

// picture reads the pixels of the first frame.
func (d *dicom) picture(length int64) (image.Image, error) {
	n := int64(d.rows) * int64(d.columns) * int64(d.samples) * int64(d.allocated/8)
	if d.syntax != dicomJPEG && d.syntax != dicomRLE {
		if length != endless && length < n || d.at+n > d.size {
			return nil, d.bad("pixels cut short")
		}
		b := make([]byte, n)
		if _, err := d.in.ReadAt(b, d.at); err != nil && !errors.Is(err, io.EOF) {
			return nil, d.bad("pixels cut short")
		}
		return d.shown(b)
	}
	// Pieces: a table of where frames begin, then the first of the frame (A.4).
	if tag, size, err := d.element(); err != nil || tag != tagItem || size == endless {
		return nil, d.bad("no table of frames")
	} else {
		d.at += size
	}
	tag, size, err := d.element()
	if err != nil || tag != tagItem || size == endless {
		return nil, d.bad("no frame")
	}
	piece := io.NewSectionReader(d.in, d.at, size)
	if d.syntax == dicomRLE {
		b, err := d.runs(piece, n)
		if err != nil {
			return nil, err
		}
		d.planar = 1
		return d.shown(b)
	}
	r := []io.Reader{piece}
	for d.at += size; d.frames <= 1; d.at += size { // a frame may be in several pieces
		if tag, size, err = d.element(); err != nil || tag != tagItem || size == endless {
			break
		}
		r = append(r, io.NewSectionReader(d.in, d.at, size))
	}
	b, err := io.ReadAll(io.MultiReader(r...))
	if err != nil {
		return nil, d.bad("frame cut short")
	}
	c, err := jpeg.DecodeConfig(bytes.NewReader(b))
	if err != nil || c.Width != d.columns || c.Height != d.rows {
		return nil, d.bad("JPEG of another size")
	}
	m, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, malformed("read DICOM", err)
	}
	return m, nil
}

// runs unpacks run lengths: octets of each place of a sample for themselves,
// the highest first (PS3.5, annex G).
func (d *dicom) runs(r *io.SectionReader, n int64) ([]byte, error) {
	var h [64]byte
	if _, err := r.ReadAt(h[:], 0); err != nil {
		return nil, d.bad("run lengths cut short")
	}
	le := binary.LittleEndian
	each := d.allocated / 8
	if int(le.Uint32(h[:])) != d.samples*each {
		return nil, d.bad("segments of run lengths")
	}
	b := make([]byte, n)
	plane := int64(d.rows) * int64(d.columns)
	for i := range d.samples * each {
		from := int64(le.Uint32(h[4+4*i:]))
		p := &psd{r: bufio.NewReader(io.NewSectionReader(r, from, max(r.Size()-from, 0)))}
		row := make([]byte, plane)
		if err := p.unpack(row); err != nil {
			return nil, d.bad("run lengths cut short")
		}
		sample, place := i/each, each-1-i%each // written in the order of the plain ones
		for x, v := range row {
			b[(int64(sample)*plane+int64(x))*int64(each)+int64(place)] = v
		}
	}
	return b, nil
}

// shown turns samples into what a viewer shows of them.
func (d *dicom) shown(b []byte) (image.Image, error) {
	r := image.Rect(0, 0, d.columns, d.rows)
	plane := d.rows * d.columns
	if d.samples == 3 {
		m := image.NewNRGBA(r)
		for i := range plane {
			p := m.Pix[4*i : 4*i+4]
			for c := range 3 {
				if d.planar == 1 {
					p[c] = b[c*plane+i]
				} else {
					p[c] = b[3*i+c]
				}
			}
			p[3] = 255
		}
		switch d.interpretation {
		case "RGB":
		case "YBR_FULL":
			for i := 0; i < len(m.Pix); i += 4 {
				m.Pix[i], m.Pix[i+1], m.Pix[i+2] = color.YCbCrToRGB(m.Pix[i], m.Pix[i+1], m.Pix[i+2])
			}
		default:
			return nil, fmt.Errorf("DICOM in colours %.32q: %w", d.interpretation, sanitize.ErrUnsupported)
		}
		return m, nil
	}
	if d.interpretation != "MONOCHROME1" && d.interpretation != "MONOCHROME2" {
		return nil, fmt.Errorf("DICOM in colours %.32q: %w", d.interpretation, sanitize.ErrUnsupported)
	}
	sample := func(i int) float64 {
		v := uint32(b[i*d.allocated/8])
		if d.allocated == 16 {
			v = uint32(binary.LittleEndian.Uint16(b[2*i:]))
		}
		v &= 1<<d.stored - 1
		if d.signed && v>>(d.stored-1) != 0 {
			return float64(int64(v) - 1<<d.stored)
		}
		return float64(v)
	}
	// Without a window all that occurs is shown, of eight bits all there is.
	var low, high float64
	if d.window >= 1 {
		// PS3.3, C.11.2.1.2.1, in the numbers of the samples.
		a := (d.centre - 0.5 - (d.window-1)/2 - d.intercept) / d.slope
		z := (d.centre - 0.5 + (d.window-1)/2 - d.intercept) / d.slope
		low, high = min(a, z), max(a, z)
	} else if low, high = 0, 255; d.allocated > 8 {
		low, high = math.Inf(1), math.Inf(-1)
		for i := range plane {
			low, high = min(low, sample(i)), max(high, sample(i))
		}
	}
	m := image.NewGray(r)
	turned := (d.interpretation == "MONOCHROME1") != (d.slope < 0)
	for i := range m.Pix {
		v := 255.0
		if x := sample(i); x <= low {
			v = 0
		} else if x < high {
			v = (x - low) / (high - low) * 255
		}
		if m.Pix[i] = uint8(v + 0.5); turned {
			m.Pix[i] = 255 - m.Pix[i]
		}
	}
	return m, nil
}
