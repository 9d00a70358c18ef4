package ooxml

import (
	"strings"
	"testing"

	"sekisho/sanitize"
)

// step is an effect that begins at a click and does what is given.
func step(id, does string) string {
	return `<p:par><p:cTn id="` + id + `" fill="hold"><p:stCondLst><p:cond delay="indefinite"/></p:stCondLst><p:childTnLst>` + does + `</p:childTnLst></p:cTn></p:par>`
}

// show is the timing of a slide with a main sequence, and nodes of media behind it.
func show(steps, behind, builds string) string {
	return `<p:timing><p:tnLst><p:par><p:cTn id="1" dur="indefinite" restart="never" nodeType="tmRoot"><p:childTnLst>` +
		`<p:seq concurrent="1" nextAc="seek"><p:cTn id="2" dur="indefinite" nodeType="mainSeq"><p:childTnLst>` + steps + `</p:childTnLst></p:cTn></p:seq>` +
		behind + `</p:childTnLst></p:cTn></p:par></p:tnLst>` + builds + `</p:timing>`
}

func timed(timing string) *pkg {
	p := pptx("")
	p.members["ppt/slides/slide1.xml"] = strings.Replace(p.members["ppt/slides/slide1.xml"], "</p:sld>", timing+"</p:sld>", 1)
	return p
}

const (
	appears = `<p:set><p:cBhvr><p:cTn id="11" dur="1"/><p:tgtEl><p:spTgt spid="3"><p:txEl><p:pRg st="1" end="2"/></p:txEl></p:spTgt></p:tgtEl><p:attrNameLst><p:attrName>style.visibility</p:attrName></p:attrNameLst></p:cBhvr><p:to><p:strVal val="visible"/></p:to></p:set>`
	plays   = `<p:cmd type="call" cmd="playFrom(0.0)"><p:cBhvr><p:cTn id="21" dur="900"/><p:tgtEl><p:spTgt spid="4"/></p:tgtEl></p:cBhvr></p:cmd>`
	movie   = `<p:video><p:cMediaNode><p:cTn id="31"/><p:tgtEl><p:spTgt spid="4"/></p:tgtEl></p:cMediaNode></p:video>`
	click   = `<p:seq concurrent="1"><p:cTn id="40" nodeType="interactiveSeq"><p:childTnLst><p:par><p:cTn id="41"><p:childTnLst><p:cmd type="call" cmd="togglePause"><p:cBhvr><p:cTn id="42" dur="1"/></p:cBhvr></p:cmd></p:childTnLst></p:cTn></p:par></p:childTnLst></p:cTn></p:seq>`
)

func TestAnimationsStayBesideMediaThatGo(t *testing.T) {
	sounding := strings.Replace(step("10", `<p:par><p:cTn id="12" presetID="1" presetClass="entr"><p:childTnLst>`+appears+`</p:childTnLst><p:subTnLst><p:audio><p:cMediaNode><p:cTn id="13"/><p:tgtEl><p:sndTgt r:embed="rId9"/></p:tgtEl></p:cMediaNode></p:audio></p:subTnLst></p:cTn></p:par>`), "\n", "", -1)
	root := `<p:timing><p:tnLst><p:par><p:cTn id="1" dur="indefinite" restart="never" nodeType="tmRoot"></p:cTn></p:par></p:tnLst></p:timing>`
	for _, c := range []struct {
		name, timing, want string
	}{
		{"paragraphs of a text", show(step("10", appears), "", ""), show(step("10", appears), "", "")},
		{"a film beside them", show(step("10", appears)+step("20", plays), movie+click, ""), show(step("10", appears), "", "")},
		{"an effect with a sound", show(sounding, "", ""), show(step("10", `<p:par><p:cTn id="12" presetID="1" presetClass="entr"><p:childTnLst>`+appears+`</p:childTnLst></p:cTn></p:par>`), "", "")},
		{"a step that does two things", show(step("10", appears+plays), "", ""), show(step("10", appears), "", "")},
		{"a film alone", show(step("20", plays), movie+click, ""), root},
		{"a film outside of any step", `<p:timing><p:tnLst>` + movie + `</p:tnLst></p:timing>`, ""},
		{"a film, and how a text is built", `<p:timing><p:tnLst>` + movie + `</p:tnLst><p:bldLst><p:bldP spid="3" grpId="0"/></p:bldLst></p:timing>`, ""},
		{"a step that waits for one that went", show(step("10", strings.Replace(appears, `<p:cTn id="11" dur="1"/>`, `<p:cTn id="11" dur="1"><p:stCondLst><p:cond evt="end"><p:tn val="21"/></p:cond></p:stCondLst></p:cTn>`, 1))+step("20", plays), "", ""), ""},
		{"a step that waits for one that stays", show(step("10", strings.Replace(appears, `<p:cTn id="11" dur="1"/>`, `<p:cTn id="11" dur="1"><p:stCondLst><p:cond evt="end"><p:tn val="2"/></p:cond></p:stCondLst></p:cTn>`, 1))+step("20", plays), "", ""),
			show(step("10", strings.Replace(appears, `<p:cTn id="11" dur="1"/>`, `<p:cTn id="11" dur="1"><p:stCondLst><p:cond evt="end"><p:tn val="2"/></p:cond></p:stCondLst></p:cTn>`, 1)), "", "")},
		{"a step that waits for one that never was", show(step("10", strings.Replace(appears, `<p:cTn id="11" dur="1"/>`, `<p:cTn id="11" dur="1"><p:stCondLst><p:cond evt="end"><p:tn val="77"/></p:cond></p:stCondLst></p:cTn>`, 1)), "", ""),
			show(step("10", strings.Replace(appears, `<p:cTn id="11" dur="1"/>`, `<p:cTn id="11" dur="1"><p:stCondLst><p:cond evt="end"><p:tn val="77"/></p:cond></p:stCondLst></p:cTn>`, 1)), "", "")},
	} {
		out, _, _, err := treat(timed(c.timing).bytes(t))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		slide := unpack(t, out)["ppt/slides/slide1.xml"]
		got := ""
		if i := strings.Index(slide, "<p:timing>"); i >= 0 {
			got = slide[i : strings.Index(slide, "</p:timing>")+len("</p:timing>")]
		}
		if got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
		if err := look(out, sanitize.KindPPTX); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		again, res, _, err := treat(out)
		if err != nil || res.Outcome != sanitize.Clean || string(again) != string(out) {
			t.Errorf("%s: treated again: %v, %v", c.name, res.Outcome, err)
		}
	}
}

func TestCustomShowsKeepTheirSlides(t *testing.T) {
	p := pptx("")
	p.add("ppt/presProps.xml", typeSlide+"presProps+xml", `<p:presentationPr `+nsP+`><p:showPr loop="1"><p:sldRg st="1" end="2"/></p:showPr></p:presentationPr>`)
	p.rel(p.main, "rId2", relO+"presProps", "presProps.xml")
	out, res, _, err := treat(p.bytes(t))
	if err != nil || res.Outcome != sanitize.Clean {
		t.Fatalf("%v, %v", res.Outcome, err)
	}
	if got := unpack(t, out)["ppt/presProps.xml"]; !strings.Contains(got, `<p:sldRg st="1" end="2"/>`) {
		t.Errorf("got %s", got)
	}
}
