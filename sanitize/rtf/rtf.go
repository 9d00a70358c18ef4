// Package rtf makes rich text harmless: RTF as Word, WordPad, LibreOffice and
// hundreds of other programs write it, and as those write it who hide things in
// it.
//
// A file comes in as a stream of control words, groups and characters. It is
// taken apart as a tolerant reader does (RTF has no syntax to be strict about),
// and what is understood is written anew from an allow-list: destinations,
// control words and their numbers, text as characters. Nothing is copied, so
// that no way of writing a thing can carry it through: what is not on the list
// is not written, however it was spelt. Text is decoded by the code page of its
// font and written in ASCII with \u; pictures are decoded and encoded again
// through the session; drawings of Windows are rewritten record by record.
// Objects become the picture that shows them, fields that do more than compute
// become their last result.
//
// The package does not lay text out and knows no page. It keeps the order of
// what it keeps, and that is what keeps the look.
//
// scan.go takes the file apart, words.go is the allow-list, document.go the walk
// that puts both together, setting.go the words that change how it is read,
// text.go knows code pages, field.go, object.go, picture.go and shape.go what
// stands in text, writer.go writes.
package rtf

import (
	"context"
	"io"

	"sekisho/sanitize"
)

// Sanitizer treats rich text. It keeps no state.
type Sanitizer struct{}

// Sanitize writes the harmless form of the document in to out.
func (Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	d := &document{
		ctx: ctx, s: s, in: in, scan: newScanner(in.Reader()), words: vocabulary(),
		w: &writer{out: out, most: s.Options.Limits.OutputBytes}, fonts: map[int32]string{}, codePage: "windows-1252", defining: -1,
	}
	if err := d.walk(); err != nil {
		return sanitize.Result{}, err
	}
	return sanitize.Result{Outcome: d.report.file(s), Kind: sanitize.KindRTF, Mode: sanitize.Rebuild}, nil
}
