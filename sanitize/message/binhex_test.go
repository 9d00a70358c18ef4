package message_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"sekisho/sanitize"
	"sekisho/sanitize/message"
)

// hqx writes BinHex 4.0 as RFC 1741, appendix A, has it; what the caller
// spoils, it spoils in the octets before they are encoded.
func hqx(name string, data, resource []byte, spoil func([]byte)) string {
	crc := func(b []byte) (sum uint16) {
		for _, c := range b {
			for bit := 7; bit >= 0; bit-- {
				top := sum>>15 ^ uint16(c>>bit&1)
				if sum <<= 1; top != 0 {
					sum ^= 0x1021
				}
			}
		}
		return sum
	}
	be := func(b []byte, n, v int) []byte {
		for i := n - 1; i >= 0; i-- {
			b = append(b, byte(v>>(8*i)))
		}
		return b
	}
	raw := append([]byte{byte(len(name))}, name...)
	raw = append(raw, "\x00TEXTttxt\x00\x00"...)
	raw = be(be(raw, 4, len(data)), 4, len(resource))
	raw = be(raw, 2, int(crc(raw)))
	for _, fork := range [][]byte{data, resource} {
		raw = be(append(raw, fork...), 2, int(crc(fork)))
	}
	if spoil != nil {
		spoil(raw)
	}
	var runs []byte
	for i := 0; i < len(raw); {
		n := 1
		for i+n < len(raw) && raw[i+n] == raw[i] && n < 255 {
			n++
		}
		c := raw[i]
		switch {
		case c == 0x90:
			runs, n = append(runs, 0x90, 0), 1
		case n > 3:
			runs = append(runs, c, 0x90, byte(n))
		default:
			runs, n = append(runs, c), 1
		}
		i += n
	}
	const alphabet = "!\"#$%&'()*+,-012345689@ABCDEFGHIJKLMNPQRSTUVXYZ[`abcdefhijklmpqr"
	text := ":"
	for acc, bits := 0, 0; len(runs) > 0 || bits > 0; {
		if bits < 6 {
			c := byte(0)
			if len(runs) > 0 {
				c, runs = runs[0], runs[1:]
			} else {
				bits, acc = 6, acc<<(6-bits)
				text += string(alphabet[acc&63])
				break
			}
			acc, bits = acc<<8|int(c), bits+8
		}
		for bits >= 6 {
			bits -= 6
			text += string(alphabet[acc>>bits&63])
		}
	}
	text += ":"
	out := "(This file must be converted with BinHex 4.0)\n\n"
	for len(text) > 64 {
		out, text = out+text[:64]+"\n", text[64:]
	}
	return out + text + "\n"
}

func TestBinHexIsDecodedAndTreated(t *testing.T) {
	data := "hi\x90\x90 " + strings.Repeat("=", 700) + " end\n"
	file := hqx("\x93\xfa\x96\x7b.txt", []byte(data), []byte("a resource that ran on a Macintosh"), nil)
	for _, c := range []struct{ name, mail, text string }{
		{"in a text", top + "\nbefore\n" + file + "after\n", "before\r\n[...]\r\nafter\r\n"},
		{"a type of its own", mixed(plainPart, "Content-Type: application/mac-binhex40; name=\"x.txt.hqx\"\n\n"+file), "hello\r\n"},
		{"in base64", mixed(plainPart, "Content-Type: application/octet-stream; name=\"x.txt.hqx\"\nContent-Transfer-Encoding: base64\n\n"+b64(file)), "hello\r\n"},
		{"as an encoding", mixed(plainPart, "Content-Type: application/octet-stream; name=\"\"\nContent-Transfer-Encoding: x-binhex40\n\n"+file), "hello\r\n"},
	} {
		out, rep, err := treat(lf(c.mail), options())
		if err != nil {
			t.Errorf("%s: %v %v", c.name, err, rep.Holds)
			continue
		}
		_, ls := leaves(t, out)
		last := ls[len(ls)-1]
		if !strings.HasSuffix(last.name, ".txt") || last.body != data {
			t.Errorf("%s: name %q, %d octets of %d", c.name, last.name, len(last.body), len(data))
		}
		if got := ls[0].body + ls[1].body; !strings.Contains(got, c.text) {
			t.Errorf("%s: text %q", c.name, got)
		}
		if strings.Contains(fmt.Sprint(ls), "resource that ran") || strings.Contains(string(out), "BinHex") {
			t.Errorf("%s: something of the wrapper goes on:\n%s", c.name, out)
		}
	}
	// The name inside decides like any other: the most dangerous one.
	_, rep, err := treat(lf(mixed(plainPart, "Content-Type: application/mac-binhex40; name=\"a.txt\"\n\n"+hqx("a.js", []byte("words\n"), nil, nil))), options())
	if err != nil || rep.Parts[1].Kind != sanitize.KindScript || rep.Parts[1].Fate != sanitize.KeptBack {
		t.Errorf("a script by its inner name: %v %+v", err, rep.Parts)
	}
	// Words that speak of it are words.
	out, _, err := treat(lf(top+"\n(This file must be converted with BinHex 4.0)\n\nis what it said.\n"), options())
	if err != nil || !strings.Contains(string(out), "is what it said.") {
		t.Errorf("words: %v\n%s", err, out)
	}
}

