package verify

import (
	"bytes"
	"encoding/binary"
	"image/gif"
	"image/jpeg"
	"slices"

	"golang.org/x/image/tiff"

	"sekisho/sanitize"
)

// checkGIF walks the blocks of the file: pictures, their times, how often the
// whole repeats; no comment, no text, nothing behind the end. Then it decodes.
func checkGIF(s *sanitize.Session, where string, b []byte) error {
	if len(b) < 14 || string(b[:6]) != "GIF89a" {
		return notAllowed(where, "GIF: no header")
	}
	palette := func(flags byte) int {
		if flags&0x80 == 0 {
			return 0
		}
		return 3 << (flags&7 + 1)
	}
	blocks := func(i int) int { // the octet behind a chain of data blocks, -1 without an end
		for i < len(b) {
			n := int(b[i])
			if i += n + 1; n == 0 {
				return i
			}
		}
		return -1
	}
	pictures := 0
	for i := 13 + palette(b[10]); ; {
		if i < 0 || i >= len(b) {
			return notAllowed(where, "GIF: no end")
		}
		switch {
		case b[i] == 0x3b:
			if i != len(b)-1 {
				return notAllowed(where, "GIF: %d octets behind its end", len(b)-1-i)
			}
			if pictures == 0 {
				return notAllowed(where, "GIF: no picture")
			}
			if _, err := gif.DecodeAll(bytes.NewReader(b)); err != nil {
				return notAllowed(where, "GIF: %v", err)
			}
			return nil
		case b[i] == 0x2c && i+10 < len(b):
			pictures++
			w, h := int(binary.LittleEndian.Uint16(b[i+5:])), int(binary.LittleEndian.Uint16(b[i+7:]))
			if err := s.SpendPixels(w, h); err != nil {
				return err
			}
			i = blocks(i + 10 + palette(b[i+9]) + 1)
		case bytes.HasPrefix(b[i:], []byte{0x21, 0xf9, 4}) && i+8 <= len(b) && b[i+7] == 0:
			i += 8
		case bytes.HasPrefix(b[i:], []byte("\x21\xff\x0bNETSCAPE2.0\x03\x01")) && i+19 <= len(b) && b[i+18] == 0:
			i += 19
		default:
			return notAllowed(where, "GIF: block %#02x", b[i])
		}
	}
}

// checkTIFF walks the pages: they lie one behind the other, each with one
// packed strip and no value that is not about its pixels, and together they are
// the file. Then it decodes them.
func checkTIFF(s *sanitize.Session, where string, b []byte) error {
	if len(b) < 8 || string(b[:4]) != "II*\x00" || binary.LittleEndian.Uint32(b[4:]) != 8 {
		return notAllowed(where, "TIFF: no header")
	}
	allowed := []uint16{256, 257, 258, 259, 262, 273, 274, 277, 278, 279, 282, 283, 284, 296, 317, 320, 338, 530}
	at := 8
	first := slices.Clone(b) // whose header points to one page after the other
	for page := 1; ; page++ {
		if page > 500 || at+2 > len(b) {
			return notAllowed(where, "TIFF: page %d", page)
		}
		n := int(binary.LittleEndian.Uint16(b[at:]))
		end := at + 2 + 12*n + 4
		if n > len(allowed) || end > len(b) {
			return notAllowed(where, "TIFF: directory of %d entries", n)
		}
		var width, height, compression, strip, size uint32
		beyond := end
		for i := range n {
			e := b[at+2+12*i:]
			tag, typ, count, v := binary.LittleEndian.Uint16(e), binary.LittleEndian.Uint16(e[2:]), binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])
			most := uint32(4)
			if tag == 320 { // a palette: three numbers for each colour
				most = 3 * 256
			}
			if !slices.Contains(allowed, tag) || count > most {
				return notAllowed(where, "TIFF: tag %d with %d values", tag, count)
			}
			bytesOf := map[uint16]int{3: 2, 4: 4, 5: 8}[typ] * int(count)
			if bytesOf == 0 {
				return notAllowed(where, "TIFF: tag %d of type %d", tag, typ)
			}
			if bytesOf > 4 {
				if int(v) != beyond {
					return notAllowed(where, "TIFF: tag %d points to octet %d", tag, v)
				}
				beyond += bytesOf
			}
			switch tag {
			case 256:
				width = v
			case 257:
				height = v
			case 259:
				compression = v
			case 273:
				strip = v
			case 279:
				size = v
			}
		}
		if compression != 8 && compression != 7 && compression != 4 || int64(strip) != int64(beyond) || int64(strip)+int64(size) > int64(len(b)) || width > 1<<30 || height > 1<<30 {
			return notAllowed(where, "TIFF: page %d", page)
		}
		if err := s.SpendPixels(int(width), int(height)); err != nil {
			return err
		}
		if compression == 7 {
			// The library knows no JPEG in a TIFF.
			photo := b[strip : int64(strip)+int64(size)]
			c, err := jpeg.DecodeConfig(bytes.NewReader(photo))
			if err != nil || c.Width != int(width) || c.Height != int(height) {
				return notAllowed(where, "TIFF: page %d: JPEG of %d x %d: %v", page, c.Width, c.Height, err)
			}
			if err := checkJPEG(s, where, photo); err != nil {
				return err
			}
		} else {
			binary.LittleEndian.PutUint32(first[4:], uint32(at))
			if _, err := tiff.Decode(bytes.NewReader(first)); err != nil {
				return notAllowed(where, "TIFF: page %d: %v", page, err)
			}
		}
		next := binary.LittleEndian.Uint32(b[end-4:])
		at = int(strip) + int(size) + int(size)&1
		if next == 0 {
			if at != len(b) {
				return notAllowed(where, "TIFF: %d octets behind its end", len(b)-at)
			}
			return nil
		}
		if int64(next) != int64(at) {
			return notAllowed(where, "TIFF: page %d is elsewhere", page+1)
		}
	}
}
