package smtpd

import (
	"errors"
	"fmt"

	"github.com/emersion/go-smtp"
)

// The one place that makes SMTP replies. The peer gets a bland sentence and an
// enhanced code (RFC 2034, RFC 3463); everything else is for the log. The
// session must return the bare *smtp.SMTPError: the library does not unwrap,
// and prints any other error to the peer.

func reply(code, class, subject, detail int, text string) *smtp.SMTPError {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{class, subject, detail}, Message: text}
}

// A refusal is a reply and the name of its reason in log and metrics.
type refusal struct {
	rule string
	*smtp.SMTPError
}

// Refusals of the guard and the session. They never change; each is made once.
var (
	// Connections.
	refuseEarlyTalk    = refusal{"smtp.early_talk", reply(554, 5, 5, 1, "Wait for the greeting")}
	refuseTooMany      = refusal{"smtp.connections", reply(421, 4, 7, 0, "Too many connections, try again later")}
	refuseTooManyPeer  = refusal{"smtp.connections_per_address", reply(421, 4, 7, 0, "Too many connections from your address, try again later")}
	refuseTooManyNet   = refusal{"smtp.connections_per_network", reply(421, 4, 7, 0, "Too many connections from your network, try again later")}
	closeIdle          = refusal{"smtp.cut_idle", reply(421, 4, 7, 0, "Too many connections, closing an idle one")}
	closeSlow          = refusal{"smtp.cut_slow", reply(421, 4, 7, 0, "Too many connections, closing a slow one")}
	refuseReceiving    = refusal{"smtp.messages_at_once", reply(451, 4, 3, 2, "Too many messages at once, try again later")}
	refuseProxy        = refusal{"smtp.proxy", reply(554, 5, 5, 1, "No PROXY protocol from or to here as it was tried")}
	refuseNetwork      = refusal{"smtp.network", reply(554, 5, 7, 1, "Access denied")}
	closeShutdown      = refusal{"smtp.shutdown", reply(421, 4, 3, 2, "Shutting down, try again later")}
	closeTimeout       = refusal{"smtp.timeout", reply(421, 4, 4, 2, "Timeout, closing connection")}
	closeTooSlow       = refusal{"smtp.too_slow", reply(421, 4, 4, 2, "Too slow, closing connection")}
	closeErrors        = refusal{"smtp.errors", reply(421, 4, 7, 0, "Too many errors, closing connection")}
	closeJunk          = refusal{"smtp.junk", reply(421, 4, 7, 0, "Too many commands without a message, closing connection")}
	closeInternal      = refusal{"smtp.internal", reply(421, 4, 3, 0, "Internal error, try again later")}
	refuseEarlyTLSData = refusal{"smtp.starttls_injection", reply(554, 5, 5, 1, "Nothing may follow STARTTLS")}
	refuseNoTLS        = refusal{"smtp.no_tls", reply(502, 5, 5, 1, "STARTTLS is not available")}
	refuseTLSTwice     = refusal{"smtp.tls_twice", reply(503, 5, 5, 1, "TLS is already in use")}

	// Command lines.
	refuseLongLine    = refusal{"smtp.command_line", reply(500, 5, 5, 2, "Line too long")}
	refuseBareLF      = refusal{"smtp.bare_lf_command", reply(500, 5, 5, 2, "Commands end in CRLF")}
	refuseControl     = refusal{"smtp.control_character", reply(500, 5, 5, 2, "Control characters are not allowed")}
	refuseEightBit    = refusal{"smtp.eight_bit_command", reply(500, 5, 5, 2, "Only ASCII is allowed here")}
	refuseHTTP        = refusal{"smtp.http", reply(554, 5, 5, 1, "This is no HTTP server")}
	refuseUnknown     = refusal{"smtp.unknown_command", reply(500, 5, 5, 1, "Command not recognized")}
	refuseNotHere     = refusal{"smtp.not_implemented", reply(502, 5, 5, 1, "Command not implemented")}
	refuseBDAT        = refusal{"smtp.bdat", reply(502, 5, 5, 1, "BDAT is not offered, closing connection")}
	refusePipelining  = refusal{"smtp.pipelining", reply(503, 5, 5, 0, "Improper use of command pipelining")}
	refuseArguments   = refusal{"smtp.arguments", reply(501, 5, 5, 4, "No arguments allowed")}
	refuseHelo        = refusal{"smtp.helo", reply(501, 5, 5, 2, "Host name required")}
	refuseNoHelo      = refusal{"smtp.sequence", reply(503, 5, 5, 1, "Send EHLO first")}
	refuseNoMail      = refusal{"smtp.sequence", reply(503, 5, 5, 1, "Send MAIL first")}
	refuseSecondMail  = refusal{"smtp.second_mail", reply(503, 5, 5, 1, "Sender already given")}
	refuseNoRcpt      = refusal{"smtp.sequence", reply(554, 5, 5, 1, "No valid recipients")}
	refuseTransaction = refusal{"smtp.sequence", reply(503, 5, 5, 1, "Not during a mail transaction")}

	// Addresses and parameters.
	refuseMailSyntax     = refusal{"smtp.mail_syntax", reply(501, 5, 5, 4, "Syntax: MAIL FROM:<address>")}
	refuseRcptSyntax     = refusal{"smtp.rcpt_syntax", reply(501, 5, 5, 4, "Syntax: RCPT TO:<address>")}
	refuseSender         = refusal{"smtp.sender_address", reply(501, 5, 1, 7, "Bad sender address")}
	refuseRecipient      = refusal{"smtp.recipient_address", reply(501, 5, 1, 3, "Bad recipient address")}
	refuseRouted         = refusal{"smtp.routed_address", reply(553, 5, 1, 3, "Routed addresses are not accepted")}
	refuseLiteral        = refusal{"smtp.address_literal", reply(553, 5, 1, 3, "Address literals are not accepted")}
	refuseUTF8Address    = refusal{"smtp.utf8_address", reply(553, 5, 6, 7, "Address needs SMTPUTF8")}
	refuseParameter      = refusal{"smtp.parameter", reply(555, 5, 5, 4, "Parameter not recognized")}
	refuseParameterValue = refusal{"smtp.parameter_value", reply(501, 5, 5, 4, "Bad parameter")}

	// Who may send what to whom.
	refuseNoSuchRecipient = refusal{"smtp.unknown_recipient", reply(550, 5, 1, 1, "No such recipient here")}
	refuseUnknownList     = refusal{"smtp.recipients_doubted", reply(451, 4, 3, 0, "Temporary failure, try again later")}
	refuseRelay           = refusal{"smtp.relay", reply(550, 5, 7, 1, "Relaying denied")}
	refuseNoRoute         = refusal{"smtp.no_route", reply(550, 5, 1, 2, "Recipient cannot be reached from here")}
	refuseForeignSender   = refusal{"smtp.foreign_sender", reply(550, 5, 7, 1, "Sender is not allowed here")}
	refusePeerRate        = refusal{"smtp.messages_per_address", reply(452, 4, 7, 0, "Too many messages, try again later")}
	refuseTenantRate      = refusal{"smtp.messages_per_tenant", reply(452, 4, 7, 0, "Too many messages, try again later")}
	refuseTenantHeld      = refusal{"smtp.held_bytes_of_tenant", reply(452, 4, 7, 0, "Too much mail from you is held, try again later")}
	refuseHeldBytes       = refusal{"smtp.held_bytes", reply(452, 4, 7, 0, "Too much mail from you is held, try again later")}

	// Messages.
	refuseSize   = refusal{"smtp.size", reply(552, 5, 3, 4, "Message too big")}
	refuseBareCR = refusal{"smtp.bare_cr", reply(550, 5, 6, 11, "Message has a CR that ends no line")}
	refuseLoop   = refusal{"smtp.loop", reply(554, 5, 4, 6, "Message has passed here too often")}
	// RFC 7372, 3.3 and RFC 9989, 8.3; RFC 7372 has no code for silence.
	refuseDMARC       = refusal{"smtp.dmarc", reply(550, 5, 7, 26, "The domain in From does not allow this mail")}
	refuseNoDNS       = refusal{"smtp.dns_silent", reply(451, 4, 7, 0, "Sender cannot be checked now, try again later")}
	refuseBusyHeaders = refusal{"smtp.busy_headers", reply(451, 4, 3, 2, "Too busy, try again later")}
	refuseStorage     = refusal{"smtp.storage", reply(451, 4, 3, 0, "Temporary failure, try again later")}
	refuseFull        = refusal{"smtp.disk_full", reply(452, 4, 3, 1, "Insufficient storage, try again later")}
	refuseDataLine    = refusal{"smtp.data_line", reply(550, 5, 6, 0, "Message has a line that is too long")}
)

