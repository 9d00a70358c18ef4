package zipstrict

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// entry is one member of a hand-made archive; zero fields mean what is right.
type entry struct {
	name, localName string
	content         string
	method          uint16
	flags           uint16
	localFlags      *uint16
	localMethod     *uint16
	extra, localX   []byte
	attr            uint32
	madeBy          uint16
	localCRC        *uint32
	localSize       *uint32
	localPacked     *uint32
	size            *uint32 // of the directory
	descriptor      []byte
	hidden          bool // not in the directory
	before          string
}

func deflated(s string) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, 6)
	io.WriteString(w, s)
	w.Close()
	return b.Bytes()
}

func ptr[T any](v T) *T { return &v }

// archive lays entries out as told. tail is the comment.
func archive(entries []entry, comment string) []byte {
	var b, dir bytes.Buffer
	count := 0
	for _, e := range entries {
		b.WriteString(e.before)
		at := b.Len()
		packed := []byte(e.content)
		if e.method == 8 {
			packed = deflated(e.content)
		}
		crc, size := crc32.ChecksumIEEE([]byte(e.content)), uint32(len(e.content))
		if e.localName == "" {
			e.localName = e.name
		}
		lf, lm, lc, ls := e.flags, e.method, crc, size
		if e.localFlags != nil {
			lf = *e.localFlags
		}
		if e.localMethod != nil {
			lm = *e.localMethod
		}
		if e.localCRC != nil {
			lc = *e.localCRC
		}
		if e.localSize != nil {
			ls = *e.localSize
		}
		lp := uint32(len(packed))
		if e.localPacked != nil {
			lp = *e.localPacked
		}
		ds := size
		if e.size != nil {
			ds = *e.size
		}
		put := func(w *bytes.Buffer, vs ...any) {
			for _, v := range vs {
				binary.Write(w, binary.LittleEndian, v)
			}
		}
		put(&b, uint32(sigLocal), uint16(20), lf, lm, uint32(0), lc, lp, ls, uint16(len(e.localName)), uint16(len(e.localX)))
		b.WriteString(e.localName)
		b.Write(e.localX)
		b.Write(packed)
		b.Write(e.descriptor)
		if e.hidden {
			continue
		}
		count++
		put(&dir, uint32(sigDirectory), e.madeBy, uint16(20), e.flags, e.method, uint32(0), crc, uint32(len(packed)), ds, uint16(len(e.name)), uint16(len(e.extra)), uint16(0), uint16(0), uint16(0), e.attr, uint32(at))
		dir.WriteString(e.name)
		dir.Write(e.extra)
	}
	at := b.Len()
	b.Write(dir.Bytes())
	binary.Write(&b, binary.LittleEndian, []any{uint32(sigEnd)}[0])
	for _, v := range []any{uint16(0), uint16(0), uint16(count), uint16(count), uint32(dir.Len()), uint32(at), uint16(len(comment))} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString(comment)
	return b.Bytes()
}

func open(b []byte) (*Reader, error) {
	return Open(bytes.NewReader(b), int64(len(b)), Limits{Entries: 5000})
}

