package spool

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/internal/seal"
)

// Times and counts of limits.md that every user of the spool shares.
const (
	// LeaseTime is how long an entry stays in a daemon's hand unless renewed:
	// another takes over within a minute.
	LeaseTime = 45 * time.Second
	// RenewEvery leaves two chances before a lease runs out.
	RenewEvery = 15 * time.Second
	// PoisonDeaths is the number of deaths after which an entry is held as
	// poison instead of being tried again.
	PoisonDeaths = 3
	// orphanAge is how long a blob may be without a row. It is written before
	// its row, and no step between the two takes a day.
	orphanAge = 24 * time.Hour
	// DefaultInline is a good value of Spool.Inline: at 10 connections a text
	// mail of 4 KiB is accepted eight times as fast in the journal as in a file,
	// one of 16 KiB twice, and from 32 KiB on nothing is gained.
	DefaultInline = 16 << 10
	// MaxInline bounds Spool.Inline: a draft holds that much in memory, and a
	// database full of mail is slow to check and to back up.
	MaxInline = 64 << 10
	// DefaultMaxMessage is the message limit: the Ministry asks for a cap.
	DefaultMaxMessage = 20 << 20
	// reserve is what must stay free beside one and a half messages, so that
	// what is queued can still be settled.
	reserve = 200 << 20
	// minInodesPercent is what must stay free of the inodes.
	minInodesPercent = 1
)

// Errors that callers branch on.
var (
	// ErrTampered says that something stored is not what the gateway wrote.
	ErrTampered = errors.New("tampered")
	// ErrUncertain says that a change may or may not have become durable: the
	// disk failed during the commit. The journal takes no more changes until
	// the daemon is started again.
	ErrUncertain = errors.New("commit failed, its outcome is not known")
	// ErrExists says that there is one of that name already.
	ErrExists = errors.New("exists already")
)

// Spool is durable custody as the rooms use it: the journal, the bytes, and
// the keys and seals that bind them together. Its fields are set once, before
// it is used; all methods may be used by many goroutines.
type Spool struct {
	Journal
	Blobs blob.Store
	Keys  *blob.Keyring
	Seal  *seal.Signer
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // alarms about damaged blobs; nil: slog.Default
	// MaxMessage is the message limit; zero is DefaultMaxMessage. It counts
	// here only for the disk space that must be free.
	MaxMessage int64
	limit      atomic.Int64 // in its place since Resize
	// Inline is the size up to which bytes live in the journal itself, if it can
	// (Inliner): their commit is then the row's, one fsync instead of three.
	// Zero keeps everything in Blobs; more than MaxInline counts as that.
	Inline int64
	// Hand gives a place among those who work on what was received, nil where none
	// is free at once. take is called once, with the entry that was accepted, or
	// with nil to give the place back. A nil Hand leaves all to be claimed.
	Hand func(t envelope.TenantID) (take func(*Entry))
	// Notes keep what next hops answered until it is settled; nil: nothing is
	// noted, and a kill in between has it sent again.
	Notes *Notes
	// MinFree is the disk space that must be free; zero is 1.5 times
	// MaxMessage and 200 MiB.
	MinFree int64

	held   heldBytes
	fresh  fresh
	recent recent
}

// A Notifier is a journal that can say when there is something to claim.
type Notifier interface {
	// Changed returns a channel that receives after entries came into state s
	// and may be claimed at once. It holds one token, for one reader; who
	// reads it must poll as well, for what falls due later.
	Changed(s State) <-chan struct{}
}

// Turns says how the turns of tenants are given. The zero value gives every
// tenant with work the same share of every claim.
type Turns struct {
	// Seats is how many tenants can be served beside one another at no cost.
	Seats int
	// Run is how many entries in a row a tenant gets when more than Seats of
	// them have work, so that whatever has to be made ready for a tenant is
	// made ready once for all of these.
	Run int
}

// A TurnTaker is a journal whose claims can follow Turns.
type TurnTaker interface {
	// ClaimInTurns is Claim, by these turns.
	ClaimInTurns(ctx context.Context, s State, now time.Time, n int, turns Turns) ([]Entry, error)
}

// ClaimInTurns is the journal's, or its Claim.
func (s *Spool) ClaimInTurns(ctx context.Context, st State, now time.Time, n int, turns Turns) ([]Entry, error) {
	if t, ok := s.Journal.(TurnTaker); ok {
		return t.ClaimInTurns(ctx, st, now, n, turns)
	}
	return s.Claim(ctx, st, now, n)
}

