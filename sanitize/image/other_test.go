package image

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"image"
	"image/color"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// treated has one sanitizer treat a file whose kind is certain.
func treated(t testing.TB, k sanitize.Kind, by sanitize.Sanitizer, b []byte, tools func(c sanitize.ToolCall, in []byte) ([]byte, error)) (image.Image, sanitize.Kind, []sanitize.Finding, error) {
	t.Helper()
	o := sanitize.Options{Rules: map[sanitize.Class]sanitize.Rule{sanitize.ClassImage: {Steps: []sanitize.Mode{sanitize.Rebuild}}}, Limits: sanitize.DefaultLimits()}
	detect := func(in sanitize.Object) (sanitize.Detection, error) {
		var head [8]byte
		if _, err := in.ReadAt(head[:], 0); err == nil && string(head[:]) == pngMagic {
			return sanitize.Detection{Kind: sanitize.KindPNG}, nil
		}
		return sanitize.Detection{Kind: k}, nil
	}
	s := sanitize.NewSession(&o, int64(len(b)), detect, map[sanitize.Kind]sanitize.Sanitizer{k: by, sanitize.KindPNG: PNG{}})
	s.Tools = func(_ context.Context, c sanitize.ToolCall, in io.Reader, out io.Writer) error {
		given, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		if int64(len(given)) != c.Size {
			t.Errorf("%d octets for the tool, said to be %d", len(given), c.Size)
		}
		made, err := tools(c, given)
		if err != nil {
			return errors.Join(sanitize.ErrTool, err)
		}
		_, err = out.Write(made)
		return err
	}
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "2"}, &out)
	if err != nil {
		return nil, "", nil, err
	}
	m, _, err := image.Decode(bytes.NewReader(out.Bytes()))
	if err != nil {
		t.Fatalf("the output: %v", err)
	}
	return m, res.Kind, s.Parts()[0].Findings, nil
}

func noTools(sanitize.ToolCall, []byte) ([]byte, error) { return nil, errors.New("there is none") }

// bit writes numbers, little-endian, behind one another.
func bit(vs ...any) []byte {
	var b bytes.Buffer
	for _, v := range vs {
		switch v := v.(type) {
		case []byte:
			b.Write(v)
		case string:
			b.WriteString(v)
		default:
			if err := binary.Write(&b, binary.LittleEndian, v); err != nil {
				panic(err)
			}
		}
	}
	return b.Bytes()
}

// iconOf puts pictures into an icon.
func iconOf(pictures ...[]byte) []byte {
	head, at := bit(uint16(0), uint16(1), uint16(len(pictures))), 6+16*len(pictures)
	var body []byte
	for i, p := range pictures {
		head = append(head, bit(uint8(16*(i+1)), uint8(16*(i+1)), uint16(0), uint16(1), uint16(32), uint32(len(p)), uint32(at+len(body)))...)
		body = append(body, p...)
	}
	return append(head, body...)
}

// dib is a bitmap of 2 x 2 pixels as icons hold it: rows from below, then the
// mask.
func dib(bits int, palette, rows, mask []byte) []byte {
	return bit(uint32(40), int32(2), int32(4), uint16(1), uint16(bits), uint32(0), uint32(0), int32(0), int32(0), uint32(len(palette)/4), uint32(0), palette, rows, mask)
}

