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

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

// storage is a folder of a compound file. Its names are in small letters: the
// applications find them whatever their case.
type storage struct {
	streams map[string][]byte
	folders map[string]*storage
}

// openMSG reads a saved message.
func openMSG(s *sanitize.Session, in sanitize.Object) (*message, error) {
	f, err := cfb.Open(in, in.Size)
	if err != nil {
		return nil, container(err)
	}
	root, err := load(s, f.Root, 0)
	if err != nil {
		return nil, err
	}
	return readMSG(s, root, in.Around, 32, 0)
}

// container says what an error of the container means for the ladder.
func container(err error) error {
	switch {
	case errors.Is(err, cfb.ErrAmbiguous):
		return fmt.Errorf("%w: %w", err, sanitize.ErrAmbiguous)
	case errors.Is(err, cfb.ErrLimit):
		return fmt.Errorf("%w: %w", err, sanitize.ErrLimit)
	case errors.Is(err, cfb.ErrFormat):
		return fmt.Errorf("%w: %w", err, sanitize.ErrContainer)
	default:
		return err
	}
}

// load takes a folder into memory. Streams that share their sectors unpack to
// more than there is: each is charged before it is read, and the reader of the
// container bounds their sum.
func load(s *sanitize.Session, d *cfb.Storage, depth int) (*storage, error) {
	// A message lies two folders below the one that holds it.
	if depth > 2*maxDepth+2 {
		return nil, tooDeep()
	}
	out := &storage{streams: make(map[string][]byte, len(d.Streams)), folders: make(map[string]*storage, len(d.Storages))}
	for _, t := range d.Streams {
		if t.Size > s.Options.Limits.OutputBytes {
			return nil, fmt.Errorf("stream %q of %d octets: %w", t.Name, t.Size, sanitize.ErrLimit)
		}
		b, err := io.ReadAll(s.Meter(t.Reader()))
		if err != nil {
			return nil, fmt.Errorf("stream %q: %w", t.Name, err)
		}
		out.streams[strings.ToLower(t.Name)] = b
	}
	for _, c := range d.Storages {
		sub, err := load(s, c, depth+1)
		if err != nil {
			return nil, err
		}
		out.folders[strings.ToLower(c.Name)] = sub
	}
	return out, nil
}

// readMSG reads the message in a storage. head is how long the header of its
// property stream is: 32 bytes at the top, 24 inside. [MS-OXMSG] 2.4.1.
func readMSG(s *sanitize.Session, d *storage, mail string, head, depth int) (*message, error) {
	if depth > maxDepth {
		return nil, tooDeep()
	}
	p, err := propertiesOf(d, head)
	if err != nil {
		return nil, err
	}
	inside := map[string]properties{} // of its recipients and files, by the name of their folder
	sample := p.sampled(nil)
	names := slices.Sorted(maps.Keys(d.folders)) // they are numbered
	for _, name := range names {
		if strings.HasPrefix(name, recipientFolder) || strings.HasPrefix(name, fileFolder) {
			if inside[name], err = propertiesOf(d.folders[name], 8); err != nil {
				return nil, err
			}
			sample = inside[name].sampled(sample)
		}
	}
	p.page = pageOf(sample, mail, p.claims()...)
	m := &message{}
	if err := m.read(s, p); err != nil {
		return nil, err
	}
	for _, name := range names {
		sub, q := d.folders[name], inside[name]
		q.page = p.page
		switch {
		case strings.HasPrefix(name, recipientFolder):
			m.recipient(q)
		case strings.HasPrefix(name, fileFolder):
			if err := s.SpendEntries(1); err != nil {
				return nil, err
			}
			f, why := attachment(q)
			if f == nil {
				m.leave(why, q)
				continue
			}
			if inner := sub.folders["__substg1.0_3701000d"]; inner != nil {
				if n, _ := q.number(pidAttachMethod); n != 5 {
					m.leave(sanitize.Finding{Rule: "outlook.ole", Action: sanitize.Removed}, q)
					continue
				}
				if f.mail, err = readMSG(s, inner, mail, 24, depth+1); err != nil {
					return nil, err
				}
				f.data = nil
			}
			m.files = append(m.files, *f)
		}
	}
	return m, nil
}

// The folders of a message. [MS-OXMSG] 2.2.1, 2.2.2.
const (
	recipientFolder = "__recip_version1.0_"
	fileFolder      = "__attach_version1.0_"
)

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
