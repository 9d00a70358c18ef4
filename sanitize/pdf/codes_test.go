package pdf

import (
	"bytes"
	"fmt"
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

// TestCodesInPicturesThatAreRebuiltAreRead: most that an office puts into a
// document is no JPEG.
func TestCodesInPicturesThatAreRebuiltAreRead(t *testing.T) {
	const address = "https://evil.example/b"
	m, err := qrtest.Picture(address, 4)
	if err != nil {
		t.Fatal(err)
	}
	side := m.Rect.Dx()
	samples := func(f func(v byte) []byte) string {
		var b []byte
		for _, v := range m.Pix {
			b = append(b, f(v)...)
		}
		return string(b)
	}
	// rows are samples of some bits, each row filled up to an octet.
	rows := func(bits int, dark, lit byte) string {
		var b []byte
		for y := range side {
			var acc, n int
			for x := range side {
				v := dark
				if m.Pix[y*m.Stride+x] >= 128 {
					v = lit
				}
				acc, n = acc<<bits|int(v), n+bits
				if n == 8 {
					b, acc, n = append(b, byte(acc)), 0, 0
				}
			}
			if n > 0 {
				b = append(b, byte(acc<<(8-n)))
			}
		}
		return string(b)
	}
	grey := samples(func(v byte) []byte { return []byte{v} })
	up := func() string { // PNG's second predictor
		var b []byte
		for y := range side {
			b = append(b, 2)
			for x := range side {
				var above byte
				if y > 0 {
					above = grey[(y-1)*side+x]
				}
				b = append(b, grey[y*side+x]-above)
			}
		}
		return string(b)
	}
	for name, c := range map[string][2]string{
		"grey":            {"/BitsPerComponent 8 /ColorSpace /DeviceGray", grey},
		"with neighbours": {fmt.Sprintf("/BitsPerComponent 8 /ColorSpace /DeviceGray /DecodeParms << /Predictor 15 /Columns %d >>", side), up()},
		"in colours":      {"/BitsPerComponent 8 /ColorSpace /DeviceRGB", samples(func(v byte) []byte { return []byte{v / 2, v, v} })},
		"in inks":         {"/BitsPerComponent 8 /ColorSpace /DeviceCMYK", samples(func(v byte) []byte { return []byte{0, 0, 0, 255 - v} })},
		"of sixteen bits": {"/BitsPerComponent 16 /ColorSpace [/CalRGB << /WhitePoint [1 1 1] >>]", samples(func(v byte) []byte { return []byte{v, 1, v, 2, v, 3} })},
		"of four bits":    {"/BitsPerComponent 4 /ColorSpace /DeviceGray", rows(4, 2, 13)},
		"of one bit":      {"/BitsPerComponent 1 /ColorSpace /DeviceGray", rows(1, 0, 1)},
		"turned over":     {"/BitsPerComponent 1 /ColorSpace /DeviceGray /Decode [1 0]", rows(1, 1, 0)},
		"a mask":          {"/ImageMask true", rows(1, 0, 1)},
		"of two colours":  {"/BitsPerComponent 2 /ColorSpace [/Indexed /DeviceRGB 3 <ffffff 000080 ffff80 808080>]", rows(2, 1, 2)},
	} {
		s := session(1<<20, nil)
		var got []string
		s.Codes = func(m image.Image) []string {
			got = append(got, qr.Read(m)...)
			return nil
		}
		s.Options.Codes = true
		s.Options.Task = sanitize.TaskFile
		// On the third page, in a form that is turned.
		in := file("<< /Type /Catalog /Pages 2 0 R >>", "<< /Type /Pages /Kids [3 0 R 3 0 R 4 0 R] /Count 3 /MediaBox [0 0 595 842] >>",
			"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources << /Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >> >>",
			"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /Resources << /XObject << /X 7 0 R >> >> >>",
			stream("", pageText), stream("", "q 0 150 -150 0 400 300 cm /X Do Q"),
			stream("/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources << /XObject << /I 8 0 R >> >>", "/I Do"),
			packed(fmt.Sprintf("/Type /XObject /Subtype /Image /Width %d /Height %d %s", side, side, c[0]), c[1]))
		// Being looked at changes nothing: it is there in what comes of it.
		for range 2 {
			got = nil
			var out bytes.Buffer
			if _, err := (Sanitizer{}).Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in))}, &out); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if !slices.Equal(got, []string{address}) {
				t.Errorf("%s: read %q", name, got)
			}
			in = out.Bytes()
		}
	}
}
