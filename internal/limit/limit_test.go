package limit

import (
	"testing"
	"time"
)

func TestEveryLimitHasItsReason(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range Rows() {
		if seen[r.Key] {
			t.Errorf("%s stands twice", r.Key)
		}
		seen[r.Key] = true
		if r.What == "" || r.WhatJa == "" || r.Why == "" || r.WhyJa == "" || r.Where == "" {
			t.Errorf("%s: what, why and where must be said in both languages: %+v", r.Key, r)
		}
		if SectionJa(r.Section) == "" {
			t.Errorf("%s: section %q has no Japanese name", r.Key, r.Section)
		}
		if r.Set() == (r.Text != "") {
			t.Errorf("%s: a setting has a number, a fixed limit a text", r.Key)
		}
		if !r.Set() {
			continue
		}
		if got, err := r.Parse(r.Value(r.Default)); err != nil || got != r.Default {
			t.Errorf("%s: the default reads as %d, %v; wanted %d", r.Key, got, err, r.Default)
		}
		if r.Least > 0 {
			if _, err := r.Parse("0"); err == nil {
				t.Errorf("%s: zero was taken", r.Key)
			}
		}
		if r.Most > 0 && r.Most+1 > 0 && r.Unit != Percent {
			if _, err := r.Parse(r.Value(r.Most + 1)); err == nil {
				t.Errorf("%s: more than %s was taken", r.Key, r.Value(r.Most))
			}
		}
	}
}

func TestValuesAreReadAsTheyAreWritten(t *testing.T) {
	for _, c := range []struct {
		unit Unit
		text string
		want int64
	}{
		{Count, "600", 600}, {Count, "12_000", 12_000}, {Count, "-1", -1}, {Count, "many", -2}, {Count, "9223372036854775807", -2},
		{Bytes, "20MiB", 20 << 20}, {Bytes, "20 MB", 20e6}, {Bytes, "7", 7}, {Bytes, "999999999999GiB", -2}, {Bytes, "-1", -2},
		{Time, "14d", 14 * day}, {Time, "200ms", 200 * int64(time.Millisecond)}, {Time, "0", 0}, {Time, "5", -2}, {Time, "-1s", -2},
		{Percent, "20%", 20}, {Percent, "20", 20}, {Percent, "101%", -2}, {Percent, "-1%", -2},
		{Fixed, "1", -2}, {0, "1", -2},
	} {
		got, err := ParseUnit(c.unit, c.text)
		if err != nil {
			got = -2
		}
		if got != c.want {
			t.Errorf("%s %q: got %d, %v; wanted %d", c.unit, c.text, got, err, c.want)
		}
	}
}

func TestUnknownKeyLimitsEverything(t *testing.T) {
	if n := (Values{}).Get("limits.conections"); n != 0 {
		t.Errorf("got %d, wanted zero, which no room accepts", n)
	}
}
