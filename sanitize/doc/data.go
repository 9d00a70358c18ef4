package doc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/link"
	"sekisho/internal/metafile"
	"sekisho/internal/officeart"
	"sekisho/sanitize"
)

// block is what was taken over from the stream Data.
type block struct {
	to     uint32
	placed bool
	why    string // nothing stayed of it
}

// The forms of what stands in Data.
const (
	formPicture = 1 + iota
	formData
	formHuge
	formPreview
)

// dataStart is where the new stream begins to be used: a place of zero means
// that there is none, to some readers.
const dataStart = 16

// over takes something over from Data once: f returns what it becomes, or nothing
// and why. Without a reason it was none of a reader's business.
func (d *document) over(form uint64, place uint32, f func(b []byte) ([]byte, string, error)) (block, error) {
	key := form<<32 | uint64(place)
	if b, ok := d.moved[key]; ok {
		return b, nil
	}
	var made block
	if form == formPreview || uint64(place) < uint64(len(d.data)) {
		var from []byte
		if form != formPreview {
			from = d.data[place:]
			// Nothing that a program writes into Data lies in something else there.
			// What does would be written once for every place that leads into it.
			if d.taken += extent(form, from); d.taken > 2*int64(len(d.data)) {
				return block{}, fmt.Errorf("pictures that lie in one another: %w", sanitize.ErrLimit)
			}
		}
		b, why, err := f(from)
		if err != nil {
			return block{}, err
		}
		made.why = why
		if len(b) > 0 {
			if len(d.dataOut) == 0 {
				d.dataOut = make([]byte, dataStart)
			}
			made = block{to: uint32(len(d.dataOut)), placed: true}
			d.dataOut = append(d.dataOut, b...)
			if int64(len(d.dataOut)) > d.s.Options.Limits.OutputBytes {
				return block{}, fmt.Errorf("pictures: %w", sanitize.ErrLimit)
			}
		}
	}
	if d.moved == nil {
		d.moved = map[uint64]block{}
	}
	d.moved[key] = made
	return made, nil
}

// extent is how many octets something in Data says that it has, as far as they
// are there.
func extent(form uint64, b []byte) int64 {
	switch {
	case form == formHuge && len(b) >= 2:
		return min(2+int64(le.Uint16(b)), int64(len(b)))
	case form != formHuge && len(b) >= 4:
		return min(int64(le.Uint32(b)), int64(len(b)))
	default:
		return int64(len(b))
	}
}

// pictureHeader is the length of what stands before every picture and before the
// data of a form. [MS-DOC] 2.9.192.
const pictureHeader = 68

// framed splits what follows the header of a picture off Data.
func framed(b []byte) (head, body []byte, ok bool) {
	if len(b) < pictureHeader {
		return nil, nil, false
	}
	n := le.Uint32(b)
	if le.Uint16(b[4:]) != pictureHeader || n < pictureHeader || uint64(n) > uint64(len(b)) {
		return nil, nil, false
	}
	return b[:pictureHeader], b[pictureHeader:n], true
}

// What follows the header of a picture. [MS-DOC] 2.9.157.
const (
	mmMetafile = 0x08
	mmShape    = 0x64
	mmFile     = 0x66 // a shape, and before it the name of a file
)

