package pdf

import (
	"bytes"
	"compress/zlib"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"html"
	"image"
	"image/jpeg"
	"io"
	"math"
	"runtime"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"

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
	sheets, err := readWords(ctx, s, in)
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
	p := &pictures{s: s, w: w, dpi: dpi, sheets: sheets, parent: w.number()}
	call := sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: len(sheets), DPI: dpi, Size: in.Size}
	if s.Options.SmallPages {
		call.Grey, p.fax = 1, newFaxTables()
	}
	d := &pnm{page: p.take, s: s}
	err = s.Convert(ctx, call, in.Reader(), d)
	if err == nil {
		err = d.end()
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
func readWords(ctx context.Context, s *sanitize.Session, in sanitize.Object) ([]drawn, error) {
	b, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.PDFWords, First: 1, Last: maxSheets, Size: in.Size}, in.Reader())
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

// pnm takes pictures of the portable pixmap format (P5 and P6, eight bits) from
// a stream and hands them out one by one. Every number in it is the tool's.
type pnm struct {
	s             *sanitize.Session
	page          func(width, height, samples int, pixels []byte) error // which keeps the pixels
	head          []byte
	width, height int
	samples       int
	pixels        []byte
	inPixels      bool
}

var errPNM = fmt.Errorf("no picture: %w", sanitize.ErrTool)

