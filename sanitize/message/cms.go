package message

import (
	"bytes"
	"errors"
)

// What a CMS object (RFC 5652, what S/MIME is made of) holds.
type cmsKind uint8

const (
	cmsOther     cmsKind = iota // encrypted, compressed, or none of ours
	cmsSigned                   // SignedData with the content in it
	cmsSignature                // SignedData without: a signature or certificates
)

var (
	oidSignedData = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02") // 1.2.840.113549.1.7.2
	oidPKCS7      = []byte("\x2a\x86\x48\x86\xf7\x0d\x01\x07")
)

// Bounds of the walk: a SignedData has its content four levels down, in pieces
// of some kilobytes when its writer streamed it.
const (
	maxBERDepth  = 8
	maxBERPieces = 1 << 20
)

// signedContent takes the content out of a SignedData. It looks at nothing
// else of it: the signature is over octets that are about to be written anew.
func signedContent(b []byte) ([]byte, cmsKind) {
	info, _, ok := element(b, 0x30) // ContentInfo
	if !ok {
		return nil, cmsOther
	}
	oid, rest, ok := element(info, 0x06)
	if !ok || !bytes.Equal(oid, oidSignedData) {
		return nil, cmsOther
	}
	explicit, _, ok := element(rest, 0xa0)
	if !ok {
		return nil, cmsOther
	}
	signed, _, ok := element(explicit, 0x30)
	if !ok {
		return nil, cmsOther
	}
	_, rest, ok = element(signed, 0x02) // version
	if !ok {
		return nil, cmsOther
	}
	_, rest, ok = element(rest, 0x31) // digest algorithms
	if !ok {
		return nil, cmsOther
	}
	encap, _, ok := element(rest, 0x30)
	if !ok {
		return nil, cmsOther
	}
	_, rest, ok = element(encap, 0x06)
	if !ok {
		return nil, cmsOther
	}
	explicit, _, ok = element(rest, 0xa0)
	if !ok {
		return nil, cmsSignature
	}
	pieces := maxBERPieces
	content, err := octets(nil, explicit, 0, &pieces)
	if err != nil {
		return nil, cmsOther
	}
	return content, cmsSigned
}

var errBER = errors.New("not the BER of an octet string")

// octets joins an OCTET STRING, which BER lets stand in pieces. X.690, 8.7.
func octets(dst, b []byte, depth int, pieces *int) ([]byte, error) {
	tag, content, _, ok := ber(b)
	if *pieces--; !ok || depth > maxBERDepth || *pieces < 0 {
		return nil, errBER
	}
	switch tag {
	case 0x04:
		return append(dst, content...), nil
	case 0x24:
		for len(content) > 0 {
			_, _, rest, ok := ber(content)
			if !ok {
				return nil, errBER
			}
			var err error
			if dst, err = octets(dst, content[:len(content)-len(rest)], depth+1, pieces); err != nil {
				return nil, err
			}
			content = rest
		}
		return dst, nil
	default:
		return nil, errBER
	}
}

// element reads one element that has this tag.
func element(b []byte, want byte) (content, rest []byte, ok bool) {
	tag, content, rest, ok := ber(b)
	return content, rest, ok && tag == want
}

// ber reads one element, its length definite or not. Nothing it
// gives back lies outside of b.
func ber(b []byte) (tag byte, content, rest []byte, ok bool) {
	if len(b) < 2 || b[0]&0x1f == 0x1f {
		return 0, nil, nil, false // tags of several octets do not occur here
	}
	tag = b[0]
	n := int(b[1])
	b = b[2:]
	switch {
	case n < 0x80:
	case n == 0x80:
		if tag&0x20 == 0 {
			return 0, nil, nil, false
		}
		end, ok := endOf(b)
		if !ok {
			return 0, nil, nil, false
		}
		return tag, b[:end], b[end+2:], true
	default:
		size := n & 0x7f
		if size > 4 || size > len(b) {
			return 0, nil, nil, false
		}
		n = 0
		for _, c := range b[:size] {
			n = n<<8 | int(c)
		}
		b = b[size:]
	}
	if n < 0 || n > len(b) {
		return 0, nil, nil, false
	}
	return tag, b[:n], b[n:], true
}

// endOf finds the end-of-contents octets that close an indefinite length.
func endOf(b []byte) (int, bool) {
	open := 0
	for i := 0; i+2 <= len(b); {
		if b[i] == 0 && b[i+1] == 0 {
			if open == 0 {
				return i, true
			}
			open--
			i += 2
			continue
		}
		if b[i]&0x1f == 0x1f {
			return 0, false
		}
		constructed := b[i]&0x20 != 0
		n := int(b[i+1])
		i += 2
		switch {
		case n < 0x80:
		case n == 0x80:
			if !constructed {
				return 0, false
			}
			if open++; open > maxBERDepth {
				return 0, false
			}
			continue
		default:
			size := n & 0x7f
			if size > 4 || i+size > len(b) {
				return 0, false
			}
			n = 0
			for _, c := range b[i : i+size] {
				n = n<<8 | int(c)
			}
			i += size
		}
		if n < 0 || n > len(b)-i {
			return 0, false
		}
		i += n
	}
	return 0, false
}
