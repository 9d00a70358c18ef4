package convert

import (
	"bytes"
	"io"
	"strings"

	"sekisho/internal/zipstrict"
	"sekisho/sanitize"
)

// withoutControls takes control characters out of the XML of a package. LibreOffice
// writes those that a document of the old formats has in its text. XML 1.0 has none
// but DEL, which it discourages (2.2), and the rebuild takes none of them. Nothing is
// taken from a package that has none, which is every one of a sound document.
func withoutControls(s *sanitize.Session, b []byte) ([]byte, error) {
	z, err := zipstrict.Open(bytes.NewReader(b), int64(len(b)), zipstrict.Limits{Entries: s.Options.Limits.Entries})
	if err != nil {
		return b, nil // who rebuilds it says why not
	}
	found, left := false, s.Options.Limits.OutputBytes
	for i := range z.Files {
		f := &z.Files[i]
		if !isXML(f.Name) {
			continue
		}
		// What is read here is read again and charged then.
		in, err := f.Open(func(r io.Reader) io.Reader { return io.LimitReader(r, left) })
		if err != nil {
			return b, nil
		}
		r := &controls{r: in}
		n, err := io.Copy(io.Discard, r)
		if err != nil {
			return b, nil
		}
		found, left = found || r.met, left-n
	}
	if !found {
		return b, nil
	}
	return repacked(s, z, s.Options.Limits.OutputBytes, func(f *zipstrict.File, r io.Reader) (io.Reader, error) {
		if isXML(f.Name) {
			return &controls{r: r}, nil
		}
		return r, nil
	})
}

func isXML(name string) bool {
	return strings.HasSuffix(name, ".xml") || strings.HasSuffix(name, ".rels")
}

// controls reads on without control characters. The package is UTF-8, in which no
// other character has their octets.
type controls struct {
	r   io.Reader
	met bool
}

func (c *controls) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	kept := b[:0]
	for _, o := range b[:n] {
		if o < 0x20 && o != '\t' && o != '\n' && o != '\r' || o == 0x7F {
			c.met = true
			continue
		}
		kept = append(kept, o)
	}
	return len(kept), err
}
