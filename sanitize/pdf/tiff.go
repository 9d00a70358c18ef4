package pdf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"

	"sekisho/sanitize"
)

// tiffStream takes pages as pdftocairo writes them, each a TIFF file behind its
// length in eight octets, and hands them out one by one. Of a file everything
// but the pixels follows from four numbers, so it is written here once more and
// compared: another form, an order of its own, an octet too many is refused.
type tiffStream struct {
	s      *sanitize.Session
	dpi    int
	sheets []drawn                                               // that are to come
	page   func(width, height, samples int, pixels []byte) error // which keeps the pixels
	room   func(octets int) []byte                               // where pixels may go, of no length
	failed error                                                 // of whoever takes them

	head   []byte // length and header
	pixels []byte
	tail   []byte // directory and what it points to
	whole  int    // octets of pixels, one of padding included
	rest   int    // octets of the tail
}

const (
	tiffLength = 8
	tiffHeader = 8
	// tiffFields is how many fields its directory has.
	tiffFields = 14
	// longestTail is what a page of the most rows has behind its pixels, each row
	// a strip of its own.
	longestTail = 2 + 12*tiffFields + 4 + 16 + 6*(maxPageSide+1)
)

var errTIFF = fmt.Errorf("no page of the form that is taken: %w", sanitize.ErrTool)

func (d *tiffStream) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		switch {
		case len(d.head) < tiffLength+tiffHeader:
			b = fill(&d.head, b, tiffLength+tiffHeader)
			if len(d.head) == tiffLength+tiffHeader {
				if err := d.begin(); err != nil {
					return 0, err
				}
			}
		case len(d.pixels) < d.whole:
			b = fill(&d.pixels, b, d.whole)
		default:
			b = fill(&d.tail, b, d.rest)
			if len(d.tail) == d.rest {
				if err := d.take(); err != nil {
					return 0, err
				}
			}
		}
	}
	return n, nil
}

// fill moves octets from b to the end of to until that has so many.
func fill(to *[]byte, b []byte, most int) []byte {
	k := min(len(b), most-len(*to))
	*to = append(*to, b[:k]...)
	return b[k:]
}

// begin reads how long a file is, and its header.
func (d *tiffStream) begin() error {
	length, at := binary.BigEndian.Uint64(d.head), binary.LittleEndian.Uint32(d.head[tiffLength+4:])
	if len(d.sheets) == 0 || !bytes.HasPrefix(d.head[tiffLength:], []byte("II*\x00")) {
		return errTIFF
	}
	// Memory is had for what the page must be, whatever the file says.
	width, height := d.sides()
	if most := uint64((width+1)*(height+1) + 1); uint64(at) > tiffHeader+most || at <= tiffHeader || at%2 != 0 {
		return errTIFF
	}
	if length <= uint64(at) || length-uint64(at) > longestTail {
		return errTIFF
	}
	d.whole, d.rest = int(at)-tiffHeader, int(length-uint64(at))
	d.pixels = d.room(d.whole)
	return nil
}

// sides are those of the next page in pixels.
func (d *tiffStream) sides() (width, height int) {
	px := func(points float64) int { return int(math.Ceil(points * float64(d.dpi) / 72)) }
	return px(d.sheets[0].width), px(d.sheets[0].height)
}

// take compares what is not pixels, and hands out the page.
func (d *tiffStream) take() error {
	width, height, ok := readDirectory(d.tail, d.whole, d.dpi)
	if !ok {
		return errTIFF
	}
	octets := width * height
	if octets < d.whole && d.pixels[octets] != 0 {
		return errTIFF
	}
	near := func(a, b int) bool { return a >= b-1 && a <= b+1 }
	// A page that is turned has its sides from before that.
	if w, h := d.sides(); !(near(width, w) && near(height, h)) && !(near(width, h) && near(height, w)) {
		return errTIFF
	}
	pixels := d.pixels[:octets]
	d.head, d.pixels, d.tail, d.sheets = d.head[:0], nil, d.tail[:0], d.sheets[1:]
	if d.failed = d.s.SpendPixels(width, height); d.failed == nil {
		d.failed = d.page(width, height, 1, pixels)
	}
	return d.failed
}

func (d *tiffStream) end() error {
	if len(d.head) > 0 || len(d.sheets) > 0 {
		return fmt.Errorf("a page is missing: %w", sanitize.ErrTool)
	}
	return nil
}

// readDirectory reads the sides of a picture of so many octets out of what
// stands behind its pixels.
func readDirectory(tail []byte, whole, dpi int) (width, height int, ok bool) {
	if len(tail) < 2+12*tiffFields {
		return 0, 0, false
	}
	number := func(field int) int { return int(binary.LittleEndian.Uint16(tail[2+12*field+8:])) }
	width, height = number(0), number(1)
	rows := number(8)
	if width < 1 || height < 1 || rows < 1 || width > maxPageSide+1 || height > maxPageSide+1 || (width*height+1)&^1 != whole {
		return 0, 0, false
	}
	return width, height, bytes.Equal(tail, directory(nil, width, height, rows, dpi))
}

// directory appends what stands behind the pixels of a picture: the fields of TIFF
// 6.0 that libtiff writes for the program, the resolution, and how long the
// strips of so many rows are and where each begins.
func directory(b []byte, width, height, rows, dpi int) []byte {
	const short, long, rational = 3, 4, 5
	at := tiffHeader + (width*height+1)&^1
	behind := at + 2 + 12*tiffFields + 4
	strips := (height + rows - 1) / rows
	resolution := behind
	var sizes, starts []byte
	for i := range strips {
		sizes = binary.LittleEndian.AppendUint16(sizes, uint16(width*min(rows, height-i*rows)))
		starts = binary.LittleEndian.AppendUint32(starts, uint32(tiffHeader+i*rows*width))
	}
	// libtiff gives the one length of one strip four octets.
	sizesKind := uint16(short)
	if strips == 1 {
		sizesKind = long
	}
	behind += 16
	// place is the value of a field: itself where four octets hold it.
	var outside []byte
	place := func(list []byte) uint32 {
		if len(list) <= 4 {
			return binary.LittleEndian.Uint32(append(list, 0, 0, 0, 0))
		}
		outside = append(outside, list...)
		return uint32(behind + len(outside) - len(list))
	}
	sizesAt := place(sizes)
	startsAt := place(starts)
	le := binary.LittleEndian
	b = le.AppendUint16(b, tiffFields)
	for _, f := range [tiffFields]struct {
		tag, kind    uint16
		count, value uint32
	}{
		{256, short, 1, uint32(width)}, {257, short, 1, uint32(height)},
		{258, short, 1, 8}, // bits
		{259, short, 1, 1}, // not packed
		{262, short, 1, 1}, // 0 is black
		{273, long, uint32(strips), startsAt},
		{274, short, 1, 1}, // from the top left
		{277, short, 1, 1}, // samples
		{278, short, 1, uint32(rows)}, {279, sizesKind, uint32(strips), sizesAt},
		{282, rational, 1, uint32(resolution)}, {283, rational, 1, uint32(resolution + 8)},
		{284, short, 1, 1}, // samples of a pixel beside each other
		{296, short, 1, 2}, // an inch
	} {
		b = le.AppendUint32(le.AppendUint32(le.AppendUint16(le.AppendUint16(b, f.tag), f.kind), f.count), f.value)
	}
	b = le.AppendUint32(b, 0) // no other directory
	for range 2 {
		b = le.AppendUint32(le.AppendUint32(b, uint32(dpi)), 1)
	}
	return append(b, outside...)
}
