package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"

	"sekisho/admin"
	"sekisho/internal/audit"
	"sekisho/spool"
)

// canonicalAccount is what an account's seal covers. Whoever can write to the
// database must not be able to make himself an administrator.
func canonicalAccount(a admin.Account) []byte {
	b := append([]byte("account 1\x00"), binary.BigEndian.AppendUint64(nil, uint64(a.UID))...)
	b = binary.BigEndian.AppendUint64(b, uint64(a.Created.UnixMicro()))
	return append(b, a.Name...)
}

// Accounts is admin.Accounts'. An account without our seal is left out, with an
// alarm.
func (s *Store) Accounts(ctx context.Context) ([]admin.Account, error) {
	as, err := s.accounts(ctx, "SELECT name, uid, created, seal FROM accounts ORDER BY name")
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return as, nil
}

// AccountByUID is admin.Accounts'.
func (s *Store) AccountByUID(ctx context.Context, uid int) (admin.Account, bool, error) {
	as, err := s.accounts(ctx, "SELECT name, uid, created, seal FROM accounts WHERE uid = ?", uid)
	if err != nil {
		return admin.Account{}, false, fmt.Errorf("account of uid %d: %w", uid, err)
	}
	if len(as) == 0 {
		return admin.Account{}, false, nil
	}
	return as[0], true, nil
}

func (s *Store) accounts(ctx context.Context, query string, args ...any) ([]admin.Account, error) {
	rows, err := s.readers.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	var as []admin.Account
	err = each(rows, func(rows *sql.Rows) error {
		var a admin.Account
		var created int64
		var sum []byte
		if err := rows.Scan(&a.Name, &a.UID, &created, &sum); err != nil {
			return err
		}
		a.Created = fromMicro(created)
		if s.sealer != nil && s.sealer.CheckRow(canonicalAccount(a), sum) != nil {
			s.alarm("an account was not made by the gateway and is ignored", a.Name)
			return nil
		}
		as = append(as, a)
		return nil
	})
	return as, err
}

// AddAccount is admin.Accounts'.
func (s *Store) AddAccount(ctx context.Context, a admin.Account, ev audit.Event) error {
	if a.Created.IsZero() {
		a.Created = s.now()
	}
	a.Created = fromMicro(micro(a.Created))
	sum := []byte{}
	if s.sealer != nil {
		sum = s.sealer.SealRow(canonicalAccount(a))
	}
	err := s.do(ctx, func(t *tx) error {
		_, err := t.exec("INSERT INTO accounts (name, uid, created, seal) VALUES (?, ?, ?, ?)", a.Name, a.UID, micro(a.Created), sum)
		if duplicate(err) {
			return fmt.Errorf("%w: %w", spool.ErrState, spool.ErrExists)
		}
		if err != nil {
			return err
		}
		return t.record([]audit.Event{ev})
	})
	if err != nil {
		return fmt.Errorf("add account %s: %w", a.Name, err)
	}
	return nil
}

// RemoveAccount is admin.Accounts'. spool.ErrNotFound when there is none of
// that name.
func (s *Store) RemoveAccount(ctx context.Context, name string, ev audit.Event) error {
	err := s.do(ctx, func(t *tx) error {
		n, err := t.exec("DELETE FROM accounts WHERE name = ?", name)
		if err != nil {
			return err
		}
		if n == 0 {
			return spool.ErrNotFound
		}
		return t.record([]audit.Event{ev})
	})
	if err != nil {
		return fmt.Errorf("remove account %s: %w", name, err)
	}
	return nil
}
