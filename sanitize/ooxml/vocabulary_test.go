package ooxml

import (
	"slices"
	"strings"
	"testing"
)

func TestVocabularyIsSoundAndHasNoCarrier(t *testing.T) {
	seen := map[string]bool{}
	var current []string
	words := 0
	for line := range strings.Lines(vocabularyText) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if !slices.Contains([]string{"namespace", "element", "attribute", "qualified"}, f[0]) || len(f) < 2 {
			t.Errorf("line %q", line)
		}
		if f[0] != "namespace" {
			for _, uri := range current {
				w := vocabulary()[uri]
				for _, n := range f[1:] {
					words++
					if in := map[string]bool{"element": w.hasElement([]byte(n)), "attribute": w.hasAttribute([]byte(n)), "qualified": w.hasQualified([]byte(n))}; !in[f[0]] {
						t.Errorf("%s %s of %s is listed and unknown", f[0], n, uri)
					}
				}
			}
		} else {
			current = f[1:]
			for _, uri := range f[1:] {
				if seen[uri] {
					t.Errorf("%s stands twice", uri)
				}
				seen[uri] = true
				if s := spaceOf(uri); s == spaceActive || s == spaceIgnored {
					t.Errorf("%s is listed and is active", uri)
				}
			}
		}
	}
	total := 0
	for uri, w := range vocabulary() {
		if !seen[uri] {
			t.Errorf("%s is known and not listed", uri)
		}
		w.read()
		total += len(w.elements) + len(w.attributes) + len(w.qualified)
	}
	if total != words || len(vocabulary()) != len(seen) {
		t.Errorf("%d words of %d namespaces are known, %d of %d listed", total, len(vocabulary()), words, len(seen))
	}
	const (
		w = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
		x = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
		p = "http://schemas.openxmlformats.org/presentationml/2006/main"
		a = "http://schemas.openxmlformats.org/drawingml/2006/main"
		o = "urn:schemas-microsoft-com:office:office"
		e = "urn:schemas-microsoft-com:office:excel"
	)
	for uri, names := range map[string]string{
		w: "altChunk subDoc control attachedTemplate mailMerge frameset docVars dataBinding smartTag customXml embedRegular entryMacro objectLink fldData",
		x: "oleObject oleObjects control externalReference ddeLink oleLink connection queryTable volType Map webPublishItem functionGroup dataConsolidate",
		p: "embed control audio video cmd custData tag embeddedFont htmlPubPr snd contentPart",
		a: "audioFile videoFile quickTimeFile wavAudioFile audioCd snd",
		o: "OLEObject LinkType signatureline",
		e: "FmlaMacro MapOCX DDE ScriptText Camera",
	} {
		for _, n := range strings.Fields(names) {
			if vocabulary()[uri].hasElement([]byte(n)) {
				t.Errorf("%s of %s runs, loads or embeds, and is listed", n, uri)
			}
		}
	}
	for uri, names := range map[string]string{w: "p r t tbl tc tr sectPr fldSimple", x: "c v f row sheetData mergeCell cfRule dataValidation", p: "sld sp pic cSld", a: "p r t blip tbl"} {
		for _, n := range strings.Fields(names) {
			if !vocabulary()[uri].hasElement([]byte(n)) {
				t.Errorf("%s of %s is not listed", n, uri)
			}
		}
	}
}
