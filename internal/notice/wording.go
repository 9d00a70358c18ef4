package notice

import (
	"bytes"
	"fmt"
	"slices"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Wording is what a site says in the place of our own words, in one language:
// the text of each section of its file. The zero value says nothing of its own.
//
// A file of wording is plain text. A line "@NAME" opens a section, a line that
// begins with "#" is a remark, and {placeholders} stand for facts. It is no
// programming language: a line is written when everything it names is known,
// and left out when it is not. It is read and tried out when the daemon starts
// (ParseWording) and filled in by the worker, so that no fact from a stranger's
// mail is handled where the keys are.
type Wording map[string]string

// Words are what a notice is written with.
type Words struct {
	Language Language
	Own      map[Language]Wording // of the site, for Japanese and English
}

// section says what may and must stand in a section.
type section struct {
	may     []string // placeholders
	must    []string // of them, which also stand when nothing else is known
	oneLine bool
	ja, en  string // our own words
	about   words  // a remark in the file that shows them
}

const (
	keptBackJA = `【添付ファイルを保留しました】
ファイル名: {name}
種類: {kind}
理由: {reason}
受付番号: {id}
保管期限: {expires}
{advice}
{id?}必要なときは、受付番号を添えてメールの管理者にお問い合わせください。`
	keptBackEN = `[An attachment was kept back]
File: {name}
Kind: {kind}
Reason: {reason}
Id: {id}
Kept until: {expires}
{advice}
{id?}If you need it, ask your mail administrator and give this id.`
	removedJA = `【添付ファイルを削除しました】
ファイル名: {name}
種類: {kind}
理由: {reason}
受付番号: {id}
{id?}必要なときは、受付番号を添えてメールの管理者にお問い合わせください。`
	removedEN = `[An attachment was removed]
File: {name}
Kind: {kind}
Reason: {reason}
Id: {id}
{id?}If you need it, ask your mail administrator and give this id.`
	disarmedJA = `【このメールは無害化されました】
{changes}
送信者: {sender}`
	disarmedEN = `[This mail was disarmed]
{changes}
Sender: {sender}`
	codesJA = `【QR コードが含まれています】
{codes}
読み取る前に、送信者とリンク先を確かめてください。`
	codesEN = `[This mail shows QR codes]
{codes}
Before you scan one, make sure of the sender and of where it leads.`
	releasedJA = `保留されていた添付ファイルを、無害化してお届けします。
元のメールの件名: {subject}
受付番号: {id}`
	releasedEN = `These are attachments that had been kept back, now disarmed.
Subject of the first mail: {subject}
Id: {id}`
)

// blocks are the sections but those of reasons and changes, in the order in
// which a file shows them.
var blocks = []struct {
	name string
	section
}{
	{"kept-back", section{may: []string{"name", "kind", "reason", "id", "expires", "advice"}, must: []string{"name", "reason", "id"}, ja: keptBackJA, en: keptBackEN,
		about: words{"保留した添付ファイルの位置に入る文", "in the place of a part kept back"}}},
	{"removed", section{may: []string{"name", "kind", "reason", "id"}, must: []string{"name", "reason"}, ja: removedJA, en: removedEN,
		about: words{"削除した添付ファイルの位置に入る文", "in the place of a part removed"}}},
	{"disarmed", section{may: []string{"changes", "sender"}, must: []string{"changes"}, ja: disarmedJA, en: disarmedEN,
		about: words{"何を取り除いたかを示す文。{changes} は @file の行の並び", "what was taken; {changes} is a line of @file for each file"}}},
	{"file", section{may: []string{"file", "changes"}, must: []string{"file", "changes"}, oneLine: true, ja: "・{file}: {changes}", en: "- {file}: {changes}",
		about: words{"一つのファイルについての行", "the line of one file"}}},
	{"inside", section{may: []string{"n"}, oneLine: true, ja: "中のファイル {n} 個を除外", en: "{n} file(s) inside left out",
		about: words{"書庫の中で配送されなかったファイルの数", "how many files inside an archive did not go on"}}},
	{"member-kept-back", section{may: []string{"name", "kind", "reason", "id", "expires"}, must: []string{"name"}, ja: "　　保留: {name}（{kind}）{reason}\n　　　　受付番号 {id}、期限 {expires}", en: "    kept back: {name} ({kind}): {reason}\n      id {id}, until {expires}",
		about: words{"書庫の中の保留したファイル", "a file inside an archive that was kept back"}}},
	{"member-removed", section{may: []string{"name", "kind", "reason"}, must: []string{"name"}, ja: "　　削除: {name}（{kind}）{reason}", en: "    removed: {name} ({kind}): {reason}",
		about: words{"書庫の中の削除したファイル", "a file inside an archive that was removed"}}},
	{"members-more", section{may: []string{"n"}, oneLine: true, ja: "　　ほか {n} 個", en: "    and {n} more",
		about: words{"数が多いとき", "when there are many"}}},
	{"codes", section{may: []string{"codes"}, must: []string{"codes"}, ja: codesJA, en: codesEN,
		about: words{"画像やページの QR コードについての文。{codes} は @code の行の並び", "about QR codes in pictures and pages; {codes} is a line of @code for each"}}},
	{"code", section{may: []string{"file", "address"}, must: []string{"address"}, oneLine: true, ja: "・{file}: QR コードのリンク先: {address}", en: "- {file}: QR code leads to: {address}",
		about: words{"一つの QR コードについての行", "the line of one QR code"}}},
	{"codes-more", section{may: []string{"n"}, oneLine: true, ja: "・ほか {n} 個", en: "- and {n} more",
		about: words{"QR コードの数が多いとき", "when there are many QR codes"}}},
	{"released", section{may: []string{"subject", "id"}, ja: releasedJA, en: releasedEN,
		about: words{"後から解放した添付ファイルを届けるメールの文", "the text of a mail with parts released later"}}},
	{"advice", section{oneLine: true, ja: "送信者に、PDF または Word・Excel の形式で送り直すよう依頼することもできます。", en: "You may also ask the sender to send it again as PDF, Word or Excel.",
		about: words{"一太郎、DocuWorks、図面など、ここでは無害化できない文書について", "about documents that nothing here treats: Ichitaro, DocuWorks, drawings"}}},
	{"no-name", section{oneLine: true, ja: "（名前なし）", en: "(no name)", about: words{"名前のないファイル", "a file without a name"}}},
	{"no-kind", section{oneLine: true, ja: "不明な形式", en: "unknown", about: words{"形式の分からないファイル", "a file of no known kind"}}},
	{"mail-text", section{oneLine: true, ja: "本文", en: "text of the mail", about: words{"メールの本文", "the text of the mail"}}},
	{"renamed", section{oneLine: true, ja: "形式を変更", en: "format changed", about: words{"形式だけが変わったとき", "when only the format changed"}}},
	{"extension", section{oneLine: true, ja: "拡張子を内容に合わせて変更", en: "extension changed to fit the content", about: words{"拡張子だけが変わったとき", "when only the extension changed"}}},
	{"form-converted", section{may: []string{"kind", "new"}, must: []string{"new"}, oneLine: true, ja: "{kind}を{new}に変換", en: "{kind} converted to {new}",
		about: words{"別の形式に変換したとき", "when it was converted"}}},
	{"form-pages", section{may: []string{"kind"}, oneLine: true, ja: "{kind}をページの画像に変換", en: "{kind} turned into pictures of its pages",
		about: words{"ページの画像にしたとき", "when pages became pictures"}}},
	{"form-words", section{may: []string{"kind"}, oneLine: true, ja: "{kind}から文字だけを取り出し", en: "only the words of the {kind}",
		about: words{"文字だけを取り出したとき", "when only the words are left"}}},
	{"form-opened", section{may: []string{"kind"}, oneLine: true, ja: "中のファイルを取り出し、個別に処理", en: "opened; the files in it were treated one by one",
		about: words{"入れ物だけを外したとき（winmail.dat など）", "when only the wrapper was taken off (winmail.dat)"}}},
	{"other-change", section{may: []string{"n", "code"}, oneLine: true, ja: "危険となりうる要素 {n} 個を処理（{code}）", en: "{n} potentially dangerous item(s) treated ({code})",
		about: words{"文のない所見コード", "a finding that has no words"}}},
}

// sectionOf gives the section of a name: a block, "reason NAME" or
// "change CODE".
func sectionOf(name string) (section, bool) {
	for i := range blocks {
		if blocks[i].name == name {
			return blocks[i].section, true
		}
	}
	kind, code, _ := strings.Cut(name, " ")
	switch kind {
	case "reason":
		ja, ok := reasonsJA.Get()[Reason(code)]
		return section{oneLine: true, ja: ja, en: reasonsEN.Get()[Reason(code)]}, ok
	case "change":
		w, ok := sentences.Get()[code]
		return section{may: []string{"n"}, oneLine: true, ja: strings.ReplaceAll(w.ja, "%d", "{n}"), en: strings.ReplaceAll(w.en, "%d", "{n}")}, ok
	}
	return section{}, false
}

// text gives the words of a section in one language, the site's before ours.
func (w Words) text(l Language, name string) string {
	if own, ok := w.Own[l][name]; ok {
		return own
	}
	s, _ := sectionOf(name)
	if l == English {
		return s.en
	}
	return s.ja
}

// fill writes a text with the facts in it, each line ended by "\n". A line that
// names a fact nobody knows is left out; {fact?} asks for one without showing
// it. What a fact says is never looked through for placeholders.
func fill(text string, facts map[string]string) string {
	var out strings.Builder
	for _, ln := range strings.Split(text, "\n") {
		if s, ok := fillLine(ln, facts); ok {
			out.WriteString(s)
			out.WriteByte('\n')
		}
	}
	return out.String()
}

func fillLine(ln string, facts map[string]string) (string, bool) {
	var out strings.Builder
	for {
		before, rest, ok := strings.Cut(ln, "{")
		out.WriteString(before)
		if !ok {
			return out.String(), true
		}
		name, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "", false // a file with this did not pass ParseWording
		}
		ask, quiet := strings.CutSuffix(name, "?")
		v := facts[ask]
		if v == "" {
			return "", false
		}
		if !quiet {
			out.WriteString(v)
		}
		ln = after
	}
}

