package outlook

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"time"

	"sekisho/internal/header"
	"sekisho/sanitize"
)

// compose writes a message as a mail. What it writes is read again by the
// strict reader of mails and treated; here only its form must be right.
func compose(m *message, most int64) ([]byte, error) {
	var b bytes.Buffer
	if err := m.write(&b, most, 0); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (m *message) write(b *bytes.Buffer, most int64, depth int) error {
	if depth > maxDepth {
		return tooDeep()
	}
	from := m.from
	if from.Addr == "" && from.Name == "" {
		from.Name = "差出人なし" // a draft; every mail has this field
	}
	if err := header.WriteAddresses(b, "From", []header.Mailbox{from}); err != nil {
		return err
	}
	for _, l := range []struct {
		name string
		list []header.Mailbox
	}{{"To", m.to}, {"Cc", m.cc}} {
		if len(l.list) == 0 {
			continue
		}
		if err := header.WriteAddresses(b, l.name, l.list); err != nil {
			return err
		}
	}
	if err := header.WriteField(b, "Subject", m.subject); err != nil {
		return err
	}
	if !m.date.IsZero() {
		fmt.Fprintf(b, "Date: %s\r\n", m.date.Format(time.RFC1123Z))
	}
	for _, l := range []struct {
		name string
		ids  []string
	}{{"Message-ID", []string{m.id}}, {"In-Reply-To", []string{m.reply}}, {"References", m.references}} {
		if len(l.ids) > 0 && l.ids[0] != "" {
			if err := header.WriteIDs(b, l.name, l.ids[:min(len(l.ids), 100)]); err != nil {
				return err
			}
		}
	}
	b.WriteString("MIME-Version: 1.0\r\n")
	// No base64 has an underscore.
	outer, inner := fmt.Sprintf("=_outlook_%d", depth), fmt.Sprintf("=_outlook_text_%d", depth)
	fmt.Fprintf(b, "Content-Type: multipart/mixed; boundary=%q\r\n\r\n", outer)
	if bodies := m.bodies(); len(bodies) > 0 {
		fmt.Fprintf(b, "--%s\r\nContent-Type: multipart/alternative; boundary=%q\r\n\r\n", outer, inner)
		for i := range bodies {
			t := bodies[len(bodies)-1-i] // the plainest first
			media := t.media
			if t.charset != "" {
				media += "; charset=" + t.charset
			}
			fmt.Fprintf(b, "--%s\r\nContent-Type: %s\r\nContent-Transfer-Encoding: base64\r\n\r\n", inner, media)
			if err := encode(b, t.data); err != nil {
				return err
			}
		}
		fmt.Fprintf(b, "--%s--\r\n", inner)
	}
	for i := range m.files {
		if err := m.files[i].write(b, outer, most, depth); err != nil {
			return err
		}
		if int64(b.Len()) > most {
			return fmt.Errorf("mail of more than %d bytes: %w", most, sanitize.ErrLimit)
		}
	}
	if len(m.bodies()) == 0 && len(m.files) == 0 {
		fmt.Fprintf(b, "--%s\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n\r\n", outer)
	}
	fmt.Fprintf(b, "--%s--\r\n", outer)
	return nil
}

func (f *file) write(b *bytes.Buffer, outer string, most int64, depth int) error {
	fmt.Fprintf(b, "--%s\r\n", outer)
	name := f.fileName()
	if f.mail != nil {
		if err := header.WriteParams(b, "Content-Disposition", "attachment", header.Param{Name: "filename", Value: name}); err != nil {
			return err
		}
		b.WriteString("Content-Type: message/rfc822\r\n\r\n")
		return f.mail.write(b, most, depth+1)
	}
	media := f.media
	if !token(media) {
		media = "application/octet-stream"
	}
	if err := header.WriteParams(b, "Content-Type", media, header.Param{Name: "name", Value: name}); err != nil {
		return err
	}
	if err := header.WriteParams(b, "Content-Disposition", "attachment", header.Param{Name: "filename", Value: name}); err != nil {
		return err
	}
	if f.contentID != "" {
		if err := header.WriteIDs(b, "Content-ID", []string{f.contentID}); err != nil {
			return err
		}
	}
	b.WriteString("Content-Transfer-Encoding: base64\r\n\r\n")
	return encode(b, f.data)
}

// token reports whether a media type of the sender's may be written: a single
// file, for what it says of structure is not believed.
func token(media string) bool {
	main, sub, ok := strings.Cut(media, "/")
	if !ok || main == "multipart" || main == "message" || main == "" || sub == "" {
		return false
	}
	return strings.Trim(main+sub, "abcdefghijklmnopqrstuvwxyz0123456789.+-") == ""
}

// encode writes base64 in lines.
func encode(b *bytes.Buffer, data []byte) error {
	w := base64.NewEncoder(base64.StdEncoding, &lines{w: b})
	if _, err := w.Write(data); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	_, err := io.WriteString(b, "\r\n")
	return err
}

// lines breaks what is written after 76 characters. RFC 2045, 6.8.
type lines struct {
	w *bytes.Buffer
	n int
}

func (l *lines) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		if l.n == 76 {
			l.w.WriteString("\r\n")
			l.n = 0
		}
		k := min(76-l.n, len(rest))
		l.w.Write(rest[:k])
		l.n, rest = l.n+k, rest[k:]
	}
	return len(p), nil
}
