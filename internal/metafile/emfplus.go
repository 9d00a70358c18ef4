package metafile

// The types of objects of EMF+ that a picture can stand in. [MS-EMFPLUS] 2.1.1.22.
const (
	plusBrush = 1
	plusPen   = 2
	plusImage = 5
)

// plusReader walks the records of EMF+ through the comments of one metafile. A
// large object is cut into pieces, one record each, over several comments.
type plusReader struct {
	open   uint16 // flags of the object whose pieces follow, without the bit for it; 0 for none
	left   int64  // octets of it that are still to come
	refuse bool   // its first piece was not kept
}

// continued is the bit of an object that says that more of it follows.
const continued = 0x8000

// comment reports whether the records in one comment may stay. [MS-EMFPLUS]
// 2.1.1.1: 0x4001 to 0x403A; objects that hold a metafile do not stay.
func (p *plusReader) comment(b []byte) bool {
	keep := true
	// All records are read, also behind one that may not stay: the pieces of an
	// object follow on in the next comment.
	for len(b) > 0 {
		if len(b) < 12 {
			return false
		}
		t, flags, n, data := le.Uint16(b), le.Uint16(b[2:]), int64(le.Uint32(b[4:])), int64(le.Uint32(b[8:]))
		if t < 0x4001 || t > 0x403A || n < 12 || n%4 != 0 || n > int64(len(b)) {
			return false
		}
		r := b[:n]
		b = b[n:]
		if t != 0x4008 {
			// 0x4003 is a comment, of anything; 0x4038 an effect in a form of its own.
			keep = keep && data <= n-12 && t != 0x4003 && t != 0x4038
			p.open = 0
			continue
		}
		keep = p.object(flags, r) && keep
	}
	return keep
}

// object reports whether a record of an object, or of a piece of one, may stay.
// [MS-EMFPLUS] 2.3.5.1.
func (p *plusReader) object(flags uint16, r []byte) bool {
	if flags&continued != 0 {
		return p.piece(flags, r)
	}
	n := int64(le.Uint32(r[8:]))
	if n > int64(len(r))-12 {
		return false
	}
	body := r[12 : 12+n]
	if p.open != 0 && p.open == flags {
		refused, left := p.refuse, p.left
		p.open = 0
		if refused || n == left || n <= left && left < n+4 {
			return !refused
		}
		// It is not what was missing. Some take it for that, some for a new one.
	}
	p.open = 0
	return harmless(flags>>8, body)
}

// piece reports whether a record that is not the last of its object may stay.
func (p *plusReader) piece(flags uint16, r []byte) bool {
	id := flags &^ continued
	if len(r) < 20 {
		p.open, p.refuse, p.left = id, true, 0
		return false
	}
	// The length of the whole and that of what is here stand one behind the other.
	// The specification and the writers differ in which is first.
	total, here := int64(le.Uint32(r[8:])), int64(le.Uint32(r[12:]))
	rest := int64(len(r)) - 16
	switch {
	case here <= rest && here > rest-4:
	case total-4 <= rest && total-4 > rest-4:
		total, here = here, total-4
	default:
		p.open, p.refuse, p.left = id, true, 0
		return false
	}
	body := r[16 : 16+here]
	if p.open != id {
		p.open, p.left, p.refuse = id, total, !harmless(id>>8, body)
	}
	p.left -= here
	// Behind the last octet another object begins, for those who count.
	p.refuse = p.refuse || p.left <= 0
	return !p.refuse
}

// harmless reports whether an object, or the beginning of one, draws and no more.
// [MS-EMFPLUS] 2.2.1: a version, then what the object is.
func harmless(kind uint16, b []byte) bool {
	switch kind {
	case plusImage:
		// Type 1 is a bitmap, 2 a metafile in the metafile.
		return len(b) >= 8 && le.Uint32(b[4:]) == 1
	case plusBrush:
		return brush(b)
	case plusPen:
		return pen(b)
	default:
		return true
	}
}

// brush reports whether a brush has no metafile in it. [MS-EMFPLUS] 2.2.1.1,
// 2.2.2.45.
func brush(b []byte) bool {
	if len(b) < 8 {
		return false
	}
	const texture, last = 2, 4
	switch kind := le.Uint32(b[4:]); {
	case kind > last:
		return false
	case kind != texture:
		return true
	}
	at := 16
	if len(b) >= 12 && le.Uint32(b[8:])&2 != 0 {
		at += 24 // how it is turned
	}
	switch {
	case len(b) == at:
		return true // no picture at all
	case len(b) < at+8:
		return false
	default:
		return le.Uint32(b[at+4:]) == 1
	}
}

// pen reports whether the brush of a pen has no metafile in it. [MS-EMFPLUS]
// 2.2.1.7, 2.2.2.33, 2.2.2.34.
func pen(b []byte) bool {
	if len(b) < 20 {
		return false
	}
	flags, at := le.Uint32(b[8:]), int64(20)
	for i, size := range []int64{24, 4, 4, 4, 4, 4, 4, 4, -4, 4, -4, -1, -1} {
		if flags&(1<<i) == 0 {
			continue
		}
		if size < 0 { // counted, in elements of so many octets
			if at+4 > int64(len(b)) {
				return false
			}
			size = 4 - size*int64(le.Uint32(b[at:]))
		}
		if at += size; at > int64(len(b)) {
			return false
		}
	}
	return brush(b[at:])
}