func TestTheLargestPictureOfAnIconArrives(t *testing.T) {
	red, green, blue, none := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.NRGBA{}
	mask := []byte{0x40, 0, 0, 0, 0, 0, 0, 0} // the right lower one shows what is behind
	for name, c := range map[string]struct {
		b    []byte
		want [4]color.NRGBA // rows from above
	}{
		"24 bits":               {dib(24, nil, []byte{255, 0, 0, 9, 9, 9, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0}, mask), [4]color.NRGBA{red, green, blue, none}},
		"32 bits with cover":    {dib(32, nil, []byte{255, 0, 0, 255, 0, 255, 0, 128, 0, 0, 255, 255, 0, 255, 0, 255}, mask), [4]color.NRGBA{red, green, blue, {0, 255, 0, 128}}},
		"32 bits without cover": {dib(32, nil, []byte{255, 0, 0, 0, 0, 255, 0, 0, 0, 0, 255, 0, 0, 255, 0, 0}, mask), [4]color.NRGBA{red, green, blue, none}},
		"4 bits":                {dib(4, []byte{0, 0, 255, 0, 0, 255, 0, 0, 255, 0, 0, 0}, []byte{0x21, 0, 0, 0, 0x01, 0, 0, 0}, mask), [4]color.NRGBA{red, green, blue, none}},
		"1 bit, mask cut off":   {dib(1, []byte{0, 0, 255, 0, 0, 255, 0, 0}, []byte{0x80, 0, 0, 0, 0x40, 0, 0, 0}, nil), [4]color.NRGBA{red, green, green, red}},
	} {
		small := dib(24, nil, make([]byte, 16), nil)
		m, kind, _, err := treated(t, sanitize.KindICO, Icon{}, iconOf(small, c.b), noTools)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			got := color.NRGBAModel.Convert(m.At(i%2, i/2)).(color.NRGBA)
			if got != want && (got.A != 0 || want.A != 0) {
				t.Errorf("%s: pixel %d is %v, want %v", name, i, got, want)
			}
		}
		if kind != sanitize.KindPNG {
			t.Errorf("%s: %s", name, kind)
		}
	}
	m, _, _, err := treated(t, sanitize.KindICO, Icon{}, iconOf(encodePNG(scene(20, 10))), noTools)
	if err != nil || m.Bounds().Dx() != 20 || psnr(t, scene(20, 10), m) < 90 {
		t.Errorf("a PNG in an icon: %v", err)
	}
}

// psdOf writes a picture of Photoshop of 2 rows of 3 pixels; planes are its
// channels.
func psdOf(mode, depth int, packed, merged bool, palette []byte, planes ...[]byte) []byte {
	be := binary.BigEndian
	b := append([]byte("8BPS\x00\x01\x00\x00\x00\x00\x00\x00"), be.AppendUint16(nil, uint16(len(planes)))...)
	b = append(b, 0, 0, 0, 2, 0, 0, 0, 3, 0, byte(depth), 0, byte(mode))
	b = append(be.AppendUint32(b, uint32(len(palette))), palette...)
	version := []byte("8BIM\x04\x21\x00\x00\x00\x00\x00\x05\x00\x00\x00\x01\x01\x00")
	if !merged {
		version[16] = 0
	}
	b = append(be.AppendUint32(b, uint32(len(version))), version...)
	b = be.AppendUint32(b, 4)
	b = append(b, "lay!"...)
	if !packed {
		b = append(b, 0, 0)
		for _, p := range planes {
			b = append(b, p...)
		}
		return b
	}
	b = append(b, 0, 1)
	var rows []byte
	for _, p := range planes {
		for ; len(p) > 0; p = p[3*depth/8:] {
			row := append([]byte{byte(3*depth/8 - 1)}, p[:3*depth/8]...)
			b = be.AppendUint16(b, uint16(len(row)))
			rows = append(rows, row...)
		}
	}
	return append(b, rows...)
}