// picture takes a picture in the line over. [MS-DOC] 2.9.190.
func (d *document) picture(place uint32) (block, error) {
	return d.over(formPicture, place, func(b []byte) ([]byte, string, error) {
		head, body, ok := framed(b)
		if !ok {
			return nil, "no picture there", nil
		}
		head = bytes.Clone(head)
		switch mm := le.Uint16(head[6:]); mm {
		case 0:
			// QUIRK: data of a form or a link whose run does not say so.
			return d.form(head, body), "", nil
		case mmShape, mmFile:
			if mm == mmFile {
				if len(body) < 1 || 1+int(body[0]) > len(body) {
					return nil, "cut short", nil
				}
				body = body[1+int(body[0]):]
				le.PutUint16(head[6:], mmShape)
			}
			r := d.drawings()
			made, err := r.Rewrite(body)
			if err != nil {
				why, err := drawing(err)
				return nil, why, err
			}
			if len(made) == 0 {
				if len(body) == 0 {
					return nil, "", nil // an object that was never drawn
				}
				return nil, "empty", nil
			}
			// What was innerHeader and the picture of old versions says nothing
			// here but the size and the borders.
			clear(head[14:28])
			return reframed(head, made), "", nil
		case mmMetafile:
			if !metafile.IsWMF(body) {
				return nil, "no metafile", nil
			}
			made, err := metafile.RewriteWMF(body)
			if err != nil {
				return nil, err.Error(), nil
			}
			return reframed(head, made), "", nil
		default:
			return nil, fmt.Sprintf("form %d", mm), nil
		}
	})
}

func reframed(head, body []byte) []byte {
	le.PutUint32(head, uint32(len(head)+len(body)))
	return append(head, body...)
}

// drawing says what an error of the drawings means: what does not hold together
// is a picture lost; a budget is spent for all.
func drawing(err error) (why string, _ error) {
	switch {
	case errors.Is(err, officeart.ErrLimit):
		return "", fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, officeart.ErrMalformed):
		return err.Error(), nil
	default:
		return "", err
	}
}

// drawings returns what writes drawings anew.
func (d *document) drawings() *officeart.Rebuilder {
	return &officeart.Rebuilder{
		Drawn:  d.pictureOf,
		Raster: d.raster,
		Square: func(b []byte) []byte { return d.s.Square(d.ctx, b) },
		Fatal:  func(err error) bool { return errors.Is(err, sanitize.ErrLimit) || d.ctx.Err() != nil },
		Meter:  func(r io.Reader) io.Reader { return d.s.Meter(r) },
		Link: func(target string) bool {
			return d.s.Options.URLs == sanitize.KeepURLs && link.Harmless(target)
		},
		Client: func(_ officeart.Header, body []byte) ([]byte, bool, error) {
			// [MS-DOC] 2.9.166 to 2.9.169: one number each.
			if len(body) < 4 {
				return nil, false, nil
			}
			return body[:4], true, nil
		},
		Found: d.drawingFound,
	}
}

func (d *document) drawingFound(w officeart.What, detail string) {
	switch w {
	case officeart.Script:
		d.report.Found("doc.script", "drawings", sanitize.Removed, detail)
	case officeart.Object:
		// The object itself is told where it stands.
		d.report.Found("doc.object-shape", "drawings", sanitize.Rewritten, detail)
	case officeart.LinkedPicture:
		d.report.Found("doc.linked-image", "drawings", sanitize.Removed, detail)
	case officeart.Hyperlink:
		d.report.Found("doc.link", "drawings", sanitize.Neutralised, detail)
	case officeart.Picture:
		d.report.Found("doc.picture", "drawings", sanitize.Replaced, detail)
	case officeart.Copy:
		d.report.Found("doc.shape-copy", "drawings", sanitize.Rewritten, detail)
	default:
		d.report.Found("doc.shape", "drawings", sanitize.Rewritten, detail)
	}
}

// pictureOf makes a picture of a drawing of Windows, where the profile says so.
func (d *document) pictureOf(name string, file []byte) []byte {
	made, _ := d.s.Drawn(d.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(file), Size: int64(len(file)), Path: d.in.Path + "/" + name, Name: name, Names: []string{name},
	})
	return made
}

// raster has a picture decoded and encoded by the session.
func (d *document) raster(name string, file []byte) ([]byte, error) {
	var out bytes.Buffer
	res, err := d.s.Nested(d.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(file), Size: int64(len(file)), Path: d.in.Path + "/" + name, Name: name, Names: []string{name},
	}, &out)
	if e := d.ctx.Err(); e != nil {
		return nil, context.Cause(d.ctx)
	}
	if err != nil {
		return nil, err
	}
	if res.Kind != sanitize.KindPNG && res.Kind != sanitize.KindJPEG {
		return nil, fmt.Errorf("a picture became %s: %w", res.Kind, sanitize.ErrUnsupported)
	}
	return out.Bytes(), nil
}

