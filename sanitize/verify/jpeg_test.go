package verify

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"strings"
	"testing"

	"sekisho/internal/corpus"
	"sekisho/sanitize"
)

// photographs are pictures as the standard library writes them, with the tables of
// the gateway's: of three components, of one, and of one block.
func photographs(tb testing.TB) map[string][]byte {
	tb.Helper()
	grey := image.NewGray(image.Rect(0, 0, 33, 21))
	for i := range grey.Pix {
		grey.Pix[i] = uint8(i * i)
	}
	all := map[string][]byte{}
	for name, m := range map[string]image.Image{"colours": corpus.Picture(), "grey": grey, "one block": grey.SubImage(image.Rect(0, 0, 8, 8))} {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 80}); err != nil {
			tb.Fatal(err)
		}
		all[name] = b.Bytes()
	}
	// The library writes two quantisations, and codes for one of them, where
	// there is one component.
	for name, b := range all {
		if name != "colours" {
			all[name] = withoutSecondTable(tb, b)
		}
		meant(tb, all[name])
	}
	return all
}

// meant changes the numbers of quantisations that divide nothing to those the
// gateway writes.
func meant(tb testing.TB, b []byte) {
	tb.Helper()
	var p jpegPicture
	data, err := p.segments(b)
	if err == nil {
		err = p.scan(data)
	}
	if err != nil {
		tb.Fatal(err)
	}
	for i, q := range p.quantisations {
		last := byte(16)
		for k := range q {
			if p.used[i]&(1<<k) == 0 {
				q[k] = last
			}
			last = q[k]
		}
	}
}

func withoutSecondTable(tb testing.TB, b []byte) []byte {
	tb.Helper()
	at := bytes.Index(b, []byte{0xff, 0xdb, 0, 132})
	if at < 0 {
		tb.Fatal("no two tables in one segment")
	}
	return bytes.Join([][]byte{b[:at+2], {0, 67}, b[at+4 : at+69], b[at+134:]}, nil)
}

// segment finds the first one of a kind.
func segment(tb testing.TB, b []byte, marker byte) (from, to int) {
	tb.Helper()
	from = bytes.Index(b, []byte{0xff, marker})
	if from < 0 {
		tb.Fatalf("no segment 0x%02x", marker)
	}
	return from, from + 2 + int(b[from+2])<<8 + int(b[from+3])
}

