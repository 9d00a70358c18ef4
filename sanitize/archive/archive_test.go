package archive_test

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/text/encoding/japanese"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
	"sekisho/sanitize/archive"
)

// entry is a member of an archive under test.
type entry struct {
	name string // bytes as they stand in the archive
	data []byte
	utf8 bool // say so
	mode fs.FileMode
	flat bool // stored, not deflated
	xtra []byte
}

func pack(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, e := range entries {
		h := &zip.FileHeader{Name: e.name, NonUTF8: !e.utf8, Method: zip.Deflate, Modified: time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC), Extra: e.xtra}
		if e.flat {
			h.Method = zip.Store
		}
		if e.mode != 0 {
			h.SetMode(e.mode)
		}
		w, err := z.CreateHeader(h)
		if err == nil && !strings.HasSuffix(e.name, "/") {
			_, err = w.Write(e.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func file(name, text string) entry { return entry{name: name, data: []byte(text)} }

func options() *sanitize.Options {
	o := &sanitize.Options{Task: sanitize.TaskFile, ID: "-", Now: time.Now(), Language: "ja", FileName: "資料.zip", Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{}}
	for _, c := range []sanitize.Class{sanitize.ClassText, sanitize.ClassCSV, sanitize.ClassImage, sanitize.ClassOffice, sanitize.ClassMessage, sanitize.ClassCalendar, sanitize.ClassArchive, sanitize.ClassHTML} {
		o.Rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	}
	return o
}

func run(t testing.TB, o *sanitize.Options, b []byte) ([]byte, *sanitize.Report, error) {
	t.Helper()
	var out bytes.Buffer
	rep, err := all.Run(t.Context(), o, bytes.NewReader(b), int64(len(b)), &out)
	if err != nil {
		return nil, rep, err
	}
	v := *o
	v.Task, v.KindHint = sanitize.TaskVerifyFile, rep.Parts[0].OutKind
	if _, err := all.Run(t.Context(), &v, bytes.NewReader(out.Bytes()), int64(out.Len()), io.Discard); err != nil {
		t.Errorf("verify: %v", err)
	}
	return out.Bytes(), rep, nil
}

// treat has an archive treated, verified and treated again.
func treat(t testing.TB, b []byte) (map[string]string, *sanitize.Report) {
	t.Helper()
	out, rep, err := run(t, options(), b)
	if err != nil {
		t.Fatal(err)
	}
	again, second, err := run(t, options(), out)
	if err != nil || second.Outcome != sanitize.Clean || !bytes.Equal(out, again) {
		t.Errorf("second pass: %v, outcome %v, equal %v", err, second.Outcome, bytes.Equal(out, again))
	}
	return unpack(t, out), rep
}

func unpack(t testing.TB, b []byte) map[string]string {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	m := map[string]string{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		c, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		if f.Flags&0x800 == 0 {
			t.Errorf("%q is not marked as UTF-8", f.Name)
		}
		m[f.Name] = string(c)
	}
	return m
}

func keys(m map[string]string) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	slices.Sort(ks)
	return ks
}

func sjis(t testing.TB, s string) string {
	t.Helper()
	b, err := japanese.ShiftJIS.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestEveryMemberIsTreatedLikeAnAttachment(t *testing.T) {
	got, rep := treat(t, pack(t,
		entry{name: "a/申請書.docm", data: corpus.Word("本文", true), utf8: true},
		entry{name: "a/b/集計.xlsx", data: corpus.Excel("1", false), utf8: true},
		file("list.csv", "name,phone\r\na,=1+1\r\n"),
		entry{name: "inner.zip", data: pack(t, file("x.txt", "x"))},
		file("readme.txt", "hello"),
	))
	if want := []string{"a/b/集計.xlsx", "a/申請書.docx", "inner.zip", "list.csv", "readme.txt"}; !slices.Equal(keys(got), want) {
		t.Errorf("members %q, want %q", keys(got), want)
	}
	if strings.Contains(got["a/申請書.docx"], corpus.Macro) || !strings.Contains(got["list.csv"], "'=1+1") {
		t.Error("a member is as it was")
	}
	if rep.Outcome != sanitize.Disarmed || rep.Parts[0].Path != "1" || rep.Parts[0].OutKind != sanitize.KindZIP {
		t.Errorf("report %+v", rep.Parts[0])
	}
	if p := rep.Parts[1]; p.Path != "1/1" || p.OutName != "申請書.docx" || p.Kind != sanitize.KindDOCM || p.Fate != sanitize.Delivered {
		t.Errorf("first member %+v", p)
	}
}

func TestNamesAreReadAsTheirSenderMeantThem(t *testing.T) {
	name := "報告書ソ表.txt" // ソ and 表 end in 0x5C
	raw := sjis(t, name)
	crc := crc32.ChecksumIEEE([]byte(raw))
	extra := append([]byte{0x75, 0x70, byte(5 + len(name)), 0, 1, byte(crc), byte(crc >> 8), byte(crc >> 16), byte(crc >> 24)}, name...)
	euc, err := japanese.EUCJP.NewEncoder().Bytes([]byte(name))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		what string
		e    entry
	}{
		{"CP932", entry{name: raw, data: []byte("x")}},
		{"UTF-8 with its flag", entry{name: name, data: []byte("x"), utf8: true}},
		{"UTF-8 without", entry{name: name, data: []byte("x")}},
		{"EUC-JP", entry{name: string(euc), data: []byte("x")}},
		{"a field beside it", entry{name: raw, data: []byte("x"), xtra: extra}},
	} {
		got, rep := treat(t, pack(t, c.e))
		if got[name] == "" || len(got) != 1 || rep.Outcome != sanitize.Clean {
			t.Errorf("%s: %q, %v", c.what, keys(got), rep.Outcome)
		}
	}
}

func TestNamesOfTheWestAreReadAsTheFormatSays(t *testing.T) {
	// 0x82 0x2E is no character of CP932, 0x82 is an e with an accent in CP437.
	if got, _ := treat(t, pack(t, entry{name: "caf\x82.txt", data: []byte("x")})); got["café.txt"] != "x" {
		t.Errorf("members %q", keys(got))
	}
}

func TestNamesAreDefused(t *testing.T) {
	got, rep := treat(t, pack(t,
		entry{name: "請求書\u202etxt.docx", data: corpus.Word("a", false), utf8: true},
		file("dir.exe/CON.txt", "a"),
		file("./here.txt", "a"),
		file(`back\slash.txt`, "a"),
		file("10:30.txt", "a"),
		file("notes.log", "a"),
		file("README", "a"),
	))
	if want := []string{"10_30.txt", "README.txt", "back/slash.txt", "dir_exe/_CON.txt", "here.txt", "notes.log", "請求書txt.docx"}; !slices.Equal(keys(got), want) {
		t.Errorf("members %q, want %q", keys(got), want)
	}
	if rep.Outcome != sanitize.Clean {
		t.Errorf("outcome %v: a name written anew is no news", rep.Outcome)
	}
}

func TestNamesThatBecomeOneAreToldApart(t *testing.T) {
	got, _ := treat(t, pack(t,
		entry{name: "a.docx", data: corpus.Word("1", false)},
		entry{name: "a.docm", data: corpus.Word("2", true)},
		file("a\u200b.txt", "3"),
		file("a.txt", "4"),
		entry{name: "b.docm/c.txt", data: []byte("5")},
		entry{name: "b.docm.docx", data: corpus.Word("6", false)},
	))
	if want := []string{"a (2).docx", "a (2).txt", "a.docx", "a.txt", "b.docx", "b/c.txt"}; !slices.Equal(keys(got), want) {
		t.Errorf("members %q, want %q", keys(got), want)
	}
}

func TestWhatMayNotBecomeAFileIsRemovedAndNotRepeated(t *testing.T) {
	b := pack(t,
		file("ok.txt", "kept"),
		file("../../tmp/EVIL.txt", "x"),
		file("/etc/EVIL.txt", "x"),
		file(`C:\Users\EVIL.txt`, "x"),
		file("a/EVIL\x01.txt", "x"),
		entry{name: "EVIL", data: []byte("/etc/passwd"), mode: fs.ModeSymlink | 0o777},
		file(sjis(t, `表\..\..\EVIL.txt`), "x"),
	)
	out, rep, err := run(t, options(), b)
	if err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, out); len(got) != 1 || got["ok.txt"] != "kept" {
		t.Errorf("members %q", keys(got))
	}
	if rep.Outcome != sanitize.Disarmed || len(rep.Parts) != 8 {
		t.Fatalf("outcome %v, %d parts", rep.Outcome, len(rep.Parts))
	}
	for _, p := range rep.Parts[2:] {
		if p.Fate != sanitize.Dropped || p.Findings[0].Rule != "archive.member" || p.Outcome != sanitize.Refused {
			t.Errorf("%s: %+v", p.Path, p)
		}
		if strings.Contains(fmt.Sprint(p), "EVIL") {
			t.Errorf("%s repeats the name", p.Path)
		}
	}
}

func TestMembersWithoutAHarmlessFormStayOut(t *testing.T) {
	tight := options()
	tight.Limits.Expanded = 1 << 20
	big := bytes.Repeat([]byte("a line of a table\r\n"), 1<<17)
	out, rep, err := run(t, tight, pack(t,
		file("a.txt", "kept"),
		entry{name: "big.txt", data: big},
		entry{name: "secret.zip", data: corpus.EncryptedZIP("a.txt")},
		file("unknown.bin", "\x01\x02\x03\x04\xff\xfe\x00\x00garbage"),
		file("setup.exe", "MZ\x90\x00"+strings.Repeat("\x00", 100)),
		entry{name: "two.zip", data: append(pack(t, file("a.txt", "1")), pack(t, file("b.txt", "2"))...)},
	))
	if err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, out); len(got) != 1 || got["a.txt"] != "kept" {
		t.Errorf("members %q", keys(got))
	}
	for i, want := range []error{nil, nil, sanitize.ErrLimit, sanitize.ErrEncrypted, sanitize.ErrUnsupported, sanitize.ErrWithheld, sanitize.ErrAmbiguous} {
		p := rep.Parts[i]
		if want != nil && (p.Fate != sanitize.KeptBack || !strings.HasSuffix(p.Err, want.Error())) {
			t.Errorf("%s %s: %v, %q, want %v", p.Path, p.Name, p.Fate, p.Err, want)
		}
	}
	if k := rep.Parts[5].Kind; k != sanitize.KindExecutable || !slices.Contains(rep.Parts[0].Inside, k) {
		t.Errorf("the program is %s, inside %v", k, rep.Parts[0].Inside)
	}
}

