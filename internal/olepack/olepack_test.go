package olepack

import (
	"encoding/binary"
	"io"
	"testing"
	"unicode/utf16"

	"sekisho/internal/cfb"
)

// TestADocumentThatIsTheStorageIsMadeAFile: a sheet in a letter.
func TestADocumentThatIsTheStorageIsMadeAFile(t *testing.T) {
	s := storage("Workbook", []byte("\x09\x08 of a sheet"))
	s.Name, s.CLSID = "_1234567890", [16]byte{0x20, 8, 2}
	s.Storages = []*cfb.Storage{{Name: "_VBA_PROJECT_CUR", Streams: []*cfb.Stream{cfb.NewStream("PROJECT", []byte("x"))}}}
	f, ok := Find(s)
	if !ok {
		t.Fatal("not found")
	}
	c, err := cfb.Open(f.Bytes, f.Size)
	if err != nil || c.Root.Stream("Workbook") == nil || c.Root.Storage("_VBA_PROJECT_CUR") == nil || c.Root.CLSID != s.CLSID {
		t.Errorf("%+v, %v", c, err)
	}
	s.Streams = append(s.Streams, &cfb.Stream{Name: "large", Size: maxWhole, ReaderAt: s.Streams[0]})
	if _, ok := Find(s); ok {
		t.Error("one larger than any is put together")
	}
}

// packed writes the stream of a packager.
func packed(kind uint16, label, from, to, content string, wide ...string) []byte {
	b := []byte{2, 0}
	b = append(append(b, label...), 0)
	b = append(append(b, from...), 0)
	b = append(b, 0, 0)
	b = binary.LittleEndian.AppendUint16(b, kind)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(to)+1))
	b = append(append(b, to...), 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(content)))
	b = append(b, content...)
	for _, s := range wide {
		u := utf16.Encode([]rune(s))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(u)))
		for _, c := range u {
			b = binary.LittleEndian.AppendUint16(b, c)
		}
	}
	return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...)
}

func storage(name string, b []byte) *cfb.Storage {
	return &cfb.Storage{Streams: []*cfb.Stream{cfb.NewStream(name, b)}}
}

func TestFindGivesTheFileAndItsName(t *testing.T) {
	const native = "\x01Ole10Native"
	for name, c := range map[string]struct {
		s            *cfb.Storage
		file, within string
	}{
		"embedded":         {storage(native, packed(3, "a.txt", `C:\x\a.txt`, `C:\t\a.txt`, "words")), "a.txt", "words"},
		"with wide texts":  {storage(native, packed(3, "?.txt", "", "", "words", `C:\t\予算.txt`, "予算.txt", `C:\x\予算.txt`)), "予算.txt", "words"},
		"code page":        {storage(native, packed(3, "\x97\x5c\x8e\x5a.txt", "", "", "words")), "予算.txt", "words"},
		"label of a path":  {storage(native, packed(3, `..\..\a.txt`, "", "", "words")), "a.txt", "words"},
		"path alone":       {storage(native, packed(3, "", `C:\x\b.pdf`, "", "words")), "b.pdf", "words"},
		"nothing named":    {storage(native, packed(3, "", "", "", "words")), "", "words"},
		"whole document":   {storage("Package", []byte("PK")), "", "PK"},
		"of Acrobat":       {storage("CONTENTS", []byte("%PDF-1.7")), "", "%PDF-1.7"},
		"wide cut short":   {storage(native, append(packed(3, "a.txt", "", "", "words"), 9, 0, 0, 0)), "a.txt", "words"},
		"case of the name": {storage("\x01OLE10NATIVE", packed(3, "a.txt", "", "", "words")), "a.txt", "words"},
	} {
		f, ok := Find(c.s)
		if !ok {
			t.Errorf("%s: not found", name)
			continue
		}
		b, err := io.ReadAll(io.NewSectionReader(f.Bytes, 0, f.Size))
		if err != nil || f.Name != c.file || string(b) != c.within {
			t.Errorf("%s: %q %q %v", name, f.Name, b, err)
		}
	}
}

func TestFindPassesOverWhatIsNoFile(t *testing.T) {
	const native = "\x01Ole10Native"
	whole := packed(3, "a.txt", "", "", "words")
	for name, s := range map[string]*cfb.Storage{
		"linked":          storage(native, packed(1, "a.txt", `\\server\a.txt`, "", "words")),
		"empty":           storage(native, packed(3, "a.txt", "", "", "")),
		"another's data":  storage(native, append([]byte{5, 0, 0, 0}, "words"...)),
		"no packager":     storage("\x01Ole", whole),
		"no stream":       {},
		"empty package":   storage("Package", nil),
		"length too long": storage(native, append([]byte{255, 255, 255, 127}, whole[4:]...)),
		"no end of label": storage(native, []byte{6, 0, 0, 0, 2, 0, 'a', 'a', 'a', 'a'}),
	} {
		if f, ok := Find(s); ok {
			t.Errorf("%s: found %q of %d octets", name, f.Name, f.Size)
		}
	}
	for n := range whole {
		if f, ok := Find(storage(native, whole[:n])); ok {
			t.Errorf("cut at %d: found %q of %d octets", n, f.Name, f.Size)
		}
	}
}

// FuzzFind: what is found lies in the object, and its name is no path.
func FuzzFind(f *testing.F) {
	f.Add(packed(3, "a.txt", `C:\x\a.txt`, `C:\t\a.txt`, "words", "x", "予算.txt", "y"))
	f.Add(packed(1, "a", "b", "c", "d"))
	f.Add([]byte{6, 0, 0, 0, 2, 0, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		file, ok := Find(storage("\x01Ole10Native", b))
		if !ok {
			return
		}
		if file.Size <= 0 || file.Size > int64(len(b)) {
			t.Fatalf("%d octets of %d", file.Size, len(b))
		}
		for _, c := range file.Name {
			if c == '/' || c == '\\' || c == ':' {
				t.Fatalf("a path: %q", file.Name)
			}
		}
		if n, err := io.Copy(io.Discard, io.NewSectionReader(file.Bytes, 0, file.Size)); err != nil || n != file.Size {
			t.Fatalf("%d octets of %d: %v", n, file.Size, err)
		}
	})
}
