package odf

import (
	"slices"
	"strings"
	"sync"

	"sekisho/internal/lazy"
)

// configItem is the config:config-item that is open.
type configItem struct{ name, typ string }

// allSettings writes the settings of a document anew, from a list of those that
// say how it looks. OpenDocument 1.3 part 3, 3.10; the names are LibreOffice's.
func (f *filter) allSettings(fr *frame, e element) error {
	fr.role, f.settings = roleSettings, len(f.frames)-1
	return f.write(fr, e, "", nil)
}

func (f *filter) judgeSetting(fr *frame, e element) error {
	name := f.config("name")
	switch e.canon {
	case "config:config-item-set":
		_, set, _ := strings.Cut(name, ":")
		if set != "view-settings" && set != "configuration-settings" || len(f.frames) != f.settings+2 {
			return f.skipFrom(fr)
		}
		return f.setting(fr, e, "ooo:"+set)
	case "config:config-item-map-indexed":
		if !slices.Contains([]string{"Views", "ForbiddenCharacters", "SymbolDescriptions"}, name) {
			return f.skipFrom(fr)
		}
		return f.setting(fr, e, name)
	case "config:config-item-map-named":
		if name != "Tables" {
			return f.skipFrom(fr)
		}
		return f.setting(fr, e, name)
	case "config:config-item-map-entry":
		if len(name) > maxWord {
			return f.skipFrom(fr)
		}
		return f.setting(fr, e, name)
	case "config:config-item":
		if !settingNames()[name] {
			return f.skipFrom(fr)
		}
		fr.role, f.item = roleItem, configItem{name, f.config("type")}
		f.text, f.capture = f.text[:0], &f.text
		return f.checkAttrs()
	default:
		return f.skipFrom(fr)
	}
}

// config returns an attribute of a setting.
func (f *filter) config(name string) string {
	v, _ := f.attribute("config:" + name)
	return v
}

// setting writes the start tag of a group of settings.
func (f *filter) setting(fr *frame, e element, name string) error {
	f.puts("<" + e.canon)
	if name != "" {
		f.setAttr("config:name", name)
	}
	if f.s.Empty {
		f.puts("/>")
	} else {
		f.puts(">")
	}
	return f.checkAttrs()
}

// writeItem writes a setting whose value is of the type it says.
func (f *filter) writeItem(value string) {
	form, ok := settingTypes[f.item.typ]
	value = strings.TrimSpace(value)
	if !ok || !form.MatchString(value) {
		return
	}
	f.puts("<config:config-item")
	f.setAttr("config:name", f.item.name)
	f.setAttr("config:type", f.item.typ)
	f.puts(">")
	f.out = appendText(f.out, value)
	f.puts("</config:config-item>")
}

var settingTypes = map[string]*lazy.Regexp{
	"boolean": lazy.Compile(`^(true|false)$`),
	"short":   integer, "int": integer, "long": integer,
	"double":       lazy.Compile(`^-?[0-9.eE+-]{1,30}$`),
	"string":       lazy.Compile(`^[^\x00-\x1f\x7f]{0,500}$`),
	"base64Binary": lazy.Compile(`^[A-Za-z0-9+/=]{0,200}$`),
}

var integer = lazy.Compile(`^-?[0-9]{1,19}$`)

