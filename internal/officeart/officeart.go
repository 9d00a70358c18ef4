// Package officeart writes the drawings of binary Office documents anew: the
// records that [MS-ODRAW] describes and that doc, xls and ppt have in common,
// shapes, their properties and the store of pictures.
//
// In come records as a host document holds them, from strangers; out go records
// of the same meaning from an allow-list of types, properties and sizes, every
// length and offset counted anew. Pictures are handed to the host, which has
// them decoded and encoded; drawings of Windows are rewritten call by call.
// What leads out of the document (linked pictures, hyperlinks to anything but
// the web and mail), what runs or once ran (scripts, web components, objects)
// and what is a second copy in another format (the package of a newer shape)
// stays behind, and the host is told.
//
// What a shape means to its host (the client records) is the host's to judge.
// The package lays nothing out and does not know how a shape looks.
//
// Reading is tolerant where applications are: a record that runs beyond its
// container is left out with all that follows in that container, and told.
package officeart

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/lazy"
)

// ErrMalformed says that something does not hold together.
var ErrMalformed = errors.New("malformed")

// ErrLimit says that a drawing nests deeper or holds more than any real one.
var ErrLimit = errors.New("over a limit")

// The limits of one document.
const (
	// maxDepth is how deep groups stand in groups. People nest some few; readers
	// recurse, and are crashed by thousands.
	maxDepth = 64
	// maxRecords is how many records the drawings of a document have in all.
	// The largest real ones have some ten thousand.
	maxRecords = 2_000_000
)

// The types of records. [MS-ODRAW] 2.2, 1.3.
const (
	TypeDggContainer   = 0xF000 // all drawings of a document
	TypeBStore         = 0xF001 // its pictures
	TypeDgContainer    = 0xF002 // one drawing
	TypeSpgrContainer  = 0xF003 // a group
	TypeSpContainer    = 0xF004 // a shape
	TypeSolver         = 0xF005
	typeFDGG           = 0xF006
	TypeFBSE           = 0xF007
	typeFDG            = 0xF008
	typeFSPGR          = 0xF009
	typeFSP            = 0xF00A
	typeFOPT           = 0xF00B
	TypeClientTextbox  = 0xF00D
	TypeChildAnchor    = 0xF00F
	TypeClientAnchor   = 0xF010
	TypeClientData     = 0xF011
	typeConnectorRule  = 0xF012
	typeArcRule        = 0xF014
	typeCalloutRule    = 0xF017
	typeBlipFirst      = 0xF018
	typeBlipLast       = 0xF117
	typeFRIT           = 0xF118
	typeColorMRU       = 0xF11A
	typeFPSPL          = 0xF11D
	typeSplitMenuColor = 0xF11E
	typeOleObject      = 0xF11F
	typeSecondaryFOPT  = 0xF121
	typeTertiaryFOPT   = 0xF122
)

// HeaderSize is the length of a record's header.
const HeaderSize = 8

// A Header opens every record. [MS-ODRAW] 2.2.1; records of PowerPoint have the
// same.
type Header struct {
	Ver      byte   // 0xF: the body is a list of records
	Instance uint16 // 12 bits
	Type     uint16
	Len      uint32 // of the body
}

var le = binary.LittleEndian

// ReadHeader reads the header at the beginning of b.
func ReadHeader(b []byte) (Header, bool) {
	if len(b) < HeaderSize {
		return Header{}, false
	}
	v := le.Uint16(b)
	return Header{Ver: byte(v & 15), Instance: v >> 4, Type: le.Uint16(b[2:]), Len: le.Uint32(b[4:])}, true
}

// Append appends the header to b.
func (h Header) Append(b []byte) []byte {
	b = le.AppendUint16(b, h.Instance<<4|uint16(h.Ver&15))
	b = le.AppendUint16(b, h.Type)
	return le.AppendUint32(b, h.Len)
}

// Container reports whether the body is a list of records.
func (h Header) Container() bool { return h.Ver == 15 }

// AppendRecord appends a record to b, its length that of body.
func AppendRecord(b []byte, h Header, body []byte) []byte {
	h.Len = uint32(len(body))
	return append(h.Append(b), body...)
}

// Next splits the first record off b. It returns false at the end of b and where
// a record is cut short.
func Next(b []byte) (h Header, body, rest []byte, ok bool) {
	h, ok = ReadHeader(b)
	if !ok || uint64(h.Len) > uint64(len(b)-HeaderSize) {
		return Header{}, nil, b, false
	}
	end := HeaderSize + int(h.Len)
	return h, b[HeaderSize:end:end], b[end:], true
}

// What is what was taken out of a drawing.
type What uint8

