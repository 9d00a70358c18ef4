package verify

import (
	"bytes"
	"encoding/binary"
	"strings"

	"github.com/richardlehane/mscfb"

	"sekisho/sanitize"
)

// checkJTD looks at a rebuilt document of Ichitaro: a compound file of plain
// streams and nothing else, of which none holds a file of another kind, and a
// text with nothing behind it. What the streams say is not known.
func checkJTD(s *sanitize.Session, where string, b []byte) error {
	c, err := mscfb.New(bytes.NewReader(b))
	if err != nil {
		return notAllowed(where, "compound file: %v", err)
	}
	var names []string
	for i, e := range c.File {
		if i == 0 {
			continue // the root
		}
		if e.Initial < 0x20 || e.Name == "" || strings.ContainsFunc(e.Name, func(r rune) bool {
			return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
		}) {
			return notAllowed(where, "stream %q", e.Name)
		}
		names = append(names, e.Name)
	}
	streams, err := compoundStreams(s, where, b, "\x01\x70\x59\x78\x84\x1D\xCF\x11\x97\x13\x00\x20\xAF\xD8\x06\xF4", names)
	if err != nil {
		return err
	}
	for name, b := range streams {
		for _, mark := range []string{"\xd0\xcf\x11\xe0\xa1\xb1", "PK\x03\x04", "%PDF-", "{\\rtf", "program cannot be run in DOS mode"} {
			if bytes.Contains(b, []byte(mark)) && name != "DocumentText" {
				return notAllowed(where, "a file of another kind in stream %s", name)
			}
		}
	}
	text := streams["DocumentText"]
	if len(text) < 32 || string(text[:8]) != "SsmgV.01" || string(text[20:28]) != "TextV.01" {
		return notAllowed(where, "no text")
	}
	units := uint64(binary.BigEndian.Uint32(text[28:]))
	if end := 32 + 2*units; end < uint64(len(text)) && len(bytes.Trim(text[end:], "\x00")) > 0 {
		return notAllowed(where, "octets behind the text")
	}
	return nil
}
