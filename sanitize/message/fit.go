package message

import (
	"slices"

	"sekisho/internal/notice"
	"sekisho/sanitize"
)

// headRoom is left for what the parent writes above the mail, and for the
// Received field of each hop behind.
const headRoom = 32 << 10

// fit keeps back the biggest files of a mail that would be larger than its next
// server takes, the biggest first, until the rest can go: a text with a notice
// is more than a mail that is refused as a whole. The text itself stays.
func (w *work) fit() {
	most := w.s.Options.Most
	if most <= 0 || !w.outermost {
		return
	}
	all := int64(headRoom)
	for i := range w.pieces {
		all += w.written(&w.pieces[i])
	}
	for all > most {
		biggest := -1
		for i, p := range w.pieces {
			if p.part >= 0 && !p.body && (biggest < 0 || w.written(&p) > w.written(&w.pieces[biggest])) {
				biggest = i
			}
		}
		if biggest < 0 {
			return // a text: whoever sends it says what became of it
		}
		p := &w.pieces[biggest]
		all -= w.written(p)
		*p = w.tooBig(p.part)
		all += w.written(p)
	}
}

// tooBig keeps back a part that was treated, with what is inside it, and returns
// the notice that takes its place.
func (w *work) tooBig(index int) piece {
	w.changed = true
	parts := w.s.Parts()
	host := &parts[index]
	for i := range parts {
		p := &parts[i]
		if i != index && !sanitize.Inside(p.Path, host.Path) || p.Fate != sanitize.Delivered {
			continue
		}
		p.Fate, p.Outcome, p.OutName, p.OutKind, p.Mode = sanitize.KeptBack, sanitize.Refused, "", "", 0
		p.Out = sanitize.Digest{}
		p.Err = sanitize.ErrTooBig.Error()
	}
	w.treated = slices.DeleteFunc(w.treated, func(t telling) bool { return t.part == index })
	w.codes = slices.DeleteFunc(w.codes, func(c code) bool { return c.part == index })
	return note(w.words().Withheld(w.kept(*host, notice.TooBig)))
}

// written is about how many octets of mail a piece becomes, rather too many.
func (w *work) written(p *piece) int64 {
	const fields = 512
	n := int64(len(p.data))
	if p.again != nil {
		n = max(n, 2*w.s.Parts()[p.part].Size) // in UTF-8
	}
	if !p.nested {
		n = (n+2)/3*4 + n/57*2 // base64 in lines of 76
	}
	all := n + fields + int64(3*len(p.name))
	if p.html != nil {
		all += (int64(len(p.html))+2)/3*4*78/76 + fields
	}
	return all
}