func TestTheMergedPictureOfPhotoshopArrives(t *testing.T) {
	r, g, b := []byte{255, 0, 0, 10, 20, 30}, []byte{0, 255, 0, 10, 20, 30}, []byte{0, 0, 255, 10, 20, 30}
	rgb := [6]color.NRGBA{{255, 0, 0, 255}, {0, 255, 0, 255}, {0, 0, 255, 255}, {10, 10, 10, 255}, {20, 20, 20, 255}, {30, 30, 30, 255}}
	grey := [6]color.NRGBA{{255, 255, 255, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}, {10, 10, 10, 255}, {20, 20, 20, 255}, {30, 30, 30, 255}}
	wide := func(p []byte) (w []byte) {
		for _, v := range p {
			w = append(w, v, 99)
		}
		return w
	}
	not := func(p []byte) (w []byte) {
		for _, v := range p {
			w = append(w, ^v)
		}
		return w
	}
	palette := make([]byte, 768)
	palette[255], palette[256], palette[512+10] = 200, 7, 100
	for name, c := range map[string]struct {
		file []byte
		want [6]color.NRGBA
	}{
		"RGB":          {psdOf(psdRGB, 8, false, true, nil, r, g, b), rgb},
		"RGB packed":   {psdOf(psdRGB, 8, true, true, nil, r, g, b), rgb},
		"RGB 16":       {psdOf(psdRGB, 16, true, true, nil, wide(r), wide(g), wide(b)), rgb},
		"with a cover": {psdOf(psdRGB, 8, false, true, nil, r, g, b, make([]byte, 6)), rgb},
		"grey":         {psdOf(psdGrey, 8, false, true, nil, r), grey},
		"CMYK":         {psdOf(psdCMYK, 8, false, true, nil, r, g, b, not(make([]byte, 6))), rgb},
		"indexed":      {psdOf(psdIndexed, 8, false, true, palette, r), [6]color.NRGBA{{200, 0, 0, 255}, {0, 7, 0, 255}, {0, 7, 0, 255}, {0, 0, 100, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}}},
		"bitmap":       {psdOf(psdBitmap, 1, false, true, nil, []byte{0x60, 0x40}), [6]color.NRGBA{{255, 255, 255, 255}, {0, 0, 0, 255}, {0, 0, 0, 255}, {255, 255, 255, 255}, {0, 0, 0, 255}, {255, 255, 255, 255}}},
		"Lab":          {psdOf(psdLab, 8, false, true, nil, []byte{255, 0, 255, 0, 255, 0}, bytes.Repeat([]byte{128}, 6), bytes.Repeat([]byte{128}, 6)), [6]color.NRGBA{{255, 255, 255, 255}, {0, 0, 0, 255}, {255, 255, 255, 255}, {0, 0, 0, 255}, {255, 255, 255, 255}, {0, 0, 0, 255}}},
	} {
		m, _, _, err := treated(t, sanitize.KindPSD, PSD{}, c.file, noTools)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			got := color.NRGBAModel.Convert(m.At(i%3, i/3)).(color.NRGBA)
			if distance(got.R, want.R) > 1 || distance(got.G, want.G) > 1 || distance(got.B, want.B) > 1 || got.A != 255 {
				t.Errorf("%s: pixel %d is %v, want %v", name, i, got, want)
			}
		}
		if name == "with a cover" { // which nobody reads
			continue
		}
		if _, _, _, err := treated(t, sanitize.KindPSD, PSD{}, c.file[:len(c.file)-1], noTools); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s cut short: %v", name, err)
		}
	}
	if _, _, _, err := treated(t, sanitize.KindPSD, PSD{}, psdOf(psdRGB, 8, false, false, nil, r, g, b), noTools); !errors.Is(err, sanitize.ErrUnsupported) {
		t.Errorf("without a merged picture: %v", err)
	}
}

// dicomOf writes a file with these elements behind its meta information.
func dicomOf(syntax string, elements ...[]byte) []byte {
	if len(syntax)%2 == 1 {
		syntax += "\x00"
	}
	b := append(make([]byte, 128), "DICM"...)
	b = append(b, bit(uint16(2), uint16(0x10), "UI", uint16(len(syntax)), syntax)...)
	return append(b, bytes.Join(elements, nil)...)
}

func short(group, element uint16, v uint16) []byte {
	return bit(group, element, "US", uint16(2), v)
}

func words(group, element uint16, vr, v string) []byte {
	if len(v)%2 == 1 {
		v += " "
	}
	return bit(group, element, vr, uint16(len(v)), v)
}

func pixelData(b []byte) []byte {
	return bit(uint16(0x7fe0), uint16(0x10), "OW\x00\x00", uint32(len(b)), b)
}