// An Adopter is a journal whose new entries can be in somebody's hand at once.
type Adopter interface {
	// InsertInHand is Insert of one entry and a Claim of it, in one change, which
	// is durable when it returns.
	InsertInHand(ctx context.Context, e Entry, events []audit.Event) (Entry, error)
}

// An Inliner is a journal that stores the bytes of small blobs (Ref.Inline)
// in the transaction of the row that names them, and deletes them when no row
// does any more.
type Inliner interface {
	// SmallBlob returns a small blob as it is at rest, or blob.ErrNotFound.
	SmallBlob(ctx context.Context, id blob.ID) ([]byte, error)
	// SetAside keeps a damaged small blob for ever, where SmallBlob does not
	// find it; blob.ErrNotFound when there is none.
	SetAside(ctx context.Context, id blob.ID) error
}

// Changed is the journal's Changed, or a channel that never receives.
func (s *Spool) Changed(st State) <-chan struct{} {
	if n, ok := s.Journal.(Notifier); ok {
		return n.Changed(st)
	}
	return nil
}

func (s *Spool) now() time.Time {
	if s.Now == nil {
		return time.Now()
	}
	return s.Now()
}

func (s *Spool) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// Resize changes the message limit while messages come in.
func (s *Spool) Resize(limit int64) { s.limit.Store(limit) }

// Nearly fails with ErrFull when the disk is so nearly full that no further
// message may be begun. It is cheap enough for every MAIL command.
func (s *Spool) Nearly(ctx context.Context) error {
	free, inodes, err := s.Blobs.Free(ctx)
	if err != nil {
		return err
	}
	need := s.MinFree
	if need == 0 {
		limit := s.limit.Load()
		if limit == 0 {
			limit = s.MaxMessage
		}
		if limit == 0 {
			limit = DefaultMaxMessage
		}
		need = limit + limit/2 + reserve
	}
	if free < need {
		return fmt.Errorf("%w: %d MiB free, %d MiB needed", ErrFull, free>>20, need>>20)
	}
	if inodes < minInodesPercent {
		return fmt.Errorf("%w: less than %d %% of the inodes are free", ErrFull, minInodesPercent)
	}
	return nil
}

// Headstart is how much older a short text counts as than it is: when more comes
// than can be treated, texts, which need a hundredth of a document's time, do not
// wait behind documents, and no document waits behind the texts of more than a
// minute.
const Headstart = time.Minute

// Accept makes the draft durable as one entry in state Received per envelope,
// fills their Size and Digest, and returns nil only when bytes, rows and audit
// are on disk: only then may a peer read 250. On an error nothing is visible.
func (s *Spool) Accept(ctx context.Context, d *Draft, envs []envelope.Envelope) error {
	if len(envs) == 0 {
		d.Abort()
		return errors.New("accept: no envelope")
	}
	digest := d.Digest()
	if err := d.commit(); err != nil {
		return fmt.Errorf("accept: %w", err)
	}
	now := s.now()
	due := now
	if d.Short {
		due = now.Add(-Headstart)
	}
	es := make([]Entry, len(envs))
	events := make([]audit.Event, len(envs))
	for i := range envs {
		env := &envs[i]
		env.Size, env.Digest = d.Size(), digest
		ref, err := d.ref(ctx, env.Tenant)
		if err != nil {
			d.discard()
			return fmt.Errorf("accept: %w", err)
		}
		es[i] = Entry{
			Envelope: *env,
			State:    Received,
			Pending:  slices.Clone(env.To),
			Original: ref,
			Intake:   s.Seal.SealIntake(intake(env)),
			Due:      due,
		}
		events[i] = audit.Event{
			Time: now, Tenant: string(env.Tenant), Actor: "gateway", Act: "received", ID: string(env.ID),
			Detail: fmt.Sprintf("zone %s, %d recipients, %d bytes, sha256 %s", env.Zone, len(env.To), env.Size, env.Digest),
		}
	}
	if err := s.insert(ctx, es, events); err != nil {
		// Whether a commit that failed on the disk comes back at the next start
		// is not known: such a row must find its bytes. The sweep takes them if
		// there is none.
		if !errors.Is(err, ErrUncertain) {
			d.discard()
		}
		return fmt.Errorf("accept: %w", err)
	}
	return nil
}

// insert makes accepted entries durable, with the bytes of small ones at hand.
func (s *Spool) insert(ctx context.Context, es []Entry, events []audit.Event) error {
	// Before the commit, since a claim may be quicker than who waits for it.
	first := es[0].Original
	s.recent.put(first.ID, first.Inline, s.now())
	err := s.insertHanded(ctx, es, events)
	if err != nil {
		s.recent.take(first.ID)
	}
	return err
}

