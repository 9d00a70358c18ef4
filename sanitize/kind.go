package sanitize

import (
	"slices"
	"strings"

	"sekisho/internal/header"
)

// Kind is what detection found a file to be, by its content. A name can only
// turn a kind into one that is kept back ("script", "executable"), never into
// one that is treated.
type Kind string

// Class is a family of kinds that a profile has one rule for, and the class
// under which a message or part is held.
type Class string

// Classes of files, each a key of the profile, then those of whole messages.
const (
	ClassText         Class = "text"
	ClassCSV          Class = "csv"
	ClassHTML         Class = "html"
	ClassImage        Class = "image"
	ClassOffice       Class = "office"
	ClassMessage      Class = "message"
	ClassLegacyOffice Class = "legacy_office"
	ClassPDF          Class = "pdf"
	ClassArchive      Class = "archive"
	ClassCalendar     Class = "calendar"
	ClassExecutable   Class = "executable"
	ClassEncrypted    Class = "encrypted"
	ClassIchitaro     Class = "ichitaro"
	ClassUnknown      Class = "unknown"

	// ClassBody is the text of the mail itself, which always arrives: a rule of
	// Rebuild writes HTML from its HTML, no rule writes text.
	ClassBody Class = "body"

	ClassAmbiguous Class = "ambiguous" // two readers could see two messages
	ClassLimit     Class = "limit"     // more than one message may spend
	ClassFailed    Class = "failed"    // treatment failed twice
	ClassSpoofed   Class = "spoofed"   // the sender is not who he says
	ClassMalware   Class = "malware"   // a scanner found malware
	ClassSpam      Class = "spam"      // a scanner calls it spam
	ClassUnscanned Class = "unscanned" // a scanner did not answer
	ClassTampered  Class = "tampered"  // a seal does not match
	ClassPoison    Class = "poison"    // the daemon died with it in hand, too often
)

