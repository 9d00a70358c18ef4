package detect

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"sekisho/internal/charset"
	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// decoded is what an object is as text.
type decoded struct {
	head string // its first characters, without mark and leading blanks
	text bool   // all of it is text
}

// decode reads the whole object as text, in bounded memory, and judges whether
// it is any. Text has no NUL, hardly any other control and hardly any byte
// that its charset does not have; a few of both stand in honest old files, and
// whoever writes the text anew drops them.
func (f *file) decode() (decoded, error) {
	r := charset.NewReader(f.Charset, f.Reader())
	var head bytes.Buffer
	buf := make([]byte, min(f.Size+1, 32<<10))
	var runes, controls int64
	binary := false
	for {
		n, err := r.Read(buf)
		b := buf[:n]
		if room := headBytes - head.Len(); room > 0 {
			head.Write(b[:min(n, room)])
		}
		for i, c := range b {
			switch {
			case c >= ' ' && c < 0x7f:
			case c == 0:
				binary = true
			case c < ' ' && c != '\t' && c != '\n' && c != '\r' && c != '\f' || c == 0x7f:
				controls++
			case c == 0xc2 && i+1 < len(b) && b[i+1] < 0xa0: // C1
				controls++
			}
		}
		runes += int64(utf8.RuneCount(b))
		if binary && head.Len() >= 4096 {
			break
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return decoded{}, fmt.Errorf("read as text: %w", err)
		}
	}
	bad := int64(r.Result().Replaced)
	// The head as it will stand when it is written anew: a mark must not come
	// together only there.
	h := head.String()
	if drops(h) {
		h = strings.Map(written, h)
	}
	d := decoded{head: strings.TrimLeft(h, " \t\r\n\f\u200b\u3000")}
	d.text = !binary && controls <= runes/50 && bad <= runes/100
	return d, nil
}

// drops reports whether written may change a text. Most texts have no octet that
// begins one of its characters: these are controls, and of two, three or four
// octets.
func drops(s string) bool {
	for i := range len(s) {
		switch c := s[i]; {
		case c >= ' ' && c < 0x7f, c == '\t', c == '\n', c == '\r', c == '\f':
		case c == 0xe2, c == 0xef:
			if r, _ := utf8.DecodeRuneInString(s[i:]); written(r) != r {
				return true
			}
		case c >= 0xe1 && c < 0xef: // another character of three octets
		case c >= 0x80 && c < 0xc0: // the rest of one
		default:
			return true
		}
	}
	return false
}

// written drops the characters that no text keeps: controls, and those that
// turn the reading direction.
func written(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || r == '\f':
		return r
	case r == '\v', r == 0x85:
		return '\n'
	case r < ' ', r >= 0x7f && r < 0xa0, r >= 0x202a && r <= 0x202e, r >= 0x2066 && r <= 0x2069, r >= 0xfff9 && r <= 0xfffb, r == 0xe0001, r == '\ufeff':
		return -1
	}
	return r
}

// opens recognises text by how it opens, as the programs that run or render
// it do. It works on files that are binary further on, too.
func opens(t decoded, f *file) (sanitize.Kind, bool) {
	h := t.head
	if k, ok := script(h); ok {
		return k, true
	}
	if k, ok := markup(h, f); ok {
		return k, true
	}
	upper := strings.ToUpper(h[:min(len(h), 128)])
	switch {
	case strings.HasPrefix(h, "%!PS-Adobe-") && strings.Contains(firstLine(h), "EPSF"):
		return sanitize.KindEPS, true
	case strings.HasPrefix(h, "%!"):
		return sanitize.KindPS, true
	case strings.HasPrefix(h, "{\\rt"): // as octets it is seen before
		return sanitize.KindRTF, true
	case strings.HasPrefix(upper, "BEGIN:VCALENDAR"), strings.HasPrefix(upper, "BEGIN:V") && f.hasExt("ics", "vcs"):
		return sanitize.KindICS, true
	case strings.HasPrefix(upper, "BEGIN:VCARD"):
		return sanitize.KindVCF, true
	case strings.HasPrefix(h, "-----BEGIN PGP MESSAGE"):
		return sanitize.KindPGP, true
	case strings.HasPrefix(h, "-----BEGIN PKCS7"), strings.HasPrefix(h, "-----BEGIN CMS"),
		strings.HasPrefix(h, "MIAGCSqGSIb3DQEHA"), strings.HasPrefix(h, "MI") && base64Signed.MatchString(h[:min(len(h), 64)]):
		return sanitize.KindSMIME, true
	case strings.HasPrefix(h, "ISO-10303-21;"):
		// SXF writes its figures as comments in a frame of STEP.
		if strings.Contains(h, "/*SXF") || strings.Contains(h, "feature_mode") || f.hasExt("sfc") {
			return sanitize.KindSFC, true
		}
		return sanitize.KindP21, true
	case h != "" && strings.IndexByte("90 \t", h[0]) >= 0 && dxf.MatchString(h[:min(len(h), 1024)]):
		return sanitize.KindDXF, true
	case sylk(h) || f.hasExt("slk", "sylk") && strings.HasPrefix(h, "ID"):
		return sanitize.KindSLK, true
	case strings.HasPrefix(h, "%TSD-Header-###%"):
		return sanitize.KindUnknown, true
	}
	return "", false
}

