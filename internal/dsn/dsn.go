// Package dsn writes the gateway's own mail about mail that could not be
// delivered, not yet, or only as far as to a server that reports nothing: the
// delivery status notification that goes back to a sender inside (RFC 3461 to
// 3464, multipart/report of RFC 6522), and the notice that
// tells a tenant's administrators what the internet's senders are not told. It
// writes bytes and decides nothing: whether anybody is written to is for
// package delivery to say.
//
// Nothing of the message's body goes into either, and what a foreign server
// answered is cut and made printable first: both are read by people who trust
// the gateway. Everything is 7-bit with CRLF.
package dsn

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-message/textproto"

	"sekisho/envelope"
)

const (
	// maxHeader bounds how much of the failed mail's header goes back. Enough
	// for a person to know the mail by; a header may have 256 KiB.
	maxHeader = 32 << 10
	// maxAnswer bounds one answer of a foreign server. RFC 5321, 4.5.3.1.5
	// allows a line of 512 octets.
	maxAnswer = 512
	// maxListed bounds the failures that one notice names. The audit has all.
	maxListed = 100
)

// Action is what became of the recipients of a report. RFC 3464, 2.3.3.
type Action uint8

// The actions. Zero is the worst, so that nothing is told better than it is.
const (
	Failed  Action = 0
	Delayed Action = 1 // not yet, and tried again
	Relayed Action = 2 // handed to a server that reports nothing itself
)

// Recipient is one recipient of a report, and what became of it.
type Recipient struct {
	To       envelope.Address
	Original string    // ORCPT as it came; "" when there was none. RFC 3461, 4.2
	Status   string    // enhanced status code, "5.1.1"; RFC 3463
	Answer   string    // of the server that gave it, or our own words
	Remote   string    // that server; "" when the words are ours
	Last     time.Time // of the last attempt
}

// Report is what a sender inside is told.
type Report struct {
	Hostname   string // ours
	Sender     envelope.Address
	Report     envelope.ID // of the report itself
	ID         envelope.ID // of the mail it is about
	MessageID  string      // its Message-ID as it came, "" when there is none
	EnvID      string      // ENVID as it came; "" when there was none. RFC 3461, 4.4
	Arrived    time.Time
	Now        time.Time
	Action     Action
	Until      time.Time // Delayed: when it will be given up
	Recipients []Recipient
	Header     []byte // the header block of that mail; cut to a bound
}

// Write writes the report as a mail with CRLF line ends.
func (r Report) Write(w io.Writer) error {
	var h mail.Header
	ours(&h, r.Hostname, r.Report, r.Now)
	addressees(&h, []envelope.Address{r.Sender})
	h.SetSubject(saying(r.Action).subject + " " + string(r.ID))
	if id, ok := messageID(r.MessageID); ok {
		h.Set("In-Reply-To", id)
		h.Set("References", id)
	}
	// RFC 6522, 3: the type of the report is that of the second part.
	h.SetContentType("multipart/report", map[string]string{"report-type": "delivery-status"})
	mw, err := message.CreateWriter(w, h.Header)
	if err != nil {
		return fmt.Errorf("write the header of a report: %w", err)
	}
	if err := r.text(mw); err != nil {
		return fmt.Errorf("write the text of a report: %w", err)
	}
	if err := r.status(mw); err != nil {
		return fmt.Errorf("write the status of a report: %w", err)
	}
	if err := r.header(mw); err != nil {
		return fmt.Errorf("write the returned header of a report: %w", err)
	}
	if err := mw.Close(); err != nil {
		return fmt.Errorf("end a report: %w", err)
	}
	return nil
}

// ours sets the fields that all mail of our own has.
func ours(h *mail.Header, hostname string, id envelope.ID, now time.Time) {
	h.SetAddressList("From", []*mail.Address{{Name: "Sekisho", Address: "postmaster@" + hostname}})
	h.SetDate(now)
	h.Set("Message-Id", "<"+string(id)+"@"+hostname+">")
	// RFC 3834, 5: nothing may answer this by itself.
	h.Set("Auto-Submitted", "auto-replied")
}

