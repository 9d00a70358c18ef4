// Package verify is the independent second look. It gets what the gateway is
// about to deliver, reads it with other code than wrote it (the standard
// library's readers, where the writers use our own), and finds nothing that is
// not on its allow-list; else the message does not go. It runs in a fresh
// worker, knows nothing of the first look, and changes nothing.
package verify

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/png"
	"io"
	"strings"
	"unicode/utf8"

	"sekisho/sanitize"
)

// ErrNotAllowed says that something is not on the allow-list.
var ErrNotAllowed = errors.New("not on the allow-list")

func notAllowed(where, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", where, fmt.Sprintf(format, args...), ErrNotAllowed)
}

// outputs are the kinds that the gateway writes, and how each is looked at.
func outputs(k sanitize.Kind) (func(s *sanitize.Session, where string, b []byte) error, bool) {
	switch k {
	case sanitize.KindText, sanitize.KindCSV, sanitize.KindTSV:
		return plain, true
	case sanitize.KindHTML:
		return checkHTML, true
	case sanitize.KindSVG:
		return checkSVG, true
	case sanitize.KindICS:
		return checkICS, true
	case sanitize.KindVCF:
		return checkVCF, true
	case sanitize.KindPNG:
		return checkPNG, true
	case sanitize.KindJPEG:
		return checkJPEG, true
	case sanitize.KindGIF:
		return checkGIF, true
	case sanitize.KindTIFF:
		return checkTIFF, true
	case sanitize.KindFODT, sanitize.KindFODS, sanitize.KindFODP, sanitize.KindFODG:
		return func(s *sanitize.Session, where string, b []byte) error { return checkFlatODF(s, where, k, b) }, true
	case sanitize.KindPDF:
		return checkPDF, true
	case sanitize.KindDOC:
		return checkDOC, true
	case sanitize.KindPPT:
		return checkPPT, true
	case sanitize.KindXLS:
		return checkXLS, true
	case sanitize.KindRTF:
		return checkRTF, true
	case sanitize.KindJTD:
		return checkJTD, true
	default:
		return nil, false
	}
}

// File looks at one output of kind k.
func File(ctx context.Context, s *sanitize.Session, k sanitize.Kind, r io.ReaderAt, size int64) error {
	if k == sanitize.KindMessage {
		return Mail(ctx, s, r, size)
	}
	if look, ok := packages(k); ok && size <= s.Options.Limits.OutputBytes {
		// It is read piece by piece, however long it is.
		if err := s.Spend(size); err != nil {
			return err
		}
		return look(ctx, s, "file", octets{r, size})
	}
	b, err := read(s, io.NewSectionReader(r, 0, size))
	if err != nil {
		return err
	}
	return content(ctx, s, "file", k, b)
}

// packages are the kinds that the gateway writes and that are archives of parts.
func packages(k sanitize.Kind) (func(ctx context.Context, s *sanitize.Session, where string, b octets) error, bool) {
	switch k {
	case sanitize.KindZIP:
		return checkZIP, true
	case sanitize.KindDOCX, sanitize.KindDOTX, sanitize.KindXLSX, sanitize.KindXLTX, sanitize.KindPPTX, sanitize.KindPPSX, sanitize.KindPOTX, sanitize.KindVSDX, sanitize.KindVSTX, sanitize.KindVSSX:
		return func(_ context.Context, s *sanitize.Session, where string, b octets) error {
			return checkOffice(s, where, k, b)
		}, true
	case sanitize.KindODT, sanitize.KindODS, sanitize.KindODP, sanitize.KindODG, sanitize.KindOTT, sanitize.KindOTS, sanitize.KindOTP, sanitize.KindOTG, sanitize.KindODFormula:
		return func(_ context.Context, s *sanitize.Session, where string, b octets) error {
			return checkODF(s, where, k, b)
		}, true
	default:
		return nil, false
	}
}