// The things that are taken out.
const (
	Script        What = 1 + iota // of a web page, or a web component
	Object                        // what tied a shape to an OLE object
	LinkedPicture                 // the address of a picture elsewhere
	Hyperlink                     // of a shape, to where none may lead
	Picture                       // that nobody could read; a grey square is in its place
	Copy                          // of a shape in a newer format
	Unknown                       // record or property, on no list
	Cut                           // a record that runs beyond its container
)

// A Rebuilder writes the drawings of one document anew. The fields up to Delay
// are set before its first use; one goroutine uses it.
type Rebuilder struct {
	// Raster has a picture of pixels decoded and encoded: it gets a JPEG, PNG,
	// BMP or TIFF file and returns a PNG or JPEG. A picture for which it fails
	// becomes a grey square, unless Fatal says that the error ends everything.
	// Nil: no picture stays.
	Raster func(name string, file []byte) ([]byte, error)

	// Drawn makes a picture, a PNG or JPEG, of a drawing of Windows that was
	// written anew. Nil, or when it returns none: the drawing itself stays.
	Drawn func(name string, file []byte) []byte

	// Square has the grey square, a PNG, encoded as Raster would, so that a second
	// treatment changes nothing, without telling anybody of a picture. Nil: it
	// stays as this package draws it.
	Square func(png []byte) []byte

	// Fatal reports whether an error of Raster or Meter ends everything, as a
	// budget that is spent does. Nil: none.
	Fatal func(error) bool

	// Meter charges what is inflated. Nil: nothing is inflated.
	Meter func(io.Reader) io.Reader

	// Link reports whether a hyperlink may stay. Nil: none.
	Link func(target string) bool

	// Client returns what stays of a record of the host's: ClientTextbox,
	// ClientAnchor or ClientData. Nil: none stays.
	Client func(h Header, body []byte) (out []byte, keep bool, err error)

	// Found is told what was taken. Nil: nobody is.
	Found func(w What, detail string)

	// Delay is the stream in which the host keeps its pictures, nil if it has
	// none. Those in use are written to Delayed, and their offsets are counted
	// from DelayBase.
	Delay     []byte
	DelayBase uint32

	// Delayed is the new stream of pictures.
	Delayed []byte

	// Splits is, after Rewrite, behind which octets of its output a record of
	// the host's ended. A workbook cuts its drawings there.
	Splits []int

	records int
	pics    int
	moved   map[uint32]blip // pictures of the old stream by place
	taken   int64           // octets of that stream that they had in all
	square  []byte
}

func (r *Rebuilder) found(w What, format string, args ...any) {
	if r.Found != nil {
		r.Found(w, fmt.Sprintf(format, args...))
	}
}

// Rewrite returns the harmless form of a list of records: of one or several
// containers, or of the pictures that stand alone behind an inline shape.
func (r *Rebuilder) Rewrite(b []byte) ([]byte, error) {
	r.Splits = nil
	return r.list(make([]byte, 0, len(b)), b, 0, 0)
}

// Append appends to out the harmless form of one record whose header and body
// were read.
func (r *Rebuilder) Append(out []byte, h Header, body []byte) ([]byte, error) {
	return r.record(out, h, body, 0, 0)
}

// children are the records that may stand in each container; container 0 is
// where a host puts drawings.
var children = lazy.Value[map[uint16]map[uint16]bool]{Make: func() map[uint16]map[uint16]bool {
	return map[uint16]map[uint16]bool{
		0:                 set(TypeDggContainer, TypeBStore, TypeDgContainer, TypeSpgrContainer, TypeSpContainer, TypeFBSE),
		TypeDggContainer:  set(typeFDGG, TypeBStore, typeFOPT, typeTertiaryFOPT, typeColorMRU, typeSplitMenuColor),
		TypeBStore:        set(TypeFBSE),
		TypeDgContainer:   set(typeFDG, typeFRIT, TypeSpgrContainer, TypeSpContainer, TypeSolver),
		TypeSpgrContainer: set(TypeSpgrContainer, TypeSpContainer),
		TypeSpContainer: set(typeFSPGR, typeFSP, typeFPSPL, typeFOPT, typeSecondaryFOPT, typeTertiaryFOPT,
			TypeClientTextbox, TypeChildAnchor, TypeClientAnchor, TypeClientData),
		TypeSolver: set(typeConnectorRule, typeArcRule, typeCalloutRule),
	}
}}

func set(types ...uint16) map[uint16]bool {
	m := make(map[uint16]bool, len(types))
	for _, t := range types {
		m[t] = true
	}
	return m
}

