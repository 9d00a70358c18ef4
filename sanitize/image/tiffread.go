package image

import (
	"fmt"

	"sekisho/sanitize"
)

// Tags of TIFF 6.0 that only the reader needs.
const (
	tagFillOrder     = 266
	tagT4Options     = 292
	tagPredictor     = 317
	tagColorMap      = 320
	tagTileWidth     = 322
	tagTileLength    = 323
	tagTileOffsets   = 324
	tagTileCounts    = 325
	tagSampleFormat  = 339
	tagJPEGTables    = 347
	tagYCbCrSampling = 530
	tagICC           = 34675
)

// Photometric interpretations of TIFF 6.0.
const (
	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffPalette     = 3
	tiffCMYK        = 5
	tiffYCbCr       = 6
	tiffLab         = 8
)

// tiffPage reads one page: all that scanners, faxes and programs write but for
// floating point and the JPEG of before 1995. Where its pixels lie is
// read here, tiffpieces.go unpacks them and tiffpixels.go makes a picture.
type tiffPage struct {
	in    sanitize.Object
	order tiffOrder
	tags  map[uint16]tiffEntry

	width, height, samples, bits int
	photometric, compression     int
	planar                       bool // each sample in a plane of its own
	pieceWidth, pieceHeight      int  // of a strip or a tile
	offsets, counts              []int64
	cover                        bool // the sample behind the colours is how it covers
	shallow                      bool // there is no room for sixteen bits
	scanned                      int64
	profile                      *profile
}

type tiffEntry struct {
	tag, typ uint16
	count    int64
	raw      []byte // the four octets of the entry, of BigTIFF eight
}

// maxPieces bounds the strips and tiles of a page. A page of 100 million pixels
// in tiles of 128 by 128 has 6,100, in strips of one row 10,000.
const maxPieces = 200_000

func (p *tiffPage) bad(format string, a ...any) error {
	return malformed("read tiff", fmt.Errorf(format, a...))
}

func (p *tiffPage) no(format string, a ...any) error {
	return fmt.Errorf("TIFF with %s: %w", fmt.Sprintf(format, a...), sanitize.ErrUnsupported)
}

// readTIFF reads the directory at octet at.
func readTIFF(in sanitize.Object, order tiffOrder, at int64) (*tiffPage, error) {
	p := &tiffPage{in: in, order: order, tags: map[uint16]tiffEntry{}}
	entries, _, err := order.directory(in, at)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		p.tags[e.tag] = e
	}
	return p, p.layout()
}

// tiffSizes are the octets of a value of each type that is read. 16 and 18 are
// of BigTIFF.
var tiffSizes = map[uint16]int64{1: 1, 2: 1, 3: 2, 4: 4, 6: 1, 7: 1, 16: 8, 18: 8}

// octets reads the value of a tag, at most so many octets.
func (p *tiffPage) octets(tag uint16, most int64) ([]byte, error) {
	e, ok := p.tags[tag]
	if !ok {
		return nil, nil
	}
	each := tiffSizes[e.typ]
	if each == 0 || each == 8 && !p.order.big || e.count > p.in.Size || each*e.count > min(most, p.in.Size) {
		return nil, p.bad("tag %d of type %d with %d values", tag, e.typ, e.count)
	}
	size := each * e.count
	if size <= int64(len(e.raw)) {
		return e.raw[:size], nil
	}
	b := make([]byte, size)
	if m, _ := p.in.ReadAt(b, p.order.place(e.raw)); m < len(b) {
		return nil, p.bad("tag %d outside of the file", tag)
	}
	return b, nil
}

// numbers reads the values of a tag; without it those given.
func (p *tiffPage) numbers(tag uint16, most int64, usual ...int64) ([]int64, error) {
	each := tiffSizes[p.tags[tag].typ]
	b, err := p.octets(tag, max(4, each)*most)
	if err != nil || len(b) == 0 {
		return usual, err
	}
	var v []int64
	for ; len(b) > 0; b = b[each:] {
		switch each {
		case 1:
			v = append(v, int64(b[0]))
		case 2:
			v = append(v, int64(p.order.Uint16(b)))
		case 4:
			v = append(v, int64(p.order.Uint32(b)))
		default:
			v = append(v, p.order.place(b))
		}
	}
	return v, nil
}

