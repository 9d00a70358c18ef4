package ooxml

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"sekisho/internal/corpus/corpustest"
)

// collected is a document of the collection: one for each finding.
type collected struct {
	rule, name, profile string
	pkg                 *pkg
	gone, stays         []string
}

// collect gives the documents of the collection.
func collect(t *testing.T) []corpustest.Case {
	var all []corpustest.Case
	add := func(c collected) {
		all = append(all, corpustest.Case{Code: c.rule, What: c.name, Profile: c.profile, In: c.pkg.bytes(t), Gone: c.gone, Stays: c.stays})
	}
	for _, c := range cases {
		add(collected{rule: c.rule, name: c.name, pkg: c.pkg(), gone: c.gone, stays: c.stays})
	}
	for _, c := range relationCases {
		add(collected{rule: c.rule, name: "a relationship of type " + c.typ, pkg: c.pkg(), gone: []string{"MARKER"}})
	}
	ins := `<w:p><w:ins w:id="1" w:author="a"><w:r><w:t>追加</w:t></w:r></w:ins><w:del w:id="2" w:author="a"><w:r><w:delText>削除</w:delText></w:r></w:del></w:p>`
	add(collected{rule: "ooxml.tracked-change", name: "tracked changes", profile: "accept", pkg: docx(ins), gone: []string{"削除", "w:ins"}, stays: []string{"追加"}})
	add(collected{rule: "ooxml.value", name: "a formula where the profile wants values", profile: "values", pkg: xlsx(`<c r="A1"><f>SUM(B1:C1)</f><v>3</v></c>`, "", ""), gone: []string{"SUM"}, stays: []string{"<v>3</v>"}})
	host := docx("").add("word/embeddings/a.xlsx", typeSheet+"sheet", "")
	var inner bytes.Buffer
	inner.Write(xlsxBytes())
	host.members["word/embeddings/a.xlsx"] = inner.String()
	host.rel(host.main, "rId1", relO+"package", "embeddings/a.xlsx")
	add(collected{rule: "ooxml.package-beside", name: "an embedded workbook in a mail", profile: "beside", pkg: host, gone: []string{"embeddings"}})
	// What is told, or goes without a word.
	for _, c := range cases {
		if c.rule == "" {
			_, _, found, err := treat(c.pkg().must())
			if err != nil {
				continue
			}
			for _, f := range found {
				add(collected{rule: f.Rule, name: c.name, pkg: c.pkg(), gone: c.gone, stays: c.stays})
			}
		}
	}
	return all
}

func xlsxBytes() []byte { return xlsx(`<c r="A1"><v>7</v></c>`, "", "").must() }

// must is the package as octets, for who has no test at hand.
func (p *pkg) must() []byte {
	t := &quiet{}
	return p.bytes(t)
}

// quiet is a test of which nothing can fail: writing to memory.
type quiet struct{ testing.TB }

func (*quiet) Helper()           {}
func (*quiet) Fatal(args ...any) { panic(fmt.Sprint(args...)) }

// TestCollection treats each document of testdata/corpus.
func TestCollection(t *testing.T) {
	corpustest.Collection{
		Of:    "sanitize/ooxml",
		Cases: collect,
		Treat: func(t *testing.T, c corpustest.Case) (string, string, error) {
			out, res, found, err := treat(c.In, corpustest.Profile(t, c.Profile)...)
			if err != nil {
				return "", "", err
			}
			var left strings.Builder
			for name, content := range unpack(t, out) {
				left.WriteString(name + "\n" + content + "\n")
			}
			checkPackage(t, c.What, out)
			return left.String(), corpustest.Report(res.Outcome, res.Kind, found), nil
		},
		Sources: []string{"*.go"},
		Prefix:  "ooxml",
		Without: []string{"ooxml.more"}, // of more than two hundred findings
	}.Test(t)
}
