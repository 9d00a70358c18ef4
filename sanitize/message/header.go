package message

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"time"

	"sekisho/internal/header"
	"sekisho/sanitize"
)

// The fields a rebuilt message keeps. Everything else a sender wrote is gone:
// a header is where forged verdicts, other people's addresses and orders to
// programs travel.
const (
	maxReceived   = 50  // limits.md: loops are counted by them
	maxReferences = 100 // a thread longer than that hangs together without
	maxShortValue = 200 // of fields that hold a word or two
)

// headerInfo is the decoded header of a message.
type headerInfo struct {
	list      []sanitize.Field
	subject   string
	messageID []string
	refs      []string
	language  string
}

// addresses are the fields of mailboxes.
var addresses = map[string]string{"from": "From", "sender": "Sender", "reply-to": "Reply-To", "to": "To", "cc": "Cc"}

// words are the fields of one or two plain words.
var words = map[string]string{
	"auto-submitted": "Auto-Submitted", "precedence": "Precedence", "importance": "Importance", "x-priority": "X-Priority", "priority": "Priority",
}

// readHeader decodes the allow-listed fields of the message. For the outermost
// message it doubts a sender that two programs would name differently.
func readHeader(root *node, w *work) headerInfo {
	var h headerInfo
	seen := map[string]bool{}
	received := 0
	for _, f := range root.fields {
		if f.key == "from" && seen["from"] && w.outermost {
			// RFC 5322, 3.6: once. Programs show the first or the last.
			w.tree.doubts = append(w.tree.doubts, doubt{DuplicateFrom, f.off, ""})
		}
		if w.outermost && w.claimed(f) {
			continue
		}
		if f.key != "received" {
			// Of a field that may stand once, the first is what most show.
			if seen[f.key] {
				continue
			}
			seen[f.key] = true
		}
		switch name := addresses[f.key]; {
		case name != "":
			list, flags := header.ParseAddressList(f.value)
			var ms []sanitize.Mailbox
			domains := map[string]bool{}
			for _, m := range list {
				switch {
				case m.Addr == "" && m.Name == "":
					m.Name = m.Group // an empty group: undisclosed-recipients
				case m.Addr != "" && !writable(m.Addr):
					// Shown as it came, and nothing can be sent to it by mistake.
					m.Name = strings.TrimSpace(m.Name + " <" + m.Addr + ">")
					m.Addr = ""
				}
				if m.Addr == "" && (m.Name == "" || f.key == "from" && w.outermost) {
					// "MAILER-DAEMON" alone is nobody that could be answered; the
					// parent knows who handed the mail over.
					continue
				}
				name := straight(m.Name)
				if f.key != "to" && f.key != "cc" && w.outermost && showsOwn(name, m.Addr, w.s.Options.Own) {
					w.dropped = append(w.dropped, sanitize.Finding{Rule: "header.own-domain-name", Where: f.key, Action: sanitize.Rewritten, Detail: "1"})
					name = outsider + strings.TrimPrefix(name, outsider)
				}
				ms = append(ms, sanitize.Mailbox{Name: name, Address: m.Addr})
				if i := strings.LastIndexByte(m.Addr, '@'); i >= 0 {
					domains[strings.ToLower(m.Addr[i+1:])] = true
				}
			}
			if f.key == "from" && w.outermost && (len(domains) > 1 || flags.Has(header.DoubleAngle)) {
				w.tree.doubts = append(w.tree.doubts, doubt{FromDomains, f.off, ""})
			}
			if f.key == "from" && w.outermost && flags.Has(header.Control|header.NUL) {
				// Some programs show the name up to a NUL, some the whole.
				w.tree.doubts = append(w.tree.doubts, doubt{ControlInHeader, f.off, f.key})
			}
			if len(ms) > 0 {
				h.list = append(h.list, sanitize.Field{Name: name, Mailboxes: ms})
			}
			continue
		case words[f.key] != "":
			if v := strings.TrimSpace(f.value); ascii(v) && len(v) <= maxShortValue {
				h.text(words[f.key], v)
			}
			continue
		}
		switch f.key {
		case "received":
			if received++; received <= maxReceived {
				h.text("Received", bounded(header.DecodeText(f.value), 2000))
			}
		case "subject":
			h.subject = straight(header.DecodeText(f.value))
			h.text("Subject", h.subject)
		case "date":
			if t, err := header.ParseDate(f.value); err == nil {
				h.text("Date", t.Format(time.RFC1123Z))
			}
		case "message-id":
			if h.messageID = header.ParseMsgIDs(f.value); len(h.messageID) > 0 {
				h.messageID = h.messageID[:1]
				h.text("Message-ID", brackets(h.messageID))
			}
		case "in-reply-to":
			h.text("In-Reply-To", brackets(shorten(header.ParseMsgIDs(f.value))))
		case "references":
			h.refs = shorten(header.ParseMsgIDs(f.value))
			h.text("References", brackets(h.refs))
		case "list-id":
			h.text("List-Id", bounded(straight(header.DecodeText(f.value)), 500))
		case "list-unsubscribe":
			h.text("List-Unsubscribe", unsubscribe(f.value))
		case "content-language":
			if v := strings.TrimSpace(f.value); ascii(v) && len(v) <= maxShortValue && strings.Trim(v, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-, ") == "" {
				h.language = v
			}
		}
	}
	return h
}

// maxOutside is how many fields of others' judgements are noted: an ARC set has
// three, and a mail that came by a list two or three sets.
const maxOutside = 8

