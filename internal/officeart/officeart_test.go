package officeart

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"unicode/utf16"

	"sekisho/internal/link"
	"sekisho/internal/metafile"
	"sekisho/internal/square"
)

// rec makes an atom, box a container.
func rec(t, instance uint16, body ...byte) []byte {
	return AppendRecord(nil, Header{Type: t, Instance: instance}, body)
}

func box(t uint16, records ...[]byte) []byte {
	return AppendRecord(nil, Header{Ver: 15, Type: t}, bytes.Join(records, nil))
}

// prop is a property; data makes it complex.
type prop struct {
	id    uint16
	value uint32
	data  []byte
}

func fopt(props ...prop) []byte {
	var table, data []byte
	for _, p := range props {
		id, v := p.id, p.value
		if p.data != nil {
			id, v = id|flagComplex, uint32(len(p.data))
		}
		table = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint16(table, id), v)
		data = append(data, p.data...)
	}
	return AppendRecord(nil, Header{Ver: 3, Type: typeFOPT, Instance: uint16(len(props))}, append(table, data...))
}

func wideText(s string) []byte {
	var b []byte
	for _, c := range append(utf16.Encode([]rune(s)), 0) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

var (
	fsp    = rec(typeFSP, 1, 1, 4, 0, 0, 0, 0x0A, 0, 0)
	anchor = rec(TypeChildAnchor, 0, make([]byte, 16)...)
)

func shape(records ...[]byte) []byte {
	return box(TypeDgContainer, rec(typeFDG, 1, make([]byte, 8)...), box(TypeSpgrContainer, box(TypeSpContainer, append([][]byte{fsp}, records...)...)))
}

var jpegFile, pngFile = []byte("\xff\xd8\xff\xe0 a photograph"), []byte("\x89PNG\r\n\x1a\n a picture")

func newRebuilder(what *[]string) *Rebuilder {
	return &Rebuilder{
		Raster: func(name string, file []byte) ([]byte, error) {
			switch {
			case bytes.HasPrefix(file, []byte("\xff\xd8\xff")), bytes.HasPrefix(file, []byte("\x89PNG")):
				return file, nil
			case bytes.HasPrefix(file, []byte("BM")):
				return append(slices.Clone(pngFile), file...), nil
			}
			return nil, errors.New("none")
		},
		Meter: func(r io.Reader) io.Reader { return io.LimitReader(r, 1<<20) },
		Link:  link.Harmless,
		Client: func(h Header, body []byte) ([]byte, bool, error) {
			return body, h.Type != TypeClientTextbox, nil
		},
		Found: func(w What, detail string) { *what = append(*what, fmt.Sprint(w, " ", detail)) },
	}
}

func urlLink(target string) []byte { return Link{Target: target}.AppendTo(nil) }

func fileLink(path string) []byte {
	b := append(slices.Clone(classHlink), 2, 0, 0, 0, 3, 0, 0, 0)
	b = append(append(b, classFile...), 0, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(path)+1))
	b = append(append(append(b, path...), 0), make([]byte, 24)...)
	return append(b, 0, 0, 0, 0)
}

