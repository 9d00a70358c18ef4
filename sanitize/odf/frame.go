package odf

import (
	"fmt"

	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// A draw:frame holds one thing in several forms, of which a program shows the
// first that it can: LibreOffice writes a PNG behind each drawing of its own, and
// a picture behind each chart and each table of a slide. So a picture that cannot
// be treated goes without a loss when another form of it stays, and leaves a
// square only when none does. OpenDocument 1.3 part 3, 10.4.2.

// begin opens a picture of a frame: what is written of it is kept together until
// it is known whether the picture stays.
func (f *filter) begin(fr *frame, e element) bool {
	if e.canon != "draw:image" || f.frames[len(f.frames)-2].canon != "draw:frame" {
		return false
	}
	fr.role, fr.held, fr.at, fr.inner = roleImage, true, len(f.out), -1
	f.holding++
	return true
}

// shown notes that a form of what the frame around the innermost element holds
// stays.
func (f *filter) shown() {
	if n := len(f.frames); n > 1 && f.frames[n-2].canon == "draw:frame" {
		f.frames[n-2].shown = true
	}
}

// alternative takes the text that stood on a picture of this frame which went:
// it stands on this one then.
func (f *filter) alternative(framed bool) []byte {
	if !framed {
		return nil
	}
	frame := &f.frames[len(f.frames)-2]
	owed := frame.owed
	frame.owed = nil
	return owed
}

// maxOnPicture is how much text may stand on one picture: it waits in memory.
const maxOnPicture = 4 << 20

// closeImage ends a picture of a frame.
func (f *filter) closeImage(fr, frame *frame) error {
	f.holding--
	if fr.lost == "" || fr.role != roleImage {
		return nil
	}
	text := f.out[fr.at:]
	if fr.inner >= 0 {
		text = f.out[fr.inner:]
	}
	if len(text) > maxOnPicture {
		return fmt.Errorf("text of %d bytes on a picture: %w", len(text), sanitize.ErrLimit)
	}
	frame.owed = append(frame.owed, text...)
	f.out = f.out[:fr.at]
	if frame.lost == "" {
		frame.lost, frame.why = fr.lost, fr.why
	}
	return nil
}

// settleFrame writes the square for the pictures that a frame lost, unless
// another form of them was written. It is called before anything that is no form
// of them, and at the end of the frame.
func (f *filter) settleFrame(frame *frame) {
	if frame.lost == "" {
		return
	}
	if !frame.shown {
		f.d.report.Found("odf.picture", frame.lost, sanitize.Replaced, frame.why)
		f.puts("<draw:image")
		if name := f.squareName(); name != "" {
			f.setAttr("xlink:href", name)
			f.puts(` xlink:type="simple" xlink:show="embed" xlink:actuate="onLoad"`)
		}
		f.puts(">")
		f.put(f.squareData())
		f.put(frame.owed)
		f.puts("</draw:image>")
		frame.shown = true
	}
	frame.lost, frame.owed = "", nil
}

// form reports whether an element is a form of what a frame holds.
func form(canon string) bool {
	switch canon {
	case "draw:image", "draw:object", "draw:object-ole", "draw:plugin", "draw:applet", "draw:floating-frame", "draw:text-box", "table:table":
		return true
	default:
		return false
	}
}

// squareName is the name of the grey square in a package; "" in a flat file.
func (f *filter) squareName() string {
	if f.flat == rootFlat {
		return ""
	}
	o := f.d.folder
	if o.square == nil {
		o.square = o.place(figure{ext: ".png", media: "image/png", data: f.d.greySquare()}, "")
	}
	return o.square.name
}

// squareData is the grey square in a flat file; nothing in a package.
func (f *filter) squareData() []byte {
	if f.flat != rootFlat {
		return nil
	}
	return f.encoded(f.d.greySquare())
}

func appendText(dst []byte, s string) []byte { return xmlscan.AppendEscaped(dst, []byte(s)) }
