package main

import (
	_ "embed" // readers.py
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

//go:embed readers.py
var readersSource string

// packages is where `make judges` unpacks Debian's openpyxl, python-docx and odfpy.
const packages = ".cache/readers/usr/lib/python3/dist-packages"

// readers has openpyxl, python-docx and odfpy open every file before and after, and
// compares what they read.
func readers(folder string, before, after []string) error {
	if folder != "xlsx" && folder != "docx" && folder != "odf" {
		return nil // they read nothing else
	}
	if _, err := os.Stat(packages); err != nil {
		fmt.Printf("%s: not judged by openpyxl, python-docx and odfpy: %v; `make judges` brings them\n", folder, err)
		return nil
	}
	a, err := readersRead(before)
	if err != nil {
		return err
	}
	b, err := readersRead(after)
	if err != nil {
		return err
	}
	sayWhatDiffers(folder, "the reader of Python", before, a, b)
	return nil
}

// readersRead returns what they say of each file.
func readersRead(files []string) ([]string, error) {
	at, err := filepath.Abs(packages)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("/usr/bin/python3", append([]string{"-c", readersSource}, files...)...)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+at)
	cmd.Stderr = os.Stderr
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run the readers of Python: %w", err)
	}
	return answers(string(raw), len(files)), nil
}

// answers sorts lines of a number and what was said about the file of it.
func answers(raw string, files int) []string {
	out := make([]string, files)
	for l := range strings.Lines(raw) {
		n, rest, _ := strings.Cut(strings.TrimSpace(l), " ")
		if i, err := strconv.Atoi(n); err == nil && i >= 0 && i < len(out) {
			out[i] = rest
		}
	}
	return out
}

// sayWhatDiffers prints which files a reader opens no more, and in which it reads other
// words.
func sayWhatDiffers(folder, who string, before, a, b []string) {
	opened, lost, differ, first := 0, 0, 0, 0
	for i := range a {
		was, old := strings.CutPrefix(a[i], "ok")
		is, now := strings.CutPrefix(b[i], "ok")
		switch {
		case !old && now:
			first++
		case !old:
		case !now:
			opened++
			lost++
			fmt.Printf("  %s opens %s no more: %s\n", who, filepath.Base(before[i]), b[i])
		default:
			opened++
			if was != is {
				differ++
				fmt.Printf("  %s reads other words: %s: %s\n", who, filepath.Base(before[i]), firstDifference(strings.Fields(was), strings.Fields(is)))
			}
		}
	}
	fmt.Printf("%s: %s opened %d before, %d no more after, %d for the first time; words equal in %d\n", folder, who, opened, lost, first, opened-lost-differ)
}

// valuesEqual reports whether two workbooks keep the same value and number format
// for every cell; of OpenDocument the same value and words. That is what Excel shows;
// LibreOffice cannot show it where it does not know a function or what a name leads
// to, and where the value is an empty text, which it takes for none: it puts an error
// or a number of its own there, and the value only once the formula is gone.
func valuesEqual(before, after string) bool {
	ask := readersRead
	switch strings.ToLower(filepath.Ext(after)) {
	case ".xlsx", ".xltx", ".ods", ".ots":
	case ".xls", ".xlt":
		ask = poiRead
	default:
		return false
	}
	said, err := ask([]string{before, after})
	return err == nil && strings.HasPrefix(said[0], "ok ") && said[0] == said[1]
}
