package verify

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// pdfOf writes a document in the form of ours: streams, then an object stream
// with the others, then the table.
func pdfOf(t *testing.T, objects map[int]string, streams map[int][2]string) []byte {
	t.Helper()
	zip := func(s string) string {
		var b bytes.Buffer
		z := zlib.NewWriter(&b)
		if _, err := z.Write([]byte(s)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	var b bytes.Buffer
	b.WriteString(pdfHead)
	n := len(objects) + len(streams) + 3
	table := make([][3]int, n)
	table[0] = [3]int{0, 0, 65535}
	write := func(num int, dict, data string) {
		table[num] = [3]int{1, b.Len(), 0}
		fmt.Fprintf(&b, "%d 0 obj\n<<%s/Filter /FlateDecode/Length %d>>\nstream\n%s\nendstream\nendobj\n", num, dict, len(zip(data)), zip(data))
	}
	for num := range n {
		if s, ok := streams[num]; ok {
			write(num, s[0], s[1])
		}
	}
	var list, body strings.Builder
	i := 0
	for num := range n {
		if o, ok := objects[num]; ok {
			fmt.Fprintf(&list, "%d %d ", num, body.Len())
			body.WriteString(o + "\n")
			table[num] = [3]int{2, n - 2, i}
			i++
		}
	}
	write(n-2, fmt.Sprintf("/First %d/N %d/Type /ObjStm", list.Len(), i), list.String()+body.String())
	at := b.Len()
	table[n-1] = [3]int{1, at, 0}
	var rows []byte
	for _, e := range table {
		rows = append(rows, byte(e[0]))
		rows = binary.BigEndian.AppendUint32(rows, uint32(e[1]))
		rows = binary.BigEndian.AppendUint16(rows, uint16(e[2]))
	}
	write(n-1, fmt.Sprintf("/ID [(a) (a)]/Root 1 0 R/Size %d/Type /XRef/W [1 4 2]", n), string(rows))
	fmt.Fprintf(&b, "startxref\n%d\n%%%%EOF\n", at)
	return b.Bytes()
}

func goodPDF() (map[int]string, map[int][2]string) {
	return map[int]string{
			1: "<</Pages 2 0 R/Type /Catalog>>",
			2: "<</Count 1/Kids [3 0 R]/Type /Pages>>",
			3: "<</Annots [<</A <</S /URI/URI (https://a.example/)>>/F 4/Rect [0 0 9 9]/Subtype /Link>>]/Contents 4 0 R/MediaBox [0 0 9 9]/Parent 2 0 R/Resources <</Font <</JS 5 0 R>>>>/Type /Page>>",
			5: "<</BaseFont /Helvetica/Subtype /Type1/Type /Font>>",
		}, map[int][2]string{
			4: {"", "BT /JS 12 Tf (a \\) b) Tj [(a) -1 <00>] TJ /a <</b [1 2]/c <<>>>> BDC EMC ET\nBI\n/H 1\nID xx evil\nEI\nq Q\n"},
		}
}

func TestAPDFInOurFormIsAllowed(t *testing.T) {
	if err := checkFile(sanitize.KindPDF, pdfOf(t, first(goodPDF()), second(goodPDF()))); err != nil {
		t.Fatal(err)
	}
}

func first(o map[int]string, _ map[int][2]string) map[int]string     { return o }
func second(_ map[int]string, s map[int][2]string) map[int][2]string { return s }

// TestPDFOffTheListIsNotAllowed changes one thing each in a document that is
// allowed.
func TestPDFOffTheListIsNotAllowed(t *testing.T) {
	for _, c := range []struct {
		name string
		num  int
		old  string
		new  string
	}{
		{"script when opened", 1, "<<", "<</OpenAction <</JS (x)/S /JavaScript>>"},
		{"something when opened", 1, "<<", "<</OpenAction <</D [3 0 R /Fit]/S /GoTo>>"},
		{"names of scripts", 1, "<<", "<</Names <</JavaScript <</Names []>>>>"},
		{"names of files", 1, "<<", "<</Names <</Dests <<>>/EmbeddedFiles <<>>>>"},
		{"further actions", 3, "<<", "<</AA <<>>"},
		{"an unknown key", 3, "<<", "<</Xyz 1"},
		{"a key twice", 3, "<<", "<</Rotate 90/Rotate 180"},
		{"a name in disguise", 3, "/Type /Page>>", "/Type /P#61ge>>"},
		{"a program", 3, "/S /URI", "/S /Launch"},
		{"more after a link", 3, "/S /URI", "/Next 1/S /URI"},
		{"a link to a script", 3, "(https://a.example/)", "(javascript:x)"},
		{"a link to a file", 3, "(https://a.example/)", "(file:///x)"},
		{"a link with blanks", 3, "(https://a.example/)", "(https://a example/)"},
		{"an attachment", 3, "/Subtype /Link", "/Subtype /FileAttachment"},
		{"film", 3, "/Subtype /Link", "/Subtype /Movie"},
		{"a file", 3, "/F 4", "/F (x)"},
		{"a reference to nothing", 3, "5 0 R", "77 0 R"},
		{"a comment", 3, "<<", "<<%x\n"},
		{"a field to sign", 5, "/Type /Font", "/FT /Sig"},
		{"form in XML", 5, "/Type /Font", "/XFA 4 0 R"},
		{"an object in nobody's service", 5, "/Type /Font", "/JS (x)"},
		{"an unknown operator", 4, "q Q", "q evil Q"},
		{"an array that does not end", 4, "q Q", "[1 2 re"},
		{"an array at the end", 4, "q Q", "q Q [1 2"},
		{"the end of no array", 4, "q Q", "1 ] q"},
		{"a dictionary that ends as an array", 4, "q Q", "/a <</b 1] BDC"},
		{"the end of no string", 4, "q Q", "q ) Q"},
		{"a string that does not end", 4, "q Q", "(q Q"},
		{"a comment in a program", 4, "q Q", "q %x\nQ"},
		{"a brace in a program", 4, "q Q", "{ q } Q"},
		{"a string of letters", 4, "<00>", "<0g>"},
		{"a string of half an octet", 4, "<00>", "<000>"},
		{"a string of blanks", 4, "<00>", "<0 0>"},
		{"a name with half a digit", 4, "q Q", "/a#2 cs"},
		{"a name with no digits", 4, "q Q", "/a#xy cs"},
		{"a name with nothing in it", 4, "q Q", "/a#00b cs"},
		{"a zero octet in a program", 4, "q Q", "q\x00Q"},
		{"a picture without end", 4, "\nEI\n", "\nE I\n"},
		{"a filter that is none of ours", 4, "", "/DecodeParms <<>>/Filter /JBIG2Decode"},
		{"a stream from elsewhere", 4, "", "/F (x)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			objects, streams := goodPDF()
			if s, ok := streams[c.num]; ok {
				if c.old == "" {
					s[0] += c.new
				} else if s[1] = strings.Replace(s[1], c.old, c.new, 1); !strings.Contains(s[1], c.new) {
					t.Fatal("nothing was changed")
				}
				streams[c.num] = s
			} else if o := strings.Replace(objects[c.num], c.old, c.new, 1); o != objects[c.num] {
				objects[c.num] = o
			} else {
				t.Fatal("nothing was changed")
			}
			if err := checkFile(sanitize.KindPDF, pdfOf(t, objects, streams)); !errors.Is(err, ErrNotAllowed) {
				t.Errorf("%v, want it not allowed", err)
			}
		})
	}
	sound := pdfOf(t, first(goodPDF()), second(goodPDF()))
	for name, b := range map[string][]byte{
		"data before":        append([]byte("x"), sound...),
		"data behind":        append(bytes.Clone(sound), "x"...),
		"data between":       bytes.Replace(sound, []byte("endobj\n"), []byte("endobj\nx"), 1),
		"another header":     bytes.Replace(sound, []byte("1.7"), []byte("1.4"), 1),
		"a table elsewhere":  bytes.Replace(sound, []byte("startxref\n"), []byte("startxref\n1"), 1),
		"a length that lies": bytes.Replace(sound, []byte("/Length "), []byte("/Length 1"), 1),
		"nothing":            nil,
	} {
		t.Run(name, func(t *testing.T) {
			if err := checkFile(sanitize.KindPDF, b); !errors.Is(err, ErrNotAllowed) {
				t.Errorf("%v, want it not allowed", err)
			}
		})
	}
}

func TestEveryProgramThatPaintsIsRead(t *testing.T) {
	for name, c := range map[string]struct{ from, to, six, seven string }{
		"one of several streams of a page": {"/Contents 4 0 R", "/Contents [4 0 R 7 0 R]", "[]", "evil"},
		"an array of its own":              {"/Contents 4 0 R", "/Contents 6 0 R", "[7 0 R]", "evil"},
		"glyphs of an object of their own": {"/Contents 4 0 R", "/Contents 4 0 R/Group <</CharProcs 6 0 R>>", "<</a 7 0 R>>", "evil"},
	} {
		t.Run(name, func(t *testing.T) {
			build := func(program string) []byte {
				objects, streams := goodPDF()
				objects[3] = strings.Replace(objects[3], c.from, c.to, 1)
				objects[6], streams[7] = c.six, [2]string{"", program}
				return pdfOf(t, objects, streams)
			}
			if err := checkFile(sanitize.KindPDF, build("q Q")); err != nil {
				t.Fatal(err)
			}
			if checkFile(sanitize.KindPDF, build("q Q evil")) == nil {
				t.Error("a program with more than painting passed")
			}
		})
	}
}

func TestStatesThatAreNoneAreRefused(t *testing.T) {
	objects, streams := goodPDF()
	objects[3] = strings.Replace(objects[3], "/F 4/", "/AP <</N 6 0 R>>/F 4/", 1)
	objects[6] = "<</JS (app.alert\\(1\\))/S /Foo>>"
	streams[7] = [2]string{"", "q Q"}
	if checkFile(sanitize.KindPDF, pdfOf(t, objects, streams)) == nil {
		t.Error("a script passed as the states of a field")
	}
}

// Pictures are unpacked several at a time, and each of them counts.
func TestEveryPictureIsUnpacked(t *testing.T) {
	const many, side = 9, 64
	objects, streams := goodPDF()
	r := rand.New(rand.NewPCG(5, 6))
	for i := range many {
		samples := make([]byte, side*side)
		for k := range samples {
			samples[k] = byte(r.IntN(256))
		}
		streams[6+i] = [2]string{fmt.Sprintf("/BitsPerComponent 8/ColorSpace /DeviceGray/Height %d/Subtype /Image/Type /XObject/Width %d", side, side), string(samples)}
	}
	sound := pdfOf(t, objects, streams)
	if err := checkFile(sanitize.KindPDF, sound); err != nil {
		t.Fatal(err)
	}
	at := 0
	for i := range many {
		at += bytes.Index(sound[at:], []byte("/Subtype /Image"))
		at += bytes.Index(sound[at:], []byte("\nendstream"))
		bad := bytes.Clone(sound)
		bad[at-1] ^= 1 // the checksum
		if err := checkFile(sanitize.KindPDF, bad); err == nil {
			t.Errorf("picture %d of %d with another checksum is allowed", i+1, many)
		}
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	spent := int64(0)
	u := unpacker{most: 100, buf: make([]byte, 64), spend: func(n int64) error { spent += n; return nil }}
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{
		"as it is":     {packed.Bytes(), true},
		"cut short":    {packed.Bytes()[:packed.Len()-5], false},
		"with a tail":  {append(bytes.Clone(packed.Bytes()), 0), false},
		"nothing":      {nil, false},
		"no packed":    {[]byte("no packed data at all"), false},
		"as it is too": {packed.Bytes(), true},
	} {
		if err := u.unpack(c.b); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if spent < 200 {
		t.Errorf("%d octets were charged", spent)
	}
	if u.most = 99; !errors.Is(u.unpack(packed.Bytes()), sanitize.ErrLimit) {
		t.Error("more than a document may have")
	}
}
