package detect

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"strconv"
)

// Raster formats without a magic that says all: their headers have to hold
// together.

// paintbrush reports whether a file opens as a PCX picture does (ZSoft, PCX
// Technical Reference Manual, revision 5).
func paintbrush(h []byte) bool {
	if len(h) < 128+1 || h[0] != 10 || h[1] > 5 || h[1] == 1 || h[2] > 1 || h[64] != 0 {
		return false
	}
	le := binary.LittleEndian
	switch h[3] {
	case 1, 2, 4, 8:
	default:
		return false
	}
	width, height := int(le.Uint16(h[8:]))-int(le.Uint16(h[4:]))+1, int(le.Uint16(h[10:]))-int(le.Uint16(h[6:]))+1
	return width > 0 && height > 0 && h[65] >= 1 && h[65] <= 4 && 8*int(le.Uint16(h[66:])) >= width*int(h[3])
}

// portable reports whether a file is a picture of Netpbm, P1 to P7 (pbm(5),
// pgm(5), ppm(5), pam(5)). A letter may open with P1 too: the numbers of a header
// have to follow, and as many octets as the picture has at least.
func portable(f *file) bool {
	h := f.head
	if len(h) < 8 || h[0] != 'P' || h[1] < '1' || h[1] > '7' {
		return false
	}
	if h[1] == '7' {
		i := bytes.Index(h[:min(len(h), 4096)], []byte("\nENDHDR\n"))
		return h[2] == '\n' && i > 0 && bytes.Contains(h[:i], []byte("\nWIDTH ")) && bytes.Contains(h[:i], []byte("\nHEIGHT "))
	}
	kind := int64(h[1] - '0')
	rest := h[2:]
	number := func() (int64, bool) {
		blanks := 0
		for len(rest) > 0 {
			switch c := rest[0]; {
			case c == '#':
				i := bytes.IndexAny(rest, "\r\n")
				if i < 0 {
					return 0, false
				}
				rest = rest[i:]
				continue
			case c == ' ' || c >= '\t' && c <= '\r':
				rest, blanks = rest[1:], blanks+1
				continue
			}
			break
		}
		n := 0
		for n < len(rest) && n < 8 && rest[n] >= '0' && rest[n] <= '9' {
			n++
		}
		v, err := strconv.ParseInt(string(rest[:n]), 10, 64)
		rest = rest[n:]
		blank := len(rest) > 0 && (rest[0] == ' ' || rest[0] >= '\t' && rest[0] <= '\r' || rest[0] == '#')
		return v, err == nil && v > 0 && blanks > 0 && blank
	}
	width, ok := number()
	if !ok || width > 1<<20 {
		return false
	}
	height, ok := number()
	if !ok || height > 1<<20 {
		return false
	}
	most := int64(1)
	if kind != 1 && kind != 4 {
		if most, ok = number(); !ok || most > 65535 {
			return false
		}
	}
	samples := width * height
	if kind == 3 || kind == 6 {
		samples *= 3
	}
	switch left := f.Size - int64(len(h)-len(rest)) - 1; {
	case kind == 4:
		return left >= (width+7)/8*height
	case kind == 1:
		samples-- // digits, perhaps with nothing between them
		fallthrough
	case kind <= 3:
		// Whatever follows is digits, or this is text.
		for len(rest) > 0 && left >= samples {
			switch c := rest[0]; {
			case c == '#':
				i := bytes.IndexAny(rest, "\r\n")
				if i < 0 {
					return int64(len(h)) < f.Size
				}
				rest = rest[i:]
			case c >= '0' && c <= '9', c == ' ', c >= '\t' && c <= '\r':
				rest = rest[1:]
			default:
				return false
			}
		}
		return left >= samples
	case most > 255:
		samples *= 2
		fallthrough
	default:
		return left >= samples
	}
}

// targa reports whether a file is a TGA picture. Its first version has nothing to
// know it by but the numbers of a header (Truevision TGA 2.0, C.2): they have to
// hold together, and the file has to end where its pixels do. The second version
// has a mark at its end.
func (f *file) targa() bool {
	h := f.head
	if len(h) < 18+1 {
		return false
	}
	le := binary.LittleEndian
	kind, runs := h[2]&^8, h[2]&8 != 0
	palette, entry := int64(le.Uint16(h[5:])), int64(h[7])
	width, height, bits := int64(le.Uint16(h[12:])), int64(le.Uint16(h[14:])), int64(h[16])
	switch {
	case width == 0 || height == 0 || h[17]&0xc0 != 0 || h[1] > 1:
		return false
	case h[1] == 1 && entry != 15 && entry != 16 && entry != 24 && entry != 32:
		return false
	case h[1] == 0 && palette != 0:
		return false
	case kind == 1 && h[1] == 1 && (bits == 8 || bits == 16):
	case kind == 2 && (bits == 15 || bits == 16 || bits == 24 || bits == 32):
	case kind == 3 && (bits == 8 || bits == 16):
	default:
		return false
	}
	at, size := 18+int64(h[0]), (bits+7)/8
	if h[1] == 1 {
		at += palette * ((entry + 7) / 8)
	}
	end := at + width*height*size
	marked := bytes.HasSuffix(f.tail, []byte("TRUEVISION-XFILE.\x00"))
	if runs {
		// A run is at most 128 pixels.
		if end = at + (width*height+127)/128*(1+size); !marked && f.Size >= end {
			end = f.runs(at, size, width*height)
		}
	}
	return f.Size == end || marked && f.Size > end
}

// runs is where the runs of so many pixels end, or -1 where they do not.
func (f *file) runs(at, size, pixels int64) int64 {
	r := bufio.NewReader(io.NewSectionReader(f, at, f.Size-at))
	for pixels > 0 {
		c, err := r.ReadByte()
		if err != nil {
			return -1
		}
		n := int64(c&0x7f) + 1
		octets := size
		if pixels -= n; c < 0x80 {
			octets *= n
		}
		if m, _ := r.Discard(int(octets)); int64(m) < octets {
			return -1
		}
		at += 1 + octets
	}
	return at
}