func TestPropertiesThatDrawStayAndOthersGo(t *testing.T) {
	array := []byte{2, 0, 9, 0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8}
	for _, c := range []struct {
		name string
		in   []prop
		want []prop
		what []string
	}{
		{"numbers", []prop{{id: 0x0181, value: 0x00FF00}, {id: 0x01BF, value: 0x110010}}, []prop{{id: 0x0181, value: 0x00FF00}, {id: 0x01BF, value: 0x110010}}, nil},
		{"name", []prop{{id: 0x0380, data: wideText("図形")}}, []prop{{id: 0x0380, data: wideText("図形")}}, nil},
		{"what hides behind a name", []prop{{id: 0x0380, data: append(wideText("a"), "MARKER"...)}}, []prop{{id: 0x0380, data: wideText("a")}}, nil},
		{"array", []prop{{id: 0x0145, data: array}}, []prop{{id: 0x0145, data: []byte{2, 0, 2, 0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8}}}, nil},
		{"what hides behind an array", []prop{{id: 0x0145, data: append(slices.Clone(array), "MARKER"...)}}, []prop{{id: 0x0145, data: []byte{2, 0, 2, 0, 4, 0, 1, 2, 3, 4, 5, 6, 7, 8}}}, nil},
		{"array of more than there is", []prop{{id: 0x0145, data: []byte{9, 0, 9, 0, 4, 0, 1, 2, 3, 4}}}, nil, []string{"8 array of property 0145"}},
		{"picture of the store", []prop{{id: 0x0104 | flagPicture, value: 3}}, []prop{{id: 0x0104 | flagPicture, value: 3}}, nil},
		{"linked picture", []prop{{id: 0x0104 | flagPicture, value: 3}, {id: 0x0105, data: wideText(`\\evil\x.png`)}, {id: 0x0106, value: 10}}, []prop{{id: 0x0104 | flagPicture, value: 3}}, []string{"3 "}},
		{"name a picture once had", []prop{{id: 0x0105, data: wideText(`c:\me\x.png`)}, {id: 0x0106, value: 0}}, nil, nil},
		{"address a picture came from", []prop{{id: 0x0104 | flagPicture, value: 3}, {id: 0x0105, data: wideText("http://example.jp/x.png")}, {id: 0x0106, value: 2}}, []prop{{id: 0x0104 | flagPicture, value: 3}}, nil},
		{"picture that is not saved", []prop{{id: 0x0104 | flagPicture, value: 3}, {id: 0x0105, data: wideText(`\\evil\x.png`)}, {id: 0x0106, value: 4}}, []prop{{id: 0x0104 | flagPicture, value: 3}}, []string{"3 "}},
		{"linked fill", []prop{{id: 0x0187, data: wideText("http://evil/")}, {id: 0x0188, value: 2}}, nil, []string{"3 "}},
		{"script", []prop{{id: 0x038E, data: wideText("alert(1)")}}, nil, []string{"1 property 038E"}},
		{"web component", []prop{{id: 0x0682, data: wideText("http://evil/")}}, nil, []string{"1 property 0682"}},
		{"package", []prop{{id: 0x03A9, data: []byte("PK\x03\x04")}}, nil, []string{"6 property 03A9"}},
		{"fragments", []prop{{id: 0x0159, data: array}}, nil, nil},
		{"object", []prop{{id: 0x010B, value: 7}}, nil, []string{"2 "}},
		{"unknown", []prop{{id: 0x0999, value: 1}}, nil, []string{"7 property 0999"}},
		{"data where a number belongs", []prop{{id: 0x0181, data: []byte("MARKER")}}, nil, []string{"7 data of property 0181"}},
		{"data that is missing", []prop{{id: 0x0380 | flagComplex, value: 99}, {id: 0x0381, data: wideText("x")}, {id: 0x0181, value: 5}}, []prop{{id: 0x0181, value: 5}}, []string{"8 property 0380 of 99 octets"}},
		{"link to the web", []prop{{id: 0x0382, data: urlLink("https://example.jp/")}}, []prop{{id: 0x0382, data: urlLink("https://example.jp/")}}, nil},
		{"link to a file", []prop{{id: 0x0382, data: fileLink(`\\evil\x`)}}, nil, []string{`4 file:\\evil\x`}},
		{"link to a script", []prop{{id: 0x0382, data: urlLink("javascript:x")}}, nil, []string{"4 javascript:x"}},
		{"link inside", []prop{{id: 0x0382, data: Link{Place: "Sheet1!A1"}.AppendTo(nil)}}, []prop{{id: 0x0382, data: Link{Place: "Sheet1!A1"}.AppendTo(nil)}}, nil},
		{"link to another workbook", []prop{{id: 0x0382, data: Link{Place: `'[\\evil\x.xls]S'!A1`}.AppendTo(nil)}}, nil, []string{`4 '[\\evil\x.xls]S'!A1`}},
		{"link to nowhere", []prop{{id: 0x0382, data: Link{}.AppendTo(nil)}}, nil, []string{"4 "}},
		{"link of unknown kind", []prop{{id: 0x0382, data: append(append(slices.Clone(classHlink), 2, 0, 0, 0, 1, 0, 0, 0), make([]byte, 20)...)}}, nil, []string{"4 moniker:00000000000000000000000000000000"}},
		{"link that is none", []prop{{id: 0x0382, data: []byte("MARKER")}}, nil, []string{"4 unreadable"}},
	} {
		var what []string
		got, err := newRebuilder(&what).Rewrite(shape(fopt(c.in...), anchor))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if want := shape(fopt(c.want...), anchor); !bytes.Equal(got, want) {
			t.Errorf("%s: got\n%s\nwant\n%s", c.name, hex.Dump(got), hex.Dump(want))
		}
		if !slices.Equal(what, c.what) {
			t.Errorf("%s: told %q, want %q", c.name, what, c.what)
		}
	}
}

