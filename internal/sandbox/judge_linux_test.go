package sandbox

import (
	"strings"
	"testing"
)

// What a captured or broken child may say must not pass for a refusal.
func TestOnlyTheExpectedEndPasses(t *testing.T) {
	report := "report " + encodeReport(Report{Landlock: 2, KernelLandlock: 2, EmptyRoot: true}) + "\n"
	dead := State{Exit: -1, Signal: sigsys}
	errs := probe{says: "x", bare: always}
	dies := probe{says: "x", bare: never, dies: true}
	work := probe{says: "x", bare: never, works: true}
	for _, c := range []struct {
		name  string
		p     probe
		out   string
		state State
		pass  bool
	}{
		{"refused twice", errs, report + "bare refused a\nfilter installed\noutcome refused b\n", State{}, true},
		{"done before the filter", errs, report + "bare done\nfilter installed\noutcome refused b\n", State{}, false},
		{"done under the filter", errs, report + "bare refused a\nfilter installed\noutcome done\n", State{}, false},
		{"nothing before the filter", errs, report + "filter installed\noutcome refused b\n", State{}, false},
		{"killed where an error was due", errs, report + "bare refused a\nfilter installed\n", dead, false},
		{"failed afterwards", errs, report + "bare refused a\nfilter installed\noutcome refused b\n", State{Exit: 2}, false},
		{"no filter", errs, report + "bare refused a\noutcome refused b\n", State{}, false},
		{"no report", errs, "bare refused a\nfilter installed\noutcome refused b\n", State{}, false},
		{"bad report", errs, "report 1 2\nbare refused a\nfilter installed\noutcome refused b\n", State{}, false},
		{"silence", errs, "", State{}, false},
		{"killed", dies, report + "filter installed\n", dead, true},
		{"killed before the filter", dies, report, dead, false},
		{"killed by something else", dies, report + "filter installed\n", State{Exit: -1, Signal: sigkill}, false},
		{"refused where death was due", dies, report + "filter installed\noutcome refused b\n", State{}, false},
		{"answered and killed", dies, report + "filter installed\noutcome refused b\n", dead, false},
		{"succeeded", dies, report + "filter installed\noutcome done\n", State{}, false},
		{"works", work, report + "filter installed\noutcome done\n", State{}, true},
		{"does not work", work, report + "filter installed\noutcome refused b\n", State{}, false},
		{"dies of work", work, report + "filter installed\n", dead, false},
	} {
		f, _ := judge(c.p, c.out, c.state)
		if f.Pass != c.pass {
			t.Errorf("%s: pass is %t (%s), want %t", c.name, f.Pass, f.Detail, c.pass)
		}
		if f.Name != "x" || f.Detail == "" {
			t.Errorf("%s: finding says nothing: %+v", c.name, f)
		}
	}
}

func TestReportsAreReadAsWritten(t *testing.T) {
	for _, r := range []Report{
		{},
		{KernelLandlock: 7, Landlock: 2, EmptyRoot: true, SignalScope: true, ThreadLimit: true, Leaked: 3, AddressSpace: 1 << 33},
		{RootError: "mount an empty root: \"x\"\n", Landlock: 1},
	} {
		got, err := decodeReport(encodeReport(r))
		if err != nil || got != r {
			t.Errorf("%+v is read as %+v, %v", r, got, err)
		}
	}
	if s := (Report{RootError: "no mount"}).String(); !strings.Contains(s, "no mount") {
		t.Errorf("a missing root is not mentioned: %q", s)
	}
}
