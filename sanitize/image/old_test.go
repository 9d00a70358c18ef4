package image

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/color"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// nrgba is the pixel of a picture as it shows.
func nrgba(m image.Image, x, y int) color.NRGBA {
	return color.NRGBAModel.Convert(m.At(m.Bounds().Min.X+x, m.Bounds().Min.Y+y)).(color.NRGBA)
}

// pcxOf puts rows of planes into a PCX of version 5, packed in runs, which go on
// over the ends of rows.
func pcxOf(bits, planes, width, height, line int, palette []byte, rows ...[]byte) []byte {
	head := make([]byte, 128)
	copy(head, bit(uint8(10), uint8(5), uint8(1), uint8(bits), uint16(3), uint16(4), uint16(3+width-1), uint16(4+height-1), uint16(72), uint16(72)))
	if bits < 8 {
		copy(head[16:64], palette)
	}
	head[65] = byte(planes)
	copy(head[66:], bit(uint16(line), uint16(1)))
	b := head
	all := bytes.Join(rows, nil)
	for len(all) > 0 {
		n := 1
		for n < len(all) && n < 63 && all[n] == all[0] {
			n++
		}
		if n > 1 || all[0] >= 0xc0 {
			b = append(b, 0xc0|byte(n))
		}
		b = append(b, all[0])
		all = all[n:]
	}
	if bits == 8 && planes == 1 && palette != nil {
		b = append(append(b, 12), palette...)
	}
	return b
}

// tgaOf puts pixels into a TGA.
func tgaOf(kind, bits, flags, width, height int, palette []byte, entry int, pixels ...[]byte) []byte {
	has, n := 0, 0
	if palette != nil {
		has, n = 1, len(palette)/((entry+7)/8)
	}
	return bit(uint8(3), uint8(has), uint8(kind), uint16(0), uint16(n), uint8(entry), uint16(7), uint16(9), uint16(width), uint16(height), uint8(bits), uint8(flags),
		"me!", palette, bytes.Join(pixels, nil))
}

func TestPCXOfEveryKindLooksTheSame(t *testing.T) {
	red, green, blue, white, black := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}, color.NRGBA{0, 0, 0, 255}
	few := []byte{0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0, 255, 255, 255, 255}
	many := make([]byte, 768)
	copy(many, few)
	for name, c := range map[string]struct {
		file []byte
		want [2][2]color.NRGBA // upper row, lower row
	}{
		"one bit":                 {pcxOf(1, 1, 2, 2, 2, []byte{0, 0, 0, 255, 255, 255}, []byte{0x40, 0}, []byte{0x80, 0}), [2][2]color.NRGBA{{black, white}, {white, black}}},
		"one bit, no palette":     {pcxOf(1, 1, 2, 2, 2, nil, []byte{0x40, 0}, []byte{0x80, 0}), [2][2]color.NRGBA{{black, white}, {white, black}}},
		"one bit, two colours":    {pcxOf(1, 1, 2, 2, 2, []byte{255, 0, 0, 0, 0, 255}, []byte{0x40, 0}, []byte{0x80, 0}), [2][2]color.NRGBA{{red, blue}, {blue, red}}},
		"three planes of one bit": {pcxOf(1, 3, 2, 2, 2, few, []byte{0x80, 0, 0x40, 0, 0, 0}, []byte{0x80, 0, 0x80, 0, 0x40, 0}), [2][2]color.NRGBA{{red, green}, {blue, white}}},
		"two bits":                {pcxOf(2, 1, 2, 2, 2, few, []byte{0x60, 0}, []byte{0xc0, 0}), [2][2]color.NRGBA{{red, green}, {blue, black}}},
		"four bits":               {pcxOf(4, 1, 2, 2, 2, few, []byte{0x12, 0}, []byte{0x34, 0}), [2][2]color.NRGBA{{red, green}, {blue, white}}},
		"palette":                 {pcxOf(8, 1, 2, 2, 2, many, []byte{1, 2}, []byte{3, 4}), [2][2]color.NRGBA{{red, green}, {blue, white}}},
		"greys":                   {pcxOf(8, 1, 2, 2, 2, nil, []byte{0, 255}, []byte{255, 0}), [2][2]color.NRGBA{{black, white}, {white, black}}},
		"colours":                 {pcxOf(8, 3, 2, 2, 4, nil, []byte{255, 0, 9, 9, 0, 255, 9, 9, 0, 0, 9, 9}, []byte{0, 255, 9, 9, 0, 255, 9, 9, 255, 255, 9, 9}), [2][2]color.NRGBA{{red, green}, {blue, white}}},
		"colours with a cover":    {pcxOf(8, 4, 2, 2, 2, nil, []byte{255, 0, 0, 255, 0, 0, 255, 128}, []byte{0, 255, 0, 255, 255, 255, 255, 255}), [2][2]color.NRGBA{{red, {0, 255, 0, 128}}, {blue, white}}},
		"a cover of nothing":      {pcxOf(8, 4, 2, 2, 2, nil, []byte{255, 0, 0, 255, 0, 0, 0, 0}, []byte{0, 255, 0, 255, 255, 255, 0, 0}), [2][2]color.NRGBA{{red, green}, {blue, white}}},
	} {
		t.Run(name, func(t *testing.T) { looks(t, sanitize.KindPCX, c.file, c.want) })
	}
	// Version 3 has no palette, and means the sixteen colours of its time.
	old := pcxOf(4, 1, 2, 2, 2, few, []byte{0xc4, 0}, []byte{0x9f, 0})
	old[1] = 3
	looks(t, sanitize.KindPCX, old, [2][2]color.NRGBA{{{255, 85, 85, 255}, {170, 0, 0, 255}}, {{85, 85, 255, 255}, white}})
}

