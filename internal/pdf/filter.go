package pdf

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"

	"sekisho/internal/lazy"
)

// Filter is one step of a stream's encoding, by its long name.
type Filter struct {
	Name  Name
	Parms Dict // its values resolved
}

// maxFilters bounds a chain: more than two are never needed, and each may be a
// bomb in a bomb.
const maxFilters = 8

var longNames = lazy.Value[map[Name]Name]{Make: func() map[Name]Name {
	return map[Name]Name{
		"AHx": "ASCIIHexDecode", "A85": "ASCII85Decode", "LZW": "LZWDecode", "Fl": "FlateDecode",
		"RL": "RunLengthDecode", "CCF": "CCITTFaxDecode", "DCT": "DCTDecode",
	}
}}

// ErrFilter says that a stream has an encoding that is none of PDF's, or a
// chain too long.
var ErrFilter = errors.New("an encoding that no reader knows")

// Filters returns the chain of st.
func (f *File) Filters(st *Stream) ([]Filter, error) {
	filter, parms := st.Dict["Filter"], st.Dict["DecodeParms"]
	if filter == nil {
		filter, parms = st.Dict["F"], st.Dict["DP"] // of inline images
		if _, ok := f.Resolve(filter).(Name); !ok {
			if _, ok := f.Resolve(filter).(Array); !ok {
				return nil, nil
			}
		}
	}
	return f.chain(filter, parms)
}

func (f *File) chain(filter, parms Object) ([]Filter, error) {
	filter, parms = f.Resolve(filter), f.Resolve(parms)
	names, ok := filter.(Array)
	if !ok {
		if filter == nil {
			return nil, nil
		}
		names = Array{filter}
	}
	ps, ok := parms.(Array)
	if !ok {
		ps = Array{parms}
	}
	if len(names) > maxFilters {
		return nil, fmt.Errorf("%d filters: %w", len(names), ErrFilter)
	}
	var chain []Filter
	for i, o := range names {
		n, ok := f.Resolve(o).(Name)
		if !ok {
			return nil, ErrFilter
		}
		if l, ok := longNames.Get()[n]; ok {
			n = l
		}
		step := Filter{Name: n}
		if i < len(ps) {
			if d, ok := f.Resolve(ps[i]).(Dict); ok {
				step.Parms = Dict{}
				for k, v := range d {
					step.Parms[k] = f.Resolve(v)
				}
			}
		}
		chain = append(chain, step)
	}
	return chain, nil
}

// Decode returns what st holds. It stops before the first encoding that holds
// a picture (DCTDecode, JPXDecode, CCITTFaxDecode, JBIG2Decode) and returns the
// rest of the chain. A stream that is damaged ends where it cannot be read on.
// More than most octets are ErrTooMuch.
func (f *File) Decode(st *Stream, most int) ([]byte, []Filter, error) {
	data, _, rest, err := f.decode(st, most, false)
	return data, rest, err
}

// DecodeSamples is Decode for pictures: differences to the neighbouring
// samples, a predictor of the last filter, are left in and its parameters
// returned, so that what packs well is packed well again.
func (f *File) DecodeSamples(st *Stream, most int) (data []byte, predictor Dict, rest []Filter, err error) {
	return f.decode(st, most, true)
}

func (f *File) decode(st *Stream, most int, keep bool) (data []byte, predictor Dict, rest []Filter, err error) {
	if f.err != nil {
		return nil, nil, nil, f.err
	}
	chain, err := f.Filters(st)
	if err != nil {
		return nil, nil, nil, err
	}
	return f.run(f.plain(st, chain), chain, most, keep)
}

// Inline decodes the octets of an inline image, whose dictionary has its
// filters.
func (f *File) Inline(d Dict, raw []byte, most int) (data []byte, predictor Dict, rest []Filter, err error) {
	filter, parms := d["F"], d["DP"]
	if filter == nil {
		filter, parms = d["Filter"], d["DecodeParms"]
	} else if parms == nil {
		parms = d["DecodeParms"]
	}
	chain, err := f.chain(filter, parms)
	if err != nil {
		return nil, nil, nil, err
	}
	return f.run(raw, chain, most, true)
}

// plain returns the octets of st, decrypted.
func (f *File) plain(st *Stream, chain []Filter) []byte {
	if st.crypt == nil {
		return st.raw
	}
	m := st.crypt.s.streams
	if len(chain) > 0 && chain[0].Name == "Crypt" {
		if n, _ := chain[0].Parms["Name"].(Name); n == "" || n == "Identity" {
			m = identity
		}
	} else if st.crypt.s.plainMetadata && f.Resolve(st.Dict["Type"]) == Name("Metadata") {
		m = identity
	}
	return st.crypt.open(st.raw, m)
}

