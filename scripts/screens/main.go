// Screens makes ten Japanese documents of its own, as offices write them, has
// `sekisho sanitize` treat them, and draws the first page of each before and
// after, side by side, for docs/screens. LibreOffice writes and draws the
// documents, pdftoppm the pages.
//
//	go run ./scripts/screens --bin bin --out docs/screens
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	bin := flag.String("bin", "bin", "folder with the binaries")
	out := flag.String("out", "docs/screens", "where the pictures go")
	flag.Parse()
	if err := run(*bin, *out); err != nil {
		fmt.Fprintf(os.Stderr, "screens: %v\n", err)
		os.Exit(1)
	}
}

// screen is a document: its flat OpenDocument, what LibreOffice makes of it, and
// by which mode it is treated.
type screen struct{ name, source, format, mode string }

func screens() []screen {
	return []screen{
		{"01-notice", notice(), "docx", "auto"},
		{"02-application", application(), "docx", "auto"},
		{"03-grid", grid(), "xlsx", "auto"},
		{"04-slides", slides(), "pptx", "auto"},
		{"05-minutes", minutes(), "rtf", "auto"},
		{"06-vertical", vertical(), "pdf", "auto"},
		{"07-budget", budget(), "xls", "auto"},
		{"08-bulletin", bulletin(), "doc", "flatten"},
		{"09-report", report(), "odt", "auto"},
		{"10-leaflet", leaflet(), "pdf", "flatten"},
	}
}

func run(bin, out string) error {
	dir, err := os.MkdirTemp("", "sekisho-screens-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	for _, d := range []string{out, dir + "/flat", dir + "/in", dir + "/out", dir + "/before", dir + "/after"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	all := screens()
	sources := map[string][]string{}
	for _, s := range all {
		ext := ".fodt"
		switch {
		case strings.Contains(s.source, "opendocument.spreadsheet"):
			ext = ".fods"
		case strings.Contains(s.source, "opendocument.presentation"):
			ext = ".fodp"
		}
		name := filepath.Join(dir, "flat", s.name+ext)
		if err := os.WriteFile(name, []byte(s.source), 0o644); err != nil {
			return err
		}
		sources[s.format] = append(sources[s.format], name)
	}
	for format, files := range sources {
		if err := office(dir, format, dir+"/in", files); err != nil {
			return err
		}
	}
	var before, after []string
	for _, mode := range []string{"auto", "flatten"} {
		args := []string{"sanitize", "--mode", mode, "--out", dir + "/out"}
		for _, s := range all {
			if s.mode == mode {
				args = append(args, filepath.Join(dir, "in", s.name+"."+s.format))
			}
		}
		cmd := exec.Command(filepath.Join(bin, "sekisho"), args...)
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		if err := cmd.Run(); err != nil {
			return fmt.Errorf("sekisho sanitize: %w", err)
		}
	}
	for _, s := range all {
		before = append(before, filepath.Join(dir, "in", s.name+"."+s.format))
		made, err := filepath.Glob(filepath.Join(dir, "out", s.name+".*"))
		if err != nil || len(made) != 1 {
			return fmt.Errorf("%s: outputs %q, %w", s.name, made, err)
		}
		after = append(after, made[0])
	}
	if err := errors.Join(pages(dir, dir+"/before", before), pages(dir, dir+"/after", after)); err != nil {
		return err
	}
	for _, s := range all {
		a, err := first(filepath.Join(dir, "before", s.name+".pdf"))
		if err != nil {
			return err
		}
		b, err := first(filepath.Join(dir, "after", s.name+".pdf"))
		if err != nil {
			return err
		}
		if err := beside(filepath.Join(out, s.name+".png"), a, b); err != nil {
			return err
		}
		fmt.Printf("%s.%s by %s: mean difference %.2f %%\n", s.name, s.format, s.mode, difference(a, b))
	}
	return nil
}

// office has LibreOffice write files in another format.
func office(dir, format, out string, files []string) error {
	args := append([]string{"-env:UserInstallation=file://" + dir + "/profile", "--headless", "--convert-to", format, "--outdir", out}, files...)
	if said, err := exec.Command("soffice", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("soffice %s: %w: %s", format, err, said)
	}
	return nil
}

// pages makes a PDF of everything that is none.
func pages(dir, out string, files []string) error {
	var others []string
	for _, f := range files {
		if filepath.Ext(f) != ".pdf" {
			others = append(others, f)
			continue
		}
		b, err := os.ReadFile(f)
		if err == nil {
			err = os.WriteFile(filepath.Join(out, filepath.Base(f)), b, 0o644)
		}
		if err != nil {
			return err
		}
	}
	return office(dir, "pdf", out, others)
}

// first draws the first page.
func first(file string) (image.Image, error) {
	b, err := exec.Command("pdftoppm", "-png", "-r", "45", "-f", "1", "-l", "1", file).Output()
	if err != nil {
		return nil, fmt.Errorf("draw %s: %w", file, err)
	}
	m, err := png.Decode(bytes.NewReader(b))
	if err != nil {
		return nil, fmt.Errorf("draw %s: %w", file, err)
	}
	return m, nil
}

// beside writes two pages in one picture of few colours.
func beside(file string, a, b image.Image) error {
	const gap = 8
	w, h := a.Bounds().Dx()+b.Bounds().Dx()+3*gap, max(a.Bounds().Dy(), b.Bounds().Dy())+2*gap
	var p color.Palette
	for i := range 16 {
		p = append(p, color.Gray{uint8(i * 17)})
	}
	for r := range 6 {
		for g := range 6 {
			for b := range 6 {
				p = append(p, color.RGBA{uint8(51 * r), uint8(51 * g), uint8(51 * b), 255})
			}
		}
	}
	m := image.NewPaletted(image.Rect(0, 0, w, h), p)
	draw.Draw(m, m.Bounds(), image.NewUniform(color.Gray{170}), image.Point{}, draw.Src)
	draw.Draw(m, a.Bounds().Add(image.Pt(gap, gap)), a, image.Point{}, draw.Src)
	draw.Draw(m, b.Bounds().Add(image.Pt(2*gap+a.Bounds().Dx(), gap)), b, image.Point{}, draw.Src)
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, m); err != nil {
		return err
	}
	return os.WriteFile(file, buf.Bytes(), 0o644)
}

// difference is the mean of all samples, in per cent.
func difference(a, b image.Image) float64 {
	if a.Bounds() != b.Bounds() {
		return 100
	}
	var sum, n int64
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			p, q := color.GrayModel.Convert(a.At(x, y)).(color.Gray), color.GrayModel.Convert(b.At(x, y)).(color.Gray)
			sum += int64(max(p.Y, q.Y) - min(p.Y, q.Y))
			n++
		}
	}
	return float64(sum) / float64(n) / 255 * 100
}
