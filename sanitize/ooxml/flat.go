package ooxml

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// Flat treats documents whose parts stand in one XML file, as Word saves them
// under "XML document". [MS-OPC-FLAT]; ECMA-376 part 2, 8 for what a package is.
// The parts are put into a package, which is rebuilt like any: docx, xlsx or
// pptx comes out.
type Flat struct{}

const spaceFlat = "http://schemas.microsoft.com/office/2006/xmlPackage"

// Sanitize implements sanitize.Sanitizer.
func (Flat) Sanitize(ctx context.Context, s *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	packed := &bytes.Buffer{}
	u := &unflat{
		s: s, scan: xmlscan.New(in.Reader()), zip: zipstrict.NewWriter(&bounded{w: packed, left: s.Options.Limits.OutputBytes}),
		types: []byte(xmlHead + `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>`),
		names: map[string]bool{},
	}
	if err := u.run(); err != nil {
		return sanitize.Result{}, fmt.Errorf("single file: %w", err)
	}
	if err := writeMember(u.zip, "[Content_Types].xml", append(u.types, "</Types>"...)); err != nil {
		return sanitize.Result{}, err
	}
	if err := u.zip.Close(); err != nil {
		return sanitize.Result{}, err
	}
	in.ReaderAt, in.Size = bytes.NewReader(packed.Bytes()), int64(packed.Len())
	return Sanitizer{}.Sanitize(ctx, s, in, out)
}

// unflat takes a single file apart.
type unflat struct {
	s     *sanitize.Session
	scan  *xmlscan.Scanner
	zip   *zipstrict.Writer
	types []byte
	names map[string]bool // by zipstrict.Key

	open     []flatElement
	bindings []flatBinding
	name     string // of the part that is open
	w        io.Writer
	data     []byte // base64 of it
	kind     flatKind
	begins   int // elements open at the root of the part
}

type flatElement struct {
	name  string
	scope int // bindings outside of it
}

type flatBinding struct{ prefix, uri string }

type flatKind uint8

const (
	flatNone   flatKind = 0
	flatXML    flatKind = 1
	flatBinary flatKind = 2
)

func (u *unflat) run() error {
	rooted := false
	for {
		t, err := u.scan.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return mapXML(err)
		}
		switch t {
		case xmlscan.Start:
			if len(u.open) == 0 && rooted {
				return malformed("two roots")
			}
			rooted = true
			err = u.start()
		case xmlscan.End:
			if n := len(u.open); n == 0 || u.open[n-1].name != string(u.scan.Name) {
				return malformed("tags do not match")
			}
			if err = u.inPart(u.scan.Raw); err == nil {
				err = u.end()
			}
		case xmlscan.Text:
			err = u.text()
		default:
			err = fmt.Errorf("token %d: %w", t, sanitize.ErrUnsupported)
		}
		if err != nil {
			return err
		}
	}
	if len(u.open) > 0 || !rooted {
		return malformed("ends early")
	}
	return nil
}

// uri is what a prefix stands for, "" for nothing.
func (u *unflat) uri(prefix string) string {
	for i := len(u.bindings) - 1; i >= 0; i-- {
		if u.bindings[i].prefix == prefix {
			return u.bindings[i].uri
		}
	}
	return ""
}

func (u *unflat) start() error {
	s := u.scan
	if len(u.open) >= u.s.Options.Limits.XMLDepth {
		return fmt.Errorf("elements more than %d deep: %w", u.s.Options.Limits.XMLDepth, sanitize.ErrLimit)
	}
	outside := len(u.bindings)
	if u.kind != flatXML || len(u.open) == u.begins {
		// Inside a part the declarations are its own affair.
		for i := range s.Attrs {
			if n := string(s.Attrs[i].Name); isDeclaration(s.Attrs[i].Name) {
				if outside > maxSpaces || len(u.bindings) > maxSpaces {
					return fmt.Errorf("more than %d namespaces: %w", maxSpaces, sanitize.ErrLimit)
				}
				u.bindings = append(u.bindings, flatBinding{strings.TrimPrefix(strings.TrimPrefix(n, "xmlns"), ":"), string(xmlscan.AppendDecoded(nil, s.Attrs[i].Value))})
			}
		}
	}
	depth := len(u.open)
	u.open = append(u.open, flatElement{string(s.Name), outside})
	if u.kind == flatXML {
		if depth == u.begins {
			if err := u.root(outside); err != nil {
				return err
			}
		} else if err := u.inPart(s.Raw); err != nil {
			return err
		}
	} else if err := u.frame(depth); err != nil {
		return err
	}
	if s.Empty {
		return u.end()
	}
	return nil
}

