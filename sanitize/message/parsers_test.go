package message

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	gomessage "github.com/emersion/go-message"

	"sekisho/sanitize"
	"sekisho/sanitize/calendar"
	"sekisho/sanitize/detect"
	"sekisho/sanitize/html"
	"sekisho/sanitize/text"
)

// This file asks three parsers that share no code (ours, go-message, Python's
// email package) what they see in a message that we wrote.

type seen struct{ media, sum string }

func digest(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func ours(raw []byte) ([]seen, error) {
	l := sanitize.DefaultLimits()
	t, err := parse(bytes.NewReader(raw), int64(len(raw)), &l)
	if err != nil {
		return nil, err
	}
	if len(t.doubts) > 0 {
		return nil, fmt.Errorf("%s %s", t.doubts[0].code, t.doubts[0])
	}
	var all []seen
	var walk func(n *node) error
	walk = func(n *node) error {
		if n.multi {
			for _, c := range n.children {
				if err := walk(c); err != nil {
					return err
				}
			}
			return nil
		}
		if n.media == "message/rfc822" {
			all = append(all, seen{media: n.media})
			return nil
		}
		b, err := io.ReadAll(n.encoding.decoder(bytes.NewReader(raw[n.body.start:n.body.end])))
		all = append(all, seen{n.media, digest(b)})
		return err
	}
	return all, walk(t.root)
}

func emersions(raw []byte) ([]seen, error) {
	e, err := gomessage.Read(bytes.NewReader(raw))
	if err != nil {
		return nil, err
	}
	var all []seen
	var walk func(e *gomessage.Entity) error
	walk = func(e *gomessage.Entity) error {
		media, _, err := e.Header.ContentType()
		if err != nil {
			return err
		}
		if mr := e.MultipartReader(); mr != nil {
			for {
				p, err := mr.NextPart()
				if errors.Is(err, io.EOF) {
					return nil
				}
				if err != nil {
					return err
				}
				if err := walk(p); err != nil {
					return err
				}
			}
		}
		if media == "message/rfc822" {
			all = append(all, seen{media: media})
			return nil
		}
		b, err := io.ReadAll(e.Body)
		all = append(all, seen{media, digest(b)})
		return err
	}
	return all, walk(e)
}

// python is one process that is kept open.
var python = sync.OnceValue(func() func([]byte) ([]seen, error) {
	exe, err := exec.LookPath("python3")
	if err != nil {
		return nil
	}
	cmd := exec.Command(exe, "testdata/leaves.py")
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil
	}
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		return nil
	}
	answers := bufio.NewReader(out)
	var mu sync.Mutex
	return func(raw []byte) ([]seen, error) {
		mu.Lock()
		defer mu.Unlock()
		if _, err := fmt.Fprintf(in, "%d\n%s", len(raw), raw); err != nil {
			return nil, err
		}
		ln, err := answers.ReadBytes('\n')
		if err != nil {
			return nil, err
		}
		var list [][3]string
		if err := json.Unmarshal(ln, &list); err != nil {
			return nil, err
		}
		var all []seen
		for _, l := range list {
			all = append(all, seen{l[0], l[2]})
		}
		return all, nil
	}
})

func fullTable() map[sanitize.Kind]sanitize.Sanitizer {
	return map[sanitize.Kind]sanitize.Sanitizer{
		sanitize.KindHTML: html.Sanitizer{}, sanitize.KindMessage: Sanitizer{}, sanitize.KindText: text.Text{}, sanitize.KindEmpty: text.Text{},
		sanitize.KindCSV: text.CSV{}, sanitize.KindTSV: text.CSV{}, sanitize.KindICS: calendar.ICS{}, sanitize.KindVCF: calendar.VCF{}, sanitize.KindSVG: html.SVG{},
	}
}

func treatFull(raw []byte, bodyHTML bool) ([]byte, error) {
	r := sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	o := &sanitize.Options{Task: sanitize.TaskFile, ID: "0id", Language: "ja", Limits: sanitize.DefaultLimits(), Rules: map[sanitize.Class]sanitize.Rule{
		sanitize.ClassText: r, sanitize.ClassCSV: r, sanitize.ClassHTML: r, sanitize.ClassMessage: r, sanitize.ClassCalendar: r, sanitize.ClassImage: r,
	}}
	if bodyHTML {
		o.Rules[sanitize.ClassBody] = r
	}
	s := sanitize.NewSession(o, int64(len(raw)), detect.Detect, fullTable())
	var out bytes.Buffer
	_, err := Sanitizer{}.Sanitize(context.Background(), s, sanitize.Object{ReaderAt: bytes.NewReader(raw), Size: int64(len(raw))}, &out)
	return out.Bytes(), err
}

