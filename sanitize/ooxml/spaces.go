package ooxml

import (
	"fmt"

	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// binding is one namespace declaration in force.
type binding struct {
	prefix string
	namespace
	uri    string
	before int // the binding it hides, or -1
}

// namespace is what is known of a URI.
type namespace struct {
	space space
	words *words // nil: nothing of it may stay
}

// lookup returns the binding of a prefix.
func (f *filter) lookup(prefix []byte) (*binding, bool) {
	i, ok := f.current[string(prefix)]
	if !ok || i < 0 {
		return nil, false
	}
	return &f.bindings[i], true
}

// maxSpaces bounds the namespaces and prefixes of one part; Office writes 40.
const maxSpaces = 5000

func (f *filter) declare(prefix string, uri []byte) error {
	if len(f.uris) > maxSpaces || len(f.current) > maxSpaces {
		return fmt.Errorf("more than %d namespaces: %w", maxSpaces, sanitize.ErrLimit)
	}
	u := string(uri)
	ns, ok := f.uris[u]
	if !ok {
		if ns = (namespace{spaceOf(u), vocabulary()[u]}); u == "" {
			ns.space = spaceNone
		}
		f.uris[u] = ns
	}
	before, ok := f.current[prefix]
	if !ok {
		before = -1
	}
	f.bindings = append(f.bindings, binding{prefix: prefix, namespace: ns, uri: u, before: before})
	f.current[prefix] = len(f.bindings) - 1
	return nil
}

// leave takes the declarations of an element out of force.
func (f *filter) leave(scope int) {
	for i := len(f.bindings) - 1; i >= scope; i-- {
		b := &f.bindings[i]
		f.current[b.prefix] = b.before
	}
	f.bindings = f.bindings[:scope]
}

// resolve tells the namespace of the prefix of an element or attribute.
func (f *filter) resolve(prefix []byte, element bool) (namespace, error) {
	if len(prefix) == 0 {
		if b, ok := f.lookup(nil); ok && element {
			return b.namespace, nil
		}
		return namespace{space: spaceNone}, nil
	}
	if b, ok := f.lookup(prefix); ok {
		if b.uri == "" {
			return namespace{}, malformed("prefix %q taken back", prefix)
		}
		return b.namespace, nil
	}
	if string(prefix) == "xml" {
		return namespace{space: spaceXML}, nil
	}
	return namespace{}, malformed("prefix %q not declared", prefix)
}

// redeclare writes the namespaces that were declared on elements around this
// one whose tags do not stay.
func (f *filter) redeclare(fr *frame, outside int) {
	if outside == fr.scope {
		return
	}
	done := map[string]bool{}
	for i := fr.scope; i < len(f.bindings); i++ {
		done[f.bindings[i].prefix] = true
	}
	for i := fr.scope - 1; i >= outside; i-- {
		b := &f.bindings[i]
		if done[b.prefix] {
			continue
		}
		done[b.prefix] = true
		if f.declaredOutside(b, outside) {
			continue
		}
		f.tag = append(f.tag[:0], " xmlns"...)
		if b.prefix != "" {
			f.tag = append(append(f.tag, ':'), b.prefix...)
		}
		f.tag = append(f.tag, `="`...)
		f.tag = xmlscan.AppendEscaped(f.tag, []byte(b.uri))
		f.tag = append(f.tag, '"')
		f.out.write(f.tag)
	}
}
