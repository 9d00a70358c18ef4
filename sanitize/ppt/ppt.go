// Package ppt makes presentations of PowerPoint 97 to 2003 harmless in their own
// format: ppt, pps and pot, which are one format.
//
// A presentation comes in as a compound file with three streams: one of records,
// to which every save may have appended and in which a chain of edits says which
// records are still alive; one that says where the last edit begins; one of
// pictures. What goes out is a new compound file with the same three, written
// from an allow-list of records: the document, its masters, slides and notes,
// each record in the containers where it belongs and as long as it may be, one
// edit in the place of the chain. Pictures are decoded and encoded anew, the
// property sets are written anew from what tells a reader what the file is.
//
// What is not alive does not come along, nor do macros, embedded and linked
// objects and controls (the picture that stood for them stays), actions that run
// something, links to anything but the web and mail, sounds and films, tags of
// programs, embedded fonts, what was meant for publishing on the web, and the
// copies of things in the format of newer versions.
//
// Encrypted presentations and those of PowerPoint 95 and older are not treated
// here. The package does not lay slides out and does not know how one looks.
//
// live.go finds what is alive, records.go holds the allow-list, walk.go writes
// from it.
//
// Sources: [MS-PPT], [MS-ODRAW], [MS-CFB].
package ppt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"sekisho/internal/cfb"
	"sekisho/internal/link"
	"sekisho/internal/officeart"
	"sekisho/internal/propset"
	"sekisho/sanitize"
)

// Sanitizer treats presentations of PowerPoint 97 to 2003. It keeps no state.
type Sanitizer struct{}

// The streams of a presentation. [MS-PPT] 2.1.
const (
	documentStream = "PowerPoint Document"
	currentStream  = "Current User"
	pictureStream  = "Pictures"
	// dualStorage holds a presentation that was saved for PowerPoint 95 too.
	dualStorage = "PP97_DUALSTORAGE"
)

// class is what the root of every presentation is marked with.
var class = [16]byte{0x10, 0x8D, 0x81, 0x64, 0x9B, 0x4F, 0xCF, 0x11, 0x86, 0xEA, 0x00, 0xAA, 0x00, 0xB9, 0x29, 0xE8}

// Sanitize writes the harmless form of the presentation in to out.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	f, err := cfb.Open(in, in.Size)
	if err != nil {
		return sanitize.Result{}, mapCFB(err)
	}
	root := f.Root
	if dual := root.Storage(dualStorage); dual != nil && dual.Stream(documentStream) != nil {
		root = dual
	}
	if root.Stream(documentStream) == nil {
		return sanitize.Result{}, fmt.Errorf("a presentation of PowerPoint 95 or older: %w", sanitize.ErrUnsupported)
	}
	d := &deck{ctx: ctx, s: s, in: in, report: &sanitize.Tally{More: "ppt.more"}, links: map[uint32]bool{}}
	if d.doc, err = d.read(root, documentStream); err != nil {
		return sanitize.Result{}, err
	}
	current, err := d.read(root, currentStream)
	if err != nil {
		return sanitize.Result{}, err
	}
	pictures, err := d.read(root, pictureStream)
	if err != nil {
		return sanitize.Result{}, err
	}
	d.art = officeart.Rebuilder{
		Drawn:  d.pictureOf,
		Raster: d.raster, Square: func(b []byte) []byte { return d.s.Square(d.ctx, b) }, Fatal: d.fatal, Meter: s.Meter, Client: d.client, Found: d.foundInDrawing,
		Link:  func(target string) bool { return link.Harmless(target) && s.Options.URLs == sanitize.KeepURLs },
		Delay: pictures,
	}
	d.left(f.Root, root)
	streams, err := d.rebuild(current)
	if err != nil {
		return sanitize.Result{}, err
	}
	summary, err := d.read(f.Root, propset.SummaryName)
	if err != nil {
		return sanitize.Result{}, err
	}
	more, err := d.read(f.Root, propset.DocumentSummaryName)
	if err != nil {
		return sanitize.Result{}, err
	}
	if propset.Custom(more) {
		d.report.Found("ppt.properties", propset.DocumentSummaryName[1:], sanitize.Rewritten, "user-defined properties")
	}
	properties := propset.Read(summary, more)
	fresh := &cfb.Storage{CLSID: class, Streams: append(streams,
		cfb.NewStream(propset.SummaryName, properties.Summary()), cfb.NewStream(propset.DocumentSummaryName, properties.DocumentSummary()))}
	var total int64
	for _, t := range fresh.Streams {
		total += t.Size
	}
	if total > s.Options.Limits.OutputBytes {
		return sanitize.Result{}, fmt.Errorf("output of %d octets: %w", total, sanitize.ErrLimit)
	}
	if err := cfb.Write(out, fresh); err != nil {
		return sanitize.Result{}, fmt.Errorf("write presentation: %w", err)
	}
	return sanitize.Result{Outcome: d.report.Settle(s), Kind: sanitize.KindPPT, Mode: sanitize.Rebuild}, nil
}

