package ooxml

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// TestNothingActsInAnyBranch puts what acts into each place that an alternative
// has, whichever branch will stay, and with the tracked changes settled in each
// way: it comes out of none, and the output is sound.
func TestNothingActsInAnyBranch(t *testing.T) {
	carriers := map[string]string{
		"simple field":   `<w:fldSimple w:instr="DDEAUTO EVIL"><w:r><w:t>x</w:t></w:r></w:fldSimple>`,
		"field":          `<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>INCLUDETEXT EVIL</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>`,
		"deleted field":  `<w:del w:id="1"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:delInstrText>DDE EVIL</w:delInstrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:del>`,
		"inserted field": `<w:ins w:id="1"><w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText>DDE EVIL</w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r></w:ins>`,
		"link":           `<w:hyperlink r:id="rId9"><w:r><w:t>x</w:t></w:r></w:hyperlink>`,
		"control":        `<w:r><w:object><v:shape/><w:control r:id="rId8" w:name="EVIL"/></w:object></w:r>`,
		"object":         `<w:r><w:object><v:shape/><o:OLEObject Type="Link" ProgID="EVIL" r:id="rId8"/></w:object></w:r>`,
		"old picture":    `<w:r><w:pict><v:shape><v:imagedata src="http://EVIL/x.png"/></v:shape></w:pict></w:r>`,
		"shape's link":   `<w:r><w:pict><v:shape href="file://EVIL"/></w:pict></w:r>`,
		"own vocabulary": `<evil:run xmlns:evil="urn:EVIL"/>`,
	}
	places := map[string]string{
		"choice that stays":    `<w:p><mc:AlternateContent><mc:Choice Requires="w">%s<w:r><w:t>一</w:t></w:r></mc:Choice><mc:Fallback><w:r><w:t>二</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p>`,
		"choice of 2013":       `<w:p><mc:AlternateContent><mc:Choice xmlns:w15="http://schemas.microsoft.com/office/word/2012/wordml" Requires="w15">%s<w:r><w:t>一</w:t></w:r></mc:Choice></mc:AlternateContent></w:p>`,
		"choice of nobody":     `<w:p><mc:AlternateContent><mc:Choice xmlns:n="urn:n" Requires="n">%s</mc:Choice><mc:Fallback><w:r><w:t>二</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p>`,
		"fallback":             `<w:p><mc:AlternateContent><mc:Choice xmlns:n="urn:n" Requires="n"/><mc:Fallback>%s<w:r><w:t>二</w:t></w:r></mc:Fallback></mc:AlternateContent></w:p>`,
		"between":              `<w:p><mc:AlternateContent>%s<mc:Choice Requires="w"><w:r><w:t>一</w:t></w:r></mc:Choice></mc:AlternateContent></w:p>`,
		"third":                `<w:p><mc:AlternateContent><mc:Choice Requires="w"><w:r><w:t>一</w:t></w:r></mc:Choice><mc:Choice Requires="w">%s</mc:Choice></mc:AlternateContent></w:p>`,
		"after the fallback":   `<w:p><mc:AlternateContent><mc:Fallback><w:r><w:t>二</w:t></w:r></mc:Fallback><mc:Choice Requires="w">%s</mc:Choice></mc:AlternateContent></w:p>`,
		"one in another":       `<w:p><mc:AlternateContent><mc:Choice Requires="w"><mc:AlternateContent><mc:Choice Requires="w">%s<w:r><w:t>一</w:t></w:r></mc:Choice></mc:AlternateContent></mc:Choice></mc:AlternateContent></w:p>`,
		"around a lost mark":   `<w:p><w:pPr><w:rPr><w:del w:id="7"/></w:rPr></w:pPr>%s</w:p><w:p><w:pPr><w:jc w:val="left"/></w:pPr><w:r><w:t>一</w:t></w:r></w:p>`,
		"in a mark that came":  `<w:p><w:pPr><w:rPr><w:ins w:id="7"/></w:rPr></w:pPr>%s</w:p><w:p><w:r><w:t>一</w:t></w:r></w:p>`,
		"another alternative?": `<w:p><mc:AlternateContent><mc:Choice Requires="w" mc:MustUnderstand="n" mc:ProcessContent="n">%s<w:r><w:t>一</w:t></w:r></mc:Choice></mc:AlternateContent></w:p>`,
	}
	for place, where := range places {
		for carrier, what := range carriers {
			for way, change := range map[string]func(*sanitize.Options){
				"kept": func(*sanitize.Options) {}, "accepted": func(o *sanitize.Options) { o.Accept = true }, "removed": func(o *sanitize.Options) { o.Reject = true },
			} {
				name := place + ", " + carrier + ", " + way
				p := docx(fmt.Sprintf(where, what)).rel("word/document.xml", "rId9", relO+"hyperlink", "external:file:///EVIL").rel("word/document.xml", "rId8", relO+"oleObject", "external:file:///EVIL")
				out, res, _, err := treat(p.bytes(t), change)
				if err != nil {
					t.Errorf("%s: %v", name, err)
					continue
				}
				all := fmt.Sprint(unpack(t, out))
				if strings.Contains(all, "EVIL") {
					t.Errorf("%s: it is still there: %s", name, all)
				}
				checkPackage(t, name, out)
				if e := verify.File(context.Background(), newSession(len(out)), res.Kind, bytes.NewReader(out), int64(len(out))); e != nil {
					t.Errorf("%s: the second look refuses it: %v", name, e)
				}
				if again, second, found, err := treat(out, change); err != nil || second.Outcome != sanitize.Clean || !bytes.Equal(again, out) {
					t.Errorf("%s: a second time %s %v %v\n%s\n%s", name, second.Outcome, found, err, unpack(t, out)["word/document.xml"], unpack(t, again)["word/document.xml"])
				}
			}
		}
	}
}
