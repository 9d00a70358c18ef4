package outlook_test

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	gomessage "github.com/emersion/go-message"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
	"sekisho/sanitize/all"
	"sekisho/sanitize/message"
	"sekisho/sanitize/outlook"
)

func options(task sanitize.Task, name string) *sanitize.Options {
	o := &sanitize.Options{Task: task, FileName: name, Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{}}
	for _, c := range []sanitize.Class{sanitize.ClassText, sanitize.ClassHTML, sanitize.ClassMessage, sanitize.ClassOffice, sanitize.ClassArchive, sanitize.ClassImage, sanitize.ClassCSV} {
		o.Rules[c] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild, sanitize.Text}}
	}
	return o
}

func treat(t *testing.T, task sanitize.Task, name string, b []byte) (string, *sanitize.Report, error) {
	t.Helper()
	var out bytes.Buffer
	r, err := all.Run(context.Background(), options(task, name), bytes.NewReader(b), int64(len(b)), &out)
	return out.String(), r, err
}

// run treats b by options.
func run(t *testing.T, o *sanitize.Options, b []byte) (string, error) {
	t.Helper()
	var out bytes.Buffer
	_, err := all.Run(t.Context(), o, bytes.NewReader(b), int64(len(b)), &out)
	return out.String(), err
}

// words decodes what a mail says, so that a test can look for it.
func words(s string) string {
	var all strings.Builder
	var walk func(r io.Reader)
	walk = func(r io.Reader) {
		e, err := gomessage.Read(r)
		if err != nil && !gomessage.IsUnknownCharset(err) {
			fmt.Fprintf(&all, "unreadable: %v", err)
			return
		}
		for f := e.Header.Fields(); f.Next(); {
			v, err := f.Text()
			if err != nil {
				v = f.Value()
			}
			fmt.Fprintln(&all, f.Key(), v)
		}
		if _, p, err := e.Header.ContentDisposition(); err == nil {
			fmt.Fprintln(&all, p["filename"])
		}
		if mr := e.MultipartReader(); mr != nil {
			for {
				p, err := mr.NextPart()
				if err != nil {
					return
				}
				var b bytes.Buffer
				if err := p.WriteTo(&b); err != nil {
					fmt.Fprintf(&all, "unreadable: %v", err)
				}
				walk(&b)
			}
		}
		b, err := io.ReadAll(e.Body)
		if err != nil {
			fmt.Fprintf(&all, "unreadable: %v", err)
		}
		if media, _, _ := e.Header.ContentType(); media == "message/rfc822" {
			walk(bytes.NewReader(b))
			return
		}
		all.Write(b)
	}
	walk(strings.NewReader(s))
	return all.String()
}

func TestSavedMessageBecomesAMailWithItsFilesTreated(t *testing.T) {
	inner := corpus.SavedMessage(false, map[uint16]string{0x0037: "転送された件", 0x1000: "内側の本文"}, "")
	b := corpus.Compound(corpus.SavedMessage(true, map[uint16]string{
		0x0037: "令和八年度の件", 0x1000: "本文です", 0x0C1A: "総務課 神 福", 0x5D01: "soumu@town.example.lg.jp", 0x0E04: "皆様", 0x1035: "<a@town.example.lg.jp>",
	}, "<html><body><p>本文です</p><script>alert('EVIL')</script></body></html>",
		corpus.Packed{Name: "申請.xlsm", Data: corpus.Excel("申請 xlsm", true), Method: 1},
		corpus.Packed{Name: "図.bin", Data: []byte("OLE-OBJECT"), Method: 6},
		corpus.Packed{Name: "元のメール", Method: 5, Inside: inner},
	))
	out, r, err := treat(t, sanitize.TaskFile, "保存.msg", b)
	if err != nil {
		t.Fatal(err)
	}
	if p := r.Parts[0]; p.OutKind != sanitize.KindMessage || p.Mode != sanitize.Convert || p.Outcome != sanitize.Disarmed {
		t.Errorf("%+v", p)
	}
	w := words(out)
	for _, want := range []string{"令和八年度の件", "本文です", "総務課 神 福", "soumu@town.example.lg.jp", "a@town.example.lg.jp", "申請.xlsx", "転送された件", "内側の本文"} {
		if !strings.Contains(w, want) {
			t.Errorf("%q is missing in\n%s", want, w)
		}
	}
	for _, gone := range []string{"EVIL", "OLE-OBJECT", corpus.Macro, "\xd0\xcf\x11\xe0"} {
		if strings.Contains(w, gone) {
			t.Errorf("%q is still there", gone)
		}
	}
	if !found(r, "outlook.ole") || !found(r, "outlook.msg") {
		t.Errorf("findings: %+v", r.Parts[0].Findings)
	}
}

func found(r *sanitize.Report, rule string) bool {
	for _, p := range r.Parts {
		for _, f := range p.Findings {
			if f.Rule == rule {
				return true
			}
		}
	}
	return false
}

