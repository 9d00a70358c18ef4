package worker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// warm is a Tools with n spares that wait.
func warm(tb testing.TB, t *Tools, n int) *Tools {
	tb.Helper()
	t.Spares = n
	tb.Cleanup(t.Close)
	t.Warm()
	await(tb, t, n)
	return t
}

// await waits until n spares wait.
func await(tb testing.TB, t *Tools, n int) {
	tb.Helper()
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(10 * time.Millisecond) {
		t.mu.Lock()
		have, failed := len(t.waiting), t.failed
		t.mu.Unlock()
		if have >= n {
			return
		}
		if failed >= spareTries || time.Now().After(deadline) {
			tb.Fatalf("%d of %d spares wait, %d starts failed", have, n, failed)
		}
	}
}

func TestASpareServesOneDocumentNeedsTools(t *testing.T) {
	tools := warm(t, realTools(t, soffice), 1)
	c, _ := ask(t, tools)
	for i, k := range []struct {
		call sanitize.ToolCall
		in   []byte
		want string
	}{
		{sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, corpus.Word("本文", false), "%PDF-"},
		{sanitize.ToolCall{Tool: sanitize.OfficeToXLSX, Source: sanitize.FromXLSX}, corpus.Excel("申請", false), "PK\x03\x04"},
		{sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromRTF}, []byte(`{\rtf1\ansi hello}`), "PK\x03\x04"},
	} {
		await(t, tools, 1)
		tools.mu.Lock()
		s := tools.waiting[0]
		tools.mu.Unlock()
		out, err := call(t, c, k.call, k.in)
		if err != nil || !strings.HasPrefix(string(out), k.want) {
			t.Errorf("%d: %d octets %.10q, %v", i, len(out), out, err)
		}
		select {
		case <-s.Done():
		default:
			t.Errorf("%d: the spare lives on", i)
		}
		if s.said == "" {
			t.Errorf("%d: it was not the spare that made it", i)
		}
	}
	// What it cannot open it says no differently from one that was started for it.
	await(t, tools, 1)
	if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToDOCX, Source: sanitize.FromDOCX}, corpus.Word("x", false)[:700]); !errors.Is(err, sanitize.ErrTool) {
		t.Errorf("a truncated document: %d octets, %v", len(out), err)
	}
}

// TestAProgramThatNeverWaitsIsNoSpareNeedsNamespaces: whatever such a start
// does, the document is converted by one of its own.
func TestAProgramThatNeverWaitsIsNoSpareNeedsNamespaces(t *testing.T) {
	dir, err := os.MkdirTemp("", "sekisho-fake-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, script := range map[string]string{
		// What is asked to convert does so, what is asked to wait ends.
		"it ends": `case "$*" in *convert*) echo made > /job/out/in.pdf;; *) exit 0;; esac`,
		"it dies": `case "$*" in *convert*) echo made > /job/out/in.pdf;; *) kill -9 $$;; esac`,
	} {
		path := filepath.Join(dir, strings.ReplaceAll(name, " ", "-"))
		if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
			t.Fatal(err)
		}
		tools := &Tools{Launcher: real, Spares: 1, Programs: map[string]string{officeName: path}, Binds: []string{dir}}
		c, _ := ask(t, tools)
		tools.Warm()
		for range 2 {
			out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, []byte("x"))
			if err != nil || string(out) != "made\n" {
				t.Errorf("%s: %q, %v", name, out, err)
			}
		}
		tools.Close()
		if tools.failed == 0 || tools.failed > spareTries+tools.Spares {
			t.Errorf("%s: %d starts failed", name, tools.failed)
		}
	}
}

func TestASpareThatDiedIsReplacedNeedsTools(t *testing.T) {
	tools := warm(t, realTools(t, soffice), 1)
	tools.mu.Lock()
	tools.waiting[0].Kill()
	tools.mu.Unlock()
	<-tools.waiting[0].Done()
	c, _ := ask(t, tools)
	out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, corpus.Word("本文", false))
	if err != nil || !bytes.HasPrefix(out, []byte("%PDF-")) {
		t.Errorf("%.10q, %v", out, err)
	}
	await(t, tools, 1)
}

