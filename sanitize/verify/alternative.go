package verify

import (
	"errors"
	"fmt"
	"strings"
)

// alternatives follows mc:AlternateContent (ECMA-376 part 3, 7.5) through a
// part: of the ways in which it may say something one is left, so that no two
// programs show two texts.
type alternatives struct {
	open []alternative // innermost last
}

type alternative struct {
	level int // how deep its element is
	ways  int
}

func (a *alternatives) start(m *markup) error {
	level := len(m.starts)
	name := m.local
	n := len(a.open)
	inside := n > 0 && a.open[n-1].level == level-1
	switch {
	case m.space != inMC:
		if inside {
			return fmt.Errorf("an element %s between the ways of an alternative", name)
		}
	case string(name) == "AlternateContent" && !inside:
		a.open = append(a.open, alternative{level: level})
	case string(name) == "Choice" && inside:
		if a.open[n-1].ways++; a.open[n-1].ways > 1 {
			return errors.New("two ways of an alternative")
		}
		return required(m)
	default:
		return fmt.Errorf("an element %s of alternatives", name)
	}
	return nil
}

// end follows the end of an element; deep is how many stay open.
func (a *alternatives) end(deep int) error {
	n := len(a.open)
	if n == 0 || a.open[n-1].level != deep+1 {
		return nil
	}
	ways := a.open[n-1].ways
	a.open = a.open[:n-1]
	if ways != 1 {
		return errors.New("an alternative that says nothing")
	}
	return nil
}

// required looks at the vocabularies that the way in the scanner asks for.
func required(m *markup) error {
	for i := range m.attrs {
		if a := &m.attrs[i]; len(a.prefix) == 0 && string(a.local) == "Requires" {
			ok := false
			for p := range strings.FieldsSeq(decoded(a.value)) {
				switch m.spaces[p] {
				case inNone, inNowhere, inActive, inTypes, inRels, inXML:
					return fmt.Errorf("a way for programs that know %q", p)
				}
				ok = true
			}
			if ok {
				return nil
			}
		}
	}
	return errors.New("a way for no program")
}
