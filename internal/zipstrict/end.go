package zipstrict

import (
	"bytes"
	"fmt"
	"io"
)

// end is what the end of the archive says.
type end struct {
	entries   int64
	directory int64 // offset
	length    int64 // of the directory
	comment   bool
}

// readEnd finds the one end-of-directory record. APPNOTE 4.3.14 to 4.3.16.
func readEnd(r io.ReaderAt, size int64) (end, error) {
	if size < lenEnd {
		return end{}, fmt.Errorf("%d bytes: %w", size, ErrMalformed)
	}
	tail := make([]byte, min(size, lenEnd+0xFFFF))
	if _, err := r.ReadAt(tail, size-int64(len(tail))); err != nil && err != io.EOF {
		return end{}, fmt.Errorf("read end of archive: %w", err)
	}
	at := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if at < 0 || len(tail)-at < lenEnd {
		return end{}, fmt.Errorf("no end of directory: %w", ErrMalformed)
	}
	e := tail[at:]
	// QUIRK: programs that move files about add a line break. Whoever finds an
	// archive in front of it finds this one.
	behind := 0
	if bare := e[lenEnd:]; le.Uint16(e[20:]) == 0 && (string(bare) == "\n" || string(bare) == "\r\n") {
		behind = len(bare)
		e, tail, size = e[:lenEnd], tail[:at+lenEnd], size-int64(behind)
	}
	if n := int(le.Uint16(e[20:])); n != len(e)-lenEnd {
		// The last record of that look does not end the file: bytes after it, or a
		// record inside the comment of another. CVE-2024-24789.
		return end{}, fmt.Errorf("end of directory does not end the archive: %w", ErrAmbiguous)
	}
	for _, sig := range []string{"PK\x01\x02", "PK\x03\x04", "PK\x06\x06", "PK\x06\x07", "PK\x07\x08"} {
		if bytes.Contains(e[lenEnd:], []byte(sig)) {
			return end{}, fmt.Errorf("a ZIP record in the comment: %w", ErrAmbiguous)
		}
	}
	// A comment of a record further in front could reach over this one.
	for p := at; ; {
		p = bytes.LastIndex(tail[:p], []byte("PK\x05\x06"))
		if p < 0 {
			break
		}
		if p+lenEnd > len(tail) {
			continue
		}
		if reach := p + lenEnd + int(le.Uint16(tail[p+20:])); reach >= len(tail) && reach <= len(tail)+behind {
			return end{}, fmt.Errorf("two ends of directory: %w", ErrAmbiguous)
		}
	}
	if le.Uint16(e[4:]) != 0 || le.Uint16(e[6:]) != 0 {
		if le.Uint16(e[4:]) != 0xFFFF || le.Uint16(e[6:]) != 0xFFFF {
			return end{}, fmt.Errorf("archive of several disks: %w", ErrMalformed)
		}
	}
	if le.Uint16(e[8:]) != le.Uint16(e[10:]) {
		return end{}, fmt.Errorf("two counts of members: %w", ErrAmbiguous)
	}
	out := end{
		entries:   int64(le.Uint16(e[10:])),
		length:    int64(le.Uint32(e[12:])),
		directory: int64(le.Uint32(e[16:])),
		comment:   len(e) > lenEnd,
	}
	start := size - int64(len(e)) // of the record
	saturated := out.entries == 0xFFFF || out.length == 0xFFFFFFFF || out.directory == 0xFFFFFFFF || le.Uint16(e[4:]) == 0xFFFF

	loc := make([]byte, lenLocator)
	if start >= lenLocator {
		if _, err := r.ReadAt(loc, start-lenLocator); err != nil {
			return end{}, fmt.Errorf("read end of archive: %w", err)
		}
	}
	if le.Uint32(loc) == sigLocator {
		var err error
		if start, err = readEnd64(r, start-lenLocator, loc, &out); err != nil {
			return end{}, err
		}
	} else if saturated {
		return end{}, fmt.Errorf("ZIP64 end of directory missing: %w", ErrMalformed)
	}
	if out.directory+out.length != start { // both below 2^63/2: readEnd64 bounds them
		return end{}, fmt.Errorf("directory does not end where its end begins: %w", ErrAmbiguous)
	}
	// The smallest header is 46 bytes; the count is the attacker's.
	if out.entries*lenDirectory > out.length {
		return end{}, fmt.Errorf("directory shorter than its members: %w", ErrMalformed)
	}
	return out, nil
}

// readEnd64 reads the ZIP64 end, which must stand right before its locator,
// and returns where it starts.
func readEnd64(r io.ReaderAt, locator int64, loc []byte, out *end) (int64, error) {
	start := locator - lenEnd64
	if start < 0 || le.Uint32(loc[4:]) != 0 || le.Uint64(loc[8:]) != uint64(start) || le.Uint32(loc[16:]) > 1 {
		return 0, fmt.Errorf("ZIP64 locator points elsewhere: %w", ErrAmbiguous)
	}
	b := make([]byte, lenEnd64)
	if _, err := r.ReadAt(b, start); err != nil {
		return 0, fmt.Errorf("read ZIP64 end: %w", err)
	}
	if le.Uint32(b) != sigEnd64 || le.Uint64(b[4:]) != lenEnd64-12 || le.Uint32(b[16:]) != 0 || le.Uint32(b[20:]) != 0 {
		return 0, fmt.Errorf("ZIP64 end of directory: %w", ErrMalformed)
	}
	if le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		return 0, fmt.Errorf("two counts of members: %w", ErrAmbiguous)
	}
	// Whoever does not know ZIP64 believes the old fields, so they must say the
	// same wherever they say anything.
	for _, v := range []struct {
		old  *int64
		none int64
		now  uint64
	}{{&out.entries, 0xFFFF, le.Uint64(b[32:])}, {&out.length, 0xFFFFFFFF, le.Uint64(b[40:])}, {&out.directory, 0xFFFFFFFF, le.Uint64(b[48:])}} {
		if v.now > uint64(start) { // also bounds all sums
			return 0, fmt.Errorf("ZIP64 end of directory: %w", ErrMalformed)
		}
		if *v.old != v.none && *v.old != int64(v.now) {
			return 0, fmt.Errorf("ZIP64 end contradicts the old one: %w", ErrAmbiguous)
		}
		*v.old = int64(v.now)
	}
	return start, nil
}
