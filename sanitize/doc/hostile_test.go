package doc

import (
	"bytes"
	"fmt"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus/corpustest"
)

// full is a document with something of every sort, as its streams.
func full(t *testing.T) (main, table, data []byte) {
	p := newPaper()
	p.stories[0] = "町長からのお知らせ " + fieldOf(" PAGE ", "1") + " \x01 end\r"
	p.kinds[0] = []byte{0x21}
	p.split = []uint32{4, 9}
	p.data = shape(t, nil, pngFile(t))
	p.runs["\x01"] = special(0)
	p.stories[storyHeaders] = "頁\r"
	p.pairs[pairAssoc] = sttbOf("", "", "題名")
	s := streams(t, p.bytes(t))
	return s["WordDocument"], s["1Table"], s["Data"]
}

func compound(t *testing.T, main, table, data []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := cfb.Write(&b, &cfb.Storage{CLSID: classWord, Streams: []*cfb.Stream{cfb.NewStream("WordDocument", main), cfb.NewStream("1Table", table), cfb.NewStream("Data", data)}}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestNumbersThatLieAreHeld: every number of a document in turn is as large as can
// be, leads outside, or to the beginning: counts, places of structures, pieces,
// pages of properties, sizes of pictures.
func TestNumbersThatLieAreHeld(t *testing.T) {
	main, table, data := full(t)
	values := []uint32{0, 1, 0xFFFF, uint32(len(table)), 0x7FFFFFFF, 0xFFFFFFFF}
	judge := func(what string) {
		corpustest.Thrifty(t, what, 16<<20, func() { fuzzOne(t, compound(t, main, table, data)) })
		if t.Failed() {
			t.Fatal(what)
		}
	}
	corpustest.Lies(main[:pageSize*2], 2, values, func(what string, _ []byte) { judge("block: " + what) })
	corpustest.Lies(main[textAt:], 2, []uint32{0, 0xFFFFFFFF}, func(what string, _ []byte) { judge("pages: " + what) })
	corpustest.Lies(table, 2, values, func(what string, _ []byte) { judge("table: " + what) })
	corpustest.Lies(data[:min(len(data), 200)], 2, values, func(what string, _ []byte) { judge("data: " + what) })
}

// TestStreamsCutShortAreHeld, wherever they are.
func TestStreamsCutShortAreHeld(t *testing.T) {
	main, table, data := full(t)
	judge := func(what string, n int, b []byte) {
		if fuzzOne(t, b); t.Failed() {
			t.Fatalf("%s cut at %d", what, n)
		}
	}
	for n := 0; n < len(main); n += 3 {
		judge("document", n, compound(t, main[:n], table, data))
	}
	for n := 0; n < len(table); n += 3 {
		judge("table", n, compound(t, main, table[:n], data))
	}
	for n := 0; n < len(data); n += 3 {
		judge("data", n, compound(t, main, table, data[:n]))
	}
}

// TestPiecesElsewhereAreHeld: words that stand in the block, behind the end, in
// the pages of properties, in one another, before they begin.
func TestPiecesElsewhereAreHeld(t *testing.T) {
	main, table, data := full(t)
	clx := int(le.Uint32(main[154+8*33:]))
	if table[clx] != 2 {
		t.Fatalf("no piece table at %d", clx)
	}
	plc := table[clx+5:][:le.Uint32(table[clx+1:])]
	n := (len(plc) - 4) / 12
	if n != 3 {
		t.Fatalf("%d pieces", n)
	}
	for _, place := range []uint32{0, 2, 0x18, pageSize - 2, uint32(len(main)) - 2, uint32(len(main)), 0x3FFFFFFE, 0x40000000, 0x7FFFFFFF, 0xFFFFFFFF} {
		for i := range n {
			at := plc[4*(n+1)+8*i+2:]
			was := le.Uint32(at)
			le.PutUint32(at, place)
			corpustest.Thrifty(t, "piece", 16<<20, func() { fuzzOne(t, compound(t, main, table, data)) })
			le.PutUint32(at, was)
		}
	}
	for _, cps := range [][]uint32{{0, 0, 0, 0}, {0, 9, 4, 20}, {5, 6, 7, 8}, {0, 0x7FFFFFFF, 1, 2}, {0, 1, 2, 0xFFFFFFFF}, {0xFFFFFFFF, 0, 1, 2}} {
		changed := bytes.Clone(table)
		for i, cp := range cps {
			le.PutUint32(changed[clx+5+4*i:], cp)
		}
		corpustest.Thrifty(t, "pieces", 16<<20, func() { fuzzOne(t, compound(t, main, changed, data)) })
	}
}

// TestObjectsInObjectsAreHeld: pools of objects in one another as deep as a
// compound file goes, and deeper.
func TestObjectsInObjectsAreHeld(t *testing.T) {
	for _, depth := range []int{5, 20, 200} {
		p := newPaper()
		in := &cfb.Storage{Name: "_1", Streams: []*cfb.Stream{cfb.NewStream("\x01Ole10Native", native("a.exe", "MZ"))}}
		for range depth {
			in = &cfb.Storage{Name: "_1", Storages: []*cfb.Storage{{Name: "ObjectPool", Storages: []*cfb.Storage{in}}}}
		}
		p.storages = []*cfb.Storage{{Name: "ObjectPool", Storages: []*cfb.Storage{in}}}
		var b bytes.Buffer
		s := streams(t, newPaper().bytes(t))
		root := &cfb.Storage{CLSID: classWord, Streams: []*cfb.Stream{cfb.NewStream("WordDocument", s["WordDocument"]), cfb.NewStream("1Table", s["1Table"])}, Storages: p.storages}
		if err := cfb.Write(&b, root); err != nil {
			continue // deeper than any file we would write
		}
		corpustest.Thrifty(t, "objects", 32<<20, func() { fuzzOne(t, b.Bytes()) })
	}
}

// TestStructuresOfAFewOctetsAreHeld: each in turn is as long as nothing that was
// ever written, of nothing, of small numbers, of numbers as large as can be.
func TestStructuresOfAFewOctetsAreHeld(t *testing.T) {
	main, table, data := full(t)
	const pairs, room = 183, 64
	for _, fill := range []byte{0, 1, 0xFF} {
		at := uint32(len(table))
		table := append(bytes.Clone(table), bytes.Repeat([]byte{fill}, room)...)
		for i := range min(pairs, int(le.Uint16(main[152:]))) {
			pair := main[154+8*i:][:8]
			was := le.Uint64(pair)
			for _, n := range []uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 17, 28, 29, 30, room} {
				le.PutUint32(pair, at)
				le.PutUint32(pair[4:], n)
				corpustest.Thrifty(t, fmt.Sprintf("structure %d of %d octets %d", i, n, fill), 16<<20, func() { fuzzOne(t, compound(t, main, table, data)) })
				if t.Failed() {
					return
				}
			}
			le.PutUint64(pair, was)
		}
	}
}

// TestOnlyDrawingsStandWhereDrawingsAre: a picture of a store in their place, or
// behind them, is none.
func TestOnlyDrawingsStandWhereDrawingsAre(t *testing.T) {
	dgg := append([]byte{0x0F, 0, 0x00, 0xF0, 32, 0, 0, 0, 0, 0, 0x06, 0xF0, 24, 0, 0, 0}, make([]byte, 24)...)
	fbse := append([]byte{0x62, 0, 0x07, 0xF0, 36 + 16, 0, 0, 0, 6, 6}, make([]byte, 34)...)
	fbse = append(fbse, 0, 0, 0xBA, 0xF0, 8, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8)
	const pairDgg = 50
	for name, drawings := range map[string][]byte{"in their place": fbse, "behind them": append(append(bytes.Clone(dgg), 0), fbse...), "twice": append(append(bytes.Clone(dgg), 0), dgg...)} {
		p := newPaper()
		p.pairs[pairDgg] = drawings
		out, _, _, err := treat(p.bytes(t))
		if err != nil || holds(t, out, "\xBA\xF0") {
			t.Errorf("%s: %v", name, err)
			continue
		}
		checkOutput(t, name, out)
	}
}
