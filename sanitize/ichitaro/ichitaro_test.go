package ichitaro

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/text"
	"sekisho/sanitize/verify"
)

// class is that of a document of Ichitaro; a compressed one has 2 in the place
// of 1.
func class(n byte) [16]byte {
	return [16]byte{n, 0x70, 0x59, 0x78, 0x84, 0x1D, 0xCF, 0x11, 0x97, 0x13, 0x00, 0x20, 0xAF, 0xD8, 0x06, 0xF4}
}

// stream is a stream of text: units, and what an earlier save left behind them.
func stream(units []uint16, behind string) []byte {
	b := make([]byte, textAt)
	copy(b, mark)
	copy(b[20:], partMark)
	binary.BigEndian.PutUint32(b[28:], uint32(len(units)))
	for _, c := range append(units, utf16.Encode([]rune(behind))...) {
		b = binary.BigEndian.AppendUint16(b, c)
	}
	return b
}

func units(pieces ...any) []uint16 {
	var u []uint16
	for _, p := range pieces {
		switch p := p.(type) {
		case string:
			u = append(u, utf16.Encode([]rune(p))...)
		case int:
			u = append(u, uint16(p))
		}
	}
	return u
}

func file(t testing.TB, root *cfb.Storage) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := cfb.Write(&b, root); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func document(t testing.TB, text []byte, storages ...string) []byte {
	root := &cfb.Storage{CLSID: class(1), Streams: []*cfb.Stream{cfb.NewStream("DocumentText", text)}}
	for _, n := range storages {
		root.Storages = append(root.Storages, &cfb.Storage{Name: n, Streams: []*cfb.Stream{cfb.NewStream("x", []byte("MARKER"))}})
	}
	return file(t, root)
}

// packer writes bits, highest first.
type packer struct {
	b []byte
	n int
}

func (p *packer) put(v, n int) {
	for i := n - 1; i >= 0; i-- {
		if p.n%8 == 0 {
			p.b = append(p.b, 0)
		}
		p.b[len(p.b)-1] |= byte(v>>i&1) << (7 - p.n%8)
		p.n++
	}
}

// pack packs by -lh5-, in blocks: octets as they are, and where four of them
// stood eight octets before, that they did.
func pack(b []byte) []byte {
	p := &packer{}
	for at := 0; at < len(b); {
		var codes []int
		for len(codes) < 1000 && at < len(b) {
			if at >= 8 && at+4 <= len(b) && bytes.Equal(b[at:at+4], b[at-8:at-4]) {
				codes = append(codes, 256+1)
				at += 4
				continue
			}
			codes = append(codes, int(b[at]))
			at++
		}
		p.put(len(codes), 16)
		p.put(0, 5) // one length for all: 9
		p.put(11, 5)
		p.put(510, 9)
		p.put(0, 4) // one class of places: 4 to 7 before the one before
		p.put(3, 4)
		for _, c := range codes {
			p.put(c, 9)
			if c >= 256 {
				p.put(3, 2)
			}
		}
	}
	return p.b
}

// compressedDocument makes a jtdc; level is that of the header of its member.
func compressedDocument(t testing.TB, inner []byte, method string, level byte) []byte {
	packed := inner
	if method == "-lh5-" {
		packed = pack(inner)
	}
	h := make([]byte, 22)
	copy(h[2:], method)
	binary.LittleEndian.PutUint32(h[7:], uint32(len(packed)))
	binary.LittleEndian.PutUint32(h[11:], uint32(len(inner)))
	h[20] = level
	sum := binary.LittleEndian.AppendUint16(nil, crc16(inner))
	switch level {
	case 0:
		h = append(h, sum...)
		h[0] = byte(len(h) - 2)
	case 1:
		h = append(append(h, sum...), 'M', 5, 0)
		h[0] = byte(len(h) - 2)
		h = append(h, 1, 'x', 'y', 0, 0)
		binary.LittleEndian.PutUint32(h[7:], uint32(len(packed)+5))
	case 2:
		h = append(append(h[:21], sum...), 'M', 0, 0)
		binary.LittleEndian.PutUint16(h, uint16(len(h)))
	}
	s := make([]byte, memberAt)
	copy(s, compressed)
	return file(t, &cfb.Storage{CLSID: class(2), Streams: []*cfb.Stream{cfb.NewStream("JSCompDocument", append(append(s, h...), packed...))}})
}