func TestWhatOneReaderOnlyCanSeeIsRead(t *testing.T) {
	ok := map[string][]byte{
		"stored":                      archive([]entry{{name: "a.txt", content: "hello"}}, ""),
		"deflated":                    archive([]entry{{name: "a.txt", content: strings.Repeat("x", 4000), method: 8}}, ""),
		"empty archive":               archive(nil, ""),
		"comment":                     archive([]entry{{name: "a.txt", content: "hello"}}, "made by hand, PK and all"),
		"a line break after":          append(archive([]entry{{name: "a.txt", content: "hello"}}, ""), '\n'),
		"CR and LF after":             append(archive([]entry{{name: "a.txt", content: "hello"}}, ""), "\r\n"...),
		"directory":                   archive([]entry{{name: "d/"}, {name: "d/a.txt", content: "x"}}, ""),
		"descriptor 16":               archive([]entry{{name: "a", content: "hello", method: 8, flags: 8, localCRC: ptr(uint32(0)), localSize: ptr(uint32(0)), descriptor: desc(true, "hello")}}, ""),
		"descriptor nobody asked for": archive([]entry{{name: "a", content: "hello", method: 8, descriptor: desc(true, "hello")}, {name: "b", content: "x"}}, ""),
		"descriptor 12":               archive([]entry{{name: "a", content: "hello", method: 8, flags: 8, descriptor: desc(false, "hello")}, {name: "b", content: "x"}}, ""),
		"flags that mean nothing":     archive([]entry{{name: "a", content: "hello", localFlags: ptr(uint16(0x806))}}, ""),
		"empty in the old":            archive([]entry{{name: "a", content: "", method: 8}}, ""),
		"name in CP932":               archive([]entry{{name: "\x95\x5c.txt", content: "x"}}, ""), // 表, whose second byte is a backslash
		"name without a flag":         archive([]entry{{name: "表.txt", content: "x"}}, ""),
	}
	for name, b := range ok {
		z, err := open(b)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i := range z.Files {
			if z.Files[i].Trick != "" {
				t.Errorf("%s: %q is called a trick: %s", name, z.Files[i].Name, z.Files[i].Trick)
			}
			r, err := z.Files[i].Open(nil)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got, err := io.ReadAll(r); err != nil || int64(len(got)) != z.Files[i].Size {
				t.Errorf("%s: read %d bytes, %v", name, len(got), err)
			}
		}
	}
}

// desc makes the descriptor of a deflated member.
func desc(signed bool, content string) []byte {
	var b bytes.Buffer
	if signed {
		binary.Write(&b, binary.LittleEndian, uint32(sigDescriptor))
	}
	binary.Write(&b, binary.LittleEndian, crc32.ChecksumIEEE([]byte(content)))
	binary.Write(&b, binary.LittleEndian, uint32(len(deflated(content))))
	binary.Write(&b, binary.LittleEndian, uint32(len(content)))
	return b.Bytes()
}

func zip64(v ...uint64) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 1)
	b = binary.LittleEndian.AppendUint16(b, uint16(8*len(v)))
	for _, x := range v {
		b = binary.LittleEndian.AppendUint64(b, x)
	}
	return b
}

func unicodeExtra(raw, name string) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 0x7075)
	b = binary.LittleEndian.AppendUint16(b, uint16(5+len(name)))
	b = append(b, 1)
	b = binary.LittleEndian.AppendUint32(b, crc32.ChecksumIEEE([]byte(raw)))
	return append(b, name...)
}