// The kinds that detection tells apart.
const (
	KindText    Kind = "text"
	KindCSV     Kind = "csv"
	KindTSV     Kind = "tsv"
	KindHTML    Kind = "html"
	KindMessage Kind = "message"

	KindPNG   Kind = "png"
	KindJPEG  Kind = "jpeg"
	KindGIF   Kind = "gif"
	KindBMP   Kind = "bmp"
	KindTIFF  Kind = "tiff"
	KindPCX   Kind = "pcx"
	KindTGA   Kind = "tga"
	KindPNM   Kind = "pnm" // PBM, PGM, PPM and PAM
	KindJXL   Kind = "jxl"
	KindWebP  Kind = "webp"
	KindHEIC  Kind = "heic"
	KindAVIF  Kind = "avif"
	KindICO   Kind = "ico"
	KindSVG   Kind = "svg"
	KindEMF   Kind = "emf"
	KindWMF   Kind = "wmf"
	KindPSD   Kind = "psd"
	KindJP2   Kind = "jp2"
	KindEPS   Kind = "eps"
	KindDICOM Kind = "dicom"

	KindDOCX    Kind = "docx"
	KindDOCM    Kind = "docm"
	KindDOTX    Kind = "dotx"
	KindDOTM    Kind = "dotm"
	KindXLSX    Kind = "xlsx"
	KindXLSM    Kind = "xlsm"
	KindXLTX    Kind = "xltx"
	KindXLTM    Kind = "xltm"
	KindXLAM    Kind = "xlam"
	KindXLSB    Kind = "xlsb"
	KindPPTX    Kind = "pptx"
	KindPPTM    Kind = "pptm"
	KindPPSX    Kind = "ppsx"
	KindPPSM    Kind = "ppsm"
	KindPOTX    Kind = "potx"
	KindPOTM    Kind = "potm"
	KindPPAM    Kind = "ppam"
	KindVSDX    Kind = "vsdx"
	KindVSDM    Kind = "vsdm"
	KindVSTX    Kind = "vstx"
	KindVSTM    Kind = "vstm"
	KindVSSX    Kind = "vssx"
	KindVSSM    Kind = "vssm"
	KindOPC     Kind = "opc" // another package of parts (XPS, 3MF ...)
	KindFlatOPC Kind = "flat-opc"
	KindWordML  Kind = "word-2003-xml"
	KindODF     Kind = "odf" // an OpenDocument of none of the kinds below
	KindODT     Kind = "odt"
	KindODS     Kind = "ods"
	KindODP     Kind = "odp"
	KindODG     Kind = "odg"
	KindOTT     Kind = "ott"
	KindOTS     Kind = "ots"
	KindOTP     Kind = "otp"
	KindOTG     Kind = "otg"
	KindFODT    Kind = "fodt"
	KindFODS    Kind = "fods"
	KindFODP    Kind = "fodp"
	KindFODG    Kind = "fodg"

	KindODFormula Kind = "odf-formula"

	KindDOC  Kind = "doc"
	KindXLS  Kind = "xls"
	KindPPT  Kind = "ppt"
	KindRTF  Kind = "rtf"
	KindMSG  Kind = "msg"
	KindTNEF Kind = "tnef"

	// KindOpened is what is left of a wrapper whose files stand beside it: nothing.
	KindOpened Kind = "opened"
	KindCFB    Kind = "cfb" // a compound file of no known application
	KindVSD    Kind = "vsd"
	KindPUB    Kind = "pub"
	KindMDB    Kind = "mdb"
	KindJTD    Kind = "jtd"
	KindJTDC   Kind = "jtdc"
	KindJHD    Kind = "jhd" // Hanako
	KindJSD    Kind = "jsd" // Sanshiro
	KindJAW    Kind = "jaw" // Ichitaro before version 8
	// KindJustSystems is a document of another program of the makers of Ichitaro.
	KindJustSystems Kind = "justsystems"
	KindHWP         Kind = "hwp"
	KindXDW         Kind = "xdw"
	KindONE         Kind = "onenote"
	KindSLK         Kind = "slk"

	KindPDF Kind = "pdf"
	KindXPS Kind = "xps"
	KindPS  Kind = "postscript"

	KindZIP  Kind = "zip"
	Kind7z   Kind = "7z"
	KindRAR  Kind = "rar"
	KindLZH  Kind = "lzh"
	KindCAB  Kind = "cab"
	KindTAR  Kind = "tar"
	KindGZ   Kind = "gzip"
	KindBZ2  Kind = "bzip2"
	KindXZ   Kind = "xz"
	KindZSTD Kind = "zstd"
	KindZ    Kind = "compress"
	KindARJ  Kind = "arj"
	KindACE  Kind = "ace"
	KindISO  Kind = "iso"
	KindVHD  Kind = "vhd"
	KindEGG  Kind = "egg"

	KindICS Kind = "ics"
	KindVCF Kind = "vcf"

	KindExecutable Kind = "executable"
	KindScript     Kind = "script"
	KindShortcut   Kind = "shortcut"
	KindJAR        Kind = "jar"
	KindCHM        Kind = "chm"
	KindSWF        Kind = "swf"

	KindEncryptedOffice Kind = "encrypted-office"
	KindEncryptedZIP    Kind = "encrypted-zip"
	KindEncryptedPDF    Kind = "encrypted-pdf"
	KindEncrypted7z     Kind = "encrypted-7z"
	KindEncryptedRAR    Kind = "encrypted-rar"
	KindPGP             Kind = "pgp"
	KindSMIME           Kind = "smime"

	KindXML      Kind = "xml"
	KindAudio    Kind = "audio"
	KindVideo    Kind = "video"
	KindFont     Kind = "font"
	KindDWG      Kind = "dwg"
	KindDXF      Kind = "dxf"
	KindJWW      Kind = "jww"
	KindSFC      Kind = "sfc"
	KindP21      Kind = "p21"
	KindEmpty    Kind = "empty"
	KindPolyglot Kind = "polyglot" // two kinds at once
	KindUnknown  Kind = "unknown"
)

// KindFacts is what the gateway says of a kind.
type KindFacts struct {
	Class Class
	Ext   string // with its dot; the one extension an output of this kind has
	Media string
	JA    string
	EN    string
}

