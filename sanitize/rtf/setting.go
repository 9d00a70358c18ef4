package rtf

import (
	"fmt"

	"sekisho/sanitize"
)

// setting takes a word that says how the file is to be read.
func (d *document) setting(name string, n int32, has bool) {
	g := d.top()
	switch name {
	case "uc":
		if d.settle(); has && n >= 0 {
			g.uc = min(n, 64)
		}
		return
	case "u":
		if has {
			d.unicode(n)
		}
		return
	}
	d.settle()
	switch name {
	case "mac":
		d.codePage = "macintosh"
	case "pc":
		d.codePage = "cp437"
	case "pca":
		d.codePage = "cp850"
	case "ansicpg":
		if cs := codePage(n); cs != "" {
			if d.codePage = cs; len(d.groups) == 1 {
				d.put(name, n, true)
			}
		}
	case "deff", "adeff":
		if has && n >= 0 && n <= maxFontNumber && g.writes() {
			if name == "deff" {
				d.deff, g.font = n, n
			}
			d.put(name, n, true)
		}
	case "f", "af":
		d.font(name, n, has)
	case "plain":
		g.font, g.run, g.fontOf, g.deleted, g.unsaid = d.deff, runPlain, [3]int32{-1, -1, -1}, false, false
		if g.writes() {
			d.put(name, 0, false)
		}
	case "loch":
		d.turn(runLow, name)
	case "hich":
		d.turn(runHigh, name)
	case "dbch":
		d.turn(runDouble, name)
	case "fcharset":
		if g.part == partFonts && has && n >= 0 && n <= 255 {
			if cs, ok := fontCharsets.Get()[n]; ok && d.defining >= 0 && !d.named {
				d.fonts[d.defining] = cs
			}
			d.put(name, n, true)
		}
	case "cpg":
		if cs := codePage(n); g.part == partFonts && cs != "" && d.defining >= 0 {
			if !d.named {
				d.fonts[d.defining] = cs
			}
			d.put(name, n, true)
		}
	case "fprq":
		if g.part == partFonts && has && n >= 0 && n <= 2 {
			d.put(name, n, true)
		}
	case "trowd":
		d.cells = 0
		if g.writes() {
			d.put(name, 0, false)
		}
	case "cellx":
		if d.cells++; g.writes() && has && d.cells <= maxCells {
			d.put(name, n, true)
		}
	case "listoverridecount":
		// There are overrides of the first level and of all nine.
		if g.part == partList && g.override && !g.exact && has && (n == 0 || n == 1 || n == 9) {
			*g.levels, g.exact = int(n), true
			d.put(name, n, true)
		}
	}
}

func (d *document) turn(r run, name string) {
	g := d.top()
	g.run = r
	if g.writes() {
		d.put(name, 0, false)
	}
}

// maxFontNumber is the highest number of a font: readers count in 16 bits
// (CVE-2023-21716).
const maxFontNumber = 1<<16 - 1

// font takes \f and \af.
func (d *document) font(name string, n int32, has bool) {
	g := d.top()
	bad := !has || n < 0 || n > maxFontNumber
	if g.part == partFonts {
		if name != "f" {
			return
		}
		if _, ok := d.fonts[n]; bad || !ok && len(d.fonts) >= maxFonts {
			d.skip()
			return
		}
		d.defining, d.fonts[n], d.fontName, d.named = n, "", d.fontName[:0], false
		d.put(name, n, true)
		return
	}
	if bad {
		return
	}
	if g.run != runPlain {
		g.fontOf[g.run-1] = n
	}
	if name == "f" {
		g.font, g.unsaid = n, false
	}
	if g.writes() {
		d.put(name, n, true)
	}
}

// symbol takes a control symbol.
func (d *document) symbol(c byte) {
	d.star = false
	switch c {
	case '*':
		d.star = true
	case '\\', '{', '}':
		d.octets([]byte{c})
	case '\r', '\n':
		d.settle()
		d.character("par", ' ')
	case '\t':
		d.settle()
		d.character("tab", '\t')
	case '~', '_', '-', ':':
		if d.eat > 0 {
			d.eat--
			return
		}
		d.settle()
		d.mark(c)
	}
}

// comment reports whether a destination is one of those that make a comment.
// RTF 1.9.1, "Comments (Annotations)".
func comment(name string) bool {
	switch name {
	case "annotation", "atnid", "atnauthor", "atntime", "atndate", "atnref", "atnparent", "atrfstart", "atrfend":
		return true
	default:
		return false
	}
}

// tracked reports whether a word says that text was changed, by whom and when.
// RTF 1.9.1, "Track Changes". Marks of changes to formats and rows say nothing
// that is lost.
func tracked(name string) bool {
	switch name {
	case "revisions", "revised", "revauth", "revdttm", "deleted", "revauthdel", "revdttmdel", "mvf", "mvt", "mvauth", "mvdate", "crauth", "crdate",
		"trackmoves", "trackformatting", "clins", "clinsauth", "clinsdttm", "cldel", "cldelauth", "cldeldttm":
		return true
	default:
		return false
	}
}

// change takes a word of a tracked change. Where changes are accepted what was
// deleted or moved away goes, and what came stays as if it had always been there;
// where they are taken out it is the other way round. Formats and rows as they
// were are put together in the modern form.
func (d *document) change(name string, on bool) error {
	g := d.top()
	goes, says := false, "accepted"
	switch name {
	case "deleted", "mvf":
		goes = d.s.Options.Accept
	case "revised", "mvt":
		goes = !d.s.Options.Accept
	case "crauth", "crdate", "clins", "clinsauth", "clinsdttm", "cldel", "cldelauth", "cldeldttm":
		if on && !d.s.Options.Accept {
			return fmt.Errorf("tracked changes of formats or rows, which the profile takes out: %w", sanitize.ErrUnsupported)
		}
		return nil
	default:
		return nil
	}
	if goes {
		g.deleted = on
	}
	if !d.s.Options.Accept {
		says = "taken out"
	}
	if on && g.writes() {
		d.report.found("rtf.tracked-change", sanitize.Neutralised, says)
	}
	return nil
}

// mark takes a symbol that stands for a character.
func (d *document) mark(c byte) {
	g := d.top()
	switch {
	case g.deleted:
	case g.writes():
		g.used = true
		d.w.raw(`\` + string(c))
	case c == '~':
		d.gather(g, 0xA0)
	case c == '_':
		d.gather(g, '-')
	case c == ':':
		d.gather(g, ':')
	}
}

// character takes a word that stands for a character.
func (d *document) character(name string, r rune) {
	g := d.top()
	switch {
	case !g.writes():
		d.gather(g, r)
		return
	case g.deleted && name != "sect" && name != "cell" && name != "nestcell" && name != "row" && name != "nestrow":
		return // paragraphs join; cells and sections stay, as empty ones
	}
	d.put(name, 0, false)
	switch name {
	case "par", "row", "nestrow", "sect", "page", "line":
		d.w.lineEnd()
	}
}

// binary takes \bin: bytes of a picture or an object, and of nothing elsewhere.
func (d *document) binary(n int64) error {
	d.settle()
	g := d.top()
	g.used = true
	return d.scan.binary(n, func(b []byte) {
		switch g.part {
		case partPicture:
			g.picture.data = append(g.picture.data, b...)
		case partData:
			g.object.bytes(b)
		}
	})
}
