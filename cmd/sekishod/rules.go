package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"sekisho/envelope"
	"sekisho/internal/notice"
	"sekisho/policy"
	"sekisho/sanitize"
)

func (c *config) rules(f *configFile, converters []sanitize.Converter) (*policy.Rules, error) {
	r := &policy.Rules{Profiles: map[envelope.ProfileID]policy.Profile{}, Limits: c.budget()}
	ps := c.Profiles
	if len(ps) == 0 {
		ps = []profileConfig{{Name: "default"}}
	}
	var err error
	for i, p := range ps {
		at := fmt.Sprintf("profiles[%d]", i)
		if p.Name == "" {
			return nil, f.errorf(at+".name", "every profile needs a name")
		}
		if _, ok := r.Profiles[envelope.ProfileID(p.Name)]; ok {
			return nil, f.errorf(at+".name", "profile %q stands twice", p.Name)
		}
		out := policy.Profile{Name: p.Name, Rules: map[sanitize.Class]sanitize.Rule{}, HoldMessage: map[sanitize.Class]bool{}, Language: "ja"}
		// A forwarded mail is walked like the mail itself; classes that nothing
		// treats so far hold, which is the zero Rule.
		out.Rules[sanitize.ClassMessage] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		out.Rules[sanitize.ClassCSV] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		for _, k := range []struct {
			key     string
			class   sanitize.Class
			got     steps
			first   string   // default
			allowed []string // of single words; a list may have rebuild or text, and hold
		}{
			{"office", sanitize.ClassOffice, p.Office, "rebuild", []string{"rebuild", "convert", "flatten", "text", "hold", "remove"}},
			{"legacy_office", sanitize.ClassLegacyOffice, p.Legacy, "rebuild", []string{"rebuild", "convert", "flatten", "text", "hold", "remove"}},
			{"pdf", sanitize.ClassPDF, p.PDF, "rebuild", []string{"rebuild", "flatten", "text", "hold", "remove"}},
			{"image", sanitize.ClassImage, p.Image, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"html", sanitize.ClassHTML, p.HTML, "text", []string{"rebuild", "flatten", "text", "hold", "remove"}},
			{"text", sanitize.ClassText, p.Text, "rebuild", []string{"rebuild", "flatten", "hold", "remove"}},
			{"calendar", sanitize.ClassCalendar, p.Calendar, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"archive", sanitize.ClassArchive, p.Archive, "rebuild", []string{"rebuild", "hold", "remove"}},
			{"executable", sanitize.ClassExecutable, p.Executable, "hold", []string{"hold", "remove"}},
			{"encrypted", sanitize.ClassEncrypted, p.Encrypted, "hold", []string{"hold", "remove"}},
			{"ichitaro", sanitize.ClassIchitaro, p.Ichitaro, "hold", []string{"rebuild", "text", "hold", "remove"}},
			{"unknown", sanitize.ClassUnknown, p.Unknown, "hold", []string{"hold", "remove"}},
		} {
			if len(k.got) == 0 {
				k.got = steps{k.first, following}
			}
			rule, err := ladder(k.got, k.allowed, k.class)
			if err != nil {
				return nil, f.errorf(at+"."+k.key, "%v", err)
			}
			if k.class == sanitize.ClassHTML && k.got[0] == "rebuild" {
				// HTML is the one class that can be treated in two ways.
				rule.Steps = []sanitize.Mode{sanitize.Rebuild, sanitize.Text}
			}
			out.Rules[k.class] = rule
		}
		switch p.Body {
		case "", "text":
		case "html":
			out.Rules[sanitize.ClassBody] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		default:
			return nil, f.errorf(at+".body", "want text or html, got %q%s", p.Body, suggest(p.Body, []string{"text", "html"}))
		}
		switch p.URLs {
		case "", "keep":
		case "defang":
			out.URLs = sanitize.DefangURLs
		case "remove":
			out.URLs = sanitize.RemoveURLs
		default:
			return nil, f.errorf(at+".urls", "want keep, defang or remove, got %q%s", p.URLs, suggest(p.URLs, []string{"keep", "defang", "remove"}))
		}
		switch p.Comments {
		case "", "keep":
		case "remove":
			out.Comments = true
		default:
			return nil, f.errorf(at+".comments", "want keep or remove, got %q%s", p.Comments, suggest(p.Comments, []string{"keep", "remove"}))
		}
		switch p.Changes {
		case "", "keep":
		case "accept":
			out.Accept = true
		case "remove":
			out.Reject = true
		default:
			return nil, f.errorf(at+".changes", "want keep, accept or remove, got %q%s", p.Changes, suggest(p.Changes, []string{"keep", "accept", "remove"}))
		}
		switch p.Formulas {
		case "", "keep":
		case "values":
			out.Values = true
		default:
			return nil, f.errorf(at+".formulas", "want keep or values, got %q%s", p.Formulas, suggest(p.Formulas, []string{"keep", "values"}))
		}
		switch p.Embedded {
		case "", "remove":
		case "beside":
			out.Embedded = true
		default:
			return nil, f.errorf(at+".embedded", "want remove or beside, got %q%s", p.Embedded, suggest(p.Embedded, []string{"remove", "beside"}))
		}
		switch p.Drawings {
		case "", "keep":
		case "png":
			out.Drawings = true
		default:
			return nil, f.errorf(at+".drawings", "want keep or png, got %q%s", p.Drawings, suggest(p.Drawings, []string{"keep", "png"}))
		}
		if out.Kinds, err = p.imageKinds(f, at+".image_kinds"); err != nil {
			return nil, err
		}
		switch p.QR {
		case "", "show":
			out.Codes = true
		case "hold":
			out.Codes, out.HoldCodes = true, true
		case "off":
		default:
			return nil, f.errorf(at+".qr", "want show, hold or off, got %q%s", p.QR, suggest(p.QR, []string{"show", "hold", "off"}))
		}
		switch p.Pages {
		case "", "usual":
		case "small":
			out.SmallPages = true
		default:
			return nil, f.errorf(at+".pages", "want usual or small, got %q%s", p.Pages, suggest(p.Pages, []string{"usual", "small"}))
		}
		switch p.CSV {
		case "", "neutralise":
		case "keep":
			out.KeepCSV = true
		case "flatten":
			out.Rules[sanitize.ClassCSV] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Flatten, sanitize.Rebuild}}
		default:
			return nil, f.errorf(at+".csv", "want neutralise, keep or flatten, got %q%s", p.CSV, suggest(p.CSV, []string{"neutralise", "keep", "flatten"}))
		}
		switch p.Language {
		case "":
		case "ja", "en", "ja+en":
			out.Language = p.Language
		default:
			return nil, f.errorf(at+".language", "want ja, en or ja+en, got %q", p.Language)
		}
		for _, n := range []struct{ language, name string }{{"ja", p.Notices.JA}, {"en", p.Notices.EN}} {
			if n.name == "" {
				continue
			}
			own, err := f.wording(n.name)
			if err != nil {
				return nil, f.errorf(at+".notices."+n.language, "%v", err)
			}
			if out.Wording == nil {
				out.Wording = map[string]map[string]string{}
			}
			out.Wording[n.language] = own
		}
		hold := p.HoldMessage
		if hold == nil {
			hold = []string{"executable"}
		}
		for j, h := range hold {
			switch sanitize.Class(h) {
			case sanitize.ClassExecutable, sanitize.ClassEncrypted, sanitize.ClassUnknown:
				out.HoldMessage[sanitize.Class(h)] = true
			default:
				return nil, f.errorf(fmt.Sprintf("%s.hold_message[%d]", at, j), "want executable, encrypted or unknown, got %q (ambiguous and tampered always hold)", h)
			}
		}
		if out.Converters, err = chosen(f, at+".converters", p.Converters, converters); err != nil {
			return nil, err
		}
		r.Profiles[envelope.ProfileID(p.Name)] = out
	}
	return r, nil
}

