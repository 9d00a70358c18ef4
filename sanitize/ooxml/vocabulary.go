package ooxml

import (
	_ "embed" // vocabulary.txt
	"strings"
	"sync"
)

//go:embed vocabulary.txt
var vocabularyText string

// words are the names of one namespace that may stay.
type words struct {
	elements   map[string]bool
	attributes map[string]bool // without a prefix, on elements of the namespace
	qualified  map[string]bool // with a prefix of the namespace, on any element
}

// vocabulary is the allow-list of names, by namespace. It is read when the
// first document comes: most workers never see one.
var vocabulary = sync.OnceValue(func() map[string]*words {
	all := map[string]*words{}
	var w *words
	for line := range strings.Lines(vocabularyText) {
		f := strings.Fields(line)
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		switch f[0] {
		case "namespace":
			w = &words{map[string]bool{}, map[string]bool{}, map[string]bool{}}
			for _, uri := range f[1:] {
				all[uri] = w
			}
		case "element":
			w.add(w.elements, f[1:])
		case "attribute":
			w.add(w.attributes, f[1:])
		case "qualified":
			w.add(w.qualified, f[1:])
		default:
			panic("ooxml: vocabulary.txt: " + line)
		}
	}
	return all
})

func (w *words) add(m map[string]bool, names []string) {
	for _, n := range names {
		m[n] = true
	}
}

// relationNames are the attributes that name a relationship. ECMA-376 part 1,
// 22.8; r:href of DrawingML's 2016 SVG and r:blip of bullets in diagrams.
var relationNames = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"id": true, "embed": true, "link": true, "pict": true, "dm": true, "lo": true, "qs": true, "cs": true, "blip": true, "href": true,
		"topLeft": true, "topRight": true, "bottomLeft": true, "bottomRight": true,
	}
})

// hasElement reports whether an element of that name may stay.
func (w *words) hasElement(local []byte) bool { return w != nil && w.elements[string(local)] }

// hasAttribute reports whether an attribute without a prefix may stay on an
// element of the namespace.
func (w *words) hasAttribute(name []byte) bool { return w != nil && w.attributes[string(name)] }

// hasQualified reports whether an attribute of the namespace may stay.
func (w *words) hasQualified(name []byte) bool { return w != nil && w.qualified[string(name)] }
