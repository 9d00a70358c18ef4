package ichitaro

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

// Rebuild writes a document anew: the streams of its root, without any storage
// (macros, objects, other documents), without the property sets and streams of
// OLE, and without what an earlier save left behind the text. A compressed
// document comes out unpacked.
type Rebuild struct{}

// documentClass is that of documents and templates: {78597001-1D84-11CF-9713-0020AFD806F4}.
var documentClass = [16]byte{0x01, 0x70, 0x59, 0x78, 0x84, 0x1D, 0xCF, 0x11, 0x97, 0x13, 0x00, 0x20, 0xAF, 0xD8, 0x06, 0xF4}

// Sanitize writes the document in to out without what can run or load.
func (Rebuild) Sanitize(_ context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	f, err := whole(s, in)
	if err != nil {
		return sanitize.Result{}, err
	}
	root := &cfb.Storage{CLSID: documentClass}
	for _, t := range f.Root.Streams {
		b, err := read(s, t)
		if err != nil {
			return sanitize.Result{}, err
		}
		if strings.EqualFold(t.Name, "DocumentText") {
			if _, err := words(b); err != nil {
				return sanitize.Result{}, err
			}
			if blank(b) {
				s.Found(sanitize.Finding{Rule: "ichitaro.leftover", Where: t.Name, Action: sanitize.Rewritten})
			}
			root.Streams = append(root.Streams, cfb.NewStream("DocumentText", b))
			continue
		}
		if !plainName(t.Name) || hides(b) {
			s.Found(sanitize.Finding{Rule: "ichitaro.stream", Where: strings.ToValidUTF8(strings.TrimLeft(t.Name, "\x01\x02\x03\x04\x05"), ""), Action: sanitize.Removed})
			continue
		}
		root.Streams = append(root.Streams, cfb.NewStream(t.Name, b))
	}
	if root.Stream("DocumentText") == nil {
		return sanitize.Result{}, fmt.Errorf("a document of Ichitaro without its text: %w", sanitize.ErrMalformed)
	}
	left(s, f.Root)
	for _, t := range f.Root.Storages {
		if t.Name != "DocumentMacro" && !object(t.Name) {
			s.Found(sanitize.Finding{Rule: "ichitaro.storage", Where: t.Name, Action: sanitize.Removed})
		}
	}
	if err := cfb.Write(out, root); err != nil {
		return sanitize.Result{}, fmt.Errorf("write: %w", err)
	}
	return sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindJTD, Mode: sanitize.Rebuild}, nil
}

// blank overwrites what stands behind the units that the text counts, and
// reports whether there was anything. The length stays: other streams may know it.
func blank(b []byte) bool {
	end := min(uint64(textAt)+2*uint64(binary.BigEndian.Uint32(b[28:])), uint64(len(b)))
	behind := b[end:]
	if len(bytes.Trim(behind, "\x00")) == 0 {
		return false
	}
	clear(behind)
	return true
}

// plainName reports whether a name is one of a stream of Ichitaro's own. OLE's
// begin with a control character.
func plainName(name string) bool {
	return name != "" && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// hides reports whether a stream whose form is not known holds a file of another
// kind: a compound file, an archive, a program, a document.
func hides(b []byte) bool {
	for _, mark := range []string{"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "PK\x03\x04", "%PDF-", "{\\rtf", "This program cannot be run in DOS mode"} {
		if bytes.Contains(b, []byte(mark)) {
			return true
		}
	}
	return bytes.HasPrefix(b, []byte("MZ"))
}
