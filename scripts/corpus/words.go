package main

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"unicode"
)

// words has LibreOffice read every file before and after, and compares the
// words it found.
func words(folder string, before, after []string) error {
	opened, lost, differ, kept := 0, 0, 0, 0
	var alike map[int]bool
	for i := range after {
		format := formatOf(after[i])
		if i%together == 0 {
			alike = readTogether(before, after, i)
		}
		if alike[i] {
			opened++
			continue
		}
		a, aok := read(before[i], format)
		b, bok := read(after[i], format)
		if !aok {
			continue
		}
		opened++
		if !bok {
			// On a busy machine its time may have been over.
			b, bok = read(after[i], format)
		}
		if !bok {
			lost++
			fmt.Printf("  LibreOffice opens %s no more\n", filepath.Base(before[i]))
			continue
		}
		if slices.Equal(a, b) {
			continue
		}
		// Random numbers and times are others at every reading.
		if again, ok := read(before[i], format); ok && equalButFor(a, again, b) {
			fmt.Printf("  words equal but for those that are others at every reading: %s\n", filepath.Base(before[i]))
			continue
		}
		if slidesEqual(before[i], after[i]) {
			fmt.Printf("  words equal as LibreOffice reads them, not as it draws them: %s\n", filepath.Base(before[i]))
			continue
		}
		if valuesEqual(before[i], after[i]) {
			kept++
			fmt.Printf("  values of all cells equal as the workbook keeps them, not as LibreOffice computes them: %s: %s\n", filepath.Base(before[i]), firstDifference(a, b))
			continue
		}
		if keptEqual(before[i], after[i]) {
			kept++
			fmt.Printf("  words equal as the fields keep them, not as LibreOffice computes them: %s: %s\n", filepath.Base(before[i]), firstDifference(a, b))
			continue
		}
		differ++
		fmt.Printf("  words differ: %s: %s\n", filepath.Base(before[i]), firstDifference(a, b))
	}
	fmt.Printf("%s: LibreOffice opened %d before, %d no more after; words equal in %d (%.1f %%) as LibreOffice computes them, in %d (%.1f %%) as it or the file keeps them\n",
		folder, opened, lost, opened-lost-differ-kept, 100*float64(opened-lost-differ-kept)/float64(max(opened, 1)),
		opened-lost-differ, 100*float64(opened-lost-differ)/float64(max(opened, 1)))
	return nil
}

// formatOf is what LibreOffice makes of a document for its words to be read.
func formatOf(file string) string {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".docx", ".dotx", ".doc", ".rtf", ".odt", ".ott", ".fodt":
		return "txt:Text (encoded):UTF8"
	case ".xlsx", ".xltx", ".xls", ".ods", ".ots", ".fods":
		return "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"
	default:
		return "pdf"
	}
}

// together is how many documents are given to one call of LibreOffice. Most of a
// call is its start.
const together = 16

// readTogether reads documents from number from on, before and after, in few calls,
// and tells which have equal words. Where it does not say so each is read by itself.
func readTogether(before, after []string, from int) map[int]bool {
	alike := map[int]bool{}
	dir, err := os.MkdirTemp("", "sekisho-lo-")
	if err != nil {
		return alike
	}
	defer os.RemoveAll(dir)
	calls := map[string][]string{}
	for i := from; i < min(from+together, len(after)); i++ {
		for side, file := range []string{before[i], after[i]} {
			in := filepath.Join(dir, fmt.Sprint(i, "x", side)+filepath.Ext(file))
			b, err := os.ReadFile(file)
			if err != nil || os.WriteFile(in, b, 0o600) != nil {
				return alike
			}
			format := formatOf(after[i])
			calls[format] = append(calls[format], in)
		}
	}
	for format, files := range calls {
		_ = exec.Command("timeout", append([]string{"300", "soffice", "--headless", profile(), "--convert-to", format, "--outdir", filepath.Join(dir, "out")}, files...)...).Run()
	}
	for i := from; i < min(from+together, len(after)); i++ {
		var said [2][]string
		ok := true
		for side := range said {
			name := filepath.Join(dir, "out", fmt.Sprint(i, "x", side))
			whole, _ := filepath.Glob(name + ".*")
			sheets, _ := filepath.Glob(name + "-*")
			var read bool
			said[side], read = wordsOf(append(whole, sheets...))
			ok = ok && read
		}
		alike[i] = ok && slices.Equal(said[0], said[1])
	}
	return alike
}

// equalButFor reports whether b has the words of a where two readings of the
// same file agree.
func equalButFor(a, again, b []string) bool {
	if len(a) != len(again) || len(a) != len(b) || slices.Equal(a, again) {
		return false
	}
	for i := range a {
		if a[i] != b[i] && a[i] == again[i] {
			return false
		}
	}
	return true
}

// slidesEqual reports whether two presentations have the same words. Those are
// compared by their pages otherwise, where LibreOffice draws the words of a shadow
// twice, in one format and not in the other.
func slidesEqual(before, after string) bool {
	switch strings.ToLower(filepath.Ext(after)) {
	case ".ppt", ".pps", ".pot", ".pptx", ".ppsx", ".potx", ".odp", ".otp":
	default:
		return false
	}
	a, ok := read(before, "fodp")
	b, bok := read(after, "fodp")
	if !ok || !bok {
		return false
	}
	again, ok := read(before, "fodp")
	return slices.Equal(a, b) || ok && equalButFor(a, again, b)
}

