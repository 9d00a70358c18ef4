package verify

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"sekisho/internal/lazy"
)

// badCalls are functions that fetch, run, or hand on what does.
var badCalls = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq(`WEBSERVICE FILTERXML IMAGE RTD CALL REGISTER REGISTER.ID EXEC DDE PY STOCKHISTORY EVALUATE FOPEN FWRITE FWRITELN FREAD FREADLN FCLOSE SEND.KEYS INITIATE
		POKE EXECUTE TERMINATE REQUEST ENCODEURL SQL.REQUEST SQL.OPEN UNREGISTER RUN FORMULA ON.TIME OPEN SAVE.AS ALERT GET.WORKSPACE GET.CELL DIRECTORY FILES APP.ACTIVATE
		COPILOT TRANSLATE _FV FIELDVALUE`) {
		m[n] = true
	}
	return m
})

var inQuotes = lazy.Compile(`"[^"]*"`)

// formula looks at a formula with other eyes than the writer's list: which names
// are called, and which references end in another workbook or a DDE server.
func formula(s string) error {
	const longest = 16384
	if len(s) > longest {
		return errors.New("formula longer than any")
	}
	indirect, odd := false, false
	word := "" // the name just read
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '"':
			n := strings.IndexByte(s[i+1:], '"')
			if n < 0 {
				return errors.New("formula with an open string")
			}
			odd = odd || strings.ContainsAny(s[i+1:i+1+n], "[|")
			i += n + 2
			word = ""
		case c == '\'':
			n := strings.IndexByte(s[i+1:], '\'')
			if n < 0 {
				return errors.New("formula with an open name")
			}
			// In front of ! it is a sheet, and no sheet has these in its name.
			end := i + n + 2
			if end < len(s) && (s[end] == '!' || s[end] == '|') && strings.ContainsAny(s[i:end], `[]\/|`) {
				return errors.New("formula that leaves the workbook")
			}
			i = end
			word = "'"
		case strings.HasPrefix(s[i:], "[0]!"): // this workbook itself
			i += 4
			word = ""
		case c == '[':
			n, depth := 0, 0
			for ; i+n < len(s); n++ {
				if s[i+n] == '\'' && depth > 0 {
					n++ // hides what follows
				} else if s[i+n] == '[' {
					depth++
				} else if s[i+n] == ']' {
					if depth--; depth == 0 {
						break
					}
				}
			}
			if depth != 0 || i+n >= len(s) {
				return errors.New("formula with an open bracket")
			}
			// [1]Sheet!A1, [1]!Name; a table's column has nothing behind it.
			if rest := s[i+n+1:]; rest != "" && (rest[0] == '!' || rest[0] == '\'' || rest[0] == '_' || rest[0] >= 0x80 || rest[0]|0x20 >= 'a' && rest[0]|0x20 <= 'z') {
				return errors.New("formula that leaves the workbook")
			}
			i += n + 1
			word = ""
		case c == '|':
			return errors.New("formula of DDE")
		case c == '(':
			name := strings.ToUpper(word)
			for cut := true; cut; {
				name, cut = strings.CutPrefix(name, "_XLFN.")
				if !cut {
					name, cut = strings.CutPrefix(name, "_XLWS.")
				}
			}
			switch {
			case badCalls()[name], strings.HasPrefix(name, "CUBE"), strings.HasPrefix(name, "_XL"), strings.ContainsFunc(name, func(r rune) bool { return r >= 0x80 }):
				return fmt.Errorf("formula with %q", name)
			case name == "HYPERLINK":
				args := strings.TrimLeft(s[i+1:], " \t\r\n")
				if len(args) < 3 || args[0] != '"' {
					return errors.New("formula with a link that is made")
				}
				target, _, _ := strings.Cut(args[1:], `"`)
				if target == "" || target[0] != '#' && !harmlessURL(target) || target[0] == '#' && strings.ContainsAny(target, `[]\|`) {
					return fmt.Errorf("formula with a link to %q", target)
				}
			case name == "INDIRECT":
				indirect = true
			}
			i++
			word = ""
		case c == '_' || c == '\\' || c >= 0x80 || c|0x20 >= 'a' && c|0x20 <= 'z':
			n := i
			for n < len(s) && (s[n] == '_' || s[n] == '.' || s[n] == '\\' || s[n] == '?' || s[n] >= 0x80 || s[n]|0x20 >= 'a' && s[n]|0x20 <= 'z' || s[n] >= '0' && s[n] <= '9') {
				n++
			}
			word = s[i:n]
			if u := strings.ToUpper(word); strings.HasPrefix(u, "_XLL.") || strings.HasPrefix(u, "_XLUDF.") {
				return fmt.Errorf("formula with %q", u)
			} else if by, ok := strings.CutPrefix(u, "_XLETA."); ok && (badCalls()[by] || strings.HasPrefix(by, "CUBE") || by == "HYPERLINK" || by == "INDIRECT") {
				return fmt.Errorf("formula with %q", u)
			}
			i = n
		case blank(c):
			i++ // between a name and its bracket
		default:
			word = ""
			i++
		}
	}
	if indirect && odd {
		return errors.New("formula with a reference made of text to another workbook")
	}
	return nil
}