// looks has a file of two by two pixels treated and looks at them.
func looks(t *testing.T, k sanitize.Kind, file []byte, want [2][2]color.NRGBA) {
	t.Helper()
	out, _, err := run(t, k, "2", file)
	if err != nil {
		t.Error(err)
		return
	}
	m := decodeAs(t, out)
	if m.Bounds().Size() != image.Pt(2, 2) {
		t.Errorf("size %v", m.Bounds())
		return
	}
	for y, row := range want {
		for x, c := range row {
			if got := nrgba(m, x, y); got != c {
				t.Errorf("(%d, %d) is %v, want %v", x, y, got, c)
			}
		}
	}
}

func TestTGAOfEveryKindLooksTheSame(t *testing.T) {
	red, green, blue, white := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}
	want := [2][2]color.NRGBA{{red, green}, {blue, white}}
	r, g, b, w := []byte{0, 0, 255}, []byte{0, 255, 0}, []byte{255, 0, 0}, []byte{255, 255, 255}
	r4, g4, b4, w4 := append(bytes.Clone(r), 255), append(bytes.Clone(g), 128), append(bytes.Clone(b), 255), append(bytes.Clone(w), 255)
	palette := bytes.Join([][]byte{r, g, b, w}, nil)
	half := [2][2]color.NRGBA{{red, {0, 255, 0, 128}}, {blue, white}}
	// A foot as the second version has it, with an area that says what the cover is.
	foot := func(file []byte, cover byte) []byte {
		at := len(file)
		area := make([]byte, 495)
		copy(area, bit(uint16(495)))
		area[494] = cover
		return append(append(file, area...), bit(uint32(at), uint32(0), "TRUEVISION-XFILE.\x00")...)
	}
	five := func(r, g, b int) []byte { return bit(uint16(r<<10 | g<<5 | b)) }
	for name, c := range map[string]struct {
		file []byte
		want [2][2]color.NRGBA
	}{
		"from below":             {tgaOf(2, 24, 0, 2, 2, nil, 0, b, w, r, g), want},
		"from above":             {tgaOf(2, 24, 0x20, 2, 2, nil, 0, r, g, b, w), want},
		"from the right":         {tgaOf(2, 24, 0x30, 2, 2, nil, 0, g, r, w, b), want},
		"in runs over rows":      {tgaOf(10, 24, 0x20, 2, 2, nil, 0, []byte{3}, r, g, b, w), want},
		"runs of one pixel":      {tgaOf(10, 24, 0x20, 2, 2, nil, 0, []byte{0x80}, r, []byte{0}, g, []byte{0x80}, b, []byte{0x80}, w), want},
		"a run of all":           {tgaOf(10, 24, 0x20, 2, 2, nil, 0, []byte{0x83}, g), [2][2]color.NRGBA{{green, green}, {green, green}}},
		"a palette":              {tgaOf(1, 8, 0x20, 2, 2, palette, 24, []byte{0, 1, 2, 3}), want},
		"a palette in runs":      {tgaOf(9, 8, 0x20, 2, 2, palette, 24, []byte{3, 0, 1, 2, 3}), want},
		"a wide palette":         {tgaOf(1, 16, 0x20, 2, 2, palette, 24, []byte{0, 0, 1, 0, 2, 0, 3, 0}), want},
		"a palette of few bits":  {tgaOf(1, 8, 0x20, 2, 2, bytes.Join([][]byte{five(31, 0, 0), five(0, 31, 0), five(0, 0, 31), five(31, 31, 31)}, nil), 15, []byte{0, 1, 2, 3}), want},
		"greys":                  {tgaOf(3, 8, 0x20, 2, 2, nil, 0, []byte{0, 255, 40, 90}), [2][2]color.NRGBA{{{0, 0, 0, 255}, white}, {{40, 40, 40, 255}, {90, 90, 90, 255}}}},
		"greys with a cover":     {tgaOf(3, 16, 0x28, 2, 2, nil, 0, []byte{0, 255, 255, 255, 40, 128, 90, 1}), [2][2]color.NRGBA{{{0, 0, 0, 255}, white}, {{40, 40, 40, 128}, {90, 90, 90, 1}}}},
		"fifteen bits":           {tgaOf(2, 15, 0x20, 2, 2, nil, 0, five(31, 0, 0), five(0, 31, 0), five(0, 0, 31), five(31, 31, 31)), want},
		"sixteen bits":           {tgaOf(2, 16, 0x20, 2, 2, nil, 0, five(31, 0, 0), five(0, 31, 0), five(0, 0, 31), five(31, 31, 31)), want},
		"a cover":                {tgaOf(2, 32, 0x28, 2, 2, nil, 0, r4, g4, b4, w4), half},
		"four octets, no cover":  {tgaOf(2, 32, 0x20, 2, 2, nil, 0, r4, g4, b4, w4), want},
		"the foot says no cover": {foot(tgaOf(2, 32, 0x28, 2, 2, nil, 0, r4, g4, b4, w4), 2), want},
		"the foot says a cover":  {foot(tgaOf(2, 32, 0x28, 2, 2, nil, 0, r4, g4, b4, w4), 3), half},
		"mixed with black":       {foot(tgaOf(2, 32, 0x28, 2, 2, nil, 0, r4, []byte{0, 128, 0, 128}, b4, w4), 4), half},
		"a cover of nothing":     {tgaOf(2, 32, 0x28, 2, 2, nil, 0, append(bytes.Clone(r), 0), append(bytes.Clone(g), 0), append(bytes.Clone(b), 0), append(bytes.Clone(w), 0)), want},
	} {
		t.Run(name, func(t *testing.T) { looks(t, sanitize.KindTGA, c.file, c.want) })
	}
}

