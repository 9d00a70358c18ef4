package verify

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"slices"
	"strings"
	"sync"

	"sekisho/sanitize"
)

// headerFields are the fields a treated message may have, and whether more
// than one of a name may stand there.
var headerFields = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"Received": true, "Date": false, "From": false, "Sender": false, "Reply-To": false, "To": false, "Cc": false,
		"Subject": false, "Message-Id": false, "In-Reply-To": false, "References": false, "Mime-Version": false,
		"Content-Type": false, "Content-Transfer-Encoding": false, "Content-Language": false, "Content-Disposition": false,
		"Authentication-Results": true, "X-Sekisho-Id": false, "X-Sekisho-Result": false, "X-Sekisho-Spam": false,
		"List-Id": false, "List-Unsubscribe": false, "Auto-Submitted": false, "Precedence": false, "Importance": false,
		"X-Priority": false, "Priority": false, "Resent-From": true, "Resent-To": true, "Resent-Date": true, "Comments": false, "Keywords": false,
		"Organization": false,
	}
})

// partFields are the fields a part of a treated message may have.
var partFields = []string{"Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Content-Description", "Content-Id", "Content-Language"}

// Mail looks at a whole treated message.
func Mail(ctx context.Context, s *sanitize.Session, r io.ReaderAt, size int64) error {
	m, err := head(r, size)
	if err != nil {
		return err
	}
	return entity(ctx, s, "1", textproto.MIMEHeader(m.Header), m.Body, 0, "")
}

// Text is Mail for one that is a single plain text; any other is
// sanitize.ErrOwnProcess.
func Text(ctx context.Context, s *sanitize.Session, r io.ReaderAt, size int64) error {
	m, err := head(r, size)
	if err != nil {
		return err
	}
	media, _, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || media != "text/plain" || m.Header.Get("Content-Disposition") != "" {
		return sanitize.ErrOwnProcess
	}
	return entity(ctx, s, "1", textproto.MIMEHeader(m.Header), m.Body, 0, "")
}

// head looks at the lines and the header of a whole treated message.
func head(r io.ReaderAt, size int64) (*mail.Message, error) {
	if err := lines(io.NewSectionReader(r, 0, size), size); err != nil {
		return nil, err
	}
	m, err := mail.ReadMessage(bufio.NewReader(io.NewSectionReader(r, 0, size)))
	if err != nil {
		return nil, notAllowed("header", "%v", err)
	}
	for name, values := range m.Header {
		many, ok := headerFields()[textproto.CanonicalMIMEHeaderKey(name)]
		if !ok {
			return nil, notAllowed("header", "field %s", name)
		}
		if len(values) > 1 && !many {
			return nil, notAllowed("header", "%d fields %s", len(values), name)
		}
	}
	// What leaves the gateway has its id, and a sender. A draft in a file has
	// neither.
	if m.Header.Get("From") == "" && m.Header.Get("X-Sekisho-Id") != "" || m.Header.Get("Mime-Version") != "1.0" {
		return nil, notAllowed("header", "no From or no MIME-Version: 1.0")
	}
	return m, nil
}

// lines allows only CRLF line ends, 998 octets a line and seven bits: what
// every reader takes apart alike (RFC 5322, 2.1.1).
func lines(r io.Reader, size int64) error {
	// Longer than any line that is allowed.
	br := bufio.NewReaderSize(r, int(min(max(size, 1024), 64<<10)))
	for at := int64(0); ; {
		line, err := br.ReadSlice('\n')
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
			return fmt.Errorf("read: %w", err)
		}
		if text, ok := bytes.CutSuffix(line, []byte("\r\n")); ok && len(text) <= 998 && sevenBits(text) {
			at += int64(len(line))
			continue
		}
		if len(line) == 0 {
			return nil
		}
		return badLine(line, at)
	}
}

// sevenBits reports whether b holds octets of seven bits alone, and neither NUL
// nor CR.
func sevenBits(b []byte) bool {
	for _, c := range b {
		if c == 0 || c == '\r' || c >= 0x80 {
			return false
		}
	}
	return true
}

