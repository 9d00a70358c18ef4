package senderauth

import (
	"context"

	"blitiri.com.ar/go/spf"

	"sekisho/envelope"
)

// Bounds of RFC 7208, 4.6.4; they are the library's too, said here because
// limits.md says them.
const (
	spfLookups = 10
	spfVoid    = 2
)

type spfResult struct {
	result envelope.AuthResult
	domain string // whose record it was
}

// checkSPF asks whether the peer may send for the domain of the reverse-path,
// or for its own name when that is null. RFC 7208, 2.4.
func (c *Check) checkSPF(ctx context.Context) spfResult {
	d, sender := c.sender.From.Domain, c.sender.From.String()
	if c.sender.From.IsNull() {
		d, sender = c.sender.Helo, "postmaster@"+c.sender.Helo
	}
	d, ok := ascii(d)
	if !ok || !c.sender.Addr.IsValid() {
		return spfResult{result: envelope.AuthNone}
	}
	if !c.sender.From.IsNull() {
		// Macros see the domain as it is asked for, in A-labels.
		sender = c.sender.From.Local + "@" + d
	}
	r, _ := spf.CheckHostWithSender(c.sender.Addr.Unmap().AsSlice(), c.sender.Helo, sender,
		spf.WithContext(ctx), spf.WithResolver(c.judge.Resolver),
		spf.OverrideLookupLimit(spfLookups), spf.OverrideVoidLookupLimit(spfVoid))
	out := spfResult{domain: d}
	switch r {
	case spf.Pass:
		out.result = envelope.AuthPass
	case spf.Fail:
		out.result = envelope.AuthFail
	case spf.SoftFail:
		out.result = envelope.AuthSoftFail
	case spf.Neutral:
		out.result = envelope.AuthNeutral
	case spf.None:
		out.result = envelope.AuthNone
	case spf.PermError:
		out.result = envelope.AuthPermError
	default:
		out.result = envelope.AuthTempError
	}
	if ctx.Err() != nil && out.result != envelope.AuthPass {
		// Not the domain's fault, but ours or that of the time.
		out.result = envelope.AuthTempError
	}
	return out
}
