// Package xls makes workbooks of Excel 97 to 2003 harmless, in their own format:
// xls, and xlt as templates.
//
// A workbook comes in as a compound file; out goes a new one, with the stream of
// the workbook and its properties alone. The workbook is a list of records, read
// one by one from where the list of sheets says that each sheet begins. A record
// stays when its type is on an allow-list for the place where it stands; those
// that can lead out, run or hide something are read to the last octet and
// written anew: formulas token by token, names, links to other books, objects,
// drawings and their pictures, texts, hyperlinks. What may not stay leaves what
// the reader saw of it: the value of the formula, the picture of the object, an
// empty sheet in the place of one with macros, so that every number by which
// records refer to one another still holds.
//
// It does not compute anything and does not know whether a workbook looks right.
// Encrypted workbooks are refused; those of Excel 95 and before are not for it.
//
// kinds.go holds the allow-list, globals.go what belongs to the whole workbook,
// sheet.go the sheets and charts, condition.go their rules, formula.go the tokens, object.go the drawings,
// strings.go the texts of cells, record.go the records.
//
// Sources: [MS-XLS], [MS-CFB], [MS-ODRAW], [MS-OSHARED], [MS-OLEPS].
package xls

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/internal/link"
	"sekisho/internal/officeart"
	"sekisho/internal/olepack"
	"sekisho/internal/propset"
	"sekisho/internal/vba"
	"sekisho/sanitize"
)

// Sanitizer treats workbooks of Excel 97 to 2003. It keeps no state.
type Sanitizer struct{}

// workbook is one that is being treated.
type workbook struct {
	ctx    context.Context
	s      *sanitize.Session
	object sanitize.Object
	report sanitize.Tally
	in     []byte
	place  string // what is being written, for the report

	embedded sanitize.Embedded

	slots        []slot
	sheets       []sheetEntry
	books        []book
	xtis         []xti
	names        []definedName
	strings      table
	hasXTI       bool
	ownTheme     bool
	lastKept     bool
	end          int // of the globals
	drawingGroup []byte
	headers      headers

	art     officeart.Rebuilder
	clients int // records of Excel's own that the drawing had
	picture int
}

// Sanitize writes the harmless form of the workbook in to out.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	w := &workbook{ctx: ctx, s: s, object: in, report: sanitize.Tally{More: "xls.more"}}
	root, err := w.read()
	if err != nil {
		return sanitize.Result{}, err
	}
	stream, err := w.write()
	if err != nil {
		return sanitize.Result{}, err
	}
	w.in = nil
	made := &cfb.Storage{CLSID: class, Streams: []*cfb.Stream{cfb.NewStream("Workbook", stream), cfb.NewStream("\x01CompObj", compObj())}}
	w.properties(root, made)
	if int64(len(stream)) > s.Options.Limits.OutputBytes {
		return sanitize.Result{}, fmt.Errorf("output: %w", sanitize.ErrLimit)
	}
	if err := cfb.Write(out, made); err != nil {
		return sanitize.Result{}, mapCFB(err)
	}
	return sanitize.Result{Outcome: w.report.Settle(s), Kind: sanitize.KindXLS, Mode: sanitize.Rebuild}, nil
}

// class is that of a workbook of Excel 97 to 2003.
var class = [16]byte{0x20, 0x08, 0x02, 0, 0, 0, 0, 0, 0xC0, 0, 0, 0, 0, 0, 0, 0x46}

// compObj is the stream that names the format to who embeds the file. [MS-OLEDS]
// 2.3.8.
func compObj() []byte {
	b := []byte{1, 0, 0xFE, 0xFF, 3, 0x0A, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF}
	b = append(b, class[:]...)
	for _, s := range []string{"Microsoft Excel 2003 Worksheet\x00", "Biff8\x00", "Excel.Sheet.8\x00"} {
		b = le.AppendUint32(b, uint32(len(s)))
		b = append(b, s...)
	}
	b = le.AppendUint32(b, 0x71B239F4)
	return append(b, make([]byte, 12)...)
}