// imageKinds are the rules of pictures that programs of others read, or of which
// little can stay.
func (p *profileConfig) imageKinds(f *configFile, at string) (map[sanitize.Kind]sanitize.Rule, error) {
	rules := map[sanitize.Kind]sanitize.Rule{}
	for _, k := range []struct {
		kind       sanitize.Kind
		got, usual string
	}{
		{sanitize.KindHEIC, p.ImageKinds.HEIC, "convert"},
		{sanitize.KindAVIF, p.ImageKinds.AVIF, "convert"},
		{sanitize.KindJXL, p.ImageKinds.JXL, "convert"},
		{sanitize.KindPSD, p.ImageKinds.PSD, "convert"},
		{sanitize.KindEMF, p.ImageKinds.EMF, "convert"},
		{sanitize.KindWMF, p.ImageKinds.WMF, "convert"},
		{sanitize.KindJP2, p.ImageKinds.JP2, "hold"},
		{sanitize.KindEPS, p.ImageKinds.EPS, "hold"},
		{sanitize.KindDICOM, p.ImageKinds.DICOM, "hold"},
	} {
		if k.got == "" {
			k.got = k.usual
		}
		switch k.got {
		case "convert":
			// They have one way of being treated, which the session asks for by
			// the name Rebuild.
			rules[k.kind] = sanitize.Rule{Steps: []sanitize.Mode{sanitize.Rebuild}}
		case "hold":
			rules[k.kind] = sanitize.Rule{}
		case "remove":
			rules[k.kind] = sanitize.Rule{Drop: true}
		default:
			return nil, f.errorf(at+"."+string(k.kind), "want convert, hold or remove, got %q%s", k.got, suggest(k.got, []string{"convert", "hold", "remove"}))
		}
	}
	return rules, nil
}

