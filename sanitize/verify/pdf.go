package verify

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"sekisho/sanitize"
)

// checkPDF reads a PDF document as the gateway writes it, with a reader that
// takes nothing else: every octet belongs to an object or to the frame, every
// object stands where the table says, every entry of every dictionary is on
// the list, whether anything leads to it or not.
func checkPDF(s *sanitize.Session, where string, b []byte) error {
	p := &pdfFile{s: s, where: where, objects: map[int]*pdfObject{}, places: map[int]int{}}
	if err := p.frame(b); err != nil {
		return err
	}
	p.relations()
	for n, o := range p.objects {
		if err := p.walk(n, o.value, o.loose && !o.strict, 0); err != nil {
			return err
		}
		if o.stream != nil {
			if err := p.stream(n, o); err != nil {
				return err
			}
		}
	}
	return p.unpackPictures()
}

// What the values of a document are here; numbers are float64, strings
// pdfString.
type (
	pdfName   string
	pdfString string
	pdfRef    int
	pdfDict   map[string]any
)

type pdfObject struct {
	value  any
	stream []byte // as it stands in the file
	packed int    // the object stream it stands in
	index  int
	paints bool // a program that paints
	// loose: something that may have keys of any name leads to it; strict:
	// something else does.
	loose, strict bool
	states        uint8 // 1: it holds no appearances of states, 2: it does
}

type pdfFile struct {
	s       *sanitize.Session
	where   string
	objects map[int]*pdfObject
	places  map[int]int

	pictures []int // those whose samples are packed, to be unpacked together
}

func (p *pdfFile) bad(format string, args ...any) error { return notAllowed(p.where, format, args...) }

const (
	pdfHead = "%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"
	pdfLine = "\nendstream\nendobj\n"
	// pdfValues bounds the values of a document, as many as the rebuild writes.
	pdfValues = 10e6
)

// frame cuts the file into its objects.
func (p *pdfFile) frame(b []byte) error {
	if !bytes.HasPrefix(b, []byte(pdfHead)) {
		return p.bad("no header of ours")
	}
	end := bytes.LastIndex(b, []byte("startxref\n"))
	if end < 0 {
		return p.bad("no end of ours")
	}
	digits, ok := bytes.CutSuffix(b[end+len("startxref\n"):], []byte("\n%%EOF\n"))
	table, err := strconv.Atoi(string(digits))
	if !ok || err != nil || strconv.Itoa(table) != string(digits) {
		return p.bad("no end of ours")
	}
	at, last := len(pdfHead), 0
	for at < end {
		r := &pdfReader{b: b[:end], at: at}
		n, err := r.head()
		if err != nil {
			return p.bad("octet %d: %v", at, err)
		}
		v, err := r.value(0)
		if err != nil {
			return p.bad("object %d: %v", n, err)
		}
		d, ok := v.(pdfDict)
		if !ok || !r.take("\nstream\n") {
			return p.bad("object %d is no stream", n)
		}
		size, ok := d["Length"].(float64)
		if !ok || size < 0 || size > float64(end-r.at) || size != float64(int(size)) {
			return p.bad("object %d: length", n)
		}
		data := b[r.at : r.at+int(size)]
		r.at += int(size)
		if !r.take(pdfLine) {
			return p.bad("object %d does not end where it says", n)
		}
		if p.objects[n] != nil {
			return p.bad("object %d stands twice", n)
		}
		p.objects[n], p.places[n] = &pdfObject{value: d, stream: data}, at
		last, at = at, r.at
	}
	if at != end || last != table {
		return p.bad("octets that are no object")
	}
	for n, o := range p.objects {
		if d, _ := o.value.(pdfDict); d["Type"] == pdfName("ObjStm") {
			if err := p.unpack(n, d, o.stream); err != nil {
				return err
			}
		}
	}
	return p.table(table)
}

