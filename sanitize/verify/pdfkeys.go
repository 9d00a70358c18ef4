package verify

import (
	"strings"
	"sync"

	"sekisho/internal/lazy"
)

// looseKeys are those whose dictionaries have keys of anybody's choice: the
// names of fonts and pictures, of glyphs, of places, of roles.
func looseKey(k string) bool {
	switch k {
	case "ExtGState", "ColorSpace", "Pattern", "Shading", "XObject", "Font", "Properties", "CharProcs", "Dests", "RoleMap":
		return true
	}
	return false
}

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
