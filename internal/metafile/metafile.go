// Package metafile writes drawings of Windows (EMF with EMF+, WMF) anew.
//
// Metafiles are lists of drawing calls. Each record says its own length, so the
// list can be checked and written anew with only those calls that draw: no
// escapes into a printer driver (MS06-001), no OpenGL, no colour profiles by
// path, no second picture in another format inside a comment. Documents keep
// their drawings as what they are, since readers of documents show nothing else
// in their place.
package metafile

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed says that a drawing's records do not fit into one another.
var ErrMalformed = errors.New("malformed metafile")

var le = binary.LittleEndian

// IsEMF reports whether b begins like an EMF file. [MS-EMF] 2.3.4.2.
func IsEMF(b []byte) bool {
	return len(b) >= 88 && le.Uint32(b) == 1 && string(b[40:44]) == " EMF"
}

// IsWMF reports whether b begins like a WMF file, placeable or not. [MS-WMF]
// 2.3.2.2, 2.3.2.3.
func IsWMF(b []byte) bool {
	if len(b) >= 22+18 && le.Uint32(b) == 0x9AC6CDD7 {
		b = b[22:]
	}
	return len(b) >= 18 && (le.Uint16(b) == 1 || le.Uint16(b) == 2) && le.Uint16(b[2:]) == 9 && (le.Uint16(b[4:]) == 0x300 || le.Uint16(b[4:]) == 0x100)
}

// emfDraws lists the EMF records that only draw. [MS-EMF] 2.1.1.
func emfDraws(t uint32) bool {
	switch {
	case t >= 2 && t <= 68, t >= 71 && t <= 95:
		return true
	}
	switch t {
	case 98, // SETICMMODE
		108, // SMALLTEXTOUT
		114, // ALPHABLEND
		115, // SETLAYOUT
		116, // TRANSPARENTBLT
		118, // GRADIENTFILL
		120: // SETTEXTJUSTIFICATION
		return true
	default:
		return false
	}
}

func badMetafile(format string, a ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), ErrMalformed)
}

// RewriteEMF returns the metafile with only the records that draw.
func RewriteEMF(b []byte) ([]byte, error) {
	head := int64(le.Uint32(b[4:]))
	if head < 88 || head%4 != 0 || head > int64(len(b)) {
		return nil, badMetafile("header of %d bytes", head)
	}
	out := append(make([]byte, 0, len(b)), b[:head]...)
	records, ended := uint32(1), false
	var plus plusReader
	for i := head; !ended; {
		if i+8 > int64(len(b)) {
			return nil, badMetafile("no end")
		}
		t, n := le.Uint32(b[i:]), int64(le.Uint32(b[i+4:]))
		if n < 8 || n%4 != 0 || n > int64(len(b))-i {
			return nil, badMetafile("record of %d bytes", n)
		}
		r := b[i : i+n]
		i += n
		switch {
		case t == 14: // EOF
			// Its palette may be anywhere in it; none is wanted.
			eof := make([]byte, 20)
			le.PutUint32(eof, 14)
			le.PutUint32(eof[4:], 20)
			le.PutUint32(eof[12:], 16)
			le.PutUint32(eof[16:], 20)
			out = append(out, eof...)
			records++
			ended = true
		case t == 70:
			if emfComment(r, &plus) {
				out = append(out, r...)
				records++
			}
		case emfDraws(t) && emfFits(t, r):
			out = append(out, r...)
			records++
		}
	}
	le.PutUint32(out[48:], uint32(len(out)))
	le.PutUint32(out[52:], records)
	le.PutUint32(out[68:], 0) // palette entries
	// The description is text of the program that drew it. It and the extensions
	// of the header go, but for the size in micrometres (8 bytes at 100).
	described := le.Uint32(out[60:]) > 0 && le.Uint32(out[64:]) < 108
	le.PutUint32(out[60:], 0)
	le.PutUint32(out[64:], 0)
	for i := 88; i < int(head); i++ {
		if i < 100 || i >= 108 || described {
			out[i] = 0
		}
	}
	return out, nil
}

// emfComment keeps EMF+ and the marks of groups. [MS-EMF] 2.3.3.
func emfComment(r []byte, plus *plusReader) bool {
	if len(r) < 16 || le.Uint32(r[8:]) < 4 || int64(le.Uint32(r[8:]))+12 > int64(len(r)) {
		return false
	}
	switch string(r[12:16]) {
	case "EMF+":
		return plus.comment(r[16 : 12+le.Uint32(r[8:])])
	case "GDIC":
		if len(r) < 20 {
			return false
		}
		t := le.Uint32(r[16:])
		return t == 2 || t == 3 // BEGINGROUP, ENDGROUP
	default:
		return false
	}
}

// emfFits checks that the counts in a record lie within it.
func emfFits(t uint32, r []byte) bool {
	n := int64(len(r))
	u := func(at int64) int64 {
		if at+4 > n {
			return 1 << 40
		}
		return int64(le.Uint32(r[at:]))
	}
	within := func(off, size int64) bool { return size == 0 || off >= 8 && off <= n && size <= n-off }
	switch t {
	case 2, 3, 4, 5, 6: // points of 8 bytes
		return 28+8*u(24) <= n
	case 85, 86, 87, 88, 89: // points of 4
		return 28+4*u(24) <= n
	case 7, 8:
		return 32+4*u(24)+8*u(28) <= n
	case 90, 91:
		return 32+4*u(24)+4*u(28) <= n
	case 56:
		return 28+9*u(24) <= n
	case 92:
		return 28+5*u(24) <= n
	case 84, 83: // EXTTEXTOUT
		width := int64(2)
		if t == 83 {
			width = 1
		}
		count, off, dx := u(44), u(48), u(72)
		return within(off, width*count) && within(dx, 4*count)
	case 76, 77, 114, 116: // BITBLT, STRETCHBLT and their kin
		return within(u(84), u(88)) && within(u(92), u(96))
	case 78:
		return within(u(84), u(88)) && within(u(92), u(96)) && within(u(108), u(112)) && within(u(116), u(120))
	case 79:
		return within(u(96), u(100)) && within(u(104), u(108)) && within(u(120), u(124)) && within(u(128), u(132))
	case 80, 81:
		return within(u(48), u(52)) && within(u(56), u(60))
	case 93, 94:
		return within(u(16), u(20)) && within(u(24), u(28))
	case 95: // EXTCREATEPEN
		return within(u(12), u(16)) && within(u(20), u(24)) && 52+4*u(48) <= n
	case 71, 72, 73, 74:
		at := int64(28)
		if t == 71 {
			at = 32
		}
		if t == 72 {
			at = 40
		}
		return at+u(24) <= n
	case 75:
		return 16+u(8) <= n
	case 49:
		return n >= 16 && 16+4*int64(le.Uint16(r[14:])) <= n
	case 118:
		return 36+16*u(24) <= n && u(28) < n
	default:
		return true
	}
}
