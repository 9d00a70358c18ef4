package verify

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"strconv"
	"strings"
	"sync"

	"sekisho/internal/lazy"
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
	return nil
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

// looseKeys are those whose dictionaries have keys of anybody's choice: the
// names of fonts and pictures, of glyphs, of places, of roles.
func looseKey(k string) bool {
	switch k {
	case "ExtGState", "ColorSpace", "Pattern", "Shading", "XObject", "Font", "Properties", "CharProcs", "Dests", "RoleMap":
		return true
	}
	return false
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

// pdfKeys are the keys of all dictionaries.
var pdfKeys = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for _, k := range strings.Fields(`
		Type Subtype Length Filter DecodeParms N First Size W Root Info ID Title
		Pages Kids Count Parent PageLayout PageMode Lang MarkInfo Marked ViewerPreferences Direction PrintScaling Duplex PageLabels Nums Limits
		Dests Names Outlines AcroForm OpenAction OCProperties StructTreeRoot
		Resources MediaBox CropBox BleedBox TrimBox ArtBox Rotate Contents Annots Group StructParents StructParent Tabs UserUnit
		ExtGState ColorSpace Pattern Shading XObject Font Properties
		LW LC LJ ML D RI OP op OPM FL SM SA BM SMask CA ca AIS TK TR TR2 S G BC CS I K
		FunctionType Domain Range BitsPerSample Order Encode Decode C0 C1 Bounds Functions
		WhitePoint BlackPoint Gamma Matrix Alternate
		FormType BBox OC Width Height BitsPerComponent Intent ImageMask Mask Interpolate SMaskInData Matte
		Columns Rows BlackIs1 ColorTransform Predictor Colors
		BaseFont Name FirstChar LastChar Widths FontDescriptor Encoding ToUnicode BaseEncoding Differences DescendantFonts CIDSystemInfo Registry
		Ordering Supplement DW DW2 W2 CIDToGIDMap FontBBox FontMatrix CharProcs FontName FontFamily FontStretch FontWeight Flags ItalicAngle
		Ascent Descent Leading CapHeight XHeight StemV StemH AvgWidth MaxWidth MissingWidth CharSet FontFile FontFile2 FontFile3
		Length1 Length2 Length3 CMapName WMode UseCMap
		ShadingType Background AntiAlias Function Coords Extend BitsPerCoordinate BitsPerFlag VerticesPerRow
		PatternType PaintType TilingType XStep YStep
		OCGs P VE ON OFF BaseState ListMode RBGroups Locked
		Rect NM M F AP AS Border C T Popup CreationDate IRT Subj RT IT BE BS QuadPoints L LE IC LL LLE LLO Cap CP Vertices InkList RD DA Q CL Open
		State StateModel Sy OverlayText Repeat H Dest A R MK BG RC AC TP RI IX IF SW FB FT TU TM Ff MaxLen Opt TI V DV Fields NeedAppearances DR
		Prev Next Last URI St
		Pg MCID Stm Obj ActualText Alt E RoleMap ParentTree ParentTreeNextKey
		O Placement WritingMode BackgroundColor BorderColor BorderStyle BorderThickness Padding Color SpaceBefore SpaceAfter StartIndent EndIndent
		TextIndent TextAlign BlockAlign InlineAlign TBorderStyle TPadding BaselineShift LineHeight TextDecorationColor TextDecorationThickness
		TextDecorationType RubyAlign RubyPosition GlyphOrientationVertical ColumnCount ColumnGap ColumnWidths ListNumbering Role Checked Desc
		RowSpan ColSpan Headers Scope Summary`) {
		m[k] = true
	}
	return m
})