// unpack reads the objects of an object stream.
func (p *pdfFile) unpack(stm int, d pdfDict, data []byte) error {
	b, err := p.inflate(data)
	if err != nil {
		return p.bad("object stream %d: %v", stm, err)
	}
	count, ok1 := d["N"].(float64)
	first, ok2 := d["First"].(float64)
	if !ok1 || !ok2 || first < 0 || first > float64(len(b)) || count < 0 || count > 1000 || len(d) != 5 {
		return p.bad("object stream %d: its dictionary", stm)
	}
	fields := strings.Fields(string(b[:int(first)]))
	if len(fields) != 2*int(count) {
		return p.bad("object stream %d: its list", stm)
	}
	at := int(first)
	for i := range int(count) {
		n, err1 := strconv.Atoi(fields[2*i])
		off, err2 := strconv.Atoi(fields[2*i+1])
		if err1 != nil || err2 != nil || int(first)+off != at || n <= 0 || p.objects[n] != nil {
			return p.bad("object stream %d: its list", stm)
		}
		r := &pdfReader{b: b, at: at}
		v, err := r.value(0)
		if err != nil || !r.take("\n") {
			return p.bad("object %d: %v", n, err)
		}
		at = r.at
		p.objects[n] = &pdfObject{value: v, packed: stm, index: i}
	}
	if at != len(b) {
		return p.bad("object stream %d: octets that are no object", stm)
	}
	return nil
}

// table holds the cross-reference stream against what was found.
func (p *pdfFile) table(at int) error {
	num := 0
	for n, place := range p.places {
		if place == at {
			num = n
		}
	}
	o := p.objects[num]
	if o == nil {
		return p.bad("no table")
	}
	d, _ := o.value.(pdfDict)
	for k := range d {
		switch k {
		case "Type", "Size", "W", "Root", "Info", "ID", "Filter", "Length":
		default:
			return p.bad("table with %q", k)
		}
	}
	b, err := p.inflate(o.stream)
	w, _ := d["W"].([]any)
	if err != nil || d["Type"] != pdfName("XRef") || d["Size"] != float64(len(p.objects)+1) || len(b) != 7*(len(p.objects)+1) ||
		len(w) != 3 || w[0] != 1.0 || w[1] != 4.0 || w[2] != 2.0 {
		return p.bad("table of another form")
	}
	for n := range len(p.objects) + 1 {
		e := b[7*n : 7*n+7]
		kind, place, index := e[0], int(binary.BigEndian.Uint32(e[1:])), int(binary.BigEndian.Uint16(e[5:]))
		o := p.objects[n]
		switch {
		case n == 0 && kind == 0:
		case o == nil:
			return p.bad("object %d is not there", n)
		case kind == 1 && o.packed == 0 && place == p.places[n]:
		case kind == 2 && o.packed != 0 && place == o.packed && index == o.index:
		default:
			return p.bad("object %d is not where the table says", n)
		}
	}
	root, ok := p.get(d["Root"]).(pdfDict)
	if !ok || root["Type"] != pdfName("Catalog") {
		return p.bad("no catalogue")
	}
	pages, ok := p.get(root["Pages"]).(pdfDict)
	if count, _ := pages["Count"].(float64); !ok || count < 1 {
		return p.bad("no page")
	}
	return nil
}

func (p *pdfFile) get(v any) any {
	if r, ok := v.(pdfRef); ok {
		if o := p.objects[int(r)]; o != nil {
			return o.value
		}
		return nil
	}
	return v
}

// inflate unpacks with the checksum looked at, and nothing behind it.
func (p *pdfFile) inflate(b []byte) ([]byte, error) {
	src := bytes.NewReader(b)
	z, err := zlib.NewReader(src)
	if err != nil {
		return nil, err
	}
	out, err := read(p.s, z)
	if err != nil {
		return nil, err
	}
	if src.Len() > 0 {
		return nil, errors.New("octets behind packed data")
	}
	return out, nil
}

