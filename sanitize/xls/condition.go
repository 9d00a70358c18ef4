package xls

import (
	"fmt"

	"sekisho/sanitize"
)

// validations writes the rules for what may be typed into cells, those whose
// formulas may stay, and their count. [MS-XLS] 2.4.95, 2.4.96.
func (s *sheet) validations(first *record) (int, error) {
	end := first.end
	var kept [][]byte
	for {
		var r record
		if end > len(s.w.in)-4 || le.Uint16(s.w.in[end:]) != recDV {
			break
		}
		if err := next(s.w.in, end, &r); err != nil {
			return 0, err
		}
		end = r.end
		d := r.joined()
		if v := s.validation(d); v.bad() {
			s.w.report.Found(v.rule, s.w.place, sanitize.Removed, v.why)
			continue
		}
		kept = append(kept, d)
	}
	if len(first.data) < 18 || s.kind != inSheet || len(kept) == 0 {
		return end, nil
	}
	b := append([]byte(nil), first.data[:18]...)
	le.PutUint32(b[14:], uint32(len(kept)))
	s.out = appendRecord(s.out, recDVal, b)
	for _, d := range kept {
		s.out = appendRecord(s.out, recDV, d)
	}
	return end, nil
}

func (s *sheet) validation(d []byte) verdict {
	short := verdict{"xls.formula", "validation cut short"}
	if len(d) < 4 {
		return short
	}
	d = d[4:]
	for range 4 {
		if len(d) < 3 {
			return short
		}
		_, rest, ok := shortText(d[2:], int(le.Uint16(d)))
		if !ok {
			return short
		}
		d = rest
	}
	for range 2 {
		tokens, rest, ok := cutFormula(d, 0, 4)
		if !ok {
			return short
		}
		if v, p := s.judge(tokens, nil); v.bad() {
			return v
		} else if p.exp {
			return verdict{"xls.formula", "validation of a shared formula"}
		}
		d = rest
	}
	return verdict{}
}

// conditions writes a conditional format with all its conditions, or none of
// it: it counts them. [MS-XLS] 2.4.56, 2.4.57.
func (s *sheet) conditions(first *record) (int, error) {
	at, count, typ := 0, 0, uint16(recCF)
	if first.typ == recCondFmt12 {
		at, typ = 12, recCF12
	}
	if len(first.data) >= at+4 {
		count = int(le.Uint16(first.data[at:]))
	}
	end := first.end
	var v verdict
	group := appendRecord(nil, first.typ, first.data)
	n := 0
	for ; n < count; n++ {
		var r record
		if end > len(s.w.in)-4 || le.Uint16(s.w.in[end:]) != typ {
			break
		}
		if err := next(s.w.in, end, &r); err != nil {
			return 0, err
		}
		end = r.end
		if x := s.condition(&r); x.bad() {
			v = x
		}
		group = appendRecord(group, r.typ, r.joined())
	}
	if n != count || count == 0 {
		v = verdict{"xls.formula", "conditions missing"}
	}
	if v.bad() || s.kind != inSheet {
		action := sanitize.Removed
		if n == 0 {
			action = sanitize.Rewritten // QUIRK: a format without a condition never applies
		}
		s.w.report.Found(v.rule, s.w.place, action, v.why)
		if len(first.data) >= at+4 {
			s.drop(le.Uint16(first.data[at+2:]) >> 1)
		}
		return end, nil
	}
	s.out = append(s.out, group...)
	return end, nil
}

func (s *sheet) drop(number uint16) {
	if s.dropped == nil {
		s.dropped = map[uint16]bool{}
	}
	s.dropped[number] = true
}

// looks is how many octets say how cells look that a condition holds for, -1 if
// they are cut short. [MS-XLS] 2.5.92: flags say which parts there are.
func looks(b []byte) int {
	if len(b) < 6 {
		return -1
	}
	flags := le.Uint32(b)
	n := 6
	for _, p := range []struct {
		flag uint32
		size int
	}{{1 << 25, 2}, {1 << 26, 118}, {1 << 27, 8}, {1 << 28, 8}, {1 << 29, 4}, {1 << 30, 2}} {
		switch {
		case flags&p.flag == 0:
		case p.size == 2 && p.flag == 1<<25 && b[4]&1 != 0: // a format of its own, counted
			if n+2 > len(b) {
				return -1
			}
			n += max(int(le.Uint16(b[n:])), 2)
		default:
			n += p.size
		}
	}
	return n
}