// read opens the compound file, takes the workbook out of it and tells what
// stays behind.
func (w *workbook) read() (*cfb.Storage, error) {
	// Until Excel 4 a workbook was its records, in no container.
	var head [4]byte
	if n, err := w.object.ReadAt(head[:], 0); n == len(head) && head[0] == 9 && head[1]&^0x0E == 0 {
		return nil, fmt.Errorf("a workbook of Excel 4 or earlier: %w", sanitize.ErrUnsupported)
	} else if n < len(head) && err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read: %w", err)
	}
	f, err := cfb.Open(w.object.ReaderAt, w.object.Size)
	if err != nil {
		return nil, mapCFB(err)
	}
	if err := w.s.SpendEntries(f.Entries); err != nil {
		return nil, err
	}
	root := f.Root
	if root.Stream("EncryptedPackage") != nil {
		return nil, fmt.Errorf("encrypted package: %w", sanitize.ErrEncrypted)
	}
	stream := root.Stream("Workbook")
	if old := root.Stream("Book"); stream == nil && old != nil {
		// QUIRK: some programs write workbooks of Excel 97 into the stream of older
		// ones.
		var head [6]byte
		if n, _ := old.ReadAt(head[:], 0); n == len(head) && le.Uint16(head[:]) == recBOF && le.Uint16(head[4:]) == 0x0600 {
			stream = old
		}
	}
	if stream == nil {
		return nil, fmt.Errorf("no workbook of Excel 97 or later: %w", sanitize.ErrUnsupported)
	}
	if stream.Size > w.s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("workbook of %d octets: %w", stream.Size, sanitize.ErrLimit)
	}
	if err := w.s.Spend(stream.Size); err != nil {
		return nil, err
	}
	w.in = make([]byte, stream.Size)
	if n, err := stream.ReadAt(w.in, 0); n < len(w.in) {
		return nil, fmt.Errorf("read workbook: %w", err)
	}
	w.behind(root)
	return root, nil
}

// behind tells which storages and streams stay behind.
func (w *workbook) behind(root *cfb.Storage) {
	for _, s := range root.Storages {
		name := strings.ToUpper(s.Name)
		switch {
		case name == "_VBA_PROJECT_CUR" || name == "VBA" || name == "MACROS":
			if !hollow(s) {
				w.report.Found("xls.vba", s.Name, sanitize.Removed, "")
				for _, m := range vba.Modules(s) {
					w.report.Found("xls.vba", s.Name+"/"+m.Name, sanitize.Removed, m.String())
				}
			}
		case name == "_SX_DB_CUR":
			w.report.Found("xls.pivot", s.Name, sanitize.Replaced, "")
		case strings.HasPrefix(name, "MBD"):
			if file, ok := w.beside(s); ok {
				w.report.Found("xls.object-beside", s.Name, sanitize.Replaced, file)
				continue
			}
			w.report.Found("xls.object", s.Name, sanitize.Removed, "")
		case strings.HasPrefix(name, "LNK"):
			w.report.Found("xls.external-link", s.Name, sanitize.Removed, "")
		case strings.Contains(name, "SIGNATURES"):
			w.report.Found("xls.signature", s.Name, sanitize.Removed, "")
		case name == "MSODATASTORE":
			w.report.Found("xls.stream", s.Name, sanitize.Rewritten, "")
		default:
			w.report.Found("xls.stream", s.Name, sanitize.Removed, "")
		}
	}
	for _, s := range root.Streams {
		switch strings.ToUpper(s.Name) {
		case "WORKBOOK", "\x05SUMMARYINFORMATION", "\x05DOCUMENTSUMMARYINFORMATION", "\x01COMPOBJ":
		case "BOOK": // the same for Excel 95, if it is not all there is
			if root.Stream("Workbook") == nil {
				continue
			}
			w.report.Found("xls.stream", s.Name, sanitize.Rewritten, "")
		case "CTLS":
			w.report.Found("xls.control", s.Name, sanitize.Removed, "")
		case "\x01OLE10NATIVE":
			w.report.Found("xls.object", s.Name[1:], sanitize.Removed, "")
		case "\x01OLE", "USER NAMES", "REVISION LOG", "XCB", "_SIGNATURES", "\x02OLEPRES000", "ETEXTDATA", "PRINTERSETTINGS":
			w.report.Found("xls.stream", strings.TrimLeft(s.Name, "\x01\x02\x03\x05"), sanitize.Rewritten, "")
		default:
			w.report.Found("xls.stream", s.Name, sanitize.Removed, "")
		}
	}
}

// beside puts the file in an object next to the workbook in the mail, where the
// profile says so, and returns its name.
func (w *workbook) beside(o *cfb.Storage) (string, bool) {
	if !w.embedded.Wanted(w.s) {
		return "", false
	}
	f, ok := olepack.Find(o)
	if !ok {
		return "", false
	}
	name, ok := w.embedded.Packed(w.s, w.object, f.Name, f.Bytes, f.Size)
	return printable(name), ok
}

// hollow reports whether a storage holds no stream at all.
func hollow(s *cfb.Storage) bool {
	n := 0
	err := s.Walk(func(_ []string, s *cfb.Storage) error {
		n += len(s.Streams)
		return nil
	})
	return err == nil && n == 0
}

// maxProperties is how much of a property set is read: a thumbnail may be in
// there, texts are short.
const maxProperties = 1 << 20

// properties writes the property sets of the workbook anew.
func (w *workbook) properties(from, to *cfb.Storage) {
	read := func(name string) []byte {
		s := from.Stream(name)
		if s == nil || s.Size > maxProperties || w.s.Spend(s.Size) != nil {
			return nil
		}
		b := make([]byte, s.Size)
		if n, _ := s.ReadAt(b, 0); n < len(b) {
			return nil
		}
		return b
	}
	a, b := read(propset.SummaryName), read(propset.DocumentSummaryName)
	if a == nil && b == nil {
		return
	}
	d := propset.Read(a, b)
	to.Streams = append(to.Streams, cfb.NewStream(propset.SummaryName, d.Summary()), cfb.NewStream(propset.DocumentSummaryName, d.DocumentSummary()))
}

