// Package doc treats Word documents and templates of 1997 to 2003 in their own
// format: a compound file in, a new compound file out.
//
// Of the storages and streams three are read, WordDocument, the table stream it
// names, and Data, and none is copied. From them a new document is written of
// the structures that this package knows: the text by its piece table, the
// pages of character and paragraph properties, styles, lists, sections, notes,
// comments and revisions, fields, bookmarks, pictures and drawings. What no
// structure refers to (deleted text that a fast save left behind, areas of
// older versions) is not written, and what is of no use to a reader (toolbars,
// key bindings, mail merge, routing slips, the list of who saved it where, the
// template it was made from, printers) has no place in the new file. Macros,
// embedded objects, controls, signatures and custom data go with their streams.
//
// The text itself keeps every character in its place, because everything else
// counts in characters. So a field that may not stay is emptied: its code is
// overwritten, its last result stays, and it is locked.
//
// Character positions (CP) count characters of the document, file positions
// (FC) octets of the stream WordDocument. The sources are [MS-DOC], [MS-ODRAW]
// and [MS-CFB].
package doc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/internal/olepack"
	"sekisho/internal/propset"
	"sekisho/internal/vba"
	"sekisho/sanitize"
)

var le = binary.LittleEndian

// Sanitizer rebuilds a Word document.
type Sanitizer struct{}

// Sanitize writes the harmless form of the document in to out.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	var head [4]byte
	if n, err := in.ReadAt(head[:], 0); err == nil && n == len(head) && string(head[:]) != "\xD0\xCF\x11\xE0" {
		// Word 2 and older wrote no compound files.
		return sanitize.Result{}, fmt.Errorf("no compound file: %w", sanitize.ErrUnsupported)
	}
	f, err := cfb.Open(in, in.Size)
	if err != nil {
		return sanitize.Result{}, container(err)
	}
	if err := s.SpendEntries(f.Entries); err != nil {
		return sanitize.Result{}, err
	}
	d := &document{ctx: ctx, s: s, in: in, report: sanitize.Tally{More: "doc.more"}}
	if err := d.open(f.Root); err != nil {
		return sanitize.Result{}, err
	}
	if err := d.rebuild(); err != nil {
		return sanitize.Result{}, err
	}
	// A profile that wants comments or changes out of documents has them taken
	// out of the modern form, where that is done.
	if o := d.s.Options; o.Comments && d.fib.ccp[storyComments] > 0 || (o.Accept || o.Reject) && d.tracked {
		return sanitize.Result{}, fmt.Errorf("comments or tracked changes, which the profile does not want: %w", sanitize.ErrUnsupported)
	}
	d.foreign(f.Root)
	summary, more := d.small(f.Root, propset.SummaryName), d.small(f.Root, propset.DocumentSummaryName)
	if propset.Custom(more) {
		d.report.Found("doc.properties", "user-defined properties", sanitize.Rewritten, "")
	}
	props := propset.Read(summary, more)
	root := &cfb.Storage{CLSID: classWord}
	for _, stream := range []struct {
		name string
		b    []byte
	}{
		{"WordDocument", d.out},
		{d.fib.tableName(), d.tableOut},
		{"Data", d.dataOut},
		{"\x01CompObj", compObj()},
		{propset.SummaryName, props.Summary()},
		{propset.DocumentSummaryName, props.DocumentSummary()},
	} {
		if len(stream.b) > 0 {
			root.Streams = append(root.Streams, cfb.NewStream(stream.name, stream.b))
		}
	}
	if err := cfb.Write(out, root); err != nil {
		return sanitize.Result{}, err
	}
	return sanitize.Result{Outcome: d.report.Settle(s), Kind: sanitize.KindDOC, Mode: sanitize.Rebuild}, nil
}

