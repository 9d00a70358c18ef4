// Package image makes pictures harmless: it decodes them to pixels under the
// message's pixel budget and writes the pixels anew. What is no pixel does not
// come out: no Exif (a camera's turn is applied first), no thumbnails, no
// colour profiles (plain ones are applied, sRGB is assumed for the rest), no
// comments, no second picture, nothing after the end.
//
// PNG and JPEG leave as what they came, and as attachments GIF with its
// animation and TIFF with its pages. The other raster formats, and those inside a
// document, leave as PNG, photographs as JPEG.
//
// Before a library sees a byte, the size is read, charged and compared with
// the memory a decoder would need, and only the segments or chunks that hold
// pixels are passed on to it.
package image

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"

	"sekisho/sanitize"
)

// PNG writes PNG pictures anew, palette, grey and 16 bits kept as such.
type PNG struct{}

// JPEG writes JPEG pictures anew with the quantisation they came with, so that
// they look and weigh the same.
type JPEG struct{}

// Foreign writes GIF, BMP, TIFF, WebP, PCX, TGA and PNM pictures anew: those found
// inside documents as PNG, GIF and TIFF attachments as what they are, since they
// can be more than one picture.
type Foreign struct{}

// decoderBytes bounds the memory of one decoded picture. The worker may use
// 1 GiB and the limit on pixels is 100 million; 16-bit colour, progressive
// coding and CMYK need more bytes a pixel than the four that this limit had in
// mind.
const decoderBytes = 640 << 20

func affordable(pixels int64, bytesPerPixel float64) error {
	if need := float64(pixels) * bytesPerPixel; need > decoderBytes {
		return fmt.Errorf("picture that takes %d MiB to decode: %w", int64(need)>>20, sanitize.ErrLimit)
	}
	return nil
}

func clean(k sanitize.Kind) sanitize.Result {
	return sanitize.Result{Outcome: sanitize.Clean, Kind: k, Mode: sanitize.Rebuild}
}

// malformed says that a library could not read a picture. Its errors of
// reading pass through: a budget that is spent stays ErrLimit.
func malformed(what string, err error) error {
	if errors.Is(err, sanitize.ErrLimit) {
		return fmt.Errorf("%s: %w", what, err)
	}
	return fmt.Errorf("%s: %w: %w", what, err, sanitize.ErrMalformed)
}

// converted applies a picture's colour profile, if it has one worth applying.
func converted(s *sanitize.Session, p *profile, m image.Image) {
	if p != nil && p.apply(m) {
		s.Found(sanitize.Finding{Rule: "image.colour", Action: sanitize.Rewritten, Detail: "colours converted to sRGB"})
	}
}

// dropped records what a picture held beside its pixels.
func dropped(s *sanitize.Session, what []string) {
	if len(what) > 0 {
		s.Found(sanitize.Finding{Rule: "image.metadata", Action: sanitize.Rewritten, Detail: strings.Join(what, ", ")})
	}
}

// trailing records what stands after the end of a picture. Bytes that are
// another format's take something from somebody and are removed; others are
// padding.
func trailing(s *sanitize.Session, in sanitize.Object, end int64) {
	n := in.Size - end
	if n <= 0 {
		return
	}
	f := sanitize.Finding{Rule: "image.trailing", Where: fmt.Sprintf("octet %d", end), Action: sanitize.Rewritten, Detail: fmt.Sprintf("%d octets after the end", n)}
	const look = 64 << 10 // as much as detection looks at from either end
	for _, from := range [...]int64{end, max(end, in.Size-look)} {
		b := make([]byte, min(look, in.Size-from))
		m, err := in.ReadAt(b, from)
		if err != nil && !errors.Is(err, io.EOF) {
			break
		}
		if what := signature(b[:m]); what != "" {
			f.Action = sanitize.Removed
			f.Detail = what + " after the end"
			break
		}
	}
	s.Found(f)
}

// signature names the first format that shows in b. Phones append pictures and
// films to pictures; those show too.
func signature(b []byte) string {
	for _, m := range [...]struct{ sig, name string }{
		{"PK\x03\x04", "a ZIP archive"}, {"PK\x05\x06", "a ZIP archive"}, {"Rar!\x1a\x07", "a RAR archive"}, {"7z\xbc\xaf\x27\x1c", "a 7z archive"},
		{"%PDF-", "a PDF document"}, {"MZ\x90\x00", "a program"}, {"\x7fELF", "a program"}, {"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "a compound file"},
		{"<script", "a script"}, {"<html", "HTML"}, {"<?php", "a script"}, {"ftypmp42", "a film"}, {"ftypisom", "a film"}, {"ftypqt", "a film"},
		{"\x89PNG\r\n\x1a\n", "another picture"}, {"\xff\xd8\xff", "another picture"},
	} {
		if bytes.Contains(b, []byte(m.sig)) {
			return m.name
		}
	}
	return ""
}

// inside reports whether an object stands in another document. "2.1" is a part
// of a mail, "2/1.2" a part of a mail in a mail, "2.1/word/media/a.gif" a part
// of a document.
func inside(path string) bool {
	_, rest, ok := strings.Cut(path, "/")
	return ok && strings.Trim(rest, "0123456789./") != ""
}

// writer remembers the first error, so that an encoder can write many small
// pieces and ask once.
type writer struct {
	w   io.Writer
	buf []byte
	err error
}

func (w *writer) write(p ...byte) {
	w.buf = append(w.buf, p...)
	if len(w.buf) >= 32<<10 {
		w.flush()
	}
}

func (w *writer) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.w.Write(w.buf)
	}
	w.buf = w.buf[:0]
}
