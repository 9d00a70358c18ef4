package worker

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// ask connects a client to t, as a worker is, and returns it with how the
// broker ended.
func ask(tb testing.TB, t *Tools) (*sanitize.ToolClient, func() error) {
	tb.Helper()
	return askWith(tb, t, &sanitize.Options{})
}

func askWith(tb testing.TB, t *Tools, o *sanitize.Options) (*sanitize.ToolClient, func() error) {
	tb.Helper()
	their, our, err := socketpair()
	if err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- t.serve(tb.Context(), our, func(bool) {}, o) }()
	closed := false
	end := func() error {
		if closed {
			return nil
		}
		closed = true
		their.Close()
		err := <-ended
		our.Close()
		return err
	}
	tb.Cleanup(func() {
		if err := end(); err != nil {
			tb.Errorf("the broker ended with %v", err)
		}
	})
	return &sanitize.ToolClient{Socket: their}, end
}

func call(tb testing.TB, c *sanitize.ToolClient, k sanitize.ToolCall, in []byte) ([]byte, error) {
	tb.Helper()
	k.Size = int64(len(in))
	var out bytes.Buffer
	err := c.Run(tb.Context(), k, bytes.NewReader(in), &out)
	return out.Bytes(), err
}

// realTools are the programs of this machine.
func realTools(tb testing.TB, programs ...string) *Tools {
	tb.Helper()
	for _, p := range programs {
		if _, err := os.Stat(p); err != nil {
			tb.Skipf("skipped: %v", err)
		}
	}
	return &Tools{Launcher: real}
}

const soffice = officeDir + "/soffice.bin"

func TestPDFToolsNeedsTools(t *testing.T) {
	c, _ := ask(t, realTools(t, "/usr/bin/qpdf", "/usr/bin/pdftoppm", "/usr/bin/pdftotext"))
	pdf := corpus.PDF()
	for _, k := range []struct {
		call sanitize.ToolCall
		want string
	}{
		{sanitize.ToolCall{Tool: sanitize.QPDFPlain}, "%PDF-"},
		{sanitize.ToolCall{Tool: sanitize.QPDFCheck}, ""},
		{sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 1, DPI: 36, Grey: 1}, "P5\n298 421\n255\n"},
		{sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 1, Longest: 100}, "P6\n71 100\n255\n"},
		{sanitize.ToolCall{Tool: sanitize.PDFLook, First: 1, Last: 1, DPI: 36}, "P5\n298 421\n255\n"},
		{sanitize.ToolCall{Tool: sanitize.PDFLook, First: 1, Last: 1, Longest: 100}, "P5\n71 100\n255\n"},
		{sanitize.ToolCall{Tool: sanitize.PDFText, First: 1, Last: 1}, "\f"},
		{sanitize.ToolCall{Tool: sanitize.PDFWords, First: 1, Last: 1}, "<!DOCTYPE html"},
	} {
		out, err := call(t, c, k.call, pdf)
		if err != nil || !strings.HasPrefix(string(out), k.want) || k.want == "" && len(out) > 0 {
			t.Errorf("%s: %d octets %.40q, %v", k.call.Tool, len(out), out, err)
		}
	}
	c, _ = ask(t, &Tools{Launcher: real}) // another message
	for _, k := range []sanitize.ToolCall{{Tool: sanitize.QPDFPlain}, {Tool: sanitize.QPDFCheck}, {Tool: sanitize.PDFPixels, First: 1, Last: 1, DPI: 36}, {Tool: sanitize.PDFLook, First: 1, Last: 1, DPI: 36}} {
		if out, err := call(t, c, k, []byte("no document at all")); !errors.Is(err, sanitize.ErrTool) {
			t.Errorf("%s of no document: %d octets, %v", k.Tool, len(out), err)
		}
	}
}

