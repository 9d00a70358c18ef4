package ppt

import (
	"bytes"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/internal/corpus/corpustest"
)

// full is a presentation with something of every sort.
func full(t *testing.T) []byte {
	w := newShow()
	w.links = [][]byte{hyperlink(1, "https://example.jp/", "")}
	w.pictures = []byte{}
	w.edits, w.directory = 1, 2
	return w.bytes(t)
}

// compound is a presentation of these streams.
func compound(t *testing.T, document, user []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := cfb.Write(&out, &cfb.Storage{CLSID: class, Streams: []*cfb.Stream{cfb.NewStream(documentStream, document), cfb.NewStream(currentStream, user)}}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// TestNumbersThatLieAreHeld: every number of a presentation in turn is as large as
// can be, leads outside, to the beginning or to itself.
func TestNumbersThatLieAreHeld(t *testing.T) {
	b := full(t)
	document, user := stream(t, b, documentStream), stream(t, b, currentStream)
	edit := uint32(len(document) - 36)
	values := []uint32{0, 1, 8, edit, edit - 36, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFF8, 0xFFFFFFFF}
	judge := func(what string) {
		corpustest.Thrifty(t, what, 16<<20, func() { fuzzOne(t, compound(t, document, user)) })
		if t.Failed() {
			t.Fatal(what)
		}
	}
	corpustest.Lies(document, 2, values, func(what string, _ []byte) { judge("document: " + what) })
	corpustest.Lies(user, 2, values, func(what string, _ []byte) { judge("user: " + what) })
}

// TestStreamsCutShortAreHeld, wherever they are.
func TestStreamsCutShortAreHeld(t *testing.T) {
	b := full(t)
	document, user := stream(t, b, documentStream), stream(t, b, currentStream)
	for n := range document {
		if fuzzOne(t, compound(t, document[:n], user)); t.Failed() {
			t.Fatalf("cut at %d", n)
		}
	}
	for n := range user {
		if fuzzOne(t, compound(t, document, user[:n])); t.Failed() {
			t.Fatalf("user cut at %d", n)
		}
	}
}

// TestDirectoriesThatLeadToThemselvesAreHeld: an object is the directory, the edit
// or the document that holds it.
func TestDirectoriesThatLeadToThemselvesAreHeld(t *testing.T) {
	b := full(t)
	document, user := stream(t, b, documentStream), stream(t, b, currentStream)
	dir := bytes.LastIndex(document, []byte{0x72, 0x17}) - 2
	entries := int(le.Uint32(document[dir+4:])) / 8
	for _, to := range []int{0, dir, len(document) - 36, len(document) - 72, len(document), 8, 16} {
		for i := range entries {
			changed := bytes.Clone(document)
			le.PutUint32(changed[dir+8+8*i+4:], uint32(to))
			// One entry that has a number of objects as large as can be.
			many := bytes.Clone(changed)
			le.PutUint32(many[dir+8+8*i:], 0xFFF00001)
			corpustest.Thrifty(t, "directory", 16<<20, func() {
				fuzzOne(t, compound(t, changed, user))
				fuzzOne(t, compound(t, many, user))
			})
		}
	}
}

// TestATextCutShortIsNoTextOfTheOutline: it goes, and nothing may lead to it.
func TestATextCutShortIsNoTextOfTheOutline(t *testing.T) {
	for name, header := range map[string][]byte{"whole": zero(typeTextHeader), "cut short": atom(typeTextHeader, 0)} {
		w := newShow()
		w.list = append(w.list, header, atom(typeTextChars, 0, unwide("概要")...))
		w.text = [][]byte{zero(typeOutlineRef)}
		out, _, _, err := treat(w.bytes(t))
		if err != nil || bytes.Contains(stream(t, out, documentStream), zero(typeOutlineRef)[:8]) != (name == "whole") {
			t.Errorf("%s: %v", name, err)
		}
		checkOutput(t, name, out)
	}
}
