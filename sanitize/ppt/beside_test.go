package ppt

import (
	"bytes"
	"compress/zlib"
	"slices"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo: the sheet behind a table of
// a slide is a compound file in an object of the presentation, deflated.
func TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo(t *testing.T) {
	var object, packed bytes.Buffer
	if err := cfb.Write(&object, &cfb.Storage{Streams: []*cfb.Stream{cfb.NewStream("CONTENTS", []byte("%PDF-1.7 words"))}}); err != nil {
		t.Fatal(err)
	}
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(object.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w := newShow()
	w.links = append(w.links, box(typeOleEmbed, 0, atom(0x0FCD, 0, make([]byte, 8)...), with(atom(typeOleAtom, 1, make([]byte, 24)...), 16, num(7)...), str(2, "Package")))
	w.objects[7] = atom(typeOleStorage, 1, append(num(uint32(object.Len())), packed.Bytes()...)...)
	in := w.bytes(t)
	for _, embedded := range []bool{true, false} {
		s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, embedded })
		out, beside, codes := corpustest.Beside(t, s, in)
		want, rule := []string(nil), "ppt.object"
		if embedded {
			want, rule = []string{"2/1 object1 %PDF-1.7 words"}, "ppt.object-beside"
		}
		if !slices.Equal(beside, want) || !slices.Contains(codes, rule) {
			t.Errorf("%t: beside it stand %q, found %v", embedded, beside, codes)
		}
		checkOutput(t, "with an object", out)
	}
}
