package message

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/header"
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
	if len(w.pieces) == 1 && !w.pieces[0].nested && w.pieces[0].media == "text/plain" {
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
	}
	return "=_" + hex.EncodeToString(sum.Sum(nil)[:12])
}

// write writes the fields of a part behind what head already holds, then its
// content.
func (p piece) write(head *bytes.Buffer, out io.Writer) error {
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