func content(ctx context.Context, s *sanitize.Session, where string, k sanitize.Kind, b []byte) error {
	if look, ok := packages(k); ok {
		return look(ctx, s, where, inMemory(b))
	}
	if k == sanitize.KindMessage {
		if err := lines(bytes.NewReader(b), int64(len(b))); err != nil {
			return err
		}
		return checkForwarded(ctx, s, where, b, 0)
	}
	look, ok := outputs(k)
	if !ok {
		return notAllowed(where, "kind %s is never written", k)
	}
	return look(s, where, b)
}

// bounded reads r, charged to the budget of the run, and fails beyond what a
// run may write.
func bounded(s *sanitize.Session, r io.Reader) io.Reader {
	most := s.Options.Limits.OutputBytes
	return io.MultiReader(s.Meter(io.LimitReader(r, most)), &tooMuch{r: r, most: most})
}

// tooMuch is what follows the last octet that is allowed: nothing.
type tooMuch struct {
	r    io.Reader
	most int64
}

func (t *tooMuch) Read(b []byte) (int, error) {
	n, err := t.r.Read(b[:min(len(b), 1)])
	if n > 0 {
		return 0, fmt.Errorf("output of more than %d octets: %w", t.most, sanitize.ErrLimit)
	}
	return 0, err
}

// read reads all of r, charged to the budget of the run.
func read(s *sanitize.Session, r io.Reader) ([]byte, error) {
	var b bytes.Buffer
	if _, err := b.ReadFrom(s.Meter(io.LimitReader(r, s.Options.Limits.OutputBytes+1))); err != nil {
		return nil, fmt.Errorf("read: %w", err)
	}
	if int64(b.Len()) > s.Options.Limits.OutputBytes {
		return nil, fmt.Errorf("output of more than %d octets: %w", s.Options.Limits.OutputBytes, sanitize.ErrLimit)
	}
	return b.Bytes(), nil
}

// plain allows UTF-8 text with tabs, line ends and form feeds, nothing that
// steers a terminal or turns the reading direction of a file name or line, and
// nothing that a browser or an interpreter would take for its own.
func plain(_ *sanitize.Session, where string, b []byte) error {
	return plainText(where, bytes.NewReader(b))
}

// plainText is plain for a text too long to keep: it is looked at as it is read.
func plainText(where string, r io.Reader) error {
	br := bufio.NewReaderSize(r, 4<<10)
	at := 0
	if mark, err := br.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		if _, err := br.Discard(3); err != nil {
			return fmt.Errorf("read: %w", err)
		}
	}
	// As much as the longest look at the beginning needs.
	head, err := br.Peek(64)
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read: %w", err)
	}
	if err := opens(where, head); err != nil {
		return err
	}
	for {
		// So many that a character is never cut but at the end.
		_, err := br.Peek(utf8.UTFMax)
		b, _ := br.Peek(br.Buffered())
		if len(b) == 0 && errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("read: %w", err)
		}
		n, err := characters(where, b, at)
		if err != nil {
			return err
		}
		if _, err := br.Discard(n); err != nil {
			return fmt.Errorf("read: %w", err)
		}
		at += n
	}
}

// characters looks at a piece of a text that begins at an octet, and returns how
// many octets it looked at: all but a character that may go on behind them.
func characters(where string, b []byte, at int) (n int, err error) {
	for n < len(b) {
		if c := b[n]; c >= ' ' && c < 0x7f {
			n++
			continue
		}
		if len(b)-n < utf8.UTFMax && n > 0 && !utf8.FullRune(b[n:]) {
			return n, nil
		}
		r, size := utf8.DecodeRune(b[n:])
		switch {
		case r == utf8.RuneError && size <= 1:
			return n, notAllowed(where, "octet %d is no UTF-8", at+n)
		case r < 0x20 && r != '\t' && r != '\n' && r != '\r' && r != '\f', r == 0x7f, r >= 0x80 && r < 0xa0:
			return n, notAllowed(where, "control character U+%04X at octet %d", r, at+n)
		case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
			return n, notAllowed(where, "bidirectional control U+%04X at octet %d", r, at+n)
		}
		n += size
	}
	return n, nil
}

