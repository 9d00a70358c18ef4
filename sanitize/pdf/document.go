package pdf

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf16"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

const (
	// maxPages bounds the pages of a document that is rebuilt, which costs less
	// than a millisecond a page; pages that are drawn have a limit of their own.
	maxPages = 20000
	// maxTree bounds how deep trees of pages, names and outlines go.
	maxTree = 64
	// fanOut is how many children a node of a tree we write has.
	fanOut = 32
	// maxFiles bounds the files that a document puts beside itself: a mail with
	// more attachments than that is no mail.
	maxFiles = 100
	// maxSide is the longest side of a page (ISO 32000-1, annex C, table C.1).
	maxSide = 14400
)

// document writes the whole file.
func (c *cleaner) document() error {
	root, _ := c.f.Resolve(c.f.Trailer["Root"]).(pdf.Dict)
	if r, ok := c.f.Trailer["Root"].(pdf.Ref); ok {
		c.seen[r.Num] = true
	}
	sheets := c.sheets(root["Pages"])
	if c.err != nil {
		return c.err
	}
	if len(sheets) == 0 {
		return fmt.Errorf("a document without pages: %w", sanitize.ErrContainer)
	}
	for _, s := range sheets {
		r := c.w.number()
		c.order = append(c.order, r)
		if s.num != 0 {
			if _, twice := c.pages[s.num]; !twice {
				c.pages[s.num] = r
			}
		}
	}
	c.places(root)
	parents, top := c.parents()
	catalog := pdf.Dict{"Type": pdf.Name("Catalog"), "Pages": top}
	var structure pdf.Ref
	if r, ok := root["StructTreeRoot"].(pdf.Ref); ok {
		if _, ok := c.f.Get(r).(pdf.Dict); ok {
			structure = c.w.number()
			c.memo[memoKey{r.Num, nil}] = structure
		}
	}
	if d, ok := c.f.Resolve(root["OCProperties"]).(pdf.Dict); ok {
		catalog["OCProperties"] = c.optionalContent(d)
	}
	for i, s := range sheets {
		if err := c.ctx.Err(); err != nil {
			return err
		}
		c.report.page = i + 1
		if err := c.page(c.order[i], parents[i], s); err != nil {
			return err
		}
		if c.run(); c.err != nil {
			return c.err
		}
	}
	c.report.page = 0
	c.catalog(catalog, root)
	if structure.Num != 0 {
		catalog["StructTreeRoot"] = structure
		c.structure(structure, c.f.Resolve(root["StructTreeRoot"]).(pdf.Dict))
	}
	if c.run(); c.err != nil {
		return c.err
	}
	r := c.w.number()
	c.w.object(r, catalog)
	info := c.info()
	c.unused()
	c.twice()
	c.fail(c.f.Err())
	if c.err != nil {
		return c.err
	}
	return c.w.finish(r, info)
}