// mapCFB says what the error of a compound file is to the ladder.
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

// deck is a presentation on its way through.
type deck struct {
	ctx      context.Context
	s        *sanitize.Session
	in       sanitize.Object
	embedded sanitize.Embedded
	report   *sanitize.Tally

	doc      []byte // the stream of records
	art      officeart.Rebuilder
	links    map[uint32]bool   // hyperlinks that stay
	objectAt map[uint32]uint32 // where each persist object lies
	present  map[uint32]bool   // objects that are written
	objects  bool              // an object or the macros were told

	where    string // what is being written: "slide 3"
	outlined int    // how many texts the outline has for it
	records  int
}

// read reads a stream, charged to the budget; one that is not there is empty.
func (d *deck) read(at *cfb.Storage, name string) ([]byte, error) {
	t := at.Stream(name)
	if t == nil {
		return []byte{}, nil
	}
	if t.Size > d.s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("stream %s of %d octets: %w", name, t.Size, sanitize.ErrLimit)
	}
	b := bytes.NewBuffer(make([]byte, 0, min(t.Size, d.in.Size)+bytes.MinRead))
	if _, err := b.ReadFrom(d.s.Meter(t.Reader())); err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, err)
	}
	return b.Bytes(), nil
}

// left reports streams and storages that do not come along. The root is named
// apart from where the presentation is: in files for two versions they differ.
func (d *deck) left(root, deck *cfb.Storage) {
	known := []string{documentStream, currentStream, pictureStream, propset.SummaryName, propset.DocumentSummaryName}
	// What every save makes and no reader misses.
	quiet := []string{"\x01CompObj", "\x01Ole", "\x03ObjInfo", "\x06DataSpaces", "Header", "Text_Content"}
	for _, at := range []*cfb.Storage{root, deck} {
		for _, t := range at.Streams {
			switch {
			case slices.Contains(known, t.Name), slices.Contains(quiet, t.Name):
			default:
				d.report.Found("ppt.stream", printable(t.Name), sanitize.Rewritten, "")
			}
		}
		for _, t := range at.Storages {
			switch t.Name {
			case dualStorage:
				d.report.Found("ppt.stream", t.Name, sanitize.Rewritten, "the copy for PowerPoint 95")
			case "_VBA_PROJECT_CUR", "VBA", "Macros":
				d.report.Found("ppt.vba", printable(t.Name), sanitize.Removed, "")
			default:
				d.report.Found("ppt.stream", printable(t.Name), sanitize.Rewritten, "")
			}
		}
		if root == deck {
			break
		}
	}
}

// printable is a name without the control characters that mark special streams.
func printable(name string) string {
	return string(bytes.Map(func(r rune) rune {
		if r < 0x20 {
			return -1
		}
		return r
	}, []byte(name)))
}

// pictureOf makes a picture of a drawing of Windows, where the profile says so.
func (d *deck) pictureOf(name string, file []byte) []byte {
	made, _ := d.s.Drawn(d.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(file), Size: int64(len(file)), Path: d.in.Path + "/" + name, Name: name, Names: []string{name},
	})
	return made
}

// raster has a picture decoded and encoded, as a file of its own.
func (d *deck) raster(name string, file []byte) ([]byte, error) {
	var out bytes.Buffer
	_, err := d.s.Nested(d.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(file), Size: int64(len(file)), Path: d.in.Path + "/" + name, Name: name, Names: []string{name},
	}, &out)
	if e := d.ctx.Err(); e != nil {
		return nil, e
	}
	if err != nil {
		// A picture that cannot be afforded becomes a grey square; it does not
		// take the presentation along.
		return nil, errors.New(err.Error())
	}
	return out.Bytes(), nil
}

func (d *deck) fatal(err error) bool {
	return errors.Is(err, sanitize.ErrLimit) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// foundInDrawing tells what was taken out of a drawing.
func (d *deck) foundInDrawing(w officeart.What, detail string) {
	rule, action := "ppt.record", sanitize.Rewritten
	switch w {
	case officeart.Script:
		rule, action = "ppt.script", sanitize.Removed
	case officeart.Object:
		return // the object is told where it is taken
	case officeart.LinkedPicture:
		rule, action = "ppt.linked-picture", sanitize.Removed
	case officeart.Hyperlink:
		rule, action = "ppt.link", sanitize.Neutralised
	case officeart.Picture:
		rule, action = "ppt.picture", sanitize.Replaced
	case officeart.Copy:
		rule = "ppt.newer-copy"
	case officeart.Cut:
		rule, action = "ppt.damaged", sanitize.Removed
	case officeart.Unknown:
	default:
		action = sanitize.Removed
	}
	d.report.Found(rule, d.where, action, detail)
}
