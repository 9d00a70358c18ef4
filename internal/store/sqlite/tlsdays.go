package sqlite

import (
	"context"
	"encoding/binary"
	"fmt"
)

// canonicalDay is what the seal of a day covers: who can write to the database
// must not be able to have us mail what he likes to strangers.
func canonicalDay(day string, counts []byte) []byte {
	b := binary.BigEndian.AppendUint64([]byte("tls day 1\x00"), uint64(len(day)))
	return append(append(b, day...), counts...)
}

// TLSDays is delivery.TLSDays'. A day without our seal is none, with an alarm.
func (s *Store) TLSDays(ctx context.Context) (map[string][]byte, error) {
	rows, err := s.readers.QueryContext(ctx, "SELECT day, counts, seal FROM tls_days")
	if err != nil {
		return nil, fmt.Errorf("read the counts of TLS: %w", err)
	}
	defer rows.Close()
	days := map[string][]byte{}
	for rows.Next() {
		var day string
		var counts, sum []byte
		if err := rows.Scan(&day, &counts, &sum); err != nil {
			return nil, fmt.Errorf("read the counts of TLS: %w", err)
		}
		if s.sealer != nil && s.sealer.CheckRow(canonicalDay(day, counts), sum) != nil {
			s.alarm("counts of TLS were not kept by the gateway and are ignored", day)
			continue
		}
		days[day] = counts
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read the counts of TLS: %w", err)
	}
	return days, nil
}

// KeepTLSDay is delivery.TLSDays'. Without counts the day is forgotten.
func (s *Store) KeepTLSDay(ctx context.Context, day string, counts []byte) error {
	sum := []byte{}
	if s.sealer != nil {
		sum = s.sealer.SealRow(canonicalDay(day, counts))
	}
	err := s.do(ctx, func(t *tx) error {
		if counts == nil {
			_, err := t.exec("DELETE FROM tls_days WHERE day = ?", day)
			return err
		}
		_, err := t.exec("INSERT INTO tls_days (day, counts, seal) VALUES (?, ?, ?) "+
			"ON CONFLICT (day) DO UPDATE SET counts = excluded.counts, seal = excluded.seal", day, counts, sum)
		return err
	})
	if err != nil {
		return fmt.Errorf("keep the counts of TLS of %s: %w", day, err)
	}
	return nil
}