// page writes one page.
func (c *cleaner) page(out, parent pdf.Ref, s sheet) error {
	if !c.step(4 * len(s.dict)) { // copied, put in order, looked up, reported
		return c.err
	}
	in := make(pdf.Dict, len(s.dict)+len(inheritable))
	for k, v := range s.dict {
		in[k] = v
	}
	for _, k := range inheritable {
		if v := s.parent[k]; v != nil && c.f.Resolve(in[k]) == nil {
			in[k] = v
		}
	}
	for _, k := range []pdf.Name{"MediaBox", "CropBox"} {
		if a, ok := c.f.Resolve(in[k]).(pdf.Array); ok && len(a) >= 4 {
			var v [4]float64
			for i := range v {
				v[i], _ = c.number(a[i])
			}
			// Longer than any reader shows, annex C: cut to what it may be, from
			// the corner that is nearest to where pages begin.
			if w, h := v[2]-v[0], v[3]-v[1]; !(max(w, -w, h, -h) <= maxSide) {
				x, y := min(v[0], v[2]), min(v[1], v[3])
				for i, from := range []float64{x, y} {
					if from < -maxSide || from > maxSide || from != from {
						from = 0
					}
					to := max(v[i], v[i+2])
					if !(to > from && to-from <= maxSide) {
						to = from + maxSide
					}
					v[i], v[i+2] = from, to
				}
				in[k] = pdf.Array{pdf.Real(v[0]), pdf.Real(v[1]), pdf.Real(v[2]), pdf.Real(v[3])}
				c.report.found("pdf.page-size", "", sanitize.Rewritten, fmt.Sprintf("more than %d points", maxSide))
			}
			c.longest = max(c.longest, math.Abs(v[2]-v[0]), math.Abs(v[3]-v[1]))
		}
	}
	rotate := in["Rotate"]
	for _, k := range []pdf.Name{"Contents", "Annots", "Parent", "Type", "Rotate"} {
		delete(in, k)
	}
	d := c.dict(in, c.g.page)
	d["Type"], d["Parent"] = pdf.Name("Page"), parent
	if d["MediaBox"] == nil {
		d["MediaBox"] = pdf.Array{int64(0), int64(0), int64(612), int64(792)} // QUIRK: what readers take without one
	}
	if d["Resources"] == nil {
		d["Resources"] = pdf.Dict{}
	}
	if n, ok := c.integer(rotate); ok && n%90 == 0 {
		if n = (n%360 + 360) % 360; n != 0 {
			d["Rotate"] = n
		}
	}
	if v := c.pageContents(s.dict["Contents"]); v != nil {
		d["Contents"] = v
	}
	if a, ok := c.f.Resolve(s.dict["Annots"]).(pdf.Array); ok {
		c.saw(s.dict["Annots"])
		list := pdf.Array{}
		for _, v := range a {
			if !c.step(1) {
				return c.err
			}
			t, ok := c.f.Resolve(v).(pdf.Dict)
			if !ok || c.name(t["Subtype"]) == "" {
				continue
			}
			if v := c.value(v, c.g.annot); v != nil {
				list = append(list, v)
			}
		}
		if len(list) > 0 {
			d["Annots"] = list
		}
	}
	c.w.object(out, d)
	return c.err
}

func (c *cleaner) saw(o pdf.Object) {
	if r, ok := o.(pdf.Ref); ok {
		c.seen[r.Num] = true
	}
}

// signature reports whether a field is one to sign, by itself or its parents.
func (c *cleaner) signature(d pdf.Dict) bool {
	for range maxTree {
		if ft := c.name(d["FT"]); ft != "" {
			if ft == "Sig" && c.f.Resolve(d["V"]) != nil && !c.signed {
				c.signed = true
				c.report.found("pdf.signature", "", sanitize.Removed, "")
			}
			return ft == "Sig"
		}
		p, ok := c.f.Resolve(d["Parent"]).(pdf.Dict)
		if !ok {
			return false
		}
		d = p
	}
	return false
}

