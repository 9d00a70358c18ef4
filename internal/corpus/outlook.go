package corpus

import (
	"bytes"
	"encoding/binary"
	"sort"
	"strings"
	"unicode/utf16"
)

// Folder is a storage of a compound file: streams as []byte, folders as Folder.
type Folder map[string]any

// Compound writes a compound file of version 3. [MS-CFB] 2.
func Compound(root Folder) []byte {
	const (
		sector, mini = 512, 64
		end, free    = 0xFFFFFFFE, 0xFFFFFFFF
	)
	type entry struct {
		name               string
		kind               byte
		left, right, child uint32
		data               []byte
		start              uint32
	}
	entries := []entry{{name: "Root Entry", kind: 5, left: free, right: free, child: free}}
	var add func(at int, f Folder)
	add = func(at int, f Folder) {
		names := make([]string, 0, len(f))
		for n := range f {
			names = append(names, n)
		}
		sort.Slice(names, func(i, j int) bool {
			if len(names[i]) != len(names[j]) {
				return len(names[i]) < len(names[j])
			}
			return strings.ToUpper(names[i]) < strings.ToUpper(names[j])
		})
		last := -1
		for _, n := range names {
			e := entry{name: n, kind: 2, left: free, right: free, child: free}
			sub, isFolder := f[n].(Folder)
			if isFolder {
				e.kind = 1
			} else {
				e.data, _ = f[n].([]byte)
			}
			entries = append(entries, e)
			i := len(entries) - 1
			if last < 0 {
				entries[at].child = uint32(i)
			} else {
				entries[last].right = uint32(i)
			}
			last = i
			if isFolder {
				add(i, sub)
			}
		}
	}
	add(0, root)
	var fat, miniFAT []uint32
	var body, small []byte
	chain := func(table *[]uint32, n int) uint32 {
		first := uint32(len(*table))
		for i := range n {
			next := uint32(len(*table) + 1)
			if i == n-1 {
				next = end
			}
			*table = append(*table, next)
		}
		return first
	}
	put := func(b []byte) uint32 {
		n := (len(b) + sector - 1) / sector
		body = append(body, b...)
		body = append(body, make([]byte, n*sector-len(b))...)
		return chain(&fat, n)
	}
	for i := range entries {
		e := &entries[i]
		switch {
		case e.kind != 2:
		case len(e.data) == 0:
			e.start = end
		case len(e.data) >= 4096:
			e.start = put(e.data)
		default:
			n := (len(e.data) + mini - 1) / mini
			e.start = chain(&miniFAT, n)
			small = append(small, e.data...)
			small = append(small, make([]byte, n*mini-len(e.data))...)
		}
	}
	entries[0].start, entries[0].data = end, small
	if len(small) > 0 {
		entries[0].start = put(small)
	}
	miniStart := uint32(end)
	if len(miniFAT) > 0 {
		miniStart = put(table(miniFAT, free, sector))
	}
	var dir bytes.Buffer
	for _, e := range entries {
		var d [128]byte
		u := utf16.Encode([]rune(e.name))
		for i, c := range u {
			binary.LittleEndian.PutUint16(d[2*i:], c)
		}
		binary.LittleEndian.PutUint16(d[64:], uint16(2*len(u)+2))
		d[66], d[67] = e.kind, 1
		binary.LittleEndian.PutUint32(d[68:], e.left)
		binary.LittleEndian.PutUint32(d[72:], e.right)
		binary.LittleEndian.PutUint32(d[76:], e.child)
		binary.LittleEndian.PutUint32(d[116:], e.start)
		binary.LittleEndian.PutUint64(d[120:], uint64(len(e.data)))
		dir.Write(d[:])
	}
	dirStart := put(dir.Bytes())
	// The table has places for itself, too.
	n := 1
	for (len(fat)+n+127)/128 > n {
		n++
	}
	fatStart := len(fat)
	for range n {
		fat = append(fat, 0xFFFFFFFD)
	}
	var head [sector]byte
	copy(head[:], "\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1")
	for off, v := range map[int]uint16{24: 0x3E, 26: 3, 28: 0xFFFE, 30: 9, 32: 6} {
		binary.LittleEndian.PutUint16(head[off:], v)
	}
	for off, v := range map[int]uint32{44: uint32(n), 48: dirStart, 56: 4096, 60: miniStart, 64: uint32((len(miniFAT) + 127) / 128), 68: end, 72: 0} {
		binary.LittleEndian.PutUint32(head[off:], v)
	}
	for i := range 109 {
		v := uint32(free)
		if i < n {
			v = uint32(fatStart + i)
		}
		binary.LittleEndian.PutUint32(head[76+4*i:], v)
	}
	return append(append(head[:], body...), table(fat, free, sector)...)
}

