package doc

import (
	"bytes"
	"image"
	"image/png"
	"math"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// TestDrawingsBecomePicturesWhereTheProfileSaysSo: here what an object last looked
// like.
func TestDrawingsBecomePicturesWhereTheProfileSaysSo(t *testing.T) {
	p := newPaper()
	p.stories[0] = fieldOf(" EMBED Equation.3 ", "\x01") + "\r"
	p.kinds[0] = []byte{0x3A}
	p.runs["\x01"] = special(1234, change(sprmCFOle2, 1)...)
	meta := append([]byte{8, 0, 0xEC, 0x09, 0xF6, 0x04, 0, 0}, corpus.WMF()[22:]...) // an inch by half of one
	p.storages = []*cfb.Storage{{Name: "ObjectPool", Storages: []*cfb.Storage{{Name: "_1234", Streams: []*cfb.Stream{cfb.NewStream("\x03META", meta)}}}}}
	in := p.bytes(t)
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 20, 10))); err != nil {
		t.Fatal(err)
	}
	for _, asked := range []bool{true, false} {
		by := &corpustest.Draughtsman{Picture: picture.Bytes()}
		s := newSession(len(in), func(o *sanitize.Options) { o.Drawings = asked })
		s.Table[sanitize.KindWMF] = by
		var out bytes.Buffer
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "1"}, &out); err != nil {
			t.Fatal(err)
		}
		if got := bytes.Contains(streams(t, out.Bytes())["Data"], picture.Bytes()); got != asked {
			t.Errorf("asked %t: a picture %t", asked, got)
		}
		if asked && (math.Abs(by.Width-25.4) > 0.1 || math.Abs(by.Height-12.7) > 0.1) {
			t.Errorf("drawn %g x %g mm", by.Width, by.Height)
		}
		if !asked { // a second treatment encodes the picture anew
			checkOutput(t, "drawing", out.Bytes())
		}
	}
}
