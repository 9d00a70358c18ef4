package verify

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"

	xhtml "golang.org/x/net/html"

	"sekisho/internal/lazy"
	"sekisho/sanitize"
)

// What HTML may hold, by element. The attributes of all of them are in
// htmlAttributes.
var htmlElements = sync.OnceValue(func() map[string]bool {
	return map[string]bool{
		"html": true, "head": true, "meta": true, "body": true, "p": true, "div": true, "span": true, "br": true, "hr": true, "a": true, "b": true, "strong": true,
		"i": true, "em": true, "u": true, "s": true, "sub": true, "sup": true, "small": true, "big": true, "font": true, "code": true, "q": true, "blockquote": true,
		"pre": true, "h1": true, "h2": true, "h3": true, "h4": true, "h5": true, "h6": true, "ul": true, "ol": true, "li": true, "dl": true, "dt": true, "dd": true,
		"table": true, "caption": true, "thead": true, "tbody": true, "tfoot": true, "tr": true, "th": true, "td": true, "center": true, "ruby": true, "rt": true,
		"wbr": true, "img": true, "colgroup": true,
	}
})

var htmlAttributes = sync.OnceValue(func() map[string]*lazy.Regexp {
	return map[string]*lazy.Regexp{
		"href": lazy.Compile(`^(?:https?://|mailto:|tel:|https?:)`), "src": lazy.Compile(`^cid:[^\s"'<>\\]{1,200}$`),
		"rel": lazy.Compile(`^noopener noreferrer$`), "charset": lazy.Compile(`^utf-8$`), "title": lazy.Compile(``), "alt": lazy.Compile(``),
		"dir": lazy.Compile(`^[a-z]{3,4}$`), "lang": lazy.Compile(`^[A-Za-z0-9-]*$`), "align": lazy.Compile(`^[a-z]+$`), "valign": lazy.Compile(`^[a-z]+$`),
		"width": lazy.Compile(`^[0-9]+%?$`), "height": lazy.Compile(`^[0-9]+%?$`), "border": digits, "cellpadding": digits, "cellspacing": digits,
		"colspan": digits, "rowspan": digits, "start": digits, "size": lazy.Compile(`^[+-]?[0-9]$`), "color": colour, "bgcolor": colour,
		"face": lazy.Compile(`^[\p{L}\p{N} ,_-]+$`), "type": lazy.Compile(`^[1aAiI]$|^[a-z]+$`),
		// No function but rgb, no escape, no address.
		"style": lazy.Compile(`^(?:(?:color|background-color|font-[a-z]+|text-[a-z]+|vertical-align|line-height|white-space|list-style-type|border[a-z-]*|margin[a-z-]*|padding[a-z-]*|width|max-width):(?:[\p{L}\p{N} .,%#'_-]|rgba?\([0-9., %]*\))+;?)+$`),
	}
})

var (
	digits = lazy.Compile(`^[0-9]+$`)
	colour = lazy.Compile(`^#?[A-Za-z0-9]+$`)
	minus  = lazy.Compile(`(?:margin|padding|width|indent)[a-z-]*:[^;]*-[0-9]`)
)

// checkHTML reads HTML twice: as tokens, whose nesting is bounded, and as the
// tree a browser would make of it. Both may hold only what is listed.
func checkHTML(s *sanitize.Session, where string, b []byte) error {
	if err := plain(s, where, b); err != nil {
		return err
	}
	// The parser of the tree takes time by the square of nesting.
	const deepest = 300
	z := xhtml.NewTokenizer(bytes.NewReader(b))
	depth := 0
	for done := false; !done; {
		switch z.Next() {
		case xhtml.ErrorToken:
			if !errors.Is(z.Err(), io.EOF) {
				return notAllowed(where, "HTML: %v", z.Err())
			}
			done = true
		case xhtml.CommentToken:
			return notAllowed(where, "HTML: a comment")
		case xhtml.SelfClosingTagToken:
			return notAllowed(where, "HTML: a tag that closes itself")
		case xhtml.StartTagToken:
			t := z.Token()
			if err := tagAllowed(where, t.Data, t.Attr); err != nil {
				return err
			}
			switch t.Data {
			case "br", "hr", "img", "wbr", "meta":
			default:
				depth++
			}
			if depth > deepest {
				return notAllowed(where, "HTML: elements nested more than %d deep", deepest)
			}
		case xhtml.EndTagToken:
			if depth--; depth < 0 {
				return notAllowed(where, "HTML: an end tag without its start tag")
			}
		}
	}
	if depth != 0 {
		return notAllowed(where, "HTML: %d elements that do not close", depth)
	}
	doc, err := xhtml.Parse(bytes.NewReader(b))
	if err != nil {
		return notAllowed(where, "HTML: %v", err)
	}
	for n := range doc.Descendants() {
		switch n.Type {
		case xhtml.TextNode, xhtml.DocumentNode:
		case xhtml.DoctypeNode:
			if n.Data != "html" || len(n.Attr) > 0 {
				return notAllowed(where, "HTML: doctype %q", n.Data)
			}
		case xhtml.ElementNode:
			if n.Namespace != "" {
				return notAllowed(where, "HTML: element of %s", n.Namespace)
			}
			if err := tagAllowed(where, n.Data, n.Attr); err != nil {
				return err
			}
		default:
			return notAllowed(where, "HTML: node of type %d", n.Type)
		}
	}
	return nil
}

func tagAllowed(where, name string, attrs []xhtml.Attribute) error {
	if !htmlElements()[name] {
		return notAllowed(where, "HTML: element %.40q", name)
	}
	seen := map[string]bool{}
	for _, a := range attrs {
		form := htmlAttributes()[a.Key]
		switch {
		case form == nil || a.Namespace != "" || seen[a.Key] || !form.MatchString(a.Val):
			return notAllowed(where, "HTML: attribute %.40q of %s", a.Key, name)
		case a.Key == "href" && name != "a", a.Key == "src" && name != "img", a.Key == "charset" && name != "meta":
			return notAllowed(where, "HTML: attribute %s of %s", a.Key, name)
		case a.Key == "href" && strings.ContainsAny(a.Val, " \t\r\n<>\""):
			return notAllowed(where, "HTML: address %.60q", a.Val)
		case a.Key == "style" && minus.MatchString(a.Val):
			return notAllowed(where, "HTML: style %.60q", a.Val)
		}
		seen[a.Key] = true
	}
	return nil
}