func TestLibreOfficeConvertsNeedsTools(t *testing.T) {
	c, _ := ask(t, realTools(t, soffice))
	for _, k := range []struct {
		name string
		call sanitize.ToolCall
		in   []byte
		want string // a member of what comes back
	}{
		{"RTF", sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromRTF}, []byte(`{\rtf1\ansi hello}`), "word/document.xml"},
		{"a sheet", sanitize.ToolCall{Tool: sanitize.OfficeToXLSX, Source: sanitize.FromXLSX}, corpus.Excel("申請", false), "xl/workbook.xml"},
		{"Excel 2003 by the second parser", sanitize.ToolCall{Tool: sanitize.OfficeToXLSX, Source: sanitize.FromExcel2003Again}, []byte(`<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet" xmlns:ss="urn:schemas-microsoft-com:office:spreadsheet"><Worksheet ss:Name="a"><Table><Row><Cell><Data ss:Type="String">申請</Data></Cell></Row></Table></Worksheet></Workbook>`), "xl/worksheets/sheet1.xml"},
		{"a document as pages", sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, corpus.Word("本文", false), ""},
	} {
		out, err := call(t, c, k.call, k.in)
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		if k.want == "" {
			if !bytes.HasPrefix(out, []byte("%PDF-")) {
				t.Errorf("%s: %.20q", k.name, out)
			}
			continue
		}
		z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
		if err != nil {
			t.Errorf("%s: %v", k.name, err)
			continue
		}
		if _, err := z.Open(k.want); err != nil {
			t.Errorf("%s: %v", k.name, err)
		}
	}
	// It lies about success; what it does not write is what counts.
	if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromDOCX}, corpus.Word("x", false)[:700]); !errors.Is(err, sanitize.ErrTool) {
		t.Errorf("a truncated document: %d octets, %v", len(out), err)
	}
}

