package rtf

import (
	"slices"
	"strconv"
	"strings"
	"sync"

	"sekisho/sanitize"
)

// Shapes say what they are by properties: a name and a value each, those of
// [MS-ODRAW] 2.3 under the names of RTF 1.9.1, "Drawing Object Properties". A
// number can do no harm to a reader that knows the property, so numbers and
// lists of numbers stay under every name that is on the list; text stays under
// few, a picture where pictures belong. What leads out of the shape (links,
// macros, files) or is a document of its own (metroBlob, a package of Office)
// is on none.

// propertyOf says what the value of a property may be.
type propertyOf uint8

const (
	propertyNone   propertyOf = iota
	propertyNumber            // a number or a list of them
	propertyText
	propertyPicture
)

// maxValue is the longest value: a drawing by hand has some thousand points.
const maxValue = 1 << 20

var properties = sync.OnceValue(func() map[string]propertyOf {
	m := map[string]propertyOf{}
	for _, l := range []struct {
		of   propertyOf
		list string
	}{
		{propertyText, "wzName wzDescription gtextUNICODE gtextFont"},
		{propertyPicture, "pib fillBlip lineFillBlip"},
		{propertyNumber, `posh posrelh posv posrelv fLayoutInCell fAllowOverlap fBehindDocument fPrint fHidden fOneD fEditedWrap fIsBullet fUseShapeAnchor
			fStandardHR fNoshadeHR fHorizRule pctHR alignHR dxHeightHR dxWidthHR fReallyHidden fUserDrawn fPolicyLabel fPolicyBarcode fPseudoInline
			dxWrapDistLeft dyWrapDistTop dxWrapDistRight dyWrapDistBottom pWrapPolygonVertices lidRegroup dhgt shadowObscured wrText pctHoriz pctVert pctHorizPos pctVertPos
			sizerelh sizerelv borderTopColor borderLeftColor borderBottomColor borderRightColor tableProperties tableRowProperties
			rotation fFlipH fFlipV fRelFlipH fRelFlipV shapeType fLockRotation fLockAspectRatio fLockPosition fLockAgainstSelect fLockCropping fLockVerticies fLockText fLockAdjustHandles
			fLockAgainstGrouping fLockAgainstUngrouping lTxid dxTextLeft dyTextTop dxTextRight dyTextBottom WrapText scaleText anchorText txflTextFlow cdirFont hspNext txdir fRotateText
			fSelectText fAutoTextMargin fFitShapeToText fFitTextToShape
			gtextAlign gtextSize gtextSpacing fGtext gtextFReverseRows gtextFVertical gtextFKern gtextFTight gtextFStretch gtextFShrinkFit gtextFBestFit gtextFNormalize gtextFDxMeasure
			gtextFBold gtextFItalic gtextFUnderline gtextFShadow gtextFSmallcaps gtextFStrikethrough
			cropFromTop cropFromBottom cropFromLeft cropFromRight pictureTransparent pictureContrast pictureBrightness pictureGamma pictureGray pictureBiLevel pictureActive fPreferRelativeResize fNoHitTestPicture
			pictureDblCrMod pictureFillCrMod pictureLineCrMod pictureRecolor
			geoLeft geoTop geoRight geoBottom shapePath pVerticies pSegmentInfo adjustValue adjust2Value adjust3Value adjust4Value adjust5Value adjust6Value adjust7Value adjust8Value
			adjust9Value adjust10Value pConnectionSites pConnectionSitesDir pGuides pInscribe pAdjustHandles xLimo yLimo fShadowOK f3DOK fLineOK fGtextOK fFillShadeShapeOK cxk
			fillType fillColor fillOpacity fillBackColor fillBackOpacity fillCrMod fillWidth fillHeight fillAngle fillFocus fillToLeft fillToTop fillToRight fillToBottom
			fillRectLeft fillRectTop fillRectRight fillRectBottom fillDztype fillShadePreset fillShadeColors fillOriginX fillOriginY fillShapeOriginX fillShapeOriginY fillShadeType fFilled
			fHitTestFill fillShape fillUseRect fNoFillHitTest fRecolorFillAsPicture fUseShapeAnchor
			lineColor lineOpacity lineBackColor lineCrMod lineType lineFillWidth lineFillHeight lineFillDztype lineWidth lineMiterLimit lineStyle lineDashing lineDashStyle
			lineStartArrowhead lineEndArrowhead lineStartArrowWidth lineStartArrowLength lineEndArrowWidth lineEndArrowLength lineJoinStyle lineEndCapStyle fArrowheadsOK fLine fHitTestLine
			lineFillShape fNoLineDrawDash fInsetPen fInsetPenOK fLineUseShapeAnchor
			shadowType shadowColor shadowHighlight shadowCrMod shadowOpacity shadowOffsetX shadowOffsetY shadowSecondOffsetX shadowSecondOffsetY shadowScaleXToX shadowScaleYToX
			shadowScaleXToY shadowScaleYToY shadowPerspectiveX shadowPerspectiveY shadowWeight shadowOriginX shadowOriginY fShadow fshadowObscured
			perspectiveType perspectiveOffsetX perspectiveOffsetY perspectiveScaleXToX perspectiveScaleYToX perspectiveScaleXToY perspectiveScaleYToY perspectivePerspectiveX
			perspectivePerspectiveY perspectiveWeight perspectiveOriginX perspectiveOriginY fPerspective
			c3DSpecularAmt c3DDiffuseAmt c3DShininess c3DEdgeThickness c3DExtrudeForward c3DExtrudeBackward c3DExtrudePlane c3DExtrusionColor c3DCrMod f3D fc3DMetallic fc3DUseExtrusionColor
			fc3DLightFace c3DYRotationAngle c3DXRotationAngle c3DRotationAxisX c3DRotationAxisY c3DRotationAxisZ c3DRotationAngle c3DRotationCenterX c3DRotationCenterY c3DRotationCenterZ
			c3DRenderMode c3DTolerance c3DXViewpoint c3DYViewpoint c3DZViewpoint c3DOriginX c3DOriginY c3DSkewAngle c3DSkewAmount c3DAmbientIntensity c3DKeyX c3DKeyY c3DKeyZ c3DKeyIntensity
			c3DFillX c3DFillY c3DFillZ c3DFillIntensity fc3DConstrainRotation fc3DRotationCenterAuto fc3DParallel fc3DKeyHarsh fc3DFillHarsh
			spcoa spcod spcob dxyCalloutGap spcoLength fCallout fCalloutAccentBar fCalloutTextBorder fCalloutMinusX fCalloutMinusY fCalloutDropAuto fCalloutLengthSpecified
			fBackground fDeleteAttachedObject fInitiator fLockShapeType bWMode bWModePureBW bWModeBW hspMaster cxstyle relLeft relTop relRight relBottom groupLeft groupTop groupRight groupBottom
			relRotation dgmt dgmStyle fPseudoInline`},
	} {
		for _, name := range strings.Fields(l.list) {
			m[name] = l.of
		}
	}
	return m
})

