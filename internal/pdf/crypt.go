package pdf

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rc4"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"fmt"
)

// method is how strings or streams are encrypted.
type method uint8

const (
	identity method = iota
	cipherRC4
	cipherAES // AESV2: a key an object, CBC
	cipherAES256
)

// security is the standard security handler, opened with an empty user
// password (ISO 32000-2, 7.6.4).
type security struct {
	key              []byte
	strings, streams method
	plainMetadata    bool
}

// cipherKey is what one object is encrypted with.
type cipherKey struct {
	s        *security
	num, gen int
}

func (s *security) key4(num, gen int, m method) []byte {
	if m == cipherAES256 {
		return s.key
	}
	// 7.6.3.2, algorithm 1.
	b := append(bytes.Clone(s.key), byte(num), byte(num>>8), byte(num>>16), byte(gen), byte(gen>>8))
	if m == cipherAES {
		b = append(b, "sAlT"...)
	}
	h := md5.Sum(b)
	return h[:min(len(s.key)+5, 16)]
}

// key returns the key of an object; nil when the file is not encrypted.
func (s *security) keyFor(num, gen int) *cipherKey {
	if s == nil {
		return nil
	}
	return &cipherKey{s, num, gen}
}

func (k *cipherKey) text(b []byte) []byte {
	if k == nil {
		return b
	}
	return k.open(b, k.s.strings)
}

func (k *cipherKey) open(b []byte, m method) []byte {
	switch m {
	case cipherRC4:
		c, err := rc4.NewCipher(k.s.key4(k.num, k.gen, m))
		if err != nil {
			return nil
		}
		out := make([]byte, len(b))
		c.XORKeyStream(out, b)
		return out
	case cipherAES, cipherAES256:
		if len(b) < 2*aes.BlockSize {
			return nil // an initialisation vector and no block: nothing
		}
		c, err := aes.NewCipher(k.s.key4(k.num, k.gen, m))
		if err != nil {
			return nil
		}
		iv, body := b[:aes.BlockSize], b[aes.BlockSize:]
		body = body[:len(body)/aes.BlockSize*aes.BlockSize]
		out := make([]byte, len(body))
		cipher.NewCBCDecrypter(c, iv).CryptBlocks(out, body)
		// QUIRK: wrong padding is left, as readers do; what is too long is cut
		// by the decoder behind.
		if n := int(out[len(out)-1]); n >= 1 && n <= aes.BlockSize && n <= len(out) {
			out = out[:len(out)-n]
		}
		return out
	default:
		return b
	}
}

var padding = []byte("\x28\xBF\x4E\x5E\x4E\x75\x8A\x41\x64\x00\x4E\x56\xFF\xFA\x01\x08\x2E\x2E\x00\xB6\xD0\x68\x3E\x80\x2F\x0C\xA9\xFE\x64\x53\x69\x7A")

// security opens the encryption dictionary with an empty password.
func (f *File) security() (*security, error) {
	d, ok := f.Resolve(f.Trailer["Encrypt"]).(Dict)
	if !ok {
		return nil, fmt.Errorf("encryption dictionary: %w", ErrEncrypted)
	}
	str := func(k Name) []byte {
		s, _ := f.Resolve(d[k]).(String)
		return []byte(s)
	}
	num := func(d Dict, k Name, otherwise int64) int64 {
		if n, ok := f.Resolve(d[k]).(int64); ok {
			return n
		}
		return otherwise
	}
	if n, _ := f.Resolve(d["Filter"]).(Name); n != "Standard" {
		return nil, fmt.Errorf("security handler %.40q: %w", string(n), ErrEncrypted)
	}
	v, r := num(d, "V", 0), num(d, "R", 0)
	length := num(d, "Length", 40)
	if length < 40 {
		length *= 8 // QUIRK: octets instead of bits
	}
	s := &security{}
	if m, ok := f.Resolve(d["EncryptMetadata"]).(bool); ok && !m {
		s.plainMetadata = true
	}
	switch v {
	case 1:
		length = 40
		s.strings, s.streams = cipherRC4, cipherRC4
	case 2, 3:
		s.strings, s.streams = cipherRC4, cipherRC4
	case 4, 5:
		filters, _ := f.Resolve(d["CF"]).(Dict)
		find := func(k Name) (method, bool) {
			name, _ := f.Resolve(d[k]).(Name)
			if name == "" || name == "Identity" {
				return identity, true
			}
			cf, _ := f.Resolve(filters[name]).(Dict)
			switch m, _ := f.Resolve(cf["CFM"]).(Name); m {
			case "V2":
				return cipherRC4, true
			case "AESV2":
				return cipherAES, true
			case "AESV3":
				return cipherAES256, true
			case "None", "":
				return identity, true
			}
			return identity, false
		}
		var ok1, ok2 bool
		s.strings, ok1 = find("StrF")
		s.streams, ok2 = find("StmF")
		if !ok1 || !ok2 {
			return nil, fmt.Errorf("crypt filter: %w", ErrEncrypted)
		}
		length = 128
	default:
		return nil, fmt.Errorf("encryption of version %d: %w", v, ErrEncrypted)
	}
	o, u := str("O"), str("U")
	if v == 5 {
		return s, s.open256(r, u, str("UE"), o, str("OE"))
	}
	if r < 2 || r > 4 || len(o) < 32 || len(u) < 16 || length > 128 || length < 40 || length%8 != 0 {
		return nil, fmt.Errorf("encryption of revision %d: %w", r, ErrEncrypted)
	}
	var id []byte
	if a, ok := f.Resolve(f.Trailer["ID"]).(Array); ok && len(a) > 0 {
		s, _ := f.Resolve(a[0]).(String)
		id = []byte(s)
	}
	lengths := []int64{length}
	if v == 2 || v == 3 {
		// QUIRK: a length that is missing or wrong.
		lengths = append(lengths, 128, 40)
	}
	for _, bits := range lengths {
		if s.open128(r, int(bits/8), o, u, id, uint32(num(d, "P", 0))) {
			return s, nil
		}
	}
	return nil, ErrEncrypted
}

