// Package vba lists the modules of a VBA project, for the report of what was
// removed: their names, sizes, SHA-256, the procedures that run by themselves
// and the words that malware needs. Nothing is kept of a project and nothing of
// it is run; what is said here decides nothing.
//
// Source: [MS-OVBA] 2.3.4.2 (the dir stream) and 2.4.1 (compression).
package vba

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"sekisho/internal/cfb"
	"sekisho/internal/charset"
	"sekisho/internal/lazy"
)

const (
	// maxModules is how many are told; a report takes 200 lines.
	maxModules = 50
	// maxSource is how much of the sources of a project is unpacked: three octets
	// make 4,096 at most, and real projects stay under a megabyte.
	maxSource = 16 << 20
	// maxWords is how many words of a module are told.
	maxWords = 12
)

// Module is one module of a project. Its source is not kept.
type Module struct {
	Name  string
	Size  int64             // of the source, unpacked
	Sum   [sha256.Size]byte // of the source
	Auto  []string          // procedures that run by themselves
	Words []string          // what malware needs
	Read  bool              // the source could be unpacked; else all but the name is empty
}

// String says it in one line, for a finding.
func (m Module) String() string {
	if !m.Read {
		return "source that cannot be unpacked"
	}
	s := fmt.Sprintf("%d bytes, SHA-256 %s", m.Size, hex.EncodeToString(m.Sum[:]))
	if len(m.Auto) > 0 {
		s += ", runs by itself: " + strings.Join(m.Auto, " ")
	}
	if len(m.Words) > 0 {
		s += ", uses: " + strings.Join(m.Words, " ")
	}
	return s
}

// ErrFormat says that a stream is not packed as [MS-OVBA] says.
var ErrFormat = errors.New("not compressed as VBA is")

// Modules lists the modules of the projects in s, in the order of their
// directory.
func Modules(s *cfb.Storage) []Module {
	var all []Module
	left := int64(maxSource)
	// A storage that cannot be walked has told what it had.
	_ = s.Walk(func(_ []string, in *cfb.Storage) error {
		if dir := in.Stream("dir"); dir != nil && len(all) < maxModules {
			all = append(all, project(in, dir, &left)...)
		}
		return nil
	})
	return all[:min(len(all), maxModules)]
}

// entry is a module of the dir stream.
type entry struct {
	name, stream string
	offset       int64
}

func project(in *cfb.Storage, dir *cfb.Stream, left *int64) []Module {
	var entries []entry
	if b, err := unpack(dir.Reader(), left); err == nil {
		entries = directory(b)
	}
	if len(entries) == 0 {
		// What has no directory still has its streams.
		for _, s := range in.Streams {
			if n := strings.ToLower(s.Name); n != "dir" && n != "_vba_project" && !strings.HasPrefix(n, "__srp_") {
				entries = append(entries, entry{name: s.Name, stream: s.Name, offset: -1})
			}
		}
	}
	var all []Module
	for _, e := range entries[:min(len(entries), maxModules)] {
		m := Module{Name: e.name}
		if s := in.Stream(e.stream); s != nil && e.offset >= 0 && e.offset < s.Size {
			if b, err := unpack(io.NewSectionReader(s, e.offset, s.Size-e.offset), left); err == nil {
				m.Read, m.Size, m.Sum = true, int64(len(b)), sha256.Sum256(b)
				m.Auto, m.Words = look(b)
			}
		}
		all = append(all, m)
	}
	return all
}

// directory reads the records of the dir stream.
func directory(b []byte) []entry {
	var (
		all  []entry
		now  *entry
		page = "windows-1252"
	)
	for len(b) >= 6 {
		id, n := binary.LittleEndian.Uint16(b), int64(binary.LittleEndian.Uint32(b[2:]))
		if id == 9 {
			n = 6 // PROJECTVERSION says four and has six
		}
		if n > int64(len(b)-6) {
			break
		}
		data := b[6 : 6+n]
		b = b[6+n:]
		switch {
		case id == 3 && n >= 2:
			if name, ok := charset.Known(fmt.Sprintf("cp%d", binary.LittleEndian.Uint16(data))); ok {
				page = name
			} else if name, ok := charset.Known(fmt.Sprintf("windows-%d", binary.LittleEndian.Uint16(data))); ok {
				page = name
			}
		case id == 0x19:
			if len(all) == maxModules {
				return all
			}
			name := charset.DecodeAs(page, data).Text
			all = append(all, entry{name: name, stream: name, offset: -1})
			now = &all[len(all)-1]
		case now == nil:
		case id == 0x1A:
			now.stream = charset.DecodeAs(page, data).Text
		case id == 0x32 && n >= 2:
			now.stream = charset.DecodeAs("utf-16le", data).Text
		case id == 0x31 && n >= 4:
			now.offset = int64(binary.LittleEndian.Uint32(data))
		}
	}
	return all
}