func TestArchiveOfWhichNothingIsLeftIsRefused(t *testing.T) {
	out, rep, err := run(t, options(), pack(t, file("setup.exe", "MZ\x90\x00"+strings.Repeat("\x00", 100))))
	if !errors.Is(err, sanitize.ErrWithheld) || out != nil {
		t.Errorf("%d bytes, %v", len(out), err)
	}
	if rep.Parts[0].Fate != sanitize.KeptBack || len(rep.Parts) != 2 {
		t.Errorf("parts %+v", rep.Parts)
	}
}

func TestJunkOfFileManagersGoesQuietly(t *testing.T) {
	got, rep := treat(t, pack(t,
		file("a.txt", "a"), entry{name: "empty/"}, file("__MACOSX/._a.txt", "\x00\x05\x16\x07data"), file(".DS_Store", "\x00\x00\x00\x01Bud1"),
		file("d/Thumbs.db", "\xd0\xcf\x11\xe0"), file("d/._b.txt", "\x00\x05\x16\x07data"), file("Icon\r", ""),
	))
	if !slices.Equal(keys(got), []string{"a.txt"}) || rep.Outcome != sanitize.Clean || rep.Changed {
		t.Errorf("members %q, outcome %v", keys(got), rep.Outcome)
	}
}

func TestEmptyArchiveStaysOne(t *testing.T) {
	for _, b := range [][]byte{pack(t), pack(t, entry{name: "empty/"})} {
		if got, rep := treat(t, b); len(got) != 0 || rep.Outcome != sanitize.Clean {
			t.Errorf("%q, %v", keys(got), rep.Outcome)
		}
	}
}

