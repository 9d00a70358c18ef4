package worker

import (
	"fmt"
	"os"
	"strings"
	"time"

	"sekisho/internal/sandbox"
	"sekisho/sanitize"
)

// tool is one run of an external program.
type tool struct {
	name   string // by which Tools.Programs replaces it
	path   string
	in     string // the name its input has
	args   []string
	env    []string
	files  map[string]string
	out    string // the file it leaves; "": its standard output
	outs   int    // the number of files it leaves, in place of both
	stream bool   // the output is passed on as it comes, and kept nowhere
	silent bool   // nothing comes back but how it ended
	exits  []int  // statuses that can go with an output; none proves one
	output int64  // how long that may be
	cpu    time.Duration
	wide   bool          // it has many threads
	turn   []string      // what a spare is told, without the document
	binds  []string      // what it sees of the host beside the system
	limit  time.Duration // of one run, where it is shorter than that of all
}

const (
	megabyte = 1 << 20
	// What a run may write, limits.md: 256 MiB carry LibreOffice.
	maxToolFile = 256 * megabyte
	// Pages are passed on as they are drawn: all pixels of a message in colour.
	maxPixels = 3 << 29
)

// programOf says how a call is run. It refuses what is not in the table, and
// numbers that are out of their bounds.
func programOf(c sanitize.ToolCall, hooks ...sanitize.Converter) (tool, bool) {
	if (c.Tool == sanitize.HookToPDF) != (c.Hook != 0) {
		return tool{}, false
	}
	pages := c.First >= 1 && c.Last >= c.First && c.Last <= 500 // limits.md, pages
	none := c.First == 0 && c.Last == 0
	plain := c.DPI == 0 && c.Longest == 0 && c.Grey == 0 && c.Of == 0
	from, to := fmt.Sprint(c.First), fmt.Sprint(c.Last)
	switch c.Tool {
	case sanitize.OfficeToDOCX:
		return office(c, "docx", "docx:MS Word 2007 XML"), none && plain && sources[c.Source].ext != ""
	case sanitize.OfficeToXLSX:
		return office(c, "xlsx", "xlsx:Calc MS Excel 2007 XML"), none && plain && sources[c.Source].ext != ""
	case sanitize.OfficeToPPTX:
		return office(c, "pptx", "pptx:Impress MS PowerPoint 2007 XML"), none && plain && sources[c.Source].ext != ""
	case sanitize.OfficeToPDF:
		return office(c, "pdf", "pdf"), none && plain && sources[c.Source].ext != ""
	case sanitize.QPDFPlain:
		t := qpdf("--object-streams=disable", "--stream-data=uncompress", "--decode-level=generalized", "--warning-exit-0", "in.pdf", "-")
		return t, none && plain && c.Source == 0
	case sanitize.QPDFCheck:
		// What --check does, but for two things: it writes the file to nowhere, every
		// stream unpacked and every JPEG decoded, and looks at the tree of pages;
		// --check packs all that with zlib once more, which is three quarters of its
		// time where there are photographs, and reads the programs of the pages, which
		// the second look does. What only one of them sees: docs/decisions/0025, 0035.
		t := qpdf("--decode-level=all", "--compress-streams=n", "in.pdf", "/dev/null")
		// With warnings is not sound: it is a file of ours.
		t.silent, t.exits = true, []int{0}
		return t, none && plain && c.Source == 0
	case sanitize.PDFPixels:
		args := []string{"-q", "-cropbox", "-f", from, "-l", to}
		switch {
		case c.DPI >= 10 && c.DPI <= 300 && c.Longest == 0:
			args = append(args, "-r", fmt.Sprint(c.DPI))
		case c.Longest >= 10 && c.Longest <= 10000 && c.DPI == 0: // limits.md, pages
			args = append(args, "-scale-to", fmt.Sprint(c.Longest))
		default:
			return tool{}, false
		}
		if c.Grey == 1 {
			args = append(args, "-gray")
		}
		return tool{name: "pdftoppm", path: "/usr/bin/pdftoppm", in: "in.pdf", args: append(args, "in.pdf"), exits: []int{0},
			output: maxPixels, stream: true, cpu: 60 * time.Second}, pages && c.Grey >= 0 && c.Grey <= 1 && c.Source == 0 && (c.Of == 0 || c.Of >= c.Last && c.Of <= 500)
	case sanitize.PDFGreys:
		// Its files can be written to no pipe, so nothing comes of a run before its
		// end. More pages than a sheaf are several runs.
		return tool{name: "pdftocairo", path: "/usr/bin/pdftocairo", in: "in.pdf", outs: min(c.Last-c.First+1, sheaf),
			args:  []string{"-q", "-cropbox", "-tiff", "-tiffcompression", "none", "-gray", "-r", fmt.Sprint(c.DPI), "-f", from, "-l", to, "in.pdf", "out/p"},
			exits: []int{0}, output: maxPixels, stream: true, cpu: 60 * time.Second}, pages && c.DPI >= 10 && c.DPI <= 300 && c.Longest == 0 && c.Grey == 0 && c.Source == 0 && (c.Of == 0 || c.Of >= c.Last && c.Of <= 500)
	case sanitize.PDFLook:
		// At 36 dpi, limits.md, or smaller where a page is very large.
		args := []string{"-q", "-cropbox", "-gray", "-f", from, "-l", to}
		switch {
		case c.DPI == lookDPI && c.Longest == 0:
			args = append(args, "-r", fmt.Sprint(c.DPI))
		case c.Longest >= 10 && c.Longest <= 1000 && c.DPI == 0:
			args = append(args, "-scale-to", fmt.Sprint(c.Longest))
		default:
			return tool{}, false
		}
		return tool{name: "pdftoppm", path: "/usr/bin/pdftoppm", in: "in.pdf", args: append(args, "in.pdf"), exits: []int{0},
			output: maxPixels, stream: true, cpu: 20 * time.Second}, pages && c.Grey == 0 && c.Source == 0 && c.Of == 0
	case sanitize.PDFText, sanitize.PDFWords:
		if c.Tool == sanitize.PDFWords && c.Of >= 0 && c.Of <= 500 {
			plain = c.DPI == 0 && c.Longest == 0 && c.Grey == 0
		}
		args := []string{"-q", "-cropbox", "-enc", "UTF-8", "-f", from, "-l", to}
		if c.Tool == sanitize.PDFWords {
			args = append(args, "-bbox")
		}
		return tool{name: "pdftotext", path: "/usr/bin/pdftotext", in: "in.pdf", args: append(args, "in.pdf", "-"), exits: []int{0},
			output: 64 * megabyte, cpu: 30 * time.Second}, pages && plain && c.Source == 0
	case sanitize.HEIFJPEG:
		// It knows the format by the content. Several pictures would be written
		// under other names, and then there is no output. In quality 95 the photo
		// of a phone weighs twice what it weighed.
		return tool{name: "heif-convert", path: "/usr/bin/heif-convert", in: "in.heic", out: "out.jpg", args: []string{"-q", "90", "/job/in.heic", "/job/out/out.jpg"},
			exits: []int{0}, output: maxToolFile, cpu: 30 * time.Second, wide: true}, none && plain && c.Source == 0
	case sanitize.JP2Pixels:
		return tool{name: "opj_decompress", path: "/usr/bin/opj_decompress", in: "in.j2k", out: "out.pnm",
			args:  []string{"-quiet", "-upsample", "-p", "8S", "-i", "/job/in.j2k", "-o", "/job/out/out.pnm"},
			exits: []int{0}, output: maxToolFile, cpu: 30 * time.Second}, none && plain && c.Source == 0
	case sanitize.JXLPNG:
		// All pictures of an animation come in one file.
		return tool{name: "djxl", path: "/usr/bin/djxl", in: "in.jxl", out: "out.png",
			args:  []string{"/job/in.jxl", "/job/out/out.png", "--quiet", "--num_threads=1"},
			exits: []int{0}, output: maxToolFile, cpu: 30 * time.Second, wide: true}, none && plain && c.Source == 0
	case sanitize.EPSPixels:
		// -dSAFER keeps the program in the file from files; the sandbox has none.
		return tool{name: "gs", path: "/usr/bin/gs", in: "in.eps", out: "out.ppm",
			args: []string{"-q", "-dSAFER", "-dBATCH", "-dNOPAUSE", "-dEPSCrop", "-r" + fmt.Sprint(c.DPI), "-dTextAlphaBits=4", "-dGraphicsAlphaBits=4",
				"-sDEVICE=ppmraw", "-sOutputFile=/job/out/out.ppm", "/job/in.eps"},
			exits: []int{0}, output: maxToolFile, cpu: 20 * time.Second}, none && c.DPI >= 10 && c.DPI <= 300 && c.Longest == 0 && c.Grey == 0 && c.Source == 0
	case sanitize.FontNames:
		return tool{name: "fc-list", path: "/usr/bin/fc-list", in: "in.txt", args: []string{"--format", "%{family}\n%{fullname}\n%{postscriptname}\n"},
			exits: []int{0}, output: megabyte, cpu: 10 * time.Second}, none && plain && c.Source == 0 && c.Size == 0
	case sanitize.HookToPDF:
		if c.Hook < 1 || c.Hook > len(hooks) {
			return tool{}, false
		}
		return converter(hooks[c.Hook-1]), none && plain && c.Source == 0
	default:
		return tool{}, false
	}
}