func TestASpareIsKilledAtItsLimitNeedsTools(t *testing.T) {
	tools := realTools(t, soffice)
	tools.Time = 200 * time.Millisecond
	warm(t, tools, 1)
	tools.mu.Lock()
	s := tools.waiting[0]
	tools.mu.Unlock()
	c, _ := ask(t, tools)
	long := []byte(`{\rtf1\ansi ` + strings.Repeat(`{\b many words }\par `, 200_000) + `}`)
	begin := time.Now()
	if out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromRTF}, long); !errors.Is(err, sanitize.ErrTool) {
		t.Errorf("%d octets, %v", len(out), err)
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("after %s", took)
	}
	<-s.Done()
	if state, _ := s.Wait(); !errors.Is(state.Err(), sandbox.ErrKilled) {
		t.Errorf("it ended with %v", state.Err())
	}
}

func TestClosedToolsLeaveNoSpareNeedsTools(t *testing.T) {
	tools := warm(t, realTools(t, soffice), 2)
	waiting := tools.waiting
	tools.Close()
	for _, s := range waiting {
		select {
		case <-s.Done():
		default:
			t.Error("a spare lives on")
		}
	}
	tools.Warm()
	tools.Close()
	if n := len(tools.waiting) + tools.starting; n > 0 {
		t.Errorf("%d spares after the end", n)
	}
}

