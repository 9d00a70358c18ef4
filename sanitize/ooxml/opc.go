package ooxml

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path"
	"strconv"
	"strings"

	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// document is one Office document that is being taken apart: the parts that
// stay, as a graph of relationships from the main part.
type document struct {
	ctx    context.Context
	s      *sanitize.Session
	in     sanitize.Object
	report *report
	files  map[string]*zipstrict.File // by folded name
	order  []*zipstrict.File          // as the directory has them
	types  contentTypes

	main   mainPart
	strict bool
	flags  packageFlags

	byName      map[string]*part
	parts       []*part // in the order in which they were found
	placeholder *part
	relations   int
	app         appProperties
	title       string // of the core properties
	embedded    sanitize.Embedded
	beside      map[string]bool // embedded files, and whether they were put beside this one
}

// part is one part that stays.
type part struct {
	source   string // its name in the input, for findings
	file     *zipstrict.File
	typ      string
	class    partClass
	root     string // its root element, where more than one could be read as this part
	host     host
	rule     *partRule
	base     string // of its name in the output, below the folder of the host
	numbered bool   // its name ends in a number
	name     string // in the output
	ext      string
	rels     []*relation
	byID     map[string]*relation
	gone     map[string]bool // ids of relationships that went
	data     []byte          // treated content of pictures, VML and chart workbooks
	owner    *part
}

// relation is one relationship that stays.
type relation struct {
	id       string // in the output
	typ      string
	target   *part
	external string // a link
	local    string // a place in the document: "#Sheet2!A1"
}

// resolve returns the relationship of an id in the input.
func (p *part) resolve(id string) (*relation, bool) {
	r, ok := p.byID[id]
	return r, ok
}

// knows reports whether there was a relationship of that id.
func (p *part) knows(id string) bool { return p.gone[id] }

// contentTypes is [Content_Types].xml. ISO/IEC 29500-2, 10.1.2.
type contentTypes struct {
	defaults  map[string]string
	overrides map[string]string
}

func (c contentTypes) of(name string) string {
	if t, ok := c.overrides[zipstrict.Key(name)]; ok {
		return t
	}
	ext := strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))
	return c.defaults[ext]
}

// maxSmall bounds the parts that are read whole: content types and
// relationships. A deck of 5,000 slides has a megabyte.
const maxSmall = 16 << 20

// open returns a reader over the UTF-8 form of a part, charged to the message.
func (d *document) open(f *zipstrict.File) (io.Reader, error) {
	r, err := f.Open(d.s.Meter)
	if err != nil {
		return nil, mapZIP(err)
	}
	return xmlscan.UTF8(&zipErrors{r: r})
}

// zipErrors gives the errors of the archive their names of this project.
type zipErrors struct{ r io.Reader }

func (z *zipErrors) Read(b []byte) (int, error) {
	n, err := z.r.Read(b)
	return n, mapZIP(err)
}

func malformed(format string, a ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, a...), sanitize.ErrMalformed)
}

// mapXML gives the errors of the XML reader the names that the ladder knows.
func mapXML(err error) error {
	switch {
	case errors.Is(err, xmlscan.ErrDoctype):
		// Entities are a bomb for the next reader too: no converter sees them.
		return fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	case errors.Is(err, xmlscan.ErrMalformed):
		return fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
	case errors.Is(err, xmlscan.ErrLimit):
		return fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	default:
		return err
	}
}

// mapZIP translates the errors of zipstrict.
func mapZIP(err error) error {
	for _, m := range []struct{ from, to error }{
		{zipstrict.ErrAmbiguous, sanitize.ErrAmbiguous},
		{zipstrict.ErrLimit, sanitize.ErrLimit},
		{zipstrict.ErrEncrypted, sanitize.ErrEncrypted},
		{zipstrict.ErrMalformed, sanitize.ErrContainer},
		{zipstrict.ErrUnsupported, sanitize.ErrContainer}, // no Office writes one
	} {
		if errors.Is(err, m.from) {
			return fmt.Errorf("%w: %w", err, m.to)
		}
	}
	return err
}

// maxRelations bounds the relationships of a whole document: a deck of 5,000
// slides has 20,000, a price list with a link in every row 65,000.
const maxRelations = 200000

