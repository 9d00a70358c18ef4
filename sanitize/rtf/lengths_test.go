package rtf

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"sekisho/internal/corpus/corpustest"
	"sekisho/sanitize"
)

// TestLengthsAndNumbersThatLieAreHeld: what \bin takes is as much as it says and
// there is, numbers are as large as can be, groups as deep.
func TestLengthsAndNumbersThatLieAreHeld(t *testing.T) {
	numbers := []string{"", "0", "1", "-1", "32768", "65536", "2147483647", "-2147483648", "4294967296", "99999999999999999999"}
	judge := func(what, in string) {
		corpustest.Thrifty(t, what, 32<<20, func() {
			out, res, _, err := treat(t, []byte(in))
			switch {
			case err == nil:
				stable(t, what, out)
			case res.Outcome == sanitize.Clean, res.Outcome == sanitize.Disarmed,
				!errors.Is(err, sanitize.ErrMalformed) && !errors.Is(err, sanitize.ErrLimit) && !errors.Is(err, sanitize.ErrUnsupported):
				t.Errorf("%s: %s, %v", what, res.Outcome, err)
			}
			if bytes.Contains(out, []byte("MARKER")) {
				t.Errorf("%s: %s", what, out)
			}
		})
	}
	places := []string{
		`a\bin%s {}{\object{\*\objdata MARKER}}`, `{\pict\pngblip\bin%s MARKER}`, `{\object{\*\objdata\bin%s MARKER}}`, `{\field{\*\fldinst\bin%s DDEAUTO MARKER}}`,
		`{\pict\pngblip\picw%s\pich%s\picwgoal%s\picscalex%s 4d41}`, `{\pict\wbitmap0\wbmbitspixel%s\wbmplanes%s\wbmwidthbytes%s\picw%s\pich%s 00ff}`, `{\pict\dibitmap%s 28000000}`,
		`{\uc%s\u%s ?\u%s ?x}`, `{\listoverridetable{\listoverride\listoverridecount%s{\lfolevel}{\lfolevel}\ls%s}}`, `{\*\listtable{\list\listtemplateid%s{\listlevel\levelnfc%s{\leveltext\'%s;}}\listid%s}}`,
		`\trowd\cellx%s\cellx%s\itap%s\cell\row`, `{\fonttbl{\f%s\fcharset%s\cpg%s x;}}\f%s x`, `{\colortbl;\red%s\green%s\blue%s;}\cf%s x`, `\cols%s\colno%s\ilvl%s\ls%s x`,
		`{\shp{\*\shpinst\shpleft%s\shpz%s{\sp{\sn pVerticies}{\sv 8;%s;(1,2)}}{\sp{\sn lineWidth}{\sv %s}}}}`, `{\stylesheet{\s%s\sbasedon%s\snext%s x;}}`, `{\info{\nofpages%s}}\deff%s\ansicpg%s x`,
		`{\field{\*\fldinst FORMDROPDOWN{\*\formfield{\fftype%s\ffres%s\ffmaxlen%s{\*\ffl x}}}}}`,
	}
	for _, p := range places {
		for _, n := range numbers {
			args := make([]any, strings.Count(p, "%s"))
			for i := range args {
				args[i] = n
			}
			what := fmt.Sprintf(p, args...)
			judge(what, `{\rtf1\ansi `+what+`end}`)
			judge("cut: "+what, `{\rtf1\ansi `+what)
		}
	}
	for what, in := range map[string]string{
		"as deep as may be":      strings.Repeat(`{`, maxDepth-1) + "x" + strings.Repeat(`}`, maxDepth-1),
		"deeper":                 strings.Repeat(`{`, maxDepth) + "x" + strings.Repeat(`}`, maxDepth),
		"a million deep":         strings.Repeat(`{\b`, 1<<20),
		"a million ends":         strings.Repeat(`}`, 1<<20),
		"fields in fields":       strings.Repeat(`{\field{\*\fldinst `, 1000),
		"fields in results":      strings.Repeat(`{\field{\*\fldinst PAGE}{\fldrslt `, 1000),
		"objects in objects":     strings.Repeat(`{\object{\result `, 1000),
		"forms in forms":         strings.Repeat(`{\upr{x}{\*\ud `, 1000),
		"pictures in properties": strings.Repeat(`{\pict{\*\picprop{\sp{\sn pib}{\sv `, 1000),
		"lists in lists":         strings.Repeat(`{\list{\listlevel`, 1000),
		"fonts in fonts":         strings.Repeat(`{\fonttbl`, 1000),
		"a word without end":     `\` + strings.Repeat("a", 4<<20),
		"a number without end":   `\b` + strings.Repeat("9", 4<<20),
		"hex without end":        `{\pict\pngblip ` + strings.Repeat("4d", 2<<20),
		"backslashes":            strings.Repeat(`\`, 1<<20),
		"halves":                 strings.Repeat(`\'`, 1<<20),
		"stars":                  strings.Repeat(`\*`, 1<<20) + `\object`,
		"a template without end": `{\*\template ` + strings.Repeat("x", 4<<20),
		"a name without end":     `{\shp{\*\shpinst{\sp{\sn ` + strings.Repeat("x", 4<<20),
		"a code without end":     `{\field{\*\fldinst ` + strings.Repeat(`\u68 `, 1<<20),
		"a picture of nothing":   strings.Repeat(`{\pict\pngblip 00}`, 100),
	} {
		most := uint64(64 << 20)
		if n := uint64(len(in)) * 16; n > most {
			most = n
		}
		corpustest.Thrifty(t, what, most, func() {
			out, _, _, err := treat(t, []byte(`{\rtf1\ansi `+in+`}`))
			if err == nil {
				stable(t, what, out)
			} else if !errors.Is(err, sanitize.ErrLimit) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
}

// TestFilesInObjectsOfFilesAreHeld: an object is a file with an object, and so on:
// as deep as archives may be in one another.
func TestFilesInObjectsOfFilesAreHeld(t *testing.T) {
	deepest := sanitize.DefaultLimits().Depth
	in := whole("the innermost")
	for range deepest + 2 {
		in = whole(`{\object\objemb{\*\objdata ` + hex.EncodeToString(embedded("Package", packed("inner.rtf", string(in)))) + `}{\result of it}}`)
	}
	s := newSession(len(in), func(o *sanitize.Options) { o.Task, o.Embedded = sanitize.TaskMail, true })
	n, last := 0, error(nil)
	treatOne := func(o sanitize.Object) error {
		var out bytes.Buffer
		_, last = s.Nested(t.Context(), o, &out)
		if n++; bytes.Contains(out.Bytes(), []byte("innermost")) {
			t.Error("the innermost is treated")
		}
		return nil
	}
	_ = treatOne(sanitize.Object{ReaderAt: bytes.NewReader(in), Size: int64(len(in)), Path: "2"})
	if err := s.EachBeside(0, treatOne); err != nil || n != deepest+1 || !errors.Is(last, sanitize.ErrLimit) {
		t.Errorf("%d of %d, %v, %v", n, deepest, err, last)
	}
}
