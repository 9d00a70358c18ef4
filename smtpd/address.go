package smtpd

import (
	"net/netip"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"

	"sekisho/envelope"
)

// maxPath bounds a path with its angle brackets.
// RFC 5321, 4.5.3.1.3. The local part alone may be longer than the 64 octets
// of 4.5.3.1.1: return paths of mailing lists are.
const maxPath = 256

// MailParams are the parameters of a MAIL command.
type MailParams struct {
	Size    int64  // as declared, 0 when it was not; RFC 1870
	UTF8    bool   // SMTPUTF8; RFC 6531
	Body8   bool   // BODY=8BITMIME; RFC 6152
	Return  string // RET; RFC 3461, 4.3
	EnvID   string // ENVID as it came, in xtext; RFC 3461, 4.4
	TLS     bool   // REQUIRETLS; RFC 8689
	hasBody bool
	hasSize bool
}

// RcptParams are the parameters of a RCPT command. RFC 3461, 4.1 and 4.2.
type RcptParams struct {
	Notify   envelope.Notify
	Original string // ORCPT as it came
}

const (
	// maxEnvID and maxOriginal bound ENVID and ORCPT. RFC 3461, 5.4.
	maxEnvID    = 100
	maxOriginal = 500
)

// parseMail reads what follows the verb of a MAIL command. dsn is whether the
// parameters of RFC 3461 were offered, tls whether REQUIRETLS was.
func parseMail(arg string, maxSize int64, dsn, tls bool) (envelope.Address, MailParams, *refusal) {
	path, params, ok := cutPath(arg, "FROM:")
	if !ok {
		return envelope.Address{}, MailParams{}, &refuseMailSyntax
	}
	p, r := parseMailParams(params, maxSize, dsn, tls)
	if r != nil {
		return envelope.Address{}, MailParams{}, r
	}
	if path == "" {
		return envelope.Address{}, p, nil
	}
	a, fault := parsePath(path, p.UTF8)
	switch fault {
	case pathOK, pathLiteral:
		return a, p, nil
	case pathUTF8:
		return a, p, &refuseUTF8Address
	default:
		return a, p, &refuseSender
	}
}

// parseRcpt reads what follows the verb of a RCPT command. A bare postmaster
// gets our own host name. RFC 5321, 4.5.1. dsn is whether the parameters of RFC
// 3461 were offered.
func parseRcpt(arg string, utf8Allowed bool, hostname string, dsn bool) (envelope.Address, RcptParams, *refusal) {
	path, params, ok := cutPath(arg, "TO:")
	if !ok || path == "" {
		return envelope.Address{}, RcptParams{}, &refuseRcptSyntax
	}
	p, r := parseRcptParams(params, dsn)
	if r != nil {
		return envelope.Address{}, RcptParams{}, r
	}
	if a := (envelope.Address{Local: path, Domain: strings.ToLower(hostname)}); a.Postmaster() {
		return a, p, nil
	}
	a, fault := parsePath(path, utf8Allowed)
	switch fault {
	case pathOK:
		return a, p, nil
	case pathLiteral:
		return a, p, &refuseLiteral
	case pathUTF8:
		return a, p, &refuseUTF8Address
	case pathRouted:
		return a, p, &refuseRouted
	default:
		return a, p, &refuseRecipient
	}
}

// parseRcptParams reads the parameters of RCPT that we offer. A parameter that
// was not offered is refused. RFC 5321, 4.1.1.11.
func parseRcptParams(s string, dsn bool) (RcptParams, *refusal) {
	var p RcptParams
	for _, f := range words(s) {
		key, value, _ := strings.Cut(f, "=")
		if !ascii(key) {
			return p, &refuseParameter
		}
		switch key = strings.ToUpper(key); {
		case !dsn:
			return p, &refuseParameter
		case key == "NOTIFY":
			n, ok := parseNotify(value)
			if !ok || !ascii(value) || p.Notify != 0 {
				return p, &refuseParameterValue
			}
			p.Notify = n
		case key == "ORCPT":
			if p.Original != "" || !original(value) {
				return p, &refuseParameterValue
			}
			p.Original = value
		default:
			return p, &refuseParameter
		}
	}
	return p, nil
}

// parseNotify reads "NEVER" or a list of the others. RFC 3461, 4.1.
func parseNotify(s string) (envelope.Notify, bool) {
	var all envelope.Notify
	for w := range strings.SplitSeq(strings.ToUpper(s), ",") {
		var n envelope.Notify
		switch w {
		case "NEVER":
			n = envelope.NotifyNever
		case "SUCCESS":
			n = envelope.NotifySuccess
		case "FAILURE":
			n = envelope.NotifyFailure
		case "DELAY":
			n = envelope.NotifyDelay
		default:
			return 0, false
		}
		all |= n
	}
	return all, all&envelope.NotifyNever == 0 || all == envelope.NotifyNever
}