// unpackPictures looks whether the samples of pictures can be unpacked, of which
// nothing else is asked and nothing kept: as many at a time as there are
// processors, since pages that were made pictures are little else.
func (p *pdfFile) unpackPictures() error {
	var mu sync.Mutex
	var failed error
	next := 0
	more := func(err error) (int, bool) {
		mu.Lock()
		defer mu.Unlock()
		if failed == nil {
			failed = err
		}
		if failed != nil || next == len(p.pictures) {
			return 0, false
		}
		next++
		return p.pictures[next-1], true
	}
	spend := func(n int64) error {
		mu.Lock()
		defer mu.Unlock()
		return p.s.Spend(n)
	}
	var all sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(p.pictures)) {
		all.Go(func() {
			u := unpacker{spend: spend, most: p.s.Options.Limits.OutputBytes, buf: make([]byte, 64<<10)}
			for n, ok := more(nil); ok; {
				err := u.unpack(p.objects[n].stream)
				if err != nil {
					err = fmt.Errorf("object %d: %w", n, err)
				}
				n, ok = more(err)
			}
		})
	}
	all.Wait()
	return failed
}

// unpacker unpacks to nowhere, with the checksum looked at, and nothing behind it.
type unpacker struct {
	spend func(int64) error
	most  int64 // octets of one
	buf   []byte
	z     io.ReadCloser
}

func (u *unpacker) unpack(b []byte) (err error) {
	src := bytes.NewReader(b)
	if again, ok := u.z.(zlib.Resetter); ok {
		err = again.Reset(src, nil)
	} else {
		u.z, err = zlib.NewReader(src)
	}
	for left := u.most; err == nil; {
		var n int
		n, err = u.z.Read(u.buf)
		if left -= int64(n); left < 0 {
			return fmt.Errorf("more than %d octets: %w", u.most, sanitize.ErrLimit)
		}
		if e := u.spend(int64(n)); e != nil {
			return e
		}
	}
	switch {
	case !errors.Is(err, io.EOF):
		return err
	case src.Len() > 0:
		return errors.New("octets behind packed data")
	}
	return nil
}

// relations marks what leads to what.
func (p *pdfFile) relations() {
	var mark func(v any, k string)
	mark = func(v any, k string) {
		switch v := v.(type) {
		case pdfRef:
			o := p.objects[int(v)]
			if o == nil {
				return
			}
			if looseKey(k) || stateKey(k) && p.statesAt(o) {
				o.loose = true
			} else {
				o.strict = true
			}
		case []any:
			for _, e := range v {
				mark(e, k+"[]")
			}
		case pdfDict:
			for name, e := range v {
				mark(e, name)
			}
		}
	}
	for _, o := range p.objects {
		mark(o.value, "")
	}
	for _, o := range p.objects {
		p.programs(o.value, o.loose && !o.strict)
		if d, ok := o.value.(pdfDict); ok && (d["Subtype"] == pdfName("Form") || d["PatternType"] == 1.0) {
			o.paints = true
		}
	}
}

// programs marks the streams that paint. In a list of names the keys say
// nothing: a picture may be called Contents.
func (p *pdfFile) programs(v any, loose bool) {
	paints := func(v any) {
		if r, ok := v.(pdfRef); ok && p.objects[int(r)] != nil {
			p.objects[int(r)].paints = true
		}
	}
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			p.programs(e, false)
		}
	case pdfDict:
		loose = loose && !isThing(v)
		for k, e := range v {
			switch {
			case loose:
			case k == "Contents":
				paints(e)
				if a, ok := p.get(e).([]any); ok {
					for _, part := range a {
						paints(part)
					}
				}
			case k == "CharProcs":
				if d, ok := p.get(e).(pdfDict); ok {
					for _, glyph := range d {
						paints(glyph)
					}
				}
			}
			p.programs(e, !loose && looseKey(k))
		}
	}
}

// isThing reports whether a dictionary is a thing and no list of names.
func isThing(d pdfDict) bool { return d["Subtype"] != nil || d["ShadingType"] != nil }