// open128 looks whether an empty password is right for a key of n octets.
func (s *security) open128(r int64, n int, o, u, id []byte, permissions uint32) bool {
	// Algorithm 2.
	h := md5.New()
	h.Write(padding)
	h.Write(o[:32])
	var p [4]byte
	binary.LittleEndian.PutUint32(p[:], permissions)
	h.Write(p[:])
	h.Write(id)
	if r >= 4 && s.plainMetadata {
		h.Write([]byte("\xff\xff\xff\xff"))
	}
	key := h.Sum(nil)
	if r == 2 {
		n = 5
	} else {
		for range 50 {
			k := md5.Sum(key[:n])
			key = k[:]
		}
	}
	s.key = key[:n]
	// Algorithms 4 and 5, to see whether the password is right.
	c, err := rc4.NewCipher(s.key)
	if err != nil {
		return false
	}
	if r == 2 {
		out := make([]byte, 32)
		c.XORKeyStream(out, padding)
		if len(u) < 32 || !bytes.Equal(out, u[:32]) {
			return false
		}
		return true
	}
	sum := md5.Sum(append(bytes.Clone(padding), id...))
	out := sum[:]
	c.XORKeyStream(out, out)
	for i := byte(1); i < 20; i++ {
		k := bytes.Clone(s.key)
		for j := range k {
			k[j] ^= i
		}
		c, err := rc4.NewCipher(k)
		if err != nil {
			return false
		}
		c.XORKeyStream(out, out)
	}
	return bytes.Equal(out, u[:16])
}

// open256 finds the file's key (ISO 32000-2, 7.6.4.3.3, algorithm 2.A) with an
// empty password, of the reader or of the owner.
func (s *security) open256(r int64, u, ue, o, oe []byte) error {
	if len(u) < 48 || r != 5 && r != 6 {
		return fmt.Errorf("encryption of revision %d: %w", r, ErrEncrypted)
	}
	hash := func(salt, more []byte) []byte {
		if r == 5 {
			h := sha256.Sum256(append(bytes.Clone(salt), more...))
			return h[:]
		}
		return hash2B(salt, more)
	}
	var key, packed []byte
	switch {
	case bytes.Equal(hash(u[32:40], nil), u[:32]) && len(ue) >= 32:
		key, packed = hash(u[40:48], nil), ue[:32]
	case len(o) >= 48 && len(oe) >= 32 && bytes.Equal(hash(o[32:40], u[:48]), o[:32]):
		key, packed = hash(o[40:48], u[:48]), oe[:32]
	default:
		return ErrEncrypted
	}
	c, err := aes.NewCipher(key)
	if err != nil {
		return fmt.Errorf("key: %w", ErrEncrypted)
	}
	s.key = make([]byte, 32)
	cipher.NewCBCDecrypter(c, make([]byte, aes.BlockSize)).CryptBlocks(s.key, packed)
	return nil
}

// hash2B is algorithm 2.B for an empty password; more is what the owner's adds.
// The rounds are bounded by
// the algorithm itself, which stops on its own octets; a bound of ours stands
// beside it.
func hash2B(salt, more []byte) []byte {
	sum := sha256.Sum256(append(bytes.Clone(salt), more...))
	k := sum[:]
	for i := 0; i < 4096; i++ {
		k1 := bytes.Repeat(append(bytes.Clone(k), more...), 64)
		c, err := aes.NewCipher(k[:16])
		if err != nil {
			return nil
		}
		cipher.NewCBCEncrypter(c, k[16:32]).CryptBlocks(k1, k1)
		mod := 0
		for _, b := range k1[:16] {
			mod += int(b)
		}
		switch mod % 3 {
		case 0:
			h := sha256.Sum256(k1)
			k = h[:]
		case 1:
			h := sha512.Sum384(k1)
			k = h[:]
		default:
			h := sha512.Sum512(k1)
			k = h[:]
		}
		if i >= 63 && int(k1[len(k1)-1]) <= i-31 {
			break
		}
	}
	return k[:32]
}
