package rtf

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image/png"

	"sekisho/internal/metafile"
	"sekisho/internal/pict"
	"sekisho/internal/square"
	"sekisho/sanitize"
)

// picture is a picture that is being read.
type picture struct {
	format     string // pngblip, wmetafile ...
	number     int32
	words      []pictureWord
	data       []byte
	half       byte
	odd        bool
	properties string // \picprop, written already
}

type pictureWord struct {
	name string
	n    int32
}

func (p *picture) word(name string, n int32, has bool) {
	switch name {
	case "emfblip", "pngblip", "jpegblip", "macpict", "pmmetafile", "wmetafile", "dibitmap", "wbitmap":
		p.format, p.number = name, n
		return
	}
	if !has {
		return
	}
	for i := range p.words {
		if p.words[i].name == name {
			p.words[i].n = n
			return
		}
	}
	p.words = append(p.words, pictureWord{name, n})
}

func (p *picture) value(name string) int {
	for _, w := range p.words {
		if w.name == name {
			return int(w.n)
		}
	}
	return 0
}

func (p *picture) hex(b []byte) {
	for _, c := range b {
		n := nibble[c]
		switch {
		case n > 15:
		case p.odd:
			p.data, p.odd = append(p.data, p.half<<4|n), false
		default:
			p.half, p.odd = n, true
		}
	}
}

// endPicture writes a picture decoded and encoded anew, or its placeholder.
func (d *document) endPicture(g *group) error {
	p := g.picture
	if len(p.data) == 0 {
		return nil
	}
	if d.pictures++; d.pictures > maxPictures {
		return fmt.Errorf("more than %d pictures: %w", maxPictures, sanitize.ErrLimit)
	}
	if err := d.s.Spend(int64(len(p.data))); err != nil {
		return err
	}
	format, number, data, why := d.treat(p)
	if err := d.ctx.Err(); err != nil {
		return err
	}
	if why != "" {
		d.report.found("rtf.picture", sanitize.Replaced, why)
		format, number, data = "pngblip", -1, d.greySquare()
	}
	w := d.w
	if g.property != nil {
		w = &writer{}
	}
	w.control("pict")
	if p.properties != "" {
		w.open()
		w.raw(p.properties)
		w.close()
	}
	for _, pw := range p.words {
		switch pw.name {
		case "picbmp", "picbpp", "wbmbitspixel", "wbmplanes", "wbmwidthbytes":
			continue // of a bitmap that is none any more
		}
		w.controlNumber(pw.name, pw.n)
	}
	if number >= 0 {
		w.controlNumber(format, number)
	} else {
		w.control(format)
	}
	w.hex(data)
	if g.property != nil {
		g.property.picture = "{" + string(w.buf) + "}"
	}
	return nil
}

// treat returns the picture in a form that may stay, or why there is none.
func (d *document) treat(p *picture) (format string, number int32, data []byte, why string) {
	b := p.data
	if format, data := d.drawn(p); data != nil {
		return format, -1, data, ""
	}
	switch {
	case metafile.IsEMF(b):
		out, err := metafile.RewriteEMF(b)
		if err != nil {
			return "", 0, nil, err.Error()
		}
		return "emfblip", -1, out, ""
	case metafile.IsWMF(b):
		out, err := metafile.RewriteWMF(b)
		if err != nil {
			return "", 0, nil, err.Error()
		}
		if len(out) > 22 && binary.LittleEndian.Uint32(out) == 0x9AC6CDD7 {
			out = out[22:] // here the words beside it say its size
		}
		mode := int32(8)
		if p.format == "wmetafile" && p.number >= 1 && p.number <= 8 {
			mode = p.number
		}
		return "wmetafile", mode, out, ""
	}
	switch p.format {
	case "macpict":
		m, err := pict.Decode(b)
		if err != nil {
			return "", 0, nil, err.Error()
		}
		var file bytes.Buffer
		if err := png.Encode(&file, m); err != nil {
			return "", 0, nil, err.Error()
		}
		b = file.Bytes()
	case "dibitmap":
		b = fromDIB(b)
	case "wbitmap":
		b = fromDDB(p)
	}
	var out bytes.Buffer
	res, err := d.s.Nested(d.ctx, d.pictureFile(b), &out)
	if err != nil {
		return "", 0, nil, err.Error()
	}
	switch res.Kind {
	case sanitize.KindPNG:
		return "pngblip", -1, out.Bytes(), ""
	case sanitize.KindJPEG:
		return "jpegblip", -1, out.Bytes(), ""
	default:
		return "", 0, nil, "a picture became " + string(res.Kind)
	}
}