// preview makes a picture of what an object last looked like. Word 97 keeps it
// with the object, as a drawing of Windows behind eight octets.
func (d *document) preview(number uint32) (block, error) {
	return d.over(formPreview, number, func([]byte) ([]byte, string, error) {
		var drawn []byte
		if d.objects != nil {
			if o := d.objects.Storage(fmt.Sprintf("_%d", number)); o != nil {
				for _, name := range []string{"\x03META", "\x03PRINT"} {
					if s := o.Stream(name); s != nil && s.Size < 1<<24 {
						b, err := d.stream(s)
						if err != nil {
							return nil, "", err
						}
						drawn = b
						break
					}
				}
			}
		}
		const anisotropic, head = 8, 8
		if len(drawn) < head || le.Uint16(drawn) != anisotropic || !metafile.IsWMF(drawn[head:]) {
			return nil, "", nil // the object itself is told
		}
		// In hundredths of a millimetre.
		width, height := uint32(le.Uint16(drawn[2:])), uint32(le.Uint16(drawn[4:]))
		across, down := min(width*1440/2540, 0x7FFF), min(height*1440/2540, 0x7FFF)
		if w, h, ok := d.shownSize(number); ok {
			across, down = w, h
		}
		made, err := d.drawings().Rewrite(pictureShape(drawn[head:], width*360, height*360))
		if err != nil {
			why, err := drawing(err)
			return nil, why, err
		}
		frame := make([]byte, pictureHeader)
		le.PutUint16(frame[4:], pictureHeader)
		le.PutUint16(frame[6:], mmShape)
		le.PutUint16(frame[28:], uint16(across))
		le.PutUint16(frame[30:], uint16(down))
		le.PutUint16(frame[32:], 1000)
		le.PutUint16(frame[34:], 1000)
		return reframed(frame, made), "", nil
	})
}

// shownSize is how large an object was shown, in twentieths of a point. It stands
// in a stream of the object's that no specification describes: behind twenty
// octets, in two numbers.
func (d *document) shownSize(number uint32) (across, down uint32, ok bool) {
	s := d.objects.Storage(fmt.Sprintf("_%d", number)).Stream("\x03PIC")
	if s == nil || s.Size < 28 || s.Size > 4096 {
		return 0, 0, false
	}
	b, err := d.stream(s)
	if err != nil {
		return 0, 0, false
	}
	across, down = le.Uint32(b[20:]), le.Uint32(b[24:])
	return across, down, le.Uint16(b[10:]) == 8 && across > 0 && across < 0x7FFF && down > 0 && down < 0x7FFF
}

// pictureShape is a shape that shows a drawing of Windows, with the entry of its
// picture behind it. [MS-ODRAW] 2.2.14, 2.2.40, 2.2.32, 2.2.25.
func pictureShape(wmf []byte, width, height uint32) []byte {
	fsp := le.AppendUint32(le.AppendUint32(nil, 1024), 0xA00) // it has a type and an anchor
	pib := le.AppendUint32(le.AppendUint16(nil, 0x4104), 1)
	const frame = 75 // the type: a frame of a picture
	shape := officeart.AppendRecord(nil, officeart.Header{Ver: 2, Instance: frame, Type: 0xF00A}, fsp)
	shape = officeart.AppendRecord(shape, officeart.Header{Ver: 3, Instance: 1, Type: 0xF00B}, pib)
	blip := make([]byte, 16+34, 16+34+len(wmf))
	le.PutUint32(blip[16:], uint32(len(wmf)))
	le.PutUint32(blip[28:], width)
	le.PutUint32(blip[32:], height)
	le.PutUint32(blip[36:], width)
	le.PutUint32(blip[40:], height)
	le.PutUint32(blip[44:], uint32(len(wmf)))
	blip[48], blip[49] = 0xFE, 0xFE // not deflated
	record := officeart.AppendRecord(nil, officeart.Header{Instance: 0x216, Type: 0xF01B}, append(blip, wmf...))
	entry := make([]byte, 36, 36+len(record))
	entry[0], entry[1] = 3, 3
	le.PutUint32(entry[20:], uint32(len(record)))
	le.PutUint32(entry[24:], 1)
	out := officeart.AppendRecord(nil, officeart.Header{Ver: 15, Type: officeart.TypeSpContainer}, shape)
	return officeart.AppendRecord(out, officeart.Header{Ver: 2, Instance: 3, Type: officeart.TypeFBSE}, append(entry, record...))
}

