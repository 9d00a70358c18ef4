package cfb

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/richardlehane/mscfb"
)

// content is a stream whose octets tell where they belong.
func content(seed, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i/251 + seed)
	}
	return b
}

// sample is a tree with streams around every boundary.
func sample() *Storage {
	root := &Storage{CLSID: [16]byte{0x20, 0x08, 0x02, 0, 0, 0, 0, 0, 0xc0, 0, 0, 0, 0, 0, 0, 0x46}}
	for i, n := range []int{0, 1, 63, 64, 65, 511, 512, 4095, 4096, 4097, 70000} {
		root.Streams = append(root.Streams, NewStream(fmt.Sprintf("s%d", n), content(i, n)))
	}
	root.Streams = append(root.Streams, NewStream("\x05SummaryInformation", content(50, 300)), NewStream("日本語", content(51, 200)), NewStream("Workbook", content(52, 9000)))
	in := &Storage{Name: "VBA", CLSID: [16]byte{1, 2, 3}, Streams: []*Stream{NewStream("dir", content(60, 700)), NewStream("ThisWorkbook", content(61, 5000))}}
	root.Storages = append(root.Storages, &Storage{Name: "_VBA_PROJECT_CUR", Storages: []*Storage{in}}, &Storage{Name: "empty"})
	return root
}

func written(t testing.TB, root *Storage) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Write(&b, root); err != nil {
		t.Fatalf("write: %v", err)
	}
	return b.Bytes()
}

func opened(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return f
}

// list is a storage as lines: storages with their class, streams with their
// octets, sorted.
func list(t testing.TB, root *Storage) []string {
	t.Helper()
	var lines []string
	err := root.Walk(func(path []string, s *Storage) error {
		if len(path) > 0 {
			lines = append(lines, fmt.Sprintf("%q %x", path, s.CLSID))
		}
		for _, st := range s.Streams {
			b := make([]byte, st.Size)
			if n, err := st.ReadAt(b, 0); int64(n) < st.Size || err != nil && !errors.Is(err, io.EOF) {
				return fmt.Errorf("%q: %d of %d octets: %w", st.Name, n, st.Size, err)
			}
			lines = append(lines, fmt.Sprintf("%q %d %x", append(slices.Clone(path), st.Name), st.Size, sha256.Sum256(b)))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return lines
}

// second is list as the other reader sees it.
func second(b []byte) ([]string, error) {
	doc, err := mscfb.New(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	full := func(f *mscfb.File) string {
		if f.Initial != 0 && !unicode.IsPrint(rune(f.Initial)) {
			return string(rune(f.Initial)) + f.Name
		}
		return f.Name
	}
	// Its paths lack the first character of a storage's name that is a control.
	names := map[string]string{}
	var lines []string
	for _, f := range doc.File[1:] {
		var path []string
		for i := range f.Path {
			p := f.Path[i]
			if n, ok := names[strings.Join(f.Path[:i+1], "\x00")]; ok {
				p = n
			}
			path = append(path, p)
		}
		if f.FileInfo().IsDir() {
			names[strings.Join(append(slices.Clone(f.Path), f.Name), "\x00")] = full(f)
			id := [16]byte{}
			clsid := strings.ReplaceAll(strings.Trim(f.ID(), "{}"), "-", "")
			for i := range id {
				fmt.Sscanf(clsid[2*i:2*i+2], "%x", &id[i])
			}
			slices.Reverse(id[:4])
			slices.Reverse(id[4:6])
			slices.Reverse(id[6:8])
			lines = append(lines, fmt.Sprintf("%q %x", append(path, full(f)), id))
			continue
		}
		var data bytes.Buffer
		if f.Size > 0 {
			if _, err := io.CopyBuffer(&data, struct{ io.Reader }{f}, make([]byte, 8192)); err != nil {
				return nil, fmt.Errorf("%q: %w", f.Name, err)
			}
		}
		lines = append(lines, fmt.Sprintf("%q %d %x", append(path, full(f)), f.Size, sha256.Sum256(data.Bytes())))
	}
	slices.Sort(lines)
	return lines, nil
}

func same(t testing.TB, what string, got, want []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d entries, want %d", what, len(got), len(want))
	}
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			t.Fatalf("%s:\n got %.200s\nwant %.200s", what, got[i], want[i])
		}
	}
}

// lawful checks the directory of a file we wrote: search trees in the order of
// names, red and black as they must be, every entry met once.
func lawful(t testing.TB, b []byte) {
	t.Helper()
	d := &reader{r: bytes.NewReader(b), size: int64(len(b))}
	if err := errors.Join(d.header(), d.allocation(), d.directory()); err != nil {
		t.Fatal(err)
	}
	met := map[uint32]bool{}
	le := binary.LittleEndian
	var tree func(i uint32, redAbove bool) (names []string, black int)
	tree = func(i uint32, redAbove bool) ([]string, int) {
		if i == none {
			return nil, 1
		}
		e := d.entry(i)
		if e == nil || met[i] {
			t.Fatalf("entry %d leads nowhere or is met twice", i)
		}
		met[i] = true
		red := e[67] == 0
		if red && redAbove {
			t.Errorf("entry %d: red below red", i)
		}
		left, bl := tree(le.Uint32(e[68:]), red)
		right, br := tree(le.Uint32(e[72:]), red)
		if bl != br {
			t.Errorf("entry %d: %d black on the left, %d on the right", i, bl, br)
		}
		if c := le.Uint32(e[76:]); c != none {
			if d.entry(c)[67] == 0 {
				t.Errorf("entry %d: red at the top", c)
			}
			all, _ := tree(c, false)
			if !slices.IsSortedFunc(all, compare) {
				t.Errorf("not in order: %q", all)
			}
		}
		if !red {
			bl++
		}
		return append(append(left, nameOf(e)), right...), bl
	}
	tree(0, false)
	for i := uint32(0); int(i) < len(d.entries)/entrySize; i++ {
		if e := d.entry(i); e[66] != 0 && !met[i] {
			t.Errorf("entry %d is never met", i)
		} else if !bytes.Equal(e[96:116], make([]byte, 20)) {
			t.Errorf("entry %d has state bits or times", i)
		}
	}
}

func TestWhatIsWrittenIsReadAlikeByBothReaders(t *testing.T) {
	root := sample()
	b := written(t, root)
	f := opened(t, b)
	want := list(t, root)
	same(t, "own reader", list(t, f.Root), want)
	other, err := second(b)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "mscfb", other, want)
	lawful(t, b)
	if f.Root.CLSID != root.CLSID || f.Version != 3 || f.Cut != 0 || f.Entries != len(want) {
		t.Errorf("got %+v, want version 3 with %d entries and the class", f, len(want))
	}
	if again := written(t, f.Root); !bytes.Equal(again, b) {
		t.Error("writing what was read makes other octets")
	}
	if f.Root.Stream("WORKBOOK") == nil || f.Root.Storage("_vba_project_cur") == nil || f.Root.Stream("Book") != nil {
		t.Error("names are not found without regard to case")
	}
}