func TestWhatTwoReadersCouldSeeDifferentlyIsRefused(t *testing.T) {
	good := archive([]entry{{name: "a.txt", content: "hello"}}, "")
	evil := archive([]entry{{name: "evil.js", content: "evil"}}, "")
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"bytes before", append([]byte("MZ junk"), good...), ErrAmbiguous},
		{"bytes after", append(bytes.Clone(good), "junk"...), ErrAmbiguous},
		{"a zero after", append(bytes.Clone(good), 0), ErrAmbiguous},
		{"two line breaks after", append(bytes.Clone(good), "\n\n"...), ErrAmbiguous},
		{"a line break after a comment", append(archive([]entry{{name: "a.txt", content: "hello"}}, "x"), '\n'), ErrAmbiguous},
		{"an end around the end and a line break", append(archive([]entry{{name: "a.txt", content: "PK\x05\x06" + strings.Repeat("\x00", 16) + "\x4a\x00"}}, ""), '\n'), ErrAmbiguous},
		{"an end around the end without the line break", append(archive([]entry{{name: "a.txt", content: "PK\x05\x06" + strings.Repeat("\x00", 16) + "\x49\x00"}}, ""), '\n'), ErrAmbiguous},
		{"two archives", append(bytes.Clone(good), evil...), ErrAmbiguous},
		{"an archive as comment", archive([]entry{{name: "a.txt", content: "hello"}}, string(evil)), ErrAmbiguous},
		{"a local header as comment", archive([]entry{{name: "a.txt", content: "hello"}}, "PK\x03\x04"), ErrAmbiguous},
		{"an end in the comment", archive([]entry{{name: "a.txt", content: "hello"}}, "PK\x05\x06"+strings.Repeat("\x00", 18)), ErrAmbiguous},
		{"an end around the end", archive([]entry{{name: "a.txt", content: "PK\x05\x06" + strings.Repeat("\x00", 16) + "\x7f\x00"}}, ""), nil},
		{"gap", archive([]entry{{name: "a.txt", content: "hello"}, {before: "gap", name: "b", content: "x"}}, ""), ErrAmbiguous},
		{"member only in front", archive([]entry{{name: "a", content: "x"}, {name: "evil.js", content: "x", hidden: true}}, ""), ErrAmbiguous},
		{"other local name", archive([]entry{{name: "readme.txt", localName: "setup.jse!", content: "x"}}, ""), ErrAmbiguous},
		{"other local size", archive([]entry{{name: "a", content: "hello", localSize: ptr(uint32(4))}}, ""), ErrAmbiguous},
		{"other local checksum", archive([]entry{{name: "a", content: "hello", localCRC: ptr(uint32(4))}}, ""), ErrAmbiguous},
		{"other local method", archive([]entry{{name: "a", content: "hello", localMethod: ptr(uint16(8))}}, ""), ErrAmbiguous},
		{"other local encoding", archive([]entry{{name: "表", content: "hello", localFlags: ptr(uint16(0x800))}}, ""), ErrAmbiguous},
		{"encrypted in front only", archive([]entry{{name: "a", content: "hello", localFlags: ptr(uint16(1))}}, ""), ErrAmbiguous},
		{"same name", archive([]entry{{name: "a", content: "x"}, {name: "a", content: "y"}}, ""), ErrAmbiguous},
		{"name in other case", archive([]entry{{name: "word/a", content: "x"}, {name: "WORD/A", content: "y"}}, ""), ErrAmbiguous},
		{"name in other slashes", archive([]entry{{name: "word/a", content: "x"}, {name: `word\a`, content: "y"}}, ""), ErrAmbiguous},
		{"name in other composition", archive([]entry{{name: "が", content: "x", flags: 0x800}, {name: "か\u3099", content: "y", flags: 0x800}}, ""), ErrAmbiguous},
		{"name with a dot more", archive([]entry{{name: "a.txt", content: "x"}, {name: "a.txt. ", content: "y"}}, ""), ErrAmbiguous},
		{"name with a slash more", archive([]entry{{name: "a/b", content: "x"}, {name: "a//b", content: "y"}}, ""), ErrAmbiguous},
		{"file and directory", archive([]entry{{name: "a", content: "x"}, {name: "a/b", content: "y"}}, ""), ErrAmbiguous},
		{"directory with content", archive([]entry{{name: "a/", content: "x"}}, ""), ErrAmbiguous},
		{"not the UTF-8 it says", archive([]entry{{name: "\x95\x5c", content: "x", flags: 0x800}}, ""), ErrAmbiguous},
		{"second name beside", archive([]entry{{name: "a.txt", content: "x", extra: unicodeExtra("a.txt", "a.js")}}, ""), ErrAmbiguous},
		{"second name in front", archive([]entry{{name: "a.txt", content: "x", localX: unicodeExtra("a.txt", "a.js")}}, ""), ErrAmbiguous},
		{"ZIP64 says otherwise", archive([]entry{{name: "a", content: "hello", extra: zip64(4)}}, ""), ErrAmbiguous},
		{"local ZIP64 says otherwise", archive([]entry{{name: "a", content: "hello", localX: zip64(4, 4)}}, ""), ErrAmbiguous},
		{"ZIP64 with values to spare", archive([]entry{{name: "a", content: "hello", size: ptr(uint32(0xFFFFFFFF)), extra: zip64(5, 9)}}, ""), ErrAmbiguous},
		{"ZIP64 missing", archive([]entry{{name: "a", content: "hello", size: ptr(uint32(0xFFFFFFFF))}}, ""), ErrMalformed},
		{"descriptor says otherwise", archive([]entry{{name: "a", content: "hello", method: 8, flags: 8, descriptor: desc(true, "jello")}}, ""), ErrAmbiguous},
		{"descriptor nobody asked for says otherwise", archive([]entry{{name: "a", content: "hello", method: 8, descriptor: desc(true, "jello")}, {name: "b", content: "x"}}, ""), ErrAmbiguous},
		{"descriptor missing", archive([]entry{{name: "a", content: "hello", method: 8, flags: 8}}, ""), ErrAmbiguous},
		{"stored without a size", archive([]entry{{name: "a", content: "PK\x07\x08 and more", flags: 8, localPacked: ptr(uint32(0)), descriptor: make([]byte, 16)}}, ""), ErrAmbiguous},
		{"stored of two sizes", archive([]entry{{name: "a", content: "hello", size: ptr(uint32(6)), localSize: ptr(uint32(6))}}, ""), ErrAmbiguous},
		{"deflated beyond DEFLATE", archive([]entry{{name: "a", content: "hello", method: 8, size: ptr(uint32(1 << 30)), localSize: ptr(uint32(1 << 30))}}, ""), ErrMalformed},
		{"LZMA", archive([]entry{{name: "a", content: "hello", method: 14}}, ""), ErrUnsupported},
		{"encrypted", archive([]entry{{name: "a", content: "hello", flags: 1}}, ""), ErrEncrypted},
		{"AES", archive([]entry{{name: "a", content: "hello", flags: 1, method: 99}}, ""), ErrEncrypted},
		{"masked headers", archive([]entry{{name: "a", content: "hello", flags: 1 << 13}}, ""), ErrEncrypted},
		{"truncated", good[:len(good)-1], ErrMalformed},
		{"half a directory", good[:len(good)-40], ErrMalformed},
		{"not a ZIP", []byte(strings.Repeat("hello ", 100)), ErrMalformed},
		{"nothing", nil, ErrMalformed},
		{"no name", archive([]entry{{name: "", content: "x"}}, ""), ErrMalformed},
	} {
		_, err := open(c.b)
		if !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

func TestOverlapIsRefused(t *testing.T) {
	b := archive([]entry{{name: "a", content: "hello"}, {name: "b", content: "hello"}}, "")
	// The second member of the directory points at the first.
	i := bytes.LastIndex(b, []byte("PK\x01\x02"))
	binary.LittleEndian.PutUint32(b[i+42:], 0)
	if _, err := open(b); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("got %v, want %v", err, ErrAmbiguous)
	}
}