// keptEqual reports whether two files of rich text have the same words where the
// fields show what is kept for them. That is what Word shows; LibreOffice computes
// some of them anew, and does not know how to spell what it computed. It also shows
// a digit for an octet that is no character.
func keptEqual(before, after string) bool {
	if !strings.EqualFold(filepath.Ext(before), ".rtf") || !strings.EqualFold(filepath.Ext(after), ".rtf") {
		return false
	}
	dir, err := os.MkdirTemp("", "sekisho-kept-")
	if err != nil {
		return false
	}
	defer os.RemoveAll(dir)
	var said [2][]string
	for i, file := range []string{before, after} {
		b, err := os.ReadFile(file)
		if err != nil || bytes.Contains(b, []byte(`\bin`)) {
			return false
		}
		// A destination nobody knows is passed over, and the result stays.
		b = bytes.ReplaceAll(b, []byte(`\*\fldinst`), []byte(`\*\fldkept`))
		b = bytes.ReplaceAll(b, []byte(`{\fldinst`), []byte(`{\*\fldkept`))
		b = slices.DeleteFunc(b, func(c byte) bool { return c < ' ' && c != '\t' && c != '\r' && c != '\n' })
		in := filepath.Join(dir, fmt.Sprint(i, ".rtf"))
		var ok bool
		if os.WriteFile(in, b, 0o600) != nil {
			return false
		}
		if said[i], ok = read(in, "txt:Text (encoded):UTF8"); !ok {
			return false
		}
	}
	return slices.Equal(said[0], said[1])
}

// ofSlides takes the words of the slides out of a presentation in one XML file.
func ofSlides(b []byte) []byte {
	const text, drawing = "urn:oasis:names:tc:opendocument:xmlns:text:1.0", "urn:oasis:names:tc:opendocument:xmlns:drawing:1.0"
	var out []byte
	page, paragraph := 0, 0
	for d := xml.NewDecoder(bytes.NewReader(b)); ; {
		t, err := d.Token()
		if err != nil {
			return out
		}
		step := func(n xml.Name, by int) {
			switch n {
			case xml.Name{Space: drawing, Local: "page"}:
				page += by
			case xml.Name{Space: text, Local: "p"}:
				paragraph += by
				out = append(out, '\n')
			}
		}
		switch t := t.(type) {
		case xml.StartElement:
			step(t.Name, 1)
		case xml.EndElement:
			step(t.Name, -1)
		case xml.CharData:
			if page > 0 && paragraph > 0 {
				out = append(out, t...)
			}
		}
	}
}

// firstDifference shows where two texts part and how much of each is not in the
// other.
func firstDifference(a, b []string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	end := 0
	for end < len(a)-n && end < len(b)-n && a[len(a)-1-end] == b[len(b)-1-end] {
		end++
	}
	cut := func(w []string) string {
		s := strings.Join(w[n:len(w)-end], " ")
		const shown = 100
		if r := []rune(s); len(r) > shown {
			s = string(r[:shown]) + "..."
		}
		return s
	}
	return fmt.Sprintf("word %d of %d: %q became %q", n+1, len(a), cut(a), cut(b))
}

func read(file, format string) ([]string, bool) {
	dir, err := os.MkdirTemp("", "sekisho-lo-")
	if err != nil {
		return nil, false
	}
	defer os.RemoveAll(dir)
	// A copy under a plain name: some of the collection's names are no names
	// for a converter's command line.
	in := filepath.Join(dir, "in"+filepath.Ext(file))
	b, err := os.ReadFile(file)
	if err != nil || os.WriteFile(in, b, 0o600) != nil {
		return nil, false
	}
	out := filepath.Join(dir, "out")
	cmd := exec.Command("timeout", "60", "soffice", "--headless", profile(), "--convert-to", format, "--outdir", out, in)
	_ = cmd.Run() // its exit status proves nothing; the output does
	files, _ := filepath.Glob(filepath.Join(out, "*"))
	return wordsOf(files)
}

// wordsOf returns the words of what LibreOffice made of one document.
func wordsOf(files []string) ([]string, bool) {
	sort.Strings(files)
	var text strings.Builder
	for _, f := range files {
		b, err := os.ReadFile(f)
		switch {
		case strings.HasSuffix(f, ".fodp"):
			b = ofSlides(b)
		case strings.HasSuffix(f, ".pdf"):
			b, err = exec.Command("pdftotext", "-layout", f, "-").Output()
		}
		if err != nil {
			return nil, false
		}
		text.Write(b)
		text.WriteByte('\n')
	}
	return strings.Fields(strings.Map(shown, text.String())), len(files) > 0
}

// shown drops what nobody sees and LibreOffice writes out all the same: control
// characters, of which no treated file has any, and the mark at the beginning of
// a text that has any words.
func shown(r rune) rune {
	if unicode.IsControl(r) && !unicode.IsSpace(r) || r == '\ufeff' {
		return -1
	}
	return r
}