// insertHanded gives an entry that somebody is free for into his hand with the
// commit that makes it durable: it needs no claim, and is not read back.
func (s *Spool) insertHanded(ctx context.Context, es []Entry, events []audit.Event) error {
	a, ok := s.Journal.(Adopter)
	if !ok || s.Hand == nil || len(es) > 1 {
		return s.Insert(ctx, es, events)
	}
	take := s.Hand(es[0].Envelope.Tenant)
	if take == nil {
		return s.Insert(ctx, es, events)
	}
	e, err := a.InsertInHand(ctx, es[0], events)
	if err != nil {
		take(nil)
		return err
	}
	take(&e)
	return nil
}

// WriteBlob makes a blob of this tenant from what write writes. It is durable
// when WriteBlob returns or, when it is small, with the Insert or Settle that
// names it; Open reads it at once. A row has to name it within a day, or the
// sweep takes it.
func (s *Spool) WriteBlob(ctx context.Context, t envelope.TenantID, write func(io.Writer) error) (blob.Ref, envelope.Digest, error) {
	d, err := s.draft(ctx)
	if err != nil {
		return blob.Ref{}, envelope.Digest{}, err
	}
	if err := write(d); err != nil {
		d.Abort()
		return blob.Ref{}, envelope.Digest{}, err
	}
	if err := d.commit(); err != nil {
		return blob.Ref{}, envelope.Digest{}, err
	}
	ref, err := d.ref(ctx, t)
	if err != nil {
		d.discard()
		return blob.Ref{}, envelope.Digest{}, err
	}
	return ref, d.Digest(), nil
}

// Open opens a blob that a row of this tenant names. It fails with ErrTampered
// when the row's key is not this tenant's key for this blob, and with
// blob.ErrDamaged when the bytes are not those that were written; then the blob
// is moved aside, with an alarm. The same may come later from the reader.
func (s *Spool) Open(ctx context.Context, t envelope.TenantID, ref blob.Ref) (blob.Reader, error) {
	key, err := s.Keys.Unwrap(ctx, string(t), ref.Wrapped, ref.ID)
	if errors.Is(err, blob.ErrUnwrap) {
		return nil, fmt.Errorf("%w: %w", ErrTampered, err)
	}
	if err != nil {
		return nil, err
	}
	r, err := s.read(ctx, ref, key)
	if err != nil {
		s.aside(ctx, ref.ID, err)
		return nil, err
	}
	return &watched{Reader: r, spool: s, ctx: context.WithoutCancel(ctx), id: ref.ID}, nil
}

// read finds a blob where it is.
func (s *Spool) read(ctx context.Context, ref blob.Ref, key blob.Key) (blob.Reader, error) {
	small := ref.Inline
	if small == nil {
		small = s.recent.take(ref.ID)
	}
	if in, ok := s.Journal.(Inliner); ok && small == nil && ref.Size <= MaxInline {
		var err error
		small, err = in.SmallBlob(ctx, ref.ID)
		if err != nil && !errors.Is(err, blob.ErrNotFound) {
			return nil, err
		}
	}
	if small == nil {
		return s.Blobs.Open(ctx, ref.ID, key)
	}
	r, err := blob.NewReader(bytes.NewReader(small), nil, int64(len(small)), ref.ID, key)
	if err != nil {
		return nil, fmt.Errorf("open blob %s: %w", ref.ID, err)
	}
	return r, nil
}

// aside moves a blob out of the way if err says that it is damaged. Its key was
// the right one: it is the bytes that changed, not the row.
func (s *Spool) aside(ctx context.Context, id blob.ID, err error) {
	if !errors.Is(err, blob.ErrDamaged) {
		return
	}
	ctx = context.WithoutCancel(ctx)
	merr := blob.ErrNotFound
	if in, ok := s.Journal.(Inliner); ok {
		merr = in.SetAside(ctx, id)
	}
	if errors.Is(merr, blob.ErrNotFound) {
		merr = s.Blobs.Aside(ctx, id)
	}
	if errors.Is(merr, blob.ErrNotFound) {
		merr = nil // another reader was quicker
	}
	s.log().Error("damaged blob moved aside", "blob", string(id), "err", errors.Join(err, merr))
}

// watched moves a blob aside that turns out damaged while it is read.
type watched struct {
	blob.Reader
	spool *Spool
	ctx   context.Context
	id    blob.ID
}

func (w *watched) ReadAt(p []byte, off int64) (int, error) {
	n, err := w.Reader.ReadAt(p, off)
	if err != nil && err != io.EOF {
		w.spool.aside(w.ctx, w.id, err)
	}
	return n, err
}