func newSession(size int, change ...func(*sanitize.Options)) *sanitize.Session {
	o := &sanitize.Options{Task: sanitize.TaskFile, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassIchitaro: {Steps: []sanitize.Mode{sanitize.Text}},
		sanitize.ClassText:     {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range change {
		c(o)
	}
	s := sanitize.NewSession(o, int64(size), detect.Detect, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindText: text.Text{}})
	s.Ladder = map[sanitize.Mode]map[sanitize.Kind]sanitize.Sanitizer{sanitize.Text: {sanitize.KindJTD: Text{}, sanitize.KindJTDC: Text{}}}
	return s
}

func treat(b []byte, change ...func(*sanitize.Options)) (string, sanitize.Result, []sanitize.Finding, error) {
	s := newSession(len(b), change...)
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	return out.String(), res, s.Parts()[0].Findings, err
}

func TestWordsAreTakenOut(t *testing.T) {
	for _, c := range []struct {
		name string
		in   []byte
		want string
	}{
		{"lines", stream(units("議案第１号", 0x0D, "物価高騰", 0x0A, "以上"), ""), "議案第１号\n物価高騰\n以上"},
		{"what an earlier save left", stream(units("今"), "MARKER"), "今"},
		{"fewer units than it counts", stream(units("今日"), "")[:textAt+2], "今"},
		{"control", stream(units("前", 0x1C, 5, 5, 'M', 0x1F, "後"), ""), "前後"},
		{"control of another length", stream(units("前", 0x1C, 5, 999, 'M', 'M', 0x1F, "後"), ""), "前後"},
		{"mark between cells", stream(units("前", 0x0E, "後", 0x1C, "末"), ""), "前\t後末"},
		{"reading of kanji", stream(units("例示", 0x82, 0x1D, "れいじ", 0x1E, "町"), ""), "例示町"},
		{"new page", stream(units("一", 0x0C, "二"), ""), "一\n\n二"},
		{"beyond the first plane", stream(units("𠮷野"), ""), "𠮷野"},
	} {
		got, err := words(c.in)
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v", c.name, got, err)
		}
	}
}

func TestDocumentsBecomeText(t *testing.T) {
	plain := document(t, stream(units("議案第１号", 0x0D, strings.Repeat("物価高騰対応。", 300)), ""), "DocumentMacro", "ObjectSheets")
	for name, b := range map[string][]byte{
		"jtd": plain, "stored": compressedDocument(t, plain, "-lh0-", 0),
		"level 0": compressedDocument(t, plain, "-lh5-", 0), "level 1": compressedDocument(t, plain, "-lh5-", 1), "level 2": compressedDocument(t, plain, "-lh5-", 2),
	} {
		got, res, found, err := treat(b)
		if err != nil || res.Kind != sanitize.KindText || res.Mode != sanitize.Text || res.Outcome != sanitize.Disarmed {
			t.Errorf("%s: %+v, %v", name, res, err)
			continue
		}
		if !strings.Contains(got, "議案第１号\r\n物価高騰対応。") && !strings.Contains(got, "議案第１号\n物価高騰対応。") || strings.Contains(got, "MARKER") {
			t.Errorf("%s: %.60q", name, got)
		}
		rules := map[string]bool{}
		for _, f := range found {
			rules[f.Rule] = true
		}
		if !rules["ichitaro.macro"] || !rules["ichitaro.object"] {
			t.Errorf("%s: found %v", name, found)
		}
	}
}

