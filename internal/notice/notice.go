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
	"fmt"
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

func (l Language) in(ja, en func() string) string {
	switch l {
	case English:
		return en()
	case Both:
		return ja() + "\n" + en()
	default:
		return ja()
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
}

// Withheld words the text that stands in the place of a part.
func Withheld(l Language, k Kept) string {
	return l.in(
		func() string {
			var b strings.Builder
			if k.Removed {
				b.WriteString("【添付ファイルを削除しました】\n")
			} else {
				b.WriteString("【添付ファイルを保留しました】\n")
			}
			fmt.Fprintf(&b, "ファイル名: %s\n", orElse(Name(k.Name), "（名前なし）"))
			fmt.Fprintf(&b, "種類: %s\n", orElse(Name(k.KindJA), "不明な形式"))
			fmt.Fprintf(&b, "理由: %s\n", reasonsJA[known(k.Reason)])
			if k.ID != "" {
				fmt.Fprintf(&b, "受付番号: %s\n", Name(k.ID))
			}
			if !k.Removed && !k.Expires.IsZero() {
				fmt.Fprintf(&b, "保管期限: %s\n", k.Expires.Format("2006年1月2日 15:04"))
			}
			if k.ID != "" {
				b.WriteString("必要なときは、受付番号を添えてメールの管理者にお問い合わせください。\n")
			}
			return b.String()
		},
		func() string {
			var b strings.Builder
			if k.Removed {
				b.WriteString("[An attachment was removed]\n")
			} else {
				b.WriteString("[An attachment was kept back]\n")
			}
			fmt.Fprintf(&b, "File: %s\n", orElse(Name(k.Name), "(no name)"))
			fmt.Fprintf(&b, "Kind: %s\n", orElse(Name(k.KindEN), "unknown"))
			fmt.Fprintf(&b, "Reason: %s\n", reasonsEN[known(k.Reason)])
			if k.ID != "" {
				fmt.Fprintf(&b, "Id: %s\n", Name(k.ID))
			}
			if !k.Removed && !k.Expires.IsZero() {
				fmt.Fprintf(&b, "Kept until: %s\n", k.Expires.Format("2 January 2006 15:04 -0700"))
			}
			if k.ID != "" {
				b.WriteString("If you need it, ask your mail administrator and give this id.\n")
			}
			return b.String()
		})
}

// Disarmed words the block that says what was taken out of the mail. auth is
// the line about the sender, "" for none.
func Disarmed(l Language, files []Treated, auth string) string {
	return l.in(
		func() string {
			var b strings.Builder
			b.WriteString("【このメールは無害化されました】\n")
			for _, f := range files {
				fmt.Fprintf(&b, "・%s: %s\n", f.title(orElse(Name(f.KindJA), "本文")), strings.Join(f.sentences(sentenceJA, renamedJA, withheldJA), "、"))
				f.members(&b, memberJA, "　　ほか %d 個\n")
			}
			if auth != "" {
				fmt.Fprintf(&b, "送信者: %s\n", Name(auth))
			}
			return b.String()
		},
		func() string {
			var b strings.Builder
			b.WriteString("[This mail was disarmed]\n")
			for _, f := range files {
				fmt.Fprintf(&b, "- %s: %s\n", f.title(orElse(Name(f.KindEN), "text of the mail")), strings.Join(f.sentences(sentenceEN, renamedEN, withheldEN), ", "))
				f.members(&b, memberEN, "    and %d more\n")
			}
			if auth != "" {
				fmt.Fprintf(&b, "Sender: %s\n", Name(auth))
			}
			return b.String()
		})
}

// Released words the text of a mail that carries parts released later; subject
// is that of the mail they came with.
func Released(l Language, subject, id string) string {
	subject = Name(subject)
	return l.in(
		func() string {
			s := "保留されていた添付ファイルを、無害化してお届けします。\n"
			if subject != "" {
				s += "元のメールの件名: " + subject + "\n"
			}
			if id != "" {
				s += "受付番号: " + Name(id) + "\n"
			}
			return s
		},
		func() string {
			s := "These are attachments that had been kept back, now disarmed.\n"
			if subject != "" {
				s += "Subject of the first mail: " + subject + "\n"
			}
			if id != "" {
				s += "Id: " + Name(id) + "\n"
			}
			return s
		})
}

// Held says in a sentence why a whole message waits, for the administrator who
// looks at it. A code it does not know is given back as it is.
func Held(l Language, code string) string {
	w, ok := holds[code]
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

func (f Treated) title(text string) string {
	in, out := Name(f.Name), Name(f.OutName)
	switch {
	case in == "" && out == "":
		return text
	case in == "":
		return out
	case out == "" || in == out:
		return in
	default:
		return in + " → " + out
	}
}

func (f Treated) sentences(one func(Count) string, renamed, withheld string) []string {
	var out []string
	for _, c := range f.Counts {
		out = append(out, one(c))
	}
	if n := len(f.Withheld); n > 0 {
		out = append(out, fmt.Sprintf(withheld, n))
	}
	if len(out) == 0 {
		out = append(out, renamed)
	}
	return out
}

const (
	renamedJA  = "形式を変更"
	renamedEN  = "format changed"
	withheldJA = "中のファイル %d 個を除外"
	withheldEN = "%d file(s) inside left out"
)

// maxMembers is how many files of one archive a notice names: a list that
// nobody reads to its end helps nobody.
const maxMembers = 20

// members names the files inside that did not go on, a line each.
func (f Treated) members(b *strings.Builder, line func(Kept) string, more string) {
	for i, k := range f.Withheld {
		if i == maxMembers {
			fmt.Fprintf(b, more, len(f.Withheld)-maxMembers)
			return
		}
		b.WriteString(line(k))
	}
}

func memberJA(k Kept) string {
	act := "保留"
	if k.Removed {
		act = "削除"
	}
	s := fmt.Sprintf("　　%s: %s（%s）%s", act, orElse(Name(k.Name), "（名前なし）"), orElse(Name(k.KindJA), "不明な形式"), reasonsJA[known(k.Reason)])
	if k.ID != "" && !k.Removed {
		s += "受付番号 " + Name(k.ID)
		if !k.Expires.IsZero() {
			s += "、期限 " + k.Expires.Format("2006年1月2日")
		}
	}
	return s + "\n"
}

func memberEN(k Kept) string {
	act := "kept back"
	if k.Removed {
		act = "removed"
	}
	s := fmt.Sprintf("    %s: %s (%s): %s", act, orElse(Name(k.Name), "(no name)"), orElse(Name(k.KindEN), "unknown"), reasonsEN[known(k.Reason)])
	if k.ID != "" && !k.Removed {
		s += " Id " + Name(k.ID)
		if !k.Expires.IsZero() {
			s += ", until " + k.Expires.Format("2 January 2006")
		}
	}
	return s + "\n"
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
