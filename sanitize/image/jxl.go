package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image/png"
	"io"

	"sekisho/sanitize"
)

// JXL writes JPEG XL pictures as PNG or JPEG. The codec is C++ of others: it runs
// in a sandbox, is given the bare code stream (ISO/IEC 18181-1; 18181-2, 9.10, for
// the boxes around it) and gives back a PNG, which is treated like any that
// strangers sent. The code stream says itself how the picture is turned.
type JXL struct{}

// Sanitize implements sanitize.Sanitizer.
func (JXL) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	stream, other, err := jxlStream(in, s.Options.Limits.OutputBytes)
	if err != nil {
		return sanitize.Result{}, err
	}
	w, h, err := jxlSize(stream)
	if err != nil {
		return sanitize.Result{}, malformed("read JPEG XL", err)
	}
	if err := s.SpendPixels(w, h); err != nil {
		return sanitize.Result{}, err
	}
	if err := affordable(int64(w)*int64(h), 6); err != nil {
		return sanitize.Result{}, err
	}
	b, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.JXLPNG, Size: int64(len(stream))}, bytes.NewReader(stream))
	if err != nil {
		return sanitize.Result{}, err
	}
	bad := func(err error) (sanitize.Result, error) {
		return sanitize.Result{}, fmt.Errorf("djxl: %w: %w", err, sanitize.ErrTool)
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared = bytes.NewReader(b), int64(len(b)), nil, "", ""
	p, err := walkPNG(in)
	if err != nil {
		return bad(err)
	}
	if (p.width != w || p.height != h) && (p.width != h || p.height != w) {
		return bad(fmt.Errorf("%d x %d pixels, not %d x %d", p.width, p.height, w, h))
	}
	if err := affordable(int64(w)*int64(h), p.bytesPerPixel()+1); err != nil {
		return sanitize.Result{}, err
	}
	m, err := png.Decode(io.MultiReader(p.pieces...))
	if err != nil {
		return bad(err)
	}
	if p.animated {
		s.Found(sanitize.Finding{Rule: "image.animation", Action: sanitize.Removed, Detail: "the first picture of several stays"})
	}
	if other {
		dropped(s, []string{"data beside the picture"})
	}
	converted(s, p.profile.fits(p.channels()), m)
	return finish(ctx, s, m, out)
}

// jxlStream is the code stream of a file: all of it, or what its boxes hold, in
// one piece or in several that are numbered. It says whether there was more.
func jxlStream(in sanitize.Object, most int64) (stream []byte, other bool, err error) {
	bad := func(err error) ([]byte, bool, error) { return nil, false, malformed("read JPEG XL", err) }
	if in.Size > most {
		return nil, false, fmt.Errorf("JPEG XL of %d octets: %w", in.Size, sanitize.ErrLimit)
	}
	file, err := io.ReadAll(in.Reader())
	if err != nil {
		return nil, false, fmt.Errorf("read JPEG XL: %w", err)
	}
	if bytes.HasPrefix(file, []byte{0xff, 0x0a}) {
		return file, false, nil
	}
	pieces, last := uint32(0), false
	for n := 0; len(file) > 0; n++ {
		kind, body, rest := nextBox(file)
		if body == nil || n > maxBoxes {
			return bad(errors.New("a box that does not fit"))
		}
		switch file = rest; kind {
		case "JXL ", "ftyp", "jxll":
		case "jxlc":
			if stream != nil {
				return bad(errors.New("two code streams"))
			}
			stream, last = body, true
		case "jxlp":
			if len(body) < 4 || last || binary.BigEndian.Uint32(body)&^(1<<31) != pieces {
				return bad(errors.New("pieces out of order"))
			}
			last = body[0]&0x80 != 0
			stream, pieces = append(stream, body[4:]...), pieces+1
		default:
			other = true
		}
	}
	if !last {
		return bad(errors.New("no code stream"))
	}
	return stream, other, nil
}

// jxlSize reads the size out of the head of a code stream (ISO/IEC 18181-1, D.2):
// numbers of bits, the lowest first.
func jxlSize(b []byte) (width, height int, err error) {
	if len(b) < 12 || b[0] != 0xff || b[1] != 0x0a {
		return 0, 0, errors.New("no code stream")
	}
	v := binary.LittleEndian.Uint64(b[2:])
	more := uint64(binary.LittleEndian.Uint16(b[10:])) // at most 1 + 2 + 30 + 3 + 2 + 30 bits
	take := func(n uint) int {
		got := int(v & (1<<n - 1))
		v = v>>n | more<<(64-n)
		more >>= n
		return got
	}
	number := func(small bool) int {
		if small {
			return 8 * (take(5) + 1)
		}
		return 1 + take([4]uint{9, 13, 18, 30}[take(2)])
	}
	small := take(1) == 1
	height = number(small)
	switch ratio := take(3); ratio {
	case 0:
		width = number(small)
	default:
		of := [8][2]int{1: {1, 1}, {12, 10}, {4, 3}, {3, 2}, {16, 9}, {5, 4}, {2, 1}}[ratio]
		width = height * of[0] / of[1]
	}
	if width < 1 {
		return 0, 0, errors.New("no width")
	}
	return width, height, nil
}
