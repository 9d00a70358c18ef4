package ooxml

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/metafile"
	"sekisho/internal/square"
	"sekisho/sanitize"
)

// treatImage decodes a picture and encodes it anew, through the session, which
// knows the pictures and their budget. Drawings of Windows (EMF, WMF) are
// rewritten record by record here: no reader of documents shows anything else
// in their place. What cannot be treated becomes a grey square, so that the
// document still opens and shows where something was.
func (d *document) treatImage(p *part) error {
	b, err := d.readWhole(p)
	if err != nil {
		return err
	}
	if bytes.HasPrefix(b, []byte{0x1F, 0x8B}) { // EMZ, WMZ
		if b, err = d.gunzip(b); err != nil {
			if errors.Is(err, sanitize.ErrLimit) {
				return err
			}
			return d.replaceImage(p, "not gzip")
		}
	}
	name := p.source[lastSlash(p.source)+1:]
	picture := sanitize.Object{
		ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: d.in.Path + "/" + p.source, Name: name, Names: []string{name},
	}
	if metafile.IsEMF(b) || metafile.IsWMF(b) {
		switch drawn, k := d.s.Drawn(d.ctx, picture); k {
		case sanitize.KindPNG:
			p.data, p.typ, p.ext = drawn, "image/png", ".png"
			return nil
		case sanitize.KindJPEG:
			p.data, p.typ, p.ext = drawn, "image/jpeg", ".jpg"
			return nil
		}
		if err := d.ctx.Err(); err != nil {
			return err
		}
	}
	switch {
	case metafile.IsEMF(b):
		out, err := metafile.RewriteEMF(b)
		if err != nil {
			return d.replaceImage(p, err.Error())
		}
		p.data, p.typ, p.ext = out, "image/x-emf", ".emf"
		return nil
	case metafile.IsWMF(b):
		out, err := metafile.RewriteWMF(b)
		if err != nil {
			return d.replaceImage(p, err.Error())
		}
		p.data, p.typ, p.ext = out, "image/x-wmf", ".wmf"
		return nil
	}
	var out bytes.Buffer
	res, err := d.s.Nested(d.ctx, picture, &out)
	if e := d.ctx.Err(); e != nil {
		return e
	}
	if err != nil {
		return d.replaceImage(p, err.Error())
	}
	switch res.Kind {
	case sanitize.KindPNG:
		p.typ, p.ext = "image/png", ".png"
	case sanitize.KindJPEG:
		p.typ, p.ext = "image/jpeg", ".jpg"
	default:
		return d.replaceImage(p, "a picture became "+string(res.Kind))
	}
	p.data = out.Bytes()
	return nil
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}

// readWhole reads a member that must be whole to be treated.
func (d *document) readWhole(p *part) ([]byte, error) {
	if p.file.Size > d.s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("part %s of %d bytes: %w", p.source, p.file.Size, sanitize.ErrLimit)
	}
	r, err := p.file.Open(d.s.Meter)
	if err != nil {
		return nil, mapZIP(err)
	}
	b, err := io.ReadAll(r)
	if err != nil {
		return nil, mapZIP(err)
	}
	return b, nil
}

func (d *document) gunzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(d.s.Meter(z))
}

func (d *document) replaceImage(p *part, why string) error {
	d.report.found("ooxml.picture", p.source, sanitize.Replaced, why)
	p.data, p.typ, p.ext = d.greySquare(), "image/png", ".png"
	return nil
}

// greySquare stands in the place of a picture that could not be treated.
func (d *document) greySquare() []byte { return d.s.Square(d.ctx, square.PNG()) }

// treatWorkbook treats the workbook behind a chart as the document it is. When
// it cannot stay the chart still shows its cached values.
func (d *document) treatWorkbook(p *part) error {
	b, err := d.readWhole(p)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	name := p.source[lastSlash(p.source)+1:]
	res, err := d.s.Nested(d.ctx, sanitize.Object{
		ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Path: d.in.Path + "/" + p.source, Name: name, Names: []string{name},
	}, &out)
	if e := d.ctx.Err(); e != nil {
		return e
	}
	if err != nil || res.Kind != sanitize.KindXLSX {
		why := "not an Excel workbook"
		if err != nil {
			why = err.Error()
		}
		d.report.found("ooxml.package", p.source, sanitize.Removed, why)
		p.class = 0
		return nil
	}
	if res.Outcome == sanitize.Disarmed {
		d.report.found("ooxml.package", p.source, sanitize.Replaced, "the workbook behind a chart")
	}
	p.data = out.Bytes()
	return nil
}
