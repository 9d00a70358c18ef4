package pdf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"image"
	"io"
	"math"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"sekisho/internal/fax"
	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// Pages turns a PDF into pictures of its pages: another program draws them in
// a sandbox of its own and gives back raw pixels, and a new document is written
// of nothing but these. What a page showed stays, and its words can still be
// searched for and copied: they are typed anew, invisible, from what another
// program read, code points only.
type Pages struct{}

const (
	// pageDPI is legible at 30 to 110 kB a page.
	pageDPI = 150
	// smallDPI is that of pages in black and white.
	smallDPI = 200
	// lowestDPI is what a page of the longest document that is drawn still gets.
	lowestDPI = 60
	// maxSheets, maxPageSide and maxPagePixels are the limits of pages; A0 at 150
	// dpi has 7,022 x 4,967.
	maxSheets     = 500
	maxPageSide   = 10_000
	maxPagePixels = 50_000_000
	// maxWords bounds the invisible text of a page; a page of a dictionary has 2,000.
	maxWords = 20_000
)

// Sanitize writes the pages of the PDF in to out.
func (Pages) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	known, err := foresee(ctx, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	sheets, err := readWords(ctx, s, in, len(known.tones))
	if err != nil {
		return sanitize.Result{}, err
	}
	usual := pageDPI
	if s.Options.SmallPages {
		usual = smallDPI
	}
	dpi, err := resolution(s, sheets, usual)
	if err != nil {
		return sanitize.Result{}, err
	}
	w := newWriter(out, s.Options.Limits.OutputBytes)
	// A worker begins with one processor. Here is work for seconds, and for more of
	// them.
	runtime.SetDefaultGOMAXPROCS()
	p := &pictures{s: s, w: w, dpi: dpi, sheets: sheets, parent: w.number()}
	if err := s.TellFonts(ctx, known.fonts); err != nil {
		return sanitize.Result{}, err
	}
	tones := known.tones
	if len(tones) != len(sheets) {
		tones = make([]tone, len(sheets))
	}
	if s.Options.SmallPages {
		p.fax = fax.NewTables()
		for i := range tones {
			tones[i] = max(tones[i], toneGrey)
		}
	}
	for _, part := range stretches(tones) {
		if err = p.draw(ctx, in, part); err != nil {
			break
		}
	}
	// Whoever still packs a page is waited for in any case.
	if err = firstOf(err, p.settle(0)); err != nil {
		return sanitize.Result{}, err
	}
	if len(p.kids) != len(sheets) {
		return sanitize.Result{}, fmt.Errorf("%d of %d pages were drawn: %w", len(p.kids), len(sheets), sanitize.ErrTool)
	}
	if err := p.finish(); err != nil {
		return sanitize.Result{}, err
	}
	s.Found(sanitize.Finding{Rule: "pdf.pages", Action: sanitize.Rewritten, Detail: strconv.Itoa(len(p.kids))})
	if p.boxes > 0 {
		s.Found(sanitize.Finding{Rule: "pdf.private-characters", Action: sanitize.Reported, Detail: strconv.Itoa(p.boxes)})
	}
	return sanitize.Result{Outcome: sanitize.Disarmed, Kind: sanitize.KindPDF, Mode: sanitize.Flatten}, nil
}

// draw has a stretch of pages drawn: plain ones by the program that takes half
// the time for them, as long as it does as it is expected to, and what it left
// undone by the other one.
func (p *pictures) draw(ctx context.Context, in sanitize.Object, part stretch) error {
	call := sanitize.ToolCall{Tool: sanitize.PDFPixels, First: part.first, Last: part.last, Of: len(p.sheets), DPI: p.dpi, Size: in.Size}
	if part.tone == tonePlain && !p.disliked {
		call.Tool = sanitize.PDFGreys
		d := &tiffStream{s: p.s, dpi: p.dpi, sheets: p.sheets[part.first-1 : part.last], page: p.take, room: p.room}
		err := firstOf(p.s.Convert(ctx, call, in.Reader(), d), d.end())
		switch {
		case d.failed != nil:
			return d.failed // nobody's fault but ours, or too many pixels
		case err == nil, ctx.Err() != nil, len(d.sheets) == 0, errors.Is(err, sanitize.ErrLimit):
			// One that was ended for its time is followed by the other, too: whoever
			// starts it takes what the first one used from what the message has.
			return err
		}
		p.disliked = true
		call.Tool, call.First = sanitize.PDFPixels, part.last-len(d.sheets)+1
	}
	if part.tone != toneColour {
		call.Grey = 1
	}
	d := &pageStream{page: p.take, room: p.room, s: p.s}
	return firstOf(p.s.Convert(ctx, call, in.Reader(), d), d.end())
}

// drawn is a page as the reader of words saw it, in points.
type drawn struct {
	width, height float64
	words         []word
}

type word struct {
	x0, y0, x1, y1 float64
	text           string
}

