package detect

import (
	"archive/tar"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"encoding/binary"
	"io"
	"path"
	"strings"

	"sekisho/internal/charset"
	"sekisho/sanitize"
)

// insideName judges a member by its name alone.
func (f *file) insideName(r *found, name string) {
	if k, ok := dangerousName(name); ok {
		r.add(k)
	} else if k, ok := memberNames()[extension(name)]; ok {
		r.add(k)
	}
}

// insideBytes judges a member by its content, which may be cut.
func (f *file) insideBytes(r *found, name string, b []byte) {
	if len(b) == 0 || f.depth >= innerDepth {
		return
	}
	d, err := detect(sanitize.Object{
		ReaderAt: bytes.NewReader(b), Size: int64(len(b)), Name: path.Base(strings.ReplaceAll(name, `\`, "/")),
	}, f.inner, f.depth+1)
	if err != nil {
		return
	}
	if d.Kind.Class() == sanitize.ClassExecutable {
		r.add(d.Kind)
	}
	for _, k := range d.Inside {
		r.add(k)
	}
}

// container reports whether b opens like something that is itself looked into.
func container(b []byte) bool {
	return hasPrefix(b, "PK\x03\x04") || hasPrefix(b, "\x1f\x8b\x08") || hasPrefix(b, "BZh") || tarHeader(b) ||
		hasPrefix(b, "Rar!\x1a\x07") || hasPrefix(b, "MSCF") || hasPrefix(b, "\xd0\xcf\x11\xe0") || len(b) > 6 && b[2] == '-' && b[6] == '-'
}

// archive fills in what the headers of archives other than ZIP say: whether
// they are encrypted, and which names they hold.
func (f *file) archive(r *found) {
	switch r.kind {
	case sanitize.KindTAR:
		f.tar(r, io.NewSectionReader(f, 0, f.Size))
	case sanitize.KindGZ:
		z, err := gzip.NewReader(io.NewSectionReader(f, 0, f.Size))
		if err != nil {
			return
		}
		f.insideName(r, z.Name)
		f.stream(r, z)
	case sanitize.KindBZ2:
		f.stream(r, bzip2.NewReader(io.NewSectionReader(f, 0, f.Size)))
	case sanitize.Kind7z:
		f.sevenZip(r)
	case sanitize.KindRAR:
		f.rar(r)
	case sanitize.KindLZH:
		f.lzh(r)
	case sanitize.KindCAB:
		f.cab(r)
	case sanitize.KindARJ:
		f.arj(r)
	}
}

// stream looks into a file that is compressed as a whole.
func (f *file) stream(r *found, z io.Reader) {
	b := f.expand(z, innerObject)
	name := strings.TrimSuffix(strings.TrimSuffix(f.Name, path.Ext(f.Name)), ".tar")
	if !tarHeader(b) {
		f.insideName(r, name)
	}
	f.insideBytes(r, name, b)
}

func (f *file) tar(r *found, src io.Reader) {
	if f.depth >= innerDepth {
		return
	}
	t := tar.NewReader(src)
	for {
		h, err := t.Next()
		if f.inner.members--; err != nil || f.inner.members < 0 {
			return
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		f.insideName(r, h.Name)
		if h.Typeflag != tar.TypeReg || f.inner.bytes <= 0 {
			continue
		}
		b := f.expand(t, lookBytes)
		if len(b) == lookBytes && container(b) {
			b = append(b, f.expand(t, innerObject)...)
		}
		f.insideBytes(r, h.Name, b)
	}
}

// sevenZip looks for the AES coder in the header. A header that is compressed
// hides it; such an archive is kept back all the same.
func (f *file) sevenZip(r *found) {
	// 7zFormat.txt, SignatureHeader.
	if len(f.head) < 32 {
		return
	}
	off := binary.LittleEndian.Uint64(f.head[12:])
	size := binary.LittleEndian.Uint64(f.head[20:])
	if off > uint64(f.Size) || size > uint64(f.Size) {
		return
	}
	h := f.peek(32+int64(off), int64(min(size, partBytes)))
	if bytes.Contains(h, []byte("\x06\xf1\x07\x01")) {
		r.kind = sanitize.KindEncrypted7z
	}
	if len(h) > 0 && h[0] == 1 {
		// The names stand in UTF-16 after one another.
		for _, n := range strings.Split(utf16le(h), "\x00") {
			f.insideName(r, n)
		}
	}
}

// utf16le decodes what looks like names; the rest becomes characters that no
// extension has.
func utf16le(b []byte) string {
	var s strings.Builder
	for _, odd := range [...]int{0, 1} {
		for i := odd; i+1 < len(b); i += 2 {
			s.WriteRune(rune(binary.LittleEndian.Uint16(b[i:])))
		}
		s.WriteByte(0)
	}
	return s.String()
}

func (f *file) rar(r *found) {
	if hasPrefix(f.head, "Rar!\x1a\x07\x01\x00") {
		f.rar5(r)
		return
	}
	at := int64(7)
	for n := 0; n < innerMembers; n++ {
		// technote.txt of RAR 4: CRC, type, flags, size of the block.
		b := f.peek(at, 32+1024)
		if len(b) < 7 {
			return
		}
		flags := binary.LittleEndian.Uint16(b[3:])
		size := int64(binary.LittleEndian.Uint16(b[5:]))
		if size < 7 {
			return
		}
		switch b[2] {
		case 0x73: // of the archive
			if flags&0x80 != 0 {
				r.kind = sanitize.KindEncryptedRAR
				return
			}
		case 0x74: // of a file
			if len(b) < 32 {
				return
			}
			if flags&4 != 0 {
				r.kind = sanitize.KindEncryptedRAR
			}
			from := 32
			if flags&0x100 != 0 {
				from += 8
			}
			to := min(from+int(binary.LittleEndian.Uint16(b[26:])), len(b))
			if from < to {
				name, _, _ := bytes.Cut(b[from:to], []byte{0})
				f.insideName(r, charset.Decode("", name).Text)
			}
			size += int64(binary.LittleEndian.Uint32(b[7:]))
		case 0x7b:
			return
		default:
			if flags&0x8000 != 0 && len(b) >= 11 {
				size += int64(binary.LittleEndian.Uint32(b[7:]))
			}
		}
		at += size
	}
}

func (f *file) rar5(r *found) {
	at := int64(8)
	for n := 0; n < innerMembers; n++ {
		b := f.peek(at, 4096)
		v := vints{b: b, i: 4}
		size := v.next()
		start := v.i
		kind, flags := v.next(), v.next()
		var extra, data uint64
		if flags&1 != 0 {
			extra = v.next()
		}
		if flags&2 != 0 {
			data = v.next()
		}
		if v.bad || size == 0 || size > 2<<20 || data > uint64(f.Size) {
			return
		}
		switch kind {
		case 4: // everything after is encrypted
			r.kind = sanitize.KindEncryptedRAR
			return
		case 5:
			return
		case 2, 3:
			fileFlags := v.next()
			v.next() // unpacked size
			v.next() // attributes
			if fileFlags&2 != 0 {
				v.i += 4
			}
			if fileFlags&4 != 0 {
				v.i += 4
			}
			v.next() // compression
			v.next() // system
			name := v.next()
			if !v.bad && kind == 2 && name <= 4096 && v.i+int(name) <= len(b) {
				f.insideName(r, strings.ToValidUTF8(string(b[v.i:v.i+int(name)]), "\ufffd"))
			}
			if end := start + int(size); extra > 0 && extra < size && end <= len(b) {
				for x := (vints{b: b[:end], i: end - int(extra)}); x.i < end && !x.bad; {
					length := x.next()
					next := x.i + int(min(length, 1<<16))
					if x.next() == 1 && kind == 2 {
						r.kind = sanitize.KindEncryptedRAR
					}
					x.i = next
				}
			}
		}
		at += int64(start) + int64(size) + int64(data)
	}
}

// vints reads the variable-length numbers of RAR 5.
type vints struct {
	b   []byte
	i   int
	bad bool
}

func (v *vints) next() uint64 {
	var n uint64
	for shift := 0; shift < 63; shift += 7 {
		if v.i < 0 || v.i >= len(v.b) {
			break
		}
		c := v.b[v.i]
		v.i++
		n |= uint64(c&0x7f) << shift
		if c&0x80 == 0 {
			return n
		}
	}
	v.bad = true
	return 0
}

// lzh walks the headers of levels 0 to 2.
func (f *file) lzh(r *found) {
	at := int64(0)
	for n := 0; n < innerMembers; n++ {
		h := f.peek(at, 4096)
		if len(h) < 24 || h[0] == 0 || h[2] != '-' {
			return
		}
		packed := int64(binary.LittleEndian.Uint32(h[7:]))
		size := int64(h[0]) + 2
		name := ""
		ext := 0
		switch h[20] {
		case 0, 1:
			length := int(h[21])
			if 22+length > len(h) {
				return
			}
			raw, _, _ := bytes.Cut(h[22:22+length], []byte{0})
			name = charset.Decode("shift_jis", raw).Text
			ext = int(size) - 2 // level 1 ends with the size of the first extension
		case 2:
			size = int64(binary.LittleEndian.Uint16(h))
			ext = 24
		default:
			return
		}
		if h[20] > 0 {
			for step := 0; step < 64 && ext+3 <= len(h); step++ {
				length := int(binary.LittleEndian.Uint16(h[ext:]))
				if length < 3 || ext+2+length > len(h) {
					break
				}
				if h[ext+2] == 1 { // the file name
					name = charset.Decode("shift_jis", h[ext+3:ext+length]).Text
				}
				ext += length
			}
		}
		f.insideName(r, name)
		if size <= 0 {
			return
		}
		at += size + packed
	}
}

// cab reads the names of [MS-CAB] 2.4.
func (f *file) cab(r *found) {
	if len(f.head) < 36 {
		return
	}
	at := int64(binary.LittleEndian.Uint32(f.head[16:]))
	files := int(binary.LittleEndian.Uint16(f.head[28:]))
	for range min(files, innerMembers) {
		h := f.peek(at, 16+257)
		if len(h) < 17 {
			return
		}
		i := bytes.IndexByte(h[16:], 0)
		if i < 0 {
			return
		}
		label := "shift_jis"
		if binary.LittleEndian.Uint16(h[14:])&0x80 != 0 {
			label = "utf-8"
		}
		f.insideName(r, charset.Decode(label, h[16:16+i]).Text)
		at += 16 + int64(i) + 1
	}
}

func (f *file) arj(r *found) {
	at := int64(0)
	for n := 0; n < innerMembers; n++ {
		h := f.peek(at, 4+2600)
		if len(h) < 40 || !hasPrefix(h, "\x60\xea") {
			return
		}
		size := int(binary.LittleEndian.Uint16(h[2:]))
		first := int(h[4])
		if size == 0 || first < 30 || 4+first >= len(h) || 4+size > len(h) {
			return
		}
		if n > 0 { // the first header is the archive's own
			name, _, _ := bytes.Cut(h[4+first:4+size], []byte{0})
			f.insideName(r, charset.Decode("", name).Text)
		}
		next := at + 4 + int64(size) + 4
		for {
			e := f.peek(next, 2)
			if len(e) < 2 {
				return
			}
			x := int64(binary.LittleEndian.Uint16(e))
			next += 2
			if x == 0 {
				break
			}
			next += x + 4
		}
		if n > 0 {
			next += int64(binary.LittleEndian.Uint32(h[16:]))
		}
		at = next
	}
}
