package pdf

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"os"

	"sekisho/internal/fax"
	"sekisho/sanitize"
)

func TestInlineImages(t *testing.T) {
	raw := "\x00EI \xff EI\n12"
	for name, in := range map[string]string{
		"plain":         "BI /W 11 /H 1 /BPC 8 /CS /G ID " + raw[:11] + "\nEI Q",
		"long names":    "BI /Width 11 /Height 1 /BitsPerComponent 8 /ColorSpace /DeviceGray ID " + raw[:11] + "\nEI Q",
		"as digits":     "BI /W 4 /H 1 /BPC 8 /CS /G /F /AHx ID 00112233>\nEI Q",
		"colour table":  "BI /W 8 /H 1 /BPC 1 /CS [/I /RGB 1 <000000ffffff>] ID \xaa\nEI Q",
		"mask":          "BI /W 8 /H 1 /IM true /D [1 0] ID \xaa\nEI Q",
		"without end":   "BI /W 8 /H 1 /IM true ID \xaa",
		"without sizes": "BI /W 8 ID \xaa\nEI Q",
	} {
		t.Run(name, func(t *testing.T) {
			text := unpack(t, must(t, page("", "/Contents 6 0 R", stream("", "q "+in+" 1 0 0 rg"))).out)
			if strings.Contains(name, "without") {
				return
			}
			if !strings.Contains(text, "BI\n/") || !strings.Contains(text, "\nEI\nQ\n1 0 0 rg\n") {
				t.Errorf("it says:\n%q", text)
			}
		})
	}
}

func picturePage(dict, data string, more ...string) []byte {
	return page("", "/Resources << /XObject << /X 6 0 R >> >>", append([]string{stream("/Type /XObject /Subtype /Image "+dict, data)}, more...)...)
}

func jpegOf(t testing.TB) string {
	t.Helper()
	m := image.NewGray(image.Rect(0, 0, 16, 16))
	for i := range m.Pix {
		m.Pix[i] = byte(i)
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, nil); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestJPEGKeepsItsSamplesAndNothingElse(t *testing.T) {
	plain := jpegOf(t)
	dirty := plain[:2] + "\xff\xe1\x00\x06MARK" + "\xff\xfe\x00\x06MARK" + plain[2:] + "MARK"
	r := must(t, picturePage("/Width 16 /Height 16 /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter /DCTDecode", dirty))
	if bytes.Contains(r.out, []byte("MARK")) {
		t.Error("data beside the picture came out")
	}
	if !bytes.Contains(r.out, []byte(plain)) {
		t.Error("the samples are not those that came")
	}
}

func TestBrokenPicturesBecomeASquare(t *testing.T) {
	for name, b := range map[string][]byte{
		"no JPEG":  picturePage("/Width 16 /Height 16 /Filter /DCTDecode", "MARK, and no picture"),
		"cut JPEG": picturePage("/Width 16 /Height 16 /Filter /DCTDecode", jpegOf(t)[:200]),
		"no fax":   picturePage("/Width 16 /Height 16 /Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 16 >>", "\x00\x00MARK"),
		"unknown":  picturePage("/Width 16 /Height 16 /Filter /MARKDecode", "MARK"),
	} {
		t.Run(name, func(t *testing.T) {
			r := must(t, b)
			if !r.has("pdf.picture") || r.res.Outcome != sanitize.Disarmed || strings.Contains(unpack(t, r.out), "MARK") {
				t.Errorf("%s: %v", r.res.Outcome, r.findings)
			}
		})
	}
}

// TestPicturesInFaxOpen has poppler draw what is written in Group 4.
func TestPicturesInFaxOpen(t *testing.T) {
	if _, err := exec.LookPath("pdftoppm"); err != nil {
		t.Skip("pdftoppm is not installed")
	}
	const w, h = 40, 16
	pixels := make([]byte, w/8*h)
	for y := range h {
		for x := range w {
			if (x/5+y/3)%2 == 0 {
				pixels[y*w/8+x/8] |= 0x80 >> (x % 8)
			}
		}
	}
	data := fax.Group4(fax.NewTables(), pixels, w, h)
	b := page("", "/Contents 7 0 R /MediaBox [0 0 40 16] /Resources << /XObject << /X 6 0 R >> >>",
		stream("/Subtype /Image /Width 40 /Height 16 /BitsPerComponent 1 /ColorSpace /DeviceGray /Filter /CCITTFaxDecode /DecodeParms << /K -1 /Columns 40 >>", string(data)),
		stream("", "40 0 0 16 0 0 cm /X Do"))
	r := must(t, b)
	file := filepath.Join(t.TempDir(), "a.pdf")
	if err := os.WriteFile(file, r.out, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("pdftoppm", "-r", "288", "-gray", file).Output()
	if err != nil || len(out) < 16*w*h {
		t.Fatalf("pdftoppm: %v", err)
	}
	got := out[len(out)-16*w*h:] // four by four for each
	for y := range h {
		for x := range w {
			black := (x/5+y/3)%2 == 0
			if c := (color.Gray{Y: got[(4*y+2)*4*w+4*x+2]}); (c.Y < 128) != black {
				t.Fatalf("at %d, %d it is %v", x, y, c)
			}
		}
	}
}

func TestAPictureMayBeCalledContents(t *testing.T) {
	must(t, page("", "/Resources << /XObject << /Contents 6 0 R /CharProcs 6 0 R >> >>",
		packed("/Subtype /Image /Width 4 /Height 4 /BitsPerComponent 8 /ColorSpace /DeviceGray", "what no program")))
}

// What most photographs are is tried by their coefficients, and what is none of
// these, or damaged, by the other decoder: neither passes for whole.
func TestPhotographsAreTriedByTheirCoefficients(t *testing.T) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewNRGBA(image.Rect(0, 0, 30, 20)), nil); err != nil {
		t.Fatal(err)
	}
	whole := b.Bytes()
	out, j, err := rewriteJPEG(whole)
	if err != nil || !j.plain() {
		t.Fatalf("%v, plain %v", err, j.plain())
	}
	c := &cleaner{s: session(1<<20, nil)}
	if !c.decodes(out, j) || c.coefficients == nil {
		t.Error("a photograph is not read as coefficients")
	}
	if c.decodes(append(bytes.Clone(out[:len(out)*2/3]), 0xff, 0xd9), j) || c.coefficients != nil {
		t.Error("two thirds of a photograph pass")
	}
	// Of red, green and blue the first is not the light.
	inks := bytes.Replace(whole, []byte{0xff, 0xdb}, []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00\xff\xdb"), 1)
	if _, j, err := rewriteJPEG(inks); err != nil || j.plain() {
		t.Errorf("%v, red, green and blue: plain %v", err, j.plain())
	}
}

// A scan may say in a few octets that nothing changes in millions of blocks.
func TestScansWithoutEndAreRefused(t *testing.T) {
	b := []byte{0xff, 0xd8, 0xff, 0xc2, 0, 11, 8, 0x27, 0x10, 0x27, 0x10, 1, 1, 0x11, 0} // 10,000 by 10,000
	b = append(b, bytes.Repeat([]byte{0xff, 0xda, 0, 8, 1, 1, 0, 0, 0, 0, 0}, 101)...)
	s := session(1<<20, nil)
	c := &cleaner{s: s}
	if _, ok := c.dct(append(b, 0xff, 0xd9), nil); ok || !errors.Is(c.err, sanitize.ErrLimit) {
		t.Errorf("%v, %v", ok, c.err)
	}
}
