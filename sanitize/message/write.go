package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho/internal/header"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// write writes the new message. Nothing of the old one's structure is in it:
// the parts stand in a row, in the order in which they stood.
func (w *work) write(h headerInfo, out io.Writer) error {
	var b bytes.Buffer
	if !w.outermost || w.s.Options.Task != sanitize.TaskMail {
		if err := h.writeFields(&b); err != nil {
			return err
		}
	}
	if err := header.WriteField(&b, "MIME-Version", "1.0"); err != nil {
		return err
	}
	if h.language != "" {
		if err := header.WriteField(&b, "Content-Language", h.language); err != nil {
			return err
		}
	}
	// A text that is a file needs fields of its own, which no top header has.
	if p := &w.pieces[0]; len(w.pieces) == 1 && !p.nested && p.media == "text/plain" && (p.body || p.part < 0) {
		return w.pieces[0].write(&b, out)
	}
	boundary := w.boundary()
	if err := header.WriteParams(&b, "Content-Type", "multipart/mixed", header.Param{Name: "boundary", Value: boundary}); err != nil {
		return err
	}
	b.WriteString("\r\n")
	for i := range w.pieces {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString("--" + boundary + "\r\n")
		if err := w.pieces[i].write(&b, out); err != nil {
			return err
		}
		b.Reset()
	}
	_, err := io.WriteString(out, "\r\n--"+boundary+"--\r\n")
	return err
}

// picture is a picture that came with the mail, as the HTML sanitizer writes
// it.
var picture = lazy.Compile(`<img src="cid:([^"]*)" alt="([^"]*)"[^>]*>`)

// pictures puts the pictures that HTML shows beside it. One that did not
// arrive, or that another text already shows, gives way to its description.
func (w *work) pictures() {
	for i := range w.pieces {
		if w.pieces[i].html == nil {
			continue
		}
		at := map[string]int{}
		for j, p := range w.pieces {
			if p.cid != "" && p.shown == nil {
				at[p.cid] = j
			}
		}
		own := map[string]bool{}
		var shown []piece
		html := picture.ReplaceAllFunc(w.pieces[i].html, func(b []byte) []byte {
			m := picture.FindSubmatch(b)
			id := string(m[1])
			j, ok := at[id]
			switch {
			case own[id]:
			case ok:
				own[id] = true
				shown = append(shown, w.pieces[j])
			case len(bytes.TrimSpace(m[2])) > 0:
				return []byte("[" + string(m[2]) + "]")
			default:
				return nil
			}
			return b
		})
		w.pieces[i].html, w.pieces[i].shown = html, shown
		for id := range own {
			w.pieces[at[id]].cid = "" // taken; it goes below
			w.pieces[at[id]].media = ""
		}
		// Two indexes into the slice are in use above, so what was taken is
		// only marked there.
	}
	w.pieces = slices.DeleteFunc(w.pieces, func(p piece) bool { return p.media == "" })
	for i := range w.pieces {
		w.pieces[i].cid = "" // a picture that no HTML shows is a file
	}
}

// boundary makes a boundary from what it separates, so that the same mail is
// written the same, and one inside another never with the other's. No part can
// contain it: "=_" stands in no encoded text.
func (w *work) boundary() string {
	sum := sha256.New()
	for _, p := range w.pieces {
		own := p.sum
		if own == nil {
			s := sha256.Sum256(p.data)
			own = s[:]
		}
		fmt.Fprintf(sum, "%s %q %x\n", p.media, p.name, own)
		if p.html != nil {
			fmt.Fprintf(sum, "%x\n", sha256.Sum256(p.html))
		}
	}
	return "=_" + hex.EncodeToString(sum.Sum(nil)[:12])
}

