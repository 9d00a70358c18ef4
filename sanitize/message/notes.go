package message

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// keptBack puts a notice in the place of a part.
func (w *work) keptBack(p sanitize.Part, r notice.Reason) {
	w.changed = true
	w.pieces = append(w.pieces, note(w.words().Withheld(w.kept(p, r))))
}

// kept is what a notice says of a part that did not go on.
func (w *work) kept(p sanitize.Part, r notice.Reason) notice.Kept {
	o := w.s.Options
	id := o.PartID
	if id == "" {
		id = o.ID
	}
	facts := p.Kind.Facts()
	return notice.Kept{
		Name: p.Name, KindJA: facts.JA, KindEN: facts.EN, Reason: r,
		Removed: p.Fate == sanitize.Dropped, ID: id, Expires: o.Expires, Advice: slices.Contains(sanitize.ConverterKinds(), p.Kind),
	}
}

// inArchive reports whether the part at path is a file in an archive, whose
// part stands among those before it.
func inArchive(before []sanitize.Part, path string) bool {
	i := strings.LastIndexByte(path, '/')
	return i > 0 && slices.ContainsFunc(before, func(p sanitize.Part) bool {
		return p.Path == path[:i] && p.Class == sanitize.ClassArchive
	})
}

// words are what notices are written with.
func (w *work) words() notice.Words {
	o := w.s.Options
	words := notice.Words{Language: notice.Language(o.Language)}
	if len(o.Wording) > 0 {
		words.Own = map[notice.Language]notice.Wording{}
		for l, own := range o.Wording {
			words.Own[notice.Language(l)] = own
		}
	}
	return words
}

// note is a text of our own.
func note(text string) piece {
	return piece{media: "text/plain", part: -1, data: []byte(strings.ReplaceAll(text, "\n", "\r\n"))}
}

// tell collects what a notice says of a file that went on: the part at index
// and all that was inside it.
func (w *work) tell(index int, o sanitize.Object) {
	parts := w.s.Parts()[index:]
	host := parts[0]
	t := notice.Treated{Name: o.Name, OutName: host.OutName}
	var kept int
	for i, p := range parts {
		if i > 0 && p.Fate != sanitize.Delivered && inArchive(parts[:i], p.Path) {
			t.Withheld = append(t.Withheld, w.kept(p, reason(p, nil, false)))
			continue
		}
		if i > 0 && p.Fate != sanitize.Delivered && !slices.ContainsFunc(p.Findings, sanitize.Finding.Changed) {
			kept++
		}
		if p.Fate == sanitize.KeptBack {
			continue
		}
		macros := false
		for _, f := range p.Findings {
			// A document has one macro project, however many modules, storages and
			// signatures of it are told to the administrator.
			project := strings.HasSuffix(f.Rule, ".vba")
			if f.Changed() && !(project && macros) {
				t.Counts = count(t.Counts, f)
			}
			macros = macros || project
			if f.Rule == sanitize.CodeRule {
				w.codes = append(w.codes, code{index, notice.Code{File: o.Name, Address: f.Detail}})
			}
		}
	}
	if kept > 0 {
		t.Counts = append(t.Counts, notice.Count{Rule: "message.withheld", N: kept})
	}
	if len(t.Counts) > 0 || host.Outcome == sanitize.Disarmed {
		w.changed = true
	}
	if len(t.Withheld) > 0 {
		w.changed = true
	}
	// What counts is the extension that the reader knew: a PNG called .jpg goes
	// out as .png.
	renamed := o.Name != "" && (host.Kind.Facts().Ext != host.OutKind.Facts().Ext || otherExtension(o.Name, host.OutName))
	if len(t.Counts) == 0 && len(t.Withheld) == 0 && !renamed && host.Outcome == sanitize.Clean {
		return
	}
	if i := slices.IndexFunc(host.Findings, func(f sanitize.Finding) bool { return f.Rule == mismatch }); i >= 0 && host.OutName != "" && host.OutName != o.Name {
		// Why it has another name now.
		t.Counts = slices.Insert(t.Counts, 0, notice.Count{Rule: mismatch, N: 1})
	}
	facts := host.Kind.Facts()
	t.KindJA, t.KindEN = facts.JA, facts.EN
	t.SameKind = host.Kind == host.OutKind
	switch host.Mode {
	case sanitize.Convert:
		t.Form = notice.Converted
	case sanitize.Flatten:
		t.Form = notice.Pages
	case sanitize.Text:
		if host.Class != sanitize.ClassHTML { // whose words are all it had
			t.Form = notice.WordsOnly
		}
	}
	if host.OutKind == sanitize.KindOpened {
		t.Form = notice.Opened
	}
	facts = host.OutKind.Facts()
	t.NewJA, t.NewEN = facts.JA, facts.EN
	w.treated = append(w.treated, telling{index, t})
}

