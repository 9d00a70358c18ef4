// Package envelope says what one accepted message is: its id, whose it is, who
// sent it to whom, and on which side of the gateway it arrived. It is plain
// data that every room passes on; it imports nothing of the project, touches
// no network and decides one thing only, the one rule of the gateway: what has
// to be rebuilt (NeedsRebuild).
package envelope

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode"
)

type (
	// ID names a message in every log line, notice and command. It sorts by
	// time and holds 128 random bits, so that nobody can guess one.
	ID string
	// TenantID names one of the bodies the gateway serves.
	TenantID string
	// ProfileID names the set of rules that applies; it is resolved when a
	// recipient is accepted.
	ProfileID string
	// Digest is a SHA-256.
	Digest [32]byte
)

// idEncoding is lower-case base32 without padding: one case, no punctuation,
// so an id survives being read out over the telephone.
var idEncoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewID makes an id for a message that arrived at t.
func NewID(t time.Time) ID {
	var b [22]byte
	// 48 bits of milliseconds, big-endian, sort until the year 10889.
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	copy(b[:6], ms[2:])
	if _, err := rand.Read(b[6:]); err != nil {
		// crypto/rand.Read never fails on Linux (it aborts the program); an id
		// that is not random would be guessable.
		panic(err)
	}
	return ID(idEncoding.EncodeToString(b[:]))
}

// FirstID is what ids of messages that arrived at t or later are not below; of
// the zero time all are.
func FirstID(t time.Time) ID {
	if t.IsZero() || t.UnixMilli() < 0 {
		return ""
	}
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(t.UnixMilli()))
	var b [22]byte
	copy(b[:6], ms[2:])
	return ID(idEncoding.EncodeToString(b[:]))
}

// Valid reports whether id has the form NewID gives. What comes from a person
// or a file name is checked with it before it is used.
func (id ID) Valid() bool {
	if len(id) != 36 {
		return false
	}
	_, err := idEncoding.DecodeString(string(id))
	return err == nil
}

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// MarshalText writes the digest in hexadecimal.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads what MarshalText wrote.
func (d *Digest) UnmarshalText(b []byte) error {
	if len(b) != 64 {
		return fmt.Errorf("digest of %d characters", len(b))
	}
	_, err := hex.Decode(d[:], b)
	return err
}

// Zone is where a listener stands: how far what arrives there is trusted.
type Zone uint8

// The zones. Zero is treated as Internet.
const (
	Internet        Zone = 1
	InternetSegment Zone = 2
	LGWAN           Zone = 3
)

// Network is where a hop leads.
type Network uint8

// The networks of hops. Zero is no network and nothing is sent to it.
const (
	NetworkLGWAN    Network = 1
	NetworkLocal    Network = 2
	NetworkInternet Network = 3
)

// Treatment is what happens to a message before it goes on.
type Treatment uint8

// The treatments. The zero value rebuilds.
const (
	Rebuild Treatment = 0
	Pass    Treatment = 1 // goes on as scanned; only NeedsRebuild may lead here
	Ours    Treatment = 2 // a bounce or notice that the gateway wrote itself
)

// NeedsRebuild is the one rule: what arrives from a zone other than lgwan and
// goes to a hop of network lgwan or local is rebuilt, whichever listener took
// it, and so is what one tenant sends another. Everything unknown is rebuilt.
func NeedsRebuild(z Zone, n Network, betweenTenants bool) bool {
	if betweenTenants {
		return true
	}
	switch n {
	case NetworkInternet:
		// Zone internet never reaches a hop of network internet (no relay);
		// were it to, it would be by a mistake, and is rebuilt.
		return z != LGWAN && z != InternetSegment
	case NetworkLGWAN, NetworkLocal:
		return z != LGWAN
	default:
		return true
	}
}

var zoneNames = map[Zone]string{Internet: "internet", InternetSegment: "internet-segment", LGWAN: "lgwan"}

func (z Zone) String() string {
	if s, ok := zoneNames[z]; ok {
		return s
	}
	return "unknown"
}

// ParseZone reads a zone's name as written in the configuration.
func ParseZone(s string) (Zone, error) {
	for z, n := range zoneNames {
		if n == s {
			return z, nil
		}
	}
	return 0, fmt.Errorf("zone %q is none of internet, internet-segment, lgwan", s)
}

var networkNames = map[Network]string{NetworkLGWAN: "lgwan", NetworkLocal: "local", NetworkInternet: "internet"}

func (n Network) String() string {
	if s, ok := networkNames[n]; ok {
		return s
	}
	return "unknown"
}

// ParseNetwork reads a network's name as written in the configuration.
func ParseNetwork(s string) (Network, error) {
	for n, name := range networkNames {
		if name == s {
			return n, nil
		}
	}
	return 0, fmt.Errorf("network %q is none of lgwan, local, internet", s)
}

