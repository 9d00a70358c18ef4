package pipeline

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/internal/header"
	"sekisho/sanitize"
	"sekisho/senderauth"
	"sekisho/spool"
)

// entityFields are the only fields that are taken from a worker's output.
var entityFields = []string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding", "Content-Language"}

// readEntityHeader reads the header block at the beginning of a worker's
// output and leaves r at the first octet of the body. The worker may be
// captured: whatever is not one of a few fields in plain ASCII is refused.
func readEntityHeader(r *io.SectionReader) ([]byte, error) {
	// Longer than any boundary and charset we write.
	const most = 8 << 10
	br := bufio.NewReaderSize(io.LimitReader(r, most), 1<<10)
	var block []byte
	seen := map[string]bool{}
	for {
		untrusted, err := br.ReadSlice('\n')
		if err != nil {
			return nil, fmt.Errorf("header of the worker's output does not end: %w", err)
		}
		line, ok := strings.CutSuffix(string(untrusted), "\r\n")
		if !ok || len(line) > 998 {
			return nil, fmt.Errorf("header of the worker's output: a line without its end")
		}
		if line == "" {
			break
		}
		for i := 0; i < len(line); i++ {
			if c := line[i]; c < 0x20 && c != '\t' || c >= 0x7f {
				return nil, fmt.Errorf("header of the worker's output: octet 0x%02x", c)
			}
		}
		if line[0] != ' ' && line[0] != '\t' {
			name, _, ok := strings.Cut(line, ":")
			if !ok || !slices.Contains(entityFields, name) || seen[name] {
				return nil, fmt.Errorf("header of the worker's output: a field it may not write")
			}
			seen[name] = true
		} else if len(block) == 0 {
			return nil, fmt.Errorf("header of the worker's output begins with a folded line")
		}
		block = append(append(block, line...), "\r\n"...)
	}
	if !seen["MIME-Version"] || !seen["Content-Type"] {
		return nil, fmt.Errorf("header of the worker's output lacks MIME-Version or Content-Type")
	}
	if _, err := r.Seek(int64(len(block)+2), io.SeekStart); err != nil {
		return nil, fmt.Errorf("worker's output: %w", err)
	}
	return block, nil
}

// fieldNames are the fields of a report that are written, in this order, and
// how. A worker that reports another has it left out.
var fieldNames = []struct {
	name      string
	mailboxes bool
	many      bool
}{
	{"Received", false, true},
	{"Resent-Date", false, true}, {"Resent-From", true, true}, {"Resent-To", true, true},
	{"Date", false, false}, {"From", true, false}, {"Sender", true, false}, {"Reply-To", true, false}, {"To", true, false}, {"Cc", true, false},
	{"Subject", false, false}, {"Message-ID", false, false}, {"In-Reply-To", false, false}, {"References", false, false},
	{"Comments", false, false}, {"Keywords", false, false}, {"Organization", false, false},
	{"List-Id", false, false}, {"List-Unsubscribe", false, false}, {"Auto-Submitted", false, false}, {"Precedence", false, false},
	{"Importance", false, false}, {"Priority", false, false}, {"X-Priority", false, false},
}

// writeHeader writes the whole header block with its empty line.
func (p *Pipeline) writeHeader(w *bytes.Buffer, e *spool.Entry, t *treated, entity []byte) error {
	if a := e.Envelope.Auth; a != nil {
		w.WriteString(senderauth.Field(p.Hostname, a))
	}
	if err := header.WriteField(w, "X-Sekisho-Id", string(e.Envelope.ID)); err != nil {
		return err
	}
	result := "clean"
	if t.report.Changed {
		result = "disarmed; " + t.summary()
	}
	if err := header.WriteField(w, "X-Sekisho-Result", result); err != nil {
		return err
	}
	for _, sc := range t.scans {
		if sc.Verdict == envelope.ScanMarked {
			if err := header.WriteField(w, "X-Sekisho-Spam", "yes; "+sc.Scanner+"; "+sc.Detail); err != nil {
				return err
			}
			break // once, for a rule of the reader's program
		}
	}
	has := map[string]bool{}
	for _, n := range fieldNames {
		for i := range t.report.Header {
			f := &t.report.Header[i]
			if !strings.EqualFold(f.Name, n.name) || has[n.name] && !n.many {
				continue
			}
			var err error
			switch {
			case n.mailboxes && len(f.Mailboxes) > 0:
				err = header.WriteAddresses(w, n.name, mailboxes(f.Mailboxes))
			case n.name == "Message-ID" || n.name == "In-Reply-To" || n.name == "References":
				err = header.WriteIDs(w, n.name, ids(f.Text))
			case !n.mailboxes && f.Text != "":
				err = header.WriteField(w, n.name, f.Text)
			default:
				continue
			}
			if err != nil {
				return fmt.Errorf("field %s: %w", n.name, err)
			}
			has[n.name] = true
		}
	}
	if err := p.missing(w, e, has); err != nil {
		return err
	}
	w.Write(entity)
	w.WriteString("\r\n")
	return nil
}

