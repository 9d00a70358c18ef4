package policy

import (
	"testing"

	"sekisho/envelope"
	"sekisho/sanitize"
)

func TestSendersThatAreHeld(t *testing.T) {
	const none, quarantine, reject = envelope.DispositionNone, envelope.DispositionQuarantine, envelope.DispositionReject
	for _, c := range []struct {
		name string
		auth *envelope.Auth
		rule string // "": delivered
	}{
		{"nobody judged it", nil, ""},
		{"nothing known", &envelope.Auth{}, ""},
		{"a pass", &envelope.Auth{DMARC: envelope.AuthPass, Policy: reject}, ""},
		{"no policy", &envelope.Auth{DMARC: envelope.AuthNone}, ""},
		{"fails, none", &envelope.Auth{DMARC: envelope.AuthFail, Policy: none}, ""},
		{"fails, quarantine", &envelope.Auth{DMARC: envelope.AuthFail, Policy: quarantine}, "dmarc"},
		{"fails, reject", &envelope.Auth{DMARC: envelope.AuthFail, Policy: reject}, "dmarc"},
		{"fails, a wish nobody knows", &envelope.Auth{DMARC: envelope.AuthFail, Policy: 9}, "dmarc"},
		{"fails, no wish recorded", &envelope.Auth{DMARC: envelope.AuthFail}, "dmarc"},
		{"DNS is silent", &envelope.Auth{DMARC: envelope.AuthTempError, Policy: reject, Silent: true}, ""},
		{"fails, but trusted by the tenant", &envelope.Auth{DMARC: envelope.AuthFail, Policy: reject, Trusted: "form.example"}, ""},
		{"our own domain", &envelope.Auth{Own: "town"}, "own-domain"},
		{"our own domain and another's pass", &envelope.Auth{Own: "town", DMARC: envelope.AuthPass}, "own-domain"},
		{"two domains", &envelope.Auth{Domains: []string{"a.example", "b.example"}}, "several-authors"},
		{"a header nobody could read", &envelope.Auth{Unread: true}, "header"},
		{"a name of LGWAN", &envelope.Auth{LGWANName: "city.other.lg.jp"}, "lgwan-name"},
		{"marks", &envelope.Auth{Marks: []string{"display-name", "reply-to", "sender"}}, ""},
	} {
		r := rules()
		r.HoldLGWANNames = true
		f := Facts{Envelope: &envelope.Envelope{Profile: "default", Auth: c.auth}, Report: &sanitize.Report{Outcome: sanitize.Clean}}
		v := r.Decide(f)
		if held := v.Action == Hold; held != (c.rule != "") || held && (v.Rule != c.rule || len(v.Reasons) == 0) {
			t.Errorf("%s: %s by %s, want rule %q", c.name, v.Action, v.Rule, c.rule)
		}
		// Who releases it has looked at it.
		f.Release = &Release{By: "a", Reason: "b"}
		if v := r.Decide(f); v.Action != Deliver {
			t.Errorf("%s, released: %s by %s", c.name, v.Action, v.Rule)
		}
		// But not at what nobody could examine.
		f.Report = nil
		if v := r.Decide(f); v.Action != Hold {
			t.Errorf("%s, released without a report: %s", c.name, v.Action)
		}
	}
	f := Facts{Envelope: &envelope.Envelope{Profile: "default", Auth: &envelope.Auth{LGWANName: "city.other.lg.jp"}}, Report: &sanitize.Report{Outcome: sanitize.Clean}}
	if v := rules().Decide(f); v.Action != Deliver {
		t.Errorf("a name of LGWAN where the setting says mark: %s by %s", v.Action, v.Rule)
	}
}
