package main

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// twentyPages is a text of twenty pages, in Japanese and English, with ten
// photographs: as PDF by LibreOffice some 0.7 MB, in a mail 1 MiB.
func twentyPages() []byte {
	r := rand.New(rand.NewPCG(9, 9))
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" ` +
		`xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" ` +
		`xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.text"><office:automatic-styles>` +
		`<style:style style:name="N" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style></office:automatic-styles><office:body><office:text>`)
	for page := range 20 {
		style := ""
		if page > 0 {
			style = ` text:style-name="N"`
		}
		fmt.Fprintf(&b, "<text:p%s>%d</text:p>", style, page+1)
		if page%2 == 0 {
			m := image.NewRGBA(image.Rect(0, 0, 900, 600))
			for y := range 600 {
				for x := range 900 {
					n := r.IntN(14)
					m.Set(x, y, color.RGBA{uint8(x/5 + n), uint8(y/4 + n), uint8((x + y + 30*page) / 9), 255})
				}
			}
			var p bytes.Buffer
			if err := jpeg.Encode(&p, m, &jpeg.Options{Quality: 88}); err != nil {
				panic(err) // a picture we drew
			}
			b.WriteString(`<text:p><draw:frame svg:width="12cm" svg:height="8cm" text:anchor-type="as-char"><draw:image><office:binary-data>` +
				base64.StdEncoding.EncodeToString(p.Bytes()) + `</office:binary-data></draw:image></draw:frame></text:p>`)
		}
		for range 14 {
			b.WriteString("<text:p>" + japanese[r.IntN(3)] + japanese[r.IntN(3)])
			for range 25 {
				b.WriteString(" " + words[r.IntN(len(words))])
			}
			b.WriteString("</text:p>")
		}
	}
	b.WriteString("</office:text></office:body></office:document>")
	return b.Bytes()
}

// textPages is twenty pages of some 1,200 Japanese letters each and nothing else,
// of some 600 kinds, as an application form or the minutes of a council have.
func textPages() []byte {
	r := rand.New(rand.NewPCG(7, 7))
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" ` +
		`xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:fo="urn:oasis:names:tc:opendocument:xmlns:xsl-fo-compatible:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.text">` +
		`<office:automatic-styles><style:style style:name="N" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style></office:automatic-styles><office:body><office:text>`)
	for page := range 20 {
		for paragraph := range 7 {
			style := ""
			if page > 0 && paragraph == 0 {
				style = ` text:style-name="N"`
			}
			fmt.Fprintf(&b, "<text:p%s>", style)
			for range 8 {
				b.WriteString(japanese[r.IntN(3)])
				for range 10 {
					b.WriteRune(rune(0x4E00 + 37*r.IntN(540)))
				}
				b.WriteString("。")
			}
			b.WriteString("</text:p>")
		}
	}
	b.WriteString("</office:text></office:body></office:document>")
	return b.Bytes()
}

// office has LibreOffice make a file of another kind, by a profile of its own.
func (b *bench) office(file, kind string) (string, error) {
	program, err := exec.LookPath("soffice")
	if err != nil {
		return "", fmt.Errorf("LibreOffice: %w", err)
	}
	out := filepath.Join(b.dir, "made")
	cmd := exec.Command(program, "-env:UserInstallation=file://"+filepath.Join(b.dir, "profile"), "--headless", "--convert-to", kind, "--outdir", out, file)
	if said, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("LibreOffice: %w: %.200s", err, said)
	}
	name := filepath.Base(file)
	made := filepath.Join(out, strings.TrimSuffix(name, filepath.Ext(name))+"."+kind)
	_, err = os.Stat(made)
	return made, err
}

// documents makes the files of which pages are drawn; empty names where there
// is no LibreOffice to make them.
func (b *bench) documents() (docx, pdf string, err error) {
	text := filepath.Join(b.dir, "twenty.fodt")
	if err := os.WriteFile(text, twentyPages(), 0o644); err != nil {
		return "", "", err
	}
	if docx, err = b.office(text, "docx"); err == nil {
		pdf, err = b.office(text, "pdf")
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", "", nil
	}
	return docx, pdf, err
}

// pages measures what a mail with a PDF costs, how long a document of twenty
// pages takes to be drawn by a gateway that runs, and the command line beside
// the programs that people use instead.
func (b *bench) pages(want func(string) bool) error {
	docx, pdf, err := b.documents()
	switch {
	case err != nil:
		return err
	case docx == "":
		fmt.Printf("\npdf, pages, peers: not run, LibreOffice is not installed (it makes the documents)\n")
		return nil
	}
	if want("pdf") {
		if err := b.mailsWithPDF(pdf); err != nil {
			return err
		}
	}
	if want("pages") {
		if err := b.warmPages(docx, pdf); err != nil {
			return err
		}
	}
	if want("peers") {
		return b.peersOfPages(docx, pdf)
	}
	return nil
}