func (t Treatment) String() string {
	switch t {
	case Rebuild:
		return "rebuild"
	case Pass:
		return "pass"
	case Ours:
		return "ours"
	default:
		return "unknown"
	}
}

// Address is one mailbox of an envelope. The zero value is the null
// reverse-path. Local is kept as it came, with its quotes if it had any, and
// is sent on unchanged: `.a..b.@docomo.ne.jp` is an address in use. Domain is
// lower case; a domain in Unicode is kept in its ASCII form (A-labels).
type Address struct {
	Local  string `json:"local"`
	Domain string `json:"domain"`
}

// IsNull reports whether a is the null reverse-path.
func (a Address) IsNull() bool { return a == Address{} }

func (a Address) String() string {
	if a.IsNull() {
		return ""
	}
	return a.Local + "@" + a.Domain
}

// Key is the form in which recipients are compared: many servers do not tell
// cases of a local part apart, so a list must not either.
//
// What is not ASCII never becomes it: the sign for kelvin is no k to the server
// behind, and accepted for one it would come back as a bounce.
func (a Address) Key() string {
	return strings.Map(func(r rune) rune {
		if l := unicode.ToLower(r); r < 0x80 || l >= 0x80 {
			return l
		}
		return r
	}, a.String())
}

// Postmaster reports whether the local part is the one that exists everywhere
// (RFC 5321, 4.5.1), in letters of ASCII: folded as Unicode does, a long s would
// be one of them.
func (a Address) Postmaster() bool { return strings.ToLower(a.Local) == "postmaster" }

// ParseAddress splits what configuration, lists and administrators write at
// the only "@": with a second one two readers would see two domains. The
// envelope of a peer is read by the stricter parser in smtpd.
func ParseAddress(s string) (Address, error) {
	i := strings.IndexByte(s, '@')
	if i < 1 || i == len(s)-1 {
		return Address{}, fmt.Errorf("address %q has no local part or no domain", s)
	}
	if strings.IndexByte(s[i+1:], '@') >= 0 {
		return Address{}, fmt.Errorf("address %q has two @", s)
	}
	for _, c := range s {
		if c < 0x21 || c == 0x7f {
			return Address{}, fmt.Errorf("address %q has a space or control character", s)
		}
	}
	return Address{Local: s[:i], Domain: strings.ToLower(s[i+1:])}, nil
}

// Peer is who handed the message over.
type Peer struct {
	Addr      netip.Addr `json:"addr"`
	Helo      string     `json:"helo"`
	TLS       string     `json:"tls,omitempty"` // version and cipher suite, "" in clear
	Listener  string     `json:"listener"`
	Protocol  string     `json:"protocol"` // SMTP, ESMTP, ESMTPS; RFC 3848
	UTF8Names bool       `json:"utf8_names,omitempty"`
}

// Envelope is all that is known of an accepted message beside its bytes. It is
// written once, when the message is accepted, and covered by the intake seal.
type Envelope struct {
	ID        ID        `json:"id"`
	Tenant    TenantID  `json:"tenant"` // exactly one: smtpd splits a transaction by (tenant, profile, treatment)
	Profile   ProfileID `json:"profile"`
	Zone      Zone      `json:"zone"`
	Treatment Treatment `json:"treatment"`
	From      Address   `json:"from"`
	To        []Address `json:"to"`
	Peer      Peer      `json:"peer"`
	DSN       *DSN      `json:"dsn,omitempty"`  // what the sender asked to be told; nil: nothing. Not changed once set
	UTF8      bool      `json:"utf8,omitempty"` // SMTPUTF8 was asked for
	Body8Bit  bool      `json:"body8bit,omitempty"`
	// RequireTLS: the sender wants it to go under TLS alone, to servers that are
	// proved and promise the same, or to come back. RFC 8689.
	RequireTLS bool      `json:"requiretls,omitempty"`
	Size       int64     `json:"size"`
	Digest     Digest    `json:"digest"` // SHA-256 of the bytes as received
	Received   time.Time `json:"received"`
	// What the daemon's bounded header reader saw in the top block, for lists
	// and searches: values as they came, cut to 998 octets, decoded by nobody.
	HeaderFrom string `json:"header_from,omitempty"`
	MessageID  string `json:"message_id,omitempty"`
	Subject    string `json:"subject,omitempty"`
	Hops       int    `json:"hops"` // Received fields counted
	// Auth is who sent it as far as DNS and signatures say; nil where senders
	// are not judged, as on every listener of another zone than internet.
	Auth *Auth `json:"auth,omitempty"`
	// Over is the limit that the sender of mail from inside went over: the
	// message waits for a person. Empty: none.
	Over Over `json:"over,omitempty"`
}

// Over names a limit of a sender inside, as the rule that holds says it.
type Over string

// The limits of senders inside.
const (
	OverRate    Over = "sender-rate"        // too many messages a minute: a stolen account
	OverVisible Over = "visible-recipients" // too many addresses outside that all can see
)
