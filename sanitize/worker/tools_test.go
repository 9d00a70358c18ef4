package worker

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
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

func TestCallsOutOfTurnEndTheWorker(t *testing.T) {
	good := sanitize.ToolCall{Tool: sanitize.QPDFCheck}
	for name, write := range map[string]func(io.Writer) error{
		"an unknown tool": func(w io.Writer) error { return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: 99}) },
		"no tool":         func(w io.Writer) error { return sanitize.WriteFrame(w, sanitize.ToolCall{}) },
		"a resolution": func(w io.Writer) error {
			return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 1, DPI: 5000})
		},
		"two resolutions": func(w io.Writer) error {
			return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 1, DPI: 72, Longest: 72})
		},
		"pages backwards": func(w io.Writer) error {
			return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: sanitize.PDFText, First: 2, Last: 1})
		},
		"too many pages": func(w io.Writer) error {
			return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: sanitize.PDFText, First: 1, Last: 501})
		},
		"an unknown source": func(w io.Writer) error {
			return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: 99})
		},
		"a source for qpdf": func(w io.Writer) error {
			return sanitize.WriteFrame(w, sanitize.ToolCall{Tool: sanitize.QPDFCheck, Source: 1})
		},
		"a negative size": func(w io.Writer) error { k := good; k.Size = -1; return sanitize.WriteFrame(w, k) },
		"a large size":    func(w io.Writer) error { k := good; k.Size = 1 << 40; return sanitize.WriteFrame(w, k) },
		"a negative part": func(w io.Writer) error { k := good; k.Part = -1; return sanitize.WriteFrame(w, k) },
		"a field of its own": func(w io.Writer) error {
			return sanitize.WriteFrame(w, struct {
				sanitize.ToolCall
				Path string
			}{good, "/bin/sh"})
		},
		"words":        func(w io.Writer) error { _, err := io.WriteString(w, "\x00\x00\x00\x05hello"); return err },
		"a long frame": func(w io.Writer) error { _, err := io.WriteString(w, "\xff\xff\xff\xff"); return err },
		"before its answer": func(w io.Writer) error {
			if err := sanitize.WriteFrame(w, good); err != nil {
				return err
			}
			return sanitize.WriteFrame(w, good)
		},
	} {
		their, our, err := socketpair()
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			ended <- (&Tools{none: name == "before its answer"}).serve(t.Context(), our, func(bool) {}, &sanitize.Options{})
		}()
		if name == "before its answer" {
			// Both calls are there before the first is read.
			our.Close()
			their.Close()
			<-ended
			if their, our, err = socketpair(); err != nil {
				t.Fatal(err)
			}
			if err := write(their); err != nil {
				t.Fatal(err)
			}
			go func() { ended <- (&Tools{none: true}).serve(t.Context(), our, func(bool) {}, &sanitize.Options{}) }()
		} else if err := write(their); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, ErrOutOfTurn) {
			t.Errorf("%s: %v", name, err)
		}
		their.Close()
		our.Close()
	}
}

