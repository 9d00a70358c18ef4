package message

import (
	"errors"
	"fmt"

	"sekisho/sanitize"
)

// Code names one way in which a message can be read in two. Codes are stable:
// they stand in reports, in the audit and in docs.
type Code string

// The codes. What they hold and why is said in their table below.
const (
	DuplicateType        Code = "mime.duplicate-content-type"
	DuplicateDisposition Code = "mime.duplicate-content-disposition"
	DuplicateTransfer    Code = "mime.duplicate-content-transfer-encoding"
	DuplicateFrom        Code = "header.duplicate-from"
	FromDomains          Code = "header.from-in-two-domains"
	SpaceBeforeColon     Code = "header.space-before-colon"
	NoColon              Code = "header.line-without-colon"
	ControlInHeader      Code = "header.control-character"
	NUL                  Code = "mime.nul"
	BareCR               Code = "mime.bare-cr"
	TypeSyntax           Code = "mime.content-type-syntax"
	TypeNotASCII         Code = "mime.content-type-not-ascii"
	DuplicateBoundary    Code = "mime.duplicate-boundary"
	DuplicateCharset     Code = "mime.duplicate-charset"
	DuplicateName        Code = "mime.duplicate-file-name"
	BoundaryExtended     Code = "mime.boundary-in-rfc2231"
	BoundaryInvalid      Code = "mime.boundary-invalid"
	BoundaryMissing      Code = "mime.multipart-without-boundary"
	BoundaryUnused       Code = "mime.boundary-not-found"
	BoundaryNested       Code = "mime.boundary-like-outer"
	BoundaryJunk         Code = "mime.boundary-with-junk"
	BoundaryUnclosed     Code = "mime.inner-boundary-unclosed"
	TransferUnknown      Code = "mime.transfer-encoding-unknown"
	TransferOnContainer  Code = "mime.transfer-encoding-on-container"
	Base64Junk           Code = "mime.base64-junk"
	Base64Restart        Code = "mime.base64-restart"
	Base64Cut            Code = "mime.base64-cut"
	QuotedIllegal        Code = "mime.quoted-printable-illegal"
	UUMalformed          Code = "mime.uuencode-malformed"
	Partial              Code = "mime.message-partial"
	PartInPreamble       Code = "mime.part-in-preamble"
	PartInEpilogue       Code = "mime.part-in-epilogue"
	HiddenStructure      Code = "mime.hidden-structure"
	BinHexMalformed      Code = "mime.binhex-malformed"

	TooDeep      Code = "limit.mime-depth"
	TooManyParts Code = "limit.mime-parts"
	HeaderBytes  Code = "limit.header-bytes"
	HeaderFields Code = "limit.header-fields"
)

// class is that under which the message is held.
func (c Code) class() sanitize.Class {
	switch c {
	case TooDeep, TooManyParts, HeaderBytes, HeaderFields:
		return sanitize.ClassLimit
	default:
		return sanitize.ClassAmbiguous
	}
}

// doubt is one place where a message can be read in two.
type doubt struct {
	code   Code
	off    int64
	detail string
}

func (d doubt) String() string {
	if d.detail == "" {
		return fmt.Sprintf("at octet %d", d.off)
	}
	return fmt.Sprintf("at octet %d: %s", d.off, d.detail)
}

// errOf is the error a message with these doubts is refused with.
func errOf(ds []doubt) error {
	for _, d := range ds {
		if d.code.class() == sanitize.ClassLimit {
			return fmt.Errorf("%s: %w", d.code, sanitize.ErrLimit)
		}
	}
	return fmt.Errorf("%s: %w", ds[0].code, sanitize.ErrAmbiguous)
}

// transferCode is the code of an encoding that was decoded to an error.
func transferCode(err error) (Code, bool) {
	switch {
	case errors.Is(err, errBase64Junk):
		return Base64Junk, true
	case errors.Is(err, errBase64Restart):
		return Base64Restart, true
	case errors.Is(err, errBase64Cut):
		return Base64Cut, true
	case errors.Is(err, errQuoted):
		return QuotedIllegal, true
	case errors.Is(err, errEncoded):
		return UUMalformed, true
	case errors.Is(err, errBinHex):
		return BinHexMalformed, true
	}
	return "", false
}
