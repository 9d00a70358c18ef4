// Package senderauth says who sent a message: SPF (RFC 7208), DKIM (RFC 6376)
// and DMARC (RFC 9989) with our own alignment and verdict, and the two rules
// that DMARC does not give, since most bodies publish no policy: a tenant's
// own domain in the header From, and a name of LGWAN, both arriving from the
// internet without proof.
//
// A Check takes the message as it streams by and holds no more of it than its
// header block. It decides nothing: package policy does. DNS that does not
// answer is never a pass; what can be said without it is said.
package senderauth

import (
	"bufio"
	"bytes"
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"sekisho/envelope"
	"sekisho/internal/header"
)

// Bounds of one check.
const (
	checkTime   = 20 * time.Second // all questions of one message; RFC 7208, 4.6.4 wants 20 s at least
	headerMost  = header.DefaultBytes
	headerSmall = 16 << 10 // what a message may hold without asking
	headersMost = 64 << 20 // of the larger ones of all connections together
)

// Sender is what the session knows of a message's sender.
type Sender struct {
	Addr netip.Addr
	Helo string
	From envelope.Address
}

// Rules are what the configuration says of senders; a value swapped whole.
type Rules struct {
	// Owner returns the tenant whose domain this is, or is above it.
	Owner func(domain string) (envelope.TenantID, Trusted, bool)
	// LGWAN are the names that only the LGWAN side may use, LGWANExcept those
	// below them that it may not claim.
	LGWAN, LGWANExcept []string
}

// Trusted is a tenant's trusted_senders: who may write under its domains.
type Trusted struct {
	Networks  []netip.Prefix
	Addresses []envelope.Address // envelope senders, as far as SPF proves them
	Domains   []string           // DKIM domains
}

// Judge looks senders up. Its fields are set before use and not changed.
type Judge struct {
	Resolver *Resolver
	headers  atomic.Int64 // octets of large header blocks in memory
}

// Begin starts the check of one message. The caller writes the message to it
// and calls End, or Abort.
func (j *Judge) Begin(s Sender, r Rules) *Check {
	ctx, cancel := context.WithCancel(context.Background())
	return &Check{judge: j, sender: s, rules: r, ctx: ctx, cancel: cancel, tail: [4]byte{0, 0, '\r', '\n'}}
}

// Check is the check of one message. Write never fails: what cannot be judged
// is a result, not an error.
type Check struct {
	judge  *Judge
	sender Sender
	rules  Rules
	ctx    context.Context
	cancel context.CancelFunc

	head     []byte
	tail     [4]byte // last octets seen of the header block
	asked    int64   // octets of the shared bound that this one holds
	tooLarge bool    // head is not all of it
	busy     bool    // and that is because of the others
	inBody   bool

	fields header.Block
	body   *body // nil: nothing signed
	spf    spfResult
	work   sync.WaitGroup
}

// Write takes the next octets of the message, lines ending in CRLF.
func (c *Check) Write(p []byte) (int, error) {
	n := len(p)
	if !c.inBody {
		end := len(p)
		for i, b := range p {
			copy(c.tail[:], c.tail[1:])
			c.tail[3] = b
			if c.tail == [4]byte{'\r', '\n', '\r', '\n'} {
				end, c.inBody = i+1, true
				break
			}
		}
		c.hold(p[:end])
		p = p[end:]
		if c.inBody {
			c.start()
		}
	}
	if c.body != nil && len(p) > 0 {
		c.body.write(p)
	}
	return n, nil
}

// hold keeps a piece of the header block, as far as there is room.
func (c *Check) hold(p []byte) {
	if c.tooLarge || len(p) == 0 {
		return
	}
	want := len(c.head) + len(p)
	if want > headerMost {
		c.tooLarge = true
		return
	}
	if want > headerSmall {
		// Twice, for the way a slice grows.
		more := 2*int64(want) - c.asked
		if c.judge.headers.Add(more) > headersMost {
			c.judge.headers.Add(-more)
			c.tooLarge, c.busy = true, true
			return
		}
		c.asked += more
	}
	c.head = append(c.head, p...)
}

// start begins the look-ups that the header block allows, while the body
// still arrives.
func (c *Check) start() {
	// A block over the bounds is read as far as it goes.
	var err error
	if c.fields, err = header.ReadBlock(bufio.NewReaderSize(bytes.NewReader(c.head), 1<<10), header.Limits{}); err != nil {
		c.tooLarge = true
	}
	if n := c.fields.Count("DKIM-Signature"); n > 0 {
		c.body = newBody(c, n)
	}
	c.work.Go(func() {
		ctx, cancel := context.WithTimeout(c.ctx, checkTime)
		defer cancel()
		c.spf = c.checkSPF(ctx)
	})
}

