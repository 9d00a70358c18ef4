package main

import (
	"slices"
	"testing"
	"time"
)

// Somebody is to know within five minutes, and once for each outage.
func TestHopsAndQueuesThatWaitRaiseOneAlarm(t *testing.T) {
	var o outages
	start := time.Date(2026, 4, 1, 9, 0, 0, 0, time.UTC)
	at := func(m int) time.Time { return start.Add(time.Duration(m) * time.Minute) }
	o.down("town", true, at(0))
	o.down("relay", true, at(3))
	for _, c := range []struct {
		minute int
		want   []string
	}{{3, nil}, {4, []string{"town"}}, {5, nil}, {7, []string{"relay"}}, {60, nil}} {
		if got := o.due(at(c.minute)); !slices.Equal(got, c.want) {
			t.Errorf("after %d minutes: %v, want %v", c.minute, got, c.want)
		}
	}
	o.down("town", false, at(61))
	o.down("town", true, at(62))
	if got := o.due(at(66)); !slices.Equal(got, []string{"town"}) {
		t.Errorf("down again: %v", got)
	}
	for _, c := range []struct {
		oldest time.Time
		minute int
		want   bool
	}{{time.Time{}, 100, false}, {at(100), 103, false}, {at(100), 104, true}, {at(100), 200, false}, {time.Time{}, 201, false}, {at(201), 206, true}} {
		if got := o.old(c.oldest, at(c.minute)); got != c.want {
			t.Errorf("the oldest is of %s, at %s: alarm %v, want %v", c.oldest.Format("15:04"), at(c.minute).Format("15:04"), got, c.want)
		}
	}
}
