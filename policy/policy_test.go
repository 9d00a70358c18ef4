package policy

import (
	"errors"
	"testing"

	"sekisho/envelope"
	"sekisho/sanitize"
)

func rules() *Rules {
	return &Rules{Limits: sanitize.DefaultLimits(), Profiles: map[envelope.ProfileID]Profile{"default": {
		Name: "default", Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassText: {Steps: []sanitize.Mode{sanitize.Rebuild}}},
		HoldMessage: map[sanitize.Class]bool{sanitize.ClassExecutable: true}, Language: "ja",
	}}}
}

func TestDecide(t *testing.T) {
	env := func(p envelope.ProfileID, tr envelope.Treatment) *envelope.Envelope {
		return &envelope.Envelope{Profile: p, Treatment: tr}
	}
	report := func(ps ...sanitize.Part) *sanitize.Report {
		return &sanitize.Report{Outcome: sanitize.Clean, Parts: ps}
	}
	exe := sanitize.Part{Path: "2", Kind: sanitize.KindScript}
	zip := sanitize.Part{Path: "2", Kind: sanitize.KindZIP, Inside: []sanitize.Kind{sanitize.KindExecutable}}
	broken := sanitize.Part{Path: "2", Kind: sanitize.KindMessage, Inside: []sanitize.Kind{sanitize.KindExecutable}}
	written := sanitize.Part{Path: "1.u1", Kind: sanitize.KindScript, InText: true}
	goesOn := written
	goesOn.Fate = sanitize.Delivered
	doc := sanitize.Part{Path: "2", Kind: sanitize.KindDOC}
	release := &Release{By: "a", Reason: "b"}
	for _, c := range []struct {
		name   string
		facts  Facts
		action Action
		class  sanitize.Class
	}{
		{"nothing at all", Facts{}, Hold, sanitize.ClassFailed},
		{"a clean report", Facts{Envelope: env("default", 0), Report: report()}, Deliver, ""},
		{"a report without an outcome", Facts{Envelope: env("default", 0), Report: &sanitize.Report{}}, Hold, sanitize.ClassFailed},
		{"a refused message", Facts{Envelope: env("default", 0), Report: &sanitize.Report{Outcome: sanitize.Refused}}, Hold, sanitize.ClassFailed},
		{"no report", Facts{Envelope: env("default", 0)}, Hold, sanitize.ClassFailed},
		{"a failure beside a report", Facts{Envelope: env("default", 0), Report: report(), Failure: errors.New("verify")}, Hold, sanitize.ClassFailed},
		{"a profile that is gone", Facts{Envelope: env("gone", 0), Report: report()}, Hold, sanitize.ClassFailed},
		{"an unknown treatment", Facts{Envelope: env("default", 7), Report: report()}, Hold, sanitize.ClassFailed},
		{"a seal that does not match", Facts{Envelope: env("default", envelope.Pass), Tampered: "x"}, Hold, sanitize.ClassTampered},
		{"tampered, though released", Facts{Envelope: env("default", 0), Report: report(), Tampered: "x", Release: release}, Hold, sanitize.ClassTampered},
		{"poison", Facts{Envelope: env("default", 0), Report: report(), Poison: "it stopped too often"}, Hold, sanitize.ClassPoison},
		{"what passes, but could not be read", Facts{Envelope: env("default", envelope.Pass), Failure: errors.New("disk")}, Hold, sanitize.ClassFailed},
		{"ours, but could not be read", Facts{Envelope: env("default", envelope.Ours), Failure: errors.New("disk")}, Hold, sanitize.ClassFailed},
		{"what passes as scanned", Facts{Envelope: env("gone", envelope.Pass)}, Deliver, ""},
		{"ambiguous", Facts{Envelope: env("default", 0), Report: &sanitize.Report{Outcome: sanitize.Clean, Holds: []sanitize.Hold{{Class: sanitize.ClassAmbiguous, Code: "mime.x"}}}}, Hold, sanitize.ClassAmbiguous},
		{"ambiguous, though released", Facts{Envelope: env("default", 0), Release: release, Report: &sanitize.Report{Outcome: sanitize.Clean, Holds: []sanitize.Hold{{Class: sanitize.ClassAmbiguous}}}}, Hold, sanitize.ClassAmbiguous},
		{"a script", Facts{Envelope: env("default", 0), Report: report(exe)}, Hold, sanitize.ClassExecutable},
		{"a program in an archive", Facts{Envelope: env("default", 0), Report: report(zip)}, Hold, sanitize.ClassExecutable},
		{"a script, released", Facts{Envelope: env("default", 0), Report: report(exe), Release: release}, Deliver, ""},
		{"a program in a forwarded mail that could not be read", Facts{Envelope: env("default", 0), Report: report(broken)}, Hold, sanitize.ClassExecutable},
		{"a script that was written into a text and cut out of it", Facts{Envelope: env("default", 0), Report: report(written)}, Deliver, ""},
		{"the same, said to go on", Facts{Envelope: env("default", 0), Report: report(goesOn)}, Hold, sanitize.ClassExecutable},
		{"a kind that is only kept back", Facts{Envelope: env("default", 0), Report: report(doc)}, Deliver, ""},
		{"a sender inside over his rate", Facts{Envelope: &envelope.Envelope{Treatment: envelope.Pass, Over: envelope.OverRate}}, Hold, sanitize.ClassLimit},
		{"the same to inside", Facts{Envelope: &envelope.Envelope{Profile: "default", Over: envelope.OverRate}, Report: report()}, Hold, sanitize.ClassLimit},
		{"the same, released", Facts{Envelope: &envelope.Envelope{Treatment: envelope.Pass, Over: envelope.OverRate}, Release: release}, Deliver, ""},
		{"too many that all can see", Facts{Envelope: &envelope.Envelope{Treatment: envelope.Pass, Over: envelope.OverVisible}}, Hold, sanitize.ClassLimit},
		{"over a limit that nobody knows", Facts{Envelope: &envelope.Envelope{Treatment: envelope.Pass, Over: "x"}}, Hold, sanitize.ClassLimit},
	} {
		v := rules().Decide(c.facts)
		if v.Action != c.action || v.Class != c.class {
			t.Errorf("%s: %s, class %q (%s), want %s, class %q", c.name, v.Action, v.Class, v.Rule, c.action, c.class)
		}
	}
}