var (
	base64Signed = lazy.Compile(`^MI[A-Za-z0-9+/]{2,6}YJKoZIhvcNAQcC|^MI[A-Za-z0-9+/]{2,6}YJKoZIhvcNAQcD`)
	dxf          = lazy.Compile(`^(999[ \t]*\r?\n[^\n]*\n)*[ \t]*0[ \t]*\r?\n[ \t]*SECTION[ \t]*\r?\n`)
	sylkRecord   = lazy.Compile(`(?m)^(?:(?:P|F|B|C|O|W|NN|NU|NE)(?:;[A-Z]|$)|E$)`)
)

// sylk tells a SYLK file from a table whose first column is called ID.
func sylk(h string) bool {
	if !strings.HasPrefix(h, "ID;P") {
		return false
	}
	// Files of old Macs end their lines with CR alone.
	lines := strings.ReplaceAll(h[:min(len(h), 4096)], "\r", "\n")
	_, rest, _ := strings.Cut(lines, "\n")
	return sylkRecord.MatchString(rest)
}

func firstLine(s string) string {
	i := strings.IndexAny(s[:min(len(s), 512)], "\r\n")
	if i < 0 {
		return s[:min(len(s), 512)]
	}
	return s[:i]
}

// Openings of scripts and settings files. Each is what the program that would
// run the file wants to see, or a first statement that no letter opens with.
var (
	scriptOpens = lazy.Compile(`(?i)^(?:` + strings.Join([]string{
		`#!\s*/`,
		`<\?php\b`, `<\?=`, `<%@?\s*\w`, `#@~\^`,
		`@echo\s+(?:off|on)\b`, `@?setlocal\b`, `@(?:powershell|cmd|start|call|set|if|for|rem|cd|cls|title|chcp)\b`,
		`on\s+error\s+resume\s+next\b`, `option\s+explicit\s*(?:\r?\n|$)`, `attribute\s+vb_name\s*=`,
		`(?:dim|private|public)\s+\w+(?:\s*,\s*\w+)*\s*(?:\r?\n|:)\s*(?:set\s+)?\w+\s*=`,
		`(?:set|var|let|const)?\s*\$?\w+\s*=\s*(?:new\s+activexobject|wscript\.createobject|createobject|getobject|new-object)\b`,
		`wscript\s*\.\s*\w+`, `createobject\s*\(`,
		`(?:(?:powershell|pwsh|mshta|wscript|cscript|rundll32|regsvr32|certutil|bitsadmin|msiexec|schtasks)(?:\.exe)?|cmd(?:\.exe)?\s+/[ck])\s+["'/\-h]`,
		`(?:iex|invoke-expression|invoke-webrequest|set-executionpolicy|start-process|add-type)[\s(]+[-"'($\[]`,
		`\[system\.|\[reflection\.assembly\]|\[convert\]::`,
		`eval\s*\(\s*(?:function|unescape|atob|string\.fromcharcode)`,
		`windows registry editor version`, `regedit4\s*\r?\n`,
		`\[(?:autorun|\.shellclassinfo|shell|theme|version|scriptcontrolpanel|desktop entry)\]\s*\r?\n`,
		`screen mode id:i:|full address:s:`,
		`web\r?\n1\r?\nhttps?:`, `xlodbc\r?\n`,
		`push\s+graphic-context\b`, // ImageMagick's drawing language, which starts other programs
		`import\s+(?:os|sys|subprocess|socket|base64)\s*(?:\r?\n|,|;|$)`,
	}, `|`) + `)`)
	shortcutOpens = lazy.Compile(`(?i)^\[internetshortcut[\w.]*\]|^\[\{000214a0-`)
	// A script in the first lines that is not its first statement needs two
	// signs: a declaration and a host object.
	declares   = lazy.Compile(`^(?:(?:var|let|const|function)\s+[\w$]+|\(function|;?\(\s*\(?\)?\s*=>|try\s*\{|\$\w+\s*=|param\s*\(|Function\s+\w+|Sub\s+\w+|Dim\s+\w+)`)
	hostObject = lazy.Compile(`(?i)activexobject|wscript\.|createobject\s*\(|new-object\s+|scripting\.filesystemobject|shell\.application|eval\s*\(|frombase64string|downloadstring|invoke-`)
	comments   = lazy.Compile(`^(?:\s*(?:'[^\n]*|//[^\n]*|/\*(?s:.*?)\*/|rem\s[^\n]*|::[^\n]*|#[^!\n][^\n]*|<#(?s:.*?)#>)\r?\n)+\s*`)
)