// badLine says what is wrong with a line that begins at an octet.
func badLine(line []byte, at int64) error {
	n := 0
	for i, c := range line {
		at := at + int64(i)
		switch cr := i > 0 && line[i-1] == '\r'; {
		case c == '\n' && !cr:
			return notAllowed("message", "bare LF at octet %d", at)
		case cr && c != '\n':
			return notAllowed("message", "bare CR before octet %d", at)
		case c == '\r', c == '\n':
			continue
		case c == 0 || c >= 0x80:
			return notAllowed("message", "octet 0x%02x at %d", c, at)
		}
		if n++; n > 998 {
			return notAllowed("message", "line of more than 998 octets before octet %d", at)
		}
	}
	return notAllowed("message", "does not end with a line end")
}

func entity(ctx context.Context, s *sanitize.Session, path string, h textproto.MIMEHeader, body io.Reader, depth int, within string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	// A message inside a message is two levels of entities; the budget of the
	// run bounds the containers, this bounds the walk itself.
	if depth > 2*s.Options.Limits.MIMEDepth {
		return fmt.Errorf("%s: nested too deep: %w", path, sanitize.ErrLimit)
	}
	media, params, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return notAllowed(path, "Content-Type: %v", err)
	}
	cte := strings.ToLower(h.Get("Content-Transfer-Encoding"))
	if strings.HasPrefix(media, "multipart/") {
		// A text beside its HTML, the HTML beside its pictures, and nothing
		// else that a program could choose among.
		switch {
		case media == "multipart/mixed" && within == "":
		case media == "multipart/alternative" && (within == "" || within == "multipart/mixed"):
		case media == "multipart/related" && within == "multipart/alternative" && params["type"] == "text/html":
			delete(params, "type")
		default:
			return notAllowed(path, "%s in %q", media, within)
		}
		if cte != "" && cte != "7bit" {
			return notAllowed(path, "multipart encoded as %q", cte)
		}
		if params["boundary"] == "" || len(params) != 1 {
			return notAllowed(path, "parameters of a multipart")
		}
		return parts(ctx, s, path, media, params["boundary"], body, depth)
	}
	decoded := body
	switch cte {
	case "base64":
		decoded = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		decoded = quotedprintable.NewReader(body)
	case "7bit", "":
	default:
		return notAllowed(path, "transfer encoding %q", cte)
	}
	if err := names(path, media, h, params); err != nil {
		return err
	}
	if media == "text/plain" {
		if !strings.EqualFold(params["charset"], "utf-8") && !strings.EqualFold(params["charset"], "us-ascii") {
			return notAllowed(path, "charset %q", params["charset"])
		}
		if !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") {
			decoded = &words{where: path, r: decoded}
		}
		return plainText(path, bounded(s, decoded))
	}
	b, err := read(s, decoded)
	if err != nil {
		return notAllowed(path, "%v", err)
	}
	if media == "message/rfc822" {
		if cte != "" && cte != "7bit" {
			return notAllowed(path, "message encoded as %q", cte)
		}
		return checkForwarded(ctx, s, path, b, depth)
	}
	if media == "text/html" && within != "multipart/alternative" && within != "multipart/related" && !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") {
		return notAllowed(path, "HTML that is no file and has no text beside it")
	}
	if media == "text/calendar" || media == "text/vcard" || media == "text/html" {
		if !strings.EqualFold(params["charset"], "utf-8") {
			return notAllowed(path, "charset %q", params["charset"])
		}
		if m, ok := params["method"]; ok && (media != "text/calendar" || !bytes.Contains(b, []byte("\r\nMETHOD:"+m+"\r\n"))) {
			// A program that acts by the parameter would not do what the
			// content says.
			return notAllowed(path, "method %q", m)
		}
	}
	k, err := sniff(media)
	if err != nil {
		return notAllowed(path, "%v", err)
	}
	return content(ctx, s, path, k, b)
}

// forwarded looks at a message inside of another, or of an archive. It has the
// same allow-list as the outermost, but for what it may lack.
func forwarded(ctx context.Context, s *sanitize.Session, path string, b []byte, depth int) error {
	m, err := mail.ReadMessage(bytes.NewReader(b))
	if err != nil {
		return notAllowed(path, "forwarded message: %v", err)
	}
	for name, values := range m.Header {
		many, ok := headerFields()[textproto.CanonicalMIMEHeaderKey(name)]
		if !ok || len(values) > 1 && !many {
			return notAllowed(path, "forwarded message: %d fields %s", len(values), name)
		}
	}
	return entity(ctx, s, path+"/1", textproto.MIMEHeader(m.Header), m.Body, depth+1, "")
}

