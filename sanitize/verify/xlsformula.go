package verify

import (
	"encoding/binary"
	"slices"
	"strings"
	"unicode/utf16"

	"sekisho/internal/lazy"
)

// automaticName is a name that Excel runs at some time.
var automaticName = lazy.Compile(`(?i)^auto_?(open|close|activate|deactivate)`)

// name looks at a defined name. [MS-XLS] 2.4.150.
func (w *workbook) name(d []byte) error {
	if len(d) < 15 {
		return notAllowed(w.where, "name of %d octets", len(d))
	}
	flags, n, size := binary.LittleEndian.Uint16(d), int(d[3]), int(binary.LittleEndian.Uint16(d[4:]))
	name, width := "", 1
	if d[14]&1 != 0 {
		width = 2
	}
	if 15+n*width+size > len(d) {
		return notAllowed(w.where, "name cut short")
	}
	if width == 2 {
		u := make([]uint16, n)
		for i := range u {
			u[i] = binary.LittleEndian.Uint16(d[15+2*i:])
		}
		name = string(utf16.Decode(u))
	} else {
		name = string(d[15 : 15+n])
	}
	low := strings.ToLower(name)
	newer := strings.HasPrefix(low, "_xlfn.") || strings.HasPrefix(low, "_xlws.") || strings.HasPrefix(low, "_xlpm.")
	switch {
	case flags&0x20 != 0 && strings.ContainsAny(name, "\x01\x02\x0a\x0b"), automaticName.MatchString(name):
		return notAllowed(w.where, "a name that runs by itself")
	case flags&0x0E != 0 && !newer, d[2] != 0, d[10]|d[11]|d[12]|d[13] != 0:
		return notAllowed(w.where, "a name of a macro")
	}
	return w.tokens(d[15+n*width:15+n*width+size], d[15+n*width+size:])
}

// formula looks at a formula whose length stands at size.
func (w *workbook) formula(d []byte, size, at int) error {
	if len(d) < at {
		return notAllowed(w.where, "formula of %d octets", len(d))
	}
	n := int(binary.LittleEndian.Uint16(d[size:]))
	if at+n > len(d) {
		return notAllowed(w.where, "formula cut short")
	}
	return w.tokens(d[at:at+n], d[at+n:])
}

// computing are the numbers of functions that only compute. [MS-XLS] 2.5.198.17.
var computing = [...]struct{ first, last int }{
	{0, 52}, {56, 78}, {82, 83}, {86, 86}, {97, 102}, {105, 105}, {109, 109}, {111, 121}, {124, 131}, {140, 144}, {148, 148}, {162, 165}, {167, 169}, {183, 184}, {189, 190}, {193, 199},
	{204, 216}, {219, 222}, {227, 235}, {244, 244}, {247, 247}, {252, 252}, {255, 255}, {261, 261}, {269, 332}, {336, 337}, {342, 347}, {350, 354}, {359, 378}, {480, 484},
}

// tokenSizes are how many octets follow each token, of those that have a fixed
// number.
var tokenSizes = lazy.Value[map[byte]int]{Make: func() map[byte]int {
	return map[byte]int{0x01: 4, 0x02: 4, 0x18: 5, 0x1C: 1, 0x1D: 1, 0x1E: 2, 0x1F: 8, 0x20: 7, 0x21: 2, 0x22: 3, 0x23: 4, 0x24: 4, 0x25: 8, 0x26: 6, 0x27: 6, 0x28: 6, 0x29: 2,
		0x2A: 4, 0x2B: 8, 0x2C: 4, 0x2D: 8, 0x2E: 2, 0x2F: 2, 0x39: 6, 0x3A: 6, 0x3B: 10, 0x3C: 6, 0x3D: 10}
}}