// readWords has the words read, and tells the pages and their sizes by the way.
// Expected is how many there may be, by which the work is shared.
func readWords(ctx context.Context, s *sanitize.Session, in sanitize.Object, expected int) ([]drawn, error) {
	call := sanitize.ToolCall{Tool: sanitize.PDFWords, First: 1, Last: maxSheets, Size: in.Size}
	if expected <= maxSheets {
		call.Of = expected
	}
	b, err := s.Converted(ctx, call, in.Reader())
	if errors.Is(err, sanitize.ErrTool) && !errors.Is(err, sanitize.ErrSlow) && call.Of > 0 && ctx.Err() == nil {
		// Maybe the program sees fewer.
		call.Of = 0
		b, err = s.Converted(ctx, call, in.Reader())
	}
	if err != nil {
		return nil, err
	}
	var sheets []drawn
	for line := range bytes.Lines(b) {
		l := strings.TrimSpace(string(line))
		switch {
		case strings.HasPrefix(l, "<page "):
			p := drawn{width: attribute(l, "width"), height: attribute(l, "height")}
			if !(p.width > 0 && p.height > 0 && p.width < 1e6 && p.height < 1e6) {
				return nil, fmt.Errorf("a page of %g x %g points: %w", p.width, p.height, sanitize.ErrTool)
			}
			sheets = append(sheets, p)
		case strings.HasPrefix(l, "<word ") && len(sheets) > 0:
			p := &sheets[len(sheets)-1]
			_, text, _ := strings.Cut(l, ">")
			text, _, ok := strings.Cut(text, "</word>")
			if !ok || len(p.words) == maxWords {
				continue
			}
			p.words = append(p.words, word{attribute(l, "xMin"), attribute(l, "yMin"), attribute(l, "xMax"), attribute(l, "yMax"), html.UnescapeString(text)})
		}
	}
	switch {
	case len(sheets) == 0:
		return nil, fmt.Errorf("no page: %w", sanitize.ErrTool)
	case len(sheets) == maxSheets:
		// There may be more, which nobody has asked for.
		return nil, fmt.Errorf("%d pages or more: %w", maxSheets, sanitize.ErrLimit)
	}
	return sheets, nil
}

// attribute reads the number of an attribute.
func attribute(tag, name string) float64 {
	_, v, ok := strings.Cut(tag, " "+name+`="`)
	v, _, _ = strings.Cut(v, `"`)
	f, err := strconv.ParseFloat(v, 64)
	if !ok || err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		return -1
	}
	return f
}

// resolution is the one at which all pages are drawn: less than usual when one
// is very large, or when there are so many that the message's pixels would not
// do.
func resolution(s *sanitize.Session, sheets []drawn, usual int) (int, error) {
	dpi, area := float64(usual), 0.0
	for _, p := range sheets {
		dpi = min(dpi, maxPageSide*72/max(p.width, p.height), math.Sqrt(maxPagePixels*72*72/(p.width*p.height)))
		area += p.width * p.height
	}
	// A tenth is left for pixels of rounding, and for other pictures of the mail.
	left := 0.9 * float64(s.PixelsLeft())
	dpi = min(dpi, math.Sqrt(left*72*72/area))
	if dpi < lowestDPI {
		return 0, fmt.Errorf("%d pages are too many to draw legibly: %w", len(sheets), sanitize.ErrLimit)
	}
	return int(dpi), nil
}

// pageStream takes pictures of the portable pixmap format (P5 and P6, eight bits) from
// a stream and hands them out one by one. Every number in it is the tool's.
type pageStream struct {
	s             *sanitize.Session
	page          func(width, height, samples int, pixels []byte) error // which keeps the pixels
	room          func(octets int) []byte                               // where pixels may go, of no length
	head          []byte
	width, height int
	samples       int
	pixels        []byte
	inPixels      bool
}

var errPNM = fmt.Errorf("no picture: %w", sanitize.ErrTool)

func (d *pageStream) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if d.inPixels {
			whole := d.width * d.height * d.samples
			k := min(len(b), whole-len(d.pixels))
			d.pixels = append(d.pixels, b[:k]...)
			b = b[k:]
			if len(d.pixels) == whole {
				pixels := d.pixels
				d.inPixels, d.pixels = false, nil
				if err := d.page(d.width, d.height, d.samples, pixels); err != nil {
					return 0, err
				}
			}
			continue
		}
		d.head = append(d.head, b[0])
		b = b[1:]
		if err := d.begin(); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// begin reads "P6\n1240 1754\n255\n" once it is all there.
func (d *pageStream) begin() error {
	const longest = 64
	if len(d.head) > longest {
		return errPNM
	}
	if bytes.Count(d.head, []byte("\n")) < 3 {
		return nil
	}
	var kind string
	var most int
	if _, err := fmt.Sscanf(string(d.head), "%2s\n%d %d\n%d\n", &kind, &d.width, &d.height, &most); err != nil || most != 255 {
		return errPNM
	}
	switch kind {
	case "P5":
		d.samples = 1
	case "P6":
		d.samples = 3
	default:
		return errPNM
	}
	if d.width > maxPageSide+1 || d.height > maxPageSide+1 {
		return fmt.Errorf("page of %d x %d pixels: %w", d.width, d.height, sanitize.ErrLimit)
	}
	if err := d.s.SpendPixels(d.width, d.height); err != nil {
		return err
	}
	d.pixels = d.room(d.width * d.height * d.samples)
	d.head, d.inPixels = d.head[:0], true
	return nil
}

