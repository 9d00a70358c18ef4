package ooxml

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func TestEveryFindingHasItsCase(t *testing.T) {
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			out, res, found, err := treat(c.pkg().bytes(t))
			if err != nil {
				t.Fatal(err)
			}
			want := sanitize.Clean
			if c.rule != "" {
				if c.action != sanitize.Rewritten {
					want = sanitize.Disarmed // XML that nobody shows is not news
				}
				if !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action }) {
					t.Errorf("no finding %s (%s) in %v", c.rule, c.action, found)
				}
			}
			if res.Outcome != want {
				t.Errorf("outcome %s, want %s: %v", res.Outcome, want, found)
			}
			all := ""
			for name, content := range unpack(t, out) {
				all += name + "\n" + content + "\n"
			}
			for _, g := range c.gone {
				if strings.Contains(all, g) {
					t.Errorf("%q is still there:\n%s", g, all)
				}
			}
			for _, s := range c.stays {
				if !strings.Contains(all, s) {
					t.Errorf("%q is lost:\n%s", s, all)
				}
			}
			checkPackage(t, c.name, out)
		})
	}
}

func TestSecondRunFindsNothingAndChangesNothing(t *testing.T) {
	for _, c := range cases {
		out, _, _, err := treat(c.pkg().bytes(t))
		if err != nil {
			t.Fatal(err)
		}
		again, res, found, err := treat(out)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if res.Outcome != sanitize.Clean {
			t.Errorf("%s: %s, %v", c.name, res.Outcome, found)
		}
		if !bytes.Equal(out, again) {
			a, b := unpack(t, out), unpack(t, again)
			for n := range a {
				if a[n] != b[n] {
					t.Errorf("%s: %s changed:\n%s\n%s", c.name, n, a[n], b[n])
				}
			}
			t.Errorf("%s: the second output differs", c.name)
		}
	}
}

func TestKindsLeaveAsTheirMacroFreeSiblings(t *testing.T) {
	for typ, m := range mainParts() {
		var p *pkg
		switch m.host {
		case hostWord:
			p = docx("")
		case hostSheet:
			p = xlsx("", "", "")
		case hostVisio:
			p = vsdx("", "")
		default:
			p = pptx("")
		}
		p.types[p.main] = strings.ReplaceAll(typ, "macroenabled", "macroEnabled")
		_, res, _, err := treat(p.bytes(t), func(o *sanitize.Options) {})
		if err != nil || res.Kind != m.out || res.Mode != sanitize.Rebuild {
			t.Errorf("%s: left as %s, %v", m.in, res.Kind, err)
		}
	}
	for _, typ := range []string{"application/vnd.ms-excel.addin.macroEnabled.main+xml", "application/vnd.ms-excel.sheet.binary.macroEnabled.main", "application/xml"} {
		p := xlsx("", "", "")
		p.types[p.main] = typ
		if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, sanitize.ErrUnsupported) {
			t.Errorf("%s: %v", typ, err)
		}
	}
}

func TestWithheldPicturesLeaveAPlaceholder(t *testing.T) {
	p := docx(fmt.Sprintf(blip, `r:embed="rId5"`)).add("word/media/image1.jpg", "image/jpeg", jpegBytes())
	p.rel(p.main, "rId5", relO+"image", "media/image1.jpg")
	out, res, _, err := treat(p.bytes(t), func(o *sanitize.Options) { delete(o.Rules, sanitize.ClassImage) })
	if err != nil || res.Outcome != sanitize.Disarmed {
		t.Fatalf("%s, %v", res.Outcome, err)
	}
	if m := unpack(t, out); !strings.HasPrefix(m["word/media/image1.png"], "\x89PNG") {
		t.Error("no placeholder")
	}
	checkPackage(t, "withheld", out)
}

func sharedFiles(t testing.TB) []string {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	var out []string
	for _, k := range []string{"docx", "xlsx", "pptx"} {
		f, err := filepath.Glob(filepath.Join(dir, "corpus", k, "*"))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f...)
	}
	return out
}

func TestSharedCorpusHasNoIDThatLeadsNowhere(t *testing.T) {
	files := sharedFiles(t)
	if len(files) == 0 {
		t.Skip("no shared corpus beside the repository; only the documents made here were checked")
	}
	rebuilt := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte("PK")) {
			continue // encrypted
		}
		out, _, _, err := treat(b)
		if err != nil {
			t.Logf("%s: %v", filepath.Base(name), err)
			continue
		}
		rebuilt++
		checkPackage(t, filepath.Base(name), out)
	}
	if rebuilt*100 < len(files)*90 {
		t.Errorf("%d of %d rebuilt", rebuilt, len(files))
	}
}
