package xls

import (
	"sync"

	"sekisho/internal/lazy"
)

// The records that are named in this package. [MS-XLS] 2.3.
const (
	recFormula      = 0x0006
	recEOF          = 0x000A
	recExternSheet  = 0x0017
	recName         = 0x0018
	recNote         = 0x001C
	recExternName   = 0x0023
	recFilePass     = 0x002F
	recContinue     = 0x003C
	recXCT          = 0x0059
	recCRN          = 0x005A
	recWriteAccess  = 0x005C
	recObj          = 0x005D
	recWSBool       = 0x0081
	recBoundSheet   = 0x0085
	recMMS          = 0x00C1
	recDrawingGroup = 0x00EB
	recDrawing      = 0x00EC
	recSST          = 0x00FC
	recLabelSST     = 0x00FD
	recViewBegin    = 0x01AA
	recViewEnd      = 0x01AB
	recSupBook      = 0x01AE
	recCondFmt      = 0x01B0
	recCF           = 0x01B1
	recDVal         = 0x01B2
	recTXO          = 0x01B6
	recRefreshAll   = 0x01B7
	recHLink        = 0x01B8
	recDV           = 0x01BE
	recDimensions   = 0x0200
	recBlank        = 0x0201
	recNumber       = 0x0203
	recBoolErr      = 0x0205
	recString       = 0x0207
	recArray        = 0x0221
	recTable        = 0x0236
	recWindow2      = 0x023E
	recSharedFmla   = 0x04BC
	recHLinkTip     = 0x0800
	recBOF          = 0x0809
	recContinueFrt  = 0x0812
	recHFPicture    = 0x0866
	recFeatHdr      = 0x0867
	recFeat         = 0x0868
	recContFrt11    = 0x0875
	recCondFmt12    = 0x0879
	recCF12         = 0x087A
	recCFEx         = 0x087B
	recContFrt12    = 0x087F
	recXFCRC        = 0x087C
	recXFExt        = 0x087D
	recTheme        = 0x0896
	recGelFrame     = 0x1066
	recBRAI         = 0x1051
)

// where says in which part of a workbook a record may stand.
type where uint8

const (
	inGlobals where = 1 << iota
	inSheet
	inChart
)

// rule is what happens to a kind of record.
type rule struct {
	in    where
	most  int    // octets that it may have, 0 for any; what is beyond is cut off
	loss  string // it goes, and this is the rule of the finding; "-" for none
	taken bool   // its going takes something from the reader
}

// lost are records that never stay, by what is said of it: "-" is nothing,
// because nothing of the document goes with them.
var lost = lazy.Value[map[string][]uint16]{Make: func() map[string][]uint16 {
	return map[string][]uint16{
		"-": {
			0x0051 /* DCONREF, of consolidated data */, 0x0050, 0x0052, 0x01B5,
			0x004D /* PLS, settings of a printer */, 0x005B /* FILESHARING */, 0x0086, 0x0094, 0x0095, 0x0097, 0x0098, 0x009A,
			0x00BF /* menus and toolbars */, 0x00C0, 0x00C2, 0x00C3, 0x00D3 /* OBPROJ */, 0x01BA /* CODENAME */, 0x01BD,
			0x00D7 /* DBCELL, offsets */, 0x00FF /* EXTSST */, 0x020B, /* INDEX */
			0x00DE /* OLESIZE */, 0x00ED, 0x0087 /* ADDIN */, 0x00AB, 0x01C2, 0x0874, 0x08C8, 0x08D6, 0x0138, 0x0193, 0x0194, 0x0195, 0x0196, 0x01A9, /* views and shared work */
			0x0801 /* web publishing */, 0x080B, 0x0865, 0x086C, 0x086D, 0x0893, 0x0897, 0x0898, 0x0899,
			recXCT, recCRN, 0x0016,
		},
		"xls.connection": {0x00DC /* DBQUERY */, 0x01AD /* QSI */, 0x0802, 0x0803, 0x0804, 0x0805, 0x0806, 0x0807, 0x080A, 0x0876 /* DCONN */, 0x0813, /* REALTIMEDATA */
			0x00B8 /* routing of the document */, 0x00B9},
		"xls.pivot": {0x00B0 /* SXVIEW */, 0x00B1, 0x00B2, 0x00B4, 0x00B5, 0x00B6, 0x00C4, 0x00C5, 0x00C6, 0x00C7, 0x00C8, 0x00C9, 0x00CA, 0x00CB, 0x00CC, 0x00CD, 0x00CE,
			0x00CF, 0x00D0, 0x00D1, 0x00D2, 0x00D5, 0x00D8, 0x00D9, 0x00DB, 0x00E3, 0x00F0, 0x00F1, 0x00F2, 0x00F3, 0x00F4, 0x00F5, 0x00F6, 0x00F7, 0x00F8, 0x00F9,
			0x00FA, 0x00FB, 0x00FE, 0x0100, 0x0103, 0x0122, 0x01BB, 0x0810, 0x0858, 0x0859, 0x0864, 0x080C, 0x080D, 0x080E, 0x080F, 0x1048},
		"xls.background": {0x00E9 /* BKHIM */, 0x007F /* IMDATA */},
		"xls.table":      {0x0871 /* FEATHDR11 */, 0x0872, 0x0877, 0x0878},
		"xls.shape-copy": {0x08A4 /* SHAPEPROPSSTREAM */, 0x08A5, 0x08A6},
	}
}}

