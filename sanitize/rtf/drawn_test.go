package rtf

import (
	"bytes"
	"encoding/hex"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// TestDrawingsBecomePicturesWhereTheProfileSaysSo: as large as the text beside
// them says, and they stay drawings when nobody can draw them.
func TestDrawingsBecomePicturesWhereTheProfileSaysSo(t *testing.T) {
	wmf := corpus.WMF()[22:] // here nothing in it says how large it is
	in := whole(`{\pict\wmetafile8\picw2540\pich1270\picwgoal1440\pichgoal720 ` + hex.EncodeToString(wmf) + `}`)
	for _, c := range []struct {
		name  string
		asked bool
		by    corpustest.Draughtsman
		want  string
	}{
		{"not asked", false, corpustest.Draughtsman{Picture: pngOf(t)}, `\wmetafile8`},
		{"asked", true, corpustest.Draughtsman{Picture: pngOf(t)}, `\pngblip`},
		{"asked, and nobody can", true, corpustest.Draughtsman{}, `\wmetafile8`},
	} {
		s := newSession(len(in), func(o *sanitize.Options) { o.Drawings = c.asked })
		s.Table[sanitize.KindWMF] = &c.by
		var out bytes.Buffer
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "1"}, &out); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		if !bytes.Contains(out.Bytes(), []byte(c.want)) || bytes.Contains(out.Bytes(), []byte(hex.EncodeToString([]byte(corpus.Macro)))) {
			t.Errorf("%s: %s", c.name, out.Bytes())
		}
		if c.asked && c.by.Picture != nil && (c.by.Width < 25 || c.by.Width > 26 || c.by.Height < 12 || c.by.Height > 13) {
			t.Errorf("drawn %g x %g mm", c.by.Width, c.by.Height)
		}
		if c.by.Picture == nil {
			stable(t, c.name, out.Bytes())
		}
	}
}
