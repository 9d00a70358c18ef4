package message

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// signed treats the content of a clear-signed mail. The signature is over
// octets that no longer exist.
func (w *work) signed(n *node) error {
	for i, c := range n.children {
		// RFC 1847, 2.1: the second part is the signature, whatever it calls
		// itself.
		if i == 1 && len(n.children) == 2 && !c.multi && (c.media == "application/octet-stream" || signature(c.media)) {
			w.unsign(w.path(c), c.declared, c.body.size())
			continue
		}
		if err := w.entity(c); err != nil {
			return err
		}
	}
	return nil
}

// unsign drops a signature and says so.
func (w *work) unsign(path, declared string, size int64) {
	if !w.s.Options.Selected(path) {
		return
	}
	f := sanitize.Finding{Rule: "mime.signature", Action: sanitize.Removed, Detail: "1"}
	w.s.AddPart(sanitize.Part{
		Path: path, Declared: declared, Kind: sanitize.KindText, Class: sanitize.ClassText,
		Outcome: sanitize.Disarmed, Fate: sanitize.Dropped, Size: size, Findings: []sanitize.Finding{f},
	})
	w.changed = true
	w.treated = append(w.treated, telling{-1, notice.Treated{Counts: []notice.Count{{Rule: f.Rule, N: 1}}}})
}

// unwrap treats the content of an opaque signature (S/MIME's signed-data) in
// the place of the wrapper: a MIME entity, or a file that was signed as such.
// It reports whether o was one.
func (w *work) unwrap(o sanitize.Object) (bool, error) {
	b := make([]byte, min(o.Size, 64))
	if n, err := o.ReadAt(b, 0); n < len(b) && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read part %s: %w", o.Path, err)
	}
	if !bytes.Contains(b, oidPKCS7) || b[0] != 0x30 {
		return false, nil
	}
	b = make([]byte, o.Size)
	if n, err := o.ReadAt(b, 0); n < len(b) && !errors.Is(err, io.EOF) {
		return false, fmt.Errorf("read part %s: %w", o.Path, err)
	}
	content, kind := signedContent(b)
	switch kind {
	case cmsSignature:
		w.unsign(o.Path, o.Declared, o.Size)
		return true, nil
	case cmsSigned:
	default:
		return false, nil
	}
	undo, err := w.s.Deeper()
	if err != nil {
		return false, err
	}
	defer undo()
	if err := w.s.Spend(int64(len(content))); err != nil {
		return false, err
	}
	w.unsign(o.Path, o.Declared, o.Size)
	in := sanitize.Object{ReaderAt: bytes.NewReader(content), Size: int64(len(content)), Path: o.Path}
	if !opensEntity(content) {
		in.Path += ".1"
		for _, name := range o.Names {
			in.Names = append(in.Names, strings.TrimSuffix(strings.TrimSuffix(name, ".p7m"), ".P7M"))
		}
		if len(in.Names) > 0 {
			in.Name = in.Names[0]
		}
		return true, w.object(in)
	}
	t, err := parse(in, in.Size, &w.s.Options.Limits)
	if err != nil {
		return false, err
	}
	sub := &work{ctx: w.ctx, s: w.s, in: in, tree: t, choosing: w.choosing, around: w.around}
	if t.complete() {
		err = sub.unaccounted()
	}
	if err == nil && len(t.doubts) == 0 {
		err = sub.entity(t.root)
	}
	if len(t.doubts) > 0 {
		w.tree.doubts = append(w.tree.doubts, t.doubts...)
		return false, errDoubt
	}
	w.pieces = append(w.pieces, sub.pieces...)
	w.dropped = append(w.dropped, sub.dropped...)
	w.treated = append(w.treated, sub.treated...)
	w.changed = w.changed || sub.changed
	return true, err
}

// opensEntity reports whether b begins with a MIME header.
func opensEntity(b []byte) bool {
	b = b[:min(len(b), 64)]
	for _, name := range []string{"content-", "mime-version:"} {
		if hasFold(b, name) {
			return true
		}
	}
	return false
}

func signature(media string) bool {
	switch media {
	case "application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature":
		return true
	}
	return false
}