func table(t []uint32, fill uint32, sector int) []byte {
	b := make([]byte, 0, 4*len(t)+sector)
	for _, v := range t {
		b = binary.LittleEndian.AppendUint32(b, v)
	}
	for len(b)%sector != 0 {
		b = binary.LittleEndian.AppendUint32(b, fill)
	}
	return b
}

// Packed is a file in a sample of Outlook's.
type Packed struct {
	Name   string
	Data   []byte
	Method uint32 // 1 by value, 5 a message (Data is nil), 6 an object
	Inside Folder // the message
}

// SavedMessage is the storage of a message that Outlook saved; Compound makes
// the file. [MS-OXMSG] 2.4.
func SavedMessage(top bool, strings map[uint16]string, html string, files ...Packed) Folder {
	head := 24
	if top {
		head = 32
	}
	f := Folder{"__properties_version1.0": make([]byte, head)}
	for id, v := range strings {
		f[tag(id, 0x1F)] = wide(v)
	}
	if html != "" {
		f[tag(0x1013, 0x0102)] = []byte(html)
		f["__properties_version1.0"] = append(make([]byte, head), number(0x3FDE, 65001)...)
	}
	for i, a := range files {
		props := append(make([]byte, 8), number(0x3705, a.Method)...)
		sub := Folder{"__properties_version1.0": props, tag(0x3707, 0x1F): wide(a.Name)}
		if a.Inside != nil {
			sub[tag(0x3701, 0x0D)] = a.Inside
		} else {
			sub[tag(0x3701, 0x0102)] = a.Data
		}
		f["__attach_version1.0_#0000000"+string(rune('0'+i))] = sub
	}
	return f
}

func tag(id, typ uint16) string {
	const digits = "0123456789ABCDEF"
	b := []byte("__substg1.0_")
	for _, v := range []uint16{id, typ} {
		for s := 12; s >= 0; s -= 4 {
			b = append(b, digits[v>>s&0xF])
		}
	}
	return string(b)
}

func wide(s string) []byte {
	var b []byte
	for _, c := range utf16.Encode([]rune(s)) {
		b = binary.LittleEndian.AppendUint16(b, c)
	}
	return b
}

func number(id uint16, v uint32) []byte {
	b := binary.LittleEndian.AppendUint16(nil, 3)
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint32(b, 6)
	b = binary.LittleEndian.AppendUint32(b, v)
	return append(b, 0, 0, 0, 0)
}

// Winmail is what Outlook attaches to a mail in rich text. [MS-OXTNEF] 2.
func Winmail(rtf string, files ...Packed) []byte {
	b := binary.LittleEndian.AppendUint32(nil, 0x223E9F78)
	b = append(b, 1, 0)
	att := func(level byte, id uint32, data []byte) {
		b = append(b, level)
		b = binary.LittleEndian.AppendUint32(b, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		b = append(b, data...)
		sum := uint16(0)
		for _, c := range data {
			sum += uint16(c)
		}
		b = binary.LittleEndian.AppendUint16(b, sum)
	}
	att(1, 0x00069007, []byte{0xA4, 3, 0, 0, 0, 0, 0, 0}) // code page 932
	if rtf != "" {
		packed := binary.LittleEndian.AppendUint32(nil, uint32(len(rtf)+12))
		packed = binary.LittleEndian.AppendUint32(packed, uint32(len(rtf)))
		packed = append(packed, "MELA\x00\x00\x00\x00"...)
		att(1, 0x00069003, properties(property(0x1009, 0x0102, append(packed, rtf...))))
	}
	for _, f := range files {
		att(2, 0x00069002, make([]byte, 14))
		if f.Method == 1 {
			att(2, 0x0006800F, f.Data)
		}
		method := binary.LittleEndian.AppendUint16(nil, 3)
		method = binary.LittleEndian.AppendUint16(method, 0x3705)
		method = binary.LittleEndian.AppendUint32(method, f.Method)
		list := [][]byte{method, property(0x3707, 0x1F, append(wide(f.Name), 0, 0))}
		if f.Method != 1 {
			list = append(list, property(0x3701, 0x0D, f.Data))
		}
		att(2, 0x00069005, properties(list...))
	}
	return b
}

func properties(list ...[]byte) []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(len(list)))
	for _, p := range list {
		b = append(b, p...)
	}
	return b
}

func property(id, typ uint16, data []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, typ)
	b = binary.LittleEndian.AppendUint16(b, id)
	b = binary.LittleEndian.AppendUint32(b, 1)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	b = append(b, data...)
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}