// drawn makes a picture of a drawing of Windows, where the profile says so.
func (d *document) drawn(p *picture) (format string, data []byte) {
	if !d.s.Options.Drawings || !metafile.IsEMF(p.data) && !metafile.IsWMF(p.data) {
		return "", nil
	}
	const twip = 25.4 / 1440 // millimetres
	b := metafile.Placeable(p.data, float64(p.value("picwgoal"))*twip, float64(p.value("pichgoal"))*twip)
	data, kind := d.s.Drawn(d.ctx, d.pictureFile(b))
	switch kind {
	case sanitize.KindPNG:
		return "pngblip", data
	case sanitize.KindJPEG:
		return "jpegblip", data
	default:
		return "", nil
	}
}

// pictureFile is a picture as a file of its own.
func (d *document) pictureFile(b []byte) sanitize.Object {
	return sanitize.Object{
		ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: fmt.Sprintf("%s/picture%d", d.in.Path, d.pictures), Name: fmt.Sprintf("picture %d", d.pictures),
	}
}

// fromDIB puts the header of a BMP file before a bitmap of memory. [MS-WMF]
// 2.2.2.9.
func fromDIB(b []byte) []byte {
	if len(b) < 40 {
		return b
	}
	head, bits, used := int64(binary.LittleEndian.Uint32(b)), binary.LittleEndian.Uint16(b[14:]), int64(binary.LittleEndian.Uint32(b[32:]))
	if head < 40 || head > int64(len(b)) {
		return b
	}
	if used == 0 && bits <= 8 {
		used = 1 << bits
	}
	off := 14 + head + 4*used
	if binary.LittleEndian.Uint32(b[16:]) == 3 && head == 40 {
		off += 12 // masks of the colours
	}
	if used > 256 || off > int64(len(b))+14 {
		return b
	}
	out := append(make([]byte, 0, len(b)+14), 'B', 'M')
	out = binary.LittleEndian.AppendUint32(out, uint32(len(b)+14))
	out = binary.LittleEndian.AppendUint32(out, 0)
	out = binary.LittleEndian.AppendUint32(out, uint32(off))
	return append(out, b...)
}

// fromDDB makes a BMP file of a bitmap of a device: one bit a pixel, or 24, for
// those need no palette. Lines are even bytes long and stand from the top.
func fromDDB(p *picture) []byte {
	w, h, bits, line := p.value("picw"), p.value("pich"), p.value("wbmbitspixel"), p.value("wbmwidthbytes")
	if bits == 0 {
		bits = 1
	}
	if bits != 1 && bits != 24 || w <= 0 || h <= 0 || w > 1<<16 || h > 1<<16 || line < (w*bits+7)/8 || int64(line)*int64(h) > int64(len(p.data)) {
		return p.data
	}
	pad := (w*bits + 31) / 32 * 4
	out := binary.LittleEndian.AppendUint32(nil, 40)
	out = binary.LittleEndian.AppendUint32(out, uint32(w))
	out = binary.LittleEndian.AppendUint32(out, uint32(h))
	out = binary.LittleEndian.AppendUint16(out, 1)
	out = binary.LittleEndian.AppendUint16(out, uint16(bits))
	out = append(out, make([]byte, 24)...)
	if bits == 1 {
		out = append(out, 0, 0, 0, 0, 255, 255, 255, 0)
	}
	for y := h - 1; y >= 0; y-- {
		row := p.data[y*line : y*line+(w*bits+7)/8]
		out = append(append(out, row...), make([]byte, pad-len(row))...)
	}
	return fromDIB(out)
}

// greySquare stands in the place of a picture that could not be treated.
func (d *document) greySquare() []byte {
	if d.grey == nil {
		d.grey = d.s.Square(d.ctx, square.PNG())
	}
	return d.grey
}
