package image

import (
	"bytes"
	"context"
	"encoding/binary"
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
		if said, err := exec.CommandContext(ctx, "heif-convert", "-q", "90", from, to).CombinedOutput(); err != nil {
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

func TestAPhonesPictureIsTurnedOnce(t *testing.T) {
	for _, p := range []string{"heif-enc", "heif-convert"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: `make deps` installs it", p)
		}
	}
	dir := t.TempDir()
	src := filepath.Join(dir, "a.jpg")
	// The encoder takes over the Exif, and does not turn the picture by it; this
	// is how a file of a phone comes out of the converter.
	if err := os.WriteFile(src, withSegment(encodeJPEG(scene(320, 200), 90), 0xe1, exif(6)), 0o600); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(dir, "a.heic")
	if said, err := exec.Command("heif-enc", "-q", "90", "-o", to, src).CombinedOutput(); err != nil {
		t.Fatalf("heif-enc: %v: %s", err, said)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, []byte("Exif\x00\x00")) {
		t.Skip("this heif-enc takes over no Exif")
	}
	var out bytes.Buffer
	if _, err := heifSession(t, len(b)).Nested(t.Context(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "2", Name: "a.heic"}, &out); err != nil {
		t.Fatal(err)
	}
	said, err := exec.Command("heif-convert", to, filepath.Join(dir, "judge.png")).CombinedOutput()
	if err != nil {
		t.Fatalf("heif-convert: %v: %s", err, said)
	}
	f, err := os.Open(filepath.Join(dir, "judge.png"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	want, _, err := image.DecodeConfig(f)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := image.DecodeConfig(bytes.NewReader(out.Bytes()))
	if err != nil || got.Width != want.Width || got.Height != want.Height {
		t.Errorf("%d x %d arrives, the converter's pixels are %d x %d; %v", got.Width, got.Height, want.Width, want.Height, err)
	}
}

func TestExifOfAConvertedPictureSaysThatItStands(t *testing.T) {
	long := []byte("Exif\x00\x00MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x04\x00\x00\x00\x01\x00\x00\x00\x06\x00\x00\x00\x00")
	for name, segment := range map[string][]byte{"SHORT": exif(6), "LONG": long} {
		b := withSegment(encodeJPEG(scene(16, 8), 90), 0xe1, segment)
		if j, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}); err != nil || j.orientation != 6 {
			t.Fatalf("%s: %v", name, err)
		}
		upright(b)
		if j, err := walkJPEG(sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}); err != nil || j.orientation != 1 {
			t.Errorf("%s: still turned by %d, %v", name, j.orientation, err)
		}
	}
}

// isoBox is a box of the ISO base media format.
func isoBox(kind, body string) string {
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)+8))) + kind + body
}

func TestOnlyTheMainPictureIsConverted(t *testing.T) {
	infe := func(id byte, kind string) string {
		return isoBox("infe", "\x02\x00\x00\x00\x00"+string(id)+"\x00\x00"+kind+"\x00")
	}
	file := func(items, iref string) []byte {
		return []byte(isoBox("ftyp", "heic\x00\x00\x00\x00mif1") + isoBox("meta", "\x00\x00\x00\x00"+isoBox("pitm", "\x00\x00\x00\x00\x00\x02")+isoBox("iinf", "\x00\x00\x00\x00\x00\x03"+items)+iref))
	}
	thumb := isoBox("iref", "\x00\x00\x00\x00"+isoBox("thmb", "\x00\x01\x00\x01\x00\x02"))
	for name, c := range map[string]struct {
		file []byte
		more bool
		kept string // ids that are not hidden
	}{
		"two pictures":      {file(infe(1, "hvc1")+infe(2, "hvc1")+infe(3, "Exif"), ""), true, "23"},
		"and its thumbnail": {file(infe(1, "hvc1")+infe(2, "hvc1"), thumb), false, "2"},
		"one":               {file(infe(2, "hvc1"), ""), false, "2"},
		"no such file":      {[]byte("\x00\x00\x00\x10ftypheic\x00\x00\x00\x00"), false, ""},
	} {
		b := bytes.Clone(c.file)
		if more := onePicture(b); more != c.more {
			t.Errorf("%s: more %v", name, more)
		}
		kept := ""
		for _, id := range []byte{1, 2, 3} {
			if bytes.Contains(b, []byte("infe\x02\x00\x00\x00\x00"+string(id))) {
				kept += string('0' + id)
			}
		}
		if kept != c.kept {
			t.Errorf("%s: %s to see, want %s", name, kept, c.kept)
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