func TestPNMOfEveryKindLooksTheSame(t *testing.T) {
	red, green, blue, white, black := color.NRGBA{255, 0, 0, 255}, color.NRGBA{0, 255, 0, 255}, color.NRGBA{0, 0, 255, 255}, color.NRGBA{255, 255, 255, 255}, color.NRGBA{0, 0, 0, 255}
	colours, bits := [2][2]color.NRGBA{{red, green}, {blue, white}}, [2][2]color.NRGBA{{black, white}, {white, black}}
	for name, c := range map[string]struct {
		file string
		want [2][2]color.NRGBA
	}{
		"P1":                 {"P1\n# a comment\n2 2\n1 0\n0 1\n", bits},
		"P1 without blanks":  {"P1 2 2 1#x\n001", bits},
		"P2":                 {"P2\n2 2\n15\n0 15 15 0", bits},
		"P3":                 {"P3 2 2 255 255 0 0 0 255 0 0 0 255 255 255 255", colours},
		"P4":                 {"P4\n2 2\n\x80\x40", bits},
		"P5":                 {"P5\n#\n2 # of them\n2\n255\n\x00\xff\xff\x00", bits},
		"P5 of few greys":    {"P5 2 2 3\n\x00\x03\x03\x00", bits},
		"P6":                 {"P6 2 2 255\n\xff\x00\x00\x00\xff\x00\x00\x00\xff\xff\xff\xff", colours},
		"P6 of sixteen bits": {"P6 2 2 65535\n\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\x00\x00\x00\x00\x00\x00\xff\xff\xff\xff\xff\xff\xff\xff", colours},
		"P6 of twelve bits":  {"P6 2 2 4095\n\x0f\xff\x00\x00\x00\x00\x00\x00\x0f\xff\x00\x00\x00\x00\x00\x00\x0f\xff\x0f\xff\x0f\xff\x0f\xff", colours},
		"P7 of bits":         {"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 1\nMAXVAL 1\nTUPLTYPE BLACKANDWHITE\nENDHDR\n\x00\x01\x01\x00", bits},
		"P7 with a cover":    {"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 4\nMAXVAL 255\n# x\nTUPLTYPE RGB_ALPHA\nENDHDR\n\xff\x00\x00\xff\x00\xff\x00\x80\x00\x00\xff\xff\xff\xff\xff\xff", [2][2]color.NRGBA{{red, {0, 255, 0, 128}}, {blue, white}}},
		"P7 of covered grey": {"P7\nWIDTH 2\nHEIGHT 2\nDEPTH 2\nMAXVAL 255\nTUPLTYPE GRAYSCALE_ALPHA\nENDHDR\n\x00\xff\xff\xff\xff\x80\x00\xff", [2][2]color.NRGBA{{black, white}, {{255, 255, 255, 128}, black}}},
	} {
		t.Run(name, func(t *testing.T) { looks(t, sanitize.KindPNM, []byte(c.file), c.want) })
	}
	_, found, err := run(t, sanitize.KindPNM, "2", []byte("P4\n2 2\n\x80\x40P4\n2 2\n\x80\x40"))
	if err != nil || len(found) != 1 || found[0].Rule != "image.animation" {
		t.Errorf("of two pictures: %v, %v", found, err)
	}
}

