package ppt

import (
	"bytes"
	"context"
	"encoding/hex"
	"image"
	"image/color"
	"image/png"
	"io"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
	"sekisho/sanitize/detect"
	pictures "sekisho/sanitize/image"
	"sekisho/sanitize/verify"
)

// atom makes a record that is no container, box one that is.
func atom(t, instance uint16, body ...byte) []byte {
	return officeart.AppendRecord(nil, officeart.Header{Type: t, Instance: instance}, body)
}

func box(t, instance uint16, records ...[]byte) []byte {
	return officeart.AppendRecord(nil, officeart.Header{Ver: 15, Instance: instance, Type: t}, bytes.Join(records, nil))
}

func num(v uint32) []byte { return le.AppendUint32(nil, v) }

func str(instance uint16, s string) []byte { return atom(typeCString, instance, unwide(s)...) }

func zero(t uint16) []byte { return atom(t, 0, make([]byte, sizes.Get()[t])...) }

// with returns a copy of an atom with octets of its body changed.
func with(rec []byte, at int, b ...byte) []byte {
	rec = bytes.Clone(rec)
	copy(rec[officeart.HeaderSize+at:], b)
	return rec
}

// persist is the entry of a slide in a list.
func persist(id, number uint32) []byte {
	return with(with(zero(typeSlidePersist), 0, num(id)...), 12, num(number)...)
}

// show is a presentation with one slide, piece by piece.
type show struct {
	document, list, slide, shape, text, links [][]byte
	master                                    [][]byte
	objects                                   map[uint32][]byte // more persist objects
	dead                                      []byte            // what an earlier save left at the beginning
	pictures                                  []byte
	store                                     [][]byte
	more                                      map[string]string // more streams
	token                                     uint32
	alone                                     bool     // no stream says where the last edit is
	session                                   bool     // an edit with a session of encryption
	damaged                                   bool     // an edit with the number of a session that is not there
	same                                      []uint32 // more numbers of the slide
	edits, directory                          int      // how many there are, and how many entries the directory has besides
}

const shownText = "物価高騰対応"

func newShow() *show {
	return &show{
		text:  [][]byte{zero(typeTextHeader), atom(typeTextChars, 0, unwide(shownText)...)},
		slide: [][]byte{}, objects: map[uint32][]byte{}, token: tokenPlain, more: map[string]string{},
	}
}

// drawing is one with a shape.
func drawing(shape ...[]byte) []byte {
	sp := box(officeart.TypeSpContainer, 0, append([][]byte{atom(0xF00A, 1, 1, 4, 0, 0, 0, 0x0A, 0, 0)}, shape...)...)
	return box(typeDrawing, 0, box(officeart.TypeDgContainer, 0, atom(0xF008, 1, make([]byte, 8)...), box(officeart.TypeSpgrContainer, 0, sp)))
}

