package ooxml

import (
	"bytes"
	"io"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/internal/vba"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// maxProject is the longest VBA project that is looked into for the report.
const maxProject = 32 << 20

// reportModules tells what the macros were that go: each module with its hash
// and the words by which malware is known.
func (d *document) reportModules() {
	for _, f := range d.order {
		if !strings.HasSuffix(strings.ToLower(f.Name), "vbaproject.bin") && d.types.of(f.Name) != "application/vnd.ms-office.vbaProject" || f.Size > maxProject {
			continue
		}
		r, err := f.Open(d.s.Meter)
		if err != nil {
			continue // it goes whatever it is
		}
		b, err := io.ReadAll(r)
		if err != nil {
			continue
		}
		project, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			continue
		}
		for _, m := range vba.Modules(project.Root) {
			d.report.found("ooxml.vba", f.Name+"/"+m.Name, sanitize.Removed, m.String())
		}
	}
}

// reportUnreached tells of members that no relationship leads to and that hold
// what runs: nobody would have opened them, but somebody put them there.
func (d *document) reportUnreached() {
	for _, f := range d.order {
		if d.byName[zipstrict.Key(f.Name)] != nil || strings.HasSuffix(f.Name, ".rels") {
			continue
		}
		name := strings.ToLower(f.Name)
		typ := strings.ToLower(d.types.of(f.Name))
		rule := ""
		for _, w := range []struct{ word, rule string }{
			{"vbaproject", "ooxml.vba"}, {"vbadata", "ooxml.vba"}, {"activex", "ooxml.activex"}, {"macrosheet", "ooxml.macro-sheet"}, {"customui", "ooxml.custom-ui"},
			{"oleobject", "ooxml.ole"}, {"/embeddings/", "ooxml.package"}, {"connections.xml", "ooxml.connection"}, {"externallink", "ooxml.external-link"},
		} {
			if strings.Contains(name, w.word) || strings.Contains(typ, w.word) && !strings.HasSuffix(name, ".xml") {
				rule = w.rule
				break
			}
		}
		if rule == "" {
			switch name[strings.LastIndexByte(name, '.')+1:] {
			case "html", "htm", "mht", "mhtml", "hta", "js", "vbs", "exe", "dll", "scr", "lnk", "rtf", "doc", "docx", "zip":
				rule = "ooxml.part"
			}
		}
		if rule != "" && !d.report.has(rule) {
			d.report.found(rule, "", sanitize.Removed, f.Name)
		}
	}
}