func TestRecordsThatDoNotDrawGo(t *testing.T) {
	for _, c := range []struct {
		name     string
		in, want []byte
		what     []string
	}{
		{"object", shape(rec(typeOleObject, 0, []byte("MARKER")...), anchor), shape(anchor), []string{"2 "}},
		{"unknown record", shape(rec(0xF0AA, 0, 1), anchor), shape(anchor), []string{"7 record F0AA in F004"}},
		{"record in the wrong place", shape(box(TypeDgContainer, fsp)), shape(), []string{"7 record F002 in F004"}},
		{"behind the end of a record", shape(rec(TypeChildAnchor, 0, append(make([]byte, 16), "MARKER"...)...)), shape(anchor), nil},
		{"flag of an object", box(TypeSpContainer, rec(typeFSP, 75, 1, 4, 0, 0, 0x10, 0x0A, 0, 0)), box(TypeSpContainer, rec(typeFSP, 75, 1, 4, 0, 0, 0, 0x0A, 0, 0)), nil},
		{"the host's records", shape(rec(TypeClientTextbox, 0, 1, 2), rec(TypeClientData, 0, 3)), shape(rec(TypeClientData, 0, 3)), nil},
		{"octets behind", append(shape(), 1, 2, 3), shape(), nil},
	} {
		var what []string
		got, err := newRebuilder(&what).Rewrite(c.in)
		if err != nil || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v, got\n%s\nwant\n%s", c.name, err, hex.Dump(got), hex.Dump(c.want))
		}
		if !slices.Equal(what, c.what) {
			t.Errorf("%s: told %q, want %q", c.name, what, c.what)
		}
	}
	var what []string
	got, err := newRebuilder(&what).Rewrite(box(TypeSpContainer, fsp, Header{Type: TypeChildAnchor, Len: 99}.Append(nil)))
	if err != nil || !bytes.Equal(got, box(TypeSpContainer, fsp)) || !slices.Equal(what, []string{"8 record F00F of 99 octets"}) {
		t.Errorf("a record cut short: %v, %q\n%s", err, what, hex.Dump(got))
	}
}

func TestWhereTheHostCutsIsTold(t *testing.T) {
	var what []string
	r := newRebuilder(&what)
	r.Client = func(h Header, body []byte) ([]byte, bool, error) { return body, true, nil }
	in := shape(rec(TypeClientAnchor, 0, make([]byte, 18)...), rec(TypeClientData, 0), rec(TypeClientTextbox, 0))
	got, err := r.Rewrite(in)
	if err != nil || !bytes.Equal(got, in) || !slices.Equal(r.Splits, []int{len(in) - 8, len(in)}) {
		t.Errorf("%v, split at %v of %d", err, r.Splits, len(in))
	}
}

func TestGroupsWithoutEndAreRefused(t *testing.T) {
	b := box(TypeSpContainer, fsp)
	for range 100 {
		b = box(TypeSpgrContainer, b)
	}
	var what []string
	if _, err := newRebuilder(&what).Rewrite(b); !errors.Is(err, ErrLimit) {
		t.Errorf("got %v", err)
	}
}

func deflated(b []byte) []byte {
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}

// emf is a drawing; an escape is a call that does not draw.
func emf(escape bool) []byte {
	h := make([]byte, 88)
	binary.LittleEndian.PutUint32(h, 1)
	binary.LittleEndian.PutUint32(h[4:], 88)
	copy(h[40:], " EMF")
	line := []byte{54, 0, 0, 0, 16, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0}
	h = append(h, line...)
	if escape {
		h = append(h, 106, 0, 0, 0, 16, 0, 0, 0, 9, 0, 0, 0, 'M', 'A', 'R', 'K')
	}
	h = append(h, 14, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0, 20, 0, 0, 0)
	binary.LittleEndian.PutUint32(h[48:], uint32(len(h)))
	binary.LittleEndian.PutUint32(h[52:], 3)
	return h
}