// tokens looks at the tokens of a formula: functions that compute, references
// into this workbook.
func (w *workbook) tokens(b, behind []byte) error {
	arrays := false
	all := len(b)
	starts, jumps := map[int]bool{all: true}, []int(nil)
	var operands []string // as far as they stand one behind the other; "" is no text
	for len(b) > 0 {
		starts[all-len(b)] = true
		t := b[0]
		b = b[1:]
		here := all - len(b)
		if t >= 0x80 {
			return notAllowed(w.where, "token %02X", t)
		}
		if t >= 0x40 {
			t = t&0x1F | 0x20
		}
		n, fixed := tokenSizes.Get()[t]
		switch {
		case fixed:
		case t >= 0x03 && t <= 0x16:
		case t == 0x17 && len(b) >= 2:
			if n = int(b[0]); b[1]&1 != 0 {
				n *= 2
			}
			n += 2
		case t == 0x19 && len(b) >= 3:
			if n = 3; b[0]&4 != 0 {
				n += 2 * (int(binary.LittleEndian.Uint16(b[1:])) + 1)
			}
			if n > len(b) {
				return notAllowed(w.where, "attribute %02X cut short", b[0])
			}
			dist := int(binary.LittleEndian.Uint16(b[1:]))
			switch b[0] &^ 1 { // whether it is always computed anew
			case 0x02:
				jumps = append(jumps, here+n+dist)
			case 0x04:
				for i := range dist + 1 {
					jumps = append(jumps, here+3+int(binary.LittleEndian.Uint16(b[3+2*i:])))
				}
			case 0x08:
				jumps = append(jumps, here+n+dist+1)
			case 0x00, 0x10, 0x40:
			default:
				return notAllowed(w.where, "attribute %02X", b[0])
			}
		default:
			return notAllowed(w.where, "token %02X", t)
		}
		if n > len(b) {
			return notAllowed(w.where, "token %02X cut short", t)
		}
		switch t {
		case 0x20:
			arrays = true
		case 0x26, 0x27, 0x28:
			arrays = arrays || t == 0x26
			jumps = append(jumps, here+n+int(binary.LittleEndian.Uint16(b[4:])))
		case 0x29, 0x2E, 0x2F:
			jumps = append(jumps, here+n+int(binary.LittleEndian.Uint16(b)))
		case 0x18:
			if b[0] == 0 || b[0] > 0x10 || b[0] >= 4 && b[0] <= 5 || b[0] >= 8 && b[0] <= 9 {
				return notAllowed(w.where, "token 18 %02X", b[0])
			}
		case 0x21, 0x22:
			f := int(binary.LittleEndian.Uint16(b[n-2:]))
			if !slices.ContainsFunc(computing[:], func(r struct{ first, last int }) bool { return f >= r.first && f <= r.last }) {
				return notAllowed(w.where, "function %d", f)
			}
			if f == 359 {
				args := int(b[0] & 0x7F)
				if t != 0x22 || args < 1 || args > 2 || args > len(operands) || !leadsNowhere(operands[len(operands)-args]) {
					return notAllowed(w.where, "HYPERLINK to elsewhere")
				}
			}
		case 0x39, 0x3A, 0x3B:
			i := int(binary.LittleEndian.Uint16(b))
			if i >= len(w.xtis) || w.xtis[i] >= len(w.books) || w.books[w.xtis[i]] == 0 || t != 0x39 && w.books[w.xtis[i]] != 0x0401 {
				return notAllowed(w.where, "a reference elsewhere")
			}
		}
		switch {
		case t == 0x17:
			operands = append(operands, stringToken(b[:n]))
		case t == 0x16, t >= 0x1C && t <= 0x1F, t >= 0x20 && t != 0x21 && t != 0x22 && (t < 0x26 || t > 0x29) && t != 0x2E && t != 0x2F:
			operands = append(operands, "")
		case t == 0x19 && b[0]&0x1E == 0: // blanks
		default:
			operands = nil
		}
		b = b[n:]
	}
	for _, at := range jumps {
		if !starts[at] {
			return notAllowed(w.where, "a jump into a token")
		}
	}
	if len(behind) > 0 && !arrays {
		return notAllowed(w.where, "%d octets behind a formula", len(behind))
	}
	return nil
}

// stringToken is the text of a string in a formula, from its length on.
func stringToken(b []byte) string {
	if b[1]&1 != 0 {
		return utf16Text(b[2:])
	}
	u := make([]uint16, len(b)-2)
	for i, c := range b[2:] {
		u[i] = uint16(c)
	}
	return string(utf16.Decode(u))
}