// CheckIntake fails with ErrTampered unless the entry's envelope is the one
// that was sealed when the message was accepted. It says nothing of the bytes:
// CopyChecked does.
func (s *Spool) CheckIntake(e Entry) error {
	if err := s.Seal.Verifier().CheckIntake(intake(&e.Envelope), e.Intake); err != nil {
		return fmt.Errorf("%w: intake: %w", ErrTampered, err)
	}
	return nil
}

// CopyChecked writes the entry's original bytes to w and fails with ErrTampered
// unless they are those of the envelope. The envelope itself is CheckIntake's.
// After any error w holds bytes that must not be used.
func (s *Spool) CopyChecked(ctx context.Context, e Entry, w io.Writer) error {
	r, err := s.Open(ctx, e.Envelope.Tenant, e.Original)
	if err != nil {
		return fmt.Errorf("copy original of %s: %w", e.Envelope.ID, err)
	}
	defer r.Close()
	if r.Size() != e.Envelope.Size {
		return fmt.Errorf("%w: original of %s has %d bytes, not %d", ErrTampered, e.Envelope.ID, r.Size(), e.Envelope.Size)
	}
	h := sha256.New()
	in := io.NewSectionReader(&cancelled{r, ctx}, 0, r.Size())
	if _, err := io.CopyBuffer(struct{ io.Writer }{io.MultiWriter(w, h)}, in, make([]byte, min(64<<10, r.Size()+1))); err != nil {
		return fmt.Errorf("copy original of %s: %w", e.Envelope.ID, err)
	}
	if envelope.Digest(h.Sum(nil)) != e.Envelope.Digest {
		return fmt.Errorf("%w: original of %s does not have the digest of its intake seal", ErrTampered, e.Envelope.ID)
	}
	return nil
}

// cancelled stops a long copy between two chunks.
type cancelled struct {
	io.ReaderAt
	ctx context.Context
}

func (c *cancelled) ReadAt(p []byte, off int64) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	return c.ReaderAt.ReadAt(p, off)
}

// KeepLease renews the entry's lease until stop is called. The context it
// returns ends when the lease is lost: from then on somebody else may have the
// entry, and the work on it must stop. stop waits for a renewal under way.
func (s *Spool) KeepLease(ctx context.Context, e Entry) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	ended := make(chan struct{})
	// Most work is done long before the first renewal: no goroutine waits for it.
	first := time.AfterFunc(RenewEvery, func() {
		defer close(ended)
		s.keepRenewing(ctx, cancel, e)
	})
	return ctx, sync.OnceFunc(func() {
		cancel(context.Canceled)
		if !first.Stop() {
			<-ended
		}
	})
}

func (s *Spool) keepRenewing(ctx context.Context, cancel context.CancelCauseFunc, e Entry) {
	t := time.NewTicker(RenewEvery)
	defer t.Stop()
	for failures := 0; ; {
		switch err := s.Renew(ctx, e); {
		case err == nil:
			failures = 0
		case ctx.Err() != nil:
			return
		default:
			// A disk that stumbles once must not cost the work done so far,
			// but two misses leave no time.
			failures++
			if errors.Is(err, ErrLost) || failures > 1 {
				cancel(fmt.Errorf("renew %s: %w", e.Envelope.ID, err))
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// Sweep deletes Done entries whose Expires is past with the bytes that only
// they named, and blobs older than a day that no row names: those of messages
// whose acceptance failed. It returns the number of blobs deleted.
func (s *Spool) Sweep(ctx context.Context) (int, error) {
	const portion = 500 // short enough not to keep the mail waiting
	n := 0
	for {
		ids, err := s.Purge(ctx, s.now(), portion)
		if err != nil {
			return n, fmt.Errorf("sweep: %w", err)
		}
		for _, id := range ids {
			if err := s.Blobs.Delete(ctx, id); err != nil {
				return n, fmt.Errorf("sweep: %w", err)
			}
			n++
		}
		// Entries whose bytes others still name give no id; what is left then
		// is left to the next sweep.
		if len(ids) == 0 {
			break
		}
	}
	err := s.Blobs.Walk(ctx, func(id blob.ID, age int64) error {
		if age < int64(orphanAge/time.Second) || s.fresh.has(id, time.Now()) {
			return nil
		}
		named, err := s.Referenced(ctx, id)
		if err != nil || named {
			return err
		}
		n++
		return s.Blobs.Delete(ctx, id)
	})
	if err != nil {
		return n, fmt.Errorf("sweep: %w", err)
	}
	return n, nil
}
