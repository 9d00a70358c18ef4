package odf

import (
	"fmt"
	"slices"
	"strings"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// What the tracked changes of a text were made from. A list at its beginning says
// of each change what it is, and holds what was deleted; in the text stand marks:
// two around what was inserted, one where something was deleted. To take the
// changes out is to leave out the one and to put back the other. What formats
// were before is not in the file. OpenDocument 1.3 part 3, 5.5.
//
// The part is written in one pass, so that an insertion that reaches from one
// paragraph into another joins them as they come: the end tag of the first waits
// until it is known what stands behind the insertion. What is not foreseen here
// (a change in what was deleted, an insertion that does not end) is left to the
// converter.
type changes struct {
	on      bool
	regions map[string]*region
	region  *region
	kept    int             // octets of what was deleted
	open    map[string]bool // insertions that the text is in
	pending string          // the paragraph whose end tag waits
	parent  int             // the frame that it stands in
}

// region is one change of the list.
type region struct {
	inserted, deleted, used bool
	blocks                  []block
}

// block is an element of what was deleted.
type block struct {
	canon            string
	from, inner, end int // in out, until the deletion is read
	tag, in, whole   string
}

// maxDeleted is how much deleted text of one part waits in memory.
const maxDeleted = 32 << 20

func unforeseen(what string) error {
	return fmt.Errorf("tracked changes, which the profile takes out: %s: %w", what, sanitize.ErrUnsupported)
}

// trackedChange reports whether an element belongs to tracked changes.
func trackedChange(canon string) bool {
	switch canon {
	case "text:tracked-changes", "text:change", "text:change-start", "text:change-end", "table:tracked-changes":
		return true
	default:
		return false
	}
}

// changeList reports whether an element is part of the list of changes, for what
// is taken out.
func changeList(canon string) bool {
	switch canon {
	case "text:changed-region", "text:insertion", "text:deletion", "text:format-change", "office:change-info":
		return true
	default:
		return false
	}
}

// undo judges an element of tracked changes that are taken out.
func (f *filter) undo(fr *frame, e element) error {
	c := &f.changes
	if c.region != nil && c.region.deleted && (trackedChange(e.canon) || e.canon == "text:changed-region") && f.within("text:deletion") {
		return unforeseen("a change in what was deleted")
	}
	id, _ := f.attribute("text:change-id")
	r := c.regions[id]
	switch e.canon {
	case "text:tracked-changes":
		f.found("odf.tracked-change", sanitize.Neutralised, "taken out")
		fr.role = roleList
	case "text:changed-region":
		if id, _ = f.attribute("text:id"); id == "" {
			id = f.xmlID()
		}
		c.region = &region{}
		c.regions[id] = c.region
		fr.role = roleList
	case "text:deletion":
		if c.region == nil {
			return unforeseen("a deletion outside of the list")
		}
		c.region.deleted = true
		fr.role, fr.at = roleDeletion, len(f.out)
		f.holding++
	case "text:insertion":
		if c.region != nil {
			c.region.inserted = true
		}
		return f.skipFrom(fr)
	case "text:change-start":
		if r != nil && r.inserted {
			c.open[id] = true
		}
		return f.skipFrom(fr)
	case "text:change-end":
		if c.open[id] {
			if delete(c.open, id); len(c.open) == 0 {
				f.resume()
			}
		}
		return f.skipFrom(fr)
	case "text:change":
		if r != nil && r.deleted && !r.inserted && !r.used {
			if len(c.open) > 0 {
				return unforeseen("a deletion in what was inserted")
			}
			r.used = true
			f.restore(r)
		}
		return f.skipFrom(fr)
	default:
		return f.skipFrom(fr)
	}
	return f.checkAttrs()
}

// xmlID returns the xml:id of the tag in the scanner.
func (f *filter) xmlID() string {
	for i := range f.s.Attrs {
		if string(f.s.Attrs[i].Name) == "xml:id" {
			return string(f.s.Attrs[i].Value)
		}
	}
	return ""
}

// passes are the elements that an insertion may begin or end in. Others are
// inserted as a whole.
func passes(canon string) bool {
	switch canon {
	case "text:p", "text:h", "text:span", "text:a", "text:list", "text:list-item", "text:list-header", "text:section", "text:numbered-paragraph",
		"text:table-of-content", "text:index-body", "text:index-title",
		"table:table", "table:table-row", "table:table-rows", "table:table-header-rows", "table:table-cell":
		return true
	default:
		return false
	}
}

func paragraph(canon string) bool { return canon == "text:p" || canon == "text:h" }

// leaveOut reads a start tag in what was inserted. It is kept, for the case that
// the insertion ends in the element.
func (f *filter) leaveOut(fr *frame, e element) error {
	if trackedChange(e.canon) {
		return f.judge(fr, e)
	}
	if !passes(e.canon) {
		return f.skipFrom(fr)
	}
	at := len(f.out)
	if err := f.judge(fr, e); err != nil {
		return err
	}
	if fr.role == roleSkipped {
		return nil
	}
	fr.tag, fr.was, fr.role = string(f.out[at:]), fr.role, roleGone
	f.out = f.out[:at]
	return nil
}

// track keeps the start tag that was just written behind at.
func (f *filter) track(fr, parent *frame, at int) {
	if at > len(f.out) {
		return
	}
	tag := f.out[at:]
	if parent.role == roleDeletion && len(tag) > 0 && f.changes.region != nil {
		f.changes.region.blocks = append(f.changes.region.blocks, block{canon: fr.canon, from: at, inner: len(f.out)})
		fr.block = len(f.changes.region.blocks)
	}
	if len(tag) > 0 && fr.role != roleSkipped && fr.role != roleDeletion {
		fr.tag = string(tag)
	}
}

// closing is called at the end of an element that was written before an insertion
// began in it. It reports whether the end tag waits.
func (f *filter) closing(fr *frame) bool {
	c := &f.changes
	if c.pending != "" {
		f.puts("</" + c.pending + ">")
		c.pending = ""
	}
	if !paragraph(fr.canon) {
		return false
	}
	c.pending, c.parent = fr.canon, len(f.frames)-2
	return true
}

// resume writes on behind an insertion.
func (f *filter) resume() {
	c := &f.changes
	first := true
	for i := range f.frames {
		fr := &f.frames[i]
		if fr.role != roleGone {
			continue
		}
		fr.role = fr.was
		if first && c.pending != "" && paragraph(fr.canon) && i-1 == c.parent {
			// The mark of the paragraph was inserted too: both are one.
			fr.canon, c.pending = c.pending, ""
			first = false
			continue
		}
		if c.pending != "" {
			f.puts("</" + c.pending + ">")
			c.pending = ""
		}
		first = false
		f.puts(fr.tag)
	}
	if c.pending != "" {
		f.puts("</" + c.pending + ">")
		c.pending = ""
	}
}

// closeDeletion takes what was deleted out of what is written.
func (f *filter) closeDeletion(fr *frame) error {
	c := &f.changes
	f.holding--
	if c.kept += len(f.out) - fr.at; c.kept > maxDeleted {
		return unforeseen("too much text was deleted")
	}
	for i := range c.region.blocks {
		b := &c.region.blocks[i]
		if b.whole != "" {
			continue
		}
		b.end = max(b.end, b.inner)
		b.whole, b.tag = string(f.out[b.from:b.end]), string(f.out[b.from:b.inner])
		if tag, empty := strings.CutSuffix(b.tag, "/>"); empty {
			b.tag = tag + ">"
		} else {
			b.in = strings.TrimSuffix(string(f.out[b.inner:b.end]), "</"+b.canon+">")
		}
	}
	f.out = f.out[:fr.at]
	return nil
}

// paragraphAround is the frame of the paragraph that the innermost element stands
// in, without a table, a frame or the like between them; -1: there is none.
func (f *filter) paragraphAround() int {
	for i := len(f.frames) - 2; i >= 0; i-- {
		fr := &f.frames[i]
		if paragraph(fr.canon) && fr.role == rolePlain {
			return i
		}
		switch family, _, _ := strings.Cut(fr.canon, ":"); family {
		case "office", "table", "draw", "style":
			return -1
		}
	}
	return -1
}

// restore writes what was deleted here. Its first and its last paragraph are
// pieces of the one around the mark.
func (f *filter) restore(r *region) {
	p := f.paragraphAround()
	blocks := r.blocks
	if p < 0 {
		for _, b := range blocks {
			f.puts(b.whole)
		}
		return
	}
	if len(blocks) > 0 && paragraph(blocks[0].canon) {
		f.puts(blocks[0].in)
		blocks = blocks[1:]
	}
	if len(blocks) == 0 {
		return
	}
	var inline []*frame
	for i := p + 1; i < len(f.frames)-1; i++ {
		if fr := &f.frames[i]; fr.role == rolePlain && fr.tag != "" {
			inline = append(inline, fr)
		}
	}
	around := &f.frames[p]
	for _, fr := range slices.Backward(inline) {
		f.puts("</" + fr.canon + ">")
	}
	f.puts("</" + around.canon + ">")
	last := block{canon: around.canon, tag: identity.ReplaceAllString(around.tag, "")}
	if n := len(blocks) - 1; paragraph(blocks[n].canon) {
		last, blocks = blocks[n], blocks[:n]
	}
	for _, b := range blocks {
		f.puts(b.whole)
	}
	around.canon, around.tag = last.canon, last.tag
	f.puts(last.tag)
	f.puts(last.in)
	for _, fr := range inline {
		f.puts(identity.ReplaceAllString(fr.tag, ""))
	}
}

// identity are the attributes of a tag that may not stand twice in a document.
var identity = lazy.Compile(` (xml:id|text:id)="[^"]*"`)

// settleChanges makes sure at the end of a part that nothing of it is lost.
func (f *filter) settleChanges() error {
	if len(f.changes.open) > 0 {
		return unforeseen("an insertion without an end")
	}
	for _, r := range f.changes.regions {
		if r.used {
			continue
		}
		for _, b := range r.blocks {
			if strings.Contains(b.whole, `xlink:href="Pictures/`) || strings.Contains(b.whole, `xlink:href="./Object`) {
				return unforeseen("a picture that nothing shows any more")
			}
		}
	}
	return nil
}
