package ppt

import (
	"sekisho/internal/officeart"

	"sekisho/internal/lazy"
)

// The types of records. [MS-PPT] 2.13.24.
const (
	typeDocument      = 0x03E8
	typeDocumentAtom  = 0x03E9
	typeEndDocument   = 0x03EA
	typeSlide         = 0x03EE
	typeSlideAtom     = 0x03EF
	typeNotes         = 0x03F0
	typeNotesAtom     = 0x03F1
	typeEnvironment   = 0x03F2
	typeSlidePersist  = 0x03F3
	typeMainMaster    = 0x03F8
	typeSlideShowInfo = 0x03F9
	typeSlideViewInfo = 0x03FA
	typeGuide         = 0x03FB
	typeViewInfo      = 0x03FD
	typeSlideViewAtom = 0x03FE
	typeVBAInfo       = 0x03FF
	typeVBAInfoAtom   = 0x0400
	typeShowInfo      = 0x0401
	typeSummary       = 0x0402
	typeRoutingSlip   = 0x0406
	typeOutlineView   = 0x0407
	typeSorterView    = 0x0408
	typeExObjList     = 0x0409
	typeExObjListAtom = 0x040A
	typeDrawingGroup  = 0x040B
	typeDrawing       = 0x040C
	typeGridSpacing   = 0x040D
	typeTheme         = 0x040E // the first of the copies for newer versions
	typeColorMapping  = 0x040F
	typeNamedShows    = 0x0410
	typeNamedShow     = 0x0411
	typeNamedSlides   = 0x0412
	typeNotesTextView = 0x0413
	typeNormalView    = 0x0414
	typeNormalViewAt  = 0x0415
	typeRoundTrip     = 0x041C // to 0x0428: copies for newer versions
	typeRoundTripEnd  = 0x0428
	typeList          = 0x07D0
	typeFonts         = 0x07D5
	typeFonts10       = 0x07D6
	typeBookmarks     = 0x07E3
	typeSounds        = 0x07E4
	typeSound         = 0x07E6
	typeColorScheme   = 0x07F0
	typeBullets9      = 0x07F8
	typeBullet9       = 0x07F9
	typeExObjRef      = 0x0BC1
	typePlaceholder   = 0x0BC3
	typeShapeAtom     = 0x0BDB
	typeShapeFlags10  = 0x0BDC
	typeNewPlace12    = 0x0BDD
	typeOutlineRef    = 0x0F9E
	typeTextHeader    = 0x0F9F
	typeTextChars     = 0x0FA0
	typeStyleText     = 0x0FA1
	typeMasterText    = 0x0FA2
	typeMasterStyle   = 0x0FA3
	typeCharFormat    = 0x0FA4
	typeParaFormat    = 0x0FA5
	typeTextRuler     = 0x0FA6
	typeTextBookmark  = 0x0FA7
	typeTextBytes     = 0x0FA8
	typeSpecialDef    = 0x0FA9
	typeSpecialInfo   = 0x0FAA
	typeDefaultRuler  = 0x0FAB
	typeStyleText9    = 0x0FAC
	typeMasterStyle9  = 0x0FAD
	typeOutline9      = 0x0FAE
	typeOutlineHead9  = 0x0FAF
	typeTextDefaults9 = 0x0FB0
	typeStyleText10   = 0x0FB1
	typeMasterStyle10 = 0x0FB2
	typeOutline10     = 0x0FB3
	typeTextDefault10 = 0x0FB4
	typeFontEntity    = 0x0FB7
	typeFontData      = 0x0FB8
	typeCString       = 0x0FBA
	typeMetaFile      = 0x0FC1
	typeKinsoku       = 0x0FC8
	typeHandout       = 0x0FC9
	typeOleAtom       = 0x0FC3
	typeOleEmbed      = 0x0FCC
	typeOleLink       = 0x0FCE
	typeKinsokuAtom   = 0x0FD2
	typeHyperlinkAtom = 0x0FD3
	typeHyperlink     = 0x0FD7
	typeSlideNumber   = 0x0FD8
	typeHeaders       = 0x0FD9
	typeHeadersAtom   = 0x0FDA
	typeTextAction    = 0x0FDF // where the action of a text begins and ends
	typeHyperlink9    = 0x0FE4
	typeRecolor       = 0x0FE7
	typeOleControl    = 0x0FEE
	typeSlideList     = 0x0FF0
	typeAnimationAtom = 0x0FF1
	typeAction        = 0x0FF2
	typeActionAtom    = 0x0FF3
	typeUserEdit      = 0x0FF5
	typeCurrentUser   = 0x0FF6
	typeDateTime      = 0x0FF7
	typeGenericDate   = 0x0FF8
	typeHeaderMeta    = 0x0FF9
	typeFooterMeta    = 0x0FFA
	typeVideo         = 0x1005
	typeAVI           = 0x1006
	typeMCI           = 0x1007
	typeMIDI          = 0x100D
	typeCDAudio       = 0x100E
	typeWAVEmbedded   = 0x100F
	typeWAVLink       = 0x1010
	typeOleStorage    = 0x1011
	typeAnimation     = 0x1014
	typeRTFDate       = 0x1015
	typeProgTags      = 0x1388
	typeStringTag     = 0x1389
	typeBinaryTag     = 0x138A
	typeTagData       = 0x138B
	typePrintOptions  = 0x1770
	typePersistDir    = 0x1772
	typeAdvisorFlags9 = 0x177A
	typeHTMLDoc9      = 0x177B
	typeHTMLPublish   = 0x177C
	typeHTMLPublish9  = 0x177D
	typeBroadcast9    = 0x177E
	typeBroadcastAt9  = 0x177F
	typeEnvelope9     = 0x1784
	typeEnvelopeData9 = 0x1785
	typeVisualShape   = 0x2AFB
	typeHashCode      = 0x2B00
	typeVisualPage    = 0x2B01
	typeBuildList     = 0x2B02
	typeBuildAtom     = 0x2B03
	typeChartBuild    = 0x2B04
	typeChartBuildAt  = 0x2B05
	typeDiagramBuild  = 0x2B06
	typeDiagramAtom   = 0x2B07
	typeParaBuild     = 0x2B08
	typeParaBuildAtom = 0x2B09
	typeLevelInfo     = 0x2B0A
	typeComment       = 0x2EE0
	typeCommentAtom   = 0x2EE1
	typeCommentIndex  = 0x2EE4
	typeCommentIndexA = 0x2EE5
	typeSlideFlags10  = 0x2EEA
	typeSlideTime10   = 0x2EEB
	typeFontFlags10   = 0x32C8
	typeCrypt10       = 0x2F14
	typePrivacy10     = 0x36B0
	typeToolbars10    = 0x36B1
	typeAlbum10       = 0x36B2
	typeSlideSync12   = 0x3714

	typeTimeCondition = 0xF125
	typeTimeNodeAtom  = 0xF127
	typeConditionAtom = 0xF128
	typeModifier      = 0xF129
	typeBehavior      = 0xF12A
	typeAnimate       = 0xF12B
	typeColor         = 0xF12C
	typeEffect        = 0xF12D
	typeMotion        = 0xF12E
	typeRotation      = 0xF12F
	typeScale         = 0xF130
	typeSetBehavior   = 0xF131
	typeCommand       = 0xF132
	typeBehaviorAtom  = 0xF133
	typeAnimateAtom   = 0xF134
	typeColorAtom     = 0xF135
	typeEffectAtom    = 0xF136
	typeMotionAtom    = 0xF137
	typeRotationAtom  = 0xF138
	typeScaleAtom     = 0xF139
	typeSetAtom       = 0xF13A
	typeVisual        = 0xF13C
	typeProperties    = 0xF13D
	typeVariants      = 0xF13E
	typeAnimateValues = 0xF13F
	typeIterate       = 0xF140
	typeSequence      = 0xF141
	typeVariant       = 0xF142
	typeAnimateValue  = 0xF143
	typeTimeNode      = 0xF144
	typeSubEffect     = 0xF145
)

