package officeart

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image/png"
	"io"

	"sekisho/internal/metafile"
	"sekisho/internal/pict"
	"sekisho/internal/square"
)

// The kinds of pictures as a store names them. [MS-ODRAW] 2.4.1.
const (
	kindError = 0
	kindEMF   = 2
	kindWMF   = 3
	kindJPEG  = 5
	kindPNG   = 6
)

// The types of picture records. [MS-ODRAW] 2.2.23.
const (
	blipEMF  = 0xF01A
	blipWMF  = 0xF01B
	blipPICT = 0xF01C
	blipJPEG = 0xF01D
	blipPNG  = 0xF01E
	blipDIB  = 0xF01F
	blipTIFF = 0xF029
	blipCMYK = 0xF02A
)

// blip is a picture as it is written.
type blip struct {
	kind   byte
	uid    [16]byte
	record []byte // with its header
	at     uint32 // in the new stream of pictures
}

// store rewrites an entry of the store of pictures. [MS-ODRAW] 2.2.32.
func (r *Rebuilder) store(out []byte, h Header, body []byte) ([]byte, error) {
	const fixed = 36
	if len(body) < fixed {
		r.found(Cut, "picture entry of %d octets", len(body))
		// Shapes count the entries: it stays, empty.
		body = make([]byte, fixed)
		le.PutUint32(body[28:], noPlace)
	}
	var p blip
	var err error
	size, at, name := le.Uint32(body[20:]), le.Uint32(body[28:]), int(body[33])
	inside := body[fixed:]
	if name <= len(inside) {
		inside = inside[name:]
	}
	delayed := false
	if bh, pic, _, ok := Next(inside); ok && isBlip(bh.Type) {
		p, err = r.blip(bh, pic)
	} else if r.Delay != nil && at != noPlace && size > 0 {
		delayed = true
		p, err = r.delayed(at)
	}
	if err != nil {
		return nil, err
	}
	delayed = delayed && len(p.record) > 0
	e := make([]byte, fixed)
	e[0], e[1] = p.kind, p.kind
	copy(e[2:], p.uid[:])
	le.PutUint16(e[18:], 0xFF)
	le.PutUint32(e[20:], uint32(len(p.record)))
	le.PutUint32(e[24:], le.Uint32(body[24:])) // how many shapes use it
	le.PutUint32(e[28:], noPlace)
	if delayed {
		le.PutUint32(e[28:], p.at)
	} else {
		e = append(e, p.record...)
		if r.Delay == nil {
			// QUIRK: what stands inside has no place elsewhere, and writers say
			// so with zero.
			le.PutUint32(e[28:], 0)
		}
	}
	return AppendRecord(out, Header{Ver: 2, Instance: uint16(p.kind), Type: TypeFBSE}, e), nil
}

const noPlace = 0xFFFFFFFF

// delayed takes a picture from the old stream to the new one, once.
func (r *Rebuilder) delayed(at uint32) (blip, error) {
	if p, ok := r.moved[at]; ok {
		return p, nil
	}
	if uint64(at) >= uint64(len(r.Delay)) {
		r.found(Picture, "at %d, behind the end", at)
		return blip{}, nil
	}
	h, body, _, ok := Next(r.Delay[at:])
	if !ok || !isBlip(h.Type) {
		// QUIRK: old entries of pictures that nothing uses lead anywhere.
		r.found(Unknown, "picture at %d", at)
		return blip{}, nil
	}
	// Pictures lie beside one another. In one that is not packed many others can
	// lie, and each would be written.
	if r.taken += int64(HeaderSize + len(body)); r.taken > 2*int64(len(r.Delay)) {
		return blip{}, fmt.Errorf("pictures that lie in one another: %w", ErrLimit)
	}
	p, err := r.blip(h, body)
	if err != nil {
		return blip{}, err
	}
	p.at = r.DelayBase + uint32(len(r.Delayed))
	r.Delayed = append(r.Delayed, p.record...)
	if r.moved == nil {
		r.moved = map[uint32]blip{}
	}
	r.moved[at] = p
	return p, nil
}

// loose rewrites a picture that stands in no entry.
func (r *Rebuilder) loose(out []byte, h Header, body []byte) ([]byte, error) {
	p, err := r.blip(h, body)
	if err != nil {
		return nil, err
	}
	return append(out, p.record...), nil
}

// Blip returns the harmless form of one picture record.
func (r *Rebuilder) Blip(b []byte) ([]byte, error) {
	h, body, _, ok := Next(b)
	if !ok || !isBlip(h.Type) {
		return nil, fmt.Errorf("no picture: %w", ErrMalformed)
	}
	p, err := r.blip(h, body)
	return p.record, err
}

