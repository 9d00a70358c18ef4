package all_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding/japanese"

	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

// TestTextsAreTreatedBeforeTheyAreDrawn: what LibreOffice is given of a text is
// UTF-8, and of a web page markup of ours.
func TestTextsAreTreatedBeforeTheyAreDrawn(t *testing.T) {
	cp932 := func(s string) string {
		b, err := japanese.ShiftJIS.NewEncoder().String(s)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	const table = "番号,氏名,式\r\n0012,山田太郎,=1+1\r\n"
	for _, c := range []struct {
		name, in string
		source   sanitize.Source
		has, not string
	}{
		{"a.csv", cp932(table), sanitize.FromCSV, "0012,山田太郎,=1+1", "'="},
		{"b.csv", table, sanitize.FromCSV, "0012,山田太郎,=1+1", "'="},
		{"c.csv", "\ufeff" + table, sanitize.FromCSV, "0012,山田太郎,=1+1", "'="},
		{"d.tsv", strings.ReplaceAll(table, ",", "\t"), sanitize.FromTSV, "0012\t山田太郎", "'="},
		{"e.txt", cp932("本文です。\r\n二行目。\r\n"), sanitize.FromText, "本文です。\r\n二行目。", "\x00"},
		{"f.html", cp932(`<html><head><meta charset="Shift_JIS"><script>alert(1)</script></head><body onload="x()"><h1>お知らせ</h1><img src="http://127.0.0.1/x.png"><iframe src="file:///etc/passwd"></iframe></body></html>`),
			sanitize.FromHTML, "お知らせ</h1>", "alert"},
	} {
		var given []byte
		var asked []sanitize.ToolCall
		tools := func(_ context.Context, call sanitize.ToolCall, in io.Reader, _ io.Writer) error {
			b, err := io.ReadAll(in)
			if asked = append(asked, call); given == nil {
				given = b
			}
			if err != nil {
				return err
			}
			return fmt.Errorf("nothing is drawn here: %w", sanitize.ErrTool)
		}
		rule := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Flatten, sanitize.Rebuild}}
		o := sanitize.Options{Task: sanitize.TaskFile, FileName: c.name, Language: "en", Limits: sanitize.DefaultLimits(),
			Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassCSV: rule, sanitize.ClassHTML: rule, sanitize.ClassText: rule}}
		var out bytes.Buffer
		r, err := all.RunWith(t.Context(), &o, tools, strings.NewReader(c.in), int64(len(c.in)), &out)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if len(asked) == 0 || asked[0].Source != c.source {
			t.Errorf("%s: asked for %+v", c.name, asked)
		}
		if !utf8.Valid(given) || !bytes.Contains(given, []byte(c.has)) || bytes.Contains(given, []byte(c.not)) || bytes.Contains(given, []byte("127.0.0.1")) || bytes.Contains(given, []byte("passwd")) {
			t.Errorf("%s: LibreOffice was given %q", c.name, given)
		}
		// What cannot be drawn is what it is without.
		if p := r.Parts[0]; p.Fate != sanitize.Delivered || len(p.Tried) != 1 || p.Tried[0].Mode != sanitize.Flatten || p.OutKind == sanitize.KindPDF {
			t.Errorf("%s: %+v", c.name, p)
		}
	}
}