func parserSeeds() []string {
	const top = "From: a@b.example\r\nSubject: =?iso-2022-jp?B?GyRCRnxLXBsoQg==?=\r\n"
	return []string{
		top + "\r\nhello\r\n", top + "Content-Type: text/html\r\n\r\n<p>a<b>b</b><img src=\"cid:x\">\r\n",
		top + "Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\nContent-Type: text/csv; name=a.csv\r\n\r\na,b\r\n--a\r\nContent-Type: message/rfc822\r\n\r\nSubject: y\r\n\r\nz\r\n--a--\r\n",
		top + "Content-Type: multipart/alternative; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a\r\nContent-Type: text/html; charset=shift_jis\r\n\r\n<table><tr><td>\x82\xa0\r\n--a--\r\n",
		top + "Content-Type: text/calendar; method=REQUEST\r\n\r\nBEGIN:VCALENDAR\r\nMETHOD:REQUEST\r\nBEGIN:VEVENT\r\nSUMMARY:x\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n",
		top + "Content-Type: text/plain; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\na =\r\n>b=20\r\n.\r\nFrom x\r\n",
		top + "\r\n-----BEGIN PGP SIGNED MESSAGE-----\r\nHash: a\r\n\r\n- -x\r\n-----BEGIN PGP SIGNATURE-----\r\nx\r\n-----END PGP SIGNATURE-----\r\nbegin 644 a.txt\r\n#0V%T\r\n`\r\nend\r\n",
	}
}

// FuzzThreeParsers has the four properties of every output: no panic, within
// its budget, one tree to three parsers, and the same when treated again.
func FuzzThreeParsers(f *testing.F) {
	for _, s := range parserSeeds() {
		f.Add([]byte(s), false)
		f.Add([]byte(s), true)
	}
	f.Fuzz(func(t *testing.T, raw []byte, bodyHTML bool) {
		began := time.Now()
		out, err := treatFull(raw, bodyHTML)
		if d := time.Since(began); d > 20*time.Second {
			t.Errorf("%d octets took %v", len(raw), d)
		}
		if err != nil {
			return
		}
		if len(out) > 100*len(raw)+64<<10 {
			t.Errorf("%d octets of %d", len(out), len(raw))
		}
		mine, err := ours(out)
		if err != nil {
			t.Fatalf("ours: %v\n%s", err, out)
		}
		theirs, err := emersions(out)
		if err != nil || fmt.Sprint(theirs) != fmt.Sprint(mine) {
			t.Errorf("go-message: %v\n%v, ours\n%v\n%s", err, theirs, mine, out)
		}
		if py := python(); py != nil {
			theirs, err := py(out)
			if err != nil || fmt.Sprint(theirs) != fmt.Sprint(mine) {
				t.Errorf("Python: %v\n%v, ours\n%v\n%s", err, theirs, mine, out)
			}
		}
		again, err := treatFull(out, bodyHTML)
		if err != nil || !bytes.Equal(again, out) {
			t.Errorf("treated again it changes: %v\n%s\n--- became\n%s", err, out, again)
		}
	})
}

// FuzzTreeAgainstScanner holds the strict tree against the union scanner, which
// shares no code with it. In a message that neither doubts, everything the
// scanner saw lies where the tree has a header field, a delimiter or a part,
// and every field that makes a part was seen by the scanner.
func FuzzTreeAgainstScanner(f *testing.F) {
	for _, s := range parserSeeds() {
		f.Add([]byte(s))
	}
	f.Add([]byte("Content-Type: multipart/mixed; boundary=a\r\n\r\npreamble\r\n--a\r\nContent-Type: text/plain\r\n\r\n--b\r\nContent-Type: x\r\n--a--\r\nepilogue"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		l := sanitize.DefaultLimits()
		tr, err := parse(bytes.NewReader(raw), int64(len(raw)), &l)
		if err != nil {
			t.Fatal(err)
		}
		w := &work{ctx: context.Background(), in: sanitize.Object{ReaderAt: bytes.NewReader(raw), Size: int64(len(raw))}, tree: tr}
		if !tr.complete() {
			return
		}
		if err := w.unaccounted(); err != nil {
			t.Fatal(err)
		}
		if len(tr.doubts) > 0 {
			return
		}
		found, err := scan(bytes.NewReader(raw), int64(len(raw)))
		if err != nil {
			t.Fatal(err)
		}
		headers := map[int64]bool{}
		for _, s := range found {
			if s.what == sawHeader {
				headers[s.off] = true
			}
		}
		if len(found) >= maxSightings {
			return
		}
		bodies := map[[2]int64]bool{}
		var walk func(n *node)
		walk = func(n *node) {
			for _, fl := range n.fields {
				switch fl.key {
				case "content-type", "content-disposition", "content-transfer-encoding":
					if !headers[fl.off] {
						t.Errorf("the scanner did not see the field at %d: %.60q", fl.off, raw[fl.off:])
					}
				}
			}
			if !n.multi {
				bodies[[2]int64{n.body.start, n.body.end}] = true
			}
			for _, c := range n.children {
				walk(c)
			}
		}
		walk(tr.root)
		in := func(off int64) bool {
			for b := range bodies {
				if b[0] <= off && off < b[1] {
					return true
				}
			}
			return false
		}
		for _, s := range found {
			if s.what == sawHeader && !in(s.off) && !strings.Contains(strings.ToLower(string(raw[s.off:min(s.off+40, int64(len(raw)))])), "content-") {
				t.Errorf("a field at %d that is none", s.off)
			}
			if s.what != sawHeader && s.what != sawBoundary && !in(s.off) {
				inHead := false
				for _, p := range tr.places() {
					inHead = inHead || (p.what == inHeader || p.what == inDelimiter) && p.start <= s.off && s.off < p.end
				}
				if !inHead {
					t.Errorf("%s at %d in no part", s.what, s.off)
				}
			}
		}
	})
}

