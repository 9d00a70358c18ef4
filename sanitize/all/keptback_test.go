package all_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	gomessage "github.com/emersion/go-message"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
)

// inMail treats a mail with one file, as the default profile does but for what
// rules say.
func inMail(t *testing.T, name string, b []byte, change ...func(*sanitize.Options)) (string, *sanitize.Report) {
	t.Helper()
	o := &sanitize.Options{Task: sanitize.TaskMail, ID: "0abc", PartID: "0part", Now: time.Date(2026, 11, 2, 0, 0, 0, 0, time.UTC), Expires: time.Date(2026, 11, 16, 0, 0, 0, 0, time.UTC),
		Language: "ja+en", Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{}}
	for _, c := range []sanitize.Class{sanitize.ClassText, sanitize.ClassMessage, sanitize.ClassOffice, sanitize.ClassArchive, sanitize.ClassLegacyOffice} {
		o.Rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	}
	for _, set := range change {
		set(o)
	}
	m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "本文です\n", Files: []corpus.Attachment{{Name: name, Media: "application/octet-stream", Data: b}}}.Bytes()
	var out bytes.Buffer
	r, err := all.Run(context.Background(), o, bytes.NewReader(m), int64(len(m)), &out)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	head := "From: a@partner.example\r\nTo: b@town.example.lg.jp\r\nSubject: x\r\nDate: Mon, 02 Nov 2026 10:00:00 +0900\r\nMessage-ID: <a@partner.example>\r\n"
	whole := head + out.String()
	v := *o
	v.Task = sanitize.TaskVerifyMail
	if _, err := all.Run(context.Background(), &v, strings.NewReader(whole), int64(len(whole)), &bytes.Buffer{}); err != nil {
		t.Errorf("%s: verify: %v", name, err)
	}
	return whole, r
}