// otherExtension reports whether a name had an extension and goes out with
// another. One that had none keeps all that its reader knew.
func otherExtension(name, out string) bool {
	had := path.Ext(name)
	return len(had) > 1 && out != "" && !strings.EqualFold(had, path.Ext(out))
}

// mismatch is the finding that a name promises another kind than the content is.
const mismatch = "detect.name-mismatch"

// count adds a finding to counts. A finding whose detail is a number stands for
// that many.
func count(cs []notice.Count, f sanitize.Finding) []notice.Count {
	number := f.Detail
	if strings.HasPrefix(f.Rule, "text.") {
		number, _, _ = strings.Cut(number, " ") // "3 control characters"
	}
	n, err := strconv.Atoi(number)
	if err != nil || n < 1 || n > 1e6 {
		n = 1
	}
	for i := range cs {
		if cs[i].Rule == f.Rule {
			cs[i].N += n
			return cs
		}
	}
	return append(cs, notice.Count{Rule: f.Rule, N: n})
}

// notes finishes the pieces: the notice of what was taken behind the text, our
// own text in a release of parts, something at all in an empty mail.
func (w *work) notes(h headerInfo) {
	first := slices.IndexFunc(w.pieces, func(p piece) bool { return p.body })
	for i := range w.pieces {
		p := w.pieces[i]
		if !p.body || p.part < 0 {
			continue
		}
		r := &w.s.Parts()[p.part]
		if i == first {
			r.Findings = append(r.Findings, w.dropped...)
			w.dropped = nil
		}
		var t notice.Treated
		for _, f := range r.Findings {
			if f.Changed() {
				t.Counts = count(t.Counts, f)
			}
		}
		if len(t.Counts) > 0 {
			w.changed = true
			w.treated = slices.Insert(w.treated, 0, telling{p.part, t})
		}
	}
	if ps := w.s.Parts(); first < 0 && w.outermost && len(ps) > 0 {
		// A mail without a text of its own.
		ps[0].Findings = append(ps[0].Findings, w.dropped...)
		w.dropped = nil
	}
	at := first + 1
	if len(w.s.Options.Only) > 0 && w.outermost {
		id := w.s.Options.PartID
		if id == "" {
			id = w.s.Options.ID
		}
		w.pieces = slices.Insert(w.pieces, 0, note(w.words().Released(h.subject, id)))
		at = 1
	}
	if len(w.treated) > 0 {
		all := make([]notice.Treated, len(w.treated))
		for i, t := range w.treated {
			all[i] = t.Treated
		}
		w.pieces = slices.Insert(w.pieces, at, note(w.words().Disarmed(all, w.s.Options.AuthLine)))
	}
	if len(w.codes) > 0 {
		if len(w.treated) > 0 {
			at++ // behind what was taken
		}
		all := make([]notice.Code, len(w.codes))
		for i, c := range w.codes {
			all[i] = c.Code
		}
		w.pieces = slices.Insert(w.pieces, at, note(w.words().Codes(all)))
	}
	if len(w.pieces) == 0 {
		w.pieces = append(w.pieces, note(""))
	}
}

// outName is the name a file goes out with. A message without a name keeps
// none: programs show its subject.
func outName(name string, k sanitize.Kind) string {
	if name == "" && k == sanitize.KindMessage {
		return ""
	}
	if name == "" && k == sanitize.KindICS {
		name = "invite" // invitations have no name
	}
	return k.FileName(name)
}