// layout reads how the pixels lie.
func (p *tiffPage) layout() error {
	one := func(tag uint16, usual int64) int64 {
		v, err := p.numbers(tag, 64, usual)
		if err != nil || len(v) == 0 {
			return -1
		}
		return v[0]
	}
	w, h := one(tagWidth, 0), one(tagLength, 0)
	if w < 1 || h < 1 || w > 1<<30 || h > 1<<30 {
		return p.bad("%d x %d pixels", w, h)
	}
	p.width, p.height = int(w), int(h)
	p.samples, p.compression = int(one(tagSamplesPerPixel, 1)), int(one(tagCompression, 1))
	usual := int64(tiffWhiteIsZero)
	if p.samples >= 3 {
		usual = tiffRGB
	}
	p.photometric, p.planar = int(one(tagPhotometric, usual)), one(tagPlanar, 1) == 2
	depths, err := p.numbers(tagBitsPerSample, 64, 1)
	if err != nil {
		return err
	}
	formats, err := p.numbers(tagSampleFormat, 64, 1)
	if err != nil {
		return err
	}
	p.bits = int(depths[0])
	for _, d := range depths {
		if int(d) != p.bits {
			return p.no("samples of different sizes")
		}
	}
	for _, f := range formats {
		if f != 1 && f != 4 {
			return p.no("samples that are no plain numbers")
		}
	}
	colours := map[int]int{tiffWhiteIsZero: 1, tiffBlackIsZero: 1, tiffRGB: 3, tiffPalette: 1, tiffCMYK: 4, tiffYCbCr: 3, tiffLab: 3}[p.photometric]
	switch {
	case colours == 0:
		return p.no("colour model %d", p.photometric)
	case p.samples < colours || p.samples > 16:
		return p.bad("%d samples", p.samples)
	case p.bits != 8 && p.bits != 16 && (p.bits != 1 && p.bits != 2 && p.bits != 4 || colours > 1 || p.samples > 1):
		return p.no("samples of %d bits", p.bits)
	case p.photometric == tiffPalette && p.bits > 8, p.bits > 8 && (p.photometric == tiffYCbCr || p.photometric == tiffLab):
		return p.no("samples of %d bits", p.bits)
	}
	extra, err := p.numbers(tagExtraSamples, 64)
	if err != nil {
		return err
	}
	p.cover = len(extra) > 0 && (extra[0] == 1 || extra[0] == 2) && p.samples > colours && (p.photometric == tiffRGB || colours == 1)
	if b, err := p.octets(tagICC, inkBytes); err == nil && len(b) > 0 && p.photometric != tiffLab {
		channels := colours
		if p.photometric == tiffPalette {
			channels = 3
		}
		p.profile = readProfile(b).fits(channels)
	}
	return p.pieces()
}

// pieces reads where strips or tiles lie.
func (p *tiffPage) pieces() error {
	at, count := uint16(tagStripOffsets), uint16(tagStripByteCounts)
	w, h := int64(p.width), int64(p.height)
	if _, tiled := p.tags[tagTileOffsets]; tiled {
		at, count = tagTileOffsets, tagTileCounts
		tw, err := p.numbers(tagTileWidth, 1, 0)
		if err != nil {
			return err
		}
		th, err := p.numbers(tagTileLength, 1, 0)
		if err != nil {
			return err
		}
		w, h = tw[0], th[0]
	} else {
		rows, err := p.numbers(tagRowsPerStrip, 1, h)
		if err != nil {
			return err
		}
		h = min(rows[0], h)
	}
	if w < 1 || h < 1 || w > 1<<16 && w > int64(p.width) || h > 1<<16 && h > int64(p.height) {
		return p.bad("pieces of %d x %d", w, h)
	}
	p.pieceWidth, p.pieceHeight = int(w), int(h)
	var err error
	if p.offsets, err = p.numbers(at, maxPieces); err != nil {
		return err
	}
	if p.counts, err = p.numbers(count, maxPieces); err != nil {
		return err
	}
	if len(p.offsets) == 1 && len(p.counts) == 0 {
		p.counts = []int64{p.in.Size - p.offsets[0]} // QUIRK: left out by old writers
	}
	need := p.across() * p.down()
	if p.planar {
		need *= int64(p.samples)
	}
	if int64(len(p.offsets)) < need || int64(len(p.counts)) < need {
		return p.bad("%d pieces of %d", min(len(p.offsets), len(p.counts)), need)
	}
	return nil
}

func (p *tiffPage) across() int64 {
	return (int64(p.width) + int64(p.pieceWidth) - 1) / int64(p.pieceWidth)
}

func (p *tiffPage) down() int64 {
	return (int64(p.height) + int64(p.pieceHeight) - 1) / int64(p.pieceHeight)
}

// bytesPerPixel is what decoding holds: the picture and, of one piece, samples.
func (p *tiffPage) bytesPerPixel() float64 {
	piece := float64(p.samples*p.bits) / 8 * float64(p.pieceWidth) * float64(p.pieceHeight) / (float64(p.width) * float64(p.height))
	picture := 4.0
	if p.grey() {
		picture = 1
	}
	if p.sixteen() {
		picture *= 2
	}
	return picture + 2*piece
}

// grey reports whether the page has one sample and nothing shines through.
func (p *tiffPage) grey() bool { return p.photometric <= tiffBlackIsZero && !p.cover }