// TestKindsThatNothingTreatsAreNamedAndHowToGetThem: by content where the format
// has a mark, whatever the file is called; the notice says what it is, by which
// id it can be had, and what else the sender could send.
func TestKindsThatNothingTreatsAreNamedAndHowToGetThem(t *testing.T) {
	compound := func(f corpus.Folder) []byte { return corpus.Compound(f) }
	pad := func(s string) []byte { return append([]byte(s), make([]byte, 600)...) }
	for _, k := range []struct {
		kind      sanitize.Kind
		b         []byte
		name      string
		ja, en    string
		nameAlone bool // nothing in it says whose it is: only a name tells it from another compound or unknown file
	}{
		{sanitize.KindJTD, corpus.Ichitaro("議案"), "a.jtd", "一太郎文書", "Ichitaro document", false},
		{sanitize.KindJTD, corpus.Ichitaro("議案の様式"), "a.jtt", "一太郎文書", "Ichitaro document", false},
		{sanitize.KindJTDC, compound(corpus.Folder{"JSCompDocument": []byte("&\x00JustCompressedDocument")}), "a.jtdc", "圧縮一太郎文書", "compressed Ichitaro document", false},
		{sanitize.KindJTDC, compound(corpus.Folder{"JSCompDocument": []byte("&\x00JustCompressedDocument")}), "a.jttc", "圧縮一太郎文書", "compressed Ichitaro document", false},
		{sanitize.KindJHD, compound(corpus.Folder{"Contents": []byte("x")}), "a.jhd", "花子の図面", "Hanako drawing", true},
		{sanitize.KindJSD, compound(corpus.Folder{"Contents": []byte("x")}), "a.jsd", "三四郎の表", "Sanshiro spreadsheet", true},
		{sanitize.KindJHD, compound(corpus.Folder{"\x01CompObj": append(append(make([]byte, 28), 5, 0, 0, 0), "\x89\xd4\x8eq\x00"...)}), "b.jhd", "花子の図面", "Hanako drawing", false},
		{sanitize.KindJSD, compound(corpus.Folder{"\x01CompObj": append(append(make([]byte, 28), 7, 0, 0, 0), "\x8eO\x8el\x98Y\x00"...)}), "b.jsd", "三四郎の表", "Sanshiro spreadsheet", false},
		{sanitize.KindXDW, corpus.DocuWorks(), "a.xdw", "DocuWorks 文書", "DocuWorks document", false},
		{sanitize.KindXDW, pad("\x60\x0e\x82\x07\x00"), "a.xbd", "DocuWorks 文書", "DocuWorks document", false},
		{sanitize.KindJWW, pad("JwwData.\x00"), "a.jww", "Jw_cad 図面", "Jw_cad drawing", false},
		{sanitize.KindDXF, []byte("  0\r\nSECTION\r\n  2\r\nHEADER\r\n  0\r\nENDSEC\r\n  0\r\nEOF\r\n"), "a.dxf", "CAD 図面 (DXF)", "CAD drawing (DXF)", false},
		{sanitize.KindDXF, pad("AutoCAD Binary DXF\r\n\x1a\x00"), "a.dxf", "CAD 図面 (DXF)", "CAD drawing (DXF)", false},
		{sanitize.KindDWG, pad("AC1027\x00\x00"), "a.dwg", "AutoCAD 図面 (DWG)", "AutoCAD drawing (DWG)", false},
		{sanitize.KindSFC, []byte("ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION(('SCADEC level2 feature_mode'),'2;1');\n"), "a.sfc", "SXF 図面 (SFC)", "SXF drawing (SFC)", false},
		{sanitize.KindP21, []byte("ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION(('SCADEC level2'),'2;1');\n"), "a.p21", "SXF 図面 (P21)", "SXF drawing (P21)", false},
		{sanitize.KindHWP, compound(corpus.Folder{"FileHeader": []byte("HWP Document File\x00\x00\x00")}), "a.hwp", "HWP 文書", "Hangul document", false},
		{sanitize.KindPUB, compound(corpus.Folder{"Quill": corpus.Folder{"x": []byte("x")}, "Contents": []byte("x")}), "a.pub", "Publisher 文書", "Publisher document", false},
		{sanitize.KindVSD, compound(corpus.Folder{"VisioDocument": []byte("x")}), "a.vsd", "Visio 図面", "Visio drawing", false},
		// These can run; the whole message waits by default.
		{sanitize.KindONE, pad("\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"), "a.one", "OneNote ノート", "OneNote section", false},
		{sanitize.KindMDB, pad("\x00\x01\x00\x00Standard Jet DB\x00"), "a.mdb", "Access データベース", "Access database", false},
		{sanitize.KindMDB, pad("\x00\x01\x00\x00Standard ACE DB\x00"), "a.accdb", "Access データベース", "Access database", false},
	} {
		names := []string{k.name, "renamed.doc", "no extension"}
		if k.nameAlone {
			names = names[:1]
		}
		for _, name := range names {
			out, r := inMail(t, name, k.b)
			p := r.Parts[len(r.Parts)-1]
			if p.Kind != k.kind || p.Fate != sanitize.KeptBack {
				t.Errorf("%s called %s: %s, %s", k.kind, name, p.Kind, p.Fate)
				continue
			}
			w := text(t, out)
			wants := []string{"種類: " + k.ja, "Kind: " + k.en, name, "受付番号: 0part", "受付番号を添えて", "give this id"}
			if k.kind.Class() != sanitize.ClassExecutable {
				wants = append(wants, "PDF または Word・Excel の形式で送り直す", "send it again as PDF")
			}
			for _, want := range wants {
				if !strings.Contains(w, want) {
					t.Errorf("%s called %s: the notice does not say %q:\n%s", k.kind, name, want, w)
				}
			}
		}
	}
}

