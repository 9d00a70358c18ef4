package outlook

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/richardlehane/mscfb"

	"sekisho/sanitize"
)

// storage is a folder of a compound file.
type storage struct {
	streams map[string][]byte
	folders map[string]*storage
	order   []string // of the folders
}

func newStorage() *storage {
	return &storage{streams: map[string][]byte{}, folders: map[string]*storage{}}
}

func (d *storage) folder(name string) *storage {
	if d.folders[name] == nil {
		d.folders[name] = newStorage()
		d.order = append(d.order, name)
	}
	return d.folders[name]
}

// openMSG reads a saved message.
func openMSG(s *sanitize.Session, in sanitize.Object) (*message, error) {
	doc, err := mscfb.New(io.NewSectionReader(in, 0, in.Size))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, sanitize.ErrMalformed)
	}
	if err := s.SpendEntries(len(doc.File)); err != nil {
		return nil, err
	}
	root := newStorage()
	var sum int64
	for _, f := range doc.File {
		if len(f.Path) > 3*maxDepth {
			return nil, tooDeep()
		}
		at := root
		for _, p := range f.Path {
			at = at.folder(p)
		}
		if f.FileInfo().IsDir() {
			at.folder(f.Name)
			continue
		}
		// Streams that share their sectors unpack to more than there is: the sum
		// is charged before any is read.
		if f.Size < 0 || f.Size > in.Size {
			return nil, fmt.Errorf("stream of %d bytes in a file of %d: %w", f.Size, in.Size, sanitize.ErrMalformed)
		}
		if sum += f.Size; sum > 4*in.Size {
			return nil, fmt.Errorf("streams of more than four times the file: %w", sanitize.ErrLimit)
		}
		b := make([]byte, f.Size)
		if _, err := io.ReadFull(f, b); err != nil && !(f.Size == 0 && errors.Is(err, io.EOF)) {
			return nil, fmt.Errorf("stream %q: %w", f.Name, sanitize.ErrMalformed)
		}
		if err := s.Spend(f.Size); err != nil {
			return nil, err
		}
		at.streams[f.Name] = b
	}
	return readMSG(s, root, 32, 0)
}

// readMSG reads the message in a storage. head is how long the header of its
// property stream is: 32 bytes at the top, 24 inside. [MS-OXMSG] 2.4.1.
func readMSG(s *sanitize.Session, d *storage, head, depth int) (*message, error) {
	if depth > maxDepth {
		return nil, tooDeep()
	}
	p, err := propertiesOf(d, head)
	if err != nil {
		return nil, err
	}
	if n, ok := p.number(pidCodepage); ok {
		p.codepage = n
	} else if n, ok := p.number(pidInternetCodepage); ok {
		p.codepage = n
	}
	m := &message{}
	if err := m.read(s, p); err != nil {
		return nil, err
	}
	names := slices.Clone(d.order)
	slices.Sort(names) // they are numbered
	for _, name := range names {
		sub := d.folders[name]
		switch {
		case strings.HasPrefix(name, "__recip_version1.0_"):
			q, err := propertiesOf(sub, 8)
			if err != nil {
				return nil, err
			}
			q.codepage = p.codepage
			m.recipient(q)
		case strings.HasPrefix(name, "__attach_version1.0_"):
			q, err := propertiesOf(sub, 8)
			if err != nil {
				return nil, err
			}
			q.codepage = p.codepage
			f, why := attachment(q)
			if f == nil {
				m.leave(why, q)
				continue
			}
			if inner := sub.folders["__substg1.0_3701000D"]; inner != nil {
				if n, _ := q.number(pidAttachMethod); n != 5 {
					m.leave(sanitize.Finding{Rule: "outlook.ole", Action: sanitize.Removed}, q)
					continue
				}
				if f.mail, err = readMSG(s, inner, 24, depth+1); err != nil {
					return nil, err
				}
				f.data = nil
			}
			m.files = append(m.files, *f)
		}
	}
	return m, nil
}

// propertiesOf reads the properties of a storage: short values stand in its
// property stream, long ones in streams named after them. [MS-OXMSG] 2.4.
func propertiesOf(d *storage, head int) (properties, error) {
	p := properties{m: map[uint16]value{}}
	b := d.streams["__properties_version1.0"]
	if len(b) < head {
		return p, fmt.Errorf("property stream: %w", errShort)
	}
	for b = b[head:]; len(b) >= 16; b = b[16:] {
		typ, id := binary.LittleEndian.Uint16(b), binary.LittleEndian.Uint16(b[2:])
		switch typ {
		case typeInteger16, typeInteger32, typeBoolean, typeTime:
			p.m[id] = value{typ, b[8:16]}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(d.streams)) {
		b := d.streams[name]
		tag, ok := strings.CutPrefix(name, "__substg1.0_")
		if !ok || len(tag) != 8 {
			continue // also the further values of a property that has many
		}
		n, err := strconv.ParseUint(tag, 16, 32)
		if err != nil {
			continue
		}
		id, typ := uint16(n>>16), uint16(n)
		switch typ {
		case typeString8, typeBinary, typeObject:
			// The same property in Unicode says it better.
			if have, ok := p.m[id]; !ok || have.typ != typeString {
				p.m[id] = value{typ, b}
			}
		case typeString:
			p.m[id] = value{typ, b}
		}
	}
	return p, nil
}
