package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"sekisho/internal/corpus"
)

// files measures `sekisho sanitize` over 200 small documents.
func (b *bench) files() error {
	const n = 200
	dir := filepath.Join(b.dir, "files")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	var names []string
	for i := range n {
		name := filepath.Join(dir, fmt.Sprintf("file%03d.docx", i))
		if err := os.WriteFile(name, corpus.Word(fmt.Sprintf("書類 %d", i), i%2 == 1), 0o644); err != nil {
			return err
		}
		names = append(names, name)
	}
	cmd := exec.Command(filepath.Join(b.bin, "sekisho"), append([]string{"sanitize", "--out", filepath.Join(dir, "out")}, names...)...)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	start := time.Now()
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sanitize: %w: %s", err, said.String())
	}
	took := time.Since(start)
	cpu := cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	fmt.Printf("\nsekisho sanitize: %d small docx, treated and verified: %.0f files/s, %.1f CPU-ms a file\n",
		n, n/took.Seconds(), ms(cpu)/n)
	return b.record(figure{Name: "sanitize.docx", Values: map[string]float64{"files_per_s": n / took.Seconds(), "cpu_ms_per_file": ms(cpu) / n}})
}

// memory takes the peaks of the daemon and of a worker, each under the mail
// that costs the most. Sampling costs time, so no other figure is taken with it.
func (b *bench) memory(g *target) error {
	if os.Geteuid() != 0 {
		fmt.Printf("\nmemory: not measured, only root may look at a worker\n")
		return nil
	}
	fmt.Printf("\npeak memory (PSS), converters apart\n")
	for _, m := range []struct {
		name string
		data []byte
		c, n int
	}{
		{"text of 4 KiB, 50 connections", textMail(), 50, 500},
		{"docx of 100 KiB, 10 connections", docxMail(), 10, 100},
		{"text of 19 MiB, one at a time", bigText(), 1, 3},
	} {
		stop := peaks(g.pid)
		_, err := b.load(g, m.data, m.c, m.n)
		daemon, worker, all := stop()
		if err != nil {
			return fmt.Errorf("memory: %s: %w", m.name, err)
		}
		mib := func(n int64) float64 { return float64(n) / (1 << 20) }
		fmt.Printf("   %-34s daemon %6.1f MiB, a worker %6.1f MiB, all processes %6.1f MiB\n", m.name+":", mib(daemon), mib(worker), mib(all))
		if err := b.record(figure{Name: "memory", Note: m.name, Values: map[string]float64{"daemon_mib": mib(daemon), "worker_mib": mib(worker), "all_mib": mib(all)}}); err != nil {
			return err
		}
	}
	return nil
}
