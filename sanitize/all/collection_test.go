package all_test

import (
	"fmt"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/internal/corpus/corpustest"
)

// collect gives files for the rooms that open the containers of Outlook and
// Ichitaro.
func collect(*testing.T) []corpustest.Case {
	message := func(method uint32) corpus.Folder {
		return corpus.SavedMessage(true, map[uint16]string{0x0037: "件名 subject", 0x1000: "本文 body"}, "", corpus.Packed{Name: "図 MARKER.bin", Data: []byte("MARKER"), Method: method})
	}
	document := func(more corpus.Folder) []byte {
		f := corpus.IchitaroFolder("令和八年度 議案")
		for n, v := range more {
			f[n] = v
		}
		return corpus.Compound(f)
	}
	return []corpustest.Case{
		{Code: "outlook.msg", What: "a saved message of Outlook becomes a mail", File: "a.msg", Stays: []string{"本文 body"}, In: corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "件名", 0x1000: "本文 body"}, ""))},
		{Code: "outlook.ole", What: "a saved message with an object of another program", File: "a.msg", Gone: []string{"MARKER"}, Stays: []string{"本文 body"}, In: corpus.Compound(message(6))},
		{Code: "outlook.link", What: "a saved message whose attachment is a link to a file elsewhere", File: "a.msg", Stays: []string{"本文 body"}, In: corpus.Compound(message(2))},
		{Code: "outlook.tnef", What: "what Outlook packs the files of a formatted mail in; they stand beside it", File: "winmail.dat", Stays: []string{"the text inside"}, In: corpus.Winmail("", corpus.Packed{Name: "a.txt", Data: []byte("the text inside"), Method: 1})},
		{Code: "ichitaro.macro", What: "a document with macros, of which the words are asked for", File: "a.jtd", Profile: "ichitaro-text", Gone: []string{"SEKISHO-SAMPLE"}, Stays: []string{"議案"}, In: corpus.Ichitaro("令和八年度 議案")},
		{Code: "ichitaro.object", What: "a document with objects", File: "a.jtd", Profile: "ichitaro-text", Gone: []string{"MARKER"}, Stays: []string{"議案"}, In: document(corpus.Folder{"ObjectSheets": corpus.Folder{"x": []byte("MARKER")}})},
		{Code: "ichitaro.stream", What: "a document with a stream of OLE and one that hides an archive, rebuilt", File: "a.jtd", Profile: "ichitaro-rebuild", Gone: []string{"MARKER"}, In: document(corpus.Folder{"Packed": []byte("PK\x03\x04MARKER")})},
		{Code: "ichitaro.storage", What: "a document with a storage of unknown use, rebuilt", File: "a.jtd", Profile: "ichitaro-rebuild", Gone: []string{"MARKER"}, In: document(corpus.Folder{"Unknown": corpus.Folder{"x": []byte("MARKER")}})},
		{Code: "ichitaro.leftover", What: "a document with the words of an earlier save behind its text, rebuilt", File: "a.jtd", Profile: "ichitaro-rebuild", Gone: []string{"MARKER"}, In: func() []byte {
			f := corpus.IchitaroFolder("令和八年度 議案")
			f["DocumentText"] = append(f["DocumentText"].([]byte), "MARKER"...)
			return corpus.Compound(f)
		}()},
	}
}

// TestCollection treats each file of testdata/corpus in a mail.
func TestCollection(t *testing.T) {
	corpustest.Collection{
		Of:    "sanitize/all",
		Cases: collect,
		Treat: func(t *testing.T, c corpustest.Case) (string, string, error) {
			mail, r := inMail(t, c.File, c.In, corpustest.Profile(t, c.Profile)...)
			var report strings.Builder
			for _, p := range r.Parts[1:] { // after the text of the mail
				fmt.Fprintf(&report, "%s %s %s %s\n", p.Path, p.Kind, p.Outcome, p.Fate)
				for _, f := range p.Findings {
					report.WriteString(strings.TrimRight(fmt.Sprintf("  %s %s %s %s", f.Rule, f.Action, f.Where, f.Detail), " ") + "\n")
				}
			}
			return text(t, mail), report.String(), nil
		},
		Sources: []string{"../outlook/*.go", "../ichitaro/*.go"},
		Prefix:  "outlook|ichitaro",
	}.Test(t)
}
