package cfb

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/corpus/corpustest"
)

func TestTricksAreRefused(t *testing.T) {
	base := written(t, sample())
	le := binary.LittleEndian
	// In what sample makes: sector 0 ff. are the FAT, then the directory.
	fats := int(le.Uint32(base[44:]))
	dir := (int(le.Uint32(base[48:])) + 1) * sectorSize
	entryOf := func(b []byte, name string) []byte {
		for i := dir; ; i += entrySize {
			if nameOf(b[i:i+entrySize]) == name {
				return b[i : i+entrySize]
			}
		}
	}
	for _, c := range []struct {
		name string
		do   func(b []byte) []byte
		want error
	}{
		{"no signature", func(b []byte) []byte { b[0] = 0; return b }, ErrFormat},
		{"shorter than a header", func(b []byte) []byte { return b[:511] }, ErrFormat},
		{"header alone", func(b []byte) []byte { return b[:512] }, ErrFormat},
		{"sectors of another size", func(b []byte) []byte { b[30] = 10; return b }, ErrFormat},
		{"another cutoff", func(b []byte) []byte { le.PutUint32(b[56:], 64); return b }, ErrAmbiguous},
		{"directory in a circle", func(b []byte) []byte {
			s := le.Uint32(b[48:])
			le.PutUint32(b[sectorSize+4*int(s):], s)
			return b
		}, ErrFormat},
		{"FAT outside", func(b []byte) []byte { le.PutUint32(b[76:], 0xfffff); return b }, ErrFormat},
		{"DIFAT in a circle", func(b []byte) []byte {
			// All of the FAT is to be found by way of sector 0, which names itself.
			for i := range headerDIFAT {
				le.PutUint32(b[76+4*i:], free)
			}
			le.PutUint32(b[68:], 0)
			for i := range 127 {
				le.PutUint32(b[sectorSize+4*i:], free)
			}
			le.PutUint32(b[sectorSize+508:], 0)
			return b
		}, ErrFormat},
		{"entry met twice", func(b []byte) []byte {
			e := entryOf(b, "VBA")
			le.PutUint32(e[76:], le.Uint32(b[dir+76:]))
			return b
		}, ErrFormat},
		{"two of one name", func(b []byte) []byte { copy(entryOf(b, "s4096"), "S\x004\x000\x009\x007\x00"); return b }, ErrAmbiguous},
		{"stream larger than the file", func(b []byte) []byte { le.PutUint32(entryOf(b, "s4096")[120:], 0x7fffffff); return b }, ErrFormat},
		{"streams that share their sectors", func(b []byte) []byte {
			for _, n := range []string{"s4096", "s4097", "Workbook", "s70000", "ThisWorkbook"} {
				e := entryOf(b, n)
				le.PutUint32(e[116:], uint32(fats))
				le.PutUint32(e[120:], uint32(len(b)))
			}
			return b
		}, ErrLimit},
		{"storages too deep", func([]byte) []byte {
			at := &Storage{}
			root := at
			for range maxDepth {
				in := &Storage{Name: "x"}
				at.Storages, at = []*Storage{in}, in
			}
			b := written(t, root)
			// Hang one more below the last.
			dir := (int(le.Uint32(b[48:])) + 1) * sectorSize
			last := b[dir+maxDepth*entrySize:]
			next := b[dir+(maxDepth+1)*entrySize:]
			le.PutUint32(last[76:], maxDepth+1)
			copy(next[:entrySize], last[:entrySize])
			le.PutUint32(next[76:], maxDepth+2)
			return b
		}, ErrLimit},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := c.do(bytes.Clone(base))
			if _, err := Open(bytes.NewReader(b), int64(len(b))); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

// TestNamesEndWhereTheirLengthSays: in the place of the NUL anything may stand.
func TestNamesEndWhereTheirLengthSays(t *testing.T) {
	b := written(t, sample())
	dir := (int(binary.LittleEndian.Uint32(b[48:])) + 1) * sectorSize
	for nameOf(b[dir:dir+entrySize]) != "Workbook" {
		dir += entrySize
	}
	copy(b[dir+2*len("Workbook"):], "xy")
	f := opened(t, b)
	if f.Root.Stream("Workbook") == nil {
		t.Error("Workbook is not found")
	}
	other, err := second(b)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "mscfb", other, list(t, f.Root))
}

// TestWhatIsRefusedSaysWhatItWantedToBe, however its entries hang together.
func TestWhatIsRefusedSaysWhatItWantedToBe(t *testing.T) {
	root := sample()
	root.CLSID = [16]byte{1, 2, 3}
	b := written(t, root)
	dir := (int(binary.LittleEndian.Uint32(b[48:])) + 1) * sectorSize
	for i := dir; i < dir+2*sectorSize; i += entrySize {
		binary.LittleEndian.PutUint32(b[i+68:], 1) // all lead to the first
	}
	binary.LittleEndian.PutUint32(b[56:], 64)
	if _, err := Open(bytes.NewReader(b), int64(len(b))); err == nil {
		t.Fatal("it is read")
	}
	names, class, err := Names(bytes.NewReader(b), int64(len(b)))
	if err != nil || class != root.CLSID || !slices.Contains(names, "Workbook") || !slices.Contains(names, "ThisWorkbook") {
		t.Errorf("got %q, %x, %v", names, class, err)
	}
}

func TestCutFilesAreReadAsFarAsTheyGo(t *testing.T) {
	root := &Storage{Streams: []*Stream{NewStream("a", content(1, 60000)), NewStream("longest", content(2, 50000))}}
	b := written(t, root)
	b = b[:len(b)-20000]
	f := opened(t, b)
	s := f.Root.Stream("longest")
	if f.Cut != 1 || s == nil || s.Size >= 50000 || s.Size < 29000 {
		t.Fatalf("got %d cut streams, the last %+v", f.Cut, s)
	}
	got, err := io.ReadAll(s.Reader())
	if err != nil {
		t.Fatal(err)
	}
	if want := content(2, 50000); !bytes.Equal(got[:29000], want[:29000]) {
		t.Error("what is left was read wrong")
	}
}

// TestAStreamInACircleEndsWhereItClosesIn: the other streams are none the worse.
func TestAStreamInACircleEndsWhereItClosesIn(t *testing.T) {
	b := written(t, &Storage{Streams: []*Stream{NewStream("a", content(1, 60000)), NewStream("small", content(2, 1000)), NewStream("z", content(3, 5000))}})
	le := binary.LittleEndian
	at := func(name string) uint32 {
		for i := (int(le.Uint32(b[48:])) + 1) * sectorSize; ; i += entrySize {
			if nameOf(b[i:i+entrySize]) == name {
				return le.Uint32(b[i+116:])
			}
		}
	}
	s := at("a")
	le.PutUint32(b[sectorSize+4*int(s+5):], s)
	minifat := (int(le.Uint32(b[60:])) + 1) * sectorSize
	le.PutUint32(b[minifat+4*int(at("small")+1):], at("small"))
	f := opened(t, b)
	if f.Cut != 2 {
		t.Errorf("%d streams are cut", f.Cut)
	}
	for name, want := range map[string][]byte{"a": content(1, 60000)[:6*sectorSize], "small": content(2, 1000)[:2*miniSize], "z": content(3, 5000)} {
		got, err := io.ReadAll(f.Root.Stream(name).Reader())
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d octets, want %d, %v", name, len(got), len(want), err)
		}
	}
}

