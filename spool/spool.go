// Package spool is durable custody: the bytes of accepted messages and the
// journal of what is to happen to them. A message is one entry per tenant in
// one of four states; every change of state in the gateway is a Claim or a
// Take followed by one Settle, and the audit events of the change are written
// in the same transaction. What was acknowledged to a peer is never lost, and
// nothing is ever discarded.
package spool

import (
	"context"
	"errors"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/internal/blob"
	"sekisho/policy"
	"sekisho/sanitize"
)

// State is where a message stands.
type State uint8

// The four states. Zero is none of them.
const (
	Received State = 1 // accepted, to be examined
	Queued   State = 2 // examined and sealed, to be delivered
	Held     State = 3 // waits for a person or for expiry
	Done     State = 4 // delivered, given up, deleted or expired
)

func (s State) String() string {
	switch s {
	case Received:
		return "Received"
	case Queued:
		return "Queued"
	case Held:
		return "Held"
	case Done:
		return "Done"
	default:
		return "unknown"
	}
}

// Errors that callers branch on.
var (
	ErrNotFound = errors.New("not found") // also for another tenant's
	ErrState    = errors.New("not in that state")
	ErrLost     = errors.New("lease lost")
	ErrFull     = errors.New("disk nearly full")
)

// Entry is one row of the journal.
type Entry struct {
	Envelope  envelope.Envelope  `json:"envelope"`
	State     State              `json:"state"`
	Part      []string           `json:"part,omitempty"`    // empty: the whole message; otherwise the paths inside Original that are kept back
	Parent    envelope.ID        `json:"parent,omitempty"`  // the message a part or bounce comes from
	Pending   []envelope.Address `json:"pending,omitempty"` // recipients not yet served
	Original  blob.Ref           `json:"original"`
	Sanitized blob.Ref           `json:"sanitized"`
	Intake    []byte             `json:"intake"`               // intake seal
	Seal      []byte             `json:"seal,omitempty"`       // outgoing seal
	Networks  []envelope.Network `json:"networks,omitempty"`   // the seal's
	Kind      string             `json:"kind,omitempty"`       // the seal's: treated, passed, ours
	HeaderLen int64              `json:"header_len,omitempty"` // where the sealed header block ends in the bytes to send
	Report    *sanitize.Report   `json:"report,omitempty"`
	Verdict   policy.Verdict     `json:"verdict"`
	Release   *policy.Release    `json:"release,omitempty"`    // who asked for it to be examined again
	TLSReport bool               `json:"tls_report,omitempty"` // our own report to another domain of how TLS went with it
	Attempts  int                `json:"attempts,omitempty"`   // of delivery
	Delayed   bool               `json:"delayed,omitempty"`    // whoever is told of a delay has been
	Err       string             `json:"err,omitempty"`        // of the last attempt
	Due       time.Time          `json:"due"`
	Expires   time.Time          `json:"expires"` // Held: when it is deleted; Done: when its bytes are
	Lease     string             `json:"-"`       // who has it in hand
	Deaths    int                `json:"-"`       // leases that ran out, or daemons that died, with it in hand
	Tampered  string             `json:"-"`       // set by the store when the row is not as the gateway wrote it
}

// A Change is everything that follows from one step, committed together.
type Change struct {
	To     State
	Update func(*Entry)
	Spawn  []Entry // a bounce, a notice, a part kept back, a partial release
	Events []audit.Event
}

// Filter narrows a list. Zero fields do not.
type Filter struct {
	Tenant envelope.TenantID // empty: all the caller may see
	State  State
	Parent envelope.ID // entries spawned from this one
	Before time.Time   // Received, Queued: due before; Held, Done: expiring before
	Limit  int         // zero: 1,000
	After  envelope.ID // for paging: entries with a greater id
}

// Journal is the durable list of entries. All methods may be used by many
// goroutines. A method that returns nil has made its change durable.
type Journal interface {
	// Insert adds new entries with their events, all or none.
	Insert(ctx context.Context, es []Entry, events []audit.Event) error
	// Claim leases up to n entries of state s that are due at now and in
	// nobody's hand, oldest first, every tenant with work getting its turn. For
	// Held it is Expires that must be past, and zero never is. An entry whose
	// lease ran out counts a death; of entries with deaths only one at a time is
	// in hand, so that the one that kills the daemon takes no other with it.
	Claim(ctx context.Context, s State, now time.Time, n int) ([]Entry, error)
	// Take leases one entry for a person's act. ErrNotFound also for another
	// tenant's, and for no tenant; ErrState when it is not in s or in somebody's
	// hand.
	Take(ctx context.Context, t envelope.TenantID, id envelope.ID, s State) (Entry, error)
	// Renew prolongs the lease of e. ErrLost if it is gone.
	Renew(ctx context.Context, e Entry) error
	// Hasten makes entries of state s due at now that are due later and in
	// nobody's hand, and returns their number. Ids that are none of these are
	// passed over. It need not survive a power cut.
	Hasten(ctx context.Context, s State, ids []envelope.ID, now time.Time) (int, error)
	// Settle commits a change and gives the lease up. ErrLost if it is gone.
	// Update gets a copy of e; the envelope it cannot change.
	Settle(ctx context.Context, e Entry, c Change) error
	// Get reads one entry without leasing it. Empty tenant: any tenant's.
	Get(ctx context.Context, t envelope.TenantID, id envelope.ID) (Entry, error)
	// List reads entries without leasing them, by id, which is oldest first.
	List(ctx context.Context, f Filter) ([]Entry, error)
	// Referenced reports whether a row still names the blob.
	Referenced(ctx context.Context, id blob.ID) (bool, error)
	// Purge deletes Done entries whose Expires is past and returns the blobs
	// that no row names any more; the caller deletes them.
	Purge(ctx context.Context, now time.Time, n int) ([]blob.ID, error)
	// Count returns the number of entries by state and when the oldest Queued
	// one was received; zero when there is none.
	Count(ctx context.Context) (map[State]int64, time.Time, error)
	// Audit reads records after seq, at most n. Empty tenant: all.
	Audit(ctx context.Context, t envelope.TenantID, seq int64, n int) ([]audit.Record, error)
	// Record adds events that belong to no entry (accounts, alarms).
	Record(ctx context.Context, events []audit.Event) error
}
