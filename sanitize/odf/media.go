package odf

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"sekisho/internal/metafile"
	"sekisho/internal/square"
	"sekisho/sanitize"
)

// picture is one picture as it is written.
type picture struct {
	name  string // in its folder
	media string
	data  []byte
	lost  string // why there is none
}

// figure is a picture that was treated, or why it could not be.
type figure struct {
	ext, media string
	data       []byte
	lost       string
}

// treat decodes a picture and encodes it anew, through the session, which knows
// the pictures and their budget. Drawings of Windows (EMF, WMF) are rewritten
// record by record. A page of PDF stays one, rewritten like any. LibreOffice's own
// drawings (SVM) hold whatever it can draw and nobody else reads them: they are
// lost.
func (d *document) treat(where string, b []byte) (figure, error) {
	if bytes.HasPrefix(b, []byte{0x1F, 0x8B}) { // EMZ, WMZ, SVGZ
		z, err := gzip.NewReader(bytes.NewReader(b))
		if err != nil {
			return figure{lost: "not gzip"}, nil
		}
		if b, err = io.ReadAll(d.s.Meter(z)); err != nil {
			if errors.Is(err, sanitize.ErrLimit) {
				return figure{}, err
			}
			return figure{lost: "not gzip"}, nil
		}
	}
	name := where[strings.LastIndexByte(where, '/')+1:]
	picture := sanitize.Object{
		ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: d.in.Path + "/" + where, Name: name, Names: []string{name},
	}
	if metafile.IsEMF(b) || metafile.IsWMF(b) {
		switch drawn, k := d.s.Drawn(d.ctx, picture); k {
		case sanitize.KindPNG:
			return figure{ext: ".png", media: "image/png", data: drawn}, nil
		case sanitize.KindJPEG:
			return figure{ext: ".jpg", media: "image/jpeg", data: drawn}, nil
		}
		if err := d.ctx.Err(); err != nil {
			return figure{}, err
		}
	}
	switch {
	case bytes.HasPrefix(b, []byte("VCLMTF")):
		// Nobody is told of one that another form stands for.
		return figure{lost: "a drawing of LibreOffice's own"}, nil
	case metafile.IsEMF(b):
		out, err := metafile.RewriteEMF(b)
		if err != nil {
			return figure{lost: err.Error()}, nil
		}
		return figure{ext: ".emf", media: "image/x-emf", data: out}, nil
	case metafile.IsWMF(b):
		out, err := metafile.RewriteWMF(b)
		if err != nil {
			return figure{lost: err.Error()}, nil
		}
		return figure{ext: ".wmf", media: "image/x-wmf", data: out}, nil
	}
	var out bytes.Buffer
	res, err := d.s.Nested(d.ctx, picture, &out)
	if e := d.ctx.Err(); e != nil {
		return figure{}, e
	}
	if err != nil {
		return figure{lost: err.Error()}, nil
	}
	switch res.Kind {
	case sanitize.KindPNG:
		return figure{ext: ".png", media: "image/png", data: out.Bytes()}, nil
	case sanitize.KindJPEG:
		return figure{ext: ".jpg", media: "image/jpeg", data: out.Bytes()}, nil
	case sanitize.KindSVG:
		return figure{ext: ".svg", media: "image/svg+xml", data: out.Bytes()}, nil
	case sanitize.KindPDF:
		return figure{ext: ".pdf", media: "application/pdf", data: out.Bytes()}, nil
	default:
		return figure{lost: "a picture became " + string(res.Kind)}, nil
	}
}

// greySquare stands in the place of a picture that could not be treated.
func (d *document) greySquare() []byte {
	if d.square == nil {
		d.square = d.s.Square(d.ctx, square.PNG())
	}
	return d.square
}

// folder is the folder of the document that the part is of; nil in a flat file.
func (f *filter) folder() *folder {
	if f.d.folder == nil {
		return nil
	}
	return f.d.folder
}

// inside returns the member that a link leads to, when it is one of the
// document's own folder.
func (f *filter) inside(href string) (string, bool) {
	if f.flat == rootFlat {
		return "", false
	}
	// OpenOffice 1.1 wrote #Pictures/.
	href = strings.TrimPrefix(strings.TrimPrefix(href, "#"), "./")
	if href == "" || strings.ContainsAny(href, ":\\?#") || strings.HasPrefix(href, "/") || strings.Contains("/"+href+"/", "/../") {
		return "", false
	}
	return href, true
}

// locate finds a member of the document's folder by a link, as written or with
// its percent signs resolved.
func (d *document) locate(dir, name string) *member {
	if m := d.members[dir+name]; m != nil {
		return m
	}
	if plain, err := url.PathUnescape(name); err == nil && !strings.Contains("/"+plain+"/", "/../") {
		return d.members[dir+plain]
	}
	return nil
}

