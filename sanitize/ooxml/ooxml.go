// Package ooxml makes documents of Word, Excel, PowerPoint and Visio harmless:
// docx, xlsx, pptx, vsdx and their siblings with macros and as templates.
//
// A document comes in as a ZIP archive of parts that relationships tie
// together. What goes out is a new archive: of the parts that an allow-list of
// relationship and content types knows, under names of our own, each XML part
// read strictly and copied with what may not stay cut out, pictures decoded and
// encoded anew. Nothing that runs, fetches or leads out of the document is
// copied, and what referred to it goes with it, so that no application finds an
// id that leads nowhere.
//
// It refuses what it cannot read in one way only: archives that two readers
// could see differently, DOCTYPEs, XML that is none. It does not lay pages out
// and does not know whether a document looks right; keeping the bytes of what
// stays is what keeps the look.
//
// kinds.go holds the allow-lists, document.go the walk over the parts,
// filter.go and rules.go what happens inside one (spaces.go: its namespaces,
// fields.go: the fields of Word), visio.go what is different in drawings of
// Visio, media.go the pictures. The
// languages of cells and fields are internal/formula and internal/fieldcode.
package ooxml

import (
	"context"
	"fmt"
	"io"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// Sanitizer treats every kind that Kinds lists. It keeps no state.
type Sanitizer struct{}

// Kinds returns the kinds this package treats.
func Kinds() []sanitize.Kind {
	return []sanitize.Kind{
		sanitize.KindDOCX, sanitize.KindDOCM, sanitize.KindDOTX, sanitize.KindDOTM,
		sanitize.KindXLSX, sanitize.KindXLSM, sanitize.KindXLTX, sanitize.KindXLTM,
		sanitize.KindPPTX, sanitize.KindPPTM, sanitize.KindPPSX, sanitize.KindPPSM, sanitize.KindPOTX, sanitize.KindPOTM,
		sanitize.KindVSDX, sanitize.KindVSDM, sanitize.KindVSTX, sanitize.KindVSTM, sanitize.KindVSSX, sanitize.KindVSSM,
	}
}

// Sanitize writes the harmless form of the document in to out. The kind of the
// result follows from the content type of the main part, whatever in.Kind says.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	z, err := zipstrict.Open(in.ReaderAt, in.Size, zipstrict.Limits{Entries: s.Options.Limits.Entries})
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("open package: %w", mapZIP(err))
	}
	d := &document{
		ctx: ctx, s: s, in: in, report: newReport(),
		files: make(map[string]*zipstrict.File, len(z.Files)), byName: map[string]*part{},
		flags: packageFlags{comments: s.Options.Comments, changes: fateOfChanges(s.Options), links: s.Options.URLs},
	}
	for i := range z.Files {
		f := &z.Files[i]
		switch {
		case f.IsDir:
			continue
		case f.Trick != "" && f.Trick != zipstrict.Backslash && f.Trick != zipstrict.Absolute:
			// No relationship can lead there; a program that unpacks would follow it.
			d.report.found("ooxml.member", f.Name, sanitize.Removed, string(f.Trick))
			continue
		}
		d.files[zipstrict.Key(f.Name)] = f
		d.order = append(d.order, f)
	}
	if err := d.gather(); err != nil {
		return sanitize.Result{}, err
	}
	w := &bounded{w: out, left: s.Options.Limits.OutputBytes}
	if err := d.write(w); err != nil {
		return sanitize.Result{}, err
	}
	return sanitize.Result{Outcome: d.report.file(s), Kind: d.main.out, Mode: sanitize.Rebuild}, nil
}

// bounded stops an output that grows over what a run may write.
type bounded struct {
	w    io.Writer
	left int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= int64(len(p)); b.left < 0 {
		return 0, fmt.Errorf("output: %w", sanitize.ErrLimit)
	}
	return b.w.Write(p)
}
