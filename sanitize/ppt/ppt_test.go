package ppt

import (
	"bytes"
	"compress/zlib"
	"errors"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
	"sekisho/sanitize/verify"
)

const marker = "MARKER"

var cases = []struct {
	name   string
	change func(*show)
	rule   string
	action sanitize.Action
	gone   []string // octets, or text in UTF-16
	stays  []string
}{
	{name: "macros", rule: "ppt.vba", action: sanitize.Removed, gone: []string{marker}, change: func(w *show) {
		w.document = append(w.document, box(typeList, 1, box(typeVBAInfo, 1, atom(typeVBAInfoAtom, 2, append(append(num(7), num(1)...), num(2)...)...))))
		w.objects[7] = atom(typeOleStorage, 1, append(num(99), marker...)...)
	}},
	{name: "no macros", change: func(w *show) {
		w.document = append(w.document, box(typeList, 1, box(typeVBAInfo, 1, atom(typeVBAInfoAtom, 2, make([]byte, 12)...))))
	}},
	{name: "embedded object", rule: "ppt.object", action: sanitize.Removed, gone: []string{marker, "Package"}, change: func(w *show) {
		w.links = append(w.links, box(typeOleEmbed, 0, atom(0x0FCD, 0, make([]byte, 8)...), atom(0x0FC3, 1, make([]byte, 24)...), str(2, "Package")))
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, atom(typeExObjRef, 0, num(1)...)))
		w.objects[8] = atom(typeOleStorage, 0, []byte(marker)...)
	}},
	{name: "linked object", rule: "ppt.linked-object", action: sanitize.Removed, gone: []string{"evil"}, change: func(w *show) {
		w.links = append(w.links, box(typeOleLink, 0, str(1, `\\evil\x.xls`)))
	}},
	{name: "control", rule: "ppt.control", action: sanitize.Removed, gone: []string{"Shell.Explorer"}, change: func(w *show) {
		w.links = append(w.links, box(typeOleControl, 0, str(2, "Shell.Explorer")))
	}},
	{name: "object nothing refers to", rule: "ppt.object", action: sanitize.Removed, gone: []string{marker}, change: func(w *show) {
		w.objects[8] = atom(typeOleStorage, 0, []byte(marker)...)
	}},
	{name: "film", rule: "ppt.media", action: sanitize.Removed, gone: []string{"evil"}, change: func(w *show) {
		w.links = append(w.links, box(typeAVI, 0, box(typeVideo, 0, str(0, `\\evil\x.avi`))))
	}},
	{name: "sound", rule: "ppt.sound", action: sanitize.Removed, gone: []string{marker}, change: func(w *show) {
		w.document = append(w.document, box(typeSounds, 5, atom(0x07E5, 0, num(1)...), box(typeSound, 0, str(0, "a"), atom(0x07E7, 0, []byte(marker)...))))
		w.slide = append(w.slide, with(with(zero(typeSlideShowInfo), 4, num(1)...), 10, 0x51))
	}},
	{name: "runs a macro", rule: "ppt.action", action: sanitize.Removed, gone: []string{"Evil"}, change: func(w *show) {
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, click(1, 0, 0, str(2, "Evil"))))
	}},
	{name: "runs a program", rule: "ppt.action", action: sanitize.Removed, gone: []string{"cmd.exe"}, change: func(w *show) {
		w.links = append(w.links, hyperlink(1, "cmd.exe", ""))
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, click(2, 0, 1)))
	}},
	{name: "runs a program from a text", rule: "ppt.action", action: sanitize.Removed, gone: []string{string(atom(typeTextAction, 0, num(0)...)[:4])}, change: func(w *show) {
		w.text = append(w.text, click(2, 0, 1), atom(typeTextAction, 0, append(num(0), num(3)...)...))
	}},
	{name: "opens an object", rule: "ppt.action", action: sanitize.Removed, gone: []string{string(click(5, 0, 0)[:24])}, change: func(w *show) {
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, click(5, 0, 0)))
	}},
	{name: "link to a file", rule: "ppt.link", action: sanitize.Neutralised, gone: []string{"evil", string(atom(typeTextAction, 0, num(0)...)[:4])}, change: func(w *show) {
		w.links = append(w.links, hyperlink(1, `file://evil/x`, ""))
		w.text = append(w.text, click(4, 8, 1), atom(typeTextAction, 0, append(num(0), num(3)...)...))
	}},
	{name: "link to another presentation", rule: "ppt.link", action: sanitize.Neutralised, gone: []string{"other"}, change: func(w *show) {
		w.links = append(w.links, hyperlink(1, `other.ppt`, "256,1,x"))
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, click(4, 9, 1)))
	}},
	{name: "link to the web", stays: []string{"https://example.jp/", "名前"}, change: func(w *show) {
		w.links = append(w.links, hyperlink(1, "https://example.jp/", ""))
		w.text = append(w.text, click(4, 8, 1), atom(typeTextAction, 0, append(num(0), num(3)...)...))
	}},
	{name: "link to a slide", stays: []string{"257,2,次"}, change: func(w *show) {
		w.links = append(w.links, hyperlink(1, "", "257,2,次"))
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, click(4, 7, 1), click(3, 0, 0)))
	}},
	{name: "link of two targets", rule: "ppt.link", action: sanitize.Neutralised, gone: []string{"evil", "example.jp"}, change: func(w *show) {
		w.links = append(w.links, box(typeHyperlink, 0, atom(typeHyperlinkAtom, 0, num(1)...), str(1, `file://evil/x`), str(1, "https://example.jp/")))
		w.text = append(w.text, click(4, 8, 1), atom(typeTextAction, 0, append(num(0), num(3)...)...))
	}},
	{name: "link of two numbers", rule: "ppt.link", action: sanitize.Neutralised, gone: []string{"example.jp"}, change: func(w *show) {
		w.links = append(w.links, box(typeHyperlink, 0, atom(typeHyperlinkAtom, 0, num(1)...), atom(typeHyperlinkAtom, 0, num(2)...), str(1, "https://example.jp/")))
	}},
	{name: "tags of a program", rule: "ppt.tags", action: sanitize.Rewritten, gone: []string{marker, "ADDIN"}, change: func(w *show) {
		w.slide = append(w.slide, tagged("ADDIN", []byte(marker)), box(typeProgTags, 0, box(typeStringTag, 0, str(0, "ADDIN"), str(1, marker))))
	}},
	{name: "copies for newer versions", rule: "ppt.newer-copy", action: sanitize.Rewritten, gone: []string{marker}, change: func(w *show) {
		w.master = append(w.master, atom(typeTheme, 0, []byte("PK\x03\x04"+marker)...), atom(typeRoundTrip+2, 0, []byte(marker)...), tagged("___PPT12", []byte(marker)))
	}},
	{name: "comments stay", stays: []string{"___PPT10", "コメント"}, change: func(w *show) {
		w.slide = append(w.slide, tagged(tag10, box(typeComment, 0, str(0, "太郎"), str(1, "コメント"), zero(typeCommentAtom))))
	}},
	{name: "animations stay", stays: []string{"ppt_x"}, change: func(w *show) {
		visible := box(typeSetBehavior, 0, zero(typeSetAtom), box(typeBehavior, 0, zero(typeBehaviorAtom), box(typeVariants, 1, atom(typeVariant, 1, append([]byte{3}, unwide("ppt_x\x00")...)...))))
		w.slide = append(w.slide, tagged(tag10, step(0, step(3, visible))))
	}},
	{name: "animation that commands", rule: "ppt.animation-command", action: sanitize.Removed, gone: []string{"onstopaudio"}, change: func(w *show) {
		w.slide = append(w.slide, tagged(tag10, step(0, step(3, box(typeCommand, 0, atom(0xF13B, 0, make([]byte, 8)...), atom(typeVariant, 1, append([]byte{3}, unwide("onstopaudio")...)...))))))
	}},
	{name: "animation that plays", rule: "ppt.media", action: sanitize.Removed, change: func(w *show) {
		w.slide = append(w.slide, tagged(tag10, step(0, step(4))))
	}},
	{name: "animation with a sound", change: func(w *show) {
		w.shape = append(w.shape, box(officeart.TypeClientData, 0, box(typeAnimation, 0, with(with(zero(typeAnimationAtom), 4, 0x10, 1), 8, 5))))
	}},
	{name: "publishing", rule: "ppt.publishing", action: sanitize.Rewritten, gone: []string{"evil"}, change: func(w *show) {
		w.document = append(w.document, box(typeList, 0, tagged(tag9, box(typeHTMLPublish9, 0, str(0, `\\evil\x`)), atom(typeAdvisorFlags9, 0, num(0)...))))
	}},
	{name: "embedded font", rule: "ppt.font", action: sanitize.Rewritten, gone: []string{marker}, stays: []string{"___PPT10"}, change: func(w *show) {
		w.slide = append(w.slide, tagged(tag10, box(typeFonts10, 0, with(zero(typeFontEntity), 65, 1), atom(typeFontData, 0, []byte(marker)...))))
	}},
	{name: "what an earlier save left", gone: []string{marker}, change: func(w *show) { w.dead = atom(typeSlide, 0, []byte(marker)...) }},
	{name: "slide nothing refers to", rule: "ppt.dead", action: sanitize.Rewritten, gone: []string{marker}, change: func(w *show) {
		w.objects[9] = box(typeSlide, 0, str(3, marker))
	}},
	{name: "slide that is not there", rule: "ppt.damaged", action: sanitize.Removed, gone: []string{"無い"}, change: func(w *show) {
		w.list = append(w.list, persist(15, 300), zero(typeTextHeader), atom(typeTextChars, 0, unwide("無い")...))
	}},
	{name: "text that the outline does not have", rule: "ppt.damaged", action: sanitize.Removed, gone: []string{string(zero(typeOutlineRef)[:4])}, change: func(w *show) {
		w.text = [][]byte{atom(typeOutlineRef, 0, num(5)...)}
	}},
	{name: "text of the outline", stays: []string{string(zero(typeOutlineRef)[:4]), "見出し"}, change: func(w *show) {
		w.list = append(w.list, zero(typeTextHeader), atom(typeTextChars, 0, unwide("見出し")...))
		w.text = [][]byte{zero(typeOutlineRef)}
	}},
	{name: "atom that is too short", rule: "ppt.damaged", action: sanitize.Removed, change: func(w *show) { w.text = append(w.text, atom(typeTextHeader, 0, 1)) }},
	{name: "behind the end of an atom", gone: []string{marker}, change: func(w *show) {
		w.slide = append(w.slide, atom(typeColorScheme, 1, append(make([]byte, 32), marker...)...))
	}},
	{name: "behind the end of a name", gone: []string{marker}, change: func(w *show) { w.slide = append(w.slide, str(3, "名\x00"+marker)) }},
	{name: "record that runs beyond its container", rule: "ppt.damaged", action: sanitize.Removed, gone: []string{marker}, change: func(w *show) {
		w.slide = append(w.slide, append(officeart.Header{Type: typeCString, Len: 1 << 20}.Append(nil), marker...))
	}},
	{name: "unknown record", rule: "ppt.record", action: sanitize.Rewritten, gone: []string{marker}, change: func(w *show) { w.slide = append(w.slide, atom(0x1234, 0, []byte(marker)...)) }},
	{name: "unknown stream", rule: "ppt.stream", action: sanitize.Rewritten, gone: []string{marker}, change: func(w *show) { w.more["Payload"] = marker }},
	{name: "storage of macros", rule: "ppt.vba", action: sanitize.Removed, gone: []string{marker}, change: func(w *show) { w.more["_VBA_PROJECT_CUR/dir"] = marker }},
	{name: "linked picture", rule: "ppt.linked-picture", action: sanitize.Removed, gone: []string{"evil"}, change: func(w *show) {
		name := unwide("\\\\evil\\x.png\x00")
		table := []byte{0x05, 0x81}
		table = append(append(table, num(uint32(len(name)))...), 0x06, 0x01, 10, 0, 0, 0)
		w.shape = append(w.shape, officeart.AppendRecord(nil, officeart.Header{Ver: 3, Instance: 2, Type: 0xF00B}, append(table, name...)))
	}},
	{name: "picture that is none", rule: "ppt.picture", action: sanitize.Replaced, gone: []string{marker}, stays: []string{"\x89PNG"}, change: func(w *show) {
		w.pictures = atom(0xF01E, 0x6E0, append(make([]byte, 17), "\x89PNG\r\n\x1a\n"+marker...)...)
		e := make([]byte, 36)
		e[0], e[1], e[24] = 6, 6, 1
		copy(e[20:], num(uint32(len(w.pictures))))
		w.store = [][]byte{officeart.AppendRecord(nil, officeart.Header{Ver: 2, Instance: 6, Type: 0xF007}, e)}
	}},
}