func (f *File) run(data []byte, chain []Filter, most int, keep bool) ([]byte, Dict, []Filter, error) {
	for i, step := range chain {
		var err error
		last := i == len(chain)-1
		switch step.Name {
		case "FlateDecode", "LZWDecode":
			if step.Name == "FlateDecode" {
				data, err = f.inflate(data, most)
			} else {
				data, err = f.lzw(data, step.Parms["EarlyChange"] != int64(0), most)
			}
			if err != nil {
				return nil, nil, nil, err
			}
			if p, ok := step.Parms["Predictor"].(int64); ok && p >= 2 {
				if last && keep {
					return data, step.Parms, nil, nil
				}
				if data, err = Unpredict(data, step.Parms); err != nil {
					return nil, nil, nil, err
				}
			}
		case "ASCIIHexDecode":
			data, err = unASCIIHex(data), f.charge(len(data)/2)
		case "ASCII85Decode":
			data, err = unASCII85(data), f.charge(len(data))
		case "RunLengthDecode":
			data, err = f.runLength(data, most)
		case "Crypt":
		case "DCTDecode", "JPXDecode", "CCITTFaxDecode", "JBIG2Decode":
			return data, nil, chain[i:], nil
		default:
			return nil, nil, nil, fmt.Errorf("filter %.40q: %w", string(step.Name), ErrFilter)
		}
		if err != nil {
			return nil, nil, nil, err
		}
	}
	return data, nil, nil, nil
}

func (f *File) charge(n int) error {
	if err := f.spend(int64(n)); err != nil {
		f.fail(err)
		return err
	}
	return nil
}

func tooLong(most int) error {
	return fmt.Errorf("a stream of more than %d octets: %w", most, ErrTooMuch)
}

// flater is a decoder that is used again, because a new one takes 40 KiB.
type flater struct {
	r   io.ReadCloser
	src bytes.Reader
}

// inflate reads zlib data (RFC 1950) as far as it can be read; its checksum is
// not looked at, many are wrong.
func (f *File) inflate(b []byte, most int) ([]byte, error) {
	for len(b) > 0 && IsSpace(b[0]) && b[0] != 0 {
		b = b[1:] // QUIRK: line ends between "stream" and the data
	}
	at := 0
	if len(b) >= 2 && b[0]&15 == 8 && (int(b[0])<<8|int(b[1]))%31 == 0 {
		at = 2
	}
	out, err := f.inflateRaw(b[at:], most)
	if err == nil && len(out) == 0 && at == 0 && len(b) > 2 {
		return f.inflateRaw(b[2:], most) // a header that is wrong
	}
	return out, err
}

func (f *File) inflateRaw(b []byte, most int) ([]byte, error) {
	f.flate.src.Reset(b)
	if f.flate.r == nil {
		f.flate.r = flate.NewReader(&f.flate.src)
	} else if err := f.flate.r.(flate.Resetter).Reset(&f.flate.src, nil); err != nil {
		return nil, err
	}
	return f.readAll(f.flate.r, min(4*len(b)+512, 1<<20), most)
}

// readAll reads until the end or the first error, charging as it goes.
func (f *File) readAll(r io.Reader, guess, most int) ([]byte, error) {
	out := make([]byte, 0, guess)
	for {
		if len(out) == cap(out) {
			out = append(out, 0)[:len(out)]
		}
		n, err := r.Read(out[len(out):min(cap(out), len(out)+64<<10)])
		out = out[:len(out)+n]
		if e := f.charge(n); e != nil {
			return nil, e
		}
		if len(out) > most {
			return nil, tooLong(most)
		}
		if err != nil {
			return out, nil // the end, or damage: what there is
		}
	}
}

// lzw decodes LZW (ISO 32000-1, 7.4.4). Early says that codes grow one code
// early, as they do by default.
func (f *File) lzw(b []byte, early bool, most int) ([]byte, error) {
	const clearTable, end = 256, 257
	var prefix [4096]uint16
	var suffix, first [4096]byte
	var length [4096]int
	for i := range 256 {
		suffix[i], first[i], length[i] = byte(i), byte(i), 1
	}
	off := 0
	if early {
		off = 1
	}
	var out []byte
	next, width, prev := 258, 9, -1
	acc, bits := uint32(0), 0
	charged := 0
	for i := 0; ; {
		for bits < width && i < len(b) {
			acc = acc<<8 | uint32(b[i])
			bits += 8
			i++
		}
		if bits < width {
			break
		}
		code := int(acc >> (bits - width) & (1<<width - 1))
		bits -= width
		if code == clearTable {
			next, width, prev = 258, 9, -1
			continue
		}
		if code == end {
			break
		}
		if code > next || code == next && prev < 0 || code >= 256 && code < 258 {
			break
		}
		n := 0
		if code < next {
			n = length[code]
		} else {
			n = length[prev] + 1
		}
		if len(out)+n > most {
			return nil, tooLong(most)
		}
		at := len(out)
		out = append(out, make([]byte, n)...)
		c, j := code, at+n-1
		if code == next {
			out[j] = first[prev]
			c, j = prev, j-1
		}
		for ; j >= at; j-- {
			out[j] = suffix[c]
			c = int(prefix[c])
		}
		if prev >= 0 && next < 4096 {
			prefix[next], suffix[next], first[next], length[next] = uint16(prev), out[at], first[prev], length[prev]+1
			next++
		}
		prev = code
		switch {
		case next+off >= 2048:
			width = 12
		case next+off >= 1024:
			width = 11
		case next+off >= 512:
			width = 10
		default:
			width = 9
		}
		if len(out)-charged > 64<<10 {
			if err := f.charge(len(out) - charged); err != nil {
				return nil, err
			}
			charged = len(out)
		}
	}
	return out, f.charge(len(out) - charged)
}

