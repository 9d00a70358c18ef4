package pdf

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"image"
	"image/jpeg"
	"sync"

	"sekisho/internal/fax"
	"sekisho/internal/pdf"
)

// packer packs the pixels of pages, several at a time.
type packer struct {
	fax  *fax.Tables // of pages in black and white, where they are wanted
	zips sync.Pool   // of *zlib.Writer: each has a megabyte of tables
}

// greyed is a page without its colours.
func greyed(width, height int, pixels []byte) *image.Gray {
	g := &image.Gray{Pix: make([]byte, width*height), Stride: width, Rect: image.Rect(0, 0, width, height)}
	for i := range g.Pix {
		p := pixels[3*i : 3*i+3]
		g.Pix[i] = byte((int(p[0])*77 + int(p[1])*150 + int(p[2])*29) >> 8)
	}
	return g
}

// uncoloured makes a page one octet a pixel where no colour can be told from
// grey, in its place.
func uncoloured(pixels []byte) ([]byte, bool) {
	if coloured(pixels) {
		return pixels, false
	}
	n := len(pixels) / 3
	for i := range n {
		pixels[i] = pixels[3*i+1]
	}
	return pixels[:n], true
}

// page packs the pixels of a page in the smallest form that shows them as they
// are: a few greys, a few colours, or a photograph; in black and white, where
// that is wanted and the page is no picture.
func (k *packer) page(width, height, samples int, pixels []byte) (pdf.Dict, []byte, error) {
	d := pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Image"), "Width": int64(width), "Height": int64(height)}
	as := func(space pdf.Object, bits int64, filter pdf.Name) pdf.Dict {
		d["ColorSpace"], d["BitsPerComponent"], d["Filter"] = space, bits, filter
		return d
	}
	if samples == 1 {
		// Letters have soft edges, and four greys are enough for those; pictures
		// want more.
		rows, middling := packFew(pixels, width, height)
		few := float64(middling) < 0.12*float64(len(pixels))
		if few && k.fax != nil && !shaded(pixels, width) {
			coded := fax.Group4(k.fax, blackened(pixels, width, height), width, height)
			parms := pdf.Dict{"K": int64(-1), "Columns": int64(width), "Rows": int64(height)}
			packed, err := k.deflated(coded)
			if err != nil {
				return nil, nil, err
			}
			// Codes of letters that stand again and again repeat, too.
			if len(packed) < len(coded)*97/100 {
				d["DecodeParms"] = pdf.Array{nil, parms}
				d = as(pdf.Name("DeviceGray"), 1, "")
				d["Filter"] = pdf.Array{pdf.Name("FlateDecode"), pdf.Name("CCITTFaxDecode")}
				return d, packed, nil
			}
			d["DecodeParms"] = parms
			return as(pdf.Name("DeviceGray"), 1, "CCITTFaxDecode"), coded, nil
		}
		bits := 2
		if !few {
			bits = 4
			rows = packGrey(pixels, width, height, bits)
		}
		packed, err := k.deflated(rows)
		if err != nil {
			return nil, nil, err
		}
		m := &image.Gray{Pix: pixels, Stride: width, Rect: image.Rect(0, 0, width, height)}
		if len(packed) > len(pixels)/10 && mayBeSmaller(m, len(packed)) {
			photo, err := photograph(m)
			if err != nil {
				return nil, nil, err
			}
			if len(photo) < len(packed) {
				return as(pdf.Name("DeviceGray"), 8, "DCTDecode"), photo, nil
			}
		}
		return as(pdf.Name("DeviceGray"), int64(bits), "FlateDecode"), packed, nil
	}
	if index, palette, ok := indexed(pixels, width*height); ok {
		// Two or four bits where the colours are that few.
		bits := 8
		switch n := len(palette) / 3; {
		case n <= 4:
			bits = 2
		case n <= 16:
			bits = 4
		}
		packed, err := k.deflated(packBits(index, width, height, bits))
		if err != nil {
			return nil, nil, err
		}
		if len(packed) <= width*height/8 {
			space := pdf.Array{pdf.Name("Indexed"), pdf.Name("DeviceRGB"), int64(len(palette)/3 - 1), pdf.String(palette)}
			return as(space, int64(bits), "FlateDecode"), packed, nil
		}
	}
	photo, err := photograph(opaque(pixels, width, height))
	if err != nil {
		return nil, nil, err
	}
	return as(pdf.Name("DeviceRGB"), 8, "DCTDecode"), photo, nil
}