// addressees sets To. An address that is not ASCII stays out of it, since the
// whole mail is 7-bit; the envelope has it.
func addressees(h *mail.Header, as []envelope.Address) {
	var to []*mail.Address
	for _, a := range as {
		// The writer puts quotes where RFC 5322 wants them, so those that the
		// local part came with are taken off.
		local := strings.TrimSuffix(strings.TrimPrefix(a.Local, `"`), `"`)
		if s := local + "@" + a.Domain; ascii(s) == s {
			to = append(to, &mail.Address{Address: s})
		}
	}
	if len(to) == 0 {
		// RFC 5322, 3.6.3: a group may be empty.
		h.Set("To", "undisclosed-recipients:;")
		return
	}
	h.SetAddressList("To", to)
}

func (r Report) text(mw *message.Writer) error {
	var b strings.Builder
	says := saying(r.Action)
	ja, en := says.ja, says.en
	if r.Action == Delayed {
		ja = fmt.Sprintf(ja, japanTime(r.Until))
		en = fmt.Sprintf(en, r.Until.UTC().Format("2006-01-02 15:04 MST"))
	}
	fmt.Fprintf(&b, "%s にお預かりしたメール%s\r\n\r\n", japanTime(r.Arrived), ja)
	for _, f := range r.Recipients {
		fmt.Fprintf(&b, "  宛先: %s\r\n", printable(f.To.String()))
		if r.Action == Failed {
			fmt.Fprintf(&b, "  理由: %s\r\n", reasonJA(f.Status))
		}
		fmt.Fprintf(&b, "%s\r\n", answered("相手の応答", "詳細", f))
	}
	fmt.Fprintf(&b, "お問い合わせの際は、この番号をお伝えください: %s\r\n", r.ID)
	fmt.Fprintf(&b, "このメールは自動で送られています。返信はできません。\r\n")
	b.WriteString("\r\n----\r\n\r\n")
	fmt.Fprintf(&b, "Your mail of %s %s\r\n\r\n", r.Arrived.UTC().Format("2006-01-02 15:04 MST"), en)
	for _, f := range r.Recipients {
		fmt.Fprintf(&b, "  To: %s\r\n", printable(f.To.String()))
		if r.Action == Failed {
			fmt.Fprintf(&b, "  Reason: %s\r\n", reasonEN(f.Status))
		}
		fmt.Fprintf(&b, "%s\r\n", answered("The server said", "Details", f))
	}
	fmt.Fprintf(&b, "If you ask for help, give this number: %s\r\n", r.ID)
	return part(mw, "text/plain", map[string]string{"charset": "utf-8"}, "base64", []byte(b.String()))
}

// status is the part that machines read. RFC 3464, 2.
func (r Report) status(mw *message.Writer) error {
	var b bytes.Buffer
	says := saying(r.Action)
	if id, ok := envelope.Xtext(r.EnvID); ok && strings.TrimSpace(id) != "" {
		// RFC 3464, 2.2.1: decoded.
		fmt.Fprintf(&b, "Original-Envelope-Id: %s\r\n", strings.TrimSpace(printable(id)))
	}
	fmt.Fprintf(&b, "Reporting-MTA: dns; %s\r\n", token(r.Hostname))
	fmt.Fprintf(&b, "X-Sekisho-Id: %s\r\n", token(string(r.ID)))
	fmt.Fprintf(&b, "Arrival-Date: %s\r\n", r.Arrived.Format(time.RFC1123Z))
	for _, f := range r.Recipients {
		b.WriteString("\r\n")
		if o := originalRecipient(f.Original); o != "" {
			fmt.Fprintf(&b, "Original-Recipient: %s\r\n", o)
		}
		fmt.Fprintf(&b, "Final-Recipient: %s\r\n", finalRecipient(f.To))
		fmt.Fprintf(&b, "Action: %s\r\n", says.action)
		fmt.Fprintf(&b, "Status: %s\r\n", status(f.Status, says.class))
		if f.Remote != "" {
			fmt.Fprintf(&b, "Remote-MTA: dns; %s\r\n", token(f.Remote))
			// RFC 3464, 2.3.6: of type smtp only what a server really said.
			fmt.Fprintf(&b, "Diagnostic-Code: smtp;%s\r\n", fold(printable(f.Answer)))
		} else if f.Answer != "" {
			fmt.Fprintf(&b, "Diagnostic-Code: x-sekisho;%s\r\n", fold(printable(f.Answer)))
		}
		if !f.Last.IsZero() {
			fmt.Fprintf(&b, "Last-Attempt-Date: %s\r\n", f.Last.Format(time.RFC1123Z))
		}
		if r.Action == Delayed {
			fmt.Fprintf(&b, "Will-Retry-Until: %s\r\n", r.Until.Format(time.RFC1123Z))
		}
	}
	return part(mw, "message/delivery-status", nil, "7bit", b.Bytes())
}

