package rtf

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// embedded is an object of a class with data of its own. [MS-OLEDS] 2.2.5.
func embedded(class string, data []byte) []byte {
	le := binary.LittleEndian
	b := le.AppendUint32(le.AppendUint32(nil, 0x501), 2)
	b = append(le.AppendUint32(b, uint32(len(class)+1)), class+"\x00"...)
	b = le.AppendUint32(append(b, 0, 0, 0, 0, 0, 0, 0, 0), uint32(len(data)))
	return append(b, data...)
}

// packed is what the packager makes of a file.
func packed(name, content string) []byte {
	b := append([]byte{2, 0}, name+"\x00\x00\x00\x00\x03\x00"...)
	b = append(binary.LittleEndian.AppendUint32(b, 1), 0)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(content))), content...)
}

// besides is rich text with three objects: a file, a document in a compound file
// and a program.
func besides(t testing.TB) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := cfb.Write(&b, &cfb.Storage{Streams: []*cfb.Stream{cfb.NewStream("CONTENTS", []byte("%PDF-1.7 words"))}}); err != nil {
		t.Fatal(err)
	}
	in := `shown`
	for _, o := range [][]byte{embedded("Package", packed("list.txt", "words of the list")), embedded("AcroExch.Document", b.Bytes()), embedded("Package", packed("a.exe", "MZ\x90\x00 program"))} {
		in += `{\object\objemb{\*\objdata ` + hex.EncodeToString(o) + `}{\result of it}}`
	}
	return whole(in)
}

// TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo: in a mail, under its name;
// a program is not.
func TestAFileInAnObjectIsPutBesideWhenTheProfileSaysSo(t *testing.T) {
	in := besides(t)
	for _, c := range []struct {
		task     sanitize.Task
		embedded bool
		beside   []string
		codes    []string
	}{
		{sanitize.TaskMail, true, []string{"2/1 list.txt words of the list", "2/2 object2 %PDF-1.7 words"}, []string{"rtf.object", "rtf.object-beside"}},
		{sanitize.TaskMail, false, nil, []string{"rtf.object"}},
		{sanitize.TaskFile, true, nil, []string{"rtf.object"}},
	} {
		s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = c.task, c.embedded })
		out, beside, codes := corpustest.Beside(t, s, in)
		if !slices.Equal(beside, c.beside) || !slices.Equal(codes, c.codes) {
			t.Errorf("task %d, %t: beside it stand %q, found %v", c.task, c.embedded, beside, codes)
		}
		if bytes.Contains(out, []byte("obj")) || bytes.Count(out, []byte("of it")) != 3 {
			t.Errorf("%s", out)
		}
	}
}

// TestAnObjectThatEndsEarlyIsNoFile: it is told as an object.
func TestAnObjectThatEndsEarlyIsNoFile(t *testing.T) {
	o := embedded("Package", packed("list.txt", "words of the list"))
	in := whole(`{\object\objemb{\*\objdata ` + hex.EncodeToString(o[:len(o)-1]) + `}}`)
	s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, true })
	_, beside, codes := corpustest.Beside(t, s, in)
	if len(beside) > 0 || !slices.Equal(codes, []string{"rtf.object"}) {
		t.Errorf("beside it stand %q, found %v", beside, codes)
	}
}
