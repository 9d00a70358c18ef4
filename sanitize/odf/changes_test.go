package odf_test

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestCommentsAndChangesFollowTheProfile(t *testing.T) {
	in := odt(`<text:tracked-changes><text:changed-region text:id="c1"><text:deletion><office:change-info><dc:creator>山田</dc:creator></office:change-info><text:p>旧</text:p></text:deletion></text:changed-region><text:changed-region text:id="c2"><text:insertion><office:change-info><dc:creator>山田</dc:creator></office:change-info></text:insertion></text:changed-region></text:tracked-changes><text:p><text:change text:change-id="c1"/><text:change-start text:change-id="c2"/>新<text:change-end text:change-id="c2"/><office:annotation office:name="1"><dc:creator>佐藤</dc:creator><text:p>内緒</text:p></office:annotation>文<office:annotation-end office:name="1"/></text:p>`).bytes(t)
	for name, c := range map[string]struct {
		change      func(*sanitize.Options)
		gone, stays []string
	}{
		"accepted":  {func(o *sanitize.Options) { o.Accept = true }, []string{"旧", "山田", "text:change"}, []string{"新", "内緒"}},
		"taken out": {func(o *sanitize.Options) { o.Reject = true }, []string{"新", "山田", "text:change", "deletion"}, []string{"旧", "内緒"}},
		"removed":   {func(o *sanitize.Options) { o.Comments = true }, []string{"内緒", "佐藤", "annotation"}, []string{"新", "旧", "文"}},
		"kept":      {func(*sanitize.Options) {}, nil, []string{"新", "旧", "内緒", "annotation-end"}},
	} {
		out, p, err := treat(t.Context(), in, c.change)
		if err != nil || p.Outcome != sanitize.Disarmed && c.gone != nil {
			t.Errorf("%s: %s, %v", name, p.Outcome, err)
			continue
		}
		s := text(t, out)
		for _, g := range c.gone {
			if strings.Contains(s, g) {
				t.Errorf("%s: %q is still there:\n%s", name, g, s)
			}
		}
		for _, k := range c.stays {
			if !strings.Contains(s, k) {
				t.Errorf("%s: %q is lost:\n%s", name, k, s)
			}
		}
		check(t, name, out, p.OutKind)
	}
}

// changed is a text with a list of changes: i, j and k insertions, f a change of
// formats, the others what was deleted.
func changed(body string, deleted ...string) *file {
	list := `<text:tracked-changes>`
	for _, id := range []string{"i", "j", "k"} {
		list += `<text:changed-region xml:id="` + id + `" text:id="` + id + `"><text:insertion><office:change-info><dc:creator>山田</dc:creator></office:change-info></text:insertion></text:changed-region>`
	}
	list += `<text:changed-region text:id="f"><text:format-change><office:change-info/></text:format-change></text:changed-region>`
	for i, d := range deleted {
		list += `<text:changed-region text:id="d` + string(rune('1'+i)) + `"><text:deletion><office:change-info><dc:creator>山田</dc:creator></office:change-info>` + d + `</text:deletion></text:changed-region>`
	}
	return odtWith("", list+`</text:tracked-changes>`+body)
}

func reject(o *sanitize.Options) { o.Reject = true }

var textBody = regexp.MustCompile(`(?s)<office:text>(.*)</office:text>`)

