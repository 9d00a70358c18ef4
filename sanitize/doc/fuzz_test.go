package doc

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

// fuzzOne holds a document against the four properties: no panic, within the
// budget, an output that is detected as what it is and that the second look
// passes, and a second run that finds nothing and changes nothing.
func fuzzOne(t *testing.T, b []byte) {
	tight := func(o *sanitize.Options) {
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
	}
	s := newSession(len(b), tight)
	var out bytes.Buffer
	_, err := (Sanitizer{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	if err != nil {
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	}
	if out.Len() > 5<<20 {
		t.Fatalf("%d octets written", out.Len())
	}
	checkOutput(t, "fuzz", out.Bytes())
}

// FuzzDocument changes the streams, in a container that is sound.
func FuzzDocument(f *testing.F) {
	for _, c := range cases {
		p := newPaper()
		c.change(p)
		s := streams(f, p.bytes(f))
		f.Add(s["WordDocument"], s["1Table"], s["Data"])
	}
	f.Fuzz(func(t *testing.T, main, table, data []byte) {
		root := &cfb.Storage{CLSID: classWord, Streams: []*cfb.Stream{cfb.NewStream("WordDocument", main), cfb.NewStream("1Table", table), cfb.NewStream("Data", data)}}
		var b bytes.Buffer
		if err := cfb.Write(&b, root); err != nil {
			t.Skip()
		}
		fuzzOne(t, b.Bytes())
	})
}

// FuzzFields changes the text alone: whatever stands in it, the second look finds
// no field that does anything.
func FuzzFields(f *testing.F) {
	f.Add("head \x13 DDEAUTO cmd x\x14result\x15 tail\r", "\x13 PAGE \x15", []byte{0x2E, 0x21})
	f.Add("\x13\x13QUOTE 68\x15 x\x14\x13 HYPERLINK \"https://example.jp/\" \\l \"x\"\x14y\x15\x15\r", "", []byte{0, 0x23, 0x58})
	f.Add("\x13 LIENHYPERTEXTE \"file://x\" \x14y\x15\r", "\x13 x \\* y\x14\x15", []byte{0x58, 0x03})
	f.Add("\x13 MACROBUTTON a b c\x15\r", "\x13 SHAPE \\* MERGEFORMAT\x14\x01\x15", []byte{0x33, 0x5F})
	f.Fuzz(func(t *testing.T, text, header string, kinds []byte) {
		p := newPaper()
		p.stories[storyMain], p.stories[storyHeaders] = text, header
		for n := strings.Count(text, "\x13"); n > 0 && len(kinds) >= n; n = 0 {
			p.kinds[storyMain] = kinds[:n]
			if m := strings.Count(header, "\x13"); len(kinds) >= n+m && m > 0 {
				p.kinds[storyHeaders] = kinds[n : n+m]
			}
		}
		fuzzOne(t, p.bytes(t))
	})
}

func BenchmarkDocument(b *testing.B) {
	for _, c := range []struct {
		name  string
		texts int
	}{{"100kB", 800}, {"10MB", 80000}} {
		b.Run(c.name, func(b *testing.B) {
			p := newPaper()
			p.stories[storyMain] = strings.Repeat("町長からのお知らせ。令和八年度の予算について、次のとおりお知らせいたします。以上、よろしくお願いいたします。\r", c.texts)
			in := p.bytes(b)
			b.SetBytes(int64(len(in)))
			b.ReportAllocs()
			for b.Loop() {
				var out bytes.Buffer
				if _, err := (Sanitizer{}).Sanitize(b.Context(), newSession(len(in)), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in))}, &out); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
