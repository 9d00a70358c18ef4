package pdf

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// jpxShell is a code stream of nothing but its size, in boxes.
func jpxShell(width, height, components, depth int, boxes ...string) string {
	siz := []byte{0xff, 0x4f, 0xff, 0x51, 0, byte(38 + 3*components), 0, 0}
	for _, v := range []int{width, height, 0, 0, width, height, 0, 0} {
		siz = binary.BigEndian.AppendUint32(siz, uint32(v))
	}
	siz = binary.BigEndian.AppendUint16(siz, uint16(components))
	for range components {
		siz = append(siz, byte(depth-1), 1, 1)
	}
	return jpxBox("jP  ", "\r\n\x87\n") + jpxBox("jp2h", strings.Join(boxes, "")) + jpxBox("jp2c", string(siz)+"\xff\x90 and so on")
}

func jpxBox(name, in string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(8+len(in)))) + name + in
}

func jpxColours(n uint32) string {
	return jpxBox("colr", "\x01\x00\x00"+string(binary.BigEndian.AppendUint32(nil, n)))
}

// decodes is a tool that gives back these samples.
func decodes(samples string, width, height, n int) func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error {
	return func(_ context.Context, call sanitize.ToolCall, in io.Reader, out io.Writer) error {
		if call.Tool == sanitize.PDFLook {
			_, err := io.WriteString(out, "P5\n1 1\n255\nx")
			return err
		}
		b, err := io.ReadAll(in)
		if err != nil || !bytes.HasPrefix(b, []byte("\xff\x4f\xff\x51")) {
			return fmt.Errorf("no bare code stream: %q, %w", b[:min(len(b), 9)], sanitize.ErrTool)
		}
		head := fmt.Sprintf("P7\nWIDTH %d\nHEIGHT %d\nDEPTH %d\nMAXVAL 255\nTUPLTYPE X\nENDHDR\n", width, height, n)
		switch n {
		case 1:
			head = fmt.Sprintf("P5\n# a remark\n%d %d\n255\n", width, height)
		case 3:
			head = fmt.Sprintf("P6\n%d %d\n255\n", width, height)
		}
		_, err = io.WriteString(out, head+samples)
		return err
	}
}