// Netpbm wrote its formats, and PCX and TGA as others know them.
func TestOldRastersOfNetpbmArriveNeedsTools(t *testing.T) {
	for _, p := range []string{"ppmtopcx", "ppmtotga", "pnmtoplainpnm"} {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed: `make deps` installs it (netpbm)", p)
		}
	}
	src := scene(97, 61)
	few := image.NewNRGBA(src.Rect)
	for i := range few.Pix {
		few.Pix[i] = 255
		if i%4 != 3 {
			few.Pix[i] = src.Pix[i] &^ 0x7f
		}
	}
	dir := t.TempDir()
	for _, m := range []*image.NRGBA{src, few} {
		b := []byte(fmt.Sprintf("P6\n%d %d\n255\n", 97, 61))
		for i := 0; i < len(m.Pix); i += 4 {
			b = append(b, m.Pix[i:i+3]...)
		}
		from := filepath.Join(dir, "a.ppm")
		if err := os.WriteFile(from, b, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			kind sanitize.Kind
			args string
		}{
			{sanitize.KindPNM, "pnmtoplainpnm"}, {sanitize.KindPNM, "cat"}, {sanitize.KindPCX, "ppmtopcx"}, {sanitize.KindPCX, "ppmtopcx -24bit"},
			{sanitize.KindPCX, "ppmtopcx -8bit"}, {sanitize.KindPCX, "ppmtopcx -planes 3"}, {sanitize.KindPCX, "ppmtopcx -planes 4"}, {sanitize.KindPCX, "ppmtopcx -packed"},
			{sanitize.KindTGA, "ppmtotga -rgb"}, {sanitize.KindTGA, "ppmtotga -rgb -norle"}, {sanitize.KindTGA, "ppmtotga -cmap"}, {sanitize.KindTGA, "ppmtotga -cmap -norle"},
		} {
			args := append(strings.Fields(c.args), from)
			file, err := exec.Command(args[0], args[1:]...).Output()
			if err != nil {
				if m == src {
					continue // more colours than this form has
				}
				t.Errorf("%s: %v", c.args, err)
				continue
			}
			out, _, err := run(t, c.kind, "2", file)
			if err != nil {
				t.Errorf("%s: %v", c.args, err)
				continue
			}
			if p := psnr(t, m, decodeAs(t, out)); p < 99 {
				t.Errorf("%s: %.1f dB", c.args, p)
			}
		}
	}
}