// container says what an error of the container means for the ladder: what two
// readers could see differently, and what costs too much, no other parser gets.
func container(err error) error {
	switch {
	case errors.Is(err, cfb.ErrAmbiguous):
		return fmt.Errorf("%w: %w", err, sanitize.ErrAmbiguous)
	case errors.Is(err, cfb.ErrLimit):
		return fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, cfb.ErrFormat):
		return fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	default:
		return err
	}
}

// malformed makes an error of a structure that does not hold together.
func malformed(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), sanitize.ErrMalformed)
}

// classWord is the class of the root: {00020906-0000-0000-C000-000000000046}.
var classWord = [16]byte{0x06, 0x09, 0x02, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}

// compObj is the stream that says in words whose file this is. [MS-OLEDS] 2.3.8.
func compObj() []byte {
	b := []byte{0x01, 0x00, 0xFE, 0xFF, 0x03, 0x0A, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF}
	b = append(b, classWord[:]...)
	for _, s := range []string{"Microsoft Word 97-2003 Document", "MSWordDoc", "Word.Document.8"} {
		b = le.AppendUint32(b, uint32(len(s)+1))
		b = append(append(b, s...), 0)
	}
	b = le.AppendUint32(b, 0x71B239F4) // there is a Unicode form, empty
	return append(b, make([]byte, 12)...)
}

// document is one document while it is treated.
type document struct {
	ctx      context.Context
	s        *sanitize.Session
	in       sanitize.Object
	embedded sanitize.Embedded
	report   sanitize.Tally

	main, table, data []byte // the streams as they came
	objects           *cfb.Storage
	fib               fib

	out      []byte // WordDocument as it is written: everything keeps its place
	tableOut []byte
	dataOut  []byte

	claims []claim
	pieces []piece
	halves map[uint32]half // of pages of properties that became two
	inUse  []stretch       // where text stands in the stream, in order
	length uint32

	tracked bool // it has tracked changes

	moved  map[uint64]block // what was taken over from Data, by place and form
	taken  int64            // octets of Data that it has in all
	coded  int64            // characters of codes of fields in all
	walked int64            // octets of text that runs of characters had in all
}

// open reads the streams.
func (d *document) open(root *cfb.Storage) error {
	w := root.Stream("WordDocument")
	if w == nil {
		return fmt.Errorf("no stream WordDocument: %w", sanitize.ErrUnsupported)
	}
	var err error
	if d.main, err = d.stream(w); err != nil {
		return err
	}
	if d.fib, err = readFIB(d.main); err != nil {
		return err
	}
	t := root.Stream(d.fib.tableName())
	if t == nil {
		return malformed("no stream %s", d.fib.tableName())
	}
	if d.table, err = d.stream(t); err != nil {
		return err
	}
	d.objects = root.Storage("ObjectPool")
	if s := root.Stream("Data"); s != nil {
		if d.data, err = d.stream(s); err != nil {
			return err
		}
	}
	return nil
}

// stream reads a whole stream. Compound files are not packed, so the reader's
// bound, four times the file, is the message's too.
func (d *document) stream(s *cfb.Stream) ([]byte, error) {
	if s.Size > d.s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("stream %s of %d octets: %w", s.Name, s.Size, sanitize.ErrLimit)
	}
	b := make([]byte, s.Size)
	if _, err := io.ReadFull(s.Reader(), b); err != nil {
		return nil, malformed("stream %s: %v", s.Name, err)
	}
	return b, nil
}

// small reads a stream of properties, nil when there is none that is read.
func (d *document) small(root *cfb.Storage, name string) []byte {
	const most = 1 << 20
	s := root.Stream(name)
	if s == nil || s.Size > most {
		return nil
	}
	b, err := d.stream(s)
	if err != nil {
		return nil
	}
	return b
}

