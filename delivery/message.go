package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"slices"
	"strings"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/internal/seal"
	"sekisho/spool"
)

// inMemory is the size up to which a message is read once and kept: most mail
// is smaller, and the window of messages in hand stays under 13 MiB.
const inMemory = 64 << 10

// maxHeader bounds the header block that is looked at for a bounce. The block
// itself may have 256 KiB (limits.md).
const maxHeader = 256 << 10

// errMismatch says that what would be sent is not what was sealed. It never
// passes by itself.
var errMismatch = errors.New("not what was sealed")

// message is the octets of one entry, proved to be those of its seal. All of
// it reads from one open blob, so that nothing can be put in its place between
// the look and the sending; and what is sent is hashed again on the way, before
// the final dot.
type message struct {
	r            io.ReaderAt
	b            []byte // all of it, when it is kept in memory
	closer       io.Closer
	size         int64
	headerLen    int64
	header, body [32]byte
	eightBit     bool // an octet above 127 anywhere
	header8Bit   bool // or in the header block
	strayEnd     bool // a CR or LF that is not part of a CRLF
	outward      bool // it leaves without the fields that tell of the inside
}

func (m *message) close() {
	if m.closer != nil {
		m.closer.Close()
	}
}

// open reads the octets that e says are to be sent and fails with errMismatch
// unless every fact of the seal is right. It does not look at hops.
func (d *Delivery) open(ctx context.Context, e *spool.Entry) (*message, error) {
	if err := d.proveEnvelope(e); err != nil {
		return nil, err
	}
	ref := toSend(e)
	if ref.IsZero() {
		return nil, fmt.Errorf("%w: no bytes", errMismatch)
	}
	r, err := d.Spool.Open(ctx, e.Envelope.Tenant, ref)
	if err != nil {
		return nil, damaged(err)
	}
	m := &message{r: r, closer: r, size: r.Size(), headerLen: e.HeaderLen}
	if err := d.proveBytes(ctx, e, m); err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// prove is open for octets that are in our hand already. The caller closes m.
func (d *Delivery) prove(ctx context.Context, e *spool.Entry, m *message) error {
	if err := d.proveEnvelope(e); err != nil {
		return err
	}
	return d.proveBytes(ctx, e, m)
}

// proveEnvelope looks at everything but the octets.
func (d *Delivery) proveEnvelope(e *spool.Entry) error {
	if e.Tampered != "" {
		return fmt.Errorf("%w: the row is not as the gateway wrote it: %s", errMismatch, e.Tampered)
	}
	// The envelope is proved first: zone and treatment, which the rules below
	// rest on, come from nothing else.
	if err := d.Spool.CheckIntake(*e); err != nil {
		return fmt.Errorf("%w: %w", errMismatch, err)
	}
	if !kindFits(e) {
		return fmt.Errorf("%w: kind %q with treatment %s", errMismatch, e.Kind, e.Envelope.Treatment)
	}
	if stray := strangers(e); stray != "" {
		return fmt.Errorf("%w: %s is not among the recipients", errMismatch, stray)
	}
	return nil
}

// proveBytes looks at the octets and at the seal that is over them and over
// what proveEnvelope has proved.
func (d *Delivery) proveBytes(ctx context.Context, e *spool.Entry, m *message) error {
	if err := m.look(ctx); err != nil {
		return damaged(err)
	}
	out := seal.Outgoing{Tenant: string(e.Envelope.Tenant), ID: string(e.Envelope.ID), Kind: seal.Kind(e.Kind), Header: m.header, Body: m.body}
	for _, n := range e.Networks {
		out.Networks = append(out.Networks, uint8(n))
	}
	for _, a := range e.Envelope.To {
		out.To = append(out.To, a.String())
	}
	if err := d.Verify.CheckOutgoing(out, e.Seal); err != nil {
		return fmt.Errorf("%w: outgoing: %w", errMismatch, err)
	}
	return nil
}

// damaged tells bytes that are wrong from a disk that does not answer just now.
func damaged(err error) error {
	if errors.Is(err, spool.ErrTampered) || errors.Is(err, blob.ErrDamaged) || errors.Is(err, blob.ErrNotFound) {
		return fmt.Errorf("%w: %w", errMismatch, err)
	}
	return err
}

// kindFits reports whether the seal's kind is the one that the intake's treatment
// leads to.
func kindFits(e *spool.Entry) bool {
	switch seal.Kind(e.Kind) {
	case seal.Treated:
		return e.Envelope.Treatment == envelope.Rebuild
	case seal.Passed:
		return e.Envelope.Treatment == envelope.Pass
	case seal.Ours:
		return e.Envelope.Treatment == envelope.Ours
	default:
		return false
	}
}

// toSend picks the bytes by the seal's kind, which fits.
func toSend(e *spool.Entry) blob.Ref {
	if seal.Kind(e.Kind) == seal.Treated {
		return e.Sanitized
	}
	return e.Original
}

// strangers returns a pending recipient that is not one of the envelope's.
func strangers(e *spool.Entry) string {
	for _, a := range e.Pending {
		if !slices.Contains(e.Envelope.To, a) {
			return bound(a.String())
		}
	}
	return ""
}

// mayGo reports whether the seal lets the message go to network n.
func mayGo(e *spool.Entry, n envelope.Network) bool {
	if !slices.Contains(e.Networks, n) {
		return false
	}
	// The one rule again, from what the intake seal proves, so that even a seal
	// made by a mistake does not carry received bytes inside.
	return seal.Kind(e.Kind) != seal.Passed || !envelope.NeedsRebuild(e.Envelope.Zone, n, false)
}

// look reads the message once: hashes, and what a hop must be able to take.
func (m *message) look(ctx context.Context) error {
	// Only a message of no octets at all has no header.
	if m.headerLen < 0 || m.headerLen == 0 && m.size > 0 || m.headerLen > m.size {
		return fmt.Errorf("%w: a header of %d octets in %d", errMismatch, m.headerLen, m.size)
	}
	if m.size <= inMemory {
		b := make([]byte, m.size)
		if _, err := io.ReadFull(io.NewSectionReader(m.r, 0, m.size), b); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		m.closer.Close()
		m.r, m.b, m.closer = bytes.NewReader(b), b, nil
	}
	var s scanner
	var err error
	if m.header, err = m.sum(ctx, 0, m.headerLen, &s); err != nil {
		return err
	}
	m.header8Bit = s.eightBit
	if m.body, err = m.sum(ctx, m.headerLen, m.size-m.headerLen, &s); err != nil {
		return err
	}
	m.eightBit, m.strayEnd = s.eightBit, s.stray || s.cr
	return nil
}

func (m *message) sum(ctx context.Context, off, n int64, s *scanner) (sum [32]byte, err error) {
	h := sha256.New()
	if err := m.copy(ctx, io.MultiWriter(h, s), off, n); err != nil {
		return sum, err
	}
	h.Sum(sum[:0])
	return sum, nil
}

// copy writes n octets from off. w keeps none of what it is given.
func (m *message) copy(ctx context.Context, w io.Writer, off, n int64) error {
	if m.b != nil && off+n <= int64(len(m.b)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		_, err := w.Write(m.b[off : off+n])
		return err
	}
	in := io.NewSectionReader(m.r, off, n)
	buf := make([]byte, min(n+1, 64<<10))
	for n > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := in.Read(buf)
		if k == 0 && err != nil {
			return fmt.Errorf("read: %w", unexpected(err))
		}
		if _, err := w.Write(buf[:k]); err != nil {
			return err
		}
		n -= int64(k)
	}
	return nil
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// errChanged says that the octets that went over the wire are not those that
// were checked. The final dot is not sent then.
var errChanged = errors.New("the bytes changed while they were sent")

// errRead says that our own side failed, not the peer's.
type errRead struct{ err error }

func (e errRead) Error() string { return "read the message: " + e.err.Error() }
func (e errRead) Unwrap() error { return e.err }

// send writes the whole message to w and fails with errChanged when what was
// read for it is not what was sealed.
func (m *message) send(ctx context.Context, w io.Writer) error {
	top := w
	if m.outward {
		top = &cutter{w: w, begin: true}
	}
	for _, part := range []struct {
		w      io.Writer
		off, n int64
		want   [32]byte
	}{{top, 0, m.headerLen, m.header}, {w, m.headerLen, m.size - m.headerLen, m.body}} {
		t := &tee{w: part.w, h: sha256.New()}
		if err := m.copy(ctx, t, part.off, part.n); err != nil {
			if t.failed {
				return err
			}
			return errRead{err}
		}
		if [32]byte(t.h.Sum(nil)) != part.want {
			return errRead{errChanged}
		}
	}
	return nil
}

// tee hashes what it writes and knows whose the failure was.
type tee struct {
	w      io.Writer
	h      hash.Hash
	failed bool
}

func (t *tee) Write(p []byte) (int, error) {
	t.h.Write(p)
	n, err := t.w.Write(p)
	t.failed = err != nil
	return n, err
}

// top returns the header block for a look at it, cut to a bound between lines.
func (m *message) top() []byte {
	b := make([]byte, min(m.headerLen, maxHeader))
	if _, err := io.ReadFull(io.NewSectionReader(m.r, 0, int64(len(b))), b); err != nil {
		return nil
	}
	return b
}

// scanner looks for octets that not every hop takes. A CR or LF alone is not
// for SMTP at all (RFC 5321, 2.3.8): smtpd took none in and we wrote none, and
// the client library would change it on the way, behind the seal's back.
type scanner struct {
	cr, stray, eightBit bool
}

func (s *scanner) Write(p []byte) (int, error) {
	for _, c := range p {
		switch {
		case c == '\n':
			if !s.cr {
				s.stray = true
			}
			s.cr = false
			continue
		case s.cr:
			s.stray = true
		}
		s.cr = c == '\r'
		if c >= 0x80 {
			s.eightBit = true
		}
	}
	return len(p), nil
}

// sendable reports whether an address may stand in a command as it is. It is
// sent on octet by octet as it came: what could end the path or the line, or
// be read as a parameter, must never have come this far. RFC 5321, 4.1.2.
func sendable(a envelope.Address) bool {
	s := a.String()
	if a.IsNull() || a.Local == "" || a.Domain == "" || len(s) > 254 {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] == 0x7f || s[i] == '<' || s[i] == '>' {
			return false
		}
	}
	return !strings.Contains(a.Domain, "@")
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
