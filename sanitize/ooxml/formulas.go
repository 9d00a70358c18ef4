package ooxml

import (
	"strings"

	"sekisho/internal/formula"
	"sekisho/sanitize"
)

// beginFormula captures the text of an element that is a formula.
func (f *filter) beginFormula(fr *frame) verdict {
	fr.role, fr.extra = roleFormula, &extra{}
	return keep
}

// finishFormula judges a formula whose text is complete. The end tag is not
// written yet.
func (f *filter) finishFormula(fr *frame, tag bool) {
	f.text = nil
	why := ""
	if len(f.formula) > maxCapture {
		why = "formula too long"
	} else {
		why = formula.Excel(string(f.formula))
	}
	if why == "" && f.definitions.gone > 0 && fr.role == roleFormula && (fr.space == spaceSheet && f.part.class == classSheet && f.local(fr, len(f.frames)-1) == "f" || fr.space == spaceChart) {
		// A program that computes it anew would show an error where the sender saw
		// a value.
		if n := formula.Mentions(string(f.formula), f.definitions.went); n != "" {
			why = "name " + n + ", which is no more"
		}
	}
	if why == "" && f.flags.links != sanitize.KeepURLs && formula.Leads(string(f.formula)) {
		why = "HYPERLINK, by the profile"
	}
	if why == "" && f.values && fr.role == roleFormula && fr.space == spaceSheet && f.local(fr, len(f.frames)-1) == "f" {
		f.report.found("ooxml.value", f.part.source, sanitize.Replaced, "by the profile")
		fr.doomed = true
		return
	}
	if why == "" {
		if fr.role == roleName {
			f.definitions.note(fr.extra.kind, true)
		}
		if fr.role == roleFormula && fr.space == spaceSheet && fr.extra.kind == "shared" && len(f.formula) > 0 {
			if f.shared == nil {
				f.shared = map[string]bool{}
			}
			const most = 500000 // groups of shared formulas; the largest sheets seen have thousands
			if len(f.shared) < most {
				f.shared[fr.extra.parent] = true
			} else {
				f.tooMuch = true
			}
		}
		return
	}
	rule := "ooxml.formula"
	switch why {
	case "DDE":
		rule = "ooxml.dde"
	case "reference to another workbook":
		rule = "ooxml.external-reference"
	case "HYPERLINK, by the profile":
		rule = "ooxml.link"
	}
	f.report.found(rule, f.part.source, sanitize.Replaced, why)
	name := f.local(fr, len(f.frames)-1)
	switch {
	case fr.role == roleName:
		f.definitions.note(fr.extra.kind, false)
		f.refError(fr, tag)
	case fr.space == spaceSheet && (name == "formula" || name == "formula1" || name == "formula2"), fr.space == spaceX14, fr.space == spaceMain2:
		fr.doomed = true
		for i := len(f.frames) - 2; i >= 0; i-- {
			if r := f.frames[i].role; r == roleRule || r == roleUnit {
				f.frames[i].doomed = true
				break
			}
		}
	case fr.space == spaceChart:
		p := &f.frames[len(f.frames)-2]
		if p.role == roleChartRef && p.extra.kind != "multiLvlStrRef" && p.extra.parent != "tx" && p.endTag == "" {
			// The values of the chart are in its cache; they become its own.
			fr.doomed = true
			p.endTag = "-"
			f.out.cut(p.begin, p.body)
			return
		}
		f.refError(fr, tag)
	case fr.space == spaceChart2:
		f.refError(fr, tag)
	default:
		fr.doomed = true
	}
}

// refError puts #REF! in place of a formula that something must be.
func (f *filter) refError(fr *frame, tag bool) {
	f.out.cut(fr.body, f.out.pos())
	if tag {
		f.out.writeString("#REF!")
	}
}

// definitions are the defined names of a workbook, whose part is read before
// those of its sheets and charts.
type definitions struct {
	stays map[string]bool // of a sheet at least
	gone  int
}

// note takes a name in, as formulas find it: in any case of letters.
func (d *definitions) note(name string, stays bool) {
	const most = 100000 // workbooks with more lose nothing but this care
	if d.stays == nil {
		d.stays = map[string]bool{}
	}
	if len(d.stays) >= most {
		return
	}
	name = strings.ToUpper(name)
	if !stays {
		d.gone++
	}
	d.stays[name] = d.stays[name] || stays
}

// went reports whether a name leads nowhere, on whatever sheet.
func (d *definitions) went(name string) bool {
	stays, known := d.stays[strings.ToUpper(name)]
	return known && !stays
}