func (r *Rebuilder) fatal(err error) bool { return r.Fatal != nil && r.Fatal(err) }

// blip rewrites a picture. [MS-ODRAW] 2.2.23: one identifier or two, by the
// lowest bit of the instance, then what its kind has.
func (r *Rebuilder) blip(h Header, body []byte) (blip, error) {
	r.pics++
	name := fmt.Sprintf("picture %d", r.pics)
	ids := 16
	if h.Instance&1 != 0 {
		ids = 32
	}
	if h.Type == blipCMYK && h.Instance&1 == 0 || len(body) < ids {
		ids = 16
	}
	if len(body) < ids {
		return r.grey(name, "cut short")
	}
	b := body[ids:]
	switch h.Type {
	case blipEMF, blipWMF, blipPICT:
		return r.drawing(name, h.Type, b)
	case blipJPEG, blipPNG, blipDIB, blipTIFF, blipCMYK:
		if len(b) < 1 {
			return r.grey(name, "cut short")
		}
		b = b[1:] // a tag
		if h.Type == blipDIB {
			if b = bitmapFile(b); b == nil {
				return r.grey(name, "no bitmap")
			}
		}
		return r.raster(name, b)
	default:
		return r.grey(name, fmt.Sprintf("record %04X", h.Type))
	}
}

// raster has a picture of pixels encoded anew.
func (r *Rebuilder) raster(name string, file []byte) (blip, error) {
	if r.Raster == nil {
		return r.grey(name, "nobody reads pictures")
	}
	made, err := r.Raster(name, file)
	if err != nil {
		if r.fatal(err) {
			return blip{}, err
		}
		return r.grey(name, err.Error())
	}
	if p, ok := pixels(made); ok {
		return p, nil
	}
	return r.grey(name, "it became something else")
}

// pixels makes the record of a PNG or JPEG file.
func pixels(file []byte) (blip, bool) {
	p := blip{uid: md4(file)}
	h := Header{}
	switch {
	case bytes.HasPrefix(file, []byte("\x89PNG\r\n\x1a\n")):
		p.kind, h.Type, h.Instance = kindPNG, blipPNG, 0x6E0
	case bytes.HasPrefix(file, []byte{0xFF, 0xD8, 0xFF}):
		p.kind, h.Type, h.Instance = kindJPEG, blipJPEG, 0x46A
	default:
		return blip{}, false
	}
	h.Len = uint32(17 + len(file))
	p.record = append(h.Append(make([]byte, 0, HeaderSize+17+len(file))), p.uid[:]...)
	p.record = append(append(p.record, 0xFF), file...)
	return p, true
}

// drawing rewrites a drawing of Windows. [MS-ODRAW] 2.2.31: how long it is
// inflated, its bounds, its size, how long it is here, how it is packed.
func (r *Rebuilder) drawing(name string, t uint16, b []byte) (blip, error) {
	const head = 34
	if len(b) < head {
		return r.grey(name, "cut short")
	}
	raw := b[head:]
	if n := le.Uint32(b[28:]); uint64(n) <= uint64(len(raw)) {
		raw = raw[:n]
	}
	if b[32] == 0 { // deflated
		z, err := zlib.NewReader(bytes.NewReader(raw))
		if err != nil || r.Meter == nil {
			return r.grey(name, "not deflated")
		}
		full, err := io.ReadAll(r.Meter(z))
		if err != nil {
			if r.fatal(err) {
				return blip{}, err
			}
			// QUIRK: some writers leave the checksum out. What was inflated up
			// to there is the whole drawing or is refused below.
			if len(full) == 0 || !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, zlib.ErrChecksum) {
				return r.grey(name, err.Error())
			}
		}
		raw = full
	}
	var made []byte
	var err error
	p := blip{}
	h := Header{Type: t}
	switch {
	case t == blipPICT:
		m, err := pict.Decode(raw)
		if err != nil {
			return r.grey(name, err.Error())
		}
		var file bytes.Buffer
		if err := png.Encode(&file, m); err != nil {
			return blip{}, fmt.Errorf("encode a picture: %w", err)
		}
		return r.raster(name, file.Bytes())
	case metafile.IsEMF(raw):
		made, err = metafile.RewriteEMF(raw)
		p.kind, h.Type, h.Instance = kindEMF, blipEMF, 0x3D4
	case metafile.IsWMF(raw):
		made, err = metafile.RewriteWMF(raw)
		p.kind, h.Type, h.Instance = kindWMF, blipWMF, 0x216
	default:
		return r.grey(name, "no drawing of Windows")
	}
	if err != nil {
		return r.grey(name, err.Error())
	}
	if r.Drawn != nil {
		// In units of 914,400 to the inch.
		mm := func(at int) float64 { return float64(int32(le.Uint32(b[at:]))) / 36000 }
		if p, ok := pixels(r.Drawn(name, metafile.Placeable(made, mm(20), mm(24)))); ok {
			return p, nil
		}
	}
	var packed bytes.Buffer
	// Level 2 is as small as is worth the time for lists of numbers.
	z, err := zlib.NewWriterLevel(&packed, 2)
	if err != nil {
		return blip{}, fmt.Errorf("deflate a drawing: %w", err)
	}
	if _, err := z.Write(made); err != nil {
		return blip{}, fmt.Errorf("deflate a drawing: %w", err)
	}
	if err := z.Close(); err != nil {
		return blip{}, fmt.Errorf("deflate a drawing: %w", err)
	}
	p.uid = md4(made)
	h.Len = uint32(16 + head + packed.Len())
	p.record = append(h.Append(make([]byte, 0, HeaderSize+16+head+packed.Len())), p.uid[:]...)
	p.record = le.AppendUint32(p.record, uint32(len(made)))
	p.record = append(p.record, b[4:28]...) // bounds and size
	p.record = le.AppendUint32(p.record, uint32(packed.Len()))
	p.record = append(p.record, 0, 0xFE)
	p.record = append(p.record, packed.Bytes()...)
	return p, nil
}

