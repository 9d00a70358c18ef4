package image

import (
	"bytes"
	"compress/lzw"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"io"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// smuggled is what a stranger puts where nothing is shown.
const smuggled = "<script>SMUGGLED"

// unpacked is a picture and, behind it, what is packed in it without loss.
func unpacked(b []byte) []byte {
	all := bytes.Clone(b)
	if bytes.HasPrefix(b, []byte(pngMagic)) {
		var packed []byte
		for at := 8; at+12 <= len(b); {
			n := int(binary.BigEndian.Uint32(b[at:]))
			if string(b[at+4:at+8]) == "IDAT" {
				packed = append(packed, b[at+8:at+8+n]...)
			}
			at += 12 + n
		}
		b = packed
	}
	for i := range b {
		if b[i] != 0x78 {
			continue
		}
		if z, err := zlib.NewReader(bytes.NewReader(b[i:])); err == nil {
			plain, _ := io.ReadAll(io.LimitReader(z, 1<<20))
			all = append(all, plain...)
		}
	}
	return all
}

// words16 are the smuggled words as numbers of sixteen bits.
func words16(order binary.ByteOrder) []int {
	var v []int
	for i := 0; i < len(smuggled); i += 2 {
		v = append(v, int(order.Uint16([]byte(smuggled[i:]))))
	}
	return v
}

// filled is the smuggled words repeated to so many octets.
func filled(n int) []byte {
	return bytes.Repeat([]byte(smuggled), n/len(smuggled)+1)[:n]
}

// behindTables gives a JPEG a quantisation whose last numbers no coefficient uses.
func behindTables(quality int) []byte {
	flat := image.NewNRGBA(image.Rect(0, 0, 40, 40))
	for i := range flat.Pix {
		flat.Pix[i] = 200
	}
	b := encodeJPEG(flat, quality)
	at := bytes.Index(b, []byte{0xff, 0xdb})
	copy(b[at+5+10:], filled(54))
	copy(b[at+5+65+10:], filled(54))
	return b
}

// TestNothingIsCarriedBesideThePixels: whatever a format has room for beside its
// pixels does not come out, packed neither.
func TestNothingIsCarriedBesideThePixels(t *testing.T) {
	m := scene(40, 30)
	good, photo := encodePNG(m), encodeJPEG(m, 90)
	le := binary.LittleEndian
	packed := func(b string) []byte {
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		_, _ = w.Write([]byte(b))
		_ = w.Close()
		return z.Bytes()
	}
	few := image.NewPaletted(image.Rect(0, 0, 40, 30), nil)
	for i := range 256 {
		c := color.NRGBA{smuggled[3*i%16], smuggled[(3*i+1)%16], smuggled[(3*i+2)%16], 255}
		if i < 2 {
			c = color.NRGBA{uint8(200 * i), 0, 0, 255}
		}
		few.Palette = append(few.Palette, c)
	}
	few.Pix[7] = 1
	animated := func(other bool) []byte {
		var f bytes.Buffer
		local := image.NewPaletted(few.Rect, append(color.Palette{color.White}, few.Palette[1:]...))
		g := gif.GIF{Image: []*image.Paletted{few, few}, Delay: []int{1, 1}, Config: image.Config{Width: 40, Height: 30, ColorModel: few.Palette}}
		if other {
			g.Image[1] = local
		}
		if err := gif.EncodeAll(&f, &g); err != nil {
			t.Fatal(err)
		}
		return f.Bytes()
	}
	gifBlock := func(label byte, head string) []byte {
		b := animated(false)
		at := 13 + 768
		block := append([]byte{0x21, label}, head...)
		block = append(append(block, byte(len(smuggled))), smuggled...)
		return bytes.Join([][]byte{b[:at], block, {0}, b[at:]}, nil)
	}
	// Bits of no pixel: a row of one pixel of one bit leaves seven.
	spare := []byte{}
	for _, c := range []byte(smuggled) {
		spare = append(spare, 0, c&0x7f, 0, c|0x80)
	}
	tiff := func(more map[uint16][]int) []byte {
		tags := map[uint16][]int{tagWidth: {4}, tagLength: {4}, tagBitsPerSample: {8}, tagCompression: {1}, tagPhotometric: {1}, tagRowsPerStrip: {4}}
		for k, v := range more {
			tags[k] = v
		}
		return tiffOf(le, tags, make([]byte, 16))
	}
	colours := make([]int, 768)
	for i := range colours {
		colours[i] = words16(le)[i%8]
	}
	colours[0], colours[256], colours[512] = 0, 0, 0
	bmpRow := append([]byte{1, 2, 3}, smuggled[:1]...)
	var bmpRows []byte
	for i := range len(smuggled) {
		bmpRow[3] = smuggled[i]
		bmpRows = append(bmpRows, bmpRow...)
	}
	for name, c := range map[string]struct {
		kind sanitize.Kind
		file []byte
	}{
		"PNG text":                   {sanitize.KindPNG, withChunk(good, "tEXt", []byte("Comment\x00"+smuggled))},
		"PNG packed text":            {sanitize.KindPNG, withChunk(good, "zTXt", append([]byte("Comment\x00\x00"), packed(smuggled)...))},
		"PNG text of any language":   {sanitize.KindPNG, withChunk(good, "iTXt", []byte("XML:com.adobe.xmp\x00\x00\x00\x00\x00"+smuggled))},
		"PNG Exif":                   {sanitize.KindPNG, withChunk(good, "eXIf", []byte("MM\x00*\x00\x00\x00\x08"+smuggled))},
		"PNG profile":                {sanitize.KindPNG, withChunk(good, "iCCP", append([]byte("x\x00\x00"), packed(smuggled)...))},
		"PNG of nobody":              {sanitize.KindPNG, withChunk(good, "caBX", []byte(smuggled))},
		"PNG behind its end":         {sanitize.KindPNG, append(bytes.Clone(good), smuggled...)},
		"PNG palette":                {sanitize.KindPNG, encodePNG(few)},
		"PNG palette, in rows":       {sanitize.KindPNG, rowsOf(t, 2, 1, 8, 3, append(chunk("PLTE", append([]byte{1, 2, 3}, filled(96)...)), chunk("tRNS", append([]byte{9}, filled(30)...))...), []byte{0, 0, 0})},
		"PNG cover":                  {sanitize.KindPNG, rowsOf(t, 2, 1, 8, 2, chunk("tRNS", []byte("<\x01s\x02c\x03")), make([]byte, 7))},
		"PNG bits of no pixel":       {sanitize.KindPNG, rowsOf(t, 1, len(spare)/2, 1, 0, nil, spare)},
		"PNG behind the packed rows": {sanitize.KindPNG, bytes.Join([][]byte{good[:len(good)-12], chunk("IDAT", []byte(smuggled)), good[len(good)-12:]}, nil)},
		"JPEG comment":               {sanitize.KindJPEG, withSegment(photo, 0xfe, []byte(smuggled))},
		"JPEG Exif":                  {sanitize.KindJPEG, withSegment(photo, 0xe1, append(exif(1), smuggled...))},
		"JPEG extended XMP":          {sanitize.KindJPEG, withSegment(photo, 0xe1, []byte("http://ns.adobe.com/xmp/extension/\x00"+smuggled))},
		"JPEG of Photoshop":          {sanitize.KindJPEG, withSegment(photo, 0xed, []byte("Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x10"+smuggled))},
		"JPEG boxes":                 {sanitize.KindJPEG, withSegment(photo, 0xeb, []byte("JP\x00\x01\x00\x00\x00\x01\x00\x00\x00\x18jumb"+smuggled))},
		"JPEG profile":               {sanitize.KindJPEG, withSegment(photo, 0xe2, []byte("ICC_PROFILE\x00\x01\x01"+smuggled))},
		"JPEG thumbnail":             {sanitize.KindJPEG, withSegment(photo, 0xe0, []byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x04\x04"+strings.Repeat(smuggled, 3)))},
		"JPEG behind its end":        {sanitize.KindJPEG, append(bytes.Clone(photo), smuggled...)},
		"JPEG between its parts":     {sanitize.KindJPEG, bytes.Join([][]byte{photo[:2], []byte(smuggled), photo[2:]}, nil)},
		"JPEG table of nobody":       {sanitize.KindJPEG, withSegment(photo, 0xdb, append([]byte{3}, filled(64)...))},
		"JPEG codes of nobody":       {sanitize.KindJPEG, withSegment(photo, 0xc4, append(append([]byte{0x13}, 0, 0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), smuggled...))},
		"JPEG quantisation":          {sanitize.KindJPEG, behindTables(90)},
		"JPEG quantisation, drawn":   {sanitize.KindJPEG, withSegment(behindTables(90), 0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), wide()...))},
		"GIF comment":                {sanitize.KindGIF, gifBlock(0xfe, "")},
		"GIF application":            {sanitize.KindGIF, gifBlock(0xff, "\x0bXMP DataXMP")},
		"GIF plain text":             {sanitize.KindGIF, gifBlock(0x01, "\x0c\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00")},
		"GIF palette":                {sanitize.KindGIF, animated(false)},
		"GIF palettes":               {sanitize.KindGIF, animated(true)},
		"GIF behind its end":         {sanitize.KindGIF, append(animated(false), smuggled...)},
		"BMP before its pixels":      {sanitize.KindBMP, bmpOf(1, 1, 24, 0, []byte(smuggled), []byte{1, 2, 3, 0})},
		"BMP behind its pixels":      {sanitize.KindBMP, bmpOf(1, 1, 24, 0, nil, append([]byte{1, 2, 3, 0}, smuggled...))},
		"BMP between its rows":       {sanitize.KindBMP, bmpOf(1, int32(len(smuggled)), 24, 0, nil, bmpRows)},
		"BMP palette":                {sanitize.KindBMP, bmpOf(1, 1, 8, 0, append([]byte{1, 2, 3, 0}, filled(1020)...), []byte{0, 0, 0, 0})},
		"TIFF description":           {sanitize.KindTIFF, tiff(map[uint16][]int{270: words16(le)})},
		"TIFF tag of nobody":         {sanitize.KindTIFF, tiff(map[uint16][]int{65000: words16(le)})},
		"TIFF palette":               {sanitize.KindTIFF, tiff(map[uint16][]int{tagPhotometric: {3}, tagColorMap: colours})},
		"TIFF behind its end":        {sanitize.KindTIFF, append(tiff(nil), smuggled...)},
	} {
		t.Run(name, func(t *testing.T) {
			out, _, err := run(t, c.kind, "2", c.file)
			if err != nil {
				t.Fatal(err)
			}
			all := unpacked(out)
			for i := 0; i+4 <= len(smuggled); i += 4 { // a part of it is too much
				if part := []byte(smuggled[i : i+4]); bytes.Contains(all, part) {
					t.Errorf("%q came through", part)
				}
			}
			k := c.kind
			if bytes.HasPrefix(out, []byte(pngMagic)) {
				k = sanitize.KindPNG
			}
			if again, found, err := run(t, k, "2", out); err != nil || !bytes.Equal(again, out) || len(found) > 0 {
				t.Errorf("a second pass changes it: %v, %v", found, err)
			}
		})
	}
}

// TestBitsOfNoPixelAreNone: the last octets of rows hold what pixels hold.
func TestBitsOfNoPixelAreNone(t *testing.T) {
	for _, colour := range []byte{0, 3} {
		palette := chunk("PLTE", []byte{0, 0, 0, 255, 255, 255})
		if colour == 0 {
			palette = nil
		}
		in := rowsOf(t, 3, 2, 1, colour, palette, []byte{0, 0xbf, 2, 0x55})
		out, _, err := run(t, sanitize.KindPNG, "2", in)
		if err != nil {
			t.Fatal(err)
		}
		want, got := decodeAs(t, in), decodeAs(t, out)
		for i := range 6 {
			if r, _, _, _ := want.At(i%3, i/3).RGBA(); true {
				if r2, _, _, _ := got.At(i%3, i/3).RGBA(); r != r2 {
					t.Errorf("pixel %d is %d, want %d", i, r2, r)
				}
			}
		}
		rows := unpacked(out)[len(out):]
		row := []byte{rows[1], rows[3]}
		if rows[2] == 2 {
			row[1] ^= row[0]
		}
		if row[0]&0x1f != 0 || row[1]&0x1f != 0 {
			t.Errorf("colour %d: rows %x", colour, rows)
		}
	}
}

// TestBlocksThatFillUpHoldNothing: a picture in 4:2:0 that is one block large has
// three more that nobody sees.
func TestBlocksThatFillUpHoldNothing(t *testing.T) {
	for name, in := range map[string][]byte{"by coefficients": encodeJPEG(scene(16, 16), 90), "drawn": withSegment(encodeJPEG(scene(16, 16), 90), 0xe2, append([]byte("ICC_PROFILE\x00\x01\x01"), wide()...))} {
		size := func(b []byte, n byte) []byte {
			b = bytes.Clone(b)
			at := bytes.Index(b, []byte{0xff, 0xc0})
			b[at+6], b[at+8] = n, n
			return b
		}
		small := size(in, 8)
		out, _, err := run(t, sanitize.KindJPEG, "2", small)
		if err != nil {
			t.Fatal(err)
		}
		if name != "drawn" {
			if d := psnr(t, decodeAs(t, small), decodeAs(t, out)); d < 99 {
				t.Errorf("%s: what is seen differs: %.1f dB", name, d)
			}
		}
		m, err := jpeg.Decode(bytes.NewReader(size(out, 16)))
		if err != nil {
			t.Fatal(err)
		}
		y := m.(*image.YCbCr)
		for _, at := range [][2]int{{8, 0}, {0, 8}, {8, 8}} {
			for i := range 64 {
				if v, first := y.Y[y.YOffset(at[0]+i%8, at[1]+i/8)], y.Y[y.YOffset(at[0], at[1])]; v != first {
					t.Fatalf("%s: the block at %v shows something", name, at)
				}
			}
		}
	}
}

// TestDotsOfATIFFAreNumbers: a resolution is one, in few forms.
func TestDotsOfATIFFAreNumbers(t *testing.T) {
	for in, want := range map[[2]uint32][2]uint32{
		{300, 1}: {300, 1}, {3000000, 10000}: {300, 1}, {204, 1}: {204, 1}, {98, 1}: {98, 1}, {11811, 100}: {118110, 1000}, {118110, 1000}: {118110, 1000},
		{le("<scr"), le("ipt>")}: {815, 1000}, {1, 0}: {}, {0, 1}: {}, {1 << 31, 1}: {}, {1, 1 << 30}: {},
	} {
		if got := resolution(in[0], in[1]); got != want && in[0] != le("<scr") {
			t.Errorf("%v: %v, want %v", in, got, want)
		} else if again := resolution(got[0], got[1]); again != got {
			t.Errorf("%v: %v, and then %v", in, got, again)
		}
	}
}

func le(s string) uint32 { return binary.LittleEndian.Uint32([]byte(s)) }

// TestPicturesThatCostFarMoreThanTheyWeighAreRefused: what each would have cost is
// known before it is decoded.
func TestPicturesThatCostFarMoreThanTheyWeighAreRefused(t *testing.T) {
	// Each picture of one pixel has its own palette in memory.
	frames := append([]byte("GIF89a\x01\x00\x01\x00\xf7\x00\x00"), make([]byte, 768)...)
	var codes bytes.Buffer
	w := lzw.NewWriter(&codes, lzw.LSB, 8)
	_, _ = w.Write([]byte{0})
	_ = w.Close()
	one := append([]byte("\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x08"), byte(codes.Len()))
	one = append(append(one, codes.Bytes()...), 0)
	for range 150_000 {
		frames = append(frames, one...)
	}
	frames = append(frames, 0x3b)

	// A piece that is gone through thousands of times.
	scans := progressive(2000, 2000, 4000)
	drawn := tiffOf(binary.LittleEndian, map[uint16][]int{tagWidth: {2000}, tagLength: {2000}, tagBitsPerSample: {8}, tagCompression: {7}, tagPhotometric: {1}, tagRowsPerStrip: {2000}}, scans)

	// Tiles that are each the whole file.
	const tiles, all = 40_000, 1 << 20
	shared := binary.LittleEndian.AppendUint32([]byte("II*\x00"), all)
	shared = append(shared, make([]byte, all-8)...)
	fields := [][4]uint32{{tagWidth, 4, 1, 3200}, {tagLength, 4, 1, 3200}, {tagBitsPerSample, 3, 1, 8}, {tagCompression, 3, 1, 1}, {tagPhotometric, 3, 1, 1}, {tagTileWidth, 4, 1, 16}, {tagTileLength, 4, 1, 16}, {tagTileOffsets, 4, tiles, all + 2 + 9*12 + 4}, {tagTileCounts, 4, tiles, all + 2 + 9*12 + 4 + 4*tiles}}
	shared = binary.LittleEndian.AppendUint16(shared, uint16(len(fields)))
	for _, f := range fields {
		shared = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(shared, uint16(f[0])), uint16(f[1]))
		shared = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(shared, f[2]), f[3])
	}
	shared = append(shared, 0, 0, 0, 0)
	for _, v := range [...]uint32{8, all - 8} {
		for range tiles {
			shared = binary.LittleEndian.AppendUint32(shared, v)
		}
	}
	for name, c := range map[string]struct {
		kind sanitize.Kind
		file []byte
	}{
		"GIF of many pictures":   {sanitize.KindGIF, frames},
		"TIFF of scans":          {sanitize.KindTIFF, drawn},
		"TIFF of the same tiles": {sanitize.KindTIFF, shared},
	} {
		if _, _, err := run(t, c.kind, "2", c.file); !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// progressive is a grey JPEG with so many scans in which nothing changes.
func progressive(w, h, scans int) []byte {
	b := append([]byte("\xff\xd8\xff\xdb\x00\x43\x00"), bytes.Repeat([]byte{1}, 64)...)
	b = append(b, 0xff, 0xc2, 0, 11, 8, byte(h>>8), byte(h), byte(w>>8), byte(w), 1, 1, 0x11, 0)
	for _, table := range [][2]byte{{0x00, 0}, {0x10, 0xe0}} { // one code each: no difference, a run of 16,384 blocks or more
		b = append(append(b, 0xff, 0xc4, 0, 20, table[0], 1), make([]byte, 15)...)
		b = append(b, table[1])
	}
	blocks := (w + 7) / 8 * ((h + 7) / 8)
	b = append(append(b, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0), make([]byte, blocks/8+1)...)
	for range scans {
		b = append(b, 0xff, 0xda, 0, 8, 1, 1, 0, 1, 63, 0)
		b = append(b, make([]byte, (blocks>>14+1)*15/8+1)...)
	}
	return append(b, 0xff, 0xd9)
}