// unpack unpacks what is compressed, at most *left octets, which it takes off.
// [MS-OVBA] 2.4.1.3.
func unpack(r io.Reader, left *int64) ([]byte, error) {
	in, err := io.ReadAll(io.LimitReader(r, maxSource))
	if err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if len(in) == 0 || in[0] != 1 {
		return nil, ErrFormat
	}
	var out []byte
	for in = in[1:]; len(in) >= 2; {
		head := binary.LittleEndian.Uint16(in)
		size := int(head&0xFFF) + 3
		if head>>12&7 != 3 {
			return nil, ErrFormat
		}
		chunk := in[2:min(size, len(in))]
		in = in[min(size, len(in)):]
		start := len(out)
		if head&0x8000 == 0 {
			out = append(out, chunk...)
		} else if out, err = tokens(out, chunk); err != nil {
			return nil, err
		}
		if *left -= int64(len(out) - start); *left < 0 {
			return nil, fmt.Errorf("more than %d octets: %w", maxSource, ErrFormat)
		}
	}
	return out, nil
}

// tokens unpacks one chunk, which makes 4,096 octets at most.
func tokens(out, in []byte) ([]byte, error) {
	const most = 4096
	start := len(out)
	for len(in) > 0 {
		flags := in[0]
		in = in[1:]
		for bit := 0; bit < 8 && len(in) > 0; bit++ {
			if flags>>bit&1 == 0 {
				out = append(out, in[0])
				in = in[1:]
				continue
			}
			if len(in) < 2 {
				return nil, ErrFormat
			}
			t := binary.LittleEndian.Uint16(in)
			in = in[2:]
			// The longer the chunk so far, the more bits an offset needs.
			bits := 4
			for 1<<bits < len(out)-start {
				bits++
			}
			back, n := int(t>>(16-bits))+1, int(t&(0xFFFF>>bits))+3
			if back > len(out)-start || len(out)-start+n > most {
				return nil, ErrFormat
			}
			for range n {
				out = append(out, out[len(out)-back])
			}
		}
		if len(out)-start > most {
			return nil, ErrFormat
		}
	}
	return out, nil
}

// automatic are procedures that an application calls by itself.
var automatic = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`AutoExec AutoOpen AutoClose AutoExit AutoNew Auto_Open Auto_Close Auto_Exec Document_Open Document_Close Document_New DocumentOpen Document_BeforeClose
	Document_ContentControlOnEnter Workbook_Open Workbook_Activate Workbook_Close Workbook_BeforeClose Workbook_Deactivate Worksheet_Activate Worksheet_Calculate Worksheet_Change
	Worksheet_SelectionChange OnSlideShowPageChange OnSlideShowTerminate SlideShow_OnBegin Frame1_Layout Layout_Change Form_Load UserForm_Initialize UserForm_Activate`)
}}

// suspicious are words that macros of malware need and others seldom do.
var suspicious = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`Shell ShellExecute ShellExecuteA CreateObject GetObject CallByName URLDownloadToFile URLDownloadToFileA WScript.Shell Scripting.FileSystemObject ADODB.Stream
	MSXML2.XMLHTTP Microsoft.XMLHTTP WinHttp.WinHttpRequest InternetExplorer.Application Shell.Application PowerShell cmd.exe mshta rundll32 regsvr32 certutil bitsadmin wmic winmgmts
	Win32_Process Environ Kill FileCopy SaveToFile SetAttr RegWrite RegRead ExecuteExcel4Macro VBProject VBComponents CodeModule Lib Declare VirtualAlloc VirtualProtect RtlMoveMemory
	CreateThread CreateProcess WriteProcessMemory Chr ChrW StrReverse FromBase64String ResponseBody SendKeys AddFromString DDEInitiate`)
}}

// look finds both in a source. A word counts where it stands by itself.
func look(src []byte) (auto, words []string) {
	low := bytes.ToLower(src)
	stands := func(word string) bool {
		w := []byte(strings.ToLower(word))
		for from := 0; ; {
			i := bytes.Index(low[from:], w)
			if i < 0 {
				return false
			}
			i += from
			if (i == 0 || !part(low[i-1])) && (i+len(w) == len(low) || !part(low[i+len(w)])) {
				return true
			}
			from = i + 1
		}
	}
	for _, w := range automatic.Get() {
		if len(auto) < maxWords && stands(w) {
			auto = append(auto, w)
		}
	}
	for _, w := range suspicious.Get() {
		if len(words) < maxWords && stands(w) && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return auto, words
}

// part reports whether c may stand in a name of VBA.
func part(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 0x80
}
