package pdf

import (
	"bytes"
	"errors"
	"fmt"

	"sekisho/sanitize"
)

const (
	// judgeDPI is what shows whether a page can be drawn: limits.md, rendering in
	// verify. A page that is longer than judgeSide points is drawn smaller.
	judgeDPI   = 36
	judgeSide  = 2000
	judgeWidth = 1000 // pixels of the longer side of such a page
	// judgeRuns is how often a document is drawn from, beside the tools that it
	// may need after this step.
	judgeRuns = 4
)

// judged has other programs look at what was written, before it counts: qpdf
// checks the whole file, and the first page and those of which something was
// taken must let themselves be drawn. They are judges only: nothing of what
// they write is used, and what is not allowed to be in the file is looked for by
// code of ours, in a process of its own. What they find unfit goes down the
// ladder. Where there is nobody to ask for programs, as in a test, nobody is
// asked; where the programs are not installed the document does not count.
func (c *cleaner) judged(b []byte) error {
	if err := drawnTooOften(c.ctx, b); err != nil {
		return err
	}
	if c.s.Tools == nil {
		return nil
	}
	if len(b) > sanitize.MaxToolInput {
		return fmt.Errorf("document of %d octets: %w", len(b), sanitize.ErrLimit)
	}
	call := sanitize.ToolCall{Tool: sanitize.PDFLook, DPI: judgeDPI, Size: int64(len(b))}
	if c.longest > judgeSide {
		call.DPI, call.Longest = 0, judgeWidth
	}
	for _, r := range ranges(c.report.pages, judgeRuns) {
		call.First, call.Last = r.first, r.last
		g := &glance{}
		err := c.s.Convert(c.ctx, call, bytes.NewReader(b), g)
		switch {
		case errors.Is(err, sanitize.ErrLimit):
			// The message has asked often enough. It has been looked at by our own
			// code, and will be once more.
			c.report.found("pdf.unjudged", "", sanitize.Reported, "more documents than are looked at by other programs")
			return nil
		case errors.Is(err, sanitize.ErrNoTool):
			return fmt.Errorf("what was written could not be looked at: %w", err)
		case err != nil:
			return fmt.Errorf("what was written is unfit: %w", err)
		}
		if want := r.last - r.first + 1; g.pages != want || g.left > 0 || len(g.head) > 0 {
			return fmt.Errorf("what was written is unfit: %d of %d pages could be drawn: %w", g.pages, want, sanitize.ErrTool)
		}
	}
	return nil
}

type pageRange struct{ first, last int }

// ranges are the pages to be drawn: the first and those given, which are in
// order, in at most most runs. Where there would be more, the pages between
// those that are nearest to each other are drawn too. Pages beyond what is ever
// drawn of a document are not.
func ranges(pages []int, most int) []pageRange {
	all := []pageRange{{1, 1}}
	for _, p := range pages {
		switch last := &all[len(all)-1]; {
		case p > maxSheets:
		case p <= last.last+1:
			last.last = max(last.last, p)
		default:
			all = append(all, pageRange{p, p})
		}
	}
	for len(all) > most {
		best := 1
		for i := range all[1:] {
			if all[i+1].first-all[i].last < all[best].first-all[best-1].last {
				best = i + 1
			}
		}
		all[best-1].last = all[best].last
		all = append(all[:best], all[best+1:]...)
	}
	return all
}

// glance counts grey pictures in PNM, one behind the other, and keeps nothing
// of them.
type glance struct {
	head  []byte
	left  int64
	pages int
}

func (g *glance) Write(b []byte) (int, error) {
	n := len(b)
	for len(b) > 0 {
		if g.left > 0 {
			k := min(int64(len(b)), g.left)
			g.left -= k
			b = b[k:]
			if g.left == 0 {
				g.pages++
			}
			continue
		}
		g.head = append(g.head, b[0])
		b = b[1:]
		const longest = 64
		if len(g.head) > longest {
			return 0, errPNM
		}
		if bytes.Count(g.head, []byte("\n")) < 3 {
			continue
		}
		var w, h int64
		if _, err := fmt.Sscanf(string(g.head), "P5\n%d %d\n255\n", &w, &h); err != nil || w <= 0 || h <= 0 || w > maxPageSide || h > maxPageSide {
			return 0, errPNM
		}
		g.head, g.left = g.head[:0], w*h
	}
	return n, nil
}
