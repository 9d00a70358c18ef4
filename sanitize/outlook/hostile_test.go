package outlook_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/message"
	"sekisho/sanitize/outlook"
)

// TestABrokenContainerIsTheEndOfTheLadder: what the container itself says wrong
// is no reason to have another parser try.
func TestABrokenContainerIsTheEndOfTheLadder(t *testing.T) {
	whole := corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "s", 0x1000: "b"}, ""))
	for name, change := range map[string]func(b []byte) []byte{
		"sectors of another size": func(b []byte) []byte { b[30] = 10; return b },
		"a FAT outside the file":  func(b []byte) []byte { binary.LittleEndian.PutUint32(b[76:], 0xFFFFF); return b },
		"a header alone":          func(b []byte) []byte { return b[:512] },
	} {
		if err := opened(change(bytes.Clone(whole))); !errors.Is(err, sanitize.ErrContainer) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// opened is how a file ends that is taken for a saved message, whatever it is.
func opened(b []byte) error {
	s := sanitize.NewSession(options(sanitize.TaskFile, ""), int64(len(b)), detect.Detect, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindMessage: message.Sanitizer{}})
	_, err := outlook.MSG{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, io.Discard)
	return err
}

// entry finds a directory entry by its name.
func entry(t *testing.T, b []byte, name string) []byte {
	t.Helper()
	var u []byte
	for _, c := range name {
		u = append(u, byte(c), 0)
	}
	u = append(u, 0, 0)
	for i := 512; i+128 <= len(b); i += 128 {
		if bytes.HasPrefix(b[i:], u) {
			return b[i : i+128]
		}
	}
	t.Fatalf("no entry %q", name)
	return nil
}

// TestMessagesInACircleEnd: the message inside is the one that holds it, or its
// own attachment.
func TestMessagesInACircleEnd(t *testing.T) {
	inner := corpus.SavedMessage(false, map[uint16]string{0x0037: "inner", 0x1000: "b"}, "", corpus.Packed{Name: "x.txt", Data: []byte("x"), Method: 1})
	whole := corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "s", 0x1000: "b"}, "", corpus.Packed{Name: "m", Method: 5, Inside: inner}))
	child := func(e []byte) []byte { return e[76:80] }
	for name, change := range map[string]func(b []byte){
		"the whole message": func(b []byte) {
			copy(child(entry(t, b, "__substg1.0_3701000D")), child(entry(t, b, "Root Entry")))
		},
		"its own attachment": func(b []byte) {
			copy(child(entry(t, b, "__substg1.0_3701000D")), child(entry(t, b, "__attach_version1.0_#00000000")))
		},
	} {
		b := bytes.Clone(whole)
		change(b)
		if err := opened(b); !errors.Is(err, sanitize.ErrContainer) && !errors.Is(err, sanitize.ErrAmbiguous) {
			t.Errorf("%s: %v", name, err)
		}
		// Nor does detection go round in it.
		if _, _, err := treat(t, sanitize.TaskFile, "m.msg", b); err == nil {
			t.Errorf("%s was treated", name)
		}
	}
}

func TestMessagesInMessagesAreBounded(t *testing.T) {
	m := corpus.SavedMessage(false, map[uint16]string{0x0037: "the innermost", 0x1000: "b"}, "")
	for range 12 {
		m = corpus.SavedMessage(false, map[uint16]string{0x0037: "s", 0x1000: "b"}, "", corpus.Packed{Name: "m", Method: 5, Inside: m})
	}
	b := corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "s", 0x1000: "b"}, "", corpus.Packed{Name: "m", Method: 5, Inside: m}))
	if _, _, err := treat(t, sanitize.TaskFile, "m.msg", b); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("a saved message: %v", err)
	}
	w := corpus.Winmail(`{\rtf1 x}`)
	for range 12 {
		w = corpus.Winmail(`{\rtf1 x}`, corpus.Packed{Name: "m", Data: append(make([]byte, 16), w...), Method: 5})
	}
	if _, _, err := treat(t, sanitize.TaskFile, "winmail.dat", w); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("a winmail.dat: %v", err)
	}
	// One winmail.dat after the other is as deep as archives are.
	w = corpus.Winmail("", corpus.Packed{Name: "innermost.txt", Data: []byte("INNERMOST"), Method: 1})
	for range 14 {
		w = corpus.Winmail("", corpus.Packed{Name: "winmail.dat", Data: w, Method: 1})
	}
	mail := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "t", Files: []corpus.Attachment{{Name: "winmail.dat", Media: "application/ms-tnef", Data: w}}}
	out, r, err := treat(t, sanitize.TaskMail, "", mail.Bytes())
	if err != nil || strings.Contains(words("Subject: x\r\n"+out), "INNERMOST") {
		t.Errorf("winmail.dat in winmail.dat: %v\n%s", err, out)
	}
	if last := r.Parts[len(r.Parts)-1]; last.Fate == sanitize.Delivered {
		t.Errorf("the innermost is %+v", last)
	}
}

