package zipstrict

import (
	"bytes"
	"fmt"
	"hash/crc32"
	"io/fs"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/unicode/norm"
)

// decodeName reads the raw name as the programs of our users do: UTF-8 when
// the archive says so, else what it can only be, else CP932, in which Windows
// in Japan writes.
func (f *File) decodeName(extra []byte) error {
	raw := f.RawName
	if len(raw) == 0 {
		return fmt.Errorf("member without a name: %w", ErrMalformed)
	}
	name := ""
	switch {
	case utf8.Valid(raw):
		name = string(raw)
	case f.Flags&flagUTF8 != 0:
		return fmt.Errorf("name %q is not the UTF-8 it says: %w", raw, ErrAmbiguous)
	default:
		s, err := legacy(raw)
		if err != nil {
			return fmt.Errorf("name %q in no known encoding: %w", raw, ErrMalformed)
		}
		name = s
	}
	if u, ok := unicodePath(extra, raw); ok && u != name {
		// Info-ZIP's second name. It may only say the same in another encoding:
		// never for a name that needs none, never another place or extension.
		if utf8.Valid(raw) || skeleton(u) != skeleton(name) {
			return fmt.Errorf("name %q has another in a field beside it: %w", raw, ErrAmbiguous)
		}
		name = u
	}
	f.Trick = trickOf(name)
	name = strings.ReplaceAll(name, `\`, "/")
	f.Name = strings.TrimLeft(name, "/")
	if f.Name == "" {
		return fmt.Errorf("member named %q: %w", raw, ErrMalformed)
	}
	f.IsDir = strings.HasSuffix(f.Name, "/")
	switch {
	case f.Mode&fs.ModeSymlink != 0:
		f.Trick = Link
	case f.Mode&(fs.ModeDevice|fs.ModeNamedPipe|fs.ModeSocket) != 0:
		f.Trick = Device
	}
	if f.IsDir && f.Size != 0 {
		return fmt.Errorf("directory %q with content: %w", f.Name, ErrAmbiguous)
	}
	if !f.IsDir && f.Mode&fs.ModeDir != 0 && f.Size != 0 {
		// QUIRK: some programs leave the DOS directory bit set on files; the
		// name decides for every reader that extracts.
		f.Mode &^= fs.ModeDir
	}
	return nil
}

// legacy reads a name in none of the encodings of today: CP932, in which Windows
// in Japan writes; EUC-JP, in which old Unix did; CP437, which the format itself
// names (APPNOTE, D.1) and which fits every octet.
func legacy(raw []byte) (string, error) {
	var s []byte
	for _, e := range []encoding.Encoding{japanese.ShiftJIS, japanese.EUCJP, charmap.CodePage437} {
		var err error
		if s, err = e.NewDecoder().Bytes(raw); err != nil {
			return "", err
		}
		// The decoders put this in the place of what they cannot read.
		if !bytes.ContainsRune(s, utf8.RuneError) {
			break
		}
	}
	return string(s), nil
}

// checkLocalName refuses a second name that only the local header has.
func (f *File) checkLocalName(extra []byte) error {
	u, ok := unicodePath(extra, f.RawName)
	if !ok {
		return nil
	}
	if u = strings.TrimLeft(strings.ReplaceAll(u, `\`, "/"), "/"); u != f.Name && (utf8.Valid(f.RawName) || skeleton(u) != skeleton(f.Name)) {
		return fmt.Errorf("name %q has another in a field beside it: %w", f.RawName, ErrAmbiguous)
	}
	return nil
}

// unicodePath returns Info-ZIP's Unicode path field, if it belongs to raw.
// APPNOTE 4.6.9.
func unicodePath(extra, raw []byte) (string, bool) {
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if n > len(extra)-4 {
			return "", false
		}
		field := extra[4 : 4+n]
		if id == 0x7075 && n > 5 && field[0] == 1 && le.Uint32(field[1:]) == crc32.ChecksumIEEE(raw) && utf8.Valid(field[5:]) {
			return string(field[5:]), true
		}
		extra = extra[4+n:]
	}
	return "", false
}

// skeleton is what a name says in ASCII: its slashes and its extension. Two
// spellings of one name in two encodings agree in it.
func skeleton(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	ext := ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 && i > strings.LastIndexByte(name, '/') {
		ext = strings.ToLower(name[i:])
	}
	return strings.Repeat("/", strings.Count(name, "/")) + ext
}

// trickOf judges a decoded name.
func trickOf(name string) Trick {
	for _, r := range name {
		if r < 0x20 || r == 0x7F || r >= 0x80 && r < 0xA0 {
			return Control
		}
	}
	slashed := strings.ReplaceAll(name, `\`, "/")
	segments := strings.Split(strings.TrimSuffix(slashed, "/"), "/")
	for _, s := range segments {
		// Windows drops dots and spaces at the end: ".. " leads up as well.
		if t := strings.TrimRight(s, " ."); t == "" && strings.HasPrefix(s, "..") {
			return Traversal
		}
	}
	if strings.HasPrefix(slashed, "/") {
		return Absolute
	}
	if strings.ContainsRune(name, ':') {
		return Drive
	}
	for _, s := range segments {
		if strings.TrimRight(s, " .") == "" {
			return EmptyPart
		}
	}
	if slashed != name {
		return Backslash
	}
	return ""
}

// Key is the form of a name in which two names that any file system takes for
// one are equal: case folded, composed, slashes only, no dots and spaces at the
// end of a segment, no empty segments.
func Key(name string) string {
	name = strings.ReplaceAll(name, `\`, "/")
	if isASCII([]byte(name)) {
		name = strings.ToLower(name)
	} else {
		name = norm.NFKC.String(fold(norm.NFKC.String(name)))
	}
	out := make([]string, 0, 8)
	for s := range strings.SplitSeq(name, "/") {
		if s = strings.TrimRight(s, " ."); s != "" {
			out = append(out, s)
		}
	}
	return strings.Join(out, "/")
}

func isASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 {
			return false
		}
	}
	return true
}

// checkNames refuses names that collide, and files that are also directories.
func (z *Reader) checkNames() error {
	files := make(map[string]bool, len(z.Files)) // key: is it a directory
	keys := make([]string, len(z.Files))
	for i := range z.Files {
		f := &z.Files[i]
		k := Key(f.Name)
		if dir, twice := files[k]; twice && !(dir && f.IsDir) {
			return fmt.Errorf("two members named %q: %w", f.Name, ErrAmbiguous)
		}
		files[k], keys[i] = f.IsDir, k
	}
	for i, k := range keys {
		for {
			cut := strings.LastIndexByte(k, '/')
			if cut < 0 {
				break
			}
			k = k[:cut]
			if isDir, ok := files[k]; ok && !isDir {
				return fmt.Errorf("%q lies in a file: %w", z.Files[i].Name, ErrAmbiguous)
			}
		}
	}
	return nil
}
