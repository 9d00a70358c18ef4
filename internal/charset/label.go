package charset

import (
	"strings"
	"sync"

	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// entry is one charset that can be decoded.
type entry struct {
	name    string
	decoder func() decoder
	opaque  bool // ASCII bytes do not stand for themselves: decode from the first byte
	wide    bool // code units of more than one byte: zero bytes are expected
	family  family
}

// family groups charsets by how a label of theirs is tested against the bytes.
type family uint8

const (
	other family = iota // believed unless the bytes are plainly UTF-8 or ISO-2022-JP
	japan               // judged against the other Japanese encodings
	latin               // any bytes are legal, so a label says little
	none                // us-ascii: says nothing once a byte is not ASCII
)

var (
	ascii     = &entry{name: "us-ascii", decoder: newUTF8, family: none}
	utf8Entry = &entry{name: "utf-8", decoder: newUTF8, family: japan}
	iso2022jp = &entry{name: "iso-2022-jp", decoder: newJIS, family: japan}
	iso2022kr = &entry{name: "iso-2022-kr", decoder: newKoreanJIS}
	cp932     = &entry{name: "cp932", decoder: newSJIS, family: japan}
	eucjp     = &entry{name: "euc-jp", decoder: newEUC, family: japan}
	utf7      = &entry{name: "utf-7", decoder: newUTF7, opaque: true}
	win1252   = &entry{name: "windows-1252", decoder: fromText(charmap.Windows1252), family: latin}

	utf16le = &entry{name: "utf-16le", decoder: fromText(unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)), opaque: true, wide: true}
	utf16be = &entry{name: "utf-16be", decoder: fromText(unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)), opaque: true, wide: true}
	utf32le = &entry{name: "utf-32le", decoder: fromText(utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM)), opaque: true, wide: true}
	utf32be = &entry{name: "utf-32be", decoder: fromText(utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM)), opaque: true, wide: true}

	gb18030 = &entry{name: "gb18030", decoder: fromText(simplifiedchinese.GB18030)}
	hz      = &entry{name: "hz-gb-2312", decoder: fromText(simplifiedchinese.HZGB2312), opaque: true}
	big5    = &entry{name: "big5", decoder: fromText(traditionalchinese.Big5)}
	euckr   = &entry{name: "euc-kr", decoder: fromText(korean.EUCKR)}
	tis620  = &entry{name: "windows-874", decoder: fromText(charmap.Windows874)}
)