// write writes the fields of a part behind what head already holds, then its
// content. A text with its HTML is a part of parts.
func (p piece) write(head *bytes.Buffer, out io.Writer) error {
	if p.html == nil {
		return p.leaf(head, out)
	}
	page := piece{media: "text/html", body: true, data: p.html, part: p.part}
	text := p
	text.html = nil
	sum := sha256.New()
	fmt.Fprintf(sum, "%x %x", p.sum, sha256.Sum256(p.html))
	for _, s := range p.shown {
		fmt.Fprintf(sum, " %s %x", s.cid, sha256.Sum256(s.data))
	}
	id := hex.EncodeToString(sum.Sum(nil)[:12])
	return multi(head, out, "multipart/alternative", "=_a"+id, func(head *bytes.Buffer) error { return text.leaf(head, out) },
		func(head *bytes.Buffer) error {
			if len(p.shown) == 0 {
				return page.leaf(head, out)
			}
			parts := []func(*bytes.Buffer) error{func(head *bytes.Buffer) error { return page.leaf(head, out) }}
			for _, s := range p.shown {
				parts = append(parts, func(head *bytes.Buffer) error { return s.leaf(head, out) })
			}
			return multi(head, out, "multipart/related", "=_r"+id, parts...)
		})
}

// multi writes a part of parts.
func multi(head *bytes.Buffer, out io.Writer, media, boundary string, parts ...func(*bytes.Buffer) error) error {
	params := []header.Param{{Name: "boundary", Value: boundary}}
	if media == "multipart/related" {
		params = append(params, header.Param{Name: "type", Value: "text/html"}) // RFC 2387, 3.1
	}
	if err := header.WriteParams(head, "Content-Type", media, params...); err != nil {
		return err
	}
	head.WriteString("\r\n")
	for i, part := range parts {
		if i > 0 {
			head.WriteString("\r\n")
		}
		head.WriteString("--" + boundary + "\r\n")
		if err := part(head); err != nil {
			return err
		}
		head.Reset()
	}
	_, err := io.WriteString(out, "\r\n--"+boundary+"--\r\n")
	return err
}

// leaf writes a part without parts.
func (p piece) leaf(head *bytes.Buffer, out io.Writer) error {
	params := []header.Param{}
	if strings.HasPrefix(p.media, "text/") {
		params = append(params, header.Param{Name: "charset", Value: "utf-8"})
	}
	if p.method != "" {
		params = append(params, header.Param{Name: "method", Value: p.method})
	}
	if p.name != "" {
		params = append(params, header.Param{Name: "name", Value: p.name})
	}
	if err := header.WriteParams(head, "Content-Type", p.media, params...); err != nil {
		return err
	}
	file := !p.body && p.part >= 0
	if file {
		params = nil
		if p.name != "" {
			params = append(params, header.Param{Name: "filename", Value: p.name})
		}
		disposition := "attachment"
		if p.method != "" {
			disposition = "inline" // Outlook answers what is part of the mail, and opens what is a file
		}
		if p.cid != "" {
			disposition = "inline"
			if err := header.WriteField(head, "Content-ID", "<"+p.cid+">"); err != nil {
				return err
			}
		}
		if err := header.WriteParams(head, "Content-Disposition", disposition, params...); err != nil {
			return err
		}
	}
	encoding := "base64"
	switch {
	case p.nested:
		encoding = "7bit"
	case !file && quotedIsShorter(p.data):
		encoding = "quoted-printable"
	}
	if err := header.WriteField(head, "Content-Transfer-Encoding", encoding); err != nil {
		return err
	}
	head.WriteString("\r\n")
	if _, err := out.Write(head.Bytes()); err != nil {
		return err
	}
	var enc io.WriteCloser
	switch encoding {
	case "7bit":
		_, err := out.Write(p.data)
		return err
	case "quoted-printable":
		enc = &quotedWriter{w: out}
	default:
		enc = base64Writer(out)
	}
	var err error
	if p.again != nil {
		err = p.again(enc)
	} else {
		_, err = enc.Write(p.data)
	}
	if e := enc.Close(); err == nil {
		err = e
	}
	return err
}