func TestWhatIsNoTextIsKeptBack(t *testing.T) {
	plain := document(t, stream(units("議案"), ""))
	broken := compressedDocument(t, plain, "-lh5-", 0)
	at := bytes.Index(broken, []byte("-lh5-"))
	broken[at+40] ^= 0x55
	other := compressedDocument(t, plain, "-lh7-", 0)
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"no text":        {file(t, &cfb.Storage{CLSID: class(1), Streams: []*cfb.Stream{cfb.NewStream("DocumentViewStyles", []byte("x"))}}), sanitize.ErrMalformed},
		"no words":       {document(t, stream(nil, "MARKER")), sanitize.ErrMalformed},
		"unknown form":   {document(t, bytes.Repeat([]byte("MARKER"), 20)), sanitize.ErrMalformed},
		"broken member":  {broken, sanitize.ErrMalformed},
		"unknown method": {other, sanitize.ErrUnsupported},
	} {
		if got, _, _, err := treat(c.b); !errors.Is(err, c.want) || got != "" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestABombIsALimit(t *testing.T) {
	b := compressedDocument(t, document(t, stream(units("議案"), "")), "-lh5-", 0)
	at := bytes.Index(b, []byte("-lh5-")) - 2
	binary.LittleEndian.PutUint32(b[at+11:], 0x7FFFFFFF)
	if _, _, _, err := treat(b); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

// TestRealMembersAreUnpacked tries the unpacker on archives that other programs
// made.
func TestRealMembersAreUnpacked(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(dir, "corpus", "lzh", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("no archives under %s: not tried on those of others", dir)
	}
	done := 0
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) < 24 || string(b[2:7]) != "-lh5-" {
			continue
		}
		data, sum, err := member(b)
		if err != nil {
			t.Errorf("%s: %v", f, err)
			continue
		}
		out, err := inflate(newSession(len(b)), data, int64(binary.LittleEndian.Uint32(b[11:])))
		if err != nil || crc16(out) != sum {
			t.Errorf("%s: %v, checksum %04X, want %04X", f, err, crc16(out), sum)
		}
		done++
	}
	t.Logf("%d members", done)
}

// fuzzOne holds a document against the four properties: no panic, within the
// budget, an output that is text, and one that treated again is the same.
func fuzzOne(t *testing.T, b []byte) {
	s := newSession(len(b), func(o *sanitize.Options) { o.Limits.Expanded, o.Limits.OutputBytes = 4<<20, 4<<20 })
	var out bytes.Buffer
	res, err := (Text{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	if err != nil {
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrUnsupported} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	}
	if res.Kind != sanitize.KindText || out.Len() > 16<<20 {
		t.Fatalf("%+v, %d octets", res, out.Len())
	}
	var again bytes.Buffer
	if _, err := (text.Text{}).Sanitize(context.Background(), newSession(out.Len()), sanitize.Object{ReaderAt: bytes.NewReader(out.Bytes()), Size: int64(out.Len()), Charset: "utf-8", Kind: sanitize.KindText}, &again); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Fatalf("a second run: %v\n%q\n%q", err, out.Bytes(), again.Bytes())
	}
}

// rebuildOne holds the rebuild against the same properties.
func rebuildOne(t *testing.T, b []byte) {
	small := func(o *sanitize.Options) { o.Limits.Expanded, o.Limits.OutputBytes = 4<<20, 4<<20 }
	var out, again bytes.Buffer
	if _, err := (Rebuild{}).Sanitize(context.Background(), newSession(len(b), small), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out); err != nil {
		return
	}
	s := newSession(out.Len())
	if _, err := (Rebuild{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(out.Bytes()), Size: int64(out.Len()), Path: "1"}, &again); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Fatalf("a second rebuild: %v", err)
	}
	if err := verify.File(context.Background(), s, sanitize.KindJTD, bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
		t.Fatalf("the second look: %v", err)
	}
}

func FuzzRebuild(f *testing.F) {
	plain := document(f, stream(units("議案第１号", 0x0D), "left"), "DocumentMacro", "ObjectSheets")
	f.Add(plain)
	f.Add(compressedDocument(f, plain, "-lh5-", 1))
	f.Fuzz(rebuildOne)
}

func FuzzDocument(f *testing.F) {
	plain := document(f, stream(units("議案第１号", 0x0D, 0x1C, 5, 5, 'M', 0x1F, "後", 0x82, 0x1D, "れいじ", 0x1E), ""), "DocumentMacro")
	f.Add(plain)
	for level := range byte(3) {
		f.Add(compressedDocument(f, plain, "-lh5-", level))
	}
	f.Fuzz(fuzzOne)
}

