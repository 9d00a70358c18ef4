package sandbox

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestProfilesWithAMissingLimitAreRefused(t *testing.T) {
	for name, p := range map[string]Profile{"worker": Worker(), "lane": Lane()} {
		if err := p.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, change := range map[string]func(*Profile){
		"all":                func(p *Profile) { *p = Profile{} },
		"memory":             func(p *Profile) { p.Memory = 0 },
		"too little memory":  func(p *Profile) { p.Memory, p.GoMemory = 64<<20, 1<<20 },
		"unlimited memory":   func(p *Profile) { p.Memory = 1 << 62 },
		"runtime memory":     func(p *Profile) { p.GoMemory = 0 },
		"runtime above":      func(p *Profile) { p.GoMemory = p.Memory + 1 },
		"CPU":                func(p *Profile) { p.CPU = 0 },
		"a fraction of CPU":  func(p *Profile) { p.CPU = 1500 * time.Millisecond },
		"unlimited CPU":      func(p *Profile) { p.CPU = 1 << 62 },
		"file size":          func(p *Profile) { p.FileSize = 0 },
		"negative file size": func(p *Profile) { p.FileSize = -1 },
		"open files":         func(p *Profile) { p.OpenFiles = 0 },
		"threads":            func(p *Profile) { p.Threads = 0 },
		"landlock":           func(p *Profile) { p.Landlock = -2 },
	} {
		p := Worker()
		change(&p)
		if err := p.check(); err == nil {
			t.Errorf("a profile without a good %s is accepted", name)
		}
	}
}

func TestAnOrderIsReadAsWritten(t *testing.T) {
	for _, o := range []order{
		{Profile: Worker(), given: 3},
		{Profile: Lane(), given: 12, probe: "tcp"},
		{Profile: Lane(), given: 12, processors: "0-0"},
		{Profile: Lane(), given: 12, processors: "0-3+8-8+1000-1023", probe: "tcp"},
		{Profile: func() Profile { p := Worker(); p.Landlock = 2; return p }(), given: 5},
		{Profile: func() Profile { p := Worker(); p.Landlock, p.withoutRoot = NoLandlock, true; return p }(), given: 3},
	} {
		got, err := parseOrder(o.String())
		if err != nil || got != o {
			t.Errorf("%s is read as %+v, %v", o, got, err)
		}
	}
}

func TestForeignOrdersAreRefused(t *testing.T) {
	good := order{Profile: Worker(), given: 3}.String()
	for _, s := range []string{
		"", "echo", "--confine", orderFlag, good + ",", good + ",x=1",
		strings.Replace(good, "memory=1073741824,", "", 1),
		strings.Replace(good, "memory=1073741824", "memory=0", 1),
		strings.Replace(good, "memory=1073741824", "memory=99999999999999999999", 1),
		strings.Replace(good, "cpu=30", "cpu=-1", 1),
		strings.Replace(good, "cpu=30", "cpu=9223372036854775807", 1),
		strings.Replace(good, "threads=64", "threads=64x", 1),
		strings.Replace(good, "root=empty", "root=", 1),
		strings.Replace(good, "given=3", "given=-1", 1),
		strings.Replace(good, "given=3", "given=1000", 1),
		strings.Replace(good, "processors=", "processors=1", 1),
		strings.Replace(good, "processors=", "processors=3-1", 1),
		strings.Replace(good, "processors=", "processors=0-1024", 1),
		strings.Replace(good, "processors=", "processors=0-99999999999999999999", 1),
		strings.Replace(good, "processors=", "processors=0-1+", 1),
	} {
		if o, err := parseOrder(s); err == nil {
			t.Errorf("%q is accepted as %+v", s, o)
		}
	}
}

func FuzzOrder(f *testing.F) {
	f.Add(order{Profile: Worker(), given: 3}.String())
	f.Add(order{Profile: Lane(), given: 4, probe: "x"}.String())
	f.Add(orderFlag)
	f.Fuzz(func(t *testing.T, s string) {
		o, err := parseOrder(s)
		if err != nil {
			if o != (order{}) {
				t.Errorf("a refused order still says %+v", o)
			}
			return
		}
		if err := o.check(); err != nil {
			t.Errorf("an order without limits is accepted: %v", err)
		}
		again, err := parseOrder(o.String())
		if err != nil || again != o {
			t.Errorf("%q is read as %+v and then as %+v, %v", s, o, again, err)
		}
	})
}

func TestLandlockOrTheEmptyRootIsRequired(t *testing.T) {
	for _, c := range []struct {
		r  Report
		ok bool
	}{
		{Report{}, false},
		{Report{KernelLandlock: 7}, false},
		{Report{Landlock: 1}, true},
		{Report{EmptyRoot: true}, true},
		{Report{Landlock: 7, EmptyRoot: true}, true},
	} {
		if err := c.r.required(); (err == nil) != c.ok {
			t.Errorf("%+v: %v, want accepted %t", c.r, err, c.ok)
		}
	}
}

func TestZeroFindingsAreAFailure(t *testing.T) {
	if (Findings{}).Err() == nil {
		t.Error("a self-test that tried nothing passes")
	}
	f := Findings{Probes: []Finding{{Name: "a", Pass: true}, {Name: "b", Detail: "SUCCEEDED"}}}
	if err := f.Err(); err == nil || !strings.Contains(err.Error(), "b: SUCCEEDED") || strings.Contains(err.Error(), "a:") {
		t.Errorf("a self-test with a success says %v", err)
	}
	f.Probes[1].Pass = true
	if err := f.Err(); err != nil {
		t.Error(err)
	}
}

func TestStatesHaveErrors(t *testing.T) {
	for _, c := range []struct {
		s    State
		want error
	}{
		{State{Exit: 0}, nil},
		{State{Exit: ExitUnconfined}, ErrUnconfined},
		{State{Exit: -1, Signal: "SIGSYS"}, ErrForbidden},
		{State{Exit: -1, Signal: "SIGKILL", cpu: 30 * time.Second, User: 31 * time.Second}, ErrCPU},
		{State{Exit: -1, Signal: "SIGKILL", cpu: 30 * time.Second, User: 31 * time.Second, Killed: true}, ErrKilled},
		{State{Exit: -1, Signal: "SIGKILL", cpu: 30 * time.Second, User: time.Second}, ErrKilled},
	} {
		if err := c.s.Err(); !errors.Is(err, c.want) {
			t.Errorf("%+v: %v, want %v", c.s, err, c.want)
		}
	}
	for _, s := range []State{{Exit: 2}, {Exit: -1, Signal: "SIGSEGV"}, {Exit: -1, Signal: "unknown"}} {
		if s.Err() == nil {
			t.Errorf("%+v passes for a success", s)
		}
	}
}