func drawn(t, instance uint16, b []byte) []byte {
	z := deflated(b)
	body := make([]byte, 16+34)
	binary.LittleEndian.PutUint32(body[16:], uint32(len(b)))
	binary.LittleEndian.PutUint32(body[20:], 7) // bounds
	binary.LittleEndian.PutUint32(body[44:], uint32(len(z)))
	body[49] = 0xFE
	return rec(t, instance, append(body, z...)...)
}

func painted(t, instance uint16, b []byte) []byte {
	return rec(t, instance, append(make([]byte, 17), b...)...)
}

func bse(kind byte, size, at uint32, inside []byte) []byte {
	b := make([]byte, 36)
	b[0], b[1] = kind, kind
	binary.LittleEndian.PutUint32(b[20:], size)
	binary.LittleEndian.PutUint32(b[24:], 1)
	binary.LittleEndian.PutUint32(b[28:], at)
	return AppendRecord(nil, Header{Ver: 2, Instance: uint16(kind), Type: TypeFBSE}, append(b, inside...))
}

// entries reads a store back.
func entries(t *testing.T, b []byte) (kinds []byte, places []uint32, inside [][]byte) {
	t.Helper()
	h, body, rest, ok := Next(b)
	if !ok || h.Type != TypeBStore || len(rest) > 0 {
		t.Fatalf("no store: %+v", h)
	}
	n := 0
	for ; len(body) > 0; n++ {
		var e []byte
		if _, e, body, ok = Next(body); !ok || len(e) < 36 {
			t.Fatal("entry cut short")
		}
		kinds, places, inside = append(kinds, e[0]), append(places, le.Uint32(e[28:])), append(inside, e[36:])
	}
	if int(h.Instance) != n {
		t.Errorf("a store of %d says %d", n, h.Instance)
	}
	return kinds, places, inside
}

func TestPicturesOfAStreamAreWrittenAnew(t *testing.T) {
	bitmap := make([]byte, 44)
	binary.LittleEndian.PutUint32(bitmap, 40)
	binary.LittleEndian.PutUint16(bitmap[14:], 32)
	stream, store := []byte("dead pictures"), [][]byte{}
	add := func(kind byte, record []byte) {
		store = append(store, bse(kind, uint32(len(record)), uint32(len(stream)), nil))
		stream = append(stream, record...)
	}
	add(5, painted(blipJPEG, 0x46A, jpegFile))
	add(2, drawn(blipEMF, 0x3D4, emf(true)))
	add(7, painted(blipDIB, 0x7A8, bitmap))
	add(4, drawn(blipPICT, 0x542, []byte("MARKER of a Macintosh")))
	add(6, painted(blipPNG, 0x6E0, []byte("MARKER that is no PNG")))
	store = append(store, store[0], bse(5, 10, 99999, nil), bse(0, 0, noPlace, nil), rec(TypeFBSE, 0, 1, 2))
	var what []string
	r := newRebuilder(&what)
	r.Delay, r.DelayBase = stream, 1000
	out, err := r.Rewrite(box(TypeBStore, store...))
	if err != nil {
		t.Fatal(err)
	}
	kinds, places, _ := entries(t, out)
	if !bytes.Equal(kinds, []byte{5, 2, 6, 6, 6, 5, 0, 0, 0}) {
		t.Errorf("kinds %v; told %q", kinds, what)
	}
	if places[0] != places[5] || places[0] != 1000 {
		t.Errorf("places %v", places)
	}
	if bytes.Contains(r.Delayed, []byte("MARKER")) || bytes.Contains(r.Delayed, []byte("dead")) {
		t.Errorf("%q", r.Delayed)
	}
	h, body, _, _ := Next(r.Delayed)
	if h.Type != blipJPEG || !bytes.HasSuffix(body, jpegFile) {
		t.Errorf("%+v %q", h, body)
	}
	h, body, _, _ = Next(r.Delayed[places[1]-1000:])
	z, err := zlib.NewReader(bytes.NewReader(body[50:]))
	if err != nil {
		t.Fatal(err)
	}
	plain, err := io.ReadAll(z)
	if err != nil || !bytes.Equal(plain, emf(false)) || h.Type != blipEMF || body[20] != 7 {
		t.Errorf("%v %+v\n%s", err, h, hex.Dump(plain))
	}
	// A second treatment finds nothing and changes nothing.
	what = nil
	again := newRebuilder(&what)
	again.Delay, again.DelayBase = append(make([]byte, 1000), r.Delayed...), 1000
	out2, err := again.Rewrite(out)
	if err != nil || !bytes.Equal(out, out2) || !bytes.Equal(again.Delayed, r.Delayed) || len(what) > 0 {
		t.Errorf("a second run: %v, told %q", err, what)
	}
}

