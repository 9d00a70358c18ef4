package verify

import (
	"bytes"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// The writer of rich text writes from a list of words. Here is the other
// opinion: the file is printable ASCII in balanced groups; no word is one that
// embeds, links, loads, hides or says how many octets are to be passed over, in
// whatever letters it is written; a destination that may be passed over is one
// that is known; the code of every field, put together, is one that may stay;
// and every picture is one.

// rtfForbidden are words and what they begin with: none of a family stays.
var rtfForbidden = lazy.Compile(`^(obj.*|bin|datastore|themedata|colorschememapping|template|filetbl|file|nextfile|linkself|mailmerge|mm(addfieldname|connectstr|connectstrdata|datasource|headersource|odso.*|query|mailsubject|recip.*)|docvar|userprops|info|generator|xml.*|mhtmltag|htmltag|htmlrtf|fromhtml|fontemb|fontfile|ffentrymcr|ffexitmcr|keycode|hl|hlsrc|hlfr|hlloc|hlinkbase|subdocument|datafield|private|password.*|protusertbl|writereserv.*|oldcprops|oldpprops|oldtprops|oldsprops|linkstyles|wgrffmtfilter|latentstyles|svb|macpict|pmmetafile|dibitmap|wbitmap|nonshppict|shprslt|upr|ud|factoidname|bkmkpub|dde.*|result)$`)

// rtfStarred are the destinations that may be passed over and that are written.
var rtfStarred = lazy.Value[[]string]{Make: func() []string {
	return strings.Fields(`cs ts ds fldinst formfield shppict shpinst picprop listtable listoverridetable listpicture listname liststylename bkmkstart bkmkend footnote annotation atnid atnauthor atntime atndate
	atnref atnparent atrfstart atrfend revtbl pn pnseclvl pntext pntxta pntxtb ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn xe tc txe rxe pxe ffname ffdeftext ffformat ffhelptext ffstattext ffl panose falt fname
	defchp defpap nesttableprops background do dptxbxtext mmath mmathPr moMath moMathPara list listoverride listlevel lfolevel leveltext levelnumbers shptxt shp shpgrp pict tsrowd fonttbl colortbl stylesheet
	header headerl headerr headerf footer footerl footerr footerf listtext nonesttables field fldrslt sp sn sv`)
}}

// rtfMath are destinations of formulas, which begin with m.
var rtfMath = lazy.Compile(`^m[a-zA-Z]{1,18}$`)

var rtfWord = lazy.Compile(`^\\([a-zA-Z]{1,40})(-?[0-9]{1,10})? ?`)

// rtfGroup is what a group is, and what is collected in it.
type rtfGroup struct {
	first  string           // its first word
	text   *strings.Builder // of the code of a field, of a name, a value or a picture; nil: nobody asks
	own    bool             // the collection began here
	format string           // of a picture
	name   string           // of a property of a shape
	levels int              // of a list: announced and not there yet
}

// rtfReader reads rich text.
type rtfReader struct {
	s     *sanitize.Session
	where string
	stack []*rtfGroup
	spare int // characters that stand for the one before, for readers that do not know it
}

func (r *rtfReader) text(c rune) {
	if r.spare > 0 {
		r.spare--
		return
	}
	if g := r.stack[len(r.stack)-1]; g.text != nil {
		g.text.WriteRune(c)
	}
}

// checkRTF looks at rich text.
func checkRTF(s *sanitize.Session, where string, b []byte) error {
	if !bytes.HasPrefix(b, []byte(`{\rtf1\ansi\uc1`)) || !bytes.HasSuffix(b, []byte("}\r\n")) {
		return notAllowed(where, "RTF: not as it is written here")
	}
	r := &rtfReader{s: s, where: where}
	star := false
	for i := 0; i < len(b)-2; {
		c := b[i]
		if len(r.stack) == 0 && i > 0 {
			return notAllowed(where, "RTF: octets behind its end")
		}
		starred := star
		star = false
		switch {
		case c == '{':
			if len(r.stack) > 1100 {
				return notAllowed(where, "RTF: groups deeper than any that is written")
			}
			g := &rtfGroup{}
			if n := len(r.stack); n > 0 {
				g.text = r.stack[n-1].text
			}
			r.stack, r.spare = append(r.stack, g), 0
			i++
		case c == '}':
			if err := r.end(); err != nil {
				return err
			}
			r.stack, r.spare = r.stack[:len(r.stack)-1], 0
			i++
		case c == '\\' && (b[i+1]|0x20 >= 'a' && b[i+1]|0x20 <= 'z'):
			m := rtfWord.FindSubmatch(b[i:min(i+64, len(b))])
			if m == nil {
				return notAllowed(where, "RTF: a word of no form at octet %d", i)
			}
			if err := r.word(string(m[1]), string(m[2]), starred, i); err != nil {
				return err
			}
			i += len(m[0])
		case c == '\\' && b[i+1] == '\'' && i+3 < len(b):
			v, err := hex.DecodeString(string(b[i+2 : i+4]))
			if err != nil {
				return notAllowed(where, "RTF: octet %q", b[i+2:i+4])
			}
			r.text(rune(v[0]))
			i += 4
		case c == '\\':
			switch x := b[i+1]; x {
			case '*':
				star = true
			case '\\', '{', '}':
				r.text(rune(x))
			case '~', '_', '-', ':':
			default:
				return notAllowed(where, "RTF: symbol %q", x)
			}
			i += 2
		case c == '\r' || c == '\n':
			i++
		case c >= 0x20 && c < 0x7F:
			r.text(rune(c))
			i++
		default:
			return notAllowed(where, "RTF: octet 0x%02x at %d", c, i)
		}
	}
	if len(r.stack) > 0 {
		return notAllowed(where, "RTF: it does not end")
	}
	return nil
}

// word looks at a control word.
func (r *rtfReader) word(word, number string, starred bool, at int) error {
	g := r.stack[len(r.stack)-1]
	n, err := strconv.ParseInt(number, 10, 32)
	if number != "" && err != nil {
		return notAllowed(r.where, "RTF: number %q", number)
	}
	if word == "u" {
		if n < -1<<15 || n >= 1<<15 {
			return notAllowed(r.where, "RTF: character %q", number)
		}
		r.text(rune(uint16(n)))
		r.spare = 1
		return nil
	}
	r.spare = 0
	if rtfForbidden.MatchString(strings.ToLower(word)) || word == "uc" && (n != 1 || at > 20) {
		return notAllowed(r.where, "RTF: word %q", word)
	}
	if starred && !slices.Contains(rtfStarred.Get(), word) && !rtfMath.MatchString(word) {
		return notAllowed(r.where, "RTF: destination %q", word)
	}
	if g.first == "" {
		g.first = word
	}
	collect := func() { g.text, g.own = &strings.Builder{}, true }
	var up *rtfGroup
	if len(r.stack) > 1 {
		up = r.stack[len(r.stack)-2]
	}
	switch word {
	case "field":
		if g.text != nil {
			return notAllowed(r.where, "RTF: a field in the code of another")
		}
	case "fldinst":
		if up == nil || up.first != "field" {
			return notAllowed(r.where, "RTF: code of no field")
		}
		collect()
	case "formfield":
		g.text = nil
	case "pict", "sn", "sv":
		collect()
	case "pngblip", "jpegblip", "emfblip", "wmetafile":
		g.format = word
	case "listoverridecount":
		if n < 0 || n > 9 {
			return notAllowed(r.where, "RTF: %d levels of a list", n)
		}
		g.levels = int(n)
	case "lfolevel":
		if up == nil || up.levels == 0 {
			return notAllowed(r.where, "RTF: a level of a list that was not announced")
		}
		up.levels--
	case "f":
		if n < 0 || n > 0xFFFF {
			return notAllowed(r.where, "RTF: font %d", n)
		}
	}
	return nil
}

// rtfNumbers is what the value of most properties is.
var rtfNumbers = lazy.Compile(`^[-0-9;(),@ ]*$`)

// end looks at what a group was.
func (r *rtfReader) end() error {
	n := len(r.stack)
	if n == 0 {
		return notAllowed(r.where, "RTF: a group ends that did not begin")
	}
	g := r.stack[n-1]
	if g.levels != 0 {
		return notAllowed(r.where, "RTF: %d levels of a list are missing", g.levels)
	}
	if !g.own {
		return nil
	}
	text := g.text.String()
	switch g.first {
	case "fldinst":
		if err := instruction(text); err != nil {
			return notAllowed(r.where, "RTF: %v", err)
		}
	case "sn":
		name := strings.ToLower(strings.TrimSpace(text))
		for _, bad := range []string{"pfragments", "pihlshape", "wzscript", "wzscriptlang", "pibname", "fillblipname", "lineblipname", "linefillblipname", "metroblob", "gtextrtf", "wztooltip", "pibflags"} {
			if name == bad {
				return notAllowed(r.where, "RTF: property %q of a shape", text)
			}
		}
		r.stack[n-2].name = text
	case "sv":
		switch r.stack[n-2].name {
		case "wzName", "wzDescription", "gtextUNICODE", "gtextFont":
		default:
			if !rtfNumbers.MatchString(text) {
				return notAllowed(r.where, "RTF: value %q of property %q", text, r.stack[n-2].name)
			}
		}
	case "pict":
		b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
		if err != nil {
			return notAllowed(r.where, "RTF: a picture of no octets")
		}
		if err := r.s.Spend(int64(len(b))); err != nil {
			return err
		}
		switch g.format {
		case "pngblip":
			return checkPNG(r.s, r.where, b)
		case "jpegblip":
			return checkJPEG(r.s, r.where, b)
		case "emfblip", "wmetafile":
			return checkMetafile(r.where, b)
		default:
			return notAllowed(r.where, "RTF: a picture of no kind")
		}
	}
	return nil
}
