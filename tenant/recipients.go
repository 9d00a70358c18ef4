package tenant

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"sekisho/envelope"
)

// Japan is the zone in which a day of a list begins and ends: the transfers of
// April happen at midnight in Japan, wherever the machine believes to stand.
// Japan has no summer time, so the zone needs no table.
var Japan = time.FixedZone("JST", 9*60*60)

// Day is a calendar day in Japan. The zero Day is none.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// DayOf is the day in Japan that at falls on.
func DayOf(at time.Time) Day {
	y, m, d := at.In(Japan).Date()
	return Day{y, m, d}
}

// IsZero reports whether d is no day.
func (d Day) IsZero() bool { return d == Day{} }

// Begin is the moment at which the day begins in Japan.
func (d Day) Begin() time.Time { return time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, Japan) }

// Before reports whether d is earlier than e.
func (d Day) Before(e Day) bool { return d.Begin().Before(e.Begin()) }

func (d Day) String() string {
	if d.IsZero() {
		return ""
	}
	return fmt.Sprintf("%04d-%02d-%02d", d.Year, d.Month, d.Day)
}

// A Term is the days on which an address is reached, both ends included. A zero
// end is open.
type Term struct{ From, Until Day }

func (t Term) covers(d Day) bool {
	return (t.From.IsZero() || !d.Before(t.From)) && (t.Until.IsZero() || !t.Until.Before(d))
}

func (t Term) compare(u Term) int {
	if t.From != u.From {
		if t.From.IsZero() || !u.From.IsZero() && t.From.Before(u.From) {
			return -1
		}
		return 1
	}
	switch {
	case t.Until == u.Until:
		return 0
	case u.Until.IsZero() || !t.Until.IsZero() && t.Until.Before(u.Until):
		return -1
	default:
		return 1
	}
}

// A Line is one line of a list.
type Line struct {
	Address envelope.Address
	Term
}

// List is the exact list of a tenant's recipients, an immutable value. An
// address may have several terms: whoever leaves in March may come back.
type List struct {
	terms map[string][]Term // by envelope.Address.Key
	spelt map[string]envelope.Address
}

// NewList makes a list of lines. What is said twice counts once.
func NewList(lines []Line) *List {
	l := &List{terms: make(map[string][]Term, len(lines)), spelt: make(map[string]envelope.Address, len(lines))}
	for _, n := range lines {
		k := n.Address.Key()
		if _, ok := l.spelt[k]; !ok {
			l.spelt[k] = n.Address
		}
		if !slices.Contains(l.terms[k], n.Term) {
			l.terms[k] = append(l.terms[k], n.Term)
		}
	}
	for k := range l.terms {
		slices.SortFunc(l.terms[k], Term.compare)
	}
	return l
}

// Len is the number of addresses.
func (l *List) Len() int { return len(l.terms) }

// Has reports whether the address is reached on that day.
func (l *List) Has(a envelope.Address, d Day) bool { return l.has(a.Key(), d) }

func (l *List) has(key string, d Day) bool {
	return slices.ContainsFunc(l.terms[key], func(t Term) bool { return t.covers(d) })
}

// On is how many addresses are reached on that day.
func (l *List) On(d Day) int {
	n := 0
	for k := range l.terms {
		if l.has(k, d) {
			n++
		}
	}
	return n
}

// Lines are all lines, sorted by domain and address.
func (l *List) Lines() []Line {
	keys := slices.SortedFunc(maps.Keys(l.terms), func(a, b string) int {
		x, y := l.spelt[a], l.spelt[b]
		if c := strings.Compare(x.Domain, y.Domain); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	var out []Line
	for _, k := range keys {
		for _, t := range l.terms[k] {
			out = append(out, Line{Address: l.spelt[k], Term: t})
		}
	}
	return out
}

// A Diff says what a new list changes.
type Diff struct {
	Added, Removed, Changed []envelope.Address // Changed: other days
	Same                    int
	// Reached and Lost count people on the day on which the new list begins:
	// how many the old one reaches then, and how many of them the new one does
	// not.
	Reached, Lost int
}

// Compare says what changes when next takes the place of old, which may be nil
// for "anybody", on day d.
func Compare(old, next *List, d Day) Diff {
	if old == nil {
		old = NewList(nil)
	}
	var diff Diff
	for _, k := range slices.Sorted(maps.Keys(next.terms)) {
		switch was, ok := old.terms[k]; {
		case !ok:
			diff.Added = append(diff.Added, next.spelt[k])
		case !slices.Equal(was, next.terms[k]):
			diff.Changed = append(diff.Changed, next.spelt[k])
		default:
			diff.Same++
		}
	}
	for _, k := range slices.Sorted(maps.Keys(old.terms)) {
		if _, ok := next.terms[k]; !ok {
			diff.Removed = append(diff.Removed, old.spelt[k])
		}
		if old.has(k, d) {
			diff.Reached++
			if !next.has(k, d) {
				diff.Lost++
			}
		}
	}
	return diff
}

// A Version is a list and from when on it counts. Versions are numbered 1, 2,
// 3 for each tenant and are never changed; a later one takes their place.
type Version struct {
	Tenant    envelope.TenantID
	Number    int64
	Made      time.Time
	Effective time.Time
	By        string // account
	Source    string // name of the file, or which version was taken up again
	Withdrawn bool   // cancelled before it took effect
	List      *List  // nil: anybody
}

// Recipients says who is reached at which time: the versions of a tenant's
// list. It is an immutable value; nil and one without versions reach anybody.
type Recipients struct {
	versions []Version
	doubted  bool
}

// NewRecipients orders versions by when they take effect; of two with the same
// time the later one counts. What was withdrawn never counts.
func NewRecipients(vs []Version) *Recipients {
	r := &Recipients{}
	for _, v := range vs {
		if !v.Withdrawn {
			r.versions = append(r.versions, v)
		}
	}
	slices.SortStableFunc(r.versions, func(a, b Version) int {
		if c := a.Effective.Compare(b.Effective); c != 0 {
			return c
		}
		return int(a.Number - b.Number)
	})
	return r
}

// FixedRecipients is one list for all times, as a file of the configuration
// gives it.
func FixedRecipients(l *List) *Recipients { return &Recipients{versions: []Version{{List: l}}} }

// Doubted are the same recipients of which it is known that other hands were at
// them: where no version is left that is in force, nobody can say who is
// reached.
func (r *Recipients) Doubted() *Recipients { return &Recipients{versions: r.versions, doubted: true} }

// Unknown reports whether nobody can say who is reached at that time: neither a
// recipient is to be refused then, nor anybody to be accepted.
func (r *Recipients) Unknown(at time.Time) bool {
	return r != nil && r.doubted && r.At(at).Number == 0
}

// At is the version in force at that time. Before the first one takes effect,
// and without any, it is the zero Version, which has no list and reaches
// anybody.
func (r *Recipients) At(at time.Time) Version {
	if r == nil {
		return Version{}
	}
	for _, v := range slices.Backward(r.versions) {
		if !v.Effective.After(at) {
			return v
		}
	}
	return Version{}
}

// After are the versions that take effect later than at, the next one first.
func (r *Recipients) After(at time.Time) []Version {
	if r == nil {
		return nil
	}
	for i, v := range r.versions {
		if v.Effective.After(at) {
			return r.versions[i:]
		}
	}
	return nil
}

// Has reports whether the address is reached at that time. Where that is
// Unknown, it is not.
func (r *Recipients) Has(a envelope.Address, at time.Time) bool {
	if r.Unknown(at) {
		return false
	}
	l := r.At(at).List
	return l == nil || l.Has(a, DayOf(at))
}
