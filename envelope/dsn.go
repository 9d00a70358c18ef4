package envelope

import "strings"

// Notify is when the sender wants to be told of a recipient. RFC 3461, 4.1.
// Zero is no word about it: of failures he is told, of delays he may be.
type Notify uint8

// The conditions. NotifyNever stands alone.
const (
	NotifySuccess Notify = 1
	NotifyFailure Notify = 2
	NotifyDelay   Notify = 4
	NotifyNever   Notify = 8
)

var notifyNames = []struct {
	n    Notify
	name string
}{{NotifyNever, "NEVER"}, {NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}}

// String is n as it stands in a RCPT command, "" for zero.
func (n Notify) String() string {
	var words []string
	for _, w := range notifyNames {
		if n&w.n != 0 {
			words = append(words, w.name)
		}
	}
	return strings.Join(words, ",")
}

// Of reports whether the sender wants to be told of c. What he said nothing of
// is what RFC 3461, 4.1 gives him: failures and, as most systems do, delays.
// A value that means two things at once wants nothing.
func (n Notify) Of(c Notify) bool {
	switch {
	case n == 0:
		return c == NotifyFailure || c == NotifyDelay
	case n&NotifyNever != 0:
		return false
	default:
		return n&c != 0
	}
}

// DSN is what the sender asked to be told of a message, in the parameters of
// RFC 3461. The texts are as they came, in xtext, so that they can be sent on
// as they came.
type DSN struct {
	Return string         `json:"return,omitempty"` // RET: FULL or HDRS
	EnvID  string         `json:"envid,omitempty"`
	To     []RecipientDSN `json:"to,omitempty"` // those of whom something was said
}

// RecipientDSN is what was asked about one recipient.
type RecipientDSN struct {
	To       Address `json:"to"`
	Notify   Notify  `json:"notify,omitempty"`
	Original string  `json:"orcpt,omitempty"` // ORCPT: type ";" address in xtext
}

// Of returns what was asked about one recipient; of a nil DSN, nothing.
func (d *DSN) Of(a Address) RecipientDSN {
	if d != nil {
		for _, r := range d.To {
			if r.To == a {
				return r
			}
		}
	}
	return RecipientDSN{To: a}
}

// Xtext reads a text as RFC 3461, 4 encodes it: printable ASCII but "+" and
// "=", and "+" with two upper-case hexadecimal digits for any octet. It returns
// false for anything else, and for what stands for more than printable ASCII
// and spaces: the text goes into a report.
func Xtext(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '+':
			if i+2 >= len(s) {
				return "", false
			}
			hi, ok := upperHex(s[i+1])
			lo, ok2 := upperHex(s[i+2])
			if c = hi<<4 | lo; !ok || !ok2 || c < ' ' || c > '~' {
				return "", false
			}
			i += 2
		case c <= ' ' || c > '~' || c == '=':
			return "", false
		}
		b.WriteByte(c)
	}
	return b.String(), true
}

func upperHex(c byte) (byte, bool) {
	switch {
	case '0' <= c && c <= '9':
		return c - '0', true
	case 'A' <= c && c <= 'F':
		return c - 'A' + 10, true
	default:
		return 0, false
	}
}
