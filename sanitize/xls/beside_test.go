package xls

import (
	"slices"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo: here a letter, which is the
// storage itself.
func TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo(t *testing.T) {
	m := newBook(drawn(obj(8, uint16(8), uint16(2), uint16(1), uint16(9), uint16(4), uint32(0x12)))...)
	m.storages = []*cfb.Storage{{Name: "MBD00012345", Streams: []*cfb.Stream{cfb.NewStream("WordDocument", make([]byte, 600))}}}
	in := m.bytes(t)
	for _, embedded := range []bool{true, false} {
		s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, embedded })
		out, beside, codes := corpustest.Beside(t, s, in)
		for i, b := range beside {
			// The storage itself, as a file.
			if j := strings.Index(b, " \xd0\xcf\x11\xe0"); j > 0 {
				beside[i] = b[:j]
			}
		}
		want, rule := []string(nil), "xls.object"
		if embedded {
			want, rule = []string{"2/1 object1"}, "xls.object-beside"
		}
		if !slices.Equal(beside, want) || !slices.Contains(codes, rule) {
			t.Errorf("%t: beside it stand %q, found %v", embedded, beside, codes)
		}
		if err := looked(t, out); err != nil {
			t.Error(err)
		}
	}
}
