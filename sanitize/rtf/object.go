package rtf

import (
	"bytes"
	"strings"

	"sekisho/internal/olepack"
	"sekisho/sanitize"
)

// object is an object on its way out.
type object struct {
	class strings.Builder
	data  []byte // its first octets, all of them when the file in it is wanted
	most  int    // how many
	half  byte
	odd   bool
	shown bool
}

const (
	// headBytes is how much of an object's data is kept to name it.
	headBytes = 128
	// maxObject is how much is kept to find the file in it: more than a mail
	// brings.
	maxObject = 32 << 20
)

// object begins one.
func (d *document) object() *object {
	if d.embedded.Wanted(d.s) {
		return &object{most: maxObject + 1}
	}
	return &object{most: headBytes}
}

func (o *object) bytes(b []byte) {
	o.data = append(o.data, b[:min(len(b), o.most-len(o.data))]...)
}

func (o *object) hex(b []byte) {
	for _, c := range b {
		if len(o.data) >= o.most {
			return
		}
		n := nibble[c]
		switch {
		case n > 15:
		case o.odd:
			o.data, o.odd = append(o.data, o.half<<4|n), false
		default:
			o.half, o.odd = n, true
		}
	}
}

// name is the class of the object: what its data say, or what stands beside
// them. [MS-OLEDS] 2.2.4: version, format, length and name of the class.
func (o *object) name() string {
	if h := o.data; len(h) > 12 {
		if n := int64(h[8]) | int64(h[9])<<8 | int64(h[10])<<16 | int64(h[11])<<24; n > 1 && n <= 64 && 12+n <= int64(len(h)) {
			return strings.TrimRight(string(h[12:12+n]), "\x00")
		}
	}
	return o.class.String()
}

// endObject tells of an object, and puts the file in it next to the document in
// the mail where the profile says so.
func (d *document) endObject(o *object) error {
	if o.most > headBytes && len(o.data) > 0 && len(o.data) < o.most {
		if err := d.s.Spend(int64(len(o.data))); err != nil {
			return err
		}
		if f, ok := olepack.Object(bytes.NewReader(o.data), int64(len(o.data))); ok {
			if name, ok := d.embedded.Packed(d.s, d.in, f.Name, f.Bytes, f.Size); ok {
				d.report.found("rtf.object-beside", sanitize.Replaced, name)
				return nil
			}
		}
	}
	act := sanitize.Removed
	if o.shown {
		act = sanitize.Replaced
	}
	d.report.found("rtf.object", act, o.name())
	return nil
}