// sizes are the lengths of records that have one. [MS-ODRAW] 2.2.
var sizes = lazy.Value[map[uint16]int]{Make: func() map[uint16]int {
	return map[uint16]int{
		typeFDG: 8, typeFSPGR: 16, typeFSP: 8, TypeChildAnchor: 16, typeConnectorRule: 24, typeArcRule: 8, typeCalloutRule: 8, typeFPSPL: 4,
	}
}}

func isBlip(t uint16) bool { return t >= typeBlipFirst && t <= typeBlipLast }

// list rewrites the records of a container.
func (r *Rebuilder) list(out, b []byte, parent uint16, depth int) ([]byte, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("drawings nested more than %d deep: %w", maxDepth, ErrLimit)
	}
	for len(b) >= HeaderSize {
		if r.records++; r.records > maxRecords {
			return nil, fmt.Errorf("more than %d records: %w", maxRecords, ErrLimit)
		}
		h, body, rest, ok := Next(b)
		if !ok {
			h, _ = ReadHeader(b)
			r.found(Cut, "record %04X of %d octets", h.Type, h.Len)
			return out, nil
		}
		b = rest
		var err error
		if out, err = r.record(out, h, body, parent, depth); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (r *Rebuilder) record(out []byte, h Header, body []byte, parent uint16, depth int) ([]byte, error) {
	if isBlip(h.Type) && (parent == 0 || parent == TypeBStore) {
		return r.loose(out, h, body)
	}
	if !children.Get()[parent][h.Type] {
		switch {
		case h.Type == typeOleObject:
			r.found(Object, "")
		case h.Type == 0xF120 || h.Type == 0xF11C:
			// Colours and choices of menus: nothing of a drawing.
		default:
			r.found(Unknown, "record %04X in %04X", h.Type, parent)
		}
		return out, nil
	}
	at := len(out)
	if h.Container() {
		switch h.Type {
		case TypeClientTextbox, TypeClientData: // the host's
		default:
			h.Ver = 0 // those that are containers are made so below
		}
	}
	switch h.Type {
	case TypeDggContainer, TypeBStore, TypeDgContainer, TypeSpgrContainer, TypeSpContainer, TypeSolver:
		h.Ver = 15
		out, err := r.list(h.Append(out), body, h.Type, depth+1)
		if err != nil {
			return nil, err
		}
		if h.Type == TypeBStore {
			// Its instance counts what is in it.
			n := 0
			for rest := out[at+HeaderSize:]; len(rest) > 0; n++ {
				_, _, rest, _ = Next(rest)
			}
			le.PutUint16(out[at:], uint16(n)<<4|15)
		}
		le.PutUint32(out[at+4:], uint32(len(out)-at-HeaderSize))
		return out, nil
	case TypeFBSE:
		return r.store(out, h, body)
	case typeFOPT, typeSecondaryFOPT, typeTertiaryFOPT:
		return r.options(out, h, body)
	case TypeClientTextbox, TypeClientAnchor, TypeClientData:
		if r.Client == nil {
			return out, nil
		}
		b, keep, err := r.Client(h, body)
		if err != nil || !keep {
			return out, err
		}
		out = AppendRecord(out, h, b)
		if h.Type != TypeClientAnchor {
			r.Splits = append(r.Splits, len(out))
		}
		return out, nil
	case typeFDGG:
		// [MS-ODRAW] 2.2.48: four numbers, and a pair for each cluster of shapes.
		if len(body) < 16 {
			r.found(Cut, "record %04X of %d octets", h.Type, len(body))
			return out, nil
		}
		return AppendRecord(out, h, body[:len(body)-len(body)%8]), nil
	case typeFRIT, typeColorMRU, typeSplitMenuColor:
		return AppendRecord(out, h, body[:min(len(body)-len(body)%4, 4*int(h.Instance))]), nil
	case typeFSP:
		if len(body) < 8 {
			r.found(Cut, "record %04X of %d octets", h.Type, len(body))
			return out, nil
		}
		out = AppendRecord(out, h, body[:8])
		// [MS-ODRAW] 2.2.40: fOleShape. The object goes, so its picture is one
		// like any other.
		const ole = 0x10
		if le.Uint32(body[4:])&ole != 0 {
			le.PutUint32(out[at+HeaderSize+4:], le.Uint32(body[4:])&^ole)
		}
		return out, nil
	default:
		n, ok := sizes.Get()[h.Type]
		if !ok {
			r.found(Unknown, "record %04X", h.Type)
			return out, nil
		}
		if len(body) < n {
			r.found(Cut, "record %04X of %d octets", h.Type, len(body))
			return out, nil
		}
		return AppendRecord(out, h, body[:n]), nil
	}
}