// script recognises what opens like a script or a settings file with effects,
// at once or after comments.
func script(h string) (sanitize.Kind, bool) {
	if k, ok := statement(h); ok {
		return k, true
	}
	if h == "" || !strings.ContainsRune("'/rR:#<", rune(h[0])) {
		return "", false
	}
	h = h[:min(len(h), 16<<10)]
	if i := comments.FindStringIndex(h); i != nil {
		return statement(strings.TrimLeft(h[i[1]:], " \t\r\n"))
	}
	return "", false
}

// mayOpenScript reports whether scriptOpens could match s. Most texts and pages
// are told by their first letters, and a worker lives for one of them:
// compiling the expression would cost more than treating it.
func mayOpenScript(s string) bool {
	switch c := s[0]; {
	case c == '<':
		return len(s) > 1 && (s[1] == '?' || s[1] == '%')
	case c >= utf8.RuneSelf:
		// Beyond ASCII only these two fold to letters of it.
		return strings.HasPrefix(s, "\u212a") || strings.HasPrefix(s, "\u017f")
	}
	return true
}

// statement looks at a first statement. The expressions get no more than they
// need, since every text is asked all of them.
func statement(s string) (sanitize.Kind, bool) {
	switch {
	case s == "":
		return "", false
	case s[0] == '[' && shortcutOpens.MatchString(s[:min(len(s), 64)]):
		return sanitize.KindShortcut, true
	case mayOpenScript(s) && scriptOpens.MatchString(s[:min(len(s), 256)]):
		return sanitize.KindScript, true
	case strings.IndexByte("vlcf(;t$pFSD", s[0]) >= 0 && declares.MatchString(s[:min(len(s), 256)]) && hostObject.MatchString(s[:min(len(s), 4<<10)]):
		return sanitize.KindScript, true
	}
	return "", false
}

// htmlTags are the elements by which a browser takes a file for HTML (WHATWG
// MIME Sniffing 7.1), and others that have no other meaning.
var htmlTags = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"html": true, "head": true, "script": true, "iframe": true, "h1": true, "h2": true, "h3": true, "div": true, "font": true,
		"table": true, "a": true, "style": true, "title": true, "b": true, "body": true, "br": true, "p": true,
		"meta": true, "link": true, "base": true, "center": true, "frameset": true, "frame": true, "form": true, "img": true,
		"object": true, "embed": true, "applet": true, "input": true, "span": true, "ul": true, "ol": true, "li": true,
		"pre": true, "video": true, "audio": true, "marquee": true, "noscript": true, "template": true, "isindex": true,
		"i": true, "u": true, "hr": true, "tr": true, "td": true, "section": true, "article": true, "main": true, "nav": true,
		"header": true, "footer": true, "button": true, "select": true, "textarea": true, "details": true, "dialog": true,
		"canvas": true, "math": true, "blink": true, "layer": true, "bgsound": true, "basefont": true, "strong": true, "em": true,
	}
})

// rootScripts are root elements of files that run or change settings when they
// are opened. Those with a word of every day count only without a namespace,
// as script hosts write them, or with the one given.
var rootScripts = sync.OnceValue(func() map[string]struct {
	kind      sanitize.Kind
	namespace string
} {
	return map[string]struct {
		kind      sanitize.Kind
		namespace string
	}{
		"scriptlet":                  {sanitize.KindScript, ""},
		"component":                  {sanitize.KindScript, "-"},
		"registration":               {sanitize.KindScript, "-"},
		"job":                        {sanitize.KindScript, "-"},
		"package":                    {sanitize.KindScript, "-"},
		"task":                       {sanitize.KindScript, "schemas.microsoft.com/windows/2004/02/mit/task"},
		"assembly":                   {sanitize.KindScript, "urn:schemas-microsoft-com:asm"},
		"pcsettings":                 {sanitize.KindScript, ""},
		"mmc_consolefile":            {sanitize.KindScript, ""},
		"jnlp":                       {sanitize.KindScript, ""},
		"hta:application":            {sanitize.KindScript, ""},
		"librarydescription":         {sanitize.KindShortcut, ""},
		"searchconnectordescription": {sanitize.KindShortcut, ""},
		"persistedquery":             {sanitize.KindShortcut, ""},
	}
})