func TestFilesOfAWinmailStandBesideIt(t *testing.T) {
	m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "名簿", Text: "本文です body text\n", Files: []corpus.Attachment{{
		Name: "winmail.dat", Media: "application/ms-tnef",
		Data: corpus.Winmail(`{\rtf1\ansi\ansicpg932 {\fonttbl{\f0\fcharset128 MS;}}\f0 \'96\'7b\'95\'b6 in rich text\par}`,
			corpus.Packed{Name: "名簿.xlsm", Data: corpus.Excel("名簿", true), Method: 1},
			corpus.Packed{Name: "図.bin", Data: []byte("OLE-OBJECT"), Method: 6}),
	}}}
	out, r, err := treat(t, sanitize.TaskMail, "", m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	w := words("Subject: x\r\n" + out)
	for _, want := range []string{"本文です body text", "名簿.xlsx", "・winmail.dat: 中のファイルを取り出し"} {
		if !strings.Contains(w, want) {
			t.Errorf("%q is missing in\n%s", want, w)
		}
	}
	for _, gone := range []string{"name=winmail.dat", "in rich text", "OLE-OBJECT", corpus.Macro} {
		if strings.Contains(w, gone) {
			t.Errorf("%q is still there:\n%s", gone, w)
		}
	}
	if !found(r, "outlook.tnef") || !found(r, "outlook.ole") {
		t.Errorf("parts: %+v", r.Parts)
	}
}

func TestTextOfAWinmailIsShownWhenTheMailHasNone(t *testing.T) {
	m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "", Files: []corpus.Attachment{{
		Name: "winmail.dat", Media: "application/ms-tnef", Data: corpus.Winmail(`{\rtf1\ansi\ansicpg932 \'96\'7b\'95\'b6 in rich text\par}`),
	}}}
	out, _, err := treat(t, sanitize.TaskMail, "", m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if w := words("Subject: x\r\n" + out); !strings.Contains(w, "本文 in rich text") {
		t.Errorf("the text is missing in\n%s", w)
	}
}

func TestPartOfAWinmailCanBeAskedForAlone(t *testing.T) {
	m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "t", Files: []corpus.Attachment{{
		Name: "winmail.dat", Media: "application/ms-tnef", Data: corpus.Winmail("", corpus.Packed{Name: "one.docx", Data: corpus.Word("一", false), Method: 1}, corpus.Packed{Name: "two.docx", Data: corpus.Word("二", false), Method: 1}),
	}}}
	var out bytes.Buffer
	o := options(sanitize.TaskMail, "")
	o.Only = []string{"2/2"}
	b := m.Bytes()
	if _, err := all.Run(context.Background(), o, bytes.NewReader(b), int64(len(b)), &out); err != nil {
		t.Fatal(err)
	}
	if w := words("Subject: x\r\n" + out.String()); !strings.Contains(w, "two.docx") || strings.Contains(w, "one.docx") {
		t.Errorf("want two.docx alone:\n%s", w)
	}
}

// inZIP is a mail with an archive of these files.
func inZIP(t *testing.T, files ...corpus.Attachment) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, f := range files {
		w, err := z.Create(f.Name)
		if err == nil {
			_, err = w.Write(f.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "t", Files: []corpus.Attachment{{Name: "a.zip", Media: "application/zip", Data: b.Bytes()}}}.Bytes()
}

func TestFilesOfAWinmailInAnArchiveStandInTheMailThatBroughtIt(t *testing.T) {
	winmail := corpus.Attachment{Name: "winmail.dat", Data: corpus.Winmail("", corpus.Packed{Name: "one.docx", Data: corpus.Word("一", false), Method: 1}, corpus.Packed{Data: corpus.Word("無名", false), Method: 1})}
	inner := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "inner", Text: "t", Files: []corpus.Attachment{{Name: "two.docx", Data: corpus.Word("二", false)}}}.Bytes()
	twice := bytes.Replace(inner, []byte("Subject: inner"), []byte("Content-Type: text/plain\r\nSubject: inner"), 1)
	for _, c := range []struct {
		what string
		in   []byte
		zip  bool // goes on
	}{
		{"alone", inZIP(t, winmail), false},
		{"before a mail", inZIP(t, winmail, corpus.Attachment{Name: "m.eml", Data: inner}), true},
		{"before a mail that is kept back", inZIP(t, winmail, corpus.Attachment{Name: "m.eml", Data: twice}), false},
	} {
		out, r, err := treat(t, sanitize.TaskMail, "", c.in)
		if err != nil {
			t.Errorf("%s: %v", c.what, err)
			continue
		}
		e, err := gomessage.Read(strings.NewReader(out))
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for mr := e.MultipartReader(); ; {
			p, err := mr.NextPart()
			if err != nil {
				break
			}
			if _, params, err := p.Header.ContentDisposition(); err == nil {
				names = append(names, params["filename"])
			}
		}
		// A file without a name has one afterwards, and is not taken for a text.
		want := []string{"one.docx", "file.docx"}
		if c.zip {
			want = []string{"a.zip", "one.docx", "file.docx"}
		}
		if !slices.Equal(names, want) {
			t.Errorf("%s: attached %q, want %q; parts %+v", c.what, names, want, r.Parts)
		}
		o := options(sanitize.TaskVerifyMail, "")
		whole := "From: a@partner.example\r\nTo: b@town.example.lg.jp\r\nSubject: x\r\nDate: Wed, 01 Apr 2026 12:00:00 +0900\r\nMessage-ID: <a@partner.example>\r\n" + out
		if _, err := all.Run(context.Background(), o, strings.NewReader(whole), int64(len(whole)), io.Discard); err != nil {
			t.Errorf("%s: verify: %v", c.what, err)
		}
	}
}

