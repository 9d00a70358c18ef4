package detect

import (
	"encoding/binary"
	"strings"

	"sekisho/internal/charset"
	"sekisho/internal/propset"
	"sekisho/sanitize"
)

// justSystemsNode ends the class identifiers of Ichitaro: the number of the
// network card in the machine that made them (RFC 9562, 5.1). Others that were
// made there are of the same house.
const justSystemsNode = "-0020AFD806F4"

// justSystems tells a document of Hanako, Sanshiro or another program of
// JustSystems, whose formats are nowhere described, by what every compound file
// may say of its program: the kind shown to the user ([MS-OLEDS] 2.3.8), the name
// of the application ([MS-OLEPS] 3.1.4), the class.
func justSystems(entries []entry, class string) (sanitize.Kind, bool) {
	var says []string
	for _, e := range entries {
		switch {
		case e.inside != "":
		case e.name == "\x01CompObj":
			says = append(says, userType(start(e.r, 4096)))
		case e.name == propset.SummaryName:
			says = append(says, propset.Program(start(e.r, 1<<16)))
		}
	}
	house := strings.HasSuffix(class, justSystemsNode)
	for _, s := range says {
		s = strings.ToLower(s)
		switch {
		case strings.Contains(s, "花子"), strings.Contains(s, "hanako"):
			return sanitize.KindJHD, true
		case strings.Contains(s, "三四郎"), strings.Contains(s, "sanshiro"):
			return sanitize.KindJSD, true
		case strings.Contains(s, "justsystem"), strings.Contains(s, "ジャストシステム"):
			house = true
		}
	}
	return sanitize.KindJustSystems, house
}

// userType is what the stream of the class calls a document in the code page of
// its machine, which is Japanese here.
func userType(b []byte) string {
	const head = 28
	if len(b) < head+4 {
		return ""
	}
	n := binary.LittleEndian.Uint32(b[head:])
	if b = b[head+4:]; int64(n) > int64(len(b)) {
		return ""
	}
	return charset.DecodeAs("cp932", b[:n]).Text
}