// condition judges the formulas of one condition.
func (s *sheet) condition(r *record) verdict {
	d := r.joined()
	short := verdict{"xls.formula", "condition cut short"}
	judge := func(tokens []byte) verdict {
		v, p := s.judge(tokens, nil)
		if !v.bad() && p.exp {
			v = verdict{"xls.formula", "condition of a shared formula"}
		}
		return v
	}
	if r.typ == recCF {
		if len(d) < 6 {
			return short
		}
		n1, n2 := int(le.Uint16(d[2:])), int(le.Uint16(d[4:]))
		// How cells look stands before the formulas. If something stood between,
		// other programs than this would read other formulas.
		if look := looks(d[6:]); look < 0 || 6+look+n1+n2 != len(d) {
			return short
		}
		if v := judge(d[len(d)-n1-n2 : len(d)-n2]); v.bad() {
			return v
		}
		return judge(d[len(d)-n2:])
	}
	// [MS-XLS] 2.4.43.
	c := cursor{pieces: [][]byte{d}}
	c.take(nil, 12)
	kind := c.byte()
	c.byte()
	n1, n2 := int(c.uint16()), int(c.uint16())
	if n := c.uint32(); n == 0 {
		c.take(nil, 2)
	} else if n > maxRecord {
		return short
	} else {
		c.take(nil, int(n))
	}
	check := func(n int) verdict {
		if n > maxRecord {
			c.short = true
			return short
		}
		b := c.take(nil, n)
		if c.short {
			return short
		}
		return judge(b)
	}
	for _, n := range []int{n1, n2} {
		if v := check(n); v.bad() {
			return v
		}
	}
	if v := check(int(c.uint16())); v.bad() {
		return v
	}
	c.take(nil, 22) // how it is applied
	// The value of a bound: a formula, or a number. [MS-XLS] 2.5.32.
	bound := func() verdict {
		kind := c.byte()
		n := int(c.uint16())
		if v := check(n); v.bad() {
			return v
		}
		if n == 0 && kind != 2 && kind != 3 {
			c.take(nil, 8)
		}
		return verdict{}
	}
	switch kind {
	case 1, 2, 5:
	case 3, 6: // colours and icons, each behind its bound. [MS-XLS] 2.5.36 and 2.5.38
		behind := map[byte]int{3: 8, 6: 5}[kind]
		c.take(nil, 3)
		n := int(c.byte())
		c.take(nil, 2)
		for range n {
			if v := bound(); v.bad() {
				return v
			}
			c.take(nil, behind)
		}
	case 4: // [MS-XLS] 2.5.34
		c.take(nil, 6+16)
		for range 2 {
			if v := bound(); v.bad() {
				return v
			}
		}
	default:
		return verdict{"xls.formula", fmt.Sprintf("condition of kind %d", kind)}
	}
	if c.short {
		return short
	}
	return verdict{}
}

// extendedCondition writes what a newer Excel adds to a condition. [MS-XLS]
// 2.4.44: either it is all in the record, or a condition follows.
func (s *sheet) extendedCondition(r *record) (int, error) {
	end := r.end
	if len(r.data) < 18 || s.kind != inSheet {
		return end, nil
	}
	follows := le.Uint32(r.data[12:]) != 0
	keep := !s.dropped[le.Uint16(r.data[16:])]
	b := appendRecord(nil, r.typ, r.data)
	if follows {
		var in record
		if end > len(s.w.in)-4 || le.Uint16(s.w.in[end:]) != recCF12 {
			return end, nil
		}
		if err := next(s.w.in, end, &in); err != nil {
			return 0, err
		}
		end = in.end
		if v := s.condition(&in); v.bad() {
			s.w.report.Found(v.rule, s.w.place, sanitize.Removed, v.why)
			keep = false
		}
		b = appendRecord(b, in.typ, in.joined())
	}
	if keep {
		s.out = append(s.out, b...)
	}
	return end, nil
}

// chartFormula writes where a chart has its data from. [MS-XLS] 2.4.29. What it
// shows is cached in the chart.
func (s *sheet) chartFormula(r *record) {
	d := r.joined()
	tokens, extra, ok := cutFormula(d, 6, 8)
	if !ok {
		return
	}
	v, p := s.judge(tokens, extra)
	if p.exp {
		v = verdict{"xls.formula", "chart of a shared formula"}
	}
	if v.bad() {
		s.w.report.Found(v.rule, s.w.place, sanitize.Replaced, v.why)
		b := append(append([]byte(nil), d[:6]...), 2, 0)
		s.out = appendRecord(s.out, recBRAI, append(b, errorToken(errRef)...))
		return
	}
	s.out = appendRecord(s.out, recBRAI, d[:8+len(tokens)+p.extra])
}
