package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// pdf treats every PDF document and has other programs judge the outputs:
// qpdf and cdrcheck.py whether they are sound and harmless, poppler whether
// they say and show the same.
func (c *collection) pdf(bin string, judge bool) error {
	check, err := filepath.Abs(filepath.Join(c.dir, "check", "cdrcheck.py"))
	if err != nil {
		return err
	}
	out, err := os.MkdirTemp("", "sekisho-corpus-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(out)
	var rows []row
	for _, r := range c.under("pdf") {
		if strings.HasSuffix(r.path, ".pdf") {
			rows = append(rows, r)
		}
	}
	args := []string{"sanitize", "--json", "--out", out}
	for _, r := range rows {
		args = append(args, filepath.Join(c.dir, r.path))
	}
	start := time.Now()
	raw, err := exec.Command(filepath.Join(bin, "sekisho"), args...).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	took := time.Since(start)
	lines := strings.Split(strings.TrimSpace(string(raw)), "\n")
	if len(lines) != len(rows) {
		return fmt.Errorf("%d results for %d files", len(lines), len(rows))
	}
	benign, active, times := map[string]int{}, map[string]int{}, []int{}
	judged := make([]judgement, len(rows))
	for i, l := range lines {
		var r struct {
			result
			Elapsed int `json:"elapsed_ms"`
		}
		if err := json.Unmarshal([]byte(l), &r); err != nil {
			return err
		}
		times = append(times, r.Elapsed)
		what := r.Outcome
		if what != "refused" {
			what += " by " + r.Mode
		} else if strings.Contains(r.Error, "encrypted") {
			what += ", encrypted"
		}
		if rows[i].has("benign") {
			benign[what]++
		}
		if rows[i].has("pdf_js", "pdf_launch", "pdf_embedded", "pdf_xfa", "pdf_aa", "pdf_gotor", "pdf_gotoe", "pdf_movie", "pdf_rendition", "pdf_fileattachment") && !rows[i].has("encrypted", "encrypted_userpw") {
			active[what]++
			if r.Outcome == "clean" {
				fmt.Printf("  clean, and flagged %s: %s\n", rows[i].expect, rows[i].path)
			}
		}
		if r.Outcome == "refused" && !strings.Contains(r.Error, "encrypted") {
			fmt.Printf("  refused %s: %s\n", rows[i].path, r.Error)
		}
		judged[i] = judgement{before: filepath.Join(c.dir, rows[i].path), after: r.Output}
	}
	slices.Sort(times)
	fmt.Printf("pdf: %d files in %.1f s; a file takes %d ms in the middle, %d ms at 95 %%, %d ms at most (process and second look included)\n",
		len(rows), took.Seconds(), times[len(times)/2], times[len(times)*95/100], times[len(times)-1])
	fmt.Printf("pdf: flagged benign: %s; by rebuild %.1f %%\n", counts(benign), share(benign, "clean by rebuild")+share(benign, "disarmed by rebuild"))
	fmt.Printf("pdf: flagged active and not encrypted: %s; disarmed %.1f %%\n", counts(active), share(active, "disarmed by rebuild"))
	if !judge {
		return nil
	}
	var wg sync.WaitGroup
	next := make(chan *judgement)
	for range 2 {
		wg.Go(func() {
			for j := range next {
				j.judge(check)
			}
		})
	}
	for i := range judged {
		next <- &judged[i]
	}
	close(next)
	wg.Wait()
	return sum(judged)
}

// judgement is what other programs say of one document and its output.
type judgement struct {
	before, after   string
	opens           bool // qpdf opens what came in
	sound           string
	active          string
	keys            string
	readable, same  bool
	rendered        bool
	pages           []float64 // mean difference of each page, in percent
	sizeIn, sizeOut int64
	lenIn, lenOut   int
}

func (j *judgement) judge(check string) {
	err := exec.Command("timeout", "60", "qpdf", "--check", j.before).Run()
	var exit *exec.ExitError
	j.opens = err == nil || errors.As(err, &exit) && exit.ExitCode() == 3
	if j.after == "" {
		return
	}
	if b, err := exec.Command("timeout", "60", "qpdf", "--check", j.after).CombinedOutput(); err != nil {
		j.sound = string(bytes.TrimSpace(b))
	}
	if b, err := exec.Command("python3", check, j.after).CombinedOutput(); err != nil {
		j.active = string(bytes.TrimSpace(b))
	}
	if b, err := exec.Command("timeout", "60", "qpdf", "--qdf", "--object-streams=disable", j.after, "-").Output(); err == nil {
		j.keys = activeKeys(b)
	}
	a, err := exec.Command("timeout", "60", "pdftotext", "-q", j.before, "-").Output()
	j.readable = err == nil
	b, _ := exec.Command("timeout", "60", "pdftotext", "-q", j.after, "-").Output()
	j.same = bytes.Equal(a, b)
	j.lenIn, j.lenOut = len(a), len(b)
	const pages = "20" // of each document
	p, _ := exec.Command("timeout", "120", "pdftoppm", "-q", "-r", "50", "-l", pages, j.before).Output()
	if len(p) == 0 {
		return
	}
	q, _ := exec.Command("timeout", "120", "pdftoppm", "-q", "-r", "50", "-l", pages, j.after).Output()
	j.rendered = true
	j.pages = compare(p, q)
}

var activeKey = regexp.MustCompile(`/(JS|JavaScript|AA|Launch|SubmitForm|ImportData|GoToR|GoToE|EmbeddedFiles?|EF|AF|XFA|RichMedia\w*|Subtype\s*/(Movie|Sound|Screen|FileAttachment|3D)|Rendition|OpenAction\s*<<|FFilter|OPI|PieceInfo|Collection)\b`)

// activeKeys looks for names that act in what qpdf unpacked, streams left out.
func activeKeys(b []byte) string {
	for {
		i := bytes.Index(b, []byte("\nstream\n"))
		if i < 0 {
			return string(activeKey.Find(b))
		}
		if k := activeKey.Find(b[:i]); k != nil {
			return string(k)
		}
		k := bytes.Index(b[i:], []byte("\nendstream"))
		if k < 0 {
			return ""
		}
		b = b[i+k:]
	}
}

// compare gives the mean difference of each page of two runs of pictures.
func compare(a, b []byte) []float64 {
	var ds []float64
	for len(a) > 0 {
		wa, ha, pa, ra := picture(a)
		wb, hb, pb, rb := picture(b)
		a, b = ra, rb
		if wa != wb || ha != hb || len(pa) != len(pb) || len(pa) == 0 {
			ds = append(ds, 100)
			continue
		}
		n := 0
		if !bytes.Equal(pa, pb) {
			for i := range pa {
				n += max(int(pa[i])-int(pb[i]), int(pb[i])-int(pa[i]))
			}
		}
		ds = append(ds, float64(n)/float64(len(pa))/255*100)
	}
	return ds
}

// picture takes one PPM picture off the front of b.
func picture(b []byte) (w, h int, pixels, rest []byte) {
	var words [4]string
	at := 0
	for i := range words {
		from := at
		for at < len(b) && b[at] > ' ' {
			at++
		}
		words[i] = string(b[from:at])
		at++
	}
	w, _ = strconv.Atoi(words[1])
	h, _ = strconv.Atoi(words[2])
	if w <= 0 || h <= 0 || at+3*w*h > len(b) {
		return 0, 0, nil, nil
	}
	return w, h, b[at : at+3*w*h], b[at+3*w*h:]
}

func sum(all []judgement) error {
	var opened, rebuilt, outputs, sound, harmless, keys, readable, same, documents, pages, over, grown int
	total := 0.0
	var in, out int64
	for i := range all {
		j := &all[i]
		name := filepath.Base(j.before)
		if j.opens {
			opened++
			if j.after != "" {
				rebuilt++
			} else {
				fmt.Printf("  qpdf opens, not rebuilt: %s\n", name)
			}
		}
		if j.after == "" {
			continue
		}
		outputs++
		if j.sound == "" {
			sound++
		} else {
			fmt.Printf("  qpdf --check %s: %s\n", name, j.sound)
		}
		if j.active == "" {
			harmless++
		} else {
			fmt.Printf("  cdrcheck %s: %s\n", name, j.active)
		}
		if j.keys != "" {
			keys++
			fmt.Printf("  active key in %s: %s\n", name, j.keys)
		}
		if j.readable {
			readable++
			if j.same {
				same++
			} else {
				fmt.Printf("  text differs: %s (%d and %d octets)\n", name, j.lenIn, j.lenOut)
			}
		}
		if j.rendered {
			documents++
			for n, d := range j.pages {
				pages++
				total += d
				if d > 5 {
					over++
				}
				if d > 1 {
					fmt.Printf("  page %d of %s differs by %.1f %%\n", n+1, name, d)
				}
			}
		}
		a, erra := os.Stat(j.before)
		b, errb := os.Stat(j.after)
		if erra == nil && errb == nil {
			in, out = in+a.Size(), out+b.Size()
			if b.Size() > 2*a.Size() && b.Size() > 64<<10 {
				grown++
				fmt.Printf("  grown: %s from %d to %d octets\n", name, a.Size(), b.Size())
			}
		}
	}
	fmt.Printf("pdf: qpdf opens %d, rebuilt of these %d (%.1f %%); of %d outputs qpdf finds sound %d, cdrcheck harmless %d; active keys in %d\n",
		opened, rebuilt, 100*float64(rebuilt)/float64(max(opened, 1)), outputs, sound, harmless, keys)
	fmt.Printf("pdf: text equal in %d of %d (%.1f %%); %d pages of %d documents at 50 dpi differ by %.3f %% in the mean, %d by more than 5 %%\n",
		same, readable, 100*float64(same)/float64(max(readable, 1)), pages, documents, total/float64(max(pages, 1)), over)
	fmt.Printf("pdf: %.1f MB in, %.1f MB out; %d grown to more than twice\n", float64(in)/1e6, float64(out)/1e6, grown)
	if harmless < outputs || keys > 0 {
		return fmt.Errorf("cdrcheck fails on %d outputs, active keys in %d", outputs-harmless, keys)
	}
	return nil
}
