package html

import (
	"slices"

	"golang.org/x/net/html/atom"
)

// ends says which open elements a start tag ends by itself, so that a page of
// unclosed items is no nest of thousands: of each list the first, unless one of
// the others was opened inside it. HTML, 13.1.2.4.
func ends(a atom.Atom) [][]atom.Atom {
	switch a {
	case atom.Li:
		return [][]atom.Atom{{atom.Li, atom.Ul, atom.Ol, atom.Menu, atom.Dir}}
	case atom.Dt, atom.Dd:
		return [][]atom.Atom{{atom.Dt, atom.Dl}, {atom.Dd, atom.Dl}}
	case atom.Td, atom.Th:
		return [][]atom.Atom{{atom.Td, atom.Tr, atom.Table}, {atom.Th, atom.Tr, atom.Table}}
	case atom.Tr:
		return [][]atom.Atom{{atom.Tr, atom.Table}}
	default:
		return nil
	}
}

// innermost finds the last of n open elements that is a, unless one of stops was
// opened inside it; -1 if there is none.
func innermost(n int, name func(int) atom.Atom, a atom.Atom, stops []atom.Atom) int {
	for i := n - 1; i >= 0; i-- {
		have := name(i)
		if have == a {
			return i
		}
		if slices.Contains(stops, have) {
			return -1
		}
	}
	return -1
}