// TestFilesElsewhereAreNeverNamed: an attachment that is a link, a reminder that
// plays a file, a form. CVE-2023-23397 needs no more than a path.
func TestFilesElsewhereAreNeverNamed(t *testing.T) {
	for _, method := range []uint32{2, 3, 4, 7, 99} {
		m := corpus.SavedMessage(true, map[uint16]string{
			0x0037: "s", 0x1000: "b", 0x001A: "IPM.Note.EvilForm",
			0x851F: `\\evil.example\share\a.wav`, 0x8596: `\\evil.example\share\b.wav`, 0x3FF0: `\\evil.example\share\c`,
		}, "", corpus.Packed{Name: "link.docx", Data: []byte("x"), Method: method})
		a := m["__attach_version1.0_#00000000"].(corpus.Folder)
		for _, id := range []string{"370D", "3708", "3712", "3711"} {
			a["__substg1.0_"+id+"001F"] = append(wide(`\\evil.example\share\`+id), 0, 0)
		}
		out, r, err := treat(t, sanitize.TaskFile, "m.msg", corpus.Compound(m))
		if err != nil {
			t.Errorf("method %d: %v", method, err)
			continue
		}
		if w := words(out); strings.Contains(w, "evil.example") || strings.Contains(w, "EvilForm") || strings.Contains(w, `\\`) {
			t.Errorf("method %d:\n%s", method, w)
		}
		if !found(r, "outlook.link") {
			t.Errorf("method %d is not told: %+v", method, r.Parts)
		}
	}
}

func wide(s string) []byte {
	var b []byte
	for _, c := range s {
		b = append(b, byte(c), byte(c>>8))
	}
	return b
}

// TestStreamsMayNotLieAboutTheirSizes: what a property says of its length is not
// what is read.
func TestStreamsMayNotLieAboutTheirSizes(t *testing.T) {
	m := corpus.SavedMessage(true, map[uint16]string{0x0037: "件名", 0x1000: "本文"}, "", corpus.Packed{Name: "a.txt", Data: []byte("the text"), Method: 1})
	lie := func(tag uint32, size uint32) []byte {
		b := binary.LittleEndian.AppendUint32(nil, tag)
		b = binary.LittleEndian.AppendUint32(b, 6)
		b = binary.LittleEndian.AppendUint32(b, size)
		return append(b, 0, 0, 0, 0)
	}
	m["__properties_version1.0"] = append(m["__properties_version1.0"].([]byte), append(lie(0x0037001F, 0xFFFFFFFF), lie(0x1000001F, 0)...)...)
	a := m["__attach_version1.0_#00000000"].(corpus.Folder)
	a["__properties_version1.0"] = append(a["__properties_version1.0"].([]byte), lie(0x37010102, 0x7FFFFFFF)...)
	out, _, err := treat(t, sanitize.TaskFile, "m.msg", corpus.Compound(m))
	if w := words(out); err != nil || !strings.Contains(w, "件名") || !strings.Contains(w, "本文") || !strings.Contains(w, "the text") {
		t.Errorf("%v\n%s", err, w)
	}
	// Half a character, half an entry, a stream cut short.
	m["__substg1.0_0037001F"] = []byte{0x2D}
	m["__substg1.0_1000001F"] = []byte{0x2C, 0x67, 0x87}
	m["__properties_version1.0"] = make([]byte, 39)
	if out, _, err := treat(t, sanitize.TaskFile, "m.msg", corpus.Compound(m)); err != nil || !strings.Contains(words(out), "本") {
		t.Errorf("halves: %v\n%s", err, words(out))
	}
	m["__properties_version1.0"] = make([]byte, 31)
	if _, _, err := treat(t, sanitize.TaskFile, "m.msg", corpus.Compound(m)); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("a short property stream: %v", err)
	}
	// TNEF: lengths beyond the file, and more values than there can be.
	head := []byte("\x78\x9f\x3e\x22\x01\x00")
	props := func(b ...uint32) []byte {
		var data []byte
		for _, n := range b {
			data = binary.LittleEndian.AppendUint32(data, n)
		}
		out := append(bytes.Clone(head), 1)
		out = binary.LittleEndian.AppendUint32(out, 0x00069003)
		out = binary.LittleEndian.AppendUint32(out, uint32(len(data)))
		return append(append(out, data...), 0, 0)
	}
	for name, b := range map[string][]byte{
		"an attribute longer than the file": append(bytes.Clone(head), 1, 3, 0x90, 6, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0),
		"four thousand million properties":  props(0xFFFFFFFF),
		"four thousand million values":      props(1, 0x1009101F, 0xFFFFFFFF),
		"a value longer than its list":      props(1, 0x10090102, 1, 0x7FFFFFFF, 0),
		"many numbers in a few octets":      props(1, 0x00391040, 0xFFFFFFFF, 0),
		"an attribute of level 3":           append(bytes.Clone(head), 3, 3, 0x90, 6, 0, 0, 0, 0, 0, 0, 0),
	} {
		if _, _, err := treat(t, sanitize.TaskFile, "winmail.dat", b); !errors.Is(err, sanitize.ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMoreFilesThanAnArchiveMayHaveAreALimit in either envelope.
func TestMoreFilesThanAnArchiveMayHaveAreALimit(t *testing.T) {
	files := make([]corpus.Packed, 1500)
	for i := range files {
		files[i] = corpus.Packed{Name: fmt.Sprint(i, ".txt"), Data: []byte("x"), Method: 1}
	}
	o := options(sanitize.TaskFile, "winmail.dat")
	o.Limits.Entries = 1000
	b := corpus.Winmail("", files[:333]...) // three attributes each
	if _, err := run(t, o, b); err != nil {
		t.Errorf("333 files: %v", err)
	}
	for name, b := range map[string][]byte{
		"winmail.dat": corpus.Winmail("", files...),
		"m.msg": func() []byte {
			m := corpus.SavedMessage(true, map[uint16]string{0x0037: "s"}, "")
			for i := range files {
				m[fmt.Sprintf("__attach_version1.0_#%08X", i)] = corpus.Folder{"__properties_version1.0": make([]byte, 8), "__substg1.0_37010102": []byte("x")}
			}
			return corpus.Compound(m)
		}(),
	} {
		o.FileName = name
		if _, err := run(t, o, b); !errors.Is(err, sanitize.ErrLimit) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// richText is the property of rich text, compressed as kind says.
func richText(kind string, raw uint32, data []byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(data)+12))
	b = binary.LittleEndian.AppendUint32(b, raw)
	return append(append(append(b, kind...), 0, 0, 0, 0), data...)
}

func TestRichTextCannotExplode(t *testing.T) {
	// References to what was just written: nine octets make 144.
	var bomb []byte
	for range 100_000 {
		bomb = append(bomb, 0xFF)
		for range 8 {
			bomb = append(bomb, 0x00, 0x1F)
		}
	}
	with := func(rtf []byte) []byte {
		m := corpus.SavedMessage(true, map[uint16]string{0x0037: "s"}, "")
		m["__substg1.0_10090102"] = rtf
		return corpus.Compound(m)
	}
	for name, k := range map[string]struct {
		rtf  []byte
		want error
	}{
		"more than can be":          {richText("LZFu", 0xFFFFFFF0, bomb[:1700]), sanitize.ErrMalformed},
		"a hundred thousand groups": {richText("MELA", 200_000, []byte(`{\rtf1`+strings.Repeat("{", 100_000))), sanitize.ErrLimit},
		"an unknown compression":    {richText("EVIL", 10, []byte("0123456789")), sanitize.ErrMalformed},
		"shorter than its own head": {[]byte("LZFu"), sanitize.ErrMalformed},
		"a reference and no more":   {richText("LZFu", 100, []byte{0xFF, 0x00}), sanitize.ErrMalformed},
	} {
		if _, _, err := treat(t, sanitize.TaskFile, "m.msg", with(k.rtf)); !errors.Is(err, k.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// What unpacks to ten times the mail is charged to it.
	o := options(sanitize.TaskFile, "m.msg")
	o.Limits.Expanded = 4 << 20
	if _, err := run(t, o, with(richText("LZFu", uint32(len(bomb)*9), bomb))); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("a bomb: %v", err)
	}
	// Pictures, objects and fields of it are nobody's text.
	rtf := `{\rtf1\ansi shown{\object\objdata 4d5a9000}{\*\template \\\\evil.example\\x}{\field{\*\fldinst INCLUDEPICTURE "http://evil.example/a"}{\fldrslt }}\bin9 {}{}{}{}{}` + ` end}`
	out, _, err := treat(t, sanitize.TaskFile, "m.msg", with(richText("MELA", uint32(len(rtf)), []byte(rtf))))
	if w := words(out); err != nil || !strings.Contains(w, "shown") || !strings.Contains(w, "end") || strings.Contains(w, "evil.example") || strings.Contains(w, "4d5a") {
		t.Errorf("%v\n%s", err, w)
	}
}

// TestHTMLInRichTextIsTreatedAsHTML in either envelope: also what stands half in
// the tags and half between them.
func TestHTMLInRichTextIsTreatedAsHTML(t *testing.T) {
	rtf := `{\rtf1\ansi\ansicpg932\fromhtml1 {\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 本文 text\htmlrtf }\htmlrtf0{\*\htmltag72 </p>}` +
		`{\*\htmltag84 <script>}alert('EVIL-SCRIPT'){\*\htmltag92 </script>}{\*\htmltag84 <img src="http://evil.example/EVIL-IMG" onerror="EVIL-ONERROR">}` +
		`{\*\htmltag84 <scr}{\*\htmltag84 ipt>EVIL-SPLIT</scr}{\*\htmltag84 ipt>}{\*\htmltag84 <iframe src="file://evil.example/EVIL-FRAME"></iframe>}` +
		`{\*\htmltag64 <a href="javascript:EVIL-HREF">}link{\*\htmltag72 </a>}{\*\mhtmltag84 <img src="cid:EVIL-M">}}`
	m := corpus.SavedMessage(true, map[uint16]string{0x0037: "s"}, "")
	m["__substg1.0_10090102"] = richText("MELA", uint32(len(rtf)), []byte(rtf))
	mail := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Files: []corpus.Attachment{{Name: "winmail.dat", Media: "application/ms-tnef", Data: corpus.Winmail(rtf)}}}.Bytes()
	for name, k := range map[string]struct {
		task sanitize.Task
		b    []byte
	}{"m.msg": {sanitize.TaskFile, corpus.Compound(m)}, "winmail.dat": {sanitize.TaskMail, mail}} {
		for _, html := range []bool{false, true} {
			o := options(k.task, name)
			if html {
				o.Rules[sanitize.ClassBody] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
			}
			out, err := run(t, o, k.b)
			if k.task == sanitize.TaskMail {
				out = "Subject: x\r\n" + out
			}
			w := words(out)
			if err != nil || !strings.Contains(w, "text") || !strings.Contains(w, "link") || strings.Contains(w, "EVIL") {
				t.Errorf("%s, HTML %t: %v\n%s", name, html, err, w)
			}
		}
	}
}

// TestCodePagesOfAllKindsAreRead: eight-bit strings by the page that the message
// names, by a guess where it names none that there is.
func TestCodePagesOfAllKindsAreRead(t *testing.T) {
	for _, c := range []struct {
		page uint32
		b    string
		want string
	}{
		{932, "\x93\xfa\x96{ \x87@\x87\x8a", "日本 ①㈱"},
		{51932, "\xc6\xfc\xcb\xdc", "日本"},
		{50220, "\x1b$BF|K\\\x1b(B", "日本"},
		{65001, "日本", "日本"},
		{1251, "\xcf\xf0", "Пр"},
		{949, "\xc7\xd1", "한"},
		{4294967295, "plain", "plain"},
		{0, "\x93\xfa\x96{", "日本"},
		{12345, "\x93\xfa\x96{\x82\xb1", "日本こ"},
	} {
		m := corpus.SavedMessage(true, nil, "")
		m["__substg1.0_0037001E"] = []byte(c.b)
		m["__substg1.0_1000001E"] = []byte("body " + c.b)
		entry := binary.LittleEndian.AppendUint32(nil, 0x3FFD0003)
		entry = binary.LittleEndian.AppendUint32(entry, 6)
		entry = binary.LittleEndian.AppendUint32(entry, c.page)
		m["__properties_version1.0"] = append(m["__properties_version1.0"].([]byte), append(entry, 0, 0, 0, 0)...)
		out, _, err := treat(t, sanitize.TaskFile, "m.msg", corpus.Compound(m))
		if w := words(out); err != nil || strings.Count(w, c.want) < 2 {
			t.Errorf("code page %d: %v\n%s", c.page, err, w)
		}
	}
	// HTML by the internet's code page; UTF-7 hides a script from who does not ask.
	for _, c := range []struct {
		page       uint32
		html, want string
	}{
		{932, "<p>\x93\xfa\x96{</p>", "日本"},
		{65000, "<p>plain</p>+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "plain"},
		{4294967295, "<p>plain</p><script>alert(1)</script>", "plain"},
		{20127, "<p>plain</p><script>alert(1)</script>", "plain"},
	} {
		m := corpus.SavedMessage(true, map[uint16]string{0x0037: "s"}, c.html)
		b := m["__properties_version1.0"].([]byte)
		binary.LittleEndian.PutUint32(b[32+8:], c.page)
		for _, html := range []bool{false, true} {
			o := options(sanitize.TaskFile, "m.msg")
			if html {
				o.Rules[sanitize.ClassBody] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
			}
			out, err := run(t, o, corpus.Compound(m))
			if w := words(out); err != nil || !strings.Contains(w, c.want) || strings.Contains(w, "<script") || strings.Contains(w, "+ADw-script") {
				t.Errorf("HTML of code page %d, HTML %t: %v\n%s", c.page, html, err, w)
			}
		}
	}
}

// ended holds that an envelope became a mail, or an error that has a kind.
func ended(t *testing.T, what string, k sanitize.Sanitizer, b []byte) {
	t.Helper()
	corpustest.Thrifty(t, what, 24<<20, func() {
		fuzz(t, k, b)
		s := sanitize.NewSession(options(sanitize.TaskFile, ""), int64(len(b)), detect.Detect, map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindMessage: message.Sanitizer{}})
		_, err := k.Sanitize(t.Context(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, io.Discard)
		if err == nil {
			return
		}
		for _, known := range []error{sanitize.ErrMalformed, sanitize.ErrContainer, sanitize.ErrAmbiguous, sanitize.ErrLimit, sanitize.ErrUnsupported} {
			if errors.Is(err, known) {
				return
			}
		}
		t.Errorf("an error of no kind: %v", err)
	})
	if t.Failed() {
		t.Fatal(what)
	}
}

// TestNumbersThatLieAreHeld: every length, count and type of an envelope in turn is
// as large as can be, or leads to where it stands; and each ends wherever it may.
func TestNumbersThatLieAreHeld(t *testing.T) {
	values := []uint32{0, 1, 5, 0xFF, 0xFFFF, 0x101F, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF}
	w := corpus.Winmail(`{\rtf1 x}`, corpus.Packed{Name: "a.txt", Data: []byte("text"), Method: 1},
		corpus.Packed{Name: "m", Data: append(make([]byte, 16), corpus.Winmail(`{\rtf1 y}`)...), Method: 5})
	corpustest.Lies(w, 1, values, func(what string, b []byte) { ended(t, "winmail.dat: "+what, outlook.TNEF{}, b) })
	for n := range w {
		ended(t, fmt.Sprint("winmail.dat cut at ", n), outlook.TNEF{}, w[:n])
	}
	// The streams of a saved message, in a container that is sound.
	m := corpus.SavedMessage(true, map[uint16]string{0x0037: "s", 0x1000: "b"}, "<p>x", corpus.Packed{Name: "a.txt", Data: []byte("text"), Method: 1})
	m["__substg1.0_10090102"] = richText("LZFu", 60, []byte{0, 'x', 'y', 'z', 'x', 'y', 'z', 'x', 'y', 0x0F, 0xF2, 0x01, 0xF3})
	for _, name := range []string{"__properties_version1.0", "__substg1.0_10090102"} {
		s := m[name].([]byte)
		corpustest.Lies(s, 1, values, func(what string, _ []byte) { ended(t, name+": "+what, outlook.MSG{}, corpus.Compound(m)) })
		for n := range s {
			m[name] = s[:n]
			ended(t, fmt.Sprint(name, " cut at ", n), outlook.MSG{}, corpus.Compound(m))
		}
		m[name] = s
	}
	// The container itself: its header, its table of sectors, its directory.
	b := corpus.Compound(m)
	corpustest.Lies(b[24:512+128], 2, values, func(what string, _ []byte) { ended(t, "container: "+what, outlook.MSG{}, b) })
	directory := (int(binary.LittleEndian.Uint32(b[48:])) + 1) * 512
	corpustest.Lies(b[directory:min(len(b), directory+1024)], 4, values, func(what string, _ []byte) { ended(t, "directory: "+what, outlook.MSG{}, b) })
}