func TestWhatCannotBeWrittenIsAnError(t *testing.T) {
	for _, c := range []struct {
		name string
		root *Storage
		want error
	}{
		{"two of one name", &Storage{Streams: []*Stream{NewStream("a", nil), NewStream("A", nil)}}, ErrAmbiguous},
		{"no name", &Storage{Streams: []*Stream{NewStream("", nil)}}, ErrFormat},
		{"long name", &Storage{Streams: []*Stream{NewStream(strings.Repeat("x", 32), nil)}}, ErrFormat},
		{"short stream", &Storage{Streams: []*Stream{{"a", 10, strings.NewReader("short")}}}, io.ErrUnexpectedEOF},
		{"huge stream", &Storage{Streams: []*Stream{{"a", 1 << 40, big{1 << 40}}}}, ErrLimit},
	} {
		if err := Write(io.Discard, c.root); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
}

// TestNumbersThatLieAreHeld: every number of the header, the tables of sectors and
// the directory in turn leads outside, to itself, to the beginning, or counts as
// many as can be.
func TestNumbersThatLieAreHeld(t *testing.T) {
	b := written(t, &Storage{Streams: []*Stream{NewStream("small", content(2, 1000)), NewStream("large", content(1, 5000))}, Storages: []*Storage{{Name: "a", Streams: []*Stream{NewStream("b", content(3, 100))}}}})
	le := binary.LittleEndian
	sector := func(field int) []byte {
		at := (int(le.Uint32(b[field:])) + 1) * sectorSize
		return b[at : at+sectorSize]
	}
	for name, part := range map[string][]byte{"header": b[24:100], "FAT": b[sectorSize : sectorSize+128], "directory": sector(48), "mini FAT": sector(60)[:96]} {
		corpustest.Lies(part, 2, []uint32{0, 1, 2, 7, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF0, 0xFFFFFFFC, 0xFFFFFFFD, 0xFFFFFFFE, 0xFFFFFFFF}, func(what string, _ []byte) {
			corpustest.Thrifty(t, name+": "+what, 4<<20, func() { held(t, b) })
			if t.Failed() {
				t.Fatalf("%s: %s", name, what)
			}
		})
	}
}

func FuzzOpen(f *testing.F) {
	f.Add(written(f, sample()))
	f.Add(written(f, &Storage{}))
	small := written(f, &Storage{Storages: []*Storage{{Name: "a", Streams: []*Stream{NewStream("b", content(1, 4096))}}}})
	f.Add(small)
	f.Add(small[:len(small)-1000])
	f.Fuzz(held)
}

// held holds that a file is refused with an error that has a kind, or read within
// bounds and written again as both readers read it.
func held(t *testing.T, b []byte) {
	file, err := Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrAmbiguous) && !errors.Is(err, ErrLimit) {
			t.Fatalf("an error of no kind: %v", err)
		}
		return
	}
	var sum int64
	if err := file.Root.Walk(func(_ []string, s *Storage) error {
		for _, s := range s.Streams {
			sum += s.Size
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if sum > maxOverlap*int64(len(b)) {
		t.Fatalf("%d octets out of %d", sum, len(b))
	}
	out := written(t, file.Root)
	lawful(t, out)
	want := list(t, file.Root)
	again := opened(t, out)
	same(t, "own reader", list(t, again.Root), want)
	other, err := second(out)
	if err != nil {
		t.Fatalf("mscfb: %v", err)
	}
	same(t, "mscfb", other, want)
	if twice := written(t, again.Root); !bytes.Equal(twice, out) {
		t.Fatal("a second pass makes other octets")
	}
}
