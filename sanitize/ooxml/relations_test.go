package ooxml

import (
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// relationCase is a document with a relationship that has nothing but its own
// code to tell.
type relationCase struct {
	typ    string
	rule   string
	action sanitize.Action
}

var relationCases = []relationCase{
	{relO + "ctrlProp", "ooxml.form-control", sanitize.Rewritten},
	{relO + "transform", "ooxml.xslt", sanitize.Removed},
	{relO + "volatileDependencies", "ooxml.rtd", sanitize.Removed},
	{relO + "slideUpdateInfo", "ooxml.slide-update", sanitize.Removed},
	{"http://schemas.microsoft.com/office/2017/06/relationships/model3d", "ooxml.model3d", sanitize.Removed},
	{relO + "revisionHeaders", "ooxml.revisions", sanitize.Removed},
	{"http://schemas.microsoft.com/office/2018/10/relationships/comments", "ooxml.comments", sanitize.Removed},
	{"http://schemas.microsoft.com/office/2006/relationships/xlExternalLinkPath/xlPathMissing", "ooxml.external-link", sanitize.Removed},
	{"http://schemas.microsoft.com/office/2014/relationships/vbaProjectSignatureAgile", "ooxml.vba", sanitize.Removed},
	{relO + "glossaryDocument", "ooxml.glossary", sanitize.Rewritten},
	{relO + "tags", "ooxml.tags", sanitize.Rewritten},
	{"http://schemas.microsoft.com/office/2007/relationships/hdphoto", "ooxml.picture-original", sanitize.Rewritten},
	{"http://schemas.microsoft.com/office/2006/relationships/legacyDiagramText", "ooxml.legacy-text", sanitize.Rewritten},
	{"http://schemas.microsoft.com/office/2018/08/relationships/commentsExtensible", "ooxml.comment-details", sanitize.Rewritten},
	{"http://schemas.microsoft.com/office/2017/06/relationships/rdRichValue", "ooxml.rich-value-store", sanitize.Rewritten},
}

func (c relationCase) pkg() *pkg {
	p := docx("").add("word/part.xml", "application/x+xml", "<x>MARKER</x>")
	return p.rel(p.main, "rId5", c.typ, "part.xml")
}

func TestRelationshipsGoWithTheirCode(t *testing.T) {
	for _, c := range relationCases {
		out, res, found, err := treat(c.pkg().bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		if want := (sanitize.Finding{Action: c.action}).Changed(); want != (res.Outcome == sanitize.Disarmed) {
			t.Errorf("%s: %s", c.typ, res.Outcome)
		}
		if !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action }) {
			t.Errorf("%s: no %s in %v", c.typ, c.rule, found)
		}
		for name, content := range unpack(t, out) {
			if strings.Contains(content, "MARKER") || strings.Contains(content, c.typ) {
				t.Errorf("%s: still in %s", c.typ, name)
			}
		}
	}
}
