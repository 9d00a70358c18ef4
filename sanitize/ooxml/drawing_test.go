package ooxml

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/internal/metafile"
	"sekisho/sanitize"
)

// draughtsman stands for what draws, whose programs have tests of their own.
type draughtsman struct{ fails bool }

func (d draughtsman) Sanitize(_ context.Context, _ *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	if d.fails {
		return sanitize.Result{}, sanitize.ErrTool
	}
	_, err := io.WriteString(out, pngBytes())
	return sanitize.Result{Outcome: sanitize.Clean, Kind: sanitize.KindPNG, Mode: sanitize.Convert}, err
}

func TestDrawingsBecomePicturesWhereTheProfileSaysSo(t *testing.T) {
	p := docx(fmt.Sprintf(blip, `r:embed="rId5"`)).add("word/media/image1.wmf", "image/x-wmf", string(corpus.WMF()))
	b := p.rel(p.main, "rId5", relO+"image", "media/image1.wmf").bytes(t)
	for _, c := range []struct {
		name  string
		asked bool
		by    draughtsman
		want  string
	}{
		{"not asked", false, draughtsman{}, "wmf"},
		{"asked", true, draughtsman{}, "png"},
		{"asked, and nobody can", true, draughtsman{fails: true}, "wmf"},
	} {
		s := newSession(len(b), func(o *sanitize.Options) { o.Drawings = c.asked })
		s.Table[sanitize.KindWMF] = c.by
		detected := s.Detect
		s.Detect = func(o sanitize.Object) (sanitize.Detection, error) {
			if head, err := io.ReadAll(o.Reader()); err == nil && metafile.IsWMF(head) {
				return sanitize.Detection{Kind: sanitize.KindWMF}, nil
			}
			return detected(o)
		}
		var out bytes.Buffer
		if _, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out); err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		checkPackage(t, c.name, out.Bytes())
		m := unpack(t, out.Bytes())
		if m["word/media/image1."+c.want] == "" || strings.Contains(m["word/media/image1."+c.want], corpus.Macro) {
			t.Errorf("%s: no %s without the macro", c.name, c.want)
		}
		for _, part := range s.Parts() {
			if part.Fate != sanitize.Delivered {
				t.Errorf("%s: the report says that %s did not arrive", c.name, part.Path)
			}
		}
	}
}
