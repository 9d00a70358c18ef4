package main

import (
	"archive/zip"
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"sync/atomic"

	"sekisho/internal/corpus"
)

// recipient is the address a mail of the bench goes to; with several tenants
// the number of one stands in place of the 0.
const recipient = "user@town0.example.lg.jp"

// mark is in the subject of every mail; the client puts a number in its place,
// by which the sink knows the mail again.
const mark = "bench-00000000"

func header(contentType string) string {
	return "Received: from mail.example.org (mail.example.org [192.0.2.7]) by mx.example.net with ESMTP id 1; Sat, 21 Nov 2026 10:00:00 +0900\r\n" +
		"From: \"Taro Yamada\" <taro@example.org>\r\nTo: \"Hanako Suzuki\" <" + recipient + ">\r\n" +
		"Date: Sat, 21 Nov 2026 10:00:00 +0900\r\nMessage-ID: <" + mark + "@example.org>\r\nSubject: " + mark + "\r\n" +
		"MIME-Version: 1.0\r\nContent-Type: " + contentType + "\r\n"
}

var (
	words    = strings.Fields("the report shows that deliveries were delayed and invoices remain open while the audit continues under agreed terms")
	japanese = []string{"お世話になっております。", "添付の資料をご確認ください。", "よろしくお願いいたします。"}
)

// lines makes about n octets of text in two languages.
func lines(n int, end string) string {
	r := rand.New(rand.NewPCG(5, 5))
	var b strings.Builder
	for b.Len() < n {
		if r.IntN(10) < 3 {
			s := japanese[r.IntN(len(japanese))]
			b.WriteString(s + s + end)
			continue
		}
		for i := range 11 {
			if i > 0 {
				b.WriteByte(' ')
			}
			b.WriteString(words[r.IntN(len(words))])
		}
		b.WriteString(end)
	}
	return b.String()
}

func textMail() []byte {
	h := header("text/plain; charset=UTF-8") + "Content-Transfer-Encoding: 8bit\r\n\r\n"
	return []byte(h + lines(4096-len(h)-80, "\r\n"))
}

func htmlMail() []byte {
	h := header("text/html; charset=UTF-8") + "Content-Transfer-Encoding: 8bit\r\n\r\n<html><body>\r\n"
	return []byte(h + "<p>" + lines(4096-len(h)-160, "</p>\r\n<p>") + "<a href=\"https://www.example.jp/\">link</a></p></body></html>\r\n")
}

// bigText is a mail of plain text of nearly the message limit.
func bigText() []byte {
	h := header("text/plain; charset=UTF-8") + "Content-Transfer-Encoding: 8bit\r\n\r\n"
	return []byte(h + lines(19<<20, "\r\n"))
}

// withFile is a mail with a Word document, in all about 100 KiB.
func withFile(data []byte) []byte {
	const docx = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
	return attached("mail.docx", docx, data, 100<<10)
}

