package zipstrict

import (
	"strings"
	"unicode"
)

// fold makes letters alike that differ in case only: the full folding of
// Unicode (CaseFolding.txt, C and F), with which a test compares it. x/text has
// it as well, but behind tables that every process builds when it starts, and
// a worker lives for one message.
func fold(s string) string {
	var b strings.Builder
	for _, r := range s {
		if f := foldsTo(r); f != "" {
			b.WriteString(f)
		} else {
			b.WriteRune(unicode.ToLower(unicode.ToUpper(r)))
		}
	}
	return b.String()
}

// foldsTo is what letters fold to that have more than a case to lose, "" for
// all others.
func foldsTo(r rune) string {
	// Cherokee folds to its capitals.
	switch {
	case 0xab70 <= r && r <= 0xabbf:
		return string(r - 0xab70 + 0x13a0)
	case 0x13a0 <= r && r <= 0x13f5:
		return string(r)
	}
	switch r {
	case 0xdf:
		return "ss"
	case 0x130:
		return "i\u0307"
	case 0x131:
		return "\u0131"
	case 0x149:
		return "\u02bcn"
	case 0x1f0:
		return "j\u030c"
	case 0x390:
		return "\u03b9\u0308\u0301"
	case 0x3b0:
		return "\u03c5\u0308\u0301"
	case 0x587:
		return "\u0565\u0582"
	case 0x13f8:
		return "\u13f0"
	case 0x13f9:
		return "\u13f1"
	case 0x13fa:
		return "\u13f2"
	case 0x13fb:
		return "\u13f3"
	case 0x13fc:
		return "\u13f4"
	case 0x13fd:
		return "\u13f5"
	case 0x1e96:
		return "h\u0331"
	case 0x1e97:
		return "t\u0308"
	case 0x1e98:
		return "w\u030a"
	case 0x1e99:
		return "y\u030a"
	case 0x1e9a:
		return "a\u02be"
	case 0x1e9e:
		return "ss"
	case 0x1f50:
		return "\u03c5\u0313"
	case 0x1f52:
		return "\u03c5\u0313\u0300"
	case 0x1f54:
		return "\u03c5\u0313\u0301"
	case 0x1f56:
		return "\u03c5\u0313\u0342"
	case 0x1f80:
		return "\u1f00\u03b9"
	case 0x1f81:
		return "\u1f01\u03b9"
	case 0x1f82:
		return "\u1f02\u03b9"
	case 0x1f83:
		return "\u1f03\u03b9"
	case 0x1f84:
		return "\u1f04\u03b9"
	case 0x1f85:
		return "\u1f05\u03b9"
	case 0x1f86:
		return "\u1f06\u03b9"
	case 0x1f87:
		return "\u1f07\u03b9"
	case 0x1f88:
		return "\u1f00\u03b9"
	case 0x1f89:
		return "\u1f01\u03b9"
	case 0x1f8a:
		return "\u1f02\u03b9"
	case 0x1f8b:
		return "\u1f03\u03b9"
	case 0x1f8c:
		return "\u1f04\u03b9"
	case 0x1f8d:
		return "\u1f05\u03b9"
	case 0x1f8e:
		return "\u1f06\u03b9"
	case 0x1f8f:
		return "\u1f07\u03b9"
	case 0x1f90:
		return "\u1f20\u03b9"
	case 0x1f91:
		return "\u1f21\u03b9"
	case 0x1f92:
		return "\u1f22\u03b9"
	case 0x1f93:
		return "\u1f23\u03b9"
	case 0x1f94:
		return "\u1f24\u03b9"
	case 0x1f95:
		return "\u1f25\u03b9"
	case 0x1f96:
		return "\u1f26\u03b9"
	case 0x1f97:
		return "\u1f27\u03b9"
	case 0x1f98:
		return "\u1f20\u03b9"
	case 0x1f99:
		return "\u1f21\u03b9"
	case 0x1f9a:
		return "\u1f22\u03b9"
	case 0x1f9b:
		return "\u1f23\u03b9"
	case 0x1f9c:
		return "\u1f24\u03b9"
	case 0x1f9d:
		return "\u1f25\u03b9"
	case 0x1f9e:
		return "\u1f26\u03b9"
	case 0x1f9f:
		return "\u1f27\u03b9"
	case 0x1fa0:
		return "\u1f60\u03b9"
	case 0x1fa1:
		return "\u1f61\u03b9"
	case 0x1fa2:
		return "\u1f62\u03b9"
	case 0x1fa3:
		return "\u1f63\u03b9"
	case 0x1fa4:
		return "\u1f64\u03b9"
	case 0x1fa5:
		return "\u1f65\u03b9"
	case 0x1fa6:
		return "\u1f66\u03b9"
	case 0x1fa7:
		return "\u1f67\u03b9"
	case 0x1fa8:
		return "\u1f60\u03b9"
	case 0x1fa9:
		return "\u1f61\u03b9"
	case 0x1faa:
		return "\u1f62\u03b9"
	case 0x1fab:
		return "\u1f63\u03b9"
	case 0x1fac:
		return "\u1f64\u03b9"
	case 0x1fad:
		return "\u1f65\u03b9"
	case 0x1fae:
		return "\u1f66\u03b9"
	case 0x1faf:
		return "\u1f67\u03b9"
	case 0x1fb2:
		return "\u1f70\u03b9"
	case 0x1fb3:
		return "\u03b1\u03b9"
	case 0x1fb4:
		return "\u03ac\u03b9"
	case 0x1fb6:
		return "\u03b1\u0342"
	case 0x1fb7:
		return "\u03b1\u0342\u03b9"
	case 0x1fbc:
		return "\u03b1\u03b9"
	case 0x1fc2:
		return "\u1f74\u03b9"
	case 0x1fc3:
		return "\u03b7\u03b9"
	case 0x1fc4:
		return "\u03ae\u03b9"
	case 0x1fc6:
		return "\u03b7\u0342"
	case 0x1fc7:
		return "\u03b7\u0342\u03b9"
	case 0x1fcc:
		return "\u03b7\u03b9"
	case 0x1fd2:
		return "\u03b9\u0308\u0300"
	case 0x1fd3:
		return "\u03b9\u0308\u0301"
	case 0x1fd6:
		return "\u03b9\u0342"
	case 0x1fd7:
		return "\u03b9\u0308\u0342"
	case 0x1fe2:
		return "\u03c5\u0308\u0300"
	case 0x1fe3:
		return "\u03c5\u0308\u0301"
	case 0x1fe4:
		return "\u03c1\u0313"
	case 0x1fe6:
		return "\u03c5\u0342"
	case 0x1fe7:
		return "\u03c5\u0308\u0342"
	case 0x1ff2:
		return "\u1f7c\u03b9"
	case 0x1ff3:
		return "\u03c9\u03b9"
	case 0x1ff4:
		return "\u03ce\u03b9"
	case 0x1ff6:
		return "\u03c9\u0342"
	case 0x1ff7:
		return "\u03c9\u0342\u03b9"
	case 0x1ffc:
		return "\u03c9\u03b9"
	case 0xfb00:
		return "ff"
	case 0xfb01:
		return "fi"
	case 0xfb02:
		return "fl"
	case 0xfb03:
		return "ffi"
	case 0xfb04:
		return "ffl"
	case 0xfb05:
		return "st"
	case 0xfb06:
		return "st"
	case 0xfb13:
		return "\u0574\u0576"
	case 0xfb14:
		return "\u0574\u0565"
	case 0xfb15:
		return "\u0574\u056b"
	case 0xfb16:
		return "\u057e\u0576"
	case 0xfb17:
		return "\u0574\u056d"
	}
	return ""
}
