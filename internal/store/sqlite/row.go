package sqlite

import (
	"database/sql"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"sekisho/envelope"
	"sekisho/internal/blob"
	"sekisho/sanitize"
	"sekisho/spool"
)

// row is an entry as the table has it.
type row struct {
	seq                                     int64
	id, tenant, parent, original, sanitized string
	state, due, expires                     int64
	facts, seal                             []byte
	lease                                   string
	leaseUntil, deaths                      int64
	small                                   []small // to be stored with it
}

// small is a blob that lives in the database.
type small struct {
	id    string
	bytes []byte
}

const columns = "seq, id, tenant, parent, state, due, expires, original, sanitized, facts, seal, lease, lease_until, deaths"

func scanRow(rows *sql.Rows) (row, error) {
	var r row
	err := rows.Scan(&r.seq, &r.id, &r.tenant, &r.parent, &r.state, &r.due, &r.expires, &r.original, &r.sanitized,
		&r.facts, &r.seal, &r.lease, &r.leaseUntil, &r.deaths)
	return r, err
}

func micro(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicro(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// encode makes the row of an entry, sealed. An entry that was handed out as
// tampered gets no valid seal again until it is held as that: otherwise the
// next step would make good what somebody changed.
func (s *Store) encode(e spool.Entry) (row, error) {
	if e.State < spool.Received || e.State > spool.Done {
		return row{}, fmt.Errorf("entry %s: state %d is none", e.Envelope.ID, e.State)
	}
	if !e.Envelope.ID.Valid() {
		return row{}, fmt.Errorf("entry: %q is no id", e.Envelope.ID)
	}
	if e.Envelope.Tenant == "" {
		return row{}, fmt.Errorf("entry %s: no tenant", e.Envelope.ID)
	}
	if e.Original.IsZero() {
		return row{}, fmt.Errorf("entry %s: no original", e.Envelope.ID)
	}
	r := row{
		id:        string(e.Envelope.ID),
		tenant:    string(e.Envelope.Tenant),
		parent:    string(e.Parent),
		state:     int64(e.State),
		due:       micro(e.Due),
		expires:   micro(e.Expires),
		original:  string(e.Original.ID),
		sanitized: string(e.Sanitized.ID),
	}
	for _, ref := range []blob.Ref{e.Original, e.Sanitized} {
		if len(ref.Inline) > 0 {
			r.small = append(r.small, small{string(ref.ID), ref.Inline})
		}
	}
	tampered := e.Tampered != "" && (e.State != spool.Held || e.Verdict.Class != sanitize.ClassTampered)
	// What is a column is not said twice.
	e.Envelope.ID, e.Envelope.Tenant, e.Parent, e.State = "", "", "", 0
	e.Due, e.Expires = time.Time{}, time.Time{}
	e.Original.ID, e.Sanitized.ID = "", ""
	var err error
	if r.facts, err = json.Marshal(&e); err != nil {
		return row{}, fmt.Errorf("entry %s: %w", r.id, err)
	}
	r.seal = []byte{}
	if s.sealer != nil && !tampered {
		r.seal = s.sealer.SealRow(r.canonical())
	}
	return r, nil
}

// canonical is what the seal covers: everything that decides what becomes of
// the message, with lengths before the fields.
func (r *row) canonical() []byte {
	b := make([]byte, 0, len(r.facts)+512)
	b = append(b, "entry 1\x00"...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.state))
	b = binary.BigEndian.AppendUint64(b, uint64(r.expires))
	for _, s := range []string{r.id, r.tenant, r.parent, r.original, r.sanitized} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, r.facts...)
}

// intact reports whether the row is as the gateway wrote it.
func (s *Store) intact(r *row) bool {
	return s.sealer == nil || s.sealer.CheckRow(r.canonical(), r.seal) == nil
}

// decode makes an entry of a row. A row with another seal than ours gives an
// entry marked as tampered; an error means that it cannot be read at all.
func (s *Store) decode(r *row) (spool.Entry, error) {
	var e spool.Entry
	if err := json.Unmarshal(r.facts, &e); err != nil {
		return spool.Entry{}, err
	}
	if !envelope.ID(r.id).Valid() {
		return spool.Entry{}, errors.New("the id is none")
	}
	if r.state < int64(spool.Received) || r.state > int64(spool.Done) {
		return spool.Entry{}, errors.New("the state is none")
	}
	e.Envelope.ID, e.Envelope.Tenant = envelope.ID(r.id), envelope.TenantID(r.tenant)
	e.Parent, e.State = envelope.ID(r.parent), spool.State(r.state)
	e.Due, e.Expires = fromMicro(r.due), fromMicro(r.expires)
	e.Original.ID, e.Sanitized.ID = blob.ID(r.original), blob.ID(r.sanitized)
	e.Deaths = int(min(r.deaths, 1000))
	if !s.intact(r) {
		e.Tampered = "row"
	}
	return e, nil
}