// kinds is the one table of kinds. A kind that is not in it is unknown.
var kinds = map[Kind]KindFacts{
	KindText:    {ClassText, ".txt", "text/plain", "テキスト", "text"},
	KindCSV:     {ClassCSV, ".csv", "text/csv", "CSV", "CSV"},
	KindTSV:     {ClassCSV, ".tsv", "text/tab-separated-values", "タブ区切りテキスト", "tab-separated text"},
	KindHTML:    {ClassHTML, ".html", "text/html", "HTML 文書", "HTML"},
	KindMessage: {ClassMessage, ".eml", "message/rfc822", "メール", "mail"},
	KindEmpty:   {ClassText, ".txt", "text/plain", "空のファイル", "empty file"},

	KindPNG:   {ClassImage, ".png", "image/png", "PNG 画像", "PNG picture"},
	KindJPEG:  {ClassImage, ".jpg", "image/jpeg", "JPEG 画像", "JPEG picture"},
	KindGIF:   {ClassImage, ".gif", "image/gif", "GIF 画像", "GIF picture"},
	KindBMP:   {ClassImage, ".bmp", "image/bmp", "BMP 画像", "BMP picture"},
	KindTIFF:  {ClassImage, ".tif", "image/tiff", "TIFF 画像", "TIFF picture"},
	KindPCX:   {ClassImage, ".pcx", "image/vnd.zbrush.pcx", "PCX 画像", "PCX picture"},
	KindTGA:   {ClassImage, ".tga", "image/x-tga", "TGA 画像", "TGA picture"},
	KindPNM:   {ClassImage, ".pnm", "image/x-portable-anymap", "PNM 画像", "PNM picture"},
	KindJXL:   {ClassImage, ".jxl", "image/jxl", "JPEG XL 画像", "JPEG XL picture"},
	KindWebP:  {ClassImage, ".webp", "image/webp", "WebP 画像", "WebP picture"},
	KindHEIC:  {ClassImage, ".heic", "image/heic", "HEIC 画像", "HEIC picture"},
	KindAVIF:  {ClassImage, ".avif", "image/avif", "AVIF 画像", "AVIF picture"},
	KindICO:   {ClassImage, ".ico", "image/x-icon", "アイコン", "icon"},
	KindSVG:   {ClassImage, ".svg", "image/svg+xml", "SVG 画像", "SVG picture"},
	KindEMF:   {ClassImage, ".emf", "image/emf", "EMF 図形", "EMF drawing"},
	KindWMF:   {ClassImage, ".wmf", "image/wmf", "WMF 図形", "WMF drawing"},
	KindPSD:   {ClassImage, ".psd", "image/vnd.adobe.photoshop", "Photoshop 画像", "Photoshop picture"},
	KindJP2:   {ClassImage, ".jp2", "image/jp2", "JPEG 2000 画像", "JPEG 2000 picture"},
	KindEPS:   {ClassImage, ".eps", "application/postscript", "EPS", "EPS"},
	KindDICOM: {ClassImage, ".dcm", "application/dicom", "DICOM 画像", "DICOM picture"},

	KindDOCX:    {ClassOffice, ".docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document", "Word 文書", "Word document"},
	KindDOCM:    {ClassOffice, ".docm", "application/vnd.ms-word.document.macroEnabled.12", "マクロ付き Word 文書", "Word document with macros"},
	KindDOTX:    {ClassOffice, ".dotx", "application/vnd.openxmlformats-officedocument.wordprocessingml.template", "Word テンプレート", "Word template"},
	KindDOTM:    {ClassOffice, ".dotm", "application/vnd.ms-word.template.macroEnabled.12", "マクロ付き Word テンプレート", "Word template with macros"},
	KindXLSX:    {ClassOffice, ".xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "Excel ブック", "Excel workbook"},
	KindXLSM:    {ClassOffice, ".xlsm", "application/vnd.ms-excel.sheet.macroEnabled.12", "マクロ付き Excel ブック", "Excel workbook with macros"},
	KindXLTX:    {ClassOffice, ".xltx", "application/vnd.openxmlformats-officedocument.spreadsheetml.template", "Excel テンプレート", "Excel template"},
	KindXLTM:    {ClassOffice, ".xltm", "application/vnd.ms-excel.template.macroEnabled.12", "マクロ付き Excel テンプレート", "Excel template with macros"},
	KindXLAM:    {ClassExecutable, ".xlam", "application/vnd.ms-excel.addin.macroEnabled.12", "Excel アドイン", "Excel add-in"},
	KindXLSB:    {ClassOffice, ".xlsb", "application/vnd.ms-excel.sheet.binary.macroEnabled.12", "Excel バイナリブック", "binary Excel workbook"},
	KindPPTX:    {ClassOffice, ".pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation", "PowerPoint プレゼンテーション", "PowerPoint presentation"},
	KindPPTM:    {ClassOffice, ".pptm", "application/vnd.ms-powerpoint.presentation.macroEnabled.12", "マクロ付き PowerPoint", "PowerPoint presentation with macros"},
	KindPPSX:    {ClassOffice, ".ppsx", "application/vnd.openxmlformats-officedocument.presentationml.slideshow", "PowerPoint スライドショー", "PowerPoint slide show"},
	KindPPSM:    {ClassOffice, ".ppsm", "application/vnd.ms-powerpoint.slideshow.macroEnabled.12", "マクロ付きスライドショー", "PowerPoint slide show with macros"},
	KindPOTX:    {ClassOffice, ".potx", "application/vnd.openxmlformats-officedocument.presentationml.template", "PowerPoint テンプレート", "PowerPoint template"},
	KindPOTM:    {ClassOffice, ".potm", "application/vnd.ms-powerpoint.template.macroEnabled.12", "マクロ付き PowerPoint テンプレート", "PowerPoint template with macros"},
	KindPPAM:    {ClassExecutable, ".ppam", "application/vnd.ms-powerpoint.addin.macroEnabled.12", "PowerPoint アドイン", "PowerPoint add-in"},
	KindVSDX:    {ClassOffice, ".vsdx", "application/vnd.ms-visio.drawing", "Visio 図面", "Visio drawing"},
	KindVSDM:    {ClassOffice, ".vsdm", "application/vnd.ms-visio.drawing.macroEnabled.12", "マクロ付き Visio 図面", "Visio drawing with macros"},
	KindVSTX:    {ClassOffice, ".vstx", "application/vnd.ms-visio.template", "Visio テンプレート", "Visio template"},
	KindVSTM:    {ClassOffice, ".vstm", "application/vnd.ms-visio.template.macroEnabled.12", "マクロ付き Visio テンプレート", "Visio template with macros"},
	KindVSSX:    {ClassOffice, ".vssx", "application/vnd.ms-visio.stencil", "Visio ステンシル", "Visio stencil"},
	KindVSSM:    {ClassOffice, ".vssm", "application/vnd.ms-visio.stencil.macroEnabled.12", "マクロ付き Visio ステンシル", "Visio stencil with macros"},
	KindOPC:     {ClassUnknown, ".opc", "application/octet-stream", "OPC パッケージ", "OPC package"},
	KindXPS:     {ClassUnknown, ".xps", "application/vnd.ms-xpsdocument", "XPS 文書", "XPS document"},
	KindFlatOPC: {ClassOffice, ".xml", "application/xml", "単一 XML 形式の Office 文書", "Office document as one XML file"},
	KindWordML:  {ClassLegacyOffice, ".xml", "application/xml", "Office 2003 XML 文書", "Office 2003 XML document"},
	KindODF:     {ClassOffice, ".odf", "application/vnd.oasis.opendocument", "OpenDocument ファイル", "OpenDocument file"},
	KindODT:     {ClassOffice, ".odt", "application/vnd.oasis.opendocument.text", "OpenDocument 文書", "OpenDocument text"},
	KindODS:     {ClassOffice, ".ods", "application/vnd.oasis.opendocument.spreadsheet", "OpenDocument 表計算", "OpenDocument spreadsheet"},
	KindODP:     {ClassOffice, ".odp", "application/vnd.oasis.opendocument.presentation", "OpenDocument プレゼンテーション", "OpenDocument presentation"},
	KindODG:     {ClassOffice, ".odg", "application/vnd.oasis.opendocument.graphics", "OpenDocument 図形", "OpenDocument drawing"},
	KindOTT:     {ClassOffice, ".ott", "application/vnd.oasis.opendocument.text-template", "OpenDocument 文書テンプレート", "OpenDocument text template"},
	KindOTS:     {ClassOffice, ".ots", "application/vnd.oasis.opendocument.spreadsheet-template", "OpenDocument 表計算テンプレート", "OpenDocument spreadsheet template"},
	KindOTP:     {ClassOffice, ".otp", "application/vnd.oasis.opendocument.presentation-template", "OpenDocument プレゼンテーションテンプレート", "OpenDocument presentation template"},
	KindOTG:     {ClassOffice, ".otg", "application/vnd.oasis.opendocument.graphics-template", "OpenDocument 図形テンプレート", "OpenDocument drawing template"},
	KindFODT:    {ClassOffice, ".fodt", "application/vnd.oasis.opendocument.text-flat-xml", "単一 XML の OpenDocument 文書", "OpenDocument text in one XML file"},
	KindFODS:    {ClassOffice, ".fods", "application/vnd.oasis.opendocument.spreadsheet-flat-xml", "単一 XML の OpenDocument 表計算", "OpenDocument spreadsheet in one XML file"},
	KindFODP:    {ClassOffice, ".fodp", "application/vnd.oasis.opendocument.presentation-flat-xml", "単一 XML の OpenDocument プレゼンテーション", "OpenDocument presentation in one XML file"},
	KindFODG:    {ClassOffice, ".fodg", "application/vnd.oasis.opendocument.graphics-flat-xml", "単一 XML の OpenDocument 図形", "OpenDocument drawing in one XML file"},

	KindODFormula: {ClassOffice, ".odf", "application/vnd.oasis.opendocument.formula", "OpenDocument 数式", "OpenDocument formula"},

	KindDOC:         {ClassLegacyOffice, ".doc", "application/msword", "Word 97-2003 文書", "Word 97-2003 document"},
	KindXLS:         {ClassLegacyOffice, ".xls", "application/vnd.ms-excel", "Excel 97-2003 ブック", "Excel 97-2003 workbook"},
	KindPPT:         {ClassLegacyOffice, ".ppt", "application/vnd.ms-powerpoint", "PowerPoint 97-2003", "PowerPoint 97-2003 presentation"},
	KindRTF:         {ClassLegacyOffice, ".rtf", "application/rtf", "リッチテキスト", "rich text"},
	KindMSG:         {ClassMessage, ".msg", "application/vnd.ms-outlook", "Outlook メッセージ", "Outlook message"},
	KindOpened:      {ClassMessage, "", "", "開封済み", "opened"},
	KindTNEF:        {ClassMessage, ".dat", "application/ms-tnef", "winmail.dat", "winmail.dat"},
	KindCFB:         {ClassUnknown, ".bin", "application/octet-stream", "OLE 複合ファイル", "OLE compound file"},
	KindVSD:         {ClassUnknown, ".vsd", "application/vnd.visio", "Visio 図面", "Visio drawing"},
	KindPUB:         {ClassUnknown, ".pub", "application/x-mspublisher", "Publisher 文書", "Publisher document"},
	KindMDB:         {ClassExecutable, ".mdb", "application/x-msaccess", "Access データベース", "Access database"},
	KindJTD:         {ClassIchitaro, ".jtd", "application/x-js-taro", "一太郎文書", "Ichitaro document"},
	KindJTDC:        {ClassIchitaro, ".jtdc", "application/x-js-taro", "圧縮一太郎文書", "compressed Ichitaro document"},
	KindJHD:         {ClassUnknown, ".jhd", "application/octet-stream", "花子の図面", "Hanako drawing"},
	KindJSD:         {ClassUnknown, ".jsd", "application/octet-stream", "三四郎の表", "Sanshiro spreadsheet"},
	KindJAW:         {ClassUnknown, ".jaw", "application/octet-stream", "旧版の一太郎文書", "old Ichitaro document"},
	KindJustSystems: {ClassUnknown, ".bin", "application/octet-stream", "ジャストシステムの文書（花子・三四郎など）", "JustSystems document (Hanako, Sanshiro ...)"},
	KindHWP:         {ClassUnknown, ".hwp", "application/x-hwp", "HWP 文書", "Hangul document"},
	KindXDW:         {ClassUnknown, ".xdw", "application/vnd.fujixerox.docuworks", "DocuWorks 文書", "DocuWorks document"},
	KindONE:         {ClassExecutable, ".one", "application/onenote", "OneNote ノート", "OneNote section"},
	KindSLK:         {ClassExecutable, ".slk", "application/x-sylk", "SYLK ファイル", "SYLK file"},

	KindPDF: {ClassPDF, ".pdf", "application/pdf", "PDF 文書", "PDF document"},
	KindPS:  {ClassUnknown, ".ps", "application/postscript", "PostScript", "PostScript"},

	KindZIP:  {ClassArchive, ".zip", "application/zip", "ZIP 書庫", "ZIP archive"},
	Kind7z:   {ClassArchive, ".7z", "application/x-7z-compressed", "7z 書庫", "7z archive"},
	KindRAR:  {ClassArchive, ".rar", "application/vnd.rar", "RAR 書庫", "RAR archive"},
	KindLZH:  {ClassArchive, ".lzh", "application/x-lzh-compressed", "LZH 書庫", "LZH archive"},
	KindCAB:  {ClassArchive, ".cab", "application/vnd.ms-cab-compressed", "CAB 書庫", "CAB archive"},
	KindTAR:  {ClassArchive, ".tar", "application/x-tar", "tar 書庫", "tar archive"},
	KindGZ:   {ClassArchive, ".gz", "application/gzip", "gzip 圧縮ファイル", "gzip file"},
	KindBZ2:  {ClassArchive, ".bz2", "application/x-bzip2", "bzip2 圧縮ファイル", "bzip2 file"},
	KindXZ:   {ClassArchive, ".xz", "application/x-xz", "xz 圧縮ファイル", "xz file"},
	KindZSTD: {ClassArchive, ".zst", "application/zstd", "zstd 圧縮ファイル", "zstd file"},
	KindZ:    {ClassArchive, ".Z", "application/x-compress", "compress 圧縮ファイル", "compress file"},
	KindARJ:  {ClassArchive, ".arj", "application/x-arj", "ARJ 書庫", "ARJ archive"},
	KindACE:  {ClassArchive, ".ace", "application/x-ace-compressed", "ACE 書庫", "ACE archive"},
	KindEGG:  {ClassArchive, ".egg", "application/octet-stream", "EGG/ALZ 書庫", "EGG or ALZ archive"},
	KindISO:  {ClassExecutable, ".iso", "application/x-iso9660-image", "ディスクイメージ", "disk image"},
	KindVHD:  {ClassExecutable, ".vhd", "application/octet-stream", "仮想ディスク", "virtual disk"},

	KindICS: {ClassCalendar, ".ics", "text/calendar", "予定", "calendar entry"},
	KindVCF: {ClassCalendar, ".vcf", "text/vcard", "連絡先", "contact card"},

	KindExecutable: {ClassExecutable, ".exe", "application/octet-stream", "実行形式ファイル", "program"},
	KindScript:     {ClassExecutable, ".txt", "application/octet-stream", "スクリプトまたは設定ファイル", "script or settings file"},
	KindShortcut:   {ClassExecutable, ".lnk", "application/octet-stream", "ショートカット", "shortcut"},
	KindJAR:        {ClassExecutable, ".jar", "application/java-archive", "Java プログラム", "Java program"},
	KindCHM:        {ClassExecutable, ".chm", "application/vnd.ms-htmlhelp", "HTML ヘルプ", "compiled help"},
	KindSWF:        {ClassExecutable, ".swf", "application/x-shockwave-flash", "Flash", "Flash"},

	KindEncryptedOffice: {ClassEncrypted, ".bin", "application/octet-stream", "パスワード付き Office 文書", "password-protected Office document"},
	KindEncryptedZIP:    {ClassEncrypted, ".zip", "application/zip", "パスワード付き ZIP", "password-protected ZIP"},
	KindEncryptedPDF:    {ClassEncrypted, ".pdf", "application/pdf", "パスワード付き PDF", "password-protected PDF"},
	KindEncrypted7z:     {ClassEncrypted, ".7z", "application/x-7z-compressed", "パスワード付き 7z", "password-protected 7z"},
	KindEncryptedRAR:    {ClassEncrypted, ".rar", "application/vnd.rar", "パスワード付き RAR", "password-protected RAR"},
	KindPGP:             {ClassEncrypted, ".asc", "application/pgp-encrypted", "PGP 暗号文", "PGP-encrypted data"},
	KindSMIME:           {ClassEncrypted, ".p7m", "application/pkcs7-mime", "S/MIME データ", "S/MIME data"},

	KindXML:      {ClassUnknown, ".xml", "application/xml", "XML", "XML"},
	KindAudio:    {ClassUnknown, ".bin", "application/octet-stream", "音声", "sound"},
	KindVideo:    {ClassUnknown, ".bin", "application/octet-stream", "動画", "video"},
	KindFont:     {ClassUnknown, ".bin", "application/octet-stream", "フォント", "font"},
	KindDWG:      {ClassUnknown, ".dwg", "image/vnd.dwg", "AutoCAD 図面 (DWG)", "AutoCAD drawing (DWG)"},
	KindDXF:      {ClassUnknown, ".dxf", "image/vnd.dxf", "CAD 図面 (DXF)", "CAD drawing (DXF)"},
	KindJWW:      {ClassUnknown, ".jww", "application/octet-stream", "Jw_cad 図面", "Jw_cad drawing"},
	KindSFC:      {ClassUnknown, ".sfc", "application/octet-stream", "SXF 図面 (SFC)", "SXF drawing (SFC)"},
	KindP21:      {ClassUnknown, ".p21", "application/octet-stream", "SXF 図面 (P21)", "SXF drawing (P21)"},
	KindPolyglot: {ClassUnknown, ".bin", "application/octet-stream", "二つの形式を兼ねるファイル", "file of two kinds at once"},
	KindUnknown:  {ClassUnknown, ".bin", "application/octet-stream", "不明な形式", "unknown kind"},
}

// Facts returns what is said of k; of a kind that is not in the table, what is
// said of the unknown.
func (k Kind) Facts() KindFacts {
	if f, ok := kinds[k]; ok {
		return f
	}
	return kinds[KindUnknown]
}

// Class returns the class whose rule applies to k.
func (k Kind) Class() Class { return k.Facts().Class }

// Extensions returns the extensions that a file of kind k may keep; the first
// is the one it is given when its own is none of them.
func (k Kind) Extensions() []string {
	switch k {
	case KindText:
		return []string{".txt", ".text", ".log", ".md"}
	case KindJPEG:
		return []string{".jpg", ".jpeg", ".jpe", ".jfif"}
	case KindTIFF:
		return []string{".tif", ".tiff"}
	case KindHTML:
		return []string{".html", ".htm"}
	case KindTSV:
		return []string{".tsv", ".tab"}
	case KindDOC:
		return []string{".doc", ".dot"} // a template says so itself
	case KindPPT:
		return []string{".ppt", ".pps", ".pot"} // one format; the name says how it opens
	case KindXLS:
		return []string{".xls", ".xlt"}
	case KindJTD:
		return []string{".jtd", ".jtt"}
	default:
		return []string{k.Facts().Ext}
	}
}

// FileName is the name a file of kind k goes out with: cleaned, bounded, with
// one extension that is of its kind.
func (k Kind) FileName(name string) string {
	ext := k.Extensions()[0]
	written := ""
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		if own := strings.ToLower(name[i:]); slices.Contains(k.Extensions(), own) && len(own) == len(name[i:]) {
			ext, written = own, name[i:]
		}
	}
	clean := header.CleanName(name, ext)
	if stem, ok := strings.CutSuffix(clean, ext); ok && written != "" {
		// IMG_0001.JPG is what the camera called it; no type has changed.
		return stem + written
	}
	return clean
}