// opens refuses signatures that are text themselves, at the very beginning.
func opens(where string, b []byte) error {
	for _, magic := range []string{"#!", "MZ", "%PDF-", "{\\rt", "%!PS", "ITSF", "ID;P"} {
		if bytes.HasPrefix(b, []byte(magic)) && !proseAfter(b, magic) {
			return notAllowed(where, "begins like %q", magic)
		}
	}
	return nil
}

// proseAfter spares text that begins with the letters of a signature by
// chance: "MZ" alone opens many a word.
func proseAfter(b []byte, magic string) bool {
	return magic == "MZ" && !bytes.ContainsRune(b[:min(len(b), 64)], 0)
}

// checkPNG decodes the picture and walks its chunks: only those that hold
// pixels, nothing behind the end.
func checkPNG(s *sanitize.Session, where string, b []byte) error {
	c, err := png.DecodeConfig(bytes.NewReader(b))
	if err != nil {
		return notAllowed(where, "PNG: %v", err)
	}
	if err := s.SpendPixels(c.Width, c.Height); err != nil {
		return err
	}
	if _, err := png.Decode(bytes.NewReader(b)); err != nil {
		return notAllowed(where, "PNG: %v", err)
	}
	for i := 8; ; {
		if i+12 > len(b) {
			return notAllowed(where, "PNG: no IEND")
		}
		n := int(uint32(b[i])<<24 | uint32(b[i+1])<<16 | uint32(b[i+2])<<8 | uint32(b[i+3]))
		if n < 0 || n > len(b)-i-12 {
			return notAllowed(where, "PNG: chunk of %d octets", n)
		}
		kind := string(b[i+4 : i+8])
		i += n + 12
		switch kind {
		case "IHDR", "PLTE", "IDAT", "tRNS", "pHYs", "sRGB", "gAMA", "cHRM":
		case "IEND":
			if i != len(b) {
				return notAllowed(where, "PNG: %d octets behind its end", len(b)-i)
			}
			return nil
		default:
			return notAllowed(where, "PNG: chunk %q", kind)
		}
	}
}

// written are the kinds of files that the gateway writes, mails apart.
func written() []sanitize.Kind {
	return []sanitize.Kind{sanitize.KindText, sanitize.KindCSV, sanitize.KindTSV, sanitize.KindHTML, sanitize.KindSVG, sanitize.KindICS, sanitize.KindVCF,
		sanitize.KindPNG, sanitize.KindJPEG, sanitize.KindGIF, sanitize.KindTIFF, sanitize.KindZIP,
		sanitize.KindDOCX, sanitize.KindDOTX, sanitize.KindXLSX, sanitize.KindXLTX, sanitize.KindPPTX, sanitize.KindPPSX, sanitize.KindPOTX, sanitize.KindVSDX, sanitize.KindVSTX, sanitize.KindVSSX, sanitize.KindPDF, sanitize.KindDOC, sanitize.KindPPT, sanitize.KindXLS, sanitize.KindRTF, sanitize.KindJTD,
		sanitize.KindODT, sanitize.KindODS, sanitize.KindODP, sanitize.KindODG, sanitize.KindOTT, sanitize.KindOTS, sanitize.KindOTP, sanitize.KindOTG, sanitize.KindODFormula,
		sanitize.KindFODT, sanitize.KindFODS, sanitize.KindFODP, sanitize.KindFODG}
}

// sniff says what kind an attachment of this media type is. The type must be
// one the gateway writes.
func sniff(media string) (sanitize.Kind, error) {
	for _, k := range written() {
		if k.Facts().Media == media {
			return k, nil
		}
	}
	return "", fmt.Errorf("media type %q is never written", media)
}

// extension is the last extension of a name, lower case.
func extension(name string) string {
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		return strings.ToLower(name[i:])
	}
	return ""
}
