package all_test

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/png"
	"slices"
	"strings"
	"testing"

	"golang.org/x/image/tiff"

	"sekisho/internal/qr/qrtest"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

// TestCodesInOddPlacesAreTold: a code is told wherever a person's telephone would
// read it.
func TestCodesInOddPlacesAreTold(t *testing.T) {
	const address = "https://evil.example/odd"
	code, err := qrtest.Picture(address, 4)
	if err != nil {
		t.Fatal(err)
	}
	b := code.Bounds()
	dark := func(x, y int) bool { r, _, _, _ := code.At(b.Min.X+x, b.Min.Y+y).RGBA(); return r < 0x8000 }
	paint := func(w, h int, at func(x, y int) color.Color) *image.NRGBA {
		m := image.NewNRGBA(image.Rect(0, 0, w, h))
		for y := range h {
			for x := range w {
				m.Set(x, y, at(x, y))
			}
		}
		return m
	}
	one := func(d, l color.Color) func(x, y int) color.Color {
		return func(x, y int) color.Color {
			if dark(x, y) {
				return d
			}
			return l
		}
	}
	w, h := b.Dx(), b.Dy()
	pngOf := func(m image.Image) []byte {
		var f bytes.Buffer
		if err := png.Encode(&f, m); err != nil {
			t.Fatal(err)
		}
		return f.Bytes()
	}
	plain := paint(w, h, one(color.Black, color.White))
	palette := color.Palette{color.White, color.Black, color.Transparent}
	paletted := func(r image.Rectangle, from image.Image) *image.Paletted {
		p := image.NewPaletted(r, palette)
		draw.Draw(p, r, from, r.Min, draw.Src)
		return p
	}
	gifOf := func(frames ...*image.Paletted) []byte {
		var f bytes.Buffer
		g := gif.GIF{Config: image.Config{Width: w, Height: h, ColorModel: palette}}
		for _, m := range frames {
			g.Image, g.Delay, g.Disposal = append(g.Image, m), append(g.Delay, 10), append(g.Disposal, gif.DisposalNone)
		}
		if err := gif.EncodeAll(&f, &g); err != nil {
			t.Fatal(err)
		}
		return f.Bytes()
	}
	empty := image.NewPaletted(image.Rect(0, 0, w, h), palette)
	left, right := image.Rect(0, 0, w/2, h), image.Rect(w/2, 0, w, h)
	var whole bytes.Buffer
	if err := tiff.Encode(&whole, plain, nil); err != nil {
		t.Fatal(err)
	}
	var svg strings.Builder
	module := func(format string) string {
		svg.Reset()
		fmt.Fprintf(&svg, `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="%d" height="%d">`, w, h)
		if strings.HasPrefix(format, "<path") {
			svg.WriteString(`<path d="`)
			format = "M%d %dh%dv%dh-4z"
		}
		for y := 0; y < h; y += 4 {
			for x := 0; x < w; x += 4 {
				if dark(x, y) {
					fmt.Fprintf(&svg, format, x, y, 4, 4)
				}
			}
		}
		if strings.HasPrefix(format, "M") {
			svg.WriteString(`"/>`)
		}
		return svg.String() + "</svg>"
	}
	for name, file := range map[string][]byte{
		"dark on nothing":       pngOf(paint(w, h, one(color.NRGBA{0, 0, 0, 255}, color.NRGBA{}))),
		"nothing in black":      pngOf(paint(w, h, one(color.NRGBA{}, color.NRGBA{255, 255, 255, 255}))),
		"light on dark":         pngOf(paint(w, h, one(color.White, color.Black))),
		"turned":                pngOf(paint(h, w, func(x, y int) color.Color { return plain.At(y, h-1-x) })),
		"red on green":          pngOf(paint(w, h, one(color.NRGBA{130, 0, 0, 255}, color.NRGBA{120, 255, 120, 255}))),
		"the second of a GIF":   gifOf(empty, paletted(plain.Rect, plain)),
		"in two parts of a GIF": gifOf(paletted(left, plain), paletted(right, plain)),
		"TIFF":                  whole.Bytes(),
		"the third of a TIFF":   tiffOf(w, h, bytes.Repeat([]byte{0xff}, w*h), bytes.Repeat([]byte{0x80}, w*h), grey(plain)),
		"PPM":                   append([]byte(fmt.Sprintf("P5 %d %d 255\n", w, h)), grey(plain)...),
		"a picture in an SVG":   []byte(`<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"><image width="90" height="90" xlink:href="data:image/png;base64,` + base64.StdEncoding.EncodeToString(pngOf(plain)) + `"/></svg>`),
		"squares of an SVG":     []byte(module(`<rect x="%d" y="%d" width="%d" height="%d"/>`)),
		"a path of an SVG":      []byte(module("<path")),
	} {
		t.Run(name, func(t *testing.T) {
			o := codeOptions()
			o.Task, o.FileName = sanitize.TaskFile, "a.dat"
			var out bytes.Buffer
			r, err := all.Run(t.Context(), &o, bytes.NewReader(file), int64(len(file)), &out)
			if err != nil {
				t.Fatal(err)
			}
			told := codesTold(t, r)
			if !slices.Contains(told, address) {
				t.Errorf("told %v of %s", told, r.Parts[0].Kind)
			}
		})
	}
}

// tiffOf has a page for each picture of grey levels. TIFF 6.0, 2 and 4.
func tiffOf(w, h int, pages ...[]byte) []byte {
	le := binary.LittleEndian
	f := []byte("II*\x00\x00\x00\x00\x00")
	link := 4 // where the place of the next directory stands
	for _, levels := range pages {
		strip := len(f)
		f = append(f, levels...)
		f = append(f, make([]byte, len(f)%2)...)
		le.PutUint32(f[link:], uint32(len(f)))
		fields := [][2]int{{256, w}, {257, h}, {258, 8}, {259, 1}, {262, 1}, {273, strip}, {277, 1}, {278, h}, {279, len(levels)}}
		f = le.AppendUint16(f, uint16(len(fields)))
		for _, d := range fields {
			f = le.AppendUint16(f, uint16(d[0]))
			f = le.AppendUint16(f, 4) // LONG
			f = le.AppendUint32(f, 1)
			f = le.AppendUint32(f, uint32(d[1]))
		}
		link = len(f)
		f = append(f, 0, 0, 0, 0)
	}
	return f
}

// grey are the levels of a picture.
func grey(m image.Image) (b []byte) {
	for y := range m.Bounds().Dy() {
		for x := range m.Bounds().Dx() {
			b = append(b, color.GrayModel.Convert(m.At(x, y)).(color.Gray).Y)
		}
	}
	return b
}