// attached is a mail with one attachment, filled up with text to about size.
func attached(name, mime string, data []byte, size int) []byte {
	const b = "=_bench_0123456789"
	var m bytes.Buffer
	m.WriteString(header(`multipart/mixed; boundary="`+b+`"`) + "\r\n--" + b +
		"\r\nContent-Type: text/plain; charset=UTF-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
	encoded := base64.StdEncoding.EncodeToString(data)
	m.WriteString(lines(max(size-len(encoded)*78/76-900, 200), "\r\n"))
	m.WriteString("\r\n--" + b + "\r\nContent-Type: " + mime + "; name=\"" + name + "\"\r\n" +
		"Content-Disposition: attachment; filename=\"" + name + "\"\r\nContent-Transfer-Encoding: base64\r\n\r\n")
	for len(encoded) > 0 {
		n := min(lineOctets/3*4, len(encoded))
		m.WriteString(encoded[:n] + "\r\n")
		encoded = encoded[n:]
	}
	m.WriteString("--" + b + "--\r\n")
	return m.Bytes()
}

func docxMail() []byte { return withFile(document(22_000, nil)) }

// pictureMail has a picture of 722 by 482 pixels, as a camera's would compress.
func pictureMail() []byte {
	r := rand.New(rand.NewPCG(7, 7))
	m := image.NewRGBA(image.Rect(0, 0, 722, 482))
	for y := range 482 {
		for x := range 722 {
			n := r.IntN(12)
			m.Set(x, y, color.RGBA{uint8(x/4 + n), uint8(y/3 + n), uint8((x + y) / 6), 255})
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 80}); err != nil {
		panic(err) // a picture we drew
	}
	return withFile(document(2_000, b.Bytes()))
}

// document is a docx of paragraphs with n characters, drawn at random so that
// they do not compress to nothing, and perhaps a picture.
func document(n int, picture []byte) []byte {
	r := rand.New(rand.NewPCG(3, 3))
	plain := corpus.Word("@@TEXT@@", false)
	z, err := zip.NewReader(bytes.NewReader(plain), int64(len(plain)))
	if err != nil {
		panic(err) // a file we made
	}
	var text strings.Builder
	for i := range n {
		if i%80 == 79 {
			text.WriteString(`</w:t></w:r></w:p><w:p><w:r><w:rPr><w:rFonts w:hint="eastAsia"/></w:rPr><w:t>`)
			continue
		}
		text.WriteRune(rune(0x4e00 + r.IntN(3000)))
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	put := func(name string, data []byte) {
		f, err := w.Create(name)
		if err == nil {
			_, err = f.Write(data)
		}
		if err != nil {
			panic(err) // writing to memory
		}
	}
	for _, f := range z.File {
		data := read(f)
		switch f.Name {
		case "word/document.xml":
			data = bytes.Replace(data, []byte("@@TEXT@@"), []byte(text.String()), 1)
			if picture != nil {
				data = bytes.Replace(data, []byte("</w:body>"), []byte(drawing+"</w:body>"), 1)
			}
		case "word/_rels/document.xml.rels":
			if picture != nil {
				data = bytes.Replace(data, []byte("</Relationships>"), []byte(`<Relationship Id="rId9" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/image" Target="media/image1.jpeg"/></Relationships>`), 1)
			}
		case "[Content_Types].xml":
			if picture != nil {
				data = bytes.Replace(data, []byte("<Override"), []byte(`<Default Extension="jpeg" ContentType="image/jpeg"/><Override`), 1)
			}
		}
		put(f.Name, data)
	}
	if picture != nil {
		put("word/media/image1.jpeg", picture)
	}
	if err := w.Close(); err != nil {
		panic(err) // writing to memory
	}
	return withToken(b.Bytes())
}

// token is the end of a document, as the comment of its archive, in whose place
// the client puts another one for each mail: a scanner remembers what it has seen.
const token = "TOKENTOKENTOKENTOKENTOKENTOKENTOKENX"

// tokenLine is what it is within a mail, on a line of its own.
var tokenLine = []byte(base64.StdEncoding.EncodeToString([]byte(token)))

// withToken puts the token behind an archive without a comment.
func withToken(archive []byte) []byte {
	pad := (lineOctets - len(archive)%lineOctets) % lineOctets
	binary.LittleEndian.PutUint16(archive[len(archive)-2:], uint16(pad+len(token)))
	return append(append(archive, bytes.Repeat([]byte(" "), pad)...), token...)
}

// lineOctets are in a line of base64.
const lineOctets = 57

// sent counts the documents.
var sent atomic.Uint64

func read(f *zip.File) []byte {
	rc, err := f.Open()
	if err != nil {
		panic(err) // a file we made
	}
	defer rc.Close()
	var b bytes.Buffer
	if _, err := b.ReadFrom(rc); err != nil {
		panic(err)
	}
	return b.Bytes()
}

const drawing = `<w:p><w:r><w:drawing><wp:inline xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing"><wp:extent cx="5486400" cy="3657600"/><wp:docPr id="1" name="p"/><a:graphic xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><a:graphicData uri="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:pic xmlns:pic="http://schemas.openxmlformats.org/drawingml/2006/picture"><pic:nvPicPr><pic:cNvPr id="1" name="p"/><pic:cNvPicPr/></pic:nvPicPr><pic:blipFill><a:blip r:embed="rId9"/><a:stretch><a:fillRect/></a:stretch></pic:blipFill><pic:spPr><a:xfrm><a:off x="0" y="0"/><a:ext cx="5486400" cy="3657600"/></a:xfrm><a:prstGeom prst="rect"><a:avLst/></a:prstGeom></pic:spPr></pic:pic></a:graphicData></a:graphic></wp:inline></w:drawing></w:r></w:p>`

// numbered is the mail with a number of its own, a document that differs from all
// others and, with several tenants, the recipient of one of them.
func numbered(data []byte, n, tenant int) []byte {
	out := bytes.ReplaceAll(data, []byte(mark), fmt.Appendf(nil, "bench-%08d", n))
	if bytes.Contains(out, tokenLine) {
		another := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "%0*X", len(token), sent.Add(1)))
		out = bytes.Replace(out, tokenLine, []byte(another), 1)
	}
	if tenant != 0 {
		out = bytes.ReplaceAll(out, []byte(recipient), []byte(to(tenant)))
	}
	return out
}

func to(tenant int) string { return fmt.Sprintf("user@town%d.example.lg.jp", tenant) }