// TestThreeParsersReadWhatWeWrite asks them about the whole corpus of real
// mail, in both forms of a body.
func TestThreeParsersReadWhatWeWrite(t *testing.T) {
	dir := os.Getenv("SEKISHO_SHARED")
	if dir == "" {
		dir = "../../../shared"
	}
	files, _ := filepath.Glob(filepath.Join(dir, "corpus", "eml", "*.eml"))
	if len(files) == 0 {
		t.Skip("no corpus of real mail beside the repository; set SEKISHO_SHARED to measure")
	}
	py := python()
	if py == nil {
		t.Log("no python3 on this machine: two parsers only")
	}
	compared := 0
	for _, f := range files {
		raw, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		raw = bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n"))
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r"), []byte("\n")), []byte("\n"), []byte("\r\n"))
		for _, bodyHTML := range []bool{false, true} {
			out, err := treatFull(raw, bodyHTML)
			if err != nil {
				continue
			}
			compared++
			mine, err := ours(out)
			if err != nil {
				t.Errorf("%s: ours: %v", filepath.Base(f), err)
				continue
			}
			if theirs, err := emersions(out); err != nil || fmt.Sprint(theirs) != fmt.Sprint(mine) {
				t.Errorf("%s: go-message: %v\n%v, ours\n%v", filepath.Base(f), err, theirs, mine)
			}
			if py == nil {
				continue
			}
			if theirs, err := py(out); err != nil || fmt.Sprint(theirs) != fmt.Sprint(mine) {
				t.Errorf("%s: Python: %v\n%v, ours\n%v", filepath.Base(f), err, theirs, mine)
			}
		}
	}
	t.Logf("%d outputs compared", compared)
}

// TestSavedPagesAndDrawingsArriveTreated goes through detection, as a mail does.
func TestSavedPagesAndDrawingsArriveTreated(t *testing.T) {
	mht := "From: <Saved by a browser>\r\nSubject: page\r\nMIME-Version: 1.0\r\nContent-Type: multipart/related; type=\"text/html\"; boundary=\"m\"\r\n\r\n--m\r\nContent-Type: text/html\r\n\r\n<p>saved words</p><script>MARKER</script>\r\n--m--\r\n"
	raw := "From: a@b.example\r\nContent-Type: multipart/mixed; boundary=a\r\n\r\n" +
		"--a\r\nContent-Type: application/octet-stream; name=p.mht\r\n\r\n" + mht +
		"\r\n--a\r\nContent-Type: application/xhtml+xml; name=p.xhtml\r\n\r\n<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><body><p>strict words</p><script>MARKER</script></body></html>\r\n" +
		"\r\n--a\r\nContent-Type: image/svg+xml; name=p.svg\r\n\r\n<svg xmlns=\"http://www.w3.org/2000/svg\"><title>drawn words</title><script>MARKER</script></svg>\r\n--a--\r\n"
	out, err := treatFull([]byte(raw), false)
	if err != nil {
		t.Fatal(err)
	}
	mine, err := ours(out)
	if err != nil {
		t.Fatal(err)
	}
	var media []string
	for _, s := range mine {
		media = append(media, s.media)
	}
	want := "[text/plain message/rfc822 text/plain image/svg+xml]"
	if fmt.Sprint(media) != want {
		t.Errorf("%v, want %s\n%s", media, want, out)
	}
	if s := string(out); strings.Contains(s, "MARKER") || strings.Contains(s, "TUFSS0VS") {
		t.Errorf("a script goes on:\n%s", s)
	}
}
