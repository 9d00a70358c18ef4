package odf

import (
	_ "embed" // vocabulary.txt
	"strings"
	"sync"
)

//go:embed vocabulary.txt
var vocabularyText string

// words are the names of one namespace that may stay.
type words struct {
	prefix     string // its prefix in every output
	elements   map[string]bool
	attributes map[string]bool // of the namespace, on any element
	plain      map[string]bool // without a namespace, on elements of it
}

// vocabulary is the allow-list of names, by namespace, and the declarations that
// the root of every part has. It is read when the first document comes: most
// workers never see one.
var vocabulary = sync.OnceValue(func() *lexicon {
	x := &lexicon{byURI: map[string]*words{}}
	var w *words
	var declarations strings.Builder
	for line := range strings.Lines(vocabularyText) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch f[0] {
		case "namespace":
			w = &words{f[1], map[string]bool{}, map[string]bool{}, map[string]bool{}}
			x.byURI[f[2]] = w
			declarations.WriteString(` xmlns:` + f[1] + `="` + f[2] + `"`)
		case "alias":
			// LibreOffice reads them as the same (xmloff, SvXMLImport): what early
			// builds of OpenOffice 2 wrote.
			x.byURI[f[1]] = w
		case "element":
			add(w.elements, f[1:])
		case "attribute":
			add(w.attributes, f[1:])
		case "plain":
			add(w.plain, f[1:])
		default:
			panic("odf: vocabulary.txt: " + line)
		}
	}
	x.declarations = declarations.String()
	return x
})

type lexicon struct {
	byURI        map[string]*words
	declarations string
}

func add(m map[string]bool, names []string) {
	for _, n := range names {
		m[n] = true
	}
}