func (d *pnm) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if d.inPixels {
			k := min(len(b), cap(d.pixels)-len(d.pixels))
			d.pixels = append(d.pixels, b[:k]...)
			b = b[k:]
			if len(d.pixels) == cap(d.pixels) {
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
func (d *pnm) begin() error {
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
	d.pixels = make([]byte, 0, d.width*d.height*d.samples)
	d.head, d.inPixels = d.head[:0], true
	return nil
}

func (d *pnm) end() error {
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

	fax  *faxTables // of pages in black and white, where they are wanted
	work []chan packedPage
}

// packedPage is a page whose pixels are packed.
type packedPage struct {
	width, height int
	dict          pdf.Dict
	data          []byte
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
	if p.s.Looks() {
		p.s.Look(greyed(width, height, samples, pixels))
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
		dict, data, err := packPage(p.fax, width, height, samples, pixels)
		done <- packedPage{width, height, dict, data, err}
	}()
	return p.settle(beside)
}

// settle writes pages until at most so many are still being packed. What it
// has begun it takes to its end, whatever fails.
func (p *pictures) settle(most int) error {
	var failed error
	for len(p.work) > most {
		done := <-p.work[0]
		p.work = p.work[1:]
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

// greyed is a page without its colours.
func greyed(width, height, samples int, pixels []byte) *image.Gray {
	g := &image.Gray{Pix: pixels, Stride: width, Rect: image.Rect(0, 0, width, height)}
	if samples == 3 {
		g.Pix = make([]byte, width*height)
		for i := range g.Pix {
			p := pixels[3*i : 3*i+3]
			g.Pix[i] = byte((int(p[0])*77 + int(p[1])*150 + int(p[2])*29) >> 8)
		}
	}
	return g
}

func decimal(f float64) string { return string(appendReal(nil, f)) }

// packPage packs the pixels of a page in the smallest form that shows them as
// they are: a few greys, a few colours, or a photograph; in black and white,
// where that is wanted and the page is no picture.
func packPage(fax *faxTables, width, height, samples int, pixels []byte) (pdf.Dict, []byte, error) {
	d := pdf.Dict{"Type": pdf.Name("XObject"), "Subtype": pdf.Name("Image"), "Width": int64(width), "Height": int64(height)}
	as := func(space pdf.Object, bits int64, filter pdf.Name) pdf.Dict {
		d["ColorSpace"], d["BitsPerComponent"], d["Filter"] = space, bits, filter
		return d
	}
	if samples == 3 && !coloured(pixels) {
		for i := range width * height {
			pixels[i] = pixels[3*i+1]
		}
		pixels, samples = pixels[:width*height], 1
	}
	if samples == 1 {
		// Letters have soft edges, and four greys are enough for those; pictures
		// want more.
		few := middling(pixels) < 0.12
		if few && fax != nil && !shaded(pixels, width) {
			d["DecodeParms"] = pdf.Dict{"K": int64(-1), "Columns": int64(width), "Rows": int64(height)}
			return as(pdf.Name("DeviceGray"), 1, "CCITTFaxDecode"), group4(fax, blackened(pixels, width, height), width, height), nil
		}
		bits := 4
		if few {
			bits = 2
		}
		packed, err := wellDeflated(packGrey(pixels, width, height, bits))
		if err != nil {
			return nil, nil, err
		}
		if len(packed) > len(pixels)/10 {
			photo, err := photograph(&image.Gray{Pix: pixels, Stride: width, Rect: image.Rect(0, 0, width, height)})
			if err != nil {
				return nil, nil, err
			}
			if len(photo) < len(packed) {
				return as(pdf.Name("DeviceGray"), 8, "DCTDecode"), photo, nil
			}
		}
		return as(pdf.Name("DeviceGray"), int64(bits), "FlateDecode"), packed, nil
	}
	if index, palette, ok := indexed(pixels, width*height); ok {
		// Two or four bits where the colours are that few.
		bits := 8
		switch n := len(palette) / 3; {
		case n <= 4:
			bits = 2
		case n <= 16:
			bits = 4
		}
		packed, err := wellDeflated(packBits(index, width, height, bits))
		if err != nil {
			return nil, nil, err
		}
		if len(packed) <= width*height/8 {
			space := pdf.Array{pdf.Name("Indexed"), pdf.Name("DeviceRGB"), int64(len(palette)/3 - 1), pdf.String(palette)}
			return as(space, int64(bits), "FlateDecode"), packed, nil
		}
	}
	photo, err := photograph(opaque(pixels, width, height))
	if err != nil {
		return nil, nil, err
	}
	return as(pdf.Name("DeviceRGB"), 8, "DCTDecode"), photo, nil
}

// wellDeflated packs the pixels of a page. A level above that of other streams
// takes a tenth off a page of text for some 6 ms more.
func wellDeflated(b []byte) ([]byte, error) {
	const level = 6
	var out bytes.Buffer
	z, err := zlib.NewWriterLevel(&out, level)
	if err == nil {
		_, err = z.Write(b)
	}
	if err == nil {
		err = z.Close()
	}
	return out.Bytes(), err
}

// coloured reports whether a page has colours that can be told from grey.
func coloured(pixels []byte) bool {
	const visible = 6
	for i := 0; i+2 < len(pixels); i += 3 {
		r, g, b := pixels[i], pixels[i+1], pixels[i+2]
		if r == g && g == b {
			continue
		}
		if int(max(r, g, b))-int(min(r, g, b)) > visible {
			return true
		}
	}
	return false
}

// middling is the share of pixels that are neither nearly black nor nearly
// white.
func middling(pixels []byte) float64 {
	n := 0
	for _, p := range pixels {
		if p-17 < 222 { // 17 to 238
			n++
		}
	}
	return float64(n) / float64(max(len(pixels), 1))
}

// shaded reports whether a page has areas of one grey, which would be lost in
// black and white; the soft edges of letters are none.
func shaded(pixels []byte, width int) bool {
	n := 0
	for i := width + 1; i < len(pixels); i++ {
		if v := pixels[i]; v-17 < 222 && v == pixels[i-1] && v == pixels[i-width] && v == pixels[i-width-1] {
			n++
		}
	}
	return n > len(pixels)/250
}

// blackened is a page of one bit a pixel, 1 for black: lighter than the middle,
// so that thin strokes stay.
func blackened(pixels []byte, width, height int) []byte {
	const black = 140
	stride := (width + 7) / 8
	out := make([]byte, stride*height)
	for y := range height {
		row := out[y*stride : (y+1)*stride]
		for x, v := range pixels[y*width : (y+1)*width] {
			if v < black {
				row[x>>3] |= 0x80 >> (x & 7)
			}
		}
	}
	return out
}

// packGrey packs greys of eight bits into two or four.
func packGrey(pixels []byte, width, height, bits int) []byte {
	most := 1<<bits - 1
	var level [256]byte
	for v := range level {
		level[v] = byte((v*most + 127) / 255)
	}
	levels := make([]byte, len(pixels)) // the pixels may yet become a photograph
	for i, v := range pixels {
		levels[i] = level[v]
	}
	return packBits(levels, width, height, bits)
}

// packBits packs values below 1<<bits, one an octet, most significant first,
// each row filled up to an octet.
func packBits(values []byte, width, height, bits int) []byte {
	if bits == 8 {
		return values
	}
	per := 8 / bits
	stride := (width + per - 1) / per
	out := make([]byte, stride*height)
	for y := range height {
		row, from := out[y*stride:(y+1)*stride], values[y*width:(y+1)*width]
		i := 0
		if bits == 2 {
			for ; len(from) >= 4; i++ {
				row[i] = from[0]<<6 | from[1]<<4 | from[2]<<2 | from[3]
				from = from[4:]
			}
		}
		for x, v := range from {
			row[i+x/per] |= v << (8 - bits*(x%per+1))
		}
	}
	return out
}

// indexed gives each pixel the number of its colour, if there are few.
func indexed(pixels []byte, n int) (index, palette []byte, ok bool) {
	numbers := make(map[uint32]byte, 256)
	index = make([]byte, n)
	var last uint32
	var lastNumber byte
	for i := range n {
		c := uint32(pixels[3*i])<<16 | uint32(pixels[3*i+1])<<8 | uint32(pixels[3*i+2])
		if i > 0 && c == last {
			index[i] = lastNumber
			continue
		}
		k, have := numbers[c]
		if !have {
			if len(numbers) == 256 {
				return nil, nil, false
			}
			k = byte(len(numbers))
			numbers[c] = k
			palette = append(palette, pixels[3*i:3*i+3]...)
		}
		index[i], last, lastNumber = k, c, k
	}
	return index, palette, true
}

// opaque gives three bytes a pixel the form for which the library's encoder has
// a fast way.
func opaque(pixels []byte, width, height int) *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for i, j := 0, 0; i < len(m.Pix); i, j = i+4, j+3 {
		m.Pix[i], m.Pix[i+1], m.Pix[i+2], m.Pix[i+3] = pixels[j], pixels[j+1], pixels[j+2], 255
	}
	return m
}

func photograph(m image.Image) ([]byte, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 82}); err != nil {
		return nil, fmt.Errorf("encode page: %w", err)
	}
	return b.Bytes(), nil
}

// words types the words of a page, invisible, each as wide and high as it is
// shown. It reports whether there were any. ISO 32000-1, 9.3.6, mode 3.
func (p *pictures) words(c *bytes.Buffer, s drawn, high float64) bool {
	any := false
	for _, w := range s.words {
		width, height := w.x1-w.x0, w.y1-w.y0
		if !(width > 0 && height > 0 && w.x0 > -1e5 && w.x1 < 1e5 && w.y0 > -1e5 && w.y1 < 1e5) {
			continue
		}
		text := p.typed(w.text)
		if len(text) == 0 {
			continue
		}
		if !any {
			any = true
			c.WriteString("BT\n3 Tr\n/W 1 Tf\n")
		}
		// Every character of the font is half as wide as it is high.
		stretch := 100 * width / (float64(len(text)) * 0.5 * height)
		fmt.Fprintf(c, "%s 0 0 %s %s %s Tm\n%s Tz\n<", decimal(height), decimal(height), decimal(w.x0), decimal(high-w.y1), decimal(stretch))
		for _, u := range text {
			fmt.Fprintf(c, "%04X", u)
		}
		c.WriteString("> Tj\n")
	}
	if any {
		c.WriteString("ET\n")
		p.needFont()
	}
	return any
}

// typed keeps the characters of a word that are text: no controls, nothing
// that turns the direction, nothing of private use. Those are counted: they
// show on the page as whatever the sender's font has.
func (p *pictures) typed(s string) []uint16 {
	var out []uint16
	for _, r := range s {
		switch {
		case unicode.Is(unicode.Co, r):
			p.boxes++
		case unicode.Is(unicode.C, r), r == unicode.ReplacementChar, unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		default:
			out = utf16.AppendRune(out, r)
		}
	}
	return out
}

// needFont writes the font of the invisible words once: any code is a
// character without a shape, and stands for the same code of UTF-16.
func (p *pictures) needFont() {
	if p.font.Num != 0 {
		return
	}
	program := p.w.number()
	ttf := shapeless()
	p.w.deflated(program, pdf.Dict{"Length1": int64(len(ttf))}, ttf)
	descriptor := p.w.number()
	p.w.object(descriptor, pdf.Dict{
		"Type": pdf.Name("FontDescriptor"), "FontName": pdf.Name("Shapeless"), "Flags": int64(4), "FontBBox": pdf.Array{int64(0), int64(0), int64(500), int64(1000)},
		"ItalicAngle": int64(0), "Ascent": int64(1000), "Descent": int64(0), "CapHeight": int64(1000), "StemV": int64(80), "FontFile2": program,
	})
	shapes := p.w.number()
	p.w.deflated(shapes, pdf.Dict{}, make([]byte, 2*65536)) // all have the one there is
	cid := p.w.number()
	p.w.object(cid, pdf.Dict{
		"Type": pdf.Name("Font"), "Subtype": pdf.Name("CIDFontType2"), "BaseFont": pdf.Name("Shapeless"), "FontDescriptor": descriptor, "DW": int64(500),
		"CIDSystemInfo": pdf.Dict{"Registry": pdf.String("Adobe"), "Ordering": pdf.String("Identity"), "Supplement": int64(0)}, "CIDToGIDMap": shapes,
	})
	unicodes := p.w.number()
	p.w.deflated(unicodes, pdf.Dict{}, sameCodes())
	p.font = p.w.number()
	p.w.object(p.font, pdf.Dict{
		"Type": pdf.Name("Font"), "Subtype": pdf.Name("Type0"), "BaseFont": pdf.Name("Shapeless"), "Encoding": pdf.Name("Identity-H"),
		"DescendantFonts": pdf.Array{cid}, "ToUnicode": unicodes,
	})
}

// sameCodes is a character map by which every code means itself. Adobe
// Technical Note 5014; a range must not leave its first byte.
func sameCodes() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapType 2 def\n1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	for first := 0; first < 256; first += 100 {
		n := min(100, 256-first)
		fmt.Fprintf(&b, "%d beginbfrange\n", n)
		for i := first; i < first+n; i++ {
			fmt.Fprintf(&b, "<%02X00> <%02XFF> <%02X00>\n", i, i, i)
		}
		b.WriteString("endbfrange\n")
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return b.Bytes()
}

// shapeless makes a TrueType font of one empty glyph. OpenType 1.9, chapter
// "OpenType font tables"; ISO 32000-1, 9.9, lists the tables that a font in a
// PDF must have.
func shapeless() []byte {
	be := binary.BigEndian
	head := make([]byte, 54)
	be.PutUint32(head[0:], 0x00010000)
	be.PutUint32(head[12:], 0x5F0F3CF5)
	be.PutUint16(head[16:], 3)    // baseline and left side at zero
	be.PutUint16(head[18:], 1000) // units of the square
	be.PutUint16(head[40:], 500)
	be.PutUint16(head[42:], 1000)
	be.PutUint16(head[46:], 8) // smallest legible size
	be.PutUint16(head[48:], 2)
	hhea := make([]byte, 36)
	be.PutUint32(hhea[0:], 0x00010000)
	be.PutUint16(hhea[4:], 1000)
	be.PutUint16(hhea[10:], 500)
	be.PutUint16(hhea[18:], 1)
	be.PutUint16(hhea[34:], 1)
	maxp := make([]byte, 32)
	be.PutUint32(maxp[0:], 0x00010000)
	be.PutUint16(maxp[4:], 1)
	be.PutUint16(maxp[14:], 2)
	tables := []struct {
		tag  string
		data []byte
	}{
		{"glyf", make([]byte, 4)}, {"head", head}, {"hhea", hhea}, {"hmtx", []byte{0x01, 0xF4, 0, 0}}, {"loca", make([]byte, 4)}, {"maxp", maxp},
	}
	sum := func(b []byte) (n uint32) {
		for len(b)%4 != 0 {
			b = append(b[:len(b):len(b)], 0)
		}
		for ; len(b) > 0; b = b[4:] {
			n += be.Uint32(b)
		}
		return n
	}
	out := be.AppendUint32(nil, 0x00010000)
	out = be.AppendUint16(out, uint16(len(tables)))
	out = append(out, 0, 64, 0, 2, 0, 32) // for a search by halves: four tables, and two more
	at := 12 + 16*len(tables)
	headAt := 0
	for _, t := range tables {
		if t.tag == "head" {
			headAt = at
		}
		out = append(out, t.tag...)
		out = be.AppendUint32(out, sum(t.data))
		out = be.AppendUint32(out, uint32(at))
		out = be.AppendUint32(out, uint32(len(t.data)))
		at += (len(t.data) + 3) &^ 3
	}
	for _, t := range tables {
		out = append(out, t.data...)
		for len(out)%4 != 0 {
			out = append(out, 0)
		}
	}
	be.PutUint32(out[headAt+8:], 0xB1B0AFBA-sum(out))
	return out
}

// finish writes the tree of pages and the end.
func (p *pictures) finish() error {
	p.w.object(p.parent, pdf.Dict{"Type": pdf.Name("Pages"), "Kids": p.kids, "Count": int64(len(p.kids))})
	root := p.w.number()
	p.w.object(root, pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": p.parent})
	return p.w.finish(root, pdf.Ref{})
}
