package verify

import (
	"archive/zip"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"path"
	"strings"

	"sekisho/sanitize"
)

// checkZIP looks at an archive member by member: each is a file that might be
// attached to a mail by itself, and the archive is laid out in the one way the
// gateway writes.
func checkZIP(ctx context.Context, s *sanitize.Session, where string, b []byte) error {
	undo, err := s.Deeper()
	if err != nil {
		return err
	}
	defer undo()
	names, err := layout(where, b)
	if err != nil {
		return err
	}
	if len(names) > s.Options.Limits.Entries {
		return notAllowed(where, "ZIP: %d members", len(names))
	}
	z, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		return notAllowed(where, "ZIP: %v", err)
	}
	if len(z.File) != len(names) {
		return notAllowed(where, "ZIP: %d members, %d of them listed", len(names), len(z.File))
	}
	seen := map[string]bool{}
	for i, f := range z.File {
		at := fmt.Sprintf("%s/%d", where, i+1)
		if err := ctx.Err(); err != nil {
			return err
		}
		if f.Name != names[i] || f.Comment != "" || f.ExternalAttrs != 0 || f.CreatorVersion>>8 != 0 || len(f.Extra) > 0 {
			return notAllowed(at, "ZIP: name or attributes")
		}
		k, err := memberKind(at, f.Name)
		if err != nil {
			return err
		}
		folded := strings.ToLower(f.Name)
		if seen[folded] {
			return notAllowed(at, "ZIP: a name twice")
		}
		seen[folded] = true
		for dir := path.Dir(folded); dir != "."; dir = path.Dir(dir) {
			if seen[dir] {
				return notAllowed(at, "ZIP: a file in a file")
			}
		}
		if err := checkMember(ctx, s, at, k, f); err != nil {
			return err
		}
	}
	return nil
}

func checkMember(ctx context.Context, s *sanitize.Session, at string, k sanitize.Kind, f *zip.File) error {
	r, err := f.Open()
	if err != nil {
		return notAllowed(at, "ZIP: %v", err)
	}
	defer r.Close()
	switch k {
	case sanitize.KindText, sanitize.KindCSV, sanitize.KindTSV:
		// However long it is, it need not be kept. The standard library's reader
		// compares the checksum at the end.
		return plainText(at, bounded(s, r))
	}
	b, err := read(s, r)
	if err != nil {
		return notAllowed(at, "%v", err)
	}
	return content(ctx, s, at, k, b)
}

// memberKind is the kind that the name of a member promises. Every segment of
// the name must be one that a file may have.
func memberKind(at, name string) (sanitize.Kind, error) {
	for _, segment := range strings.Split(name, "/") {
		if segment == "" || strings.Trim(segment, ". ") != segment || len(segment) > 255 || strings.ContainsAny(segment, "\\:*?\"<>|\r\n\t") {
			return "", notAllowed(at, "ZIP: characters of a name")
		}
		if err := plainText(at, strings.NewReader(segment)); err != nil {
			return "", err
		}
	}
	ext := extension(path.Base(name))
	for _, k := range append(written(), sanitize.KindMessage) {
		for _, e := range k.Extensions() {
			if e == ext {
				return k, nil
			}
		}
	}
	return "", notAllowed(at, "ZIP: extension %q is never written", ext)
}

// layout walks the octets of an archive from the front: members one behind the
// other with their sizes before them, then the directory, then its end, and
// nothing anywhere else. It returns the names as they stand in front.
func layout(where string, b []byte) ([]string, error) {
	le := binary.LittleEndian
	var names []string
	i := 0
	for i+30 <= len(b) && string(b[i:i+4]) == "PK\x03\x04" {
		flags, method, date := le.Uint16(b[i+6:]), le.Uint16(b[i+8:]), le.Uint32(b[i+10:])
		packed, size := int(le.Uint32(b[i+18:])), int(le.Uint32(b[i+22:]))
		name, extra := int(le.Uint16(b[i+26:])), int(le.Uint16(b[i+28:]))
		if flags != 0x800 || method != 0 && method != 8 || method == 0 && packed != size || date != 1<<21|1<<16 || extra != 0 {
			return nil, notAllowed(where, "ZIP: header at octet %d", i)
		}
		if name == 0 || packed > len(b) || i+30+name+packed > len(b) {
			return nil, notAllowed(where, "ZIP: sizes at octet %d", i)
		}
		names = append(names, string(b[i+30:i+30+name]))
		i += 30 + name + packed
	}
	from := i
	for n := range names {
		if i+46 > len(b) || string(b[i:i+4]) != "PK\x01\x02" {
			return nil, notAllowed(where, "ZIP: member %d is not listed", n+1)
		}
		name := int(le.Uint16(b[i+28:]))
		if le.Uint16(b[i+30:]) != 0 || le.Uint16(b[i+32:]) != 0 || i+46+name > len(b) || string(b[i+46:i+46+name]) != names[n] {
			return nil, notAllowed(where, "ZIP: member %d is listed as another", n+1)
		}
		i += 46 + name
	}
	e := b[i:]
	if len(e) != 22 || string(e[:4]) != "PK\x05\x06" || le.Uint32(e[4:]) != 0 || int(le.Uint16(e[8:])) != len(names) ||
		int(le.Uint16(e[10:])) != len(names) || int(le.Uint32(e[12:])) != i-from || int(le.Uint32(e[16:])) != from || le.Uint16(e[20:]) != 0 {
		return nil, notAllowed(where, "ZIP: end of directory")
	}
	return names, nil
}

// checkForwarded looks at a message that is inside of something.
func checkForwarded(ctx context.Context, s *sanitize.Session, where string, b []byte, depth int) error {
	undo, err := s.Deeper()
	if err != nil {
		return err
	}
	defer undo()
	return forwarded(ctx, s, where, b, depth)
}
