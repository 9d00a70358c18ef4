// Package convert is the lower part of the ladder: it has a document of a
// format that is not rebuilt here, or that could not be, turned into one that
// is, by LibreOffice, or into plain text.
//
// In comes the document as it was received; it goes to an external tool in a
// sandbox of its own, which the parent runs. What the tool gives back is as
// hostile as what it was given: it is detected, must be of the kind that was
// promised, and is treated like any document of that kind, by the sanitizer
// that treats those. No octet that a tool wrote is delivered.
//
// The package reads no more of a document than it needs to choose the parser
// and to tell what is lost. Archives are proven unambiguous first: a container
// that two readers could see differently never reaches a tool.
package convert

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// Office converts a document to the modern format of its family, which is then
// rebuilt. The zero value of Source finds out which OpenDocument it is.
type Office struct {
	Source sanitize.Source
}

// Sanitize writes the harmless form of the document in to out.
func (o Office) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	src, err := o.look(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	to, ok := targets[src]
	if !ok {
		return sanitize.Result{}, sanitize.ErrUnsupported
	}
	made, err := s.Converted(ctx, sanitize.ToolCall{Tool: to.tool, Source: src, Size: in.Size}, in.Reader())
	if src == sanitize.FromExcel2003 && errors.Is(err, sanitize.ErrTool) && !errors.Is(err, sanitize.ErrSlow) {
		made, err = s.Converted(ctx, sanitize.ToolCall{Tool: to.tool, Source: sanitize.FromExcel2003Again, Size: in.Size}, in.Reader())
	}
	if err != nil {
		return sanitize.Result{}, err
	}
	if made, err = withoutControls(s, made); err != nil {
		return sanitize.Result{}, err
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared = bytes.NewReader(made), int64(len(made)), nil, "", ""
	return s.Instead(ctx, in, to.kind, out)
}

// targets are what each format is converted to: that of its family, which keeps
// most of it and which is rebuilt here.
var targets = map[sanitize.Source]struct {
	tool sanitize.Tool
	kind sanitize.Kind
}{
	sanitize.FromDOC:       {sanitize.OfficeToDOCX, sanitize.KindDOCX},
	sanitize.FromRTF:       {sanitize.OfficeToDOCX, sanitize.KindDOCX},
	sanitize.FromODT:       {sanitize.OfficeToDOCX, sanitize.KindDOCX},
	sanitize.FromFODT:      {sanitize.OfficeToDOCX, sanitize.KindDOCX},
	sanitize.FromExcel2003: {sanitize.OfficeToXLSX, sanitize.KindXLSX},
	sanitize.FromWord2003:  {sanitize.OfficeToDOCX, sanitize.KindDOCX},
	sanitize.FromDOCX:      {sanitize.OfficeToDOCX, sanitize.KindDOCX},
	sanitize.FromXLS:       {sanitize.OfficeToXLSX, sanitize.KindXLSX},
	sanitize.FromODS:       {sanitize.OfficeToXLSX, sanitize.KindXLSX},
	sanitize.FromFODS:      {sanitize.OfficeToXLSX, sanitize.KindXLSX},
	sanitize.FromXLSX:      {sanitize.OfficeToXLSX, sanitize.KindXLSX},
	sanitize.FromXLSB:      {sanitize.OfficeToXLSX, sanitize.KindXLSX},
	sanitize.FromPPT:       {sanitize.OfficeToPPTX, sanitize.KindPPTX},
	sanitize.FromODP:       {sanitize.OfficeToPPTX, sanitize.KindPPTX},
	sanitize.FromFODP:      {sanitize.OfficeToPPTX, sanitize.KindPPTX},
	sanitize.FromPPTX:      {sanitize.OfficeToPPTX, sanitize.KindPPTX},
}

// Text takes the words out of a document, by way of its pages: what is not
// shown on them is not in the text. The zero value of Source is an OpenDocument
// of some kind.
type Text struct {
	Source sanitize.Source
}

// Sanitize writes the words of the document in to out, as plain text.
func (t Text) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	src, err := Office{t.Source}.look(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	pages, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: src, Size: in.Size}, in.Reader())
	if err != nil {
		return sanitize.Result{}, err
	}
	return words(ctx, s, in, bytes.NewReader(pages), int64(len(pages)), out)
}

// Pages turns a document into pictures of its pages, by way of a PDF. The zero
// value of Source is an OpenDocument of some kind.
type Pages struct {
	Source sanitize.Source
}

// Sanitize writes the pages of the document in to out.
func (p Pages) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	src, err := Office{p.Source}.look(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	pdf, err := paged(ctx, s, src, in, in.Size)
	if err != nil {
		return sanitize.Result{}, err
	}
	return drawn(ctx, s, in, pdf, out)
}

