package odf_test

import (
	"testing"

	"sekisho/internal/corpus/corpustest"
)

// collect gives the documents of the collection.
func collect(t *testing.T) []corpustest.Case {
	var all []corpustest.Case
	add := func(code, what, profile string, in []byte, gone, stays []string) {
		all = append(all, corpustest.Case{Code: code, What: what, Profile: profile, In: in, Gone: gone, Stays: stays})
	}
	for _, c := range cases {
		add(c.rule, c.name, "", c.in(t), c.gone, c.stays)
	}
	add("odf.comment", "a comment, where the profile takes comments", "comments", odt(`<text:p>本<office:annotation><text:p>MARKER</text:p></office:annotation>文</text:p>`).bytes(t), []string{"MARKER", "annotation"}, []string{"本文"})
	add("odf.tracked-change", "tracked changes, where the profile accepts them", "accept", odt(`<text:tracked-changes><text:changed-region text:id="c"><text:deletion><office:change-info><dc:creator>MARKER</dc:creator></office:change-info><text:p>MARKER</text:p></text:deletion></text:changed-region></text:tracked-changes><text:p>本<text:change text:change-id="c"/>文</text:p>`).bytes(t), []string{"MARKER", "tracked-changes"}, []string{"本文"})
	// What is told, or goes without a word.
	for _, c := range cases {
		if c.rule == "" {
			b := c.in(t)
			_, p, err := treat(t.Context(), b)
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			for _, f := range p.Findings {
				add(f.Rule, c.name, "", b, c.gone, c.stays)
			}
		}
	}
	return all
}

// TestCollection treats each document of testdata/corpus.
func TestCollection(t *testing.T) {
	corpustest.Collection{
		Of:    "sanitize/odf",
		Cases: collect,
		Treat: func(t *testing.T, c corpustest.Case) (string, string, error) {
			out, p, err := treat(t.Context(), c.In, corpustest.Profile(t, c.Profile)...)
			if err != nil {
				return "", "", err
			}
			check(t, c.What, out, p.OutKind)
			return text(t, out), corpustest.Report(p.Outcome, p.OutKind, p.Findings), nil
		},
		Sources: []string{"*.go"},
		Prefix:  "odf",
		Without: []string{"odf.more"}, // of more than two hundred findings
	}.Test(t)
}