// leadsNowhere reports whether a target of HYPERLINK is a place in the workbook,
// the web or a mail address.
func leadsNowhere(target string) bool {
	if strings.HasPrefix(target, "#") {
		return !strings.ContainsAny(target, `[]\|`)
	}
	return harmlessURL(target)
}

// condition looks at a condition for a format: how it looks, then two formulas
// that end the record. [MS-XLS] 2.4.42.
func (w *workbook) condition(d []byte) error {
	if len(d) < 12 {
		return notAllowed(w.where, "condition of %d octets", len(d))
	}
	n1, n2 := int(binary.LittleEndian.Uint16(d[2:])), int(binary.LittleEndian.Uint16(d[4:]))
	flags, at := binary.LittleEndian.Uint32(d[6:]), 12
	if flags&(1<<25) != 0 {
		n := 2
		if d[10]&1 != 0 && len(d) >= 14 {
			n = max(int(binary.LittleEndian.Uint16(d[12:])), 2)
		}
		at += n
	}
	for i, n := range []int{118, 8, 8, 4, 2} {
		if flags&(1<<(26+i)) != 0 {
			at += n
		}
	}
	if at+n1+n2 != len(d) {
		return notAllowed(w.where, "condition with formulas of %d and %d octets in %d", n1, n2, len(d))
	}
	if err := w.tokens(d[at:at+n1], nil); err != nil {
		return err
	}
	return w.tokens(d[at+n1:], nil)
}

// newerCondition looks at the formulas of a condition for a format as newer
// versions write it: two, one that is looked at first, and those of bounds.
// [MS-XLS] 2.4.43.
func (w *workbook) newerCondition(d []byte) error {
	short := notAllowed(w.where, "condition of %d octets", len(d))
	if len(d) < 22 {
		return short
	}
	kind, n1, n2 := d[12], int64(binary.LittleEndian.Uint16(d[14:])), int64(binary.LittleEndian.Uint16(d[16:]))
	at := int64(22)
	// skip goes over octets, formula over the tokens of one.
	skip := func(n int64) bool { at += n; return at <= int64(len(d)) }
	formula := func(n int64) error {
		from := at
		if !skip(n) {
			return short
		}
		return w.tokens(d[from:at], nil)
	}
	count := func() (int64, bool) {
		if !skip(2) {
			return 0, false
		}
		return u16(d, at-2), true
	}
	if look := u32(d, 18); look == 0 && !skip(2) || look > 0 && !skip(look) {
		return short
	}
	for _, n := range []int64{n1, n2} {
		if err := formula(n); err != nil {
			return err
		}
	}
	n, ok := count()
	if !ok {
		return short
	}
	if err := formula(n); err != nil {
		return err
	}
	if !skip(22) {
		return short
	}
	bounds := func(many, behind int64) error {
		for range many {
			if !skip(1) {
				return short
			}
			what := d[at-1]
			n, ok := count()
			if !ok {
				return short
			}
			if err := formula(n); err != nil {
				return err
			}
			if n == 0 && what != 2 && what != 3 && !skip(8) || !skip(behind) {
				return short
			}
		}
		return nil
	}
	switch kind {
	case 1, 2, 5:
		return nil
	case 3, 6:
		if !skip(6) {
			return short
		}
		return bounds(int64(d[at-3]), map[byte]int64{3: 8, 6: 5}[kind])
	case 4:
		if !skip(22) {
			return short
		}
		return bounds(2, 0)
	default:
		return notAllowed(w.where, "condition of kind %d", kind)
	}
}

// validation looks at the formulas of a rule for what may be typed: they stand
// behind four texts. [MS-XLS] 2.4.96.
func (w *workbook) validation(d []byte) error {
	at := int64(4)
	for range 4 {
		if at+3 > int64(len(d)) {
			return notAllowed(w.where, "validation of %d octets", len(d))
		}
		n := u16(d, at)
		if d[at+2]&1 != 0 {
			n *= 2
		}
		at += 3 + n
	}
	for range 2 {
		if at+4 > int64(len(d)) || at+4+u16(d, at) > int64(len(d)) {
			return notAllowed(w.where, "validation of %d octets", len(d))
		}
		n := u16(d, at)
		if err := w.tokens(d[at+4:at+4+n], nil); err != nil {
			return err
		}
		at += 4 + n
	}
	return nil
}