func TestAMessageMayAskOnlySoOften(t *testing.T) {
	p := purse{parts: map[int]int{}}
	for part := range 8 {
		for n := range toolRunsPart {
			if _, err := p.charge(sanitize.ToolCall{Part: part}, time.Minute); err != nil {
				t.Fatalf("part %d, run %d: %v", part, n, err)
			}
		}
		if _, err := p.charge(sanitize.ToolCall{Part: part}, time.Minute); err == nil {
			t.Errorf("part %d may ask once more", part)
		}
	}
	if _, err := p.charge(sanitize.ToolCall{Part: 100}, time.Minute); err == nil {
		t.Error("the message may ask once more")
	}
	// Looks at what was rebuilt do not count among them.
	for n := range toolLooks {
		if _, err := p.charge(sanitize.ToolCall{Tool: sanitize.PDFLook, Part: 1}, time.Minute); err != nil {
			t.Fatalf("look %d: %v", n, err)
		}
	}
	if _, err := p.charge(sanitize.ToolCall{Tool: sanitize.PDFLook, Part: 1}, time.Minute); err == nil {
		t.Error("it may look once more")
	}
	p = purse{parts: map[int]int{}, cpu: 59 * time.Second}
	if cpu, err := p.charge(sanitize.ToolCall{Part: 1}, time.Minute); err != nil || cpu != time.Second {
		t.Errorf("%s, %v", cpu, err)
	}
	p.cpu = 59*time.Second + 1
	if _, err := p.charge(sanitize.ToolCall{Part: 1}, time.Minute); err == nil {
		t.Error("processor time is lent")
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

// TestAnIllConverterCostsOneFile puts a program in the place of LibreOffice that
// does what ill and captured programs do.
func TestAnIllConverterCostsOneFile(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("skipped: no python3")
	}
	dir, err := os.MkdirTemp("", "sekisho-fake-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	const limit = 2 * time.Second
	for _, k := range []struct {
		name, script string
		ok           bool
	}{
		{"honest", "cp /job/in.rtf /job/out/in.docx", true},
		{"exit 0 without output", "exit 0", false},
		{"exit 139", "echo x > /job/out/in.docx; kill -SEGV $$", false},
		{"status 139", "echo x > /job/out/in.docx; exit 139", false},
		{"failure with an output", "echo x > /job/out/in.docx; exit 1", false},
		{"hang", "sleep 31338", false},
		{"hang, deaf", "trap '' TERM INT HUP XCPU; while :; do sleep 31338; done", false},
		{"10 GiB of memory", "exec python3 -c 'bytearray(10 << 30)'", false},
		{"eats memory slowly", "exec python3 -c 'x=[]\nwhile True: x.append(bytearray(1 << 20))'", false},
		{"fork bomb", "exec python3 -c 'import os\nwhile True:\n try: os.fork()\n except OSError: pass'", false},
		{"10 GB of output", "cat /dev/zero > /job/out/in.docx", false},
		{"output in many files", "i=0; while :; do head -c 1000000 /dev/zero > /job/out/$i || exit 1; i=$((i+1)); done", false},
		{"flood of complaints", "cat /dev/zero >&2", false},
		{"a link", "ln -s /job/in.rtf /job/out/in.docx", false},
		{"a pipe", "mkfifo /job/out/in.docx", false},
		{"a folder", "mkdir /job/out/in.docx", false},
		{"a device", "mknod /job/out/in.docx c 1 5 || exit 0", false},
		{"survives", "cp /job/in.rtf /job/out/in.docx; setsid sleep 31338 & (setsid sleep 31338 &) ; exit 0", true},
		{"writes after its end", "cp /job/in.rtf /job/out/in.docx; (sleep 1; echo evil > /job/out/in.docx) & exit 0", true},
		{"spins", "while :; do :; done", false},
	} {
		t.Run(k.name, func(t *testing.T) {
			fake := filepath.Join(dir, "fake")
			if err := os.WriteFile(fake, []byte("#!/bin/sh\n"+k.script+"\n"), 0o755); err != nil {
				t.Fatal(err)
			}
			tools := &Tools{Launcher: real, Time: limit, Programs: map[string]string{"soffice": fake}, Binds: []string{dir}}
			c, _ := ask(t, tools)
			in := []byte(`{\rtf1 hello}`)
			start := time.Now()
			out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromRTF}, in)
			took := time.Since(start)
			switch {
			case k.ok && (err != nil || !bytes.Equal(out, in)):
				t.Errorf("%q, %v", out, err)
			case !k.ok && !errors.Is(err, sanitize.ErrTool):
				t.Errorf("%d octets, %v", len(out), err)
			case strings.HasPrefix(k.name, "hang") && !errors.Is(err, sanitize.ErrSlow):
				t.Errorf("nobody says that it took too long: %v", err)
			}
			if took > limit+2*time.Second {
				t.Errorf("it took %s", took)
			}
			// The next file is converted as if nothing had been.
			if left := processes(t, "31338", fake); len(left) > 0 {
				t.Errorf("left over: %q", left)
			}
		})
	}
	if err := os.WriteFile(filepath.Join(dir, "fake"), []byte("#!/bin/sh\ncp /job/in.rtf /job/out/in.docx\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	c, _ := ask(t, &Tools{Launcher: real, Programs: map[string]string{"soffice": filepath.Join(dir, "fake")}, Binds: []string{dir}})
	if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromRTF}, []byte("x")); err != nil || string(out) != "x" {
		t.Errorf("afterwards: %q, %v", out, err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || strings.Contains(string(mounts), " /job ") {
		t.Errorf("mounts are left: %v", err)
	}
}

// TestIllDocumentsCostOneFileNeedsTools: the real LibreOffice is given what is no
// document, half of one, and one that takes it longer than it may. Each ends
// within its limit, as a failure or as whatever could be read, and nothing of it
// is left running.
func TestIllDocumentsCostOneFileNeedsTools(t *testing.T) {
	noise := make([]byte, 20_000)
	x := uint32(1)
	for i := range noise {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		noise[i] = byte(x)
	}
	whole := corpus.Word("本文", false)
	const limit = 20 * time.Second
	for _, k := range []struct {
		name   string
		source sanitize.Source
		in     []byte
		limit  time.Duration
	}{
		{"junk", sanitize.FromDOCX, noise, limit},
		{"junk called doc", sanitize.FromDOC, append([]byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), noise...), limit},
		{"broken", sanitize.FromDOCX, whole[:len(whole)/2], limit},
		{"nothing", sanitize.FromRTF, nil, limit},
		{"bomb", sanitize.FromRTF, []byte(`{\rtf1\ansi ` + strings.Repeat(`{\b many words }\par `, 200_000) + `}`), time.Second},
		{"deep", sanitize.FromRTF, []byte(`{\rtf1\ansi ` + strings.Repeat(`{`, 500_000)), limit},
	} {
		t.Run(k.name, func(t *testing.T) {
			tools := realTools(t, soffice)
			tools.Time = k.limit
			c, _ := ask(t, tools)
			before := len(childrenOf(t))
			start := time.Now()
			out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: k.source}, k.in)
			took := time.Since(start)
			if err == nil && !bytes.HasPrefix(out, []byte("%PDF-")) || err != nil && !errors.Is(err, sanitize.ErrTool) {
				t.Errorf("%d octets %.10q, %v", len(out), out, err)
			}
			if k.name == "bomb" && err == nil {
				t.Error("the bomb was done in time")
			}
			if took > k.limit+2*time.Second {
				t.Errorf("it took %s", took)
			}
			if after := childrenOf(t); len(after) > before {
				t.Errorf("left over: %q", after)
			}
			t.Logf("%s: %d octets, %v", took.Round(time.Millisecond), len(out), err)
		})
	}
}

