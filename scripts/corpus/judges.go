package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	_ "embed" // validity.mjs
)

//go:embed validity.mjs
var validityScript string

// sdk is where `make judges` puts the Open XML SDK, Microsoft's own check of
// documents against the schemas of the formats, compiled for node.
const sdk = ".cache/openxml/package/dist/npm/index.js"

type validity struct {
	File   string `json:"file"`
	Error  string `json:"error"` // it could not be opened at all
	Faults []struct {
		Description string `json:"description"`
		Path        struct {
			Part string `json:"partUri"`
		} `json:"path"`
	} `json:"faults"`
}

// valid has the Open XML SDK check every file before and after, and prints the
// faults that were not there before: each may be a prompt to repair.
func valid(folder string, before, after []string) error {
	if folder == "odf" {
		return nil // another family
	}
	if _, err := os.Stat(sdk); err != nil {
		fmt.Printf("%s: validity not judged: %v; `make judges` brings it\n", folder, err)
		return nil
	}
	a, err := validate(before)
	if err != nil {
		return err
	}
	b, err := validate(after)
	if err != nil {
		return err
	}
	validBefore, validAfter, worse := 0, 0, 0
	for i := range a {
		if a[i].Error == "" && len(a[i].Faults) == 0 {
			validBefore++
		}
		if b[i].Error == "" && len(b[i].Faults) == 0 {
			validAfter++
		}
		old := map[string]bool{}
		for _, f := range a[i].Faults {
			old[f.Description] = true
		}
		bad := b[i].Error != "" && a[i].Error == ""
		if bad {
			fmt.Printf("  no longer opens: %s: %s\n", filepath.Base(before[i]), b[i].Error)
		}
		for _, f := range b[i].Faults {
			if a[i].Error == "" && !old[f.Description] {
				old[f.Description], bad = true, true
				fmt.Printf("  new fault: %s %s: %s\n", filepath.Base(before[i]), f.Path.Part, f.Description)
			}
		}
		if bad {
			worse++
		}
	}
	fmt.Printf("%s: Open XML SDK (Microsoft 365): of %d valid before %d, after %d; with a new fault %d\n", folder, len(a), validBefore, validAfter, worse)
	return nil
}

func validate(files []string) ([]validity, error) {
	at, err := filepath.Abs(sdk)
	if err != nil {
		return nil, err
	}
	script, err := os.CreateTemp("", "sekisho-validity-*.mjs")
	if err != nil {
		return nil, err
	}
	defer os.Remove(script.Name())
	if _, err := script.WriteString(validityScript); err != nil {
		return nil, err
	}
	if err := script.Close(); err != nil {
		return nil, err
	}
	cmd := exec.Command("node", append([]string{script.Name(), at}, files...)...)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the Open XML SDK: %w", err)
	}
	var out []validity
	for l := range bytes.Lines(bytes.TrimSpace(raw)) {
		var v validity
		if err := json.Unmarshal(l, &v); err != nil {
			return nil, fmt.Errorf("read its answer: %w", err)
		}
		out = append(out, v)
	}
	if len(out) != len(files) {
		return nil, fmt.Errorf("the Open XML SDK answered for %d of %d files", len(out), len(files))
	}
	return out, nil
}

