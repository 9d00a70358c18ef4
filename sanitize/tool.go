package sanitize

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// A Tool is one way of running an external program. The parent runs it, in a
// sandbox of its own, when a worker asks; a worker can name it and give it
// numbers, and nothing else. What comes back is a hostile file.
type Tool uint8

// The tools. One more is a line here, one in toolNames and one in the table of
// the parent (sanitize/worker).
const (
	OfficeToDOCX Tool = 1 + iota // LibreOffice: a document of Source as docx, xlsx, pptx, pdf
	OfficeToXLSX
	OfficeToPPTX
	OfficeToPDF
	QPDFPlain // qpdf: the same PDF with its objects and streams laid open
	QPDFCheck // qpdf: nothing comes back; no error means that it finds none
	PDFPixels // pdftoppm: pages First to Last as PNM, one behind the other, by DPI or at most Longest pixels long
	PDFText   // pdftotext: their text in UTF-8
	PDFWords  // pdftotext: their words with boxes, as XHTML
	HEIFJPEG  // heif-convert: the main picture of a HEIC or AVIF file as JPEG
	PDFLook   // qpdf and pdftoppm beside each other: pages First to Last small and grey as PNM, an error where either finds fault
	HookToPDF // a converter of the administrator's: a file of its kind as PDF
	JP2Pixels // opj_decompress: a JPEG 2000 code stream as PNM
	EPSPixels // Ghostscript: what an EPS file draws within its box as PNM, by DPI
	FontNames // fc-list: the names of the fonts here, in lines and between commas; it is given nothing
	PDFGreys  // pdftocairo: pages First to Last by DPI, each as TIFF in grey behind its length in eight octets
	JXLPNG    // djxl: a JPEG XL code stream as PNG
)

var toolNames = [...]string{OfficeToDOCX: "libreoffice docx", OfficeToXLSX: "libreoffice xlsx", OfficeToPPTX: "libreoffice pptx", OfficeToPDF: "libreoffice pdf",
	QPDFPlain: "qpdf", QPDFCheck: "qpdf check", PDFPixels: "pdftoppm", PDFText: "pdftotext", PDFWords: "pdftotext bbox", HEIFJPEG: "heif-convert", PDFLook: "qpdf and pdftoppm",
	HookToPDF: "converter", JP2Pixels: "opj_decompress", EPSPixels: "ghostscript", FontNames: "fc-list", PDFGreys: "pdftocairo", JXLPNG: "djxl"}

func (t Tool) String() string {
	if t > 0 && int(t) < len(toolNames) {
		return toolNames[t]
	}
	return fmt.Sprintf("tool %d", uint8(t))
}

// Source is the format of a document given to LibreOffice: by it the program
// chooses its parser.
type Source uint8

// The sources.
const (
	FromDOC Source = 1 + iota
	FromXLS
	FromPPT
	FromRTF
	FromODT
	FromODS
	FromODP
	FromODG
	FromDOCX
	FromXLSX
	FromPPTX
	FromXLSB
	FromFODT
	FromFODS
	FromFODP
	FromWord2003 // one XML file, as Office 2003 writes it
	FromExcel2003
	FromHTML // and the following: in UTF-8, as they are written here
	FromText
	FromCSV
	FromTSV
	// FromExcel2003Again is what the first parser for it, a style sheet, could not
	// read, for the second one, which reads more files and less of each.
	FromExcel2003Again
)

// A ToolCall is what a worker asks for. Every field is a number that the parent
// checks before anything is started.
type ToolCall struct {
	Tool    Tool   `json:"tool"`
	Source  Source `json:"source,omitempty"`
	First   int    `json:"first,omitempty"` // pages, from 1
	Last    int    `json:"last,omitempty"`
	DPI     int    `json:"dpi,omitempty"`
	Longest int    `json:"longest,omitempty"` // pixels of a page's longer side, in place of DPI
	Grey    int    `json:"grey,omitempty"`    // 1: one byte a pixel
	Of      int    `json:"of,omitempty"`      // pages of the document, told to whoever watches; of PDFWords: how many may be expected
	Hook    int    `json:"hook,omitempty"`    // which converter of the administrator's, from 1
	Part    int    `json:"part"`              // which attachment it is for; set by the Session
	Size    int64  `json:"size"`              // of the input, which follows
}

// ToolAnswer is how a call ended. It follows the output.
type ToolAnswer struct {
	Result ToolResult `json:"result"`
	Detail string     `json:"detail,omitempty"`
}

// ToolResult is the outcome of a call; zero is none.
type ToolResult uint8