// picture keeps a picture of the document and leaves a grey square for one that
// would be fetched from elsewhere, or that cannot be treated.
func (f *filter) picture(fr *frame, e element) error {
	framed := f.begin(fr, e)
	href, has := f.attribute("xlink:href")
	if !has || href == "" {
		return f.write(fr, e, "", f.alternative(framed)) // it stands inside, or there is none
	}
	name, ok := f.inside(href)
	if f.flat == rootFlat && !strings.ContainsAny(href, ":/\\") {
		ok, name = true, href
	}
	if !ok && !(f.flat == rootFlat && strings.HasPrefix(href, "#")) {
		f.found("odf.linked-image", sanitize.Replaced, href)
		fr.filled = true
		return f.write(fr, e, f.squareName(), append(f.squareData(), f.alternative(framed)...))
	}
	if f.flat == rootFlat {
		// A link into a package that is not there.
		return f.write(fr, e, "", f.alternative(framed))
	}
	m := f.d.locate(f.dir, name)
	if m == nil {
		f.found("odf.dangling", sanitize.Rewritten, href)
		return f.skipFrom(fr)
	}
	p, err := f.d.place(f.dir, m)
	if err != nil {
		return err
	}
	fr.filled = true
	if p.lost == "" {
		if framed {
			f.shown()
		}
		return f.write(fr, e, p.name, f.alternative(framed))
	}
	if framed {
		fr.lost, fr.why = m.name, p.lost
		return f.checkAttrs()
	}
	f.d.report.Found("odf.picture", m.name, sanitize.Replaced, p.lost)
	return f.write(fr, e, f.squareName(), nil)
}

// place treats the picture in a member, once for each folder.
func (d *document) place(dir string, m *member) (*picture, error) {
	if p, ok := d.folder.placed[m.name]; ok {
		return p, nil
	}
	b, err := d.readWhole(m)
	if err != nil {
		return nil, err
	}
	// A replacement is found by the name of its object, not by the link.
	stands := ""
	if object, ok := strings.CutPrefix(m.name, dir+"ObjectReplacements/"); ok {
		if o := d.folder.objects[object]; o != nil {
			stands = o.name
		}
	}
	fig, err := d.treat(m.name, b)
	if err != nil {
		return nil, err
	}
	p := &picture{lost: fig.lost}
	if fig.lost == "" {
		p = d.folder.place(fig, stands)
	}
	d.folder.placed[m.name] = p
	m.used = true
	return p, nil
}

// place gives a picture its name in the folder.
func (o *folder) place(fig figure, stands string) *picture {
	p := &picture{media: fig.media, data: fig.data}
	if stands != "" {
		p.name = "ObjectReplacements/" + stands
	} else {
		o.count++
		p.name = fmt.Sprintf("Pictures/%d%s", o.count, fig.ext)
	}
	o.pictures = append(o.pictures, p)
	return p
}

// binary treats a picture that stands in the XML, as base64.
func (f *filter) binary(fr *frame, e element) error {
	p := &f.frames[len(f.frames)-2]
	if p.filled || p.role != rolePlain && p.role != roleImage || !isPicture(p.canon) {
		return f.skipFrom(fr)
	}
	p.filled = true
	fr.role = roleBinary
	f.text, f.capture = f.text[:0], &f.text
	return f.checkAttrs()
}

func isPicture(canon string) bool {
	switch canon {
	case "draw:image", "draw:fill-image", "style:background-image", "text:list-level-style-image", "chart:symbol-image":
		return true
	default:
		return false
	}
}

// writeBinary writes the picture that was captured.
func (f *filter) writeBinary(text []byte) error {
	kept := text[:0]
	for _, c := range text {
		if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			kept = append(kept, c)
		}
	}
	b := make([]byte, base64.StdEncoding.DecodedLen(len(kept)))
	n, err := base64.StdEncoding.Decode(b, kept)
	f.d.inline++
	where := fmt.Sprintf("%s/picture%d", f.where, f.d.inline)
	fig := figure{lost: "not base64"}
	if err == nil {
		if fig, err = f.d.treat(where, b[:n]); err != nil {
			return err
		}
	}
	image := &f.frames[len(f.frames)-2]
	switch {
	case fig.lost == "":
		if image.role == roleImage {
			f.frames[len(f.frames)-3].shown = true
		}
		f.put(f.encoded(fig.data))
	case image.role == roleImage:
		image.lost, image.why = where, fig.lost
	default:
		f.d.report.Found("odf.picture", where, sanitize.Replaced, fig.lost)
		f.put(f.squareData())
	}
	return nil
}

// encoded is a picture as it stands in the XML.
func (f *filter) encoded(b []byte) []byte {
	out := append(make([]byte, 0, base64.StdEncoding.EncodedLen(len(b))+50), "<office:binary-data>"...)
	out = base64.StdEncoding.AppendEncode(out, b)
	return append(out, "</office:binary-data>"...)
}
