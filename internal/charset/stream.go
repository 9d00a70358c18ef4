package charset

import "bytes"

// stream is one text on its way through: first the start, where a byte order
// mark may speak; then plain ASCII, which means the same in nearly every
// charset and is passed through without a decision; then, from the first byte
// that tells something, the decoder that was chosen on a window of bytes.
//
// Once chosen a decoder stays. If later bytes contradict it they are replaced
// one by one and counted: changing horses in the middle would let a sender
// have one part of the text examined as something it is not.
type stream struct {
	label   *entry
	held    []byte // bytes that wait for a decision or for the rest of a character
	started bool
	used    *entry
	dec     decoder
	dropped int
	drop    bool
}

// startBytes is how much is looked at for a byte order mark or for the zero
// bytes of UTF-16: enough for a pattern, little enough to hold back.
const startBytes = 1024

func newStream(label string) *stream {
	return &stream{label: lookup(label)}
}

// feed appends to dst what src means. After the call with final no other may
// follow.
func (s *stream) feed(dst, src []byte, final bool) []byte {
	if len(s.held) > 0 {
		s.held = append(s.held, src...)
		src = s.held
	}
	from := len(dst)
	dst, n := s.step(dst, src, final)
	if n > 0 || len(s.held) == 0 {
		s.held = append(s.held[:0], src[n:]...)
	}
	if s.drop {
		out, d := dropControls(dst[from:], 0)
		s.dropped += d
		dst = dst[:from+len(out)]
	}
	return dst
}

func (s *stream) step(dst, src []byte, final bool) ([]byte, int) {
	n := 0
	if !s.started {
		if len(src) < startBytes && !final {
			return dst, 0
		}
		s.started = true
		head := src[:min(len(src), startBytes)]
		if e, size := mark(head); e != nil {
			n = size
			s.use(e)
		} else if e := unmarked(head); e != nil {
			s.use(e)
		} else if s.label != nil && s.label.opaque && !(s.label.wide && looksNarrow(head)) {
			s.use(s.label)
		}
	}
	if s.dec == nil {
		i := informative(src[n:], s.label)
		if i < 0 {
			return append(dst, src[n:]...), len(src)
		}
		dst = append(dst, src[n:n+i]...)
		n += i
		if len(src)-n < window && !final {
			return dst, n
		}
		// Whether more follows is not known for a window that is just full;
		// a character cut at its end must not count against anybody.
		s.use(choose(s.label, cut(src[n:]), len(src)-n >= window))
	}
	dst, m := s.dec.decode(dst, src[n:], final)
	return dst, n + m
}

func (s *stream) use(e *entry) {
	s.used = e
	s.dec = e.decoder()
}

func (s *stream) result() Result {
	r := Result{Charset: ascii.name, Dropped: s.dropped}
	if s.label != nil {
		r.Label = s.label.name
	}
	if s.dec != nil {
		t := s.dec.counts()
		r.Charset = s.used.name
		r.Replaced, r.UserDefined, r.Stripped = t.replaced, t.userDefined, t.stripped
		r.Contradicted = s.label != nil && s.label != s.used && !s.label.covers(s.used)
	}
	return r
}

// informative returns the index of the first byte that says something about
// the charset, or -1. Shift Out and Shift In do so only where the label makes
// them likely; elsewhere they are stray controls.
func informative(b []byte, label *entry) int {
	if label != nil && (label == iso2022jp || label == iso2022kr) {
		for i, c := range b {
			if c >= 0x80 || c == esc || c == so || c == si {
				return i
			}
		}
		return -1
	}
	for i, c := range b {
		if c >= 0x80 || c == esc {
			return i
		}
	}
	return -1
}

// mark returns the charset a byte order mark names, and the mark's length.
// It overrides every label, as in every browser and mail client.
func mark(b []byte) (*entry, int) {
	switch {
	case bytes.HasPrefix(b, []byte("\xef\xbb\xbf")):
		return utf8Entry, 3
	case bytes.HasPrefix(b, []byte("\xff\xfe\x00\x00")):
		return utf32le, 4
	case bytes.HasPrefix(b, []byte("\x00\x00\xfe\xff")):
		return utf32be, 4
	case bytes.HasPrefix(b, []byte("\xff\xfe")):
		return utf16le, 2
	case bytes.HasPrefix(b, []byte("\xfe\xff")):
		return utf16be, 2
	}
	return nil, 0
}

// unmarked recognises UTF-16 without a mark by its zero bytes: Notepad's
// "Unicode" files lose the mark on their way now and then, and HTML hidden so
// from a filter is shown by browsers all the same.
func unmarked(b []byte) *entry {
	b = b[:min(len(b), startBytes)]
	if e, _ := mark(b); e != nil {
		return e
	}
	if len(b) < 8 {
		return nil
	}
	var zero, printable [2]int
	for i, c := range b {
		if c == 0 {
			zero[i&1]++
		} else if c < 0x80 {
			printable[i&1]++
		}
	}
	half := len(b) / 2
	switch {
	case zero[0] == 0 && zero[1] >= half*6/10 && printable[0] >= half*6/10:
		return utf16le
	case zero[1] == 0 && zero[0] >= half*6/10 && printable[1] >= half*6/10:
		return utf16be
	}
	return nil
}

// looksNarrow reports that b cannot be what a UTF-16 or UTF-32 label claims:
// not one zero byte, and nothing but 7-bit text.
func looksNarrow(b []byte) bool {
	if len(b) == 0 {
		return false
	}
	for _, c := range b {
		if c == 0 || c >= 0x80 || c < 0x20 && c != '\t' && c != '\r' && c != '\n' && c != esc {
			return false
		}
	}
	return true
}
