package corpus

import "encoding/binary"

// Project is the storage of a macro project with one module. [MS-OVBA] 2.2.1.
func Project(module, source string) Folder {
	rec := func(id uint16, data []byte) []byte {
		b := binary.LittleEndian.AppendUint16(nil, id)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
		return append(b, data...)
	}
	dir := rec(3, []byte{0xA4, 3}) // code page 932
	dir = append(dir, rec(0x19, []byte(module))...)
	dir = append(dir, rec(0x1A, []byte(module))...)
	dir = append(dir, rec(0x31, []byte{0, 0, 0, 0})...)
	dir = append(dir, rec(0x2B, nil)...)
	return Folder{"VBA": Folder{"dir": literals(dir), module: literals([]byte(source)), "_VBA_PROJECT": []byte("\xcc\x61" + Macro)}}
}

// literals packs b without any reference back. [MS-OVBA] 2.4.1.3.
func literals(b []byte) []byte {
	out := []byte{1}
	for len(b) > 0 {
		n := min(len(b), 3000) // with its flags a chunk stays under 4,096
		var chunk []byte
		for i := 0; i < n; i += 8 {
			chunk = append(append(chunk, 0), b[i:min(i+8, n)]...)
		}
		out = binary.LittleEndian.AppendUint16(out, 0xB000|uint16(len(chunk)-1))
		out = append(out, chunk...)
		b = b[n:]
	}
	return out
}
