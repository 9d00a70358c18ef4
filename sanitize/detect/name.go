package detect

import (
	"slices"
	"sync"

	"sekisho/internal/header"
	"sekisho/sanitize"
)

// dangerousName says what kind of danger a name announces.
func dangerousName(name string) (sanitize.Kind, bool) {
	class, ok := header.Dangerous(name)
	if !ok {
		return "", false
	}
	switch class {
	case header.Script, header.Settings:
		return sanitize.KindScript, true
	case header.Shortcut:
		return sanitize.KindShortcut, true
	default:
		return sanitize.KindExecutable, true
	}
}

// memberNames are names of members whose content cannot be seen, in archives
// that are encrypted or not opened here. Of what can be seen the content
// speaks.
var memberNames = sync.OnceValue(func() map[string]sanitize.Kind {
	return map[string]sanitize.Kind{
		"iso": sanitize.KindISO, "udf": sanitize.KindISO,
		"vhd": sanitize.KindVHD, "vhdx": sanitize.KindVHD, "wim": sanitize.KindVHD, "vmdk": sanitize.KindVHD,
		"one": sanitize.KindONE, "onepkg": sanitize.KindONE, "mdb": sanitize.KindMDB, "accdb": sanitize.KindMDB,
	}
})

// undocumented are formats of which nobody outside their maker knows a mark.
// The name is evidence enough for a notice, since they are kept back as unknown
// otherwise.
var undocumented = map[string]sanitize.Kind{
	"jhd": sanitize.KindJHD, "jsd": sanitize.KindJSD,
	"jsw": sanitize.KindJAW, "jaw": sanitize.KindJAW, "jbw": sanitize.KindJAW, "jfw": sanitize.KindJAW, "juw": sanitize.KindJAW,
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
	if d.Kind == sanitize.KindCFB || d.Kind == sanitize.KindJustSystems || d.Kind == sanitize.KindUnknown {
		for _, n := range f.names() {
			if k, ok := undocumented[extension(n)]; ok {
				d.Kind = k
				break
			}
		}
	}
	for _, n := range f.names() {
		if want, ok := expected()[extension(n)]; ok && !slices.Contains(want, d.Kind) && d.Kind != sanitize.KindEmpty {
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
var expected = sync.OnceValue(func() map[string][]sanitize.Kind {
	return map[string][]sanitize.Kind{
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
		"pcx":  {sanitize.KindPCX},
		"tga":  {sanitize.KindTGA},
		"pbm":  {sanitize.KindPNM},
		"pgm":  {sanitize.KindPNM},
		"ppm":  {sanitize.KindPNM},
		"pnm":  {sanitize.KindPNM},
		"jxl":  {sanitize.KindJXL},
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
		"pot":  {sanitize.KindPPT, sanitize.KindEncryptedOffice},
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
		"vsdx": {sanitize.KindVSDX, sanitize.KindEncryptedOffice},
		"vsdm": {sanitize.KindVSDM, sanitize.KindEncryptedOffice},
		"vstx": {sanitize.KindVSTX, sanitize.KindEncryptedOffice},
		"vstm": {sanitize.KindVSTM, sanitize.KindEncryptedOffice},
		"vssx": {sanitize.KindVSSX, sanitize.KindEncryptedOffice},
		"vssm": {sanitize.KindVSSM, sanitize.KindEncryptedOffice},
		"odt":  {sanitize.KindODT, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"ods":  {sanitize.KindODS, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"odp":  {sanitize.KindODP, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"odg":  {sanitize.KindODG, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"ott":  {sanitize.KindOTT, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"ots":  {sanitize.KindOTS, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"otp":  {sanitize.KindOTP, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"otg":  {sanitize.KindOTG, sanitize.KindODF, sanitize.KindEncryptedOffice},
		"fodt": {sanitize.KindFODT, sanitize.KindODF},
		"fods": {sanitize.KindFODS, sanitize.KindODF},
		"fodp": {sanitize.KindFODP, sanitize.KindODF},
		"fodg": {sanitize.KindFODG, sanitize.KindODF},
		"jtd":  {sanitize.KindJTD},
		"jtt":  {sanitize.KindJTD},
		"jtdc": {sanitize.KindJTDC},
		"jttc": {sanitize.KindJTDC},
		"xdw":  {sanitize.KindXDW},
		"xbd":  {sanitize.KindXDW},
		"one":  {sanitize.KindONE},
		"pub":  {sanitize.KindPUB},
		"vsd":  {sanitize.KindVSD},
		"hwp":  {sanitize.KindHWP},
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
})
