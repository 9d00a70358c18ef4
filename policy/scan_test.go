package policy

import (
	"errors"
	"testing"

	"sekisho/envelope"
	"sekisho/sanitize"
)

// TestScannersOnlyMakeItWorse: every verdict with every answer, held at least
// as firmly as without it.
func TestScannersOnlyMakeItWorse(t *testing.T) {
	env := func(tr envelope.Treatment) *envelope.Envelope {
		return &envelope.Envelope{Profile: "default", Treatment: tr}
	}
	clean := &sanitize.Report{Outcome: sanitize.Clean}
	bases := map[string]Facts{
		"clean":     {Envelope: env(envelope.Rebuild), Report: clean},
		"passes":    {Envelope: env(envelope.Pass)},
		"no report": {Envelope: env(envelope.Rebuild)},
		"failure":   {Envelope: env(envelope.Pass), Failure: errors.New("disk")},
		"ambiguous": {Envelope: env(envelope.Rebuild), Report: &sanitize.Report{Outcome: sanitize.Clean, Holds: []sanitize.Hold{{Class: sanitize.ClassAmbiguous}}}},
		"script":    {Envelope: env(envelope.Rebuild), Report: &sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{{Path: "2", Kind: sanitize.KindScript}}}},
		"tampered":  {Envelope: env(envelope.Rebuild), Report: clean, Tampered: "x"},
		"poison":    {Envelope: env(envelope.Rebuild), Report: clean, Poison: "it stopped too often"},
	}
	for name, base := range bases {
		for v := range 256 {
			for _, release := range []*Release{nil, {By: "a", Reason: "b"}} {
				f := base
				f.Release = release
				without := rules().Decide(f)
				f.Scans = []envelope.ScanResult{{Scanner: "a", Verdict: envelope.ScanVerdict(v), Antivirus: true}}
				got := rules().Decide(f)
				if without.Action == Hold && got.Action != Hold {
					t.Errorf("%s, answer %d, release %v: delivered; without the answer it is held", name, v, release != nil)
				}
				known := v == int(envelope.ScanClean) || v == int(envelope.ScanMarked) || v == int(envelope.ScanSpam) && release != nil
				if !known && got.Action != Hold {
					t.Errorf("%s, answer %d, release %v: delivered", name, v, release != nil)
				}
			}
		}
	}
}

func TestWhatScannersFindIsHeld(t *testing.T) {
	const clean, marked, spam, malware = envelope.ScanClean, envelope.ScanMarked, envelope.ScanSpam, envelope.ScanMalware
	release := &Release{By: "a", Reason: "b"}
	for _, c := range []struct {
		name    string
		scans   []envelope.ScanVerdict // the first of an antivirus
		before  sanitize.Class
		release *Release
		class   sanitize.Class // "": delivered
	}{
		{"nobody was asked", nil, "", nil, ""},
		{"clean", []envelope.ScanVerdict{clean, clean}, "", nil, ""},
		{"marked", []envelope.ScanVerdict{clean, marked}, "", nil, ""},
		{"spam", []envelope.ScanVerdict{clean, spam}, "", nil, sanitize.ClassSpam},
		{"spam, released", []envelope.ScanVerdict{clean, spam}, sanitize.ClassSpam, release, ""},
		{"no answer", []envelope.ScanVerdict{clean, 0}, "", nil, sanitize.ClassUnscanned},
		{"no answer, released", []envelope.ScanVerdict{clean, 0}, sanitize.ClassUnscanned, release, sanitize.ClassUnscanned},
		{"malware", []envelope.ScanVerdict{malware, clean}, "", nil, sanitize.ClassMalware},
		{"malware and silence", []envelope.ScanVerdict{malware, 0}, "", nil, sanitize.ClassMalware},
		{"malware, released", []envelope.ScanVerdict{malware}, sanitize.ClassMalware, release, sanitize.ClassMalware},
		{"malware once, and new signatures call it clean", []envelope.ScanVerdict{clean}, sanitize.ClassMalware, release, ""},
		{"malware once, and the scanner is gone", nil, sanitize.ClassMalware, release, sanitize.ClassMalware},
		{"malware once, and now it is silent", []envelope.ScanVerdict{0}, sanitize.ClassMalware, release, sanitize.ClassMalware},
	} {
		f := Facts{Envelope: &envelope.Envelope{Profile: "default"}, Report: &sanitize.Report{Outcome: sanitize.Clean}, Before: c.before, Release: c.release}
		for i, v := range c.scans {
			f.Scans = append(f.Scans, envelope.ScanResult{Scanner: "s", Verdict: v, Antivirus: i == 0})
		}
		if v := rules().Decide(f); v.Class != c.class || (v.Action == Deliver) != (c.class == "") || v.Action == Hold && len(v.Reasons) == 0 {
			t.Errorf("%s: %s, class %q (%q), want class %q", c.name, v.Action, v.Class, v.Reasons, c.class)
		}
	}
	f := Facts{Envelope: &envelope.Envelope{Profile: "default"}, Report: &sanitize.Report{Outcome: sanitize.Clean}, Before: sanitize.ClassMalware, Release: release,
		Scans: []envelope.ScanResult{{Scanner: "spam", Verdict: clean}}}
	if v := rules().Decide(f); v.Class != sanitize.ClassMalware {
		t.Errorf("malware once, and only a spam scanner calls it clean: %s, class %q", v.Action, v.Class)
	}
}
