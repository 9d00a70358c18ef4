package dsn

import (
	"fmt"
	"io"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"

	"sekisho/envelope"
)

// TLSReport is the mail that carries a day's report of TLS to the domain that
// asked for it. RFC 8460, 5.3.
type TLSReport struct {
	Hostname string // ours: who submits it
	From     envelope.Address
	To       envelope.Address
	Domain   string      // whose servers it is about
	Mail     envelope.ID // of the mail
	ID       string      // of the report
	File     string      // the report's file name
	Packed   []byte      // the report
	Begin    time.Time   // of its day
	Now      time.Time
}

// Write writes it as a mail with CRLF line ends.
func (r TLSReport) Write(w io.Writer) error {
	var h mail.Header
	ours(&h, r.Hostname, r.Mail, r.Now)
	h.SetAddressList("From", []*mail.Address{{Address: r.From.String()}})
	addressees(&h, []envelope.Address{r.To})
	h.Set("Auto-Submitted", "auto-generated")
	h.Set("TLS-Report-Domain", token(r.Domain))
	h.Set("TLS-Report-Submitter", token(r.Hostname))
	h.SetSubject(fmt.Sprintf("Report Domain: %s Submitter: %s Report-ID: <%s>", token(r.Domain), token(r.Hostname), token(r.ID)))
	h.SetContentType("multipart/report", map[string]string{"report-type": "tlsrpt"})
	mw, err := message.CreateWriter(w, h.Header)
	if err != nil {
		return fmt.Errorf("write the header of a report of TLS: %w", err)
	}
	text := fmt.Sprintf("This is an aggregate TLS report of %s from %s, for %s (UTC).\r\n", token(r.Domain), token(r.Hostname), r.Begin.UTC().Format("2006-01-02"))
	if err := part(mw, "text/plain", map[string]string{"charset": "us-ascii"}, "7bit", []byte(text)); err != nil {
		return fmt.Errorf("write the text of a report of TLS: %w", err)
	}
	var ph message.Header
	ph.SetContentType("application/tlsrpt+gzip", nil)
	ph.SetContentDisposition("attachment", map[string]string{"filename": r.File})
	ph.Set("Content-Transfer-Encoding", "base64")
	pw, err := mw.CreatePart(ph)
	if err != nil {
		return fmt.Errorf("write a report of TLS: %w", err)
	}
	if _, err := pw.Write(r.Packed); err != nil {
		return fmt.Errorf("write a report of TLS: %w", err)
	}
	if err := pw.Close(); err != nil {
		return fmt.Errorf("write a report of TLS: %w", err)
	}
	if err := mw.Close(); err != nil {
		return fmt.Errorf("end a report of TLS: %w", err)
	}
	return nil
}