// WordingError says where a file of wording is wrong.
type WordingError struct {
	Line int
	Text string
}

func (e *WordingError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Text) }

// maxWording bounds a file of wording: ten times our own words.
const maxWording = 256 << 10

// maxSectionLines is more than a reader of a notice reads.
const maxSectionLines = 40

// ParseWording reads a file of wording and tries every section out. Sections
// that do not stand in it keep our own words.
func ParseWording(b []byte) (Wording, error) {
	if len(b) > maxWording {
		return nil, &WordingError{1, fmt.Sprintf("the file has more than %d octets", maxWording)}
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	out := Wording{}
	var name string
	var at int
	var lines []string
	end := func() error {
		for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
			lines = lines[:len(lines)-1]
		}
		if name == "" {
			return nil
		}
		s, _ := sectionOf(name)
		if err := s.try(name, at, lines); err != nil {
			return err
		}
		out[name] = strings.Join(lines, "\n")
		return nil
	}
	for i, ln := range strings.Split(string(b), "\n") {
		ln = strings.TrimSuffix(ln, "\r")
		if !utf8.ValidString(ln) {
			return nil, &WordingError{i + 1, "not in UTF-8"}
		}
		for _, r := range ln {
			if r != '\t' && unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == unicode.ReplacementChar {
				return nil, &WordingError{i + 1, fmt.Sprintf("the character U+%04X, which nobody sees, may not stand in a notice", r)}
			}
		}
		switch {
		case strings.HasPrefix(ln, "#"):
		case strings.HasPrefix(ln, "@"):
			if err := end(); err != nil {
				return nil, err
			}
			name, at, lines = strings.Join(strings.Fields(ln[1:]), " "), i+1, nil
			if _, ok := sectionOf(name); !ok {
				return nil, &WordingError{at, fmt.Sprintf("there is no section %q%s", name, near(name))}
			}
			if _, ok := out[name]; ok {
				return nil, &WordingError{at, fmt.Sprintf("the section %q stands twice", name)}
			}
		case name == "":
			if strings.TrimSpace(ln) != "" {
				return nil, &WordingError{i + 1, "text before the first section; a section begins with @NAME"}
			}
		case len(lines) == 0 && strings.TrimSpace(ln) == "":
		default:
			if err := placeholders(name, ln); err != "" {
				return nil, &WordingError{i + 1, err}
			}
			lines = append(lines, ln)
		}
	}
	if err := end(); err != nil {
		return nil, err
	}
	return out, nil
}

