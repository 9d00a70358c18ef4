package sqlite

import (
	"cmp"
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"slices"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
)

// Claim is spool.Journal's.
func (s *Store) Claim(ctx context.Context, st spool.State, now time.Time, n int) ([]spool.Entry, error) {
	return s.ClaimInTurns(ctx, st, now, n, spool.Turns{})
}

// ClaimInTurns is spool.TurnTaker's.
func (s *Store) ClaimInTurns(ctx context.Context, st spool.State, now time.Time, n int, turns spool.Turns) ([]spool.Entry, error) {
	if n <= 0 {
		return nil, nil
	}
	lease := rand.Text()
	var es []spool.Entry
	err := s.hurry(ctx, func(t *tx) error {
		for len(es) < n {
			rows, err := t.due(st, now, n-len(es), turns)
			if err != nil {
				return err
			}
			got := false
			for i := range rows {
				e, ok, err := t.lease(&rows[i], lease, now)
				if err != nil {
					return err
				}
				if ok {
					es, got = append(es, e), true
				}
			}
			// What was asked for and is not there does not come by asking
			// again, unless all that came was moved out of the way.
			if got || len(rows) == 0 {
				break
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim: %w", err)
	}
	return es, nil
}

// lease puts a row into the caller's hand. It returns false for a row that is
// not for the caller: one that cannot be read is moved aside, a held one that
// was tampered with goes back to be looked at instead of expiring.
func (t *tx) lease(r *row, lease string, now time.Time) (spool.Entry, bool, error) {
	e, err := t.s.decode(r)
	if err != nil {
		return e, false, t.damaged(r, err)
	}
	if e.Tampered != "" && (e.State == spool.Held || e.State == spool.Done) {
		return e, false, t.lookAgain(r, now)
	}
	if r.lease != "" {
		e.Deaths++ // it ran out
	}
	if e.Deaths > 0 {
		t.s.suspect[e.State] = suspect{e.Envelope.ID, now}
	}
	return e, true, t.take(r, &e, lease, now)
}

// take writes the lease.
func (t *tx) take(r *row, e *spool.Entry, lease string, now time.Time) error {
	if e.Tampered != "" {
		t.alarms = append(t.alarms, alarm{"a row of the journal is not as the gateway wrote it", r.id})
	}
	e.Lease = lease
	_, err := t.exec("UPDATE entries SET lease = ?, lease_until = ?, deaths = ? WHERE seq = ?",
		lease, now.Add(spool.LeaseTime).UnixMicro(), e.Deaths, r.seq)
	return err
}

// lookAgain sends a tampered row that nobody works on to the pipeline, which
// holds it. Its seal is taken away, so that the pipeline sees what happened: a
// row that was Received, and whose state alone was changed, would fit its seal
// again.
func (t *tx) lookAgain(r *row, now time.Time) error {
	_, err := t.exec("UPDATE entries SET state = ?, due = ?, seal = x'', lease = '', lease_until = 0 WHERE seq = ?", int64(spool.Received), now.UnixMicro(), r.seq)
	if err != nil {
		return err
	}
	t.woken[spool.Received] = true
	t.alarms = append(t.alarms, alarm{"a row of the journal is not as the gateway wrote it", r.id})
	return t.record([]audit.Event{{Time: now, Tenant: r.tenant, Actor: "gateway", Act: "tampered", ID: r.id,
		Detail: "the row was changed outside of the gateway; it is examined again"}})
}

// damaged moves a row that cannot be read out of the way. Its blobs stay.
func (t *tx) damaged(r *row, why error) error {
	_, err := t.exec("INSERT INTO damaged (moved, reason, id, tenant, parent, state, due, expires, original, sanitized, facts, seal) "+
		"SELECT ?, ?, id, tenant, parent, state, due, expires, original, sanitized, facts, seal FROM entries WHERE seq = ?",
		t.s.now().UnixMicro(), why.Error(), r.seq)
	if err != nil {
		return err
	}
	if _, err := t.exec("DELETE FROM entries WHERE seq = ?", r.seq); err != nil {
		return err
	}
	t.alarms = append(t.alarms, alarm{"a row of the journal cannot be read and was moved to the table damaged", r.id})
	return t.record([]audit.Event{{Time: t.s.now(), Tenant: r.tenant, Actor: "gateway", Act: "damaged", ID: r.id,
		Detail: "the row cannot be read and was moved aside"}})
}

// due picks the rows to lease, in the order in which they are due.
func (t *tx) due(st spool.State, now time.Time, n int, turns spool.Turns) ([]row, error) {
	at := now.UnixMicro()
	switch st {
	case spool.Received, spool.Queued:
	case spool.Held:
		return t.rows(heldDue, at, at, n)
	default:
		return nil, fmt.Errorf("state %s is not worked on: %w", st, spool.ErrState)
	}
	var picked []row
	// Of entries that had deaths, or whose lease ran out, one at a time: the
	// one that kills the daemon must not add to the deaths of the others.
	if sus := t.s.suspect[st]; sus.id == "" || now.Sub(sus.since) >= suspectTime || now.Before(sus.since) {
		rows, err := t.rows(suspectDue[st], at, at)
		if err != nil {
			return nil, err
		}
		picked = append(picked, rows...)
	}
	rows, err := t.fair(st, at, n-len(picked), turns)
	if err != nil {
		return nil, err
	}
	picked = append(picked, rows...)
	slices.SortFunc(picked, func(a, b row) int { return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.seq, b.seq)) })
	return picked, nil
}

// fair picks up to n rows, as many from every tenant that has work: fifty
// thousand mails to one do not keep the mail of the others waiting. The turn
// goes on where it ended the last time.
func (t *tx) fair(st spool.State, at int64, n int, turns spool.Turns) ([]row, error) {
	if n <= 0 {
		return nil, nil
	}
	tenants, err := t.tenants(st)
	if err != nil || len(tenants) == 0 {
		return nil, err
	}
	if turns.Seats > 0 && len(tenants) > turns.Seats {
		return t.inTurns(st, at, n, turns.Run, tenants)
	}
	turn := &t.s.turn[st]
	turn.had = 0
	first, _ := slices.BinarySearch(tenants, turn.tenant+"\x00") // the one after
	tenants = slices.Concat(tenants[first:], tenants[:first])
	share := max(1, n/len(tenants))
	var picked []row
	for round := 0; round < 2 && len(picked) < n; round++ {
		seen := map[int64]bool{}
		for i := range picked {
			seen[picked[i].seq] = true
		}
		for _, tenant := range tenants {
			want := min(share, n-len(picked))
			if round == 1 {
				want = n // what the others left over; those picked come again and are passed over
			}
			rows, err := t.rows(dueOfTenant[st], tenant, at, want)
			if err != nil {
				return nil, err
			}
			for i := range rows {
				if !seen[rows[i].seq] && len(picked) < n {
					picked = append(picked, rows[i])
					turn.tenant = tenant
				}
			}
			if len(picked) == n {
				break
			}
		}
		if len(tenants) == 1 {
			break
		}
	}
	return picked, nil
}

// inTurns picks up to n rows, up to run of a tenant before it is the next one's
// turn, over as many claims as that takes. The turn goes up and down the list
// like a lift: whatever was made ready for the last few tenants is still there
// when it comes back to them.
func (t *tx) inTurns(st spool.State, at int64, n, run int, tenants []string) ([]row, error) {
	turn := &t.s.turn[st]
	i, found := slices.BinarySearch(tenants, turn.tenant)
	up, down := tenants[i:], slices.Clone(tenants[:i])
	slices.Reverse(down)
	var now []string // whose turn has begun
	if found {
		up = up[1:]
		if turn.had < run {
			now = tenants[i : i+1]
		}
	}
	ways := [][]string{now, up, down}
	if turn.down {
		ways = [][]string{now, down, up}
	}
	var picked []row
	for k, way := range ways {
		for _, tenant := range way {
			if len(picked) == n {
				return picked, nil
			}
			had := 0
			if k == 0 {
				had = turn.had
			}
			want := min(run-had, n-len(picked))
			rows, err := t.rows(dueOfTenant[st], tenant, at, want)
			if err != nil {
				return nil, err
			}
			picked = append(picked, rows...)
			if len(rows) < want {
				had = run // it has no more: its turn is over
			}
			if len(rows) > 0 || k == 0 {
				turn.tenant, turn.had = tenant, had+len(rows)
				if k == 2 {
					turn.down, k = !turn.down, 1 // it has turned, once
				}
			}
		}
	}
	return picked, nil
}

// tenants lists the tenants that have entries in state st, one step in the
// index for each.
func (t *tx) tenants(st spool.State) ([]string, error) {
	var ts []string
	last := ""
	for {
		found := false
		err := t.query(func(rows *sql.Rows) error {
			found = true
			return rows.Scan(&last)
		}, nextTenant[st], last)
		if err != nil || !found {
			return ts, err
		}
		ts = append(ts, last)
	}
}

func (t *tx) rows(query string, args ...any) ([]row, error) {
	var rs []row
	err := t.query(func(rows *sql.Rows) error {
		r, err := scanRow(rows)
		rs = append(rs, r)
		return err
	}, query, args...)
	return rs, err
}

// Take is spool.Journal's.
func (s *Store) Take(ctx context.Context, tenant envelope.TenantID, id envelope.ID, st spool.State) (spool.Entry, error) {
	lease := rand.Text()
	var e spool.Entry
	gone := false
	err := s.hurry(ctx, func(t *tx) error {
		rows, err := t.rows("SELECT "+columns+" FROM entries WHERE id = ? AND tenant = ? AND tenant <> ''", string(id), string(tenant))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return spool.ErrNotFound
		}
		r := &rows[0]
		now := s.now()
		if e, err = s.decode(r); err != nil {
			gone = true
			return t.damaged(r, err)
		}
		if e.State != st || (r.lease != "" && r.leaseUntil > now.UnixMicro()) {
			return spool.ErrState
		}
		if r.lease != "" {
			e.Deaths++
		}
		return t.take(r, &e, lease, now)
	})
	if err == nil && gone {
		err = spool.ErrNotFound
	}
	if err != nil {
		return spool.Entry{}, fmt.Errorf("take %s: %w", id, err)
	}
	return e, nil
}