// childrenOf are the processes that this one has.
func childrenOf(t testing.TB) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // gone
		}
		// The name, in brackets, may hold anything; state and parent follow it.
		fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
		if len(fields) > 1 && fields[1] == fmt.Sprint(os.Getpid()) {
			found = append(found, string(b[:bytes.LastIndexByte(b, ')')+1]))
		}
	}
	return found
}

// processes are the command lines that hold one of the words.
func processes(t testing.TB, words ...string) []string {
	t.Helper()
	var left []string
	names, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := os.ReadFile(name)
		if err != nil || strings.Contains(string(b), "--tool=") {
			continue // gone, or the order of the first process itself
		}
		for _, w := range words {
			if strings.Contains(string(b), w) {
				left = append(left, fmt.Sprintf("%s: %q", name, b))
			}
		}
	}
	return left
}

// TestToolsEndWithTheirWorker: nobody waits for an answer any more.
func TestToolsEndWithTheirWorker(t *testing.T) {
	dir := t.TempDir()
	fake := filepath.Join(dir, "fake")
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(fake, []byte("#!/bin/sh\nsleep 31339\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	tools := &Tools{Launcher: real, Programs: map[string]string{"qpdf": fake}, Binds: []string{dir}}
	their, our, err := socketpair()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- tools.serve(ctx, our, func(bool) {}, &sanitize.Options{}) }()
	if err := sanitize.WriteFrame(their, sanitize.ToolCall{Tool: sanitize.QPDFCheck}); err != nil {
		t.Fatal(err)
	}
	for range 200 {
		if len(processes(t, "31339")) > 0 {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	their.Close()
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	our.Close()
	if left := processes(t, "31339"); len(left) > 0 {
		t.Errorf("left over: %q", left)
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

// TestWhatEitherFindsUnfitIsUnfit puts programs in the places of the two that
// look at a rebuilt PDF.
func TestWhatEitherFindsUnfitIsUnfit(t *testing.T) {
	for _, k := range []struct {
		qpdf, pdftoppm string
		atOnce         int
		want           error
	}{
		{"/bin/true", "/bin/true", 2, nil}, {"/bin/true", "/bin/true", 1, nil},
		{"/bin/false", "/bin/true", 2, sanitize.ErrTool}, {"/bin/false", "/bin/true", 1, sanitize.ErrTool},
		{"/bin/true", "/bin/false", 2, sanitize.ErrTool}, {"/bin/true", "/bin/false", 1, sanitize.ErrTool},
		{"/usr/bin/no-such-program", "/bin/true", 2, sanitize.ErrNoTool}, {"/bin/true", "/usr/bin/no-such-program", 1, sanitize.ErrNoTool},
	} {
		c, _ := ask(t, &Tools{Launcher: real, AtOnce: k.atOnce, Programs: map[string]string{"qpdf": k.qpdf, "pdftoppm": k.pdftoppm}})
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFLook, First: 1, Last: 1, DPI: 36}, []byte("x"))
		if !errors.Is(err, k.want) || len(out) > 0 {
			t.Errorf("%s and %s, %d at once: %q, %v", k.qpdf, k.pdftoppm, k.atOnce, out, err)
		}
	}
}

func BenchmarkLook(b *testing.B) {
	c, _ := ask(b, realTools(b, "/usr/bin/qpdf", "/usr/bin/pdftoppm"))
	pdf := corpus.PDF()
	for n := 0; b.Loop(); n++ {
		if n%toolLooks == 0 {
			c, _ = ask(b, realTools(b))
		}
		if _, err := call(b, c, sanitize.ToolCall{Tool: sanitize.PDFLook, First: 1, Last: 1, DPI: 36}, pdf); err != nil {
			b.Fatal(err)
		}
	}
}

func TestToolsSayWhatTheyAre(t *testing.T) {
	missing := (&Tools{Launcher: real, Programs: map[string]string{"qpdf": "/usr/bin/no-such-program", "pdftoppm": "/bin/false"}}).Look(t.Context())
	for _, i := range missing {
		switch {
		case i.Name == "qpdf" && !errors.Is(i.Err, sandbox.ErrNoTool):
			t.Errorf("%+v", i)
		case i.Name == "pdftoppm" && i.Err == nil:
			t.Errorf("%+v", i)
		case i.Name == "libreoffice" && i.Err == nil && !strings.HasPrefix(i.Version, "LibreOffice "):
			t.Errorf("%+v", i)
		}
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

// TestWhoOnlyLooksGetsNoTools: verify and detection treat nothing, and a
// captured one could ask for much.
func TestWhoOnlyLooksGetsNoTools(t *testing.T) {
	r := Runner{Tools: &Tools{}}
	for _, task := range []sanitize.Task{sanitize.TaskMail, sanitize.TaskFile} {
		if r.toolsFor(task) != r.Tools {
			t.Errorf("task %d gets no tools", task)
		}
	}
	for _, task := range []sanitize.Task{0, sanitize.TaskVerifyMail, sanitize.TaskVerifyFile, sanitize.TaskDetect, 99} {
		if !r.toolsFor(task).none {
			t.Errorf("task %d gets tools", task)
		}
	}
	if !(&Runner{}).toolsFor(sanitize.TaskMail).none {
		t.Error("a runner without tools hands out some")
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
