package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"io"
	"slices"

	"sekisho/sanitize"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// bestBelow is how many pixels are compressed well. Above it time counts: at
// level 1 a photograph of 12 million pixels takes a second or two, at level 6 seven.
const bestBelow = 4e6

// codesBelow is how many pixels of a JPEG are gone through twice, for codes of
// their own.
const codesBelow = 16e6

// Sanitize implements sanitize.Sanitizer.
func (PNG) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	p, err := walkPNG(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	if err := s.SpendPixels(p.width, p.height); err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(int64(p.width)*int64(p.height), p.bytesPerPixel()); err != nil {
		return sanitize.Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	if p.orientation > 1 {
		// Only pixels can be laid otherwise, not rows; and both are held.
		if err := affordable(int64(p.width)*int64(p.height), 2*p.bytesPerPixel()); err != nil {
			return sanitize.Result{}, err
		}
	}
	p.profile = p.profile.fits(p.channels())
	switch done, err := p.byRows(s, in, out); {
	case err != nil:
		return sanitize.Result{}, fmt.Errorf("write PNG: %w", err)
	case done:
		return clean(sanitize.KindPNG), nil
	}
	m, err := png.Decode(io.MultiReader(p.pieces...))
	if err != nil {
		return sanitize.Result{}, malformed("decode PNG", err)
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	s.Look(m)
	m = p.shallow(m) // before its greys become others
	converted(s, p.profile, m)
	p.told(s, in)
	if err := writePNG(out, laid(s, m, p.orientation), p.density); err != nil {
		return sanitize.Result{}, err
	}
	return clean(sanitize.KindPNG), nil
}

// chunks is what the walk over a PNG file found.
type chunks struct {
	width, height int
	depth, colour byte
	interlaced    bool
	alpha         bool        // a tRNS chunk
	pieces        []io.Reader // the chunks that hold pixels
	plte, trns    section
	idat          []section
	odd           bool   // their order or their methods are not as they should be
	last          string // the last of them
	density       []byte // the content of pHYs
	profile       *profile
	orientation   int
	dropped       []string
	animated      bool
	dark          *image.Gray // the picture on black paper, for the look
	through       bool        // whether something shines through
	end           int64
}

// maxChunks bounds the walk. Encoders write IDAT chunks of 8 KiB, of which a
// message of 20 MiB holds 2,560; one of 1 octet each is a bomb for readers.
const maxChunks = 100_000

// exifBytes is as much of an Exif block as is looked at: as much as a segment of
// a JPEG holds.
const exifBytes = 64 << 10

// walkPNG reads the chunk headers and keeps those that the pixels need. What
// is not kept is not read: no library sees it.
func walkPNG(in sanitize.Object) (*chunks, error) {
	var h [33]byte
	if _, err := in.ReadAt(h[:], 0); err != nil || string(h[:8]) != pngMagic || string(h[8:16]) != "\x00\x00\x00\x0dIHDR" {
		return nil, fmt.Errorf("PNG without a header: %w", sanitize.ErrMalformed)
	}
	w, ht := binary.BigEndian.Uint32(h[16:]), binary.BigEndian.Uint32(h[20:])
	if w > 1<<31-1 || ht > 1<<31-1 { // PNG 11.2.2
		return nil, fmt.Errorf("PNG of %d x %d: %w", w, ht, sanitize.ErrMalformed)
	}
	p := &chunks{width: int(w), height: int(ht), depth: h[24], colour: h[25], interlaced: h[28] != 0, odd: h[26] != 0 || h[27] != 0 || crc32.ChecksumIEEE(h[12:29]) != binary.BigEndian.Uint32(h[29:])}
	p.pieces = append(p.pieces, bytes.NewReader(h[:]))
	// Neighbouring chunks that stay are read in one piece.
	from, to := int64(0), int64(0)
	flush := func() {
		if to > from {
			p.pieces = append(p.pieces, io.NewSectionReader(in, from, to-from))
		}
		from, to = 0, 0
	}
	at := int64(len(h))
	for range maxChunks {
		var c [8]byte
		if _, err := in.ReadAt(c[:], at); err != nil {
			return nil, fmt.Errorf("PNG cut short at octet %d: %w", at, sanitize.ErrMalformed)
		}
		size := int64(binary.BigEndian.Uint32(c[:]))
		next := at + 12 + size
		if next > in.Size {
			return nil, fmt.Errorf("PNG chunk of %d octets: %w", size, sanitize.ErrMalformed)
		}
		name := string(c[4:])
		switch name {
		case "PLTE", "tRNS", "IDAT", "IEND":
			p.place(name, section{at + 8, size})
			if to != at {
				flush()
				from = at
			}
			to = next
		case "acTL":
			p.animated = true
		case "fcTL", "fdAT":
		case "pHYs":
			b := make([]byte, 9)
			if n, err := in.ReadAt(b, at+8); size == 9 && n == 9 && (err == nil || err == io.EOF) && b[8] <= 1 {
				p.density = b
			}
		case "iCCP":
			if size <= profileBytes && p.profile == nil {
				b := make([]byte, size)
				if n, err := in.ReadAt(b, at+8); int64(n) == size && (err == nil || err == io.EOF) {
					p.profile = readProfile(inflateProfile(b))
				}
			}
			p.drop("colour profile")
		case "eXIf": // PNG 11.3.4.6: Exif as it stands in a JPEG, without its name
			b := make([]byte, min(size, exifBytes))
			if n, err := in.ReadAt(b, at+8); n == len(b) && (err == nil || err == io.EOF) && p.orientation == 0 {
				p.orientation = turnIn(b).value
			}
			p.drop(chunkNames[name])
		case "gAMA", "cHRM", "sRGB", "sBIT", "bKGD", "hIST", "tIME":
			// How to show the pixels, in words that hide nothing.
		default:
			if c[4]&0x20 == 0 { // PNG 5.4: a critical chunk nobody knows
				return nil, fmt.Errorf("PNG chunk %q: %w", name, sanitize.ErrMalformed)
			}
			p.drop(chunkNames[name])
		}
		at = next
		if name == "IEND" {
			flush()
			p.end = at
			return p, nil
		}
	}
	return nil, fmt.Errorf("PNG of more than %d chunks: %w", maxChunks, sanitize.ErrLimit)
}

// place notes where the chunks lie that the pixels need, and whether they stand
// in their order (PNG 5.6).
func (p *chunks) place(name string, s section) {
	switch name {
	case "PLTE":
		p.odd = p.odd || p.plte.at != 0 || p.last != ""
		p.plte = s
	case "tRNS":
		p.odd = p.odd || p.alpha || p.last == "IDAT" || p.colour == 4 || p.colour == 6
		p.alpha, p.trns = true, s
	case "IDAT":
		p.idat = append(p.idat, s)
	}
	p.last = name
}

var chunkNames = map[string]string{"tEXt": "text", "zTXt": "text", "iTXt": "text", "eXIf": "Exif", "sPLT": "palettes"}

// drop notes what is not kept, each thing once.
func (p *chunks) drop(what string) {
	if what == "" {
		what = "chunks without a known use"
	}
	if !slices.Contains(p.dropped, what) {
		p.dropped = append(p.dropped, what)
	}
}

// channels is how many a profile has to be for.
func (p *chunks) channels() int {
	if p.colour&2 == 0 { // PNG 11.2.2: two is colour
		return 1
	}
	return 3
}

func (p *chunks) bytesPerPixel() float64 {
	n := 4.0
	switch {
	case p.depth == 16 && p.colour != 0:
		n = 8
	case p.depth == 16:
		n = 2
	case p.colour == 0 || p.colour == 3:
		n = 1
	}
	if p.alpha && p.colour == 0 {
		n *= 4
	}
	if p.interlaced {
		n *= 1.5 // the last pass is half the picture, and held beside it
	}
	return n
}

// shallow gives grey pictures of 1, 2 and 4 bits back their depth. The decoder
// spreads them over 8 bits, and a scanned page would come out twice as large;
// the encoder writes few bits for small palettes only.
func (p *chunks) shallow(m image.Image) image.Image {
	g, ok := m.(*image.Gray)
	if !ok || p.depth >= 8 || p.colour != 0 {
		return m
	}
	levels := 1 << p.depth
	step := 255 / (levels - 1)
	palette := make(color.Palette, levels)
	for i := range palette {
		palette[i] = color.Gray{Y: uint8(i * step)}
	}
	for i, v := range g.Pix {
		g.Pix[i] = v / uint8(step)
	}
	return &image.Paletted{Pix: g.Pix, Stride: g.Stride, Rect: g.Rect, Palette: palette}
}

// writePNG encodes m and puts its density, if there is one, behind the header. It
// is then written by its rows, so that treating it again changes no octet.
func writePNG(out io.Writer, m image.Image, density []byte) error {
	if few, ok := m.(*image.Paletted); ok {
		used := new([256]bool)
		usedOf(few, used)
		palette := slices.Clone(few.Palette)
		onlyUsed(palette, used)
		m = &image.Paletted{Pix: few.Pix, Stride: few.Stride, Rect: few.Rect, Palette: palette}
	}
	var b spilling
	b.out = out
	if err := encodedPNG(&b, m, density); err != nil || b.spilt {
		return err
	}
	file := b.held
	in := sanitize.Object{ReaderAt: bytes.NewReader(file), Size: int64(len(file))}
	if p, err := walkPNG(in); err == nil {
		if again, _, err := p.rows(in, false); err == nil {
			file = again
		}
	}
	_, err := out.Write(file)
	return err
}

// usedOf notes the colours that some pixel has.
func usedOf(m *image.Paletted, used *[256]bool) {
	for y := range m.Rect.Dy() {
		for _, v := range m.Pix[y*m.Stride:][:m.Rect.Dx()] {
			used[v] = true
		}
	}
}

// onlyUsed blackens the colours of a palette that no pixel has: they could be
// anything, words too. What covers nothing stays so.
func onlyUsed(p color.Palette, used *[256]bool) {
	for i, c := range p {
		if _, _, _, a := c.RGBA(); a == 0 {
			p[i] = color.RGBA{}
		} else if i > 255 || !used[i] {
			p[i] = color.RGBA{A: 255}
		}
	}
}

// spilling holds what is written to it, and passes it on once it is more than is
// written by its rows.
type spilling struct {
	out   io.Writer
	held  []byte
	spilt bool
}

func (s *spilling) Write(b []byte) (int, error) {
	if !s.spilt && len(s.held)+len(b) <= maxPacked {
		s.held = append(s.held, b...)
		return len(b), nil
	}
	if !s.spilt {
		s.spilt = true
		if _, err := s.out.Write(s.held); err != nil {
			return 0, err
		}
		s.held = nil
	}
	return s.out.Write(b)
}

func encodedPNG(out io.Writer, m image.Image, density []byte) error {
	b := m.Bounds()
	e := png.Encoder{CompressionLevel: png.DefaultCompression}
	if int64(b.Dx())*int64(b.Dy()) > bestBelow {
		e.CompressionLevel = png.BestSpeed
	}
	w := out
	if density != nil {
		w = &inserter{w: out, after: 33, what: chunk("pHYs", density)}
	}
	if err := e.Encode(w, m); err != nil {
		return fmt.Errorf("encode PNG: %w", err)
	}
	return nil
}

func chunk(name string, content []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	b = append(append(b, name...), content...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// inserter puts something into a stream after a number of octets.
type inserter struct {
	w     io.Writer
	after int
	what  []byte
}

func (i *inserter) Write(p []byte) (int, error) {
	if i.what == nil {
		return i.w.Write(p)
	}
	if len(p) < i.after {
		i.after -= len(p)
		return i.w.Write(p)
	}
	n, err := i.w.Write(p[:i.after])
	if err != nil {
		return n, err
	}
	if _, err := i.w.Write(i.what); err != nil {
		return n, err
	}
	i.what = nil
	m, err := i.w.Write(p[n:])
	return n + m, err
}
