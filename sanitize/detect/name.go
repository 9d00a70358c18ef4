package detect

import (
	"slices"
	"strings"
	"unicode"

	"sekisho/sanitize"
)

// dangerousName says what kind of danger a name announces.
func dangerousName(name string) (sanitize.Kind, bool) {
	for _, n := range readings(name) {
		if k, ok := dangers[extension(n)]; ok {
			return k, true
		}
	}
	return "", false
}

// readings are the names that programs make of one name: a NUL ends it for
// some, a colon starts a stream on NTFS, invisible characters and blanks and
// dots at the end are dropped, a path is cut to its last element.
func readings(name string) []string {
	clean := strings.Map(func(r rune) rune {
		if r != 0 && (unicode.Is(unicode.Cf, r) || unicode.IsControl(r)) {
			return -1
		}
		return r
	}, name)
	if i := strings.LastIndexAny(clean, `/\`); i >= 0 && i+1 < len(clean) {
		clean = clean[i+1:]
	}
	all := []string{clean}
	for _, sep := range [...]string{"\x00", ":"} {
		if before, _, ok := strings.Cut(clean, sep); ok {
			all = append(all, before)
		}
	}
	return all
}

// dangers are the extensions that make a system run a file, follow it or take
// settings from it. What Windows and Outlook block is in it, and what other
// systems run.
var dangers = kindsByExt(map[sanitize.Kind]string{
	sanitize.KindExecutable: `exe com scr pif dll cpl sys drv ocx msi msp mst msu appx appxbundle msix msixbundle
		appinstaller application apk ipa deb rpm app dmg pkg xll xla xlam ppa ppam wll wiz gadget elf so dylib jar class
		ade adp mda mdb mde accdb accde accda accdr vxd shb shs prg`,
	sanitize.KindScript: `bat cmd vbs vbe vb js jse mjs ws wsf wsc wsh sct sh bash zsh csh ksh ps1 ps1xml ps2 ps2xml
		psc1 psc2 psd1 psm1 cdxml msh msh1 msh2 mshxml py pyw pyc pl rb php phtml lua tcl ahk au3 applescript command
		workflow reg inf hta htc msc settingcontent-ms appref-ms theme themepack deskthemepack diagcab diagcfg diagpkg
		rdp ica iqy oqy dqy rqy odc udl slk job scf jnlp mcf mof xbap bas cls frm asp aspx jsp hlp cnt chm its mad maf
		mag mam maq mar mas mat mau mav maw osd ops prf vsw vsmacros desktop bgi`,
	sanitize.KindShortcut: `lnk url website webloc library-ms search-ms searchconnector-ms mydocs zfsendtotarget`,
	sanitize.KindISO:      `iso udf`,
	sanitize.KindVHD:      `vhd vhdx wim vmdk`,
	sanitize.KindONE:      `one onepkg onetoc2`,
})

func kindsByExt(m map[sanitize.Kind]string) map[string]sanitize.Kind {
	t := make(map[string]sanitize.Kind)
	for k, list := range m {
		for ext := range strings.FieldsSeq(list) {
			t[ext] = k
		}
	}
	return t
}

// named lets the names speak: they can make a kind worse, and what they promise
// and the content does not hold is reported.
func named(f *file, r found) sanitize.Detection {
	d := sanitize.Detection{Kind: r.kind, Inside: r.inside, Findings: r.findings}
	for _, n := range f.names() {
		k, ok := dangerousName(n)
		if !ok || d.Kind.Class() == sanitize.ClassExecutable {
			continue
		}
		switch {
		case r.text && k == sanitize.KindShortcut:
			d.Kind = sanitize.KindShortcut
		case r.text:
			d.Kind = sanitize.KindScript
		case rewritten(d.Kind):
			// Its output gets its own extension; the name is only a lie.
		default:
			d.Kind = k
			if k == sanitize.KindScript {
				d.Kind = sanitize.KindExecutable
			}
		}
		d.Findings = append(d.Findings, mismatch(n, r.kind))
		return d
	}
	for _, n := range f.names() {
		if want, ok := expected[extension(n)]; ok && !slices.Contains(want, d.Kind) && d.Kind != sanitize.KindEmpty {
			d.Findings = append(d.Findings, mismatch(n, d.Kind))
			break
		}
	}
	return d
}

// rewritten reports whether a kind is a document or picture with a structure
// of its own, which is never delivered as it came.
func rewritten(k sanitize.Kind) bool {
	switch k.Class() {
	case sanitize.ClassImage, sanitize.ClassOffice, sanitize.ClassPDF, sanitize.ClassLegacyOffice, sanitize.ClassEncrypted:
		return true
	default:
		return false
	}
}

func mismatch(name string, k sanitize.Kind) sanitize.Finding {
	return sanitize.Finding{Rule: "detect.name-mismatch", Where: name, Action: sanitize.Reported, Detail: "the content is " + string(k)}
}

// expected are the kinds that a name promises. Names that promise nothing are
// not in it.
var expected = map[string][]sanitize.Kind{
	"txt":  {sanitize.KindText},
	"csv":  {sanitize.KindCSV},
	"tsv":  {sanitize.KindTSV},
	"htm":  {sanitize.KindHTML},
	"html": {sanitize.KindHTML},
	"eml":  {sanitize.KindMessage},
	"png":  {sanitize.KindPNG},
	"jpg":  {sanitize.KindJPEG},
	"jpeg": {sanitize.KindJPEG},
	"gif":  {sanitize.KindGIF},
	"bmp":  {sanitize.KindBMP},
	"tif":  {sanitize.KindTIFF},
	"tiff": {sanitize.KindTIFF},
	"webp": {sanitize.KindWebP},
	"heic": {sanitize.KindHEIC},
	"svg":  {sanitize.KindSVG},
	"pdf":  {sanitize.KindPDF, sanitize.KindEncryptedPDF},
	"rtf":  {sanitize.KindRTF},
	"doc":  {sanitize.KindDOC, sanitize.KindEncryptedOffice},
	"dot":  {sanitize.KindDOC, sanitize.KindEncryptedOffice},
	"xls":  {sanitize.KindXLS, sanitize.KindEncryptedOffice},
	"xlt":  {sanitize.KindXLS, sanitize.KindEncryptedOffice},
	"ppt":  {sanitize.KindPPT, sanitize.KindEncryptedOffice},
	"pps":  {sanitize.KindPPT, sanitize.KindEncryptedOffice},
	"docx": {sanitize.KindDOCX, sanitize.KindEncryptedOffice},
	"docm": {sanitize.KindDOCM, sanitize.KindEncryptedOffice},
	"dotx": {sanitize.KindDOTX, sanitize.KindEncryptedOffice},
	"dotm": {sanitize.KindDOTM, sanitize.KindEncryptedOffice},
	"xlsx": {sanitize.KindXLSX, sanitize.KindEncryptedOffice},
	"xlsm": {sanitize.KindXLSM, sanitize.KindEncryptedOffice},
	"xltx": {sanitize.KindXLTX, sanitize.KindEncryptedOffice},
	"xltm": {sanitize.KindXLTM, sanitize.KindEncryptedOffice},
	"xlsb": {sanitize.KindXLSB, sanitize.KindEncryptedOffice},
	"pptx": {sanitize.KindPPTX, sanitize.KindEncryptedOffice},
	"pptm": {sanitize.KindPPTM, sanitize.KindEncryptedOffice},
	"ppsx": {sanitize.KindPPSX, sanitize.KindEncryptedOffice},
	"ppsm": {sanitize.KindPPSM, sanitize.KindEncryptedOffice},
	"potx": {sanitize.KindPOTX, sanitize.KindEncryptedOffice},
	"potm": {sanitize.KindPOTM, sanitize.KindEncryptedOffice},
	"odt":  {sanitize.KindODF, sanitize.KindEncryptedOffice},
	"ods":  {sanitize.KindODF, sanitize.KindEncryptedOffice},
	"odp":  {sanitize.KindODF, sanitize.KindEncryptedOffice},
	"jtd":  {sanitize.KindJTD},
	"jtdc": {sanitize.KindJTDC},
	"xdw":  {sanitize.KindXDW},
	"msg":  {sanitize.KindMSG},
	"zip":  {sanitize.KindZIP, sanitize.KindEncryptedZIP},
	"7z":   {sanitize.Kind7z, sanitize.KindEncrypted7z},
	"rar":  {sanitize.KindRAR, sanitize.KindEncryptedRAR},
	"lzh":  {sanitize.KindLZH},
	"cab":  {sanitize.KindCAB},
	"tar":  {sanitize.KindTAR},
	"gz":   {sanitize.KindGZ},
	"ics":  {sanitize.KindICS},
	"vcf":  {sanitize.KindVCF},
	"xml":  {sanitize.KindXML, sanitize.KindFlatOPC, sanitize.KindWordML},
	"mp3":  {sanitize.KindAudio},
	"wav":  {sanitize.KindAudio},
	"mp4":  {sanitize.KindVideo},
	"dxf":  {sanitize.KindDXF},
	"dwg":  {sanitize.KindDWG},
	"jww":  {sanitize.KindJWW},
	"sfc":  {sanitize.KindSFC},
	"p21":  {sanitize.KindP21},
}
