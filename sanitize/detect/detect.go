// Package detect says what a file really is. In comes an object with the names
// and the type its sender claims; out goes one kind, the dangerous kinds seen
// inside a container that is not opened here, and what is odd about the file.
//
// The content decides: magic numbers, then the structure behind them (the
// content types of an Office package, the directory of a compound file), then
// whether it is text at all and how that text opens. A name or a declared type
// can do three things only: make the kind worse (text named invoice.js is a
// script), choose among kinds of text that are all written anew (CSV), and
// name in a notice a format that is kept back either way. What nothing here
// recognises is unknown.
//
// The package reads and decides, it treats nothing. It reads bounded pieces,
// whatever the numbers in the file say; looking into containers it expands a
// fixed amount and no more. It returns an error only when the bytes cannot be
// read.
package detect

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho/sanitize"
)

const (
	// headBytes is what is looked at from the start: an ISO image has its
	// magic at 36 KiB, HTML may open after a long comment.
	headBytes = 64 << 10
	// tailBytes is what is looked at from the end: a ZIP archive's end of
	// directory with the longest comment (APPNOTE 4.3.16).
	tailBytes = 22 + 1<<16
)

// file is an object with its first and last bytes at hand.
type file struct {
	sanitize.Object
	head []byte
	tail []byte
	// inner is what may still be expanded to look into containers; one number
	// for the whole object, however deep its containers are.
	inner *budget
	depth int
}

// budget bounds what detection expands. It is apart from the message's budget
// because nothing that is expanded here is ever used for an output.
type budget struct {
	bytes   int64
	members int
}

// The budget of one object: enough to see every member's first bytes in the
// archives that people send, and the whole of a few archives inside.
const (
	innerBytes   = 64 << 20
	innerMembers = 5000 // limits.md, archive entries
	innerDepth   = 4    // limits.md has 5 containers in containers, this object is one
	innerObject  = 16 << 20
)

// Detect says what o is. It fails only when o cannot be read.
func Detect(o sanitize.Object) (sanitize.Detection, error) {
	return detect(o, &budget{bytes: innerBytes, members: innerMembers}, 0)
}

func detect(o sanitize.Object, inner *budget, depth int) (sanitize.Detection, error) {
	f := &file{Object: o, inner: inner, depth: depth}
	if o.Size <= 0 {
		return named(f, found{kind: sanitize.KindEmpty, text: true}), nil
	}
	var err error
	if f.head, err = f.read(0, min(o.Size, headBytes)); err != nil {
		return sanitize.Detection{}, fmt.Errorf("read the start: %w", err)
	}
	from := max(o.Size-tailBytes, 0)
	if f.tail, err = f.read(from, o.Size-from); err != nil {
		return sanitize.Detection{}, fmt.Errorf("read the end: %w", err)
	}
	r, err := f.content()
	if err != nil {
		return sanitize.Detection{}, err
	}
	return named(f, r), nil
}

// found is what the content says.
type found struct {
	kind     sanitize.Kind
	text     bool // it is text, so a program that reads text could run it
	inside   []sanitize.Kind
	findings []sanitize.Finding
}

func (r *found) add(k sanitize.Kind) {
	if !slices.Contains(r.inside, k) {
		r.inside = append(r.inside, k)
	}
}

func (r *found) note(rule, detail string) {
	r.findings = append(r.findings, sanitize.Finding{Rule: rule, Action: sanitize.Reported, Detail: detail})
}

