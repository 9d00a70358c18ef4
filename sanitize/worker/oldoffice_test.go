package worker

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// oldFile has LibreOffice write a document of some 100 kB in an old format.
func oldFile(b *testing.B, kind string) []byte {
	b.Helper()
	const soffice = "/usr/bin/soffice"
	if _, err := os.Stat(soffice); err != nil {
		b.Skipf("skipped: %v", err)
	}
	const line = "町長からのお知らせ。令和八年度の予算について、次のとおりお知らせいたします。"
	dir := b.TempDir()
	from := filepath.Join(dir, "in.txt")
	var text strings.Builder
	filter := kind
	switch kind {
	case "doc":
		for i := range 900 {
			fmt.Fprintf(&text, "%d %s\n", i, line)
		}
	case "xls":
		from = filepath.Join(dir, "in.csv")
		for i := range 1000 {
			fmt.Fprintf(&text, "%d,%s%d,=A%d*2,%d\n", i, line[:30], i, i+1, i*7)
		}
	case "ppt":
		from = filepath.Join(dir, "in.fodp")
		text.WriteString(`<?xml version="1.0"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" xmlns:draw="urn:oasis:names:tc:opendocument:xmlns:drawing:1.0" xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" xmlns:svg="urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0" xmlns:style="urn:oasis:names:tc:opendocument:xmlns:style:1.0" office:mimetype="application/vnd.oasis.opendocument.presentation" office:version="1.3"><office:master-styles><style:master-page style:name="M"/></office:master-styles><office:body><office:presentation>`)
		for i := range 60 {
			fmt.Fprintf(&text, `<draw:page draw:name="p%d" draw:master-page-name="M"><draw:frame svg:x="2cm" svg:y="2cm" svg:width="20cm" svg:height="9cm"><draw:text-box>%s</draw:text-box></draw:frame></draw:page>`, i, strings.Repeat("<text:p>"+line+"</text:p>", 8))
		}
		text.WriteString(`</office:presentation></office:body></office:document>`)
	}
	if err := os.WriteFile(from, []byte(text.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	out, err := exec.Command(soffice, "--headless", "-env:UserInstallation=file://"+dir+"/profile", "--infilter="+map[string]string{"doc": "Text (encoded):UTF8", "xls": "CSV:44,34,76,1", "ppt": "OpenDocument Presentation Flat XML"}[kind], "--convert-to", filter, "--outdir", dir, from).CombinedOutput()
	made, rerr := os.ReadFile(filepath.Join(dir, "in."+kind))
	if rerr != nil {
		b.Fatalf("LibreOffice wrote no %s: %v %s", kind, err, out)
	}
	return made
}

// BenchmarkOldOffice is a document of some 100 kB in a worker that waits, and
// its output in another one that verifies.
func BenchmarkOldOffice(b *testing.B) {
	starter := &sandbox.Starter{Path: real}
	defer starter.Close()
	r := &Runner{Binary: real, Profile: sandbox.Worker(), Starter: starter, Spares: 2}
	defer r.Close()
	for _, kind := range []string{"doc", "xls", "ppt"} {
		b.Run(kind, func(b *testing.B) {
			file := oldFile(b, kind)
			in := message(b, file)
			o := options(sanitize.TaskFile)
			o.Rules[sanitize.ClassLegacyOffice] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
			o.FileName = "a." + kind
			v := o
			v.Task = sanitize.TaskVerifyFile
			var treat, verify, waited time.Duration
			b.SetBytes(int64(len(file)))
			for b.Loop() {
				at := time.Now()
				res, err := r.Run(b.Context(), o, in)
				if err != nil || res.Output == nil || res.Report.Outcome != sanitize.Clean {
					b.Fatal(err, res.Report)
				}
				waited += time.Since(at)
				treat += res.State.User + res.State.System
				out, err := io.ReadAll(io.NewSectionReader(res.Output, 0, res.Size))
				res.Output.Close()
				if err != nil {
					b.Fatal(err)
				}
				v.KindHint = sanitize.Kind(kind)
				res, err = r.Run(b.Context(), v, message(b, out))
				if err != nil || res.Report.Outcome != sanitize.Clean {
					b.Fatal(err, res)
				}
				verify += res.State.User + res.State.System
			}
			b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "treat-us/op")
			b.ReportMetric(float64(treat.Microseconds())/float64(b.N), "treat-cpu-us/op")
			b.ReportMetric(float64(verify.Microseconds())/float64(b.N), "verify-cpu-us/op")
		})
	}
}