// aliases maps labels, in lower case and without punctuation, to charsets.
// Labels with which senders mean the Windows superset get the superset: what
// is called Shift_JIS holds ① and 髙, what is called gb2312 holds GBK.
var aliases = sync.OnceValue(func() map[string]*entry {
	return map[string]*entry{
		"usascii": ascii, "ascii": ascii, "ansix341968": ascii, "iso646us": ascii, "us": ascii, "7bit": ascii, "646": ascii, "ansix34": ascii,

		"utf8": utf8Entry, "unicode11utf8": utf8Entry, "unicode20utf8": utf8Entry, "xunicode20utf8": utf8Entry, "utf8n": utf8Entry, "utf8mb4": utf8Entry, "cp65001": utf8Entry, "utf8bom": utf8Entry, "xutf8": utf8Entry, "cesu8": utf8Entry, "utf8mac": utf8Entry,

		"iso2022jp": iso2022jp, "csiso2022jp": iso2022jp, "iso2022jp1": iso2022jp, "iso2022jp2": iso2022jp, "csiso2022jp2": iso2022jp, "iso2022jp3": iso2022jp, "iso2022jp2004": iso2022jp, "iso2022jpms": iso2022jp, "iso2022jpext": iso2022jp, "cp50220": iso2022jp, "cp50221": iso2022jp, "cp50222": iso2022jp, "xwindowsiso2022jp": iso2022jp, "xwindows50220": iso2022jp, "xwindows50221": iso2022jp, "windows50220": iso2022jp, "windows50221": iso2022jp, "cswindows50220": iso2022jp, "jis": iso2022jp, "jis7": iso2022jp, "jis8": iso2022jp, "jisms": iso2022jp, "jisencoding": iso2022jp, "csjisencoding": iso2022jp, "iso2022": iso2022jp, "iso2022jp1978": iso2022jp, "isojp": iso2022jp, "xiso2022jp": iso2022jp, "jisx0208": iso2022jp,

		"shiftjis": cp932, "xshiftjis": cp932, "sjis": cp932, "xsjis": cp932, "cp932": cp932, "xcp932": cp932, "ms932": cp932, "xms932": cp932, "windows31j": cp932, "xwindows31j": cp932, "cswindows31j": cp932, "windows932": cp932, "xwindows932": cp932, "mskanji": cp932, "csshiftjis": cp932, "shiftjiswin": cp932, "sjiswin": cp932, "xsjisjp": cp932, "ibm932": cp932, "ibm943": cp932, "ibm943c": cp932, "xibm943c": cp932, "cp943": cp932, "cp943c": cp932, "shiftjis2004": cp932, "shiftjisx0213": cp932, "pck": cp932, "xpck": cp932, "macjapanese": cp932, "xmacjapanese": cp932, "932": cp932, "shift": cp932, "sjisopen": cp932,

		"eucjp": eucjp, "xeucjp": eucjp, "xeuc": eucjp, "euc": eucjp, "ujis": eucjp, "eucjpwin": eucjp, "eucjpms": eucjp, "eucjpopen": eucjp, "cp51932": eucjp, "xcp51932": eucjp, "cseucpkdfmtjapanese": eucjp, "extendedunixcodepackedformatforjapanese": eucjp, "eucjis2004": eucjp, "eucjisx0213": eucjp, "eucjis": eucjp, "cp20932": eucjp, "at&tjis": eucjp,

		"utf7": utf7, "unicode11utf7": utf7, "csunicode11utf7": utf7, "xunicode20utf7": utf7, "unicode20utf7": utf7, "cp65000": utf7,
		"utf16": utf16be, "utf16be": utf16be, "utf16le": utf16le, "unicode": utf16le, "unicodefffe": utf16be, "iso10646ucs2": utf16be, "ucs2": utf16be, "ucs2le": utf16le, "ucs2be": utf16be, "csunicode": utf16be, "cp1200": utf16le, "cp1201": utf16be,
		"utf32": utf32be, "utf32be": utf32be, "utf32le": utf32le, "ucs4": utf32be, "iso10646ucs4": utf32be,

		"gb2312": gb18030, "csgb2312": gb18030, "gb23121980": gb18030, "gbk": gb18030, "xgbk": gb18030, "cp936": gb18030, "ms936": gb18030, "windows936": gb18030, "gb18030": gb18030, "euccn": gb18030, "xeuccn": gb18030, "csgb18030": gb18030, "xmacchinesesimp": gb18030,
		"hz": hz, "hzgb2312": hz,
		"big5": big5, "csbig5": big5, "big5hkscs": big5, "xxbig5": big5, "xbig5": big5, "cp950": big5, "ms950": big5, "windows950": big5, "big5eten": big5, "eucintw": big5, "cnbig5": big5,
		"euckr": euckr, "xeuckr": euckr, "cseuckr": euckr, "ksc56011987": euckr, "ksc56011989": euckr, "ksc5601": euckr, "csksc56011987": euckr, "isoir149": euckr, "korean": euckr, "cp949": euckr, "ms949": euckr, "windows949": euckr, "uhc": euckr, "xwindows949": euckr, "ksx1001": euckr,
		"iso2022kr": iso2022kr, "csiso2022kr": iso2022kr,

		// Every mail client reads these as windows-1252, whose C1 range holds the
		// quotation marks and dashes of Western Windows senders.
		"iso88591": win1252, "latin1": win1252, "l1": win1252, "isolatin1": win1252, "iso885911987": win1252, "csisolatin1": win1252, "isoir100": win1252, "cp819": win1252, "ibm819": win1252, "88591": win1252, "windows1252": win1252, "cp1252": win1252, "xcp1252": win1252, "win1252": win1252, "ansi": win1252, "iso8859": win1252, "xuserdefined": win1252,

		"tis620": tis620, "tis62025331": tis620, "iso885911": tis620, "windows874": tis620, "cp874": tis620, "ibm874": tis620,
	}
})

// named are the single-byte charsets left to x/text, by the name it knows.
var named = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"koi8": "koi8-r", "koi8r": "koi8-r", "koi8u": "koi8-u", "koi8ru": "koi8-u", "cskoi8r": "koi8-r",
		"macintosh": "macintosh", "mac": "macintosh", "xmacroman": "macintosh", "csmacintosh": "macintosh",
		"maccyrillic": "x-mac-cyrillic", "xmaccyrillic": "x-mac-cyrillic",
		"cp866": "ibm866", "ibm866": "ibm866",
	}
})

// maxLabel bounds a label that is looked at; the longest registered one has 45.
const maxLabel = 64

// lookup finds the charset a label means, or nil.
func lookup(label string) *entry {
	label = strings.Trim(label, " \t\r\n\"'")
	if label == "" || len(label) > maxLabel {
		return nil
	}
	// RFC 2231, 5: an encoded word may carry a language after the charset.
	label, _, _ = strings.Cut(label, "*")
	key := strings.Map(func(r rune) rune {
		switch {
		case 'A' <= r && r <= 'Z':
			return r + 'a' - 'A'
		case 'a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '&':
			return r
		}
		return -1
	}, label)
	if e := aliases()[key]; e != nil {
		return e
	}
	name := named()[key]
	for _, p := range []struct{ prefix, name string }{
		{"iso8859", "iso-8859-"}, {"windows", "windows-"}, {"cp125", "windows-125"}, {"win125", "windows-125"}, {"xcp125", "windows-125"},
	} {
		if rest, ok := strings.CutPrefix(key, p.prefix); ok && name == "" && rest != "" {
			name = p.name + rest
		}
	}
	if e := foreign(name); e != nil {
		return e
	}
	return foreign(strings.ToLower(label)) // "ISO_8859-2:1987" is no ISO-8859-21987
}

// covers reports that text in charset used may carry label e without
// contradicting it.
func (e *entry) covers(used *entry) bool {
	if e.name == used.name {
		return true
	}
	// UTF-16 and UTF-32 labels leave the byte order to the mark.
	return e.wide && used.wide && e.name[:5] == used.name[:5]
}