func (b *bench) mailsWithPDF(pdf string) error {
	data, err := os.ReadFile(pdf)
	if err != nil {
		return err
	}
	mail := attached("report.pdf", "application/pdf", data, 0)
	g, err := b.startGateway()
	if err != nil {
		return err
	}
	fmt.Printf("\nsekisho: mail of %.2f MiB with a PDF of 20 pages and 10 photographs, rebuilt\n", float64(len(mail))/(1<<20))
	for _, c := range []int{1, 4} {
		var all []run
		for i := range b.runs + 1 {
			r, loadErr := b.load(g, mail, c, 4*c)
			if err = loadErr; err != nil {
				break
			}
			if i > 0 { // the first warms up
				all = append(all, r)
			}
		}
		if err != nil {
			break
		}
		delivered, cpu := median(all, func(r run) float64 { return r.delivered }), median(all, func(r run) float64 { return r.cpu })
		fmt.Printf("   %2d connections: %7.1f messages/s delivered, %6.0f CPU-ms each (goal 5/s)\n", c, delivered, cpu)
		if err = b.record(figure{Name: fmt.Sprintf("sekisho.pdf.c%d", c), Values: map[string]float64{"delivered_per_s": delivered, "cpu_ms": cpu}}); err != nil {
			break
		}
	}
	if err != nil {
		err = fmt.Errorf("mails with a PDF: %w\n%s", err, g.complaints())
	}
	return errors.Join(err, g.stop())
}