func TestPicturesInsideAStoreAreWrittenAnew(t *testing.T) {
	var what []string
	r := newRebuilder(&what)
	out, err := r.Rewrite(box(TypeBStore, bse(6, 0, 0, painted(blipPNG, 0x6E1, append(make([]byte, 16), pngFile...)))))
	if err != nil {
		t.Fatal(err)
	}
	kinds, places, inside := entries(t, out)
	h, body, rest, ok := Next(inside[0])
	if !ok || len(rest) > 0 || kinds[0] != 6 || places[0] != 0 || h.Instance != 0x6E0 || !bytes.HasSuffix(body, pngFile) || len(what) > 0 {
		t.Errorf("%v %v %+v %q, told %q", kinds, places, h, body, what)
	}
	// Behind an inline shape pictures stand alone.
	lone, err := r.Rewrite(painted(blipPNG, 0x6E0, pngFile))
	if err != nil || !bytes.Equal(lone, inside[0]) {
		t.Errorf("%v %q", err, lone)
	}
}

func TestABudgetThatIsSpentEndsEverything(t *testing.T) {
	spent := errors.New("spent")
	var what []string
	r := newRebuilder(&what)
	r.Fatal = func(err error) bool { return errors.Is(err, spent) }
	r.Raster = func(string, []byte) ([]byte, error) { return nil, spent }
	if _, err := r.Rewrite(painted(blipPNG, 0x6E0, pngFile)); !errors.Is(err, spent) {
		t.Errorf("got %v", err)
	}
}

func TestMD4(t *testing.T) {
	// RFC 1320, A.5.
	for in, want := range map[string]string{
		"": "31d6cfe0d16ae931b73c59d7e0c089c0", "abc": "a448017aaf21d8525fc10ae87aa6729d",
		"12345678901234567890123456789012345678901234567890123456789012345678901234567890": "e33b4ddc9c38f2199c3e7b164fcc0536",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789":                   "043f8582f241db351ce627e153e7f0e4",
	} {
		if got := md4([]byte(in)); hex.EncodeToString(got[:]) != want {
			t.Errorf("%q: %x", in, got)
		}
	}
}

