package odf

import (
	"bytes"
	"fmt"
	"strings"
	"sync"

	"sekisho/internal/formula"
	"sekisho/internal/lazy"
	"sekisho/internal/link"
	"sekisho/internal/xmlscan"
	"sekisho/sanitize"
)

// attrRule is how the value of an attribute is judged.
type attrRule uint8

const (
	attrPlain      attrRule = 0
	attrFormula    attrRule = 1
	attrCondition  attrRule = 2 // without it the attribute goes
	attrOnly       attrRule = 3 // likewise its element: it would be nothing without
	attrExpression attrRule = 4 // likewise
	attrAddress    attrRule = 5
	attrHref       attrRule = 6
	attrClass      attrRule = 7
	attrControl    attrRule = 8
	attrButton     attrRule = 9
	attrURL        attrRule = 10
	attrMedia      attrRule = 11
	attrVersion    attrRule = 12
	attrActuate    attrRule = 13
	attrShow       attrRule = 14
)

// attrRules by the name in the output; all others are copied when the vocabulary
// has them.
var attrRules = sync.OnceValue(func() map[string]attrRule {
	m := map[string]attrRule{
		"table:formula": attrFormula, "text:formula": attrFormula,
		"table:condition": attrCondition, "text:condition": attrCondition, "loext:condition": attrCondition, "style:condition": attrOnly, "calcext:value": attrOnly,
		"table:expression": attrExpression,
		"xlink:href":       attrHref, "chart:class": attrClass, "form:control-implementation": attrControl, "form:button-type": attrButton, "text:url": attrURL,
		"office:mimetype": attrMedia, "office:version": attrVersion,
		"xlink:actuate": attrActuate, "xlink:show": attrShow,
	}
	for n := range strings.FieldsSeq(`table:base-cell-address table:cell-address table:cell-range table:cell-range-address table:condition-source-range-address
		table:data-cell-range-address table:end-cell-address table:label-cell-range-address table:print-ranges table:scenario-ranges
		table:source-cell-range-addresses table:target-cell-address table:target-range-address form:linked-cell form:source-cell-range
		chart:values-cell-range-address chart:label-cell-address chart:label-cell-range-address chart:error-lower-range chart:error-upper-range
		draw:notify-on-update-of-ranges calcext:base-cell-address calcext:target-range-address calcext:data-range calcext:cell-address loext:cell-range-address`) {
		m[n] = attrAddress
	}
	return m
})

// resolveAttr tells what the name of an attribute means on an element.
func (f *filter) resolveAttr(name []byte) (attribute, error) {
	if a, ok := f.attrs[string(name)]; ok {
		return a, nil
	}
	prefix, local := xmlscan.Split(name)
	var a attribute
	switch b := f.lookup(prefix); {
	case string(prefix) == "xml":
		switch string(local) {
		case "id", "space", "lang":
			canon := string(name)
			a.canon = &canon
		}
	case b == nil:
		return a, malformed("prefix %q not declared", prefix)
	case b.uri == "":
		return a, malformed("prefix %q taken back", prefix)
	case b.words == nil:
		if !quietSpaces[b.uri] {
			a.gone = string(name)
		}
	default:
		canon := b.words.prefix + ":" + string(local)
		if b.words.attributes[string(local)] {
			a.canon, a.rule = &canon, attrRules()[canon]
		} else if !quietAttrs()[canon] {
			a.gone = canon
		}
	}
	const most = 4000
	if len(f.attrs) < most {
		f.attrs[string(name)] = a
	}
	return a, nil
}

// quietSpaces are namespaces whose attributes go without a word: metadata and
// schemas, which nobody sees.
var quietSpaces = map[string]bool{
	"http://www.w3.org/2003/g/data-view#": true, "http://www.w3.org/1999/xhtml": true, "http://www.w3.org/2001/XMLSchema-instance": true,
	"http://docs.oasis-open.org/ns/office/1.2/meta/odf#": true, "http://www.w3.org/2002/xforms": true,
	"urn:openoffice:names:experimental:ooxml-odf-interop:xmlns:form:1.0": true,
}