// header returns the top header block and nothing of the body. It may hold raw
// 8-bit octets and long lines, so it travels as quoted-printable.
func (r Report) header(mw *message.Writer) error {
	h := r.Header
	if len(h) > maxHeader {
		// Cut between lines, so that no half of an address is shown.
		h = h[:maxHeader]
		h = h[:bytes.LastIndexByte(h, '\n')+1]
	}
	return part(mw, "text/rfc822-headers", nil, "quoted-printable", h)
}

func part(mw *message.Writer, mediaType string, params map[string]string, encoding string, content []byte) error {
	var h message.Header
	h.SetContentType(mediaType, params)
	h.Set("Content-Transfer-Encoding", encoding)
	pw, err := mw.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := pw.Write(content); err != nil {
		return err
	}
	return pw.Close()
}

// Notice is what a tenant's administrators are told of mail that came from the
// internet and could not be delivered inside. Its sender is told nothing: after
// the 250 nobody knows whether the sender's address is his own.
type Notice struct {
	Hostname string
	To       []envelope.Address // administrators
	Notice   envelope.ID        // of the notice itself
	Now      time.Time
	Lost     []Lost
	Omitted  int // further failures that are in the audit and not here
}

// Lost is one failure in a notice.
type Lost struct {
	ID   envelope.ID
	From envelope.Address
	Recipient
}

// Write writes the notice as a mail with CRLF line ends.
func (n Notice) Write(w io.Writer) error {
	var h mail.Header
	ours(&h, n.Hostname, n.Notice, n.Now)
	addressees(&h, n.To)
	h.SetSubject("配信できなかったメールがあります (Undelivered mail)")
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	h.Set("Content-Transfer-Encoding", "base64")
	lost, omitted := n.Lost, n.Omitted
	if len(lost) > maxListed {
		omitted += len(lost) - maxListed
		lost = lost[:maxListed]
	}
	var b strings.Builder
	b.WriteString("受信したメールのうち、次のものを宛先に配信できませんでした。差出人には知らせていません。\r\n")
	b.WriteString("The mail below could not be delivered. Its senders were not told.\r\n\r\n")
	for _, l := range lost {
		from := "<>"
		if !l.From.IsNull() {
			from = printable(l.From.String())
		}
		fmt.Fprintf(&b, "  %s\r\n  差出人 From: %s\r\n  宛先 To: %s\r\n  理由 Reason: %s / %s\r\n%s\r\n",
			l.ID, from, printable(l.To.String()), reasonJA(l.Status), reasonEN(l.Status), answered("応答 Answer", "詳細 Details", l.Recipient))
	}
	if omitted > 0 {
		fmt.Fprintf(&b, "このほかに %d 件あります。sekisho audit list で確認できます。\r\nAnd %d more; see sekisho audit list.\r\n", omitted, omitted)
	}
	mw, err := message.CreateWriter(w, h.Header)
	if err != nil {
		return fmt.Errorf("write the header of a notice: %w", err)
	}
	if _, err := io.WriteString(mw, b.String()); err != nil {
		return fmt.Errorf("write a notice: %w", err)
	}
	if err := mw.Close(); err != nil {
		return fmt.Errorf("end a notice: %w", err)
	}
	// The encoder does not end its last line.
	if _, err := io.WriteString(w, "\r\n"); err != nil {
		return fmt.Errorf("end a notice: %w", err)
	}
	return nil
}

// AutoSubmitted reports whether the header block says that a program wrote the
// mail by itself, so that nothing may be sent back. A block that cannot be read
// counts as one. RFC 3834, 2.
func AutoSubmitted(header []byte) bool {
	h, err := textproto.ReadHeader(bufioReader(header))
	if err != nil {
		return true
	}
	fields := h.FieldsByKey("Auto-Submitted")
	for fields.Next() {
		v, _, _ := strings.Cut(fields.Value(), ";")
		v, _, _ = strings.Cut(v, "(")
		if !strings.EqualFold(strings.TrimSpace(v), "no") {
			return true
		}
	}
	return false
}

// japanTime is a time as a reader in a town hall reads it.
func japanTime(t time.Time) string {
	return t.In(time.FixedZone("JST", 9*60*60)).Format("2006年1月2日 15:04")
}
