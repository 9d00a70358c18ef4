// Package message treats a whole mail: it reads the MIME structure, has every
// part made harmless, and writes the mail anew. In comes a message as it was
// received; out goes one of which no octet was copied: text in UTF-8, files as
// their sanitizers wrote them, and a short text in the place of what did not
// go on.
//
// Reading is strict. Whatever two programs could read in two ways is a doubt
// with a stable code (code.go lists them), and a message in doubt is held as a
// whole; nothing is guessed, and no more lenient parser is asked. A second
// reader that shares no code with the first (scan.go) looks over the raw octets
// for anything the first did not account for.
//
// A message inside a message is an object like any other: it goes through the
// Session, one level deeper. In doubt it is kept back as a part.
//
// The package decides nothing about files, and imports no other sanitizer: a
// file goes to Session.Nested, the HTML of a body to the sanitizer the table
// has for it.
package message

import (
	"context"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// Sanitizer treats a message. The zero value is ready.
//
// For the outermost message, whose Path is empty, the decoded header goes to
// the report (Session.SetHeader). When the task is a gateway mail, only
// MIME-Version, the Content- fields and the body are written, since the parent
// composes the header. In every other case the whole message is written.
//
// With PlainOnly set, a message that is more than plain text is refused with
// sanitize.ErrOwnProcess as soon as that is seen: its structure was read by
// then and at most the first octets of a text were decoded.
type Sanitizer struct{ PlainOnly bool }

// Sanitize writes a harmless equivalent of the message in to out.
func (m Sanitizer) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	t, err := parse(in, in.Size, &s.Options.Limits)
	if err != nil {
		return sanitize.Result{}, err
	}
	w := &work{ctx: ctx, s: s, in: in, tree: t, outermost: in.Path == "", plainOnly: m.PlainOnly, around: around(t.root)}
	if m.PlainOnly && (len(t.doubts) > 0 || !w.plain(t.root)) {
		return sanitize.Result{}, sanitize.ErrOwnProcess
	}
	if t.complete() {
		if err := w.unaccounted(); err != nil {
			return sanitize.Result{}, err
		}
	}
	head := readHeader(t.root, w)
	if len(w.tree.doubts) > 0 {
		return sanitize.Result{}, w.refuse()
	}
	if w.outermost {
		s.SetHeader(head.fields(len(s.Options.Only) > 0))
	}
	if err := w.entity(t.root); err != nil {
		if errors.Is(err, errDoubt) {
			return sanitize.Result{}, w.refuse()
		}
		return sanitize.Result{}, err
	}
	w.fit()
	w.pictures()
	w.notes(head)
	if err := w.write(head, out); err != nil {
		return sanitize.Result{}, fmt.Errorf("write message: %w", err)
	}
	return sanitize.Result{Outcome: w.outcome(), Kind: sanitize.KindMessage, Mode: sanitize.Rebuild}, nil
}

// errDoubt unwinds the walk when a doubt turned up on the way; the doubts
// themselves are in the tree.
var errDoubt = errors.New("in doubt")

// work is the treatment of one message.
type work struct {
	ctx       context.Context
	s         *sanitize.Session
	in        sanitize.Object
	tree      *tree
	outermost bool
	plainOnly bool
	around    string // the charset of its words
	pieces    []piece
	choosing  int                // alternatives around the part being treated
	dropped   []sanitize.Finding // text outside of parts
	codes     []code             // QR codes, whose addresses the notice shows
	treated   []telling          // what the notice says was taken
	changed   bool               // something was taken or kept back
	claims    int                // fields in which others judged or signed the mail
}

// telling is what the notice says of one part, and code a QR code in one.
type telling struct {
	part int // index of the report's part, -1 where it is of none
	notice.Treated
}

type code struct {
	part int
	notice.Code
}

// doubt notes a doubt found while a part was read.
func (w *work) doubt(c Code, off int64, detail string) error {
	w.tree.doubts = append(w.tree.doubts, doubt{c, off, detail})
	return errDoubt
}

// refuse ends with the doubts. The outermost message is held with all of them;
// a message inside is kept back by whoever treats it as a part.
func (w *work) refuse() error {
	if w.outermost {
		for _, d := range w.tree.doubts {
			w.s.Hold(sanitize.Hold{Class: d.code.class(), Code: string(d.code), Detail: d.String()})
		}
	}
	return errOf(w.tree.doubts)
}

func (w *work) outcome() sanitize.Outcome {
	if w.changed {
		return sanitize.Disarmed
	}
	return sanitize.Clean
}

// path is the place of a node in the outermost message.
func (w *work) path(n *node) string {
	p := n.path
	if p == "" {
		p = "1" // IMAP's name for the only part of a message that has no parts
	}
	if w.in.Path != "" {
		p = w.in.Path + "." + p
	}
	return p
}

// unaccounted asks the union scanner, and doubts what the tree has no place
// for.
func (w *work) unaccounted() error {
	found, err := scan(w.in.Reader(), w.in.Size)
	if err != nil {
		return fmt.Errorf("scan message: %w", err)
	}
	if len(found) == 0 {
		return nil
	}
	places := w.tree.places()
	i := 0
	for _, f := range found {
		for i < len(places) && places[i].end <= f.off {
			i++
		}
		if i == len(places) || f.off < places[i].start {
			w.tree.doubts = append(w.tree.doubts, doubt{HiddenStructure, f.off, f.what.String()})
			continue
		}
		switch p := places[i]; p.what {
		case inHeader:
			if f.what == sawHeader && !p.fields[f.off] {
				w.tree.doubts = append(w.tree.doubts, doubt{HiddenStructure, f.off, "a field in a field"})
			}
		case inPreamble:
			w.tree.doubts = append(w.tree.doubts, doubt{PartInPreamble, f.off, f.what.String()})
		case inEpilogue:
			w.tree.doubts = append(w.tree.doubts, doubt{PartInEpilogue, f.off, f.what.String()})
		case inLeaf, inDelimiter:
			// What stands in a part is treated as that part: decoded strictly
			// (encoded data does not hold a header), searched for files when it
			// is text, sanitized when it is a file.
		}
	}
	return nil
}