// frame reads the elements around the parts.
func (u *unflat) frame(depth int) error {
	prefix, local := xmlscan.Split(u.scan.Name)
	if u.kind == flatBinary || u.uri(string(prefix)) != spaceFlat {
		return malformed("<%s> where none may be", u.scan.Name)
	}
	switch {
	case depth == 0 && string(local) == "package":
		return nil
	case depth == 1 && string(local) == "part":
		return u.part()
	case depth == 2 && u.w == nil && (string(local) == "xmlData" || string(local) == "binaryData"):
		w, err := u.zip.Create(u.name)
		if err != nil {
			return malformed("part %q: %v", u.name, err)
		}
		u.w, u.kind, u.data = w, flatBinary, u.data[:0]
		if string(local) == "xmlData" {
			u.kind, u.begins = flatXML, depth+1
		}
		return nil
	default:
		return malformed("<%s> where none may be", u.scan.Name)
	}
}

// part begins a part.
func (u *unflat) part() error {
	name, typ := "", ""
	for i := range u.scan.Attrs {
		prefix, local := xmlscan.Split(u.scan.Attrs[i].Name)
		if len(prefix) == 0 || u.uri(string(prefix)) != spaceFlat {
			continue
		}
		switch v := string(xmlscan.AppendDecoded(nil, u.scan.Attrs[i].Value)); string(local) {
		case "name":
			name = strings.TrimPrefix(v, "/")
		case "contentType":
			typ = v
		}
	}
	if name == "" || strings.EqualFold(name, "[Content_Types].xml") {
		return malformed("a part without a name")
	}
	if key := zipstrict.Key(name); u.names[key] {
		return fmt.Errorf("part %q twice: %w", name, sanitize.ErrAmbiguous)
	} else if len(u.names) >= u.s.Options.Limits.Entries {
		return fmt.Errorf("more than %d parts: %w", u.s.Options.Limits.Entries, sanitize.ErrLimit)
	} else {
		u.names[key] = true
	}
	u.name, u.w = name, nil
	if !strings.HasSuffix(strings.ToLower(name), ".rels") {
		u.types = append(u.types, `<Override PartName="/`...)
		u.types = xmlscan.AppendEscaped(u.types, []byte(name))
		u.types = append(u.types, `" ContentType="`...)
		u.types = xmlscan.AppendEscaped(u.types, []byte(typ))
		u.types = append(u.types, `"/>`...)
	}
	return nil
}

// root writes the root of a part, with the declarations in force around it.
func (u *unflat) root(outside int) error {
	raw := u.scan.Raw
	tail := 1
	if u.scan.Empty {
		tail = 2
	}
	b := append([]byte(xmlHead), raw[:len(raw)-tail]...)
	done := map[string]bool{}
	for _, x := range u.bindings[outside:] {
		done[x.prefix] = true
	}
	for i := outside - 1; i >= 0; i-- {
		x := u.bindings[i]
		if done[x.prefix] || x.uri == spaceFlat {
			continue
		}
		done[x.prefix] = true
		b = append(b, " xmlns"...)
		if x.prefix != "" {
			b = append(append(b, ':'), x.prefix...)
		}
		b = append(xmlscan.AppendEscaped(append(b, `="`...), []byte(x.uri)), '"')
	}
	return u.inPart(append(b, raw[len(raw)-tail:]...))
}

// inPart copies a piece of a part.
func (u *unflat) inPart(b []byte) error {
	if u.kind != flatXML || len(u.open) <= u.begins {
		return nil
	}
	_, err := u.w.Write(b)
	return err
}

func (u *unflat) end() error {
	n := len(u.open) - 1
	u.bindings = u.bindings[:u.open[n].scope]
	u.open = u.open[:n]
	if u.kind == flatNone || n != 2 {
		return nil
	}
	if u.kind == flatBinary {
		b := make([]byte, base64.StdEncoding.DecodedLen(len(u.data)))
		m, err := base64.StdEncoding.Decode(b, u.data)
		if err != nil {
			return malformed("part %q: %v", u.name, err)
		}
		if _, err := u.w.Write(b[:m]); err != nil {
			return err
		}
	}
	u.kind = flatNone
	return nil
}

func (u *unflat) text() error {
	s := u.scan
	switch {
	case u.kind == flatBinary:
		if int64(len(u.data)+len(s.Text)) > u.s.Options.Limits.OutputBytes {
			return fmt.Errorf("part %q: %w", u.name, sanitize.ErrLimit)
		}
		for _, c := range s.Text {
			if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
				u.data = append(u.data, c)
			}
		}
		return nil
	case u.kind == flatXML && len(u.open) > u.begins:
		if s.Escape {
			return u.inPart(xmlscan.AppendEscaped(nil, s.Text))
		}
		return u.inPart(s.Raw)
	case len(bytes.TrimSpace(s.Text)) > 0:
		return malformed("text between parts")
	default:
		return nil
	}
}