// Busy reports that the header block was not read because too many others are
// being read: the message is better taken later.
func (c *Check) Busy() bool { return c.busy }

// Abort ends a check whose result nobody wants. It may follow End.
func (c *Check) Abort() {
	c.cancel()
	if c.body != nil {
		c.body.close()
	}
	c.work.Wait()
	c.judge.headers.Add(-c.asked)
	c.asked, c.head = 0, nil
}

// End returns what is known now that the message has ended.
func (c *Check) End() *envelope.Auth {
	defer c.Abort()
	if !c.inBody {
		// A message of nothing but a header.
		c.inBody = true
		c.start()
	}
	if c.body != nil {
		c.body.close()
	}
	c.work.Wait()
	ctx, cancel := context.WithTimeout(c.ctx, checkTime)
	defer cancel()

	a := &envelope.Auth{SPF: c.spf.result, SPFDomain: c.spf.domain, DMARC: envelope.AuthNone}
	if c.body != nil {
		a.DKIM = c.body.results
	}
	domains, first, whole := fromDomains(c.values("From"))
	a.Domains, a.From, a.Unread = domains, cut(first), c.tooLarge
	if !whole || c.tooLarge {
		a.Marks = append(a.Marks, "from")
	}
	c.judgeDMARC(ctx, a, domains)
	c.judgeNames(ctx, a, domains)
	c.marks(a)
	return a
}

func (c *Check) values(name string) []string {
	var vs []string
	for _, f := range c.fields.All(name) {
		vs = append(vs, f.Value())
	}
	return vs
}

// judgeDMARC sets DMARC, Policy and the alignment of what passed. Of several
// author domains the first that does not pass decides. RFC 9989, 5.3.1: a From
// of several domains is not for DMARC to pass.
func (c *Check) judgeDMARC(ctx context.Context, a *envelope.Auth, domains []string) {
	for i, d := range domains {
		r, p, aligned := c.dmarc(ctx, a, d)
		if i == 0 {
			c.markAligned(a, aligned)
		}
		if r == envelope.AuthPass && len(domains) > 1 {
			r = envelope.AuthPermError
		}
		if i == 0 || worse(r, a.DMARC) || p > a.Policy {
			a.DMARC, a.Policy = r, max(p, a.Policy)
		}
	}
	if len(domains) == 0 {
		a.DMARC = envelope.AuthPermError
	}
	// What did not pass might have, had DNS said.
	if a.DMARC == envelope.AuthTempError || a.DMARC != envelope.AuthPass && c.openSPFOrDKIM(a) {
		a.Silent = true
	}
}

// worse orders DMARC results: fail is what a policy acts on.
func worse(a, b envelope.AuthResult) bool {
	order := []envelope.AuthResult{envelope.AuthPass, envelope.AuthNone, envelope.AuthPermError, envelope.AuthTempError, envelope.AuthFail}
	return slices.Index(order, a) > slices.Index(order, b)
}

// alignment is which of the results that passed are the author's.
type alignment struct {
	spf  bool
	dkim []bool
}

func (al alignment) any() bool { return al.spf || slices.Contains(al.dkim, true) }

func (c *Check) markAligned(a *envelope.Auth, al alignment) {
	a.SPFAligned = al.spf
	for i := range a.DKIM {
		a.DKIM[i].Aligned = al.dkim[i]
	}
}

// dmarc judges one author domain.
func (c *Check) dmarc(ctx context.Context, a *envelope.Auth, d string) (envelope.AuthResult, envelope.Disposition, alignment) {
	fs, err := c.walk(ctx, d)
	if err != nil {
		return envelope.AuthTempError, 0, c.align(ctx, a, d, fallback(d), record{})
	}
	org := organisation(d, fs)
	r, p, has, err := c.policyFor(ctx, d, org, fs)
	al := c.align(ctx, a, d, org, r)
	switch {
	case err != nil:
		return envelope.AuthTempError, 0, al
	case !has:
		return envelope.AuthNone, 0, al
	case al.any():
		return envelope.AuthPass, p, al
	case c.openSPFOrDKIM(a):
		// RFC 9989, 5.3.5: it might have passed.
		return envelope.AuthTempError, p, al
	default:
		return envelope.AuthFail, p, al
	}
}

