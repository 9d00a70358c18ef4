package detect

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"encoding/xml"
	"io"
	"strings"
	"sync"

	"sekisho/internal/charset"
	"sekisho/sanitize"
)

// zipList is what a ZIP archive seems to hold. It is read leniently, unlike
// everywhere else: an archive that the strict reader refuses needs a name for
// its notice too, and what any other reader might find in it counts as danger.
// Nothing that is read here reaches an output.
type zipList struct {
	members   []member
	encrypted bool
	atEnd     bool // the end of directory is the end of the file
}

type member struct {
	name      string
	method    uint16
	packed    int64
	data      int64 // offset of the local header
	encrypted bool
}

const (
	partBytes = 1 << 20 // [Content_Types].xml of a deck of 5,000 slides is under this
	lookBytes = 64 << 10
)

// zip finds the archive that a reader from the end would find, or nil.
func (f *file) zip() *zipList {
	if !bytes.Contains(f.tail, []byte("PK\x05\x06")) {
		return nil // in less time than from the end
	}
	base := f.Size - int64(len(f.tail))
	for i := bytes.LastIndex(f.tail, []byte("PK\x05\x06")); i >= 0; i = bytes.LastIndex(f.tail[:i], []byte("PK\x05\x06")) {
		e := f.tail[i:]
		if len(e) < 22 {
			continue
		}
		size := int64(binary.LittleEndian.Uint32(e[12:]))
		from := int64(binary.LittleEndian.Uint32(e[16:]))
		comment := int(binary.LittleEndian.Uint16(e[20:]))
		pos := base + int64(i)
		if size == 0xffffffff || from == 0xffffffff {
			// APPNOTE 4.3.15: the locator stands right before.
			l := f.peek(pos-20, 20)
			if len(l) == 20 && hasPrefix(l, "PK\x06\x07") {
				off := int64(binary.LittleEndian.Uint64(l[8:]) & (1<<62 - 1))
				if z := f.peek(off, 56); len(z) == 56 && hasPrefix(z, "PK\x06\x06") {
					size = int64(binary.LittleEndian.Uint64(z[40:]) & (1<<62 - 1))
					from = int64(binary.LittleEndian.Uint64(z[48:]) & (1<<62 - 1))
					pos = off
				}
			}
		}
		l := &zipList{atEnd: i+22+comment >= len(f.tail)}
		shift := pos - size - from // bytes before the archive
		switch {
		case size == 0 && hasPrefix(f.head, "PK\x05\x06"):
			return l // an archive of nothing
		case hasPrefix(f.peek(pos-size, 4), "PK\x01\x02"):
			f.directory(l, pos-size, pos, shift)
		case hasPrefix(f.peek(from, 4), "PK\x01\x02"):
			f.directory(l, from, pos, 0)
		default:
			continue
		}
		f.locals(l)
		return l
	}
	return nil
}

// directory reads the central headers between from and to.
func (f *file) directory(l *zipList, from, to, shift int64) {
	for n := 0; n < innerMembers && from < to; n++ {
		h := f.peek(from, 46)
		if len(h) < 46 || !hasPrefix(h, "PK\x01\x02") {
			return
		}
		flags := binary.LittleEndian.Uint16(h[8:])
		name := int64(binary.LittleEndian.Uint16(h[28:]))
		rest := int64(binary.LittleEndian.Uint16(h[30:])) + int64(binary.LittleEndian.Uint16(h[32:]))
		m := member{
			name:      memberName(f.peek(from+46, name), flags),
			method:    binary.LittleEndian.Uint16(h[10:]),
			packed:    int64(binary.LittleEndian.Uint32(h[20:])),
			data:      int64(binary.LittleEndian.Uint32(h[42:])) + shift,
			encrypted: flags&1 != 0,
		}
		if !hasPrefix(f.peek(m.data, 4), "PK\x03\x04") {
			m.data -= shift
		}
		l.encrypted = l.encrypted || m.encrypted
		l.members = append(l.members, m)
		from += 46 + name + rest
	}
}