func TestAPhotographIsWalkedToItsLastBit(t *testing.T) {
	for name, b := range photographs(t) {
		if err := checkFile(sanitize.KindJPEG, b); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		insert := func(at int, more ...byte) []byte {
			return bytes.Join([][]byte{b[:at], more, b[at:]}, nil)
		}
		change := func(at int, v byte) []byte {
			c := bytes.Clone(b)
			c[at] = v
			return c
		}
		end := len(b) - 2
		frame, _ := segment(t, b, 0xc0)
		scan, data := segment(t, b, 0xda)
		table, behindTable := segment(t, b, 0xdb)
		codes, _ := segment(t, b, 0xc4)
		jfif := []byte("\xff\xe0\x00\x10JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")
		if err := checkFile(sanitize.KindJPEG, insert(2, jfif...)); err != nil {
			t.Errorf("%s with a density: %v", name, err)
		}
		// Of three components all tables are in use.
		unused, alone := "nobody uses", "more codes than there are"
		if name == "colours" {
			unused, alone = "code table", "code table"
		}
		thumbnail := bytes.Join([][]byte{jfif[:3], {0x13}, jfif[4:16], {1, 1, 9, 9, 9}}, nil)
		for what, c := range map[string]struct {
			b   []byte
			say string
		}{
			"octets behind the last block":        {insert(end, 0x5a, 0x5a), "behind its last block"},
			"an octet of ones behind it":          {insert(end, 0xff, 0), "behind its last block"},
			"the last block missing":              {append(bytes.Clone(b[:end-6]), 0xff, 0xd9), ""},
			"a second scan":                       {insert(end, b[scan:end]...), "behind its last block"},
			"a second scan behind a marker":       {insert(end, append([]byte{0xff, 0xd0}, b[data:end]...)...), "behind its last block"},
			"a second picture":                    {append(bytes.Clone(b), b...), ""},
			"a density and a smaller picture":     {insert(2, thumbnail...), "application segment"},
			"two densities":                       {insert(2, append(bytes.Clone(jfif), jfif...)...), "application segment"},
			"Exif":                                {insert(2, append([]byte("\xff\xe1\x00\x10"), jfif[4:]...)...), "segment 0xe1"},
			"the mark of Adobe":                   {insert(2, []byte("\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00\x00")...), "segment 0xee"},
			"a comment":                           {insert(2, 0xff, 0xfe, 0, 5, 'a', 'b', 'c'), "segment 0xfe"},
			"an interval of restarts":             {insert(scan, 0xff, 0xdd, 0, 4, 0, 0), "segment 0xdd"},
			"a fill octet":                        {insert(scan, 0xff), "segment"},
			"an octet between segments":           {insert(scan, 'x'), "no marker"},
			"a table that nobody uses":            {insert(scan, append([]byte{0xff, 0xdb, 0, 67, 3}, b[table+5:table+69]...)...), "nobody uses"},
			"a table twice":                       {insert(behindTable, b[table:behindTable]...), "quantisation"},
			"codes that nobody uses":              {insert(scan, 0xff, 0xc4, 0, 20, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), unused},
			"a code of ones alone":                {insert(scan, 0xff, 0xc4, 0, 21, 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1), alone},
			"two codes for one":                   {insert(scan, 0xff, 0xc4, 0, 21, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 3), "code"},
			"a third table of codes":              {insert(scan, 0xff, 0xc4, 0, 20, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), "code table"},
			"an empty segment":                    {insert(scan, 0xff, 0xc4, 0, 2), "segment of 2 octets"},
			"another version":                     {insert(2, append(append(bytes.Clone(jfif[:10]), 0xab), jfif[11:]...)...), "application segment"},
			"codes that end early":                {change(codes+5, 255), "code table"},
			"a division by nothing":               {change(table+5, 0), "quantisation"},
			"a progressive frame":                 {change(frame+1, 0xc2), "segment 0xc2"},
			"samples of 12 bits":                  {change(frame+4, 12), "frame header"},
			"a row more than there is":            {change(frame+6, b[frame+6]+32), ""},
			"a row less":                          {change(frame+6, 1), ""},
			"no pixels":                           {change(frame+6, 0), "pixels"},
			"the name of a component as a number": {change(frame+10, 'R'), "component"},
			"a part of the coefficients":          {change(data-2, 5), "scan header"},
			"a successive bit":                    {change(data-1, 1), "scan header"},
			"nothing":                             {nil, "no beginning"},
			"a beginning and an end":              {[]byte{0xff, 0xd8, 0xff, 0xd9}, "no marker"},
		} {
			err := checkFile(sanitize.KindJPEG, c.b)
			if what == "a row less" && name == "one block" {
				continue // the same block
			}
			if err == nil || !strings.Contains(err.Error(), c.say) {
				t.Errorf("%s with %s: %v", name, what, err)
			}
		}
	}
}

