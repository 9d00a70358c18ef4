package image

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"io"

	"sekisho/sanitize"
)

// animation writes a GIF anew with all its pictures, their times and how they
// follow each other. GIF89a specification, appendix A; the only application
// extension is Netscape's number of repetitions.
func animation(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	w, err := walkGIF(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	// All pictures are held at once, a byte a pixel, and each with a palette of its
	// own: one pixel may come with four thousand octets of memory.
	if err := affordable(w.total+gifFrame*w.frames, 1); err != nil {
		return sanitize.Result{}, err
	}
	g, err := gif.DecodeAll(bufio.NewReader(io.MultiReader(bytes.NewReader(w.head[:]), io.NewSectionReader(in, int64(len(w.head)), w.end-int64(len(w.head))))))
	if err != nil {
		return sanitize.Result{}, malformed("decode gif", err)
	}
	if err := ctx.Err(); err != nil {
		return sanitize.Result{}, err
	}
	shown(s, g)
	if w.other > 0 {
		s.Found(sanitize.Finding{Rule: "image.metadata", Action: sanitize.Rewritten, Detail: fmt.Sprintf("%d comments and extensions", w.other)})
	}
	trailing(s, in, w.end)
	onlyUsedOf(g)
	b := bufio.NewWriter(out)
	if err := gif.EncodeAll(b, g); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode GIF: %w", err)
	}
	if err := b.Flush(); err != nil {
		return sanitize.Result{}, fmt.Errorf("encode GIF: %w", err)
	}
	return clean(sanitize.KindGIF), nil
}

// gifFrame is the memory that a picture of an animation takes beside its pixels:
// a palette of 256 colours, sixteen octets each and four behind them.
const gifFrame = 256*(16+4) + 200

// onlyUsedOf takes the colours that no pixel has out of the palettes. Pictures
// that share one keep sharing it.
func onlyUsedOf(g *gif.GIF) {
	global, _ := g.Config.ColorModel.(color.Palette)
	shared := new([256]bool)
	used := make([][256]bool, len(g.Image))
	shares := make([]bool, len(g.Image))
	for i, m := range g.Image {
		usedOf(m, &used[i])
		if shares[i] = alike(m.Palette, global); !shares[i] {
			continue
		}
		for n, c := range m.Palette {
			_, _, _, a := c.RGBA()
			shared[n] = shared[n] || used[i][n] && a != 0
		}
	}
	for i, m := range g.Image {
		switch {
		case !shares[i]:
			onlyUsed(m.Palette, &used[i])
		case &m.Palette[0] != &global[0]:
			onlyUsed(m.Palette, shared)
		}
	}
	onlyUsed(global, shared)
}

// alike reports whether a picture has the palette of the whole, but for the
// colour of nothing.
func alike(p, global color.Palette) bool {
	if len(p) != len(global) || len(p) == 0 {
		return false
	}
	for i, c := range p {
		if _, _, _, a := c.RGBA(); a != 0 && c != global[i] {
			return false
		}
	}
	return true
}

// gifWalk is what the walk over a GIF found: how many pixels there are in all,
// where the file ends, how many blocks hold neither a picture nor its time, and
// the head with a screen on which every picture has room.
type gifWalk struct {
	total, end int64
	frames     int64
	other      int
	head       [13]byte
}

// walkGIF charges every picture before the library sees one.
func walkGIF(s *sanitize.Session, in sanitize.Object) (*gifWalk, error) {
	r := &offsetReader{r: bufio.NewReader(in.Reader())}
	bad := func(what string) (*gifWalk, error) {
		return nil, malformed("read gif", fmt.Errorf("%s at octet %d", what, r.n))
	}
	found := &gifWalk{}
	h := found.head[:]
	if !r.full(h) {
		return bad("no screen descriptor")
	}
	le := binary.LittleEndian
	screenW, screenH := int(le.Uint16(h[6:])), int(le.Uint16(h[8:]))
	if screenW > 0 && screenH > 0 {
		if err := s.SpendPixels(screenW, screenH); err != nil {
			return nil, err
		}
	}
	right, below := 0, 0
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
			found.end = r.n
			if right > 65535 || below > 65535 {
				return bad("picture beyond every screen")
			}
			if right > screenW || below > screenH {
				// QUIRK: browsers make the screen as large as what is drawn on it.
				screenW, screenH = max(screenW, right), max(screenH, below)
				if err := s.SpendPixels(screenW, screenH); err != nil {
					return nil, err
				}
				le.PutUint16(h[6:], uint16(screenW))
				le.PutUint16(h[8:], uint16(screenH))
			}
			return found, nil
		case 0x21:
			if !r.full(c) {
				return bad("extension cut short")
			}
			b, err := r.r.Peek(12)
			if repeats := err == nil && string(b) == "\x0bNETSCAPE2.0"; c[0] != 0xf9 && !(c[0] == 0xff && repeats) {
				found.other++
			}
		case 0x2c:
			d := make([]byte, 9)
			if !r.full(d) {
				return bad("picture cut short")
			}
			w, h := int(le.Uint16(d[4:])), int(le.Uint16(d[6:]))
			if err := s.SpendPixels(w, h); err != nil {
				return nil, err
			}
			found.total += int64(w) * int64(h)
			found.frames++
			right, below = max(right, int(le.Uint16(d))+w), max(below, int(le.Uint16(d[2:]))+h)
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

// shown looks at the pictures of an animation as they are shown: each over those
// before it, as they say. One may be half a code and the next the other.
func shown(s *sanitize.Session, g *gif.GIF) {
	full := image.Rect(0, 0, g.Config.Width, g.Config.Height)
	if affordable(int64(full.Dx())*int64(full.Dy()), 8) != nil {
		for _, m := range g.Image {
			s.Look(m)
		}
		return
	}
	canvas := image.NewNRGBA(full)
	for i, m := range g.Image {
		if !s.Looks() {
			return
		}
		draw.Draw(canvas, m.Bounds(), m, m.Bounds().Min, draw.Over)
		s.Look(canvas)
		switch g.Disposal[i] {
		case gif.DisposalBackground:
			draw.Draw(canvas, m.Bounds(), image.Transparent, image.Point{}, draw.Src)
		case gif.DisposalPrevious:
			// What it covered would have to be kept; that it stays hides no code.
		}
	}
}
