package ppt

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/verify"
)

// fuzzOne holds a presentation against the four properties: no panic, within the
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
	k, err := detect.Detect(sanitize.Object{ReaderAt: bytes.NewReader(out.Bytes()), Size: int64(out.Len())})
	if err != nil || k.Kind != sanitize.KindPPT {
		t.Fatalf("the output is %s, %v", k.Kind, err)
	}
	if err := verify.File(context.Background(), newSession(out.Len()), sanitize.KindPPT, bytes.NewReader(out.Bytes()), int64(out.Len())); err != nil {
		t.Fatalf("verify: %v", err)
	}
	checkOutput(t, "fuzz", out.Bytes())
}

func FuzzPresentation(f *testing.F) {
	for _, c := range cases {
		w := newShow()
		c.change(w)
		f.Add(w.bytes(f))
	}
	f.Fuzz(fuzzOne)
}

// FuzzRecords changes what is inside a slide alone, in a file that is sound.
func FuzzRecords(f *testing.F) {
	for _, c := range cases {
		w := newShow()
		c.change(w)
		f.Add(bytes.Join(w.slide, nil), bytes.Join(w.text, nil), bytes.Join(w.links, nil), bytes.Join(w.shape, nil))
	}
	f.Fuzz(func(t *testing.T, slide, text, links, shape []byte) {
		w := newShow()
		w.slide, w.text, w.links, w.shape = [][]byte{slide}, [][]byte{text}, [][]byte{links}, [][]byte{shape}
		fuzzOne(t, w.bytes(t))
	})
}

func BenchmarkPresentation(b *testing.B) {
	for _, c := range []struct {
		name  string
		texts int
	}{{"100kB", 900}, {"10MB", 90000}} {
		b.Run(c.name, func(b *testing.B) {
			w := newShow()
			for range c.texts {
				w.slide = append(w.slide, drawing(box(0xF00D, 0, zero(typeTextHeader), atom(typeTextChars, 0, unwide(shownText)...))))
			}
			in := w.bytes(b)
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