// changes are the losses that take something from the reader.
var changes = map[string]bool{"xls.connection": true, "xls.pivot": true, "xls.background": true}

// stays are the records that are kept as they are, by where they may stand and
// how long they are at most.
var stays = []struct {
	in    where
	most  int
	types []uint16
}{
	// Settings of the workbook.
	{inGlobals, 2, []uint16{0x000E, 0x0022, 0x0040, 0x0042, 0x008D, 0x009C, 0x00DA, 0x00E1, 0x0160, 0x0161, 0x01AF, 0x01BC}},
	{inGlobals, 4, []uint16{0x008C}},
	{inGlobals, 8, []uint16{0x01C1}},
	{inGlobals, 18, []uint16{0x003D}},
	{inGlobals, -1, []uint16{0x0060, 0x00E2, 0x01C0}}, // they say it by being there
	{inGlobals, 0, []uint16{0x013D, 0x0863, 0x088C, 0x089A, 0x089B, 0x08A3}},
	// Looks.
	{inGlobals, 20, []uint16{0x00E0, recXFCRC}},
	{inGlobals, 0, []uint16{0x0031, 0x0092, 0x0293, 0x041E, recXFExt, 0x088D, 0x088E, 0x088F, 0x0890, 0x0892, 0x0894}},
	{inGlobals | inChart, 0, []uint16{0x105C}},
	// Both.
	{inGlobals | inSheet | inChart, 2, []uint16{0x0012, 0x0013, 0x0019}},
	// A sheet's settings, its page and windows.
	{inSheet, 2, []uint16{0x000C, 0x000D, 0x000F, 0x0011, 0x0055, 0x005F, recWSBool, 0x0082, 0x0099, 0x009D}},
	{inSheet, 8, []uint16{0x0010, 0x0080}},
	{inSheet, 4, []uint16{0x0225}},
	{inSheet, 10, []uint16{0x0041}},
	{inSheet, 12, []uint16{0x007D}},
	{inSheet, -1, []uint16{0x009B}},
	{inSheet, 16, []uint16{0x0208, 0x088B}},
	{inSheet, 0, []uint16{0x001A, 0x001B, 0x001D, 0x0090, 0x009E, 0x00AE, 0x00AF, 0x00E5, 0x00EF, 0x015F, 0x087E, 0x0895}},
	{inSheet | inChart, 2, []uint16{0x002A, 0x002B, 0x005E, 0x0063, 0x0083, 0x0084, 0x00DD}},
	{inSheet | inChart, 4, []uint16{0x00A0}},
	{inSheet | inChart, 8, []uint16{0x0026, 0x0027, 0x0028, 0x0029}},
	{inSheet | inChart, 14, []uint16{recDimensions}},
	{inSheet | inChart, 18, []uint16{recWindow2}},
	{inSheet | inChart, 34, []uint16{0x00A1}},
	{inSheet | inChart, 0, []uint16{0x0014, 0x0015, 0x0862, 0x089C}},
	// Cells.
	{inSheet | inChart, 6, []uint16{recBlank}},
	{inSheet, 10, []uint16{recLabelSST, 0x027E}},
	{inSheet | inChart, 14, []uint16{recNumber}},
	{inSheet | inChart, 8, []uint16{recBoolErr}},
	{inSheet | inChart, 0, []uint16{0x0204}},
	{inSheet, 0, []uint16{0x00BD, 0x00BE, 0x00D6}},
	// Charts.
	{inChart, 2, []uint16{0x0033}},
	{inChart, 0, []uint16{
		0x1001, 0x1002, 0x1003, 0x1006, 0x1007, 0x1009, 0x100A, 0x100B, 0x100C, 0x100D, 0x1014, 0x1015, 0x1016, 0x1017, 0x1018, 0x1019, 0x101A, 0x101B,
		0x101C, 0x101D, 0x101E, 0x101F, 0x1020, 0x1021, 0x1022, 0x1024, 0x1025, 0x1026, 0x1027, 0x1032, 0x1033, 0x1034, 0x1035, 0x103A, 0x103C, 0x103D,
		0x103E, 0x103F, 0x1040, 0x1041, 0x1043, 0x1044, 0x1045, 0x1046, 0x104A, 0x104B, 0x104E, 0x104F, 0x1050, 0x105B, 0x105D, 0x105F, 0x1060, 0x1061,
		0x1062, 0x1063, 0x1064, 0x1065, 0x1067, 0x1068,
		0x0850, 0x0851, 0x0852, 0x0853, 0x0854, 0x0855, 0x0856, 0x0857, 0x085A, 0x086A, 0x086B, 0x089D, 0x089E, 0x089F, 0x08A7,
	}},
}

// rules are all of them by type.
var rules = sync.OnceValue(func() *[0x1100]rule {
	var t [0x1100]rule
	for name, types := range lost.Get() {
		for _, typ := range types {
			if int(typ) < len(t) {
				t[typ] = rule{loss: name, taken: changes[name]}
			}
		}
	}
	for _, s := range stays {
		for _, typ := range s.types {
			t[typ] = rule{in: s.in, most: s.most}
		}
	}
	return &t
})

func ruleOf(typ uint16) rule {
	if t := rules(); int(typ) < len(t) {
		return t[typ]
	}
	return rule{}
}