func (f *File) runLength(b []byte, most int) ([]byte, error) {
	var out []byte
	charged := 0
	for i := 0; i < len(b) && b[i] != 128; {
		n := int(b[i])
		i++
		if n < 128 {
			end := min(i+n+1, len(b))
			out = append(out, b[i:end]...)
			i = end
		} else if i < len(b) {
			for range 257 - n {
				out = append(out, b[i])
			}
			i++
		}
		if len(out) > most {
			return nil, tooLong(most)
		}
		if len(out)-charged > 64<<10 {
			if err := f.charge(len(out) - charged); err != nil {
				return nil, err
			}
			charged = len(out)
		}
	}
	return out, f.charge(len(out) - charged)
}

func unASCIIHex(b []byte) []byte {
	if i := bytes.IndexByte(b, '>'); i >= 0 {
		b = b[:i]
	}
	l := Lexer{b: append(append([]byte{'<'}, b...), '>')}
	return l.hex()
}

func unASCII85(b []byte) []byte {
	if bytes.HasPrefix(b, []byte("<~")) {
		b = b[2:]
	}
	out := make([]byte, 0, len(b)/5*4+4)
	if i := bytes.IndexByte(b, '~'); i >= 0 {
		b = b[:i]
	}
	var v uint32
	n := 0
	for _, c := range b {
		switch {
		case c == 'z' && n == 0:
			out = append(out, 0, 0, 0, 0)
		case c >= '!' && c <= 'u':
			v = v*85 + uint32(c-'!')
			if n++; n == 5 {
				out = append(out, byte(v>>24), byte(v>>16), byte(v>>8), byte(v))
				v, n = 0, 0
			}
		}
	}
	if n > 1 {
		for i := n; i < 5; i++ {
			v = v*85 + 84
		}
		for i := range n - 1 {
			out = append(out, byte(v>>(24-8*i)))
		}
	}
	return out
}

// shape of the samples that a predictor works on.
func samples(p Dict) (predictor, colors, bits, columns int, err error) {
	get := func(k Name, otherwise, least, most int64) int {
		n, ok := p[k].(int64)
		if !ok {
			n = otherwise
		}
		if n < least || n > most {
			err = fmt.Errorf("%s of %d: %w", k, n, ErrFilter)
		}
		return int(n)
	}
	predictor = get("Predictor", 1, 1, 15)
	colors = get("Colors", 1, 1, 32)
	bits = get("BitsPerComponent", 8, 1, 16)
	columns = get("Columns", 1, 1, 1<<20)
	return predictor, colors, bits, columns, err
}

// Unpredict undoes a predictor (ISO 32000-1, 7.4.4.4) in place.
func Unpredict(data []byte, p Dict) ([]byte, error) {
	predictor, colors, bits, columns, err := samples(p)
	if err != nil {
		return nil, err
	}
	row := (colors*bits*columns + 7) / 8
	bpp := max(colors*bits/8, 1)
	if predictor == 1 {
		return data, nil
	}
	if predictor == 2 {
		if bits == 8 {
			for r := 0; r < len(data); r += row {
				line := data[r:min(r+row, len(data))]
				for i := bpp; i < len(line); i++ {
					line[i] += line[i-bpp]
				}
			}
			return data, nil
		}
		return nil, fmt.Errorf("predictor 2 with %d bits: %w", bits, ErrFilter)
	}
	out := data[:0]
	prev := make([]byte, row)
	for len(data) > 1 {
		tag := data[0]
		line := data[1:min(row+1, len(data))]
		data = data[1+len(line):]
		switch tag {
		case 1:
			for i := bpp; i < len(line); i++ {
				line[i] += line[i-bpp]
			}
		case 2:
			for i := range line {
				line[i] += prev[i]
			}
		case 3:
			for i := range line {
				left := 0
				if i >= bpp {
					left = int(line[i-bpp])
				}
				line[i] += byte((left + int(prev[i])) / 2)
			}
		case 4:
			for i := range line {
				a, c := 0, 0
				if i >= bpp {
					a, c = int(line[i-bpp]), int(prev[i-bpp])
				}
				line[i] += paeth(a, int(prev[i]), c)
			}
		}
		// The row moves to where its tag was, which has been read.
		copy(prev, line)
		clear(prev[len(line):])
		out = append(out, line...)
	}
	return out, nil
}

func paeth(a, b, c int) byte {
	p := a + b - c
	pa, pb, pc := abs(p-a), abs(p-b), abs(p-c)
	switch {
	case pa <= pb && pa <= pc:
		return byte(a)
	case pb <= pc:
		return byte(b)
	default:
		return byte(c)
	}
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