// TestJPEG2000LeavesAsItsPixels: what the picture's colours are is said by the
// document or, where it does not say, by the picture.
func TestJPEG2000LeavesAsItsPixels(t *testing.T) {
	for _, c := range []struct {
		name, dict, jpx string
		samples         string
		n               int
		want            []string // of the dictionary of the picture, and what it holds
	}{
		{"grey", "/ColorSpace /DeviceGray", jpxShell(2, 2, 1, 8), "abcd", 1, []string{"/ColorSpace /DeviceGray", "\nabcd\nendstream"}},
		{"colours", "/ColorSpace /DeviceRGB /Decode [1 0 1 0 1 0]", jpxShell(2, 2, 3, 8), "abcdefghijkl", 3, []string{"/ColorSpace /DeviceRGB", "\nabcdefghijkl\nendstream"}},
		{"inks", "/ColorSpace /DeviceCMYK", jpxShell(2, 2, 4, 8), "abcdefghijklmnop", 4, []string{"/ColorSpace /DeviceCMYK", "\nabcdefghijklmnop\nendstream"}},
		{"said by the picture: grey", "", jpxShell(2, 2, 1, 8, jpxColours(17)), "abcd", 1, []string{"/ColorSpace /DeviceGray", "\nabcd\nendstream"}},
		{"said by the picture: inks", "", jpxShell(2, 2, 4, 8, jpxColours(12)), "abcdefghijklmnop", 4, []string{"/ColorSpace /DeviceCMYK"}},
		{"said by the picture: YCC", "", jpxShell(2, 2, 3, 8, jpxColours(18)), strings.Repeat("a\x80\x80", 4), 3, []string{"/ColorSpace /DeviceRGB", "\naaaaaaaaaaaa\nendstream"}},
		{"a cover that counts", "/ColorSpace /DeviceGray /SMaskInData 1", jpxShell(2, 2, 2, 8), "a1b2c3d4", 2, []string{"/SMask ", "\nabcd\nendstream", "\n1234\nendstream"}},
		{"a cover that does not", "/ColorSpace /DeviceRGB", jpxShell(2, 2, 4, 8), "abc1def2ghi3jkl4", 4, []string{"\nabcdefghijkl\nendstream"}},
		{"numbers of colours", "/ColorSpace [/Indexed /DeviceRGB 3 <000000FF000000FF000000FF>]", jpxShell(2, 2, 1, 2), "\x00\x55\xaa\xff", 1, []string{"\n\x00\x01\x02\x03\nendstream"}},
		{"without boxes", "/ColorSpace /DeviceGray", strings.SplitN(jpxShell(2, 2, 1, 8), "jp2c", 2)[1], "abcd", 1, []string{"\nabcd\nendstream"}},
		{"of another size than is said", "/ColorSpace /DeviceGray", jpxShell(1, 4, 1, 8), "abcd", 1, []string{"/Height 4", "/Width 1", "\nabcd\nendstream"}},
	} {
		w, h := 2, 2
		if strings.HasPrefix(c.name, "of another") {
			w, h = 1, 4
		}
		r, err := treatBy(picturePage("/Width 2 /Height 2 /BitsPerComponent 8 "+c.dict+" /Filter /JPXDecode", c.jpx), decodes(c.samples, w, h, c.n), nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		shown := unpack(t, r.out)
		for _, want := range append(c.want, "/BitsPerComponent 8") {
			if !strings.Contains(shown, want) {
				t.Errorf("%s: no %q in %q", c.name, want, shown)
			}
		}
		for _, not := range []string{"JPX", "/Decode ", "SMaskInData"} {
			if strings.Contains(shown, not) {
				t.Errorf("%s: %s is left", c.name, not)
			}
		}
		if again, err := treat(r.out, nil); err != nil || !bytes.Equal(again.out, r.out) {
			t.Errorf("%s: treated again: %v", c.name, err)
		}
	}
}

// TestJPEG2000ThatCannotBeHadIsLeftToThePages: the ladder draws them.
func TestJPEG2000ThatCannotBeHadIsLeftToThePages(t *testing.T) {
	failing := func(err error) func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error {
		return func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error { return err }
	}
	good, grey := decodes("abcd", 2, 2, 1), "/ColorSpace /DeviceGray"
	for _, c := range []struct {
		name, dict, jpx string
		tool            func(context.Context, sanitize.ToolCall, io.Reader, io.Writer) error
	}{
		{"a palette", grey, jpxShell(2, 2, 1, 8, jpxBox("pclr", "xx")), good},
		{"channels in another order", "/ColorSpace /DeviceRGB", jpxShell(2, 2, 3, 8, jpxBox("cdef", "\x00\x01\x00\x00\x00\x00\x00\x03")), good},
		{"five components", grey, jpxShell(2, 2, 5, 8), good},
		{"fewer than the document says", "/ColorSpace /DeviceRGB", jpxShell(2, 2, 1, 8), good},
		{"a cover that was multiplied", grey + " /SMaskInData 2", jpxShell(2, 2, 2, 8), decodes("abcdefgh", 2, 2, 2)},
		{"a stencil", "/ImageMask true", jpxShell(2, 2, 1, 8), good},
		{"more pixels than were announced", grey, jpxShell(2, 2, 1, 8), decodes("abcdef", 2, 3, 1)},
		{"pixels cut short", grey, jpxShell(2, 2, 1, 8), decodes("abc", 2, 2, 1)},
		{"it fails", grey, jpxShell(2, 2, 1, 8), failing(sanitize.ErrTool)},
		{"nobody is there", grey, jpxShell(2, 2, 1, 8), failing(sanitize.ErrNoTool)},
		{"asked often enough", grey, jpxShell(2, 2, 1, 8), failing(sanitize.ErrLimit)},
	} {
		r, err := treatBy(picturePage("/Width 2 /Height 2 /BitsPerComponent 8 "+c.dict+" /Filter /JPXDecode", c.jpx), c.tool, nil)
		if !errors.Is(err, sanitize.ErrUnsupported) || errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v, %d octets", c.name, err, len(r.out))
		}
	}
	// What is no picture at all is shown as none.
	if r, err := treatBy(picturePage("/Width 2 /Height 2 "+grey+" /Filter /JPXDecode", "none"), good, nil); err != nil || !r.has("pdf.picture") {
		t.Errorf("no picture: %v, %v", r.findings, err)
	}
}