// pdfKinds are the values of Type and Subtype.
var pdfKinds = sync.OnceValue(func() map[pdfName]bool {
	m := map[pdfName]bool{}
	for _, k := range strings.Fields(`
		Catalog Pages Page Outlines ObjStm XRef Font FontDescriptor Encoding CMap XObject Form Image Group Mask ExtGState Pattern OCG OCMD
		Artifact Pagination Annot Border StructTreeRoot StructElem MCR OBJR
		Type0 Type1 MMType1 TrueType Type3 CIDFontType0 CIDFontType2 Type1C CIDFontType0C OpenType
		Text Link FreeText Line Square Circle Polygon PolyLine Highlight Underline Squiggly StrikeOut Caret Stamp Ink Popup Widget Watermark Redact`) {
		m[pdfName(k)] = true
	}
	return m
})

var pdfActs = lazy.Compile(`^(JavaScript|Launch|SubmitForm|ImportData|ResetForm|GoToR|GoToE|GoToDp|GoTo3DView|Rendition|Movie|Sound|RichMediaExecute|SetOCGState|Named|Hide|Trans|Thread|NOP)$`)

// walk looks at every entry of a value.
func (p *pdfFile) walk(n int, v any, loose bool, depth int) error {
	const nesting = 120
	if depth > nesting {
		return p.bad("object %d: nested too deep", n)
	}
	switch v := v.(type) {
	case pdfRef:
		if p.objects[int(v)] == nil {
			return p.bad("object %d leads to %d, which is not there", n, int(v))
		}
	case []any:
		for _, e := range v {
			if err := p.walk(n, e, false, depth+1); err != nil {
				return err
			}
		}
	case pdfDict:
		loose = loose && !isThing(v)
		for k, e := range v {
			if !loose {
				if err := p.key(n, k, e, v); err != nil {
					return err
				}
			}
			if err := p.walk(n, e, !loose && looseKey(k) || !loose && p.states(k, e), depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

// states reports whether e holds the appearances of an annotation's states,
// which have names of anybody's choice.
func (p *pdfFile) states(k string, e any) bool {
	d, ok := e.(pdfDict)
	if !ok || !stateKey(k) {
		return false
	}
	for _, f := range d {
		if form, ok := p.get(f).(pdfDict); !ok || form["Subtype"] != pdfName("Form") {
			return false
		}
	}
	return true
}

func stateKey(k string) bool { return k == "N" || k == "R" || k == "D" }

// statesAt is states for an object of its own, looked at once: many
// annotations may share it.
func (p *pdfFile) statesAt(o *pdfObject) bool {
	if o.states == 0 {
		o.states = 1
		if o.stream == nil && p.states("N", o.value) {
			o.states = 2
		}
	}
	return o.states == 2
}

// key looks at one entry.
func (p *pdfFile) key(n int, k string, e any, of pdfDict) error {
	if !pdfKeys()[k] {
		return p.bad("object %d has %.40q", n, k)
	}
	switch k {
	case "Type", "Subtype":
		if name, ok := e.(pdfName); !ok || !pdfKinds()[name] {
			return p.bad("object %d is of %s %.40v", n, k, e)
		}
	case "F":
		if _, ok := e.(float64); !ok {
			return p.bad("object %d names a file", n)
		}
	case "OpenAction":
		if _, ok := e.([]any); !ok {
			return p.bad("object %d acts when it is opened", n)
		}
	case "Names":
		switch t := p.get(e).(type) {
		case []any:
		case pdfDict:
			if len(t) != 1 || t["Dests"] == nil {
				return p.bad("object %d names more than places", n)
			}
		default:
			return p.bad("object %d names something", n)
		}
	case "FT":
		if e != pdfName("Btn") && e != pdfName("Tx") && e != pdfName("Ch") {
			return p.bad("object %d is a field to sign", n)
		}
	case "S":
		name, ok := e.(pdfName)
		if !ok || pdfActs.MatchString(string(name)) {
			return p.bad("object %d acts: %.40v", n, e)
		}
		if name == "GoTo" && (len(of) != 2 || of["D"] == nil) || name == "URI" && (len(of) != 2 || of["URI"] == nil) {
			return p.bad("object %d acts", n)
		}
	case "URI":
		u, ok := e.(pdfString)
		if !ok || !linkAllowed(string(u)) {
			return p.bad("object %d leads to %.60q", n, string(u))
		}
	case "Filter":
		switch e {
		case pdfName("FlateDecode"), pdfName("DCTDecode"), pdfName("CCITTFaxDecode"):
		default:
			if packedFax(e) {
				break
			}
			return p.bad("object %d is coded as %.40v", n, e)
		}
	}
	return nil
}

var pdfLink = lazy.Compile(`^(?i)(https?://[!-~]+|mailto:[!-~]*)$`)

func linkAllowed(u string) bool { return pdfLink.MatchString(u) }

// packedFax is the one chain of two encodings that is written: a page in black
// and white, deflated once more.
func packedFax(filter any) bool {
	a, ok := filter.([]any)
	return ok && len(a) == 2 && a[0] == pdfName("FlateDecode") && a[1] == pdfName("CCITTFaxDecode")
}

// stream looks at what a stream holds.
func (p *pdfFile) stream(n int, o *pdfObject) error {
	d, _ := o.value.(pdfDict)
	if d["Subtype"] == pdfName("Image") && d["Filter"] != pdfName("DCTDecode") {
		w, _ := d["Width"].(float64)
		h, _ := d["Height"].(float64)
		if !(w >= 1 && h >= 1 && w < 1<<31 && h < 1<<31) {
			return p.bad("object %d is a picture of no size", n)
		}
		if err := p.s.SpendPixels(int(w), int(h)); err != nil {
			return fmt.Errorf("object %d: %w", n, err)
		}
	}
	switch d["Filter"] {
	case pdfName("FlateDecode"):
	case pdfName("DCTDecode"):
		if d["Subtype"] != pdfName("Image") {
			return p.bad("object %d is no picture", n)
		}
		c, err := jpeg.DecodeConfig(bytes.NewReader(o.stream))
		if err != nil {
			return p.bad("object %d: %v", n, err)
		}
		return p.s.SpendPixels(c.Width, c.Height)
	case pdfName("CCITTFaxDecode"):
		if d["Subtype"] != pdfName("Image") {
			return p.bad("object %d is no picture", n)
		}
		return nil
	default:
		if packedFax(d["Filter"]) && d["Subtype"] == pdfName("Image") {
			if _, err := p.inflate(o.stream); err != nil {
				return fmt.Errorf("object %d: %w", n, err)
			}
			return nil
		}
		return p.bad("object %d is not packed", n)
	}
	if d["Type"] == pdfName("XRef") || d["Type"] == pdfName("ObjStm") {
		return nil // unpacked before
	}
	b, err := p.inflate(o.stream)
	if err != nil {
		return fmt.Errorf("object %d: %w", n, err)
	}
	switch {
	case o.paints:
		return p.operators(n, b)
	case d["FunctionType"] == 4.0:
		if !pdfCalculation.Match(b) {
			return p.bad("object %d calculates with more than numbers", n)
		}
	case bytes.HasPrefix(b, []byte("MZ")), bytes.HasPrefix(b, []byte("PK\x03\x04")), bytes.HasPrefix(b, []byte("\x7fELF")):
		if d["Subtype"] != pdfName("Image") {
			return p.bad("object %d is a program or an archive", n)
		}
	}
	return nil
}

var pdfCalculation = lazy.Compile(`^(?:[{} 0-9.-]|(?:abs|add|atan|ceiling|cos|cvi|cvr|div|exp|floor|idiv|ln|log|mod|mul|neg|round|sin|sqrt|sub|truncate|and|bitshift|eq|false|ge|gt|le|lt|ne|not|or|true|xor|ifelse|if|copy|dup|exch|index|pop|roll) )*$`)

// operators looks whether a program only paints, and is written as ours are:
// every string, array and dictionary is closed before the operator it is for,
// and there are no comments.
func (p *pdfFile) operators(n int, b []byte) error {
	const nesting = 200 // more than the rebuild writes
	var open []byte
	for i := 0; i < len(b); {
		switch c := b[i]; {
		case c == '(':
			end := pdfStringEnd(b, i)
			if end < 0 {
				return p.bad("object %d: a string without end", n)
			}
			i = end
		case c == '[', c == '<' && i+1 < len(b) && b[i+1] == '<':
			if open = append(open, c); len(open) > nesting {
				return p.bad("object %d: nested too deep", n)
			}
			if i++; c == '<' {
				i++
			}
		case c == ']', c == '>' && i+1 < len(b) && b[i+1] == '>':
			if len(open) == 0 || open[len(open)-1] != c-2 { // [ and ], < and > stand two apart
				return p.bad("object %d: %q closes nothing", n, c)
			}
			open = open[:len(open)-1]
			if i++; c == '>' {
				i++
			}
		case c == '<':
			k := bytes.IndexByte(b[i:], '>')
			if k < 0 {
				return p.bad("object %d: a string without end", n)
			}
			i += k + 1
		case c == '/':
			for i++; i < len(b) && pdfRegular(b[i]); i++ {
			}
		case pdfRegular(c):
			from := i
			for i < len(b) && pdfRegular(b[i]) {
				i++
			}
			w := b[from:i]
			switch {
			case pdfPaints(w):
				if len(open) > 0 {
					return p.bad("object %d: %q within an array or a dictionary", n, w)
				}
			case string(w) == "ID" && len(open) == 0:
				// Samples are packed or digits, and EI stands only behind them.
				k := bytes.Index(b[i:], []byte("\nEI\n"))
				if k < 0 {
					return p.bad("object %d: a picture without end", n)
				}
				i += k + 4
			case string(w) == "true", string(w) == "false", string(w) == "null":
			default:
				if len(bytes.Trim(w, "0123456789.-+")) > 0 {
					return p.bad("object %d paints with %.20q", n, w)
				}
			}
		case c == ' ', c == '\n':
			i++
		default:
			return p.bad("object %d: %q in a program", n, c)
		}
	}
	if len(open) > 0 {
		return p.bad("object %d: an array or a dictionary without end", n)
	}
	return nil
}

// pdfStringEnd is where the string that begins at i ends; -1: it does not.
func pdfStringEnd(b []byte, i int) int {
	depth := 0
	for ; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '(':
			depth++
		case ')':
			if depth--; depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

// pdfPaints reports whether w is an operator that paints (ISO 32000-1, annex A).
func pdfPaints(w []byte) bool {
	switch string(w) {
	case "b", "B", "b*", "B*", "BDC", "BMC", "BT", "BX", "c", "cm", "CS", "cs", "d", "d0", "d1", "Do", "DP", "EMC", "ET", "EX", "f", "F",
		"f*", "G", "g", "gs", "h", "i", "j", "J", "K", "k", "l", "m", "M", "MP", "n", "q", "Q", "re", "RG", "rg", "ri", "s", "S", "SC", "sc",
		"SCN", "scn", "sh", "T*", "Tc", "Td", "TD", "Tf", "Tj", "TJ", "TL", "Tm", "Tr", "Ts", "Tw", "Tz", "v", "w", "W", "W*", "y", "'", "\"",
		"BI":
		return true
	}
	return false
}

func pdfRegular(c byte) bool {
	switch c {
	case 0, '\t', '\n', '\f', '\r', ' ', '(', ')', '<', '>', '[', ']', '{', '}', '/', '%':
		return false
	}
	return true
}

// pdfReader reads values in the one form in which they are written.
type pdfReader struct {
	b      []byte
	at     int
	values int
}

func (r *pdfReader) take(s string) bool {
	if !bytes.HasPrefix(r.b[r.at:], []byte(s)) {
		return false
	}
	r.at += len(s)
	return true
}

// head reads "12 0 obj".
func (r *pdfReader) head() (int, error) {
	line, _, ok := bytes.Cut(r.b[r.at:min(len(r.b), r.at+32)], []byte(" 0 obj\n"))
	n, err := strconv.Atoi(string(line))
	if !ok || err != nil || n < 1 || strconv.Itoa(n) != string(line) {
		return 0, errors.New("no object")
	}
	r.at += len(line) + len(" 0 obj\n")
	return n, nil
}

var errPDFForm = errors.New("a value in another form than ours")

func (r *pdfReader) value(depth int) (any, error) {
	const nesting = 120
	if r.values++; depth > nesting || r.values > pdfValues {
		return nil, errPDFForm
	}
	if r.at >= len(r.b) {
		return nil, io.ErrUnexpectedEOF
	}
	switch c := r.b[r.at]; {
	case r.take("<<"):
		d := pdfDict{}
		for !r.take(">>") {
			k, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			name, ok := k.(pdfName)
			if _, twice := d[string(name)]; !ok || twice || !r.take(" ") {
				return nil, errPDFForm
			}
			if d[string(name)], err = r.value(depth + 1); err != nil {
				return nil, err
			}
		}
		return d, nil
	case c == '[':
		r.at++
		a := []any{}
		for !r.take("]") {
			if len(a) > 0 && !r.take(" ") {
				return nil, errPDFForm
			}
			v, err := r.value(depth + 1)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		return a, nil
	case c == '/':
		from := r.at + 1
		for r.at++; r.at < len(r.b) && pdfRegular(r.b[r.at]); r.at++ {
		}
		return r.name(r.b[from:r.at])
	case c == '<':
		k := bytes.IndexByte(r.b[r.at:], '>')
		if k < 0 {
			return nil, errPDFForm
		}
		s := make([]byte, 0, k/2)
		hex := r.b[r.at+1 : r.at+k]
		if len(hex)%2 != 0 {
			return nil, errPDFForm
		}
		for i := 0; i < len(hex); i += 2 {
			v, err := strconv.ParseUint(string(hex[i:i+2]), 16, 8)
			if err != nil {
				return nil, errPDFForm
			}
			s = append(s, byte(v))
		}
		r.at += k + 1
		return pdfString(s), nil
	case c == '(':
		var s []byte
		for r.at++; r.at < len(r.b); r.at++ {
			switch c := r.b[r.at]; {
			case c == ')':
				r.at++
				return pdfString(s), nil
			case c == '\\':
				r.at++
				if r.at < len(r.b) {
					s = append(s, r.b[r.at])
				}
			case c < ' ' || c >= 0x7f || c == '(':
				return nil, errPDFForm
			default:
				s = append(s, c)
			}
		}
		return nil, errPDFForm
	case r.take("true"):
		return true, nil
	case r.take("false"):
		return false, nil
	case r.take("null"):
		return nil, nil
	default:
		from := r.at
		for r.at < len(r.b) && (r.b[r.at] >= '0' && r.b[r.at] <= '9' || r.b[r.at] == '.' || r.b[r.at] == '-') {
			r.at++
		}
		v, err := strconv.ParseFloat(string(r.b[from:r.at]), 64)
		if err != nil || r.at-from > 30 {
			return nil, errPDFForm
		}
		if r.take(" 0 R") {
			if v != float64(int(v)) || v < 1 || v > 1e9 {
				return nil, errPDFForm
			}
			return pdfRef(v), nil
		}
		return v, nil
	}
}

// name decodes a name of which only what must be is escaped.
func (r *pdfReader) name(b []byte) (any, error) {
	var s []byte
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == '#' {
			if i+2 >= len(b) {
				return nil, errPDFForm
			}
			v, err := strconv.ParseUint(string(b[i+1:i+3]), 16, 8)
			if err != nil || v > ' ' && v < 0x7f && v != '#' && pdfRegular(byte(v)) {
				return nil, errPDFForm // a letter in disguise
			}
			c = byte(v)
			i += 2
		} else if c <= ' ' || c >= 0x7f {
			return nil, errPDFForm
		}
		s = append(s, c)
	}
	return pdfName(s), nil
}