// settingNames are the settings that stay. Not here: printers, macros, what is
// updated by itself, databases, tables of colours by path, passwords, embedded
// fonts, what a document remembers of its readers.
var settingNames = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq(`
ActiveSplitRange ActiveTable AddExternalLeading AddFrameOffsets AddParaLineSpacingToTableCells AddParaSpacingToTableCells AddParaTableSpacing
AddParaTableSpacingAtStart AddVerticalFrameOffsets AlignTabStopPosition Alignment AllowPadding AnchoredTextOverflowLegacy ApplyParagraphMarkFormatToEmptyLineAtEndOfParagraph
ApplyParagraphMarkFormatToNumbering ApplyTextAttrToEmptyLineAtEndOfParagraph AutoCalculate AutoFirstLineIndentDisregardLineSpace BackgroundParaOverDrawings
BalanceSpacesAndIdeographicSpaces BaseFontHeight BaseLine BeginLine BottomMargin CharacterCompressionType ClipAsCharacterAnchoredWriterFlyFrames ClippedPictures
CollapseEmptyCellPara ConnectorUseSnapRect ConsiderTextWrapOnObjPos ContinuousEndnotes Country CursorPositionX CursorPositionY CustomFontNameFixed CustomFontNameSans
CustomFontNameSerif DefaultTabStop DisableOffPagePositioning DoNotBreakWrappedTables DoNotCaptureDrawObjsOnPage DoNotJustifyLinesWithManualBreak DoNotMirrorRtlDrawObjs
DoNotResetParaAttrsForNumFont DropCapPunctuation EditMode EditModeHandout EditModeNotes EditModeStandard EliminatePolyPointLimitAngle EmptyDbFieldHidesPara EndLine
FloattableNomargins FontFixedIsBold FontFixedIsItalic FontFunctionsIsBold FontFunctionsIsItalic FontNameFunctions FontNameNumbers FontNameText FontNameVariables
FontNumbersIsBold FontNumbersIsItalic FontSansIsBold FontSansIsItalic FontSerifIsBold FontSerifIsItalic FontTextIsBold FontTextIsItalic FontVariablesIsBold
FontVariablesIsItalic FootnoteInColumnToPageEnd ForceTopAlignmentInCellWithFloatingAnchor FormulaBarHeight FrameAutowidthWithMorePara GreekCharStyle GridCoarseHeight
GridCoarseWidth GridColor GridFineHeight GridFineWidth GridIsFront GridIsVisible GridSnapWidthXDenominator GridSnapWidthXNumerator GridSnapWidthYDenominator
GridSnapWidthYNumerator GutterAtTop HandoutsHorizontal HasColumnRowHeaders HasSheetTabs HeaderSpacingBelowLastPara HiddenParagraphMarkPerLineProperty
HorizontalScrollbarWidth HorizontalSplitMode HorizontalSplitPosition HyphenateURLs IgnoreBreakAfterMultilineField IgnoreFirstLineIndentInNumbering
IgnoreHiddenCharsForLineCalculation IgnoreTabsAndBlanksForLineCalculation ImagePreferredDPI InvertBorderSpacing IsAngleSnapEnabled IsBigHandles IsClickChangeRotation
IsDoubleClickTextEdit IsEliminatePolyPoints IsFrameDragSingles IsKernAsianPunctuation IsLabelDocument IsLayerMode IsOutlineSymbolsSet IsPlusHandlesAlwaysVisible
IsRasterAxisSynchronized IsScaleAllBrackets IsSelectedFrame IsSnapToGrid IsSnapToObjectFrame IsSnapToObjectPoints IsSnapToPageMargins IsSnapToRaster IsSnapToSnapLines
IsTextMode IsValueHighlightingEnabled JustifyLinesWithShrinking KeepRatio Language LeftMargin LegacySingleLineFontwork LockedLayers MathBaselineAlignment MeasureUnit
MinRowHeightInclBorder MsWordCompGridMetrics MsWordCompMinLineHeightByFly MsWordCompTrailingBlanks MsWordUlTrailSpace NoAttribs NoClippingWithWrapPolygon NoColors
NoGapAfterNoteNumber NoNumberingShowFollowBy NumbersInSmallCaps OutlineLevelYieldsNumbering PageKind PageNumberFormat PageViewZoomValue ParagraphSummation
PaintHellOverHeaderFooter PositionBottom PositionLeft PositionRight PositionTop PrinterIndependentLayout PropLineSpacingShrinksFirstLine ProtectBookmarks ProtectFields
ProtectForm RasterIsVisible RasterResolutionX RasterResolutionY RasterSubdivisionX RasterSubdivisionY RelativeBracketDistance RelativeBracketExcessSize
RelativeFontHeightFunctions RelativeFontHeightIndices RelativeFontHeightLimits RelativeFontHeightOperators RelativeFontHeightText RelativeFractionBarExcessLength
RelativeFractionBarLineWeight RelativeFractionDenominatorDepth RelativeFractionNumeratorHeight RelativeIndexSubscript RelativeIndexSuperscript RelativeLineSpacing
RelativeLowerLimitDistance RelativeMatrixColumnSpacing RelativeMatrixLineSpacing RelativeOperatorExcessSize RelativeOperatorSpacing RelativeRootSpacing
RelativeScaleBracketExcessSize RelativeSpacing RelativeSymbolMinimumHeight RelativeSymbolPrimaryHeight RelativeUpperLimitDistance RightMargin RulerIsVisible
ScaleDenominator ScaleNumerator SelectedPage ShowFormulasMarks ShowGrid ShowNotes ShowPageBreakPreview ShowPageBreaks ShowRedlineChanges ShowZeroValues SlidesPerHandout
SlidesPerRow SmallCapsPercentage66 SnapAngle StylesNoDefault SubtractFlysAnchoredAtFlys SurroundTextWrapSmall SyntaxStringRef TabAtLeftIndentForParagraphsInList
TabOverMargin TabOverSpacing TabOverflow TableRowKeep TabsRelativeToIndent TopMargin TreatSingleColumnBreakAsPageBreak UnbreakableNumberings UnxForceZeroExtLeading
UseFormerLineSpacing UseFormerObjectPositioning UseFormerTextWrapping UseOldNumbering UseOldPrinterMetrics UseVariableWidthNBSP Variant VerticalSplitMode
VerticalSplitPosition ViewAreaHeight ViewAreaLeft ViewAreaTop ViewAreaWidth ViewId ViewLayoutBookMode ViewLayoutColumns ViewLeft ViewTop VisibleAreaHeight
VisibleAreaLeft VisibleAreaTop VisibleAreaWidth VisibleBottom VisibleLayers VisibleLeft VisibleRight VisibleTop WordLikeWrapForAsCharFlys ZoomFactor ZoomOnPage
ZoomType ZoomValue ExportName FontName SymbolSet Character CharSet Family Pitch Weight Italic HideEmptyParas IsShowChanges`) {
		m[n] = true
	}
	return m
})
