package odf_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/sanitize"
	"sekisho/sanitize/all"
	"sekisho/sanitize/odf"
)

// fuzzOne holds a document against the four properties: no panic, within the
// budget, an output of a kind that is detected, and a second run that finds
// nothing and changes nothing.
func fuzzOne(t *testing.T, b []byte) {
	tight := func(o *sanitize.Options) {
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
	}
	out, p, err := treat(t.Context(), b, tight)
	if err != nil {
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported, sanitize.ErrWithheld} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Fatalf("an error of no kind: %v", err)
	}
	if p.Kind.Class() != sanitize.ClassOffice {
		return // the mutation made something else of it
	}
	if len(out) > 4<<20 {
		t.Fatalf("%d bytes written", len(out))
	}
	check(t, "output", out, p.OutKind)
}

func FuzzPackage(f *testing.F) {
	for _, c := range cases {
		f.Add(c.in(f))
	}
	for _, c := range hostile {
		f.Add(c.in(f))
	}
	f.Fuzz(fuzzOne)
}

// FuzzContent mutates the content alone, inside an archive that is sound.
func FuzzContent(f *testing.F) {
	for _, c := range cases {
		s := text(f, c.in(f))
		if _, part, ok := strings.Cut(s, "== content.xml\n"); ok {
			part, _, _ = strings.Cut(part, "\n== ")
			f.Add(part)
		} else if strings.HasPrefix(s, "<?xml") {
			f.Add(s)
		}
	}
	f.Fuzz(func(t *testing.T, content string) {
		if strings.Contains(content, "office:document ") {
			fuzzOne(t, []byte(content))
			return
		}
		fuzzOne(t, (&file{media: prefix + "spreadsheet"}).add("content.xml", content).add("Pictures/a.png", pngBytes()).add("Object 1/content.xml", `<m:math xmlns:m="http://www.w3.org/1998/Math/MathML"/>`).bytes(t))
	})
}

// peakHeap returns how far the heap grew while f ran.
func peakHeap(t testing.TB, f func()) uint64 {
	t.Helper()
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	var peak atomic.Uint64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-stop:
				return
			case <-tick.C:
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak.Store(max(peak.Load(), m.HeapAlloc))
			}
		}
	}()
	f()
	close(stop)
	<-done
	return max(peak.Load(), before.HeapAlloc) - before.HeapAlloc
}

const cell = `<table:table-cell table:style-name="ce1" table:formula="of:=SUM([.A1:.B2])*1.1" office:value-type="float" office:value="13580.2" calcext:value-type="float"><text:p>13580.2</text:p></table:table-cell><table:table-cell table:style-name="ce1" office:value-type="float" office:value="12345.678"><text:p>12345.678</text:p></table:table-cell><table:table-cell table:style-name="ce2" office:value-type="string"><text:p>物価高騰対応</text:p></table:table-cell>`

func run(t testing.TB, b []byte) {
	s := sanitize.NewSession(options(func(o *sanitize.Options) { o.Limits.Ratio = 10000 }), int64(len(b)), nil, all.Table())
	if _, err := (odf.Sanitizer{}).Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b))}, io.Discard); err != nil {
		t.Fatal(err)
	}
}

func TestLargeSheetNeedsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("writes a sheet of 40 MB; left out of short runs")
	}
	b := ods(strings.Repeat(cell, 80000)).bytes(t)
	if peak := peakHeap(t, func() { run(t, b) }); peak > 16<<20 {
		t.Errorf("took %d MiB", peak>>20)
	}
}

func benchmark(b *testing.B, f *file) {
	in := f.bytes(b)
	total := int64(0)
	for _, m := range f.members {
		total += int64(len(m.content))
	}
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		run(b, in)
	}
}

const paragraph = `<text:p text:style-name="P12"><text:span text:style-name="T3">物価高騰対応重点支援地方創生臨時交付金の申請について、</text:span><text:span text:style-name="T4">下記のとおり提出します。</text:span></text:p>`

// BenchmarkText is MB/s of a long text.
func BenchmarkText(b *testing.B) { benchmark(b, odt(strings.Repeat(paragraph, 20000))) }

// BenchmarkSheet is MB/s of cells, a third of them formulas.
func BenchmarkSheet(b *testing.B) { benchmark(b, ods(strings.Repeat(cell, 20000))) }

// BenchmarkSmallText is one document of some 30 kB.
func BenchmarkSmallText(b *testing.B) {
	styles := `<office:document-styles ` + spaces + `><office:styles>` + strings.Repeat(`<style:style style:name="Heading_20_1" style:family="paragraph"><style:paragraph-properties fo:margin-top="0.42cm"/><style:text-properties fo:font-size="14pt"/></style:style>`, 100) + `</office:styles></office:document-styles>`
	benchmark(b, odt(strings.Repeat(paragraph, 100)).add("styles.xml", styles))
}
