package sandbox

import (
	"errors"
	"fmt"
	"strings"
)

// A Finding is one attempt to break out, and whether it failed as it must.
// One of them is honest work, which must succeed.
type Finding struct {
	Name   string // what was tried, for example "connect by TCP"
	Pass   bool   // it went as it must
	Detail string // how it failed, or what happened instead
}

// Findings are the result of a self-test. The zero value is a failed one.
type Findings struct {
	Report Report    // what the confinement consists of, as the child saw it
	Probes []Finding // in a fixed order
	Cgroup string    // what of cgroups can be had beside it; never required
}

// Err is nil if every attempt was made and went as it must. Otherwise nothing hostile
// may be read on this machine.
func (f Findings) Err() error {
	if len(f.Probes) == 0 {
		return errors.New("isolation self-test: nothing was tried")
	}
	var bad []string
	for _, p := range f.Probes {
		if !p.Pass {
			bad = append(bad, p.Name+": "+p.Detail)
		}
	}
	if len(bad) > 0 {
		return fmt.Errorf("isolation self-test: %s", strings.Join(bad, "; "))
	}
	return nil
}