// lookDPI is what shows whether a page can be drawn.
const lookDPI = 36

// converter runs a command of the administrator's. The name of its input says
// what kind it is, as programs expect; the rest of the command is the
// administrator's own.
func converter(h sanitize.Converter) tool {
	t := tool{name: "converter " + h.Name, path: h.Command[0], in: "in" + h.Kind.Facts().Ext, binds: h.Paths, limit: h.Time,
		exits: []int{0}, output: maxToolFile, cpu: 60 * time.Second, wide: true}
	const made = "in.pdf"
	names := strings.NewReplacer(sanitize.ConverterIn, "/job/"+t.in, sanitize.ConverterOut, "/job/out/"+made, sanitize.ConverterDir, "/job/out")
	for _, a := range h.Command[1:] {
		if strings.Contains(a, sanitize.ConverterOut) || strings.Contains(a, sanitize.ConverterDir) {
			t.out = made
		}
		t.args = append(t.args, names.Replace(a))
	}
	return t
}

func qpdf(args ...string) tool {
	// Status 3 is a result with warnings. A double-Flate file took 40 s.
	return tool{name: "qpdf", path: "/usr/bin/qpdf", in: "in.pdf", args: args, exits: []int{0, 3}, output: maxToolFile, cpu: 20 * time.Second}
}

