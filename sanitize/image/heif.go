package image

import (
	"bytes"
	"context"
	"io"

	"sekisho/sanitize"
)

// HEIF writes HEIC and AVIF pictures, which phones take, as JPEG. Their codecs
// are C++ of others: they run in a sandbox of their own, and what comes back is
// treated like any JPEG that strangers sent.
type HEIF struct{}

// Sanitize writes the picture in to out as JPEG.
func (HEIF) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	b, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.HEIFJPEG, Size: in.Size}, in.Reader())
	if err != nil {
		return sanitize.Result{}, err
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared = bytes.NewReader(b), int64(len(b)), nil, "", ""
	res, err := s.Instead(ctx, in, sanitize.KindJPEG, out)
	if err != nil {
		return sanitize.Result{}, err
	}
	res.Mode = sanitize.Convert
	return res, nil
}
