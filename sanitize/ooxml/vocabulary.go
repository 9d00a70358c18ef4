package ooxml

import (
	_ "embed" // vocabulary.txt
	"strings"
	"sync"
)

//go:embed vocabulary.txt
var vocabularyText string

// words are the names of one namespace that may stay. They are read when the
// first of them is asked for: a document uses few of the namespaces, and a
// worker sees few documents.
type words struct {
	text string // lines of the list
	once sync.Once

	elements   map[string]bool
	attributes map[string]bool // without a prefix, on elements of the namespace
	qualified  map[string]bool // with a prefix of the namespace, on any element
}

// vocabulary is the allow-list of names, by namespace.
var vocabulary = sync.OnceValue(func() map[string]*words {
	all := map[string]*words{}
	const begin = "\nnamespace "
	_, rest, more := strings.Cut(vocabularyText, begin)
	for more {
		var block string
		block, rest, more = strings.Cut(rest, begin)
		names, text, _ := strings.Cut(block, "\n")
		w := &words{text: text}
		for uri := range strings.FieldsSeq(names) {
			all[uri] = w
		}
	}
	return all
})

func (w *words) read() {
	w.once.Do(func() {
		w.elements, w.attributes, w.qualified = map[string]bool{}, map[string]bool{}, map[string]bool{}
		for line := range strings.Lines(w.text) {
			kind, names, _ := strings.Cut(strings.TrimRight(line, "\n"), " ")
			var m map[string]bool
			switch {
			case kind == "element":
				m = w.elements
			case kind == "attribute":
				m = w.attributes
			case kind == "qualified":
				m = w.qualified
			case kind == "", strings.HasPrefix(kind, "#"):
				continue
			default:
				panic("ooxml: vocabulary.txt: " + line)
			}
			for n := range strings.FieldsSeq(names) {
				m[n] = true
			}
		}
	})
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
func (w *words) hasElement(local []byte) bool {
	if w == nil {
		return false
	}
	w.read()
	return w.elements[string(local)]
}

// hasAttribute reports whether an attribute without a prefix may stay on an
// element of the namespace.
func (w *words) hasAttribute(name []byte) bool {
	if w == nil {
		return false
	}
	w.read()
	return w.attributes[string(name)]
}

// hasQualified reports whether an attribute of the namespace may stay.
func (w *words) hasQualified(name []byte) bool {
	if w == nil {
		return false
	}
	w.read()
	return w.qualified[string(name)]
}
