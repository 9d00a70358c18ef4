package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"hash"
	"io/fs"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
)

// A Draft is a message that is being received. It is a writer for one
// goroutine, and ends in Accept or Abort.
type Draft struct {
	// Short says that it seems to be a short plain text; see Headstart.
	Short bool

	spool *Spool
	ctx   context.Context // of NewDraft, for the blob that may have to be made later
	hash  hash.Hash
	size  int64
	limit int64  // up to which it stays in small
	small []byte // all of it, while w is nil
	w     blob.Writer
	ended bool

	// What commit made of it.
	id     blob.ID
	key    blob.Key
	inline []byte
}

// NewDraft begins a message, or fails with ErrFull.
func (s *Spool) NewDraft(ctx context.Context) (*Draft, error) {
	if err := s.Nearly(ctx); err != nil {
		return nil, err
	}
	return s.draft(ctx)
}

// draft begins a blob without asking for free space: what was accepted must be
// finished as long as a byte is left.
func (s *Spool) draft(ctx context.Context) (*Draft, error) {
	d := &Draft{spool: s, ctx: ctx, hash: sha256.New()}
	if _, ok := s.Journal.(Inliner); ok && s.Inline > 0 {
		d.limit = min(s.Inline, MaxInline)
		return d, ctx.Err()
	}
	return d, d.spill()
}

// spill moves the draft from memory into a blob.
func (d *Draft) spill() error {
	var err error
	if d.w, err = d.spool.Blobs.Create(d.ctx); err != nil {
		return err
	}
	_, err = d.w.Write(d.small)
	clear(d.small)
	d.small = nil
	return err
}

// Write adds bytes to the message.
func (d *Draft) Write(p []byte) (int, error) {
	if d.ended {
		return 0, fmt.Errorf("write draft: %w", fs.ErrClosed)
	}
	n := len(p)
	if d.w == nil && d.size+int64(n) > d.limit {
		if err := d.spill(); err != nil {
			d.Abort()
			return 0, err
		}
	}
	var err error
	if d.w == nil {
		d.small = append(d.small, p...)
	} else {
		n, err = d.w.Write(p)
	}
	d.hash.Write(p[:n])
	d.size += int64(n)
	return n, err
}

// Size returns how many bytes were written.
func (d *Draft) Size() int64 { return d.size }

// Digest returns the SHA-256 of the bytes written.
func (d *Draft) Digest() envelope.Digest { return envelope.Digest(d.hash.Sum(nil)) }

// Abort throws the draft away. After Accept it does nothing.
func (d *Draft) Abort() {
	if d.ended {
		return
	}
	d.ended = true
	clear(d.small)
	d.small = nil
	if d.w != nil {
		d.w.Abort()
	}
}

// commit ends the draft. Its bytes are then durable, or stand encrypted in
// inline, to become so with their row.
func (d *Draft) commit() error {
	if d.ended {
		return fmt.Errorf("commit draft: %w", fs.ErrClosed)
	}
	d.ended = true
	if d.w != nil {
		d.id, d.key = d.w.ID(), d.w.Key()
		d.spool.fresh.add(d.id, time.Now())
		return d.w.Commit()
	}
	d.id, d.key = blob.NewID(d.spool.now()), blob.NewKey()
	var b bytes.Buffer
	b.Grow(len(d.small) + len(d.small)/64 + 256) // its form adds a head and a tag for each chunk
	enc, err := blob.NewEncoder(&b, d.id, d.key)
	if err != nil {
		return err
	}
	_, err = enc.Write(d.small)
	if eerr := enc.End(err == nil); err == nil {
		err = eerr
	}
	d.inline = b.Bytes()
	clear(d.small)
	d.small = nil
	return err
}

// ref names a committed draft in a row of this tenant.
func (d *Draft) ref(ctx context.Context, t envelope.TenantID) (blob.Ref, error) {
	wrapped, err := d.spool.Keys.Wrap(ctx, string(t), d.key, d.id)
	if err != nil {
		return blob.Ref{}, err
	}
	return blob.Ref{ID: d.id, Size: d.size, Wrapped: wrapped, Inline: d.inline}, nil
}

// discard removes a committed draft that no row names. What fails here is left
// to the sweep.
func (d *Draft) discard() {
	if d.w != nil {
		_ = d.spool.Blobs.Delete(context.WithoutCancel(d.ctx), d.id)
	}
}
