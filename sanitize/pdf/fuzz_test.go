package pdf

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

// openForTest shows all that packed streams of a file say.
func openForTest(b []byte) (string, error) {
	f, err := pdf.Open(b, func(int64) error { return nil })
	if err != nil {
		return "", err
	}
	var all strings.Builder
	for n := range f.Numbers {
		if st, ok := f.Get(pdf.Ref{Num: n}).(*pdf.Stream); ok {
			if d, _, err := f.Decode(st, 1<<20); err == nil {
				all.Write(d)
			}
		}
	}
	return all.String(), nil
}

// fuzzOne holds a document against the four properties: no panic, within the
// budget, an output that the second look allows, and a second run that finds
// nothing and changes nothing.
func fuzzOne(t *testing.T, b []byte) {
	// How a page is drawn is decided by reading it too.
	foresee(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))})
	tight := func(o *sanitize.Options) {
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
	}
	r, err := treat(b, tight)
	if err != nil {
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	}
	if len(r.out) > 4<<20 {
		t.Fatalf("%d octets written", len(r.out))
	}
	if err := verify.File(t.Context(), session(len(r.out), nil), sanitize.KindPDF, bytes.NewReader(r.out), int64(len(r.out))); err != nil {
		t.Fatalf("second look: %v\n%q", err, unpack(t, r.out))
	}
	again, err := treat(r.out, nil)
	if err != nil {
		t.Fatalf("second run: %v\n%q", err, unpack(t, r.out))
	}
	if again.res.Outcome != sanitize.Clean {
		t.Fatalf("second run: %s: %v", again.res.Outcome, again.findings)
	}
	if !bytes.Equal(again.out, r.out) {
		t.Fatalf("second run changes the output:\n%q\n%q", unpack(t, r.out), unpack(t, again.out))
	}
}

func FuzzDocument(f *testing.F) {
	for _, c := range actives() {
		f.Add(c.file)
	}
	f.Fuzz(fuzzOne)
}

// FuzzPage mutates what a page says and has, in a file that is sound.
func FuzzPage(f *testing.F) {
	f.Add("", pageText, "<< >>")
	f.Add("/Resources << /XObject << /X 6 0 R >> >>", "/X Do BI /W 1 /H 1 /BPC 8 ID x EI", "<< /Subtype /Form /BBox [0 0 1 1] >>")
	f.Add("/Annots [6 0 R]", "[(a) 1 <00>] TJ", "<< /Subtype /Widget /FT /Btn /T (x) /Kids [6 0 R] /Parent 6 0 R /AP << /N 6 0 R >> >>")
	f.Add("/Resources << /ColorSpace << /A [/Indexed [/Separation /X /DeviceRGB 6 0 R] 1 <00>] /B [/ICCBased 4 0 R] >> /Font << /F 6 0 R >> >>", "/A cs", "<< /FunctionType 2 /N 1 /Domain [0 1] >>")
	f.Add("/Group << /S /Transparency /CS [/CalRGB << /Gamma [1 1 1] >>] >> /Resources 6 0 R", "/G gs", "<< /ExtGState << /G << /SMask << /S /Alpha /G 4 0 R >> /Font [5 0 R 1] /D [[1] 0] >> >> >>")
	f.Add("/Annots [<< /Subtype (x) /T (y) >>]", "", "<< >>")
	f.Fuzz(func(t *testing.T, entries, content, object string) {
		fuzzOne(t, page("", entries+" /Contents 7 0 R", object, stream("", content)))
	})
}

func BenchmarkRebuild(b *testing.B) {
	text := strings.Repeat("BT /F1 12 Tf 72 700 Td (The words stay) Tj [(a)-250(b)] TJ ET 0 0 10 10 re f\n", 12000) // 1 MB
	doc := page("", "/Contents 6 0 R", packed("", text))
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		s := session(len(doc), func(o *sanitize.Options) { o.Limits.Ratio = 2000 })
		if _, err := (Sanitizer{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(doc), Size: int64(len(doc))}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}
