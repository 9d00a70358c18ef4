package doc

import (
	"slices"

	"sekisho/internal/lazy"
)

// Properties of characters, paragraphs, tables, sections and pictures stand as a
// list of single changes, sprms: a number that says what changes and how long
// its value is, and the value. [MS-DOC] 2.2.5.
const (
	sprmCPicLocation = 0x6A03
	sprmCFData       = 0x0806
	sprmCFOle2       = 0x080A
	sprmCObjLocation = 0x680E
	sprmCFObj        = 0x0856
	sprmCFSpec       = 0x0855
	sprmCFRMarkDel   = 0x0800
	sprmCFRMarkIns   = 0x0801
	sprmCPropRMark90 = 0xCA57
	sprmCPropRMark   = 0xCA89
	sprmPPropRMark90 = 0xC63F
	sprmPPropRMark   = 0xC66F
	sprmPHugePapx    = 0x6646
	sprmPHugePapx95  = 0x6645
	sprmPTableProps  = 0x646B
	sprmTDefTable    = 0xD608
	sprmTDefTable10  = 0xD606
	sprmPChgTabs     = 0xC615
)

// characterSprms are the sprms of characters that say how a letter looks, who
// changed it and in which language it is. [MS-DOC] 2.6.1. Those that lead into
// other streams are not among them.
var characterSprms = lazy.Value[map[uint16]bool]{Make: func() map[uint16]bool {
	m := map[uint16]bool{}
	for _, n := range []uint16{
		0x0800, 0x0801, 0x0802, 0x4804, 0x6805, 0x4807, 0x6A09, 0x2A0C, 0x4A10, 0x0811, 0x6815, 0x6816, 0x6817, 0x0818, 0xC81A,
		0x4A30, 0xCA31, 0x2A32, 0x2A33, 0x2A34, 0x0835, 0x0836, 0x0837, 0x0838, 0x0839, 0x083A, 0x083B, 0x083C, 0x4A3D, 0x2A3E, 0xEA3F,
		0x8840, 0x4A41, 0x2A42, 0x4A43, 0x2A44, 0x4845, 0x2A46, 0xCA47, 0x2A48, 0xCA49, 0xCA4A, 0x484B, 0xCA4C, 0x4A4D, 0x484E, 0x4A4F,
		0x4A50, 0x4A51, 0x4852, 0x0853, 0x0854, 0x0855, 0xCA57, 0x0858, 0x2859, 0x085A, 0x085C, 0x085D, 0x4A5E, 0x485F,
		0x4A60, 0x4A61, 0xCA62, 0x4863, 0x6864, 0x6865, 0x4866, 0x4867, 0x0868, 0x486D, 0x486E, 0x286F,
		0x6870, 0xCA71, 0xCA72, 0x4873, 0x4874, 0x0875, 0xCA76, 0x6877, 0xCA78, 0x2879, 0x0882, 0x2A83, 0xCA85, 0x2A86, 0x6887, 0x4888, 0xCA89, 0x2A90,
	} {
		m[n] = true
	}
	return m
}}

// The groups of sprms, bits 10 to 12 of their number. [MS-DOC] 2.2.5.1.
const (
	groupParagraph = 1
	groupCharacter = 2
	groupPicture   = 3
	groupSection   = 4
	groupTable     = 5
)

// sprm is one change.
type sprm struct {
	op    uint16
	value []byte // with its own length, where it has one
}

// nextSprm takes a change off the front of a list; false at the end, and where
// one is cut short.
func nextSprm(b []byte) (p sprm, rest []byte, ok bool) {
	if len(b) < 2 {
		return p, nil, false
	}
	p.op = le.Uint16(b)
	b = b[2:]
	n := 0
	switch p.op >> 13 {
	case 0, 1:
		n = 1
	case 2, 4, 5:
		n = 2
	case 3:
		n = 4
	case 7:
		n = 3
	default: // its length is in its first octet
		switch {
		case p.op == sprmTDefTable || p.op == sprmTDefTable10:
			// Two octets, and one more than there is.
			if len(b) < 2 {
				return p, nil, false
			}
			n = max(int(le.Uint16(b))+1, 2)
		case p.op == sprmPChgTabs && len(b) > 1 && b[0] == 255:
			// [MS-DOC] 2.9.180: too long for an octet, so counted by its parts.
			deleted := int(b[1])
			at := 2 + 4*deleted
			if at >= len(b) {
				return p, nil, false
			}
			n = at + 1 + 3*int(b[at])
		default:
			if len(b) < 1 {
				return p, nil, false
			}
			n = 1 + int(b[0])
		}
	}
	if n > len(b) {
		return p, nil, false
	}
	p.value = b[:n]
	return p, b[n:], true
}