func set(types ...uint16) map[uint16]bool {
	m := make(map[uint16]bool, len(types))
	for _, t := range types {
		m[t] = true
	}
	return m
}

// The contents of tags by which newer versions of PowerPoint keep what older
// ones do not know. [MS-PPT] 2.3.15 and elsewhere. Of versions 2003 and 2007
// nothing is wanted: smart tags, and copies in their own format.
const (
	tag9  = "___PPT9"  // PowerPoint 2000
	tag10 = "___PPT10" // PowerPoint 2002
)

var tags = lazy.Value[map[string]map[uint16]bool]{Make: func() map[string]map[uint16]bool {
	return map[string]map[uint16]bool{
		tag9: set(typeStyleText9, typeMasterStyle9, typeOutline9, typeTextDefaults9, typeBullets9, typeAdvisorFlags9),
		tag10: set(typeFonts10, typeMasterStyle10, typeTextDefault10, typeGridSpacing, typeCommentIndex, typeOutline10, typeSlideFlags10, typeSlideTime10,
			typeHashCode, typeTimeNode, typeBuildList, typeComment, typeStyleText10),
	}
}}

// inText are the records of a text, in an outline or in a shape.
var inText = []uint16{
	typeOutlineRef, typeTextHeader, typeTextChars, typeTextBytes, typeStyleText, typeMasterText, typeTextRuler, typeSpecialInfo,
	typeSlideNumber, typeDateTime, typeGenericDate, typeHeaderMeta, typeFooterMeta, typeRTFDate, typeAction, typeTextAction,
}

