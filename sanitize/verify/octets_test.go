package verify

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"
)

// octetByOctet is what lines says, by the shortest way to say it.
func octetByOctet(b []byte) error {
	n, cr := 0, false
	for at, c := range b {
		switch {
		case c == '\n':
			if !cr {
				return fmt.Errorf("bare LF at octet %d", at)
			}
			n, cr = 0, false
			continue
		case cr:
			return fmt.Errorf("bare CR before octet %d", at)
		case c == '\r':
			cr = true
			continue
		case c == 0 || c >= 0x80:
			return fmt.Errorf("octet 0x%02x at %d", c, at)
		}
		if n++; n > 998 {
			return fmt.Errorf("line of more than 998 octets before octet %d", at)
		}
	}
	if cr || n != 0 {
		return errors.New("does not end with a line end")
	}
	return nil
}

// TestLinesAreWhatTheirOctetsSay: line by line it is the same as octet by octet,
// wherever lines end, however much comes at once and whatever size is said.
func TestLinesAreWhatTheirOctetsSay(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	pieces := [][]byte{[]byte("a"), []byte("bc"), []byte("\r\n"), []byte("\r\n"), []byte("\r\n"), []byte("\r"), []byte("\n"), {0}, {0x80}, {0xff},
		bytes.Repeat([]byte("x"), 996), bytes.Repeat([]byte("y"), 998), bytes.Repeat([]byte("z"), 30000)}
	good := 0
	for range 20000 {
		var b []byte
		few := 3 + random.IntN(len(pieces)-2) // some without what is bad
		for range random.IntN(12) {
			b = append(b, pieces[random.IntN(few)]...)
		}
		want := octetByOctet(b)
		var r io.Reader = bytes.NewReader(b)
		if random.IntN(4) == 0 {
			r = iotest.OneByteReader(r)
		}
		got := lines(r, []int64{int64(len(b)), 0, 1 << 40}[random.IntN(3)])
		if want == nil && got == nil {
			good++
			continue
		}
		if want == nil || got == nil || !strings.Contains(got.Error(), " "+want.Error()+":") {
			t.Fatalf("%.200q: %v, want %v", b, got, want)
		}
	}
	if good < 1000 {
		t.Errorf("only %d of the messages are good: the test tests little", good)
	}
}

// TestATextIsWhatItsCharactersSay: a text read in pieces is judged like one
// read character by character.
func TestATextIsWhatItsCharactersSay(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	pieces := []string{"a", "é", "関", "𠮷", "\r\n", "\t", "\f", " ", "本文です。", "\x1b", "\x7f", "\u0085", "\u202e", "\u2066", "\xe9", "\xe9\x96", "\xf0\xa0\xae", "\x80"}
	good := 0
	for range 20000 {
		var b []byte
		few := 9 + random.IntN(len(pieces)-8)
		if random.IntN(10) == 0 { // a character may lie across two pieces of the reader
			b = bytes.Repeat([]byte("x"), 4090+random.IntN(8))
		}
		for range random.IntN(12) {
			b = append(b, pieces[random.IntN(few)]...)
		}
		want := ""
		for at := 0; at < len(b) && want == ""; {
			r, n := utf8.DecodeRune(b[at:])
			switch {
			case r == utf8.RuneError && n <= 1:
				want = fmt.Sprintf("octet %d is no UTF-8", at)
			case r < 0x20 && r != '\t' && r != '\n' && r != '\r' && r != '\f', r == 0x7f, r >= 0x80 && r < 0xa0:
				want = fmt.Sprintf("control character U+%04X at octet %d", r, at)
			case r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069:
				want = fmt.Sprintf("bidirectional control U+%04X at octet %d", r, at)
			}
			at += n
		}
		var r io.Reader = bytes.NewReader(b)
		if random.IntN(4) == 0 {
			r = iotest.OneByteReader(r)
		}
		got := plainText("text", r)
		if want == "" && got == nil {
			good++
			continue
		}
		if want == "" || got == nil || !strings.Contains(got.Error(), " "+want+":") {
			t.Fatalf("%q: %v, want %q", b[max(0, len(b)-40):], got, want)
		}
	}
	if good < 1000 {
		t.Errorf("only %d of the texts are good: the test tests little", good)
	}
}