// mayBeSmaller says whether a photograph of a page could take fewer octets than
// its greys do packed, by one row of blocks in eight. Pages full of small letters
// are larger as photographs, and to find that out by making one takes longer than
// drawing them.
func mayBeSmaller(m *image.Gray, packed int) bool {
	const (
		block  = 8
		few    = 512     // rows of which nothing is left out
		doubt  = 5.0 / 4 // what the sample may be wrong by
		tables = 330     // octets in front of any grey photograph
	)
	width, height := m.Rect.Dx(), m.Rect.Dy()
	if height < few {
		return true
	}
	// At unequal distances, so that lines of letters are not met in the same place
	// each time; in the mean one row in eight.
	steps := [...]int{5, 9, 7, 11, 8, 6, 10, 8}
	var rows []byte
	for i, y := 0, block; y+block <= height; i, y = i+1, y+block*steps[i%len(steps)] {
		rows = append(rows, m.Pix[y*m.Stride:(y+block)*m.Stride]...)
	}
	n := len(rows) / m.Stride
	photo, err := photograph(&image.Gray{Pix: rows, Stride: m.Stride, Rect: image.Rect(0, 0, width, n)})
	if err != nil {
		return true // who makes it in full will say so
	}
	return float64(len(photo)-tables)*float64(height) < doubt*float64(packed)*float64(n)
}

