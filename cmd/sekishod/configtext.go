package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// maxConfigBytes bounds the file: one of 5,000 tenants has some 2 MiB, and what
// is larger is another file named by mistake.
const maxConfigBytes = 16 << 20

// maxConfigValues bounds what the file says with all its anchors written out: a
// list of lists that repeat each other would otherwise keep the start for hours.
const maxConfigValues = 1_000_000

// readConfig reads the text of a configuration. What no YAML reader would take
// is said here, with the line and in words that say what to do.
func readConfig(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, &configError{file: name, line: 1, text: "the file cannot be read: " + err.Error()}
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxConfigBytes+1))
	if err != nil {
		return nil, &configError{file: name, line: 1, text: "the file cannot be read: " + err.Error()}
	}
	if len(raw) > maxConfigBytes {
		return nil, &configError{file: name, line: 1, text: "the file has more than 16MiB: is it the right one?"}
	}
	if bytes.HasPrefix(raw, []byte("\xff\xfe")) || bytes.HasPrefix(raw, []byte("\xfe\xff")) {
		return nil, &configError{file: name, line: 1, text: "not in UTF-8 but in UTF-16: save the file as UTF-8"}
	}
	line := 1
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		switch {
		case r == '\n':
			line++
		case r == utf8.RuneError && n == 1:
			return nil, &configError{file: name, line: line, text: "not in UTF-8: save the file as UTF-8; some editors of Windows write Shift_JIS"}
		case r < ' ' && r != '\t' && r != '\n' && r != '\r', r == 0x7f:
			return nil, &configError{file: name, line: line, text: "a control character: take it out"}
		}
		i += n
	}
	return raw, nil
}

// unreadable says what is wrong with a text that is no YAML. The library names
// the line at times, and the cause in the words of its grammar.
func unreadable(name string, raw []byte, err error) error {
	e := &configError{file: name, line: 1, key: "yaml", text: strings.TrimPrefix(err.Error(), "yaml: ")}
	if m := yamlLine.FindStringSubmatch(e.text); m != nil {
		e.line, _ = strconv.Atoi(m[1])
		e.text = m[2]
	}
	lines := strings.Split(string(raw), "\n")
	if m := yamlAnchor.FindStringSubmatch(e.text); m != nil {
		for i, l := range lines {
			if strings.Contains(l, "*"+m[1]) {
				e.line = i + 1
				break
			}
		}
	}
	// A tab among the blanks that a line begins with, here or before: YAML
	// forbids it, and no editor shows it.
	for i := min(e.line+1, len(lines)) - 1; i >= 0 && i >= e.line-2; i-- {
		if blank := lines[i][:len(lines[i])-len(strings.TrimLeft(lines[i], " \t"))]; strings.Contains(blank, "\t") {
			e.line, e.text = i+1, "a tab at the start of the line: indent with spaces"
			break
		}
	}
	return e
}

var (
	yamlLine   = regexp.MustCompile(`^line (\d+): (.*)$`)
	yamlAnchor = regexp.MustCompile(`^unknown anchor '(.+)' referenced$`)
)

// parseYAML reads the one document of the file.
func parseYAML(name string, raw []byte) (*yaml.Node, error) {
	d := yaml.NewDecoder(bytes.NewReader(raw))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err == io.EOF {
		return nil, &configError{file: name, line: 1, key: "hostname", text: "the file is empty; a first one is in deploy/sekisho.yaml"}
	} else if err != nil {
		return nil, unreadable(name, raw, err)
	}
	switch err := d.Decode(&more); err {
	case io.EOF:
	case nil:
		// Half of the file would count, and nobody would see which.
		return nil, &configError{file: name, line: max(more.Line, 1), key: "yaml", text: "a second document begins behind ---: only one is read; take the line out"}
	default:
		return nil, unreadable(name, raw, err)
	}
	if len(doc.Content) == 0 {
		return nil, &configError{file: name, line: 1, key: "hostname", text: "the file is empty; a first one is in deploy/sekisho.yaml"}
	}
	return doc.Content[0], nil
}