// locals adds members that only a reader from the front would see.
func (f *file) locals(l *zipList) {
	known := make(map[int64]bool, len(l.members))
	for _, m := range l.members {
		known[m.data] = true
	}
	var at int64
	for n := 0; n < innerMembers; n++ {
		h := f.peek(at, 30)
		if len(h) < 30 || !hasPrefix(h, "PK\x03\x04") {
			return
		}
		flags := binary.LittleEndian.Uint16(h[6:])
		packed := int64(binary.LittleEndian.Uint32(h[18:]))
		name := int64(binary.LittleEndian.Uint16(h[26:]))
		extra := int64(binary.LittleEndian.Uint16(h[28:]))
		if !known[at] {
			l.members = append(l.members, member{
				name: memberName(f.peek(at+30, name), flags), method: binary.LittleEndian.Uint16(h[8:]),
				packed: packed, data: at, encrypted: flags&1 != 0,
			})
		}
		if flags&8 != 0 && packed == 0 || packed == 0xffffffff {
			return // its size stands behind it
		}
		at += 30 + name + extra + packed
	}
}

// localNames is for what opens like a ZIP archive and has no directory.
func (f *file) localNames(r *found) {
	l := &zipList{}
	f.locals(l)
	for _, m := range l.members {
		if m.encrypted {
			r.kind = sanitize.KindEncryptedZIP
		}
	}
	f.insideZip(r, l)
}

func memberName(b []byte, flags uint16) string {
	if flags&0x800 != 0 {
		return strings.ToValidUTF8(string(b), "\ufffd")
	}
	return charset.Decode("", b).Text
}

// open returns at most limit bytes of a member; fewer when they end, none when
// they cannot be had.
func (f *file) open(m member, limit int64) []byte {
	if m.encrypted || f.inner.bytes <= 0 {
		return nil
	}
	h := f.peek(m.data, 30)
	if len(h) < 30 || !hasPrefix(h, "PK\x03\x04") {
		return nil
	}
	at := m.data + 30 + int64(binary.LittleEndian.Uint16(h[26:])) + int64(binary.LittleEndian.Uint16(h[28:]))
	if at >= f.Size {
		return nil
	}
	packed := m.packed
	if packed == 0xffffffff || packed > f.Size-at {
		packed = f.Size - at
	}
	var r io.Reader = io.NewSectionReader(f, at, packed)
	switch m.method {
	case 0:
	case 8:
		r = flate.NewReader(r)
	default:
		return nil
	}
	return f.expand(r, limit)
}

// expand reads at most limit bytes from a decoder, within the budget. What
// came before an error is returned: it is all that anybody gets to see.
func (f *file) expand(r io.Reader, limit int64) []byte {
	var b bytes.Buffer
	n, _ := io.Copy(&b, io.LimitReader(r, min(limit, f.inner.bytes)))
	f.inner.bytes -= n
	return b.Bytes()
}

