package senderauth

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"

	"github.com/emersion/go-msgauth/dkim"

	"sekisho/envelope"
	"sekisho/internal/header"
)

// Bounds of DKIM beyond what the library has.
const (
	signatures = 3        // limits.md: looked at; OpenDKIM's number
	signedMost = 200      // names in h=: the library walks the whole header for each
	blankMost  = 64 << 10 // white space in one run: the library keeps it until it ends
	joinMost   = 64 << 20 // octets it copies to unfold the fields
)

// body carries the message to the verifier and brings the results back.
type body struct {
	w       *io.PipeWriter
	done    chan struct{}
	results []envelope.Signature

	blank  int  // length of the run of white space that is passing
	refuse bool // the run was too long
	closed bool
}

// newBody starts the verifier. It reads while the message arrives: smtpd never
// reads a message back.
func newBody(c *Check, n int) *body {
	b := &body{done: make(chan struct{})}
	if why := unfit(c.fields); why != "" || c.tooLarge {
		if why == "" {
			why = "header too large"
		}
		b.results = []envelope.Signature{{Result: envelope.AuthPermError, Reason: why}}
		b.closed = true
		close(b.done)
		return b
	}
	r, w := io.Pipe()
	b.w = w
	fields := c.fields.All("DKIM-Signature")
	head := c.head
	c.work.Go(func() {
		defer close(b.done)
		ctx, cancel := context.WithTimeout(c.ctx, checkTime)
		defer cancel()
		vs, err := dkim.VerifyWithOptions(io.MultiReader(bytes.NewReader(head), r), &dkim.VerifyOptions{
			MaxVerifications: signatures,
			LookupTXT:        func(name string) ([]string, error) { return c.judge.Resolver.LookupTXT(ctx, name) },
		})
		// Whoever writes must not wait for a verifier that has seen enough.
		_, _ = io.Copy(io.Discard, r)
		b.results = b.verdicts(vs, err, fields)
	})
	return b
}

// write hands octets on, and stops when there is more white space than the
// verifier should keep.
func (b *body) write(p []byte) {
	if b.closed {
		return
	}
	for _, c := range p {
		switch c {
		case ' ', '\t', '\r', '\n':
			if b.blank++; b.blank > blankMost {
				b.refuse = true
				b.close()
				return
			}
		default:
			b.blank = 0
		}
	}
	_, _ = b.w.Write(p) // the other side reads to the end, whatever it finds
}

// close ends the message and waits for the results. The pipe ends as if the
// message did: of an error in reading the library's goroutines never hear.
func (b *body) close() {
	if !b.closed {
		b.closed = true
		_ = b.w.Close()
	}
	<-b.done
	if b.refuse {
		for i := range b.results {
			b.results[i].Result, b.results[i].Reason = envelope.AuthPermError, "too much white space"
		}
	}
}

func (b *body) verdicts(vs []*dkim.Verification, err error, fields []header.Field) []envelope.Signature {
	if err != nil && !errors.Is(err, dkim.ErrTooManySignatures) || len(vs) == 0 {
		return []envelope.Signature{{Result: envelope.AuthPermError, Reason: "the signatures cannot be read"}}
	}
	var out []envelope.Signature
	for i, v := range vs {
		s := envelope.Signature{Result: envelope.AuthFail}
		d, ok := ascii(v.Domain)
		if ok {
			s.Domain = d
		}
		if i < len(fields) {
			if sel, ok := ascii(strings.Join(strings.Fields(tag(header.Unfold(fields[i].Value()), "s")), "")); ok {
				s.Selector = sel
			}
		}
		switch {
		case v.Err == nil && ok:
			s.Result = envelope.AuthPass
		case dkim.IsTempFail(v.Err):
			s.Result, s.Reason = envelope.AuthTempError, "no answer for the key"
		case dkim.IsPermFail(v.Err):
			s.Result, s.Reason = envelope.AuthPermError, reason(v.Err)
		case v.Err != nil:
			s.Reason = reason(v.Err)
		}
		out = append(out, s)
	}
	return out
}

// reason is the library's sentence without what a sender or a DNS answer put
// into it.
func reason(err error) string {
	s := strings.TrimPrefix(err.Error(), "dkim: ")
	s, _, _ = strings.Cut(s, ":")
	return s[:min(len(s), 80)]
}

// tag returns a tag's value in a list of them.
func tag(list, name string) string {
	for _, t := range strings.Split(list, ";") {
		if k, v, ok := strings.Cut(t, "="); ok && strings.TrimSpace(k) == name {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// unfit says why a header block is not for the library: what it costs there
// grows with the square of what it holds.
func unfit(b header.Block) string {
	copied := 0
	for _, f := range b.Fields {
		lines := bytes.Count(f.Raw, []byte("\n"))
		copied += lines * len(f.Raw) / 2
		if !f.Is("DKIM-Signature") {
			continue
		}
		if strings.Count(tag(header.Unfold(f.Value()), "h"), ":") >= signedMost {
			return "too many signed fields"
		}
	}
	if copied > joinMost {
		return "header folded too often"
	}
	return ""
}
