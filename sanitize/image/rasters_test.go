package image

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/draw"
	"math/rand/v2"
	"testing"

	"golang.org/x/image/tiff"

	"sekisho/sanitize"
)

// octets is an order of them.
type octets interface {
	binary.ByteOrder
	binary.AppendByteOrder
}

// tiffOf writes a page of these tags, each a list of SHORT or LONG, with pieces
// behind it, and turns it into the order of octets asked for.
func tiffOf(order octets, tags map[uint16][]int, pieces ...[]byte) []byte {
	head := "II*\x00"
	if order.String() == "BigEndian" {
		head = "MM\x00*"
	}
	at := 8 + 2 + 12*(len(tags)+2) + 4
	var values []byte
	entry := func(tag, typ uint16, v []int) []byte {
		each := map[uint16]int{3: 2, 4: 4, 7: 1}[typ]
		e := order.AppendUint16(order.AppendUint16(nil, tag), typ)
		e = order.AppendUint32(e, uint32(len(v)))
		var b []byte
		for _, x := range v {
			switch each {
			case 1:
				b = append(b, byte(x))
			case 2:
				b = order.AppendUint16(b, uint16(x))
			default:
				b = order.AppendUint32(b, uint32(x))
			}
		}
		if len(b) <= 4 {
			return append(e, append(b, make([]byte, 4-len(b))...)...)
		}
		e = order.AppendUint32(e, uint32(at+len(values)))
		values = append(values, b...)
		return e
	}
	var dir []byte
	for tag := range uint16(0xffff) {
		if v, ok := tags[tag]; ok {
			typ := uint16(3)
			if tag == tagJPEGTables {
				typ = 7
			}
			dir = append(dir, entry(tag, typ, v)...)
		}
	}
	offsets, counts := uint16(tagStripOffsets), uint16(tagStripByteCounts)
	if _, tiled := tags[tagTileWidth]; tiled {
		offsets, counts = tagTileOffsets, tagTileCounts
	}
	var from, size []int
	for range pieces {
		from, size = append(from, 0), append(size, 0)
	}
	room := len(values)
	if len(pieces) > 1 {
		room += 8 * len(pieces)
	}
	next := at + room
	for i, p := range pieces {
		from[i], size[i] = next, len(p)
		next += len(p)
	}
	dir = append(append(dir, entry(offsets, 4, from)...), entry(counts, 4, size)...)
	b := order.AppendUint32([]byte(head), 8)
	b = append(order.AppendUint16(b, uint16(len(tags)+2)), dir...)
	b = append(order.AppendUint32(b, 0), values...)
	return append(b, bytes.Join(pieces, nil)...)
}

// big writes a TIFF of one page as BigTIFF, with the old file behind the new
// directory.
func big(order octets, b []byte) []byte {
	n := int(order.Uint16(b[8:]))
	shift := 16 + 8 + 20*n + 8
	var dir, values []byte
	for e := b[10:]; n > 0; e, n = e[12:], n-1 {
		tag, typ, count := order.Uint16(e), order.Uint16(e[2:]), int(order.Uint32(e[4:]))
		v := e[8:12]
		if size := count * map[uint16]int{3: 2, 4: 4, 7: 1}[typ]; size > 4 {
			v = b[order.Uint32(e[8:]):][:size]
		} else {
			v = v[:size]
		}
		if tag == tagStripOffsets || tag == tagTileOffsets {
			var wide []byte
			for ; len(v) > 0; v = v[4:] {
				wide = order.AppendUint64(wide, uint64(shift)+uint64(order.Uint32(v)))
			}
			typ, v = 16, wide
		}
		dir = order.AppendUint64(order.AppendUint16(order.AppendUint16(dir, tag), typ), uint64(count))
		if len(v) <= 8 {
			dir = append(dir, append(bytes.Clone(v), make([]byte, 8-len(v))...)...)
			continue
		}
		dir = order.AppendUint64(dir, uint64(shift+len(b)+len(values)))
		values = append(values, v...)
	}
	head := append(order.AppendUint16(order.AppendUint16(bytes.Clone(b[:2]), 43), 8), 0, 0)
	head = order.AppendUint64(order.AppendUint64(head, 16), uint64(len(dir)/20))
	return bytes.Join([][]byte{head, dir, make([]byte, 8), b, values}, nil)
}