// wording reads a file of words for notices and tries it out. What is wrong is
// said with the file's own name and line.
func (f *configFile) wording(name string) (notice.Wording, error) {
	if !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(f.name), name)
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	own, err := notice.ParseWording(b)
	var wrong *notice.WordingError
	if errors.As(err, &wrong) {
		return nil, fmt.Errorf("%s:%d: %s", name, wrong.Line, wrong.Text)
	}
	return own, err
}

// ladder reads the steps of a class. A word names the first step; a list names
// exactly the steps allowed; remove and hold stand alone (hold may end a list).
func ladder(got steps, allowed []string, c sanitize.Class) (sanitize.Rule, error) {
	var r sanitize.Rule
	word := len(got) == 2 && got[1] == following
	if word {
		got = got[:1]
	}
	// Where there is more than one step, each has its own name.
	several := c == sanitize.ClassOffice || c == sanitize.ClassLegacyOffice || c == sanitize.ClassPDF || c == sanitize.ClassIchitaro
	for i, w := range got {
		if w == "strip" {
			w = "rebuild" // the accepted old name
		}
		if !slices.Contains(allowed, w) {
			if slices.Contains([]string{"rebuild", "convert", "flatten", "text", "hold", "remove"}, w) {
				return r, fmt.Errorf("%s is not built for this class; allowed here: %s", w, strings.Join(allowed, ", "))
			}
			return r, fmt.Errorf("unknown step %q%s", w, suggest(w, allowed))
		}
		if m := step(w); several && m != 0 {
			switch {
			case word:
				for ; m <= sanitize.Text; m++ {
					r.Steps = append(r.Steps, m)
				}
			case len(r.Steps) > 0 && r.Steps[len(r.Steps)-1] >= m:
				return r, fmt.Errorf("%s stands out of its order: rebuild, convert, flatten, text, hold", w)
			default:
				r.Steps = append(r.Steps, m)
			}
			continue
		}
		switch w {
		case "flatten":
			if len(r.Steps) > 0 {
				return r, errors.New("flatten stands out of its order: it is the first step of this class, or its only one")
			}
			r.Steps = append(r.Steps, sanitize.Flatten)
			if word {
				// What cannot be drawn is treated as it is without.
				r.Steps = append(r.Steps, sanitize.Rebuild)
			}
		case "rebuild", "text":
			if len(r.Steps) > 0 && w == "rebuild" {
				return r, errors.New("rebuild stands out of its order: after flatten comes text, or hold")
			}
			// A class has one way of being treated so far; the session asks for
			// it by the name Rebuild, and the report names the step it was.
			r.Steps = append(r.Steps, sanitize.Rebuild)
		case "remove":
			if len(got) > 1 {
				return r, errors.New("remove stands alone")
			}
			r.Drop = true
		case "hold":
			if i != len(got)-1 {
				return r, errors.New("hold is the last step")
			}
		}
	}
	return r, nil
}

// step is the step of the ladder that a word names; zero if it names none.
func step(w string) sanitize.Mode {
	for m := sanitize.Rebuild; m <= sanitize.Text; m++ {
		if m.String() == w {
			return m
		}
	}
	return 0
}
