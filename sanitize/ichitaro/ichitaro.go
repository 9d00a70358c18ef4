// Package ichitaro takes the words out of documents of Ichitaro (一太郎), so that
// a town can read what is kept back: jtd and jtt, and their compressed forms
// jtdc and jttc.
//
// A document comes in as a compound file with its text in one stream; a
// compressed one is such a file inside a member of an LHA archive inside a
// stream. What goes out is plain text: no layout, no tables but their cells, no
// pictures, no macros. The format is not documented; what is known of it here
// was confirmed by documents of Ichitaro 2016.
//
// Rebuild writes the document itself anew without its macros and objects. It is
// an experiment that a profile must ask for: what the streams that stay can do is
// not known.
package ichitaro

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf16"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

// Text takes the words out of a document. It keeps no state.
type Text struct{}

// Sanitize writes the words of the document in to out, as plain text. In a mail
// the document is kept back and its words stand beside the notice, so that
// nobody takes them for the document; who has it released gets them in its place.
func (Text) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	f, err := whole(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	stream := f.Root.Stream("DocumentText")
	if stream == nil {
		return sanitize.Result{}, fmt.Errorf("a document of Ichitaro without its text: %w", sanitize.ErrMalformed)
	}
	b, err := read(s, stream)
	if err != nil {
		return sanitize.Result{}, err
	}
	text, err := words(b)
	if err != nil {
		return sanitize.Result{}, err
	}
	if strings.TrimSpace(text) == "" {
		return sanitize.Result{}, fmt.Errorf("no words: %w", sanitize.ErrMalformed)
	}
	left(s, f.Root)
	if s.InMail() && len(s.Options.Only) == 0 {
		s.InPlaceOf(sanitize.Object{ReaderAt: strings.NewReader(text), Size: int64(len(text)), Path: in.Path + "/1",
			Name: sanitize.KindText.FileName(in.Name), Declared: "text/plain", Charset: "utf-8"})
		return sanitize.Result{}, fmt.Errorf("its words stand beside it: %w", sanitize.ErrWithheld)
	}
	in.ReaderAt, in.Size, in.Names, in.Name, in.Declared, in.Charset = strings.NewReader(text), int64(len(text)), nil, "", "", "utf-8"
	return s.Instead(ctx, in, sanitize.KindText, out)
}

// whole opens a document, unpacked.
func whole(s *sanitize.Session, in sanitize.Object) (*cfb.File, error) {
	f, err := open(in, in.Size)
	if err != nil {
		return nil, err
	}
	packed := f.Root.Stream("JSCompDocument")
	if packed == nil {
		return f, nil
	}
	b, err := unpack(s, packed)
	if err != nil {
		return nil, err
	}
	return open(bytes.NewReader(b), int64(len(b)))
}

func open(r io.ReaderAt, size int64) (*cfb.File, error) {
	f, err := cfb.Open(r, size)
	switch {
	case errors.Is(err, cfb.ErrAmbiguous):
		return nil, fmt.Errorf("%w: %w", err, sanitize.ErrAmbiguous)
	case errors.Is(err, cfb.ErrLimit):
		return nil, fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, cfb.ErrFormat):
		return nil, fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	}
	return f, err
}

// read reads a stream, charged to the budget.
func read(s *sanitize.Session, t *cfb.Stream) ([]byte, error) {
	if t.Size > s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("stream %s of %d octets: %w", t.Name, t.Size, sanitize.ErrLimit)
	}
	b, err := io.ReadAll(s.Meter(t.Reader()))
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", t.Name, err)
	}
	return b, nil
}

// left tells what a reader of the words does not get, and should know of.
func left(s *sanitize.Session, root *cfb.Storage) {
	for _, t := range root.Storages {
		switch {
		case t.Name == "DocumentMacro":
			s.Found(sanitize.Finding{Rule: "ichitaro.macro", Where: t.Name, Action: sanitize.Removed})
		case object(t.Name):
			s.Found(sanitize.Finding{Rule: "ichitaro.object", Where: t.Name, Action: sanitize.Removed})
		}
	}
}

// object reports whether a storage holds objects or other documents.
func object(name string) bool {
	switch {
	case name == "ObjectSheets", name == "RelatedDocuments", strings.HasPrefix(name, "JSSlipObject"), strings.HasPrefix(name, "EmbedItems"):
		return true
	default:
		return false
	}
}

// The stream of the text begins with a mark of 8 octets, has the mark of its
// only part at 20 and at 28 how many UTF-16 units follow. All numbers have their
// highest octet first.
const (
	mark     = "SsmgV.01"
	partMark = "TextV.01"
	textAt   = 32
)

// words reads the stream of the text. What is behind the units it counts is what
// an earlier save left.
func words(b []byte) (string, error) {
	if len(b) < textAt || string(b[:8]) != mark || string(b[20:28]) != partMark {
		return "", fmt.Errorf("a text of unknown form: %w", sanitize.ErrMalformed)
	}
	n := uint64(binary.BigEndian.Uint32(b[28:]))
	b = b[textAt:]
	u := make([]uint16, min(n, uint64(len(b)/2)))
	for i := range u {
		u[i] = binary.BigEndian.Uint16(b[2*i:])
	}
	var out strings.Builder
	for i := 0; i < len(u); {
		switch c := u[i]; {
		case c == 0x1C: // a record of control: type, length in units, data, 1F
			i = behindControl(u, i)
		case c == 0x1D: // text in the text, of the kind that stands before it: 82 is the reading of kanji
			end := i + 1
			for end < len(u) && u[end] != 0x1E {
				end++
			}
			i = end + 1
		case c == 0x0A, c == 0x0D:
			out.WriteByte('\n')
			if c == 0x0D && i+1 < len(u) && u[i+1] == 0x0A {
				i++
			}
			i++
		case c == 0x0C: // a new page
			out.WriteString("\n\n")
			i++
		case c == 0x0E, c == 0x09: // cells of a table
			out.WriteByte('\t')
			i++
		case c < 0x20, c == 0x82 && i+1 < len(u) && u[i+1] == 0x1D:
			i++
		default:
			end := i
			for end < len(u) && u[end] >= 0x20 && u[end] != 0x82 || end == i {
				end++
			}
			out.WriteString(string(utf16.Decode(u[i:end])))
			i = end
		}
	}
	return out.String(), nil
}

// behindControl returns where the record of control at i ends. By its length, if
// its end stands there, and else by the next end.
func behindControl(u []uint16, i int) int {
	if i+2 < len(u) {
		for _, end := range []int{i + int(u[i+2]) - 1, i + int(u[i+2]), i + 2 + int(u[i+2])} {
			if end > i+2 && end < len(u) && u[end] == 0x1F {
				return end + 1
			}
		}
	}
	for end := i + 1; end < len(u); end++ {
		if u[end] == 0x1F {
			return end + 1
		}
	}
	// One without an end is a mark between cells.
	return i + 1
}