func (c *Check) openSPFOrDKIM(a *envelope.Auth) bool {
	if a.SPF == envelope.AuthTempError {
		return true
	}
	for _, s := range a.DKIM {
		if s.Result == envelope.AuthTempError {
			return true
		}
	}
	return false
}

// align compares every identifier that passed with the author's domain.
func (c *Check) align(ctx context.Context, a *envelope.Auth, d, org string, r record) alignment {
	al := alignment{dkim: make([]bool, len(a.DKIM))}
	for i, s := range a.DKIM {
		al.dkim[i] = s.Result == envelope.AuthPass && c.aligned(ctx, s.Domain, d, org, r.strictDKIM)
	}
	al.spf = a.SPF == envelope.AuthPass && c.aligned(ctx, a.SPFDomain, d, org, r.strictSPF)
	return al
}

// judgeNames looks for domains of tenants and of LGWAN in the header From.
// Proof is asked of each domain by itself, so that a From of two, one of them
// proved, does not carry the other.
func (c *Check) judgeNames(ctx context.Context, a *envelope.Auth, domains []string) {
	for _, d := range domains {
		var t envelope.TenantID
		var trusted Trusted
		own := false
		if c.rules.Owner != nil {
			t, trusted, own = c.rules.Owner(d)
		}
		lgwan := c.lgwan(d)
		if !own && !lgwan {
			continue
		}
		fs, err := c.walk(ctx, d)
		org := fallback(d)
		if err == nil {
			org = organisation(d, fs)
		}
		// For this question subdomains are the author's in any case: what the
		// policy says of strictness is about DMARC.
		if c.align(ctx, a, d, org, record{}).any() {
			continue
		}
		if own {
			if e := c.trusted(a, trusted); e != "" {
				a.Trusted = e
				continue
			}
			a.Own = t
		}
		if lgwan {
			a.LGWANName = d
		}
	}
}

func (c *Check) lgwan(d string) bool {
	under := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return isUnder(d, strings.ToLower(n)) })
	}
	return under(c.rules.LGWAN) && !under(c.rules.LGWANExcept)
}

// trusted returns the entry under which the source may use a tenant's name. An
// address counts only as far as SPF proves it: anybody can write it.
func (c *Check) trusted(a *envelope.Auth, t Trusted) string {
	for _, n := range t.Networks {
		if n.Contains(c.sender.Addr.Unmap()) {
			return n.String()
		}
	}
	for _, s := range a.DKIM {
		if s.Result == envelope.AuthPass && slices.Contains(t.Domains, s.Domain) {
			return s.Domain
		}
	}
	if a.SPF == envelope.AuthPass && !c.sender.From.IsNull() {
		for _, e := range t.Addresses {
			if e.Key() == c.sender.From.Key() {
				return e.Key()
			}
		}
	}
	return ""
}

// marks notes a tenant's domain in places that readers see and nobody judges.
func (c *Check) marks(a *envelope.Auth) {
	if c.rules.Owner == nil {
		return
	}
	ours := func(ds []string) bool {
		return slices.ContainsFunc(ds, func(d string) bool { _, _, ok := c.rules.Owner(d); return ok })
	}
	// From a tenant's own domain the same in Reply-To says nothing.
	if ours(a.Domains) {
		return
	}
	// A name in Punycode that is drawn like ours, by letters of another
	// alphabet (Unicode Technical Standard 39).
	for _, d := range a.Domains {
		if like, ok := ascii(header.AlikeDomain(d)); ok && like != d && ours([]string{like}) {
			a.Marks = append(a.Marks, "look-alike")
			break
		}
	}
	for _, v := range c.values("From") {
		if list, _ := header.ParseAddressList(v); slices.ContainsFunc(list, func(m header.Mailbox) bool {
			// A name is for the eye: what it takes for an @ or a letter is one.
			return ours(behindAt(m.Name)) || ours(behindAt(header.Alike(m.Name)))
		}) {
			a.Marks = append(a.Marks, "display-name")
			break
		}
	}
	for _, n := range []struct{ field, mark string }{{"Reply-To", "reply-to"}, {"Sender", "sender"}} {
		if ds, _, _ := fromDomains(c.values(n.field)); ours(ds) {
			a.Marks = append(a.Marks, n.mark)
		}
	}
}

// cut bounds what a sender wrote.
func cut(s string) string { return s[:min(len(s), 320)] }