func TestBinHexThatProgramsReadDifferentlyIsHeld(t *testing.T) {
	good := hqx("a.txt", []byte("the words of a file\n"), nil, nil)
	for name, file := range map[string]string{
		"sum of the header":    hqx("a.txt", []byte("x"), nil, func(b []byte) { b[8] ^= 1 }),
		"sum of the data":      hqx("a.txt", []byte("some words"), nil, func(b []byte) { b[len(b)-6] ^= 1 }),
		"sum of the resource":  hqx("a.txt", nil, []byte("some words"), func(b []byte) { b[len(b)-1] ^= 1 }),
		"length of the data":   hqx("a.txt", []byte("some words"), nil, func(b []byte) { b[17] = 0x7f }),
		"a foreign character":  strings.Replace(good, "\n:\"", "\n:\x7f\"", 1),
		"no colon at the end":  strings.TrimSuffix(good, ":\n") + "\n",
		"text behind the file": good + "and words\n",
	} {
		if strings.Contains(file, "\x7f") == (name != "a foreign character") {
			t.Fatalf("%s: the case does not spoil what it says", name)
		}
		mail := top + "\n" + file
		if name == "text behind the file" {
			mail = mixed(plainPart, "Content-Type: application/octet-stream\nContent-Transfer-Encoding: x-binhex\n\n"+file)
		}
		_, rep, err := treat(lf(mail), options())
		if !errors.Is(err, sanitize.ErrAmbiguous) || len(rep.Holds) == 0 || rep.Holds[0].Code != string(message.BinHexMalformed) {
			t.Errorf("%s: %v %v", name, err, rep.Holds)
		}
	}
}

func TestBinHexBombEndsAtTheBudget(t *testing.T) {
	o := options()
	o.Limits.Expanded = 1 << 20
	_, _, err := treat(lf(top+"\n"+hqx("a.txt", make([]byte, 4<<20), nil, nil)), o)
	if !errors.Is(err, sanitize.ErrLimit) {
		t.Errorf("%v", err)
	}
}

// TestAForwardedMailThatCannotBeReadStillTellsOfPrograms: it is kept back, and
// what may be in it counts for the rules about whole messages.
func TestAForwardedMailThatCannotBeReadStillTellsOfPrograms(t *testing.T) {
	program := "MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00" + strings.Repeat("\x00\x01", 200)
	// Two Content-Types that differ: no reader may guess.
	broken := "From: a@b.example\nSubject: x\nContent-Type: text/plain\nContent-Type: multipart/mixed; boundary=i\n\n"
	for _, c := range []struct {
		name, inner string
		kind        sanitize.Kind // "" for none
	}{
		{"nothing but words", broken + "words\n", ""},
		{"a name", broken + "--i\nContent-Type: application/octet-stream; name=\"a.vbs\"\n\nx\n--i--\n", sanitize.KindScript},
		{"a name in RFC 2231", broken + "--i\nContent-Disposition: attachment; filename*=utf-8''a%2Evbs\n\nx\n--i--\n", sanitize.KindScript},
		{"a name in RFC 2047", broken + "--i\nContent-Disposition: attachment; filename=\"=?utf-8?B?" + b64("請求書.vbs") + "?=\"\n\nx\n--i--\n", sanitize.KindScript},
		{"base64", broken + "--i\n\n" + b64(program) + "\n--i--\n", sanitize.KindExecutable},
		{"base64 with junk in it", broken + "--i\n\n" + b64(program)[:60] + "=\n" + b64(program)[60:] + "\n--i--\n", sanitize.KindExecutable},
		{"a mail in base64 in it", broken + "--i\n\n" + b64("From: a@b.example\r\nContent-Type: multipart/mixed; boundary=j\r\n\r\n--j\r\nContent-Type: text/plain; name=b.vbs\r\n\r\nx\r\n--j--\r\n") + "\n--i--\n", sanitize.KindScript},
		{"uuencode", broken + "begin 644 a.vbs\n#0V%T\n`\nend\n", sanitize.KindScript},
		{"BinHex", broken + hqx("a.vbs", []byte("x"), nil, nil), sanitize.KindScript},
	} {
		_, rep, err := treat(lf(mixed(plainPart, "Content-Type: message/rfc822\n\n"+c.inner)), options())
		if err != nil {
			t.Errorf("%s: %v %v", c.name, err, rep.Holds)
			continue
		}
		p := rep.Parts[1]
		if p.Kind != sanitize.KindMessage || p.Fate != sanitize.KeptBack || p.Outcome != sanitize.Refused {
			t.Errorf("%s: %+v", c.name, p)
		}
		if c.kind == "" && len(p.Inside) > 0 || c.kind != "" && !slices.Contains(p.Inside, c.kind) {
			t.Errorf("%s: inside %v, want %q", c.name, p.Inside, c.kind)
		}
	}
}