// BenchmarkDocument is a short document as a PDF.
func BenchmarkDocument(b *testing.B) {
	doc := corpus.Word(strings.Repeat("住民票の写しの交付を申請します。", 40), false)
	for _, k := range []struct {
		name   string
		spares int
	}{{"cold", 0}, {"warm", 1}} {
		b.Run(k.name, func(b *testing.B) {
			tools := realTools(b, soffice)
			if k.spares > 0 {
				warm(b, tools, k.spares)
				b.ReportMetric(float64(idle(b, tools))/(1<<20), "MiB-idle")
			}
			for b.Loop() {
				b.StopTimer()
				c, end := ask(b, tools)
				await(b, tools, k.spares)
				b.StartTimer()
				if _, err := call(b, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, doc); err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				if err := end(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// idle is what the first spare occupies while it waits, both processes of it.
func idle(tb testing.TB, t *Tools) int64 {
	tb.Helper()
	t.mu.Lock()
	first := t.waiting[0].Pid()
	t.mu.Unlock()
	all, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		tb.Fatal(err)
	}
	most := proportional(fmt.Sprintf("/proc/%d", first))
	for _, name := range all {
		b, err := os.ReadFile(name)
		if err != nil {
			continue
		}
		// proc(5): the parent is the second word behind the name in brackets.
		_, rest, _ := strings.Cut(string(b), ") ")
		if f := strings.Fields(rest); len(f) > 1 && f[1] == strconv.Itoa(first) {
			most += proportional(filepath.Dir(name))
		}
	}
	return most
}

func TestAnIdleSpareIsSmallNeedsTools(t *testing.T) {
	const most = 100 << 20
	tools := warm(t, realTools(t, soffice), 1)
	if n := idle(t, tools); n == 0 || n > most {
		t.Errorf("a spare that waits occupies %d KiB", n>>10)
	}
}

// manyPages is a PDF of n pages, each with a bar as long as its number. That it
// has no table is repaired by whoever reads it.
func manyPages(n int) []byte {
	var b bytes.Buffer
	kids := ""
	for i := range n {
		kids += fmt.Sprintf(" %d 0 R", 10+2*i)
	}
	fmt.Fprintf(&b, "%%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n2 0 obj\n<</Type/Pages/Kids[%s]/Count %d>>\nendobj\n", kids, n)
	for i := range n {
		bar := fmt.Sprintf("0 0 %d 50 re f", i+1)
		fmt.Fprintf(&b, "%d 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 100 100]/Contents %d 0 R>>\nendobj\n%d 0 obj\n<</Length %d>>\nstream\n%s\nendstream\nendobj\n", 10+2*i, 11+2*i, 11+2*i, len(bar), bar)
	}
	b.WriteString("trailer\n<</Root 1 0 R>>\n%%EOF\n")
	return b.Bytes()
}

func TestManyPagesAreDrawnByTwoAtATimeNeedsTools(t *testing.T) {
	const n = 3*sheaf + 3
	doc := manyPages(n)
	var all [][]byte
	for _, atOnce := range []int{1, 2} {
		tools := realTools(t, "/usr/bin/pdftoppm")
		tools.AtOnce = atOnce
		var told []int
		c, end := askWith(t, tools, &sanitize.Options{Drawn: func(done, of int) {
			if of != n {
				t.Errorf("%d of %d pages", done, of)
			}
			told = append(told, done)
		}})
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: n, DPI: 72}, doc)
		if err == nil {
			err = end()
		}
		if err != nil {
			t.Fatal(err)
		}
		if want := []int{0, sheaf, 2 * sheaf, 3 * sheaf, n}; !slices.Equal(told, want) {
			t.Errorf("told of %d pages, want %d", told, want)
		}
		all = append(all, out)
		if free := len(tools.slots); free != 0 {
			t.Errorf("%d turns were not given back", free)
		}
	}
	const head = len("P6\n100 100\n255\n")
	if len(all[0]) != n*(head+30000) || !bytes.Equal(all[0], all[1]) {
		t.Fatalf("%d and %d octets, want %d", len(all[0]), len(all[1]), n*(head+30000))
	}
	for i := range n {
		row := all[1][i*(head+30000)+head+99*300:][:300]
		if black := bytes.Count(row, []byte{0, 0, 0}); black != i+1 {
			t.Errorf("page %d has a bar of %d", i+1, black)
		}
	}
	// A worker that is gone costs both runs at once.
	tools := realTools(t, "/usr/bin/pdftoppm")
	in, err := memoryFile("in")
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if _, err := in.Write(doc); err != nil {
		t.Fatal(err)
	}
	free, err := tools.turn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	prog, _ := programOf(sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: n, DPI: 300})
	w := &pieces{w: closedPipe(t), most: prog.output}
	if _, err := tools.draw(t.Context(), sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: n, DPI: 300}, time.Minute, in, w, &purse{}); err == nil {
		t.Error("pages went to nobody")
	}
	free()
	if left := len(tools.slots); left != 0 {
		t.Errorf("%d turns were not given back", left)
	}
}

// TestPagesInGreyComeInTheirOrderNeedsTools: of runs beside each other, each of
// which leaves a file a page.
func TestPagesInGreyComeInTheirOrderNeedsTools(t *testing.T) {
	for n, want := range map[int][]int{1: {0, 1}, 7: {0, 4, 7}, 2*sheaf + 3: {0, sheaf, 2 * sheaf, 2*sheaf + 3}} {
		tools := realTools(t, "/usr/bin/pdftocairo")
		tools.AtOnce = 2
		var told []int
		c, end := askWith(t, tools, &sanitize.Options{Drawn: func(done, _ int) { told = append(told, done) }})
		out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFGreys, First: 1, Last: n, DPI: 72}, manyPages(n))
		if err == nil {
			err = end()
		}
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(told, want) {
			t.Errorf("told of %d pages, want %d", told, want)
		}
		pages := greyPages(t, out, 100)
		if len(pages) != n {
			t.Fatalf("%d pages, want %d", len(pages), n)
		}
		for i, p := range pages {
			if black := bytes.Count(p[len(p)-100:], []byte{0}); black != i+1 {
				t.Errorf("page %d has a bar of %d", i+1, black)
			}
		}
	}
	c, _ := ask(t, realTools(t, "/usr/bin/pdftocairo"))
	for what, k := range map[string]sanitize.ToolCall{
		"no document":      {Tool: sanitize.PDFGreys, First: 1, Last: 1, DPI: 72},
		"a page too many":  {Tool: sanitize.PDFGreys, First: 3, Last: 4, DPI: 72},
		"pages of nowhere": {Tool: sanitize.PDFGreys, First: 5, Last: 6, DPI: 72},
	} {
		in := manyPages(3)
		if what == "no document" {
			in = []byte("no document at all")
		}
		if out, err := call(t, c, k, in); !errors.Is(err, sanitize.ErrTool) {
			t.Errorf("%s: %d octets, %v", what, len(out), err)
		}
	}
}