// The results.
const (
	ToolDone    ToolResult = 1
	ToolFailed  ToolResult = 2 // it crashed, took too long, left nothing
	ToolSpent   ToolResult = 3 // the message may not ask for more
	ToolMissing ToolResult = 4 // not installed, or no sandbox for it here
	ToolSlow    ToolResult = 5 // it was ended at its time
)

// Errors of Session.Convert.
var (
	// ErrTool: the program made nothing of the file.
	ErrTool = errors.New("the converter failed")
	// ErrSlow is an ErrTool of which nothing came in the time that a run has. It
	// ends the ladder: the next step would ask the same program for as long again,
	// and a worker has not the time for two that do not end.
	ErrSlow = fmt.Errorf("its time is over: %w", ErrTool)
	// ErrNoTool: there is no such program here.
	ErrNoTool = errors.New("the converter is not installed")
)

// FDTools is the descriptor by which a worker asks for tools.
const FDTools = 5

// MaxToolInput is the longest file a tool is given.
const MaxToolInput = 256 << 20

// Convert has an external program read in and writes what it made to out. What
// was written is as hostile as what was read, and incomplete on error.
func (s *Session) Convert(ctx context.Context, c ToolCall, in io.Reader, out io.Writer) error {
	if s.Tools == nil {
		return ErrNoTool
	}
	c.Part = s.part
	if err := s.Tools(ctx, c, in, out); err != nil {
		return fmt.Errorf("%s: %w", c.Tool, err)
	}
	return nil
}

// Converted is Convert with what the program made in memory: bounded by what a
// run may write, and charged as expanded.
func (s *Session) Converted(ctx context.Context, c ToolCall, in io.Reader) ([]byte, error) {
	out := &Buffer{Most: s.Options.Limits.OutputBytes}
	if err := s.Convert(ctx, c, in, out); err != nil {
		return nil, err
	}
	if err := s.Spend(int64(out.Len())); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// Buffer is memory for one output of at most Most bytes; a write beyond them
// fails with ErrLimit.
type Buffer struct {
	bytes.Buffer
	Most int64
}

func (b *Buffer) Write(p []byte) (int, error) {
	if int64(b.Len()+len(p)) > b.Most {
		return 0, fmt.Errorf("output of more than %d octets: %w", b.Most, ErrLimit)
	}
	return b.Buffer.Write(p)
}

// A ToolClient asks the parent for tools over a socket: a call as a frame, the
// input behind it; then come pieces of the output, each behind its length in
// four octets, an empty one, and the answer as a frame.
type ToolClient struct {
	Socket io.ReadWriter

	in *bufio.Reader
}

// Run asks for one call and waits for its end. It has the form of
// Session.Tools.
func (t *ToolClient) Run(ctx context.Context, c ToolCall, in io.Reader, out io.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.Size < 0 || c.Size > MaxToolInput {
		return fmt.Errorf("input of %d octets: %w", c.Size, ErrLimit)
	}
	if t.in == nil {
		t.in = bufio.NewReaderSize(t.Socket, 256<<10)
	}
	if err := WriteFrame(t.Socket, c); err != nil {
		return fmt.Errorf("ask: %w", err)
	}
	if n, err := io.CopyN(t.Socket, in, c.Size); err != nil {
		return fmt.Errorf("give %d of %d octets: %w", n, c.Size, err)
	}
	// The output is read to its end even when nobody wants it any more: the
	// next answer stands behind it.
	var failed error
	for {
		var head [4]byte
		if _, err := io.ReadFull(t.in, head[:]); err != nil {
			return fmt.Errorf("take: %w", err)
		}
		n := int64(binary.BigEndian.Uint32(head[:]))
		if n == 0 {
			break
		}
		for n > 0 {
			// Out of the buffer, so that pixels are not copied once more.
			if _, err := t.in.Peek(1); err != nil {
				return fmt.Errorf("take: %w", err)
			}
			b, _ := t.in.Peek(int(min(n, int64(t.in.Buffered())))) // they are there
			if failed == nil {
				_, failed = out.Write(b)
			}
			n -= int64(len(b))
			if _, err := t.in.Discard(len(b)); err != nil {
				return fmt.Errorf("take: %w", err)
			}
		}
	}
	var a ToolAnswer
	if err := ReadNext(t.in, &a, maxAnswer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	switch a.Result {
	case ToolDone:
		return failed
	case ToolSpent:
		return fmt.Errorf("%s: %w", a.Detail, ErrLimit)
	case ToolSlow:
		return fmt.Errorf("%s: %w", a.Detail, ErrSlow)
	case ToolMissing:
		return fmt.Errorf("%s: %w", a.Detail, ErrNoTool)
	default:
		return fmt.Errorf("%s: %w", a.Detail, ErrTool)
	}
}

// maxAnswer bounds an answer, whose detail is a line.
const maxAnswer = 4 << 10