func TestTooManyMembersAreRefused(t *testing.T) {
	b := archive([]entry{{name: "a"}, {name: "b"}, {name: "c"}}, "")
	if _, err := Open(bytes.NewReader(b), int64(len(b)), Limits{Entries: 2}); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v, want %v", err, ErrLimit)
	}
	if _, err := Open(bytes.NewReader(b), int64(len(b)), Limits{}); !errors.Is(err, ErrLimit) {
		t.Errorf("zero limits: got %v, want %v", err, ErrLimit)
	}
}

func TestTricksAreTold(t *testing.T) {
	for name, want := range map[string]Trick{
		"../a": Traversal, `..\a`: Traversal, "a/../b": Traversal, "a/.. /b": Traversal, "...": Traversal,
		"/etc/passwd": Absolute, `\\server\share`: Absolute, "C:/x": Drive, `C:\x`: Drive, "a.txt:evil": Drive,
		"a\x00.txt": Control, "a\nb": Control, "a\u0085b": Control, `a\b`: Backslash, "a//b": EmptyPart, "./a": EmptyPart,
	} {
		z, err := open(archive([]entry{{name: name, content: "x", flags: 0x800}}, ""))
		if err != nil {
			t.Errorf("%q: %v", name, err)
			continue
		}
		if got := z.Files[0].Trick; got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for attr, want := range map[uint32]Trick{0xA1FF << 16: Link, 0xA1FF<<16 | 0x10: Link, 0x21FF << 16: Device, 0x11FF << 16: Device, 0x81A4 << 16: ""} {
		z, err := open(archive([]entry{{name: "a", content: "x", attr: attr, madeBy: 3 << 8}}, ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := z.Files[0].Trick; got != want {
			t.Errorf("attributes %x: got %q, want %q", attr, got, want)
		}
	}
}

func TestJapaneseNamesAreDecoded(t *testing.T) {
	for raw, want := range map[string]string{"\x95\xf1\x8d\x90\x8f\x91\x83\x5c\x95\x5c.txt": "報告書ソ表.txt", "報告書.txt": "報告書.txt", "plain.txt": "plain.txt"} {
		z, err := open(archive([]entry{{name: raw, content: "x"}}, ""))
		if err != nil {
			t.Fatal(err)
		}
		if z.Files[0].Name != want {
			t.Errorf("got %q, want %q", z.Files[0].Name, want)
		}
	}
}

func TestEncryptedNamesCanBeTold(t *testing.T) {
	z, err := open(archive([]entry{{name: "secret.exe", content: "hello", flags: 1}}, ""))
	if !errors.Is(err, ErrEncrypted) || z == nil || z.Files[0].Name != "secret.exe" {
		t.Fatalf("got %v, %v", z, err)
	}
	if _, err := z.Files[0].Open(nil); !errors.Is(err, ErrEncrypted) {
		t.Errorf("opened: %v", err)
	}
}

func TestContentIsChecked(t *testing.T) {
	wrongCRC := archive([]entry{{name: "a", content: "hello"}}, "")
	wrongCRC[lenLocal+1] ^= 1
	longer := archive([]entry{{name: "a", content: "hello", method: 8, size: ptr(uint32(4)), localSize: ptr(uint32(4))}}, "")
	shorter := archive([]entry{{name: "a", content: "hello", method: 8, size: ptr(uint32(6)), localSize: ptr(uint32(6))}}, "")
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{"checksum": {wrongCRC, ErrMalformed}, "longer": {longer, ErrMalformed}, "shorter": {shorter, ErrMalformed}, "bytes behind": {leftover(), ErrAmbiguous}} {
		z, err := open(c.b)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		r, err := z.Files[0].Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = io.ReadAll(r); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", name, err, c.want)
		}
	}
}

// leftover is an archive whose member has bytes behind the end of its DEFLATE
// stream, inside its packed size.
func leftover() []byte {
	var b, dir bytes.Buffer
	packed := append(deflated("hello"), deflated("evil")...)
	crc := crc32.ChecksumIEEE([]byte("hello"))
	for _, v := range []any{uint32(sigLocal), uint16(20), uint16(0), uint16(8), uint32(0), crc, uint32(len(packed)), uint32(5), uint16(1), uint16(0)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	b.WriteString("a")
	b.Write(packed)
	for _, v := range []any{uint32(sigDirectory), uint16(20), uint16(20), uint16(0), uint16(8), uint32(0), crc, uint32(len(packed)), uint32(5), uint16(1), uint16(0), uint16(0), uint16(0), uint16(0), uint32(0), uint32(0)} {
		binary.Write(&dir, binary.LittleEndian, v)
	}
	dir.WriteString("a")
	at := b.Len()
	b.Write(dir.Bytes())
	for _, v := range []any{uint32(sigEnd), uint16(0), uint16(0), uint16(1), uint16(1), uint32(dir.Len()), uint32(at), uint16(0)} {
		binary.Write(&b, binary.LittleEndian, v)
	}
	return b.Bytes()
}

func TestMeterIsCharged(t *testing.T) {
	z, err := open(archive([]entry{{name: "a", content: strings.Repeat("x", 5000), method: 8}}, ""))
	if err != nil {
		t.Fatal(err)
	}
	broke := errors.New("spent")
	r, err := z.Files[0].Open(func(r io.Reader) io.Reader { return &purse{r: r, left: 1000, err: broke} })
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, broke) {
		t.Errorf("got %v, want %v", err, broke)
	}
}

type purse struct {
	r    io.Reader
	left int
	err  error
}

func (p *purse) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.left -= n; p.left < 0 {
		return 0, p.err
	}
	return n, err
}

func TestStandardLibraryArchivesAreRead(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := range 3 {
		f, err := w.Create(fmt.Sprintf("d/%d.txt", i))
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(f, strings.Repeat("hello", i*1000))
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	z, err := open(b.Bytes())
	if err != nil || len(z.Files) != 3 {
		t.Fatalf("got %v, %v", z, err)
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	build := func() []byte {
		var b bytes.Buffer
		w := NewWriter(&b)
		m, err := w.Create("word/document.xml")
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(m, strings.Repeat("<w:p/>", 10000))
		if err := w.Store("word/media/表.png", []byte("stored")); err != nil {
			t.Fatal(err)
		}
		if m, err = w.Create("empty"); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	b := build()
	if !bytes.Equal(b, build()) {
		t.Error("two archives of the same content differ")
	}
	std, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	z, err := open(b)
	if err != nil {
		t.Fatal(err)
	}
	for i := range z.Files {
		r, err := z.Files[i].Open(nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		s, err := std.File[i].Open()
		if err != nil {
			t.Fatal(err)
		}
		want, err := io.ReadAll(s)
		if err != nil || !bytes.Equal(got, want) || std.File[i].Name != z.Files[i].Name {
			t.Errorf("%s: the standard library reads something else: %v", z.Files[i].Name, err)
		}
	}
}

func TestWriterRefusesBadNames(t *testing.T) {
	for _, name := range []string{"", "../a", "/a", `a\b`, "C:a", "a\x00"} {
		if err := NewWriter(io.Discard).Store(name, nil); err == nil {
			t.Errorf("wrote %q", name)
		}
	}
	w := NewWriter(io.Discard)
	if err := w.Store("a", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Create("A"); !errors.Is(err, ErrAmbiguous) {
		t.Errorf("wrote a name twice: %v", err)
	}
}

func TestWriterReportsErrors(t *testing.T) {
	for limit := range 200 {
		w := NewWriter(&short{left: limit})
		m, err := w.Create("a")
		if err == nil {
			_, err = io.WriteString(m, "hello")
		}
		if err == nil {
			err = w.Close()
		}
		if limit < 100 && err == nil {
			t.Fatalf("no error although only %d bytes could be written", limit)
		}
	}
}

type short struct{ left int }

func (s *short) Write(b []byte) (int, error) {
	if s.left -= len(b); s.left < 0 {
		return 0, io.ErrShortWrite
	}
	return len(b), nil
}

func TestSharedCorpus(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(dir, "corpus", "*x", "*.*x"))
	if err != nil || len(files) == 0 {
		t.Skip("no shared corpus beside the repository; nothing was read")
	}
	bad := 0
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.HasPrefix(b, []byte("PK")) {
			continue
		}
		if _, err := open(b); err != nil {
			bad++
			t.Logf("%s: %v", filepath.Base(name), err)
		}
	}
	// Some of the corpus is broken on purpose.
	if bad*50 > len(files) {
		t.Errorf("%d of %d documents refused", bad, len(files))
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(archive([]entry{{name: "a", content: "hello", method: 8, flags: 8, descriptor: desc(true, "hello")}}, "comment"))
	f.Add(archive([]entry{{name: "d/"}, {name: "d/a", content: "hello"}}, ""))
	f.Add(archive([]entry{{name: "a", content: "hello", size: ptr(uint32(0xFFFFFFFF)), extra: zip64(5)}}, ""))
	f.Add(leftover())
	f.Fuzz(func(t *testing.T, b []byte) {
		z, err := Open(bytes.NewReader(b), int64(len(b)), Limits{Entries: 100})
		if err != nil {
			return
		}
		// What is accepted lies in the file once, and the standard library, whose
		// reader works from the back, sees the same members.
		std, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil && !errors.Is(err, zip.ErrInsecurePath) {
			t.Fatalf("accepted, but refused by the standard library: %v", err)
		}
		if len(std.File) != len(z.Files) {
			t.Fatalf("%d members, the standard library sees %d", len(z.Files), len(std.File))
		}
		packed := int64(0)
		for i := range z.Files {
			m := &z.Files[i]
			packed += m.Packed
			if std.File[i].CRC32 != m.CRC || std.File[i].UncompressedSize64 != uint64(m.Size) {
				t.Fatalf("member %d: the standard library sees another size or checksum", i)
			}
			r, err := m.Open(nil)
			if err != nil {
				t.Fatal(err)
			}
			n, err := io.Copy(io.Discard, io.LimitReader(r, 1<<22))
			if n > m.Size {
				t.Fatalf("member of %d bytes gave %d, %v", m.Size, n, err)
			}
		}
		if packed > int64(len(b)) {
			t.Fatalf("%d packed bytes in a file of %d", packed, len(b))
		}
	})
}