// small is a tiny reader of the two vocabularies of the package itself.
func (d *document) small(f *zipstrict.File, uri, root string, element func(name string, attrs map[string]string) error) error {
	if f.Size > maxSmall {
		return fmt.Errorf("%s of %d bytes: %w", f.Name, f.Size, sanitize.ErrLimit)
	}
	r, err := d.open(f)
	if err != nil {
		return err
	}
	s := xmlscan.New(r)
	var open []string
	prefixes := []map[string]string{{}}
	rooted := false
	for {
		t, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("part %s: %w", f.Name, mapXML(err))
		}
		switch t {
		case xmlscan.Start:
			if len(open) > 8 || len(open) == 0 && rooted {
				return malformed("part %s", f.Name)
			}
			rooted = true
			ns := prefixes[len(prefixes)-1]
			attrs := map[string]string{}
			copied := false
			for i := range s.Attrs {
				a := &s.Attrs[i]
				v := string(xmlscan.AppendDecoded(nil, a.Value))
				n := string(a.Name)
				if p, ok := strings.CutPrefix(n, "xmlns"); ok && (p == "" || p[0] == ':') {
					if !copied {
						c := make(map[string]string, len(ns)+1)
						for k, v := range ns {
							c[k] = v
						}
						ns, copied = c, true
					}
					ns[strings.TrimPrefix(p, ":")] = v
					continue
				}
				attrs[n] = v
			}
			prefix, local := xmlscan.Split(s.Name)
			if got := ns[string(prefix)]; got != uri {
				return malformed("part %s: element in namespace %q", f.Name, got)
			}
			if len(open) == 0 && string(local) != root {
				return malformed("part %s begins with %q", f.Name, local)
			}
			if len(open) > 0 {
				if err := element(string(local), attrs); err != nil {
					return err
				}
			}
			if !s.Empty {
				open = append(open, string(s.Name))
				prefixes = append(prefixes, ns)
			}
		case xmlscan.End:
			if len(open) == 0 || open[len(open)-1] != string(s.Name) {
				return malformed("part %s: tags do not match", f.Name)
			}
			open, prefixes = open[:len(open)-1], prefixes[:len(prefixes)-1]
		case xmlscan.Text:
			if len(bytes.TrimSpace(s.Text)) > 0 {
				return malformed("part %s: text", f.Name)
			}
		default:
			return malformed("part %s", f.Name)
		}
	}
	if len(open) > 0 || !rooted {
		return malformed("part %s ends early", f.Name)
	}
	return nil
}

func (d *document) readTypes() error {
	f := d.files[zipstrict.Key("[Content_Types].xml")]
	if f == nil {
		return malformed("no [Content_Types].xml")
	}
	d.types = contentTypes{defaults: map[string]string{}, overrides: map[string]string{}}
	return d.small(f, "http://schemas.openxmlformats.org/package/2006/content-types", "Types", func(name string, a map[string]string) error {
		switch name {
		case "Default":
			// Two types for one extension are two readings.
			ext, t := strings.ToLower(a["Extension"]), a["ContentType"]
			if old, ok := d.types.defaults[ext]; ok && old != t {
				return fmt.Errorf("two types of %q: %w", ext, sanitize.ErrAmbiguous)
			}
			d.types.defaults[ext] = t
		case "Override":
			key, t := zipstrict.Key(unescape(a["PartName"])), a["ContentType"]
			if old, ok := d.types.overrides[key]; ok && old != t {
				return fmt.Errorf("two types of %q: %w", key, sanitize.ErrAmbiguous)
			}
			d.types.overrides[key] = t
		}
		return nil
	})
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}

// rawRelation is a relationship as the input has it.
type rawRelation struct{ id, typ, target, mode string }

// readRelations reads the relationships of a part; owner "" is the package.
func (d *document) readRelations(owner string) ([]rawRelation, error) {
	dir, file := path.Split(owner)
	f := d.files[zipstrict.Key(dir+"_rels/"+file+".rels")]
	if f == nil {
		return nil, nil
	}
	var out []rawRelation
	seen := map[string]bool{}
	err := d.small(f, "http://schemas.openxmlformats.org/package/2006/relationships", "Relationships", func(name string, a map[string]string) error {
		if name != "Relationship" {
			return nil
		}
		r := rawRelation{id: a["Id"], typ: a["Type"], target: a["Target"], mode: a["TargetMode"]}
		if r.id == "" || seen[r.id] {
			return fmt.Errorf("relationship %q of %s twice: %w", r.id, f.Name, sanitize.ErrAmbiguous)
		}
		seen[r.id] = true
		if d.relations++; d.relations > maxRelations {
			return fmt.Errorf("relationships of %s: %w", f.Name, sanitize.ErrLimit)
		}
		out = append(out, r)
		return nil
	})
	return out, err
}

// locate finds the member a relationship leads to.
func (d *document) locate(owner, target string) *zipstrict.File {
	target, _, _ = strings.Cut(target, "#")
	for _, t := range []string{target, unescape(target)} {
		t = strings.ReplaceAll(t, `\`, "/")
		if !strings.HasPrefix(t, "/") {
			t = path.Join("/", path.Dir(owner), t)
		}
		if f := d.files[zipstrict.Key(path.Clean(t))]; f != nil {
			return f
		}
	}
	return nil
}

// safeID keeps an id that is plain; others are given a new one.
func safeID(id string, n int) string {
	if id != "" && len(id) <= 64 && (id[0] >= 'A' && id[0] <= 'Z' || id[0] >= 'a' && id[0] <= 'z' || id[0] == '_') {
		for i := 0; i < len(id); i++ {
			if c := id[i]; !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.') {
				return "sekisho" + strconv.Itoa(n)
			}
		}
		return id
	}
	return "sekisho" + strconv.Itoa(n)
}
