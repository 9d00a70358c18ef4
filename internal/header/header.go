// Package header reads and writes the header fields of mail.
//
// Reading has two layers. ReadBlock takes the raw fields off a stream, bounded,
// in order, with every byte and its offset, and decodes nothing: it is the one
// reader the daemon uses on hostile bytes. The decoders above it are for the
// worker: text with encoded words, parameters with file names, address lists,
// dates and message ids. They are lenient, because real mail is wrong in a
// hundred ways, and they never hide it: each oddity is a flag, and deciding
// what an oddity means is for the caller.
//
// Where mail clients disagree about a file name, Names returns what any of
// them could show, so that the most dangerous one can decide.
//
// Writing is strict. What the writers put out is ASCII in lines of at most 998
// octets, folded at 76, and no value can end a line or begin a field of its
// own. What the readers make of it is the value that was written.
package header

import (
	"strings"
)

// Flags is a set of oddities found while reading.
type Flags uint64

// Oddities of a header block.
const (
	SpaceBeforeColon Flags = 1 << iota // "Subject : x": some readers see a field, some do not
	NoColon                            // a line that is no field and no continuation
	MboxFrom                           // a "From " line of a mailbox file at the top
	NUL                                // a zero byte
	BareCR                             // a carriage return without a line feed
	BareLF                             // a line that ended without a carriage return
	EightBit                           // bytes beyond ASCII
	EmptyName                          // ":value"
	BadName                            // a field name with a character RFC 5322 does not allow
	FoldedFirst                        // the block begins with a continuation line
	BlankFold                          // a continuation of nothing but blanks: some readers see the end of the header
	LongLine                           // a line of more than 998 octets
	NoSeparator                        // the input ended before an empty line
)

// Oddities of values.
const (
	RawBytes          Flags = 1 << (16 + iota) // bytes of some charset outside encoded words
	BadWord                                    // an encoded word that is broken
	UnknownCharset                             // a label that names no charset
	WrongCharset                               // a label the bytes contradict
	Control                                    // a control character, raw or encoded
	EncodedParam                               // an encoded word in a parameter, which RFC 2047 forbids and all Japan does
	DuplicateParam                             // a parameter twice, in the same form
	MixedForms                                 // a parameter both plain and in RFC 2231 form
	Continued                                  // a parameter in RFC 2231 form
	BadContinuation                            // pieces missing, doubled or oddly numbered
	BadExtended                                // an RFC 2231 value without charset, or with a wrong %
	MissingSemicolon                           // parameters not separated
	UnterminatedQuote                          // a quotation mark that is never closed
	JunkAfterValue                             // something between a value and the next semicolon
	Unquoted                                   // an unquoted value that needs quotes
	Comment                                    // a comment in parentheses
	SpaceAroundEquals                          // "name = x"
	BadParam                                   // something between semicolons that is no parameter
	BadValue                                   // the value before the parameters is not what it should be
	NoAddress                                  // an element of an address list without an address
	NoAngle                                    // a display name and an address without angle brackets
	DoubleAngle                                // an element with two addresses in angle brackets
	UnterminatedAngle                          // an angle bracket that is never closed
	SourceRoute                                // <@a,@b:user@c>
	BadSeparator                               // semicolons between addresses
	SpecialInWord                              // an encoded word with a raw separator in it
	JunkAfterAddress                           // text between an address and the next comma
	AddressInName                              // a display name with an @ that is not the address
	UnterminatedGroup                          // a group without its semicolon
)

var flagNames = []struct {
	flag Flags
	name string
}{
	{SpaceBeforeColon, "space-before-colon"}, {NoColon, "no-colon"}, {MboxFrom, "mbox-from"}, {NUL, "nul"}, {BareCR, "bare-cr"}, {BareLF, "bare-lf"}, {EightBit, "eight-bit"}, {EmptyName, "empty-name"}, {BadName, "bad-name"}, {FoldedFirst, "folded-first"}, {BlankFold, "blank-fold"}, {LongLine, "long-line"}, {NoSeparator, "no-separator"},
	{RawBytes, "raw-bytes"}, {BadWord, "bad-word"}, {UnknownCharset, "unknown-charset"}, {WrongCharset, "wrong-charset"}, {Control, "control"}, {EncodedParam, "encoded-param"}, {DuplicateParam, "duplicate-param"}, {MixedForms, "mixed-forms"}, {Continued, "continued"}, {BadContinuation, "bad-continuation"}, {BadExtended, "bad-extended"}, {MissingSemicolon, "missing-semicolon"}, {UnterminatedQuote, "unterminated-quote"}, {JunkAfterValue, "junk-after-value"}, {Unquoted, "unquoted"}, {Comment, "comment"}, {SpaceAroundEquals, "space-around-equals"}, {BadParam, "bad-param"}, {BadValue, "bad-value"},
	{NoAddress, "no-address"}, {NoAngle, "no-angle"}, {DoubleAngle, "double-angle"}, {UnterminatedAngle, "unterminated-angle"}, {SourceRoute, "source-route"}, {BadSeparator, "bad-separator"}, {SpecialInWord, "special-in-word"}, {JunkAfterAddress, "junk-after-address"}, {AddressInName, "address-in-name"}, {UnterminatedGroup, "unterminated-group"},
}

// Has reports whether any of want is set.
func (f Flags) Has(want Flags) bool { return f&want != 0 }

// String lists the flags by their stable names, separated by commas.
func (f Flags) String() string {
	var names []string
	for _, n := range flagNames {
		if f.Has(n.flag) {
			names = append(names, n.name)
		}
	}
	return strings.Join(names, ",")
}

// lower folds ASCII letters only. Unicode folding would make the Kelvin sign a
// k, and a field name of it a name that nobody else sees.
func lower(s string) string {
	for i := 0; i < len(s); i++ {
		if c := s[i]; 'A' <= c && c <= 'Z' {
			b := []byte(s)
			for ; i < len(b); i++ {
				if c := b[i]; 'A' <= c && c <= 'Z' {
					b[i] += 'a' - 'A'
				}
			}
			return string(b)
		}
	}
	return s
}

func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		x, y := a[i], b[i]
		if 'A' <= x && x <= 'Z' {
			x += 'a' - 'A'
		}
		if 'A' <= y && y <= 'Z' {
			y += 'a' - 'A'
		}
		if x != y {
			return false
		}
	}
	return true
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

func trim(s string) string { return strings.Trim(s, " \t") }

// Unfold takes the line breaks out of a value. The blanks that began the
// continuation lines stay (RFC 5322, 2.2.3).
func Unfold(raw string) string {
	if !strings.ContainsAny(raw, "\r\n") {
		return raw
	}
	b := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case c == '\n':
		case c == '\r' && (i+1 == len(raw) || raw[i+1] == '\n'):
		case c == '\r':
			b = append(b, ' ')
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

func isASCII(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