// TestLibreOfficeFetchesNothingNeedsTools gives it documents that name a
// listener here and a file here.
func TestLibreOfficeFetchesNothingNeedsTools(t *testing.T) {
	tools := realTools(t, soffice)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hits := make(chan string, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			hits <- c.RemoteAddr().String()
			c.Close()
		}
	}()
	secret := filepath.Join(t.TempDir(), "secret.png")
	if err := os.WriteFile(secret, corpus.PNG(), 0o644); err != nil {
		t.Fatal(err)
	}
	flat := func(href string) []byte {
		return []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:mimetype="application/vnd.oasis.opendocument.text" office:version="1.2"><office:body><office:text><text:p>words that stay<draw:frame draw:name="a" svg:width="2cm" svg:height="2cm" text:anchor-type="as-char"><draw:image xlink:href="` + href + `" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/></draw:frame></text:p></office:text></office:body></office:document>`)
	}
	c, _ := ask(t, tools)
	for _, href := range []string{"http://" + l.Addr().String() + "/a.png", "file://" + secret, "file:///etc/passwd"} {
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromFODT}, flat(href))
		if err != nil {
			t.Errorf("%s: %v", href, err)
			continue
		}
		z, err := zip.NewReader(bytes.NewReader(out), int64(len(out)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range z.File {
			if strings.HasPrefix(f.Name, "word/media/") && f.UncompressedSize64 > 0 {
				t.Errorf("%s: %s came back", href, f.Name)
			}
		}
	}
	select {
	case h := <-hits:
		t.Errorf("somebody called from %s", h)
	default:
	}
}

func TestWithoutToolsEveryCallSaysSo(t *testing.T) {
	c, _ := ask(t, &Tools{none: true})
	for range 3 {
		if _, err := call(t, c, sanitize.ToolCall{Tool: sanitize.QPDFCheck}, []byte("x")); !errors.Is(err, sanitize.ErrNoTool) {
			t.Errorf("%v", err)
		}
	}
	missing := &Tools{Launcher: real, Programs: map[string]string{"qpdf": "/usr/bin/no-such-program"}}
	d, _ := ask(t, missing)
	if _, err := call(t, d, sanitize.ToolCall{Tool: sanitize.QPDFCheck}, []byte("x")); !errors.Is(err, sanitize.ErrNoTool) {
		t.Errorf("%v", err)
	}
}

func TestTheClockStandsStillWhileATurnIsAwaited(t *testing.T) {
	ctx, clock, cancel := withPatience(t.Context(), time.Hour)
	defer cancel()
	clock.pause(true)
	clock.mu.Lock()
	clock.left = 0 // all of it was used before
	clock.mu.Unlock()
	if ctx.Err() != nil {
		t.Fatal("it went on")
	}
	clock.pause(false)
	<-ctx.Done()
	if err := context.Cause(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
}

// BenchmarkToolStart is by a process of 100 MiB, such as the daemon.
func BenchmarkToolStart(b *testing.B) {
	ballast := make([]byte, 100<<20)
	for i := 0; i < len(ballast); i += 4096 {
		ballast[i] = 1
	}
	starter := &sandbox.Starter{Path: real}
	defer starter.Close()
	for name, s := range map[string]*sandbox.Starter{"itself": nil, "starter": starter} {
		b.Run(name, func(b *testing.B) {
			tools := &Tools{Starter: s, Launcher: real, Programs: map[string]string{"qpdf": "/bin/true"}}
			for b.Loop() {
				c, end := ask(b, tools)
				if _, err := call(b, c, sanitize.ToolCall{Tool: sanitize.QPDFCheck}, []byte("x")); err != nil {
					b.Fatal(err)
				}
				if err := end(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	runtime.KeepAlive(ballast)
}

func TestToolsSayWhatTheyAre(t *testing.T) {
	missing := (&Tools{Launcher: real, Programs: map[string]string{"qpdf": "/usr/bin/no-such-program", "pdftoppm": "/bin/false"}}).Look(t.Context())
	for _, i := range missing {
		switch {
		case i.Name == "qpdf" && !errors.Is(i.Err, sandbox.ErrNoTool):
			t.Errorf("%+v", i)
		case i.Name == "pdftoppm" && i.Err == nil:
			t.Errorf("%+v", i)
		case i.Name == "opj_decompress" && i.Err == nil && !strings.Contains(i.Version, "library v"): // in its third line
			t.Errorf("%+v", i)
		case i.Name == "libreoffice" && i.Err == nil && !strings.HasPrefix(i.Version, "LibreOffice "):
			t.Errorf("%+v", i)
		}
	}
	if !slices.ContainsFunc(missing, func(i Installed) bool { return i.Name == "pdftocairo" }) {
		t.Errorf("nothing of pdftocairo: %+v", missing)
	}
	dir := t.TempDir()
	if _, err := indexAge(dir, time.Now()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no list: %v", err)
	}
	list := filepath.Join(dir, "deb_Packages")
	if err := os.WriteFile(list, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	if err := os.Chtimes(list, now, now.Add(-40*24*time.Hour)); err != nil {
		t.Fatal(err)
	}
	if age, err := indexAge(dir, now); err != nil || age.Round(time.Hour) != 40*24*time.Hour {
		t.Errorf("%s, %v", age, err)
	}
}

func TestPictureToolsNeedsTools(t *testing.T) {
	c, _ := ask(t, realTools(t, "/usr/bin/opj_decompress", "/usr/bin/gs", "/usr/bin/opj_compress"))
	dir := t.TempDir()
	ppm := append([]byte("P6\n4 2\n255\n"), bytes.Repeat([]byte{250, 20, 30}, 8)...)
	from, to := filepath.Join(dir, "a.ppm"), filepath.Join(dir, "a.j2k")
	if err := os.WriteFile(from, ppm, 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("opj_compress", "-n", "1", "-i", from, "-o", to).CombinedOutput(); err != nil {
		t.Fatalf("opj_compress: %v: %s", err, said)
	}
	j2k, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.JP2Pixels}, j2k)
	if err != nil || !bytes.HasPrefix(out, []byte("P6")) || !bytes.HasSuffix(out, ppm[len(ppm)-24:]) {
		t.Errorf("a code stream: %.60q, %v", out, err)
	}
	const eps = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 10 20 58 44\n0 0 1 setrgbcolor 10 20 48 24 rectfill\n"
	if out, err = call(t, c, sanitize.ToolCall{Tool: sanitize.EPSPixels, DPI: 72}, []byte(eps)); err != nil || !bytes.HasPrefix(out, []byte("P6")) || !bytes.HasSuffix(out, []byte{0, 0, 255}) {
		t.Errorf("an EPS: %.60q, %v", out, err)
	}
	// A program in the file reads no file, writes none and does not loop.
	for what, program := range map[string]string{
		"reads a file":  "(/etc/passwd) (r) file 100 string readstring pop ==",
		"runs a device": "(%pipe%id) (r) file pop",
		"writes a file": "(/job/out/other) (w) file pop",
		"ends early":    "quit",
	} {
		if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.EPSPixels, DPI: 72}, []byte(eps[:len(eps)-1]+"\n"+program)); err == nil && bytes.Contains(out, []byte("root")) || err == nil && what != "ends early" {
			t.Errorf("one that %s: %.60q", what, out)
		}
	}
	for _, k := range []sanitize.ToolCall{{Tool: sanitize.JP2Pixels}, {Tool: sanitize.EPSPixels, DPI: 72}} {
		if out, err := call(t, c, k, []byte("no picture at all")); !errors.Is(err, sanitize.ErrTool) {
			t.Errorf("%s of no picture: %d octets, %v", k.Tool, len(out), err)
		}
	}
}

func TestJPEGXLIsConvertedNeedsTools(t *testing.T) {
	r := Runner{Binary: real, Profile: sandbox.Worker(), Tools: realTools(t, "/usr/bin/djxl", "/usr/bin/cjxl")}
	dir := t.TempDir()
	from, to := filepath.Join(dir, "a.ppm"), filepath.Join(dir, "a.jxl")
	if err := os.WriteFile(from, append([]byte("P6\n40 20\n255\n"), bytes.Repeat([]byte{250, 20, 30}, 800)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if said, err := exec.Command("cjxl", "-d", "0", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cjxl: %v: %s", err, said)
	}
	b, err := os.ReadFile(to)
	if err != nil {
		t.Fatal(err)
	}
	o := options(sanitize.TaskFile)
	o.FileName = "写真.jxl"
	o.Rules[sanitize.ClassImage] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	res, err := r.Run(t.Context(), o, message(t, b))
	if err != nil {
		t.Fatal(err)
	}
	if p := res.Report.Parts[0]; p.OutKind != sanitize.KindPNG || p.Mode != sanitize.Convert {
		t.Fatalf("%+v", p)
	}
	defer res.Output.Close()
	m, err := png.Decode(io.NewSectionReader(res.Output, 0, res.Size))
	if err != nil {
		t.Fatal(err)
	}
	if r, g, bl, _ := m.At(20, 10).RGBA(); m.Bounds().Dx() != 40 || r>>8 != 250 || g>>8 != 20 || bl>>8 != 30 {
		t.Errorf("%v, %v", m.Bounds(), m.At(20, 10))
	}
	for _, k := range []string{"no picture at all", ""} {
		c, _ := ask(t, realTools(t))
		if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.JXLPNG}, []byte(k)); !errors.Is(err, sanitize.ErrTool) {
			t.Errorf("%q: %d octets, %v", k, len(out), err)
		}
	}
}

func TestADrawingOfWindowsIsDrawnNeedsTools(t *testing.T) {
	r := Runner{Binary: real, Profile: sandbox.Worker(), Tools: realTools(t, soffice, "/usr/bin/pdftoppm")}
	o := options(sanitize.TaskFile)
	o.FileName = "図.wmf"
	o.Rules[sanitize.ClassImage] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	res, err := r.Run(t.Context(), o, message(t, corpus.WMF()))
	if err != nil {
		t.Fatal(err)
	}
	p := res.Report.Parts[0]
	if p.OutKind != sanitize.KindPNG || p.Mode != sanitize.Convert {
		t.Fatalf("%+v", p)
	}
	defer res.Output.Close()
	m, err := png.Decode(io.NewSectionReader(res.Output, 0, res.Size))
	if err != nil {
		t.Fatal(err)
	}
	// An inch by half an inch is drawn 600 pixels wide, so that it is legible.
	if b := m.Bounds(); b.Dx() < 595 || b.Dx() > 605 || b.Dy() < 297 || b.Dy() > 303 {
		t.Errorf("it is %v", b)
	}
	red, _, blue, _ := m.At(150, 150).RGBA()
	right, _, _, _ := m.At(450, 150).RGBA()
	if _, _, white, _ := m.At(450, 150).RGBA(); red>>8 < 200 || blue>>8 > 50 || right>>8 < 200 || white>>8 < 200 {
		t.Errorf("left %v, right %v", m.At(150, 150), m.At(450, 150))
	}
}