func TestOrderOfWhatIsGivenDoesNotMatter(t *testing.T) {
	a, b := sample(), sample()
	slices.Reverse(b.Streams)
	slices.Reverse(b.Storages)
	if !bytes.Equal(written(t, a), written(t, b)) {
		t.Error("the same streams in another order make other octets")
	}
}

func TestDirectoriesOfEverySizeAreBalanced(t *testing.T) {
	for n := range 70 {
		root := &Storage{}
		for i := range n {
			root.Streams = append(root.Streams, NewStream(strings.Repeat("x", i%30)+string(rune('A'+i)), content(i, 5)))
		}
		b := written(t, root)
		lawful(t, b)
		same(t, fmt.Sprint(n), list(t, opened(t, b).Root), list(t, root))
	}
}

// big is a stream that is made as it is read.
type big struct{ size int64 }

func (g big) ReadAt(b []byte, at int64) (int, error) {
	n := 0
	for ; n < len(b) && at+int64(n) < g.size; n++ {
		b[n] = byte((at + int64(n)) >> 9)
	}
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func TestLargeFilesHaveADIFAT(t *testing.T) {
	// 109 sectors of FAT describe 6.8 MiB; two sectors of DIFAT are needed here.
	const size = 16 << 20
	root := &Storage{Streams: []*Stream{{"large", size, big{size}}, NewStream("small", content(3, 100)), NewStream("last", content(4, 5000))}}
	b := written(t, root)
	if n := binary.LittleEndian.Uint32(b[72:]); n != 2 {
		t.Errorf("%d sectors of DIFAT, want 2", n)
	}
	f := opened(t, b)
	same(t, "own reader", list(t, f.Root), list(t, root))
	other, err := second(b)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "mscfb", other, list(t, root))
}