// drawn writes the pages of a PDF that was made of in.
func drawn(ctx context.Context, s *sanitize.Session, in sanitize.Object, pdf []byte, out io.Writer) (sanitize.Result, error) {
	draw, ok := s.Ladder[sanitize.Flatten][sanitize.KindPDF]
	if !ok {
		return sanitize.Result{}, sanitize.ErrUnsupported
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared, in.Kind = bytes.NewReader(pdf), int64(len(pdf)), nil, "", "", sanitize.KindPDF
	return draw.Sanitize(ctx, s, in, out)
}

// PDFText takes the words out of a PDF.
type PDFText struct{}

// Sanitize writes the words of the PDF in to out, as plain text.
func (PDFText) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	return words(ctx, s, in, in.Reader(), in.Size, out)
}

// maxPages is the limit of pages; what is behind them is not read.
const maxPages = 500

func words(ctx context.Context, s *sanitize.Session, in sanitize.Object, pdf io.Reader, size int64, out io.Writer) (sanitize.Result, error) {
	text, err := s.Converted(ctx, sanitize.ToolCall{Tool: sanitize.PDFText, First: 1, Last: maxPages, Size: size}, pdf)
	if err != nil {
		return sanitize.Result{}, err
	}
	if len(bytes.TrimSpace(text)) == 0 {
		return sanitize.Result{}, fmt.Errorf("no words: %w", sanitize.ErrTool)
	}
	// A page ends with a form feed, which most programs show as a box.
	text = bytes.ReplaceAll(text, []byte("\f"), []byte("\n\n"))
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared, in.Charset = bytes.NewReader(text), int64(len(text)), nil, "", "", "utf-8"
	return s.Instead(ctx, in, sanitize.KindText, out)
}

// look says which format the document is, proves its container and tells what a
// conversion leaves behind.
func (o Office) look(s *sanitize.Session, in sanitize.Object) (sanitize.Source, error) {
	var head [4]byte
	if n, err := in.ReadAt(head[:], 0); n < len(head) && err != nil && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read: %w", err)
	}
	switch {
	case string(head[:]) == "PK\x03\x04":
		return o.archive(s, in)
	case string(head[:]) == "\xd0\xcf\x11\xe0":
		// [MS-OVBA] 2.2.1: every project has this storage or stream.
		found, err := holds(in.Reader(), utf16("_VBA_PROJECT"))
		if err != nil {
			return 0, err
		}
		if found {
			lost(s, "convert.macro", 1)
		}
		if found, err = holds(in.Reader(), utf16("\x01Ole10Native")); err != nil {
			return 0, err
		} else if found {
			lost(s, "convert.object", 1)
		}
	case o.Source == sanitize.FromRTF:
		found, err := holds(in.Reader(), []byte(`\objdata`))
		if err != nil {
			return 0, err
		}
		if found {
			lost(s, "convert.object", 1)
		}
	case o.Source == sanitize.FromWord2003:
		return single(s, in)
	case o.Source == 0:
		return flat(s, in)
	}
	if o.Source == 0 {
		return 0, sanitize.ErrUnsupported
	}
	return o.Source, nil
}

// single tells which document of Office 2003 a single XML file is. Macros and
// objects stand in it as w:binData, packed as in a binary document.
func single(s *sanitize.Session, in sanitize.Object) (sanitize.Source, error) {
	for _, x := range []string{"<!DOCTYPE", "<!ENTITY"} {
		found, err := holds(in.Reader(), []byte(x))
		if err != nil {
			return 0, err
		}
		if found {
			return 0, fmt.Errorf("%s: %w: %w", x, sanitize.ErrContainer, sanitize.ErrMalformed)
		}
	}
	for _, x := range []struct{ mark, rule string }{{"macrosPresent=\"yes\"", "convert.macro"}, {"w:binData", "convert.object"}} {
		found, err := holds(in.Reader(), []byte(x.mark))
		if err != nil {
			return 0, err
		}
		if found {
			lost(s, x.rule, 1)
		}
	}
	for _, x := range []struct {
		space string
		src   sanitize.Source
	}{{"http://schemas.microsoft.com/office/word/2003/wordml", sanitize.FromWord2003}, {"urn:schemas-microsoft-com:office:spreadsheet", sanitize.FromExcel2003}} {
		found, err := holds(in.Reader(), []byte(x.space))
		if err != nil {
			return 0, err
		}
		if found {
			return x.src, nil
		}
	}
	return 0, sanitize.ErrUnsupported
}

func lost(s *sanitize.Session, rule string, n int) {
	s.Found(sanitize.Finding{Rule: rule, Action: sanitize.Removed, Detail: fmt.Sprint(n)})
}