// parts walks a multipart by the standard library's reader and, so that
// nothing hides between, counts what it did not show.
func parts(ctx context.Context, s *sanitize.Session, path, media, boundary string, body io.Reader, depth int) error {
	raw, err := read(s, body)
	if err != nil {
		return err
	}
	delimiter := []byte("--" + boundary)
	if !bytes.HasPrefix(raw, append(slices.Clone(delimiter), "\r\n"...)) {
		return notAllowed(path, "a preamble")
	}
	closing := append([]byte("\r\n"), append(slices.Clone(delimiter), "--"...)...)
	if i := bytes.Index(raw, closing); i < 0 || len(bytes.Trim(raw[i+len(closing):], "\r\n")) > 0 {
		return notAllowed(path, "no closing boundary, or an epilogue")
	}
	mr := multipart.NewReader(bytes.NewReader(raw), boundary)
	for n := 1; ; n++ {
		p, err := mr.NextRawPart()
		if errors.Is(err, io.EOF) {
			if n == 1 || media == "multipart/alternative" && n != 3 {
				return notAllowed(path, "%s of %d parts", media, n-1)
			}
			return nil
		}
		if err != nil {
			return notAllowed(path, "%v", err)
		}
		if n > s.Options.Limits.MIMEParts {
			return fmt.Errorf("%s: more than %d parts: %w", path, s.Options.Limits.MIMEParts, sanitize.ErrLimit)
		}
		at := fmt.Sprintf("%s.%d", path, n)
		for name, values := range p.Header {
			if !slices.Contains(partFields, name) || len(values) != 1 {
				return notAllowed(at, "%d fields %s", len(values), name)
			}
		}
		own, _, _ := strings.Cut(p.Header.Get("Content-Type"), ";")
		if !stands(media, n, own, p.Header.Get("Content-Id")) {
			return notAllowed(at, "%s as part %d of %s", own, n, media)
		}
		if err := entity(ctx, s, at, p.Header, p, depth+1, media); err != nil {
			return err
		}
	}
}

// stands reports whether a part of this type may be the nth of a multipart.
func stands(media string, n int, own, id string) bool {
	switch media {
	case "multipart/alternative":
		return n == 1 && own == "text/plain" || n == 2 && (own == "text/html" || own == "multipart/related")
	case "multipart/related":
		return n == 1 && own == "text/html" || n > 1 && (own == "image/png" || own == "image/jpeg") && id != ""
	default:
		return own != "multipart/related" && own != "multipart/mixed"
	}
}

// names allows one extension, the one of the media type, in every form of the
// name that a client could show.
func names(path, media string, h textproto.MIMEHeader, typeParams map[string]string) error {
	var all []string
	if n := typeParams["name"]; n != "" {
		all = append(all, n)
	}
	if cd := h.Get("Content-Disposition"); cd != "" {
		disposition, params, err := mime.ParseMediaType(cd)
		if err != nil {
			return notAllowed(path, "Content-Disposition: %v", err)
		}
		if disposition != "attachment" && disposition != "inline" {
			return notAllowed(path, "disposition %q", disposition)
		}
		for k := range params {
			if k != "filename" {
				return notAllowed(path, "parameter %s of Content-Disposition", k)
			}
		}
		if n := params["filename"]; n != "" {
			all = append(all, n)
		}
	}
	for _, n := range all {
		decoded, err := new(mime.WordDecoder).DecodeHeader(n)
		if err != nil {
			return notAllowed(path, "file name: %v", err)
		}
		if err := plain(nil, path, []byte(decoded)); err != nil || strings.ContainsAny(decoded, "/\\:\r\n\t") {
			return notAllowed(path, "characters of a file name")
		}
		if len(decoded) > 255 {
			return notAllowed(path, "file name of %d octets", len(decoded))
		}
		if !slices.Contains(extensions(media), extension(decoded)) {
			return notAllowed(path, "extension %q of %s", extension(decoded), media)
		}
	}
	return nil
}

// extensions are the extensions that an attachment of this media type may have.
func extensions(media string) []string {
	if media == "message/rfc822" {
		return []string{".eml"}
	}
	k, err := sniff(media)
	if err != nil {
		return nil
	}
	return k.Extensions()
}
