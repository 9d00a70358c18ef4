package outlook

import (
	"encoding/hex"
	"strings"
	"testing"

	"sekisho/sanitize"
)

func richText(b []byte) (string, bool, error) {
	s := sanitize.NewSession(&sanitize.Options{Limits: sanitize.DefaultLimits()}, int64(len(b)), nil, nil)
	raw, err := decompress(s, b)
	if err != nil {
		return "", false, err
	}
	return readRTF(raw, "")
}

func TestCompressedRichTextIsRead(t *testing.T) {
	// [MS-OXRTFCP] 3.1.
	b, err := hex.DecodeString("2d0000002b0000004c5a4675f1c5c7a703000a007263706731323542320af32068656c090020627705b06c647d0a800fa0")
	if err != nil {
		t.Fatal(err)
	}
	text, html, err := richText(b)
	if err != nil || html || strings.TrimSpace(text) != "hello world" {
		t.Errorf("%q, html %v, %v", text, html, err)
	}
}

func TestRichTextIsRead(t *testing.T) {
	for rtf, want := range map[string]string{
		`{\rtf1\ansi\ansicpg1252 a\'e9\par b}`:                                                                  "aé\nb",
		`{\rtf1\ansi\ansicpg932 \'93\'fa\'96\'7b}`:                                                              "日本",
		`{\rtf1\ansi{\fonttbl{\f1\fcharset128 x;}{\f2\fcharset204 y;}}\f1\'93\'fa{\f2\'c4}\'96\'7b}`:            "日Д本",
		`{\rtf1\uc1 \u26085?\u26412?}`:                                                                          "日本",
		`{\rtf1\uc2 \u26085??\uc1\u-10179?\u-8704?x}`:                                                           "日\U0001F600x",
		`{\rtf1{\*\unknown secret}{\pict 00ff}\bin4 }}}}seen}`:                                                  "seen",
		`{\rtf1\fromhtml1{\*\htmltag64 <p>}\htmlrtf {\htmlrtf0 x & y\htmlrtf\par}\htmlrtf0{\*\htmltag72 </p>}}`: "<p>x & y</p>",
		`{\rtf1 a{\field{\*\fldinst HYPERLINK "http://x"}{\fldrslt shown}}}`:                                    "ashown",
		// Japanese by the font where none is named, in a Latin font, in octets as they
		// are, of which the second may be a backslash or a brace.
		`{\rtf1\ansi\ansicpg1252\deff1{\fonttbl{\f0 a;}{\f1\fcharset128 x;}}\'93\'fa\f0 \'e9\plain \'96\'7b}`:                  "日é本",
		`{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset0 Arial;}}\f0 \'93\'fa\'96\'7b\'93\'fa}`:                                  "日本日",
		`{\rtf1\ansi\ansicpg932\deff0{\fonttbl{\f0\fcharset0 Arial;}}\'95\'5c \'b1}`:                                           "表 ｱ",
		`{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset0 Arial;}}\f0 caf\'e9 x}`:                                                 "café x",
		"{\\rtf1\\ansi\\ansicpg932 \x95\\\x8e\xa6{\x83\\\x94\\}\x83{\x83}x\\par}":                                              "表示ソ能ボマx\n",
		"{\\rtf1\\ansi\\ansicpg1252 \x95\\par \xe9{x}}":                                                                        "•\né" + "x",
		`{\rtf1\ansi\ansicpg932{\fonttbl{\f0\fcharset0 A;}}\fromhtml1\f0{\*\htmltag148 <a title="\'95\'5c\'8e\'a6\'94\'5c">}}`: `<a title="表示能">`,
	} {
		raw := append([]byte{0, 0, 0, 0}, byte(len(rtf)), byte(len(rtf)>>8), 0, 0)
		raw = append(raw, "MELA\x00\x00\x00\x00"+rtf...)
		if got, _, err := richText(raw); err != nil || got != want {
			t.Errorf("%s: %q, want %q (%v)", rtf, got, want, err)
		}
	}
}