// placeholders says what is wrong with those of a line.
func placeholders(name, ln string) string {
	s, _ := sectionOf(name)
	for {
		_, rest, ok := strings.Cut(ln, "{")
		if !ok {
			if strings.Contains(ln, "}") {
				return "a } without {"
			}
			return ""
		}
		p, after, ok := strings.Cut(rest, "}")
		if !ok {
			return "a { without }"
		}
		if !slices.Contains(s.may, strings.TrimSuffix(p, "?")) {
			known := "it has none"
			if len(s.may) > 0 {
				known = "it has {" + strings.Join(s.may, "}, {") + "}"
			}
			return fmt.Sprintf("the section %q has no {%s}; %s", name, p, known)
		}
		ln = after
	}
}

// sometimes are the facts that a notice may have to do without.
var sometimes = []string{"id", "expires", "sender", "subject"}

// try fills a section in, with every fact and with those alone that are always
// known.
func (s section) try(name string, at int, lines []string) error {
	fail := func(format string, args ...any) error {
		return &WordingError{at, fmt.Sprintf("the section %q ", name) + fmt.Sprintf(format, args...)}
	}
	switch {
	case len(lines) == 0:
		return fail("is empty")
	case s.oneLine && len(lines) > 1:
		return fail("has one line, not %d", len(lines))
	case len(lines) > maxSectionLines:
		return fail("has more than %d lines", maxSectionLines)
	}
	facts := map[string]string{}
	for _, p := range s.may {
		if !slices.Contains(sometimes, p) || slices.Contains(s.must, p) {
			facts[p] = "<" + p + ">"
		}
	}
	shown := fill(strings.Join(lines, "\n"), facts)
	for _, p := range s.must {
		if !strings.Contains(shown, facts[p]) {
			return fail("does not show {%s} when only what is always known is known; give it a line of its own", p)
		}
	}
	if len(s.must) == 0 {
		for _, p := range s.may {
			facts[p] = "<" + p + ">"
		}
		if strings.TrimSpace(fill(strings.Join(lines, "\n"), facts)) == "" {
			return fail("says nothing")
		}
	}
	return nil
}

