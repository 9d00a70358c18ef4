package ooxml

import (
	"io"
	"strings"

	"sekisho/internal/lazy"
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

var versionForm = lazy.Compile(`^[0-9]{1,2}\.[0-9]{4}$`)

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
				if versionForm.MatchString(v) {
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
