package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
)

// head is where the chain ends. It is kept, sealed, in a row of its own, since
// the chain itself does not show that records are missing at its end.
type head struct {
	seq  int64
	hash string
}

const headMeta = "audit-head"

func (h head) canonical() []byte {
	b := append([]byte("audit head 1\x00"), binary.BigEndian.AppendUint64(nil, uint64(h.seq))...)
	return append(b, h.hash...)
}

// encode is the row's value: number, hash, seal.
func (s *Store) encodeHead(h head) ([]byte, error) {
	hash, err := hex.DecodeString(h.hash)
	if err != nil {
		return nil, err
	}
	b := binary.BigEndian.AppendUint64(nil, uint64(h.seq))
	b = append(b, hash...)
	if s.sealer != nil {
		b = append(b, s.sealer.SealRow(h.canonical())...)
	}
	return b, nil
}

func (s *Store) decodeHead(b []byte) (head, bool) {
	if len(b) < 8+32 {
		return head{}, false
	}
	h := head{seq: int64(binary.BigEndian.Uint64(b)), hash: hex.EncodeToString(b[8 : 8+32])}
	return h, s.sealer == nil || s.sealer.CheckRow(h.canonical(), b[8+32:]) == nil
}

func (t *tx) saveHead() error {
	b, err := t.s.encodeHead(t.head)
	if err != nil {
		return err
	}
	_, err = t.exec("INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value", headMeta, b)
	return err
}

// loadHead finds the end of the chain. When it is not where we left it, that is
// put on record before anything else: the chain goes on from what is there, and
// the event says from where on it must not be believed.
func (s *Store) loadHead(ctx context.Context) error {
	var last head
	var hash []byte
	err := s.conn.QueryRowContext(ctx, "SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").Scan(&last.seq, &hash)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	last.hash = hex.EncodeToString(hash)
	var value []byte
	err = s.conn.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", headMeta).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	s.head = last
	saved, ok := s.decodeHead(value)
	switch {
	case err != nil && last.seq == 0: // a new database
		return nil
	case err != nil:
		return s.reportHead(ctx, "the mark of the end of the audit is missing")
	case !ok:
		return s.reportHead(ctx, "the mark of the end of the audit was changed")
	case saved != last:
		return s.reportHead(ctx, fmt.Sprintf("the audit ended with record %d and now ends with %d", saved.seq, last.seq))
	}
	return nil
}

func (s *Store) reportHead(ctx context.Context, msg string) error {
	t := &tx{s: s, head: s.head}
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := t.record([]audit.Event{{Time: s.now(), Actor: "gateway", Act: "audit-damaged", Detail: msg}})
	if err == nil {
		err = t.saveHead()
	}
	if err == nil {
		_, err = t.exec("COMMIT")
	}
	if err != nil {
		_, _ = t.exec("ROLLBACK")
		return err
	}
	s.head = t.head
	s.alarm(msg, "")
	return nil
}

// record puts events at the end of the chain.
func (t *tx) record(events []audit.Event) error {
	for _, e := range events {
		if e.Time.IsZero() {
			e.Time = t.s.now()
		}
		r := audit.Link(t.head.seq, t.head.hash, e)
		prev, err := hex.DecodeString(r.Prev)
		if err != nil {
			return err
		}
		hash, err := hex.DecodeString(r.Hash)
		if err != nil {
			return err
		}
		if _, err := t.exec("INSERT INTO audit (seq, time, tenant, actor, act, id, detail, prev, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
			r.Seq, r.Time.UnixMicro(), r.Tenant, r.Actor, r.Act, r.ID, r.Detail, prev, hash); err != nil {
			return fmt.Errorf("audit record %d: %w", r.Seq, err)
		}
		t.head = head{r.Seq, r.Hash}
	}
	return nil
}

// Record adds events that belong to no entry.
func (s *Store) Record(ctx context.Context, events []audit.Event) error {
	if len(events) == 0 {
		return nil
	}
	if err := s.do(ctx, func(t *tx) error { return t.record(events) }); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}

// Audit reads records after seq, at most n (none given: 1,000).
func (s *Store) Audit(ctx context.Context, t envelope.TenantID, seq int64, n int) ([]audit.Record, error) {
	if n <= 0 {
		n = 1000
	}
	query, args := "SELECT "+auditColumns+" FROM audit WHERE seq > ?", []any{seq}
	if t != "" {
		query, args = query+" AND tenant = ?", append(args, string(t))
	}
	rs, err := s.records(ctx, query+" ORDER BY seq LIMIT ?", append(args, n)...)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	return rs, nil
}

const auditColumns = "seq, time, tenant, actor, act, id, detail, prev, hash"

func (s *Store) records(ctx context.Context, query string, args ...any) ([]audit.Record, error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var rs []audit.Record
	err = each(rows, func(rows *sql.Rows) error {
		var r audit.Record
		var at int64
		var prev, hash []byte
		if err := rows.Scan(&r.Seq, &at, &r.Tenant, &r.Actor, &r.Act, &r.ID, &r.Detail, &prev, &hash); err != nil {
			return err
		}
		r.Time = time.UnixMicro(at).UTC()
		r.Prev, r.Hash = hex.EncodeToString(prev), hex.EncodeToString(hash)
		rs = append(rs, r)
		return nil
	})
	return rs, err
}

// auditPortion is how many records are read at a time.
const auditPortion = 1000

// VerifyAudit walks the whole chain and returns the number of records in it and
// the number of the first that is not as it was written; 0 when all are. A
// record that is missing is named by the number it should have.
func (s *Store) VerifyAudit(ctx context.Context) (records, bad int64, err error) {
	return s.verifyAudit(ctx, func(time.Time) error { return nil })
}

// WatchAudit does so for nobody in particular, and takes its time.
func (s *Store) WatchAudit(ctx context.Context) (records, bad int64, err error) {
	return s.verifyAudit(ctx, func(began time.Time) error { return rest(ctx, began) })
}

// verifyAudit calls between after each portion, with the time it began.
func (s *Store) verifyAudit(ctx context.Context, between func(time.Time) error) (records, bad int64, err error) {
	// The end is read first: what is recorded meanwhile comes after it.
	var value []byte
	err = s.readers.QueryRowContext(ctx, "SELECT value FROM meta WHERE name = ?", headMeta).Scan(&value)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, fmt.Errorf("verify audit: %w", err)
	}
	end, ok := s.decodeHead(value)
	if err != nil {
		end, ok = head{}, true
	}
	var at head
	for {
		began := time.Now()
		rs, err := s.Audit(ctx, "", at.seq, auditPortion)
		if err != nil {
			return 0, 0, fmt.Errorf("verify audit: %w", err)
		}
		for _, r := range rs {
			if r.Seq != at.seq+1 || r.Prev != at.hash || !r.Intact() {
				return records, at.seq + 1, nil
			}
			if r.Seq == end.seq && r.Hash != end.hash {
				return records, r.Seq, nil
			}
			at = head{r.Seq, r.Hash}
			records++
		}
		if len(rs) < auditPortion {
			break
		}
		if err := between(began); err != nil {
			return records, 0, fmt.Errorf("verify audit: %w", err)
		}
	}
	if !ok || at.seq < end.seq {
		return records, at.seq + 1, nil
	}
	return records, 0, nil
}