var inTimeNode = []uint16{
	typeTimeNodeAtom, typeProperties, typeAnimate, typeColor, typeEffect, typeMotion, typeRotation, typeScale, typeSetBehavior, typeCommand,
	typeVisual, typeIterate, typeSequence, typeTimeCondition, typeModifier, typeSubEffect, typeTimeNode,
}

// children are the records that may stand in each container.
var children = lazy.Value[map[uint16]map[uint16]bool]{Make: func() map[uint16]map[uint16]bool {
	return map[uint16]map[uint16]bool{
		typeDocument:      set(typeDocumentAtom, typeExObjList, typeEnvironment, typeDrawingGroup, typeSlideList, typeList, typeHeaders, typeNamedShows, typePrintOptions, typeShowInfo, typeEndDocument),
		typeEnvironment:   set(typeKinsoku, typeFonts, typeCharFormat, typeParaFormat, typeDefaultRuler, typeSpecialDef, typeMasterStyle),
		typeKinsoku:       set(typeKinsokuAtom, typeCString),
		typeFonts:         set(typeFontEntity),
		typeFonts10:       set(typeFontEntity),
		typeDrawingGroup:  set(officeart.TypeDggContainer),
		typeDrawing:       set(officeart.TypeDgContainer),
		typeSlideList:     set(append(inText, typeSlidePersist)...),
		typeList:          set(typeProgTags, typeNormalView, typeNotesTextView, typeOutlineView, typeSlideViewInfo, typeSorterView),
		typeSlideViewInfo: set(typeViewInfo, typeSlideViewAtom, typeGuide),
		typeOutlineView:   set(typeViewInfo),
		typeSorterView:    set(typeViewInfo),
		typeNotesTextView: set(typeViewInfo),
		typeNormalView:    set(typeNormalViewAt),
		typeHeaders:       set(typeHeadersAtom, typeCString),
		typeNamedShows:    set(typeNamedShow),
		typeNamedShow:     set(typeCString, typeNamedSlides),
		typeExObjList:     set(typeExObjListAtom, typeHyperlink),
		typeHyperlink:     set(typeHyperlinkAtom, typeCString),
		typeMainMaster:    set(typeSlideAtom, typeColorScheme, typeMasterStyle, typeDrawing, typeCString, typeProgTags, typeHeaders, typeSlideShowInfo),
		typeSlide:         set(typeSlideAtom, typeSlideShowInfo, typeHeaders, typeDrawing, typeColorScheme, typeCString, typeProgTags),
		typeNotes:         set(typeNotesAtom, typeDrawing, typeColorScheme, typeCString, typeProgTags, typeHeaders),
		typeHandout:       set(typeDrawing, typeColorScheme, typeCString, typeProgTags, typeHeaders),

		officeart.TypeClientData:    set(typePlaceholder, typeShapeAtom, typeShapeFlags10, typeRecolor, typeAnimation, typeAction, typeProgTags),
		officeart.TypeClientTextbox: set(inText...),

		typeAnimation: set(typeAnimationAtom),
		typeAction:    set(typeActionAtom),
		typeProgTags:  set(typeBinaryTag),
		typeOutline9:  set(typeOutlineHead9, typeStyleText9),
		typeOutline10: set(typeOutlineHead9, typeStyleText10),
		typeBullets9:  set(typeBullet9),

		typeComment:      set(typeCString, typeCommentAtom),
		typeCommentIndex: set(typeCString, typeCommentIndexA),
		typeBuildList:    set(typeParaBuild, typeChartBuild, typeDiagramBuild),
		typeParaBuild:    set(typeBuildAtom, typeParaBuildAtom, typeLevelInfo, typeTimeNode),
		typeChartBuild:   set(typeBuildAtom, typeChartBuildAt),
		typeDiagramBuild: set(typeBuildAtom, typeDiagramAtom),

		typeTimeNode:      set(inTimeNode...),
		typeSubEffect:     set(inTimeNode...),
		typeTimeCondition: set(typeConditionAtom, typeVisual),
		typeBehavior:      set(typeBehaviorAtom, typeVariants, typeProperties, typeVisual),
		typeAnimate:       set(typeAnimateAtom, typeAnimateValues, typeVariant, typeBehavior),
		typeColor:         set(typeColorAtom, typeBehavior),
		typeEffect:        set(typeEffectAtom, typeVariant, typeBehavior),
		typeMotion:        set(typeMotionAtom, typeVariant, typeBehavior),
		typeRotation:      set(typeRotationAtom, typeBehavior),
		typeScale:         set(typeScaleAtom, typeBehavior),
		typeSetBehavior:   set(typeSetAtom, typeVariant, typeBehavior),
		typeVisual:        set(typeVisualShape, typeVisualPage),
		typeProperties:    set(typeVariant),
		typeVariants:      set(typeVariant),
		typeAnimateValues: set(typeAnimateValue, typeVariant),
	}
}}