// catalog fills the catalogue (7.7.2).
func (c *cleaner) catalog(out, root pdf.Dict) {
	if v := c.f.Resolve(root["OpenAction"]); v != nil {
		c.saw(root["OpenAction"])
		var p pdf.Object
		switch t := v.(type) {
		case pdf.Array:
			p = c.place(t)
		case pdf.Dict:
			if d, ok := c.goTo(t).(pdf.Dict); ok && d["S"] == pdf.Name("GoTo") {
				if a, ok := d["D"].(pdf.Array); ok {
					p = a
				}
			} else if ok {
				c.report.found("pdf.link", "OpenAction", sanitize.Removed, "opened with the document")
			}
		}
		if p != nil {
			out["OpenAction"] = p
		}
	}
	for _, k := range keys(root) {
		switch k {
		case "OpenAction", "Names", "AcroForm":
		default:
			c.left(k, root)
		}
	}
	if n := c.name(root["PageLayout"]); slices.Contains([]pdf.Name{"SinglePage", "OneColumn", "TwoColumnLeft", "TwoColumnRight", "TwoPageLeft", "TwoPageRight"}, n) {
		out["PageLayout"] = n
	}
	if n := c.name(root["PageMode"]); slices.Contains([]pdf.Name{"UseNone", "UseOutlines", "UseThumbs", "UseOC"}, n) {
		out["PageMode"] = n
	}
	if s, ok := c.f.Resolve(root["Lang"]).(pdf.String); ok && len(s) < 100 {
		out["Lang"] = s
	}
	if d, ok := c.f.Resolve(root["MarkInfo"]).(pdf.Dict); ok {
		if b, ok := c.f.Resolve(d["Marked"]).(bool); ok {
			out["MarkInfo"] = pdf.Dict{"Marked": b}
		}
	}
	if d, ok := c.f.Resolve(root["ViewerPreferences"]).(pdf.Dict); ok {
		p := pdf.Dict{}
		for k, names := range map[pdf.Name][]pdf.Name{
			"Direction": {"L2R", "R2L"}, "PrintScaling": {"None", "AppDefault"}, "Duplex": {"Simplex", "DuplexFlipShortEdge", "DuplexFlipLongEdge"},
		} {
			if n := c.name(d[k]); slices.Contains(names, n) {
				p[k] = n
			}
		}
		if len(p) > 0 {
			out["ViewerPreferences"] = p
		}
	}
	var labels []entry
	c.tree(root["PageLabels"], "Nums", func(k, v pdf.Object) {
		n, ok := k.(int64)
		d, isDict := c.f.Resolve(v).(pdf.Dict)
		c.saw(v)
		if !ok || !isDict || n < 0 || n >= int64(len(c.order)) {
			return
		}
		l := pdf.Dict{}
		if s := c.name(d["S"]); slices.Contains([]pdf.Name{"D", "R", "r", "A", "a"}, s) {
			l["S"] = s
		}
		if p, ok := c.f.Resolve(d["P"]).(pdf.String); ok {
			l["P"] = p
		}
		if n, ok := c.integer(d["St"]); ok && n > 0 {
			l["St"] = n
		}
		labels = append(labels, entry{n, l})
	})
	if v := c.writeTree(inOrder(labels), "Nums"); v != nil {
		out["PageLabels"] = v
	}
	if len(c.oldDests) > 0 {
		d := pdf.Dict{}
		for _, e := range c.oldDests {
			d[pdf.Name(e.key.(pdf.String))] = e.value
		}
		r := c.w.number()
		c.w.object(r, d)
		out["Dests"] = r
	}
	if v := c.writeTree(inOrder(c.dests), "Names"); v != nil {
		out["Names"] = pdf.Dict{"Dests": v}
	}
	if v := c.outlines(root["Outlines"]); v != nil {
		out["Outlines"] = v
	}
	if d, ok := c.f.Resolve(root["AcroForm"]).(pdf.Dict); ok {
		c.saw(root["AcroForm"])
		in := pdf.Dict{}
		for k, v := range d {
			in[k] = v
		}
		if f := c.dict(in, c.g.acroForm); len(f) > 0 && f["Fields"] != nil {
			r := c.w.number()
			c.w.object(r, f)
			out["AcroForm"] = r
		}
	}
}

// info writes the document's title, which readers show, and nothing else of
// what the file says about itself.
func (c *cleaner) info() pdf.Ref {
	d, ok := c.f.Resolve(c.f.Trailer["Info"]).(pdf.Dict)
	if !ok {
		return pdf.Ref{}
	}
	c.saw(c.f.Trailer["Info"])
	title, ok := c.f.Resolve(d["Title"]).(pdf.String)
	const longest = 1000
	if !ok || title == "" || len(title) > longest {
		return pdf.Ref{}
	}
	r := c.w.number()
	c.w.object(r, pdf.Dict{"Title": title})
	return r
}

// attachment takes out an embedded file (7.11.4). In a mail it is put beside
// the document and treated like any other file; elsewhere there is no place
// for it.
func (c *cleaner) attachment(o pdf.Object) {
	c.saw(o)
	d, ok := c.f.Resolve(o).(pdf.Dict)
	if !ok {
		return
	}
	files, _ := c.f.Resolve(d["EF"]).(pdf.Dict)
	var st *pdf.Stream
	at := pdf.Ref{}
	for _, k := range []pdf.Name{"UF", "F", "Unix", "DOS", "Mac"} {
		if s, ok := c.f.Resolve(files[k]).(*pdf.Stream); ok {
			st = s
			at, _ = files[k].(pdf.Ref)
			c.saw(files[k])
			break
		}
	}
	if st != nil && c.files[at.Num] {
		return // the same file by another way
	}
	if c.files == nil {
		c.files = map[int]bool{}
	}
	c.files[at.Num] = true
	name := ""
	for _, k := range []pdf.Name{"UF", "F", "Unix", "DOS", "Mac"} {
		if s, ok := c.f.Resolve(d[k]).(pdf.String); ok && s != "" {
			name = decodeText(string(s))
			break
		}
	}
	if name == "" {
		name = "embedded" // a file without a name would pass for a text of the mail
	}
	if st != nil && c.s.InMail() && len(c.files) <= maxFiles {
		b, ok := c.bytes(st)
		in := sanitize.Object{ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: fmt.Sprintf("%s/%d", c.in.Path, len(c.files)), Name: name, Names: []string{name}}
		// A program is not put beside: it would hold the mail, and as a part of
		// the document nobody misses it.
		if d, err := c.s.Detect(in); ok && err == nil && d.Kind.Class() != sanitize.ClassExecutable {
			c.s.Beside(in)
			c.report.found("pdf.attachment-beside", "", sanitize.Replaced, name)
			return
		}
	}
	c.report.found("pdf.attachment", "", sanitize.Removed, name)
}