func TestAMedicalPictureArrivesWithoutItsPatient(t *testing.T) {
	patient := words(0x10, 0x10, "PN", "YAMADA^TARO")
	sequence := bit(uint16(8), uint16(0x1140), "SQ\x00\x00", uint32(endless), uint16(0xfffe), uint16(0xe000), uint32(endless),
		words(8, 0x1150, "UI", "1.2"), uint16(0xfffe), uint16(0xe00d), uint32(0), uint16(0xfffe), uint16(0xe0dd), uint32(0))
	size := bytes.Join([][]byte{sequence, patient, short(0x28, 2, 1), words(0x28, 4, "CS", "MONOCHROME2"), short(0x28, 0x10, 1), short(0x28, 0x11, 4), short(0x28, 0x100, 16), short(0x28, 0x101, 12), short(0x28, 0x103, 0)}, nil)
	// CT: -1000 is air, 0 water; the window shows 0 to 200.
	window := bytes.Join([][]byte{words(0x28, 0x1050, "DS", "100.5"), words(0x28, 0x1051, "DS", "201"), words(0x28, 0x1052, "DS", "-1000"), words(0x28, 0x1053, "DS", "1")}, nil)
	samples := bit(uint16(0), uint16(1000), uint16(1100), uint16(1300))
	colour := bytes.Join([][]byte{short(0x28, 2, 3), words(0x28, 4, "CS", "RGB"), short(0x28, 6, 0), short(0x28, 0x10, 1), short(0x28, 0x11, 2), short(0x28, 0x100, 8), short(0x28, 0x101, 8)}, nil)
	rle := bit(uint32(2), uint32(64), uint32(67), make([]byte, 64-12), []byte{1, 0, 3, 0xff, 4, 1, 4, 20, 0, 1, 0xe8, 0x4c, 0x14})
	copy(rle[64:], []byte{3, 0, 3, 4, 5})
	binary.LittleEndian.PutUint32(rle[8:], 69)
	rle = append(rle[:69], 3, 0, 0xe8, 0x4c, 0x14)
	item := func(b []byte) []byte { return bit(uint16(0xfffe), uint16(0xe000), uint32(len(b)), b) }
	for name, c := range map[string]struct {
		file []byte
		want []color.NRGBA
	}{
		"window":    {dicomOf(dicomExplicit, size, window, pixelData(samples)), []color.NRGBA{{0, 0, 0, 255}, {0, 0, 0, 255}, {127, 127, 127, 255}, {255, 255, 255, 255}}},
		"no window": {dicomOf(dicomExplicit, size, pixelData(bit(uint16(0), uint16(100), uint16(200), uint16(50)))), []color.NRGBA{{0, 0, 0, 255}, {127, 127, 127, 255}, {255, 255, 255, 255}, {64, 64, 64, 255}}},
		"colour":    {dicomOf(dicomExplicit, colour, pixelData([]byte{1, 2, 3, 250, 251, 252})), []color.NRGBA{{1, 2, 3, 255}, {250, 251, 252, 255}}},
		"run lengths": {dicomOf(dicomRLE, size, window, bit(uint16(0x7fe0), uint16(0x10), "OB\x00\x00", uint32(endless)), item(nil), item(rle)),
			[]color.NRGBA{{0, 0, 0, 255}, {0, 0, 0, 255}, {127, 127, 127, 255}, {255, 255, 255, 255}}},
	} {
		m, kind, found, err := treated(t, sanitize.KindDICOM, DICOM{}, c.file, noTools)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for i, want := range c.want {
			got := color.NRGBAModel.Convert(m.At(i, 0)).(color.NRGBA)
			if distance(got.R, want.R) > 1 || distance(got.G, want.G) > 1 || distance(got.B, want.B) > 1 {
				t.Errorf("%s: pixel %d is %v, want %v", name, i, got, want)
			}
		}
		if kind != sanitize.KindPNG || len(found) != 1 || found[0].Rule != "image.metadata" {
			t.Errorf("%s: %s, found %v", name, kind, found)
		}
	}
	photo := encodeJPEG(scene(40, 30), 90)
	sized := bytes.Join([][]byte{short(0x28, 2, 3), words(0x28, 4, "CS", "YBR_FULL_422"), short(0x28, 0x10, 30), short(0x28, 0x11, 40), short(0x28, 0x100, 8), short(0x28, 0x101, 8)}, nil)
	m, _, _, err := treated(t, sanitize.KindDICOM, DICOM{}, dicomOf(dicomJPEG, sized, bit(uint16(0x7fe0), uint16(0x10), "OB\x00\x00", uint32(endless)), item(nil), item(photo[:100]), item(photo[100:]), bit(uint16(0xfffe), uint16(0xe0dd), uint32(0))), noTools)
	if err != nil || psnr(t, scene(40, 30), m) < 28 {
		t.Errorf("JPEG: %v", err)
	}
	for name, b := range map[string][]byte{
		"another size than its JPEG": dicomOf(dicomJPEG, colour, bit(uint16(0x7fe0), uint16(0x10), "OB\x00\x00", uint32(endless)), item(nil), item(photo)),
		"JPEG 2000":                  dicomOf("1.2.840.10008.1.2.4.90", size, pixelData(samples)),
		"no pixels":                  dicomOf(dicomExplicit, size),
		"sequences without end":      dicomOf(dicomExplicit, bytes.Repeat(bit(uint16(8), uint16(0x1140), "SQ\x00\x00", uint32(endless)), 1000)),
		"pixels cut short":           dicomOf(dicomExplicit, size, pixelData(samples[:6])),
	} {
		if _, _, _, err := treated(t, sanitize.KindDICOM, DICOM{}, b, noTools); !errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, sanitize.ErrUnsupported) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// installed runs a program of this machine on a file and returns the file it
// leaves; its sandbox is tested where it is built.
func installed(t testing.TB, in, out string, args ...string) func([]byte) ([]byte, error) {
	if _, err := exec.LookPath(args[0]); err != nil {
		t.Skipf("%s is not installed: `make deps` installs it", args[0])
	}
	return func(b []byte) ([]byte, error) {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, in), b, 0o600); err != nil {
			return nil, err
		}
		cmd := exec.Command(args[0], args[1:]...)
		cmd.Dir = dir
		if said, err := cmd.CombinedOutput(); err != nil {
			return nil, errors.New(string(said))
		}
		return os.ReadFile(filepath.Join(dir, out))
	}
}