// pages draws every page before and after at 50 dpi and compares them.
func pages(folder string, before, after []string) error {
	docs, other, all, sum := 0, 0, 0, 0.0
	laid, err := layOut(slices.Concat(before, after))
	if err != nil {
		return err
	}
	defer os.RemoveAll(laid)
	at := func(n int) string { return filepath.Join(laid, fmt.Sprintf("%d.pdf", n)) }
	for i := range after {
		a, err := draw(before[i], at(i))
		if err != nil {
			continue // it did not open before either
		}
		b, err := draw(after[i], at(len(before)+i))
		if err != nil {
			fmt.Printf("  no page any more: %s: %v\n", filepath.Base(before[i]), err)
			other++
			continue
		}
		docs++
		if len(a) != len(b) {
			fmt.Printf("  pages: %s: %d before, %d after\n", filepath.Base(before[i]), len(a), len(b))
			other++
		}
		for n := range min(len(a), len(b)) {
			d := difference(a[n], b[n])
			all++
			sum += d
			if d > 0.05 {
				fmt.Printf("  page %d of %s differs by %.1f %%\n", n+1, filepath.Base(before[i]), 100*d)
			}
		}
	}
	fmt.Printf("%s: %d documents drawn, %d pages compared at 50 dpi: mean difference %.3f %%; other number of pages %d\n", folder, docs, all, 100*sum/float64(max(all, 1)), other)
	return nil
}

// layOut has LibreOffice lay out as many of the documents as it can in few calls, and
// returns the folder with a PDF for each, by its number. Most of a call is its start.
func layOut(files []string) (string, error) {
	dir, err := os.MkdirTemp("", "sekisho-pages-")
	if err != nil {
		return "", err
	}
	for from := 0; from < len(files); from += together {
		args := []string{"300", "soffice", "--headless", profile(), "--convert-to", "pdf", "--outdir", dir}
		for n := from; n < min(from+together, len(files)); n++ {
			if strings.EqualFold(filepath.Ext(files[n]), ".pdf") {
				continue
			}
			// A name of ours: two may have the same but for their ending.
			in := filepath.Join(dir, fmt.Sprint(n)+filepath.Ext(files[n]))
			b, err := os.ReadFile(files[n])
			if err == nil {
				err = os.WriteFile(in, b, 0o600)
			}
			if err != nil {
				return "", errors.Join(err, os.RemoveAll(dir))
			}
			args = append(args, in)
		}
		// One that LibreOffice does not survive is left, with those behind it, for a
		// call of its own.
		_ = exec.Command("timeout", args...).Run()
	}
	return dir, nil
}

// draw returns the pages of a document as LibreOffice lays them out, which it may
// have done already; a PDF needs no converting.
func draw(file, laid string) ([]*image.Gray, error) {
	dir, err := os.MkdirTemp("", "sekisho-pages-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	pdf := file
	if _, err := os.Stat(laid); err == nil {
		pdf = laid
	} else if !strings.EqualFold(filepath.Ext(file), ".pdf") {
		in := filepath.Join(dir, "in"+filepath.Ext(file))
		b, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(in, b, 0o600); err != nil {
			return nil, err
		}
		// Its exit status proves nothing; the output does.
		_ = exec.Command("timeout", "60", "soffice", "--headless", profile(), "--convert-to", "pdf", "--outdir", dir, in).Run()
		pdf = filepath.Join(dir, "in.pdf")
	}
	if err := exec.Command("timeout", "60", "pdftoppm", "-r", "50", "-gray", "-l", "40", pdf, filepath.Join(dir, "p")).Run(); err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(dir, "p*.pgm"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var out []*image.Gray
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var w, h, most int
		if _, err := fmt.Sscanf(string(b[:min(len(b), 40)]), "P5\n%d %d\n%d", &w, &h, &most); err != nil || len(b) < w*h {
			return nil, fmt.Errorf("read page: %w", err)
		}
		out = append(out, &image.Gray{Pix: b[len(b)-w*h:], Stride: w, Rect: image.Rect(0, 0, w, h)})
	}
	if len(out) == 0 {
		return nil, errors.New("no page")
	}
	return out, nil
}

// difference is the mean over all pixels, 0 to 1; a page of another size
// differs wholly.
func difference(a, b *image.Gray) float64 {
	if a.Rect != b.Rect {
		return 1
	}
	sum := 0
	for i, p := range a.Pix {
		d := int(p) - int(b.Pix[i])
		sum += max(d, -d)
	}
	return float64(sum) / float64(255*max(len(a.Pix), 1))
}