// Renew is spool.Journal's.
func (s *Store) Renew(ctx context.Context, e spool.Entry) error {
	err := s.hurry(ctx, func(t *tx) error {
		n, err := t.exec("UPDATE entries SET lease_until = ? WHERE id = ? AND lease = ? AND lease <> ''",
			s.now().Add(spool.LeaseTime).UnixMicro(), string(e.Envelope.ID), e.Lease)
		if err == nil && n == 0 {
			err = spool.ErrLost
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("renew %s: %w", e.Envelope.ID, err)
	}
	return nil
}

// Hasten is spool.Journal's. When an entry is due is bookkeeping and not under
// the row's seal, so that a thousand of them cost a statement each and no more.
func (s *Store) Hasten(ctx context.Context, st spool.State, ids []envelope.ID, now time.Time) (int, error) {
	var n int64
	err := s.hurry(ctx, func(t *tx) error {
		n = 0
		at := now.UnixMicro()
		for _, id := range ids {
			k, err := t.exec("UPDATE entries SET due = ? WHERE id = ? AND state = ? AND due > ? AND lease = ''", at, string(id), int64(st), at)
			if err != nil {
				return err
			}
			n += k
		}
		t.woken[st] = t.woken[st] || n > 0
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("hasten: %w", err)
	}
	return int(n), nil
}
