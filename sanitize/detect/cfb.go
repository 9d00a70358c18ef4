package detect

import (
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/richardlehane/mscfb"

	ours "sekisho/internal/cfb"
	"sekisho/sanitize"
)

// maxEntries is how many directory entries of a compound file are looked at;
// what makes it a document of some application stands among the first.
const maxEntries = 20000

// classes are the root's class identifiers that say which application wrote a
// compound file. The streams are asked first, as the applications do; the
// class decides where the streams are nobody's.
var classes = sync.OnceValue(func() map[string]sanitize.Kind {
	return map[string]sanitize.Kind{
		"00020900-0000-0000-C000-000000000046": sanitize.KindDOC, // Word 6
		"00020906-0000-0000-C000-000000000046": sanitize.KindDOC, // Word 8
		"00020810-0000-0000-C000-000000000046": sanitize.KindXLS, // Excel 5
		"00020820-0000-0000-C000-000000000046": sanitize.KindXLS, // Excel 8
		"64818D10-4F9B-11CF-86EA-00AA00B929E8": sanitize.KindPPT,
		"EA7BAE70-FB3B-11CD-A903-00AA00510EA3": sanitize.KindPPT, // PowerPoint 95
		"00020D0B-0000-0000-C000-000000000046": sanitize.KindMSG,
		"00021A13-0000-0000-C000-000000000046": sanitize.KindVSD,
		"00021A14-0000-0000-C000-000000000046": sanitize.KindVSD,
		"00021201-0000-0000-00C0-000000000046": sanitize.KindPUB,
		"78597001-1D84-11CF-9713-0020AFD806F4": sanitize.KindJTD, // feasibility.md 6
		"78597002-1D84-11CF-9713-0020AFD806F4": sanitize.KindJTDC,
		"000C1082-0000-0000-C000-000000000046": sanitize.KindExecutable, // installer transform
		"000C1084-0000-0000-C000-000000000046": sanitize.KindExecutable, // installer package
		"000C1086-0000-0000-C000-000000000046": sanitize.KindExecutable, // installer patch
	}
})

// compound says whose compound file it is, by the streams at its root.
func (f *file) compound() found {
	r := found{kind: sanitize.KindCFB}
	entries, id, ok := f.streams()
	if !ok {
		r.note("detect.malformed", "compound file without a readable directory")
		return r
	}
	var kinds []sanitize.Kind
	is := func(k sanitize.Kind) {
		for _, have := range kinds {
			if have == k {
				return
			}
		}
		kinds = append(kinds, k)
	}
	encrypted, installer := false, false
	for _, e := range entries {
		if e.inside != "" {
			if e.inside == "Quill" {
				is(sanitize.KindPUB)
			}
			continue
		}
		name := strings.ToLower(e.name)
		switch {
		case name == "worddocument":
			is(sanitize.KindDOC)
			// [MS-DOC] 2.5.2: flag fEncrypted of the file information block.
			if b := start(e.r, 12); len(b) == 12 && b[11]&1 != 0 {
				encrypted = true
			}
		case name == "workbook" || name == "book":
			is(sanitize.KindXLS)
			encrypted = encrypted || filePass(start(e.r, 4096))
		case name == "powerpoint document" || name == "pp40" || name == "pp97_dualstorage":
			is(sanitize.KindPPT)
		case name == "current user":
			// [MS-PPT] 2.3.2: the token of an encrypted presentation.
			if b := start(e.r, 16); len(b) == 16 && binary.LittleEndian.Uint32(b[12:]) == 0xf3d1c4df {
				encrypted = true
			}
		case name == "encryptedpackage":
			encrypted = true
		case strings.HasPrefix(name, "__properties_version1.0"):
			is(sanitize.KindMSG)
		case name == "visiodocument":
			is(sanitize.KindVSD)
		case name == "quill":
			is(sanitize.KindPUB)
		case name == "fileheader":
			if b := start(e.r, 17); string(b) == "HWP Document File" {
				is(sanitize.KindHWP)
			}
		case name == "documenttext" || name == "documentviewstyles":
			is(sanitize.KindJTD)
		case name == "jscompdocument":
			is(sanitize.KindJTDC)
		case strings.ContainsRune(e.name, 0x4840): // the table stream marker of installer packages
			installer = true
		}
	}
	class := classes()[id]
	switch {
	case installer || class == sanitize.KindExecutable:
		r.kind = sanitize.KindExecutable
	case encrypted:
		r.kind = sanitize.KindEncryptedOffice
	case len(kinds) == 1:
		r.kind = kinds[0]
	case len(kinds) > 1:
		// Two applications would each open their own document in it.
		r.kind = sanitize.KindPolyglot
		r.note("detect.polyglot", "compound file of "+string(kinds[0])+" and "+string(kinds[1]))
	case class != "":
		r.kind = class
	default:
		if k, ok := justSystems(entries, id); ok {
			r.kind = k
		}
	}
	return r
}