// find returns the member of a name, without case.
//
// QUIRK: programs of Windows have written packages with backslashes, and Office
// opens them.
func (l *zipList) find(name string) (member, bool) {
	for _, m := range l.members {
		if strings.EqualFold(strings.ReplaceAll(m.name, `\`, "/"), name) {
			return m, true
		}
	}
	return member{}, false
}

// rootMedia is what the manifest of an OpenDocument says of the whole. It is its
// first entry. OpenDocument 1.3 part 2, 3.2.
func rootMedia(manifest []byte) string {
	_, rest, ok := bytes.Cut(manifest, []byte("application/vnd.oasis.opendocument."))
	if !ok {
		return ""
	}
	name, _, _ := bytes.Cut(rest, []byte(`"`))
	return "application/vnd.oasis.opendocument." + string(name[:min(len(name), 40)])
}

// openDocument is the kind of an OpenDocument by its media type. Of the documents
// that hold others together, and of pages of the web, there is no kind.
func openDocument(media string) sanitize.Kind {
	for _, k := range []sanitize.Kind{sanitize.KindODT, sanitize.KindODS, sanitize.KindODP, sanitize.KindODG, sanitize.KindOTT, sanitize.KindOTS, sanitize.KindOTP, sanitize.KindOTG, sanitize.KindODFormula} {
		if k.Facts().Media == media {
			return k
		}
	}
	return sanitize.KindODF
}

// flatOpenDocument is the kind of an OpenDocument that is one XML file, by the
// attributes of its root.
func flatOpenDocument(attrs string) sanitize.Kind {
	for _, k := range []sanitize.Kind{sanitize.KindFODT, sanitize.KindFODS, sanitize.KindFODP, sanitize.KindFODG} {
		if media := strings.TrimSuffix(k.Facts().Media, "-flat-xml"); strings.Contains(attrs, `="`+media+`"`) || strings.Contains(attrs, `='`+media+`'`) || strings.Contains(attrs, `="`+media+`-template"`) {
			return k
		}
	}
	return sanitize.KindODF
}

// zipKind tells what kind of archive it is.
func (f *file) zipKind(l *zipList) found {
	types, opc := l.find("[Content_Types].xml")
	mime, hasMime := l.find("mimetype")
	kind := sanitize.KindZIP
	media := ""
	if hasMime {
		media = strings.TrimSpace(string(f.open(mime, 256)))
	}
	_, manifest := l.find("META-INF/MANIFEST.MF")
	_, android := l.find("AndroidManifest.xml")
	_, appx := l.find("AppxManifest.xml")
	_, bundle := l.find("AppxMetadata/AppxBundleManifest.xml")
	_, vsix := l.find("extension.vsixmanifest")
	odf, content := l.find("META-INF/manifest.xml")
	_, body := l.find("content.xml")
	switch {
	case android, appx, bundle, vsix:
		kind = sanitize.KindExecutable
	case opc && types.encrypted:
		kind = sanitize.KindEncryptedZIP
	case opc && strings.HasPrefix(media, "application/vnd.oasis.opendocument"):
		kind = sanitize.KindPolyglot
	case opc:
		kind = f.opcKind(l, types)
		if l.encrypted {
			kind = sanitize.KindEncryptedZIP
		}
	case strings.HasPrefix(media, "application/vnd.oasis.opendocument"), strings.HasPrefix(media, "application/vnd.sun.xml."), content && body:
		if media == "" && content {
			media = rootMedia(f.open(odf, partBytes))
		}
		kind = openDocument(media)
		if content && bytes.Contains(f.open(odf, partBytes), []byte("encryption-data")) {
			kind = sanitize.KindEncryptedOffice
		}
	case media == "application/hwp+zip":
		kind = sanitize.KindHWP
	case manifest, f.hasExt("jar", "war", "ear"):
		kind = sanitize.KindJAR
	case media == "application/epub+zip":
		// A book is read by programs that run its scripts; it is no plain
		// archive, and there is no kind for it.
		kind = sanitize.KindUnknown
	case l.encrypted:
		kind = sanitize.KindEncryptedZIP
	}
	r := found{kind: kind}
	switch kind.Class() {
	case sanitize.ClassOffice:
		// Its parts are treated or dropped one by one.
	case sanitize.ClassExecutable:
	default:
		f.insideZip(&r, l)
	}
	return r
}

// mainTypes are the content types of the parts that make a package what it is
// (ECMA-376 part 1, 11 to 13; [MS-OFFMACRO] 2.2), in lower case.
var mainTypes = sync.OnceValue(func() map[string]sanitize.Kind {
	return map[string]sanitize.Kind{
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml":   sanitize.KindDOCX,
		"application/vnd.ms-word.document.macroenabled.main+xml":                             sanitize.KindDOCM,
		"application/vnd.openxmlformats-officedocument.wordprocessingml.template.main+xml":   sanitize.KindDOTX,
		"application/vnd.ms-word.template.macroenabledtemplate.main+xml":                     sanitize.KindDOTM,
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml":         sanitize.KindXLSX,
		"application/vnd.ms-excel.sheet.macroenabled.main+xml":                               sanitize.KindXLSM,
		"application/vnd.openxmlformats-officedocument.spreadsheetml.template.main+xml":      sanitize.KindXLTX,
		"application/vnd.ms-excel.template.macroenabled.main+xml":                            sanitize.KindXLTM,
		"application/vnd.ms-excel.addin.macroenabled.main+xml":                               sanitize.KindXLAM,
		"application/vnd.ms-excel.sheet.binary.macroenabled.main":                            sanitize.KindXLSB,
		"application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml": sanitize.KindPPTX,
		"application/vnd.ms-powerpoint.presentation.macroenabled.main+xml":                   sanitize.KindPPTM,
		"application/vnd.openxmlformats-officedocument.presentationml.slideshow.main+xml":    sanitize.KindPPSX,
		"application/vnd.ms-powerpoint.slideshow.macroenabled.main+xml":                      sanitize.KindPPSM,
		"application/vnd.openxmlformats-officedocument.presentationml.template.main+xml":     sanitize.KindPOTX,
		"application/vnd.ms-powerpoint.template.macroenabled.main+xml":                       sanitize.KindPOTM,
		"application/vnd.ms-powerpoint.addin.macroenabled.main+xml":                          sanitize.KindPPAM,
		"application/vnd.ms-visio.drawing.main+xml":                                          sanitize.KindVSDX,
		"application/vnd.ms-visio.drawing.macroenabled.main+xml":                             sanitize.KindVSDM,
		"application/vnd.ms-visio.template.main+xml":                                         sanitize.KindVSTX,
		"application/vnd.ms-visio.template.macroenabled.main+xml":                            sanitize.KindVSTM,
		"application/vnd.ms-visio.stencil.main+xml":                                          sanitize.KindVSSX,
		"application/vnd.ms-visio.stencil.macroenabled.main+xml":                             sanitize.KindVSSM,
		"application/vnd.ms-package.xps-fixeddocumentsequence+xml":                           sanitize.KindXPS,
		"application/oxps-fixeddocumentsequence+xml":                                         sanitize.KindXPS,
	}
})

// opcKind finds the main part of a package by its relationship and says what
// that part's content type makes of the package, as Office does.
func (f *file) opcKind(l *zipList, types member) sanitize.Kind {
	overrides, defaults := contentTypes(f.open(types, partBytes))
	rels, ok := l.find("_rels/.rels")
	if !ok {
		return sanitize.KindOPC
	}
	for _, target := range mainParts(f.open(rels, partBytes)) {
		target = strings.ToLower("/" + strings.TrimLeft(target, "/"))
		t, ok := overrides[target]
		if !ok {
			t = defaults[extension(target)]
		}
		if k, ok := mainTypes()[t]; ok {
			return k
		}
	}
	return sanitize.KindOPC
}

// contentTypes reads [Content_Types].xml; all in lower case, as names and
// types compare without case (ECMA-376 part 2, 10.1.2.2.3).
func contentTypes(b []byte) (overrides, defaults map[string]string) {
	overrides, defaults = map[string]string{}, map[string]string{}
	elements(b, func(e xml.StartElement) {
		t := strings.ToLower(strings.TrimSpace(attr(e, "ContentType")))
		switch e.Name.Local {
		case "Override":
			overrides[strings.ToLower(attr(e, "PartName"))] = t
		case "Default":
			defaults[strings.ToLower(attr(e, "Extension"))] = t
		}
	})
	return overrides, defaults
}

// mainParts are the targets of the relationships that name a main part, in
// transitional, strict, Visio's and XPS's words.
func mainParts(b []byte) []string {
	var targets []string
	elements(b, func(e xml.StartElement) {
		if e.Name.Local != "Relationship" {
			return
		}
		t := strings.ToLower(attr(e, "Type"))
		if strings.HasSuffix(t, "/relationships/officedocument") || strings.HasSuffix(t, "/relationships/document") ||
			strings.HasSuffix(t, "/fixedrepresentation") {
			targets = append(targets, attr(e, "Target"))
		}
	})
	return targets
}

// elements calls each for the start tags of b until it ends or is no XML.
func elements(b []byte, each func(xml.StartElement)) {
	d := xml.NewDecoder(bytes.NewReader(b))
	for {
		t, err := d.RawToken()
		if err != nil {
			return
		}
		if e, ok := t.(xml.StartElement); ok {
			each(e)
		}
	}
}

func attr(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

// insideZip looks at names and first bytes of the members of an archive that
// is not opened here.
func (f *file) insideZip(r *found, l *zipList) {
	for _, m := range l.members {
		if f.inner.members--; f.inner.members < 0 {
			return
		}
		if strings.HasSuffix(m.name, "/") {
			continue
		}
		f.insideName(r, m.name)
		if m.encrypted || f.inner.bytes <= 0 {
			continue
		}
		b := f.open(m, lookBytes)
		if len(b) == lookBytes && container(b) {
			b = f.open(m, innerObject)
		}
		f.insideBytes(r, m.name, b)
	}
}