func FuzzRewrite(f *testing.F) {
	f.Add(shape(fopt(prop{id: 0x0382, data: urlLink("https://example.jp/")}, prop{id: 0x0145, data: []byte{1, 0, 1, 0, 0xF0, 0xFF, 1, 2, 3, 4}}), anchor), []byte{})
	f.Add(box(TypeDggContainer, rec(typeFDGG, 0, make([]byte, 24)...), box(TypeBStore, bse(5, 40, 0, nil))), painted(blipJPEG, 0x46A, jpegFile))
	f.Add(box(TypeBStore, bse(2, 40, 0, nil)), drawn(blipEMF, 0x3D4, emf(true)))
	f.Fuzz(func(t *testing.T, b, delay []byte) {
		var what []string
		r := newRebuilder(&what)
		r.Delay = delay
		out, err := r.Rewrite(b)
		if err != nil {
			if !errors.Is(err, ErrLimit) && !errors.Is(err, ErrMalformed) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		what = nil
		again := newRebuilder(&what)
		again.Delay = append([]byte{}, r.Delayed...)
		out2, err := again.Rewrite(out)
		if err != nil || len(what) > 0 || !bytes.Equal(out, out2) || !bytes.Equal(r.Delayed, again.Delayed) {
			t.Fatalf("a second run: %v, told %q\n%s\n%s", err, what, hex.Dump(out), hex.Dump(out2))
		}
	})
}

// TestPicturesThatLieInOneAnotherAreRefused: a drawing that is not packed may hold
// the records of others, and each would be written.
func TestPicturesThatLieInOneAnotherAreRefused(t *testing.T) {
	for depth, want := range map[int]error{1: nil, 20: ErrLimit} {
		var stream []byte
		var places []uint32
		for range depth {
			wmf := append([]byte{1, 0, 9, 0, 0, 3}, make([]byte, 12)...)
			inside := append(make([]byte, 16), stream...)
			wmf = binary.LittleEndian.AppendUint32(wmf, uint32(3+len(inside)/2))
			wmf = append(append(wmf, 0x17, 0x08), inside...)
			wmf = append(wmf, 3, 0, 0, 0, 0, 0)
			blip := make([]byte, 16+34)
			binary.LittleEndian.PutUint32(blip[16+28:], uint32(len(wmf)))
			blip[16+32] = 0xFE
			stream = rec(blipWMF, 0x216, append(blip, wmf...)...)
			const before = HeaderSize + 16 + 34 + 18 + 6 + 16
			for i := range places {
				places[i] += before
			}
			places = append(places, 0)
		}
		var entries [][]byte
		for _, at := range places {
			e := make([]byte, 36)
			binary.LittleEndian.PutUint32(e[20:], 100)
			binary.LittleEndian.PutUint32(e[28:], at)
			entries = append(entries, AppendRecord(nil, Header{Ver: 2, Type: TypeFBSE}, e))
		}
		var what []string
		r := newRebuilder(&what)
		r.Delay = stream
		if _, err := r.Rewrite(box(TypeDggContainer, box(TypeBStore, entries...))); !errors.Is(err, want) {
			t.Errorf("%d deep: %v %v, want %v", depth, err, what, want)
		}
	}
}

// TestDrawingsBecomePicturesWhereSomebodyDraws: with the size that the record
// says; when nobody can, they stay drawings.
func TestDrawingsBecomePicturesWhereSomebodyDraws(t *testing.T) {
	wmf := append([]byte{1, 0, 9, 0, 0, 3}, make([]byte, 12)...)
	wmf = append(wmf, 3, 0, 0, 0, 0, 0)
	blip := make([]byte, 16+34)
	binary.LittleEndian.PutUint32(blip[16+20:], 914400)
	binary.LittleEndian.PutUint32(blip[16+24:], 457200)
	binary.LittleEndian.PutUint32(blip[16+28:], uint32(len(wmf)))
	blip[16+32] = 0xFE
	in := rec(blipWMF, 0x216, append(blip, wmf...)...)
	for _, able := range []bool{true, false} {
		var width, height float64
		r := Rebuilder{Drawn: func(_ string, file []byte) []byte {
			if width, height = metafile.Size(file); !able {
				return nil
			}
			return square.PNG()
		}}
		out, err := r.Blip(in)
		if err != nil {
			t.Fatal(err)
		}
		h, _, _, ok := Next(out)
		if want := map[bool]uint16{true: blipPNG, false: blipWMF}[able]; !ok || h.Type != want {
			t.Errorf("able %t: record %04X", able, h.Type)
		}
		if width != 25.4 || height != 12.7 {
			t.Errorf("drawn %g x %g mm", width, height)
		}
	}
}

// TestBitmapsOfTheMacintoshBecomePictures: a PICT with one, and one without.
func TestBitmapsOfTheMacintoshBecomePictures(t *testing.T) {
	with := []byte{0, 0, 0, 0, 0, 0, 0, 1, 0, 2, 0x11, 1, 0x90, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0, 0, 0, 1, 0, 2, 0, 0, 0x40, 0, 0xFF}
	without := append(slices.Clone(with[:12]), 0xFF)
	for _, c := range []struct {
		in   []byte
		what []string
	}{{with, nil}, {without, []string{"5 picture 1: a PICT without a bitmap"}}} {
		var what []string
		r := newRebuilder(&what)
		blip := make([]byte, 16+34)
		binary.LittleEndian.PutUint32(blip[16+28:], uint32(len(c.in)))
		blip[16+32] = 0xFE
		out, err := r.Blip(rec(blipPICT, 0x542, append(blip, c.in...)...))
		if err != nil {
			t.Fatal(err)
		}
		h, _, _, ok := Next(out)
		if !ok || h.Type != blipPNG || !slices.Equal(what, c.what) {
			t.Errorf("record %04X, found %q", h.Type, what)
		}
	}
}
