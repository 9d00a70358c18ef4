package detect

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
	"unicode/utf16"

	"sekisho/sanitize"
)

// compoundFile writes a small compound file: one storage level, every stream
// padded to 4,096 bytes so that no mini stream is needed.
func compoundFile(class string, streams map[string][]byte, order ...string) []byte {
	const sector = 512
	le := binary.LittleEndian
	var data bytes.Buffer // sectors from 0 on: FAT, directory, streams
	per := 8
	entries := len(order) + 1
	dirSectors := (entries + 3) / 4
	fat := make([]uint32, 128)
	for i := range fat {
		fat[i] = 0xffffffff
	}
	fat[0] = 0xfffffffd
	for i := range dirSectors {
		fat[1+i] = uint32(2 + i)
	}
	fat[dirSectors] = 0xfffffffe
	next := 1 + dirSectors
	dir := make([]byte, dirSectors*sector)
	entry := func(i int, name string, kind byte, right, child, start uint32, size uint64) {
		e := dir[i*128:]
		u := utf16.Encode([]rune(name))
		for j, c := range u {
			le.PutUint16(e[2*j:], c)
		}
		le.PutUint16(e[64:], uint16(2*len(u)+2))
		e[66], e[67] = kind, 1
		le.PutUint32(e[68:], 0xffffffff)
		le.PutUint32(e[72:], right)
		le.PutUint32(e[76:], child)
		le.PutUint32(e[116:], start)
		le.PutUint64(e[120:], size)
	}
	child := uint32(0xffffffff)
	if len(order) > 0 {
		child = 1
	}
	entry(0, "Root Entry", 5, 0xffffffff, child, 0xfffffffe, 0)
	copy(dir[80:], classID(class))
	var body bytes.Buffer
	for i, name := range order {
		right := uint32(0xffffffff)
		if i+1 < len(order) {
			right = uint32(i + 2)
		}
		b := make([]byte, per*sector)
		copy(b, streams[name])
		body.Write(b)
		entry(i+1, name, 2, right, 0xffffffff, uint32(next), uint64(len(b)))
		for range per {
			fat[next] = uint32(next + 1)
			next++
		}
		fat[next-1] = 0xfffffffe
	}
	h := make([]byte, sector)
	copy(h, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	le.PutUint16(h[24:], 0x3e)
	le.PutUint16(h[26:], 3)
	le.PutUint16(h[28:], 0xfffe)
	le.PutUint16(h[30:], 9)
	le.PutUint16(h[32:], 6)
	le.PutUint32(h[44:], 1)
	le.PutUint32(h[48:], 1)
	le.PutUint32(h[56:], 4096)
	le.PutUint32(h[60:], 0xfffffffe)
	le.PutUint32(h[68:], 0xfffffffe)
	for i := 76; i < sector; i += 4 {
		le.PutUint32(h[i:], 0xffffffff)
	}
	le.PutUint32(h[76:], 0)
	data.Write(h)
	for _, v := range fat {
		data.Write(le.AppendUint32(nil, v))
	}
	data.Write(dir)
	data.Write(body.Bytes())
	return data.Bytes()
}

// classID lays a class identifier out as files store it.
func classID(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, "-", ""))
	if err != nil || len(b) != 16 {
		return make([]byte, 16)
	}
	return []byte{b[3], b[2], b[1], b[0], b[5], b[4], b[7], b[6], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]}
}

// compObj is the stream of a document's class, with the kind that users are shown.
func compObj(kind string) []byte {
	b := append(make([]byte, 28), byte(len(kind)+1), 0, 0, 0)
	return append(append(b, kind...), make([]byte, 20)...)
}

// summaryOf is a property set with one text, in code page 932.
func summaryOf(id byte, text string) []byte {
	b := append([]byte{0xFE, 0xFF, 0, 0}, make([]byte, 20)...)
	b = append(b, 1, 0, 0, 0)
	b = append(b, 0xE0, 0x85, 0x9F, 0xF2, 0xF9, 0x4F, 0x68, 0x10, 0xAB, 0x91, 0x08, 0x00, 0x2B, 0x27, 0xB3, 0xD9, 48, 0, 0, 0)
	b = append(b, 100, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 24, 0, 0, 0, id, 0, 0, 0, 32, 0, 0, 0, 2, 0, 0, 0, 0xA4, 0x03, 0, 0, 30, 0, 0, 0, byte(len(text)+1), 0, 0, 0)
	return append(append(b, text...), make([]byte, 64)...)
}

// TestDirectoriesOfAnyShapeAreToldWithoutCost: a reader that keeps the path of
// everything would keep gigabytes of storages in storages, and of streams that
// say something is below them.
func TestDirectoriesOfAnyShapeAreToldWithoutCost(t *testing.T) {
	const n = 60000
	names := make([]string, n)
	for i := range names {
		names[i] = "x"
	}
	names[0] = "WordDocument"
	le := binary.LittleEndian
	for _, kind := range []byte{1, 2} { // storages, streams
		b := chained(names, kind)
		if got := see(t, object(b, "a.doc")).Kind; got != sanitize.KindDOC && got != sanitize.KindCFB {
			t.Errorf("entries of type %d: %s", kind, got)
		}
		// The same, refused: the first entry is met again at the end.
		dir := 512 * (1 + int(le.Uint32(b[48:])))
		le.PutUint32(b[dir+128*n+68:], 1)
		if got := see(t, object(b, "a.doc")).Kind; got != sanitize.KindDOC {
			t.Errorf("entries of type %d in a circle: %s", kind, got)
		}
	}
}

// chained writes a compound file of which every entry is below the one before.
func chained(names []string, kind byte) []byte {
	const sector = 512
	le := binary.LittleEndian
	dir := (len(names) + 1 + 3) / 4
	fats := (dir + 127) / 128
	for (fats+dir+127)/128 > fats {
		fats++
	}
	b := make([]byte, (1+fats+dir)*sector)
	copy(b, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
	le.PutUint16(b[26:], 3)
	le.PutUint16(b[28:], 0xfffe)
	le.PutUint16(b[30:], 9)
	le.PutUint16(b[32:], 6)
	le.PutUint32(b[44:], uint32(fats))
	le.PutUint32(b[48:], uint32(fats))
	le.PutUint32(b[56:], 4096)
	le.PutUint32(b[60:], 0xfffffffe)
	le.PutUint32(b[68:], 0xfffffffe)
	for i := range 109 {
		le.PutUint32(b[76+4*i:], 0xffffffff)
		if i < fats {
			le.PutUint32(b[76+4*i:], uint32(i))
		}
	}
	for i := range fats * 128 {
		v := uint32(0xffffffff)
		switch {
		case i < fats:
			v = 0xfffffffd
		case i < fats+dir-1:
			v = uint32(i + 1)
		case i == fats+dir-1:
			v = 0xfffffffe
		}
		le.PutUint32(b[sector+4*i:], v)
	}
	for i := range len(names) + 1 {
		e := b[(1+fats)*sector+128*i:]
		name := "Root Entry"
		e[66] = 5
		if i > 0 {
			name, e[66] = names[i-1], kind
		}
		for j, c := range name {
			e[2*j] = byte(c)
		}
		le.PutUint16(e[64:], uint16(2*len(name)+2))
		le.PutUint32(e[68:], 0xffffffff)
		le.PutUint32(e[72:], 0xffffffff)
		le.PutUint32(e[76:], uint32(i+1))
		if i == len(names) {
			le.PutUint32(e[76:], 0xffffffff)
		}
	}
	return b
}