func (w *show) bytes(t testing.TB) []byte {
	t.Helper()
	document := [][]byte{zero(typeDocumentAtom)}
	if len(w.links) > 0 {
		document = append(document, box(typeExObjList, 0, append([][]byte{zero(typeExObjListAtom)}, w.links...)...))
	}
	document = append(document, box(typeEnvironment, 0, box(typeFonts, 0, with(zero(typeFontEntity), 0, unwide("ＭＳ 明朝")...))),
		box(typeDrawingGroup, 0, box(officeart.TypeDggContainer, 0, atom(0xF006, 0, make([]byte, 24)...), box(officeart.TypeBStore, uint16(len(w.store)), w.store...))))
	document = append(document, w.document...)
	document = append(document, box(typeSlideList, 1, persist(2, 0x80000000)), box(typeSlideList, 0, append([][]byte{persist(3, 256)}, w.list...)...), zero(typeEndDocument))
	shape := append(slices.Clone(w.shape), box(officeart.TypeClientTextbox, 0, w.text...))
	objects := map[uint32][]byte{
		1: box(typeDocument, 0, document...),
		2: box(typeMainMaster, 0, append([][]byte{zero(typeSlideAtom), drawing()}, w.master...)...),
		3: box(typeSlide, 0, append([][]byte{zero(typeSlideAtom), drawing(shape...)}, w.slide...)...),
	}
	if w.session {
		objects[9] = atom(typeCrypt10, 0, make([]byte, 80)...)
	}
	for id, b := range w.objects {
		objects[id] = b
	}
	doc := bytes.Clone(w.dead)
	var places []byte
	for id := uint32(1); id < 20; id++ {
		if b, ok := objects[id]; ok {
			places = append(append(places, num(id|1<<20)...), num(uint32(len(doc)))...)
			doc = append(doc, b...)
		}
	}
	for _, id := range w.same {
		places = append(append(places, num(id|1<<20)...), places[20:24]...)
	}
	for range w.directory {
		places = append(append(places, num(19|1<<20)...), 0, 0, 0, 0)
	}
	dir := len(doc)
	doc = append(doc, atom(typePersistDir, 0, places...)...)
	before := 0
	for range w.edits {
		e := make([]byte, 28)
		copy(e[8:], num(uint32(before)))
		copy(e[12:], num(uint32(dir)))
		before = len(doc)
		doc = append(doc, atom(typeUserEdit, 0, e...)...)
	}
	edit := len(doc)
	e := make([]byte, 28)
	e[7] = 3
	copy(e[8:], num(uint32(before)))
	copy(e[12:], num(uint32(dir)))
	e[16], e[20] = 1, 19
	if w.session || w.damaged {
		e = append(e, num(9)...)
	}
	doc = append(doc, atom(typeUserEdit, 0, e...)...)
	user := append(append(num(0x14), num(w.token)...), num(uint32(edit))...)
	user = append(user, 4, 0, 0xF4, 3, 3, 0, 0, 0)
	user = append(append(append(user, "Taro"...), 8, 0, 0, 0), unwide("Taro")...)
	root := &cfb.Storage{CLSID: class, Streams: []*cfb.Stream{cfb.NewStream(documentStream, doc)}}
	if !w.alone {
		root.Streams = append(root.Streams, cfb.NewStream(currentStream, atom(typeCurrentUser, 0, user...)))
	}
	if w.pictures != nil {
		root.Streams = append(root.Streams, cfb.NewStream(pictureStream, w.pictures))
	}
	for name, b := range w.more {
		if dir, name, ok := strings.Cut(name, "/"); ok {
			root.Storages = append(root.Storages, &cfb.Storage{Name: dir, Streams: []*cfb.Stream{cfb.NewStream(name, []byte(b))}})
			continue
		}
		root.Streams = append(root.Streams, cfb.NewStream(name, []byte(b)))
	}
	var out bytes.Buffer
	if err := cfb.Write(&out, root); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func newSession(size int, change ...func(*sanitize.Options)) *sanitize.Session {
	o := &sanitize.Options{Task: sanitize.TaskFile, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassLegacyOffice: {Steps: []sanitize.Mode{sanitize.Rebuild}},
		sanitize.ClassImage:        {Steps: []sanitize.Mode{sanitize.Rebuild}},
	}}
	for _, c := range change {
		c(o)
	}
	return sanitize.NewSession(o, int64(size), detect.Detect, map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindPPT: Sanitizer{}, sanitize.KindPNG: pictures.PNG{}, sanitize.KindJPEG: pictures.JPEG{}, sanitize.KindBMP: pictures.Foreign{},
	})
}

// treat runs the sanitizer and returns what it wrote and found.
func treat(b []byte, change ...func(*sanitize.Options)) ([]byte, sanitize.Result, []sanitize.Finding, error) {
	s := newSession(len(b), change...)
	var out bytes.Buffer
	res, err := s.Nested(context.Background(), sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	return out.Bytes(), res, s.Parts()[0].Findings, err
}

// stream returns a stream of an output.
func stream(t testing.TB, b []byte, name string) []byte {
	t.Helper()
	f, err := cfb.Open(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	s := f.Root.Stream(name)
	if s == nil {
		return nil
	}
	data, err := io.ReadAll(s.Reader())
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// checkOutput has the second look look, and treats the output again.
func checkOutput(t testing.TB, name string, b []byte) {
	t.Helper()
	s := newSession(len(b))
	if err := verify.File(context.Background(), s, sanitize.KindPPT, bytes.NewReader(b), int64(len(b))); err != nil {
		t.Errorf("%s: verify: %v", name, err)
	}
	again, res, found, err := treat(b)
	if err != nil || res.Outcome != sanitize.Clean || slices.ContainsFunc(found, sanitize.Finding.Changed) {
		t.Errorf("%s: a second run: %s %v %v", name, res.Outcome, found, err)
	} else if !bytes.Equal(b, again) {
		t.Errorf("%s: a second run changes the output:\n%s\n%s", name, hex.Dump(stream(t, b, documentStream)), hex.Dump(stream(t, again, documentStream)))
	}
}

func pngFile(t testing.TB) []byte {
	m := image.NewGray(image.Rect(0, 0, 8, 8))
	m.SetGray(3, 3, color.Gray{200})
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func hyperlink(id uint32, target, place string) []byte {
	records := [][]byte{atom(typeHyperlinkAtom, 0, num(id)...), str(0, "名前")}
	if target != "" {
		records = append(records, str(1, target))
	}
	if place != "" {
		records = append(records, str(3, place))
	}
	return box(typeHyperlink, 0, records...)
}

// click is what a click does.
func click(action, kind byte, link uint32, more ...[]byte) []byte {
	a := with(with(zero(typeActionAtom), 4, num(link)...), 8, action, 0, 0, 0, kind)
	return box(typeAction, 0, append([][]byte{a}, more...)...)
}

// tagged is what a newer version keeps beside a slide.
func tagged(name string, records ...[]byte) []byte {
	return box(typeProgTags, 0, box(typeBinaryTag, 0, str(0, name), atom(typeTagData, 0, bytes.Join(records, nil)...)))
}

// step is one of an animation.
func step(kind uint32, records ...[]byte) []byte {
	return box(typeTimeNode, 1, append([][]byte{with(zero(typeTimeNodeAtom), 8, num(kind)...)}, records...)...)
}
