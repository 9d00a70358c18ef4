package worker

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/internal/corpus"
	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// shown is a folder that a tool may be shown.
func shown(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// converting has a shell script convert a DocuWorks document, as a run does.
func converting(t *testing.T, dir, script string, words ...string) (*Result, []byte) {
	t.Helper()
	prog := filepath.Join(dir, "convert")
	if err := os.WriteFile(prog, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.pdf"), corpus.PDF(), 0o644); err != nil {
		t.Fatal(err)
	}
	if len(words) == 0 {
		words = []string{sanitize.ConverterIn, sanitize.ConverterOut}
	}
	c := sanitize.Converter{Name: "docuworks", Kind: sanitize.KindXDW, Command: append([]string{prog}, words...), Paths: []string{dir}, Time: 2 * time.Second}
	if setting, err := c.Check(); err != nil {
		t.Fatalf("%s: %v", setting, err)
	}
	o := options(sanitize.TaskFile)
	o.FileName = "図面.xdw"
	o.Rules[sanitize.ClassPDF] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
	o.UseConverters([]sanitize.Converter{c})
	r := &Runner{Binary: real, Profile: sandbox.Worker(), Tools: realTools(t, "/usr/bin/qpdf", "/usr/bin/pdftoppm")}
	res, err := r.Run(t.Context(), o, message(t, corpus.DocuWorks()))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	if res.Output != nil {
		defer res.Output.Close()
		if out, err = io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size)); err != nil {
			t.Fatal(err)
		}
	}
	return res, out
}

// TestAConvertersPDFIsRebuiltNeedsTools: the file goes in under a name of its
// kind, the PDF may come by three ways, and none of its octets goes on as it is.
func TestAConvertersPDFIsRebuiltNeedsTools(t *testing.T) {
	dir := shown(t)
	for name, k := range map[string]struct {
		script string
		words  []string
	}{
		"a file":          {`[ "$1" = /job/in.xdw ] && head -c 8 "$1" >/dev/null && cp "$(dirname "$0")/a.pdf" "$2"`, nil},
		"standard output": {`cat "$(dirname "$0")/a.pdf"`, []string{"{in}"}},
		"a folder":        {`cp "$(dirname "$0")/a.pdf" "$2/in.pdf"`, []string{"--from={in}", "{dir}"}},
	} {
		res, out := converting(t, dir, k.script, k.words...)
		p := res.Report.Parts[0]
		if p.Outcome != sanitize.Disarmed || p.Mode != sanitize.Convert || p.Kind != sanitize.KindXDW || p.OutKind != sanitize.KindPDF || !bytes.HasPrefix(out, []byte("%PDF-")) {
			t.Errorf("%s: %+v, %d octets", name, p, len(out))
			continue
		}
		if bytes.Contains(out, []byte("app.alert")) || bytes.Contains(out, []byte("/JavaScript")) || bytes.Equal(out, corpus.PDF()) {
			t.Errorf("%s: the PDF of the converter was not rebuilt", name)
		}
		told := false
		for _, f := range p.Findings {
			told = told || f.Rule == "convert.converter" && f.Detail == "docuworks"
		}
		if !told {
			t.Errorf("%s: the report does not name the converter: %+v", name, p.Findings)
		}
	}
}

