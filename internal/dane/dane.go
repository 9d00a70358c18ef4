// Package dane reads and applies the TLSA records by which a domain says which
// certificate its mail servers have (RFC 6698, 7671, 7672). What they say
// counts only when DNSSEC proves it, and we do not prove ourselves: the one
// name server that is asked must validate, and its AD bit must come by a way
// that nobody else is on. So a Resolver has one address, of this machine.
package dane

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"time"
)

// Usage is how a record is to be applied. RFC 7672 knows two for mail: the
// others ask for authorities that senders of mail have no common set of.
type Usage uint8

// The usages that count. RFC 7218.
const (
	TA Usage = 2 // the authority's certificate or key
	EE Usage = 3 // the server's own
)

// Selector is what of a certificate a record is about.
type Selector uint8

// The selectors. RFC 7218.
const (
	Cert Selector = 0
	SPKI Selector = 1
)

// Matching is how it is compared.
type Matching uint8

// The matching types. RFC 7218.
const (
	Full   Matching = 0
	SHA256 Matching = 1
	SHA512 Matching = 2
)

// Record is one TLSA record.
type Record struct {
	Usage    Usage
	Selector Selector
	Matching Matching
	Data     []byte
}

// Usable reports whether a record can be applied at all. RFC 7671, 4; RFC 7672,
// 3.1.
func (r Record) Usable() bool {
	if r.Usage != TA && r.Usage != EE || r.Selector != Cert && r.Selector != SPKI {
		return false
	}
	switch r.Matching {
	case Full:
		if r.Selector == SPKI {
			_, err := x509.ParsePKIXPublicKey(r.Data)
			return err == nil
		}
		_, err := x509.ParseCertificate(r.Data)
		return err == nil
	case SHA256:
		return len(r.Data) == sha256.Size
	case SHA512:
		return len(r.Data) == sha512.Size
	default:
		return false
	}
}

// matches reports whether a certificate is the one a record is about.
func (r Record) matches(c *x509.Certificate) bool {
	b := c.Raw
	if r.Selector == SPKI {
		b = c.RawSubjectPublicKeyInfo
	}
	switch r.Matching {
	case Full:
		return bytes.Equal(b, r.Data)
	case SHA256:
		sum := sha256.Sum256(b)
		return bytes.Equal(sum[:], r.Data)
	case SHA512:
		sum := sha512.Sum512(b)
		return bytes.Equal(sum[:], r.Data)
	default:
		return false
	}
}

// Records are what a server's name has, all of it proved. The zero value is
// none: the name says nothing.
type Records []Record

// Usable reports whether one of them can be applied. Where none can, TLS is a
// condition and the certificate is not. RFC 7672, 2.2.
func (rs Records) Usable() bool {
	for _, r := range rs {
		if r.Usable() {
			return true
		}
	}
	return false
}

// ErrNoMatch says that a server's certificate is none that its records name.
var ErrNoMatch = errors.New("the certificate is none that the TLSA records name")

// Verify checks what a server showed in the handshake, its own certificate
// first. names are those the certificate of an authority's child may be for: of
// the server, and of the domain whose MX record led there.
func (rs Records) Verify(chain []*x509.Certificate, names []string, now time.Time) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	var why error
	for _, r := range rs {
		if !r.Usable() {
			continue
		}
		if r.Usage == EE {
			// Neither name nor date counts: the record says it all. RFC 7672,
			// 3.1.1.
			if r.matches(chain[0]) {
				return nil
			}
			continue
		}
		for _, anchor := range r.anchors(chain) {
			err := issued(chain, anchor, names, now)
			if err == nil {
				return nil
			}
			why = err
		}
	}
	if why != nil {
		return fmt.Errorf("%w: %w", ErrNoMatch, why)
	}
	return ErrNoMatch
}

// anchors are the authorities that a record names: of the certificates shown,
// or in the record itself.
func (r Record) anchors(chain []*x509.Certificate) (as []*x509.Certificate) {
	for _, c := range chain {
		if r.matches(c) {
			as = append(as, c)
		}
	}
	if r.Selector == Cert && r.Matching == Full {
		// RFC 7671, 5.2.2: it may stay out of what the server shows.
		if c, err := x509.ParseCertificate(r.Data); err == nil {
			as = append(as, c)
		}
	}
	return as
}

// issued checks the certificate of a server against one authority.
func issued(chain []*x509.Certificate, anchor *x509.Certificate, names []string, now time.Time) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	roots.AddCert(anchor)
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	var errs []error
	for _, name := range names {
		_, err := chain[0].Verify(x509.VerifyOptions{DNSName: name, Roots: roots, Intermediates: between, CurrentTime: now})
		if err == nil {
			return nil
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