// sources are the names that a document is given, by which LibreOffice begins
// to look for its parser, and the parser where there is but one: a file that
// says it is RTF shall not be read as a web page.
var sources = map[sanitize.Source]struct{ ext, filter string }{
	sanitize.FromDOC:       {"doc", ""}, // of Word 6, 95 or 97
	sanitize.FromXLS:       {"xls", ""}, // of Excel 5, 95 or 97
	sanitize.FromPPT:       {"ppt", ""},
	sanitize.FromRTF:       {"rtf", "Rich Text Format"},
	sanitize.FromODT:       {"odt", "writer8"},
	sanitize.FromODS:       {"ods", "calc8"},
	sanitize.FromODP:       {"odp", "impress8"},
	sanitize.FromODG:       {"odg", "draw8"},
	sanitize.FromDOCX:      {"docx", "MS Word 2007 XML"},
	sanitize.FromXLSX:      {"xlsx", "Calc MS Excel 2007 XML"},
	sanitize.FromPPTX:      {"pptx", "Impress MS PowerPoint 2007 XML"},
	sanitize.FromXLSB:      {"xlsb", "Calc MS Excel 2007 Binary"},
	sanitize.FromFODT:      {"fodt", "OpenDocument Text Flat XML"},
	sanitize.FromFODS:      {"fods", "OpenDocument Spreadsheet Flat XML"},
	sanitize.FromExcel2003: {"xml", "MS Excel 2003 XML"},
	sanitize.FromWord2003:  {"xml", "MS Word 2003 XML"},
	sanitize.FromFODP:      {"fodp", "OpenDocument Presentation Flat XML"},
	sanitize.FromHTML:      {"html", "HTML (StarWriter)"}, // the other one, of Writer/Web, makes no PDF
	sanitize.FromText:      {"txt", "Text (encoded):UTF8,CRLF,,ja-JP"},
	sanitize.FromCSV:       {"csv", tableFilter(',')},
	sanitize.FromTSV:       {"csv", tableFilter('\t')},

	sanitize.FromExcel2003Again: {"xml", "MS Excel 2003 XML Orcus"},
}

// tableFilter reads a table of text: in quotes of ", UTF-8, from the first line
// on, every column as text, so that 0012 stays 0012, a date what was typed, and
// nothing is computed; Japanese (0x411).
func tableFilter(separator byte) string {
	const columns = 1024 // of a sheet
	var b strings.Builder
	fmt.Fprintf(&b, "Text - txt - csv (StarCalc):%d,34,76,1,", separator)
	for i := range columns {
		if i > 0 {
			b.WriteByte('/')
		}
		fmt.Fprintf(&b, "%d/2", i+1)
	}
	b.WriteString(",1041,false,false,false")
	return b.String()
}