func TestWhatIsLeftOutOfAMessageInAMessageIsTold(t *testing.T) {
	inner := corpus.SavedMessage(false, map[uint16]string{0x0037: "s", 0x1000: "b"}, "", corpus.Packed{Name: "図.bin", Data: []byte("OLE-OBJECT"), Method: 6})
	b := corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "s", 0x1000: "b"}, "", corpus.Packed{Name: "m", Method: 5, Inside: inner}))
	if _, r, err := treat(t, sanitize.TaskFile, "m.msg", b); err != nil || !found(r, "outlook.ole") {
		t.Errorf("%v, %+v", err, r.Parts)
	}
}

func TestExecutableInAWinmailHoldsAsAnyOtherDoes(t *testing.T) {
	m := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "x", Text: "t", Files: []corpus.Attachment{{
		Name: "winmail.dat", Media: "application/ms-tnef", Data: corpus.Winmail("", corpus.Packed{Name: "a.exe", Data: corpus.Program(), Method: 1}),
	}}}
	_, r, err := treat(t, sanitize.TaskMail, "", m.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range r.Parts {
		if p.Class == sanitize.ClassExecutable && p.Fate == sanitize.KeptBack && p.Name == "a.exe" {
			return
		}
	}
	t.Errorf("parts: %+v", r.Parts)
}

func FuzzMSG(f *testing.F) {
	f.Add(corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "s", 0x1000: "b"}, "<p>x", corpus.Packed{Name: "a.txt", Data: []byte("text"), Method: 1})))
	f.Add(corpus.Compound(corpus.SavedMessage(true, map[uint16]string{0x0037: "s"}, "", corpus.Packed{Name: "m", Method: 5, Inside: corpus.SavedMessage(false, map[uint16]string{0x1000: "b"}, "")})))
	m := corpus.SavedMessage(true, map[uint16]string{0x0037: "s"}, "")
	m["__substg1.0_10090102"] = richText("MELA", 60, []byte(`{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}x{\*\htmltag72 </p>}}`))
	f.Add(corpus.Compound(m))
	f.Fuzz(func(t *testing.T, b []byte) { fuzz(t, outlook.MSG{}, b) })
}

func FuzzTNEF(f *testing.F) {
	f.Add(corpus.Winmail(`{\rtf1 x}`, corpus.Packed{Name: "a.txt", Data: []byte("text"), Method: 1}))
	f.Add(corpus.Winmail(`{\rtf1\ansi\fromhtml1 {\*\htmltag64 <p>}x{\*\htmltag72 </p>}}`, corpus.Packed{Name: "m", Data: append(make([]byte, 16), corpus.Winmail(`{\rtf1 y}`)...), Method: 5}))
	f.Fuzz(func(t *testing.T, b []byte) { fuzz(t, outlook.TNEF{}, b) })
}

// fuzz holds the four properties: what comes out is a mail that the strict
// reader takes and that a second pass leaves as it is, nothing panics, and what
// is spent is bounded.
func fuzz(t *testing.T, k sanitize.Sanitizer, b []byte) {
	if len(b) > 1<<20 {
		return
	}
	table := map[sanitize.Kind]sanitize.Sanitizer{sanitize.KindMessage: message.Sanitizer{}}
	detect := func(sanitize.Object) (sanitize.Detection, error) {
		return sanitize.Detection{Kind: sanitize.KindUnknown}, nil
	}
	var out bytes.Buffer
	s := sanitize.NewSession(options(sanitize.TaskFile, ""), int64(len(b)), detect, table)
	res, err := k.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: "1"}, &out)
	if err != nil {
		return
	}
	if res.Kind != sanitize.KindMessage {
		t.Fatalf("kind %s", res.Kind)
	}
	s = sanitize.NewSession(options(sanitize.TaskFile, ""), int64(out.Len()), detect, table)
	var again bytes.Buffer
	if _, err := (message.Sanitizer{}).Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(out.Bytes()), Size: int64(out.Len()), Path: "1"}, &again); err != nil {
		t.Fatalf("the mail is not read: %v\n%s", err, out.String())
	}
	if !bytes.Equal(out.Bytes(), again.Bytes()) {
		t.Fatalf("changed by a second pass:\n%s\n---\n%s", out.String(), again.String())
	}
}
