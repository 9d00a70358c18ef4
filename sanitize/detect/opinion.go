package detect

import (
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"sekisho/sanitize"
)

// opinion names what nothing here recognised. The library is one voice and the
// last: it can name only kinds that are kept back, so that the notice is right
// more often; it can not make a file treated. It looks at its first bytes only
// and its limit is a variable of the whole process, which is left alone.
func opinion(f *file) sanitize.Kind {
	m := mimetype.Detect(f.head[:min(len(f.head), 3072)])
	t, _, _ := strings.Cut(m.String(), ";")
	switch {
	case strings.HasPrefix(t, "audio/"):
		return sanitize.KindAudio
	case strings.HasPrefix(t, "video/"):
		return sanitize.KindVideo
	case strings.HasPrefix(t, "font/"):
		return sanitize.KindFont
	}
	switch t {
	case "application/vnd.microsoft.portable-executable", "application/x-executable", "application/x-sharedlib",
		"application/x-mach-binary", "application/x-coff", "application/x-java-applet", "application/x-chrome-extension":
		return sanitize.KindExecutable
	case "application/x-ms-shortcut":
		return sanitize.KindShortcut
	case "application/vnd.ms-fontobject":
		return sanitize.KindFont
	case "image/vnd.dwg":
		return sanitize.KindDWG
	}
	// DocuWorks is not documented: a name or a claim is evidence enough for a
	// notice, since it is kept back as unknown otherwise.
	if f.hasExt("xdw", "xbd", "xct") || strings.HasPrefix(f.Declared, "application/vnd.fujixerox.docuworks") {
		return sanitize.KindXDW
	}
	if f.hasExt("jww") && hasPrefix(f.head, "Jww") {
		return sanitize.KindJWW
	}
	if f.hasExt("pgp", "gpg") && len(f.head) > 0 && f.head[0]&0x80 != 0 { // RFC 4880, 4.2: a packet has bit 7 set
		return sanitize.KindPGP
	}
	return sanitize.KindUnknown
}
