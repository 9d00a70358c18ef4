package image

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"image/gif"
	"io"

	"sekisho/sanitize"
)

// animation writes a GIF anew with all its pictures, their times and how they
// follow each other. GIF89a specification, appendix A; the only application
// extension is Netscape's number of repetitions.
func animation(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	total, end, dropped, err := walkGIF(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(total, 1); err != nil { // a byte a pixel, all pictures at once
		return sanitize.Result{}, err
	}
	g, err := gif.DecodeAll(bufio.NewReader(io.NewSectionReader(in, 0, end)))
	if err != nil {
		return sanitize.Result{}, malformed("decode gif", err)
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	for _, m := range g.Image {
		s.Look(m)
	}
	if dropped > 0 {
		s.Found(sanitize.Finding{Rule: "image.metadata", Action: sanitize.Rewritten, Detail: fmt.Sprintf("%d comments and extensions", dropped)})
	}
	trailing(s, in, end)
	w := bufio.NewWriter(out)
	if err := gif.EncodeAll(w, g); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode GIF: %w", err)
	}
	if err := w.Flush(); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode GIF: %w", err)
	}
	return clean(sanitize.KindGIF), nil
}

// walkGIF charges every picture before the library sees one. It returns how
// many pixels there are in all, where the file ends and how many blocks hold
// neither a picture nor its time.
func walkGIF(s *sanitize.Session, in sanitize.Object) (total, end int64, other int, err error) {
	r := &offsetReader{r: bufio.NewReader(in.Reader())}
	bad := func(what string) (int64, int64, int, error) {
		return 0, 0, 0, malformed("read gif", fmt.Errorf("%s at octet %d", what, r.n))
	}
	h := make([]byte, 13)
	if !r.full(h) {
		return bad("no screen descriptor")
	}
	screenW, screenH := int(binary.LittleEndian.Uint16(h[6:])), int(binary.LittleEndian.Uint16(h[8:]))
	if err := s.SpendPixels(screenW, screenH); err != nil {
		return 0, 0, 0, err
	}
	if h[10]&0x80 != 0 && !r.skip(3<<(h[10]&7+1)) {
		return bad("palette cut short")
	}
	for {
		c := make([]byte, 1)
		if !r.full(c) {
			return bad("no end")
		}
		switch c[0] {
		case 0x3b:
			return total, r.n, other, nil
		case 0x21:
			if !r.full(c) {
				return bad("extension cut short")
			}
			if c[0] != 0xf9 && c[0] != 0xff {
				other++
			}
		case 0x2c:
			d := make([]byte, 9)
			if !r.full(d) {
				return bad("picture cut short")
			}
			w, h := int(binary.LittleEndian.Uint16(d[4:])), int(binary.LittleEndian.Uint16(d[6:]))
			if err := s.SpendPixels(w, h); err != nil {
				return 0, 0, 0, err
			}
			total += int64(w) * int64(h)
			if d[8]&0x80 != 0 && !r.skip(3<<(d[8]&7+1)) || !r.skip(1) {
				return bad("palette cut short")
			}
		default:
			return bad("unknown block")
		}
		for { // data sub-blocks
			if !r.full(c) {
				return bad("block cut short")
			}
			if c[0] == 0 {
				break
			}
			if !r.skip(int(c[0])) {
				return bad("block cut short")
			}
		}
	}
}

// offsetReader counts what was read.
type offsetReader struct {
	r *bufio.Reader
	n int64
}

func (o *offsetReader) full(b []byte) bool {
	n, err := io.ReadFull(o.r, b)
	o.n += int64(n)
	return err == nil
}

func (o *offsetReader) skip(n int) bool {
	m, err := o.r.Discard(n)
	o.n += int64(m)
	return err == nil
}
