package image

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"sekisho/sanitize"
)

// heifSession is one whose tool is the program itself; its sandbox is tested
// where it is built.
func heifSession(t *testing.T, size int) *sanitize.Session {
	t.Helper()
	o := sanitize.Options{Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassImage: {Steps: []sanitize.Mode{sanitize.Rebuild}}}, Limits: sanitize.DefaultLimits()}
	detect := func(in sanitize.Object) (sanitize.Detection, error) {
		var head [2]byte
		if _, err := in.ReadAt(head[:], 0); err == nil && head == [2]byte{0xff, 0xd8} {
			return sanitize.Detection{Kind: sanitize.KindJPEG}, nil
		}
		return sanitize.Detection{Kind: sanitize.KindHEIC}, nil
	}
	s := sanitize.NewSession(&o, int64(size), detect, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindHEIC: HEIF{}, sanitize.KindJPEG: JPEG{}})
	dir := t.TempDir()
	s.Tools = func(ctx context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
		b, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		from, to := filepath.Join(dir, "in.heic"), filepath.Join(dir, "out.jpg")
		if err := os.WriteFile(from, b, 0o600); err != nil {
			return err
		}
		if said, err := exec.CommandContext(ctx, "heif-convert", "-q", "95", from, to).CombinedOutput(); err != nil {
			return errors.Join(sanitize.ErrTool, errors.New(string(said)))
		}
		b, err = os.ReadFile(to)
		if err != nil {
			return errors.Join(sanitize.ErrTool, err)
		}
		_, err = out.Write(b)
		return err
	}
	return s
}

func TestPhonesPicturesBecomeJPEG(t *testing.T) {
	for _, p := range []string{"heif-enc", "heif-convert"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: `make deps` installs it", p)
		}
	}
	src := scene(320, 200)
	dir := t.TempDir()
	png := filepath.Join(dir, "a.png")
	if err := os.WriteFile(png, encodePNG(src), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-q", "90"}, {"-A", "-q", "90"}} {
		to := filepath.Join(dir, "a.heif")
		if said, err := exec.Command("heif-enc", append(args, "-o", to, png)...).CombinedOutput(); err != nil {
			t.Fatalf("heif-enc %v: %v: %s", args, err, said)
		}
		b, err := os.ReadFile(to)
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		res, err := heifSession(t, len(b)).Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "2", Name: "a.heic"}, &out)
		if err != nil {
			t.Fatalf("%v: %v", args, err)
		}
		if res.Kind != sanitize.KindJPEG || res.Mode != sanitize.Convert {
			t.Errorf("%+v", res)
		}
		m, _, err := image.Decode(bytes.NewReader(out.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if d := psnr(t, src, m); d < 28 {
			t.Errorf("%v: %.1f dB", args, d)
		}
	}
}

func TestWhatTheConverterWritesIsNotBelieved(t *testing.T) {
	s := heifSession(t, 10)
	for what, written := range map[string]string{"no JPEG": "%PDF-1.7", "half a JPEG": "\xff\xd8\xff\xe0", "nothing": ""} {
		s.Tools = func(_ context.Context, _ sanitize.ToolCall, _ io.Reader, out io.Writer) error {
			_, err := io.WriteString(out, written)
			return err
		}
		var out bytes.Buffer
		if _, err := (HEIF{}).Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(make([]byte, 10)), Size: 10, Path: "2"}, &out); err == nil {
			t.Errorf("%s is taken", what)
		}
	}
}
