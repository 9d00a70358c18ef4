package all_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

var update = flag.Bool("update", false, "write testdata/corpus anew: files of Outlook and Ichitaro, what they are, and what is found in them")

const collection = "testdata/corpus"

// collected is a file of the collection: one for each finding of the rooms that
// open the containers of Outlook and Ichitaro.
type collected struct {
	rule, file, profile, what, gone, stays string
	b                                      []byte
}

func collect() []collected {
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
	return []collected{
		{"outlook.msg", "a.msg", "", "a saved message of Outlook becomes a mail", "", "本文 body", corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "件名", 0x1000: "本文 body"}, ""))},
		{"outlook.ole", "a.msg", "", "a saved message with an object of another program", "MARKER", "本文 body", corpus.Compound(message(6))},
		{"outlook.link", "a.msg", "", "a saved message whose attachment is a link to a file elsewhere", "", "本文 body", corpus.Compound(message(2))},
		{"outlook.tnef", "winmail.dat", "", "what Outlook packs the files of a formatted mail in; they stand beside it", "", "the text inside", corpus.Winmail("", corpus.Packed{Name: "a.txt", Data: []byte("the text inside"), Method: 1})},
		{"ichitaro.macro", "a.jtd", "text", "a document with macros, of which the words are asked for", "SEKISHO-SAMPLE", "議案", corpus.Ichitaro("令和八年度 議案")},
		{"ichitaro.object", "a.jtd", "text", "a document with objects", "MARKER", "議案", document(corpus.Folder{"ObjectSheets": corpus.Folder{"x": []byte("MARKER")}})},
		{"ichitaro.stream", "a.jtd", "rebuild", "a document with a stream of OLE and one that hides an archive, rebuilt", "MARKER", "", document(corpus.Folder{"Packed": []byte("PK\x03\x04MARKER")})},
		{"ichitaro.storage", "a.jtd", "rebuild", "a document with a storage of unknown use, rebuilt", "MARKER", "", document(corpus.Folder{"Unknown": corpus.Folder{"x": []byte("MARKER")}})},
		{"ichitaro.leftover", "a.jtd", "rebuild", "a document with the words of an earlier save behind its text, rebuilt", "MARKER", "", func() []byte {
			f := corpus.IchitaroFolder("令和八年度 議案")
			f["DocumentText"] = append(f["DocumentText"].([]byte), "MARKER"...)
			return corpus.Compound(f)
		}()},
	}
}

var profiles = map[string]func(*sanitize.Options){
	"text": func(o *sanitize.Options) {
		o.Rules[sanitize.ClassIchitaro] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Text}}
	},
	"rebuild": func(o *sanitize.Options) {
		o.Rules[sanitize.ClassIchitaro] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	},
}

// TestCollection treats each file of testdata/corpus in a mail and compares what
// is found with its .report. Its .readme says what it is, what must go, what must
// stay and what the profile says. With -update the collection is written anew.
func TestCollection(t *testing.T) {
	if *update {
		writeCollection(t)
	}
	files, err := filepath.Glob(filepath.Join(collection, "*.in"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no collection: %v", err)
	}
	told := map[string]bool{}
	for _, in := range files {
		base := strings.TrimSuffix(in, ".in")
		readme, err := os.ReadFile(base + ".readme")
		if err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(in)
		if err != nil {
			t.Fatal(err)
		}
		says := map[string]string{}
		for l := range strings.Lines(string(readme)) {
			if k, v, ok := strings.Cut(strings.TrimSuffix(l, "\n"), ": "); ok {
				says[k] = v
			}
		}
		out, got := reportOf(t, says["File"], b, says["Profile"])
		want, err := os.ReadFile(base + ".report")
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("%s: found\n%swant\n%s", in, got, want)
		}
		for _, w := range strings.Fields(string(want)) {
			told[w] = true
		}
		all := text(t, out)
		if g := says["Must go"]; g != "" && strings.Contains(all, g) {
			t.Errorf("%s: still there: %s", in, g)
		}
		if s := says["Must stay"]; s != "" && !strings.Contains(all, s) {
			t.Errorf("%s: lost: %s", in, s)
		}
	}
	for _, code := range codesOf(t, "../outlook/*.go", "../ichitaro/*.go") {
		if !told[code] {
			t.Errorf("no file of the collection has %s", code)
		}
	}
}

// codesOf are the codes of findings in source files.
func codesOf(t *testing.T, patterns ...string) []string {
	t.Helper()
	var codes []string
	for _, p := range patterns {
		files, err := filepath.Glob(p)
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %v", p, err)
		}
		for _, f := range files {
			if strings.HasSuffix(f, "_test.go") {
				continue
			}
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range regexp.MustCompile(`"((?:outlook|ichitaro)\.[a-z-]+)"`).FindAllSubmatch(b, -1) {
				codes = append(codes, string(m[1]))
			}
		}
	}
	if len(codes) < 9 {
		t.Fatalf("only %d codes found", len(codes))
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

// reportOf treats a file in a mail.
func reportOf(t *testing.T, name string, b []byte, profile string) (mail, report string) {
	t.Helper()
	mail, r := inMail(t, name, b, profiles[profile])
	var out bytes.Buffer
	for _, p := range r.Parts[1:] { // after the text of the mail
		fmt.Fprintf(&out, "%s %s %s %s\n", p.Path, p.Kind, p.Outcome, p.Fate)
		for _, f := range p.Findings {
			fmt.Fprintln(&out, strings.TrimRight(fmt.Sprintf("  %s %s %s %s", f.Rule, f.Action, f.Where, f.Detail), " "))
		}
	}
	return mail, out.String()
}

func writeCollection(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(collection); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(collection, 0o755); err != nil {
		t.Fatal(err)
	}
	for i, c := range collect() {
		_, report := reportOf(t, c.file, c.b, c.profile)
		readme := fmt.Sprintf("%s\n\nCode: %s\nFile: %s\n", c.what, c.rule, c.file)
		for _, l := range []struct{ key, v string }{{"Profile", c.profile}, {"Must go", c.gone}, {"Must stay", c.stays}} {
			if l.v != "" {
				readme += l.key + ": " + l.v + "\n"
			}
		}
		base := filepath.Join(collection, fmt.Sprintf("%02d-%s", i+1, strings.ReplaceAll(c.rule, ".", "-")))
		for ext, b := range map[string][]byte{".in": c.b, ".readme": []byte(readme), ".report": []byte(report)} {
			if err := os.WriteFile(base+ext, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