// deflated packs the pixels of a page: by the first level that looks one octet
// further before it settles for a match, which takes 4 % off. Level 6 takes
// another 2 % off, in twice the time.
func (k *packer) deflated(b []byte) ([]byte, error) {
	const level = 4
	var out bytes.Buffer
	z, ok := k.zips.Get().(*zlib.Writer)
	if ok {
		z.Reset(&out)
	} else {
		var err error
		if z, err = zlib.NewWriterLevel(&out, level); err != nil {
			return nil, fmt.Errorf("pack page: %w", err)
		}
	}
	defer k.zips.Put(z)
	if _, err := z.Write(b); err != nil {
		return nil, fmt.Errorf("pack page: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("pack page: %w", err)
	}
	return out.Bytes(), nil
}

// isMiddling says of a grey that it is neither nearly black nor nearly white.
func isMiddling(v byte) bool { return v-17 < 222 } // 17 to 238

// packFew packs greys of eight bits into two, and counts those in the middle.
// Most of a page is paper, which is passed over eight pixels at a time.
func packFew(pixels []byte, width, height int) (rows []byte, middling int) {
	const paper = ^uint64(0)
	var level [256]byte
	var middle [256]uint8
	for v := range 256 {
		level[v] = byte((v*3 + 127) / 255)
		if isMiddling(byte(v)) {
			middle[v] = 1
		}
	}
	stride := (width + 3) / 4
	rows = make([]byte, stride*height)
	for y := range height {
		row, from := rows[y*stride:(y+1)*stride], pixels[y*width:(y+1)*width]
		for len(from) >= 8 {
			if v := binary.LittleEndian.Uint64(from); v == paper {
				row[0], row[1] = 0xff, 0xff
			} else {
				p := from[:8:8]
				row[0] = level[p[0]]<<6 | level[p[1]]<<4 | level[p[2]]<<2 | level[p[3]]
				row[1] = level[p[4]]<<6 | level[p[5]]<<4 | level[p[6]]<<2 | level[p[7]]
				middling += int(middle[p[0]] + middle[p[1]] + middle[p[2]] + middle[p[3]] + middle[p[4]] + middle[p[5]] + middle[p[6]] + middle[p[7]])
			}
			row, from = row[2:], from[8:]
		}
		for x, v := range from {
			row[x/4] |= level[v] << (6 - 2*(x%4))
			middling += int(middle[v])
		}
	}
	return rows, middling
}

// coloured reports whether a page has colours that can be told from grey.
func coloured(pixels []byte) bool {
	const visible = 6
	for i := 0; i+2 < len(pixels); i += 3 {
		r, g, b := pixels[i], pixels[i+1], pixels[i+2]
		if r == g && g == b {
			continue
		}
		if int(max(r, g, b))-int(min(r, g, b)) > visible {
			return true
		}
	}
	return false
}

// shaded reports whether a page has areas of one grey, which would be lost in
// black and white; the soft edges of letters are none.
func shaded(pixels []byte, width int) bool {
	n := 0
	for i := width + 1; i < len(pixels); i++ {
		if v := pixels[i]; isMiddling(v) && v == pixels[i-1] && v == pixels[i-width] && v == pixels[i-width-1] {
			n++
		}
	}
	return n > len(pixels)/250
}

// blackened is a page of one bit a pixel, 1 for black: lighter than the middle,
// so that thin strokes stay.
func blackened(pixels []byte, width, height int) []byte {
	const black = 140
	stride := (width + 7) / 8
	out := make([]byte, stride*height)
	for y := range height {
		row := out[y*stride : (y+1)*stride]
		for x, v := range pixels[y*width : (y+1)*width] {
			if v < black {
				row[x>>3] |= 0x80 >> (x & 7)
			}
		}
	}
	return out
}

// packGrey packs greys of eight bits into two or four.
func packGrey(pixels []byte, width, height, bits int) []byte {
	most := 1<<bits - 1
	var level [256]byte
	for v := range level {
		level[v] = byte((v*most + 127) / 255)
	}
	levels := make([]byte, len(pixels)) // the pixels may yet become a photograph
	for i, v := range pixels {
		levels[i] = level[v]
	}
	return packBits(levels, width, height, bits)
}

// packBits packs values below 1<<bits, one an octet, most significant first,
// each row filled up to an octet.
func packBits(values []byte, width, height, bits int) []byte {
	if bits == 8 {
		return values
	}
	per := 8 / bits
	stride := (width + per - 1) / per
	out := make([]byte, stride*height)
	for y := range height {
		row, from := out[y*stride:(y+1)*stride], values[y*width:(y+1)*width]
		i := 0
		if bits == 2 {
			for ; len(from) >= 4; i++ {
				row[i] = from[0]<<6 | from[1]<<4 | from[2]<<2 | from[3]
				from = from[4:]
			}
		}
		for x, v := range from {
			row[i+x/per] |= v << (8 - bits*(x%per+1))
		}
	}
	return out
}

// indexed gives each pixel the number of its colour, if there are few.
func indexed(pixels []byte, n int) (index, palette []byte, ok bool) {
	numbers := make(map[uint32]byte, 256)
	index = make([]byte, n)
	var last uint32
	var lastNumber byte
	for i := range n {
		c := uint32(pixels[3*i])<<16 | uint32(pixels[3*i+1])<<8 | uint32(pixels[3*i+2])
		if i > 0 && c == last {
			index[i] = lastNumber
			continue
		}
		k, have := numbers[c]
		if !have {
			if len(numbers) == 256 {
				return nil, nil, false
			}
			k = byte(len(numbers))
			numbers[c] = k
			palette = append(palette, pixels[3*i:3*i+3]...)
		}
		index[i], last, lastNumber = k, c, k
	}
	return index, palette, true
}

// opaque gives three bytes a pixel the form for which the library's encoder has
// a fast way.
func opaque(pixels []byte, width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i, j := 0, 0; i < len(m.Pix); i, j = i+4, j+3 {
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = pixels[j], pixels[j+1], pixels[j+2], 255
	}
	return m
}

func photograph(m image.Image) ([]byte, error) { return photographOf(m, 82) }

func photographOf(m image.Image, quality int) ([]byte, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		return nil, fmt.Errorf("encode picture: %w", err)
	}
	return b.Bytes(), nil
}
