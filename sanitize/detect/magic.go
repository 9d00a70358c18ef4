package detect

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strconv"
	"strings"

	"sekisho/internal/pdf"
	"sekisho/sanitize"
)

// signature is a fixed string at a fixed place.
type signature struct {
	off  int
	is   string
	kind sanitize.Kind
}

// signatures are the magics that say all: no legal file of another kind has
// them. Those that need a second look have functions below.
var signatures = [...]signature{
	{0, "\x89PNG\r\n\x1a\n", sanitize.KindPNG},
	{0, "\xff\xd8\xff", sanitize.KindJPEG},
	{0, "GIF87a", sanitize.KindGIF},
	{0, "GIF89a", sanitize.KindGIF},
	{0, "II*\x00", sanitize.KindTIFF},
	{0, "MM\x00*", sanitize.KindTIFF},
	{0, "II+\x00", sanitize.KindTIFF},
	{0, "MM\x00+", sanitize.KindTIFF},
	{0, "8BPS\x00", sanitize.KindPSD},
	{0, "\x00\x00\x00\x0cjP  \r\n\x87\n", sanitize.KindJP2},
	{0, "\xff\x4f\xff\x51", sanitize.KindJP2},
	{0, "\x00\x00\x00\x0cJXL \r\n\x87\n", sanitize.KindJXL},
	{0, "\xd7\xcd\xc6\x9a", sanitize.KindWMF},
	{0, "\x01\x00\x09\x00\x00\x03", sanitize.KindWMF},
	{0, "\x02\x00\x09\x00\x00\x03", sanitize.KindWMF},
	{0, "\xc5\xd0\xd3\xc6", sanitize.KindEPS},
	{128, "DICM", sanitize.KindDICOM},

	{0, "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", sanitize.KindCFB},
	{0, "{\\rt", sanitize.KindRTF},
	{0, "PK\x03\x04", sanitize.KindZIP},
	{0, "PK\x05\x06", sanitize.KindZIP},
	{0, "PK\x07\x08PK\x03\x04", sanitize.KindZIP}, // first part of a split archive
	{0, "PK00PK\x03\x04", sanitize.KindZIP},       // a split archive that became one part
	{0, "7z\xbc\xaf\x27\x1c", sanitize.Kind7z},
	{0, "Rar!\x1a\x07\x00", sanitize.KindRAR},
	{0, "Rar!\x1a\x07\x01\x00", sanitize.KindRAR},
	{0, "MSCF\x00\x00\x00\x00", sanitize.KindCAB},
	{0, "ISc(", sanitize.KindCAB}, // InstallShield
	{0, "\xfd7zXZ\x00", sanitize.KindXZ},
	{0, "\x28\xb5\x2f\xfd", sanitize.KindZSTD},
	{0, "\x1f\x9d", sanitize.KindZ},
	{0, "\x1f\xa0", sanitize.KindZ},
	{7, "**ACE**", sanitize.KindACE},
	{0, "EGGA\x00", sanitize.KindEGG},
	{0, "ALZ\x01", sanitize.KindEGG},

	{0, "!<arch>\n", sanitize.KindUnknown},
	{0, "\x78\x9f\x3e\x22", sanitize.KindTNEF},
	{0, "\x00\x01\x00\x00Standard Jet DB", sanitize.KindMDB},
	{0, "\x00\x01\x00\x00Standard ACE DB", sanitize.KindMDB},
	{0, "HWP Document File V", sanitize.KindHWP},
	// Seen in DocuWorks files; the format is not documented.
	{0, "\x60\x0e\x82", sanitize.KindXDW},
	// BIFF without a compound file around it, Excel 2 to 4, and 5 cut out.
	{0, "\x09\x00\x04\x00", sanitize.KindXLS},
	{0, "\x09\x02\x06\x00", sanitize.KindXLS},
	{0, "\x09\x04\x06\x00", sanitize.KindXLS},
	{0, "\x09\x08\x08\x00", sanitize.KindXLS},
	{0, "\x09\x08\x10\x00", sanitize.KindXLS},
	// Word 1 and 2 and a WordDocument stream cut out of its compound file.
	{0, "\x9b\xa5\x21\x00", sanitize.KindDOC},
	{0, "\xdb\xa5\x2d\x00", sanitize.KindDOC},
	{0, "\xec\xa5\xc1\x00", sanitize.KindDOC},
	{0, "\x31\xbe\x00\x00\x00\xab", sanitize.KindDOC}, // Write

	{0, "JwwData.", sanitize.KindJWW},
	{0, "AutoCAD Binary DXF\r\n\x1a\x00", sanitize.KindDXF},

	{0, "ID3\x02", sanitize.KindAudio}, {0, "ID3\x03", sanitize.KindAudio}, {0, "ID3\x04", sanitize.KindAudio},
	{0, "fLaC\x00", sanitize.KindAudio},
	{0, "MThd\x00\x00\x00\x06", sanitize.KindAudio},
	{0, ".snd\x00", sanitize.KindAudio},
	{0, "#!AMR", sanitize.KindAudio},
	{0, "caff\x00\x01", sanitize.KindAudio},
	{0, "OggS\x00", sanitize.KindAudio},
	{0, "MAC \x96\x0f", sanitize.KindAudio}, {0, "wvpk", sanitize.KindAudio}, {0, "DSD \x1c\x00", sanitize.KindAudio},
	{0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c", sanitize.KindVideo}, // ASF
	{0, "\x1a\x45\xdf\xa3", sanitize.KindVideo},                                                 // Matroska
	{0, "FLV\x01", sanitize.KindVideo},
	{0, "\x00\x00\x01\xba", sanitize.KindVideo},
	{0, "\x00\x00\x01\xb3", sanitize.KindVideo},
	{0, ".RMF\x00\x00\x00", sanitize.KindVideo},

	{0, "OTTO\x00", sanitize.KindFont},
	{0, "ttcf\x00", sanitize.KindFont},
	{0, "wOFF", sanitize.KindFont},
	{0, "wOF2", sanitize.KindFont},
}

// executable recognises what a system would run or open as a program's data
// with effects: programs, shortcuts, help, notes, installers.
func executable(h []byte) (sanitize.Kind, bool) {
	switch {
	case hasPrefix(h, `X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR`):
		// The file that scanners are tested with: text, and a program of DOS.
		return sanitize.KindExecutable, true
	case hasPrefix(h, "MZ") || hasPrefix(h, "ZM"):
		// A letter to Mr. M. Z. is text; a program has binary bytes in its
		// header. DOS runs without the pointer to a PE header.
		if hasNUL(h) {
			return sanitize.KindExecutable, true
		}
	case hasPrefix(h, "\x7fELF"),
		hasPrefix(h, "\xfe\xed\xfa\xce"), hasPrefix(h, "\xfe\xed\xfa\xcf"),
		hasPrefix(h, "\xce\xfa\xed\xfe"), hasPrefix(h, "\xcf\xfa\xed\xfe"),
		hasPrefix(h, "\xca\xfe\xba\xbe"), // Java class, or Mach-O for several machines
		hasPrefix(h, "\xca\xfe\xba\xbf"), hasPrefix(h, "\xca\xfe\xd0\x0d"),
		hasPrefix(h, "dex\n0"), hasPrefix(h, "\x00asm"),
		hasPrefix(h, "!<arch>\ndebian-binary"), hasPrefix(h, "\xed\xab\xee\xdb"), // deb, rpm
		hasPrefix(h, "\x1bLua"), hasPrefix(h, "Cr24") && hasNUL(h), hasPrefix(h, "regf\x00"), hasPrefix(h, "\x3f\x5f\x03\x00"): // hlp
		return sanitize.KindExecutable, true
	case hasPrefix(h, "\x4c\x00\x00\x00\x01\x14\x02\x00"): // [MS-SHLLINK] 2.1
		return sanitize.KindShortcut, true
	case hasPrefix(h, "ITSF") && hasNUL(h), hasPrefix(h, "ITOLITLS") && hasNUL(h):
		return sanitize.KindCHM, true
	case len(h) > 8 && (h[0] == 'F' || h[0] == 'C' || h[0] == 'Z') && h[1] == 'W' && h[2] == 'S' && h[3] > 0 && h[3] < 64 &&
		hasNUL(h):
		return sanitize.KindSWF, true
	case hasPrefix(h, "\xe4\x52\x5c\x7b\x8c\xd8\xa7\x4d\xae\xb1\x53\x78\xd0\x29\x96\xd3"), // [MS-ONESTORE] 2.3.1
		hasPrefix(h, "\x43\xff\x2f\xa1\xef\xd9\x4c\x76\x9e\xe2\x10\xea\x57\x22\x76\x5f"):
		return sanitize.KindONE, true
	}
	return "", false
}

// hasNUL reports whether a magic that is made of letters is followed by what
// no text has.
func hasNUL(h []byte) bool { return bytes.IndexByte(h[:min(len(h), 512)], 0) >= 0 }

// disk reports whether f is an image of a disk, which Windows mounts without
// marking what comes from it as foreign.
func disk(f *file) bool { return f.diskKind() != "" }

func (f *file) diskKind() sanitize.Kind {
	h := f.head
	for _, off := range [...]int{0x8001, 0x8801, 0x9001} {
		// ECMA-119 8.1.2, ECMA-167 2/9.1: the descriptors from sector 16 on.
		if at(h, off, "CD001") || at(h, off, "BEA01") || at(h, off, "NSR02") || at(h, off, "NSR03") {
			return sanitize.KindISO
		}
	}
	end := len(f.tail) - 512
	switch {
	case hasNUL(h) && (hasPrefix(h, "conectix") || hasPrefix(h, "vhdxfile") || hasPrefix(h, "KDMV")), hasPrefix(h, "# Disk DescriptorFile"),
		hasPrefix(h, "MSWIM\x00\x00\x00"), hasPrefix(h, "QFI\xfb"), at(f.tail, end, "conectix"), at(f.tail, end, "koly\x00\x00\x00\x04"):
		return sanitize.KindVHD
	case at(h, 510, "\x55\xaa") && len(h) > 64 && h[2] == 0x90 && h[0] == 0xeb &&
		(at(h, 54, "FAT") || at(h, 82, "FAT") || at(h, 3, "NTFS") || at(h, 3, "EXFAT")):
		return sanitize.KindVHD
	}
	return ""
}

// magic recognises binary kinds and the few text kinds with a strict magic.
func magic(f *file) (sanitize.Kind, bool) {
	h := f.head
	for _, s := range signatures {
		if at(h, s.off, s.is) {
			return s.kind, true
		}
	}
	// Word opens rich text after blanks.
	if b := bytes.TrimLeft(h, "\xef\xbb\xbf \t\r\n\x00"); hasPrefix(b, "{\\rt") {
		return sanitize.KindRTF, true
	}
	// Readers accept the header anywhere in the first 1,024 bytes (ISO 32000-1,
	// annex H, 3.4.1). In text it must open a line, or every mail about PDF
	// were one.
	if i := pdfHeader(h[:min(len(h), 1024+8)]); i >= 0 {
		return sanitize.KindPDF, true
	}
	le16 := func(off int) int { return int(binary.LittleEndian.Uint16(h[off:])) }
	switch {
	case len(h) >= 12 && hasPrefix(h, "RIFF"):
		switch string(h[8:12]) {
		case "WEBP":
			return sanitize.KindWebP, true
		case "WAVE", "RMID":
			return sanitize.KindAudio, true
		case "AVI ", "ACON":
			return sanitize.KindVideo, true
		}
	case len(h) >= 12 && hasPrefix(h, "FORM") && (at(h, 8, "AIFF") || at(h, 8, "AIFC")):
		return sanitize.KindAudio, true
	case len(h) >= 12 && at(h, 4, "ftyp"):
		return ftyp(h), true
	case len(h) >= 12 && (at(h, 4, "moov\x00") || at(h, 4, "mdat") || at(h, 4, "wide\x00")) && h[0] == 0:
		return sanitize.KindVideo, true
	case len(h) >= 26 && hasPrefix(h, "BM"):
		switch h[14] {
		case 12, 40, 52, 56, 64, 108, 124:
			if h[15] == 0 && h[16] == 0 && h[17] == 0 {
				return sanitize.KindBMP, true
			}
		}
	case len(h) >= 22 && (hasPrefix(h, "\x00\x00\x01\x00") || hasPrefix(h, "\x00\x00\x02\x00")) &&
		le16(4) > 0 && le16(4) <= 256 && h[9] == 0 && le16(18) < 1<<15:
		return sanitize.KindICO, true
	case paintbrush(h):
		return sanitize.KindPCX, true
	case portable(f):
		return sanitize.KindPNM, true
	case len(h) >= 44 && hasPrefix(h, "\x01\x00\x00\x00") && at(h, 40, " EMF"):
		return sanitize.KindEMF, true
	case len(h) >= 4 && hasPrefix(h, "\x1f\x8b\x08"):
		return sanitize.KindGZ, true
	case len(h) >= 10 && hasPrefix(h, "BZh") && h[3] >= '1' && h[3] <= '9' &&
		(at(h, 4, "1AY&SY") || at(h, 4, "\x17rE8P\x90")):
		return sanitize.KindBZ2, true
	case len(h) >= 8 && h[0] >= 0x50 && h[0] <= 0x5f && at(h, 1, "\x2a\x4d\x18"): // a skippable frame, RFC 8878 3.1.2
		return sanitize.KindZSTD, true
	case len(h) >= 10 && hasPrefix(h, "\x60\xea") && le16(2) >= 30 && le16(2) <= 2600:
		return sanitize.KindARJ, true
	case len(h) >= 22 && h[2] == '-' && (h[3] == 'l' || h[3] == 'p') && (h[4] == 'h' || h[4] == 'z' || h[4] == 'm') && h[6] == '-':
		return sanitize.KindLZH, true
	case len(h) >= 36 && hasPrefix(h, "MSCF") && h[24] == 3 && h[25] == 1:
		return sanitize.KindCAB, true
	case tarHeader(h), at(h, 257, "ustar\x00"), at(h, 257, "ustar  \x00"):
		return sanitize.KindTAR, true
	case len(h) >= 6 && hasPrefix(h, "AC10") && h[4] >= '0' && h[4] <= '9' && h[5] >= '0' && h[5] <= '9' && hasNUL(h),
		hasPrefix(h, "AC1.") && hasNUL(h):
		return sanitize.KindDWG, true
	case len(h) >= 12 && (hasPrefix(h, "\x00\x01\x00\x00\x00") || hasPrefix(h, "true\x00")) && letters(h[12:min(len(h), 16)]):
		return sanitize.KindFont, true
	case signed(h):
		return sanitize.KindSMIME, true
	case len(h) >= 4 && h[0] == 0xff && (h[1]&0xf6 == 0xf0 || (h[1]&0xe0 == 0xe0 && h[1]&0x06 != 0 && h[2]>>4 != 15 && h[2]>>4 != 0 && h[2]&0x0c != 0x0c)) && !hasPrefix(h, "\xff\xfe") && !hasPrefix(h, "\xff\xff"):
		return sanitize.KindAudio, true // ADTS and MPEG audio frames
	case len(h) > 188*2 && h[0] == 'G' && h[188] == 'G' && h[376] == 'G' && bytes.IndexByte(h[:188], 0) >= 0:
		return sanitize.KindVideo, true // MPEG transport stream
	}
	return "", false
}

func letters(b []byte) bool {
	for _, c := range b {
		if c < ' ' || c > '~' {
			return false
		}
	}
	return len(b) > 0
}

// ftyp tells the ISO base media files apart by their brands (ISO 14496-12 4.3).
func ftyp(h []byte) sanitize.Kind {
	end := min(len(h), int(min(binary.BigEndian.Uint32(h), 256)))
	brands := string(h[8:max(end, 12)])
	major := brands[:4]
	switch {
	case major == "avif" || major == "avis":
		return sanitize.KindAVIF
	case major == "jp2 " || major == "jpx ":
		return sanitize.KindJP2
	case major == "M4A " || major == "M4B ":
		return sanitize.KindAudio
	case strings.HasPrefix(major, "hei") || strings.HasPrefix(major, "hev"):
		return sanitize.KindHEIC
	case major == "mif1" || major == "msf1":
		// Structural brands; what codes the picture stands further on.
		if strings.Contains(brands, "avif") {
			return sanitize.KindAVIF
		}
		return sanitize.KindHEIC
	}
	return sanitize.KindVideo
}

// tarHeader checks the sum over the first header block, which old archives
// have too; text of 512 bytes cannot have it by accident.
func tarHeader(h []byte) bool {
	if len(h) < 512 || h[0] == 0 {
		return false
	}
	want, err := strconv.ParseInt(strings.Trim(string(h[148:156]), " \x00"), 8, 64)
	if err != nil {
		return false
	}
	var sum int64
	for i, c := range h[:512] {
		if i >= 148 && i < 156 {
			c = ' '
		}
		sum += int64(c)
	}
	return sum == want
}

// signed recognises CMS in DER or BER: a sequence that opens with one of the
// content types of RFC 5652.
func signed(h []byte) bool {
	if len(h) < 24 || h[0] != 0x30 {
		return false
	}
	i := bytes.Index(h[:24], []byte("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07"))
	return i >= 2 && i <= 6
}

func pdfHeader(h []byte) int {
	for i := 0; ; {
		j := bytes.Index(h[i:], []byte("%PDF-"))
		if j < 0 {
			return -1
		}
		i += j
		before := bytes.TrimRight(h[:i], " \t")
		opensLine := len(before) == 0 || before[len(before)-1] < ' ' || before[len(before)-1] >= 0x80
		if opensLine && i+5 < len(h) && h[i+5] >= '0' && h[i+5] <= '9' {
			return i
		}
		i += 5
	}
}

// encryptedPDF looks for an encryption dictionary in a trailer. The trailer or
// the dictionary of the cross-reference stream is never compressed (ISO
// 32000-1, 7.5.8), so a search finds it; names with hex escapes it misses, and
// then the file is kept back or refused as a PDF.
func (f *file) encryptedPDF() bool {
	const key = "/Encrypt"
	const step = 256 << 10
	for off := int64(0); off < f.Size; off += step {
		b := f.peek(off, step+16)
		for {
			i := bytes.Index(b, []byte(key))
			if i < 0 || i+len(key) >= len(b) {
				break
			}
			c := b[i+len(key)]
			rest := bytes.TrimLeft(b[i+len(key):], " \t\r\n\x00\f")
			if (c <= ' ' || c == '<') && len(rest) > 0 && (rest[0] == '<' || rest[0] >= '0' && rest[0] <= '9') {
				return true
			}
			b = b[i+len(key):]
		}
	}
	return false
}

// bodyOfPDF recognises a PDF file that has lost its header, or has it in the
// middle of a line: readers look for
// objects and open it. An object opens its first line, or follows a comment, and
// a trailer stands at the end.
func (f *file) bodyOfPDF() bool {
	if i := bytes.Index(f.head[:min(len(f.head), 1024+8)], []byte("%PDF-")); i >= 0 && bytes.Contains(f.tail, []byte("startxref")) && bytes.Contains(f.tail, []byte("%%EOF")) {
		return true // behind something else in the line, which readers pass over too
	}
	h := f.head[:min(len(f.head), 1024)]
	for len(h) > 0 && h[0] == '%' || len(h) > 0 && (h[0] == '\r' || h[0] == '\n' || h[0] == ' ') {
		if h[0] != '%' {
			h = h[1:]
			continue
		}
		i := bytes.IndexAny(h, "\r\n")
		if i < 0 {
			return false
		}
		h = h[i:]
	}
	digits := func() bool {
		n := 0
		for n < len(h) && h[n] >= '0' && h[n] <= '9' {
			n++
		}
		h = h[n:]
		return n > 0 && n <= 10
	}
	if !digits() || len(h) == 0 || h[0] != ' ' {
		return false
	}
	h = h[1:]
	if !digits() || !bytes.HasPrefix(h, []byte(" obj")) {
		return false
	}
	return bytes.Contains(f.tail, []byte("trailer")) || bytes.Contains(f.tail, []byte("startxref")) || bytes.Contains(f.tail, []byte("%%EOF"))
}

// needsPassword reports whether an empty password does not open an encrypted
// PDF. Many are encrypted without a password of the reader's, only so that
// programs refuse to print or copy.
func (f *file) needsPassword() bool {
	b := f.peek(0, innerObject)
	if int64(len(b)) < f.Size {
		return true // the table is at the end; what is larger is not looked at
	}
	left := int64(innerBytes)
	_, err := pdf.Open(b, func(n int64) error {
		if left -= n; left < 0 {
			return sanitize.ErrLimit
		}
		return nil
	})
	return errors.Is(err, pdf.ErrEncrypted)
}