// authors are the addresses that the daemon itself finds in the From fields of
// a message, in lower case. It reads the top header block only, bounded, with
// the reader that senderauth judges senders by.
func authors(message io.ReaderAt, size int64, l sanitize.Limits) (map[string]bool, error) {
	b, err := header.ReadBlock(bufio.NewReaderSize(io.NewSectionReader(message, 0, min(size, int64(l.HeaderBytes)+4)), 1<<10), header.Limits{Bytes: l.HeaderBytes, Fields: l.HeaderFields})
	if err != nil {
		return nil, fmt.Errorf("read the header: %w", err)
	}
	found := map[string]bool{}
	for _, f := range b.All("From") {
		list, _ := header.ParseAddressList(header.Unfold(f.Value()))
		for _, m := range list {
			found[strings.ToLower(m.Addr)] = true
		}
	}
	return found, nil
}

// mayBePlain reports whether a message, by its own top header block, can be
// plain text, which is all that the text lane treats. It is a hint that saves
// all other mail the way through the lane: whoever is told no goes to a process
// of its own, which may treat anything.
func mayBePlain(message io.ReaderAt, size int64) bool {
	b, err := header.ReadBlock(bufio.NewReaderSize(io.NewSectionReader(message, 0, min(size, header.DefaultBytes)), 1<<10), header.Limits{})
	if err != nil {
		return true
	}
	for _, f := range b.All("Content-Type") {
		if !header.MayBePlain(header.Unfold(f.Value())) {
			return false
		}
	}
	return true
}

var errAuthor = errors.New("the worker names an author whom the message does not have")

// checkAuthors refuses a report whose From is not one of the message. Everything
// else in a report is content, which its sender chose; who wrote it was judged
// by what the daemon read, and a captured worker must not change it afterwards.
func checkAuthors(report *sanitize.Report, message io.ReaderAt, size int64, l sanitize.Limits) error {
	var found map[string]bool
	for i := range report.Header {
		f := &report.Header[i]
		if !strings.EqualFold(f.Name, "From") {
			continue
		}
		if found == nil {
			var err error
			if found, err = authors(message, size, l); err != nil {
				return err
			}
		}
		for _, m := range f.Mailboxes {
			if !found[strings.ToLower(m.Address)] {
				return errAuthor
			}
		}
	}
	return nil
}

// missing adds what RFC 5322, 3.6 requires and the sender left out.
func (p *Pipeline) missing(w *bytes.Buffer, e *spool.Entry, has map[string]bool) error {
	if !has["Date"] {
		if err := header.WriteField(w, "Date", e.Envelope.Received.Format(time.RFC1123Z)); err != nil {
			return err
		}
	}
	if !has["From"] {
		from := e.Envelope.From
		if from.IsNull() {
			from = envelope.Address{Local: "MAILER-DAEMON", Domain: p.Hostname}
		}
		if err := header.WriteAddresses(w, "From", []header.Mailbox{{Addr: from.String()}}); err != nil {
			return err
		}
	}
	if !has["Message-ID"] {
		// Stable: delivered twice, it is still one message.
		return header.WriteField(w, "Message-ID", "<"+string(e.Envelope.ID)+"@"+p.Hostname+">")
	}
	return nil
}

// ids takes the message ids out of a field's text, without their brackets.
func ids(text string) []string {
	var out []string
	for _, w := range strings.Fields(text) {
		out = append(out, strings.TrimSuffix(strings.TrimPrefix(w, "<"), ">"))
	}
	return out
}

func mailboxes(ms []sanitize.Mailbox) []header.Mailbox {
	out := make([]header.Mailbox, len(ms))
	for i, m := range ms {
		out[i] = header.Mailbox{Name: m.Name, Addr: m.Address}
	}
	return out
}
