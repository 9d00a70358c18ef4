package worker

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// A drawing of Windows of one sheet, in each of whose squares one family of calls
// draws, and the same in SVG, which another program draws.

const (
	cellWidth, cellHeight = 200, 150
	columns               = 4
)

// cell is a family: its calls for a square whose corner is at x, y, what SVG says of
// the same there, and how far the two may be apart in the mean, as a part of all.
type cell struct {
	name  string
	calls func(x, y int) [][]byte
	svg   string
	most  float64
}

// words puts numbers together: int is four octets, int16 and uint16 two.
func words(vs ...any) []byte {
	var b bytes.Buffer
	for _, v := range vs {
		switch v := v.(type) {
		case int:
			_ = binary.Write(&b, binary.LittleEndian, int32(v))
		case []byte:
			b.Write(v)
		default:
			_ = binary.Write(&b, binary.LittleEndian, v)
		}
	}
	return b.Bytes()
}

// emfCall is a record of an EMF.
func emfCall(kind int, vs ...any) []byte {
	b := words(vs...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return append(words(kind, 8+len(b)), b...)
}

// emfPoints is a record of points of sixteen bits.
func emfPoints(kind, x, y int, xy ...int) []byte {
	var b []byte
	for i := 0; i < len(xy); i += 2 {
		b = append(b, words(int16(x+xy[i]), int16(y+xy[i+1]))...)
	}
	return emfCall(kind, x, y, x+cellWidth, y+cellHeight, len(xy)/2, b)
}

// pen and brush make the object 1 or 2, have it used and leave it.
func pen(width, rgb int, calls ...[]byte) [][]byte {
	return append(append([][]byte{emfCall(38, 1, 0, width, 0, rgb), emfCall(37, 1)}, calls...), emfCall(37, uint32(0x80000008)), emfCall(40, 1))
}

func brush(rgb int, calls ...[]byte) [][]byte {
	return append(append([][]byte{emfCall(39, 2, 0, rgb, 0), emfCall(37, 2)}, calls...), emfCall(37, uint32(0x80000005)), emfCall(40, 2))
}

// emfText shows words with their base line at x, y.
func emfText(x, y int, s string, step int) []byte {
	u := utf16.Encode([]rune(s))
	var text, dx []byte
	for _, c := range u {
		text, dx = append(text, words(c)...), append(dx, words(step)...)
	}
	for len(text)%4 != 0 {
		text = append(text, 0)
	}
	return emfCall(84, 0, 0, -1, -1, 1, float32(1), float32(1), x, y, len(u), 76, 0, 0, 0, -1, -1, 76+len(text), text, dx)
}

func emfFont(height, weight int, name string) []byte {
	face := make([]byte, 64)
	for i, c := range utf16.Encode([]rune(name)) {
		binary.LittleEndian.PutUint16(face[2*i:], c)
	}
	return emfCall(82, 3, -height, 0, 0, 0, weight, []byte{0, 0, 0, 128, 0, 0, 0, 0}, face, make([]byte, 128+64+32+4+4+4+4+4+4+4))
}

// dibOf is a bitmap of two by two pixels: red, green, and below them blue and black.
func dibOf() (head, pixels []byte) {
	return words(40, 2, 2, int16(1), int16(24), 0, 16, 0, 0, 0, 0), []byte{255, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 0, 255, 0, 0, 0}
}

var emfCells = []cell{
	{"lines", func(x, y int) [][]byte {
		return pen(6, 0x0000c0, emfCall(27, x+20, y+20), emfCall(54, x+180, y+130), emfPoints(87, x, y, 20, 130, 100, 20, 180, 60))
	}, `<g fill="none" stroke="#c00000" stroke-width="6" stroke-linecap="round" stroke-linejoin="round"><path d="M20 20L180 130M20 130L100 20L180 60"/></g>`, 0.01},
	{"shapes", func(x, y int) [][]byte {
		return pen(2, 0, brush(0x40a030, emfCall(43, x+10, y+10, x+90, y+60), emfCall(42, x+110, y+10, x+190, y+70), emfCall(44, x+10, y+80, x+90, y+140, 30, 30), emfPoints(86, x, y, 150, 80, 190, 140, 110, 140))...)
	}, `<g fill="#30a040" stroke="#000" stroke-width="2"><rect x="10" y="10" width="80" height="50"/><ellipse cx="150" cy="40" rx="40" ry="30"/><rect x="10" y="80" width="80" height="60" rx="15"/><path d="M150 80L190 140H110z"/></g>`, 0.015},
	{"curves", func(x, y int) [][]byte {
		return pen(4, 0xc06000, emfPoints(85, x, y, 10, 75, 60, -40, 140, 190, 190, 75), emfCall(45, x+50, y+40, x+150, y+140, x+150, y+90, x+50, y+90))
	}, `<g fill="none" stroke="#0060c0" stroke-width="4"><path d="M10 75C60-40 140 190 190 75M150 90A50 50 0 0 0 50 90"/></g>`, 0.012},
	{"polygons in one", func(x, y int) [][]byte {
		return append([][]byte{emfCall(19, 1)}, brush(0x2080e0, emfCall(91, x, y, x+cellWidth, y+cellHeight, 2, 8, 4, 4, words(
			int16(x+20), int16(y+20), int16(x+180), int16(y+20), int16(x+180), int16(y+130), int16(x+20), int16(y+130),
			int16(x+60), int16(y+50), int16(x+140), int16(y+50), int16(x+140), int16(y+100), int16(x+60), int16(y+100))))...)
	}, `<path fill="#e08020" fill-rule="evenodd" d="M20 20H180V130H20zM60 50H140V100H60z"/>`, 0.012},
	{"clipping", func(x, y int) [][]byte {
		return append(append([][]byte{emfCall(33), emfCall(30, x+50, y+40, x+150, y+110)}, brush(0x8000a0, emfCall(42, x+10, y+10, x+190, y+140))...), emfCall(34, -1))
	}, `<clipPath id="k"><path d="M50 40H150V110H50z"/></clipPath><ellipse cx="100" cy="75" rx="90" ry="65" fill="#a00080" clip-path="url(#k)"/>`, 0.015},
	{"paths", func(x, y int) [][]byte {
		return brush(0x00a0a0, emfCall(59), emfCall(27, x+20, y+130), emfCall(54, x+100, y+10), emfPoints(88, x, y, 160, 20, 190, 80, 180, 130), emfCall(61), emfCall(60), emfCall(62, x, y, x+cellWidth, y+cellHeight))
	}, `<path fill="#a0a000" d="M20 130L100 10C160 20 190 80 180 130z"/>`, 0.01},
	{"text", func(x, y int) [][]byte {
		return [][]byte{emfFont(40, 400, "Noto Sans CJK JP"), emfCall(37, 3), emfCall(22, 24), emfCall(18, 1), emfCall(24, 0x800000), emfText(x+20, y+70, "令和八年", 40), emfText(x+20, y+125, "図面", 40), emfCall(37, uint32(0x8000000d)), emfCall(40, 3)}
	}, `<g font-family="Noto Sans CJK JP" font-size="40" fill="#000080"><text x="20" y="70">令和八年</text><text x="20" y="125">図面</text></g>`, 0.03},
	{"gradient", func(x, y int) [][]byte {
		return [][]byte{emfCall(118, x, y, x+cellWidth, y+cellHeight, 2, 1, 0, x+10, y+10, uint16(0xff00), uint16(0), uint16(0), uint16(0), x+190, y+140, uint16(0), uint16(0), uint16(0xff00), uint16(0), 0, 1)}
	}, `<linearGradient id="v"><stop offset="0" stop-color="red"/><stop offset="1" stop-color="blue"/></linearGradient><rect x="10" y="10" width="180" height="130" fill="url(#v)"/>`, 0.02},
	{"transforms", func(x, y int) [][]byte {
		c, s := float32(math.Cos(math.Pi/6)), float32(math.Sin(math.Pi/6))
		return append(append([][]byte{emfCall(33), emfCall(35, c, s, -s, c, float32(x+100), float32(y+75))}, brush(0x60c0f0, emfCall(43, -60, -30, 60, 30))...), emfCall(34, -1))
	}, `<rect x="-60" y="-30" width="120" height="60" fill="#f0c060" transform="translate(100 75) rotate(30)"/>`, 0.012},
	{"bitmaps", func(x, y int) [][]byte {
		head, pixels := dibOf()
		return [][]byte{emfCall(81, x, y, x+cellWidth, y+cellHeight, x+20, y+15, 0, 0, 2, 2, 80, 40, 80+40, 16, 0, 0x00cc0020, 160, 120, head, pixels)}
	}, `<rect x="20" y="15" width="80" height="60" fill="red"/><rect x="100" y="15" width="80" height="60" fill="lime"/><rect x="20" y="75" width="80" height="60" fill="blue"/><rect x="100" y="75" width="80" height="60"/>`, 0.02},
	{"filled at once", func(x, y int) [][]byte {
		return brush(0x30d0a0, emfCall(76, x, y, x+cellWidth, y+cellHeight, x+30, y+30, 140, 90, 0x00f00021, 0, 0, float32(1), float32(0), float32(0), float32(1), float32(0), float32(0), 0xffffff, 0, 0, 0, 0, 0))
	}, `<rect x="30" y="30" width="140" height="90" fill="#a0d030"/>`, 0.01},
	{"dashes", func(x, y int) [][]byte {
		return [][]byte{emfCall(95, 1, 0, 0, 0, 0, 0x10000|0x200|7, 8, 0, 0x202020, 0, 2, 30, 15), emfCall(37, 1), emfCall(27, x+10, y+40), emfCall(54, x+190, y+40), emfCall(27, x+10, y+110), emfCall(54, x+190, y+110), emfCall(37, uint32(0x80000008)), emfCall(40, 1)}
	}, `<path stroke="#202020" stroke-width="8" stroke-dasharray="30 15" d="M10 40H190M10 110H190"/>`, 0.05}, // how long they are LibreOffice knows
}

// sheet is the drawing of all cells, and what SVG says.
func emfSheet() (emf []byte, svg string) {
	rows := (len(emfCells) + columns - 1) / columns
	width, height := columns*cellWidth, rows*cellHeight
	frame := func(px int) int { return px * 2540 / 96 }
	var calls [][]byte
	var s strings.Builder
	fmt.Fprintf(&s, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d">`, width, height)
	for i, c := range emfCells {
		x, y := i%columns*cellWidth, i/columns*cellHeight
		calls = append(calls, c.calls(x, y)...)
		fmt.Fprintf(&s, `<g transform="translate(%d %d)">%s</g>`, x, y, c.svg)
	}
	calls = append(calls, emfCall(14, 0, 16, 20))
	body := bytes.Join(calls, nil)
	head := words(1, 108, 0, 0, width-1, height-1, 0, 0, frame(width), frame(height), uint32(0x464d4520), 0x10000, 108+len(body), len(calls)+1, uint16(5), uint16(0), 0, 0, 0,
		1920, 1080, 508, 286, 0, 0, 0, 508000, 285750)
	return append(head, body...), s.String() + "</svg>"
}

// TestDrawingsOfWindowsLookAsTheyShouldNeedsTools has every family of calls drawn by
// the whole way a drawing takes, and by another program what they mean.
func TestDrawingsOfWindowsLookAsTheyShouldNeedsTools(t *testing.T) {
	if _, err := exec.LookPath("rsvg-convert"); err != nil {
		t.Skip("rsvg-convert is not installed: `make deps` installs it (librsvg2-bin)")
	}
	r := Runner{Binary: real, Profile: sandbox.Worker(), Tools: realTools(t, soffice, "/usr/bin/pdftoppm")}
	emf, svg := emfSheet()
	o := options(sanitize.TaskFile)
	o.FileName = "図.emf"
	o.Rules[sanitize.ClassImage] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	res, err := r.Run(t.Context(), o, message(t, emf))
	if err != nil {
		t.Fatal(err)
	}
	if p := res.Report.Parts[0]; p.OutKind != sanitize.KindPNG && p.OutKind != sanitize.KindJPEG {
		t.Fatalf("%+v", p)
	}
	defer res.Output.Close()
	got, _, err := image.Decode(io.NewSectionReader(res.Output, 0, res.Size))
	if err != nil {
		t.Fatal(err)
	}
	b := got.Bounds()
	cmd := exec.Command("rsvg-convert", "-w", fmt.Sprint(b.Dx()), "-h", fmt.Sprint(b.Dy()), "-b", "white")
	cmd.Stdin = strings.NewReader(svg)
	drawn, err := cmd.Output()
	if err != nil {
		t.Fatalf("rsvg-convert: %v", err)
	}
	want, err := png.Decode(bytes.NewReader(drawn))
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("SEKISHO_DRAWINGS"); dir != "" { // to look at
		for name, m := range map[string]image.Image{"got.png": got, "want.png": want} {
			var file bytes.Buffer
			if err := png.Encode(&file, m); err == nil {
				_ = os.WriteFile(filepath.Join(dir, name), file.Bytes(), 0o600)
			}
		}
	}
	if b.Dx() < 600 || want.Bounds().Size() != b.Size() {
		t.Fatalf("%v and %v", b, want.Bounds())
	}
	for i, c := range emfCells {
		scale := float64(b.Dx()) / (columns * cellWidth)
		at := func(n int) int { return int(float64(n) * scale) }
		x, y := i%columns*cellWidth, i/columns*cellHeight
		square := image.Rect(at(x), at(y), at(x+cellWidth), at(y+cellHeight))
		mean, worst, ink := apart(got, want, square)
		t.Logf("%-16s mean %.2f %%, worst square %.0f %%", c.name, 100*mean, 100*worst)
		if mean > c.most || worst > 0.4 && c.name != "dashes" {
			t.Errorf("%s: %.2f %% of what could differ does, %.0f %% in the worst square", c.name, 100*mean, 100*worst)
		}
		if ink < 0.005 {
			t.Errorf("%s: there is nothing to see", c.name)
		}
	}
}

// apart is how far two pictures are apart in a part of them, in the mean and in the
// worst square of twelve by twelve pixels, and how far the first is from white.
func apart(a, b image.Image, in image.Rectangle) (mean, worst, ink float64) {
	level := func(c color.Color) [3]int {
		r, g, b, _ := c.RGBA()
		return [3]int{int(r >> 8), int(g >> 8), int(b >> 8)}
	}
	const side = 12
	n := 0.0
	for y := in.Min.Y; y+side <= in.Max.Y; y += side {
		for x := in.Min.X; x+side <= in.Max.X; x += side {
			sum, dark := 0, 0
			for i := range side * side {
				p, q := level(a.At(x+i%side, y+i/side)), level(b.At(x+i%side, y+i/side))
				for c := range p {
					sum, dark = sum+max(p[c]-q[c], q[c]-p[c]), dark+255-p[c]
				}
			}
			const all = side * side * 3 * 255
			part := float64(sum) / all
			mean, worst, ink, n = mean+part, max(worst, part), ink+float64(dark)/all, n+1
		}
	}
	return mean / n, worst, ink / n
}
