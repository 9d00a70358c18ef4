package html

import (
	"sync"

	"golang.org/x/net/html/atom"
)

// element is one open element that matters for what follows.
type element struct {
	name   atom.Atom
	hidden bool
	skip   bool // its content is no text at all
	pre    bool
	quote  bool
	list   *list
	row    *row
	link   *link
}

type list struct {
	ordered bool
	n       int
}

type row struct {
	cells   int
	written bool // something stands in this row
	broken  bool // a cell had several lines: cells go on lines of their own
	line    int  // on which the text of this cell began, -1 before it has any
	ruled   bool // a table of data: its empty cells count
}

type link struct {
	target string
	start  int // where its text begins in the buffer
	seen   int64
}

// blocks start on a new line; those with a value of 2 have an empty line
// before and after.
var blocks = sync.OnceValue(func() map[atom.Atom]int {
	return map[atom.Atom]int{
		atom.P: 2, atom.H1: 2, atom.H2: 2, atom.H3: 2, atom.H4: 2, atom.H5: 2, atom.H6: 2,
		atom.Ul: 2, atom.Ol: 2, atom.Dl: 2, atom.Table: 1, atom.Blockquote: 2, atom.Pre: 2, atom.Xmp: 2, atom.Plaintext: 2, atom.Listing: 2,
		atom.Div: 1, atom.Li: 1, atom.Dt: 1, atom.Dd: 1, atom.Tr: 1, atom.Caption: 1, atom.Center: 1,
		atom.Address: 1, atom.Article: 1, atom.Aside: 1, atom.Section: 1, atom.Header: 1, atom.Footer: 1, atom.Main: 1, atom.Nav: 1,
		atom.Figure: 1, atom.Figcaption: 1, atom.Fieldset: 1, atom.Legend: 1, atom.Form: 1, atom.Details: 1, atom.Summary: 1,
		atom.Body: 1, atom.Html: 1, atom.Hr: 1, atom.Option: 1, atom.Dir: 2, atom.Menu: 2, atom.Textarea: 1,
	}
})

// unseen are elements whose content is not part of the page.
var unseen = sync.OnceValue(func() map[atom.Atom]string {
	return map[atom.Atom]string{
		atom.Script: "html.script", atom.Style: "", atom.Title: "", atom.Template: "", atom.Noframes: "", atom.Noembed: "", atom.Noscript: "",
		atom.Iframe: "html.frame", atom.Object: "html.frame", atom.Applet: "html.frame", atom.Svg: "html.svg",
		atom.Audio: "html.remote", atom.Video: "html.remote", atom.Canvas: "", atom.Datalist: "", atom.Rp: "",
	}
})

// void elements have no content. HTML, 13.1.2.
var void = sync.OnceValue(func() map[atom.Atom]bool {
	return map[atom.Atom]bool{
		atom.Area: true, atom.Base: true, atom.Br: true, atom.Col: true, atom.Embed: true, atom.Hr: true, atom.Img: true, atom.Input: true,
		atom.Link: true, atom.Meta: true, atom.Source: true, atom.Track: true, atom.Wbr: true, atom.Frame: true, atom.Bgsound: true, atom.Basefont: true,
		atom.Param: true, atom.Keygen: true,
	}
})
