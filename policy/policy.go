// Package policy decides. Facts go in, a verdict comes out; it touches no
// database, no network and no clock, so every decision can be asked again and
// tested in a table. What happens to a part is fixed by Options before the
// worker runs; Decide judges whole messages only.
package policy

import (
	"fmt"
	"sort"
	"strings"
	"time"

	"sekisho/envelope"
	"sekisho/sanitize"
)

// Action is what happens to a message.
type Action uint8

// The actions. There is none that discards. The zero value holds.
const (
	Hold    Action = 0
	Deliver Action = 1
)

func (a Action) String() string {
	if a == Deliver {
		return "deliver"
	}
	return "hold"
}

// Release is an administrator's wish that a held message or part be examined
// again and its treated form delivered.
type Release struct {
	By     string             `json:"by"`
	Reason string             `json:"reason"`
	At     time.Time          `json:"at"`
	To     []envelope.Address `json:"to,omitempty"` // narrowed recipients; empty: all of the message's own
}

// Facts is all that a decision rests on.
type Facts struct {
	Envelope *envelope.Envelope
	Report   *sanitize.Report // nil when no run gave one
	Failure  error            // why the last run gave none, or why verify refused
	Tampered string           // which seal did not match, "" when all did
	Poison   string           // why it counts as what the daemon dies of, "" when it does not
	Release  *Release
	// Scans are the answers of the scanners that were asked.
	Scans []envelope.ScanResult
	// Before is the class it was held for when a release has it examined again.
	Before sanitize.Class
}

// Verdict is the decision on a whole message. The zero value holds.
type Verdict struct {
	Action  Action         `json:"action"`
	Class   sanitize.Class `json:"class,omitempty"`
	Rule    string         `json:"rule,omitempty"`
	Reasons []string       `json:"reasons,omitempty"`
}

// Profile is the set of rules of one profile.
type Profile struct {
	Name  string
	Rules map[sanitize.Class]sanitize.Rule
	URLs  sanitize.URLs
	// Codes looks for QR codes in pictures and pages, whose addresses the notice
	// shows; HoldCodes lets a message with one wait.
	Codes, HoldCodes bool

	// SmallPages draws flattened pages in black and white where they are no
	// pictures.
	SmallPages bool
	// KeepCSV leaves cells alone that a spreadsheet would read as formulas.
	KeepCSV bool

	// Comments takes the comments out of Office documents, Accept accepts the
	// tracked changes of texts, so that nobody reads what was deleted; Reject takes
	// them out, so that the text is what it was before.
	Comments, Accept, Reject bool
	// Values leaves cells of workbooks their values and no formulas.
	Values bool
	// Embedded puts documents that stand inside Office documents beside them.
	Embedded bool
	// Kinds are rules of kinds for themselves, where their class may be treated.
	Kinds map[sanitize.Kind]sanitize.Rule
	// Drawings makes pictures of the drawings of Windows inside documents.
	Drawings bool
	// Converters are the administrator's own, for kinds that nothing here treats.
	Converters []sanitize.Converter
	// HoldMessage lists the classes for which the whole message waits.
	// Ambiguous and tampered always do and need not be listed.
	HoldMessage map[sanitize.Class]bool
	Language    string // of notices
	// Wording is what notices say in the place of our own words, by language
	// and section; it was tried out when it was read.
	Wording map[string]map[string]string
}

// Rules are the profiles of a gateway: an immutable value, swapped whole when
// the configuration is read again.
type Rules struct {
	Profiles map[envelope.ProfileID]Profile
	Limits   sanitize.Limits
	// HoldLGWANNames holds mail from the internet under a name of LGWAN that
	// nothing proves; otherwise it is marked.
	HoldLGWANNames bool
}

// ErrNoProfile says that an envelope names a profile that the configuration no
// longer has.
type ErrNoProfile struct{ Profile envelope.ProfileID }

func (e ErrNoProfile) Error() string {
	return fmt.Sprintf("profile %q is not in the configuration", string(e.Profile))
}

// Options returns what the worker is told for messages of profile p. A profile
// that does not exist gives options that treat nothing.
func (r *Rules) Options(p envelope.ProfileID) sanitize.Options {
	f, ok := r.Profiles[p]
	if !ok {
		return sanitize.Options{Language: "ja", Limits: r.Limits}
	}
	o := sanitize.Options{
		Rules:      f.Rules,
		URLs:       f.URLs,
		Codes:      f.Codes || f.HoldCodes,
		KeepCSV:    f.KeepCSV,
		Comments:   f.Comments,
		Accept:     f.Accept,
		Reject:     f.Reject,
		Values:     f.Values,
		Embedded:   f.Embedded,
		SmallPages: f.SmallPages,
		Kinds:      f.Kinds,
		Drawings:   f.Drawings,
		Language:   f.Language,
		Wording:    f.Wording,
		Limits:     r.Limits,
	}
	o.UseConverters(f.Converters)
	return o
}