var changeCases = []struct {
	name    string
	deleted []string
	in      string
	want    string // "" for what is left to the next step
}{
	{"inserted words", nil, `<text:p>a<text:change-start text:change-id="i"/>x<text:change-end text:change-id="i"/>b</text:p>`, `<text:p>ab</text:p>`},
	{"inserted in a style", nil, `<text:p>a<text:change-start text:change-id="i"/><text:span text:style-name="T1">x<text:change-end text:change-id="i"/>b</text:span>c</text:p>`, `<text:p>a<text:span text:style-name="T1">b</text:span>c</text:p>`},
	{"inserted to the end of a style", nil, `<text:p><text:span text:style-name="T1">a<text:change-start text:change-id="i"/>x</text:span>y<text:change-end text:change-id="i"/>b</text:p>`, `<text:p><text:span text:style-name="T1">a</text:span>b</text:p>`},
	{"inserted paragraph", nil, `<text:p>a<text:change-start text:change-id="i"/></text:p><text:p>x<text:change-end text:change-id="i"/></text:p><text:p>b</text:p>`, `<text:p>a</text:p><text:p>b</text:p>`},
	{"inserted over three", nil, `<text:h>a<text:change-start text:change-id="i"/>x</text:h><text:p>y</text:p><text:p text:style-name="P">z<text:span text:style-name="T1">z<text:change-end text:change-id="i"/>b</text:span></text:p><text:p>c</text:p>`, `<text:h>a<text:span text:style-name="T1">b</text:span></text:h><text:p>c</text:p>`},
	{"inserted list", nil, `<text:p>a<text:change-start text:change-id="i"/></text:p><text:list><text:list-item><text:p>x</text:p></text:list-item><text:list-item><text:p>y<text:change-end text:change-id="i"/>b</text:p></text:list-item></text:list>`, `<text:p>a</text:p><text:list><text:list-item><text:p>b</text:p></text:list-item></text:list>`},
	{"inserted from a list on", nil, `<text:list><text:list-item><text:p>a<text:change-start text:change-id="i"/>x</text:p></text:list-item></text:list><text:p>y<text:change-end text:change-id="i"/>b</text:p>`, `<text:list><text:list-item><text:p>a</text:p></text:list-item></text:list><text:p>b</text:p>`},
	{"inserted table", nil, `<text:change-start text:change-id="i"/><table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table><text:p>y</text:p><text:change-end text:change-id="i"/><text:p>b</text:p>`, `<text:p>b</text:p>`},
	{"inserted note and picture", nil, `<text:p>a<text:change-start text:change-id="i"/><text:note><text:note-body><text:p>x</text:p></text:note-body></text:note><draw:frame><draw:image xlink:href="Pictures/p.png"/></draw:frame><text:change-end text:change-id="i"/>b</text:p>`, `<text:p>ab</text:p>`},
	{"two that overlap", nil, `<text:p>a<text:change-start text:change-id="i"/>x<text:change-start text:change-id="j"/>y<text:change-end text:change-id="i"/>z<text:change-end text:change-id="j"/>b</text:p>`, `<text:p>ab</text:p>`},
	{"formats", nil, `<text:p>a<text:change-start text:change-id="f"/>x<text:change-end text:change-id="f"/>b</text:p>`, `<text:p>axb</text:p>`},
	{"of a change that nobody made", nil, `<text:p>a<text:change-start text:change-id="q"/>x<text:change-end text:change-id="q"/><text:change text:change-id="q"/>b</text:p>`, `<text:p>axb</text:p>`},
	{"deleted words", []string{`<text:p>x<text:span>y</text:span></text:p>`}, `<text:p>a<text:change text:change-id="d1"/>b</text:p>`, `<text:p>ax<text:span>y</text:span>b</text:p>`},
	{"deleted break", []string{`<text:p text:style-name="A"/><text:p text:style-name="B"/>`}, `<text:p text:style-name="A" xml:id="1">a<text:span text:style-name="T1">c<text:change text:change-id="d1"/>d</text:span>b</text:p>`, `<text:p text:style-name="A" xml:id="1">a<text:span text:style-name="T1">c</text:span></text:p><text:p text:style-name="B"><text:span text:style-name="T1">d</text:span>b</text:p>`},
	{"deleted paragraphs", []string{`<text:h>x</text:h><text:p>y</text:p><text:h>z</text:h>`}, `<text:p>a<text:change text:change-id="d1"/>b</text:p>`, `<text:p>ax</text:p><text:p>y</text:p><text:h>zb</text:h>`},
	{"deleted table", []string{`<table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table>`}, `<text:p xml:id="1">a<text:change text:change-id="d1"/>b</text:p>`, `<text:p xml:id="1">a</text:p><table:table><table:table-row><table:table-cell><text:p>x</text:p></table:table-cell></table:table-row></table:table><text:p>b</text:p>`},
	{"deleted between paragraphs", []string{`<text:p>x</text:p>`}, `<text:p>a</text:p><text:change text:change-id="d1"/><text:p>b</text:p>`, `<text:p>a</text:p><text:p>x</text:p><text:p>b</text:p>`},
	{"two deletions in one", []string{`<text:p>x</text:p><text:h>y</text:h>`, `<text:p>u</text:p><text:p>v</text:p>`}, `<text:p>a<text:change text:change-id="d1"/>b<text:change text:change-id="d2"/>c</text:p>`, `<text:p>ax</text:p><text:h>ybu</text:h><text:p>vc</text:p>`},
	{"deleted once", []string{`<text:p>x</text:p>`}, `<text:p>a<text:change text:change-id="d1"/>b<text:change text:change-id="d1"/></text:p>`, `<text:p>axb</text:p>`},
	{"without an end", nil, `<text:p>a<text:change-start text:change-id="i"/>x</text:p>`, ""},
	{"deleted in what was inserted", []string{`<text:p>x</text:p>`}, `<text:p>a<text:change-start text:change-id="i"/><text:change text:change-id="d1"/><text:change-end text:change-id="i"/></text:p>`, ""},
	{"a change in what was deleted", []string{`<text:p>x<text:change text:change-id="i"/></text:p>`}, `<text:p/>`, ""},
	{"a picture nobody put back", []string{`<text:p><draw:frame><draw:image xlink:href="Pictures/p.png"/></draw:frame></text:p>`}, `<text:p/>`, ""},
}

func TestTrackedChangesAreTakenOut(t *testing.T) {
	for _, c := range changeCases {
		in := changed(c.in, c.deleted...).add("Pictures/p.png", pngBytes()).bytes(t)
		out, p, err := treat(t.Context(), in, reject)
		if c.want == "" {
			if !errors.Is(err, sanitize.ErrUnsupported) {
				t.Errorf("%s: %v, want it left to the next step", c.name, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if m := textBody.FindStringSubmatch(text(t, out)); m == nil || m[1] != c.want {
			t.Errorf("%s: wrote %q, want %q", c.name, m, c.want)
		}
		if strings.Contains(text(t, out), "山田") {
			t.Errorf("%s: who changed it is still there", c.name)
		}
		check(t, c.name, out, p.OutKind)
	}
}

func FuzzTakenOut(f *testing.F) {
	for _, c := range changeCases {
		f.Add(c.in, strings.Join(c.deleted, ""))
	}
	f.Fuzz(func(t *testing.T, body, deleted string) {
		out, p, err := treat(t.Context(), changed(body, deleted).bytes(t), reject)
		if err != nil {
			return
		}
		check(t, "output", out, p.OutKind)
	})
}