func TestVersion4IsRead(t *testing.T) {
	// One stream of 5,000 octets, its sectors in reverse.
	const ss = 4096
	b := make([]byte, 6*ss)
	le := binary.LittleEndian
	copy(b, magic)
	for off, v := range map[int]uint16{24: 0x3e, 26: 4, 28: 0xfffe, 30: 12, 32: 6} {
		le.PutUint16(b[off:], v)
	}
	le.PutUint32(b[44:], 1)
	le.PutUint32(b[48:], 1)
	le.PutUint32(b[56:], miniCutoff)
	le.PutUint32(b[60:], endOfChain)
	le.PutUint32(b[68:], endOfChain)
	le.PutUint32(b[76:], 0)
	for i := 1; i < headerDIFAT; i++ {
		le.PutUint32(b[76+4*i:], free)
	}
	for i := range ss / 4 {
		le.PutUint32(b[ss+4*i:], free)
	}
	for i, v := range []uint32{fatSector, endOfChain, endOfChain, 2, free} {
		le.PutUint32(b[ss+4*i:], v)
	}
	dir := b[2*ss:]
	for i, name := range []string{"Root Entry", "data"} {
		e := dir[i*entrySize:]
		for j, c := range name {
			le.PutUint16(e[2*j:], uint16(c))
		}
		le.PutUint16(e[64:], uint16(2*len(name)+2))
		e[66], e[67] = typeRoot, 1
		for j := 68; j < 80; j++ {
			e[j] = 0xff
		}
		le.PutUint32(e[116:], endOfChain)
	}
	le.PutUint32(dir[76:], 1)
	e := dir[entrySize:]
	e[66] = typeStream
	le.PutUint32(e[116:], 3)
	le.PutUint64(e[120:], 5000)
	want := content(9, 5000)
	copy(b[4*ss:], want[:ss])
	copy(b[3*ss:], want[ss:])
	f := opened(t, b)
	if f.Version != 4 {
		t.Errorf("version %d, want 4", f.Version)
	}
	same(t, "own reader", list(t, f.Root), list(t, &Storage{Streams: []*Stream{NewStream("data", want)}}))
	other, err := second(b)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "mscfb", other, list(t, f.Root))
}

// shared is where larger corpora lie, when they are there.
func shared() string {
	if s := os.Getenv("SEKISHO_SHARED"); s != "" {
		return s
	}
	return "../../../shared"
}

// TestCorpusSurvivesReadAndWrite reads every compound file there is, writes it
// and reads it again, with the other reader as well.
func TestCorpusSurvivesReadAndWrite(t *testing.T) {
	root := filepath.Join(shared(), "corpus")
	if _, err := os.Stat(root); err != nil {
		t.Skipf("no corpus in %s: its compound files are not read", root)
	}
	files, refused, differs := 0, 0, 0
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil || !bytes.HasPrefix(b, []byte(magic)) {
			return err
		}
		files++
		name := strings.TrimPrefix(path, root)
		f, err := Open(bytes.NewReader(b), int64(len(b)))
		other, otherErr := second(b)
		if err != nil {
			refused++
			t.Logf("%s: refused: %v", name, err)
			if otherErr == nil {
				t.Errorf("%s: mscfb reads all of what was refused: %v", name, err)
			}
			return nil
		}
		want := list(t, f.Root)
		if otherErr == nil && !slices.Equal(want, other) {
			differs++
			t.Logf("%s: mscfb sees %d entries, we %d, %d cut", name, len(other), len(want), f.Cut)
		} else if otherErr != nil {
			t.Logf("%s: read, but mscfb says %v", name, otherErr)
		}
		out := written(t, f.Root)
		same(t, name, list(t, opened(t, out).Root), want)
		if other, err = second(out); err != nil {
			t.Errorf("%s: mscfb does not read what was written: %v", name, err)
		} else {
			same(t, name+" in mscfb", other, want)
		}
		lawful(t, out)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d compound files, %d refused, %d seen otherwise by mscfb", files, refused, differs)
	if differs > 0 {
		t.Errorf("%d files are seen otherwise by mscfb", differs)
	}
}

func BenchmarkReadAndWrite(b *testing.B) {
	const size = 10 << 20
	root := sample()
	root.Streams = append(root.Streams, NewStream("large", content(1, size)))
	file := written(b, root)
	b.SetBytes(int64(len(file)))
	b.ReportAllocs()
	for b.Loop() {
		f, err := Open(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			b.Fatal(err)
		}
		if err := Write(io.Discard, f.Root); err != nil {
			b.Fatal(err)
		}
	}
}
