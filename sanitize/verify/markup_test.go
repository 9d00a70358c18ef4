package verify

import (
	"encoding/binary"
	"encoding/xml"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

// tell writes down what a reader of XML sees: elements, attributes and text.
func tell(r io.Reader) (string, error) {
	m := newMarkup(r, 200)
	var b strings.Builder
	text := ""
	flush := func() {
		if text != "" {
			fmt.Fprintf(&b, "%q", text)
			text = ""
		}
	}
	for {
		t, err := m.next()
		if err == io.EOF {
			flush()
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch t {
		case markupStart:
			flush()
			fmt.Fprintf(&b, "<%s", m.local)
			for i := range m.attrs {
				fmt.Fprintf(&b, " %s=%q", m.attrs[i].local, decoded(m.attrs[i].value))
			}
			b.WriteByte('>')
		case markupEnd:
			flush()
			fmt.Fprintf(&b, "</%s>", m.local)
		case markupText:
			if len(m.starts) > 0 {
				text += decoded(m.text)
			}
		}
	}
}

// tellStandard is the same by the standard library.
func tellStandard(s string) (string, error) {
	d := xml.NewDecoder(strings.NewReader(s))
	var b strings.Builder
	depth := 0
	for {
		t, err := d.Token()
		if err == io.EOF {
			return b.String(), nil
		}
		if err != nil {
			return "", err
		}
		switch x := t.(type) {
		case xml.StartElement:
			depth++
			fmt.Fprintf(&b, "<%s", x.Name.Local)
			for _, a := range x.Attr {
				if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" {
					fmt.Fprintf(&b, " %s=%q", a.Name.Local, a.Value)
				}
			}
			b.WriteByte('>')
		case xml.EndElement:
			depth--
			fmt.Fprintf(&b, "</%s>", x.Name.Local)
		case xml.CharData:
			if depth > 0 {
				fmt.Fprintf(&b, "%q", string(x))
			}
		}
	}
}

const markupSample = "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"yes\"?>\n" + `<w:a xmlns:w="u" xmlns="v" w:x='1 &lt; 2' y="日本語 &#x65E5;"><b/>text &amp; <w:c>本文 > ]]</w:c> tail</w:a>` + "\n"

func TestMarkupIsReadAsTheStandardLibraryReadsIt(t *testing.T) {
	want, err := tellStandard(markupSample)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]io.Reader{"at once": strings.NewReader(markupSample), "octet by octet": iotest.OneByteReader(strings.NewReader(markupSample)), "in halves": iotest.HalfReader(strings.NewReader(markupSample))} {
		got, err := tell(r)
		if err != nil || strings.ReplaceAll(got, `""`, "") != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", name, err, got, want)
		}
	}
}

func TestOddMarkupIsRefused(t *testing.T) {
	for name, s := range map[string]string{
		"nothing": "", "no element": `<?xml version="1.0"?> `, "another version": `<?xml version="1.1"?><a/>`, "nothing closes": "<a>", "another closes": "<a></b>", "two roots": "<a/><b/>", "text outside": "<a/>x", "DOCTYPE": "<!DOCTYPE a><a/>", "comment": "<a><!-- --></a>", "CDATA": "<a><![CDATA[x]]></a>",
		"instruction": "<?x y?><a/>", "declaration inside": `<a><?xml version="1.0"?></a>`, "another charset": `<?xml version="1.0" encoding="UTF-7"?><a/>`, "entity": "<a>&x;</a>", "a bare and": "<a>a & b</a>", "the end of what is no CDATA": "<a>x]]>y</a>",
		"reference to nothing": "<a>&#0;</a>", "surrogate": "<a>&#xD800;</a>", "huge reference": "<a>&#x110000;</a>", "control": "<a>\x01</a>", "no UTF-8": "<a>\xff</a>", "noncharacter": "<a>\uffff</a>",
		"attribute twice": `<a x="1" x="2"/>`, "no quotes": "<a x=1/>", "no value": "<a x/>", "less in a value": `<a x="<"/>`, "joined": `<a x="1"y="2"/>`, "prefix of nothing": "<w:a/>", "prefix of an attribute": `<a w:x=""/>`,
		"two colons": "<a:b:c/>", "a name of digits": "<1a/>", "a name of marks": "<a\u065c/>", "an empty tag": "<>", "cut in a tag": "<a", "cut in a reference": "<a>&am",
	} {
		if got, err := tell(iotest.OneByteReader(strings.NewReader(s))); err == nil {
			t.Errorf("%s: read as %s", name, got)
		}
	}
	if _, err := tell(strings.NewReader(`<日本語ー:a xmlns:日本語ー="u"/>`)); err != nil {
		t.Errorf("a Japanese prefix: %v", err)
	}
	if _, err := tell(strings.NewReader(strings.Repeat("<a>", 201) + strings.Repeat("</a>", 201))); err == nil {
		t.Error("no depth is too deep")
	}
}

// FuzzMarkup: what is taken here, the standard library takes too, and sees the
// same in it.
func FuzzMarkup(f *testing.F) {
	f.Add(markupSample)
	f.Add(`<a xmlns:b="c"><b:d e="f" b:e='g'/>&#65;</a>`)
	f.Fuzz(func(t *testing.T, s string) {
		got, err := tell(strings.NewReader(s))
		if err != nil {
			return
		}
		slow, err := tell(iotest.OneByteReader(strings.NewReader(s)))
		if err != nil || slow != got {
			t.Fatalf("in small pieces: %v\n%s\n%s", err, slow, got)
		}
		want, err := tellStandard(s)
		if err != nil {
			t.Fatalf("the standard library refuses it: %v", err)
		}
		// It makes one line end of the two kinds.
		if strings.Contains(s, "\r") {
			return
		}
		if got != strings.ReplaceAll(want, `""`, "") && got != want {
			t.Fatalf("%s\n%s", got, want)
		}
	})
}

// TestDrawingsCarryNoOtherFormat: what an EMF says beside its drawing is EMF+ or
// the marks of groups, and a WMF speaks to no printer.
func TestDrawingsCarryNoOtherFormat(t *testing.T) {
	record := func(kind uint32, body ...byte) []byte {
		b := binary.LittleEndian.AppendUint32(nil, kind)
		return append(binary.LittleEndian.AppendUint32(b, uint32(8+len(body))), body...)
	}
	emf := func(comment string) []byte {
		head := record(1, make([]byte, 80)...)
		copy(head[40:], " EMF")
		c := append(binary.LittleEndian.AppendUint32(nil, uint32(len(comment))), comment...)
		return append(append(head, record(70, c...)...), record(14, make([]byte, 12)...)...)
	}
	wmf := func(kind uint16) []byte {
		b := append([]byte{1, 0, 9, 0, 0, 3}, make([]byte, 12)...)
		b = append(b, 5, 0, 0, 0, byte(kind), byte(kind>>8), 1, 0, 0, 0)
		return append(b, 3, 0, 0, 0, 0, 0)
	}
	for name, c := range map[string]struct {
		b  []byte
		ok bool
	}{
		"EMF+": {emf("EMF+"), true}, "a group": {emf("GDIC\x02\x00\x00\x00"), true}, "a WMF in an EMF": {emf("GDIC\x01\x00\x00\x80"), false}, "PostScript": {emf("GDIC\x02\x00\x00\x40"), false},
		"what a program keeps": {emf("EVIL"), false}, "WMF": {wmf(0x0103), true}, "a printer": {wmf(0x0626), false},
	} {
		if err := checkMetafile("x", c.b); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}
