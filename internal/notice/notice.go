// Package notice words what a recipient reads about a treated mail: that a
// part was kept back, what was taken out of a file, that these are parts
// released later. It is given plain facts and returns plain text of lines that
// end in "\n"; it decides nothing, and it knows neither policy nor MIME.
//
// The text is Japanese by default, English or both when told so. Names of
// files come from strangers: they are cleaned and bounded here once more,
// since a notice that a name could fill with lines of its own would be the
// sender speaking in the gateway's voice.
package notice

import (
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Language is what a notice is written in: "ja", "en" or "ja+en". Anything
// else is Japanese.
type Language string

// The languages.
const (
	Japanese Language = "ja"
	English  Language = "en"
	Both     Language = "ja+en"
)

// in writes a text in the language asked for, or in both.
func (w Words) in(one func(Language) string) string {
	switch w.Language {
	case English:
		return one(English)
	case Both:
		return one(Japanese) + "\n" + one(English)
	default:
		return one(Japanese)
	}
}

// Reason is why a part did not go on.
type Reason string

// The reasons. One that is not among them is worded as Failed.
const (
	Policy      Reason = "policy"      // the rules of the organisation keep this kind back
	Executable  Reason = "executable"  // it is or could start a program
	Encrypted   Reason = "encrypted"   // it cannot be looked into
	Unknown     Reason = "unknown"     // nobody knows what it is
	Unsupported Reason = "unsupported" // known, but not treated so far
	Malformed   Reason = "malformed"   // it is damaged
	Ambiguous   Reason = "ambiguous"   // two programs could read it as two things
	Limit       Reason = "limit"       // it is larger than one mail may be
	External    Reason = "external"    // it is not in the mail, only the place where it lies
	Misplaced   Reason = "misplaced"   // no file may have its name or its type
	TooBig      Reason = "too-big"     // with it the mail is larger than the next server takes
	Failed      Reason = "failed"      // treating it failed
)

// Kept is a part that did not go on.
type Kept struct {
	Name           string // as the reader would have seen it, "" when it had none
	KindJA, KindEN string // what the file is, in words
	Reason         Reason
	Removed        bool      // by the rules there is no entry to ask for
	ID             string    // what to tell the administrator, "" outside a gateway
	Expires        time.Time // until when it can be had, zero outside a gateway
	Advice         bool      // the sender can send it as what is treated here
}

// Count is how often something was found in a file.
type Count struct {
	Rule string // the code of the finding
	N    int
}

// Treated is a file that went on without something it had.
type Treated struct {
	Name           string // "" when it has none
	OutName        string // the name it has now
	KindJA, KindEN string // what it is, said when it has no name; "" for the text of the mail
	Counts         []Count
	Withheld       []Kept // files inside it that did not go on
	Form           Form   // it has another form than it had
	NewJA, NewEN   string // what it is now
	SameKind       bool   // it is what it was, whatever its name said
}

// Code is a QR code that a picture or page shows.
type Code struct {
	File    string // the name of the file, "" when it has none
	Address string // where it leads
}

// maxShown is how many QR codes a notice shows: the first say what is meant.
const maxShown = 5

// Codes words the block that says where QR codes lead. Like names, addresses
// are strangers' words, cleaned and bounded here once more.
func (w Words) Codes(codes []Code) string {
	return w.in(func(l Language) string {
		var lines strings.Builder
		for i, c := range codes {
			if i == maxShown {
				lines.WriteString(fill(w.text(l, "codes-more"), map[string]string{"n": strconv.Itoa(len(codes) - maxShown)}))
				break
			}
			lines.WriteString(fill(w.text(l, "code"), map[string]string{
				"file": orElse(Name(c.File), w.text(l, "no-name")), "address": orElse(Name(c.Address), "-"),
			}))
		}
		return fill(w.text(l, "codes"), map[string]string{"codes": strings.TrimSuffix(lines.String(), "\n")})
	})
}

// Form is how a file came to be another than it was.
type Form string

// The forms. The empty one is the file's own.
const (
	Converted Form = "converted" // by another program, then rebuilt
	Pages     Form = "pages"     // pictures of its pages
	WordsOnly Form = "words"     // its words alone
	Opened    Form = "opened"    // nothing: the files in it stand beside it
)

// Withheld words the text that stands in the place of a part.
func (w Words) Withheld(k Kept) string {
	block := "kept-back"
	if k.Removed {
		block = "removed"
	}
	return w.in(func(l Language) string { return fill(w.text(l, block), k.facts(w, l)) })
}

// facts are what can be said of a part that did not go on.
func (k Kept) facts(w Words, l Language) map[string]string {
	kind, expires := k.KindJA, ""
	if l == English {
		kind = k.KindEN
	}
	if !k.Expires.IsZero() {
		expires = k.Expires.Format(dates[l])
	}
	advice := ""
	if k.Advice {
		advice = w.text(l, "advice")
	}
	return map[string]string{
		"advice": advice,
		"name":   orElse(Name(k.Name), w.text(l, "no-name")), "kind": orElse(Name(kind), w.text(l, "no-kind")),
		"reason": w.text(l, "reason "+string(known(k.Reason))), "id": Name(k.ID), "expires": expires,
	}
}

// dates is how a language writes the end of a term.
var dates = map[Language]string{Japanese: "2006年1月2日 15:04", English: "2 January 2006 15:04 -0700"}

// Disarmed words the block that says what was taken out of the mail. auth is
// the line about the sender, "" for none.
func (w Words) Disarmed(files []Treated, auth string) string {
	return w.in(func(l Language) string {
		var changes []string
		for _, f := range files {
			changes = append(changes, strings.TrimSuffix(fill(w.text(l, "file"), map[string]string{
				"file": f.title(w, l), "changes": strings.Join(f.sentences(w, l), separators[l]),
			})+f.members(w, l), "\n"))
		}
		return fill(w.text(l, "disarmed"), map[string]string{"changes": strings.Join(changes, "\n"), "sender": Name(auth)})
	})
}

// separators stand between the changes of one file.
var separators = map[Language]string{Japanese: "、", English: ", "}

// Released words the text of a mail that carries parts released later; subject
// is that of the mail they came with.
func (w Words) Released(subject, id string) string {
	return w.in(func(l Language) string {
		return fill(w.text(l, "released"), map[string]string{"subject": Name(subject), "id": Name(id)})
	})
}

// Held says in a sentence why a whole message waits, for the administrator who
// looks at it. A code it does not know is given back as it is.
func Held(l Language, code string) string {
	w, ok := holds.Get()[code]
	if !ok {
		w = words{Name(code), Name(code)}
	}
	switch l {
	case English:
		return w.en
	case Both:
		return w.ja + " / " + w.en
	default:
		return w.ja
	}
}

func (f Treated) title(w Words, l Language) string {
	in, out := Name(f.Name), Name(f.OutName)
	switch {
	case in == "" && out == "":
		kind := f.KindJA
		if l == English {
			kind = f.KindEN
		}
		return orElse(Name(kind), w.text(l, "mail-text"))
	case in == "":
		return out
	case out == "" || in == out:
		return in
	default:
		return in + " → " + out
	}
}

// form says how the file got another form, "" when it did not.
func (f Treated) form(w Words, l Language) string {
	was, is := f.KindJA, f.NewJA
	if l == English {
		was, is = f.KindEN, f.NewEN
	}
	switch f.Form {
	case Converted, Pages, WordsOnly, Opened:
		facts := map[string]string{"kind": orElse(Name(was), w.text(l, "no-kind")), "new": orElse(Name(is), w.text(l, "no-kind"))}
		return strings.TrimSuffix(fill(w.text(l, "form-"+string(f.Form)), facts), "\n")
	default:
		return ""
	}
}

func (f Treated) sentences(w Words, l Language) []string {
	var out []string
	if s := f.form(w, l); s != "" {
		out = append(out, s)
	}
	for _, c := range f.Counts {
		name := "change " + c.Rule
		if _, ok := sentences.Get()[c.Rule]; !ok {
			name = "other-change"
		}
		out = append(out, strings.TrimSuffix(fill(w.text(l, name), map[string]string{"n": strconv.Itoa(max(c.N, 1)), "code": Name(c.Rule)}), "\n"))
	}
	if n := len(f.Withheld); n > 0 {
		out = append(out, strings.TrimSuffix(fill(w.text(l, "inside"), map[string]string{"n": strconv.Itoa(n)}), "\n"))
	}
	switch {
	case len(out) > 0:
	case f.SameKind:
		out = append(out, w.text(l, "extension"))
	default:
		out = append(out, w.text(l, "renamed"))
	}
	return out
}

// maxMembers is how many files of one archive a notice names: a list that
// nobody reads to its end helps nobody.
const maxMembers = 20

// members names the files inside that did not go on.
func (f Treated) members(w Words, l Language) string {
	var b strings.Builder
	for i, k := range f.Withheld {
		if i == maxMembers {
			b.WriteString(fill(w.text(l, "members-more"), map[string]string{"n": strconv.Itoa(len(f.Withheld) - maxMembers)}))
			break
		}
		if k.Removed {
			b.WriteString(fill(w.text(l, "member-removed"), k.facts(w, l)))
			continue
		}
		b.WriteString(fill(w.text(l, "member-kept-back"), k.facts(w, l)))
	}
	return b.String()
}

// maxName is how many characters of a name a notice repeats: enough for the
// long names in use (【別紙１】令和８年度…について.xlsx has 50), short of a paragraph.
const maxName = 120

// Name cleans a string from outside for one line of a notice: no line ends,
// controls, invisible or turning characters, no more than fits.
func Name(s string) string {
	var b strings.Builder
	n := 0
	for _, r := range strings.TrimSpace(s) {
		if n == maxName {
			b.WriteString("…")
			break
		}
		switch {
		case r == '\t' || unicode.Is(unicode.Zs, r) && r != '\u3000':
			r = ' '
		case unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == unicode.ReplacementChar:
			continue
		}
		b.WriteRune(r)
		n++
	}
	return b.String()
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
