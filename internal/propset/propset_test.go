package propset

import (
	"bytes"
	"encoding/binary"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

func full() Document {
	return Document{
		Title: "令和８年度 予算書", Subject: "件名", Author: "山田太郎", Keywords: "予算, 議会", Comments: "コメント", LastAuthor: "鈴木", Application: "Microsoft Office Word", Revision: "12",
		Category: "区分", Manager: "課長", Company: "例示町", Created: fileTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)), Saved: fileTime(time.Date(2026, 2, 2, 3, 4, 5, 0, time.UTC)),
		Pages: 3, Words: 40, Characters: 500,
	}
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for _, d := range []Document{{}, full()} {
		got := Read(d.Summary(), d.DocumentSummary())
		if !reflect.DeepEqual(got, d) {
			t.Errorf("read %+v, want %+v", got, d)
		}
	}
}

// stream builds a property set as another program might.
func stream(fmtid [16]byte, page uint16, texts map[uint32][]byte, typ uint32, more ...func(*writer)) []byte {
	w := writer{}
	w.int16(pidCodepage, page)
	for id := range uint32(40) {
		if v, ok := texts[id]; ok {
			w.add(id, typ)
			n := len(v)
			if typ == typeString {
				n /= 2
			}
			w.b = binary.LittleEndian.AppendUint32(w.b, uint32(n))
			w.b = append(w.b, v...)
			for len(w.b)%4 != 0 {
				w.b = append(w.b, 0)
			}
		}
	}
	for _, f := range more {
		f(&w)
	}
	return w.stream(fmtid)
}

func wideText(s string) []byte {
	var b []byte
	for _, u := range utf16.Encode([]rune(s + "\x00")) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return b
}

func TestTextsOfEveryCodePageAreRead(t *testing.T) {
	sjis := []byte("\x97\xdf\x98\x61\x94\x4e\x93\x78\x00") // 令和年度
	for _, c := range []struct {
		name string
		page uint16
		typ  uint32
		raw  []byte
		want string
	}{
		{"Japanese", 932, typeString8, sjis, "令和年度"},
		{"Western", 1252, typeString8, []byte("caf\xe9\x00"), "café"},
		{"UTF-8", 65001, typeString8, []byte("予算\x00"), "予算"},
		{"UTF-16 in an 8-bit type", 1200, typeString8, wideText("予算"), "予算"},
		{"wide", 1252, typeString, wideText("予算書"), "予算書"},
		{"no such page", 4711, typeString8, []byte("abc\x00"), "abc"},
		{"controls and direction", 65001, typeString8, []byte("a\u202egpj\x07\r\nb\x00"), "agpj  b"},
		{"cut at NUL", 1252, typeString8, []byte("abc\x00hidden"), "abc"},
	} {
		if got := Read(stream(fmtidSummary, c.page, map[uint32][]byte{pidTitle: c.raw}, c.typ), nil).Title; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestTemplateThumbnailLinksAndOwnPropertiesGo(t *testing.T) {
	b := stream(fmtidSummary, 1252, map[uint32][]byte{
		pidTitle: []byte("kept\x00"), 7: []byte("\\\\evil.example\\share\\t.dotm\x00"), pidAppName: []byte("evil \\\\host\x00"), 17: []byte("THUMBNAIL"),
	}, typeString8)
	doc := stream(fmtidDocument, 1252, map[uint32][]byte{pidCompany: []byte("Town\x00"), 21: []byte("http://evil.example/base\x00")}, typeString8)
	// A second section, as custom properties stand in one.
	binary.LittleEndian.PutUint32(doc[24:], 2)
	if !Custom(doc) {
		t.Error("the second section is not seen")
	}
	d := Read(b, doc)
	out := append(d.Summary(), d.DocumentSummary()...)
	for _, gone := range []string{"evil", "THUMBNAIL"} {
		if bytes.Contains(out, []byte(gone)) {
			t.Errorf("%q is still there", gone)
		}
	}
	if d.Title != "kept" || d.Company != "Town" {
		t.Errorf("kept %q and %q", d.Title, d.Company)
	}
	if Custom(d.DocumentSummary()) {
		t.Error("a second section was written")
	}
}

func TestLongTextsAreCutBetweenCharacters(t *testing.T) {
	d := Read(stream(fmtidSummary, 65001, map[uint32][]byte{pidTitle: []byte(strings.Repeat("予", 1000) + "\x00")}, typeString8), nil)
	if d.Title != strings.Repeat("予", 255) {
		t.Errorf("%d octets: %.20q", len(d.Title), d.Title)
	}
}

func TestDamagedSetsSayNothing(t *testing.T) {
	good := full().Summary()
	for n := range len(good) {
		Read(good[:n], good[:n]) // no panic; what is whole is read
	}
	for name, b := range map[string][]byte{
		"nothing":         nil,
		"another format":  full().DocumentSummary(),
		"offset past end": func() []byte { b := bytes.Clone(good); binary.LittleEndian.PutUint32(b[44:], 1<<31); return b }(),
		"no byte order":   append([]byte{0, 0}, good[2:]...),
		"section in head": func() []byte { b := bytes.Clone(good); binary.LittleEndian.PutUint32(b[44:], 0); return b }(),
		"properties beyond": func() []byte {
			b := bytes.Clone(good)
			for i := 56; i < 56+8*13; i += 8 {
				binary.LittleEndian.PutUint32(b[i+4:], 0xFFFFFFF0)
			}
			return b
		}(),
	} {
		if d := Read(b, nil); d.Title != "" || d.Author != "" {
			t.Errorf("%s: %+v", name, d)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(full().Summary(), full().DocumentSummary())
	f.Add(stream(fmtidSummary, 932, map[uint32][]byte{2: []byte("\x97\xdf\x00")}, typeString8), []byte{})
	f.Fuzz(func(t *testing.T, a, b []byte) {
		d := Read(a, b)
		s, ds := d.Summary(), d.DocumentSummary()
		if len(s) > 8<<10 || len(ds) > 4<<10 {
			t.Fatalf("%d and %d octets", len(s), len(ds))
		}
		again := Read(s, ds)
		if !reflect.DeepEqual(again, d) {
			t.Fatalf("read again %+v, was %+v", again, d)
		}
	})
}