// Decide judges a message that has been examined. It is total: whatever is
// missing, unknown or contradictory holds.
func (r *Rules) Decide(f Facts) Verdict {
	if f.Tampered != "" {
		return Verdict{Action: Hold, Class: sanitize.ClassTampered, Rule: "seal", Reasons: []string{f.Tampered}}
	}
	if f.Poison != "" {
		return Verdict{Action: Hold, Class: sanitize.ClassPoison, Rule: "poison", Reasons: []string{f.Poison}}
	}
	if f.Envelope == nil {
		return Verdict{Action: Hold, Class: sanitize.ClassFailed, Rule: "no-envelope"}
	}
	if v, held := f.holdsScanned(); held {
		return v
	}
	if o := f.Envelope.Over; o != "" && f.Release == nil {
		// A limit nobody knows holds like one that is known.
		return Verdict{Action: Hold, Class: sanitize.ClassLimit, Rule: string(o), Reasons: []string{overReason(o)}}
	}
	switch f.Envelope.Treatment {
	case envelope.Pass, envelope.Ours:
		if f.Failure != nil {
			return Verdict{Action: Hold, Class: sanitize.ClassFailed, Rule: "read", Reasons: []string{f.Failure.Error()}}
		}
		if v, held := f.holdsSpam(); held {
			return v
		}
		return Verdict{Action: Deliver, Rule: f.Envelope.Treatment.String()}
	case envelope.Rebuild:
	default:
		return Verdict{Action: Hold, Class: sanitize.ClassFailed, Rule: "treatment"}
	}
	p, ok := r.Profiles[f.Envelope.Profile]
	if !ok {
		return Verdict{Action: Hold, Class: sanitize.ClassFailed, Rule: "profile",
			Reasons: []string{ErrNoProfile{f.Envelope.Profile}.Error()}}
	}
	if v, held := r.holdsSender(f.Envelope.Auth); held && f.Release == nil {
		return v
	}
	if f.Failure != nil || f.Report == nil {
		v := Verdict{Action: Hold, Class: sanitize.ClassFailed, Rule: "worker"}
		if f.Failure != nil {
			v.Reasons = []string{f.Failure.Error()}
		}
		return v
	}
	if len(f.Report.Holds) > 0 {
		v := Verdict{Action: Hold, Class: f.Report.Holds[0].Class, Rule: f.Report.Holds[0].Code}
		for _, h := range f.Report.Holds {
			v.Reasons = append(v.Reasons, h.Code+": "+h.Detail)
		}
		return v
	}
	if f.Report.Outcome != sanitize.Clean && f.Report.Outcome != sanitize.Disarmed {
		return Verdict{Action: Hold, Class: sanitize.ClassFailed, Rule: "refused"}
	}
	if v, held := p.holdsMessage(f.Report); held && f.Release == nil {
		return v
	}
	if v, held := p.holdsCodes(f.Report); held && f.Release == nil {
		return v
	}
	if v, held := f.holdsSpam(); held {
		return v
	}
	return Verdict{Action: Deliver, Rule: "treated"}
}

// holdsScanned looks for what no release satisfies: malware, and a scanner that
// was asked and did not answer. An answer that is none of those known is no
// answer.
func (f *Facts) holdsScanned() (Verdict, bool) {
	malware := Verdict{Action: Hold, Class: sanitize.ClassMalware, Rule: "malware"}
	silent := Verdict{Action: Hold, Class: sanitize.ClassUnscanned, Rule: "unscanned"}
	cleared := false
	for _, s := range f.Scans {
		switch s.Verdict {
		case envelope.ScanMalware:
			malware.Reasons = append(malware.Reasons, s.String())
		case envelope.ScanClean, envelope.ScanMarked, envelope.ScanSpam:
			cleared = cleared || s.Antivirus
		default:
			silent.Reasons = append(silent.Reasons, s.String())
		}
	}
	switch {
	case len(malware.Reasons) > 0:
		return malware, true
	case f.Before == sanitize.ClassMalware && len(silent.Reasons) > 0:
		malware.Reasons = silent.Reasons
		return malware, true
	case len(silent.Reasons) > 0:
		return silent, true
	case f.Before == sanitize.ClassMalware && !cleared:
		// The scanner that found it may have been taken out of the
		// configuration since; that makes nothing clean.
		malware.Reasons = []string{"malware was found in it, and no scanner for malware has called it clean since"}
		return malware, true
	default:
		return Verdict{}, false
	}
}