// warmPages sends one document at a time to a gateway whose LibreOffice waits.
func (b *bench) warmPages(docx, pdf string) error {
	b.profiles = "profiles:\n  - { name: default, office: [flatten, hold], pdf: [flatten, hold] }\n"
	defer func() { b.profiles = "" }()
	g, err := b.startGateway()
	if err != nil {
		return err
	}
	text := filepath.Join(b.dir, "text.fodt")
	if err = os.WriteFile(text, textPages(), 0o644); err == nil {
		text, err = b.office(text, "pdf")
	}
	fmt.Printf("\nsekisho: a document of 20 pages as pictures, from the first octet to the server behind\n")
	const mime = "application/pdf"
	// What one program needs to draw them and no more, on one processor, says how
	// quick the machine is.
	alone := 0.0
	if err == nil {
		took, cpu, derr := b.timed(text, []string{"pdftoppm", "-r", "150", "-gray", "{in}", "{out}/page"})
		if derr != nil {
			fmt.Printf("   pdftoppm alone: not run: %v\n", derr)
		} else {
			alone = 20 / took
			fmt.Printf("   text, drawn by pdftoppm alone %5.1f pages/s, %5.1f CPU-ms a page\n", alone, 1000*cpu/20)
			err = b.record(figure{Name: "pdftoppm.text", Values: map[string]float64{"pages_per_s": alone, "cpu_ms_page": 1000 * cpu / 20}})
		}
	}
	for _, k := range []struct {
		name, file, mime, goal string
		atOnce                 int
	}{
		{"docx", docx, "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "2.5 s", 1},
		{"pdf", pdf, mime, "none, it has photographs", 1},
		{"text", text, mime, "40 pages/s where pdftoppm alone draws 42", 1},
		{"text", text, mime, "the same, two at a time", 2},
	} {
		if err != nil {
			break
		}
		var data []byte
		if data, err = os.ReadFile(k.file); err != nil {
			break
		}
		mail := attached("report."+k.name, k.mime, data, 0)
		var all []run
		for i := range b.runs + 1 {
			time.Sleep(3 * time.Second)                                // until another LibreOffice waits
			r, loadErr := b.load(g, mail, k.atOnce, k.atOnce*k.atOnce) // one, or two by each of two
			if err = loadErr; err != nil {
				break
			}
			if i > 0 {
				all = append(all, r)
			}
		}
		if err != nil {
			break
		}
		took, cpu := 1/median(all, func(r run) float64 { return r.delivered }), median(all, func(r run) float64 { return r.cpu })
		beside := ""
		if k.name == "text" && alone > 0 {
			beside = fmt.Sprintf(", %.2f x pdftoppm alone", 20/took/alone)
		}
		fmt.Printf("   %-5s %6.2f s each, %5.1f pages/s, %6.2f CPU-s, %5.1f CPU-ms a page (goal %s)%s\n", k.name, took, 20/took, cpu/1000, cpu/20, k.goal, beside)
		err = b.record(figure{Name: fmt.Sprintf("sekisho.pages.%s.%d", k.name, k.atOnce), Values: map[string]float64{"s": took, "cpu_s": cpu / 1000, "pages_per_s": 20 / took, "cpu_ms_page": cpu / 20}})
	}
	if err != nil {
		err = fmt.Errorf("pages: %w\n%s", err, g.complaints())
	}
	return errors.Join(err, g.stop())
}

// peersOfPages runs the command line and other programs over the same two
// documents in turn. The first row of each is what the ratios are to.
func (b *bench) peersOfPages(docx, pdf string) error {
	sekisho := filepath.Join(b.bin, "sekisho")
	fmt.Printf("\none file on the command line, everything started for it: s (median of %d), CPU-s, and how many times that of the first row\n", b.runs)
	for _, k := range []struct {
		what, file string
		rows       [][]string // name, program, arguments
	}{
		{"PDF of 20 pages, written anew", pdf, [][]string{
			{"sekisho, verified", sekisho, "sanitize", "--mode", "rebuild", "--out", "{out}", "{in}"},
			{"mat2", "mat2", "{in}"},
			{"ghostscript pdfwrite", "gs", "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=pdfwrite", "-sOutputFile={out}/x.pdf", "{in}"},
		}},
		{"PDF of 20 pages, as pictures of 150 dpi", pdf, [][]string{
			{"sekisho, verified", sekisho, "sanitize", "--mode", "flatten", "--out", "{out}", "{in}"},
			{"ghostscript jpeg", "gs", "-q", "-dBATCH", "-dNOPAUSE", "-sDEVICE=jpeg", "-r150", "-sOutputFile={out}/x%d.jpg", "{in}"},
			{"ImageMagick", "convert", "-density", "150", "{in}", "{out}/x.pdf"},
		}},
		{"docx of 20 pages", docx, [][]string{
			{"sekisho rebuild, verified", sekisho, "sanitize", "--mode", "rebuild", "--out", "{out}", "{in}"},
			{"mat2", "mat2", "{in}"},
			{"LibreOffice cold, to PDF", "soffice", "-env:UserInstallation=file://{profile}", "--headless", "--convert-to", "pdf", "--outdir", "{out}", "{in}"},
			{"sekisho flatten, verified", sekisho, "sanitize", "--mode", "flatten", "--out", "{out}", "{in}"},
		}},
	} {
		fmt.Printf("   %s\n", k.what)
		first := 0.0
		for _, row := range k.rows {
			took, cpu, err := b.timed(k.file, row[1:])
			if err != nil {
				fmt.Printf("      %-26s not run: %v\n", row[0], err)
				continue
			}
			if first == 0 {
				first = took
			}
			fmt.Printf("      %-26s %7.2f %7.2f  %5.1f x\n", row[0], took, cpu, took/first)
			if err := b.record(figure{Name: "peers." + row[0], Note: k.what, Values: map[string]float64{"s": took, "cpu_s": cpu, "times_first": took / first}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// timed runs a program over a copy of a file, b.runs times and once before.
func (b *bench) timed(file string, row []string) (wall, cpu float64, err error) {
	program, err := exec.LookPath(row[0])
	if err != nil {
		return 0, 0, errors.New("not installed")
	}
	if row[0] == "convert" {
		// Other programs have that name, too.
		if said, err := exec.Command(program, "-version").Output(); err != nil || !bytes.Contains(said, []byte("ImageMagick")) {
			return 0, 0, errors.New("not installed")
		}
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	var walls, cpus []float64
	for i := range b.runs + 1 {
		dir, err := os.MkdirTemp(b.dir, "peer-")
		if err != nil {
			return 0, 0, err
		}
		in := filepath.Join(dir, filepath.Base(file))
		if err := errors.Join(os.WriteFile(in, data, 0o644), os.Mkdir(filepath.Join(dir, "out"), 0o755)); err != nil {
			return 0, 0, err
		}
		names := strings.NewReplacer("{in}", in, "{out}", filepath.Join(dir, "out"), "{profile}", filepath.Join(b.dir, "profile"))
		var args []string
		for _, a := range row[1:] {
			args = append(args, names.Replace(a))
		}
		cmd := exec.Command(program, args...)
		begin := time.Now()
		said, err := cmd.CombinedOutput()
		took := time.Since(begin)
		if err != nil {
			return 0, 0, fmt.Errorf("%w: %.150s", err, bytes.Join(bytes.Fields(said), []byte(" ")))
		}
		if i > 0 {
			walls = append(walls, took.Seconds())
			cpus = append(cpus, (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Seconds())
		}
		if err := os.RemoveAll(dir); err != nil {
			return 0, 0, err
		}
	}
	slices.Sort(walls)
	slices.Sort(cpus)
	return walls[len(walls)/2], cpus[len(cpus)/2], nil
}