// Answers that are no refusal.
var (
	answerNoop     = reply(250, 2, 0, 0, "OK")
	answerReset    = reply(250, 2, 0, 0, "OK")
	answerSender   = reply(250, 2, 1, 0, "Sender OK")
	answerRcpt     = reply(250, 2, 1, 5, "Recipient OK")
	answerVerify   = reply(252, 2, 5, 0, "Send some mail and see")
	answerStartTLS = reply(220, 2, 0, 0, "Ready to start TLS")
	answerQuit     = reply(221, 2, 0, 0, "Bye")
)

// answerAccepted is the answer to a message in our custody: the peer's log gets
// the ids, by which an administrator here finds it. A line has 512 octets
// (RFC 5321, 4.5.3.1.5), so of many ids it gets the first ones.
func answerAccepted(ids []string) *smtp.SMTPError {
	text := "OK id=" + ids[0]
	for _, id := range ids[1:] {
		if len(text) > 400 {
			break
		}
		text += "," + id
	}
	return reply(250, 2, 0, 0, text)
}

// wire is a reply as it is sent.
func wire(r *smtp.SMTPError) []byte {
	return fmt.Appendf(nil, "%d %d.%d.%d %s\r\n", r.Code, r.EnhancedCode[0], r.EnhancedCode[1], r.EnhancedCode[2], r.Message)
}

// asReply returns the reply that err carries, bare, or nil.
func asReply(err error) *smtp.SMTPError {
	var r *smtp.SMTPError
	if errors.As(err, &r) {
		return r
	}
	return nil
}
