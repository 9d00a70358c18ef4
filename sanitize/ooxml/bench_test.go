package ooxml

import (
	"bytes"
	"context"
	"io"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

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

func benchmark(b *testing.B, p *pkg) {
	in := p.bytes(b)
	total := int64(0)
	for _, m := range p.members {
		total += int64(len(m))
	}
	b.SetBytes(total)
	b.ReportAllocs()
	for b.Loop() {
		s := newSession(len(in), func(o *sanitize.Options) { o.Limits.Ratio = 10000 })
		if _, err := (Sanitizer{}).Sanitize(b.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in))}, io.Discard); err != nil {
			b.Fatal(err)
		}
	}
}

const paragraph = `<w:p w:rsidR="00A77B3E" w:rsidRDefault="00A77B3E"><w:pPr><w:pStyle w:val="Normal"/><w:jc w:val="both"/></w:pPr><w:r><w:rPr><w:rFonts w:ascii="ＭＳ 明朝" w:hint="eastAsia"/><w:sz w:val="21"/></w:rPr><w:t xml:space="preserve">物価高騰対応重点支援地方創生臨時交付金の申請について、下記のとおり提出します。</w:t></w:r></w:p>`

// BenchmarkWord is MB/s of the text of a long document.
func BenchmarkWord(b *testing.B) { benchmark(b, docx(strings.Repeat(paragraph, 10000))) }

// BenchmarkSheet is MB/s of cells, a third of them formulas.
func BenchmarkSheet(b *testing.B) {
	benchmark(b, xlsx(strings.Repeat(cellsOfRow, 40000), "", ""))
}

const cellsOfRow = `<c r="A1" s="3"><v>12345.678</v></c><c r="B1" t="s"><v>17</v></c><c r="C1"><f>SUM(A1:B1)*1.1</f><v>13580.2</v></c>`

// BenchmarkSmallWord is one document of some 30 kB of ordinary parts.
func BenchmarkSmallWord(b *testing.B) { benchmark(b, smallWord()) }

func smallWord() *pkg {
	p := docx(strings.Repeat(paragraph, 300))
	styles := `<w:styles ` + nsW + `>` + strings.Repeat(`<w:style w:type="paragraph" w:styleId="a1"><w:name w:val="heading 1"/><w:pPr><w:keepNext/></w:pPr><w:rPr><w:sz w:val="28"/></w:rPr></w:style>`, 200) + `</w:styles>`
	p.add("word/styles.xml", typeWord+"styles+xml", styles).rel(p.main, "rId1", relO+"styles", "styles.xml")
	p.add("word/settings.xml", typeWord+"settings+xml", `<w:settings `+nsW+`><w:zoom w:percent="100"/></w:settings>`).rel(p.main, "rId2", relO+"settings", "settings.xml")
	p.add("word/theme/theme1.xml", "application/vnd.openxmlformats-officedocument.theme+xml", `<a:theme `+nsA+`>`+strings.Repeat(`<a:font script="Jpan" typeface="游明朝"/>`, 150)+`</a:theme>`).rel(p.main, "rId3", relO+"theme", "theme/theme1.xml")
	return p
}

// lookAt measures the second look at what became of a package.
func lookAt(b *testing.B, p *pkg) {
	in := p.bytes(b)
	out, res, _, err := treat(in, func(o *sanitize.Options) { o.Limits.Ratio = 100000 })
	if err != nil {
		b.Fatal(err)
	}
	size := 0
	for _, c := range unpack(b, out) {
		size += len(c)
	}
	b.SetBytes(int64(size))
	b.ReportAllocs()
	for b.Loop() {
		s := newSession(len(out), func(o *sanitize.Options) { o.Limits.Ratio = 100000 })
		if err := verify.File(context.Background(), s, res.Kind, bytes.NewReader(out), int64(len(out))); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLookAtWord(b *testing.B)      { lookAt(b, docx(strings.Repeat(paragraph, 10000))) }
func BenchmarkLookAtSheet(b *testing.B)     { lookAt(b, xlsx(strings.Repeat(cellsOfRow, 40000), "", "")) }
func BenchmarkLookAtSmallWord(b *testing.B) { lookAt(b, smallWord()) }