// officeDir is where Debian and Ubuntu have LibreOffice.
const officeDir = "/usr/lib/libreoffice/program"

// officeName is the name by which a site replaces it.
const officeName = "soffice"

// office runs LibreOffice once for one document: its own program, since
// the wrapper would start it again, from a profile in which macros are off,
// nothing is fetched and values are not computed anew. Its exit status proves
// nothing; whoever gets the file looks what it is.
func office(c sanitize.ToolCall, ext, convert string) tool {
	s := sources[c.Source]
	t := officeWaiting()
	t.in, t.out = "in."+s.ext, "in."+ext
	t.turn = []string{"--convert-to", convert, "--outdir", "/job/out"}
	if s.filter != "" {
		t.turn = append(t.turn, "--infilter="+s.filter)
	}
	t.args = append(append(t.args, t.turn...), "/job/"+t.in)
	return t
}

// officeWaiting is LibreOffice without a document.
func officeWaiting() tool {
	return tool{
		name: officeName, path: officeDir + "/soffice.bin", exits: []int{0}, output: maxToolFile, cpu: 60 * time.Second, wide: true,
		env:   []string{"SAL_USE_VCLPLUGIN=svp", "LD_LIBRARY_PATH=" + officeDir, "SAL_DISABLE_OPENCL=1", "OOO_FORCE_DESKTOP=none"},
		args:  []string{"-env:UserInstallation=file:///job/profile", "--headless", "--nologo", "--nodefault", "--norestore", "--nolockcheck"},
		files: map[string]string{"profile/user/registrymodifications.xcu": officeProfile, "profile/user/extensions/buildid": officeBuild()},
	}
}

// officeProfile is the template of the profile each run gets.
const officeProfile = `<?xml version="1.0" encoding="UTF-8"?>
<oor:items xmlns:oor="http://openoffice.org/2001/registry" xmlns:xs="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">
<item oor:path="/org.openoffice.Setup/Office"><prop oor:name="ooSetupInstCompleted" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Setup/L10N"><prop oor:name="ooSetupSystemLocale" oor:op="fuse"><value>ja-JP</value></prop></item>
<item oor:path="/org.openoffice.Office.Linguistic/General"><prop oor:name="DefaultLocale_CJK" oor:op="fuse"><value>ja-JP</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Misc"><prop oor:name="FirstRun" oor:op="fuse"><value>false</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="MacroSecurityLevel" oor:op="fuse"><value>3</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableMacrosExecution" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="BlockUntrustedRefererLinks" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Common/Security/Scripting"><prop oor:name="DisableActiveContent" oor:op="fuse"><value>true</value></prop></item>
<item oor:path="/org.openoffice.Office.Writer/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>2</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Content/Update"><prop oor:name="Link" oor:op="fuse"><value>2</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="OOXMLRecalcMode" oor:op="fuse"><value>1</value></prop></item>
<item oor:path="/org.openoffice.Office.Calc/Formula/Load"><prop oor:name="ODFRecalcMode" oor:op="fuse"><value>1</value></prop></item>
</oor:items>
`

// officeBuild is what LibreOffice compares with its own build: a profile that
// says another is made anew, and the program ends with status 81 to be started
// once more.
func officeBuild() string {
	b, err := os.ReadFile(officeDir + "/versionrc")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(b)) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "buildid="); ok {
			return id
		}
	}
	return ""
}

// hoard tells the allocator of the C library to keep what is freed: pages and
// photographs are taken and given back by megabytes, and each time the kernel
// clears them anew. A run lives for one document; what it may have at all is
// bounded by its address space.
const hoard = "GLIBC_TUNABLES=glibc.malloc.mmap_threshold=33554432:glibc.malloc.trim_threshold=268435456:glibc.malloc.top_pad=16777216"

// toolProfile is what a run may use up, limits.md "Worker and tools".
func toolProfile(t tool, cpu time.Duration) sandbox.ToolProfile {
	p := sandbox.ToolProfile{
		AddressSpace: 2 << 30, // LibreOffice needs 768 MiB
		CPU:          max(cpu.Truncate(time.Second), time.Second),
		FileSize:     maxToolFile,
		OutputSize:   min(t.output, maxToolFile),
		Scratch:      maxToolFile,
		OpenFiles:    256,
		Processes:    24, // our first process has some ten threads
	}
	if t.wide {
		p.Processes = 64
	}
	return p
}