func TestDamagedOldRastersAreRefused(t *testing.T) {
	pcx := pcxOf(8, 3, 20, 20, 20, nil, bytes.Repeat([]byte{1, 2, 3, 4, 5, 6}, 200))
	tga := tgaOf(2, 24, 0, 20, 20, nil, 0, make([]byte, 1200))
	with := func(b []byte, at int, v ...byte) []byte {
		c := bytes.Clone(b)
		copy(c[at:], v)
		return c
	}
	for name, c := range map[string]struct {
		kind sanitize.Kind
		file []byte
		want error
	}{
		"PCX cut short":             {sanitize.KindPCX, pcx[:len(pcx)-1], sanitize.ErrMalformed},
		"PCX cut in its header":     {sanitize.KindPCX, pcx[:127], sanitize.ErrMalformed},
		"PCX of rows too short":     {sanitize.KindPCX, with(pcx, 66, 19, 0), sanitize.ErrMalformed},
		"PCX turned inside out":     {sanitize.KindPCX, with(pcx, 4, 0xff, 0xff), sanitize.ErrMalformed},
		"PCX of five planes":        {sanitize.KindPCX, with(pcx, 65, 5), sanitize.ErrUnsupported},
		"PCX of 4,295 megapixels":   {sanitize.KindPCX, with(with(pcx, 4, 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff), 66, 0xff, 0xff), sanitize.ErrLimit},
		"TGA cut short":             {sanitize.KindTGA, tga[:len(tga)-1], sanitize.ErrMalformed},
		"TGA without a palette":     {sanitize.KindTGA, with(tga, 2, 1), sanitize.ErrUnsupported},
		"TGA of nothing":            {sanitize.KindTGA, with(tga, 12, 0, 0), sanitize.ErrMalformed},
		"TGA of 4,295 megapixels":   {sanitize.KindTGA, with(tga, 12, 0xff, 0xff, 0xff, 0xff), sanitize.ErrLimit},
		"TGA of a colour too many":  {sanitize.KindTGA, tgaOf(1, 8, 0, 2, 2, []byte{1, 2, 3}, 24, []byte{0, 0, 0, 1}), sanitize.ErrMalformed},
		"TGA of no colours":         {sanitize.KindTGA, tgaOf(1, 8, 0, 2, 2, []byte{}, 24, []byte{0, 0, 0, 0}), sanitize.ErrMalformed},
		"TGA between the rows":      {sanitize.KindTGA, with(tga, 17, 0x40), sanitize.ErrUnsupported},
		"PNM cut short":             {sanitize.KindPNM, []byte("P6 2 2 255\nabcdefghijk"), sanitize.ErrMalformed},
		"PNM in digits, cut short":  {sanitize.KindPNM, []byte("P2 2 2 255\n1 2 3"), sanitize.ErrMalformed},
		"PNM of a sample too large": {sanitize.KindPNM, []byte("P2 2 2 2\n1 2 3 0\n"), sanitize.ErrMalformed},
		"PNM without a size":        {sanitize.KindPNM, []byte("P5 0 2 255\nab"), sanitize.ErrMalformed},
		"PNM of no greys":           {sanitize.KindPNM, []byte("P5 1 2 0\nab"), sanitize.ErrMalformed},
		"PNM of many megapixels":    {sanitize.KindPNM, []byte("P5 100000 100000 255\nab"), sanitize.ErrLimit},
		"PNM of a number too long":  {sanitize.KindPNM, []byte("P5 " + strings.Repeat("1", 99) + " 2 255\nab"), sanitize.ErrMalformed},
		"PNM with a letter":         {sanitize.KindPNM, []byte("P1 2 2 1 0 x 1"), sanitize.ErrMalformed},
		"PAM without an end":        {sanitize.KindPNM, []byte("P7\nWIDTH 2\nHEIGHT 2\n"), sanitize.ErrMalformed},
		"PAM of nine samples":       {sanitize.KindPNM, []byte("P7\nWIDTH 2\nHEIGHT 2\nDEPTH 9\nMAXVAL 255\nENDHDR\n"), sanitize.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			if _, _, err := run(t, c.kind, "2", c.file); !errors.Is(err, c.want) {
				t.Errorf("%v, want %v", err, c.want)
			}
		})
	}
}

func FuzzPCX(f *testing.F) {
	f.Add(pcxOf(8, 3, 3, 3, 4, nil, bytes.Repeat([]byte{1, 2, 200}, 12)))
	f.Add(pcxOf(1, 4, 3, 3, 2, make([]byte, 48), bytes.Repeat([]byte{0x55}, 24)))
	f.Add(pcxOf(8, 1, 3, 3, 4, make([]byte, 768), bytes.Repeat([]byte{9}, 12)))
	fuzzOther(f, sanitize.KindPCX, Foreign{})
}

func FuzzTGA(f *testing.F) {
	f.Add(tgaOf(10, 32, 0x28, 2, 2, nil, 0, []byte{0x83, 1, 2, 3, 4}))
	f.Add(tgaOf(9, 16, 0, 2, 2, make([]byte, 12), 24, []byte{3, 0, 0, 1, 0, 2, 0, 3, 0}))
	f.Add(tgaOf(3, 8, 0, 2, 2, nil, 0, []byte{3, 0, 0, 1}))
	fuzzOther(f, sanitize.KindTGA, Foreign{})
}

func FuzzPNM(f *testing.F) {
	f.Add([]byte("P1 2 2 1#x\n001"))
	f.Add([]byte("P3 1 1 255 255 0 0"))
	f.Add([]byte("P6 1 1 65535\nabcdef"))
	f.Add([]byte("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 4\nMAXVAL 255\nTUPLTYPE RGB_ALPHA\nENDHDR\nabcd"))
	fuzzOther(f, sanitize.KindPNM, Foreign{})
}
