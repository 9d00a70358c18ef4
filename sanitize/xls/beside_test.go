package xls

import (
	"bytes"
	"io"
	"slices"
	"testing"

	"sekisho/internal/cfb"
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
		var out bytes.Buffer
		if _, err := s.Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "2"}, &out); err != nil {
			t.Fatal(err)
		}
		var beside []string
		if err := s.EachBeside(0, func(o sanitize.Object) error {
			b, err := io.ReadAll(o.Reader())
			if !bytes.HasPrefix(b, []byte("\xd0\xcf\x11\xe0")) {
				t.Errorf("%x is no compound file", b[:min(len(b), 8)])
			}
			beside = append(beside, o.Path+" "+o.Name)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		want, rule := []string(nil), "xls.object"
		if embedded {
			want, rule = []string{"2/1 object1"}, "xls.object-beside"
		}
		if found := s.Parts()[0].Findings; !slices.Equal(beside, want) || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == rule }) {
			t.Errorf("%t: beside it stand %q, found %v", embedded, beside, found)
		}
		if err := looked(t, out.Bytes()); err != nil {
			t.Error(err)
		}
	}
}
