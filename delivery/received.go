package delivery

import (
	"strings"
	"time"

	"sekisho/envelope"
)

// receivedField is the trace that this gateway adds, the one thing that delivery
// puts before what was sealed. RFC 5321, 4.4. It is the same in every try, so
// that copies of one message can be told to be that.
func receivedField(e *envelope.Envelope, n envelope.Network, hostname string) string {
	from := helo(e.Peer.Helo)
	switch {
	case n != envelope.NetworkLGWAN && n != envelope.NetworkLocal, e.Treatment == envelope.Ours:
		// Names and addresses of the inside are nobody's business outside, and
		// our own mail came from nobody. RFC 5321, 7.6.
		from = hostname
	case e.Peer.Addr.IsValid():
		from += " (" + literal(e) + ")"
	}
	with := "ESMTP"
	switch e.Peer.Protocol {
	case "SMTP", "ESMTPS", "ESMTPA", "ESMTPSA", "UTF8SMTP", "UTF8SMTPS":
		// RFC 3848 and RFC 6531, 4.3.
		with = e.Peer.Protocol
	}
	return "Received: from " + from + "\r\n\tby " + hostname + " with " + with + " id " + string(e.ID) + ";\r\n\t" +
		e.Received.Format(time.RFC1123Z) + "\r\n"
}

// literal is an address as RFC 5321, 4.1.3 writes it.
func literal(e *envelope.Envelope) string {
	a := e.Peer.Addr.Unmap().WithZone("")
	if a.Is4() {
		return "[" + a.String() + "]"
	}
	return "[IPv6:" + a.String() + "]"
}

// helo is the peer's own name for itself, if it may stand in a header.
func helo(s string) string {
	if s == "" || len(s) > 255 {
		return "unknown"
	}
	for _, c := range s {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.ContainsRune("-._:[]", c)) {
			return "unknown"
		}
	}
	return s
}