// original reports whether s is what ORCPT may be: a type, a semicolon and an
// address in xtext. The type utf-8 is in its 7-bit form. RFC 3461, 4.2; RFC
// 6533, 3.
func original(s string) bool {
	kind, a, ok := strings.Cut(s, ";")
	if !ok || kind == "" || len(s) > maxOriginal {
		return false
	}
	for i := range len(kind) {
		c := kind[i] | 0x20
		if !('a' <= c && c <= 'z' || '0' <= kind[i] && kind[i] <= '9' || kind[i] == '-') {
			return false
		}
	}
	text, ok := envelope.Xtext(a)
	return ok && strings.TrimSpace(text) != ""
}

// cutPath takes "FROM:<path> params" apart.
func cutPath(arg, keyword string) (path, params string, ok bool) {
	if len(arg) < len(keyword) || !strings.EqualFold(arg[:len(keyword)], keyword) {
		return "", "", false
	}
	// QUIRK: printers and old scripts write a space after the colon.
	rest := strings.TrimLeft(arg[len(keyword):], " ")
	if len(rest) == 0 || rest[0] != '<' {
		return "", "", false
	}
	// No form that is accepted has an angle bracket inside, quoted or not, so
	// the first one ends the path. What a lenient reader would take for the
	// rest of a quoted local part is then no parameter, and refused.
	end := strings.IndexByte(rest, '>')
	if end < 0 {
		return "", "", false
	}
	path, params = rest[1:end], rest[end+1:]
	if params != "" && params[0] != ' ' {
		return "", "", false
	}
	return path, params, true
}

// parseMailParams reads the parameters of MAIL that we offer. A parameter we
// do not know is refused, never ignored: it may ask for something.
func parseMailParams(s string, maxSize int64, dsn, tls bool) (MailParams, *refusal) {
	var p MailParams
	for _, f := range words(s) {
		if !ascii(f) {
			return p, &refuseParameter
		}
		key, value, has := strings.Cut(f, "=")
		switch strings.ToUpper(key) {
		case "SIZE":
			if p.hasSize || !digits(value) {
				return p, &refuseParameterValue
			}
			p.hasSize = true
			n, err := strconv.ParseInt(value, 10, 64)
			// RFC 1870, 6.1: up to 20 digits are well formed. What does not
			// fit into 63 bits is bigger than any limit.
			if err != nil || n > maxSize {
				return p, &refuseSize
			}
			p.Size = n
		case "BODY":
			if p.hasBody {
				return p, &refuseParameterValue
			}
			p.hasBody = true
			switch strings.ToUpper(value) {
			case "7BIT":
			case "8BITMIME":
				p.Body8 = true
			default:
				return p, &refuseParameterValue
			}
		case "SMTPUTF8":
			if has || p.UTF8 {
				return p, &refuseParameterValue
			}
			p.UTF8 = true
		case "RET":
			value = strings.ToUpper(value)
			switch {
			case !dsn, !ascii(f):
				return p, &refuseParameter
			case p.Return != "" || value != "FULL" && value != "HDRS":
				return p, &refuseParameterValue
			}
			p.Return = value
		case "ENVID":
			text, ok := envelope.Xtext(value)
			switch {
			case !dsn, !ascii(f):
				return p, &refuseParameter
			case p.EnvID != "" || !ok || strings.TrimSpace(text) == "" || len(text) > maxEnvID:
				return p, &refuseParameterValue
			}
			p.EnvID = value
		case "REQUIRETLS":
			switch {
			case !tls:
				return p, &refuseParameter
			case has || p.TLS:
				return p, &refuseParameterValue
			}
			p.TLS = true
		default:
			return p, &refuseParameter
		}
	}
	return p, nil
}

// words splits at spaces of ASCII alone, as RFC 5321, 4.1.1.11, has them.
func words(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ' ' })
}

