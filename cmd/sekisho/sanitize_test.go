package main

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"sekisho/internal/corpus"
)

// samples writes files into a folder of its own.
func samples(t *testing.T, files map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for name, b := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// listing gives the names in a folder, hidden ones too.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	es, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range es {
		names = append(names, e.Name())
	}
	return names
}

func objects(t *testing.T, out string) []map[string]any {
	t.Helper()
	var os []map[string]any
	for _, l := range strings.Split(strings.TrimSuffix(out, "\n"), "\n") {
		var o map[string]any
		if err := json.Unmarshal([]byte(l), &o); err != nil {
			t.Fatalf("%q is no object: %v", l, err)
		}
		os = append(os, o)
	}
	return os
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

func TestSanitizeWritesHarmlessFiles(t *testing.T) {
	in := map[string][]byte{
		"申請書.docm":   corpus.Word("本文", true),
		"clean.docx": corpus.Word("本文", false),
		"b.XLSM":     corpus.Excel("x", true),
		"plain.xlsx": corpus.Excel("x", false),
		"p.png":      corpus.PNG(),
		"j.JPG":      corpus.JPEG(),
		"note.txt":   []byte("お知らせ\r\n"),
		"card.vcf":   []byte("BEGIN:VCARD\r\nVERSION:3.0\r\nN:Yamada;Taro;;;\r\nFN:Taro Yamada\r\nEND:VCARD\r\n"),
	}
	dir := samples(t, in)
	for _, c := range []struct{ file, kind, outKind, outcome, output string }{
		{"申請書.docm", "docm", "docx", "disarmed", "申請書.docx"},
		{"clean.docx", "docx", "docx", "clean", "clean.docx"},
		{"b.XLSM", "xlsm", "xlsx", "disarmed", "b.xlsx"},
		{"plain.xlsx", "xlsx", "xlsx", "clean", "plain.xlsx"},
		{"p.png", "png", "png", "clean", "p.png"},
		{"j.JPG", "jpeg", "jpeg", "clean", "j.JPG"},
		{"note.txt", "text", "text", "clean", "note.txt"},
		{"card.vcf", "vcf", "vcf", "clean", "card.vcf"},
	} {
		// As given, not as found: the output is an absolute path all the same.
		a := program(t, dir, "C", "sanitize", "--json", "--out", "out", "./"+c.file)
		if a.status != exitDone || a.err != "" {
			t.Errorf("%s: status %d, %s", c.file, a.status, a.err)
			continue
		}
		o := objects(t, a.out)[0]
		output := filepath.Join(dir, "out", c.output)
		for key, want := range map[string]any{"file": "./" + c.file, "kind": c.kind, "out_kind": c.outKind, "outcome": c.outcome, "mode": "rebuild",
			"output": output, "sha256_in": sum(in[c.file]), "error": ""} {
			if o[key] != want {
				t.Errorf("%s: %s is %v, want %v", c.file, key, o[key], want)
			}
		}
		for _, key := range []string{"findings", "elapsed_ms"} {
			if o[key] == nil {
				t.Errorf("%s: no %s", c.file, key)
			}
		}
		if c.outcome == "disarmed" && len(o["findings"].([]any)) == 0 {
			t.Errorf("%s is disarmed and no finding says of what", c.file)
		}
		b, err := os.ReadFile(output)
		if err != nil {
			t.Error(err)
			continue
		}
		if o["sha256_out"] != sum(b) {
			t.Errorf("%s: sha256_out is %v, the file has %s", c.file, o["sha256_out"], sum(b))
		}
		for name, content := range unpacked(b) {
			if strings.Contains(content, corpus.Macro) {
				t.Errorf("%s: the macro is in the output, in %s", c.file, name)
			}
		}
		if st, err := os.Stat(output); err != nil || st.Mode().Perm() != 0o640 {
			t.Errorf("%s: the output has mode %v, want that of the input", c.file, st.Mode())
		}
	}
	// Beside the input, with another name.
	if a := program(t, dir, "C", "sanitize", "申請書.docm"); a.status != exitDone || !strings.HasPrefix(a.out, "disarmed  申請書.docm  ") || !strings.Contains(a.out, "[ooxml.vba]") {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
	if _, err := os.Stat(filepath.Join(dir, "申請書.disarmed.docx")); err != nil {
		t.Error(err)
	}
}

// unpacked gives the bytes, and the members when they are a ZIP archive.
func unpacked(b []byte) map[string]string {
	all := map[string]string{"": string(b)}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return all
	}
	for _, f := range z.File {
		if r, err := f.Open(); err == nil {
			var s bytes.Buffer
			if _, err := s.ReadFrom(r); err == nil {
				all[f.Name] = s.String()
			}
			r.Close()
		}
	}
	return all
}

func TestRefusedFilesLeaveNothing(t *testing.T) {
	dir := samples(t, map[string][]byte{
		"z.zip":    corpus.EncryptedZIP("secret.txt"),
		"e.exe":    corpus.Program(),
		"odd.docx": []byte("PK\x03\x04 and nothing more"),
		"a.docx":   corpus.Word("本文", false),
	})
	a := program(t, dir, "C", "sanitize", "--json", "--out", "out", "z.zip", "e.exe", "a.docx", "odd.docx")
	if a.status != exitRefused || a.err != "" {
		t.Errorf("status %d, want %d; said %q", a.status, exitRefused, a.err)
	}
	os := objects(t, a.out)
	for i, want := range []string{"z.zip", "e.exe", "a.docx", "odd.docx"} {
		o := os[i]
		if o["file"] != want {
			t.Errorf("object %d is of %v, want %s: results come in the order of the arguments", i, o["file"], want)
		}
		if want == "a.docx" {
			continue
		}
		if o["outcome"] != "refused" || o["output"] != "" || o["out_kind"] != "" || o["mode"] != "" || o["sha256_out"] != "" || o["error"] == "" || o["sha256_in"] == "" {
			t.Errorf("%s: %v", want, o)
		}
	}
	if got := listing(t, filepath.Join(dir, "out")); !slices.Equal(got, []string{"a.docx"}) {
		t.Errorf("the folder holds %q", got)
	}
	for locale, words := range map[string][]string{
		"C":           {"refused  z.zip  ", "encrypted\n", "refused  e.exe  ", "no harmless form of a file that can start a program"},
		"ja_JP.UTF-8": {"不可  z.zip  ", "暗号化されています\n", "不可  e.exe  ", "無害な形はありません"},
	} {
		a := program(t, dir, locale, "inspect", "z.zip", "e.exe")
		if a.status != exitRefused {
			t.Errorf("inspect: status %d", a.status)
		}
		for _, w := range words {
			if !strings.Contains(a.out, w) {
				t.Errorf("%s: %q does not say %q", locale, a.out, w)
			}
		}
	}
}

func TestAMailIsAFileWithParts(t *testing.T) {
	mail := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "件名", Text: "本文です", Files: []corpus.Attachment{
		{Name: "申請書.docm", Media: "application/octet-stream", Data: corpus.Word("x", true)},
		{Name: "lock.zip", Media: "application/zip", Data: corpus.EncryptedZIP("a.txt")},
	}}.Bytes()
	twice := bytes.Replace(mail, []byte("Content-Type: multipart/mixed"), []byte("Content-Type: text/plain\r\nContent-Type: multipart/mixed"), 1)
	dir := samples(t, map[string][]byte{"m.eml": mail, "twice.eml": twice})
	a := program(t, dir, "C", "sanitize", "--json", "m.eml")
	o := objects(t, a.out)[0]
	if a.status != exitDone || o["outcome"] != "disarmed" || o["output"] != filepath.Join(dir, "m.disarmed.eml") {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
	seen := map[string]string{}
	for _, p := range o["parts"].([]any) {
		p := p.(map[string]any)
		seen[p["file"].(string)] = fmt.Sprint(p["kind"], " ", p["out_kind"], " ", p["outcome"], " ", p["output"])
		if p["findings"] == nil || p["sha256_in"] == "" {
			t.Errorf("part %v", p)
		}
	}
	if seen["申請書.docm"] != "docm docx disarmed " || seen["lock.zip"] != "encrypted-zip  refused " {
		t.Errorf("parts: %v", seen)
	}
	b, err := os.ReadFile(filepath.Join(dir, "m.disarmed.eml"))
	if err != nil || bytes.Contains(b, []byte(corpus.Macro)) || !bytes.Contains(b, []byte("To: ")) {
		t.Errorf("the mail is %q (%v)", b, err)
	}
	// A mail that two programs read as two mails has no harmless form.
	a = program(t, dir, "ja_JP.UTF-8", "sanitize", "twice.eml")
	if a.status != exitRefused || !strings.Contains(a.out, "Content-Type が二つあり") || !strings.Contains(a.out, "[mime.duplicate-content-type]") {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"m.disarmed.eml", "m.eml", "twice.eml"}) {
		t.Errorf("the folder holds %q", got)
	}
}

