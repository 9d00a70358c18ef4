package odf

import (
	"fmt"

	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// binding is one namespace declaration in force.
type binding struct {
	prefix string
	uri    string
	words  *words // nil: nothing of it may stay
	before int    // the binding it hides, or -1
}

// element is what is known of a name as it is written, while the declarations
// stay as they are.
type element struct {
	canon string // its name in the output; "" for one of an unknown namespace
	words *words
	known bool
	rule  *rule
}

// attribute likewise.
type attribute struct {
	canon *string // nil: it goes
	rule  attrRule
	gone  string // the finding when it goes, if it is worth one
}

// declare takes the namespace declarations of the tag in the scanner in force.
func (f *filter) declare() (bool, error) {
	fresh := false
	for i := range f.s.Attrs {
		n := f.s.Attrs[i].Name
		if len(n) < 5 || string(n[:5]) != "xmlns" || len(n) > 5 && n[5] != ':' {
			continue
		}
		prefix := ""
		if len(n) > 5 {
			prefix = string(n[6:])
		}
		f.value = xmlscan.AppendDecoded(f.value[:0], f.s.Attrs[i].Value)
		uri := string(f.value)
		if before, ok := f.current[prefix]; ok && before >= 0 && f.bindings[before].uri == uri {
			continue // LibreOffice declares MathML on every formula
		}
		if len(f.current) > maxSpaces || len(f.bindings) > maxSpaces {
			return false, fmt.Errorf("more than %d namespaces: %w", maxSpaces, sanitize.ErrLimit)
		}
		before, ok := f.current[prefix]
		if !ok {
			before = -1
		}
		f.bindings = append(f.bindings, binding{prefix: prefix, uri: uri, words: vocabulary().byURI[uri], before: before})
		f.current[prefix] = len(f.bindings) - 1
		fresh = true
	}
	if fresh {
		f.forget()
	}
	return fresh, nil
}

// forget drops what is known of names: they may mean something else now. A
// large table is dropped whole: clearing it costs what it once held, and an
// element can declare a namespace in twenty octets.
func (f *filter) forget() {
	const large = 100
	if len(f.elements) > large {
		f.elements = map[string]element{}
	}
	if len(f.attrs) > large {
		f.attrs = map[string]attribute{}
	}
	clear(f.elements)
	clear(f.attrs)
}

// lookup returns the binding of a prefix, nil for none.
func (f *filter) lookup(prefix []byte) *binding {
	if i, ok := f.current[string(prefix)]; ok && i >= 0 {
		return &f.bindings[i]
	}
	return nil
}

// resolve tells what the name of an element means.
func (f *filter) resolve(name []byte) (element, error) {
	if e, ok := f.elements[string(name)]; ok {
		return e, nil
	}
	prefix, local := xmlscan.Split(name)
	var e element
	switch b := f.lookup(prefix); {
	case b == nil && len(prefix) > 0:
		return e, malformed("prefix %q not declared", prefix)
	case b != nil && b.uri == "" && len(prefix) > 0:
		return e, malformed("prefix %q taken back", prefix)
	case b != nil && b.words != nil:
		e.words = b.words
		e.canon = b.words.prefix + ":" + string(local)
		e.known = b.words.elements[string(local)]
		e.rule = rules()[e.canon]
	case b != nil:
		e.rule = foreignSpaces[b.uri]
	}
	const most = 4000 // names of one part; the vocabulary has 800
	if len(f.elements) < most {
		f.elements[string(name)] = e
	}
	return e, nil
}
