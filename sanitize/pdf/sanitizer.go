// Package pdf makes PDF documents (ISO 32000) harmless. What comes in is read
// by internal/pdf, object by object; what goes out is a new file with objects,
// numbers and tables of our own. Copied is what the pages lead to, as far as
// the allow-list in grammar.go goes: every value must be what its place says it
// is. No script, no action but to places in the document and to web and mail
// addresses, no file in the file, no stream from elsewhere, no earlier version
// is there any more, because nothing of the kind is ever written.
//
// Programs that paint are taken apart into tokens and put together of known
// operators; character maps and calculator functions likewise; pictures are
// decoded, or taken apart and tried; packed data is unpacked and packed anew.
// Fonts keep their outlines.
//
// grammar.go says what may stay, clean.go copies it, shapes.go has the simple
// values, document.go the pages and what hangs on the catalog (places.go,
// nametree.go, outlines.go, layers.go, structure.go), content.go the programs,
// image.go, jbig2.go and fax.go the pictures, font.go the fonts, writer.go the
// file. judge.go has other programs look at what was written before it counts.
package pdf

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// Sanitizer treats PDF documents. It keeps no state.
type Sanitizer struct{}

// Sanitize writes the harmless form of the document in to out.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	if in.Size > s.Options.Limits.OutputBytes {
		return sanitize.Result{}, fmt.Errorf("document of %d octets: %w", in.Size, sanitize.ErrLimit)
	}
	b := make([]byte, in.Size)
	if n, err := in.ReadAt(b, 0); n < len(b) {
		return sanitize.Result{}, fmt.Errorf("read the document: %w", err)
	}
	f, err := pdf.Open(b, s.Spend)
	if err != nil {
		return sanitize.Result{}, mapped(err)
	}
	c := &cleaner{
		ctx: ctx, s: s, in: in, f: f, g: newGrammar(), report: &report{Tally: sanitize.Tally{More: "pdf.more"}},
		memo: map[memoKey]pdf.Ref{}, pages: map[int]pdf.Ref{}, seen: map[int]bool{},
	}
	made := &sanitize.Buffer{Most: s.Options.Limits.OutputBytes}
	c.w = newWriter(made, s.Options.Limits.OutputBytes)
	c.around(b)
	if err := c.document(); err != nil {
		return sanitize.Result{}, mapped(err)
	}
	if err := c.judged(made.Bytes()); err != nil {
		return sanitize.Result{}, err
	}
	if _, err := out.Write(made.Bytes()); err != nil {
		return sanitize.Result{}, fmt.Errorf("write the document: %w", err)
	}
	return sanitize.Result{Outcome: c.report.Settle(s), Kind: sanitize.KindPDF, Mode: sanitize.Rebuild}, nil
}

// mapped says what an error of the reader is to the session.
func mapped(err error) error {
	for _, e := range []struct{ is, as error }{
		{pdf.ErrEncrypted, sanitize.ErrEncrypted},
		{pdf.ErrMalformed, sanitize.ErrContainer}, // no document: nothing for other programs to try their luck with
		{pdf.ErrTooMuch, sanitize.ErrLimit}, {pdf.ErrFilter, sanitize.ErrMalformed},
	} {
		if errors.Is(err, e.is) && !errors.Is(err, e.as) {
			return fmt.Errorf("%w: %w", err, e.as)
		}
	}
	return err
}