func TestNothingIsEverOverwritten(t *testing.T) {
	dir := samples(t, map[string][]byte{
		"a.docx": corpus.Word("本文", false), "a.disarmed.docx": []byte("mine"), "b.docx": corpus.Word("b", false),
		"x/same.docm": corpus.Word("first", true), "y/same.docx": corpus.Word("second", false),
	})
	a := program(t, dir, "C", "sanitize", "--json", "a.docx", "b.docx")
	os1 := objects(t, a.out)
	if a.status != exitFailed || os1[0]["output"] != "" || os1[0]["outcome"] != "refused" || os1[0]["error"] == "" || os1[1]["outcome"] != "clean" {
		t.Errorf("status %d: %s", a.status, a.out)
	}
	if !strings.HasPrefix(a.err, "sekisho: a.docx: the output is there already and is not overwritten: "+dir+"/a.disarmed.docx\n  ") {
		t.Errorf("said %q", a.err)
	}
	if b, _ := os.ReadFile(filepath.Join(dir, "a.disarmed.docx")); string(b) != "mine" {
		t.Error("the file that was there is gone")
	}
	// Of two inputs with one output the first argument gets it, every time.
	for range 3 {
		out := filepath.Join(t.TempDir(), "out")
		a = program(t, dir, "ja_JP.UTF-8", "sanitize", "--out", out, "x/same.docm", "y/same.docx")
		b, err := os.ReadFile(filepath.Join(out, "same.docx"))
		if err != nil || a.status != exitFailed || !strings.Contains(a.err, "y/same.docx: 出力先がすでにある") {
			t.Fatalf("status %d: %s%s (%v)", a.status, a.out, a.err, err)
		}
		if !strings.Contains(unpacked(b)["word/document.xml"], "first") {
			t.Error("the second argument took the name")
		}
		if got := listing(t, out); len(got) != 1 {
			t.Errorf("the folder holds %q", got)
		}
	}
	// The input's own folder as --out would mean its own name.
	if a = program(t, dir, "C", "sanitize", "--out", ".", "b.docx"); a.status != exitFailed {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
}

func TestFilesThatCannotBeReadStopNoOther(t *testing.T) {
	dir := samples(t, map[string][]byte{"a.docx": corpus.Word("本文", false), "folder/x": nil})
	if err := unix.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	huge, err := os.Create(filepath.Join(dir, "huge.txt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := huge.Truncate(maxFile + 1); err != nil {
		t.Fatal(err)
	}
	huge.Close()
	if err := os.Symlink("loop", filepath.Join(dir, "loop")); err != nil {
		t.Fatal(err)
	}
	a := program(t, dir, "C", "sanitize", "--json", "missing", "folder", "pipe", "huge.txt", "loop", "a.docx", "a.docx/x")
	if a.status != exitFailed {
		t.Errorf("status %d", a.status)
	}
	os := objects(t, a.out)
	if len(os) != 7 || os[5]["outcome"] != "clean" {
		t.Errorf("got %s", a.out)
	}
	for i, o := range os {
		if i != 5 && (o["outcome"] != "refused" || o["error"] == "" || o["output"] != "" || o["kind"] != "unknown") {
			t.Errorf("%v", o)
		}
	}
	for _, want := range []string{"sekisho: missing: no such file\n", "sekisho: folder: it is a folder\n", "  name the files in it, for instance folder/*\n",
		"sekisho: pipe: it is no regular file\n", "sekisho: huge.txt: 256 MiB; the largest that is treated is 256 MiB\n",
		"sekisho: loop: the symbolic links form a loop\n", "sekisho: a.docx/x: a part of the path is no folder\n"} {
		if !strings.Contains(a.err, want) {
			t.Errorf("%q does not say %q", a.err, want)
		}
	}
	if a := program(t, dir, "ja_JP.UTF-8", "sanitize", "--out", "out", "missing", "a.docx"); a.status != exitFailed || a.err != "sekisho: missing: ファイルがありません\n" || !strings.HasPrefix(a.out, "無害  a.docx") {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
	if a := program(t, dir, "C", "sanitize", "--out", "a.docx", "a.docx"); a.status != exitFailed || !strings.HasPrefix(a.err, "sekisho: cannot make the folder of --out: ") {
		t.Errorf("a file as folder: status %d: %s%s", a.status, a.out, a.err)
	}
}

func TestNamesCannotSpeakToTheTerminal(t *testing.T) {
	evil := "a\x1b]0;owned\x07\u202excod.docm"
	mail := corpus.Mail{From: "a@partner.example", To: "b@town.example.lg.jp", Subject: "\x1b[2J", Text: "x",
		Files: []corpus.Attachment{{Name: "\x1b[31m\u202egpj.exe", Media: "application/octet-stream", Data: corpus.Program()}}}.Bytes()
	dir := samples(t, map[string][]byte{evil: corpus.Word("x", true), "m.eml": mail})
	for _, args := range [][]string{{"inspect", evil, "m.eml"}, {"inspect", "--json", evil, "m.eml"}, {"sanitize", evil}, {"sanitize", evil}, {"inspect", evil + "x"}} {
		a := program(t, dir, "C", args...)
		for _, l := range strings.Split(a.out+a.err, "\n") {
			if strings.ContainsFunc(l, obeyed) {
				t.Errorf("%q: printed %q", args, l)
			}
		}
		if a.out+a.err == "" {
			t.Errorf("%q: nothing was said", args)
		}
	}
	o := objects(t, program(t, dir, "C", "inspect", "--json", evil).out)[0]
	if o["file"] != evil {
		t.Errorf("file is %q, as given it was %q", o["file"], evil)
	}
}

func TestInspectWritesNothing(t *testing.T) {
	dir := samples(t, map[string][]byte{"a.docm": corpus.Word("x", true)})
	a := program(t, dir, "C", "inspect", "--json", "a.docm")
	o := objects(t, a.out)[0]
	if a.status != exitDone || o["outcome"] != "disarmed" || o["output"] != "" || o["out_kind"] != "docx" {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
	if got := listing(t, dir); !slices.Equal(got, []string{"a.docm"}) {
		t.Errorf("the folder holds %q", got)
	}
}

func TestModesAreSteps(t *testing.T) {
	dir := samples(t, map[string][]byte{"a.html": []byte("<!DOCTYPE html><html><body><p>本文<script>x()</script></p></body></html>"), "a.docx": corpus.Word("x", false)})
	for _, c := range []struct {
		mode, file string
		status     int
	}{
		{"auto", "a.html", exitDone}, {"text", "a.html", exitDone}, {"rebuild", "a.html", exitRefused},
		{"auto", "a.docx", exitDone}, {"rebuild", "a.docx", exitDone}, {"strip", "a.docx", exitDone},
		{"convert", "a.docx", exitDone}, {"text", "a.docx", exitDone}, {"convert", "a.html", exitRefused},
	} {
		out := t.TempDir()
		a := program(t, dir, "C", "sanitize", "--json", "--mode", c.mode, "--out", out, c.file)
		if a.status != c.status || (len(listing(t, out)) == 1) != (c.status == exitDone) {
			t.Errorf("--mode %s %s: status %d, %s%s", c.mode, c.file, a.status, a.out, a.err)
		}
	}
}

// TestInterruptLeavesNothing sends the signal of Ctrl-C in the middle.
func TestInterruptLeavesNothing(t *testing.T) {
	files := map[string][]byte{}
	args := []string{"sanitize", "--out", "out"}
	for i := range 60 {
		name := fmt.Sprintf("f%02d.docx", i)
		files[name] = corpus.Word("本文", false)
		args = append(args, name)
	}
	dir := samples(t, files)
	c := exec.Command(filepath.Join(binaries, "sekisho"), args...)
	c.Dir, c.Env = dir, []string{"LC_ALL=C"}
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	first := make([]byte, 1)
	if _, err := out.Read(first); err != nil {
		t.Fatal(err)
	}
	if err := c.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	var rest bytes.Buffer
	begin := time.Now()
	if _, err := rest.ReadFrom(out); err != nil {
		t.Fatal(err)
	}
	err = c.Wait()
	if c.ProcessState.ExitCode() != exitFailed || !strings.HasPrefix(stderr.String(), "sekisho: interrupted\n  of 60 files ") {
		t.Errorf("status %d (%v), said %q", c.ProcessState.ExitCode(), err, stderr.String())
	}
	if took := time.Since(begin); took > 20*time.Second {
		t.Errorf("it went on for %s", took)
	}
	written := listing(t, filepath.Join(dir, "out"))
	if shown := strings.Count(string(first)+rest.String(), "\n"); shown != len(written) || shown == 60 {
		t.Errorf("%d results were shown, %d files are there: %q", shown, len(written), written)
	}
	for _, name := range written {
		if !strings.HasSuffix(name, ".docx") || strings.HasPrefix(name, ".") {
			t.Errorf("left behind: %q", name)
		}
	}
}

func TestDoctorWithoutAGatewayChecksTheIsolation(t *testing.T) {
	for locale, want := range map[string][]string{
		"C":           {"pass  isolation: cannot connect by TCP", "FAIL  gateway", "the gateway does not answer"},
		"ja_JP.UTF-8": {"合格    隔離: TCP で接続できない", "不合格  ゲートウェイ", "ゲートウェイが動いていません"},
	} {
		a := program(t, t.TempDir(), locale, "doctor")
		if a.status != exitFailed || a.err != "" {
			t.Errorf("status %d, said %q", a.status, a.err)
		}
		for _, w := range want {
			if !strings.Contains(a.out, w) {
				t.Errorf("%s: %q does not say %q", locale, a.out, w)
			}
		}
	}
	for _, o := range objects(t, program(t, t.TempDir(), "C", "doctor", "--json").out) {
		if o["name"] == "" || o["status"] != "pass" && o["name"] != "gateway" {
			t.Errorf("%v", o)
		}
	}
}

func TestConfigCheckSaysWhatTheDaemonWouldSay(t *testing.T) {
	dir := samples(t, map[string][]byte{"bad.yaml": []byte("hostname: mx.town.example.lg.jp\nhopz: []\n")})
	for locale, want := range map[string]string{"C": `sekisho: bad.yaml:2: hopz: unknown key; did you mean "hops"?`, "ja_JP.UTF-8": "sekisho: bad.yaml:2: hopz: そのキーはありません。もしかして \"hops\""} {
		if a := program(t, dir, locale, "config", "check", "bad.yaml"); a.status != exitUsage || a.out != "" || !strings.HasPrefix(a.err, want) {
			t.Errorf("status %d: %s%s", a.status, a.out, a.err)
		}
	}
	a := program(t, dir, "C", "config", "check", "--json", "bad.yaml")
	if o := objects(t, a.out)[0]; a.status != exitUsage || o["file"] != "bad.yaml" || o["ok"] != false || !strings.Contains(o["error"].(string), "hopz") {
		t.Errorf("status %d: %s", a.status, a.out)
	}
	if a := program(t, dir, "C", "config", "check", "none.yaml"); a.status != exitUsage || !strings.Contains(a.err, "none.yaml") {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
}

func TestVersionIsPrinted(t *testing.T) {
	a := program(t, t.TempDir(), "C", "version", "--json")
	o := objects(t, a.out)[0]
	for _, key := range []string{"version", "commit", "engine", "go"} {
		if s, _ := o[key].(string); s == "" {
			t.Errorf("no %s in %s", key, a.out)
		}
	}
	if a := program(t, t.TempDir(), "ja_JP.UTF-8", "version"); a.status != exitDone || !strings.HasPrefix(a.out, "sekisho ") {
		t.Errorf("status %d: %s%s", a.status, a.out, a.err)
	}
}