// TestAnIllConverterKeepsItsFileBackNeedsTools: whatever a converter does, the
// file is kept back and the run goes on.
func TestAnIllConverterKeepsItsFileBackNeedsTools(t *testing.T) {
	dir := shown(t)
	for name, script := range map[string]string{
		"nothing":           "exit 0",
		"failure":           `cp "$(dirname "$0")/a.pdf" "$2"; exit 3`,
		"hang":              "sleep 31341",
		"deaf":              "trap '' TERM INT HUP XCPU; while :; do sleep 31341; done",
		"fork bomb":         "exec python3 -c 'import os\nwhile True:\n try: os.fork()\n except OSError: pass'",
		"10 GB of output":   `cat /dev/zero > "$2"`,
		"memory":            "exec python3 -c 'bytearray(10 << 30)'",
		"no PDF":            `echo hello > "$2"`,
		"a program":         `printf 'MZ\220\0' > "$2"; head -c 600 /dev/zero >> "$2"`,
		"what it was given": `cp "$1" "$2"`,
		"half a PDF":        `head -c 40 "$(dirname "$0")/a.pdf" > "$2"`,
		"a link":            `ln -s "$1" "$2"`,
		"a damaged PDF":     `printf '%%PDF-1.7\nnothing\n%%%%EOF\n' > "$2"`,
	} {
		begin := time.Now()
		res, out := converting(t, dir, script)
		p := res.Report.Parts[0]
		if p.Outcome != sanitize.Refused || p.Fate != sanitize.KeptBack || len(out) != 0 || p.Kind != sanitize.KindXDW || !strings.Contains(p.Err, "convert") {
			t.Errorf("%s: %+v, %d octets", name, p, len(out))
		}
		if took := time.Since(begin); took > 20*time.Second {
			t.Errorf("%s: it took %s", name, took)
		}
		if left := processes(t, "31341", filepath.Join(dir, "convert")); len(left) > 0 {
			t.Errorf("%s: left over: %q", name, left)
		}
	}
}

// TestAConverterIsAloneNeedsTools: it reaches no network and no file of the host
// but the folder it was given, which it cannot write to.
func TestAConverterIsAloneNeedsTools(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hits := make(chan string, 16)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			hits <- c.RemoteAddr().String()
			c.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	secret := filepath.Join(shown(t), "secret")
	if err := os.WriteFile(secret, []byte("the secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	dir := shown(t)
	// It makes its PDF only if all that it tries fails.
	script := `python3 -c 'import socket; socket.create_connection(("127.0.0.1",` + port + `),2)' 2>/dev/null && exit 9
cat ` + secret + ` 2>/dev/null && exit 9
cat /etc/hostname 2>/dev/null && exit 9
echo x 2>/dev/null > "$(dirname "$0")/a.pdf" && exit 9
echo x 2>/dev/null > "$1" && exit 9
[ -e /proc/1/root/` + secret + ` ] && exit 9
cp "$(dirname "$0")/a.pdf" "$2"`
	res, out := converting(t, dir, script)
	if p := res.Report.Parts[0]; p.Outcome != sanitize.Disarmed || len(out) == 0 {
		t.Errorf("it reached what it may not: %+v", p)
	}
	select {
	case h := <-hits:
		t.Errorf("somebody called from %s", h)
	default:
	}
}

// TestOnlyANamedConverterIsRun: a worker asks by a number, and only for those of
// its own run.
func TestOnlyANamedConverterIsRun(t *testing.T) {
	one := sanitize.Converter{Name: "one", Kind: sanitize.KindXDW, Command: []string{"/usr/bin/true", "{in}"}, Time: time.Second}
	for _, c := range []sanitize.ToolCall{{Tool: sanitize.HookToPDF}, {Tool: sanitize.HookToPDF, Hook: 2}, {Tool: sanitize.HookToPDF, Hook: -1},
		{Tool: sanitize.HookToPDF, Hook: 1, First: 1, Last: 1}, {Tool: sanitize.QPDFCheck, Hook: 1}} {
		if p, ok := programOf(c, one); ok {
			t.Errorf("%+v runs %s", c, p.name)
		}
	}
	p, ok := programOf(sanitize.ToolCall{Tool: sanitize.HookToPDF, Hook: 1}, one)
	if !ok || p.path != "/usr/bin/true" || p.in != "in.xdw" || p.args[0] != "/job/in.xdw" {
		t.Errorf("%+v, %t", p, ok)
	}
	// The purse of a part is that of all tools.
	purse := purse{parts: map[int]int{}}
	var err error
	for range toolRunsPart + 1 {
		_, err = purse.charge(sanitize.ToolCall{Tool: sanitize.HookToPDF, Hook: 1}, time.Minute)
	}
	if err == nil || errors.Is(err, sanitize.ErrTool) {
		t.Errorf("more runs than a part may have: %v", err)
	}
}