// near names the section that was probably meant.
func near(name string) string {
	best, least := "", 4
	for _, s := range sectionNames() {
		if d := distance(name, s); d < least {
			best, least = s, d
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// distance is how many letters two words differ by.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			d := last
			if a[i] != b[j] {
				d = 1 + min(last, row[j], row[j+1])
			}
			last, row[j+1] = row[j+1], d
		}
	}
	return row[len(b)]
}

// sectionNames lists all sections as a file shows them.
func sectionNames() []string {
	var names []string
	for i := range blocks {
		names = append(names, blocks[i].name)
	}
	var rest []string
	for r := range reasonsJA.Get() {
		rest = append(rest, "reason "+string(r))
	}
	for code := range sentences.Get() {
		rest = append(rest, "change "+code)
	}
	sort.Strings(rest)
	sort.SliceStable(rest, func(i, j int) bool { return strings.HasPrefix(rest[i], "r") && strings.HasPrefix(rest[j], "c") })
	return append(names, rest...)
}

// DefaultWording is the file of wording that says what we say ourselves. A site
// keeps of it what it wants to change.
func DefaultWording(l Language) []byte {
	var b bytes.Buffer
	ja := l != English
	if ja {
		b.WriteString("# 通知文。変更する節だけを残してください。残りは既定の文のままです。\n# {...} には実際の値が入ります。値がないとき、その行は出ません。{id?} は値を出さずに、値があるときだけその行を出します。\n")
	} else {
		b.WriteString("# The words of notices. Keep the sections you change; the others stay as they are.\n# {...} stands for a fact. A line with a fact that is not known is left out. {id?} asks for a fact without showing it.\n")
	}
	w := Words{}
	for _, name := range sectionNames() {
		s, _ := sectionOf(name)
		lang, about := English, s.about.en
		if ja {
			lang, about = Japanese, s.about.ja
		}
		b.WriteByte('\n')
		if about != "" {
			b.WriteString("# " + about + "\n")
		}
		b.WriteString("@" + name + "\n" + w.text(lang, name) + "\n")
	}
	return b.Bytes()
}