func TestTIFFOfEveryKindLooksTheSame(t *testing.T) {
	red, green, blue, white, black := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}, color.NRGBA{0, 0, 0, 255}
	tags := func(w, h, bits, samples, photometric, packing int, more ...int) map[uint16][]int {
		m := map[uint16][]int{tagWidth: {w}, tagLength: {h}, tagCompression: {packing}, tagPhotometric: {photometric}, tagSamplesPerPixel: {samples}, tagRowsPerStrip: {h}}
		for range samples {
			m[tagBitsPerSample] = append(m[tagBitsPerSample], bits)
		}
		for ; len(more) > 0; more = more[2:] {
			m[uint16(more[0])] = append(m[uint16(more[0])], more[1])
		}
		return m
	}
	// Group 4: a row that is white, then the end of the block.
	fax := []byte{0x80, 0x01, 0x00, 0x10}
	one := image.NewNRGBA(image.Rect(0, 0, 16, 16))
	draw.Draw(one, one.Rect, image.NewUniform(color.NRGBA{200, 30, 60, 255}), image.Point{}, draw.Src)
	photo := encodeJPEG(one, 90)
	for name, c := range map[string]struct {
		tags   map[uint16][]int
		pieces [][]byte
		want   []color.NRGBA
	}{
		"a white fax, white is zero":      {tags(8, 1, 1, 1, tiffWhiteIsZero, 4), [][]byte{fax}, []color.NRGBA{white, white}},
		"a white fax, displayed reversed": {tags(8, 1, 1, 1, tiffBlackIsZero, 4), [][]byte{fax}, []color.NRGBA{black, black}},
		"a palette of four bits":          {tags(2, 1, 4, 1, tiffPalette, 1, more16()...), [][]byte{{0x12}}, []color.NRGBA{red, green}},
		"a palette of one bit":            {tags(2, 1, 1, 1, tiffPalette, 1, tagColorMap, 0, tagColorMap, 65535, tagColorMap, 0, tagColorMap, 0, tagColorMap, 0, tagColorMap, 0), [][]byte{{0x40}}, []color.NRGBA{black, red}},
		"a palette with a cover":          {tags(1, 1, 8, 2, tiffPalette, 1, append(more256(), tagExtraSamples, 2)...), [][]byte{{1, 255}}, []color.NRGBA{red}},
		"bits from below":                 {tags(2, 1, 4, 1, tiffBlackIsZero, 1, tagFillOrder, 2), [][]byte{{0x0f}}, []color.NRGBA{white, black}},
		"a fax of one dimension":          {tags(8, 2, 1, 1, tiffWhiteIsZero, 2), [][]byte{{0x98, 0x35, 0x14}}, []color.NRGBA{white}},
		"a fax of two dimensions":         {tags(8, 2, 1, 1, tiffWhiteIsZero, 3, tagT4Options, 1), [][]byte{{0x00, 0x1c, 0xc0, 0x05}}, []color.NRGBA{white}},
		"a fax that breaks off":           {tags(8, 3, 1, 1, tiffWhiteIsZero, 4), [][]byte{{0x80}}, []color.NRGBA{white}},
		"four bits":                       {tags(2, 1, 4, 1, tiffBlackIsZero, 1), [][]byte{{0xf0}}, []color.NRGBA{white, black}},
		"planes":                          {tags(2, 1, 8, 3, tiffRGB, 1, tagPlanar, 2), [][]byte{{255, 0}, {0, 255}, {0, 0}}, []color.NRGBA{red, green}},
		"inks":                            {tags(2, 1, 8, 4, tiffCMYK, 1), [][]byte{{0, 255, 255, 0, 255, 255, 0, 0}}, []color.NRGBA{red, blue}},
		"luminance":                       {tags(2, 1, 8, 3, tiffYCbCr, 1, tagYCbCrSampling, 1, tagYCbCrSampling, 1), [][]byte{{255, 128, 128, 0, 128, 128}}, []color.NRGBA{white, black}},
		"shared chroma":                   {tags(2, 1, 8, 3, tiffYCbCr, 1, tagYCbCrSampling, 2, tagYCbCrSampling, 1), [][]byte{{255, 0, 128, 128}}, []color.NRGBA{white, black}},
		"runs":                            {tags(4, 1, 8, 1, tiffBlackIsZero, 32773), [][]byte{{0xff, 255, 1, 0, 0}}, []color.NRGBA{white, white, black, black}},
		"sixteen bits":                    {tags(1, 1, 16, 3, tiffRGB, 1), [][]byte{{255, 255, 0, 0, 0, 0}}, []color.NRGBA{red}},
		"differences":                     {tags(2, 1, 8, 3, tiffRGB, 1, tagPredictor, 2), [][]byte{{255, 0, 0, 1, 255, 0}}, []color.NRGBA{red, green}},
		"tiles":                           {tags(3, 1, 8, 1, tiffBlackIsZero, 1, tagTileWidth, 2, tagTileLength, 1), [][]byte{{255, 0}, {255, 7}}, []color.NRGBA{white, black, white}},
		"a JPEG":                          {tags(16, 16, 8, 3, tiffYCbCr, 7), [][]byte{photo}, []color.NRGBA{{200, 30, 60, 255}}},
	} {
		for _, order := range []octets{binary.LittleEndian, binary.BigEndian} {
			if name == "sixteen bits" && order.String() == "LittleEndian" {
				continue // the same either way
			}
			in := tiffOf(order, c.tags, c.pieces...)
			for _, path := range []string{"2", "2.1/word/media/image1.tif"} {
				out, _, err := run(t, sanitize.KindTIFF, path, in)
				if large, _, err := run(t, sanitize.KindTIFF, path, big(order, in)); err != nil || !bytes.Equal(large, out) {
					t.Errorf("%s, %v at %s: BigTIFF looks otherwise: %v", name, order, path, err)
				}
				if err != nil {
					t.Errorf("%s, %v at %s: %v", name, order, path, err)
					continue
				}
				var m image.Image
				if path == "2" {
					o := sanitize.Object{ReaderAt: bytes.NewReader(out), Size: int64(len(out))}
					written, sheets, err := walkTIFF(o)
					if err != nil {
						t.Fatal(err)
					}
					p, err := readTIFF(o, written, sheets[0].at)
					if err != nil {
						t.Fatal(err)
					}
					if m, err = p.decode(); err != nil {
						t.Fatal(err)
					}
					if again, _, err := run(t, sanitize.KindTIFF, path, out); err != nil || !bytes.Equal(again, out) {
						t.Errorf("%s: a second pass changes it: %v", name, err)
					}
				} else {
					m = decodeAs(t, out)
				}
				for x, want := range c.want {
					got := color.NRGBAModel.Convert(m.At(x, 0)).(color.NRGBA)
					if distance(got.R, want.R) > 6 || distance(got.G, want.G) > 6 || distance(got.B, want.B) > 6 {
						t.Errorf("%s, %v at %s: pixel %d is %v, want %v", name, order, path, x, got, want)
					}
				}
			}
		}
	}
	for name, b := range map[string][]byte{
		"pieces that lie nowhere": tiffOf(binary.LittleEndian, tags(9, 9, 8, 1, 1, 1), []byte{1}),
		"too few pieces":          tiffOf(binary.LittleEndian, tags(2, 2, 8, 3, 2, 1, tagPlanar, 2), []byte{1, 2, 3, 4}),
		"tiles of nothing":        tiffOf(binary.LittleEndian, tags(2, 2, 8, 1, 1, 1, tagTileWidth, 0, tagTileLength, 0), []byte{1, 2, 3, 4}),
		"a JPEG of another size":  tiffOf(binary.LittleEndian, tags(400, 400, 8, 3, tiffYCbCr, 7), photo),
		"no JPEG":                 tiffOf(binary.LittleEndian, tags(4, 4, 8, 3, tiffYCbCr, 7), []byte("GIF89a")),
	} {
		if _, _, err := run(t, sanitize.KindTIFF, "2", b); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// more16 is a palette of sixteen colours of which the second is red and the third
// green, as tags.
func more16() []int { return paletteTags(16) }

// more256 is more16 with room for 256.
func more256() []int { return paletteTags(256) }

func paletteTags(n int) []int {
	var v []int
	for i := range 3 * n {
		x := 0
		if i == 1 || i == n+2 {
			x = 65535
		}
		v = append(v, tagColorMap, x)
	}
	return v
}

func TestTIFFKeepsSixteenBits(t *testing.T) {
	tags := func(samples, photometric int, extra ...int) map[uint16][]int {
		m := map[uint16][]int{tagWidth: {2}, tagLength: {1}, tagCompression: {1}, tagPhotometric: {photometric}, tagSamplesPerPixel: {samples}, tagRowsPerStrip: {1}}
		for range samples {
			m[tagBitsPerSample] = append(m[tagBitsPerSample], 16)
		}
		if len(extra) > 0 {
			m[tagExtraSamples] = extra
		}
		return m
	}
	for name, c := range map[string]struct {
		tags map[uint16][]int
		row  []byte
		want []color.NRGBA64
	}{
		"grey":          {tags(1, tiffBlackIsZero), []byte{0x12, 0x34, 0xab, 0xcd}, []color.NRGBA64{{0x1234, 0x1234, 0x1234, 0xffff}, {0xabcd, 0xabcd, 0xabcd, 0xffff}}},
		"white is zero": {tags(1, tiffWhiteIsZero), []byte{0x12, 0x34, 0xab, 0xcd}, []color.NRGBA64{{0xedcb, 0xedcb, 0xedcb, 0xffff}, {0x5432, 0x5432, 0x5432, 0xffff}}},
		"colours":       {tags(3, tiffRGB), []byte{1, 2, 3, 4, 5, 6, 0xff, 1, 0xfe, 2, 0xfd, 3}, []color.NRGBA64{{0x0102, 0x0304, 0x0506, 0xffff}, {0xff01, 0xfe02, 0xfd03, 0xffff}}},
		"with a cover":  {tags(4, tiffRGB, 2), []byte{1, 2, 3, 4, 5, 6, 0x80, 0, 0xff, 1, 0xfe, 2, 0xfd, 3, 0xff, 0xff}, []color.NRGBA64{{0x0102, 0x0304, 0x0506, 0x8000}, {0xff01, 0xfe02, 0xfd03, 0xffff}}},
	} {
		for _, path := range []string{"2", "2.1/word/media/image1.tif"} {
			out, _, err := run(t, sanitize.KindTIFF, path, tiffOf(binary.BigEndian, c.tags, c.row))
			if err != nil {
				t.Errorf("%s at %s: %v", name, path, err)
				continue
			}
			// The standard library's decoders are the judge.
			m := decodeAs(t, out)
			for x, want := range c.want {
				if got := color.NRGBA64Model.Convert(m.At(x, 0)).(color.NRGBA64); got != want {
					t.Errorf("%s at %s: pixel %d is %04x, want %04x", name, path, x, got, want)
				}
			}
		}
	}
}

func TestAFaxStaysOne(t *testing.T) {
	// A page of letters: short runs in a white page.
	m := image.NewGray(image.Rect(0, 0, 1728, 600))
	for i := range m.Pix {
		m.Pix[i] = 255
	}
	// Strokes are slanted and round, each a little otherwise.
	r := rand.New(rand.NewPCG(3, 4))
	for range 900 {
		cx, cy, rad := 100+r.IntN(1500), 40+r.IntN(500), 3+r.IntN(9)
		for y := -rad; y <= rad; y++ {
			for x := -rad; x <= rad; x++ {
				if d := x*x + y*y; d <= rad*rad && d >= (rad-3)*(rad-3) {
					m.Pix[(cy+y)*m.Stride+cx+x] = 0
				}
			}
		}
	}
	p, err := packTIFF(m)
	if err != nil || p.compression != 4 {
		t.Fatalf("packing %d, %v", p.compression, err)
	}
	var b bytes.Buffer
	w := &tiffWriter{w: &b}
	w.put([]byte("II*\x00\x08\x00\x00\x00"))
	if err := w.page(m, nil, sheet{orientation: 1, unit: [2]uint32{2, 0}}, true); err != nil {
		t.Fatal(err)
	}
	d, err := tiff.Decode(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	for y := range 600 {
		for x := range 1728 {
			if v, _, _, _ := d.At(x, y).RGBA(); uint8(v>>8) != m.GrayAt(x, y).Y {
				t.Fatalf("pixel %d,%d is %d", x, y, v>>8)
			}
		}
	}
	out, _, err := run(t, sanitize.KindTIFF, "2", b.Bytes())
	if err != nil || !bytes.Equal(out, b.Bytes()) {
		t.Errorf("a second pass makes %d octets of %d: %v", len(out), b.Len(), err)
	}
}

// redInInks is a JPEG of 8 by 8 pixels in which cyan and black are 0 and magenta
// and yellow 255, as scanners put it into a TIFF: nothing says what its four
// numbers are.
func redInInks(mark string) []byte {
	table := bytes.Repeat([]byte{8}, 64)
	return bytes.Join([][]byte{
		[]byte("\xff\xd8" + mark + "\xff\xdb\x00\x43\x00"), table,
		[]byte("\xff\xc0\x00\x14\x08\x00\x08\x00\x08\x04\x01\x11\x00\x02\x11\x00\x03\x11\x00\x04\x11\x00"),
		[]byte("\xff\xc4\x00\x15\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x07\x08"),
		[]byte("\xff\xc4\x00\x14\x10\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		[]byte("\xff\xda\x00\x0e\x04\x01\x00\x02\x00\x03\x00\x04\x00\x00\x3f\x00"),
		{0b01_011111, 0b11_0_00_111, 0b1111_0_00_1, 0b111111_0_0, 0b1_0111111, 0b1_0_111111},
		[]byte("\xff\xd9"),
	}, nil)
}

// What a mark in the JPEG says of its colours counts for nothing, as in libtiff.
func TestInksInAJPEGInATIFFAreInks(t *testing.T) {
	for name, mark := range map[string]string{"no mark": "", "a mark of Adobe": "\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x02"} {
		in := tiffOf(binary.LittleEndian, map[uint16][]int{tagWidth: {16}, tagLength: {8}, tagTileWidth: {8}, tagTileLength: {8}, tagBitsPerSample: {8, 8, 8, 8},
			tagCompression: {7}, tagPhotometric: {tiffCMYK}, tagSamplesPerPixel: {4}}, redInInks(mark), redInInks(""))
		for _, b := range [][]byte{in, big(binary.LittleEndian, in)} {
			out, _, err := run(t, sanitize.KindTIFF, "2.1/word/media/image1.tif", b)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			m := decodeAs(t, out)
			for _, x := range []int{0, 9} {
				if c := color.NRGBAModel.Convert(m.At(x, 3)); c != (color.NRGBA{255, 0, 0, 255}) {
					t.Errorf("%s: pixel %d is %v", name, x, c)
				}
			}
			if out, _, err = run(t, sanitize.KindTIFF, "2", b); err != nil {
				t.Errorf("%s: as pages: %v", name, err)
			} else if again, _, err := run(t, sanitize.KindTIFF, "2", out); err != nil || !bytes.Equal(again, out) {
				t.Errorf("%s: a second pass changes it: %v", name, err)
			}
		}
	}
}

// Numbers of 64 bits are nowhere taken for smaller ones.
func TestPlacesOfBigTIFFThatLieAreRefused(t *testing.T) {
	le := binary.LittleEndian
	good := big(le, tiffOf(le, map[uint16][]int{tagWidth: {2}, tagLength: {1}, tagBitsPerSample: {8}, tagPhotometric: {1}}, []byte{1, 2}))
	if _, _, err := run(t, sanitize.KindTIFF, "2", good); err != nil {
		t.Fatal(err)
	}
	for at := range good {
		for _, v := range []uint64{1<<64 - 1, 1 << 63, 1<<63 - 1, 1<<32 + 16, 1 << 32} {
			b := bytes.Clone(good)
			if at+8 > len(b) {
				break
			}
			le.PutUint64(b[at:], v)
			if out, _, err := run(t, sanitize.KindTIFF, "2", b); err == nil {
				if _, err := tiff.Decode(bytes.NewReader(out)); err != nil {
					t.Errorf("%x at octet %d: %v", v, at, err)
				}
			}
		}
	}
	for name, at := range map[string]int{"first directory": 8, "entries": 16} {
		b := bytes.Clone(good)
		le.PutUint64(b[at:], le.Uint64(b[at:])+1<<32)
		if _, _, err := run(t, sanitize.KindTIFF, "2", b); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAScanInStripsOfJPEGKeepsItsSamples(t *testing.T) {
	src := scene(64, 80)
	strip := func(y, h int) []byte {
		m := image.NewRGBA(image.Rect(0, 0, 64, h))
		draw.Draw(m, m.Rect, src, image.Pt(0, y), draw.Src)
		return encodeJPEG(m, 60)
	}
	tags := map[uint16][]int{tagWidth: {64}, tagLength: {80}, tagBitsPerSample: {8, 8, 8}, tagCompression: {7}, tagPhotometric: {tiffYCbCr}, tagSamplesPerPixel: {3}, tagRowsPerStrip: {32}}
	pieces := [][]byte{strip(0, 32), strip(32, 32), strip(64, 16)}
	in := tiffOf(binary.LittleEndian, tags, pieces...)
	out, _, err := run(t, sanitize.KindTIFF, "2", in)
	if err != nil {
		t.Fatal(err)
	}
	o := sanitize.Object{ReaderAt: bytes.NewReader(out), Size: int64(len(out))}
	order, sheets, err := walkTIFF(o)
	if err != nil {
		t.Fatal(err)
	}
	p, err := readTIFF(o, order, sheets[0].at)
	if err != nil || len(p.offsets) != 1 {
		t.Fatalf("%d pieces, %v", len(p.offsets), err)
	}
	whole, err := p.jpeg(0)
	if err != nil {
		t.Fatal(err)
	}
	got := decodeAs(t, whole).(*image.YCbCr)
	for i, piece := range pieces {
		want := decodeAs(t, piece).(*image.YCbCr)
		for y := range want.Rect.Dy() {
			if !bytes.Equal(got.Y[(32*i+y)*got.YStride:][:64], want.Y[y*want.YStride:][:64]) {
				t.Fatalf("row %d of strip %d differs", y, i)
			}
		}
	}
	if len(out) > len(in)*13/10 {
		t.Errorf("%d octets of %d", len(out), len(in))
	}
}

// bmpOf writes a BMP of this header and what follows it.
func bmpOf(w, h int32, bits uint16, packing uint32, between, pixels []byte) []byte {
	head := bit(uint32(40), w, h, uint16(1), bits, packing, uint32(0), int32(0), int32(0), uint32(0), uint32(0))
	at := 14 + len(head) + len(between)
	return bytes.Join([][]byte{bit("BM", uint32(at+len(pixels)), uint32(0), uint32(at)), head, between, pixels}, nil)
}

func TestBMPOfEveryKindLooksTheSame(t *testing.T) {
	red, green, blue := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}
	palette := append([]byte{0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0}, make([]byte, 4*13)...) // red, green, blue
	eight := append(bytes.Clone(palette), make([]byte, 4*240)...)
	os2 := bytes.Join([][]byte{bit("BM", uint32(0), uint32(0), uint32(26+6), uint32(12), uint16(2), uint16(1), uint16(1), uint16(1)), {0, 0, 255, 0, 255, 0}, {0x40, 0, 0, 0}}, nil)
	for name, c := range map[string]struct {
		b    []byte
		want []color.NRGBA // rows from above
	}{
		"OS/2":             {os2, []color.NRGBA{red, green}},
		"from above":       {bmpOf(1, -2, 24, 0, nil, []byte{0, 0, 255, 0, 0, 255, 0, 0}), []color.NRGBA{red, green}},
		"from below":       {bmpOf(1, 2, 24, 0, nil, []byte{0, 0, 255, 0, 0, 255, 0, 0}), []color.NRGBA{green, red}},
		"555":              {bmpOf(3, 1, 16, 0, nil, bit(uint16(0x7c00), uint16(0x03e0), uint16(0x001f), uint16(0))), []color.NRGBA{red, green, blue}},
		"565":              {bmpOf(3, 1, 16, 3, bit(uint32(0xf800), uint32(0x07e0), uint32(0x001f)), bit(uint16(0xf800), uint16(0x07e0), uint16(0x001f), uint16(0))), []color.NRGBA{red, green, blue}},
		"run lengths of 8": {bmpOf(3, 2, 8, 1, eight, []byte{2, 1, 1, 2, 0, 0, 0, 3, 0, 1, 2, 0, 0, 1}), []color.NRGBA{red, green, blue, green, green, blue}},
		"run lengths of 4": {bmpOf(3, 2, 4, 2, palette, []byte{3, 0x12, 0, 0, 0, 3, 0x01, 0x20, 0, 1}), []color.NRGBA{red, green, blue, green, blue, green}},
		"a leap":           {bmpOf(3, 1, 8, 1, eight, []byte{0, 2, 2, 0, 1, 2, 0, 1}), []color.NRGBA{red, red, blue}},
		"32 bits":          {bmpOf(2, 1, 32, 0, nil, []byte{0, 0, 255, 0, 255, 0, 0, 77}), []color.NRGBA{red, blue}},
	} {
		out, _, err := run(t, sanitize.KindBMP, "2", c.b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		m := decodeAs(t, out)
		w := m.Bounds().Dx()
		for i, want := range c.want {
			if got := color.NRGBAModel.Convert(m.At(i%w, i/w)); got != want {
				t.Errorf("%s: pixel %d is %v, want %v", name, i, got, want)
			}
		}
		if _, _, err := run(t, sanitize.KindBMP, "2", c.b[:len(c.b)-3]); !errors.Is(err, sanitize.ErrMalformed) && name != "565" && name != "555" {
			t.Errorf("%s cut short: %v", name, err)
		}
	}
}

// Programs of old said that the pixels begin where the palette does.
func TestBMPWhosePixelsBeginInItsPaletteIsRead(t *testing.T) {
	palette := make([]byte, 4*256)
	copy(palette[4*7:], []byte{10, 20, 30, 0})
	b := bmpOf(1, 1, 8, 0, palette, []byte{7, 0, 0, 0})
	binary.LittleEndian.PutUint32(b[10:], 54)
	out, _, err := run(t, sanitize.KindBMP, "2", b)
	if err != nil {
		t.Fatal(err)
	}
	if c := color.NRGBAModel.Convert(decodeAs(t, out).At(0, 0)); c != (color.NRGBA{30, 20, 10, 255}) {
		t.Errorf("%v", c)
	}
}

func TestWebPKeepsItsColours(t *testing.T) {
	for name, text := range map[string]string{
		"lossy":    "UklGRjYAAABXRUJQVlA4ICoAAABwAQCdASoQABAAAoBCJaACdAF1AAD+7nZ73LRSK/9QZ//qDP/9QZ+ngAA=",
		"animated": "UklGRroAAABXRUJQVlA4WAoAAAACAAAADwAADwAAQU5JTQYAAAAAAAAAAABBTk1GQgAAAAAAAAAAAA8AAA8AAGQAAAJWUDggKgAAADABAJ0BKhAAEAACgEIloAADcAD+7nZ/73pa4a///1Bn/+oM//1Bn6eAAEFOTUZEAAAAAAAAAAAADwAADwAAZAAAAFZQOCAsAAAANAEAnQEqEAAQAAAAQiWgAANwAP725gf//ewX/+7Bf/7sF/sx/9etLc24gAA=",
	} {
		b, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		out, found, err := run(t, sanitize.KindWebP, "2.1/word/media/a.webp", b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := color.NRGBAModel.Convert(decodeAs(t, out).At(8, 8)).(color.NRGBA)
		if distance(got.R, 200) > 4 || distance(got.G, 30) > 4 || distance(got.B, 60) > 4 {
			t.Errorf("%s: %v, want 200 30 60", name, got)
		}
		if (len(found) == 1) != (name == "animated") {
			t.Errorf("%s: found %v", name, found)
		}
	}
}

func fuzzRaster(f *testing.F, k sanitize.Kind) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<14 {
			t.Skip()
		}
		out, _, err := run(t, k, "2.1/word/media/a", b)
		if err == nil {
			decodeAs(t, out)
		}
		if k == sanitize.KindTIFF {
			_, _, _ = run(t, k, "2", b)
		}
	})
}

func FuzzTIFF(f *testing.F) {
	f.Add(tiffOf(binary.LittleEndian, map[uint16][]int{tagWidth: {2}, tagLength: {1}, tagBitsPerSample: {8}, tagPhotometric: {1}}, []byte{1, 2}))
	f.Add(faxOf(2))
	f.Add(big(binary.BigEndian, tiffOf(binary.BigEndian, map[uint16][]int{tagWidth: {2}, tagLength: {1}, tagBitsPerSample: {8}, tagPhotometric: {1}}, []byte{1}, []byte{2})))
	fuzzRaster(f, sanitize.KindTIFF)
}

func FuzzBMP(f *testing.F) {
	f.Add(bmpOf(3, 2, 4, 2, make([]byte, 64), []byte{3, 0x12, 0, 0, 0, 3, 0x01, 0x20, 0, 1}))
	f.Add(bmpOf(3, 1, 16, 3, make([]byte, 12), make([]byte, 8)))
	fuzzRaster(f, sanitize.KindBMP)
}
