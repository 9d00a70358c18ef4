package corpustest

import (
	"context"
	"io"

	"sekisho/internal/metafile"
	"sekisho/sanitize"
)

// Draughtsman stands for what draws drawings of Windows, whose programs have tests
// of their own. It hands out Picture, a PNG, or fails when there is none, and
// remembers how large the drawing was, in millimetres.
type Draughtsman struct {
	Picture       []byte
	Width, Height float64
}

// Sanitize implements sanitize.Sanitizer.
func (d *Draughtsman) Sanitize(_ context.Context, _ *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	b, err := io.ReadAll(in.Reader())
	if err != nil || d.Picture == nil {
		return sanitize.Result{}, sanitize.ErrTool
	}
	if b, err = metafile.RewriteWMF(b); err != nil {
		return sanitize.Result{}, err
	}
	d.Width, d.Height = metafile.Size(b)
	_, err = out.Write(d.Picture)
	return sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindPNG, Mode: sanitize.Convert}, err
}