func (p sprm) appendTo(b []byte) []byte { return append(le.AppendUint16(b, p.op), p.value...) }

// harmless reports whether a change holds nothing but numbers about looks.
func (p sprm) harmless() bool {
	switch p.op >> 10 & 7 {
	case groupCharacter:
		return characterSprms.Get()[p.op]
	case groupParagraph:
		return p.op != sprmPHugePapx && p.op != sprmPHugePapx95 && p.op != sprmPTableProps
	case groupPicture, groupSection, groupTable:
		return true
	default:
		return false
	}
}

// plain leaves of a list what says how something looks. It is for lists that
// have no business with pictures and objects: of styles, numberings, sections.
func plain(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for p, rest, ok := nextSprm(b); ok; p, rest, ok = nextSprm(rest) {
		if p.harmless() {
			out = p.appendTo(out)
		}
	}
	return out
}

// properties is what stays of the properties of a run of characters.
type properties struct {
	b       []byte
	special bool   // its characters stand for something else than themselves
	lost    bool   // and what they stand for is gone
	why     string // as far as a reader would miss it
}

// run returns what stays of the properties of a run of characters. stands tells
// whether any of them stands for a picture: Word gives a place to others too,
// which means nothing.
func (d *document) run(b []byte, stands bool) (r properties, err error) {
	// Which of the streams a place leads into depends on other changes of the
	// same run, in whatever order they stand.
	var place uint32
	var has, data, object bool
	for p, rest, ok := nextSprm(b); ok; p, rest, ok = nextSprm(rest) {
		switch p.op {
		case sprmCPicLocation:
			place, has = le.Uint32(p.value), true
		case sprmCFData:
			data = p.value[0] != 0
		case sprmCFOle2:
			object = p.value[0] != 0
		case sprmCFSpec:
			r.special = p.value[0] != 0
		case sprmCFRMarkDel, sprmCFRMarkIns:
			d.tracked = d.tracked || p.value[0] != 0
		case sprmCPropRMark, sprmCPropRMark90:
			d.tracked = true
		}
	}
	var at block
	switch {
	case !has || !stands:
	case object:
		// The place of an object is its number in ObjectPool.
		at, err = d.preview(place)
	case data:
		at, err = d.formData(place)
	default:
		at, err = d.picture(place)
	}
	if err != nil {
		return properties{}, err
	}
	r.b = make([]byte, 0, len(b))
	for p, rest, ok := nextSprm(b); ok; p, rest, ok = nextSprm(rest) {
		switch {
		case p.op == sprmCPicLocation && at.placed:
			r.b = sprm{p.op, le.AppendUint32(nil, at.to)}.appendTo(r.b)
		case p.op == sprmCFData && at.placed && data:
			r.b = sprm{p.op, []byte{1}}.appendTo(r.b)
		case p.harmless():
			r.b = p.appendTo(r.b)
		}
	}
	r.lost, r.why = has && !at.placed, at.why
	return r, nil
}

// paragraph is what stays of the properties of a paragraph. What is too long for
// a page stands in Data, and is taken over from there.
func (d *document) paragraph(b []byte) ([]byte, error) {
	out := make([]byte, 0, len(b))
	for p, rest, ok := nextSprm(b); ok; p, rest, ok = nextSprm(rest) {
		d.tracked = d.tracked || p.op == sprmPPropRMark || p.op == sprmPPropRMark90
		switch {
		case p.op == sprmPHugePapx || p.op == sprmPHugePapx95 || p.op == sprmPTableProps:
			at, err := d.hugeProperties(le.Uint32(p.value))
			if err != nil {
				return nil, err
			}
			if at.placed {
				out = sprm{p.op, le.AppendUint32(nil, at.to)}.appendTo(out)
			}
		case p.harmless():
			out = p.appendTo(out)
		}
	}
	return out, nil
}

// withoutSpecial takes the mark off a run that its characters are special.
func withoutSpecial(b []byte) []byte {
	out := make([]byte, 0, len(b))
	for p, rest, ok := nextSprm(b); ok; p, rest, ok = nextSprm(rest) {
		if p.op != sprmCFSpec {
			out = p.appendTo(out)
		}
	}
	return out
}

// modifier is what stays of the two octets with which a piece changes its
// text: one change out of a short list, or the number of a list in Clx.
// [MS-DOC] 2.9.215, 2.9.214.
func modifier(prm uint16) uint16 {
	if prm&1 != 0 {
		return prm
	}
	// 0x47, 0x4B and 0x76 say that a place is one of data or of an object.
	if isprm := prm >> 1 & 0x7F; slices.Contains([]uint16{0x47, 0x4B, 0x76}, isprm) {
		return 0
	}
	return prm
}