// foreign reports the storages and streams that stay behind.
func (d *document) foreign(root *cfb.Storage) {
	for _, s := range root.Streams {
		switch name := strings.ToLower(s.Name); name {
		case "worddocument", "0table", "1table", "data", "\x01compobj", "\x05summaryinformation", "\x05documentsummaryinformation", "\x01ole":
			// Written anew, or about the file as an object in another.
		case "\x05digitalsignature", "_signatures":
			d.report.Found("doc.signature", s.Name, sanitize.Removed, "")
		case "\x03objinfo", "ctls":
			d.report.Found("doc.control", s.Name, sanitize.Removed, "")
		default:
			d.report.Found("doc.stream", printable(s.Name), sanitize.Removed, "")
		}
	}
	for _, s := range root.Storages {
		switch name := strings.ToLower(s.Name); name {
		case "macros", "_vba_project_cur", "vba":
			modules := vba.Modules(s)
			for _, m := range modules {
				d.report.Found("doc.vba", "Macros/"+printable(m.Name), sanitize.Removed, m.String())
			}
			if len(modules) == 0 {
				d.report.Found("doc.vba", printable(s.Name), sanitize.Removed, "")
			}
		case "objectpool":
			for _, o := range s.Storages {
				if name, ok := d.beside(o); ok {
					d.report.Found("doc.object-beside", "ObjectPool/"+printable(o.Name), sanitize.Replaced, name)
					continue
				}
				d.report.Found("doc.object", "ObjectPool/"+printable(o.Name), sanitize.Removed, objectName(o))
			}
		case "msodatastore":
			d.report.Found("doc.custom-xml", printable(s.Name), sanitize.Rewritten, "")
		case "_xmlsignatures", "_signatures":
			d.report.Found("doc.signature", printable(s.Name), sanitize.Removed, "")
		default:
			d.report.Found("doc.storage", printable(s.Name), sanitize.Removed, "")
		}
	}
}

// beside puts the file in an object next to the document in the mail, where the
// profile says so, and returns its name.
func (d *document) beside(o *cfb.Storage) (string, bool) {
	if !d.embedded.Wanted(d.s) {
		return "", false
	}
	f, ok := olepack.Find(o)
	if !ok {
		return "", false
	}
	name, ok := d.embedded.Packed(d.s, d.in, f.Name, f.Bytes, f.Size)
	return printable(name), ok
}

// objectName is what an embedded object says it is: the second text of its
// stream CompObj. [MS-OLEDS] 2.3.8.
func objectName(o *cfb.Storage) string {
	s := o.Stream("\x01CompObj")
	if s == nil || s.Size > 4096 || s.Size < 32 {
		return ""
	}
	b := make([]byte, s.Size)
	if _, err := io.ReadFull(s.Reader(), b); err != nil {
		return ""
	}
	n := le.Uint32(b[28:])
	if n == 0 || uint64(n) > uint64(len(b)-32) || n > 80 {
		return ""
	}
	return printable(strings.TrimRight(string(b[32:32+n]), "\x00"))
}

// printable is a name of a stream as a report may show it.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0x7F || r > 0x7E && r < 0xA0 || r == 0xFFFD {
			return '_'
		}
		return r
	}, s)
}

// rebuild writes the three streams anew.
func (d *document) rebuild() error {
	if err := d.readPieces(); err != nil {
		return err
	}
	if err := d.claimAll(); err != nil {
		return err
	}
	for _, p := range d.pieces {
		copy(d.out[p.off:], d.main[p.off:p.off+p.size()])
	}
	fields, err := d.fields()
	if err != nil {
		return err
	}
	if err := d.characters(); err != nil {
		return err
	}
	if err := d.paragraphs(); err != nil {
		return err
	}
	if err := d.tables(fields); err != nil {
		return err
	}
	d.fib.write(d.out, uint32(len(d.out)))
	const least = 4096
	// Word keeps its streams where whole sectors are; shorter ones would stand
	// among the small ones, where old readers do not look for them.
	d.out, d.tableOut = padded(d.out, least), padded(d.tableOut, least)
	return nil
}

func padded(b []byte, n int) []byte {
	if len(b) < n {
		b = append(b, make([]byte, n-len(b))...)
	}
	return b
}
