package rtf

import (
	"strings"
	"sync"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// role is what a control word does here.
type role uint8

const (
	roleFormat  role = iota + 1 // written as it is, with its number
	roleChar                    // stands for a character, and is written as it is
	roleFont                    // of the font table
	roleColor                   // of the colour table
	rolePicture                 // of a picture
	rolePart                    // begins a destination that stays
	roleGone                    // begins a destination that goes
	roleState                   // how the file is to be read; document.setting knows each
	roleField                   // flag of a field
	roleDenied                  // stands alone, goes, and is told
)

// word is what is known of a control word.
type word struct {
	name    string
	role    role
	part    part   // of rolePart
	rune    rune   // of roleChar: what it is in text that is collected, 0 for nothing
	quote   bool   // of roleChar: programs write it behind \u, for readers that do not know that
	rule    string // of roleGone, roleDenied: the finding; "" for none
	act     sanitize.Action
	starred bool  // of roleFormat: it may stand behind \*
	low     int32 // of roleFormat: the numbers it may have, both zero for any
	high    int32
}

// part is a kind of destination: what the text in a group is.
type part uint8

const (
	partBody       part = iota // text with its format
	partFonts                  // \fonttbl
	partColors                 // \colortbl
	partLevel                  // \leveltext and \levelnumbers: control characters are places in them
	partSkip                   // goes with all that is in it
	partUpr                    // \upr: two forms of the same, of which \ud is the one
	partUnicode                // \ud
	partField                  // \field
	partInner                  // \field in a code: it writes some of that
	partInnerShown             // its \fldrslt
	partCode                   // \fldinst
	partResult                 // \fldrslt
	partForm                   // \formfield
	partObject                 // \object
	partShown                  // \result
	partClass                  // \objclass
	partData                   // \objdata
	partPicture                // \pict
	partPicProp                // \picprop
	partModern                 // \shppict, \shpinst: an older form of the same follows
	partOld                    // \nonshppict, \shprslt: that form
	partProperty               // \sp
	partName                   // \sn
	partValue                  // \sv
	partTemplate               // \template: where it would come from is told
	partList                   // \list, \listoverride
	partOneLevel               // \listlevel, \lfolevel
)

// vocabulary is every control word that means something here, of the 1,800 of
// RTF 1.9.1 and what Word wrote later. A word that is not in it is dropped, and
// a destination of that name with all that is in it. The table is made when the
// first document comes.
var vocabulary = sync.OnceValue(func() map[string]word {
	m := make(map[string]word, 2000)
	each := func(list string, w word) {
		for _, name := range strings.Fields(list) {
			m[name] = w
		}
	}
	each(formatWords, word{role: roleFormat})
	for _, side := range []string{"t", "l", "b", "r"} {
		each(strings.ReplaceAll(`clpad* clpadf* clsp* clspf* trpadd* trpaddf* trpado* trpadof* trspd* trspdf* trspo* trspof* tscellpadd* tscellpaddf* clbrdr* trbrdr* tsbrdr* pgbrdr* brdr*`, "*", side), word{role: roleFormat})
	}
	for _, fill := range strings.Fields("horiz vert fdiag bdiag cross dcross dkhoriz dkvert dkfdiag dkbdiag dkcross dkdcross dkhor") {
		for _, of := range strings.Fields("bg chbg clbg rawclbg trbg tsbg tscbg") {
			m[of+fill] = word{role: roleFormat}
		}
	}
	for _, n := range strings.Fields("ar auc alc ruc rlc chi chosung cnum dbnum dbnumd dbnumt dbnumk dbar ganada gbnum gbnumd gbnuml gbnumk zodiac zodiacd zodiacl") {
		for _, of := range []string{"ftnn", "aftnn", "sftnn", "saftnn"} {
			m[of+n] = word{role: roleFormat}
		}
	}
	// Numbers beyond these break readers: tables of fonts and lists, cells of a
	// row, levels of tables (CVE-2014-1761, CVE-2023-21716).
	for _, l := range []struct {
		list      string
		low, high int32
	}{
		{"ilvl outlinelevel lvl", 0, 9},
		{"ls", 0, 10000},
		{"itap", 0, 64},
		{"s cs ts ds sbasedon snext slink", 0, 32767},
		{"cols", 1, 45}, {"colno", 1, 45},
		{"fs afs pnfs ffhps", 0, 3276},
		{"cf cb chcfpat chcbpat cfpat cbpat clcfpat clcbpat brdrcf highlight ulc pncf", 0, 32767},
		{"charscalex", 1, 600},
		{"levelnfc levelnfcn", 0, 255},
	} {
		each(l.list, word{role: roleFormat, low: l.low, high: l.high})
	}
	for _, name := range []string{"cs", "ts", "ds", "tsrowd"} {
		w := m[name]
		w.starred = true
		m[name] = w
	}
	each(fontWords, word{role: roleFont})
	each("red green blue", word{role: roleColor, high: 255})
	each(pictureWords, word{role: rolePicture})
	each("flddirty fldedit fldlock fldpriv", word{role: roleField})
	for name, r := range characters.Get() {
		m[name] = word{role: roleChar, rune: r, quote: r > 0x7F}
	}
	each(bodyParts, word{role: rolePart})
	for name, p := range parts.Get() {
		m[name] = word{role: rolePart, part: p}
	}
	each(quiet, word{role: roleGone})
	for _, t := range told {
		each(t.list, word{role: roleGone, rule: t.rule, act: t.act})
	}
	m["template"] = word{role: rolePart, part: partTemplate}
	m["subdocument"] = word{role: roleDenied, rule: "rtf.linked-file", act: sanitize.Removed}
	each("ansi mac pc pca ansicpg uc u f af plain loch hich dbch fcharset cpg rtf deff adeff cellx trowd fprq htmlrtf listoverridecount", word{role: roleState})
	for name, w := range m {
		w.name = name
		m[name] = w
	}
	return m
})

// quiet are destinations that never stay and are not told: nothing in them is
// shown, and nothing could act. They say who wrote the file, with which program,
// in which session, or the same a second time.
const quiet = `generator info rsidtbl latentstyles xmlnstbl wgrffmtfilter pgptbl passwordhash password protusertbl protstart protend writereservation writereservhash
	oldcprops oldpprops oldtprops oldsprops userprops factoidname keycode hlinkbase atnicn blipuid gridtbl ebcstart ebcend mvfmf mvfml mvtof mvtol svb
	xmlopen xmlattr xmlattrname xmlattrvalue xmlclose xmlname windowcaption mhtmltag htmltag author operator title subject company manager category keywords
	comment doccomm bkmkpub pgdsctbl expandedcolortbl hyphen staticval propname linkval datafield fldtype objname objalias objsect objtime`

// told are destinations that never stay, by the finding that says so.
var told = []struct {
	rule string
	act  sanitize.Action
	list string
}{
	{"rtf.data", sanitize.Rewritten, "datastore themedata colorschememapping docvar private"},
	{"rtf.linked-file", sanitize.Removed, "filetbl file nextfile"},
	{"rtf.mail-merge", sanitize.Removed, `mailmerge mmaddfieldname mmconnectstr mmconnectstrdata mmdatasource mmheadersource mmodso mmodsoname mmodsofldmpdata mmodsofilter
		mmodsomappedname mmodsorecipdata mmodsosort mmodsosrc mmodsotable mmodsoudl mmodsoudldata mmodsouniquetag mmquery mmmailsubject`},
	{"rtf.form-macro", sanitize.Removed, "ffentrymcr ffexitmcr"},
	{"rtf.font", sanitize.Removed, "fontemb fontfile"},
	{"rtf.link", sanitize.Removed, "hl hlsrc hlfr hlloc"},
}

// characters stand for themselves in the text.
var characters = lazy.Value[map[string]rune]{Make: func() map[string]rune {
	return map[string]rune{
		"par": ' ', "line": ' ', "tab": '\t', "sect": ' ', "page": ' ', "column": ' ', "cell": ' ', "nestcell": ' ', "row": ' ', "nestrow": ' ', "lbr": ' ',
		"emdash": '—', "endash": '–', "emspace": 0x2003, "enspace": 0x2002, "qmspace": 0x2005, "bullet": '•', "lquote": '‘', "rquote": '’', "ldblquote": '“', "rdblquote": '”',
		"zwbo": 0, "zwnbo": 0, "zwj": 0, "zwnj": 0, "ltrmark": 0, "rtlmark": 0,
		"chdate": 0, "chdpl": 0, "chdpa": 0, "chtime": 0, "chpgn": 0, "sectnum": 0, "chftn": 0, "chatn": 0, "chftnsep": 0, "chftnsepc": 0,
	}
}}

// parts are the destinations that are treated in a way of their own.
var parts = lazy.Value[map[string]part]{Make: func() map[string]part {
	return map[string]part{
		"fonttbl": partFonts, "colortbl": partColors, "leveltext": partLevel, "levelnumbers": partLevel, "upr": partUpr, "ud": partUnicode,
		"field": partField, "fldinst": partCode, "fldrslt": partResult, "formfield": partForm, "object": partObject, "result": partShown, "objclass": partClass, "objdata": partData,
		"pict": partPicture, "picprop": partPicProp, "shppict": partModern, "nonshppict": partOld, "shpinst": partModern, "shprslt": partOld,
		"sp": partProperty, "sn": partName, "sv": partValue, "list": partList, "listlevel": partOneLevel, "listoverride": partList, "lfolevel": partOneLevel,
	}
}}

// bodyParts are the destinations that hold text or nothing but format.
const bodyParts = `stylesheet listtable listoverridetable revtbl pn pnseclvl pntext pntxta pntxtb listtext listname liststylename listpicture
	header headerl headerr headerf footer footerl footerr footerf footnote ftnsep ftnsepc ftncn aftnsep aftnsepc aftncn
	annotation atnid atnauthor atntime atndate atnref atnparent atrfstart atrfend bkmkstart bkmkend xe tc txe rxe pxe
	ffname ffdeftext ffformat ffhelptext ffstattext ffl panose falt fname defchp defpap nesttableprops nonesttables
	shp shpgrp shptxt background do dptxbxtext
	mmath mmathPr moMath moMathPara moMathParaPr macc maccPr mbar mbarPr mborderBox mborderBoxPr mbox mboxPr mchr mctrlPr md mdeg mden mdPr me meqArr meqArrPr mf mfName mfPr mfunc mfuncPr
	mgroupChr mgroupChrPr mlim mlimLow mlimLowPr mlimUpp mlimUppPr mm mmc mmcPr mmcs mmPr mmr mnary mnaryPr mnum mphant mphantPr mr mrad mradPr mrPr msPre msPrePr msSub msSubPr msSubSup
	msSubSupPr msSup msSupPr msub msup mbegChr mendChr msepChr mtype mvertJc mpos mmcJc mcount mlimLoc mdegHide mgrow msubHide msupHide mshow mstrikeBLTR mstrikeH mstrikeTLBR mstrikeV
	mtransp mzeroAsc mzeroDesc mzeroWid mhideBot mhideLeft mhideRight mhideTop malnScr maln mnoBreak mopEmu mdiff mbaseJc mbrk mcGp mcGpRule mcSp mmaxDist mobjDist mplcHide mrSp mrSpRule
	mshp mmathPict margSz mlit mnor`

// fontWords describe a font in the font table. Those that take a font from a
// theme are not among them: the name stands beside them.
const fontWords = `fnil froman fswiss fmodern fscript fdecor ftech fbidi fbias`

// pictureWords describe a picture.
const pictureWords = `picw pich picwgoal pichgoal picscalex picscaley picscaled piccropt piccropb piccropl piccropr picbmp picbpp wbmbitspixel wbmplanes wbmwidthbytes
	emfblip pngblip jpegblip macpict pmmetafile wmetafile dibitmap wbitmap blipupi shplid defshp`

// formatWords are written as they are: they lay out and colour.
const formatWords = `
	deflang deflangfe adeflang stshfdbch stshfloch stshfhich stshfbi deftab hyphhotz hyphconsec hyphcaps hyphauto linestart fracwidth viewkind viewscale viewzk viewbksp viewnobound
	fet endnotes enddoc ftntj ftnbj aendnotes aenddoc aftnbj aftntj ftnstart aftnstart ftnrstpg ftnrestart ftnrstcont aftnrestart aftnrstcont
	paperw paperh psz margl margr margt margb facingp gutter ogutter rtlgutter gutterprl margmirror landscape pgnstart widowctrl twoonone bookfold bookfoldrev bookfoldsheets
	notabind wraptrsp prcolbl noextrasprl nocolbal cvmme sprstsp sprsspbf otblrul transmf swpbdr brkfrm sprslnsp subfontbysize truncatefontheight truncex bdbfhdr dntblnsbdb expshrtn
	lytexcttp lytprtmet msmcap nolead nospaceforul noultrlspc noxlattoyen oldlinewrap sprsbsp sprstsm wpjst wpsp wptab splytwnine ftnlytwnine htmautsp useltbaln alntblind lytcalctblwd
	lyttblrtgr oldas lnbrkrule bdrrlswsix nolnhtadjtbl ApplyBrkRules snapgridtocell allowfieldendsel wrppunct asianbrkrule newtblstyruls nogrowautofit usenormstyforlist noindnmbrts
	felnbrelev indrlsweleven nocxsptable notcvasp notvatxbx spltpgpar hwelev afelev cachedcolbal utinl notbrkcnstfrctbl nobrkwrptbl noafcnsttbl snaptogridincell krnprsnet usexform toplinepunct nojkernpunct
	dgsnap dghspace dgvspace dghorigin dgvorigin dghshow dgvshow dgmargin jcompress jexpand horzdoc vertdoc lnongrid ilfomacatclnup revisions trackmoves trackformatting
	relyonvml donotembedsysfont donotembedlingdata showplaceholdtext nofeaturethrottle nouicompat formdisp formprot allprot formshade annotprot revprot revprop revbar readprot
	enforceprot protlevel stylesortmethod autofmtoverride readonlyrecommended noqfpromote pgbrdrhead pgbrdrfoot brdrart pgbrdropt pgbrdrsnap fromtext doctype horzvert rtldoc ltrdoc
	fchars lchars validatexml showxmlerrors

	sectd endnhere binfsxn binsxn sectunlocked sectdefaultcl sectlinegrid sectspecifycl sectspecifyl sectspecifygen sectexpand sbknone sbkcol sbkpage sbkeven sbkodd
	colsx colsr colw colr linebetcol linemod linex linestarts linerestart lineppage linecont pgwsxn pghsxn marglsxn margrsxn margtsxn margbsxn guttersxn margmirsxn lndscpsxn
	pgnstarts pgncont pgnrestart pgnx pgny pgndec pgnucrm pgnlcrm pgnucltr pgnlcltr pgnbidia pgnbidib pgnchosung pgncnum pgndbnum pgndbnumd pgndbnumt pgndbnumk pgndecd pgnganada
	pgngbnum pgngbnumd pgngbnuml pgngbnumk pgnzodiac pgnzodiacd pgnzodiacl pgnhn pgnhnsh pgnhnsp pgnhnsc pgnhnsm pgnhnsn pgnid pgnhindia pgnhindib pgnhindic pgnhindid pgnthaia pgnthaib
	pgnthaic pgnvieta vertal vertalt vertalb vertalc vertalj vertsect headery footery stextflow titlepg ltrsect rtlsect sftnbj sftntj sftnstart sftnrstpg sftnrestart sftnrstcont saftnstart saftnrestart
	saftnrstcont ftnalt

	pard hyphpar intbl keep keepn nowidctlpar widctlpar level noline pagebb sbys spv qc qj ql qr qd qk qt aspalpha aspnum faauto fahang facenter faroman favar fafixed collapsed fi cufi
	li lin culi ri rin curi adjustright indmirror sb sa sbauto saauto lisb lisa sl slmult nosnaplinegrid contextualspace ltrpar rtlpar nocwrap nowwrap nooverflow txbxtwno txbxtwalways
	txbxtwfirstlast txbxtwfirst txbxtwlast yts absw absh nosupersub tx tqr tqc tqdec tb tldot tlmdot tlhyph tlul tlth tleq jclisttab
	brdrbtw brdrbar box brdrs brdrth brdrsh brdrdb brdrdot brdrdash brdrhair brdrdashsm brdrdashd brdrdashdd brdrdashdot brdrdashdotdot brdrinset brdrnone brdroutset brdrtriple brdrtnthsg brdrthtnsg brdrtnthtnsg
	brdrtnthmg brdrthtnmg brdrtnthtnmg brdrtnthlg brdrthtnlg brdrtnthtnlg brdrwavy brdrwavydb brdrdashdotstr brdremboss brdrengrave brdrframe brdrw brsp brdrnil brdrtbl shading
	absnoovrlp phmrg phpg phcol posx posnegx posxc posxi posxo posxl posxr pvmrg pvpg pvpara posy posnegy posyt posyil posyb posyc posyin posyout abslock nowrap overlay dxfrtext
	dfrmtxtx dfrmtxty wrapdefault wraparound wraptight wrapthrough dropcapli dropcapt frmtxlrtb frmtxtbrl frmtxbtlr frmtxlrtbv frmtxtbrlv
	pnlvl pnlvlblt pnlvlbody pnlvlcont pnnumonce pnacross pnhang pncard pndec pnucltr pnucrm pnlcltr pnlcrm pnord pnordt pnbidia pnbidib pnaiu pnaiud pnaiueo pnaiueod pnchosung pncnum
	pndbnum pndbnumd pndbnumk pndbnuml pndbnumt pndecd pnganada pngbnum pngbnumd pngbnuml pngbnumk pniroha pnirohad pnzodiac pnzodiacd pnzodiacl pnuldash pnuldashd pnuldashdd pnulhair
	pnulth pnulwave pnul pnuld pnuldb pnulnone pnulw pnstrike pnb pni pncaps pnscaps pnf pnindent pnsp pnprev pnstart pnqc pnql pnqr pnrestart

	trgaph clmgf clmrg clvmgf clvmrg cldglu cldgll cltxlrtb cltxtbrl cltxbtlr cltxlrtbv cltxtbrlv clvertalt clvertalc clvertalb clshdng clcfpatraw clcbpatraw clshdngraw clshdrawnil
	clftsWidth clwWidth clFitText clNoWrap clhidemark cldel cldelauth cldeldttm clins clinsauth clinsdttm trql trqr trqc trleft trrh trhdr trkeep trkeepfollow trautofit trwWidth
	trftsWidth trwWidthB trftsWidthB trwWidthA trftsWidthA trbrdrh trbrdrv tblind tblindtype tbllkhdrrows tbllkhdrcols tbllkborder tbllkshading tbllkfont tbllkcolor tbllkbestfit
	tbllklastrow tbllklastcol tbllknorowband tbllknocolband tphmrg tphpg tphcol tposx tposnegx tposxc tposxi tposxl tposxo tposxr tpvmrg tpvpg tpvpara tposy tposnegy tposyb tposyc
	tposyil tposyin tposyout tposyt tdfrmtxtLeft tdfrmtxtRight tdfrmtxtTop tdfrmtxtBottom tabsnoovrlp taprtl rtlrow ltrrow irow irowband lastrow tsrowd tscfirstrow tsclastrow
	tscfirstcol tsclastcol tscbandhorzodd tscbandhorzeven tscbandvertodd tscbandverteven tscnwcell tscnecell tscswcell tscsecell tscbandsh tscbandsv tscellwidth tscellwidthfts
	tscellpct tscellcfpat tscellcbpat tsbrdrdgl tsbrdrdgr tsbrdrh tsbrdrv tsvertalb tsvertalc tsvertalt tsnowrap trcbpat trcfpat trpat trshdng tcelld

	animtext accnone accdot acccomma acccircle accunderdot b caps deleted dn embo expnd expndtw fittext i impr kerning lang langfe langfenp langnp nosupersub outl scaps shad strike
	striked sub super ul uld uldash uldashd uldashdd uldb ulhair ulhwave ulldash ulnone ulth ulthd ulthdash ulthdashd ulthdashdd ulthldash ululdbwave ulw ulwave up v webhidden chbrdr
	chshdng cgrid g gcw noproof nosectexpand rtlch ltrch ab acaps acf adn aexpnd ai alang aoutl ascaps ashad astrike aul auld auldb aulnone aulw aup fcs hres chhres crauth
	crdate revised revauth revdttm revauthdel revdttmdel mvf mvt mvauth mvdate twoinone

	additive sautoupd shidden slocked spersonal scompose sreply ssemihidden sqformat spriority sunhideused

	listtemplateid listsimple listhybrid listrestarthdn listid liststyleid leveljc leveljcn levelstartat levelold levelprev levelprevspace levelspace levelindent levelfollow levellegal lvltentative
	levelnorestart levelpicture levelpicturenosize leveltemplateid listoverridestartat listoverrideformat

	fftype ffownhelp ffownstat ffprot ffsize fftypetxt ffrecalc ffhaslistbox ffmaxlen ffdefres ffres bkmkcolf bkmkcoll xef bxe ixe yxe tcf tcl tcn fldalt

	shpleft shptop shpbottom shpright shplid shpz shpfhdr shpbxpage shpbxmargin shpbxcolumn shpbxignore shpbypage shpbymargin shpbypara shpbyignore shpwr shpwrk shpfblwtxt shplockanchor
	dobxcolumn dobxmargin dobxpage dobymargin dobypara dobypage dodhgt dolock dplinesolid dplinehollow dplinedash dplinedot dplinedado dplinedadodo dplinecor dplinecog dplinecob dplinegray
	dplinepal dplinew dpline dprect dproundr dpellipse dparc dptxbx dptxbxmar dptxlrtb dptxtbrl dptxbtlr dptxlrtbv dptxtbrlv dpx dpy dpxsize dpysize dpfillbgcr dpfillbgcg dpfillbgcb dpfillbggray
	dpfillbgpal dpfillfgcr dpfillfgcg dpfillfgcb dpfillfggray dpfillfgpal dpfillpat dpshadow dpshadx dpshady dpastartsol dpastarthol dpastartw dpastartl dpaendsol dpaendhol dpaendw dpaendl

	margPr mbrkBin mbrkBinSub mdefJc mdispDef minterSp mintLim mintraSp mjc mlMargin mmathFont mnaryLim mpostSp mpreSp mrMargin mscr msmallFrac msty mwrapIndent mwrapRight
`
