package convert

import (
	"bytes"
	"context"
	"io"

	"sekisho/sanitize"
)

// Hook has a converter of the administrator's make a PDF of a file that nothing
// here treats. The PDF is treated like one that a stranger sent.
type Hook struct {
	Number int    // among the converters of this run, from 1
	Name   string // for the report
}

// Sanitize writes the harmless form of the PDF to out.
func (h Hook) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	made, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.HookToPDF, Hook: h.Number, Size: in.Size}, in.Reader())
	if err != nil {
		return sanitize.Result{}, err
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared = bytes.NewReader(made), int64(len(made)), nil, "", ""
	res, err := s.AsPDF(ctx, in, out)
	if err != nil {
		return sanitize.Result{}, err
	}
	s.Found(sanitize.Finding{Rule: "convert.converter", Action: sanitize.Rewritten, Detail: h.Name})
	return res, nil
}