// quietAttrs go without a word: what they are about goes with one, or is told
// by the reader of pictures.
var quietAttrs = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq(`draw:mime-type loext:mime-type draw:filter-name draw:class-id script:language form:apply-filter form:command form:command-type
		form:datasource form:allow-deletes form:allow-inserts form:allow-updates form:navigation-mode form:method form:enctype form:escape-processing form:ignore-result
		form:data-field form:list-source form:list-source-type form:master-fields form:detail-fields form:filter form:order office:target-frame
		form:property-name form:image-data loext:fallback-type form:input-required form:convert-empty-to-null`) {
		m[n] = true
	}
	return m
})

// writeAttrs writes the attributes of the tag in the scanner that stay. It makes
// the frame roleSkipped when the element cannot be without one that goes.
func (f *filter) writeAttrs(fr *frame, e element) error {
	begin, matrix := len(f.out), false
again:
	f.seen = f.seen[:0]
	for i := range f.s.Attrs {
		a := &f.s.Attrs[i]
		if len(a.Name) >= 5 && string(a.Name[:5]) == "xmlns" && (len(a.Name) == 5 || a.Name[5] == ':') {
			continue
		}
		if bytes.IndexByte(a.Name, ':') < 0 {
			if e.words != nil && e.words.plain[string(a.Name)] {
				f.copyAttr(string(a.Name), a.Value)
			} else {
				f.found("odf.foreign-xml", sanitize.Rewritten, string(a.Name))
			}
			continue
		}
		known, err := f.resolveAttr(a.Name)
		if err != nil {
			return err
		}
		if known.canon == nil {
			if known.gone != "" {
				f.found("odf.foreign-xml", sanitize.Rewritten, known.gone)
			}
			continue
		}
		for _, s := range f.seen {
			if s == known.canon || *s == *known.canon {
				return malformed("attribute %q twice", a.Name)
			}
		}
		f.seen = append(f.seen, known.canon)
		switch known.rule {
		case attrPlain:
			if matrix && strings.HasPrefix(*known.canon, "table:number-matrix-") {
				continue
			}
			f.copyAttr(*known.canon, a.Value)
		case attrFormula:
			if matrix {
				continue
			}
			stays, err := f.formulaAttr(*known.canon, a.Value)
			if err != nil {
				return err
			}
			if !stays && strings.HasPrefix(e.canon, "table:") {
				// A value that is no result of a matrix must not say that it is one.
				f.out, matrix = f.out[:begin], true
				goto again
			}
		default:
			f.judgeAttr(fr, e, *known.canon, known.rule, a.Value)
		}
	}
	return nil
}

// copyAttr writes an attribute with its value as it was written.
func (f *filter) copyAttr(canon string, value []byte) {
	f.puts(" ")
	f.puts(canon)
	f.puts(`="`)
	for {
		i := bytes.IndexByte(value, '"') // it stood between single quotes
		if i < 0 {
			break
		}
		f.put(value[:i])
		f.puts("&quot;")
		value = value[i+1:]
	}
	f.put(value)
	f.puts(`"`)
}

// setAttr writes an attribute with a value of ours.
func (f *filter) setAttr(canon, value string) {
	f.puts(" " + canon + `="`)
	f.out = xmlscan.AppendEscaped(f.out, []byte(value))
	f.puts(`"`)
}

// grammars by namespace, with the prefix each has in the output. OpenDocument
// 1.3 part 3, 19.646; what others write, LibreOffice reads.
var grammars = map[string]struct {
	prefix  string
	grammar formula.Grammar
}{
	"urn:oasis:names:tc:opendocument:xmlns:of:1.2":      {"of:", formula.OpenFormula},
	"http://openoffice.org/2004/calc":                   {"oooc:", formula.OpenFormula},
	"http://openoffice.org/2004/writer":                 {"ooow:", formula.Writer},
	"http://schemas.microsoft.com/office/excel/formula": {"msoxl:", formula.ExcelA1},
}

// language splits a formula into the prefix that says its language, as it is
// written in the output, and what it says.
func (f *filter) language(value []byte) (string, formula.Grammar, string) {
	f.value = xmlscan.AppendDecoded(f.value[:0], value)
	v := f.value
	i := 0
	for i < len(v) && (v[i] >= 'a' && v[i] <= 'z' || v[i] >= 'A' && v[i] <= 'Z' || v[i] >= '0' && v[i] <= '9' || v[i] == '_' || v[i] == '-' || v[i] == '.' || v[i] >= 0x80) {
		i++
	}
	if i > 0 && i < len(v) && v[i] == ':' {
		if b := f.lookup(v[:i]); b != nil {
			if g, ok := grammars[b.uri]; ok && g.grammar != 0 {
				return g.prefix, g.grammar, string(v[i+1:])
			}
		}
		return "", 0, string(v)
	}
	return "", formula.OpenFormula, string(v)
}