// markup reads the prolog of XML or HTML and says what the root element makes
// of the file.
func markup(h string, f *file) (sanitize.Kind, bool) {
	isXML, isComment := false, false
	s := h
	for {
		s = strings.TrimLeft(s, " \t\r\n\f\x00\ufeff")
		switch {
		case strings.HasPrefix(s, "<!--"):
			i := strings.Index(s, "-->")
			if i < 0 {
				return sanitize.KindHTML, true
			}
			isComment = true
			s = s[i+3:]
			continue
		case strings.HasPrefix(s, "<?"):
			lower := strings.ToLower(s[:min(len(s), 256)])
			switch {
			case strings.HasPrefix(lower, "<?xml"):
				isXML = true
			case strings.HasPrefix(lower, "<?mso-application"):
				if i := strings.Index(s, "?>"); i >= 0 && strings.Contains(lower[:min(i, len(lower))], "progid") {
					return office2003(s[i:], sanitize.KindWordML), true
				}
			case strings.HasPrefix(lower, "<?wsf") || strings.HasPrefix(lower, "<?component") || strings.HasPrefix(lower, "<?job"):
				return sanitize.KindScript, true
			}
			i := strings.IndexByte(s, '>')
			if i < 0 {
				return xmlOr(isXML)
			}
			s = s[i+1:]
			continue
		case strings.HasPrefix(s, "<!"):
			d := strings.ToLower(s[:min(len(s), 64)])
			if strings.HasPrefix(d, "<!doctype") {
				name := strings.TrimLeft(d[len("<!doctype"):], " \t\r\n")
				switch {
				case strings.HasPrefix(name, "html"):
					return sanitize.KindHTML, true
				case strings.HasPrefix(name, "svg"):
					return sanitize.KindSVG, true
				}
				isXML = true
			}
			s = afterDeclaration(s)
			if s == "" {
				return xmlOr(isXML)
			}
			continue
		}
		break
	}
	if !strings.HasPrefix(s, "<") {
		if isComment && !isXML {
			return sanitize.KindHTML, true
		}
		return xmlOr(isXML)
	}
	tag := s[1:min(len(s), 16<<10)]
	if i := strings.IndexByte(tag, '>'); i >= 0 {
		tag = tag[:i]
	}
	i := strings.IndexAny(tag, " \t\r\n\f/>")
	name, attrs := tag, ""
	if i >= 0 {
		name, attrs = tag[:i], tag[i:]
	}
	name = strings.ToLower(name)
	prefix, local, ok := strings.Cut(name, ":")
	if !ok {
		prefix, local = "", name
	}
	switch {
	case prefix == "" && htmlTags()[name] && !(isXML && name != "html"):
		return sanitize.KindHTML, true
	case local == "html":
		return sanitize.KindHTML, true
	case local == "svg":
		return sanitize.KindSVG, true
	case strings.Contains(attrs, "http://schemas.microsoft.com/office/2006/xmlPackage"):
		return sanitize.KindFlatOPC, true
	case strings.Contains(attrs, "http://schemas.microsoft.com/office/word/2003/wordml"),
		strings.Contains(attrs, "urn:schemas-microsoft-com:office:spreadsheet"),
		strings.Contains(attrs, "http://schemas.microsoft.com/visio/2003/core"):
		return sanitize.KindWordML, true
	case local == "document" && strings.Contains(attrs, "urn:oasis:names:tc:opendocument"):
		return flatOpenDocument(attrs), true
	}
	if r, ok := rootScripts()[name]; ok {
		space := strings.Contains(attrs, "xmlns")
		if r.namespace == "" || r.namespace == "-" && !space || r.namespace != "-" && strings.Contains(attrs, r.namespace) {
			return r.kind, true
		}
	}
	if strings.Contains(strings.ToLower(s[:min(len(s), 2048)]), "<hta:application") {
		return sanitize.KindScript, true
	}
	if strings.Contains(attrs, "xmlns") {
		isXML = true
	}
	return xmlOr(isXML)
}