// actingProperties are those whose loss is told: they load, run or hide.
var actingProperties = []string{"pihlShape", "wzScript", "wzScriptLang", "pibName", "fillBlipName", "lineFillBlipName", "pFragments", "metroBlob", "gtextRTF", "wzTooltip", "wzMacro", "fOleIcon", "wzEquationXML",
	"pRelationTbl", "dgmLayout", "wzSigSetupAddlXml", "wzSigSetupProvUrl", "diagram"}

// numbers reports whether a value is a number, or a list of them as it may
// stand in a file: "4;3;(0,0);(10,0);(10,10)", of which the first is the size of
// an element in bytes and the second their count (CVE-2010-3333 is a size that
// no reader expected).
func numbers(v string) bool {
	if n, err := strconv.ParseInt(v, 10, 64); err == nil {
		return n >= -1<<31 && n < 1<<32
	}
	size, rest, ok := strings.Cut(v, ";")
	if !ok {
		return false
	}
	count, rest, _ := strings.Cut(rest, ";")
	n, err := strconv.ParseUint(size, 10, 8)
	c, err2 := strconv.ParseUint(count, 10, 16)
	if err != nil || err2 != nil || n == 0 || n > 36 {
		return false
	}
	rest = strings.TrimSuffix(rest, ";")
	have := uint64(0)
	for rest != "" {
		var e string
		e, rest, _ = strings.Cut(rest, ";")
		have++
		inner, list := strings.CutPrefix(e, "(")
		if list {
			if inner, list = strings.CutSuffix(inner, ")"); !list {
				return false
			}
		}
		for _, f := range strings.Split(inner, ",") {
			f = strings.TrimPrefix(strings.TrimSpace(f), "@") // a guide
			if _, err := strconv.ParseInt(f, 10, 64); err != nil {
				return false
			}
		}
	}
	return have == c
}

// property is a property of a shape that is being read.
type property struct {
	name, value strings.Builder
	over        bool
	picture     string // of a value that is one, written already
}

func (p *property) gather(b *strings.Builder, r rune) {
	if b.Len() >= maxValue {
		p.over = true
		return
	}
	b.WriteRune(r)
}

// endProperty writes a property that may stay.
func (d *document) endProperty(p *property) {
	name, value := strings.TrimSpace(p.name.String()), p.value.String()
	of := properties()[name]
	ok := !p.over
	switch of {
	case propertyNumber:
		value = strings.TrimSpace(value)
		ok = ok && numbers(value)
	case propertyText:
	case propertyPicture:
		ok, value = p.picture != "", ""
	default:
		ok = false
	}
	if !ok {
		if slices.Contains(actingProperties, name) {
			d.report.found("rtf.shape-property", sanitize.Removed, name)
		} else if name != "" {
			d.report.found("rtf.shape-property", sanitize.Rewritten, name)
		}
		return
	}
	d.w.control("sp")
	d.w.open()
	d.w.control("sn")
	d.w.text([]byte(name))
	d.w.close()
	d.w.open()
	d.w.control("sv")
	if of == propertyPicture {
		d.w.raw(p.picture)
	}
	for _, r := range value {
		switch {
		case r >= 0x20 && r < 0x7F:
			d.w.text([]byte{byte(r)})
		case r >= 0xA0:
			d.w.char(r)
		}
	}
	d.w.close()
}
