// Package limit is the one table of the gateway's limits: for each its key in
// the configuration, its default, its unit, the range it may be set to, where
// it is enforced, and the reason for its number in both languages. The daemon
// reads a configuration by it, `sekisho config limits` prints it, and the
// documents are held against it. It enforces nothing; the rooms get single
// values.
package limit

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Unit says how a limit is written and what its number counts.
type Unit uint8

// The units. The zero value is none.
const (
	Count   Unit = 1 // 600
	Bytes   Unit = 2 // 200MiB; the number is bytes
	Time    Unit = 3 // 300s; the number is nanoseconds
	Percent Unit = 4 // 20%
	Fixed   Unit = 5 // no setting; Text says what holds
)

func (u Unit) String() string {
	switch u {
	case Count:
		return "count"
	case Bytes:
		return "bytes"
	case Time:
		return "time"
	case Percent:
		return "percent"
	case Fixed:
		return "fixed"
	default:
		return "unknown"
	}
}

// Row is one limit.
type Row struct {
	Section string // heading, one of Sections
	Key     string // path in the configuration; of a fixed limit only a name
	Unit    Unit
	Default int64
	// Least and Most bound what may be set: below, nothing would work any
	// more; above, it would not limit. Most zero is no bound.
	Least, Most int64
	Text        string // of a fixed limit: its value
	Where       string // the room that enforces it
	What, WhatJa,
	Why, WhyJa string
}

// Set reports whether the limit may stand in a configuration.
func (r *Row) Set() bool { return r.Unit != Fixed && r.Unit != 0 }

// Value writes n as it is written in a configuration.
func (r *Row) Value(n int64) string {
	switch r.Unit {
	case Count:
		return strconv.FormatInt(n, 10)
	case Bytes:
		for _, u := range []struct {
			n    int64
			name string
		}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
			if n != 0 && n%u.n == 0 {
				return strconv.FormatInt(n/u.n, 10) + u.name
			}
		}
		return strconv.FormatInt(n, 10) + "B"
	case Time:
		d := time.Duration(n)
		switch {
		case n == 0:
			return "0"
		case d%(24*time.Hour) == 0:
			return strconv.FormatInt(int64(d/(24*time.Hour)), 10) + "d"
		case d%time.Hour == 0:
			return strconv.FormatInt(int64(d/time.Hour), 10) + "h"
		case d%time.Second == 0:
			return strconv.FormatInt(int64(d/time.Second), 10) + "s"
		}
		return d.String()
	case Percent:
		return strconv.FormatInt(n, 10) + "%"
	default:
		return r.Text
	}
}

var sizePattern = regexp.MustCompile(`^(\d{1,12})\s*(B|KiB|MiB|GiB|kB|MB|GB)?$`)

// Parse reads a value as it is written in a configuration. The error says what
// to write instead.
func (r *Row) Parse(text string) (int64, error) {
	n, err := ParseUnit(r.Unit, text)
	switch {
	case err != nil:
		return 0, err
	case n < r.Least && r.Least == 1:
		return 0, fmt.Errorf("want a number above zero")
	case n < r.Least:
		return 0, fmt.Errorf("want at least %s", r.Value(r.Least))
	case r.Most > 0 && n > r.Most:
		return 0, fmt.Errorf("want at most %s", r.Value(r.Most))
	}
	return n, nil
}

// ParseUnit reads the text form of a number with a unit.
func ParseUnit(u Unit, text string) (int64, error) {
	switch u {
	case Count:
		n, err := strconv.ParseInt(strings.ReplaceAll(text, "_", ""), 10, 62)
		if err != nil {
			return 0, fmt.Errorf("want a number, got %q", text)
		}
		return n, nil
	case Bytes:
		m := sizePattern.FindStringSubmatch(text)
		if m == nil {
			return 0, fmt.Errorf("%q is no size; write for instance 20MiB", text)
		}
		n, _ := strconv.ParseInt(m[1], 10, 64)
		f := map[string]int64{"": 1, "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 1e3, "MB": 1e6, "GB": 1e9}[m[2]]
		if n > (1<<62)/f {
			return 0, fmt.Errorf("%q is too large", text)
		}
		return n * f, nil
	case Time:
		if days, ok := strings.CutSuffix(text, "d"); ok {
			if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 36500 {
				return int64(n) * int64(24*time.Hour), nil
			}
		}
		if text == "0" {
			return 0, nil
		}
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 {
			return 0, fmt.Errorf("%q is no time; write for instance 14d, 12h or 30s", text)
		}
		return int64(d), nil
	case Percent:
		n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
		if err != nil || n < 0 || n > 100 {
			return 0, fmt.Errorf("%q is no share; write for instance 40%%", text)
		}
		return int64(n), nil
	default:
		return 0, fmt.Errorf("cannot be set")
	}
}

// Values are the limits of one configuration, by key. What is not in it has
// its default.
type Values map[string]int64

// Get returns the limit named key. A key that is not in the table gives zero,
// which no room accepts.
func (v Values) Get(key string) int64 {
	if n, ok := v[key]; ok {
		return n
	}
	if r, ok := Find(key); ok {
		return r.Default
	}
	return 0
}

// Int is Get for what counts things.
func (v Values) Int(key string) int { return int(v.Get(key)) }

// Time is Get for a time.
func (v Values) Time(key string) time.Duration { return time.Duration(v.Get(key)) }

// Find returns the row of a key.
func Find(key string) (*Row, bool) {
	for i := range table {
		if table[i].Key == key {
			return &table[i], true
		}
	}
	return nil, false
}

// Rows returns all limits, section by section.
func Rows() []Row { return append([]Row(nil), table...) }

// Keys are the keys that may stand under a key of the configuration, such as
// "limits".
func Keys(under string) []string {
	var ks []string
	for i := range table {
		if k, ok := strings.CutPrefix(table[i].Key, under+"."); ok && table[i].Set() {
			ks = append(ks, k)
		}
	}
	return ks
}