func FuzzWords(f *testing.F) {
	f.Add(stream(units("議案第１号", 0x0D, 0x1C, 5, 5, 'M', 0x1F, "後", 0x82, 0x1D, "れいじ", 0x1E), ""))
	f.Fuzz(func(t *testing.T, b []byte) { fuzzOne(t, document(t, b)) })
}

// TestABrokenContainerIsTheEndOfTheLadder, also of the document in a compressed
// one.
func TestABrokenContainerIsTheEndOfTheLadder(t *testing.T) {
	whole := document(t, stream(units("text"), ""))
	broken := bytes.Clone(whole)
	broken[30] = 10 // sectors of another size
	for name, b := range map[string][]byte{"a document": broken, "in a compressed one": compressedDocument(t, broken, "-lh5-", 2)} {
		s := newSession(len(b))
		var out bytes.Buffer
		_, err := Text{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
		if !errors.Is(err, sanitize.ErrContainer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestRebuiltDocumentsHoldNothingElse than the plain streams of the root: no
// storage, nothing of OLE, no file of another format, nothing behind the text. A
// second run changes nothing, and the words are the same.
func TestRebuiltDocumentsHoldNothingElse(t *testing.T) {
	root := &cfb.Storage{CLSID: class(1), Streams: []*cfb.Stream{
		cfb.NewStream("DocumentText", stream(units("議案第１号"), "MARKER")), cfb.NewStream("DocumentViewStyles", []byte("styles")),
		cfb.NewStream("\x05SummaryInformation", []byte("MARKER")), cfb.NewStream("\x01CompObj", []byte("MARKER")), cfb.NewStream("Evil\u202e", []byte("MARKER")),
		cfb.NewStream("Packed", []byte("xxPK\x03\x04MARKER")), cfb.NewStream("Program", []byte("MZMARKER")), cfb.NewStream("Compound", []byte("..\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1MARKER")),
	}}
	for _, n := range []string{"DocumentMacro", "ObjectSheets", "EmbedItems1", "Unknown"} {
		root.Storages = append(root.Storages, &cfb.Storage{Name: n, Streams: []*cfb.Stream{cfb.NewStream("x", []byte("MARKER"))}})
	}
	plain := file(t, root)
	wide := string([]byte{0, 'M', 0, 'A', 0, 'R', 0, 'K'})
	for name, b := range map[string][]byte{"a document": plain, "a compressed one": compressedDocument(t, plain, "-lh5-", 2)} {
		s := newSession(len(b))
		var out bytes.Buffer
		res, err := Rebuild{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
		if err != nil || res.Kind != sanitize.KindJTD {
			t.Fatalf("%s: %+v, %v", name, res, err)
		}
		if bytes.Contains(out.Bytes(), []byte("MARKER")) || bytes.Contains(out.Bytes(), []byte(wide)) {
			t.Errorf("%s: the marker is still there", name)
		}
		f, err := cfb.Open(bytes.NewReader(out.Bytes()), int64(out.Len()))
		if err != nil || len(f.Root.Storages) > 0 || len(f.Root.Streams) != 2 || f.Root.CLSID != class(1) {
			t.Fatalf("%s: %+v, %v", name, f, err)
		}
		text, err := read(s, f.Root.Stream("DocumentText"))
		if err != nil {
			t.Fatal(err)
		}
		if w, err := words(text); err != nil || w != "議案第１号" {
			t.Errorf("%s: %q, %v", name, w, err)
		}
		var again bytes.Buffer
		if _, err := (Rebuild{}).Sanitize(context.Background(), newSession(out.Len()), sanitize.Object{ReaderAt: bytes.NewReader(out.Bytes()), Size: int64(out.Len()), Path: "1"}, &again); err != nil || !bytes.Equal(out.Bytes(), again.Bytes()) {
			t.Errorf("%s: a second run: %v", name, err)
		}
	}
	for name, b := range map[string][]byte{"no text": file(t, &cfb.Storage{CLSID: class(1), Streams: []*cfb.Stream{cfb.NewStream("DocumentViewStyles", []byte("x"))}}), "a text of unknown form": document(t, []byte("x"))} {
		if _, err := (Rebuild{}).Sanitize(context.Background(), newSession(len(b)), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &bytes.Buffer{}); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