// entry is one of the directory of a compound file.
type entry struct {
	name, inside string // the storage it is in; "" for the root
	r            io.Reader
}

// maxSlots is how large a directory may be for the second reader, which keeps
// the whole path of everything that it meets and follows whatever is said to be
// below something: at 2,048 these are 32 MiB at most, and grow as the square.
const maxSlots = 2048

// streams lists the entries of a compound file and tells the class of its root:
// what the reader sees that the sanitizers use, and what another one sees beside
// it. Of a file that the first refuses the names in the directory are told, whose
// document it wanted to be.
func (f *file) streams() (entries []entry, class string, ok bool) {
	doc, err := ours.Open(f, f.Size)
	if err != nil {
		names, id, err := ours.Names(f, f.Size)
		for _, n := range names[:min(len(names), maxEntries)] {
			entries = append(entries, entry{n, "", strings.NewReader("")})
		}
		return entries, classOf(id), err == nil
	}
	type place struct{ name, inside string }
	seen := map[place]bool{}
	add := func(x entry) {
		at := place{strings.ToLower(x.name), strings.ToLower(x.inside)}
		if len(entries) < maxEntries && !seen[at] {
			seen[at] = true
			entries = append(entries, x)
		}
	}
	for _, t := range doc.Root.Streams {
		add(entry{t.Name, "", t.Reader()})
	}
	for _, t := range doc.Root.Storages {
		add(entry{t.Name, "", strings.NewReader("")})
		for _, u := range t.Streams {
			add(entry{u.Name, t.Name, u.Reader()})
		}
	}
	if doc.Slots > maxSlots {
		return entries, classOf(doc.Root.CLSID), true
	}
	if other, err := mscfb.New(io.NewSectionReader(f, 0, f.Size)); err == nil {
		for _, e := range other.File[1:] {
			x := entry{name: e.Name, r: e}
			if e.Initial < 0x20 { // it takes such a character off
				x.name = string(rune(e.Initial)) + e.Name
			}
			if len(e.Path) > 0 {
				x.inside = e.Path[0]
			}
			add(x)
		}
	}
	return entries, classOf(doc.Root.CLSID), true
}

// classOf writes a class identifier as it is spoken of.
func classOf(c [16]byte) string {
	return fmt.Sprintf("%08X-%04X-%04X-%X-%X", binary.LittleEndian.Uint32(c[:]), binary.LittleEndian.Uint16(c[4:]), binary.LittleEndian.Uint16(c[6:]), c[8:10], c[10:])
}

// start returns the first n bytes of a stream, fewer when it has no more.
func start(r io.Reader, n int) []byte {
	b := make([]byte, n)
	m, err := io.ReadFull(r, b)
	if err != nil && m == 0 {
		return nil
	}
	return b[:m]
}

// filePass reports whether a workbook opens with the record that says that the
// rest is encrypted ([MS-XLS] 2.4.117); it follows the first BOF and perhaps
// WRITEPROTECT.
func filePass(b []byte) bool {
	for n := 0; n < 8 && len(b) >= 4; n++ {
		id := binary.LittleEndian.Uint16(b)
		size := int(binary.LittleEndian.Uint16(b[2:]))
		if id == 0x2f {
			return true
		}
		if 4+size > len(b) {
			return false
		}
		b = b[4+size:]
	}
	return false
}
