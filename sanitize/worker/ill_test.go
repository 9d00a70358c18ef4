package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

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
