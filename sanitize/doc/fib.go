package doc

import (
	"fmt"

	"sekisho/sanitize"
)

// The file information block opens the stream WordDocument: what the document
// is, how many characters each of its stories has, and where in the table stream
// each of up to 183 structures lies. [MS-DOC] 2.5.
type fib struct {
	nFib, lid, flags, lidFE uint16
	flags2                  byte
	start, end              uint32 // of the text: old readers go by them
	ccp                     [8]uint32
	pairs                   []pair // as they came
	rg                      int    // where they stand
	cswNew                  uint16 // words behind them
	nFibNew                 uint16
	size                    int

	written []pair // as they are written
}

// pair is the place and length of a structure in the table stream.
type pair struct{ fc, lcb uint32 }

// The flags of the block. [MS-DOC] 2.5.2.
const (
	flagDot       = 0x0001
	flagComplex   = 0x0004
	flagHasPic    = 0x0008
	flagSaves     = 0x00F0
	flagEncrypted = 0x0100
	flagTable     = 0x0200
	flagReadOnly  = 0x0400
	flagExtChar   = 0x1000
	flagLoad      = 0x2000
	flagFarEast   = 0x4000
	flagObfuscate = 0x8000
)

// The stories in the order in which their text stands.
const (
	storyMain = iota
	storyFootnotes
	storyHeaders
	storyMacros // of old versions: no text
	storyComments
	storyEndnotes
	storyTextboxes
	storyHeaderTextboxes
)

func readFIB(b []byte) (fib, error) {
	f := fib{}
	if len(b) < 64 {
		return f, malformed("stream WordDocument of %d octets", len(b))
	}
	f.nFib = le.Uint16(b[2:])
	f.flags = le.Uint16(b[10:])
	switch ident := le.Uint16(b); {
	case ident == 0xA5DC || ident == 0xA5DB || ident == 0xA59B || ident == 0xA59C || ident == 0xA697 || ident == 0xA699 || ident == 0xA5EC && f.nFib < 193:
		// Word 6 and 95 have no table stream; LibreOffice reads them.
		return f, fmt.Errorf("a document of Word 95 or older (%d): %w", f.nFib, sanitize.ErrUnsupported)
	case ident != 0xA5EC:
		return f, malformed("no document of Word (%04X)", ident)
	}
	if f.flags&(flagEncrypted|flagObfuscate) != 0 {
		return f, fmt.Errorf("a document with a password: %w", sanitize.ErrEncrypted)
	}
	f.lid, f.flags2 = le.Uint16(b[6:]), b[19]
	f.start, f.end = le.Uint32(b[24:]), le.Uint32(b[28:])
	// The counts say where everything stands; their values are those of every
	// version since 1997. [MS-DOC] 2.5.1.
	csw := int(le.Uint16(b[32:]))
	at := 34 + 2*csw
	if csw != 14 || at+2 > len(b) {
		return f, malformed("block of %d words", csw)
	}
	f.lidFE = le.Uint16(b[34+2*13:])
	cslw := int(le.Uint16(b[at:]))
	longs := at + 2
	at = longs + 4*cslw
	if cslw != 22 || at+2 > len(b) {
		return f, malformed("block of %d longs", cslw)
	}
	for i := range f.ccp {
		f.ccp[i] = le.Uint32(b[longs+4*(3+i):])
	}
	n := int(le.Uint16(b[at:]))
	f.rg = at + 2
	if n < 93 || n > 0x200 || f.rg+8*n > len(b) {
		return f, malformed("block of %d pairs", n)
	}
	f.pairs = make([]pair, n)
	for i := range f.pairs {
		f.pairs[i] = pair{le.Uint32(b[f.rg+8*i:]), le.Uint32(b[f.rg+8*i+4:])}
	}
	at = f.rg + 8*n
	if at+2 <= len(b) {
		f.cswNew = le.Uint16(b[at:])
		// Two words for 2000 to 2003, five for 2007, or none.
		if f.cswNew > 5 || at+2+2*int(f.cswNew) > len(b) {
			f.cswNew = 0
		}
		if f.cswNew > 0 {
			f.nFibNew = le.Uint16(b[at+2:])
		}
		at += 2 + 2*int(f.cswNew)
	}
	f.size = at
	f.written = make([]pair, n)
	return f, nil
}

func (f *fib) tableName() string {
	if f.flags&flagTable != 0 {
		return "1Table"
	}
	return "0Table"
}

// get returns a structure of the table stream, nil when there is none or it does
// not lie in the stream.
func (d *document) get(i int) []byte {
	if i >= len(d.fib.pairs) {
		return nil
	}
	p := d.fib.pairs[i]
	if p.lcb == 0 || uint64(p.fc)+uint64(p.lcb) > uint64(len(d.table)) {
		return nil
	}
	return d.table[p.fc : p.fc+p.lcb : p.fc+p.lcb]
}

// put writes a structure to the new table stream. behind follows it without
// being counted, as lists want it.
func (d *document) put(i int, b, behind []byte) {
	if len(b) == 0 || i >= len(d.fib.written) {
		return
	}
	d.fib.written[i] = pair{uint32(len(d.tableOut)), uint32(len(b))}
	d.tableOut = append(append(d.tableOut, b...), behind...)
}

// write writes the block over the beginning of b, which is zero there. What is
// not named here stays zero: product, password keys, counters of old versions,
// the second document of a template with its AutoText.
func (f *fib) write(b []byte, total uint32) {
	le.PutUint16(b, 0xA5EC)
	le.PutUint16(b[2:], f.nFib)
	le.PutUint16(b[6:], f.lid)
	le.PutUint16(b[10:], f.flags&(flagDot|flagComplex|flagHasPic|flagSaves|flagTable|flagReadOnly|flagExtChar|flagLoad|flagFarEast))
	le.PutUint16(b[12:], 0x00BF) // nFibBack: readers since 1997
	// Page overrides and the mark of a document without text; not the Macintosh.
	b[19] = f.flags2 & 0x1E
	le.PutUint32(b[24:], f.start)
	le.PutUint32(b[28:], f.end)
	le.PutUint16(b[32:], 14)
	le.PutUint16(b[34+2*13:], f.lidFE)
	le.PutUint16(b[62:], 22)
	le.PutUint32(b[64:], total) // cbMac
	for i, n := range f.ccp {
		le.PutUint32(b[64+4*(3+i):], n)
	}
	le.PutUint16(b[f.rg-2:], uint16(len(f.written)))
	for i, p := range f.written {
		le.PutUint32(b[f.rg+8*i:], p.fc)
		le.PutUint32(b[f.rg+8*i+4:], p.lcb)
	}
	at := f.rg + 8*len(f.written)
	if at+2 <= f.size {
		le.PutUint16(b[at:], f.cswNew)
		if f.cswNew > 0 {
			le.PutUint16(b[at+2:], f.nFibNew)
		}
	}
}