// archive looks at a document that is an archive of parts.
func (o Office) archive(s *sanitize.Session, in sanitize.Object) (sanitize.Source, error) {
	z, err := zipstrict.Open(in, in.Size, zipstrict.Limits{Entries: s.Options.Limits.Entries})
	switch {
	case errors.Is(err, zipstrict.ErrAmbiguous):
		return 0, fmt.Errorf("%w: %w", err, sanitize.ErrAmbiguous)
	case errors.Is(err, zipstrict.ErrLimit):
		return 0, fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, zipstrict.ErrEncrypted):
		return 0, fmt.Errorf("%w: %w", err, sanitize.ErrEncrypted)
	case err != nil:
		return 0, fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	}
	src := o.Source
	macros, objects := 0, 0
	for i := range z.Files {
		f := &z.Files[i]
		if f.Trick != "" && f.Trick != zipstrict.Backslash {
			return 0, fmt.Errorf("a member with a path that is none (%s): %w", f.Trick, sanitize.ErrContainer)
		}
		// The tool unpacks all of it, so the message pays for all of it.
		if err := s.Spend(f.Size); err != nil {
			return 0, err
		}
		name := strings.ToLower(f.Name)
		switch {
		case f.IsDir:
		case name == "mimetype" && o.Source == 0:
			if src, err = openDocument(f, false); err != nil {
				return 0, err
			}
		case name == "meta-inf/manifest.xml" && src == 0:
			// Programs that do not write the member above say it here.
			if src, err = openDocument(f, true); err != nil {
				return 0, err
			}
		case strings.HasSuffix(name, "vbaproject.bin"), strings.HasPrefix(name, "scripts/"),
			strings.HasPrefix(name, "basic/") && strings.HasSuffix(name, ".xml") && !strings.HasSuffix(name, "script-lc.xml") && !strings.HasSuffix(name, "script-lb.xml"):
			macros++
		case strings.HasPrefix(name, "object ") && !strings.Contains(name, "/"), strings.Contains(name, "/embeddings/"):
			objects++
		}
	}
	if macros > 0 {
		lost(s, "convert.macro", macros)
	}
	if objects > 0 {
		lost(s, "convert.object", objects)
	}
	if src == 0 {
		return 0, fmt.Errorf("an OpenDocument of no known type: %w", sanitize.ErrUnsupported)
	}
	return src, nil
}

// openDocument reads the member that says what an OpenDocument is, or the
// manifest, whose first entry is the document. OpenDocument 1.3 part 2, 3.3.
func openDocument(f *zipstrict.File, manifest bool) (sanitize.Source, error) {
	r, err := f.Open(nil)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	}
	b := make([]byte, 1024)
	n, err := io.ReadFull(r, b)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	}
	media := strings.TrimSpace(string(b[:n]))
	if manifest {
		_, media, _ = strings.Cut(media, `="application/vnd.oasis.opendocument.`)
		media, _, _ = strings.Cut(media, `"`)
	}
	media = strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(media, "application/vnd.oasis.opendocument."), "-template"), "-master")
	return map[string]sanitize.Source{
		"text": sanitize.FromODT, "text-web": sanitize.FromODT, "spreadsheet": sanitize.FromODS, "presentation": sanitize.FromODP,
	}[media], nil
}

// flat looks at an OpenDocument that is one XML file.
func flat(s *sanitize.Session, in sanitize.Object) (sanitize.Source, error) {
	b := make([]byte, min(in.Size, 16<<10))
	if n, err := in.ReadAt(b, 0); n < len(b) && !errors.Is(err, io.EOF) {
		return 0, fmt.Errorf("read: %w", err)
	}
	if bytes.Contains(b, []byte("<!DOCTYPE")) || bytes.Contains(b, []byte("<!ENTITY")) {
		return 0, fmt.Errorf("a DOCTYPE: %w", sanitize.ErrContainer)
	}
	for _, m := range []struct {
		media string
		src   sanitize.Source
	}{{"text", sanitize.FromFODT}, {"spreadsheet", sanitize.FromFODS}, {"presentation", sanitize.FromFODP}} {
		if bytes.Contains(b, []byte("application/vnd.oasis.opendocument."+m.media)) {
			found, err := holds(in.Reader(), []byte("<office:scripts"))
			if err != nil {
				return 0, err
			}
			if found {
				lost(s, "convert.macro", 1)
			}
			return m.src, nil
		}
	}
	return 0, fmt.Errorf("an OpenDocument of no known type: %w", sanitize.ErrUnsupported)
}

// holds reports whether r holds a word.
func holds(r io.Reader, word []byte) (bool, error) {
	br := bufio.NewReaderSize(r, 64<<10)
	for {
		b, err := br.Peek(64 << 10)
		if bytes.Contains(b, word) {
			return true, nil
		}
		switch {
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("read: %w", err)
		}
		// The end of this piece may be the beginning of the word.
		if _, err := br.Discard(len(b) - len(word)); err != nil {
			return false, fmt.Errorf("read: %w", err)
		}
	}
}

func utf16(s string) []byte {
	b := make([]byte, 0, 2*len(s))
	for _, c := range []byte(s) {
		b = append(b, c, 0)
	}
	return b
}
