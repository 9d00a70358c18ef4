package header

import (
	"strings"
	"sync"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// Classes of dangerous names.
const (
	Executable = "executable" // programs, installers, code that a double click runs
	Script     = "script"     // text that a double click runs
	Shortcut   = "shortcut"   // files that point at something else
	Settings   = "settings"   // files that change how the machine behaves
)

// extensions are those with which Windows, macOS or a common desktop runs,
// installs, follows or applies a file. Archives, disk images, documents and
// web pages are not here: what they are is found out by content, whatever
// their name. The lists of blocked attachments of the big mail services and of
// Windows' own attachment manager agree on nearly all of this.
var extensions = sync.OnceValue(func() map[string]string {
	return table(map[string]string{
		Executable: `exe scr com pif cpl dll ocx sys drv vxd 386 efi
		msi msp mst msu msix msixbundle appx appxbundle appinstaller application gadget
		xll wll pll xla xlam ppa ppam vsto
		jar jnlp class apk xapk ipa dmg pkg mpkg app deb rpm run elf so dylib appimage flatpak flatpakref snap
		air xap xbap xpi crx vsix
		ade adp mda mde accde maf mam maq mar mas mav maw
		ax fxp pcd mcf nsh pyz pyzw chm hlp`,
		Script: `bat cmd vb vbs vbe vbscript js jse mjs jscript ws wsf wsc wsh sct hta htc hxc
		ps1 ps1xml ps2 ps2xml psc1 psc2 psm1 psd1 psdm1 msh msh1 msh2 mshxml msh1xml msh2xml cdxml pssc
		sh bash csh ksh zsh fish command tool py pyc pyo pyw pl pm rb php php3 php4 php5 phtml phar asp aspx jsp tcl lua ahk au3 a3x
		applescript scpt scptd action workflow osx
		xsl xslt bas vbp vsw vsmacros shb shs applet rgs plg ksh`,
		Shortcut: `lnk url scf desktop webloc inetloc fileloc website appref-ms
		library-ms search-ms searchconnector-ms glk mad mag mat mau mcorp xnk rdp rdg ica
		iqy odc oqy rqy dqy slk udl dsn uxdc webpnp
		theme themepack desktopthemepackfile deskthemepack`,
		Settings: `reg inf ins isp job msc settingcontent-ms its diagcab diagcfg diagpkg perfmonconfig
		mobileconfig mobileprovision provisionprofile plist prf prg crd wcx ppkg cnt grp ops
		printerexport pbk pol adm admx mscompress acm cdf osd hpj fon`,
	})
})

// files are whole names that are read as settings.
var files = sync.OnceValue(func() map[string]string {
	return map[string]string{
		"autorun.inf": Settings, "desktop.ini": Settings, "folder.htt": Settings, ".htaccess": Settings, "web.config": Settings,
	}
})

func table(classes map[string]string) map[string]string {
	t := map[string]string{}
	// In an order of their own, so that an extension in two lists has one
	// class, the worse.
	for _, class := range []string{Settings, Shortcut, Script, Executable} {
		for _, ext := range strings.Fields(classes[class]) {
			t[ext] = class
		}
	}
	return t
}

// rank orders the classes by what they can do.
var rank = map[string]int{Executable: 4, Script: 3, Shortcut: 2, Settings: 1}

// Dangerous reports whether a file of this name could be run, followed or
// applied by a reader's machine, and as what. It looks at the name in every way
// a system or a client might: percent-encoded, with wide letters, with blanks,
// dots, invisible characters or a stream suffix after the extension, cut at a
// zero byte, turned around by a bidi override. A dangerous extension that is
// not the last one in any of these is none.
func Dangerous(name string) (class string, ok bool) {
	seen := map[string]bool{}
	consider := func(s string) {
		for _, c := range lastParts(s) {
			if seen[c] {
				continue
			}
			seen[c] = true
			if k, hit := classOf(c); hit && rank[k] > rank[class] {
				class, ok = k, true
			}
		}
	}
	// Only the ends of a name matter; a name is at most a header long, and
	// what lies before these is not part of any extension.
	for range 3 {
		consider(name)
		if i := strings.IndexAny(name, "\x00\r\n"); i >= 0 {
			consider(name[:i])
		}
		if turned, bidi := turn(name); bidi {
			consider(turned)
		}
		if strings.Contains(name, "=?") {
			consider(decodeWords(name, true).String)
		}
		next, _ := unpercent(name)
		if next == name {
			break
		}
		name = next
	}
	return class, ok
}

// lastParts returns what a system may take for the last part of a path.
func lastParts(s string) []string {
	s = norm.NFKC.String(strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.ToLower(strings.Map(func(r rune) rune {
		if invisible(r) {
			return -1
		}
		return r
	}, s))
	var parts []string
	add := func(p string) {
		p = strings.TrimRightFunc(p, func(r rune) bool {
			return r == '.' || r == '。' || unicode.IsSpace(r) || strings.ContainsRune("\"'<>|?*`;,/\\", r)
		})
		if i := strings.LastIndexAny(p, `/\`); i >= 0 {
			p = p[i+1:]
		}
		p = strings.TrimLeft(p, " \"'")
		if p != "" {
			parts = append(parts, p)
		}
	}
	add(s)
	// NTFS streams: a.txt:x.js names a script, a.js::$DATA another.
	if strings.Contains(s, ":") {
		for _, p := range strings.SplitN(s, ":", 8) {
			add(p)
		}
	}
	// Some clients drop or replace what Windows does not allow in names.
	if dropped := strings.NewReplacer(`"`, "", "<", "", ">", "", "|", "", "?", "", "*", "", "\uFFFD", "").Replace(s); dropped != s {
		add(dropped)
	}
	return parts
}

// classOf judges one name in lower case.
func classOf(s string) (string, bool) {
	if class, ok := files()[s]; ok {
		return class, true
	}
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return "", false
	}
	ext := strings.TrimSpace(s[i+1:])
	if class, ok := extensions()[ext]; ok {
		return class, true
	}
	// A class id as extension makes Explorer hand the file to that object.
	if len(ext) == 38 && ext[0] == '{' && ext[37] == '}' && strings.Count(ext, "-") == 4 {
		return Shortcut, true
	}
	return "", false
}

// turn shows s as a reader sees it who obeys right-to-left overrides: what
// follows one is reversed, up to its end.
func turn(s string) (string, bool) {
	if !strings.ContainsAny(s, "\u202e\u202b\u2067") {
		return s, false
	}
	var out []rune
	var held []rune
	in := false
	flush := func() {
		for i := len(held) - 1; i >= 0; i-- {
			out = append(out, held[i])
		}
		held, in = held[:0], false
	}
	for _, r := range s {
		switch {
		case r == 0x202e || r == 0x202b || r == 0x2067:
			flush()
			in = true
		case r == 0x202c || r == 0x2069 || r == 0x202d || r == 0x202a || r == 0x2066:
			flush()
		case in:
			held = append(held, r)
		default:
			out = append(out, r)
		}
	}
	flush()
	return string(out), true
}

// invisible reports characters that show nothing, or change the direction of
// what follows: no name needs them.
func invisible(r rune) bool {
	switch {
	case r < 0x20, 0x7f <= r && r < 0xa0:
		return true
	case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r), unicode.Is(unicode.Cs, r):
		return true
	case r == 0x034f, r == 0x115f, r == 0x1160, r == 0x17b4, r == 0x17b5, 0x180b <= r && r <= 0x180f, r == 0x3164, r == 0xffa0, r == 0x2065, 0xfff0 <= r && r <= 0xfffb, 0xe0000 <= r && r <= 0xe00ff, 0xe01f0 <= r && r <= 0xe0fff:
		return true
	case r&0xfffe == 0xfffe, 0xfdd0 <= r && r <= 0xfdef:
		return true
	}
	return false
}
