package dsn

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"sekisho/envelope"
)

func bufioReader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

// printable makes text from outside fit for a line that a person reads: one
// line, bounded, no control and no formatting characters (a right-to-left
// override would turn an address round).
func printable(s string) string {
	var b strings.Builder
	for _, c := range s {
		if b.Len() >= maxAnswer {
			b.WriteString("...")
			break
		}
		switch {
		case c == utf8.RuneError, unicode.Is(unicode.Cf, c):
			b.WriteByte('?')
		case c == '\t' || c == '\n' || c == '\r':
			b.WriteByte(' ')
		case unicode.IsPrint(c):
			b.WriteRune(c)
		default:
			b.WriteByte('?')
		}
	}
	return b.String()
}

// ascii leaves of s what a 7-bit field may hold.
func ascii(s string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, s)
}

// fold breaks a long value into lines. RFC 5322, 2.1.1 asks for 78.
func fold(s string) string {
	const width = 60
	s = ascii(s)
	var b strings.Builder
	for len(s) > width {
		cut := strings.LastIndexByte(s[:width+1], ' ')
		if cut < 1 {
			// A word longer than a line stays whole up to the next space: it
			// is at most maxAnswer long, and a line may have 998.
			if cut = strings.IndexByte(s[1:], ' ') + 1; cut < 1 {
				break
			}
		}
		b.WriteString(" " + s[:cut] + "\r\n")
		s = strings.TrimLeft(s[cut:], " ")
	}
	b.WriteString(" " + s)
	return b.String()
}

// token is a word for a field of the status part.
func token(s string) string {
	t := strings.Map(func(c rune) rune {
		if c <= ' ' || c > '~' {
			return -1
		}
		return c
	}, s)
	if t == "" {
		return "unknown"
	}
	return t
}

// status returns s in the class of the report when it is an enhanced status
// code. RFC 3463, 2; RFC 3464, 2.3.4. A report of a failure that says 4.x.x
// would be read as "still trying".
func status(s, class string) string {
	p := strings.Split(s, ".")
	if len(p) != 3 || len(p[0]) != 1 || !strings.Contains("245", p[0]) {
		return class + ".0.0"
	}
	for _, d := range p[1:] {
		if d == "" || len(d) > 3 || strings.Trim(d, "0123456789") != "" {
			return class + ".0.0"
		}
	}
	return class + "." + p[1] + "." + p[2]
}

// says is how a report of one action speaks.
type says struct {
	action, class, subject string
	ja, en                 string // of Delayed with a place for the time of the end
}

func saying(a Action) says {
	switch a {
	case Delayed:
		return says{"delayed", "4", "配信が遅れています (Delayed mail)",
			"を、次の宛先にまだ配信できていません。%s まで再送を続けますので、送り直しは不要です。",
			"could not be delivered to the recipients below yet.\r\nIt is tried again until %s; there is no need to send it once more."}
	case Relayed:
		return says{"relayed", "2", "相手のサーバーに渡しました (Relayed mail)",
			"を、次の宛先のサーバーに渡しました。そのサーバーは配信の結果を知らせないため、この先のことは分かりません。",
			"was handed to the recipients' servers below.\r\nThey do not report what becomes of it from there."}
	default:
		return says{"failed", "5", "配信できませんでした (Undelivered mail)",
			"を、次の宛先に配信できませんでした。再送は行いません。",
			"could not be delivered to the recipients below.\r\nIt will not be tried again."}
	}
}

// originalRecipient is ORCPT with its address decoded, or "" when it is none.
// RFC 3464, 2.3.1.
func originalRecipient(orcpt string) string {
	kind, a, _ := strings.Cut(orcpt, ";")
	text, ok := envelope.Xtext(a)
	if !ok || strings.TrimSpace(text) == "" || token(kind) != kind {
		return ""
	}
	return kind + ";" + fold(printable(text))
}

// finalRecipient writes an address with its type. An address that is not ASCII
// has the type utf-8 and escapes, so that the part stays 7-bit. RFC 6533, 3.
func finalRecipient(a envelope.Address) string {
	s := a.String()
	plain := true
	for i := range len(s) {
		if s[i] >= 0x80 {
			plain = false
		}
	}
	if plain {
		return "rfc822;" + fold(printable(s))
	}
	var b strings.Builder
	for _, c := range s {
		// RFC 6533, 3: what has a meaning in the form is escaped too.
		if c <= ' ' || c > '~' || c == '\\' || c == '+' || c == '=' {
			fmt.Fprintf(&b, `\x{%02X}`, c)
			continue
		}
		b.WriteRune(c)
	}
	return "utf-8; " + b.String()
}

// messageID returns a Message-ID that may stand in our own header.
func messageID(s string) (string, bool) {
	s = strings.TrimSpace(s)
	if len(s) < 5 || len(s) > 250 || s[0] != '<' || s[len(s)-1] != '>' {
		return "", false
	}
	for _, c := range s[1 : len(s)-1] {
		if c <= ' ' || c > '~' || c == '<' || c == '>' {
			return "", false
		}
	}
	return s, true
}

// answered quotes the server that answered, or our own words where none did.
func answered(server, ours string, f Recipient) string {
	switch a := printable(f.Answer); {
	case a == "":
		return ""
	case f.Remote == "":
		return "  " + ours + ": " + a + "\r\n"
	default:
		return "  " + server + ": " + a + " (" + token(f.Remote) + ")\r\n"
	}
}

// reasonJA and reasonEN say a status code in words. The table is that of RFC
// 3463 and the registry it opened; what is not in it is said by its class.
func reasonJA(s string) string { return reason(s).ja }
func reasonEN(s string) string { return reason(s).en }

type words struct{ ja, en string }

func reason(s string) words {
	s = strings.TrimPrefix(status(s, "5"), "5.")
	switch s {
	case "1.1", "1.3":
		return words{"宛先のアドレスが存在しません。", "there is no such address"}
	case "1.2", "1.10", "4.4":
		return words{"宛先のドメインがメールを受け取っていません。", "the recipient's domain takes no mail"}
	case "2.1":
		return words{"宛先のメールボックスは使われていません。", "the mailbox is disabled"}
	case "2.2":
		return words{"宛先のメールボックスがいっぱいです。", "the mailbox is full"}
	case "2.3", "3.4":
		return words{"メールが大きすぎます。", "the mail is too big"}
	case "4.6":
		return words{"メールが循環しています。", "the mail goes round in a loop"}
	case "4.7":
		return words{"期限までに配信できませんでした。", "it could not be delivered in time"}
	case "6.3", "6.7":
		return words{"相手のサーバーが、このメールの文字の形式を扱えません。", "the recipient's server cannot take this mail's characters"}
	}
	switch class, _, _ := strings.Cut(s, "."); class {
	case "1":
		return words{"宛先または差出人のアドレスが受け付けられませんでした。", "an address was not accepted"}
	case "2":
		return words{"宛先のメールボックスが受け取れません。", "the mailbox cannot take it"}
	case "3":
		return words{"相手のサーバーが受け取れません。", "the recipient's server cannot take it"}
	case "4":
		return words{"相手のサーバーに届きませんでした。", "the recipient's server could not be reached"}
	case "6":
		return words{"メールの形式が受け付けられませんでした。", "the form of the mail was not accepted"}
	case "7":
		return words{"規則により拒否されました。", "a rule refused it"}
	default:
		return words{"相手のサーバーが拒否しました。", "the recipient's server refused it"}
	}
}
