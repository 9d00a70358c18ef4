package rtf

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
	for _, c := range cases(t) {
		add(c.rule, c.name, "", whole(c.in), c.gone, c.stays)
	}
	add("rtf.object-beside", "files in objects, where the profile puts them beside", "beside", besides(t), []string{"obj", "MZ"}, []string{"shown", "of it"})
	add("rtf.comment", "a comment, where the profile takes comments", "comments", whole(commented), []string{"MARKER", "annotation", "atn"}, []string{"shown"})
	add("rtf.tracked-change", "tracked changes, where the profile accepts them", "accept", whole(changed), []string{"MARKER", "deleted", "revised"}, []string{"shown", "came"})
	add("rtf.trailing", "octets behind the end", "", append(whole("shown"), "MARKER"...), []string{"MARKER"}, []string{"shown"})
	add("rtf.unfinished", "groups without an end", "", []byte(`{\rtf1{\b shown`), nil, []string{"shown"})
	return all
}

// TestCollection treats each document of testdata/corpus.
func TestCollection(t *testing.T) {
	corpustest.Collection{
		Of:    "sanitize/rtf",
		Cases: collect,
		Treat: func(t *testing.T, c corpustest.Case) (string, string, error) {
			out, res, found, err := treat(t, c.In, corpustest.Profile(t, c.Profile)...)
			if err != nil {
				return "", "", err
			}
			stable(t, c.What, out)
			return string(out), corpustest.Report(res.Outcome, res.Kind, found), nil
		},
		Sources: []string{"*.go"},
		Prefix:  "rtf",
	}.Test(t)
}