// greyPages are the pixels of pages that come as files behind their lengths, of
// which each has its pixels behind eight octets.
func greyPages(t *testing.T, b []byte, width int) (all [][]byte) {
	t.Helper()
	for len(b) > 16 {
		n, pixels := binary.BigEndian.Uint64(b), binary.LittleEndian.Uint32(b[12:])-8
		if n+8 > uint64(len(b)) || int(pixels) > len(b)-16 {
			t.Fatal("a page is cut short")
		}
		all = append(all, b[16:16+int(pixels)/width*width])
		b = b[8+n:]
	}
	return all
}

// TestLettersLieWhereTheyLayNeedsTools: of a page of Japanese text the two programs
// make pictures that differ by less than a pixel in where letters lie. In squares
// of eight pixels, a third of a letter, that is little.
func TestLettersLieWhereTheyLayNeedsTools(t *testing.T) {
	tools := realTools(t, soffice, "/usr/bin/pdftocairo", "/usr/bin/pdftoppm")
	c, _ := ask(t, tools)
	doc, err := call(t, c, sanitize.ToolCall{Tool: sanitize.OfficeToPDF, Source: sanitize.FromDOCX}, corpus.Word(strings.Repeat("住民票の写しの交付を申請します。Application form 2026, 令和八年度。", 40), false))
	if err != nil {
		t.Fatal(err)
	}
	const dpi, square = 150, 8
	want, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFPixels, First: 1, Last: 1, DPI: dpi, Grey: 1}, doc)
	if err != nil {
		t.Fatal(err)
	}
	var width, height int
	if _, err := fmt.Sscanf(string(want[:20]), "P5\n%d %d\n255", &width, &height); err != nil {
		t.Fatal(err)
	}
	want = want[len(want)-width*height:]
	out, err := call(t, c, sanitize.ToolCall{Tool: sanitize.PDFGreys, First: 1, Last: 1, DPI: dpi}, doc)
	if err != nil {
		t.Fatal(err)
	}
	got := greyPages(t, out, width)[0]
	if len(got) != len(want) {
		t.Fatalf("%d and %d pixels", len(got), len(want))
	}
	sum := func(p []byte, x, y int) (n int) {
		for i := range square {
			for _, v := range p[(y+i)*width+x:][:square] {
				n += 255 - int(v)
			}
		}
		return n
	}
	squares, ink, apart, most := 0, 0, 0, 0
	for y := 0; y+square <= height; y += square {
		for x := 0; x+square <= width; x += square {
			a, b := sum(want, x, y), sum(got, x, y)
			d := max(a-b, b-a)
			squares, ink, apart, most = squares+1, ink+a-b, apart+d, max(most, d)
		}
	}
	of := func(n, squares int) float64 { return 100 * float64(n) / float64(255*square*square*squares) }
	t.Logf("squares differ by %.2f %% in the mean, one by %.1f %%; all of the ink by %.3f %%", of(apart, squares), of(most, 1), of(ink, squares))
	if of(apart, squares) > 1.5 || of(most, 1) > 40 || math.Abs(of(ink, squares)) > 0.1 {
		t.Error("these are other pages")
	}
}

// closedPipe is a file whose reader is gone.
func closedPipe(t *testing.T) *os.File {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	t.Cleanup(func() { w.Close() })
	return w
}