func TestPresentations(t *testing.T) {
	for _, c := range cases {
		w := newShow()
		c.change(w)
		out, res, found, err := treat(w.bytes(t))
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		want := sanitize.Clean
		if (sanitize.Finding{Action: c.action}).Changed() {
			want = sanitize.Disarmed
		}
		told := slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == c.rule && f.Action == c.action })
		if res.Outcome != want || res.Kind != sanitize.KindPPT || res.Mode != sanitize.Rebuild || c.rule != "" && !told || c.rule == "" && len(found) > 0 {
			t.Errorf("%s: %s %s %s, found %v", c.name, res.Outcome, res.Kind, res.Mode, found)
		}
		doc := append(stream(t, out, documentStream), stream(t, out, pictureStream)...)
		has := func(s string) bool {
			return bytes.Contains(out, []byte(s)) || bytes.Contains(doc, []byte(s)) || bytes.Contains(doc, unwide(s))
		}
		for _, s := range c.gone {
			if has(s) {
				t.Errorf("%s: %q is still there", c.name, s)
			}
		}
		stays := c.stays
		if len(w.text) > 1 && c.name != "text of the outline" {
			stays = append(stays, shownText)
		}
		for _, s := range stays {
			if !has(s) {
				t.Errorf("%s: %q is gone", c.name, s)
			}
		}
		checkOutput(t, c.name, out)
	}
}