// TestJPEG2000IsDrawnAsItWasNeedsTools has it made, decoded and drawn by
// programs.
func TestJPEG2000IsDrawnAsItWasNeedsTools(t *testing.T) {
	for _, p := range []string{"opj_compress", "opj_decompress", "pdftoppm"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
	dir := t.TempDir()
	run := func(name string, args ...string) []byte {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), name, args...).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out
	}
	tool := func(ctx context.Context, call sanitize.ToolCall, in io.Reader, out io.Writer) error {
		if call.Tool == sanitize.PDFLook {
			_, err := io.WriteString(out, "P5\n1 1\n255\nx")
			return err
		}
		b, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		stream, made := filepath.Join(dir, "in.j2k"), filepath.Join(dir, "out.pnm")
		if err := os.WriteFile(stream, b, 0o600); err != nil {
			return err
		}
		run("opj_decompress", "-quiet", "-upsample", "-p", "8S", "-i", stream, "-o", made)
		if b, err = os.ReadFile(made); err == nil {
			_, err = out.Write(b)
		}
		return err
	}
	draw := func(b []byte) []byte {
		name := filepath.Join(dir, "a.pdf")
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return run("pdftoppm", name)
	}
	for _, c := range []struct {
		name, head, space string
		n                 int
	}{{"a.pgm", "P5\n80 60\n255\n", "/DeviceGray", 1}, {"a.ppm", "P6\n80 60\n255\n", "/DeviceRGB", 3}} {
		picture := []byte(c.head)
		for i := range 80 * 60 * c.n {
			picture = append(picture, byte(i*i/97+i%7*20))
		}
		in, made := filepath.Join(dir, c.name), filepath.Join(dir, "a.jp2")
		if err := os.WriteFile(in, picture, 0o600); err != nil {
			t.Fatal(err)
		}
		run("opj_compress", "-i", in, "-o", made)
		jp2, err := os.ReadFile(made)
		if err != nil {
			t.Fatal(err)
		}
		doc := page("", "/MediaBox [0 0 80 60] /Contents 7 0 R /Resources << /XObject << /X 6 0 R >> >>",
			stream("/Subtype /Image /Width 80 /Height 60 /ColorSpace "+c.space+" /Filter /JPXDecode", string(jp2)), stream("", "80 0 0 60 0 0 cm /X Do"))
		r, err := treatBy(doc, tool, nil)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !bytes.Equal(draw(doc), draw(r.out)) {
			t.Errorf("%s: it is drawn otherwise", c.name)
		}
	}
}

// FuzzJPX reads what claims to be a picture and what a tool made of it.
func FuzzJPX(f *testing.F) {
	f.Add([]byte(jpxShell(2, 2, 1, 8, jpxColours(17))), []byte("P5\n2 2\n255\nabcd"))
	f.Add([]byte(jpxShell(2, 2, 3, 16, jpxColours(18))), []byte("P6\n2 2\n255\nabcdefghijkl"))
	f.Add([]byte(jpxShell(2, 2, 4, 8, jpxBox("cdef", "\x00\x01\x00\x00\x00\x00\x00\x03"))), []byte("P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\nENDHDR\nabcdefghijklmnop"))
	f.Fuzz(func(t *testing.T, jpx, made []byte) {
		r, err := treatBy(picturePage("/Width 2 /Height 2 /BitsPerComponent 8 /SMaskInData 1 /Filter /JPXDecode", string(jpx)),
			func(_ context.Context, call sanitize.ToolCall, _ io.Reader, out io.Writer) error {
				if call.Tool == sanitize.PDFLook {
					made = []byte("P5\n1 1\n255\nx")
				}
				_, err := out.Write(made)
				return err
			}, nil)
		if err != nil {
			return
		}
		must(t, r.out)
	})
}