func TestJPEG2000ArrivesNeedsTools(t *testing.T) {
	open := installed(t, "in.j2k", "out.pnm", "opj_decompress", "-quiet", "-upsample", "-p", "8S", "-i", "in.j2k", "-o", "out.pnm")
	tools := func(c sanitize.ToolCall, in []byte) ([]byte, error) {
		if c.Tool != sanitize.JP2Pixels {
			t.Errorf("asks for %s", c.Tool)
		}
		if !bytes.HasPrefix(in, []byte{0xff, 0x4f, 0xff, 0x51}) {
			t.Errorf("the tool is given %x", in[:8])
		}
		return open(in)
	}
	for _, ext := range []string{"jp2", "j2k"} {
		b, err := installed(t, "in.png", "out."+ext, "opj_compress", "-i", "in.png", "-o", "out."+ext)(encodePNG(scene(64, 48)))
		if err != nil {
			t.Fatal(err)
		}
		m, kind, _, err := treated(t, sanitize.KindJP2, JP2{}, b, tools)
		if err != nil || kind != sanitize.KindPNG || psnr(t, scene(64, 48), m) < 90 {
			t.Errorf("%s: %s, %v", ext, kind, err)
		}
		// What comes back is of the size that was charged, or nothing.
		for what, made := range map[string]string{"larger": "P6\n65 48\n255\n" + strings.Repeat("x", 65*48*3), "cut short": "P6\n64 48\n255\nxx", "a script": "<script>", "nothing": ""} {
			lie := func(sanitize.ToolCall, []byte) ([]byte, error) { return []byte(made), nil }
			if _, _, _, err := treated(t, sanitize.KindJP2, JP2{}, b, lie); !errors.Is(err, sanitize.ErrTool) {
				t.Errorf("%s, %s: %v", ext, what, err)
			}
		}
		binary.BigEndian.PutUint32(b[bytes.Index(b, []byte{0xff, 0x4f, 0xff, 0x51})+8:], 1<<20)
		binary.BigEndian.PutUint32(b[bytes.Index(b, []byte{0xff, 0x4f, 0xff, 0x51})+12:], 1<<20)
		never := func(sanitize.ToolCall, []byte) ([]byte, error) {
			t.Error("a tool is asked for a picture that nobody may decode")
			return nil, errors.New("no")
		}
		if _, _, _, err := treated(t, sanitize.KindJP2, JP2{}, b, never); !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s of a million by a million: %v", ext, err)
		}
	}
}

const smallEPS = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 10 20 58 44\n1 0 0 setrgbcolor 10 20 48 24 rectfill\n0 0 1 setrgbcolor 10 20 24 24 rectfill\n"

