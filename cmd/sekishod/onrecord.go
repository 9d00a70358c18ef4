package main

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"sekisho/internal/audit"
)

// What the rules were when a message was let through is part of what happened
// to it: who makes them weak for an hour and strong again must be seen to have
// done so. So every configuration that comes into force is on record, before it
// does, with the digest of its file and the keys that are other than before.

// recordConfiguration puts on record that s comes into force; before is what
// was in force, nil at start. Its error means that it must not: what cannot be
// put on record is not done.
func (g *gateway) recordConfiguration(ctx context.Context, before *config, s *settings) error {
	detail := "at start, sha256 " + s.sum
	if before != nil {
		detail = "reload, sha256 " + s.sum + "; changed: " + changedKeys(before, s.config)
	}
	ev := audit.Event{Time: time.Now(), Actor: "gateway", Act: "configuration", Detail: detail}
	if err := g.store.Record(ctx, []audit.Event{ev}); err != nil {
		return fmt.Errorf("the configuration cannot be put on record: %w", err)
	}
	return nil
}

// changedKeys names the keys of the first level that differ.
func changedKeys(was, is *config) string {
	var keys []string
	a, b := reflect.ValueOf(*was), reflect.ValueOf(*is)
	for i := range a.NumField() {
		if !reflect.DeepEqual(a.Field(i).Interface(), b.Field(i).Interface()) {
			keys = append(keys, a.Type().Field(i).Tag.Get("mapstructure"))
		}
	}
	if len(keys) == 0 {
		return "nothing in this file"
	}
	slices.Sort(keys)
	return strings.Join(keys, ", ")
}

// watchAudit walks the chain of the audit and raises an alarm when it is cut,
// changed or reordered, once for each place: who does it hopes that nobody asks.
func (g *gateway) watchAudit(ctx context.Context, known int64) int64 {
	_, bad, err := g.store.WatchAudit(ctx)
	switch {
	case err != nil:
		if ctx.Err() == nil {
			g.log.Error("audit", "err", err)
		}
		return known
	case bad != 0 && bad != known:
		g.log.Error("audit", "kind", "damaged", "err", fmt.Sprintf("the chain is broken at record %d: somebody or something wrote to the database", bad))
		g.metrics.alarms.WithLabelValues("audit").Inc()
	}
	return bad
}
