package convert

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/lazy"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// maxSheet is the longest sheet that is fitted; a longer one is drawn as wide as
// it is. It is read whole, and a worker has 1 GiB.
const maxSheet = 64 << 20

// paged has a document made a PDF. A sheet is fitted to the width of a page
// first, as its author would have had to: a column alone on the back of twenty
// pages is not read by anybody. Sheets that are hidden are not drawn by
// LibreOffice.
func paged(ctx context.Context, s *sanitize.Session, src sanitize.Source, in io.ReaderAt, size int64) ([]byte, error) {
	// A table of text has no head of its own; LibreOffice would write one.
	table := src == sanitize.FromCSV || src == sanitize.FromTSV
	switch src {
	case sanitize.FromXLS, sanitize.FromXLSB, sanitize.FromODS, sanitize.FromFODS, sanitize.FromExcel2003, sanitize.FromCSV, sanitize.FromTSV:
		// How wide a page may be stands in each format somewhere else.
		made, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.OfficeToXLSX, Source: src, Size: size}, io.NewSectionReader(in, 0, size))
		switch {
		case err == nil:
			src, in, size = sanitize.FromXLSX, bytes.NewReader(made), int64(len(made))
		case !errors.Is(err, sanitize.ErrTool), errors.Is(err, sanitize.ErrSlow):
			// It would take the same time again, and with that the whole time of the
			// worker: then nobody could say why.
			return nil, err
		}
	}
	if src == sanitize.FromXLSX {
		fit := fitWidth
		if table {
			fit = func(b []byte) []byte { return fitWidth(headerTag.ReplaceAll(b, nil)) }
		}
		if b, err := fitted(s, in, size, fit); err == nil {
			in, size = bytes.NewReader(b), int64(len(b))
		} else if errors.Is(err, sanitize.ErrLimit) {
			return nil, err
		}
	}
	if err := s.TellFonts(ctx, fontsOf(s, src, in, size)); err != nil {
		return nil, err
	}
	return s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: src, Size: size}, io.NewSectionReader(in, 0, size))
}

// fitted copies a workbook with every sheet as fit makes it.
func fitted(s *sanitize.Session, in io.ReaderAt, size int64, fit func([]byte) []byte) ([]byte, error) {
	z, err := zipstrict.Open(in, size, zipstrict.Limits{Entries: s.Options.Limits.Entries})
	if err != nil {
		return nil, fmt.Errorf("open the workbook: %w", err)
	}
	return repacked(s, z, min(s.Options.Limits.OutputBytes, sanitize.MaxToolInput), func(f *zipstrict.File, r io.Reader) (io.Reader, error) {
		if !strings.Contains(f.Name, "worksheets/") || !strings.HasSuffix(f.Name, ".xml") || f.Size > maxSheet {
			return r, nil
		}
		b, err := io.ReadAll(r)
		if err != nil {
			return nil, err
		}
		return bytes.NewReader(fit(b)), nil
	})
}

// repacked copies a package of at most so many octets, each member as change
// has it.
func repacked(s *sanitize.Session, z *zipstrict.Reader, most int64, change func(f *zipstrict.File, r io.Reader) (io.Reader, error)) ([]byte, error) {
	out := &sanitize.Buffer{Most: most}
	w := zip.NewWriter(out)
	w.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	for i := range z.Files {
		f := &z.Files[i]
		if f.IsDir {
			continue
		}
		r, err := f.Open(s.Meter)
		if err != nil {
			return nil, fmt.Errorf("open %q: %w", f.Name, err)
		}
		if r, err = change(f, r); err != nil {
			return nil, fmt.Errorf("read %q: %w", f.Name, err)
		}
		to, err := w.Create(f.Name)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(to, r); err != nil {
			return nil, fmt.Errorf("copy %q: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// What stands in a sheet (ECMA-376 part 1, 18.3.1.99), by the prefix that its
// elements have.
var (
	rootTag   = lazy.Compile(`<((?:[A-Za-z0-9_]+:)?)worksheet(?:[\s/][^>]*)?>`)
	sheetTag  = lazy.Compile(`^\s*<(?:[A-Za-z0-9_]+:)?sheetPr(?:[\s/][^>]*)?>`)
	fitTag    = lazy.Compile(`<(?:[A-Za-z0-9_]+:)?pageSetUpPr(?:[\s/][^>]*)?>`)
	setupTag  = lazy.Compile(`<(?:[A-Za-z0-9_]+:)?pageSetup(?:[\s/][^>]*)?>`)
	fits      = lazy.Compile(`\sfitToPage\s*=\s*["'](?:1|true|on)["']`)
	headerTag = lazy.Compile(`(?s)<headerFooter[\s>].*?</headerFooter>`)
	scaling   = lazy.Compile(`\s(?:fitToWidth|fitToHeight|scale)\s*=\s*(?:"[^"]*"|'[^']*')`)
)

// fitWidth asks for one page in width and any number in height (18.3.1.63 and
// 18.3.1.65), unless the author has asked for a number of pages himself. What it
// does not recognise it leaves alone: it is read by LibreOffice only, and what
// that makes of it is as hostile as ever.
func fitWidth(b []byte) []byte {
	// Both stand at the beginning.
	head := b[:min(len(b), 64<<10)]
	root := rootTag.FindSubmatchIndex(head)
	if root == nil || b[root[1]-2] == '/' {
		return b
	}
	prefix := string(b[root[2]:root[3]])
	fit := "<" + prefix + `pageSetUpPr fitToPage="1"/>`
	var out bytes.Buffer
	out.Write(b[:root[1]])
	rest := b[root[1]:]
	if m := sheetTag.FindIndex(rest[:min(len(rest), 64<<10)]); m != nil {
		tag := rest[:m[1]]
		rest = rest[m[1]:]
		end := "</" + prefix + "sheetPr>"
		if open, empty := bytes.CutSuffix(tag, []byte("/>")); empty {
			out.Write(open)
			out.WriteString(">" + fit + end)
		} else {
			at := bytes.Index(rest, []byte(end))
			if at < 0 {
				return b
			}
			inner := rest[:at]
			out.Write(tag)
			if m := fitTag.FindIndex(inner); m != nil {
				if fits.Match(inner[m[0]:m[1]]) {
					return b
				}
				// It may have an end of its own, though nobody writes one.
				out.Write(inner[:m[0]])
				if !bytes.HasSuffix(inner[m[0]:m[1]], []byte("/>")) {
					fit = strings.Replace(fit, "/>", ">", 1)
				}
				out.WriteString(fit)
				out.Write(inner[m[1]:])
			} else {
				out.Write(inner)
				out.WriteString(fit)
			}
			out.WriteString(end)
			rest = rest[at+len(end):]
		}
	} else {
		out.WriteString("<" + prefix + "sheetPr>" + fit + "</" + prefix + "sheetPr>")
	}
	const pages = ` fitToWidth="1" fitToHeight="0"`
	if m := setupTag.FindIndex(rest); m != nil {
		out.Write(rest[:m[0]])
		tag := scaling.ReplaceAll(rest[m[0]:m[1]], nil)
		name := len("<" + prefix + "pageSetup")
		out.Write(tag[:name])
		out.WriteString(pages)
		out.Write(tag[name:])
		out.Write(rest[m[1]:])
		return out.Bytes()
	}
	end := bytes.LastIndex(rest, []byte("</"+prefix+"worksheet"))
	if end < 0 {
		return b
	}
	// Its place is further up, which LibreOffice does not mind.
	out.Write(rest[:end])
	out.WriteString("<" + prefix + "pageSetup" + pages + "/>")
	out.Write(rest[end:])
	return out.Bytes()
}