func TestEPSArrivesNeedsTools(t *testing.T) {
	draw := installed(t, "in.eps", "out.ppm", "gs", "-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dEPSCrop", "-r150", "-sDEVICE=ppmraw", "-sOutputFile=out.ppm", "in.eps")
	tools := func(c sanitize.ToolCall, in []byte) ([]byte, error) {
		if c.Tool != sanitize.EPSPixels || c.DPI != 150 {
			t.Errorf("asks for %s at %d", c.Tool, c.DPI)
		}
		return draw(in)
	}
	dos := bit([]byte{0xc5, 0xd0, 0xd3, 0xc6}, uint32(32), uint32(len(smallEPS)), make([]byte, 20), smallEPS, "II*\x00 a preview")
	for name, b := range map[string][]byte{"plain": []byte(smallEPS), "in one of DOS": dos} {
		m, _, _, err := treated(t, sanitize.KindEPS, EPS{}, b, tools)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if m.Bounds().Dx() != 100 || m.Bounds().Dy() != 50 || color.NRGBAModel.Convert(m.At(10, 10)) != (color.NRGBA{0, 0, 255, 255}) || color.NRGBAModel.Convert(m.At(90, 10)) != (color.NRGBA{255, 0, 0, 255}) {
			t.Errorf("%s: %v, %v %v", name, m.Bounds(), m.At(10, 10), m.At(90, 10))
		}
	}
	for name, b := range map[string]string{
		"no box":           "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: (atend)\nshowpage\n",
		"a box of nothing": "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 0 0\nshowpage\n",
		"an endless box":   "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 900000 900000\nshowpage\n",
		"numbers":          "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: NaN 0 1 Inf\nshowpage\n",
	} {
		if _, _, _, err := treated(t, sanitize.KindEPS, EPS{}, []byte(b), func(sanitize.ToolCall, []byte) ([]byte, error) {
			t.Errorf("%s: it is drawn", name)
			return nil, errors.New("no")
		}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestAPhotographOfAnotherFormatBecomesJPEG(t *testing.T) {
	noise, r := make([][]byte, 3), rand.New(rand.NewPCG(1, 2))
	for c := range noise {
		noise[c] = make([]byte, 800*600)
		for i := range noise[c] {
			noise[c][i] = byte(r.Uint32())
		}
	}
	b := psdOf(psdRGB, 8, false, true, nil, noise...)
	binary.BigEndian.PutUint32(b[14:], 600)
	binary.BigEndian.PutUint32(b[18:], 800)
	m, kind, _, err := treated(t, sanitize.KindPSD, PSD{}, b, noTools)
	if err != nil || kind != sanitize.KindJPEG || m.Bounds().Dx() != 800 {
		t.Errorf("%s, %v", kind, err)
	}
}

func fuzzOther(f *testing.F, k sanitize.Kind, by sanitize.Sanitizer) {
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 1<<16 {
			t.Skip()
		}
		// What comes out can be decoded: treated sees to that.
		_, _, _, _ = treated(t, k, by, b, func(sanitize.ToolCall, []byte) ([]byte, error) { return b[:len(b)/2], nil })
	})
}

func FuzzIcon(f *testing.F) {
	f.Add(iconOf(dib(4, make([]byte, 12), make([]byte, 8), make([]byte, 8)), encodePNG(scene(9, 9))))
	fuzzOther(f, sanitize.KindICO, Icon{})
}

func FuzzPSD(f *testing.F) {
	f.Add(psdOf(psdRGB, 8, true, true, nil, make([]byte, 6), make([]byte, 6), make([]byte, 6)))
	f.Add(psdOf(psdIndexed, 8, false, true, make([]byte, 768), make([]byte, 6)))
	fuzzOther(f, sanitize.KindPSD, PSD{})
}

func FuzzDICOM(f *testing.F) {
	f.Add(dicomOf(dicomExplicit, short(0x28, 0x10, 1), short(0x28, 0x11, 4), short(0x28, 0x100, 8), short(0x28, 0x101, 8), words(0x28, 4, "CS", "MONOCHROME1"), pixelData(make([]byte, 4))))
	fuzzOther(f, sanitize.KindDICOM, DICOM{})
}

func FuzzJP2(f *testing.F) {
	siz := bit([]byte{0xff, 0x4f, 0xff, 0x51, 0, 41, 0, 0, 0, 0, 0, 2, 0, 0, 0, 2}, make([]byte, 24), []byte{0, 3})
	f.Add(append(siz, "P6\n2 2\n255\n"...))
	fuzzOther(f, sanitize.KindJP2, JP2{})
}

func TestJPEGXLArrivesNeedsTools(t *testing.T) {
	open := installed(t, "in.jxl", "out.png", "djxl", "in.jxl", "out.png", "--quiet", "--num_threads=1")
	tools := func(c sanitize.ToolCall, in []byte) ([]byte, error) {
		if c.Tool != sanitize.JXLPNG {
			t.Errorf("asks for %s", c.Tool)
		}
		if !bytes.HasPrefix(in, []byte{0xff, 0x0a}) {
			t.Errorf("the tool is given %x", in[:8])
		}
		return open(in)
	}
	never := func(sanitize.ToolCall, []byte) ([]byte, error) {
		t.Error("a tool is asked for a picture that nobody may decode")
		return nil, errors.New("no")
	}
	sheer := scene(64, 48)
	for i := 3; i < len(sheer.Pix); i += 4 {
		sheer.Pix[i] = byte(i)
	}
	deep := image.NewNRGBA64(image.Rect(0, 0, 301, 7))
	for i := range deep.Pix {
		deep.Pix[i] = 0xff // of the cover: djxl gives up where it has fewer bits than the colours
		if i%8 < 6 {
			deep.Pix[i] = byte(i)
		}
	}
	for name, c := range map[string]struct {
		from  []byte
		flags []string
		want  image.Image
		least float64
	}{
		"without loss": {encodePNG(scene(64, 48)), []string{"-d", "0"}, scene(64, 48), 99}, "with": {encodePNG(scene(64, 48)), []string{"-d", "1"}, scene(64, 48), 28},
		"in boxes": {encodePNG(scene(40, 300)), []string{"-d", "0", "--container=1"}, scene(40, 300), 99}, "sixteen bits": {encodePNG(deep), []string{"-d", "0"}, deep, 90},
		"with a cover": {encodePNG(sheer), []string{"-d", "0"}, sheer, 60},
	} {
		b, err := installed(t, "in.png", "out.jxl", append([]string{"cjxl", "in.png", "out.jxl"}, c.flags...)...)(c.from)
		if err != nil {
			t.Fatal(err)
		}
		m, kind, _, err := treated(t, sanitize.KindJXL, JXL{}, b, tools)
		if err != nil || kind != sanitize.KindPNG {
			t.Errorf("%s: %s, %v", name, kind, err)
			continue
		}
		if p := psnr(t, c.want, m); p < c.least {
			t.Errorf("%s: %.1f dB", name, p)
		}
		for what, made := range map[string][]byte{"larger": encodePNG(scene(65, 48)), "cut short": encodePNG(c.want)[:99], "a script": []byte("<script>"), "nothing": nil} {
			lie := func(sanitize.ToolCall, []byte) ([]byte, error) { return made, nil }
			if _, _, _, err := treated(t, sanitize.KindJXL, JXL{}, b, lie); !errors.Is(err, sanitize.ErrTool) {
				t.Errorf("%s, %s: %v", name, what, err)
			}
		}
	}
	// A JPEG that was packed anew keeps its pixels, and what stood beside them goes.
	photo := withSegment(encodeJPEG(scene(64, 48), 95), 0xe1, exif(6))
	b, err := installed(t, "in.jpg", "out.jxl", "cjxl", "in.jpg", "out.jxl")(photo)
	if err != nil {
		t.Fatal(err)
	}
	m, _, found, err := treated(t, sanitize.KindJXL, JXL{}, b, tools)
	if err != nil || m.Bounds().Dx() != 48 && m.Bounds().Dx() != 64 || len(found) == 0 {
		t.Errorf("a JPEG within: %v, %v", found, err)
	}
	// A million by a million.
	vast := append([]byte{0xff, 0x0a}, bit(uint64(0)|3<<1|uint64(1<<20-1)<<3|3<<36|uint64(1<<20-1)<<38, uint64(0))...)
	if _, _, _, err := treated(t, sanitize.KindJXL, JXL{}, vast, never); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("a million by a million: %v", err)
	}
	for what, b := range map[string][]byte{
		"no code stream": append([]byte("\x00\x00\x00\x0cJXL \r\n\x87\n"), "\x00\x00\x00\x09abcdx"...), "pieces out of order": append([]byte("\x00\x00\x00\x0cJXL \r\n\x87\n"), "\x00\x00\x00\x0ejxlp\x80\x00\x00\x01\xff\x0a"...),
		"a box of too much": append([]byte("\x00\x00\x00\x0cJXL \r\n\x87\n"), "\x00\x00\x00\xffjxlc"...), "two octets": {0xff, 0x0a},
	} {
		if _, _, _, err := treated(t, sanitize.KindJXL, JXL{}, b, never); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

func FuzzJXL(f *testing.F) {
	f.Add([]byte("\xff\x0a\xa8\x34\x90\x50\x5c\x08\x00\x12\x88\x02"))
	f.Add([]byte("\x00\x00\x00\x0cJXL \r\n\x87\n\x00\x00\x00\x18jxlp\x80\x00\x00\x00\xff\x0a\xa8\x34\x90\x50\x5c\x08\x00\x12\x88\x02"))
	fuzzOther(f, sanitize.KindJXL, JXL{})
}
