package doc

import (
	"slices"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// native is the stream of a packager with one file.
func native(name, content string) []byte {
	b := append([]byte{2, 0}, name...)
	b = append(b, 0, 0, 0, 0, 3, 0) // no path from where
	b = append(le.AppendUint32(b, 1), 0)
	b = append(le.AppendUint32(b, uint32(len(content))), content...)
	return append(le.AppendUint32(nil, uint32(len(b))), b...)
}

// TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo: in a mail, under its name;
// a program is not.
func TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo(t *testing.T) {
	p := newPaper()
	p.storages = []*cfb.Storage{{Name: "ObjectPool", Storages: []*cfb.Storage{
		{Name: "_1", Streams: []*cfb.Stream{cfb.NewStream("\x01Ole10Native", native("list.txt", "words of the list"))}},
		{Name: "_2", Streams: []*cfb.Stream{cfb.NewStream("\x01Ole10Native", native("a.exe", "MZ\x90\x00 program"))}},
	}}}
	in := p.bytes(t)
	for _, c := range []struct {
		task     sanitize.Task
		embedded bool
		beside   []string
		rules    []string
	}{
		{sanitize.TaskMail, true, []string{"2/1 list.txt words of the list"}, []string{"doc.object", "doc.object-beside"}},
		{sanitize.TaskMail, false, nil, []string{"doc.object", "doc.object"}},
		{sanitize.TaskFile, true, nil, []string{"doc.object", "doc.object"}},
	} {
		s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = c.task, c.embedded })
		out, beside, rules := corpustest.Beside(t, s, in)
		if !slices.Equal(beside, c.beside) || !slices.Equal(rules, c.rules) {
			t.Errorf("task %d, %t: beside it stand %q, found %v", c.task, c.embedded, beside, rules)
		}
		checkOutput(t, "with objects", out)
	}
}