func TestOptionsOfAProfileThatDoesNotExistTreatNothing(t *testing.T) {
	o := rules().Options("gone")
	for _, c := range []sanitize.Class{sanitize.ClassText, sanitize.ClassOffice, sanitize.ClassMessage, ""} {
		if o.Rule(c).Allows(sanitize.Rebuild) {
			t.Errorf("class %q may be rebuilt", c)
		}
	}
	if known := rules().Options("default"); !known.Rule(sanitize.ClassText).Allows(sanitize.Rebuild) {
		t.Error("a profile's own rule is not handed on")
	}
}

func TestACodeHoldsWhereTheProfileSaysSo(t *testing.T) {
	report := &sanitize.Report{Outcome: sanitize.Clean, Parts: []sanitize.Part{{
		Path: "2", Class: sanitize.ClassImage, Kind: sanitize.KindPNG, Outcome: sanitize.Clean, Fate: sanitize.Delivered,
		Findings: []sanitize.Finding{{Rule: sanitize.CodeRule, Action: sanitize.Reported, Detail: "https://evil.example/"}},
	}}}
	for _, c := range []struct {
		name    string
		profile Profile
		release *Release
		want    Action
	}{
		{"shown", Profile{Codes: true}, nil, Deliver},
		{"held", Profile{Codes: true, HoldCodes: true}, nil, Hold},
		{"released", Profile{Codes: true, HoldCodes: true}, &Release{}, Deliver},
	} {
		r := &Rules{Profiles: map[envelope.ProfileID]Profile{"p": c.profile}}
		v := r.Decide(Facts{Envelope: &envelope.Envelope{Treatment: envelope.Rebuild, Profile: "p"}, Report: report, Release: c.release})
		if v.Action != c.want {
			t.Errorf("%s: %+v", c.name, v)
		}
		if c.want == Hold && (v.Rule != "qr" || v.Class != sanitize.ClassImage || len(v.Reasons) != 1 || v.Reasons[0] != "2: https://evil.example/") {
			t.Errorf("%s: %+v", c.name, v)
		}
	}
}
