package pdf

import (
	"bytes"
	"image"
	"image/jpeg"
	"io"
	"slices"
	"testing"

	"sekisho/internal/qr"
	"sekisho/internal/qr/qrtest"
	"sekisho/sanitize"
)

func TestCodesOfPagesAndPicturesAreRead(t *testing.T) {
	const address = "https://evil.example/a"
	m, err := qrtest.Picture(address, 4)
	if err != nil {
		t.Fatal(err)
	}
	side := m.Rect.Dx()
	var photo bytes.Buffer
	if err := jpeg.Encode(&photo, m, nil); err != nil {
		t.Fatal(err)
	}
	colours := make([]byte, 0, 3*len(m.Pix))
	for _, v := range m.Pix {
		colours = append(colours, v, v/2, 255-v/4)
	}
	page := func(samples int, pixels []byte) func(*sanitize.Session) error {
		return func(s *sanitize.Session) error {
			p := &pictures{s: s, w: newWriter(io.Discard, 1<<20), dpi: 150, sheets: []drawn{{width: 100, height: 100}}}
			return firstOf(p.take(side, side, samples, pixels), p.settle(0))
		}
	}
	for name, f := range map[string]func(*sanitize.Session) error{
		"a grey page":    page(1, slices.Clone(m.Pix)),
		"a page":         page(3, colours),
		"a JPEG picture": func(s *sanitize.Session) error { (&cleaner{s: s}).dct(photo.Bytes(), nil); return nil },
	} {
		s := session(1<<20, nil)
		var got []string
		s.Codes = func(m image.Image) []string {
			got = qr.Read(m)
			return got
		}
		s.Options.Codes = true
		s.Options.Task = sanitize.TaskFile
		if err := f(s); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if !slices.Equal(got, []string{address}) {
			t.Errorf("%s: read %q", name, got)
		}
	}
}
