package sqlite

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// canonicalPolicy is what the seal of a policy covers: who can write to the
// database must not be able to say which servers a domain's mail may go to.
func canonicalPolicy(domain string, policy []byte, until int64) []byte {
	b := append([]byte("policy 1\x00"), binary.BigEndian.AppendUint64(nil, uint64(until))...)
	b = binary.BigEndian.AppendUint64(b, uint64(len(domain)))
	return append(append(b, domain...), policy...)
}

// Policy is delivery.Policies'. One without our seal is none, with an alarm.
func (s *Store) Policy(ctx context.Context, domain string) ([]byte, error) {
	var policy, sum []byte
	var until int64
	err := s.readers.QueryRowContext(ctx, "SELECT policy, until, seal FROM policies WHERE domain = ?", domain).Scan(&policy, &until, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("policy of %s: %w", domain, err)
	}
	if s.sealer != nil && s.sealer.CheckRow(canonicalPolicy(domain, policy, until), sum) != nil {
		s.alarm("a policy was not kept by the gateway and is ignored", domain)
		return nil, nil
	}
	return policy, nil
}

// KeepPolicy is delivery.Policies'. It forgets what is good no more.
func (s *Store) KeepPolicy(ctx context.Context, domain string, policy []byte, until time.Time) error {
	sum := []byte{}
	if s.sealer != nil {
		sum = s.sealer.SealRow(canonicalPolicy(domain, policy, micro(until)))
	}
	err := s.do(ctx, func(t *tx) error {
		if _, err := t.exec("DELETE FROM policies WHERE until < ?", s.now().UnixMicro()); err != nil {
			return err
		}
		_, err := t.exec("INSERT INTO policies (domain, policy, until, seal) VALUES (?, ?, ?, ?) "+
			"ON CONFLICT (domain) DO UPDATE SET policy = excluded.policy, until = excluded.until, seal = excluded.seal", domain, policy, micro(until), sum)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the policy of %s: %w", domain, err)
	}
	return nil
}
