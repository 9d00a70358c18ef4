package doc

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sekisho/sanitize"
)

// wmfAround is a drawing of Windows in which one record has octets of anybody's.
func wmfAround(inside []byte) []byte {
	if len(inside)%2 != 0 {
		inside = append(inside, 0)
	}
	b := make([]byte, 18)
	le.PutUint16(b, 1)
	le.PutUint16(b[2:], 9)
	le.PutUint16(b[4:], 0x300)
	const arc = 0x0817
	b = le.AppendUint16(le.AppendUint32(b, uint32(3+8+len(inside)/2)), arc)
	b = append(append(b, make([]byte, 16)...), inside...)
	return append(b, 3, 0, 0, 0, 0, 0)
}

// TestPicturesThatLieInOneAnotherAreRefused: each would be written with all that
// lie in it.
func TestPicturesThatLieInOneAnotherAreRefused(t *testing.T) {
	for depth, want := range map[int]error{1: nil, 20: sanitize.ErrLimit} {
		p := newPaper()
		p.data = wmfAround(bytes.Repeat([]byte{7}, 200))
		var places []uint32
		for range depth {
			p.data = frame(mmMetafile, wmfAround(p.data))
			const inside = pictureHeader + 18 + 6 + 16
			for i := range places {
				places[i] += inside
			}
			places = append(places, 0)
		}
		p.stories[0] = ""
		for i, at := range places {
			word := fmt.Sprintf("\x01%c", 'A'+i)
			p.stories[0] += word
			p.runs[word] = special(at)
		}
		p.stories[0] += "\r"
		if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d deep: %v, want %v", depth, err, want)
		}
	}
}

// TestStructuresThatLieInOneAnotherAreRefused: each would be written.
func TestStructuresThatLieInOneAnotherAreRefused(t *testing.T) {
	for n, want := range map[int]error{1: nil, 12: sanitize.ErrLimit} {
		p := newPaper()
		long := sttbOf(make([]string, 20000)...)
		p.pairs[21] = long
		p.change = func(main, _ []byte) {
			for _, i := range []int{37, 51, pairListNames, pairAtnOwners, 4, 5, 11, 22, 23, 42, 43}[:n-1] {
				copy(main[154+8*i:], main[154+8*21:154+8*21+8])
			}
		}
		if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d at one place: %v, want %v", n, err, want)
		}
	}
}

// TestPagesThatSpanAllTextAreRefused: every run of every page is walked.
func TestPagesThatSpanAllTextAreRefused(t *testing.T) {
	for n, want := range map[int]error{1: nil, 60: sanitize.ErrLimit} {
		p := newPaper()
		p.stories[0] = string(bytes.Repeat([]byte("abcdefg "), 4000)) + "\r"
		p.runs[p.stories[0]] = change(0x0835, 1)
		p.pages = n
		if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d pages: %v, want %v", n, err, want)
		}
	}
}

// TestCodesThatLieInOneAnotherAreRefused: a text in the innermost would be read
// once for each.
func TestCodesThatLieInOneAnotherAreRefused(t *testing.T) {
	for depth, want := range map[int]error{3: nil, 100: sanitize.ErrLimit} {
		p := newPaper()
		p.stories[0] = strings.Repeat("\x13", depth) + strings.Repeat("abcdefg ", 4000) + strings.Repeat("\x15", depth) + "\r"
		if _, _, _, err := treat(p.bytes(t)); !errors.Is(err, want) {
			t.Errorf("%d deep: %v, want %v", depth, err, want)
		}
	}
}