// formulaAttr writes a formula that may stay. Of another the value stays, which
// stands beside it.
func (f *filter) formulaAttr(canon string, value []byte) (bool, error) {
	prefix, g, text := f.language(value)
	if g == formula.OpenFormula && prefix == "" && canon == "text:formula" {
		g = formula.Writer // OpenOffice 1.1 wrote none
	}
	if g == formula.Writer && !f.textual() {
		// Calc takes it, prefix and all, for a formula of its own.
		g = 0
	}
	why := formula.OpenDocument(g, text)
	if why == "" && f.d.s.Options.URLs != sanitize.KeepURLs && formula.Leads(text) {
		f.found("odf.link", sanitize.Neutralised, "HYPERLINK")
		return false, nil
	}
	if why != "" {
		code := "odf.formula"
		if why == "DDE" || why == "function DDE" {
			code = "odf.dde"
		}
		f.found(code, sanitize.Replaced, why)
		f.errors.gone = canon == "table:formula" && !f.textual()
		return false, nil
	}
	f.setAttr(canon, prefix+text)
	return true, nil
}

func (f *filter) judgeAttr(fr *frame, e element, canon string, r attrRule, value []byte) {
	switch r {
	case attrCondition, attrOnly:
		if canon == "calcext:value" && e.canon != "calcext:condition" {
			// Of a colour scale, a bar or an icon: a number or a formula.
			_, g, text := f.language(value)
			if why := formula.OpenDocument(g, text); why != "" {
				f.found("odf.formula", sanitize.Replaced, why)
				return
			}
			f.copyAttr(canon, value)
			return
		}
		prefix, g, text := f.language(value)
		if g == formula.OpenFormula && prefix == "" && (canon == "text:condition" || canon == "loext:condition") {
			g = formula.Writer
		}
		if why := formula.Condition(g, text); why != "" {
			f.found("odf.formula", sanitize.Replaced, why)
			if r == attrOnly {
				fr.role = roleSkipped
			}
			return
		}
		f.setAttr(canon, prefix+text)
	case attrExpression:
		prefix, g, text := f.language(value)
		if why := formula.OpenDocument(g, text); why != "" {
			f.found("odf.formula", sanitize.Removed, why)
			fr.role = roleSkipped
			return
		}
		f.setAttr(canon, prefix+text)
	case attrAddress:
		if elsewhere(string(xmlscan.AppendDecoded(nil, value))) {
			f.found("odf.external-range", sanitize.Removed, string(xmlscan.AppendDecoded(nil, value)))
			if e.canon == "table:named-range" {
				fr.role = roleSkipped
			}
			return
		}
		f.copyAttr(canon, value)
	case attrHref:
		// Links that stay were written by the rule of their element.
		switch e.canon {
		case "chart:chart":
			// Whose the numbers are: those of the document around it, or its own.
			// OpenDocument 1.3 part 3, 19.910.2.
			switch v := string(value); v {
			case ".", "..", "./", "../":
				f.copyAttr(canon, value)
			default:
				f.found("odf.external-range", sanitize.Removed, string(xmlscan.AppendDecoded(nil, value)))
			}
		case "draw:object", "draw:image", "draw:fill-image", "style:background-image", "text:list-level-style-image", "chart:symbol-image",
			"text:a", "draw:a", "draw:area-rectangle", "draw:area-circle", "draw:area-polygon", "presentation:event-listener", "form:form":
		default:
			if len(value) > 0 {
				f.found("odf.link", sanitize.Removed, string(xmlscan.AppendDecoded(nil, value)))
			}
		}
	case attrClass:
		// chart:class="chart:bar"; another namespace names a service to load.
		v := string(xmlscan.AppendDecoded(nil, value))
		prefix, name, ok := strings.Cut(v, ":")
		if b := f.lookup([]byte(prefix)); ok && b != nil && b.words != nil && b.words.prefix == "chart" && word.MatchString(name) {
			f.setAttr(canon, "chart:"+name)
		}
	case attrControl:
		v := string(xmlscan.AppendDecoded(nil, value))
		if _, name, ok := strings.Cut(v, ":"); ok && controls()[name] {
			f.setAttr(canon, "ooo:"+name)
		}
	case attrButton:
		if v := string(value); v == "push" || v == "reset" {
			f.copyAttr(canon, value)
		}
	case attrURL:
		if v := string(xmlscan.AppendDecoded(nil, value)); v == "" || link.Harmless(v) && f.d.s.Options.URLs == sanitize.KeepURLs {
			f.copyAttr(canon, value)
		} else {
			f.found("odf.link", sanitize.Neutralised, v)
		}
	case attrMedia:
		// That of a flat file is written with its root.
		if v := string(value); len(f.frames) > 1 && strings.HasPrefix(v, mediaPrefix) && word.MatchString(v[len(mediaPrefix):]) {
			f.copyAttr(canon, value)
		}
	case attrActuate:
		// XLink 1.1, 5.6.2: a link is followed when somebody asks, a picture is
		// shown at once.
		switch v := string(value); {
		case v == "onRequest", v == "onLoad" && !leads(e.canon):
			f.copyAttr(canon, value)
		default:
			f.found("odf.link", sanitize.Neutralised, "xlink:actuate "+string(xmlscan.AppendDecoded(nil, value)))
		}
	case attrShow:
		switch v := string(value); {
		case v == "new", v == "replace", v == "none", v == "embed" && !leads(e.canon):
			f.copyAttr(canon, value)
		default:
			f.found("odf.foreign-xml", sanitize.Rewritten, "xlink:show "+string(xmlscan.AppendDecoded(nil, value)))
		}
	case attrVersion:
		if v := string(value); version.MatchString(v) {
			if len(f.frames) == 1 {
				f.version = v
			}
			f.copyAttr(canon, value)
		}
	default:
		// A rule that nobody wrote lets nothing through.
		f.found("odf.foreign-xml", sanitize.Removed, fmt.Sprint(canon))
	}
}