// sizes are the lengths of atoms that have one. What is behind it is no part of
// the record; one that is shorter would have its reader look behind its end.
var sizes = lazy.Value[map[uint16]int]{Make: func() map[uint16]int {
	return map[uint16]int{
		typeDocumentAtom: 40, typeEndDocument: 0, typeSlideAtom: 24, typeNotesAtom: 8, typeSlidePersist: 20, typeSlideShowInfo: 16, typeGuide: 8, typeViewInfo: 52,
		typeSlideViewAtom: 3, typeShowInfo: 80, typeExObjListAtom: 4, typeGridSpacing: 8, typeNormalViewAt: 20, typeColorScheme: 32, typePlaceholder: 8,
		typeShapeAtom: 1, typeShapeFlags10: 1, typeOutlineRef: 4, typeTextHeader: 4, typeOutlineHead9: 8, typeFontEntity: 68, typeKinsokuAtom: 4, typeHyperlinkAtom: 4,
		typeSlideNumber: 4, typeHeadersAtom: 4, typeTextAction: 8, typeAnimationAtom: 28, typeActionAtom: 16, typeDateTime: 8, typeGenericDate: 4, typeHeaderMeta: 4,
		typeFooterMeta: 4, typeRTFDate: 132, typePrintOptions: 5, typeAdvisorFlags9: 4, typeVisualShape: 20, typeHashCode: 4, typeVisualPage: 4, typeBuildAtom: 16,
		typeChartBuildAt: 8, typeDiagramAtom: 4, typeParaBuildAtom: 16, typeLevelInfo: 4, typeCommentAtom: 28, typeCommentIndexA: 8, typeSlideFlags10: 4, typeSlideTime10: 8,
		typeTimeNodeAtom: 32, typeConditionAtom: 16, typeModifier: 8, typeBehaviorAtom: 16, typeAnimateAtom: 12, typeColorAtom: 52, typeEffectAtom: 8, typeMotionAtom: 20,
		typeRotationAtom: 20, typeScaleAtom: 32, typeSetAtom: 8, typeIterate: 20, typeSequence: 20, typeAnimateValue: 4,
	}
}}

