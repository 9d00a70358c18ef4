package ppt

import (
	"bytes"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/internal/corpus/corpustest"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
)

// TestDrawingsBecomePicturesWhereTheProfileSaysSo: in the stream of pictures.
func TestDrawingsBecomePicturesWhereTheProfileSaysSo(t *testing.T) {
	wmf := corpus.WMF()[22:]
	blip := make([]byte, 16+34, 16+34+len(wmf))
	copy(blip[16+20:], num(914400))
	copy(blip[16+24:], num(457200))
	copy(blip[16+28:], num(uint32(len(wmf))))
	blip[16+32] = 0xFE
	w := newShow()
	w.pictures = atom(0xF01B, 0x216, append(blip, wmf...)...)
	e := make([]byte, 36)
	e[0], e[1], e[24] = 3, 3, 1
	copy(e[20:], num(uint32(len(w.pictures))))
	w.store = [][]byte{officeart.AppendRecord(nil, officeart.Header{Ver: 2, Instance: 3, Type: 0xF007}, e)}
	in := w.bytes(t)
	for asked, want := range map[bool]uint16{true: 0xF01E, false: 0xF01B} {
		s := newSession(len(in), func(o *sanitize.Options) { o.Drawings = asked })
		s.Table[sanitize.KindWMF] = &corpustest.Draughtsman{Picture: pngFile(t)}
		var out bytes.Buffer
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "1"}, &out); err != nil {
			t.Fatal(err)
		}
		if h, _, _, ok := officeart.Next(stream(t, out.Bytes(), pictureStream)); !ok || h.Type != want {
			t.Errorf("asked %t: record %04X", asked, h.Type)
		}
		if !asked { // a second treatment encodes the picture anew
			checkOutput(t, "drawing", out.Bytes())
		}
	}
}