// leads reports whether an element is a link that a reader follows.
func leads(canon string) bool {
	switch canon {
	case "text:a", "draw:a", "draw:area-rectangle", "draw:area-circle", "draw:area-polygon", "presentation:event-listener", "form:form", "form:button":
		return true
	default:
		return false
	}
}

var (
	word    = lazy.Compile(`^[a-zA-Z][a-zA-Z0-9-]{0,60}$`)
	version = lazy.Compile(`^1\.[0-9]$`)
)

// elsewhere reports whether an address of cells leads out of the document: what
// # follows is one, but for #REF!. A sheet may be called 'A #1' or 'a|b': what
// stands between apostrophes is a name, unless # or ! makes it that of a file.
func elsewhere(v string) bool {
	v = strings.ReplaceAll(v, "#REF!", "")
	var bare strings.Builder
	for v != "" {
		before, rest, quoted := strings.Cut(v, "'")
		bare.WriteString(before)
		if !quoted {
			break
		}
		name, behind, closed := quotedName(rest)
		if !closed || strings.HasPrefix(behind, "#") || strings.HasPrefix(behind, "!") || strings.ContainsAny(name, `\/`) {
			return true
		}
		v = behind
	}
	return strings.ContainsAny(bare.String(), `\|/#`)
}

// quotedName cuts a name at the apostrophe that closes it; two stand for one.
func quotedName(s string) (name, behind string, closed bool) {
	for i := 0; i < len(s); i++ {
		if s[i] != '\'' {
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			i++
			continue
		}
		return s[:i], s[i+1:], true
	}
	return s, "", false
}

// controls are the parts of forms that are made again from their name: those
// that only show and take what is typed.
var controls = sync.OnceValue(func() map[string]bool {
	m := map[string]bool{}
	for n := range strings.FieldsSeq("Form TextField CheckBox ListBox ComboBox CommandButton RadioButton FixedText GroupBox DateField TimeField NumericField CurrencyField PatternField FormattedField ScrollBar SpinButton HiddenControl") {
		m["com.sun.star.form.component."+n] = true
	}
	return m
})
