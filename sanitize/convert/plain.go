package convert

import (
	"bytes"
	"context"
	"io"

	"sekisho/sanitize"
)

// Plain turns what is text, or a page of the web, into pictures of its pages. It
// is treated first, by the sanitizer of its kind: LibreOffice sees UTF-8 and
// markup of ours alone, of which nothing leads out of it.
type Plain struct {
	Source sanitize.Source
	Treat  sanitize.Sanitizer
}

// Sanitize writes the pages of the file in to out.
func (p Plain) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	made := &sanitize.Buffer{Most: min(s.Options.Limits.OutputBytes, sanitize.MaxToolInput)}
	if _, err := p.Treat.Sanitize(ctx, s, in, made); err != nil {
		return sanitize.Result{}, err
	}
	pdf, err := paged(ctx, s, p.Source, bytes.NewReader(made.Bytes()), int64(made.Len()))
	if err != nil {
		return sanitize.Result{}, err
	}
	return drawn(ctx, s, in, pdf, out)
}
