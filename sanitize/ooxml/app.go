package ooxml

import (
	"io"
	"strings"
	"unicode"

	"sekisho/internal/xmlscan"
	"sekisho/internal/zipstrict"
)

// appProperties is what stays of docProps/app.xml: which application wrote the
// document. Others decide by it whether they may trust the values that are
// cached beside formulas.
type appProperties struct {
	application string
	version     string
}

// applications that may be named.
var applications = []string{"Microsoft Excel", "Microsoft Office Word", "Microsoft Office PowerPoint", "Microsoft Macintosh Excel", "Microsoft Macintosh Word", "Microsoft Macintosh PowerPoint", "LibreOffice"}

// versionForm reports whether s is a version as Office writes it: 16.0300.
func versionForm(s string) bool {
	major, minor, ok := strings.Cut(s, ".")
	return ok && len(minor) == 4 && (len(major) == 1 || len(major) == 2) && strings.Trim(major+minor, "0123456789") == ""
}

// readApp reads the two properties; a part that is no XML has none.
func (d *document) readApp(f *zipstrict.File) appProperties {
	var a appProperties
	if f.Size > maxSmall {
		return a
	}
	r, err := d.open(f)
	if err != nil {
		return a
	}
	s := xmlscan.New(r)
	in, depth := "", 0
	var text []byte
	for {
		t, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return appProperties{}
		}
		switch t {
		case xmlscan.Start:
			_, l := xmlscan.Split(s.Name)
			in, text = string(l), text[:0]
			if !s.Empty {
				depth++
			}
		case xmlscan.End:
			depth--
			v := strings.TrimSpace(string(text))
			switch in {
			case "Application":
				for _, known := range applications {
					if strings.HasPrefix(v, known) {
						a.application = known
					}
				}
			case "AppVersion":
				if versionForm(v) {
					a.version = v
				}
			}
			in = ""
		case xmlscan.Text:
			if in != "" && len(text) < 200 {
				text = xmlscan.AppendDecoded(text, s.Text)
			}
		default:
			return appProperties{}
		}
	}
	return a
}

// xml writes the part, or nil when there is nothing to say. Strict documents
// have another vocabulary for it that few programs read.
func (a appProperties) xml(strict bool) []byte {
	if a.application == "" || strict {
		return nil
	}
	b := xmlHead + `<Properties xmlns="http://schemas.openxmlformats.org/officeDocument/2006/extended-properties"><Application>` + a.application + `</Application>`
	if a.version != "" {
		b += `<AppVersion>` + a.version + `</AppVersion>`
	}
	return []byte(b + `</Properties>`)
}

// readTitle reads the title of the core properties, the one of them that a
// reader sees: programs show it above the window. ECMA-376 part 2, 11. A part
// that is no XML has none.
func (d *document) readTitle(f *zipstrict.File) string {
	if f.Size > maxSmall {
		return ""
	}
	r, err := d.open(f)
	if err != nil {
		return ""
	}
	const longest = 500 // bytes; what stands above a window is a line
	s := xmlscan.New(r)
	title, in, depth := "", false, 0
	var text []byte
	for {
		t, err := s.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return ""
		}
		switch t {
		case xmlscan.Start:
			_, l := xmlscan.Split(s.Name)
			in = depth == 1 && string(l) == "title" && !s.Empty
			text = text[:0]
			if !s.Empty {
				depth++
			}
		case xmlscan.End:
			depth--
			if in {
				title, in = strings.TrimSpace(string(text)), false
			}
		case xmlscan.Text:
			switch {
			case !in || len(text) > longest:
			case s.Escape:
				text = append(text, s.Text...)
			default:
				text = xmlscan.AppendDecoded(text, s.Text)
			}
		default:
			return ""
		}
	}
	if len(title) > longest || strings.ContainsFunc(title, unicode.IsControl) {
		return ""
	}
	return title
}

// coreXML writes the core properties, or nil without a title.
func coreXML(title string) []byte {
	if title == "" {
		return nil
	}
	b := []byte(xmlHead + `<cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>`)
	b = xmlscan.AppendEscaped(b, []byte(title))
	return append(b, "</dc:title></cp:coreProperties>"...)
}
