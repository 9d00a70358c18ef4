package html

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// TestAnAttachedPageBecomesATextWithoutFiles: a page shows a program in base64 as
// text, and a text of it alone is one that a single command decodes.
func TestAnAttachedPageBecomesATextWithoutFiles(t *testing.T) {
	program := base64.StdEncoding.EncodeToString([]byte("MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00\xb8" + strings.Repeat("\x00", 103)))
	page := "<p>前の文</p><p>" + program[:76] + "<br>" + program[76:] + "</p><p>後の文</p>"
	// A part without a name, of a type that is none, is an attachment as well.
	for _, name := range []string{"a.html", ""} {
		o := &sanitize.Options{Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassHTML: {Steps: []sanitize.Mode{sanitize.Rebuild}}}}
		s := sanitize.NewSession(o, int64(len(page)), func(sanitize.Object) (sanitize.Detection, error) {
			return sanitize.Detection{Kind: sanitize.KindHTML}, nil
		}, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindHTML: Sanitizer{}})
		var out bytes.Buffer
		res, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: strings.NewReader(page), Size: int64(len(page)), Charset: "utf-8", Name: name, Names: []string{name}}, &out)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.TrimPrefix(out.String(), "\ufeff"); got != "前の文\r\n\r\n[...]\r\n\r\n後の文\r\n" {
			t.Errorf("%q: wrote %q", name, got)
		}
		if f := s.Parts()[0].Findings; res.Outcome != sanitize.Disarmed || len(f) != 1 || f[0].Rule != "text.encoded-run" || f[0].Detail != "1" {
			t.Errorf("%q: %s, findings %v", name, res.Outcome, f)
		}
	}
}
