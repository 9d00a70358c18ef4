package verify

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sekisho/internal/lazy"
)

// fieldCheck assembles field instructions over runs.
type fieldCheck struct {
	open []*fieldState
}

type fieldState struct {
	code, shown strings.Builder // with and without what a tracked change deleted
	nested      bool
	separated   bool
}

var harmlessFields = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`PAGE NUMPAGES SECTION SECTIONPAGES TOC TOA TC TA XE INDEX REF PAGEREF NOTEREF FTNREF STYLEREF SEQ DATE TIME
	FILENAME HYPERLINK SYMBOL ADVANCE AUTONUM AUTONUMLGL AUTONUMOUT LISTNUM BIDIOUTLINE EQ FORMTEXT FORMCHECKBOX FORMDROPDOWN`)
}}

// coding reports whether the code of some field is being read.
func (f *fieldCheck) coding() bool {
	return slices.ContainsFunc(f.open, func(s *fieldState) bool { return !s.separated })
}

func (f *fieldCheck) start(m *markup) error {
	attr := func(name string) string {
		for i := range m.attrs {
			if string(m.attrs[i].local) == name {
				return decoded(m.attrs[i].value)
			}
		}
		return ""
	}
	switch string(m.local) {
	case "fldSimple":
		return instruction(attr("instr"))
	case "fldChar":
		n := len(f.open)
		switch attr("fldCharType") {
		case "begin":
			if f.coding() {
				return errors.New("a field in the code of another")
			}
			if n == 100 {
				return errors.New("fields in fields")
			}
			f.open = append(f.open, &fieldState{})
		case "separate":
			if n > 0 && !f.open[n-1].separated {
				f.open[n-1].separated = true
				return f.open[n-1].judge()
			}
		case "end":
			if n > 0 {
				s := f.open[n-1]
				f.open = f.open[:n-1]
				if !s.separated {
					return s.judge()
				}
			}
		default:
			return errors.New("a mark of a field that is none")
		}
	}
	return nil
}

func (s *fieldState) judge() error {
	return errors.Join(instruction(s.code.String()), instruction(s.shown.String()))
}

func (f *fieldCheck) text(s string, deleted bool) {
	if n := len(f.open); n > 0 && !f.open[n-1].separated {
		f.open[n-1].code.WriteString(s)
		if !deleted {
			f.open[n-1].shown.WriteString(s)
		}
	}
}

// end judges the fields that have none.
func (f *fieldCheck) end() error {
	for _, s := range f.open {
		if !s.separated && strings.TrimSpace(s.code.String()) != "" {
			return errors.New("a field that never ends")
		}
	}
	return nil
}

// instruction looks at the code of a field.
func instruction(s string) error {
	s = strings.Map(func(r rune) rune {
		if r < 0x20 || r == 0xA0 || r == 0x3000 {
			return ' '
		}
		return r
	}, s)
	name := strings.TrimLeft(s, " \"\\")
	word, rest := name, ""
	if i := strings.IndexAny(name, " \"“”„\\"); i >= 0 {
		word, rest = name[:i], name[i:]
	}
	word = strings.ToUpper(strings.TrimSpace(word))
	if code := strings.TrimSpace(s); strings.HasPrefix(code, "=") {
		return sum(code[1:])
	}
	switch {
	case word == "" && strings.TrimSpace(rest) == "", word == "SHAPE" && drawn.MatchString(rest):
		return nil
	case !slices.Contains(harmlessFields.Get(), word):
		return fmt.Errorf("field %q", word)
	case word != "HYPERLINK":
		return nil
	}
	// Which quotation mark ends which is said nowhere: neither way may there be a
	// bad target.
	return errors.Join(linkCode(rest, `"“”„`, `"“”„`), linkCode(rest, `"`, `“”„`))
}

var (
	drawn   = lazy.Compile(`^\s*(\\\*\s*(?i:MERGEFORMAT|CHARFORMAT)\s*)*$`)
	called  = lazy.Compile(`([\pL\pN_]+)\s*\(`)
	numeral = lazy.Compile(`^[\pL\pN_ .,;:()+\-*/^%<>=$¥€£]*(\\#\s*("[^"\\{}]*"|[^\s"\\{}]+)\s*|\\\*\s*[A-Za-z]+\s*)*$`)
)

// sum looks at the code of a field that computes: numbers, cells, bookmarks.
func sum(s string) error {
	if !numeral.MatchString(s) {
		return fmt.Errorf("field that computes %q", s)
	}
	for _, c := range called.FindAllStringSubmatch(s, -1) {
		switch strings.ToUpper(c[1]) {
		case "ABS", "AND", "AVERAGE", "COUNT", "DEFINED", "FALSE", "IF", "INT", "MAX", "MIN", "MOD", "NOT", "OR", "PRODUCT", "ROUND", "SIGN", "SUM", "TRUE":
		default:
			return fmt.Errorf("field that calls %q", c[1])
		}
	}
	return nil
}

// linkCode looks at the arguments of HYPERLINK. What is neither a switch nor
// belongs to one is where it leads. Marks of either set begin an argument and
// end what one of the same set began.
func linkCode(s, straight, curved string) error {
	const (
		between = iota
		bare
		quoted
		slash // a backslash between arguments: a switch
	)
	state, ends := between, ""
	place, took, targets := false, false, 0
	var arg strings.Builder
	done := func() error {
		a := arg.String()
		arg.Reset()
		state = between
		if took {
			took = false
			return nil
		}
		if targets++; targets > 1 || !strings.HasPrefix(a, "#") && !harmlessURL(a) {
			return fmt.Errorf("field HYPERLINK to %q", a)
		}
		place = true
		return nil
	}
	literal := false
	for _, r := range s {
		if literal {
			literal = false
			arg.WriteRune(r)
			continue
		}
		mark := ""
		if strings.ContainsRune(straight, r) {
			mark = straight
		} else if strings.ContainsRune(curved, r) {
			mark = curved
		}
		switch state {
		case slash:
			switch r | 0x20 {
			case 'l':
				place, took = true, true
			case 'o', 't':
				took = true
			}
			state = between
			continue
		case bare:
			if r == ' ' || mark != "" {
				if err := done(); err != nil {
					return err
				}
			}
		case quoted:
			if mark == ends {
				if err := done(); err != nil {
					return err
				}
				continue
			}
		}
		if state == between {
			switch {
			case r == ' ':
				continue
			case r == '\\':
				state = slash
				continue
			case mark != "":
				state, ends = quoted, mark
				continue
			}
			state = bare
		}
		if r == '\\' {
			literal = true
			continue
		}
		arg.WriteRune(r)
	}
	if state == bare || state == quoted {
		if literal {
			arg.WriteByte('\\')
		}
		if err := done(); err != nil {
			return err
		}
	}
	if !place {
		return errors.New("field HYPERLINK to nowhere")
	}
	return nil
}