// holdsSpam looks for what a scanner calls spam. A release satisfies it:
// somebody has looked at the mail.
func (f *Facts) holdsSpam() (Verdict, bool) {
	v := Verdict{Action: Hold, Class: sanitize.ClassSpam, Rule: "spam"}
	for _, s := range f.Scans {
		if s.Verdict == envelope.ScanSpam {
			v.Reasons = append(v.Reasons, s.String())
		}
	}
	return v, len(v.Reasons) > 0 && f.Release == nil
}

// holdsSender judges who sent it. A release satisfies it: somebody has looked
// at the mail and answers for it. nil is mail that no sender was judged for.
func (r *Rules) holdsSender(a *envelope.Auth) (Verdict, bool) {
	if a == nil {
		return Verdict{}, false
	}
	v := Verdict{Action: Hold, Class: sanitize.ClassSpoofed}
	switch {
	case a.Own != "":
		v.Rule = "own-domain"
		v.Reasons = []string{fmt.Sprintf("from the internet under a domain of %s, without proof", a.Own)}
	case a.Unread:
		v.Rule, v.Class = "header", sanitize.ClassLimit
		v.Reasons = []string{"the header is too large to tell who sent it"}
	case a.DMARC == envelope.AuthFail && a.Trusted == "" && a.Policy != envelope.DispositionNone:
		// An unknown wish is held like the strictest.
		v.Rule = "dmarc"
		v.Reasons = []string{fmt.Sprintf("DMARC fails, and %s asks for %s", first(a.Domains), a.Policy)}
	case r.HoldLGWANNames && a.LGWANName != "":
		v.Rule = "lgwan-name"
		v.Reasons = []string{fmt.Sprintf("from the internet under the name %s, without proof", a.LGWANName)}
	case severalDomains(a.Domains):
		v.Rule = "several-authors"
		v.Reasons = []string{"the header From names several domains: " + strings.Join(a.Domains, ", ")}
	default:
		return Verdict{}, false
	}
	return v, true
}

func overReason(o envelope.Over) string {
	switch o {
	case envelope.OverRate:
		return "the sender inside has sent more messages in a minute than a person does: look whether the account is stolen"
	case envelope.OverVisible:
		return "To and Cc show more addresses outside to all than allowed: ask the sender whether that is meant"
	default:
		return "over a limit of its sender"
	}
}

func first(ss []string) string {
	if len(ss) == 0 {
		return "the sender"
	}
	return ss[0]
}

// severalDomains reports a From that two readers could take for two authors'.
func severalDomains(ds []string) bool { return len(ds) > 1 }

// holdsMessage looks for a part of a class for which the whole message waits.
// A release satisfies it: the administrator has seen it, and what is delivered
// is the treated form, in which such a part is kept back as ever.
func (p *Profile) holdsMessage(r *sanitize.Report) (Verdict, bool) {
	var v Verdict
	for i := range r.Parts {
		part := &r.Parts[i]
		if part.InText && part.Fate != sanitize.Delivered {
			// What somebody wrote into a text is cut out of it. It is nothing that
			// a program of the reader's could still open, and mails that quote
			// such a thing are not mails that carry it.
			continue
		}
		for _, k := range append([]sanitize.Kind{part.Kind}, part.Inside...) {
			c := k.Class()
			if !p.HoldMessage[c] {
				continue
			}
			v.Class, v.Rule = c, "hold_message"
			v.Reasons = append(v.Reasons, fmt.Sprintf("%s: %s", part.Path, k))
		}
	}
	if v.Class == "" {
		return v, false
	}
	sort.Strings(v.Reasons)
	return v, true
}

// holdsCodes looks for a QR code with an address. A release satisfies it: the
// administrator has read where it leads.
func (p *Profile) holdsCodes(r *sanitize.Report) (Verdict, bool) {
	v := Verdict{Action: Hold, Rule: "qr"}
	for i := range r.Parts {
		part := &r.Parts[i]
		for _, f := range part.Findings {
			if f.Rule != sanitize.CodeRule {
				continue
			}
			if v.Class == "" {
				v.Class = part.Class
			}
			v.Reasons = append(v.Reasons, part.Path+": "+f.Detail)
		}
	}
	return v, p.HoldCodes && len(v.Reasons) > 0
}