func ascii(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

func digits(s string) bool {
	if s == "" || len(s) > 20 {
		return false
	}
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// pathFault is what is wrong with a path.
type pathFault uint8

const (
	pathOK      pathFault = 1
	pathBad     pathFault = 2
	pathRouted  pathFault = 3 // another way to the mailbox: source route, %, !, a second @
	pathLiteral pathFault = 4 // well formed, and its domain is an address literal
	pathUTF8    pathFault = 5 // well formed or not, it has 8-bit octets that nobody announced
)

// parsePath reads the inside of an angle-bracketed path. The local part is
// kept as it came, so that it can be sent on as it came; what would have to be
// changed for that is refused. RFC 5321, 4.1.2.
//
// It splits at the last "@" and refuses every form on which two readers could
// disagree about the domain: source routes, "%" and "!", a second "@", quoted
// strings that need their quotes, encoded words.
func parsePath(s string, utf8Allowed bool) (envelope.Address, pathFault) {
	if len(s)+2 > maxPath {
		return envelope.Address{}, pathBad
	}
	if s[0] == '@' {
		return envelope.Address{}, pathRouted
	}
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 && !utf8Allowed {
			return envelope.Address{}, pathUTF8
		}
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return envelope.Address{}, pathBad
	}
	local := s[:at]
	if f := checkLocal(local); f != pathOK {
		return envelope.Address{}, f
	}
	domain, f := parseDomain(s[at+1:])
	return envelope.Address{Local: local, Domain: domain}, f
}

// checkLocal accepts dots anywhere: `.a..b.@docomo.ne.jp` is an address in
// use. QUIRK: seen with mobile carriers in Japan, which let their users choose
// such names for years. In quotes it accepts what would be fine without.
func checkLocal(s string) pathFault {
	if s[0] == '"' {
		if len(s) < 3 || s[len(s)-1] != '"' {
			return pathBad
		}
		s = s[1 : len(s)-1]
	}
	if !utf8.ValidString(s) {
		return pathBad
	}
	// An encoded word means something in a header only; in a path somebody
	// hopes that a reader behind us decodes it into another address.
	if strings.Contains(s, "=?") {
		return pathBad
	}
	for _, c := range s {
		switch {
		case c == '%' || c == '!' || c == '@':
			return pathRouted
		case c == '.' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9':
		case c < 0x80:
			if !strings.ContainsRune("#$&'*+-/=?^_`{|}~", c) {
				return pathBad
			}
		case !unicode.IsPrint(c):
			return pathBad
		case strings.ContainsAny(norm.NFKC.String(string(c)), "%!@"):
			// ＠, ﹪ and their like: a reader behind us that normalises (RFC 8265,
			// 3.3.2) would see another mailbox, perhaps in another domain.
			return pathRouted
		}
	}
	return pathOK
}

// parseDomain returns the domain in lower case and in A-labels, which is what
// everything behind compares and looks up. Hyphens at odd places and
// underscores are accepted in ASCII names: senders have them.
func parseDomain(s string) (string, pathFault) {
	if strings.HasPrefix(s, "[") {
		return parseLiteral(s)
	}
	ascii := true
	ace := false
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			ascii = false
		}
	}
	s = strings.ToLower(s)
	for _, l := range strings.Split(s, ".") {
		if strings.HasPrefix(l, "xn--") {
			ace = true
		}
	}
	if !ascii || ace {
		a, err := idna.Lookup.ToASCII(s)
		// A name that is already in A-labels must be the only form of itself.
		if err != nil || ascii && a != s {
			return "", pathBad
		}
		s = a
	}
	// RFC 5321, 4.5.3.1.2.
	if len(s) == 0 || len(s) > 255 {
		return "", pathBad
	}
	for _, l := range strings.Split(s, ".") {
		// An empty label is a trailing dot, a leading one or two in a row.
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return "", pathBad
		}
		for i := 0; i < len(l); i++ {
			c := l[i]
			if !('a' <= c && c <= 'z' || '0' <= c && c <= '9' || c == '-' || c == '_') {
				return "", pathBad
			}
		}
	}
	return s, pathOK
}

// parseLiteral reads [192.0.2.1] and [IPv6:2001:db8::1]. RFC 5321, 4.1.3.
func parseLiteral(s string) (string, pathFault) {
	if len(s) < 3 || s[len(s)-1] != ']' {
		return "", pathBad
	}
	in := strings.ToLower(s[1 : len(s)-1])
	six, isSix := strings.CutPrefix(in, "ipv6:")
	a, err := netip.ParseAddr(six)
	if err != nil || a.Zone() != "" || a.Is4() == isSix {
		return "", pathBad
	}
	return "[" + in + "]", pathLiteral
}

// heloName reads the argument of HELO or EHLO. Only the first word counts.
// QUIRK: devices send their model's name, spaces and underscores included.
func heloName(arg string) (string, bool) {
	name, _, _ := strings.Cut(arg, " ")
	// RFC 5321, 4.5.3.1.2.
	if name == "" || len(name) > 255 {
		return "", false
	}
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("-._:[]", c) >= 0) {
			return "", false
		}
	}
	return name, true
}
