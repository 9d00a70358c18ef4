package worker

import (
	"archive/zip"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

// secretName is in the path of a file that documents ask for and must not get.
const secretName = "sekisho-foreign-file"

// foreign are documents that show pictures from elsewhere, in the ways by which
// LibreOffice is led astray.
func foreign(tb testing.TB, hrefs []string) map[string]document {
	tb.Helper()
	flat := func(kind, body string) []byte {
		var picture string
		for _, href := range hrefs {
			picture += `<draw:frame draw:name="a" svg:width="2cm" svg:height="2cm"><draw:image xlink:href="` + href + `" xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"/></draw:frame>`
		}
		return []byte(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:xlink="http://www.w3.org/1999/xlink" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" office:mimetype="application/vnd.oasis.opendocument.` + kind + `" office:version="1.2"><office:body>` + strings.ReplaceAll(body, "PICTURE", picture) + `</office:body></office:document>`)
	}
	var relations, drawings, fields string
	for i, href := range hrefs {
		relations += fmt.Sprintf(`<Relationship Id="r%d" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="%s" TargetMode="External"/>`, i, href)
		drawings += fmt.Sprintf(`<w:r><w:drawing><wp:inline><wp:extent cx="990000" cy="792000"/><wp:docPr id="%d" name="a"/><a:graphic><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic><pic:nvPicPr><pic:cNvPr id="1" name="a"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:link="r%d"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="990000" cy="792000"/></a:xfrm><a:prstGeom prst="rect"/></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r>`, i+1, i)
		fields += `{\field{\*\fldinst INCLUDEPICTURE "` + href + `" \\* MERGEFORMAT \\d}{\fldrslt x}}`
	}
	var word bytes.Buffer
	z := zip.NewWriter(&word)
	for _, f := range []struct{ name, text string }{
		{"[Content_Types].xml", `<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>`},
		{"_rels/.rels", `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="word/document.xml"/></Relationships>`},
		{"word/_rels/document.xml.rels", `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">` + relations + `</Relationships>`},
		{"word/document.xml", `<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships" xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main" xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><w:body><w:p><w:r><w:t>words that stay</w:t></w:r>` + drawings + `</w:p></w:body></w:document>`},
	} {
		w, err := z.Create(f.name)
		if err == nil {
			_, err = w.Write([]byte(f.text))
		}
		if err != nil {
			tb.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		tb.Fatal(err)
	}
	return map[string]document{
		"fodt": {sanitize.OfficeToDOCX, sanitize.FromFODT, flat("text", `<office:text><text:p>words that stayPICTURE</text:p></office:text>`)},
		"fods": {sanitize.OfficeToXLSX, sanitize.FromFODS, flat("spreadsheet", `<office:spreadsheet><table:table table:name="a"><table:shapes>PICTURE</table:shapes><table:table-row><table:table-cell><text:p>words that stay</text:p></table:table-cell></table:table-row></table:table></office:spreadsheet>`)},
		"fodp": {sanitize.OfficeToPDF, sanitize.FromFODP, flat("presentation", `<office:presentation><draw:page draw:name="a">PICTURE</draw:page></office:presentation>`)},
		"docx": {sanitize.OfficeToPDF, sanitize.FromDOCX, word.Bytes()},
		"rtf":  {sanitize.OfficeToPDF, sanitize.FromRTF, []byte(`{\rtf1\ansi words that stay ` + fields + `}`)},
	}
}

type document struct {
	tool   sanitize.Tool
	source sanitize.Source
	data   []byte
}

// inner says to the test below that it is the one that is watched, and what the
// documents ask for.
const inner = "SEKISHO_TEST_FOREIGN"

// TestNothingIsCalledAndNothingForeignIsOpenedNeedsTools watches the system
// calls of LibreOffice and of all around it while it converts documents that ask
// for pictures on the network and in files. A fetch that the sandbox refused
// would leave no trace anywhere else.
func TestNothingIsCalledAndNothingForeignIsOpenedNeedsTools(t *testing.T) {
	if asked := os.Getenv(inner); asked != "" {
		tools := realTools(t, soffice)
		for name, d := range foreign(t, strings.Split(asked, " ")) {
			c, _ := ask(t, tools)
			if out, err := call(t, c, sanitize.ToolCall{Tool: d.tool, Source: d.source}, d.data); err != nil || len(out) == 0 {
				t.Errorf("%s: %d octets, %v", name, len(out), err)
			}
		}
		return
	}
	realTools(t, soffice) // or the test ends here
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("skipped: strace is not installed; scripts/deps.sh installs it")
	}
	dir := t.TempDir()
	if err := exec.Command(strace, "-f", "--seccomp-bpf", "-o", filepath.Join(dir, "try"), "/bin/true").Run(); err != nil {
		t.Skipf("skipped: nobody may watch system calls here: %v", err)
	}
	secret := filepath.Join(dir, secretName+".png")
	if err := os.WriteFile(secret, corpus.PNG(), 0o644); err != nil {
		t.Fatal(err)
	}
	for d := dir; len(d) > len(os.TempDir()); d = filepath.Dir(d) {
		// It is not by its permissions that it stays unread.
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	log := filepath.Join(dir, "log")
	cmd := exec.Command(strace, "-f", "--seccomp-bpf", "-y", "-s", "256", "-o", log, "-e", "trace=socket,connect,sendto,sendmsg,open,openat,openat2,execve", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), inner+"=http://192.0.2.1/a.png file://"+secret)
	said, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// Of a call that others ran beside, the end stands on a line of its own.
	ends := map[string][]string{}
	for line := range strings.Lines(string(b)) {
		if pid, rest, ok := strings.Cut(line, " "); ok && strings.Contains(rest, " resumed>") {
			ends[pid] = append(ends[pid], rest)
		}
	}
	calls, opened, started, sockets := 0, 0, 0, 0
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		pid, _, _ := strings.Cut(line, " ")
		if strings.Contains(line, " resumed>") {
			continue
		}
		if strings.HasSuffix(line, "<unfinished ...>") && len(ends[pid]) > 0 {
			line += ends[pid][0]
			ends[pid] = ends[pid][1:]
		}
		failed := strings.Contains(line, " = -1 ")
		calls++
		switch {
		case strings.Contains(line, "connect(") && strings.Contains(line, "AF_INET"),
			strings.Contains(line, "send") && strings.Contains(line, "sa_family=AF_INET"),
			strings.Contains(line, "192.0.2.1"):
			t.Errorf("a call to the network: %s", line)
		case internetSocket.MatchString(line) && !failed:
			sockets++
		case strings.Contains(line, secretName) && strings.Contains(line, "open") && !failed && !strings.Contains(line, "execve("):
			t.Errorf("a foreign file: %s", line)
		}
		if strings.Contains(line, "/job/in.") && strings.Contains(line, "open") && !failed {
			opened++
		}
		if strings.Contains(line, "execve(\""+soffice) {
			started++
		}
	}
	// Each sandbox has one, made before the program starts, by which it looks at
	// its own empty network.
	if sockets > started {
		t.Errorf("%d sockets of the network for %d sandboxes", sockets, started)
	}
	// Whoever sees nothing proves nothing.
	if want := len(foreign(t, nil)); started < want || opened < want {
		t.Errorf("of %d system calls, %d starts of LibreOffice and %d openings of a document were seen, want %d", calls, started, opened, want)
	}
	t.Logf("%d system calls, LibreOffice started %d times, documents opened %d times", calls, started, opened)
}

var internetSocket = regexp.MustCompile(`socket\(AF_INET6?,`)
