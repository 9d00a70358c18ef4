package image

import (
	"bytes"
	"context"
	"fmt"
	"io"

	"sekisho/sanitize"
)

// HEIF writes HEIC and AVIF pictures, which phones take, as JPEG. Their codecs
// are C++ of others: they run in a sandbox of their own, and what comes back is
// treated like any JPEG that strangers sent.
type HEIF struct{}

// Sanitize writes the picture in to out as JPEG.
func (HEIF) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	b := &bounded{most: s.Options.Limits.OutputBytes}
	if err := s.Convert(ctx, sanitize.ToolCall{Tool: sanitize.HEIFJPEG, Size: in.Size}, in.Reader(), b); err != nil {
		return sanitize.Result{}, err
	}
	if err := s.Spend(int64(b.Len())); err != nil {
		return sanitize.Result{}, err
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared = bytes.NewReader(b.Bytes()), int64(b.Len()), nil, "", ""
	res, err := s.Instead(ctx, in, sanitize.KindJPEG, out)
	if err != nil {
		return sanitize.Result{}, err
	}
	res.Mode = sanitize.Convert
	return res, nil
}

// bounded is memory for what a tool wrote.
type bounded struct {
	bytes.Buffer
	most int64
}

func (b *bounded) Write(p []byte) (int, error) {
	if int64(b.Len()+len(p)) > b.most {
		return 0, fmt.Errorf("picture of more than %d octets: %w", b.most, sanitize.ErrLimit)
	}
	return b.Buffer.Write(p)
}
