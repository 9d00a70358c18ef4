package ooxml

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"sekisho/internal/cfb"
	"sekisho/sanitize"
)

// vbaPacked writes b as one chunk of literals. [MS-OVBA] 2.4.1.3.
func vbaPacked(b string) []byte {
	var chunk []byte
	for ; b != ""; b = b[min(len(b), 8):] {
		chunk = append(append(chunk, 0), b[:min(len(b), 8)]...)
	}
	out := binary.LittleEndian.AppendUint16([]byte{1}, 0xB000|uint16(len(chunk)-1))
	return append(out, chunk...)
}

// TestModulesOfMacrosAreTold: what was removed can be seen in the report: the
// module, its hash, what runs by itself and what it uses.
func TestModulesOfMacrosAreTold(t *testing.T) {
	dir := "\x19\x00\x08\x00\x00\x00AutoMod1" + "\x1a\x00\x08\x00\x00\x00AutoMod1" + "\x31\x00\x04\x00\x00\x00\x00\x00\x00\x00" + "\x2b\x00\x00\x00\x00\x00"
	source := "Sub AutoOpen()\r\nCreateObject(\"WScript.Shell\")\r\nEnd Sub\r\n"
	var b bytes.Buffer
	if err := cfb.Write(&b, &cfb.Storage{Storages: []*cfb.Storage{{Name: "VBA", Streams: []*cfb.Stream{cfb.NewStream("dir", vbaPacked(dir)), cfb.NewStream("AutoMod1", vbaPacked(source))}}}}); err != nil {
		t.Fatal(err)
	}
	p := docx(`<w:p/>`)
	p.add("word/vbaProject.bin", "application/vnd.ms-office.vbaProject", b.String()).rel(p.main, "rId9", relM+"vbaProject", "vbaProject.bin")
	_, _, found, err := treat(p.bytes(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		if f.Rule == "ooxml.vba" && f.Where == "word/vbaProject.bin/AutoMod1" && f.Action == sanitize.Removed &&
			strings.Contains(f.Detail, "SHA-256 ") && strings.Contains(f.Detail, "runs by itself: AutoOpen") && strings.Contains(f.Detail, "WScript.Shell") {
			return
		}
	}
	t.Errorf("found %v", found)
}