func TestArchiveTwoReadersSeeDifferentlyIsRefused(t *testing.T) {
	one, two := pack(t, file("a.txt", "1")), pack(t, file("b.txt", "2"))
	twice := pack(t, file("a.txt", "1"), file("A.TXT", "2"))
	hidden := append(slices.Clone(one[:len(one)-22]), one[len(one)-22:]...)
	hidden = append(hidden, 0)
	for name, b := range map[string][]byte{"two archives": append(slices.Clone(one), two...), "a name twice": twice, "a byte behind": hidden} {
		if out, _, err := run(t, options(), b); !errors.Is(err, sanitize.ErrAmbiguous) || out != nil {
			t.Errorf("%s: %d bytes, %v", name, len(out), err)
		}
	}
}

func TestMembersAreCountedOverTheWholeMessage(t *testing.T) {
	o := options()
	o.Limits.Entries = 5
	inner := pack(t, file("a.txt", ""), file("b.txt", ""), file("c.txt", ""))
	out, rep, err := run(t, o, pack(t, entry{name: "1.zip", data: inner}, entry{name: "2.zip", data: inner}))
	if err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, out); !slices.Equal(keys(got), []string{"1.zip"}) {
		t.Errorf("members %q", keys(got))
	}
	if p := rep.Parts[len(rep.Parts)-1]; !strings.HasSuffix(p.Err, sanitize.ErrLimit.Error()) {
		t.Errorf("the second is %+v", p)
	}
}