// office2003 tells Flat OPC, which carries the same instruction, from the
// formats of Office 2003.
func office2003(s string, or sanitize.Kind) sanitize.Kind {
	if strings.Contains(s[:min(len(s), 4096)], "http://schemas.microsoft.com/office/2006/xmlPackage") {
		return sanitize.KindFlatOPC
	}
	return or
}

func xmlOr(isXML bool) (sanitize.Kind, bool) {
	if isXML {
		return sanitize.KindXML, true
	}
	return "", false
}

// afterDeclaration returns what follows <!...>, an internal subset included.
func afterDeclaration(s string) string {
	depth := 0
	for i := range len(s) {
		switch s[i] {
		case '[':
			depth++
		case ']':
			depth--
		case '>':
			if depth <= 0 {
				return s[i+1:]
			}
		}
	}
	return ""
}

// mailFields are fields that open mails; transport marks those that a letter
// typed as text does not have.
var mailFields = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"from": false, "to": false, "cc": false, "subject": false, "date": false, "reply-to": false, "sender": false,
		"received": true, "return-path": true, "message-id": true, "mime-version": true, "content-type": true,
		"delivered-to": true, "dkim-signature": true, "content-transfer-encoding": true, "x-mailer": true,
		"x-original-to": true, "authentication-results": true, "arc-seal": true, "list-id": true, "x-received": true,
		"x-mozilla-status": true, "x-unsent": true, "envelope-to": true, "references": true, "in-reply-to": true,
		"importance": true, "thread-topic": true, "x-priority": true, "user-agent": true, "content-class": true,
	}
})

// mail recognises a message by its header. It works on bytes, since bodies may
// be in any charset and hold anything.
func mail(f *file) (sanitize.Kind, bool) {
	b := bytes.TrimLeft(f.head, "\xef\xbb\xbf\r\n \t")
	if i := bytes.IndexByte(b, '\r'); i >= 0 && bytes.IndexByte(b, '\n') < 0 {
		b = bytes.ReplaceAll(b, []byte("\r"), []byte("\n"))
	}
	if bytes.HasPrefix(b, []byte("From ")) || bytes.HasPrefix(b, []byte(">From ")) {
		_, b, _ = bytes.Cut(b, []byte("\n"))
	}
	seen := map[string]bool{}
	transport, lines := 0, 0
	for len(b) > 0 && lines < 500 {
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		b = rest
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if lines == 0 {
				break
			}
			continue
		}
		i := bytes.IndexByte(line, ':')
		if i <= 0 || !fieldName(bytes.TrimRight(line[:i], " \t")) {
			break
		}
		lines++
		name := strings.ToLower(string(bytes.TrimRight(line[:i], " \t")))
		if t, ok := mailFields()[name]; ok && !seen[name] {
			seen[name] = true
			if t {
				transport++
			}
		}
	}
	claimed := f.Declared == "message/rfc822" || f.Declared == "message/global" || f.hasExt("eml", "mht", "mhtml", "mbox", "mim")
	switch {
	case seen["mime-version"] && seen["content-type"],
		len(seen) >= 3 && transport >= 1,
		claimed && len(seen) >= 1:
		return sanitize.KindMessage, true
	}
	return "", false
}

func fieldName(b []byte) bool { // RFC 5322, 2.2
	for _, c := range b {
		if c <= ' ' || c >= 0x7f || c == ':' {
			return false
		}
	}
	return len(b) > 0
}

// textKind tells kinds of plain text apart, by what it is called: all are
// written anew, and the stricter treatment wins.
func (f *file) textKind() sanitize.Kind {
	switch {
	case f.Declared == "text/html" || f.Declared == "application/xhtml+xml" || f.hasExt("html", "htm", "xhtml", "shtml", "xht"):
		return sanitize.KindHTML
	case f.Declared == "image/svg+xml" || f.hasExt("svg"):
		return sanitize.KindSVG
	case f.Declared == "text/csv" || f.Declared == "application/csv" || f.Declared == "text/comma-separated-values" || f.hasExt("csv"),
		f.hasExt("xls", "xlsx", "xlsm", "xlt", "xlw"): // Excel reads text by these names as a table
		return sanitize.KindCSV
	case f.Declared == "text/tab-separated-values" || f.hasExt("tsv", "tab"):
		return sanitize.KindTSV
	}
	return sanitize.KindText
}
