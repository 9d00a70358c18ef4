package main

import (
	_ "embed" // Judge.java
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

//go:embed Judge.java
var judgeSource string

// jars is where `make judges` unpacks Debian's Apache POI, which is stricter than
// LibreOffice.
const jars = ".cache/poi/usr/share/java"

// poi has Apache POI open every file before and after, and compares the words.
func poi(folder string, before, after []string) error {
	if _, err := os.Stat(jars); err != nil {
		fmt.Printf("%s: not judged by Apache POI: %v; `make judges` brings it\n", folder, err)
		return nil
	}
	a, err := poiRead(before)
	if err != nil {
		return err
	}
	b, err := poiRead(after)
	if err != nil {
		return err
	}
	sayWhatDiffers(folder, "Apache POI", before, a, b)
	return nil
}

// poiRead returns what POI says of each file.
func poiRead(files []string) ([]string, error) {
	at, err := filepath.Abs(jars)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "sekisho-poi-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	source := filepath.Join(dir, "Judge.java")
	if err := os.WriteFile(source, []byte(judgeSource), 0o600); err != nil {
		return nil, err
	}
	cmd := exec.Command("java", append([]string{"-cp", filepath.Join(at, "*"), source}, files...)...)
	raw, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("run Apache POI: %w", err)
	}
	return answers(string(raw), len(files)), nil
}
