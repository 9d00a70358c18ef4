package vba

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"testing"

	"sekisho/internal/cfb"
)

// packed writes b as literals, in chunks of 4,096 octets. [MS-OVBA] 2.4.1.3.
func packed(b []byte) []byte {
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

func record(id uint16, data []byte) []byte {
	b := binary.LittleEndian.AppendUint16(nil, id)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(data)))
	return append(b, data...)
}

// macros is a project of one module.
func macros(name, source string, at int) *cfb.Storage {
	dir := record(3, []byte{0xA4, 3}) // code page 932
	dir = append(dir, 9, 0, 4, 0, 0, 0, 1, 2, 3, 4, 5, 6)
	dir = append(dir, record(0x19, []byte(name))...)
	dir = append(dir, record(0x1A, []byte(name))...)
	dir = append(dir, record(0x31, []byte{byte(at), 0, 0, 0})...)
	dir = append(dir, record(0x2B, nil)...)
	return &cfb.Storage{Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{
		cfb.NewStream("dir", packed(dir)), cfb.NewStream("Module1", append(make([]byte, at), packed([]byte(source))...)), cfb.NewStream("_VBA_PROJECT", []byte{0xCC, 0x61}),
	}}}}
}

func TestModulesAreListed(t *testing.T) {
	src := "Attribute VB_Name = \"Module1\"\r\nSub autoopen()\r\n  CreateObject(\"WScript.Shell\").Run \"powershell -c x\"\r\n  MyShellX = 1 ' no Shell_ here\r\nEnd Sub\r\n" + strings.Repeat("' long\r\n", 1000)
	for name, st := range map[string]*cfb.Storage{"bare": macros("Module1", src, 7), "in a storage": {Storages: []*cfb.Storage{{Name: "Macros", Storages: macros("Module1", src, 0).Storages}}}} {
		got := Modules(st)
		if len(got) != 1 {
			t.Fatalf("%s: %v", name, got)
		}
		m := got[0]
		sum := sha256.Sum256([]byte(src))
		if m.Name != "Module1" || !m.Read || m.Size != int64(len(src)) || m.Sum != sum || !slices.Equal(m.Auto, []string{"AutoOpen"}) || !slices.Equal(m.Words, []string{"CreateObject", "WScript.Shell", "PowerShell"}) &&
			!slices.Equal(m.Words, []string{"Shell", "CreateObject", "WScript.Shell", "PowerShell"}) {
			t.Errorf("%s: %+v", name, m)
		}
		if s := m.String(); !strings.Contains(s, hex.EncodeToString(sum[:])) || !strings.Contains(s, "runs by itself: AutoOpen") {
			t.Error(s)
		}
	}
}

// TestReferencesBackAreFollowed unpacks the shortest example of [MS-OVBA] 3.2.
func TestReferencesBackAreFollowed(t *testing.T) {
	b, err := hex.DecodeString("0103b002614500")
	if err != nil {
		t.Fatal(err)
	}
	left := int64(maxSource)
	if got, err := unpack(bytes.NewReader(b), &left); err != nil || string(got) != strings.Repeat("a", 73) {
		t.Errorf("%q, %v", got, err)
	}
}

func TestBrokenProjectsAreNamedOnly(t *testing.T) {
	st := macros("Module1", "x", 0)
	st.Storages[0].Streams[0] = cfb.NewStream("dir", []byte("nothing"))
	if got := Modules(st); len(got) != 1 || got[0].Name != "Module1" || got[0].Read || got[0].String() == "" {
		t.Errorf("%+v", got)
	}
	st = macros("Module1", "x", 200)
	st.Storages[0].Streams[1] = cfb.NewStream("Module1", []byte("short"))
	if got := Modules(st); len(got) != 1 || got[0].Read {
		t.Errorf("%+v", got)
	}
	bomb := append([]byte{1}, bytes.Repeat(append([]byte{3, 0xB0, 2, 'a'}, 0xFD, 0x0F), 20000)...)
	left := int64(maxSource)
	if _, err := unpack(bytes.NewReader(bomb), &left); err == nil {
		t.Error("a bomb was unpacked whole")
	}
}

func FuzzModules(f *testing.F) {
	f.Add(packed([]byte("Sub AutoOpen()")), packed(record(0x19, []byte("M"))))
	f.Fuzz(func(t *testing.T, module, dir []byte) {
		for _, m := range Modules(&cfb.Storage{Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{cfb.NewStream("dir", dir), cfb.NewStream("M", module)}}}}) {
			if m.Read && m.Size > maxSource || len(m.Auto) > maxWords || len(m.Words) > maxWords {
				t.Fatalf("%+v", m)
			}
		}
		left := int64(maxSource)
		if b, err := unpack(bytes.NewReader(packed(module)), &left); err != nil || !bytes.Equal(b, module) {
			t.Fatalf("%q: %v", b, err)
		}
	})
}
