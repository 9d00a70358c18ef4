package worker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"sekisho/sanitize"
)

// Installed says of a program whether it runs in its sandbox here, and what it
// says it is.
type Installed struct {
	Name    string
	Version string // its line with a number, fit for a terminal
	Err     error
}

// Look starts each program once, with the question for its version.
func (t *Tools) Look(ctx context.Context) []Installed {
	var all []Installed
	for _, p := range []struct {
		name string
		args []string
		tool tool
	}{
		{"libreoffice", []string{"-env:UserInstallation=file:///job/profile", "--headless", "--version"}, office(sanitize.ToolCall{Source: sanitize.FromDOCX}, "docx", "")},
		{"qpdf", []string{"--version"}, qpdf()},
		{"pdftoppm", []string{"-v"}, tool{name: "pdftoppm", path: "/usr/bin/pdftoppm"}},
		{"pdftocairo", []string{"-v"}, tool{name: "pdftocairo", path: "/usr/bin/pdftocairo"}},
		{"pdftotext", []string{"-v"}, tool{name: "pdftotext", path: "/usr/bin/pdftotext"}},
		{"heif-convert", []string{"-h"}, tool{name: "heif-convert", path: "/usr/bin/heif-convert", wide: true}},
		{"djxl", []string{"--version"}, tool{name: "djxl", path: "/usr/bin/djxl", wide: true}},
		{"opj_decompress", []string{"-h"}, tool{name: "opj_decompress", path: "/usr/bin/opj_decompress"}},
		{"ghostscript", []string{"--version"}, tool{name: "gs", path: "/usr/bin/gs"}},
	} {
		p.tool.args, p.tool.in, p.tool.out, p.tool.exits = p.args, "in.txt", "", []int{0, 1, 99} // some say it and say that they failed
		p.tool.output, p.tool.cpu = 64<<10, 20*time.Second
		i := Installed{Name: p.name}
		i.Version, i.Err = t.ask(ctx, p.tool)
		all = append(all, i)
		if p.name == "libreoffice" && i.Err == nil {
			all = append(all, mathOf(officeDir))
		}
	}
	return all
}

// ErrNoMath says that LibreOffice is there without the part that draws formulas.
// It tells nobody: the page has a gap where the formula was.
var ErrNoMath = errors.New("formulas are left out of what is converted or drawn: install libreoffice-math-nogui")

// mathOf looks for that part in LibreOffice's folder.
func mathOf(dir string) Installed {
	i := Installed{Name: "libreoffice-math", Version: "formulas are drawn"}
	if _, err := os.Stat(filepath.Join(dir, "libsmlo.so")); err != nil {
		i.Version, i.Err = "", ErrNoMath
	}
	return i
}

// numbered is a line that names a version.
var numbered = regexp.MustCompile(`\d\.\d`)

// ask is the line with the version in what a program says, or else its first.
func (t *Tools) ask(ctx context.Context, p tool) (string, error) {
	text, err := t.answerOf(ctx, p)
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(text), "\n")
	said := lines[max(0, slices.IndexFunc(lines, numbered.MatchString))]
	if said == "" {
		// Statuses that some end with while they say it prove nothing alone.
		return "", fmt.Errorf("%s said nothing", p.name)
	}
	return strings.TrimSuffix(strings.TrimPrefix(printable(said), " ("), ")"), nil
}

// answerOf is what a program says without an input.
func (t *Tools) answerOf(ctx context.Context, p tool) (string, error) {
	limit := t.Time
	if limit == 0 {
		limit = toolTime
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	in, err := memoryFile("nothing")
	if err != nil {
		return "", err
	}
	defer in.Close()
	var said strings.Builder
	_, complaint, err := t.start(ctx, p, p.cpu, in, &pieces{w: &said, most: p.output, bare: true})
	if err != nil {
		return "", err
	}
	// The poppler tools say it where they complain.
	if said.Len() > 0 {
		return said.String(), nil
	}
	return complaint, nil
}

// IndexAge is how old the list of packages is by which the distribution says
// what is out of date. It fails with fs.ErrNotExist where there is none, as in
// an image from which it was removed.
func IndexAge(now time.Time) (time.Duration, error) {
	return indexAge("/var/lib/apt/lists", now)
}

func indexAge(dir string, now time.Time) (time.Duration, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_Packages*"))
	if err != nil {
		return 0, err
	}
	releases, err := filepath.Glob(filepath.Join(dir, "*Release"))
	if err != nil {
		return 0, err
	}
	var newest time.Time
	for _, name := range append(names, releases...) {
		st, err := os.Stat(name)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return 0, err
		case st.ModTime().After(newest):
			newest = st.ModTime()
		}
	}
	if newest.IsZero() {
		return 0, fs.ErrNotExist
	}
	return now.Sub(newest), nil
}