// content decides by content alone. The order is that of danger: what a
// system would execute first, so that nothing hides behind a gentler magic.
func (f *file) content() (found, error) {
	if k, ok := executable(f.head); ok {
		return found{kind: k}, nil
	}
	if disk(f) {
		return found{kind: f.diskKind()}, nil
	}
	zip := f.zip()
	if k, ok := magic(f); ok {
		r := found{kind: k}
		switch k {
		case sanitize.KindCFB:
			r = f.compound()
		case sanitize.KindZIP:
			if zip != nil {
				return f.zipKind(zip), nil
			}
			// A first part of a split archive, or a broken one.
			f.localNames(&r)
			return r, nil
		case sanitize.KindPDF:
			if f.encryptedPDF() && f.needsPassword() {
				r.kind = sanitize.KindEncryptedPDF
			}
		default:
			f.archive(&r)
		}
		return f.second(r, zip), nil
	}
	if f.bodyOfPDF() {
		r := found{kind: sanitize.KindPDF}
		if f.encryptedPDF() && f.needsPassword() {
			r.kind = sanitize.KindEncryptedPDF
		}
		return f.second(r, zip), nil
	}
	t, err := f.decode()
	if err != nil {
		return found{}, err
	}
	if k, ok := opens(t, f); ok {
		return f.second(found{kind: k, text: true}, zip), nil
	}
	if k, ok := mail(f); ok {
		return f.second(found{kind: k, text: true}, zip), nil
	}
	if t.text {
		return f.second(found{kind: f.textKind(), text: true}, zip), nil
	}
	if zip != nil {
		// Something without a name of its own stands before an archive.
		r := f.zipKind(zip)
		r.note("detect.prefix", "data before the ZIP archive")
		return r, nil
	}
	if hasPrefix(f.head, "\xff\x0a") && f.Size >= 12 {
		return found{kind: sanitize.KindJXL}, nil // a bare code stream (ISO/IEC 18181-1, B.1)
	}
	if f.targa() {
		return found{kind: sanitize.KindTGA}, nil
	}
	return found{kind: opinion(f)}, nil
}

// second looks whether a file of one kind is also an archive. Pictures are
// decoded and written anew, so what follows them is lost anyway and is only
// reported. Programs stay programs.
func (f *file) second(r found, zip *zipList) found {
	switch r.kind.Class() {
	case sanitize.ClassExecutable:
		return r
	case sanitize.ClassPDF:
		// Written anew from what its pages lead to: what follows is lost.
		if zip != nil {
			r.note("detect.polyglot", "a ZIP archive after the document")
		}
		return r
	case sanitize.ClassImage:
		if zip != nil {
			r.note("detect.polyglot", "a ZIP archive after the picture")
		}
		if i := bytes.Index(f.tail, []byte("%PDF-")); i >= 0 && bytes.Contains(f.tail[i:], []byte("%%EOF")) {
			r.note("detect.polyglot", "a PDF document inside the picture")
		}
		if i := bytes.Index(f.tail, []byte("Rar!\x1a\x07")); i >= 0 {
			r.note("detect.polyglot", "a RAR archive after the picture")
		}
		return r
	default:
		// A document may hold an archive near its end; a polyglot's archive
		// ends where the file ends.
		if zip != nil && zip.atEnd {
			z := f.zipKind(zip)
			r.note("detect.polyglot", "a ZIP archive after "+string(r.kind))
			return found{kind: sanitize.KindPolyglot, inside: z.inside, findings: r.findings}
		}
		return r
	}
}

// read returns n bytes at off; fewer at the end of the object. n is bounded by
// the callers, never by the file.
func (f *file) read(off, n int64) ([]byte, error) {
	if off < 0 || off >= f.Size || n <= 0 {
		return nil, nil
	}
	b := make([]byte, min(n, f.Size-off))
	m, err := f.ReadAt(b, off)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:m], nil
}

// peek is read where missing bytes and failed reads mean the same: not this
// format.
func (f *file) peek(off, n int64) []byte {
	b, err := f.read(off, n)
	if err != nil {
		return nil
	}
	return b
}

func hasPrefix(b []byte, p string) bool { return len(b) >= len(p) && string(b[:len(p)]) == p }

func at(b []byte, off int, s string) bool {
	return off >= 0 && off+len(s) <= len(b) && string(b[off:off+len(s)]) == s
}

// extension returns the lower-case extension of a name without its dot.
func extension(name string) string {
	name = strings.TrimRight(name, ". \u3000\x00")
	i := strings.LastIndexByte(name, '.')
	if i < 0 || strings.ContainsAny(name[i:], `/\`) {
		return ""
	}
	return strings.ToLower(name[i+1:])
}

// names are all names a client could show.
func (f *file) names() []string {
	n := slices.Clone(f.Names)
	if f.Name != "" && !slices.Contains(n, f.Name) {
		n = append(n, f.Name)
	}
	return n
}

func (f *file) hasExt(exts ...string) bool {
	for _, n := range f.names() {
		if slices.Contains(exts, extension(n)) {
			return true
		}
	}
	return false
}