// What can be written in two ways is allowed in the one that the gateway writes:
// numbers of a quantisation that divide nothing, and noughts that nothing follows.
func TestAPhotographHasNoRoomForWords(t *testing.T) {
	// A block with every coefficient nought, in two codes: nothing, and the end.
	picture := func(ac []byte, data ...byte) []byte {
		b := []byte("\xff\xd8\xff\xdb\x00\x43\x00" + strings.Repeat("\x10", 64) + "\xff\xc0\x00\x0b\x08\x00\x08\x00\x08\x01\x01\x11\x00" +
			"\xff\xc4\x00\x14\x00\x01" + strings.Repeat("\x00", 15) + "\x00")
		b = append(b, "\xff\xc4\x00"...)
		b = append(b, byte(19+len(ac)), 0x10, 0, byte(len(ac)))
		b = append(append(b, make([]byte, 14)...), ac...)
		b = append(b, "\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"...)
		return append(append(b, data...), 0xff, 0xd9)
	}
	end, noughts := byte(0), byte(0xf0) // symbols; their codes are 00 and 01
	plain := picture([]byte{end}, 0b0_00_11111)
	words := bytes.Clone(plain)
	copy(words[7+3:], "attack at dawn")
	for what, c := range map[string]struct {
		b   []byte
		say string
	}{
		"nothing":               {plain, ""},
		"words for no division": {words, "what is not there"},
		"sixteen noughts":       {picture([]byte{end, noughts}, 0b0_01_00_111), "one by one"},
		"all of them":           {picture([]byte{end, noughts}, 0b0_01_01_01_0, 0b1_1111111, 0), "more than 64"},
	} {
		if _, err := jpeg.Decode(bytes.NewReader(c.b)); err != nil {
			t.Errorf("the library does not take %s: %v", what, err)
		}
		if err := checkFile(sanitize.KindJPEG, c.b); (err == nil) != (c.say == "") || err != nil && !strings.Contains(err.Error(), c.say) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// The bits that fill up the last octet are ones, as writers write them: the
// pictures below end at all eight places.
func TestTheLastOctetIsFilledUpWithOnes(t *testing.T) {
	places := map[int]bool{}
	for i := range 64 {
		m := image.NewGray(image.Rect(0, 0, 8, 8))
		for k := range m.Pix {
			m.Pix[k] = uint8(k * i)
		}
		var buf bytes.Buffer
		if err := jpeg.Encode(&buf, m, nil); err != nil {
			t.Fatal(err)
		}
		b := withoutSecondTable(t, buf.Bytes())
		meant(t, b)
		if err := checkFile(sanitize.KindJPEG, b); err != nil {
			t.Fatalf("picture %d: %v", i, err)
		}
		last := len(b) - 3
		if b[last] == 0 && b[last-1] == 0xff {
			continue // an octet of ones, which is followed by one of zeros
		}
		for n := range 8 {
			c := bytes.Clone(b)
			c[last] ^= 1 << n
			if c[last] == 0xff {
				break // looks like a marker then
			}
			// The lowest bits are there to fill up until one is of a code.
			err := checkFile(sanitize.KindJPEG, c)
			if err == nil || !strings.Contains(err.Error(), "bits behind its last block") {
				places[n] = true
				break
			}
		}
	}
	for n := range 7 {
		if !places[n] {
			t.Errorf("no picture of which %d bits fill up the last octet", n)
		}
	}
}

// FuzzPhotograph: of what is allowed the standard library makes a picture of that
// size.
func FuzzPhotograph(f *testing.F) {
	for _, b := range photographs(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		p := jpegPicture{}
		data, err := p.segments(b)
		if err != nil || p.width*p.height > 1<<20 || p.scan(data) != nil {
			return
		}
		m, err := jpeg.Decode(bytes.NewReader(b))
		if err != nil {
			t.Fatalf("allowed, but the library says: %v", err)
		}
		if s := m.Bounds().Size(); s.X != p.width || s.Y != p.height {
			t.Errorf("allowed as %d x %d, and is %v", p.width, p.height, s)
		}
	})
}

func BenchmarkPhotograph(b *testing.B) {
	m := image.NewRGBA(image.Rect(0, 0, 1600, 1200))
	for y := range 1200 {
		for x := range 1600 {
			n := (x*7919 + y*104729) % 61
			m.Set(x, y, color.RGBA{uint8(x/7 + n), uint8(y/5 + n), uint8((x+y)/9 + n), 255})
		}
	}
	var buf bytes.Buffer
	if err := jpeg.Encode(&buf, m, &jpeg.Options{Quality: 80}); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(buf.Len()))
	for b.Loop() {
		p := jpegPicture{}
		data, err := p.segments(buf.Bytes())
		if err != nil {
			b.Fatal(err)
		}
		if err := p.scan(data); err != nil {
			b.Fatal(err)
		}
	}
}