// claimed notes what the outside said of the sender, or signed, before the
// fields go: once the mail is written anew nobody could check it any more, and
// whoever looks into a forgery wants to know what was claimed.
func (w *work) claimed(f field) bool {
	switch f.key {
	case "authentication-results", "arc-authentication-results", "arc-seal", "arc-message-signature", "dkim-signature":
	default:
		return false
	}
	if w.claims++; w.claims > maxOutside {
		return true
	}
	detail := strings.Join(strings.Fields(f.value), " ")
	if f.key != "authentication-results" && f.key != "arc-authentication-results" {
		// Of a signature, who signed and how.
		var kept []string
		for _, tag := range strings.Split(detail, ";") {
			k, v, _ := strings.Cut(strings.TrimSpace(tag), "=")
			switch strings.TrimSpace(k) {
			case "i", "d", "s", "a", "cv":
				kept = append(kept, strings.TrimSpace(k)+"="+strings.TrimSpace(v))
			}
		}
		detail = strings.Join(kept, "; ")
	}
	w.dropped = append(w.dropped, sanitize.Finding{Rule: "header.outside", Where: f.key, Action: sanitize.Reported, Detail: bounded(straight(header.DecodeText(detail)), 200)})
	return true
}

// outsider stands before the display name of a stranger who shows one of our
// addresses in it. Many programs show the name alone.
const outsider = "【外部】"

// showsOwn reports whether a mailbox shows a domain of ours while its address
// is not of one: in the display name, or because its own domain is drawn like
// ours, in letters of another alphabet or in wide ones.
func showsOwn(name, addr string, own []string) bool {
	if len(own) == 0 {
		return false
	}
	domain := strings.ToLower(addr[strings.LastIndexByte(addr, '@')+1:])
	shown, drawn := header.Alike(name), header.AlikeDomain(domain)
	under := func(name, d string) bool { return name == d || strings.HasSuffix(name, "."+d) }
	ours := false
	shows := false
	for _, d := range own {
		ours = ours || under(domain, strings.ToLower(d))
		// A domain of ours in Japanese letters is configured in Punycode.
		d = header.AlikeDomain(d)
		shows = shows || strings.Contains(shown, d) || under(drawn, d)
	}
	return shows && !ours
}

// writable reports whether an address can stand in a header that is written
// anew.
func writable(addr string) bool {
	local, domain, ok := strings.Cut(addr, "@")
	if ok && len(addr) <= header.MaxAddr && local != "" && domain != "" && strings.Trim(local, plainAddress+"+_") == "" && strings.Trim(domain, plainAddress) == "" {
		return true
	}
	var b bytes.Buffer
	err := header.WriteAddresses(&b, "To", []header.Mailbox{{Addr: addr}})
	written := header.Unfold(strings.TrimSuffix(b.String(), "\r\n"))
	return err == nil && ok && (written == "To: "+addr || written == "To: <"+addr+">")
}

const plainAddress = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"

func (h *headerInfo) text(name, value string) {
	if value != "" {
		h.list = append(h.list, sanitize.Field{Name: name, Text: value})
	}
}

// fields are what the parent writes. A mail that carries parts released later
// is a new one, an answer in the thread of the first.
func (h headerInfo) fields(release bool) []sanitize.Field {
	if !release {
		return h.list
	}
	var out []sanitize.Field
	for _, f := range h.list {
		switch f.Name {
		case "From", "Sender", "Reply-To", "To", "Cc", "Subject":
			out = append(out, f)
		}
	}
	if len(h.messageID) > 0 {
		out = append(out,
			sanitize.Field{Name: "In-Reply-To", Text: brackets(h.messageID)},
			sanitize.Field{Name: "References", Text: brackets(shorten(append(h.refs, h.messageID...)))})
	}
	return out
}

func brackets(ids []string) string {
	if len(ids) == 0 {
		return ""
	}
	return "<" + strings.Join(ids, "> <") + ">"
}

// shorten keeps the first of a thread and the newest.
func shorten(ids []string) []string {
	if len(ids) > maxReferences {
		ids = append(ids[:1:1], ids[len(ids)-maxReferences+1:]...)
	}
	return ids
}

// straight takes out of a text for one line what would turn its direction.
func straight(s string) string {
	return strings.Map(func(r rune) rune {
		if turns(r) {
			return -1
		}
		return r
	}, s)
}

// unsubscribe keeps the addresses of RFC 2369 that a person could follow.
func unsubscribe(v string) string {
	var out []string
	for _, part := range strings.Split(v, "<")[1:] {
		u, _, ok := strings.Cut(part, ">")
		u = strings.TrimSpace(u)
		lower := strings.ToLower(u)
		if !ok || !ascii(u) || len(u) > 900 || strings.ContainsAny(u, " \t") || len(out) >= 3 {
			continue
		}
		if strings.HasPrefix(lower, "http://") || strings.HasPrefix(lower, "https://") || strings.HasPrefix(lower, "mailto:") {
			out = append(out, "<"+u+">")
		}
	}
	return strings.Join(out, ", ")
}

// writeFields writes the header of a message that no parent composes.
func (h headerInfo) writeFields(w io.Writer) error {
	for _, f := range h.list {
		var err error
		switch {
		case len(f.Mailboxes) > 0:
			ms := make([]header.Mailbox, len(f.Mailboxes))
			for i, m := range f.Mailboxes {
				ms[i] = header.Mailbox{Name: m.Name, Addr: m.Address}
			}
			err = header.WriteAddresses(w, f.Name, ms)
		case f.Name == "Message-ID" || f.Name == "In-Reply-To" || f.Name == "References":
			err = header.WriteIDs(w, f.Name, header.ParseMsgIDs(f.Text))
		default:
			err = header.WriteField(w, f.Name, f.Text)
		}
		if err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return nil
}