// decodeText reads a text string (7.9.2.2): UTF-16 or UTF-8 with a mark, or an
// encoding that is mostly Latin-1.
func decodeText(s string) string {
	switch {
	case strings.HasPrefix(s, "\xfe\xff"):
		var u []uint16
		for i := 2; i+1 < len(s); i += 2 {
			u = append(u, uint16(s[i])<<8|uint16(s[i+1]))
		}
		return string(utf16.Decode(u))
	case strings.HasPrefix(s, "\xef\xbb\xbf"):
		return strings.ToValidUTF8(s[3:], "�")
	}
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// unused looks at the objects that nothing led to: they are not written, but a
// script among them was there.
func (c *cleaner) unused() {
	var nums []int
	for n := range c.f.Numbers {
		if !c.seen[n] {
			nums = append(nums, n)
		}
	}
	slices.Sort(nums)
	const most = 50000 // looking at more tells nothing new
	for _, n := range nums[:min(len(nums), most)] {
		d := sub(c.f.Get(pdf.Ref{Num: n}))
		if d == nil {
			continue
		}
		switch {
		case d["JS"] != nil, c.name(d["S"]) == "JavaScript":
			c.report.found("pdf.javascript", "unused", sanitize.Removed, "")
		case c.name(d["Type"]) == "EmbeddedFile":
			c.report.found("pdf.attachment", "unused", sanitize.Removed, "")
		case d["A"] == nil && d["AA"] != nil, d["OpenAction"] != nil:
			c.report.found("pdf.action", "unused", sanitize.Removed, "")
		default:
			if s := c.name(d["S"]); s == "Launch" || s == "SubmitForm" || s == "ImportData" || s == "GoToR" || s == "GoToE" {
				c.report.found("pdf.action", "unused", sanitize.Removed, string(s))
			}
		}
	}
}

// twice reports what acts among the values of which another one of the same key
// took the place: there are readers that take the first.
func (c *cleaner) twice() {
	for _, e := range c.f.Twice {
		if e.Key == "OpenAction" {
			if _, ok := c.f.Resolve(e.Value).(pdf.Dict); ok {
				c.action(e.Value, "OpenAction")
			}
			continue
		}
		c.left(e.Key, pdf.Dict{e.Key: e.Value})
	}
}

// lead reports what stood around the document.
func (c *cleaner) around(b []byte) {
	if n := c.f.Lead; n > 0 {
		action := sanitize.Rewritten
		if len(bytes.TrimSpace(b[:n])) > 0 {
			action = sanitize.Removed
		}
		c.report.found("pdf.lead", "", action, fmt.Sprintf("%d octets before the header", n))
	}
	if n := c.f.Trail; n > 0 {
		action := sanitize.Rewritten
		// Padding and remains of a transfer are nobody's loss.
		for _, sig := range []string{"PK\x03\x04", "Rar!\x1a\x07", "7z\xbc\xaf\x27\x1c", "MZ\x90\x00", "<script", "<html"} {
			if bytes.Contains(b[max(len(b)-n-64, 0):], []byte(sig)) {
				action = sanitize.Removed
			}
		}
		c.report.found("pdf.trail", "", action, fmt.Sprintf("%d octets after the end", n))
	}
	if c.f.Repaired {
		c.report.found("pdf.repaired", "", sanitize.Rewritten, "")
	}
	if c.f.Decrypted {
		c.report.found("pdf.decrypted", "", sanitize.Rewritten, "")
	}
	if c.f.Updates > 0 {
		c.report.found("pdf.history", "", sanitize.Rewritten, fmt.Sprintf("%d earlier versions", c.f.Updates))
	}
}
