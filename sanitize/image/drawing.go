package image

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"

	"sekisho/internal/metafile"
	"sekisho/internal/pnm"
	"sekisho/sanitize"
)

// Drawing writes drawings of Windows (EMF, WMF) as pictures of them. The drawing
// is written anew, call by call, put on a page of a document of our own, and
// another program draws that page in its sandbox. Pixels come back.
type Drawing struct{}

const (
	drawingDPI = 150
	// drawingLeast and drawingMost bound the longer side, in pixels: one is
	// legible, the other a sheet of A3.
	drawingLeast = 600
	drawingMost  = 2480
	// What of a page is drawn on, in millimetres: it lies on A4 and on letter.
	sheetWidth, sheetHeight = 200.0, 270.0
)

// Sanitize implements sanitize.Sanitizer.
func (Drawing) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	if in.Size > s.Options.Limits.OutputBytes {
		return sanitize.Result{}, fmt.Errorf("drawing of %d octets: %w", in.Size, sanitize.ErrLimit)
	}
	b, err := io.ReadAll(in.Reader())
	if err != nil {
		return sanitize.Result{}, fmt.Errorf("read drawing: %w", err)
	}
	ext := "wmf"
	rewrite := metafile.RewriteWMF
	if metafile.IsEMF(b) {
		ext, rewrite = "emf", metafile.RewriteEMF
	} else if !metafile.IsWMF(b) {
		return sanitize.Result{}, malformed("read drawing", errors.New("no header"))
	}
	if b, err = rewrite(b); err != nil {
		return sanitize.Result{}, malformed("read drawing", err)
	}
	w, h := metafile.Size(b)
	if !(w > 0 && h > 0 && w/h < 1000 && h/w < 1000) {
		return sanitize.Result{}, fmt.Errorf("drawing of %.1f x %.1f mm: %w", w, h, sanitize.ErrUnsupported)
	}
	scale := min(sheetWidth/w, sheetHeight/h)
	longest := min(max(max(w, h)*drawingDPI/25.4, drawingLeast), drawingMost)
	dpi := min(max(int(math.Round(longest*25.4/(scale*max(w, h)))), 10), 300)
	pixels := func(mm float64) int { return max(int(math.Round(scale*mm*float64(dpi)/25.4)), 1) }
	width, height := pixels(w), pixels(h)
	if err := s.SpendPixels(width, height); err != nil {
		return sanitize.Result{}, err
	}
	page, err := sheetOf(metafile.Drawable(b), ext, scale*w, scale*h)
	if err != nil {
		return sanitize.Result{}, err
	}
	drawn, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromODG, Size: int64(len(page))}, bytes.NewReader(page))
	if err != nil {
		return sanitize.Result{}, err
	}
	if drawn, err = s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 1, DPI: dpi, Size: int64(len(drawn))}, bytes.NewReader(drawn)); err != nil {
		return sanitize.Result{}, err
	}
	r, err := corner(drawn, width, height)
	if err != nil {
		return sanitize.Result{}, err
	}
	return finish(ctx, s, r.Image(), out)
}

// corner is the left upper width x height pixels of a page.
func corner(b []byte, width, height int) (pnm.Picture, error) {
	var kind string
	var w, h, most int
	if _, err := fmt.Sscanf(string(b[:min(len(b), 64)]), "%2s\n%d %d\n%d\n", &kind, &w, &h, &most); err != nil || kind != "P6" || w < width || h < height || w > 1<<14 || h > 1<<14 {
		return pnm.Picture{}, fmt.Errorf("no page of %d x %d pixels: %w", width, height, sanitize.ErrTool)
	}
	page, err := handedOver(b, w, h, 0)
	if err != nil {
		return pnm.Picture{}, err
	}
	r := pnm.Picture{Width: width, Height: height, Samples: 3, Pix: page.Pix[:0]}
	for y := range height {
		r.Pix = append(r.Pix, page.Pix[3*y*w:][:3*width]...) // to the left of where it is read
	}
	return r, nil
}

// handedOver is the picture that a tool handed over, as pnm.Read has it.
func handedOver(b []byte, width, height, slack int) (pnm.Picture, error) {
	p, err := pnm.Read(b, width, height, slack)
	if err != nil {
		return p, fmt.Errorf("%w: %w", err, sanitize.ErrTool)
	}
	return p, nil
}

// sheetOf is a document of one page with the drawing in its corner, in so many
// millimetres. OpenDocument 1.2.
func sheetOf(drawing []byte, ext string, w, h float64) ([]byte, error) {
	mm := func(v float64) string { return strconv.FormatFloat(v, 'f', 3, 64) + "mm" }
	content := `<?xml version="1.0" encoding="UTF-8"?>
<office:document-content xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" office:version="1.2"><office:body><office:drawing><draw:page draw:name="1"><draw:frame svg:x="0mm" svg:y="0mm" svg:width="` +
		mm(w) + `" svg:height="` + mm(h) + `"><draw:image xlink:href="Pictures/1.` + ext + `" xlink:type="simple"/></draw:frame></draw:page></office:drawing></office:body></office:document-content>`
	const kind = "application/vnd.oasis.opendocument.graphics"
	manifest := `<?xml version="1.0" encoding="UTF-8"?>
<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0" manifest:version="1.2"><manifest:file-entry manifest:full-path="/" manifest:media-type="` + kind + `"/><manifest:file-entry manifest:full-path="content.xml" manifest:media-type="text/xml"/><manifest:file-entry manifest:full-path="Pictures/1.` + ext + `" manifest:media-type="image/x-` + ext + `"/></manifest:manifest>`
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range []struct {
		name string
		data []byte
	}{{"mimetype", []byte(kind)}, {"content.xml", []byte(content)}, {"META-INF/manifest.xml", []byte(manifest)}, {"Pictures/1." + ext, drawing}} {
		w, err := z.CreateHeader(&zip.FileHeader{Name: f.name, Method: zip.Store})
		if err == nil {
			_, err = w.Write(f.data)
		}
		if err != nil {
			return nil, fmt.Errorf("write the page of a drawing: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return nil, fmt.Errorf("write the page of a drawing: %w", err)
	}
	return b.Bytes(), nil
}
