package odf

import (
	"fmt"
	"strconv"
	"strings"

	"sekisho/sanitize"
)

// maxUnfolded is how many cells and spaces a document may have that are not
// written but said to repeat: a program unfolds them, and two numbers of nine
// digits are a sheet of 10^18 cells. Ten million cells are what a program still
// opens, and ten columns filled to their end.
const maxUnfolded = 10 << 20

// repeated reads how often something stands there.
func (f *filter) repeated(name string) int64 {
	v, ok := f.attribute(name)
	if !ok {
		return 1
	}
	n, err := strconv.ParseInt(strings.TrimSpace(v), 10, 64)
	if err != nil && n == 0 {
		return 1
	}
	return min(max(n, 1), 1<<30)
}

// unfold charges what is said to repeat.
func (f *filter) unfold(n int64) error {
	if f.d.unfolded += n; f.d.unfolded > maxUnfolded {
		return fmt.Errorf("more than %d repeated cells and spaces: %w", maxUnfolded, sanitize.ErrLimit)
	}
	return nil
}

// cell charges a cell that repeats when something is in it: empty ones reach to
// the end of every sheet and cost nothing.
func (f *filter) cell(fr *frame, e element) error {
	fr.role = roleCell
	f.copies = max(f.rows, 1)*f.repeated("table:number-columns-repeated") - 1
	for _, n := range []string{"office:value-type", "table:formula"} {
		if _, ok := f.attribute(n); ok && f.copies > 0 {
			if err := f.unfold(f.copies); err != nil {
				return err
			}
			f.copies = 0
		}
	}
	f.errors.gone, f.errors.at = false, 0
	err := f.write(fr, e, "", nil)
	f.errorCell()
	return err
}

// inner keeps a document that stands inside a flat one.
func (f *filter) inner(fr *frame, e element) error {
	if parent := f.frames[len(f.frames)-2].canon; parent != "draw:object" {
		return f.skipFrom(fr)
	}
	return f.write(fr, e, "", nil)
}

func (f *filter) tableProperties(fr *frame, e element) error {
	const most = 10000 // sheets with a style of their own; Calc has 10,000 sheets
	if v, _ := f.attribute("table:display"); v == "false" && f.style != "" && len(f.hidden) < most {
		f.hidden[f.style] = true
	}
	return f.write(fr, e, "", nil)
}

// table tells of hidden sheets and leaves out what LibreOffice remembers of
// other files' sheets.
func (f *filter) table(fr *frame, e element) error {
	name, _ := f.attribute("table:name")
	if strings.HasPrefix(name, "'") && strings.Contains(name, "'#") {
		f.found("odf.external-cache", sanitize.Removed, name)
		return f.skipFrom(fr)
	}
	if style, _ := f.attribute("table:style-name"); f.hidden[style] {
		f.found("odf.hidden-sheet", sanitize.Reported, name)
	}
	f.shown()
	f.errors = lostErrors{row: -1}
	return f.write(fr, e, "", nil)
}
