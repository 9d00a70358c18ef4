// Package odf makes OpenDocument files harmless: texts, spreadsheets,
// presentations, drawings and formulas, their templates, and the same as a
// single XML file.
//
// A document comes in as a ZIP archive of parts, or as one XML file. What goes
// out is a new one, of the same form: XML read strictly and written anew from an
// allow-list of elements and attributes (vocabulary.txt), pictures decoded and
// encoded anew, charts and formulas inside treated as the documents they are, the
// manifest and the settings made by us. Nothing that runs, loads or leads out of
// the document is written.
//
// It refuses what it cannot read in one way only: archives that two readers
// could see differently, DOCTYPEs, XML that is none. It does not lay pages out:
// what a style says is copied.
//
// document.go is the archive and the walk over its parts, filter.go what happens
// inside one, rules.go and attrs.go the verdicts on elements and attributes,
// settings.go those on settings, media.go the pictures.
package odf

import (
	"context"
	"fmt"
	"io"

	"sekisho/sanitize"
)

// Sanitizer treats every kind that Kinds lists. It keeps no state.
type Sanitizer struct{}

// Kinds returns the kinds this package treats.
func Kinds() []sanitize.Kind {
	return []sanitize.Kind{
		sanitize.KindODT, sanitize.KindODS, sanitize.KindODP, sanitize.KindODG, sanitize.KindODFormula,
		sanitize.KindOTT, sanitize.KindOTS, sanitize.KindOTP, sanitize.KindOTG,
		sanitize.KindFODT, sanitize.KindFODS, sanitize.KindFODP, sanitize.KindFODG,
		sanitize.KindODF,
	}
}

// Sanitize writes the harmless form of the document in to out. The kind of the
// result follows from the body of the document, whatever in.Kind says.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	d := &document{ctx: ctx, s: s, in: in, report: sanitize.Tally{More: "odf.more"}}
	w := &bounded{w: out, left: s.Options.Limits.OutputBytes}
	var head [4]byte
	if _, err := io.ReadFull(in.Reader(), head[:]); err != nil {
		return sanitize.Result{}, malformed("too short")
	}
	write := d.writeFlat
	if string(head[:]) == "PK\x03\x04" {
		write = d.writePackage
	}
	kind, err := write(w)
	if err != nil {
		return sanitize.Result{}, err
	}
	return sanitize.Result{Outcome: d.report.Settle(s), Kind: kind, Mode: sanitize.Rebuild}, nil
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

func malformed(format string, a ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), sanitize.ErrMalformed)
}

// body is what a document is about, by the one child of its office:body.
type body uint8

const (
	bodyText         body = 1
	bodySpreadsheet  body = 2
	bodyPresentation body = 3
	bodyDrawing      body = 4
	bodyFormula      body = 5 // MathML, without a body
	bodyChart        body = 6
)

// bodies says what is written of each. OpenDocument 1.3 part 2, appendix C.
var bodies = [...]struct {
	element  string
	media    string // behind application/vnd.oasis.opendocument.
	plain    sanitize.Kind
	template sanitize.Kind
	flat     sanitize.Kind
}{
	bodyText:         {"office:text", "text", sanitize.KindODT, sanitize.KindOTT, sanitize.KindFODT},
	bodySpreadsheet:  {"office:spreadsheet", "spreadsheet", sanitize.KindODS, sanitize.KindOTS, sanitize.KindFODS},
	bodyPresentation: {"office:presentation", "presentation", sanitize.KindODP, sanitize.KindOTP, sanitize.KindFODP},
	bodyDrawing:      {"office:drawing", "graphics", sanitize.KindODG, sanitize.KindOTG, sanitize.KindFODG},
	bodyFormula:      {"math:math", "formula", sanitize.KindODFormula, sanitize.KindODFormula, ""},
	bodyChart:        {"office:chart", "chart", "", "", ""},
}

const mediaPrefix = "application/vnd.oasis.opendocument."

// bodyOf finds the body that an element is.
func bodyOf(element string) body {
	for b := bodyText; int(b) < len(bodies); b++ {
		if bodies[b].element == element {
			return b
		}
	}
	return 0
}