func (d *pageStream) end() error {
	if d.inPixels || len(d.head) > 0 {
		return fmt.Errorf("a page was cut short: %w", sanitize.ErrTool)
	}
	return nil
}

// pictures writes the new document.
type pictures struct {
	s      *sanitize.Session
	w      *writer
	dpi    int
	sheets []drawn
	parent pdf.Ref
	kids   pdf.Array
	font   pdf.Ref // of the invisible words, once there are any
	boxes  int     // characters of private use, which are shown and not typed

	disliked bool // the program for plain pages left some undone

	packer
	work []chan packedPage
	free [][]byte // where the pixels of earlier pages were
}

// packedPage is a page whose pixels are packed.
type packedPage struct {
	width, height int
	dict          pdf.Dict
	data          []byte
	pixels        []byte // nobody needs them any more
	err           error
}

var errMore = errors.New("more pages than were announced")

// largePage is what is not packed beside another: in memory it is 24 MB, and
// as much again while it is made a photograph.
const largePage = 8_000_000

// take has a page packed while the next one is drawn, and pages that are ready
// written, in their order.
func (p *pictures) take(width, height, samples int, pixels []byte) error {
	if len(p.kids)+len(p.work) == len(p.sheets) {
		return errMore
	}
	whole := pixels
	if samples == 3 {
		if few, ok := uncoloured(pixels); ok {
			pixels, samples = few, 1
		}
	}
	if p.s.Looks() {
		m := &image.Gray{Pix: pixels, Stride: width, Rect: image.Rect(0, 0, width, height)}
		if samples == 3 {
			m = greyed(width, height, pixels)
		}
		p.s.Look(m)
	}
	beside := runtime.GOMAXPROCS(0)
	if width*height > largePage {
		beside = 0
	}
	if err := p.settle(max(beside-1, 0)); err != nil {
		return err
	}
	done := make(chan packedPage, 1)
	p.work = append(p.work, done)
	go func() {
		dict, data, err := p.packer.page(width, height, samples, pixels)
		done <- packedPage{width, height, dict, data, whole, err}
	}()
	return p.settle(beside)
}

// room is memory for the pixels of a page: that of an earlier page, if it is
// large enough, since new memory must be cleared first.
func (p *pictures) room(octets int) []byte {
	for i, b := range p.free {
		if cap(b) >= octets {
			p.free = slices.Delete(p.free, i, i+1)
			return b
		}
	}
	p.free = nil
	return make([]byte, 0, octets)
}

// settle writes pages until at most so many are still being packed. What it
// has begun it takes to its end, whatever fails.
func (p *pictures) settle(most int) error {
	var failed error
	for len(p.work) > most {
		done := <-p.work[0]
		p.work = p.work[1:]
		if len(p.free) <= runtime.GOMAXPROCS(0) && cap(done.pixels) <= largePage {
			p.free = append(p.free, done.pixels[:0])
		}
		if failed == nil {
			failed = done.err
		}
		if failed == nil {
			failed = p.page(done.width, done.height, done.dict, done.data)
		}
	}
	return failed
}

// page writes a page.
func (p *pictures) page(width, height int, dict pdf.Dict, data []byte) error {
	n := len(p.kids)
	picture := p.w.number()
	p.w.stream(picture, dict, data)
	// The size follows from the pixels: what the file says of it is not asked.
	points := func(px int) float64 { return math.Round(float64(px)*72/float64(p.dpi)*100) / 100 }
	wide, high := points(width), points(height)
	var c bytes.Buffer
	fmt.Fprintf(&c, "q\n%s 0 0 %s 0 0 cm\n/P Do\nQ\n", decimal(wide), decimal(high))
	resources := pdf.Dict{"XObject": pdf.Dict{"P": picture}}
	if p.words(&c, p.sheets[n], high) {
		resources["Font"] = pdf.Dict{"W": p.font}
	}
	p.sheets[n].words = nil
	contents := p.w.number()
	p.w.deflated(contents, pdf.Dict{}, c.Bytes())
	page := p.w.number()
	p.w.object(page, pdf.Dict{
		"Type": pdf.Name("Page"), "Parent": p.parent, "MediaBox": pdf.Array{int64(0), int64(0), pdf.Real(wide), pdf.Real(high)},
		"Resources": resources, "Contents": contents,
	})
	p.kids = append(p.kids, page)
	return p.w.err
}

func decimal(f float64) string { return string(appendReal(nil, f)) }

// finish writes the tree of pages and the end.
func (p *pictures) finish() error {
	p.w.object(p.parent, pdf.Dict{"Type": pdf.Name("Pages"), "Kids": p.kids, "Count": int64(len(p.kids))})
	root := p.w.number()
	p.w.object(root, pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": p.parent})
	return p.w.finish(root, pdf.Ref{})
}
