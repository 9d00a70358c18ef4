package delivery

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"sekisho/envelope"
	"sekisho/senderauth"
	"sekisho/spool"
)

// Key signs outgoing mail of one domain. RFC 6376; Ed25519 is RFC 8463.
type Key struct {
	Domain   string
	Selector string
	Signer   crypto.Signer // an RSA or Ed25519 key
}

// algorithm is what a key is of, "" when it is of none that signs mail.
func (k *Key) algorithm() string {
	switch k.Signer.Public().(type) {
	case *rsa.PublicKey:
		return "rsa"
	case ed25519.PublicKey:
		return "ed25519"
	default:
		return ""
	}
}

// signed are the fields that a signature covers, RFC 6376, 5.4.1. Those that
// readers go by stand there once more than they may occur, so that none can be
// added on the way.
var signed = []string{"From", "From", "Subject", "Subject", "Date", "Date", "To", "To", "Cc", "Cc", "Reply-To", "Reply-To",
	"Message-ID", "In-Reply-To", "References", "MIME-Version", "Content-Type", "Content-Type", "Content-Transfer-Encoding", "Sender"}

// foldedMost is how many lines of a header block are signed: the library's cost
// grows with their square.
const foldedMost = 4000

// fromInside reports whether e goes out to the internet from within, so that
// what it tells of the inside is taken off and it is signed.
func fromInside(e *spool.Entry, n envelope.Network) bool {
	switch e.Envelope.Zone {
	case envelope.LGWAN, envelope.InternetSegment:
	default:
		return false
	}
	return n == envelope.NetworkInternet && e.Envelope.Treatment != envelope.Ours
}

// keysFor picks the keys for a message: those of the author's domain or of one
// above it, of each algorithm the first in the configuration. Whoever changes
// keys puts the new one behind the old until the DNS has it everywhere, and
// then in front.
func (d *Delivery) keysFor(e *spool.Entry) []Key {
	if d.Keys == nil {
		return nil
	}
	author, ok := senderauth.Author(e.Envelope.HeaderFrom)
	if !ok || !d.owns(e.Envelope.Tenant, author) {
		// Nobody's mail is signed with another tenant's key.
		return nil
	}
	all := d.Keys()
	for name, more := author, true; more; _, name, more = strings.Cut(name, ".") {
		var ks []Key
		have := map[string]bool{}
		for _, k := range all {
			if a := k.algorithm(); strings.EqualFold(k.Domain, name) && a != "" && !have[a] {
				have[a] = true
				ks = append(ks, k)
			}
		}
		if len(ks) > 0 {
			return ks
		}
	}
	return nil
}

// owns reports whether a domain, or one above it, is the tenant's.
func (d *Delivery) owns(t envelope.TenantID, domain string) bool {
	for name, more := domain, true; more; _, name, more = strings.Cut(name, ".") {
		if o, ok := d.Tenants().Owner(name); ok {
			return o.ID == t
		}
	}
	return false
}

// sign returns the DKIM-Signature fields for the message as it will leave.
func (d *Delivery) sign(ctx context.Context, e *spool.Entry, m *message) (string, error) {
	keys := d.keysFor(e)
	if len(keys) == 0 {
		return "", nil
	}
	top := m.top()
	if m.headerLen > maxHeader || bytes.Count(top, []byte("\n")) > foldedMost {
		d.Log.Warn("unsigned", "id", e.Envelope.ID, "tenant", e.Envelope.Tenant, "err", "the header is too large to be signed")
		return "", nil
	}
	fields := signed
	if isTLSReport(e) {
		fields = append(slices.Clone(signed), "TLS-Report-Domain", "TLS-Report-Submitter")
	}
	var signers []*dkim.Signer
	var ws []io.Writer
	defer func() {
		// Closing twice is harmless, and not closing leaves a goroutine.
		for _, s := range signers {
			_ = s.Close()
		}
	}()
	for _, k := range keys {
		s, err := dkim.NewSigner(&dkim.SignOptions{
			Domain: k.Domain, Selector: k.Selector, Signer: k.Signer, Hash: crypto.SHA256, HeaderKeys: fields,
			HeaderCanonicalization: dkim.CanonicalizationRelaxed, BodyCanonicalization: dkim.CanonicalizationRelaxed,
		})
		if err != nil {
			return "", fmt.Errorf("sign for %s: %w", k.Domain, err)
		}
		signers = append(signers, s)
		ws = append(ws, s)
	}
	// send compares what it reads with the seal; were it to differ from what is
	// read here, the final dot would never be sent.
	if err := m.send(ctx, io.MultiWriter(ws...)); err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	var out strings.Builder
	for i, s := range signers {
		if err := s.Close(); err != nil {
			return "", fmt.Errorf("sign for %s: %w", keys[i].Domain, err)
		}
		out.WriteString(s.Signature())
	}
	signers = nil
	return out.String(), nil
}

// innerFields tell of hosts, addresses and judgements of the inside. They are
// nobody's business outside. RFC 5321, 7.6.
var innerFields = map[string]bool{
	"received": true, "x-received": true, "return-path": true, "delivered-to": true, "x-original-to": true, "x-delivered-to": true,
	"authentication-results": true, "received-spf": true, "arc-seal": true, "arc-message-signature": true, "arc-authentication-results": true,
	"x-originating-ip": true, "x-originatingip": true, "x-sender-ip": true, "x-source-ip": true, "x-client-ip": true, "x-remote-ip": true,
	"x-real-ip": true, "x-forwarded-for": true, "x-originating-host": true, "x-client-host": true, "x-originating-server": true,
	"x-ms-exchange-organization-authsource": true, "x-ms-exchange-crosstenant-originalarrivaltime": true, "x-originalarrivaltime": true,
	"bcc": true,
}

// innerPrefixes are the same by the beginning of their names.
var innerPrefixes = []string{"x-ms-exchange-organization-", "x-ms-exchange-transport-", "x-sekisho-"}

// A cutter passes a header block on without the fields of the inside. Lines
// end in CRLF, as everything that was sealed does.
type cutter struct {
	w     io.Writer
	name  []byte // of the field that begins
	named bool   // the name is known
	drop  bool
	begin bool // of a line
	out   []byte
}

// longestInner bounds what is kept until a name is known.
const longestInner = 64

func (c *cutter) Write(p []byte) (int, error) {
	c.out = c.out[:0]
	for _, b := range p {
		if c.begin {
			c.begin = false
			if b != ' ' && b != '\t' {
				// A new field; a folded line goes with its own.
				c.flush()
				c.named, c.drop = false, false
			}
		}
		switch {
		case c.named && !c.drop:
			c.out = append(c.out, b)
		case !c.named:
			c.name = append(c.name, b)
			if b == ':' || b == '\n' || len(c.name) > longestInner {
				c.named, c.drop = true, b == ':' && inner(string(c.name[:len(c.name)-1]))
				c.flush()
			}
		}
		c.begin = b == '\n'
	}
	if len(c.out) > 0 {
		if _, err := c.w.Write(c.out); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// flush lets go of what was kept of a name.
func (c *cutter) flush() {
	if !c.drop {
		c.out = append(c.out, c.name...)
	}
	c.name = c.name[:0]
}

func inner(name string) bool {
	name = strings.ToLower(strings.TrimRight(name, " \t"))
	if innerFields[name] {
		return true
	}
	for _, p := range innerPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
