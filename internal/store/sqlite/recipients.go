package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"sekisho/envelope"
	"sekisho/internal/audit"
	"sekisho/spool"
	"sekisho/tenant"
)

// canonicalVersion is what the seal of a list covers: whoever can write to the
// database must not be able to say who is reached.
func canonicalVersion(v tenant.Version, list []byte) []byte {
	b := []byte("recipients 1\x00")
	withdrawn := uint64(0)
	if v.Withdrawn {
		withdrawn = 1
	}
	for _, n := range []uint64{uint64(v.Number), uint64(micro(v.Made)), uint64(micro(v.Effective)), withdrawn} {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	for _, s := range []string{string(v.Tenant), v.By, v.Source} {
		b = binary.BigEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
	}
	return append(b, list...)
}

// listText is a list as the table has it.
func listText(l *tenant.List) []byte {
	if l == nil {
		return []byte{}
	}
	return []byte(l.Text())
}

// keptVersions is how many versions of a tenant's list stay: more than two years
// of weekly imports. What each import changed stays in the audit.
const keptVersions = 120

const versionColumns = "tenant, version, made, effective, by, source, withdrawn, list, seal"

// scanVersion reads a row. It is not ok when the row is not as the gateway
// wrote it.
func (s *Store) scanVersion(rows *sql.Rows) (v tenant.Version, ok bool, err error) {
	var made, effective, withdrawn int64
	var list, sum []byte
	if err := rows.Scan(&v.Tenant, &v.Number, &made, &effective, &v.By, &v.Source, &withdrawn, &list, &sum); err != nil {
		return v, false, err
	}
	v.Made, v.Effective, v.Withdrawn = fromMicro(made), fromMicro(effective), withdrawn != 0
	if s.sealer != nil && s.sealer.CheckRow(canonicalVersion(v, list), sum) != nil {
		s.alarm("a list of recipients was not made by the gateway and is ignored", fmt.Sprintf("%s version %d", v.Tenant, v.Number))
		return v, false, nil
	}
	if len(list) > 0 {
		if v.List, err = tenant.StoredList(bytes.NewReader(list)); err != nil {
			return v, false, fmt.Errorf("list %d of %s: %w", v.Number, v.Tenant, err)
		}
	}
	return v, true, nil
}

// RecipientVersions calls f for every version of a tenant's list, the newest
// first, until it says false. One without our seal is left out, with an alarm.
func (s *Store) RecipientVersions(ctx context.Context, t envelope.TenantID, f func(tenant.Version) bool) error {
	_, err := s.versions(ctx, f, "SELECT "+versionColumns+" FROM recipient_lists WHERE tenant = ? ORDER BY version DESC", string(t))
	if err != nil {
		return fmt.Errorf("recipients of %s: %w", t, err)
	}
	return nil
}

// versions reports, too, how many it left out.
func (s *Store) versions(ctx context.Context, f func(tenant.Version) bool, query string, args ...any) (foreign int, err error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return 0, err
	}
	err = each(rows, func(rows *sql.Rows) error {
		v, ok, err := s.scanVersion(rows)
		if !ok {
			foreign++
		}
		if err != nil || !ok {
			return err
		}
		if !f(v) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return foreign, err
}

var errEnough = errors.New("enough")

// Recipients reads, for every tenant that has a list, the version in force at
// now and those that take effect later.
func (s *Store) Recipients(ctx context.Context, now time.Time) (map[envelope.TenantID]*tenant.Recipients, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT DISTINCT tenant FROM recipient_lists")
	if err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	var ids []string
	if err := each(rows, func(rows *sql.Rows) error {
		ids = append(ids, "")
		return rows.Scan(&ids[len(ids)-1])
	}); err != nil {
		return nil, fmt.Errorf("recipients: %w", err)
	}
	all := map[envelope.TenantID]*tenant.Recipients{}
	for _, id := range ids {
		var vs []tenant.Version
		// One that is changed by other hands gives way to the one before it.
		// Those that were cancelled are looked at as well: they may have been by
		// those hands.
		foreign, err := s.versions(ctx, func(v tenant.Version) bool {
			vs = append(vs, v)
			return v.Withdrawn || v.Effective.After(now)
		}, "SELECT "+versionColumns+" FROM recipient_lists WHERE tenant = ? ORDER BY effective DESC, version DESC", id)
		if err != nil {
			return nil, fmt.Errorf("recipients of %s: %w", id, err)
		}
		r := tenant.NewRecipients(vs)
		if foreign > 0 {
			r = r.Doubted()
		}
		all[envelope.TenantID(id)] = r
	}
	return all, nil
}

// AddRecipients keeps a new version and returns its number. The event gets it
// from event, which is called inside the transaction.
func (s *Store) AddRecipients(ctx context.Context, v tenant.Version, event func(number int64) audit.Event) (int64, error) {
	list := listText(v.List)
	v.Made, v.Effective = fromMicro(micro(v.Made)), fromMicro(micro(v.Effective))
	err := s.do(ctx, func(t *tx) error {
		v.Number = 0
		if err := t.query(func(rows *sql.Rows) error { return rows.Scan(&v.Number) },
			"SELECT coalesce(max(version), 0) FROM recipient_lists WHERE tenant = ?", string(v.Tenant)); err != nil {
			return err
		}
		v.Number++
		sum := []byte{}
		if s.sealer != nil {
			sum = s.sealer.SealRow(canonicalVersion(v, list))
		}
		if _, err := t.exec("INSERT INTO recipient_lists (tenant, version, made, effective, by, source, withdrawn, list, seal) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)",
			string(v.Tenant), v.Number, micro(v.Made), micro(v.Effective), v.By, v.Source, list, sum); err != nil {
			return err
		}
		// Neither what is in force nor what is still to come is among those
		// that go.
		if _, err := t.exec("DELETE FROM recipient_lists WHERE tenant = ?1 AND version <= ?2 AND effective < "+
			"(SELECT max(effective) FROM recipient_lists WHERE tenant = ?1 AND withdrawn = 0 AND effective <= ?3)",
			string(v.Tenant), v.Number-keptVersions, micro(v.Made)); err != nil {
			return err
		}
		return t.record([]audit.Event{event(v.Number)})
	})
	if err != nil {
		return 0, fmt.Errorf("keep recipients of %s: %w", v.Tenant, err)
	}
	return v.Number, nil
}

// WithdrawRecipients cancels a version that has not taken effect at now.
// spool.ErrNotFound when there is none of that number, spool.ErrState when it
// is in force or was cancelled before.
func (s *Store) WithdrawRecipients(ctx context.Context, id envelope.TenantID, number int64, now time.Time, ev audit.Event) error {
	err := s.do(ctx, func(t *tx) error {
		v := tenant.Version{Tenant: id, Number: number}
		var made, effective, withdrawn int64
		var list, sum []byte
		found := false
		if err := t.query(func(rows *sql.Rows) error {
			found = true
			return rows.Scan(&made, &effective, &v.By, &v.Source, &withdrawn, &list, &sum)
		}, "SELECT made, effective, by, source, withdrawn, list, seal FROM recipient_lists WHERE tenant = ? AND version = ?", string(id), number); err != nil {
			return err
		}
		if !found {
			return spool.ErrNotFound
		}
		v.Made, v.Effective, v.Withdrawn = fromMicro(made), fromMicro(effective), withdrawn != 0
		if s.sealer != nil && s.sealer.CheckRow(canonicalVersion(v, list), sum) != nil {
			return spool.ErrNotFound // not one of ours
		}
		if v.Withdrawn || !v.Effective.After(now) {
			return spool.ErrState
		}
		v.Withdrawn = true
		sum = []byte{}
		if s.sealer != nil {
			sum = s.sealer.SealRow(canonicalVersion(v, list))
		}
		if _, err := t.exec("UPDATE recipient_lists SET withdrawn = 1, seal = ? WHERE tenant = ? AND version = ?", sum, string(id), number); err != nil {
			return err
		}
		return t.record([]audit.Event{ev})
	})
	if err != nil {
		return fmt.Errorf("cancel version %d of %s: %w", number, id, err)
	}
	return nil
}
