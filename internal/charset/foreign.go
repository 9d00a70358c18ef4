package charset

import (
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
)

// foreign finds a charset by one of the names that the web (WHATWG Encoding
// 4.2) or IANA knows it by. Some dangerous old labels, for which the web has a
// decoder that yields one U+FFFD for the whole text, are unknown here, and
// detection sees to them.
func foreign(name string) *entry {
	name = strings.TrimSpace(name)
	switch name {
	case "iso_646.irv:1991", "iso-ir-6", "csascii", "cp367", "ibm367":
		return ascii
	case "unicodefeff", "csutf16le":
		return utf16le
	case "csutf16be", "csutf16":
		return utf16be
	}
	canonical, e := byName(name)
	if e == nil {
		return nil
	}
	if canonical != "" {
		name = canonical
	}
	f := other
	if strings.HasPrefix(name, "iso-8859-") || strings.HasPrefix(name, "windows-125") || name == "macintosh" {
		f = latin
	}
	return &entry{name: name, decoder: fromText(e), family: f}
}

// byName is the table: the name the web prefers, "" if it has none, and the
// decoder. As code it costs nothing before it is asked; the indexes of x/text,
// with which a test compares it, are built by every process that starts, and a
// worker lives for one message.
func byName(name string) (canonical string, e encoding.Encoding) {
	switch name {
	case "cp037", "csibm037", "ebcdic-cp-ca", "ebcdic-cp-nl", "ebcdic-cp-us", "ebcdic-cp-wt", "ibm037":
		return "", charmap.CodePage037
	case "csibm1047", "ibm-1047", "ibm1047":
		return "", charmap.CodePage1047
	case "ccsid01140", "cp01140", "csibm01140", "ebcdic-us-37+euro", "ibm01140":
		return "", charmap.CodePage1140
	case "437", "cp437", "cspc8codepage437", "ibm437":
		return "", charmap.CodePage437
	case "850", "cp850", "cspc850multilingual", "ibm850":
		return "", charmap.CodePage850
	case "852", "cp852", "cspcp852", "ibm852":
		return "", charmap.CodePage852
	case "855", "cp855", "csibm855", "ibm855":
		return "", charmap.CodePage855
	case "ccsid00858", "cp00858", "csibm00858", "ibm00858", "pc-multilingual-850+euro":
		return "", charmap.CodePage858
	case "860", "cp860", "csibm860", "ibm860":
		return "", charmap.CodePage860
	case "862", "cp862", "cspc862latinhebrew", "ibm862":
		return "", charmap.CodePage862
	case "863", "cp863", "csibm863", "ibm863":
		return "", charmap.CodePage863
	case "865", "cp865", "csibm865", "ibm865":
		return "", charmap.CodePage865
	case "866", "cp866", "csibm866", "ibm866":
		return "ibm866", charmap.CodePage866
	case "csisolatin6", "iso-8859-10", "iso-ir-157", "iso8859-10", "iso885910", "iso_8859-10:1992", "l6", "latin6":
		return "iso-8859-10", charmap.ISO8859_10
	case "csiso885913", "iso-8859-13", "iso8859-13", "iso885913":
		return "iso-8859-13", charmap.ISO8859_13
	case "csiso885914", "iso-8859-14", "iso-celtic", "iso-ir-199", "iso8859-14", "iso885914", "iso_8859-14", "iso_8859-14:1998", "l8", "latin8":
		return "iso-8859-14", charmap.ISO8859_14
	case "csiso885915", "csisolatin9", "iso-8859-15", "iso8859-15", "iso885915", "iso_8859-15", "l9", "latin-9":
		return "iso-8859-15", charmap.ISO8859_15
	case "csiso885916", "iso-8859-16", "iso-ir-226", "iso_8859-16", "iso_8859-16:2001", "l10", "latin10":
		return "iso-8859-16", charmap.ISO8859_16
	case "csisolatin2", "iso-8859-2", "iso-ir-101", "iso8859-2", "iso88592", "iso_8859-2", "iso_8859-2:1987", "l2", "latin2":
		return "iso-8859-2", charmap.ISO8859_2
	case "csisolatin3", "iso-8859-3", "iso-ir-109", "iso8859-3", "iso88593", "iso_8859-3", "iso_8859-3:1988", "l3", "latin3":
		return "iso-8859-3", charmap.ISO8859_3
	case "csisolatin4", "iso-8859-4", "iso-ir-110", "iso8859-4", "iso88594", "iso_8859-4", "iso_8859-4:1988", "l4", "latin4":
		return "iso-8859-4", charmap.ISO8859_4
	case "csisolatincyrillic", "cyrillic", "iso-8859-5", "iso-ir-144", "iso8859-5", "iso88595", "iso_8859-5", "iso_8859-5:1988":
		return "iso-8859-5", charmap.ISO8859_5
	case "arabic", "asmo-708", "csiso88596e", "csiso88596i", "csisolatinarabic", "ecma-114", "iso-8859-6", "iso-8859-6-e", "iso-8859-6-i", "iso-ir-127", "iso8859-6", "iso88596", "iso_8859-6", "iso_8859-6:1987":
		return "iso-8859-6", charmap.ISO8859_6
	case "iso_8859-6-e":
		return "", charmap.ISO8859_6E
	case "iso_8859-6-i":
		return "", charmap.ISO8859_6I
	case "csisolatingreek", "ecma-118", "elot_928", "greek", "greek8", "iso-8859-7", "iso-ir-126", "iso8859-7", "iso88597", "iso_8859-7", "iso_8859-7:1987", "sun_eu_greek":
		return "iso-8859-7", charmap.ISO8859_7
	case "csiso88598e", "csisolatinhebrew", "hebrew", "iso-8859-8", "iso-8859-8-e", "iso-ir-138", "iso8859-8", "iso88598", "iso_8859-8", "iso_8859-8:1988", "visual":
		return "iso-8859-8", charmap.ISO8859_8
	case "iso_8859-8-e":
		return "", charmap.ISO8859_8E
	case "csiso88598i", "iso-8859-8-i", "iso_8859-8-i", "logical":
		return "iso-8859-8-i", charmap.ISO8859_8I
	case "cskoi8r", "koi", "koi8", "koi8-r", "koi8_r":
		return "koi8-r", charmap.KOI8R
	case "cskoi8u", "koi8-ru", "koi8-u":
		return "koi8-u", charmap.KOI8U
	case "csmacintosh", "mac", "macintosh", "x-mac-roman":
		return "macintosh", charmap.Macintosh
	case "x-mac-cyrillic", "x-mac-ukrainian":
		return "x-mac-cyrillic", charmap.MacintoshCyrillic
	case "cp1250", "cswindows1250", "windows-1250", "x-cp1250":
		return "windows-1250", charmap.Windows1250
	case "cp1251", "cswindows1251", "windows-1251", "x-cp1251":
		return "windows-1251", charmap.Windows1251
	case "ansi_x3.4-1968", "ascii", "cp1252", "cp819", "csisolatin1", "cswindows1252", "ibm819", "iso-8859-1", "iso-ir-100", "iso8859-1", "iso88591", "iso_8859-1", "iso_8859-1:1987", "l1", "latin1", "us-ascii", "windows-1252", "x-cp1252":
		return "windows-1252", charmap.Windows1252
	case "cp1253", "cswindows1253", "windows-1253", "x-cp1253":
		return "windows-1253", charmap.Windows1253
	case "cp1254", "csisolatin5", "cswindows1254", "iso-8859-9", "iso-ir-148", "iso8859-9", "iso88599", "iso_8859-9", "iso_8859-9:1989", "l5", "latin5", "windows-1254", "x-cp1254":
		return "windows-1254", charmap.Windows1254
	case "cp1255", "cswindows1255", "windows-1255", "x-cp1255":
		return "windows-1255", charmap.Windows1255
	case "cp1256", "cswindows1256", "windows-1256", "x-cp1256":
		return "windows-1256", charmap.Windows1256
	case "cp1257", "cswindows1257", "windows-1257", "x-cp1257":
		return "windows-1257", charmap.Windows1257
	case "cp1258", "cswindows1258", "windows-1258", "x-cp1258":
		return "windows-1258", charmap.Windows1258
	case "cswindows874", "dos-874", "iso-8859-11", "iso8859-11", "iso885911", "tis-620", "windows-874":
		return "windows-874", charmap.Windows874
	case "x-user-defined":
		return "x-user-defined", charmap.XUserDefined
	case "cseucpkdfmtjapanese", "euc-jp", "extended_unix_code_packed_format_for_japanese", "x-euc-jp":
		return "euc-jp", japanese.EUCJP
	case "csiso2022jp", "iso-2022-jp":
		return "iso-2022-jp", japanese.ISO2022JP
	case "csshiftjis", "ms932", "ms_kanji", "shift-jis", "shift_jis", "sjis", "windows-31j", "x-sjis":
		return "shift_jis", japanese.ShiftJIS
	case "cseuckr", "csksc56011987", "euc-kr", "iso-ir-149", "korean", "ks_c_5601-1987", "ks_c_5601-1989", "ksc5601", "ksc_5601", "windows-949":
		return "euc-kr", korean.EUCKR
	case "csgb18030", "gb18030":
		return "gb18030", simplifiedchinese.GB18030
	case "chinese", "cp936", "csgb2312", "csgbk", "csiso58gb231280", "gb2312", "gb_2312", "gb_2312-80", "gbk", "iso-ir-58", "ms936", "windows-936", "x-gbk":
		return "gbk", simplifiedchinese.GBK
	case "hz-gb-2312":
		return "", simplifiedchinese.HZGB2312
	case "big5", "big5-hkscs", "cn-big5", "csbig5", "x-x-big5":
		return "big5", traditionalchinese.Big5
	case "csutf8", "unicode-1-1-utf-8", "unicode11utf8", "unicode20utf8", "utf-8", "utf8", "x-unicode20utf8":
		return "utf-8", unicode.UTF8
	}
	return "", nil
}