// formData takes the settings of a form's field over, without the macros that
// run when the reader enters and leaves it. What else stands behind such a
// header, as the second form of a hyperlink, stays behind. [MS-DOC] 2.9.78.
func (d *document) formData(place uint32) (block, error) {
	return d.over(formData, place, func(b []byte) ([]byte, string, error) {
		head, body, ok := framed(b)
		if !ok {
			return nil, "", nil
		}
		return d.form(bytes.Clone(head), body), "", nil
	})
}

// form is what stays of the settings of a form's field behind its header, nil
// when they are none.
func (d *document) form(head, body []byte) []byte {
	made, macros, ok := rebuildForm(body)
	if !ok {
		return nil
	}
	if macros {
		d.report.Found("doc.macro-name", "form fields", sanitize.Removed, "")
	}
	clear(head[6:])
	return reframed(head, made)
}

// rebuildForm writes the settings of a form's field anew.
func rebuildForm(b []byte) (out []byte, macros, ok bool) {
	const fixed = 10
	if len(b) < fixed || le.Uint32(b) != 0xFFFFFFFF {
		return nil, false, false
	}
	out = append(out, b[:fixed]...)
	kind := b[4] & 3 // 0 text, 1 box to check, 2 list
	b = b[fixed:]
	text := func(keep bool) bool {
		s, rest, ok := xstz(b)
		if !ok {
			return false
		}
		b = rest
		if !keep {
			macros = macros || len(s) > 4
			s = []byte{0, 0, 0, 0}
		}
		out = append(out, s...)
		return true
	}
	if !text(true) { // its name
		return nil, false, false
	}
	if kind == 0 {
		if !text(true) { // what stands in it at first
			return nil, false, false
		}
	} else {
		if len(b) < 2 {
			return nil, false, false
		}
		out, b = append(out, b[:2]...), b[2:]
	}
	// Form of the text, help, line of status, macro at entry, macro at exit.
	for _, keep := range []bool{true, true, true, false, false} {
		if !text(keep) {
			return nil, false, false
		}
	}
	if kind == 2 {
		list, _, ok := sttb(b)
		if !ok {
			return nil, false, false
		}
		out = append(out, list...)
	}
	return out, macros, true
}

// xstz takes a text off the front: its length, its characters, a zero.
// [MS-DOC] 2.9.354.
func xstz(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, nil, false
	}
	n := 4 + 2*int(le.Uint16(b))
	if n > len(b) {
		return nil, nil, false
	}
	s = bytes.Clone(b[:n])
	s[n-2], s[n-1] = 0, 0
	return s, b[n:], true
}

// hugeProperties takes the properties of a paragraph over that are too long for
// a page. [MS-DOC] 2.9.210.
func (d *document) hugeProperties(place uint32) (block, error) {
	return d.over(formHuge, place, func(b []byte) ([]byte, string, error) {
		if len(b) < 2 || 2+int(le.Uint16(b)) > len(b) {
			return nil, "", nil
		}
		made := plain(b[2 : 2+int(le.Uint16(b))])
		return append(le.AppendUint16(nil, uint16(len(made))), made...), "", nil
	})
}