func TestPicturesAreEncodedAnew(t *testing.T) {
	w := newShow()
	picture := append(pngFile(t), "PK\x03\x04"+marker...)
	w.pictures = append([]byte(marker+"!!"), atom(0xF01E, 0x6E0, append(make([]byte, 17), picture...)...)...)
	e := make([]byte, 36)
	e[0], e[1], e[24] = 6, 6, 1
	copy(e[20:], num(uint32(len(w.pictures)-8)))
	copy(e[28:], num(8))
	w.store = [][]byte{officeart.AppendRecord(nil, officeart.Header{Ver: 2, Instance: 6, Type: 0xF007}, e)}
	out, _, _, err := treat(w.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	h, body, rest, ok := officeart.Next(stream(t, out, pictureStream))
	if !ok || len(rest) > 0 || h.Type != 0xF01E {
		t.Fatalf("%+v, %d octets behind", h, len(rest))
	}
	m, err := png.Decode(bytes.NewReader(body[17:]))
	if err != nil || m.Bounds().Dx() != 8 || bytes.Contains(body, []byte(marker)) {
		t.Errorf("%v %q", err, body)
	}
	checkOutput(t, "picture", out)
}

func TestLinksGoWhereTheProfileSaysSo(t *testing.T) {
	w := newShow()
	w.links = [][]byte{hyperlink(1, "https://example.jp/", "")}
	out, res, _, err := treat(w.bytes(t), func(o *sanitize.Options) { o.URLs = sanitize.RemoveURLs })
	if err != nil || res.Outcome != sanitize.Disarmed || bytes.Contains(stream(t, out, documentStream), unwide("example")) {
		t.Errorf("%v %v", res, err)
	}
}

func TestCommentsGoWhenTheProfileSaysSo(t *testing.T) {
	w := newShow()
	w.slide = append(w.slide, tagged(tag10, box(typeComment, 0, str(0, "太郎"), str(1, "コメント"), zero(typeCommentAtom)), box(typeCommentIndex, 0, str(0, "太郎"), zero(typeCommentIndexA))))
	out, res, found, err := treat(w.bytes(t), func(o *sanitize.Options) { o.Comments = true })
	if err != nil || res.Outcome != sanitize.Disarmed || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == "ppt.comments" && f.Action == sanitize.Removed }) {
		t.Errorf("%v %v %v", res, found, err)
	}
	for _, s := range []string{"太郎", "コメント"} {
		if bytes.Contains(stream(t, out, documentStream), unwide(s)) {
			t.Errorf("%s is still there", s)
		}
	}
	checkOutput(t, "comments", out)
}

