package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// besideOthers runs the command line, mat2 and LibreOffice over the same documents
// without pictures, in turn and in one run, each as people call it and the first two
// also with all files in one call. LibreOffice writes each document in its own format.
func (b *bench) besideOthers() error {
	const n = 20
	source := map[string][]byte{"docx": fewPages(), "xlsx": table()}
	fmt.Printf("\n%d documents without pictures: ms a file by the clock and of processor time (median of %d), and how many times those of sekisho in one call\n", n, b.runs)
	for _, kind := range []string{"docx", "xlsx"} {
		text := filepath.Join(b.dir, "few."+map[string]string{"docx": "fodt", "xlsx": "csv"}[kind])
		if err := os.WriteFile(text, source[kind], 0o644); err != nil {
			return err
		}
		made, err := b.office(text, kind)
		if errors.Is(err, exec.ErrNotFound) {
			fmt.Printf("   not run, LibreOffice is not installed (it makes the documents)\n")
			return nil
		}
		if err != nil {
			return err
		}
		data, err := os.ReadFile(made)
		if err != nil {
			return err
		}
		fmt.Printf("   %s of %.0f kB\n", kind, float64(len(data))/1000)
		sekisho := []string{filepath.Join(b.bin, "sekisho"), "sanitize", "--out", "{out}"}
		rows := []struct {
			name    string
			command []string
			each    bool
		}{
			{"sekisho, verified, in one call", sekisho, false},
			{"sekisho, verified, a call each", sekisho, true},
			{"mat2, in one call", []string{"mat2"}, false},
			{"mat2, a call each", []string{"mat2"}, true},
			{"LibreOffice, a call each", []string{"soffice", "-env:UserInstallation=file://{profile}", "--headless", "--convert-to", kind, "--outdir", "{out}"}, true},
		}
		var all = make([][]run, len(rows))
		for i := range b.runs + 1 { // the first warms up
			for k, row := range rows {
				r, err := b.treatAll(data, kind, n, row.command, row.each)
				if err != nil {
					if i == 0 {
						fmt.Printf("      %-32s not run: %v\n", row.name, err)
					}
					continue
				}
				if i > 0 {
					all[k] = append(all[k], r)
				}
			}
		}
		first, firstCPU := 0.0, 0.0
		for k, row := range rows {
			if len(all[k]) == 0 {
				continue
			}
			took, cpu := 1000/median(all[k], func(r run) float64 { return r.delivered }), median(all[k], func(r run) float64 { return r.cpu })
			if k == 0 {
				first, firstCPU = took, cpu
			}
			fmt.Printf("      %-32s %8.1f %8.1f  %6.1f x %6.1f x\n", row.name, took, cpu, took/first, cpu/firstCPU)
			if err := b.record(figure{Name: "documents." + kind, Note: row.name, Values: map[string]float64{"ms": took, "cpu_ms": cpu, "times_first": took / first, "times_first_cpu": cpu / firstCPU}}); err != nil {
				return err
			}
		}
	}
	return nil
}

// treatAll has a program treat n copies of a document and makes sure that it wrote
// as many.
func (b *bench) treatAll(data []byte, kind string, n int, command []string, each bool) (run, error) {
	program, err := exec.LookPath(command[0])
	if err != nil {
		return run{}, errors.New("not installed")
	}
	dir, err := os.MkdirTemp(b.dir, "documents-")
	if err != nil {
		return run{}, err
	}
	defer os.RemoveAll(dir)
	var files []string
	for i := range n {
		files = append(files, filepath.Join(dir, fmt.Sprintf("file%02d.%s", i, kind)))
		if err := os.WriteFile(files[i], data, 0o644); err != nil {
			return run{}, err
		}
	}
	names := strings.NewReplacer("{out}", filepath.Join(dir, "out"), "{profile}", filepath.Join(b.dir, "profile"))
	var args []string
	for _, a := range command[1:] {
		args = append(args, names.Replace(a))
	}
	var cpu time.Duration
	call := func(files ...string) error {
		cmd := exec.Command(program, append(args[:len(args):len(args)], files...)...)
		said, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %.150s", err, bytes.Join(bytes.Fields(said), []byte(" ")))
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return nil
	}
	begin := time.Now()
	if !each {
		err = call(files...)
	}
	for i := 0; each && i < n && err == nil; i++ {
		err = call(files[i])
	}
	took := time.Since(begin)
	if err != nil {
		return run{}, err
	}
	out, _ := filepath.Glob(filepath.Join(dir, "out", "file*"))
	cleaned, _ := filepath.Glob(filepath.Join(dir, "file*.cleaned.*")) // mat2 writes beside the file
	if len(out)+len(cleaned) != n {
		return run{}, fmt.Errorf("wrote %d of %d files", len(out)+len(cleaned), n)
	}
	return run{delivered: float64(n) / took.Seconds(), cpu: ms(cpu) / float64(n)}, nil
}

// fewPages is some ten pages of Japanese text of different lengths: as a docx by
// LibreOffice some 30 kB.
func fewPages() []byte {
	r := rand.New(rand.NewPCG(5, 5))
	var b bytes.Buffer
	b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" ` +
		`xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0" office:version="1.2" office:mimetype="application/vnd.oasis.opendocument.text"><office:body><office:text>`)
	for range 100 {
		b.WriteString("<text:p>")
		for range 3 + r.IntN(5) {
			b.WriteString(japanese[r.IntN(3)])
			for range 5 + r.IntN(20) {
				b.WriteRune(rune(0x4E00 + 37*r.IntN(540)))
			}
			b.WriteString("。" + words[r.IntN(len(words))])
		}
		b.WriteString("</text:p>")
	}
	b.WriteString("</office:text></office:body></office:document>")
	return b.Bytes()
}

// table is some lines of names and numbers: as an xlsx by LibreOffice some 10 kB.
func table() []byte {
	r := rand.New(rand.NewPCG(6, 6))
	var b bytes.Buffer
	for i := range 200 {
		fmt.Fprintf(&b, "%d,%s,%s,%d,%d\n", i+1, words[r.IntN(len(words))], words[r.IntN(len(words))], r.IntN(100000), r.IntN(100000))
	}
	return b.Bytes()
}