// write returns the new stream of the workbook.
func (w *workbook) write() ([]byte, error) {
	w.art = officeart.Rebuilder{
		Drawn:  w.pictureOf,
		Raster: w.raster, Square: func(b []byte) []byte { return w.s.Square(w.ctx, b) }, Fatal: w.fatal, Meter: w.s.Meter, Client: w.client, Found: w.drawn,
		Link: func(target string) bool {
			return link.Harmless(target) && w.s.Options.URLs == sanitize.KeepURLs
		},
	}
	if err := w.globals(); err != nil {
		return nil, err
	}
	if len(w.sheets) == 0 {
		return nil, fmt.Errorf("no sheets: %w", sanitize.ErrMalformed)
	}
	made := make([]*sheet, len(w.sheets))
	begun := map[int]bool{}
	total := 0
	for i := range w.sheets {
		if err := w.ctx.Err(); err != nil {
			return nil, err
		}
		e := &w.sheets[i]
		if e.at < w.end || begun[e.at] {
			return nil, fmt.Errorf("sheet %d at octet %d: %w", i+1, e.at, sanitize.ErrMalformed)
		}
		begun[e.at] = true
		w.place = text(e.name)
		s, err := w.substream(e.at, 0)
		if err != nil {
			return nil, fmt.Errorf("sheet %d: %w", i+1, err)
		}
		// Sheets that lie in one another would be written more than once.
		if total += s.end - e.at; total > len(w.in) {
			return nil, fmt.Errorf("sheets that share their octets: %w", sanitize.ErrLimit)
		}
		if e.typ == 1 && s.kind == inSheet && !s.replaced {
			// The list says that it is one of macros; what it is, its beginning says.
			w.report.Found("xls.macro-sheet", w.place, sanitize.Replaced, w.place)
			s.empty()
		}
		e.typ = 0
		if s.kind == inChart {
			e.typ = 2
		}
		made[i] = s
	}
	out, places := w.appendGlobals(make([]byte, 0, len(w.in)+4096))
	for i, s := range made {
		le.PutUint32(out[places[i]:], uint32(len(out)))
		out = append(out, s.out...)
		s.out = nil
	}
	return out, nil
}

// pictureOf makes a picture of a drawing of Windows, where the profile says so.
func (w *workbook) pictureOf(name string, file []byte) []byte {
	made, _ := w.s.Drawn(w.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(file), Size: int64(len(file)), Path: w.object.Path + "/Workbook/" + name, Name: name, Names: []string{name},
	})
	return made
}

// raster has a picture of pixels decoded and encoded anew.
func (w *workbook) raster(name string, b []byte) ([]byte, error) {
	w.picture++
	if name == "" {
		name = fmt.Sprintf("picture%d", w.picture)
	}
	var out bytes.Buffer
	res, err := w.s.Nested(w.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: fmt.Sprintf("%s/Workbook/%d-%s", w.object.Path, w.picture, name), Name: name, Names: []string{name},
	}, &out)
	if e := w.ctx.Err(); e != nil {
		return nil, e
	}
	if err != nil {
		return nil, err
	}
	switch res.Kind {
	case sanitize.KindPNG, sanitize.KindJPEG:
		return out.Bytes(), nil
	default:
		return nil, fmt.Errorf("a picture became %s: %w", res.Kind, sanitize.ErrUnsupported)
	}
}

func (w *workbook) fatal(err error) bool {
	return errors.Is(err, sanitize.ErrLimit) || w.ctx.Err() != nil
}

// drawn tells what was taken out of a drawing.
func (w *workbook) drawn(what officeart.What, detail string) {
	switch what {
	case officeart.Script:
		w.report.Found("xls.script", w.place, sanitize.Removed, detail)
	case officeart.Object:
		// The object itself was told of.
	case officeart.LinkedPicture:
		w.report.Found("xls.linked-picture", w.place, sanitize.Replaced, detail)
	case officeart.Hyperlink:
		w.report.Found("xls.hyperlink", w.place, sanitize.Removed, detail)
	case officeart.Picture:
		w.report.Found("xls.picture", w.place, sanitize.Replaced, detail)
	case officeart.Copy:
		w.report.Found("xls.shape-copy", w.place, sanitize.Rewritten, detail)
	default:
		w.report.Found("xls.record", w.place, sanitize.Rewritten, detail)
	}
}

func mapArt(err error) error {
	switch {
	case errors.Is(err, officeart.ErrLimit):
		return fmt.Errorf("drawing: %w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, officeart.ErrMalformed):
		return fmt.Errorf("drawing: %w: %w", err, sanitize.ErrMalformed)
	default:
		return fmt.Errorf("drawing: %w", err)
	}
}

func mapCFB(err error) error {
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