// bitmapFile puts before a bitmap of memory the header that makes it a file.
// [MS-WMF] 2.2.2.9.
func bitmapFile(b []byte) []byte {
	if len(b) < 12 {
		return nil
	}
	if b[0] == 'B' && b[1] == 'M' {
		return b
	}
	head := le.Uint32(b)
	if uint64(head) > uint64(len(b)) {
		return nil
	}
	var colours, entry uint64
	switch {
	case head == 12:
		entry = 3
		if bits := le.Uint16(b[10:]); bits <= 8 {
			colours = 1 << bits
		}
	case head >= 40:
		entry = 4
		bits := le.Uint16(b[14:])
		if colours = uint64(le.Uint32(b[32:])); colours == 0 && bits <= 8 {
			colours = 1 << bits
		}
		if head == 40 && le.Uint32(b[16:]) == 3 { // masks of the colours
			colours += 3
		}
	default:
		return nil
	}
	at := 14 + uint64(head) + colours*entry
	if at > uint64(14+len(b)) {
		return nil
	}
	out := make([]byte, 14, 14+len(b))
	copy(out, "BM")
	le.PutUint32(out[2:], uint32(14+len(b)))
	le.PutUint32(out[10:], uint32(at))
	return append(out, b...)
}

// grey is what stands where a picture could not be read.
func (r *Rebuilder) grey(name, why string) (blip, error) {
	r.found(Picture, "%s: %s", name, why)
	if r.square == nil {
		r.square = square.PNG()
		if r.Square != nil {
			r.square = r.Square(r.square)
		}
	}
	p, ok := pixels(r.square)
	if !ok {
		return blip{}, fmt.Errorf("grey square: %w", ErrMalformed)
	}
	return p, nil
}

// md4 is the digest by which a store tells pictures apart (RFC 1320). It
// protects nothing.
func md4(b []byte) [16]byte {
	s := [4]uint32{0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476}
	n := len(b)
	for ; len(b) >= 64; b = b[64:] {
		md4Block(&s, b[:64])
	}
	var last [128]byte
	k := copy(last[:], b)
	last[k] = 0x80
	end := 64
	if k >= 56 {
		end = 128
	}
	binary.LittleEndian.PutUint64(last[end-8:], uint64(n)<<3)
	for i := 0; i < end; i += 64 {
		md4Block(&s, last[i:i+64])
	}
	var out [16]byte
	for i, v := range s {
		binary.LittleEndian.PutUint32(out[4*i:], v)
	}
	return out
}

func md4Block(s *[4]uint32, b []byte) {
	var x [16]uint32
	for i := range x {
		x[i] = binary.LittleEndian.Uint32(b[4*i:])
	}
	a, bb, c, d := s[0], s[1], s[2], s[3]
	step := func(f uint32, k int, add uint32, shift uint) {
		v := a + f + x[k] + add
		a, d, c, bb = d, c, bb, v<<shift|v>>(32-shift)
	}
	for i := range 16 {
		step(bb&c|^bb&d, i, 0, [4]uint{3, 7, 11, 19}[i%4])
	}
	for i := range 16 {
		step(bb&c|bb&d|c&d, i%4*4+i/4, 0x5A827999, [4]uint{3, 5, 9, 13}[i%4])
	}
	for i, k := range [16]int{0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15} {
		step(bb^c^d, k, 0x6ED9EBA1, [4]uint{3, 9, 11, 15}[i%4])
	}
	s[0] += a
	s[1] += bb
	s[2] += c
	s[3] += d
}