// TestModulesOfMacrosAreTold: the project is a compound file in an object of the
// presentation, deflated or not.
func TestModulesOfMacrosAreTold(t *testing.T) {
	var project bytes.Buffer
	if err := cfb.Write(&project, &cfb.Storage{Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{cfb.NewStream("dir", []byte{0}), cfb.NewStream("Evil", []byte("x"))}}}}); err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	z := zlib.NewWriter(&packed)
	if _, err := z.Write(project.Bytes()); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	for name, object := range map[string][]byte{
		"deflated": atom(typeOleStorage, 1, append(num(uint32(project.Len())), packed.Bytes()...)...),
		"plain":    atom(typeOleStorage, 0, project.Bytes()...),
	} {
		w := newShow()
		w.document = append(w.document, box(typeList, 1, box(typeVBAInfo, 1, atom(typeVBAInfoAtom, 2, append(append(num(7), num(1)...), num(2)...)...))))
		w.objects[7] = object
		_, _, found, err := treat(w.bytes(t))
		if err != nil || !slices.ContainsFunc(found, func(f sanitize.Finding) bool { return f.Rule == "ppt.vba" && f.Where == "VBA/Evil" }) {
			t.Errorf("%s: %v %v", name, found, err)
		}
	}
}

func TestEncryptedPresentationsAreToldApart(t *testing.T) {
	for name, change := range map[string]func(*show){
		"token":   func(w *show) { w.token = tokenEncrypted },
		"session": func(w *show) { w.session = true },
	} {
		w := newShow()
		change(w)
		if _, _, _, err := treat(w.bytes(t)); !errors.Is(err, sanitize.ErrEncrypted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestANumberThatLeadsNowhereIsNoEncryption(t *testing.T) {
	w := newShow()
	w.damaged = true
	out, res, _, err := treat(w.bytes(t))
	if err != nil || res.Outcome != sanitize.Clean || !bytes.Contains(stream(t, out, documentStream), unwide(shownText)) {
		t.Errorf("%s, %v", res.Outcome, err)
	}
	checkOutput(t, "damaged", out)
}

func TestOlderPresentationsGoDownTheLadder(t *testing.T) {
	var b bytes.Buffer
	if err := cfb.Write(&b, &cfb.Storage{CLSID: class, Streams: []*cfb.Stream{cfb.NewStream(documentStream, make([]byte, 100)), cfb.NewStream(currentStream, make([]byte, 10))}}); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := treat(b.Bytes()); !errors.Is(err, sanitize.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
}

func TestTheLastEditIsFoundWhereNothingSaysWhereItIs(t *testing.T) {
	w := newShow()
	w.alone = true
	out, res, _, err := treat(w.bytes(t))
	if err != nil || res.Outcome != sanitize.Clean || !bytes.Contains(stream(t, out, documentStream), unwide(shownText)) {
		t.Errorf("%s, %v", res.Outcome, err)
	}
	checkOutput(t, "alone", out)
	w.session = true
	if _, _, _, err := treat(w.bytes(t)); !errors.Is(err, sanitize.ErrEncrypted) {
		t.Errorf("encrypted: %v", err)
	}
}

func TestEditsInACircleAreRefused(t *testing.T) {
	w := newShow()
	b := w.bytes(t)
	// The edit is the last record of the stream, and its own forerunner.
	at := bytes.LastIndex(b, []byte{0xF5, 0x0F, 28, 0, 0, 0}) - 2
	edit := len(stream(t, b, documentStream)) - 36
	copy(b[at+8+8:], num(uint32(edit)))
	if _, _, _, err := treat(b); !errors.Is(err, sanitize.ErrMalformed) {
		t.Errorf("got %v", err)
	}
}

// TestObjectsThatLieInOneAnotherAreRefused: each would be written with all that
// lie in it.
func TestObjectsThatLieInOneAnotherAreRefused(t *testing.T) {
	for n, want := range map[uint32]error{0: nil, 12: sanitize.ErrMalformed} {
		w := newShow()
		w.slide = append(w.slide, str(3, strings.Repeat("長", 20000)))
		for i := range n {
			w.list = append(w.list, persist(4+i, 300+i))
			w.same = append(w.same, 4+i)
		}
		if _, _, _, err := treat(w.bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d more: %v, want %v", n, err, want)
		}
	}
}

// TestDirectoriesThatEditsShareAreRefused: each edit would walk all of it.
func TestDirectoriesThatEditsShareAreRefused(t *testing.T) {
	for n, want := range map[int]error{1: nil, 60: sanitize.ErrMalformed} {
		w := newShow()
		w.edits, w.directory = n, 20000
		if _, _, _, err := treat(w.bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d edits: %v, want %v", n, err, want)
		}
	}
}

func TestNestingWithoutEndIsRefused(t *testing.T) {
	w := newShow()
	node := step(0)
	for range 200 {
		node = step(0, node)
	}
	w.slide = append(w.slide, tagged(tag10, node))
	if _, _, _, err := treat(w.bytes(t)); !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("got %v", err)
	}
}

// sharedFiles lists the presentations of the collection beside the project.
func sharedFiles(t testing.TB) []string {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared")
	}
	files, err := filepath.Glob(filepath.Join(dir, "corpus", "ppt", "*"))
	if err != nil || len(files) == 0 {
		t.Skipf("no presentations under %s: not tried on real ones", dir)
	}
	return files
}

func TestRealPresentationsKeepTheFourProperties(t *testing.T) {
	done := 0
	for _, f := range sharedFiles(t) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		out, _, _, err := treat(b)
		if err != nil {
			continue
		}
		done++
		checkOutput(t, filepath.Base(f), out)
	}
	if done == 0 {
		t.Error("none was rebuilt")
	}
}

func TestTheNameSaysHowAPresentationOpens(t *testing.T) {
	for in, want := range map[string]string{"説明.pps": "説明.pps", "雛形.POT": "雛形.pot", "資料.ppt": "資料.ppt", "資料.doc": "資料.ppt"} {
		if got := sanitize.KindPPT.FileName(in); !strings.EqualFold(got, want) {
			t.Errorf("%s becomes %s, want %s", in, got, want)
		}
	}
}

// TestOctetsBetweenStreamsAreSeen: readers of compound files pass them by.
func TestOctetsBetweenStreamsAreSeen(t *testing.T) {
	out, _, _, err := treat(newShow().bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	look := func(b []byte) error {
		return verify.File(t.Context(), newSession(len(b)), sanitize.KindPPT, bytes.NewReader(b), int64(len(b)))
	}
	if err := look(out); err != nil {
		t.Fatal(err)
	}
	if err := look(append(bytes.Clone(out), make([]byte, 512)...)); err == nil {
		t.Error("a sector behind the last is not seen")
	}
	// The mini stream ends in a sector that it does not fill.
	hidden := bytes.Clone(out)
	at := bytes.LastIndexByte(hidden, 0)
	copy(hidden[at-3:], "MZ")
	if err := look(hidden); err == nil {
		t.Error("octets behind the end of a stream are not seen")
	}
}