func TestDepthIsBounded(t *testing.T) {
	b := pack(t, file("a.txt", "deep"))
	for range 13 {
		b = pack(t, entry{name: "in.zip", data: b})
	}
	if _, rep, err := run(t, options(), b); !errors.Is(err, sanitize.ErrLimit) || len(rep.Parts) > 7 {
		t.Errorf("%d parts, %v", len(rep.Parts), err)
	}
}

func TestReleaseOfAMemberHoldsOnlyThat(t *testing.T) {
	o := options()
	o.Only = []string{"1/2"}
	out, _, err := run(t, o, pack(t, file("a.txt", "a"), file("b.txt", "b"), file("c.txt", "c")))
	if err != nil {
		t.Fatal(err)
	}
	if got := unpack(t, out); !slices.Equal(keys(got), []string{"b.txt"}) {
		t.Errorf("members %q", keys(got))
	}
}

func TestWrongChecksumRefusesTheArchive(t *testing.T) {
	b := pack(t, entry{name: "a.txt", data: []byte("unmistakable"), flat: true})
	i := bytes.Index(b, []byte("unmistakable"))
	b[i] ^= 1
	if _, _, err := run(t, options(), b); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("%v", err)
	}
}

func TestLargeMemberNeedsLittleMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("treats 150 MB of text; left out of short runs")
	}
	var line [64]byte
	r := rand.New(rand.NewPCG(1, 2))
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	w, err := z.Create("log.txt")
	if err != nil {
		t.Fatal(err)
	}
	for range 150 << 20 / 1024 {
		for i := range line {
			line[i] = 'a' + byte(r.IntN(26))
		}
		line[63] = '\n'
		for range 16 {
			if _, err := w.Write(line[:]); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	o := options()
	in := b.Bytes()
	var before, after runtime.MemStats
	debug.FreeOSMemory()
	runtime.ReadMemStats(&before)
	peak := make(chan uint64)
	stop := make(chan bool)
	go func() {
		var most uint64
		var m runtime.MemStats
		for {
			select {
			case <-stop:
				peak <- most
				return
			case <-time.After(20 * time.Millisecond):
				runtime.ReadMemStats(&m)
				most = max(most, m.HeapAlloc)
			}
		}
	}()
	defer debug.SetGCPercent(debug.SetGCPercent(20))
	n := counter(0)
	_, err = all.Run(t.Context(), o, bytes.NewReader(in), int64(len(in)), &n)
	close(stop)
	most := <-peak
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	// What it holds is the packed output, some 13 MB, twice while it grows.
	if extra := int64(most) - int64(before.HeapAlloc); extra > 80<<20 {
		t.Errorf("took %d MiB for an output of %d MiB", extra>>20, n>>20)
	}
}

type counter int64

func (c *counter) Write(b []byte) (int, error) { *c += counter(len(b)); return len(b), nil }

func TestSharedCorpus(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, err := filepath.Glob(filepath.Join(dir, "corpus", "zip", "*"))
	if err != nil || len(files) == 0 {
		t.Skip("no shared corpus beside the repository; nothing was treated")
	}
	sum := map[string]int{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		o := options()
		o.FileName = filepath.Base(name)
		out, rep, err := run(t, o, b)
		switch {
		case err != nil && out == nil:
			sum["refused"]++
			t.Logf("%s: %s: %v", o.FileName, rep.Parts[0].Kind, err)
		default:
			sum[rep.Outcome.String()]++
			again, second, err := run(t, options(), out)
			// A JPEG is decoded and encoded anew each time.
			picture := slices.ContainsFunc(rep.Parts, func(p sanitize.Part) bool { return p.OutKind == sanitize.KindJPEG })
			if err != nil || second.Outcome != sanitize.Clean || !picture && !bytes.Equal(out, again) {
				t.Errorf("%s: second pass: %v", o.FileName, err)
			}
		}
	}
	t.Logf("%d archives: %v", len(files), sum)
}

func FuzzArchive(f *testing.F) {
	f.Add(pack(f, file("a.txt", "hello"), file("b/c.csv", "a,=1\n")))
	f.Add(pack(f, entry{name: "in.zip", data: pack(f, file("../x.txt", "x"), file("y.txt", "y"))}))
	f.Add(pack(f, entry{name: "a.docm", data: corpus.Word("a", true)}, entry{name: "表.txt", data: []byte("x")}))
	f.Add(pack(f, entry{name: "m.eml", data: corpus.Mail{From: "a@b.example", To: "c@d.example", Subject: "s", Text: "t"}.Bytes()}))
	f.Fuzz(func(t *testing.T, b []byte) {
		o := options()
		o.Limits.Expanded, o.Limits.OutputBytes, o.Limits.Pixels, o.Limits.PicturePixels = 4<<20, 4<<20, 1<<20, 1<<20
		out, rep, err := run(t, o, b)
		if err != nil || rep.Parts[0].OutKind != sanitize.KindZIP {
			return
		}
		again, second, err := run(t, options(), out)
		if err != nil || second.Outcome != sanitize.Clean || !bytes.Equal(out, again) {
			t.Fatalf("second pass: %v, %v", err, second.Outcome)
		}
	})
}

// FuzzNames mutates the names alone, in archives that are sound.
func FuzzNames(f *testing.F) {
	f.Add("a.txt", "b.txt")
	f.Add("dir/a.docx.txt", "dir/a.docx")
	f.Add("表\\a.txt", "CON/nul.txt")
	f.Add("a.txt:s", "\u202ea.txt")
	f.Fuzz(func(t *testing.T, x, y string) {
		if x == "" || y == "" || len(x) > 4000 || len(y) > 4000 || strings.HasSuffix(x, "/") || strings.HasSuffix(y, "/") {
			return
		}
		out, _, err := run(t, options(), pack(t, file(x, "one"), file(y, "two")))
		if err != nil {
			return
		}
		again, second, err := run(t, options(), out)
		if err != nil || second.Outcome != sanitize.Clean || !bytes.Equal(out, again) {
			t.Fatalf("%q %q: second pass: %v, %v", x, y, err, second.Outcome)
		}
	})
}

// BenchmarkRepack is what the archive itself costs, and what it costs with a
// text in it, in bytes of content. Beside the clock, which other programs push
// on, it tells the bytes for a second of processor time.
func BenchmarkRepack(b *testing.B) {
	r := rand.New(rand.NewPCG(1, 2))
	words := strings.Fields("住民 申請 令和 八年度 予算 について 添付 の とおり 報告 します 2026 town office report of the year")
	var text strings.Builder
	for text.Len() < 8<<20 {
		text.WriteString(words[r.IntN(len(words))])
		text.WriteString([]string{" ", "、", "\r\n"}[r.IntN(3)])
	}
	in := pack(b, file("a.txt", text.String()))
	for _, c := range []struct {
		name  string
		table map[sanitize.Kind]sanitize.Sanitizer
	}{
		{"archive", map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindZIP: archive.ZIP{}, sanitize.KindText: copying{}}},
		{"archive and text", all.Table()},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(text.Len()))
			var before, after syscall.Rusage
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				s := sanitize.NewSession(options(), int64(len(in)), func(o sanitize.Object) (sanitize.Detection, error) {
					if strings.HasSuffix(o.Name, ".txt") {
						return sanitize.Detection{Kind: sanitize.KindText}, nil
					}
					return sanitize.Detection{Kind: sanitize.KindZIP}, nil
				}, c.table)
				if _, err := s.Nested(b.Context(), sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "1"}, io.Discard); err != nil {
					b.Fatal(err)
				}
			}
			if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
				b.Fatal(err)
			}
			cpu := time.Duration(after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano())
			b.ReportMetric(float64(text.Len())*float64(b.N)/1e6/cpu.Seconds(), "MB/cpu-s")
		})
	}
}

// copying is the cheapest sanitizer there could be.
type copying struct{}

func (copying) Sanitize(_ context.Context, _ *sanitize.Session, in sanitize.Object, out io.Writer) (sanitize.Result, error) {
	_, err := io.Copy(out, in.Reader())
	return sanitize.Result{Outcome: sanitize.Clean, Kind: in.Kind, Mode: sanitize.Rebuild}, err
}
