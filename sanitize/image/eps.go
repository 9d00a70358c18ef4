package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"

	"sekisho/sanitize"
)

// EPS writes what an EPS file draws as PNG or JPEG. PostScript is a programming
// language: its interpreter runs in a sandbox, without files, and what comes
// back is pixels. EPSF 3.0 specification.
type EPS struct{}

const (
	epsDPI     = 150
	epsLongest = 4000 // pixels: a poster is drawn coarser
)

// Sanitize implements sanitize.Sanitizer.
func (EPS) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	at, size, err := postscript(in)
	if err != nil {
		return sanitize.Result{}, err
	}
	w, h, err := boundingBox(in, at, size)
	if err != nil {
		return sanitize.Result{}, err
	}
	dpi := min(epsDPI, int(epsLongest*72/max(w, h)))
	if dpi < 10 {
		return sanitize.Result{}, fmt.Errorf("EPS of %g x %g points: %w", w, h, sanitize.ErrLimit)
	}
	width, height := int(math.Ceil(w*float64(dpi)/72)), int(math.Ceil(h*float64(dpi)/72))
	// Programs round half a pixel up or down.
	if err := s.SpendPixels(width+1, height+1); err != nil {
		return sanitize.Result{}, err
	}
	b, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.EPSPixels, DPI: dpi, Size: size}, io.NewSectionReader(in, at, size))
	if err != nil {
		return sanitize.Result{}, err
	}
	r, err := handedOver(b, width, height, 1)
	if err != nil {
		return sanitize.Result{}, err
	}
	return finish(ctx, s, r.Image(), out)
}

// postscript finds the program in a file, which may stand in one of DOS with a
// picture beside it (EPSF 3.0, appendix A).
func postscript(in sanitize.Object) (at, size int64, err error) {
	var h [12]byte
	if _, err := in.ReadAt(h[:], 0); err != nil {
		return 0, 0, malformed("read EPS", err)
	}
	if !bytes.HasPrefix(h[:], []byte{0xc5, 0xd0, 0xd3, 0xc6}) {
		return 0, in.Size, nil
	}
	at, size = int64(binary.LittleEndian.Uint32(h[4:])), int64(binary.LittleEndian.Uint32(h[8:]))
	if at < 30 || size < 10 || at+size > in.Size {
		return 0, 0, malformed("read EPS", fmt.Errorf("program of %d octets at %d", size, at))
	}
	return at, size, nil
}

// boundingBox reads the size of the drawing, in points. It stands at the
// beginning, or there is said to stand at the end.
func boundingBox(in io.ReaderAt, at, size int64) (w, h float64, err error) {
	const look = 64 << 10
	for _, from := range [...]int64{at, at + max(size-look, 0)} {
		b := make([]byte, min(look, at+size-from))
		if _, err := in.ReadAt(b, from); err != nil && err != io.EOF {
			return 0, 0, malformed("read EPS", err)
		}
		for line := range bytes.SplitSeq(bytes.ReplaceAll(b, []byte("\r"), []byte("\n")), []byte("\n")) {
			rest, ok := bytes.CutPrefix(line, []byte("%%BoundingBox:"))
			f := bytes.Fields(rest)
			if !ok || len(f) != 4 {
				continue
			}
			var v [4]float64
			for i := range v {
				if v[i], err = strconv.ParseFloat(string(f[i]), 64); err != nil || math.Abs(v[i]) > 1e6 || math.IsNaN(v[i]) {
					return 0, 0, malformed("read EPS", fmt.Errorf("bounding box %q", rest))
				}
			}
			if w, h = v[2]-v[0], v[3]-v[1]; w >= 1 && h >= 1 {
				return w, h, nil
			}
		}
	}
	return 0, 0, fmt.Errorf("EPS without a bounding box: %w", sanitize.ErrUnsupported)
}