// most are the longest that atoms of no fixed length may be: far above what
// PowerPoint writes, and too little for a file to hide in. Texts have no limit
// but that of the file.
var most = lazy.Value[map[uint16]int]{Make: func() map[uint16]int {
	return map[uint16]int{
		typeNamedSlides: 64 << 10, typeMasterText: 64 << 10, typeMasterStyle: 4 << 10, typeMasterStyle9: 4 << 10, typeMasterStyle10: 4 << 10, typeCharFormat: 256, typeParaFormat: 256, typeTextRuler: 256,
		typeDefaultRuler: 256, typeSpecialDef: 256, typeTextDefaults9: 256, typeTextDefault10: 256, typeRecolor: 64 << 10, typeVariant: 4 << 10,
		typeTextChars: 1 << 30, typeTextBytes: 1 << 30, typeStyleText: 1 << 30, typeSpecialInfo: 1 << 30, typeStyleText9: 1 << 30, typeStyleText10: 1 << 30,
		typeCString: 64 << 10,
	}
}}

// loss says what it means that a record does not stay.
type loss struct {
	rule    string
	changed bool // the reader loses something
}

// losses are the records that are known and not wanted; one that is not here
// either is on no list.
var losses = lazy.Value[map[uint16]loss]{Make: func() map[uint16]loss {
	return map[uint16]loss{
		typeVBAInfo:       {"", false}, // looked at on its own
		typeExObjRef:      {"", false}, // what it refers to is told
		typeOleEmbed:      {"ppt.object", true},
		typeOleLink:       {"ppt.linked-object", true},
		typeOleControl:    {"ppt.control", true},
		typeMetaFile:      {"", false},
		typeSounds:        {"ppt.sound", true},
		typeSound:         {"ppt.sound", true},
		typeVideo:         {"ppt.media", true},
		typeAVI:           {"ppt.media", true},
		typeMCI:           {"ppt.media", true},
		typeMIDI:          {"ppt.media", true},
		typeCDAudio:       {"ppt.media", true},
		typeWAVEmbedded:   {"ppt.media", true},
		typeWAVLink:       {"ppt.media", true},
		typeFontData:      {"ppt.font", false},
		typeFontFlags10:   {"", false},
		typePrivacy10:     {"", false},
		typeToolbars10:    {"", false},
		typeAlbum10:       {"", false},
		typeCommand:       {"ppt.animation-command", true},
		typeStringTag:     {"ppt.tags", false},
		typeBookmarks:     {"", false},
		typeTextBookmark:  {"", false},
		typeSummary:       {"", false},
		typeRoutingSlip:   {"ppt.publishing", false},
		typeHTMLDoc9:      {"ppt.publishing", false},
		typeHTMLPublish:   {"ppt.publishing", false},
		typeHTMLPublish9:  {"ppt.publishing", false},
		typeBroadcast9:    {"ppt.publishing", false},
		typeBroadcastAt9:  {"ppt.publishing", false},
		typeEnvelope9:     {"ppt.publishing", false},
		typeEnvelopeData9: {"ppt.publishing", false},
		typeSlideSync12:   {"ppt.publishing", false},
		typeTheme:         {"ppt.newer-copy", false},
		typeColorMapping:  {"ppt.newer-copy", false},
		typeNewPlace12:    {"ppt.newer-copy", false},
		typeHyperlink9:    {"", false}, // the tip of a link
	}
}}