// TestWordsOfIchitaroStandBesideTheNotice: the document is kept back; in the mail
// are the notice and a text; a release gives the words in its place.
func TestWordsOfIchitaroStandBesideTheNotice(t *testing.T) {
	words := func(o *sanitize.Options) {
		o.Rules[sanitize.ClassIchitaro] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Text}}
	}
	jtd := corpus.Ichitaro("令和八年度 議案第１号\n=1+1")
	for _, c := range []struct {
		name string
		b    []byte
		path string
	}{{"通知.jtd", jtd, "2"}, {"a.zip", corpus.ZIP("通知.jtd", string(jtd), "b.txt", "other"), "2/1"}, {"a.zip", corpus.ZIP("通知.jtd", string(jtd)), "2/1"}} {
		out, r := inMail(t, c.name, c.b, words)
		var kept, copied *sanitize.Part
		for i := range r.Parts {
			switch p := &r.Parts[i]; {
			case p.Kind == sanitize.KindJTD:
				kept = p
			case p.Name == "通知.txt":
				copied = p
			}
		}
		if kept == nil || kept.Fate != sanitize.KeptBack || copied == nil || copied.Fate != sanitize.Delivered || copied.OutKind != sanitize.KindText {
			t.Errorf("%s: %+v", c.name, r.Parts)
			continue
		}
		if w := text(t, out); !strings.Contains(w, "令和八年度 議案第１号") || !strings.Contains(w, "受付番号") || strings.Contains(w, corpus.Macro) {
			t.Errorf("%s:\n%s", c.name, w)
		}
	}
	out, r := inMail(t, "通知.jtd", jtd, func(o *sanitize.Options) { words(o); o.Only = []string{"2"} })
	if p := r.Parts[len(r.Parts)-1]; p.Kind != sanitize.KindJTD || p.Fate != sanitize.Delivered || p.Mode != sanitize.Text || !strings.Contains(text(t, out), "議案第１号") {
		t.Errorf("released: %+v\n%s", r.Parts, out)
	}
	// Whose words cannot be read is kept back alone.
	_, r = inMail(t, "通知.jtd", corpus.Compound(corpus.Folder{"DocumentText": []byte("no text"), "DocumentViewStyles": []byte("x")}), words)
	for _, p := range r.Parts {
		if p.Name == "通知.txt" || p.Kind == sanitize.KindJTD && p.Fate != sanitize.KeptBack {
			t.Errorf("without words: %+v", p)
		}
	}
}

// TestIchitaroIsRebuiltOnlyWhereAProfileSaysSo: without macros and storages, and
// it passes the second look.
func TestIchitaroIsRebuiltOnlyWhereAProfileSaysSo(t *testing.T) {
	rebuild := func(o *sanitize.Options) {
		o.Rules[sanitize.ClassIchitaro] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild, sanitize.Text}}
	}
	out, r := inMail(t, "様式.jtt", corpus.Ichitaro("令和八年度 議案"), rebuild)
	p := r.Parts[len(r.Parts)-1]
	if p.Kind != sanitize.KindJTD || p.OutKind != sanitize.KindJTD || p.Outcome != sanitize.Disarmed || p.Mode != sanitize.Rebuild || p.OutName != "" && p.OutName != "様式.jtt" {
		t.Errorf("%+v", p)
	}
	if w := text(t, out); !strings.Contains(w, "一太郎のマクロを除外") || strings.Contains(w, corpus.Macro) {
		t.Errorf("%s", w)
	}
	out, r = inMail(t, "通知.jtd", corpus.Ichitaro("議案"))
	if p := r.Parts[len(r.Parts)-1]; p.Fate != sanitize.KeptBack {
		t.Errorf("by default: %+v\n%s", p, out)
	}
}

// text is all that a mail shows, decoded.
func text(t *testing.T, mail string) string {
	t.Helper()
	var all strings.Builder
	var walk func(r io.Reader)
	walk = func(r io.Reader) {
		e, err := gomessage.Read(r)
		if err != nil {
			t.Fatal(err)
		}
		if mr := e.MultipartReader(); mr != nil {
			for {
				p, err := mr.NextPart()
				if errors.Is(err, io.EOF) {
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				var b bytes.Buffer
				if err := p.WriteTo(&b); err != nil {
					t.Fatal(err)
				}
				walk(&b)
			}
		}
		if media, _, err := e.Header.ContentType(); err == nil && media == "message/rfc822" {
			walk(e.Body)
			return
		}
		if _, err := io.Copy(&all, e.Body); err != nil {
			t.Fatal(err)
		}
	}
	walk(strings.NewReader(mail))
	return all.String()
}
